"""The parser of equations: what it reads, how it writes it anew, what it computes,
and exactly what it says of all else."""

import ast
import math
import re

import numpy as np
import pytest

from bioFA.equations import formula
from bioFA.equations.formula import DEEPEST, LONGEST
from bioFA.errors import BadEquation, BadName, UnknownName
from bioFA.expressions import FUNCTIONS, RESERVED, check_constants, parse, right_side

VALUES = {"w": 0.5, "r_pre": 2.0, "T": 4.0}
ALLOWED = (
    "Allowed: numbers, names, + - * / **, comparisons inside int(...), and exp, log, sqrt, tanh, sin, cos, abs, sign,"
    " clip, int."
)


@pytest.mark.parametrize(
    ("text", "written", "value"),
    [
        ("w", "w", 0.5),
        ("  w\n", "w", 0.5),
        ("1", "1.0", 1.0),
        ("1e-3", "0.001", 0.001),
        ("-w", "(-w)", -0.5),
        ("+w", "w", 0.5),
        ("w + r_pre", "(w + r_pre)", 2.5),
        ("w - r_pre", "(w - r_pre)", -1.5),
        ("w * r_pre", "(w * r_pre)", 1.0),
        ("w / r_pre", "(w / r_pre)", 0.25),
        ("w ** r_pre", "(w ** r_pre)", 0.25),
        ("w - r_pre - T", "((w - r_pre) - T)", -5.5),
        ("w ** 2 ** 3", "(w ** (2.0 ** 3.0))", 0.5**8),
        ("exp(w)", "exp(w)", math.exp(0.5)),
        ("log(T)", "log(T)", math.log(4)),
        ("sqrt(T)", "sqrt(T)", 2.0),
        ("tanh(w)", "tanh(w)", math.tanh(0.5)),
        ("sin(w)", "sin(w)", math.sin(0.5)),
        ("cos(w)", "cos(w)", math.cos(0.5)),
        ("abs(-w)", "abs((-w))", 0.5),
        ("sign(-w)", "sign((-w))", -1.0),
        ("clip(T, w, r_pre)", "clip(T, w, r_pre)", 2.0),
        ("int(w > 0)", "int(w > 0.0)", 1.0),
        ("int(w < 0)", "int(w < 0.0)", 0.0),
        ("int(w >= 0.5)", "int(w >= 0.5)", 1.0),
        ("int(w <= 0.5)", "int(w <= 0.5)", 1.0),
        ("int(w < 0.5)", "int(w < 0.5)", 0.0),
        ("int(w > 0.5)", "int(w > 0.5)", 0.0),
        ("int(-w > r_pre / T)", "int((-w) > (r_pre / T))", 0.0),
        ("2 * int(w + 1 > 1) + T", "((2.0 * int((w + 1.0) > 1.0)) + T)", 6.0),
    ],
)
def test_what_is_read_is_written_anew_and_computed(text, written, value):
    read = parse(text, VALUES)
    assert read.text == written
    assert float(read.evaluate(VALUES)) == pytest.approx(value, rel=1e-15)
    assert parse(read.text, VALUES).text == written


def test_names_are_told_once_each_in_the_order_in_which_they_stand():
    assert parse("r_pre * w + r_pre / T").names == ("r_pre", "w", "T")
    assert parse("exp(1)").names == ()


def test_arrays_are_computed_element_by_element_and_warn_of_nothing():
    read = parse("w / r_pre + log(r_pre) + int(w > 0)")
    with np.errstate(all="raise"):
        np.testing.assert_allclose(
            read.evaluate({"w": np.array([1.0, 2.0, -1.0]), "r_pre": np.array([1.0, 2.0, 0.0])})[:2],
            [2.0, 2.0 + math.log(2)],
        )
    np.testing.assert_array_equal(parse("int(w > 1)").evaluate({"w": np.array([1, 2])}), [0.0, 1.0])
    assert parse("int(w > 1)").evaluate({"w": np.array([1, 2])}).dtype == float
    assert parse("w / r_pre").evaluate({"w": 1, "r_pre": 0}) == np.inf  # Python's own numbers would raise


def test_names_are_put_in_place_of_names_and_of_nothing_else():
    read = parse("exp(w) * w_2 + w ** 2.0")
    assert read.renamed({"w": "x"}) == "((exp(x) * w_2) + (x ** 2.0))"
    assert read.renamed({}) == read.text
    assert parse("T + r_T").renamed({"T": "x", "r": "y"}) == "(x + r_T)"


