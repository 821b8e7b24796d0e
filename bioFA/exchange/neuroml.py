"""NeuroML 2 and LEMS: the part of a network that answers, on one example,
for jNeuroML and what else reads these formats.

    network.nml          populations, projections with their weights, what they are shown: valid NeuroML 2, where the
                         network spikes
    rates.xml            the same of a network of rates: NeuroML 2 has no such neurons, so they and their synapses are
                         LEMS component types
    LEMS_network.xml     the simulation: times, and what is written to spikes_<population>.dat and
                         rates_<population>.dat
    expected.npz         what must come out on the same example: `population.s` (steps, size), in jNeuroML's steps;
                         `population.r` (steps, size)
    state.h5             the annotation: description, rules, error pathways, seed and whole state, which `biofa import
                         --from neuroml` reads back
    README.md            how to run it, and how to compare (see `expected.py`)

A `lif` is PyNN's `IF_curr_exp` with `expCurrSynapse`: 1 mV is the distance of the threshold from rest, the capacitance
1 nF, so a weight w of a pathway whose source counts unit_rate as 1 becomes w / (unit_rate tau_syn tau) nA; a constant
source, whose bias passes the synapse here too, becomes one that spikes in every step.
Rate units (`static_rate`, `leaky_rate`) are written with their activation; a static unit answers within a few steps.

Where jNeuroML differs: it takes Euler steps, where `decay` = "exact" is solved exactly here; a neuron is silent for at
least a step after a spike (`tau_refrac` is written half a step short, so that it ends at a step, whatever rounding
does); and spikes pass through all layers within a step. The reference does the same for expected.npz, and every spike
agrees; within loops some spikes arrive in the same step and some in the next, and numbers agree within 5 %. Of rates
with Euler's decay the course is the same (to the single precision that jLEMS prints), but late: by two steps in the
first layer after a source, whose current begins after the first step and which itself takes one, and by one more in
each layer after it; compared at such a lag, or when settled.

A network in which time passes without a task is written whole, by `neuroml_free.py`.

Plasticity rules and error pathways have no place in NeuroML's networks. Of leaky rates they are written as LEMS
dynamics, for one training presentation (`lems_learning.py`: learning.xml, LEMS_learning.xml);
nothing reads `state.h5` but bioFA.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from bioFA.errors import NoCounterpart, UnknownName, WrongKind
from bioFA.exchange import expected, lems_learning, neuroml_free
from bioFA.exchange.base import (
    ANNOTATION,
    Exported,
    Forward,
    Imported,
    forward,
    gain,
    learning_lost,
    matrix,
    stepped,
)
from bioFA.exchange.format import Format
from bioFA.exchange.lems_learning import add_population, add_unit, ms, unit_types, write_document
from bioFA.instance import Instance, draw
from bioFA.network import Network, Node, Pathway, Population
from bioFA.neurons import NeuronModel
from bioFA.neurons.activations import ACTIVATIONS
from bioFA.neurons.counterparts import CurrentLif, RateUnit
from bioFA.runs.trained import STATE, Trained, load_trained
from bioFA.units import steps_of

Array = np.ndarray
NETWORK, TYPES, SIMULATION, EXPECTED = "network.nml", "rates.xml", "LEMS_network.xml", "expected.npz"
FORMAT = Format(
    "NeuroML 2 and LEMS for jNeuroML: the part that answers, on one example; without a task, the whole network",
    reads=True,
    mark=SIMULATION,
    holds_free=True,
    holds_delays=False,
    tools={"jNeuroML": "pyneuroml==1.3.22"},
)
NEAR, SHARE, LEARNING = 1e-6, 0.05, 1e-3
"""How near rates, relative to the largest, numbers of spikes, and changes of weights must be."""
SYNAPSES_PER_GB = 100_000
"""So many synapses need a gigabyte of Java's memory, of which pynml gives 400 MB where it is not told."""
SETTLING = 4
"""Steps that LEMS takes from one layer of static units to the output file, beside one a layer."""


