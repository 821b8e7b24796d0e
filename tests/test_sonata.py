"""SONATA: what a folder holds is read by libsonata to the last bit, runs in NEST through bmtk spike for spike,
and comes back.

The runs need bmtk and NEST (extra `nest`), here or in the environment of the Python that `BIOFA_CLIENTS_NEST` names;
without them they are skipped.
"""

import importlib.util
import json
import os
import subprocess
import sys

import h5py
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import bioFA
from bioFA import Experiment, Network, Pathway, Population, Protocol, cli, exchange
from bioFA.errors import FileError, ModelError
from bioFA.instance import draw
from bioFA.neurons.adaptive_lif import AdaptiveLif
from bioFA.neurons.constant_source import ConstantSource
from bioFA.neurons.error_unit import ErrorUnit
from bioFA.neurons.leaky_rate import LeakyRate
from bioFA.neurons.lif import Lif
from bioFA.neurons.poisson_source import PoissonSource
from bioFA.neurons.rate_source import RateSource
from bioFA.neurons.spike_source import SpikeSource
from bioFA.rules.local_error import LocalError
from bioFA.rules.superspike import Superspike
from bioFA.runs.simulation import consumer
from bioFA.runs.trained import Trained
from bioFA.tasks.arrays import Arrays
from bioFA.tasks.linear_teacher import LinearTeacher
from bioFA.weights import Constant, Identity, Normal, Redrawn, SharedWith

STEPS = 1500
HIDDEN = Lif(tau="20 ms", tau_syn="5 ms", refractory_period="2 ms", v_reset=-0.1, test="reach")
ANSWER = Lif(tau="10 ms", tau_syn="3 ms", refractory_period="1 ms", test="reach")


def described(dt=1e-4, steps=STEPS, relayed=False, hidden=HIDDEN, answer=ANSWER, pathways=(), change=None):
    """Poisson inputs, 30 hidden and 5 answering neurons, a tonic drive, feedback; with `relayed`,
    hidden neurons reach each other through relays."""
    populations = [
        Population("image", size=20, neuron=PoissonSource(max_rate="80 Hz")),
        Population("tonic", size=1, neuron=ConstantSource()),
        Population("hidden", size=30, neuron=hidden),
        Population("answer", size=5, neuron=answer),
        Population("wanted", size=5, neuron=RateSource(of="targets")),
        Population("mismatch", size=5, neuron=ErrorUnit()),
    ]
    joined = [
        Pathway(
            "image_to_hidden", source="image", target="hidden", carries="train", weights=Normal(scale=1.5, mean=0.3)
        ),
        Pathway("tonic_to_hidden", source="tonic", target="hidden", weights=Constant(value=0.4)),
        Pathway(
            "hidden_to_answer", source="hidden", target="answer", carries="train", weights=Normal(scale=1.0, mean=0.6)
        ),
        Pathway("wanted_to_mismatch", source="wanted", target="mismatch", port="target", weights=Identity()),
        Pathway("answer_to_mismatch", source="answer", target="mismatch", port="prediction", weights=Identity()),
        Pathway("mismatch_to_hidden", source="mismatch", target="hidden", port="error", weights=Normal()),
        *pathways,
    ]
    if relayed:
        populations.append(Population("relay", size=30, neuron=LeakyRate(tau=dt)))
        joined.append(Pathway("hidden_to_relay", source="hidden", target="relay", carries="train", weights=Identity()))
        joined.append(Pathway("relay_to_hidden", source="relay", target="hidden", weights=Normal(scale=1.5)))
    joined = [p.replace(**(change or {}).get(p.name, {})) for p in joined]
    return Experiment(
        name="sonata",
        circuit=Network(populations=tuple(populations), pathways=tuple(joined)),
        task=LinearTeacher(n_in=20, n_out=5, examples=3, test_examples=2),
        protocol=Protocol(dt=dt, presentation=steps * dt, reset=True),
    )


RECURRENT = Pathway("hidden_to_hidden", source="hidden", target="hidden", carries="train", weights=Normal(scale=1.5))


def trained(experiment, seed=1):
    return Trained(experiment, seed, 0, dict(draw(experiment, seed).state))