def test_any_name_is_taken_where_none_are_known():
    assert parse("anything * w").names == ("anything", "w")
    with pytest.raises(UnknownName):
        parse("anything", [])


@pytest.mark.parametrize(
    ("text", "error", "complaint"),
    [
        ("v", UnknownName, "the equation uses the unknown name 'v'. Known: T, r_pre, w."),
        ("r_pr", UnknownName, "the equation uses the unknown name 'r_pr'. Did you mean 'r_pre'? Known: T, r_pre, w."),
        ("2 * exp(v)", UnknownName, "the equation uses the unknown name 'v'. Known: T, r_pre, w."),
        ("int(w > v)", UnknownName, "the equation uses the unknown name 'v'. Known: T, r_pre, w."),
        (
            "expo(w)",
            UnknownName,
            (
                "the equation calls the unknown function 'expo'. Did you mean 'exp'? Known: abs, clip, cos, exp, int,"
                " log, sign, sin, sqrt, tanh."
            ),
        ),
        ("exp(w, w)", BadEquation, "exp takes 1 argument(s); got 'exp(w, w)'."),
        ("exp()", BadEquation, "exp takes 1 argument(s); got 'exp()'."),
        ("clip(w, 0)", BadEquation, "clip takes 3 argument(s); got 'clip(w, 0)'."),
        ("exp(x=w)", BadEquation, "exp takes 1 argument(s); got 'exp(x=w)'."),
        ("exp(w, x=w)", BadEquation, "exp takes 1 argument(s); got 'exp(w, x=w)'."),
        (
            "w >",
            BadEquation,
            "the equation 'w >' cannot be read. Write it like: learning_rate * error_post * r_pre / T.",
        ),
        ("", BadEquation, "the equation '' cannot be read. Write it like: learning_rate * error_post * r_pre / T."),
        (
            "w > 0",
            BadEquation,
            (
                "'w > 0': comparisons belong inside int(...), and int(...) around comparisons. For example: int(r_post"
                " > 0)."
            ),
        ),
        (
            "int(w)",
            BadEquation,
            "'w': comparisons belong inside int(...), and int(...) around comparisons. For example: int(r_post > 0).",
        ),
        (
            "exp(w > 0)",
            BadEquation,
            (
                "'w > 0': comparisons belong inside int(...), and int(...) around comparisons. For example: int(r_post"
                " > 0)."
            ),
        ),
        (
            "int((w > 0) > 0)",
            BadEquation,
            (
                "'w > 0': comparisons belong inside int(...), and int(...) around comparisons. For example: int(r_post"
                " > 0)."
            ),
        ),
        (
            "int(0 > (w > 0))",
            BadEquation,
            (
                "'w > 0': comparisons belong inside int(...), and int(...) around comparisons. For example: int(r_post"
                " > 0)."
            ),
        ),
        ("int(0 < w < 1)", BadEquation, f"the equation may not contain '0 < w < 1'. {ALLOWED}"),
        ("int(w == 1)", BadEquation, f"the equation may not contain 'w == 1'. {ALLOWED}"),
        ("w ^ 2", BadEquation, f"the equation may not contain 'w ^ 2'. Write a power as **. {ALLOWED}"),
        ("w % 2", BadEquation, f"the equation may not contain 'w % 2'. {ALLOWED}"),
        ("~w", BadEquation, f"the equation may not contain '~w'. {ALLOWED}"),
        ("not w", BadEquation, f"the equation may not contain 'not w'. {ALLOWED}"),
        ("'w'", BadEquation, f"the equation may not contain ''w''. {ALLOWED}"),
        ("True", BadEquation, f"the equation may not contain 'True'. {ALLOWED}"),
        ("1j", BadEquation, f"the equation may not contain '1j'. {ALLOWED}"),
        ("1e300", BadEquation, f"the equation may not contain '1e+300'. {ALLOWED}"),
        ("w.real", BadEquation, f"the equation may not contain 'w.real'. {ALLOWED}"),
        ("w.exp(w)", BadEquation, f"the equation may not contain 'w.exp(w)'. {ALLOWED}"),
        ("exp(*w)", BadEquation, f"the equation may not contain '*w'. {ALLOWED}"),
        ("w." + "x" * 100, BadEquation, f"the equation may not contain 'w.{'x' * 58}'. {ALLOWED}"),
        (
            "9**9**9",
            BadEquation,
            "'9 ** 9 ** 9' is beyond every float (1.8e308). Write a smaller number, or a power of one level.",
        ),
        (
            "w * exp(1000)",
            BadEquation,
            "'exp(1000)' is beyond every float (1.8e308). Write a smaller number, or a power of one level.",
        ),
        (
            "9**9**9**(9 + 0*w)",
            BadEquation,
            (
                "'9 ** 9 ** 9 ** (9 + 0 * w)' is beyond every float (1.8e308). Write a smaller number, or a power of"
                " one level."
            ),
        ),
        (
            "log(0)",
            BadEquation,
            "'log(0)' is beyond every float (1.8e308). Write a smaller number, or a power of one level.",
        ),
        (
            "9**9**9" + " * w" * 30,
            BadEquation,
            "'9 ** 9 ** 9' is beyond every float (1.8e308). Write a smaller number, or a power of one level.",
        ),
        (
            "exp(1000" + " + w" * 30 + ")",
            BadEquation,
            (
                "'exp(1000 + w + w + w + w + w + w + w + w + w + w + w + w + w' is beyond every float (1.8e308). Write"
                " a smaller number, or a power of one level."
            ),
        ),
    ],
)
def test_all_else_is_refused_with_what_it_is(text, error, complaint):
    with pytest.raises(error) as refusal:
        parse(text, VALUES)
    assert type(refusal.value) is error
    assert str(refusal.value) == complaint


