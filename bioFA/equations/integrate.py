"""One step of dt of a model's differential equations, by NumPy: Euler, exponential Euler, exact for linear ones, RK4,
and Fehlberg's method with error control.

    euler               x' = x + dt f(x)                          with noise: + sqrt(dt) g(x) n, n normal
    exponential_euler   dx/dt = A x + B, A and B of the others:   x' = x + dt phi(A dt) (A x + B)
    exact               dx/dt = M x + b, M and b constant:        x' = x + dt phi(M dt) (M x + b)
    rk4                 the classical Runge-Kutta method
    rkf45               as many shorter steps as an error control asks for (`adaptive.py`)

with phi(z) = (exp(z) - 1)/z, which is 1 at 0: no case divides by zero. What neurons receive, and everything that has no
differential equation, stands still for the step. Nothing here is derived from what Brian2 does.

Sources: Hochbruck & Ostermann (2010), Exponential integrators, Acta Numerica 19:209, section 2; Hairer, Norsett &
Wanner (1993), Solving ordinary differential equations I, table 1.2.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from bioFA.equations.adaptive import TOLERANCE, After, adapt, size_of
from bioFA.equations.formula import NOISE, Formula, exprel
from bioFA.equations.model import Model
from bioFA.errors import Unavailable

Array = np.ndarray
METHODS = ("euler", "exponential_euler", "exact", "rk4", "rkf45")
_ZERO, _ONE = ast.Constant(0.0), ast.Constant(1.0)
Affine = tuple[dict[str, ast.expr], ast.expr]
"""The slope in each variable, and the rest."""


class Integrator:
    """The differential equations of a model, by one method."""

    def __init__(self, model: Model, method: str, tolerances: tuple[float, float] = (TOLERANCE, 0.0)):
        """Choose how a model moves.

        Args:
            model: the text.
            method: one of `METHODS`.
            tolerances: `tolerance` and `slope_tolerance` of `rkf45`.

        Raises:
            Unavailable: if the method is not for these equations, naming the ones that are.
        """
        self.model, self.method, self.tolerances = model, method, tolerances
        self.noises = {name: _noises(formula) for name, formula in model.moved.items()}
        self.last: dict[bool, tuple[tuple[Any, ...], Array]] = {}
        if method not in METHODS:
            raise Unavailable(f"method '{method}' is not known. Known: {', '.join(METHODS)}.")
        if any(self.noises.values()) and method != "euler":
            raise Unavailable(f"method '{method}' knows no noise (xi). Use method = 'euler'.")
        if method == "exponential_euler":
            _ = self.own_slopes
        if method == "exact":
            _ = self.matrix

    def _affine(self, name: str, of: set[str]) -> Affine:
        """The slopes of a right side in some variables, and the rest."""
        found = affine(self.model.moved[name].tree, of)
        if found is None:
            others = "euler, rk4" if self.method == "exponential_euler" else "exponential_euler, euler, rk4"
            raise Unavailable(
                f"method '{self.method}': d{name}/dt is not linear in {', '.join(sorted(of))}. Use one of: {others}."
            )
        return found

    @cached_property
    def own_slopes(self) -> dict[str, Formula]:
        """A of every right side A x + B, x being its own variable.

        Raises:
            Unavailable: if one is not linear in its own variable.
        """
        return {
            name: Formula(formula.source, self._affine(name, {name})[0].get(name, _ZERO))
            for name, formula in self.model.moved.items()
        }

    @cached_property
    def matrix(self) -> tuple[dict[tuple[str, str], Formula], dict[str, Formula]]:
        """M by (row, column), and b by row, of a linear model, as expressions.

        Raises:
            Unavailable: if it is not linear, or M or b move within a step.
        """
        moved = set(self.model.moved)
        slopes: dict[tuple[str, str], Formula] = {}
        rest: dict[str, Formula] = {}
        for name, formula in self.model.moved.items():
            entries, constant = self._affine(name, moved)
            slopes |= {(name, other): Formula(formula.source, tree) for other, tree in entries.items()}
            rest[name] = Formula(formula.source, constant)
        for expression in (*slopes.values(), *rest.values()):
            if "t" in expression.names:
                raise Unavailable("method 'exact': an equation names t, which moves. Use one of: euler, rk4.")
        return slopes, rest

    @cached_property
    def matrix_names(self) -> tuple[str, ...]:
        """The names that M holds."""
        return tuple(dict.fromkeys(name for slope in self.matrix[0].values() for name in slope.names))

    def step(self, values: Mapping[str, Any], dt: float, normal: Mapping[str, Array] | None = None) -> dict[str, Array]:
        """The variables one step later.

        Args:
            values: every name of the model, `(size,)` or one number each, in SI; `not_refractory` where some stand
                still.
            dt: the step, in seconds.
            normal: a normal number `(size,)` for each noise, by its name, with method `euler`.

        Returns:
            Every variable that has a differential equation, `(size,)`.
        """
        with np.errstate(all="ignore"):
            new = getattr(self, f"_{self.method}")(dict(values), dt, normal or {})
        active = values.get("not_refractory", True)
        held = {name: np.where(active, new[name], values[name]) for name in self.model.held}
        return new | held

    @cached_property
    def bounds(self) -> dict[str, float]:
        """The part of the error bound that stands still, of each variable that moves (`adaptive.py`)."""
        return {name: self.tolerances[0] * size_of(self.model.known[name]) for name in self.model.moved}

    def adapt(
        self, values: Mapping[str, Any], dt: float, lengths: Array, after: After | None = None
    ) -> tuple[dict[str, Array], Array]:
        """The variables one step later by `rkf45`, and the length that comes next.

        Args:
            values: as `step`; `after` may change `not_refractory` in it.
            dt: the step, in seconds.
            lengths: of the shorter steps, `(size,)`.
            after: as `adaptive.adapt`.
        """

        def slope(moved: dict[str, Any], since: Array) -> dict[str, Array]:
            return self._slope({**values, **moved, "t": values.get("t", 0.0) + since}, by_libm=True)

        start = {name: np.broadcast_to(values[name], lengths.shape) for name in self.model.moved}
        return adapt(slope, start, lengths, dt, (self.bounds, self.tolerances[1]), after)

    def _slope(self, values: Mapping[str, Any], by_libm: bool = False) -> dict[str, Array]:
        """The right sides; what stands still in refractory neurons has none."""
        active = values.get("not_refractory", True)
        found = {name: formula.evaluate(values, by_libm) for name, formula in self.model.moved.items()}
        return {name: np.where(active, f, 0.0) if name in self.model.held else f for name, f in found.items()}

    def _euler(self, values: dict[str, Any], dt: float, normal: Mapping[str, Array]) -> dict[str, Array]:
        for noise in {noise for noises in self.noises.values() for noise in noises}:
            values[noise] = normal[noise] / np.sqrt(dt)
        return {name: values[name] + dt * f for name, f in self._slope(values).items()}

    def _rk4(self, values: dict[str, Any], dt: float, normal: Mapping[str, Array]) -> dict[str, Array]:
        start = {name: values[name] for name in self.model.moved}

        def at(slopes: Mapping[str, Array], share: float) -> dict[str, Array]:
            moved = {name: x + share * dt * slopes[name] for name, x in start.items()}
            return self._slope({**values, **moved, "t": values.get("t", 0.0) + share * dt})

        first = self._slope(values)
        second = at(first, 0.5)
        third = at(second, 0.5)
        fourth = at(third, 1.0)
        return {
            name: x + dt / 6.0 * (first[name] + 2.0 * second[name] + 2.0 * third[name] + fourth[name])
            for name, x in start.items()
        }

    def _rkf45(self, values: dict[str, Any], dt: float, normal: Mapping[str, Array]) -> dict[str, Array]:
        """From the first length on, which is dt."""
        size = np.broadcast(*(np.asarray(value) for value in values.values())).shape
        return self.adapt(values, dt, np.zeros(size))[0]

    def _exponential_euler(self, values: dict[str, Any], dt: float, normal: Mapping[str, Array]) -> dict[str, Array]:
        new = {}
        for name, formula in self.model.moved.items():
            slope = self.own_slopes[name].evaluate(values)
            new[name] = values[name] + dt * exprel(slope * dt) * formula.evaluate(values)
        return new

    def _exact(self, values: dict[str, Any], dt: float, normal: Mapping[str, Array]) -> dict[str, Array]:
        names = list(self.model.moved)
        _, rest = self.matrix
        size = np.broadcast(*(np.asarray(value) for value in values.values())).shape
        active = values.get("not_refractory", True)
        both = np.empty((*size, 2 * len(names)))  # the variables, then b
        for row, name in enumerate(names):
            runs = np.where(active, 1.0, 0.0) if name in self.model.held else 1.0
            both[..., row] = values[name]
            both[..., len(names) + row] = runs * rest[name].evaluate(values)
        moved = np.einsum("...ij,...j->...i", propagators(self, values, dt, active), both)
        return {name: moved[..., row] for row, name in enumerate(names)}


def propagators(integrator: Integrator, values: Mapping[str, Any], dt: float, active: Any) -> Array:
    """exp(M dt), and beside it dt phi(M dt), of a linear model, `(size, n, 2 n)`, or `(n, 2 n)` for plain numbers.

    Args:
        integrator: of the method `exact`.
        values: every name that M holds.
        dt: the step, in seconds.
        active: whether a neuron is not refractory; in others, what is held stands still.
    """
    shape = np.broadcast(active, *(np.asarray(value) for value in values.values())).shape
    moving, *still = (_propagators(integrator, values, dt, shape, all_) for all_ in _ways(integrator, active))
    return np.where(np.asarray(active)[..., None, None], moving, still[0]) if still else moving


def _ways(integrator: Integrator, active: Any) -> tuple[bool, ...]:
    """Whether neurons move as those that are not refractory, or as both kinds."""
    return (True,) if not integrator.model.held or np.all(active) else (True, False)


def _propagators(
    integrator: Integrator, values: Mapping[str, Any], dt: float, shape: tuple[int, ...], active: bool
) -> Array:
    """Of neurons that are all refractory, or none; the last ones, where nothing that M holds has changed."""
    slopes, _ = integrator.matrix
    key = (dt, shape, *(np.asarray(values[name]).tobytes() for name in integrator.matrix_names))
    if integrator.last.get(active, (None,))[0] == key:
        return integrator.last[active][1]
    names = list(integrator.model.moved)
    matrix = np.zeros((*shape, 2 * len(names), 2 * len(names)))
    for (row, column), slope in slopes.items():
        runs = float(active or row not in integrator.model.held)
        matrix[..., names.index(row), names.index(column)] = runs * slope.evaluate(values)
    for place in range(len(names)):
        matrix[..., place, len(names) + place] = 1.0
    found = _expm(matrix * dt)[..., : len(names), :]
    integrator.last[active] = key, found
    return found


def _expm(matrices: Array) -> Array:
    """exp of every matrix of a stack; equal ones are computed once."""
    flat = np.ascontiguousarray(matrices).reshape(-1, *matrices.shape[-2:])
    return np.array([_expm_of(matrix.tobytes(), len(matrix)) for matrix in flat]).reshape(matrices.shape)


@lru_cache(4096)
def _expm_of(matrix: bytes, rows: int) -> Array:
    """exp of one matrix; neurons that differ have few in a run, and need them in every step."""
    from scipy.linalg import expm

    result: Array = expm(np.frombuffer(matrix).reshape(rows, rows))
    return result


def _noises(formula: Formula) -> tuple[str, ...]:
    return tuple(name for name in formula.names if name.partition("_")[0] == NOISE)


def affine(tree: ast.expr, of: set[str]) -> Affine | None:
    """An expression as sum of slope times variable, plus a rest that names none; None where it is no such sum.

    Args:
        tree: the expression.
        of: the variables.
    """
    if not any(isinstance(node, ast.Name) and node.id in of for node in ast.walk(tree)):
        return {}, tree
    match tree:
        case ast.Name(id=name):
            return {name: _ONE}, _ZERO
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _mapped(affine(operand, of), lambda part: ast.UnaryOp(ast.USub(), part))
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as op, right=right):
            return _sum(affine(left, of), affine(right, of), op)
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            first, second = affine(left, of), affine(right, of)
            if first is not None and second is not None and not first[0]:
                return _mapped(second, lambda part: ast.BinOp(left, ast.Mult(), part))
            if first is not None and second is not None and not second[0]:
                return _mapped(first, lambda part: ast.BinOp(part, ast.Mult(), right))
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            below = affine(right, of)
            if below is not None and not below[0]:
                return _mapped(affine(left, of), lambda part: ast.BinOp(part, ast.Div(), right))
    return None


def _mapped(found: Affine | None, change: Callable[[ast.expr], ast.expr]) -> Affine | None:
    """A sum, every part changed alike."""
    if found is None:
        return None
    slopes, rest = found
    return {name: change(slope) for name, slope in slopes.items()}, change(rest)


def _sum(
    first: Affine | None,
    second: Affine | None,
    op: ast.operator,
) -> Affine | None:
    if first is None or second is None:
        return None
    names = {*first[0], *second[0]}
    slopes: dict[str, ast.expr] = {
        name: ast.BinOp(first[0].get(name, _ZERO), op, second[0].get(name, _ZERO)) for name in names
    }
    return slopes, ast.BinOp(first[1], op, second[1])
