"""Your own data: a `.npz` file with arrays `inputs` and `targets`, and optionally a test set.

    inputs (n, n_in), targets (n, n_out), labels (n,)                     training
    validation_inputs, validation_targets, validation_labels              optional
    test_inputs, test_targets, test_labels                                optional

Inputs, and targets, that change during a presentation have a time axis, (n, bins, n_in): bins of equal length
within it. With one bin a step, `spike_source` shows them as frozen spikes.
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np

from bioFA.components import Name
from bioFA.errors import FileError, suggestion
from bioFA.tasks.base import Array, Data, Split, Stream, Task

NAMES = tuple(f"{split}{name}" for split in ("", "validation_", "test_") for name in ("inputs", "targets", "labels"))


class Arrays(Task):
    """Inputs and targets from a `.npz` file."""

    path: Name

    def sizes(self) -> tuple[int, int]:
        """The last dimension of `inputs` and of `targets`."""
        train = self._read().train
        return train.inputs.shape[-1], train.targets.shape[-1]

    def bins(self) -> dict[str, int]:
        """The time axis of `inputs` and of `targets`; 1 where they have none."""
        train = self._read().train
        return {name: array.shape[1] if len(array.shape) == 3 else 1 for name, array in (("inputs", train.inputs), ("targets", train.targets))}

    def draw(self, stream: Stream) -> Data:
        """The arrays as they are; draws nothing."""
        return self._read()

    def _read(self) -> Data:
        if not Path(self.path).is_file():
            raise FileError(f"Arrays.path: there is no file {self.path!r}. Write one with numpy.savez(path, inputs=..., targets=...).")
        try:
            loaded = np.load(self.path, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                raise ValueError
            with loaded:
                arrays = {name: np.asarray(loaded[name]) for name in loaded.files}
        except (ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
            reason = str(error) if isinstance(error, OSError) else "it is damaged, holds Python objects, or has another format"
            raise FileError(f"Arrays.path: {self.path!r} is not a .npz file of numbers ({reason}). Write it with numpy.savez.") from None
        for name in arrays:
            if name not in NAMES:
                raise FileError(f"{self.path}: unknown array '{name}'.{suggestion(name, NAMES)}")
        train = self._split(arrays, "")
        others = []
        for prefix in ("validation_", "test_"):
            split = self._split(arrays, prefix) if any(name.startswith(prefix) for name in arrays) else None
            for name in ("inputs", "targets") if split is not None else ():
                expected, found = getattr(train, name).shape[1:], getattr(split, name).shape[1:]
                if found != expected:
                    wanted, got = (", ".join(map(str, shape)) for shape in (expected, found))
                    raise FileError(f"{self.path}: '{prefix}{name}' must have as many columns (and bins) as '{name}', {wanted}; got {got}.")
            others.append(split)
        return Data(train, *others)

    def _split(self, arrays: dict[str, Array], prefix: str) -> Split:
        parts = []
        for name in (f"{prefix}inputs", f"{prefix}targets"):
            if name not in arrays:
                raise FileError(f"{self.path}: the array '{name}' is missing; it holds: {', '.join(sorted(arrays)) or 'nothing'}.")
            array = np.asarray(arrays[name])
            if array.ndim not in (2, 3) or 0 in array.shape or array.dtype.kind not in "fiub":
                raise FileError(f"{self.path}: '{name}' must be a matrix of numbers, one row an example, or have a time axis, (n, bins, size); got {array.dtype} of shape {array.shape}.")
            array = array.astype(float)
            if not np.isfinite(array).all():
                row = int(np.argwhere(~np.isfinite(array))[0][0])
                raise FileError(f"{self.path}: '{name}' holds a number that is not finite in row {row}. Remove or replace it.")
            parts.append(array)
        inputs, targets = parts
        labels = arrays.get(f"{prefix}labels")
        if len(targets) != len(inputs):
            raise FileError(f"{self.path}: '{prefix}targets' must have as many rows as '{prefix}inputs', {len(inputs)}; got {len(targets)}.")
        if labels is not None:
            wanted = f"{self.path}: '{prefix}labels' must be {len(inputs)} whole numbers from 0 to {targets.shape[-1] - 1}, one an example"
            if labels.shape != (len(inputs),) or labels.dtype.kind not in "iu":
                raise FileError(f"{wanted}; got {labels.dtype} of shape {labels.shape}.")
            if labels.min() < 0 or labels.max() >= targets.shape[-1]:
                raise FileError(f"{wanted}; got {labels.min()} to {labels.max()}.")
        return Split(inputs, targets, labels)
