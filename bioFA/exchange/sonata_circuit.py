"""A SONATA circuit as it stands on disk, and as a network of ours: what it holds is used, named or
refused.

    node_types_file     model_type, model_template, dynamics_params and columns named as parameters, by node_type_id
    nodes_file          node_id, node_type_id, and groups of attributes of single nodes
    edge_types_file     syn_weight, nsyns, delay, model_template, by edge_type_id
    edges_file          source_node_id, target_node_id, edge_type_id, and groups of attributes of single edges, which
                        win over types
    run.dt              of the simulation's configuration, ms

Neurons are `nest:iaf_psc_exp`, sources virtual nodes. Times are in ms, potentials in mV, currents in pA, capacities in
pF. Several node types of a population become several populations. `docs/formats/sonata.md` has every attribute.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from bioFA.errors import DamagedFile, MissingField, MissingSignal, NoCounterpart, NoSuchFile, UnknownName
from bioFA.exchange.base import ANNOTATION, Imported, Ledger, described
from bioFA.exchange.sonata_timing import out_of_step
from bioFA.experiment import Protocol
from bioFA.expressions import RESERVED
from bioFA.network import Pathway, Population
from bioFA.neurons.constant_source import ConstantSource
from bioFA.neurons.lif import Lif
from bioFA.neurons.poisson_source import PoissonSource
from bioFA.system.untrusted_hdf5 import inspect
from bioFA.weights import Values

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray
MASTER = "config.json"
"""Names the circuit's configuration and the simulation's, in the examples of SONATA."""
CIRCUIT, SIMULATION = "circuit_config.json", "simulation_config.json"
LIF = "nest:iaf_psc_exp"
STATIC = ("static_synapse", "nest:static_synapse")
DEFAULTS = {
    "C_m": 250.0, "tau_m": 10.0, "E_L": -70.0, "V_th": -55.0, "V_reset": -70.0,
    "tau_syn_ex": 2.0, "tau_syn_in": 2.0, "t_ref": 2.0, "I_e": 0.0,
}
"""NEST's own for iaf_psc_exp, in pF, ms, mV and pA."""
OF_EDGES = ("syn_weight", "delay", "nsyns")
LEFT_OUT = {"nsyns": 1.0, "delay": math.nan}
"""What holds of an edge for which a file gives none while it does for others."""
PLACEHOLDER_STEPS = 100
"""Steps of a presentation of a network that was read, until its user says otherwise."""
APART = 1e-5
"""Share by which tau_syn is moved where it equals tau_m: the exact solution divides by their difference."""


def configurations(path: Path) -> tuple[Path, Path]:
    """The circuit's configuration and the simulation's: by their usual names, as a master configuration names them,
    or one file that is both.

    Raises:
        NoSuchFile: if a folder holds no configuration.
        UnknownName: if it holds several and none has a usual name.
    """
    configuration = path if path.is_file() else _configuration_in(path)
    named, beside = resolved(configuration), configuration.parent
    own = configuration if "run" in named else beside / SIMULATION
    if "networks" in named or "network" not in named:
        return configuration, own
    return beside / str(named["network"]), beside / str(named["simulation"]) if "simulation" in named else own


def _configuration_in(folder: Path) -> Path:
    """The configuration of the circuit in a folder: that of a usual name, or the only one,
    as bmtk's `config.pointnet.json` is."""
    for name in (CIRCUIT, MASTER):
        if (folder / name).is_file():
            return folder / name
    found = {
        place: content
        for place in sorted(folder.glob("*.json"))
        if {"networks", "network"} & set(content := resolved(place))
    }
    whole = [place for place, content in found.items() if {"run", "network"} & set(content)] or list(found)
    if not whole:
        raise NoSuchFile(
            f"'{folder}' holds no configuration of a SONATA circuit. Give the folder that holds {CIRCUIT}, or the"
            " configuration itself."
        )
    if len(whole) > 1:
        raise UnknownName(
            f"'{folder}' holds {len(whole)} configurations: {', '.join(place.name for place in whole)}. Give one of"
            " these files in place of the folder."
        )
    return whole[0]


