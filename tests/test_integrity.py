"""Stored files are what was written, or are refused: any bit that changes is seen."""

import json
import shutil

import h5py
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import bioFA
from bioFA import cli, exchange
from bioFA.errors import FileError
from bioFA.runs.trained import load_trained
from bioFA.system import sealed_hdf5

SMALL = {"task.examples": 40, "task.test_examples": 10}


def biofa(*arguments):
    return CliRunner().invoke(cli.main, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A run's folder, a bundle, a state, and a comparison."""
    folder = tmp_path_factory.mktemp("stored")
    result = bioFA.simulate(bioFA.load("linear", SMALL), seed=2, backend="numpy")
    result.save(folder / "run" / "result.h5")
    result.trained.save(folder / "state.h5")
    exchange.export(result, "bundle", folder / "bundle")
    bioFA.run_comparison(
        "linear",
        ("fa", "bp"),
        seeds=1,
        folder=folder / "comparison",
        backend="numpy",
        changes=[f"{k}={v}" for k, v in SMALL.items()],
    )
    return folder


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_any_flipped_bit_of_a_result_is_seen(stored, tmp_path, place, bit):
    content = bytearray((stored / "run" / "result.h5").read_bytes())
    at = 512 + int(place * (len(content) - 512))
    content[at] ^= 1 << bit
    (tmp_path / "result.h5").write_bytes(content)
    assert sealed_hdf5.is_whole(tmp_path / "result.h5") is False
    with pytest.raises(FileError, match="changed, cut or damaged"):
        bioFA.load_result(tmp_path / "result.h5")


@pytest.mark.parametrize("length", [0, 10, 512, 5000])
@pytest.mark.parametrize(
    ("name", "read"), [("run/result.h5", bioFA.load_result), ("state.h5", load_trained)], ids=["result", "state"]
)
def test_a_cut_file_is_refused(stored, tmp_path, name, read, length):
    (tmp_path / "cut.h5").write_bytes((stored / name).read_bytes()[:length])
    with pytest.raises(FileError, match="changed, cut or damaged"):
        read(tmp_path / "cut.h5")


def test_a_file_of_an_older_bioFA_has_no_digest_and_is_read(stored, tmp_path):
    with h5py.File(stored / "run" / "result.h5") as file, h5py.File(tmp_path / "old.h5", "w") as old:
        for name in file:
            file.copy(name, old)
        for name, value in file.attrs.items():
            old.attrs[name] = value
    assert sealed_hdf5.is_whole(tmp_path / "old.h5") is None
    np.testing.assert_array_equal(
        bioFA.load_result(tmp_path / "old.h5").learning_curve,
        bioFA.load_result(stored / "run" / "result.h5").learning_curve,
    )
    assert biofa("check", tmp_path / "old.h5").exit_code == 0


@pytest.mark.parametrize("name", ["run", "run/result.h5", "state.h5", "bundle", "comparison"])
def test_check_finds_what_is_whole(stored, name):
    outcome = biofa("check", stored / name, "--json")
    assert outcome.exit_code == 0, outcome.output
    told = json.loads(outcome.stdout)
    assert told["damaged"] == told["unverified"] == 0
    assert told["whole"] == (2 if name == "comparison" else 1)


@pytest.mark.parametrize(
    "pattern", ["run/result.h5", "state.h5", "bundle/model.toml", "comparison/runs/*/outcome.json"]
)
def test_check_finds_what_was_changed(stored, tmp_path, pattern):
    shutil.copytree(stored, tmp_path / "copy")
    file = next((tmp_path / "copy").glob(pattern))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    name = pattern.split("/")[0]
    outcome = biofa("check", tmp_path / "copy" / name)
    assert outcome.exit_code == 1
    assert "DAMAGED" in outcome.output
    assert "1 damaged" in outcome.output


def test_check_says_what_is_not_done_and_what_cannot_be_checked(stored, tmp_path):
    shutil.copytree(stored / "comparison", tmp_path / "c")
    next((tmp_path / "c" / "runs").glob("*/outcome.json")).unlink()
    assert "1 whole, 0 damaged, 1 not done" in biofa("check", tmp_path / "c").output
    (tmp_path / "empty").mkdir()
    for nothing in (tmp_path / "empty", tmp_path / "none"):
        assert biofa("check", nothing).exit_code == 2
    (tmp_path / "model.toml").write_text("name = 'mine'\n")
    outcome = biofa("check", tmp_path / "model.toml")
    assert outcome.exit_code == 2
    assert "is a model file, and what is checked here are results." in outcome.stderr
    assert f"says: biofa show {tmp_path}" in outcome.stderr
