"""Well-known neurons: their text and their step written by hand are one, and they do what is known of them."""

import re

import numpy as np
import pytest

from bioFA import Experiment, Network, Pathway, Population, errors, neurons
from bioFA.consumers.reference import Reference
from bioFA.instance import draw
from bioFA.modelfiles import toml
from bioFA.neurons.adex import Adex
from bioFA.neurons.base import Moment
from bioFA.neurons.equations import TextNeuron
from bioFA.neurons.hodgkin_huxley import HodgkinHuxley
from bioFA.neurons.izhikevich import Izhikevich
from bioFA.neurons.lif_alpha import LifAlpha
from bioFA.neurons.lif_cond import LifCond
from bioFA.neurons.lif_exp import LifExp
from bioFA.neurons.standard import StandardNeuron, alpha_response, response

MODELS = [model for model in map(neurons.family.get, neurons.family.names()) if issubclass(model, StandardNeuron)]
every_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.family_name)
CURRENT = {LifExp: 800e-12, LifAlpha: 800e-12, LifCond: 400e-12, Adex: 1e-9, Izhikevich: 10.0, HodgkinHuxley: 1e-9}
"""What makes each model spike regularly, at its port `I`."""
WEIGHT = {LifExp: 300e-12, LifAlpha: 300e-12, LifCond: 6e-9, Adex: 10e-9, Izhikevich: 2e-3, HodgkinHuxley: 6e-9}
"""What a spike brings."""


def constants(neuron, size=1, spread=0.0, seed=0):
    """The parameters, `(size,)`, each within a share of its value."""
    rng = np.random.default_rng(seed)
    found = {name: part.draw(rng, size, dimension, name) for name, (part, dimension) in neuron.own_parameters().items()}
    return {name: values * (1.0 + spread * rng.uniform(-1.0, 1.0, size)) for name, values in found.items()}


def begin(neuron, p, size=1):
    """The state of so many neurons as a run begins."""
    state = {name: np.full(size, value) for name, value in neuron.state.items()}
    state |= {name: np.full(size, p[parameter]) for name, parameter in neuron.begins_as().items()}
    rng = np.random.default_rng(0)
    return state | {n: part.draw(rng, size, dim, n) for n, (part, dim) in neuron.beginnings().items()}


def run(neuron, steps, dt, size=1, step=None, **arriving):
    """Every variable as each step begins, `(steps + 1, size)`, where something `(steps, size)` arrives at ports."""
    p = constants(neuron, size)
    state = begin(neuron, p, size)
    rows = {name: [array] for name, array in state.items()}
    for number in range(steps):
        now = {port: np.zeros(size) for port in neuron.ports}
        now |= {port: np.broadcast_to(what[number], size) for port, what in arriving.items()}
        state = (step or type(neuron).step)(neuron, state, now, Moment(size, dt, number * dt, p))
        for name, array in state.items():
            rows[name].append(array)
    return {name: np.array(arrays) for name, arrays in rows.items()}


def test_there_are_standard_neurons():
    names = {model.family_name for model in MODELS}
    assert {"lif_exp", "lif_alpha", "lif_cond", "adex", "izhikevich", "hodgkin_huxley"} <= names
    assert set(MODELS) == set(CURRENT) == set(WEIGHT)


@every_model
@pytest.mark.parametrize("dt", [1e-3, 1e-4, 1e-5])
def test_the_step_by_hand_is_the_one_that_the_text_says(model, dt):
    """From many states, over many steps, with spikes, refractory neurons and parameters that differ."""
    size, steps, rng = 40, 60, np.random.default_rng(1)
    neuron = model(refractory="0.3 ms")
    p = constants(neuron, size, spread=0.1)
    state = begin(neuron, p, size)
    state["v"] = state["v"] + rng.uniform(-5e-3, 15e-3, size)
    spikes = 0.0
    for number in range(steps):
        scale = {"I": 3 * CURRENT[model], "exc": WEIGHT[model], "inh": WEIGHT[model]}
        now = {port: scale[port] * rng.uniform(0.0, 1.0, size) for port in neuron.ports}
        moment = Moment(size, dt, number * dt, p)
        by_hand, by_text = neuron.step(state, now, moment), TextNeuron.step(neuron, state, now, moment)
        assert by_hand.keys() == by_text.keys() == neuron.state.keys()
        for name, array in by_hand.items():
            largest = max(np.abs(by_text[name]).max(), np.abs(state[name]).max())
            np.testing.assert_allclose(array, by_text[name], rtol=1e-12, atol=1e-12 * largest, err_msg=name)
        state = by_text
        spikes += state["fired"].sum()
    assert spikes > 0 or dt < 1e-4


