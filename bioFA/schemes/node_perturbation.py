"""Node perturbation: a perturbed copy of the circuit shows whether noise helped.

    u'_l = W_l h'_{l-1} + xi_l,    R = L - L',    delta_l = R xi_l / sigma^2

The copy shares the forward weights at every moment. One reward unit compares the two losses
and broadcasts R to all hidden neurons: a global scalar instead of a vector of errors. The
output layer learns from its own error, as in every scheme. L is half the squared error, whatever
the error unit carries: with logistic outputs and `carries_gain = false` the hidden layer descends
the squared error and the output layer the cross-entropy.

Source: Lillicrap et al. (2014), arXiv 1411.0247, Fig. 1d (reinforcement learning);
Werfel, Xie & Seung (2005), Neural Computation 17:2699.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from annotated_types import Ge

from bioFA.components import Number
from bioFA.network import Pathway, Population
from bioFA.neurons.noise_source import NoiseSource
from bioFA.rules import Rule
from bioFA.rules.node_perturbation import NodePerturbation as NodePerturbationRule
from bioFA.schemes.base import Additions, Layers, Scheme
from bioFA.schemes.perturbed_copy import perturbed_copy
from bioFA.weights import Constant, Identity


class NodePerturbation(Scheme):
    """Scheme `np`: noise of standard deviation `sigma` on the drive of every hidden neuron."""

    family_name: ClassVar[str] = "np"
    inherits: ClassVar[tuple[str, ...]] = ("readout_rule",)

    rule: Rule = NodePerturbationRule()
    sigma: Annotated[Number, Ge(1e-100)] = 0.01

    def lay(self, layers: Layers) -> Additions:
        """The copy, the noise, the reward unit and its broadcast."""
        copied, populations, pathways = perturbed_copy(layers)
        for layer in layers.hidden_layers():
            name, size = layers.names[layer], layers.sizes[layer]
            noise = f"noise_{name}"
            populations.append(Population(name=noise, size=size, neuron=NoiseSource(sigma=self.sigma)))
            pathways += [
                Pathway(
                    name=f"{noise}_to_{copied[name]}",
                    source=noise,
                    target=copied[name],
                    port=layers.forward[layer - 1].port,
                    weights=Identity(),
                ),
                Pathway(
                    name=f"{noise}_to_{name}",
                    source=noise,
                    target=name,
                    port="perturbation",
                    weights=Identity(scale=self.sigma**-2),
                ),
                Pathway(
                    name=f"reward_to_{name}", source="reward", target=name, port="error", weights=Constant(value=1.0)
                ),
            ]
        return Additions(rules=self.every_rule(layers), populations=tuple(populations), pathways=tuple(pathways))
