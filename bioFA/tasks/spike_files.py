"""Spikes in files, as neuron and time of each: arrays, units of NWB, spike trains of Neo (NIX), spikes of SONATA.

    .npy          (n_spikes, 2): neuron from 0, time in seconds
    .npz          `neurons` (n_spikes,) whole numbers from 0, `times` (n_spikes,) in seconds
    .nwb          the units, in the order of their table
    .nix          the spike trains of the one segment that has some, in their order
    .h5           SONATA: /spikes/<population>/node_ids and timestamps, in ms

Sources: Rubel et al. (2022), eLife 11:e78362 (NWB); Garcia et al. (2014), Front. Neuroinform. 8:10 (Neo); Dai et al.
(2020), PLoS Comput. Biol. 16:e1007696 (SONATA).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bioFA.errors import NoSuchFile, UnknownName, WrongData, WrongKind, WrongUnit, suggestion
from bioFA.system.npy import read_npy
from bioFA.system.untrusted_hdf5 import inspect
from bioFA.tasks import nix_recording, nwb_recording
from bioFA.tasks.base import Array
from bioFA.tasks.recordings import Recorded, precision
from bioFA.units import DOUBLE

PER_SECOND = {"ms": 1e3, "milliseconds": 1e3, "s": 1.0, "seconds": 1.0}
"""Units of SONATA's times; milliseconds where a file says none."""


class Spikes(NamedTuple):
    """Neuron and time in seconds of every spike, `(n_spikes,)` each, and how many neurons there are, which is known
    where they are `named`, else as many as the largest number says; of each of them the intervals `(k, 2)` in which it
    was recorded, in seconds, where the file says so; and to what share of themselves the times are rounded."""

    neurons: Array
    times: Array
    size: int
    named: bool = False
    recorded: tuple[Array, ...] = ()
    precision: float = DOUBLE


def read(path: str, group: str | None, place: str) -> Spikes:
    """The spikes of a file.

    Args:
        path: of the file, whose suffix says what it is.
        group: the population of a SONATA file that holds several.
        place: the field that names the file, as messages call it.

    Raises:
        FileError: if there is no such file, or it holds something else.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in READERS:
        raise WrongKind(f"{place}: {path!r} must end in one of {', '.join(READERS)}.", at=("path",))
    if not Path(path).is_file():
        raise NoSuchFile(
            f"{place}: there is no file {path!r}. Give one that ends in {', '.join(READERS)}.", at=("path",)
        )
    found = READERS[suffix](path, group, place)
    neurons, times = found.neurons, found.times
    if not np.isfinite(times).all():
        raise WrongData(f"{place}: {path!r} holds {int((~np.isfinite(times)).sum())} times that are not finite.")
    if len(neurons) and neurons.min() < 0:
        raise WrongData(f"{place}: {path!r} names the neuron {int(neurons.min())}; neurons count from 0.")
    return found


def _of_table(path: str, group: str | None, place: str) -> Spikes:
    table = read_npy(path, place, "spikes (n_spikes, 2): neuron, time in seconds")
    if table.ndim != 2 or table.shape[1] != 2 or table.dtype.kind not in "fiu":
        raise WrongData(f"{place}: {path!r} must hold numbers (n_spikes, 2): neuron, time in seconds.")
    return _counted(np.asarray(table[:, 0]), np.asarray(table[:, 1]), path, place)


def _of_arrays(path: str, group: str | None, place: str) -> Spikes:
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {name: file[name] for name in ("neurons", "times") if name in file}
    except (ValueError, EOFError, OSError) as error:
        raise WrongKind(
            f"{place}: {path!r} is not a .npz file of numbers ({error}). Write it with numpy.savez."
        ) from None
    shapes = {array.shape for array in found.values()}
    if len(found) < 2 or len(shapes) > 1 or any(a.ndim != 1 or a.dtype.kind not in "fiu" for a in found.values()):
        raise WrongData(f"{place}: {path!r} must hold the arrays neurons and times, numbers (n_spikes,) each.")
    return _counted(found["neurons"], found["times"], path, place)


def _counted(neurons: Array, times: Array, path: str, place: str, per_second: float = 1.0) -> Spikes:
    """Spikes of a list that names as many neurons as its largest number says; times are so many a second."""
    whole = neurons.astype(np.int64)
    if not np.array_equal(whole, neurons):
        raise WrongData(f"{place}: {path!r} names neurons by numbers that are not whole.")
    size = int(whole.max(initial=-1)) + 1
    return Spikes(whole, times.astype(float) / per_second, size, precision=precision(times.astype(float)))


def _of_units(units: list[Recorded]) -> Spikes:
    neurons = np.repeat(np.arange(len(units)), [len(unit.spikes) for unit in units])
    times = np.concatenate([unit.spikes for unit in units] or [np.empty(0)]).astype(float)
    return Spikes(neurons, times, len(units), True, tuple(unit.recorded for unit in units), precision(times))


def _of_nwb(path: str, group: str | None, place: str) -> Spikes:
    inspect(path)
    return _of_units(nwb_recording.units(Path(path)))


def _of_nix(path: str, group: str | None, place: str) -> Spikes:
    inspect(path)
    return _of_units(nix_recording.units(Path(path)))


def _of_sonata(path: str, group: str | None, place: str) -> Spikes:
    import h5py

    inspect(path)
    with h5py.File(path, "r") as file:
        found = file.get("spikes")
        names = (
            [n for n, part in found.items() if isinstance(part, h5py.Group)] if isinstance(found, h5py.Group) else []
        )
        if not names:
            raise WrongData(f"{place}: {path!r} is no SONATA file of spikes: it has no group /spikes/<population>.")
        if group is None and len(names) > 1:
            raise WrongData(f"{place}: {path!r} holds spikes of {', '.join(names)}. Give group = '{names[0]}'.")
        if group is not None and group not in names:
            raise UnknownName(
                f"{place}: {path!r} has no population '{group}'.{suggestion(group, names)}", at=("group",)
            )
        part = file["spikes"][group or names[0]]
        if not all(isinstance(part.get(name), h5py.Dataset) for name in ("node_ids", "timestamps")):
            raise WrongData(f"{place}: {path!r}: /spikes/{group or names[0]} must hold node_ids and timestamps.")
        unit = part["timestamps"].attrs.get("units", "ms")
        unit = unit.decode() if isinstance(unit, bytes) else str(unit)
        if unit not in PER_SECOND:
            raise WrongUnit(f"{place}: {path!r} has times in '{unit}'; expected one of {', '.join(PER_SECOND)}.")
        return _counted(part["node_ids"][:], part["timestamps"][:], path, place, PER_SECOND[unit])


READERS: Mapping[str, Callable[[str, str | None, str], Spikes]] = {
    ".npy": _of_table,
    ".npz": _of_arrays,
    ".nwb": _of_nwb,
    ".nix": _of_nix,
    ".h5": _of_sonata,
}
"""What reads each kind of file, by its suffix."""
