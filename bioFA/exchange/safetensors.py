"""Weights as a PyTorch `state_dict` in a safetensors file, both ways; the format needs PyTorch on neither side.

    <pathway>.weight    the weights (n_post, n_pre) of a pathway that owns some, as in `torch.nn.Linear`; those of `bias_to_<layer>`
    <layer>.bias        stand as (n_post,), since PyTorch knows biases
    metadata            the rest, under the name `bioFA` (see `base.py`), arrays as JSON lists of hexadecimal numbers

In PyTorch: `state = safetensors.torch.load_file("digits.safetensors")`; `layer.weight.data = state["input_to_hidden.weight"]`.
A `state_dict` of PyTorch, of `Linear` layers one after the other in the order of their names, is read as a network of static rates.
"""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from bioFA.errors import DamagedFile, NoCounterpart, WrongShape
from bioFA.exchange.base import ANNOTATION, Exported, Imported, annotated, annotation, described, learning_lost, require
from bioFA.experiment import Protocol
from bioFA.network import Pathway, Population
from bioFA.neurons.constant_source import ConstantSource
from bioFA.neurons.rate_source import RateSource
from bioFA.neurons.static_rate import StaticRate
from bioFA.trained import Trained
from bioFA.weights import Values

Array = np.ndarray
BIAS = "bias_to_"


def export(trained: Trained, path: Path) -> Exported:
    """Write the file.

    Raises:
        MissingError: if safetensors is not installed.
    """
    writer = require("safetensors.numpy", "safetensors", "export to safetensors")
    tensors = {}
    for name, matrix in trained.weights.items():
        bias = name.startswith(BIAS) and matrix.shape[1] == 1
        tensors[f"{name.removeprefix(BIAS)}.bias" if bias else f"{name}.weight"] = np.ascontiguousarray(matrix[:, 0] if bias else matrix)
    noted = annotation(trained, [f"{name}.w" for name in trained.weights])
    noted["state"] = {name: {"shape": array.shape, "hex": [float(x).hex() for x in array.ravel()]} for name, array in noted["state"].items()}
    writer.save_file(tensors, path, metadata={ANNOTATION: json.dumps(noted)})
    return Exported((path,), tuple(learning_lost(trained.experiment.network, "the metadata")))


def load(path: Path) -> Imported:
    """Read a file of bioFA, or a `state_dict` of `Linear` layers.

    Raises:
        MissingError: if safetensors is not installed.
        FileError: if the file is damaged.
        ModelError: if its tensors are no row of linear layers.
    """
    reader = require("safetensors", "safetensors", "import of safetensors")
    try:
        with reader.safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - a file is no mapping
    except (OSError, reader.SafetensorError, TypeError) as error:
        raise DamagedFile(f"'{path}' is not a whole safetensors file of numbers ({error}).") from None
    if ANNOTATION not in metadata:
        return _of_pytorch(tensors, path)
    try:
        noted = json.loads(metadata[ANNOTATION])
        noted["state"] = {name: np.array([float.fromhex(x) for x in part["hex"]]).reshape(part["shape"]) for name, part in noted["state"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedFile(f"the annotation '{ANNOTATION}' of '{path}' is damaged ({error}). Export the network again.") from None
    held = {}
    for name, tensor in tensors.items():
        stem, _, kind = name.rpartition(".")
        held[f"{BIAS}{stem}.w" if kind == "bias" else f"{stem}.w"] = (tensor[:, np.newaxis] if kind == "bias" else tensor).astype(float)
    return Imported(annotated(noted, held, path))


def _of_pytorch(tensors: dict[str, Array], path: Path) -> Imported:
    """A network of static rates from the `Linear` layers of a `state_dict`, in the order in which their sizes follow each other."""
    layers = {name.removesuffix(".weight"): tensor for name, tensor in tensors.items() if name.endswith("weight") and tensor.ndim == 2}
    others = [name for name in tensors if name.removesuffix(".weight") not in layers and name.removesuffix(".bias") not in layers]
    if not layers or others:
        raise NoCounterpart(f"'{path}' holds {', '.join(sorted(others)) or 'no layer'}: bioFA reads the weights (n_post, n_pre) and biases of linear layers only.")
    chain = _chain(layers, path)
    names = ["input", *(f"hidden{n + 1}" if len(chain) > 2 else "hidden" for n in range(len(chain) - 1)), "output"]
    populations = [Population(name="input", size=layers[chain[0]].shape[1], neuron=RateSource())]
    populations += [Population(name=name, size=len(layers[layer]), neuron=StaticRate(activation="linear")) for name, layer in zip(names[1:], chain, strict=True)]
    pathways = [
        Pathway(name=f"{a}_to_{b}", source=a, target=b, weights=Values(values=layers[layer].astype(float)))
        for a, b, layer in zip(names[:-1], names[1:], chain, strict=True)
    ]
    biases: list[Any] = [(name, tensors.get(f"{layer}.bias")) for name, layer in zip(names[1:], chain, strict=True)]
    if any(bias is not None for _, bias in biases):
        populations.append(Population(name="bias", size=1, neuron=ConstantSource()))
        pathways += [Pathway(name=f"{BIAS}{name}", source="bias", target=name, weights=Values(values=b[:, np.newaxis].astype(float))) for name, b in biases if b is not None]
    lost = ("activations of hidden layers: a state_dict does not hold them; 'linear' is put in their place",) if len(chain) > 1 else ()
    return Imported(described(path.stem, populations, pathways, "output", Protocol(), f"the state_dict {path.name}"), lost)


def _chain(layers: dict[str, Array], path: Path) -> list[str]:
    """The layers from input to output, which is the order of their names, numbers in them taken as numbers."""
    names = sorted(layers, key=lambda name: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)])
    if any(len(layers[a]) != layers[b].shape[1] for a, b in itertools.pairwise(names)):
        sizes = ", ".join(f"{name} {tuple(layer.shape)}" for name, layer in layers.items())
        raise WrongShape(f"'{path}': the layers do not follow each other, each with as many inputs as the one before has neurons: {sizes}.")
    return names
