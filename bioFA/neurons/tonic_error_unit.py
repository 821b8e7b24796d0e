"""Tonic error unit: one spiking neuron whose rate above or below a baseline is a signed error.

    mismatch = target - prediction
    tau du/dt = -u + mismatch             rate = sigma(u / width) = 1 / (1 + exp(-u / width))
    s = 1 with probability max_rate dt rate, else 0; without an error it spikes at max_rate / 2
    train = 4 width (s / (max_rate dt) - 1/2)
    tau_trace dr/dt = -r + train

Whoever receives `train` takes the baseline off, so that its mean over time is 4 width (sigma(u / width) - 1/2),
which is u for small errors and saturates at 2 width. The error needs no second population, but its
neurons are never silent. `decay` is as in `LeakyRate`, for u and for r.

Source: Lillicrap et al. (2016), Nat. Commun. 7:13276 (spiking simulation: feedback by a population of
sigmoid units centred on zero, positive and negative errors above and below a tonic rate, as of climbing
fibres), as described by Hunsberger (2018), thesis, chapter on learning.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from annotated_types import Gt

from bioFA.components import Number
from bioFA.neurons.activations import ACTIVATIONS
from bioFA.neurons.base import Array
from bioFA.neurons.spiking_neuron import SpikingNeuron
from bioFA.units import Unit


class TonicErrorUnit(SpikingNeuron):
    """Spikes by chance, at a rate about a baseline that a sigmoid of the integrated mismatch gives."""

    tau: Annotated[Number, Unit("s"), Gt(0)] = 5e-3
    max_rate: Annotated[Number, Unit("Hz"), Gt(0)] = 200.0
    width: Annotated[Number, Gt(0)] = 0.5
    decay: Literal["euler", "exact"] = "exact"

    ports: ClassVar[tuple[str, ...]] = ("target", "prediction")
    publishes: ClassVar[tuple[str, ...]] = ("mismatch", "loss", "rate", "s", "train", "r")
    state: ClassVar[Mapping[str, float]] = {"u": 0.0, **SpikingNeuron.state}
    draws: ClassVar[tuple[str, ...]] = ("chance",)
    both_signs: ClassVar[tuple[str, ...]] = (
        *SpikingNeuron.both_signs,
        "target",
        "prediction",
        "mismatch",
        "train",
        "r",
    )
    baseline: ClassVar[str] = "train"
    events: ClassVar[tuple[str, ...]] = ("s",)
    watched: ClassVar[tuple[str, ...]] = ("mismatch", "u", "r")

    def required_ports(self) -> tuple[str, ...]:
        """Target and prediction."""
        return ("target", "prediction")

    def mismatch(self, target: Array, prediction: Array) -> Array:
        """Target minus prediction."""
        return target - prediction

    def loss(self, mismatch: Array) -> Array:
        """This output's share of the squared error."""
        return 0.5 * mismatch * mismatch

    def rate(self, u: Array) -> Array:
        """The rate over max_rate; 1/2 is the baseline."""
        return ACTIVATIONS["logistic"].rate(u / self.width)

    def s(self, rate: Array, chance: Array, dt: float) -> Array:
        """1 where the neuron spikes in this step, else 0."""
        return (chance < rate * self.max_rate * dt).astype(float)

    def train(self, s: Array, dt: float) -> Array:
        """The spike train above its baseline, in units of the mismatch."""
        return 4.0 * self.width * (s / (self.max_rate * dt) - 0.5)

    def advance(self, state: Mapping[str, Array], now: Mapping[str, Array], dt: float) -> dict[str, Array]:
        """u moves towards the mismatch, and the trace towards the train, each by its share."""
        return {
            **super().advance(state, now, dt),
            "u": state["u"] + self.share(self.tau, dt) * (now["mismatch"] - state["u"]),
        }

    def expressions(self) -> dict[str, str]:
        """Brian2's reading of the published variables."""
        return {
            "mismatch": "target - prediction",
            "loss": "mismatch**2/2",
            "rate": "1/(1 + exp(-u/width))",
            "s": "1.0*int(chance < rate*max_rate*dt)",
            "train": "4*width*(s/(max_rate*dt) - 0.5)",
            "r": "filtered",
        }

    def dynamics(self) -> str:
        """Brian2's reading of the differential equations."""
        return f"du/dt = (-u + mismatch)/tau : 1\n{super().dynamics()}"

    def integration(self) -> str:
        """Brian2's method for the decay rule."""
        return "euler" if self.decay == "euler" else "exponential_euler"
