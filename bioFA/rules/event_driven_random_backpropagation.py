"""Event-driven random backpropagation: on each presynaptic spike, the dendrite's error, gated by the somatic current.

    T dw_ij/dt = eta U_i gain_i s_j            i: postsynaptic, j: presynaptic

s_j is what the pathway carries: the presynaptic spike train, so that a synapse changes in the moment of
a spike, by eta U_i / (T unit_rate_j) where the postsynaptic gate is open (`gain`, the boxcar b_min < I_i <
b_max of `TwoCompartmentLif`), and not at all between spikes. U_i, the `dendrite`, is the low-passed error,
target minus prediction, as it arrives through fixed random weights; hence the plus sign.

Source: Neftci, Augustine, Paul & Detorakis (2017), Front. Neurosci. 11:324, the eRBP rule:
dw_ij proportional to T_i(t) Theta(I_i(t)) S_j(t), with T the dendritic error and Theta the boxcar.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge

from bioFA.components import Number, Rate
from bioFA.rules.base import Array, PlasticityRule


class EventDrivenRandomBackpropagation(PlasticityRule):
    """T dw/dt = learning_rate * dendrite * gain * carried."""

    learning_rate: Annotated[Number, Rate(), Ge(0)] = 1e-3

    reads_pre: ClassVar[tuple[str, ...]] = ("carried",)
    reads_post: ClassVar[tuple[str, ...]] = ("dendrite", "gain")
    equations: ClassVar[str] = "dw/dt = learning_rate * dendrite_post * gain_post * carried_pre / T : 1"

    def step(
        self, synapses: Mapping[str, Array], pre: Mapping[str, Array], post: Mapping[str, Array], dt: float, T: float
    ) -> dict[str, Array]:
        """Only the columns of presynaptic neurons that carry something change."""
        w, carried = synapses["w"].copy(), pre["carried"]
        for j in np.flatnonzero(carried):
            w[:, j] += dt / T * self.learning_rate * carried[j] * post["dendrite"] * post["gain"]
        return {"w": w}
