"""Faults of comparisons, and of processes that meet: F8, F15, F16, F20 and F24."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

from bioFA.comparisons import sweep
from bioFA.comparisons.compare import tidy
from bioFA.runs import checkpoint
from bioFA.runs.result import RESULT
from bioFA.selftest.bench import (
    COMPARED,
    Bench,
    Running,
    dies_after,
    gone,
    lost,
    outcomes,
    processes_of,
    stands_still,
    waited,
    without_report,
)
from bioFA.selftest.fault import fault
from bioFA.selftest.oracle import Outcome, Trial, complaint, digest
from bioFA.system.locks import hold


@fault("F8", "SIGKILL of the driver of a comparison", "at a random moment", chance=True)
def killed_driver(bench: Bench, trial: int) -> Trial:
    """SIGKILL of the driver at a random moment, two runs at once; its runs must end by themselves,
    and what was finished must stay."""
    bench.compared()
    place = bench.fresh()
    running = bench.compare(place, "-j", "2")
    waited(lambda: (place / sweep.TABLE).exists() or running.poll() is not None)
    time.sleep(bench.random.uniform(0.0, 3.0))
    running.kill()
    if not gone(place):
        return Trial(Outcome.UNCLEAR, f"its runs go on: {processes_of(place)}")
    return bench.comparison_recovered(place, outcomes(place))


@fault("F15", "two processes in one folder", "two runs", "two go on with one run", "two comparisons", chance=True)
def two_in_one_folder(bench: Bench, trial: int) -> Trial:
    """Two runs with different seeds, two that go on with one run, or two comparisons,
    begun within a quarter of a second of each other in one folder."""
    which = trial % 3
    place = bench.stopped(bench.random.randrange(1, 8)) if which == 1 else bench.fresh()
    begun: list[Running] = []
    for seed in (3, 4):
        begun.append(
            bench.run(place, seed) if which == 0 else bench.resume(place) if which == 1 else bench.compare(place)
        )
        time.sleep(bench.random.uniform(0.0, 0.25))
    ended = [one.wait() for one in begun]
    codes = [one.code for one in ended]
    for one in ended:
        if one.code != 0 and (wrong := complaint(one)):
            return Trial(Outcome.UNCLEAR, wrong)
    if codes.count(0) == 0 or (which != 2 and codes.count(0) != 1):
        return Trial(Outcome.UNCLEAR, f"exit codes {codes}: {[one.last for one in ended]}")
    if which == 2:
        return bench.comparison_recovered(
            place, outcomes(place), "one was refused" if any(codes) else "one after the other"
        )
    expected = bench.expected if which == 1 else (bench.expected, bench.other)[codes.index(0)]
    if digest(place / RESULT) != expected:
        return Trial(Outcome.SILENT, "the result is of neither, or of the one that was refused")
    return Trial(Outcome.REFUSED, next(one.last for one in ended if one.code), True if which == 1 else None)


@fault(
    "F16",
    "a lock that a lost process holds",
    "of a run",
    "of a comparison",
    "of a build",
    "of a run, whose process wakes again",
    "left in a file only",
)
def stale_lock(bench: Bench, trial: int) -> Trial:
    """A process that holds a lock and does not move (SIGSTOP), as one of a machine that is gone; then --force.
    A lock's file of another machine that nobody holds."""
    which = trial % 5
    if which == 4:
        place = bench.stopped(3)
        (place / checkpoint.FOLDER / checkpoint.LOCK).write_text(
            json.dumps({"pid": 1, "host": "gone", "since": "2020-01-01T00:00:00+00:00"})
        )
        return bench.recovered(place, "nobody holds it")
    if which == 2:
        return _lost_builder(bench)
    if which == 1:
        bench.compared()
        place = bench.copy_of_comparison()
        name = sorted(outcomes(place))[0]
        shutil.rmtree(place / "runs" / name)
        (place / "table.csv").unlink()
        lost_one = bench.fork(lambda: _hold_for_ever(place / sweep.LOCK))
        waited(lambda: hold(place / sweep.LOCK, wait=False) is None)
    else:
        place = bench.fresh()
        lost_one = bench.run(place, prepare=[lambda: dies_after(3, signal.SIGSTOP)])
        waited(lambda: stands_still(lost_one.pid) or lost_one.poll() is not None)
    before = outcomes(place)
    try:
        refused = bench.resume(place).wait()
        wrong = complaint(refused)
        if wrong or f"process {lost_one.pid} on" not in refused.err or "--force" not in refused.err:
            return Trial(Outcome.UNCLEAR, f"it does not tell who holds the lock: {refused.last}; {wrong}")
        forced = bench.resume(place, "--force").wait()
        if forced.code != 0:
            return Trial(Outcome.UNCLEAR, f"--force: {forced.last}")
        if which == 1:
            return bench.comparison_recovered(place, before, refused.last)
        if digest(place / RESULT) != bench.expected:
            return Trial(Outcome.SILENT, "what was taken over has other numbers")
        if which == 3:
            lost_one.send(signal.SIGCONT)
            ended = lost_one.wait()
            if wrong := complaint(ended):
                return Trial(Outcome.UNCLEAR, f"the process that woke: {wrong}")
            if digest(place / RESULT) != bench.expected or (place / checkpoint.FOLDER).exists():
                return Trial(Outcome.SILENT, "the process that woke wrote into what had been taken over")
        return Trial(Outcome.REFUSED, refused.last, True)
    finally:
        lost_one.send(signal.SIGCONT)
        lost_one.kill()


def _hold_for_ever(path: Path) -> int:
    with hold(path) or open(os.devnull):
        time.sleep(600)
    return 0


