"""Leaky rate unit: the drive is integrated with a time constant.

    tau du/dt = -u + drive     r = phi(u)      gain = phi'(u)      delta = error gain

The rate is a function of the state, so each layer adds one step of delay. One step of length
dt moves u towards the drive of that step by a share of the distance: dt/tau with
`decay = "euler"`, 1 - exp(-dt/tau) with `decay = "exact"` (exact for a drive that is constant
within the step).

Source: Lillicrap et al. (2014), arXiv 1411.0247, main text (leaky units as the step from
static to spiking); Dayan & Abbott (2001), eq. 7.11.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from annotated_types import Gt

from bioFA.components import Number
from bioFA.neurons.activations import ACTIVATIONS, ActivationName
from bioFA.neurons.base import Array, NeuronModel
from bioFA.neurons.counterparts import RateUnit
from bioFA.neurons.static_rate import StaticRate
from bioFA.units import Unit


class LeakyRate(NeuronModel):
    """tau du/dt = -u + drive, r = phi(u)."""

    tau: Annotated[Number, Unit("s"), Gt(0)] = 10e-3
    activation: ActivationName = "linear"
    decay: Literal["euler", "exact"] = "euler"

    ports: ClassVar[tuple[str, ...]] = ("drive", "error", "probe", "perturbation")
    publishes: ClassVar[tuple[str, ...]] = ("r", "gain", "delta")
    state: ClassVar[Mapping[str, float]] = {"u": 0.0}

    def r(self, u: Array) -> Array:
        """Firing rate, dimensionless."""
        return ACTIVATIONS[self.activation].rate(u)

    def gain(self, r: Array) -> Array:
        """phi'(u), written in r."""
        return ACTIVATIONS[self.activation].gain(r)

    def delta(self, error: Array, gain: Array) -> Array:
        """The error as the layer below needs it: error times gain."""
        return error * gain

    def rate_unit(self) -> StaticRate:
        """The settled unit."""
        return StaticRate(activation=self.activation)

    def counterpart(self) -> RateUnit:
        """A leaky rate unit."""
        return RateUnit(self.activation, self.tau, self.decay)

    def advance(self, state: Mapping[str, Array], now: Mapping[str, Array], dt: float) -> dict[str, Array]:
        """u moves towards the drive by the share that `decay` names."""
        return {"u": state["u"] + self.share(self.tau, dt) * (now["drive"] - state["u"])}

    def signed(self, variable: str) -> bool:
        """The rate has the signs of its activation."""
        return ACTIVATIONS[self.activation].signed if variable == "r" else super().signed(variable)

    def expressions(self) -> dict[str, str]:
        """Brian2's reading of the published variables."""
        activation = ACTIVATIONS[self.activation]
        return {
            "r": activation.rate_expression.format(u="u"),
            "gain": activation.gain_expression,
            "delta": "error*gain",
        }

    def dynamics(self) -> str:
        """Brian2's reading of the differential equation."""
        return "du/dt = (-u + drive)/tau : 1"

    def integration(self) -> str:
        """Brian2's method for the decay rule."""
        return "euler" if self.decay == "euler" else "exponential_euler"
