"""The synapses of Brian2 as listed pathways: what a spike adds to a variable, synapse by synapse.

    x_post += W F        W: of this synapse, a number; F: of the neuron that it changes, such as (E - v_post)

Every statement of `on_pre` and `on_post` that adds to a variable of a neuron is a pathway: its pairs are those of the
synapses, its weights W, evaluated by Brian2's own values, its delay that of the statement's pathway; F goes into the
text of the neuron. Anything else that a spike does is refused.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import brian2
import numpy as np
from brian2.equations.equations import PARAMETER, SUBEXPRESSION

from bioFA.equations import formula
from bioFA.equations.dimensions import NONE, UNITS, Dimension, describe
from bioFA.errors import ModelError, NoCounterpart, Unavailable, WrongUnit
from bioFA.exchange.brian2_names import Change, Reader, dimension_of, label, statements

Array = np.ndarray


class End(NamedTuple):
    """A group with the neurons of it that synapses see."""

    group: Any
    first: int


class Added(NamedTuple):
    """What a statement adds, over all synapses: where from, to which variable, how much, and when.

    `sent` and `changed` are the neurons of each synapse; `weights` `(n,)` or `(1,)` in SI, `steps` the delays in steps,
    alike; `factor` the text F, in names of the neuron, or "".
    """

    source: Any
    event: str
    target: Any
    variable: str
    weights: Array
    unit: Dimension
    factor: str
    sent: Array
    changed: Array
    steps: Array
    what: str


def end(group: Any) -> End:
    """The group that holds the neurons of a group, and where they begin in it."""
    if isinstance(group, brian2.Subgroup):
        return End(group.source, int(group.start))
    return End(group, 0)


def changes(synapses: Any) -> dict[str, list[Change]]:
    """The statements of each pathway, by its name."""
    return {
        pathway.objname: statements(pathway.code or "", f"{label(synapses)}, {pathway.objname}")
        for pathway in synapses._pathways
    }


def changed_variables(synapses: Any) -> set[tuple[str, str]]:
    """The name of the group and of the variable of every neuron's variable that the synapses change."""
    found = set()
    for change in itertools.chain(*changes(synapses).values()):
        place = _place(synapses, change.name)
        if place is not None:
            found.add((place[0].group.name, place[1]))
    return found


def own_names(synapses: Any) -> set[str]:
    """The variables of the synapses themselves."""
    driven = synapses.event_driven
    return {*synapses.equations.names, *(driven.names if driven is not None else ())}


def _place(synapses: Any, name: str) -> tuple[End, str, str] | None:
    """Which neuron's variable a name means: its group, the variable, and the side; None for the synapse's own."""
    if name in own_names(synapses):
        return None
    for suffix, group in (("pre", synapses.source), ("post", synapses.target)):
        if name.endswith(f"_{suffix}"):
            return end(group), name.removesuffix(f"_{suffix}"), suffix
    if name in getattr(end(synapses.target).group, "variables", {}):
        return end(synapses.target), name, "post"
    return None


