"""What a consumer hands back from a segment of presentations: the state, and what was recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Protocol

import numpy as np

from bioFA.errors import Diverged
from bioFA.instance import Feed

Array = np.ndarray


@dataclass(frozen=True)
class Recording:
    """Recorded variables: `arrays[name]` has shape `(n, size)`, taken in the presentations `at` `(n,)`."""

    at: Array
    arrays: Mapping[str, Array]


@dataclass(frozen=True)
class Segment:
    """The end of a segment: the whole state, what was recorded on the way, and, where asked for, every spike and step.

    `rasters[population]` `(presentations, steps, size)` is 1 where a neuron spiked, else 0;
    `courses["hidden.v"]`, of the same shape, are the values of a variable in every step; `extremes["hidden.v"]`
    its smallest and largest over all steps and neurons or synapses.

    Where time passes without a task: `spikes[population]` are all its spikes, neuron `(n,)` int32 and step of the trial
    `(n,)` int64, by step, then neuron; a spike that is published in step m has the time m dt. `traces` are what
    `Experiment.traced` asks for, in its order: by variable, `(samples, neurons)`, of those steps which it holds;
    `synapses` what `record.synapses` asks for, likewise, `(samples, synapses)`.
    """

    state: Mapping[str, Array]
    recording: Recording
    rasters: Mapping[str, Array] = field(default_factory=dict)
    courses: Mapping[str, Array] = field(default_factory=dict)
    extremes: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    spikes: Mapping[str, tuple[Array, Array]] = field(default_factory=dict)
    traces: tuple[Mapping[str, Array], ...] = ()
    synapses: tuple[Mapping[str, Array], ...] = ()

    def check_finite(self, start: int) -> None:
        """Refuse numbers that are no longer finite.

        Raises:
            Diverged: naming the first variable and presentation at which the run diverged.
        """
        first = None
        for name, array in self.recording.arrays.items():
            if np.isfinite(array).all():
                continue
            bad = np.flatnonzero(~np.isfinite(array).all(axis=1))
            if first is None or self.recording.at[bad[0]] < first[0]:
                first = (self.recording.at[bad[0]], name)
        if first is None:
            broken = [name for name, array in self.state.items() if not np.isfinite(array).all()]
            if not broken:
                return
            first = (self.recording.at[-1] if len(self.recording.at) else 0, broken[0])
        raise Diverged(
            f"the run diverged: {first[1]} is no longer finite in presentation {start + int(first[0])}. "
            "Lower the learning rate, the initial weights or the feedback weights."
        )


def one_by_one(
    consumer: Consumer, state: Mapping[str, Array], points: Sequence[int], feed: Callable[[int, int], Feed]
) -> Iterator[Segment]:
    """`Consumer.segments`, each run for itself."""
    for start, stop in pairwise(points):
        segment = consumer.segment(state, feed(start, stop), learning=True)
        state = segment.state
        yield segment


class Consumer(Protocol):
    """What runs an instance: the NumPy reference, or Brian2 compiled to C++."""

    name: str
    timing: dict[str, float]
    engine: dict[str, object]

    def segment(
        self,
        state: Mapping[str, Array],
        feed: Feed,
        learning: bool,
        every: int | None = None,
        only: tuple[str, ...] | None = None,
        rasters: bool = False,
    ) -> Segment:
        """Run a segment of presentations from a state; see `Reference.segment`."""
        ...

    def segments(
        self, state: Mapping[str, Array], points: Sequence[int], feed: Callable[[int, int], Feed]
    ) -> Iterator[Segment]:
        """Learn from each point, a number of presentations, to the next, each segment beginning with the state that the
        one before ended with; `feed` says what the sources show from one presentation to before another, all of one
        phase.

        Raises:
            RunError: if a segment is not proven complete.
        """
        ...
