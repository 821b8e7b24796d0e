"""What a model file says once: constants, expressions of them, shared neurons, and changes that reach parts by name."""

import copy
import json
import math
import re
import time
import tomllib

import jsonschema
import pytest
from click.testing import CliRunner
from hypothesis import assume, example, given
from hypothesis import strategies as st

import bioFA
from bioFA import cli
from bioFA.comparisons.plan import Request, plan
from bioFA.distributions import Constant, in_si
from bioFA.equations.dimensions import NONE, UNITS
from bioFA.equations.model import read_unit
from bioFA.errors import BadChange, BioFAError, MissingField, ModelError, UnknownField, UnknownName
from bioFA.modelfiles import toml
from bioFA.modelfiles.said_once import read_constants, resolved
from bioFA.modelfiles.schema import schema
from bioFA.units import parse

NETWORK = """\
name = "net"

[constants]
n = 8
tau = "20 ms"
half = "= n/2"
slow = "= 2*tau"
rate = "= 0.1*2"

[neurons.cell]
name = "leaky_rate"
tau = "= tau"

[neurons.slow_cell]
name = "cell"
tau = "= slow"

[circuit]
name = "network"
populations = [
  { name = "input", size = "= n", neuron = "rate_source" },
  { name = "hidden", size = 6, neuron = "cell" },
  { name = "output", size = "= half", neuron = { name = "slow_cell", decay = "exact" } },
  { name = "target", size = "= half", neuron = { name = "rate_source", of = "targets" } },
  { name = "mismatch", size = "= half", neuron = "error_unit" },
]

[[circuit.pathways]]
name = "input_to_hidden"
source = "input"
target = "hidden"
weights = { name = "normal", scale = "= 1/sqrt(n)" }

[[circuit.pathways]]
name = "hidden_to_output"
source = "hidden"
target = "output"
weights = { name = "uniform", low = "= -1/n", high = "= 1/n" }
plasticity = { name = "delta_rule", learning_rate = "= rate" }

[[circuit.pathways]]
name = "target_to_mismatch"
source = "target"
target = "mismatch"
port = "target"
weights = "identity"

[[circuit.pathways]]
name = "output_to_mismatch"
source = "output"
target = "mismatch"
port = "prediction"
weights = "identity"

[[circuit.pathways]]
name = "mismatch_to_output"
source = "mismatch"
target = "output"
port = "error"
weights = "identity"

[task]
name = "linear_teacher"
n_in = "= n"
n_out = "= half"
examples = 20

[protocol]
dt = "1 ms"
presentation = "= 2*tau"
"""
LAYERED = """\
name = "layers"

[constants]
tau = "5 ms"

[neurons.cell]
name = "leaky_rate"
tau = "= tau"

[circuit]
name = "layered"
sizes = [4, 3, 2]
hidden = "cell"
output = { name = "cell", tau = "= 2*tau" }

[task]
name = "linear_teacher"
n_in = 4
n_out = 2
examples = 20

[protocol]
dt = "1 ms"
presentation = "20 ms"
"""

BALANCED = """\
name = "brunel"

[constants]
g = 4
J = "0.1 mV"
n = 50
epsilon = 0.1
tau = "20 ms"
theta = "20 mV"
c_e = "= epsilon*4*n"
rate_threshold = "= theta/(J*c_e*tau)"
delay = "1.5 ms"

[neurons.cell]
name = "equations"
model = "dv/dt = -v/tau : volt (unless refractory)"
threshold = "v > theta"
reset = "v = v_reset"
refractory = "2 ms"
method = "exact"
ports = { kick = "volt" }
arrival = "v += kick"
parameters = { tau = "= tau", theta = "= theta", v_reset = "= theta/2" }
initial = { v = { name = "uniform", low = "0 mV", high = "= theta/2" } }

[circuit]
name = "network"

[[circuit.populations]]
name = "exc"
size = "= 4*n"
neuron = "cell"
background = [{ port = "kick", rate = "= 2*rate_threshold", count = "= c_e", weight = "= J" }]

[[circuit.populations]]
name = "inh"
size = "= n"
neuron = { name = "cell", parameters = { v_reset = "= theta/4" } }

[[circuit.pathways]]
name = "exc_to_exc"
source = "exc"
target = "exc"
port = "kick"
connect = { name = "fan_in", count = "= c_e" }
weights = "= J"
delay = "= delay"

[[circuit.pathways]]
name = "inh_to_exc"
source = "inh"
target = "exc"
port = "kick"
connect = { name = "fan_in", count = "= c_e/4" }
weights = "= -g*J"
delay = "= delay"

[protocol]
dt = "0.1 ms"
duration = "5 ms"
"""


