"""SONATA (Dai et al. 2020, PLoS Comput. Biol. 16:e1007696):
a folder of nodes, edges with weights, spikes and configuration, both ways.

    circuit_config.json, simulation_config.json     what there is, and how to run it, for bmtk's PointNet and others
    nodes/<population>.h5, ..._types.csv            each population, with its model template
    edges/<pathway>.h5, ..._types.csv               each pathway as an edge population of its name, pathways of the
                                                    error too: syn_weight, delay (ms), weight
    models/, synapses/                              parameters, JSON
    inputs/<population>.h5                          what the sources sent in one presentation from rest (ms)
    run_pointnet.py                                 runs it in NEST, where bmtk is installed; spikes then stand in
                                                    output/spikes.h5
    expected.npz, README.md                         what must come out there, and how to compare (see `expected.py`)
    bioFA.h5                                        what only bioFA understands (see `base.py`): attributes,
                                                    and a group `state`; "bioFA" in the components

A `Lif` is `nest:iaf_psc_exp` with C_m = tau (pF, ms), E_L = 0, V_th = 1 (mV), so that tau dv/dt = -v + I with I in pA,
and a spike through a weight w, whose drive is w g, a jump of w g dt/tau_syn; that is `syn_weight`. `weight` is w
itself, with no unit. Sources are virtual nodes, and so are error units, which are silent there; constant sources spike
in every step. Other models have the template `bioFA:<name>`, which no simulator knows. A spike of step k has the time
(k + 1) dt. NEST adds what arrives to I after v has moved, so layer k is k steps later there; a pathway from a
population to itself takes one step more than ours, unless a `LeakyRate` with tau = dt, Euler decay and an Identity to
it holds it back for a step in ours too: such a relay is written as the delay that it is.

Folders of others are read by `sonata_circuit.py`.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from bioFA.errors import BioFAError, DamagedFile, ModelError
from bioFA.exchange import drives, expected, sonata_free
from bioFA.exchange.base import (
    ANNOTATION,
    Exported,
    Imported,
    annotated,
    annotation,
    forward,
    gain,
    learning_lost,
    matrix,
    stepped,
)
from bioFA.exchange.format import Format
from bioFA.exchange.sonata_circuit import CIRCUIT, LIF, SIMULATION, Circuit, Edges, configurations
from bioFA.exchange.sonata_spikes import stamp, write_spikes
from bioFA.instance import Instance, draw
from bioFA.modelfiles import toml
from bioFA.network import Pathway, Population
from bioFA.neurons import NeuronModel
from bioFA.neurons.counterparts import CurrentLif, RateUnit
from bioFA.runs.trained import Trained

Array = np.ndarray
FORMAT = Format(
    "nodes, edges, spikes and configuration as a SONATA folder, for NEST through bmtk",
    reads=True,
    mark=CIRCUIT,
    holds_free=True,
    holds_delays=False,
    tools={"NEST": "nest-simulator==3.10.0", "bmtk": "bmtk==1.2.0", "libsonata": "libsonata==0.2.2"},
)
NOTED = "bioFA.h5"
RUN = """import os
from pathlib import Path

from bmtk.simulator import pointnet

os.chdir(Path(__file__).resolve().parent)  # bmtk takes paths from where it runs
config = pointnet.Config.from_json("simulation_config.json")
config.build_env()
network = pointnet.PointNetwork.from_config(config)
pointnet.PointSimulator.from_config(config, network).run()
"""
_COMPARE = """import h5py
import numpy as np

for name, raster in np.load("expected.npz").items():
    found = np.zeros_like(raster)
    with h5py.File("output/spikes.h5") as file:
        if f"spikes/{name}" in file:  # which it is not where no neuron spiked
            steps = np.rint(file[f"spikes/{name}/timestamps"][()] / @DT@).astype(int) - 1
            shown = steps < len(raster)
            found[steps[shown], file[f"spikes/{name}/node_ids"][()][shown].astype(int)] = 1
    print(f"{name}: {raster.sum()} spikes, {np.count_nonzero(found != raster)} of {raster.size} entries differ")
    assert (found == raster).all(), name
"""
_LIBSONATA = """import libsonata
import numpy as np
from numpy import exp, tanh

