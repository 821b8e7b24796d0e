"""Time may simply pass: a run without a task, from `simulate` to the files and pages that a user sees."""

import json
import os
import shutil
import signal
import tracemalloc
from itertools import pairwise

import h5py
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from jobs import jobs_here
from tiers import first_of

import bioFA
from bioFA import Experiment, cli
from bioFA.analysis import population_activity as whole_arrays
from bioFA.analysis.streamed_activity import StreamedActivity
from bioFA.consumers import Numpy
from bioFA.consumers.base import Recording, Segment
from bioFA.consumers.reference import Reference
from bioFA.errors import ChangedSince, Diverged, ModelError, NothingToCompare
from bioFA.exchange import FORMATS
from bioFA.instance import draw
from bioFA.network import Network, Pathway, Population
from bioFA.neurons.equations import Equations
from bioFA.runs import checkpoint, free_run
from bioFA.runs.monitors import RecordedTrace
from bioFA.runs.result import RESULT
from bioFA.show import free_figures
from bioFA.show.model_card import card

CELL = Equations(
    model="dv/dt = (-v + drive)/tau : 1\ndg/dt = -g/(5*ms) : 1\ndrive = g + 1.3 : 1",
    ports={"exc": "1"},
    arrival="g += exc",
    parameters={"tau": {"name": "uniform", "low": "9 ms", "high": "11 ms"}},
    threshold="v > 1",
    reset="v = 0",
    refractory="2 ms",
    initial={"v": {"name": "uniform", "low": 0.0, "high": 1.0}},
)
TRACES = {"population": "exc", "variables": ["v", "g"], "neurons": [0, 3], "every": "2 ms", "from": "10 ms"}


def model(duration="100 ms", size=6, record=None, cell=CELL, **protocol):
    """A population that drives itself and another, with delays."""
    network = Network(
        populations=(
            Population("exc", size=size, neuron=cell, background=[{"port": "exc", "rate": "50 Hz", "weight": 0.2}]),
            Population("other", size=3, neuron=cell),
        ),
        pathways=(
            Pathway(
                "loop",
                source="exc",
                target="exc",
                port="exc",
                weights=0.1,
                connect={"name": "fan_in", "count": 2},
                delay={"name": "uniform", "low": "1 ms", "high": "5 ms"},
            ),
            Pathway("out", source="exc", target="other", port="exc", weights=0.1, delay="2 ms"),
        ),
    )
    return Experiment(
        name="passing",
        circuit=network,
        protocol={"duration": duration, "dt": "1 ms"} | protocol,
        record={"traces": [TRACES], "rates": {"bin": "5 ms"}} if record is None else record,
    )


def arrays(path):
    """Everything in a result but times and provenance."""
    found = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, part: found.update({name: part[()]}) if isinstance(part, h5py.Dataset) else None)
        return found | {name: file.attrs[name] for name in ("measures", "findings", "experiment", "presentations")}


def equal(first, second):
    return first.keys() == second.keys() and all(np.array_equal(first[name], second[name]) for name in first)


