"""What a learning scheme is: the feedback pathways and rules that make layers learn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from bioFA.components import Component, Family
from bioFA.network import Pathway, Population
from bioFA.neurons import NeuronModel
from bioFA.rules import PlasticityRule, Rule
from bioFA.rules.delta_rule import DeltaRule
from bioFA.rules.local_error import LocalError
from bioFA.weights import SharedWith, Weights


@dataclass(frozen=True)
class Layers:
    """A feedforward stack that waits for its feedback.

    `names` and `sizes` run from the input to the output; `forward[l]` goes from layer l to
    l + 1, `biases[l]`, where there are any, to layer l + 1; `feedback[l]` are the weights that
    the description gives for feedback to hidden layer l + 1, of shape (size of that layer,
    size of the layer above).
    """

    names: tuple[str, ...]
    sizes: tuple[int, ...]
    hidden: NeuronModel
    output: NeuronModel
    forward: tuple[Pathway, ...]
    biases: tuple[Pathway, ...]
    feedback: tuple[Weights, ...]
    error_unit: str = "mismatch"

    def above(self, layer: int) -> tuple[str, str]:
        """Where the error for a hidden layer comes from: population and published variable."""
        top = layer == len(self.names) - 2
        return (self.error_unit, "r") if top else (self.names[layer + 1], "delta")

    def hidden_layers(self) -> range:
        """The numbers of the hidden layers."""
        return range(1, len(self.names) - 1)


@dataclass(frozen=True)
class Additions:
    """What a scheme adds to the layers: populations, pathways, and a rule for each pathway that learns."""

    rules: Mapping[str, PlasticityRule]
    populations: tuple[Population, ...] = ()
    pathways: tuple[Pathway, ...] = field(default=())


class Scheme(Component):
    """Base of the learning schemes: `rule` for the hidden layers, `readout_rule` for the last pathway."""

    rule: Rule = LocalError()
    readout_rule: Rule = DeltaRule()

    def lay(self, layers: Layers) -> Additions:
        """The feedback pathways for these layers, and which forward pathways learn by which rule."""
        raise NotImplementedError(f"{type(self).__name__} lays no pathways")

    def every_rule(self, layers: Layers) -> dict[str, PlasticityRule]:
        """`readout_rule` for what enters the output, `rule` for what enters a hidden layer."""
        output = layers.names[-1]
        return {p.name: self.readout_rule if p.target == output else self.rule for p in (*layers.forward, *layers.biases)}


def transport(layers: Layers, layer: int) -> SharedWith:
    """The transpose of the forward weights that leave a layer, whatever they have become."""
    return SharedWith(pathway=layers.forward[layer].name, transposed=True)


def feedback_pathway(layers: Layers, layer: int, weights: Weights, port: str = "error") -> Pathway:
    """The pathway that brings the error of the layer above to one hidden layer."""
    source, carries = layers.above(layer)
    name = f"{source}_to_{layers.names[layer]}{'' if port == 'error' else '_' + port}"
    return Pathway(
        name=name, source=source, target=layers.names[layer], port=port, carries=carries, weights=weights,
        stands_for=layers.forward[layer].name,
    )


family: Family[Scheme] = Family("learning scheme", "bioFA.schemes", base=Scheme)
SchemeField = Annotated[Scheme, *family.member()]
