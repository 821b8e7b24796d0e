"""One group of Brian2 as a population: neurons as text, Poisson sources, given spikes, arrays in time.

The text of a `NeuronGroup` stays as it is, in bioFA's names (`brian2_names`). What never changes becomes a parameter,
what moves or is set a variable, with the values that it has now.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import brian2
import numpy as np
from brian2.equations.equations import DIFFERENTIAL_EQUATION, PARAMETER, SUBEXPRESSION
from brian2.stateupdaters.base import StateUpdateMethod, UnsupportedEquationsException

from bioFA.equations.dimensions import FREQUENCY, TIME, describe
from bioFA.errors import NoCounterpart, Unavailable
from bioFA.exchange.brian2_names import Reader, dimension_of, free_name, label, statements, written

Array = np.ndarray
METHODS = {
    "euler": "euler",
    "exponential_euler": "exponential_euler",
    "exact": "exact",
    "linear": "exact",
    "rk4": "rk4",
}
"""Brian2's methods that bioFA has, by what bioFA calls them."""
KNOWN_PARTS = ("Thresholder", "Resetter", "StateUpdater", "SubexpressionUpdater")


@dataclass
class Cells:
    """A population that is being written down: its neuron, and what arrives."""

    group: Any
    name: str
    size: int
    neuron: dict[str, Any]
    reader: Reader | None = None
    ports: dict[tuple[str, str, str], str] = field(default_factory=dict)
    """Port by variable, what it is multiplied with, and unit."""
    backgrounds: list[dict[str, Any]] = field(default_factory=list)

    def port(self, variable: str, factor: str, unit: str) -> str:
        """The port whose arrivals are added to a variable."""
        assert self.reader is not None
        key = (variable, factor, unit)
        if key not in self.ports:
            taken = {*self.reader.own.values(), *self.reader.constants, *self.reader.tables, *self.ports.values()}
            self.ports[key] = free_name(f"to_{variable}", taken)
        return self.ports[key]

    def finished(self) -> dict[str, Any]:
        """The neuron with all its ports and parameters."""
        if self.reader is None:
            return self.neuron
        arrivals = [
            f"{variable} += {port}{f'*{factor}' if factor else ''}"
            for (variable, factor, _), port in self.ports.items()
        ]
        ports = {port: unit for (_, _, unit), port in self.ports.items()}
        ports |= {port: describe(dimension_of(array.dim)) for port, array in self.reader.tables.items()}
        constants = {name: amount.text for name, amount in self.reader.constants.items()}
        return {
            **self.neuron,
            "ports": ports,
            "arrival": "; ".join(arrivals),
            "parameters": {**self.neuron["parameters"], **constants},
        }


def distribution(values: Array, dimension: Any) -> Any:
    """Values of neurons as a description has them: one where all are the same."""
    values = np.atleast_1d(np.asarray(values, dtype=float))
    if (values == values[0]).all():
        return written(values[0], dimension)
    return {"name": "values", "values": [written(value, dimension) for value in values]}


def whole_steps(time: float, dt: float) -> int:
    """The steps of a time as Brian2 counts a refractory period: what is over is cut off."""
    return int((time + 1e-3 * dt) / dt)


