"""One expression of a text: read by a whitelist of our own, with its dimension, its value in NumPy, and a text anew.

A model file is data, and Python, Brian2 and SymPy can all be made to run text. So an expression passes this reader
first: numbers, known names, units, + - * / // % **, comparisons, `and`, `or`, `not`, and the functions below. What
NumPy evaluates and what Brian2 gets are both written from the tree that was read, never from the text itself.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any, Literal

import numpy as np

from bioFA.equations import libm
from bioFA.equations.dimensions import NONE, TIME, UNITS, Dimension, describe, over, power, times
from bioFA.errors import BadEquation, UnknownName, WrongUnit, suggestion

Array = np.ndarray
LONGEST, DEEPEST = 1000, 50
"""Longest text in characters, and deepest nesting."""
LARGEST = 1e300
RATIONAL = 1000
"""The largest denominator of an exponent of something that has a unit."""
Truth = Literal["truth"]
TRUTH: Truth = "truth"
"""What a condition has in place of a dimension."""


def exprel(z: Any) -> Any:
    """(exp(z) - 1)/z, and 1 at 0."""
    z = np.asarray(z, dtype=float)
    return np.divide(np.expm1(z), z, out=np.ones_like(z), where=z != 0)


_BINARY: dict[type, str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
}
_COMPUTE: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": np.floor_divide,
    "%": np.mod,
    "**": operator.pow,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "==": np.equal,
    "!=": np.not_equal,
    "and": np.logical_and,
    "or": np.logical_or,
}
_COMPARE: dict[type, str] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}
_PLAIN: dict[str, Callable[..., Any]] = {
    "exp": np.exp,
    "log": np.log,
    "log10": np.log10,
    "expm1": np.expm1,
    "log1p": np.log1p,
    "exprel": exprel,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "arcsin": np.arcsin,
    "arccos": np.arccos,
    "arctan": np.arctan,
    "floor": np.floor,
    "ceil": np.ceil,
}
"""Functions of one plain number, to a plain number."""
FUNCTIONS: dict[str, tuple[int, Callable[..., Any]]] = {
    **{name: (1, compute) for name, compute in _PLAIN.items()},
    "sqrt": (1, np.sqrt),
    "abs": (1, np.abs),
    "sign": (1, np.sign),
    "int": (1, lambda condition: np.asarray(condition, dtype=float)),
    "clip": (3, np.clip),
    "rand": (0, lambda: None),
    "randn": (0, lambda: None),
}
"""What an expression may call: how many arguments, and what NumPy computes."""
RANDOM = ("rand", "randn")
CONSTANTS = {"pi": np.pi, "e": np.e, "inf": np.inf}
NOISE = "xi"
"""White noise, with the dimension second ** (-1/2)."""
OWN = {"t": TIME, "dt": TIME, "since": TIME, "i": NONE}
"""Names that every text of a neuron knows: the time in the trial, the step, the time since the neuron's last spike,
and its number from 0."""
CONDITIONS = ("not_refractory", "learning")
"""Names that are true or false in every text."""


@dataclass(frozen=True)
class Dialect:
    """What a text may hold: operations, functions, whether units and conditions; and how such a text looks."""

    operations: str
    functions: tuple[str, ...]
    example: str
    free: bool
    """Whether it knows units, constants, and conditions everywhere; else numbers, and comparisons inside int(...)."""

    @property
    def allowed(self) -> str:
        """All of it, in words."""
        middle = "units, " if self.free else ""
        conditions = "comparisons, and, or, not" if self.free else "comparisons inside int(...)"
        return f"numbers, names, {middle}{self.operations}, {conditions}, and {', '.join(self.functions)}"


NEURON = Dialect("+ - * / // % **", tuple(FUNCTIONS), "(e_l - v)/tau", free=True)
"""The text of a neuron, with units."""


@dataclass(frozen=True)
class Formula:
    """What was read: the tree, in which random calls are names of their own, and the names in it."""

    source: str
    tree: ast.expr

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Every name that is neither a unit nor a function, in the order of the text."""
        return tuple(dict.fromkeys(node.id for node in _walk(self.tree) if isinstance(node, ast.Name)))

    @cached_property
    def draws(self) -> tuple[str, ...]:
        """The random numbers that it takes, each by a name: `rand_0`, `randn_1`."""
        return tuple(name for name in self.names if name.startswith(("rand_", "randn_")))

    def dimension(self, known: Mapping[str, Dimension | Truth]) -> Dimension | Truth:
        """The dimension of its value, or that it is a condition.

        Raises:
            WrongUnit: where dimensions do not fit, quoting the part.
        """
        return _dimension(self.tree, known)

    def evaluate(self, values: Mapping[str, Any], by_libm: bool = False) -> Any:
        """Its value for these values of its names, in SI, which may be arrays.

        Args:
            values: by name.
            by_libm: whether functions are those of C's library, to the bit (`libm.py`), not NumPy's.
        """
        with np.errstate(all="ignore"):
            return _evaluate(self.tree, values, by_libm)

    @cached_property
    def text(self) -> str:
        """The expression as Brian2 reads it, every number a plain one in SI."""
        return _write(self.tree, {})

    def renamed(self, names: Mapping[str, str]) -> str:
        """The text with other names in it."""
        return _write(self.tree, names)

    def with_parts(self, parts: Mapping[str, Formula]) -> Formula:
        """The same expression with others in place of their names."""
        return Formula(self.source, _Replace({name: part.tree for name, part in parts.items()}).visit(self.tree))


