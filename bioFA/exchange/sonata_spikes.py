"""The spikes of a run as a SONATA spike file, for tools that read reports and for inputs of other simulations.

    spikes/<population>/node_ids      the neuron of each spike
    spikes/<population>/timestamps    when, in ms, each at the end of its step; trials one after the other
    spikes/<population>.sorting       by_time

Source: the SONATA guide of the Allen Institute, "Spike file" (magic 0x0A7A, version 0.1).
"""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from bioFA.exchange.base import Exported
from bioFA.exchange.format import Format
from bioFA.runs.result import Result

FORMAT = Format(
    "recorded spikes as a SONATA spike file", ".h5", needs_result=True, holds_free=True, holds_presented=False
)
MAGIC, VERSION = 0x0A7A, (0, 1)
Array = np.ndarray


def stamp(file: h5py.File) -> None:
    """Say that a file is SONATA's, and of which version."""
    file.attrs["magic"] = np.uint32(MAGIC)
    file.attrs["version"] = np.array(VERSION, dtype=np.uint32)


def write_spikes(file: h5py.File, population: str, neurons: Array, times: Array) -> None:
    """Write the spikes of a population, neuron `(n,)` and time in ms `(n,)`, in the order of their times."""
    group = file.create_group(f"spikes/{population}")
    group.attrs.create("sorting", 2, dtype=h5py.enum_dtype({"none": 0, "by_id": 1, "by_time": 2}, basetype="u1"))
    group["node_ids"] = neurons.astype(np.uint64)
    group["timestamps"] = times
    group["timestamps"].attrs["units"] = "ms"


def export(result: Result, path: Path) -> Exported:
    """Write the file."""
    protocol = result.experiment.protocol
    with h5py.File(path, "w") as file:
        stamp(file)
        for population in result.recorded_spikes:
            found = [result.spikes(population, trial) for trial in range(result.presentations)]
            length = protocol.steps * protocol.step
            times = np.concatenate([trial * length + when for trial, (_, when) in enumerate(found)])
            write_spikes(file, population, np.concatenate([neurons for neurons, _ in found]), np.round(1e3 * times, 9))
    lost = ["the network, traces and rates: the file holds spikes alone"]
    return Exported((path,), tuple(lost))
