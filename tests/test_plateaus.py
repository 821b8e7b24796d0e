"""Two-phase dendritic plateaus: windows and teaching by the closed form, and both consumers in step."""

from types import SimpleNamespace

import numpy as np
import pytest
import systems

import bioFA
from bioFA.errors import ModelError
from bioFA.neurons.pyramidal import Pyramidal
from bioFA.neurons.pyramidal_output import PyramidalOutput
from bioFA.rules.two_phase_plateau import TwoPhasePlateau
from bioFA.show import figures, report
from bioFA.verification.backends import verify

DT, STEPS = 1e-3, 50
PHASES = {"forward": 20e-3, "settling": 8e-3}


def sigma(u):
    return 1.0 / (1.0 + np.exp(-u))


def simulate(neuron, ports, presentations=2, dt=DT, chance=1.0):
    """Every published variable and state in each step, `(steps, size)` each, of ports given step by step."""
    size = next(iter(ports.values())).shape[1]
    state, rows = {name: np.full(size, value) for name, value in neuron.state.items()}, []
    for step in range(presentations * STEPS):
        now = (
            dict(state)
            | {name: values[step] for name, values in ports.items()}
            | {"chance": np.full(size, chance), "dt": dt, "time": step % STEPS * dt}
        )
        for variable in neuron.publishes:
            now[variable] = getattr(neuron, variable)(*(now[need] for need in neuron.needs(variable)))
        rows.append(now)
        state = neuron.advance(state, now, dt)
    return {name: np.array([row[name] for row in rows]) for name in (*neuron.publishes, *neuron.state)}


@pytest.mark.parametrize("presentation", [0, 1])  # the second begins its windows anew, without a reset
def test_the_plateaus_are_sigmoids_of_the_mean_apical_potential_in_the_two_windows(presentation):
    error = np.random.default_rng(1).normal(size=(2 * STEPS, 4))
    found = simulate(Pyramidal(**PHASES), {"drive": np.zeros((2 * STEPS, 4)), "error": error})["change"][
        presentation * STEPS :
    ]
    arrived = error[presentation * STEPS :]
    for step in (30, 41, 49):
        expected = sigma(arrived[28:step].mean(axis=0)) - sigma(arrived[8:20].mean(axis=0))
        np.testing.assert_allclose(found[step], expected, rtol=1e-12, atol=1e-15)
    assert not found[:29].any()


def test_the_soma_settles_on_its_share_of_the_basal_potential_and_its_gain_is_the_slope_of_the_rate():
    neuron, drive = Pyramidal(**PHASES, tau="30 ms", g_basal=2.0, g_apical=0.5), np.full((2 * STEPS, 1), 1.5)
    found = simulate(neuron, {"drive": drive, "error": -drive})
    settled, times = (2.0 * 1.5 - 0.5 * 1.5) / 3.5, DT * np.arange(2 * STEPS)
    v = settled * (1.0 - np.exp(-times * 3.5 / 30e-3))
    np.testing.assert_allclose(found["v"][:, 0], v, rtol=1e-12, atol=1e-15)
    forward = v[8:20].mean()
    rate_of = [sigma(forward + shift * 2.0 / 3.5) for shift in (-1e-6, 1e-6)]
    assert found["gain"][40, 0] == pytest.approx((rate_of[1] - rate_of[0]) / 2e-6, rel=1e-6)


@pytest.mark.parametrize("target", [0.0, 1.0])
def test_the_target_teaches_in_the_target_phase_only_and_the_answer_is_older(target):
    neuron, drive = PyramidalOutput(**PHASES, g_basal=3.0, g_teach=6.0, E_teach=4.0), np.full((2 * STEPS, 1), 0.7)
    found = simulate(neuron, {"drive": drive, "target": np.full_like(drive, target)})
    free = 0.75 * 0.7 * (1.0 - np.exp(-DT * np.arange(STEPS) * 4.0 / 10e-3))
    np.testing.assert_allclose(found["v"][:21, 0], free[:21], rtol=1e-12)
    taught = (3.0 * 0.7 + 6.0 * 4.0 * (2 * target - 1)) / 10.0
    v = np.append(free[:20], taught + (free[20] - taught) * np.exp(-DT * np.arange(30) * 10.0 / 10e-3))
    np.testing.assert_allclose(found["v"][:STEPS, 0], v, rtol=1e-12)
    np.testing.assert_allclose(found["answer"][20:STEPS, 0], sigma(v[8:20].mean()), rtol=1e-12)
    np.testing.assert_allclose(found["change"][49, 0], sigma(v[28:49]).mean() - sigma(v[8:20].mean()), rtol=1e-11)
    assert (found["change"][49, 0] > 0) == (target == 1.0)


