"""NIR, the Neuromorphic Intermediate Representation (Pedersen et al. 2024, Nat. Commun. 15:8122):
the part of a network that answers, as a graph, both ways.

    Lif            CubaLIF   tau_syn dI/dt = -I + w_in S      tau_mem dv/dt = -v + r I
                             r = tau_mem/dt, w_in = tau_syn/dt
    Lif            LIF       tau dv/dt = -v + r I             r = 1; with decay = "euler" and tau_syn = dt,
                             whose current keeps nothing
    LeakyRate      LI        tau dv/dt = -v + r I             r = 1
    StaticRate     nothing: what arrives is what it sends on
    pathways       Affine    weight (n_post, n_pre), bias (n_post,), the bias being what constant sources send

NIR is continuous in time; its tools make Euler steps of a dt that they choose, in which S is 1 for a spike. So
weights hang on dt. A pathway of ours with weights w brings its target the drive w g S in such a step, with
g = 1/(unit_rate dt) where it carries `train`, and 1 where it carries `s` or a rate. `Lif` makes I jump by drive
dt/tau_syn, and v move by dt/tau of I, so in the convention above

    weight = w g (dt/tau_syn) (dt/tau)   before a CubaLIF            weight = w g   before LIF, LI and static units

A pathway from a population to itself makes a nested graph (input, lif, w_rec, output), the form that all tools read
alike; there a LIF is written as CubaLIF with tau_syn = dt, which is the same neuron, since snnTorch and norse read r of
a nested LIF differently. All sources stand side by side in the one Input, in the order of the metadata's `sources`.
Nodes are named so that their alphabetical order, in which HDF5 gives them back, is an order of the network.
Metadata of the graph: `dt` (s), `schedule`, `sources`, and `bioFA` (see `base.py`).

A network in which time passes is written whole, by `nir_free.py`.

What is read and how stands in `nir_file.py` (the file) and `nir_reader.py` (graphs of others).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bioFA.errors import DamagedFile, NoCounterpart
from bioFA.exchange import expected
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
from bioFA.exchange.nir_file import Contents, Table, contents
from bioFA.exchange.nir_free import FreeGraph
from bioFA.exchange.nir_reader import ALIKE, Reader
from bioFA.instance import Instance
from bioFA.network import Pathway, Population
from bioFA.neurons import NeuronModel
from bioFA.neurons.counterparts import CurrentLif, RateUnit
from bioFA.optional import Package
from bioFA.runs.trained import Trained
from bioFA.system.atomic import written_whole
from bioFA.units import steps_of

Array = np.ndarray
NIR = Package("NIR", "nir", "nir")
FORMAT = Format(
    "the part that answers as a NIR graph, for snnTorch, norse, SpikingJelly and others; without a task, the whole"
    " network",
    ".nir",
    reads=True,
    package=NIR,
    holds_free=True,
    holds_delays=False,
    tools={
        "PyTorch": "torch==2.13.0", "NIR": "nir==1.0.8", "nirtorch": "nirtorch==2.6", "snnTorch": "snntorch==1.0.0",
        "norse": "norse==1.1.0", "SpikingJelly": "spikingjelly==2.0.0",
    },
)
SCHEDULE = "input, decay, threshold, reset; a layer hears the layer below one step later"


class _Place(NamedTuple):
    """Where in a graph the weights of a pathway stand: node by node, the field, which columns of it,
    and how many times ours they are."""

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
    nodes_of: dict[str, str] = field(default_factory=dict)
    """The node of neurons of each population that has one."""
    lag: dict[str, int] = field(default_factory=dict)
    """By how many steps a population is later here than in tools that pass spikes through all layers within a step."""
    late: dict[str, int] = field(default_factory=dict)
    """By how many steps what a pathway brings arrives later there than here,
    beside what passes through spiking layers."""

    def graph(self) -> Table:
        """The graph without its metadata."""
        return {"type": "NIRGraph", "nodes": self.nodes, "edges": self.edges}


def export(trained: Trained, path: Path) -> Exported:
    """Write the graph of the part that answers.

    Raises:
        MissingError: if NIR is not installed.
        ModelError: if a neuron model, a pathway or a loop has no counterpart in NIR.
    """
    nir = NIR.require("export to NIR")
    network, protocol = trained.experiment.network, trained.experiment.protocol
    if trained.experiment.free:
        return _export_free(trained, path, nir)
    written = _write(trained)
    metadata: Table = {**_metadata(trained, written), ANNOTATION: annotation(trained)}
    lost = written.lost
    if not network.is_static():
        lost = [
            (
                f"dt ({protocol.step:g} s), on which weights and time constants hang: NIR has no word for it. It stands"
                " in the metadata; norse and SpikingJelly must be told, and snnTorch 1.0 takes every graph for one of"
                " 0.0001 s"
            ),
            *lost,
        ]
    graph = nir.dict2NIRNode(_copied(written.graph()) | {"metadata": metadata})
    recipe, missing = expected.attempt(trained, lambda drawn: _recipe(trained, drawn, path, written))
    with (
        expected.written_beside(path, f"{path.name}: {trained.experiment.name} as a NIR graph", recipe) as companions,
        written_whole(path) as partial,
    ):
        nir.write(partial, graph)
    return Exported((path, *companions), (*lost, *learning_lost(network, "the metadata"), *missing))


def _export_free(trained: Trained, path: Path, nir: Any) -> Exported:
    """Write the graph of a network in which time passes."""
    free = FreeGraph(trained)
    metadata = {**free.metadata, ANNOTATION: annotation(trained)}
    graph = nir.dict2NIRNode(_copied(_free(free).graph()) | {"metadata": metadata})
    recipe = free.recipe(path, FORMAT.requirements("NIR", "numpy"))
    with (
        expected.written_beside(path, free.title(path, trained), recipe) as companions,
        written_whole(path) as partial,
    ):
        nir.write(partial, graph)
    return Exported((path, *companions), tuple(free.lost))


def _free(free: FreeGraph) -> _Written:
    """The graph of a network in which time passes, as one that is written."""
    return _Written(nodes=free.nodes, edges=free.edges)


def _as_in_tools(neuron: NeuronModel) -> NeuronModel:
    """A neuron as the tools step it."""
    return stepped(
        neuron, decay="euler", reset="to_value", test="above", refractory_period=0.0, activation="linear"
    )


def _recipe(trained: Trained, drawn: Instance, path: Path, written: _Written) -> expected.Recipe:
    """How the tools run the graph on a few examples: nodes of neurons, and what the graph gives, in their steps."""
    network = trained.experiment.network
    sources = [network.population(name.split()[0]) for name in written.sources]
    readout = network.population(network.readout.population)
    watched = {
        expected.sends(p): name
        for name, p in [
            *((node, network.population(name)) for name, node in written.nodes_of.items()),
            ("output", readout),
        ]
    }
    found = expected.answers(trained, drawn, [*map(expected.sends, sources), *watched], _as_in_tools, written.late)
    steps = trained.experiment.protocol.steps - max(written.lag.values())
    arrays = {"input": np.concatenate([found[str(expected.sends(p))] for p in sources], axis=2)[:, :steps]}
    arrays |= {name: found[str(node)][:, written.lag[node.population] :][:, :steps] for node, name in watched.items()}
    kinds = [network.population(name).neuron.counterpart() for name in written.nodes_of]
    leaky = any(isinstance(kind, RateUnit) and kind.tau is not None for kind in kinds)
    script = (
        (_OPENING + (_NIRTORCH if leaky else _TOOLS) + _COMPARE)
        .replace("@FILE@", path.name)
        .replace("@EXPECTED@", expected.beside(path)[1].name)
    )
    programs = (*(() if leaky else ("norse", "snnTorch", "SpikingJelly")), "PyTorch", "NIR", "nirtorch", "numpy")
    return expected.Recipe(
        FORMAT.requirements(*programs),
        "",
        script,
        f"every spike in its step; rates within {expected.NEAR:g} of the largest; in float64",
        arrays,
    )


def _metadata(trained: Trained, written: _Written) -> Table:
    """What the graph's metadata say beside the annotation."""
    known: Table = {"schedule": SCHEDULE, "sources": ", ".join(written.sources)}
    return known if trained.experiment.network.is_static() else known | {"dt": trained.experiment.protocol.step}


