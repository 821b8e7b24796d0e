"""Statistics of a comparison: seeds are the replicates, and runs are paired by seed.

Two conditions with the same seed share their data, the order of presentations and their initial
weights, so that what is compared is the difference within each seed. A run that diverged has the
value infinity: it counts everywhere as the worst that can be, and is never dropped. Estimate,
direction, interval, p and verdict are all read from the same Walsh averages:

    difference        d_s = first_s - second_s                  0 where both diverged
    Walsh averages    w_st = (d_s + d_t) / 2,  s <= t           N = n (n + 1) / 2 of them
    estimate          the median of w (Hodges and Lehmann)
    test at x         T = min(#{w <= x}, #{w >= x}),  p(x) = min(1, 2 P(W <= T)),  W: Wilcoxon's signed-rank statistic
                      under the null
    interval          all x with p(x) not below the level at which Holm's correction tested this pair
    several pairs     Holm's step-down correction

Averages that equal x count on both sides, which is the least favourable way to break ties and zeros: with it p is never
too low, and the interval is closed, so that it leaves out 0 exactly where the test says that the two differ. An end
that n seeds cannot bound at that level is infinite.

Sources: Wilcoxon (1945), Biometrics Bulletin 1:80; Hodges & Lehmann (1963), Ann. Math. Stat. 34:598; Tukey's interval
as in Hollander, Wolfe & Chicken (2014), Nonparametric Statistical Methods, section 3.3; Holm (1979), Scand. J. Stat.
6:65; equality within a margin: Schuirmann (1987), J. Pharmacokinet. Biopharm. 15:657.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from bioFA.errors import OutOfRange, WrongShape

Array = np.ndarray

ALPHA = 0.05
"""The probability with which any claim of a whole family may be false."""
LEAST = 8
"""The default number of seeds is never lower than this."""


@dataclass(frozen=True)
class Interval:
    """A Hodges-Lehmann median and an interval about it; an end is infinite where so few values cannot bound it.
    NaN without values."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Paired:
    """One condition against another over the same seeds; `first` is better where its values are lower.

    Everything is over all `n` seeds; in `n_finite` of them both runs ended. `superiority` is the share of seeds in
    which `first` is better, ties by half.
    """

    n: int
    n_finite: int
    differences: tuple[float, ...]
    estimate: float
    superiority: float
    p: float

    def interval(self, tests: int = 1, alpha: float = ALPHA) -> Interval:
        """All differences that the test of this pair, as one of so many `tests`, does not reject at `alpha`."""
        return hodges_lehmann(self.differences, tests, alpha)


def hodges_lehmann(values: Sequence[float] | Array, tests: int = 1, alpha: float = ALPHA) -> Interval:
    """The median of the Walsh averages of independent values, and the interval that inverts the signed-rank test.

    Args:
        values: `(n,)`; infinite ones are the largest or smallest that there are.
        tests: the interval has the level `1 - alpha / tests`, or more.
        alpha: as above.

    Raises:
        ModelError: if values are no row, or one is missing.
    """
    d = _row(values)
    if not len(d):
        return Interval(np.nan, np.nan, np.nan)
    averages = _walsh(d)
    rejected = int(np.sum(_corrected(_cumulative(len(d)), tests) < alpha))
    lowest, highest = (np.sort(np.where(np.isnan(averages), worst, averages)) for worst in (-np.inf, np.inf))
    median = _median(np.sort(np.where(np.isnan(averages), 0.0, averages)))
    low, high = (float(lowest[rejected - 1]), float(highest[-rejected])) if rejected else (-np.inf, np.inf)
    return Interval(median, low, high)


def _row(values: Sequence[float] | Array) -> Array:
    x = np.asarray(values, dtype=float)
    if x.ndim != 1 or np.isnan(x).any():
        raise OutOfRange(
            f"values must be numbers in one row, none missing; got shape {x.shape}. Give infinity for a run that"
            " diverged."
        )
    return x


def _walsh(d: Array) -> Array:
    """`(n (n + 1) / 2,)`, sorted by nothing; NaN where +infinity meets -infinity,
    which lies on both sides of everything."""
    first, second = np.triu_indices(len(d))
    with np.errstate(invalid="ignore"):
        return 0.5 * d[first] + 0.5 * d[second]


