"""Populations, pathways and the network they make, with every check that spans them.

A step of the network is a walk over *nodes* in dependency order: a port node `(population,
port)` sums the pathways that arrive; a published node `(population, variable)` is computed
from ports, state and other published variables. State is not a dependency, so stateful
neurons break cycles and static ones may not form any.
"""

from __future__ import annotations

import graphlib
import keyword
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, Literal, NamedTuple, Self

import numpy as np
from annotated_types import Ge, Gt, Le
from pydantic import BeforeValidator, Field, PlainSerializer, Strict, ValidationInfo, model_validator

from bioFA.components import Amount, Component, Count, Family, InSchema, Name, Number, Rate, as_table, faults
from bioFA.distributions import Distributed, Distribution, read_distribution, written_distribution
from bioFA.equations.dimensions import FREQUENCY, TIME, Dimension, over
from bioFA.errors import (
    BadName,
    CannotLearn,
    Contradiction,
    Cycle,
    DuplicateName,
    Keys,
    MissingField,
    MissingSignal,
    ModelError,
    OutOfRange,
    Unavailable,
    UnknownName,
    WrongShape,
    WrongType,
    suggestion,
    under,
)
from bioFA.expressions import RESERVED
from bioFA.neurons import Neuron
from bioFA.rules import Rule
from bioFA.synapses.connect import All, As, ConnectField, Shape
from bioFA.synapses.delay import NO_DELAY, DelayField
from bioFA.synapses.dynamics import DynamicsField
from bioFA.weights import PseudoInverseOf, Redrawn, SharedWith, Weights
from bioFA.weights import family as weight_family

Array = np.ndarray
RESERVED_AT_SYNAPSES = {
    "w",
    "w_before",
    "w_partner",
    "w_followed",
    "gathered",
    "norm",
    "exists",
    "low",
    "high",
    "batch",
    "sign_step",
    "T",
    "N",
    "cell",
}
SHORT_NAMES = {"e", "i"}
"""What the field calls its excitatory and inhibitory neurons; they mean something else in an equation, which names no
population."""
WHOLE = 2**31 - 1
"""Where a part of a population ends that goes to its last neuron."""
NO_BOUND = 1e38
"""A weight that is larger than any: finite in float32 too."""



class Node(NamedTuple):
    """One value in the walk of a step: a port's sum or a published variable of a population."""

    population: str
    variable: str

    def __str__(self) -> str:
        return f"{self.population}.{self.variable}"


class _Named(Component):
    """A part with a name of its own, which may be given first."""

    name: Annotated[Name, Field(examples=["hidden"])]

    def __init__(self, /, *args: Any, **fields: Any) -> None:
        if len(args) > 1:
            raise WrongType(f"{type(self).__name__} takes only its name without a keyword; got {len(args)} values.")
        super().__init__(**(dict(zip(("name",), args, strict=False)) | fields))

    def model_post_init(self, context: Any) -> None:
        """Refuse names that cannot stand in equations, files and C++."""
        good = re.fullmatch(r"[a-z]([a-z0-9_]*[a-z0-9])?", self.name)
        if not good or keyword.iskeyword(self.name) or self.name in RESERVED - SHORT_NAMES:
            raise BadName(
                f"{type(self).__name__.lower()} '{self.name}': {type(self).__name__}.name must be lower-case letters,"
                " digits and inner underscores, begin with a letter, and not be a reserved word; got"
                f" {self.name!r}. For example: 'hidden', 'hidden2', 'image_to_hidden'."
            )


class Background(Component):
    """Spikes that reach every neuron of a population from outside, each neuron by itself.

    port += weight N        N ~ Poisson(count rate dt), drawn for each neuron in each step

    `count` independent trains of `rate` each arrive at `port`, every spike with `weight`, in the port's unit.
    """

    port: Annotated[Name, Field(examples=["exc"])]
    rate: Annotated[Distributed, Field(examples=["8 Hz"])]
    weight: Annotated[Distributed, Field(examples=["88 pA"])]
    count: Count = 1


class Population(_Named):
    """Neurons that share one neuron model.

    With `inhibitory`, a fraction, the population obeys Dale's law: its last cells, so many of all, are
    inhibitory and the others excitatory, and a weight that leaves a cell never changes to the other sign.
    Weights are then drawn in balance: by their absolute value, with the inhibitory ones stronger by as
    much as there are fewer of them, so that a uniform rate of the population drives nobody on average.
    """

    size: Count
    neuron: Neuron
    inhibitory: Annotated[Number, Ge(0), Le(1)] | None = None
    background: tuple[Background, ...] = ()

    def cells(self) -> Array | None:
        """+1 for an excitatory cell, -1 for an inhibitory one, `(size,)`; None where Dale's law is not asked for."""
        if self.inhibitory is None:
            return None
        return np.where(np.arange(self.size) < self.size - round(self.inhibitory * self.size), 1.0, -1.0)


class Learning(Component):
    """How the changes that a rule asks for reach the weights of a pathway.

    Changes are gathered over `batch` presentations and made together at the end of the last; their sum,
    or, with `step`, a step of that size in the direction of their sum ("Manhattan"). Weights stay between
    `low` and `high`. With `normalised`, the weights that enter a neuron are rescaled, after every change,
    to the Euclidean norm that they were drawn with.

    Source: for `step`, Liao, Leibo & Poggio (2016), arXiv 1510.05067 (Batch Manhattan); for
    `normalised`, Moskovitz, Litwin-Kumar & Abbott (2018), arXiv 1812.06488, there for whole layers.
    """

    batch: Count = 1
    step: Annotated[Number, Rate(), Gt(0)] | None = None
    low: Number | None = None
    high: Number | None = None
    normalised: Annotated[bool, Strict()] = False

    def model_post_init(self, context: Any) -> None:
        """Refuse what contradicts itself."""
        low, high = self.bounds()
        if low >= high:
            raise OutOfRange(f"Learning.low must be < high; got low = {self.low}, high = {self.high}.", at=("low",))
        if self.normalised and self.bounded:
            raise Contradiction(
                "Learning: weights that keep their norm cannot also be held within bounds. Give low and high, or"
                " normalised."
            )

    def bounds(self) -> tuple[float, float]:
        """The least and the largest weight, as far out as numbers go where there is none."""
        return (-NO_BOUND if self.low is None else self.low, NO_BOUND if self.high is None else self.high)

    @property
    def bounded(self) -> bool:
        """Whether there are bounds."""
        return self.low is not None or self.high is not None

    @property
    def gathers(self) -> bool:
        """Whether changes wait for the end of their presentation or batch."""
        return self.batch > 1 or self.step is not None or self.normalised


