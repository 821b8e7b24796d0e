"""NIR, the Neuromorphic Intermediate Representation (Pedersen et al. 2024, Nat. Commun. 15:8122): the part of a network that answers, as a graph, both ways.

    Lif            CubaLIF   tau_syn dI/dt = -I + w_in S      tau_mem dv/dt = -v + r I          r = tau_mem/dt, w_in = tau_syn/dt
    Lif            LIF       tau dv/dt = -v + r I             with decay = "euler" and tau_syn = dt, whose current keeps nothing; r = 1
    LeakyRate      LI        tau dv/dt = -v + r I             r = 1
    StaticRate     nothing: what arrives is what it sends on
    pathways       Affine    weight (n_post, n_pre), bias (n_post,), the bias being what constant sources send

NIR is continuous in time; its tools make Euler steps of a dt that they choose, in which S is 1 for a spike. So
weights hang on dt. A pathway of ours with weights w brings its target the drive w g S in such a step, with
g = 1/(unit_rate dt) where it carries `train`, and 1 where it carries `s` or a rate. `Lif` makes I jump by drive dt/tau_syn,
and v move by dt/tau of I, so in the convention above

    weight = w g (dt/tau_syn) (dt/tau)   before a CubaLIF            weight = w g   before LIF, LI and static units

A pathway from a population to itself makes a nested graph (input, lif, w_rec, output), the form that all tools read
alike; there a LIF is written as CubaLIF with tau_syn = dt, which is the same neuron, since snnTorch and norse read r of a nested
LIF differently. All sources stand side by side in the one Input, in the order of the metadata's `sources`. Nodes are named so that their alphabetical
order, in which HDF5 gives them back, is an order of the network. Metadata of the graph: `dt` (s), `schedule`, `sources`, and `bioFA` (see `base.py`).

A graph of others is read with Euler steps and v in units of the threshold's distance from rest, so any r and w_in will do.
In the tools a layer hears the spikes of the layer below in the same step, in ours in the next: layer k is k steps later, everywhere.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from bioFA.durable import written_whole
from bioFA.errors import DamagedFile, MissingSignal, NoCounterpart, UnknownName, WrongShape
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
    require,
)
from bioFA.experiment import Protocol
from bioFA.expressions import RESERVED
from bioFA.foreign import inspect
from bioFA.network import Pathway, Population
from bioFA.neurons.constant_source import ConstantSource
from bioFA.neurons.leaky_rate import LeakyRate
from bioFA.neurons.lif import Lif
from bioFA.neurons.poisson_source import PoissonSource
from bioFA.neurons.rate_source import RateSource
from bioFA.neurons.static_rate import StaticRate
from bioFA.trained import Trained
from bioFA.units import steps_of
from bioFA.weights import Values

Array = np.ndarray
Table = dict[str, Any]
"""A node or a graph as NIR's own `to_dict` gives it."""
DT = 1e-4
"""The step in seconds that a graph is read with where it names none: snnTorch's."""
SCHEDULE = "input, decay, threshold, reset; a layer hears the layer below one step later"
ALIKE = 1e-9
"""Parameters of the neurons of one node that differ by less, relative, count as equal."""
PLACEHOLDER_STEPS = 100
"""Steps of a presentation of a graph that was read, until its user says otherwise."""


class _Place(NamedTuple):
    """Where in a graph the weights of a pathway stand: node by node, the field, which columns of it, and how many times ours they are."""

    pathway: str
    nodes: tuple[str, ...]
    field: str
    columns: slice
    factor: float


@dataclass
class _Written:
    """A graph while it is written."""

    nodes: Table = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    places: list[_Place] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    def graph(self) -> Table:
        """The graph without its metadata."""
        return {"type": "NIRGraph", "nodes": self.nodes, "edges": self.edges}


def export(trained: Trained, path: Path) -> Exported:
    """Write the graph of the part that answers.

    Raises:
        MissingError: if NIR is not installed.
        ModelError: if a neuron model, a pathway or a loop has no counterpart in NIR.
    """
    nir = require("nir", "nir", "export to NIR")
    network, protocol = trained.experiment.network, trained.experiment.protocol
    written = _write(trained)
    metadata: Table = {"schedule": SCHEDULE, "sources": ", ".join(written.sources), ANNOTATION: annotation(trained)}
    lost = written.lost
    if not network.is_static():
        metadata["dt"] = protocol.step
        lost = [
            f"dt ({protocol.step:g} s), on which weights and time constants hang: NIR has no word for it. It stands in the metadata; norse and SpikingJelly must be "
            "told, and snnTorch 1.0 takes every graph for one of 0.0001 s", *lost,
        ]
    graph = nir.dict2NIRNode(_copied(written.graph()) | {"metadata": metadata})
    with written_whole(path) as partial:
        nir.write(partial, graph)
    return Exported((path,), (*lost, *learning_lost(network, "the metadata")))


