"""Traces at synapses against closed forms and plain filters, and stimuli that change during a presentation."""

import dataclasses
import itertools
import math
from typing import Annotated, ClassVar

import numpy as np
import pytest
import systems
from annotated_types import Gt
from scipy.signal import lfilter

import bioFA
from bioFA import BioFAError, Experiment, FileError, ModelError, Network, Pathway, Population, Protocol, check_rule
from bioFA.components import Number
from bioFA.consumers.brian.compose import make_program
from bioFA.consumers.reference import Reference
from bioFA.instance import draw
from bioFA.neurons.error_unit import ErrorUnit
from bioFA.neurons.leaky_rate import LeakyRate
from bioFA.neurons.lif import Lif
from bioFA.neurons.rate_source import RateSource
from bioFA.neurons.van_rossum_error import VanRossumError
from bioFA.rules.delta_rule import DeltaRule
from bioFA.rules.superspike import Superspike
from bioFA.runs.simulation import consumer
from bioFA.tasks.arrays import Arrays
from bioFA.tasks.base import ByteTable
from bioFA.tasks.spike_patterns import SpikePatterns
from bioFA.units import Unit
from bioFA.verification.backends import verify
from bioFA.weights import Identity, Normal

DT = 1e-3


def course(rule, r, gain, error, dt=DT, T=None):
    """The synapse of one pair of neurons, step by step: all that it keeps after each step."""
    synapses = {name: np.zeros((1, 1)) for name in ("w", *rule.state)}
    kept = []
    for step in range(len(r)):
        post = {"gain": np.full(1, gain[step]), "error": np.full(1, error[step])}
        synapses = rule.step(synapses, {"r": np.full(1, r[step])}, post, dt, T or len(r) * dt)
        kept.append({name: float(array[0, 0]) for name, array in synapses.items()})
    return {name: np.array([one[name] for one in kept]) for name in synapses}


def cascade(t, taus):
    """The impulse response of low-pass filters of unit area, one after the other, by partial fractions."""
    return sum(
        tau ** (len(taus) - 2) * np.exp(-t / tau) / math.prod(tau - other for other in taus if other != tau)
        for tau in taus
    )


@pytest.mark.parametrize("dt", [1e-4, 2e-5])
def test_superspike_filters_a_spike_by_epsilon_and_alpha_once_each(dt):
    """One spike at 0, through r (5 ms), the membrane (10 ms) and alpha (4 and 8 ms): four filters, no more,
    no fewer."""
    rule, steps = Superspike(tau_mem="10 ms", tau_rise="4 ms", tau_decay="8 ms"), round(0.1 / dt)
    t = np.arange(steps) * dt
    r = np.exp(-t / 5e-3) / 5e-3
    kept = course(rule, r, np.full(steps, 0.7), np.zeros(steps), dt)
    for name, taus, factor in (
        ("potential", (5e-3, 10e-3), 1.0),
        ("rising", (5e-3, 10e-3, 4e-3), 0.7),
        ("eligibility", (5e-3, 10e-3, 4e-3, 8e-3), 0.7),
    ):
        expected = factor * cascade(t + dt, taus)
        assert np.abs(kept[name] - expected).max() < 3 * dt / 4e-3 * expected.max()
        assert kept[name].sum() * dt == pytest.approx(factor, rel=0.05)  # unit area, whatever the filters


def test_superspike_is_the_correlation_of_error_and_filtered_coincidence_over_the_presentation():
    rng = np.random.default_rng(3)
    rule, steps = Superspike(learning_rate=0.4, tau_mem="12 ms", tau_rise="3 ms", tau_decay="9 ms"), 300
    r, gain, error = rng.uniform(size=steps), rng.uniform(size=steps), rng.normal(size=steps)

    def low_pass(x, tau):  # one step late: a trace holds everything up to the step before
        share = -math.expm1(-DT / tau)
        return lfilter([0.0, share], [1.0, share - 1.0], x)

    eligibility = low_pass(low_pass(gain * low_pass(r, 12e-3), 3e-3), 9e-3)
    kept = course(rule, r, gain, error)
    assert kept["w"][-1] == pytest.approx(0.4 * np.mean(error * eligibility), rel=1e-12)  # the mean: 1/T is there
    np.testing.assert_allclose(kept["eligibility"][:-1], eligibility[1:], rtol=1e-12)


