"""Faults of comparisons, and of processes that meet: F15, F16, F20 and F24."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

from bioFA.comparisons import table
from bioFA.comparisons.outcomes import read_outcomes, tidy
from bioFA.runs import checkpoint
from bioFA.runs.result import RESULT
from bioFA.system.locks import hold
from trial.fault import fault
from trial.oracle import Attempt, Outcome, complaint, digest
from trial.sandbox import (
    COMPARED,
    Running,
    Sandbox,
    dies_after,
    lost,
    outcomes,
    processes_of,
    stands_still,
    waited,
    without_report,
)


@fault("F15", "two processes in one folder", "two runs", "two go on with one run", "two comparisons", chance=True)
def two_in_one_folder(sandbox: Sandbox, attempt: int) -> Attempt:
    """Two runs with different seeds, two that go on with one run, or two comparisons,
    begun within a quarter of a second of each other in one folder."""
    which = attempt % 3
    place = sandbox.stopped(sandbox.random.randrange(1, 8)) if which == 1 else sandbox.fresh()
    begun: list[Running] = []
    for name in ("rates", "another seed"):
        begun.append(
            sandbox.run(place, name) if which == 0 else sandbox.resume(place) if which == 1 else sandbox.compare(place)
        )
        time.sleep(sandbox.random.uniform(0.0, 0.25))
    ended = [one.wait() for one in begun]
    codes = [one.code for one in ended]
    for one in ended:
        if one.code != 0 and (wrong := complaint(one)):
            return Attempt(Outcome.UNCLEAR, wrong)
    if codes.count(0) == 0 or (which != 2 and codes.count(0) != 1):
        return Attempt(Outcome.UNCLEAR, f"exit codes {codes}: {[one.last for one in ended]}")
    if which == 2:
        return sandbox.comparison_recovered(
            place, outcomes(place), "one was refused" if any(codes) else "one after the other"
        )
    name = "another seed" if which == 0 and codes.index(0) == 1 else "rates"
    if digest(place / RESULT) != sandbox.reference(name).digest:
        return Attempt(Outcome.SILENT, "the result is of neither, or of the one that was refused")
    return Attempt(Outcome.REFUSED, next(one.last for one in ended if one.code), True if which == 1 else None)


@fault(
    "F16",
    "a lock that a lost process holds",
    "of a run",
    "of a comparison",
    "of a build",
    "of a run, whose process wakes again",
    "left in a file only",
)
def stale_lock(sandbox: Sandbox, attempt: int) -> Attempt:
    """A process that holds a lock and does not move (SIGSTOP), as one of a machine that is gone; then --force.
    A lock's file of another machine that nobody holds."""
    which = attempt % 5
    if which == 4:
        place = sandbox.stopped(3)
        (place / checkpoint.FOLDER / checkpoint.LOCK).write_text(
            json.dumps({"pid": 1, "host": "gone", "since": "2020-01-01T00:00:00+00:00"})
        )
        return sandbox.recovered(place, "nobody holds it")
    if which == 2:
        return _lost_builder(sandbox)
    if which == 1:
        sandbox.compared()
        place = sandbox.copy_of_comparison()
        name = sorted(outcomes(place))[0]
        shutil.rmtree(place / "runs" / name)
        (place / "table.csv").unlink()
        lost_one = sandbox.fork(lambda: _hold_for_ever(place / table.LOCK))
        waited(lambda: hold(place / table.LOCK, wait=False) is None)
    else:
        place = sandbox.fresh()
        lost_one = sandbox.run(place, prepare=[lambda: dies_after(3, signal.SIGSTOP)])
        waited(lambda: stands_still(lost_one.pid) or lost_one.poll() is not None)
    before = outcomes(place)
    try:
        refused = sandbox.resume(place).wait()
        wrong = complaint(refused)
        if wrong or f"process {lost_one.pid} on" not in refused.err or "--force" not in refused.err:
            return Attempt(Outcome.UNCLEAR, f"it does not tell who holds the lock: {refused.last}; {wrong}")
        forced = sandbox.resume(place, "--force").wait()
        if forced.code != 0:
            return Attempt(Outcome.UNCLEAR, f"--force: {forced.last}")
        if which == 1:
            return sandbox.comparison_recovered(place, before, refused.last)
        if digest(place / RESULT) != sandbox.expected:
            return Attempt(Outcome.SILENT, "what was taken over has other numbers")
        if which == 3:
            lost_one.send(signal.SIGCONT)
            ended = lost_one.wait()
            if wrong := complaint(ended):
                return Attempt(Outcome.UNCLEAR, f"the process that woke: {wrong}")
            if digest(place / RESULT) != sandbox.expected or (place / checkpoint.FOLDER).exists():
                return Attempt(Outcome.SILENT, "the process that woke wrote into what had been taken over")
        return Attempt(Outcome.REFUSED, refused.last, True)
    finally:
        lost_one.send(signal.SIGCONT)
        lost_one.kill()


def _hold_for_ever(path: Path) -> int:
    with hold(path) or open(os.devnull):
        time.sleep(600)
    return 0


