"""What the neurons of a spiking network did in a few presentations: every spike, and the course of sample neurons,
as plain data.

It comes from one pass of the NumPy reference over the first training presentations, at the weights with
which a run ended and with learning off (`diagnosis.py`), and is kept in the result, so that drawing it
needs no simulation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bioFA.consumers.base import Segment
from bioFA.network import Network, Node

Array = np.ndarray


@dataclass(frozen=True)
class Activity:
    """Spikes and courses over a few `presentations`, one after the other; steps count from the beginning of the first.

    `spikes[population]` `(n, 2)` are the step and the neuron of every spike, step by step. `sampled[population]`
    `(k,)` are at most two neurons: the one that spikes most, and the median of those that spike. `courses["hidden.v"]`
    `(steps, k)` are the values of what their model watches, a state as it was when the step began.
    """

    presentations: int
    spikes: Mapping[str, Array]
    sampled: Mapping[str, Array]
    courses: Mapping[str, Array]


def watched(network: Network) -> tuple[Node, ...]:
    """What is kept step by step: what spiking neuron models watch, apart from ports that nothing reaches."""
    return tuple(
        Node(p.name, variable) for p in network.spiking() for variable in p.neuron.watched
        if variable not in p.neuron.ports or network.arriving(p.name, variable)
    )


def activity(segment: Segment) -> Activity | None:
    """The activity in a segment of which spikes and courses were kept; None where nobody can spike."""
    if not segment.rasters:
        return None
    trains = {name: raster.reshape(-1, raster.shape[-1]) for name, raster in segment.rasters.items()}
    courses = {name: course.reshape(-1, course.shape[-1]) for name, course in segment.courses.items()}
    sampled = {
        name: _sample(trains[name].sum(axis=0, dtype=int))
        for name in dict.fromkeys(name.split(".")[0] for name in courses)
    }
    return Activity(
        presentations=len(next(iter(segment.rasters.values()))),
        spikes={name: np.argwhere(train).astype(np.int32) for name, train in trains.items()},
        sampled=sampled, courses={name: course[:, sampled[name.split(".")[0]]] for name, course in courses.items()},
    )


def _sample(counts: Array) -> Array:
    """The neuron with the most spikes, and the median of those with any."""
    order = np.argsort(-counts, kind="stable")
    return order[sorted({0, int(np.count_nonzero(counts)) // 2})].astype(np.int32)