def read(
    text: str, known: Iterable[str] | None, numbered: Iterator[int], dialect: Dialect = NEURON, towers: bool = False
) -> Formula:
    """Read an expression.

    Args:
        text: such as `"(g_l*(e_l - v) + I)/C"`.
        known: the names that it may use, beside units, constants and functions; a name hides the unit called so. Any
            name where None.
        numbered: numbers for the random calls, which are not repeated within one neuron.
        dialect: what it may hold.
        towers: whether it may leave the range of a float, since NumPy alone evaluates it.

    Raises:
        BadEquation: quoting what is not allowed.
        UnknownName: naming the unknown name, and the nearest known one.
    """
    if not isinstance(text, str) or len(text) > LONGEST or not text.isascii():
        raise BadEquation(
            f"an equation is text of at most {LONGEST} plain (ASCII) characters; got {str(text)[:40]!r}. Name parts"
            " of it."
        )
    try:
        tree = ast.parse(" ".join(text.split()), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise BadEquation(f"the equation {text!r} cannot be read. Write it like: {dialect.example}.") from None
    reader = _Reader(None if known is None else set(known), numbered, dialect)
    formula = Formula(text.strip(), reader.read(tree, DEEPEST))
    if not dialect.free:
        _check_conditions(formula.tree, False)
    if not towers:
        _refuse_towers(formula)
    return formula


@dataclass(frozen=True)
class _Reader:
    """Reads nodes: units become calls of `unit`, numbers floats, and random calls names of their own; everything that
    is not listed here is refused."""

    known: set[str] | None
    numbered: Iterator[int]
    dialect: Dialect

    def read(self, node: ast.expr, depth: int) -> ast.expr:
        """One node and what it holds."""
        if depth == 0:
            raise BadEquation(f"an equation may be nested {DEEPEST} deep. Name parts of it.")

        def inner(part: ast.expr) -> ast.expr:
            return self.read(part, depth - 1)

        match node:
            case ast.Constant(value=bool() as value) if self.dialect.free:
                return ast.Constant(value)
            # never a whole number: SymPy would compute 9**9**9 exactly
            case ast.Constant(value=int() | float() as value) if value is not True and value is not False and (
                value < LARGEST
            ):
                return ast.Constant(float(value))
            case ast.Name(id=name):
                return self._name(name)
            case ast.BinOp(left=left, op=op, right=right) if _BINARY.get(type(op)) in self.dialect.operations.split():
                return ast.BinOp(inner(left), op, inner(right))
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return inner(operand)
            case ast.UnaryOp(op=ast.USub() as op, operand=operand):
                return ast.UnaryOp(op, inner(operand))
            case ast.UnaryOp(op=ast.Not() as op, operand=operand) if self.dialect.free:
                return ast.UnaryOp(op, inner(operand))
            case ast.BoolOp(op=op, values=values) if self.dialect.free:
                return ast.BoolOp(op, [inner(value) for value in values])
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARE and (
                self.dialect.free or not isinstance(op, ast.Eq | ast.NotEq)
            ):
                return ast.Compare(inner(left), [op], [inner(right)])
            case ast.Call(func=ast.Name(id=name)):
                return self._call(name, node, inner)
        power_sign = " Write a power as **." if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitXor) else ""
        chain = self.dialect.free and isinstance(node, ast.Compare) and len(node.ops) > 1
        raise BadEquation(
            f"the equation may not contain '{ast.unparse(node)[:60]}'.{power_sign}"
            f"{' Write a < b and b < c.' if chain else ''} Allowed: {self.dialect.allowed}."
        )

    def _name(self, name: str) -> ast.expr:
        """A known name as it is, a constant as its value, and a unit as a call, so that it keeps its dimension."""
        if self.known is None or name in self.known:
            return ast.Name(name)
        if self.dialect.free and (name in OWN or name in CONDITIONS or name.partition("_")[0] == NOISE):
            return ast.Name(name)
        if self.dialect.free and name in CONSTANTS:
            return ast.Constant(CONSTANTS[name])
        if self.dialect.free and name in UNITS:
            return ast.Call(ast.Name("unit"), [ast.Constant(name)], [])
        known = {*self.known, *(OWN if self.dialect.free else ())}
        raise UnknownName(f"the equation uses the unknown name '{name}'.{suggestion(name, known)}")

    def _call(self, name: str, node: ast.Call, inner: Callable[[ast.expr], ast.expr]) -> ast.expr:
        """A call of a known function; of random numbers, a name of their own."""
        if name not in self.dialect.functions:
            known = suggestion(name, self.dialect.functions)
            raise UnknownName(f"the equation calls the unknown function '{name}'.{known}")
        if node.keywords or len(node.args) != FUNCTIONS[name][0]:
            raise BadEquation(f"{name} takes {FUNCTIONS[name][0]} argument(s); got '{ast.unparse(node)}'.")
        if name in RANDOM:
            return ast.Name(f"{name}_{next(self.numbered)}")
        return ast.Call(ast.Name(name), [inner(argument) for argument in node.args], [])


