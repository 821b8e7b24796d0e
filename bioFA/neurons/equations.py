"""A neuron as text, with dynamics of its own: equations, threshold, reset and refractory period in Brian2's syntax.

    dx/dt = f(x, ports, parameters, t)            one step of `method` (`bioFA.equations.integrate`)
    s = 1 where `threshold` holds after the step and the neuron is not refractory; then `reset`

A step does five things in this order: the ports are summed; the statements of `arrival` run; the equations move by dt,
every port standing still; the threshold is tested; the statements of `reset` run where it was passed. For `refractory`,
as so many whole steps after that of the spike, the neuron cannot spike, and variables marked `(unless refractory)`
neither move nor take arrivals. A spike is published as `s` in the step after its test, in which it arrives.

    events = { burst = { when = "v > v_th and since < 16*ms", do = "c += 1" } }

`protocol.order = "brian2"` makes it the step of Brian2's default schedule. What the test of a step found is reset in
the next one, after what arrives then and before the equations move: what arrives with the reset is lost where the reset
overwrites it. There `t` is still the time of the step whose test it was, and `since` counts from the spike before.
`refractory` counts the step of the spike itself, so two steps are that one and one more; what arrives with the reset
finds the neuron refractory. Variables are published as they are before that reset: as in Brian2 after its thresholds.

An event is published like the spike, by its own name. Its condition is tested with the threshold, before `reset`, also
in refractory neurons, and has no part in `s`; its statements run after those of `reset`, in the order of the file.

Names that every text knows: `t`, the time since the trial began, as the step begins; `dt`; `i`, the number of the
neuron from 0; `since`, the time since its last spike, in a reset since the one before; `not_refractory`; `rand()`,
`randn()`; and with `euler` white noise `xi`, of unit second ** (-1/2). Everything is in SI.

Source of the syntax: Stimberg, Brette & Goodman (2019), eLife 8:e47314.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Gt
from pydantic import BeforeValidator, ConfigDict, Field, PlainSerializer

from bioFA.components import Component, InSchema, Name, Number
from bioFA.distributions import Distributed, Distribution, Quantity, in_si
from bioFA.equations.adaptive import TOLERANCE
from bioFA.equations.dimensions import NONE, TIME, Dimension
from bioFA.equations.formula import NOISE, Formula
from bioFA.equations.integrate import Integrator
from bioFA.equations.model import Model, Statement, check_name, read_model, read_unit
from bioFA.equations.statements import Statements, called, number_called
from bioFA.errors import BadEquation, BadName, Contradiction, MissingField, OutOfRange, UnknownName, suggestion, under
from bioFA.neurons.base import Array, Moment, NeuronModel
from bioFA.units import steps_of

OWN_STATE = ("fired", "left", "quiet", "substep", "elapsed")
"""What every neuron keeps beside the variables of its text: whether it fired in the last step, how many steps it stays
refractory, and, where the text names `since`, for how many steps it has been quiet; with `rkf45`, how long its next
shorter step is, 0 before the first, and how much of a step it has done, which is 0 whenever none goes on."""
ADAPTING: dict[str, float | str] = {"tolerance": TOLERANCE, "slope_tolerance": 0.0, "tested_in": "step"}
"""What only `rkf45` reads, with what it is where it is left out."""
LONG_AGO = 1e9
"""Steps since its last spike, of a neuron that has not spiked yet."""


class Port(Component):
    """Where pathways arrive: the unit of their weights, and whether a positive weight raises or lowers the output."""

    unit: Name = "1"
    sign: Literal[1, -1] = 1

    @cached_property
    def dimension(self) -> Dimension:
        """The dimension of its weights.

        Raises:
            WrongUnit: if the unit is none.
        """
        size, dimension = read_unit(self.unit)
        if size != 1.0:
            raise Contradiction(f"Port.unit must be in SI, without a prefix; got '{self.unit}'.", at=("unit",))
        return dimension


class Event(Component):
    """Something else than a spike that a neuron publishes: when it happens, and which statements then run."""

    when: Annotated[Name, Field(examples=["v > -50*mV and since < 16*ms"])]
    do: Name = ""


def _port(value: Any) -> Any:
    return Port(unit=value) if isinstance(value, str) else value


def _of_all(values: Any, size: int) -> Array:
    """Values of one number or of each neuron, as numbers of each, `(size,)`, in an array of their own."""
    found = np.empty(size)
    found[:] = values
    return found


def _one_port(port: Port) -> Any:
    return port.unit if port.sign == 1 else port.model_dump()


PortField = Annotated[
    Port,
    BeforeValidator(_port),
    PlainSerializer(_one_port),
    InSchema({"anyOf": [{"type": "string"}, {"type": "object"}]}),
]


class TextNeuron(NeuronModel):
    """Base of the neurons that are described by text, one's own (`Equations`) or a well-known one (`StandardNeuron`).

    Both have what `Equations` takes as fields.
    """

    ports: ClassVar[dict[str, Port]]  # type: ignore[assignment]

    if TYPE_CHECKING:  # a field or a class variable, as the kind of neuron has it

        @property
        def model(self) -> str: ...  # noqa: D102
        @property
        def threshold(self) -> str | None: ...  # noqa: D102
        @property
        def reset(self) -> str: ...  # noqa: D102
        @property
        def refractory(self) -> float | str: ...  # noqa: D102
        @property
        def method(self) -> str: ...  # noqa: D102
        @property
        def tolerance(self) -> float: ...  # noqa: D102
        @property
        def slope_tolerance(self) -> float: ...  # noqa: D102
        @property
        def tested_in(self) -> str: ...  # noqa: D102
        @property
        def on_arrival(self) -> str: ...  # noqa: D102
        @property
        def given(self) -> Mapping[str, Distribution]: ...  # noqa: D102
        @property
        def initial(self) -> Mapping[str, Distribution]: ...  # noqa: D102
        @property
        def happens(self) -> Mapping[str, Event]: ...  # noqa: D102

    family_name: ClassVar[str] = ""
    sends: ClassVar[str] = "s"
    named_draws: ClassVar[bool] = True

    @property
    def events(self) -> tuple[str, ...]:  # type: ignore[override]
        """Spikes, and its other events."""
        return ("s", *self.happens)

    @property
    def spike_signals(self) -> tuple[str, ...]:  # type: ignore[override]
        """As `events`."""
        return self.events

    def model_post_init(self, context: Any) -> None:
        """Read every text once, and refuse what does not fit."""
        for place, names in (("ports", self.ports), ("parameters", self.given), ("events", self.happens)):
            for name in names:
                with under(place, name):
                    check_name(name, place)
        _ = self.parameter_dimensions
        _ = self.text
        for name in self.initial:
            if name not in self.text.state:
                raise UnknownName(
                    f"initial: '{name}' is no variable of the model.{suggestion(name, self.text.state)}",
                    at=("initial",),
                )
        for name, distribution in self.initial.items():
            with under("initial", name):
                distribution.numbers(self.text.known[name], f"initial.{name}")
        _ = (self.statements, self.integrator, self.tested)
        if self.method != "rkf45":
            for name, usual in ADAPTING.items():
                if name in type(self).model_fields and getattr(self, name) != usual:
                    raise Contradiction(
                        f"{name} is of the shorter steps that method 'rkf45' makes; the method is '{self.method}'."
                        f" Leave {name} out, or give method = 'rkf45'.",
                        at=(name,),
                    )
        if self.tested_in == "substep" and self.threshold is None:
            raise MissingField("tested_in needs a threshold. For example: threshold = 'v > -50*mV'.", at=("tested_in",))
        if self.threshold is None and (self.reset or self.refractory):
            raise MissingField("reset and refractory need a threshold. For example: threshold = 'v > -50*mV'.")
        if self.threshold is not None:
            _ = self.condition
        if self.pause < 0:
            raise OutOfRange(f"refractory must be >= 0 s; got {self.pause:g} s.", at=("refractory",))
        named = {name for text in self._texts() for name in text.names}
        unread = [port for port in self.ports if port not in named]
        if unread:
            raise BadEquation(
                f"the port '{unread[0]}' is read by no text of the model. Use it in arrival (g += {unread[0]}) or in an"
                " equation, or drop it.",
                at=("ports",),
            )

    def _texts(self) -> list[Formula]:
        """Every expression that computes something."""
        return [
            *self.text.moved.values(),
            *self.text.written_out.values(),
            *(statement.formula for part in self.statements for statement in part),
            *([self.condition] if self.threshold is not None else []),
            *(condition for condition, _ in self.tested.values()),
            *(statement.formula for _, part in self.tested.values() for statement in part),
        ]

    @cached_property
    def parameter_dimensions(self) -> dict[str, Dimension]:
        """The dimension of each parameter, which is that of its value."""
        found = {}
        for name, distribution in self.given.items():
            with under("parameters", name):
                found[name] = distribution.dimension(name)
                distribution.numbers(found[name], name)
        return found

    @cached_property
    def text(self) -> Model:
        """The text of the model, read."""
        ports = {}
        for name, port in self.ports.items():
            with under("ports", name):
                ports[name] = port.dimension
        with under("model"):
            found = read_model(self.model, {**self.parameter_dimensions, **ports})
            taken = [name for name in OWN_STATE if name in found.known]
            if taken:
                raise BadName(f"model: '{taken[0]}' is what every neuron keeps beside its text. Call it otherwise.")
        return found

    @cached_property
    def tested(self) -> dict[str, tuple[Formula, tuple[Statement, ...]]]:
        """The condition and the statements of each event.

        Raises:
            BadName: if an event has the name of something else.
        """
        found = {}
        for name, event in self.happens.items():
            with under("events", name):
                if name in (*self.text.known, *OWN_STATE):
                    raise BadName(f"events: '{name}' is the name of something else in the model. Call it otherwise.")
                condition = self.text.condition(event.when, f"events.{name}.when")
                found[name] = (condition, self.text.statements(event.do, f"events.{name}.do"))
        return found

    @cached_property
    def statements(self) -> tuple[tuple[Statement, ...], tuple[Statement, ...]]:
        """Those of `arrival` and of `reset`."""
        with under("arrival"):
            arrival = self.text.statements(self.on_arrival, "arrival")
        with under("reset"):
            return arrival, self.text.statements(self.reset, "reset")

    @cached_property
    def condition(self) -> Formula:
        """The threshold."""
        with under("threshold"):
            return self.text.condition(self.threshold or "", "threshold")

    @cached_property
    def integrator(self) -> Integrator:
        """What moves the equations by a step."""
        with under("method"):
            return Integrator(self.text, self.method, (self.tolerance, self.slope_tolerance))

    @cached_property
    def pause(self) -> float:
        """The refractory period in seconds."""
        with under("refractory"):
            return in_si(self.refractory, TIME, "refractory")

    @property
    def refractory_time(self) -> float:
        """As `pause`."""
        return self.pause

    @cached_property
    def state(self) -> Mapping[str, float]:  # type: ignore[override]
        """Every variable of the text, and what a neuron keeps beside them, with what it begins with."""
        own = {"fired": 0.0, "left": 0.0} if self.threshold is not None else {}
        quiet = {"quiet": LONG_AGO} if any("since" in text.names for text in self._texts()) else {}
        adapts = {"substep": 0.0, "elapsed": 0.0} if self.method == "rkf45" else {}
        return {**dict.fromkeys((*self.text.state, *self.happens), 0.0), **own, **quiet, **adapts}

    @cached_property
    def publishes(self) -> tuple[str, ...]:  # type: ignore[override]
        """The spikes, the other events, every variable as the step began, and every subexpression."""
        spikes = ("s",) if self.threshold is not None else ()
        return (*spikes, *self.happens, *self.text.state, *self.text.subexpressions)

    @cached_property
    def draws(self) -> tuple[str, ...]:  # type: ignore[override]
        """The random numbers of a step: `rand_0` uniform on [0, 1), `randn_0` and `xi` normal."""
        return tuple(
            dict.fromkeys(
                name
                for text in self._texts()
                for name in text.names
                if name.startswith(("rand_", "randn_")) or name.partition("_")[0] == NOISE
            )
        )

    def normal_draws(self) -> tuple[str, ...]:
        """Those of `draws` that are normal."""
        return tuple(name for name in self.draws if not name.startswith("rand_"))

    def dimension_of(self, variable: str) -> Dimension:
        """The dimension of what arrives at a port, or of a variable; a number where nothing else is said."""
        return self.text.known.get(variable, NONE)

    def own_parameters(self) -> Mapping[str, tuple[Distribution, Dimension]]:
        """The parameters, each a distribution over neurons, and their dimensions."""
        return {name: (part, self.parameter_dimensions[name]) for name, part in self.given.items()}

    def beginnings(self) -> Mapping[str, tuple[Distribution, Dimension]]:
        """The first values of variables that do not begin with 0."""
        return {name: (part, self.text.known[name]) for name, part in self.initial.items()}

    def port_sign(self, port: str) -> int:
        """As the port says."""
        return self.ports[port].sign

    def signed(self, variable: str) -> bool:
        """Any variable may have either sign, but spikes and other events."""
        return variable not in self.events

    def needs(self, variable: str) -> tuple[str, ...]:  # type: ignore[override]
        """What one published variable is computed from."""
        if variable == "s":
            return ("fired",)
        if variable in self.text.state or variable in self.happens:
            return (variable,)
        names = self.text.written_out[variable].names
        return tuple(name for name in names if name in self.ports or name in self.state)

    def known(self) -> tuple[str, ...]:  # type: ignore[override]
        """What is known as a step begins."""
        return (*self.state, *self.draws, "dt", "time")

    def published(self, variable: str, needs: Mapping[str, Any], moment: Moment) -> Array:
        """One published variable as the step begins, ports being summed."""
        if variable not in self.text.subexpressions:
            return np.array(needs[self.needs(variable)[0]])
        found = self.text.written_out[variable].evaluate({**self._names(needs, moment), **needs})
        return _of_all(found, moment.size)

    def _names(self, state: Mapping[str, Array], moment: Moment) -> dict[str, Any]:
        """What every text knows."""
        quiet = {"since": state["quiet"] * moment.dt} if "quiet" in state else {}
        active = {"not_refractory": state["left"] <= 0} if "left" in state else {}
        own = {"t": moment.time, "dt": moment.dt, "i": np.arange(moment.size, dtype=float), "learning": moment.learning}
        return {**moment.constants, **moment.numbers, **own, **quiet, **active}

    def steps_in(self, order: str) -> bool:
        """Whether its step can be in an order of `protocol.order`; Brian2 has no `rkf45`."""
        return order == "deliver_first" or self.method != "rkf45"

    def step(self, state: Mapping[str, Array], now: Mapping[str, Array], moment: Moment) -> dict[str, Array]:
        """Arrival, integration, threshold test, reset; in the order of Brian2, arrival, reset of what the test before
        found, integration, threshold test."""
        if moment.order == "brian2":
            return self._step_of_brian2(state, now, moment)
        values = {**self._names(state, moment), **state, **{port: now[port] for port in self.ports}}
        active = values.get("not_refractory", np.True_)
        arrival, reset = self.statements
        for statement in arrival:
            open_ = active if statement.name in self.text.held else True
            self._set(values, statement, open_)
        inner = np.zeros(moment.size, dtype=bool)
        if self.method == "rkf45":
            inner = self._adapt(values, reset, moment)
            values |= {"not_refractory": active} if self.threshold is not None else {}
        else:
            values |= self.integrator.step(values, moment.dt, moment.numbers)
        if "quiet" in values:
            values["since"] = (state["quiet"] + 1.0) * moment.dt
        happened = {
            name: np.broadcast_to(condition.evaluate(self.text.values(values)), moment.size)
            for name, (condition, _) in self.tested.items()
        }
        if self.threshold is not None:
            if self._tests_within:
                passed = inner
            else:
                passed = np.broadcast_to(self.condition.evaluate(self.text.values(values)), moment.size) & active
                for statement in reset:
                    self._set(values, statement, passed)
            values["left"] = np.where(passed, steps_of(self.pause, moment.dt), np.maximum(state["left"] - 1.0, 0.0))
            values["fired"] = passed.astype(float)
            if "quiet" in values:
                values["quiet"] = np.where(passed, 0.0, state["quiet"] + 1.0)
        for name, where in happened.items():
            for statement in self.tested[name][1]:
                self._set(values, statement, where)
        values |= {name: where.astype(float) for name, where in happened.items()}
        return {name: _of_all(values[name], moment.size) for name in self.state}

    @property
    def _tests_within(self) -> bool:
        """Whether the threshold is tested after every shorter step."""
        return self.method == "rkf45" and self.tested_in == "substep"

    def _adapt(self, values: dict[str, Any], reset: tuple[Statement, ...], moment: Moment) -> Array:
        """Integrate by `rkf45`; which neurons passed the threshold, `(size,)`, where it is tested in every substep."""
        passed = np.zeros(moment.size, dtype=bool)

        def after(x: dict[str, Any], made: Array) -> dict[str, Any]:
            values.update(x)
            found = self.condition.evaluate(self.text.values(values)) & values["not_refractory"] & made
            for statement in reset:
                self._set(values, statement, found)
            passed[:] |= np.broadcast_to(found, moment.size)
            if steps_of(self.pause, moment.dt):
                values["not_refractory"] = values["not_refractory"] & ~passed
            return {name: values[name] for name in x}

        follows = after if self._tests_within else None
        found, lengths = self.integrator.adapt(values, moment.dt, values["substep"], follows)
        values |= {**found, "substep": lengths}
        return passed

    def _step_of_brian2(
        self, state: Mapping[str, Array], now: Mapping[str, Array], moment: Moment
    ) -> dict[str, Array]:
        """A step in the order of Brian2's default schedule, which begins where its synapses act."""
        arrival, reset = self.statements
        known = self._names(state, moment)
        values = {**known, **state, **{port: now[port] for port in self.ports}, "t": moment.time - moment.dt}
        open_ = values.get("not_refractory", np.True_)
        for statement in arrival:
            self._set(values, statement, open_ if statement.name in self.text.held else True)
        for statement in reset:
            self._set(values, statement, state["fired"] > 0)
        for name, (_, statements) in self.tested.items():
            for statement in statements:
                self._set(values, statement, state[name] > 0)
        values["t"] = moment.time
        if self.threshold is not None:
            left = np.maximum(state["left"] - 1.0, 0.0)
            values |= {"left": left, "not_refractory": left <= 0}
            if "quiet" in values:
                quiet = np.where(state["fired"] > 0, 0.0, state["quiet"])
                values |= {"quiet": quiet + 1.0, "since": quiet * moment.dt}
        values |= self.integrator.step(values, moment.dt, moment.numbers)
        if "quiet" in values:
            values["since"] = values["quiet"] * moment.dt
        happened = {
            name: condition.evaluate(self.text.values(values)) for name, (condition, _) in self.tested.items()
        }
        if self.threshold is not None:
            found = self.condition.evaluate(self.text.values(values))
            passed = np.broadcast_to(found, moment.size) & values["not_refractory"]
            values["left"] = np.where(passed, max(steps_of(self.pause, moment.dt), 1), values["left"])
            values["fired"] = passed.astype(float)
        values |= {name: np.asarray(where, dtype=float) for name, where in happened.items()}
        return {name: _of_all(values[name], moment.size) for name in self.state}

    def _set(self, values: dict[str, Any], statement: Statement, where: Any) -> None:
        """Run a statement for the neurons where something holds."""
        new = statement.value.evaluate(self.text.values(values))
        values[statement.name] = np.where(where, new, values[statement.name])

    def dynamics(self) -> str:
        """The differential equations, plain numbers in SI, as a reader has them; `whole_step` is what is compiled."""
        return "\n".join(
            f"d{name}/dt = ({formula.text})/second : 1{' (unless refractory)' if name in self.text.held else ''}"
            for name, formula in self.text.moved.items()
        )

    def integration(self) -> str:
        """The method."""
        return self.method

    def expressions(self) -> dict[str, str]:
        """The published variables that are computed, as a reader has them; `computed` is what is compiled."""
        found = {"s": "fired"} if self.threshold is not None else {}
        return {**found, **{name: formula.text for name, formula in self.text.written_out.items()}}

    @cached_property
    def compiled(self) -> Statements:
        """The step as statements."""
        arrival, reset = self.statements
        condition = self.condition if self.threshold is not None else None
        fixed, quiet = frozenset(self.given), "quiet" in self.state
        inner = self._tests_within
        return Statements(self.text, self.integrator, fixed, arrival, reset, condition, quiet, self.tested, inner)

    def called(self, variable: str) -> str:
        """Spikes are what the last test found; names of the text have an underscore at their end."""
        if variable in OWN_STATE:
            return variable
        if variable in self.draws:
            return number_called(variable)
        return "fired" if variable == "s" else called(variable)

    def computed(self, variable: str) -> str:
        """A subexpression as the step begins."""
        return self.compiled.published(variable)

    def whole_step(self, order: str = "deliver_first") -> str:
        """As `step`."""
        return self.compiled.step(order)

    def run_constants(self) -> dict[str, bool]:
        """The parameters, what is computed of them, and numbers that every text has."""
        alike = {name: distribution.alike for name, distribution in self.given.items()}
        return {
            **{called(name): one for name, one in alike.items()},
            **{n: all(alike.get(of, of != "i") for of in names) for n, names in self.compiled.constants.items()},
            **dict.fromkeys(("step_length", "learning_on", "pause"), True),
            **dict.fromkeys(("tolerance", "slope_tolerance") if self.method == "rkf45" else (), True),
        }

    def run_values(self, moment: Moment) -> dict[str, Array]:
        """Their values."""
        values = {**moment.constants, "i": np.arange(moment.size, dtype=float)}
        own = {"step_length": moment.dt, "learning_on": moment.learning, "pause": steps_of(self.pause, moment.dt)}
        if self.method == "rkf45":
            own |= {"tolerance": self.tolerance, "slope_tolerance": self.slope_tolerance}
        return {
            **{called(name): moment.constants[name] for name in self.given},
            **self.compiled.compute(values, moment.dt),
            **{name: np.array([float(value)]) for name, value in own.items()},
        }