@pytest.fixture
def path(tmp_path):
    """The file of a network that says things once."""
    path = tmp_path / "net.toml"
    path.write_text(NETWORK)
    return path


def value(text, **constants):
    """What stands in a table in place of an expression."""
    return resolved({"constants": constants, "here": [{"x": text}]}).table["here"][0]["x"]


def refusal(path, old, new, changes=None):
    """The error of a file in which one text stands in place of another."""
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    with pytest.raises(BioFAError) as caught:
        bioFA.load(path, changes)
    return caught.value


def line_of(path, text):
    return next(number for number, line in enumerate(path.read_text().splitlines(), 1) if text in line)


# Values


def test_a_file_with_constants_is_the_file_with_their_values(path, tmp_path):
    plain = NETWORK[: NETWORK.index("[constants]")] + NETWORK[NETWORK.index("[circuit]") :]
    for text, number in {
        '"= n"': "8",
        '"= half"': "4",
        '"cell"': '{ name = "leaky_rate", tau = "20 ms" }',
        '{ name = "slow_cell", decay = "exact" }': '{ name = "leaky_rate", tau = "40 ms", decay = "exact" }',
        '"= 1/sqrt(n)"': repr(1 / math.sqrt(8)),
        '"= -1/n"': "-0.125",
        '"= 1/n"': "0.125",
        '"= rate"': "0.2",
        '"= 2*tau"': '"40 ms"',
    }.items():
        assert text in plain
        plain = plain.replace(text, number)
    (tmp_path / "plain.toml").write_text(plain)
    assert bioFA.load(path) == bioFA.load(tmp_path / "plain.toml")


def test_units_reach_neurons_of_text_weights_and_delays(tmp_path):
    (tmp_path / "m.toml").write_text(BALANCED)
    experiment = bioFA.load(tmp_path / "m.toml", {"constants.g": 5, "inh.neuron.parameters.tau": "10 ms"})
    exc, inh = experiment.circuit.populations
    assert (exc.size, inh.size) == (200, 50)
    assert [p.neuron.given["tau"].value for p in (exc, inh)] == ["20 ms", "10 ms"]
    assert [p.neuron.given["v_reset"].value for p in (exc, inh)] == ["0.01 V", "0.005 V"]
    assert parse(exc.background[0].rate.value, "Hz") == pytest.approx(2 * 0.02 / (1e-4 * 20 * 0.02))
    one, other = experiment.circuit.pathways
    assert (one.weights.value, other.weights.value) == ("0.1 mV", "-0.0005 V")
    assert (one.connect.count, other.connect.count) == (20, 5)
    assert bioFA.loads(bioFA.dumps(experiment)) == experiment


def test_what_is_saved_has_values_and_is_the_same_experiment(path):
    experiment = bioFA.load(path)
    saved = bioFA.dumps(experiment)
    assert "constants" not in saved
    assert "cell" not in saved
    assert '"=' not in saved
    assert bioFA.loads(saved) == experiment
    assert toml.kept(experiment) == saved


def test_the_text_of_a_file_can_be_read_without_the_file(path):
    assert bioFA.loads(NETWORK) == bioFA.load(path)
    assert toml.from_table(tomllib.loads(NETWORK)) == bioFA.load(path)


def test_reading_leaves_the_tables_as_they_were():
    table = tomllib.loads(NETWORK)
    before = copy.deepcopy(table)
    toml.from_table(table)
    assert table == before


