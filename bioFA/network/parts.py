"""Populations and pathways, the parts of a network, as they are described."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal, NamedTuple, Self

import numpy as np
from annotated_types import Ge, Gt, Le
from pydantic import BeforeValidator, Field, PlainSerializer, Strict, ValidationInfo, model_validator

from bioFA.components import Amount, Component, Count, InSchema, Name, Number, Rate, as_table, faults
from bioFA.distributions import Distributed, Distribution, read_distribution, written_distribution
from bioFA.errors import BadName, Contradiction, Keys, OutOfRange, UnknownName, WrongType, suggestion
from bioFA.expressions import RESERVED
from bioFA.neurons import Neuron
from bioFA.rules import Rule
from bioFA.synapses.connect import All, ConnectField
from bioFA.synapses.delay import NO_DELAY, DelayField
from bioFA.synapses.dynamics import DynamicsField
from bioFA.weights import Weights
from bioFA.weights import family as weight_family

Array = np.ndarray
SHORT_NAMES = {"e", "i"}
"""What the field calls its excitatory and inhibitory neurons; they mean something else in an equation, which names no
population."""
WHOLE = 2**31 - 1
"""Where a part of a population ends that goes to its last neuron."""
NO_BOUND = 1e38
"""A weight that is larger than any: finite in float32 too."""
_SLICE = re.compile(r"([a-z][a-z0-9_]*)(?:\[(\d*):(\d*)\])?")


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
    InSchema(
        {"anyOf": [{"type": ["number", "string", "array"]}, {"family": "kind of weights"}, {"family": "distribution"}]}
    ),
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


def carrying(pathway: Pathway, source: Population | None) -> Pathway:
    """A pathway that carries what its source sends, where it says nothing of that and there is no `r`."""
    if source is None or "carries" in pathway.model_fields_set or "r" in source.neuron.publishes:
        return pathway
    published = source.neuron.publishes
    sends = next((variable for variable in (source.neuron.sends, *published) if variable in published), "r")
    return pathway.model_copy(update={"carries": sends})


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


def part_text(part: tuple[int, int] | None) -> str:
    """A part of a population as it is written after the name; empty for the whole."""
    return "" if part is None else f"[{part[0]}:{'' if part[1] == WHOLE else part[1]}]"
