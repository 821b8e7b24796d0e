"""Stock Brian2 in C++ standalone: `Synapses` with summed variables and `run_regularly`, as a user would write it.

Everything is put in the order of the paper's step (equal `when` and `order` would fall back on names). The data are
`TimedArray`s. The length of a run is part of Brian2's generated `main.cpp`; it is changed there to come from the
environment, so that one binary serves runs of any length.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import brian2
import numpy as np
from brian2 import NeuronGroup, Synapses, TimedArray, ms

from benchmarks.case import Case
from benchmarks.serve import Peer, Weights, serve

PHI = {"linear": "u", "logistic": "1/(1 + exp(-u))"}
GAIN = {"linear": "1", "logistic": "r*(1 - r)"}


def prepare(case: Case, precision: str, options: list[str], scratch: Path) -> Peer:
    """Write the model, have Brian2 write and compile its C++."""
    return standalone(case, precision, scratch, _model)


def standalone(
    case: Case, precision: str, scratch: Path, model: Callable[[Case], tuple[brian2.Network, list[Any]]]
) -> Peer:
    """A network and its two plastic `Synapses`, from `model(case)`,
    as a compiled program that takes its length from outside."""
    brian2.set_device("cpp_standalone", build_on_run=False)
    brian2.prefs["core.default_float_dtype"] = getattr(np, precision)
    network, synapses = model(case)
    network.run(1 * ms, namespace={})
    device = brian2.get_device()
    device.build(directory=str(scratch / "code"), compile=False, run=False)
    length_from_environment(scratch / "code" / "main.cpp")
    device.compile_source(directory=str(scratch / "code"), compiler="unix", debug=False, clean=False)
    results = scratch / "code" / "results"
    files = [results / device.get_array_filename(s.variables["w"]) for s in synapses]

    def run(presentations: int) -> tuple[float, Weights]:
        began = time.perf_counter()
        subprocess.run(
            ["./main"],
            cwd=scratch / "code",
            check=True,
            env=os.environ | {"PRESENTATIONS": str(presentations * case.steps)},
        )
        seconds = time.perf_counter() - began
        w0, w1 = (
            np.fromfile(f, precision).reshape(w.shape[::-1]).T for f, w in zip(files, (case.w0, case.w1), strict=True)
        )
        return seconds, (w0, w1)

    flags = re.search(r"^OPTIMISATIONS = (?:-I\S+ )?(.*)$", (scratch / "code" / "makefile").read_text(), re.MULTILINE)
    return Peer(run, {"brian2": brian2.__version__}, flags[1] if flags else "")


def _model(case: Case) -> tuple[brian2.Network, list[Any]]:
    brian2.defaultclock.dt = 1 * ms
    rows, rate = len(case.inputs), case.rate
    n_in, n_hidden, n_out = case.sizes
    shown = {
        "inputs": TimedArray(case.inputs, dt=1 * ms),
        "targets": TimedArray(case.targets, dt=1 * ms),
        "rows": rows,
        "eta": rate,
    }
    image = NeuronGroup(n_in, "r : 1", name="image")
    hidden = NeuronGroup(n_hidden, "u : 1\nr : 1\nback : 1\ndelta : 1", name="hidden")
    output = NeuronGroup(n_out, "u : 1\nr : 1\nmismatch : 1", name="answer")
    up = Synapses(image, hidden, "w : 1\nu_post = w*r_pre : 1 (summed)", name="up")
    out = Synapses(hidden, output, "w : 1\nu_post = w*r_pre : 1 (summed)", name="out")
    down = Synapses(output, hidden, "w : 1\nback_post = w*mismatch_pre : 1 (summed)", name="down")
    for synapses, weights in ((up, case.w0), (out, case.w1), (down, case.feedback)):
        synapses.connect()
        synapses.w = weights.T.ravel()
    now = "(timestep(t, dt) % rows)*dt + dt/2, i"
    step = {"dt": 1 * ms, "when": "start"}
    updates = [
        image.run_regularly(f"r = inputs({now})", order=0, **step),
        hidden.run_regularly(f"r = {PHI[case.activation]}", order=2, **step),
        output.run_regularly(f"r = {PHI[case.activation]}\nmismatch = targets({now}) - r", order=4, **step),
        hidden.run_regularly(f"delta = eta*back*{GAIN[case.activation]}", order=6, **step),
        out.run_regularly("w += eta*mismatch_post*r_pre", order=7, **step),
        up.run_regularly("w += delta_post*r_pre", order=8, **step),
    ]
    for synapses, variable, order in ((up, "u_post", 1), (out, "u_post", 3), (down, "back_post", 5)):
        updater = synapses.summed_updaters[variable]
        updater.when, updater.order = "start", order
    network = brian2.Network(image, hidden, output, up, out, down)
    for group in (image, hidden, output, up, out, down):
        group.namespace.update(shown)
    assert len(updates) == 6
    return network, [up, out]


def length_from_environment(main: Path) -> None:
    """`Network::run(0.001, ...)` becomes as many milliseconds as the environment says."""
    text, found = re.subn(
        r"network\.run\([^,]+,", 'network.run(1e-3*std::atof(std::getenv("PRESENTATIONS")),', main.read_text()
    )
    if found != 1:
        raise RuntimeError(f"Brian2's main.cpp calls run {found} times")
    main.write_text("#include <cstdlib>\n" + text)


if __name__ == "__main__":
    serve(prepare)
