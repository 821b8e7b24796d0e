"""Open a `.npy` file that a description names, or refuse it by its name."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bioFA.errors import NoSuchFile, WrongKind


def read_npy(path: str, place: str, holds: str) -> np.ndarray:
    """The array of a file, mapped into memory, never a Python object.

    Args:
        path: of the file.
        place: the field that names it, as messages call it.
        holds: what it should hold, in words.

    Raises:
        FileError: if there is no such file, or it is no `.npy` file of numbers.
    """
    if not Path(path).is_file():
        raise NoSuchFile(
            f"{place}: there is no file {path!r}. Give the path of a .npy file with {holds}.", at=("path",)
        )
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        reason = (
            str(error) if isinstance(error, OSError) else "it is empty, holds Python objects, or has another format"
        )
        raise WrongKind(
            f"{place}: {path!r} is not a .npy file of numbers ({reason}). Write it with numpy.save.", at=("path",)
        ) from None
    if not isinstance(array, np.ndarray):
        raise WrongKind(
            f"{place}: {path!r} is a .npz file of several arrays; expected a .npy file. Write it with numpy.save.",
            at=("path",),
        )
    return array
