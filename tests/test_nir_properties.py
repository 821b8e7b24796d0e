"""Any small NIR graph: it runs as its equations say, whatever is not used is named,
or it is refused by the name of what is at fault.

What must come out is computed here from the graph itself: which graphs bioFA must read (`reasons`), what their neurons
do step by step (`steps`), and which of them the tools step through alike (`at_once`).
"""

import copy
import os
from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter

import h5py
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

from bioFA import cli, exchange
from bioFA.errors import BioFAError, DamagedFile
from bioFA.instance import draw
from bioFA.modelfiles import toml
from bioFA.neurons.spike_source import SpikeSource
from bioFA.runs.simulation import consumer
from bioFA.tasks.arrays import Arrays

nir = pytest.importorskip("nir", reason="NIR is not installed: pip install '.[nir]'")

EXAMPLES = int(os.environ.get("BIOFA_EXAMPLES", 25))
EACH = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=EXAMPLES <= 100,  # as CI draws them
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.shrink],
)
STEPS = 30
DT = 1e-3
DEFAULTS = {"v_reset": 0.0, "w_in": 1.0}
MAPS, NEURONS = ("Affine", "Linear", "Scale"), ("LIF", "CubaLIF", "LI")
OTHERS = {
    "I": lambda n: nir.I(r=np.ones(n)),
    "IF": lambda n: nir.IF(r=np.ones(n), v_threshold=np.ones(n)),
    "CubaLI": lambda n: nir.CubaLI(tau_syn=np.ones(n), tau_mem=np.ones(n), r=np.ones(n), v_leak=np.zeros(n)),
    "Threshold": lambda n: nir.Threshold(threshold=np.ones(n)),
    "Flatten": lambda n: nir.Flatten(input_type={"input": np.array([1, n])}, start_dim=0),
    "Conv1d": lambda n: nir.Conv1d(n, np.ones((1, 1, 1)), 1, 0, 1, 1, np.ones(1)),
    "Conv2d": lambda n: nir.Conv2d((n, 1), np.ones((1, 1, 1, 1)), 1, 0, 1, 1, np.ones(1)),
    "SumPool2d": lambda n: nir.SumPool2d(np.array([1, 1]), np.array([1, 1]), np.array([0, 0])),
    "AvgPool2d": lambda n: nir.AvgPool2d(np.array([1, 1]), np.array([1, 1]), np.array([0, 0])),
    "Delay": lambda n: nir.Delay(delay=np.full(n, 1.5e-3)),
}
"""Kinds that bioFA does not read, one of each."""
NAMES = [
    "1.lif",
    "lif",
    "LIF",
    "a b",
    "a_b",
    "input_to_lif",
    "lif_to_mismatch",
    "target",
    "bias",
    "mismatch",
    "class",
    "é",
    "0",
    "w.rec",
    "target_to_mismatch",
    "nodes",
    "metadata",
    "edges",
]


@dataclass
class Drawn:
    """A graph, flat: every node by its full name, edges past nested inputs and outputs,
    and what else stands in the file."""

    nodes: dict
    edges: list
    metadata: dict
    nested: dict = field(default_factory=dict)
    """The nested graph that holds a node, by the node's full name."""
    wrong_shapes: dict = field(default_factory=dict)
    untold: list = field(default_factory=list)
    """What is added to the file after NIR wrote it: (place in HDF5, name, value, the sentence that must tell it)."""
    broken: list = field(default_factory=list)
    """What is broken in the file: (place, key, value or None to take it out)."""


def kind(node):
    return type(node).__name__


