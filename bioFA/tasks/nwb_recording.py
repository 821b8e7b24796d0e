"""Units and trials of an NWB file, and everything else in it by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from bioFA.errors import DamagedFile, FileError, WrongData
from bioFA.ledger import Ledger
from bioFA.optional import Package
from bioFA.tasks.base import Array
from bioFA.tasks.recordings import ALWAYS, Part, Recorded, Session, chosen, recorded

PYNWB = Package("PyNWB", "pynwb", "nwb")
STRUCTURE = frozenset(
    {"namespace", "neurodata_type", "object_id", "colnames", "target", "table", "nwb_version", ".specloc"}
)
"""Attributes by which NWB says what an object is and how tables hang together; pynwb uses them."""
PROSE = frozenset({"description", "comments"})
"""Attributes that nearly every object has; they are counted together."""


def read(path: Path, wanted: Sequence[str]) -> Session:
    """The units of a file, and the trials of its table `trials` or of the tables of intervals asked for.

    Raises:
        FileError: if there are no units, spikes or trials, or the file cannot be read.
    """
    pynwb = PYNWB.require("reading an NWB file")
    try:
        with pynwb.NWBHDF5IO(str(path), "r") as io, h5py.File(path, "r") as opened:
            return _session(path, io.read(), wanted, held(opened))
    except FileError:
        raise
    except Exception as error:  # pynwb and hdmf raise errors of many kinds about a file that is not as NWB says
        raise DamagedFile(f"'{path}' is not a whole NWB file ({error}).") from None


def units(path: Path) -> list[Recorded]:
    """The units of a file alone, whatever its trials.

    Raises:
        FileError: if there are no units or spikes, or the file cannot be read.
    """
    pynwb = PYNWB.require("reading an NWB file")
    try:
        with pynwb.NWBHDF5IO(str(path), "r") as io:
            file = io.read()
            _check_units(path, file)
            return _units(file.units)
    except FileError:
        raise
    except Exception as error:  # pynwb and hdmf raise errors of many kinds about a file that is not as NWB says
        raise DamagedFile(f"'{path}' is not a whole NWB file ({error}).") from None


def _check_units(path: Path, file: Any) -> None:
    """Refuse a file without sorted spikes."""
    if file.units is None:
        raise WrongData(
            f"'{path}': the file has no table of units, so it holds no spikes. Give a file of sorted spikes."
        )
    if "spike_times" not in file.units.colnames:
        raise WrongData(
            f"'{path}': the table of units has no column spike_times; it has:"
            f" {', '.join(file.units.colnames) or 'none'}. Give a file of sorted spikes."
        )


def _session(path: Path, file: Any, wanted: Sequence[str], ledger: Ledger) -> Session:
    tables = {**file.intervals} if file.intervals else {}
    tables |= {
        name: table for name in ("trials", "epochs", "invalid_times") if (table := getattr(file, name)) is not None
    }
    _check_units(path, file)
    if not tables.keys() - {"invalid_times"}:
        raise WrongData(
            f"'{path}': the file has no table of trials. Add one (add_trial), or another table of intervals that trials"
            " = [...] names."
        )
    names = chosen(wanted, tuple(tables), path, ["trials"] if "trials" in tables else [])
    if not names:
        raise WrongData(
            f"'{path}': the file has no table 'trials'. Say which intervals are the trials, trials = [...]:"
            f" {', '.join(tables)}."
        )
    invalid = np.empty((0, 2))
    if "invalid_times" in tables:
        invalid = np.stack(
            [np.asarray(tables["invalid_times"][name][:], dtype=float) for name in ("start_time", "stop_time")], axis=1
        )
        ledger.take("intervals/invalid_times", "start_time", "stop_time")
    units, columns = _units(file.units), _columns(file.units)[0]
    ledger.take("units", "spike_times", "obs_intervals")
    for place, table in (
        ("units", file.units),
        *((f"intervals/{name}", tables[name]) for name in (*names, *(["invalid_times"] if len(invalid) else []))),
    ):
        if np.array_equal(np.asarray(table.id[:]), np.arange(len(table))):
            ledger.take(place, "id")  # the numbers of the rows
    return Session([_part(name, tables[name], units, columns, invalid) for name in names], ledger, ["units"])


def _units(table: Any) -> list[Recorded]:
    """Spikes of each row of the table of units, and when it was recorded."""
    observed = "obs_intervals" in table.colnames
    intervals = [
        np.asarray(table["obs_intervals"][row], dtype=float).reshape(-1, 2) if observed else ALWAYS
        for row in range(len(table))
    ]
    return [recorded(np.asarray(table["spike_times"][row]), intervals[row]) for row in range(len(table))]


def _part(name: str, table: Any, units: Sequence[Recorded], of_units: Mapping[str, Array], invalid: Array) -> Part:
    columns, other = _columns(table)
    places = [f"row {row} of '{name}'" for row in range(len(table))]
    starts = np.asarray(table["start_time"][:], dtype=float)
    return Part(
        units,
        of_units,
        starts,
        places,
        {"name": np.full(len(table), name)} | columns,
        f"intervals/{name}",
        other,
        "start_time",
        invalid,
        stops=np.asarray(table["stop_time"][:], dtype=float),
    )


def _columns(table: Any) -> tuple[dict[str, Array], tuple[str, ...]]:
    """The columns of a table with one number or text a row, and the names of the others."""
    from hdmf.common import DynamicTableRegion, EnumData, VectorIndex  # type: ignore[import-untyped]

    found: dict[str, Array] = {}
    for name in table.colnames:
        column = table[name]
        if isinstance(column, VectorIndex | DynamicTableRegion):
            continue
        values = (
            np.asarray(column.elements.data[:])[column.data[:]]
            if isinstance(column, EnumData)
            else np.asarray(column.data[:])
        )
        if values.ndim == 1 and (
            values.dtype.kind in "fiubSU" or all(isinstance(value, str | bytes) for value in values)
        ):
            found[name] = values
    return found, tuple(name for name in table.colnames if name not in found)


def held(file: h5py.File) -> Ledger:
    """Every dataset, link and attribute of an open NWB file, with the number of its values,
    by the group that it stands in."""
    ledger = Ledger()
    _walk(file, "", ledger)
    return ledger


def _walk(group: h5py.Group, path: str, ledger: Ledger) -> None:
    place = path or "the file"
    _attributes(group, place, "", ledger)
    for name in group:
        if not path and name == "specifications":
            continue
        inner = f"{path}/{name}".strip("/")
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            ledger.holds(place, {f"{name} (a link)": 1})
            continue
        found = group[name]
        if isinstance(found, h5py.Group):
            _walk(found, inner, ledger)
        elif not (name.endswith("_index") and "target" in found.attrs):
            ledger.holds(place, {name: int(found.size or 0)})
            _attributes(found, place, name, ledger)


def _attributes(found: Any, place: str, name: str, ledger: Ledger) -> None:
    for attribute in found.attrs:
        if attribute in PROSE:
            ledger.holds("attributes", {attribute: 1})
        elif attribute not in STRUCTURE:
            shape = found.attrs.get_id(attribute).shape
            ledger.holds(place, {f"{name}@{attribute}": int(np.prod(shape)) if shape is not None else 0})
