"""Learning kernels beside those of another build: `python -m benchmarks.kernels OTHER_CHECKOUT OTHER_PYTHON`.

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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks import cases
from benchmarks.case import Array, Case
from benchmarks.race import ROOT, THREADS
from benchmarks.watch import watched

TICK = os.sysconf("SC_CLK_TCK")


def moved(images: Array) -> Array:
    """Each image moved by one pixel, in one of the eight directions, in turns."""
    ways = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1) if (down, right) != (0, 0)]
    square = images.reshape(-1, 28, 28)
    return np.array([np.roll(image, ways[k % 8], (0, 1)) for k, image in enumerate(square)]).reshape(len(images), -1)


@dataclass(frozen=True)
class Work:
    """What both builds run: a case of the peers, or a built-in model; `changes` of the environment belong to it."""

    case: Case | None
    model: str = ""
    changes: Mapping[str, str] = field(default_factory=dict)
    short: int = 1000
    long: int = 9000
    timed: bool = True


def of_all(rows: int = 2000) -> dict[str, Work]:
    """Everything that can be measured, by name."""
    mnist = cases.logistic(1000, rows)
    full = np.random.default_rng(1).uniform(0.01, 1.0, mnist.inputs.shape)
    rectified = replace(cases.logistic(2000, rows), name="784-2000-10 rectified", activation="rectified", rate=1e-3)
    return {
        "mnist": Work(mnist),
        "no zeros": Work(replace(mnist, inputs=full, data="no zeros", rate=1e-4)),
        "portable": Work(mnist, changes={"BIOFA_PORTABLE": "1"}),
        "rectified": Work(replace(rectified, inputs=moved(rectified.inputs), data="MNIST, moved by a pixel")),
        "events": Work(cases.spikes(), short=100, long=1100),
        "linear": Work(cases.linear(), timed=False),
        "minibatch": Work(
            replace(mnist, name=f"{mnist.name}, batches of 64", rate=1e-3, batch=64), short=960, long=8960, timed=False
        ),
        "mnist_spiking": Work(None, "mnist_spiking", short=500, long=4500),
        "digits_spiking": Work(None, "digits_spiking", short=100, long=900),
    }


class Build:
    """The peer of one build, on one case."""

    def __init__(self, checkout: Path, python: str, folder: Path, precision: str, work: Work):
        self.work = work
        environment = os.environ | THREADS | {"PYTHONPATH": str(checkout), **work.changes}
        folder.mkdir(exist_ok=True)
        command = [python, "-m", "benchmarks.peers.biofa", str(folder), precision]
        if work.case is None:
            command = [python, "-P", str(ROOT / "benchmarks" / "built_in.py"), work.model, precision]
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

    def run(self, presentations: int) -> tuple[float, Array | None]:
        """Seconds of processor time, and the first matrix of a case at the end."""
        assert self.process.stdin is not None
        before = spent(self.process.pid)
        print(presentations, file=self.process.stdin, flush=True)
        answer = self.answer()
        seconds = spent(self.process.pid) - before
        if "weights" not in answer:
            return seconds, None
        with np.load(answer["weights"]) as weights:
            return seconds, weights["w0"].astype(float)

    def sample(self) -> float:
        """Microseconds a presentation."""
        short, long = self.work.short, self.work.long
        less = self.run(short)[0]
        return 1e6 * (self.run(long)[0] - less) / (long - short)

    def peak(self) -> int:
        """The largest memory of the compiled programs of a long run, without Python, in kB."""
        with watched(self.process.pid) as peaks:
            self.run(self.work.long)
        return peaks["programs"]

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


def measure(builds: Sequence[Build], rounds: int) -> list[float]:
    """Medians of the samples of builds in turns."""
    samples = [[build.sample() for build in builds] for _ in range(rounds)]
    return [median(found) for found in zip(*samples, strict=True)]


def main() -> None:
    """Measure and print a table."""
    works = of_all()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("python")
    parser.add_argument("--only", nargs="*", metavar="NAME", help=f"of: {', '.join(works)}")
    parser.add_argument("--precision", nargs="*", default=["float32", "float64"])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument(
        "--memory",
        action="store_true",
        help="only the peak memory of the compiled programs, also of linear and minibatch, which are timed elsewhere",
    )
    given = parser.parse_args()
    if unknown := sorted({*(given.only or ())} - {*works}):
        parser.error(f"unknown: {', '.join(unknown)}. Known: {', '.join(works)}")
    head = ["case", "precision", "other build (kB)", "this build (kB)", "memory, ratio"]
    if not given.memory:
        head += ["other build (us)", "this build (us)", "ratio", "difference of weights"]
    print(f"| {' | '.join(head)} |\n|---|---|{'---:|' * (len(head) - 2)}", flush=True)
    with tempfile.TemporaryDirectory(prefix="biofa-kernels-") as scratch:
        for name, work in works.items():
            if name not in (given.only or works) or not (work.timed or given.memory):
                continue
            folder = Path(scratch) / name.replace(" ", "-")
            if work.case is not None:
                work.case.write(folder)
            for precision in given.precision:
                cells = row(folder, given.checkout, given.python, precision, work, 0 if given.memory else given.rounds)
                print(f"| {' | '.join([name, precision, *cells])} |", flush=True)


def row(folder: Path, checkout: Path, python: str, precision: str, work: Work, rounds: int) -> list[str]:
    """What is found of one case in one precision, the memory alone where there are no rounds."""
    theirs, elsewhere = work, folder
    if work.case is not None and work.case.batch > 1:  # a build that knows no batches learns one after the other
        online, elsewhere = replace(work.case, batch=1), folder.with_name(f"{folder.name}-online")
        online.write(elsewhere)
        theirs = replace(work, case=online)
    both = [
        Build(checkout, python, elsewhere, precision, theirs),
        Build(ROOT, sys.executable, folder, precision, work),
    ]
    first, second = (build.run(work.short)[1] for build in both)
    before, now = (build.peak() for build in both)
    cells = [str(before), str(now), f"{now / before:.3f}"]
    if rounds:
        old, new = measure(both, rounds)
        gap = "" if first is None or second is None else f"{np.abs(second - first).max() / np.abs(first).max():.1e}"
        cells += [f"{old:.1f}", f"{new:.1f}", f"{new / old:.2f}", gap]
    for build in both:
        build.stop()
    return cells


if __name__ == "__main__":
    main()
