"""Feedback alignment: fixed random weights carry the error back, layer by layer.

    delta_L = B_L e * phi'(u_L),        delta_l = (B_l delta_{l+1}) * phi'(u_l)

B_l stands for the transpose of the forward weights above layer l and never changes. A probe
pathway carries what the transpose would have carried, to be measured and read by nothing.

Source: Lillicrap et al. (2014), arXiv 1411.0247, eq. for dh_FA and its extension to depth.
"""

from __future__ import annotations

from typing import ClassVar

from bioFA.schemes.base import Additions, Layers, Scheme, feedback_pathway, probe


class FeedbackAlignment(Scheme):
    """Scheme `fa`."""

    family_name: ClassVar[str] = "fa"

    def lay(self, layers: Layers) -> Additions:
        """Random weights to `error`, the transpose to `probe`."""
        pathways = []
        for layer in layers.hidden_layers():
            pathways.append(feedback_pathway(layers, layer, layers.feedback[layer - 1]))
            pathways.append(probe(layers, layer))
        return Additions(rules=self.every_rule(layers), pathways=tuple(pathways))
