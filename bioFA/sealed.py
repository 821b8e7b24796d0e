"""HDF5 files that carry the SHA-256 of themselves: HDF5's user block, the first 512 bytes, begins with that of all the rest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import h5py

BLOCK = 512
SIGNATURE = b"\x89HDF\r\n\x1a\n"
"""What an HDF5 file without a user block begins with."""


@contextmanager
def sealed(path: Path) -> Iterator[h5py.File]:
    """A new HDF5 file to write to; its digest is put into it when it is closed."""
    with h5py.File(path, "w", userblock_size=BLOCK) as file:
        yield file
    with open(path, "r+b") as written:
        digest = _digest(written)
        written.seek(0)
        written.write(digest)


def is_whole(path: Path) -> bool | None:
    """Whether a file is exactly what was written; None where it carries no digest, being of an older bioFA or of another program.

    Raises:
        OSError: if it cannot be read.
    """
    with open(path, "rb") as written:
        found = written.read(64)
        return None if found.startswith(SIGNATURE) else found == _digest(written)


def refuse_changed(path: Path) -> None:
    """Refuse a file that is not what was written.

    Raises:
        OSError: saying so, or if it cannot be read.
    """
    if is_whole(path) is False:
        raise OSError("its SHA-256 is not that of what it holds: it was changed, cut or damaged after it was written")


def _digest(file: IO[bytes]) -> bytes:
    file.seek(BLOCK)
    digest = hashlib.sha256()
    while piece := file.read(1 << 20):
        digest.update(piece)
    return digest.hexdigest().encode()
