"""Every format: what it holds comes back, what it cannot hold is said,
and learning goes on from an import as if it had never left."""

import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import bioFA
from bioFA import cli, exchange
from bioFA.errors import FileError, ModelError
from bioFA.modelfiles import toml
from bioFA.runs.trained import Trained, load_trained

SMALL = {"task.examples": 60, "task.test_examples": 20}
PRESENTATIONS = 60


def biofa(*arguments):
    return CliRunner().invoke(cli.main, [str(a) for a in arguments])


@pytest.fixture(scope="module", params=["fa", "kp"])
def runs(request, tmp_path_factory):
    """The same network after one epoch, saved, and after two epochs without a break."""
    folder = tmp_path_factory.mktemp(request.param)
    half = bioFA.load("linear", SMALL).with_scheme(request.param)
    whole = bioFA.load("linear", SMALL | {"protocol.epochs": 2}).with_scheme(request.param)
    first = bioFA.simulate(half, seed=3, backend="numpy")
    return first, first.save(folder / "result.h5"), bioFA.simulate(whole, seed=3, backend="numpy")


def test_a_run_goes_on_after_another_as_if_it_had_never_ended(runs, tmp_path):
    _, path, whole = runs
    onward = bioFA.simulate(whole.experiment, seed=3, backend="numpy", after=path, folder=tmp_path / "onward")
    assert onward.presentations == 2 * PRESENTATIONS
    for name, array in whole.state.items():
        np.testing.assert_array_equal(onward.state[name], array, err_msg=name)
    np.testing.assert_array_equal(onward.learning_curve, whole.learning_curve[-len(onward.learning_curve):])
    assert onward.recording.at[0] >= PRESENTATIONS
    assert onward.snapshots_at[0] == PRESENTATIONS
    assert onward.provenance["after"]["presentations"] == PRESENTATIONS


def test_a_run_that_goes_on_after_another_can_be_stopped_and_resumed(runs, tmp_path):
    _, path, whole = runs

    def stop(done, total, latest):
        if done > 1.5 * PRESENTATIONS:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bioFA.simulate(whole.experiment, seed=3, backend="numpy", after=path, folder=tmp_path / "onward", progress=stop)
    onward = bioFA.resume(tmp_path / "onward")
    for name, array in whole.state.items():
        np.testing.assert_array_equal(onward.state[name], array, err_msg=name)
    assert onward.snapshots_at[0] == PRESENTATIONS
    assert onward.provenance["resumed"] == 1


@pytest.mark.parametrize(("changes", "seed", "complaint"), [
    ({}, 3, "nothing is left to do: the run before had 60 presentations, and the protocol has 60"),
    ({"protocol.epochs": 2}, 4, "whose seed was 3; got seed 4"),
    ({"protocol.epochs": 2, "circuit.sizes": [30, 21, 10]}, 3, "has the shape"),
], ids=["no longer", "another seed", "another size"])
def test_a_run_cannot_go_on_after_one_that_does_not_fit(runs, changes, seed, complaint):
    experiment = bioFA.load("linear", SMALL | changes).with_scheme(runs[0].experiment.scheme)
    with pytest.raises(ModelError, match=complaint):
        bioFA.simulate(experiment, seed=seed, backend="numpy", after=runs[1])


PRESENTED = [name for name, format in exchange.FORMATS.items() if format.holds_presented]
ROUND = [name for name, format in exchange.FORMATS.items() if format.reads]


@pytest.mark.parametrize("name", ROUND)
def test_learning_goes_on_from_an_import_as_if_it_had_never_left(runs, name, tmp_path):
    _, path, whole = runs
    place = tmp_path / f"network{exchange.FORMATS[name].suffix}"
    written = biofa("export", path, "--to", name, "--out", place, "--json")
    assert written.exit_code == 0, written.output
    assert biofa("import", place, "--out", tmp_path / "back").exit_code == 0
    found = biofa(
        "run",
        tmp_path / "back" / "model.toml",
        "--set",
        "protocol.epochs=2",
        "--seed",
        3,
        "--after",
        tmp_path / "back" / "state.h5",
        "--backend",
        "numpy",
        "--out",
        tmp_path / "onward",
        "--json",
    )
    assert found.exit_code == 0, found.output
    onward = bioFA.load_result(tmp_path / "onward" / "result.h5")
    assert onward.experiment == whole.experiment
    for array in whole.state:
        np.testing.assert_array_equal(onward.state[array], whole.state[array], err_msg=array)


