"""Weight mirror: noise in a layer, and its echo in the layer above,
teach the feedback weights to mirror the forward ones.

    mirror:    xi ~ N(0, sigma^2 I),    y = phi(W_l xi),    dB_l = eta_B xi y' - lambda_B B_l
    engaged:   delta_l = (B_l delta_{l+1}) * phi'(u_l),    dW_l = eta delta_{l+1} r_l'

On average B_l goes to (eta_B sigma^2 / lambda_B) E[phi'] W_l'. In mirror mode each layer in turn is
noisy while nothing else drives the one above (no input, no bias), so that its noise is white. Here
the neurons in mirror mode stand beside those that are engaged: `<layer>_mirror` with the noise, and
`<layer>_echo`, driven through the same forward weights; neither hears anything of the other mode.
So a presentation has an engaged part and a mirror part. Longer phases are the protocol's affair:
`phases` with `learns` say in which presentations the `..._echo_to_..._mirror` pathways learn alone.
Shapes: W_l (size of layer l + 1, size of layer l), B_l the transpose of that.

Source: Akrout et al. (2019), arXiv 1904.05391, eqs. 7-9.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from annotated_types import Ge

from bioFA.components import Number, Rate
from bioFA.network import Pathway, Population
from bioFA.neurons.noise_source import NoiseSource
from bioFA.neurons.static_rate import StaticRate
from bioFA.rules.hebbian import Hebbian
from bioFA.schemes.base import Additions, Layers, Scheme, feedback_pathway, probe, random_pathway
from bioFA.weights import Identity, SharedWith


class WeightMirror(Scheme):
    """Scheme `wm`: `mirror_rate` is eta_B, `mirror_decay` lambda_B, `sigma` the noise in mirror mode."""

    family_name: ClassVar[str] = "wm"

    mirror_rate: Annotated[Number, Rate(), Ge(0)] = 1e-3
    mirror_decay: Annotated[Number, Rate(), Ge(0)] = 1e-3
    sigma: Annotated[Number, Ge(1e-100)] = 1.0

    def lay(self, layers: Layers) -> Additions:
        """For each hidden layer its noisy self and the echo above; what they learn carries the error too."""
        populations: list[Population] = []
        pathways: list[Pathway] = []
        hebb = Hebbian(learning_rate=self.mirror_rate, decay=self.mirror_decay)
        for layer in layers.hidden_layers():
            name, size, above, forward = (
                layers.names[layer],
                layers.sizes[layer],
                layers.names[layer + 1],
                layers.forward[layer],
            )
            mirror, echo, noise = f"{name}_mirror", f"{above}_echo", f"noise_{name}"
            learned = f"{echo}_to_{mirror}"
            populations += [
                Population(name=noise, size=size, neuron=NoiseSource(sigma=self.sigma)),
                Population(name=mirror, size=size, neuron=StaticRate()),
                Population(name=echo, size=layers.sizes[layer + 1], neuron=layers.neurons[layer + 1]),
            ]
            pathways += [
                Pathway(name=f"{noise}_to_{mirror}", source=noise, target=mirror, weights=Identity()),
                Pathway(
                    name=f"{mirror}_to_{echo}", source=mirror, target=echo, weights=SharedWith(pathway=forward.name)
                ),
                random_pathway(
                    layers,
                    name=learned,
                    source=echo,
                    target=mirror,
                    port="error",
                    weights=layers.feedback[layer - 1],
                    plasticity=hebb,
                ),
                feedback_pathway(layers, layer, SharedWith(pathway=learned)),
                probe(layers, layer),
            ]
        return Additions(rules=self.every_rule(layers), populations=tuple(populations), pathways=tuple(pathways))
