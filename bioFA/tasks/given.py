"""What tasks of given data have in common: the declared steps from what is in a file to inputs, targets and splits.

    encoding = "one_hot"       targets are 1 at the class of the label, 0 elsewhere; classes in sorted order
    validation, test           shares of the examples that are held out, at random by `split_seed`, the same for every
                               seed of a run; with labels class by class, as evenly as whole examples allow
    scaling = "standard"       each input minus its mean, over its standard deviation
    class_weights = [1, 19]    how often the training examples of each class are shown in an epoch, m_c: the error that
                               learning descends is then sum over classes of m_c times that of the class; "balanced":
                               m_c = n_largest / n_c, to the nearest whole number
    scaling = "range"          each input from its smallest to its largest value onto 0 to 1

Means, deviations and ranges are those of the training examples, so nothing of the others is seen before its time. An
input that is the same in all of them becomes 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, ClassVar, Literal, NamedTuple

import numpy as np
from annotated_types import Ge, Lt
from pydantic import Strict

from bioFA.components import Count, Number
from bioFA.errors import OutOfRange, WrongData, under
from bioFA.tasks import doubtful
from bioFA.tasks.base import Array, Data, Split, Stream, Task, one_hot

ROUNDING = 2.0**-50
"""What differs by less than this share of its size differs only by rounding."""
Share = Annotated[Number, Ge(0), Lt(1)]


class Examples(NamedTuple):
    """Examples as they are in a file: `inputs` `(n, n_in)` or with a time axis,
    `targets` and `labels` where it has them.

    `lines` `(n,)` is where each stands in a file of lines, `columns` what of the file was taken for inputs, targets and
    labels, by name, `notes` what of it was not, `called` what the file calls inputs, targets and labels,
    where these are other names.
    """

    inputs: Array
    targets: Array | None
    labels: Array | None
    lines: Array | None = None
    columns: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    notes: tuple[str, ...] = ()
    called: Mapping[str, str] = MappingProxyType({})

    def at(self, rows: Array) -> Examples:
        """Some of them."""
        inputs, targets, labels, lines = (None if part is None else part[rows] for part in self[:4])
        assert inputs is not None
        return Examples(inputs, targets, labels, lines, self.columns, self.notes, self.called)

    def row(self, number: int) -> str:
        """Where an example stands in its file."""
        return f"row {number}" if self.lines is None else f"line {self.lines[number]}"


class Given(Task):
    """Data from a file, split, scaled and encoded as declared."""

    encoding: Literal["given", "one_hot"] = "given"
    validation: Share = 0.0
    test: Share = 0.0
    split_seed: Annotated[int, Strict(), Ge(0)] = 0
    scaling: Literal["none", "standard", "range"] = "none"
    class_weights: Literal["none", "balanced"] | tuple[Count, ...] = "none"

    family_name: ClassVar[str] = ""

    def model_post_init(self, context: object) -> None:
        """Refuse shares that leave nothing to learn from."""
        if self.validation + self.test >= 1:
            raise OutOfRange(
                f"{type(self).__name__}: validation and test are shares of all examples and must leave some; got"
                f" {self.validation:g} and {self.test:g}."
            )

    def place(self) -> str:
        """What names the file in messages."""
        raise NotImplementedError(f"{type(self).__name__} names no file")

    def examples(self) -> dict[str, Examples]:
        """What is in the file, by split; all of it under 'train' where the file knows no splits."""
        raise NotImplementedError(f"{type(self).__name__} reads no file")

    def sizes(self) -> tuple[int, int]:
        """The last dimension of inputs and of targets."""
        train = self._data().train
        return train.inputs.shape[-1], train.targets.shape[-1]

    def bins(self) -> dict[str, int]:
        """The time axis of inputs and of targets; 1 where they have none."""
        train = self._data().train
        return {
            name: array.shape[1] if len(array.shape) == 3 else 1
            for name, array in (("inputs", train.inputs), ("targets", train.targets))
        }

    def draw(self, stream: Stream) -> Data:
        """The examples after the declared steps; draws nothing."""
        return self._data()

    def _data(self) -> Data:
        with under("path"):
            return _read(self, _stamp(Path(self.place())))

    def columns(self) -> Mapping[str, tuple[str, ...]]:
        """What of the file is taken for inputs, targets and labels, by name."""
        return self._data().columns

    def made(self) -> Data:
        """The examples after the declared steps, from the file as it is now.
        Everything is checked before anything is split."""
        parts = {name: self._checked(name, part) for name, part in self.examples().items()}
        train = parts["train"]
        for name, part in parts.items():
            for kind in ("inputs", "targets"):
                expected, found = (
                    None if of is None else of.shape[1:] for of in (getattr(train, kind), getattr(part, kind))
                )
                if found != expected and expected is not None and found is not None:
                    wanted, got = (", ".join(map(str, shape)) for shape in (expected, found))
                    raise WrongData(
                        f"{self.place()}: '{name}_{kind}' must have as many columns (and bins) as '{kind}', {wanted};"
                        f" got {got}. Give all splits the same columns."
                    )
        if self.validation or self.test:
            if len(parts) > 1:
                raise WrongData(
                    f"{self.place()}: holds splits of its own ({', '.join(parts)}), so none can be declared. Leave"
                    " validation and test out of the task."
                )
            parts = self._split(train)
        classes = None
        if self.encoding == "one_hot":
            self._check_kinds(parts)
            parts, classes = _one_hot(parts)
        inputs = {
            name: part.inputs if self.scaling == "none" else self._scaled(part, parts["train"])
            for name, part in parts.items()
        }
        splits = {name: Split(inputs[name], part.targets, part.labels) for name, part in parts.items()}  # type: ignore[arg-type]
        doubts = doubtful.notes(splits, classes)
        notes = tuple(dict.fromkeys((*doubts, *(note for part in parts.values() for note in part.notes))))
        if self.class_weights != "none":
            splits["train"] = self._weighted(splits["train"])
        return Data(splits["train"], splits.get("validation"), splits.get("test"), train.columns, notes)

    def _weighted(self, train: Split) -> Split:
        """The training examples, those of each class as often as its weight says.

        Raises:
            WrongData: if there are no labels, or not one weight for each class.
        """
        if train.labels is None:
            raise WrongData(
                f"{self.place()}: class_weights need labels, and there are none. Name them, labels = ..., or leave"
                " class_weights out."
            )
        labels, classes = np.asarray(train.labels), train.targets.shape[-1]
        counts = np.bincount(labels, minlength=classes)
        if isinstance(self.class_weights, tuple) and len(self.class_weights) != classes:
            raise WrongData(
                f"{self.place()}: class_weights must be {classes}, one for each class; got {len(self.class_weights)}."
                " For example: class_weights = 'balanced'."
            )
        weights = (
            np.array(self.class_weights)
            if isinstance(self.class_weights, tuple)
            else np.rint(counts.max() / np.maximum(counts, 1)).astype(int)
        )
        rows = np.repeat(np.arange(len(labels)), weights[labels])
        return Split(np.asarray(train.inputs)[rows], train.targets[rows], labels[rows])

    def _split(self, whole: Examples) -> dict[str, Examples]:
        """Hold out the declared shares, class by class where there are labels."""
        rng = np.random.default_rng(self.split_seed)
        groups = (
            [np.arange(len(whole.inputs))]
            if whole.labels is None
            else [np.flatnonzero(whole.labels == label) for label in np.unique(whole.labels)]
        )
        chosen: dict[str, list[Array]] = {"train": [], "validation": [], "test": []}
        carried = {"validation": 0.0, "test": 0.0}
        for group in groups:
            group, begin = rng.permutation(group), 0
            for name, share in (("validation", self.validation), ("test", self.test)):
                carried[name] += share * len(group)
                count = min(round(carried[name]), len(group) - begin)
                carried[name] -= count
                chosen[name].append(group[begin : begin + count])
                begin += count
            chosen["train"].append(group[begin:])
        rows = {name: np.sort(np.concatenate(parts)) for name, parts in chosen.items()}
        for name, share in (("train", 1.0), ("validation", self.validation), ("test", self.test)):
            if share and not len(rows[name]):
                raise WrongData(
                    f"{self.place()}: {len(whole.inputs)} examples are too few for validation = {self.validation:g} and"
                    f" test = {self.test:g}: the {name} split is empty."
                )
        return {name: whole.at(at) for name, at in rows.items() if len(at)}

    def _checked(self, split: str, part: Examples) -> Examples:
        """The examples of a split as the file has them, as numbers.

        Raises:
            FileError: naming the array, and the row, line or column of the file.
        """
        prefix = "" if split == "train" else f"{split}_"
        names = {kind: part.called.get(kind, f"{prefix}{kind}") for kind in ("inputs", "targets", "labels")}
        inputs = self._numbers(names["inputs"], part.inputs, part)
        if self.encoding == "one_hot":
            if part.labels is None or part.targets is not None:
                lacking = (
                    f"has no labels to encode ('{names['labels']}')"
                    if part.labels is None
                    else f"has targets already ('{names['targets']}')"
                )
                raise WrongData(
                    f"{self.place()}: encoding = 'one_hot' makes targets from labels, but the {split} split {lacking}."
                    " Leave one out."
                )
            return part._replace(inputs=inputs, labels=self._labels(names["labels"], part, len(inputs)))
        if part.targets is None:
            hint = " Declare encoding = 'one_hot' to make them from the labels." if part.labels is not None else ""
            raise WrongData(f"{self.place()}: the {split} examples have no targets.{hint}")
        targets = self._numbers(names["targets"], part.targets, part)
        if len(targets) != len(inputs):
            raise WrongData(
                f"{self.place()}: '{names['targets']}' must have as many rows as '{names['inputs']}', {len(inputs)};"
                f" got {len(targets)}. Give each input its target."
            )
        labels = None if part.labels is None else self._labels(names["labels"], part, len(inputs))
        if labels is not None:
            wanted = (
                f"{self.place()}: '{names['labels']}' must be {len(inputs)} whole numbers from 0 to"
                f" {targets.shape[-1] - 1}, one an example"
            )
            if labels.dtype.kind not in "iu":
                raise WrongData(f"{wanted}; got {labels.dtype} of shape {labels.shape}. For example: [0, 1, 0, 1].")
            if labels.min() < 0 or labels.max() >= targets.shape[-1]:
                bad = int(np.flatnonzero((labels < 0) | (labels >= targets.shape[-1]))[0])
                raise WrongData(
                    f"{wanted}; got {labels.min()} to {labels.max()}, {labels[bad]} in {part.row(bad)}. Count the"
                    " classes from 0, or give wider targets."
                )
        return part._replace(inputs=inputs, targets=targets, labels=labels)

    def _check_kinds(self, parts: Mapping[str, Examples]) -> None:
        """Refuse labels that are texts in one split and numbers in another:
        none of them would be the class of the other."""
        kinds = {
            name: "texts" if np.asarray(part.labels).dtype.kind in "SUO" else "numbers" for name, part in parts.items()
        }
        for name, kind in kinds.items():
            if kind != kinds["train"]:
                raise WrongData(
                    f"{self.place()}: '{name}_labels' are {kind}, and 'labels' are {kinds['train']}. Write the classes"
                    " of all splits alike."
                )

    def _numbers(self, name: str, given: Array, part: Examples) -> Array:
        array = np.asarray(given)
        if array.ndim not in (2, 3) or 0 in array.shape or array.dtype.kind not in "fiub":
            raise WrongData(
                f"{self.place()}: '{name}' must be a matrix of numbers, one row an example, or have a time axis, (n,"
                f" bins, size); got {array.dtype} of shape {array.shape}. For example: shape (1000, 784)."
            )
        with np.errstate(over="ignore"):
            numbers = array.astype(float)
        if not np.isfinite(numbers).all():
            at = np.argwhere(~np.isfinite(numbers))[0]
            raise WrongData(
                f"{self.place()}: '{name}' holds a number that is not finite in {part.row(at[0])}, column {at[-1]}."
                " Remove or replace it."
            )
        rounded = rounded_in(array, numbers)
        if rounded.any():
            at = np.argwhere(rounded)[0]
            raise WrongData(
                f"{self.place()}: '{name}' holds {rounded.sum()} numbers of {array.dtype} that float64 cannot hold, the"
                f" first in {part.row(at[0])}, column {at[-1]}: {array[tuple(at)]}. Subtract what they have in common,"
                " or write them as float64."
            )
        return numbers

    def _labels(self, name: str, part: Examples, count: int) -> Array:
        """Labels of which each example has one: numbers or texts."""
        labels = np.asarray(part.labels)
        if labels.ndim != 1 or len(labels) != count:
            one_hot = (
                " Labels that are one-hot already are targets: name them so, and leave encoding out."
                if labels.ndim == 2 and len(labels) == count
                else ""
            )
            raise WrongData(
                f"{self.place()}: '{name}' must be {count}"
                f" {'whole numbers' if self.encoding == 'given' else 'names or whole numbers'}, one an example; got"
                f" {labels.dtype} of shape {labels.shape}. Give every example a label. For example: [0, 1, 0,"
                f" 1].{one_hot}"
            )
        if labels.dtype.kind not in "fiubSUO":
            raise WrongData(
                f"{self.place()}: '{name}' must be numbers or texts; got {labels.dtype}. Write each class as a number"
                " or a name."
            )
        missing = (
            ~np.isfinite(labels)
            if labels.dtype.kind == "f"
            else (
                np.array([label is None or len(label) == 0 for label in labels])
                if labels.dtype.kind in "SUO"
                else np.zeros(count, bool)
            )
        )
        if missing.any():
            raise WrongData(
                f"{self.place()}: the label in {part.row(int(np.flatnonzero(missing)[0]))} is missing ({missing.sum()}"
                f" of {count} are) in '{name}'. Give every example a label, or leave it out."
            )
        return (
            _texts(
                labels,
                lambda row: (
                    f"{self.place()}: the label in {part.row(row)} of '{name}' is no UTF-8 text, so it has no name."
                    " Write it as text."
                ),
            )
            if labels.dtype.kind in "SO"
            else labels
        )

    def _scaled(self, part: Examples, train: Examples) -> Array:
        """Inputs as multiples of what the training examples spread over, `(n, n_in)`;
        one that is the same in all of them begins at 0."""
        axes = tuple(range(train.inputs.ndim - 1))
        # a power of two changes no digit, and keeps squares and differences in range
        _, powers = np.frexp(np.abs(train.inputs).max(axis=axes))
        with np.errstate(over="ignore"):
            known, inputs = np.ldexp(train.inputs, -powers), np.ldexp(part.inputs, -powers)
        spread = known.max(axis=axes) - known.min(axis=axes)
        same = spread <= ROUNDING
        offset, width = (
            (known.mean(axis=axes), known.std(axis=axes))
            if self.scaling == "standard"
            else (known.min(axis=axes), spread)
        )
        with np.errstate(over="ignore"):
            scaled = (inputs - np.where(same, known.min(axis=axes), offset)) / np.where(same, 1.0, width)
            scaled = np.where(same, np.where(np.abs(scaled) <= ROUNDING, 0.0, np.ldexp(scaled, powers)), scaled)
        if not np.isfinite(scaled).all():
            at = np.argwhere(~np.isfinite(scaled))[0]
            raise WrongData(
                f"{self.place()}: {part.row(at[0])}, input {at[-1]}, is too far from the training examples for scaling"
                f" = '{self.scaling}': {part.inputs[tuple(at)]:g}, where they have {train.inputs[..., at[-1]].min():g}"
                f" to {train.inputs[..., at[-1]].max():g}. Leave the example out, or scale the input yourself."
            )
        return scaled


def _one_hot(parts: Mapping[str, Examples]) -> tuple[dict[str, Examples], list[object]]:
    """Labels as numbers from 0, in the order of all classes, and as targets; and what each class is called."""
    labels = {name: np.asarray(part.labels) for name, part in parts.items()}
    if len({array.dtype for array in labels.values()}) > 1:
        labels = {name: array.astype(object) for name, array in labels.items()}  # one type for all would round numbers
    classes = np.unique(np.concatenate(list(labels.values())))
    numbers = {name: np.searchsorted(classes, array) for name, array in labels.items()}
    return {
        name: part._replace(targets=one_hot(numbers[name], len(classes)), labels=numbers[name])
        for name, part in parts.items()
    }, classes.tolist()


def rounded_in(array: Array, numbers: Array) -> Array:
    """Where float64 numbers are not those of an array."""
    if array.dtype.kind in "iu" and array.dtype.itemsize == 8:
        rounded = np.abs(numbers) >= 2.0**53
        rounded[rounded] = [
            int(number) != int(whole) for number, whole in zip(numbers[rounded], array[rounded], strict=True)
        ]
        return np.asarray(rounded)
    return np.asarray(array != numbers) if array.dtype.kind == "f" else np.zeros(array.shape, dtype=bool)


def _texts(labels: Array, complaint: Callable[[int], str]) -> Array:
    """Labels as texts.

    Raises:
        WrongData: with the complaint about the first row that is none.
    """
    found = []
    for row, label in enumerate(labels):
        try:
            found.append(label.decode() if isinstance(label, bytes) else str(label))
        except UnicodeDecodeError:
            raise WrongData(complaint(row)) from None
    return np.array(found)


@lru_cache(maxsize=2)
def _read(task: Given, stamp: tuple[tuple[str, int, int], ...]) -> Data:
    """The examples of a task whose files have a stamp: an experiment asks for sizes several times,
    and reading may take seconds."""
    return task.made()


def _stamp(path: Path) -> tuple[tuple[str, int, int], ...]:
    """Name, time of change and size of a file, or of those in a folder."""
    files = sorted(path.iterdir()) if path.is_dir() else [path] if path.is_file() else []
    return tuple((str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in files)
