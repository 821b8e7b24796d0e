"""Error unit: a neuron whose activity is the mismatch between a target and a prediction.

    mismatch = target - prediction
    r        = mismatch                 (carries_gain = false)
    r        = mismatch gain            (carries_gain = true; gain = phi'(u) of the output unit)
    loss     = mismatch^2 / 2

`carries_gain` decides what the circuit descends. With it, r = -dL/du for the squared error
L = sum(mismatch^2)/2. Without it, r = -dL/du for the loss that matches the output's
activation: squared error for linear units, cross-entropy for logistic ones. For tanh outputs
no such standard loss exists, and r is an error signal but not the gradient of the squared error.

Source: Lillicrap et al. (2014), arXiv 1411.0247: e = y* - y; the paper's updates read as
carries_gain = false.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Strict

from bioFA.neurons.base import Array, NeuronModel
from bioFA.neurons.counterparts import Difference


class ErrorUnit(NeuronModel):
    """r = target - prediction, times the output's gain where `carries_gain`."""

    carries_gain: Annotated[bool, Strict()] = False

    ports: ClassVar[tuple[str, ...]] = ("target", "prediction", "gain")
    publishes: ClassVar[tuple[str, ...]] = ("mismatch", "r", "loss")
    both_signs: ClassVar[tuple[str, ...]] = (*NeuronModel.both_signs, "target", "prediction", "mismatch", "r")

    def counterpart(self) -> Difference:
        """A unit that subtracts."""
        return Difference(self.carries_gain)

    def required_ports(self) -> tuple[str, ...]:
        """Target and prediction; the gain where it is carried."""
        return ("target", "prediction", "gain") if self.carries_gain else ("target", "prediction")

    def unread_ports(self) -> tuple[str, ...]:
        """The gain, where it is not carried."""
        return () if self.carries_gain else ("gain",)

    def mismatch(self, target: Array, prediction: Array) -> Array:
        """Target minus prediction."""
        return target - prediction

    def r(self, mismatch: Array, gain: Array) -> Array:
        """What feedback pathways carry."""
        return mismatch * gain if self.carries_gain else mismatch.copy()

    def loss(self, mismatch: Array) -> Array:
        """This output's share of the squared error."""
        return 0.5 * mismatch * mismatch

    def expressions(self) -> dict[str, str]:
        """Brian2's reading of the same equations."""
        carried = "mismatch*gain" if self.carries_gain else "mismatch"
        return {"mismatch": "target - prediction", "r": carried, "loss": "mismatch**2/2"}