@pytest.mark.parametrize("text", [None, 3, b"w", "w" * (LONGEST + 1), "\u0430"])
def test_what_is_no_plain_text_is_refused(text):
    with pytest.raises(BadEquation) as refusal:
        parse(text)
    assert (
        str(refusal.value)
        == f"an equation is text of at most {LONGEST} plain (ASCII) characters; got {str(text)[:40]!r}. Name parts"
        " of it."
    )


def test_the_longest_text_is_read():
    assert parse("w" * LONGEST).names == ("w" * LONGEST,)


@pytest.mark.parametrize("wrap", ["({})", "-{}", "({} + 1)", "abs({})", "(1 * {})", "clip(1, {}, 1)"])
def test_nesting_ends_at_its_limit(wrap):
    def nested(depth):
        text = "w"
        for _ in range(depth):
            text = wrap.format(text)
        return text

    levels = DEEPEST - 1 if wrap != "({})" else 3 * DEEPEST  # parentheses alone are no level
    assert parse(nested(levels)).names == ("w",)
    if wrap != "({})":
        with pytest.raises(BadEquation, match=f"^an equation may be nested {DEEPEST} deep. Name parts of it.$"):
            parse(nested(levels + 1))


def test_comparisons_count_as_levels_on_both_sides():
    inner = "abs(" * (DEEPEST - 3) + "w" + ")" * (DEEPEST - 3)
    assert parse(f"int({inner} > {inner})")
    for text in (f"int(abs({inner}) > w)", f"int(w > abs({inner}))"):
        with pytest.raises(BadEquation, match="nested"):
            parse(text)


def test_a_number_is_never_written_as_a_whole_one():
    assert parse("9 ** 2").text == "(9.0 ** 2.0)"
    assert parse("1000000").text == "1000000.0"
    assert parse("9e299").text == "9e+299"


def test_what_is_not_a_number_at_the_values_tried_is_no_reason_to_refuse():
    assert parse("sqrt(-w)").text == "sqrt((-w))"
    assert parse("log(-w)").names == ("w",)
    assert parse("w / 0").text == "(w / 0.0)"  # no power: nothing computes it to the last digit


def test_the_functions_are_those_that_are_documented():
    assert {name: count for name, (count, _) in FUNCTIONS.items()} == dict.fromkeys(
        ["exp", "log", "sqrt", "tanh", "sin", "cos", "abs", "sign", "int"], 1
    ) | {"clip": 3}


@pytest.mark.parametrize(
    ("equation", "left", "right"),
    [
        ("dw/dt = a * b", "dw/dt", " a * b"),
        (" d w / dt=x", "dw/dt", "x"),
        ("r = (u = 1)", "r", " (u = 1)"),
        ("r =", "r", ""),
    ],
)
def test_the_right_side_is_what_stands_after_the_first_sign(equation, left, right):
    assert right_side(equation, left) == right


