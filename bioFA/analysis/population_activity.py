"""What a free network does, from all its spikes: rates, regularity, variability, synchrony and spectrum.

    rate         spikes a neuron and second
    cv           standard deviation over mean of a neuron's intervals between spikes; 1 for a Poisson process
    fano         variance over mean of a neuron's spike counts in windows; 1 for a Poisson process
    synchrony    variance over mean of the population's spike counts in bins; 1 for independent Poisson processes
    spectrum     power density of the population's rate, in Hz^2/Hz, by Welch's method
    peak         where the spectrum is highest, if it is higher there than a flat one is in 99 of 100 runs

Spikes are two arrays, neuron and time in seconds, of those within [start, stop): what comes before `start`, such as a
warm-up, is not counted. The counts are of whole bins: what is left at the end is not looked at. Times that only
rounding keeps from an edge of the interval, or of a bin, are at the edge (`bioFA.units.rounding`). What fewer than two
bins or windows tell, or a rate that never changes, is NaN.

Sources: Softky & Koch (1993), J. Neurosci. 13:334 (CV); Potjans & Diesmann (2014), Cereb. Cortex 24:785, section
"Analysis" (synchrony, with bins of 3 ms); Welch (1967), IEEE Trans. Audio Electroacoust. 15:70 (spectrum).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bioFA.errors import OutOfRange, WrongShape
from bioFA.units import bin_of, rounding

Array = np.ndarray
FEWEST_INTERVALS = 3
"""A neuron with fewer intervals has no CV."""
FEWEST_SPIKES = 4
"""A population with fewer spikes has no peak of its spectrum: that of one spike is flat."""
FINEST_EDGE = 1e-3
"""Width, in seconds, of the bins whose rounding decides whether a spike is at an end of the interval."""
FALSE_ALARMS = 0.01
"""A flat spectrum is said to have a peak in at most this share of runs."""
SYNCHRONY_BIN = 3e-3
"""The bin of Potjans & Diesmann (2014)."""
FANO_WINDOW = 0.1
SEGMENTS = 8
"""Into so many parts, overlapping by half, a spectrum divides the run where no resolution is asked for."""


@dataclass(frozen=True)
class Spikes:
    """All spikes of a population in an interval.

    Raises:
        ModelError: if arrays and interval do not fit together.
    """

    neurons: Array
    """Which neuron, from 0, `(n,)`."""
    times: Array
    """When, in seconds, `(n,)`, in any order."""
    size: int
    """Of how many neurons."""
    start: float
    stop: float

    def __post_init__(self) -> None:
        if np.shape(self.neurons) != np.shape(self.times) or np.ndim(self.times) != 1:
            raise WrongShape(
                f"spikes are one neuron and one time each; got {np.shape(self.neurons)} neurons and"
                f" {np.shape(self.times)} times."
            )
        if not self.stop > self.start:
            raise OutOfRange(f"stop must be > start = {self.start:g} s; got {self.stop:g} s.")
        if len(self.neurons) and not 0 <= np.min(self.neurons) <= np.max(self.neurons) < self.size:
            raise OutOfRange(f"neurons must be from 0 to {self.size - 1}; got {np.min(self.neurons)} to"
                             f" {np.max(self.neurons)}.")  # fmt: skip
        times = np.asarray(self.times, dtype=float)
        near = rounding(times, min(FINEST_EDGE, self.duration))
        inside = (times >= self.start - near) & (times < self.stop - near)
        object.__setattr__(self, "neurons", np.asarray(self.neurons)[inside])
        object.__setattr__(self, "times", times[inside])

    @property
    def duration(self) -> float:
        """Length of the interval in seconds."""
        return self.stop - self.start

    def bins(self, width: float) -> int:
        """How many whole bins of a width fit the interval.

        Raises:
            OutOfRange: if none does.
        """
        count = int(np.floor(self.duration / width * (1 + 1e-12)))
        if not width > 0 or count < 1:
            raise OutOfRange(f"bins of {width:g} s do not fit an interval of {self.duration:g} s. Give shorter ones.")
        return count

    def bin_of(self, width: float) -> Array:
        """The bin of every spike; times that only rounding keeps from an edge are at the edge."""
        return np.maximum(bin_of(self.times, self.start, width), 0)


def rates(spikes: Spikes) -> Array:
    """Spikes a second of each neuron, `(size,)`."""
    return np.bincount(spikes.neurons, minlength=spikes.size) / spikes.duration


def cv_of_intervals(spikes: Spikes) -> Array:
    """Standard deviation over mean of each neuron's intervals, `(size,)`; NaN with fewer than three intervals."""
    order = np.lexsort((spikes.times, spikes.neurons))
    neurons, times = spikes.neurons[order], spikes.times[order]
    own = neurons[1:] == neurons[:-1]
    neurons, intervals = neurons[1:][own], np.diff(times)[own]
    count = np.bincount(neurons, minlength=spikes.size)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(neurons, intervals, spikes.size) / count
        variance = np.bincount(neurons, (intervals - mean[neurons]) ** 2, spikes.size) / count
        return np.where(count >= FEWEST_INTERVALS, np.sqrt(variance) / mean, np.nan)


