"""E-prop: adaptive neurons and eligibility traces against closed forms,
the update against backpropagation through time by hand, and the task."""

import math

import numpy as np
import pytest
import systems
from scipy.signal import lfilter

import bioFA
from bioFA import BioFAError, ModelError
from bioFA.consumers.reference import Reference
from bioFA.instance import draw
from bioFA.network import Learning
from bioFA.neurons.adaptive_lif import AdaptiveLif
from bioFA.neurons.leaky_rate import LeakyRate
from bioFA.rules.e_prop import EProp
from bioFA.schemes import Layered
from bioFA.tasks.evidence import Evidence
from bioFA.verification.backends import verify
from bioFA.weights import Normal, Uniform

DT = 1e-3


def alone(neuron, drive, dt=DT):
    """A neuron alone under a drive that is given step by step: each state and the spikes, `(steps,)`."""
    state, course = {name: np.full(1, value) for name, value in neuron.state.items()}, []
    for now in drive:
        s = neuron.s(state["fired"])
        course.append(
            {**state, "s": s, "gain": neuron.gain(state["tested"]), "threshold": neuron.threshold(state["a"])}
        )
        state = neuron.advance(state, {"drive": np.full(1, now), "train": neuron.train(s, dt)}, dt)
    return {name: np.array([one[name][0] for one in course]) for name in course[0]}


@pytest.mark.parametrize("dt", [1e-3, 1e-4])
def test_one_incoming_spike_moves_the_potential_at_once_and_it_decays(dt):
    """v(t) = w (1 - exp(-dt/tau)) / (unit_rate dt) exp(-(t - dt)/tau),
    which is w / (unit_rate tau) exp(-t/tau) for small dt."""
    course = alone(AdaptiveLif(tau="15 ms"), [0.8 / (100.0 * dt), *np.zeros(29)], dt)
    jump = 0.8 * -math.expm1(-dt / 15e-3) / (100.0 * dt)
    np.testing.assert_allclose(course["v"][1:], jump * np.exp(-np.arange(29) * dt / 15e-3), rtol=1e-12)
    assert jump == pytest.approx(0.8 / (100.0 * 15e-3), rel=0.6 * dt / 15e-3)


def test_every_spike_raises_the_threshold_and_it_falls_slowly():
    neuron = AdaptiveLif(beta=2.0, tau_adaptation="200 ms")
    course = alone(neuron, np.full(600, 3.0))
    rho = math.exp(-DT / 0.2)
    a = lfilter([0.0, 1 - rho], [1.0, -rho], course["s"] / (100.0 * DT))
    np.testing.assert_allclose(course["threshold"], 1.0 + 2.0 * a, rtol=1e-12)
    spikes = np.flatnonzero(course["s"])
    assert np.diff(spikes)[-1] > 1.5 * np.diff(spikes)[0]
    passed = course["tested"] > 0
    np.testing.assert_array_equal(passed, course["s"] == 1)
    # 1 is taken off, not A
    np.testing.assert_allclose(
        course["v"][passed], course["tested"][passed] + course["threshold"][passed] - 1.0, rtol=1e-12
    )


def test_without_adaptation_the_rate_is_that_of_a_threshold_that_stays():
    """Between spikes v goes from v_0 to v_0 + 1, and 1 is taken off:
    for a drive d the time is tau ln((d - v_0) / (d - 1)), v_0 = 0."""
    course = alone(AdaptiveLif(beta=0.0, refractory_period=0.0), np.full(20_000, 1.8), 1e-5)
    np.testing.assert_array_equal(course["threshold"], 1.0)
    assert np.diff(np.flatnonzero(course["s"])).mean() * 1e-5 == pytest.approx(20e-3 * math.log(1.8 / 0.8), abs=2e-5)


def test_in_its_refractory_period_a_neuron_is_not_tested_and_has_no_gain_while_its_potential_goes_on():
    course = alone(AdaptiveLif(refractory_period="5 ms", beta=0.0), np.full(40, 40.0))
    first = int(np.flatnonzero(course["s"])[0])
    pause = slice(first + 1, first + 6)
    assert not course["s"][pause].any()
    assert not course["gain"][pause].any()
    assert (np.diff(course["v"][pause]) > 0).all()
    assert course["v"][pause].max() > 1.0
    assert course["s"][first + 6] == 1


