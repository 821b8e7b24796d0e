"""Diagnosis: each fault, made on purpose, is named in the run's summary, and a healthy run shows none."""

import dataclasses
import json

import numpy as np
import pytest
import systems
from click.testing import CliRunner

import bioFA
from bioFA import cli
from bioFA.consumers.reference import Reference
from bioFA.runs import at_once, diagnosis
from bioFA.runs.result import Finding, load_result
from bioFA.schemes import family

SHORT = {"task.examples": 400, "task.test_examples": 20}
RECTIFIED, TANH = ({"name": "static_rate", "activation": name} for name in ("rectified", "tanh"))


def found(changes, scheme="fa", model="linear", seed=1):
    """The findings of a small run, by kind."""
    result = bioFA.simulate(bioFA.load(model, SHORT | changes).with_scheme(scheme), seed, backend="numpy")
    return {finding.kind: finding for finding in result.findings}


def rates(hidden, readout, scheme="fa"):
    return {
        f"circuit.schemes.{scheme}.rule": {"name": "local_error", "learning_rate": hidden},
        f"circuit.schemes.{scheme}.readout_rule": {"name": "delta_rule", "learning_rate": readout},
    }


OPPOSITE = np.random.default_rng(0).uniform(-0.3, 0.3, (10, 20))