def raster(path, population, dt, size, steps):
    """Spikes of a SONATA file as `(steps, size)`; a spike of step k has the time (k + 1) dt."""
    found = np.zeros((steps + 20, size), dtype=int)
    with h5py.File(path) as file:
        group = file[f"spikes/{population}"]
        found[np.round(group["timestamps"][()] / (1e3 * dt)).astype(int) - 1, group["node_ids"][()].astype(int)] = 1
    return found


SYSTEMS = {
    "learns": lambda: described(
        1e-3,
        20,
        hidden=Lif(surrogate="fast_sigmoid"),
        pathways=(RECURRENT.replace(plasticity=Superspike(tau_mem="20 ms"), density=0.5),),
        change={
            "tonic_to_hidden": {"plasticity": LocalError()},
            "mismatch_to_hidden": {"weights": SharedWith(pathway="hidden_to_answer", transposed=True)},
        },
    ),
    "relayed": lambda: described(steps=20, relayed=True),
    "redrawn feedback": lambda: described(
        steps=20, change={"mismatch_to_hidden": {"weights": Redrawn(weights=Normal())}}
    ),
    "digits_spiking": lambda: bioFA.load("digits_spiking"),
    "rates": lambda: bioFA.load("leaky"),
    "static": lambda: bioFA.load("linear"),
}


@pytest.mark.parametrize("name", SYSTEMS)
def test_what_was_written_comes_back_bit_for_bit(name, tmp_path):
    experiment = SYSTEMS[name]()
    rng = np.random.default_rng(3)
    first = draw(experiment, 5).state
    state = {
        key: (
            np.where(array == 0, 0.0, array + rng.standard_normal(array.shape))
            if key.endswith(".w")
            else array + rng.standard_normal(array.shape)
        )
        for key, array in first.items()
    }
    exchange.export(Trained(experiment, 5, 17, state), "sonata", tmp_path / "circuit")
    found = exchange.load(tmp_path / "circuit", "sonata")
    assert found.lost == ()
    assert (found.trained.experiment, found.trained.seed, found.trained.presentations) == (experiment, 5, 17)
    assert found.trained.state.keys() == state.keys()
    for key, array in state.items():
        np.testing.assert_array_equal(found.trained.state[key], array, err_msg=key)


LOSSY = {
    "Euler decay of hidden": lambda: described(hidden=HIDDEN.replace(decay="euler")),
    "the reset of hidden": lambda: described(hidden=HIDDEN.replace(reset="subtract")),
    "the threshold test of answer": lambda: described(answer=ANSWER.replace(test="above")),
    "timing of the recurrence of hidden": lambda: described(pathways=(RECURRENT,)),
    "the neuron model of hidden": lambda: described(hidden=AdaptiveLif()),
    "what hidden_to_answer carries (r)": lambda: described(change={"hidden_to_answer": {"carries": "r"}}),
    "the weights of mismatch_to_hidden": lambda: described(
        change={"mismatch_to_hidden": {"weights": Redrawn(weights=Normal())}}
    ),
    "plasticity (local_error at tonic_to_hidden)": lambda: described(
        change={"tonic_to_hidden": {"plasticity": LocalError()}}
    ),
}
ALWAYS = ("feedback (mismatch_to_hidden)", "the task:")


@pytest.mark.parametrize("sentence", LOSSY)
def test_what_is_lost_is_told(sentence, tmp_path):
    experiment = LOSSY[sentence]()
    state = trained(experiment.replace(protocol=Protocol(dt=1e-4, presentation=2e-3))).save(tmp_path / "state.h5")
    outcome = CliRunner().invoke(cli.main, ["export", str(state), "--to", "sonata", "--out", str(tmp_path / "circuit")])
    assert outcome.exit_code == 0, outcome.output
    assert f"lost: {sentence}" in outcome.output
    for one in ALWAYS:
        assert f"lost: {one}" in outcome.output
    assert outcome.output.count("lost:") == 3


def test_a_network_without_weights_to_write_is_refused(tmp_path):
    state = trained(described(change={"image_to_hidden": {"weights": Redrawn(weights=Normal())}}, steps=20)).save(
        tmp_path / "state.h5"
    )
    outcome = CliRunner().invoke(cli.main, ["export", str(state), "--to", "sonata", "--out", str(tmp_path / "circuit")])
    assert outcome.exit_code == 2
    assert "draws its weights anew" in outcome.stderr
    assert not (tmp_path / "circuit").exists()


