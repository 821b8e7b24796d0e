"""One's own data from every kind of file: the same examples come out, the declared steps are those,
and what is wrong is said."""

import json

import h5py
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from test_activity import SMALL
from tiers import first_of

import bioFA
from bioFA import cli, exchange
from bioFA.errors import FileError, ModelError
from bioFA.tasks.arrays import Arrays
from bioFA.tasks.recorded_trials import RecordedTrials

RNG = np.random.default_rng(5)
INPUTS, LABELS = RNG.uniform(size=(30, 4)), RNG.integers(3, size=30)
TARGETS = np.eye(3)[LABELS]
NAMES = np.array(["setosa", "versicolor", "virginica"])


def write(kind, folder):
    """The examples as a file of a kind, and the fields that say where they are."""
    if kind == "npz":
        np.savez(folder / "d.npz", inputs=INPUTS, labels=LABELS)
        return {"path": str(folder / "d.npz")}
    if kind == "npy":
        for name, array in (("inputs", INPUTS), ("labels", LABELS)):
            np.save(folder / f"{name}.npy", array)
        return {"path": str(folder)}
    if kind == "csv":
        pd.DataFrame(INPUTS, columns=list("abcd")).assign(species=NAMES[LABELS]).to_csv(
            folder / "d.csv", index=False, float_format="%.17g"
        )
        return {"path": str(folder / "d.csv"), "labels": "species"}
    with h5py.File(folder / "d.h5", "w") as file:
        file["group/x"], file["group/y"] = INPUTS, LABELS
    return {"path": str(folder / "d.h5"), "inputs": "group/x", "labels": "group/y"}


@pytest.mark.parametrize("kind", ["npz", "npy", "csv", "h5"])
def test_every_kind_of_file_gives_the_same_examples(kind, tmp_path):
    data = Arrays(**write(kind, tmp_path), encoding="one_hot").draw(None)
    np.testing.assert_array_equal(data.train.inputs, INPUTS)
    np.testing.assert_array_equal(data.train.targets, TARGETS)
    np.testing.assert_array_equal(data.train.labels, LABELS)


@settings(max_examples=30, deadline=None)
@given(validation=st.floats(0, 0.45), test=st.floats(0, 0.45), seed=st.integers(0, 10))
def test_a_declared_split_shares_out_every_example_once_and_class_by_class(validation, test, seed, tmp_path_factory):
    folder = tmp_path_factory.mktemp("split")
    np.savez(
        folder / "d.npz",
        inputs=np.arange(120)[:, np.newaxis] + np.zeros((1, 2)),
        labels=np.repeat(np.arange(4), [60, 30, 20, 10]),
    )
    task = Arrays(path=str(folder / "d.npz"), encoding="one_hot", validation=validation, test=test, split_seed=seed)
    try:
        splits = task.draw(None).splits()
    except FileError:
        with pytest.raises(FileError, match="split is empty"):
            task.draw(None)
        return
    assert sorted(int(row[0]) for split in splits.values() for row in split.inputs) == list(range(120))
    for name, share in (("validation", validation), ("test", test)):
        if name in splits:
            assert abs(len(splits[name]) - 120 * share) < 4
            for label, size in enumerate((60, 30, 20, 10)):
                assert abs(int((splits[name].labels == label).sum()) - size * share) <= 1
    assert {name: split.inputs.tolist() for name, split in task.draw(None).splits().items()} == {
        name: split.inputs.tolist() for name, split in splits.items()
    }


@pytest.mark.parametrize("scaling", ["standard", "range"])
def test_inputs_are_scaled_by_what_the_training_examples_say(scaling, tmp_path):
    wide = np.column_stack([1e3 * INPUTS[:, 0], INPUTS[:, 1], np.full(30, 7.0)])
    np.savez(tmp_path / "d.npz", inputs=wide, labels=LABELS)
    fields = {"path": str(tmp_path / "d.npz"), "encoding": "one_hot", "test": 0.3}
    plain, scaled = Arrays(**fields).draw(None), Arrays(**fields, scaling=scaling).draw(None)
    train = plain.train.inputs
    offset, width = (
        (train.mean(axis=0), train.std(axis=0))
        if scaling == "standard"
        else (train.min(axis=0), train.max(axis=0) - train.min(axis=0))
    )
    width[2] = 1.0
    for split in ("train", "test"):
        np.testing.assert_allclose(scaled.splits()[split].inputs, (plain.splits()[split].inputs - offset) / width)
    assert not scaled.train.inputs[:, 2].any()


def csv(text):
    return lambda folder: (folder / "d.csv").write_text(text)


def npz(**arrays):
    return lambda folder: np.savez(folder / "d.npz", **arrays)


