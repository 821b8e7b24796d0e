"""Your own data: arrays in a `.npz` or `.h5` file, in a folder of `.npy` files, or the columns of a `.csv` file.

    inputs (n, n_in), targets (n, n_out), labels (n,)                     training, or everything, to be split
    validation_inputs, validation_targets, validation_labels              optional
    test_inputs, test_targets, test_labels                                optional

`inputs`, `targets` and `labels` say under which names the file holds them, where these are other names. Of a CSV file they name columns: the inputs
are every column that is not named, unless they are named. Splits, scaling, and targets from labels are declared (`given.py`):

    task = { name = "arrays", path = "iris.csv", labels = "species", encoding = "one_hot", validation = 0.2, test = 0.2, scaling = "standard" }

Inputs, and targets, that change during a presentation have a time axis, (n, bins, n_in): bins of equal length
within it. With one bin a step, `spike_source` shows them as frozen spikes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from bioFA.components import Name, OneOrMany
from bioFA.errors import UnknownColumn, WrongData, suggestion
from bioFA.tasks.base import Array
from bioFA.tasks.given import Examples, Given
from bioFA.tasks.tables import read

PREFIXES = {"train": "", "validation": "validation_", "test": "test_"}
NAMES = tuple(f"{prefix}{name}" for prefix in PREFIXES.values() for name in ("inputs", "targets", "labels"))
Names = Annotated[tuple[Name, ...], OneOrMany()]


class Arrays(Given):
    """Inputs and targets from a file of arrays: .npz, .h5, .csv, or a folder of .npy files."""

    path: Annotated[Name, Field(examples=["data.npz"])]
    inputs: Names = ()
    targets: Names = ()
    labels: Name = ""

    def place(self) -> str:
        """The file."""
        return self.path

    def examples(self) -> dict[str, Examples]:
        """The arrays of each split that the file has."""
        arrays = read(self.path, "Arrays.path")
        if Path(self.path).suffix.lower() == ".csv":
            return {"train": self._columns(arrays)}
        if self.inputs or self.targets or self.labels:
            return {"train": self._named(arrays)}
        for name in arrays:
            if name not in NAMES:
                raise UnknownColumn(f"{self.path}: unknown array '{name}'.{suggestion(name, NAMES)} Or say which arrays to take: inputs = \"{name}\".")
        splits = {"train": ""} | {split: prefix for split, prefix in PREFIXES.items() if prefix and any(name.startswith(prefix) for name in arrays)}
        return {split: self._of(arrays, prefix) for split, prefix in splits.items()}

    def _of(self, arrays: dict[str, Array], prefix: str) -> Examples:
        lacking = [f"{prefix}inputs"] if f"{prefix}inputs" not in arrays else []
        lacking += [f"{prefix}targets"] if self.encoding == "given" and f"{prefix}targets" not in arrays else []
        if lacking:
            labelled = f" Or declare encoding = 'one_hot' to make targets from '{prefix}labels'." if f"{prefix}labels" in arrays and lacking == [f"{prefix}targets"] else ""
            raise UnknownColumn(f"{self.path}: the array '{lacking[0]}' is missing; it holds: {', '.join(sorted(arrays)) or 'nothing'}.{labelled} Or name what holds it, as in {lacking[0].rpartition('_')[2]} = 'x'.")
        return Examples(arrays[f"{prefix}inputs"], arrays.get(f"{prefix}targets"), arrays.get(f"{prefix}labels"))

    def _named(self, arrays: dict[str, Array]) -> Examples:
        for field, names in (("inputs", self.inputs), ("targets", self.targets)):
            if len(names) > 1:
                raise WrongData(f"{self.path}: Arrays.{field} names one array of this file, a matrix; got {', '.join(names)}. Several are for the columns of a CSV file.")
        inputs, targets = (names[0] if names else default for names, default in ((self.inputs, "inputs"), (self.targets, "targets")))
        labels = self.labels or "labels"
        for name in (inputs, *self.targets, *([self.labels] if self.labels else [])):
            self._check_known(name, arrays, "array")
        return Examples(arrays[inputs], arrays.get(targets) if self.encoding == "given" else None, arrays.get(labels))

    def _columns(self, columns: dict[str, Array]) -> Examples:
        answers = (*self.targets, *([self.labels] if self.labels else []))
        if not answers:
            raise UnknownColumn(f"{self.path}: say which columns are the answers: targets = [...], or labels = \"...\" with encoding = 'one_hot'. Columns: {', '.join(columns)}.")
        for name in (*self.inputs, *answers):
            self._check_known(name, columns, "column")
        inputs = self.inputs or tuple(name for name in columns if name not in answers)
        labels = columns[self.labels] if self.labels else None
        if labels is not None and labels.dtype.kind == "O":
            labels = self._texts(labels)
        return Examples(self._matrix(columns, inputs), self._matrix(columns, self.targets) if self.targets else None, labels)

    def _texts(self, labels: Array) -> Array:
        bad = [row for row, label in enumerate(labels) if not isinstance(label, str)]
        if bad:
            raise WrongData(f"{self.path}: the label in line {bad[0] + 2} is missing or no text; got {labels[bad[0]]!r}. Give every example a label.")
        return labels.astype(str)

    def _matrix(self, columns: dict[str, Array], names: tuple[str, ...]) -> Array:
        if not names:
            raise UnknownColumn(f"{self.path}: no column is left for the inputs. Name them: inputs = [...]. Columns: {', '.join(columns)}.")
        for name in names:
            if columns[name].dtype.kind not in "fiub":
                bad = next((row for row, value in enumerate(columns[name]) if not _is_number(value)), 0)
                raise WrongData(f"{self.path}: the column '{name}' must hold numbers; line {bad + 2} holds {columns[name][bad]!r}. Name the columns to take: inputs = [...].")
        matrix = np.stack([columns[name].astype(float) for name in names], axis=1)
        if not np.isfinite(matrix).all():
            row, column = np.argwhere(~np.isfinite(matrix))[0]
            raise WrongData(f"{self.path}: the column '{names[column]}' has no finite number in line {row + 2}. Remove the line, or fill it.")
        return matrix

    def _check_known(self, name: str, known: dict[str, Array], kind: str) -> None:
        if name not in known:
            raise UnknownColumn(f"{self.path}: there is no {kind} '{name}'.{suggestion(name, known)}")


def _is_number(value: object) -> bool:
    try:
        return float(value) is not None  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