FAULTS = {
    "no_learning": (rates(0.0, 1e-6), "output.r", "nothing was learned in 400 presentations"),
    "still": (rates(0.0, 1e-9), "hidden_to_output", "of their norm"),
    "silent": (
        {
            "circuit.hidden": RECTIFIED,
            "circuit.biases": True,
            "circuit.bias_weights": {"name": "constant", "value": -9.0},
        },
        "hidden",
        "20 of 20 neurons",
    ),
    "saturated": (
        {
            "circuit.hidden": TANH,
            "circuit.weights": [
                {"name": "uniform", "low": -90.0, "high": 90.0},
                {"name": "uniform", "low": -0.1, "high": 0.1},
            ],
        },
        "hidden",
        "are saturated",
    ),
    "no_error": ({"circuit.feedback": {"name": "constant", "value": 0.0}}, "hidden", "no error arrives"),
    "weak_feedback": (
        {"circuit.feedback": {"name": "uniform", "low": -1e-6, "high": 1e-6}},
        "mismatch_to_hidden",
        "feedback is too small",
    ),
    "opposed": (
        rates(1e-6, 0.0) | {
            "circuit.weights": [
                {"name": "uniform", "low": -0.1, "high": 0.1},
                {"name": "values", "values": OPPOSITE.tolist()},
            ],
            "circuit.feedback": {"name": "values", "values": (-OPPOSITE.T).tolist()},
        },
        "mismatch_to_hidden",
        "an angle of 180 degrees",
    ),
    "rank_deficient": (
        {"circuit.feedback": {"name": "low_rank", "rank": 3, "scale": 0.3}},
        "mismatch_to_hidden",
        "rank 3 of 10",
    ),
    "batch_waits": (
        {"circuit.learning.batch": 300},
        "input_to_hidden",
        "the last 100 of 400 presentations wait for their batch of 300",
    ),
    "exploding": (rates(0.5, 0.5) | {"circuit.learning": {"low": -5.0, "high": 5.0}}, None, "the weights explode"),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_is_named_with_its_place_and_its_size(kind):
    changes, place, words = FAULTS[kind]
    findings = found(changes)
    assert kind in findings, findings
    assert place is None or findings[kind].place == place
    assert words in findings[kind].says


def test_every_check_is_tested_here():
    assert len(FAULTS) + 2 == len(
        diagnosis.CHECKS
    ), "one fault a check; check_spikes has SPIKING_FAULTS, check_overfitting a test of its own"


def test_a_network_that_overfits_is_told(tmp_path):
    rng = np.random.default_rng(0)
    x, noise = rng.normal(size=(60, 20)), rng.normal(size=(60, 2))
    np.savez(tmp_path / "d.npz", inputs=x, targets=x[:, :2] + 2 * noise)
    changes = {
        "circuit.sizes": [20, 40, 2],
        "task": {"name": "arrays", "path": str(tmp_path / "d.npz"), "validation": 0.5},
        "protocol.epochs": 60,
    } | rates(0.01, 0.01)
    result = bioFA.simulate(bioFA.load("linear", changes), backend="numpy")
    told = [finding.says for finding in result.findings if finding.kind == "overfitting"]
    assert told
    assert "validation NSE was lowest" in told[0]


def test_a_text_rule_that_reads_no_error_is_not_told_to_learn_longer():
    oja = {
        "name": "equation",
        "equation": "dw/dt = learning_rate * r_post * (r_pre - r_post * w) / T",
        "learning_rate": 1e-6,
    }
    findings = found({"circuit.schemes.fa.rule": oja, "circuit.schemes.fa.readout_rule": oja})
    assert "no rule here (equation) reads an error" in findings["no_learning"].says
    assert "still" not in findings


def test_always_answering_the_most_frequent_test_class_is_nothing_learned(tmp_path):
    rng, labels, ones = np.random.default_rng(0), np.arange(40) % 2, np.r_[np.zeros(19, int), 1]
    np.savez(
        tmp_path / "d.npz", inputs=rng.normal(size=(40, 4)), targets=np.eye(2)[labels], labels=labels,
        test_inputs=rng.normal(size=(20, 4)), test_targets=np.eye(2)[ones], test_labels=ones,
    )  # fmt: skip
    changes = rates(0.0, 0.0) | {
        "circuit.sizes": [4, 6, 2],
        "circuit.weights": {"name": "constant", "value": 0.0},
        "task": {"name": "arrays", "path": str(tmp_path / "d.npz")},
    }
    result = bioFA.simulate(bioFA.load("linear", changes).with_scheme("fa"), backend="numpy")
    assert result.metrics["test_error"] == 0.05  # of 0 and 0 the first is taken
    assert "no_learning" in {finding.kind for finding in result.findings}


def test_what_is_not_known_is_claimed_by_no_check():
    result = bioFA.simulate(bioFA.load("linear", SHORT), backend="numpy")
    arrays = {name: np.full_like(array, np.nan) for name, array in result.recording.arrays.items()}
    unknown = dataclasses.replace(result, recording=dataclasses.replace(result.recording, arrays=arrays))
    evidence = diagnosis.gather(result, bioFA.draw(result.experiment, 1))
    nothing = dataclasses.replace(
        evidence, result=unknown, values={name: np.full_like(array, np.nan) for name, array in evidence.values.items()}
    )
    assert diagnosis.diagnose(nothing) == ()


def shown_both_ways(experiment):
    """What a network shows of its first examples: one after the other, and all at once."""
    instance = bioFA.draw(experiment, 4)
    feed, nodes = instance.training(0, 4), instance.network.order
    segment = Reference(instance).segment(instance.state, feed, learning=False, every=1, recorded=nodes)
    return segment.recording.arrays, at_once.show(instance, instance.state, feed)


STATIC = [experiment for experiment in systems.ALL if at_once.can_show(bioFA.draw(experiment, 4))]
SHOWN = [*STATIC, *map(bioFA.load, ("linear", "nonlinear", "digits"))]


@pytest.mark.parametrize("experiment", SHOWN, ids=lambda experiment: experiment.name)
def test_examples_that_are_shown_all_at_once_bring_what_each_brings_alone(experiment):
    alone, together = shown_both_ways(experiment)
    assert alone.keys() == together.keys()
    for name, array in alone.items():
        np.testing.assert_allclose(together[name], array, rtol=1e-12, atol=1e-13, err_msg=name)


def test_only_networks_whose_presentations_are_alone_are_shown_all_at_once():
    assert {experiment.name for experiment in STATIC} >= {"deep_tanh_fa", "constrained"}
    for changes in ({"circuit.schemes.np.sigma": 0.01, "circuit.scheme": "np"}, {}):
        assert at_once.can_show(bioFA.draw(bioFA.load("linear", changes), 1))
    for model in ("leaky", "digits_spiking", "digits_erbp", "feedback_delay"):
        assert not at_once.can_show(bioFA.draw(bioFA.load(model), 1)), model


@pytest.mark.slow
def test_spikes_that_carry_errors_are_looked_for_in_every_step():
    small = {
        "circuit.error": {"name": "spiking_error_unit"},
        "circuit.sizes": [64, 60, 10],
        "protocol.phases": [{"presentations": 600}],
        "protocol.snapshots": 2,
    }
    result = bioFA.simulate(bioFA.load("digits_spiking", small), backend="cpp")
    assert not {"no_error", "silent"} & {finding.kind for finding in result.findings}


def test_a_distance_between_spike_trains_is_no_variance_of_targets():
    result = bioFA.simulate(bioFA.load("pattern", {"protocol.epochs": 40, "protocol.snapshots": 2}), backend="cpp")
    assert not any("nan" in finding.says for finding in result.findings)


@pytest.mark.parametrize("model", ["linear", pytest.param("digits", marks=pytest.mark.slow), "minimal"])
def test_a_healthy_run_shows_none(model):
    assert bioFA.simulate(bioFA.load(model), 1, backend="numpy" if model != "digits" else "cpp").findings == ()


@pytest.mark.slow
@pytest.mark.parametrize("scheme", family.names())
@pytest.mark.parametrize("model", ["linear", "digits", "nonlinear"])
def test_no_scheme_of_a_built_in_model_is_called_faulty(model, scheme):
    assert bioFA.simulate(bioFA.load(model).with_scheme(scheme), 1).findings == ()


def test_what_carries_the_transpose_itself_is_not_measured_against_its_control():
    changes = {
        "circuit.weights": {"name": "uniform", "low": -0.3, "high": 0.3},
        "circuit.feedback": {"name": "low_rank", "rank": 1},
    }
    assert found(changes, scheme="bp") == {}


@pytest.mark.parametrize(("silent", "told"), [(10, False), (11, True)])
def test_a_population_is_called_silent_when_more_than_half_of_it_is(silent, told):
    weights = np.random.default_rng(1).uniform(-0.1, 0.1, (20, 30))
    weights[:silent] = 0.0
    layers = [{"name": "values", "values": weights.tolist()}, {"name": "uniform", "low": -0.1, "high": 0.1}]
    assert ("silent" in found(rates(0.0, 7e-3) | {"circuit.hidden": RECTIFIED, "circuit.weights": layers})) is told


def test_findings_are_loud_in_the_summary_and_json_and_kept_in_the_file(tmp_path):
    words = [
        word
        for key, value in (
            ("circuit.feedback", "{name='constant'}"),
            ("task.examples", "60"),
            ("task.test_examples", "20"),
        )
        for word in ("--set", f"{key}={value}")
    ]
    loud = CliRunner().invoke(
        cli.main, ["run", "linear", *words, "--backend", "numpy", "--out", str(tmp_path / "loud"), "--no-figures"]
    )
    assert loud.exit_code == 0, loud.output
    assert "  WARNING            no error arrives at 'hidden'" in loud.stdout
    printed = json.loads(
        CliRunner()
        .invoke(cli.main, ["run", "linear", *words, "--backend", "numpy", "--out", str(tmp_path / "json"), "--json"])
        .stdout
    )
    kept = load_result(tmp_path / "json" / "result.h5").findings
    assert [Finding(**row) for row in printed["findings"]] == list(kept)
    assert "no_error" in [finding.kind for finding in kept]


SPIKES = {
    "circuit.sizes": [6, 8, 4], "task.n_in": 6, "task.n_out": 4, "task.examples": 20, "task.test_examples": 2,
    "circuit.hidden": {"name": "lif"}, "circuit.bias_weights": {"name": "constant", "value": 1.5},
}
SPIKING_FAULTS = {
    "silent": {"circuit.bias_weights": {"name": "constant", "value": 0.0}},
    "too_fast": {"circuit.bias_weights": {"name": "constant", "value": 50.0}},
    "synchronous": {"circuit.weights": {"name": "constant", "value": 0.0}},
}


@pytest.mark.parametrize("kind", SPIKING_FAULTS)
def test_faulty_spiking_is_named(kind):
    result = bioFA.simulate(
        bioFA.load("linear_spiking", SPIKES | SPIKING_FAULTS[kind] | {"circuit.schemes.fa.rule.learning_rate": 0.0}),
        seed=1,
        backend="numpy",
    )
    assert (kind, "hidden") in [(finding.kind, finding.place) for finding in result.findings]


def test_healthy_spiking_is_told_in_hertz():
    result = bioFA.simulate(bioFA.load("linear_spiking", SPIKES), seed=1, backend="numpy")
    assert not {"silent", "too_fast", "synchronous"} & {finding.kind for finding in result.findings}
    assert 5 < result.firing_rates["hidden"] < 100
    assert f"hidden {result.firing_rates['hidden']:.0f} Hz" in str(result)
    assert result.summary()["firing_rates_hz"] == result.firing_rates
