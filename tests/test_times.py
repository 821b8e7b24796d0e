"""One rule from times to steps: durations last the nearest number of steps, ties up, in both readings,
in every export, and the user is told."""

import os
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import bioFA
from bioFA import Protocol, exchange, neurons
from bioFA.errors import ModelError
from bioFA.neurons.latency_source import LatencySource
from bioFA.neurons.lif import Lif
from bioFA.show.figures import _population_rate
from bioFA.units import Unit, steps_of
from bioFA.verification.backends import verify

GRIDS = (0.1e-3, 0.2e-3, 0.25e-3, 1e-3 / 3, 1e-3)


@pytest.mark.parametrize("dt", GRIDS)
def test_whole_steps_are_themselves_ties_go_up_and_the_rest_to_the_nearest(dt):
    for k in (*range(200), 12_345, 999_999):
        assert steps_of(k * dt, dt) == k
        assert steps_of((k + 0.5) * dt, dt) == k + 1
        assert steps_of((k + 0.49) * dt, dt) == k
        assert steps_of((k + 0.51) * dt, dt) == k + 1


def test_ties_are_those_of_the_decimal_numbers_that_were_written():
    for time, dt, steps in (
        (2.5e-3, 1e-3, 3),
        (0.25e-3, 0.1e-3, 3),
        (0.35e-3, 0.1e-3, 4),
        (20.5e-3, 1e-3, 21),
        (3.5e-3, 1e-3, 4),
        (0.5e-3, 1e-3, 1),
        (2.4e-3, 1e-3, 2),
        (0.3e-3, 1e-3, 0),
    ):
        assert steps_of(time, dt) == steps


SMALL = {
    "circuit.sizes": [6, 8, 3],
    "task": {"name": "linear_teacher", "n_in": 6, "n_out": 3, "examples": 12, "test_examples": 2},
    "protocol.phases": [],
}
LIFS = SMALL | {"circuit.weights": {"name": "uniform", "low": 0.0, "high": 1.5}}


def spiking(refractory, dt="1 ms", model="digits_spiking"):
    return bioFA.load(
        model,
        LIFS | {
            "circuit.hidden.refractory_period": refractory,
            "circuit.output.refractory_period": refractory,
            "protocol.dt": dt,
            "protocol.presentation": "40 ms",
            "protocol.learning_onset": "20 ms",
        },
    )


def adaptive(refractory):
    return bioFA.load(
        "evidence",
        {
            "circuit.sizes": [40, 6, 2],
            "task.examples": 10,
            "task.test_examples": 2,
            "circuit.hidden.refractory_period": refractory,
            "protocol.phases": [],
        },
    )


def latencies(period, latest="20 ms"):
    source = {"name": "latency_source", "latest": latest, "period": period}
    return bioFA.load(
        "digits_spiking",
        LIFS | {
            "circuit.input": source,
            "task.name": "linear_teacher",
            "protocol.presentation": "60 ms",
            "protocol.learning_onset": "20 ms",
        },
    )


def plateaus(forward, settling):
    """Pyramidal neurons whose phases last these times, in ms."""
    experiment = bioFA.load(
        "digits_plateaus", {"protocol.presentation": "80 ms", "protocol.learning_onset": "70 ms", "protocol.phases": []}
    )
    times = {"forward": f"{forward:.6f} ms", "settling": f"{settling:.6f} ms"}
    phased = {
        p.name: {"neuron": p.neuron.replace(**times)}
        for p in experiment.network.populations
        if "forward" in p.neuron.parameters()
    }
    populations = tuple(p.replace(**phased.get(p.name, {})) for p in experiment.network.populations)
    return experiment.replace(circuit=experiment.network.replace(populations=populations))


CASES = {
    "lif": lambda: spiking("2.5 ms"),
    "adaptive_lif": lambda: adaptive("2.5 ms"),
    "latency_source": lambda: latencies("20.5 ms", "19.5 ms"),
    "pyramidal": lambda: plateaus(40.4, 10.5),
}


@pytest.mark.compiled
@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=[pytest.mark.slow] * (case != "latency_source")) for case in CASES]
)
def test_half_steps_are_the_same_in_both_readings(case):
    outcome = verify(CASES[case](), presentations=20)
    assert outcome.agrees, str(outcome)
    assert outcome.summary()["rounded_times"] == dict(outcome.experiment.rounded_times) != {}


@pytest.mark.slow
@pytest.mark.compiled
@settings(
    max_examples=int(os.environ.get("BIOFA_EXAMPLES", 25)), deadline=None, suppress_health_check=list(HealthCheck)
)
@given(kind=st.sampled_from(sorted(CASES)), time=st.floats(0.0, 8.0), half=st.booleans())
def test_models_with_times_that_are_no_whole_steps_agree_or_are_refused(kind, time, half):
    time = round(2 * time) / 2 if half else time
    try:
        experiment = {
            "lif": lambda: spiking(f"{time:.6f} ms"),
            "adaptive_lif": lambda: adaptive(f"{time:.6f} ms"),
            "latency_source": lambda: latencies(f"{20 + time:.6f} ms", "19.7 ms"),
            "pyramidal": lambda: plateaus(40 + time, 10.3 + time / 3),
        }[kind]()
        _ = experiment.network
    except ModelError:
        return
    outcome = verify(experiment, presentations=4)
    assert outcome.agrees, str(outcome)