@every_model
def test_a_current_makes_it_spike_and_without_one_it_is_silent(model):
    dt, steps = 1e-4, 2000
    driven = run(model(), steps, dt, I=np.full((steps, 1), CURRENT[model]))
    assert 2 <= driven["fired"].sum() <= 100
    quiet = run(model(e_l="-65 mV") if model is HodgkinHuxley else model(), steps, dt)
    assert quiet["fired"].sum() == 0
    assert all(np.isfinite(array).all() for array in driven.values())


@every_model
def test_a_positive_weight_excites_at_exc_and_inhibits_at_inh(model):
    neuron, dt, steps = model(), 1e-4, 15
    spike = np.zeros((steps, 1))
    spike[10] = 0.1 * WEIGHT[model]
    alone = run(neuron, steps, dt)["v"][-1]
    assert run(neuron, steps, dt, exc=spike)["v"][-1] > alone
    assert run(neuron, steps, dt, inh=spike)["v"][-1] < alone
    assert (neuron.ports["exc"].sign, neuron.ports["inh"].sign) == (1, -1)


@pytest.mark.parametrize("model", [LifExp, LifAlpha, LifCond])
def test_the_rate_of_a_leaky_neuron_is_its_closed_form(model):
    """Between spikes T = t_ref + tau ln((V_inf - V_reset)/(V_inf - V_th)): Gerstner et al. (2014), equation 1.11."""
    dt, steps = 1e-4, 3000
    neuron = model()
    p = {name: values[0] for name, values in constants(neuron).items()}
    tau = p.get("tau_m", p["c_m"] / p.get("g_l", np.inf)) if "tau_m" not in p else p["tau_m"]
    v_inf = p["e_l"] + tau / p["c_m"] * CURRENT[model]
    between = neuron.pause + tau * np.log((v_inf - p["v_reset"]) / (v_inf - p["v_th"]))
    fired = np.flatnonzero(run(neuron, steps, dt, I=np.full((steps, 1), CURRENT[model]))["fired"])
    assert len(fired) > 5
    np.testing.assert_allclose(np.diff(fired) * dt, between, atol=dt)


def test_an_exponential_current_moves_the_potential_by_its_closed_form():
    """V(t) = w/c_m tau_m tau_s/(tau_m - tau_s) (exp(-t/tau_m) - exp(-t/tau_s)): at any step, for it is exact."""
    neuron = LifExp(tau_exc="3 ms", e_l=0.0, v_reset=0.0, v_th="1 V")
    for dt in (1e-3, 1e-4):
        steps = round(30e-3 / dt)
        spike = np.zeros((steps, 1))
        spike[0] = 100e-12
        t = dt * np.arange(steps + 1)
        expected = 100e-12 / 250e-12 * 10e-3 * 3e-3 / 7e-3 * (np.exp(-t / 10e-3) - np.exp(-t / 3e-3))
        np.testing.assert_allclose(run(neuron, steps, dt, exc=spike)["v"][:, 0], expected, rtol=0, atol=1e-16)


def test_an_alpha_current_peaks_with_its_weight_after_its_time_constant():
    neuron, dt, steps = LifAlpha(tau_exc="2 ms", v_th="1 V"), 1e-4, 200
    spike = np.zeros((steps, 1))
    spike[0] = 100e-12
    current = run(neuron, steps, dt, exc=spike)["I_exc"][:, 0]
    assert current.argmax() == 20
    assert current.max() == pytest.approx(100e-12, rel=1e-13)


@pytest.mark.parametrize(
    "b", [200.0, 100.0 * (1 + 1e-12), 100.0 * (1 + 1e-7), 100.0 * (1 + 1e-4), 101.0, 150.0, 3000.0]
)
def test_responses_are_smooth_where_time_constants_meet(b):
    """Against integrals by Gauss and Legendre's rule."""
    nodes, weights = np.polynomial.legendre.leggauss(40)
    for time in (1e-4, 1e-3, 5e-3):
        s = time * (nodes + 1) / 2
        kernel = time / 2 * weights * np.exp(-100.0 * (time - s)) * np.exp(-b * s)
        assert response(np.array(100.0), np.array(b), time) == pytest.approx(kernel.sum(), rel=1e-13)
        assert alpha_response(np.array(100.0), np.array(b), time) == pytest.approx((kernel * s).sum(), rel=1e-11)


def test_a_conductance_neuron_approaches_its_limit_with_the_fourth_power_of_the_step():
    neuron = LifCond(v_th="1 V")
    ends = []
    for dt in (2e-3, 1e-3, 0.5e-3, 5e-5):
        steps = round(20e-3 / dt)
        spike = np.zeros((steps, 1))
        spike[0] = 20e-9
        ends.append(run(neuron, steps, dt, exc=spike, inh=spike)["v"][-1, 0])
    errors_ = np.abs(np.array(ends[:3]) - ends[3])
    assert np.all(errors_[:2] / errors_[1:] > 12)
    assert np.all(errors_[:2] / errors_[1:] < 22)


