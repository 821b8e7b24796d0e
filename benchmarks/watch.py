"""Peak memory of a process and of the programs that it starts, each on its own.

`ru_maxrss` of a child is at least what its parent held when it forked, so it is of no use for a small program
started from Python. The kernel's own high-water mark, `VmHWM`, belongs to the program; here it is read while
the program runs.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def high_water(process: int | str = "self") -> int:
    """Peak resident memory of a process in KB, so far; 0 where it has gone, or the system does not tell."""
    with suppress(OSError, ValueError):
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    return 0


@contextmanager
def watched(process: int) -> Iterator[dict[str, int]]:
    """While this lasts, watch a process and its children; afterwards `own` and `programs` hold the peaks in KB."""
    peaks = {"own": 0, "programs": 0}
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.003):
            for listed in Path(f"/proc/{process}/task").glob("*/children"):
                with suppress(OSError):
                    for child in listed.read_text().split():
                        for program in (child, *_children(child)):
                            peaks["programs"] = max(peaks["programs"], _program(program, process))

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield peaks
    finally:
        over.set()
        watcher.join()
        peaks["own"] = high_water(process)


def _children(process: str) -> list[str]:
    """The children of a child: a program that is served runs each segment in a fork of its own."""
    with suppress(OSError):
        return Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return []


def _program(child: str, parent: int) -> int:
    """The peak of a child that has become a program of its own, and is no longer a copy of its parent."""
    with suppress(OSError):
        if Path(f"/proc/{child}/exe").readlink() != Path(f"/proc/{parent}/exe").readlink():
            return high_water(child)
    return 0
