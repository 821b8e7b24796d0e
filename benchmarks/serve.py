"""The side of a peer: prepare once, then run as many presentations as asked, always from the initial weights.

A peer's file holds one function,

    def prepare(case: Case, precision: str, options: list[str], scratch: Path) -> Peer

and ends with `serve(prepare)`. It is started as `python -m benchmarks.peers.NAME CASE PRECISION [OPTION ...]`
and speaks JSON, a line each way: it says that it is ready, reads a number of presentations, answers
with seconds and the file of the final weights. Whatever else it prints goes to the error stream.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.case import Case

Weights = tuple[np.ndarray, np.ndarray]


@dataclass
class Peer:
    """`run(presentations)` returns seconds and the final `(w0, w1)`;
    start-up in the seconds cancels out in `measure`."""

    run: Callable[[int], tuple[float, Weights]]
    versions: dict[str, str] = field(default_factory=dict)
    flags: str = ""
    note: str = ""


def loop(start: Callable[[], Weights], learn: Callable[[Weights, int], None]) -> Callable[[int], tuple[float, Weights]]:
    """A `run` that learns within this process: `learn` changes the weights, and only it is timed."""

    def run(presentations: int) -> tuple[float, Weights]:
        weights = start()
        began = time.perf_counter()
        learn(weights, presentations)
        return time.perf_counter() - began, weights

    return run


def kernels() -> str:
    """The kernels that every OpenBLAS in this process has chosen for the processor; empty where there is none."""
    found = []
    with contextlib.suppress(OSError):
        files = {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if "openblas" in line}
        for file in sorted(files):
            library = ctypes.CDLL(file)
            for start, end in (("scipy_", "64_"), ("scipy_", ""), ("", "64_"), ("", "")):
                with contextlib.suppress(AttributeError):
                    ask = getattr(library, f"{start}openblas_get_corename{end}")
                    ask.restype = ctypes.c_char_p
                    found.append(ask().decode())
                    break
    return ", ".join(dict.fromkeys(found))


def serve(prepare: Callable[[Case, str, list[str], Path], Peer]) -> None:
    """Answer requests until the input ends."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    folder, precision, *options = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="biofa-peer-") as scratch:
        peer = prepare(Case.read(Path(folder)), precision, options, Path(scratch))
        about = {"versions": peer.versions, "flags": peer.flags, "note": peer.note, "kernels": kernels()}
        print(json.dumps(about), file=answers)
        for line in sys.stdin:
            seconds, (w0, w1) = peer.run(int(line))
            path = Path(scratch) / "weights.npz"
            np.savez(path, w0=w0, w1=w1)
            print(json.dumps({"seconds": seconds, "weights": str(path)}), file=answers)
