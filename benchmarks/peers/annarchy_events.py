"""ANNarchy, the spiking case: spiking populations and projections from equations, compiled to C++, one thread.

Weights change in `pre_spike`, as a spike is delivered; the error is a continuous `psp` of the output's mismatch.
ANNarchy delivers in the next step what bioFA's input delivers in its own, so a run has one step more. Refractoriness
and the exact solution of v and I are written out.
"""

from __future__ import annotations

import math
import os
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np

from benchmarks.case import Case
from benchmarks.serve import Peer, Weights, serve
from benchmarks.spikes import DT, GATE, REFRACTORY, TAU, TAU_DENDRITE, TAU_SYN, TAU_TRACE, UNIT_RATE

os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
import ANNarchy as ann

FLAGS = "-O3 -ffast-math -march=native"
LEAK, FADE = math.exp(-DT / TAU), math.exp(-DT / TAU_SYN)
PARAMETERS = f"""
leak = {LEAK!r} : population
fade = {FADE!r} : population
rise = {TAU_SYN / (TAU_SYN - TAU) * (FADE - LEAK)!r} : population
jump = {1 / (UNIT_RATE * TAU_SYN)!r} : population
unit = {1 / (UNIT_RATE * DT)!r} : population
to_dendrite = {-math.expm1(-DT / TAU_DENDRITE)!r} : population
to_trace = {-math.expm1(-DT / TAU_TRACE)!r} : population
low = {GATE[0]!r} : population
high = {GATE[1]!r} : population
held = {round(REFRACTORY / DT)}.0 : population
"""
EQUATIONS = """
v = if left > 0.5: 0.0 else: v*leak + (I + g_up*jump)*rise
I = (I + g_up*jump)*fade
gated = if (I > low) and (I < high): 1.0 else: 0.0
U = U + to_dendrite*({error} - U)
trace = trace + to_trace*(fired*unit - trace)
fired = 0.0
left = if left > 0.5: left - 1.0 else: 0.0
"""


def prepare(case: Case, precision: str, options: list[str], scratch: Path) -> Peer:
    """Write the model and have ANNarchy compile it."""
    network = ann.Network(dt=1e3 * DT)
    network.config(dtype=getattr(ann, precision), num_threads=1)
    n_in, n_hidden, n_out = case.sizes
    fire = {"spike": "v > 1.0", "reset": "v = 0.0\nleft = held\nfired = 1.0"}
    image = network.create(ann.SpikeSourceArray(spike_times=[[0.0]] * n_in))
    hidden = network.create(
        n_hidden, ann.Neuron(parameters=PARAMETERS, equations=EQUATIONS.format(error="g_down"), **fire)
    )
    output = network.create(
        n_out,
        ann.Neuron(
            parameters=f"{PARAMETERS}target = 0.0",
            equations=f"{EQUATIONS.format(error='mismatch')}mismatch = target - trace",
            **fire,
        ),
    )
    output.target = case.targets[0]
    change = case.rate / (UNIT_RATE * case.steps * DT)
    learning = ann.Synapse(
        parameters=f"eta = {change!r} : projection", pre_spike="g_target += w\nw += eta*post.U*post.gated"
    )
    up, out = network.connect(image, hidden, "up", learning), network.connect(hidden, output, "up", learning)
    down = network.connect(output, hidden, "down", ann.Synapse(psp="w*pre.mismatch"))
    for projection, weights in ((up, case.w0), (out, case.w1), (down, case.feedback)):
        projection.connect_from_matrix(weights)
    network.compile(directory=str(scratch / "annarchy"), compiler_flags=FLAGS, silent=True)
    times = [np.flatnonzero(column) * 1e3 * DT for column in case.inputs.T]
    cycle = len(case.inputs) * 1e3 * DT

    def run(presentations: int) -> tuple[float, Weights]:
        end = presentations * case.steps * 1e3 * DT
        cycles = np.arange(math.ceil(end / cycle))[:, np.newaxis] * cycle
        image.spike_times = [[t for t in (own + cycles).ravel().tolist() if t < end - 0.5e3 * DT] for own in times]
        network.reset(populations=True, synapses=False)  # after the spike times, which it reads
        output.target = case.targets[0]
        up.w, out.w = case.w0.tolist(), case.w1.tolist()
        began = time.perf_counter()
        network.simulate(end + 1e3 * DT)
        return time.perf_counter() - began, (np.array(up.w), np.array(out.w))

    return Peer(run, {"annarchy": version("annarchy")}, FLAGS)


if __name__ == "__main__":
    serve(prepare)
