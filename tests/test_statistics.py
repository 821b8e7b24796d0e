"""The statistics find a known difference, claim no known tie, and estimate, interval, p and verdict are of one test."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bioFA.analysis import statistics
from bioFA.analysis.statistics import ALPHA, equal_within, hodges_lehmann, holm, holm_tests, paired, signed_rank_p
from bioFA.errors import ModelError

ends = st.one_of(st.integers(-3, 3).map(float), st.floats(-1e3, 1e3), st.just(np.inf))
pairs_of_runs = st.lists(st.tuples(ends, ends), min_size=1, max_size=12)


def seeds(n, difference, seed=0, spread=1.0):
    """Two conditions whose runs share most of their variation with their seed."""
    rng = np.random.default_rng(seed)
    shared = 5.0 * rng.standard_normal(n)
    return shared + difference + spread * rng.standard_normal(n), shared + spread * rng.standard_normal(n)


def walsh(d):
    """Averages one by one; what is neither finite nor of one sign lies on both sides."""
    return [
        (a if a == b else 0.5 * a + 0.5 * b) if not (np.isinf(a) and np.isinf(b) and a != b) else None
        for a, b in itertools.combinations_with_replacement(d, 2)
    ]


def test_a_known_difference_is_found_through_what_seeds_share():
    first, second = seeds(10, 3.0, spread=0.5)
    outcome = paired(first, second)
    interval = outcome.interval()
    assert outcome.p < ALPHA
    assert 0 < interval.low < 3.0 < interval.high
    assert outcome.superiority == 0.0
    assert stats.ttest_ind(first, second).pvalue > 0.05  # unpaired, it would be missed


def test_a_known_tie_is_claimed_as_a_difference_no_more_often_than_promised():
    claims = [paired(*seeds(10, 0.0, seed)).p < ALPHA for seed in range(400)]
    assert np.mean(claims) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)
    assert any(claims)  # the other side of the same promise: 5 %, not never


@given(st.lists(pairs_of_runs, min_size=1, max_size=6))
def test_intervals_leave_out_0_exactly_where_holm_claims_and_all_directions_agree(family):
    outcomes = [paired(*np.array(runs).T) for runs in family]
    for outcome, (corrected, tests) in zip(outcomes, holm_tests([o.p for o in outcomes]), strict=True):
        interval = outcome.interval(tests)
        assert (interval.low > 0 or interval.high < 0) is (corrected < ALPHA)
        assert interval.low <= outcome.estimate <= interval.high
        if corrected < ALPHA:
            assert (outcome.estimate > 0) is (interval.low > 0)


@given(pairs_of_runs)
def test_the_other_order_of_conditions_turns_every_sign(runs):
    first, second = np.array(runs).T
    one, other = paired(first, second), paired(second, first)
    assert (one.p, one.n_finite, one.estimate) == (other.p, other.n_finite, -other.estimate)
    assert one.superiority == pytest.approx(1 - other.superiority)
    assert (one.interval().low, one.interval().high) == (-other.interval().high, -other.interval().low)


@given(st.lists(st.integers(0, 4).map(float) | st.just(np.inf), min_size=1, max_size=7))
def test_no_p_comes_out_more_often_than_it_promises_whatever_is_tied(sizes):
    found = np.array(
        [signed_rank_p(np.array(signs) * sizes) for signs in itertools.product((-1.0, 1.0), repeat=len(sizes))]
    )
    assert all(np.mean(found <= p) <= p + 1e-12 for p in found)


@pytest.mark.parametrize("n", [5, 8, 11, 40])
def test_the_test_is_wilcoxons_where_nothing_is_tied(n):
    differences = np.random.default_rng(n).standard_normal(n) + 0.4
    assert signed_rank_p(differences) == pytest.approx(stats.wilcoxon(differences, method="exact").pvalue, rel=1e-9)


@pytest.mark.parametrize("tests", [1, 3])
def test_the_interval_is_what_the_test_does_not_reject(tests):
    d = np.random.default_rng(3).standard_normal(9)
    interval = hodges_lehmann(d, tests)
    averages = np.sort(walsh(d))
    assert interval.median == pytest.approx(np.median(averages))
    for edge, inward in ((interval.low, 1), (interval.high, -1)):
        assert signed_rank_p(d - edge - inward * 1e-9) * tests >= ALPHA
        assert signed_rank_p(d - edge + inward * 1e-9) * tests < ALPHA


@pytest.mark.parametrize("n", [8, 12])
@pytest.mark.parametrize("kind", ["normal", "exponential"])
def test_the_interval_covers_the_pseudomedian_in_95_of_100_samples(n, kind):
    rng = np.random.default_rng(11)
    truth = {"normal": 0.0, "exponential": 1.6783469900166605 / 2}[kind]  # the median of Gamma(2) over 2
    intervals = [
        hodges_lehmann(rng.standard_normal(n) if kind == "normal" else rng.exponential(size=n)) for _ in range(2000)
    ]
    assert 0.93 <= np.mean([i.low <= truth <= i.high for i in intervals]) <= 0.98


def test_runs_that_diverged_decide_direction_and_verdict():
    """Seven of eight runs diverge; that the survivor is the best of all must not make its condition the better one."""
    outcome = paired([np.inf] * 7 + [1e-12], [1e-11] * 8)
    assert (outcome.n, outcome.n_finite) == (8, 1)
    assert outcome.estimate == np.inf
    assert outcome.superiority == 0.125
    assert outcome.p == 2 * 2 / 2**8
    assert (outcome.interval().low > 0, outcome.interval().high) == (True, np.inf)


def test_two_runs_that_both_diverged_are_a_tie():
    outcome = paired([np.inf] * 6, [np.inf] * 6)
    assert (outcome.p, outcome.superiority, outcome.n_finite, outcome.estimate) == (1.0, 0.5, 0, 0.0)


def test_runs_that_diverged_on_either_side_balance():
    outcome = paired([np.inf, 1.0], [1.0, np.inf])
    assert (outcome.estimate, outcome.p) == (0.0, 1.0)
    assert hodges_lehmann([-np.inf, -np.inf, np.inf]).median == -np.inf


def test_no_seeds_say_nothing(recwarn):
    outcome = paired([], [])
    assert (outcome.n, outcome.p) == (0, 1.0)
    assert np.isnan([outcome.superiority, outcome.estimate]).all()
    assert not recwarn.list


def test_too_few_seeds_bound_nothing():
    interval = hodges_lehmann([1.0, 2.0, 3.0, 4.0, 5.0])
    assert (interval.low, interval.median, interval.high) == (-np.inf, 3.0, np.inf)
    assert hodges_lehmann(np.arange(1.0, 7.0)).low == 1.0
    nothing = hodges_lehmann([])
    assert np.isnan([nothing.low, nothing.median, nothing.high]).all()


def test_all_seeds_on_one_side_reach_the_smallest_p_there_is():
    assert signed_rank_p(np.arange(1.0, 9.0)) == pytest.approx(2 / 2**8)
    assert signed_rank_p(-np.arange(1.0, 21.0)) == pytest.approx(2 / 2**20)
    assert signed_rank_p([]) == signed_rank_p([0.0] * 5) == signed_rank_p([1.0, -1.0]) == 1.0


def test_two_are_equal_within_a_margin_that_holds_the_90_percent_interval():
    outcome = paired(np.arange(8) * 0.01, np.zeros(8))
    interval = outcome.interval(alpha=0.1)
    assert equal_within(outcome, interval.high)
    assert not equal_within(outcome, interval.high - 1e-9)
    assert outcome.interval().low < interval.low < interval.high < outcome.interval().high, "95 % hold more than 90"
    assert not equal_within(paired([1.0, 1.0], [1.0, 1.0]), 1e9), "two seeds bound nothing"
    below = paired(np.zeros(8), np.ones(8))
    assert equal_within(below, 1.0)
    assert not equal_within(below, 0.999)


def test_the_sampling_error_of_ten_wrong_of_360():
    assert statistics.sampling_error(10 / 360, 360) == pytest.approx(0.017, abs=5e-4)
    assert statistics.sampling_error(0.5, 100) == pytest.approx(0.098)


def test_holm_corrects_as_in_a_worked_example():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []
    assert [tests for _, tests in holm_tests([0.01, 0.04, 0.03, 0.005])] == [3, 2, 2, 4]
    assert [tests for _, tests in holm_tests([1e-9] * 40)] == list(range(40, 0, -1)), "ties are tested in their order"


def test_holm_never_falls_along_the_order_and_ends_at_one():
    assert holm([0.02, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])
    assert holm([0.4, 0.3, 0.2]) == pytest.approx([0.6, 0.6, 0.6])
    assert holm([0.6, 0.9]) == [1.0, 1.0]


def test_what_cannot_be_paired_is_refused_in_words():
    for first, second, shapes in (([1.0], [1.0, 2.0], "(1,) and (2,)"), ([[1.0]], [[1.0]], "(1, 1) and (1, 1)")):
        with pytest.raises(ModelError) as refusal:
            paired(first, second)
        assert str(refusal.value) == f"runs are paired by seed, so both must have the same number; got {shapes}."
    for first, second in (([np.nan], [1.0]), ([1.0], [np.nan])):
        with pytest.raises(ModelError) as refusal:
            paired(first, second)
        assert str(refusal.value) == (
            "a value is missing (NaN). Give infinity for a run that diverged, and wait for one that has not ended."
        )
    with pytest.raises(ModelError) as refusal:
        hodges_lehmann([np.nan])
    assert str(refusal.value) == (
        "values must be numbers in one row, none missing; got shape (1,). Give infinity for a run that diverged."
    )


def test_the_fewest_seeds_for_so_many_pairs():
    assert [statistics.seeds_needed(pairs) for pairs in (1, 2, 3, 10, 66, 100)] == [6, 7, 7, 9, 12, 12]


def test_the_table_of_coverage_holds_its_95_percent():
    from benchmarks.coverage import KINDS, coverage

    assert all(0.92 <= coverage(kind, 8, samples=1500) <= 0.985 for kind in KINDS)
