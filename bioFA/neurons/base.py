"""What every neuron model states about itself, so that both consumers can run it.

A model has *ports* (where pathways arrive), *state* (what it keeps from step to step) and
*published* variables (what others can read within the step). Each published variable is a
method whose argument names are what it needs; a test holds the Brian2 expression of the same
name to that method. Arrays have shape `(size,)`. A method may also need `dt`, the length of the
step in seconds, `time`, the seconds since this presentation began, as the step begins, and what the model `draws`.

A spiking model publishes `s`, 1 where the neuron spikes in this step and else 0; `train`, the
same as a spike train over the rate that counts as 1, so that its mean over time is a rate and
rate and spiking neurons can stand in for each other; and `r`, the low-passed train.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np

from bioFA.components import Component, Family
from bioFA.distributions import Distribution
from bioFA.equations.dimensions import NONE, Dimension
from bioFA.errors import OutOfRange
from bioFA.neurons.counterparts import Counterpart
from bioFA.units import steps_of

Array = np.ndarray
EQUATIONS = ("advance", "arrival", "dynamics", "expressions", "spiking", "whole_step")
"""Methods by which a neuron computes, beside those of what it publishes."""
WHOLE = 1e-9
"""A duration that is nearer to a whole number of steps than this is one."""


@dataclass(frozen=True)
class Moment:
    """What a neuron may know of a step beside its state and what arrives.

    `constants` are its population's parameters, `(size,)`, or `(1,)` where all neurons share one; `numbers` the random
    numbers of this step by name, `(size,)`; `time` the seconds since the trial began, as the step begins; `shown` what
    the course of a source says of the step, or how often each neuron of it spikes in it, `(size,)`; `order` that of
    the protocol.
    """

    size: int
    dt: float
    time: float = 0.0
    constants: Mapping[str, Array] = field(default_factory=dict)
    numbers: Mapping[str, Array] = field(default_factory=dict)
    learning: bool = False
    shown: Any = 1.0
    order: str = "deliver_first"


_published_apart = ContextVar("published_apart", default=False)


@contextmanager
def published_apart() -> Iterator[None]:
    """Within, a variable that publishes a state unchanged keeps its own name, as readers of a script expect."""
    token = _published_apart.set(True)
    try:
        yield
    finally:
        _published_apart.reset(token)


class NeuronModel(Component):
    """Base of the neuron models."""

    ports: ClassVar[tuple[str, ...]]
    publishes: ClassVar[tuple[str, ...]]
    state: ClassVar[Mapping[str, float]]
    shows: ClassVar[str | None] = None
    """What a stimulus source takes from outside: 'task' or 'noise'; None for neurons that compute."""
    shown: ClassVar[str] = "r"
    """The published variable that a source takes from outside."""
    draws: ClassVar[tuple[str, ...]] = ()
    """Random numbers, uniform on [0, 1), drawn for each neuron in each step (`bioFA.draws`)."""
    named_draws: ClassVar[bool] = False
    """Whether each of `draws` has numbers of its own; else all have the same."""
    events: ClassVar[tuple[str, ...]] = ()
    """Published variables that are 0 in every neuron that does not spike in this step."""
    watched: ClassVar[tuple[str, ...]] = ()
    """What shows a single spiking neuron at work, such as its potential: ports, states and published variables,
    in the order of a figure."""
    shows_steps: ClassVar[bool] = False
    """Whether a source needs a row for every step of a presentation."""
    compares: ClassVar[str] = "r"
    """The published variable of target and output that an error unit compares."""
    measures: ClassVar[tuple[str, ...]] = ()
    """Of an error unit that measures the error over a whole presentation:
    what it publishes as squared error and as the power of the target."""
    sends: ClassVar[str] = "r"
    """The published variable that its axon carries to the next layer."""
    spike_signals: ClassVar[tuple[str, ...]] = ()
    """Published variables that are its spikes, or its spikes low-passed, as a synapse sees them;
    anything else that a spiking neuron sends is graded."""
    handed: ClassVar[Literal["", "course", "trains"]] = ""
    """What a run hands to a source that needs no task: its `course`, or its `trains`."""
    both_signs: ClassVar[tuple[str, ...]] = ("error", "drive", "perturbation", "delta")
    """Published variables and ports that may be negative in one moment and positive in another,
    whatever the parameters; see `signed`."""
    shared_parameters: ClassVar[tuple[str, ...]] = ()
    one_parse: ClassVar[bool] = False
    """Whether both consumers compute from one reading of a user's text, with no step written by hand beside it."""
    """The parameters that every population of a network which has one of that name must share,
    such as the phases of a presentation."""
    step_times: ClassVar[Mapping[str, int]] = {}
    """The parameters that are durations of whole steps, and the fewest steps that each may last where it is not 0."""
    baseline: ClassVar[str] = ""
    """Of a neuron whose spikes carry both signs about a tonic rate:
    the published variable from which the receiver takes that off."""

    def __init_subclass__(cls, **options: Any) -> None:
        """A class that computes otherwise than its base is of the same kind only where it states so."""
        super().__init_subclass__(**options)
        for name, nothing in (("ports", ()), ("publishes", ()), ("state", {})):
            if not hasattr(cls, name) and name not in vars(cls).get("__annotations__", {}):
                setattr(cls, name, nothing)
        published = cls.publishes if isinstance(cls.publishes, tuple) else ()
        if "counterpart" not in vars(cls) and any(name in vars(cls) for name in (*EQUATIONS, *published)):
            cls.counterpart = NeuronModel.counterpart  # type: ignore[method-assign]

    def counterpart(self) -> Counterpart | None:
        """The kind of neuron that it is in other simulators; None where they have none like it."""
        return None

    def required_ports(self) -> tuple[str, ...]:
        """Ports that must receive a pathway, or the model makes no sense."""
        return ()

    def unread_ports(self) -> tuple[str, ...]:
        """Ports that nothing in this configuration of the model reads."""
        return ()

    def signed(self, variable: str) -> bool:
        """Whether a published variable, or what arrives at a port, may have either sign."""
        return variable in self.both_signs

    def rounded_times(self, dt: float) -> dict[str, int]:
        """The durations that are no whole number of steps of dt,
        and how many steps each is simulated as (`units.steps_of`)."""
        times = {name: getattr(self, name) for name in self.step_times}
        return {name: steps for name, time in times.items() if abs(time / dt - (steps := steps_of(time, dt))) > WHOLE}

    def on_grid(self, dt: float) -> Self:
        """The same neuron with every duration a whole number of steps.

        Raises:
            OutOfRange: if one that must last some would last none.
        """
        rounded = self.rounded_times(dt)
        for name, steps in rounded.items():
            if steps < (fewest := self.step_times[name]):
                raise OutOfRange(
                    f"{type(self).__name__}.{name} must last at least {fewest} step of dt = {dt:g} s, or be 0; got"
                    f" {getattr(self, name):g} s. Give a longer time, or a smaller dt.",
                    at=(name,),
                )
        return self.replace(**{name: steps * dt for name, steps in rounded.items()}) if rounded else self

    @property
    def spikes(self) -> bool:
        """Whether it publishes spikes, as `s`."""
        return "s" in self.publishes

    @property
    def refractory_time(self) -> float:
        """Seconds after a spike in which it cannot spike again."""
        return float(getattr(self, "refractory_period", 0.0))

    @property
    def compares_targets(self) -> bool:
        """Whether it is an error unit: it receives a target and a prediction."""
        return {"target", "prediction"} <= set(self.ports)

    @property
    def keeps_phases(self) -> bool:
        """Whether what it does hangs on the time since the presentation began."""
        return any("time" in self.needs(variable) for variable in self.publishes)

    def port_sign(self, port: str) -> int:
        """1 where a positive weight raises the output, -1 where it lowers it."""
        return 1

    def opponent(self) -> NeuronModel | None:
        """The model of a second population that carries the other sign, where one population carries one sign only."""
        return None

    def expressions(self) -> dict[str, str]:
        """Each published variable as a Brian2 expression."""
        return {}

    def dynamics(self) -> str:
        """The Brian2 differential equations of the state, or nothing."""
        return ""

    def integration(self) -> str:
        """The name of Brian2's integration method for `dynamics`."""
        return "euler"

    def share(self, tau: float, dt: float) -> float:
        """The share of its distance to what it follows that a low-pass filter goes in one step,
        as `integration` has it."""
        return dt / tau if self.integration() == "euler" else -math.expm1(-dt / tau)

    def arrival(self) -> str:
        """Brian2 statements before the integration of a step: what arriving spikes do at once."""
        return ""

    def spiking(self) -> str:
        """Brian2 statements after the integration of a step: threshold test and reset."""
        return ""

    def called(self, variable: str) -> str:
        """The name of a port, state, published variable or random number in the compiled program; two that are always
        equal may share one, such as a state and what publishes it unchanged."""
        if variable in self.state or variable not in self.publishes or _published_apart.get():
            return variable
        kept = self.expressions().get(variable, variable)
        return kept if kept in self.state else variable

    def computed(self, variable: str) -> str:
        """One published variable as the compiled program computes it, in names of `called`."""
        return re.sub(r"[A-Za-z_]\w*", lambda name: self.called(name[0]), self.expressions()[variable])

    def steps_in(self, order: str) -> bool:
        """Whether its step can be in an order of `protocol.order`: any order is the same where nothing is reset."""
        return order == "deliver_first" or not self.spiking()

    def whole_step(self, order: str = "deliver_first") -> str:
        """Everything that moves the state by one step, as statements in names of `called`; empty where `arrival`,
        `dynamics` and `spiking` say it.

        Statements may name, beside what the model has, its `run_constants`, `seconds`, the time since the trial began
        as the step begins, and i, the number of the neuron.
        """
        return ""

    def run_constants(self) -> dict[str, bool]:
        """Numbers without unit that `whole_step` and `computed` name and that stand still in a run, and whether all
        neurons have the same."""
        return {}

    def run_values(self, moment: Moment) -> dict[str, Array]:
        """The values of `run_constants`, `(size,)`, or `(1,)` where all neurons have the same, from the parameters of
        a moment."""
        return {}

    def rate_unit(self) -> NeuronModel | None:
        """What the neuron is on average: a model without state; None where there is none.
        A model without state is its own."""
        return None if self.state else self

    def unit(self) -> float:
        """The rate in Hz that a `train` counts as 1."""
        raise NotImplementedError(f"{type(self).__name__} does not spike")

    def advance(self, state: Mapping[str, Array], now: Mapping[str, Array], dt: float) -> dict[str, Array]:
        """The state one step later, from the state, and the ports and published variables of this step (NumPy)."""
        return {}

    def step(self, state: Mapping[str, Array], now: Mapping[str, Array], moment: Moment) -> dict[str, Array]:
        """`advance`, for a model that also reads the moment: its parameters a neuron, time, random numbers."""
        return self.advance(state, now, moment.dt)

    def published(self, variable: str, needs: Mapping[str, Any], moment: Moment) -> Array:
        """One published variable, from what it `needs`, by name."""
        found: Array = getattr(self, variable)(*needs.values())
        return found

    def normal_draws(self) -> tuple[str, ...]:
        """Those of `draws` that are normal, not uniform on [0, 1)."""
        return ()

    def dimension_of(self, variable: str) -> Dimension:
        """The dimension of what arrives at a port, or of a variable: a plain number, but in a neuron as text."""
        return NONE

    def own_parameters(self) -> Mapping[str, tuple[Distribution, Dimension]]:
        """Parameters that may differ between neurons, each a distribution, with their dimensions."""
        return {}

    def beginnings(self) -> Mapping[str, tuple[Distribution, Dimension]]:
        """First values of variables that begin otherwise than `state` says, each a distribution."""
        return {}

    def numbers_of(self, trial: int) -> int:
        """Which trial's random numbers and first values it has in a trial."""
        return trial

    def course(self, dt: float, start: int, stop: int) -> Array | None:
        """Of a source that needs no task, what it shows in the steps from `start` to before `stop` of a trial,
        `(stop - start,)`; None where it has no course."""
        return None

    def trains(self, size: int, dt: float, steps: int) -> tuple[Array, Array] | None:
        """Of a source with given spikes, the step of a trial and the neuron of each, `(n_spikes,)` each, in the order
        of steps; None where it has none."""
        return None

    def notes(self, dt: float, steps: int, constants: Mapping[str, Array]) -> tuple[str, ...]:
        """What a source does not show of what it is given in a trial of so many steps, a sentence each.

        Args:
            dt: length of a step in seconds.
            steps: of a trial.
            constants: its drawn parameters by name.
        """
        return ()

    def begins_as(self) -> Mapping[str, str]:
        """Variables that begin with the value of a parameter of their neuron, where no first value is given."""
        return {}

    @classmethod
    def known(cls) -> tuple[str, ...]:
        """What a published variable may need that is known as a step begins: state, random numbers, dt and time."""
        return (*cls.state, *cls.draws, "dt", "time")

    @classmethod
    def needs(cls, variable: str) -> tuple[str, ...]:
        """The ports, states and published variables that one published variable is computed from."""
        return _arguments(cls, variable)

    def readable(self) -> tuple[str, ...]:
        """Everything that a plasticity rule may read; a record may name what is published, and ports."""
        return (*self.publishes, *self.ports, *self.state)


class TaskSource(NeuronModel):
    """Base of the neurons that show the task: the row of `of` that belongs to this presentation."""

    of: Literal["inputs", "targets"] = "inputs"

    family_name: ClassVar[str] = ""
    shows: ClassVar[str | None] = "task"


@lru_cache
def _arguments(model: type[NeuronModel], variable: str) -> tuple[str, ...]:
    return tuple(inspect.signature(getattr(model, variable)).parameters)[1:]


family: Family[NeuronModel] = Family("neuron model", "bioFA.neurons", base=NeuronModel)
Neuron = Annotated[NeuronModel, *family.member()]
