"""Spiking stimulus source: in each step each neuron spikes with a probability that is the shown value.

    s = 1 with probability gain x, else 0
    train = s / gain                  its mean over time is the shown value
    tau_trace dr/dt = -r + train      the low-passed train, which plasticity sees

x is the row of `of` that belongs to this presentation; negative values give no spikes. Unlike a
`PoissonSource`, whose rate is in Hz, the number of spikes follows the number of steps.

Source: Bernoulli input coding of spiking broadcast alignment (Samadi, Lillicrap & Tweed (2017),
Neural Computation 29:578, as re-implemented with gain 0.25 in ngc-museum).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from annotated_types import Gt, Le

from bioFA.components import Number
from bioFA.neurons.base import Array, NeuronModel
from bioFA.units import Unit


class BernoulliSource(NeuronModel):
    """Spikes with probability gain x in each step."""

    of: Literal["inputs", "targets"] = "inputs"
    gain: Annotated[Number, Gt(0), Le(1)] = 0.25
    tau_trace: Annotated[Number, Unit("s"), Gt(0)] = 10e-3

    publishes: ClassVar[tuple[str, ...]] = ("value", "s", "train", "r")
    state: ClassVar[Mapping[str, float]] = {"filtered": 0.0}
    shows: ClassVar[str | None] = "task"
    shown: ClassVar[str] = "value"
    draws: ClassVar[tuple[str, ...]] = ("chance",)
    events: ClassVar[tuple[str, ...]] = ("s", "train")
    sends: ClassVar[str] = "train"

    def value(self) -> None:
        """Shown, not computed."""

    def s(self, value: Array, chance: Array) -> Array:
        """1 where the neuron spikes in this step, else 0."""
        return (chance < self.gain * value).astype(float)

    def train(self, s: Array) -> Array:
        """The spikes over the gain."""
        return s / self.gain

    def r(self, filtered: Array) -> Array:
        """The low-passed spike train."""
        return filtered.copy()

    def advance(self, state: Mapping[str, Array], now: Mapping[str, Array], dt: float) -> dict[str, Array]:
        """The trace decays exactly, towards the train of this step."""
        return {"filtered": state["filtered"] - math.expm1(-dt / self.tau_trace) * (now["train"] - state["filtered"])}

    def expressions(self) -> dict[str, str]:
        """Brian2's reading of the published variables."""
        return {"s": "1.0*int(chance < gain*value)", "train": "s/gain", "r": "filtered"}

    def dynamics(self) -> str:
        """Brian2's reading of the trace."""
        return "dfiltered/dt = (train - filtered)/tau_trace : 1"

    def integration(self) -> str:
        """Exact for a train that is constant within the step."""
        return "exponential_euler"