def _write(trained: Trained) -> _Written:
    """The graph, where each pathway's weights are in it, and what it could not say."""
    network, dt = trained.experiment.network, trained.experiment.protocol.step
    part, out = forward(network), _Written()
    sources = [p for p in part.populations if p.neuron.shows not in (None, "one")]
    layers = [p for p in part.populations if p.neuron.shows is None]
    readout = network.readout
    if not sources or not layers:
        raise NoCounterpart("nothing meaningful would remain in NIR: no pathway leads from a source to the readout. Export to another format.")
    columns, ends, lag = {}, {}, {}
    total = 0
    for source in sources:
        columns[source.name] = slice(total, total + source.size)
        total += source.size
        ends[source.name], lag[source.name] = "input", 0
        what = "spikes, 1 in the step of each" if "s" in source.neuron.publishes else "values"
        out.lost.append(f"the source {source.name} ({source.neuron.family_name}): a graph is fed from outside, here with {what}")
    out.sources = [f"{source.name} {source.size}" for source in sources]
    out.nodes["input"] = {"type": "Input", "shape": np.array([total])}
    width = len(str(len(layers)))
    for level, population in enumerate(layers, 1):
        arriving = [p for p in part.pathways if p.target == population.name]
        inner = [p for p in arriving if p.source == population.name]
        biases = [p for p in arriving if network.population(p.source).neuron.shows == "one"]
        outer = [p for p in arriving if p not in inner and p not in biases]
        for pathway in outer:
            if pathway.source not in ends:
                raise NoCounterpart(
                    f"pathway '{pathway.name}' closes a loop over several populations, which the tools that read NIR step through differently. "
                    "Recurrence within one population can be written."
                )
        if max(len(inner), len(biases)) > 1:
            several = ", ".join(p.name for p in (inner if len(inner) > 1 else biases))
            raise NoCounterpart(f"population '{population.name}': NIR has one place for what {several} carry. Make them one pathway.")
        table, factor = _neuron(population, dt, readout.population, bool(inner), out.lost)
        prefix, lags = f"l{level:0{width}}", [lag[p.source] for p in outer] + [0] * bool(biases)
        if len(set(lags)) > 1:
            early = [p.name for p, steps in zip([*outer, *biases], lags, strict=True) if steps < max(lags)]
            out.lost.append(
                f"timing at {population.name}: what {', '.join(early)} brings acts at once here, but {max(lags) - min(lags)} steps later than that, beside spikes that take as "
                "long to arrive, in tools that pass spikes through all layers within a step; spikes agree in the long run, not step by step"
            )
        lag[population.name] = max(lags, default=0) + (table is not None)
        groups: dict[str, list[Pathway]] = {}
        for pathway in outer:
            groups.setdefault(ends[pathway.source], []).append(pathway)
        names: list[str] = []
        for origin, group in groups.items() or [("input", [])]:
            bias = biases[0] if biases and not names else None
            names.append(f"{prefix}a_{(group[0] if group else bias or population).name}")
            out.nodes[names[-1]] = _affine(trained, population, group, bias, factor, columns, total, names[-1], out)
            out.edges.append((origin, names[-1]))
        if table is None and len(names) > 1:
            table = {"type": "Scale", "scale": np.ones(population.size)}
        ends[population.name] = names[0]
        if table is not None:
            name = ends[population.name] = f"{prefix}b_{population.name}"
            out.nodes[name] = _nested(trained, table, population, inner[0], factor, name, out) if inner else table
            out.edges += [(one, name) for one in names]
    out.nodes["output"] = {"type": "Output", "shape": np.array([network.population(readout.population).size])}
    out.edges.append((ends[readout.population], "output"))
    neuron = network.population(readout.population).neuron
    if "s" in neuron.publishes:
        out.lost.append(f"the readout {readout}, spikes low-passed with tau_trace = {neuron.parameters()['tau_trace']:g} s: the graph gives the spikes")
    if any(trained.state[name].any() for name in (f"{p.name}.{variable}" for p in layers for variable in p.neuron.state)):
        out.lost.append("the state of the neurons: a graph begins at rest")
    return out


