"""`method = "rkf45"`: its control by hand, and both backends on the same spikes. NEST is in `test_nest_neurons.py`."""

import numpy as np
import pytest

import bioFA
from bioFA.equations import libm
from bioFA.equations.adaptive import AT, ERROR, FIFTH, STAGES, adapt, size_of
from bioFA.equations.formula import FUNCTIONS
from bioFA.equations.model import read_unit
from bioFA.errors import ModelError
from bioFA.instance import draw
from bioFA.neurons.equations import Equations
from bioFA.runs.simulation import consumer

TEXT = {
    "model": "dv/dt = (-v + 1.5 + 0.4*sin(t/ms))/(10*ms) : 1 (unless refractory)\ndw/dt = (v**3 - w)/(2*ms) : 1",
    "threshold": "v > 1",
    "reset": "v = 0; w += 0.5",
    "refractory": "1 ms",
}


def test_the_coefficients_are_those_of_a_method_of_order_four_and_five():
    """A row sums to its time, and the weights integrate powers of t up to t^4; those of fourth order up to t^3."""
    for at, row in zip(AT, STAGES, strict=True):
        assert sum(row) == pytest.approx(at, abs=1e-15)
    for power in range(5):
        assert sum(c * a**power for c, a in zip(FIFTH, AT, strict=True)) == pytest.approx(1 / (power + 1), abs=1e-15)
    fourth = [c - d for c, d in zip(FIFTH, ERROR, strict=True)]
    for power in range(4):
        assert sum(c * a**power for c, a in zip(fourth, AT, strict=True)) == pytest.approx(1 / (power + 1), abs=1e-15)
    assert abs(sum(c * a**4 for c, a in zip(fourth, AT, strict=True)) - 1 / 5) > 1e-4


@pytest.mark.parametrize(
    ("unit", "size"),
    [
        *(("volt", 1e-3), ("siemens", 1e-9), ("amp", 1e-12), ("farad", 1e-12), ("second", 1e-3), ("amp/second", 1e-9)),
        *(("1", 1.0), ("ohm", 1e9), ("hertz", 1e3)),
    ],
)
def test_tolerances_are_in_millivolts_milliseconds_and_picoamperes(unit, size):
    assert size_of(read_unit(unit)[1]) == pytest.approx(size, rel=1e-14)