@st.composite
def graphs(draw):
    """A graph, mostly sound."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    odd = draw(
        st.sampled_from(
            [None] * 16
            + [
                "kind",
                "loose",
                "twice",
                "absent",
                "input",
                "output",
                "into",
                "size",
                "differs",
                "nan",
                "text",
                "lacks",
                "dt",
                "threshold",
                "reset",
                "fast",
                "still",
                "delay",
            ]
        )
    )
    names = iter(draw(st.lists(st.sampled_from(NAMES), unique=True, min_size=18, max_size=18)))
    entry, exit_ = draw(st.sampled_from([("input", "output"), ("in", "out")]))
    n_in = draw(st.sampled_from([2, 2, 2, 1, 3]))
    nodes = {entry: nir.Input(np.array(draw(st.sampled_from([[n_in], [1, n_in], [n_in, 1]]))))}
    edges, sizes = [], {entry: n_in}
    for _ in range(draw(st.integers(1, 4))):
        before = draw(st.sampled_from(list(sizes)[-2:]))
        made, name = draw(st.sampled_from(["LIF"] * 3 + ["CubaLIF"] * 2 + ["LI"] + list(MAPS))), next(names)
        if made in NEURONS and draw(st.integers(0, 3)):
            size, between = draw(st.sampled_from([2, 2, 2, 1, 3])), next(names)
            nodes[between], sizes[between] = (
                linear(draw(st.sampled_from(MAPS[:2])), size, sizes[before], rng, draw),
                size,
            )
            edges.append((before, between))
            before = between
        size = draw(st.sampled_from([2, 2, 2, 1, 3])) if made in MAPS[:2] else sizes[before]
        nodes[name] = neuron(made, size, rng, draw) if made in NEURONS else linear(made, size, sizes[before], rng, draw)
        sizes[name] = size
        edges.append((before, name))
        last = name
    for a in list(sizes):  # connections that skip layers, and back
        for b in list(sizes):
            fits = b != entry and sizes[a] == (sizes[b] if kind(nodes[b]) not in MAPS[:2] else nodes[b].weight.shape[1])
            back = list(sizes).index(a) >= list(sizes).index(b)
            if fits and (a, b) not in edges and not draw(st.integers(0, 11 if back else 4)):
                edges.append((a, b))
    nodes[exit_] = nir.Output(np.array([sizes[last]]))
    edges.append((last, exit_))
    found = Drawn(nodes, edges, {"dt": DT})
    if draw(st.booleans()):
        found.metadata |= draw(
            st.sampled_from([
                {"author": "x"},
                {"stride": np.arange(3)},
                {"deep": {"a": 1.5, "b": np.arange(2)}},
                {"format": "", "version": 2},
            ])
        )
    if not draw(st.integers(0, 7)):
        del found.metadata["dt"]
    inner = [name for name in nodes if name not in (entry, exit_)]
    if not draw(st.integers(0, 3)):  # what one node gives reaches another twice
        a, b = draw(st.sampled_from(edges[:-1]))
        nodes[relay := next(names)] = nir.Delay(delay=np.zeros(sizes[a]))
        edges += [(a, relay), (relay, b)]
    cells = [name for name in inner if kind(nodes[name]) in NEURONS[:2]]
    if cells and not draw(st.integers(0, 3)):
        cell = draw(st.sampled_from(cells))
        found.broken.append(
            (cell, draw(st.sampled_from(["v_reset", "w_in"] if kind(nodes[cell]) == "CubaLIF" else ["v_reset"])), None)
        )
    for name in inner:
        if not draw(st.integers(0, 4)):
            nodes[name].metadata |= draw(st.sampled_from([{"reset_mode": "subtract"}, {"q": np.ones((2, 2)), "p": 1}]))
    spoil(found, odd, draw, rng, entry, exit_, inner, next(names))
    for name in inner:  # into graphs of their own
        if name in nodes and not draw(st.integers(0, 4)):
            found.nested[name] = draw(st.sampled_from(["g", "g.h", "outer"])) + str(len(found.nested))
            if not draw(st.integers(0, 3)):
                found.wrong_shapes[name] = 7
    if draw(st.booleans()) and inner:
        name = draw(st.sampled_from(inner))
        if name in nodes:
            found.untold.append(
                (place(found, name), "beta", np.arange(4.0), f"node '{full(found, name)}': beta (4 values) is not used")
            )
    if not draw(st.integers(0, 3)):
        found.untold.append(("/", "extra", 1.0, "file: extra (1 value) is not used"))
        found.untold.append(("/node", "other", np.ones(2), "graph: other (2 values) is not used"))
    return found


def linear(made, size, before, rng, draw):
    """A linear map, from so many values to so many."""
    weight, bias = rng.normal(0, 4, (size, before)), rng.normal(0, 0.5, size)
    if draw(st.integers(0, 5)) == 0:
        weight, bias = np.round(weight).astype(draw(st.sampled_from([np.int64, np.int8, np.float32]))), np.round(
            bias
        ).astype(int)
    if made == "Scale":
        return nir.Scale(scale=rng.normal(1, 2, draw(st.sampled_from([(), (1,), (size,), (1, size)]))))
    return (
        nir.Linear(weight=weight)
        if made == "Linear"
        else nir.Affine(weight=weight, bias=bias if draw(st.integers(0, 2)) else np.float64(0.25))
    )


def neuron(made, size, rng, draw):
    """A neuron of the kinds that bioFA reads; its parameters one for all, or one each."""
    shape, kinds = draw(st.sampled_from([(), (1,), (size,), (size,)])), draw(
        st.sampled_from([np.float64, np.float64, np.float32])
    )
    tau, syn = (float(rng.uniform(1.1, 20)) * DT for _ in range(2))
    leak = float(rng.normal()) if draw(st.booleans()) else 0.0
    distance = rng.uniform(0.2, 2)
    values = {"r": rng.uniform(0.5, 3, shape), "v_leak": np.full(shape, leak)}
    if made != "LI":
        values |= {
            "v_threshold": np.full(shape, leak + distance),
            "v_reset": np.full(shape, leak + distance * float(rng.uniform(-1, 0.8))),
        }
    values |= (
        {"tau_mem": np.full(shape, tau), "tau_syn": np.full(shape, syn), "w_in": rng.uniform(0.5, 3, shape)}
        if made == "CubaLIF"
        else {"tau": np.full(shape, tau)}
    )
    return getattr(nir, made)(**{name: np.asarray(value, dtype=kinds) for name, value in values.items()})


def spoil(found, odd, draw, rng, entry, exit_, inner, spare):
    """Make one thing wrong."""
    nodes, edges = found.nodes, found.edges
    name = draw(st.sampled_from(inner))
    cells = [n for n in inner if kind(nodes[n]) in NEURONS[:2]]
    cell = draw(st.sampled_from(cells)) if cells else None
    if odd == "kind":
        nodes[name] = OTHERS[draw(st.sampled_from(list(OTHERS)))](2)
    elif odd == "delay":
        size = int(np.prod(nodes[entry].input_type["input"]))
        nodes[spare] = nir.Delay(delay=np.full(size, draw(st.sampled_from([0.0, 1e-3, 1.5e-3]))))
        edges[edges.index(next(e for e in edges if e[0] == entry))] = (
            spare,
            next(e for e in edges if e[0] == entry)[1],
        )
        edges.append((entry, spare))
    elif odd == "loose":
        edges[:] = [edge for edge in edges if edge[1] != name]
    elif odd == "twice":
        edges.append(draw(st.sampled_from(edges)))
    elif odd == "absent":
        edges.append(draw(st.sampled_from([(name, "nowhere"), ("nowhere", name)])))
    elif odd == "input":
        nodes[spare] = nir.Input(np.array([1]))
        edges.append((spare, name))
    elif odd == "output":
        nodes[spare] = nir.Output(np.array([1]))
        edges.append((name, spare))
    elif odd == "into":
        edges.append(draw(st.sampled_from([(name, entry), (exit_, name), (entry, exit_), (name, exit_)])))
    elif odd == "size" and kind(nodes[name]) in MAPS[:2]:
        nodes[name].weight = np.ones((nodes[name].weight.shape[0], nodes[name].weight.shape[1] + 2))
    elif odd == "still":
        edges.append((name, name))
    elif odd == "dt":
        found.metadata["dt"] = draw(
            st.sampled_from([0.0, -1e-3, float("nan"), "1 ms", np.array([1e-3, 1e-3]), float("inf"), {"a": 1}, True])
        )
    elif odd in ("nan", "text", "lacks"):
        key = draw(st.sampled_from([key for key in nodes[name].to_dict() if key not in ("type", "metadata")]))
        found.broken.append((name, key, {"nan": np.array([1.0, np.nan]), "text": "many", "lacks": None}[odd]))
    elif cell is not None:
        node = nodes[cell]
        if odd == "differs" and np.size(node.r) > 1:
            key = draw(
                st.sampled_from(["tau", "v_reset"] if kind(node) == "LIF" else ["tau_mem", "tau_syn", "v_reset"])
            )
            getattr(node, key)[0] *= 1.01
        elif odd == "threshold":
            node.v_threshold = node.v_leak - draw(st.sampled_from([0.0, 1.0]))
        elif odd == "reset":
            node.v_reset = node.v_threshold + draw(st.sampled_from([0.0, 1.0]))
        elif odd == "fast":
            setattr(
                node,
                "tau" if kind(node) == "LIF" else draw(st.sampled_from(["tau_mem", "tau_syn"])),
                np.full_like(node.r, draw(st.sampled_from([0.9 * DT, 0.0, -1.0]))),
            )


def full(found, name):
    return f"{found.nested[name]}/{name}" if name in found.nested else name


def place(found, name):
    return f"/node/nodes/{found.nested[name]}/nodes/{name}" if name in found.nested else f"/node/nodes/{name}"


def write(found, path):
    """The file, nested where it is to be."""
    nodes, edges = {}, []
    for name, node in found.nodes.items():
        if name not in found.nested:
            nodes[name] = node
            continue
        size = np.array([found.wrong_shapes.get(name, count(found, name))])
        own = [("i", name), (name, "o"), *((a, b) for a, b in found.edges if a == b == name)]
        nodes[found.nested[name]] = nir.NIRGraph(
            nodes={"i": nir.Input(size), name: node, "o": nir.Output(size)}, edges=own, type_check=False
        )
    for a, b in found.edges:
        if a != b or a not in found.nested:
            edges.append((found.nested.get(a, a), found.nested.get(b, b)))
    nir.write(path, nir.NIRGraph(nodes=nodes, edges=edges, metadata=found.metadata, type_check=False), compression=None)
    with h5py.File(path, "a") as file:
        for where, name, value, _ in found.untold:
            file[where].create_dataset(name, data=value)
        for name, key, value in found.broken:
            group = file[place(found, name)]
            if key in group:  # a node may have become another since
                del group[key]
            if value is not None:
                group[key] = value
            elif key in DEFAULTS and hasattr(found.nodes[name], key):  # NIR's own
                setattr(found.nodes[name], key, np.full_like(getattr(found.nodes[name], key), DEFAULTS[key]))


def count(found, name):
    """How many values a node takes, for the shapes in nested graphs."""
    node = found.nodes[name]
    return (
        node.weight.shape[1]
        if kind(node) in MAPS[:2]
        else max((np.size(v) for v in vars(node).values() if isinstance(v, np.ndarray)), default=1)
    )


# what must come of it


def size_of(found, name, seen=()):
    """How many values a node gives."""
    node = found.nodes[name]
    if kind(node) == "Input":
        return int(np.prod(node.input_type["input"]))
    if kind(node) in MAPS[:2]:
        return len(node.weight)
    own = [np.size(getattr(node, key)) for key in keys(node) if key != "shape"]
    if kind(node) in (*NEURONS, "Scale") and max(own) > 1:
        return max(own)
    known = [size_of(found, a, (*seen, name)) for a, b in found.edges if b == name and a not in (*seen, name)]
    return max(known, default=1)


def keys(node):
    return [key for key in node.to_dict() if key not in ("type", "metadata")]


def reasons(found):
    """Why a graph must be refused, one word each; none where it must be read."""
    nodes, edges, dt = found.nodes, found.edges, found.metadata.get("dt", 1e-4)
    why = set()
    if isinstance(dt, (str, dict, bool, np.ndarray)) or not 0 < dt < np.inf:
        return {"dt"}
    if len(edges) != len(set(edges)):
        why.add("twice")
    if any(end not in nodes for edge in edges for end in edge):
        return {"absent"}
    for name, node in nodes.items():
        if kind(node) not in (*MAPS, *NEURONS, "Input", "Output") and not (
            kind(node) == "Delay" and not node.delay.any()
        ):
            why.add("kind")
        if kind(node) != "Input" and not any(b == name for _, b in edges):
            why.add("loose")
    if any(kind(nodes[a]) == "Output" or kind(nodes[b]) == "Input" for a, b in edges):
        why.add("into")
    for which in ("Input", "Output"):
        if sum(kind(node) == which for node in nodes.values()) != 1:
            why.add("ends")
    for name, key, value in found.broken:
        if value is not None or key not in DEFAULTS:
            why.add(f"broken {name}")
    if why:
        return why
    answers = [a for a, b in edges if kind(nodes[b]) == "Output"]
    if (
        len(answers) != 1
        or kind(nodes[answers[0]]) == "Input"
        or (kind(nodes[answers[0]]) == "Delay" and kind(nodes[direct(found, answers[0])[0]]) == "Input")
    ):
        why.add("answer")
    for a, b in edges:
        takes = (
            nodes[b].weight.shape[1]
            if kind(nodes[b]) in MAPS[:2]
            else size_of(found, b) if kind(nodes[b]) != "Output" else 0
        )
        if kind(nodes[b]) not in ("Output", "Delay") and takes != size_of(found, a):
            why.add("size")
    for node in nodes.values():
        if kind(node) in NEURONS:
            values = {key: np.ravel(getattr(node, key)).astype(float) for key in keys(node)}
            times = {key: value for key, value in values.items() if key.startswith("tau")}
            if any((value < dt * (1 - 1e-9)).any() for value in times.values()) or any(
                np.ptp(value) > 1e-9 * abs(value).max() for value in times.values()
            ):
                why.add("times")
            if kind(node) != "LI":
                reset = (values["v_reset"] - values["v_leak"]) / np.where(
                    values["v_threshold"] > values["v_leak"], values["v_threshold"] - values["v_leak"], 1
                )
                if (
                    (values["v_threshold"] <= values["v_leak"]).any()
                    or (values["v_reset"] >= values["v_threshold"]).any()
                    or np.ptp(reset) > 1e-9 * (1 + abs(reset).max())
                ):
                    why.add("levels")
    still = {
        name
        for name in nodes
        if kind(nodes[name]) in MAPS and any(kind(nodes[b]) not in NEURONS for a, b in edges if a == name)
    } | {n for n in nodes if kind(nodes[n]) in MAPS and all(a != n for a, _ in edges)}
    try:
        TopologicalSorter({b: [a for a, other in edges if other == b and a in still] for b in still}).prepare()
    except CycleError:
        why.add("still")
    return why


def direct(found, name):
    return [a for a, b in found.edges if b == name]


def maps_in(found, name, out):
    """What a node sends now: neurons and the input what `out` has, linear maps what they make of it."""
    node = found.nodes[name]
    if kind(node) in (*NEURONS, "Input"):
        return out[name]
    x = sum(maps_in(found, a, out) for a in direct(found, name))
    if kind(node) == "Delay":
        return x
    if kind(node) == "Scale":
        return x * np.ravel(node.scale)
    return np.asarray(node.weight, dtype=float) @ x + (np.ravel(node.bias) if kind(node) == "Affine" else 0.0)


def cell(node, state, x, dt):
    """One Euler step of NIR's equations: what the neuron gives, and how near its threshold it came."""
    value = {key: np.ravel(getattr(node, key)).astype(float) for key in keys(node)}
    v, current = state
    if kind(node) == "CubaLIF":
        current = current + dt / value["tau_syn"] * value["w_in"] * x
        v = v + dt / value["tau_mem"] * (value["v_leak"] - v + value["r"] * current)
        current = current - dt / value["tau_syn"] * current
    else:
        v = v + dt / value["tau"] * (value["v_leak"] - v + value["r"] * x)
    if kind(node) == "LI":
        return (v, current), v, np.inf
    fired = v > value["v_threshold"]
    near = np.min(abs(v - value["v_threshold"]) / (value["v_threshold"] - value["v_leak"]))
    return (np.where(fired, value["v_reset"], v), current), fired.astype(float), near