class Equations(TextNeuron):
    """A neuron described by text.

    `model` holds its differential equations, subexpressions and variables, a line each; `ports` the names by which
    pathways arrive, each with the unit of its weights; `parameters` numbers, which may differ between neurons;
    `initial` the first values of variables, else 0. `arrival` runs once a step before integration; a port that `model`
    names is held for the step. With `method = "rkf45"`, `tolerance` and `slope_tolerance` bound the error of its
    shorter steps (`bioFA.equations.adaptive`), and `tested_in = "substep"` tests the threshold, and resets, after each.
    """

    model_config = ConfigDict(populate_by_name=True)

    model: Annotated[Name, Field(examples=["dv/dt = (-v + I)/tau : 1"])]
    ports: Annotated[dict[str, PortField], Field(examples=[{"I": "amp"}])] = {}  # type: ignore[misc]
    threshold: Name | None = None
    reset: Name = ""
    refractory: Quantity = 0.0
    method: Literal["euler", "exponential_euler", "exact", "rk4", "rkf45"] = "euler"
    tolerance: Annotated[Number, Gt(0)] = TOLERANCE
    slope_tolerance: Annotated[Number, Ge(0)] = 0.0
    tested_in: Literal["step", "substep"] = "step"
    on_arrival: Annotated[Name, Field(alias="arrival")] = ""
    given: Annotated[dict[str, Distributed], Field(alias="parameters")] = {}
    initial: dict[str, Distributed] = {}
    happens: Annotated[dict[str, Event], Field(alias="events", examples=[{"burst": {"when": "since < 16*ms"}}])] = {}
    family_name: ClassVar[str] = "equations"
    one_parse: ClassVar[bool] = True
