"""Files that commit 43e68c2 wrote open in every later build, with the numbers that it printed: results, a model,
a bundle, a project and a comparison.

`yesterday.tar.xz` holds them; they are never written anew. Runs were of 4 hidden neurons, with the NumPy reference.
"""

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from click.testing import CliRunner

import bioFA
from bioFA import cli

ARCHIVE = Path(__file__).with_name("yesterday.tar.xz")


@pytest.fixture(scope="module")
def yesterday(tmp_path_factory):
    folder = tmp_path_factory.mktemp("yesterday")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return folder / "yesterday"


def biofa(*arguments):
    outcome = CliRunner().invoke(cli.main, list(map(str, arguments)))
    assert outcome.exit_code == 0, outcome.output
    return outcome.output


@pytest.mark.parametrize("name", ["linear", "digits_spiking"])
def test_a_result_opens_with_the_numbers_that_were_printed(name, yesterday):
    result, printed = bioFA.load_result(yesterday / f"{name}.h5"), json.loads((yesterday / f"{name}.json").read_text())
    assert (result.experiment.name, result.seed, result.presentations) == (
        name,
        printed["seed"],
        printed["presentations"],
    )
    for measure, value in printed["metrics"].items():
        if not measure.startswith("nse"):  # since then the first and the last presentations of a short run are others
            assert result.metrics[measure] == pytest.approx(value, rel=1e-12)
    assert "Result of" in str(result)


def test_a_result_is_gone_on_from_checked_and_exported(yesterday, tmp_path):
    biofa("check", yesterday / "linear.h5")
    small = [
        "--set",
        "task.examples=5",
        "--set",
        "task.test_examples=5",
        "--set",
        "protocol.epochs=6",
        "--set",
        "circuit.sizes=[30,4,10]",
        "--backend",
        "numpy",
    ]
    biofa("run", "linear", *small, "--after", yesterday / "linear.h5", "--out", tmp_path / "on", "--json")
    biofa("export", yesterday / "linear.h5", "--to", "bundle", "--out", tmp_path / "bundle")


def test_a_bundle_is_whole_and_runs_again(yesterday, tmp_path):
    biofa("check", yesterday / "bundle")
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["sh", yesterday / "bundle" / "rerun.sh"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    again, kept = bioFA.load_result(yesterday / "bundle" / "rerun" / "result.h5"), bioFA.load_result(
        yesterday / "bundle" / "result.h5"
    )
    assert again.metrics["test_nse"] == kept.metrics["test_nse"]


@pytest.mark.parametrize("name", ["bundle/model.toml", "project/model.toml", "project/own_rule.toml"])
def test_a_model_file_opens(name, yesterday):
    experiment = bioFA.load(str(yesterday / name))
    assert bioFA.loads(bioFA.dumps(experiment)) == experiment


def test_a_comparison_opens_with_all_its_runs(yesterday):
    found = bioFA.load_comparison(yesterday / "comparison")
    assert found.outcome["finished"] == 4
    assert set(found.outcome["states"]) == {"finished"}
    row = found.table[(found.table["scheme"] == "fa") & (found.table["seed"] == 1)].iloc[0]
    assert row["test_nse"] == pytest.approx(bioFA.load_result(yesterday / "linear.h5").metrics["test_nse"], rel=1e-12)
    biofa("report", yesterday / "comparison")
