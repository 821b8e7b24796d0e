"""LEMS: one training presentation of a network of rates with its error units,
feedback pathways and plasticity rules as dynamics.

    learning.xml             component types of units, synapses and rules, and the whole circuit
    LEMS_learning.xml        the simulation; weights_<pathway>.dat get the change of every plastic weight
    expected_learning.npz    the changes by bioFA, `pathway` (n_post, n_pre), neurons beginning at rest

A unit sums what its synapses bring twice: `drive` from feedforward pathways, `error` from feedback pathways. An error
unit is a linear unit that the target drives and the prediction inhibits. A plastic synapse transmits with weight +
change, and

    d change/dt = H(t - learning_onset) (pace factor_i r_j - forgetting (weight + change))        pace = learning_rate /
    T, forgetting = decay / T

where factor_i is the error that arrives, times the gain of the neuron in `local_error`, r_j the rate before the
synapse. Where a pathway shares the weights of another (backpropagation), its own copy stays as it was when the
presentation began.

jNeuroML evaluates the time of a step at its end, so the onset is written half a step later: as many steps learn as in
bioFA. It hands rates on a step later, layer by layer, which the reference does too for expected_learning.npz;
and prints single precision. The changes agree within a thousandth of the largest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from bioFA.consumers.reference import Reference
from bioFA.exchange.base import matrix
from bioFA.exchange.expected import relayed
from bioFA.instance import Instance, draw
from bioFA.network import Network, Pathway, Population
from bioFA.neurons.activations import ACTIVATIONS
from bioFA.neurons.counterparts import Difference, RateUnit
from bioFA.rules import PlasticityRule
from bioFA.runs.trained import Trained
from bioFA.weights import Constant

Array = np.ndarray
TYPES, SIMULATION, EXPECTED = "learning.xml", "LEMS_learning.xml", "expected_learning.npz"
PORTS = {"drive": 1.0, "error": 1.0, "target": 1.0, "prediction": -1.0}
"""What can be said of what arrives at a port: its sign in the drive of an error unit, or its place."""
LATE = {"drive": 1, "error": 2, "target": 0, "prediction": 2}
"""By how many steps what arrives is later in jNeuroML: one between units, one more to and from an error unit,
which answers at once here; targets hold still."""
SYNAPSES = {"error_post": "deltaSynapse", "error_post * gain_post": "localErrorSynapse"}
"""The component type of a plastic synapse, by what a presynaptic rate is multiplied by."""


def refusal(trained: Trained) -> str | None:
    """Why the learning of a network has no words in LEMS here, or None where it has."""
    network = trained.experiment.network
    if network.is_static():
        return "a static network settles within one step, where LEMS needs one a layer"
    measuring = {p.name for p in network.pathways if p.port == "probe"}
    for population in network.populations:
        kind = population.neuron.counterpart()
        if population.neuron.shows is None and not isinstance(kind, (RateUnit, Difference)):
            return f"{population.neuron.family_name} ({population.name}) is no unit with a rate"
        if isinstance(kind, RateUnit) and not ACTIVATIONS[kind.activation].lems_gain:
            return f"the activation {kind.activation} of {population.name} has no words in LEMS here"
        if isinstance(kind, Difference) and kind.carries_gain:
            return f"{population.name} carries the gain of the output"
    for pathway in (p for p in network.pathways if p.name not in measuring):
        if pathway.weights.redrawn:
            return f"the weights of {pathway.name} are drawn anew for every presentation"
        if pathway.port not in PORTS or pathway.carries != "r":
            return f"{pathway.name} carries {pathway.carries} to {pathway.port}"
        if pathway.plasticity is not None and synapse_of(pathway.plasticity) is None:
            return f"{pathway.plasticity.family_name} ({pathway.name}) is no product of a local factor and a rate"
        if pathway.plasticity is not None and (
            pathway.learning.gathers
            or pathway.learning.bounded
            or pathway.sign != "any"
            or network.signs(pathway) is not None
        ):
            return f"{pathway.name} has bounds, batches or signs"
    if not network.plastic():
        return "no pathway learns"
    return None


def synapse_of(rule: PlasticityRule) -> str | None:
    """The component type of a rule's synapses, from its equation; None where it is no such product."""
    product = re.fullmatch(r"dw/dt = learning_rate \* (.+) \* r_pre / T - decay \* w / T : 1", rule.equations)
    return SYNAPSES.get(product[1]) if product else None


