"""Quantities as text: every prefix and unit to the last bit, and exactly what is said of one that is wrong."""

import math
import re
from typing import Annotated

import numpy as np
import pytest
from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from bioFA.units import (
    Unit,
    as_time,
    bin_of,
    parse,
    quantity,
    rounding,
    sample,
    steps_of,
    steps_of_all,
    write,
)  # fmt: skip

PREFIXES = {"": 0, "k": 3, "M": 6, "G": 9, "m": -3, "u": -6, "n": -9, "p": -12}


@pytest.mark.parametrize(("prefix", "power"), PREFIXES.items())
@pytest.mark.parametrize("unit", ["s", "Hz", "V", "A", "S", "F", "ohm"])
def test_every_prefix_of_every_unit_is_read_to_the_last_bit(unit, prefix, power):
    assert parse(f"10 {prefix}{unit}", unit) == float(f"10e{power}")
    assert parse(f"-0.3 {prefix}{unit}", unit) == float(f"-0.3e{power}")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("20ms", 0.02),
        ("  20   ms ", 0.02),
        ("+.5 s", 0.5),
        ("5. s", 5.0),
        ("1e3 ms", 1.0),
        ("1E3 ms", 1.0),
        ("2.5e-2 s", 0.025),
        ("1e+1 s", 10.0),
        ("-70 mV", -0.07),
    ],
)
def test_a_quantity_is_read_however_it_is_written(text, value):
    assert parse(text, "s" if "V" not in text else "V") == value


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("fast", "is not a number with a unit; give a number in s or text such as '20 ms'"),
        ("1 s 2", "is not a number with a unit; give a number in s or text such as '20 ms'"),
        ("1,5 s", "is not a number with a unit; give a number in s or text such as '20 ms'"),
        ("20", "has no unit; give a number in s or text such as '20 ms'"),
        ("20 sec", "has the unknown unit 'sec'; give a number in s or text such as '20 ms'"),
        (
            "20 MS",
            "has the unit 'MS', which does not measure what 's' measures; give a number in s or text such as '20 ms'",
        ),
        (
            "20 Hz",
            "has the unit 'Hz', which does not measure what 's' measures; give a number in s or text such as '20 ms'",
        ),
    ],
)
def test_what_is_no_time_is_refused_with_what_it_is(text, complaint):
    with pytest.raises(ValueError, match=f"^{re.escape(complaint)}$"):
        parse(text, "s")


def test_the_example_is_of_the_unit_that_is_wanted():
    assert [sample(unit) for unit in ("s", "Hz", "V", "A", "ohm")] == ["20 ms", "5 Hz", "-70 mV", "1 A", "1 ohm"]


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.02, "s", "20 ms"),
        (0.0201, "s", "20.1 ms"),
        (1.0, "s", "1 s"),
        (2.0, "Hz", "2 Hz"),
        (1000.0, "Hz", "1 kHz"),
        (2e9, "ohm", "2 Gohm"),
        (5e6, "ohm", "5 Mohm"),
        (-0.07, "V", "-70 mV"),
        (0.0, "s", "0 s"),
        (3e-6, "s", "3 us"),
        (4e-9, "A", "4 nA"),
        (5e-12, "F", "5 pF"),
        (1e-30, "s", "1e-30 s"),
        (0.5, "Hz", "0.5 Hz"),
        (0.1 + 0.2, "s", "0.30000000000000004 s"),
        (1e300, "s", "1e+300 s"),
        (250.0, "Hz", "250 Hz"),
    ],
)
def test_a_number_is_written_as_short_as_can_be_and_comes_back(value, unit, text):
    assert write(value, unit) == text
    assert parse(text, unit) == value


class _Quantity:
    """What Brian2's quantities look like from outside."""

    __module__ = "brian2.units"

    def __init__(self, value, dimensions):
        self.value = value
        self.dim = type("Dimension", (), {"_dims": dimensions, "__repr__": lambda _: "volts"})()

    def __float__(self):
        return self.value


TIME, VOLTAGE = (0, 0, 1, 0, 0, 0, 0), (2, 1, -3, -1, 0, 0, 0)


@pytest.fixture
def field():
    """A time of at least 0 and less than 10 s."""
    return TypeAdapter(Annotated[float, Unit("s"), Ge(0), Lt(10)])


def test_a_field_takes_text_a_number_or_a_quantity_of_brian2(field):
    assert field.validate_python("20 ms") == 0.02
    assert field.validate_python(0.02) == 0.02
    assert field.validate_python(3) == 3.0
    taken = field.validate_python(_Quantity(0.02, TIME))
    assert taken == 0.02
    assert type(taken) is float


