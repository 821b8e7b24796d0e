"""Statistics of spike trains, by Elephant where it is installed (`pip install 'bioFA[spikes]'`).

    cv_isi        standard deviation over mean of a neuron's intervals between spikes; mean over neurons
    fano_factor   variance over mean of a neuron's spike counts over presentations; mean over neurons
    correlation   Pearson's, between the spike counts of two neurons in bins of 5 ms; mean over pairs

Neurons that do not spike are left out. A Poisson process has 1, 1 and 0. Intervals lie within one presentation each, so
short ones are seen more often, which lowers the CV; presentations of different examples raise Fano factor and
correlation above those of repeats.

Sources: Denker, Yegenoglu & Gruen (2018), Neuroinformatics 2018, P19 (Elephant); Dayan & Abbott (2001), section 1.4.
"""

from __future__ import annotations

import numpy as np

from bioFA.optional import Package

Array = np.ndarray
BIN = 5e-3
FEWEST_INTERVALS = 3
"""A neuron with fewer intervals has no CV."""
ELEPHANT = Package("Elephant", "elephant", "spikes")
INSTALL = ELEPHANT.installation


def has_elephant() -> bool:
    """Whether Elephant is installed."""
    return ELEPHANT.is_here()


def spike_statistics(spikes: Array, presentations: int, steps: int, dt: float) -> dict[str, float | None]:
    """`cv_isi`, `fano_factor` and `correlation` of one population, each None where too few spikes tell it.

    Args:
        spikes: `(n, 2)`, step and neuron of every spike, steps counted from the beginning of the first presentation.
        presentations: how many presentations, one after the other.
        steps: steps per presentation.
        dt: length of a step in seconds.

    Raises:
        MissingError: if Elephant is not installed.
    """
    ELEPHANT.require("measuring spike trains")
    from elephant.conversion import BinnedSpikeTrain
    from elephant.spike_train_correlation import correlation_coefficient
    from elephant.statistics import cv, fanofactor, isi
    from neo import SpikeTrain
    from quantities import s

    def train(at: Array, length: int) -> SpikeTrain:
        """Spikes in the middle of their steps."""
        return SpikeTrain((at + 0.5) * dt * s, t_stop=length * dt * s)

    cvs, factors, whole = [], [], []
    for neuron in np.unique(spikes[:, 1]):
        at = np.sort(spikes[spikes[:, 1] == neuron, 0])
        trains = [train(at[at // steps == k] - k * steps, steps) for k in range(presentations)]
        intervals = np.concatenate([isi(one.magnitude) for one in trains if len(one) > 1] or [[]])
        if len(intervals) >= FEWEST_INTERVALS:
            cvs.append(float(cv(intervals)))
        if presentations > 1:
            factors.append(float(fanofactor(trains)))
        whole.append(train(at, presentations * steps))
    correlation = None
    if len(whole) > 1:
        binned = BinnedSpikeTrain(whole, bin_size=BIN * s, t_start=0 * s, t_stop=whole[0].t_stop, tolerance=None)
        with np.errstate(invalid="ignore", divide="ignore"):
            matrix = correlation_coefficient(binned)
        pairs = matrix[np.triu_indices(len(whole), 1)]
        correlation = _mean(pairs[np.isfinite(pairs)].tolist())  # a neuron that spikes alike in all bins has none
    return {"cv_isi": _mean(cvs), "fano_factor": _mean(factors), "correlation": correlation}


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None
