"""Physical dimensions: exponents of the seven SI base units, and the names of units that a text may use.

    dimension of "nS*mV/ms" = (metre, kilogram, second, ampere, kelvin, mole, candela) ** (0, 0, -1, 1, 0, 0, 0)

Names are those of Brian2: `volt`, `mvolt`, `mV`, `siemens`, `nS`, `um`, `metre2`, ... A unit is its size in SI and its
dimension, so "mV" is (0.001, that of a volt).
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

Dimension = tuple[Fraction, ...]
BASE = ("metre", "kilogram", "second", "amp", "kelvin", "mole", "candela")


def _exponents(*powers: int) -> Dimension:
    return tuple(Fraction(power) for power in (*powers, *(0,) * (len(BASE) - len(powers))))


NONE = _exponents()
"""The dimension of a plain number."""
TIME = _exponents(0, 0, 1)
LENGTH = _exponents(1)
FREQUENCY = _exponents(0, 0, -1)
_NAMED: dict[str, tuple[float, Dimension]] = {
    "metre": (1.0, _exponents(1)),
    "meter": (1.0, _exponents(1)),
    "gram": (1e-3, _exponents(0, 1)),
    "second": (1.0, TIME),
    "amp": (1.0, _exponents(0, 0, 0, 1)),
    "ampere": (1.0, _exponents(0, 0, 0, 1)),
    "kelvin": (1.0, _exponents(0, 0, 0, 0, 1)),
    "mole": (1.0, _exponents(0, 0, 0, 0, 0, 1)),
    "molar": (1e3, _exponents(-3, 0, 0, 0, 0, 1)),
    "hertz": (1.0, _exponents(0, 0, -1)),
    "newton": (1.0, _exponents(1, 1, -2)),
    "joule": (1.0, _exponents(2, 1, -2)),
    "watt": (1.0, _exponents(2, 1, -3)),
    "coulomb": (1.0, _exponents(0, 0, 1, 1)),
    "volt": (1.0, _exponents(2, 1, -3, -1)),
    "farad": (1.0, _exponents(-2, -1, 4, 2)),
    "ohm": (1.0, _exponents(2, 1, -3, -2)),
    "siemens": (1.0, _exponents(-2, -1, 3, 2)),
}
SHORT = {
    "V": "volt",
    "A": "amp",
    "F": "farad",
    "S": "siemens",
    "s": "second",
    "Hz": "hertz",
    "m": "metre",
    "M": "molar",
}
"""Symbols of units: alone in quantities ("5 V"), and behind a prefix in every text; single letters of an equation are
its own variables."""
_PREFIXES = {"p": 1e-12, "n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9}


def _units() -> Iterator[tuple[str, tuple[float, Dimension]]]:
    """Every unit by its name; single letters stay free for variables, as in Brian2."""
    for name, (size, dimension) in _NAMED.items():
        yield name, (size, dimension)
        yield from ((prefix + name, (factor * size, dimension)) for prefix, factor in _PREFIXES.items())
    for short, name in SHORT.items():
        size, dimension = _NAMED[name]
        yield from ((prefix + short, (factor * size, dimension)) for prefix, factor in _PREFIXES.items())
    yield "Hz", _NAMED["hertz"]
    yield from ((name, (1.0, _exponents(0, 1))) for name in ("kg", "kilogram"))
    yield from ((name, (1e-2, LENGTH)) for name in ("cm", "cmetre", "cmeter"))


def _areas(units: dict[str, tuple[float, Dimension]]) -> Iterator[tuple[str, tuple[float, Dimension]]]:
    """Squares and cubes of lengths: `cm2`, `um3`."""
    for name, (size, dimension) in units.items():
        if dimension == LENGTH:
            for power in (2, 3):
                yield f"{name}{power}", (size**power, tuple(power * exponent for exponent in dimension))


UNITS = dict(_units())
UNITS |= dict(_areas(UNITS))
"""Size in SI and dimension of every unit, by name."""


def times(left: Dimension, right: Dimension) -> Dimension:
    """The dimension of a product."""
    return tuple(a + b for a, b in zip(left, right, strict=True))


def over(left: Dimension, right: Dimension) -> Dimension:
    """The dimension of a quotient."""
    return tuple(a - b for a, b in zip(left, right, strict=True))


def power(dimension: Dimension, exponent: Fraction) -> Dimension:
    """The dimension of a power."""
    return tuple(exponent * part for part in dimension)


def describe(dimension: Dimension) -> str:
    """A dimension as text: the unit that has it, such as "volt" or "volt/second", or powers of base units."""
    if dimension == NONE:
        return "1"
    plain = {name: found for name, (size, found) in _NAMED.items() if size == 1.0 and name not in ("meter", "ampere")}
    for name, found in plain.items():
        if found == dimension:
            return name
    for name, found in plain.items():
        for suffix, rest in (("/second", over(found, TIME)), ("*second", times(found, TIME))):
            if rest == dimension:
                return f"{name}{suffix}"
    return "*".join(
        name if exponent == 1 else f"{name}**{exponent if exponent.denominator == 1 else f'({exponent})'}"
        for name, exponent in zip(BASE, dimension, strict=True)
        if exponent
    )
