"""Weights as a PyTorch `state_dict` in a safetensors file, both ways; the format needs PyTorch on neither side.

    <pathway>.weight    the weights (n_post, n_pre) of a pathway that owns some, as in `torch.nn.Linear`; those of
                        `bias_to_<layer>`
    <layer>.bias        stand as (n_post,), since PyTorch knows biases
    metadata            the rest, under the name `bioFA` (see `base.py`), arrays as JSON lists of hexadecimal numbers

In PyTorch: `state = safetensors.torch.load_file("digits.safetensors")`; `layer.weight.data =
state["input_to_hidden.weight"]`. A `state_dict` of PyTorch, of `Linear` layers one after the other, is read as a
network of static rates; in which order, the import says where several fit. Names that share a tensor
(`safetensors.torch.save_model` writes them to the metadata) are read as layers of their own. A `.pt` file becomes one
by `safetensors.torch.save_file(torch.load("net.pt", weights_only=True),
"net.safetensors")`.
"""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bioFA.errors import DamagedFile, NoCounterpart, WrongData, WrongShape
from bioFA.exchange import drives, expected
from bioFA.exchange.base import ANNOTATION, Exported, Imported, Ledger, annotated, annotation, described, learning_lost
from bioFA.exchange.format import Format
from bioFA.experiment import Protocol
from bioFA.instance import Instance
from bioFA.network import Pathway, Population
from bioFA.neurons.constant_source import ConstantSource
from bioFA.neurons.rate_source import RateSource
from bioFA.neurons.static_rate import StaticRate
from bioFA.optional import Package
from bioFA.runs.trained import Trained
from bioFA.system.atomic import written_whole
from bioFA.weights import Values

Array = np.ndarray
SAFETENSORS = Package("safetensors", "safetensors", "safetensors")
FORMAT = Format(
    "weights as a PyTorch state_dict in safetensors",
    ".safetensors",
    reads=True,
    package=SAFETENSORS,
    tools={"PyTorch": "torch==2.13.0", "safetensors": "safetensors==0.8.0"},
)
BIAS = "bias_to_"
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
}
MOST_ORDERS, MOST_LAYERS = 100, 8
"""So many orders of so many layers are looked for; of more layers only the order of the names."""


def export(trained: Trained, path: Path) -> Exported:
    """Write the file.

    Raises:
        MissingError: if safetensors is not installed.
    """
    writer = SAFETENSORS.require("export to safetensors", "safetensors.numpy")
    tensors = {}
    for name, matrix in trained.weights.items():
        place = _tensor(name, matrix.shape)
        tensors[place] = np.ascontiguousarray(matrix[:, 0] if place.endswith(".bias") else matrix)
    noted = annotation(trained, [f"{name}.w" for name in trained.weights])
    noted["state"] = {
        name: {"shape": array.shape, "hex": [float(x).hex() for x in array.ravel()]}
        for name, array in noted["state"].items()
    }
    found, missing = expected.attempt(trained, lambda drawn: _recipe(trained, drawn, path, tensors))
    with (
        expected.written_beside(
            path, f"{path.name}: weights of {trained.experiment.name} for PyTorch", found
        ) as companions,
        written_whole(path) as partial,
    ):
        writer.save_file(tensors, partial, metadata={ANNOTATION: json.dumps(noted)})
    return Exported((path, *companions), (*learning_lost(trained.experiment.network, "the metadata"), *missing))


def _recipe(trained: Trained, drawn: Instance, path: Path, tensors: Mapping[str, Array]) -> expected.Recipe:
    """The forward part in PyTorch."""
    opening = f"""import numpy as np
from safetensors.torch import load_file
from torch import exp, from_numpy, tanh

weights = load_file("{path.name}")
expected = {{name: from_numpy(array) for name, array in np.load("{expected.beside(path)[1].name}").items()}}"""

    def bias(pathway: Pathway) -> str | None:
        name = f"{pathway.name.removeprefix(BIAS)}.bias"
        return f'weights["{name}"]' if f"{pathway.name}.weight" not in tensors and name in tensors else None

    def weight(pathway: Pathway) -> str:
        return f"{vector}[:, None]" if (vector := bias(pathway)) else f'weights["{pathway.name}.weight"]'

    return drives.recipe(trained, drawn, FORMAT.requirements("PyTorch", "safetensors", "numpy"), opening, weight, bias)


