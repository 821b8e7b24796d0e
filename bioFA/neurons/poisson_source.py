"""Spiking stimulus source: shows the inputs, or the targets, as independent Poisson-like spikes.

    p = max_rate dt max(x, 0)         the chance of a spike in a step; with polarity "off", max(-x, 0)
    s = 1 with probability p, else 0
    train = s / (max_rate dt)         its mean over time is the shown value
    tau_trace dr/dt = -r + train      the low-passed train, which plasticity sees

x is the row of `of` that belongs to this presentation. One source shows one sign; two of them, "on"
and "off", show signed values. In the limit of small dt the spikes are a Poisson process; where p
reaches 1 there is one spike in every step.

Source: Dayan & Abbott (2001), section 1.4 (Poisson spike generator, one Bernoulli draw a step).
"""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Gt

from bioFA.components import Number
from bioFA.neurons.base import Array
from bioFA.neurons.spiking_source import SpikingSource
from bioFA.units import Unit


class PoissonSource(SpikingSource):
    """Spikes at the rate max_rate x."""

    polarity: Literal["on", "off"] = "on"
    max_rate: Annotated[Number, Unit("Hz"), Gt(0)] = 100.0

    def s(self, value: Array, chance: Array, dt: float) -> Array:
        """1 where the neuron spikes in this step, else 0."""
        signed = value if self.polarity == "on" else -value
        return (chance < signed * self.max_rate * dt).astype(float)

    def train(self, s: Array, dt: float) -> Array:
        """The spike train over max_rate."""
        return s / (self.max_rate * dt)

    def unit(self) -> float:
        """The rate in Hz that a `train` counts as 1."""
        return self.max_rate

    def expressions(self) -> dict[str, str]:
        """Brian2's reading of the published variables."""
        sign = "" if self.polarity == "on" else "-"
        return {"s": f"1.0*int(chance < {sign}value*max_rate*dt)", "train": "s/(max_rate*dt)", "r": "filtered"}
