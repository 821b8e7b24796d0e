"""A new part is one file: runs, checks, descriptions and exports take it from there, and nothing else changes."""

import importlib.util
import inspect
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import nir
import numpy as np
import pytest
from click.testing import CliRunner

import bioFA
from bioFA import exchange, neurons, weights
from bioFA.cli import main
from bioFA.cli.console import complete_format
from bioFA.consumers import BACKENDS, Numpy
from bioFA.errors import ModelError
from bioFA.modelfiles.schema import schema
from bioFA.neurons.activations import ACTIVATIONS
from bioFA.show.model_card import card

SOFTPLUS = '''
"""Softplus: a rectifier without a corner."""

import numpy as np

from bioFA.neurons.activations import ACTIVATIONS, Activation

ACTIVATIONS["softplus"] = Activation(
    lambda u: np.log(1 + np.exp(u)), lambda r: 1 - np.exp(-r), "log(1 + exp({u}))", "1 - exp(-r)", False
)
'''
IN_LEMS = '"1 - exp(-r)", False, "ln(1 + exp({u}))", "1 - exp(-V)"'
CHECKERBOARD = '''
"""Weights of alternating signs."""

import numpy as np

from bioFA.components import Number
from bioFA.weights import Weights, family


@family.add
class Checkerboard(Weights):
    """`scale` where row and column are both even or both odd, else minus it."""

    scale: Number = 0.25

    def draw(self, rng, shape):
        """The board; draws nothing."""
        return self.scale * (1.0 - 2.0 * (np.add.outer(*map(np.arange, shape)) % 2))
'''
SLOW_RATE = '''
"""A linear unit that follows its drive slowly."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Gt

from bioFA.components import Number
from bioFA.neurons.base import NeuronModel, family
from bioFA.neurons.counterparts import RateUnit
from bioFA.units import Unit


@family.add
class SlowRate(NeuronModel):
    """A linear unit that follows its drive slowly."""

    lag: Annotated[Number, Unit("s"), Gt(0)] = 20e-3

    ports: ClassVar[tuple[str, ...]] = ("drive", "error", "probe", "perturbation")
    publishes: ClassVar[tuple[str, ...]] = ("r", "gain", "delta")
    state: ClassVar[Mapping[str, float]] = {"x": 0.0}

    def counterpart(self):
        return RateUnit("linear", self.lag)

    def r(self, x):
        return x.copy()

    def gain(self, x):
        return np.ones_like(x)

    def delta(self, error, gain):
        return error * gain

    def advance(self, state, now, dt):
        return {"x": state["x"] + dt / self.lag * (now["drive"] - state["x"])}

    def expressions(self):
        return {"r": "x", "gain": "1.0", "delta": "error*gain"}

    def dynamics(self):
        return "dx/dt = (-x + drive)/lag : 1"


@family.add
class DoubleRate(SlowRate):
    """Answers with twice its state, and does not state what others know it as."""

    def r(self, x):
        return 2 * x

    def expressions(self):
        return super().expressions() | {"r": "2*x"}
'''
LINES = '''
"""Every network as lines of text."""

import json

from bioFA.exchange.base import Exported, Imported, annotated, annotation
from bioFA.exchange.format import Format
from bioFA.optional import Package

FORMAT = Format(
    "the network as lines of text", ".lines", reads=True, package=Package("Lines", "a_module_that_is_nowhere", "lines")
)


def export(trained, path):
    """Write the lines."""
    noted = annotation(trained)
    noted["state"] = {name: array.tolist() for name, array in noted["state"].items()}
    path.write_text(json.dumps(noted, indent=1))
    return Exported((path,))


def load(path):
    """Read the lines."""
    return Imported(annotated(json.loads(path.read_text()), {}, path))
'''
SMALL = {
    "task.examples": 6, "task.test_examples": 3, "task.n_in": 5, "task.n_out": 3, "circuit.sizes": [5, 4, 3],
    "protocol.epochs": 1,
}


