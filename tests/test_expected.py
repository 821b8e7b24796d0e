"""What is exported runs: every built-in model in every format,
in the programs and by the very lines that its README gives, answers what is written beside it.

`docs/howto/exports_that_run.md` has the table that these tests go through: each model and format with the programs that
run it, or why it is refused. Brian2 and libsonata are here; NEST and bmtk too, or in the environment of
`BIOFA_CLIENTS_NEST`; PyTorch's tools in that of `BIOFA_CLIENTS`, jNeuroML in that of `BIOFA_NEUROML_PYTHON`. Without
them a pair is skipped.
"""

import importlib.util
import inspect
import json
import os
import re
import sys
from dataclasses import replace
from pathlib import Path

import forks
import nir
import numpy as np
import pytest
from click.testing import CliRunner
from test_brian2_export import learned
from test_nir import interpret

import bioFA
from bioFA import cli, exchange
from bioFA.consumers.reference import Reference
from bioFA.errors import FileError, ModelError
from bioFA.exchange import expected
from bioFA.runs.trained import Trained
from bioFA.tasks.arrays import Arrays

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "howto" / "exports_that_run.md"
MODELS = sorted(path.stem for path in (ROOT / "models").glob("*.toml") if "\n[task]" in path.read_text())
TOOLS = {program: requirement for format in exchange.FORMATS.values() for program, requirement in format.tools.items()}
FORMATS = [name for name, format in exchange.FORMATS.items() if not format.needs_result]
FEW = {"task.examples": 60, "task.test_examples": 20}
CHANGES = {
    "depth": FEW,
    "nonlinear": FEW,
    "linear": FEW,
    "leaky": FEW,
    "linear_spiking": FEW,
    "evidence": {"task.examples": 6, "task.test_examples": 4},
}
# whole, jNeuroML takes 9 GB and half an hour
CHANGES |= {key: {"circuit.sizes": [784, 24, 10]} for key in ("mnist", "mnist_sparse", "mnist_spiking")}
PRESENTATIONS = 20
ARGUMENTS = {"norse": "norse", "snnTorch": "snntorch", "SpikingJelly": "spikingjelly"}
WITHOUT_BIOFA = """
import sys

class NoBioFA:
    def find_spec(self, name, *rest):
        if name.partition(".")[0] == "bioFA":
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, NoBioFA())
"""


