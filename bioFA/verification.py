"""Hold Brian2's compiled C++ to the NumPy reference, on the same instance, stretch by stretch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from bioFA.errors import NothingToCompare
from bioFA.experiment import Experiment, Phase
from bioFA.instance import draw
from bioFA.rate_limit import RateLimit, compare_with_rates
from bioFA.recording import Consumer
from bioFA.reference import Reference
from bioFA.simulation import Progress, consumer, snapshot_points

TOLERANCE = 1e-10
"""Largest absolute difference of any weight that rounding in another order may leave (float64)."""
PRESENTATIONS = 2000
STEPS = 10_000
STRETCHES = 10


@dataclass(frozen=True)
class Verification:
    """The outcome: largest absolute differences of weights and states, largest differences of what was
    recorded (relative to its largest value where that is above 1), and where each first exceeded the tolerance.

    `spikes[population]` is how many spikes the reference had, and how many (step, neuron) entries differ.
    """

    experiment: Experiment
    seed: int
    presentations: int
    differences: Mapping[str, float]
    recorded: Mapping[str, float]
    first_excess: Mapping[str, int]
    spikes: Mapping[str, tuple[int, int]]
    moved: Mapping[str, float]
    limit: RateLimit | None = None
    tolerance: float = TOLERANCE

    @property
    def max_abs_difference(self) -> float:
        """The largest absolute difference of any weight or state."""
        return max(self.differences.values())

    @property
    def agrees(self) -> bool:
        """Whether every spike is equal, and every weight, state and recorded variable to the tolerance; NaN never is."""
        return not self.first_excess

    @property
    def passes(self) -> bool:
        """Whether both sides agree, and averages, where they were measured, are those of the rate network."""
        return self.agrees and (self.limit is None or self.limit.holds)

    def summary(self) -> dict[str, Any]:
        """What `biofa verify --json` prints."""
        return {
            "model": self.experiment.name, "scheme": self.experiment.scheme, "seed": self.seed, "presentations": self.presentations,
            "agrees": self.agrees, "max_abs_difference": self.max_abs_difference, "tolerance": self.tolerance,
            "differences": dict(self.differences), "recorded_differences": dict(self.recorded), "first_excess": dict(self.first_excess),
            "largest_change": dict(self.moved),
            "spikes": {name: {"count": count, "mismatches": wrong} for name, (count, wrong) in self.spikes.items()},
        } | ({} if self.limit is None else {"rate_limit": self.limit.summary()})

    def __str__(self) -> str:
        verdict = "agree" if self.agrees else "DIFFER"
        lines = [
            f"{self.experiment.name}, scheme {self.experiment.scheme}, seed {self.seed}: C++ and NumPy {verdict} after "
            f"{self.presentations} presentations; largest absolute difference {self.max_abs_difference:.2g} (tolerance {self.tolerance:g})"
        ]
        for name, (count, wrong) in self.spikes.items():
            lines.append(f"  {name + '.s':<34}{count} spikes, {wrong} of them differ" if wrong else f"  {name + '.s':<34}{count} spikes, all equal")
        for name, difference in self.recorded.items():
            if name in self.first_excess:
                lines.append(f"  {name:<34}{difference:.2g}   as recorded, exceeds the tolerance within {self.first_excess[name]} presentations")
        for name, difference in self.differences.items():
            where = f"   exceeds the tolerance within {self.first_excess[name]} presentations" if name in self.first_excess else ""
            lines.append(f"  {name:<34}{difference:.2g}   (learning moved it by {self.moved[name]:.2g}){where}")
        if self.limit is not None:
            lines.append(str(self.limit))
        return "\n".join(lines)


def verify(
    experiment: Experiment, seed: int = 1, presentations: int | None = None, progress: Progress | None = None, against: Consumer | None = None,
    limit: bool = False,
) -> Verification:
    """Train the same instance in C++ and in NumPy and compare every spike, weight and state.

    Args:
        experiment: the description; as many epochs are run as `presentations` need.
        seed: the seed of the instance.
        presentations: how many; None for 2,000, or, where neurons spike, for those that take 10,000 steps, at least 40.
        progress: called after every stretch.
        against: the consumer to check; the compiled one where None.
        limit: whether to compare the averages of spiking neurons with the rate network, too (`rate_limit`).

    Raises:
        RunError: if the reference diverges, a plastic pathway did not learn, or a spiking population was silent, so that agreement would say nothing.
    """
    if presentations is None:
        presentations = PRESENTATIONS if not experiment.network.spiking() else max(40, -(-STEPS // experiment.protocol.steps))
    protocol = experiment.protocol.replace(epochs=1, presentations=None)
    examples = len(draw(experiment.replace(protocol=protocol), seed).data.train)
    protocol = experiment.protocol.replace(
        epochs=-(-presentations // examples), presentations=presentations, phases=_shortened(experiment.protocol.phases, presentations, examples)
    )
    instance = draw(experiment.replace(protocol=protocol), seed)
    reference, compiled = Reference(instance), against or consumer(instance, "cpp")
    points = snapshot_points(presentations, STRETCHES, instance.phase_ends())
    ours = theirs = instance.state
    differences = dict.fromkeys(instance.state, 0.0)
    recorded: dict[str, float] = {}
    first_excess: dict[str, int] = {}
    spikes = {p.name: (0, 0) for p in instance.network.spiking()}
    for start, stop in pairwise(points):
        feed = instance.training(start, stop)
        expected, found = reference.segment(ours, feed, True, rasters=True), compiled.segment(theirs, feed, True, rasters=True)
        expected.check_finite(start)
        ours, theirs = expected.state, found.state
        for name in differences:
            gap = _gap(ours[name], theirs[name])
            differences[name] = max(differences[name], gap)
            if not gap <= TOLERANCE:
                first_excess.setdefault(name, stop)
        for name, raster in expected.rasters.items():
            wrong = int((raster != found.rasters[name]).sum())
            spikes[name] = (spikes[name][0] + int(raster.sum()), spikes[name][1] + wrong)
            if wrong:
                first_excess.setdefault(f"{name}.s", stop)
        for name, array in expected.recording.arrays.items():
            gap = _gap(array, found.recording.arrays[name]) / max(1.0, float(np.abs(array).max(initial=0.0)))
            recorded[name] = max(recorded.get(name, 0.0), gap)
            if not gap <= TOLERANCE:
                first_excess.setdefault(name, stop)
        if progress is not None:
            progress(stop, presentations, {"largest difference": max(differences.values())})
    moved = {name: float(np.abs(ours[name] - instance.state[name]).max()) for name in ours}
    still = [p.name for p in instance.network.plastic() if moved[f"{p.name}.w"] == 0.0]
    if still and not first_excess:
        raise NothingToCompare(f"pathway '{still[0]}' did not change in {presentations} presentations, so agreement would say nothing. Raise its learning rate.")
    silent = [name for name, (count, _) in spikes.items() if count == 0]
    if silent and not first_excess:
        raise NothingToCompare(f"population '{silent[0]}' did not spike in {presentations} presentations, so agreement would say nothing. Give it more drive.")
    average = None
    if limit and spikes and not first_excess:
        average = compare_with_rates(experiment, instance.seed, lambda held: consumer(held, "cpp"), progress=progress)
    return Verification(experiment, instance.seed, presentations, differences, recorded, first_excess, spikes, moved, average)


def _shortened(phases: tuple[Phase, ...], presentations: int, examples: int) -> tuple[Phase, ...]:
    """The same phases in the same proportions, which together last for so many presentations, at least one each."""
    lengths = np.array([phase.length(examples) for phase in phases], dtype=float)
    ends = np.round(np.cumsum(lengths) * presentations / max(lengths.sum(), 1.0)).astype(int)
    return tuple(
        phase.replace(presentations=max(1, int(length)), epochs=None) for phase, length in zip(phases, np.diff(ends, prepend=0), strict=True)
    )


def _gap(first: np.ndarray, second: np.ndarray) -> float:
    """Largest absolute difference; infinite where one side is not finite."""
    with np.errstate(all="ignore"):
        gap = float(np.abs(first - second).max(initial=0.0))
    return gap if np.isfinite(gap) else float("inf")
