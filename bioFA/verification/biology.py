"""What a circuit asks of a brain: an audit of a description, from facts that its parts state.

Looked at is what is at work: the populations and pathways that some plasticity rule or the network's answer depends on.
What only measures (probes, an error unit that nothing learns from) is left out. Each kind of demand is one function
here, which yields where it is found; what is found follows from the description alone, before anything is drawn or run.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from bioFA.experiment import Experiment, Protocol
from bioFA.network import Network, Node, Pathway, Population

UNSEEN = (
    "whether the data shown are negative, whether weights that may have both signs do, how large errors and rates"
    " become, and what the language has no words for yet (energy, development)"
)
"""What cannot be seen from a description."""


@dataclass(frozen=True)
class Demand:
    """One thing that a circuit asks of a brain: its kind, the population, pathway or setting, a sentence,
    and what in the description would change it."""

    kind: str
    place: str
    found: str
    change: str


@dataclass(frozen=True)
class Audit:
    """What `audit` found: the demands, in the order of their kinds, and how much was looked at."""

    model: str
    scheme: str
    demands: tuple[Demand, ...]
    looked_at: str
    notes: tuple[str, ...] = ()
    """What the name of the scheme claims too much of, in sentences."""

    def kinds(self) -> tuple[str, ...]:
        """The kinds of demand that this circuit makes."""
        return tuple(kind for kind in KINDS if any(demand.kind == kind for demand in self.demands))

    def summary(self) -> dict[str, Any]:
        """What `biofa audit --json` prints."""
        demands = [{"kind": d.kind, "place": d.place, "found": d.found, "change": d.change} for d in self.demands]
        absent = [kind for kind in KINDS if kind not in self.kinds()]
        return {
            "model": self.model,
            "scheme": self.scheme,
            "demands": demands,
            "absent": absent,
            "looked_at": self.looked_at,
            "unseen": UNSEEN,
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        lines = [f"What {self.model}, scheme {self.scheme}, asks of a brain"]
        for kind in self.kinds():
            found = [demand for demand in self.demands if demand.kind == kind]
            changes = "; ".join(dict.fromkeys(demand.change for demand in found))
            lines.append(f"{kind.replace('_', ' ')}: {KINDS[kind].title}. To change it: {changes}.")
            lines += [f"  {demand.place}: {demand.found}" for demand in found]
        absent = [kind.replace("_", " ") for kind in KINDS if kind not in self.kinds()]
        return "\n".join([
            *lines,
            f"Not found: {', '.join(absent)}.",
            f"Looked at: {self.looked_at}.",
            *(f"Note: {note}." for note in self.notes),
            f"A description does not show {UNSEEN}.",
        ])


class _Circuit:
    """A network under its protocol, and what of it is at work."""

    def __init__(self, network: Network, protocol: Protocol):
        self.network, self.protocol = network, protocol
        self.pathways = tuple(
            p for p in network.pathways if p.plasticity is not None or Node(p.target, p.port) in self._nodes
        )
        reached = {node.population for node in self._nodes} | {p.target for p in self.pathways}
        self.populations = tuple(p for p in network.populations if p.name in reached)

    @cached_property
    def _nodes(self) -> set[Node]:
        """The ports and published variables that a rule or the answer depends on, in this step or in an earlier one."""
        wanted = list(self.network.order) if self.protocol.free else [self.network.readout]
        for pathway in self.network.plastic():
            wanted += [Node(pathway.source, variable) for variable in pathway.reads_pre()]
            wanted += [
                Node(pathway.target, variable)
                for variable in (pathway.plasticity.reads_post if pathway.plasticity else ())
            ]
        found: set[Node] = set()
        while wanted:
            node = wanted.pop()
            if node not in found:
                found.add(node)
                wanted += self._before(node)
        return found

    def _before(self, node: Node) -> list[Node]:
        """What a node is computed from; of a state, all that moves the neuron's state."""
        neuron = self.network.population(node.population).neuron
        if node.variable in neuron.ports:
            return [Node(p.source, p.carries) for p in self.network.arriving(*node)]
        if node.variable in neuron.state:
            moves = set(re.findall(r"[A-Za-z_]\w*", "\n".join((neuron.arrival(), neuron.dynamics(), neuron.spiking()))))
            return [
                Node(node.population, variable) for variable in (*neuron.ports, *neuron.publishes) if variable in moves
            ]
        return [
            Node(node.population, need)
            for need in neuron.needs(node.variable)
            if need in (*neuron.ports, *neuron.publishes, *neuron.state)
        ]

    def population(self, name: str) -> Population:
        """The population of that name."""
        return self.network.population(name)

    def leaving(self, population: Population) -> list[Pathway]:
        """The pathways at work that leave a population."""
        return [p for p in self.pathways if p.source == population.name]

    def owner(self, pathway: Pathway) -> Pathway:
        """The pathway whose weights this one has."""
        return pathway if pathway.weights.owns else self.network.pathway(pathway.refers_to()[0])

    def signs(self, pathway: Pathway) -> frozenset[int]:
        """The signs that the synapses of one presynaptic cell may have together; none where each cell has its own,
        by Dale's law."""
        owner, both = self.owner(pathway), frozenset({-1, 1})
        if self.network.signs(owner) is not None:
            return both if pathway.weights.transports else frozenset()
        if owner.sign in ("excitatory", "inhibitory"):
            return frozenset({1 if owner.sign == "excitatory" else -1})
        if owner.sign == "concordant":
            return both
        low, high = owner.learning.bounds()
        if owner.plasticity is not None:
            return frozenset({1}) if low >= 0 else frozenset({-1}) if high <= 0 else both
        turned = self.population(pathway.target).neuron.port_sign(pathway.port)
        return frozenset(turned * sign for sign in owner.weights.signs())


