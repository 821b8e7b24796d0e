"""Neurons as text: the reader, its units and its integrators, held to Brian2 and to closed forms."""

import itertools
import os

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bioFA.equations import dimensions, formula
from bioFA.equations.integrate import METHODS, Integrator
from bioFA.equations.model import read_model, read_unit
from bioFA.errors import BadEquation, BioFAError, Unavailable

EXAMPLES = int(os.environ.get("BIOFA_EXAMPLES", 25))
GIVEN = {
    "g_l": "siemens",
    "g_e": "siemens",
    "e_l": "volt",
    "v_t": "volt",
    "C": "farad",
    "tau": "second",
    "I_ext": "amp",
    "a": "1",
    "b": "1",
}
KNOWN = {name: read_unit(unit)[1] for name, unit in GIVEN.items()}
SIZES = {
    "g_l": 1e-8,
    "g_e": 3e-9,
    "e_l": -0.065,
    "v_t": -0.05,
    "C": 2e-10,
    "tau": 0.02,
    "I_ext": 3e-10,
    "a": 0.7,
    "b": 2.0,
}


@pytest.fixture(scope="module")
def brian2():
    return pytest.importorskip("brian2")


def test_every_unit_has_the_size_and_the_dimension_that_it_has_in_brian2(brian2):
    from brian2.units import allunits

    shared = [name for name in dimensions.UNITS if hasattr(allunits, name) or hasattr(brian2, name)]
    assert len(shared) > 150
    for name in shared:
        theirs = getattr(allunits, name, None) or getattr(brian2, name)
        size, dimension = dimensions.UNITS[name]
        assert float(theirs) == pytest.approx(size, rel=1e-12), name
        assert tuple(map(float, theirs.dim._dims)) == tuple(map(float, dimension)), name


def test_a_unit_of_plain_short_use_is_known():
    assert {
        "mV",
        "nS",
        "uS",
        "pA",
        "pF",
        "uF",
        "ms",
        "us",
        "Hz",
        "kHz",
        "um",
        "cm2",
        "Mohm",
        "mM",
        "msiemens",
        "volt",
    } <= set(dimensions.UNITS)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("volt", "volt"),
        ("nS*mV/ms", "amp/second"),
        ("1", "1"),
        ("amp*second", "coulomb"),
        ("volt/second", "volt/second"),
    ],
)
def test_a_dimension_is_named_as_a_reader_would(text, shown):
    assert dimensions.describe(read_unit(text)[1]) == shown


def texts(depth):
    """Expressions of the names in `GIVEN`, of every kind of operation, most with dimensions that fit."""
    leaf = st.one_of(
        st.sampled_from(sorted(GIVEN)),
        st.sampled_from(["1", "2.5", "mV", "nS", "0.1*ms"]),
    )
    if depth == 0:
        return leaf
    part = st.deferred(lambda: texts(depth - 1))
    return st.one_of(
        leaf,
        st.tuples(part, st.sampled_from(["+", "-", "*", "/"]), part).map(lambda x: f"({x[0]} {x[1]} {x[2]})"),
        st.tuples(st.sampled_from(["exp", "tanh", "abs", "sqrt", "sign", "exprel"]), part).map(
            lambda x: f"{x[0]}({x[1]})"
        ),
        st.tuples(part, st.sampled_from(["2", "3"])).map(lambda x: f"({x[0]})**{x[1]}"),
        st.tuples(part, part).map(lambda x: f"int({x[0]} > {x[1]})"),
        part.map(lambda x: f"(-{x})"),
    )


