"""Checks of a neuron model, anybody's: is what it states about itself true, and do its two readings say the same?

The Brian2 strings are read as text (`bioFA.equations`), with their units, and evaluated by NumPy; that is compared with
the methods, and with the step that is written by hand beside them.

    arrival -> one step of dynamics by the method of `integration` -> spiking        is  advance(state, now, dt)
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

import numpy as np

from bioFA.equations.dimensions import FREQUENCY, NONE, TIME, Dimension
from bioFA.equations.integrate import METHODS, Integrator
from bioFA.equations.model import Model, read_model, read_unit
from bioFA.errors import BioFAError, WrongType, suggestion
from bioFA.neurons import NeuronModel
from bioFA.neurons.base import Moment
from bioFA.verification.rule_checks import RuleFinding

Array = np.ndarray
Values = dict[str, Any]
DT, TIME_SHOWN = 1e-3, 3e-3
"""The step, and the time since the trial began, at which a neuron is looked at."""
SIZES = (1, 7)
SCALES = (0.3, 1.0, 4.0)
"""Populations of these sizes, with values of these sizes and of both signs."""
DISTURBED = 17.0
"""What another neuron is set to."""
PRECISION = 1e-9
"""Largest difference, relative to the largest value, that rounding may leave."""


@dataclass(frozen=True)
class NeuronCheck:
    """What `check_neuron` found."""

    neuron: str
    findings: tuple[RuleFinding, ...]

    @property
    def passes(self) -> bool:
        """Whether no check failed."""
        return all(finding.passes is not False for finding in self.findings)

    def __str__(self) -> str:
        return "\n".join([f"{self.neuron} {'passes' if self.passes else 'FAILS'}", *map(str, self.findings)])


class _DoesNotApply(Exception):
    """A check that this neuron is not for."""


class _Wrong(Exception):
    """What a check found."""


def check_neuron(neuron: NeuronModel) -> NeuronCheck:
    """Check a neuron model for what every neuron here must respect.

    Its names are different and can be names in an equation; each published variable is a method of what the model
    knows, in an order that ends; there is an expression for each, whose units fit; a neuron feels no other one of its
    population; equal steps make equal changes, and change nothing that is given; the step keeps exactly the state; the
    Brian2 strings say what the methods say; and, where it spikes, `s` is 0 or 1 and `train` is `s` over the rate that
    counts as 1.

    Args:
        neuron: an instance, such as `check_neuron(MyNeuron(tau="20 ms"))`.

    Returns:
        `passes`, and `findings`, one a check; what a check needs that failed earlier is not asked further.

    Raises:
        ModelError: if it is no neuron model.
    """
    if not isinstance(neuron, NeuronModel):
        raise WrongType(
            f"check_neuron takes a neuron model; got {neuron!r}. Give an instance, such as check_neuron(MyNeuron())."
        )
    findings: list[RuleFinding] = []
    for name, check in _CHECKS.items():
        if name not in _FIRST and (neuron.one_parse or neuron.named_draws):
            findings.append(RuleFinding(name, None, "both consumers compute from one text"))
        elif any(f.passes is False for f in findings) and name not in _FIRST:
            findings.append(RuleFinding(name, None, "not asked, for what failed above"))
        else:
            findings.append(_finding(name, check, neuron))
    return NeuronCheck(type(neuron).__name__, tuple(findings))


def _finding(name: str, check: Callable[[NeuronModel], None], neuron: NeuronModel) -> RuleFinding:
    try:
        check(neuron)
    except _DoesNotApply as reason:
        return RuleFinding(name, None, str(reason))
    except (_Wrong, BioFAError) as found:
        return RuleFinding(name, False, str(found))
    except Exception as error:  # the model is anybody's
        return RuleFinding(name, False, f"{type(error).__name__}: {error}")
    return RuleFinding(name, True)


# what it states


def _declared(neuron: NeuronModel) -> None:
    for name, kind in (("ports", (tuple, Mapping)), ("publishes", tuple), ("state", Mapping)):
        held = getattr(neuron, name)
        if not isinstance(held, kind) or not all(isinstance(one, str) for one in held):
            wanted = 'a tuple of names, such as ("r",)' if kind is not Mapping else 'a mapping, such as {"u": 0.0}'
            raise _Wrong(f"{name} must be {wanted}; got {held!r}")
    for name, value in neuron.state.items():
        if not isinstance(value, (int, float)) or not np.isfinite(value):
            raise _Wrong(f"state {name} must begin at a finite number; got {value!r}")
    if not neuron.publishes:
        raise _Wrong("publishes must name at least one variable that others can read, such as r")
    published = () if neuron.named_draws else neuron.publishes  # a text publishes its variables as they are
    names = [*neuron.ports, *neuron.state, *neuron.draws, *published, *neuron.parameters(), "dt", "time"]
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise _Wrong(
            f"{', '.join(doubled)}: each name of a port, state, published variable or parameter is one thing only"
        )
    if wrong := [name for name in names if not name.isidentifier() or name.startswith("_")]:
        raise _Wrong(f"{', '.join(wrong)}: can be no names in an equation. Use letters, digits and _")


def _methods(neuron: NeuronModel) -> None:
    known = {*neuron.ports, *neuron.known(), *neuron.publishes}
    for variable in neuron.publishes:
        method = getattr(type(neuron), variable, None)
        if not inspect.isfunction(method):
            raise _Wrong(f"{variable} is published, and there is no method def {variable}(self, ...) that computes it")
        for need in neuron.needs(variable):
            if need not in known:
                raise _Wrong(f"{variable} needs '{need}', which the model does not know.{suggestion(need, known)}")
    try:
        _order(neuron)
    except CycleError as error:
        raise _Wrong(f"published variables wait for each other: {' -> '.join(map(str, error.args[1]))}") from None


def _order(neuron: NeuronModel) -> list[str]:
    """What is published, each after what it needs."""
    needs = {name: {need for need in neuron.needs(name) if need in neuron.publishes} for name in neuron.publishes}
    return list(TopologicalSorter(needs).static_order())


def _computed(neuron: NeuronModel) -> list[str]:
    """What it computes itself, in order."""
    return [name for name in _order(neuron) if neuron.shows is None or name != neuron.shown]


def _expressions(neuron: NeuronModel) -> None:
    given, wanted = set(neuron.expressions()), set(_computed(neuron))
    if missing := sorted(wanted - given):
        raise _Wrong(f"expressions() lacks {', '.join(missing)}, which the model publishes")
    if more := sorted(given - set(neuron.publishes)):
        raise _Wrong(f"expressions() has {', '.join(more)}, which the model does not publish")


# its two readings


def _model(neuron: NeuronModel) -> Model:
    """The text of the dynamics, which knows everything that the model does; states without an equation are set."""
    known: dict[str, Dimension] = {name: _dimension(neuron, name) for name in neuron.parameters()}
    known |= {name: neuron.dimension_of(name) for name in (*neuron.ports, *neuron.draws, *neuron.publishes)}
    text = neuron.dynamics().strip()
    moved = {
        line.split("/dt")[0].strip().removeprefix("d") for line in text.splitlines() if "/dt" in line.split("=")[0]
    }
    if strange := sorted(moved - set(neuron.state)):
        raise _Wrong(f"dynamics() moves {', '.join(strange)}, which is no state of the model")
    rest = "\n".join(f"{name} : 1" for name in neuron.state if name not in moved)
    return read_model(f"{text}\n{rest}".strip(), known | {"time": TIME})


def _dimension(neuron: NeuronModel, parameter: str) -> Dimension:
    unit = neuron.unit_of(parameter)
    return {"1": NONE, "s": TIME, "Hz": FREQUENCY}.get(unit) or read_unit(unit)[1]


def _units(neuron: NeuronModel) -> None:
    """Every text can be read, and its units fit: variables are plain numbers, times are in seconds."""
    if neuron.integration() not in METHODS and neuron.dynamics():
        raise _Wrong(f"integration() is '{neuron.integration()}'. Known: {', '.join(METHODS)}")
    model = _model(neuron)
    for name, text in neuron.expressions().items():
        _, dimension = model.expression(text, f"expressions: {name}")
        if dimension != NONE:
            raise _Wrong(f"expressions: {name} = {text} must be a plain number; its unit is another. Divide it by one")
    model.statements(neuron.arrival(), "arrival")
    model.statements(neuron.spiking(), "spiking")
    Integrator(model, neuron.integration() if neuron.dynamics() else "euler")


class _Population:
    """A few neurons with all different values at one moment."""

    def __init__(self, neuron: NeuronModel, size: int, scale: float):
        rng = np.random.default_rng([7, size, int(10 * scale)])
        self.neuron, self.size = neuron, size
        normal = neuron.normal_draws()
        self.numbers = {n: rng.normal(size=size) if n in normal else rng.uniform(size=size) for n in neuron.draws}
        parameters = {name: np.array([value]) for name, value in neuron.parameters().items()}
        self.moment = Moment(size, DT, TIME_SHOWN, parameters, self.numbers)
        self.state = {name: rng.normal(value, scale, size) for name, value in neuron.state.items()}
        shown = {neuron.shown: rng.uniform(0, scale, size)} if neuron.shows is not None else {}
        self.given: dict[str, Array] = {name: rng.normal(0, scale, size) for name in neuron.ports} | shown

    def now(
        self, state: Mapping[str, Array] | None = None, given: Mapping[str, Array] | None = None
    ) -> dict[str, Array]:
        """Ports and published variables."""
        values: Values = {**(self.state if state is None else state), **self.numbers, "dt": DT, "time": TIME_SHOWN}
        found: dict[str, Array] = dict(self.given if given is None else given)
        with np.errstate(all="ignore"):
            for name in _computed(self.neuron):
                needs = {need: found[need] if need in found else values[need] for need in self.neuron.needs(name)}
                new = self.neuron.published(name, needs, self.moment)
                if np.shape(new) != (self.size,):
                    raise _Wrong(f"{name} must have the shape (size,) = ({self.size},); got {np.shape(new)}")
                found[name] = np.asarray(new, dtype=float)
        return found

    def after(
        self, state: Mapping[str, Array] | None = None, given: Mapping[str, Array] | None = None
    ) -> dict[str, Array]:
        """The state one step later."""
        before = dict(self.state if state is None else state)
        with np.errstate(all="ignore"):
            new = self.neuron.step(before, self.now(before, given), self.moment)
        if set(new) != set(self.neuron.state):
            raise _Wrong(
                f"advance must return {', '.join(self.neuron.state) or 'nothing'}; got {', '.join(new) or 'nothing'}"
            )
        for name, array in new.items():
            if np.shape(array) != (self.size,):
                raise _Wrong(f"advance must return {name} of the shape (size,) = ({self.size},); got {np.shape(array)}")
        return {name: np.asarray(array, dtype=float) for name, array in new.items()}

    def everything(self, state: Mapping[str, Array], given: Mapping[str, Array]) -> dict[str, Array]:
        """What is published, and the state afterwards, by name."""
        published = {name: array for name, array in self.now(state, given).items() if name not in given}
        return published | {f"{name} afterwards": array for name, array in self.after(state, given).items()}


def _populations(neuron: NeuronModel) -> Iterator[_Population]:
    yield from (_Population(neuron, size, scale) for size in SIZES for scale in SCALES)


def _step(neuron: NeuronModel) -> None:
    """It returns the whole state, the same twice, and writes into nothing."""
    for cells in _populations(neuron):
        state, given = ({name: array.copy() for name, array in part.items()} for part in (cells.state, cells.given))
        first = cells.everything(state, given)
        for part, kept in ((state, cells.state), (given, cells.given)):
            if wrong := [name for name, array in part.items() if not np.array_equal(array, kept[name])]:
                raise _Wrong(f"the model writes into {', '.join(wrong)}, which it is given. Return new arrays")
        again = cells.everything(cells.state, cells.given)
        if wrong := [name for name in first if not np.array_equal(first[name], again[name], equal_nan=True)]:
            raise _Wrong(
                f"{', '.join(wrong)}: the same step was made twice, with two outcomes. Name random numbers in draws"
            )


def _finite(neuron: NeuronModel) -> None:
    cells = _Population(neuron, SIZES[-1], SCALES[0])
    for name, array in cells.everything(cells.state, cells.given).items():
        if not np.isfinite(array).all():
            raise _Wrong(f"{name} is not finite where all values are moderate")


def _alone(neuron: NeuronModel) -> None:
    """Another neuron is set to something else: this one must not feel it."""
    for cells in _populations(neuron):
        before = cells.everything(cells.state, cells.given)
        for index in range(cells.size):
            other = np.arange(cells.size) == index
            state, given = (
                {name: np.where(other, DISTURBED, array) for name, array in part.items()}
                for part in (cells.state, cells.given)
            )
            for name, array in cells.everything(state, given).items():
                if not np.array_equal(array[~other], before[name][~other], equal_nan=True):
                    raise _Wrong(f"neuron {index} was set to {DISTURBED:g}, and {name} of another neuron moved")


def _same_published(neuron: NeuronModel) -> None:
    model = _model(neuron)
    for cells in _populations(neuron):
        values = _values(cells)
        for name in _computed(neuron):
            formula, _ = model.expression(neuron.expressions()[name], name)
            with np.errstate(all="ignore"):
                read = np.broadcast_to(formula.evaluate(values), (cells.size,))
            if found := _differ(read, values[name]):
                raise _Wrong(f"{name} = {neuron.expressions()[name]} and the method {name} differ: {found}")


def _values(cells: _Population) -> Values:
    """Every name that a text may use."""
    parameters = cells.neuron.parameters()
    return {**parameters, **cells.state, **cells.numbers, **cells.now(), "dt": DT, "time": TIME_SHOWN, "t": TIME_SHOWN}


def _same_step(neuron: NeuronModel) -> None:
    if not neuron.state:
        raise _DoesNotApply("the model keeps nothing from step to step")
    model = _model(neuron)
    integrator = Integrator(model, neuron.integration() if neuron.dynamics() else "euler")
    for cells in _populations(neuron):
        values = _values(cells)
        with np.errstate(all="ignore"):
            for text, moves in ((neuron.arrival(), False), (neuron.dynamics(), True), (neuron.spiking(), False)):
                if moves:
                    values |= integrator.step(values, DT) if model.moved else {}
                    continue
                for statement in model.statements(text):
                    values[statement.name] = statement.value.evaluate(values)
        for name, array in cells.after().items():
            if found := _differ(np.broadcast_to(values[name], (cells.size,)), array):
                raise _Wrong(f"{name} after a step by the Brian2 text, and by advance, differ: {found}")


def _spikes(neuron: NeuronModel) -> None:
    if not neuron.spikes or neuron.shows is not None:
        raise _DoesNotApply("the model makes no spikes")
    missing = [name for name in ("train", "r") if name not in neuron.publishes]
    if missing:
        raise _Wrong(f"a model that publishes s also publishes {', '.join(missing)}")
    cells = _Population(neuron, SIZES[-1], SCALES[-1])
    state, given = dict(cells.state), cells.given
    try:
        unit = neuron.unit()
    except NotImplementedError:  # of a model whose spikes carry both signs about a tonic rate
        unit = None
    for _ in range(20):
        state = cells.after(state, given)
        now = cells.now(state, given)
        if not np.isin(now["s"], (0.0, 1.0)).all():
            raise _Wrong(f"s must be 1 in a step with a spike and else 0; got {now['s']}")
        if unit is not None and (found := _differ(now["train"], now["s"] / (unit * DT))):
            raise _Wrong(f"train must be s over unit() dt: {found}")


def _differ(found: Array, expected: Array) -> str | None:
    """How two arrays differ, beyond rounding; not finite numbers are equal to themselves."""
    known = np.isfinite(expected) & np.isfinite(found)
    size = float(np.abs(expected[known]).max()) if known.any() else 0.0
    wrong = known & (np.abs(np.where(known, found - expected, 0.0)) > PRECISION * max(size, 1.0))
    wrong |= np.isfinite(expected) != np.isfinite(found)
    if not wrong.any():
        return None
    at = int(np.argmax(wrong))
    return f"{found[at]:.6g} by the text, {expected[at]:.6g} by the method, in neuron {at}"


_FIRST = ("it states ports, state and what it publishes, all with names of their own",)
_CHECKS: dict[str, Callable[[NeuronModel], None]] = {
    _FIRST[0]: _declared,
    "what it publishes are methods of what it knows": _methods,
    "there is an expression for each": _expressions,
    "its texts can be read, and their units fit": _units,
    "the step keeps the state, and leaves its arguments alone": _step,
    "moderate values give finite ones": _finite,
    "a neuron does not feel the others of its population": _alone,
    "the Brian2 expressions and the methods say the same": _same_published,
    "the Brian2 equations and the step say the same": _same_step,
    "its spikes are 0 or 1, its train is of the rate that counts as 1": _spikes,
}