def cells():
    """The table of the page: what each model and format has."""
    table = PAGE.read_text(encoding="utf-8").partition("\n| model |")[2].partition("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in f"| model |{table}".splitlines()]
    head = rows[0][1:]
    return {
        (row[0].strip("`"), name.strip("`")): cell for row in rows[2:] for name, cell in zip(head, row[1:], strict=True)
    }


CELLS = cells()
REFUSED = {pair: cell.removeprefix("refused: ") for pair, cell in CELLS.items() if cell.startswith("refused: ")}
PAIRS = [(*pair, program) for pair, cell in CELLS.items() if pair not in REFUSED for program in cell.split(", ")]


def python_of(program):
    """The Python of a program's environment."""
    here = {"Brian2": ("brian2",), "libsonata": ("libsonata",), "NEST": ("nest", "bmtk")}
    variable = {"NEST": "BIOFA_CLIENTS_NEST", "jNeuroML": "BIOFA_NEUROML_PYTHON"}.get(program, "BIOFA_CLIENTS")
    if program in here and all(importlib.util.find_spec(name) for name in here[program]):
        return sys.executable
    if not os.environ.get(variable):
        pytest.skip(f"{program} is not at hand: {variable} names no Python")
    return os.environ[variable]


@pytest.fixture(scope="session")
def network():
    """A model after a few presentations, once for all tests."""
    made = {}

    def make(model):
        if model not in made:
            if model.startswith("mnist") and not os.environ.get("BIOFA_DATA"):
                pytest.skip("BIOFA_DATA names no folder with MNIST")
            experiment = bioFA.load(model, CHANGES.get(model, {}))
            made[model] = learned(experiment, further=PRESENTATIONS if experiment.network.is_static() else 2)
        return made[model]

    return make


@pytest.fixture(scope="session")
def exported(network, tmp_path_factory):
    """A model in a format, written once for all programs."""
    made = {}

    def make(model, format):
        if (model, format) not in made:
            path = tmp_path_factory.mktemp(f"{model}_{format}") / f"network{exchange.FORMATS[format].suffix}"
            options = {"presentations": 10} if format == "brian2" else {}
            made[model, format] = path, exchange.export(network(model), format, path, **options)
        return made[model, format]

    return make


def companions(path):
    """The README and the expected answers of an export."""
    return (path / expected.README, path / expected.EXPECTED) if path.is_dir() else expected.beside(path)


def blocks(readme):
    """The code blocks of the part that says how to run the model, each with its language."""
    text = readme.read_text(encoding="utf-8")
    return re.findall(r"```(sh|python)\n(.*?)```", text[text.index("## Run it") :], flags=re.DOTALL)


TWICE = """
code = @CODE@
exec(code, {"__name__": "__main__"})
import numpy as np
@SPOIL@
spoil(@ANSWERS@)
try:
    exec(code, {"__name__": "__main__"})
except AssertionError:
    print("spoiled answers are noticed")
"""
"""Runs a block on the answers, and again on spoiled ones, in one process: most of its time goes into imports."""

LINES = """
import runpy, sys
for line in @LINES@:
    sys.argv = line.split()[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""Runs lines such as `python network.py --number 3`, in one process."""

IMPORTED = {"Brian2": ("brian2",), "NEST": ("h5py",), "libsonata": ("libsonata",), "jNeuroML": ("numpy",)}
"""What a program's exports import; others import PyTorch, and what its name says (`ARGUMENTS`)."""


@pytest.fixture(scope="session")
def forked(tmp_path_factory):
    """Code in a fork of a Python that has imported what the exports for a program import; there is no bioFA."""
    forbidden, servers = tmp_path_factory.mktemp("without_biofa"), {}
    (forbidden / "sitecustomize.py").write_text(WITHOUT_BIOFA)

    def environment(python):
        path = f"{Path(python).parent}{os.pathsep}{os.environ['PATH']}"
        kept = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
        return kept | {"PYTHONPATH": str(forbidden), "PATH": path}

    def run(program, python, code, arguments, folder):
        if program not in servers:
            modules = IMPORTED.get(program, ("torch", *filter(None, [ARGUMENTS.get(program)])))
            socket = forbidden / f"{program}.socket"
            servers[program] = socket, forks.start(socket, modules, python, environment=environment(python))
        return forks.output_of(servers[program][0], code, ["-c", *arguments], folder, environment(python))

    yield run
    for _, server in servers.values():
        server.terminate()
        server.wait()


def run(readme, program, python, answers, forked):
    """Run the lines of a README in its folder, in an environment where there is no bioFA."""
    argument = [ARGUMENTS[program]] if program in ARGUMENTS else []
    for language, code in blocks(readme):
        lines = code.splitlines()
        if language == "python":
            code = TWICE.replace("@CODE@", repr(code)).replace("@SPOIL@", inspect.getsource(spoil))
            code = code.replace("@ANSWERS@", repr(str(answers)))
        elif program == "Brian2" and all(line.startswith("python network.py ") for line in lines):
            code = LINES.replace("@LINES@", repr(lines))
        else:
            code = f"import subprocess, sys; sys.exit(subprocess.call(['bash', '-ec', {code!r}]))"
        ended, printed = forked(program, python, code, argument, readme.parent)
        if ended:
            return printed[-4000:]
    return printed


def spoil(file):
    """Put other numbers into the answers of a file."""
    with np.load(file) as found:
        np.savez(file, **{name: array + 1 - 2 * (array == 1) if array.size else array for name, array in found.items()})


def test_the_table_names_every_model_and_every_format_that_holds_a_model():
    assert sorted({model for model, _ in CELLS}) == MODELS
    assert sorted({format for _, format in CELLS}) == sorted(FORMATS)
    assert len(CELLS) == len(MODELS) * len(FORMATS)


@pytest.mark.parametrize(("model", "format"), REFUSED)
def test_what_the_table_calls_refused_is_refused_for_the_reason_it_gives(model, format, network, tmp_path):
    with pytest.raises(ModelError, match=re.escape(REFUSED[model, format])):
        exchange.export(network(model), format, tmp_path / "network")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("model", "format"),
    [
        pytest.param(*pair, marks=[pytest.mark.slow] * (pair[0].startswith("digits") and pair[1] == "neuroml"))
        for pair in CELLS
        if pair not in REFUSED and pair[1] != "brian2" and "mnist" not in pair[0]
    ],
)
def test_what_the_table_does_not_call_refused_is_exported_with_a_readme_that_names_its_programs(
    model, format, exported
):
    path, outcome = exported(model, format)
    readme, answers = companions(path)
    assert str(readme) in outcome.run
    assert {readme, answers} <= set(outcome.paths)
    line = next(line for line in readme.read_text().splitlines() if line.startswith("Run with "))
    for program in CELLS[model, format].split(", "):
        assert TOOLS[program].replace("==", " ") in line


@pytest.mark.slow
@pytest.mark.parametrize(("model", "format", "program"), PAIRS)
def test_an_export_run_as_its_readme_says_gives_what_is_expected(model, format, program, exported, forked):
    python = python_of(program)
    path, outcome = exported(model, format)
    readme, answers = companions(path)
    assert {readme, answers} <= set(outcome.paths)
    with np.load(answers) as found:
        assert all(array.any() for name, array in found.items() if array.size > 1 and ".spikes." not in name)
    kept = answers.read_bytes()
    printed = run(readme, program, python, answers, forked)
    answers.write_bytes(kept)
    assert printed.endswith("spoiled answers are noticed\n"), printed


