"""Your own data: a `.npz` file with arrays `inputs` and `targets`, and optionally a test set.

    inputs (n, n_in), targets (n, n_out), labels (n,)                     training
    validation_inputs, validation_targets, validation_labels              optional
    test_inputs, test_targets, test_labels                                optional
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from bioFA.components import Name
from bioFA.errors import FileError
from bioFA.tasks.base import Array, Data, Split, Stream, Task


class Arrays(Task):
    """Inputs and targets from a `.npz` file."""

    path: Name

    def sizes(self) -> tuple[int, int]:
        """The second dimension of `inputs` and of `targets`."""
        train = self._read().train
        return train.inputs.shape[1], train.targets.shape[1]

    def draw(self, stream: Stream) -> Data:
        """The arrays as they are; draws nothing."""
        return self._read()

    def _read(self) -> Data:
        if not Path(self.path).is_file():
            raise FileError(f"Arrays.path: there is no file {self.path!r}. Write one with numpy.savez(path, inputs=..., targets=...).")
        try:
            with np.load(self.path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
        except (ValueError, OSError, zipfile.BadZipFile) as error:
            raise FileError(f"Arrays.path: {self.path!r} is not a .npz file of numbers ({error}). Write it with numpy.savez.") from None
        return Data(self._split(arrays, ""), *(self._split(arrays, f"{n}_") if f"{n}_inputs" in arrays else None for n in ("validation", "test")))

    def _split(self, arrays: dict[str, Array], prefix: str) -> Split:
        parts = []
        for name in (f"{prefix}inputs", f"{prefix}targets"):
            if name not in arrays:
                raise FileError(f"{self.path}: the array '{name}' is missing; it holds: {', '.join(sorted(arrays)) or 'nothing'}.")
            array = np.asarray(arrays[name])
            if array.ndim != 2 or array.dtype.kind not in "fiub" or len(array) == 0:
                raise FileError(f"{self.path}: '{name}' must be a matrix of numbers, one row an example; got {array.dtype} of shape {array.shape}.")
            array = array.astype(float)
            if not np.isfinite(array).all():
                row = int(np.argwhere(~np.isfinite(array))[0][0])
                raise FileError(f"{self.path}: '{name}' holds a number that is not finite in row {row}. Remove or replace it.")
            parts.append(array)
        inputs, targets = parts
        labels = arrays.get(f"{prefix}labels")
        for name, array in (("targets", targets), ("labels", labels)):
            if array is not None and len(array) != len(inputs):
                raise FileError(f"{self.path}: '{prefix}{name}' must have as many rows as '{prefix}inputs', {len(inputs)}; got {len(array)}.")
        if labels is not None and (labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= targets.shape[1]):
            raise FileError(f"{self.path}: '{prefix}labels' must be whole numbers from 0 to {targets.shape[1] - 1}, one an example.")
        return Split(inputs, targets, labels)
