"""Equation text from a model file: read by a parser of our own, evaluated by NumPy, and only then shown to Brian2.

A model file is data, and Brian2 and SymPy can both be made to run text. So text passes this
whitelist first: numbers, known names, + - * / **, unary minus, a few functions, and comparisons inside
`int(...)`. What Brian2 gets is written anew from what was read, never the text itself.
"""

from __future__ import annotations

import ast
import keyword
import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any

import numpy as np
from pydantic import AfterValidator, PlainSerializer

from bioFA.components import Number
from bioFA.errors import BadEquation, BadName, UnknownName, suggestion

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
LONGEST, DEEPEST = 1000, 50
"""Longest text in characters, and deepest nesting."""
_BINARY: dict[type, tuple[str, Callable[[Any, Any], Any]]] = {
    ast.Add: ("+", operator.add),
    ast.Sub: ("-", operator.sub),
    ast.Mult: ("*", operator.mul),
    ast.Div: ("/", operator.truediv),
    ast.Pow: ("**", operator.pow),
}
_COMPARE: dict[type, tuple[str, Callable[[Any, Any], Any]]] = {
    ast.Lt: ("<", np.less),
    ast.LtE: ("<=", np.less_equal),
    ast.Gt: (">", np.greater),
    ast.GtE: (">=", np.greater_equal),
}
FUNCTIONS: dict[str, tuple[int, Callable[..., Any]]] = {
    "exp": (1, np.exp),
    "log": (1, np.log),
    "sqrt": (1, np.sqrt),
    "tanh": (1, np.tanh),
    "sin": (1, np.sin),
    "cos": (1, np.cos),
    "abs": (1, np.abs),
    "sign": (1, np.sign),
    "clip": (3, np.clip),
    "int": (1, lambda condition: np.asarray(condition, dtype=float)),
}
"""The functions that an equation may call: how many arguments, and what NumPy computes."""


Constants = Annotated[Mapping[str, Number], AfterValidator(MappingProxyType), PlainSerializer(dict)]
"""Numbers by name, for a field: a compiled program takes them at run time."""


@dataclass(frozen=True)
class Expression:
    """What was read: its `text` for Brian2, the `names` in it, and `evaluate`."""

    text: str
    names: tuple[str, ...]
    tree: ast.expr

    def renamed(self, names: Mapping[str, str]) -> str:
        """The text with other names in it."""
        return re.sub(r"[A-Za-z_]\w*", lambda found: names.get(found[0], found[0]), self.text)

    def evaluate(self, values: Mapping[str, Any]) -> Any:
        """The value for these values of the names, which may be arrays."""
        with np.errstate(all="ignore"):
            return _evaluate(self.tree, values)


def parse(text: str, known: Iterable[str] | None = None) -> Expression:
    """Read an expression.

    Args:
        text: such as `"learning_rate * r_post * r_pre / T"`.
        known: the names that it may use; any that could be a name where None.

    Raises:
        ModelError: quoting what is not allowed, and what to write instead.
    """
    if not isinstance(text, str) or len(text) > LONGEST or not text.isascii():
        raise BadEquation(
            f"an equation is text of at most {LONGEST} plain (ASCII) characters; got {str(text)[:40]!r}. Name parts"
            " of it."
        )
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise BadEquation(
            f"the equation {text!r} cannot be read. Write it like: learning_rate * error_post * r_pre / T."
        ) from None
    names: dict[str, None] = {}
    written = _read(tree, names, None if known is None else set(known), DEEPEST)
    _refuse_towers(tree, names)
    return Expression(written, tuple(names), tree)


def _read(node: ast.expr, names: dict[str, None], known: set[str] | None, depth: int, condition: bool = False) -> str:
    """One node as text, its names noted; everything that is not listed here is refused."""
    if depth == 0:
        raise BadEquation(f"an equation may be nested {DEEPEST} deep. Name parts of it.")

    def inner(part: ast.expr, condition: bool = False) -> str:
        return _read(part, names, known, depth - 1, condition)

    if condition != isinstance(node, ast.Compare):
        raise BadEquation(
            f"'{ast.unparse(node)}': comparisons belong inside int(...), and int(...) around comparisons. For example:"
            " int(r_post > 0)."
        )
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _COMPARE:
        return f"{inner(node.left)} {_COMPARE[type(node.ops[0])][0]} {inner(node.comparators[0])}"
    if (
        isinstance(node, ast.Constant)
        and isinstance(node.value, (int, float))
        and not isinstance(node.value, bool)
        and node.value < 1e300
    ):
        return repr(float(node.value))  # never a whole number: SymPy would compute 9**9**9 exactly
    if isinstance(node, ast.Name):
        if known is not None and node.id not in known:
            raise UnknownName(f"the equation uses the unknown name '{node.id}'.{suggestion(node.id, known)}")
        names[node.id] = None
        return node.id
    if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
        return f"({inner(node.left)} {_BINARY[type(node.op)][0]} {inner(node.right)})"
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        return f"(-{inner(node.operand)})" if isinstance(node.op, ast.USub) else inner(node.operand)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        name = node.func.id
        if name not in FUNCTIONS:
            raise UnknownName(f"the equation calls the unknown function '{name}'.{suggestion(name, FUNCTIONS)}")
        if node.keywords or len(node.args) != FUNCTIONS[name][0]:
            raise BadEquation(f"{name} takes {FUNCTIONS[name][0]} argument(s); got '{ast.unparse(node)}'.")
        return f"{name}({', '.join(inner(part, name == 'int') for part in node.args)})"
    power = " Write a power as **." if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitXor) else ""
    raise BadEquation(
        f"the equation may not contain '{ast.unparse(node)[:60]}'.{power} Allowed: numbers, names, + - * / **,"
        f" comparisons inside int(...), and {', '.join(FUNCTIONS)}."
    )


def _refuse_towers(tree: ast.expr, names: Iterable[str]) -> None:
    """Refuse powers and exponentials that leave the range of a float:
    SymPy would compute those of constants to the last digit, for hours.

    Every name is 0.07 here: what cancels (`9**9**9**(9 + 0*w)`) is as large as without it.
    """
    values = dict.fromkeys(names, 0.07)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) or (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow)):
            with np.errstate(all="ignore"):
                value = _evaluate(node, values)
            if np.isinf(value):
                raise BadEquation(
                    f"'{ast.unparse(node)[:60]}' is beyond every float (1.8e308). Write a smaller number, or a power of"
                    " one level."
                )


def _evaluate(node: ast.expr, values: Mapping[str, Any]) -> Any:
    if isinstance(node, ast.Constant):
        assert isinstance(node.value, (int, float))
        return float(node.value)
    if isinstance(node, ast.Name):
        return values[node.id]
    if isinstance(node, ast.BinOp):
        return _BINARY[type(node.op)][1](
            np.asarray(_evaluate(node.left, values)), np.asarray(_evaluate(node.right, values))
        )
    if isinstance(node, ast.UnaryOp):
        value = _evaluate(node.operand, values)
        return -value if isinstance(node.op, ast.USub) else value
    if isinstance(node, ast.Compare):
        return _COMPARE[type(node.ops[0])][1](_evaluate(node.left, values), _evaluate(node.comparators[0], values))
    assert isinstance(node, ast.Call)
    assert isinstance(node.func, ast.Name)
    return FUNCTIONS[node.func.id][1](*(_evaluate(part, values) for part in node.args))


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
