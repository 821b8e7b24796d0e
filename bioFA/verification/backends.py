"""Compare Brian2's compiled C++ with the NumPy reference, on the same instance, segment by segment.

Two correct programs differ by rounding, and by what the dynamics make of it; how much that is depends on how far a
variable moves, not on its unit. So every weight, state and recorded variable is compared by one rule (`compare`):

    largest |compiled - reference|  <=  bound = 1e-10 (high - low)

low and high are the reference's smallest and largest value of the variable, over all its neurons or synapses and all
steps of the run (not only the few in which it is compared). A variable that never changes is allowed 1e-10 of its
size, max(|low|, |high|). A bound below what adding in floating point leaves would be no test: it is at least
steps eps size, one rounding a step, and that itself at most 1e-10 size (a weight of 1 that moves by 1e-7 is
compared to 2e-12 after 10,000 steps). Spikes must be equal, every one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from typing import Any

import numpy as np

from bioFA.consumers.base import Consumer
from bioFA.consumers.reference import Reference
from bioFA.errors import NothingToCompare
from bioFA.experiment import Experiment, Phase
from bioFA.instance import Instance, draw
from bioFA.runs.simulation import Progress, consumer, evaluate, snapshot_points
from bioFA.verification.difference import TOLERANCE as TOLERANCE
from bioFA.verification.difference import Difference
from bioFA.verification.difference import compare as compare
from bioFA.verification.free_run import FreeVerification, verify_free
from bioFA.verification.rate_limit import RateLimit, compare_with_rates

PRESENTATIONS = 2000
STEPS = 10_000
SEGMENTS = 10
EXAMPLES, FEWEST_EXAMPLES = 1000, 20
"""So many examples of validation and test are answered on both sides; fewer where they take many steps."""

Array = np.ndarray


@dataclass(frozen=True)
class Verification:
    """The outcome: how far weights and states (`states`) and recorded variables (`records`) differ,
    and where each first exceeded its bound.

    `spikes[population]` is how many spikes the reference had, and how many (step, neuron) entries differ.
    """

    experiment: Experiment
    seed: int
    presentations: int
    states: Mapping[str, Difference]
    records: Mapping[str, Difference]
    first_excess: Mapping[str, int]
    spikes: Mapping[str, tuple[int, int]]
    moved: Mapping[str, float]
    limit: RateLimit | None = None
    tolerance: float = TOLERANCE

    @property
    def differences(self) -> dict[str, float]:
        """The largest absolute difference of each weight and state."""
        return {name: difference.absolute for name, difference in self.states.items()}

    @property
    def recorded(self) -> dict[str, float]:
        """The largest absolute difference of each recorded variable."""
        return {name: difference.absolute for name, difference in self.records.items()}

    @property
    def max_abs_difference(self) -> float:
        """The largest absolute difference of any weight or state."""
        return max(self.differences.values())

    @property
    def max_relative_difference(self) -> float:
        """The largest difference of any weight, state or recorded variable, as a share of its range."""
        return max(difference.relative for difference in (*self.states.values(), *self.records.values()))

    @property
    def agrees(self) -> bool:
        """Whether every spike is equal, and every weight, state and recorded variable to its bound; NaN never is."""
        return not self.first_excess

    @property
    def passes(self) -> bool:
        """Whether both sides agree, and averages, where they were measured, are those of the rate network."""
        return self.agrees and (self.limit is None or self.limit.holds)

    def summary(self) -> dict[str, Any]:
        """What `biofa verify --json` prints."""
        every = {**self.states, **self.records}
        return {
            "model": self.experiment.name,
            "scheme": self.experiment.scheme,
            "seed": self.seed,
            "presentations": self.presentations,
            "agrees": self.agrees,
            "rounded_times": dict(self.experiment.rounded_times),
            "max_abs_difference": self.max_abs_difference,
            "max_relative_difference": self.max_relative_difference,
            "tolerance": self.tolerance,
            "differences": self.differences,
            "recorded_differences": self.recorded,
            "ranges": {name: difference.range for name, difference in every.items()},
            "bounds": {name: difference.bound for name, difference in every.items()},
            "first_excess": dict(self.first_excess),
            "largest_change": dict(self.moved),
            "notes": list(self.experiment.circuit.caveats()),
            "spikes": {name: {"count": count, "mismatches": wrong} for name, (count, wrong) in self.spikes.items()},
        } | ({} if self.limit is None else {"rate_limit": self.limit.summary()})

    def __str__(self) -> str:
        verdict = "agree" if self.agrees else "DIFFER"
        lines = [
            f"{self.experiment.name}, scheme {self.experiment.scheme}, seed {self.seed}: C++ and NumPy {verdict} after"
            f" {self.presentations} presentations; largest difference {self.max_relative_difference:.2g} of a"
            f" variable's range (tolerance {self.tolerance:g})"
        ]
        lines += [f"  {place:<34}{how}" for place, how in self.experiment.rounded_times.items()]
        for name, (count, wrong) in self.spikes.items():
            lines.append(f"  {name + '.s':<33} {count} spikes, {f'{wrong} of them differ' if wrong else 'all equal'}")
        for name, difference in self.records.items():
            if name in self.first_excess and "." in name:
                lines.append(f"  {name:<33} {difference}, as recorded{self._excess(name)}")
        for name, difference in self.states.items():
            lines.append(f"  {name:<33} {difference} (learning moved it by {self.moved[name]:.2g}){self._excess(name)}")
        for name in self.records:
            if "." not in name:
                lines.append(f"  {name:<33} {self.records[name]}, as a run prints it")
        if self.limit is not None:
            lines.append(str(self.limit))
        lines += [f"Note: {caveat}." for caveat in self.experiment.circuit.caveats()]
        return "\n".join(lines)

    def _excess(self, name: str) -> str:
        return (
            f"   exceeds its bound within {self.first_excess[name]} presentations" if name in self.first_excess else ""
        )


def verify(
    experiment: Experiment,
    seed: int = 1,
    presentations: int | None = None,
    progress: Progress | None = None,
    against: Consumer | None = None,
    limit: bool = False,
) -> Verification | FreeVerification:
    """Train the same instance in C++ and in NumPy and compare every spike, weight and state; where time passes without
    a task, let it pass on both sides (`free_run.verify_free`, `presentations` being trials).

    Args:
        experiment: the description; as many epochs are run as `presentations` need.
        seed: the seed of the instance.
        presentations: how many; None for 2,000, or, where neurons spike, for those that take 10,000 steps, at least 40.
        progress: called after every segment.
        against: the consumer to check; the compiled one where None.
        limit: whether to compare the averages of spiking neurons with the rate network, too (`rate_limit`).

    Raises:
        RunError: if the reference diverges, a plastic pathway did not learn, or a spiking population was silent,
            so that agreement would say nothing.
    """
    if experiment.free:
        return verify_free(experiment, seed, presentations, progress, against)
    if presentations is None:
        presentations = (
            PRESENTATIONS if not experiment.network.spiking() else max(40, -(-STEPS // experiment.protocol.steps))
        )
    protocol = experiment.protocol.replace(epochs=1, presentations=None)
    examples = len(draw(experiment.replace(protocol=protocol), seed).data.train)
    protocol = experiment.protocol.replace(
        epochs=-(-presentations // examples),
        presentations=presentations,
        phases=_shortened(experiment.protocol.phases, presentations, examples),
    )
    instance = draw(experiment.replace(protocol=protocol), seed)
    reference, compiled = Reference(instance), against or consumer(instance, "cpp")
    points = snapshot_points(presentations, SEGMENTS, instance.phase_ends())
    ours = theirs = instance.state
    segments: list[tuple[int, dict[str, Difference], dict[str, Difference]]] = []
    spikes = {p.name: (0, 0) for p in instance.network.spiking()}
    first_excess: dict[str, int] = {}
    training: list[list[tuple[np.ndarray, np.ndarray]]] = []
    for start, stop in pairwise(points):
        feed = instance.training(start, stop)
        expected, found = reference.segment(ours, feed, True, rasters=True, extremes=True), compiled.segment(
            theirs, feed, True, rasters=True
        )
        expected.check_finite(start)
        ours, theirs = expected.state, found.state
        steps = stop * protocol.steps
        states = {name: compare(name, ours[name], theirs[name], expected.extremes, steps) for name in ours}
        kept = expected.recording.arrays
        if len(expected.recording.at):
            targets = instance.data.train.final(instance.order(start, stop)[expected.recording.at])
            training.append([experiment.squares(side.recording.arrays, targets) for side in (expected, found)])
        segments.append((
            stop,
            states,
            {name: compare(name, kept[name], found.recording.arrays[name], expected.extremes, steps) for name in kept},
        ))
        for name, raster in expected.rasters.items():
            wrong = int((raster != found.rasters[name]).sum())
            spikes[name] = (spikes[name][0] + int(raster.sum()), spikes[name][1] + wrong)
            if wrong:
                first_excess.setdefault(f"{name}.s", stop)
        if progress is not None:
            progress(
                stop, presentations, {"largest difference": max(difference.absolute for difference in states.values())}
            )
    states, records = (_over_the_run([parts[k] for _, *parts in segments]) for k in (0, 1))
    bounds = {name: difference.bound for name, difference in (*states.items(), *records.items())}
    for stop, *parts in segments:
        for name, difference in (item for part in parts for item in part.items()):
            if not difference.absolute <= bounds[name]:
                first_excess.setdefault(name, stop)
    for name, difference in _metrics(instance, (reference, compiled), ours, training, presentations).items():
        records[name] = difference
        if not difference.absolute <= difference.bound:
            first_excess.setdefault(name, presentations)
    moved = {name: float(np.abs(ours[name] - instance.state[name]).max()) for name in ours}
    still = [p.name for p in instance.network.plastic() if moved[f"{p.name}.w"] == 0.0]
    if still and not first_excess:
        raise NothingToCompare(
            f"pathway '{still[0]}' did not change in {presentations} presentations, so agreement would say nothing."
            " Raise its learning rate."
        )
    silent = [name for name, (count, _) in spikes.items() if count == 0]
    if silent and not first_excess:
        raise NothingToCompare(
            f"population '{silent[0]}' did not spike in {presentations} presentations, so agreement would say nothing."
            " Give it more drive."
        )
    average = None
    if limit and spikes and not first_excess:
        average = compare_with_rates(experiment, instance.seed, lambda held: consumer(held, "cpp"), progress=progress)
    return Verification(experiment, instance.seed, presentations, states, records, first_excess, spikes, moved, average)


def _over_the_run(segments: list[dict[str, Difference]]) -> dict[str, Difference]:
    return {name: reduce(Difference.joined, [segment[name] for segment in segments]) for name in segments[0]}


def _metrics(
    instance: Instance,
    sides: tuple[Consumer, Consumer],
    state: Mapping[str, np.ndarray],
    training: list[list[tuple[np.ndarray, np.ndarray]]],
    presentations: int,
) -> dict[str, Difference]:
    """The numbers that a run prints, from both sides: the training NSE over all presentations, and those of the first
    examples of the other splits at the final weights.
    Each is compared to 1e-10 of its size, or of 1, the NSE of no answer."""
    found: dict[str, tuple[float, float]] = {}
    power = sum(float(part[0][1].sum()) for part in training)
    if power > 0:
        first, second = (sum(float(part[side][0].sum()) for part in training) / power for side in (0, 1))
        found["nse"] = (first, second)
    most = max(FEWEST_EXAMPLES, min(EXAMPLES, STEPS // (10 * instance.experiment.protocol.steps)))
    for split in ("validation", "test"):
        rows = [evaluate(instance, side, state, presentations, split, most) for side in sides]
        for measure in ("nse", "error", "van_rossum") if rows[0] else ():
            if rows[0][0].get(measure) is not None:
                found[f"{split}_{measure}"] = (float(rows[0][0][measure]), float(rows[1][0][measure]))
    return {
        name: compare(name, np.array([one]), np.array([other]), {name: (0.0, max(1.0, one))})
        for name, (one, other) in found.items()
    }


def _shortened(phases: tuple[Phase, ...], presentations: int, examples: int) -> tuple[Phase, ...]:
    """The same phases in the same proportions, which together last for so many presentations, at least one each."""
    lengths = np.array([phase.length(examples) for phase in phases], dtype=float)
    ends = np.round(np.cumsum(lengths) * presentations / max(lengths.sum(), 1.0)).astype(int)
    return tuple(
        phase.replace(presentations=max(1, int(length)), epochs=None)
        for phase, length in zip(phases, np.diff(ends, prepend=0), strict=True)
    )
