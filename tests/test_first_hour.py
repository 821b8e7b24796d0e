"""The first hour: a project that runs at once, completion, lines to watch, comparisons in Python,
and what a notebook shows."""

import json
import os
import subprocess
import sys
from html.parser import HTMLParser

import jsonschema
import pytest
from click.testing import CliRunner

import bioFA
from bioFA import cli
from bioFA.errors import FileError, ModelError
from bioFA.modelfiles import toml

SMALL = {"task.examples": 40, "task.test_examples": 10}


def biofa(*arguments):
    return CliRunner().invoke(cli.main, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    place = tmp_path_factory.mktemp("first") / "my project"
    outcome = biofa("init", place)
    assert outcome.exit_code == 0, outcome.output
    return place


def test_a_new_project_has_what_it_says(project):
    assert {path.name for path in project.iterdir()} == {
        "model.toml",
        "own_rule.toml",
        "make_data.py",
        "data.csv",
        "README.md",
        "CITATION.cff",
        ".gitignore",
        "biofa.schema.json",
    }
    assert "# my project" in (project / "README.md").read_text()
    schema = json.loads((project / "biofa.schema.json").read_text())
    import tomllib

    for name in ("model.toml", "own_rule.toml"):
        jsonschema.validate(tomllib.loads((project / name).read_text()), schema)


def test_the_rule_of_the_project_is_its_only_difference(project):
    model, own = (toml.load(project / name) for name in ("model.toml", "own_rule.toml"))
    assert own.circuit.schemes["fa"].rule.family_name == "equation"
    assert own.replace(name=model.name, circuit=own.circuit.replace(schemes=model.circuit.schemes)) == model
    assert own.circuit.schemes["bp"] == model.circuit.schemes["bp"]


@pytest.mark.slow
def test_every_command_of_the_projects_readme_runs(project, tmp_path, monkeypatch):
    monkeypatch.chdir(project)
    lines = [line.strip() for line in (project / "README.md").read_text().splitlines() if line.startswith("    biofa")]
    assert len(lines) == 5
    for line in lines:
        words = line.split("  ")[0].split()[1:]
        few = {"verify": ["--presentations", "50"], "compare": ["--seeds", "1"]}.get(words[0], []) + (
            [] if words[0] == "verify" else ["--set", "protocol.epochs=1", "--backend", "numpy"]
        )
        outcome = biofa(*[word if not word.startswith("results") else str(tmp_path / word) for word in words], *few)
        assert outcome.exit_code == 0, (line, outcome.output)


@pytest.mark.slow
@pytest.mark.compiled
def test_the_project_learns_what_a_single_layer_cannot(project):
    errors = {
        scheme: [
            bioFA.simulate(toml.load(project / "model.toml").with_scheme(scheme), seed).metrics["validation_error"]
            for seed in (1, 2, 3)
        ]
        for scheme in ("fa", "bp", "shallow")
    }
    assert max(errors["fa"]) < 0.05
    assert max(errors["bp"]) < 0.05
    assert min(errors["shallow"]) > max(errors["fa"])


def test_init_touches_no_folder_that_holds_anything(tmp_path):
    (tmp_path / "mine").write_text("x")
    outcome = biofa("init", tmp_path)
    assert outcome.exit_code == 2
    assert "not empty" in outcome.stderr
    assert os.listdir(tmp_path) == ["mine"]
    assert biofa("init", tmp_path / "mine").exit_code == 2


@pytest.mark.parametrize(("words", "expected"), [
    ("biofa run dig", {name for name in bioFA.builtin_models() if name.startswith("dig")}),
    ("biofa run digits --scheme s", {"shallow"}),
    ("biofa compare digits --schemes fa,b", {"fa,bp", "fa,brsf"}),
    ("biofa export x --to safe", {"safetensors"}),
    ("biofa comp", {"compare", "completion"}),
])
def test_the_shell_completes_names(words, expected):
    program = "import sys; sys.argv[0] = 'biofa'; from bioFA.cli import main; main()"
    environment = os.environ | {
        "_BIOFA_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(words.count(" ")),
    }
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, timeout=60)
    found = {line.split(",", 1)[1] for line in done.stdout.splitlines() if line.startswith("plain,")}
    assert found == expected


def test_completion_scripts_are_printed_and_other_shells_refused():
    for shell in ("zsh", "fish"):
        assert "_BIOFA_COMPLETE" in biofa("completion", shell).output
    assert "Did you mean 'bash'?" in biofa("completion", "bsh").stderr


def test_watch_writes_a_line_for_every_segment(tmp_path):
    outcome = biofa(
        "run",
        "linear",
        "--backend",
        "numpy",
        "--set",
        "protocol.snapshots=4",
        "--set",
        "task.examples=40",
        "--watch",
        "--json",
        "--out",
        tmp_path / "r",
    )
    lines = outcome.stderr.splitlines()
    assert [line.split(" s ")[1].split()[0] for line in lines[1:]] == ["10", "20", "30", "40"]
    assert all("NSE" in line for line in lines[1:])
    assert json.loads(outcome.stdout)["presentations"] == 40


class Checked(HTMLParser):
    """HTML whose tags are closed in order, and that loads nothing."""

    def __init__(self, text):
        super().__init__()
        self.open, self.text = [], ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        assert tag not in ("script", "link", "iframe")
        assert dict(attributes).get("src", "data:").startswith("data:")
        if tag not in ("img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    folder = tmp_path_factory.mktemp("notebook") / "c"
    return bioFA.run_comparison(
        "linear", ("fa", "bp"), seeds=2, folder=folder, backend="numpy", changes=[f"{k}={v}" for k, v in SMALL.items()]
    )


def test_a_notebook_shows_models_results_and_comparisons_with_their_text_escaped(comparison):
    experiment = bioFA.load("linear", SMALL | {"name": "<script>alert(1)</script>", "description": "a < b & c"})
    result = bioFA.simulate(experiment, backend="numpy")
    for shown in (experiment, result, comparison):
        page = Checked(shown._repr_html_())
        if shown is not comparison:
            assert "<script>alert(1)</script>" in page.text
            assert "a < b & c" in page.text
    text = Checked(result._repr_html_()).text
    assert f"{result.metrics['nse']:.4g}" in text
    assert "local_error" in text


def test_a_comparison_in_python_is_that_of_the_command_line(comparison):
    assert (comparison.folder / "report.html").is_file()
    again = bioFA.load_comparison(comparison.folder)
    assert again.table.equals(comparison.table)
    assert again.outcome["comparisons"][0]["difference"] == comparison.pairs["difference"][0]
    assert len(comparison.table) == 4
    assert "2 of 4" not in str(comparison)
    with pytest.raises(ModelError, match="shalow"):
        bioFA.run_comparison("linear", ("shalow",), folder=comparison.folder.parent / "x")
    with pytest.raises(FileError):
        bioFA.load_comparison(comparison.folder.parent / "none")