def _tensor(pathway: str, shape: tuple[int, ...]) -> str:
    """The name of the tensor with a pathway's weights."""
    return f"{pathway.removeprefix(BIAS)}.bias" if pathway.startswith(BIAS) and shape[1] == 1 else f"{pathway}.weight"


def load(path: Path) -> Imported:
    """Read a file of bioFA, or a `state_dict` of `Linear` layers.

    Raises:
        MissingError: if safetensors is not installed.
        FileError: if the file is damaged.
        ModelError: if its tensors are no row of linear layers.
    """
    reader = SAFETENSORS.require("import of safetensors")
    try:
        data = path.read_bytes()
        with reader.safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
        parts = sorted(reader.deserialize(data), key=lambda part: part[0])  # it gives them in another order each time
    except (OSError, reader.SafetensorError, TypeError) as error:
        raise DamagedFile(
            f"'{path}' is not a whole safetensors file of numbers ({error}). Get it, or save it, anew."
        ) from None
    if twice := _twice(data):
        raise DamagedFile(f"'{path}' names '{twice}' twice, so that one of both is lost. Save it anew.")
    ledger = Ledger()
    ledger.holds("metadata", dict.fromkeys(metadata, 1))
    if ANNOTATION not in metadata:
        kinds = {name: part["dtype"] for name, part in parts if part["dtype"][0] in "IU"}
        found = _of_pytorch({name: _array(name, part, path) for name, part in parts}, metadata, ledger, path)
        whole = [
            f"that the tensor {name} holds whole numbers ({kind}): they are taken as weights; a scale that goes with"
            " them is not known"
            for name, kind in kinds.items()
        ]
        return replace(found, lost=(*found.lost, *whole))
    return _annotated({name: _array(name, part, path) for name, part in parts}, metadata, ledger, path)