@pytest.mark.parametrize("name", PRESENTED)
def test_an_export_refuses_a_place_that_is_taken(runs, name, tmp_path):
    place = tmp_path / f"network{exchange.FORMATS[name].suffix}"
    place.write_text("mine")
    outcome = biofa("export", runs[1], "--to", name, "--out", place)
    assert outcome.exit_code == 2
    assert "is there already" in outcome.stderr
    assert place.read_text() == "mine"


@pytest.mark.parametrize("name", ROUND)
def test_a_damaged_file_is_refused(runs, name, tmp_path):
    place = tmp_path / f"network{exchange.FORMATS[name].suffix}"
    place.write_bytes(b"no such thing")
    with pytest.raises(FileError):
        exchange.load(place, name)


def test_unknown_formats_and_files_are_refused(runs, tmp_path):
    assert "Did you mean 'arrays'?" in biofa("export", runs[1], "--to", "array", "--out", tmp_path / "x").stderr
    assert biofa("export", tmp_path / "none.h5", "--to", "arrays", "--out", tmp_path / "x").exit_code == 2
    (tmp_path / "x.odd").touch()
    assert "tells no format" in biofa("import", tmp_path / "x.odd", "--out", tmp_path / "y").stderr
    assert (
        "can be written but not read" in biofa(
            "import", tmp_path / "x.odd", "--from", "arrays", "--out", tmp_path / "y"
        ).stderr
    )
    assert not (tmp_path / "y").exists()


def test_the_help_of_export_lists_every_format():
    text = biofa("export", "--help").output
    for name in PRESENTED:
        assert f"  {name}" in text


UNLIKE = {"circuit.hidden.refractory_period": 0.0, "circuit.hidden.decay": "euler", "circuit.hidden.reset": "subtract"}
LOSSY = [  # model, changes, format, exit code, what is said
    (
        "linear",
        {},
        "nir",
        0,
        ["lost: plasticity (local_error at input_to_hidden", "lost: feedback pathways (mismatch_to_output"],
    ),
    ("nonlinear", {}, "nir", 2, ["'hidden1'", "no rate function such as tanh", "nothing meaningful"]),
    (
        "digits_spiking",
        {},
        "nir",
        0,
        ["lost: exact decay of hidden", "lost: the refractory period of output (0.002 s)", "lost: timing at output"],
    ),
    ("digits_spiking", UNLIKE, "nir", 0, ["lost: the reset of hidden"]),
    ("evidence", {}, "nir", 2, ["no neuron like AdaptiveLif"]),
    ("linear_spiking", {}, "nir", 2, ["no neuron like StochasticSigmoid"]),
    ("linear", {}, "sonata", 0, ["lost: the neuron model of hidden"]),
    ("digits_spiking", {}, "sonata", 0, ["lost: the threshold test of hidden"]),
    (
        "linear",
        {"circuit.scheme": "brsf"},
        "sonata",
        0,
        ["lost: the weights of mismatch_to_hidden, which are drawn anew"],
    ),
    ("digits", {}, "safetensors", 0, ["lost: plasticity", "lost: feedback pathways"]),
    ("linear", {}, "neuroml", 0, ["lost: rate units as NeuroML 2", "lost: all examples but one"]),
    ("evidence", {}, "neuroml", 2, ["adaptive_lif has no counterpart"]),
    ("digits_spiking", UNLIKE, "neuroml", 2, ["reset = 'subtract' has no counterpart"]),
    ("linear", {"circuit.scheme": "np"}, "brian2", 0, ["lost: the generators of what is drawn anew"]),
    ("linear", {"circuit.scheme": "pbp"}, "brian2", 2, ["pseudo-inverse", "choose another scheme"]),
    ("linear", {}, "neo", 2, ["holds what was recorded in a run"]),
    ("linear", {}, "arrays", 2, ["holds what was recorded in a run"]),
]


