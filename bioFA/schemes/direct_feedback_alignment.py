"""Direct feedback alignment: fixed random weights carry the output's error straight to every hidden layer.

    delta_l = (B_l e) * phi'(u_l)

No hidden layer waits for the one above it. Shapes: B_l (size of layer l, n_out), e (n_out).

Source: Nokland (2016), NIPS 29, arXiv 1609.01596, eq. 8.
"""

from __future__ import annotations

from typing import ClassVar

from bioFA.schemes.base import Additions, Layers, Scheme, direct_pathway, probe


class DirectFeedbackAlignment(Scheme):
    """Scheme `dfa`."""

    family_name: ClassVar[str] = "dfa"

    def lay(self, layers: Layers) -> Additions:
        """Random weights from the error unit to `error` of each hidden layer; the transpose to `probe` of the last."""
        pathways = [direct_pathway(layers, layer) for layer in layers.hidden_layers()]
        return Additions(
            rules=self.every_rule(layers),
            pathways=(*pathways, *(probe(layers, layer) for layer in layers.hidden_layers()[-1:])),
        )
