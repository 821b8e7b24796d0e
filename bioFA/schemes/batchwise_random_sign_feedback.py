"""Batch-wise random-magnitude sign-concordant feedback: only the signs of the feedback last.

    delta_L = (|M_L| * sign(W') e) * phi'(u_L),        delta_l = (|M_l| * sign(W_l') delta_{l+1}) * phi'(u_l)

M is drawn anew for every batch; learning here is online, so for every presentation. The signs follow
the forward weights at every moment. sign(0) = 0. Shapes: M_l (size of layer l, size of the layer above).

Source: Moskovitz, Litwin-Kumar & Abbott (2018), arXiv 1812.06488 (brSF); Liao, Leibo & Poggio (2016),
arXiv 1510.05067 (brSF).
"""

from __future__ import annotations

from typing import ClassVar

from bioFA.schemes.base import Additions, Layers, Scheme, concordant_feedback
from bioFA.weights import Redrawn


class BatchwiseRandomSignFeedback(Scheme):
    """Scheme `brsf`."""

    family_name: ClassVar[str] = "brsf"

    def lay(self, layers: Layers) -> Additions:
        """Magnitudes that are redrawn, with the forward weights' signs, to `error`, the transpose to `probe`."""
        return concordant_feedback(self, layers, [Redrawn(weights=weights) for weights in layers.feedback])
