"""What the sources have in common that need no task: windows in which they are on, tables in time, repetition.

All times count from the beginning of a trial (of a presentation, where a task presents examples), and are rounded to
whole steps (`units.steps_of`). A source shows in step n what its course says of the time n dt.

    on = [["100 ms", "300 ms"]]                     on from 100 ms to before 300 ms; else it sends nothing
    values = [["0 ms", "0 pA"], ["50 ms", "1 nA"]]  from each time on this value; before the first, 0
    repeat = "1 s"                                  windows and table begin again every second
    frozen = true                                   the same random numbers in every trial
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, Strict

from bioFA.distributions import Distribution, Measures, Quantity, in_si
from bioFA.equations.dimensions import TIME, Dimension
from bioFA.errors import MissingField, OutOfRange, under
from bioFA.neurons.base import Array, Moment, NeuronModel
from bioFA.units import as_time, steps_of

Table = tuple[tuple[Quantity, Quantity], ...]
"""Times and what holds from each on."""
OFF_GRID = 1e-6
"""A time that is further from a whole number of steps, in steps, is none."""


class FreeSource(NeuronModel):
    """Base of the sources that need no task."""

    on: Annotated[Table, Field(examples=[[["100 ms", "300 ms"]]])] = ()
    repeat: Annotated[Quantity | None, Field(examples=["1 s"])] = None
    frozen: Annotated[bool, Strict()] = False

    family_name: ClassVar[str] = ""
    named_draws: ClassVar[bool] = True
    handed: ClassVar[Literal["", "course", "trains"]] = "course"

    def model_post_init(self, context: Any) -> None:
        """Refuse windows that are none, and parameters that measure something else."""
        period = self.period
        if period is not None and not period > 0:
            raise OutOfRange(f"{type(self).__name__}.repeat must be > 0 s; got {period:g} s.", at=("repeat",))
        for number, (start, stop) in enumerate(self.windows):
            if not 0 <= start < stop:
                raise OutOfRange(
                    f"{type(self).__name__}.on[{number}] must be a window [from, to) with 0 <= from < to; got"
                    f" [{start:g} s, {stop:g} s).",
                    at=("on", number),
                )
            self._check_within(stop, f"on[{number}]", ("on", number))
        for name, part in Measures.fields(type(self)).items():
            with under(name):
                part.check(getattr(self, name), f"{type(self).__name__}.{name}")

    def _check_within(self, time: float, place: str, at: tuple[str | int, ...]) -> None:
        if self.period is not None and time > self.period:
            raise OutOfRange(
                f"{type(self).__name__}.{place} ends at {time:g} s, but everything repeats after {self.period:g} s."
                " Give an earlier end, or a longer repeat.",
                at=at,
            )

    @property
    def windows(self) -> list[tuple[float, float]]:
        """When it is on, in seconds; empty where it always is."""
        with under("on"):
            return [
                (in_si(start, TIME, f"on[{number}]"), in_si(stop, TIME, f"on[{number}]"))
                for number, (start, stop) in enumerate(self.on)
            ]

    @property
    def period(self) -> float | None:
        """After how long it begins again, in seconds."""
        with under("repeat"):
            return None if self.repeat is None else in_si(self.repeat, TIME, "repeat")

    def notes(self, dt: float, steps: int, constants: Mapping[str, Array]) -> tuple[str, ...]:
        """Windows in which it is never on, and times that are no whole number of steps."""
        found = []
        for number, (start, stop) in enumerate(self.windows):
            first, last = steps_of(start, dt), steps_of(stop, dt)
            window = f"on[{number}], {as_time(start)} to {as_time(stop)},"
            if first >= last:
                found.append(f"{window} is shorter than a step of {as_time(dt)}, and shows nothing")
            elif first >= steps:
                found.append(f"{window} begins after the end of a trial, and shows nothing")
            elif max(abs(start / dt - first), abs(stop / dt - last)) > OFF_GRID:
                found.append(f"{window} is simulated as {as_time(first * dt)} to {as_time(last * dt)}")
        if self.period is not None and abs(self.period / dt - steps_of(self.period, dt)) > OFF_GRID:
            found.append(f"repeat, {as_time(self.period)}, is simulated as {as_time(steps_of(self.period, dt) * dt)}")
        return tuple(found)

    def own_parameters(self) -> Mapping[str, tuple[Distribution, Dimension]]:
        """The parameters, each a distribution over neurons, and their dimensions."""
        return {name: (getattr(self, name), part.dimension) for name, part in Measures.fields(type(self)).items()}

    def course(self, dt: float, start: int, stop: int) -> Array:
        """What it shows in the steps from `start` to before `stop` of a trial, `(stop - start,)`: 1, and 0 while it is
        not on."""
        return self.gate(self.folded(dt, start, stop), dt).astype(float)

    def folded(self, dt: float, start: int, stop: int) -> Array:
        """The steps of a trial, each counted from where its repetition begins."""
        steps = np.arange(start, stop)
        if self.period is None:
            return steps
        length = steps_of(self.period, dt)
        if length < 1:
            raise OutOfRange(
                f"{type(self).__name__}.repeat must last at least one step of dt = {dt:g} s; got {self.period:g} s.",
                at=("repeat",),
            )
        return steps % length

    def gate(self, steps: Array, dt: float) -> Array:
        """Whether it is on in steps, by their number."""
        if not self.windows:
            return np.ones(len(steps), dtype=bool)
        found = np.zeros(len(steps), dtype=bool)
        for start, stop in self.windows:
            found |= (steps >= steps_of(start, dt)) & (steps < steps_of(stop, dt))
        return found

    def table_times(self, table: Table, name: str) -> list[float]:
        """The times of a table in seconds.

        Raises:
            ModelError: if there are none, they do not ascend, or one is no time.
        """
        if not table:
            raise MissingField(f"{type(self).__name__}.{name} is empty. Give [[time, value], ...].", at=(name,))
        with under(name):
            times = [in_si(time, TIME, f"{name}[{number}]") for number, (time, _) in enumerate(table)]
        for number, (before, after) in enumerate(itertools.pairwise([-math.inf, *times])):
            if after < 0 or not after > before:
                raise OutOfRange(
                    f"{type(self).__name__}.{name}[{number}]: times must be >= 0 s and ascend; got {after:g} s"
                    f"{f' after {before:g} s' if number else ''}.",
                    at=(name, number),
                )
        self._check_within(times[-1], name, (name, len(times) - 1))
        return times

    def in_table(
        self,
        steps: Array,
        dt: float,
        times: Sequence[float],
        values: Sequence[float],
        shape: Literal["steps", "linear"],
    ) -> Array:
        """What a table says of steps, by their number: from each time on its value, or between two times what lies on
        the line; 0 before the first, the last value after the last."""
        at = np.array([steps_of(time, dt) for time in times])
        where = np.searchsorted(at, steps, side="right") - 1
        if shape == "steps":
            found = np.asarray(values, dtype=float)[np.maximum(where, 0)]
        else:
            found = np.interp(steps * dt, times, values)
        return np.where(where < 0, 0.0, found)

    def numbers_of(self, trial: int) -> int:
        """Which trial's random numbers it has in a trial: the first one's, where they are frozen."""
        return 0 if self.frozen else trial

    @classmethod
    def needs(cls, variable: str) -> tuple[str, ...]:
        """Nothing that is computed within the step."""
        return ()

    def published(self, variable: str, needs: Mapping[str, Any], moment: Moment) -> Array:
        """What it sends in a step."""
        raise NotImplementedError