def _object(path: Path, what: str, ask: str = "") -> dict[str, Any]:
    """The object that a JSON file holds.

    Raises:
        DamagedFile: if it is no JSON, or holds anything else than `what`; `ask` ends the message.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DamagedFile(f"'{path}' is no JSON ({error}). Mend it, or write it again.") from None
    if not isinstance(content, dict):
        raise DamagedFile(f"'{path}' must hold {what}; got {type(content).__name__}.{ask}")
    return content


def resolved(configuration: Path) -> dict[str, Any]:
    """A configuration with the variables of its manifest put in.

    Raises:
        DamagedFile: if it is no JSON object.
    """
    content = _object(configuration, "a JSON object", " Is it a configuration?")
    manifest = {str(name).strip("${}"): str(text) for name, text in content.pop("manifest", {}).items()}
    manifest |= {"configdir": str(configuration.parent.absolute())}

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


@dataclass
class Nodes:
    """A node population: ids, and the type of each."""

    ids: Array
    of: Array
    types: pd.DataFrame


@dataclass
class Edges:
    """An edge population: ends, and the values of each edge that it or its type gives, by name.
    Without ends where the file has none."""

    source: str = ""
    target: str = ""
    pre: Array = field(default_factory=lambda: np.zeros(0, dtype=int))
    post: Array = field(default_factory=lambda: np.zeros(0, dtype=int))
    values: dict[str, Array] = field(default_factory=dict)
    synapses: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()
    """Names of functions of the simulator that make weights."""


@dataclass
class _Cells:
    """The neurons of one type of one population, and the population of ours that they become: its name,
    and their first place in it."""

    name: str
    first: int
    ids: Array
    scale: float = 1.0
    """The weight here of a `syn_weight` of 1 that arrives."""
    tonic: float = 0.0


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _types(file: Path, key: str) -> pd.DataFrame:
    """The types of nodes or edges by their id.

    Raises:
        DamagedFile: if there is no column of ids, or one stands twice.
    """
    import pandas as pd  # late, since it takes a third of a second

    table = pd.read_csv(file, sep=r"\s+", na_values=["NULL"], keep_default_na=False)
    if key not in table.columns:
        raise DamagedFile(
            f"'{file}' has no column {key}; got {', '.join(map(str, table.columns))}. Columns are separated by blanks."
        )
    table = table.set_index(key)
    if table.index.has_duplicates:
        twice = table.index[table.index.duplicated()][0]
        raise DamagedFile(f"'{file}' holds the {key} {twice} twice. Give each type an id of its own.")
    return table


class Circuit:
    """What the files of a circuit hold, with a ledger of what of it is used.

    Args:
        configuration: of the circuit.
        simulation: the simulation's configuration, which may be missing.

    Raises:
        DamagedFile: if a file contradicts itself or another.
        ModelError: if nodes have no type.
    """

    def __init__(self, configuration: Path, simulation: Path):
        self.configuration, self.simulation = configuration, simulation
        self.content, self.base = resolved(configuration), configuration.parent
        noted = self.content.get("components", {}).get(ANNOTATION)
        self.noted = None if noted is None else self.base / str(noted)
        inspect(*self.files(), *([] if self.noted is None else [self.noted]))
        self.ledger = Ledger()
        self.lost: list[str] = []
        self._held: set[tuple[str, str]] = set()
        self._delayed: set[str] = set()
        self.nodes: dict[str, Nodes] = {}
        self.edges: dict[str, Edges] = {}
        for part, names in self.content.items():
            if part == "networks" and isinstance(names, Mapping):
                self.ledger.holds(
                    "networks of the circuit",
                    {str(kind): len(held) for kind, held in names.items() if kind not in ("nodes", "edges") and held},
                )
            elif part == "components" or configuration != simulation:
                self._hold_settings(f"{part} of the circuit", names)
        for kind, read in (("nodes", self._read_nodes), ("edges", self._read_edges)):
            for path, types, file in self._files(kind):
                for name, group in self._populations(path, kind):
                    read(name, group, types, file)

    def files(self) -> list[Path]:
        """The HDF5 files that the configuration names."""
        return [self.base / entry[f"{kind}_file"] for kind in ("nodes", "edges") for entry in self._entries(kind)]

    def _entries(self, kind: str) -> list[dict[str, Any]]:
        networks = self.content.get("networks")
        entries = networks.get(kind, []) if isinstance(networks, dict) else None
        if not isinstance(entries, list) or not all(
            isinstance(entry, dict) and f"{kind}_file" in entry for entry in entries
        ):
            raise DamagedFile(
                f"'{self.configuration}': networks.{kind} must be a list of objects with a {kind}_file each."
            )
        return entries

    def _files(self, kind: str) -> Iterator[tuple[Path, pd.DataFrame, str]]:
        """Each file of nodes or edges with its types, and the name of the file of these."""
        import pandas as pd

        one = kind[:-1]
        for entry in self._entries(kind):
            self.ledger.holds(f"networks.{kind} of the circuit", {str(name): 1 for name in entry})
            self.ledger.take(f"networks.{kind} of the circuit", f"{kind}_file", f"{one}_types_file")
            name = entry.get(f"{one}_types_file")
            named = isinstance(name, str) and name not in ("", "NULL")
            types = (
                _types(self.base / str(name), f"{one}_type_id")
                if named
                else pd.DataFrame(index=pd.Index([], dtype=int))
            )
            used: set[int] = set()
            types.attrs["used"] = used
            yield self.base / str(entry[f"{kind}_file"]), types, str(name)
            for number in sorted(set(types.index) - used):
                self.lost.append(f"{Path(str(name)).name}: the type {number} is not used, for no {one} has it")

    def _populations(self, path: Path, kind: str) -> Iterator[tuple[str, h5py.Group]]:
        with h5py.File(path, "r") as file:
            if kind not in file:
                raise DamagedFile(f"'{path}' holds no group '{kind}'. Is it the {kind}_file of another circuit?")
            for other in sorted(set(file) - {kind}):
                self.lost.append(f"{path.name}: the group {other} is not used")
            for name, group in file[kind].items():
                if name in (self.nodes if kind == "nodes" else self.edges):
                    raise DamagedFile(
                        f"'{path}': the {kind} '{name}' stand in two files. Give the populations names of their own."
                    )
                yield name, group

    def _read_nodes(self, name: str, group: h5py.Group, types: pd.DataFrame, file: str) -> None:
        place = f"nodes '{name}'"
        count = next((len(group[key]) for key in ("node_type_id", "node_id", "node_group_id") if key in group), 0)
        of = self._column(group, place, "node_type_id", count, -1)
        ids = self._column(group, place, "node_id", count, None)
        if len(np.unique(ids)) < count:
            raise DamagedFile(f"'{self.configuration}': {place} have a node_id twice. Every node needs one of its own.")
        if unknown := sorted(set(map(int, np.unique(of))) - set(map(int, types.index))):
            raise NoCounterpart(
                f"'{self.configuration}': the {place} have the type {unknown[0]}, of which no node_types_file says"
                " anything: bioFA reads model_type and model_template there. Name a node_types_file for them in the"
                " circuit's configuration."
            )
        self._hold(place, "node", group, types, of)
        self.nodes[name] = Nodes(ids, of, types)

    def _read_edges(self, name: str, group: h5py.Group, types: pd.DataFrame, file: str) -> None:
        place = f"edges '{name}'"
        if "source_node_id" not in group or "target_node_id" not in group:
            self.edges[name] = Edges()
            types.attrs["used"].update(types.index)
            return
        count = len(group["source_node_id"])
        ends = {}
        for end in ("source", "target"):
            ids = self._column(group, place, f"{end}_node_id", count, None)
            owner = group[f"{end}_node_id"].attrs.get("node_population")
            if owner is None:
                raise DamagedFile(
                    f"'{self.configuration}': {end}_node_id of the {place} lacks the attribute node_population."
                )
            ends[end] = (_text(owner), ids)
        of = self._column(group, place, "edge_type_id", count, -1)
        self._hold(place, "edge", group, types, of)
        parts = _Parts(self, place, group, count)
        values = {key: found for key in (*OF_EDGES, "weight") if (found := parts.values(key, types, of)) is not None}
        if "model_template" in types.columns:
            templates = types["model_template"].reindex(np.unique(of)).dropna()
            synapses = tuple(sorted({str(template) for template in templates} - set(STATIC)))
            self.ledger.take(place, "model_template")
        else:
            synapses = ()
        functions = (
            types["weight_function"].reindex(np.unique(of)).dropna() if "weight_function" in types.columns else ()
        )
        self._hold_synapses(place, types, of)
        (source, pre), (target, post) = ends["source"], ends["target"]
        self.edges[name] = Edges(source, target, pre, post, values, synapses, tuple(sorted(set(map(str, functions)))))

    def _column(self, group: h5py.Group, place: str, name: str, count: int, fill: int | None) -> Array:
        """A whole-number column of every node or edge; where the file has none, `fill`, or their order."""
        if name not in group:
            return np.arange(count) if fill is None else np.full(count, fill)
        column = group[name][()]
        if column.shape != (count,) or column.dtype.kind not in "iu":
            raise DamagedFile(
                f"'{self.configuration}': {name} of the {place} must hold {count} whole numbers; got {column.dtype} of"
                f" shape {column.shape}."
            )
        return np.asarray(column).astype(int)

    def _hold(self, place: str, one: str, group: h5py.Group, types: pd.DataFrame, of: Array) -> None:
        """Note what the types that are used and the attributes of single nodes or edges hold."""
        used = [number for number in map(int, np.unique(of)) if number in types.index]
        types.attrs["used"].update(used)
        rows = types.loc[used]
        self.ledger.holds(place, {str(name): int(rows[name].notna().sum()) for name in types.columns})
        known = {
            f"{one}_id",
            f"{one}_type_id",
            f"{one}_group_id",
            f"{one}_group_index",
            "source_node_id",
            "target_node_id",
            "indices",
        }
        for name, inner in group.items():
            if isinstance(inner, h5py.Group) and name.isdigit():
                for inside, size in _datasets(inner):
                    self.ledger.holds(f"{place}, each", {inside: size})
            elif name not in known:
                held = dict(_datasets(inner)) if isinstance(inner, h5py.Group) else {"": int(np.prod(inner.shape))}
                self.ledger.holds(place, {f"{name}/{inside}".rstrip("/"): size for inside, size in held.items()})

    def _hold_settings(self, place: str, names: Any) -> None:
        """Note the keys of a part of a configuration."""
        self.ledger.holds(place, dict.fromkeys(map(str, names), 1) if isinstance(names, Mapping) else {"its value": 1})

    def _hold_synapses(self, place: str, types: pd.DataFrame, of: Array) -> None:
        """Note the parameters of synapses, which stand in files of their own."""
        if "dynamics_params" not in types.columns:
            return
        self.ledger.take(place, "dynamics_params")
        for file in sorted({str(value) for value in types["dynamics_params"].reindex(np.unique(of)).dropna()}):
            given = self.parameters("synaptic_models_dir", file)
            if given is None:
                self.lost.append(f"{place}: dynamics_params names {file}, which is not there")
            else:
                self.ledger.holds(f"parameters of {place} ({file})", dict.fromkeys(map(str, given), 1))
                if "delay" in given:
                    self._delayed.add(place)

    def parameters(self, directory: str, file: str) -> dict[str, Any] | None:
        """The parameters in a JSON file of the components; None where it is missing."""
        components = self.content.get("components", {})
        self.ledger.take("components of the circuit", directory)
        path = self.base / str(components.get(directory, "")) / file
        if not path.is_file():
            return None
        return _object(path, "an object of parameters")

    # as a network of ours

    def network(self) -> Imported:
        """The circuit as a network, with an error unit and a placeholder task.

        Raises:
            ModelError: if it holds what bioFA cannot describe.
        """
        dt = self._dt()
        cells, populations = self._cells(dt)
        size = max((c.first + len(c.ids) for c in cells.values() if c.name == "input"), default=0)
        if not size:
            raise MissingSignal(
                f"'{self.configuration}': no population is virtual, so nothing feeds the network, and bioFA would have"
                " nothing to show it."
            )
        source = Population(name="input", size=size, neuron=PoissonSource())
        sizes = {p.name: p.size for p in (source, *populations)}
        weights: dict[tuple[str, str], Array] = {}
        for name in self.edges:
            self._join(name, cells, sizes, weights)
        self._tell_delays(dt)
        self.lost += [*out_of_step(weights, "input"), *self._places(cells)]
        pathways = [
            Pathway(
                name=f"{a}_to_{b}",
                source=a,
                target=b,
                carries="train",
                weights=Values(values=w),
                zero_is_absent=bool((w == 0).any()),
            )
            for (a, b), w in weights.items()
        ]
        tonic = {c.name: c.tonic for c in cells.values() if c.tonic}
        if tonic:
            populations.append(Population(name="bias", size=1, neuron=ConstantSource()))
            pathways += [
                Pathway(
                    name=f"bias_to_{name}",
                    source="bias",
                    target=name,
                    weights=Values(values=np.full((sizes[name], 1), value)),
                )
                for name, value in tonic.items()
            ]
            self.lost.append("I_e: it moves v at once there, and through the synaptic current here")
        neurons = [p.name for p in populations if p.name != "bias"]
        sending = {p.source for p in pathways}
        readout = ([name for name in neurons if name not in sending] or neurons)[-1]
        self.lost += [
            f"the readout, which SONATA does not name: {readout} is taken",
            (
                "the spikes of the sources: input is a poisson_source, a placeholder. For spikes of your own put"
                " spike_source in its place, and a task 'arrays' whose inputs (n, steps, size) hold 1 for a spike"
            ),
        ]
        protocol = Protocol(dt=dt, presentation=PLACEHOLDER_STEPS * dt, reset=True)
        name = self.configuration.absolute().parent.name
        found = described(name, [source, *populations], pathways, readout, protocol, f"the SONATA circuit {name}")
        return Imported(found, (*self.lost, *self.ledger.rest()))

    def _dt(self) -> float:
        """The time step in seconds, from the simulation's configuration where there is one.

        Raises:
            DamagedFile: if it is there and no positive number.
        """
        if not self.simulation.is_file():
            self.lost.append(f"the time step, of which there is no {SIMULATION} to tell: 0.1 ms is put in its place")
            return 1e-4
        settings = resolved(self.simulation)
        for part, content in settings.items():
            if self.simulation == self.configuration and part in ("networks", "components"):
                continue
            if isinstance(content, Mapping):
                self._hold_settings(f"{part} of the simulation", content)
            elif part != "network":
                self.ledger.holds("the simulation", {part: 1})
        run = settings.get("run")
        if not isinstance(run, Mapping) or "dt" not in run:
            self.lost.append(
                f"the time step, which run of {self.simulation.name} does not give: 0.1 ms is put in its place"
            )
            return 1e-4
        self.ledger.take("run of the simulation", "dt")
        return 1e-3 * self._number(f"run of '{self.simulation.name}'", "dt", run["dt"], above=0.0)

    def _number(self, place: str, name: str, value: Any, above: float = -math.inf) -> float:
        """A finite number of the file.

        Raises:
            DamagedFile: if it is something else.
        """
        try:
            number = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number) or number <= above:
            least = "" if above == -math.inf else f" above {above:g}"
            raise DamagedFile(
                f"'{self.configuration}': {name} in {place} must be a finite number{least}; got {value!r}."
            )
        return number

    def _cells(self, dt: float) -> tuple[dict[tuple[str, int], _Cells], list[Population]]:
        """The neurons of each population and node type, and the populations that they become."""
        cells: dict[tuple[str, int], _Cells] = {}
        populations: list[Population] = []
        first = 0
        for name, nodes in self.nodes.items():
            present = [int(number) for number in np.unique(nodes.of)]
            self.ledger.take(f"nodes '{name}'", "model_type")
            virtual = [number for number in present if nodes.types.loc[number].get("model_type") == "virtual"]
            # of all types: spikes of a population go by node_id
            sources = np.sort(nodes.ids[np.isin(nodes.of, virtual)])
            cells |= {(name, number): _Cells("input", first, sources) for number in virtual}
            first += len(sources)
            for number in present:
                if number in virtual:
                    continue
                row, ids = nodes.types.loc[number], np.sort(nodes.ids[nodes.of == number])
                plain = self._plain(name, number if len(present) > 1 else None, populations)
                neuron, scale, tonic = self._neuron(name, row, dt)
                cells[name, number] = _Cells(plain, 0, ids, scale, tonic)
                populations.append(Population(name=plain, size=len(ids), neuron=neuron))
        if not populations:
            raise NoCounterpart(f"'{self.configuration}' holds no neurons, virtual ones apart.")
        return cells, populations

    def _places(self, cells: Mapping[tuple[str, int], _Cells]) -> list[str]:
        """Which node each neuron is, where that is not plain: several node populations in one of ours,
        or ids that are not 0, 1, 2, ..."""
        notes: dict[str, str] = {}
        whole = {(c.name, c.first): len(c.ids) for c in cells.values()}
        sizes = {name: sum(size for (other, _), size in whole.items() if other == name) for name, _ in whole}
        for (name, number), c in cells.items():
            if sizes[c.name] != len(c.ids) or not np.array_equal(
                self.nodes[name].ids[np.argsort(self.nodes[name].ids)], np.arange(len(c.ids))
            ):
                of_type = "" if c.name == "input" else f" of the type {number}"
                notes[f"{c.name}, {c.first}"] = (
                    f"node_id of the nodes '{name}'{of_type} ({len(c.ids)} value{'s' if len(c.ids) != 1 else ''}): in"
                    f" their order they are the neurons {c.first} to {c.first + len(c.ids) - 1} of {c.name}"
                )
        return list(notes.values())

    def _plain(self, name: str, number: int | None, populations: list[Population]) -> str:
        """A name for a population that bioFA takes."""
        plain = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
        plain = plain if plain[:1].isalpha() else f"nodes_{plain}".strip("_")
        plain += "" if number is None else f"_{number}".replace("-", "_")
        while plain in (*RESERVED, "input", "bias", "target", "mismatch", *(p.name for p in populations)):
            plain += "_too"
        return plain

    def _neuron(self, name: str, row: pd.Series, dt: float) -> tuple[Lif, float, float]:
        """A node type as a neuron, with the weight (over its sender's rate) of a `syn_weight` of 1 pA,
        and its tonic drive."""
        place = f"nodes '{name}'"
        template = str(row.get("model_template"))
        if template != LIF:
            raise NoCounterpart(
                f"'{self.configuration}': the population '{name}' has the model template {template}; bioFA reads {LIF}"
                " and virtual nodes."
            )
        self.ledger.take(place, "model_template", "dynamics_params", *DEFAULTS)
        found = dict(DEFAULTS)
        file = row.get("dynamics_params")
        if isinstance(file, str):
            given = self.parameters("point_neuron_models_dir", file)
            if given is None:
                raise DamagedFile(
                    f"'{self.configuration}': dynamics_params of the {place} names {file}, which is not there."
                )
            if (name, file) not in self._held:  # types may share a file
                self._held.add((name, file))
                self.ledger.holds(f"parameters of '{name}' ({file})", dict.fromkeys(map(str, given), 1))
            self.ledger.take(f"parameters of '{name}' ({file})", *DEFAULTS)
            found |= {key: self._number(file, key, value) for key, value in given.items() if key in DEFAULTS}
        columns = {
            key: self._number(f"the types of {place}", key, row[key])
            for key in DEFAULTS
            if key in row.dropna()
        }
        self.lost += [
            f"{key} of the type {row.name} of the {place}, a column of the types: it is used here; bmtk takes"
            " parameters from dynamics_params only"
            for key in columns
        ]
        found |= columns
        self._check(place, found)
        return self._lif(place, found, dt)

    def _check(self, place: str, found: Mapping[str, float]) -> None:
        """Refuse parameters of which iaf_psc_exp or bioFA has no such neuron."""
        wrong = next((key for key in ("C_m", "tau_m", "tau_syn_ex", "tau_syn_in") if found[key] <= 0), None)
        wrong = "t_ref" if wrong is None and found["t_ref"] < 0 else wrong
        if wrong:
            raise NoCounterpart(
                f"'{self.configuration}': {wrong} of the {place} is {found[wrong]:g}, which no neuron has."
            )
        for low in ("E_L", "V_reset"):
            if found[low] >= found["V_th"]:
                raise NoCounterpart(
                    f"'{self.configuration}': {low} of the {place} is {found[low]:g} mV, not below V_th,"
                    f" {found['V_th']:g} mV: bioFA measures v in units of the threshold's distance from rest."
                )
        if found["tau_syn_ex"] != found["tau_syn_in"]:
            raise NoCounterpart(
                f"'{self.configuration}': '{place[7:-1]}' has two synaptic time constants, tau_syn_ex"
                f" {found['tau_syn_ex']:g} and tau_syn_in {found['tau_syn_in']:g} ms; a population of bioFA has one."
            )

    def _lif(self, place: str, found: Mapping[str, float], dt: float) -> tuple[Lif, float, float]:
        """The neuron of parameters that were checked, as `_neuron`."""
        distance = found["V_th"] - found["E_L"]
        resistance = found["tau_m"] / (found["C_m"] * distance)
        tau_syn = found["tau_syn_ex"]
        if abs(tau_syn - found["tau_m"]) < APART * found["tau_m"]:
            tau_syn = found["tau_m"] * (1 + APART)
            self.lost.append(
                f"tau_syn_ex of the {place}, which equals tau_m: {tau_syn:.8g} ms is put in its place, for the exact"
                " solution divides by their difference"
            )
        steps = math.ceil(1e-3 * found["t_ref"] / dt - 1e-9)
        if abs(1e-3 * found["t_ref"] / dt - steps) > 1e-9 * max(1, steps):
            self.lost.append(
                f"t_ref of the {place}, {found['t_ref']:g} ms, is no whole number of steps: {1e3 * steps * dt:g} ms, as"
                " NEST takes it"
            )
        neuron = Lif(
            tau=1e-3 * found["tau_m"], tau_syn=1e-3 * tau_syn, refractory_period=steps * dt,
            v_reset=(found["V_reset"] - found["E_L"]) / distance, decay="exact", reset="to_value", test="reach",
        )
        return neuron, resistance * neuron.tau_syn, resistance * found["I_e"]

    def _join(
        self,
        name: str,
        cells: Mapping[tuple[str, int], _Cells],
        sizes: Mapping[str, int],
        weights: dict[tuple[str, str], Array],
    ) -> None:
        """Add the edges of a population to the weights between ours, `(n_post, n_pre)` by their names."""
        edges, place = self.edges[name], f"edges '{name}'"
        if not edges.source:
            raise MissingField(
                f"'{self.configuration}': the {place} lack source_node_id or target_node_id. Write the file again, or"
                " take it out."
            )
        if not len(edges.pre):
            self.lost.append(f"{place}: there are none")
            return
        if "syn_weight" not in edges.values:
            functions = (
                f" (weight_function {', '.join(edges.functions)} is code of the simulator)" if edges.functions else ""
            )
            raise MissingField(
                f"'{self.configuration}': the edges {name} have no syn_weight, neither each nor by type{functions}."
                " Give each one."
            )
        self.ledger.take(place, *OF_EDGES)
        self.ledger.take(f"{place}, each", *OF_EDGES)
        if edges.synapses:
            self.lost.append(
                f"the synapses of the edges {name} ({', '.join(edges.synapses)}): static weights are put in their place"
            )
        owner_pre, at_pre = self._ends(place, "source", edges.source, edges.pre, cells)
        owner_post, at_post = self._ends(place, "target", edges.target, edges.post, cells)
        size = edges.values["syn_weight"] * edges.values.get("nsyns", np.ones(len(edges.pre)))
        unit = PoissonSource().max_rate
        for pre in np.unique(owner_pre):
            for post in np.unique(owner_post[owner_pre == pre]):
                a, b = cells[edges.source, int(pre)], cells[edges.target, int(post)]
                if b.name == "input":
                    raise NoCounterpart(f"'{self.configuration}': the edges {name} lead to virtual nodes.")
                chosen = (owner_pre == pre) & (owner_post == post)
                matrix = weights.setdefault((a.name, b.name), np.zeros((sizes[b.name], sizes[a.name])))
                np.add.at(matrix, (at_post[chosen], at_pre[chosen] + a.first), b.scale * unit * size[chosen])

    def _ends(
        self, place: str, end: str, owner: str, ids: Array, cells: Mapping[tuple[str, int], _Cells]
    ) -> tuple[Array, Array]:
        """The node type of each edge's end, and its place among the nodes of that type.

        Raises:
            DamagedFile: if a node is not there.
        """
        if owner not in self.nodes:
            raise DamagedFile(
                f"'{self.configuration}': {end}_node_id of the {place} is of the population '{owner}', which no"
                " nodes_file holds."
            )
        nodes = self.nodes[owner]
        order = np.argsort(nodes.ids)
        at = np.searchsorted(nodes.ids[order], ids)
        there = (at < len(order)) & (nodes.ids[order][np.minimum(at, len(order) - 1)] == ids)
        if not there.all():
            raise DamagedFile(
                f"'{self.configuration}': {end}_node_id of the {place} holds {ids[~there][0]}, which the nodes"
                f" '{owner}' do not have."
            )
        of = nodes.of[order][at]
        within = np.zeros(len(ids), dtype=int)
        for number in np.unique(of):
            within[of == number] = np.searchsorted(cells[owner, int(number)].ids, ids[of == number])
        return of, within

    def _tell_delays(self, dt: float) -> None:
        """Say which delays are not kept: every spike arrives in the next step here."""
        step = round(1e3 * dt, 9)
        here = f"here every spike arrives in the next step, {step:g} ms later"
        found: set[float] = set()
        others = []
        for name, edges in self.edges.items():
            delays = edges.values.get("delay")
            takes = "NEST takes that of dynamics_params" if f"edges '{name}'" in self._delayed else "NEST takes 1 ms"
            if delays is None:
                self.lost.append(f"the delay of the edges {name}, which give none: {takes}, and {here}")
                continue
            if count := int(np.isnan(delays).sum()):
                self.lost.append(
                    f"the delay of {count} of the {len(delays)} edges {name}, which give none: {takes}, and {here}"
                )
            rounded = np.round(delays[~np.isnan(delays)], 9)
            found |= set(map(float, np.unique(rounded)))
            if count := int(np.sum(rounded != step)):
                others.append(f"delay of edges '{name}': {count} values")
        if others:
            shown = ", ".join(f"{delay:g}" for delay in sorted(found)[:9]) + (" and others" if len(found) > 9 else "")
            self.lost.append(f"delays of {shown} ms: {here} ({'; '.join(others)})")


class _Parts:
    """The groups of attributes of single edges: which group an edge is in, and where in it."""

    def __init__(self, circuit: Circuit, place: str, group: h5py.Group, count: int):
        self.circuit, self.place, self.group, self.count = circuit, place, group, count
        groups = [name for name in group if name.isdigit() and isinstance(group[name], h5py.Group)]
        if "edge_group_id" not in group and len(groups) > 1:
            raise DamagedFile(
                f"'{circuit.configuration}': the {place} have {len(groups)} groups of attributes and no edge_group_id"
                " to tell which is whose."
            )
        self.within = circuit._column(group, place, "edge_group_id", count, int(groups[0]) if groups else 0)
        self.index = circuit._column(group, place, "edge_group_index", count, None)

    def values(self, name: str, types: pd.DataFrame, of: Array) -> Array | None:
        """A value for each edge, its own or its type's; None where the file gives none.

        bmtk leaves a number of synapses out where it is 1, and a delay where it is NEST's; the latter is NaN here.

        Raises:
            DamagedFile: if it is no number.
            MissingField: if some edges have no weight.
        """
        import pandas as pd

        found, given = np.full(self.count, np.nan), False
        if name in types.columns:
            by_type = types[name].reindex(np.unique(of)).dropna()
            numbers = {
                key: self.circuit._number(f"the types of {self.place}", name, value) for key, value in by_type.items()
            }
            found = pd.Series(numbers, dtype=float).reindex(of).to_numpy(dtype=float, copy=True)
            given = bool(numbers)
        for number in np.unique(self.within):
            held = self.group.get(f"{number}/{name}")
            if held is not None:
                chosen = self.within == number
                found[chosen] = self._held(name, held, self.index[chosen])
                given = True
        if not given:
            return None
        if np.isinf(found).any():
            raise DamagedFile(
                f"'{self.circuit.configuration}': {np.count_nonzero(np.isinf(found))} of the {self.count} {self.place}"
                f" have an infinite {name}. Give each a finite one."
            )
        missing = np.isnan(found)
        if missing.any() and name not in LEFT_OUT:
            raise MissingField(
                f"'{self.circuit.configuration}': {missing.sum()} of the {self.count} {self.place} have no {name},"
                " neither each nor by type. Give each one."
            )
        return np.where(missing, LEFT_OUT.get(name, np.nan), found)

    def _held(self, name: str, held: h5py.Dataset, index: Array) -> Array:
        where = (
            f"'{self.circuit.configuration}': {held.name.rpartition('/')[0].rpartition('/')[2]}/{name} of the"
            f" {self.place}"
        )
        values = held[()]
        if values.ndim != 1 or values.dtype.kind not in "iuf":
            raise DamagedFile(f"{where} must hold one number an edge; got {values.dtype} of shape {values.shape}.")
        if len(index) and (index.min() < 0 or index.max() >= len(values)):
            raise DamagedFile(f"{where} has {len(values)} values, but edge_group_index goes up to {index.max()}.")
        return np.asarray(values[index], dtype=float)


def _datasets(group: h5py.Group) -> list[tuple[str, int]]:
    """Every dataset inside a group with its number of values, by its path there."""
    found: list[tuple[str, int]] = []
    group.visititems(
        lambda name, part: found.append((name, int(np.prod(part.shape)))) if isinstance(part, h5py.Dataset) else None
    )
    return found