Found = Iterator[tuple[str, str, str]]
"""Place, sentence, and what would change it."""


@dataclass(frozen=True)
class Kind:
    """A kind of demand: what it means, and where a circuit makes it."""

    title: str
    look: Callable[[_Circuit], Found]


RANDOM = "random weights (schemes fa, dfa), or weights that learn (kp, wm)"
DIRECT = "direct feedback (dfa), for a hidden layer"


def audit(experiment: Experiment) -> Audit:
    """List what a circuit asks of a brain: of its wiring, its cells, its synapses, and of whoever runs the experiment.

    Weight transport (of weights or of their signs), weights shared between pathways, one-to-one wiring, error units and
    teachers, signals and synapses of both signs from one cell, a second signal beside a cell's activity, negative
    rates, graded signals among spiking cells, feedback that learns, knowledge of other synapses or of the gain,
    one global signal in place of an error, and times that are set from outside.

    Args:
        experiment: the description, such as `bioFA.load("digits")` or that `.with_scheme("bp")`.

    Returns:
        `demands`, each with `kind`, `place`, `found` and `change` (what in the description would change it);
        `kinds()`; text when printed.
    """
    circuit = _Circuit(experiment.network, experiment.protocol)
    demands = tuple(Demand(name, *found) for name, kind in KINDS.items() for found in kind.look(circuit))
    at_work = {part.name for part in (*circuit.populations, *circuit.pathways)}
    idle = [
        part.name
        for part in (*experiment.network.populations, *experiment.network.pathways)
        if part.name not in at_work
    ]
    looked_at = f"{len(circuit.populations)} populations and {len(circuit.pathways)} pathways at work, and the protocol"
    left_out = f"; left out, since nothing learns or answers by them: {', '.join(idle)}" if idle else ""
    return Audit(experiment.name, experiment.scheme, demands, looked_at + left_out, experiment.circuit.caveats())


def _transport(circuit: _Circuit) -> Found:
    for p in circuit.pathways:
        if p.weights.transports:
            yield p.name, f"has, at every moment, {p.weights.relation} of '{circuit.owner(p).name}'.", RANDOM


def _signs(circuit: _Circuit) -> Found:
    for p in circuit.pathways:
        if p.sign == "concordant":
            yield p.name, f"follows, at every moment, the signs of the weights of '{p.stands_for}' transposed.", RANDOM


def _sharing(circuit: _Circuit) -> Found:
    for p in circuit.pathways:
        if not p.weights.owns and not p.weights.transports:
            yield (
                p.name,
                f"has, at every moment, {p.weights.relation} of '{circuit.owner(p).name}'.",
                "weights of its own",
            )


