"""Recorded spikes, cut into trials: the units and trials of an NWB file,
or the spike trains and epochs of a Neo block in a NIX file.

    x_bu = spikes of unit u in bin b of the trial                        inputs (n, bins, n_units)
    target = 1 at the class of the trial's `label`, 0 elsewhere          encoding = "one_hot"

A trial begins at its `start_time` (or its column `align`) plus `offset`, and lasts for `window`, which is divided into
`bins_per_trial` bins of equal length. Bins are half-open; a spike that only rounding keeps from an edge is at the edge,
so that one at k dt is in bin k. With one bin a step of the protocol `spike_source` shows the spikes as they were; with
one bin in all, units are inputs (n, n_units) that show how often they spiked. `label` names the column of the trials
that is to be answered from the spikes; `units` keep those whose column (annotation) `where` is one of the values.

NWB: trials are the rows of the table `trials`, or of the tables of intervals that `trials` names; columns are the
table's, and `name`, its own. Neo: trials are all epochs of all segments, or those (or the events) that `trials` names;
columns are the array annotations, `labels`, and `name`, the epoch's. Where a block has no epochs, each segment is a
trial from its `t_start`, with the segment's annotations and `name`. Segments have the same spike trains in the same
order. What else a file holds is in the result's notes, by its name (`nwb_recording.py`, `nix_recording.py`).

Time that was not recorded is not silence: a trial without a start or label, or whose window leaves what was recorded of
a unit that is kept (`obs_intervals` and `invalid_times` of NWB, `t_start` and `t_stop` of Neo), is refused, or,
with `incomplete = "leave_out"`, left out and noted.

    task = { name = "recorded_trials", path = "session.nwb", label = "choice", window = "500 ms", bins_per_trial = 500,
    validation = 0.2, test = 0.2 }

Times in NWB are in seconds; those of Neo have units and are converted. Sources: Rubel et al. (2022), eLife 11:e78362
(NWB); Garcia et al. (2014), Front. Neuroinform. 8:10 (Neo).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Gt
from pydantic import Field

from bioFA.components import Count, Name, Number, OneOrMany
from bioFA.errors import NoSuchFile, UnknownColumn, WrongData, WrongKind, suggestion
from bioFA.optional import Package
from bioFA.system.untrusted_hdf5 import inspect
from bioFA.tasks import nix_recording, nwb_recording
from bioFA.tasks.base import Array
from bioFA.tasks.given import Examples, Given
from bioFA.tasks.recordings import Part, Session
from bioFA.units import DOUBLE, Unit, bin_of, rounding


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

    packages: ClassVar[tuple[Package, ...]] = (nix_recording.NEO, nwb_recording.PYNWB)

    def place(self) -> str:
        """The file."""
        return self.path

    def examples(self) -> dict[str, Examples]:
        """Counts of spikes in bins, and the labels."""
        session = self._read()
        kept = self._kept(session)
        self._check_finite(session, kept)
        inputs, labels = [], []
        left_out: list[str] = []
        seen: dict[int, Array] = {}
        shown: dict[int, list[Array]] = {}
        beyond = 0
        for part in session.parts:
            column = self._column(part, self.label)
            starts = (part.starts if not self.align else self._times(part, self.align)) + self.offset
            session.ledger.take(part.place, self.label, self.align or part.starts_from)
            faults = [self._fault(part, kept, start, column[trial]) for trial, start in enumerate(starts)]
            left_out += [f"{part.places[trial]} {fault}" for trial, fault in enumerate(faults) if fault]
            whole = np.array([not fault for fault in faults], dtype=bool)
            inputs.append(self._counts(part, kept, starts[whole], seen))
            shown.setdefault(id(part.units), []).append(starts[whole])
            labels.append(column[whole])
            beyond += self._beyond(part, starts, whole)
        if left_out and self.incomplete == "refuse":
            more = f" ({len(left_out)} trials are like that)" if len(left_out) > 1 else ""
            raise WrongData(
                f"{self.path}: {left_out[0]}{more}. Say incomplete = 'leave_out' to do without, or give a shorter"
                " window or other units."
            )
        if not any(map(len, labels)):
            raise WrongData(f"{self.path}: none of the {len(left_out)} trials is left. The first: {left_out[0]}.")
        labels = [column for column in labels if len(column)]
        if len({column.dtype.kind in "SU" for column in labels}) > 1:
            raise WrongData(
                f"{self.path}: the column '{self.label}' holds texts in some of the trials and numbers in others. Write"
                " all of them alike, or take fewer: trials = [...]."
            )
        notes = [
            *session.ledger.by_place(),
            *session.notes,
            *self._silent(session, kept, sum(int(of.sum()) for of in seen.values())),
            *self._overlapping([np.concatenate(starts) for starts in shown.values()]),
        ]
        if beyond:
            notes.append(
                f"the windows of {beyond} of {sum(map(len, labels))} trials end after the trial does by the file, so"
                " that they show what came later; a shorter window would not"
            )
        if left_out:
            notes.append(
                f"left out {len(left_out)} of {len(left_out) + sum(map(len, labels))} trials:"
                f" {'; '.join(left_out[:3])}{'; ...' if len(left_out) > 3 else ''}"
            )
        found = np.concatenate(inputs)
        return {
            "train": Examples(
                found if self.bins_per_trial > 1 else found[:, 0],
                None,
                np.concatenate(labels),
                notes=tuple(notes),
                called={"labels": self.label},
            )
        }

    def _check_finite(self, session: Session, kept: Sequence[int]) -> None:
        for part in session.parts:
            for unit in kept:
                bad = int((~np.isfinite(part.units[unit].spikes)).sum())
                if bad:
                    raise WrongData(
                        f"{self.path}: {bad} of the {len(part.units[unit].spikes)} spike times of unit {unit} are no"
                        f" finite numbers ({part.place}). Take them out, or the unit."
                    )

    def _silent(self, session: Session, kept: Sequence[int], seen: int) -> Iterator[str]:
        """Spikes that no trial has, and units that have no spikes."""
        sizes = np.array([
            sum(len(units[unit].spikes) for units in {id(part.units): part.units for part in session.parts}.values())
            for unit in kept
        ])
        if seen < sizes.sum():
            yield f"not used: {sizes.sum() - seen} of {sizes.sum()} spikes, which are in the window of no trial"
        if (sizes == 0).any():
            yield (
                "without a spike in the file, and taken for silent: unit"
                f" {', '.join(str(kept[at]) for at in np.flatnonzero(sizes == 0))}"
            )

    def _overlapping(self, shown: Sequence[Array]) -> Iterator[str]:
        """Trials, by their starts on each time axis, of which another begins before the window ends."""
        count = 0
        for starts in map(np.sort, shown):
            soon = np.diff(starts) < self.window - rounding(starts[1:], self.window)
            count += int(np.count_nonzero(np.append(soon, False) | np.insert(soon, 0, False))) if len(starts) else 0
        if count:
            yield (
                f"{count} of {sum(map(len, shown))} trials overlap another in time, so that examples, also of training"
                " and test, share spikes; a shorter window would not"
            )

    def _beyond(self, part: Part, starts: Array, whole: Array) -> int:
        """How many trials that are shown end, by the file, before their window does."""
        if not len(part.stops):
            return 0
        ends = starts[whole] + self.window
        return int(np.count_nonzero(ends > part.stops[whole] + rounding(ends, self.window)))

    def _column(self, part: Part, name: str) -> Array:
        if name in part.other:
            raise WrongData(
                f"{self.path}: the column '{name}' of {part.place} must hold one number or text for each trial. Name"
                " another."
            )
        if name not in part.trials:
            of = f" ({part.places[0]})" if part.places else ""
            raise UnknownColumn(
                f"{self.path}: the trials have no column '{name}'{of}.{suggestion(name, part.trials)} Or say which"
                " trials to take: trials = [...]."
            )
        column = np.asarray(part.trials[name])
        if column.dtype.kind not in "OS":
            return column
        return np.array(["" if value is None or value != value else _text(value) for value in column], dtype=str)

    def _times(self, part: Part, name: str) -> Array:
        column = self._column(part, name)
        if column.dtype.kind not in "fiu":
            raise WrongData(
                f"{self.path}: the column '{name}' must hold times in seconds to align trials to; it holds"
                f" {column.dtype}. Name another."
            )
        if name in part.units_of:
            raise WrongData(
                f"{self.path}: the column '{name}' of {part.place} must hold times to align trials to; it is in"
                f" {part.units_of[name]}. Name another."
            )
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

    def _counts(self, part: Part, kept: Sequence[int], starts: Array, seen: dict[int, Array]) -> Array:
        """Spikes in each bin of trials, `(n, bins, n_units)`; marks in `seen` which spikes, by the unit's `id`,
        these are."""
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
            seen.setdefault(id(part.units[unit]), np.zeros(len(times), dtype=bool))[near[inside]] = True
            counts[:, :, number] = np.bincount(trial[inside] * bins + at[inside], minlength=len(starts) * bins).reshape(
                len(starts), bins
            )
        return counts

    def _check_known_to(self, unit: int, times: Array, width: float, precision: float) -> None:
        """Refuse times that are written too coarsely to say in which bin they are."""
        known = float(rounding(np.abs(times).max(initial=0.0), width, precision))
        if known > width / 4:
            raise WrongData(
                f"{self.path}: the spike times of unit {unit} are {'float32' if precision > DOUBLE else 'float64'}"
                f" numbers, known to {known:.2g} s at {np.abs(times).max():g} s, and a bin lasts {width:g} s. Write"
                " them as float64, or take fewer bins."
            )

    def _kept(self, session: Session) -> list[int]:
        first = session.parts[0]
        if not self.where:
            return list(range(len(first.units)))
        if self.where not in first.of_units:
            raise UnknownColumn(
                f"{self.path}: the units have no column '{self.where}' with one value"
                f" each.{suggestion(self.where, first.of_units)}"
            )
        column = [_text(value) for value in first.of_units[self.where]]
        for part in session.parts:
            if [_text(value) for value in part.of_units.get(self.where, ())] != column:
                raise WrongData(
                    f"{self.path}: the units have another '{self.where}' in {part.place} than in {first.place}. Give"
                    " every segment the same units, in the same order."
                )
        kept = [unit for unit, value in enumerate(column) if value in self.units]
        if not kept:
            raise WrongData(
                f"{self.path}: no unit has a '{self.where}' of {', '.join(self.units) or 'nothing'}. There are:"
                f" {', '.join(sorted(set(column)))}."
            )
        for place in session.of_units:
            session.ledger.take(place, self.where)
        return kept

    def _read(self) -> Session:
        path = Path(self.path)
        if not path.is_file():
            raise NoSuchFile(f"RecordedTrials.path: there is no file {self.path!r}. Give a .nwb or a .nix file.")
        reader = {".nwb": nwb_recording.read, ".nix": nix_recording.read}.get(path.suffix.lower())
        if reader is None:
            raise WrongKind(
                f"RecordedTrials.path: {self.path!r} is neither a .nwb nor a .nix file. Give one; other spikes go into"
                " arrays (task 'arrays')."
            )
        inspect(path)
        session = reader(path, self.trials)
        counts = [len(part.units) for part in session.parts[:1]], sum(len(part.starts) for part in session.parts)
        if not all((*counts[0], counts[1])) or not session.parts:
            raise WrongData(
                f"{self.path}: holds {sum(counts[0])} units and {counts[1]} trials; at least one of each is needed."
            )
        return session


def _text(value: Any) -> str:
    """A value of a column as text."""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