def _affine(
    trained: Trained, population: Population, group: list[Pathway], bias: Pathway | None, factor: float, columns: Mapping[str, slice], total: int,
    name: str, out: _Written,
) -> Table:
    """The node of all pathways that come from one node, with the bias that stands with them.

    norse steps through a graph in which two nodes lead from one population to another in another order, so there is one.
    """
    network, dt = trained.experiment.network, trained.experiment.protocol.step
    width = network.population(group[0].source).size if group and group[0].source not in columns else total
    table: Table = {"type": "Affine", "weight": np.zeros((population.size, width)), "bias": np.zeros(population.size)}
    for pathway in group:
        scale, place = factor * gain(network, pathway, dt), columns.get(pathway.source, slice(None))
        table["weight"][:, place] += scale * matrix(trained, pathway)
        out.places.append(_Place(pathway.name, (name,), "weight", place, scale))
    if bias is not None:
        scale = factor * gain(network, bias, dt)
        table["bias"] = scale * matrix(trained, bias).sum(axis=1)
        out.places.append(_Place(bias.name, (name,), "bias", slice(None), scale))
    return table


def _nested(trained: Trained, table: Table, population: Population, pathway: Pathway, factor: float, name: str, out: _Written) -> Table:
    """A population and its pathway to itself as a graph of their own."""
    scale = factor * gain(trained.experiment.network, pathway, trained.experiment.protocol.step)
    recurrent = {"type": "Affine", "weight": scale * matrix(trained, pathway), "bias": np.zeros(population.size)}
    out.places.append(_Place(pathway.name, (name, "w_rec"), "weight", slice(None), scale))
    shape = np.array([population.size])
    return {
        "type": "NIRGraph", "edges": [("input", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "output")],
        "nodes": {"input": {"type": "Input", "shape": shape}, "lif": table, "output": {"type": "Output", "shape": shape}, "w_rec": recurrent},
    }


def _neuron(population: Population, dt: float, readout: str, recurrent: bool, lost: list[str]) -> tuple[Table | None, float]:
    """A population's node, None where it needs none, and by how much its weights are scaled.

    Raises:
        ModelError: if NIR has no such neuron.
    """
    neuron, name = population.neuron, population.name

    def each(value: float) -> Array:
        return np.full(population.size, value)

    if isinstance(neuron, (StaticRate, LeakyRate)) and neuron.activation != "linear":
        if name != readout:
            raise NoCounterpart(
                f"population '{name}': NIR has no rate function such as {neuron.activation}, and without it nothing meaningful of what follows would remain. "
                "Export to another format, or make the population linear."
            )
        lost.append(f"the {neuron.activation} of {name}: NIR has no rate functions; the graph gives what it is a function of")
    if isinstance(neuron, StaticRate):
        return None, 1.0
    if isinstance(neuron, (Lif, LeakyRate)) and neuron.decay == "exact":
        lost.append(f"exact decay of {name}: the tools make Euler steps, with 1 - dt/tau = {1 - dt / neuron.tau:.6g} for exp(-dt/tau) = {np.exp(-dt / neuron.tau):.6g}")
    if isinstance(neuron, LeakyRate):
        return {"type": "LI", "tau": each(neuron.tau), "r": each(1.0), "v_leak": each(0.0)}, 1.0
    if not isinstance(neuron, Lif):
        raise NoCounterpart(
            f"population '{name}': NIR has no neuron like {type(neuron).__name__}, and without it nothing meaningful would remain. "
            "It has: Lif, LeakyRate and StaticRate that are linear. Export to another format."
        )
    if steps_of(neuron.refractory_period, dt) > 0:
        lost.append(f"the refractory period of {name} ({neuron.refractory_period:g} s): NIR has none; the neurons may spike again in the next step")
    if neuron.reset == "subtract":
        lost.append(f"the reset of {name}: what lies above the threshold is lost, since NIR resets to a value")
    if neuron.test == "reach":
        lost.append(f"the threshold test of {name}: NIR has v > 1, not v >= 1")
    if neuron.v_reset != 0:
        lost.append(f"v_reset of {name} ({neuron.v_reset:g}): it stands in the node, but norse and snnTorch reset to 0")
    common: Table = {"r": each(1.0), "v_leak": each(0.0), "v_threshold": each(1.0), "v_reset": each(neuron.v_reset)}
    memoryless = neuron.decay == "euler" and abs(neuron.tau_syn / dt - 1) < ALIKE
    if memoryless and not recurrent:
        return {"type": "LIF", "tau": each(neuron.tau), **common}, 1.0
    steps, steps_syn = neuron.tau / dt, neuron.tau_syn / dt
    cuba = {"type": "CubaLIF", "tau_mem": each(neuron.tau), "tau_syn": each(neuron.tau_syn), **common, "r": each(steps), "w_in": each(steps_syn)}
    return cuba, 1.0 / (steps * steps_syn)