expected, weights = dict(np.load("expected.npz")), {}
circuit = libsonata.CircuitConfig.from_file("circuit_config.json")
for name, shape in @SIZES@.items():  # no simulator has all of these neurons, so what their synapses bring is compared
    edges = circuit.edge_population(name)
    chosen, weights[name] = edges.select_all(), np.zeros(shape)
    weights[name][edges.target_nodes(chosen), edges.source_nodes(chosen)] = edges.get_attribute("weight", chosen)
"""


def export(trained: Trained, path: Path) -> Exported:
    """Write the folder.

    Raises:
        ModelError: if a pathway of the part that answers has no weights to write, or NEST has no counterpart of a
            neuron or synapse of a network in which time passes.
    """
    if trained.experiment.free:
        return sonata_free.export(trained, path, FORMAT)
    writer = _Writer(trained)
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    try:
        partial.mkdir()
        writer.network(partial)
        writer.spikes(partial)
        writer.configuration(partial)
        writer.annotation(partial)
        writer.readme(partial)
        partial.rename(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    rules = [
        sentence for sentence in learning_lost(trained.experiment.network, NOTED) if not sentence.startswith("feedback")
    ]
    companions = [place for place in (path / expected.README, path / expected.EXPECTED) if place.exists()]
    return Exported((path, *companions), (*writer.lost, *rules))


class _Writer:
    """One network, and what of it SONATA cannot say."""

    def __init__(self, trained: Trained):
        self.trained = trained
        self.circuit = trained.experiment.network
        self.dt = trained.experiment.protocol.step
        self.lost: list[str] = []
        part = forward(self.circuit)
        errors = tuple(
            p
            for p in self.circuit.pathways
            if p.port == "error" and self.circuit.population(p.target) in part.populations
        )
        self.relays = {p.name: relay for p in part.populations if (relay := self._relay(p, part.pathways))}
        self.populations = [p for p in part.populations if p.name not in self.relays]
        self.populations += [
            p for p in self.circuit.populations if p.name in {e.source for e in errors} and p not in part.populations
        ]
        self.pathways = [p for p in (*part.pathways, *errors) if p.target not in self.relays]
        self.held = [f"{p.name}.w" for p in self.pathways if f"{p.name}.w" in trained.state]
        self.inputs: list[str] = []
        self.answering, self.uncarried = part.populations, False
        for population in self.populations:
            self._note_differences(population)
        if errors:
            self.lost.append(
                f"feedback ({', '.join(p.name for p in errors)}): each stands as an edge population of its name, whose"
                " source are the error units, as virtual nodes; no simulator runs these"
            )

    def _relay(self, population: Population, pathways: tuple[Pathway, ...]) -> str | None:
        """The population whose spikes this one hands back to it a step later; None where it does anything else."""
        kind, arriving = population.neuron.counterpart(), [p for p in pathways if p.target == population.name]
        holds = (
            isinstance(kind, RateUnit)
            and kind.tau is not None
            and kind.decay == "euler"
            and kind.activation == "linear"
            and abs(kind.tau / self.dt - 1) < 1e-9
        )
        leaving = {p.target for p in self.circuit.pathways if p.source == population.name}
        if (
            holds
            and len(arriving) == 1
            and arriving[0].weights.one_to_one
            and leaving == {arriving[0].source}
            and arriving[0].carries in ("s", "train")
        ):
            return arriving[0].source
        return None

    def _note_differences(self, population: Population) -> None:
        """Note what the template of a population does not do."""
        kind, name, model = population.neuron.counterpart(), population.name, population.neuron.family_name
        if isinstance(kind, CurrentLif):
            if kind.decay == "euler":
                self.lost.append(f"Euler decay of {name}: iaf_psc_exp decays exactly")
            if kind.reset == "subtract":
                self.lost.append(f"the reset of {name}: iaf_psc_exp resets to a value")
            if kind.test == "above":
                self.lost.append(f"the threshold test of {name}: iaf_psc_exp has v >= 1, not v > 1")
            if any(p.source == name and p.target == name for p in self.pathways):
                self.lost.append(f"timing of the recurrence of {name}: in NEST it takes one step more than here")
        elif not self._virtual(population):
            self.lost.append(
                f"the neuron model of {name}: SONATA names models of simulators, and none has {model}; it"
                f" is named {ANNOTATION}:{model}"
            )

    def _virtual(self, population: Population) -> bool:
        return population.neuron.shows is not None or "target" in population.neuron.ports

    def network(self, path: Path) -> None:
        """Nodes and edges, with their types and models."""
        for folder in ("models", "synapses", "nodes", "edges"):
            (path / folder).mkdir()
        (path / "synapses" / "static.json").write_text("{}\n", encoding="utf-8")
        for number, population in enumerate(self.populations, 1):
            with h5py.File(path / "nodes" / f"{population.name}.h5", "w") as file:
                stamp(file)
                group = file.create_group(f"nodes/{population.name}")
                group["node_id"], group["node_group_index"] = (
                    np.arange(population.size, dtype=np.uint64) for _ in range(2)
                )
                group["node_type_id"] = np.full(population.size, number, dtype=np.uint32)
                group["node_group_id"] = np.zeros(population.size, dtype=np.uint32)
                group.create_group("0")
            _write_types(path / "nodes", population.name, self._node_type(population, number, path))
        for number, pathway in enumerate(self.pathways, 1):
            with h5py.File(path / "edges" / f"{pathway.name}.h5", "w") as file:
                stamp(file)
                self._edges(file.create_group(f"edges/{pathway.name}"), pathway, number)
            _write_types(
                path / "edges",
                pathway.name,
                {
                    "edge_type_id": number,
                    "pop_name": pathway.name,
                    "model_template": "static_synapse",
                    "dynamics_params": "static.json",
                },
            )

    def _node_type(self, population: Population, number: int, path: Path) -> dict[str, Any]:
        row: dict[str, Any] = {"node_type_id": number, "pop_name": population.name, "model_type": "virtual"}
        if self._virtual(population):
            return row
        neuron = population.neuron
        known = isinstance(neuron.counterpart(), CurrentLif)
        model = f"{population.name}.json"
        (path / "models" / model).write_text(json.dumps(self.parameters(population), indent=2) + "\n", encoding="utf-8")
        return row | {
            "model_type": "point_neuron",
            "model_template": LIF if known else f"{ANNOTATION}:{neuron.family_name}",
            "dynamics_params": model,
        }

    def parameters(self, population: Population) -> dict[str, Any] | None:
        """What stands in the file of a population's model; None for virtual nodes, which have none."""
        if self._virtual(population):
            return None
        kind = population.neuron.counterpart()
        if not isinstance(kind, CurrentLif):
            return dict(population.neuron.parameters())
        tau, tau_syn = 1e3 * kind.tau, 1e3 * kind.tau_syn
        return {
            "C_m": tau, "tau_m": tau, "E_L": 0.0, "V_m": 0.0, "V_th": 1.0, "V_reset": kind.v_reset, "I_e": 0.0,
            "tau_syn_ex": tau_syn, "tau_syn_in": tau_syn, "t_ref": 1e3 * kind.refractory_period,
        }

    def _edges(self, group: h5py.Group, pathway: Pathway, number: int) -> None:
        """One synapse after the other, postsynaptic neuron by postsynaptic neuron;
        of sparse pathways only those that have a weight."""
        if pathway.weights.redrawn and pathway.port == "error":
            self.lost.append(f"the weights of {pathway.name}, which are drawn anew for every presentation")
            return
        weights = matrix(self.trained, pathway)
        post, pre = (
            np.nonzero(weights)
            if pathway.sparse or pathway.weights.one_to_one
            else (axis.ravel() for axis in np.indices(weights.shape))
        )
        count = len(post)
        ends = (("source", self.relays.get(pathway.source, pathway.source), pre), ("target", pathway.target, post))
        for end, name, ids in ends:
            group[f"{end}_node_id"] = ids.astype(np.uint64)
            group[f"{end}_node_id"].attrs["node_population"] = name
        group["edge_type_id"], group["edge_group_id"] = np.full(count, number, dtype=np.uint32), np.zeros(
            count, dtype=np.uint32
        )
        group["edge_group_index"] = np.arange(count, dtype=np.uint64)
        columns = {
            "weight": weights[post, pre],
            "syn_weight": self.factor(pathway) * weights[post, pre],
            "delay": np.full(count, 1e3 * self.dt),
        }
        for name, values in columns.items():
            group[f"0/{name}"] = values

    def factor(self, pathway: Pathway) -> float:
        """`syn_weight` of a weight of 1."""
        kind = self.circuit.population(pathway.target).neuron.counterpart()
        if pathway.port != "drive" or not isinstance(kind, CurrentLif):
            return 1.0
        source = pathway
        if pathway.source in self.relays:
            source = next(p for p in self.circuit.pathways if p.target == pathway.source)
        scale = float(source.weights.parameters()["scale"]) if source is not pathway else 1.0
        try:
            return scale * gain(self.circuit, source, self.dt) * self.dt / kind.tau_syn
        except ModelError:
            self.uncarried = True
            self.lost.append(
                f"what {pathway.name} carries ({pathway.carries}): edges of SONATA carry spikes; syn_weight is the"
                " weight as it is"
            )
            return 1.0

    def spikes(self, path: Path) -> None:
        """What sources sent and neurons answered in one presentation from rest, by the NumPy reference."""
        spiking = [p for p in self.populations if "s" in p.neuron.publishes and p in self.answering]
        if not spiking:
            return
        experiment = self.trained.experiment
        try:
            instance = draw(experiment, self.trained.seed)
        except BioFAError as error:
            self.lost.append(f"spikes of a presentation: it cannot be shown ({error})")
            return
        watched = [expected.sends(p) for p in spiking]
        shown = expected.answers(self.trained, instance, watched, count=1)
        rasters = {node.population: shown[str(node)][0].astype(np.uint8) for node in watched}
        for population in self.populations:
            if population.neuron.shows == "one":
                rasters[population.name] = np.ones((experiment.protocol.steps, population.size), dtype=np.uint8)
        # not error units, whose spikes would drive somata there
        sources = [p.name for p in self.populations if p.neuron.shows is not None and p.name in rasters]
        self.inputs = sources
        (path / "inputs").mkdir()
        for name in sources:  # bmtk takes a file for that of one population
            _write_spikes(path / "inputs" / f"{name}.h5", {name: rasters[name]}, 1e3 * self.dt)
        self.lost.append(
            f"the task: inputs holds the spikes of its first {expected.split_of(instance)} example; in NEST layer k is"
            " k steps later"
        )

    def configuration(self, path: Path) -> None:
        """The two JSON files; paths are relative to the folder."""
        steps = self.trained.experiment.protocol.steps + len(self.populations) + 2

        def kinds(part: Population | Pathway) -> str:
            return "chemical" if isinstance(part, Pathway) else "virtual" if self._virtual(part) else "point_neuron"

        parts: dict[str, list[Population] | list[Pathway]] = {"nodes": self.populations, "edges": self.pathways}
        circuit = {
            "manifest": {"$BASE_DIR": "."},
            "components": {
                "point_neuron_models_dir": "$BASE_DIR/models",
                "synaptic_models_dir": "$BASE_DIR/synapses",
                ANNOTATION: f"$BASE_DIR/{NOTED}",
            },
            "networks": {
                kind: [
                    {
                        f"{kind}_file": f"$BASE_DIR/{kind}/{p.name}.h5",
                        f"{kind[:-1]}_types_file": f"$BASE_DIR/{kind}/{p.name}_types.csv",
                        "populations": {p.name: {"type": kinds(p)}},
                    }
                    for p in members
                ]
                for kind, members in parts.items()
            },
        }
        simulation = {
            "manifest": {"$BASE_DIR": "."},
            "network": f"$BASE_DIR/{CIRCUIT}",
            "target_simulator": "NEST",
            "run": {
                "tstop": round(steps * 1e3 * self.dt, 9),
                "dt": round(1e3 * self.dt, 12),
                "random_seed": self.trained.seed % 2**32,
                "precise_times": False,
            },
            "inputs": {
                name: {
                    "input_type": "spikes",
                    "module": "sonata",
                    "input_file": f"$BASE_DIR/inputs/{name}.h5",
                    "node_set": {"population": name},
                }
                for name in self.inputs
            },
            "output": {
                "output_dir": "$BASE_DIR/output",
                "spikes_file": "spikes.h5",
                "log_file": "log.txt",
                "overwrite_output_dir": True,
            },
        }
        if self.inputs:
            (path / "run_pointnet.py").write_text(RUN, encoding="utf-8")
        for name, content in ((CIRCUIT, circuit), (SIMULATION, simulation)):
            (path / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    def readme(self, path: Path) -> None:
        """How it is run, and what must come out."""
        experiment = self.trained.experiment
        recipe, missing = expected.attempt(self.trained, self._recipe)
        self.lost += missing
        text = (
            f"# {experiment.name} as a SONATA circuit\n\n{experiment.description}\n\nAfter {self.trained.presentations}"
            " presentations. `biofa import FOLDER --from sonata --out DIR` reads it back.\n"
        )
        if recipe is not None:
            text += f"\n{expected.section(recipe)}"
            expected.save(path / expected.EXPECTED, recipe)
        (path / expected.README).write_text(text, encoding="utf-8")

    def _recipe(self, drawn: Instance) -> expected.Recipe:
        """NEST, where it has all neurons; else what the weights bring each population, as libsonata reads them."""
        neurons = [p for p in self.populations if not self._virtual(p) and p in self.answering]
        known = all(isinstance(p.neuron.counterpart(), CurrentLif) for p in neurons)
        if not self.inputs or not known or self.uncarried:
            opening = _LIBSONATA.replace(
                "@SIZES@",
                repr({
                    p.name: self.circuit.shape(p)
                    for p in self.pathways
                    if p.port == "drive" and f"{p.name}.w" in self.trained.state
                }),
            )
            programs = FORMAT.requirements("libsonata", "numpy")
            return drives.recipe(
                self.trained, drawn, programs, opening, lambda pathway: f'weights["{pathway.name}"]'
            )
        late = {
            p.name: 1
            for p in forward(self.circuit).pathways
            if p.source not in self.relays and p.target not in self.relays
        }
        found = expected.answers(self.trained, drawn, [expected.sends(p) for p in neurons], _as_in_nest, late, count=1)
        arrays = {p.name: found[str(expected.sends(p))][0].astype(np.uint8) for p in neurons}
        return expected.Recipe(
            FORMAT.requirements("NEST", "bmtk", "numpy", "h5py"),
            "python run_pointnet.py",
            _COMPARE.replace("@DT@", f"{round(1e3 * self.dt, 12)!r}"),
            "every spike in its step, spikes of step k having the time (k + 1) dt",
            arrays,
        )

    def annotation(self, path: Path) -> None:
        """What only bioFA understands; weights stand with the edges."""
        noted = annotation(self.trained, self.held)
        with h5py.File(path / NOTED, "w") as file:
            file.attrs.update({name: value for name, value in noted.items() if name != "state"})
            state = file.create_group("state")
            for name, array in noted["state"].items():
                state.create_dataset(name, data=array)


def _as_in_nest(neuron: NeuronModel) -> NeuronModel:
    """A neuron as iaf_psc_exp is."""
    known = isinstance(neuron.counterpart(), CurrentLif)
    return stepped(neuron, decay="exact", reset="to_value", test="reach") if known else neuron


def _write_types(folder: Path, name: str, row: Mapping[str, Any]) -> None:
    import pandas as pd  # late, since it takes a third of a second

    pd.DataFrame([row]).to_csv(folder / f"{name}_types.csv", sep=" ", index=False)


def _write_spikes(path: Path, rasters: Mapping[str, Array], dt: float) -> None:
    """Spikes `(steps, size)` by population, in ms, in the order of their times."""
    with h5py.File(path, "w") as file:
        stamp(file)
        for name, raster in rasters.items():
            steps, neurons = np.nonzero(raster)
            write_spikes(file, name, neurons, np.round((steps + 1) * dt, 12))


def load(path: Path) -> Imported:
    """Read a folder that bioFA wrote, or one of others with virtual sources and iaf_psc_exp neurons.

    Args:
        path: the folder, or its circuit configuration, or a `config.json` that names the two configurations.

    Raises:
        FileError: if a file is missing or damaged.
        ModelError: if a node type is nothing that bioFA can describe.
    """
    try:
        circuit = Circuit(*configurations(path))
        if circuit.noted is None:
            return circuit.network()
        with h5py.File(circuit.noted, "r") as file:
            content = dict(file.attrs) | {"state": {name: array[()] for name, array in file["state"].items()}}
    except (OSError, KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise DamagedFile(
            f"'{path}' is not a whole SONATA circuit ({type(error).__name__}: {error}). Give the folder that holds"
            f" {CIRCUIT}."
        ) from None
    if _passes(content):
        return sonata_free.read(circuit, content)
    return _annotated(circuit, content)


def _passes(noted: Mapping[str, Any]) -> bool:
    """Whether an annotation is of a network in which time passes, as far as it can be read."""
    try:
        return toml.loads(str(noted["experiment"])).free
    except (KeyError, ModelError):
        return False  # which is told by who reads it


def _annotated(circuit: Circuit, noted: Mapping[str, Any]) -> Imported:
    """The network of the annotation, with its weights from the edges; what else was changed since is named."""
    trained = annotated(noted, {}, circuit.configuration)
    writer = _Writer(trained)
    state, lost = dict(trained.state), [*circuit.lost, *_changed(circuit, writer)]
    for pathway in writer.pathways:
        if f"{pathway.name}.w" not in writer.held and not (pathway.weights.owns and not pathway.weights.one_to_one):
            continue
        if pathway.weights.redrawn:
            continue
        edges = circuit.edges.get(pathway.name)
        if edges is None or not {"weight", "syn_weight"} <= set(edges.values):
            raise DamagedFile(
                f"'{circuit.configuration}' is no longer the circuit that its annotation '{ANNOTATION}' describes: it"
                f" lacks the edges {pathway.name}."
            )
        weights, shape = np.zeros(writer.circuit.shape(pathway)), writer.circuit.shape(pathway)
        at = (edges.post, edges.pre)
        if any(len(ids) and (ids.min() < 0 or ids.max() >= size) for ids, size in zip(at, shape, strict=True)):
            raise DamagedFile(
                f"'{circuit.configuration}': the edges {pathway.name} must have weights of shape {shape}; a node is"
                " beyond that. They were changed after bioFA wrote them."
            )
        values, factor = edges.values["weight"], writer.factor(pathway)
        altered = edges.values["syn_weight"] != factor * values
        if altered.any():
            values = np.where(altered, edges.values["syn_weight"] / factor, values)
            lost.append(
                f"the weights that bioFA had noted for {pathway.name}: syn_weight of {np.count_nonzero(altered)} edges"
                " was changed after it was written, and is taken"
            )
        weights[at] = values
        state[f"{pathway.name}.w"] = weights
    return Imported(replace(trained, state=state), tuple(lost))


def _changed(circuit: Circuit, writer: _Writer) -> list[str]:
    """What stands in the folder that bioFA did not write: the annotation, or the default, is taken in its place."""
    kept, ledger = "was changed after it was written; what bioFA had noted is taken", circuit.ledger
    found: list[str] = []
    for population in writer.populations:
        written = writer.parameters(population)
        file = f"{population.name}.json"
        if population.name not in circuit.nodes or written is None:
            continue
        given = circuit.parameters("point_neuron_models_dir", file) or {}
        found += [
            f"parameters of '{population.name}' ({file}): {key} {kept}"
            for key in sorted({*given, *written})
            if given.get(key) != written.get(key)
        ]
    for pathway in writer.pathways:
        edges = circuit.edges.get(pathway.name, Edges())
        delays = edges.values.get("delay", np.zeros(0))
        if count := int(np.sum(np.round(delays, 9) != round(1e3 * writer.dt, 9))):
            found.append(f"edges '{pathway.name}': delay ({count} values) {kept}")
        if edges.synapses:
            found.append(f"edges '{pathway.name}': model_template ({', '.join(edges.synapses)}) {kept}")
    for kind, names in (("nodes", circuit.nodes), ("edges", circuit.edges)):
        for name in names:
            ledger.take(f"{kind} '{name}'", "pop_name", "model_type", "model_template", "dynamics_params")
            ledger.take(f"{kind} '{name}', each", "weight", "syn_weight", "delay")
        ledger.take(f"networks.{kind} of the circuit", "populations")
    ledger.take("components of the circuit", "point_neuron_models_dir", "synaptic_models_dir", ANNOTATION)
    return [*found, *ledger.rest()]
