"""An instance: an experiment and a seed, with every random number drawn.

    feed.py       streams, and what the sources show
    promises.py   what the description promises of weights
    first.py      what is there before the first step
    instance.py   the experiment with its draws

Each purpose has its own stream, named, not numbered: `weights/input_to_hidden`, `order/3`.
So adding a pathway leaves all other draws alone, and every scheme sees the same data in the
same order from the same initial weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from bioFA.errors import ModelError, NothingToLearn, OutOfRange
from bioFA.experiment import Experiment
from bioFA.instance.feed import Array, Chosen, Feed, Synapses, stream
from bioFA.instance.first import beginning, constants_of, delays_of, first_traces, first_weights, listed, under_way
from bioFA.instance.instance import NOISE_BLOCK, Instance
from bioFA.tasks import Data, Split

__all__ = ["NOISE_BLOCK", "Chosen", "Feed", "Instance", "Synapses", "draw", "identical", "stream"]

NO_DATA = Data(Split(np.zeros((0, 0)), np.zeros((0, 0))))
"""The data of an experiment without a task."""


def draw(experiment: Experiment, seed: int) -> Instance:
    """Draw every random number of an experiment.

    Args:
        experiment: the description.
        seed: a whole number >= 0.

    Raises:
        ModelError: if the seed is not a whole number >= 0.
        FileError: if data or weights on disk are missing.
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**63:
        raise OutOfRange(f"seed must be a whole number from 0 to 2**63 - 1; got {seed!r}. For example: seed = 1.")
    seed = int(seed)
    state, masks = beginning(experiment.network, seed)
    constants = constants_of(experiment, seed)
    synapses: dict[str, Synapses] = {}
    delays: dict[str, Mapping[str, Array]] = {}
    for pathway in experiment.network.listed():
        synapses[pathway.name], parts = listed(experiment, pathway, seed, constants)
        if pathway.plasticity is not None:
            delays[pathway.name] = parts
            state |= first_weights(experiment.network, pathway, synapses[pathway.name])
    delays |= delays_of(experiment, seed, constants)
    state |= under_way(experiment.network, synapses, delays) | first_traces(experiment.network, synapses)
    trains, notes = _trains(experiment), _notes(experiment, constants)
    if experiment.task is None:
        data = replace(NO_DATA, notes=notes)
        instance = Instance(experiment, seed, data, state, masks, synapses, delays, constants, trains)
        _ = instance.chosen
        return instance
    data = experiment.task.draw(lambda purpose: stream(seed, purpose))
    if not data.train.targets.any():
        raise NothingToLearn(
            f"the train targets of {type(experiment.task).__name__} are all zero, so there is nothing to learn. Check"
            " the task."
        )
    if notes:
        data = replace(data, notes=(*data.notes, *notes))
    return Instance(experiment, seed, data, state, masks, synapses, delays, constants, trains)


def _notes(experiment: Experiment, constants: Mapping[str, Array]) -> tuple[str, ...]:
    """What sources do not show of what they are given."""
    protocol = experiment.protocol
    return tuple(
        f"population '{population.name}': {note}"
        for population in experiment.network.populations
        for note in population.neuron.notes(
            protocol.step,
            protocol.steps,
            {name.partition(".")[2]: of for name, of in constants.items() if name.startswith(f"{population.name}.")},
        )
    )


def _trains(experiment: Experiment) -> dict[str, tuple[Array, Array]]:
    """The given spikes of every source that has some."""
    found: dict[str, tuple[Array, Array]] = {}
    protocol = experiment.protocol
    for population in experiment.network.populations:
        try:
            trains = population.neuron.trains(population.size, protocol.step, protocol.steps)
        except ModelError as error:
            raise error.prefixed(f"population '{population.name}': ") from None
        if trains is not None:
            found[population.name] = trains
    return found


def identical(first: Experiment, second: Experiment, seed: int) -> bool:
    """Whether two experiments are the same network by construction: they differ in the names of pathways,
    and of the scheme, alone.

    Then all their trajectories from a seed are equal, bit for bit: the populations, and, port by port in their order,
    the pathways that arrive there with their drawn weights, rules and rates; the task and the protocol.
    """
    mine, theirs = first.network, second.network
    if first.task != second.task or first.protocol != second.protocol or mine.wiring() != theirs.wiring():
        return False
    names = dict(zip((p.name for p in mine.by_port()), (p.name for p in theirs.by_port()), strict=True))
    # whose weights, synapses or delays come from the stream of the name
    drawn = (*mine.redrawn(), *mine.listed(), *(pathway for pathway in mine.pathways if not pathway.delay.alike))
    if any(names[pathway.name] != pathway.name for pathway in drawn):
        return False
    return all(
        _equal({_renamed(name, names): array for name, array in ours.items()}, given)
        for ours, given in zip(beginning(mine, seed), beginning(theirs, seed), strict=True)
    )


def _renamed(name: str, names: Mapping[str, str]) -> str:
    """The name of an array of a pathway, `pathway` or `pathway.variable`,
    with the name that the pathway has elsewhere."""
    pathway, dot, variable = name.partition(".")
    return f"{names.get(pathway, pathway)}{dot}{variable}"


def _equal(first: Mapping[str, Array], second: Mapping[str, Array]) -> bool:
    """Whether two sets of arrays have the same names and numbers."""
    return first.keys() == second.keys() and all(np.array_equal(array, second[name]) for name, array in first.items())
