"""The delta rule: the synapse descends the error that its neuron receives, as it is.

    T dw_ij/dt = eta e_i r_j - lambda w_ij                    i: postsynaptic, j: presynaptic

For output neurons, whose error unit already decides whether the gain is part of the error
(`ErrorUnit.carries_gain`). lambda is the weight decay per presentation.

Source: Widrow & Hoff (1960); Lillicrap et al. (2014), arXiv 1411.0247, methods: dW = eta e h'.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge

from bioFA.components import Number, Rate
from bioFA.rules.base import Array, PlasticityRule


class DeltaRule(PlasticityRule):
    """T dw/dt = learning_rate * error * presynaptic rate - decay * w."""

    learning_rate: Annotated[Number, Rate(), Ge(0)] = 1e-3
    decay: Annotated[Number, Rate(), Ge(0)] = 0.0

    reads_pre: ClassVar[tuple[str, ...]] = ("r",)
    reads_post: ClassVar[tuple[str, ...]] = ("error",)
    equations: ClassVar[str] = "dw/dt = learning_rate * error_post * r_pre / T - decay * w / T : 1"

    def step(
        self, synapses: Mapping[str, Array], pre: Mapping[str, Array], post: Mapping[str, Array], dt: float, T: float
    ) -> dict[str, Array]:
        """Outer product of the error and the presynaptic rate."""
        dw = self.learning_rate * np.outer(post["error"], pre["r"])
        return {"w": synapses["w"] + dt / T * (dw - self.decay * synapses["w"])}