def _write(trained: Trained) -> _Written:
    """The graph, where each pathway's weights are in it, and what it could not say."""
    network, dt = trained.experiment.network, trained.experiment.protocol.step
    part, out = forward(network), _Written()
    sources = [p for p in part.populations if p.neuron.shows not in (None, "one")]
    layers = [p for p in part.populations if p.neuron.shows is None]
    readout = network.readout
    if not sources or not layers:
        raise NoCounterpart(
            "nothing meaningful would remain in NIR: no pathway leads from a source to the readout. Export to another"
            " format."
        )
    out.lag, out.late = expected.passing(part)
    columns, ends, lag = {}, {}, out.lag
    total = 0
    for source in sources:
        columns[source.name] = slice(total, total + source.size)
        total += source.size
        ends[source.name] = "input"
        what = "spikes, 1 in the step of each" if "s" in source.neuron.publishes else "values"
        out.lost.append(
            f"the source {source.name} ({source.neuron.family_name}): a graph is fed from outside, here with {what}"
        )
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
                    f"pathway '{pathway.name}' closes a loop over several populations, which the tools that read NIR"
                    " step through differently. Recurrence within one population can be written."
                )
        if max(len(inner), len(biases)) > 1:
            several = ", ".join(p.name for p in (inner if len(inner) > 1 else biases))
            raise NoCounterpart(
                f"population '{population.name}': NIR has one place for what {several} carry. Make them one pathway."
            )
        table, factor = _neuron(population, dt, readout.population, bool(inner), out.lost)
        prefix, lags = f"l{level:0{width}}", [lag[p.source] for p in outer] + [0] * bool(biases)
        if len(set(lags)) > 1:
            early = [p.name for p, steps in zip([*outer, *biases], lags, strict=True) if steps < max(lags)]
            out.lost.append(
                f"timing at {population.name}: what {', '.join(early)} brings acts at once here, but"
                f" {max(lags) - min(lags)} steps later than that, beside spikes that take as long to arrive, in tools"
                " that pass spikes through all layers within a step; spikes agree in the long run, not step by step"
            )
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
            out.nodes_of[population.name] = name
            out.nodes[name] = _nested(trained, table, population, inner[0], factor, name, out) if inner else table
            out.edges += [(one, name) for one in names]
    out.nodes["output"] = {"type": "Output", "shape": np.array([network.population(readout.population).size])}
    out.edges.append((ends[readout.population], "output"))
    neuron = network.population(readout.population).neuron
    if "s" in neuron.publishes:
        out.lost.append(
            f"the readout {readout}, spikes low-passed with tau_trace = {neuron.parameters()['tau_trace']:g} s: the"
            " graph gives the spikes"
        )
    if any(
        trained.state[name].any() for name in (f"{p.name}.{variable}" for p in layers for variable in p.neuron.state)
    ):
        out.lost.append("the state of the neurons: a graph begins at rest")
    return out


