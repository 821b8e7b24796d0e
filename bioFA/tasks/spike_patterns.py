"""Frozen spike patterns: each input pattern, always the same spikes, is to be answered by spikes at given times.

Each input neuron of a pattern spikes as a Poisson process at `input_rate`, drawn once for each seed. Each output
neuron of a pattern has `target_spikes` target spikes: the time from `earliest` on is divided into as many
equal slots, and in each of them one spike is drawn, from the middle half of the slot. Inputs and targets
have a time axis with bins of length `bin`, which must be the time step: 1 for a spike, else 0.
There are no other examples than the patterns, so nothing is held out: what is measured is how well they are learned.

Source: Zenke & Ganguli (2018), Neural Computation 30:1514, section 3 (a frozen Poisson input and a target
spike train, to be repeated); there the target spikes are equidistant.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt

from bioFA.components import Count, Number
from bioFA.errors import OutOfRange
from bioFA.tasks.base import Array, Data, Split, Stream, Task
from bioFA.units import Unit, steps_of


class SpikePatterns(Task):
    """Spikes to spikes, `patterns` of them."""

    n_in: Count = 100
    n_out: Count = 1
    patterns: Count = 1
    target_spikes: Count = 5
    input_rate: Annotated[Number, Unit("Hz"), Gt(0)] = 10.0
    duration: Annotated[Number, Unit("s"), Gt(0)] = 0.5
    earliest: Annotated[Number, Unit("s"), Ge(0)] = 0.05
    bin: Annotated[Number, Unit("s"), Gt(0)] = 1e-3

    def model_post_init(self, context: object) -> None:
        """Refuse a duration in which the targets have no room."""
        steps = self.duration / self.bin
        if abs(steps - round(steps)) > 1e-6:
            raise OutOfRange(
                f"SpikePatterns.duration must be a whole number of bins of {self.bin:g} s; got {self.duration:g} s.",
                at=("duration",),
            )
        if self._slot() < 4:
            raise OutOfRange(
                f"SpikePatterns: {self.target_spikes} target spikes need slots of at least 4 bins from earliest ="
                f" {self.earliest:g} s to duration = {self.duration:g} s; they have {self._slot():.3g}. Ask for fewer,"
                " or a longer duration."
            )
        if self.input_rate * self.bin > 1:
            raise OutOfRange(
                f"SpikePatterns.input_rate must be at most one spike a bin, {1 / self.bin:g} Hz; got"
                f" {self.input_rate:g} Hz.",
                at=("input_rate",),
            )

    def _slot(self) -> float:
        """The length of a target's slot in bins."""
        return (self.duration - self.earliest) / self.bin / self.target_spikes

    def sizes(self) -> tuple[int, int]:
        """`n_in`, `n_out`."""
        return self.n_in, self.n_out

    def bins(self) -> dict[str, int]:
        """One bin a time step, for both."""
        return dict.fromkeys(("inputs", "targets"), steps_of(self.duration, self.bin))

    def draw(self, stream: Stream) -> Data:
        """The patterns of this seed."""
        steps = steps_of(self.duration, self.bin)
        inputs = (stream("task/inputs").random((self.patterns, steps, self.n_in)) < self.input_rate * self.bin).astype(
            float
        )
        return Data(Split(inputs, self._targets(stream("task/targets"), steps)))

    def _targets(self, rng: np.random.Generator, steps: int) -> Array:
        targets = np.zeros((self.patterns, steps, self.n_out))
        places = (
            np.arange(self.target_spikes) + rng.uniform(0.25, 0.75, (self.patterns, self.n_out, self.target_spikes))
        ) * self._slot()
        pattern, output, _ = np.indices(places.shape)
        targets[pattern, (self.earliest / self.bin + places).astype(int), output] = 1.0
        return targets
