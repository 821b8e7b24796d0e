"""Compare compiled C++ with the NumPy reference where time passes without a task, in pieces of 100 steps.

Two correct programs differ in the last bit of a sum, and a balanced network makes a spike of it within a second. So two
things are compared, and both are printed:

    piece by piece    the reference begins every piece from the state that the compiled program had there; every spike
                      of every step equal, every state at the end of the piece, and every recorded variable in each
                      step that is recorded, to 1e-10 of its range (`difference.compare`): this decides
    as a whole        both go on from their own states; until when every spike was equal

How a trial begins is compared with the first piece of each. Neurons that a user wrote as text have one parse, which
both sides compute from: a fault of the parse is the same in both, and is named as what was not compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from bioFA.consumers.base import Consumer, Segment
from bioFA.consumers.reference import Reference
from bioFA.errors import NothingToCompare
from bioFA.experiment import Experiment
from bioFA.instance import draw
from bioFA.runs.simulation import Progress, consumer
from bioFA.units import as_time
from bioFA.verification.difference import TOLERANCE, Difference, compare

Array = np.ndarray
PIECE = 100
"""Steps after which the reference is put on the compiled program's state."""
STEPS = 2000
"""So many steps of a trial are compared."""
TRIALS = 2
"""So many trials, unless it is said how many; whole ones are then compared."""


@dataclass(frozen=True)
class FreeVerification:
    """The outcome: `states` are the largest differences of each state, and `records` of each variable that the model
    traces, over all pieces; `first_excess` is the time in seconds of the piece in which one first exceeded its bound,
    or in which spikes of a population first differed.

    `spikes[population]` is how many spikes the reference had, piece by piece, and how many (step, neuron) entries
    differ; `parted[population]` where two whole runs first differ in a spike, in seconds of the first trial in which
    they do, None where they do not.
    """

    experiment: Experiment
    seed: int
    steps: int
    trials: int
    states: Mapping[str, Difference]
    first_excess: Mapping[str, float]
    spikes: Mapping[str, tuple[int, int]]
    parted: Mapping[str, float | None]
    records: Mapping[str, Difference]
    tolerance: float = TOLERANCE

    @property
    def agrees(self) -> bool:
        """Whether, piece by piece, every spike is equal and every state to its bound; NaN never is."""
        return not self.first_excess

    @property
    def passes(self) -> bool:
        """As `agrees`."""
        return self.agrees

    @property
    def max_relative_difference(self) -> float:
        """The largest difference of any state or recorded variable within a piece, as a share of its range."""
        every = (*self.states.values(), *self.records.values())
        return max((difference.relative for difference in every), default=0.0)

    @property
    def pieces(self) -> int:
        """How often the reference was put on the compiled program's state, or on that of a trial's beginning."""
        return self.trials * sum(1 for _ in _pieces(1, self.steps, self.experiment.protocol.phase_ends(1)))

    @property
    def one_parse(self) -> tuple[str, ...]:
        """The populations whose neurons are a user's text, from one reading of which both sides compute."""
        return tuple(p.name for p in self.experiment.network.populations if p.neuron.one_parse)

    def summary(self) -> dict[str, Any]:
        """What `biofa verify --json` prints; docs/explanation/verification.md says what each key is."""
        every = {**self.states, **{f"{name}, as recorded": found for name, found in self.records.items()}}
        return {
            "model": self.experiment.name,
            "seed": self.seed,
            "trials": self.trials,
            "steps": self.steps,
            "piece_steps": PIECE,
            "pieces": self.pieces,
            "agrees": self.agrees,
            "whole_runs_agree": not any(time is not None for time in self.parted.values()),
            "max_relative_difference": self.max_relative_difference,
            "tolerance": self.tolerance,
            "differences": {name: difference.absolute for name, difference in self.states.items()},
            "recorded_differences": {name: difference.absolute for name, difference in self.records.items()},
            "ranges": {name: difference.range for name, difference in every.items()},
            "bounds": {name: difference.bound for name, difference in every.items()},
            "first_excess_s": dict(self.first_excess),
            "spikes": {name: {"count": count, "mismatches": wrong} for name, (count, wrong) in self.spikes.items()},
            "whole_runs_part_at_s": dict(self.parted),
            "one_parse": list(self.one_parse),
            "rounded_times": dict(self.experiment.rounded_times),
        }

    def __str__(self) -> str:
        dt = self.experiment.protocol.step
        trials = f" of each of {self.trials} trials" if self.trials > 1 else ""
        count, wrong = (sum(pair[k] for pair in self.spikes.values()) for k in (0, 1))
        populations = f"{len(self.spikes)} population{'s' if len(self.spikes) != 1 else ''}"
        lines = [
            (
                f"{self.experiment.name}, seed {self.seed}: C++ and NumPy {'agree' if self.agrees else 'DIFFER'} in"
                f" pieces of {PIECE} steps over {self.steps} steps ({as_time(self.steps * dt)}){trials}; largest"
                f" difference {self.max_relative_difference:.2g} of a variable's range (tolerance {self.tolerance:g})"
            ),
            (
                f"  compared in {self.pieces} pieces, NumPy beginning each from the state of C++: {count} spikes of"
                f" {populations} in every step, {len(self.states)} states as each piece ends,"
                f" {len(self.records)} recorded variables"
            ),
            f"  piece by piece: {f'{wrong} spikes differ' if wrong else 'every spike equal'}, {self._exceeding()}",
            f"  as a whole, each from its own state: {self._whole()}",
        ]
        lines += [f"  {place:<34}{how}" for place, how in self.experiment.rounded_times.items()]
        for name, (number, differing) in self.spikes.items():
            equal = f"{differing} of them differ" if differing else "all equal" if number else "none to compare"
            lines.append(f"  {name + '.s':<33} {number} spikes, {equal}{self._excess(f'{name}.s')}")
        lines += [f"  {name:<33} {found}{self._excess(name)}" for name, found in self.states.items()]
        for name, found in self.records.items():
            lines.append(f"  {name:<33} {found}, as recorded{self._excess(f'{name}, as recorded')}")
        if self.one_parse:
            lines.append(
                f"Note: the text of {', '.join(self.one_parse)} has one parse, from which both sides compute: a fault"
                " of the parse would be the same in both."
            )
        return "\n".join(lines)

    def _exceeding(self) -> str:
        """How many variables are not equal."""
        wrong = sum(1 for name in self.first_excess if not name.endswith(".s"))
        every = len(self.states) + len(self.records)
        return f"{wrong} of {every} variables exceed their bounds" if wrong else f"all {every} variables within bounds"

    def _whole(self) -> str:
        """How two whole runs compare."""
        parted = {name: time for name, time in self.parted.items() if time is not None}
        if parted:
            name = min(parted, key=parted.__getitem__)
            return f"they part at {as_time(parted[name])}, in a spike of {name}"
        return "two whole runs have every spike equal, too" if self.parted else "nothing spikes"

    def _excess(self, name: str) -> str:
        return f"   first at {as_time(self.first_excess[name])}" if name in self.first_excess else ""