@pytest.mark.parametrize("equation", ["a * b", "dv/dt = a", "", "= a", "dw/dt" + "x" * 100])
def test_an_equation_of_something_else_is_refused(equation):
    with pytest.raises(BadEquation) as refusal:
        right_side(equation, "dw/dt")
    assert str(refusal.value) == f"the equation must begin with 'dw/dt ='; got {equation[:40]!r}."


@pytest.mark.parametrize("name", ["a", "k_1", "alpha", "A9", "in_2", "pre", "post_x"])
def test_plain_names_of_constants_are_taken(name):
    check_constants({name: -1.5}, ["w", "r_pre"])


@pytest.mark.parametrize("name", ["", "1a", "a b", "a-b", "\u00e9", "_a", "a_", "a__b", "9", "a.b"])
def test_what_is_no_plain_name_is_refused(name):
    with pytest.raises(BadName) as refusal:
        check_constants({name: 1.0}, [])
    assert str(refusal.value) == f"the constant {name!r} has no plain name. Use letters, digits and inner underscores."


@pytest.mark.parametrize(
    "name", ["w", "exp", "clip", "dt", "pi", "lambda", "None", "r_pre", "x_post", *sorted(RESERVED)]
)
def test_names_that_mean_something_else_are_refused(name):
    with pytest.raises(BadName) as refusal:
        check_constants({"fine": 1.0, name: 1.0}, ["w"])
    assert (
        str(refusal.value)
        == f"the constant '{name}' has a name that means something else in an equation. Call it otherwise."
    )


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_constants_are_finite(value):
    with pytest.raises(BadEquation) as refusal:
        check_constants({"a": value}, [])
    assert str(refusal.value) == f"the constant 'a' must be a finite number; got {value}."


def test_a_text_that_uses_up_the_parser_is_refused(monkeypatch):
    for error in (RecursionError, MemoryError, ValueError):
        def fail(*_, error=error, **__):
            raise error

        monkeypatch.setattr(formula.ast, "parse", fail)
        with pytest.raises(BadEquation, match=re.escape("cannot be read")):
            parse("w")
        monkeypatch.undo()
    assert isinstance(parse("w").tree, ast.Name)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a", "name_a"),
        ("-a", "(-name_a)"),
        ("a + 2*b", "(name_a + (2.0 * name_b))"),
        ("a - b / 4", "(name_a - (name_b / 4.0))"),
        ("a ** b", "(name_a ** name_b)"),
        ("a // b", "floored(name_a, name_b)"),
        ("a % (b + 1)", "modulo(name_a, (name_b + 1.0))"),
        ("int(a < b)", "choose((name_a < name_b), 1.0, 0.0)"),
        ("int(a >= b and not a == 2)", "choose(((name_a >= name_b) and (not (name_a == 2.0))), 1.0, 0.0)"),
        (
            "int(a > b or a != b or a <= 1)",
            "choose(((name_a > name_b) or (name_a != name_b) or (name_a <= 1.0)), 1.0, 0.0)",
        ),
        ("exp(a)", "power_of_e(name_a)"),
        ("exprel(-a)", "relative_growth((-name_a))"),
        ("clip(a, 0, b)", "clip(name_a, 0.0, name_b)"),
        ("sqrt(abs(a))", "sqrt(abs(name_a))"),
        ("a * 2*mV", "((name_a * 2.0) * 0.001)"),
    ],
)
def test_a_text_for_a_compiled_program_has_its_own_names_and_functions(text, written):
    """And with these functions by their meaning in NumPy it is the value of the expression."""
    read = formula.read(text, ("a", "b"), formula.NEURON)
    assert formula.write(read.tree, "name_{}".format) == written
    ours = {
        "floored": np.floor_divide,
        "modulo": np.mod,
        "choose": np.where,
        "power_of_e": np.exp,
        "relative_growth": formula.exprel,
        "clip": np.clip,
        "sqrt": np.sqrt,
    }
    for a, b in ((1.5, 2.0), (-2.5, 0.75), (2.0, 2.0)):
        values = {"a": np.float64(a), "b": np.float64(b)}
        with np.errstate(invalid="ignore"):
            value = eval(written, ours | {f"name_{name}": number for name, number in values.items()})
        np.testing.assert_equal(float(value), float(read.evaluate(values)))
