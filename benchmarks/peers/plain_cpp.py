"""The hand-written C++ loop (`plain.cpp`), compiled here with the flags that Brian2 uses for bioFA."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import numpy as np

from benchmarks.case import ARRAYS, Case
from benchmarks.serve import Peer, Weights, serve

FLAGS = "-O3 -ffast-math -march=native -std=c++11"


def prepare(case: Case, precision: str, options: list[str], scratch: Path) -> Peer:
    """Compile the loop for the sizes of the case."""
    compiler = shlex.split(os.environ.get("CXX", "")) or ["g++"]
    real = {"float64": "double", "float32": "float"}[precision]
    n_in, n_hidden, n_out = case.sizes
    defined = {
        "REAL": real,
        "N_IN": n_in,
        "N_HIDDEN": n_hidden,
        "N_OUT": n_out,
        "LOGISTIC": int(case.activation == "logistic"),
    }
    source, program = Path(__file__).with_name("plain.cpp"), scratch / "plain"
    subprocess.run(
        [
            *compiler,
            *FLAGS.split(),
            *(f"-D{name}={value}" for name, value in defined.items()),
            str(source),
            "-o",
            str(program),
        ],
        check=True,
    )
    for name in ARRAYS:
        np.ascontiguousarray(getattr(case, name), dtype=precision).tofile(scratch / name)

    def run(presentations: int) -> tuple[float, Weights]:
        said = subprocess.run(
            [str(program), str(scratch), str(presentations), repr(case.rate)],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        w0, w1 = (
            np.fromfile(scratch / f"{name}.out", precision).reshape(getattr(case, name).shape) for name in ("w0", "w1")
        )
        return float(said), (w0, w1)

    version = subprocess.run([*compiler, "-dumpfullversion"], capture_output=True, text=True).stdout.strip()
    return Peer(run, {compiler[0]: version}, FLAGS)


if __name__ == "__main__":
    serve(prepare)
