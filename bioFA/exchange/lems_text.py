"""The text of a neuron in LEMS: expressions, conditions and dimensions.

    (g_l*(e_l - v) + I)/c_m      (((g_l * (e_l - v)) + I) / c_m)
    v > -50*mV                   v .gt. (-1 * 50 * unit__mV)            unit__mV: a constant of 0.001 V
    int(a > b)                   (1 - ceil(H((b - a) / unit__volt)))    H(0) is 0.5 in jNeuroML, so it is rounded up
    clip(x, low, high)           the one of the three that holds, times 1, plus the others, times 0
    exprel(z)                    exp(z/2) sinh(z/2)/(z/2), and 1 at 0

Operations stand in the order of bioFA's text, so that Euler steps agree to the last bit, but for functions and powers,
which Java's library computes.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from xml.etree import ElementTree

import numpy as np

from bioFA.equations.dimensions import NONE, UNITS, Dimension, describe
from bioFA.equations.formula import CONDITIONS, TRUTH, Formula, is_unit, quoted
from bioFA.errors import NoCounterpart

EXPONENTS = ("l", "m", "t", "i", "k", "n")
"""What LEMS calls the exponents of a dimension, in the order of `dimensions.BASE`."""
STANDARD = {
    "second": ("time", "s"),
    "hertz": ("per_time", "Hz"),
    "volt": ("voltage", "V"),
    "siemens": ("conductance", "S"),
    "farad": ("capacitance", "F"),
    "ohm": ("resistance", "ohm"),
    "amp": ("current", "A"),
    "coulomb": ("charge", "C"),
    "metre": ("length", "m"),
    "kelvin": ("temperature", "K"),
    "mole": ("substance", "mol"),
}
"""NeuroML's own dimensions and their units in SI."""
KEPT = ("t", "id", "type", "name", "extends", "description", "H", "ln", "random", "ceil", "sum", "product", "factorial")
"""Names that mean something else in LEMS."""
_COMPARE = {ast.Lt: "lt", ast.LtE: "leq", ast.Gt: "gt", ast.GtE: "geq", ast.Eq: "eq", ast.NotEq: "neq"}
_OPPOSITE = {"lt": "geq", "leq": "gt", "gt": "leq", "geq": "lt", "eq": "neq", "neq": "eq"}
_SAME = ("exp", "sin", "cos", "tan", "sinh", "cosh", "tanh", "sqrt", "abs", "ceil")
_SIGNS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
_WRITTEN_OUT = 6
"""Up to this power, a power of something that has a unit is a product."""


def called(name: str) -> str:
    """What a name of a text is called in LEMS."""
    return f"own__{name}" if name in KEPT else name


def number(value: float) -> str:
    """A number without an exponent, which reads back as the same one."""
    return np.format_float_positional(value, trim="-")


@dataclass
class Dimensions:
    """The dimensions that a document uses beside NeuroML's own, by their names, and one unit in SI of each."""

    own: dict[Dimension, str] = field(default_factory=dict)

    def name(self, dimension: Dimension) -> str:
        """The name of a dimension in LEMS.

        Raises:
            NoCounterpart: if an exponent is no whole number, or it holds the candela.
        """
        if dimension == NONE:
            return "none"
        said = describe(dimension)
        if said in STANDARD:
            return STANDARD[said][0]
        if dimension[-1] or any(part.denominator != 1 for part in dimension):
            raise NoCounterpart(f"the dimension {said} has no counterpart in LEMS, whose exponents are whole numbers.")
        return self.own.setdefault(dimension, f"dimension_{len(self.own) + 1}")

    def unit(self, dimension: Dimension) -> str:
        """The unit in SI, as it stands behind a number; nothing for plain numbers."""
        if dimension == NONE:
            return ""
        said = describe(dimension)
        return STANDARD[said][1] if said in STANDARD else f"SI_{self.name(dimension)}"

    def quantity(self, value: float, dimension: Dimension) -> str:
        """A number in SI with its unit; apart, since Java reads "1e-12F" as a plain number."""
        return f"{float(value)!r} {self.unit(dimension)}".rstrip()

    def elements(self) -> list[ElementTree.Element]:
        """The definitions."""
        found = []
        for dimension, name in self.own.items():
            exponents = {key: str(part) for key, part in zip(EXPONENTS, dimension, strict=False) if part}
            found.append(ElementTree.Element("Dimension", {"name": name, **exponents}))
            found.append(ElementTree.Element("Unit", {"symbol": f"SI_{name}", "dimension": name, "power": "0"}))
        return found


