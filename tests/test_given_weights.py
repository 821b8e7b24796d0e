"""Weights and states that are given (`--weights`, `--after`) are taken, told or refused by their name,
whatever the file holds."""

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

import bioFA
from bioFA import cli
from bioFA.errors import BioFAError

LINEAR = bioFA.load("linear").replace(task=bioFA.load("linear").task.replace(examples=20))
LONGER = LINEAR.replace(protocol=LINEAR.protocol.replace(epochs=2))
SHAPE = (20, 30)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A result that others are made of."""
    return bioFA.simulate(LINEAR, 1, "numpy").save(tmp_path_factory.mktemp("given") / "result.h5")


def made(whole, path, change):
    """A file with the attributes and the state of a result, unsealed, as somebody who edits one with h5py has it."""
    with h5py.File(whole) as theirs, h5py.File(path, "w") as file:
        file.attrs.update(dict(theirs.attrs))
        theirs.copy("state", file)
        change(file)
    return path


def put(name, value):
    def change(file):
        del file[f"state/{name}"]
        file[f"state/{name}"] = value
    return change


def grouped(file):
    del file["state/input_to_hidden.w"]
    file.create_group("state/input_to_hidden.w")


def flat(file):
    del file["state"]
    file["state"] = 1.0


WRONG = {
    "text": (
        put("input_to_hidden.w", np.full(SHAPE, "a", dtype=h5py.string_dtype())),
        "state/input_to_hidden.w must hold an array of numbers; it holds object",
    ),
    "complex": (put("input_to_hidden.w", np.ones(SHAPE, dtype=complex)), "it holds complex128"),
    "truth": (put("input_to_hidden.w", np.ones(SHAPE, dtype=bool)), "it holds bool"),
    "rows": (put("input_to_hidden.w", np.zeros(SHAPE, dtype=[("a", "f8")])), "must hold an array of numbers"),
    "nothing": (put("input_to_hidden.w", h5py.Empty("f8")), "it holds nothing"),
    "a group": (grouped, "it holds a group"),
    "large": (put("input_to_hidden.w", np.full(SHAPE, 2**60 + 1)), "beyond 2^53"),
    "no group": (flat, "'state' must be a group of arrays"),
    "not finite": (
        lambda file: file["state/input_to_hidden.w"].__setitem__((2, 3), np.nan),
        "pathway 'input_to_hidden': 1 of 600 given weights are not finite; the first goes from neuron 3 to neuron 2",
    ),
    "a row more": (put("input_to_hidden.w", np.ones((21, 30))), "(21, 30)"),
}


@pytest.mark.parametrize("option", ["weights", "after"])
@pytest.mark.parametrize("fault", WRONG)
def test_a_state_that_cannot_be_taken_is_refused_by_its_name(fault, option, whole, tmp_path):
    change, complaint = WRONG[fault]
    path = made(whole, tmp_path / "edited.h5", change)
    with pytest.raises(BioFAError) as refused:
        bioFA.simulate(LONGER, 1, "numpy", **{option: path})
    assert complaint in str(refused.value)
    assert "learning rate" not in str(refused.value)


@pytest.mark.parametrize("option", ["--weights", "--after"])
@pytest.mark.parametrize("name", ["theirs.safetensors", "theirs.nir"])
def test_a_model_of_another_program_is_not_called_damaged(name, option, tmp_path):
    (tmp_path / name).write_bytes(b"whatever stands there")
    outcome = CliRunner().invoke(
        cli.main, ["run", "linear", option, str(tmp_path / name), "--out", str(tmp_path / "out")]
    )
    assert outcome.exit_code == 2
    assert "damaged" not in outcome.output
    assert f"biofa import {tmp_path / name} --out DIR" in " ".join(outcome.output.split())


def test_what_was_taken_what_was_not_and_what_was_drawn_are_told(whole, tmp_path):
    def change(file):
        del file["state/mismatch_to_hidden.w"]
        file["state/elsewhere.w"] = np.ones((2, 3))

    result = bioFA.simulate(LINEAR, 1, "numpy", weights=made(whole, tmp_path / "edited.h5", change))
    told = next(line for line in str(result).splitlines() if "weights given" in line)
    assert "input_to_hidden, hidden_to_output" in told
    assert "not used, for no pathway here has the name: elsewhere (6 values)" in told
    assert "drawn anew: mismatch_to_hidden" in told


def test_whole_numbers_and_single_precision_are_taken(whole, tmp_path):
    values = np.arange(600, dtype="f4").reshape(SHAPE) / 1024
    for kind, array in (("f4", values), ("i8", np.zeros(SHAPE, dtype=int))):
        path = made(whole, tmp_path / f"{kind}.h5", put("input_to_hidden.w", array))
        assert bioFA.simulate(LINEAR, 1, "numpy", weights=path).provenance["weights"]["unused"] == {}