def _check_conditions(node: ast.expr, condition: bool) -> None:
    """Refuse comparisons outside of int(...), and anything else inside."""
    if condition != isinstance(node, ast.Compare):
        raise BadEquation(
            f"'{quoted(node)}': comparisons belong inside int(...), and int(...) around comparisons. For example:"
            " int(r_post > 0)."
        )
    truth = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "int"
    for part in _parts(node):
        _check_conditions(part, truth)


def _parts(node: ast.expr) -> Sequence[ast.expr]:
    """What a node holds, names of functions aside."""
    match node:
        case ast.BinOp(left=left, right=right):
            return [left, right]
        case ast.UnaryOp(operand=operand):
            return [operand]
        case ast.BoolOp(values=values):
            return values
        case ast.Compare(left=left, comparators=others):
            return [left, *others]
        case ast.Call(args=arguments):
            return arguments
    return []


def _walk(node: ast.expr) -> Iterator[ast.expr]:
    """Every node of an expression but the names of functions, in the order of the text."""
    yield node
    for part in _parts(node):
        yield from _walk(part)


def _refuse_towers(formula: Formula) -> None:
    """Refuse what leaves the range of a float whatever its names are: SymPy would compute 9**9**9 to its last digit.

    Every name is 0.07 here: what cancels (`9**9**9**(9 + 0*w)`) is as large as without it.
    """
    values = dict.fromkeys(formula.names, np.float64(0.07))
    for node in _walk(formula.tree):
        if isinstance(node, ast.Call) or (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow)):
            with np.errstate(all="ignore"):
                value = _evaluate(node, values)
            if np.isinf(value) and not is_infinite(node):
                raise BadEquation(
                    f"'{quoted(node)}' is beyond every float (1.8e308). Write a smaller number, or a power of one"
                    " level."
                )