def _lost_builder(bench: Bench) -> Trial:
    """Of a build: whoever waits for it is told after a while,
    and the same command succeeds once the lock is given back."""
    cache, place = bench.fresh(), bench.fresh()
    cache.mkdir()
    (entry,) = (path.parent for path in bench.cache.glob("*/entry.json"))
    lost_one = bench.fork(lambda: _hold_for_ever(cache / f"{entry.name}.lock"))
    waited(lambda: (cache / f"{entry.name}.lock").exists())
    time.sleep(0.1)
    try:
        ended = bench.run(place, environment={"BIOFA_CACHE": str(cache), "BIOFA_COMPILE_LIMIT": "0.5"}).wait()
        wrong = complaint(ended)
        if wrong or f"process {lost_one.pid} on" not in ended.err:
            return Trial(Outcome.UNCLEAR, f"it does not tell who holds the lock: {ended.last}; {wrong}")
    finally:
        lost_one.kill()
    return bench.recovered(place, ended.last)


LONG = (
    "linear",
    "--schemes",
    "fa",
    "--seeds",
    "1",
    "--set",
    "protocol.epochs=40",
    "--set",
    "task.test_examples=20",
    "--backend",
    "numpy",
    "--json",
)
"""A comparison of one run that takes many seconds."""


@fault("F20", "a run passes its limit of time or memory", "time", "memory", "killed by the system")
def past_limit(bench: Bench, trial: int) -> Trial:
    """--time-limit of one second, --memory-limit below what bioFA takes,
    SIGKILL of a run of a comparison as by a system whose memory is full."""
    which = trial % 3
    place = bench.fresh()
    words: tuple[str, ...]
    if which == 0:
        words, state = (*LONG, "--time-limit", "1"), "timeout"
    elif which == 1:
        words, state = (*COMPARED, "--memory-limit", "40"), "oom"
    else:
        words, state = COMPARED, "oom"
    running = bench.biofa("compare", *words, "--out", str(place), prepare=[without_report])
    if which == 2:
        waited(lambda: _runs(place) or running.poll() is not None)
        for pid in _runs(place):
            os.kill(pid, signal.SIGKILL)
    ended = running.wait()
    if wrong := complaint(ended):
        return Trial(Outcome.UNCLEAR, wrong)
    states = list(tidy(sweep.read(place))["status"])
    if states.count(state) != (len(states) if which < 2 else 1):
        return Trial(Outcome.UNCLEAR, f"states {states}: {ended.last}")
    before = outcomes(place)
    again = bench.resume(place).wait()
    finished = list(tidy(sweep.read(place))["status"]).count("finished")
    if again.code != 0 or finished != len(states):
        return Trial(Outcome.UNCLEAR, f"without the limit: {again.last}")
    if which == 0:
        return Trial(Outcome.REFUSED, ended.last)
    return bench.comparison_recovered(place, before, ended.last)


def _runs(place: Path) -> list[int]:
    """Processes of a comparison's runs."""
    found = []
    for pid in processes_of(place):
        try:
            if b"bioFA.comparisons.sweep" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
        except OSError:
            continue
    return found


@fault(
    "F24",
    "a worker of another version than the table",
    "bioFA",
    "NumPy",
    "bioFA, with --allow-mixed",
    "a run's checkpoints",
)
def another_version(bench: Bench, trial: int) -> Trial:
    """A comparison, or the checkpoints of a run, that another version of bioFA or NumPy began."""
    which = trial % 4
    if which == 3:
        place = bench.stopped(4)
        path = place / checkpoint.FOLDER / checkpoint.RUN
        entry = json.loads(path.read_text())
        run = json.loads(entry["run"])
        path.write_text(json.dumps(sealed_run(entry, run | {"versions": run["versions"] | {"bioFA": "0.0.1"}})))
        ended = bench.resume(place).wait()
        wrong = complaint(ended)
        if wrong or "0.0.1" not in ended.err:
            return Trial(Outcome.UNCLEAR, f"{wrong}; {ended.last}")
        path.write_text(json.dumps(sealed_run(entry, run)))
        return bench.recovered(place, ended.last)
    place = bench.copy_of_comparison()
    name = sorted(outcomes(place))[0]
    shutil.rmtree(place / "runs" / name)
    before = outcomes(place)
    package = ["bioFA", "numpy", "bioFA"][which]
    path = place / sweep.TABLE
    entry = json.loads(path.read_text())
    path.write_text(json.dumps(entry | {"versions": entry["versions"] | {package: "0.0.1"}}))
    ended = bench.resume(place).wait()
    wrong = complaint(ended)
    if wrong or "0.0.1" not in ended.err or "--allow-mixed" not in ended.err or outcomes(place) != before:
        return Trial(Outcome.UNCLEAR, f"{wrong}; {ended.last}")
    if which != 2:
        path.write_text(json.dumps(entry))
        return bench.comparison_recovered(place, before, ended.last)
    mixed = bench.resume(place, "--allow-mixed").wait()
    if mixed.code != 0 or lost(before, place) or len(outcomes(place)) != len(before) + 1:
        return Trial(Outcome.UNCLEAR, f"--allow-mixed: {mixed.last}")
    return Trial(Outcome.REFUSED, ended.last, None, len(before), 0)


def sealed_run(entry: dict[str, Any], run: dict[str, Any]) -> dict[str, Any]:
    """What a run's file holds, with other content and the checksum of that."""
    text = json.dumps(run, sort_keys=True)
    return entry | {"sha256": hashlib.sha256(text.encode()).hexdigest(), "run": text}


FAULTS = (killed_driver, two_in_one_folder, stale_lock, past_limit, another_version)
