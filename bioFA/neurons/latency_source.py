"""Spiking stimulus source: each neuron spikes once, the earlier the stronger its input.

    t_i = latest (1 - min(x, 1))      the time of the spike of a neuron that is shown x > 0; none where x <= 0
    s = 1 in the step that is nearest to t_i after the presentation's start, else 0
    train = s / (unit_rate dt)        the spike train over the rate that counts as 1
    tau_trace dr/dt = -r + train      the low-passed train, which plasticity sees

x is the row of `of` that belongs to this presentation. With `period`, all of it happens again after each period,
which must be longer than `latest`. A spike halfway between two steps comes in the later one.

Source: Thorpe, Delorme & Van Rullen (2001), Neural Networks 14:715 (spike times that fall with the intensity, one
spike a neuron).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge, Gt

from bioFA.components import Number
from bioFA.errors import OutOfRange
from bioFA.neurons.base import Array
from bioFA.neurons.spiking_source import TimedSource
from bioFA.units import Unit, steps_of

HALF = 0.5 + 1e-6
"""Half a step, and a little that no rounding error reaches, so that every consumer rounds half steps the same way."""


class LatencySource(TimedSource):
    """One spike at latest (1 - x), or one in every period."""

    latest: Annotated[Number, Unit("s"), Gt(0)] = 50e-3
    period: Annotated[Number, Unit("s"), Ge(0)] = 0.0

    step_times: ClassVar[Mapping[str, int]] = {"latest": 1, "period": 1}

    def model_post_init(self, context: object) -> None:
        """Refuse a period in which weak inputs would never spike."""
        if 0 < self.period <= self.latest:
            raise OutOfRange(
                f"LatencySource.period must be > latest = {self.latest:g} s, or 0 for one spike a presentation; got"
                f" {self.period:g} s.",
                at=("period",),
            )

    def s(self, value: Array, time: float, dt: float) -> Array:
        """1 where the neuron spikes in this step, else 0."""
        step = steps_of(time, dt)
        if self.period > 0:
            step %= steps_of(self.period, dt)
        due = np.floor(self.latest * (1.0 - np.minimum(value, 1.0)) / dt + HALF)
        return ((value > 0) & (due == step)).astype(float)

    def expressions(self) -> dict[str, str]:
        """Brian2's reading of the published variables."""
        step, period = "floor(time/dt + 0.5)", "floor(period/dt + 0.5)"
        if self.period > 0:
            step = f"({step} - {period}*floor(({step} + 0.5)/{period}))"
        due = f"floor(latest*(1 - clip(value, 0, 1))/dt + {HALF!r})"
        return super().expressions() | {"s": f"1.0*int(value > 0)*int(abs({due} - {step}) < 0.5)"}
