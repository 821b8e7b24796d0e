"""What a task is: inputs and targets, split into training, validation and test."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

import numpy as np

from bioFA.components import Component, Family
from bioFA.errors import OutOfRange
from bioFA.optional import Package

Array = np.ndarray
Stream = Callable[[str], np.random.Generator]
"""Gives the random stream of a purpose: equal purposes give equal draws."""


@dataclass(frozen=True)
class ByteTable:
    """A matrix of bytes that stand for numbers, `levels[bytes]`: an eighth of the memory of float64.

    `bytes` is `(n, size)` or `(n, bins, size)` uint8, `levels` `(256,)`. Rows are read, and come out, as numbers.
    """

    bytes: Array
    levels: Array

    def __len__(self) -> int:
        return len(self.bytes)

    @property
    def shape(self) -> tuple[int, ...]:
        """`(n, size)`."""
        return self.bytes.shape

    def __getitem__(self, rows: Any) -> Array:
        return self.levels[self.bytes[rows]]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return self[:].astype(dtype, copy=False)


Table = Array | ByteTable
"""Rows that a source shows: numbers, or bytes that stand for numbers."""


@dataclass(frozen=True)
class Split:
    """Examples: `inputs` `(n, n_in)`, `targets` `(n, n_out)`, and class `labels` `(n,)` where there are any.

    Inputs and targets that change during a presentation have a time axis: `(n, bins, n_in)`, `(n, bins, n_out)`.
    """

    inputs: Table
    targets: Array
    labels: Array | None = None

    def __len__(self) -> int:
        return len(self.inputs)

    def final(self, rows: Any) -> Array:
        """The targets at the end of the presentation of some examples, `(rows, n_out)`."""
        targets = self.targets[rows]
        return targets if targets.ndim == 2 else targets[:, -1]


@dataclass(frozen=True)
class Data:
    """The splits of a task. Hyper-parameters are chosen on `validation`; `test` is looked at once. `columns` are the
    names of what a file gave, `notes` what of it was not read or left out."""

    train: Split
    validation: Split | None = None
    test: Split | None = None
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def splits(self) -> dict[str, Split]:
        """The splits that exist, by name."""
        named = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: split for name, split in named.items() if split is not None}


class Task(Component):
    """Base of the tasks."""

    packages: ClassVar[tuple[Package, ...]] = ()
    """The optional packages that read its data."""

    def sizes(self) -> tuple[int, int]:
        """How many inputs and targets an example has."""
        raise NotImplementedError(f"{type(self).__name__} does not say its sizes")

    def bins(self) -> dict[str, int]:
        """Into how many bins of equal length a presentation is divided, of inputs and of targets:
        1 where they stay the same."""
        return {"inputs": 1, "targets": 1}

    def columns(self) -> Mapping[str, tuple[str, ...]]:
        """The names of what a file gives as inputs, targets and labels; empty where nothing has a name."""
        return {}

    def training_examples(self) -> int:
        """How many training examples there are, whatever the seed."""
        return len(self.draw(lambda purpose: np.random.default_rng([*purpose.encode()])).train)

    def draw(self, stream: Stream) -> Data:
        """The examples; generated tasks draw them from `stream`, data sets ignore it.

        Raises:
            FileError: if data on disk are missing or damaged.
            MissingError: if a package is missing.
        """
        raise NotImplementedError(f"{type(self).__name__} draws no examples")


def finite(inputs: Array, targets: Array, what: str) -> Split:
    """A generated split, refused where its scales are too large for floating point.

    Args:
        inputs: `(n, inputs)`.
        targets: `(n, targets)`.
        what: the fields that made them, such as "LinearTeacher.teacher and LinearTeacher.inputs".

    Raises:
        ModelError: if one is not a finite number.
    """
    if not (np.isfinite(inputs).all() and np.isfinite(targets).all()):
        raise OutOfRange(f"{what} make inputs or targets that are no finite numbers. Give smaller scales.")
    return Split(inputs, targets)


def named(columns: Sequence[str]) -> str:
    """The names of columns in a message: all of a dozen, the ends of more."""
    return ", ".join(
        columns if len(columns) <= 12 else (*columns[:6], f"... ({len(columns)} columns) ...", *columns[-3:])
    )


def one_hot(labels: Array, classes: int, off: float = 0.0, on: float = 1.0) -> Array:
    """Targets `(n, classes)`: `on` at the label, `off` elsewhere."""
    targets = np.full((len(labels), classes), off)
    targets[np.arange(len(labels)), labels] = on
    return targets


family: Family[Task] = Family("task", "bioFA.tasks", base=Task)
TaskField = Annotated[Task, *family.member()]
