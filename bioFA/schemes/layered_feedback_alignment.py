"""Layered feedback alignment: as feedback alignment, but the error goes down without any gain on its way.

    e_L = B_L e,    e_l = B_l e_{l+1},        delta_l = e_l * phi'(u_l)

What a layer passes on is the error as it arrived, so the feedback pathways are a chain of their own
that no activity touches; the gain enters in the layer's own update alone. With one hidden layer this
is feedback alignment. Shapes: B_l (size of layer l, size of the layer above), e_l (size of layer l).

Source: Hunsberger (2018), PhD thesis, University of Waterloo, chapter on learning (LFA).
"""

from __future__ import annotations

from typing import ClassVar

from bioFA.schemes.base import Additions, Layers, Scheme, feedback_pathway, probe


class LayeredFeedbackAlignment(Scheme):
    """Scheme `lfa`."""

    family_name: ClassVar[str] = "lfa"

    def lay(self, layers: Layers) -> Additions:
        """Random weights that carry `error` to `error`, the transpose to `probe`."""
        pathways = []
        for layer in layers.hidden_layers():
            pathways.append(feedback_pathway(layers, layer, layers.feedback[layer - 1], carries="error"))
            pathways.append(probe(layers, layer))
        return Additions(rules=self.every_rule(layers), pathways=tuple(pathways))