def is_infinite(node: ast.expr) -> bool:
    """Whether a part names infinity itself."""
    return any(isinstance(part, ast.Constant) and part.value == np.inf for part in _walk(node))


def is_unit(node: ast.expr) -> bool:
    """Whether a node stands for a unit."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "unit"


def _unit(node: ast.expr) -> tuple[float, Dimension]:
    assert isinstance(node, ast.Call)
    assert isinstance(node.args[0], ast.Constant)
    return UNITS[str(node.args[0].value)]


def _dimension(node: ast.expr, known: Mapping[str, Dimension | Truth]) -> Dimension | Truth:
    """The dimension of a node."""

    def number(part: ast.expr) -> Dimension:
        found = _dimension(part, known)
        if found == TRUTH:
            raise WrongUnit(f"'{quoted(part)}' is a condition; put int(...) around it to count with it.")
        return found

    def truth(part: ast.expr) -> None:
        if _dimension(part, known) != TRUTH:
            raise WrongUnit(f"'{quoted(part)}' is no condition, such as v > 0*mV.")

    match node:
        case ast.Constant(value=bool()):
            return TRUTH
        case ast.Constant():
            return NONE
        case ast.Name(id=name):
            if name.startswith(("rand_", "randn_")):
                return NONE
            if name.partition("_")[0] == NOISE and name not in known:
                return power(TIME, Fraction(-1, 2))
            return TRUTH if name in CONDITIONS else known[name] if name in known else OWN[name]
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            truth(operand)
            return TRUTH
        case ast.UnaryOp(operand=operand):
            return number(operand)
        case ast.BoolOp(values=values):
            for value in values:
                truth(value)
            return TRUTH
        case ast.Compare(left=left, comparators=[right]):
            _equal(node, left, number(left), right, number(right), "compares")
            return TRUTH
        case ast.BinOp(left=left, op=op, right=right):
            return _of_operation(node, _BINARY[type(op)], number(left), number(right))
        case ast.Call(func=ast.Name(id=name), args=arguments):
            if name == "unit":
                return _unit(node)[1]
            if name == "int":
                truth(arguments[0])
                return NONE
            return _of_function(node, name, [number(argument) for argument in arguments])
    raise AssertionError  # the reader lets nothing else through


def _equal(whole: ast.expr, left: ast.expr, first: Dimension, right: ast.expr, second: Dimension, does: str) -> None:
    """Refuse two parts of different dimensions."""
    if first != second:
        zero = " Write 0 with its unit, such as 0*mV." if any(quoted(part) == "0" for part in (left, right)) else ""
        raise WrongUnit(
            f"'{quoted(whole)}' {does} {describe(first)} ('{quoted(left)}') and {describe(second)}"
            f" ('{quoted(right)}').{zero}"
        )


def _of_operation(node: ast.BinOp, sign: str, left: Dimension, right: Dimension) -> Dimension:
    """The dimension of `left sign right`."""
    if sign == "*":
        return times(left, right)
    if sign == "/":
        return over(left, right)
    if sign == "**":
        return _of_power(node, left, right)
    does = {"+": "adds", "-": "subtracts", "//": "divides", "%": "divides"}[sign]
    _equal(node, node.left, left, node.right, right, does)
    return NONE if sign == "//" else left


def _of_power(node: ast.BinOp, base: Dimension, exponent: Dimension) -> Dimension:
    if exponent != NONE:
        raise WrongUnit(f"the exponent of '{quoted(node)}' has the unit {describe(exponent)}; it must be a number.")
    if base == NONE:
        return NONE
    if any(isinstance(part, ast.Name) for part in _walk(node.right)):
        raise WrongUnit(
            f"the base of '{quoted(node)}' has the unit {describe(base)}, so its exponent must be a number that stands"
            " there."
        )
    with np.errstate(all="ignore"):
        value = float(_evaluate(node.right, {}))
    if not np.isfinite(value):
        raise BadEquation(f"the exponent of '{quoted(node)}' is no finite number. Write a smaller one.")
    return power(base, Fraction(value).limit_denominator(RATIONAL))


def _of_function(node: ast.Call, name: str, arguments: list[Dimension]) -> Dimension:
    """The dimension of a function's value."""
    if name == "sqrt":
        return power(arguments[0], Fraction(1, 2))
    if name == "abs":
        return arguments[0]
    if name == "sign":
        return NONE
    if name == "clip":
        for argument, found in zip(node.args[1:], arguments[1:], strict=True):
            _equal(node, node.args[0], arguments[0], argument, found, "clips")
        return arguments[0]
    if arguments[0] != NONE:
        raise WrongUnit(
            f"{name} takes a plain number; '{quoted(node.args[0])}' has the unit {describe(arguments[0])}. Divide it by"
            " a scale."
        )
    return NONE


