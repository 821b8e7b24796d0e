"""The models `mnist` and `mnist_spiking` on the real images, where BIOFA_DATA names a folder with them."""

import json
import os

import numpy as np
import pytest
from click.testing import CliRunner

import bioFA
from bioFA.cli import main
from bioFA.consumers.brian.run import Compiled
from bioFA.consumers.reference import Reference
from bioFA.instance import draw
from bioFA.verification.backends import verify

pytestmark = [
    pytest.mark.skipif("BIOFA_DATA" not in os.environ, reason="BIOFA_DATA names no folder with MNIST"),
    pytest.mark.compiled,
    pytest.mark.slow,
]


def test_one_command_trains_draws_and_reports(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = CliRunner().invoke(
        main,
        [
            "run",
            "mnist",
            "--precision",
            "float32",
            "--set",
            "protocol.presentations=3000",
            "--set",
            "protocol.snapshots=1",
            "--json",
            "--figures",
            "--out",
            "out",
        ],
    )
    assert outcome.exit_code == 0, outcome.output
    found = json.loads(outcome.stdout)
    assert found["presentations"] == 3000
    assert 0.05 < found["metrics"]["test_error"] < 0.25  # 3,000 of 60,000 images: far from chance, far from done
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"result.h5", "weights.png", "alignment.pdf"}


@pytest.mark.parametrize(("scheme", "presentations"), [("fa", 2000), ("bp", 400)])
def test_blocked_updates_are_the_unblocked_and_the_numpy_ones(scheme, presentations):
    instance = draw(bioFA.load("mnist").with_scheme(scheme), 1)
    feed = instance.training(0, presentations)
    blocked, dense = Compiled(instance), Compiled(instance, blocked=False)
    assert blocked.engine["pathways"]["input_to_hidden"] == "blocked"
    assert dense.engine["pathways"]["input_to_hidden"] == "dense"
    ours, theirs = (runner.segment(instance.state, feed, learning=True).state for runner in (blocked, dense))
    for name, array in theirs.items():
        np.testing.assert_allclose(ours[name], array, rtol=0, atol=1e-12)
    few = instance.training(0, 50)
    expected = Reference(instance).segment(instance.state, few, learning=True).state
    for name, array in blocked.segment(instance.state, few, learning=True).state.items():
        np.testing.assert_allclose(array, expected[name], rtol=0, atol=1e-12)


def test_mnist_in_spikes_is_the_reference_spike_for_spike():
    outcome = verify(bioFA.load("mnist_spiking"), seed=3, presentations=40)  # 1,200 steps
    assert outcome.agrees, str(outcome)
    assert min(count for count, _ in outcome.spikes.values()) > 100


def test_mnist_in_spikes_is_learned_within_physiological_rates():
    short = {"protocol.phases": [], "protocol.presentations": 6000, "protocol.snapshots": 1}
    result = bioFA.simulate(bioFA.load("mnist_spiking", short), seed=3, precision="float32")
    assert result.metrics["test_error"] < 0.15  # a tenth of an epoch
    assert all(1 < rates < 100 for rates in result.firing_rates.values())
