"""Backpropagation: the transpose of the forward weights carries the error back (weight transport).

    delta_L = W' e * phi'(u_L),         delta_l = (W' delta_{l+1}) * phi'(u_l)

This is the gradient of the squared error if the error unit carries the output's gain (or the
output is linear); see `ErrorUnit`. A probe pathway carries what fixed random weights would
have carried: the control for feedback alignment, which should stay near 90 degrees.

Source: Rumelhart, Hinton & Williams (1986); Lillicrap et al. (2014), arXiv 1411.0247, dh_BP.
"""

from __future__ import annotations

from typing import ClassVar

from bioFA.schemes.base import Additions, Layers, Scheme, feedback_pathway, probe, transport


class Backpropagation(Scheme):
    """Scheme `bp`."""

    family_name: ClassVar[str] = "bp"

    def lay(self, layers: Layers) -> Additions:
        """The transpose to `error`, random weights to `probe`."""
        pathways = []
        for layer in layers.hidden_layers():
            pathways.append(feedback_pathway(layers, layer, transport(layers, layer)))
            pathways.append(probe(layers, layer, layers.feedback[layer - 1]))
        return Additions(rules=self.every_rule(layers), pathways=tuple(pathways))
