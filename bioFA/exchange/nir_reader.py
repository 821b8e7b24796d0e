"""A NIR graph of others as a network: each node becomes a population or the weights of pathways,
or is refused by its name.

Linear maps that lead only to neurons are weights; others are static rates. What a nested graph gets and gives is handed
on as it is. Neurons are read with Euler steps, v in units of the threshold's distance from rest, so any r and w_in will
do. In the tools a layer hears the spikes of the layer below in the same step, in ours in the next:
layer k is k steps later, everywhere; where it is not so simple, the import names it.
"""

from __future__ import annotations

import keyword
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import numpy as np

from bioFA.errors import (
    DuplicateName,
    MissingField,
    MissingSignal,
    ModelError,
    NoCounterpart,
    OutOfRange,
    UnknownName,
    WrongData,
    WrongShape,
    WrongType,
)
from bioFA.exchange.base import Imported, described
from bioFA.exchange.nir_file import Contents, Table
from bioFA.experiment import Protocol
from bioFA.expressions import RESERVED
from bioFA.network import Pathway, Population
from bioFA.neurons.constant_source import ConstantSource
from bioFA.neurons.leaky_rate import LeakyRate
from bioFA.neurons.lif import Lif
from bioFA.neurons.poisson_source import PoissonSource
from bioFA.neurons.rate_source import RateSource
from bioFA.neurons.static_rate import StaticRate
from bioFA.weights import Values

Array = np.ndarray
DT = 1e-4
"""The step in seconds that a graph is read with where it names none: snnTorch's."""
ALIKE = 1e-9
"""Parameters of the neurons of one node that differ by less, relative, count as equal."""
PLACEHOLDER_STEPS = 100
"""Steps of a presentation of a graph that was read, until its user says otherwise."""
LONGEST_TAU = 5.0
"""Seconds; a longer time constant of a neuron was probably written in other units."""
MAPS = ("Affine", "Linear", "Scale")
"""Linear maps: they become weights (n_post, n_pre) and biases (n_post,)."""
NEURONS: dict[str, Any] = {"LIF": Lif, "CubaLIF": Lif, "LI": LeakyRate}
"""Neurons, and what they are here."""
USED = {
    "Input": ("shape",),
    "Output": ("shape",),
    "Affine": ("weight", "bias"),
    "Linear": ("weight",),
    "Scale": ("scale",),
    "Delay": ("delay",),
    "LIF": ("tau", "r", "v_leak", "v_threshold", "v_reset"),
    "LI": ("tau", "r", "v_leak"),
    "CubaLIF": ("tau_mem", "tau_syn", "r", "w_in", "v_leak", "v_threshold", "v_reset"),
}
"""What of a node of each kind is read."""
DEFAULTS = {"v_reset": 0.0, "w_in": 1.0}
"""What NIR puts where a file leaves it out."""
TIMES = ("tau", "tau_mem", "tau_syn")
INSTEAD = {
    "AvgPool2d": "Write it as a Linear, whose weight is its matrix.",
    "Conv1d": "Write it as an Affine, whose weight is its matrix.",
    "Conv2d": "Write it as an Affine, whose weight is its matrix.",
    "CubaLI": "Make it an LI, which has no current of its own, or a CubaLIF.",
    "Delay": "Take it out; a connection of bioFA takes one step.",
    "Flatten": "Take it out, and give the Input the flat shape.",
    "I": "Make it an LI whose tau is much longer than a presentation, with r times that tau.",
    "IF": "Make it a LIF whose tau is much longer than a presentation, with r times that tau.",
    "SumPool2d": "Write it as a Linear, whose weight is its matrix.",
    "Threshold": "Put a LIF in its place.",
}
"""What to do with nodes of other kinds."""
PASS = "pass"
"""The kind of nodes that hand on what they get: inputs and outputs of nested graphs, and delays of 0."""