@pytest.mark.parametrize("name", neurons.family.names())
def test_every_duration_of_a_neuron_with_state_is_one_of_whole_steps(name):
    neuron = neurons.family.get(name)
    times = {
        field
        for field, info in neuron.model_fields.items()
        if any(isinstance(m, Unit) and m.symbol == "s" for m in info.metadata)
    }
    durations = {time for time in times if not time.startswith("tau")} if neuron.state else set()
    assert durations == set(neuron.step_times)


def test_bins_of_a_figure_last_the_nearest_steps_ties_up():
    changes = {
        "protocol.dt": "8 ms",
        "protocol.presentation": "80 ms",
        "protocol.learning_onset": "16 ms",
        "circuit.input.max_rate": "100 Hz",
    }
    result = bioFA.simulate(bioFA.load("digits_spiking", LIFS | changes), backend="numpy")
    _, edges = _population_rate(result, result.experiment.network.population("hidden"))
    assert edges[1] == 24.0


def test_what_a_time_is_simulated_as_is_told_and_whole_times_are_not():
    experiment = spiking("2.4 ms")
    assert experiment.rounded_times == {
        f"{name}.refractory_period": "2.4 ms is simulated as 2 steps of 1 ms" for name in ("hidden", "output")
    }
    result = bioFA.simulate(experiment, backend="numpy")
    assert "times              hidden.refractory_period: 2.4 ms is simulated as 2 steps of 1 ms" in str(result)
    assert result.summary()["rounded_times"] == experiment.rounded_times
    assert spiking("3 ms").rounded_times == {}
    assert spiking("0.3 ms").rounded_times["hidden.refractory_period"] == "0.3 ms is simulated as 0 steps of 1 ms"
    assert spiking("0.7 ms", "0.1 ms").rounded_times == {}
    assert bioFA.load("linear").rounded_times == {}


def test_a_rounded_time_gives_the_run_of_the_time_that_it_is_rounded_to():
    ours, theirs = (bioFA.simulate(spiking(time), backend="numpy") for time in ("2.5 ms", "3 ms"))
    for name, array in ours.state.items():
        np.testing.assert_array_equal(array, theirs.state[name])


def test_a_duration_that_must_last_a_step_is_refused_where_it_would_last_none():
    with pytest.raises(
        ModelError, match=r"LatencySource.latest must last at least 1 step of dt = 0.001 s, or be 0; got 0.0003 s"
    ):
        LatencySource(latest=0.3e-3).on_grid(1e-3)
    assert Lif(refractory_period=0.3e-3).on_grid(1e-3).refractory_period == 0.0
    with pytest.raises(ModelError, match="period must be > latest"):
        _ = latencies("20.4 ms", "20.3 ms").network


def test_a_presentation_that_is_no_whole_number_of_steps_is_refused():
    with pytest.raises(ModelError, match="whole number of steps"):
        Protocol(dt=1e-3, presentation=40.5e-3)


def test_exports_hold_the_whole_steps_that_were_simulated(tmp_path):
    experiment = bioFA.load(
        "digits_spiking",
        LIFS | {
            "circuit.hidden": {
                "name": "lif",
                "tau_syn": "5 ms",
                "refractory_period": "2.4 ms",
                "decay": "exact",
                "test": "reach",
                "reset": "to_value",
            },
            "circuit.output": {
                "name": "lif",
                "tau_syn": "5 ms",
                "refractory_period": "2.5 ms",
                "decay": "exact",
                "test": "reach",
                "reset": "to_value",
            },
            "protocol.presentation": "40 ms",
            "protocol.learning_onset": "20 ms",
        },
    )
    result = bioFA.simulate(experiment, backend="numpy")
    exchange.export(result, "sonata", tmp_path / "s")
    held = sorted(
        float(line) for path in (tmp_path / "s").rglob("*.json") for line in _numbers(path.read_text(), "t_ref")
    )
    assert held == [2.0, 3.0]
    exchange.export(result, "neuroml", tmp_path / "n")
    cells = [
        float(element.attrib["tau_refrac"].split()[0].removesuffix("ms"))
        for path in (tmp_path / "n").glob("*")
        if path.suffix in (".nml", ".xml")
        for element in ET.parse(path).iter()
        if "tau_refrac" in element.attrib
    ]
    # jNeuroML ends a period in the step after it is over
    assert sorted({round(cell, 9) for cell in cells}) == [1.5, 2.5]
    exchange.export(result, "brian2", tmp_path / "b")
    script = (tmp_path / "b" / "network.py").read_text()
    assert dict(re.findall(r"^(\w+)\.refractory_period = (.*)$", script, re.MULTILINE)) == {
        "hidden": "2*ms",
        "output": "3*ms",
    }


def _numbers(text, key):
    return re.findall(rf'"{key}":\s*([0-9.eE+-]+)', text)
