"""What a learning scheme is: the feedback pathways and rules that make layers learn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from bioFA.components import Component, Family
from bioFA.errors import Contradiction
from bioFA.network import Pathway, Population
from bioFA.neurons import NeuronModel
from bioFA.rules import PlasticityRule, Rule
from bioFA.rules.delta_rule import DeltaRule
from bioFA.rules.hebbian import Hebbian
from bioFA.rules.local_error import LocalError
from bioFA.synapses.delay import NO_DELAY, Delay
from bioFA.weights import SharedWith, Weights


@dataclass(frozen=True)
class Layers:
    """A feedforward stack that waits for its feedback.

    `names`, `sizes` and `neurons` run from the input to the output; `forward[l]` goes from layer l to l + 1. `also` are
    the other pathways that reach a layer and learn by the scheme: from a bias, or from a layer to itself.
    `feedback[l]` are the weights that the description gives for feedback to hidden layer l + 1, of shape (size of that
    layer, size of the layer above); `feedback_options` their sparsity and sign, `feedback_delay` the time that what
    they carry is under way, and what the transpose would carry with it. `error_unit` compares output and
    target, which `target` shows; `error_source` is the population that sends errors down.

    What stands beside the chain, and no scheme changes: `beside` are the populations through which activity of a layer
    above the input comes back to such a layer, such as interneurons; `paths` the pathways that reach a layer or
    one of these, without those of the chain and `also`.
    """

    names: tuple[str, ...]
    sizes: tuple[int, ...]
    neurons: tuple[NeuronModel, ...]
    forward: tuple[Pathway, ...]
    feedback: tuple[Weights, ...]
    also: tuple[Pathway, ...] = ()
    error_unit: str = "mismatch"
    error_source: str = "mismatch"
    target: str = "target"
    feedback_options: Mapping[str, Any] = field(default_factory=dict)
    feedback_delay: Delay = NO_DELAY
    beside: tuple[Population, ...] = ()
    paths: tuple[Pathway, ...] = ()

    def above(self, layer: int) -> tuple[str, bool]:
        """Where the error for a hidden layer comes from: the population, and whether that is the error unit."""
        top = layer == len(self.names) - 2
        return (self.error_source if top else self.names[layer + 1], top)

    def entering(self) -> tuple[Pathway, ...]:
        """Every pathway that reaches a layer and learns by the scheme, where that lets it learn."""
        return (*self.forward, *self.also)

    def hidden_layers(self) -> range:
        """The numbers of the hidden layers."""
        return range(1, len(self.names) - 1)

    def around(self) -> tuple[str, ...]:
        """A way on which a layer's activity reaches itself or a layer above it, but not along the chain: the names of
        the populations on it, from that layer to the one that it reaches; none where there is no such way.

        Loops before ways past the chain. Errors that go down the chain do not go back on it, so what they say of the
        layers below is no gradient.
        """
        chain = {pathway.name for pathway in self.forward}
        steps: dict[str, list[str]] = {}
        for pathway in (*self.also, *self.paths):
            if pathway.name not in chain:
                steps.setdefault(pathway.source, []).append(pathway.target)
        inner = self.names[1:]
        found: list[tuple[str, ...]] = []
        for layer in inner:
            ways: list[tuple[str, ...]] = [(layer,)]
            seen = {layer}
            while ways:
                way = ways.pop(0)
                for target in steps.get(way[-1], ()):
                    if target in inner:
                        found.append((*way, target))
                    elif target not in seen:
                        seen.add(target)
                        ways.append((*way, target))
        loops = [way for way in found if inner.index(way[-1]) <= inner.index(way[0])]
        return next(iter([*loops, *found]), ())


@dataclass(frozen=True)
class Additions:
    """What a scheme adds to the layers: populations, pathways, a rule for each pathway that learns,
    and the partner of each that needs one."""

    rules: Mapping[str, PlasticityRule]
    populations: tuple[Population, ...] = ()
    pathways: tuple[Pathway, ...] = field(default=())
    partners: Mapping[str, str] = field(default_factory=dict)


class Scheme(Component):
    """Base of the learning schemes: `rule` for the hidden layers, `readout_rule` for the last pathway.

    What a model does not give of the settings that a scheme `inherits`, it takes from the model's own scheme
    (`Layered.own_scheme`), so that schemes differ in the pathway of the error and in nothing else.
    """

    inherits: ClassVar[tuple[str, ...]] = ("rule", "readout_rule")
    """The settings that are those of the model's own scheme where none are given."""
    once: ClassVar[Mapping[str, Any]] = {}
    """Settings with which a stored experiment ran that gives none, where the defaults were others once."""

    in_spikes: ClassVar[str] = ""
    """What the name of the scheme claims too much of where neurons spike, in a sentence."""
    around: ClassVar[str] = ""
    """What it claims too much of where activity goes other ways than the chain's, `{way}`, in a sentence."""

    rule: Rule = LocalError()
    readout_rule: Rule = DeltaRule()

    def completed(self, own: Scheme) -> Scheme:
        """The same, with the settings that it was not given from the model's own scheme."""
        given = {name: getattr(self, name) for name in type(self).model_fields if name in self.model_fields_set}
        return type(self)(**({name: getattr(own, name) for name in self.inherits} | given))

    def settled(self, presentations: Callable[[], int]) -> Scheme:
        """The same, with what depends on how many presentations the training has."""
        return self

    def lay(self, layers: Layers) -> Additions:
        """The feedback pathways for these layers, and which forward pathways learn by which rule."""
        raise NotImplementedError(f"{type(self).__name__} lays no pathways")

    def every_rule(self, layers: Layers) -> dict[str, PlasticityRule]:
        """`readout_rule` for what enters the output, `rule` for what enters a hidden layer."""
        output = layers.names[-1]
        return {p.name: self.readout_rule if p.target == output else self.rule for p in layers.entering()}