@dataclass
class Taken:
    """Reads the synapses of a `Synapses`.

    `moving` are the variables of neurons that are not the same for all time, by group and name; `readers` reads the
    texts of each group; `frozen` says that what changes synapses themselves is left out.
    """

    synapses: Any
    namespace: Mapping[str, Any]
    moving: set[tuple[str, str]]
    readers: Mapping[str, Reader | None]
    frozen: bool
    lost: list[str]

    def added(self) -> list[Added]:
        """What its spikes add, a statement each.

        Raises:
            ModelError: naming what bioFA has no words for.
        """
        self._refuse_unknown()
        found: list[Added] = []
        everything = changes(self.synapses)
        for pathway in self.synapses._pathways:
            for change in everything[pathway.objname]:
                if _place(self.synapses, change.name) is None:
                    self._own(pathway, change)
        for pathway in self.synapses._pathways:
            count = len(found)
            for change in everything[pathway.objname]:
                place = _place(self.synapses, change.name)
                if place is not None:
                    found.append(self._statement(pathway, change, *place))
            if count == len(found) and pathway.prepost == "post" and np.any(pathway.variables["delay"].get_value()):
                self.lost.append(f"{label(self.synapses)}: the delay of its pathway '{pathway.objname}'.")
        return found

    def _refuse_unknown(self) -> None:
        synapses, name = self.synapses, label(self.synapses)
        if synapses.summed_updaters:
            raise NoCounterpart(
                f"{name}: (summed) variables are graded transmission. Describe it as a pathway of bioFA that carries"
                " the presynaptic variable to a port, and leave these synapses out of the network."
            )
        for part in synapses.contained_objects:
            if type(part).__name__ not in ("SynapticPathway", "StateUpdater", "SubexpressionUpdater"):
                raise NoCounterpart(f"{name}: '{part.name}' runs code in the simulation. Leave it out.")

    def _own(self, pathway: Any, change: Change) -> None:
        """A statement that changes the synapse itself."""
        where = f"{label(self.synapses)}, {pathway.objname}: '{change.name} {change.sign}= {change.text}'"
        if change.name not in own_names(self.synapses):
            raise NoCounterpart(f"{where} sets a name of its own. Put its text in where the name is used.")
        if not self.frozen:
            raise NoCounterpart(
                f"{where} changes the synapse, by a rule of its own. Take the network over without it,"
                " from_brian2(network, frozen=True), and give the pathway a plasticity rule of bioFA."
            )
        self.lost.append(f"{where}: plasticity; weights stay as they are now.")

    def _statement(self, pathway: Any, change: Change, to: End, variable: str, side: str) -> Added:
        synapses = self.synapses
        where = f"{label(synapses)}, {pathway.objname}: '{change.name} {change.sign}= {change.text}'"
        reader = self.readers.get(to.group.name)
        if reader is None or variable not in reader.own:
            raise NoCounterpart(f"{where}: '{variable}' is no variable of {label(to.group)} that bioFA can change.")
        if change.sign not in ("+", "-"):
            raise NoCounterpart(
                f"{where} does not add. In bioFA what arrives in one step is summed: write {change.name} += ..."
            )
        try:
            tree = ast.parse(" ".join(change.text.split()), mode="eval").body
        except SyntaxError:
            raise NoCounterpart(f"{where} cannot be read.") from None
        own, state = self._divided(self._expanded(tree, where), side, where)
        weights, unit = self._weights(own, where)
        if change.sign == "-":
            weights = -weights
        factor = self._factor(state, side, reader, where)
        wanted = dimension_of(to.group.variables[variable].dim)
        if not factor and unit != wanted:
            raise WrongUnit(f"{where}: adds something in {describe(unit)} to something in {describe(wanted)}.")
        if factor:
            self.lost.append(
                f"{where}: spikes that reach a neuron in the same step act by their sum on what it was before; in"
                " Brian2 each acts on what the one before has left."
            )
        pre, post = end(synapses.source), end(synapses.target)
        ends = {
            "pre": np.asarray(synapses.i[:], dtype=np.int64) + pre.first,
            "post": np.asarray(synapses.j[:], dtype=np.int64) + post.first,
        }
        source = {"pre": pre, "post": post}[pathway.prepost]
        return Added(
            source.group, pathway.event, to.group, variable, weights, unit, factor, ends[pathway.prepost], ends[side],
            self._steps(pathway), f"{synapses.name}_{pathway.objname}",
        )  # fmt: skip

    def _steps(self, pathway: Any) -> Array:
        """Delays in steps, rounded as Brian2's queue does."""
        times, dt = np.asarray(pathway.variables["delay"].get_value(), dtype=float), float(pathway.clock.dt_)
        steps = np.floor(times / dt + 0.5).astype(np.int64)
        rounded = np.abs(times / dt - steps) > 1e-6
        if rounded.any():
            self.lost.append(
                f"{label(self.synapses)}, {pathway.objname}: {np.count_nonzero(rounded)} of {len(times)} delays are no"
                f" whole steps, such as {times[rounded][0]:g} s; they are given as those that Brian2 makes of them."
            )
        return steps[:1] if len(steps) and (steps == steps[0]).all() else steps

    def _expanded(self, tree: ast.expr, where: str) -> ast.expr:
        """An expression with the subexpressions of the synapses in it."""
        equations = self.synapses.equations

        class _Expand(ast.NodeTransformer):
            depth = 0

            def visit_Name(self, node: ast.Name) -> ast.expr:
                line = equations[node.id] if node.id in equations.names else None
                if line is None or line.type != SUBEXPRESSION:
                    return node
                inner = ast.parse(line.expr.code, mode="eval").body
                return self.visit(inner)

        return _Expand().visit(tree)

    def _divided(self, tree: ast.expr, side: str, where: str) -> tuple[list[ast.expr], list[ast.expr]]:
        """The factors that belong to the synapse, and those that belong to the neuron that is changed."""
        own: list[ast.expr] = []
        state: list[ast.expr] = []
        for factor in _factors(tree):
            (state if self._moves(factor, side, where) else own).append(factor)
        return own, state

    def _moves(self, tree: ast.expr, side: str, where: str) -> bool:
        """Whether an expression hangs on a neuron's state, which must be that of the neuron that is changed."""
        moves = False
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("rand", "randn"):
                raise NoCounterpart(f"{where} draws a number at every spike, which bioFA's synapses do not.")
            if not isinstance(node, ast.Name):
                continue
            if node.id == "t":
                raise NoCounterpart(f"{where} hangs on the time, which bioFA's synapses do not know.")
            if node.id in own_names(self.synapses):
                equations = self.synapses.equations
                if node.id not in equations.names or equations[node.id].type != PARAMETER:
                    raise NoCounterpart(
                        f"{where}: '{node.id}' of the synapse moves by itself. bioFA has short-term plasticity as"
                        " dynamics = { name = 'tsodyks_markram' } of a pathway."
                    )
                continue
            place = _place(self.synapses, node.id)
            if place is None or (place[0].group.name, place[1]) not in self.moving:
                continue
            if place[2] != side:
                raise NoCounterpart(
                    f"{where}: '{node.id}' is of the other neuron, whose state bioFA's synapses do not read as a spike"
                    " arrives. Publish it, and carry it by a pathway of its own."
                )
            moves = True
        return moves

    def _weights(self, factors: list[ast.expr], where: str) -> tuple[Array, Dimension]:
        """The product of factors in every synapse, in SI, and what it measures."""
        whole: ast.expr = ast.Constant(1.0)
        for factor in factors:
            whole = ast.BinOp(whole, ast.Mult(), factor)
        text = ast.unparse(whole)
        names = {node.id for node in ast.walk(whole) if isinstance(node, ast.Name)}
        called = {
            node.func.id for node in ast.walk(whole) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        values: dict[str, Any] = {}
        known: dict[str, Any] = {}
        for name in names - called:
            if name in self.synapses.variables or _place(self.synapses, name) is not None:
                variable = self.synapses.variables[name]
                whole_view = variable.get_value() if variable.scalar else getattr(self.synapses, f"{name}_")[:]
                values[name] = np.asarray(whole_view, dtype=float)
                known[name] = dimension_of(variable.dim)
            elif name not in UNITS and name not in formula.CONSTANTS:
                values[name], known[name] = Reader(self.synapses, self.namespace, {}).constant(name)
        try:
            read = formula.read(text, known, itertools.count())
            unit = read.dimension(known)
        except ModelError as error:
            raise error.prefixed(f"{where}: ") from None
        if unit == formula.TRUTH:
            raise WrongUnit(f"{where} adds a condition. Write int(...) around it.")
        found = np.atleast_1d(np.asarray(read.evaluate(values), dtype=float))
        if not np.isfinite(found).all():
            raise Unavailable(f"{where}: some weights are not finite. Give every synapse a number.")
        alike = len(found) > 1 and bool((found == found[0]).all())
        return (found[:1] if alike else found), unit if isinstance(unit, tuple) else NONE

    def _factor(self, factors: list[ast.expr], side: str, reader: Reader, where: str) -> str:
        """The text F, in names of the neuron; numbers stand in it as such."""
        if not factors:
            return ""
        taken = self

        class _Into(ast.NodeTransformer):
            def visit_Name(self, node: ast.Name) -> ast.expr:
                place = _place(taken.synapses, node.id)
                if place is not None:
                    if place[2] != side or place[1] not in reader.own:
                        raise NoCounterpart(f"{where}: '{node.id}' cannot stand in what changes the neuron.")
                    return ast.Name(reader.own[place[1]])
                if node.id in taken.synapses.variables:
                    values = np.unique(np.asarray(getattr(taken.synapses, f"{node.id}_")[:], dtype=float))
                    if len(values) != 1:
                        raise NoCounterpart(
                            f"{where}: '{node.id}' differs between synapses and stands with the neuron's state. Divide"
                            " the synapses into groups of one value."
                        )
                    return _number(float(values[0]), dimension_of(taken.synapses.variables[node.id].dim))
                if node.id in UNITS or node.id in formula.CONSTANTS or node.id in formula.FUNCTIONS:
                    return node
                amount = Reader(taken.synapses, taken.namespace, {}).constant(node.id)
                return _number(amount.value, amount.dimension)

        whole = factors[0]
        for factor in factors[1:]:
            whole = ast.BinOp(whole, ast.Mult(), factor)
        return f"({ast.unparse(_Into().visit(whole))})"


def _number(value: float, dimension: Dimension) -> ast.expr:
    unit = describe(dimension)
    number: ast.expr = ast.Constant(abs(value))
    number = number if value >= 0 else ast.UnaryOp(ast.USub(), number)
    return number if unit == "1" else ast.BinOp(number, ast.Mult(), ast.parse(unit, mode="eval").body)


def _factors(tree: ast.expr) -> list[ast.expr]:
    """The factors of a product; a divisor as 1/it."""
    match tree:
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            return [*_factors(left), *_factors(right)]
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            return [*_factors(left), ast.BinOp(ast.Constant(1.0), ast.Div(), right)]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return [ast.UnaryOp(ast.USub(), ast.Constant(1.0)), *_factors(operand)]
    return [tree]
