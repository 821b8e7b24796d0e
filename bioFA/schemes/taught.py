"""A network of one's own under a learning scheme: some of its populations, in a chain, are the layers that learn.

    input -> hidden -> ... -> output -> mismatch <- target          named by `layers`
                ^________ scheme ________|
    hidden <-> interneurons, hidden -> hidden, ...                   as described; no scheme changes them

The scheme lays the feedback along the chain only and gives its pathways their rules. An error unit is added where
nothing compares the output with the targets yet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Gt, Le
from pydantic import Field

from bioFA.components import Count, Name, Number
from bioFA.errors import (
    Contradiction,
    DuplicateName,
    Keys,
    MissingField,
    MissingSignal,
    Unavailable,
    UnknownName,
    WrongShape,
    suggestion,
)
from bioFA.network import Learning, Network, Pathway, Population, carrying
from bioFA.neurons import Neuron
from bioFA.neurons.error_unit import ErrorUnit
from bioFA.neurons.rate_source import RateSource
from bioFA.schemes.base import Additions, Layers
from bioFA.schemes.settings import Laid, PerPathway, Schemed, Schemes, spread
from bioFA.schemes.teacher import ERROR_UNIT, TARGET, carried, error_pathways, teachers
from bioFA.synapses.delay import NO_DELAY, DelayField
from bioFA.weights import Identity, Uniform

UPWARDS = {"error", "probe", "perturbation"}
"""Ports at which no activity arrives that drives a neuron."""


class TaughtNetwork(Schemed):
    """Populations and pathways, with `layers`, the chain along which a learning scheme lays its feedback.

    In a model file it is `name = "network"` with `layers`. From each layer to the next one pathway must go, a matrix of
    weights: the chain's, which learns by the scheme's rule. `learns` names other pathways that learn so too, as biases
    and recurrent ones do in a layered circuit: by `readout_rule` where they reach the output, else by `rule`. Every
    other pathway stays as it is, and learns only where it names a rule, the same under every scheme.

    `feedback` are the weights of the feedback to each hidden layer, from the lowest upwards, one entry for all;
    `feedback_density`, `feedback_fan_in` and `feedback_sign` hold for every feedback pathway that draws its weights,
    `feedback_delay` is how long errors are under way to hidden layers.
    A layer whose neuron has no port `probe` learns like others, but no angle is measured there.
    Feedback that learns does so with the `learning` of the pathway that it stands for. `target` and `error` are the
    neurons that show the targets and compare them with the last layer; they are added where no population does so.
    `scheme`, `own_scheme` and `schemes` are those of a layered circuit.

    For example, with a network that has an input, a hidden layer with interneurons, and an output:

        TaughtNetwork.of(network, layers=("input", "hidden", "output"), scheme="fa")
    """

    family_name: ClassVar[str] = "network"

    populations: Annotated[
        tuple[Population, ...], Field(examples=[[{"name": "hidden", "size": 30, "neuron": "leaky_rate"}]])
    ]
    pathways: tuple[Pathway, ...] = ()
    layers: Annotated[tuple[Name, ...], Field(examples=[["input", "hidden", "output"]])] = ()
    learns: tuple[Name, ...] = ()
    target: Neuron = RateSource(of="targets")
    error: Neuron = ErrorUnit()
    feedback: PerPathway = (Uniform(low=-0.5, high=0.5),)
    feedback_density: Annotated[Number, Gt(0), Le(1)] = 1.0
    feedback_fan_in: Count | None = None
    feedback_sign: Literal["any", "excitatory", "inhibitory"] = "any"
    feedback_delay: DelayField = NO_DELAY
    scheme: Name = "fa"
    own_scheme: Name | None = None
    schemes: Schemes = Field(default_factory=dict, validate_default=True)

    @classmethod
    def made_of(cls, fields: dict[str, Any]) -> Any:
        """A plain `Network`, where nothing is said of layers and schemes."""
        return cls(**fields) if fields.keys() - Network.model_fields.keys() else Network(**fields)

    @classmethod
    def of(cls, network: Network, layers: tuple[str, ...], **fields: Any) -> TaughtNetwork:
        """The same populations and pathways with a chain of layers and, in `fields`, a scheme and what else it takes.

        Raises:
            ModelError: if the layers are no chain, or the scheme cannot be laid along it.
        """
        found = cls(populations=network.populations, pathways=network.pathways, layers=tuple(layers), **fields)
        found.network()
        return found

    def model_post_init(self, context: Any) -> None:
        """Check the chain, and the schemes."""
        self._check_schemes()
        if not self.layers:
            raise MissingField(
                "Network.layers is missing: a scheme lays feedback along a chain of populations. For example: layers ="
                ' ["input", "hidden", "output"].',
                at=("layers",),
            )
        if len(self.layers) < 2:
            raise WrongShape(
                f"Network.layers must have at least 2 entries; got {list(self.layers)}. For example: layers ="
                ' ["input", "hidden", "output"].',
                at=("layers",),
            )
        for number, name in enumerate(self.layers):
            if name not in self._sizes():
                raise UnknownName(
                    f"Network.layers: no population is called '{name}'.{suggestion(name, self._sizes())}",
                    at=("layers", number),
                )
            if name in self.layers[:number]:
                raise DuplicateName(
                    f"Network.layers names '{name}' twice; got {list(self.layers)}. A layer that drives itself is"
                    " named once: its own pathway stays beside the chain.",
                    at=("layers", number),
                )
        if len(self.feedback) not in (1, hidden := len(self.layers) - 2):
            allowed = f"1 entry for all, or {hidden}, one a hidden layer" if hidden > 1 else "1 entry"
            raise WrongShape(
                f"Network.feedback must have {allowed}, for layers {list(self.layers)}; got {len(self.feedback)}.",
                at=("feedback",),
            )

    def _sizes(self) -> dict[str, int]:
        return {population.name: population.size for population in self.populations}

    def topology(self) -> str:
        """The chain, and what stands beside it."""
        others = [population.name for population in self.populations if population.name not in self.layers]
        beside = f"; beside them {', '.join(others)}" if others else ""
        return f"network, layers {'-'.join(self.layers)}{beside}"

    def with_parts(self, change: Callable[[Any], Any]) -> TaughtNetwork:
        """The settings of the scheme in use, and `learning` of the pathways that learn by it."""
        ours = {pathway.name for pathway in (*self._chain(), *self._learning())}
        return self.replace(
            schemes={**self.schemes, self.scheme: change(self.active())},
            pathways=tuple(p.replace(learning=change(p.learning)) if p.name in ours else p for p in self.pathways),
        )

    def keys_of(self, path: Keys) -> Keys:
        """The same path, for what is described and not added."""
        given = {"populations": self.populations, "pathways": self.pathways}
        known = len(path) > 1 and path[0] in given and int(path[1]) < len(given[str(path[0])])
        return path if known else ()

    def _keys_in(self, path: Keys, laid: Laid | None) -> Keys:
        if path[:1] != ("pathways",) and path[:1] != ("populations",):
            return path if path[:1] and path[0] in type(self).model_fields else ()
        if known := self.keys_of(path):
            return known
        if laid is None or path[2:3] != ("weights",):
            return ()
        used = laid.pathways[int(path[1])].weights
        places = (n for n, weights in enumerate(self.feedback) if weights is used or weights is used.drawn_from())
        return next((("feedback", n, *path[3:]) for n in places), ())

    def laid(self) -> Laid:
        """The populations and pathways as described, then those that the scheme adds."""
        layers, given = self._layers(), self._known()
        additions = self.active().lay(layers)
        unit = self._unit()
        if unit is None:
            populations = teachers(layers.sizes[-1], self.target, self.error)
            wired = error_pathways(self.error, layers.sizes[-1], layers.names[-1])
        else:
            populations, wired = [], self._answering(unit, layers)
        neuron = self.error if unit is None else unit.neuron
        added = (*populations, *additions.populations)
        for population in added:
            if population.name in given:
                raise DuplicateName(
                    f"scheme '{self.scheme}' adds a population '{population.name}', and one of yours is called so."
                    " Call yours otherwise.",
                    at=("populations", list(given).index(population.name)),
                )
        blind = self._blind(layers)
        seen = [p for p in additions.pathways if p.port != "probe" or p.target not in blind]
        pathways = carried(neuron, layers.error_unit, (*wired, *seen))
        self._check_reach(layers, additions, pathways)
        learned = {p.name: p.learning for p in self.pathways}
        return Laid(
            layers,
            (*self.populations, *added),
            (
                *(
                    (
                        p.replace(plasticity=additions.rules.get(p.name), partner=additions.partners.get(p.name))
                        if p in layers.entering()
                        else p
                    )
                    for p in self._described()
                ),
                *(
                    p.replace(learning=learned.get(p.stands_for or "", Learning())) if p.plasticity is not None else p
                    for p in pathways
                ),
            ),
        )

    @staticmethod
    def _blind(layers: Layers) -> list[str]:
        """The layers at which no second signal can be measured."""
        return [name for name, neuron in zip(layers.names, layers.neurons, strict=True) if "probe" not in neuron.ports]

    def caveats(self) -> tuple[str, ...]:
        """Those of every circuit under a scheme, and where no angle is measured."""
        layers = self._layers()
        probed = {p.target for p in self.active().lay(layers).pathways if p.port == "probe"}
        blind = [name for name in self._blind(layers) if name in probed]
        said = f"no angle is measured at {', '.join(blind)}, whose neurons have no port 'probe'"
        return (*super().caveats(), *([said] if blind else []))

    def _known(self) -> dict[str, Population]:
        return {population.name: population for population in self.populations}

    def _described(self) -> tuple[Pathway, ...]:
        """The pathways of the description, each carrying what its source sends."""
        known = self._known()
        return tuple(carrying(pathway, known.get(pathway.source)) for pathway in self.pathways)

    def _chain(self) -> tuple[Pathway, ...]:
        """The pathway from each layer to the next.

        Raises:
            ModelError: if there is none or there are several, or it cannot be a forward pathway of a scheme.
        """
        found = []
        for number, (source, target) in enumerate(zip(self.layers, self.layers[1:], strict=False)):
            between = [
                p for p in self._described() if (p.source, p.target) == (source, target) and p.port not in UPWARDS
            ]
            if not between:
                raise MissingField(
                    f"Network.layers: no pathway goes from '{source}' to '{target}', which follows it. Describe one, or"
                    " name a chain of populations that drive each other.",
                    at=("layers", number + 1),
                )
            if len(between) > 1:
                raise Contradiction(
                    f"Network.layers: {len(between)} pathways go from '{source}' to '{target}'"
                    f" ({', '.join(p.name for p in between)}), so which is the chain's is open. Leave one, or let the"
                    " others start from a population of their own.",
                    at=("layers", number + 1),
                )
            self._check_forward(between[0])
            found.append(between[0])
        return tuple(found)

    def _check_forward(self, pathway: Pathway) -> None:
        """A pathway that learns by the scheme is a matrix, with no rule of its own."""
        at: Keys = ("pathways", [p.name for p in self.pathways].index(pathway.name))
        if pathway.listed or not pathway.weights.owns or pathway.weights.one_to_one:
            given = "lists single synapses" if pathway.listed else f"has {type(pathway.weights).__name__} weights"
            raise Contradiction(
                f"pathway '{pathway.name}' is to learn by the scheme, which needs a matrix of weights that is its own;"
                f' it {given}. Give it weights such as {{ name = "uniform", low = -0.1, high = 0.1 }}, sparse ones'
                " by density or fan_in.",
                at=at,
            )
        if pathway.plasticity is not None:
            raise Contradiction(
                f"pathway '{pathway.name}' names a rule, {pathway.plasticity.family_name}, but it is of the layers, so"
                f" the scheme decides its rule. Leave plasticity out, and give it to the scheme: schemes.{self.scheme}"
                ".rule, or readout_rule for what reaches the last layer.",
                at=(*at, "plasticity"),
            )

    def _learning(self) -> tuple[Pathway, ...]:
        """The pathways that `learns` names."""
        chain = {pathway.name for pathway in self._chain()}
        known = {p.name: p for p in self._described() if p.target in self.layers[1:] and p.name not in chain}
        for number, name in enumerate(self.learns):
            if name not in known:
                raise UnknownName(
                    f"Network.learns: '{name}' is no pathway beside the chain that reaches a layer above the first."
                    f"{suggestion(name, known)}",
                    at=("learns", number),
                )
            self._check_forward(known[name])
        return tuple(known[name] for name in self.learns)

    def _layers(self) -> Layers:
        """The chain, as a scheme reads it, and what stands beside it."""
        known, inner = self._known(), self.layers[1:]
        forward, also = self._chain(), self._learning()
        unit, target = self._comparing()
        taken = {pathway.name for pathway in (*forward, *also)}
        driving = [p for p in self._described() if p.port not in UPWARDS and unit not in (p.source, p.target)]
        steps: dict[str, set[str]] = {}
        back: dict[str, set[str]] = {}
        for pathway in driving:
            steps.setdefault(pathway.source, set()).add(pathway.target)
            back.setdefault(pathway.target, set()).add(pathway.source)
        between = _reached(inner, steps) & _reached(inner, back)
        beside = tuple(p for p in self.populations if p.name in between and p.name not in self.layers)
        moved = {*inner, *(p.name for p in beside)}
        return Layers(
            self.layers,
            tuple(known[name].size for name in self.layers),
            tuple(known[name].neuron for name in self.layers),
            forward,
            spread(self.feedback, len(self.layers) - 2),
            also,
            error_unit=unit,
            error_source=unit,
            target=target,
            feedback_options=self._feedback_options(),
            feedback_delay=self.feedback_delay,
            beside=beside,
            paths=tuple(p for p in driving if p.target in moved and p.name not in taken),
        )

    def _comparing(self) -> tuple[str, str]:
        """The population that compares the last layer with the targets, and the one that shows them: those that are
        described, or those that are added.

        Raises:
            ModelError: if one is described that nothing shows targets, or that has an opponent.
        """
        unit = self._unit()
        if unit is None:
            return ERROR_UNIT, TARGET
        name = unit.name
        at = ("populations", list(self._known()).index(name))
        shown = [p.source for p in self.pathways if p.target == name and p.port == "target"]
        if not shown:
            raise MissingSignal(
                f"population '{name}' compares '{self.layers[-1]}' with targets, but nothing arrives at its port"
                " 'target'. Add a pathway there, or leave the population out: the scheme adds an error unit.",
                at=at,
            )
        if unit.neuron.opponent() is not None:
            raise Unavailable(
                f"population '{name}' carries one sign of the error only. Leave it out and give its neuron as error ="
                f' {{ name = "{unit.neuron.family_name}" }}: the scheme adds the pair.',
                at=at,
            )
        return name, shown[0]

    def _unit(self) -> Population | None:
        """The population that is described to compare the last layer with something."""
        units = {p.name: p for p in self.populations if p.neuron.compares_targets}
        hearing = [p.target for p in self.pathways if (p.source, p.port) == (self.layers[-1], "prediction")]
        return next((units[name] for name in hearing if name in units), None)

    def _answering(self, unit: Population, layers: Layers) -> list[Pathway]:
        """The pathway from a described error unit to the output, where there is none."""
        output = layers.names[-1]
        if any((p.source, p.target, p.port) == (unit.name, output, "error") for p in self.pathways):
            return []
        return [
            Pathway(name=f"{unit.name}_to_{output}", source=unit.name, target=output, port="error", weights=Identity())
        ]

    def _check_reach(self, layers: Layers, additions: Additions, pathways: list[Pathway]) -> None:
        """Every layer has the ports and variables that the scheme's pathways and rules need.

        Raises:
            ModelError: naming the layer, what it lacks, and what would do.
        """
        neurons = dict(zip(layers.names, layers.neurons, strict=True))
        places = {name: ("populations", list(self._known()).index(name)) for name in layers.names}
        for p in pathways:
            if p.target in neurons and p.port not in neurons[p.target].ports:
                neuron = neurons[p.target]
                raise MissingSignal(
                    f"scheme '{self.scheme}' cannot be laid along {list(layers.names)}: the layer '{p.target}' needs a"
                    f" port '{p.port}', where '{p.name}' arrives, but its neuron, {neuron.family_name}, has only:"
                    f" {', '.join(neuron.ports) or 'none'}. {_remedy(p.port)}",
                    at=places[p.target],
                )
            if p.source in neurons and p.carries not in (*neurons[p.source].publishes, *neurons[p.source].ports):
                neuron = neurons[p.source]
                raise MissingSignal(
                    f"scheme '{self.scheme}' cannot be laid along {list(layers.names)}: the layer '{p.source}' needs to"
                    f" publish '{p.carries}', which '{p.name}' carries, but its neuron, {neuron.family_name}, publishes"
                    f" only: {', '.join(neuron.publishes)}. {_remedy(p.carries)}",
                    at=places[p.source],
                )
        for p in layers.entering():
            rule = additions.rules.get(p.name)
            lacking = [v for v in rule.reads_post if v not in neurons[p.target].readable()] if rule is not None else []
            if rule is not None and lacking:
                neuron = neurons[p.target]
                raise MissingSignal(
                    f"scheme '{self.scheme}' cannot be laid along {list(layers.names)}: its rule for '{p.name}',"
                    f" {rule.family_name}, reads '{lacking[0]}' of the layer '{p.target}', but {neuron.family_name}"
                    f" publishes only: {', '.join(neuron.publishes)}. {_remedy(lacking[0])} Or give another rule in"
                    f" schemes.{self.scheme}.",
                    at=places[p.target],
                )


def _remedy(variable: str) -> str:
    """What to do where a layer's neuron lacks a port or variable."""
    text = {
        "error": 'ports = { error = "1" }',
        "probe": "ports = { probe = \"1\" } and 'probed = probe : 1' in model",
        "perturbation": "ports = { perturbation = \"1\" } and 'noise = perturbation : 1' in model",
        "gain": "'gain = ... : 1' in model, the slope of its output",
        "delta": "'delta = error*gain : 1' in model",
    }.get(variable, f"'{variable}' in model")
    return (
        "Give the layer a neuron with it, such as static_rate, leaky_rate or lif; in a neuron as text write"
        f" {text}. Or take a scheme that does without, such as shallow."
    )


def _reached(start: tuple[str, ...], steps: Mapping[str, set[str]]) -> set[str]:
    """What is reached from some populations, in one step or more."""
    found: set[str] = set()
    waiting = list(start)
    while waiting:
        for name in steps.get(waiting.pop(), set()) - found:
            found.add(name)
            waiting.append(name)
    return found
