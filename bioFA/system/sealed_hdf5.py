"""HDF5 files that carry the SHA-256 of themselves: HDF5's user block, the first 512 bytes,
begins with that of all the rest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import h5py

BLOCK = 512
SIGNATURE = b"\x89HDF\r\n\x1a\n"
"""What an HDF5 file without a user block begins with, and one with it goes on with."""
CHANGED = "its SHA-256 is not that of what it holds: it was changed, cut or damaged after it was written"
NOT_HDF5 = "it is no HDF5 file: of another kind, or changed, cut or damaged in its first 520 bytes"


@contextmanager
def sealed(path: Path) -> Iterator[h5py.File]:
    """A new HDF5 file to write to; its digest is put into it when it is closed.

    Raises:
        OSError: if it could not be written.
    """
    with open(path, "w+b", buffering=0) as written:
        deferring = _Deferring(written)
        with h5py.File(deferring, "w", userblock_size=BLOCK) as file:
            yield file
        if deferring.wrong is not None:
            raise deferring.wrong
        digest = _digest(written)
        written.seek(0)
        written.write(digest)


class _Deferring:
    """A file that reports no error to HDF5, but keeps the first: HDF5 cannot close a file that it could not write,
    and goes down with it."""

    def __init__(self, file: Any):
        self._file = file
        self.wrong: BaseException | None = None

    def write(self, content: Any) -> int:
        """All of the content, or what kept it from being written in `wrong`; once something did, nothing more is."""
        rest = memoryview(content).cast("B")
        try:
            while len(rest) and self.wrong is None:
                rest = rest[self._file.write(rest) :]
        except BaseException as error:  # also an interruption, which HDF5 would swallow
            self.wrong = error
        return memoryview(content).nbytes

    def truncate(self, size: int | None = None) -> int:
        """Make it so long."""
        try:
            return int(self._file.truncate(size))
        except BaseException as error:
            self.wrong = self.wrong or error
            return size or 0

    def flush(self) -> None:
        """Nothing is waiting."""

    def read(self, size: int = -1) -> bytes:
        """As of a file."""
        return bytes(self._file.read(size))

    def readinto(self, buffer: Any) -> int:
        """As of a file."""
        return int(self._file.readinto(buffer))

    def seek(self, offset: int, whence: int = 0) -> int:
        """As of a file."""
        return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        """As of a file."""
        return int(self._file.tell())


def is_whole(path: Path) -> bool | None:
    """Whether a file is exactly what was written; None where it carries no digest,
    being of an older bioFA or of another program.

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
        raise OSError(what_is_wrong(path))


def what_is_wrong(path: Path) -> str:
    """What to say of a file that is not whole.

    Raises:
        OSError: if it cannot be read.
    """
    with open(path, "rb") as written:
        written.seek(BLOCK)
        return CHANGED if written.read(len(SIGNATURE)) == SIGNATURE else NOT_HDF5


def _digest(file: IO[bytes]) -> bytes:
    file.seek(BLOCK)
    digest = hashlib.sha256()
    while piece := file.read(1 << 20):
        digest.update(piece)
    return digest.hexdigest().encode()