def test_weights_that_another_tool_changed_are_taken(tmp_path):
    given = trained(described(steps=20))
    exchange.export(given, "sonata", tmp_path / "circuit")
    with h5py.File(tmp_path / "circuit" / "edges" / "hidden_to_answer.h5", "r+") as file:
        file["edges/hidden_to_answer/0/syn_weight"][31] *= 3
    found = exchange.load(tmp_path / "circuit", "sonata")
    assert [sentence.split(":")[0] for sentence in found.lost] == [
        "the weights that bioFA had noted for hidden_to_answer"
    ]
    for name, array in given.state.items():
        expected = array.copy()
        if name == "hidden_to_answer.w":
            expected[1, 1] = found.trained.state[name][1, 1]
            assert expected[1, 1] == pytest.approx(3 * array[1, 1], rel=1e-12)
        np.testing.assert_array_equal(found.trained.state[name], expected, err_msg=name)


def test_damaged_circuits_are_refused(tmp_path):
    exchange.export(trained(described(steps=20)), "sonata", tmp_path / "circuit")
    edges = tmp_path / "circuit" / "edges" / "hidden_to_answer.h5"
    with h5py.File(edges, "r+") as file:
        file["edges/hidden_to_answer/source_node_id"][3] = 30
    with pytest.raises(FileError, match="must have weights of shape"):
        exchange.load(tmp_path / "circuit", "sonata")
    with h5py.File(edges, "r+") as file:
        del file["edges/hidden_to_answer/0/weight"]
    with pytest.raises(FileError, match="lacks the edges hidden_to_answer"):
        exchange.load(tmp_path / "circuit", "sonata")
    edges.unlink()
    with pytest.raises(FileError, match="not a whole SONATA circuit"):
        exchange.load(tmp_path / "circuit", "sonata")
    with pytest.raises(FileError, match="holds no configuration"):
        exchange.load(tmp_path, "sonata")


def test_libsonata_reads_every_weight_and_spike(tmp_path):
    libsonata = pytest.importorskip("libsonata")
    given = trained(described(relayed=True, change={"image_to_hidden": {"density": 0.4}}))
    exchange.export(given, "sonata", tmp_path / "circuit")
    circuit = libsonata.CircuitConfig.from_file(str(tmp_path / "circuit" / "circuit_config.json"))
    network = given.experiment.network
    assert circuit.edge_populations == {
        "image_to_hidden",
        "tonic_to_hidden",
        "hidden_to_answer",
        "mismatch_to_hidden",
        "relay_to_hidden",
    }
    for name in circuit.edge_populations:
        edges, pathway = circuit.edge_population(name), network.pathway(name)
        everything = libsonata.Selection([(0, edges.size)])
        at = tuple(np.asarray(ids(everything), dtype=int) for ids in (edges.target_nodes, edges.source_nodes))
        for attribute, factor in (("weight", 1.0), ("syn_weight", _jump(network, pathway))):
            weights = np.zeros(network.shape(pathway))
            weights[at] = edges.get_attribute(attribute, everything)
            np.testing.assert_allclose(
                weights, factor * given.state[f"{name}.w"], rtol=0 if attribute == "weight" else 1e-12
            )
        assert set(edges.get_attribute("delay", everything)) == {0.1}
    assert circuit.edge_population("mismatch_to_hidden").source == "mismatch"
    assert circuit.edge_population("relay_to_hidden").source == "hidden"
    assert circuit.edge_population("image_to_hidden").size == np.count_nonzero(given.state["image_to_hidden.w"]) < 400
    spikes = libsonata.SpikeReader(str(tmp_path / "circuit" / "inputs" / "image.h5"))["image"].get()
    assert len(spikes) == raster(tmp_path / "circuit" / "inputs" / "image.h5", "image", 1e-4, 20, STEPS).sum() > 50


def spikes_of(experiment):
    """The spikes of one presentation of the first test example, by the reference, `(steps, size)` by population."""
    instance = draw(experiment, 1)
    return {
        name: raster[0]
        for name, raster in (
            consumer(instance, "numpy")
            .segment(instance.state, instance.evaluation("test"), learning=False, rasters=True)
            .rasters.items()
        )
    }


