"""Named arrays out of files: .npz, a folder of .npy files, .h5.
Nothing in them is executed: no pickle, no links to other files."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

import h5py
import numpy as np

from bioFA.errors import FileError, MalformedFile, NoSuchFile, WrongKind
from bioFA.system.untrusted_hdf5 import inspect
from bioFA.system.untrusted_walk import ALWAYS, RATIO
from bioFA.tasks.base import Array

KINDS = ".npz, .csv, .h5, .tsv, .txt, .csv.gz, or a folder of .npy files"
DAMAGE = (zipfile.BadZipFile, zlib.error, NotImplementedError)
"""What reading a member of a damaged or strange archive raises."""


class Held(NamedTuple):
    """What a file holds: arrays by name, why others cannot be read, by name, and what else there is,
    one sentence each."""

    arrays: Mapping[str, Array]
    unreadable: Mapping[str, str]
    notes: tuple[str, ...] = ()

    def without(self, names: Collection[str]) -> Held:
        """The same without some arrays."""
        return Held(
            {name: array for name, array in self.arrays.items() if name not in names},
            {name: why for name, why in self.unreadable.items() if name not in names},
            self.notes,
        )


def read(path: str, place: str) -> Held:
    """Every array of a file by its name (for text tables see `csv_table`).

    Args:
        path: the file, or a folder of `.npy` files, which are named by their stems.
        place: what names it in messages, such as "Arrays.path".

    Raises:
        FileError: if there is no such file, or it is damaged or of another kind.
    """
    file = Path(path)
    if not file.exists():
        raise NoSuchFile(
            f"{place}: there is no file {path!r}. Write one with numpy.savez(path, inputs=..., targets=...), or give"
            f" {KINDS}."
        )
    reader = _folder if file.is_dir() else {".npz": _npz, ".h5": _hdf5, ".hdf5": _hdf5}.get(file.suffix.lower())
    if reader is None:
        raise WrongKind(
            f"{place}: {path!r} is of no kind that is read here: {KINDS}. Write a .npz file with numpy.savez."
        )
    return reader(file, place)


def _npz(file: Path, place: str) -> Held:
    arrays: dict[str, Array] = {}
    unreadable: dict[str, str] = {}
    notes: list[str] = []
    member = None
    try:
        with zipfile.ZipFile(file) as archive:
            unfolded, size = sum(member.file_size for member in archive.infolist()), file.stat().st_size
            if unfolded > ALWAYS + RATIO * size:
                raise MalformedFile(
                    f"{place}: '{file}' unfolds to {unfolded} bytes, and has {size} itself. Get the file anew, or from"
                    " somebody you trust."
                )
            for member in archive.infolist():
                name = member.filename.removesuffix(".npy")
                if name in arrays or name in unreadable:
                    raise WrongKind(f"{place}: '{file}' holds the array '{name}' twice. Write it with numpy.savez.")
                if name == member.filename:
                    notes.append(f"not used: '{name}', which is no array ({member.file_size} bytes)")
                    continue
                with archive.open(member) as opened:
                    _one(name, opened, arrays, unreadable)
                    while opened.read(1 << 20):
                        pass  # to the end, where the checksum is compared
    except (EOFError, OSError, RuntimeError, *DAMAGE) as error:
        reason = (
            str(error)
            if isinstance(error, OSError)
            else f"{member.filename}: {error}" if member is not None else "it is damaged, or has another format"
        )
        raise WrongKind(
            f"{place}: '{file}' is not a .npz file of numbers ({reason}). Write it with numpy.savez."
        ) from None
    return Held(arrays, unreadable, tuple(notes))


def _one(name: str, opened: IO[bytes], arrays: dict[str, Array], unreadable: dict[str, str]) -> None:
    """Read one array in the format of NumPy, or note why it cannot be read."""
    try:
        arrays[name] = np.asarray(np.lib.format.read_array(opened, allow_pickle=False))
    except ValueError as error:
        unreadable[name] = "holds Python objects" if "allow_pickle" in str(error) else f"is damaged ({error})"


def _folder(folder: Path, place: str) -> Held:
    arrays: dict[str, Array] = {}
    unreadable: dict[str, str] = {}
    for file in sorted(folder.glob("*.npy")):
        try:
            with file.open("rb") as opened:
                _one(file.stem, opened, arrays, unreadable)
        except (EOFError, OSError) as error:
            raise WrongKind(
                f"{place}: '{file}' is not a .npy file of numbers ({error or 'it is damaged'}). Write it with"
                " numpy.save."
            ) from None
    if not arrays and not unreadable:
        raise NoSuchFile(f"{place}: the folder '{folder}' holds no .npy file. Put inputs.npy and targets.npy into it.")
    return Held(
        arrays,
        unreadable,
        tuple(
            f"not used: '{other.name}', which is no .npy file"
            for other in sorted(folder.iterdir())
            if other.suffix != ".npy"
        ),
    )


def _hdf5(file: Path, place: str) -> Held:
    arrays: dict[str, Array] = {}
    unreadable: dict[str, str] = {}
    notes: list[str] = []
    try:
        inspect(file)
        with h5py.File(file, "r") as opened:
            _datasets(opened, "", arrays, unreadable, notes)
    except FileError as error:
        raise error.prefixed(f"{place}: ") from None
    except (OSError, RuntimeError, TypeError, ValueError) as error:
        raise WrongKind(f"{place}: '{file}' is not an HDF5 file of arrays ({error}).") from None
    return Held(arrays, unreadable, tuple(notes))


def _datasets(
    group: h5py.Group, prefix: str, arrays: dict[str, Array], unreadable: dict[str, str], notes: list[str]
) -> None:
    """Every dataset below a group by its path; links to other places are not followed, and attributes not used."""
    _attributes(group, prefix.rstrip("/") or "/", notes)
    for name in group:
        path = f"{prefix}{name}"
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            notes.append(f"not used: '{path}', a link to another place")
            continue
        part = group[name]
        if isinstance(part, h5py.Group):
            _datasets(part, f"{path}/", arrays, unreadable, notes)
        elif isinstance(part, h5py.Dataset):
            _attributes(part, path, notes)
            try:
                arrays[path] = _values(part)
            except (TypeError, ValueError, OSError) as error:
                unreadable[path] = str(error)
            if h5py.check_enum_dtype(part.dtype):
                notes.append(
                    f"not used: the names of the numbers in '{path}' ({', '.join(h5py.check_enum_dtype(part.dtype))})"
                )
        else:
            notes.append(f"not used: '{path}', which is no array")


def _values(part: h5py.Dataset) -> Array:
    """The values of a dataset: numbers, or texts.

    Raises:
        ValueError: saying what else they are.
    """
    if part.shape is None:
        raise ValueError("is empty, and has no shape")
    if part.dtype.kind != "O":
        return np.asarray(part[()])
    if h5py.check_string_dtype(part.dtype) is None:
        raise ValueError("holds rows of unequal length, or references")
    try:
        return np.asarray(part.asstr("utf-8")[()])
    except UnicodeDecodeError:
        raise ValueError("holds text that is not UTF-8") from None


def _attributes(part: Any, path: str, notes: list[str]) -> None:
    names = [f"{name} ({_count(part.attrs.get_id(name).shape)})" for name in part.attrs]
    if names:
        notes.append(f"not used: attributes of '{path}': {', '.join(names)}")


def _count(shape: tuple[int, ...] | None) -> str:
    count = int(np.prod(shape)) if shape is not None else 0
    return f"{count} value{'s' if count != 1 else ''}"
