"""Real handwritten digits: scikit-learn's 1,797 images of 8 x 8 pixels, ten classes.

The split is fixed and stratified, the same for every seed: 1,077 to train, 360 to validate,
360 to test. Pixels are divided by 16; targets are one-hot. `digits_split.npy` holds the places of the images, those to
train first: what two calls of scikit-learn's `train_test_split` give (`test_size=360, random_state=0`, stratified by
the labels; first apart those to test, then of the rest those to validate). The images are read from the file that
scikit-learn ships; importing scikit-learn, which reads the same, takes longer than a short run.

Source: Alpaydin & Kaynak (1998), Optical Recognition of Handwritten Digits, UCI repository
(the part that scikit-learn ships).
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

import numpy as np

from bioFA.optional import require
from bioFA.tasks.base import Data, Split, Stream, Task, one_hot


class Digits(Task):
    """64 pixels in [0, 1] to 10 classes."""

    classes: ClassVar[int] = 10

    def sizes(self) -> tuple[int, int]:
        """64 pixels, 10 classes."""
        return 64, self.classes

    def draw(self, stream: Stream) -> Data:
        """The fixed split; draws nothing."""
        pixels, labels = _images()
        parts = np.split(np.load(Path(__file__).with_name("digits_split.npy")), [1077, 1437])
        train, held, test = (Split(pixels[p] / 16.0, one_hot(labels[p], self.classes), labels[p]) for p in parts)
        return Data(train=train, validation=held, test=test)


def _images() -> tuple[np.ndarray, np.ndarray]:
    """Pixels `(1797, 64)` from 0 to 16, and labels `(1797,)`."""
    found = find_spec("sklearn")
    file = Path(found.origin).parent / "datasets" / "data" / "digits.csv.gz" if found and found.origin else None
    if file is None or not file.is_file():
        pixels, labels = require("sklearn.datasets", "digits", "the task 'digits'").load_digits(return_X_y=True)
        return pixels, labels
    table = np.loadtxt(file, delimiter=",")
    return table[:, :-1], table[:, -1].astype(int)
