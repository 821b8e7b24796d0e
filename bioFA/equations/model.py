"""A neuron's text: its differential equations, subexpressions and parameters, statements and conditions, with units.

    dv/dt = (g_l*(e_l - v) + I)/C : volt (unless refractory)      differential equation
    I = g_e*(e_e - v) : amp                                       subexpression
    w : amp                                                       a variable that statements set
    g_e += exc; v = v_reset                                       statements
    v > v_threshold and not_refractory                            condition

The syntax is Brian2's. Everything is read once, here; what it says is checked for units, evaluated by NumPy
(`integrate.py`) and written anew for Brian2.
"""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from typing import Any, Literal

import numpy as np

from bioFA.equations.dimensions import NONE, TIME, Dimension, describe, over
from bioFA.equations.formula import CONDITIONS, FUNCTIONS, NOISE, OWN, TRUTH, Formula, Truth, read
from bioFA.errors import BadEquation, BadName, DuplicateName, UnknownName, WrongUnit, suggestion

Array = np.ndarray
Kind = Literal["differential", "subexpression", "variable"]
_LINE = re.compile(
    r"(?:d(?P<moved>[A-Za-z]\w*)\s*/\s*dt|(?P<name>[A-Za-z]\w*))\s*(?:=\s*(?P<text>[^:]*?)\s*)?:\s*(?P<unit>[^(:]*?)\s*"
    r"(?:\((?P<flags>[^()]*)\)\s*)?"
)
_STATEMENT = re.compile(r"(?P<name>[A-Za-z]\w*)\s*(?P<sign>[-+*/]?)=(?!=)\s*(?P<text>.+)")
FLAGS: dict[Kind, tuple[str, ...]] = {
    "differential": ("unless refractory",),
    "subexpression": ("constant over dt",),
    "variable": (),
}
"""What may stand in parentheses behind a line, by its kind."""
TAKEN = frozenset({*OWN, *CONDITIONS, *FUNCTIONS, NOISE, "j", "N", "pi", "e", "inf", "second", "int", "unit", "s"})
"""Names that mean something else in a text of a neuron."""


@dataclass(frozen=True)
class Line:
    """One line of a model: what it defines, how, and in which unit."""

    name: str
    kind: Kind
    formula: Formula | None
    dimension: Dimension
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Statement:
    """`name sign= formula`, such as `w += b`."""

    name: str
    sign: str
    formula: Formula

    @property
    def value(self) -> Formula:
        """What the name becomes, as one expression."""
        if not self.sign:
            return self.formula
        kinds = {"+": ast.Add(), "-": ast.Sub(), "*": ast.Mult(), "/": ast.Div()}
        return Formula(self.formula.source, ast.BinOp(ast.Name(self.name), kinds[self.sign], self.formula.tree))