class Reader:
    """One graph."""

    def __init__(self, path: Path, contents: Contents):
        self.path, self.ledger, self.version = path, contents.ledger, contents.version
        self.nodes: dict[str, Table] = {}
        self.edges: list[tuple[str, str]] = []
        self.lost: list[str] = []
        self.names: dict[str, str] = {}
        self.resets: set[str] = set()
        self.taken = {"bias", "target", "mismatch", "target_to_mismatch", *RESERVED}
        self.ledger.take("graph", "nodes", "edges")
        self._flatten(contents.graph, "")
        self.dt = self._step(contents.graph.get("metadata", {}))

    def _flatten(self, graph: Table, within: str) -> None:
        """Take in the nodes of a graph and of the graphs in it; their inputs and outputs hand on what they get.

        Raises:
            ModelError: naming an edge that leads nowhere, stands twice, or goes against what its ends are.
        """
        for name, node in graph["nodes"].items():
            if node["type"] == "NIRGraph":
                self._flatten(node, f"{within}{name}/")
            else:
                self.nodes[within + name] = dict(node)
                self.ledger.take(f"node '{within}{name}'", *USED.get(node["type"], ()))
                if within and node["type"] in ("Input", "Output"):
                    self.nodes[within + name] |= {"type": PASS, "kind": node["type"]}
        edges: Counter[tuple[str, str]] = Counter(graph["edges"])
        for (one, other), count in edges.items():
            edge = f"'{self.path}': the edge from '{within}{one}' to '{within}{other}'"
            for end in (one, other):
                if end not in graph["nodes"]:
                    raise UnknownName(
                        f"{edge} names the node '{within}{end}', which is not there. Add the node, or take the edge"
                        " out."
                    )
            if count > 1:
                raise DuplicateName(
                    f"{edge} stands there {count} times, which the tools read differently. Leave one of them, with the"
                    " weights of both."
                )
            if graph["nodes"][one]["type"] == "Output" or graph["nodes"][other]["type"] == "Input":
                raise NoCounterpart(f"{edge} leads out of an Output or into an Input of its own graph. Take it out.")
            self.edges.append((self._end(graph, within, one, "Output"), self._end(graph, within, other, "Input")))

    def _end(self, graph: Table, within: str, name: str, kind: str) -> str:
        """The node that an edge really joins: that of its kind where it ends at a nested graph."""
        node = graph["nodes"][name]
        if node["type"] != "NIRGraph":
            return within + name
        inside = [inner for inner, table in node["nodes"].items() if table["type"] == kind]
        if len(inside) != 1:
            raise NoCounterpart(
                f"'{self.path}': the nested graph '{within}{name}' has {len(inside)} nodes of type {kind}; bioFA reads"
                " graphs with one. Put its nodes into the graph around it."
            )
        return self._end(node, f"{within}{name}/", inside[0], kind)

    def _step(self, metadata: Mapping[str, Any]) -> float:
        """The time step of the metadata.

        Raises:
            OutOfRange: if it is no duration.
        """
        self.ledger.take("metadata", "dt")
        if "dt" not in metadata:
            self.lost.append(
                f"the time step, which the graph does not name: {DT:g} s is put in its place; put 'dt' (in seconds) in"
                " the graph's metadata if it is another"
            )
            return DT
        given = np.asarray(metadata["dt"]) if not isinstance(metadata["dt"], Mapping) else np.array("a table")
        if given.size != 1 or given.dtype.kind not in "fiu" or not 0 < float(given.ravel()[0]) < np.inf:
            shown = str(metadata["dt"])[:60]
            raise OutOfRange(
                f"'{self.path}': 'dt' in the graph's metadata must be one number of seconds above 0; got {shown}. Put"
                " the time step there, or leave it out."
            )
        return float(given.ravel()[0])

    def read(self) -> Imported:
        """The network.

        Raises:
            ModelError: naming the node that bioFA cannot describe.
        """
        entry, exit_ = self._checked()
        answer = self._answer(entry, exit_)
        spiking = any(NEURONS.get(self._kind(name)) is Lif for name in self.nodes)
        cells = [entry] + [
            n for n in self.nodes if self._kind(n) in NEURONS or (self._kind(n) in MAPS and not self._between(n))
        ]
        self._name(answer)
        self.taken.add(f"{self._name(answer)}_to_mismatch")
        try:
            return self._network(entry, answer, cells, spiking)
        except ModelError as error:
            raise error if str(self.path) in str(error) else error.prefixed(f"'{self.path}': ") from None

    def _network(self, entry: str, answer: str, cells: list[str], spiking: bool) -> Imported:
        populations = {
            entry: Population(
                name=self._name(entry), size=self.sizes[entry], neuron=PoissonSource() if spiking else RateSource()
            )
        }
        scales: dict[str, tuple[Array, Array]] = {}
        for name in cells[1:]:
            populations[name], scales[name] = self._population(name)
        self._check_loops([n for n in cells if isinstance(populations[n].neuron, StaticRate)])
        pathways, biases = self._pathways(cells, scales)
        self._note_differences(entry, answer, populations, pathways, biases, spiking)
        joined = []
        for (a, b), matrix in pathways.items():
            neuron = populations[a].neuron
            sent = "train" if "s" in neuron.publishes else "r"
            unit = (
                neuron.parameters()["max_rate" if neuron.shows else "unit_rate"] * self.dt if sent == "train" else 1.0
            )
            joined.append(self._pathway(self._name(a), self._name(b), matrix * unit, carries=sent))
        shown = list(populations.values())
        if biases:
            shown.append(Population(name="bias", size=1, neuron=ConstantSource()))
            joined += [self._pathway("bias", self._name(b), column[:, np.newaxis]) for b, column in biases.items()]
        still = not any(p.neuron.state for p in shown)
        protocol = Protocol() if still else Protocol(dt=self.dt, presentation=PLACEHOLDER_STEPS * self.dt, reset=True)
        origin = f"the NIR graph {self.path.name}" + (f" (written by nir {self.version})" if self.version else "")
        return Imported(
            described(self.path.stem, shown, joined, self._name(answer), protocol, origin),
            (*self.lost, *self.ledger.rest()),
        )

    def _pathway(self, source: str, target: str, matrix: Array, carries: str = "r") -> Pathway:
        return Pathway(
            name=self._free(f"{source}_to_{target}"),
            source=source,
            target=target,
            carries=carries,
            weights=Values(values=matrix),
        )

    # what stands there

    def _kind(self, name: str) -> str:
        return str(self.nodes[name]["type"])

    def _checked(self) -> tuple[str, str]:
        """The input and the output, after all nodes were checked; their numbers are arrays of floats from then on."""
        known = {"Input", "Output", PASS, *MAPS, *NEURONS}
        for name, node in self.nodes.items():
            kind = self._kind(name)
            if kind == "Delay":
                self._check_delay(name)
            elif kind not in known:
                raise NoCounterpart(
                    f"'{self.path}': the node '{name}' is a {kind}; bioFA reads {', '.join(sorted(known - {PASS}))}."
                    f" {INSTEAD.get(kind, 'Write it as some of these.')}"
                )
            if "v_reset" in node:
                self.resets.add(name)
            for key in USED.get(node.get("kind", kind), ()):
                node[key] = self._numbers(name, key)
        ends = {kind: [name for name in self.nodes if self._kind(name) == kind] for kind in ("Input", "Output")}
        for kind, names in ends.items():
            if len(names) != 1:
                several = f" ({', '.join(names)})" if names else ""
                raise NoCounterpart(
                    f"'{self.path}' has {len(names)} nodes of type {kind}{several}; bioFA reads graphs with one. "
                    + ("Put them side by side in one." if names else "Add one.")
                )
        self.before = self._reached()
        self.after: dict[str, list[str]] = {name: [] for name in self.nodes}
        for name, sources in self.before.items():
            for one in sources:
                self.after[one].append(name)
        self.sizes = self._sizes()
        self._check_steps()
        self._check_shapes()
        return ends["Input"][0], ends["Output"][0]

    def _numbers(self, name: str, key: str) -> Array:
        """The values of a parameter.

        Raises:
            BioFAError: if they are missing, or no finite numbers.
        """
        node, where = self.nodes[name], f"'{self.path}': {key} of the node '{name}'"
        if key not in node and key not in DEFAULTS:
            raise MissingField(
                f"'{self.path}': the node '{name}' ({node.get('kind', node['type'])}) lacks {key}. Give it, and write"
                " the graph anew with nir.write."
            )
        value = node.get(key, DEFAULTS.get(key))
        array = np.asarray(value) if isinstance(value, (np.ndarray, np.generic, float)) else np.array("")
        if array.dtype.kind not in "biuf":
            raise WrongType(f"{where} holds no numbers. Give it numbers, and write the graph anew with nir.write.")
        if array.size == 0 and key != "shape":
            raise WrongShape(
                f"{where} has the shape {array.shape}, so there is no value in it. Give one, or one a neuron."
            )
        array = array.astype(float)
        if not np.isfinite(array).all():
            raise WrongData(
                f"{where} holds numbers that are not finite ({np.count_nonzero(~np.isfinite(array))} of {array.size})."
                " Save the graph before it diverged."
            )
        if key == "weight" and array.ndim != 2:
            raise WrongShape(
                f"{where} has the shape {array.shape}; bioFA reads matrices (n_post, n_pre). Write one row for each"
                " value of what it leads to, all dimensions in a row."
            )
        if key == "shape" and not ((array > 0) & (array == np.round(array))).all():
            raise WrongShape(
                f"{where} must be whole numbers above 0; got {array.tolist()}. Give the size in each dimension."
            )
        if key in TIMES and not (array > 0).all():
            raise OutOfRange(f"{where} must be above 0; got {array.min():g}. Give a time constant in seconds.")
        return array

    def _check_delay(self, name: str) -> None:
        """Refuse a delay, unless it is 0."""
        delay = self._numbers(name, "delay")
        if delay.any():
            longest = float(np.max(np.abs(delay)))
            raise NoCounterpart(
                f"'{self.path}': the node '{name}' is a Delay of up to {longest:g} s, {longest / self.dt:g} steps of"
                f" {self.dt:g} s, which bioFA cannot describe. {INSTEAD['Delay']}"
            )
        self.nodes[name] |= {"type": PASS, "kind": "Delay", "shape": np.array([float(delay.size)])}

    def _reached(self) -> dict[str, Counter[str]]:
        """What reaches each node, and how often, past nodes that only hand on.

        Raises:
            MissingSignal: naming a node that nothing reaches.
            NoCounterpart: naming nodes that hand on what they get in a circle.
        """
        direct: dict[str, list[str]] = {name: [] for name in self.nodes}
        for one, other in self.edges:
            direct[other].append(one)
        for name, sources in direct.items():
            if not sources and self._kind(name) != "Input":
                raise MissingSignal(
                    f"'{self.path}': nothing reaches the node '{name}'. Join it with an edge, or take it out."
                )
        handing = {
            name: [one for one in sources if self._kind(one) == PASS]
            for name, sources in direct.items()
            if self._kind(name) == PASS
        }
        found: dict[str, Counter[str]] = {}
        try:
            order = list(TopologicalSorter(handing).static_order())
        except CycleError as error:
            raise NoCounterpart(
                f"'{self.path}': the nodes {_quoted(error.args[1][:-1])} hand on what they get in a circle. Take an"
                " edge out."
            ) from None
        for name in [*order, *(name for name in direct if name not in handing)]:
            found[name] = Counter()
            for one in direct[name]:
                found[name].update(found[one] if self._kind(one) == PASS else [one])
        return found

    def _sizes(self) -> dict[str, int]:
        """How many values each node gives: as many as its parameters have, or, where each has one, as what reaches it.

        Raises:
            WrongShape: if its parameters disagree.
        """
        sizes: dict[str, int] = {}
        for name, node in self.nodes.items():
            kind = self._kind(name)
            if kind == "Input":
                sizes[name] = int(np.prod(node["shape"]))
            elif kind in ("Affine", "Linear"):
                sizes[name] = len(node["weight"])
            elif kind in (*NEURONS, "Scale"):
                counts = {key: node[key].size for key in USED[kind]}
                wanted = {count for count in counts.values() if count != 1}
                if len(wanted) > 1:
                    numbers = ", ".join(f"{key} {count}" for key, count in counts.items())
                    raise WrongShape(
                        f"'{self.path}': the parameters of the node '{name}' have different numbers of values:"
                        f" {numbers}. Give each one, or one a neuron."
                    )
                if wanted:
                    sizes[name] = wanted.pop()
        missing = [name for name in self.nodes if name not in sizes]
        while missing:
            heard = {name: [sizes[one] for one in self.before[name] if one in sizes] for name in missing}
            sizes |= {name: max(counts) for name, counts in heard.items() if counts} or dict.fromkeys(missing, 1)
            missing = [name for name in missing if name not in sizes]
        return sizes

    def _check_steps(self) -> None:
        """Refuse time constants shorter than the step:
        under Euler v would be multiplied by 1 - dt/tau < 0 in every step.

        Raises:
            NoCounterpart: naming the node.
        """
        for name, node in self.nodes.items():
            for key in TIMES if self._kind(name) in NEURONS else ():
                if key in USED[self._kind(name)] and (shortest := float(np.min(node[key]))) < self.dt * (1 - ALIKE):
                    raise NoCounterpart(
                        f"'{self.path}': {key} of the node '{name}' is {shortest:g} s, shorter than the time step of"
                        f" {self.dt:g} s, under which an Euler step multiplies by {1 - self.dt / shortest:.3g}. Put a"
                        f" 'dt' of at most {shortest:g} s in the graph's metadata."
                    )

    def _check_shapes(self) -> None:
        """Refuse what does not take as many values as it gets, and note shapes that are only declared."""
        for name, node in self.nodes.items():
            kind, heard = self._kind(name), {self.sizes[one] for one in self.before[name]}
            if kind == "Input":
                continue
            if kind == "Affine" and node["bias"].size not in (1, len(node["weight"])):
                raise WrongShape(
                    f"'{self.path}': the node '{name}' has weights of shape {node['weight'].shape} and a bias of shape"
                    f" {node['bias'].shape}. Give one bias a row, or one for all."
                )
            takes = node["weight"].shape[1] if kind in ("Affine", "Linear") else self.sizes[name]
            for one in self.before[name]:
                if self.sizes[one] != takes and kind not in (PASS, "Output"):
                    weights = (
                        f" has weights of shape {self.nodes[one]['weight'].shape}, and"
                        if "weight" in self.nodes[one]
                        else f" gives {self.sizes[one]} values, and"
                    )
                    mine = (
                        f"weights of shape {node['weight'].shape}"
                        if "weight" in node
                        else f"{takes} neurons" if kind in NEURONS else f"{takes} values"
                    )
                    raise WrongShape(
                        f"'{self.path}': the node '{one}'{weights} '{name}', which it leads to, has {mine}. Give both"
                        " one size."
                    )
            if kind in (PASS, "Output") and {int(np.prod(node["shape"]))} != heard:
                self.lost.append(
                    f"node '{name}': {'delay' if node.get('kind') == 'Delay' else 'shape'}"
                    f" ({int(np.prod(node['shape']))} values) is not used: {' and '.join(map(str, sorted(heard)))}"
                    " values reach it"
                )

    def _answer(self, entry: str, exit_: str) -> str:
        """The node that the output gets."""
        answers = self.before[exit_]
        if answers.total() != 1 or entry in answers:
            raise NoCounterpart(
                f"'{self.path}': the node '{exit_}' must be reached from one node, not {answers.total()}, and not"
                f" straight from '{entry}'. Put a Linear before it."
            )
        return next(iter(answers))

    def _between(self, name: str) -> bool:
        """Whether a linear map only leads to neurons, so that it is the weights of pathways, not a population."""
        after = [one for one in self.after[name] if self._kind(one) != PASS]
        return bool(after) and all(self._kind(n) in NEURONS for n in after)

    # what becomes of it

    def _name(self, node: str) -> str:
        """A node's name as ours may be, the same each time."""
        if node not in self.names:
            self.names[node] = self._free(node)
        return self.names[node]

    def _free(self, text: str) -> str:
        """A name that is like a text, and that nothing has yet."""
        plain = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_") or "node"
        plain = plain if plain[0].isalpha() else f"node_{plain}"
        while plain in self.taken or keyword.iskeyword(plain):
            plain += "_too"
        self.taken.add(plain)
        return plain

    def _population(self, name: str) -> tuple[Population, tuple[Array, Array]]:
        """The population of a node; what its weights are multiplied by, neuron by neuron,
        and what it is driven by all the time.

        Raises:
            ModelError: if bioFA has no such neuron.
        """
        node, kind, size = self.nodes[name], self._kind(name), self.sizes[name]
        if kind in MAPS:
            return Population(name=self._name(name), size=size, neuron=StaticRate()), (np.ones(size), np.zeros(size))
        values: dict[str, Array] = {key: np.broadcast_to(node[key].ravel(), size) for key in USED[kind]}
        tau = self._one(name, "tau_mem" if kind == "CubaLIF" else "tau", values)
        if tau > LONGEST_TAU:
            self.lost.append(
                f"whether the time constant of the node '{name}', {tau:g}, is meant in seconds, as NIR has it:"
                f" {tau / self.dt:g} time steps of {self.dt:g} s; where it is in ms, write it anew"
            )
        if kind == "LI":
            if values["v_leak"].any():
                self.lost.append(
                    f"where v of the node '{name}' begins: at 0 here, from where it goes to v_leak; NIR does not say"
                )
            return Population(name=self._name(name), size=size, neuron=LeakyRate(tau=tau)), (
                values["r"],
                values["v_leak"],
            )
        if values["v_leak"].any():
            self.lost.append(
                f"where v of the node '{name}' begins: at v_leak here; NIR does not say, and some tools begin at 0"
            )
        distance = values["v_threshold"] - values["v_leak"]
        if not (distance > 0).all():
            raise NoCounterpart(
                f"'{self.path}': the node '{name}' has its threshold at or below v_leak, so it would spike all the"
                " time, which bioFA cannot describe. Raise v_threshold."
            )
        if not (values["v_reset"] < values["v_threshold"]).all():
            absent = "" if name in self.resets else " (0, since the file leaves it out)"
            raise NoCounterpart(
                f"'{self.path}': the node '{name}' has v_reset{absent} at or above v_threshold, so it would never stop"
                " to spike, which bioFA cannot describe. Lower v_reset."
            )
        with np.errstate(over="ignore"):
            scale, values["v_reset"] = (
                values["r"] * values.get("w_in", np.ones(1)) / distance,
                (values["v_reset"] - values["v_leak"]) / distance,
            )
        if not np.isfinite(values["v_reset"]).all():
            raise self._too_large(name, "v_reset")
        neuron = Lif(
            tau=tau,
            tau_syn=self._one(name, "tau_syn", values) if kind == "CubaLIF" else self.dt,
            v_reset=self._one(name, "v_reset", values),
            refractory_period=0.0,
            decay="euler",
            reset="to_value",
            test="above",
        )
        return Population(name=self._name(name), size=size, neuron=neuron), (scale, np.zeros(size))

    def _too_large(self, name: str, what: str) -> WrongData:
        return WrongData(
            f"'{self.path}': {what} of the node '{name}', in units of what lies between v_leak and v_threshold, passes"
            " the largest number. Give v_threshold and v_leak in units that fit."
        )

    def _one(self, name: str, key: str, values: Mapping[str, Array]) -> float:
        """The value that all neurons of a node share."""
        array = values[key]
        if not np.allclose(array, array[0], rtol=ALIKE, atol=ALIKE * (key == "v_reset")):
            raise NoCounterpart(
                f"'{self.path}': the neurons of the node '{name}' differ in {key}, {array.min():g} to {array.max():g};"
                " a population of bioFA has one value for all. Make a node of those that share it."
            )
        return float(array[0])

    def _map(self, name: str) -> tuple[Array, Array]:
        """The weights `(n_post, n_pre)` and the bias `(n_post,)` of a linear map; one value stands for all."""
        node, size = self.nodes[name], self.sizes[name]
        if self._kind(name) == "Scale":
            return np.diag(np.broadcast_to(node["scale"].ravel(), size)), np.zeros(size)
        return node["weight"], (
            np.broadcast_to(node["bias"].ravel(), size) if "bias" in USED[self._kind(name)] else np.zeros(size)
        )

    def _pathways(
        self, cells: list[str], scales: Mapping[str, tuple[Array, Array]]
    ) -> tuple[dict[tuple[str, str], Array], dict[str, Array]]:
        """The weights between populations, and their biases, as drive for what is sent in a step."""
        pathways: dict[tuple[str, str], Array] = {}
        biases: dict[str, Array] = {}
        for name in cells[1:]:
            scale, drive = scales[name]
            for one, times in ({name: 1} if self._kind(name) in MAPS else self.before[name]).items():
                mapped = self._kind(one) in MAPS and (one == name or one not in cells)
                matrix, bias = self._map(one) if mapped else (np.eye(self.sizes[name]), np.zeros(1))
                with np.errstate(over="ignore", invalid="ignore"):
                    for source, again in (self.before[one] if mapped else {one: 1}).items():
                        pathways[source, name] = (
                            pathways.get((source, name), 0.0) + times * again * scale.reshape(-1, 1) * matrix
                        )
                    if bias.any():
                        drive = drive + times * scale * bias
            if drive.any():
                biases[name] = drive
        for place, array in (*((b, matrix) for (_, b), matrix in pathways.items()), *biases.items()):
            if not np.isfinite(array).all():
                raise self._too_large(place, "what reaches v")
        return pathways, biases

    def _check_loops(self, still: list[str]) -> None:
        """Refuse linear maps that lead to each other in a circle, with no neuron between."""
        try:
            TopologicalSorter({name: [one for one in self.before[name] if one in still] for name in still}).prepare()
        except CycleError as error:
            raise NoCounterpart(
                f"'{self.path}': the linear maps {_quoted(error.args[1][:-1])} lead to each other in a circle, without"
                " a neuron between. Put one there."
            ) from None

    # what is to be noted

    def _note_differences(
        self,
        entry: str,
        answer: str,
        populations: Mapping[str, Population],
        pathways: Iterable[tuple[str, str]],
        biases: Mapping[str, Array],
        spiking: bool,
    ) -> None:
        """Note what differs from what the tools do, or is a placeholder."""
        if spiking:
            self.lost += timing(
                list(pathways),
                entry,
                answer,
                {name for name, p in populations.items() if not isinstance(p.neuron, StaticRate)},
            )
        resetting = [name for name in self.nodes if NEURONS.get(self._kind(name)) is Lif]
        if resetting:
            self.lost.append(
                f"the reset of {_quoted(resetting)}: v is set to v_reset, as NIR defines LIF and CubaLIF; a graph does"
                " not name the reset of the tool that wrote it, and snnTorch, sinabs and rockpool subtract the"
                " threshold by default"
            )
        late = [b for b in biases if any(target == b and source not in (entry, b) for source, target in pathways)]
        if late:
            self.lost.append(
                f"timing of the biases that reach {_quoted(late)}: in ours they act a step early for each layer below,"
                " whose spikes take as long to arrive; above the first layer spikes agree in the long run, not step by"
                " step"
            )
        if spiking:
            self.lost.append(
                f"the spikes that the graph was fed with: {populations[entry].name} is a poisson_source, a placeholder."
                " For spikes of your own put spike_source in its place, and a task 'arrays' whose inputs (n, steps,"
                " size) hold 1 for a spike"
            )


