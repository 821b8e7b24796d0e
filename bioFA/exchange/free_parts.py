"""The parts of a network in which time passes as lists, for formats that write them one by one: neurons and sources,
synapses with weights and delays, the spikes that sources show, and those of a background.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from bioFA import draws
from bioFA.consumers.reference import Reference
from bioFA.distributions import Values
from bioFA.equations.dimensions import Dimension, describe
from bioFA.errors import NoCounterpart
from bioFA.instance import Instance, draw
from bioFA.measures.record import Record
from bioFA.network import Network, Node, Pathway, Population
from bioFA.neurons.equations import Equations, TextNeuron

Array = np.ndarray
Refused = Callable[[str, str], NoCounterpart]
"""The error of a format, of what it has no words for and what it has."""
STEPS = 2000
"""So many steps at most are in expected.npz,"""
NEURON_STEPS = 20_000_000
"""of at most so many neurons times steps."""


class Listed(NamedTuple):
    """Synapses one by one: `pre` and `post` `(n_synapses,)`, `weights` in SI and `delays` in steps `(n_synapses,)` or
    `(1,)`."""

    pre: Array
    post: Array
    weights: Array
    delays: Array

    def part(self, start: int, stop: int) -> Listed:
        """The synapses from `start` to before `stop`, all four `(stop - start,)`."""
        pre, post = self.pre[start:stop], self.post[start:stop]
        weights, delays = (
            array[start:stop] if len(array) > 1 else np.broadcast_to(array, len(pre))
            for array in (self.weights, self.delays)
        )
        return Listed(pre, post, weights, delays)


def cells(network: Network) -> list[Population]:
    """The populations whose neurons have equations."""
    return [population for population in network.populations if isinstance(population.neuron, TextNeuron)]


def sources(network: Network) -> list[Population]:
    """All other populations."""
    return [population for population in network.populations if not isinstance(population.neuron, TextNeuron)]


def check_sources(network: Network, refused: Refused) -> None:
    """Refuse sources that send anything else than spikes.

    Raises:
        NoCounterpart: naming the population.
    """
    for population in sources(network):
        if population.neuron.spike_signals != ("s",):
            family = population.neuron.family_name
            raise refused(
                f"population '{population.name}': {family} sends graded signals", "spikes of poisson or spikes_from"
            )


def check_synapses(pathway: Pathway, refused: Refused) -> None:
    """Refuse pathways that carry anything else than spikes, or have no weights of their own.

    Raises:
        NoCounterpart: naming the pathway.
    """
    place = f"pathway '{pathway.name}'"
    if pathway.carries != "s":
        raise refused(f"{place} carries '{pathway.carries}'", "spikes")
    if not pathway.listed and (not pathway.weights.owns or pathway.weights.one_to_one):
        raise refused(f"{place}: {type(pathway.weights).__name__} is no matrix of its own", "connect = 'one_to_one'")


def synapses(instance: Instance, pathway: Pathway) -> Listed:
    """The synapses of a pathway, with the weights that the instance's state holds where they learn."""
    name = pathway.name
    if pathway.listed:
        listed = instance.synapses[name]
        weights = instance.state.get(f"{name}.w", listed.weights)
        return Listed(listed.pre, listed.post, weights, listed.delays)
    matrix = instance.state[f"{name}.w"]
    post, pre = np.nonzero(instance.masks.get(name, np.ones(matrix.shape, dtype=bool)))
    delays = np.zeros(1, dtype=np.int32)
    for part in instance.delays.get(name, {}).values():
        delays = delays + (part if part.size == 1 else part[post, pre])
    return Listed(pre, post, matrix[post, pre], delays)


