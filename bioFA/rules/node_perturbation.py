"""Node perturbation: noise on a neuron's input is correlated with a global reward.

    T dw_ij/dt = eta R z_i r_j,     z_i = xi_i / sigma^2,     R = L - L(perturbed)

xi_i is the noise that a perturbed copy of the circuit received in place of neuron i, L the
loss without it. On average the update is the gradient: E[R z_i] = -dL/du_i + O(sigma^2).
The reward arrives at the port `error`, the scaled noise z at the port `perturbation`.

Source: Lillicrap et al. (2014), arXiv 1411.0247, methods (reinforcement learning); Werfel,
Xie & Seung (2005), Neural Computation 17:2699, eq. 2.9.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge

from bioFA.components import Number, Rate
from bioFA.rules.base import Array, PlasticityRule


class NodePerturbation(PlasticityRule):
    """T dw/dt = learning_rate * reward * perturbation * presynaptic rate."""

    learning_rate: Annotated[Number, Rate(), Ge(0)] = 1e-3

    reads_pre: ClassVar[tuple[str, ...]] = ("r",)
    reads_post: ClassVar[tuple[str, ...]] = ("error", "perturbation")
    equations: ClassVar[str] = "dw/dt = learning_rate * error_post * perturbation_post * r_pre / T : 1"

    def step(
        self, synapses: Mapping[str, Array], pre: Mapping[str, Array], post: Mapping[str, Array], dt: float, T: float
    ) -> dict[str, Array]:
        """Outer product of reward times perturbation and the presynaptic rate."""
        eligibility = np.outer(post["perturbation"], pre["r"])
        return {"w": synapses["w"] + self.learning_rate * dt / T * post["error"][:, np.newaxis] * eligibility}
