"""Task 3 of the source paper: learn a fixed nonlinear network.

    h_1 = tanh(T_1 x + b_1), ..., y* = T_L h_{L-1} + b_L,    x ~ N(0, I)

All weights and biases are uniform on [-scale, scale]. With scale = 1 an extra hidden layer in
the student pays; with small scales the teacher is nearly linear and it does not.

Source: Lillicrap et al. (2014), arXiv 1411.0247, methods (30-20-10-10, tanh, tanh, linear).
The paper does not print its scales.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from annotated_types import Gt
from pydantic import Field

from bioFA.components import Amount, Count, Number
from bioFA.errors import OutOfRange
from bioFA.tasks.base import Array, Data, Stream, Task, finite


class TanhTeacher(Task):
    """y* = a tanh network's output."""

    sizes_of_teacher: Annotated[tuple[Count, ...], Field(min_length=2)] = (30, 20, 10, 10)
    scale: Annotated[Number, Gt(0)] = 1.0
    examples: Count = 20000
    test_examples: Count = 5000
    validation_examples: Amount = 0

    def sizes(self) -> tuple[int, int]:
        """The teacher's first and last layer."""
        return self.sizes_of_teacher[0], self.sizes_of_teacher[-1]

    def training_examples(self) -> int:
        """`examples`."""
        return self.examples

    def draw(self, stream: Stream) -> Data:
        """Training, validation and test examples of one teacher."""
        if not np.isfinite(2 * self.scale):
            raise OutOfRange(
                f"TanhTeacher.scale makes weights that are no finite numbers; got {self.scale:g}. Give a smaller one.",
                at=("scale",),
            )
        rng = stream("task/teacher")
        layers = [
            (rng.uniform(-self.scale, self.scale, (n_post, n_pre)), rng.uniform(-self.scale, self.scale, n_post))
            for n_pre, n_post in zip(self.sizes_of_teacher[:-1], self.sizes_of_teacher[1:], strict=True)
        ]

        def answer(x: Array) -> Array:
            for weights, bias in layers[:-1]:
                x = np.tanh(x @ weights.T + bias)
            weights, bias = layers[-1]
            return x @ weights.T + bias

        splits: dict[str, Any] = {}
        for name, count in (
            ("train", self.examples),
            ("validation", self.validation_examples),
            ("test", self.test_examples),
        ):
            x = stream(f"task/inputs/{name}").standard_normal((count, self.sizes_of_teacher[0]))
            with np.errstate(over="ignore", invalid="ignore"):
                targets = answer(x)
            splits[name] = finite(x, targets, "TanhTeacher.scale") if count else None
        return Data(**splits)
