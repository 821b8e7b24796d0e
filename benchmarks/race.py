"""Contestants in a race: started, held to the NumPy reference, then timed in turns (A B C A B C ...)."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.case import Array, Case
from benchmarks.watch import watched

ROOT = Path(__file__).resolve().parent.parent
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1")
TOLERANCE = {"float64": 1e-10, "float32": 1e-4}
"""Largest difference of a weight from the reference, over the largest weight of its matrix, for a peer to be timed."""
MOST = 5_000_000
LONGER = 3
"""So many times a sample is made four times as long where the longer run was not the slower one; then it is refused."""
MISLEADING = ("OPENBLAS_CORETYPE", "ATEN_CPU_CAPABILITY", "MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS")
"""Variables by which a machine may choose the kernels of a peer's libraries; peers are started without them."""
Say = Callable[[str], None]


@dataclass(frozen=True)
class Variant:
    """A peer in one configuration; `packages` are installed into an environment of its own, named after the module.

    `checkout` is the folder of another build of bioFA whose peer it is, which runs with the Python in its `.venv`, or
    else with this one.
    """

    name: str
    module: str
    precision: str = "float64"
    options: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    quick: bool = True
    checkout: str = ""

    @property
    def environment(self) -> str:
        """The folder of its environment, which the peer of the same package on the spiking case shares."""
        return self.module.removesuffix("_events")


class Absent(Exception):
    """A peer that cannot take part, and why."""


class Unmeasured(Exception):
    """A sample that no length made one, and why."""


