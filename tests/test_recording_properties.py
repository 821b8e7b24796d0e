"""Drawn recordings, NWB by pynwb and NIX by Neo: every spike is in its bin, and everything else is used,
named in the notes with its count, or refused by name."""

import datetime
import os
import warnings
from collections import Counter

import neo
import numpy as np
import pynwb
import pytest
import quantities as pq
from hdmf.common import VectorData
from hypothesis import event, given, settings
from hypothesis import strategies as st

from bioFA.errors import FileError, ModelError
from bioFA.tasks.recorded_trials import RecordedTrials

EXAMPLES = int(os.environ.get("BIOFA_EXAMPLES", 25))
BEGAN = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
DT, BINS, STEPS = 1e-3, 5, 20
"""Every time that is drawn is a whole number of steps; a window has 5 bins of 20 steps."""
WINDOW, END = BINS * STEPS, 1000
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module", autouse=True)
def _walked():
    """The files are the test's own, so no other process need walk them first: half a second each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bioFA.tasks.recorded_trials.inspect", lambda *paths: ())
        yield


steps = st.integers(0, END)
spikes = st.lists(steps, max_size=12)
SCALARS = {
    "texts": st.sampled_from(["a", "é", "nan", "left"]),
    "whole": st.integers(-2, 2),
    "flags": st.booleans(),
    "numbers": st.sampled_from([0.5, -1.0, 2.0]),
    "texts, one missing": st.sampled_from(["a", "b"]),
    "numbers, one missing": st.sampled_from([0.5, 1.5]),
}


@st.composite
def columns(draw, rows):
    """The values of a column, and which of them are missing."""
    kind = draw(st.sampled_from(sorted(SCALARS)))
    values, missing = draw(st.lists(SCALARS[kind], min_size=rows, max_size=rows)), set()
    if "missing" in kind and rows and draw(st.booleans()):
        missing = {draw(st.integers(0, rows - 1))}
        values = [
            ("" if kind.startswith("texts") else float("nan")) if row in missing else value
            for row, value in enumerate(values)
        ]
    return values, missing


def outcome(path, **fields):
    """What was read, or the message of the refusal with its code; any other error fails the test."""
    try:
        return (
            RecordedTrials(path=str(path), window=WINDOW * DT, bins_per_trial=BINS, label="choice", **fields).draw(
                None
            ),
            "",
        )
    except (FileError, ModelError) as error:
        return None, f"{error} [{error.code}]"


def counted(times, start):
    """Spikes in each bin of a trial that begins in a step, in whole numbers."""
    return np.bincount([(time - start) // STEPS for time in times if start <= time < start + WINDOW], minlength=BINS)


def compare(result, trials, units, labels):
    """Spikes, labels and what is said of the spikes against whole numbers;
    `trials` holds for each the spikes of each unit, and its start."""
    expected = np.array([[counted(of[unit], start) for unit in units] for of, start in trials]).transpose(0, 2, 1)
    np.testing.assert_array_equal(result.train.inputs, expected)
    known = sorted(set(labels))
    np.testing.assert_array_equal(result.train.labels, [known.index(label) for label in labels])


def unseen(parts, units):
    """How many spikes of these units are in no window of a part, and how many there are;
    `parts` holds spikes and starts."""
    seen = sum(
        sum(any(start <= time < start + WINDOW for start in starts) for time in of[unit])
        for of, starts in parts
        for unit in units
    )
    total = sum(len(of[unit]) for of, _ in parts for unit in units)
    return total - seen, total


def check_notes(result, held, lost, total):
    """Everything that is held beside is named with its count, and so are spikes that no trial has."""
    notes = "\n".join(result.notes)
    for place, name, count in held:
        said = [note for note in result.notes if note.startswith(f"not used of {place}:")]
        assert said, (place, notes)
        assert f"{name} ({count} value{'s' if count != 1 else ''})" in said[0], (name, count, said)
    assert (f"not used: {lost} of {total} spikes" in notes) == (lost > 0), notes


@settings(max_examples=EXAMPLES)
@given(data=st.data(), n=st.integers(1, 3), rows=st.sampled_from([0, 1, 2, 3, 3, 4, 4, 5]), leave_out=st.booleans())
def test_everything_of_an_nwb_file_is_used_or_noted_or_refused_by_name(data, n, rows, leave_out, tmp_path_factory):
    file = pynwb.NWBFile(session_description="s", identifier="i", session_start_time=BEGAN)
    held = [("the file", "identifier", 1), ("the file", "session_description", 1)]
    of, bad = [data.draw(spikes) for _ in range(n)], data.draw(st.sampled_from([None] * 9 + [0]))
    observed = data.draw(st.sampled_from([None, None, "all", "some"]))
    intervals = [
        (
            [[0, END]]
            if observed == "all"
            else data.draw(st.lists(st.tuples(steps, steps).map(sorted), min_size=1, max_size=2))
        )
        for _ in range(n)
    ]
    places, wave = data.draw(st.lists(st.sampled_from("AB"), min_size=n, max_size=n)), data.draw(st.booleans())
    where = data.draw(st.sampled_from([{}, {}, {"where": "area", "units": ["A"]}]))
    file.add_unit_column("area", "where")
    for unit in range(n):
        times = [time * DT for time in of[unit]] + ([float("nan")] if unit == bad else [])
        more = ({"obs_intervals": np.array(intervals[unit]) * DT} if observed else {}) | (
            {"waveform_mean": [1.0, 2.0, 3.0]} if wave else {}
        )
        file.add_unit(spike_times=np.array(times, dtype=float), area=places[unit], **more)
    held += [("units", "waveform_mean", 3 * n)] * wave + [("units", "area", n)] * (not where)
    starts, (choice, missing) = data.draw(st.lists(steps, min_size=rows, max_size=rows)), data.draw(columns(rows))
    unknown = {data.draw(st.integers(0, rows - 1))} if rows and data.draw(st.integers(0, 5)) == 0 else set()
    align = data.draw(st.booleans())
    for name in ("choice", "go", "tries") if rows else ():
        file.add_trial_column(name, "n", **({"index": True} if name == "tries" else {}))
    if not rows:  # pynwb writes no empty columns of its own
        file.trials = pynwb.epoch.TimeIntervals(
            name="trials",
            description="t",
            columns=[
                VectorData(name=name, description="d", data=np.empty(0))
                for name in ("start_time", "stop_time", "choice")
            ],
        )
    for row, start in enumerate(starts):
        begin = float("nan") if row in unknown else start * DT
        file.add_trial(
            start_time=0.0 if align else begin,
            stop_time=5.0,
            choice=choice[row],
            go=begin if align else 1.0,
            tries=[1, 2],
        )
    if rows:
        held += [
            ("intervals/trials", "stop_time", rows),
            ("intervals/trials", "tries", 2 * rows),
            ("intervals/trials", "start_time" if align else "go", rows),
        ]
    invalid = [sorted(data.draw(st.tuples(steps, steps)))] if data.draw(st.integers(0, 3)) == 0 else []
    for low, high in invalid:
        file.add_invalid_time_interval(start_time=low * DT, stop_time=high * DT)
    for name in data.draw(st.sampled_from([(), ("lfp",), ("probes", "lfp")])):
        if name == "lfp":
            file.add_acquisition(pynwb.TimeSeries(name="lfp", data=np.arange(7.0), unit="V", rate=1.0))
            held += [("acquisition/lfp", "data", 7), ("acquisition/lfp", "data@unit", 1)]
        else:
            file.add_time_intervals(
                pynwb.epoch.TimeIntervals(
                    name="probes",
                    description="p",
                    columns=[
                        VectorData(name=of_, description="d", data=[0.0, 1.0]) for of_ in ("start_time", "stop_time")
                    ],
                )
            )
            held += [("intervals/probes", "start_time", 2), ("intervals/probes", "stop_time", 2)]
    if data.draw(st.booleans()):
        file.subject = pynwb.file.Subject(subject_id="m1", species="Mus musculus", sex="U", age="P1D")
        held += [("general/subject", "species", 1), ("general/subject", "age", 1)]
    path = tmp_path_factory.mktemp("drawn") / "r.nwb"
    with warnings.catch_warnings(), pynwb.NWBHDF5IO(str(path), "w") as io:
        warnings.simplefilter("ignore")
        io.write(file)
    result, refusal = outcome(
        path, **where, **({"align": "go"} if align else {}), incomplete="leave_out" if leave_out else "refuse"
    )

    kept = [unit for unit in range(n) if not where or places[unit] == "A"]
    outside = {
        row
        for row, start in enumerate(starts)
        if any(start < high and start + WINDOW > low for low, high in invalid)
        or (
            observed
            and any(not any(low <= start and start + WINDOW <= high for low, high in intervals[unit]) for unit in kept)
        )
    }
    faulty = missing | unknown | outside
    assert "damaged-file" not in refusal
    expected = (
        "0 trials"
        if not rows
        else (
            "no unit has a 'area' of A"
            if not kept
            else (
                f"unit {bad}"
                if bad in kept
                else f"row {min(faulty)} of 'trials'" if faulty and (not leave_out or len(faulty) == rows) else ""
            )
        )
    )
    event(f"refused: {expected.split(' ')[0]}" if expected else "read")
    assert (expected in refusal) if expected else refusal == ""
    if result is None:
        return
    left = [row for row in range(rows) if row not in faulty]
    compare(result, [(of, starts[row]) for row in left], kept, [choice[row] for row in left])
    check_notes(result, held, *unseen([(of, [starts[row] for row in left])], kept))
    assert any(f"left out {len(faulty)} of {rows} trials" in note for note in result.notes) == bool(faulty)
    silent = [unit for unit in kept if not of[unit]]
    assert any(f"silent: unit {', '.join(map(str, silent))}" in note for note in result.notes) == bool(silent)


@settings(max_examples=max(12, EXAMPLES // 2))  # each writes and reads a file, which takes long
@given(
    data=st.data(),
    n=st.integers(1, 3),
    several=st.integers(1, 2),
    unit=st.sampled_from([pq.s, pq.ms]),
    kind=st.sampled_from(["epochs", "events", "segments"]),
)
def test_everything_of_a_nix_file_is_used_or_noted_or_refused_by_name(data, n, several, unit, kind, tmp_path_factory):
    scale = DT if unit is pq.s else 1.0
    block, held, parts, labels, faulty = neo.Block(name="session"), [], [], [], []
    fault = data.draw(st.sampled_from([None] * 8 + ["order", "count", "nan"]))
    fault = None if fault in ("order", "count") and (several == 1 or n == 1) else fault
    for number in range(several):
        segment = neo.Segment(
            name=f"part {number}",
            **({"choice": data.draw(st.sampled_from(["a", "b"]))} if kind == "segments" else {"note": "n"}),
        )
        where = f"segment {number} ('part {number}')"
        held += [(where, "note", 1)] if kind != "segments" else []
        of, limits = [data.draw(spikes) for _ in range(n)], []
        order = list(range(n))[::-1] if fault == "order" and number else list(range(n))
        for train in order[: n - 1] if fault == "count" and number else order:
            low, high = data.draw(st.sampled_from([(0, END), (0, END), (0, 700), (300, END)]))
            of[train] = [time for time in of[train] if low <= time <= high]
            limits.append((low, high))
            times = np.array([time * scale for time in of[train]])
            times[:1] = np.nan if fault == "nan" and train == 0 and number == 0 and len(times) else times[:1]
            more = (
                {"waveforms": np.zeros((len(times), 1, 4)) * pq.mV} if data.draw(st.booleans()) and len(times) else {}
            )
            made = neo.SpikeTrain(
                times * unit,
                t_start=low * scale * unit,
                t_stop=high * scale * unit,
                name=f"cell {train}",
                area="MT",
                **more,
            )
            if len(times):
                made.array_annotate(size=np.arange(len(times)))
            segment.spiketrains.append(made)
        held += [(f"spike trains of {where}", "area", len(segment.spiketrains))]
        sizes = Counter(
            of_spikes=sum(len(train) for train in segment.spiketrains),
            waveforms=sum(np.size(train.waveforms) for train in segment.spiketrains if train.waveforms is not None),
        )
        held += [(f"spike trains of {where}", "size of spikes", sizes["of_spikes"])] * bool(sizes["of_spikes"]) + [
            (f"spike trains of {where}", "waveforms", sizes["waveforms"])
        ] * bool(sizes["waveforms"])
        begun = []
        for name in ("go", "nogo") if kind != "segments" else ():
            rows = data.draw(st.integers(0, 3))
            starts, (choice, missing) = data.draw(st.lists(steps, min_size=rows, max_size=rows)), data.draw(
                columns(rows)
            )
            at = np.array([start * scale for start in starts]) * unit
            if kind == "epochs":
                made = neo.Epoch(
                    at,
                    durations=np.full(rows, 1.0) * unit,
                    labels=np.full(rows, "x"),
                    name=name,
                    array_annotations={"choice": np.array(choice), "delay": np.arange(rows) * pq.ms},
                )
                held += [
                    (f"epoch '{name}' of {where}", what, rows) for what in ("durations", "labels", "delay") if rows
                ]
                segment.epochs.append(made)
            else:
                segment.events.append(
                    neo.Event(
                        at,
                        labels=np.full(rows, "x"),
                        name=name,
                        array_annotations={"choice": np.array(choice), "level": np.arange(rows)},
                    )
                )
                held += [(f"event '{name}' of {where}", what, rows) for what in ("labels", "level") if rows]
            out = [
                row
                for row, start in enumerate(starts)
                if row in missing or any(not low <= start <= start + WINDOW <= high for low, high in limits)
            ]
            faulty += [f"trial {row} of '{name}' in segment {number}" for row in out]
            begun += [(start, choice[row]) for row, start in enumerate(starts) if row not in out]
        if kind == "segments":
            start = max(low for low, _ in limits)
            out = any(start + WINDOW > high for _, high in limits)
            faulty += [f"segment {number}"] if out else []
            begun += [] if out else [(start, segment.annotations["choice"])]
        if data.draw(st.booleans()):
            segment.analogsignals.append(
                neo.AnalogSignal(np.zeros((5, 2)), units="mV", sampling_rate=1 * pq.kHz, name="lfp")
            )
            held.append((where, "signal 'lfp'", 10))
        if kind == "epochs" and data.draw(st.booleans()):
            segment.events.append(neo.Event(np.arange(3) * pq.s, labels=list("abc"), name="licks"))
            held.append((where, "event 'licks'", 3))
        block.segments.append(segment)
        parts.append((of, begun))
        labels += [label for _, label in begun]
    if data.draw(st.booleans()):
        empty = neo.Segment(name="pause", reason="r")
        empty.epochs.append(neo.Epoch([1.0] * pq.s, durations=[1.0] * pq.s, labels=["x"], name="rest"))
        block.segments.append(empty)
        faulty += [f"segment {several}"] if kind == "segments" else []  # a trial of no spike train
        held += [(f"segment {several} ('pause')", "epoch 'rest'", 1), (f"segment {several} ('pause')", "reason", 1)]
    blocks = [block]
    if data.draw(st.booleans()):
        other = neo.Block(name="next")
        other.segments.append(neo.Segment(name="x"))
        other.segments[0].spiketrains.append(neo.SpikeTrain([1.0] * pq.s, t_stop=2.0))
        blocks.append(other)
        held += [("block 1 ('next')", "spiketrains", 1), ("block 1 ('next')", "segments", 1)]
    path = tmp_path_factory.mktemp("drawn") / "r.nix"
    io = neo.NixIO(str(path), "ow")
    io.write_all_blocks(blocks)
    io.close()
    leave_out = data.draw(st.booleans())
    result, refusal = outcome(
        path,
        **({"trials": ["go", "nogo"]} if kind == "events" else {}),
        incomplete="leave_out" if leave_out else "refuse",
    )

    trials = [(of, start) for of, begun in parts for start, _ in begun]
    assert "damaged-file" not in refusal
    mixed = len({isinstance(label, str) for label in labels}) > 1
    nan = fault == "nan" and len(parts[0][0][0]) > 0
    expected = (
        "in another order"
        if fault == "order"
        else (
            "segment 1 ('part 1') has"
            if fault == "count"
            else (
                "0 trials"
                if not trials and not faulty
                else (
                    "unit 0 are no finite numbers"
                    if nan
                    else faulty[0] if faulty and (not leave_out or not trials) else "'choice'" if mixed else ""
                )
            )
        )
    )
    event(f"refused: {expected[:9]}" if expected else "read")
    assert (expected in refusal) if expected else refusal == ""
    if result is None:
        return
    compare(result, trials, range(n), labels)
    check_notes(result, held, *unseen([(of, [start for start, _ in begun]) for of, begun in parts], range(n)))
    assert any(
        f"left out {len(faulty)} of {len(faulty) + len(trials)} trials" in note for note in result.notes
    ) == bool(faulty)
