"""Leaky integrate-and-fire neuron with exponential synapses and a refractory period.

    tau_syn dI/dt = -I + drive        tau dv/dt = -v + I
    s = 1 where v passes the threshold 1 outside the refractory period; then v is reset
    train = s / (unit_rate dt)        tau_trace dr/dt = -r + train
    gain = c1 c2 (1 - tanh^2(c2 I)) where I > 0, else 0 (surrogate = "rate")
    gain = 1 / (1 + steepness |v - 1|)^2                (surrogate = "fast_sigmoid")         delta = error gain

v is measured in units of the threshold's distance from rest. A step does four things in this order:
what arrives makes I jump by drive dt / tau_syn (a spike through a weight w by w / (unit_rate
tau_syn) of its sender); v and I decay for dt; the threshold is tested; v is reset. Spikes of one
step arrive in the next. For `refractory_period`, in whole steps, v stays at `v_reset`; I goes on.

`decay` = "exact" solves the equations of v and I (tau and tau_syn must differ), "euler" makes one Euler step.
`reset` = "to_value" puts v to `v_reset`, "subtract" takes the threshold off. `test` = "above" is
v > 1, "reach" v >= 1. The gain is the slope of max(0, c1 tanh(c2 I)), a smooth proxy of the rate
curve, with c1 = `proxy_height` and c2 = `proxy_slope`; or the pseudo-derivative of the spike itself, v being what the
last threshold test saw, before its reset.

Source: Dayan & Abbott (2001), eq. 5.8 and section 5.4; proxy: Samadi, Lillicrap & Tweed (2017),
Neural Computation 29:578; fast sigmoid: Zenke & Ganguli (2018), Neural Computation 30:1514, eq. 2.6.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import numpy as np
from annotated_types import Gt, Lt

from bioFA.components import Number
from bioFA.errors import OutOfRange
from bioFA.neurons.base import Array
from bioFA.neurons.counterparts import CurrentLif
from bioFA.neurons.integrate_and_fire import IntegrateAndFire
from bioFA.neurons.lif_rate import LifRate
from bioFA.units import Unit, steps_of


class Lif(IntegrateAndFire):
    """tau dv/dt = -v + I, with threshold and reset."""

    tau_syn: Annotated[Number, Unit("s"), Gt(0)] = 5e-3
    v_reset: Annotated[Number, Lt(1)] = 0.0
    proxy_height: Annotated[Number, Gt(0)] = 1.0
    proxy_slope: Annotated[Number, Gt(0)] = 0.5
    surrogate: Literal["rate", "fast_sigmoid"] = "rate"
    steepness: Annotated[Number, Gt(0)] = 10.0
    decay: Literal["euler", "exact"] = "exact"
    reset: Literal["to_value", "subtract"] = "to_value"
    test: Literal["above", "reach"] = "above"

    state: ClassVar[Mapping[str, float]] = {**IntegrateAndFire.state, "I": 0.0}
    watched: ClassVar[tuple[str, ...]] = ("v", "I", "r", "error")

    def model_post_init(self, context: object) -> None:
        """Refuse time constants for which the exact solution divides by zero."""
        if self.decay == "exact" and abs(self.tau - self.tau_syn) < 1e-6 * self.tau:
            raise OutOfRange(
                f"Lif.tau_syn must differ from tau = {self.tau:g} s with decay = 'exact'; got {self.tau_syn:g} s. Use"
                " decay = 'euler'.",
                at=("tau_syn",),
            )

    def gain(self, I: Array, tested: Array) -> Array:  # noqa: E741 - the current's name in every textbook
        """The slope of the smooth proxy of the rate curve, or the pseudo-derivative of the spike."""
        if self.surrogate == "fast_sigmoid":
            return 1.0 / (1.0 + self.steepness * np.abs(tested - 1.0)) ** 2
        slope = self.proxy_height * self.proxy_slope * (1.0 - np.tanh(self.proxy_slope * I) ** 2)
        return np.where(I > 0.0, slope, 0.0)

    def rate_unit(self) -> LifRate | None:
        """The unit with the rate curve of this neuron; None with the pseudo-derivative of a spike,
        which is no slope of that curve."""
        if self.surrogate == "fast_sigmoid":
            return None
        shared = {name: getattr(self, name) for name in LifRate.model_fields}
        return LifRate(**shared)

    def counterpart(self) -> CurrentLif:
        """The current-based neuron with exponential synapses."""
        return CurrentLif(
            self.tau, self.tau_syn, self.v_reset, self.refractory_period, self.decay, self.reset, self.test
        )

    def advance(self, state: Mapping[str, Array], now: Mapping[str, Array], dt: float) -> dict[str, Array]:
        """Arrival, decay, threshold test, reset."""
        v, current = state["v"], state["I"] + now["drive"] * dt / self.tau_syn
        if self.decay == "euler":
            v, current = v + dt / self.tau * (current - v), current - dt / self.tau_syn * current
        else:
            leak, fade = math.exp(-dt / self.tau), math.exp(-dt / self.tau_syn)
            v = v * leak + current * self.tau_syn / (self.tau_syn - self.tau) * (fade - leak)
            current = current * fade
        silent = state["left"] > 0
        v = np.where(silent, self.v_reset, v)
        left = np.where(silent, state["left"] - 1, state["left"])
        tested = v
        passed = (v > 1.0 if self.test == "above" else v >= 1.0) & ~silent
        v = np.where(passed, self.v_reset if self.reset == "to_value" else v - 1.0, v)
        left = np.where(passed, steps_of(self.refractory_period, dt), left)
        return {
            **super().advance(state, now, dt),
            "v": v,
            "I": current,
            "fired": passed.astype(float),
            "left": left,
            "tested": tested,
        }

    def expressions(self) -> dict[str, str]:
        """Brian2's reading of the published variables."""
        slopes = {
            "rate": "proxy_height*proxy_slope*(1 - tanh(proxy_slope*I)**2)*int(I > 0)",
            "fast_sigmoid": "1/(1 + steepness*abs(tested - 1))**2",
        }
        return super().expressions() | {"gain": slopes[self.surrogate]}

    def dynamics(self) -> str:
        """Brian2's reading of the differential equations."""
        return f"dv/dt = (-v + I)/tau : 1\ndI/dt = -I/tau_syn : 1\n{super().dynamics()}"

    def integration(self) -> str:
        """Brian2's method for the decay rule."""
        return self.decay

    def arrival(self) -> str:
        """Brian2's reading of what arriving spikes do at once."""
        return "I += drive*dt/tau_syn"

    def spiking(self) -> str:
        """Brian2's reading of refractoriness, threshold test and reset."""
        passed = "v > 1" if self.test == "above" else "v >= 1"
        value = "v_reset" if self.reset == "to_value" else "(v - 1)"
        return "\n".join((
            "v = v*int(left <= 0) + v_reset*int(left > 0)",
            "tested = v",
            f"fired = int({passed})*int(left <= 0)",
            "left = left - int(left > 0)",
            f"v = v*(1 - fired) + {value}*fired",
            "left = left*(1 - fired) + floor(refractory_period/dt + 0.5)*fired",
        ))
