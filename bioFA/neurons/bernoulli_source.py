"""Spiking stimulus source: in each step each neuron spikes with a probability that is the shown value.

    s = 1 with probability gain x, else 0
    train = s / gain                  its mean over time is the shown value
    tau_trace dr/dt = -r + train      the low-passed train, which plasticity sees

x is the row of `of` that belongs to this presentation; negative values give no spikes. Unlike a
`PoissonSource`, whose rate is in Hz, the number of spikes follows the number of steps.

Source: Bernoulli input coding of spiking broadcast alignment (Samadi, Lillicrap & Tweed (2017),
Neural Computation 29:578, as re-implemented with gain 0.25 in ngc-museum).
"""

from __future__ import annotations

from typing import Annotated

from annotated_types import Gt, Le

from bioFA.components import Number
from bioFA.neurons.base import Array
from bioFA.neurons.spiking_source import SpikingSource


class BernoulliSource(SpikingSource):
    """Spikes with probability gain x in each step."""

    gain: Annotated[Number, Gt(0), Le(1)] = 0.25

    def s(self, value: Array, chance: Array) -> Array:
        """1 where the neuron spikes in this step, else 0."""
        return (chance < self.gain * value).astype(float)

    def train(self, s: Array) -> Array:
        """The spikes over the gain."""
        return s / self.gain

    def expressions(self) -> dict[str, str]:
        """Brian2's reading of the published variables."""
        return {"s": "1.0*int(chance < gain*value)", "train": "s/gain", "r": "filtered"}
