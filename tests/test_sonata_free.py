"""Networks without a teacher as SONATA: NEST has every spike through bmtk, libsonata reads every synapse, what was
changed afterwards is told, and what the folder has no words for is refused.

The runs need bmtk and NEST (extra `nest`), here or in the environment of the Python that `BIOFA_CLIENTS_NEST` names.
"""

import importlib.util
import json
import os
import re
import subprocess
import sys

import h5py
import numpy as np
import pytest

import bioFA
from bioFA import Experiment, exchange
from bioFA.errors import ModelError
from bioFA.exchange import sonata_free
from bioFA.instance import draw
from bioFA.runs.trained import Trained

SIZE = 8


def ramp(low, high):
    return {"name": "linear", "low": low, "high": high}


JUMPS = {
    "name": "equations",
    "model": "dv/dt = (rest - v)/tau : volt (unless refractory)  # leaky",
    "ports": {"jump": "volt"},
    "arrival": "v += jump",
    "threshold": "v >= theta",
    "reset": "v = back",
    "refractory": "2 ms",
    "method": "exact",
    "parameters": {"tau": ramp("15 ms", "20 ms"), "theta": "-50 mV", "back": "-60 mV", "rest": "-65 mV"},
    "initial": {"v": ramp("-60 mV", "-51 mV")},
}
ONE_CURRENT = {
    "name": "equations",
    "model": "dv/dt = (el - v)/tm + (ie + isyn)/c : volt (unless refractory)\ndisyn/dt = -isyn/ts : amp",
    "ports": {"syn": "amp"},
    "arrival": "isyn += syn",
    "threshold": "v >= theta",
    "reset": "v = el",
    "refractory": "2 ms",
    "method": "exact",
    "initial": {"v": "-70 mV"},
    "parameters": (
        {"tm": "10 ms", "ts": "2 ms", "c": "250 pF", "el": "-70 mV", "theta": "-55 mV"}
        | {"ie": ramp("380 pA", "500 pA")}
    ),
}
KINDS = {
    "exp": ({"name": "lif_exp", "tau_inh": "2 ms", "i_e": ramp("480 pA", "600 pA")}, "exc", "200 pA"),
    "alpha": ({"name": "lif_alpha", "i_e": ramp("600 pA", "700 pA")}, "exc", "200 pA"),
    "cond": ({"name": "lif_cond", "method": "rkf45", "i_e": ramp("180 pA", "280 pA")}, "inh", "4 nS"),
    "adaptive": (
        {"name": "adex", "method": "rkf45", "refractory": "1 ms", "i_e": ramp("900 pA", "1200 pA")}, "exc", "8 nS",
    ),
    "quadratic": ({"name": "izhikevich", "i_e": ramp("5 mV/ms", "9 mV/ms")}, "exc", "2 mV"),
    "jumps": (JUMPS, "jump", "1 mV"),
}  # fmt: skip


def kinds():
    """Six kinds of neurons in a ring, each with its own kind of synapse; backgrounds and given spikes."""
    names = list(KINDS)
    populations = [{"name": name, "size": SIZE, "neuron": KINDS[name][0]} for name in names]
    populations[0]["background"] = [{"port": "inh", "rate": "20 Hz", "count": 10, "weight": "16 pA"}]
    populations[5]["background"] = [{"port": "jump", "rate": "20 Hz", "count": 10, "weight": "0.25 mV"}]
    given = {"name": "spikes_from", "spikes": [[1, "0.1 ms"], [0, "3 ms"], [1, "20 ms"]]}
    populations.append({"name": "given", "size": 2, "neuron": given})
    populations.append({"name": "crowd", "size": 60, "neuron": {"name": "poisson", "rate": "50 Hz"}})
    pathways = []
    for source, target in zip(names, names[1:] + names[:1], strict=True):
        _, port, weight = KINDS[target]
        pathways.append({
            "name": f"{source}_to_{target}",
            "source": source,
            "target": target,
            "port": port,
            "connect": {"name": "fan_in", "count": 4},
            "weights": {"name": "uniform", "low": weight, "high": f"{2 * int(weight.split()[0])} {weight.split()[1]}"},
            "delay": {"name": "uniform", "low": "0.2 ms", "high": "3 ms"},
        })
    pathways[0]["dynamics"] = {"name": "tsodyks_markram", "U": 0.4, "tau_rec": "300 ms", "tau_facil": "50 ms"}
    pathways += [
        {"name": "crowd_to_jumps", "source": "crowd", "target": "jumps", "port": "jump", "weights": "0.5 mV"}
        | {"connect": {"name": "fan_in", "count": 40}, "delay": "0.3 ms"},
        {"name": "given_to_quadratic", "source": "given", "target": "quadratic", "port": "inh", "weights": "4 mV"},
        {"name": "given_to_exp", "source": "given", "target": "exp", "port": "exc", "weights": "512 pA"}
        | {"delay": "0.3 ms"},
    ]
    return Experiment(
        name="kinds",
        circuit={"name": "network", "populations": populations, "pathways": pathways},
        protocol={"duration": "50 ms", "dt": "0.1 ms"},
    )