def write(trained: Trained, folder: Path) -> list[Path]:
    """Write the three files into a folder. `refusal` must be None."""
    writer = _Writer(trained)
    paths = [folder / TYPES, folder / SIMULATION, folder / EXPECTED]
    for path, root in zip(paths, (writer.types(), writer.simulation()), strict=False):
        write_document(root, path)
    np.savez(paths[2], allow_pickle=False, **writer.expected)
    return paths


def _late_circuit(trained: Trained, instance: Instance, begun: Mapping[str, Array]) -> Instance:
    """The whole circuit with the timing of jNeuroML (`LATE`), which hands on what units show step by step;
    shared weights are copies."""
    network, step = trained.experiment.network, trained.experiment.protocol.step
    populations, pathways, state = list(network.populations), [], dict(begun)
    for pathway in (p for p in network.pathways if p.port != "probe"):
        if not pathway.weights.owns:
            state[f"{pathway.name}.w"] = matrix(trained, pathway)
            pathway = pathway.replace(weights=Constant())
        relays, steps = relayed(pathway, network.population(pathway.source).size, LATE[pathway.port], step)
        populations += relays
        pathways += steps
        state |= {f"{relay.name}.u": np.zeros(relay.size) for relay in relays}
    experiment = trained.experiment.replace(circuit=Network(populations=tuple(populations), pathways=tuple(pathways)))
    return Instance(experiment, instance.seed, instance.data, state, instance.masks)