@dataclass
class Contestant:
    """A running peer, and what is known of it."""

    variant: Variant
    case: Case
    process: subprocess.Popen[str]
    errors: Any
    row: dict[str, Any] = field(default_factory=dict)

    def run(self, presentations: int) -> tuple[float, Array, Array]:
        """Seconds and final weights of one run from the initial weights."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{presentations}\n")
        self.process.stdin.flush()
        answer = self.answer()
        with np.load(answer["weights"]) as weights:
            return answer["seconds"], weights["w0"].astype(float), weights["w1"].astype(float)

    def answer(self) -> dict[str, Any]:
        """The peer's next line."""
        assert self.process.stdout is not None
        # a package may greet on being imported
        line = next((line for line in self.process.stdout if line.startswith("{")), "")
        if not line:
            self.process.wait()
            self.errors.seek(0)
            words = self.errors.read().strip().splitlines() or [f"exit code {self.process.returncode}"]
            raise Absent(words[-1])
        found: dict[str, Any] = json.loads(line)
        return found

    def stop(self) -> None:
        """End the peer, which removes its files."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.process.wait()
        self.errors.close()


def python_of(variant: Variant, environments: Path | None) -> str:
    """The interpreter of a peer; its environment is made where it is wanted and not there yet."""
    if variant.checkout:
        own = Path(variant.checkout) / ".venv" / "bin" / "python"
        return str(own) if own.exists() else sys.executable
    if not variant.packages:
        return sys.executable
    if environments is None:
        raise Absent(f"needs {' '.join(variant.packages)} in an environment of its own: give --environments DIR")
    folder = environments.resolve() / variant.environment
    python = folder / "bin" / "python"
    if not (folder / "ready").is_file():
        for command in (
            [sys.executable, "-m", "venv", str(folder)],
            [str(python), "-m", "pip", "install", "--quiet", *variant.packages],
        ):
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode != 0:
                raise Absent(f"could not be installed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
        (folder / "ready").write_text(" ".join(variant.packages) + "\n")
    return str(python)


def start(
    variant: Variant, case: Case, folder: Path, environments: Path | None = None, changes: dict[str, str] | None = None
) -> Contestant:
    """Start a peer on the case that lies in `folder`, and wait until it is ready.

    Raises:
        Absent: if its environment or one of its packages is missing, or it failed.
    """
    python = python_of(variant, environments)
    home = variant.checkout or str(ROOT)
    environment = os.environ | THREADS | {"PYTHONPATH": home} | (changes or {})
    environment = {name: value for name, value in environment.items() if name not in MISLEADING}
    command = [python, "-m", f"benchmarks.peers.{variant.module}", str(folder), variant.precision, *variant.options]
    errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  (lives as long as the process)
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
    )
    contestant = Contestant(variant, case, process, errors, blank(variant, case))
    try:
        contestant.row |= contestant.answer()
    except Absent:
        contestant.stop()
        raise
    return contestant


def blank(variant: Variant, case: Case) -> dict[str, Any]:
    """The row of a peer of which nothing is known yet."""
    return {
        "case": case.name,
        "name": variant.name,
        "precision": variant.precision,
        "status": "missing",
        "reason": "",
        "data": case.data,
        "synapses": case.synapses,
        "ns": [],
    }


def difference(found: Sequence[Array], expected: Sequence[Array]) -> float:
    """Largest difference of a weight over the largest weight of its matrix; infinite where one is not finite."""
    gaps = [float(np.abs(f - e).max() / np.abs(e).max()) for f, e in zip(found, expected, strict=True)]
    worst = max(gaps)
    return worst if np.isfinite(gaps).all() else float("inf")


def hold(contestant: Contestant, expected: Sequence[Array], presentations: int) -> bool:
    """Compare a peer's weights with the reference's, and note whether it may be timed."""
    row, precision = contestant.row, contestant.variant.precision
    _, *weights = contestant.run(presentations)
    row["difference"] = difference(weights, expected)
    row["checked"] = presentations
    agrees = row["difference"] <= TOLERANCE[precision]
    row["status"] = "agrees" if agrees else "disagrees"
    row["reason"] = (
        ""
        if agrees
        else (
            f"differs from the reference by {row['difference']:.1e} (tolerance {TOLERANCE[precision]:g}), so it is not"
            " timed"
        )
    )
    return agrees


def calibrate(contestant: Contestant, seconds: float) -> None:
    """Choose a short and a long run whose difference lasts about `seconds`,
    and see how much memory the long one takes."""
    few, many = 10, 30

    def fastest(presentations: int) -> float:
        return min(contestant.run(presentations)[0] for _ in range(2))

    first = fastest(few)
    while (spent := fastest(many) - first) < max(seconds / 4, first) and many < MOST:
        many *= 4
    each = max(spent / (many - few), 1e-9)
    # longer than the start-up whose noise is to cancel out
    long = int(min(max(max(seconds, 2 * first) / each, 50), MOST))
    contestant.row["short"], contestant.row["long"] = max(long // 10, 1), long
    with watched(contestant.process.pid) as peaks:
        contestant.run(long)
    contestant.row |= {"peak_kb": peaks["own"], "program_kb": peaks["programs"]}


def time_once(contestant: Contestant) -> None:
    """One sample: a long run less a short one, in ns a presentation.

    Where the long run does not last longer, other work has disturbed it, and it is made longer from now on.

    Raises:
        Unmeasured: where the longest did not, either.
    """
    row = contestant.row
    for longer in range(LONGER + 1):
        if longer:
            row["long"] = min(4 * row["long"], MOST)
        short, long = contestant.run(row["short"])[0], contestant.run(row["long"])[0]
        if long > short:
            row["ns"].append(1e9 * (long - short) / (row["long"] - row["short"]))
            return
    raise Unmeasured(
        f"{row['long']} presentations took {long:.3g} s and {row['short']} took {short:.3g} s, so that there is no cost"
        " of one"
    )


def race(
    variants: Sequence[Variant],
    cases: Sequence[Case],
    repeats: int,
    seconds: float,
    check: int,
    environments: Path | None,
    say: Say,
) -> list[dict[str, Any]]:
    """Every variant on every case: prepare, check, then time in turns.

    Args:
        variants: who takes part.
        cases: on what.
        repeats: samples of each.
        seconds: how long a sample lasts, about.
        check: presentations that are compared with the reference first.
        environments: folder of the peers' environments; those that need one are missing where None.
        say: is told about progress.

    Returns:
        A row for each variant and case, with `ns` a presentation and its median; raw values are kept.
    """
    from benchmarks.peers.biofa import PATHWAYS, experiment
    from bioFA.consumers.reference import Reference
    from bioFA.instance import draw

    with tempfile.TemporaryDirectory(prefix="biofa-race-") as scratch:
        folders = [Path(scratch) / str(number) for number in range(len(cases))]
        rows, ready, expected = [], [], []
        for case, folder in zip(cases, folders, strict=True):
            case.write(folder)
            instance = draw(experiment(case, folder / "data.npz"), 1)
            state = {**instance.state, **{there: getattr(case, here) for here, there in PATHWAYS.items()}}
            final = Reference(instance).segment(state, instance.training(0, check), learning=True, every=MOST).state
            expected.append((final[PATHWAYS["w0"]], final[PATHWAYS["w1"]]))

        def prepare(entry: tuple[int, Variant]) -> Contestant | dict[str, Any]:
            number, variant = entry
            began = time.perf_counter()
            try:
                contestant = start(variant, cases[number], folders[number], environments)
            except Absent as reason:
                say(f"{cases[number].name}: {variant.name} is missing: {reason}")
                return blank(variant, cases[number]) | {"reason": str(reason)}
            say(f"{cases[number].name}: {variant.name} is ready after {time.perf_counter() - began:.0f} s")
            return contestant

        entries = [(number, variant) for number in range(len(cases)) for variant in variants]
        for variant in {v.environment: v for v in variants if v.packages}.values():
            if environments is not None and not (environments / variant.environment / "ready").is_file():
                say(f"installing {' '.join(variant.packages)}")
                prepare_environment(variant, environments)
        with ThreadPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
            prepared = list(pool.map(prepare, entries))
        try:
            for (number, _), contestant in zip(entries, prepared, strict=True):
                if isinstance(contestant, dict):
                    rows.append(contestant)
                    continue
                rows.append(contestant.row)
                try:
                    if hold(contestant, expected[number], check):
                        calibrate(contestant, seconds)
                        ready.append(contestant)
                except Absent as reason:
                    contestant.row |= {"status": "failed", "reason": str(reason)}
            for repeat in range(repeats):
                say(f"round {repeat + 1} of {repeats}")
                for contestant in list(ready):
                    try:
                        time_once(contestant)
                    except Unmeasured as reason:
                        contestant.row |= {"status": "refused", "reason": str(reason), "ns": []}
                        ready.remove(contestant)
        finally:
            for entry in prepared:
                if isinstance(entry, Contestant):
                    entry.stop()
    for row in rows:
        if row["ns"]:
            row |= {
                "status": "timed",
                "median_ns": median(row["ns"]),
                "ns_per_synapse": median(row["ns"]) / row["synapses"],
            }
    return rows


def prepare_environment(variant: Variant, environments: Path) -> None:
    """Make a peer's environment before several threads ask for it; a failure shows again at its start."""
    with contextlib.suppress(Absent):
        python_of(variant, environments)