def _read_weights(value: Any, info: ValidationInfo) -> Any:
    """The weights of a pathway: those of listed synapses are a distribution, else they make a matrix."""
    listed = info.data.get("connect") is not None
    plain = isinstance(value, (int, float)) and not isinstance(value, bool)
    quantity = isinstance(value, str) and value not in weight_family
    with faults():
        if listed or plain or quantity or isinstance(value, Distribution):
            if isinstance(value, Weights):
                raise WrongType(
                    f"{type(value).__name__} makes a whole matrix, but connect lists single synapses. Give their"
                    " weights as a number, a quantity or a distribution, such as weights = '0.1 nS'."
                )
            return read_distribution(value)
        return weight_family.read(value)


def _written_weights(weights: Weights | Distribution) -> Any:
    if isinstance(weights, Distribution):
        return written_distribution(weights)
    return as_table(weights)


_WEIGHTS = (
    BeforeValidator(_read_weights),
    PlainSerializer(_written_weights),
    InSchema({
        "anyOf": [{"type": ["number", "string", "array"]}, {"family": "kind of weights"}, {"family": "distribution"}]
    }),
)


class Pathway(_Named):
    """All synapses from one population to one port of another.

    `density` is the probability that a synapse exists, `fan_in` how many each postsynaptic neuron has, from different
    neurons; with `zero_is_absent` those exist whose initial weight is not 0. An absent one has weight 0 and never
    learns. `sign` keeps every weight >= 0 (excitatory) or <= 0 (inhibitory): drawn weights take it by their absolute
    value, learned ones stop at 0. With `sign = "concordant"` a feedback pathway transmits with |w| sign(W'), W being
    the weights that it `stands_for`: magnitudes of its own, their signs. `carries` names what of the source the
    synapses transmit: a published variable, or what arrives at one of its ports, passed on as it is; `stands_for` the
    feedforward pathway whose transpose a feedback pathway replaces. `partner` names a pathway of the same shape whose
    weight, synapse by synapse, the rule can read.

    A listed pathway may join a part of a population: `source = "exc[0:80]"`, whose neurons then count from 0 in
    lists of pairs; it is kept as `source_part`.

    `connect` lists single synapses, kept sparse, each with a weight and a delay of its own: `weights` and `delay` are
    then numbers, quantities or distributions, in the unit of the port. Weights that are a number or a quantity list all
    pairs. `delay` is how long what is sent is under way (`bioFA.synapses.delay`), for every synapse of a matrix too,
    row by row where it is given; `dynamics` what listed synapses do with their weight from spike to spike
    (`bioFA.synapses.dynamics`).
    """

    source: Name
    target: Name
    source_part: tuple[Amount, Amount] | None = None
    target_part: tuple[Amount, Amount] | None = None
    port: Name = "drive"
    carries: Name = "r"
    connect: ConnectField | None = None
    weights: Annotated[Any, *_WEIGHTS]
    delay: DelayField = NO_DELAY
    dynamics: DynamicsField | None = None
    density: Annotated[Number, Gt(0), Le(1)] = 1.0
    fan_in: Count | None = None
    zero_is_absent: Annotated[bool, Strict()] = False
    sign: Literal["any", "excitatory", "inhibitory", "concordant"] = "any"
    plasticity: Rule | None = None
    learning: Learning = Learning()
    stands_for: Name | None = None
    partner: Name | None = None

    def model_post_init(self, context: Any) -> None:
        """Weights that are no matrix list all pairs."""
        super().model_post_init(context)
        if isinstance(self.weights, Distribution) and self.connect is None:
            object.__setattr__(self, "connect", All())

    @model_validator(mode="before")
    @classmethod
    def _with_parts(cls, given: Any) -> Any:
        """`source = "exc[0:80]"` is the population and the part of it."""
        fields = dict(given) if isinstance(given, dict) else given
        for end in ("source", "target") if isinstance(fields, dict) else ():
            text = fields.get(end)
            found = _SLICE.fullmatch(text) if isinstance(text, str) else None
            if found is not None and found[2] is not None:
                fields |= {end: found[1], f"{end}_part": (int(found[2] or 0), int(found[3] or WHOLE))}
        return fields

    @cached_property
    def listed(self) -> bool:
        """Whether its synapses are listed one by one, not a matrix."""
        return self.connect is not None

    @cached_property
    def fixed_list(self) -> bool:
        """Whether its synapses are listed one by one and never change."""
        return self.listed and self.plasticity is None

    @cached_property
    def delayed(self) -> bool:
        """Whether nothing that it carries arrives in the step in which it is sent."""
        return any(least > 0 for least in self.delay.least.values())

    def late(self, side: str) -> Literal["", "one", "each"]:
        """How late its synapses see what is presynaptic (`pre`) or postsynaptic (`post`): in the same step, after one
        delay, or after one of their own. Fixed lists see nothing: what they carry is put on its way as it is sent."""
        return self._late[side]

    @cached_property
    def _late(self) -> Mapping[str, Literal["", "one", "each"]]:
        """How late its synapses see either side."""
        parts = {"pre": "axonal", "post": "dendritic"}
        return {side: "" if self.fixed_list else self.delay.kind(part) for side, part in parts.items()}

    @cached_property
    def seen_late(self) -> Mapping[str, tuple[str, str]]:
        """The side and the variable that its synapses see late, by the name that the state has for what they are still
        to see."""
        found: dict[str, tuple[str, str]] = {}
        if self.late("pre"):
            found[f"{self.name}.under_way"] = ("pre", self.carries)
            found |= {f"{self.name}.{v}_pre": ("pre", v) for v in self.reads_pre() if v != self.carries}
        if self.late("post") and self.plasticity is not None:
            found |= {f"{self.name}.{v}_post": ("post", v) for v in self.plasticity.reads_post}
        return found

    @cached_property
    def sent_last(self) -> bool:
        """Whether it transmits as the step ends: nothing arrives before a dendritic delay is over, but some synapse may
        see what is carried at once."""
        return self.late("post") != "" and self.delay.least["dendritic"] > 0 and not self.delay.least["axonal"] > 0

    @property
    def sparse(self) -> bool:
        """Whether some synapses of its matrix do not exist."""
        return self.density < 1 or self.fan_in is not None or self.zero_is_absent

    def reads_pre(self) -> tuple[str, ...]:
        """The presynaptic variables that the rule reads; `carried` is whatever the pathway carries."""
        return (
            tuple(self.carries if v == "carried" else v for v in self.plasticity.reads_pre) if self.plasticity else ()
        )

    def traces(self) -> Mapping[str, float]:
        """What the rule keeps at each synapse beside the weight, and the value that it begins with."""
        return self.plasticity.state if self.plasticity else {}

    def at_rate(self, rate: float) -> Self:
        """The pathway in a phase of this rate, which multiplies its learning rate and the size of its steps."""
        rule, learning = self.plasticity, self.learning
        if rate == 1.0 or rule is None:
            return self
        if "learning_rate" in rule.parameters():
            rule = rule.replace(learning_rate=rate * rule.parameters()["learning_rate"])
        if learning.step is not None:
            learning = learning.model_copy(update={"step": rate * learning.step})  # 0 is a rate, but no step of its own
        return self.model_copy(update={"plasticity": rule, "learning": learning})

    def refers_to(self) -> tuple[str, ...]:
        """The pathways whose weights this one cannot do without."""
        borrowed = () if self.weights.owns else (self.weights.pathway,)
        return (
            *borrowed,
            *((self.stands_for or "",) if self.sign == "concordant" else ()),
            *((self.partner,) if self.partner else ()),
        )


