"""What a run in which time passes recorded: spikes, traces of chosen variables, and rates, read when asked for.

While the run goes on, each segment keeps what was recorded in it in its own file (`checkpoint.py`); in the end all of
it goes, segment by segment, into `result.h5`, so that only those that still wait to be written are in memory:

    monitors/spikes/POPULATION/neurons   int32, every spike, trial by trial, by step, then neuron
    monitors/spikes/POPULATION/steps     int32, of the trial; a spike of step m has the time m dt
    monitors/spikes/POPULATION/first     int64 (trials + 1,): where the spikes of each trial begin
    monitors/traces/NUMBER/VARIABLE      float64 (trials, samples, neurons), as `record.traces` orders them
    monitors/rates/POPULATION            int64 (trials, bins): spikes of the population in each bin
    monitors/synapses/NUMBER/VARIABLE    float64 (trials, samples, synapses), as `record.synapses` orders them: `w`,
                                         traces of a rule, or what dynamics keep; in place of `w` `counts`,
                                         int64 (trials, samples, bins), of a histogram
    monitors/synapses/NUMBER/pre, post   int32 (synapses,): between which neurons each is
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from bioFA.analysis.streamed_activity import ActivityMeasures, Bins
from bioFA.consumers.base import Segment
from bioFA.errors import ChangedSince, NoSuchFile, OutOfRange, UnknownName, suggestion
from bioFA.experiment import Experiment
from bioFA.instance import Chosen
from bioFA.measures.record import SynapseTrace, Trace
from bioFA.network import sliced
from bioFA.units import as_time, steps_of

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray
Kept = tuple[Path | Mapping[str, Array], int]
"""What a segment recorded, as its file or as arrays by their places in it, and of which trial it is a part."""
GROUP = "monitors"
CHUNK = 1 << 16
"""Spikes in a chunk of a dataset, and about so many values of a trace."""
STORAGE: dict[str, Any] = {"compression": "gzip", "compression_opts": 1, "shuffle": True, "rdcc_nbytes": 1 << 20}
"""Compressed, with no more than a few chunks in memory."""


class Layout:
    """What an experiment records: of which neurons the spikes, which traces, and rates in which bins.

    Args:
        experiment: the description.
        done: how many steps, all trials together, a run that it continues has made; nothing of these is recorded.
    """

    def __init__(self, experiment: Experiment, done: int = 0):
        network, protocol, record = experiment.network, experiment.protocol, experiment.record
        self.dt, self.length = protocol.step, protocol.shown_steps
        self.done = done
        self.first_trial, self.begin = divmod(done, self.length)
        self.trials = protocol.trials - self.first_trial
        self.sizes = {population.name: population.size for population in network.spiking()}
        self.spikes: dict[str, Array] = {}
        """For each population of which spikes are kept, of which neurons they are, `(size,)`."""
        for text in self.sizes if record.spikes is None else record.spikes:
            name, part = sliced(text, network.population_sizes())
            self.spikes.setdefault(name, np.zeros(self.sizes[name], dtype=bool))[part] = True
        self.traces: tuple[tuple[Trace, range], ...] = tuple(
            (trace, self._left(trace.steps(self.dt, self.length))) for trace in record.traces
        )
        """Each trace, and the steps of a trial that it keeps."""
        self.looked_at = [(trace, trace.steps(self.dt, self.length)) for trace in experiment.traced]
        """The same, and what declared measures look at."""
        self.synapses: tuple[tuple[SynapseTrace, range], ...] = tuple(
            (kept, self._left(kept.steps(self.dt, self.length))) for kept in record.synapses
        )
        """Synapses in time, and the steps of a trial that are kept."""
        self.histograms = {
            number: kept.edges(network) for number, kept in enumerate(record.synapses) if kept.histogram is not None
        }
        """Lowest and highest edge, and number of bins, of those of which counts are kept."""
        self.bin = None if record.rate_bins is None else max(steps_of(record.rate_bins.bin, self.dt), 1)
        """Steps in a bin of the rates, where they are kept."""

    def _left(self, steps: range) -> range:
        """Those of some steps of a trial that this run makes."""
        before = len(range(steps.start, min(self.begin, steps.stop), steps.step))
        return range(steps.start + before * steps.step, steps.stop, steps.step)

    def rate_bins(self) -> dict[str, Bins]:
        """What fills the bins of the rate of each population."""
        return {} if self.bin is None else {name: Bins(self.bin, self.begin, self.length) for name in self.sizes}

    def kept(self, segment: Segment, bins: Mapping[str, Bins], first: int, last: int) -> dict[str, Array]:
        """What is kept of a segment, from the steps `first` to before `last` of a trial, by its place in the file."""
        found: dict[str, Array] = {}
        for name, chosen in self.spikes.items():
            neurons, steps = segment.spikes[name]
            here = slice(None) if chosen.all() else chosen[neurons]
            found[f"spikes/{name}/neurons"] = neurons[here].astype(np.int32)
            found[f"spikes/{name}/steps"] = steps[here].astype(np.int32)
        for number, values in enumerate(segment.traces[: len(self.traces)]):
            found |= {f"traces/{number}/{variable}": array for variable, array in values.items()}
        for number, values in enumerate(segment.synapses):
            if number in self.histograms:
                found[f"synapses/{number}/counts"] = _counts(values["w"], *self.histograms[number])
                continue
            found |= {f"synapses/{number}/{variable}": array for variable, array in values.items()}
        for name, counting in bins.items():
            found[f"rates/{name}"] = counting.add(segment.spikes[name][1], first, last)
        return found

    def bytes_a_step(self, synapses: Sequence[int] = ()) -> float:
        """How many bytes of traces a step brings in the mean, where so many `synapses` are kept of each pathway that
        `record.synapses` names."""
        counts = [len(trace.neurons) * len(trace.variables) / steps.step for trace, steps in self.looked_at]
        counts += [
            count * len(kept.variables) / steps.step
            for count, (kept, steps) in zip(synapses, self.synapses, strict=True)
        ]
        return 8 * sum(counts)


def assemble(
    file: h5py.File, layout: Layout, segments: Sequence[Kept], chosen: Sequence[Chosen] = ()
) -> None:
    """Write what all segments kept into the file of a result.

    Args:
        file: the new file.
        layout: of the experiment.
        segments: what each recorded, in order, and of which trial it is a part.
        chosen: the synapses that `record.synapses` asks for.
    """
    group = file.create_group(GROUP)
    streams: dict[str, _Stream] = {}
    for name in layout.spikes:
        for part in ("neurons", "steps"):
            streams[f"spikes/{name}/{part}"] = _Spikes(group, f"spikes/{name}/{part}", layout.trials)
    for number, (trace, steps) in enumerate(layout.traces):
        for variable in trace.variables:
            shape = (layout.trials, len(steps), len(trace.neurons))
            streams[f"traces/{number}/{variable}"] = _Grid(group, f"traces/{number}/{variable}", shape, float)
    for number, ((kept, steps), one) in enumerate(zip(layout.synapses, chosen, strict=True)):
        for end in ("pre", "post"):
            group.create_dataset(f"synapses/{number}/{end}", data=getattr(one, end))
        width, names = len(one.places), kept.variables
        if number in layout.histograms:
            width, names = layout.histograms[number][2], ("counts",)
        for name in names:
            place, kind = f"synapses/{number}/{name}", np.int64 if name == "counts" else float
            streams[place] = _Grid(group, place, (layout.trials, len(steps), width), kind)
    for name, bins in layout.rate_bins().items():
        streams[f"rates/{name}"] = _Grid(group, f"rates/{name}", (layout.trials, bins.count), np.int64)
    for segment, trial in segments if streams else ():
        with _Opened(segment) if isinstance(segment, Path) else nullcontext(segment) as recorded:
            for name, stream in streams.items():
                stream.append(recorded[name][()], trial)
    for name in layout.spikes:
        first = np.concatenate([[0], np.cumsum(streams[f"spikes/{name}/steps"].counts)])
        group.create_dataset(f"spikes/{name}/first", data=first.astype(np.int64))


class _Stream:
    """A dataset that is filled piece by piece; `counts` is how much each trial has so far."""

    counts: Array

    def append(self, values: Array, trial: int) -> None:
        """Put values of a trial after those that it has."""
        raise NotImplementedError(type(self).__name__)


class _Spikes(_Stream):
    """One number a spike, trial after trial."""

    def __init__(self, group: h5py.Group, name: str, trials: int):
        self.data = group.create_dataset(
            name, shape=(0,), maxshape=(None,), dtype=np.int32, chunks=(CHUNK,), **STORAGE
        )
        self.counts = np.zeros(trials, dtype=np.int64)

    def append(self, values: Array, trial: int) -> None:
        """Put them at the end."""
        self.data.resize((len(self.data) + len(values),))
        self.data[len(self.data) - len(values) :] = values
        self.counts[trial] += len(values)


class _Grid(_Stream):
    """As many values in every trial."""

    def __init__(self, group: h5py.Group, name: str, shape: tuple[int, ...], kind: Any):
        rows = max(CHUNK // max(math.prod(shape[2:]), 1), 1)
        chunks = (1, min(max(shape[1], 1), rows), *(min(size, 16 * CHUNK) for size in shape[2:]))
        whole = {} if 0 in shape else {"chunks": chunks, **STORAGE}
        self.data = group.create_dataset(name, shape=shape, dtype=kind, **whole)
        self.counts = np.zeros(shape[0], dtype=np.int64)

    def append(self, values: Array, trial: int) -> None:
        """Put them after those of their trial."""
        begin = int(self.counts[trial])
        self.data[trial, begin : begin + len(values)] = values
        self.counts[trial] += len(values)


@dataclass(frozen=True)
class RecordedTrace:
    """The course of some variables of some neurons, read when it is asked for: `trace["v"]` is `(samples, neurons)`.

    `times` are the seconds of a trial at which the steps begin whose values were kept.
    """

    monitors: Monitors
    number: int
    population: str
    variables: tuple[str, ...]
    neurons: tuple[int, ...]
    times: Array

    def __getitem__(self, variable: str) -> Array:
        """A variable in the first trial, `(samples, neurons)`, in SI."""
        return self.read(variable)

    def read(self, variable: str, trial: int = 0, first: int = 0) -> Array:
        """A variable in a trial, from a sample on, `(samples, neurons)`, in SI.

        Raises:
            ModelError: if it was not recorded, or there is no such trial.
        """
        if variable not in self.variables:
            raise UnknownName(
                f"this trace of '{self.population}' has no variable '{variable}'.{suggestion(variable, self.variables)}"
            )
        self.monitors.check_trial(trial)
        with self.monitors.opened() as group:
            found: Array = group[f"traces/{self.number}/{variable}"][trial, first:]
            return found


@dataclass(frozen=True)
class RecordedSynapses:
    """Weights, or what short-term dynamics keep, in time, read when they are asked for: `weights["w"]` and
    `resources["x"]` are `(samples, synapses)`, in SI.

    `pre` and `post` `(synapses,)` are the neurons that each joins, `times` the seconds of a trial at which the steps
    begin in which they were kept. Where a histogram is kept in place of them, `edges` `(bins + 1,)` are its edges, and
    `counts` its numbers.
    """

    monitors: Monitors
    number: int
    pathway: str
    variables: tuple[str, ...]
    pre: Array
    post: Array
    times: Array
    edges: Array | None = None

    def __getitem__(self, variable: str) -> Array:
        """A variable in the first trial, `(samples, synapses)`, in SI."""
        return self.read(variable)

    def read(self, variable: str = "w", trial: int = 0, every: int = 1) -> Array:
        """A variable in a trial, of every so many-th sample, `(samples, synapses)`, in SI.

        Raises:
            ModelError: if it was not recorded, or there is no such trial.
        """
        if variable not in self.variables or self.edges is not None:
            known = self.variables if self.edges is None else ("counts()",)
            raise UnknownName(f"no '{variable}' of '{self.pathway}' was recorded.{suggestion(variable, known)}")
        return self._read(variable, trial, every)

    def counts(self, trial: int = 0, every: int = 1) -> Array:
        """How many weights lie between two `edges` in a trial, of every so many-th sample, `(samples, bins)`.

        Raises:
            ModelError: if no histogram was recorded, or there is no such trial.
        """
        if self.edges is None:
            raise UnknownName(f"no histogram of '{self.pathway}' was recorded.{suggestion('counts', self.variables)}")
        return self._read("counts", trial, every)

    def _read(self, name: str, trial: int, every: int) -> Array:
        self.monitors.check_trial(trial)
        with self.monitors.opened() as group:
            found: Array = group[f"synapses/{self.number}/{name}"][trial, ::every]
            return found


class Monitors:
    """What was recorded, in the file of a result.

    Args:
        path: the file.
        experiment: that of the result.
        keeps: what must live as long as this does, such as a folder that is removed with it.
        done: how many steps a run that was continued had made.
    """

    def __init__(self, path: Path, experiment: Experiment, keeps: Any = None, done: int = 0):
        self.path, self.layout, self._keeps = path, Layout(experiment, done), keeps
        self._found = self._state()
        with h5py.File(path, "r") as file:
            self._first = {name: file[f"{GROUP}/spikes/{name}/first"][()] for name in self.layout.spikes}

    def _state(self) -> tuple[int, int, int]:
        """By which it is seen that the file is another one now."""
        try:
            found = self.path.stat()
        except OSError:
            raise NoSuchFile(
                f"what this result recorded was in '{self.path}', which is no longer there. Load the result from where"
                " it is now."
            ) from None
        return found.st_ino, found.st_size, found.st_mtime_ns

    def opened(self) -> _Opened:
        """The group of the file that holds it, while a `with` lasts.

        Raises:
            FileError: if the file has gone or is another one.
        """
        if self._state() != self._found:
            raise ChangedSince(f"'{self.path}' has changed since it was read. Load the result again.")
        return _Opened(self.path)

    def check_trial(self, trial: int) -> None:
        """Refuse a trial that there was not.

        Raises:
            OutOfRange: saying which there are.
        """
        if not 0 <= trial < self.layout.trials:
            raise OutOfRange(f"trial must be from 0 to {self.layout.trials - 1}; got {trial}.")

    @property
    def counts(self) -> dict[str, int]:
        """How many spikes of each population are kept."""
        return {name: int(first[-1]) for name, first in self._first.items()}

    def recorded(self, population: str) -> Array:
        """Of which neurons of a population spikes are kept, as numbers."""
        return np.flatnonzero(self.layout.spikes[population])

    def spikes(
        self, population: str, trial: int = 0, start: float = 0.0, stop: float | None = None
    ) -> tuple[Array, Array]:
        """The spikes of a trial from `start` to before `stop`: neurons `(n,)` and times in seconds `(n,)`.

        Raises:
            ModelError: if no spikes of the population were recorded, or there is no such trial.
        """
        if population not in self._first:
            raise UnknownName(f"no spikes of '{population}' were recorded.{suggestion(population, self._first)}")
        self.check_trial(trial)
        first, last = (int(place) for place in self._first[population][trial : trial + 2])
        with self.opened() as group:
            kept = group[f"spikes/{population}"]
            if start > 0:
                first = _place(kept["steps"], first, last, start / self.layout.dt)
            if stop is not None:
                last = _place(kept["steps"], first, last, stop / self.layout.dt)
            return kept["neurons"][first:last], kept["steps"][first:last] * self.layout.dt

    @cached_property
    def traces(self) -> tuple[RecordedTrace, ...]:
        """What `record.traces` asked for, in its order."""
        return tuple(
            RecordedTrace(
                self, number, trace.population, trace.variables, trace.neurons, _times(steps, self.layout.dt)
            )
            for number, (trace, steps) in enumerate(self.layout.traces)
        )

    @cached_property
    def synapses(self) -> tuple[RecordedSynapses, ...]:
        """What `record.synapses` asked for, in its order."""
        found = []
        with self.opened() as group:
            for number, (kept, steps) in enumerate(self.layout.synapses):
                pre, post = (group[f"synapses/{number}/{end}"][()] for end in ("pre", "post"))
                low, high, bins = self.layout.histograms.get(number, (0.0, 0.0, 0))
                edges = np.linspace(low, high, bins + 1) if bins else None
                times = _times(steps, self.layout.dt)
                found.append(RecordedSynapses(self, number, kept.pathway, kept.variables, pre, post, times, edges))
        return tuple(found)

    def rates(self, population: str, trial: int = 0) -> tuple[Array, Array]:
        """The rate of a population: where each bin begins in seconds, and spikes a second and neuron, `(bins,)` each.

        Raises:
            ModelError: if rates were not recorded, or there is no such population or trial.
        """
        known = self.layout.sizes if self.layout.bin is not None else {}
        if self.layout.bin is None or population not in known:
            raise UnknownName(f"no rate of '{population}' was recorded.{suggestion(population, known)}")
        self.check_trial(trial)
        width = self.layout.bin * self.layout.dt
        with self.opened() as group:
            counts = group[f"rates/{population}"][trial]
        begin = self.layout.begin * self.layout.dt
        return begin + width * np.arange(len(counts)), counts / (width * known[population])

    def pieces(self, population: str) -> Iterator[tuple[int, Array, Array]]:
        """All spikes of a population in pieces of bounded size: trial, neurons, and times in seconds."""
        for trial, (first, last) in enumerate(
            zip(self._first[population][:-1], self._first[population][1:], strict=True)
        ):
            for begin in range(int(first), int(last), 16 * CHUNK):
                end = min(begin + 16 * CHUNK, int(last))
                with self.opened() as group:
                    kept = group[f"spikes/{population}"]
                    yield trial, kept["neurons"][begin:end], kept["steps"][begin:end] * self.layout.dt

    def copy(self, file: h5py.File) -> None:
        """Write all of it into another file."""
        with self.opened() as group:
            group.copy(group, file, name=GROUP)

    def describe(self) -> str:
        """What is recorded, in one line."""
        layout, parts = self.layout, []
        for name, count in self.counts.items():
            neurons = int(layout.spikes[name].sum())
            some = "" if neurons == layout.sizes[name] else f" of {neurons} of {layout.sizes[name]} neurons"
            parts.append(f"{count:,} spikes of {name}{some}")
        for trace, steps in layout.traces:
            names = ", ".join(f"{trace.population}.{variable}" for variable in trace.variables)
            count = len(trace.neurons)
            parts.append(
                f"{names} of {count} neuron{'s' if count != 1 else ''} every {as_time(steps.step * layout.dt)}"
            )
        for (_, steps), kept in zip(layout.synapses, self.synapses, strict=True):
            names = ", ".join(f"{kept.pathway}.{variable}" for variable in kept.variables)
            how = "" if kept.edges is None else f" in {len(kept.edges) - 1} bins"
            count = len(kept.pre)
            parts.append(
                f"{names} of {count:,} synapse{'s' if count != 1 else ''}{how} every {as_time(steps.step * layout.dt)}"
            )
        if layout.bin is not None:
            parts.append(f"rates in bins of {as_time(layout.bin * layout.dt)}")
        return "; ".join(parts) or "nothing"


def monitor_frames(
    monitors: Monitors, measures: Sequence[ActivityMeasures], declared: Sequence[Mapping[str, Any]]
) -> dict[str, pd.DataFrame]:
    """Measures, and all that was recorded, as pandas tables; see `Result.frames`."""
    import pandas as pd

    layout = monitors.layout
    spikes = [
        pd.DataFrame({"population": name, "trial": trial, "neuron": neurons, "time": times})
        for name in layout.spikes
        for trial, neurons, times in monitors.pieces(name)
    ]
    traces = [
        pd.DataFrame({
            "population": trace.population,
            "trial": trial,
            "neuron": np.tile(trace.neurons, len(trace.times)),
            "variable": variable,
            "time": np.repeat(trace.times, len(trace.neurons)),
            "value": trace.read(variable, trial).ravel(),
        })
        for trace in monitors.traces
        for variable in trace.variables
        for trial in range(layout.trials)
    ]
    weights = [
        pd.DataFrame({
            "pathway": kept.pathway,
            "trial": trial,
            "pre": np.tile(kept.pre, len(kept.times)),
            "post": np.tile(kept.post, len(kept.times)),
            "variable": variable,
            "time": np.repeat(kept.times, len(kept.pre)),
            "value": kept.read(variable, trial).ravel(),
        })
        for kept in monitors.synapses
        if kept.edges is None
        for variable in kept.variables
        for trial in range(layout.trials)
    ]
    histograms = [
        pd.DataFrame({
            "pathway": kept.pathway,
            "trial": trial,
            "time": np.repeat(kept.times, len(kept.edges) - 1),
            "low": np.tile(kept.edges[:-1], len(kept.times)),
            "high": np.tile(kept.edges[1:], len(kept.times)),
            "synapses": kept.counts(trial).ravel(),
        })
        for kept in monitors.synapses
        if kept.edges is not None
        for trial in range(layout.trials)
    ]
    rates = []
    for name in layout.sizes if layout.bin is not None else ():
        for trial in range(layout.trials):
            times, rate = monitors.rates(name, trial)
            rates.append(pd.DataFrame({"population": name, "trial": trial, "time": times, "rate": rate}))
    columns = {
        "spikes": ["population", "trial", "neuron", "time"],
        "traces": ["population", "trial", "neuron", "variable", "time", "value"],
        "rates": ["population", "trial", "time", "rate"],
    }
    parts = {"spikes": spikes, "traces": traces, "rates": rates}
    if weights:
        parts["synapses"] = weights
    if histograms:
        parts["histograms"] = histograms
    tables = {"measures": pd.DataFrame([asdict(measured) for measured in measures])}
    if declared:
        tables["declared"] = pd.DataFrame(list(declared))
    return tables | {
        name: pd.concat(parts[name], ignore_index=True) if parts[name] else pd.DataFrame(columns=columns[name])
        for name in parts
    }


Dimensioned = tuple[tuple[str, ...], Array]


def monitor_arrays(monitors: Monitors) -> tuple[dict[str, Dimensioned], dict[str, Dimensioned]]:
    """All that was recorded as arrays with the names of their dimensions, and the coordinates of these; see
    `Result.to_xarray`."""
    layout = monitors.layout
    arrays: dict[str, Dimensioned] = {}
    coordinates: dict[str, Dimensioned] = {"trial": (("trial",), np.arange(layout.trials))}
    for name in layout.spikes:
        pieces = list(monitors.pieces(name))
        one = (f"{name}_spike",)
        trials = np.repeat([t for t, _, _ in pieces], [len(n) for _, n, _ in pieces]).astype(np.int64)
        arrays[f"{name}.trial"] = (one, trials)
        arrays[f"{name}.neuron"] = (one, np.concatenate([np.zeros(0, np.int32), *(n for _, n, _ in pieces)]))
        arrays[f"{name}.time"] = (one, np.concatenate([np.zeros(0), *(times for _, _, times in pieces)]))
    for trace in monitors.traces:
        number = 0
        while f"{trace.population}{_number(number)}_time" in coordinates:
            number += 1
        over = ("trial", *(f"{trace.population}{_number(number)}_{kind}" for kind in ("time", "neuron")))
        coordinates |= {over[1]: (over[1:2], trace.times), over[2]: (over[2:], np.array(trace.neurons))}
        for variable in trace.variables:
            values = np.array([trace.read(variable, trial) for trial in range(layout.trials)])
            arrays[f"{trace.population}.{variable}{_number(number)}"] = (over, values)
    _synapse_arrays(monitors, arrays, coordinates)
    for name in layout.sizes if layout.bin is not None else ():
        found = [monitors.rates(name, trial) for trial in range(layout.trials)]
        coordinates["rate_time"] = (("rate_time",), found[0][0])
        arrays[f"{name}.rate"] = (("trial", "rate_time"), np.array([rate for _, rate in found]))
    return arrays, coordinates


def _synapse_arrays(
    monitors: Monitors, arrays: dict[str, Dimensioned], coordinates: dict[str, Dimensioned]
) -> None:
    """Add weights in time."""
    trials = range(monitors.layout.trials)
    for kept in monitors.synapses:
        number = 0
        while f"{kept.pathway}{_number(number)}_time" in coordinates:
            number += 1
        name = f"{kept.pathway}{_number(number)}"
        coordinates[f"{name}_time"] = ((f"{name}_time",), kept.times)
        if kept.edges is not None:
            over = ("trial", f"{name}_time", f"{name}_bin")
            coordinates[over[2]] = (over[2:], kept.edges[:-1])
            arrays[f"{kept.pathway}.counts{_number(number)}"] = (over, np.array([kept.counts(t) for t in trials]))
            continue
        over = ("trial", f"{name}_time", f"{name}_synapse")
        coordinates |= {f"{name}_{end}": (over[2:], getattr(kept, end)) for end in ("pre", "post")}
        for variable in kept.variables:
            values = np.array([kept.read(variable, trial) for trial in trials])
            arrays[f"{kept.pathway}.{variable}{_number(number)}"] = (over, values)


def _counts(weights: Array, low: float, high: float, bins: int) -> Array:
    """How many weights `(samples, synapses)` lie in each bin, `(samples, bins)`; outer ones in the outermost."""
    edges = np.linspace(low, high, bins + 1)
    places = np.clip(np.searchsorted(edges, weights, side="right") - 1, 0, bins - 1)
    rows = np.arange(len(weights))[:, None] * bins
    return np.bincount((places + rows).ravel(), minlength=len(weights) * bins).reshape(len(weights), bins)


def _times(steps: range, dt: float) -> Array:
    """The times of steps in seconds, with no second array beside them."""
    times = np.arange(steps.start, steps.stop, steps.step, dtype=float)
    times *= dt
    return times


def _number(number: int) -> str:
    return f"_{number}" if number else ""


class Unassembled:
    """What was recorded, still in the segments (`assemble`)."""

    def __init__(self, layout: Layout, segments: Sequence[Kept], chosen: Sequence[Chosen] = ()):
        self.layout, self.segments, self.chosen = layout, segments, chosen

    def copy(self, file: h5py.File) -> None:
        """Write all of it into a file."""
        assemble(file, self.layout, self.segments, self.chosen)


class _Opened:
    """The group of an HDF5 file while a `with` lasts."""

    def __init__(self, path: Path):
        self._path = path

    def __enter__(self) -> h5py.Group:
        self._file = h5py.File(self._path, "r")
        return self._file[GROUP]

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _place(steps: h5py.Dataset, first: int, last: int, time: float) -> int:
    """The first of some spikes, which are in the order of time, that is not before a time, in steps."""
    step = math.ceil(time - 1e-6)
    while first < last:
        middle = (first + last) // 2
        if steps[middle] < step:
            first = middle + 1
        else:
            last = middle
    return first