def _copied(table: Table) -> Table:
    """The same tables; NIR takes entries out of those that it is given."""
    return {name: _copied(value) if isinstance(value, dict) else value for name, value in table.items()}


def load(path: Path) -> Imported:
    """Read a graph that bioFA wrote, or one of others made of Input, Output, Affine, Linear, Scale, LIF, CubaLIF and LI.

    Raises:
        MissingError: if NIR is not installed.
        FileError: if the file is damaged.
        ModelError: if a node, or how the nodes are joined, is nothing that bioFA can describe.
    """
    nir = require("nir", "nir", "import of NIR")
    try:
        inspect(path)
        graph = nir.read(path, type_check=False)
        table = graph.to_dict()
        metadata = dict(graph.metadata)
        _ = table["nodes"], table["edges"]
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, AssertionError, IndexError) as error:
        raise DamagedFile(f"'{path}' is not a whole NIR graph ({type(error).__name__}: {error}).") from None
    if ANNOTATION in metadata:
        return _annotated(annotated(metadata[ANNOTATION], {}, path), table, path)
    found = _Reader(path, table, metadata).read()
    return replace(found, lost=(*found.lost, *_unread(path)))


def _unread(path: Path) -> tuple[str, ...]:
    """What the file holds and the reader does not use: whatever stands beside the parameters of a node, metadata, parts of other formats."""
    ledger = Ledger()

    def visit(name: str, part: Any) -> None:
        if not hasattr(part, "shape"):
            return
        place, _, last = name.rpartition("/")
        node = re.sub(r"(^|/)(node/)?nodes/", ".", place.removeprefix("node/")).strip("./")
        inside = node.rpartition("/")[2] == "metadata" or node == "metadata"
        where = f"metadata of '{node.removesuffix('/metadata')}'" if inside and node != "metadata" else "metadata" if inside else f"node '{node}'" if node not in ("", "node") else "graph"
        ledger.holds(where, {last: int(np.prod(part.shape))})
        kind = part.parent["type"][()] if "type" in part.parent else b""
        ledger.take(where, "type", *USED.get(kind.decode() if isinstance(kind, bytes) else str(kind), ()))

    ledger.take("graph", "edges", "version")
    ledger.take("metadata", "dt")
    with h5py.File(path, "r") as file:
        file.visititems(visit)
    return ledger.rest()


def _annotated(trained: Trained, found: Table, path: Path) -> Imported:
    """The network of the annotation, with weights from the graph where they were changed there."""
    try:
        written = _write(trained)
    except KeyError as error:
        raise DamagedFile(f"the annotation '{ANNOTATION}' of '{path}' is damaged (it lacks {error}). Export the network again, or take the annotation out.") from None
    expected = written.graph()
    ours, theirs = dict(_fields(expected)), dict(_fields(found))
    if ours.keys() - theirs.keys() or {tuple(edge) for edge in expected["edges"]} != {tuple(edge) for edge in found["edges"]}:
        raise DamagedFile(f"'{path}' is no longer the graph that its annotation '{ANNOTATION}' describes: nodes or edges have changed. Take the annotation out, or export the network again.")
    changed = {key for key, value in ours.items() if not np.array_equal(value, theirs[key])}
    state, lost, done = dict(trained.state), [], set()
    network = trained.experiment.network
    for place in written.places:
        key = (*place.nodes, place.field)
        if key not in changed:
            continue
        pathway, name = network.pathway(place.pathway), f"{place.pathway}.w"
        if theirs[key].shape != ours[key].shape:
            raise DamagedFile(f"'{path}': '{'.'.join(key)}' must have the shape {ours[key].shape}; got {theirs[key].shape}. It was changed after bioFA wrote it.")
        if name not in state or (place.field == "bias" and network.shape(pathway)[1] > 1):
            lost.append(f"{'.'.join(key)} was changed after bioFA wrote it; {place.pathway} has no weights of its own for it, so the old ones stay")
            continue
        new, old = (values[key][..., place.columns].reshape(state[name].shape) for values in (theirs, ours))
        if not np.array_equal(new, old) and (key, place.columns.start) not in done:  # of pathways side by side the first takes the change
            done.add((key, place.columns.start))
            state[name] = np.where(new == old, state[name], state[name] + (new - old) / place.factor)
            lost.append(f"the weights that bioFA had noted for {place.pathway}: {np.count_nonzero(new != old)} of them were changed in the graph after it was written; the graph's are taken")
    known = {(*place.nodes, place.field) for place in written.places}
    lost += [f"{'.'.join(key)} was changed after bioFA wrote it; the noted value stays" for key in sorted(changed - known)]
    return Imported(replace(trained, state=state), tuple(lost))


