"""Single neurons that NEST simulates are ours, on the same spikes: in every step where NEST's step is exact or Euler's,
and closer with a smaller step where NEST adapts its own.

NEST adds a spike of stamp s and delay d at the end of the step that ends at s + d; ours arrives as the next step
begins. Only `izhikevich` tells the two apart, since NEST tests the threshold in between: ours takes the spike one step
earlier there. NEST is installed by the extra `nest`; without it these tests are skipped.
"""

import numpy as np
import pytest

from bioFA.neurons.adex import Adex
from bioFA.neurons.base import Moment
from bioFA.neurons.equations import Equations
from bioFA.neurons.izhikevich import Izhikevich
from bioFA.neurons.lif_alpha import LifAlpha
from bioFA.neurons.lif_cond import LifCond
from bioFA.neurons.lif_exp import LifExp

nest = pytest.importorskip("nest", reason="NEST is not installed: pip install '.[nest]'")

STEPS = 4000
DELAY = 3
"""Of every synapse, in steps."""


def trains(steps, chance, finer=1):
    """Steps at whose end each source spikes, `(n,)` each: the same times in steps that are so many times finer."""
    rng = np.random.default_rng(5)
    return tuple(finer * (np.flatnonzero(rng.random(steps // finer) < p) + 1) for p in (chance, 0.4 * chance))


def ours(neuron, dt, steps, weights, early=0, chance=0.05, finer=1):
    """Potential after each step, `(steps,)`, and the steps at whose end it spiked."""
    arriving = {port: np.zeros(steps + 2 * DELAY) for port in ("exc", "inh")}
    for port, train, weight in zip(("exc", "inh"), trains(steps, chance, finer), weights, strict=True):
        np.add.at(arriving[port], train + DELAY - early, weight)
    p = {
        name: part.draw(np.random.default_rng(0), 1, dimension, name)
        for name, (part, dimension) in neuron.own_parameters().items()
    }
    state = {name: np.full(1, value) for name, value in neuron.state.items()}
    state |= {name: np.full(1, p[parameter]) for name, parameter in neuron.begins_as().items()}
    state |= {n: part.draw(np.random.default_rng(0), 1, dim, n) for n, (part, dim) in neuron.beginnings().items()}
    v, fired = [], []
    for step in range(steps):
        now = {"exc": arriving["exc"][[step]], "inh": arriving["inh"][[step]], "I": np.zeros(1)}
        state = neuron.step(state, now, Moment(1, dt, step * dt, p))
        v.append(state["v"][0])
        fired += [step + 1] if state["fired"][0] else []
    return np.array(v), np.array(fired)


def theirs(model, fields, dt, steps, weights, chance=0.05, finer=1):
    """The same of NEST's neuron, times in ms and weights in NEST's units."""
    nest.ResetKernel()
    nest.verbosity = nest.VerbosityLevel.ERROR
    nest.set(resolution=dt * 1e3, local_num_threads=1)
    cell = nest.Create(model, 1, fields)
    for train, weight in zip(trains(steps, chance, finer), weights, strict=True):
        spikes = {"spike_times": train * dt * 1e3, "precise_times": False, "allow_offgrid_times": True}
        source = nest.Create("spike_generator", 1, spikes)
        nest.Connect(source, cell, "all_to_all", {"weight": weight, "delay": DELAY * dt * 1e3})
    meter = nest.Create("multimeter", 1, {"record_from": ["V_m"], "interval": dt * 1e3})
    recorder = nest.Create("spike_recorder")
    nest.Connect(meter, cell)
    nest.Connect(cell, recorder)
    nest.Simulate((steps + 3) * dt * 1e3)
    at = np.round(np.array(meter.events["times"]) / (dt * 1e3)).astype(int)
    v = np.full(steps + 1, np.nan)
    v[at[at <= steps]] = np.array(meter.events["V_m"])[at <= steps] * 1e-3
    stamps = np.round(np.array(recorder.events["times"]) / (dt * 1e3)).astype(int)
    return v[1:], stamps[stamps <= steps]


PSC = {"E_L": -65.0, "V_m": -65.0, "V_th": -50.0, "V_reset": -65.0, "C_m": 250.0, "tau_m": 10.0, "I_e": 400.0}


@pytest.mark.parametrize("dt", [1e-4, 5e-4])
def test_current_neurons_are_nests_in_every_step(dt):
    for ours_as, model, taus in ((LifExp, "iaf_psc_exp", (0.5, 0.7)), (LifAlpha, "iaf_psc_alpha", (0.5, 0.7))):
        tau_exc, tau_inh = taus
        rest = {"e_l": "-65 mV", "v_th": "-50 mV", "v_reset": "-65 mV", "i_e": "400 pA"}
        neuron = ours_as(tau_exc=f"{tau_exc} ms", tau_inh=f"{tau_inh} ms", refractory="2 ms", **rest)
        v, spikes = ours(neuron, dt, STEPS, (700e-12, 600e-12))
        fields = PSC | {"t_ref": 2.0, "tau_syn_ex": tau_exc, "tau_syn_in": tau_inh}
        their_v, their_spikes = theirs(model, fields, dt, STEPS, (700.0, -600.0))
        assert len(spikes) > 15, model
        np.testing.assert_array_equal(spikes, their_spikes, err_msg=model)
        np.testing.assert_allclose(v, their_v, rtol=0, atol=1e-13, err_msg=model)


def test_the_izhikevich_neuron_is_nests_in_every_step():
    dt = 1e-4
    neuron = Izhikevich(i_e="4 mV/ms")
    fields = {"V_m": -65.0, "U_m": -13.0, "a": 0.02, "b": 0.2, "c": -65.0, "d": 8.0, "I_e": 4.0, "V_th": 30.0}
    their_v, their_spikes = theirs("izhikevich", fields, dt, STEPS, (2.0, -1.0))
    v, spikes = ours(neuron, dt, STEPS, (2e-3, 1e-3), early=1)
    assert len(spikes) > 3
    np.testing.assert_array_equal(spikes, their_spikes)
    np.testing.assert_allclose(v, their_v, rtol=0, atol=1e-12)
    shifted = ours(neuron, dt, STEPS, (2e-3, 1e-3))[0]
    assert np.abs(shifted - their_v).max() > 1e-3


def conductance(kind, dt, spiking, finer=1, method="rk4", duration=0.2, tolerance=1e-9, exc=30.0):
    """Potentials and spikes of ours and of NEST's cell that adapts its step, on the same spikes."""
    steps = round(duration / dt)
    if kind is LifCond:
        model = "iaf_cond_exp"
        neuron = LifCond(v_th="-50 mV" if spiking else "1 V", refractory="2 ms", method=method)
        fields = {"V_th": -50.0 if spiking else 1000.0, "V_reset": -60.0, "g_L": 10.0, "C_m": 200.0, "E_L": -60.0}
        fields |= {"V_m": -60.0, "t_ref": 2.0}
    else:
        neuron, model = Adex(method=method), "aeif_cond_exp"
        fields = {"V_peak": 20.0, "V_reset": -70.6, "g_L": 30.0, "C_m": 281.0, "E_L": -70.6, "V_m": -70.6, "a": 4.0}
        fields |= {"b": 80.5, "Delta_T": 2.0, "V_th": -50.4, "tau_w": 144.0, "gsl_error_tol": tolerance}
    p = {name: part.numbers(dim, name)["value"] for name, (part, dim) in neuron.own_parameters().items()}
    fields |= {"E_ex": 1e3 * p["e_e"], "E_in": 1e3 * p["e_i"]}
    fields |= {"tau_syn_ex": 1e3 * p["tau_exc"], "tau_syn_in": 1e3 * p["tau_inh"]}
    exc, inh = (exc if spiking else 4.0), 10.0
    chance = finer * dt / 1e-4 * 0.01
    found = ours(neuron, dt, steps, (exc * 1e-9, inh * 1e-9), chance=chance, finer=finer)
    return found, theirs(model, fields, dt, steps, (exc, -inh), chance=chance, finer=finer)


@pytest.mark.parametrize("kind", [LifCond, Adex])
def test_conductance_neurons_approach_nests_as_the_step_falls(kind):
    apart = []
    for dt in (5e-4, 1e-4):
        (v, spikes), (their_v, their_spikes) = conductance(kind, dt, spiking=False)
        assert len(spikes) == len(their_spikes) == 0
        assert np.ptp(v) > 2e-3
        apart.append(np.abs(v - their_v).max())
    assert apart[0] < 1e-7
    assert apart[1] < apart[0] / 100


@pytest.mark.parametrize("kind", [LifCond, Adex])
def test_conductance_neurons_spike_when_nests_do(kind):
    (v, spikes), (their_v, their_spikes) = conductance(kind, 1e-4, spiking=True)
    assert len(spikes) >= 3
    assert len(spikes) == len(their_spikes)
    assert np.abs(spikes - their_spikes).max() <= 1
    assert np.abs(v - their_v)[: spikes[0] - 4].max() < 1e-6


@pytest.mark.parametrize("kind", [LifCond, Adex])
def test_conductance_neurons_spike_in_the_steps_of_nests_however_fine_they_are(kind):
    """The same input in steps of 0.1, 0.05 and 0.025 ms: so the largest difference of a spike time falls with them."""
    for finer in (1, 2, 4):
        (_, spikes), (_, their_spikes) = conductance(kind, 1e-4 / finer, spiking=True, finer=finer)
        assert len(spikes) >= 3
        np.testing.assert_array_equal(spikes, their_spikes)


@pytest.mark.parametrize("dt", [1e-4, pytest.param(5e-4, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", [LifCond, Adex])
def test_conductance_neurons_with_nests_own_error_control_are_nests_in_every_step(kind, dt):
    """Strong input, so that steps are tried again, and a cell spikes within them; `rk4` comes less near."""
    duration = 0.1 if kind is Adex else 0.3
    settings = {"spiking": True, "finer": 3, "duration": duration, "tolerance": 1e-6, "exc": 60.0}
    (v, spikes), (their_v, their_spikes) = conductance(kind, dt, method="rkf45", **settings)
    assert len(spikes) >= 5
    np.testing.assert_array_equal(spikes, their_spikes)
    np.testing.assert_allclose(v, their_v, rtol=0, atol=1e-12)  # rounding, which grows with the upstroke of adex
    plain = conductance(kind, dt, **settings)[0][0]
    assert np.abs(plain - their_v).max() > 1e-9


HH_IN_NESTS_UNITS = """
    alpha_n = (0.01*(v + 55))/(1 - exp(-(v + 55)/10)) : 1
    alpha_m = (0.1*(v + 40))/(1 - exp(-(v + 40)/10)) : 1
    i_l = g_l*(v - e_l) : 1
    i_na = g_na*m*m*m*h*(v - e_na) : 1
    i_k = g_k*n*n*n*n*(v - e_k) : 1
    dv/dt = (-(i_na + i_k + i_l) + i_exc + i_inh)/c_m : 1
    dm/dt = (alpha_m*(1 - m) - 4*exp(-(v + 65)/18)*m)/unit_time : 1
    dh/dt = (0.07*exp(-(v + 65)/20)*(1 - h) - 1/(1 + exp(-(v + 35)/10))*h)/unit_time : 1
    dn/dt = (alpha_n*(1 - n) - 0.125*exp(-(v + 65)/80)*n)/unit_time : 1
    di_exc/dt = j_exc/unit_time - i_exc/tau_exc : 1
    dj_exc/dt = -j_exc/tau_exc : 1
    di_inh/dt = j_inh/unit_time - i_inh/tau_inh : 1
    dj_inh/dt = -j_inh/tau_inh : 1
    before : 1
"""


def hh_rates(u):
    """alpha and beta of the gates of NEST's Hodgkin-Huxley cell, in 1/ms, at a potential in mV."""
    return {
        "m": (0.1 * (u + 40) / (1 - np.exp(-(u + 40) / 10)), 4 * np.exp(-(u + 65) / 18)),
        "h": (0.07 * np.exp(-(u + 65) / 20), 1 / (1 + np.exp(-(u + 35) / 10))),
        "n": (0.01 * (u + 55) / (1 - np.exp(-(u + 55) / 10)), 0.125 * np.exp(-(u + 65) / 80)),
    }


SYNAPSES = "dg_e/dt = -g_e/tau_exc : 1\ndg_i/dt = -g_i/tau_inh : 1\n"
IN_NESTS_UNITS = {
    "iaf_cond_exp": (
        {
            "model": "u = clip(v, -1000, v_th) : 1\n" + SYNAPSES + "dv/dt = (-(g_l*(u - e_l)) + i_e - g_e*(u - e_e)"
            " - g_i*(u - e_i))/c_m : 1 (unless refractory)",
            "threshold": "v >= v_th",
            "reset": "v = v_reset",
            "refractory": "2 s",
            "initial": {"v": -60.0},
        },
        {"v_th": -50.0, "v_reset": -60.0, "g_l": 10.0, "c_m": "200 s", "e_l": -60.0, "e_e": 0.0, "e_i": -80.0}
        | {"tau_exc": "5 s", "tau_inh": "10 s", "i_e": 20.0},
        {"t_ref": 2.0, "V_m": -60.0},
    ),
    "aeif_cond_exp": (
        {
            "model": "u = clip(v, -1000, v_peak) : 1\n" + SYNAPSES + "dv/dt = (-g_l*(u - e_l) + g_l*delta_t*exp((u -"
            " v_th)/delta_t) - g_e*(u - e_e) - g_i*(u - e_i) - w + i_e)/c_m : 1 (unless refractory)\n"
            "dw/dt = (a*(u - e_l) - w)/tau_w : 1",
            "threshold": "v >= v_peak",
            "reset": "v = v_reset; w += b",
            "tolerance": 1e-6,
            "slope_tolerance": 1e-6,
            "tested_in": "substep",
            "initial": {"v": -70.6},
        },
        {"v_th": -50.4, "v_reset": -70.6, "v_peak": 20.0, "g_l": 30.0, "c_m": "281 s", "e_l": -70.6, "e_e": 0.0}
        | {"e_i": -75.0, "tau_exc": "2.728 s", "tau_inh": "10.49 s", "i_e": 20.0, "delta_t": 2.0, "a": 4.0, "b": 80.5}
        | {"tau_w": "144 s"},
        {"V_m": -70.6, "gsl_error_tol": 1e-6},
    ),
    "hh_psc_alpha": (
        {
            "model": HH_IN_NESTS_UNITS,
            "arrival": "j_exc += exc*(e/tau_exc)*unit_time; j_inh += inh*(e/tau_inh)*unit_time; before = v",
            "threshold": "v >= 0 and v < before",
            "refractory": "2 s",
            "initial": {"v": -65.0, **{name: float(a / (a + b)) for name, (a, b) in hh_rates(-65.0).items()}},
        },
        {"g_na": 12000.0, "g_k": 3600.0, "g_l": 30.0, "e_na": 50.0, "e_k": -77.0, "e_l": -54.402, "c_m": "100 s"}
        | {"tau_exc": "0.2 s", "tau_inh": "2 s", "unit_time": "1 s"},
        {},
    ),
}
"""Text, parameters and what else NEST is given: in mV, nS, pA, and ms, which are called seconds here."""
NESTS_NAMES = {"g_l": "g_L", "c_m": "C_m", "e_l": "E_L", "e_e": "E_ex", "e_i": "E_in", "i_e": "I_e"} | {
    "tau_exc": "tau_syn_ex", "tau_inh": "tau_syn_in", "v_th": "V_th", "v_reset": "V_reset", "v_peak": "V_peak",
    "delta_t": "Delta_T",
}  # fmt: skip


@pytest.mark.parametrize(
    ("model", "dt"),
    [  # of each the cheaper one at once
        pytest.param(model, dt, marks=[pytest.mark.slow] * ((model == "hh_psc_alpha") == (dt == 0.1)))
        for model in sorted(IN_NESTS_UNITS)
        for dt in (0.1, 0.5)
    ],
)
def test_a_text_in_nests_units_with_its_error_control_is_nests_bit_for_bit(model, dt):
    text, parameters, fields = IN_NESTS_UNITS[model]
    ports = {"exc": "1", "inh": {"unit": "1", "sign": -1}}
    text = {"arrival": "g_e += exc; g_i += inh"} | text
    neuron = Equations(**text, ports=ports, method="rkf45", parameters=parameters)
    if model != "hh_psc_alpha":  # whose usual parameters are ours
        fields = fields | {
            NESTS_NAMES.get(name, name): float(str(value).removesuffix(" s")) for name, value in parameters.items()
        }
    weights, theirs_are = ((1000.0, -300.0),) * 2 if model == "hh_psc_alpha" else ((60.0, 10.0), (60.0, -10.0))
    steps, chance = round((150 if model == "hh_psc_alpha" else 75) / dt), 0.3 * dt
    v, spikes = ours(neuron, dt, steps, weights, chance=chance, finer=3)
    their_v, their_spikes = theirs(model, fields, dt * 1e-3, steps, theirs_are, chance=chance, finer=3)
    assert len(spikes) >= 2
    np.testing.assert_array_equal(spikes, their_spikes)
    np.testing.assert_array_equal(v * 1e-3, their_v)


HH_PSC_ALPHA = """
    dv/dt = (g_na*m**3*h*(e_na - v) + g_k*n**4*(e_k - v) + g_l*(e_l - v) + i_exc + i_inh + i_e + I)/c_m : volt
    dm/dt = 0.1*(u + 40)/(1 - exp(-(u + 40)/10))/ms*(1 - m) - 4*exp(-(u + 65)/18)/ms*m : 1
    dh/dt = 0.07*exp(-(u + 65)/20)/ms*(1 - h) - 1/(1 + exp(-(u + 35)/10))/ms*h : 1
    dn/dt = 0.01*(u + 55)/(1 - exp(-(u + 55)/10))/ms*(1 - n) - 0.125*exp(-(u + 65)/80)/ms*n : 1
    di_exc/dt = rise_exc - i_exc/tau_exc : amp
    di_inh/dt = rise_inh - i_inh/tau_inh : amp
    drise_exc/dt = -rise_exc/tau_exc : amp/second
    drise_inh/dt = -rise_inh/tau_inh : amp/second
    u = v/mV : 1
    before : volt
"""
"""NEST's `hh_psc_alpha`; `before` is the potential as the step began."""


def hodgkin_huxley(method):
    """NEST's Hodgkin-Huxley cell with currents that are alpha functions, as text, at rest."""
    return Equations(
        model=HH_PSC_ALPHA,
        ports={"exc": "amp", "inh": {"unit": "amp", "sign": -1}, "I": "amp"},
        arrival="rise_exc += exc*2.718281828459045/tau_exc; rise_inh += inh*2.718281828459045/tau_inh; before = v",
        threshold="v >= 0*mV and v < before",
        refractory="2 ms",
        method=method,
        parameters={
            "g_na": "12 uS",
            "g_k": "3.6 uS",
            "g_l": "30 nS",
            "e_na": "50 mV",
            "e_k": "-77 mV",
            "e_l": "-54.402 mV",
            "c_m": "100 pF",
            "i_e": "0 pA",
            "tau_exc": "0.2 ms",
            "tau_inh": "2 ms",
        },
        initial={"v": "-65 mV"} | {name: float(a / (a + b)) for name, (a, b) in hh_rates(-65.0).items()},
    )


def hodgkin_huxley_in_both(method, finer=1):
    """Potentials and spikes of ours and of NEST's over 200 ms of the same spikes, in steps of 0.1 ms or finer ones."""
    dt, steps, chance = 1e-4 / finer, 2000 * finer, 0.02
    found = ours(hodgkin_huxley(method), dt, steps, (1e-9, -0.3e-9), chance=chance, finer=finer)
    return found, theirs("hh_psc_alpha", {}, dt, steps, (1000.0, -300.0), chance=chance, finer=finer)


@pytest.mark.slow
def test_the_hodgkin_huxley_cell_spikes_nearer_to_nests_the_finer_the_steps_are():
    apart = []
    for finer in (1, 2, 4):
        (_, spikes), (_, their_spikes) = hodgkin_huxley_in_both("exponential_euler", finer)
        assert min(len(spikes), len(their_spikes)) > 6  # the seventh of ours, in coarse steps, only just spikes
        apart.append(np.abs(spikes[:6] - their_spikes[:6]).max() * 1e-4 / finer)
    assert apart[0] > apart[1] > apart[2]
