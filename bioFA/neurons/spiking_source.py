"""What spiking stimulus sources have in common: spikes by chance, and their low-passed train.

    s = 1 where the number drawn for this neuron and step is below its chance of a spike
    tau_trace dr/dt = -r + train      the low-passed train, which plasticity sees

The trace decays exactly, towards the train of the step.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, ClassVar

from annotated_types import Gt

from bioFA.components import Number
from bioFA.neurons.base import Array, TaskSource
from bioFA.neurons.rate_source import RateSource
from bioFA.units import Unit


class SpikingSource(TaskSource):
    """A source that shows `value` in spikes."""

    tau_trace: Annotated[Number, Unit("s"), Gt(0)] = 10e-3

    family_name: ClassVar[str] = ""
    publishes: ClassVar[tuple[str, ...]] = ("value", "s", "train", "r")
    state: ClassVar[Mapping[str, float]] = {"filtered": 0.0}
    shown: ClassVar[str] = "value"
    draws: ClassVar[tuple[str, ...]] = ("chance",)
    events: ClassVar[tuple[str, ...]] = ("s", "train")
    sends: ClassVar[str] = "train"

    def value(self) -> None:
        """Shown, not computed."""

    def r(self, filtered: Array) -> Array:
        """The low-passed spike train."""
        return filtered.copy()

    def rate_unit(self) -> RateSource | None:
        """The source of the same values, where none is negative."""
        return RateSource(of=self.of)

    def advance(self, state: Mapping[str, Array], now: Mapping[str, Array], dt: float) -> dict[str, Array]:
        """The trace moves towards the train of this step by its share."""
        return {"filtered": state["filtered"] - math.expm1(-dt / self.tau_trace) * (now["train"] - state["filtered"])}

    def dynamics(self) -> str:
        """Brian2's reading of the trace."""
        return "dfiltered/dt = (train - filtered)/tau_trace : 1"

    def integration(self) -> str:
        """Exact for a train that is constant within the step."""
        return "exponential_euler"
