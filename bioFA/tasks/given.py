"""What tasks of given data have in common: the declared steps from what is in a file to inputs, targets and splits.

    encoding = "one_hot"       targets are 1 at the class of the label, 0 elsewhere; classes in sorted order
    validation, test           shares of the examples that are held out, at random by `split_seed`, the same for every seed of a run;
                               with labels class by class, as evenly as whole examples allow
    scaling = "standard"       each input minus its mean, over its standard deviation
    scaling = "range"          each input from its smallest to its largest value onto 0 to 1

Means, deviations and ranges are those of the training examples, so nothing of the others is seen before its time. An input that is the
same in all of them becomes 0.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Annotated, ClassVar, Literal, NamedTuple

import numpy as np
from annotated_types import Ge, Lt
from pydantic import Strict

from bioFA.components import Number
from bioFA.errors import OutOfRange, WrongData
from bioFA.tasks.base import Array, Data, Split, Stream, Task, one_hot

Share = Annotated[Number, Ge(0), Lt(1)]


class Examples(NamedTuple):
    """Examples as they are in a file: `inputs` `(n, n_in)` or with a time axis, `targets` and `labels` where it has them."""

    inputs: Array
    targets: Array | None
    labels: Array | None


class Given(Task):
    """Data from a file, split, scaled and encoded as declared."""

    encoding: Literal["given", "one_hot"] = "given"
    validation: Share = 0.0
    test: Share = 0.0
    split_seed: Annotated[int, Strict(), Ge(0)] = 0
    scaling: Literal["none", "standard", "range"] = "none"

    family_name: ClassVar[str] = ""

    def model_post_init(self, context: object) -> None:
        """Refuse shares that leave nothing to learn from."""
        if self.validation + self.test >= 1:
            raise OutOfRange(f"{type(self).__name__}: validation and test are shares of all examples and must leave some; got {self.validation:g} and {self.test:g}.")

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
        return {name: array.shape[1] if len(array.shape) == 3 else 1 for name, array in (("inputs", train.inputs), ("targets", train.targets))}

    def draw(self, stream: Stream) -> Data:
        """The examples after the declared steps; draws nothing."""
        return self._data()

    def _data(self) -> Data:
        return _read(self, _stamp(Path(self.place())))

    def made(self) -> Data:
        """The examples after the declared steps, from the file as it is now."""
        parts = self.examples()
        if self.validation or self.test:
            if len(parts) > 1:
                raise WrongData(f"{self.place()}: holds splits of its own ({', '.join(parts)}), so none can be declared. Leave validation and test out of the task.")
            parts = self._split(parts["train"])
        splits = {name: self._checked(name, part) for name, part in self._encoded(parts).items()}
        train = splits["train"]
        for name, split in splits.items():
            for kind in ("inputs", "targets"):
                expected, found = getattr(train, kind).shape[1:], getattr(split, kind).shape[1:]
                if found != expected:
                    wanted, got = (", ".join(map(str, shape)) for shape in (expected, found))
                    raise WrongData(f"{self.place()}: '{name}_{kind}' must have as many columns (and bins) as '{kind}', {wanted}; got {got}. Give all splits the same columns.")
        if self.scaling != "none":
            splits = {name: Split(self._scaled(np.asarray(split.inputs), np.asarray(train.inputs)), split.targets, split.labels) for name, split in splits.items()}
        return Data(splits["train"], splits.get("validation"), splits.get("test"))

    def _split(self, whole: Examples) -> dict[str, Examples]:
        """Hold out the declared shares, class by class where there are labels."""
        rng = np.random.default_rng(self.split_seed)
        groups = [np.arange(len(whole.inputs))] if whole.labels is None else [np.flatnonzero(whole.labels == label) for label in np.unique(whole.labels)]
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
                raise WrongData(f"{self.place()}: {len(whole.inputs)} examples are too few for validation = {self.validation:g} and test = {self.test:g}: the {name} split is empty.")
        return {
            name: Examples(*(None if part is None else part[at] for part in whole)) for name, at in rows.items() if len(at)  # type: ignore[arg-type]
        }

    def _encoded(self, parts: dict[str, Examples]) -> dict[str, Examples]:
        """Labels as numbers from 0, and as targets where that is declared."""
        if self.encoding == "given":
            for name, part in parts.items():
                if part.targets is None:
                    hint = " Declare encoding = 'one_hot' to make them from the labels." if part.labels is not None else ""
                    raise WrongData(f"{self.place()}: the {name} examples have no targets.{hint}")
            return parts
        for name, part in parts.items():
            if part.labels is None or part.targets is not None:
                lacking = "has no labels to encode" if part.labels is None else "has targets already"
                raise WrongData(f"{self.place()}: encoding = 'one_hot' makes targets from labels, but the {name} split {lacking}. Leave one out.")
            if part.labels.ndim != 1 or len(part.labels) != len(part.inputs):
                raise WrongData(f"{self.place()}: labels must be one an example, {len(part.inputs)}; got the shape {part.labels.shape} ({name}).")
        classes = np.unique(np.concatenate([part.labels for part in parts.values() if part.labels is not None]))
        numbers = {name: np.searchsorted(classes, part.labels) for name, part in parts.items() if part.labels is not None}
        return {name: Examples(part.inputs, one_hot(numbers[name], len(classes)), numbers[name]) for name, part in parts.items()}

    def _checked(self, split: str, part: Examples) -> Split:
        prefix = "" if split == "train" else f"{split}_"
        parts = []
        for name, given in (("inputs", part.inputs), ("targets", part.targets)):
            array = np.asarray(given)
            if array.ndim not in (2, 3) or 0 in array.shape or array.dtype.kind not in "fiub":
                raise WrongData(f"{self.place()}: '{prefix}{name}' must be a matrix of numbers, one row an example, or have a time axis, (n, bins, size); got {array.dtype} of shape {array.shape}. For example: shape (1000, 784).")
            array = array.astype(float)
            if not np.isfinite(array).all():
                at = np.argwhere(~np.isfinite(array))[0]
                raise WrongData(f"{self.place()}: '{prefix}{name}' holds a number that is not finite in row {at[0]}, column {at[-1]}. Remove or replace it.")
            parts.append(array)
        inputs, targets = parts
        labels = part.labels
        if len(targets) != len(inputs):
            raise WrongData(f"{self.place()}: '{prefix}targets' must have as many rows as '{prefix}inputs', {len(inputs)}; got {len(targets)}. Give each input its target.")
        if labels is not None:
            wanted = f"{self.place()}: '{prefix}labels' must be {len(inputs)} whole numbers from 0 to {targets.shape[-1] - 1}, one an example"
            if labels.shape != (len(inputs),) or labels.dtype.kind not in "iu":
                raise WrongData(f"{wanted}; got {labels.dtype} of shape {labels.shape}. For example: [0, 1, 0, 1].")
            if labels.min() < 0 or labels.max() >= targets.shape[-1]:
                raise WrongData(f"{wanted}; got {labels.min()} to {labels.max()}. Count the classes from 0, or give wider targets.")
        return Split(inputs, targets, labels)

    def _scaled(self, inputs: Array, train: Array) -> Array:
        axes = tuple(range(train.ndim - 1))
        offset, width = (train.mean(axis=axes), train.std(axis=axes)) if self.scaling == "standard" else (train.min(axis=axes), np.ptp(train, axis=axes))
        return (inputs - offset) / np.where(width > 0, width, 1.0)


@lru_cache(maxsize=2)
def _read(task: Given, stamp: tuple[tuple[str, int, int], ...]) -> Data:
    """The examples of a task whose files have a stamp: an experiment asks for sizes several times, and reading may take seconds."""
    return task.made()


def _stamp(path: Path) -> tuple[tuple[str, int, int], ...]:
    """Name, time of change and size of a file, or of those in a folder."""
    files = sorted(path.iterdir()) if path.is_dir() else [path] if path.is_file() else []
    return tuple((str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in files)
