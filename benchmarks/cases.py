"""The networks of the benchmark, drawn by bioFA."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

import bioFA
from benchmarks.case import Array, Case
from benchmarks.spikes import DT, STEPS
from bioFA.instance import draw, stream
from bioFA.tasks.mnist_files import has_mnist, read_mnist

MNIST_DENSITY, MNIST_MEAN = 0.191, 0.684
"""Share of pixels that are not zero, and their mean; generated images have the same."""


def linear() -> Case:
    """30-20-10, linear: the built-in model `linear`, seed 1."""
    instance = draw(bioFA.load("linear"), 1)
    state, train = instance.state, instance.data.train
    return Case(
        "30-20-10 linear", "linear", 7e-3, "generated (linear teacher)", np.asarray(train.inputs), train.targets,
        state["input_to_hidden.w"], state["hidden_to_output.w"], state["mismatch_to_hidden.w"],
    )


def minibatch(batch: int = 64) -> Case:
    """784-1000-10, logistic, learning in batches; the rate is small enough for the sum of a batch."""
    case = logistic(rows=32 * batch)
    return replace(case, name=f"{case.name}, batches of {batch}", rate=1e-3, batch=batch)


def logistic(width: int = 1000, rows: int = 2000) -> Case:
    """784-width-10, logistic, on the first images of MNIST, or on generated ones where MNIST is not at hand."""
    inputs, targets, data = digits(rows)
    generator = stream(1, f"benchmark/{width}")
    return Case(
        f"784-{width}-10 logistic",
        "logistic",
        5e-3,
        data,
        inputs,
        targets,
        generator.uniform(-0.1, 0.1, (width, 784)),
        generator.uniform(-0.1, 0.1, (10, width)),
        generator.uniform(-0.5, 0.5, (width, 10)),
    )


def spikes(width: int = 500, presentations: int = 20, rate: float = 20.0) -> Case:
    """784-width-10; every input neuron is an independent Poisson neuron of so many Hz,
    and the target is always the same."""
    generator = stream(1, f"benchmark/spikes/{width}")
    inputs = (generator.random((presentations * STEPS, 784)) < rate * DT).astype(float)
    targets = np.tile(np.eye(10)[3], (presentations, 1))
    return Case(
        f"784-{width}-10 spikes",
        "spikes",
        1e-4,
        f"frozen Poisson spikes, {rate:g} Hz",
        inputs,
        targets,
        generator.normal(0.012, 0.05, (width, 784)),
        generator.normal(0.02, 0.06, (10, width)),
        generator.uniform(-0.5, 0.5, (width, 10)),
        STEPS,
    )


def digits(rows: int) -> tuple[Array, Array, str]:
    """Inputs `(rows, 784)` in [0, 1], one-hot targets `(rows, 10)`, and what they are."""
    if has_mnist():
        arrays = read_mnist()
        images, labels = arrays["train-images-idx3-ubyte"][:rows], arrays["train-labels-idx1-ubyte"][:rows]
        return images.reshape(rows, 784) / 255.0, np.eye(10)[labels], "MNIST"
    generator = stream(1, "benchmark/images")
    shown = generator.random((rows, 784)) < MNIST_DENSITY
    inputs = shown * np.minimum(generator.uniform(2 * MNIST_MEAN - 1, 1.0, (rows, 784)), 1.0)
    return inputs, np.eye(10)[generator.integers(0, 10, rows)], "generated, of the density of MNIST"