@given(text=texts(3))
@settings(max_examples=8 * EXAMPLES, deadline=None)
def test_a_dimension_is_that_which_brian2_finds_or_both_refuse_it(brian2, text):
    from brian2.core.variables import Variable
    from brian2.parsing.expressions import parse_expression_dimensions
    from brian2.units.allunits import amp, farad, second, siemens, volt
    from brian2.units.fundamentalunits import DIMENSIONLESS

    units = {"siemens": siemens, "volt": volt, "farad": farad, "second": second, "amp": amp, "1": 1 * volt / volt}
    variables = {
        name: Variable(name, dimensions=getattr(units[unit], "dim", DIMENSIONLESS)) for name, unit in GIVEN.items()
    }
    variables |= {
        name: brian2.core.variables.Constant(name, dimensions=unit.dim, value=float(unit))
        for name, unit in {"mV": brian2.mV, "nS": brian2.nS, "ms": brian2.ms}.items()
    }
    variables |= dict(brian2.core.functions.DEFAULT_FUNCTIONS)
    try:
        theirs = tuple(map(float, parse_expression_dimensions(text, variables)._dims))
    except brian2.DimensionMismatchError:
        theirs = None
    try:
        ours = tuple(map(float, formula.read(text, KNOWN, itertools.count()).dimension(KNOWN)))
    except BioFAError:
        ours = None
    assert ours == theirs, text


@given(text=texts(3))
@settings(max_examples=8 * EXAMPLES, deadline=None)
def test_what_is_written_for_brian2_has_the_value_of_what_was_read(text):
    try:
        read = formula.read(text, KNOWN, itertools.count())
    except BadEquation as refusal:
        assume("beyond every float" not in str(refusal))  # a number such as exp(exp(exp(2.5))), which is refused
        raise
    names = {name: compute for name, (_, compute) in formula.FUNCTIONS.items()}
    values = {name: np.float64(size) for name, size in SIZES.items()}
    with np.errstate(all="ignore"):
        written = eval(read.text, {"__builtins__": {}, **names}, values)  # of our own text
    np.testing.assert_equal(read.evaluate(values), written)


REFUSED = {
    "v + g_e": "adds volt ('v') and siemens",
    "v > 0": "Write 0 with its unit",
    "exp(v) > 1": "exp takes a plain number",
    "v**g_e > 1": "exponent",
    "v**a > 1": "must be a number that stands there",
    "missing > 1": "unknown name 'missing'",
    "v > -50*mv": "unknown name 'mv'",
    "sin(1, 2) > 0": "sin takes 1 argument(s)",
    "sine(1) > 0": "unknown function 'sine'",
    "v > 1*mV and": "cannot be read",
    "9**9**9 > 1": "beyond every float",
    "v": "is no condition",
    "int(v) > 1": "is no condition",
    "(v > 0*mV) + 1 > 0": "put int(...) around it",
    "v and not_refractory": "is no condition",
    "-1*mV < v < 1*mV": "a < b and b < c",
    "v ^ 2 > 1": "Write a power as **",
    "v.real > 0*mV": "may not contain 'v.real'",
    "__import__('os')": "unknown function '__import__'",
    "(lambda: v)() > 0*mV": "may not contain",
    "[v][0] > 0*mV": "may not contain",
    "v if a > 1 else v": "may not contain",
    "'v' > 0": "may not contain",
    "clip(v, 0, 1*mV) > 0*mV": "clips volt",
    "v > \u03b8": "plain (ASCII)",
    "clip(v, e_l, v_t) > xy*mV": "unknown name 'xy'",
}


@pytest.mark.parametrize("text", REFUSED)
def test_a_condition_that_is_none_is_refused_with_what_to_do(text):
    model = read_model("dv/dt = (e_l - v)/tau : volt", KNOWN)
    with pytest.raises(BioFAError) as caught:
        model.condition(text, "threshold")
    assert REFUSED[text] in str(caught.value)
    assert str(caught.value).startswith("threshold: ")


WRONG_MODELS = {
    "dv/dt = (e_l - v)/tau": "names no unit",
    "dv/dt = (e_l - v) : volt": "has the unit volt; expected volt/second",
    "dv/dt = (e_l - v)/tau : volts": "'volts' is no unit",
    "dv/dt = (e_l - v)/tau : mV": "has a prefix",
    "dv/dt : volt": "says nothing of how v changes",
    "dv/dt = (e_l - v)/tau : volt\nv : volt": "defined twice",
    "tau : second": "name of a parameter or port",
    "dt : second": "means something else",
    "dxi/dt = a/tau : 1": "means something else",
    "I = x*amp : amp\nx = I/amp : 1": "in a circle",
    "dv/dt = (e_l - v)/tau : volt (unless tired)": "'(unless tired)' cannot stand behind v",
    "x = a*xi*sqrt(tau) : 1": "in a differential equation only",
    "dv/dt = (e_l - v)/tau : volt : volt": "cannot be read",
    "x = a > 1 : 1": "is a condition",
    "dv/dt = (e_l - w)/tau : volt": "unknown name 'w'",
    "w_post : 1": "means something else",
}