def test_the_spikes_in_the_folder_are_those_of_one_example_at_their_times(tmp_path):
    experiment = described(steps=1000)
    exchange.export(trained(experiment), "sonata", tmp_path / "circuit")
    ours = spikes_of(experiment)
    found = raster(tmp_path / "circuit" / "inputs" / "image.h5", "image", 1e-4, 20, 1000)
    assert found.sum() > 20
    np.testing.assert_array_equal(found[:1000], ours["image"])
    with np.load(tmp_path / "circuit" / "expected.npz") as expected:
        assert sorted(expected.files) == ["answer", "hidden"]
        np.testing.assert_array_equal(expected["hidden"][1:], ours["hidden"][:-1])  # a layer is a step later in NEST
        assert expected["hidden"].sum() > 20


def test_errors_that_spike_are_no_input_of_the_circuit(tmp_path):
    experiment = bioFA.load("digits_spiking_errors", {"circuit.sizes": [64, 20, 10], "protocol.presentations": 1})
    exchange.export(trained(experiment), "sonata", tmp_path / "circuit")
    inputs = json.loads((tmp_path / "circuit" / "simulation_config.json").read_text())["inputs"]
    assert (
        sorted(inputs) == sorted(path.stem for path in (tmp_path / "circuit" / "inputs").iterdir()) == ["bias", "input"]
    )


def _jump(network, pathway):
    """The current in pA (C_m in pF being tau in ms) by which a spike through a weight of 1 moves its target,
    worked out anew."""
    if pathway.port == "error":
        return 1.0
    tau_syn = network.population(pathway.target).neuron.tau_syn
    return {"image": 1 / 80.0, "hidden": 1 / 100.0, "relay": 1 / 100.0, "tonic": 1e-4}[pathway.source] / tau_syn


# in NEST


def run_in_nest(folder):
    python = os.environ.get("BIOFA_CLIENTS_NEST") or (
        sys.executable if all(importlib.util.find_spec(name) for name in ("bmtk", "nest")) else None
    )
    if python is None:
        pytest.skip(
            "bmtk and NEST are not installed: pip install '.[nest]', or name their Python in BIOFA_CLIENTS_NEST"
        )
    done = subprocess.run(
        [python, folder / "run_pointnet.py"],
        capture_output=True,
        text=True,
        env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
    )
    assert done.returncode == 0, done.stderr[-3000:]


def mismatches_in_nest(experiment, folder):
    """(spikes, (step, neuron) entries that differ) of both layers; in NEST layer k is k steps later.
    What the folder expects differs in none."""
    exchange.export(trained(experiment), "sonata", folder)
    run_in_nest(folder)
    found, spikes = {}, spikes_of(experiment)
    for lag, (name, size) in enumerate((("hidden", 30), ("answer", 5)), 1):
        ours, theirs = spikes[name], raster(folder / "output" / "spikes.h5", name, experiment.protocol.dt, size, STEPS)
        found[name] = int(ours.sum()), int((ours != theirs[lag : lag + STEPS]).sum())
        with np.load(folder / "expected.npz") as expected:
            np.testing.assert_array_equal(theirs[:STEPS], expected[name])
    return found


@pytest.mark.parametrize(
    ("dt", "relayed"),
    [
        pytest.param(1e-4, False, marks=pytest.mark.slow, id="layers"),
        pytest.param(1e-4, True, id="recurrent"),
        pytest.param(1e-3, True, marks=pytest.mark.slow, id="recurrent_1_ms"),
    ],
)
def test_nest_runs_the_folder_spike_for_spike(dt, relayed, tmp_path):
    for name, (spikes, differ) in mismatches_in_nest(described(dt, relayed=relayed), tmp_path / "circuit").items():
        print(dt, relayed, name, "spikes", spikes, "mismatches", differ)
        assert spikes > 100, name
        assert differ == 0, name


@pytest.mark.slow
def test_recurrence_without_a_relay_is_another_network_in_nest(tmp_path):
    assert mismatches_in_nest(described(pathways=(RECURRENT,)), tmp_path / "circuit")["hidden"][1] > 100


# circuits of others


