"""Runs per hour in a sweep of short runs, against a bare shell loop over the same binary."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import bioFA
from benchmarks.race import THREADS, Say
from bioFA.consumers.brian.run import Compiled
from bioFA.instance import draw


class Kept(Compiled):
    """A compiled run that keeps the folder and the arguments of its last call, so that a shell can repeat it."""

    def keep(self, folder: Path) -> None:
        """Where to keep them."""
        self.kept = folder

    def _call(self, folder: Path, arguments: list[str]) -> Iterator[None]:
        shutil.copytree(folder, self.kept)
        plan = self.kept / "plan.txt"
        plan.write_text(plan.read_text().replace(str(folder), str(self.kept)))
        self.repeated = [argument.replace(str(folder), str(self.kept)) for argument in arguments]
        return super()._call(folder, arguments)


def sweep(runs: int, repeats: int, say: Say) -> list[dict[str, Any]]:
    """`linear`, seed after seed: in one Python process, with one segment a run and with the model's own 20,
    and in a shell loop."""
    kinds = {
        "bioFA, one segment": lambda: _in_python(runs, {"protocol.snapshots": 1}),
        "bioFA, as the model is (20 snapshots)": lambda: _in_python(runs, {}),
        "shell loop over the binary": lambda: _in_a_shell(runs),
    }
    rows: list[dict[str, Any]] = [{"name": name, "runs": runs, "seconds": []} for name in kinds]
    _in_python(1, {})
    for _ in range(repeats):
        for row, work in zip(rows, kinds.values(), strict=True):
            row["seconds"].append(work())
            say(f"sweep: {row['name']}, {runs} runs in {row['seconds'][-1]:.1f} s")
    bare = median(rows[-1]["seconds"])
    for row in rows:
        row["median_s"] = median(row["seconds"])
        row |= {"runs_per_hour": 3600 * runs / row["median_s"], "overhead_ms": 1e3 * (row["median_s"] - bare) / runs}
    return rows


def _in_python(runs: int, changes: dict[str, Any]) -> float:
    began = time.perf_counter()
    for seed in range(runs):
        bioFA.simulate(bioFA.load("linear", changes), seed=seed)
    return time.perf_counter() - began


def _in_a_shell(runs: int) -> float:
    """The binary alone: the same 2,000 presentations, its files prepared beforehand, nothing drawn, checked,
    or read back."""
    with tempfile.TemporaryDirectory(prefix="biofa-shell-") as scratch:
        instance = draw(bioFA.load("linear"), 1)
        runner = Kept(instance)
        runner.keep(Path(scratch) / "kept")
        runner.segment(instance.state, instance.training(0, instance.presentations()), learning=True)
        command = shlex.join([str(runner.binary.folder / "main"), "--results_dir", f"{runner.kept}/", *runner.repeated])
        script = (
            f"cd {shlex.quote(str(runner.binary.folder))}; for run in $(seq {runs}); do {command} > /dev/null || exit"
            " 1; done"
        )
        began = time.perf_counter()
        subprocess.run(["sh", "-c", script], check=True, env=os.environ | THREADS)
        return time.perf_counter() - began
