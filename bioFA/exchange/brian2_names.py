"""What the names in a text of Brian2 mean, and the same text in bioFA's names.

Brian2 looks a name up among the variables of a group, then among constants, units and functions, then in the namespace
of the group, last where `run` is called. Here every text is read once: variables take the names that bioFA gives them,
units stay, numbers of a namespace become parameters, a `TimedArray` becomes a port, and anything that would run Python
is refused.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, NamedTuple

import brian2
from brian2.core.functions import Function
from brian2.core.namespace import DEFAULT_FUNCTIONS, DEFAULT_UNITS

from bioFA.equations.dimensions import UNITS, Dimension, describe
from bioFA.equations.formula import CONDITIONS, CONSTANTS, FUNCTIONS, NOISE
from bioFA.equations.model import check_name
from bioFA.errors import BadEquation, BadName, NoCounterpart, UnknownName

OWN = ("t", "dt", "i", *CONDITIONS, *CONSTANTS)
"""Names that mean the same in both languages."""
KEPT = ("fired", "left", "quiet", "since", "learning")
"""Names that bioFA's neurons keep for themselves."""
_STATEMENT = re.compile(r"(?P<name>[A-Za-z_]\w*)\s*(?P<sign>\*\*|//|[-+*/%]?)=(?!=)\s*(?P<text>.+)")


class Amount(NamedTuple):
    """A number in SI and what it measures."""

    value: float
    dimension: Dimension

    @property
    def text(self) -> Any:
        """As a description has it: a number, or text with a unit."""
        return written(self.value, self.dimension)


class Change(NamedTuple):
    """A statement `name sign= text`."""

    name: str
    sign: str
    text: str


def written(value: float, dimension: Dimension) -> Any:
    """A number in SI as a description has it."""
    unit = describe(dimension)
    return float(value) if unit == "1" else f"{float(value)!r} {unit}"


def dimension_of(dim: Any) -> Dimension:
    """A dimension of Brian2 as bioFA has it."""
    return tuple(Fraction(float(exponent)).limit_denominator(1000) for exponent in dim._dims)


def label(thing: Any) -> str:
    """What a message calls an object of Brian2."""
    return f"{type(thing).__name__} '{thing.name}'"


def statements(text: str, where: str) -> list[Change]:
    """The statements of a text, one a line or divided by semicolons.

    Raises:
        BadEquation: naming what is none.
    """
    found = []
    for line in str(text).splitlines():
        for part in line.split("#")[0].split(";"):
            if not part.strip():
                continue
            match = _STATEMENT.fullmatch(part.strip())
            if match is None:
                raise BadEquation(f"{where}: '{part.strip()[:70]}' is no statement that bioFA reads, such as v = 0*mV.")
            found.append(Change(match["name"], match["sign"], match["text"]))
    return found


def free_name(name: str, taken: Any) -> str:
    """A name that a neuron's text may hold, as near to another as can be."""
    found, number = name, 1
    while True:
        try:
            check_name(found, "name")
        except BadName:
            fits = False
        else:
            fits = re.fullmatch(r"[A-Za-z]\w*", found) is not None and found not in KEPT
        if fits and found not in taken:
            return found
        found, number = f"own_{name.strip('_')}{'' if number == 1 else number}", number + 1


