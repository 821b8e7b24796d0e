"""Spiking stimulus source: shows spikes that are given as data, step by step.

    s = the row of `of` that belongs to this step: 1 for a spike, else 0
    train = s / (unit_rate dt)        the spike train over the rate that counts as 1
    tau_trace dr/dt = -r + train      the low-passed train, which plasticity sees

Nothing is drawn here: the same presentation shows the same spikes every time ("frozen noise"). The task
divides a presentation into as many bins as it has steps.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from annotated_types import Gt

from bioFA.components import Number
from bioFA.neurons.base import Array
from bioFA.neurons.spiking_source import SpikingSource
from bioFA.units import Unit


class SpikeSource(SpikingSource):
    """Spikes as the task gives them."""

    unit_rate: Annotated[Number, Unit("Hz"), Gt(0)] = 100.0

    publishes: ClassVar[tuple[str, ...]] = ("s", "train", "r")
    shown: ClassVar[str] = "s"
    draws: ClassVar[tuple[str, ...]] = ()
    shows_steps: ClassVar[bool] = True

    def s(self) -> None:
        """Shown, not computed."""

    def train(self, s: Array, dt: float) -> Array:
        """The spike train over unit_rate."""
        return s / (self.unit_rate * dt)

    def rate_unit(self) -> None:
        """None: given spikes have their times, which no rate says."""

    def unit(self) -> float:
        """The rate in Hz that a `train` counts as 1."""
        return self.unit_rate

    def expressions(self) -> dict[str, str]:
        """Brian2's reading of the published variables."""
        return {"train": "s/(unit_rate*dt)", "r": "filtered"}
