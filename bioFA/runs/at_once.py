"""Show examples to a static network all at once: each presentation is alone where nothing passes from one to the next.

Numbers are those of the NumPy reference but for the order in which a matrix product is summed.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bioFA.instance import Feed, Instance
from bioFA.neurons.base import Moment
from bioFA.neurons.equations import Equations
from bioFA.own_code.files import PACKAGE

Array = np.ndarray


def can_show(instance: Instance) -> bool:
    """Whether every neuron of the network is of a kind that works number by number, and every pathway a plain sum."""
    network = instance.network
    plain = all(
        type(p.neuron).__module__.startswith(PACKAGE)
        and not isinstance(p.neuron, Equations)
        and not (p.background or p.neuron.draws or p.neuron.handed)
        and not any(need in ("dt", "time") for variable in p.neuron.publishes for need in p.neuron.needs(variable))
        for p in network.populations
    )
    sums = not network.redrawn() and not any(p.listed or not p.delay.none for p in network.pathways)
    return plain and sums and network.is_static() and not network.spiking() and instance.experiment.protocol.steps == 1


def show(instance: Instance, state: Mapping[str, Array], feed: Feed) -> dict[str, Array]:
    """Every port and published variable in each presentation, `(n, size)`, by `population.variable`, without learning.

    Args:
        instance: one that `can_show` allows.
        state: with the weights, `pathway.w`.
        feed: what the sources show.
    """
    network = instance.network
    values: dict[str, Array] = {}
    step = instance.experiment.protocol.step
    for node in network.order:
        population = network.population(node.population)
        neuron, shape = population.neuron, (feed.presentations, population.size)
        if node.variable in neuron.ports:
            total = np.zeros(shape)
            for pathway in network.arriving(*node):
                carried = values[f"{pathway.source}.{pathway.carries}"]
                if pathway.weights.one_to_one:
                    total = total + pathway.weights.pass_on(carried)
                else:
                    total = total + carried @ network.effective(pathway, state).T
            values[str(node)] = total
        elif population.name in feed.tables and node.variable == neuron.shown:
            shown = feed.tables[population.name][feed.rows[population.name]]
            values[str(node)] = shown if shown.ndim == 2 else shown[:, 0]
        elif neuron.shows == "one":
            values[str(node)] = np.ones(shape)
        else:
            own = {
                name.partition(".")[2]: array
                for name, array in instance.constants.items()
                if name.partition(".")[0] == population.name
            }
            needs = {need: values[f"{population.name}.{need}"] for need in neuron.needs(node.variable)}
            values[str(node)] = neuron.published(node.variable, needs, Moment(population.size, step, 0.0, own))
    return values
