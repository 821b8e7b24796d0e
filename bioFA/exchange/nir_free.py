"""A network in which time passes as a NIR graph.

    <source>               Input; what it shows in the first trial stands in expected.npz
    <population>           a node of neurons (`nir_cells.py`), whose metadata say what v = 0 and 1 are
    <pathway>              Linear, weight (n_post, n_pre)
    <pathway>_delay        Delay in seconds: before the Linear where delays are one, or one of each presynaptic neuron;
                           behind it where they are one of each postsynaptic neuron
    <population>_output    Output

NIR is continuous in time and names no step. Here a step is: inputs, maps and delays hand on at once what inputs show
in it and what neurons sent at the end of the step before; then each neuron's I, and with it v, move by Euler's method,
then come threshold and reset. A Delay of d holds back d/dt steps. So a spike acts, as in bioFA, in the step that begins
d after the end of its own. Metadata of the graph: `dt` (s), `schedule`, `zero` and `one` of each population (`v` in SI
is zero + one times that of the graph), and `bioFA`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bioFA.errors import NoCounterpart
from bioFA.exchange import expected, free_parts
from bioFA.exchange.nir_cells import INSTEAD, Cell, counterpart, refused
from bioFA.instance import draw
from bioFA.network import Node, Pathway
from bioFA.neurons.current import Current
from bioFA.neurons.equations import Equations
from bioFA.runs.trained import Trained

Array = np.ndarray
LARGEST = 500_000_000
"""So many bytes at most do all matrices of a graph take; NIR has no sparse ones."""
NOTHING = "nothing_to_"
"""How Inputs that show nothing are called, where no source feeds a population."""
SCHEDULE = "inputs, maps and delays at once, with what neurons sent in the step before; then I, v, threshold, reset"


class FreeGraph:
    """The nodes and edges of one network, its metadata, and what it cannot say."""

    def __init__(self, trained: Trained):
        """Write all of it.

        Raises:
            NoCounterpart: naming what NIR has no words for, and what it has.
        """
        protocol = trained.experiment.protocol
        if protocol.phases:
            raise refused("protocol.phases divide the trial", "one phase")
        if protocol.order != "deliver_first":
            raise refused(f"protocol.order is '{protocol.order}'", "deliver_first")
        self.instance = draw(trained.experiment, trained.seed)
        self.network, self.dt = self.instance.network, protocol.step
        learned = {f"{p.name}.w": trained.state[f"{p.name}.w"] for p in self.network.plastic()}
        self.instance = replace(self.instance, state={**self.instance.state, **learned})
        self.nodes: dict[str, Any] = {}
        self.edges: list[tuple[str, str]] = []
        self.cells: dict[str, Cell] = {}
        self.metadata: dict[str, Any] = {"dt": self.dt, "schedule": SCHEDULE}
        self._check_size()
        for population in free_parts.cells(self.network):
            self.cells[population.name] = cell = counterpart(self.instance, population)
            self.metadata |= {f"{population.name}_zero": cell.zero, f"{population.name}_one": cell.one}
            self._add(population.name, cell.node)
        self.heard = {pathway.source for pathway in self.network.pathways}
        for population in free_parts.sources(self.network):
            if not isinstance(population.neuron, Current) and population.neuron.spike_signals != ("s",):
                family = population.neuron.family_name
                raise refused(f"population '{population.name}': {family} sends graded signals", "spikes, and current")
            if population.name in self.heard:  # tools fail at nodes that lead nowhere
                self._add(population.name, {"type": "Input", "shape": np.array([population.size])})
        for pathway in self.network.pathways:
            self._pathway(pathway)
        reached = {pathway.target for pathway in self.network.pathways}
        silent = [name for name in self.cells if name not in reached]
        if not silent and not any(node["type"] == "Input" for node in self.nodes.values()):
            silent = list(self.cells)[:1]
        for name in silent:  # nir makes an Input where nothing leads to a node, and refuses graphs without one
            self._add(f"{NOTHING}{name}", {"type": "Input", "shape": np.array([self.network.population(name).size])})
            self.edges.append((f"{NOTHING}{name}", name))
        self.silent = silent
        for population in free_parts.cells(self.network):  # last, since norse takes for the output what it reaches last
            output = {"type": "Output", "shape": np.array([population.size])}
            self._add(f"{population.name}_output", output, population.name)
        self.lost = self._lost(trained)

    def _add(self, name: str, node: Mapping[str, Any], after: str = "") -> None:
        """A node, behind another one."""
        if name in self.nodes:
            raise NoCounterpart(f"two nodes of the graph would be called '{name}'. Rename one population or pathway.")
        self.nodes[name] = dict(node)
        if after:
            self.edges.append((after, name))

    def _check_size(self) -> None:
        sizes = {population.name: population.size for population in self.network.populations}
        count = 8 * sum(sizes[pathway.source] * sizes[pathway.target] for pathway in self.network.pathways)
        if count > LARGEST:
            raise NoCounterpart(
                f"NIR has no sparse matrices, and dense ones of this network would take {count / 1e6:.0f} MB; at most"
                f" {LARGEST / 1e6:.0f} MB are written. Make it smaller, or export to {INSTEAD}."
            )

    def _pathway(self, pathway: Pathway) -> None:
        """The matrix of a pathway, with a Delay before or behind it."""
        place, source = f"pathway '{pathway.name}'", self.network.population(pathway.source)
        if pathway.target not in self.cells:
            raise refused(f"{place} leads to '{pathway.target}', which takes nothing", "pathways to neurons")
        if pathway.dynamics is not None:
            raise refused(f"{place} has short-term plasticity ({pathway.dynamics.family_name})", "fixed weights")
        if not isinstance(source.neuron, Current):
            free_parts.check_synapses(pathway, refused)
        elif not pathway.delay.none:
            raise refused(f"{place} carries a course in time after a delay", "courses without, or with other times")
        elif not (pathway.listed or (pathway.weights.owns and not pathway.weights.one_to_one)):
            raise refused(
                f"{place}: {type(pathway.weights).__name__} is no matrix of its own", "connect = 'one_to_one'"
            )
        listed = free_parts.synapses(self.instance, pathway)
        weight = np.zeros((self.network.population(pathway.target).size, source.size))
        np.add.at(weight, (listed.post, listed.pre), listed.weights)
        weight *= self.cells[pathway.target].factors[pathway.port][:, np.newaxis]
        linear, delays = {"type": "Linear", "weight": weight}, self._delays(pathway, listed, weight.shape)
        names = [pathway.name, f"{pathway.name}_delay"]
        chain = [linear, {"type": "Delay", "delay": delays[0] * self.dt}] if delays else [linear]
        if delays and delays[1]:
            chain, names = chain[::-1], names[::-1]
        before = pathway.source
        for name, node in zip(names, chain, strict=False):
            self._add(name, node, before)
            before = name
        self.edges.append((before, pathway.target))

    def _delays(self, pathway: Pathway, listed: free_parts.Listed, shape: tuple[int, int]) -> tuple[Array, bool] | None:
        """Delays in steps, and whether they are of presynaptic neurons `(n_pre,)`, else of postsynaptic ones
        `(n_post,)`; None where there are none."""
        steps = np.broadcast_to(listed.delays, len(listed.pre))
        if not steps.any():
            return None
        for ends, size, first in ((listed.pre, shape[1], True), (listed.post, shape[0], False)):
            each = np.full(size, 0 if np.ptp(steps) else steps[0])
            each[ends] = steps
            if np.array_equal(each[ends], steps):
                return each, first
        raise refused(
            f"pathway '{pathway.name}' has delays of {steps.min() * self.dt:g} to {steps.max() * self.dt:g} s that"
            " differ from synapse to synapse",
            "one delay a pathway, or one of each neuron at one end",
        )

    def _lost(self, trained: Trained) -> list[str]:
        """What the graph does not hold, and what tools do otherwise."""
        protocol = trained.experiment.protocol
        lost = [
            (
                f"dt ({self.dt:g} s), on which weights hang: NIR has no word for it. It stands in the metadata, and"
                " norse and SpikingJelly must be told"
            ),
            "recordings, rates and measures, and how long it runs: a graph is a network alone",
        ]
        if any(node["type"] == "Delay" for node in self.nodes.values()):
            lost.append(
                "running in norse, snnTorch and SpikingJelly, which have no Delay (norse leaves it out without a word):"
                " the script of the README runs it"
            )
        if self.silent:
            lost.append(f"that no source feeds {', '.join(self.silent)}: NIR wants an Input, which shows nothing")
        count = sum(node["type"] == "Input" for node in self.nodes.values())
        if count != 1 or len(self.cells) > 1:
            lost.append(
                f"running in norse, snnTorch and SpikingJelly: the graph has {count} Inputs and {len(self.cells)}"
                " Outputs, and nirtorch 2.6, by which they read, knows one of each; the script of the README runs it"
            )
        lost += [sentence for cell in self.cells.values() for sentence in cell.lost]
        for population in free_parts.sources(self.network):
            if population.name in self.heard:
                lost.append(
                    f"how {population.name} makes what it sends: a graph is fed; what it shows in the first trial"
                    " stands beside it"
                )
            else:
                lost.append(f"{population.name}, which leads to nothing")
        if protocol.trials > 1:
            lost.append("trials after the first: the expected spikes are of that one")
        if protocol.warm_up:
            lost.append("the warm-up: the expected spikes begin with the first step")
        if rules := [p.name for p in self.network.plastic()]:
            lost.append(f"plasticity of {', '.join(rules)}: the weights are those that learning left")
        return lost

    def recipe(self, path: Path, programs: tuple[str, ...]) -> expected.Recipe:
        """How the graph is run, and what must come out: spikes by step, and v of neurons without threshold."""
        first = self.instance.trial_begins(0)
        populations = tuple(
            p.replace(neuron=_as_in_tools(free_parts.by_euler(self.instance, p, first))) if p.name in self.cells else p
            for p in self.network.populations
        )
        circuit = self.network.replace(populations=populations)
        stepped = replace(self.instance, experiment=self.instance.experiment.replace(circuit=circuit))
        watched = [Node(name, cell.variable) for name, cell in self.cells.items() if not cell.spikes]
        steps, arrays = free_parts.answers(stepped, watched)
        for name in (str(node) for node in watched):
            arrays[name] = arrays[name] - self.cells[name.partition(".")[0]].zero
        for name, (neurons, when) in free_parts.shown(self.instance, refused).items():
            if name in self.heard:
                arrays |= {f"{name}.steps": when, f"{name}.neurons": neurons}
        for population in free_parts.sources(self.network):
            if isinstance(population.neuron, Current) and population.name in self.heard:
                course = population.neuron.course(self.dt, 0, self.instance.experiment.protocol.shown_steps)
                scale = self.instance.constants[f"{population.name}.scale"]
                arrays |= {f"{population.name}.course": course, f"{population.name}.scale": scale}
        for name in self.silent:
            arrays |= {f"{NOTHING}{name}.{what}": np.zeros(0, dtype=int) for what in ("steps", "neurons")}
        script = _SCRIPT.replace("@FILE@", path.name).replace("@EXPECTED@", expected.beside(path)[1].name)
        tolerance = f"every spike in its step; v of neurons without threshold within {expected.NEAR:g} of the largest"
        return expected.Recipe(programs, "", script, tolerance, {"steps": np.array(steps), **arrays})

    def title(self, path: Path, trained: Trained) -> str:
        """What the README says before it tells how the graph is run."""
        lost = "".join(f"\n- {sentence}" for sentence in self.lost)
        about = f"\n{trained.experiment.description}\n" if trained.experiment.description else ""
        return f"""{path.name}: {trained.experiment.name} as a NIR graph
{about}
Seed {trained.seed}; steps of {self.dt:g} s. In a step, inputs, maps and delays hand on at once what inputs show in it and what neurons sent at the end of the step before (a Delay of d holds
back d/dt steps); then each neuron's I, and with it v, move by Euler's method, then come threshold and reset. A spike is 1 in its step. v begins at 0; in SI it is `POPULATION_zero` +
`POPULATION_one` v (metadata of the graph). What sources show in the whole first trial is in the `.npz` file: `SOURCE.steps` and `SOURCE.neurons` of its spikes, or `SOURCE.course`, a value a step,
times `SOURCE.scale`.