def _fields(graph: Table, within: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Array]]:
    """Every array of every node, by its place."""
    for name, node in graph["nodes"].items():
        if node["type"] == "NIRGraph":
            yield from _fields(node, (*within, name))
        else:
            yield from (((*within, name, key), np.asarray(value)) for key, value in node.items() if key not in ("type", "metadata", "input_type", "output_type"))


class _Reader:
    """A graph of others, read as a network."""

    def __init__(self, path: Path, table: Table, metadata: Mapping[str, Any]):
        self.path = path
        self.nodes: dict[str, Table] = {}
        self.edges: dict[tuple[str, str], None] = {}
        self.lost: list[str] = []
        self._flatten(table, "")
        if "dt" in metadata:
            self.dt = float(np.asarray(metadata["dt"]))
        else:
            self.dt = DT
            self.lost.append(f"the time step, which the graph does not name: {DT:g} s is put in its place; put 'dt' (in seconds) in the graph's metadata if it is another")
        self.names: dict[str, str] = {}

    def _flatten(self, graph: Table, within: str) -> None:
        """Take in the nodes of a graph and of the graphs in it; their inputs and outputs hand on what they get."""
        for name, node in graph["nodes"].items():
            if node["type"] == "NIRGraph":
                self._flatten(node, f"{within}{name}.")
            else:
                passes = bool(within) and node["type"] in ("Input", "Output")
                self.nodes[within + name] = {"type": "pass"} if passes else node
        for one, other in graph["edges"]:
            a, b = (within + (end.decode() if isinstance(end, bytes) else str(end)) for end in (one, other))
            self.edges[self._end(graph, within, a, "Output"), self._end(graph, within, b, "Input")] = None

    def _end(self, graph: Table, within: str, name: str, kind: str) -> str:
        """The node that an edge really joins: that of its kind where it ends at a nested graph."""
        node = graph["nodes"].get(name.removeprefix(within))
        if node is None:
            raise UnknownName(f"'{self.path}': an edge names the node '{name}', which is not there.")
        if node["type"] != "NIRGraph":
            return name
        inside = [inner for inner, table in node["nodes"].items() if table["type"] == kind]
        if len(inside) != 1:
            raise NoCounterpart(f"'{self.path}': the nested graph '{name}' has {len(inside)} nodes of type {kind}; bioFA reads graphs with one.")
        return self._end(node, f"{name}.", f"{name}.{inside[0]}", kind)

    def _kind(self, name: str) -> str:
        return str(self.nodes[name]["type"])

    def _next(self, name: str, back: bool = False) -> list[str]:
        """What follows a node, or with `back` precedes it, past nodes that only hand on."""
        found: list[str] = []
        for edge in self.edges:
            one, other = reversed(edge) if back else edge
            if one == name:
                found += self._next(other, back) if self._kind(other) == "pass" else [other]
        return list(dict.fromkeys(found))

    def read(self) -> Imported:
        """The network.

        Raises:
            ModelError: naming the node that bioFA cannot describe.
        """
        known = {"Input", "Output", "pass", *_MAPS, *_NEURONS}
        for name in self.nodes:
            if self._kind(name) not in known:
                raise NoCounterpart(f"'{self.path}': the node '{name}' is a {self._kind(name)}; bioFA reads {', '.join(sorted(known - {'pass'}))}.")
        ends = {kind: [name for name in self.nodes if self._kind(name) == kind] for kind in ("Input", "Output")}
        for kind, names in ends.items():
            if len(names) != 1:
                raise NoCounterpart(f"'{self.path}' has {len(names)} nodes of type {kind}; bioFA reads graphs with one.")
        entry, exit_ = ends["Input"][0], ends["Output"][0]
        answers = self._next(exit_, back=True)
        if len(answers) != 1 or answers[0] == entry:
            raise NoCounterpart(f"'{self.path}': the node '{exit_}' must be reached from one node, not {len(answers)}, and not straight from '{entry}'.")
        spiking = any(_NEURONS.get(self._kind(name)) is Lif for name in self.nodes)
        self._check_steps()
        cells = [entry] + [n for n in self.nodes if self._kind(n) in _NEURONS or (self._kind(n) in _MAPS and not self._between(n))]
        size = int(np.prod(np.asarray(self.nodes[entry]["shape"])))
        populations, scales = [], {}
        for name in cells:
            if name == entry:
                populations.append(Population(name=self._name(name), size=size, neuron=PoissonSource() if spiking else RateSource()))
            else:
                population, scales[name] = self._population(name)
                populations.append(population)
        pathways, biases = self._pathways(cells, scales)
        self.lost += _skipping(list(pathways), self._name(entry))
        resetting = [name for name in self.nodes if _NEURONS.get(self._kind(name)) is Lif]
        if resetting:
            self.lost.append(
                f"the reset of {', '.join(map(repr, resetting))}: v is set to v_reset, as NIR defines LIF and CubaLIF; a graph does not name the reset of the tool that wrote it, "
                "and snnTorch, sinabs and rockpool subtract the threshold by default"
            )
        sent = {p.name: "train" if "s" in p.neuron.publishes else "r" for p in populations}
        units = {p.name: p.neuron.parameters()["max_rate" if p.neuron.shows else "unit_rate"] * self.dt if sent[p.name] == "train" else 1.0 for p in populations}
        joined = [
            Pathway(name=self._name(f"{a}_to_{b}"), source=a, target=b, carries=sent[a], weights=Values(values=matrix * units[a]))
            for (a, b), matrix in pathways.items()
        ]
        if biases:
            populations.append(Population(name="bias", size=1, neuron=ConstantSource()))
            joined += [Pathway(name=self._name(f"bias_to_{b}"), source="bias", target=b, weights=Values(values=column[:, np.newaxis])) for b, column in biases.items()]
            if any(self._name(entry) != a and b in biases for a, b in pathways):
                self.lost.append("timing of biases: in ours they act a step early for each layer below, whose spikes take as long to arrive; above the first layer spikes agree in the long run, not step by step")
        if spiking:
            self.lost.append(
                f"the spikes that the graph was fed with: {populations[0].name} is a poisson_source, a placeholder. For spikes of your own put spike_source in its place, "
                "and a task 'arrays' whose inputs (n, steps, size) hold 1 for a spike"
            )
        still = not any(p.neuron.state for p in populations)
        protocol = Protocol() if still else Protocol(dt=self.dt, presentation=PLACEHOLDER_STEPS * self.dt, reset=True)
        return Imported(described(self.path.stem, populations, joined, self._name(answers[0]), protocol, f"the NIR graph {self.path.name}"), tuple(self.lost))

    def _between(self, name: str) -> bool:
        """Whether a linear map only leads to neurons, so that it is the weights of pathways, not a population."""
        after = self._next(name)
        return bool(after) and all(self._kind(n) in _NEURONS for n in after)

    def _name(self, node: str) -> str:
        """A node's name as ours may be, the same each time."""
        if node not in self.names:
            plain = re.sub(r"[^a-z0-9]+", "_", node.lower()).strip("_") or "node"
            plain = plain if plain[0].isalpha() else f"node_{plain}"
            while plain in (*self.names.values(), *RESERVED, "bias", "target", "mismatch") or keyword.iskeyword(plain):
                plain += "_too"
            self.names[node] = plain
        return self.names[node]

    def _population(self, name: str) -> tuple[Population, tuple[Array, Array]]:
        """The population of a node; what its weights are multiplied by, neuron by neuron, and what it is driven by all the time."""
        node, kind = self.nodes[name], self._kind(name)
        if kind in _MAPS:
            return Population(name=self._name(name), size=len(self._map(name)[0]), neuron=StaticRate()), (np.ones(1), np.zeros(1))
        size = self._size(name)
        values: dict[str, Array] = {key: np.broadcast_to(np.asarray(node[key], dtype=float).ravel(), size) for key in PARAMETERS if key in node}
        tau = self._one(name, "tau_mem" if kind == "CubaLIF" else "tau", values)
        if kind == "LI":
            return Population(name=self._name(name), size=size, neuron=LeakyRate(tau=tau)), (values["r"], values["v_leak"])
        distance = values["v_threshold"] - values["v_leak"]
        if not (distance > 0).all():
            raise NoCounterpart(f"'{self.path}': the node '{name}' has its threshold at or below v_leak, so it would spike all the time, which bioFA cannot describe.")
        values["v_reset"] = (values["v_reset"] - values["v_leak"]) / distance
        neuron = Lif(
            tau=tau, tau_syn=self._one(name, "tau_syn", values) if kind == "CubaLIF" else self.dt, v_reset=self._one(name, "v_reset", values),
            refractory_period=0.0, decay="euler", reset="to_value", test="above",
        )
        return Population(name=self._name(name), size=size, neuron=neuron), (values["r"] * values.get("w_in", np.ones(1)) / distance, np.zeros(1))

    def _size(self, name: str) -> int:
        """How many neurons a node has: as many as its parameters have values, or, where each has one, as what reaches it.

        Raises:
            WrongShape: if they disagree.
        """
        node = self.nodes[name]
        if self._kind(name) == "Input":
            return int(np.prod(np.asarray(node["shape"])))
        if self._kind(name) in _MAPS:
            weights = _MAPS[self._kind(name)](node)[0]
            return self._size(self._next(name, back=True)[0]) if weights.shape == (1, 1) and self._kind(name) == "Scale" and self._next(name, back=True) else weights.shape[0]
        sizes = {key: np.asarray(node[key]).size for key in PARAMETERS if key in node}
        wanted = {size for size in sizes.values() if size != 1}
        if not wanted:
            before = [one for one in self._next(name, back=True) if one != name and self._kind(one) in (*_MAPS, "Input")] or self._next(name, back=True)
            if not before or before == [name]:
                return 1
            return self._size(before[0])
        if len(wanted) > 1:
            raise WrongShape(f"'{self.path}': the parameters of the node '{name}' have different numbers of values: {', '.join(f'{key} {size}' for key, size in sizes.items())}. Give each one, or one a neuron.")
        return wanted.pop()

    def _check_steps(self) -> None:
        """Refuse time constants shorter than the step: under Euler v would be multiplied by 1 - dt/tau < 0 in every step.

        Raises:
            NoCounterpart: naming the node.
        """
        for name, node in self.nodes.items():
            for key in ("tau", "tau_mem", "tau_syn") if self._kind(name) in _NEURONS else ():
                if key in node and (shortest := float(np.min(np.asarray(node[key], dtype=float)))) < self.dt * (1 - ALIKE):
                    raise NoCounterpart(
                        f"'{self.path}': {key} of the node '{name}' is {shortest:g} s, shorter than the time step of {self.dt:g} s, under which an Euler step multiplies by "
                        f"{1 - self.dt / shortest:.3g}. Put a 'dt' of at most {shortest:g} s in the graph's metadata."
                    )

    def _map(self, name: str) -> tuple[Array, Array | None]:
        """The weights `(n_post, n_pre)` and the bias `(n_post,)` of a linear map; one value stands for all.

        Raises:
            WrongShape: if the bias has another size.
        """
        matrix, bias = _MAPS[self._kind(name)](self.nodes[name])
        if self._kind(name) == "Scale" and matrix.size == 1:
            matrix = float(matrix[0, 0]) * np.eye(self._size(name))
        if bias is not None and bias.size not in (1, len(matrix)):
            raise WrongShape(f"'{self.path}': the node '{name}' has weights of shape {matrix.shape} and a bias of shape {bias.shape}. Give one bias a row, or one for all.")
        return matrix, None if bias is None else np.broadcast_to(bias.ravel(), len(matrix))

    def _one(self, name: str, key: str, values: Mapping[str, Array]) -> float:
        """The value that all neurons of a node share."""
        array = values[key]
        if not np.allclose(array, array[0], rtol=ALIKE, atol=ALIKE * (key == "v_reset")):
            raise NoCounterpart(f"'{self.path}': the neurons of the node '{name}' differ in {key}, {array.min():g} to {array.max():g}; a population of bioFA has one value for all.")
        return float(array[0])

    def _pathways(self, cells: list[str], scales: Mapping[str, tuple[Array, Array]]) -> tuple[dict[tuple[str, str], Array], dict[str, Array]]:
        """The weights between populations, and their biases, as drive for what is sent in a step."""
        pathways: dict[tuple[str, str], Array] = {}
        biases: dict[str, Array] = {}

        def add(table: dict[Any, Array], key: Any, values: Array, place: str) -> None:
            if key in table and table[key].shape != values.shape:
                raise WrongShape(f"'{self.path}': what reaches the node '{place}' has the shapes {table[key].shape} and {values.shape}, which must be one.")
            table[key] = table.get(key, 0.0) + values

        for name in cells[1:]:
            scale, drive = scales[name]
            target = self._name(name)
            before = [name] if self._kind(name) in _MAPS else self._next(name, back=True)
            if not before:
                raise MissingSignal(f"'{self.path}': nothing reaches the node '{name}'.")
            for one in before:
                mapped = self._kind(one) in _MAPS and (one == name or one not in cells)
                matrix, bias = self._map(one) if mapped else (np.eye(self._size(name)), None)
                if matrix.shape[0] != len(scale) and len(scale) > 1:
                    raise WrongShape(f"'{self.path}': the node '{one}' has weights of shape {matrix.shape}, and '{name}', which it leads to, has {len(scale)} neurons.")
                for source in self._next(one, back=True) if mapped else [one]:
                    add(pathways, (self._name(source), target), scale.reshape(-1, 1) * matrix, name)
                if bias is not None and bias.any():
                    add(biases, target, scale * bias, name)
            if drive.any():
                add(biases, target, drive, name)
        return pathways, biases


