"""Source of independent Poisson spikes, at a rate that is a number, differs between neurons, or changes in time.

    s = 1 with probability rate dt in each step, else 0; the chance of a step is at most 1

`rate` is a quantity or a distribution over neurons; or `rates` a table in time, [["0 ms", "5 Hz"], ["1 s", "20 Hz"]],
each rate from its time on. All targets of a neuron receive the same train; a train for each target is the
`background` of a population. In the limit of small dt the spikes are a Poisson process.

Source: Dayan & Abbott (2001), Theoretical neuroscience, section 1.4 (one Bernoulli draw a step).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import ConfigDict, Field

from bioFA.distributions import Constant, Distributed, Distribution, Measures, in_si
from bioFA.equations.dimensions import FREQUENCY, Dimension
from bioFA.errors import Contradiction, OutOfRange, under
from bioFA.neurons.base import Array, Moment
from bioFA.neurons.free_source import FreeSource, Table
from bioFA.units import as_time

ONE_HZ = Constant(value=1.0)


class Poisson(FreeSource):
    """Spikes by chance."""

    rate: Annotated[Distributed, Measures("hertz", least=0), Field(examples=["8 Hz"])] = Constant(value="10 Hz")
    rate_table: Annotated[Table, Field(alias="rates", examples=[[["0 ms", "5 Hz"], ["500 ms", "20 Hz"]]])] = ()

    model_config = ConfigDict(populate_by_name=True)

    publishes: ClassVar[tuple[str, ...]] = ("s",)
    events: ClassVar[tuple[str, ...]] = ("s",)
    sends: ClassVar[str] = "s"
    spike_signals: ClassVar[tuple[str, ...]] = ("s",)
    draws: ClassVar[tuple[str, ...]] = ("rand_0",)

    def model_post_init(self, context: Any) -> None:
        """Refuse two rates, and a negative one."""
        super().model_post_init(context)
        if self.rate_table and "rate" in self.model_fields_set:
            raise Contradiction("Poisson has a rate and a table of rates. Leave one out.", at=("rates",))
        if self.rate_table:
            self.table_times(self.rate_table, "rates")
        for number, rate in enumerate(self.rates_in_si):
            if rate < 0:
                raise OutOfRange(f"Poisson.rates[{number}] must be >= 0 Hz; got {rate:g} Hz.", at=("rates", number))

    @property
    def rates_in_si(self) -> list[float]:
        """The rates of the table in Hz."""
        with under("rates"):
            return [in_si(rate, FREQUENCY, f"rates[{number}]") for number, (_, rate) in enumerate(self.rate_table)]

    def own_parameters(self) -> Mapping[str, tuple[Distribution, Dimension]]:
        """The rate of each neuron; 1 Hz where a table, whose course then counts in Hz, says it."""
        return {"rate": (ONE_HZ if self.rate_table else self.rate, FREQUENCY)}

    def notes(self, dt: float, steps: int, constants: Mapping[str, Array]) -> tuple[str, ...]:
        """What those of other sources say, and a rate of more than one spike a step, which is not reached."""
        found = super().notes(dt, steps, constants)
        largest = max(self.rates_in_si, default=0.0) if self.rate_table else float(constants["rate"].max())
        if largest * dt <= 1:
            return found
        return (
            *found,
            f"a rate of {largest:g} Hz would be {largest * dt:.3g} spikes in each step of {as_time(dt)}; one at most is"
            f" sent, {1 / dt:g} Hz: give a shorter dt",
        )

    def course(self, dt: float, start: int, stop: int) -> Array:
        """The share of its rate in each step: 1, or 0 while it is not on; with a table the rate in Hz."""
        steps = self.folded(dt, start, stop)
        gate = self.gate(steps, dt).astype(float)
        if not self.rate_table:
            return gate
        return gate * self.in_table(steps, dt, self.table_times(self.rate_table, "rates"), self.rates_in_si, "steps")

    def published(self, variable: str, needs: Mapping[str, Any], moment: Moment) -> Array:
        """1 where the number of this step is below rate dt."""
        chance = moment.constants["rate"] * moment.shown * moment.dt
        spikes: Array = (moment.numbers["rand_0"] < chance).astype(float)
        return spikes

    def expressions(self) -> dict[str, str]:
        """Brian2's reading of the published variables."""
        return {"s": "1.0*int(rand_0 < rate*course*step_length)"}

    def run_constants(self) -> dict[str, bool]:
        """Rate and step."""
        return {"rate": self.own_parameters()["rate"][0].alike, "step_length": True}

    def run_values(self, moment: Moment) -> dict[str, Array]:
        """Their values."""
        return {"rate": moment.constants["rate"], "step_length": np.array([moment.dt])}
