"""Fixed random-magnitude sign-concordant feedback: magnitudes of its own, the signs of the forward weights.

    delta_L = (|M_L| * sign(W') e) * phi'(u_L),        delta_l = (|M_l| * sign(W_l') delta_{l+1}) * phi'(u_l)

M is drawn once; the signs follow the forward weights at every moment. sign(0) = 0. Shapes: M_l (size
of layer l, size of the layer above).

Source: Moskovitz, Litwin-Kumar & Abbott (2018), arXiv 1812.06488 (frSF); Liao, Leibo & Poggio (2016),
arXiv 1510.05067 (frSF).
"""

from __future__ import annotations

from typing import ClassVar

from bioFA.schemes.base import Additions, Layers, Scheme, concordant_feedback


class FixedRandomSignFeedback(Scheme):
    """Scheme `frsf`."""

    family_name: ClassVar[str] = "frsf"

    def lay(self, layers: Layers) -> Additions:
        """Random magnitudes with the forward weights' signs to `error`, the transpose to `probe`."""
        return concordant_feedback(self, layers, list(layers.feedback))