def _evaluate(node: ast.expr, values: Mapping[str, Any], by_libm: bool = False) -> Any:
    """The value of a node."""

    def inner(part: ast.expr) -> Any:
        return _evaluate(part, values, by_libm)

    match node:
        case ast.Constant(value=value):
            return value if isinstance(value, bool) else np.float64(value)  # type: ignore[arg-type]
        case ast.Name(id=name):
            value = values[name]
            return np.float64(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return np.logical_not(inner(operand))
        case ast.UnaryOp(operand=operand):
            return -inner(operand)
        case ast.BoolOp(op=op, values=parts):
            value, *others = (inner(part) for part in parts)
            for other in others:
                value = _COMPUTE["and" if isinstance(op, ast.And) else "or"](value, other)
            return value
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return _COMPUTE[_COMPARE[type(op)]](inner(left), inner(right))
        case ast.BinOp(left=left, op=op, right=right):
            compute = libm.power if by_libm and isinstance(op, ast.Pow) else _COMPUTE[_BINARY[type(op)]]
            return compute(inner(left), inner(right))
        case ast.Call(func=ast.Name(id=name), args=arguments):
            if name == "unit":
                return np.float64(_unit(node)[0])
            function = libm.FUNCTIONS.get(name) if by_libm else None
            return (function or FUNCTIONS[name][1])(*(inner(argument) for argument in arguments))
    raise AssertionError  # the reader lets nothing else through


def _write(node: ast.expr, names: Mapping[str, str]) -> str:
    """A node as text, every operation in parentheses."""

    def inner(part: ast.expr) -> str:
        return _write(part, names)

    match node:
        case ast.Constant(value=bool() as value):
            return str(value)
        case ast.Constant(value=value):
            return "inf" if value == np.inf else repr(value)
        case ast.Name(id=name):
            return names.get(name, name)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return f"(not {inner(operand)})"
        case ast.UnaryOp(operand=operand):
            return f"(-{inner(operand)})"
        case ast.BoolOp(op=op, values=parts):
            return f"({(' and ' if isinstance(op, ast.And) else ' or ').join(inner(part) for part in parts)})"
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return f"({inner(left)} {_COMPARE[type(op)]} {inner(right)})"
        case ast.BinOp(left=left, op=op, right=right):
            return f"({inner(left)} {_BINARY[type(op)]} {inner(right)})"
        case ast.Call(func=ast.Name(id=name), args=arguments):
            if name == "unit":
                return repr(_unit(node)[0])
            if name == "int" and isinstance(arguments[0], ast.Compare):
                return f"int{inner(arguments[0])}"
            return f"{name}({', '.join(inner(argument) for argument in arguments)})"
    raise AssertionError  # the reader lets nothing else through


def write(node: ast.expr, name: Callable[[str], str], by_libm: bool = False) -> str:
    """A node as text for a compiled program: names as `name` has them, NumPy's own meaning of // and %, and e^z as a
    function of ours (`consumers/brian/biofa_numbers.h`), or, `by_libm`, of C's library."""

    def inner(part: ast.expr) -> str:
        return write(part, name, by_libm)

    match node:
        case ast.Constant() | ast.Call(func=ast.Name(id="unit")):
            return _write(node, {})
        case ast.Name(id=given):
            return name(given)
        case ast.UnaryOp(op=op, operand=operand):
            return f"({'not ' if isinstance(op, ast.Not) else '-'}{inner(operand)})"
        case ast.BoolOp(op=op, values=parts):
            return f"({(' and ' if isinstance(op, ast.And) else ' or ').join(inner(part) for part in parts)})"
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return f"({inner(left)} {_COMPARE[type(op)]} {inner(right)})"
        case ast.BinOp(left=left, op=ast.FloorDiv(), right=right):
            return f"floored({inner(left)}, {inner(right)})"
        case ast.BinOp(left=left, op=ast.Mod(), right=right):
            return f"modulo({inner(left)}, {inner(right)})"
        case ast.BinOp(left=left, op=op, right=right):
            return f"({inner(left)} {_BINARY[type(op)]} {inner(right)})"
        case ast.Call(func=ast.Name(id="int"), args=[condition]):
            return f"choose({inner(condition)}, 1.0, 0.0)"
        case ast.Call(func=ast.Name(id=function), args=arguments):
            own = {"exprel": "libm_growth"} if by_libm else {"exp": "power_of_e", "exprel": "relative_growth"}
            called = own.get(function, function)
            return f"{called}({', '.join(inner(argument) for argument in arguments)})"
    raise AssertionError  # the reader lets nothing else through


def quoted(node: ast.expr) -> str:
    """A part of an expression as its author wrote it, near enough, for a message."""

    class Back(ast.NodeTransformer):
        def visit_Call(self, call: ast.Call) -> ast.AST:
            if is_unit(call):
                return ast.Name(str(call.args[0].value))  # type: ignore[attr-defined]
            return self.generic_visit(call)

        def visit_Constant(self, constant: ast.Constant) -> ast.AST:
            value = constant.value
            return ast.Constant(int(value)) if isinstance(value, float) and value.is_integer() else constant

    text = ast.unparse(Back().visit(ast.parse(ast.unparse(node), mode="eval").body))
    return text[:60]


class _Replace(ast.NodeTransformer):
    """Put trees in place of names, in a copy."""

    def __init__(self, parts: Mapping[str, ast.expr]):
        self.parts = parts

    def visit(self, node: ast.AST) -> Any:
        """The node, or what stands in its place; whatever holds a replaced part is made anew."""
        match node:
            case ast.Name(id=name):
                return self.parts.get(name, node)
            case ast.BinOp(left=left, op=op, right=right):
                return ast.BinOp(self.visit(left), op, self.visit(right))
            case ast.UnaryOp(op=op, operand=operand):
                return ast.UnaryOp(op, self.visit(operand))
            case ast.BoolOp(op=op, values=values):
                return ast.BoolOp(op, [self.visit(value) for value in values])
            case ast.Compare(left=left, ops=ops, comparators=others):
                return ast.Compare(self.visit(left), ops, [self.visit(other) for other in others])
            case ast.Call(func=function, args=arguments):
                return ast.Call(function, [self.visit(argument) for argument in arguments], [])
        return node