@pytest.mark.parametrize(
    ("model", "changes", "name", "code", "said"),
    LOSSY,
    ids=[f"{model} {' '.join(str(v) for v in changes.values())[:20]} to {name}" for model, changes, name, *_ in LOSSY],
)
def test_what_a_format_cannot_hold_is_told_or_refused(model, changes, name, code, said, tmp_path):
    experiment = bioFA.load(model, changes)
    Trained(experiment, 1, 0, dict(bioFA.draw(experiment, 1).state)).save(tmp_path / "state.h5")
    outcome = biofa("export", tmp_path / "state.h5", "--to", name, "--out", tmp_path / "out")
    assert outcome.exit_code == code, outcome.output
    for fragment in said:
        assert fragment in (outcome.stdout if code == 0 else outcome.stderr)
    assert (tmp_path / "out").exists() == (code == 0)


def test_arrays_hold_every_weight_to_the_last_bit(runs, tmp_path):
    result, path, _ = runs
    assert biofa("export", path, "--to", "arrays", "--out", tmp_path / "a").exit_code == 0
    with np.load(tmp_path / "a" / "weights.npz") as kept:
        assert set(kept.files) == set(result.state)
        for name in kept.files:
            np.testing.assert_array_equal(kept[name], result.state[name])
    for name, matrix in result.trained.weights.items():
        np.testing.assert_array_equal(
            np.loadtxt(tmp_path / "a" / "weights" / f"{name}.csv", delimiter=",", ndmin=2), matrix
        )
    curve = pd.read_csv(tmp_path / "a" / "learning_curve.csv")
    np.testing.assert_array_equal(curve["nse"], result.learning_curve)
    assert toml.load(tmp_path / "a" / "model.toml") == result.experiment


def test_pandas_and_xarray_show_what_the_result_holds(runs):
    result = runs[0]
    frames = result.frames()
    np.testing.assert_array_equal(frames["learning_curve"]["presentation"], result.recording.at)
    for pathway, rows in frames["alignment"].groupby("pathway"):
        np.testing.assert_array_equal(rows["alignment"], result.alignment_course[pathway]["alignment"])
    dataset = result.to_xarray()
    np.testing.assert_array_equal(
        dataset["input_to_hidden"].sel(snapshot=PRESENTATIONS), result.state["input_to_hidden.w"]
    )
    assert dataset["nse"].dims == ("presentation",)


def test_a_state_dict_of_pytorch_is_read_as_a_network(tmp_path):
    numpy = pytest.importorskip("safetensors.numpy")
    rng = np.random.default_rng(1)
    tensors = {
        f"layers.{n}.weight": rng.standard_normal(shape).astype(np.float32) for n, shape in ((2, (7, 5)), (10, (3, 7)))
    }
    tensors |= {"layers.2.bias": rng.standard_normal(7).astype(np.float32)}
    numpy.save_file(tensors, tmp_path / "theirs.safetensors")
    found = exchange.load(tmp_path / "theirs.safetensors")
    assert any("activation" in sentence for sentence in found.lost)
    model, _ = found.save(tmp_path / "mine")
    experiment = toml.load(model)
    x = rng.standard_normal(5)
    instance = bioFA.draw(experiment, 1)
    w1, b, w2 = (instance.state[f"{name}.w"] for name in ("input_to_hidden", "bias_to_hidden", "hidden_to_output"))
    expected = tensors["layers.10.weight"].astype(float) @ (
        tensors["layers.2.weight"].astype(float) @ x + tensors["layers.2.bias"]
    )
    np.testing.assert_allclose(w2 @ (w1 @ x + b[:, 0]), expected, rtol=1e-12)
    ran = biofa("run", model, "--backend", "numpy", "--out", tmp_path / "run", "--set", "task.examples=20")
    assert ran.exit_code == 0, ran.output
    assert "nothing: no pathway has a plasticity rule" in ran.output


@pytest.mark.parametrize(
    "tensors",
    [{"a.weight": (3, 2), "b.weight": (4, 5)}, {"conv.weight": (2, 2, 3, 3)}, {}],
    ids=["no chain", "no linear layer", "nothing"],
)
def test_a_state_dict_that_is_no_row_of_linear_layers_is_refused(tmp_path, tensors):
    numpy = pytest.importorskip("safetensors.numpy")
    numpy.save_file({name: np.ones(shape) for name, shape in tensors.items()}, tmp_path / "odd.safetensors")
    with pytest.raises(ModelError, match=r"linear|follow"):
        exchange.load(tmp_path / "odd.safetensors")


def of_torch(tmp_path, tensors, metadata=None):
    pytest.importorskip("safetensors.numpy").save_file(tensors, tmp_path / "t.safetensors", metadata=metadata)
    return exchange.load(tmp_path / "t.safetensors")