def test_superspike_learns_as_much_per_presentation_however_long_and_fine_it_is():
    rule = Superspike(learning_rate=0.4)
    settled = [
        course(rule, *(np.full(round(time / dt), value) for value in (0.5, 0.3, 2.0)), dt)["w"][-1]
        for time, dt in ((2.0, 1e-3), (4.0, 1e-3), (4.0, 2.5e-4))
    ]
    assert settled == pytest.approx([0.4 * 2.0 * 0.3 * 0.5] * 3, rel=0.02)


def test_the_fast_sigmoid_is_that_of_the_source_at_the_membrane_that_was_tested():
    neuron = Lif(surrogate="fast_sigmoid", steepness=4.0)
    np.testing.assert_allclose(neuron.gain(np.zeros(3), np.array([1.0, 0.5, 2.0])), [1.0, 1 / 9, 1 / 25])
    spiked = neuron.advance(
        {name: np.full(1, v) for name, v in (neuron.state | {"v": 1.5, "I": 1.5}).items()},
        {"drive": np.zeros(1), "train": np.zeros(1)},
        DT,
    )
    assert spiked["fired"][0] == 1
    assert spiked["v"][0] == 0.0
    assert spiked["tested"][0] > 1.0


def test_the_van_rossum_unit_measures_the_distance_of_its_source():
    """Two spikes, one a step late and one missed: half the integral of the squared filtered difference,
    by convolution."""
    unit, steps = VanRossumError(tau_rise="4 ms", tau_decay="9 ms"), 200
    target, output = np.zeros(steps), np.zeros(steps)
    target[[20, 60]], output[21] = 10.0, 10.0
    state, distance = {name: np.zeros(1) for name in unit.state}, []
    for step in range(steps):
        now = {"target": target[[step]], "prediction": output[[step]]}
        now["mismatch"] = unit.mismatch(now["target"], now["prediction"])
        now["r"] = unit.r(state["filtered"])
        now["distance"] = unit.distance(state["distance_so_far"], now["r"], DT)
        now["power"] = unit.power(state["power_so_far"], state["target_filtered"], DT)
        state = unit.advance(state, now, DT)
        distance.append((now["distance"][0], now["power"][0]))
    rise, decay = -math.expm1(-DT / 4e-3), -math.expm1(-DT / 9e-3)
    for found, train in zip(distance[-1], (target - output, target), strict=True):
        filtered = lfilter([0, decay], [1, decay - 1], lfilter([0, rise], [1, rise - 1], train))
        assert found == pytest.approx(0.5 * np.sum(filtered**2) * DT / 9e-3, rel=1e-12)
    assert distance[-1][0] < distance[-1][1]


class Filtered(DeltaRule):
    """The delta rule on a presynaptic trace."""

    tau_trace: Annotated[Number, Unit("s"), Gt(0)] = 20e-3

    state: ClassVar = {"trace": 0.0}
    equations: ClassVar = (
        "dw/dt = learning_rate * error_post * trace / T - decay * w / T : 1\ndtrace/dt = (r_pre - trace)/tau_trace : 1"
    )

    def step(self, synapses, pre, post, dt, T):
        trace = synapses["trace"]
        new = super().step(synapses, {"r": np.ones_like(pre["r"])}, {"error": np.ones_like(post["error"])}, dt, T)
        new["w"] = synapses["w"] + dt / T * (
            self.learning_rate * post["error"][:, np.newaxis] * trace - self.decay * synapses["w"]
        )
        return new | {"trace": trace + (1 - math.exp(-dt / self.tau_trace)) * (pre["r"] - trace)}


