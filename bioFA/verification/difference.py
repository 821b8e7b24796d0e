"""How far a variable of one simulation is from that of another, and how far it may be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

Array = np.ndarray
TOLERANCE = 1e-10
"""Largest share of a variable's range that rounding in another order may leave (float64)."""
EPSILON = float(np.finfo(float).eps)


@dataclass(frozen=True)
class Difference:
    """How far a variable of the compiled program is from the reference's, whose values lay between `low` and `high`.

    `absolute` is the largest absolute difference, infinite where one side is not finite; `steps` how many
    steps of simulation led there, each of which may have rounded once.
    """

    absolute: float
    low: float
    high: float
    steps: int = 1

    @property
    def range(self) -> float:
        """The reference's largest minus smallest value."""
        return self.high - self.low

    @property
    def bound(self) -> float:
        """The largest absolute difference that counts as equal."""
        size = max(abs(self.low), abs(self.high))
        if self.range == 0.0:
            return TOLERANCE * size
        return max(TOLERANCE * self.range, min(TOLERANCE, self.steps * EPSILON) * size)

    @property
    def relative(self) -> float:
        """The difference as a share of the range, or of the size of what never changes."""
        return self.absolute / (self.range or max(abs(self.low), abs(self.high)) or 1.0)

    @property
    def agrees(self) -> bool:
        """Whether the difference is within the bound; NaN never is."""
        return self.absolute <= self.bound

    def __str__(self) -> str:
        return f"{self.absolute:.2g} of a range of {self.range:.3g}"

    def joined(self, later: Difference) -> Difference:
        """Of the same variable, over both segments."""
        return Difference(
            max(self.absolute, later.absolute),
            min(self.low, later.low),
            max(self.high, later.high),
            max(self.steps, later.steps),
        )


def compare(
    name: str,
    reference: Array,
    compiled: Array,
    extremes: Mapping[str, tuple[float, float]] | None = None,
    steps: int = 1,
) -> Difference:
    """Compare one variable of the compiled program with the reference's.

    Args:
        name: of the variable, as in `extremes`.
        reference: its values, of any shape.
        compiled: the same of the compiled program, in the same shape.
        extremes: the reference's smallest and largest value over the run, by name; those in `reference` where it is not
            named.
        steps: how many steps of simulation led to these values.
    """
    reference, compiled = np.asarray(reference, dtype=float), np.asarray(compiled, dtype=float)
    with np.errstate(all="ignore"):
        absolute = float(np.abs(reference - compiled).max(initial=0.0))
    finite = reference[np.isfinite(reference)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    least, most = (extremes or {}).get(name, (low, high))
    return Difference(absolute if np.isfinite(absolute) else float("inf"), min(low, least), max(high, most), steps)
