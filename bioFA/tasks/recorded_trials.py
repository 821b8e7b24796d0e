"""Recorded spikes, cut into trials: the units and trials of an NWB file, or the spike trains and epochs of a Neo block in a NIX file.

    x_bu = spikes of unit u in bin b of the trial                        inputs (n, bins, n_units)
    target = 1 at the class of the trial's `label`, 0 elsewhere          encoding = "one_hot"

A trial begins at its `start_time` (or its column `align`) plus `offset`, and lasts for `window`, which is divided into `bins_per_trial` bins of equal
length. Bins are half-open; a spike that only rounding keeps from an edge is at the edge, so that one at k dt is in bin k. With one bin a step of the protocol
`spike_source` shows the spikes as they were; with one bin in all, units are inputs (n, n_units) that show how often they spiked.
`label` names the column of the trials that is to be answered from the spikes; `units` keep those whose column (annotation) `where` is one of the values.

NWB: trials are the rows of the table `trials`, or of the tables of intervals that `trials` names; columns are the table's, and `name`, its own.
Neo: trials are all epochs of all segments, or those (or the events) that `trials` names; columns are the array annotations, `labels`, and `name`, the
epoch's. Where a block has no epochs, each segment is a trial from its `t_start`, with the segment's annotations and `name`. Segments have the same spike
trains in the same order. What else a file holds is in the result's notes.

Time that was not recorded is not silence: a trial without a start or label, or whose window leaves what was recorded of a unit that is kept
(`obs_intervals` and `invalid_times` of NWB, `t_start` and `t_stop` of Neo), is refused, or, with `incomplete = "leave_out"`, left out and noted.

    task = { name = "recorded_trials", path = "session.nwb", label = "choice", window = "500 ms", bins_per_trial = 500, validation = 0.2, test = 0.2 }

Times in NWB are in seconds; those of Neo have units and are converted. Sources: Rubel et al. (2022), eLife 11:e78362 (NWB); Garcia et al. (2014), Front.
Neuroinform. 8:10 (Neo).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from annotated_types import Gt
from pydantic import Field

from bioFA.components import Count, Name, Number, OneOrMany
from bioFA.errors import DamagedFile, FileError, NoPackage, NoSuchFile, UnknownColumn, WrongData, WrongKind, suggestion
from bioFA.foreign import inspect
from bioFA.tasks.base import Array
from bioFA.tasks.given import Examples, Given
from bioFA.units import DOUBLE, Unit, bin_of, rounding

ALWAYS = np.array([[-np.inf, np.inf]])
"""The intervals of a unit of which the file does not say when it was recorded."""


class Recorded(NamedTuple):
    """One unit in one part of a recording: spike times in seconds, sorted, the intervals `(k, 2)` in which it was recorded, and to what share of themselves its times are rounded."""

    spikes: Array
    recorded: Array
    precision: float = DOUBLE


class Part(NamedTuple):
    """What shares a time axis: the units, the start of each trial in seconds, `(n,)`, where each stands in the file, and the columns of trials."""

    units: Sequence[Recorded]
    starts: Array
    places: Sequence[str]
    trials: Mapping[str, Array]
    invalid: Array = np.empty((0, 2))


class Session(NamedTuple):
    """What a file holds: its parts, the columns of the units, and what was not read."""

    parts: Sequence[Part]
    units: Mapping[str, Array]
    unread: Sequence[str]


class RecordedTrials(Given):
    """Spikes of recorded units in trials, and what is to be answered from them, from an NWB or a NIX file."""

    path: Annotated[Name, Field(examples=["session.nwb"])]
    label: Name
    window: Annotated[Number, Unit("s"), Gt(0)]
    offset: Annotated[Number, Unit("s")] = 0.0
    align: Name = ""
    bins_per_trial: Count = 1
    trials: Annotated[tuple[Name, ...], OneOrMany()] = ()
    where: Name = ""
    units: Annotated[tuple[Name, ...], OneOrMany()] = ()
    incomplete: Literal["refuse", "leave_out"] = "refuse"
    encoding: Literal["one_hot"] = "one_hot"

    def place(self) -> str:
        """The file."""
        return self.path

    def examples(self) -> dict[str, Examples]:
        """Counts of spikes in bins, and the labels."""
        session = self._read()
        kept = self._kept(session)
        inputs, labels, notes = [], [], list(session.unread)
        left_out: list[str] = []
        for part in session.parts:
            column = self._column(part, self.label)
            starts = (part.starts if not self.align else self._times(part, self.align)) + self.offset
            faults = [self._fault(part, kept, start, column[trial]) for trial, start in enumerate(starts)]
            left_out += [f"{part.places[trial]} {fault}" for trial, fault in enumerate(faults) if fault]
            whole = np.array([not fault for fault in faults], dtype=bool)
            inputs.append(self._counts(part, kept, starts[whole]))
            labels.append(column[whole])
        if left_out and self.incomplete == "refuse":
            more = f" ({len(left_out)} trials are like that)" if len(left_out) > 1 else ""
            raise WrongData(f"{self.path}: {left_out[0]}{more}. Say incomplete = 'leave_out' to do without, or give a shorter window or other units.")
        if left_out:
            notes.append(f"left out {len(left_out)} of {len(left_out) + sum(map(len, labels))} trials: {'; '.join(left_out[:3])}{'; ...' if len(left_out) > 3 else ''}")
        if not any(map(len, labels)):
            raise WrongData(f"{self.path}: none of the {len(left_out)} trials is left. The first: {left_out[0]}.")
        found = np.concatenate(inputs)
        return {"train": Examples(found if self.bins_per_trial > 1 else found[:, 0], None, np.concatenate(labels), notes=tuple(notes))}

    def _column(self, part: Part, name: str) -> Array:
        if name not in part.trials:
            of = f" ({part.places[0]})" if part.places else ""
            raise UnknownColumn(f"{self.path}: the trials have no column '{name}'{of}.{suggestion(name, part.trials)} Or say which trials to take: trials = [...].")
        column = np.asarray(part.trials[name])
        return column.astype(str) if column.dtype.kind in "OSU" else column

    def _times(self, part: Part, name: str) -> Array:
        column = self._column(part, name)
        if column.dtype.kind not in "fiu":
            raise WrongData(f"{self.path}: the column '{name}' must hold times in seconds to align trials to; it holds {column.dtype}. Name another.")
        return column.astype(float)

    def _fault(self, part: Part, kept: Sequence[int], start: float, label: Any) -> str:
        """Why a trial cannot be an example; empty where it can."""
        if not np.isfinite(start):
            return f"has no {self.align or 'start'}"
        if (isinstance(label, np.floating) and not np.isfinite(label)) or label == "":
            return f"has no '{self.label}'"
        stop = start + self.window
        near = float(rounding(stop, self.window))
        for low, high in part.invalid:
            if start < high - near and stop > low + near:
                return f"lies from {start:g} to {stop:g} s, and the file calls {low:g} to {high:g} s invalid"
        for unit in kept:
            recorded = part.units[unit].recorded
            if not ((recorded[:, 0] <= start + near) & (recorded[:, 1] >= stop - near)).any():
                said = ", ".join(f"{low:g} to {high:g} s" for low, high in recorded[:3])
                return f"lies from {start:g} to {stop:g} s, and unit {unit} was recorded from {said or 'no time'}"
        return ""

    def _counts(self, part: Part, kept: Sequence[int], starts: Array) -> Array:
        """Spikes in each bin of trials, `(n, bins, n_units)`."""
        bins, width = self.bins_per_trial, self.window / self.bins_per_trial
        counts = np.zeros((len(starts), bins, len(kept)))
        for number, unit in enumerate(kept):
            times, precision = part.units[unit].spikes, part.units[unit].precision
            first, last = np.searchsorted(times, [starts - width, starts + self.window + width])
            trial = np.repeat(np.arange(len(starts)), last - first)
            near = np.arange(len(trial)) + np.repeat(first - (np.cumsum(last - first) - (last - first)), last - first)
            self._check_known_to(unit, times[near], width, precision)
            at = bin_of(times[near], starts[trial], width, precision)
            inside = (at >= 0) & (at < bins)
            counts[:, :, number] = np.bincount(trial[inside] * bins + at[inside], minlength=len(starts) * bins).reshape(len(starts), bins)
        return counts

    def _check_known_to(self, unit: int, times: Array, width: float, precision: float) -> None:
        """Refuse times that are written too coarsely to say in which bin they are."""
        known = float(rounding(np.abs(times).max(initial=0.0), width, precision))
        if known > width / 4:
            raise WrongData(
                f"{self.path}: the spike times of unit {unit} are {'float32' if precision > DOUBLE else 'float64'} numbers, known to {known:.2g} s at {np.abs(times).max():g} s, "
                f"and a bin lasts {width:g} s. Write them as float64, or take fewer bins."
            )

    def _kept(self, session: Session) -> list[int]:
        count = len(session.parts[0].units)
        if not self.where:
            return list(range(count))
        if self.where not in session.units:
            raise UnknownColumn(f"{self.path}: the units have no column '{self.where}'.{suggestion(self.where, session.units)}")
        column = np.asarray(session.units[self.where]).astype(str)
        kept = [unit for unit in range(count) if column[unit] in self.units]
        if not kept:
            raise WrongData(f"{self.path}: no unit has a '{self.where}' of {', '.join(self.units) or 'nothing'}. There are: {', '.join(sorted(set(column)))}.")
        return kept

    def _read(self) -> Session:
        path = Path(self.path)
        if not path.is_file():
            raise NoSuchFile(f"RecordedTrials.path: there is no file {self.path!r}. Give a .nwb or a .nix file.")
        reader = {".nwb": _nwb, ".nix": _neo}.get(path.suffix.lower())
        if reader is None:
            raise WrongKind(f"RecordedTrials.path: {self.path!r} is neither a .nwb nor a .nix file. Give one; other spikes go into arrays (task 'arrays').")
        session = reader(path, self.trials)
        counts = [len(part.units) for part in session.parts[:1]], sum(len(part.starts) for part in session.parts)
        if not all((*counts[0], counts[1])) or not session.parts:
            raise WrongData(f"{self.path}: holds {sum(counts[0])} units and {counts[1]} trials; at least one of each is needed.")
        return session


def _chosen(wanted: Sequence[str], known: Mapping[str, Any], path: Path, usual: Sequence[str]) -> list[str]:
    """The names of the tables of trials to take: those asked for, or the usual ones.

    Raises:
        UnknownColumn: if one asked for is not there.
    """
    for name in wanted:
        if name not in known:
            raise UnknownColumn(f"'{path}': there are no trials called '{name}'.{suggestion(name, known)}")
    return list(wanted or usual)


def _nwb(path: Path, wanted: Sequence[str]) -> Session:
    try:
        import pynwb
    except ImportError as error:
        raise NoPackage(f"reading an NWB file needs pynwb ({error}): pip install 'bioFA[nwb]'.") from None
    inspect(path)
    try:
        with pynwb.NWBHDF5IO(str(path), "r") as io:
            file = io.read()
            tables = {**file.intervals} if file.intervals else {}
            tables |= {name: table for name in ("trials", "epochs", "invalid_times") if (table := getattr(file, name)) is not None}
            if file.units is None:
                raise WrongData(f"'{path}': the file has no table of units, so it holds no spikes. Give a file of sorted spikes.")
            if "spike_times" not in file.units.colnames:
                raise WrongData(f"'{path}': the table of units has no column spike_times; it has: {', '.join(file.units.colnames) or 'none'}. Give a file of sorted spikes.")
            if not tables.keys() - {"invalid_times"}:
                raise WrongData(f"'{path}': the file has no table of trials. Add one (add_trial), or another table of intervals that trials = [...] names.")
            units = _units(file.units)
            names = _chosen(wanted, tables, path, ["trials"] if "trials" in tables else [])
            if not names:
                raise WrongData(f"'{path}': the file has no table 'trials'. Say which intervals are the trials, trials = [...]: {', '.join(tables)}.")
            columns = _columns(file.units.to_dataframe(), ("spike_times", "obs_intervals"))
            invalid = tables["invalid_times"].to_dataframe()[["start_time", "stop_time"]].to_numpy(float) if "invalid_times" in tables else np.empty((0, 2))
            parts = [_table(name, tables[name], units, invalid) for name in names]
            return Session(parts, columns, list(_unread(file, tables, names)))
    except FileError:
        raise
    except (OSError, KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise DamagedFile(f"'{path}' is not a whole NWB file ({error}).") from None


def _units(table: Any) -> list[Recorded]:
    """Spikes of each row of the table of units, and when it was recorded."""
    observed = "obs_intervals" in table.colnames
    found = []
    for row in range(len(table)):
        recorded = np.asarray(table["obs_intervals"][row], dtype=float).reshape(-1, 2) if observed else ALWAYS
        times = np.asarray(table["spike_times"][row])
        found.append(Recorded(np.sort(times.astype(float)), recorded, _precision(times)))
    return found


def _table(name: str, table: Any, units: Sequence[Recorded], invalid: Array) -> Part:
    frame = table.to_dataframe()
    places = [f"row {row} of '{name}'" for row in range(len(frame))]
    return Part(units, frame["start_time"].to_numpy(float), places, {"name": np.full(len(frame), name)} | _columns(frame), invalid)


def _columns(table: Any, but: Sequence[str] = ()) -> dict[str, Array]:
    """The columns of a table with one value a row."""
    return {str(name): table[name].to_numpy() for name in table.columns if name not in but and len(table) and np.ndim(table[name].iloc[0]) == 0}


def _unread(file: Any, tables: Mapping[str, Any], taken: Sequence[str]) -> Iterator[str]:
    """What of an NWB file is no part of the examples."""
    yield from (f"not read: intervals '{name}' ({len(table)} rows)" for name, table in tables.items() if name not in (*taken, "invalid_times"))
    for group in ("acquisition", "stimulus", "processing", "analysis", "scratch"):
        if names := list(getattr(file, group) or ()):
            yield f"not read: {group} {', '.join(map(repr, names[:6]))}{f' and {len(names) - 6} more' if len(names) > 6 else ''}"


def _neo(path: Path, wanted: Sequence[str]) -> Session:
    try:
        from neo.io import NixIO
    except ImportError as error:
        raise NoPackage(f"reading a NIX file needs Neo and nixio ({error}): pip install 'bioFA[neo]'.") from None
    inspect(path)
    try:
        with NixIO(str(path), "ro") as io:
            blocks = io.read_all_blocks()
    except Exception as error:  # nixio and Neo raise errors of many kinds about a damaged file
        raise DamagedFile(f"'{path}' is not a whole NIX file ({error}).") from None
    block, segments = blocks[0], [segment for segment in blocks[0].segments if segment.spiketrains]
    if not segments:
        raise WrongData(f"'{path}': no segment has spike trains. Put the spikes in as spike trains, and the trials as epochs.")
    first, known = segments[0], {of.name: of for segment in segments for of in (*segment.epochs, *segment.events)}
    epochs = [epoch.name for segment in segments for epoch in segment.epochs]
    names = _chosen(wanted, known, path, epochs)
    parts: list[Part] = []
    for number, segment in enumerate(segments):
        if len(segment.spiketrains) != len(first.spiketrains):
            raise WrongData(
                f"'{path}': segment {number} ('{segment.name}') has {len(segment.spiketrains)} spike trains, and segment 0 ('{first.name}') has {len(first.spiketrains)}. "
                "Give every segment the same units, in the same order."
            )
        units = [
            Recorded(np.sort(_seconds(train.times)), np.array([[_seconds(train.t_start), _seconds(train.t_stop)]]), _precision(train.times.magnitude)) for train in segment.spiketrains
        ]
        if names:
            parts += [_epoch(of, f"segment {number}", units) for of in (*segment.epochs, *segment.events) if of.name in names]
        else:
            start = np.array([max(unit.recorded[0, 0] for unit in units)])
            columns = {key: np.array([value]) for key, value in segment.annotations.items() if np.ndim(value) == 0}
            parts.append(Part(units, start, [f"segment {number}"], columns | {"name": np.array([segment.name or ""])}))
    annotations = {name for train in first.spiketrains for name in train.annotations}
    columns = {name: np.array([train.annotations.get(name, "") for train in first.spiketrains]) for name in annotations}
    columns |= {"name": np.array([train.name or "" for train in first.spiketrains])} if "name" not in columns else {}
    return Session(parts, columns, list(_unread_neo(blocks, block, names)))


def _seconds(times: Any) -> Any:
    """Times of Neo in seconds; of float32 no more digit is lost."""
    return times.astype(float).rescale("s").magnitude


def _precision(times: Array) -> float:
    """To what share of themselves written times are rounded: writers of NWB and NIX make float64 of float32, so the digits decide, not the type.

    Times are float32 where all of them are, and one needs its last digit.
    """
    mantissas, _ = np.frexp(times.astype(float))
    digits = mantissas * 2.0**24
    return 2.0**-23 if (digits == np.rint(digits)).all() and (digits % 2 == 1).any() else DOUBLE


def _epoch(of: Any, place: str, units: Sequence[Recorded]) -> Part:
    """The trials of an epoch, or of events."""
    columns = {str(name): np.asarray(values) for name, values in of.array_annotations.items()}
    count, labels = len(of.times), np.asarray(of.labels)
    columns |= {"labels": labels.astype(str)} if len(labels) == count and "labels" not in columns else {}
    columns |= {"name": np.full(count, of.name or "")} if "name" not in columns else {}
    return Part(units, _seconds(of.times), [f"trial {row} of '{of.name}' in {place}" for row in range(count)], columns)


def _unread_neo(blocks: Sequence[Any], block: Any, taken: Sequence[str]) -> Iterator[str]:
    """What of a NIX file is no part of the examples."""
    if len(blocks) > 1:
        yield f"not read: {len(blocks) - 1} more blocks ({', '.join(repr(other.name) for other in blocks[1:4])})"
    for number, segment in enumerate(block.segments):
        where = f"of segment {number} ('{segment.name}')"
        if not segment.spiketrains and segment.epochs:
            yield f"not read: the epochs {where}, which has no spike trains"
        for of in (*segment.epochs, *segment.events) if segment.spiketrains else ():
            if of.name not in taken:
                yield f"not read: '{of.name}' {where} ({len(of.times)} times)"
        signals = len(segment.analogsignals) + len(segment.irregularlysampledsignals)
        if signals:
            yield f"not read: {signals} signals {where}"