class FilteredTwice(Filtered):
    """Its string filters once, its step twice."""

    def step(self, synapses, pre, post, dt, T):
        once = super().step(synapses, pre, post, dt, T)
        return once | {
            "trace": synapses["trace"] + (1 - math.exp(-dt / self.tau_trace)) * (once["trace"] - synapses["trace"])
        }


class Sharing(Filtered):
    """A trace that feels other synapses."""

    def step(self, synapses, pre, post, dt, T):
        new = super().step(synapses, pre, post, dt, T)
        return new | {"trace": new["trace"] - synapses["trace"] + synapses["trace"].mean()}


class Forgotten(Filtered):
    """Its step leaves the trace out."""

    def step(self, synapses, pre, post, dt, T):
        return {"w": super().step(synapses, pre, post, dt, T)["w"]}


def test_a_rule_of_ones_own_with_a_trace_is_checked_too():
    assert check_rule(Filtered()).passes, str(check_rule(Filtered()))
    for rule, check in (
        (FilteredTwice, "Brian2 string"),
        (Sharing, "weight of another"),
        (Forgotten, "a synapse changes"),
    ):
        report = check_rule(rule())
        assert any(check in finding.check and finding.passes is False for finding in report.findings), str(report)


@pytest.mark.parametrize(("equations", "message"), [
    ("dw/dt = error_post * trace / T : 1", "describe w"),
    ("dw/dt = error_post * trace / T : 1\ndtrace/dt = r_pre/tau_trace : 1", "write 'dtrace/dt"),
    ("dw/dt = error_post * trace / T : 1\ndtrace/dt = (r_pre)*(r_pre - trace)/tau_trace : 1", "write 'dtrace/dt"),
])
def test_a_trace_that_is_no_filter_of_activity_is_refused(equations, message):
    class Odd(Filtered):
        family_name: ClassVar = "odd"

    Odd.equations = equations
    network = systems.mixed_tissue().network
    with pytest.raises(ModelError, match=message):
        network.replace(
            pathways=tuple(p.replace(plasticity=Odd()) if p.name == "hidden_to_answer" else p for p in network.pathways)
        )


def rates(inputs, targets, **protocol):
    """A rate network on given arrays: two inputs, one leaky answer."""
    populations = (
        Population("image", size=2, neuron=RateSource()), Population("wanted", size=1, neuron=RateSource(of="targets")),
        Population("answer", size=1, neuron=LeakyRate()), Population("mismatch", size=1, neuron=ErrorUnit()),
    )
    pathways = (
        Pathway(
            "image_to_answer",
            source="image",
            target="answer",
            weights=Normal(),
            plasticity=DeltaRule(learning_rate=0.1),
        ),
        Pathway("wanted_to_mismatch", source="wanted", target="mismatch", port="target", weights=Identity()),
        Pathway("answer_to_mismatch", source="answer", target="mismatch", port="prediction", weights=Identity()),
        Pathway("mismatch_to_answer", source="mismatch", target="answer", port="error", weights=Identity()),
    )
    return lambda path: Experiment(
        name="rates",
        circuit=Network(populations=populations, pathways=pathways),
        task=Arrays(path=str(path)),
        protocol=Protocol(dt="1 ms", **({"presentation": "12 ms"} | protocol)),
        record=bioFA.Record(variables=("image.r", "wanted.r")),
    )


@pytest.fixture
def binned(tmp_path):
    """Four examples whose inputs have 3 bins and whose targets have 2."""
    rng = np.random.default_rng(1)
    inputs, targets = rng.normal(size=(4, 3, 2)), rng.normal(size=(4, 2, 1))
    np.savez(tmp_path / "binned.npz", inputs=inputs, targets=targets)
    return rates(inputs, targets)(tmp_path / "binned.npz"), inputs, targets


