"""The statistics find a known difference, do not claim a known tie, and their intervals hold what they promise."""

import itertools

import numpy as np
import pytest
from scipy import stats

from bioFA.analysis import statistics
from bioFA.analysis.statistics import bootstrap_mean, differs, holm, paired, signed_rank_p
from bioFA.errors import ModelError


def seeds(n, difference, seed=0, spread=1.0):
    """Two conditions whose runs share most of their variation with their seed."""
    rng = np.random.default_rng(seed)
    shared = 5.0 * rng.standard_normal(n)
    return shared + difference + spread * rng.standard_normal(n), shared + spread * rng.standard_normal(n)


def test_a_known_difference_is_found_through_what_seeds_share():
    first, second = seeds(10, 3.0, spread=0.5)
    outcome = paired(first, second)
    assert differs(outcome, outcome.p)
    assert outcome.difference.low < 3.0 < outcome.difference.high
    assert outcome.difference.low > 0
    assert outcome.superiority == 0.0
    assert outcome.effect_size > 1
    assert stats.ttest_ind(first, second).pvalue > 0.05  # unpaired, it would be missed


def test_a_known_tie_is_claimed_as_a_difference_no_more_often_than_promised():
    claims = [differs(outcome, outcome.p) for outcome in (paired(*seeds(10, 0.0, seed)) for seed in range(400))]
    assert np.mean(claims) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)
    assert any(claims)  # the other side of the same promise: 5 %, not never


@pytest.mark.parametrize("n", [5, 10])
@pytest.mark.parametrize("draw", ["normal", "counts"])
def test_the_interval_holds_the_true_difference_in_95_of_100_comparisons(n, draw, monkeypatch):
    monkeypatch.setattr(statistics, "RESAMPLES", 1999)
    rng = np.random.default_rng(11)
    if draw == "normal":
        differences = 3.0 + rng.standard_normal((2000, n))
    else:  # error rates on 360 test images, which come in steps
        differences = 3.0 + (rng.binomial(360, 0.03, (2000, n)) - rng.binomial(360, 0.03, (2000, n))) / 360
    intervals = [bootstrap_mean(row) for row in differences]
    coverage = np.mean([i.low <= 3.0 <= i.high for i in intervals])
    assert 0.93 <= coverage <= 0.97


def test_equal_values_give_equal_intervals():
    values = np.random.default_rng(1).standard_normal(8)
    assert bootstrap_mean(values) == bootstrap_mean(values.copy())


@pytest.mark.parametrize("values", [[0.25], [0.25] * 6, [0.0] * 6, []])
def test_values_without_spread_have_no_invented_interval(values):
    interval = bootstrap_mean(values)
    assert np.isnan(interval.low) if len(values) < 2 else interval.low == interval.high == values[0]


def test_an_interval_of_tied_values_is_finite():
    interval = bootstrap_mean([0, 0, 0, 0, 1])
    assert -1.0 < interval.low < 0.2 < interval.high < 3.0


def test_the_interval_scales_with_the_values():
    values = np.random.default_rng(2).standard_normal(7)
    one, thousand = bootstrap_mean(values), bootstrap_mean(1000 * values)
    np.testing.assert_allclose([thousand.low, thousand.high], [1000 * one.low, 1000 * one.high])


def test_a_run_that_diverged_counts_as_the_worst_there_is():
    good, bad = np.full(8, 0.1) + 0.001 * np.arange(8), np.full(8, 0.09)
    finished = paired(good, bad)
    bad[:6] = np.inf
    outcome = paired(good, bad)
    assert (outcome.n, outcome.n_finite) == (8, 2)
    assert finished.superiority == 0.0
    assert outcome.superiority == 0.75
    assert outcome.p > finished.p


def test_two_runs_that_both_diverged_are_a_tie():
    outcome = paired([np.inf] * 6, [np.inf] * 6)
    assert (outcome.p, outcome.superiority, outcome.n_finite) == (1.0, 0.5, 0)


def test_fewer_than_five_seeds_claim_nothing():
    outcome = paired([1.0, 1.1, 1.2, 1.3], [9.0, 9.2, 9.1, 9.3])
    assert not differs(outcome, 0.0)


def test_all_seeds_on_one_side_reach_the_smallest_p_there_is():
    assert signed_rank_p(np.arange(1.0, 9.0)) == pytest.approx(2 / 2**8)
    assert signed_rank_p(-np.arange(1.0, 7.0)) == pytest.approx(2 / 2**6)


