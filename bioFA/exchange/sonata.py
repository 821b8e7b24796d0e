"""SONATA (Dai et al. 2020, PLoS Comput. Biol. 16:e1007696): a folder of nodes, edges with weights, spikes and configuration, both ways.

    circuit_config.json, simulation_config.json     what there is, and how to run it, for bmtk's PointNet and others
    nodes/<population>.h5, ..._types.csv            each population, with its model template
    edges/<pathway>.h5, ..._types.csv               each pathway as an edge population of its name, pathways of the error too: syn_weight, delay (ms), weight
    models/, synapses/                              parameters, JSON
    inputs/<population>.h5, expected_spikes.h5      what the sources sent in one presentation from rest, and what our neurons answered (ms)
    run_pointnet.py                                 runs it in NEST, where bmtk is installed; spikes then stand in output/spikes.h5
    bioFA.h5                                        what only bioFA understands (see `base.py`): attributes, and a group `state`; "bioFA" in the components

A `Lif` is `nest:iaf_psc_exp` with C_m = tau (pF, ms), E_L = 0, V_th = 1 (mV), so that tau dv/dt = -v + I with I in pA, and a spike through
a weight w, whose drive is w g, a jump of w g dt/tau_syn; that is `syn_weight`. `weight` is w itself, with no unit. Sources are
virtual nodes, and so are error units, which are silent there; constant sources spike in every step. Other models have the template `bioFA:<name>`,
which no simulator knows. A spike of step k has the time (k + 1) dt. NEST adds what arrives to I after v has moved, so layer k is k steps
later there; a pathway from a population to itself takes one step more than ours, unless a `LeakyRate` with tau = dt, Euler
decay and an Identity to it holds it back for a step in ours too: such a relay is written as the delay that it is.

Folders of others are read where their neurons are iaf_psc_exp and their sources virtual; several node types of a population become several populations. A `config.json` that names
the two configurations is followed. Columns, attributes and parameters that are not used are told by their names.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from bioFA.errors import BioFAError, DamagedFile, MissingField, MissingSignal, ModelError, NoCounterpart
from bioFA.exchange.base import (
    ANNOTATION,
    Exported,
    Imported,
    Ledger,
    annotated,
    annotation,
    described,
    forward,
    gain,
    learning_lost,
    matrix,
)
from bioFA.experiment import Protocol
from bioFA.expressions import RESERVED
from bioFA.foreign import inspect
from bioFA.instance import draw
from bioFA.network import Pathway, Population
from bioFA.neurons.constant_source import ConstantSource
from bioFA.neurons.leaky_rate import LeakyRate
from bioFA.neurons.lif import Lif
from bioFA.neurons.poisson_source import PoissonSource
from bioFA.reference import Reference
from bioFA.trained import Trained
from bioFA.weights import Redrawn, Values

Array = np.ndarray
MASTER = "config.json"
"""Names the circuit's configuration and the simulation's, in the examples of SONATA."""
CIRCUIT, SIMULATION, NOTED = "circuit_config.json", "simulation_config.json", "bioFA.h5"
RUN = """import os
from pathlib import Path

from bmtk.simulator import pointnet

os.chdir(Path(__file__).resolve().parent)  # bmtk takes paths from where it runs
config = pointnet.Config.from_json("simulation_config.json")
config.build_env()
network = pointnet.PointNetwork.from_config(config)
pointnet.PointSimulator.from_config(config, network).run()
"""
MAGIC, VERSION = 0x0A7A, (0, 1)
LIF = "nest:iaf_psc_exp"
STATIC = "static_synapse"
DEFAULTS = {"C_m": 250.0, "tau_m": 10.0, "E_L": -70.0, "V_th": -55.0, "V_reset": -70.0, "tau_syn_ex": 2.0, "tau_syn_in": 2.0, "t_ref": 2.0, "I_e": 0.0}
"""NEST's own for iaf_psc_exp, in pF, ms, mV and pA."""
PLACEHOLDER_STEPS = 100
"""Steps of a presentation of a network that was read, until its user says otherwise."""


