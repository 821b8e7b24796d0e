"""The pages on NIR and safetensors are true:
each row of their tables is checked with a file in which its value makes a difference.

A check gives two files, without and with what the row is about, and what must be seen of it: the values in the model
where it is used (a function of the second import, for which the first one must fail),
or words of the sentence or of the refusal.
"""

import dataclasses
import itertools
import json
import re
from pathlib import Path

import h5py
import numpy as np
import pytest

import bioFA
from bioFA import exchange
from bioFA.errors import BioFAError
from bioFA.runs.trained import Trained

PAGES = Path(__file__).parents[1] / "docs" / "formats"
DT = 1e-3
HIDDEN_WEIGHTS = np.array([[0.5, 1.0, -2.0], [1.5, 0.25, 3.0]])


def rows(page):
    """Attribute and outcome of every row of every table."""
    found = re.findall(
        r"^\| (?!attribute \|)([^|]+?) \| ([^|]+?) \|.*\|$",
        (PAGES / f"{page}.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    assert all(outcome in ("used", "told", "refused") for _, outcome in found), found
    assert len(dict(found)) == len(found), "an attribute has two rows"
    return {name.replace("`", ""): outcome for name, outcome in found}


def numbers(imported):
    """Weights, sizes and time constants of what was read, in one table."""
    found = {
        f"{p.name}.w": np.array(p.weights.values)
        for p in imported.trained.experiment.network.pathways
        if hasattr(p.weights, "values")
    }
    for p in imported.trained.experiment.network.populations:
        found |= {
            f"{p.name}.size": p.size,
            **{f"{p.name}.{name}": value for name, value in p.neuron.parameters().items() if isinstance(value, float)},
        }
    return found | {
        "dt": imported.trained.experiment.protocol.dt,
        "description": imported.trained.experiment.description,
    }


def hold(outcome, plain, other, seen):
    """Hold two files to what a row says: `plain` and `other` load them,
    `seen` is what must be seen of the difference."""
    if outcome == "refused":
        plain()
        with pytest.raises(BioFAError) as error:
            other()
        for word in seen:
            assert word in str(error.value), str(error.value)
        assert str(error.value).endswith("."), str(error.value)
        return
    first, second = plain(), other()
    if outcome == "told":
        sentences = [line for line in second.lost if line not in first.lost]
        assert any(all(word in line for word in seen) for line in sentences), second.lost
        return
    before, after = numbers(first), numbers(second)
    assert any(not np.array_equal(before.get(name), after.get(name)) for name in {*before, *after})
    for name, value in seen.items():
        assert value in after[name] if isinstance(value, str) else np.shape(after[name]) == np.shape(value), name
        assert isinstance(value, str) or np.allclose(after[name], value, rtol=1e-12, atol=0), (name, after[name], value)


# NIR


nir = pytest.importorskip("nir", reason="NIR is not installed: pip install '.[nir]'")


def lif(**more):
    return nir.LIF(**(
        {
            name: np.full(2, value)
            for name, value in {"tau": 0.02, "r": 1.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.25}.items()
        }
        | more
    ))


def cuba(**more):
    values = {
        "tau_mem": 0.02,
        "tau_syn": 5e-3,
        "r": 1.0,
        "w_in": 1.0,
        "v_leak": 0.0,
        "v_threshold": 1.0,
        "v_reset": 0.25,
    }
    return nir.CubaLIF(**({name: np.full(2, value) for name, value in values.items()} | more))


def li(**more):
    return nir.LI(
        **({name: np.full(2, value) for name, value in {"tau": 0.02, "r": 1.0, "v_leak": 0.0}.items()} | more)
    )


def chain(z=None, w=None, shape=(3,), out=2, nodes=None, edges=(), wrong=(), **metadata):
    """input -> w -> z -> output, with what else is given."""
    made = {
        "input": nir.Input(np.array(shape)),
        "w": w or nir.Linear(HIDDEN_WEIGHTS),
        "z": z or lif(),
        "output": nir.Output(np.array([out])),
        **(nodes or {}),
    }
    made = {name: node for name, node in made.items() if node is not None}
    joined = [edge for edge in [*itertools.pairwise(["input", "w", "z", "output"]), *edges] if edge not in wrong]
    return nir.NIRGraph(nodes=made, edges=joined, metadata={"dt": DT, **metadata}, type_check=False)


def noted(node, **metadata):
    node.metadata |= metadata
    return node


def edited(path, place, name, value, attribute=False):
    with h5py.File(path, "a") as file:
        if attribute:
            file[place].attrs[name] = value
        elif name in file[place]:
            file[place][name][()] = value
        else:
            file[place][name] = value


BASE = chain()
GAIN = 100.0 * DT  # of a weight: what a spike is worth, in the units of the placeholder's rate
ONES = np.ones(2)
TWICE = [("w2", nir.Linear(2 * HIDDEN_WEIGHTS)), ("a", lif())]
DEEP = {"v": nir.Linear(np.eye(2)), "a": lif()}
LONG = {"edges": [("w", "a"), ("a", "v"), ("v", "z")], "wrong": [("w", "z")]}
METADATA = {"q": np.ones(3)}


def used(plain, other, **seen):
    return plain, other, {name.replace("__", "."): value for name, value in seen.items()}


NEURONS = {
    "LIF.tau": used(BASE, chain(lif(tau=np.full(2, 0.03))), z__tau=0.03),
    "LIF.r": used(BASE, chain(lif(r=np.array([2.0, 3.0]))), input_to_z__w=GAIN * HIDDEN_WEIGHTS * [[2.0], [3.0]]),
    "LIF.v_leak": used(
        BASE, chain(lif(v_leak=np.full(2, 0.5))), input_to_z__w=GAIN * HIDDEN_WEIGHTS / 0.5, z__v_reset=-0.5
    ),
    "LIF.v_threshold": used(
        BASE, chain(lif(v_threshold=np.full(2, 2.0))), input_to_z__w=GAIN * HIDDEN_WEIGHTS / 2, z__v_reset=0.125
    ),
    "LIF.v_reset": used(BASE, chain(lif(v_reset=np.full(2, -0.5))), z__v_reset=-0.5),
    "CubaLIF.tau_mem": used(chain(cuba()), chain(cuba(tau_mem=np.full(2, 0.03))), z__tau=0.03),
    "CubaLIF.tau_syn": used(chain(cuba()), chain(cuba(tau_syn=np.full(2, 0.004))), z__tau_syn=0.004),
    "CubaLIF.r": used(
        chain(cuba()), chain(cuba(r=np.array([2.0, 3.0]))), input_to_z__w=GAIN * HIDDEN_WEIGHTS * [[2.0], [3.0]]
    ),
    "CubaLIF.w_in": used(
        chain(cuba()), chain(cuba(w_in=np.array([2.0, 3.0]))), input_to_z__w=GAIN * HIDDEN_WEIGHTS * [[2.0], [3.0]]
    ),
    "CubaLIF.v_leak": used(
        chain(cuba()), chain(cuba(v_leak=np.full(2, 0.5))), input_to_z__w=GAIN * HIDDEN_WEIGHTS / 0.5, z__v_reset=-0.5
    ),
    "CubaLIF.v_threshold": used(
        chain(cuba()),
        chain(cuba(v_threshold=np.full(2, 2.0))),
        input_to_z__w=GAIN * HIDDEN_WEIGHTS / 2,
        z__v_reset=0.125,
    ),
    "CubaLIF.v_reset": used(chain(cuba()), chain(cuba(v_reset=np.full(2, -0.5))), z__v_reset=-0.5),
    "LI.tau": used(chain(li()), chain(li(tau=np.full(2, 0.03))), z__tau=0.03),
    "LI.r": used(chain(li()), chain(li(r=np.array([2.0, 3.0]))), input_to_z__w=HIDDEN_WEIGHTS * [[2.0], [3.0]]),
    "LI.v_leak": used(chain(li()), chain(li(v_leak=np.array([2.0, 3.0]))), bias_to_z__w=np.array([[2.0], [3.0]])),
}
AFFINE = chain(w=nir.Affine(HIDDEN_WEIGHTS, np.zeros(2)))
MAPS = {
    "Affine.weight": used(
        AFFINE, chain(w=nir.Affine(HIDDEN_WEIGHTS + 1, np.zeros(2))), input_to_z__w=GAIN * (HIDDEN_WEIGHTS + 1)
    ),
    "Affine.bias": used(
        AFFINE, chain(w=nir.Affine(HIDDEN_WEIGHTS, np.array([0.5, -1.0]))), bias_to_z__w=np.array([[0.5], [-1.0]])
    ),
    "Linear.weight": used(BASE, chain(w=nir.Linear(HIDDEN_WEIGHTS + 1)), input_to_z__w=GAIN * (HIDDEN_WEIGHTS + 1)),
    "Scale.scale": used(
        chain(w=nir.Scale(ONES), shape=[2]),
        chain(w=nir.Scale(np.array([2.0, 3.0])), shape=[2]),
        input_to_z__w=GAIN * np.diag([2.0, 3.0]),
    ),
    "Input.shape": used(
        chain(
            w=nir.Scale(np.array(1.0)),
            z=lif(**{
                k: np.array(v)
                for k, v in {"tau": 0.02, "r": 1.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.25}.items()
            }),
            shape=[2],
        ),
        chain(
            w=nir.Scale(np.array(1.0)),
            z=lif(**{
                k: np.array(v)
                for k, v in {"tau": 0.02, "r": 1.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.25}.items()
            }),
            shape=[2, 3],
            out=6,
        ),
        input__size=6,
        z__size=6,
    ),
    "Output.shape": (BASE, chain(out=5), ["node 'output': shape (5 values) is not used: 2 values reach it"]),
}
TOLD = {
    "Affine.metadata": (
        AFFINE,
        chain(w=noted(nir.Affine(HIDDEN_WEIGHTS, np.zeros(2)), **METADATA)),
        ["metadata of 'w': q (3 values) is not used"],
    ),
    "Linear.metadata": (
        BASE,
        chain(w=noted(nir.Linear(HIDDEN_WEIGHTS), **METADATA)),
        ["metadata of 'w': q (3 values) is not used"],
    ),
    "Scale.metadata": (
        chain(w=nir.Scale(ONES), shape=[2]),
        chain(w=noted(nir.Scale(ONES), **METADATA), shape=[2]),
        ["metadata of 'w': q (3 values) is not used"],
    ),
    "LIF.metadata": (
        BASE,
        chain(noted(lif(), reset_mode="subtract")),
        ["metadata of 'z': reset_mode (1 value) is not used"],
    ),
    "CubaLIF.metadata": (
        chain(cuba()),
        chain(noted(cuba(), **METADATA)),
        ["metadata of 'z': q (3 values) is not used"],
    ),
    "LI.metadata": (chain(li()), chain(noted(li(), **METADATA)), ["metadata of 'z': q (3 values) is not used"]),
    "Input.metadata": (
        BASE,
        chain(nodes={"input": noted(nir.Input(np.array([3])), **METADATA)}),
        ["metadata of 'input': q (3 values) is not used"],
    ),
    "Output.metadata": (
        BASE,
        chain(nodes={"output": noted(nir.Output(np.array([2])), **METADATA)}),
        ["metadata of 'output': q (3 values) is not used"],
    ),
    "NIRGraph.metadata": (BASE, chain(author="x"), ["metadata: author (1 value) is not used"]),
    "Delay.metadata": (
        chain(nodes={"d": nir.Delay(np.zeros(3))}, edges=[("input", "d"), ("d", "w")], wrong=[("input", "w")]),
        chain(
            nodes={"d": noted(nir.Delay(np.zeros(3)), **METADATA)},
            edges=[("input", "d"), ("d", "w")],
            wrong=[("input", "w")],
        ),
        ["metadata of 'd': q (3 values) is not used"],
    ),
    "groups and values that NIR does not know": (
        BASE,
        (chain(), "node/nodes/z", "beta", np.ones(4), False),
        ["node 'z': beta (4 values) is not used"],
    ),
    "attributes of HDF5": (
        BASE,
        (chain(), "node/nodes/z", "unit", "mV", True),
        ["node 'z': the attribute unit (1 value) is not used"],
    ),
    "the reset of the tool that wrote it": (
        chain(li()),
        chain(),
        ["the reset of 'z'", "subtract the threshold by default"],
    ),
    "a way that skips a layer": (
        chain(nodes=DEEP, **LONG),
        chain(
            nodes=DEEP | {"u": nir.Linear(HIDDEN_WEIGHTS)},
            **LONG | {"edges": [*LONG["edges"], ("input", "u"), ("u", "z")]},
        ),
        ["timing from 'input' to 'z', which skips 1 layer"],
    ),
    "a loop over several populations": (
        chain(nodes=DEEP, **LONG),
        chain(
            nodes=DEEP | {"back": nir.Linear(np.eye(2))},
            **LONG | {"edges": [*LONG["edges"], ("z", "back"), ("back", "a")]},
        ),
        ["timing of the loop over 'a', 'z'"],
    ),
    "a bias above the first layer": (
        chain(nodes=DEEP, **LONG),
        chain(nodes=DEEP | {"v": nir.Affine(np.eye(2), ONES)}, **LONG),
        ["timing of the biases that reach 'z'"],
    ),
    "the spikes that are fed": (chain(li()), chain(), ["input is a poisson_source, a placeholder"]),
}
GRAPH = {
    "version": used(
        (chain(), "/", "version", "0.9", False),
        (chain(), "/", "version", "7.0", False),
        description="written by nir 7.0",
    ),
    "NIRGraph.nodes": used(BASE, chain(nodes=DEEP, **LONG), a__size=2, a_to_z__w=GAIN * np.eye(2)),
    "NIRGraph.edges": used(
        chain(nodes={"u": nir.Linear(HIDDEN_WEIGHTS)}, edges=[("input", "u")]),
        chain(nodes={"u": nir.Linear(HIDDEN_WEIGHTS)}, edges=[("input", "u"), ("u", "z")]),
        input_to_z__w=2 * GAIN * HIDDEN_WEIGHTS,
    ),
    "metadata.dt": used(BASE, chain(dt=5e-4), dt=5e-4),
    "an edge that stands twice": (BASE, chain(edges=[("w", "z")]), ["from 'w' to 'z' stands there 2 times"]),
    "an edge that names no node": (BASE, chain(edges=[("w", "y")]), ["names the node 'y'"]),
    "an edge into an Input or out of an Output": (BASE, chain(edges=[("z", "input")]), ["from 'z' to 'input'"]),
    "several Inputs or Outputs": (
        BASE,
        chain(nodes={"more": nir.Input(np.array([3]))}, edges=[("more", "w")]),
        ["2 nodes of type Input (input, more)"],
    ),
    "a graph that holds no path to its Output": (
        BASE,
        chain(wrong=[("z", "output")]),
        ["nothing reaches the node 'output'"],
    ),
    "a population that leads to itself": used(
        BASE,
        chain(nodes={"r": nir.Linear(0.5 * np.eye(2))}, edges=[("z", "r"), ("r", "z")]),
        z_to_z__w=GAIN * 0.5 * np.eye(2),
    ),
    "a time constant shorter than the step": (
        BASE,
        chain(lif(tau=np.full(2, 1e-4))),
        ["tau of the node 'z' is 0.0001 s, shorter than the time step of 0.001 s", "-9"],
    ),
    "a delay of half a step": (
        BASE,
        chain(nodes={"d": nir.Delay(np.full(3, 5e-4))}, edges=[("input", "d"), ("d", "w")], wrong=[("input", "w")]),
        ["the node 'd' is a Delay of up to 0.0005 s, 0.5 steps"],
    ),
    "linear maps in a circle": (
        BASE,
        chain(
            nodes={"v": nir.Linear(np.eye(2)), "u": nir.Linear(np.eye(2))}, edges=[("z", "v"), ("v", "u"), ("u", "v")]
        ),
        ["the linear maps", "'u'", "'v'", "circle"],
    ),
}
REFUSED = {  # of each kind that bioFA does not have: parameters, and others
    "AvgPool2d": [
        {"kernel_size": np.array([2, 2]), "stride": np.array([2, 2]), "padding": np.array([0, 0])},
        {"kernel_size": np.array([1, 1]), "stride": np.array([1, 1]), "padding": np.array([1, 1])},
    ],
    "SumPool2d": [
        {"kernel_size": np.array([2, 2]), "stride": np.array([2, 2]), "padding": np.array([0, 0])},
        {"kernel_size": np.array([1, 1]), "stride": np.array([1, 1]), "padding": np.array([1, 1])},
    ],
    "Conv1d": [
        {
            "input_shape": 3,
            "weight": np.ones((2, 1, 2)),
            "stride": 1,
            "padding": 0,
            "dilation": 1,
            "groups": 1,
            "bias": np.ones(2),
        },
        {
            "input_shape": 4,
            "weight": np.ones((2, 1, 1)),
            "stride": 2,
            "padding": 1,
            "dilation": 2,
            "groups": 2,
            "bias": np.zeros(2),
        },
    ],
    "Conv2d": [
        {
            "input_shape": (3, 3),
            "weight": np.ones((2, 1, 2, 2)),
            "stride": 1,
            "padding": 0,
            "dilation": 1,
            "groups": 1,
            "bias": np.ones(2),
        },
        {
            "input_shape": (4, 4),
            "weight": np.ones((2, 1, 1, 1)),
            "stride": 2,
            "padding": 1,
            "dilation": 2,
            "groups": 2,
            "bias": np.zeros(2),
        },
    ],
    "CubaLI": [
        dict.fromkeys(("tau_syn", "tau_mem", "r", "v_leak", "w_in"), ONES),
        dict.fromkeys(("tau_syn", "tau_mem", "r", "v_leak", "w_in"), 2 * ONES),
    ],
    "Delay": [{"delay": np.full(2, 1e-3)}, {"delay": np.full(2, 1.5e-3)}],
    "Flatten": [
        {"input_type": {"input": np.array([2, 1])}, "start_dim": 0, "end_dim": -1},
        {"input_type": {"input": np.array([1, 2])}, "start_dim": 1, "end_dim": 1},
    ],
    "I": [{"r": ONES}, {"r": 2 * ONES}],
    "IF": [
        {"r": ONES, "v_threshold": ONES, "v_reset": 0 * ONES},
        {"r": 2 * ONES, "v_threshold": 2 * ONES, "v_reset": -ONES},
    ],
    "Threshold": [{"threshold": ONES}, {"threshold": 2 * ONES}],
}


def nir_checks():
    """A check for each row of the page on NIR: two graphs, or graphs with an edit, and what must be seen."""
    found = NEURONS | MAPS | TOLD | GRAPH
    for kind, (values, others) in REFUSED.items():
        what = ["the node 'z' is a", kind]
        found |= {
            f"{kind}.{name}": (BASE, chain(getattr(nir, kind)(**values | {name: others[name]})), what)
            for name in values
        }
        found.setdefault(f"{kind}.metadata", (BASE, chain(noted(getattr(nir, kind)(**values), **METADATA)), what))
    return found


def load_nir(case, path):
    """Write a graph, edit it where that is asked for, and read it."""
    graph, *edit = case if isinstance(case, tuple) else (case,)
    nir.write(path, graph, compression=None)
    if edit:
        edited(path, *edit)
    return exchange.load(path)


NIR_CHECKS = nir_checks()
READ = {}


def load_plain(case, path):
    """The same for the first of two graphs; the one that most rows share is read once."""
    if case is not BASE:
        return load_nir(case, path)
    if "base" not in READ:
        READ["base"] = load_nir(case, path)
    return READ["base"]


def fields_of_nir():
    """Every field of every kind of node of the package, by the name that it has in a file."""
    kinds = [
        kind
        for kind in vars(nir).values()
        if isinstance(kind, type) and issubclass(kind, nir.NIRNode) and kind is not nir.NIRNode
    ]
    named = {("Input", "input_type"): "shape", ("Output", "output_type"): "shape"}
    return {
        f"{kind.__name__}.{named.get((kind.__name__, field.name), field.name)}"
        for kind in kinds
        for field in dataclasses.fields(kind)
        if field.init
    }


def test_every_field_of_every_node_of_nir_has_a_row():
    assert len(fields_of_nir()) > 60
    assert fields_of_nir() <= set(rows("nir"))


def test_the_rows_on_nir_and_their_checks_are_the_same():
    assert set(rows("nir")) == {*NIR_CHECKS, "metadata.bioFA"}


@pytest.mark.parametrize("name", NIR_CHECKS)
def test_a_row_on_nir_is_true(name, tmp_path):
    plain, other, seen = NIR_CHECKS[name]
    hold(
        rows("nir")[name],
        lambda: load_plain(plain, tmp_path / "n.nir"),
        lambda: load_nir(other, tmp_path / "n.nir"),
        seen,
    )


def test_what_bioFA_noted_in_a_graph_is_used(tmp_path):
    described = bioFA.load("linear")
    exchange.export(Trained(described, 1, 7, dict(bioFA.draw(described, 1).state)), "nir", tmp_path / "n.nir")
    assert rows("nir")["metadata.bioFA"] == "used"
    found = exchange.load(tmp_path / "n.nir")
    assert (found.trained.experiment, found.trained.presentations, found.lost) == (described, 7, ())
    with h5py.File(tmp_path / "n.nir", "a") as file:
        del file["node/metadata/bioFA"]
    assert exchange.load(tmp_path / "n.nir").trained.experiment != described


# safetensors


KINDS = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "u1",
    "BOOL": "?",
}
W = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
V = np.array([[1.0, -1.0], [2.0, 0.5]])
TWO = {"0.weight": W, "2.weight": V}


def save(tensors, path, metadata=None, twice=None):
    """A file, written byte by byte: tensors as arrays (float64), or as (kind, array)."""
    parts, data = [], b""
    for name, given in tensors.items():
        kind, array = given if isinstance(given, tuple) else ("F64", given)
        part = (
            (np.asarray(array, "<f4").view("<u4") >> 16).astype("<u2").tobytes()
            if kind == "BF16"
            else np.asarray(array).astype(KINDS[kind]).tobytes()
        )
        parts.append(
            (name, {"dtype": kind, "shape": list(np.shape(array)), "data_offsets": [len(data), len(data) + len(part)]})
        )
        data += part
    parts += [("__metadata__", metadata)] if metadata else []
    text = (
        "{"
        + ", ".join(
            f"{json.dumps(name)}: {json.dumps(part)}"
            for name, part in parts + [one for one in parts if one[0] == twice]
        )
        + "}"
    )
    path.write_bytes(len(text.encode()).to_bytes(8, "little") + text.encode() + data)


def pair(plain, other, seen, metadata=None, twice=None):
    """Two files of tensors, the second with metadata."""
    return (plain, None, None), (other, metadata, twice), seen


def of_kind(kind):
    """A check that numbers of a kind are read exactly."""
    return pair(TWO, TWO | {"0.weight": (kind, W + 1)}, {"input_to_hidden.w": W + 1})


TENSORS = {
    "<layer>.weight of two dimensions": pair(
        TWO, TWO | {"0.weight": W + 1}, {"input_to_hidden.w": W + 1, "hidden_to_output.w": V}
    ),
    "weight": pair({"weight": W}, {"weight": W + 1}, {"input_to_output.w": W + 1}),
    "<layer>.bias": pair(TWO, TWO | {"2.bias": np.array([7.0, 8.0])}, {"bias_to_output.w": np.array([[7.0], [8.0]])}),
    "bias": pair(
        {"weight": W}, {"weight": W, "bias": np.array([7.0, 8.0])}, {"bias_to_output.w": np.array([[7.0], [8.0]])}
    ),
    "<layer>.weight of other dimensions": pair(TWO, TWO | {"3.weight": np.ones(2)}, ["3.weight (2,)"]),
    "<layer>.bias of another size than its layer": pair(
        TWO, TWO | {"2.bias": np.ones(3)}, ["2.bias must have shape (2,)"]
    ),
    "a bias without a weight": pair(TWO, TWO | {"4.bias": np.ones(3)}, ["4.bias (3,)"]),
    "<layer>.running_mean": pair(TWO, TWO | {"2.running_mean": np.ones(2)}, ["2.running_mean (2,)"]),
    "a tensor without values": pair(TWO, {"0.weight": np.ones((0, 3))}, ["0.weight has the shape (0, 3)"]),
    "numbers that are not finite": pair(TWO, TWO | {"2.weight": V * np.nan}, ["2.weight", "(4 of 4)"]),
    "what kind of layer it is": pair({"weight": W}, TWO, ["what kind of layer 0, 2 is"]),
    "the activations": pair({"weight": W}, TWO, ["activations of hidden layers and of the output"]),
    "names in their order": pair(
        {"layers.2.weight": np.eye(2), "layers.10.weight": V},
        {"layers.3.weight": V, "layers.2.weight": np.eye(2) * 3, "layers.10.weight": V * 2},
        {"input_to_hidden1.w": np.eye(2) * 3, "hidden1_to_hidden2.w": V, "hidden2_to_output.w": V * 2},
    ),
    "names in another order than the sizes": pair(
        TWO, {"2.weight": W, "0.weight": V}, ["2, 0 (3-2-2) is taken, the only one that fits"]
    ),
    "sizes that leave several orders": pair(
        TWO,
        {"a.weight": W, "b.weight": W.T},
        ["a, b (3-2-3) is taken, the order of their names; b, a (2-3-2) fits too"],
    ),
    "several orders, none that of the names": pair(
        TWO, {"a.weight": V, "b.weight": W, "c.weight": V}, ["2 orders of the layers fit", "a.weight"]
    ),
    "layers that do not follow each other": pair(
        TWO, TWO | {"3.weight": np.ones((4, 5))}, ["do not follow each other", "3.weight (4, 5)"]
    ),
    "a name that stands twice": pair(TWO, TWO, ["'0.weight' twice"], twice="0.weight"),
    "BF16": pair(TWO, TWO | {"0.weight": ("BF16", W + 0.5)}, {"input_to_hidden.w": W + 0.5}),
    **{kind: of_kind(kind) for kind in ("F64", "F32", "F16")},
    **{
        kind: pair(TWO, TWO | {"0.weight": (kind, W)}, [f"the tensor 0.weight holds whole numbers ({kind})"])
        for kind in KINDS
        if kind[0] in "IU"
    },
    "whole numbers beyond 2^53": pair(
        TWO, TWO | {"0.weight": ("I64", np.full((2, 3), 2**53 + 1))}, ["0.weight", "2^53"]
    ),
    "BOOL": pair(TWO, TWO | {"0.weight": ("BOOL", W)}, ["0.weight", "kind BOOL"]),
    "format of another value": pair(TWO, TWO, ["metadata: format (1 value) is not used"], {"format": "tf"}),
    "a name that shares the tensor that is its value": pair(
        TWO, TWO, ["4.weight and 2.weight are one tensor"], {"4.weight": "2.weight"}
    ),
    "every other key": pair(TWO, TWO, ["metadata: author (1 value) is not used"], {"author": "x"}),
}
OURS = (
    "bioFA",
    "weights that were changed",
    "a tensor that was added",
    "a tensor that is missing",
    "a tensor of another shape",
)


def test_the_rows_on_safetensors_and_their_checks_are_the_same():
    assert set(rows("safetensors")) == {*TENSORS, *OURS, "format of \"pt\" or \"np\""}


@pytest.mark.parametrize("name", TENSORS)
def test_a_row_on_safetensors_is_true(name, tmp_path):
    pytest.importorskip("safetensors")

    def load(case):
        tensors, metadata, twice = case
        save(tensors, tmp_path / "t.safetensors", metadata, twice)
        return exchange.load(tmp_path / "t.safetensors")

    plain, other, seen = TENSORS[name]
    hold(rows("safetensors")[name], lambda: load(plain), lambda: load(other), seen)


@pytest.mark.parametrize("value", ["pt", "np"])
def test_the_format_says_how_weights_stand(value, tmp_path):
    save(TWO, tmp_path / "t.safetensors", {"format": value})
    found = exchange.load(tmp_path / "t.safetensors")
    assert rows("safetensors")['format of "pt" or "np"'] == "used"
    assert not any("format" in line for line in found.lost)
    np.testing.assert_array_equal(numbers(found)["input_to_hidden.w"], W)


@pytest.mark.parametrize("name", OURS)
def test_a_row_on_files_of_bioFA_is_true(name, tmp_path):
    numpy = pytest.importorskip("safetensors.numpy")
    described = bioFA.load("linear")
    given = Trained(described, 1, 7, dict(bioFA.draw(described, 1).state))
    exchange.export(given, "safetensors", tmp_path / "ours.safetensors")
    data = (tmp_path / "ours.safetensors").read_bytes()
    metadata = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
    tensors = numpy.load_file(tmp_path / "ours.safetensors")
    first = "input_to_hidden.weight"
    change = {
        "weights that were changed": {first: 2 * tensors[first]},
        "a tensor that was added": {"input_to_hidden.mask": np.ones(3)},
        "a tensor that is missing": {first: None},
        "a tensor of another shape": {first: np.ones((2, 2))},
        "bioFA": {},
    }[name]
    numpy.save_file(
        {key: value for key, value in (tensors | change).items() if value is not None},
        tmp_path / "t.safetensors",
        metadata=metadata,
    )
    outcome = rows("safetensors")[name]
    if outcome == "refused":
        with pytest.raises(BioFAError, match=r"input_to_hidden") as error:
            exchange.load(tmp_path / "t.safetensors")
        assert (
            "no tensor input_to_hidden.weight" if name.endswith("missing") else "must have weights of shape"
        ) in str(error.value)
        return
    found = exchange.load(tmp_path / "t.safetensors")
    assert (found.trained.experiment, found.trained.presentations) == (described, 7)
    np.testing.assert_array_equal(
        found.trained.state["input_to_hidden.w"],
        given.state["input_to_hidden.w"] * (2 if name.endswith("changed") else 1),
    )
    assert found.lost == (("tensors: input_to_hidden.mask (3 values) is not used",) if outcome == "told" else ())
