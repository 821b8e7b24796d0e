"""Networks without a teacher as NIR graphs: the graph alone, read by `nir` and stepped by NIR's equations in NumPy,
gives every spike; so do norse and SpikingJelly where they can; what has no words there is refused.

The tools need an environment of their own, whose Python `BIOFA_CLIENTS` names (`tests/clients/requirements.txt`).
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bioFA import Experiment, exchange
from bioFA.errors import ModelError
from bioFA.exchange import nir_free
from bioFA.runs.trained import Trained

nir = pytest.importorskip("nir")
STEPS = 1000


def ramp(low, high):
    return {"name": "linear", "low": low, "high": high}


def text(model, ports, arrival="", threshold="v > theta", reset="v = back", **more):
    spiking = {"threshold": threshold, "reset": reset} if threshold else {}
    return {"name": "equations", "model": model, "ports": ports, "arrival": arrival} | spiking | more


JUMPS = text(
    "dv/dt = (rest - v)/tau + slow : volt\nslow = push/tau : volt/second",
    {"jump": "volt"},
    "v += jump",
    method="exact",
    parameters={"tau": ramp("15 ms", "20 ms"), "theta": "-50 mV", "back": "-58 mV"}
    | {"rest": "-65 mV", "push": ramp("14 mV", "18 mV")},
    initial={"v": ramp("-64 mV", "-51 mV")},
)
CURRENT = {
    "name": "lif_exp",
    "refractory": "0 ms",
    "tau_exc": "3 ms",
    "tau_inh": "3 ms",
    "i_e": ramp("350 pA", "480 pA"),
}
COUNTER = text(
    "dv/dt = I/c : volt", {"I": "amp", "jump": "volt"}, "v += jump", method="euler",
    parameters={"c": "100 pF", "theta": "10 mV", "back": "0 mV"},
)  # fmt: skip
TOTAL = text("dv/dt = push/second : 1", {"push": "1"}, threshold="", method="euler")
READOUT = text("dv/dt = (push - v)/tau : 1", {"push": "1"}, threshold="", parameters={"tau": "30 ms"}, method="euler")
LEAKY = text(
    "dv/dt = -v/tau : 1", {"jump": "1"}, "v += jump", method="exact",
    parameters={"tau": "20 ms", "theta": 1.0, "back": 0.0},
)  # fmt: skip
SMOOTH = text(
    "dv/dt = (x - v)/tau : 1\ndx/dt = -x/ts : 1", {"push": "1"}, "x += push", "",
    parameters={"tau": "30 ms", "ts": "4 ms"}, method="euler",
)  # fmt: skip


def pathway(source, target, port, weights, delay=None, **more):
    late = {} if delay is None else {"delay": delay}
    found = {"name": f"{source}_to_{target}", "source": source, "target": target, "port": port, "weights": weights}
    return found | late | {"connect": {"name": "fan_in", "count": 4}} | more


def all_kinds():
    """A node of each kind, in two loops, with delays of pathways, of presynaptic and of postsynaptic neurons."""
    spread = {"name": "uniform", "low": "0.4 mV", "high": "1.6 mV"}
    return Experiment(
        name="all kinds",
        circuit={
            "name": "network",
            "populations": [
                {"name": "jumps", "size": 7, "neuron": JUMPS},
                {"name": "current", "size": 9, "neuron": CURRENT},
                {"name": "counter", "size": 5, "neuron": COUNTER},
                {"name": "readout", "size": 2, "neuron": READOUT},
                {"name": "smooth", "size": 2, "neuron": SMOOTH},
                {"name": "total", "size": 2, "neuron": TOTAL},
                {"name": "noise", "size": 30, "neuron": {"name": "poisson", "rate": "80 Hz"}},
                {"name": "given", "size": 2, "neuron": {"name": "spikes_from", "spikes": [[1, "0 ms"], [0, "3 ms"]]}},
                {"name": "wave", "size": 2, "neuron": {"name": "current", "scale": ramp(1.0, 2.0)}
                 | {"values": [["0 ms", "0 pA"], ["30 ms", "90 pA"]], "shape": "linear"}},
            ],
            "pathways": [
                pathway("noise", "jumps", "jump", spread, "0.3 ms"),
                pathway("given", "jumps", "jump", "3 mV", connect={"name": "all"}),
                pathway("jumps", "current", "exc", "90 pA", "1.7 ms"),
                pathway("current", "jumps", "jump", "1 mV"),
                pathway("current", "current", "inh", "40 pA", connect=PAIRS, delay=BY_POST),
                pathway("noise", "current", "exc", "40 pA", connect=PAIRS, delay=BY_PRE),
                pathway("wave", "counter", "I", 1.0, connect={"name": "all"}),
                pathway("jumps", "counter", "jump", "3 mV", "0.1 ms"),
                pathway("jumps", "total", "push", 2.0, "0.1 ms"),
                pathway("current", "readout", "push", 0.5, "2 ms"),
                pathway("jumps", "smooth", "push", {"name": "uniform", "low": -1.0, "high": 1.0}),
            ],
        },
        protocol={"duration": f"{STEPS / 10} ms", "dt": "0.1 ms", "trials": 2},
    )  # fmt: skip


PRE, POST = [0, 1, 2, 3, 0, 1], [4, 5, 6, 4, 7, 8]
PAIRS = {"name": "pairs", "pairs": [list(pair) for pair in zip(PRE, POST, strict=True)]}
BY_PRE = {"name": "values", "values": [f"{1 + 2 * j} ms" for j in PRE]}
BY_POST = {"name": "values", "values": [f"{0.5 * i} ms" for i in POST]}


def one(neuron=JUMPS, port="jump", weights="1 mV", population=(), protocol=(), more=(), also=(), **joined):
    """One population, joined to itself."""
    return Experiment(
        name="one",
        circuit={
            "name": "network",
            "populations": [{"name": "cells", "size": 8, "neuron": neuron} | dict(population), *more],
            "pathways": [pathway("cells", "cells", port, weights, **joined), *also],
        },
        protocol={"duration": "20 ms", "dt": "0.1 ms"} | dict(protocol),
    )


def tool_case(kind):
    """Neurons that begin where they rest and are reset, joined to themselves without delay, with one source."""
    neuron, port, weights = {
        "lif": (LEAKY, "jump", {"name": "uniform", "low": -0.2, "high": 0.3}),
        "cuba": (CURRENT | {"i_e": "0 pA"}, "inh", {"name": "uniform", "low": "-100 pA", "high": "200 pA"}),
    }[kind]
    source = {"name": "noise", "size": 40, "neuron": {"name": "poisson", "rate": "100 Hz"}}
    into, strength = ("jump", 0.25) if kind == "lif" else ("exc", "900 pA")
    joined = one(neuron, port, weights, population={"size": 12}, protocol={"duration": "150 ms"}, more=[source])
    pathways = [
        *joined.circuit.pathways,
        pathway("noise", "cells", into, strength, connect={"name": "fan_in", "count": 20}),
    ]
    return joined.replace(circuit=joined.circuit.replace(pathways=tuple(pathways)))


def exported(experiment, file):
    return exchange.export(Trained(experiment, 1, 0, {}), "nir", file)


def compared(file):
    """Whether the script of the README passes, and what it says, without bioFA."""
    script = re.search(r"```python\n(.*?)```", Path(f"{file}.README.md").read_text(), re.DOTALL)[1]
    done = subprocess.run([sys.executable, "-c", script], cwd=file.parent, capture_output=True, text=True)
    return done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    file = tmp_path_factory.mktemp("kinds") / "kinds.nir"
    return file, exported(all_kinds(), file)


def test_the_graph_alone_gives_every_spike_and_the_potential_of_readouts(written):
    file, _ = written
    passed, said = compared(file)
    print(said)
    assert passed, said
    given = np.load(f"{file}.expected.npz")
    assert int(given["steps"]) == STEPS
    assert min(len(given[f"{name}.steps"]) for name in ("jumps", "current", "counter")) >= 30


def test_neurons_that_nothing_drives_and_those_that_nothing_reaches_are_in_a_graph(tmp_path):
    apart = {"name": "apart", "size": 3, "neuron": CURRENT | {"i_e": "500 pA"}}
    found = exported(one(more=[apart], weights="8 mV", protocol={"duration": "100 ms"}), tmp_path / "alone.nir")
    assert any("no source feeds apart" in sentence for sentence in found.lost)
    passed, said = compared(tmp_path / "alone.nir")
    assert passed, said
    assert not re.search(r": 0 spikes", said), said
    assert exchange.load(tmp_path / "alone.nir").lost == ()
    exported(one(), tmp_path / "loop.nir")
    assert ("nothing_to_cells", "cells") in nir.read(tmp_path / "loop.nir").edges


def test_expected_spikes_that_are_changed_make_the_script_fail(written, tmp_path):
    file, _ = written
    for name in (file.name, f"{file.name}.README.md"):
        (tmp_path / name).write_bytes((file.parent / name).read_bytes())
    given = dict(np.load(f"{file}.expected.npz"))
    given["counter.steps"] = given["counter.steps"] - (np.arange(len(given["counter.steps"])) == 5)
    np.savez(tmp_path / f"{file.name}.expected.npz", **given)
    passed, said = compared(tmp_path / file.name)
    assert not passed
    assert re.search("counter: .* 2 differ", said)


def test_nir_reads_nodes_delays_in_seconds_and_loops(written):
    graph = nir.read(written[0])
    kinds = {name: type(graph.nodes[name]).__name__ for name in graph.nodes}
    assert {
        "jumps": "LIF",
        "current": "CubaLIF",
        "counter": "IF",
        "readout": "LI",
        "smooth": "CubaLI",
        "total": "I",
    }.items() <= (kinds.items())
    assert sorted(name for name, kind in kinds.items() if kind == "Input") == ["given", "noise", "wave"]
    assert sum(kind == "Output" for kind in kinds.values()) == 6
    delays = {name.removesuffix("_delay"): node.delay for name, node in graph.nodes.items() if kinds[name] == "Delay"}
    np.testing.assert_allclose(delays["noise_to_jumps"], np.full(30, 3e-4))
    np.testing.assert_allclose(delays["noise_to_current"][[0, 1, 2, 3]], [1e-3, 3e-3, 5e-3, 7e-3])
    np.testing.assert_allclose(delays["current_to_current"][[4, 5, 6, 7, 8]], [2e-3, 2.5e-3, 3e-3, 3.5e-3, 4e-3])
    assert ("current_to_current", "current_to_current_delay") in graph.edges  # of postsynaptic neurons: behind
    assert ("noise_to_current_delay", "noise_to_current") in graph.edges
    assert {("jumps", "jumps_to_current_delay"), ("current", "current_to_jumps")} <= set(graph.edges)
    np.testing.assert_allclose(graph.nodes["jumps"].tau, np.linspace(15e-3, 20e-3, 7))
    zero, one = graph.metadata["jumps_zero"], graph.metadata["jumps_one"]
    np.testing.assert_allclose(zero + one, -50e-3)
    np.testing.assert_allclose(zero + one * graph.nodes["jumps"].v_reset, -58e-3)


def test_what_is_left_out_is_told_there_and_in_the_readme(written):
    file, found = written
    readme = Path(f"{file}.README.md").read_text()
    for part in (
        "dt (0.0001 s)", "recordings, rates and measures", "which have no Delay", "the method exact of jumps",
        "the threshold test of current", "where v of jumps begins", "v_reset of jumps", "how noise makes what it sends",
        "how wave makes what it sends", "trials after the first", "3 Inputs and 6 Outputs",
    ):  # fmt: skip
        assert any(part in sentence for sentence in found.lost), part
        assert part in readme


def test_the_network_comes_back_and_a_changed_graph_is_told(written, tmp_path):
    found = exchange.load(written[0])
    assert found.trained.experiment == all_kinds()
    assert found.lost == ()
    graph = nir.read(written[0])
    graph.nodes["jumps_to_current"].weight[0, 0] += 1.0
    graph.nodes["jumps_to_current_delay"].delay[:] = 5e-3
    nir.write(tmp_path / "changed.nir", graph)
    assert [sentence.split()[0] for sentence in exchange.load(tmp_path / "changed.nir").lost] == [
        "jumps_to_current.weight", "jumps_to_current_delay.delay",
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["lif", pytest.param("cuba", marks=pytest.mark.slow)])
def test_norse_and_spikingjelly_have_every_spike_of_one_population(kind, tmp_path):
    python = os.environ.get("BIOFA_CLIENTS")
    if not python:
        pytest.skip("BIOFA_CLIENTS names no Python with the tools that run NIR (tests/clients/requirements.txt)")
    lost = exported(tool_case(kind), tmp_path / "one.nir").lost
    assert not any("running in" in sentence for sentence in lost)
    script = Path(__file__).parent / "clients" / "nir_free_client.py"
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    command = [python, script, tmp_path / "one.nir", "cells", "noise"]
    done = subprocess.run(command, capture_output=True, text=True, env=clean)
    assert done.returncode == 0, done.stderr[-3000:]
    spikes = len(np.load(tmp_path / "one.nir.expected.npz")["cells.steps"])
    assert spikes > 300
    assert done.stdout.split() == ["norse", str(spikes), "0", "spikingjelly", str(spikes), "0"]


NOISE = {"name": "noise", "size": 8, "neuron": {"name": "poisson", "rate": "50 Hz"}}


def later(*given, **more):
    return lambda: one(*given, **more)


REFUSED = {
    "refractory": (later(CURRENT | {"refractory": "2 ms"}, "exc", "1 pA"), "a refractory period of 20 steps"),
    "conductances": (later({"name": "lif_cond", "refractory": "0 ms"}, "exc", "1 nS"), "dv/dt = .* is not linear"),
    "adex": (later({"name": "adex"}, "exc", "1 nS"), "dv/dt = .* is not linear"),
    "izhikevich": (later({"name": "izhikevich"}, "exc", "1 mV"), "dv/dt = .* is not linear"),
    "hodgkin_huxley": (later({"name": "hodgkin_huxley", "refractory": "0 ms"}, "exc", "1 nS"), "is not linear"),
    "alpha": (later({"name": "lif_alpha", "refractory": "0 ms"}, "exc", "1 pA"), "is no current that decays"),
    "two time constants": (
        later(
            CURRENT | {"tau_inh": "9 ms"}, "exc", "1 pA", more=[NOISE], also=[pathway("noise", "cells", "inh", "1 pA")]
        ),
        "have different time constants",
    ),
    "two ways": (
        later(CURRENT, "exc", "1 pA", more=[NOISE], also=[pathway("noise", "cells", "I", "1 pA")]),
        "at I acts on v, and what arrives elsewhere on I_exc",
    ),
    "time": (later(JUMPS | {"model": "dv/dt = (rest - v)/tau + push*t/tau**2 : volt", "method": "euler"}), "names t"),
    "noise": (
        later(JUMPS | {"model": "dv/dt = (rest - v)/tau + push*xi*tau**-0.5 : volt", "method": "euler"}),
        "random",
    ),
    "events": (later(JUMPS | {"events": {"half": {"when": "v > -55*mV"}}}), "events of its own"),
    "subtracting": (later(JUMPS | {"reset": "v -= push"}), "the reset v -= push"),
    "moving threshold": (later(JUMPS | {"threshold": "v > theta + t*volt/second"}), "threshold names t"),
    "arrival": (later(JUMPS | {"arrival": "v += jump*(v/rest)"}), "arrival, which sets v"),
    "begins above": (later(JUMPS | {"initial": {"v": "-40 mV"}}), "at or above its threshold"),
    "current at first": (later(CURRENT | {"initial": {"I_exc": "3 pA"}}, "exc", "1 pA"), "I_exc that is not 0"),
    "short": (later(JUMPS | {"parameters": JUMPS["parameters"] | {"tau": "50 us"}}), "shorter than dt"),
    "background": (
        later(population={"background": [{"port": "jump", "rate": "9 Hz", "weight": "1 mV"}]}),
        "has a background",
    ),
    "plastic": (later(dynamics={"name": "tsodyks_markram"}), "has short-term plasticity .tsodyks_markram."),
    "delays": (
        later(delay={"name": "uniform", "low": "1 ms", "high": "3 ms"}),
        "pathway 'cells_to_cells' has delays of 0.00",
    ),
    "order": (later(protocol={"order": "brian2"}), "protocol.order is 'brian2'"),
    "graded": (
        later(
            more=[{"name": "slow", "size": 2, "neuron": {"name": "ornstein_uhlenbeck", "sigma": "1 mV", "tau": "9 ms"}}]
        ),
        "sends graded signals",
    ),
    "one name": (
        later(more=[NOISE | {"neuron": JUMPS, "name": "cells_output"}]),
        "two nodes of the graph would be called",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_has_no_words_in_nir_is_refused(case, tmp_path):
    experiment, message = REFUSED[case]
    with pytest.raises(ModelError, match=message) as error:
        exported(experiment(), tmp_path / "refused.nir")
    print(error.value)
    assert "brian2, sonata or neuroml" in str(error.value) or "Rename one" in str(error.value)
    assert not list(tmp_path.iterdir())


def test_matrices_that_would_take_too_much_are_refused_before_they_are_made(tmp_path, monkeypatch):
    monkeypatch.setattr(nir_free, "LARGEST", 500)
    with pytest.raises(
        ModelError, match=r"no sparse matrices, and dense ones of this network would take 0 MB; at most"
    ):
        exported(one(), tmp_path / "large.nir")
