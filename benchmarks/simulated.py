"""The side of a peer that simulates a free network: prepare once, then run as many steps as asked.

A peer's file holds `prepare(model, seed, options, scratch) -> Simulated` and ends with `serve(prepare)`. It is started
as `python -m benchmarks.peers.NAME MODEL SEED [OPTION ...]` and speaks JSON, a line each way: it says that it is ready,
reads a number of steps, and answers with what running them took. Whatever else it prints goes to the error stream.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple


class Took(NamedTuple):
    """Seconds of the processor and of the clock that a run took, and the spikes in it."""

    processor: float
    wall: float
    spikes: int


@dataclass
class Simulated:
    """`run(steps)` simulates so many steps from the start; what starting costs may be in it, and cancels out."""

    run: Callable[[int], Took]
    versions: dict[str, str] = field(default_factory=dict)
    flags: str = ""


def program(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> tuple[float, float]:
    """Run a program to its end: the seconds of the processor and of the clock that it took."""
    began = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, env={**os.environ, **environment}, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command[0]} ended with exit code {process.returncode}")
    return used.ru_utime + used.ru_stime, wall


def serve(prepare: Callable[[str, int, list[str], Path], Simulated]) -> None:
    """Answer requests until the input ends."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    model, seed, *options = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="biofa-peer-") as scratch:
        peer = prepare(model, int(seed), options, Path(scratch))
        print(json.dumps({"versions": peer.versions, "flags": peer.flags}), file=answers)
        for line in sys.stdin:
            print(json.dumps(peer.run(int(line))._asdict()), file=answers)
