"""Numbers that differ between neurons: every distribution has its moments, its bounds, its unit, and its refusals."""

import numpy as np
import pytest
from scipy import stats

from bioFA import distributions
from bioFA.distributions import FromFile, Values
from bioFA.equations.model import read_unit
from bioFA.errors import BioFAError

VOLT = read_unit("volt")[1]
SECOND = read_unit("second")[1]
N = 20_000


def drawn(table, count=N, dimension=VOLT, seed=5):
    return distributions.family.read(table).draw(np.random.default_rng(seed), count, dimension, "v")


@pytest.mark.parametrize(
    ("table", "law"),
    [
        ({"name": "uniform", "low": "-60 mV", "high": "-50 mV"}, stats.uniform(-0.06, 0.01)),
        ({"name": "normal", "mean": "-60 mV", "std": "2 mV"}, stats.norm(-0.06, 2e-3)),
        ({"name": "exponential", "mean": "3 mV"}, stats.expon(scale=3e-3)),
        ({"name": "gamma", "mean": "3 mV", "shape": 2.5}, stats.gamma(2.5, scale=3e-3 / 2.5)),
        (
            {"name": "lognormal", "mean": "3 mV", "std": "1.5 mV"},
            stats.lognorm(np.sqrt(np.log(1.25)), scale=3e-3 / np.sqrt(1.25)),
        ),
        ({"name": "normal", "mean": "0 mV", "std": "2 mV", "low": "0 mV"}, stats.halfnorm(scale=2e-3)),
        (
            {"name": "normal", "mean": "1 mV", "std": "1 mV", "low": "0 mV", "high": "2 mV"},
            stats.truncnorm(-1, 1, loc=1e-3, scale=1e-3),
        ),
    ],
    ids=lambda value: value["name"] if isinstance(value, dict) else "",
)
def test_values_follow_their_law(table, law):
    values = drawn(table)
    assert stats.kstest(values, law.cdf).pvalue > 1e-3
    assert values.mean() == pytest.approx(law.mean(), abs=5 * law.std() / np.sqrt(N))
    assert values.std() == pytest.approx(law.std(), rel=0.05)


def test_clipped_values_stand_at_the_bounds():
    values = drawn({"name": "normal", "mean": "0 mV", "std": "2 mV", "low": "-1 mV", "high": "1 mV", "outside": "clip"})
    share = stats.norm.cdf(-0.5)
    assert (values == -1e-3).mean() == pytest.approx(share, abs=0.02)
    assert (values == 1e-3).mean() == pytest.approx(share, abs=0.02)
    assert np.abs(values).max() == 1e-3


def test_given_and_even_values_draw_nothing():
    assert drawn({"name": "linear", "low": "0 mV", "high": "9 mV"}, 10)[3] == pytest.approx(3e-3)
    np.testing.assert_allclose(drawn({"name": "values", "values": ["1 mV", 0.002]}, 2), [1e-3, 2e-3])
    np.testing.assert_array_equal(drawn({"name": "constant", "value": "5 mV"}, 3), 5e-3)


def test_values_come_from_a_file(tmp_path):
    np.save(tmp_path / "v.npy", [1e-3, 2e-3])
    given = FromFile(path=str(tmp_path / "v.npy"))
    np.testing.assert_array_equal(given.draw(np.random.default_rng(0), 2, VOLT, "v"), [1e-3, 2e-3])
    with pytest.raises(BioFAError, match="holds 2 values; expected 3"):
        given.draw(np.random.default_rng(0), 3, VOLT, "v")
    np.save(tmp_path / "v.npy", [[1.0]])
    with pytest.raises(BioFAError, match="a row of numbers"):
        given.draw(np.random.default_rng(0), 1, VOLT, "v")
    np.save(tmp_path / "v.npy", [np.nan])
    with pytest.raises(BioFAError, match="not finite"):
        given.draw(np.random.default_rng(0), 1, VOLT, "v")
    with pytest.raises(BioFAError, match="there is no file"):
        FromFile(path="nowhere.npy").draw(np.random.default_rng(0), 1, VOLT, "v")


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"name": "uniform", "low": "-50 mV", "high": "-60 mV"}, "v.low must be <= high"),
        ({"name": "normal", "mean": "-60 mV", "std": "-1 mV"}, "v.std must be >= 0"),
        ({"name": "normal", "mean": "-60 ms", "std": "1 mV"}, "v.mean = '-60 ms' is in second; expected volt"),
        ({"name": "normal", "mean": "-60", "std": "1 mV"}, "is not a number with a unit"),
        ({"name": "normal", "mean": "-60 mw", "std": "1 mV"}, "is no unit"),
        ({"name": "lognormal", "mean": "0 mV"}, "v.mean must be > 0"),
        ({"name": "exponential", "mean": "-1 mV"}, "v.mean must be > 0"),
        ({"name": "gamma", "mean": "1 mV", "shape": -1.0}, "v.shape must be > 0"),
        ({"name": "normal", "mean": "0 mV", "std": "1 uV", "low": "1 V"}, "hardly any value lies between"),
        ({"name": "values", "values": ["1 mV"]}, "holds 1 values; expected 20000"),
        ({"name": "gaussian"}, "normal"),
        ({"name": "normal", "sigma": "1 mV"}, "sigma"),
        ({"name": "uniform", "low": "0 mV", "high": "1 mV", "outside": "wrap"}, "redraw"),
    ],
)
def test_numbers_that_make_no_distribution_are_refused(table, said):
    with pytest.raises(BioFAError) as caught:
        drawn(table)
    assert said in str(caught.value)


def test_given_values_outside_of_their_bounds_are_refused_not_drawn_again():
    with pytest.raises(BioFAError, match=r"value 1 is 0.002, not between"):
        Values(values=(0.001, 0.002), high=0.001).draw(np.random.default_rng(0), 2, VOLT, "v")


def test_a_distribution_survives_its_file():
    for table in (
        {"name": "normal", "mean": "-60 mV", "std": "2 mV", "low": "-70 mV"},
        {"name": "linear", "high": 3.0},
    ):
        part = distributions.family.read(table)
        assert distributions.family.read({"name": part.family_name, **part.model_dump(exclude_none=True)}) == part


def test_every_distribution_is_in_the_family():
    assert set(distributions.family.names()) == {
        "constant", "uniform", "normal", "lognormal", "exponential", "gamma", "linear", "values", "from_file", "text",
    }  # fmt: skip