class Circuit(Component):
    """Whatever can be laid out as a network."""

    def network(self) -> Network:
        """The populations and pathways."""
        raise NotImplementedError(f"{type(self).__name__} lays no network")

    def caveats(self) -> tuple[str, ...]:
        """What a summary of the circuit must add, lest its name claim too much; sentences."""
        return ()

    def numbers(self) -> dict[str, float]:
        """The numbers of its learning scheme that no rule holds."""
        return {}

    def keys_of(self, path: Keys) -> Keys:
        """The path in this description to what a path in its network leads to, as near as it has one."""
        return ()

    def topology(self) -> str:
        """How it is laid out, in words."""
        return "explicit: every pathway is given"

    def scheme_class(self) -> type[Component] | None:
        """The learning scheme that lays it out, or None where every pathway is given."""
        return None

    def has_settings(self, scheme: str) -> bool:
        """Whether it holds settings of a scheme."""
        return False

    def own_scheme_name(self) -> str | None:
        """The model's own scheme, where another is in use."""
        return None

    def with_scheme(self, scheme: str) -> Circuit:
        """The same circuit under another scheme.

        Raises:
            ModelError: if none lays it out.
        """
        raise Unavailable(
            f"scheme '{scheme}' has nothing to lay out in a circuit that is given pathway by pathway. Describe a"
            " layered circuit, or name the populations that are the layers."
        )

    def with_parts(self, change: Callable[[Any], Any]) -> Circuit:
        """The same circuit with every part of it that learns changed."""
        return self.replace(pathways=tuple(change(pathway) for pathway in self.network().pathways))

    def settled(self, presentations: Callable[[], int]) -> Circuit:
        """The same, with what depends on how many presentations the training has."""
        return self


