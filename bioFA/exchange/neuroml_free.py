"""A network in which time passes as NeuroML 2 and LEMS, for jNeuroML: neurons as text, synapses, given spikes.

    neurons.xml          the component types of neurons, synapses and inputs, written from their text (`lems_cells.py`),
                         and a component of each
    network.nml          populations, projections with a weight (in SI) and a delay of every synapse, spike arrays,
                         inputs: valid NeuroML 2
    LEMS_network.xml     the simulation: duration, dt, spikes_<population>.dat, and trace_<n>.dat of what is recorded
    state.h5             the same for bioFA, which `biofa import --from neuroml` reads back
    expected.npz         every spike of the first steps, by the NumPy reference, as jNeuroML steps
    README.md            how to run it, and how to compare

jNeuroML's step: pending events arrive; each neuron moves by Euler's method, is tested and reset; what has arrived then
acts on it, from the next step on. So a spike with a delay of k >= 1 steps acts k + 1 steps after its test, as in bioFA;
one without delay, a step later than here. It delivers what is due within half a step, so delays are written half a step
shorter. The time of a spike is the end of its step, in both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from bioFA.errors import NoCounterpart
from bioFA.exchange import expected, free_parts
from bioFA.exchange.base import Exported
from bioFA.exchange.free_parts import Listed, cells
from bioFA.exchange.lems_cells import Attachments, cell_type, release_of
from bioFA.exchange.lems_learning import add_population, write_document
from bioFA.exchange.lems_text import Dimensions, called
from bioFA.instance import Instance, draw
from bioFA.network import Pathway, Population
from bioFA.neurons.current import Current
from bioFA.neurons.equations import TextNeuron
from bioFA.runs.trained import STATE, Trained
from bioFA.synapses.tsodyks_markram import TsodyksMarkram
from bioFA.units import steps_of

Array = np.ndarray
Element = ElementTree.Element
NEURONS, NETWORK, SIMULATION = "neurons.xml", "network.nml", "LEMS_network.xml"
SYNAPSES = 500_000
"""More synapses than jNeuroML has memory for."""
PIECES = 200
"""So many values at most has a course in time."""
MEANS = 20
"""So many rates at most has a background."""


def export(trained: Trained, path: Path, programs: tuple[str, ...]) -> Exported:
    """Write the folder.

    Args:
        trained: the network.
        path: the folder to make.
        programs: what runs it, as pip installs it.

    Raises:
        NoCounterpart: naming what NeuroML has no words for.
    """
    _check(trained)
    as_here = draw(_with_delays(trained), trained.seed)
    drawn = _as_there(as_here)
    network = _Network(drawn)
    documents = {NEURONS: network.types(), NETWORK: network.document(trained), SIMULATION: network.simulation()}
    recipe = _recipe(drawn, network, programs)
    path.mkdir()
    for name, root in documents.items():
        write_document(root, path / name)
    trained.save(path / STATE)
    expected.save(path / expected.EXPECTED, recipe)
    (path / expected.README).write_text(_readme(trained, recipe), encoding="utf-8")
    names = (*documents, STATE, expected.EXPECTED, expected.README)
    return Exported(tuple(path / name for name in names), tuple(_lost(trained, _late(trained, as_here), network)))


def _refused(what: str, use: str) -> NoCounterpart:
    return NoCounterpart(f"{what}, for which NeuroML export has no words. It has: {use}.")


def _check(trained: Trained) -> None:
    """Refuse what has no words in NeuroML."""
    protocol, network = trained.experiment.protocol, trained.experiment.network
    if protocol.phases:
        raise _refused("protocol.phases divide the trial", "one phase")
    if protocol.order != "deliver_first":
        raise _refused(f"protocol.order is '{protocol.order}'", "deliver_first")
    for population in network.populations:
        neuron, place = population.neuron, f"population '{population.name}'"
        if isinstance(neuron, TextNeuron):
            if neuron.happens:
                raise _refused(f"{place}: it has events of its own", "spikes alone")
            if neuron.draws:
                raise _refused(f"{place}: its text draws random numbers", "neurons without noise")
        elif neuron.spike_signals != ("s",) and not isinstance(neuron, Current):
            raise _refused(f"{place}: {neuron.family_name} sends graded signals", "poisson, spikes_from, current")
    for pathway in network.pathways:
        source, place = network.population(pathway.source).neuron, f"pathway '{pathway.name}'"
        if pathway.plasticity is not None:
            raise _refused(f"{place} learns", "fixed weights")
        if isinstance(source, Current):
            if not pathway.delay.none:
                raise _refused(
                    f"{place} carries a course in time after a delay", "courses without, or with other times"
                )
        else:
            free_parts.check_synapses(pathway, _refused)
        if pathway.dynamics is not None and not isinstance(pathway.dynamics, TsodyksMarkram):
            raise _refused(f"{place}: {pathway.dynamics.family_name}", "tsodyks_markram")


def _at_once(trained: Trained) -> list[str]:
    """The pathways between neurons that have no delay."""
    network = trained.experiment.network
    fed = {population.name for population in cells(network)}
    return [pathway.name for pathway in network.pathways if pathway.source in fed and pathway.delay.none]


def _with_delays(trained: Trained) -> Any:
    """The experiment with a step of delay where there is none, which jNeuroML takes."""
    experiment, late = trained.experiment, set(_at_once(trained))
    network = experiment.network
    pathways = tuple(
        pathway.replace(delay=experiment.protocol.step) if pathway.name in late else pathway
        for pathway in network.pathways
    )
    return experiment.replace(circuit=network.replace(pathways=pathways))


def _late(trained: Trained, drawn: Instance) -> list[str]:
    """The pathways between neurons of which some synapses have no delay."""
    fed = {population.name for population in cells(drawn.network)}
    none = set(_at_once(trained))
    return [
        pathway.name
        for pathway in drawn.network.pathways
        if pathway.source in fed and (pathway.name in none or not free_parts.synapses(drawn, pathway).delays.all())
    ]


def _as_there(drawn: Instance) -> Instance:
    """An instance as jNeuroML steps it: Euler's method, and at least a step of delay between neurons."""
    first = drawn.trial_begins(0)
    fed = {population.name for population in cells(drawn.network)}
    populations = tuple(
        p.replace(neuron=free_parts.by_euler(drawn, p, first)) if p.name in fed else p
        for p in drawn.network.populations
    )
    circuit = drawn.network.replace(populations=populations)
    synapses, delays = dict(drawn.synapses), dict(drawn.delays)
    for pathway in drawn.network.pathways:
        name = pathway.name
        if pathway.source in fed and pathway.listed:
            synapses[name] = replace(synapses[name], delays=np.maximum(synapses[name].delays, 1))
        elif pathway.source in fed and name in delays:
            parts = dict(delays[name])
            parts["axonal"] = np.maximum(parts["axonal"], 1)
            delays[name] = parts
    state = {
        name: array for name, array in drawn.state.items() if name.rpartition(".")[2] not in ("substep", "elapsed")
    }
    experiment = drawn.experiment.replace(circuit=circuit)
    return replace(drawn, experiment=experiment, state=state, synapses=synapses, delays=delays)


