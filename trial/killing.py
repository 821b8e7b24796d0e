"""Faults that kill or stop a run or the driver of a comparison: F7 to F10, and where a process dies on the way."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

from bioFA.comparisons import table, worker
from bioFA.runs import checkpoint
from bioFA.runs.result import RESULT
from trial.fault import fault
from trial.oracle import Attempt, Outcome, complaint
from trial.sandbox import Prepare, Sandbox, gone, outcomes, processes_of, waited


@fault("F7", "SIGKILL of a run", "at a random moment", chance=True)
def killed_run(sandbox: Sandbox, attempt: int) -> Attempt:
    """SIGKILL at a random moment between the beginning of a run and its end; then it is continued."""
    place = killed_at_random(sandbox, "rates")
    if not gone(place):
        return Attempt(Outcome.UNCLEAR, f"processes outlive it: {processes_of(place)}")
    return sandbox.recovered(place)


def killed_at_random(sandbox: Sandbox, name: str, with_state: bool = False) -> Path:
    """Begin the run of a name, kill it at a random moment (`with_state`: once it kept one), return the folder."""
    reference = sandbox.reference(name)
    place = sandbox.fresh()
    running = sandbox.run(place, name)
    if with_state:
        sandbox.until_state(running, place)
    time.sleep(sandbox.random.uniform(0.0, reference.seconds_with_state if with_state else reference.seconds))
    running.kill()
    return place


@fault("F8", "SIGKILL of the driver of a comparison", "at a random moment", chance=True)
def killed_driver(sandbox: Sandbox, attempt: int) -> Attempt:
    """SIGKILL of the driver at a random moment, two runs at once; its runs must end by themselves,
    and what was finished must stay."""
    sandbox.compared()
    place = sandbox.fresh()
    running = sandbox.compare(place, "-j", "2")
    waited(lambda: (place / table.TABLE).exists() or running.poll() is not None)
    time.sleep(sandbox.random.uniform(0.0, 3.0))
    running.kill()
    if not gone(place):
        return Attempt(Outcome.UNCLEAR, f"its runs go on: {processes_of(place)}")
    return sandbox.comparison_recovered(place, outcomes(place))


@fault(
    "F9",
    "SIGINT or SIGTERM",
    "SIGTERM of a run",
    "SIGINT of a run",
    "SIGTERM while its state is kept",
    "SIGINT of a comparison",
    "SIGTERM of a comparison",
    chance=True,
)
def stopped_run(sandbox: Sandbox, attempt: int) -> Attempt:
    """SIGINT (Ctrl-C) or SIGTERM (a batch system's time is up) at a random moment, of a run or a comparison;
    then it is continued."""
    place = sandbox.fresh()
    number = signal.SIGINT if attempt % 5 in (1, 3) else signal.SIGTERM
    code = 128 + number
    if attempt % 5 < 3:
        prepare = [_signalled_while_writing] if attempt % 5 == 2 else []
        running = sandbox.run(place, prepare=prepare)
        if not prepare:
            waited(lambda: place.exists() or running.poll() is not None)
            time.sleep(sandbox.random.uniform(0.0, sandbox.seconds))
            running.send(number)
        ended = running.wait()
        if ended.code == 0:
            return sandbox.judged(ended, place)
    else:
        running = sandbox.compare(place)
        waited(lambda: (place / table.TABLE).exists() or running.poll() is not None)
        time.sleep(sandbox.random.uniform(0.0, 2.5))
        running.send(number)
        ended = running.wait()
    results = ((place / RESULT).exists() and not checkpoint.is_unfinished(place), (place / "table.csv").exists())
    if ended.code == -number and any(results):  # all was written, and nothing catches a signal any more
        return sandbox.recovered(place) if attempt % 5 < 3 else sandbox.comparison_recovered(place, outcomes(place))
    if ended.code not in (0, code) or (ended.code == code and complaint(ended)):
        return Attempt(Outcome.UNCLEAR, f"exit code {ended.code}, not {code}; {complaint(ended)}")
    if not gone(place):
        return Attempt(Outcome.UNCLEAR, f"processes outlive it: {processes_of(place)}")
    if attempt % 5 < 3:
        return sandbox.recovered(place, ended.last)
    if ended.code != 0 and (place / "table.csv").exists():
        return Attempt(Outcome.SILENT, "a comparison that was stopped has a table")
    return sandbox.comparison_recovered(place, outcomes(place), ended.last)


def _signalled_while_writing() -> None:
    """Let SIGTERM come while the third segment is being written."""
    real, calls = os.replace, [0]

    def replace(source: str, target: str) -> None:
        calls[0] += 1
        if calls[0] == 5:
            os.kill(os.getpid(), signal.SIGTERM)
        real(source, target)

    os.replace = replace  # type: ignore[assignment]


@fault(
    "F10",
    "killed while a file is written, renamed or removed",
    "a run, before a renaming",
    "a run, after a renaming",
    "a run, while its checkpoints are removed",
    "a run of a comparison",
    "a comparison's tables and report",
    chance=True,
)
def killed_writing(sandbox: Sandbox, attempt: int) -> Attempt:
    """Death without cleaning up just before or after a randomly chosen renaming, of a checkpoint, a result,
    an outcome, a table or the report, or between two removals."""
    which = attempt % 5
    moment = sandbox.random.choice(["before", "after"])
    if which < 3:
        place = sandbox.fresh()
        # the state before the first presentation, run.json, ten segments, the result
        number = sandbox.random.randrange(1, 14)
        dies = (
            _dies_removing(sandbox.random.randrange(1, 6))
            if which == 2
            else dies_renaming(number, ["before", "after"][which])
        )
        sandbox.run(place, prepare=[dies]).wait()
        return sandbox.recovered(place)
    if which == 3:
        place = sandbox.copy_of_comparison()
        name = sandbox.random.choice(sorted(outcomes(place)))
        shutil.rmtree(place / "runs" / name)
        before = outcomes(place)
        number = sandbox.random.randrange(1, 26)
        prepared = [open_input, dies_renaming(number, moment)]
        sandbox.fork(lambda: worker.main(str(place), name), prepare=prepared).wait()
        return sandbox.comparison_recovered(place, before)
    place = sandbox.copy_of_comparison()
    pages = {path: path.read_bytes() for path in place.rglob("*") if path.suffix in (".csv", ".html", ".svg", ".pdf")}
    before = outcomes(place)
    dies = dies_renaming(sandbox.random.randrange(1, 6), moment)
    sandbox.biofa("resume", str(place), "--json", prepare=[dies]).wait()
    torn = [
        path.name
        for path in pages
        if path.suffix in (".csv", ".html") and path.exists() and not whole_page(path, pages[path])
    ]
    return (
        Attempt(Outcome.SILENT, f"{torn} are neither the old nor the new")
        if torn
        else sandbox.comparison_recovered(place, before)
    )


def whole_page(path: Path, before: bytes) -> bool:
    """Whether a page or table is what it was, or a whole new one."""
    now = path.read_bytes()
    return now == before or (now.rstrip().endswith(b"</html>") if path.suffix == ".html" else now.endswith(b"\n"))


def open_input() -> None:
    """Give the process an input that stays open, as a driver does."""
    read, _ = os.pipe()
    os.dup2(read, 0)


def dies_renaming(number: int, moment: str) -> Prepare:
    """Die around the so-manieth renaming: `before`, `after`, or after it with `half` of the content on disk."""

    def prepare() -> None:
        real, calls = os.replace, [0]

        def replace(source: str, target: str) -> None:
            calls[0] += 1
            if calls[0] != number:
                return real(source, target)
            if moment == "half":
                os.truncate(source, os.stat(source).st_size // 2)
            if moment != "before":
                real(source, target)
            os.kill(os.getpid(), signal.SIGKILL)
            return None

        os.replace = replace  # type: ignore[assignment]

    return prepare


def _dies_removing(number: int) -> Prepare:
    """Die at one of the removals of the checkpoint folder."""

    def prepare() -> None:
        real, remove, calls = checkpoint.Checkpoint.remove, os.unlink, [0]

        def removing(self: checkpoint.Checkpoint) -> None:
            def unlink(*arguments: object, **keywords: object) -> None:
                calls[0] += 1
                if calls[0] == number:
                    os.kill(os.getpid(), signal.SIGKILL)
                remove(*arguments, **keywords)  # type: ignore[arg-type]

            os.unlink = unlink
            real(self)

        checkpoint.Checkpoint.remove = removing  # type: ignore[method-assign]

    return prepare


FAULTS = (killed_run, killed_driver, stopped_run, killed_writing)