def shown(instance: Instance, refused: Refused) -> dict[str, tuple[Array, Array]]:
    """Neuron and step of every spike that each source shows in the first trial, by step: a network of sources alone
    draws the same numbers.

    Raises:
        NoCounterpart: if a neuron spikes twice in one step.
    """
    found = sources(instance.network)
    if not found:
        return {}
    alone = Network(populations=tuple(found), pathways=())
    experiment = instance.experiment.replace(circuit=alone, record=Record(), measures=())
    drawn = draw(experiment, instance.seed)
    feed = drawn.passing(0, 0, experiment.protocol.shown_steps)
    for name, train in drawn.trains.items():
        if len(np.unique(np.stack(train), axis=1).T) < len(train[0]):
            raise refused(f"population '{name}': a neuron spikes twice in one step", "one spike a step")
    return dict(Reference(drawn).segment(drawn.state, feed, learning=False).spikes)


def answers(instance: Instance, watched: Sequence[Node] = ()) -> tuple[int, dict[str, Array]]:
    """What must come out, by the reference: a number of steps, and step and neuron of every spike in so many first
    steps, as `population.steps` and `population.neurons` of each population that spikes by itself; and each watched
    variable as every step begins, `population.variable` `(steps, size)`."""
    network, length = instance.network, instance.experiment.protocol.shown_steps
    steps = max(min(length, STEPS, NEURON_STEPS // sum(population.size for population in network.populations)), 1)
    segment = Reference(instance).segment(
        instance.state,
        instance.passing(0, 0, steps),
        learning=False,
        every=1 if watched else None,
        watched=watched,
        whole=True,
    )
    arrays: dict[str, Array] = {}
    for population in cells(network):
        if population.name in segment.spikes:
            neurons, at = segment.spikes[population.name]
            arrays |= {f"{population.name}.steps": at, f"{population.name}.neurons": neurons}
    return steps, arrays | {name: course[0] for name, course in segment.courses.items()}


def by_euler(instance: Instance, population: Population, first: Mapping[str, Array]) -> Equations:
    """The text of a neuron with the numbers that were drawn, moved by Euler's method.

    Args:
        instance: the network that was drawn.
        population: whose neurons are text.
        first: the state as the trial begins.
    """
    neuron, name = population.neuron, population.name
    assert isinstance(neuron, TextNeuron)
    parameters = {
        one: _values(instance.constants[f"{name}.{one}"], dimension)
        for one, dimension in neuron.parameter_dimensions.items()
    }
    initial = {one: _values(first[f"{name}.{one}"], neuron.text.known[one]) for one in neuron.text.state}
    return Equations(
        model=neuron.model,
        ports=dict(neuron.ports),
        threshold=neuron.threshold,
        reset=neuron.reset,
        refractory=neuron.pause,
        method="euler",
        on_arrival=neuron.on_arrival,
        given=parameters,
        initial=initial,
    )


def _values(values: Array, dimension: Dimension) -> Any:
    """Numbers in SI as a description has them."""
    unit = describe(dimension)
    values = np.atleast_1d(values)
    written = [float(value) if unit == "1" else f"{float(value)!r} {unit}" for value in values]
    return written[0] if (values == values[0]).all() else Values(values=tuple(written))


class Outside(NamedTuple):
    """What one background brings a population: its place, as in `exc.background_0`, the key of its numbers, the port,
    and of each neuron the mean number of spikes in a step and the weight, `(size,)` each, in SI."""

    place: str
    key: int
    port: str
    mean: Array
    weight: Array

    def numbers(self, steps: int) -> Iterator[Array]:
        """How many spikes each neuron gets in each step of the first trial, `(size,)`."""
        for step in range(steps):
            yield draws.poisson(draws.uniform(self.key, 0, step, len(self.mean)), self.mean).astype(int)


def outside(instance: Instance, population: Population) -> list[Outside]:
    """The backgrounds of a population."""
    if not population.background:
        return []
    feed, dt, found = instance.passing(0, 0, 0), instance.experiment.protocol.step, []
    for number, background in enumerate(population.background):
        place = f"{population.name}.background_{number}"
        rate, weight = (
            np.array(np.broadcast_to(instance.constants[f"{place}_{what}"], population.size))
            for what in ("rate", "weight")
        )
        found.append(Outside(place, feed.keys[place], background.port, rate * background.count * dt, weight))
    return found
