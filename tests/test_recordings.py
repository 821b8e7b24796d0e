"""Recordings as others lay them out: every spike is in the bin of its step, time that was not recorded is no silence,
and nothing is passed over without a word."""

import datetime

import h5py
import neo
import numpy as np
import pynwb
import pytest
import quantities as pq
from tiers import first_of

import bioFA
from bioFA.errors import FileError
from bioFA.exchange import sonata
from bioFA.neurons.spikes_from import SpikesFrom
from bioFA.tasks.arrays import Arrays
from bioFA.tasks.recorded_trials import RecordedTrials
from bioFA.units import DOUBLE, bin_of

BEGAN = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
GRIDS = (1e-3 / 3, 0.1e-3, 0.2e-3, 0.25e-3, 1e-3)
ONE_GRID = first_of(*GRIDS)


def clocks(dt, steps=1_000_000):
    """The times of steps as simulators write them, and the share of themselves to which the numbers are rounded."""
    k, ms = np.arange(steps), dt * 1e3
    return {
        "a product": (k * dt, DOUBLE),
        "milliseconds": ((k * ms) / 1000, DOUBLE),
        "times a thousandth": ((k * ms) * 1e-3, DOUBLE),
        "a quotient": (k / (1 / dt), DOUBLE),
        "rounded": (np.round(k * dt, 15), DOUBLE),
        "nanoseconds": (np.round(k * dt, 9), DOUBLE),
        "picoseconds": (np.round(k * ms, 9) / 1000, DOUBLE),
        "a clock that adds": (np.concatenate([[0.0], np.cumsum(np.full(steps - 1, dt))]), DOUBLE),
        "a clock that adds milliseconds": (np.concatenate([[0.0], np.cumsum(np.full(steps - 1, ms))]) / 1000, DOUBLE),
        "float32": ((k * dt).astype(np.float32), 2.0**-23),
        "a product in float32": (k.astype(np.float32) * np.float32(dt), 2.0**-23),
    }


