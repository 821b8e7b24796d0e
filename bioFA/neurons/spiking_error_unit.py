"""Spiking error unit: integrates the mismatch of one sign and spikes whenever a whole unit of it has gathered.

    mismatch = target - prediction
    dv/dt = p unit_rate mismatch, v >= 0      p = +1 with polarity "on", -1 with "off"
    s = 1 where v reaches the threshold 1; then 1 is taken off v
    train = p s / (unit_rate dt)
    tau_trace dr/dt = -r + train

Two populations, "on" and "off", carry the signed error: the one spikes for a positive mismatch, the
other for a negative one, and `train` has the sign that its spikes stand for, so for a steady mismatch of at
most 1 / (unit_rate dt) the sum of the two trains has the mismatch as its mean over many spikes. In a short
time it is coarse: a mismatch that does not gather a whole unit before a reset, below 1 / (unit_rate t) in t
seconds, is not sent at all. That v stops at 0 lets a unit answer at once when the
mismatch turns to its sign; where the mismatch fluctuates about 0, both spike and cancel on average only.
Integration is Euler's, which is exact for ports that are constant within a step.

Source: Neftci, Augustine, Paul & Detorakis (2017), Front. Neurosci. 11:324, methods, error-coding
neurons (pairs that integrate the difference of prediction and label spikes); pairs of error
populations: Samadi, Lillicrap & Tweed (2017), Neural Computation 29:578.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import numpy as np
from annotated_types import Gt

from bioFA.components import Number
from bioFA.neurons.base import Array
from bioFA.neurons.spiking_neuron import SpikingNeuron
from bioFA.units import Unit


class SpikingErrorUnit(SpikingNeuron):
    """dv/dt = unit_rate (target - prediction), or its negative, with a threshold."""

    polarity: Literal["on", "off"] = "on"
    unit_rate: Annotated[Number, Unit("Hz"), Gt(0)] = 100.0

    ports: ClassVar[tuple[str, ...]] = ("target", "prediction")
    publishes: ClassVar[tuple[str, ...]] = ("mismatch", "loss", "s", "train", "r")
    state: ClassVar[Mapping[str, float]] = {"v": 0.0, **SpikingNeuron.state, "fired": 0.0}
    both_signs: ClassVar[tuple[str, ...]] = (*SpikingNeuron.both_signs, "target", "prediction", "mismatch")
    watched: ClassVar[tuple[str, ...]] = ("mismatch", "v", "r")

    def required_ports(self) -> tuple[str, ...]:
        """Target and prediction."""
        return ("target", "prediction")

    def opponent(self) -> SpikingErrorUnit:
        """The unit that carries the other sign."""
        opponent: SpikingErrorUnit = self.replace(polarity="off" if self.polarity == "on" else "on")
        return opponent

    def mismatch(self, target: Array, prediction: Array) -> Array:
        """Target minus prediction."""
        return target - prediction

    def loss(self, mismatch: Array) -> Array:
        """This output's share of the squared error."""
        return 0.5 * mismatch * mismatch

    def s(self, fired: Array) -> Array:
        """1 where the threshold was reached at the end of the last step, else 0."""
        return fired.copy()

    def train(self, s: Array, dt: float) -> Array:
        """The signed spike train over unit_rate."""
        return (s if self.polarity == "on" else -s) / (self.unit_rate * dt)

    def advance(self, state: Mapping[str, Array], now: Mapping[str, Array], dt: float) -> dict[str, Array]:
        """Integration, the bound at 0, threshold test, and what the spike takes."""
        mismatch = now["mismatch"] if self.polarity == "on" else -now["mismatch"]
        v = np.maximum(state["v"] + dt * self.unit_rate * mismatch, 0.0)
        passed = v >= 1.0
        return {**super().advance(state, now, dt), "v": np.where(passed, v - 1.0, v), "fired": passed.astype(float)}

    def expressions(self) -> dict[str, str]:
        """Brian2's reading of the published variables."""
        sign = "" if self.polarity == "on" else "-"
        return {
            "mismatch": "target - prediction",
            "loss": "mismatch**2/2",
            "s": "fired",
            "train": f"{sign}s/(unit_rate*dt)",
            "r": "filtered",
        }

    def spiking(self) -> str:
        """Brian2's reading of integration (by statements, for the bound of v), threshold test,
        and what the spike takes."""
        sign = "" if self.polarity == "on" else "-"
        return "\n".join(
            (f"v = clip(v + dt*unit_rate*({sign}mismatch), 0, inf)", "fired = 1.0*int(v >= 1)", "v = v - fired")
        )
