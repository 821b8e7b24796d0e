"""Static rate unit: no time constant, the whole network settles within one step.

    u = drive                  r = phi(u)      gain = phi'(u)      delta = error gain

`error` is what feedback pathways carry to the unit; `delta` is what it passes on to the
layer below. Nothing reads `probe`: it is an electrode, where a second feedback signal can be
measured against the first. `perturbation` is noise that a rule may correlate with an outcome.

Source: Lillicrap et al. (2014), arXiv 1411.0247, methods (linear, tanh and logistic units).
"""

from __future__ import annotations

from typing import ClassVar

from bioFA.neurons.activations import ACTIVATIONS, ActivationName
from bioFA.neurons.base import Array, NeuronModel
from bioFA.neurons.counterparts import RateUnit


class StaticRate(NeuronModel):
    """r = phi(drive), within the step."""

    activation: ActivationName = "linear"

    ports: ClassVar[tuple[str, ...]] = ("drive", "error", "probe", "perturbation")
    publishes: ClassVar[tuple[str, ...]] = ("r", "gain", "delta")

    def r(self, drive: Array) -> Array:
        """Firing rate, dimensionless."""
        return ACTIVATIONS[self.activation].rate(drive)

    def gain(self, r: Array) -> Array:
        """phi'(u), written in r."""
        return ACTIVATIONS[self.activation].gain(r)

    def delta(self, error: Array, gain: Array) -> Array:
        """The error as the layer below needs it: error times gain."""
        return error * gain

    def counterpart(self) -> RateUnit:
        """A rate unit without time constant."""
        return RateUnit(self.activation)

    def signed(self, variable: str) -> bool:
        """The rate has the signs of its activation."""
        return ACTIVATIONS[self.activation].signed if variable == "r" else super().signed(variable)

    def expressions(self) -> dict[str, str]:
        """Brian2's reading of the same equations."""
        activation = ACTIVATIONS[self.activation]
        return {
            "r": activation.rate_expression.format(u="drive"),
            "gain": activation.gain_expression,
            "delta": "error*gain",
        }