def _median(ordered: Array) -> float:
    """The median of sorted values; -infinity and infinity are never neighbours, as 0 stands for their mean."""
    return float(0.5 * ordered[(len(ordered) - 1) // 2] + 0.5 * ordered[len(ordered) // 2])


@lru_cache(maxsize=256)
def _cumulative(n: int) -> Array:
    """P(W <= t) for t = 0, 1, ..., n (n + 1) / 2: the sum of the ranks 1 to n, each there with a chance of one half."""
    chance = np.ones(1)
    for rank in range(1, n + 1):
        chance = 0.5 * (np.pad(chance, (0, rank)) + np.pad(chance, (rank, 0)))
    return np.cumsum(chance)


def _corrected(below: Array, tests: int) -> Array:
    """Two-sided p of P(W <= t), as one of so many tests; the one place where p is computed,
    so that equal p are equal bits."""
    return np.minimum(1.0, tests * 2.0 * below)


def signed_rank_p(differences: Sequence[float] | Array) -> float:
    """Two-sided p of 'differences are symmetric about 0' by the signed-rank test,
    never too low where there are ties and zeros.

    Exact for any number of differences without ties; n of them can reach 2 / 2^n and no less.
    """
    d = _row(differences)
    if not len(d):
        return 1.0
    averages = _walsh(d)
    both = np.isnan(averages)
    against = min(int(np.sum((averages <= 0) | both)), int(np.sum((averages >= 0) | both)))
    return float(_corrected(_cumulative(len(d))[against], 1))


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
        raise OutOfRange(
            "a value is missing (NaN). Give infinity for a run that diverged, and wait for one that has not ended."
        )
    with np.errstate(invalid="ignore"):
        d = np.where(a == b, 0.0, a - b)  # two runs that both diverged are a tie
    better = float(np.mean(d < 0) + 0.5 * np.mean(d == 0)) if len(d) else np.nan
    finite = int(np.sum(np.isfinite(a) & np.isfinite(b)))
    return Paired(len(d), finite, tuple(map(float, d)), hodges_lehmann(d).median, better, signed_rank_p(d))


def holm(p: Sequence[float]) -> list[float]:
    """P values corrected for being several, so that one false claim among all has the stated probability.

        p~_(k) = max_{j <= k} min(1, (m - j + 1) p_(j)),    p_(1) <= ... <= p_(m)
    """
    return [corrected for corrected, _ in holm_tests(p)]


def holm_tests(p: Sequence[float]) -> list[tuple[float, int]]:
    """Holm's corrected p, and the number of tests at whose share of alpha each was tested: m - k + 1, and where
    one is not rejected, that of this one for it and all that follow.
    """
    order = np.argsort(p, kind="stable")
    found, highest, stopped = [(0.0, 0)] * len(p), 0.0, 0
    for rank, place in enumerate(order):
        tests = len(p) - rank
        highest = max(highest, float(_corrected(np.asarray(p[place]) / 2, tests)))
        if not stopped and highest >= ALPHA:
            stopped = tests
        found[place] = (highest, stopped or tests)
    return found


def can_be_tested(n: int, tests: int) -> bool:
    """Whether n seeds could show a difference in one of so many tests at all: 2 / 2^n below its share of 5 %."""
    return tests * 2.0 ** (1 - n) < ALPHA


def seeds_needed(pairs: int) -> int:
    """The fewest seeds with which one of so many pairs could be claimed at all:
    the smallest n with pairs 2/2^n < 5 %."""
    n = 1
    while not can_be_tested(n, pairs):
        n += 1
    return n


def equal_within(comparison: Paired, margin: float) -> bool:
    """Whether the 90 % interval of a difference lies inside +-margin (two one-sided tests of 5 %)."""
    interval = comparison.interval(alpha=2 * ALPHA)
    return bool(-margin <= interval.low and interval.high <= margin)


def sampling_error(share: float, examples: int) -> float:
    """Half the 95 % interval of a share of so many independent test examples: 1.96 sqrt(p (1 - p) / n)."""
    return float(1.96 * np.sqrt(share * (1 - share) / examples))
