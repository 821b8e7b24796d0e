"""Quantities with a unit: '20 ms' in a file or in Python becomes 0.02, and goes back without loss.

Inside bioFA every number is a plain float in SI units; the unit stands on the field
(`Annotated[float, Unit("s")]`). A field takes a string with a unit, a number in SI, or a
Brian2 quantity (recognised without importing Brian2).
"""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import PydanticCustomError, core_schema

# unit -> exponents of (length, mass, time, current, temperature, substance, luminosity), Brian2's order
_BASE = {
    "s": (0, 0, 1, 0, 0, 0, 0),
    "Hz": (0, 0, -1, 0, 0, 0, 0),
    "V": (2, 1, -3, -1, 0, 0, 0),
    "A": (0, 0, 0, 1, 0, 0, 0),
    "S": (-2, -1, 3, 2, 0, 0, 0),
    "F": (-2, -1, 4, 2, 0, 0, 0),
    "ohm": (2, 1, -3, -2, 0, 0, 0),
}
BRIAN2 = {"1": "1", "s": "second", "Hz": "Hz", "V": "volt", "A": "amp", "S": "siemens", "F": "farad", "ohm": "ohm"}
"""What Brian2 calls each unit, and numbers without one."""
READABLE = {
    "s": (("ms", 1e-3), ("second", 1.0)),
    "Hz": (("Hz", 1.0),),
    "V": (("mV", 1e-3),),
    "A": (("nA", 1e-9),),
    "S": (("nS", 1e-9),),
    "F": (("pF", 1e-12),),
}
"""Brian2's units in which quantities are read best, with their size in SI."""
_PREFIXES = {"": 0, "k": 3, "M": 6, "G": 9, "m": -3, "u": -6, "n": -9, "p": -12}
_UNITS = {p + b: (e, b) for b in _BASE for p, e in _PREFIXES.items()}
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_QUANTITY = re.compile(rf"\s*({_NUMBER})\s*([A-Za-z]*)\s*")


def _scaled(digits: str, power: int) -> float:
    """The float nearest to digits x 10**power, so that '10 ms' is exactly 0.01."""
    mantissa, _, exponent = digits.lower().partition("e")
    return float(f"{mantissa}e{int(exponent or 0) + power}")


def parse(text: str, unit: str) -> float:
    """Read `'20 ms'` as a number in SI.

    Args:
        text: a number and a unit of the same dimension as `unit`.
        unit: the unit that the field declares, such as `'s'`.

    Raises:
        ValueError: if there is no number, no unit, or a unit of another dimension.
    """
    match = _QUANTITY.fullmatch(text)
    example = f"give a number in {unit} or text such as '{sample(unit)}'"
    if match is None:
        raise ValueError(f"is not a number with a unit; {example}")
    digits, symbol = match.groups()
    if not symbol:
        raise ValueError(f"has no unit; {example}")
    if symbol not in _UNITS:
        raise ValueError(f"has the unknown unit '{symbol}'; {example}")
    power, base = _UNITS[symbol]
    if _BASE[base] != _BASE[unit]:
        raise ValueError(f"has the unit '{symbol}', which does not measure what '{unit}' measures; {example}")
    return _scaled(digits, power)


def quantity(text: str) -> tuple[float, str]:
    """A number and the text of its unit, such as (20.0, "ms"); the unit may be compound, as in "2 nS/ms" or
    "0.1 volt*second**(-1/2)".

    Raises:
        ValueError: if there is no number, or no unit.
    """
    match = re.fullmatch(rf"\s*({_NUMBER})\s*\*?\s*([A-Za-z1](?:[A-Za-z0-9*/ ()]|(?<=[*(])-)*)", text)
    if match is None:
        raise ValueError("is not a number with a unit; give a number in SI or text such as '-60 mV'")
    return float(match[1]), match[2].strip()


def write(value: float, unit: str) -> str:
    """Write a number in SI with the prefix that makes it shortest; `parse` gives the same float back."""
    candidates = [f"{value!r} {unit}"]
    for prefix, power in _PREFIXES.items():
        digits = repr(_scaled(repr(value), -power))
        digits = digits.removesuffix(".0")
        if re.fullmatch(r"-?[0-9.]+", digits) and _scaled(digits, power) == value:
            candidates.append(f"{digits} {prefix}{unit}")
    return min(candidates, key=len)


def as_time(seconds: float) -> str:
    """A time in a message, such as `1.5 s` or `0.1 ms`, without what rounding left in its last digits."""
    return write(float(f"{seconds:.9g}"), "s")


def steps_of(time: float, dt: float) -> int:
    """The whole steps that a duration lasts: the nearest number, ties up,
    where binary fractions do not decide what is a tie.

    A quotient within max(1e-9, 4 ulp) of a half step is one,
    so that 2.5 ms and 0.25 ms last 3 steps of 1 ms and of 0.1 ms.

    Args:
        time: in seconds, >= 0.
        dt: length of a step in seconds, > 0.
    """
    halves = 2.0 * time / dt
    nearest = round(halves)
    if abs(halves - nearest) <= 2.0 * max(1e-9, 4.0 * math.ulp(time) / dt):
        halves = float(nearest)
    return math.floor(halves / 2.0 + 0.5)