@dataclass
class Writer:
    """Writes the expressions of one component type.

    `known` has the dimension of every name; `constants` gets the constants that the expressions use, by name; `names`
    has what stands in place of a name.
    """

    known: Mapping[str, Dimension]
    dimensions: Dimensions
    place: str
    constants: dict[str, tuple[float, Dimension]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)

    def one(self, dimension: Dimension) -> str:
        """The constant that is one unit in SI of a dimension."""
        name = f"unit__{self.dimensions.name(dimension)}"
        self.constants[name] = (1.0, dimension)
        return name

    def text(self, formula: Formula) -> str:
        """An expression, a number.

        Raises:
            NoCounterpart: quoting what LEMS has no words for.
        """
        return self._number(formula.tree)

    def test(self, formula: Formula) -> str:
        """A condition."""
        return self._truth(formula.tree, True)

    def _refused(self, node: ast.expr) -> NoCounterpart:
        return NoCounterpart(f"{self.place}: '{quoted(node)}' has no words in LEMS. Export to another format.")

    def _dimension(self, node: ast.expr) -> Dimension:
        found = Formula("", node).dimension(self.known)
        assert found != TRUTH
        return found

    def _plain(self, node: ast.expr, text: str) -> str:
        """A number without its unit, in SI."""
        dimension = self._dimension(node)
        return text if dimension == NONE else f"({text} / {self.one(dimension)})"

    def _number(self, node: ast.expr) -> str:
        match node:
            case ast.Constant(value=bool()):
                raise self._refused(node)
            case ast.Constant(value=float() as value) if np.isfinite(value):
                return number(value)
            case ast.Name(id=name) if name in ("since", "i") or name.startswith(("rand_", "randn_", "xi")):
                raise NoCounterpart(
                    f"{self.place}: its text names '{name.partition('_')[0]}', which LEMS has no words for here."
                )
            case ast.Name(id=name):
                return self.names.get(name, called(name))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return f"(-1 * {self._number(operand)})"
            case ast.BinOp(left=left, op=ast.Pow(), right=right):
                return self._power(left, right)
            case ast.BinOp(left=left, op=ast.FloorDiv() | ast.Mod() as op, right=right):
                over, under = self._number(left), self._number(right)
                floor = f"(-1 * ceil(-1 * ({over} / {under})))"
                return floor if isinstance(op, ast.FloorDiv) else f"({over} - ({under} * {floor}))"
            case ast.BinOp(left=left, op=op, right=right):
                return f"({self._number(left)} {_SIGNS[type(op)]} {self._number(right)})"
            case ast.Call(func=ast.Name(id=name), args=arguments):
                if is_unit(node):
                    return self._unit(str(arguments[0].value))  # type: ignore[attr-defined]
                return self._call(node, name, arguments)
        raise self._refused(node)

    def _unit(self, name: str) -> str:
        size, dimension = UNITS[name]
        self.constants[f"unit__{name}"] = (size, dimension)
        return f"unit__{name}"

    def _power(self, base: ast.expr, exponent: ast.expr) -> str:
        if self._dimension(base) == NONE:
            return f"({self._number(base)} ^ {self._number(exponent)})"
        times = Fraction(float(Formula("", exponent).evaluate({}))).limit_denominator(1000)
        if times.denominator != 1 or not 1 <= times <= _WRITTEN_OUT:
            raise self._refused(ast.BinOp(base, ast.Pow(), exponent))
        return f"({' * '.join([self._number(base)] * int(times))})"

    def _call(self, node: ast.expr, name: str, arguments: list[ast.expr]) -> str:
        if name == "int":
            return self._counted(arguments[0], True)
        texts = [self._number(argument) for argument in arguments]
        if name in _SAME:
            if name == "sqrt" and self._dimension(arguments[0]) != NONE:
                raise self._refused(node)
            return f"{name}({texts[0]})"
        match name:
            case "log":
                return f"ln({texts[0]})"
            case "log10":
                return f"(ln({texts[0]}) / {number(np.log(10.0))})"
            case "log1p":
                return f"ln(1 + {texts[0]})"
            case "expm1":
                return f"(2 * exp({texts[0]} / 2) * sinh({texts[0]} / 2))"
            case "exprel":
                half = f"({texts[0]} / 2)"
                small = f"(1 - ceil(H(abs({half}) - 0.000000001)))"
                return f"(exp({half}) * (((1 - {small}) * sinh({half}) / ({half} + {small})) + {small}))"
            case "floor":
                return f"(-1 * ceil(-1 * {texts[0]}))"
            case "sign":
                return f"((2 * H({self._plain(arguments[0], texts[0])})) - 1)"
            case "clip":
                x, low, high = texts
                below = self._compared("lt", arguments[0], arguments[1])
                above = self._compared("gt", arguments[0], arguments[2])
                return f"((({x} * (1 - {below})) * (1 - {above})) + ({low} * {below}) + ({high} * {above}))"
        raise self._refused(node)

    def _compared(self, sign: str, left: ast.expr, right: ast.expr) -> str:
        """1 where a comparison holds, else 0."""
        first, second = self._number(left), self._number(right)
        forth, back = (self._plain(left, f"({a} - {b})") for a, b in ((first, second), (second, first)))
        match sign:
            case "geq":
                return f"ceil(H({forth}))"
            case "leq":
                return f"ceil(H({back}))"
            case "gt":
                return f"(1 - ceil(H({back})))"
            case "lt":
                return f"(1 - ceil(H({forth})))"
            case "eq":
                return f"(ceil(H({forth})) * ceil(H({back})))"
        return f"(1 - (ceil(H({forth})) * ceil(H({back}))))"

    def _counted(self, node: ast.expr, holds: bool) -> str:
        """1 where a condition holds, or where it does not, else 0."""
        match node:
            case ast.Constant(value=bool() as value):
                return "1" if value == holds else "0"
            case ast.Name(id=name) if name in CONDITIONS:
                return self._flag(name) if holds else f"(1 - {self._flag(name)})"
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return self._counted(operand, not holds)
            case ast.BoolOp(op=op, values=values) if isinstance(op, ast.And) == holds:
                return f"({' * '.join(self._counted(value, holds) for value in values)})"
            case ast.BoolOp(values=values):
                return f"(1 - ({' * '.join(self._counted(value, not holds) for value in values)}))"
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                sign = _COMPARE[type(op)]
                return self._compared(sign if holds else _OPPOSITE[sign], left, right)
        raise self._refused(node)

    def _truth(self, node: ast.expr, holds: bool) -> str:
        match node:
            case ast.Constant(value=bool() as value):
                return "1 .gt. 0" if value == holds else "0 .gt. 1"
            case ast.Name(id=name) if name in CONDITIONS:
                return f"{self._flag(name)} {'.gt.' if holds else '.lt.'} 0.5"
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return self._truth(operand, not holds)
            case ast.BoolOp(op=op, values=values):
                joined = ".and." if isinstance(op, ast.And) == holds else ".or."
                return f" {joined} ".join(f"({self._truth(value, holds)})" for value in values)
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                sign = _COMPARE[type(op)]
                return f"{self._number(left)} .{sign if holds else _OPPOSITE[sign]}. {self._number(right)}"
        raise self._refused(node)

    def _flag(self, name: str) -> str:
        if name != "not_refractory":
            raise NoCounterpart(f"{self.place}: its text names '{name}', which LEMS has no words for here.")
        return name