def neurons(group: Any, name: str, namespace: Mapping[str, Any], changed: Iterable[str], lost: list[str]) -> Cells:
    """A `NeuronGroup` as a population of text neurons.

    Args:
        group: the group.
        name: what bioFA calls it.
        namespace: where `run` would be called.
        changed: its variables that synapses and inputs set.
        lost: gets a sentence for all that is not taken over.

    Raises:
        ModelError: naming what bioFA has no words for.
    """
    if type(group) is not brian2.NeuronGroup:
        raise NoCounterpart(f"{label(group)}: bioFA knows point neurons, NeuronGroup, and no {type(group).__name__}.")
    for part in group.contained_objects:
        if type(part).__name__ not in KNOWN_PARTS:
            raise NoCounterpart(
                f"{label(group)}: '{part.name}' runs code in the simulation (run_regularly). Write it as an equation,"
                " or as an event of the neuron."
            )
    equations = group.user_equations
    own: dict[str, str] = {}
    for variable in equations:
        own[variable] = free_name(variable, own.values())
        if own[variable] != variable:
            lost.append(f"{label(group)}: its variable '{variable}' is called '{own[variable]}' here.")
    reader = Reader(group, namespace, own)
    set_here = {change.name for code in group.event_codes.values() for change in statements(code, label(group))}
    moving = {name for name, line in equations.items() if line.type == DIFFERENTIAL_EQUATION} | set_here | set(changed)
    refractory = group._refractory is not False
    lines, parameters, initial = [], {}, {}
    for variable, line in equations.items():
        dimension = dimension_of(line.dim)
        unit = describe(dimension)
        if line.type == SUBEXPRESSION:
            if "constant over dt" in line.flags:
                _refuse_frozen(group, variable, line, moving)
            lines.append(f"{own[variable]} = {reader.text(line.expr.code, variable)} : {unit}")
            continue
        if "linked" in line.flags:
            raise NoCounterpart(
                f"{label(group)}: '{variable}' is linked to a variable of another group. Carry it by Synapses, or give"
                " each group a parameter."
            )
        values = group.variables[variable].get_value()
        if values.dtype == bool:
            raise NoCounterpart(f"{label(group)}: '{variable}' is boolean. Make it a number, 0 or 1.")
        if line.type == DIFFERENTIAL_EQUATION:
            flags = " (unless refractory)" if refractory and "unless refractory" in line.flags else ""
            lines.append(f"d{own[variable]}/dt = {reader.text(line.expr.code, f'd{variable}/dt')} : {unit}{flags}")
        elif variable in moving:
            lines.append(f"{own[variable]} : {unit}")
        else:
            parameters[own[variable]] = distribution(values, dimension)
            continue
        if np.any(values):
            initial[own[variable]] = distribution(values, dimension)
    neuron: dict[str, Any] = {"name": "equations", "model": "\n".join(lines), "parameters": parameters}
    neuron |= {"initial": initial, "method": _method(group, namespace)}
    if "spike" in group.events:
        neuron["threshold"] = reader.text(group.events["spike"], "threshold")
        neuron["reset"] = _code(group, "spike", reader)
        if refractory:
            neuron["refractory"] = _refractory(group, reader, lost)
    for event in group.events:
        if event != "spike":
            when = reader.text(group.events[event], f"event '{event}'")
            neuron.setdefault("events", {})[event] = {"when": when, "do": _code(group, event, reader)}
    if refractory and not np.all(group.variables["lastspike"].get_value() <= -1e3):
        lost.append(f"{label(group)}: when its neurons spiked before the run (lastspike) is not taken over.")
    if any(word in " ".join(map(str, neuron.values())) for word in ("rand(", "randn(", "xi")):
        lost.append(f"{label(group)}: its random numbers are bioFA's, of the same distribution: not the same values.")
    return Cells(group, name, len(group), neuron, reader)


def _refuse_frozen(group: Any, variable: str, line: Any, moving: Iterable[str]) -> None:
    """A subexpression that is constant over a step is another one where what it names has moved."""
    hangs = sorted(set(line.identifiers) & set(moving))
    if hangs:
        raise NoCounterpart(
            f"{label(group)}: the subexpression '{variable}' is constant over dt and names {', '.join(hangs)}, which"
            " moves. Leave the flag out, or make it a variable."
        )


def _code(group: Any, event: str, reader: Reader) -> str:
    """What runs where an event happened."""
    where = "reset" if event == "spike" else f"event '{event}'"
    return "; ".join(
        reader.statement(change, where) for change in statements(group.event_codes.get(event, ""), label(group))
    )


def _refractory(group: Any, reader: Reader, lost: list[str]) -> Any:
    """The refractory period, in whole steps as Brian2 counts them."""
    given = group._refractory
    if isinstance(given, str):
        if given in group.user_equations and group.user_equations[given].type == PARAMETER:
            values = np.atleast_1d(group.variables[given].get_value())
            if dimension_of(group.variables[given].dim) != TIME or not (values == values[0]).all():
                raise NoCounterpart(
                    f"{label(group)}: refractory = '{given}' is not one time for all neurons. Divide the group."
                )
            time = float(values[0])
        else:
            raise NoCounterpart(
                f"{label(group)}: refractory = '{given}' is a text. bioFA has one time for all neurons: refractory ="
                " 2*ms; a condition belongs into the threshold."
            )
    else:
        time = float(given)
    dt = float(group.clock.dt_)
    steps = whole_steps(time, dt)
    if abs(time / dt - steps) > 1e-6:
        lost.append(
            f"{label(group)}: refractory is {time:g} s, which Brian2 counts as {steps} steps; it is given as those."
        )
    return written(steps * dt, TIME)