def test_a_source_shows_the_bin_of_each_step_and_nothing_in_the_blank(binned):
    experiment, inputs, targets = binned
    experiment = experiment.replace(protocol=experiment.protocol.replace(blank=3e-3))
    instance = draw(experiment, 1)
    reference, feed = Reference(instance), instance.training(0, 4)
    for k, step in itertools.product(range(4), range(15)):
        moments = {p.name: reference._moment(p, feed, k, step) for p in instance.network.populations}
        values = reference._sweep(instance.state, feed, k, step, moments)
        shown = {str(node): array for node, array in values.items()}
        example = instance.order(0, 4)[k]
        np.testing.assert_array_equal(shown["image.r"], inputs[example, step // 4] if step < 12 else np.zeros(2))
        np.testing.assert_array_equal(shown["wanted.r"], targets[example, step // 6] if step < 12 else np.zeros(1))


@pytest.mark.compiled
def test_stimuli_with_a_time_axis_agree_and_new_ones_need_no_new_program(binned, tmp_path):
    experiment, *_ = binned
    assert verify(experiment, presentations=20).agrees
    longer = np.random.default_rng(2)
    np.savez(tmp_path / "other.npz", inputs=longer.normal(size=(9, 6, 2)), targets=longer.normal(size=(9, 1)))
    other = experiment.replace(task=Arrays(path=str(tmp_path / "other.npz")))
    assert make_program(other).digest() == make_program(experiment).digest()
    assert verify(other, presentations=20).agrees
    result = bioFA.simulate(other, seed=2)
    np.testing.assert_array_equal(
        result.recording.arrays["image.r"], draw(other, 2).data.train.inputs[draw(other, 2).order(0, 9)][:, -1]
    )


@pytest.mark.compiled
def test_bytes_may_have_a_time_axis(binned):
    experiment, *_ = binned
    instance = draw(experiment, 1)
    table = ByteTable(np.arange(24, dtype=np.uint8).reshape(4, 3, 2), np.linspace(-1, 1, 256))
    instance = dataclasses.replace(
        instance, data=dataclasses.replace(instance.data, train=dataclasses.replace(instance.data.train, inputs=table))
    )
    segments = [
        consumer(instance, backend).segment(instance.state, instance.training(0, 4), True)
        for backend in ("numpy", "cpp")
    ]
    for name, array in segments[0].state.items():
        np.testing.assert_allclose(segments[1].state[name], array, rtol=0, atol=1e-14)


def test_bins_that_do_not_fit_the_presentation_are_refused(binned, tmp_path):
    experiment, *_ = binned
    system = systems.traced_tissue(True)
    with pytest.raises(ModelError, match="3 bins, which must divide the 10 steps"):
        experiment.replace(protocol=experiment.protocol.replace(presentation=10e-3))
    with pytest.raises(ModelError, match="as many steps as the inputs of SpikePatterns have bins, 40; it has 80"):
        system.replace(protocol=system.protocol.replace(presentation=80e-3))
    with pytest.raises(ModelError, match=r"reset = true"):
        system.replace(protocol=system.protocol.replace(reset=False))
    np.savez(
        tmp_path / "odd.npz",
        inputs=np.zeros((4, 3, 2)),
        targets=np.ones((4, 1)),
        test_inputs=np.zeros((4, 2, 2)),
        test_targets=np.ones((4, 1)),
    )
    with pytest.raises(FileError, match="as many columns"):
        Arrays(path=str(tmp_path / "odd.npz")).sizes()


def test_frozen_patterns_are_frozen_and_their_targets_have_their_slots():
    task = SpikePatterns(n_in=30, n_out=3, patterns=4)
    first, again, other = (
        draw(
            systems.traced_tissue(True).replace(
                task=task.replace(n_in=5, duration=0.04, earliest=5e-3, target_spikes=2)
            ),
            seed,
        ).data.train
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first.inputs, again.inputs)
    assert (first.inputs != other.inputs).any()
    drawn = task.draw(lambda purpose: np.random.default_rng(len(purpose))).train
    assert drawn.inputs.shape == (4, 500, 30)
    assert drawn.inputs.mean() == pytest.approx(10.0 * 1e-3, rel=0.1)
    assert (drawn.targets.sum(axis=1) == 5).all()
    assert (drawn.targets[:, 50:].reshape(4, 5, 90, 3).sum(axis=2) == 1).all()  # one in each slot
    assert not drawn.targets[:, :50].any()
    with pytest.raises(ModelError, match="slots of at least 4 bins"):
        SpikePatterns(target_spikes=200)


@pytest.mark.compiled
@pytest.mark.parametrize("right", [e for e in systems.EACH if "traced" in e.id])
def test_a_run_in_two_segments_keeps_its_traces(right):
    instance = draw(right, 2)
    for backend in ("numpy", "cpp"):
        runner = consumer(instance, backend)
        whole = runner.segment(instance.state, instance.training(0, 7), True)
        first = runner.segment(instance.state, instance.training(0, 3), True)
        second = runner.segment(first.state, instance.training(3, 7), True)
        assert {"hidden_to_hidden.eligibility", "image_to_hidden.potential"} <= set(whole.state)
        for name, array in whole.state.items():
            np.testing.assert_array_equal(second.state[name], array)


@pytest.mark.parametrize("system", systems.TRACED, ids=lambda e: e.name)
def test_an_absent_synapse_keeps_no_trace_and_without_learning_traces_stand_still(system):
    instance = draw(system, 1)
    reference = Reference(instance)
    learned = reference.segment(instance.state, instance.training(0, 5), True).state
    absent = ~instance.masks["image_to_hidden"]
    assert absent.any()
    assert not learned["image_to_hidden.potential"][absent].any()
    assert learned["image_to_hidden.potential"][~absent].all()
    still = reference.segment(learned, instance.training(5, 8), False).state
    if not system.protocol.reset:
        np.testing.assert_array_equal(still["image_to_hidden.potential"], learned["image_to_hidden.potential"])


FAULTS = {
    "a flipped sign": ("= learning_rate", "= -learning_rate"),
    "a dropped filter": ("(rising - eligibility)", "(gain_post*potential - eligibility)"),
    "a filter that is there twice": ("(r_pre - potential)", "(eligibility - potential)"),
}


@pytest.mark.slow
@pytest.mark.compiled
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_a_trace_is_caught(fault, monkeypatch):
    monkeypatch.setattr(Superspike, "equations", Superspike.equations.replace(*FAULTS[fault]))
    outcome = verify(systems.TRACED[0], presentations=12)
    assert not outcome.agrees
    assert "DIFFER" in str(outcome)


@pytest.mark.compiled
def test_a_missing_1_over_T_is_refused_by_its_unit(monkeypatch):
    monkeypatch.setattr(Superspike, "equations", Superspike.equations.replace(" / T :", " :"))
    with pytest.raises(BioFAError, match="could not translate"):
        verify(systems.TRACED[0], presentations=12)


@pytest.mark.slow
@pytest.mark.compiled
@pytest.mark.parametrize("feedback", ["random", "uniform", "symmetric"])
def test_the_van_rossum_distance_falls_for_every_feedback(feedback):
    changes = {
        "random": {},
        "uniform": {"circuit.feedback": {"name": "constant", "value": 1.0}},
        "symmetric": {"circuit.scheme": "bp"},
    }[feedback]
    curves = [bioFA.simulate(bioFA.load("pattern", changes), seed=seed).learning_curve for seed in (1, 2, 3)]
    assert all(curve[-50:].mean() < min(0.5 * curve[0], 0.9) for curve in curves)  # below that of a silent output
    assert np.median([curve[-50:].mean() for curve in curves]) < 0.3


@pytest.mark.slow
@pytest.mark.compiled
def test_the_built_in_pattern_agrees_in_every_spike():
    outcome = verify(bioFA.load("pattern"), seed=3, presentations=20)  # 10,000 steps
    assert outcome.agrees, str(outcome)
    assert outcome.max_abs_difference <= 1e-10