def steps_of_all(times: np.ndarray, dt: float) -> np.ndarray:
    """`steps_of` of every time, int64."""
    halves = 2.0 * times / dt
    nearest = np.rint(halves)
    tie = np.abs(halves - nearest) <= 2.0 * np.maximum(1e-9, 4.0 * np.spacing(times) / dt)
    return np.floor(np.where(tie, nearest, halves) / 2.0 + 0.5).astype(np.int64)


FINEST = 25e-6
"""The shortest step, in seconds, of a clock that a simulator counts by adding: each addition rounds,
so that its error grows with the number of steps."""
NANO = 1e-9
DOUBLE = 2.0**-52
"""The share of a float64 that it is rounded to."""


def rounding(times: Any, width: float, precision: float = DOUBLE) -> np.ndarray:
    """How far rounding may have moved times, in seconds: what is nearer to an edge than this is at the edge.

    The largest of a share 1e-9 of the width; 1.5 units in the last place, as the times were written; and, at most 0.001
    of the width, half a nanosecond, for times with nine decimals, and what a clock that adds `FINEST` to itself has
    lost by then.

    Args:
        times: in seconds, of any shape.
        width: of the bins that the times are put into, in seconds.
        precision: of the numbers that were written, 2**-52 for float64, 2**-23 for float32.
    """
    reach = np.abs(np.asarray(times, dtype=float))
    written = np.minimum(np.maximum(NANO * 0.6, reach * reach / FINEST * DOUBLE / 2), 1e-3 * width)
    return np.maximum(np.maximum(1e-9 * width, 1.5 * np.ldexp(precision, np.frexp(reach)[1] - 1)), written)


def bin_of(times: Any, start: Any, width: float, precision: float = DOUBLE) -> np.ndarray:
    """The bin that contains each time, counted from `start` in bins of equal width: [k width, (k + 1) width).

    A time that only rounding keeps from an edge (see `rounding`) is at the edge.

    Args:
        times: in seconds, `(n,)`.
        start: where bin 0 begins, in seconds, one for all or one for each.
        width: of a bin, in seconds, > 0.
        precision: of the times, as in `rounding`.

    Returns:
        Whole numbers `(n,)`, below 0 for times before `start`.
    """
    times = np.asarray(times, dtype=float)
    place = (times - start) / width
    near = np.maximum(rounding(times, width, precision), rounding(start, width)) / width
    nearest = np.rint(place)
    return np.where(np.abs(place - nearest) <= near, nearest, np.floor(place)).astype(int)


def sample(unit: str) -> str:
    """A quantity of a unit, as text: what a message gives for an example."""
    return {"s": "20 ms", "Hz": "5 Hz", "V": "-70 mV"}.get(unit, f"1 {unit}")


class Unit:
    """Annotation that gives a float field its SI unit: `tau: Annotated[float, Unit("s"), Gt(0)]`."""

    def __init__(self, symbol: str):
        self.symbol = symbol
        self.exponents = _BASE[symbol]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_before_validator_function(
            self._to_si,
            handler(source),
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda value: write(value, self.symbol), when_used="unless-none"
            ),
        )

    def __get_pydantic_json_schema__(self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> dict:
        units = "|".join(symbol for symbol, (_, base) in _UNITS.items() if _BASE[base] == _BASE[self.symbol])
        bounds = {"gt": "exclusiveMinimum", "ge": "minimum", "lt": "exclusiveMaximum", "le": "maximum"}
        number = {
            bounds.get(name, name): value
            for name, value in handler(schema).items()
            if name not in ("description", "title")
        }
        text = {"type": "string", "pattern": rf"^\s*{_NUMBER}\s*({units})\s*$"}
        return {
            "anyOf": [number, text],
            "description": f"In {self.symbol}, or text with a unit such as '{sample(self.symbol)}'.",
        }

    def _to_si(self, value: Any) -> Any:
        if isinstance(value, str):
            try:
                return parse(value, self.symbol)
            except ValueError as error:
                raise PydanticCustomError("unit", "{reason}", {"reason": str(error)}) from None
        dimensions = getattr(value, "dim", None)
        if dimensions is not None and type(value).__module__.startswith("brian2"):
            if tuple(dimensions._dims) != self.exponents:
                reason = f"has the unit of {dimensions!r}; expected a quantity in {self.symbol}"
                raise PydanticCustomError("unit", "{reason}", {"reason": reason})
            return float(value)
        if isinstance(value, float) and not math.isfinite(value):
            raise PydanticCustomError("unit", "{reason}", {"reason": "must be a finite number"})
        return value
