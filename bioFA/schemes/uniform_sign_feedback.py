"""Uniform sign-concordant feedback: the signs of the forward weights carry the error back, all of one size.

    delta_L = (s sign(W') e) * phi'(u_L),        delta_l = (s sign(W_l') delta_{l+1}) * phi'(u_l)

The signs follow the forward weights at every moment; s is one number (in the source, the standard
deviation of the layer's initial weights). sign(0) = 0.

Source: Moskovitz, Litwin-Kumar & Abbott (2018), arXiv 1812.06488 (uSF); Liao, Leibo & Poggio (2016),
arXiv 1510.05067 (uSF).
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from annotated_types import Ge

from bioFA.components import Number
from bioFA.schemes.base import Additions, Layers, Scheme, concordant_feedback
from bioFA.weights import Constant


class UniformSignFeedback(Scheme):
    """Scheme `usf`: every feedback weight has the size `scale`."""

    family_name: ClassVar[str] = "usf"

    scale: Annotated[Number, Ge(0)] = 0.3

    def lay(self, layers: Layers) -> Additions:
        """Constant magnitudes with the forward weights' signs to `error`, the transpose to `probe`."""
        return concordant_feedback(self, layers, [Constant(value=self.scale) for _ in layers.feedback])