def at_rest(found):
    """Where neurons begin: at v_leak, but leaky rates at 0."""
    return {
        name: (
            np.zeros(size_of(found, name)) + (0.0 if kind(node) == "LI" else np.ravel(node.v_leak)),
            np.zeros(size_of(found, name)),
        )
        for name, node in found.nodes.items()
        if kind(node) in NEURONS
    }


def steps(found, rows, dt):
    """What every neuron gives in each step where each hears what was sent a step before;
    and how near a threshold any came."""
    state, near = at_rest(found), np.inf
    entry = next(name for name, node in found.nodes.items() if kind(node) == "Input")
    out = {name: np.zeros_like(v) for name, (v, _) in state.items()}
    course = [out]
    for row in rows[:-1]:
        heard, out = {**out, entry: row}, {}
        for name in state:
            state[name], out[name], close = cell(
                found.nodes[name], state[name], sum(maps_in(found, a, heard) for a in direct(found, name)), dt
            )
            near = min(near, close)
        course.append(out)
    return course, near


def at_once(found, rows, dt):
    """What every neuron gives in each step where spikes pass all layers within it, as in the tools;
    a neuron hears itself of the step before. None where there are other loops."""
    heard = {name: set() for name in found.nodes}
    for name in found.nodes:
        left, seen = direct(found, name), set()
        while left:
            one = left.pop()
            if one not in seen and kind(found.nodes[one]) in (*NEURONS, "Input"):
                heard[name].add(one)
            elif one not in seen:
                left += direct(found, one)
            seen.add(one)
    try:
        order = list(
            TopologicalSorter(
                {name: heard[name] - {name} for name, node in found.nodes.items() if kind(node) in (*NEURONS, "Input")}
            ).static_order()
        )
    except CycleError:
        return None
    state, entry = at_rest(found), order[0]
    out, course = {name: np.zeros_like(v) for name, (v, _) in state.items()}, []
    for row in rows:
        out[entry] = row
        for name in order[1:]:
            state[name], out[name], _ = cell(
                found.nodes[name], state[name], sum(maps_in(found, a, out) for a in direct(found, name)), dt
            )
        course.append(dict(out))
    return course


