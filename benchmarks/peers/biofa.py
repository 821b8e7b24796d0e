"""bioFA itself: compiled by Brian2, with updates in blocks where that pays, or (`blocked`) always, or (`dense`) never,
or (`reference`) the NumPy reference.

It measures what a user's run measures (readout and feedback angle), here in the first presentation only.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from benchmarks.case import Case
from benchmarks.serve import Peer, Weights, serve
from benchmarks.spikes import DT, GATE, REFRACTORY, TAU, TAU_DENDRITE, TAU_SYN, TAU_TRACE, UNIT_RATE
from bioFA.consumers.base import Consumer
from bioFA.consumers.reference import Reference
from bioFA.experiment import Experiment, Protocol
from bioFA.instance import draw
from bioFA.neurons.spike_source import SpikeSource
from bioFA.neurons.static_rate import StaticRate
from bioFA.neurons.two_compartment_lif import TwoCompartmentLif
from bioFA.rules.delta_rule import DeltaRule
from bioFA.rules.event_driven_random_backpropagation import EventDrivenRandomBackpropagation
from bioFA.rules.local_error import LocalError
from bioFA.runs.provenance import versions
from bioFA.schemes.feedback_alignment import FeedbackAlignment
from bioFA.schemes.layered import Layered
from bioFA.tasks.arrays import Arrays

PATHWAYS = {"w0": "input_to_hidden.w", "w1": "hidden_to_output.w", "feedback": "mismatch_to_hidden.w"}
NEVER = 10**12


def experiment(case: Case, data: Path) -> Experiment:
    """The case as a description; its data go through a file."""
    if case.activation == "spikes":
        return spiking(case, data)
    np.savez(data, inputs=case.inputs, targets=case.targets)
    unit = StaticRate(activation=case.activation)
    scheme = FeedbackAlignment(
        rule=LocalError(learning_rate=case.rate), readout_rule=DeltaRule(learning_rate=case.rate)
    )
    learning = {"batch": case.batch}
    circuit = Layered(
        sizes=case.sizes, hidden=unit, output=unit, scheme="fa", schemes={"fa": scheme}, learning=learning
    )
    return Experiment(name=case.name, circuit=circuit, task=Arrays(path=str(data)), protocol=Protocol(shuffle=False))


def spiking(case: Case, data: Path) -> Experiment:
    """The spiking case: frozen input spikes, one row a step; neurons and rule as `benchmarks/spikes.py` writes them."""
    np.savez(data, inputs=case.inputs.reshape(-1, case.steps, case.sizes[0]), targets=case.targets)
    shared = {
        "tau": TAU,
        "tau_syn": TAU_SYN,
        "tau_trace": TAU_TRACE,
        "tau_dendrite": TAU_DENDRITE,
        "refractory_period": REFRACTORY,
        "unit_rate": UNIT_RATE,
    }
    cell = TwoCompartmentLif(gate_low=GATE[0], gate_high=GATE[1], **shared)
    rule = EventDrivenRandomBackpropagation(learning_rate=case.rate)
    circuit = Layered(
        sizes=case.sizes,
        input=SpikeSource(unit_rate=UNIT_RATE, tau_trace=TAU_TRACE),
        hidden=cell,
        output=cell,
        scheme="fa",
        schemes={"fa": FeedbackAlignment(rule=rule, readout_rule=rule)},
    )
    protocol = Protocol(shuffle=False, dt=DT, presentation=case.steps * DT)
    return Experiment(name=case.name, circuit=circuit, task=Arrays(path=str(data)), protocol=protocol)


def prepare(case: Case, precision: str, options: list[str], scratch: Path) -> Peer:
    """Build the binary, or find it in the compile cache."""
    instance = draw(experiment(case, scratch / "data.npz"), 1)
    state = {**instance.state, **{there: getattr(case, here) for here, there in PATHWAYS.items()}}
    runner: Consumer
    flags = note = ""
    if "reference" in options:
        runner = Reference(instance)
    else:
        from bioFA.consumers.brian import cache
        from bioFA.consumers.brian.run import Compiled

        runner = compiled = Compiled(
            instance, precision, blocked={"dense": False, "blocked": True}.get(options[0]) if options else None
        )
        flags, note = " ".join(cache.flags()), f"first pathway {compiled.binary.pathways['input_to_hidden']}"

    def run(presentations: int) -> tuple[float, Weights]:
        feed = instance.training(0, presentations)
        began = time.perf_counter()
        segment = runner.segment(state, feed, learning=True, every=NEVER)
        seconds = time.perf_counter() - began
        return seconds, (segment.state[PATHWAYS["w0"]], segment.state[PATHWAYS["w1"]])

    return Peer(run, versions(), flags, note)


if __name__ == "__main__":
    serve(prepare)
