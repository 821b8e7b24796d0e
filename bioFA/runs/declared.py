"""Declared measures (`bioFA.measures`), counted segment by segment as a run goes on, and their values at its end.

Of spikes they are counted as `StreamedActivity` does. Of a variable, of each neuron i with values x over all counted
steps of all trials, n of them, by sums in the order of time that no segment's end changes:

    mean_i = x_0 + S/n,    S = sum(x - x_0)
    std_i  = sqrt(Q/n - (S/n)^2),    Q = sum((x - x_0)^2)

x_0 being the first of them, so that little is lost where a variable is far from 0 and varies little.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bioFA.analysis.streamed_activity import StreamedActivity
from bioFA.consumers.base import Segment
from bioFA.experiment import Experiment
from bioFA.measures.measure import Measure
from bioFA.units import BRIAN2, as_time, write

Array = np.ndarray
SHORT = {name: symbol for symbol, name in BRIAN2.items()} | {"hertz": "Hz"}
"""Units as values are shown with, by their names in words."""


@dataclass(frozen=True)
class DeclaredMeasure:
    """A declared measure of a run: what was asked for, and what it is.

    `value` is the number of the population, or the mean over neurons that have one; None where too few spikes tell it.
    `neurons` `(n,)` are the values of each neuron, NaN where it has none; empty where it is of the population. All are
    in the SI `unit`. `start` and `stop` are the seconds of each trial that were counted; `on` says what was.
    """

    label: str
    name: str
    of: str
    per: str
    better: str | None
    start: float
    stop: float
    unit: str
    value: float | None
    on: str
    neurons: Array

    def numbers(self) -> dict[str, Any]:
        """All but the values of neurons."""
        return {name: value for name, value in vars(self).items() if name != "neurons"}

    def plain(self) -> dict[str, Any]:
        """All of it as JSON has it; None for a neuron without a value, and in place of neurons where there are none."""
        each = [float(value) if np.isfinite(value) else None for value in self.neurons]
        return self.numbers() | {"neurons": each if self.per == "neuron" else None}

    def row(self) -> tuple[str, str, str]:
        """Its name, its value with a unit, and of what it is."""
        on = self.on
        known = self.neurons[np.isfinite(self.neurons)]
        if len(known):
            low, middle, high = (shown(float(value), self.unit) for value in np.percentile(known, (0, 50, 100)))
            on = f"{on}; from {low} to {high}, half of them below {middle}"
        return self.label, shown(self.value, self.unit), on


def shown(value: float | None, unit: str) -> str:
    """A value with its unit, such as `-58.3 mV`; `-` where there is none."""
    if value is None:
        return "-"
    symbol = SHORT.get(unit)
    if unit == "1" or symbol == "Hz":
        return f"{value:.3g}{'' if unit == '1' else ' Hz'}"
    return f"{value:.3g} {unit}" if symbol is None else write(float(f"{value:.3g}"), symbol)


class Course:
    """The values of one variable of some neurons, counted row by row."""

    def __init__(self, size: int):
        self.count = 0
        self.kept = np.zeros((3, size))
        """The first value of each neuron, and the sums S and Q of the differences from it."""
        self.ends = np.array([np.full(size, np.inf), np.full(size, -np.inf)])
        """The smallest and the largest value of each."""

    def add(self, values: Array) -> None:
        """Count the values of some steps, `(steps, size)`."""
        if not len(values):
            return
        if not self.count:
            self.kept[0] = values[0]
        for row in values:
            apart = row - self.kept[0]
            self.kept[1] += apart
            self.kept[2] += apart**2
        self.ends = np.array([
            np.minimum(self.ends[0], values.min(axis=0)),
            np.maximum(self.ends[1], values.max(axis=0)),
        ])
        self.count += len(values)

    def of_neurons(self, name: str) -> Array:
        """One measure of each neuron, `(size,)`."""
        if name in ("min", "max"):
            found: Array = self.ends[("min", "max").index(name)]
            return found
        apart = self.kept[1] / self.count
        if name == "mean":
            mean: Array = self.kept[0] + apart
            return mean
        spread: Array = np.sqrt(np.maximum(self.kept[2] / self.count - apart**2, 0.0))
        return spread

    def of_population(self, name: str) -> float:
        """One measure of all: the mean of means and deviations, the least and the greatest of all values."""
        each = self.of_neurons(name)
        return float({"min": np.min, "max": np.max}.get(name, np.mean)(each))


class DeclaredMeasures:
    """What the declared measures of an experiment count, in trials of which a run makes the steps from `begin` on."""

    def __init__(self, experiment: Experiment, begin: int = 0):
        network, protocol = experiment.network, experiment.protocol
        self.experiment, self.dt = experiment, protocol.step
        self.measures = experiment.measures
        self.parts = [measure.neurons(network) for measure in self.measures]
        self.whole = [measure.steps(self.dt, protocol.shown_steps, protocol.warm_up_steps) for measure in self.measures]
        """The steps of each that a whole trial has, and those of them that the run makes."""
        self.steps = [
            range(max(steps.start, begin + (steps.start - begin) % steps.step), steps.stop, steps.step)
            for steps in self.whole
        ]
        self.activity: dict[str, StreamedActivity] = {}
        """What counts spikes, by the part and the steps that it counts, which several measures may share."""
        self.courses: dict[tuple[str, range], Course] = {}
        """What counts the values of a variable, by what it is of and the steps: in the order of `Experiment.traced`."""
        for number, (measure, (_, part), steps) in enumerate(zip(self.measures, self.parts, self.steps, strict=True)):
            size = part.stop - part.start
            if measure.variable:
                self.courses.setdefault((measure.of, self.whole[number]), Course(size))
            else:
                self.activity[self._key(number)] = StreamedActivity(size, self.dt, steps.stop, steps.start)

    def _key(self, number: int) -> str:
        steps = self.steps[number]
        return f"{self.measures[number].part} {steps.start} {steps.stop}"

    def add(self, segment: Segment, first: int, last: int) -> None:
        """Count a segment, from the steps `first` to before `last` of a trial."""
        traces = segment.traces[len(self.experiment.record.traces) :]
        for course, (values,) in zip(self.courses.values(), (trace.values() for trace in traces), strict=True):
            course.add(values)
        done: set[str] = set()
        for number, (measure, (name, part)) in enumerate(zip(self.measures, self.parts, strict=True)):
            key, stop = self._key(number), self.steps[number].stop
            if measure.variable or key in done or first >= stop:
                continue
            done.add(key)
            neurons, steps = segment.spikes[name]
            inside = (neurons >= part.start) & (neurons < part.stop) & (steps < stop)
            self.activity[key].add(neurons[inside] - part.start, steps[inside], first, min(last, stop))

    def values(self) -> tuple[DeclaredMeasure, ...]:
        """All of them, after whole trials."""
        return tuple(self._value(number) for number in range(len(self.measures)))

    def _value(self, number: int) -> DeclaredMeasure:
        measure, steps = self.measures[number], self.steps[number]
        find = self._of_course if measure.variable else self._of_spikes
        value, neurons, on = find(number, measure)
        return DeclaredMeasure(
            label=measure.label,
            name=measure.name,
            of=measure.of,
            per=measure.per,
            better=measure.better,
            start=steps.start * self.dt,
            stop=steps.stop * self.dt,
            unit=measure.unit(self.experiment.network),
            value=value,
            on=f"{on}, {as_time(steps.start * self.dt)} to {as_time(steps.stop * self.dt)}",
            neurons=neurons if measure.per == "neuron" else np.zeros(0),
        )

    def _of_course(self, number: int, measure: Measure) -> tuple[float | None, Array, str]:
        course, every = self.courses[measure.of, self.whole[number]], self.steps[number].step
        if not course.count:
            return None, np.zeros(0), "no step"
        neurons = course.of_neurons(measure.name)
        found = float(neurons.mean()) if measure.per == "neuron" else course.of_population(measure.name)
        return found, neurons, f"{_neurons(len(neurons))} every {as_time(every * self.dt)}"

    def _of_spikes(self, number: int, measure: Measure) -> tuple[float | None, Array, str]:
        activity = self.activity[self._key(number)]
        found = activity.measures(measure.part)
        places = ("rate", "cv", "fano", "synchrony", "peak")
        on = found.rows()[places.index(measure.name)][2] if measure.name in places else _neurons(found.size)
        of_neurons = {"rate": activity.rates, "cv": activity.cvs, "fano": activity.fano_factors}
        neurons = of_neurons[measure.name]() if measure.name in of_neurons else np.zeros(0)
        value = {"active": found.active / found.size, "peak": found.peak_hz}.get(measure.name)
        return getattr(found, measure.name) if measure.name not in ("active", "peak") else value, neurons, on

    def arrays(self) -> dict[str, Array]:
        """Everything that is counted, so that another may continue from there."""
        found = {
            f"{key}/{part}": array
            for key, activity in self.activity.items() for part, array in activity.arrays().items()
        }  # fmt: skip
        for number, course in enumerate(self.courses.values()):
            found |= {f"{number}/count": np.array(course.count), f"{number}/kept": np.array(course.kept)}
            found[f"{number}/ends"] = np.array(course.ends)
        return found

    def restore(self, arrays: Mapping[str, Array]) -> None:
        """Continue from what `arrays` gave."""
        for key, activity in self.activity.items():
            of = f"{key}/"
            activity.restore({name.removeprefix(of): a for name, a in arrays.items() if name.startswith(of)})
        for number, course in enumerate(self.courses.values()):
            course.count = int(arrays[f"{number}/count"])
            course.kept, course.ends = np.array(arrays[f"{number}/kept"]), np.array(arrays[f"{number}/ends"])


def _neurons(count: int) -> str:
    return f"{count} neuron{'s' if count != 1 else ''}"
