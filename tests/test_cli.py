"""The command line: what it prints, writes and returns."""

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner

import bioFA
from bioFA import cli
from bioFA.consumers.reference import Reference
from bioFA.runs.result import load_result
from bioFA.show import figures

SMALL = ("--set", "task.examples=60", "--set", "task.test_examples=20", "--backend", "numpy")


def biofa(*arguments):
    return CliRunner().invoke(cli.main, arguments)


def fresh(program, **environment):
    """A program in a Python of its own, with bioFA's command line as its last resort."""
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=os.environ | environment, timeout=300
    )


def commands(group=cli.main, path=()):
    for name, command in group.commands.items():
        yield (*path, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One small run under --json: its output and its folder."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    outcome = biofa("run", "linear", "--seed", "3", *SMALL, "--out", str(folder), "--figures", "--json")
    assert outcome.exit_code == 0, outcome.output
    return outcome, folder


def test_run_prints_one_json_object_and_nothing_else(finished):
    outcome, folder = finished
    printed = json.loads(outcome.stdout)
    assert list(printed) == [
        "model",
        "scheme",
        "seed",
        "backend",
        "presentations",
        "ended_early",
        "rates",
        "metrics",
        "confusion",
        "class_errors",
        "class_balance",
        "alignment",
        "feedback_angle",
        "findings",
        "rounded_times",
        "data_notes",
        "firing_rates_hz",
        "firing_rates_window",
        "timing",
        "result",
    ]
    assert (printed["model"], printed["scheme"], printed["seed"], printed["backend"], printed["presentations"]) == (
        "linear",
        "fa",
        3,
        "numpy",
        60,
    )
    assert {"nse", "test_nse"} <= set(printed["metrics"])
    assert 0 < printed["alignment"]["mismatch_to_hidden"] < 180
    assert {"codegen_s", "compile_s", "run_s", "total_s", "cached"} <= set(printed["timing"])
    assert printed["result"] == str(folder / "result.h5")


def test_run_writes_a_result_that_says_the_same(finished):
    outcome, folder = finished
    assert json.loads(json.dumps(load_result(folder / "result.h5").summary())) == {
        name: value for name, value in json.loads(outcome.stdout).items() if name != "result"
    }


def test_run_writes_only_the_files_that_it_would_refuse_to_overwrite(finished):
    _, folder = finished
    expected = {"result.h5", *(f"{name}{suffix}" for name in cli.run.FIGURES[:3] for suffix in cli.run.SUFFIXES)}
    assert {path.name for path in folder.iterdir()} == expected


def test_json_leaves_the_figures_out_unless_they_are_asked_for(tmp_path):
    assert biofa("run", "linear", *SMALL, "--out", str(tmp_path / "run"), "--json").exit_code == 0
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["result.h5"]


def test_figures_are_not_empty(finished):
    _, folder = finished
    assert all(path.stat().st_size > 5000 for path in folder.iterdir())


LONG = (
    *("digits_spiking", "digits_dale", "digits_spiking_errors", "digits_erbp"),
    *("evidence", "feedback_delay", "apical_microcircuit"),
)
"""Models that take seconds each; `linear_spiking` and `pattern` draw as they do."""


DRAWN = [  # others: test_mnist.py, test_plateaus.py
    model
    for model in bioFA.builtin_models()
    if not model.startswith(("mnist", "digits_plateaus")) and not bioFA.load(model).free
]


@pytest.mark.parametrize(
    ("presentations", "model"),
    [
        pytest.param(count, model, marks=[pytest.mark.slow] * (model in LONG or (count == 1 and model != "linear")))
        for count in (1, 30)
        for model in DRAWN
    ],
)
def test_every_built_in_model_can_be_drawn(model, presentations):
    # thousands of steps, or a thousand neurons, each
    few = min(presentations, 3) if model in {"pattern", "evidence", "digits_spiking"} else presentations
    experiment = bioFA.load(model, {"protocol.presentations": few, "protocol.snapshots": 3})
    if model in {"digits_spiking", "digits_spiking_errors", "digits_erbp", "feedback_delay"}:
        experiment = experiment.replace(protocol=experiment.protocol.replace(presentation=0.01, learning_onset=0.005))
    if hasattr(experiment.task, "test_examples"):
        experiment = experiment.replace(task=experiment.task.replace(test_examples=2))
    result = bioFA.simulate(experiment, seed=1, backend="numpy")
    network = result.experiment.network
    assert len(figures.alignment(result).axes) >= len(network.measured_feedback()) > 0
    titles = [panel.get_title(loc="left") for part in figures.weights(result).subfigs for panel in part.axes]
    assert all(any(title.startswith(pathway.name) for title in titles) for pathway in network.plastic())
    assert figures.learning_curve(result).axes[0].get_ylabel() == "normalised squared error"


def test_a_scheme_without_feedback_has_no_alignment_figure():
    outcome = biofa("run", "linear", "--scheme", "shallow", *SMALL, "--out", "run")
    assert outcome.exit_code == 0, outcome.output
    assert {path.stem for path in Path("run").iterdir()} == {"result", "learning_curve", "weights"}


def test_run_says_what_happened_where_it_is_and_what_to_do_next():
    outcome = biofa("run", "linear", *SMALL)
    assert outcome.exit_code == 0, outcome.output
    first, *_, where, after = outcome.stdout.splitlines()
    assert first.startswith("Result of linear, scheme fa, seed 1, numpy, 60 presentations")
    assert where.startswith("Written to results/linear_fa_seed1: result.h5, learning_curve.png")
    assert after.endswith("biofa verify linear --set task.examples=60 --set task.test_examples=20")
    assert outcome.stderr == ""


def test_a_folder_that_holds_a_result_is_left_alone(finished):
    _, folder = finished
    before = {path: path.read_bytes() for path in folder.iterdir()}
    outcome = biofa("run", "linear", *SMALL, "--out", str(folder), "--json")
    assert outcome.exit_code == 2
    assert json.loads(outcome.stdout)["exit_code"] == 2
    assert "already holds a result" in json.loads(outcome.stdout)["error"]
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_the_folder_is_looked_at_before_anything_runs(monkeypatch, finished):
    monkeypatch.setattr("bioFA.runs.simulation.simulate", lambda *_, **__: pytest.fail("it ran"))
    assert biofa("run", "linear", *SMALL, "--out", str(finished[1])).exit_code == 2


def test_a_name_from_a_model_file_does_not_lead_out_of_the_results_folder(tmp_path):
    (tmp_path / "mine.toml").write_text(biofa("show", "linear", "--set", "name=../../elsewhere").stdout)
    outcome = biofa("run", "mine.toml", *SMALL)
    assert outcome.exit_code == 0, outcome.output
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["elsewhere_fa_seed1"]


def test_a_run_that_diverges_fails_and_writes_nothing(tmp_path):
    outcome = biofa("run", "linear", *SMALL, "--set", "circuit.schemes.fa.readout_rule.learning_rate=1e200", "--json")
    assert outcome.exit_code == 1, outcome.output
    assert "diverged" in json.loads(outcome.stdout)["error"]
    assert list(tmp_path.iterdir()) == []


def test_json_says_null_for_an_angle_that_does_not_exist():
    changes = (
        "circuit.weights={name='constant'}",
        "circuit.schemes.fa.rule.learning_rate=0.0",
        "circuit.schemes.fa.readout_rule.learning_rate=0.0",
    )
    outcome = biofa("run", "linear", *SMALL, *(word for change in changes for word in ("--set", change)), "--json")
    assert outcome.exit_code == 0, outcome.output
    assert json.loads(outcome.stdout)["alignment"] == {"mismatch_to_hidden": None}


def test_an_interrupted_run_says_so_and_writes_nothing(tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("bioFA.runs.simulation.simulate", interrupted)
    outcome = biofa("run", "linear", *SMALL, "--json")
    assert outcome.exit_code == 130
    assert outcome.stderr == "biofa: [interrupted] interrupted.\n"
    assert json.loads(outcome.stdout) == {"error": "interrupted.", "code": "interrupted", "exit_code": 130}
    assert list(tmp_path.iterdir()) == []


def test_too_little_memory_is_the_environment_s_lack(monkeypatch):
    def large(*_, **__):
        raise MemoryError("cannot allocate 9 TiB")

    monkeypatch.setattr("bioFA.runs.simulation.simulate", large)
    outcome = biofa("run", "linear", *SMALL)
    assert outcome.exit_code == 3
    assert "cannot allocate 9 TiB" in outcome.stderr


class Nudged(Reference):
    """A consumer whose hidden weights are off by a little."""

    def segment(self, state, feed, learning, **options):
        segment = super().segment(state, feed, learning, **options)
        segment.state["input_to_hidden.w"][0, 0] += 1e-6
        return segment


@pytest.mark.parametrize(("other", "code"), [(Reference, 0), (Nudged, 1)])
def test_verify_fails_where_the_two_differ_and_names_the_pathway(monkeypatch, other, code):
    monkeypatch.setattr("bioFA.verification.backends.consumer", lambda instance, backend: other(instance))
    outcome = biofa("verify", "linear", "--presentations", "50", "--json")
    assert outcome.exit_code == code, outcome.output
    printed = json.loads(outcome.stdout)
    assert printed["agrees"] is (code == 0)
    assert printed["presentations"] == 50
    assert (printed["max_abs_difference"] > 1e-7) is (code == 1)
    assert ("input_to_hidden.w" in printed["first_excess"]) is (code == 1)
    assert "input_to_hidden" in biofa("verify", "linear", "--presentations", "50").stdout


@pytest.mark.parametrize("path", [(), *commands()], ids=" ".join)
def test_help_teaches_by_example(path):
    outcome = biofa(*path, "--help")
    assert outcome.exit_code == 0
    assert f"  biofa {' '.join(path)}".rstrip() in outcome.stdout
    assert "First steps:" in outcome.stdout or "Example" in outcome.stdout


@pytest.mark.parametrize("model", bioFA.builtin_models())
def test_what_show_prints_is_the_model_again(model, tmp_path):
    outcome = biofa("show", model)
    assert outcome.exit_code == 0
    (tmp_path / "mine.toml").write_text(outcome.stdout)
    assert bioFA.load("mine.toml") == bioFA.load(model)
    assert all(f"# {line}".rstrip() in outcome.stdout for line in bioFA.load(model).network.describe().splitlines())


def test_show_applies_scheme_and_changes():
    printed = json.loads(biofa("show", "linear", "--scheme", "bp", "--set", "protocol.epochs=7", "--json").stdout)
    assert printed["scheme"] == "bp"
    assert printed["experiment"]["protocol"]["epochs"] == 7
    feedback = next(p for p in printed["pathways"] if p["name"] == "mismatch_to_hidden")
    assert (feedback["weights"], feedback["shape"], feedback["stands_for"]) == (
        "shared_with",
        [20, 10],
        "hidden_to_output",
    )


def test_list_names_everything_that_a_model_file_can_name():
    printed = json.loads(biofa("list", "--json").stdout)
    names = {kind: [part["name"] for part in parts] for kind, parts in printed.items()}
    assert names["models"] == bioFA.builtin_models()
    assert {"fa", "bp", "shallow", "np"} <= set(names["schemes"])
    assert {"local_error", "delta_rule"} <= set(names["rules"])
    assert {"static_rate", "leaky_rate"} <= set(names["neurons"])
    assert {"linear_teacher", "digits"} <= set(names["tasks"])
    assert all(part["description"] for parts in printed.values() for part in parts)
    text = biofa("list").stdout
    assert all(f"  {name} " in text for parts in names.values() for name in parts)


def test_doctor_finds_what_this_machine_has():
    outcome = biofa("doctor", "--json")
    printed = json.loads(outcome.stdout)
    assert outcome.exit_code == (0 if printed["ok"] else 3)
    assert [check["name"] for check in printed["checks"]] == [
        "Python",
        "packages",
        "Brian2",
        "C++ compiler",
        "cache",
        "threads",
        "scikit-learn",
        "Elephant",
        "Dask",
        "NIR",
        "Neo",
        "PyNWB",
        "safetensors",
        "xarray",
        "MNIST",
    ]
    assert all(check["fix"] for check in printed["checks"] if not check["ok"])


@pytest.fixture
def without_compiler(tmp_path, monkeypatch):
    """A PATH on which there are no programs at all, and an empty cache."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("BIOFA_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("CXX", raising=False)


@pytest.mark.slow
@pytest.mark.usefixtures("without_compiler")
def test_without_a_compiler_doctor_says_so_and_how_to_mend_it():
    outcome = biofa("doctor")
    assert outcome.exit_code == 3
    assert "MISSING  C++ compiler" in outcome.stdout
    assert "apt install g++" in outcome.stdout
    assert "--backend numpy" in outcome.stdout


@pytest.mark.usefixtures("without_compiler")
@pytest.mark.parametrize(
    "command", [("run", "linear", "--json"), ("verify", "linear", "--json")], ids=["run", "verify"]
)
def test_without_a_compiler_the_missing_program_is_named(command):
    done = fresh(f"import sys; from bioFA.cli import main; main({command!r})")
    assert done.returncode == 3, done.stderr
    printed = json.loads(done.stdout)
    assert printed["exit_code"] == 3
    assert "'g++'" in printed["error"]
    assert "--backend numpy" in printed["error"]
    assert not Path("results").exists()


@pytest.mark.usefixtures("without_compiler")
def test_without_a_compiler_the_numpy_backend_works():
    done = fresh(f"from bioFA.cli import main; main({('run', 'linear', *SMALL, '--json')!r})")
    assert done.returncode == 0, done.stderr
    assert Path(json.loads(done.stdout)["result"]).is_file()


@pytest.mark.parametrize("arguments", [("--help",), ("run", "--help"), ("list",), ("show", "linear")], ids=" ".join)
def test_what_computes_nothing_imports_no_simulator_and_no_plots(arguments):
    program = f"""
import sys
from bioFA.cli import main
try:
    main({arguments!r})
except SystemExit as end:
    assert not end.code, end.code
heavy = {{"brian2", "matplotlib", "sympy", "scipy", "sklearn", "pooch"}} & set(sys.modules)
assert not heavy, heavy
"""
    done = fresh(program)
    assert done.returncode == 0, done.stderr


def test_data_is_taken_from_a_copy_and_refused_if_it_is_not_the_original(tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in (
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
        "t10k-images-idx3-ubyte",
        "t10k-labels-idx1-ubyte",
    ):
        (copy / name).write_bytes(np.arange(100, dtype=np.uint8).tobytes())
    outcome = biofa("data", "get", "mnist", "--from", str(copy), "--to", str(tmp_path / "mnist"))
    assert outcome.exit_code == 2
    assert "MNIST, four files: from" in outcome.stdout
    assert "not the original file" in outcome.stderr
    assert not list(tmp_path.glob("mnist/*"))
    outcome = biofa("data", "get", "mnist", "--from", str(copy), "--to", str(tmp_path / "mnist"), "--json")
    assert "not the original file" in json.loads(outcome.stdout)["error"]
    assert "MNIST, four files: from" in outcome.stderr


@pytest.mark.skipif("BIOFA_DATA" not in os.environ, reason="BIOFA_DATA is not set")
def test_data_in_place_are_told_as_json(tmp_path):
    outcome = biofa(
        "data", "get", "mnist", "--from", os.environ["BIOFA_DATA"], "--to", str(tmp_path / "mnist"), "--json"
    )
    assert json.loads(outcome.stdout) == {"data": "mnist", "folder": str(tmp_path / "mnist"), "found": False}
    assert "export BIOFA_DATA" not in outcome.stdout


def test_a_question_ends_as_one():
    outcome = biofa("init", "a", "--jsn")
    assert outcome.stderr.startswith("biofa: [usage] No such option '--jsn'. Did you mean '--json'? See ")
