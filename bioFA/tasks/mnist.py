"""Real handwritten digits: the complete original MNIST, 60,000 + 10,000 images of 28 x 28 pixels.

The last 10,000 training images are held out for validation unless `full_training`. Pixels
are divided by 255; targets are one-hot. The files are read from the folder that `biofa data
get mnist` fills, or from the one named by BIOFA_DATA; nothing is ever downloaded silently.

Source: LeCun, Bottou, Bengio & Haffner (1998), Proc. IEEE 86:2278.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Strict

from bioFA.data import read_mnist
from bioFA.tasks.base import Data, Split, Stream, Task, one_hot


class Mnist(Task):
    """784 pixels in [0, 1] to 10 classes."""

    full_training: Annotated[bool, Strict()] = False

    def sizes(self) -> tuple[int, int]:
        """784 pixels, 10 classes."""
        return 784, 10

    def draw(self, stream: Stream) -> Data:
        """The original order; draws nothing."""
        arrays = read_mnist()
        images, labels = arrays["train-images-idx3-ubyte"], arrays["train-labels-idx1-ubyte"]

        def split(part: slice) -> Split:
            return Split(images[part].reshape(-1, 784) / 255.0, one_hot(labels[part], 10), labels[part].astype(int))

        test_images, test_labels = arrays["t10k-images-idx3-ubyte"], arrays["t10k-labels-idx1-ubyte"]
        test = Split(test_images.reshape(-1, 784) / 255.0, one_hot(test_labels, 10), test_labels.astype(int))
        if self.full_training:
            return Data(split(slice(None)), None, test)
        return Data(split(slice(0, 50000)), split(slice(50000, None)), test)
