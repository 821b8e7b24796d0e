"""Weight perturbation: noise on a synapse's weight is correlated with a global reward.

    T dw_ij/dt = eta R xi_ij,     R = (L - L(perturbed)) / sigma^2

xi_ij is the noise, of standard deviation sigma, that a perturbed copy of the circuit has on the weight
of this synapse (its partner), L the loss without it. On average the update is the gradient:
E[R xi_ij] = -dL/dw_ij + O(sigma^2). The scaled reward arrives at the port `error`.

Source: Jabri & Flower (1992), IEEE Trans. Neural Networks 3:154; Cauwenberghs (1993), NIPS 5:244
(all weights perturbed at once).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge

from bioFA.components import Number, Rate
from bioFA.rules.base import Array, PlasticityRule


class WeightPerturbation(PlasticityRule):
    """T dw/dt = learning_rate * reward * the partner's weight."""

    learning_rate: Annotated[Number, Rate(), Ge(0)] = 1e-3

    reads_post: ClassVar[tuple[str, ...]] = ("error",)
    equations: ClassVar[str] = "dw/dt = learning_rate * error_post * w_partner / T : 1"
    needs_partner: ClassVar[bool] = True

    def step(
        self, synapses: Mapping[str, Array], pre: Mapping[str, Array], post: Mapping[str, Array], dt: float, T: float
    ) -> dict[str, Array]:
        """Each row of the noise times the reward that its neuron hears."""
        return {"w": synapses["w"] + self.learning_rate * dt / T * post["error"][:, np.newaxis] * synapses["w_partner"]}