class _Network:
    """The three documents."""

    def __init__(self, drawn: Instance):
        """Find what differs between neurons, and give every part its name."""
        self.drawn, self.network, self.protocol = drawn, drawn.network, drawn.experiment.protocol
        self.dt, self.dimensions = self.protocol.step, Dimensions()
        self.shown = free_parts.shown(drawn, _refused)
        self.cells = cells(self.network)
        self.synapses: dict[str, Listed] = {}
        self.components: list[Element] = []
        self.inputs: list[tuple[str, str, Array, Array]] = []
        self.projections: list[tuple[Pathway, str]] = []
        self.types_of: list[Element] = []
        self.drawn_there = False
        self.lost: list[str] = []
        first = drawn.trial_begins(0)
        for population in self.cells:
            self._cells(population, first)
        count = sum(len(listed.pre) for listed in self.synapses.values())
        if count > SYNAPSES:
            raise NoCounterpart(
                f"NeuroML export writes at most {SYNAPSES} synapses, as jNeuroML's memory allows; the network has"
                f" {count}. Make it smaller, or export it to SONATA or Brian2."
            )

    def _cells(self, population: Population, first: Mapping[str, Array]) -> None:
        """The component types and components of a population."""
        neuron, name = population.neuron, population.name
        assert isinstance(neuron, TextNeuron)
        values = {one: self.drawn.constants[f"{name}.{one}"] for one in neuron.parameter_dimensions}
        begins = {one: first[f"{name}.{one}"] for one in neuron.text.state}
        given, varied = ([one for one, array in part.items() if np.ptp(array) > 0] for part in (values, begins))
        known = neuron.text.known
        shown = {f"arrives__{port}": known[port] for port in neuron.ports}
        shown |= {f"given__{one}": known[one] for one in given} | {f"first__{one}": known[one] for one in varied}
        attachments = Attachments(name, shown, self.dimensions)
        self.types_of += [attachments.base(), cell_type(name, neuron, given, varied, self.dimensions)]
        written = {called(one): (values[one], one) for one in values if one not in given}
        written |= {f"first__{one}": (begins[one], one) for one in begins if one not in varied}
        cell = Element(f"{name}_neuron", {"id": f"{name}_cell"})
        for attribute, (array, one) in written.items():
            cell.set(attribute, self.dimensions.quantity(float(np.ravel(array)[0]), known[one]))
        cell.set("step__dt", f"{self.dt!r}s")
        cell.set("pause__steps", str(steps_of(neuron.pause, self.dt)))
        self.components.append(cell)
        for kept, part in (("given", given), ("first", varied)):
            for one in part:
                kind = attachments.given(f"{kept}__{one}")
                self._input(kind, name, np.arange(population.size), (values if kept == "given" else begins)[one])
        for pathway in self.network.pathways:
            if pathway.target == name:
                source = self.network.population(pathway.source)
                (self._course if isinstance(source.neuron, Current) else self._pathway)(attachments, pathway)
        self._background(attachments, population)

    def _input(self, kind: Element, population: str, neurons: Array, weights: Array, **attributes: str) -> None:
        """A component of its own type, attached to neurons."""
        name = kind.attrib["name"]
        if name not in {found.attrib["name"] for found in self.types_of}:
            self.types_of.append(kind)
            self.components.append(Element(name, {"id": f"{name}_1", **attributes}))
        self.inputs.append((f"{name}_1", population, neurons, np.broadcast_to(weights, len(neurons))))

    def _pathway(self, attachments: Attachments, pathway: Pathway) -> None:
        """The component of its synapses, and what spikes of the first step bring."""
        listed = free_parts.synapses(self.drawn, pathway)
        self.synapses[pathway.name] = listed
        attributes, release = self._release(pathway)
        kind = attachments.synapse(f"{pathway.name}_synapse", pathway.port, release)
        self.types_of.append(kind)
        component = f"{kind.attrib['name']}_1"
        self.components.append(Element(kind.attrib["name"], {"id": component, **attributes}))
        self.projections.append((pathway, component))
        if pathway.source not in self.shown or pathway.source in {p.name for p in self.cells}:
            return
        neurons, steps = self.shown[pathway.source]
        early = np.isin(listed.pre, neurons[steps == 0])
        if early.any() and pathway.dynamics is not None:
            raise _refused(
                f"pathway '{pathway.name}': a spike in the very first step reaches synapses with dynamics",
                "spikes from the second step on",
            )
        delays = np.broadcast_to(listed.delays, len(listed.pre))
        weights = np.broadcast_to(listed.weights, len(listed.pre))
        for delay in np.unique(delays[early]):
            some = early & (delays == delay)
            course = attachments.course(
                f"{pathway.port}_at_step_{delay}", pathway.port, [(int(delay), int(delay) + 1, 1.0)], self.dt
            )
            self._input(course, pathway.target, listed.post[some], weights[some])

    def _release(self, pathway: Pathway) -> tuple[dict[str, str], list[tuple[str, str]]]:
        """The parameters of short-term plasticity, and what it does at a spike."""
        dynamics = pathway.dynamics
        if dynamics is None:
            return {}, []
        assert isinstance(dynamics, TsodyksMarkram)
        found = {}
        for name, array in self.drawn.synapses[pathway.name].parameters.items():
            if np.ptp(array) > 0:
                raise _refused(f"pathway '{pathway.name}': {name} differs between synapses", "one value for all")
            found[name] = float(np.ravel(array)[0])
        found = {"tau_psc": 2 * found["tau_rec"], **found}
        if dynamics.resources == "three" and found["tau_psc"] == found["tau_rec"]:
            raise _refused(f"pathway '{pathway.name}': tau_psc is tau_rec", "two times that differ")
        attributes = {name: f"{value!r}{'' if name == 'U' else 's'}" for name, value in found.items()}
        return attributes, release_of(dynamics.resources, found["tau_facil"] > 0)

    def _course(self, attachments: Attachments, pathway: Pathway) -> None:
        """A course in time, with the sum of its weights and scales at each neuron."""
        source = self.network.population(pathway.source)
        assert isinstance(source.neuron, Current)
        course = source.neuron.course(self.dt, 0, self.protocol.shown_steps)
        begins = np.flatnonzero(np.diff(course, prepend=np.nan) != 0)
        ends = np.append(begins[1:], len(course))
        pieces = [(int(a), int(b), float(course[a])) for a, b in zip(begins, ends, strict=True) if course[a] != 0]
        if len(pieces) > PIECES:
            raise _refused(f"population '{source.name}': its course has {len(pieces)} values", f"at most {PIECES}")
        if pathway.listed or (pathway.weights.owns and not pathway.weights.one_to_one):
            listed = free_parts.synapses(self.drawn, pathway)
            weights = np.broadcast_to(listed.weights, len(listed.pre))
            pre, post = listed.pre, listed.post
        else:
            raise _refused(f"pathway '{pathway.name}': {type(pathway.weights).__name__}", "connect = 'one_to_one'")
        scale = np.broadcast_to(self.drawn.constants[f"{source.name}.scale"], source.size)
        total = np.bincount(post, weights * scale[pre], minlength=self.network.population(pathway.target).size)
        kind = attachments.course(f"{pathway.name}_course", pathway.port, pieces, self.dt)
        self._input(kind, pathway.target, np.flatnonzero(total), total[total != 0])

    def _background(self, attachments: Attachments, population: Population) -> None:
        """Poisson spikes from outside, a component for each rate."""
        for number, outside in enumerate(free_parts.outside(self.drawn, population)):
            self.drawn_there = True
            means = np.unique(outside.mean)
            if len(means) > MEANS:
                raise _refused(f"population '{population.name}': {len(means)} rates of a background", f"{MEANS} rates")
            for which, mean in enumerate(means):
                some = np.flatnonzero(outside.mean == mean)
                kind = attachments.outside(f"outside_{number}_{which}", outside.port, float(mean))
                self._input(kind, population.name, some, outside.weight[some])

    def types(self) -> Element:
        """Component types and components."""
        root = Element("Lems")
        root.extend(self.dimensions.elements())
        root.extend(self.types_of)
        root.extend(self.components)
        return root

    def document(self, trained: Trained) -> Element:
        """The NeuroML document: sources first, so that what they send without delay arrives in the same step."""
        root = Element("neuroml", {
            "xmlns": "http://www.neuroml.org/schema/neuroml2",
            "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
            "xsi:schemaLocation": "http://www.neuroml.org/schema/neuroml2 https://raw.github.com/NeuroML/NeuroML2/development/Schemas/NeuroML2/NeuroML_v2.3.1.xsd",
            "id": "biofa_network",
        })  # fmt: skip
        notes = ElementTree.SubElement(root, "notes")
        notes.text = (
            f"{trained.experiment.name}: {trained.experiment.description} Written by bioFA, seed {trained.seed}."
        )
        given = {name: train for name, train in self.shown.items() if name not in {p.name for p in self.cells}}
        senders: dict[str, Array] = {}
        for name, (neurons, steps) in given.items():
            senders[name] = np.unique(neurons[steps > 0])
            for neuron in senders[name]:
                array = ElementTree.SubElement(root, "spikeArray", {"id": f"{name}_{neuron}_train"})
                for number, step in enumerate(steps[(neurons == neuron) & (steps > 0)]):
                    time = f"{(float(step) - 0.5) * self.dt!r}s"
                    ElementTree.SubElement(array, "spike", {"id": str(number), "time": time})
        network = ElementTree.SubElement(root, "network", {"id": "net"})
        for name, neurons in senders.items():
            for neuron in neurons:
                add_population(network, f"{name}_{neuron}", f"{name}_{neuron}_train", 1)
        for population in self.cells:
            add_population(network, population.name, f"{population.name}_cell", population.size)
        for pathway, component in self.projections:
            self._projection(network, pathway, component, senders)
        for number, (component, name, neurons, weights) in enumerate(self.inputs):
            attributes = {"id": f"input_{number}", "population": name, "component": component}
            inputs = ElementTree.SubElement(network, "inputList", attributes)
            for place, (neuron, weight) in enumerate(zip(neurons, weights, strict=True)):
                ElementTree.SubElement(inputs, "inputW", {
                    "id": str(place), "target": f"../{name}/{neuron}/{name}_cell", "destination": "synapses",
                    "weight": repr(float(weight)),
                })  # fmt: skip
        return root

    def _projection(self, network: Element, pathway: Pathway, component: str, senders: Mapping[str, Array]) -> None:
        """The synapses of a pathway, one by one; those of a source in a projection for each of its neurons."""
        listed = self.synapses[pathway.name]
        weights, delays = (np.broadcast_to(a, len(listed.pre)) for a in (listed.weights, listed.delays))
        groups = [(pathway.source, f"{pathway.source}_cell", "", np.arange(len(listed.pre)))]
        single = pathway.source in senders
        if single:
            groups = [
                (f"{pathway.source}_{j}", f"{pathway.source}_{j}_train", f"_{j}", np.flatnonzero(listed.pre == j))
                for j in senders[pathway.source]
            ]
        for source, cell, suffix, which in groups:
            if not len(which):
                continue
            projection = ElementTree.SubElement(network, "projection", {
                "id": f"{pathway.name}{suffix}", "presynapticPopulation": source,
                "postsynapticPopulation": pathway.target, "synapse": component,
            })  # fmt: skip
            for number, place in enumerate(which):
                delay = max(float(delays[place]) - 0.5, 0.0) * self.dt
                ElementTree.SubElement(projection, "connectionWD", {
                    "id": str(number),
                    "preCellId": f"../{source}/{0 if single else listed.pre[place]}/{cell}",
                    "postCellId": f"../{pathway.target}/{listed.post[place]}/{pathway.target}_cell",
                    "weight": repr(float(weights[place])),
                    "delay": f"{delay!r}s",
                })  # fmt: skip

    def simulation(self) -> Element:
        """The LEMS simulation, with every spike and the traces that are declared."""
        root = Element("Lems")
        ElementTree.SubElement(root, "Target", {"component": "sim"})
        for name in ("Cells.xml", "Networks.xml", "Simulation.xml", NEURONS, NETWORK):
            ElementTree.SubElement(root, "Include", {"file": name})
        length = self.protocol.shown_steps * self.dt
        attributes = {"id": "sim", "length": f"{length!r}s", "step": f"{self.dt!r}s", "target": "net"}
        simulation = ElementTree.SubElement(root, "Simulation", attributes)
        for number, trace in enumerate(self.drawn.experiment.traced):
            self._trace(simulation, number, trace)
        for population in self.spiking():
            name = f"spikes_{population.name}"
            attributes = {"id": name, "fileName": f"{name}.dat", "format": "ID_TIME"}
            file = ElementTree.SubElement(simulation, "EventOutputFile", attributes)
            for i in range(population.size):
                select = f"{population.name}/{i}/{population.name}_cell"
                ElementTree.SubElement(file, "EventSelection", {"id": str(i), "select": select, "eventPort": "spike"})
        return root

    def spiking(self) -> list[Population]:
        """The populations that spike by themselves."""
        return [p for p in self.cells if isinstance(p.neuron, TextNeuron) and p.neuron.threshold is not None]

    def _trace(self, simulation: Element, number: int, trace: Any) -> None:
        """A file of variables, a column each."""
        population = self.network.population(trace.population)
        if population not in self.cells:
            return
        neuron = population.neuron
        assert isinstance(neuron, TextNeuron)
        variables = [v for v in trace.variables if v in neuron.text.state or v in neuron.text.subexpressions]
        if not variables:
            return
        name = f"trace_{number}"
        file = ElementTree.SubElement(simulation, "OutputFile", {"id": name, "fileName": f"{name}.dat"})
        for variable in variables:
            for i in trace.neurons:
                quantity = f"{population.name}/{i}/{population.name}_cell/{called(variable)}"
                column = {"id": f"{population.name}_{i}_{variable}", "quantity": quantity}
                ElementTree.SubElement(file, "OutputColumn", column)