@pytest.fixture
def adds(tmp_path, monkeypatch):
    """Execute a file as a module of its name; what it made known is forgotten after the test."""
    monkeypatch.setattr(weights.family, "_known", dict(weights.family._parts()))
    monkeypatch.setattr(neurons.family, "_known", dict(neurons.family._parts()))
    known = dict(ACTIVATIONS)

    def add(name, text):
        file = tmp_path / "parts" / f"{name}.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        spec = importlib.util.spec_from_file_location(name, file)
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)

    yield add
    ACTIVATIONS.clear()
    ACTIVATIONS.update(known)


def learned(model, changes, folder):
    """A short run by the NumPy reference."""
    experiment = bioFA.load(model, {**(SMALL if model == "leaky" else {}), **changes})
    return bioFA.simulate(experiment, seed=2, backend="numpy", folder=folder / "run")


def written(result, folder, formats=None):
    """What each format makes of a result: its files, or why it is refused."""
    found = {}
    for name in formats or (name for name, format in exchange.FORMATS.items() if format.holds_presented):
        place = folder / name / f"network{exchange.FORMATS[name].suffix}"
        try:
            exchange.export(result, name, place, **({"presentations": 2} if name == "brian2" else {}))
        except ModelError as refusal:
            found[name] = str(refusal)
        else:
            files = [file for file in sorted(place.parent.rglob("*")) if file.is_file()]
            found[name] = {str(file.relative_to(folder)): file.read_bytes() for file in files}
    return found


REPEATED = ("brian2", "neuroml", "nir", "safetensors", "sonata")
"""Formats whose files are the same, byte for byte, when they are written again."""


@pytest.mark.parametrize("lems", [False, True], ids=["without LEMS", "with LEMS"])
def test_a_new_activation_is_one_file(adds, tmp_path, lems):
    plain = learned("leaky", {}, tmp_path / "plain")
    before = written(plain, tmp_path / "before", REPEATED)
    adds("softplus", SOFTPLUS.replace('"1 - exp(-r)", False', IN_LEMS) if lems else SOFTPLUS)
    assert written(plain, tmp_path / "after", REPEATED) == before

    result = learned("leaky", {"circuit.hidden.activation": "softplus"}, tmp_path / "own")
    assert 'activation = "softplus"' in bioFA.dumps(result.experiment)
    assert bioFA.loads(bioFA.dumps(result.experiment)) == result.experiment
    assert bioFA.load_result(tmp_path / "own" / "run" / "result.h5").experiment == result.experiment
    assert "softplus" in json.dumps(schema())
    found = written(result, tmp_path / "exports")
    refused = {name: text for name, text in found.items() if isinstance(text, str)}
    assert sorted(refused) == (["nir"] if lems else ["neuroml", "nir"])
    assert all("softplus" in text for text in refused.values())
    if lems:
        types = found["neuroml"]["neuroml/network/learning.xml"].decode()
        assert "ln(1 + exp(u))" in types
        assert "1 - exp(-V)" in types


def test_the_script_beside_weights_knows_a_new_activation(adds, tmp_path):
    pytest.importorskip("libsonata")
    adds("softplus", SOFTPLUS)
    result = learned("nonlinear", {
        "circuit.hidden": {"name": "static_rate", "activation": "softplus"}, "protocol.presentations": 3,
        "task.examples": 6, "task.test_examples": 3,
    }, tmp_path)
    for name, library in (("sonata", "numpy"), ("safetensors", "torch")):
        place = tmp_path / f"network{exchange.FORMATS[name].suffix}"
        readme = next(path for path in exchange.export(result, name, place).paths if path.name.endswith("README.md"))
        code = readme.read_text().partition("```python\n")[2].partition("```")[0]
        imported = next(line for line in code.splitlines() if line.startswith(f"from {library} import"))
        assert {"exp", "log", "tanh"} <= set(imported.split("import ")[1].split(", "))
        if name == "sonata":
            ran = subprocess.run([sys.executable, "-c", code], cwd=place, capture_output=True, text=True, check=False)
            assert ran.returncode == 0, ran.stderr
            assert "hidden1.r: differs by" in ran.stdout


