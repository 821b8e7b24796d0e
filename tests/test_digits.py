"""The main job: real handwritten digits learned by feedback alignment, compiled, over five seeds."""

import re
from pathlib import Path

import numpy as np
import pytest

import bioFA

pytest.importorskip("sklearn")


@pytest.mark.slow
@pytest.mark.compiled
def test_feedback_alignment_learns_digits_nearly_as_well_as_backpropagation_and_aligns():
    results = {s: [bioFA.simulate(bioFA.load("digits").with_scheme(s), seed) for seed in range(1, 6)] for s in ("fa", "bp")}
    errors = {scheme: np.median([result.metrics["test_error"] for result in runs]) for scheme, runs in results.items()}
    assert errors["fa"] <= 0.04
    assert abs(errors["fa"] - errors["bp"]) <= 0.015
    for result in results["fa"]:
        assert result.alignment["mismatch_to_hidden"] < 60
    for result in results["bp"]:
        assert 80 < result.alignment["mismatch_to_hidden"] < 100

    shown = re.search(r"```\nResult of digits.*?```", (Path(__file__).parent.parent / "README.md").read_text(), re.DOTALL)[0].splitlines()[2:-1]
    assert str(results["fa"][0]).splitlines()[1:] == shown, "the README shows other numbers than digits now gives"