The graph does not hold:
{lost}
"""  # noqa: E501


def _as_in_tools(neuron: Equations) -> Equations:
    """A neuron that spikes above its threshold, not at it."""
    return neuron if neuron.threshold is None else neuron.replace(threshold=neuron.threshold.replace(">=", ">"))


_SCRIPT = """import nir
import numpy as np

graph, given = nir.read("@FILE@"), dict(np.load("@EXPECTED@"))
dt, steps, nodes = float(np.ravel(graph.metadata["dt"])[0]), int(given["steps"]), graph.nodes
into = {name: [one for one, other in graph.edges if other == name] for name in nodes}
neurons = {name: node for name, node in nodes.items() if hasattr(node, "r")}
v, current, sent = ({name: np.zeros(node.r.shape) for name, node in neurons.items()} for _ in range(3))
past = {name: [] for name in nodes}
found = {name: [] for name in neurons}

def shown(name, step):  # by an Input
    if f"{name}.course" in given:
        return given[f"{name}.course"][step] * np.ones(nodes[name].input_type["input"]) * given[f"{name}.scale"]
    row = np.zeros(nodes[name].input_type["input"])
    row[given[f"{name}.neurons"][given[f"{name}.steps"] == step]] = 1
    return row

def gives(name, step):
    node = nodes[name]
    if isinstance(node, nir.Input):
        return shown(name, step)
    if name in neurons:
        return sent[name]
    x = arrives(name, step)
    if isinstance(node, nir.Linear):
        some = np.flatnonzero(x)
        return node.weight[:, some] @ x[some]
    late = np.rint(node.delay / dt).astype(int)
    past[name] = [x, *past[name]][: late.max() + 1]
    row = np.zeros(len(x))
    for steps_late in np.unique(late[late < len(past[name])]):
        row[late == steps_late] = past[name][steps_late][late == steps_late]
    return row