@pytest.mark.compiled
def test_a_new_activation_is_computed_alike_by_both_consumers(adds):
    adds("softplus", SOFTPLUS)
    found = bioFA.verify(bioFA.load("leaky", SMALL | {"circuit.hidden.activation": "softplus"}), presentations=10)
    assert found.agrees, str(found)


def test_a_new_kind_of_weights_is_one_file(adds, tmp_path):
    plain = learned("leaky", {}, tmp_path / "plain")
    before = written(plain, tmp_path / "before", REPEATED)
    adds("checkerboard", CHECKERBOARD)
    assert written(plain, tmp_path / "after", REPEATED) == before

    changes = {"circuit.weights": {"name": "checkerboard", "scale": 0.1}, "circuit.feedback": "checkerboard"}
    result = learned("leaky", changes, tmp_path / "own")
    board = result.state["mismatch_to_hidden.w"]
    assert set(np.unique(board)) == {-0.25, 0.25}
    assert (board[0, 0], board[0, 1], board[1, 1]) == (0.25, -0.25, 0.25)
    assert bioFA.loads(bioFA.dumps(result.experiment)) == result.experiment
    assert bioFA.load_result(tmp_path / "own" / "run" / "result.h5").experiment == result.experiment
    connectivity = next(table for table in card(result.experiment) if table.title.startswith("C"))
    assert "checkerboard" in str(connectivity.rows)
    assert "checkerboard" in json.dumps(schema())
    assert all(isinstance(files, dict) for files in written(result, tmp_path / "exports").values())
    for name, format in exchange.FORMATS.items():
        if format.reads:
            back = exchange.load(tmp_path / "exports" / name / f"network{format.suffix}").trained
            assert back.experiment == result.experiment
            np.testing.assert_array_equal(back.state["mismatch_to_hidden.w"], board, err_msg=name)


@pytest.mark.compiled
def test_a_new_kind_of_weights_is_computed_alike_by_both_consumers(adds):
    adds("checkerboard", CHECKERBOARD)
    changes = {"circuit.weights": {"name": "checkerboard", "scale": 0.1}, "circuit.feedback": "checkerboard"}
    assert bioFA.verify(bioFA.load("leaky", SMALL | changes), presentations=10).agrees


def test_a_new_neuron_model_is_written_wherever_its_kind_is(adds, tmp_path):
    plain = learned("leaky", {}, tmp_path / "plain")
    before = written(plain, tmp_path / "before", REPEATED)
    adds("slow_rate", SLOW_RATE)
    assert written(plain, tmp_path / "after", REPEATED) == before
    own = learned("leaky", {"circuit.hidden": {"name": "slow_rate", "lag": "20 ms"}}, tmp_path / "own")
    known = learned("leaky", {"circuit.hidden": {"name": "leaky_rate", "tau": "20 ms"}}, tmp_path / "known")
    ours, theirs = (written(result, tmp_path / f"{result is own}", REPEATED) for result in (own, known))
    assert all(isinstance(files, dict) for files in ours.values())
    for file in ("rates.xml", "learning.xml", "LEMS_learning.xml", "expected.npz", "expected_learning.npz"):
        assert ours["neuroml"][f"neuroml/network/{file}"] == theirs["neuroml"][f"neuroml/network/{file}"], file
    graphs = [nir.read(tmp_path / str(which) / "nir" / "network.nir").nodes for which in (True, False)]
    assert [type(node).__name__ for node in graphs[0].values()] == [type(node).__name__ for node in graphs[1].values()]
    np.testing.assert_array_equal(graphs[0]["l1b_hidden"].tau, graphs[1]["l1b_hidden"].tau)


def test_a_neuron_that_computes_otherwise_than_its_base_is_refused_by_name(adds, tmp_path):
    adds("slow_rate", SLOW_RATE)
    result = learned("leaky", {"circuit.hidden": "double_rate"}, tmp_path)
    found = written(result, tmp_path / "exports", ("neuroml", "nir"))
    assert "double_rate has no counterpart" in found["neuroml"]
    assert "no neuron like DoubleRate" in found["nir"]