@pytest.mark.parametrize(
    ("text", "constants", "expected"),
    [
        ("= -g*J", {"g": 5, "J": "0.1 mV"}, "-0.0005 V"),
        ("=J", {"J": "0.7 ms"}, "0.7 ms"),
        ("= b", {"a": " 0.3 nS", "b": "= a"}, "0.3 nS"),
        ("  = tau", {"tau": "0.5 second"}, "0.5 s"),
        ("= 2*mV + J", {"J": "1 mvolt"}, "0.003 V"),
        ("= J/tau", {"J": "2 mV", "tau": "1 ms"}, "2.0 volt/second"),
        ("= g/tau", {"g": "2 nS", "tau": "1 ms"}, "2e-06 siemens/second"),
        ("= sigma/sqrt(tau)", {"sigma": "3 V", "tau": "9 s"}, "1.0 metre**2*kilogram*second**(-7/2)*amp**-1"),
        ("= c", {"c": "2 mM"}, "2.0 metre**-3*mole"),
        ("= d**2", {"d": "3 um"}, f"{(3 * 1e-6) ** 2!r} metre**2"),
        ("= 1/tau", {"tau": "20 ms"}, "50.0 Hz"),
        ("= tau/ms", {"tau": "20 ms"}, 20),
        ("= 0.1*n", {"n": 8000}, 800),
        ("= 100*x", {"x": 0.29}, 29),
        ("= x", {"x": 3.0}, 3),
        ("= n/3", {"n": 8}, 8 / 3),
        ("= x/10", {"x": 1e-12}, 1e-13),
        ("= 1 + x", {"x": 1e-10}, 1 + 1e-10),
        ("= 0*x", {"x": -1.5}, 0),
        ("= x", {"x": 1e300}, 1e300),
        ("= 2**53 + x", {"x": 0}, 2.0**53),
        ("= exp(1/(a - b))", {"a": 1, "b": 0.5}, math.exp(2.0)),
        ("= int(n > 3)*2", {"n": 4}, 2),
        ("= clip(n, 0, 3) + floor(n/3) + n % 3 + n // 3", {"n": 8}, 3 + 2 + 2 + 2),
        ("= pi*e**n", {"n": 2}, math.pi * math.e**2),
        ("= dt*i + t", {"dt": 2, "i": 3, "t": 4}, 10),
        ("exc[0:= clip(400, 0, 4*n)]", {"n": 50}, "exc[0:200]"),
        ("exc[= n/2 := n].v", {"n": 8}, "exc[4:8].v"),
        ("exc[:= n]", {"n": 8}, "exc[:8]"),
        ("exc[0:n]", {"n": 8}, "exc[0:n]"),
        ("see exc[0:= n]", {"n": 8}, "see exc[0:= n]"),
    ],
)
def test_an_expression_has_this_value(text, constants, expected):
    found = value(text, **constants)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("exc[0:= n/3]", "'= n/3' must be a whole number from 0 on"),
        ("exc[= -n:8]", "the first neuron of a part of a population or the one after its last; got -8"),
        ("exc[0:= tau]", "got 2 ms"),
        ("exc[0:= m]", "'m', which is no constant"),
    ],
)
def test_an_end_of_a_part_that_is_no_number_of_neurons_is_refused(text, says):
    with pytest.raises(ModelError, match=re.escape(says)):
        value(text, n=8, tau="2 ms")


def test_the_built_in_network_is_read_at_every_size():
    for order, recorded in ((2500, ("exc[0:400]", "inh[0:100]")), (50, ("exc[0:200]", "inh[0:50]"))):
        assert bioFA.load("random_ei", {"constants.order": order}).record.spikes == recorded


def test_names_that_are_not_constants_keep_their_text():
    assert resolved({"constants": {"g": 1}, "name": "g", "list": ["a = b", "g"]}).table == {
        "name": "g",
        "list": ["a = b", "g"],
    }


def test_without_constants_text_stands_for_itself(tmp_path):
    experiment = bioFA.load("linear").replace(description="= no expression")
    (tmp_path / "m.toml").write_text(bioFA.dumps(experiment))
    assert bioFA.load(tmp_path / "m.toml") == experiment
    assert bioFA.loads(bioFA.dumps(experiment)) == experiment


NAMES = ("a", "b", "c")
numbers = st.integers(-1000, 1000) | st.floats(-1e3, 1e3).map(lambda x: round(x, 6))
sums = st.recursive(
    st.sampled_from(NAMES) | st.integers(0, 9).map(str) | st.floats(0, 10).map(lambda x: repr(round(x, 4))),
    lambda inner: st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "//", "%"]), inner).map(
        lambda parts: f"({' '.join(parts)})"
    )
    | inner.map(lambda part: f"(-{part})")
    | st.tuples(inner, st.integers(0, 3)).map(lambda parts: f"({parts[0]} ** {parts[1]})"),
    max_leaves=12,
)