def _twice(data: bytes) -> str:
    """A name that stands twice in one table of the header, '' where there is none;
    of equal names JSON readers keep the last."""
    found: list[str] = []

    def look(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found.extend(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        return dict(pairs)

    json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")], object_pairs_hook=look)
    return found[0] if found else ""


def _annotated(tensors: Mapping[str, Array], metadata: Mapping[str, str], ledger: Ledger, path: Path) -> Imported:
    """The network of the annotation, with the weights of the tensors."""
    try:
        noted = json.loads(metadata[ANNOTATION])
        noted["state"] = {
            name: np.array([float.fromhex(x) for x in part["hex"]]).reshape(part["shape"])
            for name, part in noted["state"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedFile(
            f"the annotation '{ANNOTATION}' of '{path}' is damaged ({error}). Export the network again."
        ) from None
    network = annotated(noted, {}, path).experiment.network
    held = {}
    ledger.take("metadata", ANNOTATION)
    ledger.holds("tensors", {name: tensor.size for name, tensor in tensors.items()})
    for pathway in network.owners():
        if pathway.weights.one_to_one or pathway.weights.redrawn:
            continue
        name = _tensor(pathway.name, network.shape(pathway))
        if name not in tensors:
            raise DamagedFile(
                f"'{path}' has no tensor {name}, the weights of {pathway.name} that its annotation '{ANNOTATION}'"
                " describes. Export the network again."
            )
        held[f"{pathway.name}.w"] = (tensors[name][:, np.newaxis] if name.endswith(".bias") else tensors[name]).astype(
            float
        )
        ledger.take("tensors", name)
    return Imported(annotated(noted, held, path), ledger.rest())


def _array(name: str, part: Mapping[str, Any], path: Path) -> Array:
    """One tensor of a file; bfloat16, which NumPy does not know, as float32.

    Raises:
        NoCounterpart: if it has numbers of another kind.
    """
    kind, data = part["dtype"], part["data"]
    if kind == "BF16":
        found = (np.frombuffer(data, dtype="<u2").astype("<u4") << 16).view("<f4")
    elif kind in KINDS:
        found = np.frombuffer(data, dtype=KINDS[kind])
    else:
        raise NoCounterpart(
            f"'{path}': the tensor {name} holds numbers of the kind {kind}; bioFA reads {', '.join([*KINDS, 'BF16'])}."
            " Save it as float32: tensor.float()."
        )
    if found.dtype.kind in "iu" and found.size and max(abs(int(found.min())), abs(int(found.max()))) > 2**53:
        raise WrongData(
            f"'{path}': the tensor {name} holds whole numbers beyond 2^53, which are no weights, since not all of them"
            " are numbers of 64 bits with a fraction. Take it out."
        )
    return found.reshape(part["shape"])


def _of_pytorch(tensors: dict[str, Array], metadata: Mapping[str, str], ledger: Ledger, path: Path) -> Imported:
    """A network of static rates from the `Linear` layers of a `state_dict`,
    in an order in which their sizes follow each other."""
    if metadata.get("format") in ("pt", "np"):
        ledger.take("metadata", "format")
    tied = {
        name: kept
        for name, kept in metadata.items()
        if kept in tensors and name not in tensors and _last(name) == _last(kept)
    }
    # safetensors.torch.save_model keeps one of several names of a tensor, and the others here
    tensors |= {name: tensors[kept] for name, kept in tied.items()}
    ledger.take("metadata", *tied)
    layers = {_layer(name): tensor for name, tensor in tensors.items() if _last(name) == "weight" and tensor.ndim == 2}
    biases = {
        _layer(name): tensor for name, tensor in tensors.items() if _last(name) == "bias" and _layer(name) in layers
    }
    others = [name for name in tensors if _layer(name) not in layers or _last(name) not in ("weight", "bias")]
    if not layers or others:
        shown = ", ".join(f"{name} {tensors[name].shape}" for name in sorted(others))
        advice = (
            "Take these out of the state_dict, if the network answers without them."
            if others
            else "Save the state_dict of a network with linear layers."
        )
        raise NoCounterpart(
            f"'{path}' holds {shown or 'no layer'}: bioFA reads the weights (n_post, n_pre) and biases of linear layers"
            f" only. {advice}"
        )
    for name, tensor in tensors.items():
        if tensor.size == 0:
            raise WrongShape(
                f"'{path}': the tensor {name} has the shape {tensor.shape}, so there is no value in it. Take the layer"
                " out."
            )
    for layer, bias in biases.items():
        if bias.shape != layers[layer].shape[:1]:
            raise WrongShape(
                f"'{path}': {layer}bias must have shape {layers[layer].shape[:1]}, one a neuron of its layer; got"
                f" {bias.shape}. Rename what does not belong to the layer, or take it out."
            )
    for name, tensor in tensors.items():
        if not np.isfinite(tensor.astype(float)).all():
            raise WrongData(
                f"'{path}': the tensor {name} holds numbers that are not finite"
                f" ({np.count_nonzero(~np.isfinite(tensor.astype(float)))} of {tensor.size}). Save the weights before"
                " they diverged."
            )
    chain, order = _chain(layers, path)
    names = ["input", *(f"hidden{n + 1}" if len(chain) > 2 else "hidden" for n in range(len(chain) - 1)), "output"]
    populations = [Population(name="input", size=layers[chain[0]].shape[1], neuron=RateSource())]
    populations += [
        Population(name=name, size=len(layers[layer]), neuron=StaticRate(activation="linear"))
        for name, layer in zip(names[1:], chain, strict=True)
    ]
    pathways = [
        Pathway(name=f"{a}_to_{b}", source=a, target=b, weights=Values(values=layers[layer].astype(float)))
        for a, b, layer in zip(names[:-1], names[1:], chain, strict=True)
    ]
    if biases:
        populations.append(Population(name="bias", size=1, neuron=ConstantSource()))
        pathways += [
            Pathway(
                name=f"{BIAS}{name}",
                source="bias",
                target=name,
                weights=Values(values=biases[layer][:, np.newaxis].astype(float)),
            )
            for name, layer in zip(names[1:], chain, strict=True)
            if layer in biases
        ]
    lost = (
        [
            "activations of hidden layers and of the output: a state_dict does not hold them; 'linear' is put in their"
            " place"
        ]
        if len(chain) > 1
        else ["the activation of the output: a state_dict does not hold it; 'linear' is put in its place"]
    )
    lost.append(
        f"what kind of layer {', '.join(map(_shown, chain))} is: a state_dict does not say it; a matrix of an Embedding"
        " or another is read as that of a Linear"
    )
    lost += order
    lost += [
        f"that {name} and {kept} are one tensor: they have equal weights here, and learn apart"
        for name, kept in tied.items()
    ]
    return Imported(
        described(path.stem, populations, pathways, "output", Protocol(), f"the state_dict {path.name}"),
        (*lost, *ledger.rest()),
    )


def _layer(name: str) -> str:
    """The layer that a tensor belongs to, with the dot before the tensor's own name;
    empty for a layer that is the whole module."""
    return name.removesuffix(_last(name))


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _shown(layer: str) -> str:
    """A layer by its name."""
    return layer.removesuffix(".") or "the module"


def _chain(layers: dict[str, Array], path: Path) -> tuple[list[str], list[str]]:
    """The layers from input to output, and sentences about that order.

    The file keeps none. Of the orders in which each layer has as many inputs as the one before has neurons, that of the
    names is taken where it is one, numbers in them taken as numbers, else the only one.

    Raises:
        WrongShape: if there is no such order, or several, none of which is that of the names.
    """
    names = sorted(
        layers,
        key=lambda name: [
            (0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", name)
        ],
    )
    follows = all(len(layers[a]) == layers[b].shape[1] for a, b in itertools.pairwise(names))
    orders = (
        list(itertools.islice(_orders(layers, names), MOST_ORDERS))
        if len(names) <= MOST_LAYERS
        else [names] if follows else []
    )
    if not orders or (names not in orders and len(orders) > 1):
        sizes = ", ".join(f"{name}weight {tuple(layer.shape)}" for name, layer in layers.items())
        fault = (
            "the layers do not follow each other" + (" in the order of their names" if len(names) > MOST_LAYERS else "")
            if not orders
            else f"{len(orders)} orders of the layers fit"
        )
        raise WrongShape(
            f"'{path}': {fault}, each with as many inputs as the one before has neurons: {sizes}. Rename the layers in"
            " their order: 0.weight, 1.weight, ..."
        )
    chain = names if names in orders else orders[0]
    others = [order for order in orders if order != chain]
    many = len(names) > MOST_LAYERS
    if not others and chain == names and not many:
        return chain, []
    why = "the order of their names" if chain == names else "the only one that fits their sizes"
    more = (
        f"; {_described(others[0], layers)} fits too"
        if others
        else f"; of more than {MOST_LAYERS} layers no other is looked for" if many else ""
    )
    if chain != names and all(layers[a].shape[1] == len(layers[b]) for a, b in itertools.pairwise(names)):
        more += (
            "; in the order of their names they follow each other where each is (n_pre, n_post), as JAX and Keras have"
            " it: if that is what they are, save them transposed"
        )
    return chain, [
        f"the order of the layers, which a safetensors file does not keep: {_described(chain, layers)} is taken,"
        f" {why}{more}"
    ]


def _described(order: Sequence[str], layers: Mapping[str, Array]) -> str:
    sizes = "-".join(map(str, (layers[order[0]].shape[1], *(len(layers[name]) for name in order))))
    return f"{', '.join(map(_shown, order))} ({sizes})"


def _orders(layers: Mapping[str, Array], left: Sequence[str], first: Sequence[str] = ()) -> Iterator[list[str]]:
    """Every order of the layers in which sizes follow each other."""
    if not left:
        yield list(first)
    for name in left:
        if not first or layers[name].shape[1] == len(layers[first[-1]]):
            yield from _orders(layers, [other for other in left if other != name], [*first, name])
