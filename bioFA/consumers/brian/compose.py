"""Make the program of an experiment, and the values that its binary takes at run time. Nothing here imports Brian2."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from bioFA.consumers.brian.program import SHARED_FROM, GroupSpec, ListedSpec, PathwaySpec, Program, StepSpec
from bioFA.experiment import Experiment
from bioFA.instance import Instance
from bioFA.network import Learning, Network, Node, Pathway, Population
from bioFA.neurons import NeuronModel
from bioFA.neurons.base import Moment

Array = np.ndarray
Only = Literal["", "looks", "recorded"]
BLOCKED_FROM = 4096
"""Smaller matrices stay in the first cache, where a block saves nothing and costs its bookkeeping."""
LANES = (16, 32, 64)
"""How many presentations of a batch are computed side by side: few numbers, so that batches of like size share a
binary."""


def scale_name(pathway: Pathway) -> str:
    """The parameter that holds the weight of a one-to-one pathway, at its target."""
    return f"scale_{pathway.name}"


def make_program(experiment: Experiment, precision: str = "float64", blocked: bool | None = None) -> Program:
    """The program of an experiment's network, for the variables that it records.

    Args:
        experiment: the description.
        precision: of all weights, states and rates.
        blocked: whether pathways from the stimulus may work in blocks of presentations; None:
            those of at least `BLOCKED_FROM` synapses. False also keeps the presentations of a batch one after another.
    """
    network = experiment.network
    smallest = None if blocked is False or experiment.protocol.steps > 1 else 1 if blocked else BLOCKED_FROM
    moving = _moving(network)
    learned = _needed(network, _learned_from(network, network.plastic()))
    traced = [Node(trace.population, variable) for trace in experiment.traced for variable in trace.variables]
    kept_of = [network.pathway(kept.pathway) for kept in experiment.record.synapses if experiment.free]
    arriving = [Node(p.target, p.port) for p in kept_of if p.dynamics is not None]
    looked_at = _needed(network, [*experiment.recorded, *(traced if experiment.free else ()), *arriving])
    always = _always(network, moving, learned | looked_at)
    needed = always | learned | looked_at
    seldom = set() if experiment.free else needed - always
    only: dict[Node, Only] = dict.fromkeys(seldom - learned, "recorded")
    if experiment.protocol.steps > 1:
        only |= dict.fromkeys(seldom & learned, "looks")
    reset = experiment.protocol.reset
    used = [p for p in network.pathways if _is_used(p, needed)]
    strict = experiment.free or any(p.neuron.run_constants() for p in network.populations)
    lanes = 1 if blocked is False else _lanes(experiment)
    last = {} if strict else _transmit_last(experiment, {node for node in needed if node not in only})
    return Program(
        dt=experiment.protocol.step,
        precision=precision,
        groups=tuple(_group(network, p.name, needed, reset) for p in network.populations),
        pathways=tuple(
            _pathway(network, p, smallest, not strict and lanes == 1)
            for p in network.pathways
            if not (p.weights.one_to_one and not p.listed) and not p.fixed_list
            and (_is_used(p, needed) or _is_owner(network, p) or _lasts(network, p, needed))
        ),
        steps=(
            *(
                StepSpec(kind="restart", of=p.name, values=_first(p), reads=_first_drawn(p))
                for p in network.populations
                if p.neuron.state and reset
            ),
            *(
                StepSpec(kind="restart", of=p.name, values=dict(p.traces()))
                for p in network.plastic()
                if p.traces() and reset
            ),
            *(StepSpec(kind="forget", of=p.name) for p in network.pathways if reset and _lasts(network, p, needed)),
            *(_draw(p) for p in network.populations if p.neuron.draws and not _chance(p.neuron)),
            *(StepSpec(kind="clock", of=name) for name in _timed(network, needed)),
            *(
                StepSpec(kind="clock", of=p.name, nodes=("seconds",))
                for p in network.populations
                if _knows_seconds(p, needed)
            ),
            *(
                StepSpec(kind="course", of=p.name, nodes=("course",))
                for p in network.populations
                if p.neuron.handed == "course"
            ),
            *(StepSpec(kind="show", of=p.name) for p in network.redrawn()),
            *_sweep(network, needed, only, experiment.free, last),
            *_watching(experiment),
            *(
                step
                for p in network.plastic()
                for step in (
                    StepSpec(kind="learn", of=p.name, transmits=p.name in last, accumulate=last.get(p.name, False)),
                    *([StepSpec(kind="apply", of=p.name)] if p.learning.gathers else ()),
                )
            ),
            *(
                StepSpec(kind="evaluate", of=p.name, statements=(statements,))
                for p in network.populations
                for whole in [p.neuron.whole_step(experiment.protocol.order)]
                for statements in ("" if _integrated(p.neuron) else p.neuron.arrival(), whole)
                if statements
            ),
            *(
                StepSpec(kind="test", of=p.name, statements=(p.neuron.spiking(),))
                for p in network.populations
                if p.neuron.spiking() and not _integrated(p.neuron)
            ),
        ),
        listed=tuple(_listed(network, p) for p in used if p.fixed_list),
        strict=strict,
        lanes=lanes,
    )


def _lanes(experiment: Experiment) -> int:
    """How many presentations are computed side by side: of a batch, where nothing but weights passes from one to the
    next and all pathways gather the changes of the same batch; else 1."""
    network = experiment.network
    batches = {pathway.learning.batch for pathway in network.plastic()}
    if experiment.free or experiment.protocol.steps > 1 or len(batches) != 1 or batches == {1}:
        return 1
    plain = not network.spiking() and all(
        not (p.neuron.state or p.neuron.handed or p.neuron.run_constants() or p.background)
        and p.inhibitory is None and not p.neuron.whole_step()
        for p in network.populations
    )
    rested = not any(
        p.listed or p.weights.redrawn or p.seen_late or p.late("pre") or p.late("post") or p.traces()
        for p in network.pathways
    )
    rested = rested and not any(
        p.plasticity is None or p.plasticity.state or p.plasticity.needs_partner or len(p.reads_pre()) > 1
        for p in network.plastic()
    )
    batch = max(batches)
    chunk = math.ceil(batch / math.ceil(batch / LANES[-1]))
    return next(lanes for lanes in LANES if lanes >= chunk) if plain and rested else 1


def _always(network: Network, moving: list[Node], needed: set[Node]) -> set[Node]:
    """The nodes that are computed in every step: what moves something, or is put on its way."""
    always = _needed(network, moving)
    while True:
        known = always | needed
        lasting = [p for p in network.pathways if _lasts(network, p, known)]
        wanted = [Node(p.source, p.carries) for p in lasting]
        wanted += [Node(p.target, p.port) for p in lasting if p.fixed_list or p.late("post")]
        wanted += [Node(p.source if s == "pre" else p.target, v) for p in lasting for s, v in p.seen_late.values()]
        found = always | _needed(network, wanted)
        if found == always:
            return always
        always = found


def _lasts(network: Network, pathway: Pathway, needed: set[Node]) -> bool:
    """Whether something is on its way from step to step: to be seen late, along dendrites, or over listed synapses."""
    if pathway.fixed_list:
        return _is_used(pathway, needed)
    return bool(pathway.seen_late) or pathway.late("post") != ""


def _transmit_last(experiment: Experiment, always: set[Node]) -> dict[str, bool]:
    """The pathways that transmit at the end of a step, as they learn, since both visit those that spike and nobody
    hears of it before; and whether others have added to their port by then."""
    network = experiment.network
    heard = {at for node in network.order for at in network.dependencies(node)} | set(experiment.recorded)
    heard |= set(_learned_from(network, network.plastic()))
    heard |= {Node(p.target if s == "post" else p.source, v) for p in network.pathways for s, v in p.seen_late.values()}
    heard |= {Node(p.name, background.port) for p in network.populations for background in p.background}
    waiting: list[Pathway] = []
    found: dict[str, bool] = {}
    for pathway in network.plastic():
        port = Node(pathway.target, pathway.port)
        late = pathway.delayed or pathway.listed or pathway.seen_late or pathway.late("post")
        events = _is_event(network, pathway) and _is_by_pre(network, pathway)
        both = events and set(pathway.reads_pre()) == {pathway.carries}
        if both and port in always and port not in heard and not late:
            waiting.append(pathway)
    for pathway in waiting:
        arriving = network.arriving(pathway.target, pathway.port)
        found[pathway.name] = any(p not in waiting or p.name in found for p in arriving if p != pathway)
    return found


def _watching(experiment: Experiment) -> list[StepSpec]:
    """What is kept of a step."""
    network = experiment.network
    spiking = network.spiking()
    if not experiment.free:
        nodes = [*experiment.recorded, *(Node(p.name, "s") for p in spiking)]
        return [
            StepSpec(
                kind="record",
                nodes=tuple(str(node) for node in experiment.recorded),
                rasters=tuple(f"{p.name}.s" for p in spiking),
                reads={str(node): at for node in nodes for at in [_place(network, node)] if at != tuple(node)},
            )
        ]
    traced = [Node(trace.population, variable) for trace in experiment.traced for variable in trace.variables]
    watched = {str(node): _place(network, node) for node in traced}
    weights = [(kept.pathway, variable) for kept in experiment.record.synapses for variable in kept.variables]
    watched |= {".".join(place): place for place in weights}
    gathered = tuple(".".join(_place(network, Node(p.name, "s"))) for p in spiking)
    return [StepSpec(kind="monitor", rasters=tuple(f"{p.name}.s" for p in spiking), nodes=gathered, reads=watched)]


def _place(network: Network, node: Node) -> tuple[str, str]:
    """The population and the variable of the program that hold a node."""
    return node.population, network.population(node.population).neuron.called(node.variable)


def _chance(neuron: NeuronModel) -> str:
    """The chance of a spike in a step of a source for which that is a multiple of what it shows; else empty."""
    found = re.fullmatch(r"1\.0\*int\(chance < (-?\w+(?:\*\w+)*)\)", neuron.expressions().get("s", ""))
    if not found or neuron.shows not in ("task", "noise") or neuron.draws != ("chance",) or neuron.named_draws:
        return ""
    factors = set(found[1].lstrip("-").split("*"))
    return found[1] if neuron.shown in factors and factors <= {neuron.shown, "dt", *neuron.parameters()} else ""


def _draw(population: Population) -> StepSpec:
    """The random numbers of a population."""
    neuron = population.neuron
    if not neuron.named_draws:
        return StepSpec(kind="draw", of=population.name, nodes=neuron.draws)
    return StepSpec(
        kind="draw",
        of=population.name,
        nodes=neuron.draws,
        named=True,
        normal=neuron.normal_draws(),
        reads={name: (population.name, neuron.called(name)) for name in neuron.draws},
    )


def _first(population: Population) -> dict[str, float]:
    """The first values of a population that are the same in all neurons."""
    neuron = population.neuron
    return {neuron.called(v): value for v, value in neuron.state.items() if v not in _own_first(neuron)}


def _first_drawn(population: Population) -> dict[str, tuple[str, str]]:
    """By variable, where the first values stand that may differ between neurons."""
    called = [population.neuron.called(variable) for variable in _own_first(population.neuron)]
    return {variable: (population.name, first_name(variable)) for variable in called}


def _own_first(neuron: NeuronModel) -> tuple[str, ...]:
    """The variables whose first values may differ between neurons."""
    return tuple(dict.fromkeys((*neuron.begins_as(), *neuron.beginnings())))


def first_name(variable: str) -> str:
    """The constant that holds the first values of a variable."""
    return f"first_{variable}0"


def _knows_seconds(population: Population, needed: set[Node]) -> bool:
    """Whether anything that a population computes names the time as a plain number."""
    return "seconds" in _identifiers("\n".join((population.neuron.whole_step(), *_computed(population, needed))))


def _computed(population: Population, needed: set[Node]) -> list[str]:
    """What is computed of what a population publishes, where that is a text of its own."""
    neuron = population.neuron
    return [
        neuron.computed(node.variable)
        for node in needed
        if node.population == population.name and neuron.run_constants() and node.variable in neuron.publishes
        and not _is_kept(neuron, node.variable)
    ]


def _is_kept(neuron: NeuronModel, variable: str) -> bool:
    """Whether a published variable is what the state holds, under its own name or another."""
    return neuron.called(variable) in {neuron.called(state) for state in neuron.state}


def _listed(network: Network, pathway: Pathway) -> ListedSpec:
    source, target = (network.population(end).neuron for end in (pathway.source, pathway.target))
    return ListedSpec(
        name=pathway.name,
        source=pathway.source,
        target=pathway.target,
        carries=source.called(pathway.carries),
        port=target.called(pathway.port),
        dynamics=pathway.dynamics.kind if pathway.dynamics else "",
    )


def _is_used(pathway: Pathway, needed: set[Node]) -> bool:
    return Node(pathway.target, pathway.port) in needed


def _is_owner(network: Network, pathway: Pathway) -> bool:
    return pathway.plasticity is not None or _is_shared(network, pathway)


def _is_shared(network: Network, pathway: Pathway) -> bool:
    return any(pathway.name in p.refers_to() for p in network.pathways)


def _is_event(network: Network, pathway: Pathway) -> bool:
    return pathway.carries in network.population(pathway.source).neuron.events


def _is_by_pre(network: Network, owner: Pathway, smallest: int | None = None, either: bool = False) -> bool:
    """Whether a matrix is stored with one row a presynaptic neuron: it transmits events, or is fixed and has few rows
    (feedback of some outputs), or takes fewer operations on vectors so where `either` way is as good, and nothing needs
    it row by row of the target (as blocks do: `smallest` as in `_pathway`)."""
    rule = owner.plasticity
    plain = not (
        owner.sign == "concordant"
        or owner.learning.gathers
        or owner.weights.redrawn
        or owner.weights.inverts
        or (rule is not None and rule.needs_partner)
    )
    readers = [p for p in network.pathways if owner.name in p.refers_to()]
    n_post, n_pre = network.shape(owner)
    moving = any(population.neuron.state for population in network.populations)
    few = moving and rule is None and n_pre < n_post and not _is_shown(network, owner.source)
    either = either and not (owner.listed or owner.seen_late or owner.late("post"))
    either = either and not (smallest is not None and _may_block(network, owner, smallest))
    short = either and n_pre * n_post < SHARED_FROM and _by_pre_is_faster(n_post, n_pre, rule is not None)
    return (few or short or _is_event(network, owner)) and plain and all(p.weights.shares for p in readers)


def _by_pre_is_faster(n_post: int, n_pre: int, learns: bool) -> bool:
    """Whether a matrix takes fewer operations on vectors (of 8 numbers) by rows of its source than by rows of its
    target, each of which ends in the sum over a vector, of 4 operations."""
    by_pre, by_post = n_pre * math.ceil(n_post / 8), n_post * math.ceil(n_pre / 8)
    return by_pre + learns * by_pre < by_post + 4 * n_post + learns * by_post


def _is_shown(network: Network, population: str) -> bool:
    return network.population(population).neuron.shows in ("task", "noise")


def _moving(network: Network) -> list[Node]:
    """The nodes that something reads in every step: a neuron's state, a trace at a synapse, a raster."""
    moving = _learned_from(network, [pathway for pathway in network.plastic() if pathway.traces()])
    for population in network.populations:
        neuron = population.neuron
        words = _identifiers(_advance(neuron))
        moving += [
            Node(population.name, variable)
            for variable in (*neuron.ports, *neuron.publishes)
            if neuron.called(variable) in words
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
    return neuron.whole_step() or "\n".join((neuron.arrival(), neuron.dynamics(), neuron.spiking()))


def _identifiers(text: str) -> set[str]:
    return set(re.findall(r"[A-Za-z_]\w*", text))


def _group(network: Network, name: str, needed: set[Node], reset: bool) -> GroupSpec:
    population = network.population(name)
    neuron = population.neuron
    one_to_one = [p for p in network.pathways if p.target == name and p.weights.one_to_one and _is_used(p, needed)]
    stateless = [
        neuron.called(node.variable)
        for node in network.order
        if node in needed and node.population == name and not _is_kept(neuron, node.variable)
    ]
    alike, dynamics = neuron.run_constants() | _trains(population), _integrated(neuron)
    parameters = {field: neuron.unit_of(field) for field in _runtime_parameters(neuron)}
    return GroupSpec(
        name=name, size=population.size,
        variables=(*stateless, *(neuron.called(number) for number in neuron.draws if not _chance(neuron))),
        kept=tuple(neuron.called(v) for v in neuron.state if f"d{v}/dt" not in dynamics),
        parameters=parameters | {scale_name(p): "1" for p in one_to_one} | {n: "1" for n, one in alike.items() if one},
        dynamics=dynamics, method=neuron.integration() if dynamics else "euler",
        dale=population.inhibitory is not None,
        timed=name in _timed(network, needed), seconds=_knows_seconds(population, needed),
        course=neuron.handed == "course",
        before=neuron.arrival() if dynamics else "", after=neuron.spiking() if dynamics else "",
        constants=(
            *(n for n, one in alike.items() if not one),
            *((first for _, first in _first_drawn(population).values()) if reset else ()),
        ),
        trains=tuple(
            (not background.rate.alike, not background.weight.alike) for background in population.background
        ),
    )


def _integrated(neuron: NeuronModel) -> str:
    """The differential equations that Brian2 integrates, between what arrives and the test of the threshold."""
    return "" if neuron.whole_step() else neuron.dynamics()


def _trains(population: Population) -> dict[str, bool]:
    """The numbers of a population's background, and whether all neurons have the same (`run_constants`)."""
    found: dict[str, bool] = {}
    for number, background in enumerate(population.background):
        found |= dict.fromkeys((f"mean_{number}", f"none_{number}", f"most_{number}"), background.rate.alike)
        found[f"weight_{number}"] = background.weight.alike
    return found


def _runtime_parameters(neuron: NeuronModel) -> list[str]:
    """The float fields that the equations name."""
    if neuron.run_constants():
        return []
    words = _identifiers(_advance(neuron)).union(*(_identifiers(e) for e in neuron.expressions().values()))
    return [field for field in neuron.parameters() if field in words]


def _pathway(network: Network, pathway: Pathway, smallest: int | None, either: bool) -> PathwaySpec:
    """`smallest`: from how many synapses on a pathway may work in blocks; None for never. `either`: whether sums may
    run in any order, so that a matrix may be stored by source or by target."""
    shared, rule = pathway.weights.shares, pathway.plasticity
    source, target = (network.population(end).neuron for end in (pathway.source, pathway.target))
    owner = network.pathway(shared) if shared else pathway
    reads_pre, reads_post = tuple(dict.fromkeys(pathway.reads_pre())), rule.reads_post if rule else ()
    late_pre, late_post = (
        tuple(variable for end, variable in pathway.seen_late.values() if end == side) for side in ("pre", "post")
    )

    def carried(text: str) -> str:
        return text.replace("carried_pre", f"{pathway.carries}_pre")

    return PathwaySpec(
        name=pathway.name,
        source=pathway.source,
        target=pathway.target,
        carries=pathway.carries,
        port=target.called(pathway.port),
        owner=shared or pathway.name,
        transposed=bool(shared) and pathway.weights.transports,
        parameters={field: rule.unit_of(field) for field in rule.parameters()} if rule else {},
        equations=carried(rule.equations.strip().splitlines()[0]) if rule else "",
        reads_pre=reads_pre,
        reads_post=reads_post,
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
        by_pre=_is_by_pre(network, owner, smallest, either),
        redrawn=pathway.weights.redrawn,
        inverse_of=pathway.weights.inverts or "",
        follows=pathway.stands_for or "" if pathway.sign == "concordant" else "",
        partner=pathway.partner or "" if rule and rule.needs_partner else "",
        listed=pathway.listed,
        axonal=pathway.late("pre"),
        dendritic=pathway.late("post"),
        late_pre=late_pre,
        late_post=late_post,
        called_pre={v: source.called(v) for v in (pathway.carries, *reads_pre) if source.called(v) != v},
        called_post={v: target.called(v) for v in reads_post if target.called(v) != v},
    )


def _may_block(network: Network, pathway: Pathway, smallest: int) -> bool:
    """Whether a pathway may work in blocks of presentations (`PathwaySpec`)."""
    rule, learning = pathway.plasticity, pathway.learning
    large = math.prod(network.shape(pathway)) >= smallest
    shown = _is_shown(network, pathway.source) and pathway.carries == network.population(pathway.source).neuron.shown
    plain = not rule.state if rule else pathway.weights.owns and not pathway.weights.redrawn
    free = pathway.sign == "any" and network.signs(pathway) is None and not pathway.sparse
    late = pathway.listed or pathway.seen_late or pathway.late("post")
    own = not (learning.bounded or learning.gathers or late or _is_shared(network, pathway))
    return large and shown and plain and free and own


def _sweep(
    network: Network, needed: set[Node], only: Mapping[Node, Only], free: bool, last: Collection[str]
) -> list[StepSpec]:
    """The walk of a step, without the pathways that transmit at its end (`last`); neighbouring work on one population
    becomes one step where it is read in the same steps (`only`)."""
    steps: list[StepSpec] = []
    gathered: set[Node] = set()
    for node in (n for n in network.order if n in needed):
        population = network.population(node.population)
        neuron = population.neuron
        if node.variable in neuron.ports:
            _sum(steps, gathered, network, node, only.get(node, ""), last)
        elif _is_shown(network, node.population) and node.variable == neuron.shown:
            steps.append(StepSpec(kind="show", of=node.population, nodes=(node.variable,)))
        elif node.variable == "s" and (chance := _chance(neuron)):
            steps.append(
                StepSpec(kind="foresee", of=node.population, nodes=("s",), statements=(f"_chance = {chance}",))
            )
        elif neuron.handed == "trains":
            steps.append(StepSpec(kind="spike", of=node.population, nodes=(neuron.called(node.variable),)))
        elif neuron.shows != "one" and not _is_kept(neuron, node.variable):
            statement = f"{neuron.called(node.variable)} = {neuron.computed(node.variable)}"
            ports = frozenset(neuron.called(name) for name in neuron.ports)
            _evaluate(steps, node.population, statement, {}, only.get(node, ""), ports)
    for pathway in network.pathways:
        if pathway.delayed and pathway.fixed_list and _is_used(pathway, needed):
            _depart(steps, gathered, network, pathway)
        if _lasts(network, pathway, needed) and not pathway.fixed_list:
            _end_step(steps, pathway, _is_used(pathway, needed))
    for population in network.spiking() if free else ():
        _gather(steps, gathered, network, Node(population.name, "s"))
    return steps


def _end_step(steps: list[StepSpec], pathway: Pathway, used: bool) -> None:
    """What is left to do once everything is computed: to see what the rule sees late, to transmit, to keep what is to
    be seen later."""
    carried = ("pre", pathway.carries)
    for nodes in pathway.seen_late.values():
        if nodes != carried or not used or pathway.sent_last:
            steps.append(StepSpec(kind="see", of=pathway.name, nodes=nodes))
    if used and pathway.sent_last:
        steps.append(StepSpec(kind="transmit", of=pathway.name))
    steps += [StepSpec(kind="note", of=pathway.name, nodes=nodes) for nodes in pathway.seen_late.values()]


def _sum(
    steps: list[StepSpec], gathered: set[Node], network: Network, node: Node, only: Only, last: Collection[str]
) -> None:
    """What arrives at a port."""
    population = network.population(node.population)
    arriving = [pathway for pathway in network.arriving(*node) if pathway.name not in last]
    for index, pathway in enumerate(arriving):
        if pathway.fixed_list:
            if not pathway.delayed:
                _depart(steps, gathered, network, pathway)
            steps.append(StepSpec(kind="arrive", of=pathway.name, accumulate=index > 0))
        elif pathway.weights.one_to_one and not pathway.listed:
            partner = f"from_{pathway.source}_{pathway.carries}"
            port = population.neuron.called(node.variable)
            sent = network.population(pathway.source).neuron.called(pathway.carries)
            statement = f"{port} {'+=' if index else '='} {scale_name(pathway)}*{partner}"
            _evaluate(steps, node.population, statement, {partner: (pathway.source, sent)}, only)
        else:
            if pathway.weights.inverts:
                steps.append(StepSpec(kind="invert", of=pathway.name))
            if pathway.late("pre") and not pathway.sent_last:
                steps.append(StepSpec(kind="see", of=pathway.name, nodes=("pre", pathway.carries)))
            dendritic = pathway.late("post") != ""
            if not pathway.sent_last:
                add = index > 0 and not dendritic
                steps.append(StepSpec(kind="transmit", of=pathway.name, accumulate=add, only=only))
            if dendritic:
                steps.append(StepSpec(kind="arrive", of=pathway.name, accumulate=index > 0))
    trains = tuple(n for n, background in enumerate(population.background) if background.port == node.variable)
    if trains:
        port = population.neuron.called(node.variable)
        steps.append(
            StepSpec(kind="outside", of=node.population, nodes=(port,), trains=trains, accumulate=bool(arriving))
        )


def _depart(steps: list[StepSpec], gathered: set[Node], network: Network, pathway: Pathway) -> None:
    """What a pathway sends is put on its way; listed synapses visit the neurons that send something."""
    if pathway.listed:
        _gather(steps, gathered, network, Node(pathway.source, pathway.carries))
    steps.append(StepSpec(kind="depart", of=pathway.name))


def _gather(steps: list[StepSpec], gathered: set[Node], network: Network, node: Node) -> None:
    if node not in gathered:
        gathered.add(node)
        called = network.population(node.population).neuron.called(node.variable)
        steps.append(StepSpec(kind="gather", of=node.population, nodes=(called,)))


def _evaluate(
    steps: list[StepSpec],
    population: str,
    statement: str,
    reads: dict[str, tuple[str, str]],
    only: Only,
    ports: frozenset[str] = frozenset(),
) -> None:
    """Add a statement to the last step of its population, if what it reads is known by then: no partner, none of the
    `ports`, and nothing that another step computes."""
    words = _identifiers(statement.partition("=")[2])
    for place in range(len(steps) - 1, -1, -1):
        last = steps[place]
        if last.kind == "evaluate" and last.of == population and last.only == only:
            steps[place] = last._replace(statements=(*last.statements, statement), reads=last.reads | reads)
            return
        computed = {*last.nodes, *re.findall(r"^\s*(\w+)\s*[-+*/]?=", "\n".join(last.statements), re.MULTILINE)}
        if reads or words & ports or (last.of == population and words & computed):
            break
    steps.append(StepSpec(kind="evaluate", of=population, statements=(statement,), reads=reads, only=only))


def learning_parameters(spec: PathwaySpec, learning: Learning) -> dict[str, float]:
    """The values of the parameters by which changes reach the weights, by `pathway.parameter`."""
    low, high = learning.bounds()
    given = {"low": low, "high": high, "batch": float(learning.batch), "sign_step": learning.step or 0.0}
    return {f"{spec.name}.{name}": given[name] for name in spec.learning_parameters()}


def run_parameters(
    experiment: Experiment, program: Program, rate: float = 1.0, alike: Mapping[str, float] | None = None
) -> dict[str, float]:
    """The values of all parameters that the binary takes in a phase of this rate, by `group.parameter`.

    Args:
        experiment: the description.
        program: its program.
        rate: what every learning rate is multiplied by.
        alike: the values of `NeuronModel.run_constants` that all neurons have in common, by `group.parameter`.
    """
    network = experiment.network
    values: dict[str, Any] = {}
    for group in program.groups:
        neuron = network.population(group.name).neuron
        scales = {scale_name(p): p.weights.parameters()["scale"] for p in network.pathways if p.weights.one_to_one}
        known = neuron.parameters() | scales
        known |= {name.partition(".")[2]: v for name, v in (alike or {}).items() if name.split(".")[0] == group.name}
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


def run_constants(instance: Instance, reset: bool) -> dict[str, Array]:
    """What stands still in a run of an instance, by `group.name`, each `(size,)`, or `(1,)` where all neurons have the
    same: parameters, what is computed from them, and, with `reset`, first values."""
    found: dict[str, Array] = {}
    dt = instance.experiment.protocol.step
    for population in instance.network.populations:
        name, neuron = population.name, population.neuron
        own = {n.partition(".")[2]: a for n, a in instance.constants.items() if n.partition(".")[0] == name}
        moment = Moment(population.size, dt, 0.0, own)
        found |= {f"{name}.{constant}": array for constant, array in neuron.run_values(moment).items()}
        for number, background in enumerate(population.background):
            mean = own[f"background_{number}_rate"] * background.count * dt
            found[f"{name}.mean_{number}"] = mean
            found[f"{name}.none_{number}"] = np.exp(-mean)
            found[f"{name}.most_{number}"] = np.floor(mean + 12.0 * np.sqrt(mean) + 30.0)
            found[f"{name}.weight_{number}"] = own[f"background_{number}_weight"]
        for variable in _own_first(neuron) if reset else ():
            found[f"{name}.{first_name(neuron.called(variable))}"] = instance.trial_begins(0)[f"{name}.{variable}"]
    return found