@given(text=sums, values=st.tuples(numbers, numbers, numbers))
@example(text="((a // b) % c)", values=(-7, 2, -3))
def test_arithmetic_of_constants_is_that_of_python(text, values):
    constants = dict(zip(NAMES, values, strict=True))
    try:
        expected = eval(text, {}, {name: float(number) for name, number in constants.items()})
    except (ZeroDivisionError, OverflowError):
        assume(False)
    expected = float(expected)
    assume(abs(expected) < 1e300)
    found = value(f"= {text}", **constants)
    if isinstance(found, int):
        assert abs(found - expected) <= 4 * math.ulp(expected)
    else:
        assert found == expected


@given(number=st.floats(1e-30, 1e30) | st.floats(-1e30, -1e-30), unit=st.sampled_from(["s", "Hz", "V", "A", "S", "F"]))
def test_a_quantity_is_written_without_loss(number, unit):
    names = {"s": "second", "V": "volt", "A": "amp", "S": "siemens", "F": "farad", "Hz": "Hz"}
    text = value(f"= x*{names[unit]}", x=number)
    assert parse(text, unit) == number
    assert in_si(text, UNITS[names[unit]][1], "here") == number


@given(powers=st.lists(st.sampled_from([-2, -1, 1, 2, 3, 0.5]), min_size=4, max_size=4), number=st.floats(1e-3, 1e3))
def test_a_compound_quantity_is_written_without_loss(powers, number):
    made = "*".join(f"{unit}**{power}" for unit, power in zip(["volt", "second", "metre", "mole"], powers, strict=True))
    size, dimension = read_unit(made)
    assert size == 1.0
    assert in_si(value(f"= x*{made}", x=number), dimension, "here") == number


def test_constants_may_stand_in_any_order():
    read = read_constants({"c": "= b*b", "b": "= a + 1", "a": 2})
    assert {name: constant.written for name, constant in read.items()} == {"a": 2, "b": 3, "c": 9}
    assert {constant.dimension for constant in read.values()} == {NONE}


def test_a_constant_that_nothing_uses_is_allowed(path):
    path.write_text(NETWORK.replace("n = 8", 'n = 8\nunused = "3 pF"'))
    assert bioFA.load(path) == bioFA.loads(NETWORK)


# Shared neurons


def test_a_layered_circuit_shares_neurons(tmp_path):
    circuit = bioFA.loads(LAYERED).circuit
    assert (circuit.hidden.tau, circuit.output.tau) == (0.005, 0.01)


def test_fields_are_laid_over_and_parts_replaced():
    base = {"name": "m", "tau": 1, "initial": {"v": {"name": "uniform", "low": 0, "high": 1}, "w": 2}}
    population = {
        "size": 1,
        "neuron": {"name": "two", "tau": 3, "initial": {"v": {"name": "normal"}}},
    }
    between = {"name": "one", "initial": {"v": {"low": -1}, "x": 5}}
    table = {
        "neurons": {"two": between, "one": base | {"name": "lif"}},
        "circuit": {"name": "network", "populations": [population, {"size": 2, "neuron": "two"}]},
    }
    first, second = (entry["neuron"] for entry in resolved(table).table["circuit"]["populations"])
    assert first == {"name": "lif", "tau": 3, "initial": {"v": {"name": "normal"}, "w": 2, "x": 5}}
    assert second == {
        "name": "lif",
        "tau": 1,
        "initial": {"v": {"name": "uniform", "low": -1, "high": 1}, "w": 2, "x": 5},
    }


def test_a_file_may_share_neurons_without_constants(tmp_path):
    text = LAYERED.replace('[constants]\ntau = "5 ms"\n', "").replace('"= tau"', '"5 ms"').replace("= 2*tau", "10 ms")
    assert "constants" not in text
    assert bioFA.loads(text) == bioFA.loads(LAYERED)


# Errors