def _method(group: Any, namespace: Mapping[str, Any]) -> str:
    """The integration method that Brian2 would take."""
    if not group.equations.diff_eq_names:
        return "euler"
    chosen, options = group.method_choice, group.state_updater.method_options
    for method in [chosen] if isinstance(chosen, str) or callable(chosen) else chosen:
        name = method.lower() if isinstance(method, str) else getattr(method, "__name__", "")
        if not isinstance(chosen, str) and not callable(chosen) and not _applies(group, method, namespace):
            continue
        if name in METHODS and not options:
            return METHODS[name]
        raise NoCounterpart(
            f"{label(group)}: bioFA has no method '{name}'{' with options' if options else ''}. Use one of"
            f" {', '.join(METHODS)} in Brian2, and see that its result is as good."
        )
    raise Unavailable(f"{label(group)}: no method fits its equations. Give one: method='euler'.")


def _applies(group: Any, method: Any, namespace: Mapping[str, Any]) -> bool:
    """Whether Brian2 would take a method of a list."""
    names = group.equations.identifiers | {"t", "dt"}
    variables = group.resolve_all({name for name in names if not name.startswith("xi")}, namespace, set())
    try:
        StateUpdateMethod.apply_stateupdater(group.equations, variables, method)
    except UnsupportedEquationsException:
        return False
    return True


def poisson(group: Any, name: str, namespace: Mapping[str, Any], lost: list[str]) -> Cells:
    """A `PoissonGroup` as a source of spikes by chance.

    Raises:
        NoCounterpart: if its rates are a text that is neither one number nor an array in time.
    """
    if isinstance(group._rates, str):
        reader = Reader(group, namespace, {})
        text = reader.text(group._rates, "rates")
        array = reader.tables.get(text)
        if array is not None and dimension_of(array.dim) == FREQUENCY:
            dt = float(group.clock.dt_)
            rates = [[written(time + dt, TIME), written(rate, FREQUENCY)] for time, rate in course(array, dt)]
            neuron: dict[str, Any] = {"name": "poisson", "rates": rates}
        else:
            raise NoCounterpart(
                f"{label(group)}: rates = '{group._rates}' is a text. bioFA takes numbers, one for each neuron, or a"
                " TimedArray of the time: rates='rate(t)'."
            )
    else:
        neuron = {"name": "poisson", "rate": distribution(group.variables["rates"].get_value(), FREQUENCY)}
    lost.append(f"{label(group)}: its spikes are drawn by bioFA at the same rate: not the same ones.")
    return Cells(group, name, len(group), neuron)


def given_spikes(group: Any, name: str, duration: float) -> Cells:
    """A `SpikeGeneratorGroup` as a source of given spikes; a spike's time is the end of its step, where it acts."""
    dt = float(group.clock.dt_)
    which, times, period = (group.variables[key].get_value() for key in ("neuron_index", "spike_time", "period"))
    steps = ((np.asarray(times) + 1e-3 * dt) / dt).astype(np.int64)
    total, length = round(duration / dt), float(np.ravel(period)[0])
    if length > 0 and math.isfinite(length):
        bins = round(length / dt)
        rounds = bins * np.arange(-(-total // bins))
        inside = steps < bins
        steps, which = steps[inside], np.asarray(which)[inside]
        steps, which = (steps + rounds[:, np.newaxis]).ravel(), np.tile(which, len(rounds))
    kept = steps + 1 < total
    spikes = [[int(i), float((step + 1) * dt)] for i, step in zip(np.asarray(which)[kept], steps[kept], strict=True)]
    return Cells(group, name, len(group), {"name": "spikes_from", "spikes": spikes})


def in_time(array: Any, name: str, dt: float) -> Cells:
    """A `TimedArray` as a source of one neuron."""
    values = [[written(time, TIME), written(value, dimension_of(array.dim))] for time, value in course(array, dt)]
    return Cells(array, name, 1, {"name": "current", "values": values})


def course(array: Any, dt: float) -> list[tuple[float, float]]:
    """From when on an array in time has which value: the first step that begins then, or later."""
    values = np.asarray(array.values, dtype=float)
    if values.ndim != 1:
        raise NoCounterpart(
            f"TimedArray '{array.name}' has a value for each neuron; bioFA takes one course for all. Make it"
            " one-dimensional, times a parameter of each neuron, or one array a group."
        )
    begins = np.flatnonzero(np.diff(values, prepend=math.nan) != 0)
    steps = np.ceil(begins * float(array.dt) / dt - 1e-3)
    return [(float(step * dt), float(values[begin])) for step, begin in zip(steps, begins, strict=True)]