def small(neuron=ONE_CURRENT, port="syn", size=SIZE, protocol=(), population=(), more=(), **pathway):
    """One population, joined to itself."""
    joined = {"name": "cells_to_cells", "source": "cells", "target": "cells", "port": port, "delay": "1 ms"}
    joined |= {"connect": {"name": "fan_in", "count": 3, "multapses": True}, "weights": "20 pA"} | pathway
    return Experiment(
        name="small",
        circuit={
            "name": "network",
            "populations": [{"name": "cells", "size": size, "neuron": neuron} | dict(population), *more],
            "pathways": [joined],
        },
        protocol={"duration": "60 ms", "dt": "0.1 ms"} | dict(protocol),
    )


def exported(experiment, folder):
    return exchange.export(Trained(experiment, 1, 0, {}), "sonata", folder)


def run_in_nest(folder):
    """Run the commands of the README; whether its comparison passes, and what it says."""
    here = all(importlib.util.find_spec(name) for name in ("bmtk", "nest"))
    python = os.environ.get("BIOFA_CLIENTS_NEST") or (sys.executable if here else None)
    if python is None:
        pytest.skip(
            "bmtk and NEST are not installed: pip install '.[nest]', or name their Python in BIOFA_CLIENTS_NEST"
        )
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run([python, folder / "run_pointnet.py"], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    return python


def compared(python, folder):
    script = re.search(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)[1]
    done = subprocess.run([python, "-c", script], cwd=folder, capture_output=True, text=True)
    return done.returncode == 0, done.stdout + done.stderr


def test_nest_has_every_spike_of_every_kind_of_neuron(tmp_path):
    folder = tmp_path / "kinds"
    assert exported(kinds(), folder).lost == ("traces, rates and measures: the folder keeps every spike",)
    assert exchange.load(folder).lost == ()
    python = run_in_nest(folder)
    fine, said = compared(python, folder)
    assert fine, said
    expected = dict(np.load(folder / "expected.npz"))
    assert min(len(expected[f"{name}.steps"]) for name in KINDS) >= 4, said
    expected["jumps.steps"][2] += 1
    np.savez(folder / "expected.npz", **expected)
    assert not compared(python, folder)[0]


def test_what_is_not_nests_in_every_step_is_near_in_number(tmp_path, monkeypatch):
    """A background of which only the rate is written, and spikes that would come before NEST's first."""
    monkeypatch.setattr(sonata_free, "MOST", 100)
    outside = [{"port": "syn", "rate": "500 Hz", "count": 2, "weight": "16 pA"}]
    folder = tmp_path / "near"
    lost = " ".join(exported(small(size=40, population={"background": outside}), folder).lost)
    assert "random numbers of cells.background_0" in lost
    given = json.loads((folder / "simulation_config.json").read_text())["inputs"]["cells_background_0"]
    assert (given["module"], given["rate"], given["weight"]) == ("poisson", 1000.0, 16.0)
    fine, said = compared(run_in_nest(folder), folder)
    assert fine, said
    assert " 0 differ" not in said
    monkeypatch.undo()
    lost = " ".join(exported(small(size=40, population={"background": outside}), tmp_path / "first").lost)
    early = draw(small(size=40, population={"background": outside}), 1)
    counts = next(iter(sonata_free.free_parts.outside(early, early.network.populations[0]))).numbers(2)
    assert f"{sum(int(n.sum()) for n in counts)} spikes of cells_background_0 that would act in the first steps" in lost


def test_libsonata_reads_every_synapse_and_set(tmp_path, monkeypatch):
    libsonata = pytest.importorskip("libsonata")
    monkeypatch.setattr(sonata_free, "CHUNK", 7)
    experiment = small(delay={"name": "uniform", "low": "0.1 ms", "high": "2 ms"}, weights=ramp("1 pA", "9 pA"))
    exported(experiment, tmp_path / "circuit")
    config = libsonata.CircuitConfig.from_file(str(tmp_path / "circuit" / "circuit_config.json"))
    edges, synapses = config.edge_population("cells_to_cells"), draw(experiment, 1).synapses["cells_to_cells"]
    chosen = edges.select_all()
    assert len(synapses.post) == 3 * SIZE
    np.testing.assert_array_equal(edges.source_nodes(chosen), synapses.pre)
    np.testing.assert_array_equal(edges.target_nodes(chosen), synapses.post)
    np.testing.assert_allclose(edges.get_attribute("delay", chosen), 0.1 * synapses.delays)
    np.testing.assert_allclose(edges.get_attribute("syn_weight", chosen), 1e12 * synapses.weights, rtol=1e-14)
    currents = config.node_population("cells").get_dynamics_attribute("I_e", libsonata.Selection([0, SIZE - 1]))
    np.testing.assert_array_equal(currents, [380.0, 500.0])
    sets = libsonata.NodeSets.from_file(str(tmp_path / "circuit" / "node_sets.json"))
    assert sets.materialize("cells", config.node_population("cells")).flat_size == SIZE


def test_it_comes_back_and_what_was_changed_is_told(tmp_path):
    folder, experiment = tmp_path / "circuit", small()
    exported(experiment, folder)
    back = exchange.load(folder)
    assert back.lost == ()
    assert back.trained.experiment == experiment
    assert back.trained.seed == 1
    with h5py.File(folder / "edges" / "cells_to_cells.h5", "r+") as file:
        file["edges/cells_to_cells/0/syn_weight"][5] += 1.0
    parameters = json.loads((folder / "models" / "cells.json").read_text())
    (folder / "models" / "cells.json").write_text(json.dumps(parameters | {"V_th": -54.0}))
    first, second = exchange.load(folder).lost
    assert "cells.json" in first
    assert "edges 'cells_to_cells': a node, syn_weight or delay was changed" in second


def test_the_weights_are_those_that_learning_left(tmp_path):
    rule = {"name": "equation", "equation": "dw/dt = -learning_rate*w", "learning_rate": 20.0}
    result = bioFA.simulate(small(plasticity=rule), seed=1, backend="numpy")
    left = result.trained.state["cells_to_cells.w"]
    assert left.max() < 15e-12
    lost = exchange.export(result, "sonata", tmp_path / "circuit").lost
    assert "plasticity of cells_to_cells: the weights are those that learning left" in lost
    with h5py.File(tmp_path / "circuit" / "edges" / "cells_to_cells.h5") as file:
        np.testing.assert_allclose(file["edges/cells_to_cells/0/syn_weight"][()], 1e12 * left, rtol=1e-14)
    assert exchange.load(tmp_path / "circuit").lost == ()


COND = {"name": "lif_cond"}
REFUSED = {
    "hodgkin_huxley": (
        lambda: small({"name": "hodgkin_huxley"}, "exc", weights="1 nS"),
        "no neuron like hodgkin_huxley",
    ),
    "text": (lambda: small(ONE_CURRENT | {"threshold": "v > theta"}), "no neuron like equations"),
    "beginning": (lambda: small(ONE_CURRENT | {"initial": {"isyn": "1 pA"}}), "begins with isyn"),
    "delay": (lambda: small(delay="0 ms"), "Give a delay of at least 0.1 ms"),
    "held": (lambda: small({"name": "lif_exp"}, "I"), "iaf_psc_exp takes spikes"),
    "sign": (lambda: small(COND, "exc", weights="-1 nS"), "negative weights at 'exc'"),
    "three": (
        lambda: small(dynamics={"name": "tsodyks_markram", "resources": "three"}),
        "has dynamics of another kind",
    ),
    "uneven": (
        lambda: small(dynamics={"name": "tsodyks_markram", "U": ramp(0.2, 0.6)}),
        "U differ between synapses",
    ),
    "order": (lambda: small(protocol={"order": "brian2"}), "protocol.order is 'brian2'"),
    "graded": (
        lambda: small(more=[{"name": "step", "size": 1, "neuron": {"name": "current", "values": [["0 ms", "1 pA"]]}}]),
        "sends graded signals",
    ),
    "current_clamp": (lambda: bioFA.load("current_clamp"), "no neuron like hodgkin_huxley"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_the_folder_has_no_words_for_is_refused(case, tmp_path):
    make, message = REFUSED[case]
    with pytest.raises(ModelError, match=re.escape(message)):
        exported(make(), tmp_path / "circuit")
    assert list(tmp_path.iterdir()) == []


SMALL = {"constants.order": 20, "record.spikes": [], "record.traces": [], "measures": []}


@pytest.mark.parametrize("model", ["coba", "random_ei"])
def test_built_in_models_are_held(model, tmp_path):
    """Those of the table in `docs/howto/exports_that_run.md`, small."""
    changes = {"protocol.duration": "5 ms", "protocol.warm_up": 0.0} | ({} if model == "coba" else SMALL)
    exported(bioFA.load(model, changes), tmp_path / "circuit")
    templates = {
        path.read_text().split("nest:")[1].split()[0] for path in (tmp_path / "circuit/nodes").glob("exc_t*.csv")
    }
    assert templates == {{"coba": "iaf_cond_exp", "random_ei": "iaf_psc_delta"}[model]}