def export(trained: Trained, path: Path) -> Exported:
    """Write the folder.

    Raises:
        ModelError: if a pathway of the part that answers has no weights to write.
    """
    writer = _Writer(trained)
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    try:
        partial.mkdir()
        writer.network(partial)
        writer.spikes(partial)
        writer.configuration(partial)
        writer.annotation(partial)
        partial.rename(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    rules = [sentence for sentence in learning_lost(trained.experiment.network, NOTED) if not sentence.startswith("feedback")]
    return Exported((path,), (*writer.lost, *rules))


class _Writer:
    """One network, and what of it SONATA cannot say."""

    def __init__(self, trained: Trained):
        self.trained = trained
        self.circuit = trained.experiment.network
        self.dt = trained.experiment.protocol.step
        self.lost: list[str] = []
        part = forward(self.circuit)
        errors = tuple(p for p in self.circuit.pathways if p.port == "error" and self.circuit.population(p.target) in part.populations)
        self.relays = {p.name: relay for p in part.populations if (relay := self._relay(p, part.pathways))}
        self.populations = [p for p in part.populations if p.name not in self.relays]
        self.populations += [p for p in self.circuit.populations if p.name in {e.source for e in errors} and p not in part.populations]
        self.pathways = [p for p in (*part.pathways, *errors) if p.target not in self.relays]
        self.held = [f"{p.name}.w" for p in self.pathways if f"{p.name}.w" in trained.state]
        self.inputs: list[str] = []
        for population in self.populations:
            self._tell(population)
        if errors:
            self.lost.append(
                f"feedback ({', '.join(p.name for p in errors)}): each stands as an edge population of its name, whose source are the error units, as virtual nodes; "
                "no simulator runs these"
            )

    def _relay(self, population: Population, pathways: tuple[Pathway, ...]) -> str | None:
        """The population whose spikes this one hands back to it a step later; None where it does anything else."""
        neuron, arriving = population.neuron, [p for p in pathways if p.target == population.name]
        holds = isinstance(neuron, LeakyRate) and neuron.decay == "euler" and neuron.activation == "linear" and abs(neuron.tau / self.dt - 1) < 1e-9
        leaving = {p.target for p in self.circuit.pathways if p.source == population.name}
        if holds and len(arriving) == 1 and arriving[0].weights.one_to_one and leaving == {arriving[0].source} and arriving[0].carries in ("s", "train"):
            return arriving[0].source
        return None

    def _tell(self, population: Population) -> None:
        """What the template of a population does not do."""
        neuron, name = population.neuron, population.name
        if isinstance(neuron, Lif):
            if neuron.decay == "euler":
                self.lost.append(f"Euler decay of {name}: iaf_psc_exp decays exactly")
            if neuron.reset == "subtract":
                self.lost.append(f"the reset of {name}: iaf_psc_exp resets to a value")
            if neuron.test == "above":
                self.lost.append(f"the threshold test of {name}: iaf_psc_exp has v >= 1, not v > 1")
            if any(p.source == name and p.target == name for p in self.pathways):
                self.lost.append(f"timing of the recurrence of {name}: in NEST it takes one step more than here")
        elif not self._virtual(population):
            self.lost.append(f"the neuron model of {name}: SONATA names models of simulators, and none has {neuron.family_name}; it is named {ANNOTATION}:{neuron.family_name}")

    def _virtual(self, population: Population) -> bool:
        return population.neuron.shows is not None or "target" in population.neuron.ports

    def network(self, path: Path) -> None:
        """Nodes and edges, with their types and models."""
        for folder in ("models", "synapses", "nodes", "edges"):
            (path / folder).mkdir()
        (path / "synapses" / "static.json").write_text("{}\n", encoding="utf-8")
        for number, population in enumerate(self.populations, 1):
            with h5py.File(path / "nodes" / f"{population.name}.h5", "w") as file:
                _stamp(file)
                group = file.create_group(f"nodes/{population.name}")
                group["node_id"], group["node_group_index"] = (np.arange(population.size, dtype=np.uint64) for _ in range(2))
                group["node_type_id"] = np.full(population.size, number, dtype=np.uint32)
                group["node_group_id"] = np.zeros(population.size, dtype=np.uint32)
                group.create_group("0")
            _write_types(path / "nodes", population.name, self._node_type(population, number, path))
        for number, pathway in enumerate(self.pathways, 1):
            with h5py.File(path / "edges" / f"{pathway.name}.h5", "w") as file:
                _stamp(file)
                self._edges(file.create_group(f"edges/{pathway.name}"), pathway, number)
            _write_types(path / "edges", pathway.name, {"edge_type_id": number, "pop_name": pathway.name, "model_template": "static_synapse", "dynamics_params": "static.json"})

    def _node_type(self, population: Population, number: int, path: Path) -> dict[str, Any]:
        row: dict[str, Any] = {"node_type_id": number, "pop_name": population.name, "model_type": "virtual"}
        if self._virtual(population):
            return row
        neuron = population.neuron
        model = f"{population.name}.json"
        if isinstance(neuron, Lif):
            tau, tau_syn = 1e3 * neuron.tau, 1e3 * neuron.tau_syn
            parameters = {
                "C_m": tau, "tau_m": tau, "E_L": 0.0, "V_m": 0.0, "V_th": 1.0, "V_reset": neuron.v_reset, "I_e": 0.0,
                "tau_syn_ex": tau_syn, "tau_syn_in": tau_syn, "t_ref": 1e3 * neuron.refractory_period,
            }
        else:
            parameters = neuron.parameters()
        (path / "models" / model).write_text(json.dumps(parameters, indent=2) + "\n", encoding="utf-8")
        return row | {"model_type": "point_neuron", "model_template": LIF if isinstance(neuron, Lif) else f"{ANNOTATION}:{neuron.family_name}", "dynamics_params": model}

    def _edges(self, group: h5py.Group, pathway: Pathway, number: int) -> None:
        """One synapse after the other, postsynaptic neuron by postsynaptic neuron; of sparse pathways only those that have a weight."""
        if isinstance(pathway.weights, Redrawn) and pathway.port == "error":
            self.lost.append(f"the weights of {pathway.name}, which are drawn anew for every presentation")
            return
        weights = matrix(self.trained, pathway)
        post, pre = np.nonzero(weights) if pathway.sparse or pathway.weights.one_to_one else (axis.ravel() for axis in np.indices(weights.shape))
        count = len(post)
        ends = (("source", self.relays.get(pathway.source, pathway.source), pre), ("target", pathway.target, post))
        for end, name, ids in ends:
            group[f"{end}_node_id"] = ids.astype(np.uint64)
            group[f"{end}_node_id"].attrs["node_population"] = name
        group["edge_type_id"], group["edge_group_id"] = np.full(count, number, dtype=np.uint32), np.zeros(count, dtype=np.uint32)
        group["edge_group_index"] = np.arange(count, dtype=np.uint64)
        columns = {"weight": weights[post, pre], "syn_weight": self.factor(pathway) * weights[post, pre], "delay": np.full(count, 1e3 * self.dt)}
        for name, values in columns.items():
            group[f"0/{name}"] = values

    def factor(self, pathway: Pathway) -> float:
        """`syn_weight` of a weight of 1."""
        neuron = self.circuit.population(pathway.target).neuron
        if pathway.port != "drive" or not isinstance(neuron, Lif):
            return 1.0
        source = pathway
        if pathway.source in self.relays:
            source = next(p for p in self.circuit.pathways if p.target == pathway.source)
        scale = float(getattr(source.weights, "scale", 1.0)) if source is not pathway else 1.0
        try:
            return scale * gain(self.circuit, source, self.dt) * self.dt / neuron.tau_syn
        except ModelError:
            self.lost.append(f"what {pathway.name} carries ({pathway.carries}): edges of SONATA carry spikes; syn_weight is the weight as it is")
            return 1.0

    def spikes(self, path: Path) -> None:
        """What sources sent and neurons answered in one presentation from rest, by the NumPy reference."""
        spiking = [p for p in self.populations if "s" in p.neuron.publishes]
        if not spiking:
            return
        experiment = self.trained.experiment
        try:
            instance = draw(experiment, self.trained.seed)
        except BioFAError as error:
            self.lost.append(f"spikes of a presentation: it cannot be shown ({error})")
            return
        split = next(name for name in ("test", "validation", "train") if name in instance.data.splits())
        feed = instance.evaluation(split)
        feed = replace(feed, presentations=1, rows={name: rows[:1] for name, rows in feed.rows.items()})
        state = {name: self.trained.state[name] if name.endswith(".w") else array for name, array in instance.state.items()}
        rasters = {name: raster[0] for name, raster in Reference(instance).segment(state, feed, learning=False, rasters=True).rasters.items()}
        for population in self.populations:
            if population.neuron.shows == "one":
                rasters[population.name] = np.ones((experiment.protocol.steps, population.size), dtype=np.uint8)
        sources = [p.name for p in self.populations if self._virtual(p) and p.name in rasters]
        self.inputs = sources
        (path / "inputs").mkdir()
        for name in sources:  # bmtk takes a file for that of one population
            _write_spikes(path / "inputs" / f"{name}.h5", {name: rasters[name]}, 1e3 * self.dt)
        _write_spikes(path / "expected_spikes.h5", {p.name: rasters[p.name] for p in spiking if p.name not in sources}, 1e3 * self.dt)
        self.lost.append(f"the task: inputs holds the spikes of its first {split} example, expected_spikes.h5 what our neurons answered; in NEST layer k is k steps later")

    def configuration(self, path: Path) -> None:
        """The two JSON files; paths are relative to the folder."""
        steps = self.trained.experiment.protocol.steps + len(self.populations) + 2

        def kinds(part: Population | Pathway) -> str:
            return "chemical" if isinstance(part, Pathway) else "virtual" if self._virtual(part) else "point_neuron"

        parts: dict[str, list[Population] | list[Pathway]] = {"nodes": self.populations, "edges": self.pathways}
        circuit = {
            "manifest": {"$BASE_DIR": "."},
            "components": {"point_neuron_models_dir": "$BASE_DIR/models", "synaptic_models_dir": "$BASE_DIR/synapses", ANNOTATION: f"$BASE_DIR/{NOTED}"},
            "networks": {
                kind: [
                    {f"{kind}_file": f"$BASE_DIR/{kind}/{p.name}.h5", f"{kind[:-1]}_types_file": f"$BASE_DIR/{kind}/{p.name}_types.csv", "populations": {p.name: {"type": kinds(p)}}}
                    for p in members
                ]
                for kind, members in parts.items()
            },
        }
        simulation = {
            "manifest": {"$BASE_DIR": "."},
            "network": f"$BASE_DIR/{CIRCUIT}",
            "target_simulator": "NEST",
            "run": {"tstop": round(steps * 1e3 * self.dt, 9), "dt": round(1e3 * self.dt, 12), "random_seed": self.trained.seed % 2**32, "precise_times": False},
            "inputs": {
                name: {"input_type": "spikes", "module": "sonata", "input_file": f"$BASE_DIR/inputs/{name}.h5", "node_set": {"population": name}} for name in self.inputs
            },
            "output": {"output_dir": "$BASE_DIR/output", "spikes_file": "spikes.h5", "log_file": "log.txt", "overwrite_output_dir": True},
        }
        if self.inputs:
            (path / "run_pointnet.py").write_text(RUN, encoding="utf-8")
        for name, content in ((CIRCUIT, circuit), (SIMULATION, simulation)):
            (path / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    def annotation(self, path: Path) -> None:
        """What only bioFA understands; weights stand with the edges."""
        noted = annotation(self.trained, self.held)
        with h5py.File(path / NOTED, "w") as file:
            file.attrs.update({name: value for name, value in noted.items() if name != "state"})
            state = file.create_group("state")
            for name, array in noted["state"].items():
                state.create_dataset(name, data=array)


def _write_types(folder: Path, name: str, row: Mapping[str, Any]) -> None:
    pd.DataFrame([row]).to_csv(folder / f"{name}_types.csv", sep=" ", index=False)


def _stamp(file: h5py.File) -> None:
    file.attrs["magic"] = np.uint32(MAGIC)
    file.attrs["version"] = np.array(VERSION, dtype=np.uint32)


def _write_spikes(path: Path, rasters: Mapping[str, Array], dt: float) -> None:
    """Spikes `(steps, size)` by population, in ms, in the order of their times."""
    with h5py.File(path, "w") as file:
        _stamp(file)
        for name, raster in rasters.items():
            steps, neurons = np.nonzero(raster)
            group = file.create_group(f"spikes/{name}")
            group.attrs.create("sorting", 2, dtype=h5py.enum_dtype({"none": 0, "by_id": 1, "by_time": 2}, basetype="u1"))
            group["node_ids"] = neurons.astype(np.uint64)
            group["timestamps"] = np.round((steps + 1) * dt, 12)
            group["timestamps"].attrs["units"] = "ms"


def load(path: Path) -> Imported:
    """Read a folder that bioFA wrote, or one of others with virtual sources and iaf_psc_exp neurons.

    Args:
        path: the folder, or its circuit configuration.

    Raises:
        FileError: if a file is missing or damaged.
        ModelError: if a node type is nothing that bioFA can describe.
    """
    try:
        configuration, simulation = _configurations(path)
        circuit, base = _resolved(configuration), configuration.parent
        nodes = [_typed(entry, "nodes", base) for entry in circuit["networks"]["nodes"]]
        edges = [_typed(entry, "edges", base) for entry in circuit["networks"].get("edges", [])]
        noted = circuit.get("components", {}).get(ANNOTATION)
        inspect(*(file for file, _ in (*nodes, *edges)), *([] if noted is None else [base / noted]))
        folder = _Folder(configuration, circuit, nodes, edges, simulation)
        if noted is None:
            return folder.network()
        with h5py.File(base / noted, "r") as file:
            content = dict(file.attrs) | {"state": {name: array[()] for name, array in file["state"].items()}}
    except (OSError, KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise DamagedFile(f"'{path}' is not a whole SONATA circuit ({type(error).__name__}: {error}). Give the folder that holds {CIRCUIT}.") from None
    return folder.annotated(content)


def _configurations(path: Path) -> tuple[Path, Path]:
    """The circuit's configuration and the simulation's: by their usual names in a folder, or as a master configuration names them."""
    configuration = path if path.is_file() else next((path / name for name in (CIRCUIT, MASTER) if (path / name).is_file()), path / CIRCUIT)
    named = _resolved(configuration)
    if "networks" in named or "network" not in named:
        return configuration, configuration.parent / SIMULATION
    circuit, simulation = (configuration.parent / str(named.get(name, usual)) for name, usual in (("network", CIRCUIT), ("simulation", SIMULATION)))
    return circuit, simulation


def _resolved(configuration: Path) -> dict[str, Any]:
    """A configuration with the variables of its manifest put in."""
    content = json.loads(configuration.read_text(encoding="utf-8"))
    manifest = {name.strip("${}"): text for name, text in content.pop("manifest", {}).items()} | {"configdir": str(configuration.parent.absolute())}

    def put_in(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: put_in(part) for key, part in value.items()}
        if isinstance(value, list):
            return [put_in(part) for part in value]
        if isinstance(value, str):
            for _ in manifest:  # a variable may stand in another
                value = re.sub(r"\$\{?(\w+)\}?", lambda found: manifest.get(found[1], found[0]), value)
        return value

    return dict(put_in(content))


def _typed(entry: Mapping[str, Any], kind: str, base: Path) -> tuple[Path, pd.DataFrame]:
    """A file of nodes or edges, and its types by id."""
    name = entry.get(f"{kind[:-1]}_types_file")
    types = pd.read_csv(base / name, sep=r"\s+", na_values=["NULL"], keep_default_na=False) if name else pd.DataFrame({f"{kind[:-1]}_type_id": []})
    return base / entry[f"{kind}_file"], types.set_index(f"{kind[:-1]}_type_id")


@dataclass
class _Cells:
    """The neurons of one node type of one population, and which population of ours they become: its name, and the first of theirs there."""

    name: str
    first: int
    ids: Array
    row: pd.Series
    scale: float = 1.0
    """The weight here of a `syn_weight` of 1 that arrives."""
    tonic: float = 0.0
    into: list[str] = field(default_factory=list)


class _Folder:
    """A circuit as it stands on disk."""

    def __init__(
        self, configuration: Path, circuit: Mapping[str, Any], nodes: list[tuple[Path, pd.DataFrame]], edges: list[tuple[Path, pd.DataFrame]], simulation: Path
    ):
        self.configuration, self.circuit, self.simulation = configuration, circuit, simulation
        self.ledger, self.synapses = Ledger(), dict[str, tuple[str, ...]]()
        self.node_types: dict[tuple[str, int], pd.Series] = {}
        self.nodes: dict[str, tuple[Array, Array]] = {}
        for path, types in nodes:
            with h5py.File(path, "r") as file:
                for name, group in file["nodes"].items():
                    of = group["node_type_id"][()]
                    self._hold(f"nodes '{name}'", group, types)
                    self.ledger.take(f"nodes '{name}'", "model_type", "model_template", "dynamics_params", *DEFAULTS)
                    if unknown := sorted(set(map(int, np.unique(of))) - set(map(int, types.index))):
                        raise NoCounterpart(
                            f"'{configuration}': the nodes '{name}' have the type {unknown[0]}, of which no node_types_file says anything: bioFA reads model_type and model_template there. "
                            "Name a node_types_file for them in the circuit's configuration."
                        )
                    self.nodes[name] = (group["node_id"][()] if "node_id" in group else np.arange(len(of)), of)
                    self.node_types |= {(name, int(number)): types.loc[int(number)] for number in np.unique(of)}
        self.edges: dict[str, dict[str, Any]] = {}
        for path, types in edges:
            with h5py.File(path, "r") as file:
                for name, group in file["edges"].items():
                    self.edges[name] = _edges_of(group, types) if "source_node_id" in group else {}
                    self._hold(f"edges '{name}'", group, types)
                    self.ledger.take(f"edges '{name}'", "syn_weight", "weight", "delay", "nsyns", "model_template")
                    templates = types["model_template"].reindex(np.unique(group["edge_type_id"][()])) if "model_template" in types.columns and "edge_type_id" in group else []
                    self.synapses[name] = tuple(sorted({str(template) for template in templates if pd.notna(template)} - {STATIC}))

    def _hold(self, place: str, group: h5py.Group, types: pd.DataFrame) -> None:
        """Note what the types and the attributes of single nodes or edges hold."""
        self.ledger.holds(place, {str(name): int(types[name].notna().sum()) for name in types.columns})
        for number, inner in group.items():
            if isinstance(inner, h5py.Group) and number.isdigit():
                inner.visititems(lambda name, part: self.ledger.holds(f"{place}, each", {name: int(np.prod(part.shape))}) if isinstance(part, h5py.Dataset) else None)
        self.ledger.take(f"{place}, each", "syn_weight", "weight", "delay", "nsyns") if place.startswith("edges") else None

    def annotated(self, noted: Mapping[str, Any]) -> Imported:
        """The network of the annotation, with its weights from the edges."""
        trained = annotated(noted, {}, self.configuration)
        writer = _Writer(trained)
        state, lost = dict(trained.state), []
        for pathway in writer.pathways:
            if f"{pathway.name}.w" not in writer.held and not (pathway.weights.owns and not pathway.weights.one_to_one):
                continue
            if isinstance(pathway.weights, Redrawn):
                continue
            table = self.edges.get(pathway.name)
            if not table or "weight" not in table:
                raise DamagedFile(f"'{self.configuration}' is no longer the circuit that its annotation '{ANNOTATION}' describes: it lacks the edges {pathway.name}.")
            weights, shape = np.zeros(writer.circuit.shape(pathway)), writer.circuit.shape(pathway)
            at = (table["target"].astype(int), table["source"].astype(int))
            if any(len(ids) and ids.max() >= size for ids, size in zip(at, shape, strict=True)):
                raise DamagedFile(f"'{self.configuration}': the edges {pathway.name} must have weights of shape {shape}; a node is beyond that. They were changed after bioFA wrote them.")
            values, factor = table["weight"], writer.factor(pathway)
            altered = table["syn_weight"] != factor * values
            if altered.any():
                values = np.where(altered, table["syn_weight"] / factor, values)
                lost.append(f"the weights that bioFA had noted for {pathway.name}: syn_weight of {np.count_nonzero(altered)} edges was changed after it was written, and is taken")
            weights[at] = values
            state[f"{pathway.name}.w"] = weights
        return Imported(replace(trained, state=state), tuple(lost))

    def network(self) -> Imported:
        """A network of others."""
        lost: list[str] = []
        dt, told = self._dt()
        lost += told
        cells, populations = self._cells(dt)
        size = sum(len(c.ids) for c in cells.values() if c.name == "input")
        if not size:
            raise MissingSignal(f"'{self.configuration}': no population is virtual, so nothing feeds the network, and bioFA would have nothing to show it.")
        source = Population(name="input", size=size, neuron=PoissonSource())
        sizes = {p.name: p.size for p in (source, *populations)}
        weights: dict[tuple[str, str], Array] = {}
        delays = set()
        unit = PoissonSource().max_rate
        for name, table in self.edges.items():
            if not table:
                continue
            if "syn_weight" not in table:
                raise MissingField(f"'{self.configuration}': the edges {name} have no syn_weight, neither each nor by type.")
            delays |= set(np.unique(table.get("delay", np.array([1e3 * dt]))))
            if "delay" not in table:
                lost.append(f"the delay of the edges {name}, which give none: NEST takes 1 ms, and here every spike arrives in the next step, {1e3 * dt:g} ms later")
            if self.synapses[name]:
                lost.append(f"the synapses of the edges {name} ({', '.join(self.synapses[name])}): static weights are put in their place")
            for pre in (c for key, c in cells.items() if key[0] == table["source_population"]):
                for post in (c for key, c in cells.items() if key[0] == table["target_population"]):
                    chosen = np.isin(table["source"], pre.ids) & np.isin(table["target"], post.ids)
                    if not chosen.any():
                        continue
                    if post.name == "input":
                        raise NoCounterpart(f"'{self.configuration}': the edges {name} lead to virtual nodes.")
                    key = (pre.name, post.name)
                    weights.setdefault(key, np.zeros((sizes[post.name], sizes[pre.name])))
                    rows = np.searchsorted(post.ids, table["target"][chosen])
                    columns = np.searchsorted(pre.ids, table["source"][chosen]) + pre.first
                    np.add.at(weights[key], (rows, columns), post.scale * unit * table["syn_weight"][chosen] * table.get("nsyns", np.ones(len(chosen)))[chosen])
        pathways = [Pathway(name=f"{a}_to_{b}", source=a, target=b, carries="train", weights=Values(values=w), zero_is_absent=bool((w == 0).any())) for (a, b), w in weights.items()]
        tonic = {c.name: c.tonic for c in cells.values() if c.tonic}
        if tonic:
            populations.append(Population(name="bias", size=1, neuron=ConstantSource()))
            pathways += [Pathway(name=f"bias_to_{name}", source="bias", target=name, weights=Values(values=np.full((sizes[name], 1), value))) for name, value in tonic.items()]
            lost.append("I_e: it moves v at once there, and through the synaptic current here")
        if delays - {round(1e3 * dt, 12)}:
            lost.append(f"delays of {', '.join(f'{d:g}' for d in sorted(delays))} ms: here every spike arrives in the next step, {1e3 * dt:g} ms later")
        sending = {p.source for p in pathways}
        last = [p.name for p in populations if p.name not in sending and p.name != "bias"] or [populations[-1].name if populations[-1].name != "bias" else populations[-2].name]
        lost.append(f"the readout, which SONATA does not name: {last[-1]} is taken")
        lost.append("the spikes of the sources: input is a poisson_source, a placeholder. For spikes of your own put spike_source in its place, and a task 'arrays' whose inputs (n, steps, size) hold 1 for a spike")
        protocol = Protocol(dt=dt, presentation=PLACEHOLDER_STEPS * dt, reset=True)
        name = self.configuration.parent.name
        lost += self.ledger.rest()
        return Imported(described(name, [source, *populations], pathways, last[-1], protocol, f"the SONATA circuit {name}"), tuple(lost))

    def _dt(self) -> tuple[float, list[str]]:
        """The time step in seconds, from the simulation's configuration where there is one."""
        try:
            settings = json.loads(self.simulation.read_text(encoding="utf-8"))
            for part in ("inputs", "reports", "node_sets", "conditions"):
                if isinstance(settings.get(part), Mapping):
                    self.ledger.holds(f"{part} of the simulation", dict.fromkeys(map(str, settings[part]), 1))
            return 1e-3 * float(settings["run"]["dt"]), []
        except (OSError, KeyError, ValueError):
            return 1e-4, [f"the time step, of which there is no {SIMULATION} to tell: 0.1 ms is put in its place"]

    def _cells(self, dt: float) -> tuple[dict[tuple[str, int], _Cells], list[Population]]:
        """The neurons of each population and node type, and the populations that they become."""
        cells: dict[tuple[str, int], _Cells] = {}
        populations: list[Population] = []
        first = 0
        for (name, number), row in self.node_types.items():
            ids, of = self.nodes[name]
            ids = np.sort(ids[of == number])
            if row.get("model_type") == "virtual":
                cells[name, number] = _Cells("input", first, ids, row)
                first += len(ids)
                continue
            several = sum(other == name for other, _ in self.node_types) > 1
            plain = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
            plain = (plain if plain[:1].isalpha() else f"nodes_{plain}") + (f"_{number}" if several else "")
            while plain in (*RESERVED, "input", "bias", "target", "mismatch", *(p.name for p in populations)):
                plain += "_too"
            neuron, scale, tonic = self._neuron(name, row)
            cells[name, number] = _Cells(plain, 0, ids, row, scale, tonic)
            populations.append(Population(name=plain, size=len(ids), neuron=neuron))
        if not populations:
            raise NoCounterpart(f"'{self.configuration}' holds no neurons, virtual ones apart.")
        return cells, populations

    def _neuron(self, name: str, row: pd.Series) -> tuple[Lif, float, float]:
        """A node type as a neuron, with the weight (over its sender's rate) of a `syn_weight` of 1 pA, and its tonic drive."""
        template = str(row.get("model_template"))
        if template != LIF:
            raise NoCounterpart(f"'{self.configuration}': the population '{name}' has the model template {template}; bioFA reads {LIF} and virtual nodes.")
        parameters = dict(DEFAULTS)
        file = row.get("dynamics_params")
        if isinstance(file, str):
            folder = self.configuration.parent / self.circuit.get("components", {}).get("point_neuron_models_dir", "")
            given = json.loads((folder / file).read_text(encoding="utf-8"))
            self.ledger.holds(f"parameters of '{name}' ({file})", dict.fromkeys(given, 1))
            self.ledger.take(f"parameters of '{name}' ({file})", *DEFAULTS)
            parameters |= {key: float(value) for key, value in given.items() if key in DEFAULTS}
        parameters |= {key: float(row[key]) for key in DEFAULTS if key in row and pd.notna(row[key])}
        if parameters["tau_syn_ex"] != parameters["tau_syn_in"]:
            raise NoCounterpart(f"'{self.configuration}': '{name}' has two synaptic time constants, {parameters['tau_syn_ex']:g} and {parameters['tau_syn_in']:g} ms; a population of bioFA has one.")
        distance = parameters["V_th"] - parameters["E_L"]
        resistance = parameters["tau_m"] / (parameters["C_m"] * distance)
        neuron = Lif(
            tau=1e-3 * parameters["tau_m"], tau_syn=1e-3 * parameters["tau_syn_ex"], refractory_period=1e-3 * parameters["t_ref"],
            v_reset=(parameters["V_reset"] - parameters["E_L"]) / distance, decay="exact", reset="to_value", test="reach",
        )
        return neuron, resistance * neuron.tau_syn, resistance * parameters["I_e"]


def _edges_of(group: h5py.Group, types: pd.DataFrame) -> dict[str, Any]:
    """An edge population as columns, of each edge or of its type."""
    of, within, index = group["edge_type_id"][()], group["edge_group_id"][()], group["edge_group_index"][()]
    table: dict[str, Any] = {f"{end}_population": _text(group[f"{end}_node_id"].attrs["node_population"]) for end in ("source", "target")}
    table |= {end: group[f"{end}_node_id"][()] for end in ("source", "target")}
    for name in ("syn_weight", "weight", "delay", "nsyns"):
        values = np.full(len(of), np.nan)
        if name in types.columns:
            values = types[name].reindex(of).to_numpy(dtype=float, copy=True)
        for number in np.unique(within):
            if name in group.get(str(number), {}):
                chosen = within == number
                values[chosen] = group[f"{number}/{name}"][()][index[chosen].astype(int)]
        if len(of) == 0 or np.isfinite(values).all():
            table[name] = values
    return table


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
