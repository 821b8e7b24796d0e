"""A network in which time passes as a SONATA folder, which bmtk's PointNet runs in NEST.

    circuit_config.json, simulation_config.json, node_sets.json
    nodes/<population>.h5, ..._types.csv    neurons of NEST (see `nest_models.py`) and virtual sources; parameters that
                                            differ between neurons in dynamics_params of each node
    edges/<pathway>.h5, ..._types.csv       each synapse: syn_weight in NEST's units, delay in ms
    models/, synapses/                      parameters that all neurons or synapses share, JSON
    inputs/<source>.h5                      the spikes that a source shows in the first trial
    run_pointnet.py                         runs it; spikes then stand in output/spikes.h5
    expected.npz, README.md                 every spike of the first steps, by the NumPy reference; how to compare
    bioFA.h5                                the model file, seed and state, for bioFA

A background is a population of virtual nodes of its own, `<population>_background_<n>`, each with the spikes of one
neuron in the first trial, or, where these are more than `MOST`, an input of the module "poisson", for which
run_pointnet.py makes a poisson_generator of NEST.

A spike that a source shows in step n has the time n dt; NEST has none at 0 and no delay below one step, so that spikes
of a source may be written some steps early and its delays as much longer. What would have to come before the first
step is left out, and told.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from bioFA.errors import NoCounterpart
from bioFA.exchange import expected, free_parts, nest_models
from bioFA.exchange.base import ANNOTATION, Exported, Imported, annotated, annotation
from bioFA.exchange.format import Format
from bioFA.exchange.sonata_circuit import CIRCUIT, SIMULATION, Circuit
from bioFA.exchange.sonata_spikes import stamp, write_spikes
from bioFA.instance import Instance, draw
from bioFA.network import Pathway, Population
from bioFA.runs.trained import Trained
from bioFA.synapses.tsodyks_markram import TsodyksMarkram

Array = np.ndarray
NODE_SETS, NOTED, SCRIPT = "node_sets.json", "bioFA.h5", "run_pointnet.py"
CHUNK = 1_000_000
"""So many synapses are converted and written at a time."""
MOST = 5_000_000
"""So many spikes of a background are written one by one; of more, their rate."""
NEAR, FEW = 0.25, 10
"""Where spikes are not in NEST's steps, the numbers of spikes differ by at most this share and so many more."""