def _affine(
    trained: Trained,
    population: Population,
    group: list[Pathway],
    bias: Pathway | None,
    factor: float,
    columns: Mapping[str, slice],
    total: int,
    name: str,
    out: _Written,
) -> Table:
    """The node of all pathways that come from one node, with the bias that stands with them.

    norse steps through a graph in which two nodes lead from one population to another in another order,
    so there is one.
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


def _nested(
    trained: Trained, table: Table, population: Population, pathway: Pathway, factor: float, name: str, out: _Written
) -> Table:
    """A population and its pathway to itself as a graph of their own."""
    scale = factor * gain(trained.experiment.network, pathway, trained.experiment.protocol.step)
    recurrent = {"type": "Affine", "weight": scale * matrix(trained, pathway), "bias": np.zeros(population.size)}
    out.places.append(_Place(pathway.name, (name, "w_rec"), "weight", slice(None), scale))
    shape = np.array([population.size])
    return {
        "type": "NIRGraph",
        "edges": [("input", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "output")],
        "nodes": {
            "input": {"type": "Input", "shape": shape},
            "lif": table,
            "output": {"type": "Output", "shape": shape},
            "w_rec": recurrent,
        },
    }


def _neuron(
    population: Population, dt: float, readout: str, recurrent: bool, lost: list[str]
) -> tuple[Table | None, float]:
    """A population's node, None where it needs none, and by how much its weights are scaled.

    Raises:
        ModelError: if NIR has no such neuron.
    """
    kind = population.neuron.counterpart()
    if isinstance(kind, RateUnit):
        return _rate_unit(kind, population, dt, readout, lost), 1.0
    if isinstance(kind, CurrentLif):
        return _lif(kind, population, dt, recurrent, lost)
    raise NoCounterpart(
        f"population '{population.name}': NIR has no neuron like {type(population.neuron).__name__}, and without it"
        " nothing meaningful would remain. It has linear rate units and current-based integrate-and-fire neurons."
        " Export to another format."
    )


def _rate_unit(kind: RateUnit, population: Population, dt: float, readout: str, lost: list[str]) -> Table | None:
    """The node of a rate unit; None where it has no time constant."""
    name = population.name
    if kind.activation != "linear":
        if name != readout:
            raise NoCounterpart(
                f"population '{name}': NIR has no rate function such as {kind.activation}, and without it nothing"
                " meaningful of what follows would remain. Export to another format, or make the population linear."
            )
        lost.append(
            f"the {kind.activation} of {name}: NIR has no rate functions; the graph gives what it is a function of"
        )
    if kind.tau is None:
        return None
    if kind.decay == "exact":
        lost.append(_exact(name, kind.tau, dt))
    tau, one, zero = (np.full(population.size, value) for value in (kind.tau, 1.0, 0.0))
    return {"type": "LI", "tau": tau, "r": one, "v_leak": zero}


def _exact(name: str, tau: float, dt: float) -> str:
    """Say that the tools make Euler steps."""
    return (
        f"exact decay of {name}: the tools make Euler steps, with 1 - dt/tau = {1 - dt / tau:.6g} for"
        f" exp(-dt/tau) = {np.exp(-dt / tau):.6g}"
    )


def _lif(
    kind: CurrentLif, population: Population, dt: float, recurrent: bool, lost: list[str]
) -> tuple[Table, float]:
    """The node of integrate-and-fire neurons, and by how much their weights are scaled."""
    name = population.name

    def each(value: float) -> Array:
        return np.full(population.size, value)

    if kind.decay == "exact":
        lost.append(_exact(name, kind.tau, dt))
    if steps_of(kind.refractory_period, dt) > 0:
        lost.append(
            f"the refractory period of {name} ({kind.refractory_period:g} s): NIR has none; the neurons may spike"
            " again in the next step"
        )
    if kind.reset == "subtract":
        lost.append(f"the reset of {name}: what lies above the threshold is lost, since NIR resets to a value")
    if kind.test == "reach":
        lost.append(f"the threshold test of {name}: NIR has v > 1, not v >= 1")
    if kind.v_reset != 0:
        lost.append(f"v_reset of {name} ({kind.v_reset:g}): it stands in the node, but norse and snnTorch reset to 0")
    common: Table = {"r": each(1.0), "v_leak": each(0.0), "v_threshold": each(1.0), "v_reset": each(kind.v_reset)}
    memoryless = kind.decay == "euler" and abs(kind.tau_syn / dt - 1) < ALIKE
    if memoryless and not recurrent:
        return {"type": "LIF", "tau": each(kind.tau), **common}, 1.0
    steps, steps_syn = kind.tau / dt, kind.tau_syn / dt
    cuba = {
        "type": "CubaLIF",
        "tau_mem": each(kind.tau),
        "tau_syn": each(kind.tau_syn),
        **common,
        "r": each(steps),
        "w_in": each(steps_syn),
    }
    return cuba, 1.0 / (steps * steps_syn)


def _copied(table: Table) -> Table:
    """The same tables; NIR takes entries out of those that it is given."""
    return {name: _copied(value) if isinstance(value, dict) else value for name, value in table.items()}


def load(path: Path) -> Imported:
    """Read a graph that bioFA wrote, or one of others made of Input, Output, Affine, Linear, Scale, LIF,
    CubaLIF and LI.

    Raises:
        MissingError: if NIR is not installed.
        FileError: if the file is damaged.
        ModelError: if a node, or how the nodes are joined, is nothing that bioFA can describe.
    """
    NIR.require("import of NIR")
    found = contents(path)
    noted = found.graph.get("metadata", {}).get(ANNOTATION)
    if noted is None:
        return Reader(path, found).read()
    if not isinstance(noted, Mapping):
        raise DamagedFile(
            f"the annotation '{ANNOTATION}' of '{path}' is damaged (it is no table). Export the network again, or take"
            " the annotation out."
        )
    return _annotated(annotated(noted, {}, path), found, path)


def _annotated(trained: Trained, held: Contents, path: Path) -> Imported:
    """The network of the annotation, with weights from the graph where they were changed there."""
    found = held.graph
    try:
        if trained.experiment.free:
            free = FreeGraph(trained)
            written, known = _free(free), free.metadata
        else:
            written = _write(trained)
            known = _metadata(trained, written)
    except KeyError as error:
        raise DamagedFile(
            f"the annotation '{ANNOTATION}' of '{path}' is damaged (it lacks {error}). Export the network again, or"
            " take the annotation out."
        ) from None
    expected = written.graph()
    ours, theirs = dict(_fields(expected)), dict(_fields(found))
    same = dict(_kinds(expected)) == dict(_kinds(found)) and Counter(expected["edges"]) == Counter(found["edges"])
    if ours.keys() - theirs.keys() or not same:
        raise DamagedFile(
            f"'{path}' is no longer the graph that its annotation '{ANNOTATION}' describes: nodes or edges have"
            " changed. Take the annotation out, or export the network again."
        )
    held.ledger.take("graph", "nodes", "edges")
    for *within, last in ours:
        held.ledger.take(f"node '{'/'.join(within)}'", last)
    held.ledger.take("metadata", ANNOTATION, *known)
    changes = [
        f"metadata: {name} was changed after bioFA wrote it; the noted value stays"
        for name, value in known.items()
        if not np.array_equal(found["metadata"].get(name, value), value)
    ]
    changed = {key for key, value in ours.items() if not np.array_equal(value, theirs[key])}
    state, lost, done = dict(trained.state), changes, set()
    network = trained.experiment.network
    for place in written.places:
        key = (*place.nodes, place.field)
        if key not in changed:
            continue
        pathway, name = network.pathway(place.pathway), f"{place.pathway}.w"
        if theirs[key].shape != ours[key].shape:
            raise DamagedFile(
                f"'{path}': '{'.'.join(key)}' must have the shape {ours[key].shape}; got {theirs[key].shape}. It was"
                " changed after bioFA wrote it."
            )
        if name not in state or (place.field == "bias" and network.shape(pathway)[1] > 1):
            lost.append(
                f"{'.'.join(key)} was changed after bioFA wrote it; {place.pathway} has no weights of its own for it,"
                " so the old ones stay"
            )
            continue
        new, old = (values[key][..., place.columns].reshape(state[name].shape) for values in (theirs, ours))
        # of pathways side by side the first takes the change
        if not np.array_equal(new, old) and (key, place.columns.start) not in done:
            done.add((key, place.columns.start))
            state[name] = np.where(new == old, state[name], state[name] + (new - old) / place.factor)
            lost.append(
                f"the weights that bioFA had noted for {place.pathway}: {np.count_nonzero(new != old)} of them were"
                " changed in the graph after it was written; the graph's are taken"
            )
    placed = {(*place.nodes, place.field) for place in written.places}
    lost += [
        f"{'.'.join(key)} was changed after bioFA wrote it; the noted value stays" for key in sorted(changed - placed)
    ]
    return Imported(replace(trained, state=state), (*lost, *held.ledger.rest()))


def _kinds(graph: Table, within: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The type of every node, and the edges of every graph in it, by its place."""
    for name, node in graph["nodes"].items():
        yield (*within, name), node["type"]
        if node["type"] == "NIRGraph":
            yield (*within, name, "edges"), Counter(map(tuple, node["edges"]))
            yield from _kinds(node, (*within, name))