@pytest.mark.parametrize(
    ("old", "new", "code", "place", "says"),
    [
        ('"= n/2"', '"= m/2"', "unknown-name", "constants.half", "'m', which is no constant. Known: half, n"),
        ('"= n/2"', '"= half/2"', "bad-equation", "constants.half", "given by itself: half -> half"),
        ("n = 8", 'n = "= 2*half"', "bad-equation", "constants.n", "itself: n -> half -> n."),
        ("n = 8", 'n = "8"', "wrong-unit", "constants.n", "must be a number, text with a unit"),
        ("n = 8", 'n = "8 mVolts"', "wrong-unit", "constants.n", "'mVolts' is no unit"),
        ("n = 8", "n = true", "wrong-type", "constants.n", "got True"),
        ("n = 8", "n = [8]", "wrong-type", "constants.n", "got [8]"),
        ("n = 8", "n = nan", "out-of-range", "constants.n", "must be a finite number"),
        ("n = 8", "n = 9007199254740993", "out-of-range", "constants.n", "at most 2**53"),
        ("n = 8", 'n = "1e400 mV"', "out-of-range", "constants.n", "must be a finite number"),
        ("n = 8", "mV = 8", "bad-name", "constants.mV", "'mV' is a unit"),
        ("n = 8", "exp = 8", "bad-name", "constants.exp", "something else"),
        ("n = 8", "rand_0 = 8", "bad-name", "constants.rand_0", "something else"),
        ("n = 8", '"n m" = 8', "bad-name", "constants.n m", "letters, digits and underscores"),
        ("n = 8", '"lambda" = 8', "bad-name", "constants.lambda", "letters, digits and underscores"),
        ('"= 0.1*2"', '"= tau + 1"', "wrong-unit", "constants.rate", "adds second ('tau') and 1 ('1')"),
        ('"= 0.1*2"', '"= exp(tau)"', "wrong-unit", "constants.rate", "exp takes a plain number"),
        ('"= 0.1*2"', '"= 1/(n - 8)"', "out-of-range", "constants.rate", "must be a finite number; got inf"),
        ('"= 0.1*2"', '"= sqrt(-1)"', "out-of-range", "constants.rate", "must be a finite number; got nan"),
        ('"= 0.1*2"', '"= mV**(9**9**9)"', "bad-equation", "constants.rate", "is no finite number"),
        ('"= 0.1*2"', '"= n > 3"', "wrong-type", "constants.rate", "true or false; expected a number"),
        ('"= 0.1*2"', '"= rand()"', "unknown-name", "constants.rate", "unknown function 'rand'"),
        ('"= 0.1*2"', '"= xi"', "unknown-name", "constants.rate", "'xi', which is no constant"),
        ('"= 0.1*2"', '"= 2 n"', "bad-equation", "constants.rate", "cannot be read. Write it like: -g*J"),
        ('"= 0.1*2"', '"="', "bad-equation", "constants.rate", "cannot be read"),
        ('"= 0.1*2"', "\"= __import__('os')\"", "unknown-name", "constants.rate", "unknown function '__import__'"),
        ('"= 0.1*2"', '"= n.real"', "bad-equation", "constants.rate", "may not contain 'n.real'"),
        ("n = 8", "n = 8\n[constants.more]  # here\nx = 1", "wrong-type", "constants.more", "a constant is a number"),
        ('"= 1/sqrt(n)"', '"= 1/sqrt(m)"', "unknown-name", "circuit.pathways.0.weights.scale", "no constant"),
        ('"= 1/sqrt(n)"', '"= tau*1"', "wrong-type", "circuit.pathways.0.weights.scale", "The file has '= tau*1'."),
        ('"= rate"', '"= -rate"', "out-of-range", "circuit.pathways.1.plasticity.learning_rate", "has '= -rate'."),
        ('"= slow"', '"= n*nS"', "wrong-unit", "neurons.slow_cell.tau", "The file has '= n*nS'."),
        ('"= slow"', '"= -slow"', "out-of-range", "neurons.slow_cell.tau", "LeakyRate.tau must be > 0 s"),
        ('"= slow"', '"= tau"\ntaux = 1  # here', "unknown-field", "neurons.slow_cell.taux", "field 'taux'"),
        ("size = 6", 'size = "= n/3"', "wrong-type", "circuit.populations.1.size", "got 2.66"),
        ("[neurons.cell]", "[neurons.lif]", "duplicate-name", "neurons.lif", "the name of a neuron model"),
        (
            'name = "leaky_rate"',
            'name = "slow_cell"',
            "contradiction",
            "neurons.cell.name",
            "itself: cell -> slow_cell -> cell.",
        ),
        ('name = "leaky_rate"', 'name = "cells"', "unknown-name", "neurons.cell.name", "Did you mean 'cell'?"),
        (
            '[neurons.cell]\nname = "leaky_rate"',
            "[neurons.cell]",
            "missing-field",
            "neurons.cell",
            "needs the name of a neuron model",
        ),
        (
            "[neurons.cell]",
            '[neurons]\nother = "lif"  # here\n[neurons.cell]',
            "wrong-type",
            "neurons.other",
            "got 'lif'",
        ),
        ("[neurons.cell]", '[neurons."a b"]  # here\nname = "lif"\n[neurons.cell]', "bad-name", "neurons.a b", "'a b'"),
        ('neuron = "cell"', 'neuron = "cel"', "unknown-name", "circuit.populations.1.neuron", "Did you mean 'cell'?"),
        ('{ name = "slow_cell",', '{ name = "slow",', "unknown-name", "circuit.populations.2.neuron.name", "slow_cell"),
        ('decay = "exact"', 'dekay = "exact"', "unknown-field", "circuit.populations.2.neuron.dekay", "'dekay'"),
    ],
)
def test_wrong_input_is_refused_at_its_line(path, old, new, code, place, says):
    error = refusal(path, old, new)
    assert error.code == code
    assert says in str(error)
    # a list over several lines is one value, whose first line is given
    marked = "populations = [" if place.startswith("circuit.populations") else "# here" if "# here" in new else new
    assert str(error).startswith(f"net.toml (line {line_of(path, marked)}, {place}")