def test_the_test_is_wilcoxons_where_nothing_is_tied():
    differences = np.random.default_rng(5).standard_normal(11) + 0.4
    assert signed_rank_p(differences) == pytest.approx(stats.wilcoxon(differences, method="exact").pvalue)


def test_many_seeds_are_tested_as_exactly_as_few():
    differences = np.random.default_rng(6).standard_normal(40) + 0.2
    assert signed_rank_p(differences) == pytest.approx(stats.wilcoxon(differences, method="exact").pvalue, rel=1e-9)
    assert signed_rank_p(np.arange(1.0, 21.0)) == pytest.approx(2 / 2**20)


def test_ties_and_zeros_are_as_all_sign_flips_gone_through():
    for differences in ([1.0, 1.0, -1.0, 2.0, 0.0, 3.0, 3.0], [0.0, 0.0, 0.5], [np.inf, 1.0, -1.0, np.inf], [0.0, 0.0]):
        ranks = stats.rankdata(np.abs(differences))
        flips = np.array(list(itertools.product((-1, 1), repeat=len(ranks)))) @ np.where(np.equal(differences, 0), 0.0, ranks)
        found = (np.sign(differences) * ranks).sum()
        assert signed_rank_p(differences) == pytest.approx(min(1.0, 2 * min((flips <= found).mean(), (flips >= found).mean())))


def test_holm_corrects_as_in_a_worked_example():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_a_missing_run_is_refused():
    with pytest.raises(ModelError, match="missing"):
        paired([1.0, np.nan], [1.0, 2.0])
    with pytest.raises(ModelError, match="paired by seed"):
        paired([1.0], [1.0, 2.0])


def studentised(values, seed=0, draws=9999):
    """The interval as its formula says, resample by resample."""
    x = np.asarray(values, dtype=float)
    picked = np.random.default_rng(seed).integers(0, len(x), (draws, len(x)))
    errors = np.array([np.std(x[row], ddof=1) for row in picked])
    varied = errors > 1e-12 * np.abs(x - x.mean()).max()
    t = np.array([x[row].mean() - x.mean() for row in picked]) / np.where(varied, errors, errors[varied].min())
    low, high = np.quantile(t, [0.025, 0.975])
    return x.mean(), x.mean() - high * x.std(ddof=1), x.mean() - low * x.std(ddof=1)


@pytest.mark.parametrize("values", [[1.0, 2.0, 4.0], [-3.0, 0.0, 5.0, 5.5, 9.0], [0.0, 0.0, 0.0, 1.0], [1e6, 1e6 + 1, 1e6 + 3], [1e-5, 3e-5, -4e-5]])
@pytest.mark.parametrize("seed", [0, 3])
def test_the_interval_is_that_of_its_formula(values, seed):
    interval = bootstrap_mean(values, seed)
    np.testing.assert_allclose([interval.mean, interval.low, interval.high], studentised(values, seed), rtol=1e-9)
    assert bootstrap_mean(values) == bootstrap_mean(values, 0)


def test_what_is_no_row_of_finite_numbers_is_refused_in_words():
    for values, shape in (([[1.0]], "(1, 1)"), ([np.inf], "(1,)"), ([np.nan, 1.0], "(2,)"), (3.0, "()")):
        with pytest.raises(ModelError) as refusal:
            bootstrap_mean(values)
        assert str(refusal.value) == f"values must be finite numbers in one row; got shape {shape}. Leave out what has diverged."


def test_values_that_are_the_same_up_to_rounding_have_no_spread():
    for scale in (1.0, -1e9, 1e-9):
        interval = bootstrap_mean([scale, scale * (1 + 1e-13), scale])
        assert interval.low == interval.high == interval.mean == pytest.approx(scale)
        interval = bootstrap_mean([scale, scale * (1 + 1e-11), scale])
        assert interval.low < interval.mean < interval.high
    for values in ([0.5], []):
        interval = bootstrap_mean(values)
        assert np.isnan([interval.low, interval.high]).all()
    assert bootstrap_mean([0.5]).mean == 0.5
    assert np.isnan(bootstrap_mean([]).mean)


