"""Functions of C's library, number by number, for what has to round as a program in C does: steps with error control.

NumPy has functions of its own that take several numbers at once; with the processor they differ from C's in the last
bit. What an error control decides (`adaptive.py`) can hang on that bit. The compiled program calls C's there, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

NAMES = {
    **{n: n for n in ("exp", "log", "log10", "expm1", "log1p", "sin", "cos", "tan", "sinh", "cosh", "tanh")},
    **{"arcsin": "asin", "arccos": "acos", "arctan": "atan"},
}
"""NumPy's names, with C's."""


def _each(function: Callable[..., float], inputs: int) -> Callable[..., Any]:
    """A function of numbers as one of arrays."""
    all_of = np.frompyfunc(function, inputs, 1)
    return lambda *values: np.asarray(all_of(*values), dtype=float)


def _of(name: str) -> Callable[[Any], Any]:
    """A function of numbers as one of arrays; beyond its range, or its domain, what NumPy has: inf, or nan."""
    function, otherwise = getattr(math, NAMES[name]), getattr(np, name)

    def one(x: float) -> float:
        try:
            return float(function(x))
        except (OverflowError, ValueError):
            return float(otherwise(x))

    return _each(one, 1)


FUNCTIONS: dict[str, Callable[[Any], Any]] = {name: _of(name) for name in NAMES}


def exprel(z: Any) -> Any:
    """(exp(z) - 1)/z, and 1 at 0."""
    z = np.asarray(z, dtype=float)
    return np.divide(FUNCTIONS["expm1"](z), z, out=np.ones_like(z), where=z != 0)


FUNCTIONS["exprel"] = exprel


def _power(x: float, y: float) -> float:
    if y == 2.0:  # as compilers write it
        return x * x
    try:
        return math.pow(x, y)
    except (OverflowError, ValueError):
        return float(np.float64(x) ** np.float64(y))


power: Callable[[Any, Any], Any] = _each(_power, 2)
"""x^y."""
