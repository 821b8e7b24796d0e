"""A result: plain data about one finished run, and its file.

One HDF5 file holds everything: the experiment as TOML, the seed, what was recorded, weight
snapshots, evaluations, the final state, and provenance. A result file is whole or absent.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from bioFA.analysis.alignment import alignment_angle, angles, norm_ratio, pseudoinverse_angle
from bioFA.analysis.spikes import spike_statistics
from bioFA.analysis.streamed_activity import ActivityMeasures
from bioFA.consumers.base import Recording
from bioFA.errors import Unavailable
from bioFA.experiment import Experiment
from bioFA.modelfiles import toml
from bioFA.network import Pathway
from bioFA.optional import require
from bioFA.repr_html import shown
from bioFA.runs.activity import Activity
from bioFA.runs.declared import DeclaredMeasure
from bioFA.runs.monitors import (
    GROUP,
    Monitors,
    RecordedSynapses,
    RecordedTrace,
    Unassembled,
    monitor_arrays,
    monitor_frames,
)
from bioFA.runs.provenance import refuse_format
from bioFA.runs.trained import Trained, new_file, opened, read_state, refuse_of_others, sha256
from bioFA.tasks.base import named
from bioFA.units import as_time

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray
FORMAT, NEWEST = 1, 2
"""The format of a result, and that of one in which time passes, which an older bioFA cannot read."""
RESULT = "result.h5"
"""What a run's result is called in its folder."""
FROM_RUN = f"Give the {RESULT} that 'biofa run' wrote."
UNEQUAL = 2.0
"""Classes are unequal where one has so many times as many examples as another."""
LAST_EXAMPLES = 50
"""The training error of a run is taken over this many of its last recorded presentations,
or the last half of fewer than twice as many."""
LAST_ANGLES = 200
"""The alignment of a run is the median over its last this many presentations, or the last half of no more."""
ACTIVITY = ("spikes", "sampled", "courses")
"""The arrays of an `Activity`, as they are kept."""
BINS = 100
"""For a comparison a learning curve is thinned to at most this many means."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a run (`diagnosis.py`): its kind, the population, pathway or variable,
    and the message."""

    kind: str
    place: str
    says: str


