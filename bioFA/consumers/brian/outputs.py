"""Read what a compiled program writes: whole files, and files that grow while they are read."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NoReturn

from bioFA.errors import DiskFull


def room(folder: str | Path) -> str:
    """Describe how full the disk is."""
    try:
        return f"Is the disk full, or a quota reached? {shutil.disk_usage(folder).free / 1e6:.1f} MB are free there."
    except OSError:
        return "Is the disk full, or was the folder removed?"


def unfinished(folder: str | Path, name: str, found: str, expected: int) -> DiskFull:
    """The error that a file has not as many bytes as expected."""
    return DiskFull(
        f"the compiled program did not finish writing: {name} {found}, expected {expected}. {room(folder)}"
    )


def whole(path: str) -> bytearray:
    """All of a file, read into memory that an array may have as its own."""
    with open(path, "rb", buffering=0) as file:
        content = bytearray(os.fstat(file.fileno()).st_size)
        rest = memoryview(content)
        while len(rest) and (count := file.readinto(rest)):
            rest = rest[count:]
    if len(rest):
        raise OSError(f"{path} became shorter while it was read")
    return content


class Growing:
    """A file in a folder, of which each part is read once it is there. It need not be there before its first byte."""

    def __init__(self, folder: Path, name: str):
        self._folder, self._name = folder, name
        self._file, self._at = -1, 0

    def take(self, size: int, last: bool = False) -> bytearray:
        """The next `size` bytes; with the `last` of them the file ends.

        Raises:
            DiskFull: if it is shorter, or longer than its last part.
        """
        content = bytearray(size)
        rest = memoryview(content)
        if self._file < 0 and size:
            try:
                self._file = os.open(os.path.join(self._folder, self._name), os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                raise unfinished(self._folder, self._name, "is missing", size) from None
        while len(rest) and (count := os.preadv(self._file, [rest], self._at)):
            rest, self._at = rest[count:], self._at + count
        if len(rest) or (last and self._file >= 0 and os.fstat(self._file).st_size != self._at):
            self._refuse(self._at + len(rest))
        return content

    def _refuse(self, expected: int) -> NoReturn:
        raise unfinished(self._folder, self._name, f"has {os.fstat(self._file).st_size} bytes", expected)

    def close(self) -> None:
        """Close it."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
