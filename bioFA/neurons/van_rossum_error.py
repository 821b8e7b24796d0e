"""Error unit for spike trains: the difference of two trains, filtered as the van Rossum distance filters it.

    mismatch = target - prediction                      two spike trains
    tau_rise dx/dt = -x + mismatch                      alpha, first filter
    tau_decay de/dt = -e + x        r = e               alpha, second filter: r = alpha * (S_target - S)
    distance = (1/2) int r^2 dt / tau_decay             since the presentation began
    power    = (1/2) int (alpha * S_target)^2 dt / tau_decay      the distance to a silent neuron

alpha has unit area. r is what feedback pathways carry. Each filter moves by the share 1 - exp(-dt/tau) towards
what it receives, as that was when the step began. `Protocol.reset` begins both integrals anew.

Source: van Rossum (2001), Neural Computation 13:751; Zenke & Ganguli (2018), Neural Computation
30:1514, eq. 2.1 (the double exponential alpha).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, ClassVar

from annotated_types import Gt

from bioFA.components import Number
from bioFA.neurons.base import Array, NeuronModel
from bioFA.units import Unit


class VanRossumError(NeuronModel):
    """r = alpha * (target - prediction)."""

    tau_rise: Annotated[Number, Unit("s"), Gt(0)] = 5e-3
    tau_decay: Annotated[Number, Unit("s"), Gt(0)] = 10e-3

    ports: ClassVar[tuple[str, ...]] = ("target", "prediction")
    publishes: ClassVar[tuple[str, ...]] = ("mismatch", "r", "distance", "power")
    state: ClassVar[Mapping[str, float]] = {
        "rising": 0.0,
        "filtered": 0.0,
        "target_rising": 0.0,
        "target_filtered": 0.0,
        "distance_so_far": 0.0,
        "power_so_far": 0.0,
    }
    both_signs: ClassVar[tuple[str, ...]] = (*NeuronModel.both_signs, "target", "prediction", "mismatch", "r")
    compares: ClassVar[str] = "train"
    measures: ClassVar[tuple[str, ...]] = ("distance", "power")

    def required_ports(self) -> tuple[str, ...]:
        """Target and prediction."""
        return ("target", "prediction")

    def mismatch(self, target: Array, prediction: Array) -> Array:
        """Target minus prediction."""
        return target - prediction

    def r(self, filtered: Array) -> Array:
        """What feedback pathways carry."""
        return filtered.copy()

    def distance(self, distance_so_far: Array, r: Array, dt: float) -> Array:
        """Half the integral of r^2 over tau_decay, with this step."""
        return distance_so_far + 0.5 * dt / self.tau_decay * r * r

    def power(self, power_so_far: Array, target_filtered: Array, dt: float) -> Array:
        """The same of the target alone."""
        return power_so_far + 0.5 * dt / self.tau_decay * target_filtered * target_filtered

    def advance(self, state: Mapping[str, Array], now: Mapping[str, Array], dt: float) -> dict[str, Array]:
        """Each filter moves towards what it receives; the integrals grow."""
        rise, decay = -math.expm1(-dt / self.tau_rise), -math.expm1(-dt / self.tau_decay)
        return {
            "rising": state["rising"] + rise * (now["mismatch"] - state["rising"]),
            "filtered": state["filtered"] + decay * (state["rising"] - state["filtered"]),
            "target_rising": state["target_rising"] + rise * (now["target"] - state["target_rising"]),
            "target_filtered": state["target_filtered"] + decay * (state["target_rising"] - state["target_filtered"]),
            "distance_so_far": now["distance"].copy(),
            "power_so_far": now["power"].copy(),
        }

    def expressions(self) -> dict[str, str]:
        """Brian2's reading of the published variables."""
        return {
            "mismatch": "target - prediction", "r": "filtered", "distance": "distance_so_far + dt*r**2/(2*tau_decay)",
            "power": "power_so_far + dt*target_filtered**2/(2*tau_decay)",
        }

    def dynamics(self) -> str:
        """Brian2's reading of the filters."""
        return "\n".join((
            "drising/dt = (mismatch - rising)/tau_rise : 1",
            "dfiltered/dt = (rising - filtered)/tau_decay : 1",
            "dtarget_rising/dt = (target - target_rising)/tau_rise : 1",
            "dtarget_filtered/dt = (target_rising - target_filtered)/tau_decay : 1",
        ))

    def integration(self) -> str:
        """Exact for what is constant within the step."""
        return "exponential_euler"

    def spiking(self) -> str:
        """Brian2's reading of the integrals."""
        return "distance_so_far = distance\npower_so_far = power"