def test_the_gain_is_a_triangle_about_the_threshold_that_was_tested():
    np.testing.assert_allclose(
        AdaptiveLif(height=3.0).gain(np.array([-2.0, -1.0, -0.5, 0.0, 0.25, 1.5])), [0, 0, 1.5, 3.0, 2.25, 0]
    )


def course_of(rule, train, gain, error, dt=DT, T=None):
    """The synapse of one pair of neurons, step by step: all that it keeps after each step."""
    synapses, kept = {name: np.zeros((1, 1)) for name in ("w", *rule.state)}, []
    for now, slope, wrong in zip(train, gain, error, strict=True):
        synapses = rule.step(
            synapses,
            {"carried": np.full(1, now)},
            {"gain": np.full(1, slope), "error": np.full(1, wrong)},
            dt,
            T or len(train) * dt,
        )
        kept.append({name: array[0, 0] for name, array in synapses.items()})
    return {name: np.array([one[name] for one in kept]) for name in synapses}


def cascade(t, first, second):
    """The impulse response of two low-pass filters of unit area."""
    return (np.exp(-t / first) - np.exp(-t / second)) / (first - second)


@pytest.mark.parametrize("dt", [1e-4, 2e-5])
def test_a_spike_is_filtered_by_the_membrane_and_then_once_by_the_readout_and_by_the_adaptation(dt):
    """With a constant gain g, the adaptation's coupling to itself makes tau_adaptation / (1 + g beta) of its time
    constant: the closed form."""
    rule = EProp(tau_mem="10 ms", tau_readout="30 ms", tau_adaptation="90 ms", beta=4.0)
    steps, g = round(0.2 / dt), 0.5
    train, gain, t = np.zeros(steps), np.full(steps, g), (np.arange(steps) + 1) * dt
    train[0] = 1 / dt
    kept = course_of(rule, train, gain, np.zeros(steps), dt)
    potential, adaptation = np.exp(-t / 10e-3) / 10e-3, g / (1 + g * 4.0) * cascade(t, 10e-3, 90e-3 / (1 + g * 4.0))
    for name, expected in (("potential", potential), ("adaptation", adaptation)):
        assert np.abs(kept[name] - expected).max() < 2 * dt / 10e-3 * np.abs(expected).max(), name
    without = course_of(rule.replace(beta=0.0), train, gain, np.zeros(steps), dt)
    for name, tau in (("adaptation", 90e-3), ("eligibility", 30e-3)):
        expected = g * cascade(t, 10e-3, tau)
        assert np.abs(without[name] - expected).max() < 3 * dt / 10e-3 * expected.max(), name


def test_the_weight_is_moved_by_the_recursions_of_the_source():
    """Eqs. 24, 25 and 28 in the source's units: spikes z, weights that add to v,
    a threshold that a spike raises by its beta."""
    rng = np.random.default_rng(4)
    steps, unit, tau, slow, out, beta = 400, 100.0, 20e-3, 150e-3, 30e-3, 3.0
    z, psi, error = rng.random(steps) < 0.1, 0.3 * np.maximum(0.0, rng.normal(size=steps)), rng.normal(size=steps)
    alpha, rho, kappa = (math.exp(-DT / each) for each in (tau, slow, out))
    weight, threshold = (1 - alpha) / (unit * DT), beta * (1 - rho) / (unit * DT)  # one unit of ours in theirs
    zbar = eps = ebar = total = 0.0
    for t in range(steps):
        total += error[t] * ebar
        e = psi[t] * (zbar - threshold * eps)
        eps = psi[t] * zbar + (rho - psi[t] * threshold) * eps
        zbar = alpha * zbar + z[t]
        ebar = kappa * ebar + (1 - kappa) * e / (unit * DT)  # the readout gets the train
    rule = EProp(learning_rate=0.7, tau_mem=tau, tau_readout=out, tau_adaptation=slow, beta=beta)
    kept = course_of(rule, z / (unit * DT), psi / (unit * DT), error)
    assert kept["w"][-1] == pytest.approx(0.7 * weight * total / steps, rel=1e-10)  # over the steps: 1/T is there
    assert abs(total) > 0.1


