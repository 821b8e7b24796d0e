"""Named arrays out of files: .npz, a folder of .npy files, .h5. Nothing in them is executed: no pickle, no links to other files."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import h5py
import numpy as np

from bioFA.errors import FileError, MalformedFile, NoSuchFile, WrongKind
from bioFA.foreign import inspect
from bioFA.foreign_walk import ALWAYS, RATIO
from bioFA.tasks.base import Array

KINDS = ".npz, .csv, .h5, .tsv, .txt, .csv.gz, or a folder of .npy files"


def read(path: str, place: str) -> dict[str, Array]:
    """Every array of a file by its name (for text tables see `csv_table`).

    Args:
        path: the file, or a folder of `.npy` files, which are named by their stems.
        place: what names it in messages, such as "Arrays.path".

    Raises:
        FileError: if there is no such file, or it is damaged or of another kind.
    """
    file = Path(path)
    if not file.exists():
        raise NoSuchFile(f"{place}: there is no file {path!r}. Write one with numpy.savez(path, inputs=..., targets=...), or give {KINDS}.")
    reader = _folder if file.is_dir() else {".npz": _npz, ".h5": _hdf5, ".hdf5": _hdf5}.get(file.suffix.lower())
    if reader is None:
        raise WrongKind(f"{place}: {path!r} is of no kind that is read here: {KINDS}. Write a .npz file with numpy.savez.")
    return reader(file, place)


def _npz(file: Path, place: str) -> dict[str, Array]:
    try:
        with zipfile.ZipFile(file) as archive:
            unfolded, size = sum(member.file_size for member in archive.infolist()), file.stat().st_size
        if unfolded > ALWAYS + RATIO * size:
            raise MalformedFile(f"{place}: '{file}' unfolds to {unfolded} bytes, and has {size} itself. Get the file anew, or from somebody you trust.")
        loaded = np.load(file, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            raise ValueError
        with loaded:
            return {name: np.asarray(loaded[name]) for name in loaded.files}
    except (ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
        reason = str(error) if isinstance(error, OSError) else "it is damaged, holds Python objects, or has another format"
        raise WrongKind(f"{place}: '{file}' is not a .npz file of numbers ({reason}). Write it with numpy.savez.") from None


def _folder(folder: Path, place: str) -> dict[str, Array]:
    found = {}
    for file in sorted(folder.glob("*.npy")):
        try:
            found[file.stem] = np.asarray(np.load(file, allow_pickle=False))
        except (ValueError, EOFError, OSError) as error:
            reason = str(error) if isinstance(error, OSError) else "it is damaged, or holds Python objects"
            raise WrongKind(f"{place}: '{file}' is not a .npy file of numbers ({reason}). Write it with numpy.save.") from None
    if not found:
        raise NoSuchFile(f"{place}: the folder '{folder}' holds no .npy file. Put inputs.npy and targets.npy into it.")
    return found


def _hdf5(file: Path, place: str) -> dict[str, Array]:
    found: dict[str, Array] = {}
    try:
        inspect(file)
        with h5py.File(file, "r") as opened:
            _datasets(opened, "", found)
    except FileError as error:
        raise error.within(f"{place}: ") from None
    except (OSError, RuntimeError, TypeError) as error:
        raise WrongKind(f"{place}: '{file}' is not an HDF5 file of arrays ({error}).") from None
    return found


def _datasets(group: h5py.Group, prefix: str, found: dict[str, Array]) -> None:
    """Every dataset below a group by its path; links to other places are not followed."""
    for name in group:
        if isinstance(group.get(name, getlink=True), h5py.HardLink):
            part = group[name]
            if isinstance(part, h5py.Group):
                _datasets(part, f"{prefix}{name}/", found)
            else:
                value = np.asarray(part[()])
                found[f"{prefix}{name}"] = part.asstr()[()] if value.dtype.kind == "O" else value