class Network(Circuit):
    """Populations and pathways, checked as a whole.

    Raises:
        ModelError: naming the population or pathway at fault, if names clash, an end is
            missing, a shape does not fit, a rule reads what is not there, or static units
            form a cycle.
    """

    populations: Annotated[
        tuple[Population, ...], Field(examples=[[{"name": "hidden", "size": 30, "neuron": "leaky_rate"}]])
    ]
    pathways: tuple[Pathway, ...] = ()

    def network(self) -> Network:
        """Itself."""
        return self

    def keys_of(self, path: Keys) -> Keys:
        """The same path."""
        return path

    def on_grid(self, dt: float) -> Network:
        """The same network with every duration of its neurons a whole number of steps (`NeuronModel.on_grid`).

        Raises:
            ModelError: naming the population, if a duration would last no step.
        """
        populations = []
        for number, population in enumerate(self.populations):
            try:
                populations.append(population.replace(neuron=population.neuron.on_grid(dt)))
            except ModelError as error:
                error.under("populations", number, "neuron")
                raise error.prefixed(f"population '{population.name}': ") from None
        return self if tuple(populations) == self.populations else self.replace(populations=tuple(populations))

    def model_post_init(self, context: Any) -> None:
        """Run the checks that span populations and pathways."""
        if not self.populations:
            raise MissingField("Network.populations is empty. Describe at least one population.", at=("populations",))
        object.__setattr__(self, "pathways", tuple(carrying(p, self._populations.get(p.source)) for p in self.pathways))
        counts = Counter(part.name for part in (*self.populations, *self.pathways))
        for name, count in counts.items():
            if count > 1:
                raise DuplicateName(
                    f"the name '{name}' is used {count} times. Give every population and pathway its own name."
                )
        for number, population in enumerate(self.populations):
            with under("populations", number):
                self._check_population(population)
        # rules read ports, so every pathway must be right first
        for check in (self._check_pathway, self._check_plasticity):
            for number, pathway in enumerate(self.pathways):
                with under("pathways", number):
                    try:
                        check(pathway)
                    except ModelError as error:
                        raise error.prefixed(f"pathway '{pathway.name}': ") from None
        for number, population in enumerate(self.populations):
            for port in population.neuron.required_ports():
                if not self.arriving(population.name, port):
                    raise MissingSignal(
                        f"population '{population.name}': nothing arrives at the port '{port}', which"
                        f" {type(population.neuron).__name__} needs. Add a pathway with target = '{population.name}',"
                        f" port = '{port}'.",
                        at=("populations", number),
                    )
        self._check_shared()
        _ = self.order

    def _check_population(self, population: Population) -> None:
        neuron = population.neuron
        for key, drawn in (("parameters", neuron.own_parameters()), ("initial", neuron.beginnings())):
            for name, (distribution, _) in drawn.items():
                with under("neuron", key, name):
                    distribution.check_count(population.size, f"population '{population.name}': {name}")
                    self._check_of_one(distribution, f"population '{population.name}': {name}")
        for number, background in enumerate(population.background):
            with under("background", number):
                for name in ("rate", "weight"):
                    with under(name):
                        self._check_of_one(getattr(background, name), f"background of '{population.name}': {name}")
                if background.port not in neuron.ports:
                    raise UnknownName(
                        f"population '{population.name}': background: {type(neuron).__name__} has no port"
                        f" '{background.port}'.{suggestion(background.port, neuron.ports)}",
                        at=("port",),
                    )
                with under("rate"):
                    rate = background.rate.numbers(FREQUENCY, f"background of '{population.name}': rate")
                    if rate.get("value", 0.0) < 0:
                        raise OutOfRange(
                            f"background of '{population.name}': rate must be >= 0 Hz; got {rate['value']:g}."
                        )
                with under("weight"):
                    background.weight.numbers(
                        neuron.dimension_of(background.port), f"background of '{population.name}': weight"
                    )

    @staticmethod
    def _check_of_one(distribution: Distribution, place: str) -> None:
        """Refuse a text of two neurons where there is one."""
        if distribution.pairwise:
            distribution.dimension(place)

    def _check_texts(self, pathway: Pathway) -> None:
        """Texts of two neurons must be readable, each in the unit of its place."""
        known = self.between(pathway).names
        parts: dict[Keys, tuple[Distribution, Dimension]] = {
            ("delay", name): (part, TIME) for name, part in pathway.delay.parts().items()
        }
        for name, drawn in (pathway.dynamics.own_parameters() if pathway.dynamics is not None else {}).items():
            parts["dynamics", name] = drawn
        if isinstance(pathway.weights, Distribution):
            parts["weights",] = (pathway.weights, self.weight_dimension(pathway))
        for path, (distribution, dimension) in parts.items():
            with under(*path):
                distribution.check_at(known, dimension, ".".join(map(str, path)))

    def _check_shared(self) -> None:
        """Refuse populations that disagree about a parameter which they must share."""
        first: dict[str, Population] = {}
        for number, population in enumerate(self.populations):
            for name in population.neuron.shared_parameters:
                other = first.setdefault(name, population)
                ours, theirs = (getattr(p.neuron, name) for p in (population, other))
                if ours != theirs:
                    raise Contradiction(
                        f"population '{population.name}': {type(population.neuron).__name__}.{name} is {ours:g}, but it"
                        f" must be that of '{other.name}', {theirs:g}: the phases of a presentation are the same for"
                        " all. Change one of them.",
                        at=("populations", number),
                    )

    def _check_pathway(self, pathway: Pathway) -> None:
        for end in ("source", "target"):
            if getattr(pathway, end) not in self._populations:
                raise UnknownName(
                    f"unknown {end} '{getattr(pathway, end)}'.{suggestion(getattr(pathway, end), self._populations)}"
                )
        source, target = self.population(pathway.source), self.population(pathway.target)
        if pathway.port not in target.neuron.ports:
            raise UnknownName(
                f"{type(target.neuron).__name__} has no port"
                f" '{pathway.port}'.{suggestion(pathway.port, target.neuron.ports)}"
            )
        if pathway.port in target.neuron.unread_ports():
            raise Contradiction(
                f"{type(target.neuron).__name__} of '{target.name}' is set up so that nothing reads its port"
                f" '{pathway.port}'. Drop the pathway or change the neuron."
            )
        if pathway.carries not in (*source.neuron.publishes, *source.neuron.ports) or pathway.carries == "probe":
            raise MissingSignal(
                f"cannot carry '{pathway.carries}': {type(source.neuron).__name__} publishes only:"
                f" {', '.join(source.neuron.publishes)}. Carry one of these."
            )
        if pathway.stands_for is not None and pathway.stands_for not in self._pathways:
            raise UnknownName(
                "stands_for names the unknown pathway"
                f" '{pathway.stands_for}'.{suggestion(pathway.stands_for, self._pathways)}"
            )
        if pathway.partner is not None and pathway.partner not in self._pathways:
            raise UnknownName(
                f"partner names the unknown pathway '{pathway.partner}'.{suggestion(pathway.partner, self._pathways)}"
            )
        if not pathway.delay.none and pathway.weights.one_to_one and not pathway.listed:
            raise Contradiction(
                f"{type(pathway.weights).__name__} weights pass within the step. For partners with a delay, write"
                " connect = 'one_to_one' and weights = 1.0.",
                at=("delay",),
            )
        if pathway.dynamics is not None:
            self._check_dynamics(pathway, source)
        if pathway.listed:
            for side in ("pre", "post"):
                self._part(pathway, side)
            self._check_listed(pathway, source, target)
        elif pathway.source_part or pathway.target_part:
            raise Contradiction(
                "a part of a population is joined by single synapses. Say how they are laid, such as connect = 'all',"
                " and give weights as a number or a quantity."
            )
        else:
            self._check_weights(pathway, (target.size, source.size))
            for name, part in pathway.delay.parts().items():
                with under("delay", name):
                    part.check_count(target.size * source.size, f"delay.{name}")
        self._check_texts(pathway)

    @staticmethod
    def _check_dynamics(pathway: Pathway, source: Population) -> None:
        """Dynamics are of single synapses, and of spikes."""
        if not pathway.listed:
            raise Contradiction(
                "dynamics are of single synapses, but its weights are a matrix. Give connect, such as connect = 'all',"
                " and weights that are a number, a quantity or a distribution.",
                at=("dynamics",),
            )
        events = source.neuron.events
        if pathway.carries not in events:
            raise MissingSignal(
                f"dynamics act on spikes, but it carries '{pathway.carries}' of {type(source.neuron).__name__}, which"
                f" sends as spikes: {', '.join(events) or 'nothing'}. Carry spikes, or leave dynamics out.",
                at=("dynamics",),
            )

    def _check_listed(self, pathway: Pathway, source: Population, target: Population) -> None:
        """What synapses that are listed one by one must agree with."""
        assert pathway.connect is not None
        for name, given in (
            ("density", pathway.density < 1),
            ("fan_in", pathway.fan_in is not None),
            ("zero_is_absent", pathway.zero_is_absent),
            ("sign", pathway.sign == "concordant"),
        ):
            if given:
                raise Contradiction(
                    f"{name} belongs to a matrix of weights, but connect lists single synapses. Leave {name} out;"
                    f" connect = '{pathway.connect.family_name}' says which there are.",
                    at=(name,),
                )
        if pathway.sign != "any" and source.inhibitory is not None:
            raise Contradiction(
                f"sign = '{pathway.sign}' contradicts Dale's law of '{source.name}', whose cells decide the signs."
                " Leave sign out."
            )
        with under("weights"):
            pathway.weights.numbers(self.weight_dimension(pathway), "weights")
        with under("connect"):
            self._check_as(pathway)
            connect = self.laid_by(pathway).connect
            assert connect is not None
            connect.check(shape := self.laying(pathway))
            pre, post = self._part(pathway, "pre"), self._part(pathway, "post")
            overlap = pathway.source == pathway.target and pre.start < post.stop and post.start < pre.stop
            if overlap and not shape.same and not connect.autapses:
                raise Contradiction(
                    "autapses = false, but source and target are different parts of one population that overlap. Give"
                    " parts that do not, or the same part."
                )

    def _check_as(self, pathway: Pathway) -> None:
        """A pathway laid as another one must find it, between as many neurons."""
        if not isinstance(pathway.connect, As):
            return
        if pathway.connect.pathway not in self._pathways:
            raise UnknownName(
                f"connect = 'as': nothing is called '{pathway.connect.pathway}'."
                f"{suggestion(pathway.connect.pathway, self._pathways)}",
                at=("pathway",),
            )
        other = self.pathway(pathway.connect.pathway)
        if not other.listed or isinstance(other.connect, As):
            raise Contradiction(
                f"connect = 'as': '{other.name}' lists no synapses of its own. Name a pathway that does.",
                at=("pathway",),
            )
        if self.shape(other) != self.shape(pathway):
            raise WrongShape(
                f"connect = 'as' needs as many neurons on both sides, (n_post, n_pre) = {self.shape(pathway)};"
                f" '{other.name}' has {self.shape(other)}.",
                at=("pathway",),
            )

    def _check_weights(self, pathway: Pathway, shape: tuple[int, int]) -> None:
        weights = pathway.weights
        if (not weights.owns or weights.one_to_one) and (pathway.sparse or pathway.sign != "any"):
            raise Contradiction(
                f"density, fan_in and sign belong to a pathway that draws its own weights; {type(weights).__name__}"
                " draws none. Give them to the pathway whose weights these are."
            )
        if pathway.fan_in is not None and (pathway.density < 1 or pathway.fan_in > shape[1]):
            raise WrongShape(
                f"fan_in must be at most {shape[1]}, the size of '{pathway.source}', and excludes density; got"
                f" {pathway.fan_in} with density {pathway.density:g}."
            )
        if pathway.zero_is_absent and (pathway.density < 1 or pathway.fan_in is not None):
            raise Contradiction(
                "zero_is_absent takes the absent synapses from the initial weights, and density or fan_in draw them."
                " Leave one out."
            )
        if pathway.sign in ("excitatory", "inhibitory") and self.population(pathway.source).inhibitory is not None:
            raise Contradiction(
                f"sign = '{pathway.sign}' contradicts Dale's law of '{pathway.source}', whose cells decide the signs."
                " Leave sign out."
            )
        if pathway.sign == "concordant":
            if pathway.stands_for is None:
                raise MissingField(
                    "has no signs to take: sign = 'concordant' follows the pathway that it stands for. Give stands_for."
                )
            self._check_stored(self.pathway(pathway.stands_for), "takes the signs of")
            if (followed := self.shape(self.pathway(pathway.stands_for))[::-1]) != shape:
                raise WrongShape(
                    f"weights must have the shape (n_post, n_pre) = {shape}; '{pathway.stands_for}' transposed has"
                    f" {followed}. Let it stand for the pathway that runs the other way."
                )
        if not weights.owns:
            assert isinstance(weights, (SharedWith, PseudoInverseOf))
            if weights.pathway not in self._pathways:
                raise UnknownName(
                    "shares the weights of the unknown pathway"
                    f" '{weights.pathway}'.{suggestion(weights.pathway, self._pathways)}"
                )
            owner = self.pathway(weights.pathway)
            self._check_stored(owner, "shares with")
            owned = self.shape(owner)
            offered = owned[::-1] if weights.transposed else owned
            if offered != shape:
                turned = " transposed" if weights.transposed else ""
                raise WrongShape(
                    f"weights must have the shape (n_post, n_pre) = {shape}; '{owner.name}'{turned} has {offered}."
                    " Share with a pathway between populations of these sizes."
                )
        elif weights.one_to_one and shape[0] != shape[1]:
            raise WrongShape(
                f"Identity weights join populations of equal size; got {shape[1]} to {shape[0]} neurons. Use other"
                " weights, such as Normal, or equal sizes."
            )
        with under("weights"):
            given = weights.shape()
        if given is not None and given != shape:
            raise WrongShape(
                f"weights must have the shape (n_post, n_pre) = {shape}; got {given}. Give one row a postsynaptic"
                " neuron, or change the sizes."
            )

    @staticmethod
    def _check_stored(owner: Pathway, verb: str) -> None:
        if owner.listed:
            raise Contradiction(f"{verb} '{owner.name}', whose synapses are listed one by one. Name one with a matrix.")
        if isinstance(owner.weights, (SharedWith, PseudoInverseOf)):
            raise Contradiction(
                f"{verb} '{owner.name}', which has no weights of its own. Name '{owner.weights.pathway}' instead."
            )
        if owner.weights.one_to_one:
            raise Contradiction(f"{verb} '{owner.name}', which is one to one. Use the same Identity weights instead.")

    def _check_plasticity(self, pathway: Pathway) -> None:
        rule = pathway.plasticity
        if rule is None:
            return
        source, target = self.population(pathway.source), self.population(pathway.target)
        name = type(rule).__name__
        if pathway.listed and rule.needs_partner:
            raise CannotLearn(
                f"cannot learn by {name}, which reads the weights of a partner, synapse by synapse: listed synapses"
                " have none. Give a matrix of weights, or another rule."
            )
        if pathway.dynamics is not None:
            raise CannotLearn(
                "cannot learn: its synapses have dynamics, which rest on a fixed weight. Leave dynamics or plasticity"
                " out.",
                at=("dynamics",),
            )
        if isinstance(pathway.weights, (SharedWith, PseudoInverseOf)):
            raise CannotLearn(
                f"cannot learn, since its weights belong to '{pathway.weights.pathway}'. Put the plasticity there."
            )
        if isinstance(pathway.weights, Redrawn):
            raise CannotLearn(
                "cannot learn: Redrawn weights last for one presentation. Use weights that are drawn once."
            )
        if pathway.sign == "concordant":
            raise CannotLearn(
                "cannot learn: its signs are those of another pathway. Use another sign for a plastic pathway."
            )
        for variable in rule.filters():
            if variable in (*RESERVED, *RESERVED_AT_SYNAPSES, *rule.parameters()):
                raise BadName(
                    f"{name} keeps a variable '{variable}' at each synapse, a name that means something else there."
                    " Call it otherwise."
                )
        for own in (*rule.state, *rule.parameters()):
            if own.endswith(("_pre", "_post")):
                side = "presynaptic" if own.endswith("_pre") else "postsynaptic"
                raise BadName(f"{name}: the name '{own}' ends like a variable of the {side} neuron. Call it otherwise.")
        if rule.needs_partner:
            if pathway.partner is None:
                raise MissingField(
                    f"{name} reads the weights of a partner. Give partner, the name of a pathway of the same shape."
                )
            partner = self.pathway(pathway.partner)
            self._check_stored(partner, "has the partner")
            if self.shape(partner) != self.shape(pathway):
                raise WrongShape(
                    f"its partner must have the shape (n_post, n_pre) = {self.shape(pathway)}; '{partner.name}' has"
                    f" {self.shape(partner)}."
                )
        if pathway.weights.one_to_one:
            raise CannotLearn(
                "cannot learn: Identity weights are fixed. Use Values or Normal weights for a plastic pathway."
            )
        units = [p for p in self.populations if p.neuron.compares_targets]
        readouts = [self.population(p.source) for unit in units for p in self.arriving(unit.name, "prediction")]
        for parameters, populations, whose in (
            (rule.neuron_parameters, [target], "the postsynaptic neuron"),
            (rule.error_parameters, units, "the error unit"),
            (rule.readout_parameters, [p for p in readouts if not p.neuron.spikes], "the readout"),
        ):
            for population in populations:
                theirs = population.neuron.parameters()
                for own, its in parameters.items():
                    if its in theirs and rule.parameters()[own] != theirs[its]:
                        raise Contradiction(
                            f"{name}.{own} is {rule.parameters()[own]:g}, but it must be that of {whose}:"
                            f" {type(population.neuron).__name__}.{its} of '{population.name}' is {theirs[its]:g}."
                            " Change one of them."
                        )
        for reads, population, side in (
            (pathway.reads_pre(), source, "presynaptic"),
            (rule.reads_post, target, "postsynaptic"),
        ):
            neuron = population.neuron
            for variable in reads:
                if variable not in neuron.readable() or variable == "probe":
                    raise MissingSignal(
                        f"{name} reads '{variable}' of its {side} population, but {type(neuron).__name__} publishes"
                        f" only: {', '.join(neuron.publishes)}. Use another rule, or another neuron model for"
                        f" '{population.name}'."
                    )
                if variable in neuron.ports and not self.arriving(population.name, variable):
                    raise MissingSignal(
                        f"{name} reads '{variable}' of '{population.name}', but no pathway arrives at that port, so"
                        f" nothing would ever be learned. Add a pathway with target = '{population.name}', port ="
                        f" '{variable}'."
                    )

    @cached_property
    def _populations(self) -> dict[str, Population]:
        return {population.name: population for population in self.populations}

    @cached_property
    def _pathways(self) -> dict[str, Pathway]:
        return {pathway.name: pathway for pathway in self.pathways}

    @cached_property
    def _arriving(self) -> dict[tuple[str, str], tuple[Pathway, ...]]:
        ends = dict.fromkeys((p.target, p.port) for p in self.pathways)
        return {end: tuple(p for p in self.pathways if (p.target, p.port) == end) for end in ends}

    def population(self, name: str) -> Population:
        """The population of that name."""
        return self._populations[name]

    def pathway(self, name: str) -> Pathway:
        """The pathway of that name."""
        return self._pathways[name]

    def population_sizes(self) -> dict[str, int]:
        """How many neurons each population has."""
        return {population.name: population.size for population in self.populations}

    def shape(self, pathway: Pathway) -> tuple[int, int]:
        """`(n_post, n_pre)` of a pathway."""
        return self.population(pathway.target).size, self.population(pathway.source).size

    def delay_of(self, pathway: Pathway) -> str:
        """What a rule of a pathway sees late, in words; empty where it sees nothing late."""
        if pathway.plasticity is None:
            return ""
        sides = (("pre", "presynaptic", "axonal"), ("post", "postsynaptic", "dendritic"))
        parts = [f"{what} after its {part} delay" for side, what, part in sides if pathway.late(side)]
        return f"the rule sees what is {', and what is '.join(parts)}" if parts else ""

    def weight_dimension(self, pathway: Pathway) -> Dimension:
        """What its weights measure: what arrives at its port, over what it carries; spikes and rates are numbers."""
        source, target = self.population(pathway.source).neuron, self.population(pathway.target).neuron
        return over(target.dimension_of(pathway.port), source.dimension_of(pathway.carries))

    def laid_by(self, pathway: Pathway) -> Pathway:
        """The pathway whose `connect` says which synapses there are: another one where it says `as`."""
        return self.pathway(pathway.connect.pathway) if isinstance(pathway.connect, As) else pathway

    def laying(self, pathway: Pathway, constants: Mapping[str, Array] | None = None) -> Shape:
        """Between what the synapses of a pathway are laid, with the parameters of both sides once they are drawn."""
        return self._between(self.laid_by(pathway), self.laid_by(pathway), constants)

    def between(self, pathway: Pathway, constants: Mapping[str, Array] | None = None) -> Shape:
        """What texts of weights, delays and dynamics read of both sides, likewise; its own neurons, also where it is
        laid as another pathway."""
        return self._between(pathway, self.laid_by(pathway), constants)

    def _between(self, pathway: Pathway, layer: Pathway, constants: Mapping[str, Array] | None) -> Shape:
        ends = {"pre": self.population(pathway.source), "post": self.population(pathway.target)}
        known: dict[str, Dimension] = {}
        values: dict[str, Array] = {}
        for side, population in ends.items():
            for name, (_, dimension) in population.neuron.own_parameters().items():
                known[f"{name}_{side}"] = dimension
                if constants is not None:
                    values[f"{name}_{side}"] = constants[f"{population.name}.{name}"]
        parts = {side: self._part(layer, side) for side in ends}
        for side, population in ends.items():
            for name in [name for name in values if name.endswith(f"_{side}") and len(values[name]) == population.size]:
                values[name] = values[name][parts[side]]
        sizes = {side: part.stop - part.start for side, part in parts.items()}
        same = layer.source == layer.target and parts["pre"] == parts["post"]
        return Shape(sizes["pre"], sizes["post"], same, known, values)

    def parts(self, pathway: Pathway) -> tuple[int, int]:
        """The first presynaptic and the first postsynaptic neuron that a pathway joins."""
        layer = self.laid_by(pathway)
        return self._part(layer, "pre").start, self._part(layer, "post").start

    def _part(self, pathway: Pathway, side: str) -> slice:
        """Which neurons of an end a pathway joins.

        Raises:
            OutOfRange: if there are not so many.
        """
        end = "source" if side == "pre" else "target"
        name = getattr(pathway, end)
        size, part = self.population(name).size, getattr(pathway, f"{end}_part") or (0, WHOLE)
        start, stop = part[0], size if part[1] == WHOLE else part[1]
        if not start < stop <= size:
            raise OutOfRange(
                f"{end}: '{name}' has {size} neurons, so a part is within [0:{size}]; got [{start}:{stop}].", at=(end,)
            )
        return slice(start, stop)

    def arriving(self, population: str, port: str) -> tuple[Pathway, ...]:
        """The pathways that arrive at one port, in the order of their description."""
        return self._arriving.get((population, port), ())

    def by_port(self) -> tuple[Pathway, ...]:
        """The pathways, port by port, in the order in which each port sums them."""
        return tuple(pathway for end in sorted(self._arriving) for pathway in self._arriving[end])

    def wiring(self) -> tuple[tuple[Population, ...], tuple[Pathway, ...]]:
        """Populations and pathways without the names of pathways: each is called by its place in `by_port`,
        also where others refer to it."""
        pathways = self.by_port()
        called = {pathway.name: f"p{place}" for place, pathway in enumerate(pathways)}

        def renamed(pathway: Pathway) -> Pathway:
            weights = pathway.weights if pathway.weights.owns else pathway.weights.replace(pathway=called[pathway.weights.pathway])  # noqa: E501
            others = {end: called.get(getattr(pathway, end)) for end in ("stands_for", "partner")}
            if isinstance(pathway.connect, As):
                others["connect"] = pathway.connect.replace(pathway=called[pathway.connect.pathway])
            return pathway.replace(name=called[pathway.name], weights=weights, **others)

        return tuple(sorted(self.populations, key=lambda population: population.name)), tuple(map(renamed, pathways))

    def owners(self) -> tuple[Pathway, ...]:
        """The pathways that have a matrix of weights of their own."""
        return tuple(p for p in self.pathways if p.weights.owns and not p.listed)

    def listed(self) -> tuple[Pathway, ...]:
        """The pathways whose synapses are listed one by one."""
        return tuple(p for p in self.pathways if p.listed)

    def redrawn(self) -> tuple[Pathway, ...]:
        """The pathways whose weights are drawn anew for every presentation."""
        return tuple(p for p in self.pathways if isinstance(p.weights, Redrawn))

    def signs(self, pathway: Pathway) -> Array | None:
        """The sign that each presynaptic cell gives its synapses by Dale's law, `(n_pre,)`, or None."""
        lawful = (
            pathway.weights.owns
            and not pathway.weights.one_to_one
            and pathway.sign == "any"
            and not isinstance(pathway.weights, Redrawn)
        )
        return self.population(pathway.source).cells() if lawful else None

    def effective(self, pathway: Pathway, weights: Mapping[str, Any]) -> Any:
        """The matrix with which a pathway transmits, `(n_post, n_pre)`, from the stored ones by `pathway.w`."""
        if isinstance(pathway.weights, (SharedWith, PseudoInverseOf)):
            return pathway.weights.of(weights[f"{pathway.weights.pathway}.w"])
        own = weights[f"{pathway.name}.w"]
        return np.abs(own) * np.sign(weights[f"{pathway.stands_for}.w"].T) if pathway.sign == "concordant" else own

    def plastic(self) -> tuple[Pathway, ...]:
        """The pathways that learn."""
        return tuple(p for p in self.pathways if p.plasticity is not None)

    def rules_in_use(self) -> list[dict[str, Any]]:
        """Every rule in use: `rule`, the `pathways` that learn by it, and its `rates` by name,
        with those of `learning`."""
        rows: list[dict[str, Any]] = []
        for pathway in self.plastic():
            assert pathway.plasticity is not None
            found = {
                "rule": pathway.plasticity.family_name,
                "rates": pathway.plasticity.rates() | pathway.learning.rates(),
            }
            same = next((row for row in rows if all(row[key] == value for key, value in found.items())), None)
            if same is None:
                rows.append(found | {"pathways": [pathway.name]})
            else:
                same["pathways"].append(pathway.name)
        return rows

    def spiking(self) -> tuple[Population, ...]:
        """The populations that spike: those that publish `s`."""
        return tuple(p for p in self.populations if "s" in p.neuron.publishes)

    def is_static(self) -> bool:
        """Whether no neuron keeps anything from one step to the next."""
        return not any(population.neuron.state for population in self.populations)

    def dependencies(self, node: Node) -> tuple[Node, ...]:
        """The nodes that must be known before this one, within the step."""
        neuron = self.population(node.population).neuron
        if node.variable in neuron.ports:
            return tuple(Node(p.source, p.carries) for p in self.arriving(*node) if not p.delayed)
        return tuple(Node(node.population, need) for need in neuron.needs(node.variable) if need not in neuron.known())

    @cached_property
    def order(self) -> tuple[Node, ...]:
        """All nodes of a step, each after the ones it depends on; equal networks give equal orders.

        Raises:
            ModelError: if static units form a cycle; the message walks round it.
        """
        nodes = [
            Node(p.name, variable) for p in self.populations for variable in (*p.neuron.ports, *p.neuron.publishes)
        ]
        sorter = graphlib.TopologicalSorter({node: self.dependencies(node) for node in nodes})
        try:
            sorter.prepare()
        except graphlib.CycleError as error:
            cycle = " -> ".join(str(node) for node in error.args[1])
            raise Cycle(
                f"static units form a cycle: {cycle}. Within one step no unit can be computed first; "
                "make one of them a stateful model such as LeakyRate, or remove a pathway."
            ) from None
        position = {node: index for index, node in enumerate(nodes)}
        order: list[Node] = []
        ready: list[Node] = []
        while sorter.is_active():
            ready = sorted([*ready, *sorter.get_ready()], key=position.__getitem__)
            last = order[-1].population if order else ""
            node = next((n for n in ready if n.population == last), ready[0])
            ready.remove(node)
            order.append(node)
            sorter.done(node)
        return tuple(order)

    @property
    def readout(self) -> Node:
        """The variable that an error unit compares with the task's targets.

        Raises:
            ModelError: if no error unit receives the targets.
        """
        prediction = self.arriving(self._judge.name, "prediction")[0]
        return Node(prediction.source, prediction.carries)

    @property
    def answer(self) -> Node:
        """Where the prediction is measured: the readout where it arrives unchanged at the error unit,
        else the unit's port `prediction`."""
        return self.readout if self._unchanged("prediction") else Node(self._judge.name, "prediction")

    @property
    def wanted(self) -> Node | None:
        """Where the target is measured: the error unit's port `target`;
        None where the task's targets arrive there unchanged."""
        return None if self._unchanged("target") else Node(self._judge.name, "target")

    @property
    def judged(self) -> tuple[Node, ...]:
        """What the squared error is computed from, beside the task's targets."""
        return (self.answer, *((self.wanted,) if self.wanted is not None else ()), *self.measure)

    def _unchanged(self, port: str) -> bool:
        """Whether one pathway alone brings what it carries, unchanged, to a port of the error unit."""
        arriving = self.arriving(self._judge.name, port)
        return len(arriving) == 1 and arriving[0].weights.passes

    @property
    def measure(self) -> tuple[Node, ...]:
        """Squared error and power of the targets over a whole presentation, where the error unit measures them."""
        return tuple(Node(self._judge.name, variable) for variable in self._judge.neuron.measures)

    @cached_property
    def _judge(self) -> Population:
        """The error unit that receives the task's targets."""
        for population in self.populations:
            if {"target", "prediction"} <= set(population.neuron.ports):
                teachers = [self.population(p.source).neuron for p in self.arriving(population.name, "target")]
                if any(getattr(teacher, "of", None) == "targets" for teacher in teachers):
                    return population
        raise MissingSignal(
            "nothing compares a prediction with the task's targets. Add an ErrorUnit whose port 'target' receives a"
            " RateSource with of = 'targets'."
        )

    def measured_feedback(self) -> tuple[Pathway, ...]:
        """Feedback pathways, of matrices, whose signal is measured against a probe at the same population."""
        return tuple(
            p
            for p in self.pathways
            if p.port == "error" and p.stands_for is not None and self.arriving(p.target, "probe")
            and not (p.listed or self.pathway(p.stands_for).listed)
        )

    def describe(self) -> str:
        """The network as two tables, and what rules see late."""
        populations = [("population", "size", "neuron")]
        populations += [(p.name, str(p.size), type(p.neuron).__name__) for p in self.populations]
        pathways = [("pathway", "from -> to.port", "weights", "plasticity")]
        for p in self.pathways:
            source, target = f"{p.source}{_part_text(p.source_part)}", f"{p.target}{_part_text(p.target_part)}"
            route = f"{source}{'' if p.carries == 'r' else '.' + p.carries} -> {target}.{p.port}"
            pathways.append(
                (p.name, route, type(p.weights).__name__, type(p.plasticity).__name__ if p.plasticity else "-")
            )
        late = [f"{p.name}: {text}" for p in self.pathways if (text := self.delay_of(p))]
        return "\n\n".join((_aligned(populations), _aligned(pathways), *(("\n".join(late),) if late else ())))