def fano_factors(spikes: Spikes, window: float = FANO_WINDOW) -> Array:
    """Variance over mean of each neuron's counts in windows, `(size,)`; NaN for neurons that are silent, and for all
    where fewer than two windows fit.

    Args:
        spikes: of the population.
        window: in seconds.
    """
    windows = spikes.bins(window)
    if windows < 2:
        return np.full(spikes.size, np.nan)
    at = spikes.bin_of(window)
    keys = np.sort(spikes.neurons[at < windows].astype(np.int64) * windows + at[at < windows])
    edges = np.flatnonzero(np.diff(keys, prepend=-1))
    counts = np.diff(edges, append=len(keys))
    neurons = keys[edges] // windows
    mean = np.bincount(neurons, counts, spikes.size) / windows
    square = np.bincount(neurons, counts.astype(float) ** 2, spikes.size) / windows
    with np.errstate(invalid="ignore", divide="ignore"):
        return (square - mean**2) / mean


def counts(spikes: Spikes, width: float) -> Array:
    """The population's spikes in each bin, `(bins,)`."""
    bins = spikes.bins(width)
    at = spikes.bin_of(width)
    return np.bincount(at[at < bins], minlength=bins)


def synchrony(spikes: Spikes, width: float = SYNCHRONY_BIN) -> float:
    """Variance over mean of the population's counts in bins; NaN where it is silent, or has one bin."""
    found = counts(spikes, width)
    return float(found.var() / found.mean()) if found.any() and len(found) > 1 else float("nan")


def spectrum(spikes: Spikes, width: float = 1e-3, resolution: float | None = None) -> tuple[Array, Array]:
    """Power density of the population's rate a neuron, without its mean.

    Args:
        spikes: of the population.
        width: of the bins in which the rate is counted, in seconds; frequencies go up to 1/(2 width).
        resolution: of the frequencies, in Hz; an eighth part of the run, where None.

    Returns:
        Frequencies in Hz, without 0, and power density in Hz^2/Hz.
    """
    from scipy.signal import welch

    rate = counts(spikes, width) / (width * spikes.size)
    length = len(rate) // SEGMENTS if resolution is None else round(1 / (resolution * width))
    frequencies, power = welch(rate, 1 / width, nperseg=min(max(length, 2), len(rate)), detrend="constant")
    return frequencies[1:], power[1:]


def peak_frequency(spikes: Spikes, width: float = 1e-3, resolution: float | None = None) -> float:
    """The frequency in Hz at which the spectrum is highest.

    NaN with fewer than four spikes, where the rate is the same in all bins, so that it has no spectrum, and where what
    is highest may be chance (`stands_out`).
    """
    if len(spikes.times) < FEWEST_SPIKES or np.ptp(counts(spikes, width)) == 0:
        return float("nan")
    frequencies, power = spectrum(spikes, width, resolution)
    points = round(1 / (frequencies[0] * width))
    windows = (spikes.bins(width) - points) // (points - points // 2) + 1
    return float(frequencies[np.argmax(power)]) if stands_out(power, windows) else float("nan")


def stands_out(power: Array, windows: int) -> bool:
    """Whether the highest power of a spectrum is higher than chance makes that of a flat one.

    Over a flat spectrum, such as that of Poisson processes of constant rate, power is distributed as its mean times
    chi^2(k)/k. With Hann windows that overlap by half, whose powers have the correlation 1/36, n windows give
    k = 2n/(1 + (n - 1)/(18 n)) degrees of freedom. A chance of x times the mean or more is at most
    exp(-k/2 (x - 1 - ln x)) (Chernoff), for one frequency; the sum over all frequencies must be at most 0.01.

    Args:
        power: of every frequency but 0, `(n,)`.
        windows: how many were averaged.

    Source: Welch (1967), IEEE Trans. Audio Electroacoust. 15:70, section "variance"; Chernoff (1952), Ann. Math. Stat.
    23:493.
    """
    mean = float(power.mean()) if len(power) else 0.0
    if windows < 1 or not mean > 0:
        return False
    above = float(power.max()) / mean
    freedom = 2 * windows / (1 + (windows - 1) / (18 * windows))
    return bool(len(power) * np.exp(-freedom / 2 * (above - 1 - np.log(above))) <= FALSE_ALARMS)