class _Writer:
    """The circuit of one training presentation."""

    def __init__(self, trained: Trained):
        experiment = trained.experiment
        self.trained, self.network, self.protocol = trained, experiment.network, experiment.protocol
        instance = draw(experiment, trained.seed)
        number = trained.presentations % instance.presentations()
        feed = instance.training(number, number + 1)
        neurons = {f"{p.name}.{variable}" for p in self.network.populations for variable in p.neuron.state}
        begun = {name: instance.state[name] if name in neurons else array for name, array in trained.state.items()}
        held = _late_circuit(trained, instance, begun)
        ended = Reference(held).segment(held.state, feed, learning=True).state
        self.expected = {p.name: ended[f"{p.name}.w"] - begun[f"{p.name}.w"] for p in self.network.plastic()}
        self.shown = {
            p.name: np.asarray(feed.tables[p.name][feed.rows[p.name][0]], dtype=float)
            for p in self.network.populations
            if p.name in feed.tables
        }
        self.rate = feed.rate
        self.pathways = [p for p in self.network.pathways if p.port != "probe"]
        self.shown |= {p.name: np.ones(p.size) for p in self.network.populations if p.neuron.shows == "one"}

    def types(self) -> ElementTree.Element:
        """Component types, components, and the network."""
        root = ElementTree.fromstring(_TYPES)
        kinds = [(population.name, population.neuron.counterpart()) for population in self.network.populations]
        units = [(name, kind if isinstance(kind, RateUnit) else RateUnit("linear")) for name, kind in kinds]
        root.extend(unit_types(ElementTree.fromstring(_UNIT), "learning_", [unit for _, unit in units]))
        ElementTree.SubElement(root, "learningShown", {"id": "shown"})
        ElementTree.SubElement(root, "learningSender", {"id": "sender"})
        for name in ("driveSynapse", "errorSynapse"):
            ElementTree.SubElement(root, name, {"id": name[0] + name[1:].replace("Synapse", "_synapse")})
        for pathway in self.network.plastic():
            rule = pathway.at_rate(self.rate).plasticity
            assert rule is not None
            kind, parameters = synapse_of(rule), rule.parameters()
            assert kind is not None
            per_ms = 1e-3 / self.protocol.learning_time
            values = {"pace": parameters["learning_rate"] * per_ms, "forgetting": parameters["decay"] * per_ms}
            ElementTree.SubElement(
                root,
                kind,
                {
                    "id": f"{pathway.name}_synapse",
                    "onset": f"{ms(self.protocol.learning_onset + 0.5 * self.protocol.step)!r}ms",
                    **{name: f"{value!r}per_ms" for name, value in values.items()},
                },
            )
        for name, unit in units:
            add_unit(root, "learning_", name, unit)
        root.append(self._circuit())
        return root

    def _circuit(self) -> ElementTree.Element:
        circuit = ElementTree.Element("network", {"id": "net"})
        for population in self.network.populations:
            add_population(circuit, population.name, f"{population.name}_cell", population.size)
        for pathway in self.pathways:
            self._projection(circuit, pathway)
        for name, values in self.shown.items():
            self._inputs(circuit, f"shown_{name}", self.network.population(name), values)
        return circuit

    def _projection(self, circuit: ElementTree.Element, pathway: Pathway) -> None:
        weights = PORTS[pathway.port] * matrix(self.trained, pathway)
        synapse = (
            f"{pathway.name}_synapse"
            if pathway.plasticity is not None
            else "error_synapse" if pathway.port == "error" else "drive_synapse"
        )
        part = ElementTree.SubElement(
            circuit,
            "continuousProjection",
            {"id": pathway.name, "presynapticPopulation": pathway.source, "postsynapticPopulation": pathway.target},
        )
        for number, (i, j) in enumerate(self._synapses(pathway)):
            ElementTree.SubElement(
                part,
                "continuousConnectionInstanceW",
                {
                    "id": str(number),
                    "preCell": f"../{pathway.source}/{j}/{pathway.source}_cell",
                    "postCell": f"../{pathway.target}/{i}/{pathway.target}_cell",
                    "preComponent": "sender",
                    "postComponent": synapse,
                    "weight": repr(float(weights[i, j])),
                },
            )

    def _synapses(self, pathway: Pathway) -> list[tuple[int, int]]:
        """The synapses of a pathway, postsynaptic neuron by neuron: all that may learn, else those with a weight."""
        weights = matrix(self.trained, pathway)
        present = (
            np.ones_like(weights, dtype=bool) if pathway.plasticity is not None and not pathway.sparse else weights != 0
        )
        return [(int(i), int(j)) for i, j in np.argwhere(present)]

    def _inputs(self, circuit: ElementTree.Element, name: str, target: Population, values: Array) -> None:
        inputs = ElementTree.SubElement(
            circuit, "inputList", {"id": f"{name}_inputs", "population": target.name, "component": "shown"}
        )
        for i in np.flatnonzero(values):
            ElementTree.SubElement(
                inputs,
                "inputW",
                {
                    "id": str(i),
                    "target": f"../{target.name}/{i}/{target.name}_cell",
                    "destination": "synapses",
                    "weight": repr(float(values[i])),
                },
            )

    def simulation(self) -> ElementTree.Element:
        """The simulation, with the change of every plastic weight recorded."""
        root = ElementTree.Element("Lems")
        ElementTree.SubElement(root, "Target", {"component": "sim"})
        for name in ("Cells.xml", "Networks.xml", "Simulation.xml", TYPES):
            ElementTree.SubElement(root, "Include", {"file": name})
        length = ms(self.protocol.shown_steps * self.protocol.step)
        simulation = ElementTree.SubElement(
            root,
            "Simulation",
            {"id": "sim", "length": f"{length!r}ms", "step": f"{ms(self.protocol.step)!r}ms", "target": "net"},
        )
        for pathway in self.network.plastic():
            file = ElementTree.SubElement(
                simulation, "OutputFile", {"id": f"weights_{pathway.name}", "fileName": f"weights_{pathway.name}.dat"}
            )
            count: dict[int, int] = {}
            for i, j in self._synapses(pathway):
                place = (
                    f"{pathway.target}/{i}/{pathway.target}_cell/synapses:{pathway.name}_synapse:{count.get(i, 0)}/change"  # noqa: E501
                )
                count[i] = count.get(i, 0) + 1
                ElementTree.SubElement(file, "OutputColumn", {"id": f"w_{i}_{j}", "quantity": place})
        return root


