"""What is there before the first step: synapses, delays, parameters, first values and weights, as a seed draws them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from bioFA.distributions import Distribution
from bioFA.draws import LARGEST_MEAN
from bioFA.equations.dimensions import FREQUENCY, Dimension
from bioFA.errors import ModelError, OutOfRange
from bioFA.experiment import Experiment
from bioFA.instance.feed import Array, Synapses, stream
from bioFA.instance.promises import constrained, gathering
from bioFA.network import Network, Pathway
from bioFA.synapses.dynamics import LONG_AGO
from bioFA.units import as_time


def beginning(network: Network, seed: int) -> tuple[dict[str, Array], dict[str, Array]]:
    """The state with which a network begins, and which synapses of its sparse pathways exist."""
    masks = {
        p.name: _mask(p, stream(seed, f"mask/{p.name}").random(network.shape(p)))
        for p in network.owners()
        if p.sparse and not p.zero_is_absent
    } | {
        p.name: p.weights.draw(stream(seed, f"weights/{p.name}"), network.shape(p)) != 0
        for p in network.owners()
        if p.zero_is_absent
    }
    state = {
        f"{p.name}.w": constrained(
            network, p, p.weights.draw(stream(seed, f"weights/{p.name}"), network.shape(p)), masks.get(p.name)
        )
        for p in network.owners()
        if not p.weights.one_to_one and not p.weights.redrawn
    }
    for pathway in (p for p in network.plastic() if not p.listed):
        state |= gathering(network, pathway, state[f"{pathway.name}.w"])
    return state | first_state(network, seed, 0), masks


def first_state(network: Network, seed: int, trial: int) -> dict[str, Array]:
    """The state of all neurons as a trial begins."""
    state: dict[str, Array] = {}
    for population in network.populations:
        neuron = population.neuron
        for variable, value in neuron.state.items():
            state[f"{population.name}.{variable}"] = np.full(population.size, value)
        for variable, parameter in neuron.begins_as().items():
            distribution, dimension = neuron.own_parameters()[parameter]
            values = _constant(f"{population.name}.{parameter}", distribution, dimension, population.size, seed)
            state[f"{population.name}.{variable}"] = np.full(population.size, values)
        for variable, (distribution, dimension) in neuron.beginnings().items():
            place = f"{population.name}.{variable}"
            rng = stream(seed, f"initial/{neuron.numbers_of(trial)}/{place}")
            state[place] = distribution.draw(rng, population.size, dimension, f"initial value of {place}")
    return state


def constants_of(experiment: Experiment, seed: int) -> dict[str, Array]:
    """The parameters that may differ between neurons, and rate and weight of their background.

    Raises:
        OutOfRange: if a background brings more spikes a step than Poisson numbers are drawn for.
    """
    network, dt = experiment.network, experiment.protocol.dt
    found: dict[str, Array] = {}
    for population in network.populations:
        drawn = {name: (*given, population.size) for name, given in population.neuron.own_parameters().items()}
        for number, background in enumerate(population.background):
            dimension = population.neuron.dimension_of(background.port)
            drawn[f"background_{number}_rate"] = (background.rate, FREQUENCY, population.size)
            drawn[f"background_{number}_weight"] = (background.weight, dimension, population.size)
        for name, (distribution, dimension, size) in drawn.items():
            place = f"{population.name}.{name}"
            found[place] = _constant(place, distribution, dimension, size, seed)
        for number, background in enumerate(population.background):
            mean = found[f"{population.name}.background_{number}_rate"].max() * background.count * (dt or 0.0)
            if not mean <= LARGEST_MEAN:
                raise OutOfRange(
                    f"background of '{population.name}': count*rate must be at most {LARGEST_MEAN:g} spikes a step"
                    f" of {as_time(dt or 0.0)}; got {mean:.4g}. Give a shorter dt, or fewer spikes of more weight."
                )
    return found


def _constant(place: str, distribution: Distribution, dimension: Dimension, size: int, seed: int) -> Array:
    """One parameter of a population, `(size,)`, or `(1,)` where all neurons have the same."""
    rng = stream(seed, f"parameters/{place}")
    return distribution.draw(rng, 1 if distribution.alike else size, dimension, place)


def listed(
    experiment: Experiment, pathway: Pathway, seed: int, constants: Mapping[str, Array]
) -> tuple[Synapses, dict[str, Array]]:
    """The synapses of a pathway that lists them, each with its weight and its delay, and the parts of the delays."""
    network, dt = experiment.network, experiment.protocol.dt
    layer = network.laid_by(pathway)
    assert layer.connect is not None
    _, n_pre = network.shape(pathway)
    place = f"pathway '{pathway.name}'"
    try:
        pairs = layer.connect.draw(stream(seed, f"connect/{layer.name}"), network.laying(pathway, constants))
    except ModelError as error:
        raise error.prefixed(f"{place}: ") from None
    count = len(pairs.pre)
    first_pre, first_post = network.parts(pathway)
    # int32 as the list is, or NumPy would search in a copy of it
    first = np.searchsorted(pairs.pre, np.arange(-first_pre, n_pre + 1 - first_pre, dtype=np.int32)).astype(np.int64)
    dimension = network.weight_dimension(pathway)
    at = network.between(pathway, constants).at(pairs.pre, pairs.post)
    weights = pathway.weights.draw_at(stream(seed, f"weights/{pathway.name}"), at, dimension, f"{place}: weights")
    parts = dict.fromkeys(pathway.delay.parts(), np.zeros(1, dtype=np.int32))
    if dt is not None and not pathway.delay.none:
        parts = pathway.delay.draw(stream(seed, f"delay/{pathway.name}"), count, dt, f"{place}: delay", at)
    if pairs.order is not None:
        weights = weights if len(weights) == 1 or not pathway.weights.given else weights[pairs.order]
        given = pathway.delay.parts()
        parts = {name: part[pairs.order] if given[name].given else part for name, part in parts.items()}
    delays = sum(parts.values(), np.zeros(1, dtype=np.int32))
    parameters: dict[str, Array] = {}
    for name, (distribution, of) in (pathway.dynamics.own_parameters() if pathway.dynamics else {}).items():
        rng = stream(seed, f"dynamics/{pathway.name}.{name}")
        values = distribution.draw_at(rng, at, of, f"{place}: dynamics.{name}")
        parameters[name] = values if pairs.order is None or not distribution.given else values[pairs.order]
    post = pairs.post if not first_post else pairs.post + np.int32(first_post)
    made = Synapses(first, post, weights, delays, parameters)
    if pathway.sign != "any" or network.signs(pathway) is not None or pathway.learning.bounded:
        each = weights if network.signs(pathway) is None else np.broadcast_to(weights, count)
        weights = constrained(network, pathway, each, None, made)
    return replace(made, weights=weights), parts


def delays_of(experiment: Experiment, seed: int, constants: Mapping[str, Array]) -> dict[str, Mapping[str, Array]]:
    """The parts of the delays of matrices, in steps."""
    dt = experiment.protocol.dt
    found: dict[str, Mapping[str, Array]] = {}
    for pathway in experiment.network.pathways:
        if dt is None or pathway.listed or pathway.delay.none:
            continue
        shape = experiment.network.shape(pathway)
        rng, place = stream(seed, f"delay/{pathway.name}"), f"pathway '{pathway.name}': delay"
        at = None
        if any(part.pairwise for part in pathway.delay.parts().values()):
            post, pre = (axis.ravel() for axis in np.indices(shape))
            at = experiment.network.between(pathway, constants).at(pre, post)
        parts = pathway.delay.draw(rng, shape[0] * shape[1], dt, place, at)
        found[pathway.name] = {
            name: part if pathway.delay.parts()[name].alike else part.reshape(shape) for name, part in parts.items()
        }
    return found


def under_way(
    network: Network, synapses: Mapping[str, Synapses], delays: Mapping[str, Mapping[str, Array]]
) -> dict[str, Array]:
    """What is under way before the first step, nothing, and what synapses with dynamics keep: they are at rest."""
    found: dict[str, Array] = {}
    for pathway in network.pathways:
        n_post, n_pre = network.shape(pathway)
        if pathway.fixed_list:
            found[f"{pathway.name}.under_way"] = np.zeros((synapses[pathway.name].slots, n_post))
        elif pathway.name in delays:
            longest = {name: int(part.max(initial=0)) for name, part in delays[pathway.name].items()}
            for key, (side, _) in pathway.seen_late.items():
                part, size = ("axonal", n_pre) if side == "pre" else ("dendritic", n_post)
                found[key] = np.zeros((max(longest[part], 1), size))
            if pathway.late("post"):
                found[f"{pathway.name}.dendrite"] = np.zeros((longest["dendritic"] + 1, n_post))
        if pathway.dynamics is not None:
            found[f"{pathway.name}.since"] = np.full(n_pre, LONG_AGO)
            for variable, value in pathway.dynamics.keeps.items():
                found[f"{pathway.name}.{variable}"] = np.full(len(synapses[pathway.name].post), value)
    return found


def first_weights(network: Network, pathway: Pathway, synapses: Synapses) -> dict[str, Array]:
    """The weights with which listed synapses begin to learn, and what they keep beside them."""
    weights = np.array(np.broadcast_to(synapses.weights, len(synapses.post)))
    return {f"{pathway.name}.w": weights} | gathering(network, pathway, weights, synapses)


def first_traces(network: Network, synapses: Mapping[str, Synapses]) -> dict[str, Array]:
    """The traces at synapses before anything has reached them."""
    return {
        f"{pathway.name}.{variable}": np.full(
            len(synapses[pathway.name].post) if pathway.listed else network.shape(pathway), value
        )
        for pathway in network.plastic()
        for variable, value in pathway.traces().items()
    }


def _mask(pathway: Pathway, chances: Array) -> Array:
    """Which synapses exist: each by its chance, or the `fan_in` of each row with the smallest ones."""
    return (
        chances < pathway.density
        if pathway.fan_in is None
        else chances.argsort(axis=1).argsort(axis=1) < pathway.fan_in
    )