def test_what_is_paired_is_what_its_parts_say():
    first, second = np.array([1.0, 2.0, 4.0, np.inf, 3.0, np.inf]), np.array([2.0, 2.0, 1.0, 5.0, np.inf, np.inf])
    outcome = paired(first, second)
    ended = np.array([-1.0, 0.0, 3.0])
    assert (outcome.n, outcome.n_finite) == (6, 3)
    assert outcome.difference == bootstrap_mean(ended)
    assert outcome.effect_size == pytest.approx(ended.mean() / ended.std(ddof=1))
    assert outcome.superiority == pytest.approx((2 + 0.5 * 2) / 6)  # seeds 1 and 5 are better, 2 and 6 ties
    assert outcome.p == signed_rank_p([-1.0, 0.0, 3.0, np.inf, -np.inf, 0.0])
    assert type(outcome.superiority) is float
    assert paired(list(first), list(second)) == outcome


def test_effects_without_spread_or_without_runs():
    assert paired([1.0, 1.0], [1.0, 1.0]).effect_size == 0.0
    assert paired([2.0, 2.0], [1.0, 1.0]).effect_size == np.inf
    assert paired([1.0, 1.0], [2.0, 2.0]).effect_size == -np.inf
    assert np.isnan(paired([1.0], [2.0]).effect_size)
    assert paired([1.0], [2.0]).difference.mean == -1.0
    nothing = paired([], [])
    assert (nothing.n, nothing.n_finite, nothing.p) == (0, 0, 1.0)
    assert np.isnan([nothing.superiority, nothing.effect_size, nothing.difference.mean]).all()


def test_what_cannot_be_paired_is_refused_in_words():
    for first, second, shapes in (([1.0], [1.0, 2.0], "(1,) and (2,)"), ([[1.0]], [[1.0]], "(1, 1) and (1, 1)")):
        with pytest.raises(ModelError) as refusal:
            paired(first, second)
        assert str(refusal.value) == f"runs are paired by seed, so both must have the same number; got {shapes}."
    for first, second in (([np.nan], [1.0]), ([1.0], [np.nan])):
        with pytest.raises(ModelError) as refusal:
            paired(first, second)
        assert str(refusal.value) == "a value is missing (NaN). Give infinity for a run that diverged, and wait for one that has not ended."


def test_the_fewest_seeds_for_so_many_pairs():
    assert [statistics.seeds_needed(pairs) for pairs in (0, 1, 2, 3, 10, 100)] == [5, 6, 7, 7, 9, 12]


def test_a_difference_needs_five_seeds_and_a_p_below_5_percent():
    five = paired(np.arange(5.0), np.arange(5.0))
    assert differs(five, 0.0499)
    assert not differs(five, 0.0501)
    assert not differs(paired([1.0] * 4, [2.0] * 4), 0.0)


def test_holm_never_falls_along_the_order_and_ends_at_one():
    assert holm([0.02, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])
    assert holm([0.01, 0.011]) == pytest.approx([0.02, 0.02])
    assert holm([0.4, 0.3, 0.2]) == pytest.approx([0.6, 0.6, 0.6])
    assert all(isinstance(p, float) for p in holm([0.1, 0.2]))


def test_p_is_one_where_nothing_differs():
    assert signed_rank_p([]) == 1.0
    assert signed_rank_p([0.0] * 5) == 1.0
    assert signed_rank_p([1.0, -1.0]) == 1.0


def test_p_is_that_of_all_sign_flips_whatever_is_tied():
    rng = np.random.default_rng(4)
    for _ in range(60):
        differences = rng.integers(-3, 4, rng.integers(2, 9)).astype(float)
        ranks = stats.rankdata(np.abs(differences))
        flips = np.array(list(itertools.product((-1, 1), repeat=len(ranks)))) @ np.where(differences == 0, 0.0, ranks)
        found = (np.sign(differences) * ranks).sum()
        expected = min(1.0, 2 * min((flips <= found).mean(), (flips >= found).mean()))
        assert signed_rank_p(differences) == pytest.approx(expected, rel=1e-12)
        assert signed_rank_p(-differences) == pytest.approx(expected, rel=1e-12)


def test_an_effect_is_in_units_of_the_spread_however_small():
    outcome = paired([0.01, 0.02, 0.03], [0.0, 0.0, 0.0])
    assert outcome.effect_size == pytest.approx(2.0)


def test_corrected_values_never_exceed_one():
    assert holm([0.6, 0.9]) == [1.0, 1.0]