def forward(instance, example, protocol):
    """A trial of `systems.accumulating`, from the equations: spikes, gains and answers in every step."""
    state, rule = instance.state, instance.network.pathway("hidden_to_hidden").plasticity
    unit, beta = 100.0 * DT, rule.beta
    alpha, rho, kappa = (math.exp(-DT / tau) for tau in (rule.tau_mem, rule.tau_adaptation, rule.tau_readout))
    x = np.asarray(instance.data.train.inputs[example], dtype=float) / unit
    w, back, bias = (state[f"{name}.w"] for name in ("input_to_hidden", "hidden_to_hidden", "bias_to_hidden"))
    v, a, train, left, tested = np.zeros(6), np.zeros(6), np.zeros(6), np.zeros(6), np.full(6, -1.0)
    y, trace, rows = np.zeros(2), np.zeros(6), []
    for t in range(protocol.shown_steps):
        rows.append({"x": x[t], "train": train, "gain": 3.0 * np.maximum(0, 1 - abs(tested)), "y": y, "trace": trace})
        y = kappa * y + (1 - kappa) * (state["hidden_to_output.w"] @ train + state["bias_to_output.w"][:, 0])
        trace = kappa * trace + (1 - kappa) * train
        v = alpha * v + (1 - alpha) * (w @ x[t] + back @ train + bias[:, 0])
        a = rho * a + (1 - rho) * train
        tested = np.where(left > 0, -1.0, v - 1 - beta * a)
        s = tested > 0
        left = np.where(s, 3, np.maximum(left - 1, 0))
        v, train = v - s, s / unit
    return rows, (alpha, rho, kappa, beta)


def backward(rows, rates, targets, onset, error_weights, recurrent=None):
    """Minus the gradient of the mean over the learning window of half the squared error by the weights of the hidden
    layer, by backpropagation through time: reset and refractoriness stand still;
    what a spike does to other neurons is cut unless `recurrent` weights are given."""
    alpha, rho, kappa, beta = rates
    of_v, of_a, of_y = np.zeros(6), np.zeros(6), np.zeros(2)
    change = {
        "input_to_hidden": np.zeros((6, 8)),
        "hidden_to_hidden": np.zeros((6, 6)),
        "bias_to_hidden": np.zeros((6, 1)),
    }
    for t in reversed(range(len(rows))):
        row = rows[t]
        for name, sent in (
            ("input_to_hidden", row["x"]),
            ("hidden_to_hidden", row["train"]),
            ("bias_to_hidden", np.ones(1)),
        ):
            change[name] += np.outer((1 - alpha) * of_v, sent)
        of_train = (1 - kappa) * error_weights @ of_y + (1 - rho) * of_a
        if recurrent is not None:
            of_train = of_train + (1 - alpha) * recurrent.T @ of_v
        of_v = alpha * of_v + row["gain"] * of_train
        of_a = rho * of_a - beta * row["gain"] * of_train
        of_y = kappa * of_y + (targets - row["y"] if t >= onset else 0.0)
    return {name: array / (len(rows) - onset) for name, array in change.items()}


@pytest.mark.parametrize("scheme", ["bp", "fa", "kp"])
def test_the_update_is_the_gradient_through_time_of_which_the_way_through_other_neurons_is_cut(scheme):
    """Symmetric, random and adaptive learning signals, for which the readout's weights are replaced on the way back.
    Weights are held for the trial."""
    experiment = systems.accumulating(scheme)
    experiment = experiment.replace(circuit=experiment.circuit.replace(learning=Learning(batch=2)))
    instance, protocol = draw(experiment, 3), experiment.protocol
    example = int(instance.order(0, 1)[0])
    segment = Reference(instance).segment(instance.state, instance.training(0, 1), learning=True, rasters=True)
    rows, rates = forward(instance, example, protocol)
    spikes = np.array([row["train"] > 0 for row in rows])
    np.testing.assert_array_equal(segment.rasters["hidden"][0], spikes)
    assert spikes.sum() > 20
    error_weights = instance.state["hidden_to_output.w"].T if scheme == "bp" else instance.state["mismatch_to_hidden.w"]
    targets, onset = instance.data.train.targets[example], protocol.onset_steps
    expected = backward(rows, rates, targets, onset, error_weights)
    for name, array in expected.items():
        np.testing.assert_allclose(segment.state[f"{name}.gathered"], 0.3 * array, rtol=1e-9, atol=1e-12, err_msg=name)
        assert np.abs(array).max() > 1e-3
    whole = backward(rows, rates, targets, onset, error_weights, instance.state["hidden_to_hidden.w"])
    assert (
        np.abs(whole["input_to_hidden"] - expected["input_to_hidden"]).max()
        > 0.01 * np.abs(expected["input_to_hidden"]).max()
    )
    readout = sum(np.outer(targets - row["y"], row["trace"]) for row in rows[onset:]) / (len(rows) - onset)
    decayed = 0.01 * instance.state["hidden_to_output.w"] if scheme == "kp" else 0.0
    np.testing.assert_allclose(
        segment.state["hidden_to_output.gathered"], 0.2 * readout - decayed, rtol=1e-9, atol=1e-12
    )


