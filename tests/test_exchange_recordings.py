"""Neo and NWB files hold the spikes, traces, trials and weights of a run,
and other tools compute from them what bioFA does."""

import numpy as np
import pytest
from test_activity import SMALL

import bioFA
from bioFA import exchange
from bioFA.exchange.trials import trials
from bioFA.instance import draw
from bioFA.modelfiles import toml

CLASSES = {
    "circuit.sizes": [6, 12, 3],
    "protocol.phases": [],
    "protocol.presentations": 15,
    "protocol.presentation": "40 ms",
    "protocol.learning_onset": "20 ms",
    "protocol.snapshots": 2,
}


@pytest.fixture(scope="module")
def spiking():
    return bioFA.simulate(bioFA.load("linear_spiking", SMALL), seed=2, backend="numpy")


@pytest.fixture(scope="module")
def classes(tmp_path_factory):
    rng, path = np.random.default_rng(1), tmp_path_factory.mktemp("data") / "classes.npz"
    labels = rng.integers(3, size=20)
    np.savez(path, inputs=rng.uniform(size=(20, 6)), targets=np.eye(3)[labels], labels=labels)
    return bioFA.simulate(
        bioFA.load("digits_spiking", CLASSES | {"task": {"name": "arrays", "path": str(path)}}), seed=1, backend="numpy"
    )


@pytest.fixture(scope="module")
def rates():
    return bioFA.simulate(bioFA.load("linear", {"task.examples": 40, "task.test_examples": 5}), seed=2, backend="numpy")


@pytest.fixture(scope="module")
def block(spiking, tmp_path_factory):
    neo = pytest.importorskip("neo.io")
    path = tmp_path_factory.mktemp("neo") / "activity.nix"
    exchange.export(spiking, "neo", path)
    with neo.NixIO(str(path), "ro") as io:
        return io.read_block()


@pytest.fixture(scope="module")
def nwb(classes, tmp_path_factory):
    pynwb = pytest.importorskip("pynwb")
    path = tmp_path_factory.mktemp("nwb") / "run.nwb"
    exchange.export(classes, "nwb", path)
    with pynwb.NWBHDF5IO(str(path), "r") as io:
        yield path, io.read()


def test_every_neuron_is_a_spike_train_with_every_spike(spiking, block):
    segment, step = block.segments[0], spiking.experiment.protocol.step
    for population, spikes in spiking.activity.spikes.items():
        trains = [train for train in segment.spiketrains if train.annotations["population"] == population]
        assert [train.annotations["neuron"] for train in trains] == list(
            range(spiking.experiment.network.population(population).size)
        )
        for neuron, train in enumerate(trains):
            np.testing.assert_allclose(
                train.rescale("s").magnitude, (np.sort(spikes[spikes[:, 1] == neuron, 0]) + 0.5) * step
            )


def test_elephant_computes_our_rates_and_cv_from_the_file(spiking, block):
    elephant = pytest.importorskip("elephant.statistics")
    protocol, presentations = spiking.experiment.protocol, spiking.activity.presentations
    length = protocol.steps * protocol.step
    told = [population for population, measures in spiking.spike_statistics.items() if measures["cv_isi"] is not None]
    assert told
    for population in told:
        trains = [train for train in block.segments[0].spiketrains if train.annotations["population"] == population]
        rate = np.mean([elephant.mean_firing_rate(train).rescale("Hz").magnitude for train in trains])
        assert rate == pytest.approx(spiking.firing_rates[population], rel=1e-12)
        cvs = []
        for train in trains:
            times = train.rescale("s").magnitude
            pieces = [times[(times >= k * length) & (times < (k + 1) * length)] for k in range(presentations)]
            intervals = np.concatenate([elephant.isi(piece) for piece in pieces if len(piece) > 1] or [[]])
            if len(intervals) >= 3:
                cvs.append(elephant.cv(intervals))
        assert np.mean(cvs) == pytest.approx(spiking.spike_statistics[population]["cv_isi"], rel=1e-9)


def test_traces_weights_and_the_course_of_learning_are_signals(spiking, block):
    for signal in block.segments[0].analogsignals:
        np.testing.assert_array_equal(signal.magnitude, spiking.activity.courses[signal.name].astype(float))
    found = {signal.name: signal for signal in block.segments[1].irregularlysampledsignals}
    np.testing.assert_array_equal(found["nse"].magnitude[:, 0], spiking.learning_curve)
    assert toml.loads(block.annotations["model"]) == spiking.experiment


