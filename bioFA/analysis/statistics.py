"""Statistics of a comparison: seeds are the replicates, and runs are paired by seed.

Two conditions with the same seed share their data, the order of presentations and their initial
weights, so that what is compared is the difference within each seed. A run that diverged has the
value infinity: it counts in the test as the worst that can be, and is never dropped.

    difference        d_s = first_s - second_s
    interval          studentised bootstrap of the mean of d over seeds
    effect size       d_z = mean(d) / sd(d), in units of the spread over seeds
    test              sign flips of the signed ranks of d (Wilcoxon's statistic with ties and zeros)
    several pairs     Holm's step-down correction

Sources: Efron & Tibshirani (1993), An Introduction to the Bootstrap, section 12.5; Wilcoxon
(1945), Biometrics Bulletin 1:80, zeros as in Pratt (1959), J. Am. Stat. Assoc. 54:655; Holm
(1979), Scand. J. Stat. 6:65; Lakens (2013), Front. Psychol. 4:863 (d_z).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from bioFA.errors import OutOfRange, WrongShape

Array = np.ndarray

LEVEL = 0.95
RESAMPLES = 9999
"""Draws of the bootstrap."""
FEWEST = 5
"""With fewer seeds than this nothing is called a difference."""


@dataclass(frozen=True)
class Interval:
    """A mean and the 95 % interval about it; NaN bounds where a single value says nothing about spread."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Paired:
    """One condition against another over the same seeds; `first` is better where its values are lower.

    `difference` and `effect_size` are over the `n_finite` seeds in which both runs ended,
    `superiority` (the share of seeds in which `first` is better, ties by half) and `p` over all `n`.
    """

    n: int
    n_finite: int
    difference: Interval
    effect_size: float
    superiority: float
    p: float


def bootstrap_mean(values: Sequence[float] | Array, seed: int = 0) -> Interval:
    """The mean of independent values and its studentised bootstrap interval.

        t* = (mean* - mean) / se*,      [mean - t*_{97.5 %} se, mean - t*_{2.5 %} se]

    With 5 to 20 values this holds its 95 %, where percentile and BCa intervals are too short.
    Resamples of a single repeated value take the smallest se* of the others.

    Args:
        values: `(n,)`, finite.
        seed: of the resampling, so that equal values give equal intervals.
    """
    x = np.asarray(values, dtype=float)
    if x.ndim != 1 or not np.isfinite(x).all():
        raise OutOfRange(f"values must be finite numbers in one row; got shape {x.shape}. Leave out what has diverged.")
    if len(x) == 0:
        return Interval(np.nan, np.nan, np.nan)
    mean = float(x.mean())
    if len(x) == 1:
        return Interval(mean, np.nan, np.nan)
    centred = x - mean
    size = float(np.abs(centred).max())
    if size <= 1e-12 * abs(mean):  # all the same, up to rounding
        return Interval(mean, mean, mean)
    drawn = (centred / size)[np.random.default_rng(seed).integers(0, len(x), (RESAMPLES, len(x)))]
    errors = drawn.std(axis=1, ddof=1)
    varied = errors > 1e-12
    t = drawn.mean(axis=1) / np.where(varied, errors, errors[varied].min())
    low, high = np.quantile(t, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    spread = float(x.std(ddof=1))
    return Interval(mean, mean - float(high) * spread, mean - float(low) * spread)


def paired(first: Sequence[float] | Array, second: Sequence[float] | Array) -> Paired:
    """Compare two conditions seed by seed.

    Args:
        first: `(n,)`, one value a seed, lower is better; infinity for a run that diverged.
        second: `(n,)`, of the same seeds in the same order.

    Raises:
        ModelError: if the lengths differ, or a value is missing.
    """
    a, b = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if a.shape != b.shape or a.ndim != 1:
        raise WrongShape(f"runs are paired by seed, so both must have the same number; got {a.shape} and {b.shape}.")
    if np.isnan(a).any() or np.isnan(b).any():
        raise OutOfRange("a value is missing (NaN). Give infinity for a run that diverged, and wait for one that has not ended.")
    both = np.isfinite(a) & np.isfinite(b)
    ended = a[both] - b[both]
    spread = float(ended.std(ddof=1)) if len(ended) > 1 else np.nan
    effect = np.nan if not len(ended) or np.isnan(spread) else _ratio(float(ended.mean()), spread)
    with np.errstate(invalid="ignore"):
        differences = np.where(a == b, 0.0, a - b)  # two runs that both diverged are a tie
    better = np.mean(differences < 0) + 0.5 * np.mean(differences == 0) if len(a) else np.nan
    return Paired(len(a), int(both.sum()), bootstrap_mean(ended), effect, float(better), signed_rank_p(differences))


def _ratio(mean: float, spread: float) -> float:
    return mean / spread if spread > 0 else 0.0 if mean == 0 else float(np.copysign(np.inf, mean))


def signed_rank_p(differences: Sequence[float] | Array) -> float:
    """Two-sided p of 'differences are as often positive as negative, of any size': signs are flipped, ranks of sizes kept.

    Exact for any number of differences, ties and zeros included, so that n seeds can reach 2 / 2^n and no less: the
    distribution of the sum of ranks over all 2^n flips is built up rank by rank. Infinite differences take the highest ranks.
    """
    d = np.asarray(differences, dtype=float)
    ranks = np.rint(2 * stats.rankdata(np.abs(d))).astype(int)  # whole numbers, since tied ranks are halves
    total = ranks[d > 0].sum()
    chance = np.ones(1)
    for rank in ranks[d != 0]:
        chance = 0.5 * (np.pad(chance, (0, rank)) + np.pad(chance, (rank, 0)))
    return float(min(1.0, 2 * min(chance[: total + 1].sum(), chance[total:].sum())))


def holm(p: Sequence[float]) -> list[float]:
    """P values corrected for being several, so that one false claim among all has the stated probability.

        p~_(k) = max_{j <= k} min(1, (m - j + 1) p_(j)),    p_(1) <= ... <= p_(m)
    """
    order = np.argsort(p, kind="stable")
    corrected, highest = [0.0] * len(p), 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(p) - rank) * p[place]))
        corrected[place] = highest
    return corrected


def seeds_needed(pairs: int) -> int:
    """The fewest seeds with which one of so many pairs could be claimed at all: the smallest n with pairs 2/2^n < 5 %."""
    n = FEWEST
    while pairs * 2.0 ** (1 - n) >= 1 - LEVEL:
        n += 1
    return n


def differs(comparison: Paired, corrected_p: float) -> bool:
    """Whether a difference may be claimed: at least five seeds, and a corrected p below 5 %."""
    return comparison.n >= FEWEST and corrected_p < 1 - LEVEL
