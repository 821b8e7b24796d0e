"""Run an experiment in which time passes without a task: segment by segment, measured and recorded as it goes on.

A trial is cut into segments of equal length (`cuts`), so that one segment fits into memory however long the run is.
What a segment recorded stays in its file; measures are counted on (`StreamedActivity`); both, and the state, are kept
as the segment ends, so that a run that was stopped gives the same bits.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from bioFA.analysis.streamed_activity import ActivityMeasures, StreamedActivity
from bioFA.consumers import BACKENDS
from bioFA.consumers.base import Consumer, Recording, Segment
from bioFA.errors import DamagedFile, Diverged
from bioFA.experiment import Experiment
from bioFA.instance import Instance
from bioFA.runs.checkpoint import Checkpoint, SegmentEnd
from bioFA.runs.declared import DeclaredMeasures
from bioFA.runs.monitors import Layout, Unassembled
from bioFA.runs.result import Finding, Result
from bioFA.units import as_time

Array = np.ndarray
SEGMENTS = 20
"""A trial has at least so many segments, where beginning them costs little,"""
COSTLY = 1_000_000
"""which is where each has at least so many neuron-steps (of 100 neurons more than there are),"""
READ_AGAIN = 1
"""and so many for each synapse, which is mapped into memory again in every segment."""
MOST_NEURON_STEPS = 40_000_000
MOST_TRACED = 64 * 1024**2
"""A segment has at most so many neuron-steps (more where synapses, which take far more memory than its spikes, are to
be read again), and bytes of traces."""
SATURATED = 0.9
"""A population that reaches this share of the fastest rate that its refractory period lets through is saturated."""


def cuts(instance: Instance, compiles: bool) -> list[int]:
    """The steps of a trial at which a segment begins or ends, from 0 to its last; every phase ends at one.

    Args:
        instance: of the experiment.
        compiles: whether a program is started for every segment.
    """
    experiment = instance.experiment
    length = experiment.protocol.shown_steps
    neurons = sum(population.size for population in experiment.network.populations)
    synapses = sum(len(synapses.post) for synapses in instance.synapses.values())
    synapses += sum(array.size for name, array in instance.state.items() if name.endswith(".w"))
    costs = max(COSTLY, READ_AGAIN * synapses) if compiles else 1
    least = costs / (neurons + 100)
    traced = Layout(experiment).bytes_a_step([len(chosen.places) for chosen in instance.chosen])
    most = min(max(MOST_NEURON_STEPS, costs) / neurons, MOST_TRACED / traced if traced else math.inf)
    steps = max(1, min(most, max(least, length / SEGMENTS)))
    count = math.ceil(length / steps)
    return sorted({*(round(length * k / count) for k in range(count + 1)), *instance.phase_ends()})


class FreeRun:
    """A run up to the end of some segment: its state, and what its measures count. It may continue another one, in a
    longer trial, or in more trials.

    Args:
        instance: of the experiment.
        kept: where its segments are kept.
    """

    def __init__(self, instance: Instance, kept: Checkpoint):
        self.instance, self.kept = instance, kept
        self.protocol = instance.experiment.protocol
        self.layout = Layout(instance.experiment, kept.run.start)
        ends = cuts(instance, BACKENDS[kept.run.backend].compiles)[1:]
        every = [trial * self.layout.length + end for trial in range(self.protocol.trials) for end in ends]
        self.ends = [end for end in every if end > self.layout.done]
        self.place = -1
        self.state: Mapping[str, Array] = {}
        self.fixed: dict[str, Array] = {}
        self.seconds = 0.0
        self.engines: list[Mapping[str, Any]] = []
        begin = self.layout.begin
        self.activity = {
            name: StreamedActivity(size, self.layout.dt, self.layout.length, max(self.protocol.warm_up_steps, begin))
            for name, size in self.layout.sizes.items()
        }
        self.declared = DeclaredMeasures(instance.experiment, begin)
        self.bins = self.layout.rate_bins()

    @property
    def stop(self) -> int:
        """Steps done, all trials together, with those of a run that it continues."""
        return self.ends[self.place] if self.place >= 0 else self.layout.done

    @property
    def total(self) -> int:
        """Steps in all."""
        return self.ends[-1]

    def read(self, segment: SegmentEnd) -> None:
        """Continue from the end of a segment that was kept.

        Raises:
            DamagedFile: if it is of another run.
        """
        if segment.stop == self.layout.done and not self.state:
            plastic = {f"{pathway.name}.w" for pathway in self.instance.network.plastic()}
            self.fixed = {n: array for n, array in segment.state.items() if n.endswith(".w") and n not in plastic}
            self.state = segment.state
            return
        self.place += 1
        if segment.stop != self.stop:
            raise DamagedFile(
                f"a kept segment ends at step {segment.stop}, where one to {self.stop} is due: it is of another run."
            )
        self.state = self.fixed | dict(segment.state)
        self.seconds += segment.seconds
        self._note(segment.engine)
        for name, activity in self.activity.items():
            of = f"{name}/"
            activity.restore({k.removeprefix(of): a for k, a in segment.counting.items() if k.startswith(of)})
        for name, bins in self.bins.items():
            bins.open = int(segment.counting[f"rates of {name}"])
        of = "declared measures/"
        self.declared.restore({k.removeprefix(of): a for k, a in segment.counting.items() if k.startswith(of)})

    def next(self, runner: Consumer) -> dict[str, float]:
        """Run one more segment, and keep it.

        Returns:
            The mean rates of the populations in it, in Hz.

        Raises:
            Diverged: if a number is no longer finite.
            FileError: if it cannot be kept.
        """
        began = time.perf_counter()
        trial, first = divmod(self.stop, self.layout.length)
        last = self.ends[self.place + 1] - trial * self.layout.length
        if first == 0:
            self.state = dict(self.state) | self.instance.trial_begins(trial)
        segment = runner.segment(self.state, self.instance.passing(trial, first, last), learning=True)
        self._check_finite(segment, trial, first, last)
        self.state = segment.state
        rates = {}
        for name, activity in self.activity.items():
            neurons, steps = segment.spikes[name]
            activity.add(neurons, steps, first, last)
            rates[f"{name} Hz"] = len(neurons) / (activity.size * (last - first) * self.layout.dt)
        self.declared.add(segment, first, last)
        monitored = self.layout.kept(segment, self.bins, first, last)
        counting = {
            f"{name}/{part}": array for name, activity in self.activity.items()
            for part, array in activity.arrays().items()
        }  # fmt: skip
        counting |= {f"rates of {name}": np.array(bins.open) for name, bins in self.bins.items()}
        counting |= {f"declared measures/{part}": array for part, array in self.declared.arrays().items()}
        moving = {name: array for name, array in segment.state.items() if name not in self.fixed}
        seconds = time.perf_counter() - began
        self.place += 1
        self.seconds += seconds
        self._note(runner.engine)
        self.kept.keep(
            SegmentEnd(self.stop, moving, seconds=seconds, engine=runner.engine, monitored=monitored, counting=counting)
        )
        return rates

    def _note(self, engine: Mapping[str, Any]) -> None:
        if engine not in self.engines:
            self.engines.append(dict(engine))

    def _check_finite(self, segment: Segment, trial: int, first: int, last: int) -> None:
        broken = [name for name, array in segment.state.items() if not np.isfinite(array).all()]
        if broken:
            dt, trials = self.layout.dt, self.layout.trials
            where = f" of trial {trial}" if trials > 1 else ""
            raise Diverged(
                f"the run diverged: {broken[0]} is no longer finite between {as_time(first * dt)} and"
                f" {as_time(last * dt)}{where}. Give a smaller dt, another method, or weaker synapses."
            )

    def result(self, backend: str, timing: Mapping[str, Any], record: Mapping[str, Any]) -> Result:
        """All of it; what was recorded is still in the segments."""
        experiment, run = self.instance.experiment, self.kept.run
        trials = [(end - 1) // self.layout.length - self.layout.first_trial for end in self.ends]
        recorded = list(zip(self.kept.monitored(), trials, strict=True))
        measures = tuple(activity.measures(name) for name, activity in self.activity.items())
        return Result(
            experiment=experiment,
            seed=run.seed,
            backend=backend,
            presentations=self.layout.trials,
            recording=Recording(np.zeros(0, dtype=int), {}),
            targets=np.zeros((0, 0)),
            snapshots_at=np.zeros(0, dtype=int),
            snapshots={},
            evaluations=(),
            state=dict(self.state),
            timing=timing,
            provenance=record,
            findings=findings(experiment, measures),
            measures=measures,
            declared=self.declared.values(),
            spectra={name: np.array(activity.spectrum()) for name, activity in self.activity.items()},
            monitors=Unassembled(self.layout, recorded, self.instance.chosen),
        )


def findings(experiment: Experiment, measures: tuple[ActivityMeasures, ...]) -> tuple[Finding, ...]:
    """What is wrong with what the populations did: one is silent, or spikes as fast as it can."""
    found = []
    for measured in measures:
        neuron = experiment.network.population(measured.population).neuron
        place, when = measured.population, f"from {as_time(measured.start)} to {as_time(measured.stop)}"
        if not measured.spikes:
            found.append(
                Finding(
                    "silent",
                    place,
                    f"no neuron of '{place}' spikes once {when}. Give it more drive, a lower threshold, or a longer"
                    " duration.",
                )
            )
        fastest = 1 / (neuron.refractory_time + experiment.protocol.step)
        if neuron.ports and measured.rate > SATURATED * fastest:
            found.append(
                Finding(
                    "saturated",
                    place,
                    f"the neurons of '{place}' spike at {measured.rate:.0f} Hz in the mean {when}, nearly as fast as"
                    f" refractory period and dt let them, {fastest:.0f} Hz. Give them less drive, or stronger"
                    " inhibition.",
                )
            )
    return tuple(found)
