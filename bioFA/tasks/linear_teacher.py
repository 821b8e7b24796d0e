"""Task 1 of the source paper: learn a fixed linear map.

    y* = T x,    T_ij ~ `teacher`,    x ~ `inputs`

Source: Lillicrap et al. (2014), arXiv 1411.0247, methods: T uniform on [-1, 1], x ~ N(0, I),
examples generated once.
"""

from __future__ import annotations

from bioFA.components import Count
from bioFA.tasks.base import Data, Split, Stream, Task
from bioFA.weights import Normal, Uniform, WeightsField


class LinearTeacher(Task):
    """y* = T x."""

    n_in: Count = 30
    n_out: Count = 10
    examples: Count = 2000
    test_examples: Count = 500
    teacher: WeightsField = Uniform()
    inputs: WeightsField = Normal()

    def sizes(self) -> tuple[int, int]:
        """`n_in`, `n_out`."""
        return self.n_in, self.n_out

    def draw(self, stream: Stream) -> Data:
        """Training and test examples of one teacher."""
        matrix = self.teacher.draw(stream("task/teacher"), (self.n_out, self.n_in))
        splits = []
        for name, count in (("train", self.examples), ("test", self.test_examples)):
            x = self.inputs.draw(stream(f"task/inputs/{name}"), (count, self.n_in))
            splits.append(Split(x, x @ matrix.T))
        return Data(train=splits[0], test=splits[1])