def weights_of(found):
    return {
        p.name: np.array(p.weights.values)
        for p in found.trained.experiment.network.pathways
        if hasattr(p.weights, "values")
    }


def test_one_linear_layer_is_read_with_its_bias(tmp_path):
    weight, bias = np.arange(24.0).reshape(3, 8), np.array([1.0, 2.0, 3.0])
    found = weights_of(of_torch(tmp_path, {"weight": weight, "bias": bias}))
    np.testing.assert_array_equal(found["input_to_output"], weight)
    np.testing.assert_array_equal(found["bias_to_output"][:, 0], bias)


def test_the_order_of_layers_is_told_where_the_sizes_leave_it_open_or_the_names_are_wrong(tmp_path):
    encoder, decoder = np.ones((4, 12)), np.ones((12, 4))
    both = of_torch(tmp_path, {"encoder.weight": encoder, "decoder.weight": decoder})
    assert any(
        "decoder, encoder (4-12-4) is taken, the order of their names; encoder, decoder (12-4-12) fits too" in line
        for line in both.lost
    )
    only = of_torch(tmp_path, {"b.weight": np.ones((4, 12)), "a.weight": np.full((7, 4), 2.0)})
    assert any("b, a (12-4-7) is taken, the only one that fits their sizes" in line for line in only.lost)
    assert any("where each is (n_pre, n_post), as JAX and Keras have it" in line for line in only.lost)
    assert weights_of(only)["hidden_to_output"].shape == (7, 4)
    named = of_torch(tmp_path, {"0.weight": np.ones((4, 12)), "2.weight": np.ones((7, 4))})
    assert not any("order" in line for line in named.lost)