def _one_to_one(circuit: _Circuit) -> Found:
    for p in circuit.pathways:
        if p.weights.one_to_one and circuit.population(p.source).size > 1:
            error = any(circuit.population(end).neuron.compares_targets for end in (p.source, p.target))
            found = f"joins each neuron to the one of the same number{', for its own error' if error else ''}."
            yield p.name, found, "weights of another kind than identity, in a network that is given pathway by pathway"


def _comparison(circuit: _Circuit) -> Found:
    for population in circuit.populations:
        if population.neuron.compares_targets:
            found = "takes the prediction from the target neuron by neuron, as both are in that step."
            yield population.name, found, "neurons that compare two phases (pyramidal, pyramidal_output)"


def _teacher(circuit: _Circuit) -> Found:
    for population in circuit.populations:
        if getattr(population.neuron, "of", "") == "targets":
            yield (
                population.name,
                "is given the right answers.",
                "nothing yet, every task here has a teacher; the task says when it speaks",
            )


def _two_signs(circuit: _Circuit) -> Found:
    for p in circuit.pathways:
        neuron = circuit.population(p.source).neuron
        if neuron.signed(p.carries) and (neuron.compares_targets or p.carries != neuron.sends):
            about = " about a tonic baseline, which the receiver takes off" if p.carries == neuron.baseline else ""
            change = "a pair of spiking_error_unit, for an error unit" if neuron.compares_targets else DIRECT
            yield p.name, f"each cell of '{p.source}' sends '{p.carries}' of both signs{about}.", change


def _dale(circuit: _Circuit) -> Found:
    for population in circuit.populations:
        leaving = [p for p in circuit.leaving(population) if circuit.population(p.source).neuron.shows != "one"]
        if len(frozenset[int]().union(*map(circuit.signs, leaving))) == 2:
            names = ", ".join(p.name for p in leaving if circuit.signs(p))
            change = "inhibitory, sign or learning.low; feedback_sign for feedback"
            yield population.name, f"synapses of both signs may leave one cell ({names}).", change


def _negative(circuit: _Circuit) -> Found:
    for population in circuit.populations:
        neuron = population.neuron
        if (
            not neuron.compares_targets
            and neuron.signed(neuron.sends)
            and any(p.carries == neuron.sends for p in circuit.leaving(population))
        ):
            yield (
                population.name,
                f"{neuron.family_name} has rates below 0.",
                "activation logistic or rectified, or spiking neurons",
            )


def _second_signal(circuit: _Circuit) -> Found:
    for population in circuit.populations:
        spikes = population.neuron.spike_signals
        sent = dict.fromkeys(
            population.neuron.sends if p.carries in spikes else p.carries for p in circuit.leaving(population)
        )
        if len(sent) > 1:
            yield (
                population.name,
                f"each cell sends {' and '.join(sent)}, apart from each other.",
                f"{DIRECT}; another population for the second signal",
            )


def _graded(circuit: _Circuit) -> Found:
    for p in circuit.pathways:
        source, target = circuit.population(p.source), circuit.population(p.target)
        if source.neuron.spikes and p.carries not in source.neuron.spike_signals:
            yield p.name, f"the spiking '{p.source}' sends '{p.carries}', which is no spike train.", DIRECT
        elif not source.neuron.spikes and source.neuron.shows is None and target.neuron.spikes:
            found = f"'{p.source}' does not spike, and sends '{p.carries}' to spiking cells at every moment."
            yield p.name, found, "spiking_error_unit or tonic_error_unit"


def _plastic_feedback(circuit: _Circuit) -> Found:
    for p in circuit.pathways:
        if p.plasticity is not None and p.port == "error":
            reads = [f"{v} of '{p.source}'" for v in p.reads_pre()] + [
                f"{v} of '{p.target}'" for v in p.plasticity.reads_post
            ]
            yield (
                p.name,
                f"is feedback that learns, from {' and '.join(reads)}.",
                "fixed random weights (schemes fa, dfa)",
            )