@dataclass
class Reader:
    """Reads the texts of a group.

    `own` is what bioFA calls the group's variables; `constants` and `tables` what the texts named of namespaces:
    numbers, and arrays in time with the port that each arrives at.
    """

    group: Any
    namespace: Mapping[str, Any]
    own: dict[str, str]
    constants: dict[str, Amount] = field(default_factory=dict)
    tables: dict[str, Any] = field(default_factory=dict)
    called: dict[str, str] = field(default_factory=dict)

    def constant(self, name: str) -> Amount:
        """A number of a namespace.

        Raises:
            UnknownName: if there is none of that name, or it is no number.
        """
        found = self.resolved(name)
        if isinstance(found, Function) or not hasattr(found, "get_value"):
            raise NoCounterpart(f"{label(self.group)}: '{name}' is no number. bioFA's texts name numbers only.")
        return Amount(float(found.get_value()), dimension_of(found.dim))

    def resolved(self, name: str) -> Any:
        """What Brian2 finds under a name outside of the group."""
        try:
            return self.group._resolve_external(name, run_namespace=self.namespace, user_identifier=False)
        except KeyError:
            raise UnknownName(
                f"{label(self.group)}: '{name}' is neither a variable nor found in a namespace. Give it:"
                f" from_brian2(network, namespace={{'{name}': ...}})."
            ) from None

    def text(self, text: str, where: str, tables: bool = True) -> str:
        """An expression in bioFA's names.

        Args:
            text: in Brian2's.
            where: what a message calls its place.
            tables: whether an array in time may stand in it.

        Raises:
            ModelError: naming the group, the place, and what bioFA has no words for.
        """
        place = f"{label(self.group)}, {where}"
        try:
            tree = ast.parse(" ".join(str(text).split()), mode="eval")
        except SyntaxError:
            raise BadEquation(f"{place}: '{str(text)[:70]}' cannot be read.") from None
        return ast.unparse(_Names(self, place, tables).visit(tree))

    def statement(self, change: Change, where: str) -> str:
        """A statement in bioFA's names."""
        name = self.own.get(change.name)
        if name is None:
            raise BadEquation(
                f"{label(self.group)}, {where}: '{change.name}' is set, but is no variable of the group. Declare it in"
                " the model, or put its value in where it is used."
            )
        if change.sign not in ("", "+", "-", "*", "/"):
            raise BadEquation(
                f"{label(self.group)}, {where}: '{change.sign}=' is not known. Write {change.name} = ...."
            )
        return f"{name} {change.sign}= {self.text(change.text, where, tables=False)}"

    def number(self, name: str) -> ast.expr:
        """A number of a namespace, as a name of its own."""
        if name not in self.called:
            amount = self.constant(name)
            taken = {*self.own.values(), *self.constants, *self.tables}
            self.called[name] = free_name(name if name not in UNITS else f"own_{name}", taken)
            self.constants[self.called[name]] = amount
        return ast.Name(self.called[name])

    def table(self, name: str, array: Any) -> ast.expr:
        """The port at which an array in time arrives."""
        key = f"{name}(t)"
        if key not in self.called:
            self.called[key] = free_name(name, {*self.own.values(), *self.constants, *self.tables})
            self.tables[self.called[key]] = array
        return ast.Name(self.called[key])


class _Names(ast.NodeTransformer):
    """Puts bioFA's names into an expression."""

    def __init__(self, reader: Reader, place: str, tables: bool):
        self.reader, self.place, self.tables = reader, place, tables

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """A variable, a unit, a number."""
        name = node.id
        if name in self.reader.own:
            return ast.Name(self.reader.own[name])
        if name == "N" and "N" in self.reader.group.variables:
            return ast.Constant(float(self.reader.group.variables["N"].get_value()))
        if name in ("lastspike", "t_in_timesteps"):
            raise NoCounterpart(
                f"{self.place}: bioFA's texts do not know '{name}'. Say it by refractory, or by a variable of its own."
            )
        if name in OWN or name == NOISE or name.startswith(f"{NOISE}_") or name in ("True", "False"):
            return node
        if name in DEFAULT_UNITS and name in UNITS:
            return node
        return self.reader.number(name)

    def visit_Call(self, node: ast.Call) -> ast.expr:
        """A function, or an array in time."""
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name in DEFAULT_FUNCTIONS and name in FUNCTIONS:
            return ast.Call(ast.Name(name), [self.visit(argument) for argument in node.args], [])
        found = self.reader.resolved(name) if name and name not in DEFAULT_FUNCTIONS else None
        if not isinstance(found, brian2.TimedArray):
            raise NoCounterpart(
                f"{self.place}: bioFA has no function '{name}'; one of Python's runs in Brian2 only. Known:"
                f" {', '.join(FUNCTIONS)}. Write it as an expression, or its values as a TimedArray."
            )
        if [ast.unparse(argument) for argument in node.args] != ["t"]:
            raise NoCounterpart(
                f"{self.place}: '{ast.unparse(node)}': bioFA knows arrays of the time t alone. Write {name}(t), with a"
                " one-dimensional TimedArray, times a parameter of each neuron."
            )
        if not self.tables:
            raise NoCounterpart(f"{self.place}: a TimedArray may stand in equations only. Name it in a subexpression.")
        return self.reader.table(name, found)
