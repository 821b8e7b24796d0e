"""Any small safetensors file: each tensor and each key of the metadata is used as it stands there,
named with how many values it has, or refused by name.

What must come out is computed here from the drawn tensors themselves; the file is written byte by byte,
so that it may be in any order and of any kind.
"""

import itertools
import json
import os
from dataclasses import dataclass

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

import bioFA
from bioFA import cli, exchange
from bioFA.errors import BioFAError, DamagedFile
from bioFA.modelfiles import toml
from bioFA.runs.trained import Trained

pytest.importorskip("safetensors", reason="safetensors is not installed: pip install '.[safetensors]'")

EXAMPLES = int(os.environ.get("BIOFA_EXAMPLES", 25))
EACH = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=EXAMPLES <= 100,  # as CI draws them
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.shrink],
)
FLOATS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
WHOLE = {"I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "U8": "u1", "U16": "<u2", "U32": "<u4", "U64": "<u8"}
STRANGE = {"BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1}
STEMS = [
    "",
    "0",
    "2",
    "10",
    "fc1",
    "fc2",
    "layers.0",
    "layers.1",
    "layers.10",
    "encoder",
    "decoder",
    "net.0.linear",
    "module.head",
    "²",
    "a.1",
    "a.01",
    "Ünï",
    "weight",
    "bias",
    "a.weight",
]
OTHERS = {
    "{}.running_mean": (3,),
    "{}.running_var": (3,),
    "{}.num_batches_tracked": (),
    "{}.weight_hh_l0": (4, 4),
    "conv.weight": (2, 2, 3, 3),
    "norm.weight": (4,),
    "norm.bias": (4,),
    "{}.scale": (1,),
    "loose.bias": (3,),
    "step": (),
    "{}.weight.": (2, 2),
}
"""Tensors of a state_dict that are no linear layer."""


@dataclass
class Drawn:
    """A file: tensors by name, each with its kind and its bytes, and the metadata."""

    tensors: dict
    metadata: dict


def values_of(kind, data, shape):
    """The numbers of a tensor, read here by their bits."""
    if kind == "BF16":
        bits = np.frombuffer(data, "<u2").astype(np.uint32)
        sign, exponent, fraction = bits >> 15, (bits >> 7) & 255, bits & 127
        return np.where(sign, -1.0, 1.0).reshape(shape) * (
            np.where(exponent, 1 + fraction / 128, fraction / 128)
            * 2.0 ** (np.maximum(exponent, 1).astype(float) - 127)
        ).reshape(shape)
    return np.frombuffer(data, (FLOATS | WHOLE)[kind]).reshape(shape)


def tensor(kind, shape, rng):
    """A tensor of finite numbers."""
    count = int(np.prod(shape))
    if kind in STRANGE:
        return kind, shape, bytes(count)
    if kind == "BF16":
        return kind, shape, ((rng.normal(size=count).astype("<f4").view("<u4")) >> 16).astype("<u2").tobytes()
    if kind in FLOATS:
        return kind, shape, rng.normal(size=count).astype(FLOATS[kind]).tobytes()
    return kind, shape, rng.integers(0, 100, count).astype(WHOLE[kind]).tobytes()


@st.composite
def state_dicts(draw):
    """A file, mostly a state_dict of linear layers."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kinds = st.sampled_from(list(FLOATS) * 4 + list(WHOLE) + (list(STRANGE) if not draw(st.integers(0, 9)) else []))
    stems = draw(st.lists(st.sampled_from(STEMS), min_size=1, max_size=4, unique=True))
    sizes = [draw(st.sampled_from([1, 2, 3, 4, 4])) for _ in range(len(stems) + 1)]
    if draw(st.booleans()):
        stems.sort()
    tensors = {}
    for stem, a, b in zip(stems, sizes, sizes[1:], strict=False):
        tensors[f"{stem}.weight".lstrip(".")] = tensor(draw(kinds), (b, a), rng)
        if draw(st.booleans()):
            tensors[f"{stem}.bias".lstrip(".")] = tensor(draw(kinds), (b,), rng)
    metadata = draw(
        st.dictionaries(
            st.sampled_from(["author", "note", "ünï", "license", "x"]),
            st.sampled_from(["", "a", "fc1.weight", "0.weight", "weight"]),
            max_size=2,
        )
    )
    if draw(st.booleans()):
        metadata["format"] = draw(st.sampled_from(["pt", "pt", "np", "tf"]))
    odd = draw(
        st.sampled_from(
            [None] * 10 + ["other", "tied", "tied", "tied to all", "bias", "nan", "empty", "large", "gap", "cube"]
        )
    )
    first = next(iter(tensors))
    kind, shape, _ = tensors[first]
    if odd == "other":
        name = draw(st.sampled_from(list(OTHERS)))
        tensors[name.format(stems[0])] = tensor(draw(kinds), OTHERS[name], rng)
    elif odd in ("tied", "tied to all"):
        kept = first if odd == "tied" else draw(st.sampled_from(list(tensors)))
        metadata[draw(st.sampled_from(["z.weight", "tied.weight", "z.bias", stems[0] + ".weight", "prose"]))] = kept
    elif odd == "bias":
        tensors[f"{stems[0]}.bias".lstrip(".")] = tensor("F32", (shape[0] + 1,), rng)
    elif odd == "nan":
        tensors[first] = ("F32", shape, np.full(shape, draw(st.sampled_from([np.nan, np.inf])), "<f4").tobytes())
    elif odd == "empty":
        tensors[first] = tensor(kind, draw(st.sampled_from([(0, 3), (3, 0)])), rng)
    elif odd == "large":
        tensors[first] = ("I64", shape, np.full(shape, 2**53 + draw(st.sampled_from([0, 1, -1]))).tobytes())
    elif odd == "gap":
        tensors["gap.weight"] = tensor("F32", (17, 13), rng)
    elif odd == "cube":
        tensors[first] = tensor("F32", (*shape, 1), rng)
    order = draw(st.permutations(list(tensors)))
    return Drawn({name: tensors[name] for name in order}, metadata)


def write(found, path):
    """The file, its tensors in their order."""
    header, data = {"__metadata__": found.metadata} if found.metadata else {}, b""
    for name, (kind, shape, part) in found.tensors.items():
        header[name] = {"dtype": kind, "shape": list(shape), "data_offsets": [len(data), len(data) + len(part)]}
        data += part
    text = json.dumps(header, ensure_ascii=False).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def shared(found):
    """The names in the metadata that share a tensor, each with the name under which it is kept."""
    return {
        name: kept
        for name, kept in found.metadata.items()
        if kept in found.tensors and name not in found.tensors and name.split(".")[-1] == kept.split(".")[-1]
    }


def layers_of(found):
    """Weights and biases by layer, and the tensors that belong to none."""
    whole = dict(found.tensors) | {name: found.tensors[kept] for name, kept in shared(found).items()}
    weights = {
        name[: -len("weight")]: name
        for name, (_, shape, _) in whole.items()
        if (name == "weight" or name.endswith(".weight")) and len(shape) == 2
    }
    biases = {name[: -len("bias")]: name for name in whole if name == "bias" or name.endswith(".bias")}
    biases = {layer: name for layer, name in biases.items() if layer in weights}
    return whole, weights, biases, sorted(set(whole) - set(weights.values()) - set(biases.values()))


def orders_of(whole, weights):
    """Every order of the layers in which each takes as many values as the one before gives."""
    return [
        order
        for order in itertools.permutations(weights)
        if all(whole[weights[a]][1][0] == whole[weights[b]][1][1] for a, b in itertools.pairwise(order))
    ]


def reasons(found):
    """What must be refused, each with what the message must name."""
    whole, weights, biases, others = layers_of(found)
    if strange := [(name, kind) for name, (kind, *_) in found.tensors.items() if kind in STRANGE]:
        return [{name, kind} for name, kind in strange]
    numbers = {name: values_of(*(part[0], part[2], part[1])) for name, part in whole.items()}
    if large := [
        {name}
        for name in found.tensors
        if numbers[name].dtype.kind in "iu" and any(abs(int(x)) > 2**53 for x in numbers[name].flat)
    ]:
        return large
    if others or not weights:
        return [set(others) or {"no layer"}]
    if empty := [{name} for name, values in numbers.items() if values.size == 0]:
        return empty
    if wrong := [{biases[layer]} for layer in biases if whole[biases[layer]][1] != whole[weights[layer]][1][:1]]:
        return wrong
    if wild := [{name} for name, values in numbers.items() if not np.isfinite(values.astype(float)).all()]:
        return wild
    return (
        []
        if len(orders_of(whole, weights)) == 1
        else [set(weights.values())] if not orders_of(whole, weights) else ["by names"]
    )


def answer(found, order):
    """What the layers make of an input, in this order."""
    whole, weights, biases, _ = layers_of(found)
    x = np.linspace(-1, 1, whole[weights[order[0]]][1][1])
    for layer in order:
        kind, shape, data = whole[weights[layer]]
        x = values_of(kind, data, shape).astype(float) @ x
        if layer in biases:
            kind, shape, data = whole[biases[layer]]
            x = x + values_of(kind, data, shape).astype(float)
    return x


def ours(imported):
    """What the network that was read makes of that input."""
    network, state = imported.trained.experiment.network, imported.trained.state
    x = np.linspace(-1, 1, network.populations[0].size)
    for population in network.populations[1:]:
        if population.name in ("target", "mismatch", "bias"):
            continue
        arriving = network.arriving(population.name, "drive")
        x = sum(state[f"{p.name}.w"][:, 0] if p.source == "bias" else state[f"{p.name}.w"] @ x for p in arriving)
    return x


@EACH
@given(found=state_dicts())
def test_every_tensor_and_key_is_used_or_named_or_refused_by_name(found, tmp_path_factory):
    folder = tmp_path_factory.mktemp("any")
    path = folder / "any.safetensors"
    write(found, path)
    why = reasons(found)
    imported = None
    try:
        imported = exchange.load(path)
    except BioFAError as error:
        message = str(error)
        fault = error
    if imported is None:
        event("refused")
        assert why, message
        assert message.count(str(path)) == 1, message
        assert message.endswith("."), message
        assert message.count(". ") >= 1, message
        assert not isinstance(fault, DamagedFile), message
        assert why == ["by names"] or any(all(name in message for name in names) for names in why), message
        if why == ["by names"]:
            assert all(name in message for name in layers_of(found)[1].values()), message
        outcome = CliRunner().invoke(cli.main, ["import", str(path), "--out", str(folder / "mine")])
        assert outcome.exit_code == 2, outcome.output
        assert outcome.stderr.startswith(f"biofa: [{fault.code}] "), outcome.stderr
        assert message in outcome.stderr, outcome.stderr
        return
    event("read")
    assert why in ([], ["by names"]), why
    whole, weights, _, _ = layers_of(found)
    orders = orders_of(whole, weights)
    told = [line for line in imported.lost if "is not used" in line]
    unused = [
        name
        for name in found.metadata
        if name not in shared(found) and not (name == "format" and found.metadata[name] in ("pt", "np"))
    ]
    assert sorted(told) == sorted(f"metadata: {name} (1 value) is not used" for name in unused)
    taken = [
        order
        for order in orders
        if answer(found, order).shape == ours(imported).shape
        and np.allclose(answer(found, order), ours(imported), rtol=1e-9, atol=0)
    ]
    assert taken
    if len(orders) > 1:
        event("several orders fit")
        lines = [line for line in imported.lost if line.startswith("the order of the layers")]
        assert len(lines) == 1
        assert any(
            f": {', '.join(layer.removesuffix('.') or 'the module' for layer in order)} (" in lines[0]
            for order in taken
        )
    for name, kept in shared(found).items():
        assert any(f"{name} and {kept} are one tensor" in line for line in imported.lost)
    for name, (kind, *_) in found.tensors.items():
        assert any(f"the tensor {name} holds whole numbers ({kind})" in line for line in imported.lost) == (
            kind in WHOLE
        )
    model, _ = imported.save(folder / "read")
    read = bioFA.draw(toml.load(model), 1)
    assert all(
        np.array_equal(read.state[name], array) for name, array in imported.trained.state.items() if name.endswith(".w")
    )


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A file of bioFA, its network, and what is in it."""
    experiment = bioFA.load("digits")
    trained = Trained(experiment, 3, 5, dict(bioFA.draw(experiment, 3).state))
    path = tmp_path_factory.mktemp("ours") / "ours.safetensors"
    exchange.export(trained, "safetensors", path)
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    metadata = header.pop("__metadata__")
    body = data[8 + length :]
    return (
        trained,
        {
            name: (part["dtype"], tuple(part["shape"]), body[slice(*part["data_offsets"])])
            for name, part in header.items()
        },
        metadata,
    )


@EACH
@given(data=st.data())
def test_what_was_added_to_a_file_of_bioFA_is_named_and_what_is_missing_is_refused_by_name(
    exported, data, tmp_path_factory
):
    trained, tensors, metadata = exported
    path = tmp_path_factory.mktemp("changed") / "changed.safetensors"
    pathway = data.draw(st.sampled_from(list(tensors)))
    stem = pathway.rpartition(".")[0]
    extra = data.draw(
        st.dictionaries(
            st.sampled_from([f"{stem}.running_mean", f"{stem}.w", "new.weight", f"x.{stem}.weight", stem, "new.bias"]),
            st.integers(1, 3),
            max_size=2,
        )
    )
    keys = data.draw(st.dictionaries(st.sampled_from(["author", "format", "bioFA2"]), st.just("x"), max_size=2))
    missing = data.draw(st.booleans())
    changed = {name: part for name, part in tensors.items() if not (missing and name == pathway)}
    changed |= {name: ("F32", (size,), np.ones(size, "<f4").tobytes()) for name, size in extra.items()}
    write(Drawn(changed, metadata | keys), path)
    if missing:
        with pytest.raises(DamagedFile, match=f"no tensor {pathway}, the weights of "):
            exchange.load(path)
        return
    found = exchange.load(path)
    expected = [f"metadata: {name} (1 value) is not used" for name in keys]
    expected += [f"tensors: {name} ({size} value{'s' if size > 1 else ''}) is not used" for name, size in extra.items()]
    assert sorted(found.lost) == sorted(expected)
    assert found.trained.state.keys() == trained.state.keys()
    for name, array in trained.state.items():
        np.testing.assert_array_equal(found.trained.state[name], array)


def test_a_name_that_stands_twice_is_refused(tmp_path):
    header = b'{"a.weight":{"dtype":"F32","shape":[1,1],"data_offsets":[0,4]},"a.weight":{"dtype":"F32","shape":[1,1],"data_offsets":[0,4]}}'  # noqa: E501
    (tmp_path / "twice.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    with pytest.raises(DamagedFile, match=r"names 'a\.weight' twice"):
        exchange.load(tmp_path / "twice.safetensors")


def test_the_order_of_more_layers_than_are_tried_is_told(tmp_path):
    numpy = pytest.importorskip("safetensors.numpy")
    numpy.save_file(
        {f"{number}.weight": np.full((3, 3), 1.0 + number) for number in range(12)}, tmp_path / "deep.safetensors"
    )
    lost = exchange.load(tmp_path / "deep.safetensors").lost
    assert any(
        "the order of the layers" in line
        and "0, 1, 2" in line
        and "of more than 8 layers no other is looked for" in line
        for line in lost
    ), lost
