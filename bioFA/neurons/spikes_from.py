"""Source of given spikes, written in the model or read from a file.

    s = how many of a neuron's spikes lie in the step [n dt, (n + 1) dt)

`spikes` lists neuron and time of each, [[0, "12 ms"], [3, "12.5 ms"]]; or `path` names a file (`tasks/spike_files.py`:
.npy, .npz, NWB, NIX, SONATA). `select` picks neurons of it, which become neurons 0, 1, ... here, else they are those of
the file; `start` is the time in it at which a trial begins. Every trial has the same spikes; with `repeat` they come
again, with `on` only those within the windows.

Time that was not recorded (outside of `obs_intervals` of NWB, of `t_start` to `t_stop` of Neo) is shown as silence, and
noted, as are spikes that no trial shows.

A spike that only rounding keeps from a step's edge is at the edge (`units.bin_of`). One of time t acts, after a delay
d, in the step that begins at t + d, as a spike that a neuron's test found at t does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import ConfigDict, Field

from bioFA.components import Amount, Name
from bioFA.distributions import Quantity, in_si
from bioFA.equations.dimensions import TIME
from bioFA.errors import Contradiction, MissingField, OutOfRange, WrongShape, under
from bioFA.neurons.base import Array, Moment
from bioFA.neurons.free_source import FreeSource
from bioFA.tasks import spike_files
from bioFA.units import as_time, bin_of, rounding, steps_of


class SpikesFrom(FreeSource):
    """Spikes that are given."""

    listed: Annotated[
        tuple[tuple[Amount, Quantity], ...] | None, Field(alias="spikes", examples=[[[0, "12 ms"], [3, "12.5 ms"]]])
    ] = None
    path: Annotated[Name | None, Field(examples=["spikes.npz"])] = None
    group: Name | None = None
    select: tuple[Amount, ...] | None = None
    start: Quantity = 0.0

    model_config = ConfigDict(populate_by_name=True)

    publishes: ClassVar[tuple[str, ...]] = ("s",)
    events: ClassVar[tuple[str, ...]] = ("s",)
    sends: ClassVar[str] = "s"
    spike_signals: ClassVar[tuple[str, ...]] = ("s",)
    handed: ClassVar[Literal["", "course", "trains"]] = "trains"

    def model_post_init(self, context: Any) -> None:
        """Refuse spikes of two places, or none."""
        super().model_post_init(context)
        if (self.listed is None) == (self.path is None):
            raise MissingField(
                "SpikesFrom needs spikes or path, and not both. For example: spikes = [[0, '12 ms']], or path ="
                " 'spikes.npz'."
            )
        if self.path is None and self.group is not None:
            raise Contradiction("SpikesFrom.group belongs to a path. Leave it out.", at=("group",))
        if self.select is not None and len(set(self.select)) < len(self.select):
            raise Contradiction("SpikesFrom.select names a neuron twice. Name it once.", at=("select",))
        _ = (self.begin, self._listed())

    @property
    def begin(self) -> float:
        """The time of the spikes at which a trial begins, in seconds."""
        with under("start"):
            return in_si(self.start, TIME, "start")

    def _listed(self) -> spike_files.Spikes:
        """The spikes written in the model."""
        spikes = self.listed or ()
        with under("spikes"):
            times = np.array([in_si(time, TIME, f"spikes[{number}]") for number, (_, time) in enumerate(spikes)])
        neurons = np.array([neuron for neuron, _ in spikes], dtype=np.int64)
        return spike_files.Spikes(neurons, times.astype(float), int(neurons.max(initial=-1)) + 1)

    def trains(self, size: int, dt: float, steps: int) -> tuple[Array, Array]:
        """Step and neuron of every spike of a trial, `(n_spikes,)` each, by step, then neuron.

        Raises:
            FileError: if there is no such file, or it holds something else.
            WrongShape: if the spikes are of more neurons than there are.
        """
        found = self._found()
        neurons, times, count = found.neurons, found.times, found.size
        if count > size:
            raise WrongShape(
                f"SpikesFrom has spikes of {count} neurons; the population has {size}. Give it a size of {count}, or"
                " name some of them: select = [...]."
            )
        at = bin_of(times, self.begin, dt, found.precision).astype(np.int64)
        neurons, at = neurons[at >= 0], at[at >= 0]
        if self.period is not None:
            length = steps_of(self.period, dt)
            self.folded(dt, 0, 1)
            neurons, at = neurons[at < length], at[at < length]
            rounds = -(-steps // length)
            at = (at + length * np.arange(rounds)[:, np.newaxis]).ravel()
            neurons = np.tile(neurons, rounds)
            kept = (at < steps) & self.gate(at % length, dt)
        else:
            kept = (at < steps) & self.gate(at, dt)
        order = np.lexsort((neurons[kept], at[kept]))
        return at[kept][order], neurons[kept][order].astype(np.int32)

    def notes(self, dt: float, steps: int, constants: Mapping[str, Array]) -> tuple[str, ...]:
        """What those of other sources say, spikes before and after what a trial shows, several of a neuron in a step,
        and neurons that were not recorded in all of it."""
        found = self._found()
        length = steps if self.period is None else min(steps, steps_of(self.period, dt))
        at = bin_of(found.times, self.begin, dt, found.precision)
        outside = int(((at < 0) | (at >= length)).sum())
        stop = self.begin + length * dt
        near = float(rounding(stop, dt))
        lacking = [
            neuron
            for neuron, intervals in enumerate(found.recorded)
            if not ((intervals[:, 0] <= self.begin + near) & (intervals[:, 1] >= stop - near)).any()
        ]
        window = f"{as_time(self.begin)} to {as_time(stop)}"
        notes = list(super().notes(dt, steps, constants))
        known_to = float(rounding(np.abs(found.times).max(initial=0.0), dt, found.precision))
        if known_to > dt / 4:
            notes.append(
                f"times are known to {known_to:.2g} s only, so the step of {as_time(dt)} that a spike is in is not:"
                " write them as float64, or give a longer dt"
            )
        if outside:
            all_of_them = "; are their times in seconds?" if outside == len(at) else ""
            notes.append(f"{outside} of {len(at)} spikes are not shown, for a trial shows {window}{all_of_them}")
        shown = (at >= 0) & (at < length)
        several = int(shown.sum()) - len(np.unique(at[shown] * max(found.size, 1) + found.neurons[shown]))
        if several:
            notes.append(
                f"{several} of {len(at)} spikes are in a step of {as_time(dt)} in which their neuron spikes already:"
                " they reach its targets, but spikes that are recorded and measured are one a step; a shorter dt parts"
                " them"
            )
        if lacking:
            known = ", ".join(f"{as_time(low)} to {as_time(high)}" for low, high in found.recorded[lacking[0]][:3])
            notes.append(
                f"{len(lacking)} of {found.size} neurons were not recorded in all of {window}, and are shown as silent"
                f" where they were not: neuron {lacking[0]} was recorded from {known or 'no time'}"
            )
        return tuple(notes)

    def _found(self) -> spike_files.Spikes:
        """The spikes of the model or the file, of the selected neurons."""
        found = self._listed() if self.path is None else spike_files.read(self.path, self.group, "SpikesFrom.path")
        return found if self.select is None else self._selected(found)

    def _selected(self, found: spike_files.Spikes) -> spike_files.Spikes:
        """The spikes of some neurons, which count from 0 in the order of `select`."""
        assert self.select is not None
        beyond = [neuron for neuron in self.select if neuron >= found.size]
        if beyond and found.named:
            raise OutOfRange(
                f"SpikesFrom.select: {self.path!r} has the neurons 0 to {found.size - 1}; got {beyond[0]}.",
                at=("select",),
            )
        place = np.full(max(found.size, *self.select, 0) + 1, -1)
        place[list(self.select)] = np.arange(len(self.select))
        kept = place[found.neurons] >= 0
        recorded = tuple(found.recorded[neuron] for neuron in self.select) if found.recorded else ()
        return spike_files.Spikes(
            place[found.neurons[kept]], found.times[kept], len(self.select), found.named, recorded, found.precision
        )

    def course(self, dt: float, start: int, stop: int) -> None:  # type: ignore[override]
        """It has spikes, and no course."""
        return None

    def published(self, variable: str, needs: Any, moment: Moment) -> Array:
        """How often each neuron spikes in this step."""
        return np.array(np.broadcast_to(moment.shown, moment.size), dtype=float)

    def expressions(self) -> dict[str, str]:
        """Nothing is computed: spikes are listed."""
        return {}
