"""What makes given examples doubtful, a sentence each, for the notes of a run: classes that are no classes, labels that
contradict targets, and test examples that were learned from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from bioFA.tasks.base import Array, Split

MOST_CLASSES = 0.5
"""More classes than this share of the examples are hardly classes."""
FEWEST_EXAMPLES = 10
"""Of fewer examples the number of classes says nothing."""
SHOWN = 5


def notes(splits: Mapping[str, Split], classes: Sequence[object] | None = None) -> Iterator[str]:
    """What to look at before the error of a run is believed.

    Args:
        splits: the examples, `train` among them.
        classes: what each label stands for, where the labels of a file were numbered.
    """
    labels = {name: np.asarray(split.labels) for name, split in splits.items() if split.labels is not None}
    if "train" in labels:
        count = splits["train"].targets.shape[-1]
        counts = {name: np.bincount(of, minlength=count) for name, of in labels.items()}
        yield from _of_classes(counts, [repr(_plain(name)) for name in classes or range(count)])
    yield from _alike(classes or ())
    for name, of in labels.items():
        yield from _contradictions(name, of, splits[name])
    yield from _shared(splits)


def _plain(name: object) -> object:
    return name.item() if isinstance(name, np.generic) else name


def _of_classes(counts: Mapping[str, Array], names: Sequence[str]) -> Iterator[str]:
    """Classes of which there are too few, or too many, for an error to say anything."""
    every = np.sum(list(counts.values()), axis=0)
    present, total = np.flatnonzero(every), int(every.sum())
    if len(present) == 1:
        yield f"all {total} examples are of one class, {names[present[0]]}, so that no error says what was learned"
        return
    if len(present) > MOST_CLASSES * total and total >= FEWEST_EXAMPLES:
        yield f"{len(present)} classes in {total} examples: are the labels names of classes, or numbers to be targets?"
    for split, of in counts.items():
        if split == "train":
            continue
        unseen = np.flatnonzero((of > 0) & (counts["train"] == 0))
        if len(unseen):
            yield (
                f"{of[unseen].sum()} of {of.sum()} {split} examples are of a class without a training example:"
                f" {_listed(names, unseen)}"
            )
        absent = np.flatnonzero((of == 0) & (counts["train"] > 0))
        if len(absent):
            yield f"no {split} example is of the class {_listed(names, absent)}, so that its error does not count"


def _listed(names: Sequence[str], which: Array) -> str:
    return ", ".join(names[one] for one in which[:SHOWN]) + (", ..." if len(which) > SHOWN else "")


def _alike(classes: Sequence[object]) -> Iterator[str]:
    """Texts that differ in nothing but blanks and capitals, or are the same number."""
    found: dict[object, list[str]] = {}
    for name in classes:
        if isinstance(name, str):
            found.setdefault(_meant(name), []).append(str(name))
    for names in found.values():
        if len(names) > 1:
            yield f"{' and '.join(map(repr, names))} are classes of their own: write them alike if they are one"


def _meant(name: str) -> object:
    try:
        number = float(name)
    except ValueError:
        number = np.nan
    return number if np.isfinite(number) else " ".join(name.split()).casefold()


def _contradictions(split: str, labels: Array, of: Split) -> Iterator[str]:
    """Labels at which the target is not the largest: errors are counted by labels, and learning follows targets."""
    targets = of.final(slice(None))
    wrong = int((targets[np.arange(len(labels)), labels] < targets.max(axis=-1)).sum())
    if wrong:
        yield (
            f"in {wrong} of {len(labels)} {split} examples the target is larger at another class than that of the"
            " label: targets are what is learned, and labels what errors are counted by"
        )


def _shared(splits: Mapping[str, Split]) -> Iterator[str]:
    """Examples of another split with the inputs of a training example."""
    if len(splits) < 2:
        return
    learned = set(_rows(splits["train"]))
    for name, split in splits.items():
        if name != "train" and (count := sum(row in learned for row in _rows(split))):
            yield f"{count} of {len(split)} {name} examples have the inputs of a training example"


def _rows(split: Split) -> Iterator[int]:
    """What stands for the inputs of each example: a hash of 64 bits, which takes less memory than they do."""
    for row in np.asarray(split.inputs):
        yield hash(np.ascontiguousarray(row).data.tobytes())
