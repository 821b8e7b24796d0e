"""docs/formats/recordings.md: every row is made into a file and held to what the row says; a row without a check,
or a check without a row, fails."""

import datetime
import re
import zipfile
from pathlib import Path

import h5py
import neo
import nixio
import numpy as np
import pynwb
import pytest
import quantities as pq
from hdmf.common import DynamicTable

from bioFA.errors import BioFAError
from bioFA.tasks.arrays import Arrays
from bioFA.tasks.recorded_trials import RecordedTrials

PAGE = Path(__file__).parents[1] / "docs" / "formats" / "recordings.md"
ROWS = dict(re.findall(r"^\| `([^`]+)` \| (used|told|refused) \|.*\|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
BEGAN = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module", autouse=True)
def _walked():
    """The files are the test's own, so no other process need walk them first: half a second each."""
    with pytest.MonkeyPatch.context() as patch:
        for place in ("tables", "recorded_trials"):
            patch.setattr(f"bioFA.tasks.{place}.inspect", lambda *paths: ())
        yield


def seen(task):
    """Inputs, labels and notes of the training examples, and inputs of the test split."""
    data = task.draw(None)
    return {
        "inputs": np.asarray(data.train.inputs),
        "labels": data.train.labels,
        "targets": data.train.targets,
        "test": None if data.test is None else data.test.inputs,
    }, "\n".join(data.notes)


# --- arrays: `plain` is a file of 4 examples, and each check a change of its arrays

X, KINDS = np.arange(8.0).reshape(4, 2), np.array(["a", "b", "a", "b"])
BROKEN_KINDS = np.array([b"a", "é".encode("latin-1"), b"a", b"b"])


def npz(path, arrays):
    np.savez(path, **arrays)


def npz_raw(*members):
    """A writer that adds members of other names to the archive."""
    def write(path, arrays):
        np.savez(path, **arrays)
        with zipfile.ZipFile(path, "a") as archive:
            for name in members:
                archive.writestr(name, archive.read("inputs.npy"))
    return write


def h5(change=lambda file: None):
    def write(path, arrays):
        with h5py.File(path, "w") as file:
            for name, array in arrays.items():
                file.create_dataset(
                    name,
                    data=array.astype(object) if array.dtype.kind == "U" else array,
                    dtype=h5py.string_dtype() if array.dtype.kind == "U" else None,
                )
            change(file)
    return write


def changed(**arrays):
    """Inputs and labels with some arrays added or put in their place."""
    return {"inputs": X, "labels": KINDS} | arrays


NAMED = {"inputs": "inputs", "labels": "labels"}
# arrays, writer, fields of the task, what is expected: arrays that are read, words that are told, words of the refusal
ARRAYS = {
    "npz: inputs": (changed(inputs=X.astype(">f2") * 2), npz, {}, {"inputs": X * 2}),
    "npz: targets": (
        {"inputs": X, "targets": X[:, :1] > 3},
        npz,
        {"encoding": "given"},
        {"targets": [[0], [0], [1], [1]]},
    ),
    "npz: labels": (changed(labels=KINDS[::-1]), npz, {}, {"labels": [1, 0, 1, 0]}),
    "npz: test_inputs, test_labels": (changed(test_inputs=X[:1], test_labels=KINDS[:1]), npz, {}, {"test": X[:1]}),
    "npz: a time axis": (changed(inputs=X.reshape(4, 2, 1)), npz, {}, {"inputs": X.reshape(4, 2, 1)}),
    "npz: an array of another name": (changed(patient=X), npz, {}, ["'patient'"]),
    "npz: an array beside those that are named": (changed(patient=X), npz, NAMED, ["array 'patient' of shape (4, 2)"]),
    "npz: a member that is no array": (changed(), npz_raw("readme.txt"), {}, ["'readme.txt', which is no array"]),
    "npz: Python objects": (changed(labels=KINDS.astype(object)), npz, {}, ["'labels' holds Python objects"]),
    "npz: dates, complex numbers, records": (changed(inputs=X.astype(complex)), npz, {}, ["'inputs'", "complex128"]),
    "npz: numbers that are not finite": (
        changed(inputs=np.where(X == 5, np.nan, X)),
        npz,
        {},
        ["'inputs'", "row 2, column 1"],
    ),
    "npz: numbers that float64 cannot hold": (
        changed(inputs=X.astype(int) + 2**53),
        npz,
        {},
        ["'inputs'", "float64 cannot hold", "9007199254740993"],
    ),
    "npz: a label that is missing": (changed(labels=np.array(["a", "", "a", "b"])), npz, {}, ["row 1", "'labels'"]),
    "npz: a label that is no UTF-8": (changed(labels=BROKEN_KINDS), npz, {}, ["row 1", "'labels'", "UTF-8"]),
    "npz: labels that are texts in one split": (
        changed(test_inputs=X, test_labels=np.arange(4)),
        npz,
        {},
        ["'test_labels' are numbers", "'labels' are texts"],
    ),
    "npz: more labels than inputs": (changed(labels=np.tile(KINDS, 2)), npz, {}, ["'labels' must be 4", "(8,)"]),
    "npz: an array twice": (changed(), npz_raw("inputs.npy"), {}, ["'inputs' twice"]),
    "h5: a dataset in a group": ({"group/x": 2 * X, "labels": KINDS}, h5(), {"inputs": "group/x"}, {"inputs": 2 * X}),
    "h5: texts": (changed(labels=np.array(["ü", "a", "ü", "a"])), h5(), {}, {"labels": [1, 0, 1, 0]}),
    "h5: an attribute": (
        changed(),
        h5(lambda file: file["inputs"].attrs.update({"scale_factor": [0.1, 0.2]})),
        {},
        ["attributes of 'inputs': scale_factor (2 values)"],
    ),
    "h5: a link": (
        changed(),
        h5(lambda file: file.update({"other": h5py.SoftLink("/inputs")})),
        {},
        ["'other', a link"],
    ),
    "h5: a named type": (
        changed(),
        h5(lambda file: file.update({"kind": np.dtype("f8")})),
        {},
        ["'kind', which is no array"],
    ),
    "h5: names of an enumeration": (
        {"inputs": X},
        h5(
            lambda file: file.create_dataset(
                "labels", data=[0, 1, 0, 1], dtype=h5py.enum_dtype({"left": 0, "right": 1})
            )
        ),
        {},
        ["the names of the numbers in 'labels' (left, right)"],
    ),
    "h5: rows of unequal length": (
        {"inputs": X},
        h5(lambda file: file.create_dataset("labels", (4,), h5py.vlen_dtype(float))),
        {},
        ["'labels'", "unequal length"],
    ),
    "h5: a dataset without a shape": (
        {"labels": KINDS},
        h5(lambda file: file.create_dataset("inputs", data=h5py.Empty("f8"))),
        {},
        ["'inputs'", "no shape"],
    ),
    "h5: a dataset beside those that are named": (
        changed(**{"more/x": X}),
        h5(),
        NAMED,
        ["array 'more/x' of shape (4, 2)"],
    ),
}


def arrays_case(name, folder):
    arrays, write, fields, _ = ARRAYS[name]
    suffix, plain = f".{name.split(':')[0]}", (
        {"inputs": X, "labels": KINDS} if "encoding" not in fields else {"inputs": X, "targets": X}
    )
    for path, of, by in (
        (folder / f"plain{suffix}", plain, npz if suffix == ".npz" else h5()),
        (folder / f"other{suffix}", arrays, write),
    ):
        by(path, of)
    encoding = {"encoding": "one_hot"} | fields
    return [
        Arrays(path=str(folder / f"plain{suffix}"), encoding=encoding["encoding"]),
        Arrays(path=str(folder / f"other{suffix}"), **encoding),
    ]


# --- recordings: two units and four trials from 0, 1, 2 and 3 s on, windows of 0.5 s

SPIKES = (np.array([0.1, 1.1, 1.2, 3.1]), np.array([2.1, 2.2, 2.3]))
COUNTS = np.array([[1, 0], [2, 0], [0, 3], [1, 0]])
CHOICE = list("abab")


def column(file, table, name, data, **fields):
    getattr(file, f"add_{table}_column")(name, "d", data=data, **fields)


def nwb(change=lambda file: None, spikes=SPIKES, rows=4, units=({}, {}), starts=range(4), choice=CHOICE, **first):
    def write(path):
        file = pynwb.NWBFile(session_description="s", identifier="i", session_start_time=BEGAN, **first)
        for times, fields in zip(spikes, units, strict=True):
            file.add_unit(spike_times=times, **fields)
        if rows:
            file.add_trial_column("choice", "c")
        for row in range(rows):
            file.add_trial(start_time=float(starts[row]), stop_time=row + 0.5, choice=choice[row])
        change(file)
        with pynwb.NWBHDF5IO(str(path), "w") as io:
            io.write(file)
    return write


def intervals(name):
    def add(file):
        table = pynwb.epoch.TimeIntervals(name=name, description="p")
        table.add_column("choice", "c")
        for row in (1, 2):
            table.add_interval(start_time=float(row), stop_time=row + 0.1, choice="xy"[row % 2])
        file.add_time_intervals(table)
    return add


def module(file):
    file.create_processing_module("ecephys", "d").add(series("lfp"))


def series(name):
    return pynwb.TimeSeries(name=name, data=np.arange(5.0), unit="V", rate=1.0)


def electrodes(file):
    device = file.create_device("probe")
    file.add_electrode(
        group=file.create_electrode_group("shank", description="d", location="l", device=device), location="MT"
    )


def numbered(table):
    def change(file):
        getattr(file, table).id.data[0] = 40
    return change


def resolution(file):
    file.units.resolution = 0.001


SERIES = "data (5 values)"
LONG, LONGER = np.array([0.1, 1.1, 1.2, 3.1, 3.2]), np.array([[1, 0], [2, 0], [0, 3], [2, 0]])
NWB = {
    "units: spike_times": (nwb(spikes=(LONG, SPIKES[1])), {}, {"inputs": LONGER}),
    "units: spike_times that are not finite": (
        nwb(spikes=(np.array([0.1, np.nan]), SPIKES[1])),
        {},
        ["1 of the 2 spike times of unit 0"],
    ),
    "units: obs_intervals": (
        nwb(units=({"obs_intervals": [[0.0, 2.8]]}, {"obs_intervals": [[0.0, 9.0]]})),
        {"incomplete": "leave_out"},
        {"inputs": COUNTS[:3]},
    ),
    "units: a column that where names": (
        nwb(lambda file: column(file, "unit", "area", ["MT", "V1"])),
        {"where": "area", "units": ["V1"]},
        {"inputs": COUNTS[:, 1:]},
    ),
    "units: any other column": (
        nwb(lambda file: column(file, "unit", "area", ["MT", "V1"])),
        {},
        ["not used of units: ", "area (2 values)"],
    ),
    "units: waveform_mean": (
        nwb(units=({"waveform_mean": [1.0, 2.0]}, {"waveform_mean": [1.0, 2.0]})),
        {},
        ["not used of units: ", "waveform_mean (4 values)"],
    ),
    "units: spike_times@resolution": (nwb(resolution), {}, ["spike_times@resolution (1 value)"]),
    "units: id": (nwb(numbered("units")), {}, ["not used of units: id (2 values)"]),
    "units: a unit without spikes": (nwb(spikes=(*SPIKES, np.empty(0)), units=({}, {}, {})), {}, ["silent: unit 2"]),
    "units: no spike_times": (
        nwb(lambda file: (file.add_unit_column("area", "a"), file.add_unit(area="MT")), spikes=(), units=()),
        {},
        ["no column spike_times", "area"],
    ),
    "units: no table": (nwb(spikes=(), units=()), {}, ["no table of units"]),
    "trials: start_time": (nwb(starts=[0, 1, 1, 3]), {}, {"inputs": COUNTS[[0, 1, 1, 3]]}),
    "trials: stop_time": (nwb(), {}, ["not used of intervals/trials: stop_time (4 values)"]),
    "trials: the column label": (nwb(choice=list("bbab")), {}, {"labels": [1, 1, 0, 1]}),
    "trials: the column align": (
        nwb(lambda file: column(file, "trial", "go", [3.0, 2.0, 1.0, 0.0])),
        {"align": "go"},
        {"inputs": COUNTS[::-1]},
    ),
    "trials: tags": (
        nwb(lambda file: column(file, "trial", "tags", [["x"], [], ["y", "z"], []], index=True)),
        {},
        ["tags (3 values)"],
    ),
    "trials: any other column": (
        nwb(lambda file: column(file, "trial", "go", [3.0, 2.0, 1.0, 0.0])),
        {},
        ["go (4 values)"],
    ),
    "trials: id": (nwb(numbered("trials")), {}, ["not used of intervals/trials: id (4 values)"]),
    "trials: a label that is missing": (nwb(choice=["a", "", "a", "b"]), {}, ["row 1 of 'trials' has no 'choice'"]),
    "trials: a start that is missing": (nwb(starts=[0, 1, np.nan, 3]), {}, ["row 2 of 'trials' has no start"]),
    "trials: a label of several values": (
        nwb(lambda file: column(file, "trial", "tries", [[1], [1, 2], [], [3]], index=True)),
        {"label": "tries"},
        ["'tries' of intervals/trials must hold one"],
    ),
    "trials: no table": (nwb(rows=0), {}, ["no table of trials"]),
    "intervals: invalid_times": (
        nwb(lambda file: file.add_invalid_time_interval(start_time=0.2, stop_time=0.3)),
        {"incomplete": "leave_out"},
        {"inputs": COUNTS[1:]},
    ),
    "intervals: a table that trials names": (nwb(intervals("probes")), {"trials": "probes"}, {"inputs": COUNTS[1:3]}),
    "intervals: any other table": (
        nwb(intervals("probes")),
        {},
        ["not used of intervals/probes: choice (2 values)", "start_time (2 values)"],
    ),
    "acquisition": (
        nwb(lambda file: file.add_acquisition(series("lfp"))),
        {},
        [f"not used of acquisition/lfp: {SERIES}", "data@unit (1 value)"],
    ),
    "stimulus": (
        nwb(lambda file: file.add_stimulus(series("tone"))),
        {},
        [f"not used of stimulus/presentation/tone: {SERIES}"],
    ),
    "processing": (nwb(module), {}, [f"not used of processing/ecephys/lfp: {SERIES}"]),
    "analysis": (
        nwb(lambda file: file.add_analysis(DynamicTable(name="fits", description="d", columns=[]))),
        {},
        ["attributes: ", "description"],
    ),
    "scratch": (
        nwb(lambda file: file.add_scratch(np.arange(3.0), name="w", description="d")),
        {},
        ["not used of scratch: ", "w (3 values)"],
    ),
    "general: subject": (
        nwb(subject=pynwb.file.Subject(subject_id="m", species="Mus musculus")),
        {},
        ["not used of general/subject: species (1 value), subject_id (1 value)"],
    ),
    "general: devices and electrodes": (
        nwb(electrodes),
        {},
        ["general/extracellular_ephys/electrodes: ", "location (1 value)"],
    ),
    "general: keywords and other metadata": (
        nwb(keywords=["k", "l"], lab="x"),
        {},
        ["not used of general: keywords (2 values), lab (1 value)"],
    ),
    "file: session_description": (nwb(), {}, ["not used of the file: ", "session_description (1 value)"]),
    "attributes: description, comments": (nwb(), {}, ["not used of attributes: description ("]),
    "spikes in the window of no trial": (
        nwb(spikes=(np.append(SPIKES[0], 3.9), SPIKES[1])),
        {},
        ["not used: 1 of 8 spikes"],
    ),
}


def train(times, unit=pq.s, start=0.0, stop=10.0, **fields):
    scale = 1.0 if unit is pq.s else 1e3
    return neo.SpikeTrain(
        np.asarray(times) * scale * unit, t_start=start * scale * unit, t_stop=stop * scale * unit, **fields
    )


def epoch(starts=range(4), name="trials", choice=CHOICE, kind=neo.Epoch, labels=("x",) * 4, columns=None, **fields):
    lasts = {"durations": np.full(len(starts), 0.5) * pq.s} if kind is neo.Epoch else {}
    of = {} if choice is None else {"choice": np.array(list(choice))}
    return kind(
        np.asarray(starts, float) * pq.s,
        labels=np.array(labels[: len(starts)]),
        name=name,
        array_annotations=of | (columns or {}),
        **lasts,
        **fields,
    )


def block(*segments, extra=lambda file: None, more=(), **fields):
    def write(path):
        made = neo.Block(name="b", **fields)
        made.segments = [segment() for segment in segments]
        io = neo.NixIO(str(path), "ow")
        io.write_all_blocks([made, *(other() for other in more)])
        io.close()
        with nixio.File.open(str(path), nixio.FileMode.ReadWrite) as file:
            extra(file)
    return write


def segment(trains=None, trials=None, add=lambda made: None, name="s", **fields):
    def make():
        made = neo.Segment(name=name, **fields)
        made.spiketrains.extend([train(times) for times in SPIKES] if trains is None else trains())
        made.epochs.extend([epoch()] if trials is None else [of for of in trials if isinstance(of, neo.Epoch)])
        made.events.extend([] if trials is None else [of for of in trials if isinstance(of, neo.Event)])
        add(made)
        return made
    return make


def trains(**fields):
    """The two spike trains, the first of them with something more."""
    return lambda: [train(SPIKES[0], **fields), train(SPIKES[1])]


def grouped(path):
    made = neo.Block(name="b")
    made.segments = [segment()()]
    made.groups.append(neo.Group(name="tetrode"))
    made.groups[0].add(made.segments[0].spiketrains[0])
    io = neo.NixIO(str(path), "ow")
    io.write_block(made)
    io.close()


def another():
    made = neo.Block(name="later")
    made.segments.append(segment()())
    return made


def signal(kind, **fields):
    values = np.zeros((4, 1)) if kind is not neo.ImageSequence else np.zeros((1, 2, 2))
    return kind(values, units="mV", name="lfp", **fields)


SPIKE_ARRAYS = {"array_annotations": {"size": np.arange(4)}}
NAMES = (
    lambda: [train(SPIKES[0], name="x"), train(SPIKES[1], name="y")],
    lambda: [train(SPIKES[1], name="y"), train(SPIKES[0], name="x")],
)
EMPTY = segment(lambda: [], (epoch(name="rest"),), name="pause")
OF_TRAINS = "not used of spike trains of segment 0 ('s'): "
RATE = {"sampling_rate": 1 * pq.kHz}
NIX = {
    "spike train: times": (block(segment(lambda: [train(LONG), train(SPIKES[1])])), {}, {"inputs": LONGER}),
    "spike train: units of time": (
        block(segment(lambda: [train(LONG, pq.ms), train(SPIKES[1], pq.ms)])),
        {},
        {"inputs": LONGER},
    ),
    "spike train: t_start": (block(segment(trains(start=0.05))), {"incomplete": "leave_out"}, {"inputs": COUNTS[1:]}),
    "spike train: t_stop": (block(segment(trains(stop=3.3))), {"incomplete": "leave_out"}, {"inputs": COUNTS[:3]}),
    "spike train: times that are not finite": (
        block(segment(lambda: [train([0.1, np.nan]), train(SPIKES[1])])),
        {},
        ["1 of the 2 spike times of unit 0"],
    ),
    "spike train: an annotation that where names": (
        block(segment(lambda: [train(SPIKES[0], area="MT"), train(SPIKES[1], area="V1")])),
        {"where": "area", "units": ["V1"]},
        {"inputs": COUNTS[:, 1:]},
    ),
    "spike train: any other annotation": (block(segment(trains(area="MT"))), {}, [f"{OF_TRAINS}area (1 value)"]),
    "spike train: array annotations": (
        block(segment(trains(**SPIKE_ARRAYS))),
        {},
        [f"{OF_TRAINS}size of spikes (4 values)"],
    ),
    "spike train: waveforms": (
        block(segment(trains(waveforms=np.zeros((4, 1, 3)) * pq.mV))),
        {},
        ["waveforms (12 values)"],
    ),
    "spike train: left_sweep": (
        block(segment(trains(waveforms=np.zeros((4, 1, 3)) * pq.mV, left_sweep=0.1 * pq.ms))),
        {},
        ["left_sweep (1 value)"],
    ),
    "spike train: sampling_rate": (
        block(segment(trains(waveforms=np.zeros((4, 1, 3)) * pq.mV, sampling_rate=30 * pq.kHz))),
        {},
        ["sampling_rate (1 value)"],
    ),
    "spike train: description": (block(segment(trains(description="d"))), {}, [f"{OF_TRAINS}description (1 value)"]),
    "spike train: name": (
        block(segment(NAMES[0]), segment(NAMES[1], name="two")),
        {},
        ["segment 1 ('two')", "in another order: y, x"],
    ),
    "spike train: number in a segment": (
        block(segment(), segment(lambda: [train(SPIKES[0])], name="two")),
        {},
        ["segment 1 ('two') has 1 spike trains"],
    ),
    "epoch: times": (block(segment(trials=(epoch([0, 1, 1, 3]),))), {}, {"inputs": COUNTS[[0, 1, 1, 3]]}),
    "epoch: durations": (block(segment()), {}, ["not used of epoch 'trials' of segment 0 ('s'): durations (4 values)"]),
    "epoch: labels": (block(segment()), {}, ["epoch 'trials'", "labels (4 values)"]),
    "epoch: labels, as label": (
        block(segment(trials=(epoch(labels=list("bbab")),))),
        {"label": "labels"},
        {"labels": [1, 1, 0, 1]},
    ),
    "epoch: array annotation label": (
        block(segment(trials=(epoch(choice=list("bbab")),))),
        {},
        {"labels": [1, 1, 0, 1]},
    ),
    "epoch: array annotation align": (
        block(segment(trials=(epoch(columns={"go": np.array([3e3, 2e3, 1e3, 0.0]) * pq.ms}),))),
        {"align": "go"},
        {"inputs": COUNTS[::-1]},
    ),
    "epoch: any other array annotation": (
        block(segment(trials=(epoch(columns={"level": np.arange(4)}),))),
        {},
        ["epoch 'trials'", "level (4 values)"],
    ),
    "epoch: annotations": (block(segment(trials=(epoch(session=3),))), {}, ["epoch 'trials'", "session (1 value)"]),
    "epoch: not named in trials": (
        block(segment(trials=(epoch(), epoch([1, 2], "rest", choice="ab")))),
        {"trials": "trials"},
        ["not used of segment 0 ('s'): ", "epoch 'rest' (2 values)"],
    ),
    "epoch: label of texts and numbers": (
        block(segment(trials=(epoch(), epoch([1, 2], "rest", choice=[1, 2])))),
        {},
        ["'choice' holds texts in some of the trials and numbers in others"],
    ),
    "event": (
        block(segment(trials=(epoch(), epoch([1, 2], "licks", choice="ab", kind=neo.Event)))),
        {},
        ["event 'licks' (2 values)"],
    ),
    "event: named in trials": (
        block(segment(trials=(epoch([1, 2], "licks", choice="ab", kind=neo.Event),))),
        {"trials": "licks"},
        {"inputs": COUNTS[1:3]},
    ),
    "segment: several": (block(segment(), segment(name="two")), {}, {"inputs": np.concatenate([COUNTS, COUNTS])}),
    "segment: annotations": (block(segment(session=3)), {}, ["not used of segment 0 ('s'): session (1 value)"]),
    "segment: annotations, without epochs": (
        block(segment(trials=(), choice="a"), segment(trials=(), choice="b", name="two")),
        {},
        {"inputs": COUNTS[[0, 0]], "labels": [0, 1]},
    ),
    "segment: rec_datetime": (
        block(segment(rec_datetime=BEGAN.replace(tzinfo=None))),
        {},
        ["of segment 0 ('s'): rec_datetime (1 value)"],
    ),
    "segment: without spike trains": (
        block(segment(), EMPTY),
        {},
        ["not used of segment 1 ('pause'): ", "epoch 'rest' (4 values)"],
    ),
    "segment: analogsignals": (
        block(segment(add=lambda made: made.analogsignals.append(signal(neo.AnalogSignal, **RATE)))),
        {},
        ["signal 'lfp' (4 values)"],
    ),
    "segment: irregularlysampledsignals": (
        block(
            segment(
                add=lambda made: made.irregularlysampledsignals.append(
                    neo.IrregularlySampledSignal(np.arange(3.0) * pq.s, np.zeros(3), units="mV", name="eye")
                )
            )
        ),
        {},
        ["signal 'eye' (3 values)"],
    ),
    "segment: imagesequences": (
        block(
            segment(
                add=lambda made: made.imagesequences.append(signal(neo.ImageSequence, spatial_scale=1 * pq.um, **RATE))
            )
        ),
        {},
        ["signal 'lfp' (4 values)"],
    ),
    "block: another": (
        block(segment(), more=(another,)),
        {},
        ["not used of block 1 ('later'): segments (1 value)", "spiketrains (2 values)"],
    ),
    "block: annotations": (block(segment(), animal="m1"), {}, ["not used of block 'b': animal (1 value)"]),
    "block: description": (block(segment(), description="d"), {}, ["not used of block 'b': ", "description (1 value)"]),
    "block: groups": (grouped, {}, ["not used of block 'b': ", "group 'tetrode' (1 value)"]),
    "arrays of NIX that are none of Neo's": (
        block(segment(), extra=lambda file: file.blocks[0].create_data_array("w", "weights", data=np.zeros((2, 3)))),
        {},
        ["not used of arrays of NIX: w (6 values)"],
    ),
}


def recording_case(name, folder, plain):
    kind, (write, fields, _) = ("nwb", NWB[name]) if name in NWB else ("nix", NIX[name])
    write(folder / f"other.{kind}")
    wanted = {"label": "choice"} | fields
    first = {"label": "labels" if wanted["label"] == "labels" else "choice"}
    return [
        RecordedTrials(path=str(path / f"{of}.{kind}"), window=0.5, **more)
        for path, of, more in ((plain, "plain", first), (folder, "other", wanted))
    ]


@pytest.fixture(scope="module")
def plain_recordings(tmp_path_factory):
    """The folder of the recordings that have nothing special."""
    folder = tmp_path_factory.mktemp("plain")
    nwb()(folder / "plain.nwb")
    block(segment(trials=(epoch(labels=CHOICE),)))(folder / "plain.nix")
    return folder


PLAIN = {}
"""What is seen of each plain file, by its description."""


CHECKS = ARRAYS | NWB | NIX


def test_every_row_of_the_page_has_a_check_and_every_check_a_row():
    lines = [
        line
        for line in PAGE.read_text(encoding="utf-8").split("## Exports of")[0].splitlines()
        if line.startswith("| `")
    ]
    assert len(lines) == len(ROWS)
    assert set(ROWS) == set(CHECKS)


@pytest.mark.parametrize("name", CHECKS)
def test_what_a_row_says_becomes_of_an_attribute_becomes_of_it(name, tmp_path, plain_recordings):
    expected, outcome = CHECKS[name][-1], ROWS[name]
    assert isinstance(expected, dict) == (outcome == "used")
    plain, other = (
        arrays_case(name, tmp_path) if name in ARRAYS else recording_case(name, tmp_path, plain_recordings)
    )
    if repr(plain) not in PLAIN:
        PLAIN[repr(plain)] = seen(plain)[0]
    before = PLAIN[repr(plain)]
    if outcome == "refused":
        with pytest.raises(BioFAError) as caught:
            seen(other)
        assert all(word in str(caught.value) for word in expected), str(caught.value)
        assert caught.value.code not in ("damaged-file", "malformed-file")
        return
    after, notes = seen(other)
    if outcome == "told":
        assert all(word in notes for word in expected), notes
        for kind in (
            ("labels", "targets")
            if "without spikes" in name or "enumeration" in name
            else ("inputs", "labels", "targets")
        ):
            np.testing.assert_array_equal(after[kind], before[kind])
        return
    for kind, values in expected.items():
        np.testing.assert_array_equal(after[kind], values)
        assert not np.array_equal(before[kind], np.asarray(values)), "a value that makes no difference"