@pytest.fixture
def lines(tmp_path, monkeypatch):
    """A format in a file of its own, beside those of the package."""
    folder = tmp_path / "formats"
    folder.mkdir()
    (folder / "lines.py").write_text(LINES)
    monkeypatch.setattr(exchange, "__path__", [*exchange.__path__, str(folder)])
    yield
    sys.modules.pop("bioFA.exchange.lines", None)
    vars(exchange).pop("lines", None)


def biofa(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.mark.usefixtures("lines")
def test_a_new_format_is_one_file(tmp_path):
    result = learned("leaky", {}, tmp_path)
    assert "lines" in exchange.FORMATS
    assert len(exchange.FORMATS) == len(list(exchange.FORMATS))
    assert "the network as lines of text; also read" in " ".join(biofa("export", "--help").output.split())
    assert [item.value for item in complete_format(None, None, "li")] == ["lines"]
    place = tmp_path / "network.lines"
    told = json.loads(biofa("export", tmp_path / "run", "--to", "lines", "--out", place, "--json").output)
    assert told["paths"] == [str(place)]
    assert biofa("import", place, "--out", tmp_path / "back").exit_code == 0
    back = exchange.load(place).trained
    assert back.experiment == result.experiment
    for name, array in result.trained.state.items():
        np.testing.assert_array_equal(back.state[name], array, err_msg=name)
    assert "Did you mean 'lines'?" in biofa("export", tmp_path / "run", "--to", "line", "--out", "x").stderr
    checks = {check["name"]: check for check in json.loads(biofa("doctor", "--json").output)["checks"]}
    assert checks["Lines"]["ok"] is False
    assert checks["Lines"]["fix"] == "pip install 'bioFA[lines]'"
    assert checks["Lines"]["found"] == "for biofa export --to lines"
    assert "## lines\n\nthe network as lines of text. Also read." in reference_pages().format_page()


def reference_pages():
    """The extension that writes the reference pages."""
    path = Path(__file__).parent.parent / "docs" / "_ext" / "reference_pages.py"
    spec = importlib.util.spec_from_file_location("reference_pages", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_without_its_file_a_format_is_not_there(tmp_path):
    assert "lines" not in exchange.FORMATS
    assert "unknown format 'lines'" in biofa("export", tmp_path, "--to", "lines", "--out", tmp_path / "x").stderr


@pytest.mark.parametrize("name", exchange.FORMATS)
def test_a_format_states_what_its_file_has(name):
    format, module = exchange.FORMATS[name], exchange.module(name)
    assert format.reads == hasattr(module, "load")
    assert next(iter(inspect.signature(module.export).parameters)) == ("result" if format.needs_result else "trained")
    assert not (format.mark and format.suffix)
    extras = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]
    assert format.package is None or format.package.extra in extras["optional-dependencies"]


def test_formats_are_listed_without_an_import_and_described_without_an_optional_package():
    code = """
import sys
import bioFA, bioFA.cli
assert "bioFA.exchange" not in sys.modules
from bioFA.exchange import FORMATS
names = list(FORMATS)
assert not [name for name in names if f"bioFA.exchange.{name}" in sys.modules], names
assert len(dict(FORMATS)) == len(names) >= 9
found = {"brian2", "nir", "nixio", "neo", "pynwb", "safetensors", "pandas", "torch"} & set(sys.modules)
assert not found, found
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_new_backend_is_one_class(monkeypatch, tmp_path):
    class Mirror(Numpy):
        """The reference under another name."""

        name = "mirror"
        title = "the mirror"

    monkeypatch.setitem(BACKENDS, "mirror", Mirror())
    experiment = bioFA.load("leaky", SMALL)
    ours, known = (
        bioFA.simulate(experiment, seed=1, backend=name, folder=tmp_path / name) for name in ("mirror", "numpy")
    )
    for name, array in known.state.items():
        np.testing.assert_array_equal(ours.state[name], array, err_msg=name)
    with pytest.raises(ModelError, match="the mirror computes in float64 only; got precision 'float32'"):
        bioFA.simulate(experiment, backend="mirror", precision="float32")
    with pytest.raises(ModelError, match="Did you mean 'mirror'"):
        bioFA.simulate(experiment, backend="miror")
