"""Backpropagation: the transpose of the forward weights carries the error back (weight transport); in spikes,
an approximation.

    delta_L = W' e * phi'(u_L),         delta_l = (W' delta_{l+1}) * phi'(u_l)

This is the gradient of the squared error if the error unit carries the output's gain (or the
output is linear); see `ErrorUnit`. A probe pathway carries what fixed random weights would
have carried: the control for feedback alignment, which should stay near 90 degrees.

Where neurons spike it is backpropagation of the error only. The slope of a spike is replaced by a surrogate, and what
is sent are trains and traces of single spikes, so the update is no exact gradient. In `digits_spiking` (seed 1) its
angle to the gradient of the rate network is 18 degrees before training, 48 after 500 and 82 after 1,000 presentations;
14, 49 and 81 in the readout, whose rule knows no slope: the mean rates of the two networks differ, so each leaves other
errors, and the smaller the errors that training leaves, the less they agree. At the errors that the spikes made the
angles are 14, 22 and 31 degrees (10, 23 and 31). `biofa verify digits_spiking --scheme bp` measures both.

Errors go down the chain of the layers only. Where activity takes other ways too, such as a recurrent layer, a pool of
interneurons or a pathway past a layer, the error is not sent back on them, nor through time: the update is then local,
and not the gradient, and descriptions, audits and model cards say so.

Source: Rumelhart, Hinton & Williams (1986); Lillicrap et al. (2014), arXiv 1411.0247, dh_BP.
"""

from __future__ import annotations

from typing import ClassVar

from bioFA.schemes.base import Additions, Layers, Scheme, feedback_pathway, probe, transport


class Backpropagation(Scheme):
    """Scheme `bp`."""

    family_name: ClassVar[str] = "bp"
    in_spikes: ClassVar[str] = (
        "in spikes 'bp' sends errors through the transposed weights with surrogate slopes; its update is not the"
        " gradient of the spiking network, and its angle to that of the rate network grows with training (biofa verify"
        " prints it)"
    )
    around: ClassVar[str] = (
        "'bp' is local here, not the gradient: activity also goes the way {way}, on which no error is sent back"
    )

    def lay(self, layers: Layers) -> Additions:
        """The transpose to `error`, random weights to `probe`."""
        pathways = []
        for layer in layers.hidden_layers():
            pathways.append(feedback_pathway(layers, layer, transport(layers, layer)))
            pathways.append(probe(layers, layer, layers.feedback[layer - 1]))
        return Additions(rules=self.every_rule(layers), pathways=tuple(pathways))