def without_annotation(folder):
    """The folder as if others had written it."""
    (folder / "bioFA.h5").unlink()
    circuit = json.loads((folder / "circuit_config.json").read_text())
    del circuit["components"]["bioFA"]
    circuit["manifest"] = {"$BASE": "${configdir}", "$BASE_DIR": "$BASE"}
    circuit["networks"]["edges"] = [e for e in circuit["networks"]["edges"] if "mismatch" not in e["edges_file"]]
    circuit["networks"]["nodes"] = [n for n in circuit["networks"]["nodes"] if "mismatch" not in n["nodes_file"]]
    (folder / "circuit_config.json").write_text(json.dumps(circuit))


def test_a_circuit_of_others_spikes_as_it_did(tmp_path):
    theirs = described(pathways=(RECURRENT,))
    exchange.export(trained(theirs), "sonata", tmp_path / "circuit")
    without_annotation(tmp_path / "circuit")
    found = exchange.load(tmp_path / "circuit", "sonata")
    experiment = found.trained.experiment
    assert [p.name for p in experiment.network.populations[:3]] == ["input", "hidden", "answer"]
    spikes = np.concatenate(
        [
            raster(tmp_path / "circuit" / "inputs" / f"{name}.h5", name, 1e-4, size, STEPS)[:STEPS]
            for name, size in (("image", 20), ("tonic", 1))
        ],
        axis=1,
    )
    np.savez(tmp_path / "spikes.npz", inputs=spikes[np.newaxis].astype(float), targets=np.ones((1, 5)))
    populations = tuple(
        p.replace(neuron=SpikeSource()) if p.name == "input" else p for p in experiment.network.populations
    )
    fed = experiment.replace(
        circuit=experiment.network.replace(populations=populations), task=Arrays(path=str(tmp_path / "spikes.npz")),
        protocol=experiment.protocol.replace(presentation=STEPS * 1e-4),
    )
    instance = draw(fed, 1)
    ours = (
        consumer(instance, "numpy")
        .segment(instance.state, instance.training(0, 1), learning=False, rasters=True)
        .rasters
    )
    for name in ("hidden", "answer"):
        expected = spikes_of(theirs)[name]
        assert expected.sum() > 100
        np.testing.assert_array_equal(ours[name][0], expected)


def test_the_same_circuit_in_millivolts_and_with_weights_by_type_is_read_as_the_same_network(tmp_path):
    experiment = described(steps=20, change={"hidden_to_answer": {"weights": Constant(value=0.7)}})
    networks = []
    for name in ("plain", "other"):
        exchange.export(trained(experiment), "sonata", tmp_path / name)
        without_annotation(tmp_path / name)
        if name == "other":
            _in_millivolts(tmp_path / name, experiment)
        found = exchange.load(tmp_path / name, "sonata").trained
        networks.append(found)
    merged = networks[1].state["hidden_1_to_answer.w"], networks[1].state["hidden_2_to_answer.w"]
    np.testing.assert_allclose(np.concatenate(merged, axis=1), networks[0].state["hidden_to_answer.w"], rtol=1e-12)
    rows = np.concatenate([networks[1].state[f"input_to_hidden_{n}.w"] for n in (1, 2)])
    np.testing.assert_allclose(rows, networks[0].state["input_to_hidden.w"], rtol=1e-9)
    theirs = networks[1].experiment.network
    for name in ("hidden_1", "hidden_2"):
        neuron, expected = theirs.population(name).neuron, networks[0].experiment.network.population("hidden").neuron
        assert neuron.parameters() == pytest.approx(expected.parameters(), rel=1e-9)
    assert theirs.population("hidden_2").size == 18


def _in_millivolts(folder, experiment):
    """The hidden population with two node types of equal neurons, in mV with C_m = 250 pF;
    the last pathway's weights by type, two synapses an edge."""
    types = pd.read_csv(folder / "nodes" / "hidden_types.csv", sep=" ")
    types = pd.concat([types.assign(node_type_id=1), types.assign(node_type_id=2)])
    types["C_m"] = 250.0
    types.to_csv(folder / "nodes" / "hidden_types.csv", sep=" ", index=False)
    with h5py.File(folder / "nodes" / "hidden.h5", "r+") as file:
        file["nodes/hidden/node_type_id"][...] = np.where(np.arange(30) < 12, 1, 2)
    model = folder / "models" / "hidden.json"
    model.write_text(json.dumps(json.loads(model.read_text()) | {"E_L": -65.0, "V_th": -50.0, "V_reset": -66.5}))
    for name in ("image_to_hidden", "tonic_to_hidden"):
        with h5py.File(folder / "edges" / f"{name}.h5", "r+") as file:
            file[f"edges/{name}/0/syn_weight"][...] *= 15.0 * 250.0 / 20.0
    edges = folder / "edges" / "hidden_to_answer_types.csv"
    with h5py.File(folder / "edges" / "hidden_to_answer.h5", "r+") as file:
        value = float(file["edges/hidden_to_answer/0/syn_weight"][0])
        del file["edges/hidden_to_answer/0/syn_weight"]
    pd.read_csv(edges, sep=" ").assign(syn_weight=value / 2, nsyns=2).to_csv(edges, sep=" ", index=False)