@dataclass(frozen=True)
class Result:
    """One finished run.

    `recording` holds what was recorded, `targets` `(n, n_out)` the targets of those
    presentations; `snapshots[name]` stacks `pathway.w` at the presentations `snapshots_at`,
    the first of them 0; `evaluations` are rows `presentation, split, nse, error`; `findings` say what is wrong with the
    run; `firing_rates` are the mean rates in Hz of spiking populations at its end, and `activity` their spikes,
    where neurons spike.

    Where time passes without a task all of these are empty, and `presentations` counts the trials of this run, numbered
    from 0 also where it continues another (`continued`): `measures` hold what
    each spiking population did, `declared` what `Experiment.measures` asks for, `spectra[population]` `(2, n)` the
    spectrum of its rate, as `population_activity` has it, frequencies in Hz above power density, and `monitors` what
    was recorded, which is read from the file of the result when it is asked for (`spikes`, `traces`, `synapses`,
    `rates`).
    """

    experiment: Experiment
    seed: int
    backend: str
    presentations: int
    recording: Recording
    targets: Array
    snapshots_at: Array
    snapshots: Mapping[str, Array]
    evaluations: tuple[Mapping[str, Any], ...]
    state: Mapping[str, Array]
    timing: Mapping[str, Any]
    provenance: Mapping[str, Any] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    firing_rates: Mapping[str, float] = field(default_factory=dict)
    activity: Activity | None = None
    measures: tuple[ActivityMeasures, ...] = ()
    declared: tuple[DeclaredMeasure, ...] = ()
    spectra: Mapping[str, Array] = field(default_factory=dict)
    monitors: Monitors | Unassembled | None = None

    @property
    def free(self) -> bool:
        """Whether time passed without a task."""
        return self.experiment.free

    def spikes(
        self, population: str, trial: int = 0, start: float = 0.0, stop: float | None = None
    ) -> tuple[Array, Array]:
        """Recorded spikes of a run in which time passes: neurons `(n,)` and times in seconds of the trial `(n,)`.

        Args:
            population: of which.
            trial: in which, from 0.
            start: only spikes from this time on, in seconds;
            stop: and before this one.

        Raises:
            ModelError: if they were not recorded.
            FileError: if the file of the result has gone or changed.
        """
        return self._monitors.spikes(population, trial, start, stop)

    @property
    def traces(self) -> tuple[RecordedTrace, ...]:
        """What `record.traces` asked for, in its order: `result.traces[0]["v"]` is `(samples, neurons)` in SI, at
        `result.traces[0].times` seconds."""
        return self._monitors.traces if isinstance(self.monitors, Monitors) else ()

    @property
    def synapses(self) -> tuple[RecordedSynapses, ...]:
        """What `record.synapses` asked for, in its order: `result.synapses[0]["w"]` is `(samples, synapses)` in SI, at
        `result.synapses[0].times` seconds."""
        return self._monitors.synapses if isinstance(self.monitors, Monitors) else ()

    @property
    def recorded_spikes(self) -> dict[str, int]:
        """How many spikes were recorded, by the populations of which they were."""
        return self._monitors.counts if isinstance(self.monitors, Monitors) else {}

    @property
    def recorded_rates(self) -> dict[str, float]:
        """The width in seconds of the bins of the recorded rates, by population."""
        layout = self._monitors.layout if isinstance(self.monitors, Monitors) else None
        return {} if layout is None or layout.bin is None else dict.fromkeys(layout.sizes, layout.bin * layout.dt)

    def trains(self, population: str, trial: int = 0) -> Iterator[tuple[int, Array]]:
        """Of each neuron whose spikes are kept, its number and its times in a trial, in seconds.

        Raises:
            ModelError: as `spikes`.
        """
        neurons, times = self.spikes(population, trial)
        order = np.argsort(neurons, kind="stable")
        recorded = self._monitors.recorded(population)
        first = np.searchsorted(neurons[order], [*recorded, np.iinfo(np.int32).max])
        for place, number in enumerate(recorded):
            yield int(number), times[order[first[place] : first[place + 1]]]

    def rates(self, population: str, trial: int = 0) -> tuple[Array, Array]:
        """The recorded rate of a population (`record.rates`): where each bin begins in seconds, and spikes a second and
        neuron, `(bins,)` each.

        Raises:
            ModelError: if it was not recorded.
            FileError: if the file of the result has gone or changed.
        """
        return self._monitors.rates(population, trial)

    @property
    def _monitors(self) -> Monitors:
        if not isinstance(self.monitors, Monitors):
            raise Unavailable(
                f"the run of '{self.experiment.name}' presented examples, so it recorded no spikes in time. Spikes are"
                " recorded where time passes without a task: protocol = { duration = '1 second', dt = '0.1 ms' }."
            )
        return self.monitors

    def stored(self, path: Path, keeps: Any = None) -> Result:
        """The same result, what was recorded being read from the file at `path`, to which it was saved.

        Args:
            path: the file.
            keeps: what must live as long as the result, such as a folder that goes with it.
        """
        if not self.free:
            return self
        return replace(self, monitors=Monitors(path, self.experiment, keeps, self.continued))

    @property
    def continued(self) -> int:
        """Where time passes without a task: how many steps, all trials together, the run that this one continued had
        made; what is measured and recorded here is what came after them."""
        return int(self.provenance.get("after", {}).get("steps", 0))

    @cached_property
    def learning_curve(self) -> Array:
        """NSE of each recorded presentation, before learning from it, `(n,)`; between spike trains the van
        Rossum distance over that of a silent output."""
        if self.free:
            return np.zeros(0)
        error, power = self.experiment.squares(self.recording.arrays, self.targets)
        # targets that are all 0 have no power to measure against
        return error / power.mean() if power.any() else np.full(len(power), np.nan)

    @cached_property
    def feedback_angles(self) -> dict[str, Array]:
        """For each measured feedback pathway, the angle in degrees between the fed-back error and
        its probe in each recorded presentation, `(n,)`: B e against W' e."""
        arrays = self.recording.arrays
        return {
            p.name: angles(arrays[f"{p.target}.error"], arrays[f"{p.target}.probe"])
            for p in self.experiment.network.measured_feedback()
        }

    @cached_property
    def alignment_course(self) -> dict[str, dict[str, Array]]:
        """For each measured feedback pathway, over the snapshots: `alignment` (B against W'),
        `pseudoinverse` (B against pinv W) in degrees, and `norm_ratio`; NaN while weights are zero."""
        measures = (("alignment", alignment_angle), ("pseudoinverse", pseudoinverse_angle), ("norm_ratio", norm_ratio))
        shots = range(len(self.snapshots_at))
        return {
            pathway.name: {name: self._compared(pathway, shots, measure) for name, measure in measures}
            for pathway in self.experiment.network.measured_feedback()
        }

    def _compared(self, pathway: Pathway, shots: Iterable[int], measure: Callable[[Array, Array], float]) -> Array:
        """A measure of a feedback matrix against what it stands for, in some snapshots; NaN while weights are zero."""
        pairs = [self._pair(pathway, index) for index in shots]
        return np.array([measure(b, w) if w.any() and b.any() else np.nan for b, w in pairs])

    def _pair(self, pathway: Pathway, index: int) -> tuple[Array, Array]:
        """The feedback matrix at a place, and the forward matrix that it stands for, in one snapshot."""
        network = self.experiment.network
        forward = self.snapshots[f"{pathway.stands_for}.w"][index]
        if pathway.weights.shares is not None and pathway.weights.shares == pathway.stands_for:
            pathway = network.arriving(pathway.target, "probe")[0]
        weights = {name: array[index] for name, array in self.snapshots.items()}
        # another matrix in every presentation, so none to keep: their mean magnitudes are equal
        if pathway.weights.redrawn:
            weights[f"{pathway.name}.w"] = np.ones(network.shape(pathway))
        return network.effective(pathway, weights), forward

    @property
    def alignment(self) -> dict[str, float | None]:
        """Alignment angle of each measured feedback pathway in degrees: B against W', the median
        over the snapshots of the last 200 presentations."""
        if not len(self.snapshots_at):
            return {}
        first, last = int(self.snapshots_at[0]), int(self.snapshots_at[-1])
        late = self.snapshots_at >= last - late_angles(last - first)
        shots = np.flatnonzero(late).tolist()
        return {
            pathway.name: _median(self._compared(pathway, shots, alignment_angle))
            for pathway in self.experiment.network.measured_feedback()
        }

    @cached_property
    def confusion(self) -> dict[str, Array]:
        """For each split with classes, how many examples of each (row) were answered as each (column) at the end,
        `(classes, classes)`; not in results of older versions."""
        return {
            str(row["split"]): np.array(row["confusion"]) for row in self.evaluations
            if row["presentation"] == self.presentations and row.get("confusion") is not None
        }

    @property
    def class_errors(self) -> dict[str, Array]:
        """For each split of `confusion`, the share of each class that was answered wrongly, `(classes,)`;
        NaN of a class without examples."""
        with np.errstate(invalid="ignore"):
            return {split: 1 - np.diag(matrix) / matrix.sum(axis=1) for split, matrix in self.confusion.items()}

    @property
    def class_balance(self) -> dict[str, dict[str, float]]:
        """What an error rate is to be seen beside, for each split of `confusion`: `largest`, the share of the most
        frequent class; `constant_error`, the error of always answering it; `balanced_error`,
        the mean over classes of the error of each."""
        found = {}
        for split, matrix in self.confusion.items():
            shares = matrix.sum(axis=1) / matrix.sum()
            balanced = float(np.nanmean(self.class_errors[split]))
            found[split] = {
                "largest": float(shares.max()),
                "constant_error": float(1 - shares.max()),
                "balanced_error": balanced,
            }
        return found

    @property
    def metrics(self) -> dict[str, float]:
        """The numbers of the run: `nse` over the last 50 recorded training presentations, `nse_first`
        over the first 50 (the last and the first half of fewer than 100; neither where none was recorded), and
        `<split>_nse`, `<split>_error` at the end, as fractions. Between spike trains also `van_rossum` and
        `van_rossum_first`, the distance itself, and `<split>_van_rossum`.

        Where time passes without a task: of each spiking population `<population>.rate` and `.peak_hz` in Hz, `.cv`,
        `.fano` and `.synchrony`, and the declared measures by their labels, without those that too few spikes tell
        (`measures` and `declared` have what each was measured on)."""
        if self.free:
            numbers = {
                f"{measured.population}.{name}": value
                for measured in self.measures
                for name, value in measured.numbers().items()
            }
            return numbers | {one.label: one.value for one in self.declared if one.value is not None}
        curve, found = self.learning_curve, {}
        count = late_part(len(curve), LAST_EXAMPLES)
        if count:
            found = {"nse_first": float(curve[:count].mean()), "nse": float(curve[-count:].mean())}
        if count and self.experiment.network.measure:
            distance, _ = self.experiment.squares(self.recording.arrays, self.targets)
            found |= {"van_rossum_first": float(distance[:count].mean()), "van_rossum": float(distance[-count:].mean())}
        for row in self.evaluations:
            if row["presentation"] == self.presentations:
                if "van_rossum" in row:
                    found[f"{row['split']}_van_rossum"] = row["van_rossum"]
                if row["nse"] is not None:  # every target is 0, so there is nothing to measure against
                    found[f"{row['split']}_nse"] = row["nse"]
                if row.get("error") is not None:
                    found[f"{row['split']}_error"] = row["error"]
        return found

    @cached_property
    def spike_statistics(self) -> dict[str, dict[str, float | None]]:
        """CV of intervals, Fano factor and correlation of each spiking population in its `activity`
        (`analysis/spikes.py`); empty without one.

        Raises:
            MissingError: if Elephant is not installed.
        """
        protocol = self.experiment.protocol
        return (
            {}
            if self.activity is None
            else {
                name: spike_statistics(spikes, self.activity.presentations, protocol.steps, protocol.step)
                for name, spikes in self.activity.spikes.items()
            }
        )

    @property
    def trained(self) -> Trained:
        """The network as the run left it."""
        return Trained(self.experiment, self.seed, self.presentations, self.state)

    @property
    def ended_early(self) -> str | None:
        """Why the run ended before its last presentation (`Protocol.stop`), or None."""
        return self.provenance.get("ended_early")

    @property
    def data_notes(self) -> tuple[str, ...]:
        """What of the data was not read, not shown or left out, and what about it is doubtful, a sentence each."""
        return tuple(self.provenance.get("data_notes", ()))

    def frames(self) -> dict[str, pd.DataFrame]:
        """The courses of the run as pandas tables.

        `learning_curve`: presentation, nse, one row a recorded presentation; `evaluations`: presentation, split, nse,
        error (a fraction, missing without labels); `alignment`: presentation, pathway, alignment,
        pseudoinverse (degrees), norm_ratio, one row a snapshot and feedback pathway.

        Where time passes without a task: `measures`, one row a population; `declared`, one row a measure, if any;
        `spikes`: population, trial, neuron, time
        (s); `traces`: population, trial, neuron, variable, time (s), value (SI); `rates`: population, trial, time (s),
        rate (Hz). Where synapses were recorded, `synapses`: pathway, trial, pre, post, variable, time (s), value
        (SI); and `histograms` of them: pathway, trial, time (s), low, high (SI), synapses.
        """
        import pandas as pd

        if self.free:
            return monitor_frames(self._monitors, self.measures, [one.numbers() for one in self.declared])

        alignment = [
            {
                "presentation": int(at),
                "pathway": name,
                **{measure: float(values[index]) for measure, values in course.items()},
            }
            for name, course in self.alignment_course.items()
            for index, at in enumerate(self.snapshots_at)
        ]
        return {
            "learning_curve": pd.DataFrame({"presentation": self.recording.at, "nse": self.learning_curve}),
            "evaluations": pd.DataFrame(
                [dict(row) for row in self.evaluations], columns=["presentation", "split", "nse", "error"]
            ),
            "alignment": pd.DataFrame(
                alignment, columns=["presentation", "pathway", "alignment", "pseudoinverse", "norm_ratio"]
            ),
        }

    def to_xarray(self) -> Any:
        """The run as an xarray `Dataset`: weights `pathway` over `snapshot`, post- and presynaptic neuron,
        recordings over `presentation`.

        Where time passes without a task: spikes `exc.neuron`, `exc.time` (s) and `exc.trial` over `exc_spike`; traces
        `exc.v` over `trial`, `exc_time` and `exc_neuron`; rates `exc.rate` (Hz) over `trial` and `rate_time`; of a
        second trace of a population and variable, `exc.v_1`; weights in time `loop.w` over `trial`, `loop_time` and
        `loop_synapse`, with the coordinates `loop_pre` and `loop_post`, or, of a histogram, `loop.counts` over `trial`,
        `loop_time` and `loop_bin`.

        Raises:
            MissingError: if xarray is not installed.
        """
        xarray = require("xarray", "xarray", "a dataset of xarray")
        if self.free:
            found, coordinates = monitor_arrays(self._monitors)
            about = {"model": self.experiment.name, "seed": self.seed, "trials": self.presentations}
            return xarray.Dataset(found, coords=coordinates, attrs=about)
        network = self.experiment.network
        arrays: dict[str, tuple[tuple[str, ...], Array]] = {"nse": (("presentation",), self.learning_curve)}
        for name, array in self.recording.arrays.items():
            arrays[name] = (("presentation", f"{name.split('.')[0]}_neuron"), array)
        for name, array in self.snapshots.items():
            pathway = network.pathway(name.removesuffix(".w"))
            arrays[pathway.name] = (("snapshot", f"{pathway.target}_neuron", f"{pathway.source}_presynaptic"), array)
        return xarray.Dataset(
            arrays,
            coords={"presentation": self.recording.at, "snapshot": self.snapshots_at},
            attrs={
                "model": self.experiment.name,
                "scheme": self.experiment.scheme,
                "seed": self.seed,
                "presentations": self.presentations,
            },
        )

    def summary(self) -> dict[str, Any]:
        """What `biofa run --json` prints."""
        if self.free:
            return self._free_summary()
        return {
            "model": self.experiment.name,
            "scheme": self.experiment.scheme,
            "seed": self.seed,
            "backend": self.backend,
            "presentations": self.presentations,
            "ended_early": self.ended_early,
            "rates": self.experiment.rates_in_use(),
            "metrics": self.metrics,
            "confusion": {split: matrix.tolist() for split, matrix in self.confusion.items()},
            "class_errors": {split: errors.tolist() for split, errors in self.class_errors.items()},
            "class_balance": self.class_balance,
            "alignment": self.alignment,
            "feedback_angle": {
                name: _median(course[len(course) - late_angles(len(course)) :])
                for name, course in self.feedback_angles.items()
            },
            "findings": [asdict(finding) for finding in self.findings],
            "rounded_times": dict(self.experiment.rounded_times),
            "data_notes": list(self.data_notes),
            "firing_rates_hz": dict(self.firing_rates),
            "firing_rates_window": self.window,
            "timing": dict(self.timing),
        }

    def _free_summary(self) -> dict[str, Any]:
        """The summary of a run in which time passes."""
        protocol, layout = self.experiment.protocol, self._monitors.layout
        return {
            "model": self.experiment.name,
            "seed": self.seed,
            "backend": self.backend,
            "trials": self.presentations,
            "duration_s": protocol.duration,
            "warm_up_s": protocol.warm_up,
            "dt_s": protocol.dt,
            "metrics": self.metrics,
            "measures": [asdict(measured) for measured in self.measures],
            "declared": [measured.plain() for measured in self.declared],
            "recorded": {
                "spikes": self._monitors.counts,
                "traces": [trace.model_dump(mode="json") for trace, _ in layout.traces],
                "synapses": [kept.model_dump(mode="json") for kept, _ in layout.synapses],
                "rates_bin_s": None if layout.bin is None else layout.bin * layout.dt,
            },
            "findings": [asdict(finding) for finding in self.findings],
            "rounded_times": dict(self.experiment.rounded_times),
            "data_notes": list(self.data_notes),
            "timing": dict(self.timing),
        }

    def course(self) -> dict[str, Any]:
        """The way of the run in a few hundred numbers, for a comparison.

        `nse` are the means of at most 100 bins of consecutive recorded presentations, at the presentations `at`;
        `alignment` holds the alignment angle of each measured feedback pathway in degrees, None while weights are zero,
        at the presentations `snapshots_at`; `evaluations` are as they were taken.
        """
        count = max(1, min(BINS, len(self.learning_curve)))
        at, nse = (np.array_split(a, count) for a in (self.recording.at + 1, self.learning_curve))
        return {
            "at": [float(b.mean()) for b in at if len(b)],
            "nse": [float(b.mean()) for b in nse if len(b)],
            "snapshots_at": self.snapshots_at.tolist(),
            "alignment": {
                name: [float(a) if np.isfinite(a) else None for a in course["alignment"]]
                for name, course in self.alignment_course.items()
            },
            "evaluations": [dict(row) for row in self.evaluations],
        }

    def __str__(self) -> str:
        if self.free:
            return "\n".join([*self._free_lines(), *(f"  WARNING            {f.says}" for f in self.findings)])
        metrics = self.metrics
        lines = [
            (
                f"Result of {self.experiment.name}, scheme {self.experiment.scheme}, seed {self.seed}, {self.backend}, "
                f"{self.presentations} presentations in {self.timing.get('total_s', 0.0):.1f} s"
            ),
            (
                f"  training NSE       {metrics['nse_first']:.3g} -> {metrics['nse']:.3g}"
                if "nse" in metrics
                else "  training NSE       no training presentation was recorded"
            ),
        ]
        if "van_rossum" in metrics:
            first, last = metrics["van_rossum_first"], metrics["van_rossum"]
            lines[1] = (
                f"  van Rossum dist.   {first:.3g} -> {last:.3g}; over that of a silent output"
                f" {metrics['nse_first']:.3g} -> {metrics['nse']:.3g}"
            )
        for split in ("validation", "test"):
            if f"{split}_error" in metrics:
                lines.append(f"  {split + ' error':<19}{metrics[f'{split}_error']:.1%}{self._beside(split)}")
            elif f"{split}_nse" in metrics:
                lines.append(f"  {split + ' NSE':<19}{metrics[f'{split}_nse']:.3g}")
        for name, course in self.alignment_course.items():
            finite = course["alignment"][np.isfinite(course["alignment"])]
            if len(finite):
                note = (
                    ""
                    if self.experiment.scheme != "bp"
                    else "   (random weights that the error does not use: the control)"
                )
                lines.append(
                    f"  alignment angle    {name}: {finite[0]:.0f} deg -> {self.alignment[name]:.0f} deg{note}"
                )
        plastic = ", ".join(f"{p.name} {self._extent(p)}" for p in self.experiment.network.plastic())
        lines.append(f"  rates              {self.experiment.rates_in_use()['text'] or 'none'}")
        lines.append(f"  learned            {plastic or 'nothing: no pathway has a plasticity rule'}")
        lines += [f"  times              {place}: {how}" for place, how in self.experiment.rounded_times.items()]
        if columns := self.provenance.get("columns"):
            lines.append(
                "  columns            " + "; ".join(f"{kind}: {named(names)}" for kind, names in columns.items())
            )
        if given := self.provenance.get("weights"):
            lines.append(f"  weights given      {_given(given)}")
        lines += [f"  continued with     {change}" for change in self.provenance.get("after", {}).get("changed", ())]
        lines += [f"  data               {note}" for note in self.data_notes]
        if self.ended_early is not None:
            lines.append(f"  ended early        {self.ended_early}")
        if self.firing_rates:
            lines.append(
                "  firing rates       "
                + ", ".join(f"{name} {rate:.0f} Hz" for name, rate in self.firing_rates.items())
                + self._window()
            )
        lines += [f"  note               {caveat}" for caveat in self.experiment.circuit.caveats()]
        lines += [f"  WARNING            {finding.says}" for finding in self.findings]
        return "\n".join(lines)

    def _extent(self, pathway: Pathway) -> str:
        """The shape of a matrix, or how many synapses are listed."""
        if pathway.listed:
            return f"({self.state[f'{pathway.name}.w'].size} synapses)"
        return str(self.experiment.network.shape(pathway))

    def _free_lines(self) -> list[str]:
        """What a run in which time passes did, and what it recorded."""
        protocol = self.experiment.protocol
        times = f"{as_time(protocol.duration or 0.0)} in steps of {as_time(protocol.step)}"
        trials = f"{self.presentations} trials of {times}" if self.presentations > 1 else times
        begin = self._monitors.layout.begin
        counted = as_time(max(protocol.warm_up, begin * protocol.step))
        measured_in = f"{'each ' if self.presentations > 1 else ''}measured from {counted} to its end"
        lines = [
            f"Result of {self.experiment.name}, seed {self.seed}, {self.backend}: {trials}, {measured_in}, in"
            f" {self.timing.get('total_s', 0.0):.1f} s"
        ]
        if self.continued:
            count = self._monitors.layout.first_trial
            done = f"{count} trial{'s' if count > 1 else ''}" if count else as_time(begin * protocol.step)
            lines.append(f"  continued after    {done}")
            lines += [f"  continued with     {change}" for change in self.provenance["after"].get("changed", ())]
        for measured in self.measures:
            rows = measured.rows()
            for place, (name, value, on) in enumerate(rows):
                lines.append(f"  {measured.population if not place else '':<18} {name:<17}{value:<12}{on}")
        if not self.measures:
            lines.append("  measures           none: no population spikes")
        rows = [measured.row() for measured in self.declared]
        width = max((len(label) for label, _, _ in rows), default=0)
        for place, (label, value, on) in enumerate(rows):
            lines.append(f"  {'' if place else 'declared':<18} {label:<{width}} {value:<12}{on}")
        lines.append(f"  recorded           {self._monitors.describe()}")
        if plastic := self.experiment.network.plastic():
            lines.append(f"  rates              {self.experiment.rates_in_use()['text']}, per second")
            learned = ", ".join(f"{pathway.name} {self._extent(pathway)}" for pathway in plastic)
            lines.append(f"  learned            {learned}")
        lines += [f"  times              {place}: {how}" for place, how in self.experiment.rounded_times.items()]
        if given := self.provenance.get("weights"):
            lines.append(f"  weights given      {_given(given)}")
        lines += [f"  data               {note}" for note in self.data_notes]
        return lines

    def _beside(self, split: str) -> str:
        """What stands beside the error rate of a split whose classes are unequal, or which one answer to all would not
        raise."""
        if split not in self.confusion:
            return ""
        balance, counts = self.class_balance[split], self.confusion[split].sum(axis=1)
        if counts.max() < UNEQUAL * max(counts.min(), 1):
            if self.metrics[f"{split}_error"] < balance["constant_error"]:
                return ""
            return (
                f"   (no better than always answering class {int(counts.argmax())}, which is wrong in"
                f" {balance['constant_error']:.1%})"
            )
        return (
            f"   (classes are unequal: {balance['largest']:.0%} are class {int(counts.argmax())}, so that always"
            f" answering it is wrong in {balance['constant_error']:.1%}; mean error of the classes"
            f" {balance['balanced_error']:.1%})"
        )

    @property
    def window(self) -> dict[str, float] | None:
        """What `firing_rates`, `activity` and `spike_statistics` come from: the first `presentations` of training,
        `seconds` in all, shown again with the final weights and learning off; None without spikes."""
        if self.activity is None:
            return None
        protocol = self.experiment.protocol
        return {
            "presentations": self.activity.presentations,
            "seconds": self.activity.presentations * protocol.steps * protocol.step,
        }

    def _window(self) -> str:
        window = self.window
        if window is None:
            return ""
        count = int(window["presentations"])
        return (
            f"   (the first {count} presentation{'s' if count > 1 else ''}, {window['seconds']:g} s, shown again with"
            " the final weights)"
        )

    def _repr_html_(self) -> str | None:
        return shown(self)

    def save(self, path: str | Path) -> Path:
        """Write the result to an HDF5 file that must not exist yet.

        Raises:
            FileError: if there is a file, or the folder cannot be written.
        """
        path = Path(path)
        with new_file(path) as file:
            self._write(file, path.parent)
        return path

    def _write(self, file: h5py.File, folder: Path) -> None:
        file.attrs.update(
            format=FORMAT if self.monitors is None else NEWEST,
            seed=self.seed,
            backend=self.backend,
            presentations=self.presentations,
            experiment=toml.kept(self.experiment, beside=folder),
            evaluations=json.dumps(self.evaluations),
            timing=json.dumps(self.timing),
            provenance=json.dumps(self.provenance),
            findings=json.dumps([asdict(finding) for finding in self.findings]),
            firing_rates=json.dumps(dict(self.firing_rates)),
        )
        if self.monitors is not None:
            file.attrs["measures"] = json.dumps([asdict(measured) for measured in self.measures])
            file.attrs["declared"] = json.dumps([measured.numbers() for measured in self.declared])
            for number, measured in enumerate(self.declared):
                file.create_dataset(f"declared/{number}", data=measured.neurons)
            for name, spectrum in self.spectra.items():
                file.create_dataset(f"spectra/{name}", data=spectrum)
            self.monitors.copy(file)
        for group, arrays in (
            ("recording", {"at": self.recording.at, "targets": self.targets, **self.recording.arrays}),
            ("snapshots", {"at": self.snapshots_at, **self.snapshots}),
            ("state", self.state),
        ):
            for name, array in arrays.items():
                file.create_dataset(f"{group}/{name}", data=array)
        if self.activity is not None:
            file.create_group("activity").attrs["presentations"] = self.activity.presentations
            for group in ACTIVITY:
                for name, array in getattr(self.activity, group).items():
                    file.create_dataset(f"activity/{group}/{name}", data=array, compression="gzip", shuffle=True)