def _other_synapses(circuit: _Circuit) -> Found:
    for p in circuit.pathways:
        if p.plasticity is not None and p.plasticity.needs_partner:
            yield (
                p.name,
                f"the rule {p.plasticity.family_name} reads the weight of the same synapse in '{p.partner}'.",
                "a rule without w_partner",
            )
        if p.plasticity is not None and p.learning.normalised:
            yield (
                p.name,
                "after every change the weights that enter a neuron are scaled by their common norm.",
                "learning.normalised = false",
            )


def _global(circuit: _Circuit) -> Found:
    for p in circuit.pathways:
        owner = circuit.owner(p)
        alike = owner.weights.alike and owner.plasticity is None and owner.sign != "concordant" and not owner.sparse
        if p.port == "error" and alike and circuit.population(p.target).size > 1:
            found = (
                f"every neuron of '{p.target}' receives the same from '{p.source}', in place of an error of its own."
            )
            yield p.name, found, "a scheme that feeds an error back to each neuron, such as fa"


def _gain(circuit: _Circuit) -> Found:
    reading = [p for p in circuit.pathways if p.plasticity is not None and "gain" in p.plasticity.reads_post]
    for name in dict.fromkeys(p.target for p in reading):
        yield name, "its synapses know the slope of their neuron's response (gain).", "a rule that does not read gain"


def _windows(circuit: _Circuit) -> Found:
    protocol = circuit.protocol
    free = protocol.free
    if protocol.onset_steps and (circuit.network.plastic() or not free):
        name, waits = ("warm_up", protocol.warm_up) if free else ("learning_onset", protocol.learning_onset)
        every = "trial" if free else "presentation"
        yield f"protocol.{name}", f"learning waits for {waits:g} s of every {every}.", f"{name} = '0 s'"
    if free and protocol.trials > 1:
        yield "protocol.trials", "neurons begin anew with every trial.", "trials = 1"
    if not free and protocol.reset and not circuit.network.is_static():
        yield "protocol.reset", "neurons begin anew with every presentation.", "reset = false"
    if any(phase.learns is not None for phase in protocol.phases):
        yield "protocol.phases", "which pathways learn changes at set times.", "one phase"
    if len({phase.rate for phase in protocol.phases}) > 1:
        yield "protocol.phases", "learning rates change at set times.", "one rate"
    for population in circuit.populations:
        if population.neuron.shows is None and population.neuron.keeps_phases:
            found = f"{population.neuron.family_name} knows the time since the presentation began, and by it the phase."
            yield population.name, found, "neurons without phases, such as lif"
    for p in circuit.pathways:
        if p.plasticity is not None and p.learning.gathers:
            every = f"every {p.learning.batch} presentations" if p.learning.batch > 1 else "the presentation"
            yield p.name, f"changes wait for the end of {every}.", "learning.batch = 1, without step and normalised"


KINDS = {
    "weight_transport": Kind("a synapse has the weight of another that runs the other way", _transport),
    "transport_of_signs": Kind("a synapse has the sign of another that runs the other way", _signs),
    "weight_sharing": Kind("two sets of synapses have the same weights", _sharing),
    "one_to_one": Kind("neurons are joined in pairs", _one_to_one),
    "error_unit": Kind("a neuron subtracts what is from what should be", _comparison),
    "teacher": Kind("targets are given to a population", _teacher),
    "signals_of_both_signs": Kind("what a cell sends is now positive, now negative", _two_signs),
    "second_signal": Kind("a cell sends two signals, apart from each other", _second_signal),
    "synapses_of_both_signs": Kind("one cell excites and inhibits, against Dale's law", _dale),
    "negative_rates": Kind("activity is below 0", _negative),
    "graded_signals": Kind("among spiking cells, a signal is no spike train", _graded),
    "plastic_feedback": Kind("feedback synapses learn too, from both cells that they join", _plastic_feedback),
    "other_synapses": Kind("a synapse knows the weights of others", _other_synapses),
    "global_signal": Kind("one signal reaches all neurons of a layer", _global),
    "known_gain": Kind("a synapse knows its neuron's gain", _gain),
    "times_from_outside": Kind("somebody sets when what happens", _windows),
}
"""Every kind of demand, by name."""