def refused(found, path, error):
    """Hold a refusal to naming the file, what is at fault in it, and what to do."""
    message = str(error)
    assert str(path) in message, message
    assert message.count(str(path)) == 1, message
    assert not isinstance(error, DamagedFile), message
    assert message.endswith("."), message
    assert message.count(". ") >= 1, message
    named = (
        [f"'{full(found, name)}'" for name in found.nodes]
        + [f"'{graph}{end}'" for graph in found.nested.values() for end in ("", "/i", "/o")]
        + ["'nowhere'", "'dt'", "nodes of type"]
    )
    assert any(name in message for name in named), message
    for name, *_ in found.broken:
        if reasons(found) == {f"broken {name}"}:
            assert f"'{full(found, name)}'" in message, message
            assert any(key in message for one, key, _ in found.broken if one == name), message


def unused(found):
    """The sentences that must tell what is not used."""
    def flat(name, value):
        if isinstance(value, dict):
            return [one for key, inner in value.items() for one in flat(f"{name}/{key}", inner)]
        return [f"{name} ({np.size(value)} value{'s' if np.size(value) != 1 else ''}) is not used"]

    told = [sentence for *_, sentence in found.untold]
    told += [f"metadata: {one}" for key, value in found.metadata.items() if key != "dt" for one in flat(key, value)]
    for name, node in found.nodes.items():
        told += [
            f"metadata of '{full(found, name)}': {one}"
            for key, value in node.metadata.items()
            for one in flat(key, value)
        ]
    return told