def test_adaptive_feedback_approaches_the_transpose_by_its_decay():
    """In each presentation W - B' shrinks by the decay, 1 %, whatever is learned (steps of dt/T)."""
    experiment = systems.accumulating("kp")
    instance = draw(experiment, 1)
    after = Reference(instance).segment(instance.state, instance.training(0, 30), learning=True).state
    before, later = (state["hidden_to_output.w"] - state["mismatch_to_hidden.w"].T for state in (instance.state, after))
    np.testing.assert_allclose(later, before * (1 - 0.01 / 15) ** (30 * 15), rtol=1e-9)
    assert np.abs(after["mismatch_to_hidden.w"] - instance.state["mismatch_to_hidden.w"]).max() > 0.05


def test_before_learning_is_on_weights_stand_still_and_traces_remember_all_the_same():
    late, early = (draw(systems.accumulating(learning_onset=onset), 2) for onset in ("59 ms", "0 ms"))
    frozen = EProp(
        learning_rate=0.0,
        **{
            name: getattr(early.network.pathway("hidden_to_hidden").plasticity, name)
            for name in ("tau_mem", "tau_readout", "tau_adaptation", "beta")
        },
    )
    circuit = early.experiment.circuit
    still = draw(
        early.experiment.replace(circuit=circuit.replace(schemes={"fa": circuit.schemes["fa"].replace(rule=frozen)})), 2
    )
    states = [
        Reference(instance).segment(instance.state, instance.training(0, 1), learning=True).state
        for instance in (late, still, early)
    ]
    for pathway in ("input_to_hidden", "hidden_to_hidden"):
        for trace in ("potential", "adaptation", "eligibility"):
            name = f"{pathway}.{trace}"
            np.testing.assert_array_equal(states[0][name], states[1][name])
            assert states[0][name].any()
    moved = [np.abs(state["hidden_to_hidden.w"] - late.state["hidden_to_hidden.w"]).max() for state in states]
    assert moved[1] == 0.0 < moved[0]


FAULTS = {
    "a flipped sign": ("= learning_rate", "= -learning_rate"),
    "a dropped filter": (
        "gain_post * (potential - beta * adaptation) - eligibility",
        "gain_post * (carried_pre - beta * adaptation) - eligibility",
    ),
    "an adaptation that does not feel itself": (
        "gain_post * (potential - beta * adaptation) - adaptation",
        "gain_post * potential - adaptation",
    ),
}


@pytest.mark.compiled
@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_e_prop_is_caught(fault, monkeypatch):
    assert EProp.equations.count(FAULTS[fault][0]) == 1
    monkeypatch.setattr(EProp, "equations", EProp.equations.replace(*FAULTS[fault]))
    outcome = verify(systems.accumulating(), presentations=12)
    assert not outcome.agrees
    assert "DIFFER" in str(outcome)


@pytest.mark.compiled
def test_a_missing_1_over_T_is_refused_by_its_unit(monkeypatch):
    monkeypatch.setattr(EProp, "equations", EProp.equations.replace(" / T :", " :"))
    with pytest.raises(BioFAError, match="could not translate"):
        verify(systems.accumulating(), presentations=12)


