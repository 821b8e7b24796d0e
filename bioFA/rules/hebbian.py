"""Hebb's rule with decay: what the synapse carries times the rate of the neuron that it reaches.

    T dw_ij/dt = eta r_i s_j - lambda w_ij                    i: postsynaptic, j: presynaptic

s_j is what the pathway carries. On a feedback synapse that carries an error it is the same product,
seen from the other side, by which the forward synapse from i to j learns: the two then grow alike
(Kolen-Pollack), and with decay their difference dies out. Driven by noise and its echo it measures
the forward weights (weight mirror).

Source: Kolen & Pollack (1994), Proc. ICNN 3:1375; Akrout et al. (2019), arXiv 1904.05391, eqs. for
the weight mirror and the Kolen-Pollack update.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge

from bioFA.components import Number, Rate
from bioFA.rules.base import Array, PlasticityRule


class Hebbian(PlasticityRule):
    """T dw/dt = learning_rate * rate * carried - decay * w."""

    learning_rate: Annotated[Number, Rate(), Ge(0)] = 1e-3
    decay: Annotated[Number, Rate(), Ge(0)] = 0.0

    reads_pre: ClassVar[tuple[str, ...]] = ("carried",)
    reads_post: ClassVar[tuple[str, ...]] = ("r",)
    equations: ClassVar[str] = "dw/dt = learning_rate * r_post * carried_pre / T - decay * w / T : 1"

    def step(
        self, synapses: Mapping[str, Array], pre: Mapping[str, Array], post: Mapping[str, Array], dt: float, T: float
    ) -> dict[str, Array]:
        """Outer product of the postsynaptic rate and what is carried."""
        dw = self.learning_rate * np.outer(post["r"], pre["carried"])
        return {"w": synapses["w"] + dt / T * (dw - self.decay * synapses["w"])}