@pytest.mark.parametrize("dt", ONE_GRID)
def test_a_spike_of_a_step_is_in_the_bin_of_that_step_for_a_million_steps(dt):
    steps = np.arange(1_000_000)
    for way, (times, precision) in clocks(dt).items():
        np.testing.assert_array_equal(bin_of(times, 0.0, dt, precision), steps, err_msg=way)
        np.testing.assert_array_equal(bin_of(times, 1234 * dt, dt, precision), steps - 1234, err_msg=way)
        np.testing.assert_array_equal(bin_of(times, 0.0, 7 * dt, precision), steps // 7, err_msg=way)
        np.testing.assert_array_equal(
            bin_of(times.astype(float) + dt / 2, 0.0, dt, precision), steps, err_msg=f"{way}, in the middle"
        )


def test_a_time_inside_a_bin_is_in_that_bin():
    assert bin_of([0.4999, 0.5, 0.99999, 1.0 - 1e-12, -1e-12, -0.1], 0.0, 0.5).tolist() == [0, 1, 1, 2, 0, -1]


def nwb(path, change=lambda file: None, spikes=(), trials=6, choice="ab", **unit):
    file = pynwb.NWBFile(session_description="t", identifier="t", session_start_time=BEGAN)
    for times in spikes:
        file.add_unit(spike_times=times, **unit)
    if trials:
        file.add_trial_column("choice", "what was chosen")
        for n in range(trials):
            file.add_trial(start_time=float(n), stop_time=n + 0.5, choice=choice[n % len(choice)])
    change(file)
    with pynwb.NWBHDF5IO(str(path), "w") as io:
        io.write(file)
    return str(path)


def nwb_of_many(path, spikes, **content):
    """A file of so many spikes that pynwb, which looks at each, would take 10 s: it writes the first ones only."""
    nwb(path, spikes=[times[:1] for times in spikes], **content)
    ends = np.cumsum([len(times) for times in spikes])
    with h5py.File(path, "r+") as file:
        units = file["units"]
        for name, array in {"spike_times": np.concatenate(spikes), "spike_times_index": ends}.items():
            attributes = dict(units[name].attrs)
            del units[name]
            units[name] = array
            units[name].attrs.update(attributes)
        units["spike_times_index"].attrs["target"] = units["spike_times"].ref
    return str(path)


def nix(path, *segments, name="session"):
    block = neo.Block(name=name)
    block.segments = list(segments)
    io = neo.NixIO(str(path), "ow")
    io.write_block(block)
    io.close()
    return str(path)


def segment(name, spikes, epochs=(), stop=6.0, **annotations):
    part = neo.Segment(name=name, **annotations)
    for number, times in enumerate(spikes):
        part.spiketrains.append(neo.SpikeTrain(times * pq.s, t_stop=stop * pq.s, name=f"unit {number}"))
    part.epochs.extend(epochs)
    return part


def epoch(name, times, **columns):
    labels = columns.pop("labels", np.array(["x"] * len(times)))
    return neo.Epoch(
        times=np.asarray(times, float) * pq.s,
        durations=np.full(len(times), 0.5) * pq.s,
        labels=np.asarray(labels),
        name=name,
        array_annotations={key: np.asanyarray(value) for key, value in columns.items()},
    )


STEPS = 1_000_000
IN_A_FILE = ("a product", "milliseconds", "a clock that adds", "nanoseconds", "float32")


def of_steps(dt, *ways):
    """Every step of a million that 3 divides, as each way writes them, and the number of spikes in each step."""
    written = clocks(dt, STEPS)
    return [written[way][0][::3] for way in ways], (np.arange(STEPS) % 3 == 0).astype(float).reshape(4, STEPS // 4)


def read_whole(path, dt):
    return np.asarray(
        RecordedTrials(path=str(path), label="choice", window=STEPS // 4 * dt, bins_per_trial=STEPS // 4)
        .draw(None)
        .train.inputs
    )


@pytest.mark.filterwarnings("ignore::hdmf.build.warnings.DtypeConversionWarning")
@pytest.mark.parametrize("dt", ONE_GRID)
@pytest.mark.parametrize("kind", ["nwb", "nix"])
def test_a_million_steps_of_a_simulator_come_back_from_a_recording_each_in_its_step(kind, dt, tmp_path):
    (spikes, steps), starts = of_steps(dt, *IN_A_FILE), np.arange(4) * (STEPS // 4) * dt

    def add(file):
        file.add_trial_column("choice", "c")
        for n, start in enumerate(starts):
            file.add_trial(start_time=start, stop_time=start + STEPS // 4 * dt, choice="ab"[n % 2])

    path = (
        nwb_of_many(tmp_path / "r.nwb", spikes, change=add, trials=0)
        if kind == "nwb"
        else nix(
            tmp_path / "r.nix", segment("s", spikes, [epoch("trials", starts, choice=list("abab"))], stop=STEPS * dt)
        )
    )
    found = read_whole(path, dt)
    for unit, way in enumerate(IN_A_FILE):
        np.testing.assert_array_equal(found[:, :, unit], steps, err_msg=way)


@pytest.mark.parametrize("dt", GRIDS)
def test_a_million_steps_in_milliseconds_come_back_from_a_nix_file(dt, tmp_path):
    (times,), steps = of_steps(dt, "a product")
    train = neo.SpikeTrain(np.asarray(times) * 1e3 * pq.ms, t_stop=STEPS * dt * 1e3 * pq.ms)
    trials = neo.Epoch(
        np.arange(4) * (STEPS // 4) * dt * 1e3 * pq.ms,
        durations=np.full(4, 1.0) * pq.ms,
        labels=list("abab"),
        name="trials",
        array_annotations={"choice": np.array(list("abab"))},
    )
    part = neo.Segment(name="s")
    part.spiketrains.append(train)
    part.epochs.append(trials)
    np.testing.assert_array_equal(read_whole(nix(tmp_path / "r.nix", part), dt)[:, :, 0], steps)


def test_a_million_steps_come_back_from_an_npz_file(tmp_path):
    raster = np.zeros((4, STEPS // 4, 1), dtype=bool)
    raster[..., 0] = of_steps(1e-3, "a product")[1]
    np.savez(tmp_path / "r.npz", inputs=raster, targets=np.eye(4))
    np.testing.assert_array_equal(Arrays(path=str(tmp_path / "r.npz")).draw(None).train.inputs, raster)


@pytest.mark.parametrize("dt", GRIDS)
def test_a_million_steps_that_sonata_holds_are_each_in_their_step(dt, tmp_path):
    raster = np.zeros((STEPS, 1), dtype=np.uint8)
    raster[::3] = 1
    sonata._write_spikes(tmp_path / "spikes.h5", {"cells": raster}, 1e3 * dt)
    with h5py.File(tmp_path / "spikes.h5") as file:
        times = file["spikes/cells/timestamps"][:] * 1e-3
    np.testing.assert_array_equal(bin_of(times, dt, dt), np.arange(0, STEPS, 3))
    assert np.abs(times / dt - np.arange(1, STEPS + 1, 3)).max() < 1e-9  # as they were, not rounded to decimals


def test_times_too_coarse_for_their_bins_are_refused_with_how_coarse_they_are(tmp_path):
    times = (np.arange(2000) * 1e-4 + 990).astype(np.float32)
    path = nix(
        tmp_path / "r.nix", segment("s", [times], [epoch("trials", [990.0, 990.1], choice=["a", "b"])], stop=1000.0)
    )
    with pytest.raises(
        FileError,
        match=r"spike times of unit 0 are float32 numbers, known to 9.2e-05 s at 990.\d* s, and a bin lasts 0.0001 s",
    ):
        RecordedTrials(path=path, label="choice", window=0.1, bins_per_trial=1000).draw(None)
    assert (
        RecordedTrials(path=path, label="choice", window=0.1, bins_per_trial=10).draw(None).train.inputs.sum() == 2000
    )
    whole = nix(
        tmp_path / "w.nix",
        segment("s", [np.array([990.0, 990.125])], [epoch("trials", [990.0, 990.1], choice=["a", "b"])], stop=1000.0),
    )
    # few digits, and no more were there
    assert (
        RecordedTrials(path=whole, label="choice", window=0.1, bins_per_trial=1000).draw(None).train.inputs.sum() == 2
    )


TICKS = np.arange(0.05, 10, 0.1)


def read(path, **fields):
    return RecordedTrials(**({"path": path, "label": "choice", "window": 0.4} | fields)).draw(None)


def without_trial_4(file):
    file.trials.columns[0].data[4] = float("nan")


GAPS = {
    "the unit was recorded for a while": (
        {"spikes": [TICKS[TICKS < 3]], "obs_intervals": [[0.0, 3.0]]},
        [0, 1, 2],
        "row 3 of 'trials' lies from 3 to 3.4 s, and unit 0 was recorded from 0 to 3 s",
    ),
    "a gap": ({"spikes": [TICKS], "obs_intervals": [[0.0, 1.2], [2.0, 9.0]]}, [0, 2, 3, 4, 5], "row 1 of 'trials'"),
    "a trial without a start": (
        {"spikes": [TICKS], "change": without_trial_4},
        [0, 1, 2, 3, 5],
        "row 4 of 'trials' has no start",
    ),
    "an invalid time": (
        {"spikes": [TICKS], "change": lambda file: file.add_invalid_time_interval(start_time=1.1, stop_time=2.2)},
        [0, 3, 4, 5],
        "the file calls 1.1 to 2.2 s invalid",
    ),
    "a trial without a label": (
        {"spikes": [TICKS], "choice": ["a", "b", ""]},
        [0, 1, 3, 4],
        "row 2 of 'trials' has no 'choice'",
    ),
}


@pytest.mark.parametrize("case", GAPS)
def test_time_that_was_not_recorded_is_no_silence(case, tmp_path):
    fields, left, complaint = GAPS[case]
    path = nwb(tmp_path / "r.nwb", **fields)
    with pytest.raises(FileError) as caught:
        read(path)
    assert complaint in str(caught.value)
    assert "incomplete = 'leave_out'" in str(caught.value)
    data = read(path, incomplete="leave_out")
    assert len(data.train) == len(left)
    assert (np.asarray(data.train.inputs) == 4).all()
    assert data.notes[-1].startswith(f"left out {6 - len(left)} of 6 trials: row")


def test_a_spike_train_that_ends_before_a_trial_is_no_silence(tmp_path):
    path = nix(
        tmp_path / "r.nix",
        segment("s", [TICKS[TICKS < 4]], [epoch("trials", range(6), choice=list("ababab"))], stop=4.0),
    )
    with pytest.raises(
        FileError,
        match=(
            r"trial 4 of 'trials' in segment 0 lies from 4 to 4.4 s, and unit 0 was recorded from 0 to 4 s \(2 trials"
            r" are like that\)"
        ),
    ):
        read(path)
    assert SpikesFrom(path=path).notes(1e-3, 4000, {}) == ()
    assert SpikesFrom(path=path, start="1 s").notes(1e-3, 4000, {}) == (
        "10 of 40 spikes are not shown, for a trial shows 1 s to 5 s",
        "1 of 1 neurons were not recorded in all of 1 s to 5 s, and are shown as silent where they were not: neuron 0"
        " was recorded from 0 s to 4 s",
    )


def test_trials_that_share_spikes_are_told(tmp_path):
    path = nwb(tmp_path / "r.nwb", spikes=[TICKS])
    assert not any("overlap" in note for note in read(path, window=1.0).notes)
    assert "6 of 6 trials overlap another in time, so that" in "\n".join(read(path, window=1.2).notes)


def test_windows_that_go_on_after_the_trial_are_counted_whatever_they_begin_at(tmp_path):
    given = [TICKS] * 2
    for path in (
        nwb(tmp_path / "r.nwb", spikes=given),
        nix(tmp_path / "r.nix", segment("one", given, [epoch("t", range(6), choice=list("ababab"))], stop=10.0)),
    ):
        assert not any("by the file" in note for note in read(path, window=0.5).notes)
        said = "the windows of 6 of 6 trials end after the trial does by the file, so that they show what came later"
        assert said in "\n".join(read(path, window=0.6).notes)
        assert said in "\n".join(read(path, window=0.5, offset=0.1).notes)


def test_all_segments_and_all_epochs_of_a_block_are_trials(tmp_path):
    spikes = [TICKS[TICKS < 6], TICKS[TICKS < 6] + 0.01]
    path = nix(
        tmp_path / "r.nix",
        *(
            segment(
                name, spikes, [epoch("go", [0, 1], choice=["a", "b"]), epoch("nogo", [3, 4, 5], choice=["b", "b", "a"])]
            )
            for name in ("one", "two")
        ),
    )
    data = read(path)
    assert len(data.train) == 10
    np.testing.assert_array_equal(data.train.labels, [0, 1, 1, 1, 0] * 2)
    np.testing.assert_array_equal(read(path, label="name").train.labels, [0, 0, 1, 1, 1] * 2)
    only = read(path, trials="nogo")
    assert len(only.train) == 6
    assert [note for note in only.notes if "'go'" in note] == [
        f"not used of segment {at}: rec_datetime (1 value), epoch 'go' (2 values)" for at in ("0 ('one')", "1 ('two')")
    ]
    with pytest.raises(FileError, match=r"no trials called 'noo'.*Did you mean 'nogo'"):
        read(path, trials="noo")


def test_labels_of_an_epoch_and_events_can_be_asked_for(tmp_path):
    part = segment("s", [TICKS[TICKS < 6]], [epoch("stimulus", [0, 1, 2], labels=["left", "right", "left"])])
    part.events.append(neo.Event(times=[3, 4] * pq.s, labels=np.array(["lick", "no lick"]), name="licks"))
    path = nix(tmp_path / "r.nix", part)
    np.testing.assert_array_equal(read(path, label="labels").train.labels, [0, 1, 0])
    assert (
        "not used of segment 0 ('s'): rec_datetime (1 value), event 'licks' (2 values)" in read(
            path, label="labels"
        ).notes
    )
    np.testing.assert_array_equal(read(path, label="labels", trials="licks").train.labels, [0, 1])


def test_a_segment_is_a_trial_where_there_are_no_epochs(tmp_path):
    path = nix(
        tmp_path / "r.nix",
        *(segment(f"trial {n}", [TICKS[TICKS < 1][: n + 1]], stop=1.0, choice="ab"[n % 2]) for n in range(6)),
    )
    data = read(path)
    np.testing.assert_array_equal(data.train.labels, [0, 1] * 3)
    np.testing.assert_array_equal(np.ravel(data.train.inputs), [1, 2, 3, 4, 4, 4])


def test_segments_with_other_units_are_refused(tmp_path):
    path = nix(
        tmp_path / "r.nix",
        segment("one", [TICKS[:5]], [epoch("t", [0], choice=["a"])]),
        segment("two", [TICKS[:5]] * 2, [epoch("t", [0], choice=["b"])]),
    )
    with pytest.raises(FileError, match=r"segment 1 \('two'\) has 2 spike trains, and segment 0 \('one'\) has 1"):
        read(path)


def test_other_intervals_and_times_to_align_to_are_used_when_named_and_noted_otherwise(tmp_path):
    def change(file):
        file.add_trial_column("go_time", "when", data=[n + 0.25 for n in range(6)])
        table = pynwb.epoch.TimeIntervals(name="probes", description="p")
        table.add_column("choice", "c")
        for n in range(3):
            table.add_interval(start_time=n + 0.1, stop_time=n + 0.2, choice="ab"[n % 2])
        file.add_time_intervals(table)
        file.add_acquisition(pynwb.TimeSeries(name="lfp", data=[1.0], unit="V", rate=1.0, starting_time=0.0))

    path = nwb(tmp_path / "r.nwb", change, [TICKS])
    data = read(path)
    assert (
        "not used of acquisition/lfp: data (1 value), data@conversion (1 value), data@offset (1 value), data@resolution"
        " (1 value), data@unit (1 value), starting_time (1 value), "
        in "\n".join(data.notes)
    )
    assert (
        "not used of intervals/probes: choice (3 values), id (3 values), start_time (3 values), stop_time (3 values)"
        in data.notes
    )
    assert "not used of intervals/trials: go_time (6 values), stop_time (6 values)" in data.notes
    assert "not used: 76 of 100 spikes, which are in the window of no trial" in data.notes
    np.testing.assert_array_equal(np.ravel(read(path, align="go_time", window=0.1).train.inputs), np.ones(6))
    assert len(read(path, trials="probes").train) == 3
    assert len(read(path, trials=["trials", "probes"]).train) == 9
    with pytest.raises(FileError, match="must hold times in seconds"):
        read(path, align="choice")


NOTHING = {
    "no units": (lambda p: nwb(p), "no table of units"),
    "no spikes": (
        lambda p: nwb(p, lambda file: (file.add_unit_column("location", "a"), file.add_unit(location="MT"))),
        "no column spike_times; it has: location",
    ),
    "no trials": (lambda p: nwb(p, spikes=[TICKS], trials=0), "no table of trials"),
    "no label": (lambda p: nwb(p, lambda file: None, [TICKS]), "no column 'answer'"),
}


@pytest.mark.parametrize("case", NOTHING)
def test_a_file_without_what_is_asked_for_is_refused_by_name(case, tmp_path):
    make, complaint = NOTHING[case]
    with pytest.raises(FileError, match=complaint):
        read(make(tmp_path / "r.nwb"), label="answer" if case == "no label" else "choice")


def test_a_result_holds_what_was_not_read(tmp_path):
    path = nwb(
        tmp_path / "r.nwb",
        lambda file: file.add_acquisition(pynwb.TimeSeries(name="lfp", data=[1.0], unit="V", rate=1.0)),
        [TICKS],
    )
    experiment = bioFA.load(
        "linear",
        {
            "circuit.sizes": [1, 4, 2],
            "task": {"name": "recorded_trials", "path": path, "label": "choice", "window": "0.4 s"},
        },
    )
    result = bioFA.simulate(experiment, backend="numpy")
    assert "data               not used of acquisition/lfp: data (1 value)" in str(result)


def test_spikes_of_a_segment_without_trials_are_told(tmp_path):
    path = nix(
        tmp_path / "r.nix",
        segment("s", [TICKS[:60]], [epoch("t", [0, 1], choice=["a", "b"])]),
        segment("rest", [TICKS[:7]]),
    )
    assert any(
        note.startswith("not used of segment 1 ('rest'): ") and "spikes (7 values)" in note for note in read(path).notes
    )


def test_spikes_of_several_blocks_are_not_shown_as_those_of_the_first(tmp_path):
    blocks = [neo.Block(name=name) for name in "ab"]
    for block in blocks:
        block.segments.append(segment("s", [TICKS[:5]]))
    io = neo.NixIO(str(tmp_path / "r.nix"), "ow")
    io.write_all_blocks(blocks)
    io.close()
    with pytest.raises(FileError, match="2 segments of its 2 blocks have spike trains; expected one"):
        SpikesFrom(path=str(tmp_path / "r.nix")).trains(1, 1e-3, 100)


def test_a_segment_without_spike_trains_is_a_trial_that_was_not_recorded(tmp_path):
    path = nix(
        tmp_path / "r.nix",
        segment("a", [TICKS[:10]], stop=1.0),
        segment("b", [], stop=1.0),
        segment("b", [TICKS[:10]], stop=1.0),
    )
    with pytest.raises(FileError, match=r"segment 1 lies from 0 to 0.4 s, and unit 0 was recorded from no time"):
        read(path, label="name")
    data = read(path, label="name", incomplete="leave_out")
    np.testing.assert_array_equal(data.train.labels, [0, 1])
    assert data.notes[-1].startswith("left out 1 of 3 trials: segment 1")


@pytest.mark.parametrize("values", [("a", "b"), (0.5, 1.5), (1, 2), (True, False)], ids=str)
def test_a_segment_without_the_label_of_the_others_is_a_trial_without_a_label(values, tmp_path):
    parts = [segment("s", [TICKS[:10]], stop=1.0, choice=values[n % 2]) for n in range(3)]
    path = nix(tmp_path / "r.nix", *parts, segment("s", [TICKS[:10]], stop=1.0))
    with pytest.raises(FileError, match="segment 3 has no 'choice'"):
        read(path)
    data = read(path, incomplete="leave_out")
    np.testing.assert_array_equal(
        data.train.labels, [values[0] > values[1], values[1] > values[0], values[0] > values[1]]
    )


def test_trials_are_aligned_to_times_alone(tmp_path):
    path = nix(
        tmp_path / "r.nix",
        segment(
            "s",
            [TICKS[:60]],
            [
                epoch(
                    "t",
                    [0, 1, 2],
                    choice=list("aba"),
                    shock=[1.0, 2.0, 3.0] * pq.mV,
                    cue=[100.0, 1200.0, 2100.0] * pq.ms,
                )
            ],
        ),
    )
    with pytest.raises(
        FileError,
        match=r"the column 'shock' of epoch 't' of segment 0 .'s'. must hold times to align trials to; it is in mV",
    ):
        read(path, align="shock")
    assert len(read(path, align="cue").train) == 3
    assert len(read(path, label="shock").train) == 3


@pytest.mark.parametrize(
    "intervals",
    [[[0.0, 2.2], [2.2, 10.0]], [[2.0, 10.0], [0.0, 3.0]], [[0.0, 10.0], [1.0, 2.0]]],
    ids=["touching", "overlapping", "one in another"],
)
def test_intervals_that_touch_are_one(intervals, tmp_path):
    assert len(read(nwb(tmp_path / "r.nwb", spikes=[TICKS], obs_intervals=intervals)).train) == 6


def test_trials_that_are_named_twice_are_refused(tmp_path):
    path = nwb(tmp_path / "r.nwb", spikes=[TICKS])
    with pytest.raises(FileError, match="names 'trials' 2 times"):
        read(path, trials=["trials", "trials"])
