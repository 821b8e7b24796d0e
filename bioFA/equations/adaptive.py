"""A step of dt in as many shorter ones as an error control asks for: Fehlberg's method of order 4(5), as GSL has it.

    k_i = f(t + a_i h, x + h sum_j b_ij k_j)         i = 1, ..., 6
    x' = x + h sum_i c_i k_i                         of fifth order, which is kept
    e = h sum_i d_i k_i                              the difference to the fourth order
    r = max over variables of abs(e)/D,              D = tolerance u + slope_tolerance abs(h f(t + h, x'))
    r > 1.1:  again from x, with h max(0.9 r^(-1/5), 0.2)
    r < 0.5:  x', and then h min(max(0.9 r^(-1/6), 1), 5)
    else      x', and h again

The first h is dt. A shorter step is cut to what is left of dt, and h is kept from each to the next, also after a cut
one and into the next dt. u is the unit of a variable in mV, ms and pA and what they make (nS, pF), so that a tolerance
of 1e-3 means 1e-3 mV and 1e-3 nS. A step that is too long is kept where a shorter one would not move the time; the rest
of dt is left out where its error is no number.

This is the control that NEST uses for its conductance-based neurons (`iaf_cond_exp`, `hh_psc_alpha`: tolerance 1e-3;
`aeif_cond_exp`: both tolerances 1e-6), to the bit where its arithmetic is repeated in its units: exp and powers are
those of C's library (`libm.py`), since the last bit can decide how long the next step is.

Sources: Fehlberg (1969), NASA TR R-315, table III; Hairer, Norsett & Wanner (1993), Solving ordinary differential
equations I, section II.4; GNU Scientific Library, `ode-initval/rkf45.c` and `cstd.c`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from bioFA.equations import libm
from bioFA.equations.dimensions import BASE, Dimension

Array = np.ndarray
AT = (0.0, 1 / 4, 3 / 8, 12 / 13, 1.0, 1 / 2)
STAGES = (
    (),
    (1 / 4,),
    (3 / 32, 9 / 32),
    (1932 / 2197, -7200 / 2197, 7296 / 2197),
    (8341 / 4104, -32832 / 4104, 29440 / 4104, -845 / 4104),
    (-6080 / 20520, 41040 / 20520, -28352 / 20520, 9295 / 20520, -5643 / 20520),
)
FIFTH = (902880 / 7618050, 0.0, 3953664 / 7618050, 3855735 / 7618050, -1371249 / 7618050, 277020 / 7618050)
ERROR = (1 / 360, 0.0, -128 / 4275, -2197 / 75240, 1 / 50, 2 / 55)
TOO_FAR, NEAR, SAFETY, SHRINK, GROW = 1.1, 0.5, 0.9, 0.2, 5.0
SMALLEST = float(np.finfo(float).tiny)
"""The error over its bound is never less, so that it can be divided by."""
TOLERANCE = 1e-3
Slope = Callable[[dict[str, Any], Array], dict[str, Any]]
"""The right sides from the variables and the seconds since the step began."""
After = Callable[[dict[str, Any], Array], dict[str, Any]]
"""The variables once some neurons have made a shorter step."""


def size_of(dimension: Dimension) -> float:
    """The unit in mV, ms and pA that has a dimension, in SI: 1e-3 for a potential, 1e-9 for a conductance."""
    of = dict(zip(BASE, map(float, dimension), strict=True))
    volts = of["kilogram"]  # the one of the three that has a mass: V = m^2 kg s^-3 A^-1
    return float(1e-3**volts * 1e-3 ** (of["second"] + 3 * volts) * 1e-12 ** (of["amp"] + volts))


def adapt(
    slope: Slope,
    x: Mapping[str, Array],
    lengths: Array,
    dt: float,
    bounds: tuple[Mapping[str, float], float],
    after: After | None = None,
) -> tuple[dict[str, Array], Array]:
    """The variables a step of dt later.

    Args:
        slope: the right sides.
        x: the variables, `(size,)` each.
        lengths: h of every neuron, `(size,)`; 0 for one that has made no step yet.
        dt: the step in seconds.
        bounds: the part of D that stands still, by variable, and `slope_tolerance`.
        after: what happens after each shorter step, in the neurons that made it.

    Returns:
        The variables, `(size,)` each, and the next h.
    """
    fixed, share = bounds
    x = {name: np.array(values, dtype=float) for name, values in x.items()}
    lengths = np.where(lengths == 0.0, dt, lengths)
    done, going = np.zeros(lengths.shape), np.ones(lengths.shape, dtype=bool)
    with np.errstate(all="ignore"):
        while going.any():
            room = dt - done
            cut = lengths > room
            h = np.where(cut, room, lengths)
            new, error = _try(slope, x, done, h)
            last = slope(new, done + h) if share else {}
            ratio = np.full(lengths.shape, SMALLEST)
            for name in x:
                bound = fixed[name] + (share * np.abs(h * last[name]) if share else 0.0)
                ratio = np.fmax(ratio, np.abs(error[name]) / bound)
            known = np.isfinite(sum(np.abs(part) for part in error.values()))
            ratio = np.where(known, ratio, np.inf)
            shrunk = np.maximum(SAFETY / libm.power(ratio, 0.2), SHRINK)
            grown = np.clip(SAFETY / libm.power(ratio, 1 / 6), 1.0, GROW)
            end = done + h
            again = (ratio > TOO_FAR) & (end + h * shrunk != end)
            factor = np.where(again, shrunk, np.where(ratio < NEAR, grown, 1.0))
            made = going & ~again
            lengths = np.where(going, h * factor, lengths)
            x = {name: np.where(made, new[name], x[name]) for name in x}
            done = np.where(made, np.where(cut | ~known, dt, end), done)
            if after is not None:
                x = after(x, made)
            going = going & (done < dt)
    return x, lengths


def _try(slope: Slope, x: dict[str, Any], done: Array, h: Array) -> tuple[dict[str, Any], dict[str, Any]]:
    """The variables a shorter step later, and their errors."""
    k: list[dict[str, Any]] = []
    for at, weights in zip(AT, STAGES, strict=True):
        moved = {name: x[name] + h * _sum(weights, k, name) for name in x} if weights else x
        k.append(slope(moved, done + at * h))
    new = {name: x[name] + h * _sum(FIFTH, k, name) for name in x}
    return new, {name: h * _sum(ERROR, k, name) for name in x}


def _sum(weights: tuple[float, ...], k: list[dict[str, Any]], name: str) -> Any:
    """The weighted sum of slopes of a variable, first to last."""
    parts = [weight * slopes[name] for weight, slopes in zip(weights, k, strict=True) if weight]
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total