def export(trained: Trained, path: Path, split: str = "test", example: int = 0) -> Exported:
    """Write the folder.

    Args:
        trained: the network.
        path: the folder to make.
        split: whose example is shown.
        example: its number.

    Raises:
        ModelError: if the part that answers holds neurons that have no words here, or there is no such example.
    """
    if trained.experiment.free:
        return neuroml_free.export(trained, path, FORMAT.requirements("jNeuroML"))
    instance = draw(trained.experiment, trained.seed)
    splits = instance.data.splits()
    split = split if split in splits else "train" if split == "test" else split
    if split not in splits or not 0 <= example < len(splits[split]):
        raise UnknownName(
            f"there is no example {example} of '{split}'. Splits:"
            f" {', '.join(f'{name} ({len(part)})' for name, part in splits.items())}."
        )
    part = forward(trained.experiment.network)
    _check(part)
    shown = _shown(instance, trained, part, split, example)
    network = _Writer(trained, part, shown)
    path.mkdir()
    written = [path / name for name in (SIMULATION, EXPECTED, STATE, "README.md")]
    if network.spiking:
        written.append(write_document(network.document(), path / NETWORK))
    else:
        written.append(write_document(network.types(), path / TYPES))
    write_document(network.simulation(), path / SIMULATION)
    answers = (
        {f"{p.name}.s": shown[f"{p.name}.s"] for p in network.sources}
        | _spikes(trained, instance, network, split, example)
        if network.spiking
        else shown
    )
    np.savez(path / EXPECTED, allow_pickle=False, **answers)
    trained.save(path / STATE)
    reason = lems_learning.refusal(trained)
    if reason is None:
        written += lems_learning.write(trained, path)
        lost = [
            f"learning but for one presentation ({lems_learning.TYPES}: feedback pathways, error units and rules as"
            f" LEMS dynamics); how to go on is kept in {STATE}, which only bioFA reads"
        ]
    else:
        lost = [*learning_lost(trained.experiment.network, STATE), f"learning as LEMS dynamics: {reason}"]
    recipe = _recipe(trained, network, answers, reason is None)
    (path / "README.md").write_text(_readme(trained, split, example, recipe), encoding="utf-8")
    lost.append(f"all examples but one ({split} {example}): NeuroML holds one simulation")
    if not network.spiking:
        lost.append(
            "rate units as NeuroML 2: it has none, so the network is written in LEMS, with component types of its own,"
            " which jNeuroML runs"
        )
    else:
        lost += _not_there(network, trained.experiment.protocol.step)
    if any(_lif(p) for p in part.populations):
        lost.append("the surrogate gain, which only plasticity reads")
    return Exported(tuple(written), tuple(lost))


def _not_there(network: _Writer, dt: float) -> list[str]:
    """What the neurons and the timing of a spiking network lose."""
    lost = ["timing: jNeuroML passes spikes through all layers within a step, where each takes one here"]
    for population in network.spiking:
        if kind := _lif(population):
            if kind.decay == "exact":
                lost.append(
                    f"exact decay of {population.name}: jNeuroML takes Euler steps, with 1 - dt/tau ="
                    f" {1 - dt / kind.tau:.6g} for exp(-dt/tau) = {np.exp(-dt / kind.tau):.6g}"
                )
            if kind.test == "reach":
                lost.append(f"the threshold test of {population.name}: IF_curr_exp has v > 1, not v >= 1")
            if steps_of(kind.refractory_period, dt) < 1:
                lost.append(
                    f"that {population.name} may spike again in the next step: an IF_curr_exp is silent for a step"
                )
    return lost


def load(path: Path) -> Imported:
    """Read a folder back, from its `state.h5`; NeuroML itself is not read.

    Raises:
        FileError: if there is none, or it is damaged.
    """
    if not (path / STATE).is_file():
        raise WrongKind(
            f"'{path}' is no folder that 'biofa export --to neuroml' wrote: it has no {STATE}. bioFA does not read"
            " NeuroML of others."
        )
    return Imported(load_trained(path / STATE))


