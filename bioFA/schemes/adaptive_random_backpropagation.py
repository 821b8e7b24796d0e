"""Adaptive random backpropagation: feedback weights learn by the product that their forward weights learn by.

    dW_l = eta delta_{l+1} r_l',        dB_l = eta_B r_l delta_{l+1}'

As Kolen-Pollack, but with a rate eta_B of its own and no decay, so that what was random in B and W at
the beginning stays. Errors go down as in feedback alignment. Shapes: W_l (size of layer l + 1, size of
layer l), B_l the transpose of that.

Source: Baldi, Sadowski & Lu (2018), Artificial Intelligence 260:1, arXiv 1612.02734 (adaptive RBP).
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from annotated_types import Ge

from bioFA.components import Number, Rate
from bioFA.schemes.base import Additions, Layers, Scheme, plastic_feedback


class AdaptiveRandomBackpropagation(Scheme):
    """Scheme `arbp`: `feedback_rate` is eta_B."""

    family_name: ClassVar[str] = "arbp"

    feedback_rate: Annotated[Number, Rate(), Ge(0)] = 1e-3

    def lay(self, layers: Layers) -> Additions:
        """Random weights that learn to `error`, the transpose to `probe`."""
        return plastic_feedback(self, layers, [(self.feedback_rate, 0.0) for _ in layers.hidden_layers()])