@pytest.mark.parametrize("text", WRONG_MODELS)
def test_a_wrong_line_of_a_model_is_refused_and_quoted(text):
    with pytest.raises(BioFAError) as caught:
        read_model(text, KNOWN)
    assert WRONG_MODELS[text] in str(caught.value)
    assert str(caught.value).startswith("model: ") or "circle" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("v", "is no statement"),
        ("v == e_l", "is no statement"),
        ("tau = 1*ms", "cannot be set"),
        ("u += 1", "'u' is not known"),
        ("v += 1*nS", "sets v, in volt, by something in siemens"),
        ("v *= 1*mV", "expected 1"),
        ("v = v > e_l", "by something in a condition"),
    ],
)
def test_a_wrong_statement_is_refused_and_quoted(text, said):
    model = read_model("dv/dt = (e_l - v)/tau : volt", KNOWN)
    with pytest.raises(BioFAError, match=r"^reset: ") as caught:
        model.statements(text, "reset")
    assert said in str(caught.value)


def test_an_expression_may_go_over_lines_and_comments_are_left_out():
    model = read_model("dv/dt = (e_l   # the leak\n   - v)/tau : volt  # done\n\n# nothing\nw : amp", KNOWN)
    assert model.state == ("v", "w")
    assert model.moved["v"].text == "((e_l - v) / tau)"


def test_a_name_of_the_model_hides_the_unit_that_is_called_so():
    model = read_model("dmV/dt = -mV/tau : 1", KNOWN)
    assert model.moved["mV"].text == "((-mV) / tau)"


SYSTEMS = {
    "leaky": ("dv/dt = (e_l - v + I_ext/g_l)/tau : volt", ("euler", "rk4", "exponential_euler", "exact")),
    "synapse": (
        "dv/dt = (e_l - v + a*x)/tau : volt\ndx/dt = -x/(3*ms) : volt",
        ("euler", "rk4", "exponential_euler", "exact"),
    ),
    "conductance": (
        "dv/dt = (g_l*(e_l - v) + I)/C : volt\nI = g*(0*mV - v) : amp\ndg/dt = -g/(5*ms) : siemens",
        ("euler", "rk4", "exponential_euler"),
    ),
    "adex": (
        (
            "dv/dt = (g_l*(e_l - v) + g_l*2*mV*exp((v - v_t)/(2*mV)) - w)/C : volt\ndw/dt = (4*nS*(v - e_l) -"
            " w)/(144*ms) : amp"
        ),
        ("euler", "rk4"),
    ),
    "izhikevich": ("dv/dt = (0.04*v**2 + 5*v + 140 - u + a)/ms : 1\ndu/dt = 0.02*(0.2*v - u)/ms : 1", ("euler", "rk4")),
    "timed": ("dv/dt = (e_l - v + 3*mV*sin(2*pi*t/(7*ms)))/tau : volt", ("euler", "rk4")),
}
START = {"v": np.array([-0.065, -0.06, -0.055]), "x": np.array([0.0, 0.01, 0.02]), "g": np.array([0.0, 5e-9, 2e-8]),
         "w": np.array([0.0, 1e-11, 5e-11]), "u": np.array([-13.0, -12.0, -5.0])}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "method"), [(name, method) for name, (_, methods) in SYSTEMS.items() for method in methods]
)
def test_a_step_is_that_of_brian2(brian2, monkeypatch, name, method):
    text, _ = SYSTEMS[name]
    monkeypatch.setitem(brian2.prefs, "codegen.target", "numpy")
    brian2.start_scope()
    units = {
        "siemens": brian2.siemens,
        "volt": brian2.volt,
        "farad": brian2.farad,
        "second": brian2.second,
        "amp": brian2.amp,
    }
    namespace = {n: SIZES[n] * units[unit] if unit in units else SIZES[n] for n, unit in GIVEN.items()}
    group = brian2.NeuronGroup(3, text, method=method, namespace=namespace, dt=0.1 * brian2.ms)
    model = read_model(text, KNOWN)
    start = {
        variable: START[variable] * (1e3 if name == "izhikevich" and variable == "v" else 1.0)
        for variable in model.state
    }
    for variable, values in start.items():
        group.state(variable, use_units=False)[:] = values
    network = brian2.Network(group)
    network.run(20 * brian2.ms, namespace={})
    integrator, values = Integrator(model, method), dict(start)
    for step in range(200):
        values |= integrator.step({**SIZES, **values, "t": step * 1e-4}, 1e-4)
    for variable in model.state:
        theirs = np.asarray(group.state(variable, use_units=False))
        np.testing.assert_allclose(values[variable], theirs, rtol=1e-9, atol=1e-13, err_msg=variable)
        assert np.abs(theirs - start[variable]).max() > 0


