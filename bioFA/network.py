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
from collections.abc import Sequence
from functools import cached_property
from typing import Annotated, Any, Literal, NamedTuple

from annotated_types import Gt, Le

from bioFA.components import Component, Count, Family, Name, Number
from bioFA.errors import ModelError, suggestion
from bioFA.neurons import Neuron
from bioFA.rules import Rule
from bioFA.weights import SharedWith, WeightsField

_RESERVED = {"t", "dt", "i", "j", "N", "e", "pi", "inf", "xi", "and", "or", "not", "main", "double", "float", "int", "bool",
             "char", "long", "short", "signed", "unsigned", "void", "auto", "const", "static", "struct", "union", "enum",
             "template", "namespace", "new", "delete", "this", "operator", "private", "public", "protected", "switch",
             "case", "default", "do", "goto", "register", "sizeof", "typedef", "virtual", "volatile", "brian", "biofa"}


class Node(NamedTuple):
    """One value in the walk of a step: a port's sum or a published variable of a population."""

    population: str
    variable: str

    def __str__(self) -> str:
        return f"{self.population}.{self.variable}"


class _Named(Component):
    """A part with a name of its own, which may be given first."""

    name: Name

    def __init__(self, /, *args: Any, **fields: Any) -> None:
        if len(args) > 1:
            raise ModelError(f"{type(self).__name__} takes only its name without a keyword; got {len(args)} values.")
        super().__init__(**(dict(zip(("name",), args, strict=False)) | fields))

    @classmethod
    def _place(cls, fields: dict[str, Any]) -> str:
        return f"{cls.__name__.lower()} '{fields.get('name')}': "

    def model_post_init(self, context: Any) -> None:
        """Refuse names that cannot stand in equations, files and C++."""
        good = re.fullmatch(r"[a-z]([a-z0-9_]*[a-z0-9])?", self.name)
        if not good or keyword.iskeyword(self.name) or self.name in _RESERVED:
            raise ModelError(
                f"{type(self).__name__}.name must be lower-case letters, digits and inner underscores, begin with a letter, "
                f"and not be a reserved word; got {self.name!r}. For example: 'hidden', 'hidden2', 'image_to_hidden'."
            )


class Population(_Named):
    """Neurons that share one neuron model."""

    size: Count
    neuron: Neuron


class Pathway(_Named):
    """All synapses from one population to one port of another.

    `density` is the probability that a synapse exists; an absent one has weight 0 and never
    learns. `sign` keeps every weight >= 0 (excitatory) or <= 0 (inhibitory): drawn weights take
    it by their absolute value, learned ones stop at 0.
    `carries` names the published variable of the source that the synapses transmit;
    `stands_for` the feedforward pathway whose transpose a feedback pathway replaces.
    """

    source: Name
    target: Name
    port: Name = "drive"
    carries: Name = "r"
    weights: WeightsField
    density: Annotated[Number, Gt(0), Le(1)] = 1.0
    sign: Literal["any", "excitatory", "inhibitory"] = "any"
    plasticity: Rule | None = None
    stands_for: Name | None = None


class Circuit(Component):
    """Whatever can be laid out as a network."""

    def network(self) -> Network:
        """The populations and pathways."""
        raise NotImplementedError(f"{type(self).__name__} lays no network")