def timing(pathways: list[tuple[str, str]], entry: str, answer: str, slow: set[str]) -> list[str]:
    """Sentences about pathways that skip a layer, and of loops over several:
    there spikes pass all layers in one step, here each layer takes a step.

    Args:
        pathways: from which node to which.
        entry: the input.
        answer: what the output gets.
        slow: the nodes that take a step, as neurons do; static ones take none.
    """
    pathways = _past_static(pathways, {entry, *slow}, answer)
    after: dict[str, set[str]] = {}
    for a, b in pathways:
        after.setdefault(a, set()).add(b)
    reach = {a: _reach(a, after) for a in {end for pathway in pathways for end in pathway}}
    loop = {a: min([a, *(b for b in reach[a] if a in reach[b])]) for a in reach}
    joined = {(loop[a], loop[b], b in slow) for a, b in pathways if loop[a] != loop[b]}
    order = TopologicalSorter({one: [a for a, b, _ in joined if b == one] for one in set(loop.values())}).static_order()
    lag: dict[str, int] = {}
    for one in order:
        lag[one] = max((lag[a] + takes for a, b, takes in joined if b == one), default=0)
    sentences = []
    for first in sorted(set(loop.values())):
        members = sorted(name for name in loop if loop[name] == first and name in slow and name != entry)
        if len(members) > 1:
            sentences.append(
                f"timing of the loop over {_quoted(members)}: here every pathway in it takes a step, {len(members)} for"
                " all of them, and in tools that pass spikes through all layers within a step one step for the whole"
                " loop; spikes agree in the long run, not step by step"
            )
    for a, b in pathways:
        early = lag[loop[b]] - lag[loop[a]] - (b in slow)
        if loop[a] != loop[b] and early > 0:
            sentences.append(
                f"timing from '{a}' to '{b}', which skips {early} layer{'s' if early > 1 else ''}: here every pathway"
                " takes a step, so that its spikes arrive so many steps before those of the same stimulus that pass"
                " the layers between"
            )
    return sentences


def _past_static(pathways: list[tuple[str, str]], kept: set[str], answer: str) -> list[tuple[str, str]]:
    """Pathways between nodes that take a step, or to the answer and others that end there,
    past those that take none."""
    before: dict[str, list[str]] = {}
    for a, b in pathways:
        before.setdefault(b, []).append(a)
    ends = {b for _, b in pathways if b in kept or b == answer or all(a != b for a, _ in pathways)}
    found: dict[tuple[str, str], None] = {}
    for b in sorted(ends):
        left, seen = list(before[b]), set()
        while left:
            one = left.pop()
            if one not in seen and one in kept:
                found[one, b] = None
            elif one not in seen:
                left += before.get(one, ())
            seen.add(one)
    return list(found)


def _reach(start: str, after: Mapping[str, set[str]]) -> set[str]:
    """All that can be reached from a node."""
    found: set[str] = set()
    left = [start]
    while left:
        for one in after.get(left.pop(), ()):
            if one not in found:
                found.add(one)
                left.append(one)
    return found


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