def test_the_exact_method_also_holds_where_two_time_constants_are_equal():
    model = read_model("dv/dt = (x - v)/tau : 1\ndx/dt = -x/tau_x : 1", {"tau": KNOWN["tau"], "tau_x": KNOWN["tau"]})
    values = {"v": np.zeros(2), "x": np.ones(2), "tau": 5e-3, "tau_x": np.array([5e-3, 10e-3])}
    for _ in range(100):
        values |= Integrator(model, "exact").step(values, 1e-4)
    expected = [0.01 / 5e-3 * np.exp(-0.01 / 5e-3), 10e-3 / 5e-3 * (np.exp(-0.01 / 10e-3) - np.exp(-0.01 / 5e-3))]
    np.testing.assert_allclose(values["v"], expected, rtol=1e-12)


def test_exponential_euler_without_a_slope_is_a_straight_line():
    model = read_model("dv/dt = b*(e_l - v)/tau : volt\ndy/dt = -b*y/tau + a/tau : 1", KNOWN)
    values = {**SIZES, "b": 0.0, "v": np.array([-0.05]), "y": np.array([2.0])}
    new = Integrator(model, "exponential_euler").step(values, 1e-3)
    np.testing.assert_allclose(new["y"], 2.0 + 1e-3 * SIZES["a"] / SIZES["tau"], rtol=1e-15)
    np.testing.assert_array_equal(new["v"], values["v"])


@pytest.mark.parametrize(("method", "order"), [("euler", 1), ("exponential_euler", 1), ("rk4", 4)])
def test_the_error_of_a_method_falls_with_its_order(method, order):
    model = read_model("dx/dt = y/tau : 1\ndy/dt = -x/tau : 1", {"tau": KNOWN["tau"]})

    def error(steps):
        values = {"x": np.array([1.0]), "y": np.array([0.0]), "tau": 1.0}
        for _ in range(steps):
            values |= Integrator(model, method).step(values, 1.0 / steps)
        return abs(values["x"][0] - np.cos(1.0))

    assert np.log2(error(16) / error(32)) == pytest.approx(order, abs=0.15)


def test_noise_is_scaled_by_the_root_of_the_step():
    model = read_model("dx/dt = -x/tau + b*sqrt(2/tau)*xi : 1", KNOWN)
    new = Integrator(model, "euler").step({**SIZES, "x": np.array([1.0])}, 1e-4, {"xi": np.array([0.5])})
    assert new["x"][0] == pytest.approx(1 - 1e-4 / 0.02 + 2.0 * np.sqrt(2 / 0.02) * np.sqrt(1e-4) * 0.5, rel=1e-13)