def _fields(graph: Table, within: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Array]]:
    """Every array of every node, by its place."""
    for name, node in graph["nodes"].items():
        if node["type"] == "NIRGraph":
            yield from _fields(node, (*within, name))
        else:
            yield from (
                ((*within, name, key), np.asarray(value))
                for key, value in node.items()
                if key not in ("type", "metadata", "input_type", "output_type")
            )


_OPENING = """import functools
import sys
import nir
import nirtorch
import numpy as np
import torch

torch.set_default_dtype(torch.float64)
graph, expected, heard = nir.read("@FILE@"), dict(np.load("@EXPECTED@")), {}
dt = float(graph.metadata.get("dt", 1e-4))
"""
_TOOLS = """torch.Tensor.float = torch.Tensor.double  # norse and snnTorch cast to float32, whatever the precision
tool = sys.argv[1] if len(sys.argv) > 1 else "norse"  # or snntorch, or spikingjelly
if tool == "norse":
    from norse.torch import from_nir
    model = from_nir(graph, dt=dt)
elif tool == "spikingjelly":
    from spikingjelly.activation_based.nir_exchange import import_from_nir
    model = import_from_nir(graph, dt=dt, dtype=torch.float64)
else:
    from snntorch.import_nir import import_from_nir
    for node in [inner for node in graph.nodes.values() for inner in (node, *getattr(node, "nodes", {}).values())]:
        for name in {"tau", "tau_mem", "tau_syn"} & set(vars(node)):  # which it takes as if the step were 0.1 ms
            setattr(node, name, getattr(node, name) * 1e-4 / dt)
    nirtorch.nir_to_torch = functools.partial(nirtorch.nir_to_torch, dtype=torch.float64)
    model = import_from_nir(graph)
"""
_NIRTORCH = """class Leaky(torch.nn.Module):  # tau dv/dt = v_leak - v + r I, in Euler steps: an LI, which norse, snnTorch and SpikingJelly do not read
    def __init__(self, node):
        super().__init__()
        self.tau, self.r, self.v_leak = (torch.from_numpy(array) for array in (node.tau, node.r, node.v_leak))

    def forward(self, current, state=None):
        v = torch.zeros_like(current) if state is None else state
        v = v + dt / self.tau * (self.v_leak - v + self.r * current)
        return v, v

def affine(node):
    layer = torch.nn.Linear(*node.weight.shape[::-1])
    layer.load_state_dict({"weight": torch.from_numpy(node.weight), "bias": torch.from_numpy(node.bias)})
    return layer

model = nirtorch.nir_to_torch(graph, {nir.LI: Leaky, nir.Affine: affine}, dtype=torch.float64)
"""  # noqa: E501
_COMPARE = """for name, module in model.named_modules():
    if name in expected and name not in ("input", "output"):
        module.register_forward_hook(lambda module, given, answer, name=name: heard.setdefault(name, []).append(answer[0] if isinstance(answer, tuple) else answer))
state, rows = None, torch.from_numpy(expected.pop("input"))
with torch.no_grad():
    for step in range(rows.shape[1]):
        answer, state = model(rows[:, step], state)
        heard.setdefault("output", []).append(answer)
for name, array in expected.items():
    difference = abs(torch.stack(heard[name], dim=1).numpy() - array)
    print(f"{name}: {np.count_nonzero(difference > @NEAR@ * abs(array).max())} of {array.size} values differ")
    assert difference.max() <= @NEAR@ * abs(array).max(), name
""".replace("@NEAR@", f"{expected.NEAR:g}")  # noqa: E501
