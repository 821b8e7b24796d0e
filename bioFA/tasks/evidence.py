"""Evidence accumulation: cues from the left and from the right pass by,
and after a delay the side with more of them is asked for.

    cue, gap, cue, gap, ...   `cues` times          the left or the right group spikes at `rate` during each cue
    delay                                           nothing
    recall                                          the recall group spikes at `rate`: answer now

The inputs are four groups of `group` neurons, left, right, recall and background, in this order; the background spikes
at `background_rate` all the time. In each trial one side, both with equal chances, is favoured: each cue is on that
side with the chance `favour`. The class is the side of most cues, 0 for left and 1 for right, which need not be the
favoured one. Spikes are drawn once, as a Poisson process in bins of length `bin`, which must be the time step; all
trials differ. Targets are one-hot and stay the same: that only answers during the recall count is said by
`Protocol.learning_onset`.

Source: Bellec et al. (2020), Nat. Commun. 11:3625, fig. 4 (evidence accumulation, after Morcos & Harvey (2016), Nat.
Neurosci. 19:1672), and the times and rates of the authors' published program,
which are the values here unless others are given.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from annotated_types import Ge, Gt, Le

from bioFA.components import Amount, Count, Number
from bioFA.errors import OutOfRange
from bioFA.tasks.base import Array, ByteTable, Data, Split, Stream, Task, one_hot
from bioFA.units import Unit, steps_of


class Evidence(Task):
    """Which side had more cues?"""

    cues: Count = 7
    group: Count = 10
    cue: Annotated[Number, Unit("s"), Gt(0)] = 0.1
    gap: Annotated[Number, Unit("s"), Ge(0)] = 0.05
    delay: Annotated[Number, Unit("s"), Ge(0)] = 1.05
    recall: Annotated[Number, Unit("s"), Gt(0)] = 0.15
    rate: Annotated[Number, Unit("Hz"), Gt(0)] = 40.0
    background_rate: Annotated[Number, Unit("Hz"), Ge(0)] = 10.0
    favour: Annotated[Number, Ge(0.5), Le(1)] = 0.7
    bin: Annotated[Number, Unit("s"), Gt(0)] = 1e-3
    examples: Count = 1000
    validation_examples: Amount = 0
    test_examples: Count = 500

    def model_post_init(self, context: object) -> None:
        """Refuse a draw between the sides, parts of a bin, and more than one spike a bin."""
        if self.cues % 2 == 0:
            raise OutOfRange(
                f"Evidence.cues must be odd, or both sides may have equally many; got {self.cues}.", at=("cues",)
            )
        for name in ("cue", "gap", "delay", "recall"):
            bins = getattr(self, name) / self.bin
            if abs(bins - round(bins)) > 1e-6:
                raise OutOfRange(
                    f"Evidence.{name} must be a whole number of bins of {self.bin:g} s; got {getattr(self, name):g} s.",
                    at=(name,),
                )
        for name in ("rate", "background_rate"):
            if getattr(self, name) * self.bin > 1:
                raise OutOfRange(
                    f"Evidence.{name} must be at most one spike a bin, {1 / self.bin:g} Hz; got"
                    f" {getattr(self, name):g} Hz.",
                    at=(name,),
                )

    def _bins(self) -> tuple[int, int, int, int]:
        """The bins of a cue, a gap, the delay, and the recall."""
        cue, gap, delay, recall = (steps_of(time, self.bin) for time in (self.cue, self.gap, self.delay, self.recall))
        return cue, gap, delay, recall

    def sizes(self) -> tuple[int, int]:
        """Four groups, two sides."""
        return 4 * self.group, 2

    def bins(self) -> dict[str, int]:
        """One bin a time step for the inputs; the targets stay the same."""
        cue, gap, delay, recall = self._bins()
        return {"inputs": self.cues * (cue + gap) + delay + recall, "targets": 1}

    def draw(self, stream: Stream) -> Data:
        """Training, validation and test trials."""
        splits: dict[str, Any] = {}
        for name, count in (
            ("train", self.examples),
            ("validation", self.validation_examples),
            ("test", self.test_examples),
        ):
            splits[name] = self._trials(stream(f"task/inputs/{name}"), count) if count else None
        return Data(**splits)

    def _trials(self, rng: np.random.Generator, count: int) -> Split:
        favoured = rng.integers(2, size=(count, 1))
        sides = np.where(rng.random((count, self.cues)) < self.favour, favoured, 1 - favoured)
        labels = (2 * sides.sum(axis=1) > self.cues).astype(int)
        spikes = np.array([
            rng.random((self.bins()["inputs"], 4 * self.group))
            < self.bin * np.repeat(self._rates(row), self.group, axis=1)
            for row in sides
        ])
        return Split(ByteTable(spikes.astype(np.uint8), np.arange(256.0)), one_hot(labels, 2), labels)

    def _rates(self, sides: Array) -> Array:
        """The rate of each group in each bin of a trial with these cues, `(bins, 4)`, in Hz."""
        cue, gap, _, recall = self._bins()
        rates = np.zeros((self.bins()["inputs"], 4))
        for number, side in enumerate(sides):
            start = number * (cue + gap)
            rates[start : start + cue, side] = self.rate
        rates[-recall:, 2] = self.rate
        rates[:, 3] = self.background_rate
        return rates
