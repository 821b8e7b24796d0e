"""A whole experiment as data: circuit, task, protocol, and what to record."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Ge, Gt
from pydantic import Field, Strict

from bioFA.components import Component, Count, Name, Number
from bioFA.errors import (
    BadName,
    Contradiction,
    DuplicateName,
    Keys,
    MissingField,
    ModelError,
    OutOfRange,
    Unavailable,
    UnknownName,
    WrongShape,
    suggestion,
    under,
)
from bioFA.measures.measure import Measure
from bioFA.measures.record import Record, Trace
from bioFA.network import CircuitField, Network, Node, Population
from bioFA.repr_html import shown
from bioFA.tasks import TaskField
from bioFA.tasks.base import Task, named
from bioFA.units import Unit, steps_of, write

MOST_STEPS = 10**9
"""A presentation has fewer steps than this."""
PRESENTED = {
    *("epochs", "presentations", "shuffle", "presentation", "learning_onset", "blank", "reset", "stop"),
    "snapshots",
}
"""What of a protocol belongs to examples that are presented."""
EXPLICIT = "explicit"
"""What stands for the scheme of a network that is given pathway by pathway."""
STATIC_DT = 1e-3
"""The nominal step of a static network in seconds; nothing depends on it, since T = dt."""


class Stop(Component):
    """When to end a run before its last presentation.
    Looked at after every segment; test data are never looked at for it.

    `measure` is the error rate or the NSE on validation data, or, as `nse`, the NSE of the
    training presentations recorded in the last segment. The run ends when the measure is
    `below` a value, or when it has set no new minimum in the last `patience` segments.
    """

    measure: Literal["validation_error", "validation_nse", "nse"] = "validation_error"
    below: Annotated[Number, Ge(0)] | None = None
    patience: Count | None = None

    def model_post_init(self, context: Any) -> None:
        """Refuse a stop that would never come."""
        if self.below is None and self.patience is None:
            raise MissingField(
                "Stop needs below, patience, or both, or it would never end a run. For example: below = 0.05."
            )

    def reason(self, measured: Sequence[float]) -> str | None:
        """Why a run ends now, from the measure after each segment so far; None where it continues."""
        if not measured:
            return None
        if self.below is not None and measured[-1] < self.below:
            return f"{self.measure} {measured[-1]:.4g} is below {self.below:g}"
        best = measured.index(min(measured))
        if self.patience is not None and len(measured) - 1 - best >= self.patience:
            return f"{self.measure} has not fallen below {measured[best]:.4g} in {self.patience} segments"
        return None


class Phase(Component):
    """A part of learning: how long it lasts, which pathways learn in it, and how fast.

    It lasts for `presentations`, or for `epochs`; where time passes without a task, for a `duration` within each trial.
    `learns` names the plastic pathways that learn, all of them where it is left out; `rate` multiplies every learning
    rate.
    """

    presentations: Count | None = None
    epochs: Count | None = None
    duration: Annotated[Number, Unit("s"), Gt(0)] | None = None
    learns: tuple[Name, ...] | None = None
    rate: Annotated[Number, Ge(0)] = 1.0

    def model_post_init(self, context: Any) -> None:
        """Refuse a phase without one length."""
        if [self.presentations, self.epochs, self.duration].count(None) != 2:
            raise MissingField(
                "Phase needs presentations or epochs, and not both, or, where time passes without a task, duration. For"
                " example: phases = [{ epochs = 10 }, { epochs = 5, rate = 0.1 }]."
            )

    def length(self, examples: int) -> int:
        """How many presentations it lasts, with so many training examples."""
        return self.presentations or (self.epochs or 0) * examples


class Protocol(Component):
    """How examples are presented.

    A static network does one presentation in one step and needs no times. A network with stateful neurons holds each
    example for `presentation`, in steps of `dt`; learning is on from `learning_onset` into the presentation to its end,
    and T, the learning time per presentation in every rule, is that time. After each presentation sources show zero for
    `blank`; with `reset`, neurons (not weights) return to their first state as a presentation begins. Training lasts
    for `epochs`, or for `presentations` if those are fewer; with `phases`, one after the other, for as long as they
    last together.

    Without a task, time simply passes: for `duration`, in steps of `dt`, in each of `trials`. The network is drawn
    once; every trial begins with first values and noise of its own. No measure counts what happens in `warm_up`, and
    nothing is learned in it: learning is on from its end to that of the trial, T in every rule is one second, so that
    rates are per second, and weights go on from trial to trial. `phases` then divide every trial, each for its
    `duration`.

    `order` is that of a step: what arrives, integration, threshold test, reset (`deliver_first`); or, for neurons given
    as equations, that of Brian2's default schedule, with its refractory period (`bioFA.consumers.reference`, 5).
    """

    epochs: Count = 1
    presentations: Count | None = None
    shuffle: Annotated[bool, Strict()] = True
    dt: Annotated[Annotated[Number, Unit("s"), Gt(0)] | None, Field(examples=["1 ms"])] = None
    presentation: Annotated[Number, Unit("s"), Gt(0)] | None = None
    learning_onset: Annotated[Number, Unit("s"), Ge(0)] = 0.0
    blank: Annotated[Number, Unit("s"), Ge(0)] = 0.0
    reset: Annotated[bool, Strict()] = False
    snapshots: Count = 20
    phases: tuple[Phase, ...] = ()
    stop: Stop | None = None
    duration: Annotated[Number, Unit("s"), Gt(0)] | None = None
    trials: Count = 1
    warm_up: Annotated[Number, Unit("s"), Ge(0)] = 0.0
    order: Literal["deliver_first", "brian2"] = "deliver_first"

    def model_post_init(self, context: Any) -> None:
        """Refuse times that are not whole steps."""
        if self.order != "deliver_first" and self.dt is None:
            raise Contradiction(
                f"Protocol.order = '{self.order}' orders the parts of a step, and a network without dt has none. Give"
                " dt, or leave order out.",
                at=("order",),
            )
        if self.duration is not None:
            self._check_free(self.duration)
            return
        for number, phase in enumerate(self.phases):
            if phase.duration is not None:
                raise Contradiction(
                    "Phase.duration is of a run in which time passes without a task. Give presentations or epochs.",
                    at=("phases", number, "duration"),
                )
        for name, default in (("trials", 1), ("warm_up", 0.0)):
            if getattr(self, name) != default:
                raise Contradiction(
                    f"Protocol.{name} is of a run in which time passes without a task, so it needs duration. For"
                    " example:"
                    " duration = '1 s', dt = '0.1 ms'.",
                    at=(name,),
                )
        if (self.dt is None) != (self.presentation is None):
            missing = "dt" if self.dt is None else "presentation"
            raise MissingField(
                f"Protocol.{missing} is missing: give both dt and presentation, or neither for a static network. For"
                " example: dt = '1 ms', presentation = '100 ms'.",
                at=(missing,),
            )
        if self.dt is None or self.presentation is None:
            if self.learning_onset > 0:
                raise Contradiction(
                    f"Protocol.learning_onset needs dt and presentation; got learning_onset = {self.learning_onset:g} s"
                    " alone. For example: dt = '1 ms', presentation = '100 ms'.",
                    at=("learning_onset",),
                )
            if self.blank > 0:
                raise Contradiction(
                    f"Protocol.blank needs dt and presentation; got blank = {self.blank:g} s alone. For example: dt ="
                    " '1 ms', presentation = '100 ms'.",
                    at=("blank",),
                )
            return
        for name in ("presentation", "learning_onset", "blank"):
            _whole_steps(name, getattr(self, name), self.dt)
        if self.learning_onset >= self.presentation:
            raise OutOfRange(
                f"Protocol.learning_onset must be < presentation = {self.presentation:g} s; got {self.learning_onset:g}"
                " s. Nothing would learn. Give an earlier one, or leave it out.",
                at=("learning_onset",),
            )

    def _check_free(self, duration: float) -> None:
        """Refuse what a run without a task does not have, and times that do not fit."""
        if self.dt is None:
            raise MissingField("Protocol.dt is missing: duration needs it. For example: dt = '0.1 ms'.", at=("dt",))
        fields = type(self).model_fields
        for name in sorted(name for name in PRESENTED if getattr(self, name) != fields[name].default):
            raise Contradiction(
                f"Protocol.{name} is of examples that are presented, but with duration time passes without a task."
                f" Leave {name} out, or give presentation in place of duration.",
                at=(name,),
            )
        for name in ("duration", "warm_up"):
            _whole_steps(name, getattr(self, name), self.dt)
        if steps_of(duration, self.dt) < 1:
            raise OutOfRange(
                f"Protocol.duration must last at least one step of dt = {self.dt:g} s; got {duration:g} s.",
                at=("duration",),
            )
        for number, phase in enumerate(self.phases):
            with under("phases", number):
                if phase.duration is None:
                    raise MissingField("Phase.duration is missing: without a task nothing is presented.")
                _whole_steps("phases.duration", phase.duration, self.dt)
        if self.phases and self.phase_ends(1)[-1] != steps_of(duration, self.dt):
            raise OutOfRange(
                f"Protocol.phases must last as long as a trial, duration = {duration:g} s; got"
                f" {sum(phase.duration or 0.0 for phase in self.phases):g} s.",
                at=("phases",),
            )
        if self.warm_up >= duration:
            raise OutOfRange(
                f"Protocol.warm_up must be < duration = {duration:g} s; got {self.warm_up:g} s. Nothing would be"
                " measured.",
                at=("warm_up",),
            )

    @property
    def free(self) -> bool:
        """Whether time passes without a task."""
        return self.duration is not None

    @property
    def warm_up_steps(self) -> int:
        """Steps of a trial that no measure counts."""
        return steps_of(self.warm_up, self.step)

    def phase_ends(self, examples: int) -> list[int]:
        """After how many presentations each phase ends, with so many training examples, or, where time passes without a
        task, after how many steps of a trial; empty where there are none."""
        if self.free:
            return list(itertools.accumulate(steps_of(phase.duration or 0.0, self.step) for phase in self.phases))
        return list(itertools.accumulate(phase.length(examples) for phase in self.phases))

    def training(self, examples: int) -> int:
        """How many presentations the training has, with so many examples."""
        total = self.phase_ends(examples)[-1] if self.phases else self.epochs * examples
        return total if self.presentations is None else min(total, self.presentations)

    @property
    def step(self) -> float:
        """Length of a step in seconds."""
        return STATIC_DT if self.dt is None else self.dt

    @cached_property
    def shown_steps(self) -> int:
        """Steps of a presentation in which its example is shown; of a trial, where time passes without a task."""
        if self.duration is not None:
            return steps_of(self.duration, self.step)
        return 1 if self.dt is None or self.presentation is None else steps_of(self.presentation, self.dt)

    @cached_property
    def steps(self) -> int:
        """Steps per presentation, with the blank after it."""
        return self.shown_steps + steps_of(self.blank, self.step)

    @cached_property
    def onset_steps(self) -> int:
        """Steps of a presentation, or trial, before learning is on."""
        return self.warm_up_steps if self.free else steps_of(self.learning_onset, self.step)

    @cached_property
    def learning_time(self) -> float:
        """T of the plasticity rules: learning time per presentation in seconds; a second where nothing is presented."""
        if self.free:
            return 1.0
        return (self.shown_steps - self.onset_steps) * self.step


def _whole_steps(name: str, time: float, dt: float) -> None:
    steps = time / dt
    if not steps < MOST_STEPS:
        raise OutOfRange(
            f"Protocol.{name} must be fewer than {MOST_STEPS} steps of dt = {dt:g} s; got {time:g} s. Give a larger"
            " dt.",
            at=(name,),
        )
    if abs(steps - round(steps)) > 1e-6 or (name == "presentation" and round(steps) < 1):
        nearest = max(round(steps), 1) * dt
        raise OutOfRange(
            f"Protocol.{name} must be a whole number of steps of dt = {dt:g} s; got {time:g} s. The nearest is"
            f" {nearest:g} s.",
            at=(name,),
        )


def _at_rates(name: str, rates: Mapping[str, float]) -> str:
    """A rule or scheme with its numbers; a decay of 0 is none."""
    return ", ".join(
        [name, *(f"{rate} {value:.4g}" for rate, value in rates.items() if value or not rate.endswith("decay"))]
    )


class ChosenOn(Component):
    """On which seeds, and on which split of their data, numbers of a model were chosen;
    comparisons take other seeds."""

    seeds: tuple[Count, ...]
    split: Literal["training", "validation", "test"]


class Experiment(Component):
    """Network, task, protocol and record under a name; the same description with a seed is an instance.

    Raises:
        ModelError: where circuit, task and protocol do not fit together.
    """

    name: Annotated[Name, Field(examples=["digits"])]
    description: Name = ""
    circuit: CircuitField
    task: Annotated[TaskField | None, Field(examples=[{"name": "digits"}])] = None
    protocol: Protocol = Protocol()
    record: Record = Record()
    measures: tuple[Measure, ...] = ()
    chosen_on: Annotated[ChosenOn | None, Field(examples=[{"seeds": [101, 102, 103], "split": "validation"}])] = None

    def model_post_init(self, context: Any) -> None:
        """Settle what a circuit leaves to the training's length, and check what spans the parts."""
        object.__setattr__(self, "circuit", self.circuit.settled(self._presentations))
        if not self.name.isprintable() or not self.name:
            raise BadName(
                f"Experiment.name must be printable text; got {self.name!r}. For example: name = 'digits'.",
                at=("name",),
            )
        if self.protocol.free:
            self._check_free()
            return
        if self.measures:
            raise Contradiction(
                "Experiment.measures are taken where time passes without a task, and this one presents examples, which"
                " are measured by their error. Leave measures out.",
                at=("measures",),
            )
        task = self.the_task
        with under("task"):
            n_in, n_out = task.sizes()
        for number, population in enumerate(self.network.populations):
            of = getattr(population.neuron, "of", "")
            wanted = {"inputs": n_in, "targets": n_out}.get(of, population.size)
            if population.size != wanted:
                taken = task.columns().get(of if of in task.columns() else "labels", ())
                columns = (
                    f" ({'classes of ' if of == 'targets' and of not in task.columns() else ''}{named(taken)})"
                    if taken
                    else ""
                )
                raise WrongShape(
                    f"population '{population.name}' shows the {of} of {type(task).__name__}, which have {wanted}"
                    f" values{columns}; its size is {population.size}. Give it size {wanted} (in a layered circuit, the"
                    f" {'first' if of == 'inputs' else 'last'} of sizes), or change the task.",
                    at=self._keys_of("populations", number),
                )
            self._check_bins(number, population, of)
        if not self.network.is_static() and self.protocol.dt is None:
            number, stateful = next((n, p) for n, p in enumerate(self.network.populations) if p.neuron.state)
            raise MissingField(
                f"population '{stateful.name}' has the time constant of {type(stateful.neuron).__name__}, so the"
                " protocol needs times. Give protocol.dt and protocol.presentation, such as dt = '1 ms', presentation"
                " = '100 ms'.",
                at=self._keys_of("populations", number),
            )
        self._check_delays()
        self._check_order()
        _ = self.network.readout
        if self.network.measure and not self.protocol.reset:
            measuring = self.network.measure[0].population
            number = next(n for n, p in enumerate(self.network.populations) if p.name == measuring)
            raise Contradiction(
                f"population '{measuring}' measures the error over a presentation, so it has to begin anew with each."
                " Give protocol.reset = true.",
                at=self._keys_of("populations", number),
            )
        self._check_phases()
        for variable in self.record.variables:
            self._check_recorded(variable)

    @property
    def free(self) -> bool:
        """Whether time passes without a task."""
        return self.protocol.free

    @property
    def the_task(self) -> Task:
        """The task.

        Raises:
            MissingField: if there is none.
        """
        if self.task is None:
            raise MissingField(
                'Experiment.task is missing. For example: task = { name = "digits" }. Or let time pass without a task:'
                ' protocol = { duration = "1 s", dt = "0.1 ms" }.',
                at=("task",),
            )
        return self.task

    def _check_free(self) -> None:
        """What must fit together where time passes without a task."""
        if self.task is not None:
            raise Contradiction(
                "Experiment.task presents examples, but with protocol.duration time passes without one. Leave one out.",
                at=("task",),
            )
        network = self.network
        for number, population in enumerate(network.populations):
            if population.neuron.shows is not None:
                raise Contradiction(
                    f"population '{population.name}': {type(population.neuron).__name__} shows what a task presents,"
                    " and there is no task. Use a source such as poisson, current or spikes_from.",
                    at=self._keys_of("populations", number),
                )
        for number, pathway in enumerate(network.pathways):
            at = self._keys_of("pathways", number)
            if pathway.weights.redrawn:
                raise Contradiction(
                    f"pathway '{pathway.name}': its weights are drawn anew for every presentation, but without a task"
                    " nothing is presented. Use weights that are drawn once.",
                    at=at,
                )
        self._check_delays()
        self._check_order()
        self._check_phases()
        self._check_monitors()
        self._check_measures()

    def _check_measures(self) -> None:
        """Declared measures must be there, each once, and one at most must say what is better."""
        labels: list[str] = []
        protocol = self.protocol
        for number, measure in enumerate(self.measures):
            with under("measures", number):
                measure.check(self.network, protocol.step, protocol.shown_steps, protocol.warm_up_steps)
                if measure.label in labels:
                    raise DuplicateName(f"two measures are called '{measure.label}'. Leave one out.")
            labels.append(measure.label)
        ranking = [number for number, measure in enumerate(self.measures) if measure.better is not None]
        if len(ranking) > 1:
            raise Contradiction(
                f"both '{labels[ranking[0]]}' and '{labels[ranking[1]]}' say what is better, and a comparison ranks by"
                " one measure. Leave better out of all but one.",
                at=("measures", ranking[1], "better"),
            )

    def _check_order(self) -> None:
        """Every neuron must know the order of its step."""
        order = self.protocol.order
        for number, population in enumerate(self.network.populations):
            if not population.neuron.steps_in(order):
                raise Unavailable(
                    f"population '{population.name}': {type(population.neuron).__name__} cannot be stepped in the order"
                    f" '{order}'. Leave protocol.order out, or give the neuron as equations.",
                    at=self._keys_of("populations", number),
                )

    def _check_delays(self) -> None:
        """Delays need steps, and must end within the run."""
        dt = self.protocol.dt
        for number, pathway in enumerate(self.network.pathways):
            if pathway.delay.none:
                continue
            at = (*self._keys_of("pathways", number), "delay")
            if dt is None:
                raise MissingField(
                    f"pathway '{pathway.name}': a delay needs protocol.dt, since a network without it has no time. Give"
                    " dt and presentation, or dt and duration.",
                    at=at,
                )
            least = pathway.delay.least
            if pathway.delay.alike:
                pathway.delay.draw(np.random.default_rng(0), 1, dt, "delay")
            for name, time in least.items():
                if time > 0 and steps_of(time, dt) < 1:
                    part = "delay" if time == sum(least.values()) else f"delay.{name}"
                    raise OutOfRange(
                        f"pathway '{pathway.name}': {part} must be 0 or at least half a step of dt = {dt:g} s; got"
                        f" {time:g} s.",
                        at=at,
                    )
            steps = sum(steps_of(time, dt) for time in least.values())
            if steps >= self.protocol.steps * (1 if self.protocol.free else MOST_STEPS):
                raise OutOfRange(
                    f"pathway '{pathway.name}': delay must be shorter than the run, {self.protocol.duration:g} s;"
                    f" got {sum(least.values()):g} s. Nothing would arrive.",
                    at=at,
                )

    def _check_monitors(self) -> None:
        """What is to be recorded must be there."""
        self.record.check_free(self.network, self.protocol.step, self.protocol.shown_steps)

    def check_from(self, done: int) -> None:
        """Refuse to record or measure what ends before a run that continues another one begins.

        Args:
            done: how many steps, all trials together, the other one has made.

        Raises:
            OutOfRange: naming it.
        """
        begin = done % self.protocol.shown_steps * self.protocol.step
        kept: tuple[tuple[Keys, Sequence[Any]], ...] = (
            (("record", "traces"), self.record.traces),
            (("record", "synapses"), self.record.synapses),
            (("measures",), self.measures),
        )
        for path, parts in kept:
            for number, part in enumerate(parts):
                if part.until is not None and part.until <= begin:
                    raise OutOfRange(
                        f"{type(part).__name__}.until = {part.until:g} s is over before this run begins, at {begin:g} s"
                        " of the trial. Leave it out.",
                        at=(*path, number, "until"),
                    )

    @cached_property
    def traced(self) -> tuple[Trace, ...]:
        """What a run without a task looks at in its steps: `record.traces`, then what measures of variables need."""
        needed: dict[tuple[str, range], Trace] = {}
        for measure in (one for one in self.measures if one.variable):
            name, part = measure.neurons(self.network)
            trace = Trace(
                population=name,
                variables=(measure.variable,),
                neurons=tuple(range(part.start, part.stop)),
                every=measure.every,
                start=self.protocol.warm_up if measure.start is None else measure.start,
                until=measure.until,
            )
            needed.setdefault((measure.of, trace.steps(self.protocol.step, self.protocol.shown_steps)), trace)
        return (*self.record.traces, *needed.values())

    def _presentations(self) -> int:
        """How many presentations the training has."""
        if self.protocol.free:
            return self.protocol.trials
        with under("task"):
            examples = self.the_task.training_examples()
        return self.protocol.training(examples)

    def _keys_of(self, *path: str | int) -> Keys:
        """The keys of a model file that lead to a part of the network, as near as it has them."""
        return ("circuit", *self.circuit.keys_of(path))

    def _check_bins(self, number: int, population: Population, of: str) -> None:
        task = self.the_task
        bins, steps = task.bins().get(of, 1), self.protocol.shown_steps
        if of and population.neuron.shows_steps and bins != steps:
            raise WrongShape(
                f"population '{population.name}' shows spikes step by step, so a presentation must have as many steps"
                f" as the {of} of {type(task).__name__} have bins, {bins}; it has {steps}. Change"
                " protocol.presentation or dt, or the task.",
                at=self._keys_of("populations", number),
            )
        if steps % bins:
            raise WrongShape(
                f"the {of} of {type(task).__name__} have {bins} bins, which must divide the {steps} steps of a"
                " presentation. Change protocol.presentation or dt, or the task.",
                at=("protocol", "presentation"),
            )

    def _check_phases(self) -> None:
        for number, phase in enumerate(self.protocol.phases):
            with under("protocol", "phases", number):
                self._check_phase(phase)

    def _check_phase(self, phase: Phase) -> None:
        plastic = [pathway.name for pathway in self.network.plastic()]
        for name in phase.learns or ():
            if name not in plastic:
                raise UnknownName(
                    f"Phase.learns: no plastic pathway is called '{name}'.{suggestion(name, plastic)}", at=("learns",)
                )
        for pathway in self.network.plastic():
            if (
                phase.rate != 1.0
                and pathway.plasticity is not None
                and "learning_rate" not in pathway.plasticity.parameters()
            ):
                raise Contradiction(
                    f"Phase.rate: the rule of pathway '{pathway.name}', {pathway.plasticity.family_name}, has no"
                    " learning_rate. Leave rate out.",
                    at=("rate",),
                )

    def _check_recorded(self, variable: str) -> None:
        names = [str(node) for node in self.network.order]
        if variable not in names:
            raise UnknownName(
                f"Record.variables: nothing is called '{variable}'.{suggestion(variable, names)}",
                at=("record", "variables"),
            )

    @cached_property
    def network(self) -> Network:
        """The circuit, laid out, with durations of whole steps."""
        with under("circuit"):
            network = self.circuit.network()
        if self.protocol.dt is None:
            return network
        try:
            return network.on_grid(self.protocol.dt)
        except ModelError as error:
            error.at = self._keys_of(*error.at)
            raise

    @cached_property
    def rounded_times(self) -> dict[str, str]:
        """Durations of neurons that are no whole number of steps, by place, and what each is simulated as, in words."""
        dt = self.protocol.dt
        if dt is None:
            return {}
        return {
            f"{population.name}.{name}": (
                f"{write(getattr(population.neuron, name), 's')} is simulated as {steps}"
                f" step{'s' if steps != 1 else ''} of {write(dt, 's')}"
            )
            for population in self.circuit.network().populations
            for name, steps in population.neuron.rounded_times(dt).items()
        }

    @property
    def scheme(self) -> str:
        """The learning scheme in use, or 'explicit' for a network given pathway by pathway."""
        return EXPLICIT if (scheme := self.circuit.scheme_class()) is None else scheme.family_name

    def rates_in_use(self) -> dict[str, Any]:
        """What decides how fast it learns: the `rules` in use with their rates, the `scheme_numbers`,
        all of it in one `text`, and where it `departs` from the model's own scheme."""
        rules, numbers = self.network.rules_in_use(), self.circuit.numbers()
        parts = [f"{', '.join(row['pathways'])}: {_at_rates(row['rule'], row['rates'])}" for row in rules]
        parts += [_at_rates(self.scheme, numbers)] if numbers else []
        return {"rules": rules, "scheme_numbers": numbers, "text": "; ".join(parts), "departs": self._departures()}

    def _departures(self) -> list[str]:
        """Where a forward pathway learns otherwise than under the model's own scheme,
        so that more than the feedback differs."""
        own = self.circuit.own_scheme_name()
        if own is None:
            return []
        theirs = {p.name: p for p in self.with_scheme(own).network.pathways}
        groups: dict[str, list[str]] = {}
        for pathway in self.network.pathways:
            before = theirs.get(pathway.name)
            if before is not None and pathway.port == "drive" and before.plasticity != pathway.plasticity:
                here, there = (
                    _at_rates(p.plasticity.family_name, p.plasticity.rates()) if p.plasticity else "does not learn"
                    for p in (pathway, before)
                )
                groups.setdefault(f"{here} (under {own}: {there})", []).append(pathway.name)
        return [f"{', '.join(names)}: {how}" for how, names in groups.items()]

    @cached_property
    def recorded(self) -> tuple[Node, ...]:
        """What is recorded: the readout, measured feedback with its probes, and what `record` names."""
        if self.protocol.free:
            return ()
        nodes = [*self.network.judged, self.network.readout]
        for pathway in self.network.measured_feedback():
            nodes += [Node(pathway.target, "error"), Node(pathway.target, "probe")]
        nodes += [Node(*variable.split(".")) for variable in self.record.variables]
        return tuple(dict.fromkeys(nodes))

    def squares(self, arrays: Mapping[str, np.ndarray], targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Squared error and power of the target of each presentation, `(n,)` each, whose ratio is the NSE.

        Args:
            arrays: what was recorded, `(n, size)` each, by name.
            targets: the targets as the presentations ended, `(n, n_out)`.

        At the end of a presentation, or over the whole of it where the error unit measures that. What is compared is
        what arrives at the ports `prediction` and `target` of the error unit (`Network.answer`, `Network.wanted`).
        """
        network = self.network
        if network.measure:
            distance, power = (arrays[str(node)].sum(axis=1) for node in network.measure)
            return distance, power
        # results of older versions hold the readout only
        answer = arrays.get(str(network.answer), arrays.get(str(network.readout)))
        wanted = targets if network.wanted is None else arrays.get(str(network.wanted), targets)
        return np.sum((wanted - answer) ** 2, axis=1), np.sum(wanted**2, axis=1)

    def with_scheme(self, scheme: str) -> Experiment:
        """The same experiment under another scheme."""
        if self.circuit.scheme_class() is None:
            raise Unavailable(
                f"a scheme is laid along layers, and '{self.name}' is given pathway by pathway. Leave --scheme out, or"
                ' name the populations that are the layers: circuit.layers = ["input", "hidden", "output"].'
            )
        circuit = self.circuit.with_scheme(scheme)
        try:
            return self.replace(circuit=circuit)
        except ModelError as error:
            own = circuit.own_scheme_name()
            if self.circuit.has_settings(scheme) or own is None:
                raise
            raise error.prefixed(
                f"scheme '{scheme}' has no settings here, so its rules are those of the model's own scheme '{own}': "
            ) from None

    def _repr_html_(self) -> str | None:
        return shown(self)