def load_result(path: str | Path, trusted: bool = False, trust_code: bool = False) -> Result:
    """Read a result file.

    Args:
        path: the file.
        trusted: whether it is known to be your own:
            then no other process opens it first (`bioFA.system.untrusted_hdf5`), which takes about 0.2 s.
        trust_code: whether Python code of somebody's own that it holds may run, which otherwise only may what has run
            here before.

    Raises:
        FileError: if it is missing, damaged, malformed or from a newer bioFA, or holds code that may not run.
    """
    with opened(path, "result", FROM_RUN, trusted) as file:
        refuse_format(Path(path), int(file.attrs["format"]), NEWEST)
        groups = (file.get(name, {}) for name in ("recording", "snapshots", "state"))
        recording, snapshots, state = ({name: array[()] for name, array in group.items()} for group in groups)
        result = Result(
            experiment=toml.loads(file.attrs["experiment"], Path(path).parent, trust_code),
            seed=int(file.attrs["seed"]),
            backend=str(file.attrs["backend"]),
            presentations=int(file.attrs["presentations"]),
            targets=recording.pop("targets"),
            recording=Recording(recording.pop("at"), recording),
            snapshots_at=snapshots.pop("at"),
            snapshots=snapshots,
            evaluations=tuple(json.loads(file.attrs["evaluations"])),
            state=state,
            timing=json.loads(file.attrs["timing"]),
            provenance=json.loads(file.attrs["provenance"]),
            findings=tuple(Finding(**row) for row in json.loads(file.attrs.get("findings", "[]"))),
            firing_rates=json.loads(file.attrs.get("firing_rates", "{}")),
            activity=_read_activity(file),
            measures=tuple(ActivityMeasures(**row) for row in json.loads(file.attrs.get("measures", "[]"))),
            declared=tuple(
                DeclaredMeasure(**row, neurons=file[f"declared/{number}"][()])
                for number, row in enumerate(json.loads(file.attrs.get("declared", "[]")))
            ),
            spectra={name: array[()] for name, array in file.get("spectra", {}).items()},
        )
        return result.stored(Path(path)) if GROUP in file else result