@pytest.fixture(scope="module")
def result():
    return bioFA.simulate(model(trials=2, warm_up="20 ms"), seed=3, backend="numpy")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A model file, and the folder of its run."""
    folder = tmp_path_factory.mktemp("passing")
    (folder / "passing.toml").write_text(bioFA.dumps(model(duration="300 ms")))
    biofa("run", folder / "passing.toml", "--backend", "numpy", "--out", folder / "out")
    return folder


def biofa(*arguments, code=0):
    outcome = CliRunner().invoke(cli.main, list(map(str, arguments)))
    assert outcome.exit_code == code, (outcome.output, outcome.exception)
    return outcome.output


# what was recorded, and what was measured


def test_what_is_recorded_is_what_the_reference_did(result):
    instance = draw(result.experiment, 3)
    for trial in (0, 1):
        state = dict(instance.state) | instance.trial_begins(trial)
        feed = instance.passing(trial, 0, 100)
        segment = Reference(instance).segment(state, feed, learning=False)
        for name, (neurons, steps) in segment.spikes.items():
            found, times = result.spikes(name, trial)
            assert len(found) > 5
            assert np.array_equal(found, neurons)
            assert np.allclose(times, steps * 1e-3, atol=1e-15)
        trace = result.traces[0]
        for variable in ("v", "g"):
            assert np.array_equal(trace.read(variable, trial), segment.traces[0][variable])
            assert np.array_equal(trace.read(variable, trial, first=5), segment.traces[0][variable][5:])
        times, rate = result.rates("exc", trial)
        counts = np.bincount(segment.spikes["exc"][1] // 5, minlength=20)
        assert np.allclose(rate, counts / (6 * 5e-3))
        assert np.allclose(times, 5e-3 * np.arange(20))
    assert np.allclose(trace.times, np.arange(10, 100, 2) * 1e-3)


def test_measures_are_those_of_the_recorded_spikes_after_the_warm_up(result):
    for measured in result.measures:
        assert (measured.trials, measured.start, measured.stop) == (2, 0.02, 0.1)
        trains = [result.spikes(measured.population, trial) for trial in (0, 1)]
        spikes = [whole_arrays.Spikes(n, t + 1e-9, measured.size, 0.02, 0.1) for n, t in trains]
        assert measured.spikes == sum(len(one.times) for one in spikes)
        assert measured.rate == pytest.approx(np.mean([whole_arrays.rates(one).mean() for one in spikes]))
        intervals = [
            np.concatenate([np.diff(one.times[one.neurons == neuron]) for one in spikes])
            for neuron in range(measured.size)
        ]
        cvs = [np.std(of) / np.mean(of) for of in intervals if len(of) >= 3]
        assert measured.neurons_with_cv == len(cvs) > 0
        assert measured.cv == pytest.approx(np.mean(cvs))
        counts = np.concatenate([whole_arrays.counts(one, 3e-3) for one in spikes])
        assert measured.synchrony == pytest.approx(counts.var() / counts.mean())
        assert measured.fano is None, "no window of 100 ms fits into 80 ms"
    names = {f"{m.population}.{name}" for m in result.measures for name in ("rate", "cv", "synchrony")}
    assert names == set(result.metrics), "so short a spectrum is flat, and has no peak"


def test_spikes_of_some_neurons_are_recorded_and_all_are_measured():
    record = {"spikes": ["exc[1:3]", "exc[4:5]"]}
    some = bioFA.simulate(model(record=record), seed=3, backend="numpy")
    every = bioFA.simulate(model(record={}), seed=3, backend="numpy")
    assert some.metrics == every.metrics
    neurons, times = every.spikes("exc")
    kept = np.isin(neurons, [1, 2, 4])
    assert np.array_equal(some.spikes("exc")[0], neurons[kept])
    assert np.array_equal(some.spikes("exc")[1], times[kept])
    with pytest.raises(ModelError, match=r"no spikes of 'other' were recorded. Did you mean|Known: exc"):
        some.spikes("other")
    assert bioFA.simulate(model(record={"spikes": []}), seed=3, backend="numpy").metrics == every.metrics


def test_spikes_of_an_interval_are_those_between(result):
    neurons, times = result.spikes("exc", 1)
    here = (times >= 0.03) & (times < 0.051)
    found = result.spikes("exc", 1, 0.03, 0.051)
    assert 0 < len(found[0]) < len(times)
    assert np.array_equal(found[0], neurons[here])
    assert np.array_equal(found[1], times[here])


pieces = st.lists(st.integers(1, 60), min_size=1, max_size=12)


@given(
    seed=st.integers(0, 2**32 - 1),
    lengths=pieces,
    size=st.integers(1, 5),
    dt=st.sampled_from([1e-4, 3e-4, 1e-3, 2e-2]),
    share=st.floats(0, 0.9),
    chance=st.sampled_from([0.0, 0.01, 0.1, 0.6, 1.0]),
    trials=st.integers(1, 3),
)
def test_streamed_measures_are_those_over_whole_arrays(seed, lengths, size, dt, share, chance, trials):
    """However the run is cut into pieces, and wherever it is taken up again."""
    length = sum(lengths) * max(1, round(2e-3 / dt))
    warm_up = int(share * length)
    rng = np.random.default_rng(seed)
    streamed = StreamedActivity(size, dt, length, warm_up)
    trains = []
    for _ in range(trials):
        steps, neurons = np.nonzero(rng.random((length, size)) < chance)
        trains.append(whole_arrays.Spikes(neurons, (steps + 0.25) * dt, size, warm_up * dt, length * dt))
        ends = np.unique([0, *(np.cumsum(lengths) * length // sum(lengths))])
        for first, last in pairwise(ends):
            here = (steps >= first) & (steps < last)
            streamed.add(neurons[here], steps[here], int(first), int(last))
            before, streamed = streamed, StreamedActivity(size, dt, length, warm_up)
            streamed.restore(before.arrays())
    measured = streamed.measures("exc")
    assert measured.trials == trials
    assert np.allclose(streamed.rates(), np.mean([whole_arrays.rates(one) for one in trains], axis=0))
    assert measured.active == np.count_nonzero(streamed.rates())
    if trials == 1:
        assert np.allclose(streamed.cvs(), whole_arrays.cv_of_intervals(trains[0]), equal_nan=True, atol=1e-7)
    counted = []
    for neuron in range(size):
        own = [one.times[one.neurons == neuron] for one in trains]
        intervals = np.concatenate([np.diff(times) for times in own])
        known = len(intervals) >= 3
        assert np.isfinite(streamed.cvs()[neuron]) == known
        if known:
            assert streamed.cvs()[neuron] == pytest.approx(intervals.std() / intervals.mean(), abs=1e-6)
    for width, name in ((streamed.window * dt, "fano"), (measured.synchrony_bin, "synchrony")):
        bins = int((length - warm_up) // round(width / dt))
        if bins * trials < 2:  # nothing varies
            assert getattr(measured, name) is None
            continue
        if name == "synchrony":
            counted = np.concatenate([whole_arrays.counts(one, width) for one in trains])
            expected = counted.var() / counted.mean() if counted.any() else None
            assert measured.synchrony == (pytest.approx(expected, abs=1e-9) if expected is not None else None)
        elif trials == 1:
            expected = whole_arrays.fano_factors(trains[0], width)
            assert np.allclose(streamed.fano_factors(), expected, equal_nan=True, atol=1e-9)
    if streamed.points >= 2:
        width = measured.spectrum_bin
        spectra = [whole_arrays.spectrum(one, width, 1 / (streamed.points * width)) for one in trains]
        assert np.allclose(streamed.spectrum()[0], spectra[0][0])
        assert np.allclose(streamed.spectrum()[1], np.mean([power for _, power in spectra], axis=0), atol=1e-18)
    else:
        assert measured.peak_hz is None


# memory, kills and files


class Drumming(Reference):
    """In place of a consumer, which is slow: some neurons spike in every step."""

    def segment(self, state, feed, learning, **_):
        first, last = feed.span
        steps = np.repeat(np.arange(first, last), 2)
        neurons = np.stack([steps[::2] * 7 % 6, steps[::2] * 5 % 6], axis=1).ravel()
        spikes = {"exc": (neurons.astype(np.int32), steps), "other": (neurons[:0].astype(np.int32), steps[:0])}
        trace, at = self.traces[0], self.traces[0].steps(1e-3, self.protocol.shown_steps)
        count = len(range(max(at.start, first + (at.start - first) % at.step), min(at.stop, last), at.step))
        values = {variable: np.ones((count, len(trace.neurons))) for variable in trace.variables}
        return Segment(dict(state), Recording(np.zeros(0, int), {}), spikes=spikes, traces=(values,))


def test_memory_does_not_grow_with_the_duration(monkeypatch, tmp_path):
    monkeypatch.setattr(Numpy, "make", lambda self, instance, *_: Drumming(instance))
    monkeypatch.setattr(free_run, "MOST_NEURON_STEPS", 9 * 1000)
    monkeypatch.setattr(checkpoint, "LARGEST", 0)
    peaks = []
    for duration in (6, 24):
        folder = tmp_path / str(duration)
        tracemalloc.start()
        bioFA.simulate(model(duration=f"{duration} s"), seed=1, backend="numpy", folder=folder)
        found = bioFA.load_result(folder / RESULT, trusted=True)
        assert len(found.spikes("exc", start=4.0, stop=5.0)[0]) == 2000
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert found.monitors.counts["exc"] == 2 * duration * 1000
    assert peaks[1] < 1.1 * peaks[0], peaks
    drawn, read = [], RecordedTrace.read

    def noting(trace, variable, trial=0, first=0):
        drawn.append(read(trace, variable, trial, first))
        return drawn[-1]

    monkeypatch.setattr(RecordedTrace, "read", noting)
    free_figures.traces(found)
    assert drawn
    assert {len(values) for values in drawn} == {501}, "read more than the last second, every 2 ms"


@pytest.mark.parametrize("after", first_of(13, 1, 4, 7, 19, 20, 21, 30, 38, 39))
def test_a_killed_run_continues_to_the_same_bits(after, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "INTERVAL", 0.0)
    experiment = model(trials=2, warm_up="20 ms", duration="60 ms")
    bioFA.simulate(experiment, 3, "numpy", folder=tmp_path / "whole")
    calls = []

    def die(done, total, latest):
        calls.append(done)
        if len(calls) == after:
            os.kill(os.getpid(), signal.SIGKILL)

    if (child := os.fork()) == 0:
        bioFA.simulate(experiment, 3, "numpy", folder=tmp_path / "killed", progress=die)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    assert len(list((tmp_path / "killed" / "checkpoint").glob("stretch-*.h5"))) == after + 1
    seen = []
    bioFA.resume(tmp_path / "killed", progress=lambda done, total, latest: seen.append((done, total)))
    assert seen[0] == ((after + 1) * 3, 120)
    assert seen[-1] == (120, 120)
    assert equal(arrays(tmp_path / "whole" / RESULT), arrays(tmp_path / "killed" / RESULT))
    assert os.listdir(tmp_path / "killed") == [RESULT]


def stopped_half_way(experiment, folder):
    """Begin a run with seed 3, and interrupt it after 30 steps."""

    def stop(done, total, latest):
        if done >= 30:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bioFA.simulate(experiment, 3, "numpy", folder=folder, progress=stop)


def test_a_damaged_last_segment_is_run_again(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "INTERVAL", 0.0)
    experiment = model(duration="60 ms")
    stopped_half_way(experiment, tmp_path / "cut")
    last = sorted((tmp_path / "cut" / "checkpoint").glob("stretch-*.h5"))[-1]
    last.write_bytes(last.read_bytes()[:-40])
    bioFA.resume(tmp_path / "cut")
    bioFA.simulate(experiment, 3, "numpy", folder=tmp_path / "whole")
    assert equal(arrays(tmp_path / "whole" / RESULT), arrays(tmp_path / "cut" / RESULT))


@pytest.mark.parametrize("damaged", first_of(1, 0, 2))
def test_a_large_state_is_kept_of_three_segments_and_what_was_damaged_is_run_again(damaged, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "INTERVAL", 0.0)
    monkeypatch.setattr(checkpoint, "BULKY", 1)
    experiment = model(duration="60 ms")
    stopped_half_way(experiment, tmp_path / "cut")
    files = sorted((tmp_path / "cut" / "checkpoint").glob("stretch-*.h5"))
    held = [checkpoint._read_segment(path) for path in files]
    assert len(held) == 11
    assert [number for number, segment in enumerate(held) if segment.state] == [0, 9, 10]
    assert [number for number, segment in enumerate(held) if not segment.thinned] == [0, 9, 10]
    for path in files[len(files) - damaged :]:
        path.write_bytes(path.read_bytes()[:-40])
    seen = []
    bioFA.resume(tmp_path / "cut", progress=lambda done, total, latest: seen.append(done))
    assert seen[0] == {0: 33, 1: 30, 2: 3}[damaged]  # the last state that is whole
    bioFA.simulate(experiment, 3, "numpy", folder=tmp_path / "whole")
    assert equal(arrays(tmp_path / "whole" / RESULT), arrays(tmp_path / "cut" / RESULT))


def test_where_segments_end_changes_nothing(result, tmp_path, monkeypatch):
    result.save(tmp_path / "many.h5")
    monkeypatch.setattr(free_run, "SEGMENTS", 1)
    bioFA.simulate(result.experiment, 3, "numpy").save(tmp_path / "one.h5")
    assert equal(arrays(tmp_path / "many.h5"), arrays(tmp_path / "one.h5"))


def test_a_result_survives_its_file(result, tmp_path):
    again = bioFA.load_result(result.save(tmp_path / "kept.h5"))
    assert str(again) == str(result)
    assert json.dumps(again.summary()) == json.dumps(result.summary())
    for name, table in result.frames().items():
        assert len(table) > 0
        assert table.equals(again.frames()[name])
    for name in ("exc", "other"):
        assert np.array_equal(again.spectra[name], result.spectra[name])
    again.save(tmp_path / "copied.h5")
    assert equal(arrays(tmp_path / "kept.h5"), arrays(tmp_path / "copied.h5"))


def test_a_result_whose_file_changed_or_went_says_so(result, tmp_path):
    kept = bioFA.load_result(result.save(tmp_path / "kept.h5"))
    shutil.copy(tmp_path / "kept.h5", tmp_path / "other.h5")
    os.replace(tmp_path / "other.h5", tmp_path / "kept.h5")
    with pytest.raises(ChangedSince, match="has changed since it was read"):
        kept.spikes("exc")
    (tmp_path / "kept.h5").unlink()
    with pytest.raises(bioFA.FileError, match="no longer there"):
        kept.traces[0].read("v")


def test_a_run_without_a_folder_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    found = bioFA.simulate(model(duration="20 ms"), seed=3, backend="numpy")
    assert len(os.listdir(tmp_path)) == 1
    assert len(found.spikes("exc")[0]) == found.monitors.counts["exc"]
    del found
    assert os.listdir(tmp_path) == []


def test_tables_and_datasets_hold_what_was_recorded(result):
    frames = result.frames()
    assert list(frames["measures"]["population"]) == ["exc", "other"]
    counts = frames["spikes"].groupby(["population", "trial"]).size()
    assert counts["exc", 1] == len(result.spikes("exc", 1)[0])
    one = frames["traces"].query("variable == 'g' and trial == 1 and neuron == 3")
    assert np.array_equal(one["value"], result.traces[0].read("g", 1)[:, 1])
    assert len(frames["rates"]) == 2 * 2 * 20
    pytest.importorskip("xarray")
    dataset = result.to_xarray()
    assert dataset["exc.v"].dims == ("trial", "exc_time", "exc_neuron")
    assert np.array_equal(dataset["exc.v"].sel(trial=1), result.traces[0].read("v", 1))
    second = dataset["exc.trial"].values == 1
    assert np.array_equal(dataset["exc.time"].values[second], result.spikes("exc", 1)[1])
    assert dataset["other.rate"].shape == (2, 20)


# what a user sees


def test_the_summary_says_what_each_measure_is_of(result):
    text = str(result)
    assert "2 trials of 0.1 s in steps of 1 ms, each measured from 20 ms to its end" in text
    assert "mean of 6 neurons, 6 of which spike" in text
    assert "neurons with at least 3 intervals" in text
    assert "counts in 100 ms, of which fewer than two fit what is measured" in text
    assert "variance over mean of the spikes of 6 neurons in 3 ms" in text
    assert f"{result.monitors.counts['exc']} spikes of exc" in text
    assert not any(word in text for word in ("NSE", "learn", "explicit", "presentation"))
    summary = result.summary()
    assert (summary["trials"], summary["duration_s"], summary["warm_up_s"]) == (2, 0.1, 0.02)
    assert summary["measures"][0]["neurons_with_cv"] == result.measures[0].neurons_with_cv


def test_a_silent_and_a_saturated_population_are_found():
    quiet = CELL.replace(threshold="v > 100")
    found = bioFA.simulate(model(cell=quiet, duration="50 ms"), seed=1, backend="numpy")
    assert [(finding.kind, finding.place) for finding in found.findings] == [("silent", "exc"), ("silent", "other")]
    assert "no neuron of 'exc' spikes once from 0 s to 50 ms" in str(found)
    assert found.metrics["exc.rate"] == 0.0
    loud = CELL.replace(threshold="v > -1")
    found = bioFA.simulate(model(cell=loud, duration="50 ms"), seed=1, backend="numpy")
    assert [finding.kind for finding in found.findings] == ["saturated", "saturated"]
    assert "333 Hz" in str(found)


def test_a_run_that_diverges_says_when():
    wild = CELL.replace(model="dv/dt = v*v*v/ms : 1\ndrive = v : 1\ng : 1", initial={"v": 3.0}, threshold="v < -1")
    with pytest.raises(Diverged, match=r"exc\.v is no longer finite between .* ms and .* ms. Give a smaller dt"):
        bioFA.simulate(model(cell=wild), seed=1, backend="numpy")


def test_the_command_line_runs_shows_and_reports(place):
    out = place / "out"
    files = {f"{stem}{suffix}" for stem in ("raster", "traces", "spectrum") for suffix in (".png", ".pdf", ".svg")}
    assert {path.name for path in out.iterdir()} == {RESULT, *files}
    printed = biofa("run", place / "passing.toml", "--backend", "numpy", "--out", place / "two", "--no-figures")
    assert "CV of intervals" in printed
    assert "biofa verify" in printed
    listed = biofa("run", place / "passing.toml", "--backend", "numpy", "--out", place / "three", "--json", "--seed", 2)
    assert json.loads(listed)["measures"][0]["population"] == "exc"
    numpy = ("--backend", "numpy", "--no-figures")
    watched = biofa("run", place / "passing.toml", *numpy, "--out", place / "four", "--watch")
    assert "300 of 300 steps" in watched
    assert "# The network" in biofa("show", place / "passing.toml")
    assert "2 populations" in biofa("audit", place / "passing.toml")
    assert "is what was written" in biofa("check", out)
    biofa("report", out)
    page = (out / "report.html").read_text()
    assert "without a task" in page
    assert "mean of 6 neurons" in page
    assert not any(f'id="{section}"' in page for section in ("learning", "weights", "spikes"))
    biofa("bundle", out, "--out", place / "bundle")
    biofa("import", place / "bundle", "--out", place / "back")


def test_a_notebook_shows_the_measures_and_the_raster(result):
    html = result._repr_html_()
    assert "CV of intervals" in html
    assert "data:image/png" in html
    assert "NSE" not in html
    assert "scheme" not in result.experiment._repr_html_().split("<details>")[0]


@pytest.mark.parametrize("name", [name for name, format in FORMATS.items() if not format.holds_free])
def test_a_format_without_a_place_for_it_is_refused(name, place):
    found = biofa("export", place / "out", "--to", name, "--out", place / f"as_{name}", code=2)
    assert "in which time passes without a task" in found
    assert not (place / f"as_{name}").exists()


def test_what_cannot_be_done_is_said_in_one_sentence(place):
    file, out = place / "passing.toml", place / "out"
    for arguments in (
        ("compare", file, "--tune", "--out", place / "cmp"),
        ("compare", file, "--margin", "0.1", "--out", place / "cmp"),
    ):
        assert "lets time pass without a task" in biofa(*arguments, code=2)
    assert "Compare them apart" in biofa("compare", "--models", f"{file},linear", "--out", place / "cmp", code=2)
    assert "nothing is left" in biofa("run", file, "--after", out / RESULT, "--out", place / "longer", "--backend",
                                      "numpy", "--seed", "1", code=2)  # fmt: skip
    assert "finished" in biofa("resume", out, code=2)
    assert "duration" in biofa("run", file, "--set", "protocol.epochs=3", "--out", place / "longer", code=2)
    linear = bioFA.load("linear", {"task.examples": 5, "task.test_examples": 5})
    taught = bioFA.simulate(linear, backend="numpy")
    with pytest.raises(ModelError, match="presented examples, so it recorded no spikes"):
        taught.spikes("hidden")
    with pytest.raises(ModelError, match="in 'passing' time passes without a task"):
        bioFA.to_brian2(out / RESULT)


def test_more_background_spikes_a_step_than_can_be_drawn_are_refused():
    """Beyond a mean of 745, exp(-mean) is 0, and every number drawn would be the largest."""
    small = {"constants.order": 10, "protocol.duration": "300 ms"}
    draw(bioFA.load("random_ei", small | {"constants.nu_ext": 499}), 1)
    with pytest.raises(ModelError, match="at most 500 spikes a step of 0"):
        draw(bioFA.load("random_ei", small | {"constants.nu_ext": 501}), 1)


def test_the_model_card_says_how_neurons_are_joined_driven_and_recorded():
    cells = [cell for table in card(model(warm_up="20 ms")) for row in table.rows for cell in row]
    assert "fan_in, count = 2, no multapses, autapses; delay uniform, low = 1 ms, high = 5 ms" in cells
    assert "port exc, rate 50 Hz, weight 0.2, count 1" in cells
    assert "100 a trial, measured from step 20 on" in cells
    assert "exc.v, exc.g of neurons 0, 3, every 2 ms" in cells
    assert not any("NSE" in cell or "presentation" in cell for cell in cells)


@jobs_here()
def test_a_comparison_tabulates_the_measures_of_every_value(tmp_path):
    file = tmp_path / "passing.toml"
    file.write_text(bioFA.dumps(model(duration="60 ms", record={})))
    command = ("compare", file, "--set", "protocol.warm_up=0 ms,20 ms", "--seeds", 2, "--backend", "numpy")
    printed = biofa(*command, "--out", tmp_path / "out")
    assert "4 of 4 runs finished" in printed
    assert "passing, warm_up 0 ms" in printed
    assert not any(word in printed for word in ("NSE", "nse", "pair", "order", "explicit"))
    found = bioFA.load_comparison(tmp_path / "out")
    for warm_up in ("0 ms", "20 ms"):
        rows = found.table[found.table["protocol.warm_up"] == warm_up]
        expected = [
            bioFA.simulate(bioFA.load(str(file), {"protocol.warm_up": warm_up}), seed, "numpy").metrics
            for seed in (1, 2)
        ]
        assert list(rows["exc.rate"]) == [one["exc.rate"] for one in expected]
        row = next(
            row
            for row in found.outcome["measures"]
            if (row["measure"], row["settings"]) == ("exc.rate", {"protocol.warm_up": warm_up})
        )
        assert row["values"] == list(rows["exc.rate"])
        assert row["value"] == pytest.approx(np.mean(row["values"]))
        assert f"{row['value']:.4g} ({min(row['values']):.4g} to {max(row['values']):.4g})" in printed
    assert "exc.rate" in found._repr_html_()
    assert (
        "What do the populations of passing do without a task for each value of protocol.warm_up"
        in found.report.read_text()
    )
    file.write_text(bioFA.dumps(model(duration="60 ms", record={}, cell=CELL.replace(threshold="v > 100"))))
    silent = biofa("compare", file, "--seeds", 1, "--backend", "numpy", "--out", tmp_path / "silent")
    assert "WARNING    passing, all 1 runs: no neuron of 'other' spikes once" in silent


# verification


class Late(Reference):
    """A consumer whose delays are one step too long."""

    def __init__(self, instance):
        late = [p.replace(delay="3 ms") if p.name == "out" else p for p in instance.experiment.network.pathways]
        network = instance.experiment.network.replace(pathways=tuple(late))
        super().__init__(draw(instance.experiment.replace(circuit=network), instance.seed))

    def segment(self, state, feed, learning, **options):
        under_way = state["out.under_way"]
        longer = np.concatenate([under_way, np.zeros_like(under_way[:1])])
        found = super().segment({**state, "out.under_way": longer}, feed, learning, **options)
        return Segment(
            {**found.state, "out.under_way": found.state["out.under_way"][: len(under_way)]},
            found.recording,
            spikes=found.spikes,
            traces=found.traces,
        )


def test_two_equal_readings_agree_and_a_delay_off_by_one_step_does_not():
    experiment = model(trials=3, duration="250 ms")
    instance = draw(experiment, 1)
    same = bioFA.verify(experiment, against=Reference(instance))
    assert same.passes
    assert (same.trials, same.steps) == (2, 250)
    assert same.spikes["exc"][0] > 50
    assert set(same.parted.values()) == {None}
    assert "two whole runs have every spike equal" in str(same)
    other = bioFA.verify(experiment, against=Late(instance))
    assert not other.agrees
    assert other.spikes["other"][1] > 0 or any(name.startswith(("other.", "out.")) for name in other.first_excess)
    assert other.summary()["first_excess_s"]


class Drifting(Reference):
    """A consumer that rounds a sum otherwise, a little more in every piece."""

    def segment(self, state, feed, learning, **options):
        found = super().segment(state, feed, learning, **options)
        drifted = {n: a * (1 + 1e-11) if n.endswith(".x") else a for n, a in found.state.items()}
        return Segment(drifted, found.recording, spikes=found.spikes, traces=found.traces)


def test_each_piece_begins_from_the_state_of_the_program():
    """Over the whole the difference would be twice what is allowed."""
    experiment = model(duration="2 s", cell=CELL.replace(model=f"{CELL.model}\ndx/dt = 1/second : 1"))
    found = bioFA.verify(experiment, presentations=1, against=Drifting(draw(experiment, 1)))
    assert found.steps == 2000
    assert found.agrees
    assert 1e-12 < found.max_relative_difference < 2e-11


def test_verification_of_a_silent_network_says_nothing():
    quiet = model(cell=CELL.replace(threshold="v > 100"), duration="50 ms")
    with pytest.raises(NothingToCompare, match="nothing spiked in 50 steps"):
        bioFA.verify(quiet, against=Reference(draw(quiet, 1)))


def test_a_run_has_twenty_segments_where_that_costs_little_and_no_large_one():
    small, large = draw(model(duration="10 s"), 1), draw(model(duration="900 s", size=5000, record={}), 1)
    assert len(free_run.cuts(small, compiles=False)) == 21
    assert free_run.cuts(small, compiles=True) == [0, 5000, 10_000]
    ends = np.array(free_run.cuts(large, compiles=True))
    assert (ends[0], ends[-1]) == (0, 900_000)
    assert 0.9 * free_run.MOST_NEURON_STEPS < np.diff(ends).max() * 5003 <= free_run.MOST_NEURON_STEPS + 5003
    traced = model(
        duration="900 s", record={"traces": [{"population": "exc", "variables": ["v"], "neurons": range(6)}]}
    )
    assert np.diff(free_run.cuts(draw(traced, 1), compiles=False)).max() * 6 * 8 <= free_run.MOST_TRACED


@pytest.mark.compiled
def test_a_compiled_run_is_the_same_wherever_it_is_stopped_and_spikes_as_the_reference(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "INTERVAL", 0.0)
    monkeypatch.setattr(free_run, "COSTLY", 1)
    experiment = model(trials=2, warm_up="20 ms")
    found = bioFA.simulate(experiment, 3, "cpp", folder=tmp_path / "whole")
    reference = bioFA.simulate(experiment, 3, "numpy")
    for name in ("exc", "other"):
        for trial in (0, 1):
            assert np.array_equal(found.spikes(name, trial)[0], reference.spikes(name, trial)[0])
            assert np.array_equal(found.spikes(name, trial)[1], reference.spikes(name, trial)[1])
    assert np.allclose(found.traces[0].read("v", 1), reference.traces[0].read("v", 1), atol=1e-12)
    assert found.metrics == reference.metrics

    def stop(done, total, latest):
        if done > 110:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bioFA.simulate(experiment, 3, "cpp", folder=tmp_path / "cut", progress=stop)
    bioFA.resume(tmp_path / "cut")
    assert equal(arrays(tmp_path / "whole" / RESULT), arrays(tmp_path / "cut" / RESULT))
    assert bioFA.verify(experiment).passes
