"""Numbers that differ between neurons or synapses: where parameters, initial values, weights and delays come from.

    x ~ <distribution>, once for each neuron or synapse, when the instance is drawn

Each number may carry a unit, "-60 mV", or be one in SI. Bounds `low` and `high` cut a distribution: what lies outside
is drawn again (`outside = "redraw"`, the distribution given that it lies within) or moved to the bound (`"clip"`).

Source: Devroye (1986), Non-uniform random variate generation, section II.3 (rejection), for `redraw`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import AfterValidator, Field

from bioFA.components import Component, Family, InSchema, Name, ReadBy, as_table, faults
from bioFA.equations.dimensions import NONE, SHORT, Dimension, describe
from bioFA.equations.formula import TRUTH, Formula
from bioFA.equations.model import Model, read_unit
from bioFA.errors import (
    BadEquation,
    ModelError,
    OutOfRange,
    Unavailable,
    UnknownName,
    WrongData,
    WrongShape,
    WrongUnit,
    suggestion,
)
from bioFA.system.npy import read_npy
from bioFA.units import quantity

Array = np.ndarray
MOST_ROUNDS = 1000
"""How often what lies outside of the bounds is drawn again."""
AT_ONCE = 2**18
"""For so many synapses a text is evaluated at once."""


def _readable(value: Any) -> Any:
    if isinstance(value, str):
        quantity(value)
    return value


Quantity = Annotated[float | str, AfterValidator(_readable)]
"""A number in SI, or text with a unit; which unit it must have, the place says where it stands."""


def in_si(value: float | str, dimension: Dimension, place: str) -> float:
    """A quantity in SI.

    Args:
        value: a number in SI, or text with a unit such as "-60 mV".
        dimension: what it must measure.
        place: what the message calls it.

    Raises:
        WrongUnit: if the unit measures something else.
    """
    if not isinstance(value, str):
        return float(value)
    number, unit = quantity(value)
    size, found = read_unit(SHORT.get(unit, unit))
    if found != dimension:
        raise WrongUnit(f"{place} = '{value}' is in {describe(found)}; expected {describe(dimension)}.")
    return number * size


@dataclass(frozen=True)
class AtSynapses:
    """What a text may read at each of `count` synapses: `known`, its names by what they measure, and `values`, which
    gives their values at the synapses from one to before another, `(n,)`, `(1,)` or a number each."""

    count: int
    known: Mapping[str, Dimension]
    values: Callable[[int, int], Mapping[str, Any]]


class Distribution(Component):
    """Base of the distributions."""

    low: Quantity | None = None
    high: Quantity | None = None
    outside: Literal["redraw", "clip"] = "redraw"

    alike: ClassVar[bool] = False
    """Whether every value is the same."""
    given: ClassVar[bool] = False
    """Whether every value is given, in an order, not drawn."""
    pairwise: ClassVar[bool] = False
    """Whether every value follows from the two neurons of a synapse."""
    owns: ClassVar[bool] = True
    one_to_one: ClassVar[bool] = False
    redrawn: ClassVar[bool] = False
    passes: ClassVar[bool] = False
    transports: ClassVar[bool] = False
    shares: ClassVar[None] = None
    inverts: ClassVar[None] = None
    follows: ClassVar[None] = None
    """As the weights of listed synapses: what `bioFA.weights.Weights` says of a matrix."""
    unitless: ClassVar[tuple[str, ...]] = ("outside",)
    """Fields that have no unit of the place."""

    def numbers(self, dimension: Dimension, place: str) -> dict[str, float]:
        """Every field that is a quantity, in SI.

        Raises:
            WrongUnit: naming the field, if its unit is not that of the place.
        """
        numbers = {n: in_si(v, dimension, f"{place}.{n}") for n, v in self.quantities().items()}
        low, high = numbers.get("low", -math.inf), numbers.get("high", math.inf)
        if not low <= high:
            raise OutOfRange(f"{place}.low must be <= high = {high:g}; got {low:g}.")
        self.check(numbers, place)
        return numbers

    def check(self, numbers: Mapping[str, float], place: str) -> None:
        """Refuse numbers that make no distribution."""

    def least(self, numbers: Mapping[str, float]) -> float:
        """What no value is below, from its `numbers`."""
        return numbers.get("low", -math.inf)

    def check_count(self, count: int, place: str) -> None:
        """Refuse given values that are not so many.

        Raises:
            WrongShape: saying how many there are.
        """

    def quantities(self) -> dict[str, float | str]:
        """Every field that is a quantity, as it was given."""
        fields = {n: getattr(self, n) for n in type(self).model_fields if n not in self.unitless}
        return {n: v for n, v in fields.items() if isinstance(v, (int, float, str))}

    def dimension(self, place: str) -> Dimension:
        """What its values measure: that of its quantities with a unit; a plain number where none has one.

        Raises:
            WrongUnit: if two measure different things.
        """
        found: dict[str, Dimension] = {}
        for name, value in self.quantities().items():
            if isinstance(value, str):
                _, unit = quantity(value)
                found[name] = read_unit(SHORT.get(unit, unit))[1]
        for name, dimension in found.items():
            first = next(iter(found))
            if dimension != found[first]:
                raise WrongUnit(
                    f"{place}.{name} is in {describe(dimension)}, but {place}.{first} in {describe(found[first])}."
                    " Give both in one unit."
                )
        return next(iter(found.values()), NONE)

    def draw(self, rng: np.random.Generator, count: int, dimension: Dimension, place: str) -> Array:
        """So many values in SI, `(count,)`, within the bounds.

        Raises:
            ModelError: if the numbers make no distribution, or hardly any value lies within the bounds.
        """
        numbers = self.numbers(dimension, place)
        low, high = numbers.get("low", -math.inf), numbers.get("high", math.inf)
        values = self.sample(rng, count, numbers)
        if self.outside == "clip":
            return np.clip(values, low, high)
        for _ in range(MOST_ROUNDS):
            outside = np.flatnonzero((values < low) | (values > high))
            if not len(outside):
                return values
            values[outside] = self.sample(rng, len(outside), numbers)
        raise OutOfRange(
            f"{place}: hardly any value lies between {low:g} and {high:g}: {len(outside)} of {count} were still"
            f" outside after {MOST_ROUNDS} draws. Widen the bounds, or use outside = 'clip'."
        )

    def sample(self, rng: np.random.Generator, count: int, numbers: Mapping[str, float]) -> Array:
        """So many values, bounds aside."""
        raise NotImplementedError

    def draw_at(self, rng: np.random.Generator, synapses: AtSynapses, dimension: Dimension, place: str) -> Array:
        """A value for each synapse, `(count,)`, or `(1,)` where all are alike, as `draw`."""
        return self.draw(rng, 1 if self.alike else synapses.count, dimension, place)

    def check_at(self, known: Mapping[str, Dimension], dimension: Dimension, place: str) -> None:
        """Refuse, while describing, what cannot be computed from names that measure what is `known`.

        Raises:
            ModelError: naming the place.
        """

    def signs(self) -> frozenset[int]:
        """The signs, 1 and -1, that a value may have, as far as bounds and numbers say."""
        bounds = {name: quantity(v)[0] if isinstance(v, str) else v for name, v in self.quantities().items()}
        if bounds.get("low", -1.0) >= 0:
            return frozenset({1})
        return frozenset({-1} if bounds.get("high", 1.0) <= 0 else {-1, 1})


class Constant(Distribution):
    """Every value the same."""

    value: Quantity = 0.0
    alike: ClassVar[bool] = True

    def signs(self) -> frozenset[int]:
        """That of the value; none of 0."""
        number = quantity(self.value)[0] if isinstance(self.value, str) else self.value
        return frozenset({1} if number > 0 else {-1} if number < 0 else ())

    def least(self, numbers: Mapping[str, float]) -> float:
        """The value."""
        return numbers["value"]

    def sample(self, rng: np.random.Generator, count: int, numbers: Mapping[str, float]) -> Array:
        """The value; draws nothing."""
        return np.full(count, numbers["value"])


class Uniform(Distribution):
    """Uniform on [low, high]."""

    low: Quantity = 0.0
    high: Quantity = 1.0

    def sample(self, rng: np.random.Generator, count: int, numbers: Mapping[str, float]) -> Array:
        """U[low, high]."""
        return rng.uniform(numbers["low"], numbers["high"], count)


class Normal(Distribution):
    """N(mean, std^2)."""

    mean: Quantity = 0.0
    std: Quantity = 1.0

    def check(self, numbers: Mapping[str, float], place: str) -> None:
        """A standard deviation is not negative."""
        _at_least_0(numbers, ("std",), place)

    def sample(self, rng: np.random.Generator, count: int, numbers: Mapping[str, float]) -> Array:
        """N(mean, std^2)."""
        return numbers["mean"] + numbers["std"] * rng.standard_normal(count)


class Lognormal(Distribution):
    """Lognormal with the given mean and standard deviation of the values themselves.

    ln x ~ N(ln(mean) - s^2/2, s^2)    s^2 = ln(1 + (std/mean)^2)
    """

    mean: Quantity = 1.0
    std: Quantity = 1.0

    def least(self, numbers: Mapping[str, float]) -> float:
        """0, or the bound."""
        return max(0.0, super().least(numbers))

    def check(self, numbers: Mapping[str, float], place: str) -> None:
        """The mean is positive."""
        _above_0(numbers, ("mean",), place)
        _at_least_0(numbers, ("std",), place)

    def signs(self) -> frozenset[int]:
        """Positive."""
        return frozenset({1})

    def sample(self, rng: np.random.Generator, count: int, numbers: Mapping[str, float]) -> Array:
        """exp of a normal number."""
        square = math.log1p((numbers["std"] / numbers["mean"]) ** 2)
        return rng.lognormal(math.log(numbers["mean"]) - square / 2, math.sqrt(square), count)


class Exponential(Distribution):
    """Exponential with the given mean."""

    mean: Quantity = 1.0

    def least(self, numbers: Mapping[str, float]) -> float:
        """0, or the bound."""
        return max(0.0, super().least(numbers))

    def check(self, numbers: Mapping[str, float], place: str) -> None:
        """The mean is positive."""
        _above_0(numbers, ("mean",), place)

    def signs(self) -> frozenset[int]:
        """Positive."""
        return frozenset({1})

    def sample(self, rng: np.random.Generator, count: int, numbers: Mapping[str, float]) -> Array:
        """-mean ln(1 - u)."""
        return rng.exponential(numbers["mean"], count)


class Gamma(Distribution):
    """Gamma with the given mean and shape k: standard deviation mean/sqrt(k)."""

    mean: Quantity = 1.0
    shape: float = 1.0
    unitless: ClassVar[tuple[str, ...]] = ("outside", "shape")

    def least(self, numbers: Mapping[str, float]) -> float:
        """0, or the bound."""
        return max(0.0, super().least(numbers))

    def check(self, numbers: Mapping[str, float], place: str) -> None:
        """Mean and shape are positive."""
        _above_0({**numbers, "shape": self.shape}, ("mean", "shape"), place)

    def signs(self) -> frozenset[int]:
        """Positive."""
        return frozenset({1})

    def sample(self, rng: np.random.Generator, count: int, numbers: Mapping[str, float]) -> Array:
        """Gamma(k, mean/k)."""
        return rng.gamma(self.shape, numbers["mean"] / self.shape, count)


class Linear(Distribution):
    """Evenly from `low`, the first neuron, to `high`, the last."""

    low: Quantity = 0.0
    high: Quantity = 1.0

    def sample(self, rng: np.random.Generator, count: int, numbers: Mapping[str, float]) -> Array:
        """low + (high - low) i/(count - 1); draws nothing."""
        return np.linspace(numbers["low"], numbers["high"], count)


class Values(Distribution):
    """Given values, one for each neuron or synapse."""

    given: ClassVar[bool] = True

    values: Annotated[tuple[Quantity, ...], Field(examples=[["-60 mV", "-55 mV"]])]

    def least(self, numbers: Mapping[str, float]) -> float:
        """The smallest value."""
        return min((value for name, value in numbers.items() if name.startswith("values")), default=0.0)

    def check_count(self, count: int, place: str) -> None:
        """One value for each."""
        _check_count(len(self.values), count, place)

    def quantities(self) -> dict[str, float | str]:
        """The bounds, and every value."""
        return {**super().quantities(), **{f"values[{number}]": value for number, value in enumerate(self.values)}}

    def signs(self) -> frozenset[int]:
        """Those of the values."""
        numbers = (quantity(value)[0] if isinstance(value, str) else value for value in self.values)
        return frozenset(1 if number > 0 else -1 for number in numbers if number)

    def draw(self, rng: np.random.Generator, count: int, dimension: Dimension, place: str) -> Array:
        """The given values; draws nothing.

        Raises:
            WrongShape: if there are not as many as neurons.
        """
        self.check_count(count, place)
        numbers = self.numbers(dimension, place)
        values = np.array([numbers[f"values[{number}]"] for number in range(count)], dtype=float)
        return _within(values, numbers, place)


class FromFile(Distribution):
    """Values in SI from a `.npy` file, one for each neuron or synapse."""

    given: ClassVar[bool] = True

    path: Annotated[Name, Field(examples=["delays.npy"])]
    unitless: ClassVar[tuple[str, ...]] = ("outside", "path")

    def least(self, numbers: Mapping[str, float]) -> float:
        """Not known before the file is read: infinity."""
        return math.inf

    def draw(self, rng: np.random.Generator, count: int, dimension: Dimension, place: str) -> Array:
        """The file's values; draws nothing.

        Raises:
            FileError: if there is no such file, or it holds something else.
            WrongShape: if there are not as many values as neurons.
        """
        values = self._read(place)
        _check_count(len(values), count, place)
        return _within(values, self.numbers(dimension, place), place)

    def _read(self, place: str) -> Array:
        values = read_npy(self.path, f"{place}.path", "one value a neuron or synapse")
        if values.ndim != 1 or values.dtype.kind not in "fiu":
            raise WrongData(f"{place}.path: {self.path!r} must hold a row of numbers, one a neuron.")
        if not np.isfinite(values).all():
            raise WrongData(f"{place}.path: {self.path!r} holds numbers that are not finite. Replace NaN and infinity.")
        return values.astype(float)


class Text(Distribution):
    """What a text computes from the two neurons of each synapse, such as its weight from their distance.

    Names of the text: `i` and `j`, the numbers of the presynaptic and the postsynaptic neuron from 0; `n_pre` and
    `n_post`, how many there are; the parameters of both, `x_pre` and `x_post`; and `distance`, the Euclidean one, where
    both have the same of the parameters `x`, `y` and `z`. Written in place of a quantity it needs no table,
    `"0.5 nA * exp(-distance / (200 um))"`. What lies outside of the bounds is refused, or clipped.
    """

    pairwise: ClassVar[bool] = True

    text: Annotated[Name, Field(examples=["0.5 nS * exp(-distance / (200 um))"])]
    unitless: ClassVar[tuple[str, ...]] = ("outside", "text")

    def least(self, numbers: Mapping[str, float]) -> float:
        """The bound; else not known before there are neurons: infinity."""
        return numbers.get("low", math.inf)

    def dimension(self, place: str) -> Dimension:
        """None that is known without neurons."""
        raise _only_at_synapses(place)

    def draw(self, rng: np.random.Generator, count: int, dimension: Dimension, place: str) -> Array:
        """Refuse to: there are no two neurons."""
        raise _only_at_synapses(place)

    def check_at(self, known: Mapping[str, Dimension], dimension: Dimension, place: str) -> None:
        """The text must be readable, and measure what is wanted."""
        self._read(known, dimension, place)

    def _read(self, known: Mapping[str, Dimension], dimension: Dimension, place: str) -> Formula:
        formula, found = Model({}, known).expression(_with_units(self.text), place)
        if formula.draws:
            raise BadEquation(f"{place}: '{self.text}' draws numbers. Leave rand() and randn() out.")
        for name in formula.names:
            if name not in known:  # words of neurons, such as t
                raise UnknownName(f"{place}: the text uses the unknown name '{name}'.{suggestion(name, known)}")
        if found == TRUTH:
            raise WrongUnit(f"{place}: '{self.text}' is a condition; write int(...), which is 1 or 0.")
        if found != dimension:
            raise WrongUnit(f"{place}: '{self.text}' is in {describe(found)}; expected {describe(dimension)}.")
        return formula

    def draw_at(self, rng: np.random.Generator, synapses: AtSynapses, dimension: Dimension, place: str) -> Array:
        """The value at each synapse; draws nothing.

        Raises:
            OutOfRange: if one is not finite or out of bounds, naming the two neurons.
        """
        formula, numbers = self._read(synapses.known, dimension, place), self.numbers(dimension, place)
        low, high = numbers.get("low", -math.inf), numbers.get("high", math.inf)
        found = np.empty(synapses.count)
        for first in range(0, synapses.count, AT_ONCE):
            last = min(first + AT_ONCE, synapses.count)
            values = synapses.values(first, last)
            with np.errstate(all="ignore"):
                block = np.broadcast_to(np.asarray(formula.evaluate(values), dtype=float), last - first)
            found[first:last] = np.clip(block, low, high) if self.outside == "clip" else block
            wrong = np.flatnonzero(~((found[first:last] >= low) & (found[first:last] <= high) & np.isfinite(block)))
            if len(wrong):
                i, j = (int(values[name][wrong[0]]) for name in ("i", "j"))
                bounds = "" if "low" not in numbers and "high" not in numbers else f", not between {low:g} and {high:g}"
                raise OutOfRange(
                    f"{place}: '{self.text}' is {block[wrong[0]]:g} for the neurons {i} and {j}{bounds}. Give a text"
                    " that is finite and within its bounds, or outside = 'clip'."
                )
        return found


_QUANTITY = re.compile(
    r"((?<![\w.])(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s+((?!(?:and|or|not)\b)[A-Za-z]\w*(?:/[A-Za-z]\w*)*)"
)
_OF_NEURONS = re.compile(r"\b(?:distance|i|j|n_pre|n_post|[A-Za-z]\w*_(?:pre|post))\b")


def _with_units(text: str) -> str:
    """A text whose quantities, `0.3 m/s`, are products that the reader of equations knows, `(0.3*metre/second)`."""

    def written(match: re.Match[str]) -> str:
        return f"({match[1]}*{'/'.join(SHORT.get(unit, unit) for unit in match[2].split('/'))})"

    return _QUANTITY.sub(written, text)


def _only_at_synapses(place: str) -> ModelError:
    return Unavailable(
        f"{place}: a text of two neurons is for weights, delays and dynamics of synapses, and here are single neurons."
        " Give a number, a quantity or a distribution."
    )


def _check_count(given: int, count: int, place: str) -> None:
    if given != count:
        raise WrongShape(f"{place} holds {given} values; expected {count}, one for each.")


def _within(values: Array, numbers: Mapping[str, float], place: str) -> Array:
    """Given values, which are not drawn again: those outside of the bounds are refused."""
    low, high = numbers.get("low", -math.inf), numbers.get("high", math.inf)
    wrong = np.flatnonzero((values < low) | (values > high))
    if len(wrong):
        raise OutOfRange(f"{place}: value {wrong[0]} is {values[wrong[0]]:g}, not between {low:g} and {high:g}.")
    return values


def _above_0(numbers: Mapping[str, float], names: tuple[str, ...], place: str) -> None:
    for name in names:
        if not numbers[name] > 0:
            raise OutOfRange(f"{place}.{name} must be > 0; got {numbers[name]:g}.")


def _at_least_0(numbers: Mapping[str, float], names: tuple[str, ...], place: str) -> None:
    for name in names:
        if not numbers[name] >= 0:
            raise OutOfRange(f"{place}.{name} must be >= 0; got {numbers[name]:g}.")


family: Family[Distribution] = Family("distribution", "bioFA.distributions", base=Distribution)


def read_distribution(value: Any) -> Any:
    """A distribution as a field takes it: a quantity is the same for all, a list one value each."""
    with faults():
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return Constant(value=value)
        if isinstance(value, str) and value not in family:
            return Text(text=value) if _OF_NEURONS.search(value) else Constant(value=value)
        return Values(values=tuple(value)) if isinstance(value, (list, tuple)) else family.read(value)


def written_distribution(distribution: Distribution) -> Any:
    """A distribution as a model file has it."""
    if isinstance(distribution, (Constant, Text)) and distribution.low is None and distribution.high is None:
        if isinstance(distribution, Constant):
            return distribution.value
        if distribution.outside == "redraw" and _OF_NEURONS.search(distribution.text):
            return distribution.text
    return as_table(distribution)


Distributed = Annotated[
    Distribution,
    ReadBy(read_distribution, written_distribution),
    InSchema({"anyOf": [{"type": ["number", "string", "array"]}, {"family": "distribution"}]}),
]
"""A field that holds a distribution: a quantity for all, a list of one each, or a table."""


class Measures:
    """Annotation of a field that holds a distribution: what its values measure, and between what they are.

    tau: Annotated[Distributed, Measures("second", above=0)] = Constant(value="20 ms")
    """

    def __init__(self, unit: str, above: float | None = None, least: float | None = None, most: float | None = None):
        self.dimension = read_unit(unit)[1]
        self.above, self.least, self.most = above, least, most

    @classmethod
    def fields(cls, owner: type[Component]) -> dict[str, Measures]:
        """Every field of a part that says what it measures."""
        found = {name: owner._metadata(name) for name in owner.model_fields}
        return {name: part for name, metadata in found.items() for part in metadata if isinstance(part, cls)}

    def check(self, distribution: Distribution, place: str) -> None:
        """Refuse a wrong unit, and given values that are out of range.

        Raises:
            ModelError: naming the place.
        """
        numbers = distribution.numbers(self.dimension, place)
        known = [n for name, n in numbers.items() if name in ("value", "low", "high") or name.startswith("values[")]
        unit = "" if self.dimension == NONE else f" {describe(self.dimension)}"
        for number in known:
            if self.above is not None and not number > self.above:
                raise OutOfRange(f"{place} must be > {self.above:g}{unit}; got {number:g}{unit}.")
            if self.least is not None and not number >= self.least:
                raise OutOfRange(f"{place} must be >= {self.least:g}{unit}; got {number:g}{unit}.")
            if self.most is not None and not number <= self.most:
                raise OutOfRange(f"{place} must be <= {self.most:g}{unit}; got {number:g}{unit}.")