def _lost_builder(sandbox: Sandbox) -> Attempt:
    """Of a build: whoever waits for it gets a message after a while,
    and the same command succeeds once the lock is given back."""
    cache, place = sandbox.fresh(), sandbox.fresh()
    cache.mkdir()
    sandbox.reference()
    lock = cache / f"{sandbox.program}.lock"
    lost_one = sandbox.fork(lambda: _hold_for_ever(lock))
    waited(lock.exists)
    time.sleep(0.1)
    try:
        ended = sandbox.run(place, environment={"BIOFA_CACHE": str(cache), "BIOFA_COMPILE_LIMIT": "0.5"}).wait()
        wrong = complaint(ended)
        if wrong or f"process {lost_one.pid} on" not in ended.err:
            return Attempt(Outcome.UNCLEAR, f"it does not tell who holds the lock: {ended.last}; {wrong}")
    finally:
        lost_one.kill()
    return sandbox.recovered(place, ended.last)


LONG = (
    "linear",
    "--schemes",
    "fa",
    "--seeds",
    "1",
    "--set",
    "protocol.epochs=12",
    "--set",
    "task.test_examples=20",
    "--backend",
    "numpy",
    "--json",
)
"""A comparison of one run that takes several seconds."""


@fault("F20", "a run passes its limit of time or memory", "time", "memory", "killed by the system")
def past_limit(sandbox: Sandbox, attempt: int) -> Attempt:
    """--time-limit of one second, --memory-limit below what bioFA takes,
    SIGKILL of a run of a comparison as by a system whose memory is full."""
    which = attempt % 3
    place = sandbox.fresh()
    arguments: tuple[str, ...]
    if which == 0:
        arguments, state = (*LONG, "--time-limit", "1"), "timeout"
    elif which == 1:
        arguments, state = (*COMPARED, "--memory-limit", "40"), "oom"
    else:
        arguments, state = COMPARED, "oom"
    running = sandbox.biofa("compare", *arguments, "--out", str(place), prepare=[without_report])
    if which == 2:
        waited(lambda: _runs(place) or running.poll() is not None)
        for pid in _runs(place):
            os.kill(pid, signal.SIGKILL)
    ended = running.wait()
    if wrong := complaint(ended):
        return Attempt(Outcome.UNCLEAR, wrong)
    states = list(tidy(read_outcomes(table.read(place)))["status"])
    if states.count(state) != (len(states) if which < 2 else 1):
        return Attempt(Outcome.UNCLEAR, f"states {states}: {ended.last}")
    before = outcomes(place)
    again = sandbox.resume(place).wait()
    finished = list(tidy(read_outcomes(table.read(place)))["status"]).count("finished")
    if again.code != 0 or finished != len(states):
        return Attempt(Outcome.UNCLEAR, f"without the limit: {again.last}")
    if which == 0:
        return Attempt(Outcome.REFUSED, ended.last)
    return sandbox.comparison_recovered(place, before, ended.last)


def _runs(place: Path) -> list[int]:
    """Processes of a comparison's runs, each started by itself or a fork of the process that forks them."""
    forking, found = b"bioFA.comparisons.forks", []
    for pid in processes_of(place):
        with contextlib.suppress(OSError):
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
            forked = forking in command and forking in Path(f"/proc/{parent}/cmdline").read_bytes()
            if forked or b"bioFA.comparisons.worker" in command:
                found.append(pid)
    return found


@fault(
    "F24",
    "a worker of another version than the table",
    "bioFA",
    "NumPy",
    "bioFA, with --allow-mixed",
    "a run's checkpoints",
)
def another_version(sandbox: Sandbox, attempt: int) -> Attempt:
    """A comparison, or the checkpoints of a run, that another version of bioFA or NumPy began."""
    which = attempt % 4
    if which == 3:
        place = sandbox.stopped(4)
        path = place / checkpoint.FOLDER / checkpoint.RUN
        entry = json.loads(path.read_text())
        run = json.loads(entry["run"])
        path.write_text(json.dumps(sealed_run(entry, run | {"versions": run["versions"] | {"bioFA": "0.0.1"}})))
        ended = sandbox.resume(place).wait()
        wrong = complaint(ended)
        if wrong or "0.0.1" not in ended.err:
            return Attempt(Outcome.UNCLEAR, f"{wrong}; {ended.last}")
        path.write_text(json.dumps(sealed_run(entry, run)))
        return sandbox.recovered(place, ended.last)
    place = sandbox.copy_of_comparison()
    name = sorted(outcomes(place))[0]
    shutil.rmtree(place / "runs" / name)
    before = outcomes(place)
    package = ["bioFA", "numpy", "bioFA"][which]
    path = place / table.TABLE
    entry = json.loads(path.read_text())
    path.write_text(json.dumps(entry | {"versions": entry["versions"] | {package: "0.0.1"}}))
    ended = sandbox.resume(place).wait()
    wrong = complaint(ended)
    if wrong or "0.0.1" not in ended.err or "--allow-mixed" not in ended.err or outcomes(place) != before:
        return Attempt(Outcome.UNCLEAR, f"{wrong}; {ended.last}")
    if which != 2:
        path.write_text(json.dumps(entry))
        return sandbox.comparison_recovered(place, before, ended.last)
    mixed = sandbox.resume(place, "--allow-mixed").wait()
    if mixed.code != 0 or lost(before, place) or len(outcomes(place)) != len(before) + 1:
        return Attempt(Outcome.UNCLEAR, f"--allow-mixed: {mixed.last}")
    return Attempt(Outcome.REFUSED, ended.last, None, len(before), 0)


def sealed_run(entry: dict[str, Any], run: dict[str, Any]) -> dict[str, Any]:
    """What a run's file holds, with other content and the checksum of that."""
    text = json.dumps(run, sort_keys=True)
    return entry | {"sha256": hashlib.sha256(text.encode()).hexdigest(), "run": text}


FAULTS = (two_in_one_folder, stale_lock, past_limit, another_version)
