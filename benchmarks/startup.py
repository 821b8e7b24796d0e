"""Whole commands beside those of another build: `python -m benchmarks.startup FOLDER`, that of its `biofa` and Python.

In turns, each build in its own environment, with a warm compile cache: `biofa run linear --json`, a comparison of
`linear`, and runs of `linear` one after another in one Python. Times are of the processor (user and system, everything
that was started) and of the clock; a ratio is the median over rounds of this build's time to the other's.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

SWEEP = "import bioFA\nfor seed in range({runs}): bioFA.simulate(bioFA.load('linear'), seed=seed)"


def commands(folder: Path, seeds: int, runs: int) -> dict[str, list[str]]:
    """The commands that are timed, by name, of the build whose programs are in a folder."""
    compared = ["linear", "--schemes", "fa,bp", "--seeds", str(seeds), "-j", "2"]
    return {
        "run": [str(folder / "biofa"), "run", "linear", "--json", "--out", "OUT"],
        "compare": [str(folder / "biofa"), "compare", *compared, "--json", "--out", "OUT"],
        "sweep": [str(folder / "python"), "-c", SWEEP.format(runs=runs)],
    }


def measure(command: list[str]) -> tuple[float, float]:
    """Seconds of the processor and of the clock that a command takes."""
    with tempfile.TemporaryDirectory(prefix="biofa-startup-") as scratch:
        words = [word.replace("OUT", f"{scratch}/out") for word in command]
        before, began = _used(), time.perf_counter()
        subprocess.run(words, cwd=scratch, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return _used() - before, time.perf_counter() - began


def _used() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Time what is asked for, and print a line for each command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("other", type=Path, help="the folder of the other build's biofa and python")
    parser.add_argument("--only", choices=["run", "compare", "sweep"], action="append")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--seeds", type=int, default=50, help="of the comparison")
    parser.add_argument("--runs", type=int, default=50, help="of the sweep")
    given = parser.parse_args()
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else modules are compiled from their text in every command
    ours = commands(Path(sys.executable).parent, given.seeds, given.runs)
    theirs = commands(given.other.absolute(), given.seeds, given.runs)
    for name in given.only or ours:
        rounds = [(measure(theirs[name]), measure(ours[name])) for _ in range(given.repeats + 1)][1:]
        for number, kind in enumerate(("processor", "clock")):
            other, this = (median(one[side][number] for one in rounds) for side in (0, 1))
            ratio = median(new[number] / old[number] for old, new in rounds)
            print(f"{name:8} {kind:10} {other:8.3f} s other {this:8.3f} s this   ratio {ratio:.3f}", flush=True)


if __name__ == "__main__":
    main()