def test_what_bioFA_takes_from_a_circuit_of_others_is_told_and_runs_at_once(tmp_path):
    exchange.export(trained(described(steps=20)), "sonata", tmp_path / "circuit")
    without_annotation(tmp_path / "circuit")
    with h5py.File(tmp_path / "circuit" / "edges" / "image_to_hidden.h5", "r+") as file:
        file["edges/image_to_hidden/0/delay"][...] = 1.5
    model = tmp_path / "circuit" / "models" / "hidden.json"
    model.write_text(json.dumps(json.loads(model.read_text()) | {"I_e": 0.25}))
    (tmp_path / "circuit" / "simulation_config.json").unlink()
    outcome = CliRunner().invoke(
        cli.main, ["import", str(tmp_path / "circuit"), "--from", "sonata", "--out", str(tmp_path / "mine")]
    )
    assert outcome.exit_code == 0, outcome.output
    for sentence in ("the time step", "delays of 0.1, 1.5 ms", "I_e", "the readout", "the spikes of the sources"):
        assert sentence in outcome.output
    arguments = [
        "run",
        str(tmp_path / "mine" / "model.toml"),
        "--backend",
        "numpy",
        "--set",
        "task.examples=5",
        "--set",
        "task.test_examples=2",
        "--out",
        str(tmp_path / "run"),
        "--json",
    ]
    assert CliRunner().invoke(cli.main, arguments).exit_code == 0
    assert bioFA.load(str(tmp_path / "mine" / "model.toml")).network.pathway("bias_to_hidden")


def _write(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda folder: _write(folder / "models" / "hidden.json", tau_syn_in=7.0), "two synaptic time constants"),
        (
            lambda folder: (folder / "nodes" / "hidden_types.csv").write_text(
                "node_type_id model_type model_template\n3 biophysical ctdb:Biophys1.hoc\n"
            ),
            "model template ctdb:Biophys1.hoc",
        ),
        (
            lambda folder: [
                (folder / "nodes" / f"{name}_types.csv").write_text(
                    (folder / "nodes" / "answer_types.csv").read_text().replace("4 answer", f"{n} {name}")
                )
                for n, name in ((1, "image"), (2, "tonic"))
            ],
            "no population is virtual",
        ),
        (
            lambda folder: _drop(folder / "edges" / "image_to_hidden.h5", "edges/image_to_hidden/0/syn_weight"),
            "have no syn_weight",
        ),
    ],
    ids=["two time constants", "a template of others", "no source", "no weights"],
)
def test_a_circuit_that_bioFA_cannot_describe_is_refused(spoil, complaint, tmp_path):
    exchange.export(trained(described(steps=20)), "sonata", tmp_path / "circuit")
    without_annotation(tmp_path / "circuit")
    spoil(tmp_path / "circuit")
    with pytest.raises(ModelError, match=complaint):
        exchange.load(tmp_path / "circuit", "sonata")


def _drop(path, name):
    with h5py.File(path, "r+") as file:
        del file[name]


@pytest.fixture
def theirs(tmp_path):
    """A folder of others, to be changed."""
    exchange.export(trained(described(steps=20)), "sonata", tmp_path / "circuit")
    without_annotation(tmp_path / "circuit")
    return tmp_path / "circuit"


def in_types(folder, table, **columns):
    path = folder / table
    pd.read_csv(path, sep=" ").assign(**columns).to_csv(path, sep=" ", index=False)


def in_model(folder, **parameters):
    path = folder / "models" / "hidden.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | parameters))


def each_node(folder, name, values):
    with h5py.File(folder / "nodes" / "hidden.h5", "r+") as file:
        file[f"nodes/hidden/0/{name}"] = values