def add_population(circuit: ElementTree.Element, name: str, component: str, size: int) -> None:
    """A population of NeuroML, its neurons side by side."""
    population = ElementTree.SubElement(
        circuit, "population", {"id": name, "component": component, "type": "populationList", "size": str(size)}
    )
    for number in range(size):
        ElementTree.SubElement(
            ElementTree.SubElement(population, "instance", {"id": str(number)}),
            "location",
            {"x": str(number), "y": "0", "z": "0"},
        )


def unit_types(template: ElementTree.Element, prefix: str, units: Sequence[RateUnit]) -> Iterator[ElementTree.Element]:
    """The component types of rate units, each once: those with and without a time constant of each activation.

    `template` has the words in its attributes; what has the attribute `when` is of units with a time constant.
    """
    for activation, leaky in dict.fromkeys((unit.activation, unit.tau is not None) for unit in units):
        words = {
            "name": f"{prefix}{'leaky' if leaky else 'static'}_{activation}",
            "phi": ACTIVATIONS[activation].lems_rate.format(u="u" if leaky else "drive"),
            "gain": ACTIVATIONS[activation].lems_gain,
        }
        yield _filled(template, words, leaky)


def _filled(template: ElementTree.Element, words: dict[str, str], leaky: bool) -> ElementTree.Element:
    """A copy of an element with words in its attributes."""
    attributes = {name: text.format(**words) for name, text in template.attrib.items() if name != "when"}
    filled = ElementTree.Element(template.tag, attributes)
    filled.extend(_filled(part, words, leaky) for part in template if leaky or "when" not in part.attrib)
    return filled


def add_unit(root: ElementTree.Element, prefix: str, name: str, unit: RateUnit) -> None:
    """The component of a population of rate units."""
    kind = "static" if unit.tau is None else "leaky"
    tau = {} if unit.tau is None else {"tau": f"{ms(unit.tau)!r}ms"}
    ElementTree.SubElement(root, f"{prefix}{kind}_{unit.activation}", {"id": f"{name}_cell", **tau})


def write_document(root: ElementTree.Element, path: Path) -> Path:
    """An XML file, indented."""
    ElementTree.indent(root)
    ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)
    return path


def ms(seconds: float) -> float:
    """A time in milliseconds, without the last digits that the factor makes."""
    return round(float(seconds) * 1e3, 9)


