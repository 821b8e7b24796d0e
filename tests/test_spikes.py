"""Spiking neurons against closed forms: rates, traces, currents, chance;
and random numbers that belong to their place."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bioFA import ModelError, draws, schemes
from bioFA.neurons.bernoulli_source import BernoulliSource
from bioFA.neurons.latency_source import LatencySource
from bioFA.neurons.lif import Lif
from bioFA.neurons.poisson_source import PoissonSource
from bioFA.neurons.spiking_error_unit import SpikingErrorUnit
from bioFA.neurons.stochastic_sigmoid import StochasticSigmoid
from bioFA.neurons.tonic_error_unit import TonicErrorUnit
from bioFA.neurons.two_compartment_lif import TwoCompartmentLif
from bioFA.rules.event_driven_random_backpropagation import EventDrivenRandomBackpropagation
from bioFA.schemes import Layered
from bioFA.weights import SharedWith

DT = 1e-3


def simulate(neuron, steps, drive, dt=DT, chances=None, size=1, into="drive"):
    """All published variables and states of a neuron alone, driven at one port, step by step."""
    state = {name: np.full(size, value) for name, value in neuron.state.items()}
    course = []
    for step in range(steps):
        known = (
            state | dict.fromkeys(neuron.ports, np.zeros(size)) | {
                "dt": dt,
                "time": step * dt,
                into: np.full(size, drive(step * dt)),
            }
        )
        known |= dict.fromkeys(neuron.draws, None if chances is None else chances[step])
        if neuron.shows == "task":
            known[neuron.shown] = np.full(size, drive(step * dt))
        for variable in neuron.publishes:
            if variable not in known:
                known[variable] = getattr(neuron, variable)(*(known[need] for need in neuron.needs(variable)))
        course.append(known)
        state = neuron.advance(state, known, dt)
    return course


@pytest.mark.parametrize("drive", [1.2, 2.0, 5.0])
def test_the_rate_of_a_lif_neuron_is_that_of_the_textbook(drive):
    """Rate 1 / (refractory period + tau ln(I / (I - 1))) under a constant current (Dayan & Abbott, eq. 5.11)."""
    neuron = Lif(tau="20 ms", tau_syn="1 ms", refractory_period="2 ms")
    dt = 1e-4
    spikes = np.array([known["s"][0] for known in simulate(neuron, 5_000, lambda t: drive, dt)])
    times = np.flatnonzero(spikes)[1:] * dt
    assert np.diff(times).mean() == pytest.approx(2e-3 + 20e-3 * math.log(drive / (drive - 1)), abs=2e-4)


@pytest.mark.parametrize(
    ("intensity", "steps"),
    [(1.0, [0]), (3.0, [0]), (0.75, [5]), (0.5, [10]), (0.125, [18]), (1e-9, [20]), (0.0, []), (-0.5, [])],
)
@pytest.mark.parametrize("dt", [1e-3, 0.7e-3])
def test_a_latency_source_spikes_once_and_the_earlier_the_stronger_its_input(intensity, steps, dt):
    """At latest (1 - x), 17.5 steps of 1 ms being halfway and so the later; zero and negative inputs never."""
    steps = (
        steps if dt == 1e-3 else [math.floor(step * 1e-3 / dt + 0.5) if intensity != 0.125 else 25 for step in steps]
    )
    course = simulate(LatencySource(latest="20 ms"), 60, lambda t: intensity, dt)
    assert np.flatnonzero([known["s"][0] for known in course]).tolist() == steps
    assert sum(known["train"][0] for known in course) * dt == pytest.approx(len(steps) / 100.0)


def test_a_latency_source_with_a_period_begins_anew_with_each():
    course = simulate(LatencySource(latest="20 ms", period="30 ms"), 100, lambda t: 0.6)
    assert np.flatnonzero([known["s"][0] for known in course]).tolist() == [8, 38, 68, 98]
    with pytest.raises(ModelError, match=r"LatencySource\.period must be > latest = 0\.02 s.*got 0\.02 s"):
        LatencySource(latest="20 ms", period="20 ms")


def test_one_incoming_spike_gives_the_postsynaptic_potential_of_two_exponentials():
    """v(t) = w / (unit_rate) (exp(-t/tau) - exp(-t/tau_syn)) / (tau - tau_syn), exact at any step."""
    neuron, weight = Lif(), 1.5
    course = simulate(neuron, 40, lambda t: weight / (100.0 * DT) if t == 0 else 0.0)
    t = np.arange(1, 40) * DT
    expected = weight / 100.0 * (np.exp(-t / 20e-3) - np.exp(-t / 5e-3)) / (20e-3 - 5e-3)
    np.testing.assert_allclose([known["v"][0] for known in course[1:]], expected, rtol=1e-12)
    np.testing.assert_allclose(
        [known["I"][0] for known in course[1:]], weight / (100.0 * 5e-3) * np.exp(-t / 5e-3), rtol=1e-12
    )


@pytest.mark.parametrize("reset", ["to_value", "subtract"])
def test_a_lif_neuron_stays_at_its_reset_for_its_refractory_period_and_its_current_goes_on(reset):
    neuron = Lif(refractory_period="5 ms", v_reset=-0.2, reset=reset)
    course = simulate(neuron, 60, lambda t: 30.0)
    first = next(k for k, known in enumerate(course) if known["s"][0])
    silent = course[first + 1 : first + 6]
    assert [known["v"][0] for known in silent] == [-0.2] * 5
    assert not any(known["s"][0] for known in silent)
    assert all(later["I"][0] > earlier["I"][0] for earlier, later in itertools.pairwise(silent))
    at_reset = course[first]["v"][0]
    assert at_reset == -0.2 if reset == "to_value" else 0.0 < at_reset < 1.0


@pytest.mark.parametrize(("test", "spikes"), [("above", 0), ("reach", 1)])
def test_the_threshold_test_says_whether_the_threshold_itself_counts(test, spikes):
    after = Lif(decay="euler", test=test).advance(
        {
            "v": np.array([1.0]),
            "I": np.array([1.0]),
            "filtered": np.zeros(1),
            "fired": np.zeros(1),
            "left": np.zeros(1),
        },
        {"drive": np.zeros(1), "train": np.zeros(1)},
        DT,
    )
    assert after["fired"][0] == spikes


def test_a_lif_neuron_whose_exact_solution_divides_by_zero_is_refused():
    with pytest.raises(ModelError, match="tau_syn must differ from tau"):
        Lif(tau="5 ms", tau_syn="5 ms")
    Lif(tau="5 ms", tau_syn="5 ms", decay="euler")


@pytest.mark.parametrize(
    "neuron", [Lif(tau_trace="30 ms"), StochasticSigmoid(tau_trace="30 ms")], ids=["lif", "stochastic_sigmoid"]
)
def test_the_trace_is_the_train_filtered_once(neuron):
    """One spike at 0 leaves r(t) = (1 - exp(-dt/tau)) / (unit dt) exp(-(t - dt)/tau):
    filtered twice it would rise before it falls."""
    unit = neuron.unit_rate if isinstance(neuron, Lif) else neuron.max_rate
    state = {name: np.full(1, value) for name, value in neuron.state.items()}
    trace = []
    for step in range(30):
        now = {"drive": np.zeros(1), "train": np.full(1, (step == 0) / (unit * DT))}
        state = neuron.advance(state, now, DT)
        trace.append(state["filtered"][0])
    expected = -math.expm1(-DT / 30e-3) / (unit * DT) * np.exp(-np.arange(30) * DT / 30e-3)
    np.testing.assert_allclose(trace, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("neuron", "value", "rate"),
    [
        (PoissonSource(max_rate="200 Hz"), 0.4, 0.4),
        (PoissonSource(polarity="off"), -0.7, 0.7),
        (PoissonSource(), -0.7, 0.0),
        (BernoulliSource(gain=0.25), 0.8, 0.8),
        (StochasticSigmoid(), 0.5, 1 / (1 + math.exp(-0.5))),
    ],
    ids=["on", "off", "on_of_negative", "bernoulli", "sigmoid"],
)
def test_the_mean_of_the_train_is_the_rate_that_it_stands_for(neuron, value, rate):
    size, steps = 400, 500
    key = draws.key(1, "test")
    chances = [draws.uniform(key, 0, step, size) for step in range(steps)]
    course = simulate(neuron, steps, lambda t: value, chances=chances, size=size)
    trains = np.array([known["train"] for known in course[100:]])
    chance = rate * (neuron.gain if isinstance(neuron, BernoulliSource) else neuron.max_rate * DT)
    error = math.sqrt(max(chance * (1 - chance), 1e-12) / trains.size) * rate / max(chance, 1e-12)
    assert trains.mean() == pytest.approx(rate, abs=4 * error + 1e-12)


@pytest.mark.parametrize("target", [0.333, 0.777, -0.456])
def test_a_pair_of_error_populations_counts_the_mismatch_in_units_of_its_own_sign(target):
    """After a time t under a constant mismatch m the unit of its sign has spiked floor(unit_rate |m| t) times,
    the other never."""
    on, off = SpikingErrorUnit(unit_rate="200 Hz"), SpikingErrorUnit(unit_rate="200 Hz", polarity="off")
    assert on.opponent() == off
    assert off.opponent() == on
    courses = [simulate(unit, 501, lambda t: target, into="target") for unit in (on, off)]
    counts = [sum(known["s"][0] for known in course) for course in courses]
    assert counts == [math.floor(200 * max(target, 0) * 0.5 + 1e-9), math.floor(200 * max(-target, 0) * 0.5 + 1e-9)]
    total = sum(known["train"][0] * DT for course in courses for known in course)
    assert total == pytest.approx(target * 0.5, abs=1 / 200)


@pytest.mark.parametrize(("mismatch", "spikes"), [(0.09, 0), (0.11, 1)])
def test_a_mismatch_that_gathers_no_whole_unit_is_not_sent(mismatch, spikes):
    """In 100 ms at 100 Hz whatever is below 0.1 is lost: 1 / (unit_rate t)."""
    course = simulate(SpikingErrorUnit(unit_rate="100 Hz"), 101, lambda t: mismatch, into="target")
    assert sum(known["s"][0] for known in course) == spikes


def test_an_error_unit_answers_at_once_when_the_mismatch_turns_to_its_sign():
    """Since v stops at 0, the first spike comes 1 / (unit_rate m) after the turn,
    however long the other sign lasted."""
    course = simulate(
        SpikingErrorUnit(unit_rate="100 Hz"), 700, lambda t: -1.0 if t < 0.6 - DT / 2 else 0.5, into="target"
    )
    assert np.flatnonzero([known["s"][0] for known in course])[0] == 600 + 20


@pytest.mark.parametrize("target", [0.0, 0.2, -0.6])
def test_a_tonic_error_unit_codes_the_mismatch_about_its_baseline(target):
    """The mean train is 4 width (sigma(m / width) - 1/2), and without a mismatch it spikes at half its largest rate."""
    unit, size, steps = TonicErrorUnit(), 400, 600
    chances = [draws.uniform(draws.key(2, "test"), 0, step, size) for step in range(steps)]
    course = simulate(unit, steps, lambda t: target, chances=chances, size=size, into="target")[100:]
    rate = 1 / (1 + math.exp(-target / 0.5))
    spikes = np.array([known["s"] for known in course])
    error = 4 * math.sqrt(0.2 * rate * (1 - 0.2 * rate) / spikes.size)
    assert spikes.mean() == pytest.approx(0.2 * rate, abs=error)
    assert np.mean([known["train"] for known in course]) == pytest.approx(2.0 * (rate - 0.5), abs=2.0 * error / 0.2)


def test_the_dendrite_integrates_the_error_and_leaves_the_soma_alone():
    """U(t) = 1 - exp(-t / tau_dendrite) under a constant error, filtered once; v and I stay where they are."""
    neuron = TwoCompartmentLif(tau_dendrite="30 ms", gate_low=0.5)
    course = simulate(neuron, 40, lambda t: 1.0, into="error")
    np.testing.assert_allclose(
        [known["dendrite"][0] for known in course], -np.expm1(-np.arange(40) * DT / 30e-3), rtol=1e-12
    )
    assert all(known["v"][0] == known["I"][0] == known["gain"][0] == known["delta"][0] == 0.0 for known in course)


def test_the_gate_is_open_between_its_bounds_only():
    gain = TwoCompartmentLif(gate_low=-1.0, gate_high=2.0).gain(np.array([-1.0, -0.9, 0.0, 1.9, 2.0]))
    np.testing.assert_array_equal(gain, [0, 1, 1, 1, 0])
    with pytest.raises(ModelError, match="gate_low must be < gate_high"):
        TwoCompartmentLif(gate_low=1.0, gate_high=1.0)


def test_a_spike_changes_its_synapses_by_the_gated_dendrite_and_no_spike_changes_nothing():
    """dw = eta U / (T unit_rate) on a presynaptic spike, whatever dt."""
    rule, w = EventDrivenRandomBackpropagation(learning_rate=0.3), np.ones((3, 2))
    dendrite, gain = np.array([0.5, -2.0, 4.0]), np.array([1.0, 1.0, 0.0])
    for dt in (1e-4, 1e-3):
        after = rule.step(
            {"w": w}, {"carried": np.array([1.0, 0.0]) / (100.0 * dt)}, {"dendrite": dendrite, "gain": gain}, dt, 0.2
        )["w"]
        np.testing.assert_allclose(
            after - w, np.outer(0.3 * dendrite * gain / (0.2 * 100.0), [1.0, 0.0]), rtol=1e-12, atol=1e-15
        )


def test_a_pair_of_error_populations_shares_its_feedback_and_is_refused_where_that_learns():
    circuit = Layered(sizes=(5, 4, 3), error=SpikingErrorUnit())
    network = circuit.network()
    assert network.pathway("mismatch_off_to_hidden").weights == SharedWith(pathway="mismatch_to_hidden")
    assert network.pathway("mismatch_off_to_hidden").carries == network.pathway("mismatch_to_hidden").carries == "train"
    assert [p.name for p in network.measured_feedback()] == ["mismatch_to_hidden"]
    for scheme in schemes.family.names():
        if scheme in ("kp", "arbp", "usf", "frsf", "brsf"):
            with pytest.raises(ModelError, match="a pair of error populations cannot share its weights"):
                circuit.replace(scheme=scheme).network()
            circuit.replace(scheme=scheme, error=TonicErrorUnit()).network()
        elif scheme not in ("np", "wp"):
            laid = circuit.replace(scheme=scheme).network()
            signed = [[p for p in laid.pathways if p.source == source] for source in ("mismatch", "mismatch_off")]
            assert len(signed[0]) == len(signed[1]) > 0


@given(st.integers(0, 2**31), st.integers(0, 10**6), st.integers(0, 10**4), st.integers(1, 50))
def test_a_random_number_belongs_to_its_place_and_to_nothing_else(seed, presentation, step, size):
    key = draws.key(seed, "input")
    numbers = draws.uniform(key, presentation, step, size)
    assert ((numbers >= 0) & (numbers < 1)).all()
    np.testing.assert_array_equal(numbers, draws.uniform(key, presentation, step, size + 7)[:size])
    assert not np.array_equal(numbers, draws.uniform(key, presentation + 1, step, size))
    assert not np.array_equal(numbers, draws.uniform(key, presentation, step + 1, size))
    assert draws.key(seed, "hidden") != key


def test_random_numbers_are_uniform_and_unrelated_from_step_to_step_and_neuron_to_neuron():
    numbers = np.array([draws.uniform(draws.key(3, "input"), 0, step, 300) for step in range(300)])
    assert numbers.mean() == pytest.approx(0.5, abs=4 * math.sqrt(1 / 12 / numbers.size))
    counts, _ = np.histogram(numbers, bins=20, range=(0, 1))
    # chi squared of 19 degrees of freedom, p = 0.001
    assert ((counts - numbers.size / 20) ** 2 / (numbers.size / 20)).sum() < 43.8
    for one, other in ((numbers[:-1], numbers[1:]), (numbers[:, :-1], numbers[:, 1:])):
        assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 4 / math.sqrt(one.size)
