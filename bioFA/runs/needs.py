"""What a run will need, told from its description before anything is drawn: synapses, and bytes of memory.

Every synapse that is listed has 4 bytes for its target, 8 for a weight and 4 for a delay of its own, in Python and, as
files that are mapped into memory, in the compiled program; where all weights or delays of a pathway are alike, none.
One that learns has its weight in the state, which is there several times as a segment begins and ends: `STATES` times
8 bytes in Python, and once in the program, in the precision of the run. So has one of a matrix. While a pathway is
drawn it takes `DRAWING` bytes a synapse more. Data of a task and what is recorded come on top.
"""

from __future__ import annotations

from dataclasses import dataclass

from bioFA.experiment import Experiment
from bioFA.network import Network, Pathway

PYTHON, PROGRAM = 75e6, 5e6
"""Bytes of bioFA with all that it imports, and of a compiled program without synapses."""
STATES = 4
"""How often weights are held in Python as they pass to the program and back."""
DRAWING = 6
NEURON = 200
"""Bytes of a neuron, variables and what is under way to it included; few beside its synapses."""


@dataclass(frozen=True)
class Needs:
    """Synapses, how many of them learn, and bytes of memory of Python and of the compiled program; `whole` says that
    every pathway's synapses could be counted, without which all of it is what a run needs at least."""

    synapses: int
    learning: int
    python: float
    program: float
    whole: bool

    def describe(self) -> str:
        """All of it in a line."""
        return (
            f"{'' if self.whole else 'at least '}{self.synapses:,} synapses, {self.learning:,} of which learn; memory"
            f" about {_bytes(self.python)} in Python and {_bytes(self.program)} in the compiled program"
        )


def needs(experiment: Experiment, precision: str = "float64") -> Needs:
    """What a run of an experiment will need."""
    network = experiment.network
    counts = {pathway.name: _count(network, pathway) for pathway in network.pathways}
    neurons = sum(population.size for population in network.populations)
    python, program = PYTHON + NEURON * neurons, PROGRAM + NEURON * neurons
    for pathway in network.pathways:
        count, learns = counts[pathway.name] or 0, pathway.plasticity is not None
        state = 8 * (learns or not pathway.listed) * (1 + len(pathway.traces() if learns else {}))
        ends = 4 + 4 * (not pathway.delay.alike) if pathway.listed else 0
        weights = 8 * (pathway.listed and not pathway.weights.alike)
        python += count * (ends + weights + STATES * state)
        program += count * (ends + weights * (not learns) + (state if precision == "float64" else state / 2))
    listed = [counts[pathway.name] or 0 for pathway in network.listed()]
    return Needs(
        synapses=sum(count or 0 for count in counts.values()),
        learning=sum(counts[pathway.name] or 0 for pathway in network.plastic()),
        python=python + DRAWING * max(listed, default=0),
        program=program,
        whole=None not in counts.values(),
    )


def _count(network: Network, pathway: Pathway) -> int | None:
    """The synapses of a pathway, or in the mean; None where only drawing them tells."""
    n_post, n_pre = network.shape(pathway)
    if pathway.listed:
        layer = network.laid_by(pathway)
        return layer.connect.about(network.laying(pathway)) if layer.connect is not None else None
    return n_post if pathway.weights.one_to_one else n_post * n_pre


def _bytes(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 0.95e9 else f"{max(count / 1e6, 1):.0f} MB"
