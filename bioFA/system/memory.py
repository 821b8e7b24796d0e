"""How much memory a process and everything that it started hold, as Linux reports in /proc."""

from __future__ import annotations

import os
from pathlib import Path

PROC = Path("/proc")


def resident(pid: int) -> int:
    """Bytes of main memory that a process and its descendants hold now; 0 where that is not known."""
    parents: dict[int, int] = {}
    held: dict[int, int] = {}
    page = os.sysconf("SC_PAGE_SIZE")
    for entry in PROC.glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        parents[int(entry.name)], held[int(entry.name)] = int(fields[1]), int(fields[21]) * page
    return sum(size for process, size in held.items() if _descends(process, pid, parents))


def _descends(process: int, ancestor: int, parents: dict[int, int]) -> bool:
    while process and process != ancestor:
        process = parents.get(process, 0)
    return process == ancestor
