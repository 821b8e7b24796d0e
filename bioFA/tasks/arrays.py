"""Your own data: arrays in a `.npz` or `.h5` file, in a folder of `.npy` files,
or the columns of a text table (`.csv`, `.tsv`, `.txt`, `.csv.gz`).

    inputs (n, n_in), targets (n, n_out), labels (n,)                     training, or everything, to be split
    validation_inputs, validation_targets, validation_labels              optional
    test_inputs, test_targets, test_labels                                optional

`inputs`, `targets` and `labels` say under which names the file holds them, where these are other names. Of a text table
they name columns: the inputs are every column that is neither named nor in `exclude`, unless they are named. Columns
are divided by commas, semicolons, tabs or spaces; `header = false` says that no line names them (they are then
`column_1`, `column_2`, ...), `skip_lines` how many lines come before, `decimal = ","` that numbers are written `0,5`.
A column without a name, or one that counts the rows, is an input only where it is named:
it tells the class of sorted data. Splits, scaling, and targets from labels are declared (`given.py`):

    task = { name = "arrays", path = "iris.csv", labels = "species", encoding = "one_hot", validation = 0.2,
    test = 0.2, scaling = "standard" }

Inputs, and targets, that change during a presentation have a time axis, (n, bins, n_in): bins of equal length
within it. With one bin a step, `spike_source` shows them as frozen spikes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, Strict

from bioFA.components import Amount, Name, OneOrMany
from bioFA.errors import Contradiction, NoSuchFile, UnknownColumn, WrongData, WrongKind, suggestion
from bioFA.tasks import csv_table
from bioFA.tasks.base import Array
from bioFA.tasks.given import Examples, Given
from bioFA.tasks.tables import KINDS, Held, read

PREFIXES = {"train": "", "validation": "validation_", "test": "test_"}
NAMES = tuple(f"{prefix}{name}" for prefix in PREFIXES.values() for name in ("inputs", "targets", "labels"))
OTHERS = "Name the columns to take, inputs = [...], or to leave out, exclude = [...]."
Names = Annotated[tuple[Name, ...], OneOrMany()]


class Arrays(Given):
    """Inputs and targets from a file: .npz, .h5, a folder of .npy files, or a text table (.csv, .tsv, .txt,
    .csv.gz)."""

    path: Annotated[Name, Field(examples=["data.npz"])]
    inputs: Names = ()
    targets: Names = ()
    labels: Name = ""
    exclude: Names = ()
    header: Annotated[bool, Strict()] | None = None
    skip_lines: Amount = 0
    decimal: Literal[".", ","] = "."

    def place(self) -> str:
        """The file."""
        return self.path

    def examples(self) -> dict[str, Examples]:
        """The arrays of each split that the file has."""
        if csv_table.is_text_table(self.path) and not Path(self.path).is_dir():
            return {"train": self._columns()}
        if self.header is not None or self.skip_lines or self.decimal != ".":
            raise Contradiction(
                f"{self.path}: header, skip_lines and decimal say how a text table is written, and this is none. Leave"
                " them out."
            )
        held = read(self.path, "Arrays.path")
        known = (*held.arrays, *held.unreadable)
        for name in self.exclude:
            self._check_known(name, known, "array")
        held = held.without(self.exclude)
        if self.inputs or self.targets or self.labels:
            return {"train": self._named(held)}
        names = [name for name in known if name not in self.exclude]
        for name in names:
            if name not in NAMES:
                raise UnknownColumn(
                    f"{self.path}: unknown array '{name}'.{suggestion(name, NAMES)} "
                    f"Or say which arrays to take, inputs = \"{name}\", or to leave out, exclude = \"{name}\"."
                )
        splits = {"train": ""} | {
            split: prefix
            for split, prefix in PREFIXES.items()
            if prefix and any(name.startswith(prefix) for name in names)
        }
        return {split: self._of(held, names, prefix) for split, prefix in splits.items()}

    def _of(self, held: Held, names: Sequence[str], prefix: str) -> Examples:
        lacking = [f"{prefix}inputs"] if f"{prefix}inputs" not in names else []
        lacking += [f"{prefix}targets"] if self.encoding == "given" and f"{prefix}targets" not in names else []
        if lacking:
            labelled = (
                f" Or declare encoding = 'one_hot' to make targets from '{prefix}labels'."
                if f"{prefix}labels" in names and lacking == [f"{prefix}targets"]
                else ""
            )
            raise UnknownColumn(
                f"{self.path}: the array '{lacking[0]}' is missing; it holds:"
                f" {', '.join(sorted(names)) or 'nothing'}.{labelled} Or name what holds it, as in"
                f" {lacking[0].rpartition('_')[2]} = 'x'."
            )
        targets, labels = (
            self._array(held, f"{prefix}{name}") if f"{prefix}{name}" in names else None
            for name in ("targets", "labels")
        )
        return Examples(self._array(held, f"{prefix}inputs"), targets, labels, notes=() if prefix else held.notes)

    def _array(self, held: Held, name: str) -> Array:
        if name in held.unreadable:
            raise WrongKind(
                f"Arrays.path: '{self.path}': the array '{name}' {held.unreadable[name]}. Write it with numpy.savez, as"
                " numbers or texts."
            )
        return held.arrays[name]

    def _named(self, held: Held) -> Examples:
        for field, names in (("inputs", self.inputs), ("targets", self.targets)):
            if len(names) > 1:
                raise WrongData(
                    f"{self.path}: Arrays.{field} names one array of this file, a matrix; got {', '.join(names)}."
                    " Several are for the columns of a CSV file."
                )
        known = (*held.arrays, *held.unreadable)
        inputs, targets = (
            names[0] if names else default for names, default in ((self.inputs, "inputs"), (self.targets, "targets"))
        )
        labels = self.labels or "labels"
        for name in (inputs, *self.targets, *([self.labels] if self.labels else [])):
            self._check_known(name, known, "array")
        if self.targets and self.encoding == "one_hot":
            raise Contradiction(
                f"{self.path}: encoding = 'one_hot' makes targets from labels, and targets = '{targets}' are given,"
                " too. Leave one out."
            )
        taken = (inputs, *([targets] if self.encoding == "given" else []), labels)
        found = [
            self._array(held, name) if name in known and name in taken else None for name in (inputs, targets, labels)
        ]
        rest = [
            (
                f"not used: array '{name}' of shape {held.arrays[name].shape}"
                if name in held.arrays
                else f"not used: array '{name}', which {held.unreadable[name]}"
            )
            for name in known
            if name not in taken
        ]
        assert found[0] is not None
        called = {"inputs": inputs, "targets": targets, "labels": labels}
        return Examples(found[0], found[1], found[2], notes=(*rest, *held.notes), called=called)

    def _columns(self) -> Examples:
        if not Path(self.path).is_file():
            raise NoSuchFile(
                f"Arrays.path: there is no file {self.path!r}. Write one with pandas (table.to_csv(path, index=False))"
                f" or numpy.savez, or give {KINDS}."
            )
        columns, lines, unnamed = csv_table.read(
            self.path, "Arrays.path", self.header, self.skip_lines, self.decimal, self.labels or ""
        )
        answers = (*self.targets, *([self.labels] if self.labels else []))
        if not answers:
            raise UnknownColumn(
                f"{self.path}: say which columns are the answers: targets = [...], or labels = \"...\" with encoding ="
                f" 'one_hot'. Columns: {', '.join(columns)}."
            )
        for name in (*self.inputs, *answers, *self.exclude):
            self._check_known(name, columns, "column")
        if both := [name for name in (*self.inputs, *answers) if name in self.exclude]:
            raise Contradiction(
                f"{self.path}: the column '{both[0]}' is asked for, and excluded. Take it out of exclude, or name"
                " another."
            )
        inputs = self.inputs or tuple(name for name in columns if name not in (*answers, *self.exclude))
        for name in () if self.inputs else inputs:
            self._check_meant(name, columns[name], unnamed)
        return Examples(
            self._matrix(columns, inputs, lines),
            self._matrix(columns, self.targets, lines) if self.targets else None,
            _texts(columns[self.labels]) if self.labels else None,
            lines,
            {"inputs": inputs}
            | ({"targets": self.targets} if self.targets else {})
            | ({"labels": (self.labels,)} if self.labels else {}),
            called={"labels": self.labels} if self.labels else {},
        )

    def _check_meant(self, name: str, values: Array, unnamed: tuple[str, ...]) -> None:
        """Refuse a column that is an input only because nobody said that it is none."""
        fault = (
            "has no name"
            if name in unnamed
            else (
                "counts the rows, so it would tell the class of sorted examples"
                if csv_table.counts_rows(values)
                else ""
            )
        )
        if fault:
            raise WrongData(
                f"{self.path}: the column '{name}' {fault} (pandas writes its row numbers so, unless it is told"
                f" index=False). Leave it out, exclude = [\"{name}\"], or name the columns to take, inputs = [...]."
            )

    def _matrix(self, columns: dict[str, Array], names: tuple[str, ...], lines: Array) -> Array:
        if not names:
            raise UnknownColumn(
                f"{self.path}: no column is left for the inputs. Name them: inputs = [...]. Columns:"
                f" {', '.join(columns)}."
            )
        for name in names:
            bad = csv_table.first_text(columns[name], self.decimal)
            if bad is not None:
                found = str(columns[name][bad])
                decimal = (
                    " Where numbers are written so, say decimal = ','." if "," in found and self.decimal == "." else ""
                )
                raise WrongData(
                    f"{self.path}: the column '{name}' must hold numbers; line {lines[bad]} holds {found!r}.{decimal}"
                    f" {OTHERS}"
                )
            rounded = csv_table.rounded_rows(columns[name])
            if len(rounded):
                raise WrongData(
                    f"{self.path}: the column '{name}' holds {len(rounded)} whole numbers that float64 cannot hold, the"
                    f" first in line {lines[rounded[0]]}: {columns[name][rounded[0]]}. Subtract what they have in"
                    f" common. {OTHERS}"
                )
        matrix = np.stack([csv_table.numbers(columns[name], self.decimal) for name in names], axis=1)
        if not np.isfinite(matrix).all():
            row, column = np.argwhere(~np.isfinite(matrix))[0]
            raise WrongData(
                f"{self.path}: the column '{names[column]}' has no finite number in line {lines[row]}. Remove the line,"
                " or fill it."
            )
        return matrix

    def _check_known(self, name: str, known: Iterable[str], kind: str) -> None:
        if name not in known:
            raise UnknownColumn(f"{self.path}: there is no {kind} '{name}'.{suggestion(name, known)}")


def _texts(labels: Array) -> Array:
    """Labels as texts, without blanks around them, or numbers; an empty one is missing, None for texts and NaN for
    numbers."""
    if labels.dtype.kind != "O":
        return labels
    return np.array([None if label != label else str(label).strip() for label in labels], dtype=object)
