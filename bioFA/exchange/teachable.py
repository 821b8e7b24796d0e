"""A network that was taken over, with what learning along a chain of its populations needs.

    first layer     shows the examples of a task as Poisson spikes, in place of what it sent
    other layers    publish r, the low-passed spike train, and gain, the slope of r; receive error, and probe
    between them    a matrix of weights in place of listed synapses

    tau dr/dt = -r + s/rate, s the spike train        gain = 1 where r > 0, else 0

A spiking neuron that is driven above its threshold has a rate that grows nearly in proportion to its input, so that its
slope is that of a rectified line. What a text already has, `r`, `gain` or a port, stays as it is.

Source of the surrogate: Neftci, Augustine, Paul & Detorakis (2017), Front. Neurosci. 11:324 (eRBP: the derivative of a
rectified line, a box, in place of that of the spike).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from bioFA.distributions import in_si
from bioFA.equations.dimensions import FREQUENCY, TIME
from bioFA.errors import DuplicateName, MissingSignal, UnknownName, WrongShape, suggestion
from bioFA.experiment import Experiment
from bioFA.instance import draw
from bioFA.network import Network, Pathway, Population
from bioFA.neurons.equations import Equations
from bioFA.neurons.poisson_source import PoissonSource
from bioFA.weights import Values


def teachable(experiment: Experiment, layers: Sequence[str], rate: float | str, tau: float | str, gain: str) -> Network:
    """The network of an experiment, ready to learn along some of its populations.

    Args:
        experiment: whose network has neurons as equations.
        layers: the names of the populations, from the one that shows the examples to the one that answers.
        rate: the rate at which r is 1, and at which the first layer shows a value of 1.
        tau: time constant of r.
        gain: the slope of r as a text, which may name r and the variables of the neuron.

    Raises:
        ModelError: naming the layer or pathway that cannot learn so.
    """
    network = experiment.network
    names = [population.name for population in network.populations]
    for number, name in enumerate(layers):
        if name not in names:
            raise UnknownName(f"layers[{number}]: no population is called '{name}'.{suggestion(name, names)}")
        if name in layers[:number]:
            raise DuplicateName(f"layers names '{name}' twice; got {list(layers)}. Name every layer once.")
    if len(layers) < 2:
        raise WrongShape(f"layers must name at least 2 populations; got {list(layers)}.")
    times = in_si(rate, FREQUENCY, "rate"), in_si(tau, TIME, "tau")
    first = layers[0]
    return network.replace(
        populations=tuple(
            (
                _source(population, *times)
                if population.name == first
                else _layer(population, *times, gain) if population.name in layers else population
            )
            for population in network.populations
        ),
        pathways=tuple(
            (
                _matrix(experiment, pathway)
                if pathway.listed and (pathway.source, pathway.target) in itertools.pairwise(layers)
                else pathway
            )
            for pathway in network.pathways
        ),
    )


def _source(population: Population, rate: float, tau: float) -> Population:
    """The layer that shows the examples."""
    if population.neuron.ports:
        raise MissingSignal(
            f"layers: '{population.name}' is the first one, which shows the examples, but neurons that others drive"
            " compute. Begin with a source, such as what was a PoissonGroup or a SpikeGeneratorGroup."
        )
    return population.replace(neuron=PoissonSource(max_rate=rate, tau_trace=tau))


def _layer(population: Population, rate: float, tau: float, gain: str) -> Population:
    """A layer that learns."""
    neuron = population.neuron
    if not isinstance(neuron, Equations):
        raise MissingSignal(
            f"layers: '{population.name}' is {neuron.family_name}, but a layer that learns is a neuron as equations."
            " Name a population that was a NeuronGroup."
        )
    known, lines, fields = neuron.text.known, [neuron.model], dict[str, Any](ports=dict(neuron.ports))
    if "r" not in known:
        if neuron.threshold is None:
            raise MissingSignal(
                f"layers: '{population.name}' does not spike, so say what it sends. For example, in its model: r = v :"
                " 1."
            )
        lines.append(f"dr/dt = -r/({tau!r}*second) : 1")
        fields["reset"] = "; ".join(part for part in (neuron.reset, f"r += {1.0 / (rate * tau)!r}") if part)
    if "gain" not in known:
        lines.append(f"gain = {gain} : 1")
    for port in ("error", "probe"):
        if port not in known:
            fields["ports"][port] = "1"
            lines.append(f"{port}_felt = {port} : 1")
    return population.replace(neuron=neuron.replace(model="\n".join(lines), **fields))


def _matrix(experiment: Experiment, pathway: Pathway) -> Pathway:
    """A pathway of listed synapses as a matrix, whose synapses between one pair are one."""
    if not pathway.delay.alike:
        raise WrongShape(
            f"pathway '{pathway.name}': its synapses have different delays, but what learns by a scheme is a matrix"
            " with one. Give all the same delay."
        )
    synapses, network = draw(experiment, 1).synapses[pathway.name], experiment.network
    n_post, n_pre = (network.population(end).size for end in (pathway.target, pathway.source))
    matrix, exists = np.zeros((n_post, n_pre)), np.zeros((n_post, n_pre), dtype=bool)
    pre = np.repeat(np.arange(n_pre), np.diff(synapses.first))
    np.add.at(matrix, (synapses.post, pre), np.broadcast_to(synapses.weights, len(pre)))
    exists[synapses.post, pre] = True
    return Pathway(
        name=pathway.name,
        source=pathway.source,
        target=pathway.target,
        port=pathway.port,
        carries=pathway.carries,
        weights=Values(values=matrix.tolist()),
        delay=pathway.delay,
        zero_is_absent=not bool(exists.all()),
    )
