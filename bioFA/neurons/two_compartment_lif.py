"""Leaky integrate-and-fire neuron with a dendrite that integrates the error and leaves the soma alone.

    tau_dendrite dU/dt = -U + error                    published as `dendrite`
    gain = 1 where gate_low < I < gate_high, else 0    delta = dendrite gain

The soma is a `Lif` in everything else: current I, potential v, threshold, reset, refractory period,
traces. The gain is a boxcar of the somatic current, the slope of a piecewise linear rate curve in
place of the smooth proxy; plasticity is driven by the dendrite and gated by it.

Source: Neftci, Augustine, Paul & Detorakis (2017), Front. Neurosci. 11:324, methods: two-compartment
integrate-and-fire neuron, whose dendritic compartment integrates the error spikes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Gt

from bioFA.components import Number
from bioFA.errors import OutOfRange
from bioFA.neurons.base import Array
from bioFA.neurons.counterparts import CurrentLif
from bioFA.neurons.lif import Lif
from bioFA.units import Unit


class TwoCompartmentLif(Lif):
    """A `Lif` soma beside tau_dendrite dU/dt = -U + error."""

    tau_dendrite: Annotated[Number, Unit("s"), Gt(0)] = 20e-3
    gate_low: Number = -1.0
    gate_high: Number = 4.0

    publishes: ClassVar[tuple[str, ...]] = ("dendrite", *Lif.publishes)
    state: ClassVar[Mapping[str, float]] = {**Lif.state, "U": 0.0}
    watched: ClassVar[tuple[str, ...]] = ("v", "I", "r", "error", "dendrite")

    def model_post_init(self, context: object) -> None:
        """Refuse a gate that is never open."""
        super().model_post_init(context)
        if self.gate_low >= self.gate_high:
            raise OutOfRange(
                f"TwoCompartmentLif.gate_low must be < gate_high = {self.gate_high:g}; got {self.gate_low:g}. No"
                " synapse would ever learn.",
                at=("gate_low",),
            )

    def dendrite(self, U: Array) -> Array:
        """The low-passed error."""
        return U.copy()

    def rate_unit(self) -> None:
        """None: a gate has no counterpart in the mean current."""

    def counterpart(self) -> CurrentLif:
        """The soma, beside a dendrite."""
        return dataclasses.replace(super().counterpart(), dendrite=True)

    def gain(self, I: Array) -> Array:  # type: ignore[override]  # noqa: E741 - the current's name in every textbook
        """The boxcar of the somatic current."""
        return ((self.gate_low < I) & (self.gate_high > I)).astype(float)

    def delta(self, dendrite: Array, gain: Array) -> Array:
        """The error as the layer below needs it: the dendrite's, gated."""
        return dendrite * gain

    def advance(self, state: Mapping[str, Array], now: Mapping[str, Array], dt: float) -> dict[str, Array]:
        """The soma as in `Lif`; U moves towards the error by its share."""
        return {
            **super().advance(state, now, dt),
            "U": state["U"] + self.share(self.tau_dendrite, dt) * (np.asarray(now["error"]) - state["U"]),
        }

    def expressions(self) -> dict[str, str]:
        """Brian2's reading of the published variables."""
        return super().expressions() | {
            "gain": "1.0*int(I > gate_low)*int(I < gate_high)",
            "dendrite": "U",
            "delta": "dendrite*gain",
        }

    def dynamics(self) -> str:
        """Brian2's reading of the differential equations."""
        return f"{super().dynamics()}\ndU/dt = (-U + error)/tau_dendrite : 1"
