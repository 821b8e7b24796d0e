"""Stock Brian2 in C++ standalone, the built-in free networks: one `NeuronGroup`, a `Synapses` for each sign, as its
own examples write them, with a `SpikeMonitor` of all neurons.

Synapses and first values are those that bioFA draws; background spikes Brian2 draws itself (`PoissonInput`). The length
of a run is changed in the generated `main.cpp` to come from the environment, so that one program serves all lengths.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import brian2
import numpy as np
from brian2 import Hz, NeuronGroup, PoissonInput, SpikeMonitor, Synapses, ms, mV, nS, pF, second, siemens, volt

import bioFA
from benchmarks.peers.brian2_stock import length_from_environment
from benchmarks.simulated import Simulated, Took, program, serve
from bioFA.instance import Instance, draw

CELLS: dict[str, dict[str, Any]] = {
    "coba": {
        "model": """
            dv/dt = (g_l*(e_l - v) + g_e*(e_e - v) + g_i*(e_i - v))/c_m : volt (unless refractory)
            dg_e/dt = -g_e/tau_e : siemens
            dg_i/dt = -g_i/tau_i : siemens
        """,
        "threshold": "v > v_th", "reset": "v = v_reset", "refractory": 5 * ms, "method": "exponential_euler",
        "namespace": {
            "c_m": 200 * pF, "g_l": 10 * nS, "e_l": -60 * mV, "e_e": 0 * mV, "e_i": -80 * mV, "tau_e": 5 * ms,
            "tau_i": 10 * ms, "v_th": -50 * mV, "v_reset": -60 * mV,
        },
    },
    "random_ei": {
        "model": "dv/dt = -v/tau : volt (unless refractory)",
        "threshold": "v >= theta", "reset": "v = v_reset", "refractory": 2 * ms, "method": "exact",
        "namespace": {"tau": 20 * ms, "theta": 20 * mV, "v_reset": 10 * mV},
    },
}  # fmt: skip
FIRST = {"v": volt, "g_e": siemens, "g_i": siemens}
ONTO = {("coba", "exc"): ("g_e", 6 * nS, 0.1 * ms), ("coba", "inh"): ("g_i", 67 * nS, 0.1 * ms),
        ("random_ei", "exc"): ("v", 0.1 * mV, 1.5 * ms), ("random_ei", "inh"): ("v", -0.5 * mV, 1.5 * ms)}  # fmt: skip
"""What a spike of a population adds, to which variable of its targets, and after how long."""


def prepare(model: str, seed: int, options: list[str], scratch: Path) -> Simulated:
    """Write the model, have Brian2 write and compile its C++."""
    brian2.set_device("cpp_standalone", build_on_run=False)
    instance = draw(bioFA.load(model), seed)
    brian2.defaultclock.dt = instance.experiment.protocol.step * second
    network = _network(model, instance)
    network.run(1 * ms, namespace={})
    device, code = brian2.get_device(), scratch / "code"
    device.build(directory=str(code), compile=False, run=False)
    length_from_environment(code / "main.cpp")
    device.compile_source(directory=str(code), compiler="unix", debug=False, clean=False)
    spikes = code / "results" / device.get_array_filename(network["spikes"].variables["N"])
    per_ms = 1e-3 / instance.experiment.protocol.step

    def run(steps: int) -> Took:
        processor, wall = program(["./main"], code, {"PRESENTATIONS": str(steps / per_ms)})
        return Took(processor, wall, int(np.fromfile(spikes, np.int32)[0]))

    flags = re.search(r"^OPTIMISATIONS = (?:-I\S+ )?(.*)$", (code / "makefile").read_text(), re.MULTILINE)
    return Simulated(run, {"brian2": brian2.__version__}, flags[1] if flags else "")


def _network(model: str, instance: Instance) -> brian2.Network:
    populations = instance.network.populations
    starts = dict(zip((p.name for p in populations), np.cumsum([0, *(p.size for p in populations)]), strict=False))
    kind = CELLS[model]
    cells = NeuronGroup(sum(p.size for p in populations), name="cells", **kind)
    for variable, unit in FIRST.items():
        if variable in cells.variables:
            values = np.concatenate([instance.state[f"{p.name}.{variable}"] for p in populations])
            setattr(cells, variable, values * unit)
    network = brian2.Network(cells, SpikeMonitor(cells, name="spikes"))
    for source, start in starts.items():
        onto, weight, delay = ONTO[model, source]
        pathways = [p for p in instance.network.pathways if p.source == source]
        pre = np.concatenate([instance.synapses[p.name].pre + start for p in pathways])
        post = np.concatenate([instance.synapses[p.name].post + starts[p.target] for p in pathways])
        synapses = Synapses(cells, cells, on_pre=f"{onto}_post += weight", delay=delay, namespace={"weight": weight},
                            name=f"from_{source}")  # fmt: skip
        order = np.lexsort((post, pre))
        synapses.connect(i=pre[order], j=post[order])
        network.add(synapses)
    for population in populations[:1]:
        for background in population.background:
            rate = instance.constants[f"{population.name}.background_0_rate"][0] * Hz
            network.add(PoissonInput(cells, "v", background.count, rate, 0.1 * mV))
    return network


if __name__ == "__main__":
    serve(prepare)
