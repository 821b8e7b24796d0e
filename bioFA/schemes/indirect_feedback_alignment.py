"""Indirect feedback alignment: random weights bring the error to the first hidden layer, and it climbs from there.

    delta_1 = (B_1 e) * phi'(u_1),        delta_{l+1} = (W_l delta_l) * phi'(u_{l+1})

W_l are the forward weights from layer l to layer l + 1 as they are: the update of one layer is passed
on as its activity is. Shapes: B_1 (size of layer 1, n_out), W_l (size of layer l + 1, size of layer l).
With one hidden layer this is feedback alignment.

Source: Nokland (2016), NIPS 29, arXiv 1609.01596, eq. 9.
"""

from __future__ import annotations

from typing import ClassVar

from bioFA.network import Pathway
from bioFA.schemes.base import Additions, Layers, Scheme, direct_pathway, probe
from bioFA.weights import SharedWith


class IndirectFeedbackAlignment(Scheme):
    """Scheme `ifa`."""

    family_name: ClassVar[str] = "ifa"

    def lay(self, layers: Layers) -> Additions:
        """Random weights from the error unit to the first hidden layer;
        copies of the forward weights carry `delta` upwards."""
        pathways = [direct_pathway(layers, layer) for layer in layers.hidden_layers()[:1]]
        for layer in layers.hidden_layers()[1:]:
            source, target, forward = layers.names[layer - 1], layers.names[layer], layers.forward[layer - 1].name
            pathways.append(
                Pathway(
                    name=f"{source}_to_{target}_error",
                    source=source,
                    target=target,
                    port="error",
                    carries="delta",
                    weights=SharedWith(pathway=forward),
                )
            )
        if len(layers.hidden_layers()) == 1:
            pathways.append(probe(layers, 1))
        return Additions(rules=self.every_rule(layers), pathways=tuple(pathways))