_TYPES = """<Lems>
  <ComponentType name="learningInput" extends="basePointCurrentDL" description="What a unit sums: I is part of its drive, E of its error.">
    <Exposure name="E" dimension="none"/>
  </ComponentType>
  <ComponentType name="learningShown" extends="learningInput" description="A constant value.">
    <Property name="weight" dimension="none" defaultValue="1"/>
    <EventPort name="in" direction="in"/>
    <Dynamics>
      <DerivedVariable name="I" exposure="I" dimension="none" value="weight"/>
      <DerivedVariable name="E" exposure="E" dimension="none" value="0"/>
    </Dynamics>
  </ComponentType>
  <ComponentType name="learningSender" extends="learningInput" description="The presynaptic end of a synapse: shows the rate of its cell.">
    <Property name="weight" dimension="none" defaultValue="1"/>
    <Requirement name="V" dimension="none"/>
    <Dynamics>
      <DerivedVariable name="I" exposure="I" dimension="none" value="0"/>
      <DerivedVariable name="E" exposure="E" dimension="none" value="0"/>
    </Dynamics>
  </ComponentType>
  <ComponentType name="learningSynapse" extends="learningInput">
    <InstanceRequirement name="peer" type="learningSender"/>
  </ComponentType>
  <ComponentType name="driveSynapse" extends="learningSynapse" description="Adds weight times the presynaptic rate to the drive.">
    <Property name="weight" dimension="none" defaultValue="1"/>
    <Dynamics>
      <DerivedVariable name="rate" dimension="none" select="peer/V"/>
      <DerivedVariable name="I" exposure="I" dimension="none" value="weight * rate"/>
      <DerivedVariable name="E" exposure="E" dimension="none" value="0"/>
    </Dynamics>
  </ComponentType>
  <ComponentType name="errorSynapse" extends="learningSynapse" description="Feedback: adds weight times the presynaptic rate to the error.">
    <Property name="weight" dimension="none" defaultValue="1"/>
    <Dynamics>
      <DerivedVariable name="rate" dimension="none" select="peer/V"/>
      <DerivedVariable name="I" exposure="I" dimension="none" value="0"/>
      <DerivedVariable name="E" exposure="E" dimension="none" value="weight * rate"/>
    </Dynamics>
  </ComponentType>
  <ComponentType name="plasticSynapse" extends="learningSynapse" description="A synapse whose weight changes.">
    <Parameter name="onset" dimension="time"/>
    <Parameter name="pace" dimension="per_time"/>
    <Parameter name="forgetting" dimension="per_time"/>
    <Constant name="MSEC" dimension="time" value="1ms"/>
    <Requirement name="error" dimension="none"/>
    <Requirement name="gain" dimension="none"/>
    <Exposure name="change" dimension="none"/>
  </ComponentType>
  <ComponentType name="localErrorSynapse" extends="plasticSynapse" description="Descent on the error that arrives, times the gain of the neuron (local_error).">
    <Property name="weight" dimension="none" defaultValue="1"/>
    <Dynamics>
      <StateVariable name="change" exposure="change" dimension="none"/>
      <DerivedVariable name="rate" dimension="none" select="peer/V"/>
      <DerivedVariable name="I" exposure="I" dimension="none" value="(weight + change) * rate"/>
      <DerivedVariable name="E" exposure="E" dimension="none" value="0"/>
      <TimeDerivative variable="change" value="H((t - onset)/MSEC) * (pace * error * gain * rate - forgetting * (weight + change))"/>
    </Dynamics>
  </ComponentType>
  <ComponentType name="deltaSynapse" extends="plasticSynapse" description="Descent on the error that arrives (delta_rule).">
    <Property name="weight" dimension="none" defaultValue="1"/>
    <Dynamics>
      <StateVariable name="change" exposure="change" dimension="none"/>
      <DerivedVariable name="rate" dimension="none" select="peer/V"/>
      <DerivedVariable name="I" exposure="I" dimension="none" value="(weight + change) * rate"/>
      <DerivedVariable name="E" exposure="E" dimension="none" value="0"/>
      <TimeDerivative variable="change" value="H((t - onset)/MSEC) * (pace * error * rate - forgetting * (weight + change))"/>
    </Dynamics>
  </ComponentType>
</Lems>"""  # noqa: E501
_UNIT = """<ComponentType name="{name}" extends="baseCellMembPotDL" description="A rate unit; V is its rate.">
    <Parameter name="tau" dimension="time" when="leaky"/>
    <Exposure name="drive" dimension="none"/>
    <Exposure name="error" dimension="none"/>
    <Exposure name="gain" dimension="none"/>
    <Attachments name="synapses" type="learningInput"/>
    <Dynamics>
      <StateVariable name="u" dimension="none" when="leaky"/>
      <TimeDerivative variable="u" value="(drive - u)/tau" when="leaky"/>
      <DerivedVariable name="drive" exposure="drive" dimension="none" select="synapses[*]/I" reduce="add"/>
      <DerivedVariable name="error" exposure="error" dimension="none" select="synapses[*]/E" reduce="add"/>
      <DerivedVariable name="V" exposure="V" dimension="none" value="{phi}"/>
      <DerivedVariable name="gain" exposure="gain" dimension="none" value="{gain}"/>
      <OnCondition test="V .gt. 1e30"><EventOut port="spike"/></OnCondition>
    </Dynamics>
  </ComponentType>"""