def _lost(trained: Trained, late: list[str], network: _Network) -> list[str]:
    """What NeuroML does not hold, or jNeuroML does otherwise."""
    lost, protocol = [
        "rates, measures and recorded weights: jNeuroML writes spikes and traces"
    ], trained.experiment.protocol
    for population in cells(trained.experiment.network):
        method = population.neuron.method  # type: ignore[attr-defined]
        if method != "euler":
            lost.append(f"the method {method} of {population.name}: jNeuroML takes Euler steps")
        if any("t" in text.names for text in population.neuron._texts()):  # type: ignore[attr-defined]
            lost.append(f"the last digits of the time t in {population.name}: jNeuroML adds up the steps")
    if late:
        lost.append(f"that spikes of {', '.join(late)} act without delay: in jNeuroML, after one of a step")
    if network.drawn_there:
        lost.append("the numbers of the background: jNeuroML draws its own, in every step, of the same distribution")
    if any(not isinstance(p.neuron, (TextNeuron, Current)) for p in network.network.populations):
        lost.append("how sources draw their spikes: those of the first trial are given as spike arrays")
    if protocol.trials > 1:
        lost.append("trials after the first: jNeuroML runs that one")
    if protocol.warm_up:
        lost.append("the warm-up: jNeuroML writes everything from the beginning")
    if any(trace.every or trace.start or trace.until for trace in trained.experiment.record.traces):
        lost.append("from when to when, and how often, traces are kept: jNeuroML writes every step")
    return lost


