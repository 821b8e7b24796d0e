"""What spiking stimulus sources have in common: spikes by chance, and their low-passed train.

    s = 1 where the number drawn for this neuron and step is below its chance of a spike
    tau_trace dr/dt = -r + train      the low-passed train, which plasticity sees
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from annotated_types import Gt

from bioFA.components import Number
from bioFA.neurons.base import Array, TaskSource
from bioFA.neurons.rate_source import RateSource
from bioFA.neurons.spiking_neuron import SpikingNeuron
from bioFA.units import Unit


class SpikingSource(SpikingNeuron, TaskSource):
    """A source that shows `value` in spikes."""

    tau_trace: Annotated[Number, Unit("s"), Gt(0)] = 10e-3

    family_name: ClassVar[str] = ""
    publishes: ClassVar[tuple[str, ...]] = ("value", "s", "train", "r")
    shown: ClassVar[str] = "value"
    draws: ClassVar[tuple[str, ...]] = ("chance",)

    def value(self) -> None:
        """Shown, not computed."""

    def rate_unit(self) -> RateSource | None:
        """The source of the same values, where none is negative."""
        return RateSource(of=self.of)


class TimedSource(SpikingSource):
    """A source whose spikes have given times: nothing is drawn, and no rate says what it shows."""

    unit_rate: Annotated[Number, Unit("Hz"), Gt(0)] = 100.0

    family_name: ClassVar[str] = ""
    draws: ClassVar[tuple[str, ...]] = ()

    def train(self, s: Array, dt: float) -> Array:
        """The spike train over unit_rate."""
        return s / (self.unit_rate * dt)

    def rate_unit(self) -> None:
        """None: what it shows is in the times of its spikes."""

    def unit(self) -> float:
        """The rate in Hz that a `train` counts as 1."""
        return self.unit_rate

    def expressions(self) -> dict[str, str]:
        """Brian2's reading of the published variables, all but the spikes."""
        return {"train": "s/(unit_rate*dt)", "r": "filtered"}
