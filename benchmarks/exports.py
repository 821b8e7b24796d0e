"""Exports of one result to NIX (Neo) and to NWB: seconds of the whole command, in turns, and bytes;
what was written is read back first.

Every file is walked as bioFA walks files of others, and holds the weights of the result; where neurons spike, the task
`recorded_trials` reads as many trials and spikes from it as the result has.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.race import ROOT, THREADS, Say

MODELS: Mapping[str, Mapping[str, Any]] = {
    "digits": {"protocol.epochs": 2}, "digits_spiking": {"protocol.phases": [], "protocol.presentations": 100},
    "mnist": {"protocol.phases": [], "protocol.presentations": 2000, "protocol.snapshots": 3},
}
"""Models that are run, and what is changed so that the result exists soon; its matrices have the model's sizes."""
FORMATS = {"neo": "nix", "nwb": "nwb"}
"""The formats, and how their files end."""


def exports(repeats: int, say: Say, models: Mapping[str, Mapping[str, Any]] = MODELS) -> list[dict[str, Any]]:
    """A row for each model and format: seconds of each export, their median, bytes, and Neo's ratios to NWB;
    `reason` where there is none."""
    import bioFA

    rows: list[dict[str, Any]] = []
    for model, changes in models.items():
        here: list[dict[str, Any]] = [
            {"case": model, "name": name, "seconds": [], "bytes": 0, "reason": ""} for name in FORMATS
        ]
        rows += here
        with tempfile.TemporaryDirectory(prefix="biofa-exports-") as scratch:
            try:
                bioFA.simulate(bioFA.load(model, dict(changes)), seed=1, backend="numpy").save(f"{scratch}/result.h5")
                result = bioFA.load_result(f"{scratch}/result.h5")
                for repeat in range(repeats):
                    for row in here:
                        path = Path(scratch) / f"{repeat}.{FORMATS[row['name']]}"
                        row["seconds"].append(_export(row["name"], Path(scratch) / "result.h5", path))
                        row["bytes"] = path.stat().st_size
                        if not repeat:
                            READERS[row["name"]](result, path)
                        path.unlink()
            except (bioFA.BioFAError, subprocess.CalledProcessError, ImportError) as error:
                here[0]["reason"] = here[1]["reason"] = str(error)
                continue
        for row in here:
            row["median_s"] = median(row["seconds"])
        neo, nwb = here
        neo |= {"times": neo["median_s"] / nwb["median_s"], "size": neo["bytes"] / nwb["bytes"]}
        say(f"{model}: Neo takes {neo['times']:.2f} x the time of NWB and {neo['size']:.2f} x its bytes")
    return rows


def _export(name: str, result: Path, path: Path) -> float:
    command = [
        sys.executable,
        "-c",
        "from bioFA.cli import main; main()",
        "export",
        str(result),
        "--to",
        name,
        "--out",
        str(path),
    ]
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=os.environ | THREADS | {"PYTHONPATH": str(ROOT)})
    return time.perf_counter() - began


def _read_neo(result: Any, path: Path) -> None:
    """Check that a NIX file holds the result."""
    import nixio

    from bioFA.system.untrusted_hdf5 import inspect

    inspect(path)
    with nixio.File.open(str(path), nixio.FileMode.ReadOnly) as file:
        for name, weights in result.snapshots.items():
            np.testing.assert_array_equal(file.blocks[0].data_arrays[name][:], weights)
    _check_trials(result, path)


def _read_nwb(result: Any, path: Path) -> None:
    """Check that an NWB file holds the result."""
    import pynwb

    from bioFA.system.untrusted_hdf5 import inspect

    inspect(path)
    with pynwb.NWBHDF5IO(str(path), "r") as io:
        scratch = io.read().scratch
        for name, weights in result.snapshots.items():
            np.testing.assert_array_equal(scratch[name.removesuffix(".w")].data[:], weights)
    _check_trials(result, path)


def _check_trials(result: Any, path: Path) -> None:
    """Check that `recorded_trials` reads every trial, and every spike in its step."""
    from bioFA.tasks.recorded_trials import RecordedTrials

    if result.activity is None:
        return
    protocol, network = result.experiment.protocol, result.experiment.network
    train = (
        RecordedTrials(
            path=str(path), label="example", window=protocol.steps * protocol.step, bins_per_trial=protocol.steps
        )
        .draw(lambda purpose: np.random.default_rng(1))
        .train
    )
    expected, before = np.zeros(train.inputs.shape), 0
    for population, spikes in result.activity.spikes.items():
        trial, step = np.divmod(spikes[:, 0], protocol.steps)
        np.add.at(expected, (trial, step, before + spikes[:, 1]), 1)
        before += network.population(population).size
    np.testing.assert_array_equal(train.inputs, expected)


READERS = {"neo": _read_neo, "nwb": _read_nwb}
