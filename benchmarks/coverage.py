"""How often the interval of a comparison holds the true pseudomedian: `python -m benchmarks.coverage`,
the table of docs/coverage.md.

The pseudomedian is the median of (x + y) / 2 for two independent draws. Nominal 95 %; SAMPLES samples of each kind and
size, seed SEED. Outliers: four draws in five are standard normal, one in five has ten times their spread.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import integrate, optimize, stats

from bioFA.analysis.statistics import hodges_lehmann

SEED, SAMPLES, SIZES = 1, 10_000, (8, 12, 20)
Draw = Callable[[np.random.Generator, int], np.ndarray]


def _outliers(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.standard_normal(n) * np.where(rng.random(n) < 0.2, 10.0, 1.0)


def _lognormal_pseudomedian() -> float:
    """The m with P(x + y <= 2 m) = 1/2."""
    law = stats.lognorm(1.0)

    def below(m: float) -> float:
        return float(integrate.quad(lambda x: law.pdf(x) * law.cdf(2 * m - x), 0, 2 * m)[0]) - 0.5

    return float(optimize.brentq(below, 0.5, 4.0))


KINDS: dict[str, tuple[Draw, Callable[[], float]]] = {
    "normal": (lambda rng, n: rng.standard_normal(n), lambda: 0.0),
    "exponential": (lambda rng, n: rng.exponential(size=n), lambda: float(stats.gamma(2).median()) / 2),
    "lognormal(1)": (lambda rng, n: rng.lognormal(0.0, 1.0, n), _lognormal_pseudomedian),
    "80/20 outliers": (_outliers, lambda: 0.0),
}


def coverage(kind: str, n: int, samples: int = SAMPLES, seed: int = SEED) -> float:
    """The share of samples of size n whose interval holds the pseudomedian."""
    draw, truth = KINDS[kind]
    rng, value = np.random.default_rng(seed), truth()
    intervals = [hodges_lehmann(draw(rng, n)) for _ in range(samples)]
    return float(np.mean([interval.low <= value <= interval.high for interval in intervals]))


if __name__ == "__main__":
    print("| differences | " + " | ".join(f"n = {n}" for n in SIZES) + " |\n|---|" + "---|" * len(SIZES))
    for kind in KINDS:
        print(f"| {kind} | " + " | ".join(f"{coverage(kind, n):.3f}" for n in SIZES) + " |")
