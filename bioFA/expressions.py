"""Equations of plain numbers, of rules and rate neurons: what such a text may hold, and the numbers that it names.

A model file is data, and Brian2 and SymPy can both be made to run text. So text passes this
whitelist first: numbers, known names, + - * / **, unary minus, a few functions, and comparisons inside
`int(...)`. What Brian2 gets is written anew from what was read, never the text itself.
"""

from __future__ import annotations

import itertools
import keyword
import math
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Annotated

from pydantic import AfterValidator, PlainSerializer

from bioFA.components import Number
from bioFA.equations import formula
from bioFA.equations.formula import Dialect
from bioFA.equations.formula import Formula as Expression
from bioFA.errors import BadEquation, BadName

RESERVED = {
    "t",
    "dt",
    "i",
    "j",
    "N",
    "e",
    "pi",
    "inf",
    "xi",
    "and",
    "or",
    "not",
    "main",
    "double",
    "float",
    "int",
    "bool",
    "char",
    "long",
    "short",
    "signed",
    "unsigned",
    "void",
    "auto",
    "const",
    "static",
    "struct",
    "union",
    "enum",
    "template",
    "namespace",
    "new",
    "delete",
    "this",
    "operator",
    "private",
    "public",
    "protected",
    "switch",
    "case",
    "default",
    "do",
    "goto",
    "register",
    "sizeof",
    "typedef",
    "virtual",
    "volatile",
    "brian",
    "biofa",
}
"""Names that mean something else in an equation, in Brian2 or in C++."""
FUNCTIONS = {
    name: formula.FUNCTIONS[name]
    for name in (
        "exp",
        "log",
        "sqrt",
        "tanh",
        "sin",
        "cos",
        "abs",
        "sign",
        "clip",
        "int",
    )
}
"""The functions that an equation may call: how many arguments, and what NumPy computes."""
PLAIN = Dialect("+ - * / **", tuple(FUNCTIONS), "learning_rate * error_post * r_pre / T", free=False)
"""Equations of rules and rate neurons: plain numbers, without units."""

Constants = Annotated[Mapping[str, Number], AfterValidator(MappingProxyType), PlainSerializer(dict)]
"""Numbers by name, for a field: a compiled program takes them at run time."""


def parse(text: str, known: Iterable[str] | None = None) -> Expression:
    """Read an expression.

    Args:
        text: such as `"learning_rate * r_post * r_pre / T"`.
        known: the names that it may use; any that could be a name where None.

    Raises:
        ModelError: quoting what is not allowed, and what to write instead.
    """
    return formula.read(text, known, itertools.count(), PLAIN)


def right_side(equation: str, left: str) -> str:
    """What stands right of `<left> =`.

    Raises:
        ModelError: if the equation does not begin so.
    """
    before, sign, after = equation.partition("=")
    if not sign or "".join(before.split()) != left:
        raise BadEquation(f"the equation must begin with '{left} ='; got {equation[:40]!r}.")
    return after


def check_constants(constants: Mapping[str, float], taken: Iterable[str]) -> None:
    """Refuse names of constants that mean something else, or are none.

    Raises:
        ModelError: naming the constant.
    """
    for name, value in constants.items():
        if not name.isidentifier() or not name.isascii() or not name[0].isalpha() or name.endswith("_") or "__" in name:
            raise BadName(f"the constant {name!r} has no plain name. Use letters, digits and inner underscores.")
        if (
            name in {*taken, *FUNCTIONS, *RESERVED}
            or keyword.iskeyword(name)
            or name.endswith(("_pre", "_post"))
            or name.startswith("_")
        ):
            raise BadName(
                f"the constant '{name}' has a name that means something else in an equation. Call it otherwise."
            )
        if not math.isfinite(value):
            raise BadEquation(f"the constant '{name}' must be a finite number; got {value}.")