def _recipe(drawn: Instance, network: _Network, programs: tuple[str, ...]) -> expected.Recipe:
    """Every spike of the first steps, as jNeuroML steps; numbers of spikes where it draws its own."""
    steps, spikes = free_parts.answers(drawn)
    arrays = {"steps": np.array(steps)} | spikes
    script = _COUNTS if network.drawn_there else _COMPARE
    names = [population.name for population in network.spiking()]
    script = script.replace("@NAMES@", repr(names)).replace("@DT@", repr(drawn.experiment.protocol.step))
    count = sum(len(listed.pre) for listed in network.synapses.values()) + sum(len(part[2]) for part in network.inputs)
    memory = f"JNML_MAX_MEMORY_LOCAL={1 + count // 50_000}G " if count > 10_000 else ""
    tolerance = "every spike in its step, of the reference with jNeuroML's step: Euler's, and no delay shorter than dt"
    if network.drawn_there:
        tolerance = "numbers of spikes, within 10 % or five standard deviations: jNeuroML draws the background itself"
    return expected.Recipe((*programs, "numpy"), f"{memory}pynml {SIMULATION} -nogui", script, tolerance, arrays)


_COMPARE = """import numpy as np

expected = np.load("expected.npz")
for name in @NAMES@:
    neurons, times = np.loadtxt(f"spikes_{name}.dat", ndmin=2).reshape(-1, 2).T
    found = {(round(time / @DT@), int(neuron)) for neuron, time in zip(neurons, times)}
    found = {spike for spike in found if spike[0] < int(expected["steps"])}
    answer = set(zip(expected[f"{name}.steps"].tolist(), expected[f"{name}.neurons"].tolist()))
    print(f"{name}: {len(answer)} spikes, {len(found ^ answer)} differ")
    assert found == answer, name
"""
_COUNTS = """import numpy as np

expected = np.load("expected.npz")
for name in @NAMES@:
    neurons, times = np.loadtxt(f"spikes_{name}.dat", ndmin=2).reshape(-1, 2).T
    found, answer = np.sum(np.rint(times / @DT@) < int(expected["steps"])), len(expected[f"{name}.steps"])
    print(f"{name}: {found} spikes, {answer} in bioFA")
    assert abs(found - answer) <= max(0.1 * answer, 5 * answer**0.5, 1), name
"""


def _readme(trained: Trained, recipe: expected.Recipe) -> str:
    return f"""# {trained.experiment.name} in NeuroML 2 and LEMS

{trained.experiment.description}

Seed {trained.seed}. jNeuroML writes `spikes_POPULATION.dat` (neuron, time in s: the end of the step whose test found the spike) and `trace_N.dat` (time in s, a column for each variable
and neuron, in SI; with what has arrived for the next step). `{NEURONS}` has the neurons, whose equations are their text; weights in `{NETWORK}` are in SI; delays there are half a step
shorter than they are, so that rounding does not move what arrives. `{NETWORK}` fits NeuroML's schema; its neurons and synapses stand in `{NEURONS}`, where `pynml -validate` does not look for
them. `{STATE}` is for bioFA: `biofa import FOLDER --from neuroml --out DIR` gives the model file back.

{expected.section(recipe)}
"""  # noqa: E501
