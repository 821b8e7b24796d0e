"""The main job: real handwritten digits learned by feedback alignment, compiled, over five seeds."""

import functools
import re
from pathlib import Path

import numpy as np
import pytest

import bioFA
from bioFA.consumers.reference import Reference
from bioFA.instance import draw
from bioFA.network import Node
from bioFA.tasks import digits

pytest.importorskip("sklearn")


@pytest.mark.slow
@pytest.mark.compiled
def test_feedback_alignment_learns_digits_nearly_as_well_as_backpropagation_and_aligns():
    results = {
        s: [bioFA.simulate(bioFA.load("digits").with_scheme(s), seed) for seed in range(1, 6)] for s in ("fa", "bp")
    }
    errors = {scheme: np.median([result.metrics["test_error"] for result in runs]) for scheme, runs in results.items()}
    assert errors["fa"] <= 0.04
    assert abs(errors["fa"] - errors["bp"]) <= 0.015
    for result in results["fa"]:
        assert result.alignment["mismatch_to_hidden"] < 60
    for result in results["bp"]:
        assert 80 < result.alignment["mismatch_to_hidden"] < 100

    shown = re.search(
        r"```\nResult of digits.*?```", (Path(__file__).parent.parent / "README.md").read_text(), re.DOTALL
    )[0].splitlines()[2:-1]
    assert str(results["fa"][0]).splitlines()[1:] == shown, "the README shows other numbers than digits now gives"


def watched(experiment, state, presentations, nodes):
    """The nodes in every step of the first training presentations, in NumPy, without learning: `(presentations, steps,
    neurons)` each."""
    instance = draw(experiment, 1)
    return (
        Reference(instance).segment(state, instance.training(0, presentations), learning=False, watched=nodes).courses
    )


@pytest.mark.slow
@pytest.mark.compiled
@pytest.mark.parametrize("name", ["digits_spiking_errors", "digits_erbp"])
def test_an_error_that_spikes_carry_teaches_hidden_neurons(name):
    """Nothing but spikes of the error pair arrives where neurons learn from an error,
    and it suffices to learn and to align."""
    experiment = bioFA.load(name, {"protocol.phases": [{"epochs": 2}], "protocol.snapshots": 2})
    result = bioFA.simulate(experiment, seed=1)
    assert result.metrics["validation_error"] < 0.3
    assert result.alignment["mismatch_to_hidden"] < 80

    pair = [experiment.network.population(place).neuron for place in ("mismatch", "mismatch_off")]
    arriving = {p.source for port in ("hidden", "output") for p in experiment.network.arriving(port, "error")}
    assert arriving == {"mismatch", "mismatch_off"}
    nodes = [Node(place, "train") for place in ("mismatch", "mismatch_off")]
    trains = watched(experiment, result.state, 5, [*nodes, Node("hidden", "error")])
    unit = 1 / (pair[0].unit_rate * experiment.protocol.step)
    assert set(np.unique(trains["mismatch.train"])) == {0, np.float32(unit)}
    assert set(np.unique(trains["mismatch_off.train"])) == {0, np.float32(-unit)}
    sent = trains["mismatch.train"] + trains["mismatch_off.train"]
    np.testing.assert_allclose(
        trains["hidden.error"], sent @ result.state["mismatch_to_hidden.w"].T, rtol=1e-5, atol=1e-5
    )


def test_every_cell_of_digits_dale_sends_one_sign():
    """Error cells and interneurons too: rates >= 0, and weights of one sign to all that a cell reaches,
    before and after learning."""
    experiment = bioFA.load("digits_dale", {"protocol.phases": [{"epochs": 1}], "protocol.snapshots": 2})
    network = experiment.network
    result = bioFA.simulate(experiment, seed=1, backend="numpy")
    sending = [p for p in network.pathways if p.target != "mismatch" and p.source != "mismatch"]  # which only measures
    assert {p.source for p in sending} == {p.name for p in network.populations} - {"mismatch"}
    for state in (draw(experiment, 1).state, result.state):
        signs = {}
        for pathway in sending:
            weights = (
                pathway.weights.draw(None, network.shape(pathway))
                if pathway.weights.one_to_one
                else network.effective(pathway, state)
            )
            signs.setdefault(pathway.source, []).append(weights)
        for source, matrices in signs.items():
            outgoing = np.concatenate(matrices)
            assert not (
                (outgoing > 0).any(axis=0) & (outgoing < 0).any(axis=0)
            ).any(), f"a cell of {source} excites and inhibits"
    for name in ("excitatory_to_output.w", "input_to_inhibitory.w"):
        assert np.abs(result.state[name] - draw(experiment, 1).state[name]).max() > 0.01
    rates = watched(experiment, result.state, 20, [Node(p.source, p.carries) for p in sending])
    assert all((array >= 0).all() for array in rates.values())
    assert all((array > 0).any() for array in rates.values())
    assert result.metrics["validation_error"] < 0.5


@pytest.mark.parametrize("shipped", [True, False], ids=["read", "imported"])
def test_the_images_and_their_split_are_those_of_scikit_learn(monkeypatch, shipped):
    """Also where its file lies elsewhere, so that it has to be imported."""
    datasets, selection = pytest.importorskip("sklearn.datasets"), pytest.importorskip("sklearn.model_selection")
    if not shipped:
        monkeypatch.setattr(digits, "find_spec", lambda name: None)
    pixels, labels = datasets.load_digits(return_X_y=True)
    split = functools.partial(selection.train_test_split, test_size=360, random_state=0)
    rest, test = split(np.arange(1797), stratify=labels)
    train, held = split(rest, stratify=labels[rest])
    data = digits.Digits().draw(np.random.default_rng(1))
    for part, places in ((data.train, train), (data.validation, held), (data.test, test)):
        np.testing.assert_array_equal(part.inputs, pixels[places] / 16)
        np.testing.assert_array_equal(part.labels, labels[places])
        np.testing.assert_array_equal(part.targets, np.eye(10)[labels[places]])