def _check(part: Forward) -> None:
    """Refuse neurons that have no words in NeuroML, and pathways between spikes and rates."""
    for population in part.populations:
        neuron, lif, rate = population.neuron, _lif(population), _rate_unit(population)
        if neuron.shows is None and (rate is None if lif is None else lif.dendrite):
            raise NoCounterpart(
                f"population '{population.name}': NeuroML export knows rate units, and integrate-and-fire neurons"
                f" without dendrites; {neuron.family_name} has no counterpart there."
            )
        if rate is not None and not ACTIVATIONS[rate.activation].lems_rate:
            raise NoCounterpart(
                f"population '{population.name}': the activation {rate.activation} has no expression in LEMS"
                " (`lems_rate` in `bioFA.neurons.activations`). Export to another format."
            )
        if lif is not None and lif.reset != "to_value":
            raise NoCounterpart(
                f"population '{population.name}': the reset of NeuroML's integrate-and-fire neurons goes to a value;"
                " reset = 'subtract' has no counterpart."
            )
    for pathway in part.pathways:
        source, target = (
            next(p for p in part.populations if p.name == end) for end in (pathway.source, pathway.target)
        )
        if source.neuron.shows != "one" and (pathway.carries == "train") != bool(_lif(target)):
            raise NoCounterpart(
                f"pathway '{pathway.name}' carries {pathway.carries} to {target.neuron.family_name}: only spikes to"
                " lif, and rates to rate units, have words in NeuroML."
            )


def _shown(instance: Instance, trained: Trained, part: Forward, split: str, example: int) -> dict[str, Array]:
    """What every population does in one presentation of the example, by the reference:
    spikes and published rates in every step."""
    watched = [Node(p.name, v) for p in part.populations for v in ("s", "r") if v in p.neuron.publishes]
    return {
        name: course[0]
        for name, course in expected.answers(trained, instance, watched, split=split, first=example, count=1).items()
    }