def verify_free(
    experiment: Experiment,
    seed: int = 1,
    trials: int | None = None,
    progress: Progress | None = None,
    against: Consumer | None = None,
) -> FreeVerification:
    """Let time pass in C++ and in NumPy, and compare every spike and state, piece by piece and as a whole.

    Args:
        experiment: the description.
        seed: the seed of the instance.
        trials: how many, each in its whole length; the first 2,000 steps of at most two, where None.
        progress: called after every piece, with steps.
        against: the consumer to check; the compiled one where None.

    Raises:
        RunError: if the network spikes but not in what is compared, so that agreement would say nothing.
    """
    protocol = experiment.protocol
    count = min(protocol.trials, TRIALS if trials is None else trials)
    plastic = experiment.network.plastic()
    most = STEPS + (protocol.warm_up_steps if plastic else 0)
    steps = min(protocol.shown_steps, most) if trials is None else protocol.shown_steps
    instance = draw(experiment, seed)
    reference, compiled = Reference(instance), against or consumer(instance, "cpp")
    pieces: list[tuple[float, dict[str, Difference], dict[str, Difference]]] = []
    spikes = {p.name: (0, 0) for p in instance.network.spiking()}
    parted: dict[str, float | None] = dict.fromkeys(spikes)
    first_excess: dict[str, float] = {}
    whole: Mapping[str, Array] = instance.state
    theirs: Mapping[str, Array] = instance.state
    done = 0
    learned: set[str] = set()
    for trial, start, stop in _pieces(count, steps, instance.phase_ends()):
        if start == 0:
            whole, theirs = ({**state, **instance.trial_begins(trial)} for state in (whole, theirs))
        feed = instance.passing(trial, start, stop)
        if stop > protocol.warm_up_steps:
            learned |= {f"{p.name}.w" for p in plastic if feed.learns(p.name) and feed.rate > 0}
        expected = reference.segment(theirs, feed, True, extremes=True)
        alone = expected if _same(whole, theirs) else reference.segment(whole, feed, True)
        found = compiled.segment(theirs, feed, True)
        pieces.append((
            start * protocol.step,
            {
                name: compare(name, expected.state[name], found.state[name], expected.extremes, stop - start)
                for name in expected.state
            },
            {
                name: compare(name, kept, found.traces[number][name.partition(".")[2]], steps=stop - start)
                for number, trace in enumerate(expected.traces)
                for name, kept in ((f"{experiment.traced[number].population}.{v}", a) for v, a in trace.items())
                if kept.size
            } | {
                name: compare(name, kept, found.synapses[number][name.partition(".")[2]], steps=stop - start)
                for number, trace in enumerate(expected.synapses)
                for name, kept in ((f"{experiment.record.synapses[number].pathway}.{v}", a) for v, a in trace.items())
                if kept.size
            },
        ))
        for name, (number, wrong) in spikes.items():
            differing = _differing(expected, found, name)
            spikes[name] = (number + len(expected.spikes[name][0]), wrong + len(differing))
            if len(differing):
                first_excess.setdefault(f"{name}.s", start * protocol.step)
            if parted[name] is None and len(late := _differing(alone, found, name)):
                parted[name] = float(late.min()) * protocol.step
        whole, theirs = alone.state, found.state
        done += stop - start
        if progress is not None:
            largest = max((difference.relative for difference in pieces[-1][1].values()), default=0.0)
            progress(done, count * steps, {"largest difference": largest})
    states, records = _over_all([found for _, found, _ in pieces]), _over_all([kept for _, _, kept in pieces])
    for time, *parts in pieces:
        for part, over_all, suffix in zip(parts, (states, records), ("", ", as recorded"), strict=True):
            for name, difference in part.items():
                if not difference.absolute <= over_all[name].bound:
                    first_excess.setdefault(f"{name}{suffix}", time)
    if spikes and not any(number for number, _ in spikes.values()) and not first_excess:
        raise NothingToCompare(
            f"nothing spiked in {steps} steps ({as_time(steps * protocol.step)}), so agreement would say nothing. Give"
            " more drive, or compare whole trials: --presentations 1."
        )
    still = sorted(name for name in learned if np.array_equal(theirs[name], instance.state[name]))
    if still and not first_excess:
        raise NothingToCompare(
            f"pathway '{still[0].removesuffix('.w')}' did not change in {steps} steps"
            f" ({as_time(steps * protocol.step)}), so agreement would say nothing. Raise its learning rate, or compare"
            " whole trials: --presentations 1."
        )
    return FreeVerification(experiment, instance.seed, steps, count, states, first_excess, spikes, parted, records)


def _over_all(pieces: list[dict[str, Difference]]) -> dict[str, Difference]:
    """The differences of every variable over all pieces."""
    joined: dict[str, Difference] = {}
    for piece in pieces:
        for name, difference in piece.items():
            joined[name] = joined[name].joined(difference) if name in joined else difference
    return joined


def _pieces(trials: int, steps: int, ends: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Trial, first step, and the step after the last of every piece; every phase ends with one."""
    cuts = sorted({*range(0, steps, PIECE), *(end for end in ends if end < steps), steps})
    for trial in range(trials):
        for start, stop in pairwise(cuts):
            yield trial, start, stop


def _same(first: Mapping[str, Array], second: Mapping[str, Array]) -> bool:
    return all(np.array_equal(array, second[name]) for name, array in first.items())


def _differing(first: Segment, second: Segment, population: str) -> Array:
    """The steps of the spikes that one of two segments has and the other lacks, one that a source sends twice
    in a step being two."""
    one, other = (
        Counter(map(tuple, np.stack(segment.spikes[population][::-1], axis=1).tolist())) for segment in (first, second)
    )
    return np.array([step for step, _ in ((one - other) + (other - one)).elements()])