def arrives(name, step):
    return sum((gives(one, step) for one in into[name]), np.zeros(1))

for step in range(steps):
    for name in neurons:
        found[name].append(sent[name])
    x = {name: arrives(name, step) for name in neurons}
    for name, node in neurons.items():
        if hasattr(node, "tau_syn"):
            current[name] = current[name] + dt / node.tau_syn * (node.w_in * x[name] - current[name])
            x[name] = current[name]
        tau, leak = getattr(node, "tau_mem", getattr(node, "tau", 1.0)), getattr(node, "v_leak", v[name])
        v[name] = v[name] + dt / tau * (leak - v[name] + node.r * x[name])
        sent[name] = v[name]
        if hasattr(node, "v_threshold"):
            sent[name] = (v[name] > node.v_threshold).astype(float)
            v[name] = np.where(sent[name] > 0, node.v_reset, v[name])
for name, rows in found.items():
    rows = np.array(rows)
    if hasattr(nodes[name], "v_threshold"):
        raster = np.zeros(rows.shape)
        raster[given[f"{name}.steps"], given[f"{name}.neurons"]] = 1
        print(f"{name}: {raster.sum():.0f} spikes in {steps} steps, {np.count_nonzero(rows != raster)} differ")
        assert (rows == raster).all(), name
    else:
        wanted = next(given[key] for key in given if key.startswith(f"{name}."))
        print(f"{name}: v differs by at most {abs(rows - wanted).max():.3g}")
        assert abs(rows - wanted).max() <= @NEAR@ * abs(wanted).max(), name
""".replace("@NEAR@", f"{expected.NEAR:g}")
