"""Make the program of an experiment, and the values that its binary takes at run time. Nothing here imports Brian2."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from bioFA.consumers.brian.program import GroupSpec, PathwaySpec, Program, StepSpec
from bioFA.experiment import Experiment
from bioFA.network import Learning, Network, Node, Pathway
from bioFA.neurons import NeuronModel

Only = Literal["", "looks", "last_step"]
BLOCKED_FROM = 4096
"""Smaller matrices stay in the first cache, where a block saves nothing and costs its bookkeeping."""


def scale_name(pathway: Pathway) -> str:
    """The parameter that holds the weight of a one-to-one pathway, at its target."""
    return f"scale_{pathway.name}"


def make_program(experiment: Experiment, precision: str = "float64", blocked: bool | None = None) -> Program:
    """The program of an experiment's network, for the variables that it records.

    Args:
        experiment: the description.
        precision: of all weights, states and rates.
        blocked: whether pathways from the stimulus may work in blocks of presentations; None:
            those of at least `BLOCKED_FROM` synapses.
    """
    network = experiment.network
    smallest = None if blocked is False or experiment.protocol.steps > 1 else 1 if blocked else BLOCKED_FROM
    always, learned = _needed(network, _moving(network)), _needed(network, _learned_from(network, network.plastic()))
    needed = always | learned | _needed(network, list(experiment.recorded))
    only: dict[Node, Only] = {} if experiment.protocol.steps == 1 else {
        node: "looks" if node in learned else "last_step" for node in needed - always
    }
    return Program(
        dt=experiment.protocol.step,
        precision=precision,
        groups=tuple(_group(network, p.name, needed) for p in network.populations),
        pathways=tuple(
            _pathway(network, p, smallest)
            for p in network.pathways
            if not p.weights.one_to_one and (_is_used(p, needed) or _is_owner(network, p))
        ),
        steps=(
            *(
                StepSpec(kind="restart", of=p.name, values=dict(p.neuron.state))
                for p in network.populations
                if p.neuron.state and experiment.protocol.reset
            ),
            *(
                StepSpec(kind="restart", of=p.name, values=dict(p.traces()))
                for p in network.plastic()
                if p.traces() and experiment.protocol.reset
            ),
            *(StepSpec(kind="draw", of=p.name, nodes=p.neuron.draws) for p in network.populations if p.neuron.draws),
            *(StepSpec(kind="clock", of=name) for name in _timed(network, needed)),
            *(StepSpec(kind="show", of=p.name) for p in network.redrawn()),
            *_sweep(network, needed, only),
            StepSpec(
                kind="record",
                nodes=tuple(str(node) for node in experiment.recorded),
                rasters=tuple(f"{p.name}.s" for p in network.spiking()),
            ),
            *(
                StepSpec(kind=kind, of=p.name)
                for p in network.plastic()
                for kind in ("learn", *(("apply",) if p.learning.gathers else ()))
            ),
            *(
                StepSpec(kind="evaluate", of=p.name, statements=(p.neuron.arrival(),))
                for p in network.populations
                if p.neuron.arrival()
            ),
            *(
                StepSpec(kind="test", of=p.name, statements=(p.neuron.spiking(),))
                for p in network.populations
                if p.neuron.spiking()
            ),
        ),
    )


def _is_used(pathway: Pathway, needed: set[Node]) -> bool:
    return Node(pathway.target, pathway.port) in needed


def _is_owner(network: Network, pathway: Pathway) -> bool:
    return pathway.plasticity is not None or _is_shared(network, pathway)


def _is_shared(network: Network, pathway: Pathway) -> bool:
    return any(pathway.name in p.refers_to() for p in network.pathways)


def _is_event(network: Network, pathway: Pathway) -> bool:
    return pathway.carries in network.population(pathway.source).neuron.events


def _is_by_pre(network: Network, owner: Pathway) -> bool:
    """Whether a matrix is stored with one row a presynaptic neuron: it transmits events,
    and nothing needs it row by row of the target."""
    rule = owner.plasticity
    plain = not (
        owner.sign == "concordant"
        or owner.learning.gathers
        or owner.weights.redrawn
        or (rule is not None and rule.needs_partner)
    )
    readers = [p for p in network.pathways if owner.name in p.refers_to()]
    return _is_event(network, owner) and plain and all(p.weights.shares for p in readers)


def _is_shown(network: Network, population: str) -> bool:
    return network.population(population).neuron.shows in ("task", "noise")


def _moving(network: Network) -> list[Node]:
    """The nodes that something reads in every step: a neuron's state, a trace at a synapse, a raster."""
    moving = _learned_from(network, [pathway for pathway in network.plastic() if pathway.traces()])
    for population in network.populations:
        words = _identifiers(_advance(population.neuron))
        moving += [
            Node(population.name, variable)
            for variable in (*population.neuron.ports, *population.neuron.publishes)
            if variable in words
        ]
    return moving + [Node(population.name, "s") for population in network.spiking()]