def test_a_fault_of_a_neuron_that_only_another_is_made_from_is_found_there(path):
    path.write_text(NETWORK.replace('neuron = "cell"', 'neuron = "slow_cell"'))
    error = refusal(path, 'tau = "= tau"', 'decay = "never"')
    assert str(error).startswith(f"net.toml (line {line_of(path, 'never')}, neurons.cell.decay): ")


def test_constants_and_neurons_must_be_tables():
    with pytest.raises(ModelError, match=r"^constants: must be a table"):
        resolved({"constants": 3})
    with pytest.raises(ModelError, match=r"^neurons: must be a table"):
        resolved({"neurons": [{"name": "lif"}]})


def test_an_expression_in_a_file_without_constants_says_what_is_missing(path):
    text = NETWORK[: NETWORK.index("[constants]")] + NETWORK[NETWORK.index("[circuit]") :]
    path.write_text(text.replace('"= n"', "8").replace('"= half"', "4").replace('"= slow"', '"3 ms"'))
    path.write_text(path.read_text().replace('"cell"', '"static_rate"').replace('"slow_cell"', '"leaky_rate"'))
    with pytest.raises(MissingField) as caught:
        bioFA.load(path)
    line = line_of(path, "1/sqrt(n)")
    assert f"(line {line}, circuit.pathways.0.weights.scale): '= 1/sqrt(n)' is" in str(caught.value)
    with pytest.raises(MissingField, match=r"^circuit\.pathways\.0\.weights\.scale: '= 1/sqrt\(n\)' is computed only"):
        toml.from_table(tomllib.loads(path.read_text()))


def test_a_neuron_without_shared_ones_is_refused_as_ever():
    with pytest.raises(UnknownName, match=r"unknown neuron model 'cell'\."):
        toml.load("leaky", {"circuit.hidden": "cell"})


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("too-large", "[constants]\n" + "\n".join(f'c{n} = "= c{n + 1}"' for n in range(9000))),
        ("out-of-range", "[constants]\nc0 = 2\n" + "\n".join(f'c{n + 1} = "= c{n}*c{n}"' for n in range(1900))),
        ("bad-equation", '[constants]\nx = 9\n[a]\nb = ["= ' + "9**9**" * 100 + '9"]'),
        ("too-large", "[constants]\n[a]\nb = [" + ",".join(f'"={n}"' for n in range(100_000)) + "]"),
        ("missing-field", "[constants]\nx = 1\n[a]\nb = [" + '"=x",' * 100_000 + "]"),
        (
            "bad-equation",
            "[constants]\n[a]\nb = [" + ",".join('"=' + f"-x+{n}*" * 120 + '1"' for n in range(900)) + "]",
        ),
        (
            "too-large",
            '[circuit]\nname = "network"\npopulations = ['
            + '{ name = "a", size = 1, neuron = "c" },' * 3000
            + "]\n[neurons.c]\nname = 'lif'\nx = ["
            + "1," * 300_000
            + "]",
        ),
        (
            "too-large",
            "\n".join(f"[neurons.c{n}]\nname = 'c{n + 1}'\nx{n} = 1" for n in range(3000))
            + "\n[neurons.c3000]\nname = 'lif'",
        ),
    ],
    ids=["no end", "growing", "tower", "many", "one often", "long", "bomb", "chain"],
)
def test_a_file_made_to_use_up_the_machine_is_refused_at_once(tmp_path, code, text):
    path = tmp_path / "m.toml"
    path.write_text(f'name = "m"\n{text}\n')
    assert path.stat().st_size < toml.LARGEST
    began = time.process_time()
    with pytest.raises(BioFAError) as caught:
        bioFA.load(path)
    assert time.process_time() - began < 5
    assert caught.value.code == code


