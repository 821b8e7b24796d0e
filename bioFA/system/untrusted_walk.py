"""Walk HDF5 files from end to end, as a process that may die of it: `python untrusted_walk.py FILE...`,
a line of JSON for each. `untrusted_hdf5.py` starts it.

It imports nothing of bioFA, limits its own time, memory and files, and refuses what leads out of a file or out of all
proportion: external links and storage, virtual datasets, filters that are not HDF5's own,
and more bytes than such a file can honestly hold.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import resource
import sys
from collections.abc import Iterator
from typing import Any

SIGNATURE = b"\x89HDF\r\n\x1a\n"
CPU, BYTES_A_SECOND = 20, 1_000_000
"""Seconds for any file, and one more for each MB:
an honest file of thousands of spike trains has some 1,000 small objects a MB, of 1 ms each."""
MEMORY = 4 << 30
OUTPUT = 1 << 20
"""Bytes that may be written: what is said, on files."""
ALWAYS, RATIO = 1 << 30, 200
"""Bytes that a file may unfold to: 1 GiB, and 200 for each of its own."""
MOST_OBJECTS, DEEPEST = 1_000_000, 200
BLOCK, CELLS = 2_000_000, 4096
"""Values that are read at once, and those of variable length."""


class Refused(Exception):
    """Why a file is not read."""


def limit(size: int) -> None:
    """No more time than such a file needs, no more memory than any needs, no core, no long file."""
    seconds = CPU + size // BYTES_A_SECOND
    for what, most in (
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, OUTPUT),
    ):
        with contextlib.suppress(ValueError, OSError):  # already lower, or not known to this system
            resource.setrlimit(what, (most, most))


def signature(path: str, size: int) -> None:
    """Refuse what has no superblock where HDF5 looks for one: at 0, 512, 1024, 2048, ..."""
    with open(path, "rb") as file:
        place = 0
        while place < size:
            file.seek(place)
            if file.read(len(SIGNATURE)) == SIGNATURE:
                return
            place = max(512, 2 * place)
    raise Refused("it is not an HDF5 file, having no signature of one")


class Walk:
    """One file, everything in it read once."""

    def __init__(self, path: str):
        self.path = path
        self.size = os.stat(path).st_size
        self.declared, self.objects = 0, 0
        self.datasets = 0
        self.variable: list[str] = []
        self.seen: set[tuple[int, int]] = set()

    def run(self) -> dict[str, Any]:
        """What there is; raises `Refused`, or whatever the library raises."""
        import h5py

        signature(self.path, self.size)
        with h5py.File(self.path, "r") as file:
            self._object(file, "", 0)
        return {"ok": True, "datasets": self.datasets, "bytes": self.declared, "variable": self.variable[:20]}

    def _object(self, found: Any, name: str, depth: int) -> None:
        import h5py

        about = h5py.h5o.get_info(found.id)
        if (about.fileno, about.addr) in self.seen:
            return
        self.seen.add((about.fileno, about.addr))
        self.objects += 1
        if self.objects > MOST_OBJECTS or depth > DEEPEST:
            raise Refused(f"it has more than {MOST_OBJECTS} objects, or groups nested more than {DEEPEST} deep")
        for attribute in found.attrs:
            self._count(_length(found.attrs[attribute]), f"{name}@{attribute}")
        if isinstance(found, h5py.Dataset):
            self._dataset(found, name)
        elif isinstance(found, h5py.Group):
            for inner in found:
                link = found.get(inner, getlink=True)
                if isinstance(link, h5py.HardLink):
                    self._object(found[inner], f"{name}/{inner}".strip("/")[:500], depth + 1)
                elif not isinstance(link, h5py.SoftLink):
                    raise Refused(f"'{name}/{inner}' is a link to another file")

    def _dataset(self, found: Any, name: str) -> None:
        import h5py

        made = found.id.get_create_plist()
        if made.get_layout() == h5py.h5d.VIRTUAL or made.get_external_count():
            raise Refused(f"'{name}' keeps its values in another file")
        for number in range(made.get_nfilters()):
            code = made.get_filter(number)[0]
            if not h5py.h5z.filter_avail(code):
                raise Refused(f"'{name}' needs the filter {code}, a plug-in")
        kind = found.dtype
        self._count(math.prod(found.shape or ()) * kind.itemsize, name)
        if math.prod(found.chunks or ()) * kind.itemsize > ALWAYS:
            raise Refused(f"'{name}' has chunks of more than {ALWAYS} bytes")
        self.datasets += 1
        if found.shape is None:
            return
        loose = kind.hasobject
        if loose:
            self.variable.append(name)
        for block in blocks(found.shape, CELLS if loose else BLOCK):
            values = found[block]
            if loose:
                self._count(_length(values), name)

    def _count(self, more: int, name: str) -> None:
        self.declared += more
        if self.declared > ALWAYS + RATIO * self.size:
            raise Refused(f"at '{name}' it has unfolded to {self.declared} bytes, and has {self.size} itself")


def _length(value: Any) -> int:
    """The bytes of a value, those that it points to among them."""
    if isinstance(value, (bytes, str)):
        return len(value)
    if hasattr(value, "ravel") and value.dtype.hasobject:
        return (
            sum(_length(value[part]) for part in value.dtype.names)
            if value.dtype.names
            else sum(map(_length, value.ravel()))
        )
    return int(getattr(value, "nbytes", 0))


def blocks(shape: tuple[int, ...], most: int) -> Iterator[tuple[slice, ...]]:
    """Parts of at most `most` values that make up an array of this shape."""
    if not shape or 0 in shape:
        yield ()
        return
    inner = math.prod(shape[1:])
    if inner <= most:
        step = most // inner
        yield from ((slice(begin, begin + step),) for begin in range(0, shape[0], step))
    else:
        yield from ((slice(row, row + 1), *rest) for row in range(shape[0]) for rest in blocks(shape[1:], most))


def main(paths: list[str]) -> None:
    """Walk each file, and write its outcome."""
    limit(sum(os.stat(path).st_size for path in paths))
    for path in paths:
        try:
            verdict = Walk(path).run()
        except Exception as error:
            verdict = {
                "ok": False,
                "refused": isinstance(error, Refused),
                "message": str(error)[:500] or type(error).__name__,
            }
        print(json.dumps(verdict), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