def _affine_of(node: Table) -> tuple[Array, Array | None]:
    return _two_dimensional(np.asarray(node["weight"], dtype=float)), np.asarray(node["bias"], dtype=float)


def _linear_of(node: Table) -> tuple[Array, Array | None]:
    return _two_dimensional(np.asarray(node["weight"], dtype=float)), None


def _two_dimensional(weight: Array) -> Array:
    if weight.ndim != 2:
        raise WrongShape(f"weights of a graph must be matrices (n_post, n_pre); got the shape {weight.shape}.")
    return weight


def _scale_of(node: Table) -> tuple[Array, Array | None]:
    return np.diag(np.asarray(node["scale"], dtype=float).ravel()), None


def _skipping(pathways: list[tuple[str, str]], entry: str) -> list[str]:
    """What is to be told of pathways that skip a layer: there spikes pass all layers in one step, here each layer takes a step."""
    depth = {entry: 0}
    for _ in range(len(pathways) + 1):  # the longest way from the entry; recurrence would make it endless
        for a, b in pathways:
            if a != b and a in depth and depth[a] + 1 > depth.get(b, -1) and depth[a] + 1 <= len({end for edge in pathways for end in edge}):
                depth[b] = depth[a] + 1
    skips = [(a, b) for a, b in pathways if a in depth and b in depth and depth[b] - depth[a] > 1]
    return [
        f"timing of {a}_to_{b}, which skips {depth[b] - depth[a] - 1} layer{'s' if depth[b] - depth[a] > 2 else ''}: here every pathway takes a step, so that its spikes arrive so many "
        "steps before those of the same stimulus that pass the layers between" for a, b in skips
    ]


_MAPS = {"Affine": _affine_of, "Linear": _linear_of, "Scale": _scale_of}
"""Linear maps: their weights (n_post, n_pre) and bias (n_post,)."""
_NEURONS: dict[str, Any] = {"LIF": Lif, "CubaLIF": Lif, "LI": LeakyRate}
"""Neurons, and what they are here."""
USED = {
    "Input": ("shape",), "Output": ("shape",), "Affine": ("weight", "bias"), "Linear": ("weight",), "Scale": ("scale",),
    "LIF": ("tau", "r", "v_leak", "v_threshold", "v_reset"), "LI": ("tau", "r", "v_leak"),
    "CubaLIF": ("tau_mem", "tau_syn", "r", "w_in", "v_leak", "v_threshold", "v_reset"),
}
"""What of a node of each kind is read."""
PARAMETERS = ("tau", "tau_mem", "tau_syn", "r", "w_in", "v_leak", "v_threshold", "v_reset")
"""Values of which a node of neurons has one a neuron, or one for all."""