def test_a_layered_circuit_may_be_recurrent_and_its_loops_learn_as_the_hidden_layers_do():
    circuit = Layered(sizes=(3, 5, 4, 2), hidden=AdaptiveLif(), output=LeakyRate(), recurrent=Normal(scale=0.1))
    network = circuit.network()
    for layer in ("hidden1", "hidden2"):
        loop = network.pathway(f"{layer}_to_{layer}")
        assert (loop.port, loop.carries, loop.plasticity) == ("drive", "train", circuit.active().rule)
    assert not circuit.replace(scheme="shallow").network().pathway("hidden1_to_hidden1").plasticity
    for scheme in ("np", "wp"):
        copied = Layered(
            sizes=(3, 4, 2), hidden=LeakyRate(), output=LeakyRate(), recurrent=Normal(), scheme=scheme
        ).network()
        assert copied.pathway("hidden_to_hidden_perturbed").source == "hidden_perturbed"
    with pytest.raises(ModelError, match="recurrent joins a hidden layer with itself"):
        Layered(sizes=(3, 2), recurrent=Normal())
    with pytest.raises(ModelError, match="static units form a cycle"):
        Layered(sizes=(3, 4, 2), recurrent=Uniform()).network()


def test_a_rule_for_another_neuron_than_it_meets_is_refused():
    with pytest.raises(
        ModelError,
        match=r"EProp.beta is 1.5, but it must be that of the postsynaptic neuron: AdaptiveLif.beta of 'hidden' is 2",
    ):
        _ = systems.accumulating(cell=AdaptiveLif(tau="15 ms", tau_adaptation="80 ms", beta=2.0)).network


def trials(**fields):
    return Evidence(**fields).draw(lambda purpose: np.random.default_rng([7, *purpose.encode()]))


def test_the_class_is_the_side_of_most_cues_and_each_group_spikes_when_it_should():
    data = trials(examples=200, validation_examples=3, rate="200 Hz")
    inputs = data.train.inputs[:]
    assert inputs.shape == (200, 2250, 40)
    assert Evidence().bins()["inputs"] == 2250
    groups = inputs.reshape(200, 2250, 4, 10)
    cues = groups[:, :1050].reshape(200, 7, 150, 4, 10)[:, :, :100, :2].sum(axis=(2, 4))
    right = cues[:, :, 1] > cues[:, :, 0]
    assert (cues.min(axis=2) == 0).all()  # one side at a time
    np.testing.assert_array_equal(data.train.labels, right.sum(axis=1) > 3.5)
    np.testing.assert_array_equal(data.train.targets.argmax(axis=1), data.train.labels)
    assert cues.max(axis=2).mean() == pytest.approx(200 * 0.1 * 10, rel=0.01)
    assert not groups[:, :1050].reshape(200, 7, 150, 4, 10)[:, :, 100:, :3].any()
    assert not groups[:, 1050:2100, :3].any()
    assert groups[:, 2100:, 2].mean() == pytest.approx(0.2, rel=0.02)
    assert not groups[:, :2100, 2].any()
    assert groups[:, :, 3].mean() == pytest.approx(0.01, rel=0.05)
    assert 0.4 < data.train.labels.mean() < 0.6
    same = (right == (data.train.labels == 1)[:, np.newaxis]).mean()
    assert 0.65 < same < 0.85  # 0.7 of the favoured side, and the class is the majority
    assert len(data.validation) == 3
    assert len(data.test) == 500


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"cues": 6}, "must be odd"),
        ({"gap": "1.5 ms"}, "whole number of bins"),
        ({"rate": "2 kHz"}, "at most one spike a bin"),
    ],
)
def test_a_task_that_cannot_be_is_refused(fields, message):
    with pytest.raises(ModelError, match=message):
        Evidence(**fields)


@pytest.mark.slow
@pytest.mark.compiled
def test_the_built_in_evidence_agrees_in_every_spike_and_says_why_there_is_no_rate_network():
    outcome = verify(bioFA.load("evidence"), seed=3, limit=True)  # 40 trials, 22,000 steps
    assert outcome.passes, str(outcome)
    assert outcome.max_abs_difference <= 1e-10
    assert outcome.spikes["hidden"][0] > 1000
    assert "no rate unit" in str(outcome)


@pytest.mark.slow
@pytest.mark.compiled
def test_evidence_is_accumulated_with_random_feedback_and_not_by_the_readout_alone():
    answered = {
        scheme: [bioFA.simulate(bioFA.load("evidence").with_scheme(scheme), seed=seed) for seed in (1, 2, 3)]
        for scheme in ("fa", "shallow")
    }
    errors = {scheme: [result.metrics["test_error"] for result in results] for scheme, results in answered.items()}
    assert max(errors["fa"]) < 0.1, errors
    assert np.median(errors["shallow"]) > 2 * np.median(errors["fa"]), errors
    assert all(result.alignment["mismatch_to_hidden"] < 80 for result in answered["fa"])