def clamped(folder):
    path = folder / "simulation_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"inputs": {"clamp": {"module": "IClamp"}}}))


UNREAD = {
    "a function of weights": (
        lambda f: in_types(f, "edges/image_to_hidden_types.csv", weight_function="halve"),
        "edges 'image_to_hidden': weight_function (1 value) is not used",
    ),
    "a plastic synapse": (
        lambda f: in_types(f, "edges/image_to_hidden_types.csv", model_template="stdp_synapse"),
        "the synapses of the edges image_to_hidden (stdp_synapse): static weights",
    ),
    "a first potential": (
        lambda f: in_model(f, i_0=-55.0),
        "parameters of 'hidden' (hidden.json): i_0 (1 value) is not used",
    ),
    "escape noise": (lambda f: in_model(f, delta=1.0, rho=0.1), "rho (1 value) is not used"),
    "thresholds of single nodes": (
        lambda f: each_node(f, "dynamics_params/V_th", np.ones(30)),
        "nodes 'hidden', each: dynamics_params/V_th (30 values) is not used",
    ),
    "positions": (lambda f: each_node(f, "x", np.ones(30)), "nodes 'hidden', each: x (30 values) is not used"),
    "a current clamp": (clamped, "inputs of the simulation: clamp (1 value) is not used"),
}


@pytest.mark.parametrize("case", UNREAD)
def test_what_an_import_does_not_use_is_told_by_its_name(case, theirs):
    change, sentence = UNREAD[case]
    assert not any(sentence in line for line in exchange.load(theirs, "sonata").lost)
    change(theirs)
    assert any(sentence in line for line in exchange.load(theirs, "sonata").lost)


def test_edges_without_a_delay_are_told_with_what_nest_takes(theirs):
    path = theirs / "edges" / "image_to_hidden_types.csv"
    pd.read_csv(path, sep=" ").drop(columns="delay", errors="ignore").to_csv(path, sep=" ", index=False)
    with h5py.File(theirs / "edges" / "image_to_hidden.h5", "r+") as file:
        file["edges/image_to_hidden/0"].pop("delay", None)
    assert any(
        "the delay of the edges image_to_hidden, which give none: NEST takes 1 ms" in line
        for line in exchange.load(theirs, "sonata").lost
    )


def test_a_value_by_type_and_by_edge_is_that_of_the_edge(theirs):
    in_types(theirs, "edges/image_to_hidden_types.csv", syn_weight=7.0)
    plain = exchange.load(theirs, "sonata").trained.state["input_to_hidden.w"]
    assert len(np.unique(plain)) > 100


def test_a_master_configuration_is_followed(theirs, tmp_path):
    master = {"network": "./circuit_config.json", "simulation": "./simulation_config.json"}
    (theirs / "config.json").write_text(json.dumps(master))
    ours, other = exchange.load(theirs, "sonata").trained, exchange.load(theirs / "config.json", "sonata").trained
    assert ours.experiment == other.experiment


def test_nodes_without_types_are_refused_by_name(theirs):
    path = theirs / "circuit_config.json"
    circuit = json.loads(path.read_text())
    for entry in circuit["networks"]["nodes"]:
        if "hidden" in entry["nodes_file"]:
            del entry["node_types_file"]
    path.write_text(json.dumps(circuit))
    with pytest.raises(
        ModelError, match=r"the nodes 'hidden' have the type .*, of which no node_types_file says anything"
    ):
        exchange.load(theirs, "sonata")


def test_an_imported_circuit_stays_sparse_when_it_learns(theirs):
    with h5py.File(theirs / "edges" / "hidden_to_answer.h5", "r+") as file:
        group = file["edges/hidden_to_answer"]
        kept = np.arange(len(group["source_node_id"])) % 5 == 0
        for name in ("source_node_id", "target_node_id", "edge_type_id", "edge_group_id", "edge_group_index"):
            values, attributes = group[name][()][kept], dict(group[name].attrs)
            del group[name]
            group[name] = values
            group[name].attrs.update(attributes)
    found = exchange.load(theirs, "sonata").trained
    pathway = found.experiment.network.pathway("hidden_to_answer")
    assert pathway.zero_is_absent
    assert draw(found.experiment, 1).masks["hidden_to_answer"].sum() == kept.sum()
