"""What a run keeps: variables of presentations, spikes, traces, rates in bins, and weights and dynamics in time."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Gt
from pydantic import ConfigDict, Field

from bioFA.components import Amount, Component, Count, Name, Number
from bioFA.distributions import Quantity, in_si
from bioFA.errors import Contradiction, DuplicateName, OutOfRange, UnknownName, suggestion, under
from bioFA.network import Network, sliced
from bioFA.units import Unit, steps_of

MOST_BINS = 10_000
"""A histogram has at most so many bins."""


class Trace(Component):
    """Variables of some neurons, kept every so often: what each was as its step began, in SI.

    `variables` are published variables, states and ports of `population`, none meaning all that its text defines;
    `neurons` are numbers from 0, the first ones where left out. Steps from `start` to before `until` are kept, every
    `every` seconds.
    """

    population: Annotated[Name, Field(examples=["exc"])]
    variables: Annotated[tuple[Name, ...], Field(examples=[["v"]])]
    neurons: tuple[Amount, ...] = (0,)
    every: Annotated[Number, Unit("s"), Gt(0)] | None = None
    start: Annotated[Number, Unit("s"), Ge(0), Field(alias="from")] = 0.0
    until: Annotated[Number, Unit("s"), Gt(0)] | None = None

    model_config = ConfigDict(populate_by_name=True)

    def model_post_init(self, context: object) -> None:
        """Refuse no neurons, and a variable that is named twice."""
        if not self.neurons:
            raise Contradiction("Trace.neurons is empty, so nothing is kept. Leave it out.", at=("neurons",))
        _check_once("Trace", self.variables)

    def steps(self, dt: float, length: int) -> range:
        """The steps of a trial of so many that are kept."""
        return _steps(self.start, self.until, self.every, dt, length)

    def check(self, network: Network, dt: float, length: int) -> None:
        """Refuse what is not there, and times that do not fit a trial of so many steps.

        Raises:
            ModelError: naming what there is.
        """
        names = [population.name for population in network.populations]
        if self.population not in names:
            raise UnknownName(
                f"Trace.population: nothing is called '{self.population}'.{suggestion(self.population, names)}",
                at=("population",),
            )
        population = network.population(self.population)
        known = tuple(dict.fromkeys((*population.neuron.publishes, *population.neuron.state, *population.neuron.ports)))
        for variable in self.variables:
            if variable not in known:
                raise UnknownName(
                    f"Trace.variables: '{self.population}' has no variable '{variable}'.{suggestion(variable, known)}",
                    at=("variables",),
                )
        for neuron in self.neurons:
            if neuron >= population.size:
                raise OutOfRange(
                    f"Trace.neurons: '{self.population}' has the neurons 0 to {population.size - 1}; got {neuron}.",
                    at=("neurons",),
                )
        _check_times("Trace", self.start, self.until, self.every, dt, length)


class Rates(Component):
    """The rate of every spiking population in bins of this width."""

    bin: Annotated[Number, Unit("s"), Gt(0)] = 1e-3


class Histogram(Component):
    """In place of every weight, how many lie in each of `bins` between `low` and `high`, in the unit of the weights.

    A bin holds its lower edge, the last one both; what lies outside is counted in the outermost bins.
    """

    bins: Annotated[Count, Field(examples=[40])]
    low: Annotated[Quantity, Field(examples=["0 nS"])]
    high: Annotated[Quantity, Field(examples=["1 nS"])]


class SynapseTrace(Component):
    """Synapses in time, of a pathway that learns or has `dynamics`: what each was as its step began, in SI.

    `variables` are the weight `w` and the traces of the pathway's rule where it learns, or what its dynamics keep: `x`,
    `u` and the like, what a presynaptic spike would find in that step. All synapses are kept, or those of the
    presynaptic neurons `pre`, those of `pairs` of a presynaptic and a postsynaptic neuron, or a `sample` of so many,
    evenly over them in their order (listed ones by presynaptic neuron, those of a matrix by postsynaptic neuron). Steps
    from `start` to before `until` are kept, every `every` seconds. With `histogram`, only how many weights lie in each
    bin is kept.
    """

    pathway: Annotated[Name, Field(examples=["exc_to_out"])]
    variables: tuple[Name, ...] = ("w",)
    pre: tuple[Amount, ...] | None = None
    pairs: tuple[tuple[Amount, Amount], ...] | None = None
    sample: Count | None = None
    every: Annotated[Number, Unit("s"), Gt(0), Field(examples=["100 ms"])]
    start: Annotated[Number, Unit("s"), Ge(0), Field(alias="from")] = 0.0
    until: Annotated[Number, Unit("s"), Gt(0)] | None = None
    histogram: Histogram | None = None

    model_config = ConfigDict(populate_by_name=True)

    def model_post_init(self, context: object) -> None:
        """Refuse what does not fit together."""
        ways = [name for name in ("pre", "pairs", "sample") if getattr(self, name) is not None]
        if len(ways) > 1:
            raise Contradiction(f"SynapseTrace: got both {ways[0]} and {ways[1]}. Leave one out.", at=(ways[1],))
        for empty in (name for name in ("pre", "pairs", "variables") if getattr(self, name) == ()):
            raise Contradiction(f"SynapseTrace.{empty} is empty, so nothing is kept. Leave it out.", at=(empty,))
        _check_once("SynapseTrace", self.variables)
        if self.histogram is not None and self.variables != ("w",):
            raise Contradiction(
                "SynapseTrace.histogram counts weights, variables = ['w']. Leave variables out.", at=("variables",)
            )

    def steps(self, dt: float, length: int) -> range:
        """The steps of a trial of so many that are kept."""
        return _steps(self.start, self.until, self.every, dt, length)

    def edges(self, network: Network) -> tuple[float, float, int]:
        """The lowest and the highest edge of the histogram, in SI, and how many bins lie between.

        Raises:
            ModelError: if the unit is not that of the weights, or the bins do not fit.
        """
        assert self.histogram is not None
        dimension, place = network.weight_dimension(network.pathway(self.pathway)), "Histogram"
        low, high = (in_si(getattr(self.histogram, end), dimension, f"{place}.{end}") for end in ("low", "high"))
        if not low < high:
            raise OutOfRange(f"Histogram.low must be < high = {high:g}; got {low:g}.", at=("low",))
        if self.histogram.bins > MOST_BINS:
            raise OutOfRange(f"Histogram.bins must be <= {MOST_BINS}; got {self.histogram.bins}.", at=("bins",))
        return low, high, self.histogram.bins

    def check(self, network: Network, dt: float, length: int) -> None:
        """Refuse what is not there, and times that do not fit a trial of so many steps.

        Raises:
            ModelError: naming what there is.
        """
        names = [pathway.name for pathway in network.pathways]
        plastic = [pathway.name for pathway in network.plastic()]
        moving = [pathway.name for pathway in network.pathways if pathway.dynamics is not None]
        if self.pathway not in names:
            raise UnknownName(
                f"SynapseTrace.pathway: no pathway is called '{self.pathway}'."
                f"{suggestion(self.pathway, [*plastic, *moving])}",
                at=("pathway",),
            )
        if self.pathway not in (*plastic, *moving):
            those = f"Those that learn: {', '.join(plastic)}." if plastic else "None learns here."
            those += f" With dynamics: {', '.join(moving)}." if moving else ""
            raise UnknownName(
                f"SynapseTrace.pathway: '{self.pathway}' does not learn and has no dynamics, so its weights are those"
                f" that it begins with. {those}",
                at=("pathway",),
            )
        pathway = network.pathway(self.pathway)
        known = ("w", *pathway.traces()) if pathway.dynamics is None else tuple(pathway.dynamics.keeps)
        if pathway.dynamics is not None and "w" in self.variables:
            raise UnknownName(
                f"SynapseTrace.variables: '{self.pathway}' has dynamics and does not learn, so each 'w' is the one that"
                f" it begins with. Say which of {', '.join(known)}, such as variables = ['x', 'u'].",
                at=("variables",),
            )
        for variable in self.variables:
            if variable not in known:
                raise UnknownName(
                    f"SynapseTrace.variables: synapses of '{self.pathway}' have no '{variable}'."
                    f"{suggestion(variable, known)}",
                    at=("variables",),
                )
        sizes = network.shape(pathway)[::-1]
        for number, neuron in enumerate(self.pre or ()):
            if neuron >= sizes[0]:
                raise OutOfRange(
                    f"SynapseTrace.pre: '{pathway.source}' has the neurons 0 to {sizes[0] - 1}; got {neuron}.",
                    at=("pre", number),
                )
        for number, pair in enumerate(self.pairs or ()):
            for neuron, size, end in zip(pair, sizes, (pathway.source, pathway.target), strict=True):
                if neuron >= size:
                    raise OutOfRange(
                        f"SynapseTrace.pairs: '{end}' has the neurons 0 to {size - 1}; got {neuron}.",
                        at=("pairs", number),
                    )
        _check_times("SynapseTrace", self.start, self.until, self.every, dt, length)
        if self.histogram is not None:
            with under("histogram"):
                self.edges(network)


class Record(Component):
    """What a run keeps.

    Of presented examples: `variables`, names such as `hidden.r`, taken at the last step of the presentations 0,
    `every`, 2 `every`, ..., beside the network's own measurements. Where time passes without a task: the `spikes` of
    populations or of slices of them, `exc[0:80]`, all of every spiking population where left out; `traces` of
    chosen variables and neurons; `synapses`, weights and short-term dynamics in time; and `rates` in bins. All of it is
    written while the run goes on, so that memory does not grow with it.
    """

    variables: tuple[Name, ...] = ()
    every: Count = 1
    spikes: tuple[Name, ...] | None = None
    traces: tuple[Trace, ...] = ()
    synapses: tuple[SynapseTrace, ...] = ()
    rate_bins: Annotated[Rates | None, Field(alias="rates")] = None

    model_config = ConfigDict(populate_by_name=True)

    def check_free(self, network: Network, dt: float, length: int) -> None:
        """Refuse what is not there to be recorded in a run in which time passes, in trials of so many steps.

        Raises:
            ModelError: naming what there is.
        """
        spiking = [population.name for population in network.spiking()]
        for number, text in enumerate(self.spikes or ()):
            name, _ = sliced(text, network.population_sizes(), ("record", "spikes", number))
            if name not in spiking:
                raise UnknownName(
                    f"Record.spikes: '{name}' publishes no spikes.{suggestion(name, spiking)}",
                    at=("record", "spikes", number),
                )
        for place in ("traces", "synapses"):
            for number, kept in enumerate(getattr(self, place)):
                with under("record", place, number):
                    kept.check(network, dt, length)


def _check_once(where: str, variables: tuple[str, ...]) -> None:
    """Refuse a variable that is named twice.

    Raises:
        DuplicateName: if one is.
    """
    if twice := next((name for name in variables if variables.count(name) > 1), None):
        raise DuplicateName(f"{where}.variables names '{twice}' twice. Drop one.", at=("variables",))


def _steps(start: float, until: float | None, every: float | None, dt: float, length: int) -> range:
    """The steps of a trial of so many that are kept."""
    return range(
        steps_of(start, dt),
        length if until is None else steps_of(until, dt),
        1 if every is None else max(steps_of(every, dt), 1),
    )


def _check_times(what: str, start: float, until: float | None, every: float | None, dt: float, length: int) -> None:
    """Refuse times that are no whole steps, or lie outside of a trial of so many."""
    for name, time in (("every", every or dt), ("from", start), ("until", until or dt)):
        if abs(time / dt - round(time / dt)) > 1e-6:
            raise OutOfRange(
                f"{what}.{name} must be a whole number of steps of dt = {dt:g} s; got {time:g} s.", at=(name,)
            )
    last = length if until is None else steps_of(until, dt)
    if not steps_of(start, dt) < last <= length:
        raise OutOfRange(
            f"{what}.from and until must be 0 <= from < until <= {length * dt:g} s; got {start:g}"
            f" and {until if until is not None else 'no until'}.",
            at=("from",),
        )