@pytest.mark.parametrize("method", METHODS)
def test_what_stands_still_in_refractory_neurons_does_so_and_the_rest_runs_on(method):
    model = read_model("dv/dt = (e_l - v + a*x)/tau : volt (unless refractory)\ndx/dt = -x/(3*ms) : volt", KNOWN)
    values = {**SIZES, "v": np.full(2, -0.06), "x": np.full(2, 0.01), "not_refractory": np.array([True, False])}
    new = Integrator(model, method).step(values, 1e-4)
    assert new["v"][1] == -0.06 != new["v"][0]
    assert new["x"][0] == new["x"][1] < 0.01


@pytest.mark.parametrize(
    ("text", "method"),
    [
        ("dv/dt = (e_l - v)**2/(tau*mV) : volt", "exponential_euler"),
        ("dv/dt = (e_l - v)*x/tau : volt\ndx/dt = -x/tau : 1", "exact"),
        ("dv/dt = (e_l*sin(t/tau) - v)/tau : volt", "exact"),
        ("dx/dt = -x/tau + xi*tau**-0.5 : 1", "rk4"),
        ("dv/dt = (e_l - v)/tau : volt", "rk5"),
    ],
)
def test_a_method_that_does_not_fit_is_refused_with_those_that_do(text, method):
    with pytest.raises(Unavailable, match=r"euler"):
        Integrator(read_model(text, KNOWN), method)


VALUES = {"v": -0.06, "g": 2e-9, "n": 7.0, "m": 2.0, "not_refractory": True, "learning": False, "t": 0.5, "i": 3.0}
UNITS_OF = {"v": "volt", "g": "siemens", "n": "1", "m": "1"}


@pytest.mark.parametrize(
    ("text", "written", "value"),
    [
        ("n // m", "(n // m)", 3.0),
        ("n % m", "(n % m)", 1.0),
        ("-n // m", "((-n) // m)", -4.0),
        ("n == 7", "(n == 7.0)", True),
        ("n != 7", "(n != 7.0)", False),
        ("n > m and v < 0*mV", "((n > m) and (v < (0.0 * 0.001)))", True),
        ("n < m or v >= 0*mV", "((n < m) or (v >= (0.0 * 0.001)))", False),
        ("n < m or n > m and m <= 1", "((n < m) or ((n > m) and (m <= 1.0)))", False),
        ("n < m or m < n or n < m", "((n < m) or (m < n) or (n < m))", True),
        ("not n < m", "(not (n < m))", True),
        ("not_refractory and not learning", "(not_refractory and (not learning))", True),
        ("True", "True", True),
        ("int(n > m)*3", "(int(n > m) * 3.0)", 3.0),
        ("int(not_refractory)", "int(not_refractory)", 1.0),
        ("int(n > m and m > n)", "int(((n > m) and (m > n)))", 0.0),
        ("2*nS*v", "((2.0 * 1e-09) * v)", -1.2e-10),
        ("clip(v, -50*mV, inf*volt)", "clip(v, ((-50.0) * 0.001), (inf * 1.0))", -0.05),
        ("abs(v)/mV + i", "((abs(v) / 0.001) + i)", 63.0),
        ("floor(n/m) + ceil(n/m)", "(floor((n / m)) + ceil((n / m)))", 7.0),
        ("sin(2*pi*t/second)", f"sin((((2.0 * {np.pi!r}) * t) / 1.0))", 0.0),
    ],
)
def test_what_is_read_is_written_anew_and_computed(text, written, value):
    known = {name: read_unit(unit)[1] for name, unit in UNITS_OF.items()}
    read = formula.read(text, known, itertools.count())
    assert read.text == written
    assert read.evaluate(VALUES) == pytest.approx(value, abs=1e-15)
    read.dimension(known)


def test_every_random_call_has_a_name_of_its_own():
    read = formula.read("rand() + randn()*rand()", (), itertools.count())
    assert read.draws == ("rand_0", "randn_1", "rand_2")
    assert read.text == "(rand_0 + (randn_1 * rand_2))"
    assert read.dimension({}) == dimensions.NONE


