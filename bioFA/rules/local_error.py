"""Descent on an error that is present at the synapse, for hidden neurons.

    T dw_ij/dt = eta e_i phi'(u_i) r_j - lambda w_ij          i: postsynaptic, j: presynaptic

Which weights carried e_i here is the circuit's affair: fixed random feedback makes this
feedback alignment; transposed forward weights, backpropagation. lambda is the weight decay
per presentation.

Source: Lillicrap et al. (2014), arXiv 1411.0247, methods: dW0 = eta (B e * phi') x'.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge

from bioFA.components import Number, Rate
from bioFA.rules.base import Array, PlasticityRule


class LocalError(PlasticityRule):
    """T dw/dt = learning_rate * error * gain * presynaptic rate - decay * w."""

    learning_rate: Annotated[Number, Rate(), Ge(0)] = 1e-3
    decay: Annotated[Number, Rate(), Ge(0)] = 0.0

    reads_pre: ClassVar[tuple[str, ...]] = ("r",)
    reads_post: ClassVar[tuple[str, ...]] = ("error", "gain")
    equations: ClassVar[str] = "dw/dt = learning_rate * error_post * gain_post * r_pre / T - decay * w / T : 1"

    def step(
        self, synapses: Mapping[str, Array], pre: Mapping[str, Array], post: Mapping[str, Array], dt: float, T: float
    ) -> dict[str, Array]:
        """Outer product of the gated error and the presynaptic rate."""
        dw = self.learning_rate * np.outer(post["error"] * post["gain"], pre["r"])
        return {"w": synapses["w"] + dt / T * (dw - self.decay * synapses["w"])}