REFUSED = {
    "no such file": (lambda folder: None, {"path": "none.csv"}, ["there is no file 'none.csv'", "numpy.savez"]),
    "another kind": (
        lambda folder: (folder / "d.mat").touch(),
        {"path": "d.mat"},
        ["of no kind that is read", ".npz, .csv, .h5"],
    ),
    "no answers named": (csv("a,b\n1,2\n"), {"path": "d.csv"}, ["which columns are the answers", "Columns: a, b"]),
    "unknown column": (csv("a,b\n1,2\n"), {"path": "d.csv", "targets": "c"}, ["no column 'c'", "Known: a, b"]),
    "text among numbers": (
        csv("a,b\n1,2\nx,3\n"),
        {"path": "d.csv", "targets": "b"},
        ["column 'a' must hold numbers", "line 3 holds 'x'"],
    ),
    "a gap": (csv("a,b\n1,2\n,3\n"), {"path": "d.csv", "targets": "b"}, ["column 'a' has no finite number in line 3"]),
    "a missing label": (
        csv("a,b\n1,x\n2,\n"),
        {"path": "d.csv", "labels": "b", "encoding": "one_hot"},
        ["label in line 3 is missing"],
    ),
    "no lines": (csv("a,b\n"), {"path": "d.csv", "targets": "b"}, ["no lines below its names"]),
    "empty folder": (lambda folder: (folder / "empty").mkdir(), {"path": "empty"}, ["holds no .npy file"]),
    "labels but no targets": (
        npz(inputs=INPUTS, labels=LABELS),
        {"path": "d.npz"},
        ["'targets' is missing", "encoding = 'one_hot'"],
    ),
    "targets twice": (
        npz(inputs=INPUTS, labels=LABELS, targets=TARGETS),
        {"path": "d.npz", "encoding": "one_hot"},
        ["has targets already"],
    ),
    "nothing to encode": (npz(inputs=INPUTS), {"path": "d.npz", "encoding": "one_hot"}, ["has no labels to encode"]),
    "splits twice": (
        npz(inputs=INPUTS, targets=TARGETS, test_inputs=INPUTS, test_targets=TARGETS),
        {"path": "d.npz", "test": 0.2},
        ["splits of its own"],
    ),
    "unknown array": (
        npz(inputs=INPUTS, target=TARGETS),
        {"path": "d.npz"},
        ["unknown array 'target'", "Did you mean 'targets'"],
    ),
    "array of another name": (
        npz(x=INPUTS, targets=TARGETS),
        {"path": "d.npz", "inputs": "y"},
        ["no array 'y'", "Known: targets, x"],
    ),
    "NaN": (
        npz(inputs=np.where(INPUTS > 0.9, np.nan, INPUTS), targets=TARGETS),
        {"path": "d.npz"},
        ["'inputs' holds a number that is not finite in row", "column"],
    ),
    "fewer targets": (
        npz(inputs=INPUTS, targets=TARGETS[:-1]),
        {"path": "d.npz"},
        ["as many rows as 'inputs', 30; got 29"],
    ),
    "no HDF5": (lambda folder: (folder / "d.h5").write_text("no"), {"path": "d.h5"}, ["is not an HDF5 file"]),
    "no NIX": (
        lambda folder: (folder / "d.nix").write_text("no"),
        {"name": "recorded_trials", "path": "d.nix", "label": "x", "window": "1 s"},
        ["is not an HDF5 file"],
    ),
    "no NWB": (
        lambda folder: (folder / "d.nwb").write_text("no"),
        {"name": "recorded_trials", "path": "d.nwb", "label": "x", "window": "1 s"},
        ["is not an HDF5 file"],
    ),
    "a window without unit": (
        lambda folder: None,
        {"name": "recorded_trials", "path": "d.nwb", "label": "x", "window": "1"},
        ["RecordedTrials.window", "no unit"],
    ),
    "a window in millivolts": (
        lambda folder: None,
        {"name": "recorded_trials", "path": "d.nwb", "label": "x", "window": "1 mV"},
        ["RecordedTrials.window", "does not measure"],
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_wrong_data_are_refused_with_place_and_remedy(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    prepare, fields, fragments = REFUSED[case]
    prepare(tmp_path)
    task = (
        "{ " + ", ".join(f"{key} = {json.dumps(value)}" for key, value in ({"name": "arrays"} | fields).items()) + " }"
    )
    outcome = CliRunner().invoke(
        cli.main, ["run", "linear", "--backend", "numpy", "--set", f"task={task}", "--out", "out"]
    )
    assert outcome.exit_code == 2, (outcome.output, outcome.exception)
    for fragment in fragments:
        assert fragment in outcome.stderr
    assert not (tmp_path / "out").exists()


def doubts(folder, **arrays):
    np.savez(folder / "doubt.npz", **arrays)
    given = "given" if "targets" in arrays else "one_hot"
    return "; ".join(Arrays(path=str(folder / "doubt.npz"), encoding=given).draw(None).notes)


def test_what_makes_an_error_mean_nothing_is_told(tmp_path):
    inputs, labels = RNG.uniform(size=(20, 2)), np.arange(20) % 2
    here, there = {"inputs": inputs, "labels": labels}, {"test_inputs": 1 + inputs, "test_labels": labels}
    assert doubts(tmp_path, **here, **there) == ""
    assert "one class, 'a', so that no error" in doubts(tmp_path, inputs=inputs, labels=np.full(20, "a"))
    assert "20 classes in 20 examples" in doubts(tmp_path, inputs=inputs, labels=inputs[:, 0])
    unseen = doubts(tmp_path, **here, **there | {"test_labels": labels + 1})
    assert "10 of 20 test examples are of a class without a training example: 2" in unseen
    assert "no test example is of the class 0" in unseen
    assert "3 of 20 test examples have the inputs of a training example" in doubts(
        tmp_path, **here, test_inputs=np.concatenate([inputs[:3], inputs[3:] + 1]), test_labels=labels
    )
    assert "'Yes' and 'yes' are classes of their own" in doubts(
        tmp_path, inputs=inputs, labels=np.array(["Yes", "no", "yes", "no"] * 5)
    )
    assert "in 20 of 20 train examples the target is larger at another class" in doubts(
        tmp_path, inputs=inputs, labels=1 - labels, targets=np.eye(2)[labels]
    )


def test_blanks_around_a_label_are_no_part_of_it(tmp_path):
    (tmp_path / "d.csv").write_text("x,kind\n1,yes\n2,no\n3,yes \n4, no\n")
    drawn = Arrays(path=str(tmp_path / "d.csv"), labels="kind", encoding="one_hot").draw(None)
    np.testing.assert_array_equal(drawn.train.labels, [1, 0, 1, 0])


def test_a_link_out_of_an_hdf5_file_is_not_followed(tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["inputs"] = INPUTS
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file["inputs"], file["targets"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "inputs"), TARGETS
    with pytest.raises(FileError, match="is a link to another file"):
        Arrays(path=str(tmp_path / "d.h5")).draw(None)


def test_shares_must_leave_something_to_learn_from():
    with pytest.raises(ModelError, match="must leave some; got"):
        Arrays(path="x.npz", validation=0.5, test=0.5)


def test_a_model_on_a_csv_file_runs_from_another_folder(tmp_path, monkeypatch):
    (tmp_path / "project").mkdir()
    write("csv", tmp_path / "project")
    table = bioFA.dumps(
        bioFA.load(
            "linear",
            {
                "circuit.sizes": [4, 6, 3],
                "task": {
                    "name": "arrays",
                    "path": str(tmp_path / "project" / "d.csv"),
                    "labels": "species",
                    "encoding": "one_hot",
                    "test": 0.2,
                    "scaling": "standard",
                },
            },
        )
    ).replace(f"{tmp_path / 'project'}/", "")
    (tmp_path / "project" / "m.toml").write_text(table)
    monkeypatch.chdir(tmp_path)
    outcome = CliRunner().invoke(cli.main, ["run", "project/m.toml", "--backend", "numpy", "--json", "--out", "out"])
    assert outcome.exit_code == 0, outcome.output
    assert "test_error" in json.loads(outcome.stdout)["metrics"]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recorded")
    labels = RNG.integers(3, size=20)
    np.savez(folder / "d.npz", inputs=RNG.uniform(size=(20, 6)), targets=np.eye(4)[labels], labels=labels)
    result = bioFA.simulate(
        bioFA.load("linear_spiking", SMALL | {"task": {"name": "arrays", "path": str(folder / "d.npz")}}),
        seed=2,
        backend="numpy",
    )
    for name in ("nwb", "neo"):
        exchange.export(result, name, folder / f"session{exchange.FORMATS[name].suffix}")
    return result, folder


@pytest.mark.parametrize("file", first_of("session.nwb", "session.nix"))
def test_recorded_trials_are_the_spikes_of_the_recording_and_a_network_learns_from_them(recorded, file, tmp_path):
    result, folder = recorded
    protocol = result.experiment.protocol
    fields = {
        "path": str(folder / file),
        "label": "label",
        "window": "40 ms",
        "where": "population",
        "units": ["hidden"],
    }
    data = RecordedTrials(**fields, bins_per_trial=protocol.shown_steps).draw(None)
    spikes = result.activity.spikes["hidden"]
    expected = np.zeros((result.activity.presentations, protocol.steps, 12))
    np.add.at(expected.reshape(-1, 12), (spikes[:, 0], spikes[:, 1]), 1)
    np.testing.assert_array_equal(data.train.inputs, expected[:, : protocol.shown_steps])
    np.testing.assert_array_equal(
        RecordedTrials(**fields).draw(None).train.inputs, expected[:, : protocol.shown_steps].sum(axis=1)
    )
    experiment = bioFA.load(
        "linear", {"circuit.sizes": [12, 5, data.train.targets.shape[1]], "task": {"name": "recorded_trials", **fields}}
    )
    assert bioFA.simulate(experiment, backend="numpy").presentations == len(data.train)
    for changes, complaint in (
        ({"label": "lable"}, "Did you mean 'label'"),
        ({"where": "area"}, "no column 'area'"),
        ({"units": ["V1"]}, "There are: "),
    ):
        with pytest.raises(FileError, match=complaint):
            RecordedTrials(**(fields | changes)).draw(None)