def _learned_from(network: Network, plastic: Sequence[Pathway]) -> list[Node]:
    """The nodes that the rules of some pathways read."""
    pre = [Node(pathway.source, v) for pathway in plastic for v in pathway.reads_pre()]
    return pre + [
        Node(pathway.target, v)
        for pathway in plastic
        if pathway.plasticity is not None
        for v in pathway.plasticity.reads_post
    ]


def _timed(network: Network, needed: set[Node]) -> list[str]:
    """The populations of which something hangs on the time since the presentation began."""
    names = {
        name
        for name, variable in needed
        for neuron in [network.population(name).neuron]
        if variable in neuron.publishes and "time" in neuron.needs(variable)
    }
    return [p.name for p in network.populations if p.name in names]


def _needed(network: Network, wanted: list[Node]) -> set[Node]:
    """The nodes that some nodes are computed from, and themselves."""
    needed: set[Node] = set()
    while wanted:
        node = wanted.pop()
        if node not in needed and node.variable not in network.population(node.population).neuron.state:
            needed.add(node)
            wanted += network.dependencies(node)
    return needed


def _advance(neuron: NeuronModel) -> str:
    """All that moves the state."""
    return "\n".join((neuron.arrival(), neuron.dynamics(), neuron.spiking()))


def _identifiers(text: str) -> set[str]:
    return set(re.findall(r"[A-Za-z_]\w*", text))


def _group(network: Network, name: str, needed: set[Node]) -> GroupSpec:
    population = network.population(name)
    neuron = population.neuron
    one_to_one = [p for p in network.pathways if p.target == name and p.weights.one_to_one and _is_used(p, needed)]
    stateless = [node.variable for node in network.order if node in needed and node.population == name]
    parameters = {field: neuron.unit_of(field) for field in _runtime_parameters(neuron)}
    return GroupSpec(
        name=name, size=population.size, variables=(*stateless, *neuron.draws),
        kept=tuple(v for v in neuron.state if f"d{v}/dt" not in neuron.dynamics()),
        parameters=parameters | {scale_name(p): "1" for p in one_to_one},
        dynamics=neuron.dynamics(), method=neuron.integration(), dale=population.inhibitory is not None,
        timed=name in _timed(network, needed),
    )


def _runtime_parameters(neuron: NeuronModel) -> list[str]:
    """The float fields that the equations name."""
    words = _identifiers(_advance(neuron)).union(*(_identifiers(e) for e in neuron.expressions().values()))
    return [field for field in neuron.parameters() if field in words]


def _pathway(network: Network, pathway: Pathway, smallest: int | None) -> PathwaySpec:
    """`smallest`: from how many synapses on a pathway may work in blocks; None for never."""
    shared, rule = pathway.weights.shares, pathway.plasticity
    owner = network.pathway(shared) if shared else pathway

    def carried(text: str) -> str:
        return text.replace("carried_pre", f"{pathway.carries}_pre")

    return PathwaySpec(
        name=pathway.name,
        source=pathway.source,
        target=pathway.target,
        carries=pathway.carries,
        port=pathway.port,
        owner=shared or pathway.name,
        transposed=bool(shared) and pathway.weights.transports,
        parameters={field: rule.unit_of(field) for field in rule.parameters()} if rule else {},
        equations=carried(rule.equations.strip().splitlines()[0]) if rule else "",
        reads_pre=tuple(dict.fromkeys(pathway.reads_pre())),
        reads_post=rule.reads_post if rule else (),
        masked=pathway.sparse,
        sign=pathway.sign if network.signs(pathway) is None else "dale",
        bounded=pathway.learning.bounded,
        gathers=pathway.learning.gathers,
        steps=pathway.learning.step is not None,
        normalised=pathway.learning.normalised,
        traces=(
            {name: (re.sub(r"\bw\b", "w_before", carried(drive)), tau) for name, (drive, tau) in rule.filters().items()}
            if rule
            else {}
        ),
        may_block=smallest is not None and _may_block(network, pathway, smallest),
        event=_is_event(network, pathway),
        by_pre=_is_by_pre(network, owner),
        redrawn=pathway.weights.redrawn,
        inverse_of=pathway.weights.inverts or "",
        follows=pathway.stands_for or "" if pathway.sign == "concordant" else "",
        partner=pathway.partner or "" if rule and rule.needs_partner else "",
    )