class _Other(_Quantity):
    __module__ = "elsewhere"


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (_Quantity(0.02, VOLTAGE), "has the unit of volts; expected a quantity in s"),
        (math.inf, "must be a finite number"),
        (-math.inf, "must be a finite number"),
        (math.nan, "must be a finite number"),
        ("20", "has no unit; give a number in s or text such as '20 ms'"),
    ],
)
def test_a_field_refuses_what_is_no_such_quantity(field, given, complaint):
    with pytest.raises(ValidationError) as refusal:
        field.validate_python(given)
    (error,) = refusal.value.errors()
    assert (error["type"], error["msg"]) == ("unit", complaint)


def test_a_quantity_of_others_is_no_number(field):
    with pytest.raises(ValidationError) as refusal:
        TypeAdapter(Annotated[float, Unit("s")]).validate_python(
            type("Q", (), {"dim": None, "__module__": "elsewhere"})()
        )
    assert refusal.value.errors()[0]["type"] == "float_type"
    with pytest.raises(ValidationError) as refusal:
        field.validate_python(_Other("x", VOLTAGE))
    assert refusal.value.errors()[0]["type"] != "unit"


def test_bounds_are_held_after_the_unit(field):
    for given in ("-1 ms", "10 s", 10.0):
        with pytest.raises(ValidationError):
            field.validate_python(given)


def test_a_field_is_written_with_its_unit_and_nothing_as_nothing():
    class Model(BaseModel):
        tau: Annotated[float, Unit("s")] = 0.02
        maybe: Annotated[float | None, Unit("Hz")] = None

    assert Model().model_dump(mode="json") == {"tau": "20 ms", "maybe": None}
    assert Model(maybe=5.0).model_dump()["maybe"] == "5 Hz"


def test_the_schema_for_editors_says_what_a_field_takes(field):
    schema = field.json_schema()
    number, text = schema["anyOf"]
    assert number == {"type": "number", "minimum": 0, "exclusiveMaximum": 10}
    assert schema["description"] == "In s, or text with a unit such as '20 ms'."
    assert text["type"] == "string"
    assert text["pattern"].endswith(r"\s*(s|ks|Ms|Gs|ms|us|ns|ps)\s*$")
    for taken in ("20 ms", " -1.5e3ks "):
        assert re.search(text["pattern"], taken)
    for refused in ("20", "20 Hz", "x 20 ms", "20 ms x"):
        assert not re.search(text["pattern"], refused)
    titled = TypeAdapter(
        Annotated[float, Field(title="Rate", description="How often."), Gt(0), Unit("Hz"), Le(5)]
    ).json_schema()
    assert titled["anyOf"][0] == {"type": "number", "exclusiveMinimum": 0, "maximum": 5}
    positive = TypeAdapter(Annotated[float, Unit("s"), Gt(0)]).json_schema()
    assert positive["anyOf"][0] == {"type": "number", "exclusiveMinimum": 0}


@pytest.mark.parametrize(
    ("time", "dt", "steps"),
    [
        (0.0, 1e-3, 0),
        (2.4e-3, 1e-3, 2),
        (2.5e-3, 1e-3, 3),
        (0.25e-3, 0.1e-3, 3),
        (0.35e-3, 0.1e-3, 4),
        (2.6e-3, 1e-3, 3),
        (3e-3, 1e-3, 3),
        (2.5e-3 * (1 - 1e-10), 1e-3, 3),
        (2.5e-3 * (1 - 1e-8), 1e-3, 2),
        (2.5e-3 * (1 + 1e-8), 1e-3, 3),
        (0.5, 1.0, 1),
        (0.4999, 1.0, 0),
        (1e6 + 0.5, 1.0, 1_000_001),
        (1e9 - 2e-7 + 0.5, 1.0, 1_000_000_001),  # what rounding took off a half step
    ],
)
def test_a_duration_lasts_the_nearest_number_of_steps_and_half_ones_more(time, dt, steps):
    assert steps_of(time, dt) == steps
    assert steps_of_all(np.array([time, 0.0]), dt).tolist() == [steps, 0]


