"""Every script in examples/ runs, and draws what it says."""

import runpy
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).resolve().parent.parent / "examples").glob("*.py"))


def test_there_are_examples():
    assert EXAMPLES


@pytest.mark.compiled
@pytest.mark.slow
@pytest.mark.parametrize("script", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_and_draws_its_figure(script, tmp_path, capsys):
    runpy.run_path(str(script))["main"](tmp_path, 1)
    drawn = {path.name for path in tmp_path.iterdir()}
    stem = script.stem.split("_")[0]
    assert drawn == {f"{stem}.png", f"{stem}.pdf"}
    assert capsys.readouterr().out.strip()
