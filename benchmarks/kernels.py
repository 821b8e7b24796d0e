"""Online learning of large layers beside another build: `python -m benchmarks.kernels OTHER_CHECKOUT OTHER_PYTHON`.

Peers of both builds run the same case in turns. What counts is processor time, of the peer and all that it starts: a
long run less a short one, over the difference of their presentations, so that a machine with other work can be used.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks import cases
from benchmarks.case import Array, Case
from benchmarks.race import ROOT, THREADS
from benchmarks.watch import watched

SHORT, LONG = 1000, 9000
TICK = os.sysconf("SC_CLK_TCK")


def moved(images: Array) -> Array:
    """Each image moved by one pixel, in one of the eight directions, in turns."""
    ways = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1) if (down, right) != (0, 0)]
    square = images.reshape(-1, 28, 28)
    return np.array([np.roll(image, ways[k % 8], (0, 1)) for k, image in enumerate(square)]).reshape(len(images), -1)


def of_all(rows: int = 2000) -> dict[str, tuple[Case, dict[str, str]]]:
    """By name, each case, and the changes of the environment that belong to it."""
    mnist = cases.logistic(1000, rows)
    full = np.random.default_rng(1).uniform(0.01, 1.0, mnist.inputs.shape)
    rectified = replace(cases.logistic(2000, rows), name="784-2000-10 rectified", activation="rectified", rate=1e-3)
    return {
        "mnist": (mnist, {}),
        "no zeros": (replace(mnist, inputs=full, data="no zeros", rate=1e-4), {}),
        "portable": (mnist, {"BIOFA_PORTABLE": "1"}),
        "rectified": (replace(rectified, inputs=moved(rectified.inputs), data="MNIST, moved by a pixel"), {}),
    }


class Build:
    """The peer of one build, on one case."""

    def __init__(self, checkout: Path, python: str, folder: Path, precision: str, changes: dict[str, str]):
        environment = os.environ | THREADS | {"PYTHONPATH": str(checkout)} | changes
        command = [python, "-m", "benchmarks.peers.biofa", str(folder), precision]
        self.process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.answer()

    def answer(self) -> dict[str, str]:
        """The peer's next line."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            sys.exit("A build failed; what it complained of stands above.")
        found: dict[str, str] = json.loads(line)
        return found

    def run(self, presentations: int) -> tuple[float, Array]:
        """Seconds of processor time, and the first matrix at the end."""
        assert self.process.stdin is not None
        before = spent(self.process.pid)
        print(presentations, file=self.process.stdin, flush=True)
        answer = self.answer()
        seconds = spent(self.process.pid) - before
        with np.load(answer["weights"]) as weights:
            return seconds, weights["w0"].astype(float)

    def sample(self) -> float:
        """Microseconds a presentation."""
        short = self.run(SHORT)[0]
        return 1e6 * (self.run(LONG)[0] - short) / (LONG - SHORT)

    def peak(self) -> int:
        """The largest memory of a long run, in kB, the peer's and its programs'."""
        with watched(self.process.pid) as peaks:
            self.run(LONG)
        return peaks["own"] + peaks["programs"]

    def stop(self) -> None:
        """End the peer."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def spent(process: int) -> float:
    """Processor time of a process, in seconds, with that of its children, ended and running."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    own = sum(map(int, fields[11:15])) / TICK
    children = Path(f"/proc/{process}/task/{process}/children")
    return own + sum(spent(int(child)) for child in children.read_text().split())


def measure(builds: Iterable[Build], rounds: int) -> tuple[list[float], list[float]]:
    """Medians of the samples of builds in turns, and their memory."""
    builds = list(builds)
    samples: list[list[float]] = [[] for _ in builds]
    for _ in range(rounds):
        for build, found in zip(builds, samples, strict=True):
            found.append(build.sample())
    return [median(found) for found in samples], [build.peak() for build in builds]


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("python")
    parser.add_argument("--only", nargs="*", help="of: mnist, no zeros, portable, rectified")
    parser.add_argument("--precision", nargs="*", default=["float32", "float64"])
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    print("| case | precision | other build (us) | this build (us) | ratio | memory, ratio | difference of weights |")
    print("|---|---|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory(prefix="biofa-kernels-") as scratch:
        for name, (case, changes) in of_all().items():
            if given.only and name not in given.only:
                continue
            folder = Path(scratch) / name.replace(" ", "-")
            case.write(folder)
            for precision in given.precision:
                both = [
                    Build(checkout, python, folder, precision, changes)
                    for checkout, python in ((given.checkout, given.python), (ROOT, sys.executable))
                ]
                first, second = (build.run(SHORT)[1] for build in both)
                gap = np.abs(second - first).max() / np.abs(first).max()
                (old, new), (before, now) = measure(both, given.rounds)
                print(
                    f"| {name} | {precision} | {old:.1f} | {new:.1f} | {new / old:.2f} | {now / before:.3f} |"
                    f" {gap:.1e} |"
                )
                sys.stdout.flush()
                for build in both:
                    build.stop()


if __name__ == "__main__":
    main()
