"""Faults of a single run: F11 to F14, F19, F21 and F22."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import threading
import time
from pathlib import Path
from typing import Any

from bioFA.comparisons import table, worker
from bioFA.comparisons.outcomes import read_outcomes, tidy
from bioFA.runs import checkpoint
from bioFA.runs.result import RESULT, Result
from trial.fault import fault
from trial.injections import limited, replace_program, unprivileged
from trial.killing import open_input, whole_page
from trial.oracle import Attempt, Outcome, complaint
from trial.sandbox import SMALL, Prepare, Sandbox, outcomes, waited


@fault("F11", "the disk is full for raw results", "at a random size", chance=True)
def full_for_raw(sandbox: Sandbox, attempt: int) -> Attempt:
    """The compiled program's files end at a random size, and its writes fail in silence,
    as on a full disk (RLIMIT_FSIZE with SIGXFSZ ignored, in a wrapper)."""
    place, cache = sandbox.fresh(), sandbox.copy_of_cache()
    blocks = sandbox.random.randrange(0, 12)
    replace_program(cache, f"trap '' 25\nulimit -f {blocks}\ncd \"$(dirname \"$REAL\")\" && exec \"$REAL\" \"$@\"")
    return sandbox.judged(sandbox.run(place, environment={"BIOFA_CACHE": str(cache)}).wait(), place)


@fault(
    "F12",
    "the disk is full while results are packed or reports are written",
    "the result",
    "the state",
    "an outcome or a table",
    "the report",
    chance=True,
)
def full_for_pack(sandbox: Sandbox, attempt: int) -> Attempt:
    """RLIMIT_FSIZE, at a random size, from the moment at which a result, a state, an outcome or a report is written."""
    place = sandbox.fresh()
    if attempt % 4 == 0:
        limit = sandbox.random.randrange(0, sandbox.whole().joinpath(RESULT).stat().st_size)
        return sandbox.judged(sandbox.run(place, prepare=[_limited_from_saving(limit)]).wait(), place)
    if attempt % 4 == 1:
        return sandbox.judged(
            sandbox.run(place, prepare=[_full_while_keeping(sandbox.random.randrange(0, 11))]).wait(), place
        )
    place = sandbox.copy_of_comparison()
    before, page = outcomes(place), (place / "report.html").read_bytes() if (place / "report.html").exists() else None
    if attempt % 4 == 2:
        name = sandbox.random.choice(sorted(before))
        if attempt % 8 == 2:
            shutil.rmtree(place / "runs" / name)
            before.pop(name)
            running = sandbox.fork(
                lambda: worker.main(str(place), name),
                prepare=[open_input, limited(resource.RLIMIT_FSIZE, sandbox.random.randrange(0, 30_000))],
            )
        else:
            running = sandbox.resume(place, prepare=[limited(resource.RLIMIT_FSIZE, sandbox.random.randrange(0, 300))])
    else:
        running = sandbox.biofa(
            "report", str(place), prepare=[limited(resource.RLIMIT_FSIZE, sandbox.random.randrange(0, 200_000))]
        )
    ended = running.wait()
    if attempt % 4 == 3 and page is not None and not whole_page(place / "report.html", page):
        return Attempt(Outcome.SILENT, "the page is neither the old nor the new one")
    if ended.code != 0 and attempt % 8 != 2 and (wrong := complaint(ended)):
        return Attempt(Outcome.UNCLEAR, wrong)
    return sandbox.comparison_recovered(place, before, ended.last)


def _limited_from_saving(limit: int) -> Prepare:
    def prepare() -> None:
        real = Result.save

        def save(self: Result, path: Path) -> Path:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
            return real(self, path)

        Result.save = save  # type: ignore[method-assign, assignment]

    return prepare


def _full_while_keeping(number: int) -> Prepare:
    def prepare() -> None:
        real, calls = checkpoint.Checkpoint.flush, [0]

        def flush(self: checkpoint.Checkpoint) -> None:
            calls[0] += 1
            if calls[0] > number:
                resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
            real(self)

        checkpoint.Checkpoint.flush = flush  # type: ignore[method-assign]

    return prepare


@fault("F13", "a quota, or a limit of file sizes", "at a random size", chance=True)
def quota(sandbox: Sandbox, attempt: int) -> Attempt:
    """RLIMIT_FSIZE, at a random size, on the whole run and on all that it starts:
    what passes it is ended by SIGXFSZ or gets an error."""
    place = sandbox.fresh()
    limit = int(10 ** sandbox.random.uniform(2, 5))
    return sandbox.judged(sandbox.run(place, prepare=[limited(resource.RLIMIT_FSIZE, limit)]).wait(), place)


@fault(
    "F14",
    "the results folder is read-only or vanishes",
    "read-only",
    "a file stands in its place",
    "removed at a random moment",
    "moved away at a random moment",
    chance=True,
)
def no_folder(sandbox: Sandbox, attempt: int) -> Attempt:
    """A folder without permission to write (for an ordinary user), a file in its place,
    and a folder that is removed or moved while the run writes there."""
    place = sandbox.fresh()
    which = attempt % 4
    if which == 0:
        place.mkdir(mode=0o555)
        sandbox.open_to_all()
        ended = sandbox.run(place / ("run" if attempt % 8 else ""), prepare=[unprivileged]).wait()
        place.chmod(0o755)
        return sandbox.judged(ended, place)
    if which == 1:
        place.write_text("a file")
        ended = sandbox.run(place / "run" if attempt % 8 == 1 else place).wait()
        wrong = complaint(ended)
        return Attempt(Outcome.UNCLEAR, wrong) if wrong else Attempt(Outcome.REFUSED, ended.last)
    running = sandbox.run(place)
    waited(lambda: place.exists() or running.poll() is not None)
    time.sleep(sandbox.random.uniform(0.0, sandbox.seconds))
    away = sandbox.fresh()
    with contextlib.suppress(OSError):
        if which == 2:
            shutil.rmtree(place, ignore_errors=True)
        else:
            place.rename(away)
    ended = running.wait()
    where = place if which == 2 or not away.exists() else away
    if ended.code == 0 and not (where / RESULT).exists() and not place.exists():
        return Attempt(Outcome.IDENTICAL, "it had ended before the folder went")
    if ended.code == 0:
        return sandbox.recovered(where)
    if wrong := complaint(ended):
        return Attempt(Outcome.UNCLEAR, wrong)
    if place.exists() and where != place:
        shutil.rmtree(place)  # where it was left empty, or not removed to its end
    return sandbox.recovered(where, ended.last)


WILD = (
    "--set",
    "circuit.schemes.fa.readout_rule.learning_rate=1e200",
    "--set",
    "circuit.schemes.fa.rule.learning_rate=1e200",
)


@fault(
    "F19",
    "the numbers are no longer finite, or nothing is active",
    "a compiled run diverges",
    "a NumPy run diverges",
    "runs of a comparison diverge",
    "hidden neurons are silent",
)
def unstable(sandbox: Sandbox, attempt: int) -> Attempt:
    """Learning rates of 1e200 in a run and in a comparison; a spiking network whose hidden neurons never spike."""
    place = sandbox.fresh()
    if attempt % 4 < 2:
        arguments = (
            "run",
            "linear",
            "--scheme",
            "fa",
            *SMALL,
            *WILD,
            "--backend",
            ["cpp", "numpy"][attempt % 2],
            "--json",
            "--out",
            str(place),
        )
        ended = sandbox.biofa(*arguments).wait()
        if wrong := complaint(ended):
            return Attempt(Outcome.UNCLEAR, wrong)
        if place.exists() or "presentation" not in ended.err or "no longer finite" not in ended.err:
            return Attempt(Outcome.UNCLEAR, f"it does not say where, or leaves a folder: {ended.last}")
        return Attempt(Outcome.REFUSED, ended.last)
    if attempt % 4 == 2:
        compared = (
            "compare",
            "linear",
            "--schemes",
            "shallow,fa",
            "--seeds",
            "2",
            *SMALL,
            *WILD,
            "--backend",
            "numpy",
            "--json",
            "--out",
            str(place),
        )
        ended = sandbox.biofa(*compared).wait()

        states = list(tidy(read_outcomes(table.read(place)))["status"])
        if ended.code != 0 or json.loads(ended.out)["diverged"] != 2 or states != ["finished"] * 2 + ["diverged"] * 2:
            return Attempt(Outcome.UNCLEAR, f"{states}: {ended.last}")
        page = (place / "report.html").read_text()
        return (
            Attempt(Outcome.REFUSED, "counted and shown")
            if "diverged" in page
            else Attempt(Outcome.SILENT, "the report does not show it")
        )
    silent = (
        "run",
        "pattern",
        "--set",
        "protocol.epochs=2",
        "--set",
        'circuit.weights={name="constant", value=0.0}',
        "--backend",
        "numpy",
        "--json",
        "--out",
        str(place),
    )
    ended = sandbox.biofa(*silent).wait()
    kinds = [finding["kind"] for finding in json.loads(ended.out).get("findings", [])] if ended.code == 0 else []
    return (
        Attempt(Outcome.REFUSED, "found and reported: " + ", ".join(kinds))
        if kinds
        else Attempt(Outcome.SILENT if ended.code == 0 else Outcome.UNCLEAR, ended.last or "not reported")
    )


@fault(
    "F21",
    "no file handles or processes are left",
    "few handles",
    "few handles for a while",
    "few processes",
    "no memory for it",
    chance=True,
)
def scarce(sandbox: Sandbox, attempt: int) -> Attempt:
    """RLIMIT_NOFILE at a random number, or handles that are all taken for half a second;
    RLIMIT_NPROC for an ordinary user; RLIMIT_AS at a random size."""
    place = sandbox.fresh()
    which = attempt % 4
    prepare = [
        [limited(resource.RLIMIT_NOFILE, sandbox.random.randrange(3, 16))], [_handles_taken],
        [_owned(place), limited(resource.RLIMIT_NPROC, sandbox.random.randrange(0, 3)), unprivileged],
        [_little_memory(sandbox.random.randrange(0, 40))],
    ][which]
    if which == 2:
        sandbox.open_to_all()
        place = place / "run"
    found = sandbox.judged(sandbox.run(place, prepare=prepare).wait(), place)
    if which == 1 and found.outcome is not Outcome.IDENTICAL:
        return Attempt(Outcome.UNCLEAR, f"it did not wait for handles: {found.message}")
    return found


def _owned(place: Path) -> Prepare:
    """Make the folder one of everybody's."""

    def prepare() -> None:
        place.mkdir()
        place.chmod(0o777)

    return prepare