# Changes


@pytest.mark.parametrize(
    ("key", "new", "found"),
    [
        ("constants.tau", "10 ms", lambda e: (e.network.population("hidden").neuron.tau, e.protocol.presentation)),
        ("neurons.cell.tau", "10 ms", lambda e: (e.network.population("hidden").neuron.tau, 0.02)),
        ("hidden.neuron.tau", "10 ms", lambda e: (e.network.population("hidden").neuron.tau, 0.02)),
        ("circuit.populations.hidden.neuron.tau", "10 ms", lambda e: (e.circuit.populations[1].neuron.tau, 0.02)),
        ("circuit.populations.1.neuron.tau", "10 ms", lambda e: (e.circuit.populations[1].neuron.tau, 0.02)),
        ("input_to_hidden.weights.scale", "= rate/20", lambda e: (e.circuit.pathways[0].weights.scale, 0.02)),
        ("circuit.pathways.0.weights.scale", 0.01, lambda e: (e.circuit.pathways[0].weights.scale, 0.02)),
    ],
)
def test_a_change_reaches_what_a_file_says_once_and_parts_by_name_and_number(path, key, new, found):
    assert found(bioFA.load(path, {key: new})) == (0.01, 0.02)
    assert found(bioFA.load(path)) != (0.01, 0.02)


def test_a_change_of_one_entry_of_a_list_leaves_the_others(path):
    changed = bioFA.load(path, {"hidden.size": 7})
    assert [population.size for population in changed.circuit.populations] == [8, 7, 4, 4, 4]
    assert bioFA.load("linear", {"circuit.sizes.1": 7}).circuit.sizes == (30, 7, 10)


def test_a_field_of_the_model_comes_before_a_part_of_its_name(path):
    path.write_text(
        NETWORK.replace('name = "target"', 'name = "record"').replace('source = "target"', 'source = "record"')
    )
    assert bioFA.load(path, {"record.every": 3}).record.every == 3


def test_a_parameter_that_no_text_reads_cannot_be_set_unless_a_text_changes_with_it():
    for key in ("exc.neuron.parameters.tua", "neurons.cell.parameters.tua"):
        with pytest.raises(BadChange, match=r"reads 'tua'\. Did you mean 'tau'\? Known: tau, theta, v_reset"):
            bioFA.load("random_ei", {key: "20 ms"})
    text = "dv/dt = -slope*v/tau : volt (unless refractory)"
    changed = bioFA.load("random_ei", {"neurons.cell.model": text, "neurons.cell.parameters.slope": 2.0})
    assert changed.network.population("exc").neuron.given["slope"] == Constant(value=2.0)
    assert bioFA.load("random_ei", {"exc.neuron.parameters.tau": "10 ms"}) != bioFA.load("random_ei")


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("constants.tao", "no constant 'tao'. Did you mean 'tau'? Known: half, n, rate, slow, tau."),
        ("neurons.cel.tau", "no shared neuron 'cel'. Did you mean 'cell'?"),
        ("hiden.size", "no part 'hiden'. Did you mean 'hidden'?"),
        ("circuit.populations.hiden.size", "nothing in the list is called 'hiden'. Did you mean 'hidden'?"),
        ("circuit.populations.5.size", "the list has 5 entries, numbered from 0; got 5"),
        ("circuit.populations.-1.size", "nothing in the list is called '-1'"),
        ("circuit.populations.hidden.size.x", "'size' holds a single value"),
        ("input.neuron.of", "'neuron' holds a single value"),
    ],
)
def test_a_change_that_finds_no_place_names_what_is_there(path, key, says):
    with pytest.raises(BadChange) as caught:
        bioFA.load(path, {key: 1})
    assert f"cannot set '{key}': " in str(caught.value)
    assert says in str(caught.value)