def test_many_times_last_the_steps_that_each_lasts():
    halves = np.arange(0, 4001) / 2
    for dt in (1e-3, 1e-4, 1 / 3 * 1e-3, 0.5):
        whole = halves * dt
        times = np.concatenate([whole, np.nextafter(whole, 0), whole * (1 + 3e-10), 0.7 * whole])
        found = steps_of_all(times, dt)
        assert found.dtype == np.int64
        assert found.tolist() == [steps_of(float(time), dt) for time in times]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(1.5, "1.5 s"), (1e-4, "0.1 ms"), (3 * 0.1e-3, "0.3 ms"), (0.0, "0 s")],
)
def test_a_time_in_a_message_leaves_out_what_rounding_left(seconds, text):
    assert as_time(seconds) == text


@pytest.mark.parametrize(
    ("time", "width", "precision", "moved"),
    [
        (0.0, 1e-3, 2.0**-52, 6e-10),  # nine decimals
        (0.0, 1e6, 2.0**-52, 1e-3),  # a share of the width
        (0.0, 1e-9, 2.0**-52, 1e-12),  # at most a thousandth of the width
        (20.0, 1e-3, 2.0**-52, 400.0 / 25e-6 * 2.0**-53),  # a clock that adds 25 us
        (-20.0, 1e-3, 2.0**-52, 400.0 / 25e-6 * 2.0**-53),
        (1000.0, 1e-3, 2.0**-52, 1e-6),
        (10.0, 1e-3, 2.0**-23, 1.5 * 2.0**-20),  # one and a half units in the last place of float32
        (8.0, 1e-3, 2.0**-23, 1.5 * 2.0**-20),
        (7.9, 1e-3, 2.0**-23, 1.5 * 2.0**-21),
    ],
)
def test_rounding_moves_a_time_by_so_much_at_most(time, width, precision, moved):
    assert rounding(time, width, precision) == pytest.approx(moved, rel=1e-12)
    assert rounding(np.array([time, time]), width, precision).shape == (2,)


@pytest.mark.parametrize("width", [1e-3, 1e-4, 1 / 3 * 1e-3, 0.025])
@pytest.mark.parametrize("start", [0.0, 0.7, -2.0])
def test_a_time_is_in_the_bin_that_begins_where_only_rounding_keeps_it_from_the_edge(width, start):
    numbers = np.arange(1, 2000, 7)
    edges = start + numbers * width
    for written in (edges, np.round(edges, 9), np.nextafter(edges, -np.inf), np.nextafter(edges, np.inf)):
        np.testing.assert_array_equal(bin_of(written, start, width), numbers)
    np.testing.assert_array_equal(bin_of(edges + 0.5 * width, start, width), numbers)
    np.testing.assert_array_equal(bin_of(edges - 0.01 * width, start, width), numbers - 1)
    np.testing.assert_array_equal(bin_of(edges.astype(np.float32), start, width, 2.0**-23)[:20], numbers[:20])
    np.testing.assert_array_equal(bin_of(edges, np.full(len(edges), start), width), numbers)
    assert bin_of(edges, start, width).dtype.kind == "i"


def test_a_time_before_the_start_is_in_a_bin_below_0():
    np.testing.assert_array_equal(bin_of([-1.5e-3, -1e-3, -0.2e-3], 0.0, 1e-3), [-2, -1, -1])


def test_a_start_that_is_rounded_moves_the_edges_with_it():
    start = 1e6 + 0.1  # half a unit in its last place is 6e-11, and it has been added to
    assert bin_of([start - 2e-7], start, 1e-3) == [0]
    assert bin_of([start - 2e-5], start, 1e-3) == [-1]


@pytest.mark.parametrize(
    ("text", "number", "unit"),
    [
        ("-60 mV", -60.0, "mV"),
        ("20ms", 20.0, "ms"),
        ("  2.5 nS/ms ", 2.5, "nS/ms"),
        ("3 * pA*ms**2", 3.0, "pA*ms**2"),
        ("1e3 1/second", 1000.0, "1/second"),
        (".5 V", 0.5, "V"),
        ("2 volt*second**(-1/2)", 2.0, "volt*second**(-1/2)"),
        ("2.0 metre**-3*mole", 2.0, "metre**-3*mole"),
    ],
)
def test_a_quantity_of_any_unit_is_a_number_and_the_text_of_its_unit(text, number, unit):
    assert quantity(text) == (number, unit)


@pytest.mark.parametrize("text", ["", "mV", "60", "60 %", "sixty mV", "6 0 mV", "60 mV!", "x60 mV", "60 mV-1"])
def test_a_quantity_without_a_number_or_a_unit_is_refused(text):
    said = "is not a number with a unit; give a number in SI or text such as '-60 mV'"
    with pytest.raises(ValueError, match=f"^{said}$"):
        quantity(text)