def export(trained: Trained, path: Path, format: Format) -> Exported:
    """Write the folder.

    Raises:
        NoCounterpart: naming what NEST or SONATA has no words for, and what they have.
    """
    protocol = trained.experiment.protocol
    if protocol.order != "deliver_first":
        raise _refused(f"protocol.order is '{protocol.order}'", "deliver_first")
    drawn = draw(trained.experiment, trained.seed)
    learned = {f"{p.name}.w": trained.state[f"{p.name}.w"] for p in drawn.network.plastic()}
    writer = _Writer(replace(drawn, state={**drawn.state, **learned}))
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    try:
        for folder in ("models", "synapses", "nodes", "edges", "inputs"):
            (partial / folder).mkdir(parents=True)
        writer.write(partial, trained, format)
        partial.rename(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    lost = ["traces, rates and measures: the folder keeps every spike", *writer.lost]
    if protocol.trials > 1:
        lost.append("trials after the first: the folder holds that one")
    if rules := [p.name for p in drawn.network.plastic()]:
        lost.append(f"plasticity of {', '.join(rules)}: the weights are those that learning left")
    return Exported((path, path / expected.README, path / expected.EXPECTED), tuple(lost))


def read(circuit: Circuit, noted: Mapping[str, Any]) -> Imported:
    """The network of the annotation; what was changed in the folder since is named.

    Raises:
        FileError: if the annotation is damaged.
    """
    trained = annotated(noted, {}, circuit.configuration)
    drawn = draw(trained.experiment, trained.seed)
    learned = {f"{p.name}.w": trained.state[f"{p.name}.w"] for p in drawn.network.plastic()}
    writer = _Writer(replace(drawn, state={**drawn.state, **learned}))
    return Imported(trained, (*circuit.lost, *writer.changed(circuit)))


def _refused(what: str, use: str) -> NoCounterpart:
    return NoCounterpart(f"{what}, for which a SONATA folder for NEST has no words. It has: {use}.")


class _Nodes(NamedTuple):
    """A population of nodes: its number of nodes, what all share by name, what differs, `(size,)`, and NEST's model; ''
    of virtual ones."""

    name: str
    size: int
    model: str = ""
    shared: Mapping[str, float] = {}
    each: Mapping[str, Array] = {}


class _Edges(NamedTuple):
    """A population of edges: synapses with weights in SI, by what these are multiplied, `(n_post,)` or `(1,)`, how many
    steps delays are longer, NEST's model and what all share."""

    name: str
    source: str
    target: str
    synapses: free_parts.Listed
    factors: Array
    longer: int
    model: str = "static_synapse"
    shared: Mapping[str, float] = {}


class _Writer:
    """One network, and what of it the folder cannot say."""

    def __init__(self, instance: Instance):
        self.instance, self.network = instance, instance.network
        self.dt = instance.experiment.protocol.step
        self.steps = instance.experiment.protocol.shown_steps
        self.lost: list[str] = []
        free_parts.check_sources(self.network, _refused)
        self.cells = {p.name: nest_models.counterpart(instance, p) for p in free_parts.cells(self.network)}
        for pathway in self.network.pathways:
            self._check(pathway)
        self.nodes = [self._cells(p) for p in free_parts.cells(self.network)]
        self.nodes += [_Nodes(p.name, p.size) for p in free_parts.sources(self.network)]
        self.spikes: dict[str, tuple[Array, Array]] = {}
        self.poisson: dict[str, dict[str, Any]] = {}
        self.edges: list[_Edges] = []
        shown = free_parts.shown(instance, _refused)
        early = {p.name: self._early(p.name, shown[p.name]) for p in free_parts.sources(self.network)}
        for pathway in self.network.pathways:
            self.edges.append(self._pathway(pathway, early.get(pathway.source, 0)))
        for population in free_parts.cells(self.network):
            for outside in free_parts.outside(instance, population):
                self._background(population, outside)
        whole = not self.poisson and not self.lost
        self.exact = whole and all(cell.exact for cell in self.cells.values())
        near = [name for name, cell in self.cells.items() if not cell.exact]
        if near:
            self.lost.append(
                f"the integration of {', '.join(near)}: NEST adapts its steps, so that spikes agree as dt falls, not"
                " step by step; with method = 'rkf45' they do"
            )

    def _cells(self, population: Population) -> _Nodes:
        cell = self.cells[population.name]
        shared = {name: float(values[0]) for name, values in cell.parameters.items() if len(values) == 1}
        each = {
            name: np.broadcast_to(values, population.size)
            for name, values in cell.parameters.items()
            if len(values) > 1
        }
        return _Nodes(population.name, population.size, cell.model, shared, each)

    def _check(self, pathway: Pathway) -> None:
        """Refuse a pathway that NEST's synapses are not."""
        free_parts.check_synapses(pathway, _refused)
        place = f"pathway '{pathway.name}'"
        if pathway.target not in self.cells:
            raise _refused(f"{place} leads to '{pathway.target}', which takes nothing", "pathways to neurons")
        cell = self.cells[pathway.target]
        if pathway.port not in cell.factors:
            raise _refused(
                f"{place} leads to the port '{pathway.port}', and {cell.model} takes spikes",
                ", ".join(cell.factors),
            )
        if pathway.dynamics is not None:
            self._dynamics(pathway)

    def _dynamics(self, pathway: Pathway) -> dict[str, float]:
        """The parameters of short-term plasticity, which all synapses of a pathway share."""
        dynamics, place = pathway.dynamics, f"pathway '{pathway.name}'"
        if not isinstance(dynamics, TsodyksMarkram) or dynamics.resources != "two" or not pathway.listed:
            raise _refused(f"{place} has dynamics of another kind", "tsodyks_markram with resources = 'two'")
        found = self.instance.synapses[pathway.name].parameters
        if uneven := [name for name, values in found.items() if np.any(values != values[:1])]:
            raise _refused(f"{place}: {', '.join(uneven)} differ between synapses", "one value for all of a pathway")
        U = float(found["U"][0])
        taus = {"tau_rec": found["tau_rec"], "tau_fac": found["tau_facil"]}
        return {"U": U, "u": U, "x": 1.0} | {name: float(nest_models.in_units(t, 1e3)[0]) for name, t in taus.items()}

    def _early(self, name: str, shown: tuple[Array, Array]) -> int:
        """By how many steps the spikes of a source are written before their time; what then falls on 0 or before is
        left out."""
        leaving = [p for p in self.network.pathways if p.source == name]
        least = min(
            (int(free_parts.synapses(self.instance, p).delays.min(initial=2**31 - 1)) + self.cells[p.target].late
             for p in leaving),
            default=1,
        )  # fmt: skip
        neurons, steps = shown
        early = 0 if least >= 1 and not np.any(steps < 1) else 1 - min(least, 2)
        self._keep(name, neurons, steps - early)
        return early

    def _keep(self, name: str, neurons: Array, stamps: Array) -> None:
        """The spikes of virtual nodes by their stamps in steps, but for those that NEST cannot send."""
        kept = stamps >= 1
        if count := int(np.sum(~kept)):
            self.lost.append(
                f"{count} spike{'s' if count > 1 else ''} of {name} that would act in the first steps: NEST sends none"
                " at 0 ms or before"
            )
        self.spikes[name] = (neurons[kept], stamps[kept])

    def _pathway(self, pathway: Pathway, early: int) -> _Edges:
        """The edges of a pathway.

        Raises:
            NoCounterpart: if a delay or the sign of a weight is none that NEST has.
        """
        cell, listed = self.cells[pathway.target], free_parts.synapses(self.instance, pathway)
        longer = cell.late + early
        place = f"pathway '{pathway.name}'"
        if len(listed.pre) and listed.delays.min() + longer < 1:
            raise NoCounterpart(
                f"{place} has synapses without a delay; a spike of a neuron takes at least one step in NEST. Give a"
                f" delay of at least {1e3 * self.dt:g} ms."
            )
        if not cell.signed and np.any(listed.weights < 0):
            raise NoCounterpart(
                f"{place} has negative weights at '{pathway.port}', which in {cell.model} of NEST would act through the"
                " other synapses. Give positive weights, at the other port."
            )
        model, shared = ("tsodyks2_synapse", self._dynamics(pathway)) if pathway.dynamics is not None else (
            "static_synapse", {},
        )  # fmt: skip
        return _Edges(
            pathway.name, pathway.source, pathway.target, listed, cell.factors[pathway.port], longer, model, shared
        )

    def _background(self, population: Population, outside: free_parts.Outside) -> None:
        """A background as virtual nodes, one a neuron, or as a rate."""
        cell, name = self.cells[population.name], outside.place.replace(".", "_")
        if outside.port not in cell.factors:
            raise _refused(
                f"{outside.place} leads to the port '{outside.port}', and {cell.model} takes spikes",
                ", ".join(cell.factors),
            )
        if not cell.signed and np.any(outside.weight < 0):
            raise NoCounterpart(f"{outside.place} has negative weights at '{outside.port}'. Give positive ones.")
        if outside.mean.sum() * self.steps > MOST:
            weight = nest_models.in_units(outside.weight * cell.factors[outside.port], 1.0)
            rate = nest_models.in_units(outside.mean / self.dt, 1.0)
            self.poisson[name] = {
                "input_type": "spikes", "module": "poisson", "node_set": {"population": population.name},
                "delay": 0.0, "duration": round(1e3 * self.steps * self.dt, 9),
                "rate": rate.tolist() if len(rate) > 1 else float(rate[0]),
                "weight": weight.tolist() if len(weight) > 1 else float(weight[0]),
            }  # fmt: skip
            self.lost.append(
                f"the random numbers of {outside.place}: run_pointnet.py lets NEST draw spikes of the same rate"
            )
            return
        neurons, steps = [], []
        for step, numbers in enumerate(outside.numbers(self.steps)):
            hit = np.repeat(np.arange(population.size), numbers)
            neurons.append(hit)
            steps.append(np.full(len(hit), step))
        self.nodes.append(_Nodes(name, population.size))
        self._keep(name, np.concatenate(neurons), np.concatenate(steps) + cell.late - 1)
        everyone = np.arange(population.size)
        listed = free_parts.Listed(everyone, everyone, outside.weight, np.ones(1, dtype=np.int32))
        self.edges.append(
            _Edges(f"{name}_to_{population.name}", name, population.name, listed, cell.factors[outside.port], 0)
        )

    def write(self, path: Path, trained: Trained, format: Format) -> None:
        """Everything."""
        for number, nodes in enumerate(self.nodes, 1):
            self._write_nodes(path, nodes, number)
        for number, edges in enumerate(self.edges, 1):
            self._write_edges(path, edges, number)
        for name, (neurons, stamps) in self.spikes.items():
            with h5py.File(path / "inputs" / f"{name}.h5", "w") as file:
                stamp(file)
                order = np.argsort(stamps, kind="stable")
                write_spikes(file, name, neurons[order], self._ms(stamps[order]))
        self._write_configurations(path, trained.seed)
        (path / SCRIPT).write_text(_RUN, encoding="utf-8")
        noted = annotation(trained)
        with h5py.File(path / NOTED, "w") as file:
            file.attrs.update({name: value for name, value in noted.items() if name != "state"})
            state = file.create_group("state")
            for name, array in noted["state"].items():
                state.create_dataset(name, data=array)
        recipe = self._recipe(format)
        expected.save(path / expected.EXPECTED, recipe)
        (path / expected.README).write_text(
            f"# {trained.experiment.name} as a SONATA circuit\n\n{trained.experiment.description}\n\nSeed"
            f" {trained.seed}. `biofa import FOLDER --from sonata --out DIR` gives the model file back. A spike has the"
            f" time of the end of the step whose test found it.\n\n{expected.section(recipe)}",
            encoding="utf-8",
        )

    def _ms(self, steps: Array) -> Array:
        """Steps in ms, free of rounding."""
        return np.round(steps * (1e3 * self.dt), 9)

    def _write_nodes(self, path: Path, nodes: _Nodes, number: int) -> None:
        """The nodes of a population, with their type and its parameters."""
        with h5py.File(path / "nodes" / f"{nodes.name}.h5", "w") as file:
            stamp(file)
            group = file.create_group(f"nodes/{nodes.name}")
            group["node_id"] = group["node_group_index"] = np.arange(nodes.size, dtype=np.uint64)
            group["node_type_id"] = np.full(nodes.size, number, dtype=np.uint32)
            group["node_group_id"] = np.zeros(nodes.size, dtype=np.uint32)
            own = group.create_group("0")
            for name, values in nodes.each.items():
                own[f"dynamics_params/{name}"] = values
        row: dict[str, Any] = {"node_type_id": number, "pop_name": nodes.name, "model_type": "virtual"}
        if nodes.model:
            file_name = f"{nodes.name}.json"
            _write_json(path / "models" / file_name, dict(nodes.shared))
            row |= {"model_type": "point_neuron", "model_template": f"nest:{nodes.model}", "dynamics_params": file_name}
        _write_types(path / "nodes" / f"{nodes.name}_types.csv", row)

    def converted(self, edges: _Edges) -> Iterator[tuple[slice, Array, Array, Array, Array]]:
        """The synapses in chunks: where they stand, source and target nodes, syn_weight, and delay in ms."""
        for start in range(0, len(edges.synapses.pre), CHUNK):
            part = edges.synapses.part(start, start + CHUNK)
            factors = edges.factors if len(edges.factors) == 1 else edges.factors[part.post]
            weights = np.broadcast_to(nest_models.in_units(part.weights * factors, 1.0), len(part.pre))
            where = slice(start, start + len(part.pre))
            yield where, part.pre, part.post, weights, self._ms(part.delays + edges.longer)

    def _write_edges(self, path: Path, edges: _Edges, number: int) -> None:
        """The edges of a population, chunk by chunk, with their type."""
        count = len(edges.synapses.pre)
        with h5py.File(path / "edges" / f"{edges.name}.h5", "w") as file:
            stamp(file)
            group = file.create_group(f"edges/{edges.name}")
            kinds = {"source_node_id": "u8", "target_node_id": "u8", "edge_type_id": "u4", "edge_group_id": "u4"}
            kinds |= {"edge_group_index": "u8", "0/syn_weight": "f8", "0/delay": "f8"}
            held = {name: group.create_dataset(name, (count,), kind) for name, kind in kinds.items()}
            held["source_node_id"].attrs["node_population"] = edges.source
            held["target_node_id"].attrs["node_population"] = edges.target
            for where, pre, post, weights, delays in self.converted(edges):
                held["source_node_id"][where], held["target_node_id"][where] = pre, post
                held["0/syn_weight"][where], held["0/delay"][where] = weights, delays
                held["edge_type_id"][where], held["edge_group_id"][where] = number, 0
                held["edge_group_index"][where] = np.arange(where.start, where.stop)
        file_name = f"{edges.name}.json"
        _write_json(path / "synapses" / file_name, dict(edges.shared))
        row: dict[str, Any] = {"edge_type_id": number, "pop_name": edges.name}
        _write_types(
            path / "edges" / f"{edges.name}_types.csv",
            row | {"model_template": edges.model, "dynamics_params": file_name},
        )

    def _write_configurations(self, path: Path, seed: int) -> None:
        """The three JSON files; paths are relative to the folder."""
        kinds: dict[str, dict[str, str]] = {
            "nodes": {nodes.name: "point_neuron" if nodes.model else "virtual" for nodes in self.nodes},
            "edges": {edges.name: "chemical" for edges in self.edges},
        }
        base = {"manifest": {"$BASE_DIR": "."}}
        networks = {
            kind: [
                {
                    f"{kind}_file": f"$BASE_DIR/{kind}/{name}.h5",
                    f"{kind[:-1]}_types_file": f"$BASE_DIR/{kind}/{name}_types.csv",
                    "populations": {name: {"type": what}},
                }
                for name, what in members.items()
            ]
            for kind, members in kinds.items()
        }
        components = {
            "point_neuron_models_dir": "$BASE_DIR/models",
            "synaptic_models_dir": "$BASE_DIR/synapses",
            ANNOTATION: f"$BASE_DIR/{NOTED}",
        }
        step = round(1e3 * self.dt, 12)
        inputs = {
            name: {
                "input_type": "spikes",
                "module": "sonata",
                "input_file": f"$BASE_DIR/inputs/{name}.h5",
                "node_set": {"population": name},
            }
            for name, (neurons, _) in self.spikes.items()
            if len(neurons)
        }
        simulation = {
            **base,
            "network": f"$BASE_DIR/{CIRCUIT}",
            "node_sets_file": f"$BASE_DIR/{NODE_SETS}",
            "target_simulator": "NEST",
            "run": {
                "tstop": round(1e3 * self.steps * self.dt, 9),
                "dt": step,
                "random_seed": seed % 2**32,
                "precise_times": False,
            },
            "inputs": inputs | self.poisson,
            "output": {
                "output_dir": "$BASE_DIR/output",
                "spikes_file": "spikes.h5",
                "log_file": "log.txt",
                "overwrite_output_dir": True,
            },
        }
        sets = {nodes.name: {"population": nodes.name} for nodes in self.nodes}
        _write_json(path / CIRCUIT, {**base, "components": components, "networks": networks})
        _write_json(path / SIMULATION, simulation)
        _write_json(path / NODE_SETS, sets)

    def _recipe(self, format: Format) -> expected.Recipe:
        """Every spike of the first steps."""
        steps, arrays = free_parts.answers(self.instance)
        script = _COMPARE.replace("@DT@", f"{round(1e3 * self.dt, 12)!r}").replace("@STEPS@", str(steps))
        return expected.Recipe(
            format.requirements("NEST", "bmtk", "numpy", "h5py"),
            f"python {SCRIPT}",
            script.replace("@EXACT@", repr(self.exact)).replace("@NEAR@", str(NEAR)).replace("@FEW@", str(FEW)),
            (
                "every spike in its step"
                if self.exact
                else f"numbers of spikes within {NEAR:.0%} and {FEW} more, since not every spike is in NEST's step"
            ),
            arrays,
        )

    def changed(self, circuit: Circuit) -> list[str]:
        """What stands in a folder that was not written so."""
        kept = "was changed after it was written; what bioFA had noted is taken"
        found = []
        for nodes in self.nodes:
            given = circuit.parameters("point_neuron_models_dir", f"{nodes.name}.json") if nodes.model else {}
            if (given or {}) != dict(nodes.shared):
                found.append(f"parameters of '{nodes.name}' ({nodes.name}.json): what stands there {kept}")
        for edges in self.edges:
            read = circuit.edges.get(edges.name)
            if read is None or len(read.pre) != len(edges.synapses.pre) or set(read.values) != {"syn_weight", "delay"}:
                found.append(f"edges '{edges.name}': their number or attributes {kept}")
                continue
            for where, *written in self.converted(edges):
                there = (read.pre, read.post, read.values["syn_weight"], read.values["delay"])
                if any(not np.array_equal(a[where], b) for a, b in zip(there, written, strict=True)):
                    found.append(f"edges '{edges.name}': a node, syn_weight or delay {kept}")
                    break
        return found


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _write_types(path: Path, row: Mapping[str, Any]) -> None:
    """A table of one type."""
    path.write_text(f"{' '.join(row)}\n{' '.join(map(str, row.values()))}\n", encoding="utf-8")


_RUN = """import json
import os
from pathlib import Path

import h5py
import nest
import numpy as np
from bmtk.simulator import pointnet

os.chdir(Path(__file__).resolve().parent)  # bmtk takes paths from where it runs
config = pointnet.Config.from_json("simulation_config.json")
config.build_env()
network = pointnet.PointNetwork.from_config(config)
simulator = pointnet.PointSimulator.from_config(config, network)
neurons = {}
for place in sorted(Path("nodes").glob("*.h5")):
    with h5py.File(place) as file:
        nodes = file[f"nodes/{place.stem}"]
        own = {name: values[()] for name, values in nodes["0"].get("dynamics_params", {}).items()}
        size = len(nodes["node_id"])
    if not Path(f"models/{place.stem}.json").is_file():
        continue  # virtual
    neurons[place.stem] = nest.NodeCollection(sorted(network.gid_map.get_nestids(place.stem, np.arange(size))))
    shared = json.loads(Path(f"models/{place.stem}.json").read_text())
    # bmtk sets those of the type alone; all together, since NEST measures some from others
    own |= {name: np.full(size, value) for name, value in shared.items()} if own else {}
    if own:
        neurons[place.stem].set({name: values.tolist() for name, values in own.items()})
for given in json.loads(Path("simulation_config.json").read_text())["inputs"].values():
    if given["module"] == "poisson":  # which bmtk does not know
        targets = neurons[given["node_set"]["population"]]
        rates = np.broadcast_to(given["rate"], len(targets))
        sources = nest.Create("poisson_generator", len(targets), {"rate": rates.tolist()})
        weights = np.array(np.broadcast_to(given["weight"], len(targets)), dtype=float)
        delays = np.full(len(targets), config["run"]["dt"])
        nest.Connect(sources, targets, "one_to_one", {"weight": weights, "delay": delays})
simulator.run()
"""
_COMPARE = """import h5py
import numpy as np

expected = dict(np.load("expected.npz"))
for name in sorted({key.rpartition(".")[0] for key in expected}):
    wanted = {*zip(expected[f"{name}.steps"].tolist(), expected[f"{name}.neurons"].tolist())}
    found = set()
    with h5py.File("output/spikes.h5") as file:
        if f"spikes/{name}" in file:  # which it is not where no neuron spiked
            steps = np.rint(file[f"spikes/{name}/timestamps"][()] / @DT@).astype(int)
            found = {*zip(steps.tolist(), file[f"spikes/{name}/node_ids"][()].tolist())}
            found = {spike for spike in found if spike[0] < @STEPS@}
    print(f"{name}: {len(wanted)} spikes in @STEPS@ steps, {len(found)} in NEST, {len(wanted ^ found)} differ")
    if @EXACT@:
        assert found == wanted, name
    else:
        assert abs(len(found) - len(wanted)) <= @NEAR@ * len(wanted) + @FEW@, name
"""