def carrying(pathway: Pathway, source: Population | None) -> Pathway:
    """A pathway that carries what its source sends, where it says nothing of that and there is no `r`."""
    if source is None or "carries" in pathway.model_fields_set or "r" in source.neuron.publishes:
        return pathway
    published = source.neuron.publishes
    sends = next((variable for variable in (source.neuron.sends, *published) if variable in published), "r")
    return pathway.model_copy(update={"carries": sends})


_SLICE = re.compile(r"([a-z][a-z0-9_]*)(?:\[(\d*):(\d*)\])?")


def sliced(text: str, sizes: Mapping[str, int], at: Keys = ()) -> tuple[str, slice]:
    """A population, or some of its neurons in a row, such as `exc[0:80]`.

    Raises:
        ModelError: if it cannot be read, or names what is not there.
    """
    found = _SLICE.fullmatch(text)
    if found is None:
        raise BadName(f"'{text}' names no population. Write exc, or exc[0:80] for its first 80 neurons.", at=at)
    name, first, last = found.groups()
    if name not in sizes:
        raise UnknownName(f"nothing is called '{name}'.{suggestion(name, sizes)}", at=at)
    start, stop = int(first or 0), int(last) if last else sizes[name]
    if not start < stop <= sizes[name]:
        raise OutOfRange(f"'{text}': '{name}' has {sizes[name]} neurons, so a part is within [0:{sizes[name]}].", at=at)
    return name, slice(start, stop)


def _part_text(part: tuple[int, int] | None) -> str:
    return "" if part is None else f"[{part[0]}:{'' if part[1] == WHOLE else part[1]}]"


def _aligned(rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


family: Family[Circuit] = Family(
    "circuit", "bioFA.network", "bioFA.schemes.layered", "bioFA.schemes.taught", base=Circuit
)
CircuitField = Annotated[Circuit, *family.member()]