def run(imported, rows, folder):
    """The spikes of every population of what was read, and the answer in the last step, for rows `(steps, n_in)`."""
    described = imported.trained.experiment
    source = described.network.populations[0]
    n_out = described.task.sizes()[1]
    spiking = bool(imported.trained.experiment.network.spiking())
    np.savez(folder / "rows.npz", inputs=rows[np.newaxis] if spiking else rows[:1], targets=np.ones((1, n_out)))
    populations = tuple(
        p.replace(neuron=SpikeSource()) if p is source and spiking else p for p in described.network.populations
    )
    protocol = (
        described.protocol
        if described.network.is_static()
        else described.protocol.replace(presentation=len(rows) * described.protocol.dt, shuffle=False)
    )
    described = described.replace(
        circuit=described.network.replace(populations=populations),
        protocol=protocol,
        task=Arrays(path=str(folder / "rows.npz")),
    )
    instance = draw(described, 1)
    state = dict(instance.state) | {
        name: array for name, array in imported.trained.state.items() if name.endswith(".w")
    }
    segment = consumer(instance, "numpy").segment(state, instance.training(0, 1), learning=False, rasters=spiking)
    answer = f"{described.network.readout.population}.r"
    return segment.rasters, segment.recording.arrays[answer][0]


@EACH
@given(found=graphs(), seed=st.integers(0, 1000))
def test_every_graph_runs_as_its_equations_say_and_names_what_is_not_used_or_is_refused_by_name(
    found, seed, tmp_path_factory
):
    folder = tmp_path_factory.mktemp("any")
    path = folder / "any.nir"
    write(found, path)
    why = reasons(found)
    event("refused" if why else "read")
    if why:
        with pytest.raises(BioFAError) as complaint:
            exchange.load(path)
        refused(found, path, complaint.value)
        outcome = CliRunner().invoke(cli.main, ["import", str(path), "--out", str(folder / "mine")])
        assert (outcome.exit_code, outcome.stderr) == (2, f"biofa: [{complaint.value.code}] {complaint.value}\n")
        return
    imported = exchange.load(path)
    assert sorted(line for line in imported.lost if line.endswith("is not used") and "(" in line) == sorted(
        unused(found)
    )
    for name in found.wrong_shapes:
        if count(found, name) != 7:
            assert any(
                line.startswith(f"node '{full(found, name)[: -len(name)]}i': shape (7 values) is not used")
                for line in imported.lost
            )
    dt = found.metadata.get("dt", 1e-4)
    assert any("time step, which the graph does not name" in line for line in imported.lost) == (
        "dt" not in found.metadata
    )
    model, _ = imported.save(folder / "read")
    read = draw(toml.load(model), 1)
    assert all(
        np.array_equal(read.state[name], array) for name, array in imported.trained.state.items() if name.endswith(".w")
    )
    same(found, imported, seed, folder, dt)