class Network(Circuit):
    """Populations and pathways, checked as a whole.

    Raises:
        ModelError: naming the population or pathway at fault, if names clash, an end is
            missing, a shape does not fit, a rule reads what is not there, or static units
            form a cycle.
    """

    populations: tuple[Population, ...]
    pathways: tuple[Pathway, ...] = ()

    def network(self) -> Network:
        """Itself."""
        return self

    def model_post_init(self, context: Any) -> None:
        """Run the checks that span populations and pathways."""
        if not self.populations:
            raise ModelError("Network.populations is empty. Describe at least one population.")
        counts = Counter(part.name for part in (*self.populations, *self.pathways))
        for name, count in counts.items():
            if count > 1:
                raise ModelError(f"the name '{name}' is used {count} times. Give every population and pathway its own name.")
        for check in (self._check_pathway, self._check_plasticity):  # rules read ports, so every pathway must be right first
            for pathway in self.pathways:
                try:
                    check(pathway)
                except ModelError as error:
                    raise ModelError(f"pathway '{pathway.name}': {error}") from None
        for population in self.populations:
            for port in population.neuron.required_ports():
                if not self.arriving(population.name, port):
                    raise ModelError(
                        f"population '{population.name}': nothing arrives at the port '{port}', which "
                        f"{type(population.neuron).__name__} needs. Add a pathway with target = '{population.name}', port = '{port}'."
                    )
        _ = self.order

    def _check_pathway(self, pathway: Pathway) -> None:
        for end in ("source", "target"):
            if getattr(pathway, end) not in self._populations:
                raise ModelError(f"unknown {end} '{getattr(pathway, end)}'.{suggestion(getattr(pathway, end), self._populations)}")
        source, target = self.population(pathway.source), self.population(pathway.target)
        if pathway.port not in target.neuron.ports:
            raise ModelError(f"{type(target.neuron).__name__} has no port '{pathway.port}'.{suggestion(pathway.port, target.neuron.ports)}")
        if pathway.port in target.neuron.unread_ports():
            raise ModelError(f"{type(target.neuron).__name__} of '{target.name}' is set up so that nothing reads its port '{pathway.port}'. Drop the pathway or change the neuron.")
        if pathway.carries not in source.neuron.publishes:
            raise ModelError(
                f"cannot carry '{pathway.carries}': {type(source.neuron).__name__} publishes only: {', '.join(source.neuron.publishes)}."
            )
        if pathway.stands_for is not None and pathway.stands_for not in self._pathways:
            raise ModelError(f"stands_for names the unknown pathway '{pathway.stands_for}'.{suggestion(pathway.stands_for, self._pathways)}")
        self._check_weights(pathway, (target.size, source.size))

    def _check_weights(self, pathway: Pathway, shape: tuple[int, int]) -> None:
        weights = pathway.weights
        if (isinstance(weights, SharedWith) or weights.one_to_one) and (pathway.density < 1 or pathway.sign != "any"):
            raise ModelError(
                f"density and sign belong to a pathway that draws its own weights; {type(weights).__name__} draws none. "
                "Give them to the pathway whose weights these are."
            )
        if isinstance(weights, SharedWith):
            if weights.pathway not in self._pathways:
                raise ModelError(f"shares the weights of the unknown pathway '{weights.pathway}'.{suggestion(weights.pathway, self._pathways)}")
            owner = self.pathway(weights.pathway)
            if isinstance(owner.weights, SharedWith):
                raise ModelError(f"shares with '{owner.name}', which has no weights of its own. Share with '{owner.weights.pathway}'.")
            if owner.weights.one_to_one:
                raise ModelError(f"shares with '{owner.name}', which is one to one. Use the same Identity weights instead.")
            owned = self.shape(owner)
            offered = owned[::-1] if weights.transposed else owned
            if offered != shape:
                turned = " transposed" if weights.transposed else ""
                raise ModelError(f"weights must have the shape (n_post, n_pre) = {shape}; '{owner.name}'{turned} has {offered}.")
        elif weights.one_to_one and shape[0] != shape[1]:
            raise ModelError(f"Identity weights join populations of equal size; got {shape[1]} to {shape[0]} neurons.")
        elif (given := weights.shape()) is not None and given != shape:
            raise ModelError(f"weights must have the shape (n_post, n_pre) = {shape}; got {given}.")

    def _check_plasticity(self, pathway: Pathway) -> None:
        rule = pathway.plasticity
        if rule is None:
            return
        source, target = self.population(pathway.source), self.population(pathway.target)
        name = type(rule).__name__
        if isinstance(pathway.weights, SharedWith):
            raise ModelError(f"cannot learn, since its weights belong to '{pathway.weights.pathway}'. Put the plasticity there.")
        if pathway.weights.one_to_one:
            raise ModelError("cannot learn: Identity weights are fixed. Use Values or Normal weights for a plastic pathway.")
        for reads, population, side in ((rule.reads_pre, source, "presynaptic"), (rule.reads_post, target, "postsynaptic")):
            neuron = population.neuron
            for variable in reads:
                if variable not in neuron.readable() or variable == "probe":
                    raise ModelError(
                        f"{name} reads '{variable}' of its {side} population, but {type(neuron).__name__} publishes only: "
                        f"{', '.join(neuron.publishes)}. Use another rule, or another neuron model for '{population.name}'."
                    )
                if variable in neuron.ports and not self.arriving(population.name, variable):
                    raise ModelError(
                        f"{name} reads '{variable}' of '{population.name}', but no pathway arrives at that port, so nothing would ever be "
                        f"learned. Add a pathway with target = '{population.name}', port = '{variable}'."
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

    def shape(self, pathway: Pathway) -> tuple[int, int]:
        """`(n_post, n_pre)` of a pathway."""
        return self.population(pathway.target).size, self.population(pathway.source).size

    def arriving(self, population: str, port: str) -> tuple[Pathway, ...]:
        """The pathways that arrive at one port, in the order of their description."""
        return self._arriving.get((population, port), ())

    def owners(self) -> tuple[Pathway, ...]:
        """The pathways that have weights of their own."""
        return tuple(p for p in self.pathways if not isinstance(p.weights, SharedWith))

    def plastic(self) -> tuple[Pathway, ...]:
        """The pathways that learn."""
        return tuple(p for p in self.pathways if p.plasticity is not None)

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
            return tuple(Node(p.source, p.carries) for p in self.arriving(*node))
        return tuple(Node(node.population, need) for need in neuron.needs(node.variable) if need not in neuron.known())

    @cached_property
    def order(self) -> tuple[Node, ...]:
        """All nodes of a step, each after the ones it depends on; equal networks give equal orders.

        Raises:
            ModelError: if static units form a cycle; the message walks round it.
        """
        nodes = [Node(p.name, variable) for p in self.populations for variable in (*p.neuron.ports, *p.neuron.publishes)]
        sorter = graphlib.TopologicalSorter({node: self.dependencies(node) for node in nodes})
        try:
            sorter.prepare()
        except graphlib.CycleError as error:
            cycle = " -> ".join(str(node) for node in error.args[1])
            raise ModelError(
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

    @cached_property
    def readout(self) -> Node:
        """The variable that an error unit compares with the task's targets.

        Raises:
            ModelError: if no error unit receives the targets.
        """
        for population in self.populations:
            if {"target", "prediction"} <= set(population.neuron.ports):
                teachers = [self.population(p.source).neuron for p in self.arriving(population.name, "target")]
                if any(getattr(teacher, "of", None) == "targets" for teacher in teachers):
                    prediction = self.arriving(population.name, "prediction")[0]
                    return Node(prediction.source, prediction.carries)
        raise ModelError(
            "nothing compares a prediction with the task's targets. Add an ErrorUnit whose port 'target' receives a RateSource with of = 'targets'."
        )

    def measured_feedback(self) -> tuple[Pathway, ...]:
        """Feedback pathways whose signal is measured against a probe at the same population."""
        return tuple(p for p in self.pathways if p.port == "error" and p.stands_for is not None and self.arriving(p.target, "probe"))

    def describe(self) -> str:
        """The network as two tables."""
        populations = [("population", "size", "neuron")]
        populations += [(p.name, str(p.size), type(p.neuron).__name__) for p in self.populations]
        pathways = [("pathway", "from -> to.port", "weights", "plasticity")]
        for p in self.pathways:
            route = f"{p.source}{'' if p.carries == 'r' else '.' + p.carries} -> {p.target}.{p.port}"
            pathways.append((p.name, route, type(p.weights).__name__, type(p.plasticity).__name__ if p.plasticity else "-"))
        return f"{_aligned(populations)}\n\n{_aligned(pathways)}"


def _aligned(rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)


family: Family[Circuit] = Family("circuit", "bioFA.network", "bioFA.schemes.layered", base=Circuit)
CircuitField = Annotated[Circuit, *family.member()]