def test_bfloat16_is_read_exactly_and_other_kinds_are_refused_by_name(tmp_path):
    pytest.importorskip("safetensors")
    values = np.array([[1.0, -2.5], [0.15625, 3e38]], dtype="<f4")
    bits = (values.view("<u4") >> 16).astype("<u2")
    rounded = (bits.astype("<u4") << 16).view("<f4")
    for kind, data in (("BF16", bits.tobytes()), ("F8_E4M3", bytes(4))):
        header = json.dumps({"weight": {"dtype": kind, "shape": [2, 2], "data_offsets": [0, len(data)]}}).encode()
        (tmp_path / f"{kind}.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + data)
    np.testing.assert_array_equal(weights_of(exchange.load(tmp_path / "BF16.safetensors"))["input_to_output"], rounded)
    with pytest.raises(ModelError, match="the tensor weight holds numbers of the kind F8_E4M3"):
        exchange.load(tmp_path / "F8_E4M3.safetensors")


def test_a_shared_tensor_that_stands_in_the_metadata_only_is_a_layer(tmp_path):
    found = of_torch(tmp_path, {"a.weight": np.ones((5, 5))}, {"b.weight": "a.weight", "format": "pt", "author": "x"})
    assert set(weights_of(found)) == {"input_to_hidden", "hidden_to_output"}
    assert any("b.weight and a.weight are one tensor" in line for line in found.lost)
    assert "metadata: author (1 value) is not used" in found.lost


def test_tensors_that_make_no_layer_are_refused_by_name(tmp_path):
    with pytest.raises(ModelError, match=r"a.bias must have shape \(3,\), one a neuron of its layer; got \(4,\)"):
        of_torch(tmp_path, {"a.weight": np.ones((3, 2)), "a.bias": np.ones(4)})
    with pytest.raises(FileError, match=r"the tensor a.weight holds numbers that are not finite \(1 of 6\)"):
        of_torch(tmp_path, {"a.weight": np.array([[1, 2, 3], [4, np.nan, 6]])})
    with pytest.raises(ModelError, match=r"holds norm.running_mean"):
        of_torch(tmp_path, {"a.weight": np.ones((3, 2)), "norm.running_mean": np.ones(3)})


def test_a_pickled_file_is_told_how_to_become_a_safetensors_file(tmp_path):
    (tmp_path / "net.pt").write_bytes(b"")
    with pytest.raises(ModelError, match=r"safetensors.torch.save_file\(torch.load"):
        exchange.load(tmp_path / "net.pt")


def test_a_changed_annotation_is_refused(runs, tmp_path):
    numpy = pytest.importorskip("safetensors.numpy")
    exchange.export(runs[1], "safetensors", tmp_path / "n.safetensors")
    from safetensors import safe_open

    with safe_open(tmp_path / "n.safetensors", framework="numpy") as file:
        metadata, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    noted = json.loads(metadata["bioFA"])
    for change, complaint in (
        ({"format": 99}, "newer"),
        ({"experiment": "name = 1"}, "damaged"),
        ({"state": 3}, "damaged"),
    ):
        path = tmp_path / f"{complaint}{len(change)}{next(iter(change))}.safetensors"
        numpy.save_file(tensors, path, metadata={"bioFA": json.dumps(noted | change)})
        with pytest.raises(FileError, match=complaint):
            exchange.load(path)
    numpy.save_file(
        tensors | {"input_to_hidden.weight": np.ones((2, 2))}, tmp_path / "shape.safetensors", metadata=metadata
    )
    with pytest.raises(FileError, match="must have weights of shape"):
        exchange.load(tmp_path / "shape.safetensors")


def test_a_bundle_runs_again_to_the_same_weights_and_holds_its_data(tmp_path):
    rng = np.random.default_rng(2)
    np.savez(tmp_path / "mine.npz", inputs=rng.standard_normal((30, 5)), targets=rng.standard_normal((30, 3)))
    experiment = bioFA.load(
        "linear", {"circuit.sizes": [5, 4, 3], "task": {"name": "arrays", "path": str(tmp_path / "mine.npz")}}
    )
    result = bioFA.simulate(experiment, seed=4, backend="numpy")
    result.save(tmp_path / "run" / "result.h5")
    assert biofa("bundle", tmp_path / "run", "--out", tmp_path / "b").exit_code == 0
    (tmp_path / "mine.npz").unlink()
    moved = (tmp_path / "b").rename(tmp_path / "elsewhere")
    environment = os.environ | {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "biofa").write_text(f"#!/bin/sh\nexec {sys.executable} -m bioFA \"$@\"\n")
    (tmp_path / "bin" / "biofa").chmod(0o755)
    done = subprocess.run(["sh", str(moved / "rerun.sh")], capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    again = bioFA.load_result(moved / "rerun" / "result.h5")
    for name, array in result.state.items():
        np.testing.assert_array_equal(again.state[name], array, err_msg=name)
    assert exchange.load(moved).trained.state.keys() == result.state.keys()
    manifest = json.loads((moved / "manifest.json").read_text())
    assert manifest["metrics"] == result.metrics
    assert set(manifest["files"]) == {
        "CITATION.cff",
        "README.md",
        "data/mine.npz",
        "model.toml",
        "requirements.txt",
        "rerun.sh",
        "result.h5",
    }


@pytest.mark.parametrize(("damage", "complaint"), [
    (lambda b: (b / "model.toml").write_text("name = 'other'"), "was changed or damaged"),
    (lambda b: (b / "README.md").unlink(), "is missing from the bundle"),
    (lambda b: (b / "manifest.json").write_text("{}"), "is no bundle"),
    (lambda b: _manifest(b, lambda m: m["files"].update({"../outside": "0"})), "lies outside the bundle"),
    (lambda b: _manifest(b, lambda m: m["files"].pop("result.h5")), "does not list result.h5"),
    (lambda b: _manifest(b, lambda m: m.update(format=9)), "newer bioFA"),
], ids=["changed", "missing", "no manifest", "outside", "unlisted", "newer"])
def test_a_bundle_that_was_tampered_with_is_refused(runs, tmp_path, damage, complaint):
    exchange.export(runs[1], "bundle", tmp_path / "b")
    damage(tmp_path / "b")
    with pytest.raises(FileError, match=complaint):
        exchange.load(tmp_path / "b", "bundle")


def _manifest(bundle, change):
    manifest = json.loads((bundle / "manifest.json").read_text())
    change(manifest)
    (bundle / "manifest.json").write_text(json.dumps(manifest))


def test_a_state_file_is_read_as_a_result_is(runs, tmp_path):
    trained = runs[0].trained
    assert load_trained(trained.save(tmp_path / "state.h5")).state.keys() == trained.state.keys()
    assert (
        bioFA.simulate(runs[2].experiment, seed=3, backend="numpy", weights=tmp_path / "state.h5").presentations
        == 2 * PRESENTATIONS
    )