def same(found, imported, seed, folder, dt):
    """Hold what was read to the equations, step by step."""
    spiking = any(kind(node) in NEURONS[:2] for node in found.nodes.values())
    n_in = size_of(found, next(name for name, node in found.nodes.items() if kind(node) == "Input"))
    rng = np.random.default_rng(seed)
    rows = (rng.random((STEPS, n_in)) < 0.3).astype(float) if spiking else np.tile(rng.normal(size=n_in), (STEPS, 1))
    course, near = steps(found, rows, dt)
    if near < 1e-6:
        event("a tie with the threshold")
        return
    rasters, answer = run(imported, rows, folder)
    cells = sorted(
        (name for name in found.nodes if kind(found.nodes[name]) in NEURONS[:2]),
        key=lambda name: full(found, name).encode().split(b"/"),
    )
    theirs = [p.name for p in imported.trained.experiment.network.spiking()[1:]]
    for name, population in zip(cells, theirs, strict=True):  # HDF5 keeps names in the order of their letters
        expected = np.array([out[name] for out in course])
        np.testing.assert_array_equal(rasters[population][0], expected, err_msg=name)
        if expected.any():
            event("spikes")
    entry = next(name for name, node in found.nodes.items() if kind(node) == "Input")
    last = direct(found, next(name for name, node in found.nodes.items() if kind(node) == "Output"))[0]
    while kind(found.nodes[last]) == "Delay":
        last = direct(found, last)[0]
    if kind(found.nodes[last]) not in NEURONS[:2]:
        np.testing.assert_allclose(answer, maps_in(found, last, {**course[-1], entry: rows[-1]}), rtol=1e-6, atol=1e-9)
    alike(found, imported, rows, course, dt)


