"""The printed numbers are what the circuit measures: the error at the error unit, over windows that do not overlap,
with what they come from."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from tiers import first_of

import bioFA
from bioFA import Experiment, Network, Pathway, Population, Protocol, Record, cli
from bioFA.neurons.error_unit import ErrorUnit
from bioFA.neurons.rate_source import RateSource
from bioFA.neurons.static_rate import StaticRate
from bioFA.rules.delta_rule import DeltaRule
from bioFA.runs.result import late_angles, late_part
from bioFA.tasks.linear_teacher import LinearTeacher
from bioFA.weights import Identity, Normal, Values


def judged(seed, every=1):
    """A network whose prediction reaches the error unit scaled, decoded or mixed from several populations,
    and whose target may, too."""
    rng = np.random.default_rng(seed)
    n_in, n_out, readout = (int(n) for n in rng.integers(2, 6, 3))
    units = n_out if (kind := ("scaled", "decoded", "mixed")[seed % 3]) == "scaled" else int(rng.integers(1, 5))
    readout = n_out if kind == "scaled" else readout
    target = Identity(scale=float(rng.choice([1.0, 0.7]))) if units == n_out else Normal(scale=1.0)
    weights = Identity(scale=float(rng.uniform(0.3, 2.0))) if kind == "scaled" else Normal(scale=1.0)
    pathways = [
        Pathway(
            "in_to_out",
            source="image",
            target="answer",
            weights=Normal(scale=0.3),
            plasticity=DeltaRule(learning_rate=0.02),
        ),
        Pathway("teach", source="wanted", target="mismatch", port="target", weights=target),
        Pathway("answer_to_mismatch", source="answer", target="mismatch", port="prediction", weights=weights),
        Pathway("back", source="mismatch", target="answer", port="error", weights=Normal(scale=0.5)),
    ]
    populations = [
        Population("image", size=n_in, neuron=RateSource()),
        Population("answer", size=readout, neuron=StaticRate(activation="linear")),
        Population("wanted", size=n_out, neuron=RateSource(of="targets")),
        Population("mismatch", size=units, neuron=ErrorUnit()),
    ]
    if kind == "mixed":
        populations.append(Population("other", size=3, neuron=StaticRate(activation="tanh")))
        pathways += [
            Pathway("in_to_other", source="image", target="other", weights=Normal(scale=1.0)),
            Pathway(
                "other_to_mismatch", source="other", target="mismatch", port="prediction", weights=Normal(scale=0.5)
            ),
        ]
    network = Network(populations=tuple(populations), pathways=tuple(pathways))
    record = Record(variables=("mismatch.r", "mismatch.target", "mismatch.prediction"), every=every)
    return Experiment(
        name="judged",
        circuit=network,
        task=LinearTeacher(n_in=n_in, n_out=n_out, examples=120, test_examples=7),
        protocol=Protocol(snapshots=2),
        record=record,
    )


def signal(result):
    """NSE from the error unit's own signal: the mean of |e|^2 over the power of what arrives as the target."""
    e, wanted = result.recording.arrays["mismatch.r"], result.recording.arrays["mismatch.target"]
    return np.sum(e**2, axis=1) / np.mean(np.sum(wanted**2, axis=1))


@pytest.mark.parametrize("seed", range(60))
def test_the_printed_error_is_the_error_units_own_signal(seed):
    result = bioFA.simulate(judged(seed), seed, backend="numpy")
    curve = signal(result)
    np.testing.assert_allclose(result.learning_curve, curve, rtol=1e-12)
    assert result.metrics["nse"] == pytest.approx(curve[-50:].mean(), rel=1e-12)
    assert result.metrics["nse_first"] == pytest.approx(curve[:50].mean(), rel=1e-12)
    assert np.isfinite(result.metrics["test_nse"])


@pytest.mark.compiled
@pytest.mark.parametrize("seed", first_of(0, 1, 2))
def test_both_readings_measure_the_same_error(seed):
    ours, theirs = (bioFA.simulate(judged(seed), seed, backend=backend) for backend in ("numpy", "cpp"))
    assert ours.metrics == pytest.approx(theirs.metrics, rel=1e-9)


def test_an_identity_of_scale_one_half_that_has_learned_is_said_to_have_learned():
    rng = np.random.default_rng(0)
    teacher = rng.normal(size=(3, 4))
    network = judged(0).network
    populations = (
        Population("image", size=4, neuron=RateSource()),
        Population("answer", size=3, neuron=StaticRate(activation="linear")),
        Population("wanted", size=3, neuron=RateSource(of="targets")),
        Population("mismatch", size=3, neuron=ErrorUnit()),
    )
    pathways = (
        Pathway(
            "in_to_out",
            source="image",
            target="answer",
            weights=Values(values=teacher.tolist()),
            plasticity=DeltaRule(learning_rate=0.1),
        ),
        Pathway("teach", source="wanted", target="mismatch", port="target", weights=Identity()),
        Pathway(
            "answer_to_mismatch", source="answer", target="mismatch", port="prediction", weights=Identity(scale=0.5)
        ),
        Pathway("back", source="mismatch", target="answer", port="error", weights=Identity()),
    )
    assert network.answer.variable == "prediction"
    experiment = Experiment(
        name="half",
        circuit=Network(populations=populations, pathways=pathways),
        task=LinearTeacher(n_in=4, n_out=3, examples=2000),
        protocol=Protocol(snapshots=2),
    )
    result = bioFA.simulate(experiment, backend="numpy")
    assert result.metrics["nse"] < 1e-20
    assert not [finding for finding in result.findings if finding.kind == "no_learning"]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 99, 100, 101, 5000])
