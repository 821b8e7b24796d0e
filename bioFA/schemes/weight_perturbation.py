"""Weight perturbation: a perturbed copy of the circuit shows whether noise on the weights helped.

    u'_l = (W_l + Xi_l) h'_{l-1},    R = (L - L') / sigma^2,    dW_l = eta R Xi_l

The copy shares the forward weights at every moment and adds noise of standard deviation sigma, drawn
anew for every presentation, to each weight (and bias) that enters a hidden layer. One reward unit
compares the two losses and broadcasts R. The output layer learns from its own error, as in every
scheme. L is half the squared error; see node perturbation. Shapes: Xi_l as W_l.

The noise has a number for every synapse and presentation, which are drawn before a segment begins:
a network of 7,400 synapses takes 64 MB for 1,077 presentations.

Source: Jabri & Flower (1992), IEEE Trans. Neural Networks 3:154; Cauwenberghs (1993), NIPS 5:244;
Werfel, Xie & Seung (2005), Neural Computation 17:2699 (compared with node perturbation).
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from annotated_types import Ge

from bioFA.components import Number
from bioFA.network import Pathway
from bioFA.rules import Rule
from bioFA.rules.weight_perturbation import WeightPerturbation as WeightPerturbationRule
from bioFA.schemes.base import Additions, Layers, Scheme
from bioFA.schemes.perturbed_copy import perturbed_copy
from bioFA.weights import Constant, Normal, Redrawn


class WeightPerturbation(Scheme):
    """Scheme `wp`: noise of standard deviation `sigma` on every weight that enters a hidden layer."""

    family_name: ClassVar[str] = "wp"
    inherits: ClassVar[tuple[str, ...]] = ("readout_rule",)

    rule: Rule = WeightPerturbationRule()
    sigma: Annotated[Number, Ge(1e-100)] = 0.01

    def lay(self, layers: Layers) -> Additions:
        """The copy, the noise beside its pathways, the reward unit and its broadcast."""
        copied, populations, pathways = perturbed_copy(layers)
        noisy = {p.name: f"noise_{p.name}" for p in layers.entering() if p.target != layers.names[-1]}
        for p in layers.entering():
            if p.name in noisy:
                noise = Redrawn(weights=Normal(scale=self.sigma))
                pathways.append(
                    Pathway(
                        name=noisy[p.name],
                        source=copied.get(p.source, p.source),
                        target=copied[p.target],
                        port=p.port,
                        carries=p.carries,
                        weights=noise,
                        delay=p.delay,
                    )
                )
        for layer in layers.hidden_layers():
            name = layers.names[layer]
            pathways.append(
                Pathway(
                    name=f"reward_to_{name}",
                    source="reward",
                    target=name,
                    port="error",
                    weights=Constant(value=self.sigma**-2),
                )
            )
        return Additions(
            rules=self.every_rule(layers), populations=tuple(populations), pathways=tuple(pathways), partners=noisy
        )