def alike(found, imported, rows, course, dt):
    """Hold what was told of timing to what the tools do: a layer is a number of steps later, everywhere,
    unless it is told; of biases apart."""
    cells = [name for name in found.nodes if kind(found.nodes[name]) in NEURONS]
    if not any(kind(found.nodes[name]) in NEURONS[:2] for name in cells):
        return
    ways = any("which skips" in line or "timing of the loop" in line for line in imported.lost)
    biased = any("timing of the biases" in line for line in imported.lost)
    plain = unbiased(found)
    if at_once(plain, rows, dt) is None:
        event("a loop over several")
        assert ways
        return
    last = direct(found, next(name for name, node in found.nodes.items() if kind(node) == "Output"))[0]
    assert ways or same_but_late(plain, cells, last, steps(plain, rows, dt)[0], at_once(plain, rows, dt), rows)
    assert ways or biased or same_but_late(found, cells, last, course, at_once(found, rows, dt), rows)
    event(f"timing is told: {ways}, of biases: {biased}")


def same_but_late(found, cells, last, course, theirs, rows):
    """Whether each neuron, and what is answered, does in ours what it does in the tools some steps before."""
    entry = next(name for name, node in found.nodes.items() if kind(node) == "Input")
    both = [[np.array([out[name] for out in one]) for one in (course, theirs)] for name in cells]
    both.append([
        np.array([maps_in(found, last, {**out, entry: row}) for out, row in zip(one, rows, strict=True)])
        for one in (course, theirs)
    ])
    return all(
        any(np.allclose(mine[lag:], other[: STEPS - lag], rtol=1e-6, atol=1e-9) for lag in range(6))
        for mine, other in both
    )


