"""NEST, the built-in free networks, as `benchmarks/nest_networks.py` builds them, on one thread: built once,
with spikes recorded in memory. A run goes on where the one before ended, so only the simulation is timed.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import nest

import bioFA
from benchmarks.nest_networks import NEURONS, _cells, _drive, _join
from benchmarks.simulated import Simulated, Took, serve
from bioFA.instance import draw

LEAD = 10.0
"""Milliseconds before the first run, in which NEST makes its buffers."""


def prepare(model: str, seed: int, options: list[str], scratch: Path) -> Simulated:
    """Build the network."""
    instance, kind = draw(bioFA.load(model), seed), NEURONS[model]
    step = 1e3 * instance.experiment.protocol.step
    nest.ResetKernel()
    nest.set_verbosity("M_ERROR")
    nest.SetKernelStatus({"resolution": step, "local_num_threads": 1, "rng_seed": seed, "print_time": False})
    cells: dict[str, Any] = {p.name: _cells(nest, instance, p, kind) for p in instance.network.populations}
    recorder = nest.Create("spike_recorder")
    for population in instance.network.populations:
        _drive(nest, instance, population, cells[population.name], kind)
        nest.Connect(cells[population.name], recorder)
    for pathway in instance.network.pathways:
        _join(nest, instance, pathway, cells, kind)
    nest.Prepare()
    nest.Run(LEAD)

    def run(steps: int) -> Took:
        before = recorder.n_events
        wall, processor = time.perf_counter(), time.process_time()
        nest.Run(step * steps)
        return Took(time.process_time() - processor, time.perf_counter() - wall, recorder.n_events - before)

    return Simulated(run, {"nest": nest.__version__})


if __name__ == "__main__":
    serve(prepare)