class _Writer:
    """The three documents of one network on one example."""

    def __init__(self, trained: Trained, part: Forward, shown: dict[str, Array]):
        self.trained, self.part, self.shown = trained, part, shown
        self.network = trained.experiment.network
        self.protocol = trained.experiment.protocol
        self.biases = [
            p
            for p in part.pathways
            if self.network.population(p.source).neuron.shows == "one"
            and not _lif(self.network.population(p.target))
        ]
        self.projections = [p for p in part.pathways if p not in self.biases]
        tonic = [
            p for p in part.populations if p.neuron.shows == "one" and any(q.source == p.name for q in self.projections)
        ]
        # through the synapses of a lif, a spike in every step
        shown |= {f"{p.name}.s": np.ones((self.protocol.steps, p.size)) for p in tonic}
        self.populations = [p for p in part.populations if p.neuron.shows != "one" or p in tonic]
        self.spiking = [p for p in self.populations if f"{p.name}.s" in shown]
        self.sources = [p for p in self.populations if p.neuron.shows is not None]
        self.rates = [p for p in self.populations if p not in self.spiking]

    def document(self) -> ElementTree.Element:
        """The NeuroML document, in the order that its schema wants."""
        root = ElementTree.Element("neuroml", {
            "xmlns": "http://www.neuroml.org/schema/neuroml2", "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
            "xsi:schemaLocation": "http://www.neuroml.org/schema/neuroml2 https://raw.github.com/NeuroML/NeuroML2/development/Schemas/NeuroML2/NeuroML_v2.3.1.xsd",
            "id": "biofa_network",
        })
        notes = ElementTree.SubElement(root, "notes")
        notes.text = (
            f"{self.trained.experiment.name}: {self.trained.experiment.description} Written by bioFA; the annotation"
            f" '{ANNOTATION}' (description, rules, error pathways, state) is the file {STATE} beside this one."
        )
        lifs = [(p.name, kind) for p in self.populations if (kind := _lif(p))]
        for population in self.spiking:
            if population in self.sources:
                self._trains(root, population)
        for name, kind in lifs:
            values = {
                "cm": 1.0,
                "i_offset": 0.0,
                "tau_syn_E": ms(kind.tau_syn),
                "tau_syn_I": ms(kind.tau_syn),
                "v_init": 0.0,
                "tau_m": ms(kind.tau),
                "tau_refrac": ms((_refractory(kind, self.protocol.step) - 0.5) * self.protocol.step),
                "v_reset": kind.v_reset,
                "v_rest": 0.0,
                "v_thresh": 1.0,
            }
            ElementTree.SubElement(
                root,
                "IF_curr_exp",
                {"id": f"{name}_cell"} | {key: repr(value) for key, value in values.items()},
            )
        for name, kind in lifs:
            synapse = {"id": f"{name}_synapse", "tau_syn": repr(ms(kind.tau_syn))}
            ElementTree.SubElement(root, "expCurrSynapse", synapse)
        self._network(root)
        return root

    def _trains(self, root: ElementTree.Element, population: Population) -> None:
        """The spikes of a source: one spike array a neuron."""
        for neuron, train in enumerate(self.shown[f"{population.name}.s"].T):
            array = ElementTree.SubElement(root, "spikeArray", {"id": f"{population.name}_{neuron}_train"})
            for number, step in enumerate(np.flatnonzero(train)):
                ElementTree.SubElement(
                    array, "spike", {"id": str(number), "time": f"{ms((step + 0.5) * self.protocol.step)!r}ms"}
                )

    def _network(self, root: ElementTree.Element) -> None:
        network = ElementTree.SubElement(root, "network", {"id": "net"})
        for population in self.populations:
            if population in self.sources and population in self.spiking:
                for neuron in range(population.size):
                    add_population(network, f"{population.name}_{neuron}", f"{population.name}_{neuron}_train", 1)
            else:
                add_population(network, population.name, f"{population.name}_cell", population.size)
        kinds = [(pathway, _lif(self.network.population(pathway.target))) for pathway in self.projections]
        for pathway, kind in kinds:
            if kind is not None:
                self._spike_projection(network, pathway, kind)
        for pathway, kind in kinds:
            if kind is None:
                self._rate_projection(network, pathway)
        for pathway in self.biases:
            self._inputs(
                network,
                pathway.name,
                self.network.population(pathway.target),
                "one",
                matrix(self.trained, pathway).sum(axis=1),
            )
        for population in self.sources:
            if population in self.rates:
                self._inputs(
                    network, f"shown_{population.name}", population, "one", self.shown[f"{population.name}.r"][0]
                )

    def _spike_projection(self, network: ElementTree.Element, pathway: Pathway, kind: CurrentLif) -> None:
        source, target = self.network.population(pathway.source), self.network.population(pathway.target)
        weights = matrix(self.trained, pathway) / (
            _unit_rate(self.network, pathway, self.protocol.step) * kind.tau_syn * kind.tau * 1e3
        )
        single = source in self.sources
        groups: Iterable[tuple[str, str, range]] = (
            ((f"{source.name}_{n}", f"{source.name}_{n}_train", range(n, n + 1)) for n in range(source.size)) if single
            else ((source.name, f"{source.name}_cell", range(source.size)),)
        )
        for population, component, columns in groups:
            projection = ElementTree.SubElement(network, "projection", {
                "id": f"{pathway.name}_{columns[0]}" if single else pathway.name, "presynapticPopulation": population,
                "postsynapticPopulation": target.name, "synapse": f"{target.name}_synapse",
            })
            for number, (i, j) in enumerate((i, j) for i, j in np.argwhere(weights) if j in columns):
                ElementTree.SubElement(
                    projection,
                    "connectionWD",
                    {
                        "id": str(number),
                        "preCellId": f"../{population}/{0 if single else j}/{component}",
                        "postCellId": f"../{target.name}/{i}/{target.name}_cell",
                        "weight": repr(float(weights[i, j])),
                        "delay": "0ms",
                    },
                )

    def _rate_projection(self, network: ElementTree.Element, pathway: Pathway) -> None:
        weights = matrix(self.trained, pathway)
        projection = ElementTree.SubElement(network, "continuousProjection", {
            "id": pathway.name, "presynapticPopulation": pathway.source, "postsynapticPopulation": pathway.target,
        })
        for number, (i, j) in enumerate(np.argwhere(weights)):
            ElementTree.SubElement(
                projection,
                "continuousConnectionInstanceW",
                {
                    "id": str(number),
                    "preCell": f"../{pathway.source}/{j}/{pathway.source}_cell",
                    "postCell": f"../{pathway.target}/{i}/{pathway.target}_cell",
                    "preComponent": "rate_sender",
                    "postComponent": "rate_synapse",
                    "weight": repr(float(weights[i, j])),
                },
            )

    def _inputs(
        self, network: ElementTree.Element, name: str, target: Population, component: str, values: Array
    ) -> None:
        inputs = ElementTree.SubElement(
            network, "inputList", {"id": f"{name}_inputs", "population": target.name, "component": component}
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

    def loops(self, pathway: Pathway) -> bool:
        """Whether a pathway leads to its own population, or to one that comes before."""
        order = [p.name for p in self.part.populations]
        return order.index(pathway.target) <= order.index(pathway.source)

    def lags(self) -> dict[str, int]:
        """By how many steps each population of rates is later there: two for the first after a source,
        one more for each after it."""
        found: dict[str, int] = {}
        for population in self.rates:
            if population not in self.sources:
                before = [
                    found[p.source] for p in self.part.pathways if p.target == population.name and p.source in found
                ]
                found[population.name] = max(before, default=1) + 1
        return found

    def _length(self) -> float:
        """How long is simulated in ms: a presentation; of static units,
        which settle in one step here and layer after layer in LEMS, until all have."""
        steps = (
            self.protocol.shown_steps
            if not self.trained.experiment.network.is_static()
            else len(self.populations) + SETTLING
        )
        return ms(steps * self.protocol.step)

    def types(self) -> ElementTree.Element:
        """Rate units and their synapses as LEMS component types, and one component a population."""
        root = ElementTree.fromstring(_RATE_TYPES)
        units = [(population.name, _rate_unit(population) or RateUnit("linear")) for population in self.rates]
        root.extend(unit_types(ElementTree.fromstring(_UNIT), "", [unit for _, unit in units]))
        # so that the last row still sees the example
        beyond = ms(self.protocol.step) if self.trained.experiment.network.is_static() else 0.0
        length = f"{self._length() + beyond!r}ms"
        ElementTree.SubElement(
            root, "pulseGeneratorDL", {"id": "one", "delay": "0ms", "duration": length, "amplitude": "1"}
        )
        ElementTree.SubElement(root, "rateSender", {"id": "rate_sender"})
        ElementTree.SubElement(root, "rateSynapse", {"id": "rate_synapse"})
        for name, unit in units:
            add_unit(root, "", name, unit)
        self._network(root)
        return root

    def simulation(self) -> ElementTree.Element:
        """The LEMS simulation, with everything recorded."""
        root = ElementTree.Element("Lems")
        ElementTree.SubElement(root, "Target", {"component": "sim"})
        for file in (
            "Cells.xml",
            "Networks.xml",
            "Simulation.xml",
            *(("PyNN.xml", NETWORK) if self.spiking else (TYPES,)),
        ):
            ElementTree.SubElement(root, "Include", {"file": file})
        step = repr(ms(self.protocol.step))
        simulation = ElementTree.SubElement(
            root, "Simulation", {"id": "sim", "length": f"{self._length()!r}ms", "step": f"{step}ms", "target": "net"}
        )
        for population in self.populations:
            if population in self.sources:
                continue
            cells = [f"{population.name}/{i}/{population.name}_cell" for i in range(population.size)]
            if population in self.spiking:
                file = ElementTree.SubElement(
                    simulation,
                    "EventOutputFile",
                    {
                        "id": f"spikes_{population.name}",
                        "fileName": f"spikes_{population.name}.dat",
                        "format": "ID_TIME",
                    },
                )
                for i, cell in enumerate(cells):
                    ElementTree.SubElement(file, "EventSelection", {"id": str(i), "select": cell, "eventPort": "spike"})
            else:
                file = ElementTree.SubElement(
                    simulation,
                    "OutputFile",
                    {"id": f"rates_{population.name}", "fileName": f"rates_{population.name}.dat"},
                )
                for i, cell in enumerate(cells):
                    ElementTree.SubElement(
                        file, "OutputColumn", {"id": f"{population.name}_{i}", "quantity": f"{cell}/V"}
                    )
        return root


def _lif(population: Population) -> CurrentLif | None:
    """The integrate-and-fire neuron that a population is of, or None."""
    kind = population.neuron.counterpart()
    return kind if isinstance(kind, CurrentLif) else None


def _rate_unit(population: Population) -> RateUnit | None:
    """The rate unit that a population is of, or None."""
    kind = population.neuron.counterpart()
    return kind if isinstance(kind, RateUnit) else None


def _unit_rate(network: Network, pathway: Pathway, dt: float) -> float:
    """The rate in Hz that the train which a pathway carries counts as 1."""
    neuron = network.population(pathway.source).neuron
    if neuron.shows == "one":
        return 1 / dt
    try:
        return neuron.unit()
    except NotImplementedError:  # a source that spikes with a chance for each step has no rate of its own
        return 1 / (gain(network, pathway, dt) * dt)


_RATE_TYPES = """<Lems>
  <ComponentType name="rateSender" extends="baseSynapseDL" description="The presynaptic end of a rate synapse: shows the rate of its cell.">
    <Property name="weight" dimension="none" defaultValue="1"/>
    <Dynamics><DerivedVariable name="I" exposure="I" dimension="none" value="0"/></Dynamics>
  </ComponentType>
  <ComponentType name="rateSynapse" extends="baseSynapseDL" description="Adds weight times the presynaptic rate to the drive.">
    <Property name="weight" dimension="none" defaultValue="1"/>
    <InstanceRequirement name="peer" type="rateSender"/>
    <Dynamics>
      <DerivedVariable name="rate" dimension="none" select="peer/V"/>
      <DerivedVariable name="I" exposure="I" dimension="none" value="weight * rate"/>
    </Dynamics>
  </ComponentType>
</Lems>"""  # noqa: E501
_UNIT = """<ComponentType name="{name}" extends="baseCellMembPotDL" description="A rate unit; V is its rate.">
    <Parameter name="tau" dimension="time" when="leaky"/>
    <Exposure name="drive" dimension="none"/>
    <Attachments name="synapses" type="basePointCurrentDL"/>
    <Dynamics>
      <StateVariable name="u" dimension="none" when="leaky"/>
      <TimeDerivative variable="u" value="(drive - u)/tau" when="leaky"/>
      <DerivedVariable name="drive" exposure="drive" dimension="none" select="synapses[*]/I" reduce="add"/>
      <DerivedVariable name="V" exposure="V" dimension="none" value="{phi}"/>
      <OnCondition test="V .gt. 1e30"><EventOut port="spike"/></OnCondition>
    </Dynamics>
  </ComponentType>"""


_SPIKES = """import numpy as np

expected = np.load("expected.npz")
for population in @LAYERS@:
    raster = expected[f"{population}.s"]
    neurons, times = np.loadtxt(f"spikes_{population}.dat", ndmin=2).reshape(-1, 2).T
    steps, found = np.rint(times / @DT@).astype(int), np.zeros_like(raster)
    shown = steps < len(raster)
    found[steps[shown], neurons[shown].astype(int)] = 1
    print(f"{population}: {int(raster.sum())} spikes, {np.count_nonzero(found != raster)} of {raster.size} entries differ")
    assert @TEST@, population
"""  # noqa: E501
_RATES = """import numpy as np

expected = np.load("expected.npz")
for population, lag in @LAYERS@.items():  # steps by which jNeuroML is later
    answer = expected[f"{population}.r"]
    found = np.loadtxt(f"rates_{population}.dat", ndmin=2)[lag:, 1:][: len(answer)]
    difference = abs(found - answer[: len(found)]).max() / abs(answer).max()
    print(f"{population}: differs by {difference:.2g}, relative to the largest")
    assert len(found) and difference <= @NEAR@, population
"""
_SETTLED = """import numpy as np

expected = np.load("expected.npz")
for population in @LAYERS@:  # which settle, each a step after the one below it, so that the last row of a file holds the answer
    answer = expected[f"{population}.r"][0]
    difference = abs(np.loadtxt(f"rates_{population}.dat", ndmin=2)[-1, 1:] - answer).max() / abs(answer).max()
    print(f"{population}: differs by {difference:.2g}, relative to the largest")
    assert difference <= @NEAR@, population
"""  # noqa: E501
_LEARNED = """
for pathway, change in np.load("expected_learning.npz").items():  # of every weight, postsynaptic neuron by postsynaptic neuron
    difference = abs(np.loadtxt(f"weights_{pathway}.dat")[-1, 1:].reshape(change.shape) - change).max() / abs(change).max()
    print(f"{pathway}: the change of the weights differs by {difference:.2g}, relative to the largest")
    assert difference <= @LEARNING@, pathway
"""  # noqa: E501


def _as_in_lems(neuron: NeuronModel, dt: float) -> NeuronModel:
    """An IF_curr_exp as jNeuroML steps it."""
    kind = neuron.counterpart()
    if not isinstance(kind, CurrentLif):
        return neuron
    return stepped(neuron, decay="euler", test="above", refractory_period=_refractory(kind, dt) * dt)


def _refractory(neuron: CurrentLif, dt: float) -> int:
    """In how many steps a neuron is silent after a spike: at least one in LEMS."""
    return max(steps_of(neuron.refractory_period, dt), 1)


def _spikes(trained: Trained, drawn: Instance, network: _Writer, split: str, example: int) -> dict[str, Array]:
    """What jNeuroML's spikes must be, `(steps, size)`: it hands a spike on within its step,
    so that all layers but the first are earlier than here."""
    step = trained.experiment.protocol.step
    lag, late = expected.passing(network.part)
    layers = [p for p in network.spiking if p not in network.sources]
    found = expected.answers(
        trained,
        drawn,
        [expected.sends(p) for p in layers],
        lambda neuron: _as_in_lems(neuron, step),
        late,
        split,
        example,
        1,
    )
    steps = trained.experiment.protocol.shown_steps - max(lag.values())
    return {f"{p.name}.s": found[f"{p.name}.s"][0, lag[p.name] - 1 :][:steps] for p in layers}


def _recipe(trained: Trained, network: _Writer, shown: dict[str, Array], learns: bool) -> expected.Recipe:
    """How jNeuroML runs it."""
    layers = [p.name for p in (network.spiking or network.rates) if p not in network.sources]
    tolerance = f"rates within {NEAR:g} of the largest, jNeuroML printing single precision"
    if network.spiking:
        looped = any(network.loops(p) for p in network.projections)
        test, tolerance = (
            ("(found == raster).all()", "every spike in its step")
            if not looped
            else (
                f"abs(found.sum() - raster.sum()) <= max({SHARE:g} * raster.sum(), 1)",
                (
                    f"numbers of spikes within {SHARE:.0%}, since within a loop some arrive in the same step and some"
                    " in the next"
                ),
            )
        )
        script = (
            _SPIKES.replace("@LAYERS@", repr(layers))
            .replace("@TEST@", test)
            .replace("@DT@", repr(trained.experiment.protocol.step))
        )
    elif trained.experiment.network.is_static():
        script = _SETTLED.replace("@LAYERS@", repr(layers))
    else:
        script = _RATES.replace("@LAYERS@", repr(network.lags()))
    synapses = sum(np.count_nonzero(matrix(trained, p)) for p in network.projections)
    memory = f"JNML_MAX_MEMORY_LOCAL={1 + -(-synapses // SYNAPSES_PER_GB)}G " if synapses > SYNAPSES_PER_GB // 4 else ""
    commands = [f"{memory}pynml -validate {NETWORK}"] if network.spiking else []
    commands.append(f"{memory}pynml {SIMULATION} -nogui")
    if learns:
        commands.append(f"{memory}pynml {lems_learning.SIMULATION} -nogui")
        script += _LEARNED
        tolerance += f"; the change of weights in one training presentation within {LEARNING:.0%}"
    for name, value in (("@NEAR@", NEAR), ("@LEARNING@", LEARNING)):
        script = script.replace(name, f"{value:g}")
    return expected.Recipe(FORMAT.requirements("jNeuroML", "numpy"), "\n".join(commands), script, tolerance, shown)


def _readme(trained: Trained, split: str, example: int, recipe: expected.Recipe) -> str:
    experiment = trained.experiment
    return f"""# {experiment.name} in NeuroML 2 and LEMS

{experiment.description}

The part of the network that answers, on example {example} of the {split} data, as learning left it after {trained.presentations} presentations. jNeuroML writes
`spikes_POPULATION.dat` (neuron, time in s) or `rates_POPULATION.dat` (time in s, one column a neuron). `{STATE}` holds everything that NeuroML has no words for
(learning, error pathways): `biofa import FOLDER --from neuroml --out DIR` reads it back.

{expected.section(recipe)}"""  # noqa: E501
