"""A declared measure: one number, or one a neuron, of what a population does in a part of a run."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge, Gt
from pydantic import ConfigDict, Field

from bioFA.components import Component, Name, Number
from bioFA.equations.dimensions import describe
from bioFA.errors import Contradiction, OutOfRange, UnknownName, suggestion
from bioFA.network import Network, sliced
from bioFA.units import Unit, as_time, steps_of

OF_SPIKES = ("rate", "cv", "fano", "synchrony", "peak", "active")
"""Measures of the spikes of a population, or of some of its neurons."""
OF_VARIABLES = ("mean", "std", "min", "max")
"""Measures of a variable."""
OF_A_NEURON = ("rate", "cv", "fano", *OF_VARIABLES)
"""Measures that each neuron has."""
UNITS = {"rate": "hertz", "peak": "hertz"}


class Measure(Component):
    """What is measured of a population, from the streamed activity of a run.

    Of the spikes of a population (`of = "e"`) or of some of its neurons (`of = "e[0:80]"`): `rate` (Hz), `cv` of the
    intervals, `fano` factor of the counts, `synchrony`, the frequency of the spectrum's `peak` (Hz), and the share of
    neurons that are `active`, each as `bioFA.analysis.population_activity` has it. Of a variable (`of = "e.v"` or
    `"e[0:80].v"`), as each step began, every `every` seconds: `mean`, `std` (the standard deviation over time of a
    neuron), `min` and `max`, in SI.

    `per` population it is one number: the mean over neurons of `rate`, `cv`, `fano`, `mean` and `std`, the least `min`,
    the greatest `max`. `per` neuron it is one number of each, and in a comparison their mean. `from` (the end of the
    warm-up, where left out) and `until` (the end) are times of a trial; all trials count. Where one measure is `better`
    for being lower or higher, comparisons rank by it.

    Raises:
        ModelError: where name, what it is of, and per do not fit together.
    """

    name: Literal["rate", "cv", "fano", "synchrony", "peak", "active", "mean", "std", "min", "max"]
    of: Annotated[Name, Field(examples=["exc"])]
    per: Literal["population", "neuron"] = "population"
    every: Annotated[Number, Unit("s"), Gt(0)] | None = None
    start: Annotated[Annotated[Number, Unit("s"), Ge(0)] | None, Field(alias="from")] = None
    until: Annotated[Number, Unit("s"), Gt(0)] | None = None
    better: Literal["lower", "higher"] | None = None

    model_config = ConfigDict(populate_by_name=True)

    def model_post_init(self, context: object) -> None:
        """Refuse what does not fit together."""
        if self.name in OF_VARIABLES and not self.variable:
            raise Contradiction(
                f"Measure.of: {self.name} is of a variable; got '{self.of}'. For example: of = '{self.of}.v'.",
                at=("of",),
            )
        if self.name in OF_SPIKES and self.variable:
            raise Contradiction(
                f"Measure.of: {self.name} is of the spikes of a population; got '{self.of}'. Give of = '{self.part}',"
                f" or one of {', '.join(OF_VARIABLES)}, which are of variables.",
                at=("of",),
            )
        if self.per == "neuron" and self.name not in OF_A_NEURON:
            raise Contradiction(
                f"Measure.per: {self.name} is of a population as a whole. Leave per out, or measure one of"
                f" {', '.join(OF_A_NEURON)}.",
                at=("per",),
            )
        if self.every is not None and self.name in OF_SPIKES:
            raise Contradiction(f"Measure.every: {self.name} counts every spike. Leave every out.", at=("every",))

    @property
    def part(self) -> str:
        """The population, or the part of one, as it is written."""
        return self.of.partition(".")[0]

    @property
    def variable(self) -> str:
        """The variable, or nothing where it is of spikes."""
        return self.of.partition(".")[2]

    @property
    def label(self) -> str:
        """What it is called in tables, such as `exc[0:80].rate` or `exc.v.mean per neuron from 0.1 s until 0.2 s`."""
        return " ".join([
            f"{self.of}.{self.name}",
            *(["per neuron"] if self.per == "neuron" else []),
            *([] if self.start is None else [f"from {as_time(self.start)}"]),
            *([] if self.until is None else [f"until {as_time(self.until)}"]),
        ])

    def neurons(self, network: Network) -> tuple[str, slice]:
        """The population, and which of its neurons."""
        return sliced(self.part, network.population_sizes(), ("of",))

    def unit(self, network: Network) -> str:
        """The SI unit of its value, `1` for a plain number."""
        if not self.variable:
            return UNITS.get(self.name, "1")
        return describe(network.population(self.neurons(network)[0]).neuron.dimension_of(self.variable))

    def steps(self, dt: float, length: int, warm_up: int) -> range:
        """The steps of a trial that count, from the warm-up's end where `start` is left out."""
        return range(
            warm_up if self.start is None else steps_of(self.start, dt),
            length if self.until is None else steps_of(self.until, dt),
            1 if self.every is None else max(steps_of(self.every, dt), 1),
        )

    def check(self, network: Network, dt: float, length: int, warm_up: int) -> None:
        """Refuse what is not there, and times that do not fit.

        Args:
            network: on which it is measured.
            dt: length of a step in seconds.
            length: steps of a trial.
            warm_up: steps of a trial that nothing counts.

        Raises:
            ModelError: with what there is.
        """
        name, _ = self.neurons(network)
        population = network.population(name)
        if self.variable:
            known = tuple(
                dict.fromkeys((*population.neuron.publishes, *population.neuron.state, *population.neuron.ports))
            )
            if self.variable not in known:
                raise UnknownName(
                    f"Measure.of: '{name}' has no variable '{self.variable}'.{suggestion(self.variable, known)}",
                    at=("of",),
                )
        elif name not in (spiking := [one.name for one in network.spiking()]):
            raise UnknownName(f"Measure.of: '{name}' publishes no spikes.{suggestion(name, spiking)}", at=("of",))
        for field, time in (("every", self.every), ("from", self.start), ("until", self.until)):
            if time is not None and abs(time / dt - round(time / dt)) > 1e-6:
                raise OutOfRange(
                    f"Measure.{field} must be a whole number of steps of dt = {dt:g} s; got {time:g} s. The nearest is"
                    f" {max(round(time / dt), 1) * dt:g} s.",
                    at=(field,),
                )
        first, last = warm_up * dt, length * dt
        counted = self.steps(dt, length, warm_up)
        if not warm_up <= counted.start < counted.stop <= length:
            raise OutOfRange(
                f"Measure.from and until must be warm_up = {first:g} s <= from < until <= {last:g} s; got"
                f" {counted.start * dt:g} s and {counted.stop * dt:g} s.",
                at=("from" if self.start is not None else "until",),
            )