def transport(layers: Layers, layer: int) -> SharedWith:
    """The transpose of the forward weights that leave a layer, whatever they have become."""
    return SharedWith(pathway=layers.forward[layer].name, transposed=True)


def feedback_pathway(
    layers: Layers, layer: int, weights: Weights, port: str = "error", carries: str = "delta", **options: Any
) -> Pathway:
    """The pathway that brings the error of the layer above to one hidden layer.

    A hidden layer passes on `carries`; the error unit, above the last of them, its rate.
    """
    source, top = layers.above(layer)
    name = f"{source}_to_{layers.names[layer]}{'' if port == 'error' else '_' + port}"
    return random_pathway(
        layers,
        name=name,
        source=source,
        target=layers.names[layer],
        port=port,
        carries="r" if top else carries,
        weights=weights,
        stands_for=layers.forward[layer].name,
        **options,
    )


def random_pathway(layers: Layers, **fields: Any) -> Pathway:
    """A feedback pathway, with the sparsity and sign that the description asks for where its weights are its own, and
    the delay where it reaches a layer.

    Raises:
        ModelError: if the scheme has signs of its own and the description asks for others.
    """
    options = layers.feedback_options if fields["weights"].owns else {}
    if both := options.keys() & fields.keys():
        raise Contradiction(
            f"pathway '{fields['name']}': the scheme decides the {' and '.join(sorted(both))} of its feedback. Leave"
            f" feedback_{sorted(both)[0]} out."
        )
    delay = layers.feedback_delay if fields["target"] in layers.names else NO_DELAY
    return Pathway(**fields, **options, delay=delay)


def direct_pathway(layers: Layers, layer: int) -> Pathway:
    """Random weights from the error unit straight to one hidden layer;
    they stand for a pathway where it is the last."""
    if layers.above(layer)[1]:
        return feedback_pathway(layers, layer, layers.feedback[layer - 1])
    name, source = layers.names[layer], layers.error_source
    return random_pathway(
        layers, name=f"{source}_to_{name}", source=source, target=name, port="error", weights=layers.feedback[layer - 1]
    )


def probe(layers: Layers, layer: int, weights: Weights | None = None) -> Pathway:
    """An electrode at one hidden layer: what the transpose, or other weights, would have carried there."""
    return feedback_pathway(layers, layer, transport(layers, layer) if weights is None else weights, port="probe")


def concordant_feedback(scheme: Scheme, layers: Layers, magnitudes: Sequence[Weights]) -> Additions:
    """Feedback with these magnitudes and the signs of the forward weights, one a hidden layer, and the probes."""
    pathways = [
        feedback_pathway(layers, layer, weights, sign="concordant")
        for layer, weights in zip(layers.hidden_layers(), magnitudes, strict=True)
    ]
    return Additions(
        rules=scheme.every_rule(layers),
        pathways=(*pathways, *(probe(layers, layer) for layer in layers.hidden_layers())),
    )


def plastic_feedback(scheme: Scheme, layers: Layers, rates: Sequence[tuple[float, float]]) -> Additions:
    """Random feedback that learns by Hebb's rule with these rates and decays, one pair a hidden layer,
    and the probes."""
    pathways = [
        feedback_pathway(layers, layer, layers.feedback[layer - 1], plasticity=Hebbian(learning_rate=rate, decay=decay))
        for layer, (rate, decay) in zip(layers.hidden_layers(), rates, strict=True)
    ]
    return Additions(
        rules=scheme.every_rule(layers),
        pathways=(*pathways, *(probe(layers, layer) for layer in layers.hidden_layers())),
    )


def number_of(rule: PlasticityRule, parameter: str) -> float:
    """A parameter of a forward rule that the feedback's rule shares.

    Raises:
        ModelError: if the rule has none of that name.
    """
    if parameter not in rule.parameters():
        raise Contradiction(
            f"{type(rule).__name__} has no {parameter}, which feedback and forward weights share. Use local_error and"
            " delta_rule."
        )
    return rule.parameters()[parameter]


family: Family[Scheme] = Family("learning scheme", "bioFA.schemes", base=Scheme)
SchemeField = Annotated[Scheme, *family.member()]
