"""Stochastic sigmoid unit: an integrated drive sets the chance of a spike; nothing is reset.

    tau du/dt = -u + drive            rate = sigma(u) = 1 / (1 + exp(-u))
    s = 1 with probability max_rate dt rate, else 0
    train = s / (max_rate dt)         its mean over time is the rate
    tau_trace dr/dt = -r + train      gain = rate (1 - rate)      delta = error gain

Since the spikes follow the rate at every moment, the derivative of the rate is that of the
sigmoid; others see of the neuron only its spikes. `decay` is as in `LeakyRate`, for u and for r.

Source: Lillicrap et al. (2016), Nat. Commun. 7:13276 (spiking simulation: dynamic units with a
sigmoid that spike stochastically), as described by Hunsberger (2018), thesis, chapter on learning.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from annotated_types import Gt

from bioFA.components import Number
from bioFA.neurons.activations import ACTIVATIONS
from bioFA.neurons.base import Array
from bioFA.neurons.spiking_neuron import SpikingNeuron
from bioFA.neurons.static_rate import StaticRate
from bioFA.units import Unit


class StochasticSigmoid(SpikingNeuron):
    """Spikes with the probability that a sigmoid of the integrated drive gives."""

    tau: Annotated[Number, Unit("s"), Gt(0)] = 10e-3
    tau_trace: Annotated[Number, Unit("s"), Gt(0)] = 10e-3
    max_rate: Annotated[Number, Unit("Hz"), Gt(0)] = 100.0
    decay: Literal["euler", "exact"] = "exact"

    ports: ClassVar[tuple[str, ...]] = ("drive", "error", "probe")
    publishes: ClassVar[tuple[str, ...]] = ("rate", "s", "train", "r", "gain", "delta")
    state: ClassVar[Mapping[str, float]] = {"u": 0.0, **SpikingNeuron.state}
    draws: ClassVar[tuple[str, ...]] = ("chance",)
    watched: ClassVar[tuple[str, ...]] = ("u", "r", "error")

    def rate(self, u: Array) -> Array:
        """The rate over max_rate, which only the neuron itself knows."""
        return ACTIVATIONS["logistic"].rate(u)

    def s(self, rate: Array, chance: Array, dt: float) -> Array:
        """1 where the neuron spikes in this step, else 0."""
        return (chance < rate * self.max_rate * dt).astype(float)

    def train(self, s: Array, dt: float) -> Array:
        """The spike train over max_rate."""
        return s / (self.max_rate * dt)

    def gain(self, rate: Array) -> Array:
        """sigma'(u), written in the rate."""
        return rate * (1.0 - rate)

    def delta(self, error: Array, gain: Array) -> Array:
        """The error as the layer below needs it: error times gain."""
        return error * gain

    def rate_unit(self) -> StaticRate:
        """The logistic unit."""
        return StaticRate(activation="logistic")

    def unit(self) -> float:
        """The rate in Hz that a `train` counts as 1."""
        return self.max_rate

    def advance(self, state: Mapping[str, Array], now: Mapping[str, Array], dt: float) -> dict[str, Array]:
        """u moves towards the drive, and the trace towards the train, each by its share."""
        return {
            **super().advance(state, now, dt),
            "u": state["u"] + self.share(self.tau, dt) * (now["drive"] - state["u"]),
        }

    def expressions(self) -> dict[str, str]:
        """Brian2's reading of the published variables."""
        return {
            "rate": ACTIVATIONS["logistic"].rate_expression.format(u="u"), "s": "1.0*int(chance < rate*max_rate*dt)",
            "train": "s/(max_rate*dt)", "r": "filtered", "gain": "rate*(1 - rate)", "delta": "error*gain",
        }

    def dynamics(self) -> str:
        """Brian2's reading of the differential equations."""
        return f"du/dt = (-u + drive)/tau : 1\n{super().dynamics()}"

    def integration(self) -> str:
        """Brian2's method for the decay rule."""
        return "euler" if self.decay == "euler" else "exponential_euler"