def intervals(neuron, current, seconds=0.5, dt=1e-4):
    steps = round(seconds / dt)
    fired = run(neuron, steps, dt, I=np.full((steps, 1), current))["fired"]
    return np.diff(np.flatnonzero(fired)) * dt


def test_regular_spiking_cells_adapt():
    for neuron, current in ((Adex(), 1e-9), (Izhikevich(), 10.0)):
        between = intervals(neuron, current)
        assert between[0] < 0.7 * between[-1]


def test_the_adaptive_neuron_spikes_first_above_its_rheobase():
    """With adaptation that cannot be felt, I = g_l (v_t - e_l - delta_t): Brette & Gerstner (2005), figure 1."""
    neuron = Adex(a=0.0, b=0.0)
    rheobase = 30e-9 * (-50.4e-3 + 70.6e-3 - 2e-3)
    assert len(intervals(neuron, 0.99 * rheobase)) == 0
    assert len(intervals(neuron, 1.02 * rheobase)) > 2


def test_an_action_potential_has_its_height_and_undershoot():
    steps = 500
    v = run(HodgkinHuxley(), steps, 1e-4, I=np.full((steps, 1), 1e-9))["v"][:, 0]
    assert 20e-3 < v.max() < 50e-3
    assert v[v.argmax() :].min() < -70e-3


def test_a_refractory_neuron_holds_its_reset_and_lets_currents_decay():
    neuron, dt = LifExp(refractory="1 ms", tau_exc="5 ms"), 1e-4
    spike = np.zeros((40, 1))
    spike[0] = 5e-9
    found = run(neuron, 40, dt, exc=spike)
    first = int(np.flatnonzero(found["fired"])[0])
    assert (found["v"][first : first + 11] == -65e-3).all()
    assert found["v"][first + 11] > -65e-3
    assert (np.diff(found["I_exc"][1:, 0]) < 0).all()


@every_model
def test_a_model_file_holds_it_with_numbers_that_differ(model):
    neuron = (
        model(v_peak="25 mV") if model is Izhikevich else model(c_m={"name": "normal", "mean": 2e-10, "std": 1e-11})
    )
    circuit = Network(
        populations=(Population("cells", size=4, neuron=neuron),),
        pathways=(Pathway("loop", source="cells", target="cells", port="exc", weights=1e-9, delay="1 ms"),),
    )
    experiment = Experiment(name="standard", circuit=circuit, protocol={"duration": "5 ms", "dt": "0.1 ms"})
    assert toml.loads(toml.dumps(experiment)) == experiment
    instance = draw(experiment, 1)
    assert (instance.state["cells.v"] == constants(neuron)[neuron.begins_as()["v"]]).all()
    assert np.isfinite(
        Reference(instance).segment(instance.state, instance.passing(0, 0, 50), False).state["cells.v"]
    ).all()


def test_neurons_that_differ_each_begin_at_their_own_rest():
    neuron = LifExp(e_l={"name": "uniform", "low": "-70 mV", "high": "-60 mV"})
    circuit = Network(populations=(Population("cells", size=50, neuron=neuron),))
    instance = draw(Experiment(name="rest", circuit=circuit, protocol={"duration": "5 ms", "dt": "0.1 ms"}), 1)
    np.testing.assert_array_equal(instance.state["cells.v"], instance.constants["cells.e_l"])
    assert np.ptp(instance.state["cells.v"]) > 5e-3
    given = neuron.replace(initial={"v": "-55 mV"})
    circuit = Network(populations=(Population("cells", size=50, neuron=given),))
    instance = draw(Experiment(name="rest", circuit=circuit, protocol={"duration": "5 ms", "dt": "0.1 ms"}), 1)
    assert (instance.state["cells.v"] == -55e-3).all()


@pytest.mark.parametrize(
    ("fields", "error", "words"),
    [
        ({"tau_m": "20 mV"}, errors.WrongUnit, "LifExp.tau_m.value = '20 mV' is in volt; expected second"),
        ({"tau_m": 0.0}, errors.OutOfRange, "LifExp.tau_m must be > 0 second; got 0 second"),
        ({"c_m": ["1 pF", "-1 pF"]}, errors.OutOfRange, "LifExp.c_m must be > 0"),
        ({"taum": "20 ms"}, errors.UnknownField, "tau_m"),
        ({"initial": {"u": 0.0}}, errors.UnknownName, "'u' is no variable"),
        ({"refractory": "-1 ms"}, errors.OutOfRange, "refractory must be >= 0 s"),
    ],
)
def test_a_wrong_parameter_is_refused_by_name(fields, error, words):
    with pytest.raises(error, match=re.escape(words)):
        LifExp(**fields)
