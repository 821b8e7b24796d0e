"""The measures of `population_activity.py`, taken while a run goes on, so that memory does not grow with it.

Spikes come in pieces, as neuron and whole step of a trial. Everything that is kept of them is a whole number (intervals
and counts: how many, their sum, their sum of squares), so that no result depends on where a piece ends; the spectrum
alone adds numbers with a fraction, window by window in the order of time. Steps before the warm-up ends are not
counted. No interval, window or bin crosses from one trial into the next.

Bins are whole steps: the nearest number of steps to the width that `population_activity.py` names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bioFA.analysis.population_activity import (
    FALSE_ALARMS,
    FANO_WINDOW,
    FEWEST_INTERVALS,
    FEWEST_SPIKES,
    SEGMENTS,
    SYNCHRONY_BIN,
    stands_out,
)

Array = np.ndarray
SPECTRUM_BIN = 1e-3
FEW_WINDOWS = 10
"""With fewer windows than this a Fano factor is said to be too low, by 1/n for n of them."""
MOST_COUNTED = 1 << 16
FINEST_RESOLUTION = 1.0
"""Hz; a spectrum is not resolved finer than this, or than an eighth of the measured part of a trial allows."""


@dataclass(frozen=True)
class ActivityMeasures:
    """What one population did in the measured part of all trials; None where too few spikes, or windows, tell it.

    `start` and `stop` are the measured seconds of each of `trials`, `spikes` how many there were in them. `rate` (Hz)
    is the mean over all `size` neurons; `cv` that over `neurons_with_cv`, which have at least three intervals; `fano`
    that over `neurons_with_fano`, which spike in some window, of counts in windows of `fano_window` seconds;
    `synchrony` is of the population's counts in bins of `synchrony_bin`; `peak_hz` is where the spectrum of its rate in
    bins of `spectrum_bin` is highest, which is known to `resolution_hz`; none with fewer than four spikes, where that
    rate never changes, or where a flat spectrum may well be as high (`population_activity.stands_out`). Of all neurons,
    `active` spike at least once.
    """

    population: str
    size: int
    trials: int
    start: float
    stop: float
    spikes: int
    active: int
    rate: float
    cv: float | None
    neurons_with_cv: int
    fano: float | None
    neurons_with_fano: int
    fano_window: float
    synchrony: float | None
    synchrony_bin: float
    peak_hz: float | None
    resolution_hz: float | None
    spectrum_bin: float

    def numbers(self) -> dict[str, float]:
        """The measures that are known, by name."""
        found = {"rate": self.rate, "cv": self.cv, "fano": self.fano, "synchrony": self.synchrony}
        return {name: value for name, value in (found | {"peak_hz": self.peak_hz}).items() if value is not None}

    def rows(self) -> list[tuple[str, str, str]]:
        """Every measure as it is shown: its name, its value, and of what it is, beside the interval."""

        def shown(value: float | None, unit: str = "") -> str:
            return "-" if value is None else f"{value:.3g}{unit}"

        def counted(count: int) -> str:
            return f"{count} neuron{'s' if count != 1 else ''}"

        neurons = counted(self.size)
        windows = int((self.stop - self.start) / self.fano_window + 1e-9) * self.trials
        of_fano = f"mean of {counted(self.neurons_with_fano)} that spike"
        if windows < 2:
            of_fano = "of which fewer than two fit what is measured"
        elif windows < FEW_WINDOWS:
            of_fano += f"; so few windows, {windows}, make it too low, 1 - 1/{windows} for a Poisson process"
        resolution = "" if self.resolution_hz is None else f", resolved to {self.resolution_hz:.3g} Hz"
        if self.peak_hz is None and self.resolution_hz is not None and self.spikes >= FEWEST_SPIKES:
            resolution = f": none above what chance gives a flat spectrum in {100 * FALSE_ALARMS:g} of 100 runs"
        return [
            ("rate", shown(self.rate, " Hz"), f"mean of {neurons}, {self.active} of which spike"),
            (
                "CV of intervals",
                shown(self.cv),
                f"mean of {counted(self.neurons_with_cv)} with at least {FEWEST_INTERVALS} intervals",
            ),
            (
                "Fano factor",
                shown(self.fano),
                f"counts in {1e3 * self.fano_window:g} ms, {of_fano}",
            ),
            (
                "synchrony",
                shown(self.synchrony),
                f"variance over mean of the spikes of {neurons} in {1e3 * self.synchrony_bin:g} ms",
            ),
            (
                "spectrum peak",
                shown(self.peak_hz, " Hz"),
                f"of the rate of {neurons} in {1e3 * self.spectrum_bin:g} ms{resolution}",
            ),
        ]


class Bins:
    """Counts in bins of whole steps, one after the other from `start` to at most `stop`, filled piece by piece.

    A bin is handed out when it is full; what is left at the end of a trial is none.
    """

    def __init__(self, width: int, start: int, stop: int):
        self.width, self.start = width, start
        self.count = max(stop - start, 0) // width
        self.open = 0

    def add(self, steps: Array, first: int, last: int) -> Array:
        """The bins that are full after the steps from `first` to before `last`, in which something was at `steps`."""
        end = self.start + self.count * self.width
        low, high = min(max(first, self.start), end), min(max(last, self.start), end)
        if high <= low:
            return np.zeros(0, dtype=np.int64)
        begin, done = (low - self.start) // self.width, (high - self.start) // self.width
        inside = steps[(steps >= low) & (steps < high)]
        found = np.bincount((inside - self.start) // self.width - begin, minlength=done - begin + 1).astype(np.int64)
        found[0] += self.open
        self.open = int(found[done - begin]) if high < end else 0
        return found[: done - begin]


class StreamedActivity:
    """All measures of one population, from spikes that come piece by piece.

    Args:
        size: how many neurons.
        dt: length of a step in seconds.
        length: steps of a trial.
        warm_up: steps of a trial that are not counted.
    """

    def __init__(self, size: int, dt: float, length: int, warm_up: int):
        self.size, self.dt, self.length, self.warm_up = size, dt, length, warm_up
        whole = [max(round(width / dt), 1) for width in (FANO_WINDOW, SYNCHRONY_BIN, SPECTRUM_BIN)]
        self.window = whole[0]
        self.windows = (length - warm_up) // self.window
        self.bins = Bins(whole[1], warm_up, length)
        self.rate = Bins(whole[2], warm_up, length)
        bins = self.rate.count
        finest = max(round(1 / (FINEST_RESOLUTION * whole[2] * dt)), 2)
        self.points = min(max(bins // SEGMENTS, 2), finest, bins)
        """How many bins one window of the spectrum has."""
        self.spikes, self.intervals, self.sum, self.squares = (np.zeros(size, dtype=np.int64) for _ in range(4))
        self.last = np.full(size, -1, dtype=np.int64)
        self.in_window, self.counted, self.counted_squares = (np.zeros(size, dtype=np.int64) for _ in range(3))
        self.binned = np.zeros(3, dtype=np.int64)  # bins, spikes in them, squares
        self.waiting = np.zeros(0, dtype=np.int64)
        self.power = np.zeros(self.points // 2 + 1)
        self.trials = self.segments = self.opened = 0

    def add(self, neurons: Array, steps: Array, first: int, last: int) -> None:
        """Count the spikes of the steps from `first` to before `last` of the trial that goes on.

        Args:
            neurons: which, `(n,)`.
            steps: of the trial, `(n,)`, in rising order.
            first: the step after those that were counted before, 0 as a trial begins.
            last: the step that comes next.
        """
        counted = steps >= self.warm_up
        neurons, steps = neurons[counted].astype(np.int64), steps[counted].astype(np.int64)
        self.spikes += np.bincount(neurons, minlength=self.size)
        self._count_intervals(neurons, steps)
        self._count_windows(neurons, steps, last)
        found = self.bins.add(steps, first, last)
        self.binned += np.array([len(found), found.sum(), (found**2).sum()])
        self._transform(self.rate.add(steps, first, last))
        if last == self.length:
            self.last[:] = -1
            self.in_window[:] = 0
            self.waiting = self.waiting[:0]
            self.trials += 1

    def _count_intervals(self, neurons: Array, steps: Array) -> None:
        if not len(neurons):
            return
        # of 16 bits, by counting
        order = np.argsort(neurons.astype(np.uint16) if self.size <= MOST_COUNTED else neurons, kind="stable")
        neurons, steps = neurons[order], steps[order]
        edges = np.flatnonzero(np.diff(neurons, prepend=-1))
        firsts = neurons[edges]
        before = np.concatenate([[-1], steps[:-1]])
        before[edges] = self.last[firsts]
        intervals = np.where(before >= 0, steps - before, 0)
        self.intervals[firsts] += np.add.reduceat((before >= 0).astype(np.int64), edges)
        self.sum[firsts] += np.add.reduceat(intervals, edges)
        self.squares[firsts] += np.add.reduceat(intervals**2, edges)
        self.last[firsts] = steps[np.append(edges[1:], len(steps)) - 1]

    def _count_windows(self, neurons: Array, steps: Array, last: int) -> None:
        """Fold the windows that are full into the sums; the counts of the one that is `opened` wait in `in_window`."""
        inside = steps < self.warm_up + self.windows * self.window
        keys = (steps[inside] - self.warm_up) // self.window * self.size + neurons[inside]
        waiting = np.flatnonzero(self.in_window)
        full = max(last - self.warm_up, 0) // self.window  # windows from this one on are not
        keys = np.concatenate([np.repeat(self.opened * self.size + waiting, self.in_window[waiting]), keys])
        found, counts = np.unique(keys, return_counts=True)
        done = found < full * self.size
        np.add.at(self.counted, found[done] % self.size, counts[done])
        np.add.at(self.counted_squares, found[done] % self.size, counts[done] ** 2)
        self.in_window[:] = 0
        self.in_window[found[~done] % self.size] = counts[~done]
        self.opened = full

    def _transform(self, counts: Array) -> None:
        """Take in bins of the rate, and the spectrum of every window of them that is full."""
        if self.points < 2:
            return
        waiting = np.concatenate([self.waiting, counts])
        hop = self.points - self.points // 2
        taper = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(self.points) / self.points)
        while len(waiting) >= self.points:
            if np.ptp(waiting[: self.points]):  # rounding alone would give a constant rate a spectrum, with a peak
                rate = waiting[: self.points] / (self.rate.width * self.dt * self.size)
                self.power += np.abs(np.fft.rfft(taper * (rate - rate.mean()))) ** 2
            self.segments += 1
            waiting = waiting[hop:]
        self.waiting = waiting

    def spectrum(self) -> tuple[Array, Array]:
        """Frequencies in Hz, without 0, and power density of the rate a neuron, in Hz^2/Hz; empty where too short."""
        if not self.segments:
            return np.zeros(0), np.zeros(0)
        width = self.rate.width * self.dt
        taper = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(self.points) / self.points)
        power = self.power * width / (np.sum(taper**2) * self.segments)
        power[1 : -1 if self.points % 2 == 0 else None] *= 2
        return np.fft.rfftfreq(self.points, width)[1:], power[1:]

    def rates(self) -> Array:
        """Spikes a second of each neuron, `(size,)`."""
        return self.spikes / (self.trials * (self.length - self.warm_up) * self.dt)

    def cvs(self) -> Array:
        """CV of the intervals of each neuron, `(size,)`; NaN with fewer than three intervals."""
        found = np.full(self.size, np.nan)
        known = self.intervals >= FEWEST_INTERVALS
        spread = _spread(self.intervals[known], self.sum[known], self.squares[known])
        found[known] = np.sqrt(spread.astype(float)) / self.sum[known]  # exact but for the root
        return found

    def fano_factors(self) -> Array:
        """Variance over mean of the counts in windows of each neuron, `(size,)`; NaN of those that are silent, and of
        all where there are fewer than two windows."""
        count = self.windows * self.trials
        found = np.full(self.size, np.nan)
        if count < 2:
            return found
        known = self.counted > 0
        counted = self.counted[known]
        found[known] = _spread(np.full(len(counted), count), counted, self.counted_squares[known]) / (count * counted)
        return found

    def measures(self, population: str) -> ActivityMeasures:
        """All of it, after whole trials."""
        cvs, factors = self.cvs(), self.fano_factors()
        known, counted = np.isfinite(cvs), np.isfinite(factors)
        bins, total, squares = (int(number) for number in self.binned)
        frequencies, power = self.spectrum()
        spikes = int(self.spikes.sum())
        return ActivityMeasures(
            population=population,
            size=self.size,
            trials=self.trials,
            start=self.warm_up * self.dt,
            stop=self.length * self.dt,
            spikes=spikes,
            active=int(np.count_nonzero(self.spikes)),
            rate=float(self.rates().mean()),
            cv=float(cvs[known].mean()) if known.any() else None,
            neurons_with_cv=int(known.sum()),
            fano=float(factors[counted].mean()) if counted.any() else None,
            neurons_with_fano=int(counted.sum()),
            fano_window=self.window * self.dt,
            synchrony=(bins * squares - total**2) / (bins * total) if total and bins > 1 else None,
            synchrony_bin=self.bins.width * self.dt,
            peak_hz=(
                float(frequencies[np.argmax(power)])
                if spikes >= FEWEST_SPIKES and stands_out(power, self.segments)
                else None
            ),
            resolution_hz=float(frequencies[0]) if len(frequencies) else None,
            spectrum_bin=self.rate.width * self.dt,
        )

    def arrays(self) -> dict[str, Array]:
        """Everything that it keeps, so that another may continue from there."""
        numbers = [self.trials, self.segments, self.bins.open, self.rate.open, self.opened, *self.binned]
        return {
            "neurons": np.array([getattr(self, name) for name in _OF_NEURONS]),
            "numbers": np.array(numbers, dtype=np.int64),
            "waiting": np.array(self.waiting),
            "power": np.array(self.power),
        }

    def restore(self, arrays: Mapping[str, Array]) -> None:
        """Continue from what `arrays` gave."""
        for name, values in zip(_OF_NEURONS, arrays["neurons"], strict=True):
            setattr(self, name, np.array(values))
        numbers = [int(number) for number in arrays["numbers"]]
        self.trials, self.segments, self.bins.open, self.rate.open, self.opened = numbers[:5]
        self.binned = np.array(numbers[5:], dtype=np.int64)
        self.waiting, self.power = np.array(arrays["waiting"]), np.array(arrays["power"])


_OF_NEURONS = ("spikes", "intervals", "sum", "squares", "last", "in_window", "counted", "counted_squares")
"""What is kept of every neuron, `(size,)` each."""


def _spread(count: Array, total: Array, squares: Array) -> Array:
    """`count * squares - total**2`, exactly: where that is too much for a float, as Python's integers."""
    largest = float(count.max(initial=0)) * float(squares.max(initial=0))  # the square of a sum is no more
    kind = np.int64 if largest < 2**53 else object
    return count.astype(kind) * squares.astype(kind) - total.astype(kind) ** 2
