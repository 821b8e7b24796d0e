"""Cold builds, from starting Python to a binary that could run, and warm runs of the whole command."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import cases
from benchmarks.race import ROOT, THREADS, Absent, Say, start
from benchmarks.variants import BLOCKED, DENSE, STOCK

WARM = (
    (),
    ("--seed", "2"),
    ("--set", "circuit.schemes.fa.rule.learning_rate=0.006"),
    ("--set", "protocol.epochs=2"),
    ("--set", "task.examples=1000"),
)
"""Changes between warm runs; none of them may compile."""


def cold(repeats: int, say: Say) -> list[dict[str, Any]]:
    """Seconds from nothing (an empty compile cache) to ready, in turns; and of processor time, compilers included."""
    case = cases.logistic(rows=100)
    rows: list[dict[str, Any]] = [
        {"case": case.name, "name": variant.name, "seconds": [], "cpu": [], "reason": ""}
        for variant in (BLOCKED, DENSE, STOCK)
    ]
    for repeat in range(repeats):
        for row, variant in zip(rows, (BLOCKED, DENSE, STOCK), strict=True):
            with tempfile.TemporaryDirectory(prefix="biofa-cold-") as scratch:
                folder = Path(scratch) / "case"
                case.write(folder)
                began, before = time.perf_counter(), _cpu_of_children()
                try:
                    contestant = start(variant, case, folder, changes={"BIOFA_CACHE": f"{scratch}/cache"})
                except Absent as reason:
                    row["reason"] = str(reason)
                    continue
                row["seconds"].append(time.perf_counter() - began)
                contestant.stop()
                row["cpu"].append(_cpu_of_children() - before)
            say(f"cold build {repeat + 1} of {repeats}: {variant.name} took {row['seconds'][-1]:.1f} s")
    return _with_medians(rows)


def warm(repeats: int, say: Say) -> list[dict[str, Any]]:
    """Seconds of `biofa run linear --json` as a whole process, with something changed every time,
    and whether it was cached."""
    row: dict[str, Any] = {
        "case": "biofa run linear --json",
        "name": "bioFA",
        "seconds": [],
        "cached": [],
        "reason": "",
    }
    with tempfile.TemporaryDirectory(prefix="biofa-warm-") as scratch:
        for number in range(1 + max(repeats, len(WARM))):
            change = WARM[(number - 1) % len(WARM)] if number else ()
            command = [
                sys.executable,
                "-c",
                "from bioFA.cli import main; main()",
                "run",
                "linear",
                "--json",
                "--out",
                f"{scratch}/{number}",
                *change,
            ]
            began = time.perf_counter()
            done = subprocess.run(
                command,
                cwd=scratch,
                capture_output=True,
                text=True,
                env=os.environ | THREADS | {"PYTHONPATH": str(ROOT)},
            )
            spent = time.perf_counter() - began
            if done.returncode != 0:
                row["reason"] = (done.stderr.strip().splitlines() or ["failed"])[-1]
                break
            if number:  # the first one fills the cache
                row["seconds"].append(spent)
                row["cached"].append(json.loads(done.stdout)["timing"]["cached"])
    say(f"warm runs took {', '.join(f'{one:.2f}' for one in row['seconds'])} s")
    return _with_medians([row])


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _with_medians(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for row in rows:
        if row["seconds"]:
            row["median_s"] = median(row["seconds"])
    return rows