def test_windows_are_whole_steps_at_any_dt():
    for dt in (1e-3, 0.5e-3, 0.1e-3):
        neuron, times = Pyramidal(**PHASES), [step * dt for step in range(round(44e-3 / dt))]
        early = np.array([neuron.early(np.zeros(1), time, dt)[0] for time in times])
        late = np.array([neuron.late(np.zeros(1), time, dt)[0] for time in times])
        assert np.flatnonzero(early).tolist() == list(range(round(8e-3 / dt), round(20e-3 / dt)))
        assert np.flatnonzero(late).tolist() == list(range(round(28e-3 / dt), len(times)))
        np.testing.assert_allclose(late[late > 0], 1.0 / np.arange(1, np.count_nonzero(late) + 1), rtol=1e-9)


def test_a_forward_phase_without_a_window_is_refused():
    with pytest.raises(ModelError, match=r"settling must be < forward = 0\.02 s; got 0\.03 s"):
        Pyramidal(forward="20 ms", settling="30 ms")


@pytest.mark.compiled
def test_every_spike_of_two_phases_is_that_of_the_reference():
    outcome = verify(systems.two_phases(), seed=2, presentations=60, limit=False)  # 3,000 steps
    assert outcome.agrees, str(outcome)
    assert outcome.max_abs_difference <= 1e-10
    assert all(
        outcome.moved[f"{name}.w"] > 1e-2 for name in ("image_to_hidden", "hidden_to_hidden", "hidden_to_answer")
    )


def test_the_report_of_a_built_in_network_without_a_scheme_tells_its_command():
    experiment = bioFA.load("digits_plateaus")
    result = SimpleNamespace(experiment=experiment, seed=3, backend="cpp", provenance={})
    assert report._run_command(result) == "biofa run digits_plateaus --seed 3 --out DIR"
    other = SimpleNamespace(
        experiment=bioFA.load("digits_plateaus", {"record.every": 7}), seed=3, backend="cpp", provenance={}
    )
    assert report._run_command(other) == "biofa run model.toml --seed 3 --out DIR"


@pytest.mark.slow
@pytest.mark.compiled
@pytest.mark.parametrize("seed", [1, 2])
def test_plateaus_teach_the_hidden_layer_and_its_weights_turn_towards_the_feedback(seed):
    short = {"protocol.phases": [{"epochs": 3}], "protocol.snapshots": 3}
    alone = {
        "protocol.phases": [{"epochs": 3, "learns": ["hidden_to_output", "bias_to_output"]}],
        "protocol.snapshots": 3,
    }
    both, readout = (bioFA.simulate(bioFA.load("digits_plateaus", changes), seed=seed) for changes in (short, alone))
    assert both.metrics["test_error"] < 0.2
    assert both.metrics["test_error"] < readout.metrics["test_error"] - 0.1
    assert both.alignment["output_to_hidden"] < 60
    assert 80 < readout.alignment["output_to_hidden"] < 100
    assert {draw.__name__ for draw in figures.drawn(both)} == {
        "learning_curve",
        "alignment",
        "weights",
        "confusion",
        "raster",
        "neurons",
    }
    assert {"hidden.v", "hidden.error", "hidden.change", "output.change"} <= set(both.activity.courses)
    assert all(draw(both).axes for draw in figures.drawn(both))


FAULTS = {
    "plateaus the wrong way round": (
        TwoPhasePlateau,
        "equations",
        TwoPhasePlateau.equations.replace("= learning_rate", "= -learning_rate"),
    ),
    "a window that begins a step late": (
        Pyramidal,
        "expressions",
        lambda self, right=Pyramidal.expressions: right(self) | {
            "early": right(self)["early"].replace("- dt/2)*int(time <", "+ dt/2)*int(time <")
        },
    ),
    "a target that is shown all the time": (
        PyramidalOutput,
        "expressions",
        lambda self, right=PyramidalOutput.expressions: right(self) | {"taught": "1.0"},
    ),
}


@pytest.mark.slow
@pytest.mark.compiled
@pytest.mark.parametrize(
    "fault",
    FAULTS,
)
def test_a_fault_in_two_phases_is_caught(fault, monkeypatch):
    monkeypatch.setattr(*FAULTS[fault])
    assert not verify(systems.two_phases(), seed=2, presentations=10, limit=False).agrees
