"""Populations, pathways and the network they make, with every check that spans them.

    parts.py     a population, a pathway, and what each says of itself
    wiring.py    all of them, by name and by end: shapes, parts, units, signs
    checks.py    what they must agree with

Here is the network itself: the order of a step, what is judged and what is measured.

A step of the network is a walk over *nodes* in dependency order: a port node `(population,
port)` sums the pathways that arrive; a published node `(population, variable)` is computed
from ports, state and other published variables. State is not a dependency, so stateful
neurons break cycles and static ones may not form any.
"""

from __future__ import annotations

import graphlib
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Annotated, Any

from bioFA.components import Component, Family
from bioFA.errors import Cycle, Keys, MissingField, MissingSignal, ModelError, Unavailable
from bioFA.network.checks import check
from bioFA.network.parts import (
    SHORT_NAMES,
    Background,
    Learning,
    Node,
    Pathway,
    Population,
    carrying,
    part_text,
    sliced,
)
from bioFA.network.wiring import Wiring

__all__ = [
    "SHORT_NAMES",
    "Background",
    "Circuit",
    "CircuitField",
    "Learning",
    "Network",
    "Node",
    "Pathway",
    "Population",
    "carrying",
    "family",
    "sliced",
]


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


class Network(Circuit, Wiring):
    """Populations and pathways, checked as a whole.

    Raises:
        ModelError: naming the population or pathway at fault, if names clash, an end is
            missing, a shape does not fit, a rule reads what is not there, or static units
            form a cycle.
    """

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
        sources = self.named_populations
        object.__setattr__(self, "pathways", tuple(carrying(p, sources.get(p.source)) for p in self.pathways))
        check(self)
        _ = self.order

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
            if p.port == "error"
            and p.stands_for is not None
            and self.arriving(p.target, "probe")
            and not (p.listed or self.pathway(p.stands_for).listed)
        )

    def describe(self) -> str:
        """The network as two tables, and what rules see late."""
        populations = [("population", "size", "neuron")]
        populations += [(p.name, str(p.size), type(p.neuron).__name__) for p in self.populations]
        pathways = [("pathway", "from -> to.port", "weights", "plasticity")]
        for p in self.pathways:
            source, target = f"{p.source}{part_text(p.source_part)}", f"{p.target}{part_text(p.target_part)}"
            route = f"{source}{'' if p.carries == 'r' else '.' + p.carries} -> {target}.{p.port}"
            pathways.append(
                (p.name, route, type(p.weights).__name__, type(p.plasticity).__name__ if p.plasticity else "-")
            )
        late = [f"{p.name}: {text}" for p in self.pathways if (text := self.delay_of(p))]
        return "\n\n".join((_aligned(populations), _aligned(pathways), *(("\n".join(late),) if late else ())))


def _aligned(rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


family: Family[Circuit] = Family(
    "circuit", "bioFA.network", "bioFA.schemes.layered", "bioFA.schemes.taught", base=Circuit
)
CircuitField = Annotated[Circuit, *family.member()]
