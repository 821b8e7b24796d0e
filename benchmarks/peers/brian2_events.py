"""Stock Brian2 in C++ standalone, the spiking case: `Synapses` whose `on_pre` transmits and learns,
as a user would write it.

Spikes are delivered before states advance (the network's schedule), the frozen input's in their own step; the gate is
kept from before they arrive. Brian2 counts the step of the spike into the refractory period, hence one step more of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import brian2
import numpy as np
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, TimedArray, second

from benchmarks.case import Case
from benchmarks.peers.brian2_stock import standalone
from benchmarks.serve import Peer, serve
from benchmarks.spikes import DT, GATE, REFRACTORY, TAU, TAU_DENDRITE, TAU_SYN, TAU_TRACE, UNIT_RATE

CELL = """
dv/dt = (-v + I)/tau : 1 (unless refractory)
dI/dt = -I/tau_syn : 1
dr/dt = (fired/(f*dt) - r)/tau_trace : 1
dU/dt = (-U + error)/tau_dendrite : 1
error : 1
fired : 1
gated : 1
"""
LEARNING = "I_post += w/(f*tau_syn)\nw += eta*U_post*gated_post/(f*T)"


def prepare(case: Case, precision: str, options: list[str], scratch: Path) -> Peer:
    """Write the model, have Brian2 write and compile its C++."""
    return standalone(case, precision, scratch, _model)


def _model(case: Case) -> tuple[brian2.Network, list[Any]]:
    brian2.defaultclock.dt = DT * second
    n_in, n_hidden, n_out = case.sizes
    rows = len(case.targets)
    numbers = {
        "tau": TAU * second,
        "tau_syn": TAU_SYN * second,
        "tau_trace": TAU_TRACE * second,
        "tau_dendrite": TAU_DENDRITE * second,
        "f": UNIT_RATE / second,
        "low": GATE[0],
        "high": GATE[1],
        "eta": case.rate,
        "T": case.steps * DT * second,
        "steps": case.steps,
        "rows": rows,
        "targets": TimedArray(case.targets, dt=case.steps * DT * second),
    }
    spiking = {
        "threshold": "v > 1",
        "reset": "v = 0\nfired = 1",
        "refractory": (REFRACTORY + DT) * second,
        "method": "exact",
        "namespace": numbers,
    }
    at, which = np.nonzero(case.inputs)
    image = SpikeGeneratorGroup(
        n_in, which, at * DT * second, period=len(case.inputs) * DT * second, when="start", order=0, name="image"
    )
    hidden = NeuronGroup(n_hidden, CELL, name="hidden", **spiking)
    output = NeuronGroup(n_out, CELL + "mismatch : 1\n", name="answer", **spiking)
    for group in (hidden, output):
        group.run_regularly("gated = int(I > low)*int(I < high)", when="start", order=0)
        group.run_regularly("fired = 0", when="after_groups", order=0)
    output.run_regularly(
        "mismatch = targets(((t_in_timesteps // steps) % rows)*steps*dt + dt/2, i) - r\nerror = mismatch",
        when="start",
        order=1,
    )
    up = Synapses(image, hidden, "w : 1", on_pre=LEARNING, name="up", namespace=numbers)
    out = Synapses(hidden, output, "w : 1", on_pre=LEARNING, name="out", namespace=numbers)
    down = Synapses(output, hidden, "w : 1\nerror_post = w*mismatch_pre : 1 (summed)", name="down")
    for synapses, weights in ((up, case.w0), (out, case.w1), (down, case.feedback)):
        synapses.connect()
        synapses.w = weights.T.ravel()
    updater = down.summed_updaters["error_post"]
    updater.when, updater.order = "start", 2
    network = brian2.Network(image, hidden, output, up, out, down)
    network.schedule = ["start", "synapses", "groups", "thresholds", "resets", "end"]
    return network, [up, out]


if __name__ == "__main__":
    serve(prepare)
