"""Every script in examples/ runs, and draws or says what it promises."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).resolve().parent.parent / "examples").glob("*.py"))
OWN_RULE = next(script for script in EXAMPLES if script.stem == "three_factor_rule")
FIGURES = [script for script in EXAMPLES if script != OWN_RULE]


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
