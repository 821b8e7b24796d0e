"""Real handwritten digits: the complete original MNIST, 60,000 + 10,000 images of 28 x 28 pixels.

The last 10,000 training images are held out for validation unless `full_training`. Pixels
are divided by 255 when they are shown, and kept as bytes until then; targets are one-hot. The files are read from the
folder that `biofa data get mnist` fills, or from the one named by BIOFA_DATA; nothing is ever downloaded silently.

Source: LeCun, Bottou, Bengio & Haffner (1998), Proc. IEEE 86:2278.
"""

from __future__ import annotations

import itertools
from typing import Annotated

import numpy as np
from pydantic import Strict

from bioFA.components import Amount
from bioFA.tasks.base import Array, ByteTable, Data, Split, Stream, Task, one_hot
from bioFA.tasks.mnist_files import read_mnist


class Mnist(Task):
    """784 pixels in [0, 1] to 10 classes."""

    full_training: Annotated[bool, Strict()] = False
    shift: Amount = 0

    def sizes(self) -> tuple[int, int]:
        """784 pixels, 10 classes."""
        return 784, 10

    def training_examples(self) -> int:
        """All 60,000 images or the first 50,000, each moved every way."""
        return (60_000 if self.full_training else 50_000) * (2 * self.shift + 1) ** 2

    def draw(self, stream: Stream) -> Data:
        """The original order; draws nothing."""
        arrays = read_mnist()
        images, labels = arrays["train-images-idx3-ubyte"], arrays["train-labels-idx1-ubyte"]
        levels = np.arange(256) / 255.0

        def split(images: Array, labels: Array, shift: int = 0) -> Split:
            labels = np.tile(labels, (2 * shift + 1) ** 2)
            return Split(
                ByteTable(moved(images, shift).reshape(-1, 784), levels), one_hot(labels, 10), labels.astype(int)
            )

        test = split(arrays["t10k-images-idx3-ubyte"], arrays["t10k-labels-idx1-ubyte"])
        if self.full_training:
            return Data(split(images, labels, self.shift), None, test)
        return Data(split(images[:50000], labels[:50000], self.shift), split(images[50000:], labels[50000:]), test)


def moved(images: Array, shift: int) -> Array:
    """All moves of images `(n, height, width)` by up to `shift` pixels each way, `((2 shift + 1)^2 n, height, width)`,
    the unmoved ones first."""
    _, height, width = images.shape
    padded = np.pad(images, ((0, 0), (shift, shift), (shift, shift)))
    moves = sorted(itertools.product(range(-shift, shift + 1), repeat=2), key=lambda move: move != (0, 0))
    copies = np.empty((len(moves), *images.shape), images.dtype)
    for copy, (down, right) in zip(copies, moves, strict=True):
        copy[:] = padded[:, shift - down : shift - down + height, shift - right : shift - right + width]
    return copies.reshape(-1, height, width)