@dataclass(frozen=True)
class Model:
    """A text that was read: its lines by name, and the dimension of every name that it knows."""

    lines: Mapping[str, Line]
    known: Mapping[str, Dimension]
    numbered: Iterator[int] = field(default_factory=itertools.count, compare=False)

    @cached_property
    def state(self) -> tuple[str, ...]:
        """What is kept from step to step: everything that has a differential equation or is set by statements."""
        return tuple(name for name, line in self.lines.items() if line.kind != "subexpression")

    @cached_property
    def moved(self) -> dict[str, Formula]:
        """The right side of every differential equation, subexpressions put in."""
        return {
            name: line.formula.with_parts(self.written_out)
            for name, line in self.lines.items()
            if line.kind == "differential" and line.formula is not None
        }

    @cached_property
    def subexpressions(self) -> dict[str, Formula]:
        """The subexpressions, each after those that it names."""
        found = {n: line.formula for n, line in self.lines.items() if line.kind == "subexpression" and line.formula}
        try:
            order = TopologicalSorter({n: {m for m in f.names if m in found} for n, f in found.items()}).static_order()
            return {name: found[name] for name in order}
        except CycleError as error:
            raise BadEquation(f"subexpressions name each other in a circle: {' -> '.join(error.args[1])}.") from None

    @cached_property
    def written_out(self) -> dict[str, Formula]:
        """The subexpressions with those that they name put in."""
        whole: dict[str, Formula] = {}
        for name, formula in self.subexpressions.items():
            whole[name] = formula.with_parts(whole)
        return whole

    @cached_property
    def held(self) -> tuple[str, ...]:
        """The variables that stand still while a neuron is refractory."""
        return tuple(name for name, line in self.lines.items() if "unless refractory" in line.flags)

    def values(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values of all names, with those of the subexpressions."""
        whole = dict(values)
        for name, formula in self.subexpressions.items():
            whole[name] = formula.evaluate(whole)
        return whole

    def expression(self, text: str, place: str = "expression") -> tuple[Formula, Dimension | Truth]:
        """Read an expression that may name everything here.

        Raises:
            ModelError: where it cannot be read, or its dimensions do not fit, with `place` before the message.
        """
        try:
            formula = read(text, self.known, self.numbered)
            return formula, formula.dimension(self.known)
        except (BadEquation, UnknownName, WrongUnit) as error:
            raise type(error)(f"{place}: {error}") from None

    def condition(self, text: str, place: str = "condition") -> Formula:
        """Read what is true or false, such as a threshold.

        Raises:
            WrongUnit: if it is a number.
        """
        formula, dimension = self.expression(text, place)
        if dimension != TRUTH:
            raise WrongUnit(
                f"{place}: '{text.strip()[:70]}' is no condition: it has the unit {describe(dimension)}. Compare it"
                " with something, such as v > -50*mV."
            )
        return formula

    def statements(self, text: str, place: str = "statements") -> tuple[Statement, ...]:
        """Read statements, one a line or divided by semicolons.

        Raises:
            ModelError: where one is no statement, sets what cannot be set, or sets it to another unit.
        """
        parts = [part.split("#")[0].strip() for line in text.splitlines() for part in line.split(";")]
        return tuple(self._statement(part, place) for part in parts if part)

    def _statement(self, text: str, place: str) -> Statement:
        found = _STATEMENT.fullmatch(text)
        if found is None:
            raise BadEquation(f"{place}: '{text[:70]}' is no statement. Write it like v = v_reset or w += b.")
        name, sign = found["name"], found["sign"]
        if name not in self.state:
            what = "is not known" if name not in self.known else "cannot be set: it is no variable of the model"
            raise UnknownName(f"{place}: '{name}' {what}.{suggestion(name, self.state)}")
        formula, dimension = self.expression(found["text"], place)
        wanted = NONE if sign in ("*", "/") and sign else self.known[name]
        if dimension != wanted:
            shown = "a condition" if dimension == TRUTH else describe(dimension)
            raise WrongUnit(
                f"{place}: '{text[:70]}' sets {name}, in {describe(self.known[name])}, by something in {shown};"
                f" expected {describe(wanted)}."
            )
        return Statement(name, sign, formula)


def read_unit(text: str) -> tuple[float, Dimension]:
    """The size in SI and the dimension of a unit as text, such as "nS/ms", "1" or "pA*ms**2".

    Raises:
        WrongUnit: if it is no unit.
    """
    try:
        formula = read(text or " ", (), itertools.count())
        dimension = formula.dimension({})
        if dimension != TRUTH and not formula.names:
            return float(formula.evaluate({})), dimension
    except (BadEquation, UnknownName):
        pass
    raise WrongUnit(f"'{text[:40]}' is no unit. Units have Brian2's names: 1, volt, mV, nS, pA, ms, Hz, nS/ms.")


def read_model(text: str, given: Mapping[str, Dimension]) -> Model:
    """Read a neuron's `model`.

    Args:
        text: one definition a line, in Brian2's syntax; `#` begins a comment, and an expression may go over lines.
        given: the dimension of every parameter and port.

    Raises:
        ModelError: where a line cannot be read, a name is taken, or dimensions do not fit; quoting the line.
    """
    found: dict[str, re.Match[str]] = {}
    for line in _joined(text):
        match = _LINE.fullmatch(line)
        if match is None:
            raise BadEquation(
                f"model: the line '{line[:70]}' cannot be read. Write dv/dt = (e - v)/tau : volt, or I = g*(e - v) :"
                " amp, or w : amp."
            )
        name = match["moved"] or match["name"]
        if match["moved"] and match["text"] is None:
            raise BadEquation(f"model: the line '{line[:70]}' says nothing of how {name} changes.")
        check_name(name, "model")
        if name in found or name in given:
            also = "the name of a parameter or port" if name in given else "defined twice"
            raise DuplicateName(f"model: '{name}' is {also}. Give it another name.")
        found[name] = match
    dimensions = {name: _unit_of(name, match) for name, match in found.items()}
    known = {**given, **dimensions}
    numbered = itertools.count()
    lines = {name: _line(name, match, known, numbered) for name, match in found.items()}
    model = Model(lines, known, numbered)
    _ = model.subexpressions
    return model


def check_name(name: str, place: str) -> None:
    """Refuse a name that means something else in a text.

    Raises:
        BadName: naming it.
    """
    noise = name == NOISE or name.startswith(f"{NOISE}_")
    reserved = name in TAKEN or noise or name.startswith(("rand_", "randn_"))
    if reserved or name.endswith(("_", "_pre", "_post")) or "__" in name:
        raise BadName(f"{place}: '{name}' means something else in an equation. Call it otherwise.")


def _joined(text: str) -> Iterator[str]:
    """The lines of a model without comments; lines without a colon belong to the next ones."""
    waiting = ""
    for line in text.splitlines():
        waiting = f"{waiting} {line.split('#')[0].strip()}".strip()
        if ":" in waiting:
            yield waiting
            waiting = ""
    if waiting:
        raise BadEquation(f"model: the line '{waiting[:70]}' names no unit. Write it behind a colon: ... : volt.")


def _unit_of(name: str, match: re.Match[str]) -> Dimension:
    try:
        size, dimension = read_unit(match["unit"])
    except WrongUnit as error:
        raise WrongUnit(f"model: {name}: {error}") from None
    if size != 1.0:
        raise WrongUnit(
            f"model: {name}: the unit '{match['unit']}' has a prefix; an equation counts in SI. Write"
            f" {describe(dimension)}."
        )
    return dimension


def _line(name: str, match: re.Match[str], known: Mapping[str, Dimension], numbered: Iterator[int]) -> Line:
    """One definition, its dimensions checked."""
    kind: Kind = "differential" if match["moved"] else "variable" if match["text"] is None else "subexpression"
    flags = tuple(flag.strip() for flag in (match["flags"] or "").split(",") if flag.strip())
    for flag in flags:
        if flag not in FLAGS[kind]:
            raise BadEquation(
                f"model: '({flag})' cannot stand behind {name}. Known there: {', '.join(FLAGS[kind]) or 'nothing'}."
            )
    if kind == "variable":
        return Line(name, kind, None, known[name])
    place = f"model: d{name}/dt" if kind == "differential" else f"model: {name}"
    formula, dimension = Model({}, known, numbered).expression(match["text"], place)
    wanted = over(known[name], TIME) if kind == "differential" else known[name]
    if dimension != wanted:
        shown = "is a condition" if dimension == TRUTH else f"has the unit {describe(dimension)}"
        raise WrongUnit(f"{place}: the right side {shown}; expected {describe(wanted)}.")
    noisy = [noise for noise in formula.names if noise.partition("_")[0] == NOISE]
    if noisy and kind == "subexpression":
        raise BadEquation(f"{place}: {noisy[0]} may stand in a differential equation only.")
    return Line(name, kind, formula, known[name], flags)
