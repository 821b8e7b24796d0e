"""ANNarchy: rate-coded populations and projections from equations, compiled to C++, dense matrices, one thread.

Populations see the rates of the previous step, so one presentation takes four steps: the input is shown, the
hidden layer answers, the output answers and is compared, the error arrives. Learning is on in the fourth only
(`enable_learning(period, offset)`). The time is that of a whole presentation, all four steps.
"""

from __future__ import annotations

import os
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np

from benchmarks.case import Case
from benchmarks.serve import Peer, Weights, serve

os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
import ANNarchy as ann

STEPS = 4
FLAGS = "-O3 -ffast-math -march=native"
PHI = {"linear": "sum(up)", "logistic": "1.0/(1.0 + exp(-sum(up)))"}
GAIN = {"linear": "1.0", "logistic": "r*(1.0 - r)"}


def prepare(case: Case, precision: str, options: list[str], scratch: Path) -> Peer:
    """Write the model and have ANNarchy compile it."""
    network = ann.Network(dt=1.0)
    network.config(dtype=getattr(ann, precision), num_threads=1)
    phi, gain = PHI[case.activation], GAIN[case.activation]
    _, n_hidden, n_out = case.sizes
    times = {"schedule": float(STEPS), "period": float(STEPS * len(case.inputs))}
    image, target = (network.create(ann.TimedArray(rates=array, **times)) for array in (case.inputs, case.targets))
    hidden = network.create(n_hidden, ann.Neuron(equations=f"r = {phi}\nback = sum(down)\ndelta = back*{gain}"))
    output = network.create(n_out, ann.Neuron(equations=f"r = {phi}\nmismatch = sum(wanted) - r"))

    def rule(term: str) -> ann.Synapse:
        return ann.Synapse(
            parameters=f"eta = {case.rate!r} : projection", equations=f"w += eta*post.{term}*pre.r", psp="w*pre.r"
        )

    pathways = [
        (network.connect(image, hidden, "up", rule("delta")), case.w0),
        (network.connect(hidden, output, "up", rule("mismatch")), case.w1),
        (network.connect(output, hidden, "down", ann.Synapse(psp="w*pre.mismatch")), case.feedback),
    ]
    for projection, _ in pathways:
        projection.connect_all_to_all(weights=0.1, storage_format="dense")
    network.connect(target, output, "wanted").connect_one_to_one(weights=1.0)
    network.compile(directory=str(scratch / "annarchy"), compiler_flags=FLAGS, silent=True)
    (first, w0), (second, w1), (back, feedback) = pathways
    back.w = feedback.tolist()
    for projection in (first, second):
        projection.enable_learning(period=float(STEPS), offset=float(STEPS - 1))

    def run(presentations: int) -> tuple[float, Weights]:
        first.w, second.w = w0.tolist(), w1.tolist()
        image.reset()
        target.reset()
        began = time.perf_counter()
        network.simulate(float(STEPS * presentations))
        return time.perf_counter() - began, (np.array(first.w), np.array(second.w))

    return Peer(run, {"annarchy": version("annarchy")}, FLAGS, f"{STEPS} steps a presentation")


if __name__ == "__main__":
    serve(prepare)