@pytest.mark.parametrize(
    "model",
    [model for model, format in CELLS if format == "nir" and (model, format) not in REFUSED and "mnist" not in model],
)
def test_the_equations_of_a_nir_graph_give_what_is_expected(model, exported):
    path, _ = exported(model, "nir")
    graph = nir.read(path)
    with np.load(companions(path)[1]) as found:
        answers = dict(found)
    given = interpret(graph, answers.pop("input"), float(graph.metadata.get("dt", 1e-4)))
    given["output"] = given[next(a for a, b in graph.edges if b == "output")]
    for name, array in answers.items():
        assert array.any()
        np.testing.assert_allclose(given[name], array, rtol=0, atol=1e-12, err_msg=name)


def test_the_versions_are_those_of_the_environment_that_runs_them():
    given = (Path(__file__).parent / "clients" / "requirements.txt").read_text()
    for program in ("PyTorch", "NIR", "nirtorch", "snnTorch", "norse", "SpikingJelly", "safetensors"):
        assert TOOLS[program] in given
    assert all(version.split("==")[0] in PAGE.read_text() for version in TOOLS.values())


@pytest.mark.parametrize("name", ["README.md", "expected.npz"])
def test_a_place_beside_a_file_that_is_taken_is_refused_and_nothing_is_written(name, network, tmp_path):
    path = tmp_path / "network.safetensors"
    (tmp_path / f"network.safetensors.{name}").write_text("mine")
    with pytest.raises(FileError, match=rf"network\.safetensors\.{re.escape(name)}' is there already"):
        exchange.export(network("linear"), "safetensors", path)
    assert [file.read_text() for file in tmp_path.iterdir()] == ["mine"]


def test_an_export_whose_file_cannot_be_written_leaves_nothing_beside_it(network, tmp_path, monkeypatch):
    import nir as library

    def fail(*_):
        raise OSError("no space left")

    monkeypatch.setattr(library, "write", fail)
    with pytest.raises(FileError, match="no space left"):
        exchange.export(network("linear"), "nir", tmp_path / "network.nir")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("format", ["safetensors", "nir", "sonata"])
def test_a_model_whose_examples_are_not_here_is_exported_and_its_answers_are_told_to_be_missing(
    format, network, tmp_path
):
    known, data = network("linear"), tmp_path / "gone.npz"
    np.savez(data, inputs=np.ones((5, 30)), targets=np.ones((5, 10)))
    away = Trained(known.experiment.replace(task=Arrays(path=str(data))), 3, 0, known.state)
    data.unlink()
    outcome = exchange.export(away, format, tmp_path / f"network{exchange.FORMATS[format].suffix}")
    assert any(
        "what must come out: the examples cannot be shown" in sentence and "gone.npz" in sentence
        for sentence in outcome.lost
    )
    assert not list(tmp_path.rglob("*expected.npz"))


def test_a_format_that_holds_a_run_says_that_there_is_nothing_to_run(tmp_path):
    result = bioFA.simulate(bioFA.load("linear", FEW), seed=1, backend="numpy", folder=tmp_path / "run")
    outcome = exchange.export(result, "arrays", tmp_path / "arrays")
    assert outcome.run == "nothing: this format holds what a run recorded, not a model that runs"
    bundle = tmp_path / "bundle"
    assert exchange.export(result, "bundle", bundle).run == f"sh {bundle}/rerun.sh, as {bundle}/README.md says"
    assert (bundle / "rerun.sh").exists()
    said = CliRunner().invoke(
        cli.main,
        ["export", str(tmp_path / "run"), "--to", "safetensors", "--out", str(tmp_path / "network.safetensors")],
    )
    assert f"run: as {tmp_path / 'network.safetensors.README.md'} says" in said.output
    listed = json.loads(
        CliRunner()
        .invoke(
            cli.main, ["export", str(tmp_path / "run"), "--to", "nir", "--out", str(tmp_path / "network.nir"), "--json"]
        )
        .output
    )
    assert [Path(path).name for path in listed["paths"]] == [
        "network.nir",
        "network.nir.README.md",
        "network.nir.expected.npz",
    ]
    assert listed["run"].startswith(f"as {tmp_path / 'network.nir.README.md'}")


def test_what_arrives_late_in_another_program_is_late_by_so_many_steps(network):
    known = network("digits_spiking")
    drawn = bioFA.draw(known.experiment, known.seed)
    hidden = expected.sends(known.experiment.network.population("hidden"))
    asked = [hidden]
    plain = expected.answers(known, drawn, asked, lambda neuron: neuron, count=2)[str(hidden)]
    late = expected.answers(
        known, drawn, asked, lambda neuron: neuron, {"input_to_hidden": 3, "bias_to_hidden": 3}, count=2
    )[str(hidden)]
    assert plain.any()
    np.testing.assert_array_equal(late[:, 3:], plain[:, :-3])
    assert not late[:, :3].any()
    feed = drawn.evaluation("test")
    feed = replace(feed, presentations=2, rows={name: rows[:2] for name, rows in feed.rows.items()})
    ours = Reference(drawn).segment(known.state, feed, learning=False, rasters=True).rasters["hidden"]
    np.testing.assert_array_equal(plain, ours)
    np.testing.assert_array_equal(expected.answers(known, drawn, asked, count=2)[str(hidden)], ours)
    np.testing.assert_array_equal(expected.answers(known, drawn, asked, first=1, count=1)[str(hidden)][0], ours[1])