def test_a_name_that_two_parts_have_needs_the_whole_key(path):
    path.write_text(NETWORK.replace('name = "input_to_hidden"', 'name = "hidden"'))
    with pytest.raises(BadChange, match=r"circuit\.populations\.hidden\.size or circuit\.pathways\.hidden\.size"):
        bioFA.load(path, {"hidden.size": 1})
    path.write_text(NETWORK.replace('name = "input"', 'name = "hidden"'))
    with pytest.raises(BadChange, match="2 entries are called 'hidden'"):
        bioFA.load(path, {"circuit.populations.hidden.size": 1})


def test_an_unknown_key_of_a_layered_circuit_is_refused_as_ever():
    with pytest.raises(UnknownField, match="unknown field 'nonsense' in Experiment"):
        bioFA.load("linear", {"nonsense.x": 1})


def test_what_a_change_did_is_said_to_be_changed(path):
    with pytest.raises(ModelError, match=r"net\.toml \(circuit\.populations\.1\.size, as changed\): Population\.size"):
        bioFA.load(path, {"hidden.size": 0})
    with pytest.raises(ModelError, match=r"net\.toml \(constants\.n, as changed\): "):
        bioFA.load(path, {"constants.n": "x"})


def test_a_comparison_sweeps_a_constant(path):
    conditions, _ = plan(Request((str(path),), (), 1, ("constants.n=8,6",)))
    assert [condition.settings for condition in conditions] == [{"constants.n": 8}, {"constants.n": 6}]
    sizes = [bioFA.loads(condition.experiment).circuit.populations[0].size for condition in conditions]
    assert sizes == [8, 6]


def test_the_command_line_shows_a_file_with_its_values(path):
    shown = CliRunner().invoke(cli.main, ["show", str(path), "--set", "constants.n=6"])
    assert shown.exit_code == 0
    assert bioFA.loads(shown.stdout) == bioFA.load(path, {"constants.n": 6})


def test_a_run_of_it_is_the_run_of_what_it_stands_for(path):
    experiment = bioFA.load(path, {"protocol.presentations": 3, "constants.tau": "4 ms"})
    result = bioFA.simulate(experiment, seed=1, backend="numpy")
    again = bioFA.simulate(bioFA.loads(bioFA.dumps(experiment)), seed=1, backend="numpy")
    assert (result.snapshots["hidden_to_output.w"] == again.snapshots["hidden_to_output.w"]).all()


# Editors


def test_the_schema_takes_what_is_said_once():
    validator = jsonschema.Draft202012Validator(schema())
    for text in (NETWORK, LAYERED):
        table = tomllib.loads(text)
        validator.validate(json.loads(json.dumps(table)))
        table["circuit"]["hiden"] = 1
        assert list(validator.iter_errors(table))


@pytest.mark.parametrize(
    ("key", "new"),
    [
        ("constants.n", [1]),
        ("constants", 3),
        ("neurons.cell", "lif"),
        ("neurons.cell", {"tau": 1}),
        ("hidden.size", "n"),
        ("hidden.neuron", {"name": "leaky_rate", "taux": 1}),
        ("protocol.presentation", "2*tau"),
    ],
)
def test_the_schema_refuses_what_bioFA_refuses(key, new):
    table = tomllib.loads(NETWORK)
    toml._put(table, key, new)
    assert list(jsonschema.Draft202012Validator(schema()).iter_errors(table))
    with pytest.raises(ModelError):
        toml.from_table(table)


def test_the_schema_knows_shared_neurons_only_where_a_file_has_some():
    validator = jsonschema.Draft202012Validator(schema())
    table = tomllib.loads(NETWORK)
    del table["neurons"]
    assert list(validator.iter_errors(table))
    layers = tomllib.loads(LAYERED)
    del layers["neurons"]
    assert list(validator.iter_errors(layers))
