"""Recorded spikes, cut into trials: the units and trials of an NWB file, or the spike trains and epochs of a Neo block in a NIX file.

    x_bu = spikes of unit u in bin b of the trial                        inputs (n, bins, n_units)
    target = 1 at the class of the trial's `label`, 0 elsewhere          encoding = "one_hot"

A trial begins at its `start_time` plus `offset`, and lasts for `window`, which is divided into `bins_per_trial` bins of equal length. With one bin a step of
the protocol `spike_source` shows the spikes as they were; with one bin in all, units are inputs (n, n_units) that show how often they spiked.
`label` names the column of the trials (the array annotation of the epochs) that is to be told from the spikes; `units` keep those whose
column (annotation) `where` is one of the values. Splits and scaling are declared (`given.py`).

    task = { name = "recorded_trials", path = "session.nwb", label = "choice", window = "500 ms", bins_per_trial = 500, validation = 0.2, test = 0.2 }

Times in NWB are in seconds; those of Neo have units and are converted. Sources: Rubel et al. (2022), eLife 11:e78362 (NWB); Garcia et al. (2014), Front.
Neuroinform. 8:10 (Neo).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from annotated_types import Gt
from pydantic import Field

from bioFA.components import Count, Name, Number, OneOrMany
from bioFA.errors import DamagedFile, NoPackage, NoSuchFile, UnknownColumn, WrongData, WrongKind, suggestion
from bioFA.foreign import inspect
from bioFA.tasks.base import Array
from bioFA.tasks.given import Examples, Given
from bioFA.units import Unit


class Session(NamedTuple):
    """What a file holds: spike times in seconds of each unit, columns of the units; start times of the trials, columns of the trials."""

    spikes: list[Array]
    units: Mapping[str, Array]
    starts: Array
    trials: Mapping[str, Array]


class RecordedTrials(Given):
    """Spikes of recorded units in trials, and what is to be told from them, from an NWB or a NIX file."""

    path: Annotated[Name, Field(examples=["session.nwb"])]
    label: Name
    window: Annotated[Number, Unit("s"), Gt(0)]
    offset: Annotated[Number, Unit("s")] = 0.0
    bins_per_trial: Count = 1
    where: Name = ""
    units: Annotated[tuple[Name, ...], OneOrMany()] = ()
    encoding: Literal["one_hot"] = "one_hot"

    def place(self) -> str:
        """The file."""
        return self.path

    def examples(self) -> dict[str, Examples]:
        """Counts of spikes in bins, and the labels."""
        session = self._read()
        if self.label not in session.trials:
            raise UnknownColumn(f"{self.path}: the trials have no column '{self.label}'.{suggestion(self.label, session.trials)}")
        spikes = self._kept(session)
        labels = np.asarray(session.trials[self.label])
        labels = labels.astype(str) if labels.dtype.kind in "OSU" else labels
        if labels.dtype.kind == "f" and not np.isfinite(labels).all():
            raise WrongData(f"{self.path}: trial {int(np.flatnonzero(~np.isfinite(labels))[0])} has no '{self.label}'. Take the trial out, or name another column.")
        edges = np.linspace(0.0, self.window, self.bins_per_trial + 1)
        inputs = np.zeros((len(session.starts), self.bins_per_trial, len(spikes)))
        for trial, start in enumerate(session.starts + self.offset):
            for unit, times in enumerate(spikes):
                inputs[trial, :, unit] = np.histogram(times[(times >= start) & (times < start + self.window)] - start, edges)[0]
        return {"train": Examples(inputs if self.bins_per_trial > 1 else inputs[:, 0], None, labels)}

    def _kept(self, session: Session) -> list[Array]:
        if not self.where:
            return session.spikes
        if self.where not in session.units:
            raise UnknownColumn(f"{self.path}: the units have no column '{self.where}'.{suggestion(self.where, session.units)}")
        column = np.asarray(session.units[self.where]).astype(str)
        kept = [times for times, value in zip(session.spikes, column, strict=True) if value in self.units]
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
        session = reader(path)
        if not session.spikes or not len(session.starts):
            raise WrongData(f"{self.path}: holds {len(session.spikes)} units and {len(session.starts)} trials; at least one of each is needed.")
        return session


def _nwb(path: Path) -> Session:
    try:
        import pynwb
    except ImportError as error:
        raise NoPackage(f"reading an NWB file needs pynwb ({error}): pip install 'bioFA[nwb]'.") from None
    inspect(path)
    try:
        with pynwb.NWBHDF5IO(str(path), "r") as io:
            file = io.read()
            units = file.units.to_dataframe() if file.units is not None else None
            trials = file.trials.to_dataframe() if file.trials is not None else None
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise DamagedFile(f"'{path}' is not a whole NWB file ({error}).") from None
    spikes = [] if units is None else [np.sort(np.asarray(times, dtype=float)) for times in units["spike_times"]]
    starts = np.array([]) if trials is None else trials["start_time"].to_numpy(float)
    return Session(spikes, {} if units is None else _columns(units, "spike_times"), starts, {} if trials is None else _columns(trials, ""))


def _columns(table: Any, but: str) -> dict[str, Array]:
    """The columns of a table with one value a row."""
    return {str(name): table[name].to_numpy() for name in table.columns if name != but and np.ndim(table[name].iloc[0]) == 0}


def _neo(path: Path) -> Session:
    try:
        from neo.io import NixIO
    except ImportError as error:
        raise NoPackage(f"reading a NIX file needs Neo and nixio ({error}): pip install 'bioFA[neo]'.") from None
    inspect(path)
    try:
        with NixIO(str(path), "ro") as io:
            block = io.read_block()
    except Exception as error:  # nixio and Neo raise errors of many kinds about a damaged file
        raise DamagedFile(f"'{path}' is not a whole NIX file ({error}).") from None
    segments = [segment for segment in block.segments if segment.spiketrains and segment.epochs]
    if not segments:
        raise WrongData(f"'{path}': no segment has both spike trains and epochs. Put the trials in as epochs, with what is to be told as an array annotation.")
    segment = segments[0]
    trains, epoch = list(segment.spiketrains), segment.epochs[0]
    names = {name for train in trains for name in train.annotations}
    units = {name: np.array([train.annotations.get(name, "") for train in trains]) for name in names}
    spikes = [np.sort(train.rescale("s").magnitude) for train in trains]
    columns = {str(name): np.asarray(values) for name, values in epoch.array_annotations.items()}
    return Session(spikes, units, epoch.times.rescale("s").magnitude, columns)