def unbiased(found):
    """The same graph with nothing that acts all the time."""
    nodes = copy.deepcopy(found.nodes)
    for node in nodes.values():
        if kind(node) == "Affine":
            node.bias = 0 * node.bias
        elif kind(node) == "LI":
            node.v_leak = 0 * node.v_leak
    return replace(found, nodes=nodes)


PLAIN = {
    "input": nir.Input(np.array([3])),
    "w": nir.Affine(np.ones((2, 3)), np.ones(2)),
    "z": nir.CubaLIF(
        **dict.fromkeys(("tau_syn", "tau_mem"), np.full(2, 5e-3)),
        **dict.fromkeys(("r", "v_threshold", "w_in"), np.ones(2)),
        v_leak=np.zeros(2),
    ),
    "g": nir.NIRGraph(
        {"i": nir.Input(np.array([2])), "s": nir.Scale(np.ones(2)), "o": nir.Output(np.array([2]))},
        [("i", "s"), ("s", "o")],
        {"x": 1},
        type_check=False,
    ),
    "output": nir.Output(np.array([2])),
}
ANYTHING = st.one_of(
    st.none(),
    st.integers(-3, 2**40),
    st.floats(),
    st.text(max_size=3).filter(lambda text: "\0" not in text),
    st.booleans(),
    st.complex_numbers(),
    st.binary(max_size=3).filter(lambda text: b"\0" not in text),
    st.sampled_from([
        np.zeros(0),
        np.ones((2, 2)),
        np.ones((1, 1, 3)),
        np.array([1, 2], dtype="i1"),
        np.array([b"a", b"b"]),
        np.array([(1, 2.0)], dtype="i4,f8"),
        np.array([True]),
        h5py.Empty("f8"),
        np.float16(2),
        np.array([["a", "z"]], dtype=object),
    ]),
    st.sampled_from(["LIF", "NIRGraph", "Input", "Conv1d", "no such kind", "Delay"]),
)


@EACH
@given(data=st.data())
def test_whatever_stands_in_a_part_of_a_graph_it_is_read_or_refused_with_the_file_named(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("edited")
    path = folder / "edited.nir"
    edges = [("input", "w"), ("w", "z"), ("z", "g"), ("g", "output")]
    nir.write(
        path, nir.NIRGraph(PLAIN, edges, {"dt": DT, "note": {"x": np.ones(2)}}, type_check=False), compression=None
    )
    places = []
    with h5py.File(path, "a") as file:
        file.visit(places.append)
        for place in data.draw(st.lists(st.sampled_from(places), min_size=1, max_size=2)):
            value = data.draw(ANYTHING)
            group = data.draw(st.booleans())
            if place in file:
                del file[place]
            above = place.rpartition("/")[0] or "/"
            if above not in file or not isinstance(file[above], h5py.Group):
                continue  # the first edit took what the second is in
            if value is None and group:
                file.create_group(place)
            elif value is not None:
                file.create_dataset(
                    place,
                    data=value,
                    dtype=h5py.string_dtype() if isinstance(value, np.ndarray) and value.dtype == object else None,
                )
    outcome = CliRunner().invoke(cli.main, ["import", str(path), "--out", str(folder / "mine")])
    event(f"exit code {outcome.exit_code}")
    assert outcome.exception is None or isinstance(outcome.exception, SystemExit), repr(outcome.exception)
    assert outcome.exit_code in (0, 2), outcome.output
    if outcome.exit_code == 2:
        assert str(path) in outcome.stderr, outcome.stderr
        assert outcome.stderr.rstrip().endswith("."), outcome.stderr
        event(outcome.stderr.split()[1])
    else:
        assert toml.load(folder / "mine" / "model.toml").network.populations
