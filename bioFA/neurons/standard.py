"""Well-known neurons as text, one a file: equations and numbers as published, with a step written by hand beside them.

Brian2 gets the text (`model`, `arrival`, `threshold`, `reset`). The NumPy reference runs `advance_by_hand`, written
from the mathematics of the docstring, and a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from bioFA.distributions import Distributed, Distribution, Measures, Quantity
from bioFA.equations.adaptive import TOLERANCE, adapt
from bioFA.equations.dimensions import Dimension
from bioFA.errors import under
from bioFA.neurons.base import Array, Moment
from bioFA.neurons.equations import Event, Port, TextNeuron
from bioFA.units import steps_of

EXC_CURRENT, INH_CURRENT = Port(unit="amp"), Port(unit="amp", sign=-1)
EXC_CONDUCTANCE, INH_CONDUCTANCE = Port(unit="siemens"), Port(unit="siemens", sign=-1)
Values = dict[str, Any]


class StandardNeuron(TextNeuron):
    """Base of the well-known neurons.

    Their parameters are fields, each a number, a quantity or a distribution over neurons; `initial` holds first values
    of variables in place of the usual ones.
    """

    refractory: Quantity = 0.0
    initial: dict[str, Distributed] = {}

    family_name: ClassVar[str] = ""
    model: ClassVar[str]
    ports: ClassVar[dict[str, Port]]
    on_arrival: ClassVar[str] = ""
    threshold: ClassVar[str | None]
    reset: ClassVar[str] = ""
    tolerance: ClassVar[float] = TOLERANCE
    slope_tolerance: ClassVar[float] = 0.0
    tested_in: ClassVar[str] = "step"
    happens: ClassVar[Mapping[str, Event]] = {}
    rests: ClassVar[Mapping[str, str]] = {}
    """Variables that begin with the value of a parameter."""

    @property
    def given(self) -> dict[str, Distribution]:
        """The parameters by name."""
        return {name: getattr(self, name) for name in Measures.fields(type(self))}

    @cached_property
    def parameter_dimensions(self) -> dict[str, Dimension]:
        """The dimension of each parameter.

        Raises:
            ModelError: naming the parameter that measures something else, or is out of range.
        """
        measures = Measures.fields(type(self))
        for name, part in measures.items():
            with under(name):
                part.check(getattr(self, name), f"{type(self).__name__}.{name}")
        return {name: part.dimension for name, part in measures.items()}

    def begins_as(self) -> Mapping[str, str]:
        """Variables that begin with the value of a parameter, where no first value is given."""
        return {name: parameter for name, parameter in self.rests.items() if name not in self.initial}

    def step(self, state: Mapping[str, Array], now: Mapping[str, Array], moment: Moment) -> dict[str, Array]:
        """Arrival and integration by hand, then threshold test, reset and refractory period."""
        if self.method == "rkf45":
            return self._adapted(state, now, moment)
        refractory = state["left"] > 0
        x = {name: state[name] for name in self.text.state}
        arriving = {port: now[port] for port in self.ports}
        with np.errstate(all="ignore"):
            moved = self.advance_by_hand(x, arriving, dict(moment.constants), moment.dt, refractory)
            spiked = self.spikes_by_hand(moved, moment.constants) & ~refractory
            after = moved | self.reset_by_hand(moved, moment.constants)
        new = {name: np.where(spiked, after[name], moved[name]) for name in x}
        new["left"] = np.where(spiked, steps_of(self.pause, moment.dt), np.maximum(state["left"] - 1.0, 0.0))
        new["fired"] = spiked.astype(float)
        return {name: np.array(np.broadcast_to(new[name], moment.size), dtype=float) for name in self.state}

    def _adapted(self, state: Mapping[str, Array], now: Mapping[str, Array], moment: Moment) -> dict[str, Array]:
        """A step in shorter ones, with the threshold tested in its end, or after each of them (`tested_in`)."""
        p, inside = dict(moment.constants), self.tested_in == "substep"
        pause = steps_of(self.pause, moment.dt)
        arriving = {port: now[port] for port in self.ports}
        halted, passed = state["left"] > 0, np.zeros(moment.size, dtype=bool)

        def test(y: Values, where: Any) -> Values:
            spiked = self.spikes_by_hand(y, p) & ~halted & where
            after = y | self.reset_by_hand(y, p)
            passed[spiked] = True
            return {name: np.where(spiked, after[name], y[name]) for name in y}

        def after(y: Values, made: Array) -> Values:
            found = test(y, made)
            if pause:
                halted[passed] = True
            return found

        x = self.arrive_by_hand({name: state[name] for name in self.text.state}, arriving)
        new, lengths = adapt(
            lambda y, since: self.slope_by_hand(y, arriving, p, halted),
            x,
            state["substep"],
            moment.dt,
            (self.integrator.bounds, self.slope_tolerance),
            after if inside else None,
        )
        new = new if inside else test(new, True)
        new["left"] = np.where(passed, pause, np.maximum(state["left"] - 1.0, 0.0))
        new |= {"fired": passed.astype(float), "substep": lengths, "elapsed": np.zeros(moment.size)}
        return {name: np.array(np.broadcast_to(new[name], moment.size), dtype=float) for name in self.state}

    def arrive_by_hand(self, x: Values, arriving: Values) -> Values:
        """The variables after arrival, as `advance_by_hand` has them; for neurons that have `rkf45`."""
        raise NotImplementedError

    def slope_by_hand(self, x: Values, arriving: Values, p: Values, refractory: Array) -> Values:
        """The right sides, `(size,)` each, as `advance_by_hand` has them; for neurons that have `rkf45`."""
        raise NotImplementedError

    def steps_in(self, order: str) -> bool:
        """Its step by hand is in the usual order."""
        return order == "deliver_first"

    def advance_by_hand(self, x: Values, arriving: Values, p: Values, dt: float, refractory: Array) -> Values:
        """The variables one step later, before the threshold test.

        Args:
            x: the variables, `(size,)` each, in SI.
            arriving: what arrives in this step, by port, `(size,)` each.
            p: the parameters, `(size,)` or `(1,)` each.
            dt: the step in seconds.
            refractory: which neurons are refractory, `(size,)`.

        Returns:
            Every variable, `(size,)`.
        """
        raise NotImplementedError

    def spikes_by_hand(self, x: Values, p: Mapping[str, Array]) -> Array:
        """Which neurons pass the threshold, `(size,)`."""
        raise NotImplementedError

    def reset_by_hand(self, x: Values, p: Mapping[str, Array]) -> Values:
        """The variables that a spike sets, by what it sets them to."""
        return {}


def response(a: Any, b: Any, time: float) -> Any:
    """exp(-a t) convolved with exp(-b t): (exp(-b t) - exp(-a t))/(a - b), and t exp(-a t) where a = b.

    Source: Rotter & Diesmann (1999), Biol. Cybern. 81:381, section 3.1.
    """
    z = (a - b) * time
    return time * np.exp(-a * time) * np.divide(np.expm1(z), z, out=np.ones_like(z), where=z != 0)


def alpha_response(a: Any, b: Any, time: float) -> Any:
    """exp(-a t) convolved with t exp(-b t): exp(-a t) (1 - (1 + z) exp(-z))/(b - a)^2 with z = (b - a) t.

    Near z = 0 the fraction over t^2 is summed as the series 1/2 - z/3 + z^2/8 - ..., with terms (-z)^k/(k! (k + 2)).

    Source: Rotter & Diesmann (1999), Biol. Cybern. 81:381, section 3.1.
    """
    z = np.asarray((b - a) * time, dtype=float)
    small = np.abs(z) < SERIES
    near = np.where(small, z, 0.0)
    term, total = np.ones_like(near), np.zeros_like(near)
    for k in range(TERMS):
        total = total + term / (k + 2)
        term = -term * near / (k + 1)
    far = np.where(small, 1.0, z)
    share = np.where(small, total, (1.0 - (1.0 + far) * np.exp(-far)) / far**2)
    return time**2 * np.exp(-a * time) * share


SERIES, TERMS = 0.5, 20
"""Below which z the series is used, and with how many terms: 0.5^20/20! is below 1e-24."""


def by_runge_kutta(slope: Any, x: Values, dt: float) -> Values:
    """One step of the classical Runge-Kutta method: x + dt/6 (k1 + 2 k2 + 2 k3 + k4).

    Source: Hairer, Norsett & Wanner (1993), Solving ordinary differential equations I, table 1.2.
    """
    k1 = slope(x)
    k2 = slope({name: x[name] + dt / 2 * k1[name] for name in x})
    k3 = slope({name: x[name] + dt / 2 * k2[name] for name in x})
    k4 = slope({name: x[name] + dt * k3[name] for name in x})
    return {name: x[name] + dt / 6 * (k1[name] + 2 * k2[name] + 2 * k3[name] + k4[name]) for name in x}