def read_weights(path: str | Path) -> tuple[dict[str, Array], str]:
    """The weights at the end of a run, by `pathway.w`, and the SHA-256 of their file.

    Raises:
        FileError: if it is no result file, or a damaged one.
    """
    refuse_of_others(Path(path))
    with opened(path, "result", FROM_RUN) as file:
        weights = {name: array for name, array in read_state(file, Path(path)).items() if name.endswith(".w")}
    return weights, sha256(path)


def _read_activity(file: h5py.File) -> Activity | None:
    """The activity, which runs without spikes and those of an older bioFA lack."""
    if "activity" not in file:
        return None
    kept = file["activity"]
    return Activity(
        int(kept.attrs["presentations"]),
        *({name: kept[group][name][()] for name in kept.get(group, {})} for group in ACTIVITY),
    )


def _given(origin: Mapping[str, Any]) -> str:
    """Which of the weights that were given a run took, and what it did not take."""
    parts = [named(origin.get("pathways", []))]
    if unused := origin.get("unused"):
        parts.append(
            "not used, for no pathway here has the name: "
            + ", ".join(f"{name} ({count} value{'s' if count != 1 else ''})" for name, count in unused.items())
        )
    if drawn := origin.get("drawn"):
        parts.append(f"drawn anew: {named(drawn)}")
    return "; ".join(parts)


def late_part(count: int, most: int) -> int:
    """How many of `count` values are the last, or the first: `most`, or half of fewer than twice as many,
    but one of one."""
    return min(most, max(count // 2, min(count, 1)))


def late_angles(count: int) -> int:
    """How many of `count` presentations the angle at the end is taken over: never the beginning of a short run."""
    return LAST_ANGLES if count > LAST_ANGLES else max(count // 2, min(count, 1))


def _median(degrees: Array) -> float | None:
    """The median of the angles that exist, or None where none does."""
    known = np.sort(degrees[~np.isnan(degrees)])  # np.nanmedian would import numpy.ma
    if not np.isfinite(known).any():
        return None
    return float(0.5 * (known[(len(known) - 1) // 2] + known[len(known) // 2]))
