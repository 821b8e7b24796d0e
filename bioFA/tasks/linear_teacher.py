"""Task 1 of the source paper: learn a fixed linear map.

    y* = T x,    T_ij ~ `teacher`,    x ~ `inputs`

Source: Lillicrap et al. (2014), arXiv 1411.0247, methods: T uniform on [-1, 1], x ~ N(0, I),
examples generated once.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bioFA.components import Amount, Count
from bioFA.tasks.base import Data, Stream, Task, finite
from bioFA.weights import Normal, Uniform, WeightsField


class LinearTeacher(Task):
    """y* = T x."""

    n_in: Count = 30
    n_out: Count = 10
    examples: Count = 2000
    test_examples: Count = 500
    validation_examples: Amount = 0
    teacher: WeightsField = Uniform()
    inputs: WeightsField = Normal()

    def sizes(self) -> tuple[int, int]:
        """`n_in`, `n_out`."""
        return self.n_in, self.n_out

    def training_examples(self) -> int:
        """`examples`."""
        return self.examples

    def draw(self, stream: Stream) -> Data:
        """Training, validation and test examples of one teacher."""
        matrix = self.teacher.draw(stream("task/teacher"), (self.n_out, self.n_in))
        splits: dict[str, Any] = {}
        for name, count in (
            ("train", self.examples),
            ("validation", self.validation_examples),
            ("test", self.test_examples),
        ):
            x = self.inputs.draw(stream(f"task/inputs/{name}"), (count, self.n_in))
            with np.errstate(over="ignore", invalid="ignore"):
                targets = x @ matrix.T
            splits[name] = finite(x, targets, "LinearTeacher.teacher and LinearTeacher.inputs") if count else None
        return Data(**splits)
