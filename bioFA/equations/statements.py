"""One step of a neuron's text as statements that Brian2 reads: arrival, integration, threshold test, reset; or, in
Brian2's own order, arrival, reset of those that the step before found, integration, threshold test.

The operations are those of `integrate.py`, in its order, so that the compiled step rounds as NumPy does. Every name of
the text gets an underscore at its end, as no name of our own has one there: a variable may be called as Brian2, SymPy
or C++ like. What hangs on parameters and dt alone, such as exp(M dt), is computed once, before the first step
(`Statements.constants`). `choose`, `floored`, `modulo`, `power_of_e`, `relative_growth` and `exact_<n>` are functions
of the compiled program (`consumers/brian/biofa_numbers.h`); under `rkf45` the slopes call C's library, as NEST does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np

from bioFA.equations.adaptive import (
    AT,
    ERROR,
    FIFTH,
    GROW,
    NEAR,
    SAFETY,
    SHRINK,
    SMALLEST,
    STAGES,
    TOO_FAR,
    size_of,
)
from bioFA.equations.formula import NOISE, Formula, exprel, write
from bioFA.equations.integrate import Integrator, propagators
from bioFA.equations.model import Model, Statement

Array = np.ndarray
STILL = ("dt", "i")
"""What never changes, beside parameters."""


def called(name: str) -> str:
    """A name of a text in the compiled program."""
    return f"{name}_"


def number_called(name: str) -> str:
    """A random number of a text in the compiled program: `rand_0`, `xi`."""
    return f"drawn_{name}"


@dataclass(frozen=True)
class Statements:
    """A text, ready to be written.

    `parameters` are the names that stand still in a run; `arrival` and `reset` statements, `condition` the threshold;
    `tested` the condition and the statements of every other event; with `inner` the threshold is tested in every
    shorter step of `rkf45`.
    """

    model: Model
    integrator: Integrator
    parameters: frozenset[str]
    arrival: Sequence[Statement] = ()
    reset: Sequence[Statement] = ()
    condition: Formula | None = None
    quiet: bool = False
    tested: Mapping[str, tuple[Formula, Sequence[Statement]]] = field(default_factory=dict)
    inner: bool = False

    def _names(self, since: str, active: str, time: str, own: Mapping[str, str]) -> Callable[[str], str]:
        """How each name is written."""
        spiking = self.condition is not None
        free = {
            "t": time,
            "dt": "step_length",
            "i": "(1.0*i)",
            "since": since,
            "learning": "(learning_on > 0.0)",
            "not_refractory": active if spiking else "True",
        }

        def name(given: str) -> str:
            if given in own:
                return own[given]
            if given.startswith(("rand_", "randn_")) or given.partition("_")[0] == NOISE:
                return number_called(given)
            return free.get(given) or called(given)

        return name

    def text(self, formula: Formula, **options: Any) -> str:
        """An expression, subexpressions put in."""
        options = {"since": "since", "active": "active", "time": "seconds", "own": {}} | options
        by_libm = options.pop("by_libm", False)
        names = self._names(**options)
        return write(formula.with_parts(self.model.written_out).tree, names, by_libm)

    def published(self, name: str) -> str:
        """A subexpression, as the step begins."""
        return self.text(self.model.written_out[name], active="(left <= 0.0)", since="(quiet*step_length)")

    def step(self, order: str = "deliver_first") -> str:
        """All of a step, as statements, in one of the orders of `TextNeuron`.

        With `rkf45` it is a shorter step, to be repeated until `elapsed` is 0 again: the first time what arrives is
        taken in, the last time the threshold is tested.
        """
        if self.integrator.method == "rkf45":
            return "\n".join(self._lines_of_a_substep())
        return "\n".join(self._lines() if order == "deliver_first" else self._lines_of_brian2())

    def _lines_of_brian2(self) -> Iterator[str]:
        """What arrives, the reset of those that the step before found, then integration and threshold test."""
        spiking, before = self.condition is not None, {"active": "active_before", "since": "(quiet*step_length)"}
        before["time"] = "(seconds - step_length)"
        if spiking:
            yield "active_before = (left <= 0.0)"
        for statement in self.arrival:
            yield self._set(statement, "active_before" if statement.name in self._held else "", **before)
        for statement in self.reset:
            yield self._set(statement, "(fired > 0.0)", **before)
        for name, (_, statements) in self.tested.items():
            for statement in statements:
                yield self._set(statement, f"({called(name)} > 0.0)", **before)
        if spiking:
            if self.quiet:
                yield "quiet = choose((fired > 0.0), 0.0, quiet)"
            yield "left = clip(left - 1.0, 0.0, inf)"
            yield "active = (left <= 0.0)"
        if self.quiet:
            yield "since = quiet*step_length"
        yield from self._moves()
        if spiking:
            yield "left = choose(passed, clip(pause, 1.0, inf), left)"
            yield "fired = choose(passed, 1.0, 0.0)"
            if self.quiet:
                yield "quiet = quiet + 1.0"
        for name in self.tested:
            yield f"{called(name)} = choose(happens_{name}, 1.0, 0.0)"

    def _moves(self) -> Iterator[str]:
        """Integration, and the tests after it."""
        yield from getattr(self, f"_{self.integrator.method}")()
        for name in self.model.moved:
            yield f"{called(name)} = {self._chosen(name, f'next_{name}', called(name))}"
        if self.quiet:
            yield "since_after = (quiet + 1.0)*step_length"
        for name, (condition, _) in self.tested.items():
            yield f"happens_{name} = {self.text(condition, since='since_after')}"
        if self.condition is not None:
            yield f"passed = ({self.text(self.condition, since='since_after')} and active)"

    def _lines(self) -> Iterator[str]:
        spiking = self.condition is not None
        if spiking:
            yield "active = (left <= 0.0)"
        if self.quiet:
            yield "since = quiet*step_length"
        for statement in self.arrival:
            yield self._set(statement, "active" if statement.name in self._held else "")
        yield from self._moves()
        if self.condition is not None:
            for statement in self.reset:
                yield self._set(statement, "passed", since="since_after")
            yield "left = choose(passed, pause, clip(left - 1.0, 0.0, inf))"
            yield "fired = choose(passed, 1.0, 0.0)"
            if self.quiet:
                yield "quiet = choose(passed, 0.0, quiet + 1.0)"
        for name, (_, statements) in self.tested.items():
            for statement in statements:
                yield self._set(statement, f"happens_{name}", since="since_after")
            yield f"{called(name)} = choose(happens_{name}, 1.0, 0.0)"

    def _lines_of_a_substep(self) -> Iterator[str]:
        """Try a shorter step. `elapsed` is 0 before the first, and -1 after it where it was too long."""
        spiking, names = self.condition is not None, list(self.model.moved)
        pausing = " and (pause <= 0.0 or fired <= 0.0)" if self.inner else ""
        yield "begins = (elapsed == 0.0)"
        if self.inner:
            yield "fired = choose(begins, 0.0, fired)"
        if spiking:
            yield f"active = ((left <= 0.0){pausing})"
        if self.quiet:
            yield "since = quiet*step_length"
        for statement in self.arrival:
            held = " and active" if statement.name in self._held else ""
            yield self._set(statement, f"(begins{held})")
        yield "done = choose(elapsed < 0.0, 0.0, elapsed)"
        yield "whole = choose(substep == 0.0, step_length, substep)"
        yield "cut = (whole > step_length - done)"
        yield "length = choose(cut, step_length - done, whole)"
        for stage, (at, weights) in enumerate(zip(AT, STAGES, strict=True), 1):
            own = {name: f"stage_{stage}_{name}" for name in names} if weights else {}
            own["t"] = f"(seconds + (done + {at!r}*length))"
            for name in names if weights else ():
                yield f"stage_{stage}_{name} = {called(name)} + length*{_weighted(weights, name)}"
            yield from self._slopes(stage, own)
        for name in names:
            yield f"next_{name} = {called(name)} + length*{_weighted(FIFTH, name)}"
            yield f"error_{name} = length*{_weighted(ERROR, name)}"
        sloping = self.integrator.tolerances[1] > 0
        if sloping:
            yield from self._slopes(7, {n: f"next_{n}" for n in names} | {"t": "(seconds + (done + length))"})
        yield f"ratio_0 = {SMALLEST!r}"
        for place, name in enumerate(names, 1):
            bound = f"tolerance*{size_of(self.model.known[name])!r}"
            bound += f" + slope_tolerance*abs(length*slope_7_{name})" if sloping else ""
            yield f"ratio_{place} = clip(ratio_{place - 1}, abs(error_{name})/({bound}), inf)"
        yield f"known = ({' + '.join(f'abs(error_{name})' for name in names)} < inf)"
        yield f"ratio = choose(known, ratio_{len(names)}, inf)"
        yield f"shrunk = clip({SAFETY}/ratio**0.2, {SHRINK}, inf)"
        yield f"grown = clip({SAFETY}/ratio**{1 / 6!r}, 1.0, {GROW})"
        yield f"again = (ratio > {TOO_FAR} and done + length + length*shrunk != done + length)"
        yield f"substep = length*choose(again, shrunk, choose(ratio < {NEAR}, grown, 1.0))"
        yield "now = choose(again, done, choose(cut or not known, step_length, done + length))"
        yield "ends = ((not again) and now >= step_length)"
        for name in names:
            yield f"{called(name)} = choose(again, {called(name)}, next_{name})"
        yield "elapsed = choose(ends, 0.0, choose(again and done == 0.0, -1.0, now))"
        if self.quiet:
            yield "since_after = (quiet + 1.0)*step_length"
        yield from self._tests_of_a_substep()

    def _tests_of_a_substep(self) -> Iterator[str]:
        """The threshold after a shorter step, or after the last; other events after the last."""
        for name, (condition, _) in self.tested.items():
            yield f"happens_{name} = (({self.text(condition, since='since_after')}) and ends)"
        if self.condition is not None:
            when = "not again" if self.inner else "ends"
            yield f"passed = (({self.text(self.condition, since='since_after')}) and active and {when})"
            for statement in self.reset:
                yield self._set(statement, "passed", since="since_after")
            fires = "choose(passed, 1.0, fired)" if self.inner else "choose(ends, choose(passed, 1.0, 0.0), fired)"
            yield f"fired = {fires}"
            yield "left = choose(ends, choose(fired > 0.0, pause, clip(left - 1.0, 0.0, inf)), left)"
            if self.quiet:
                yield "quiet = choose(ends, choose(fired > 0.0, 0.0, quiet + 1.0), quiet)"
        for name, (_, statements) in self.tested.items():
            for statement in statements:
                yield self._set(statement, f"happens_{name}", since="since_after")
            yield f"{called(name)} = choose(ends, choose(happens_{name}, 1.0, 0.0), {called(name)})"

    def _slopes(self, stage: int, own: Mapping[str, str]) -> Iterator[str]:
        for name, formula in self.model.moved.items():
            text = self.text(formula, own=own, by_libm=self.integrator.method == "rkf45")
            yield f"slope_{stage}_{name} = {self._chosen(name, text, '0.0')}"

    @property
    def _held(self) -> tuple[str, ...]:
        """The variables that stand still in refractory neurons, where any neuron is ever refractory."""
        return self.model.held if self.condition is not None else ()

    def _chosen(self, name: str, new: str, old: str) -> str:
        return f"choose(active, {new}, {old})" if name in self._held else new

    def _set(self, statement: Statement, where: str, **names: str) -> str:
        name, new = called(statement.name), self.text(statement.value, **names)
        return f"{name} = choose({where}, {new}, {name})" if where else f"{name} = {new}"

    def _euler(self) -> Iterator[str]:
        noises = {noise for found in self.integrator.noises.values() for noise in found}
        own = {noise: f"({number_called(noise)}/sqrt(step_length))" for noise in noises}
        for name, formula in self.model.moved.items():
            yield f"next_{name} = {called(name)} + step_length*{self.text(formula, own=own)}"

    def _rk4(self) -> Iterator[str]:
        shares = ("", "0.5", "0.5", "1.0")
        for stage, share in enumerate(shares, 1):
            own = {} if stage == 1 else {name: f"stage_{stage}_{name}" for name in self.model.moved}
            if stage > 1:
                own["t"] = f"(seconds + {share}*step_length)"
                for name in self.model.moved:
                    yield f"stage_{stage}_{name} = {called(name)} + {share}*step_length*slope_{stage - 1}_{name}"
            yield from self._slopes(stage, own)
        for name in self.model.moved:
            first, second, third, fourth = (f"slope_{stage}_{name}" for stage in (1, 2, 3, 4))
            total = f"({first} + 2.0*{second} + 2.0*{third} + {fourth})"
            yield f"next_{name} = {called(name)} + step_length/6.0*{total}"

    def _exponential_euler(self) -> Iterator[str]:
        for name, formula in self.model.moved.items():
            share = f"growth_{name}"
            if share not in self.constants:
                slope = self.text(self.integrator.own_slopes[name])
                share = f"step_length*relative_growth({slope}*step_length)"
            yield f"next_{name} = {called(name)} + {share}*{self.text(formula)}"

    def _exact(self) -> Iterator[str]:
        names = list(self.model.moved)
        _, rest = self.integrator.matrix
        paused = [name in self._held for name in names]
        for name in names:
            yield f"rest_{name} = {self.text(rest[name])}"
        if not self._constant_matrix:
            yield from self._exact_anew(names)
            return
        for row, name in enumerate(names):
            moves = self._sum("moves", row, [f"rest_{other}" for other in names])
            # only a variable that stands still, or one that it reaches, moves otherwise in a refractory neuron
            if not paused[row] and any(paused[column] for column in self._reached(row)):
                stops = self._sum("stops", row, ["" if paused[c] else f"rest_{other}" for c, other in enumerate(names)])
                moves = f"choose(active, {moves}, {stops})"
            yield f"next_{name} = {moves}"

    def _sum(self, which: str, row: int, rests: Sequence[str]) -> str:
        names = list(self.model.moved)
        parts = [f"{which}_{row}_{column}*{called(names[column])}" for column in self._reached(row)]
        parts += [
            f"{which}_{row}_{len(names) + column}*{rests[column]}" for column in self._reached(row) if rests[column]
        ]
        return f"({' + '.join(parts)})"

    def _exact_anew(self, names: list[str]) -> Iterator[str]:
        """The exponential of a matrix that hangs on more than parameters, neuron by neuron in every step."""
        slopes, _ = self.integrator.matrix
        given = []
        for row, column in product(range(len(names)), repeat=2):
            pair = (names[row], names[column])
            given.append(self._chosen(names[row], self.text(slopes[pair]), "0.0") if pair in slopes else "0.0")
        given += [self._chosen(name, f"rest_{name}", "0.0") for name in names]
        given += [called(name) for name in names]
        for row, name in enumerate(names):
            yield f"next_{name} = exact_{len(names)}({float(row)!r}, step_length, {', '.join(given)})"

    def _reached(self, row: int) -> list[int]:
        """The variables on which one hangs, at once or through others, and itself."""
        names = list(self.model.moved)
        slopes, _ = self.integrator.matrix
        found, waiting = {row}, [row]
        while waiting:
            at = names[waiting.pop()]
            new = {column for column, other in enumerate(names) if (at, other) in slopes} - found
            found |= new
            waiting += new
        return sorted(found)

    @cached_property
    def _constant_matrix(self) -> bool:
        slopes, _ = self.integrator.matrix
        return all(self._still(formula) for formula in slopes.values())

    def _still(self, formula: Formula) -> bool:
        return {*formula.names} <= self.parameters | {*STILL}

    @cached_property
    def constants(self) -> dict[str, frozenset[str]]:
        """What is computed before the first step, by its name in the compiled program, and what it hangs on."""
        method = self.integrator.method
        if method == "exponential_euler":
            slopes = self.integrator.own_slopes
            return {f"growth_{name}": frozenset(s.names) for name, s in slopes.items() if self._still(s)}
        if method == "exact" and self._constant_matrix:
            names = frozenset(name for formula in self.integrator.matrix[0].values() for name in formula.names)
            return dict.fromkeys(re.findall(r"\b(?:moves|stops)_\d+_\d+\b", self.step()), names)
        return {}

    def compute(self, values: Mapping[str, Any], dt: float) -> dict[str, Array]:
        """The values of `constants`, from those of the parameters and `i`; `(1,)` where all neurons have the same."""
        values = {**values, "dt": dt}
        found: dict[str, Array] = {}
        whole: dict[str, Array] = {}
        for name, hangs_on in self.constants.items():
            which, _, rest = name.partition("_")
            if which == "growth":
                found[name] = np.atleast_1d(dt * exprel(self.integrator.own_slopes[rest].evaluate(values) * dt))
                continue
            if which not in whole:
                needed = {other: values[other] for other in hangs_on}
                whole[which] = propagators(self.integrator, needed, dt, which == "moves")
            row, column = map(int, rest.split("_"))
            found[name] = np.atleast_1d(whole[which][..., row, column])
        return found


def _weighted(weights: Sequence[float], name: str) -> str:
    """The weighted sum of the slopes of a variable, first to last."""
    parts = [f"{weight!r}*slope_{stage}_{name}" for stage, weight in enumerate(weights, 1) if weight]
    return f"({' + '.join(parts)})"