def _handles_taken() -> None:
    """Take all handles but four for half a second, from the moment at which the program is begun."""
    import subprocess

    real, calls = subprocess.Popen, [0]

    def popen(*arguments: Any, **keywords: object) -> object:
        calls[0] += "--serve" in arguments[0]
        if "--serve" in arguments[0] and calls[0] == 1:
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
            taken: list[int] = []
            with contextlib.suppress(OSError):
                while True:
                    taken.append(os.dup(0))

            def give_back() -> None:
                time.sleep(0.5)
                for handle in taken:
                    os.close(handle)
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

            threading.Thread(target=give_back).start()
        return real(*arguments, **keywords)  # type: ignore[call-overload]

    subprocess.Popen = popen  # type: ignore[assignment, misc]


def _little_memory(more: int) -> Prepare:
    """Let the process have only so many MB more than it has."""

    def prepare() -> None:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * os.sysconf("SC_PAGE_SIZE") + more * 1_000_000
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    return prepare


@fault("F22", "the clock jumps, or the time zone changes", "at a random moment", chance=True)
def clock(sandbox: Sandbox, attempt: int) -> Attempt:
    """A clock that jumps by up to ten years at every look, another time zone, and files of the future and of the past,
    between a kill and what continues from it."""
    place = sandbox.stopped(sandbox.random.randrange(1, 10))
    for path in sorted(place.rglob("*")):
        moment = time.time() + sandbox.random.uniform(-3e8, 3e8)
        os.utime(path, (moment, moment))
    zone = sandbox.random.choice(["Pacific/Kiritimati", "America/Los_Angeles", "UTC", "Asia/Kathmandu"])
    seed = sandbox.random.random()

    def jumps() -> None:
        import random

        chance, real = random.Random(seed), time.time
        time.time = lambda: real() + chance.uniform(-3e8, 3e8)
        time.tzset()

    ended = sandbox.biofa("resume", str(place), "--json", environment={"TZ": zone}, prepare=[jumps]).wait()
    found = sandbox.judged(ended, place)
    return Attempt(found.outcome, found.message, found.outcome is Outcome.IDENTICAL)


FAULTS = (full_for_raw, full_for_pack, quota, no_folder, unstable, scarce, clock)