def test_a_smaller_tolerance_makes_more_steps_and_a_smaller_error():
    errors, counts = [], []
    for tolerance in (1e-3, 1e-6, 1e-9):
        count = []

        def slope(x, since, count=count):
            count.append(1)
            return {"x": -50.0 * (x["x"] - np.cos(since)) - np.sin(since)}

        new, _ = adapt(slope, {"x": np.ones(1)}, np.zeros(1), 1.0, ({"x": tolerance}, 0.0))
        errors.append(abs(float(new["x"][0]) - np.cos(1.0)))
        counts.append(len(count) // 6)
    assert counts[0] < counts[1] < counts[2]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 1e-9


def test_each_neuron_has_steps_of_its_own():
    """So what one does changes nothing in another, to the bit."""
    rates = np.array([1.0, 300.0])

    def slope(x, since):
        return {"x": -rates[: len(x["x"])] * x["x"]}

    both, lengths = adapt(slope, {"x": np.ones(2)}, np.zeros(2), 0.1, ({"x": 1e-6}, 0.0))
    alone, length = adapt(slope, {"x": np.ones(1)}, np.zeros(1), 0.1, ({"x": 1e-6}, 0.0))
    assert both["x"][0] == alone["x"][0]
    assert lengths[0] == length[0] > 3 * lengths[1]


def test_a_slope_that_is_no_number_ends_the_step():
    new, _ = adapt(lambda x, _: {"x": np.sqrt(-x["x"])}, {"x": np.ones(1)}, np.zeros(1), 1.0, ({"x": 1e-3}, 0.0))
    assert np.isnan(new["x"][0])


NEURONS = {
    "cond": {"name": "lif_cond", "method": "rkf45", "refractory": "2 ms"},
    "adex": {"name": "adex", "method": "rkf45"},
    "gates": {"name": "hodgkin_huxley", "method": "rkf45"},
    "text": Equations(**TEXT, method="rkf45", tolerance=1e-6),
    "inner": Equations(**TEXT, method="rkf45", slope_tolerance=1e-5, tolerance=1e-7, tested_in="substep"),
}
"""Well-known neurons and texts, the threshold tested at the end of a step and within it, t in the equations."""
WEIGHTS = {"cond": "40 nS", "adex": "90 nS", "gates": "20 nS"}


def network(duration):
    pathways = [
        {
            "name": f"to_{name}",
            "source": "source",
            "target": name,
            "port": "exc",
            "connect": {"name": "fan_in", "count": 4},
            "weights": weight,
            "delay": "1 ms",
        }
        for name, weight in WEIGHTS.items()
    ]
    source = {"name": "source", "size": 12, "neuron": {"name": "poisson", "rate": "300 Hz"}}
    cells = [{"name": name, "size": 3, "neuron": neuron} for name, neuron in NEURONS.items()]
    return bioFA.Experiment(
        name="adapting",
        circuit={"name": "network", "populations": [source, *cells], "pathways": pathways},
        protocol={"duration": duration, "dt": "0.1 ms"},
    )


def test_compiled_and_numpy_are_equal_in_every_spike():
    instance = draw(network("12.5 ms"), 1)
    state = {**instance.state, **instance.trial_begins(0)}
    expected, found = (
        consumer(instance, backend).segment(state, instance.passing(0, 0, 125), learning=False)
        for backend in ("numpy", "cpp")
    )
    for name in NEURONS:
        assert len(found.spikes[name][0]) >= 2, name
        for theirs, ours in zip(found.spikes[name], expected.spikes[name], strict=True):
            np.testing.assert_array_equal(theirs, ours, err_msg=name)
    # the last bits of an error can decide how long a substep is, and with it, where a neuron spikes within its step,
    # how far it comes after the reset; so both do the same operations, by C's library, but for the rates of `gates`
    for name, values in expected.state.items():
        if not name.startswith("gates"):
            np.testing.assert_array_equal(found.state[name], values, err_msg=name)
        elif not name.endswith(".substep"):
            np.testing.assert_allclose(found.state[name], values, rtol=1e-8, atol=1e-15, err_msg=name)


def test_functions_of_the_c_library_are_numpys_but_for_the_last_bit():
    x = np.array([-800.0, -1.5, -0.0, 0.0, 0.3, 1.0, 7.5, 710.0, np.inf, np.nan])
    with np.errstate(all="ignore"):
        for name, function in libm.FUNCTIONS.items():
            np.testing.assert_allclose(function(x), FUNCTIONS[name][1](x), rtol=1e-15, err_msg=name)
        for exponent in (-1.0, 0.2, 2.0, 3.0, 400.0):
            np.testing.assert_allclose(libm.power(x, exponent), x**exponent, rtol=1e-15)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"model": TEXT["model"].replace("*ms) : 1 (u", "*ms) + 0.1*xi/(10*ms)**0.5 : 1 (u")}, "knows no noise"),
        ({"method": "rk4", "tolerance": 1e-6}, "Leave tolerance out, or give method = 'rkf45'"),
        ({"threshold": None, "reset": "", "refractory": 0.0, "tested_in": "substep"}, "needs a threshold"),
        ({"tolerance": 0.0}, "tolerance must be > 0"),
    ],
)
def test_what_does_not_go_together_is_refused(changes, says):
    with pytest.raises(ModelError, match=says):
        Equations(**(TEXT | {"method": "rkf45"} | changes))


def test_brian2s_order_is_refused():
    cells = {"name": "cells", "size": 1, "neuron": Equations(**TEXT, method="rkf45")}
    with pytest.raises(ModelError, match="order"):
        bioFA.Experiment(
            name="other",
            circuit={"name": "network", "populations": [cells]},
            protocol={"duration": "1 ms", "dt": "0.1 ms", "order": "brian2"},
        )
