"""Peak memory of a long run of the 784-1000-10 network: of Python, and of the compiled program."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import cases
from benchmarks.race import ROOT, THREADS, Say
from benchmarks.watch import watched


def memory(presentations: int, say: Say) -> dict[str, Any]:
    """Both peaks in MB, in a process of its own; the data lie in a file of 60,000 images,
    bytes where MNIST is at hand."""
    command = [sys.executable, "-m", "benchmarks.memory", str(presentations)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | THREADS | {"PYTHONPATH": str(ROOT)})
    if done.returncode != 0:
        return {"presentations": presentations, "reason": (done.stderr.strip().splitlines() or ["failed"])[-1]}
    found: dict[str, Any] = json.loads(done.stdout)
    say(
        f"{presentations} presentations: {found['python_mb']:.0f} MB in Python, {found['program_mb']:.0f} MB in the"
        " compiled program"
    )
    return found | {"reason": ""}


def _run(presentations: int) -> dict[str, Any]:
    import bioFA
    from bioFA.tasks.mnist_files import has_mnist, mnist_folder

    changes: dict[str, Any] = {"protocol.presentations": presentations, "protocol.snapshots": 1}
    with tempfile.TemporaryDirectory(prefix="biofa-memory-") as scratch:
        if has_mnist():
            size, data = (
                sum(file.stat().st_size for file in mnist_folder().rglob("*") if file.is_file()),
                "MNIST, as bytes",
            )
        else:
            path = Path(scratch) / "data.npz"
            inputs, targets, data = cases.digits(60000)
            np.savez(path, inputs=inputs, targets=targets)
            del inputs, targets
            size, changes = path.stat().st_size, changes | {"task": {"name": "arrays", "path": str(path)}}
        with watched(os.getpid()) as peaks:
            bioFA.simulate(bioFA.load("mnist", changes), seed=1)
    peak = {"python_mb": peaks["own"] / 1024, "program_mb": peaks["programs"] / 1024}
    return {"presentations": presentations, "data": data, "data_mb": size / 2**20, **peak}


if __name__ == "__main__":
    print(json.dumps(_run(int(sys.argv[1]))))