def test_weights_at_the_snapshots_are_arrays_of_the_nix_file_and_of_the_nwb_file(spiking, rates, tmp_path):
    nixio, pynwb = pytest.importorskip("nixio"), pytest.importorskip("pynwb")
    for number, result in enumerate((spiking, rates)):
        exchange.export(result, "neo", tmp_path / f"{number}.nix")
        exchange.export(result, "nwb", tmp_path / f"{number}.nwb")
        with (
            nixio.File.open(str(tmp_path / f"{number}.nix"), nixio.FileMode.ReadOnly) as file,
            pynwb.NWBHDF5IO(str(tmp_path / f"{number}.nwb"), "r") as io,
        ):
            arrays, scratch = file.blocks[0].data_arrays, io.read().scratch
            for name, weights in result.snapshots.items():
                np.testing.assert_array_equal(arrays[name][:], weights)
                np.testing.assert_array_equal(scratch[name.removesuffix(".w")].data[:], weights)
                np.testing.assert_array_equal(arrays[name].dimensions[0].ticks, result.snapshots_at)


def test_an_export_to_neo_takes_no_object_a_synapse(rates, tmp_path):
    nixio = pytest.importorskip("nixio")
    exchange.export(rates, "neo", tmp_path / "r.nix")
    with nixio.File.open(str(tmp_path / "r.nix"), nixio.FileMode.ReadOnly) as file:
        assert len(file.blocks[0].data_arrays) < 20


def test_an_nwb_file_passes_the_strict_configuration_of_an_archive_and_opens_in_neo(nwb):
    inspector, neo = pytest.importorskip("nwbinspector"), pytest.importorskip("neo.io")
    config = inspector.load_config("dandi")
    found = list(inspector.inspect_nwbfile(nwbfile_path=str(nwb[0]), config=config))
    assert [
        message.message
        for message in found
        if message.importance.value > inspector.Importance.BEST_PRACTICE_SUGGESTION.value
    ] == []
    block = neo.NWBIO(str(nwb[0]), "r").read_all_blocks()[0]
    units = nwb[1].units
    assert len(block.segments[0].spiketrains) == len(units)
    for row, train in enumerate(block.segments[0].spiketrains):
        np.testing.assert_array_equal(np.sort(train.rescale("s").magnitude), units["spike_times"][row])


def test_trials_say_what_was_shown_wanted_and_answered(classes):
    found, instance = trials(classes), draw(classes.experiment, classes.seed)
    count = classes.activity.presentations
    np.testing.assert_array_equal(found.example, instance.order(0, count))
    np.testing.assert_array_equal(found.label, instance.data.train.labels[found.example])
    np.testing.assert_array_equal(found.target.argmax(axis=1), found.label)
    np.testing.assert_array_equal(found.correct, found.answer.argmax(axis=1) == found.label)
    np.testing.assert_allclose(found.stop - found.start, 0.04)
    assert not found.learning


def test_trials_of_a_rate_network_are_those_it_learned_in(rates):
    found = trials(rates)
    np.testing.assert_array_equal(found.target, rates.targets)
    np.testing.assert_array_equal(found.answer, rates.recording.arrays["output.r"])
    assert found.learning
    assert found.correct is None


def test_an_nwb_file_holds_units_trials_and_weights(classes, nwb):
    _, file = nwb
    units, expected = file.units.to_dataframe(), trials(classes)
    for population, spikes in classes.activity.spikes.items():
        rows = units[units["population"] == population]
        assert [len(times) for times in rows["spike_times"]] == np.bincount(spikes[:, 1], minlength=len(rows)).tolist()
    table = file.trials.to_dataframe()
    np.testing.assert_array_equal(table["label"], expected.label)
    np.testing.assert_array_equal(np.stack(table["answer"]), expected.answer)
    np.testing.assert_array_equal(table["correct"], expected.correct)
    for name, weights in classes.snapshots.items():
        np.testing.assert_array_equal(file.get_scratch(name.removesuffix(".w")), weights)
    assert toml.loads(file.source_script) == classes.experiment


@pytest.mark.parametrize("kind", ["classes", "rates"])
def test_the_nwb_inspector_finds_nothing_critical(kind, request, tmp_path):
    inspector = pytest.importorskip("nwbinspector")
    exchange.export(request.getfixturevalue(kind), "nwb", tmp_path / "run.nwb")
    found = list(inspector.inspect_nwbfile(nwbfile_path=str(tmp_path / "run.nwb")))
    worst = [
        message
        for message in found
        if message.importance.name not in ("BEST_PRACTICE_SUGGESTION", "BEST_PRACTICE_VIOLATION")
    ]
    assert worst == []


def test_a_file_that_misses_its_package_says_what_to_install(spiking, tmp_path, monkeypatch):
    import sys

    for name, package, extra in (
        ("neo", "nixio", "neo"),
        ("nwb", "pynwb", "nwb"),
        ("safetensors", "safetensors.numpy", "safetensors"),
    ):
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(bioFA.MissingError, match=rf"pip install 'bioFA\[{extra}\]'"):
            exchange.export(spiking, name, tmp_path / name)