def test_parts_are_put_in_place_of_names_wherever_they_stand():
    number = itertools.count()
    text = "-n + exp(n)*int(not n > m or n < 1 and m == n)"
    read = formula.read(text, ("n", "m"), number).with_parts({"n": formula.read("m + 1", ("m",), number)})
    whole = "(m + 1.0)"
    condition = f"((not ({whole} > m)) or (({whole} < 1.0) and (m == {whole})))"
    assert read.text == f"((-{whole}) + (exp({whole}) * int({condition})))"
    assert read.names == ("m",)
    assert read.evaluate({"m": 2.0}) == pytest.approx(-3.0 + np.exp(3.0) * 0.0)


@pytest.mark.parametrize("z", [-700.0, -1.0, -1e-12, 0.0, 1e-12, 1.0, 700.0])
def test_exprel_is_that_of_scipy(z):
    from scipy.special import exprel

    assert formula.exprel(z) == pytest.approx(exprel(z), rel=1e-13)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("v + 1", "'v + 1' adds volt ('v') and 1 ('1')."),
        ("v - g", "'v - g' subtracts volt ('v') and siemens ('g')."),
        ("v // g", "'v // g' divides volt ('v') and siemens ('g')."),
        ("v % g", "'v % g' divides volt ('v') and siemens ('g')."),
        ("v > 0", "'v > 0' compares volt ('v') and 1 ('0'). Write 0 with its unit, such as 0*mV."),
        ("clip(v, 0*mV, n)", "'clip(v, 0 * mV, n)' clips volt ('v') and 1 ('n')."),
        ("n ** v", "the exponent of 'n ** v' has the unit volt; it must be a number."),
        ("v ** n", "the base of 'v ** n' has the unit volt, so its exponent must be a number that stands there."),
        ("tanh(v)", "tanh takes a plain number; 'v' has the unit volt. Divide it by a scale."),
        ("int(n)", "'n' is no condition, such as v > 0*mV."),
        ("not n", "'n' is no condition, such as v > 0*mV."),
        ("n > m and n", "'n' is no condition, such as v > 0*mV."),
        ("(n > m) + 1", "'n > m' is a condition; put int(...) around it to count with it."),
        ("-(n > m)", "'n > m' is a condition; put int(...) around it to count with it."),
        ("exp(n > m)", "'n > m' is a condition; put int(...) around it to count with it."),
    ],
)
def test_dimensions_that_do_not_fit_are_told_with_both_parts(text, said):
    known = {name: read_unit(unit)[1] for name, unit in UNITS_OF.items()}
    with pytest.raises(BioFAError) as caught:
        formula.read(text, known, itertools.count()).dimension(known)
    assert str(caught.value) == said


def test_what_was_read_knows_its_source_and_the_dimensions_of_rare_parts():
    known = {name: read_unit(unit)[1] for name, unit in UNITS_OF.items()}

    def reading(text):
        return formula.read(text, known, itertools.count())

    assert reading(" v ").source == "v" == reading("v").with_parts({"v": reading("n")}).source
    for text in ("v // v", "sign(v)", "True"):
        assert reading(text).dimension(known) == (formula.TRUTH if text == "True" else dimensions.NONE)
    for noise in ("xi", "xi_left"):
        assert reading(noise).dimension(known) == dimensions.power(dimensions.TIME, dimensions.Fraction(-1, 2))
    assert reading("exp(inf)").text == "exp(inf)"
    assert reading("clip(n, m, n)").dimension(known) == dimensions.NONE


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("v > 1.5", "'v > 1.5' compares volt ('v') and 1 ('1.5')."),
        ("n is m", "the equation may not contain 'n is m'. Allowed: "),
        ("0 < n < 1", "the equation may not contain '0 < n < 1'. Write a < b and b < c. Allowed: "),
        ("q", "the equation uses the unknown name 'q'. Known: dt, g, i, m, n, since, t, v."),
    ],
)
def test_a_refusal_says_no_more_than_it_should(text, said):
    known = {name: read_unit(unit)[1] for name, unit in UNITS_OF.items()}
    with pytest.raises(BioFAError) as caught:
        formula.read(text, known, itertools.count()).dimension(known)
    assert str(caught.value).startswith(said)
