"""Every script in examples/ runs, and draws or says what it promises."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import bioFA

EXAMPLES = sorted((Path(__file__).resolve().parent.parent / "examples").glob("*.py"))
OWN_RULE = next(script for script in EXAMPLES if script.stem == "three_factor_rule")
OF_MNIST = next(script for script in EXAMPLES if script.stem == "fig2_mnist")
OF_DELAYS = next(script for script in EXAMPLES if script.stem == "feedback_delay")
FIGURES = [script for script in EXAMPLES if script not in (OWN_RULE, OF_MNIST, OF_DELAYS)]


def test_there_are_examples():
    assert FIGURES


@pytest.mark.compiled
@pytest.mark.slow
@pytest.mark.parametrize("script", FIGURES, ids=lambda path: path.stem)
def test_an_example_runs_and_draws_its_figure(script, tmp_path, capsys):
    runpy.run_path(str(script))["main"](tmp_path, 1)
    drawn = {path.name for path in tmp_path.iterdir()}
    stem = script.stem.split("_")[0]
    assert drawn == {f"{stem}.png", f"{stem}.pdf"}
    assert capsys.readouterr().out.strip()


@pytest.mark.compiled
@pytest.mark.slow
@pytest.mark.skipif("BIOFA_DATA" not in os.environ, reason="BIOFA_DATA names no folder with MNIST")
def test_the_figures_of_mnist_are_drawn_from_finished_runs(tmp_path, capsys):
    short = {
        "protocol.phases": [{"presentations": 2000}, {"presentations": 1000, "rate": 0.2}],
        "protocol.snapshots": 1,
        "circuit.sizes": [784, 100, 10],
        "record.every": 10,
    }
    results = {}
    for scheme, seed in (("fa", 1), ("fa", 2), ("shallow", 1)):
        results[scheme, seed] = bioFA.simulate(
            bioFA.load("mnist", short).with_scheme(scheme), seed=seed, folder=tmp_path / f"{scheme}{seed}"
        )
    runpy.run_path(str(OF_MNIST))["main"](
        tmp_path / "drawn", [tmp_path / f"{scheme}{seed}" for scheme, seed in results]
    )
    assert {path.name for path in (tmp_path / "drawn").iterdir()} == {
        f"{name}.{suffix}" for name in ("fig2", "figS1") for suffix in ("png", "pdf")
    }
    told = capsys.readouterr().out
    rates = sorted(100 * results["fa", seed].metrics["test_error"] for seed in (1, 2))
    assert f"n = 2: test {sum(rates) / 2:.2f} % ({rates[0]:.2f} to {rates[1]:.2f})" in told
    assert f"n = 1: test {100 * results['shallow', 1].metrics['test_error']:.2f} %" in told


@pytest.mark.compiled
@pytest.mark.slow
def test_feedback_aligns_as_long_as_the_error_is_that_of_the_image_on_show(tmp_path, capsys):
    runpy.run_path(str(OF_DELAYS))["main"](tmp_path, (0, 100), (1,))
    assert {path.name for path in tmp_path.iterdir()} == {"feedback_delay.png", "feedback_delay.csv"}
    rows = pd.read_csv(tmp_path / "feedback_delay.csv").set_index(["reset", "delay"])["angle"]
    assert max(rows[True, 0], rows[False, 0]) < 60
    assert min(rows[True, 100], rows[False, 100]) > 80
    assert "test_error" in capsys.readouterr().out


@pytest.mark.compiled
@pytest.mark.slow
def test_the_rule_of_ones_own_is_short_passes_its_checks_and_learns_beside_feedback_alignment():
    rule = re.search(r"class OjaError.*?return [^\n]*\n", OWN_RULE.read_text(), re.DOTALL)
    assert rule is not None
    assert rule[0].count("\n") <= 30
    told = subprocess.run([sys.executable, OWN_RULE], capture_output=True, text=True, check=True).stdout
    assert "OjaError passes" in told
    assert "agree after 500 presentations" in told
    errors = [float(error) for error in re.findall(r"validation error ([0-9.]+)%", told)]
    assert len(errors) == 2
    assert max(errors) < 5
