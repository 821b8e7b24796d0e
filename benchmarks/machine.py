"""The machine and the software that a table of timings belongs to."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from bioFA.runs.provenance import versions


def describe() -> dict[str, Any]:
    """Processor, cores, caches, memory and versions; no names of machines or people."""
    return {
        "processor": _first("/proc/cpuinfo", "model name"),
        "cores": os.cpu_count(),
        "caches": caches(),
        "memory_gb": round(int((_first("/proc/meminfo", "MemTotal") or "0 kB").split()[0]) / 1e6, 1),
        "system": f"{platform.system()} {platform.release()}",
        "compiler": _compiler(),
        "load": [round(one, 1) for one in os.getloadavg()],
        "versions": versions(),
    }


def caches() -> dict[str, int]:
    """Bytes of each data cache of the first core, by level."""
    found = {}
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        if (index / "type").read_text().strip() != "Instruction":
            size = (index / "size").read_text().strip()
            found[f"L{(index / 'level').read_text().strip()}"] = int(size[:-1]) * {"K": 1024, "M": 1024**2}[size[-1]]
    return found


def _first(path: str, name: str) -> str:
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")


def _compiler() -> str:
    try:
        return subprocess.run(
            [os.environ.get("CXX", "g++"), "--version"], capture_output=True, text=True
        ).stdout.splitlines()[0]
    except (OSError, IndexError):
        return "none"
