"""What the readers of recordings have in common: units, the parts of a recording that share a time axis,
and what was read of a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from bioFA.errors import UnknownColumn, WrongData, suggestion
from bioFA.ledger import Ledger
from bioFA.tasks.base import Array
from bioFA.units import DOUBLE, NANO

ALWAYS = np.array([[-np.inf, np.inf]])
"""The intervals of a unit of which the file does not say when it was recorded."""
SINGLE = 2.0**-23
"""The share of a float32 that it is rounded to."""


class Recorded(NamedTuple):
    """One unit in one part of a recording: spike times in seconds, sorted, the intervals `(k,
    2)` in which it was recorded, and to what share of themselves its times are rounded."""

    spikes: Array
    recorded: Array
    precision: float = DOUBLE


class Part(NamedTuple):
    """What shares a time axis: the units and their columns, the start of each trial in seconds, `(n,)`,
    where each stands in the file, and the columns of trials.

    `ledger` is the place of these columns in the ledger, `other` the columns that do not have one value a trial;
    `starts_from` what of the file the starts are; `units_of` the units of columns that are no times; `stops` where each
    trial ends by the file, in seconds, `(n,)`, or empty where the file does not say.
    """

    units: Sequence[Recorded]
    of_units: Mapping[str, Array]
    starts: Array
    places: Sequence[str]
    trials: Mapping[str, Array]
    place: str
    other: Sequence[str] = ()
    starts_from: str = ""
    invalid: Array = np.empty((0, 2))
    units_of: Mapping[str, str] = MappingProxyType({})
    stops: Array = np.empty(0)


class Session(NamedTuple):
    """What a file holds: its parts, what of it was read, the places of the columns of units in the ledger,
    and what else there is to say."""

    parts: Sequence[Part]
    ledger: Ledger
    of_units: Sequence[str]
    notes: Sequence[str] = ()


def recorded(times: Array, intervals: Array) -> Recorded:
    """A unit of which the times, and the intervals in which it was recorded, are in seconds."""
    return Recorded(np.sort(np.asarray(times, dtype=float)), joined(intervals), precision(np.asarray(times)))


def joined(intervals: Array) -> Array:
    """The same time in intervals that do not touch."""
    found: list[list[float]] = []
    for low, high in sorted(intervals.tolist()):
        if found and low <= found[-1][1] + NANO:
            found[-1][1] = max(found[-1][1], high)
        else:
            found.append([low, high])
    return np.array(found).reshape(-1, 2)


def precision(times: Array) -> float:
    """To what share of themselves written times are rounded: writers of NWB and NIX make float64 of float32,
    so the digits decide, not the type.

    Times are float32 where all of them are, and one needs its last digit.
    """
    mantissas, _ = np.frexp(times[np.isfinite(times)].astype(float))
    digits = mantissas * 2.0**24
    return SINGLE if (digits == np.rint(digits)).all() and (digits % 2 == 1).any() else DOUBLE


def chosen(wanted: Sequence[str], known: Sequence[str], path: Path, usual: Sequence[str]) -> list[str]:
    """The names of the tables of trials to take: those asked for, or the usual ones.

    Raises:
        UnknownColumn: if one asked for is not there.
        WrongData: if one is asked for twice.
    """
    for name in wanted:
        if name not in known:
            raise UnknownColumn(f"'{path}': there are no trials called '{name}'.{suggestion(name, known)}")
        if wanted.count(name) > 1:
            raise WrongData(
                f"'{path}': trials = [...] names '{name}' {wanted.count(name)} times, so each of its trials would be"
                " several examples. Name it once."
            )
    return list(wanted or usual)
