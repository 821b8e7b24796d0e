"""NEST, the spiking case with weights that stay: `iaf_psc_exp` neurons and static synapses, one thread.

NEST has no synapse that learns from an error, so it takes part where the learning rate is 0, and without feedback,
which then moves nothing. Its neurons are those of the case: C = tau (pF, ms), E_L = 0, V_th = 1 (mV), and a spike
through w is a current of w / (f tau_syn). Input spikes pass parrot neurons, so that they are sent as those of neurons
are.
"""

from __future__ import annotations

import math
import time
from pathlib import Path

import nest
import numpy as np

from benchmarks.case import Case
from benchmarks.serve import Peer, Weights, serve
from benchmarks.spikes import DT, REFRACTORY, TAU, TAU_SYN, UNIT_RATE

LEAD = 5
"""Steps before the first input, and after the last one."""
LAG = 2
"""Steps by which NEST's hidden layer is behind ours: one for the delay behind the parrots,
one since what arrives moves v one step later."""


def prepare(case: Case, precision: str, options: list[str], scratch: Path) -> Peer:
    """Build the network and count the spikes of one pass through the input, by which it is held to ours."""
    if case.rate:
        raise SystemExit("NEST has no synapse that learns from an error: give a case of rate 0")

    def run(presentations: int) -> tuple[float, Weights]:
        seconds, _ = simulate(case, presentations)
        return seconds, (case.w0, case.w1)

    spikes = simulate(case, len(case.targets))[1]
    return Peer(
        run,
        {"nest": nest.__version__},
        note=f"weights stay, no feedback; {spikes} hidden spikes in {len(case.targets)} presentations",
    )


def simulate(case: Case, presentations: int) -> tuple[float, int]:
    """Seconds of so many presentations, and the hidden spikes in them."""
    nest.set_verbosity("M_ERROR")
    nest.ResetKernel()
    nest.SetKernelStatus({"resolution": 1e3 * DT, "local_num_threads": 1, "print_time": False})
    cell = {
        "C_m": 1e3 * TAU,
        "tau_m": 1e3 * TAU,
        "tau_syn_ex": 1e3 * TAU_SYN,
        "tau_syn_in": 1e3 * TAU_SYN,
        "t_ref": 1e3 * REFRACTORY,
        "E_L": 0.0,
        "V_th": 1.0,
        "V_reset": 0.0,
        "V_m": 0.0,
        "I_e": 0.0,
    }
    generators, image = nest.Create("spike_generator", case.sizes[0]), nest.Create("parrot_neuron", case.sizes[0])
    layers = [image, *(nest.Create("iaf_psc_exp", size, cell) for size in case.sizes[1:])]
    nest.Connect(generators, image, "one_to_one", {"delay": 1e3 * DT})
    for source, target, weights in zip(layers, layers[1:], (case.w0, case.w1), strict=False):
        nest.Connect(source, target, "all_to_all", {"weight": weights / (UNIT_RATE * TAU_SYN), "delay": 1e3 * DT})
    recorder = nest.Create("spike_recorder")
    nest.Connect(layers[1], recorder)
    steps = presentations * case.steps
    shown = np.tile(case.inputs, (math.ceil(steps / len(case.inputs)), 1))[:steps]
    for generator, column in zip(generators, shown.T, strict=True):
        generator.set(spike_times=(1e3 * DT * (np.flatnonzero(column) + LEAD)).tolist())
    nest.Prepare()
    nest.Run(1e3 * DT * LEAD)
    began = time.perf_counter()
    nest.Run(1e3 * DT * steps)
    seconds = time.perf_counter() - began
    nest.Run(1e3 * DT * LEAD)
    nest.Cleanup()
    at = np.rint(recorder.events["times"] / (1e3 * DT)).astype(int) - LEAD - LAG
    return seconds, int(np.count_nonzero((at >= 0) & (at < steps)))


if __name__ == "__main__":
    serve(prepare)