def test_the_first_and_the_last_window_of_a_run_do_not_overlap(count):
    window = late_part(count, 50)
    assert 2 * window <= count or count == window == 1
    assert window == 50 if count >= 100 else window in (count // 2, min(count, 1))
    assert late_angles(count) <= max(count - 1, min(count, 1))


@pytest.mark.parametrize("count", [1, 2, 3, 50, 99, 101])
def test_a_short_run_ends_in_a_result(count):
    result = bioFA.simulate(bioFA.load("linear", {"task.examples": count, "task.test_examples": 3}), backend="numpy")
    curve, window = result.learning_curve, late_part(count, 50)
    assert result.metrics["nse"] == pytest.approx(curve[-window:].mean())
    assert result.metrics["nse_first"] == pytest.approx(curve[:window].mean())
    json.dumps(result.summary(), allow_nan=False)
    assert str(result)
    if count > 2:
        late = result.alignment_course["mismatch_to_hidden"]["alignment"]
        assert result.alignment["mismatch_to_hidden"] != pytest.approx(late[0], abs=1e-9)


def test_a_run_that_learns_from_one_example_is_not_said_to_have_learned_nothing(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1, 3))
    np.savez(tmp_path / "d.npz", inputs=x, targets=x @ rng.normal(size=(3, 2)))
    result = bioFA.simulate(
        bioFA.load(
            "linear",
            {
                "circuit.sizes": [3, 2],
                "task": {"name": "arrays", "path": str(tmp_path / "d.npz")},
                "protocol.epochs": 200,
            },
        ),
        backend="numpy",
    )
    assert result.metrics["nse"] < result.metrics["nse_first"]
    assert not [finding for finding in result.findings if finding.kind == "no_learning"]


@pytest.mark.parametrize(("batch", "left"), [(4, 2), (20, 10), (5, 0)])
def test_a_batch_that_was_not_full_is_told_and_a_longer_run_makes_its_changes(batch, left, tmp_path):
    ten = bioFA.load("linear", {"task.examples": 10, "task.test_examples": 3, "circuit.learning.batch": batch})
    result = bioFA.simulate(ten, backend="numpy", folder=tmp_path / "ten")
    told = [finding.says for finding in result.findings if finding.kind == "batch_waits"]
    assert bool(told) == bool(left)
    if left:
        assert f"the changes of the last {left} of 10 presentations wait for their batch of {batch}" in told[0]
    assert not [finding for finding in result.findings if finding.kind == "still" and left == 10]
    longer = ten.replace(protocol=ten.protocol.replace(epochs=2))
    whole, continued = bioFA.simulate(longer, backend="numpy"), bioFA.simulate(
        longer, backend="numpy", after=tmp_path / "ten" / "result.h5"
    )
    for name, array in whole.state.items():
        np.testing.assert_array_equal(continued.state[name], array)


def test_a_run_of_which_nothing_would_be_recorded_is_refused_before_it_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ["--set", "task.examples=300", "--set", "task.test_examples=20", "--backend", "numpy", "--json"]
    assert CliRunner().invoke(cli.main, ["run", "linear", *arguments, "--out", "first"]).exit_code == 0
    refused = CliRunner().invoke(
        cli.main,
        [
            "run",
            "linear",
            *arguments,
            "--set",
            "protocol.epochs=2",
            "--set",
            "record.every=1000",
            "--after",
            "first/result.h5",
            "--out",
            "second",
        ],
    )
    assert refused.exit_code == 2
    assert "of which the run from presentation 300 to 600 has none" in refused.output
    assert not (tmp_path / "second").exists()


def test_an_early_end_before_anything_was_recorded_is_a_result(tmp_path):
    first = bioFA.load("digits", {"protocol.epochs": 1, "protocol.snapshots": 2})
    bioFA.simulate(first, backend="numpy", folder=tmp_path / "first")
    stopping = bioFA.load(
        "digits",
        {
            "protocol.epochs": 3,
            "protocol.snapshots": 4,
            "record.every": 2000,
            "protocol.stop": {"measure": "validation_error", "below": 0.99},
        },
    )
    result = bioFA.simulate(
        stopping, backend="numpy", after=tmp_path / "first" / "result.h5", folder=tmp_path / "second"
    )
    assert len(result.recording.at) == 0
    assert "nse" not in result.metrics
    assert "no training presentation was recorded" in str(result)
    assert bioFA.load_result(tmp_path / "second" / "result.h5").metrics == result.metrics
    json.dumps(result.summary(), allow_nan=False)
    assert result.course()["nse"] == []


def test_firing_rates_say_what_they_come_from():
    small = {
        "circuit.sizes": [6, 8, 3],
        "task": {"name": "linear_teacher", "n_in": 6, "n_out": 3, "examples": 12, "test_examples": 2},
        "protocol.phases": [],
    }
    result = bioFA.simulate(bioFA.load("linear_spiking", small), backend="numpy")
    window = result.window
    assert window["seconds"] == pytest.approx(
        window["presentations"] * result.experiment.protocol.steps * result.experiment.protocol.step
    )
    assert (
        f"(the first {window['presentations']} presentations, {window['seconds']:g} s, shown again with the final"
        " weights)"
        in str(result)
    )
    assert result.summary()["firing_rates_window"] == window
