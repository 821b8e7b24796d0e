"""Pseudo-backpropagation: the pseudo-inverse of the forward weights carries the error back.

    delta_L = (W+ e) * phi'(u_L),        delta_l = (W_l+ delta_{l+1}) * phi'(u_l),
    W+ = W' (W W' + ridge I)^-1

For a linear layer W+ e is the Gauss-Newton step; feedback alignment comes to follow it (fixed B turns
towards W+ rather than W'). ridge makes the inverse exist while W is small or has dependent rows.
No local circuit is claimed to compute it: it is a standard to measure others by, as backpropagation is.
Shapes: W_l (size of layer l + 1, size of layer l), W_l+ the transpose of that.

Source: Lillicrap et al. (2014), arXiv 1411.0247, dh_PBP and supplementary proof 2.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from annotated_types import Gt

from bioFA.components import Number
from bioFA.schemes.base import Additions, Layers, Scheme, feedback_pathway, probe
from bioFA.weights import PseudoInverseOf


class PseudoBackpropagation(Scheme):
    """Scheme `pbp`."""

    family_name: ClassVar[str] = "pbp"

    ridge: Annotated[Number, Gt(0)] = 1e-9

    def lay(self, layers: Layers) -> Additions:
        """The pseudo-inverse to `error`, the transpose to `probe`."""
        pathways = []
        for layer in layers.hidden_layers():
            inverse = PseudoInverseOf(pathway=layers.forward[layer].name, ridge=self.ridge)
            pathways += [feedback_pathway(layers, layer, inverse), probe(layers, layer)]
        return Additions(rules=self.every_rule(layers), pathways=tuple(pathways))