def _may_block(network: Network, pathway: Pathway, smallest: int) -> bool:
    """Whether a pathway may work in blocks of presentations (`PathwaySpec`)."""
    rule, learning = pathway.plasticity, pathway.learning
    large = math.prod(network.shape(pathway)) >= smallest
    shown = _is_shown(network, pathway.source) and pathway.carries == network.population(pathway.source).neuron.shown
    plain = not rule.state if rule else pathway.weights.owns and not pathway.weights.redrawn
    free = pathway.sign == "any" and network.signs(pathway) is None and not pathway.sparse
    own = not (learning.bounded or learning.gathers or _is_shared(network, pathway))
    return large and shown and plain and free and own


def _sweep(network: Network, needed: set[Node], only: Mapping[Node, Only]) -> list[StepSpec]:
    """The walk of a step; neighbouring work on one population becomes one step where it is read in the same steps
    (`only`)."""
    steps: list[StepSpec] = []
    for node in (n for n in network.order if n in needed):
        neuron = network.population(node.population).neuron
        if node.variable in neuron.ports:
            for index, pathway in enumerate(network.arriving(*node)):
                if pathway.weights.one_to_one:
                    partner = f"from_{pathway.source}_{pathway.carries}"
                    sign = "+=" if index else "="
                    statement = f"{node.variable} {sign} {scale_name(pathway)}*{partner}"
                    _evaluate(
                        steps,
                        node.population,
                        statement,
                        {partner: (pathway.source, pathway.carries)},
                        only.get(node, ""),
                    )
                else:
                    if pathway.weights.inverts:
                        steps.append(StepSpec(kind="invert", of=pathway.name))
                    steps.append(
                        StepSpec(kind="transmit", of=pathway.name, accumulate=index > 0, only=only.get(node, ""))
                    )
        elif _is_shown(network, node.population) and node.variable == neuron.shown:
            steps.append(StepSpec(kind="show", of=node.population, nodes=(node.variable,)))
        elif neuron.shows != "one":
            _evaluate(
                steps,
                node.population,
                f"{node.variable} = {neuron.expressions()[node.variable]}",
                {},
                only.get(node, ""),
            )
    return steps


def _evaluate(
    steps: list[StepSpec], population: str, statement: str, reads: dict[str, tuple[str, str]], only: Only
) -> None:
    if steps and steps[-1].kind == "evaluate" and steps[-1].of == population and steps[-1].only == only:
        last = steps.pop()
        steps.append(last.model_copy(update={"statements": (*last.statements, statement), "reads": last.reads | reads}))
    else:
        steps.append(StepSpec(kind="evaluate", of=population, statements=(statement,), reads=reads, only=only))


def learning_parameters(spec: PathwaySpec, learning: Learning) -> dict[str, float]:
    """The values of the parameters by which changes reach the weights, by `pathway.parameter`."""
    low, high = learning.bounds()
    given = {"low": low, "high": high, "batch": float(learning.batch), "sign_step": learning.step or 0.0}
    return {f"{spec.name}.{name}": given[name] for name in spec.learning_parameters()}


def run_parameters(experiment: Experiment, program: Program, rate: float = 1.0) -> dict[str, float]:
    """The values of all parameters that the binary takes in a phase of this rate, by `group.parameter`."""
    network = experiment.network
    values: dict[str, Any] = {}
    for group in program.groups:
        neuron = network.population(group.name).neuron
        scales = {scale_name(p): p.weights.parameters()["scale"] for p in network.pathways if p.weights.one_to_one}
        known = neuron.parameters() | scales
        values |= {f"{group.name}.{name}": known[name] for name in group.parameters}
        if neuron.shows == "one" and "r" in group.variables:
            values[f"{group.name}.r"] = 1.0
    for spec in program.pathways:
        pathway = network.pathway(spec.name).at_rate(rate)
        rule = pathway.plasticity
        if spec.inverse_of:
            values[f"{spec.name}.ridge"] = pathway.weights.parameters()["ridge"]
        if rule is not None:
            values |= {f"{spec.name}.{name}": value for name, value in rule.parameters().items()}
            values |= learning_parameters(spec, pathway.learning)
            values |= {f"{spec.name}.T": experiment.protocol.learning_time, f"{spec.name}.dt": experiment.protocol.step}
    return values
