"""What integrate-and-fire neurons have in common: a potential with a threshold, and a pause after each spike.

    s = 1 where the threshold was passed at the end of the last step
    train = s / (unit_rate dt)        delta = error gain

The potential is measured in units of the threshold's distance from rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from annotated_types import Ge, Gt

from bioFA.components import Number
from bioFA.neurons.base import Array
from bioFA.neurons.spiking_neuron import SpikingNeuron
from bioFA.units import Unit


class IntegrateAndFire(SpikingNeuron):
    """A neuron that spikes where its potential passes a threshold; `left` counts the steps of its pause,
    `tested` is what the test saw."""

    tau: Annotated[Number, Unit("s"), Gt(0)] = 20e-3
    refractory_period: Annotated[Number, Unit("s"), Ge(0)] = 2e-3
    unit_rate: Annotated[Number, Unit("Hz"), Gt(0)] = 100.0

    family_name: ClassVar[str] = ""
    step_times: ClassVar[Mapping[str, int]] = {"refractory_period": 0}
    ports: ClassVar[tuple[str, ...]] = ("drive", "error", "probe")
    publishes: ClassVar[tuple[str, ...]] = ("s", "train", "r", "gain", "delta")
    state: ClassVar[Mapping[str, float]] = {"v": 0.0, **SpikingNeuron.state, "fired": 0.0, "left": 0.0, "tested": 0.0}

    def s(self, fired: Array) -> Array:
        """1 where the threshold was passed at the end of the last step, else 0."""
        return fired.copy()

    def train(self, s: Array, dt: float) -> Array:
        """The spike train over unit_rate."""
        return s / (self.unit_rate * dt)

    def delta(self, error: Array, gain: Array) -> Array:
        """The error as the layer below needs it: error times gain."""
        return error * gain

    def unit(self) -> float:
        """The rate in Hz that a `train` counts as 1."""
        return self.unit_rate

    def expressions(self) -> dict[str, str]:
        """Brian2's reading of the published variables, all but the gain."""
        return {"s": "fired", "train": "s/(unit_rate*dt)", "r": "filtered", "delta": "error*gain"}
