"""Measures of a free network, held to Elephant, to known processes, and to each other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bioFA.analysis import population_activity as measures
from bioFA.analysis.population_activity import Spikes
from bioFA.analysis.streamed_activity import StreamedActivity
from bioFA.errors import OutOfRange, WrongShape


def poisson(rate=20.0, size=100, duration=20.0, seed=4, start=0.0):
    """Independent Poisson processes, all alike."""
    rng = np.random.default_rng(seed)
    n = rng.poisson(rate * size * duration)
    return Spikes(rng.integers(0, size, n), start + rng.uniform(0, duration, n), size, start, start + duration)


def rhythmic(frequency=40.0, jitter=2e-3, size=100, duration=20.0):
    """In every period each neuron spikes once, about a common time."""
    rng = np.random.default_rng(1)
    times = (np.arange(round(frequency * duration)) + 0.5)[:, None] / frequency + rng.normal(0, jitter, (1, size))
    neurons = np.broadcast_to(np.arange(size), times.shape)
    return Spikes(neurons.ravel(), times.ravel(), size, 0.0, duration)


def test_poisson_processes_have_their_rate_and_are_1_in_all_that_compares_with_them():
    spikes = poisson()
    assert measures.rates(spikes).mean() == pytest.approx(20.0, rel=0.02)
    assert np.nanmean(measures.cv_of_intervals(spikes)) == pytest.approx(1.0, abs=0.02)
    assert np.nanmean(measures.fano_factors(spikes)) == pytest.approx(1.0, abs=0.03)
    assert measures.synchrony(spikes) == pytest.approx(1.0, abs=0.06)
    frequencies, power = measures.spectrum(spikes)
    # white: 2 rate/size, one-sided
    assert power[(frequencies > 10) & (frequencies < 400)].mean() == pytest.approx(2 * 20.0 / 100, rel=0.05)


def test_a_rhythm_shows_in_every_measure():
    spikes = rhythmic()
    np.testing.assert_allclose(measures.rates(spikes), 40.0, rtol=0.01)
    assert np.nanmax(measures.cv_of_intervals(spikes)) < 1e-6
    assert np.nanmax(measures.fano_factors(spikes)) < 0.1
    assert measures.synchrony(spikes) > 10
    assert measures.peak_frequency(spikes) == pytest.approx(40.0, abs=0.5)


def test_regular_spikes_count_alike_in_every_window():
    spikes = Spikes(np.zeros(100, dtype=int), (np.arange(100) + 0.5) * 0.01, 2, 0.0, 1.0)
    np.testing.assert_array_equal(measures.rates(spikes), [100.0, 0.0])
    assert measures.fano_factors(spikes, 0.1)[0] == 0.0
    assert np.isnan(measures.fano_factors(spikes, 0.1)[1])
    assert np.isnan(measures.cv_of_intervals(spikes)[1])


def test_what_comes_before_the_start_is_not_counted():
    whole = poisson(seed=9, size=20, duration=4.0)
    late = Spikes(whole.neurons, whole.times, 20, 1.0, 4.0)
    kept = whole.times >= 1.0
    alone = Spikes(whole.neurons[kept], whole.times[kept] - 1.0, 20, 0.0, 3.0)
    for measure in (measures.rates, measures.cv_of_intervals, measures.fano_factors, measures.synchrony):
        np.testing.assert_allclose(measure(late), measure(alone), rtol=1e-9)


def test_the_measures_are_those_of_elephant():
    pytest.importorskip("elephant")
    from elephant.statistics import cv, fanofactor, isi
    from neo import SpikeTrain
    from quantities import s

    spikes = poisson(rate=8.0, size=12, duration=5.0, seed=2)
    cvs, factors = measures.cv_of_intervals(spikes), measures.fano_factors(spikes, 0.5)
    for neuron in range(12):
        times = np.sort(spikes.times[spikes.neurons == neuron])
        assert cvs[neuron] == pytest.approx(float(cv(isi(times))), rel=1e-12)
        parts = [times[(times >= k / 2) & (times < (k + 1) / 2)] - k / 2 for k in range(10)]
        trains = [SpikeTrain(part * s, t_stop=0.5 * s) for part in parts]
        assert factors[neuron] == pytest.approx(float(fanofactor(trains)), rel=1e-9)


@given(
    seed=st.integers(0, 1000),
    size=st.integers(1, 6),
    n=st.integers(0, 60),
    order=st.randoms(use_true_random=False),
)
@settings(max_examples=60, deadline=None)
def test_neither_the_order_of_spikes_nor_the_names_of_neurons_matter(seed, size, n, order):
    rng = np.random.default_rng(seed)
    neurons, times = rng.integers(0, size, n), rng.uniform(0, 1, n)
    moved, renamed = order.sample(range(n), n), np.array(order.sample(range(size), size))
    first, second = Spikes(neurons, times, size, 0.0, 1.0), Spikes(
        renamed[neurons[moved]], times[moved], size, 0.0, 1.0
    )
    for measure in (measures.rates, measures.cv_of_intervals, measures.fano_factors):
        np.testing.assert_allclose(measure(first), measure(second)[renamed], rtol=1e-9, equal_nan=True)
    np.testing.assert_array_equal(measures.counts(first, 0.1), measures.counts(second, 0.1))
    assert measures.counts(first, 0.1).sum() == n == round(measures.rates(first).sum())


def test_spikes_at_the_edge_of_a_bin_are_in_the_bin_that_begins_there():
    times = np.arange(1000) * 1e-3  # 0.001 * k is often just below k thousandths
    np.testing.assert_array_equal(measures.counts(Spikes(np.zeros(1000, int), times, 1, 0.0, 1.0), 1e-3), np.ones(1000))


def test_what_only_rounding_keeps_from_an_end_of_the_interval_is_at_that_end():
    early = Spikes(np.array([0, 0]), np.array([0.3, 0.7 - 1e-16]), 1, 3 * 0.1, 0.7)  # 3 * 0.1 > 0.3
    np.testing.assert_array_equal(early.times, [0.3])
    clock = np.cumsum(np.full(100_000, 1e-4)) - 1e-4  # a clock that adds its step
    counted = measures.counts(Spikes(np.zeros(100_000, int), clock, 1, 0.0, 10.0), 1e-4)
    np.testing.assert_array_equal(counted, np.ones(100_000))


def test_too_little_to_vary_has_no_measure_of_variation_and_no_peak():
    def streamed(steps, length):
        found = StreamedActivity(1, 1e-3, length, 0)
        found.add(np.zeros(len(steps), int), np.array(steps), 0, length)
        return found

    def spikes(steps, length):
        return Spikes(np.zeros(len(steps), int), 1e-3 * np.array(steps), 1, 0.0, 1e-3 * length)

    once, late, steady = ([500], 1000), (range(1001, 1005), 1005), (range(1000), 1000)
    for train in (once, late, steady):  # one spike; none in any window of the spectrum; one in every bin
        assert streamed(*train).measures("e").peak_hz is None
    for train in (once, steady):
        assert np.isnan(measures.peak_frequency(spikes(*train)))
    one_window = ([5, 7, 40], 150)
    assert np.isnan(streamed(*one_window).fano_factors()).all()
    assert np.isnan(measures.fano_factors(spikes(*one_window))).all()
    assert np.isnan(measures.synchrony(spikes(*one_window), 0.1))
    rows = {name: of for name, _, of in streamed([5, 120, 140], 200).measures("e").rows()}
    assert "so few windows, 2, make it too low, 1 - 1/2" in rows["Fano factor"]


def test_a_flat_spectrum_has_no_peak_and_a_rhythm_has_one():
    """Of 200 flat spectra two may have one; both ways of measuring decide alike."""
    rng, size, steps = np.random.default_rng(3), 50, 2000

    def peaks(depth):
        counts = rng.poisson(size * 0.02 * (1 + depth * np.sin(2 * np.pi * 40e-3 * np.arange(steps))))
        train = np.repeat(np.arange(steps), counts)
        neurons = rng.integers(0, size, len(train))
        found = StreamedActivity(size, 1e-3, steps, 0)
        found.add(neurons, train, 0, steps)
        row = next(of for name, _, of in found.measures("e").rows() if name == "spectrum peak")
        whole = measures.peak_frequency(Spikes(neurons, 1e-3 * train, size, 0.0, 2.0))
        return found.measures("e").peak_hz, whole, row

    flat = [peaks(0.0) for _ in range(200)]
    assert sum(found is not None for found, _, _ in flat) <= 2
    assert sum(bool(np.isfinite(whole)) for _, whole, _ in flat) <= 2
    assert "none above what chance gives a flat spectrum in 1 of 100 runs" in flat[0][2]
    for found, whole, row in (peaks(0.5) for _ in range(20)):
        assert found == pytest.approx(40, abs=4) == whole
        assert "resolved to 4 Hz" in row


def test_a_silent_population_has_a_rate_of_0_and_nothing_else():
    silent = Spikes(np.array([], int), np.array([]), 3, 0.0, 1.0)
    np.testing.assert_array_equal(measures.rates(silent), np.zeros(3))
    assert np.isnan(measures.synchrony(silent))
    assert np.isnan(measures.peak_frequency(silent))
    assert np.isnan(measures.cv_of_intervals(silent)).all()


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ((np.array([0]), np.array([0.1, 0.2]), 1, 0.0, 1.0), WrongShape, "one neuron and one time"),
        ((np.array([3]), np.array([0.1]), 3, 0.0, 1.0), OutOfRange, "from 0 to 2"),
        ((np.array([0]), np.array([0.1]), 3, 1.0, 1.0), OutOfRange, "stop must be > start"),
    ],
)
def test_spikes_that_cannot_be_are_refused(arguments, error, said):
    with pytest.raises(error, match=said):
        Spikes(*arguments)


def test_a_window_that_does_not_fit_is_refused():
    with pytest.raises(OutOfRange, match="do not fit an interval of 1 s"):
        measures.fano_factors(Spikes(np.array([0]), np.array([0.1]), 1, 0.0, 1.0), 2.0)


@pytest.mark.parametrize("scale", [1, 10**4])
def test_sums_too_large_for_a_float_lose_nothing(scale):
    """The CV and Fano factor of neurons in whose sums all but the last digits cancel."""
    found = StreamedActivity(3, 1e-3, 1000, 0)
    count, mean = 10**4, 10**3 * scale
    found.intervals[:] = found.trials = count
    found.sum[:] = found.counted[:] = count * mean
    found.squares[:] = found.counted_squares[:] = [count * mean**2 + 1, count * mean**2 + 4, count * mean**2]
    np.testing.assert_array_equal(found.cvs(), [count**0.5 / (count * mean), 2 * count**0.5 / (count * mean), 0])
    windows = count * found.windows
    spreads = [windows * int(squares) - (count * mean) ** 2 for squares in found.counted_squares]
    np.testing.assert_array_equal(found.fano_factors(), [spread / (windows * count * mean) for spread in spreads])
