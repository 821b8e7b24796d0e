"""Real handwritten digits: scikit-learn's 1,797 images of 8 x 8 pixels, ten classes.

The split is fixed and stratified, the same for every seed: 1,077 to train, 360 to validate,
360 to test. Pixels are divided by 16; targets are one-hot.

Source: Alpaydin & Kaynak (1998), Optical Recognition of Handwritten Digits, UCI repository
(the part that scikit-learn ships).
"""

from __future__ import annotations

from typing import ClassVar

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
        train_test_split = require("sklearn.model_selection", "digits", "the task 'digits'").train_test_split
        pixels, labels = require("sklearn.datasets", "digits", "the task 'digits'").load_digits(return_X_y=True)
        pixels = pixels / 16.0
        rest, test, rest_labels, test_labels = train_test_split(
            pixels, labels, test_size=360, random_state=0, stratify=labels
        )
        train, held, train_labels, held_labels = train_test_split(
            rest, rest_labels, test_size=360, random_state=0, stratify=rest_labels
        )
        parts = ((train, train_labels), (held, held_labels), (test, test_labels))
        splits = [Split(x, one_hot(y, self.classes), y) for x, y in parts]
        return Data(train=splits[0], validation=splits[1], test=splits[2])
