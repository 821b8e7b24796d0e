"""What a seed draws, as it is kept and shown: streams, listed synapses, and what the sources show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from bioFA.experiment import Phase
from bioFA.tasks import Table

Array = np.ndarray


def stream(seed: int, purpose: str) -> np.random.Generator:
    """The random stream of one purpose under one seed."""
    return np.random.default_rng([seed, *purpose.encode()])


@dataclass(frozen=True)
class Feed:
    """What the sources show in a segment of presentations: `table[row]` for each presentation.

    `tables` maps a source population to a matrix `(n, size)`, or with a time axis `(n, bins, size)`, or a pathway that
    is redrawn to its weights as rows, `rows` to the row shown in each presentation; `start` is the number of the first
    presentation in the whole run, `phase` says which pathways learn and how fast, where the training has phases. `keys`
    maps a population that draws random numbers to the key of its numbers (`bioFA.draws`), and, where it draws several
    by name, `population.name`. `span` are the steps of the one presentation, from the first to before the last, where
    the segment is only a part of it. `courses` maps a source that needs no task to what it shows in each step of a
    presentation, or of `span`, `(steps,)`; `trains` one with given spikes to them: those of step n, counted from the
    first one here, are of the neurons `which[first[n] : first[n + 1]]`, `(first, which)`.
    """

    presentations: int
    tables: Mapping[str, Table]
    rows: Mapping[str, Array]
    start: int = 0
    keys: Mapping[str, int] = field(default_factory=dict)
    phase: Phase | None = None
    span: tuple[int, int] | None = None
    courses: Mapping[str, Array] = field(default_factory=dict)
    trains: Mapping[str, tuple[Array, Array]] = field(default_factory=dict)

    def learns(self, pathway: str) -> bool:
        """Whether a plastic pathway learns in this segment."""
        return self.phase is None or self.phase.learns is None or pathway in self.phase.learns

    @property
    def rate(self) -> float:
        """What every learning rate is multiplied by."""
        return 1.0 if self.phase is None else self.phase.rate

    def recorded(self, every: int) -> Array:
        """The presentations of this segment, counted from its beginning, that the run records:
        every so many of the whole run."""
        return np.arange(-self.start % every, self.presentations, every)


@dataclass(frozen=True)
class Synapses:
    """The listed synapses of a pathway, sorted by presynaptic, then postsynaptic neuron.

    `first` `(n_pre + 1,)` int64: those of presynaptic neuron j are `first[j]` to before `first[j + 1]`; `post`
    `(n_synapses,)` int32 where each arrives; `weights` `(n_synapses,)`, in SI, or `(1,)` where all are alike; `delays`
    in steps, int32, `(n_synapses,)`, or `(1,)` where all are alike; `parameters` those of their dynamics, in SI,
    `(n_synapses,)`, or `(1,)` where all are alike. Where the synapses learn, `weights` are the first ones.
    """

    first: Array
    post: Array
    weights: Array
    delays: Array
    parameters: Mapping[str, Array] = field(default_factory=dict)

    @property
    def slots(self) -> int:
        """How many steps ahead something may be under way, with the one that begins."""
        return int(self.delays.max(initial=0)) + 1

    @property
    def pre(self) -> Array:
        """The presynaptic neuron of each, `(n_synapses,)`, int32."""
        return np.repeat(np.arange(len(self.first) - 1, dtype=np.int32), np.diff(self.first))


@dataclass(frozen=True)
class Chosen:
    """Synapses that are recorded: their places in `pathway.w`, read row by row, or in `pathway.x`, and between which
    neurons each is, `(n,)` each."""

    places: Array
    pre: Array
    post: Array
