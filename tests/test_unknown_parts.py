"""Files that describe a rule or a neuron of somebody's own package, opened where that class is not known:
told which class it is and how to load it, never called damaged."""

import importlib
import os
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

import bioFA
from bioFA import cli, exchange, neurons, rules
from bioFA.errors import DamagedFile, UnknownName, UnknownPart
from bioFA.modelfiles import toml
from bioFA.runs.trained import Trained, load_trained

RULE = '''
import numpy as np
from bioFA import rules
from bioFA.rules import PlasticityRule

@rules.family.add
class OwnOja(PlasticityRule):
    """A rule of somebody's own."""

    learning_rate: float = 0.001

    reads_pre = ("r",)
    reads_post = ("error", "gain")
    equations = "dw/dt = learning_rate * error_post * gain_post * r_pre / T : 1"

    def step(self, synapses, pre, post, dt, T):
        return {"w": synapses["w"] + self.learning_rate * dt / T * np.outer(post["error"] * post["gain"], pre["r"])}
'''
NEURON = '''
from bioFA import neurons
from bioFA.neurons.static_rate import StaticRate

@neurons.family.add
class OwnUnit(StaticRate):
    """A neuron of somebody's own."""
'''


def stop(*_):
    raise KeyboardInterrupt


@pytest.fixture(scope="module", params=["rule", "neuron"])
def saved(request, tmp_path_factory):
    """A folder with files of a run whose rule or neuron is a class of a module there; here, as in another process,
    nobody knows that class."""
    folder = tmp_path_factory.mktemp("own")
    module = f"package_of_{request.param}.parts"
    (folder / f"package_of_{request.param}").mkdir()
    (folder / f"package_of_{request.param}" / "__init__.py").touch()
    (folder / f"package_of_{request.param}" / "parts.py").write_text(RULE if request.param == "rule" else NEURON)
    sys.path.insert(0, str(folder))
    try:
        part = importlib.import_module(module)
        change = (
            {"circuit.schemes.fa.rule": part.OwnOja()}
            if request.param == "rule"
            else {"circuit.hidden": part.OwnUnit(activation="linear")}
        )
        experiment = bioFA.load("linear", {"task.examples": 20, **change})
        result = bioFA.simulate(experiment, seed=1, backend="numpy", folder=folder / "run")
        with pytest.raises(KeyboardInterrupt):
            bioFA.simulate(experiment, seed=1, backend="numpy", folder=folder / "stopped", progress=stop)
        result.trained.save(folder / "state.h5")
        for name in ("bundle", "safetensors", "nir"):
            exchange.export(result if name == "bundle" else result.trained, name, folder / f"there.{name}")
        exchange.load(folder / "there.safetensors").save(folder / "back")
    finally:
        sys.path.remove(str(folder))
        (rules if request.param == "rule" else neurons).family._parts().pop(
            "own_oja" if request.param == "rule" else "own_unit"
        )
    return (
        folder,
        module,
        *(
            ("plasticity rule", "own_oja", "OwnOja", "bioFA.rules")
            if request.param == "rule"
            else ("neuron model", "own_unit", "OwnUnit", "bioFA.neurons")
        ),
    )


def hold(message, saved):
    """Hold a message to naming the class, its module, and what to do."""
    _, module, kind, name, own, home = saved
    assert f"the {kind} '{name}' is no part of bioFA but the class {own} of the module {module}" in message
    assert f"'import {module}, {home}; {home}.family.add({module}.{own})'" in message
    for word in ("damaged", "whole", "again", "Did you mean"):
        assert word not in message


READERS = {
    "load_result": lambda folder: bioFA.load_result(folder / "run" / "result.h5"),
    "load_trained": lambda folder: load_trained(folder / "run" / "result.h5"),
    "load_trained of a state": lambda folder: load_trained(folder / "state.h5"),
    "resume": lambda folder: bioFA.resume(folder / "stopped"),
    "bundle": lambda folder: exchange.load(folder / "there.bundle"),
    "safetensors": lambda folder: exchange.load(folder / "there.safetensors"),
    "nir": lambda folder: exchange.load(folder / "there.nir"),
    "model file": lambda folder: toml.load(folder / "back" / "model.toml"),
}


@pytest.mark.parametrize("name", READERS)
def test_a_reader_names_the_class_that_is_missing(name, saved):
    with pytest.raises(UnknownPart) as error:
        READERS[name](saved[0])
    hold(str(error.value), saved)
    assert str(saved[0] if name != "model file" else "model.toml") in str(error.value)


COMMANDS = {
    "report": ["report", "run"],
    "export": ["export", "run/result.h5", "--to", "nir", "--out", "out.nir"],
    "export of a run": ["export", "run", "--to", "arrays", "--out", "out"],
    "import": ["import", "there.safetensors", "--out", "in"],
    "show": ["show", "back/model.toml"],
    "resume": ["resume", "stopped"],
    "run": ["run", "back/model.toml"],
    "weights after a run": ["run", "linear", "--after", "state.h5"],
    "bundle": ["bundle", "run", "--out", "out"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_names_the_class_that_is_missing(name, saved, monkeypatch):
    monkeypatch.chdir(saved[0])
    outcome = CliRunner().invoke(cli.main, COMMANDS[name])
    assert outcome.exit_code == 2, outcome.output
    assert outcome.stderr.startswith("biofa: [unknown-part] ")
    hold(outcome.stderr, saved)


def test_the_command_that_a_message_gives_opens_the_file(saved):
    folder, module, _, _, own, home = saved
    first = f"import {module}, {home}; {home}.family.add({module}.{own})"
    environment = os.environ | {"PYTHONPATH": f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    command = [
        sys.executable,
        "-c",
        f"{first}; import bioFA.cli; bioFA.cli.main()",
        "export",
        "run",
        "--to",
        "safetensors",
        "--out",
        f"opened_{module}.safetensors",
    ]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (folder / f"opened_{module}.safetensors").is_file()


def test_a_misspelt_name_in_a_model_file_is_still_told_as_such(tmp_path):
    text = toml.dumps(bioFA.load("linear")).replace('name = "local_error"', 'name = "local_eror"', 1)
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(UnknownName, match="Did you mean 'local_error'"):
        toml.load(tmp_path / "mine.toml")


def test_a_description_without_a_note_of_its_parts_says_what_it_can():
    text = toml.dumps(bioFA.load("linear")).replace('name = "local_error"', 'name = "my_rule"', 1)
    with pytest.raises(
        UnknownPart,
        match=(
            r"the plasticity rule 'my_rule' is no part of bioFA but the class MyRule of its author, or of a newer bioFA"
        ),
    ):
        toml.loads(text)
    with pytest.raises(UnknownName):
        toml.loads(text.replace("my_rule", "x; import os"))


def test_a_note_that_is_no_name_of_a_class_is_not_repeated():
    text = toml.dumps(bioFA.load("linear")).replace('name = "local_error"', 'name = "my_rule"', 1)
    with pytest.raises(UnknownPart) as error:
        toml.loads(text + "# own part: my_rule = os;os.system('x'):MyRule\n")
    assert "system" not in str(error.value)


def test_what_bioFA_has_itself_is_not_noted_and_a_damaged_file_is_still_called_damaged(tmp_path):
    experiment = bioFA.load("linear")
    assert toml.kept(experiment) == toml.dumps(experiment)
    path = Trained(experiment, 1, 0, {"input_to_hidden.w": np.ones((2, 2))}).save(tmp_path / "state.h5")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DamagedFile):
        load_trained(path)
