"""NeuroML: what is written is what was learned, the official validator accepts it, and jNeuroML gives the same."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from test_brian2_export import learned

import bioFA
from bioFA import exchange
from bioFA.errors import ModelError
from bioFA.neurons.activations import ACTIVATIONS, Activation

NML = "{http://www.neuroml.org/schema/neuroml2}"


def pynml(*arguments, folder):
    """Run pynml, of the environment that BIOFA_NEUROML_PYTHON names, or on PATH."""
    python = os.environ.get("BIOFA_NEUROML_PYTHON")
    command = str(Path(python).parent / "pynml") if python else shutil.which("pynml")
    if command is None or shutil.which("java") is None:
        pytest.skip("needs pynml (pip install pyneuroml) and Java")
    return subprocess.run([command, *arguments], cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture(
    scope="module",
    params=[
        ("digits_spiking", {"protocol.presentations": 3, "circuit.sizes": [64, 60, 10]}),
        ("leaky", {"protocol.presentations": 100}),
    ],
    ids=["spikes", "rates"],
)
def written(request, tmp_path_factory):
    """A network that has learned a little, and its folder."""
    model, changes = request.param
    trained = learned(bioFA.load(model, changes))
    folder = tmp_path_factory.mktemp("neuroml") / model
    exchange.export(trained, "neuroml", folder)
    return trained, folder


def test_weights_stand_in_the_file_as_they_were_learned(written):
    trained, folder = written
    if (folder / "network.nml").exists():
        neuron = trained.experiment.network.population("output").neuron
        found = [
            c
            for p in ElementTree.parse(folder / "network.nml").iter(f"{NML}projection")
            if p.get("id") == "hidden_to_output"
            for c in p
        ]
        ends, scale = ("preCellId", "postCellId"), 1 / (neuron.unit_rate * neuron.tau_syn * neuron.tau * 1e3)
    else:
        found = [
            c
            for p in ElementTree.parse(folder / "rates.xml").iter("continuousProjection")
            if p.get("id") == "hidden_to_output"
            for c in p
        ]
        ends, scale = ("preCell", "postCell"), 1.0
    matrix = np.full_like(trained.state["hidden_to_output.w"], np.nan)
    for connection in found:
        j, i = (int(connection.get(end).split("/")[2]) for end in ends)
        matrix[i, j] = float(connection.get("weight")) / scale
    np.testing.assert_allclose(matrix, trained.state["hidden_to_output.w"], rtol=1e-14)


def test_what_the_format_cannot_hold_is_told_and_read_back(written):
    trained, folder = written
    lost = exchange.export(trained, "neuroml", folder.with_name(f"{folder.name}_again")).lost
    spiking = (folder / "network.nml").exists()
    assert any("plasticity" in sentence for sentence in lost) == spiking
    assert (
        any(
            "learning as LEMS dynamics: poisson_source" in sentence or "learning as LEMS dynamics: lif" in sentence
            for sentence in lost
        )
        == spiking
    )
    assert any("learning but for one presentation" in sentence for sentence in lost) != spiking
    assert (folder / "learning.xml").exists() != spiking
    back = exchange.load(folder, "neuroml").trained
    assert (back.experiment, back.seed, back.presentations) == (trained.experiment, trained.seed, trained.presentations)
    for name, array in trained.state.items():
        np.testing.assert_array_equal(back.state[name], array)


@pytest.mark.parametrize(
    ("model", "why"), [("evidence", "adaptive_lif has no counterpart"), ("digits_plateaus", "pyramidal")]
)
def test_neurons_that_neuroml_has_no_words_for_are_refused(model, why, tmp_path):
    experiment = bioFA.load(model)
    trained = bioFA.runs.trained.Trained(experiment, 1, 0, bioFA.draw(experiment, 1).state)
    with pytest.raises(ModelError, match=why):
        exchange.export(trained, "neuroml", tmp_path / "n")
    assert not (tmp_path / "n").exists()


@pytest.mark.slow
def test_jneuroml_validates_and_gives_the_same(written):
    trained, folder = written
    run = pynml("LEMS_network.xml", "-nogui", folder=folder)
    assert run.returncode == 0, run.stdout[-2000:]
    expected = np.load(folder / "expected.npz")
    if (folder / "network.nml").exists():
        checked = pynml("-validate", "network.nml", folder=folder)
        assert "All valid and no warnings" in checked.stdout + checked.stderr
        for population in ("hidden", "output"):
            ours = expected[f"{population}.s"]
            neurons, times = np.loadtxt(folder / f"spikes_{population}.dat", ndmin=2).reshape(-1, 2).T
            theirs = np.zeros((len(ours) + 10, ours.shape[1]))
            theirs[np.rint(times / trained.experiment.protocol.step).astype(int), neurons.astype(int)] = 1
            assert ours.sum() > 10
            np.testing.assert_array_equal(theirs[: len(ours)], ours)
    else:
        for lag, population in ((2, "hidden"), (3, "output")):
            theirs, ours = np.loadtxt(folder / f"rates_{population}.dat")[lag:, 1:], expected[f"{population}.r"]
            assert np.ptp(ours) > 0.02
            np.testing.assert_allclose(theirs[: len(ours)], ours[: len(theirs)], rtol=0, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(("activation", "scheme"), [("linear", "fa"), ("tanh", "fa"), ("linear", "bp")])
def test_jneuroml_learns_as_we_do(activation, scheme, tmp_path):
    rates = {"learning_rate": 7e-3, "decay": 1e-3}  # so fast that the error changes within the presentation
    changes = {
        "circuit.sizes": [6, 5, 3],
        "task.n_in": 6,
        "task.n_out": 3,
        "task.examples": 40,
        "protocol.presentations": 30,
        "circuit.scheme": scheme,
        "circuit.hidden.activation": activation,
        f"circuit.schemes.{scheme}.rule": {"name": "local_error", **rates},
        f"circuit.schemes.{scheme}.readout_rule": {"name": "delta_rule", **rates},
        "circuit.weights": {"name": "normal", "scale": 0.5},
        "protocol.presentation": "130 ms",
        "protocol.learning_onset": "100 ms",
        "circuit.biases": True,
    }
    trained = learned(bioFA.load("leaky", changes))
    exchange.export(trained, "neuroml", tmp_path / "n")
    run = pynml("LEMS_learning.xml", "-nogui", folder=tmp_path / "n")
    assert run.returncode == 0, run.stdout[-2000:]
    expected = np.load(tmp_path / "n" / "expected_learning.npz")
    assert set(expected.files) == {"input_to_hidden", "hidden_to_output", "bias_to_hidden", "bias_to_output"}
    for pathway in expected.files:
        theirs = np.loadtxt(tmp_path / "n" / f"weights_{pathway}.dat")[-1, 1:].reshape(expected[pathway].shape)
        assert np.abs(expected[pathway]).max() > 1e-4
        assert np.abs(theirs - expected[pathway]).max() < 1e-3 * np.abs(expected[pathway]).max()


@pytest.mark.parametrize(
    ("model", "changes", "why"),
    [
        ("linear", {}, "settles within one step"),
        ("leaky", {"circuit.scheme": "np"}, "carries|no unit|no product"),
        ("leaky", {"circuit.learning": {"batch": 4}}, "bounds, batches or signs"),
        ("leaky", {"circuit.scheme": "brsf"}, "drawn anew"),
    ],
)
def test_learning_that_lems_has_no_words_for_is_told(model, changes, why, tmp_path):
    experiment = bioFA.load(model, changes)
    trained = bioFA.runs.trained.Trained(experiment, 1, 0, bioFA.draw(experiment, 1).state)
    lost = exchange.export(trained, "neuroml", tmp_path / "n").lost
    assert any(re.search(f"learning as LEMS dynamics: .*({why})", sentence) for sentence in lost)
    assert not (tmp_path / "n" / "learning.xml").exists()


STATIC = {
    "linear": {"protocol.presentations": 40},
    "nonlinear": {"protocol.presentations": 40},
    "digits": {"protocol.presentations": 40},
}


@pytest.mark.parametrize("model", STATIC)
def test_static_units_are_simulated_until_every_layer_has_settled(model, tmp_path):
    trained = learned(bioFA.load(model, STATIC[model]))
    exchange.export(trained, "neuroml", tmp_path / "n")
    simulation = ElementTree.parse(tmp_path / "n" / "LEMS_network.xml").getroot().find("Simulation")
    length, step = (float(simulation.get(name).removesuffix("ms")) for name in ("length", "step"))
    assert length / step >= len(trained.experiment.circuit.sizes) + 2
    assert "the last row of a file holds" in (tmp_path / "n" / "README.md").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("model", STATIC)
def test_jneuroml_answers_as_a_static_network_does(model, tmp_path):
    trained = learned(bioFA.load(model, STATIC[model]))
    exchange.export(trained, "neuroml", tmp_path / "n")
    run = pynml("LEMS_network.xml", "-nogui", folder=tmp_path / "n")
    assert run.returncode == 0, run.stdout[-2000:]
    expected = np.load(tmp_path / "n" / "expected.npz")
    for file in (tmp_path / "n").glob("rates_*.dat"):
        ours = expected[f"{file.stem.removeprefix('rates_')}.r"][0]
        assert np.abs(ours).max() > 1e-3
        np.testing.assert_allclose(np.loadtxt(file, ndmin=2)[-1, 1:], ours, rtol=0, atol=1e-6)


def test_the_biases_of_several_constant_neurons_are_summed(tmp_path):
    trained = learned(bioFA.load("digits_dale", {"protocol.presentations": 3}))
    exchange.export(trained, "neuroml", tmp_path / "n")
    inputs = next(
        found
        for found in ElementTree.parse(tmp_path / "n" / "rates.xml").iter("inputList")
        if found.get("id") == "bias_to_excitatory_inputs"
    )
    found = np.zeros(80)
    for one in inputs:
        found[int(one.get("id"))] = float(one.get("weight"))
    weights = trained.state["bias_to_excitatory.w"]
    assert weights.shape == (80, 2)
    assert np.abs(weights[:, 1]).max() > 0
    np.testing.assert_allclose(found, weights.sum(axis=1), rtol=1e-14)


LIF = {"name": "lif", "tau": "20 ms", "tau_syn": "5 ms"}


@pytest.mark.slow
@pytest.mark.parametrize("refractory", ["0 ms", "1 ms", "3 ms"])
def test_refractory_periods_end_at_the_same_step_in_jneuroml(refractory, tmp_path):
    neuron = LIF | {"refractory_period": refractory}
    trained = learned(
        bioFA.load(
            "digits_spiking",
            {
                "circuit.sizes": [64, 20, 10],
                "circuit.hidden": neuron,
                "circuit.output": neuron,
                "circuit.weights": {"name": "uniform", "low": -0.2, "high": 2.0},
                "protocol.presentations": 1,
            },
        )
    )
    exchange.export(trained, "neuroml", tmp_path / "n")
    run = pynml("LEMS_network.xml", "-nogui", folder=tmp_path / "n")
    assert run.returncode == 0, run.stdout[-2000:]
    ours = np.load(tmp_path / "n" / "expected.npz")["hidden.s"]
    neurons, times = np.loadtxt(tmp_path / "n" / "spikes_hidden.dat", ndmin=2).T
    theirs = np.zeros((len(ours) + 10, ours.shape[1]))
    theirs[np.rint(times / trained.experiment.protocol.step).astype(int), neurons.astype(int)] = 1
    gaps = (
        np.diff(np.sort(times[neurons == np.bincount(neurons.astype(int)).argmax()])) / trained.experiment.protocol.step
    )
    # they fire as fast as they may, so that the period counts
    assert round(gaps.min()) <= {"0 ms": 2, "1 ms": 2, "3 ms": 4}[refractory]
    np.testing.assert_array_equal(theirs[: len(ours)], ours)


def test_an_activation_that_nobody_uses_spoils_no_export(monkeypatch, tmp_path):
    monkeypatch.setitem(
        ACTIVATIONS,
        "softplus",
        Activation(lambda u: np.log1p(np.exp(u)), lambda r: 1 - np.exp(-r), "log(1 + exp({u}))", "1 - exp(-r)", False),
    )
    exchange.export(learned(bioFA.load("leaky", {"protocol.presentations": 3})), "neuroml", tmp_path / "n")
    assert (tmp_path / "n" / "learning.xml").exists()
