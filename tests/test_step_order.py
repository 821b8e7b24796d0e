"""The order of a step is part of a description, `protocol.order`: both readings obey it, and it can be Brian2's."""

import brian2 as b
import numpy as np
import pytest
from tiers import first_of

import bioFA
from bioFA.consumers.reference import Reference
from bioFA.errors import Contradiction, Unavailable

pytestmark = pytest.mark.usefixtures("plain_brian2")
DT, STEPS, SIZE = 1e-4, 2000, 40
JUMP = "dv/dt = (I - v)/(10*ms) : 1 (unless refractory)"


def jumps(folder, order, refractory=0.0, reset="v = 0", model=JUMP, **fields):
    """Neurons that move each other's potential at once, with delays of whole steps, 0 among them."""
    rng = np.random.default_rng(3)
    pre, post = np.nonzero(rng.random((SIZE, SIZE)) < 0.3)
    arrays = {
        "pairs": np.stack([pre, post], axis=1),
        "weights": rng.integers(-8, 14, len(pre)) * 2.0**-7,  # no sum of them rounds
        "delays": rng.integers(0, 30, len(pre)) * DT,
    }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    paths = {name: str(folder / f"{name}.npy") for name in arrays}
    neuron = {
        "name": "equations",
        "model": model,
        "ports": {"syn": "1"},
        "arrival": "v += syn",
        "threshold": "v > 1",
        "reset": reset,
        "refractory": refractory,
        "parameters": {"I": rng.uniform(0.9, 1.4, SIZE).tolist()},
        **fields,
    }
    pathway = {
        "name": "cells_to_cells",
        "source": "cells",
        "target": "cells",
        "port": "syn",
        "connect": {"name": "pairs", "path": paths["pairs"]},
        "weights": {"name": "from_file", "path": paths["weights"]},
        "delay": {"name": "from_file", "path": paths["delays"], "low": 0},
    }
    return arrays, bioFA.Experiment(
        name="jumps",
        circuit={
            "name": "network",
            "populations": [{"name": "cells", "size": SIZE, "neuron": neuron}],
            "pathways": [pathway],
        },
        protocol={"duration": STEPS * DT, "dt": DT, "order": order},
        record={"traces": [{"population": "cells", "variables": ["v"], "neurons": [0, 7]}]},
    )


def in_brian2(arrays, experiment):
    """The same in Brian2 with its default schedule: step and neuron of every spike, and the recorded potentials."""
    neuron = experiment.network.populations[0].neuron
    options = {"refractory": neuron.pause * b.second} if "unless" in neuron.model else {}
    group = b.NeuronGroup(
        SIZE, f"{neuron.model}\nI : 1", threshold="v > 1", reset=neuron.reset, method="euler", namespace={}, **options
    )
    group.I = [float(value) for value in neuron.given["I"].values]
    synapses = b.Synapses(group, group, "w : 1", on_pre="v_post += w")
    synapses.connect(i=arrays["pairs"][:, 0], j=arrays["pairs"][:, 1])
    synapses.w, synapses.delay = arrays["weights"], arrays["delays"] * b.second
    spikes, trace = b.SpikeMonitor(group), b.StateMonitor(group, "v", record=[0, 7], when="after_thresholds")
    b.Network(group, synapses, spikes, trace).run(STEPS * DT * b.second, namespace={})
    steps = np.rint(spikes.t / b.second / DT).astype(int)
    return set(zip(steps.tolist(), spikes.i[:].tolist(), strict=True)), np.array(trace.v)


def found(result):
    """Step whose test found it, and neuron, of every spike."""
    neurons, times = result.spikes("cells")
    return set(zip((np.rint(times / DT).astype(int) - 1).tolist(), neurons.tolist(), strict=True))


@pytest.mark.parametrize("reset", ["v = 0", "v -= 1"])
@pytest.mark.parametrize("refractory", first_of(None, 2e-3, 0.0, 1e-4, count=2))
def test_in_the_order_of_brian2_every_spike_is_brian2s(tmp_path, refractory, reset):
    model = JUMP if refractory is not None else JUMP.replace("(unless refractory)", "")
    arrays, experiment = jumps(tmp_path, "brian2", refractory or 0.0, reset, model)
    theirs, potential = in_brian2(arrays, experiment)
    theirs = {spike for spike in theirs if spike[0] < STEPS - 1}  # that of the last step is published after the run
    for backend in ("numpy", "cpp") if refractory == 2e-3 and reset == "v = 0" else ("numpy",):
        result = bioFA.simulate(experiment, seed=1, backend=backend)
        assert found(result) == theirs
        assert len(theirs) > 300
        # what a step begins with is what Brian2 has after the thresholds of the step before
        np.testing.assert_allclose(result.traces[0]["v"][1:], potential.T[:-1], rtol=0, atol=1e-5)


def test_the_usual_order_is_another_one(tmp_path):
    arrays, experiment = jumps(tmp_path, "deliver_first", 2e-3)
    theirs, _ = in_brian2(arrays, experiment)
    assert len(found(bioFA.simulate(experiment, seed=1, backend="numpy")) ^ theirs) > 50


@pytest.mark.parametrize("method", ["euler", pytest.param("rk4", marks=pytest.mark.slow)])
def test_both_readings_agree_on_texts_that_name_times_and_events(tmp_path, method):
    _, experiment = jumps(
        tmp_path, "brian2", 5e-4, "v = 0.01*t/ms*int(since > 3*ms)", method=method,
        events={"early": {"when": "v > 0.9 and since < 4*ms", "do": "v -= 0.1*int(not not_refractory)"}},
    )  # fmt: skip
    assert bioFA.verify(experiment).agrees


def test_a_run_in_pieces_is_the_whole_run(tmp_path):
    _, experiment = jumps(tmp_path, "brian2", 2e-3, events={"near": {"when": "v > 0.9 and since < 4*ms", "do": ""}})
    instance = bioFA.draw(experiment, 1)
    reference = Reference(instance)
    whole = reference.segment(instance.state, instance.passing(0, 0, 300), learning=False)
    state, spikes = instance.state, []
    for start, stop in ((0, 101), (101, 102), (102, 300)):
        piece = reference.segment(state, instance.passing(0, start, stop), learning=False)
        state = piece.state
        spikes.append(piece.spikes["cells"])
    for name, array in whole.state.items():
        np.testing.assert_array_equal(state[name], array, err_msg=name)
    for one, parts in zip(whole.spikes["cells"], zip(*spikes, strict=True), strict=True):
        np.testing.assert_array_equal(np.concatenate(parts), one)
    assert len(whole.spikes["cells"][0]) > 40


def test_an_order_survives_its_file(tmp_path):
    _, experiment = jumps(tmp_path, "brian2")
    text = bioFA.dumps(experiment)
    assert 'order = "brian2"' in text
    assert bioFA.loads(text) == experiment


def test_a_neuron_that_cannot_be_stepped_so_is_refused():
    cells = {"name": "cells", "size": 2, "neuron": {"name": "lif_exp"}}
    with pytest.raises(Unavailable, match="population 'cells': LifExp cannot be stepped in the order 'brian2'"):
        bioFA.Experiment(
            name="x",
            circuit={"name": "network", "populations": [cells], "pathways": []},
            protocol={"duration": "10 ms", "dt": "1 ms", "order": "brian2"},
        )


def test_a_network_without_steps_has_no_order_of_them():
    with pytest.raises(Contradiction, match="orders the parts of a step"):
        bioFA.Protocol(order="brian2")
