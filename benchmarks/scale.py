"""A large balanced network in which one in ten synapses learns by feedback (`examples/learning/balanced.toml`): memory,
and time a synaptic event, with learning on and off, beside NEST with the plastic synapse that is nearest.

    python -m benchmarks.scale 100000 1000 [ROUNDS]

NEST's network has the same neurons (`iaf_psc_delta`), numbers of synapses, weights, delays and constant drive, drawn by
NEST; what does not learn is `static_synapse_hom_w`, what learns `stdp_synapse`, which sees the spikes of both sides and
no error. Readout and error neurons, 40 of all, are left out there. An event is a spike that one synapse transmits; time
is that of the processor, neurons included, of one thread: of the compiled program with all that it reads and writes,
and of NEST's `Run`. Every run is a process of its own, in turns.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from statistics import median
from typing import Any

from benchmarks import table
from benchmarks.race import ROOT, THREADS, Say
from benchmarks.watch import high_water, watched

MODEL = ROOT / "examples" / "learning" / "balanced.toml"
SIZES = ((10_000, 200, 5), (40_000, 400, 3), (100_000, 1000, 1))
"""Neurons, synapses a neuron, a multiple of 200, and rounds."""
MOST_NEST = 2e7
"""NEST takes part up to so many synapses: it took 1.2 GB for 8e6, about 100 bytes for each more."""
DURATION = 1.0
"""Biological seconds."""
WAYS = ("bioFA, learning", "bioFA, learning off", "NEST, stdp_synapse", "NEST, static")


def scale(sizes: Sequence[tuple[int, int, int]], duration: float, say: Say) -> list[dict[str, Any]]:
    """A row for each size and way: medians over rounds in which every way takes its turn.

    Args:
        sizes: neurons, synapses a neuron, and rounds, of each.
        duration: biological seconds.
        say: called with what is done.
    """
    rows = []
    for neurons, indegree, rounds in sizes:
        _run(WAYS[0], neurons, indegree, 0.01)  # builds the program
        found: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
        for _ in range(rounds):
            for way, samples in found.items():
                if way.startswith("NEST") and neurons * indegree > MOST_NEST:
                    samples[:] = [{"reason": f"not tried above {MOST_NEST:.0e} synapses"}]
                elif not samples or not samples[-1]["reason"]:
                    samples.append(_run(way, neurons, indegree, duration))
        for way, samples in found.items():
            row: dict[str, Any] = {"way": way, "neurons": neurons, "synapses": neurons * indegree, "samples": samples}
            row["reason"] = samples[-1]["reason"]
            if not row["reason"]:
                row |= {name: median(sample[name] for sample in samples) for name in ("ns_an_event", "seconds", "hz")}
                row |= {name: max(sample[name] for sample in samples) for name in ("python_mb", "program_mb")}
            rows.append(row)
        learning, off = (row for row in rows[-len(WAYS) :] if row["way"] in WAYS[:2])
        if not learning["reason"] and not off["reason"]:
            pairs = zip(learning["samples"], off["samples"], strict=True)
            learning["to_off"] = median(one["ns_an_event"] / other["ns_an_event"] for one, other in pairs)
        say(f"{neurons} neurons with {indegree} synapses each done")
    return rows


def _run(way: str, neurons: int, indegree: int, duration: float) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.scale", "--one", way, str(neurons), str(indegree), str(duration)]
    environment = os.environ | THREADS | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        return {"reason": (done.stderr.strip().splitlines() or ["failed"])[-1]}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found | {"reason": ""}


def ours(neurons: int, indegree: int, duration: float, learns: bool) -> dict[str, Any]:
    """The network in bioFA, in float32: peaks of memory, spikes, processor time of the program and of Python."""
    import bioFA

    changes: dict[str, Any] = {
        "constants.neurons": neurons,
        "constants.K": indegree,
        "protocol.duration": duration,
        "protocol.warm_up": 0.1 * duration,
    }
    if not learns:
        changes["protocol.phases"] = [{"duration": duration, "learns": []}]
    with watched(os.getpid()) as peaks:
        result = bioFA.simulate(bioFA.load(MODEL, changes), seed=1, precision="float32")
    spikes = sum(len(result.spikes(population)[0]) for population in ("exc", "inh"))
    gc.collect()  # ends the program, whose processor time is known then
    used, own = (resource.getrusage(whose) for whose in (resource.RUSAGE_CHILDREN, resource.RUSAGE_SELF))
    return {
        "spikes": spikes,
        "seconds": used.ru_utime + used.ru_stime,
        "drawing_s": own.ru_utime + own.ru_stime,
        "python_mb": peaks["own"] / 1024,
        "program_mb": peaks["programs"] / 1024,
    }


def theirs(neurons: int, indegree: int, duration: float, learns: bool) -> dict[str, Any]:
    """The network in NEST."""
    import nest

    nest.verbosity = nest.VerbosityLevel.ERROR
    nest.set(resolution=0.5, local_num_threads=1, rng_seed=1)
    weight = 100.0 / indegree
    cell = {"tau_m": 20.0, "C_m": 20.0, "I_e": 24.0, "E_L": 0.0, "V_th": 20.0, "V_reset": 10.0, "t_ref": 2.0}
    exc, inh = (nest.Create("iaf_psc_delta", round(share * neurons), cell) for share in (0.8, 0.2))
    for cells in (exc, inh):
        cells.V_m = nest.random.uniform(0.0, 20.0)
    for name, value in (("to_more", weight), ("to_less", -6 * weight)):
        nest.CopyModel("static_synapse_hom_w", name, {"weight": value})
    nest.CopyModel("stdp_synapse", "learned", {"weight": weight, "Wmax": 2 * weight})
    joined = (
        (exc, exc, 0.675, "to_more"),
        (exc, exc, 0.125, "learned" if learns else "to_more"),
        (exc, inh, 0.8, "to_more"),
        (inh, exc, 0.2, "to_less"),
        (inh, inh, 0.2, "to_less"),
    )
    for source, target, share, model in joined:
        rule = {"rule": "fixed_indegree", "indegree": round(share * indegree)}
        nest.Connect(source, target, rule, {"synapse_model": model, "delay": 1.5})
    recorder = nest.Create("spike_recorder", params={"record_to": "memory"})
    nest.Connect(exc + inh, recorder)
    nest.Prepare()
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.process_time()
    nest.Run(1e3 * duration)
    seconds = time.process_time() - began
    nest.Cleanup()
    return {
        "spikes": int(recorder.n_events),
        "seconds": seconds,
        "drawing_s": before.ru_utime + before.ru_stime,
        "python_mb": high_water() / 1024,
        "program_mb": 0.0,
    }


def one(way: str, neurons: int, indegree: int, duration: float) -> dict[str, Any]:
    """One run: what it took, ns a synaptic event, and the mean rate in Hz."""
    simulator = ours if way.startswith("bioFA") else theirs
    found = simulator(neurons, indegree, duration, learns=way in (WAYS[0], WAYS[2]))
    events = found["spikes"] * indegree
    return found | {"ns_an_event": 1e9 * found["seconds"] / max(events, 1), "hz": found["spikes"] / neurons / duration}


def main(arguments: Sequence[str]) -> None:
    """One run as JSON (`--one`), or the table of one size, by default of one round."""
    if arguments[:1] == ["--one"]:
        print(json.dumps(one(arguments[1], int(arguments[2]), int(arguments[3]), float(arguments[4]))))
        return
    neurons, indegree, rounds = (int(number) for number in (*arguments, "1")[:3])
    say: Say = lambda message: print(message, file=sys.stderr, flush=True)  # noqa: E731
    print(table.scale(scale([(neurons, indegree, rounds)], DURATION, say)))


if __name__ == "__main__":
    main(sys.argv[1:])
