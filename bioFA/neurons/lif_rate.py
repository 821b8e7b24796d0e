"""Rate unit with the rate curve of a leaky integrate-and-fire neuron: what `Lif` is on average under a steady current.

    r = 1 / (unit_rate (t_ref + tau ln((u - v_reset) / (u - 1)))) where u = drive > 1, else 0
    gain = c1 c2 (1 - tanh^2(c2 u)) where u > 0, else 0                delta = error gain

u is the mean current, in units of the threshold's distance from rest. The gain is the smooth proxy
that `Lif` uses, with c1 = `proxy_height` and c2 = `proxy_slope`, not the slope of the curve,
which has none at the threshold.

Source: Dayan & Abbott (2001), eq. 5.11; proxy: Samadi, Lillicrap & Tweed (2017), Neural Computation 29:578.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge, Gt, Lt

from bioFA.components import Number
from bioFA.neurons.base import Array, NeuronModel
from bioFA.units import Unit


class LifRate(NeuronModel):
    """The rate of a LIF neuron under a steady current, within the step."""

    tau: Annotated[Number, Unit("s"), Gt(0)] = 20e-3
    refractory_period: Annotated[Number, Unit("s"), Ge(0)] = 2e-3
    v_reset: Annotated[Number, Lt(1)] = 0.0
    unit_rate: Annotated[Number, Unit("Hz"), Gt(0)] = 100.0
    proxy_height: Annotated[Number, Gt(0)] = 1.0
    proxy_slope: Annotated[Number, Gt(0)] = 0.5

    ports: ClassVar[tuple[str, ...]] = ("drive", "error", "probe")
    publishes: ClassVar[tuple[str, ...]] = ("r", "gain", "delta")

    def r(self, drive: Array) -> Array:
        """The rate over unit_rate."""
        above = np.maximum(drive, 1.0 + 1e-12)
        interval = self.refractory_period + self.tau * np.log((above - self.v_reset) / (above - 1.0))
        return np.where(drive > 1.0, 1.0 / (self.unit_rate * interval), 0.0)

    def gain(self, drive: Array) -> Array:
        """The slope of the smooth proxy of the rate curve."""
        slope = self.proxy_height * self.proxy_slope * (1.0 - np.tanh(self.proxy_slope * drive) ** 2)
        return np.where(drive > 0.0, slope, 0.0)

    def delta(self, error: Array, gain: Array) -> Array:
        """The error as the layer below needs it: error times gain."""
        return error * gain

    def expressions(self) -> dict[str, str]:
        """Brian2's reading of the same equations."""
        above = "clip(drive, 1 + 1e-12, inf)"
        return {
            "r": f"int(drive > 1)/(unit_rate*(refractory_period + tau*log(({above} - v_reset)/({above} - 1))))",
            "gain": "proxy_height*proxy_slope*(1 - tanh(proxy_slope*drive)**2)*int(drive > 0)",
            "delta": "error*gain",
        }
