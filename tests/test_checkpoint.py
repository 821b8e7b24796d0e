"""A checkpoint, without the run around it: what is kept comes back, what is damaged is not used,
and what is said of each mishap."""

import dataclasses
import json
import os
import shutil
import time

import numpy as np
import pytest

import bioFA
from bioFA.consumers.base import Recording
from bioFA.errors import (
    AlreadyFinished,
    CannotWrite,
    ChangedSince,
    DamagedFile,
    NoSuchFile,
    PlaceBusy,
    PlaceTaken,
    TakenOver,
    Unreadable,
    WrongVersion,
)
from bioFA.runs import checkpoint, provenance
from bioFA.runs.checkpoint import Run, SegmentEnd, begin, is_unfinished, refuse_taken, reopen
from bioFA.system import locks


@pytest.fixture
def run():
    return Run(bioFA.load("linear"), 3, "numpy", "float64", "abc", {"pathways": ["x"]}, "2026-01-01", start=7)


def segment(stop, recorded=True):
    recording = Recording(np.arange(3), {"hidden.r": np.full((3, 2), float(stop))}) if recorded else None
    return SegmentEnd(
        stop,
        {"a.w": np.full((2, 3), stop + 0.5), "a.v": np.arange(2.0)},
        recording,
        ({"at": stop, "nse": 0.5},),
        0.25,
        1.5,
        {"name": "numpy"},
        counting={"exc/spikes": np.array([stop, 2])},
    )


def same(one, other):
    assert (one.stop, one.measured, one.seconds, dict(one.engine)) == (
        other.stop,
        other.measured,
        other.seconds,
        dict(other.engine),
    )
    assert [dict(row) for row in one.evaluations] == [dict(row) for row in other.evaluations]
    assert isinstance(one.evaluations, tuple)
    assert one.state.keys() == other.state.keys()
    for name, array in one.state.items():
        np.testing.assert_array_equal(array, other.state[name])
    assert one.counting.keys() == other.counting.keys()
    for name, array in one.counting.items():
        np.testing.assert_array_equal(array, other.counting[name])
    assert (one.recording is None) == (other.recording is None)
    if one.recording is not None:
        np.testing.assert_array_equal(one.recording.at, other.recording.at)
        assert one.recording.arrays.keys() == other.recording.arrays.keys()
        for name, array in one.recording.arrays.items():
            np.testing.assert_array_equal(array, other.recording.arrays[name])


def begun(folder, run, *segments):
    """A run that began, kept some segments, and was stopped."""
    with begin(folder, run, {"a.w": np.zeros((2, 3))}) as kept:
        for one in segments:
            kept.keep(one)
        kept.flush()
    return folder


def test_what_is_kept_comes_back_in_its_order(tmp_path, run):
    begun(tmp_path / "r", run, segment(10), segment(20, recorded=False))
    assert is_unfinished(tmp_path / "r")
    with reopen(tmp_path / "r") as kept:
        assert kept.count == 3
        assert kept.resumed
        assert not kept.is_new
        assert kept.folder == tmp_path / "r"
        assert kept.place == tmp_path / "r" / "checkpoint"
        assert kept.run == dataclasses.replace(run, resumed=1)
        first, second, third = kept.segments()
        assert first.stop == 7
        assert first.recording is None
        assert first.evaluations == ()
        assert first.measured is None
        same(second, segment(10))
        same(third, segment(20, recorded=False))
        kept.keep(segment(30))
        kept.flush()
        assert kept.count == 4
    with reopen(tmp_path / "r") as kept:
        assert kept.run.resumed == 2
        assert [one.stop for one in kept.segments()] == [7, 10, 20, 30]
    assert sorted(path.name for path in (tmp_path / "r" / "checkpoint").iterdir()) == [
        "lock",
        "run.json",
        *(f"stretch-{n:05d}.h5" for n in range(4)),
    ]


@pytest.mark.parametrize(("model", "bytes_", "thin"), [("coba", 64, True), ("coba", 65, False), ("linear", 64, False)])
def test_large_states_of_a_network_in_which_time_passes_are_kept_of_the_last_segments(
    tmp_path, run, monkeypatch, model, bytes_, thin
):
    """A state of so many bytes or more; the first is there to begin again from, and all else is there of each."""
    monkeypatch.setattr(checkpoint, "BULKY", bytes_)
    stops = range(10, 60, 10)
    begun(tmp_path / "r", dataclasses.replace(run, experiment=bioFA.load(model)), *map(segment, stops))
    with reopen(tmp_path / "r") as kept:
        assert [path.name for path in kept.monitored()] == [f"stretch-{n:05d}.h5" for n in range(1, 6)]
        assert all(path.is_file() for path in kept.monitored())
        found = list(kept.segments())[1:]
    assert [one.thinned for one in found] == [thin, thin, thin, False, False]
    for stop, one in zip(stops, found, strict=True):
        wanted = segment(stop)
        same(one, dataclasses.replace(wanted, state={}) if one.thinned else wanted)


def test_a_segment_that_is_damaged_stays_so_where_states_are_thinned(tmp_path, run, monkeypatch):
    monkeypatch.setattr(checkpoint, "BULKY", 1)
    with begin(tmp_path / "r", dataclasses.replace(run, experiment=bioFA.load("coba")), {}) as kept:
        kept.keep(segment(10))
        kept.flush()
        (damaged,) = kept.monitored()
        damaged.write_bytes(damaged.read_bytes()[:-1])
        before = damaged.read_bytes()
        for stop in (20, 30, 40):
            kept.keep(segment(stop))
        kept.flush()
    assert damaged.read_bytes() == before


def test_what_waits_to_be_written_is_told_after_what_is(tmp_path, run):
    with begin(tmp_path / "r", dataclasses.replace(run, experiment=bioFA.load("coba")), {}) as kept:
        kept.keep(segment(10))
        kept.flush()
        waiting = segment(20)
        kept.keep(waiting)
        written, recorded = kept.monitored()
        assert written.name == "stretch-00001.h5"
        assert recorded is waiting.monitored


def test_a_state_of_nothing_comes_back(tmp_path, run):
    with begin(tmp_path / "r", run, {}) as kept:
        assert [dict(one.state) for one in kept.segments()] == [{}]


def test_a_run_is_new_until_something_ran(tmp_path, run):
    with begin(tmp_path / "r", run, {}) as kept:
        assert kept.is_new
        assert kept.count == 1
        kept.keep(segment(10))
        assert not kept.is_new


def test_short_segments_wait_a_second_and_large_ones_do_not(tmp_path, run, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with begin(tmp_path / "r", run, {}) as kept:
        kept.keep(segment(10))
        now[0] += 0.5
        kept.keep(segment(20))
        assert kept.count == 1
        now[0] += 0.5
        kept.keep(segment(30))
        assert kept.count == 4
        now[0] += 0.9
        kept.keep(segment(40))
        assert kept.count == 4
        # 16 numbers are in the one before
        kept.keep(SegmentEnd(50, {"x": np.zeros(checkpoint.LARGEST // 8 - 16 - 7 - 1)}))
        kept.keep(SegmentEnd(60, {}, Recording(np.zeros(0), {"r": np.zeros(7)})))
        assert kept.count == 4
        kept.keep(SegmentEnd(70, {"x": np.zeros(1)}))
        assert kept.count == 8
        assert kept.is_new is False


def test_what_waits_is_written_when_the_run_is_stopped(tmp_path, run):
    def stopped():
        with begin(tmp_path / "r", run, {}) as kept:
            kept.keep(segment(10))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    with reopen(tmp_path / "r") as kept:
        assert kept.count == 2

    def again():
        with reopen(tmp_path / "r") as kept:
            kept.keep(segment(20))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        again()
    with reopen(tmp_path / "r") as kept:
        assert kept.count == 3


def test_a_disk_that_is_full_leaves_what_was_there(tmp_path, run, monkeypatch):
    folder = tmp_path / "a b"

    def stopped():
        with begin(folder, run, {}) as kept:
            kept.keep(segment(10))
            kept.flush()
            kept.keep(segment(20))
            monkeypatch.setattr(checkpoint, "sealed", full)
            kept.flush()

    def full(path):
        raise OSError(28, "No space left on device")

    with pytest.raises(CannotWrite) as refusal:
        stopped()
    assert (
        str(refusal.value)
        == f"the run's state could not be kept in '{folder / 'checkpoint'}': [Errno 28] No space left on device. Make"
        f" space; then 'biofa resume '{folder}'' goes on."
    )
    monkeypatch.undo()
    with reopen(folder) as kept:
        assert kept.count == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b""),
        lambda path: os.truncate(path, path.stat().st_size - 1),
        lambda path: path.write_bytes(path.read_bytes()[:-1] + b"x"),
    ],
)
@pytest.mark.parametrize("number", [1, 2])
def test_the_run_goes_on_from_the_last_segment_before_a_damaged_one(tmp_path, run, number, damage):
    folder = begun(tmp_path / "r", run, segment(10), segment(20))
    damage(folder / "checkpoint" / f"stretch-{number:05d}.h5")
    (folder / "checkpoint" / "stretch-00009.h5").touch()
    (folder / "checkpoint" / "scratch").mkdir()
    (folder / "checkpoint" / "scratch" / "x").touch()
    with reopen(folder) as kept:
        assert [one.stop for one in kept.segments()] == [7, 10, 20][:number]
        assert sorted(path.name for path in kept.place.iterdir()) == [
            "lock",
            "run.json",
            *(f"stretch-{n:05d}.h5" for n in range(number)),
        ]


def test_a_segment_that_is_damaged_while_it_is_used_is_told(tmp_path, run):
    folder = begun(tmp_path / "r", run, segment(10))
    path = folder / "checkpoint" / "stretch-00001.h5"
    with reopen(folder) as kept:
        path.write_bytes(b"")
        with pytest.raises(DamagedFile) as refusal:
            list(kept.segments())
    assert str(refusal.value) == f"'{path}' was damaged a moment ago. Look to the disk, then try again."


def test_a_run_whose_beginning_is_damaged_cannot_go_on(tmp_path, run):
    folder = begun(tmp_path / "r", run)
    path = folder / "checkpoint" / "stretch-00000.h5"
    path.unlink()
    with pytest.raises(DamagedFile) as refusal, reopen(folder):
        pass
    assert str(refusal.value) == f"'{path}' is damaged, so the run cannot go on. Remove '{folder}' and run it again."


def test_a_segment_that_may_not_be_read_is_not_taken_for_a_damaged_one(tmp_path, run, monkeypatch):
    folder = begun(tmp_path / "r", run)

    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(checkpoint, "is_whole", refuse)
    with pytest.raises(Unreadable) as refusal, reopen(folder):
        pass
    assert (
        str(refusal.value)
        == f"'{folder / 'checkpoint' / 'stretch-00000.h5'}' cannot be read (Permission denied). Make it readable to"
        " go on."
    )


def test_a_folder_that_is_taken_is_refused(tmp_path, run):
    refuse_taken(tmp_path)
    (tmp_path / "result.h5").touch()
    with pytest.raises(PlaceTaken) as refusal:
        refuse_taken(tmp_path)
    assert (
        str(refusal.value)
        == f"'{tmp_path}' already holds a result (result.h5). Give another folder, or remove that one."
    )
    folder = begun(tmp_path / "a b", run)
    with pytest.raises(PlaceBusy) as refusal:
        refuse_taken(folder)
    assert (
        str(refusal.value)
        == f"'{folder}' holds an unfinished run. Unless a process still runs it, go on with it: biofa resume"
        f" '{folder}'. Or give another folder."
    )
    for place, error in ((tmp_path, PlaceTaken), (folder, PlaceBusy)):
        with pytest.raises(error), begin(place, run, {}):
            pass


def test_where_nothing_can_go_on_the_remedy_is_told(tmp_path):
    with pytest.raises(NoSuchFile) as refusal, reopen(tmp_path):
        pass
    assert (
        str(refusal.value)
        == f"there is no run in '{tmp_path}'. Give the folder of a run that was stopped, or begin one with 'biofa run"
        f" MODEL --out {tmp_path}'."
    )
    (tmp_path / "result.h5").touch()
    with pytest.raises(AlreadyFinished) as finished, reopen(tmp_path):
        pass
    assert str(finished.value) == f"the run in '{tmp_path}' is finished; its result is '{tmp_path / 'result.h5'}'."
    assert not is_unfinished(tmp_path)


def test_a_second_process_is_refused(tmp_path, run):
    with begin(tmp_path / "r", run, {}) as kept:
        with pytest.raises(PlaceBusy) as refusal, reopen(tmp_path / "r"):
            pass
        who = locks.holder(tmp_path / "r" / "checkpoint" / "lock")
        assert str(refusal.value) == (
            f"another process is running in '{tmp_path / 'r'}' now ({who}). Wait for it, or give another folder. "
            f"If it is on a machine that is gone: biofa resume {tmp_path / 'r'} --force"
        )
        assert f"process {os.getpid()} " in who
        assert kept.count == 1


def test_a_run_that_was_taken_over_writes_and_removes_nothing_more(tmp_path, run, monkeypatch):
    monkeypatch.setattr(checkpoint, "INTERVAL", 3600.0)
    with begin(tmp_path / "r", run, {}) as kept, reopen(tmp_path / "r", force=True) as taker:
        assert taker.count == 1
        kept.keep(segment(10))
        with pytest.raises(TakenOver) as refusal:
            kept.flush()
        assert str(refusal.value) == f"another process has taken over the run in '{tmp_path / 'r'}'. It goes on there."
        kept.remove()
        taker.keep(segment(20))
        taker.flush()
        assert [one.stop for one in taker.segments()] == [7, 20]
    with reopen(tmp_path / "r", force=True) as kept:  # nobody holds it
        assert kept.count == 2


def test_a_run_whose_folder_is_gone_says_so(tmp_path, run):
    with begin(tmp_path / "r", run, {}) as kept:
        kept.refuse_lost()
        shutil.rmtree(tmp_path / "r")
        with pytest.raises(TakenOver) as refusal:
            kept.refuse_lost()
    assert str(refusal.value) == f"'{tmp_path / 'r'}' was removed or moved while the run was in it."


def test_a_run_that_ends_while_we_wait_is_told(tmp_path, run, monkeypatch):
    folder = begun(tmp_path / "r", run)
    answers = iter([True, False])
    monkeypatch.setattr(checkpoint, "is_unfinished", lambda _: next(answers))
    with pytest.raises(AlreadyFinished) as refusal, reopen(folder):
        pass
    assert str(refusal.value) == f"the run in '{folder}' has just been finished by another process."


def test_another_process_that_was_first_is_noticed(tmp_path, run, monkeypatch):
    calls = []

    def second(folder):
        calls.append(folder)
        if len(calls) == 2:
            raise PlaceTaken("first")

    monkeypatch.setattr(checkpoint, "refuse_taken", second)
    with pytest.raises(PlaceTaken, match="first"), begin(tmp_path / "r", run, {}):
        pass
    assert calls == [tmp_path / "r"] * 2


def test_a_folder_that_cannot_be_written_is_refused(tmp_path, run, monkeypatch):
    (tmp_path / "file").touch()
    with pytest.raises(CannotWrite) as refusal, begin(tmp_path / "file" / "r", run, {}):
        pass
    assert (
        str(refusal.value)
        == f"'{tmp_path / 'file' / 'r'}' cannot be written (Not a directory). Give a folder of your own."
    )
    folder = begun(tmp_path / "r", run)

    def refuse(path, shared, wait):
        assert (shared, wait) == (False, False)
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(locks, "hold", refuse)
    with pytest.raises(CannotWrite) as refusal, reopen(folder):
        pass
    assert (
        str(refusal.value)
        == f"'{folder}' cannot be written (Read-only file system). Make it writable to go on with its run."
    )


def test_a_beginning_that_fails_leaves_nothing(tmp_path, run, monkeypatch):
    def full(path):
        if path.name == "run.json":
            raise OSError(28, "No space left on device")
        return whole(path)

    whole = checkpoint.written_whole
    monkeypatch.setattr(checkpoint, "written_whole", full)
    with pytest.raises(CannotWrite) as refusal, begin(tmp_path / "a" / "r", run, {}):
        pass
    assert (
        str(refusal.value)
        == f"'{tmp_path / 'a' / 'r' / 'checkpoint'}' cannot be written: [Errno 28] No space left on device. Make space,"
        " or give another folder."
    )
    assert list(tmp_path.iterdir()) == []


def test_undoing_keeps_what_others_put_there(tmp_path, run):
    with begin(tmp_path / "a" / "r", run, {}) as kept:
        (tmp_path / "a" / "other").touch()
        kept.keep(segment(10))
        kept.undo()
    assert [path.name for path in tmp_path.rglob("*")] == ["a", "other"]


def test_removing_takes_the_checkpoint_and_nothing_else(tmp_path, run):
    with begin(tmp_path / "r", run, {}) as kept:
        (tmp_path / "r" / "result.h5").touch()
        kept.remove()
        assert not is_unfinished(tmp_path / "r")
        kept.remove()  # twice does no harm
    assert [path.name for path in (tmp_path / "r").iterdir()] == ["result.h5"]


def test_leftovers_of_killed_processes_go(tmp_path, run):
    folder = begun(tmp_path / "r", run)
    partials = []
    for place in (folder / "result.h5", folder / "checkpoint" / "stretch-00001.h5"):
        with checkpoint.written_whole(place) as partial:
            partial.touch()
            shutil.copy(partial, place.with_name("kept"))
            partials.append(partial)
        place.unlink()
        shutil.move(place.with_name("kept"), partial)
    assert all(partial.exists() for partial in partials)
    with reopen(folder):
        assert not any(partial.exists() for partial in partials)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"format": 1}',
        b'{"format": 1, "run": 1, "sha256": ""}',
        b'{"format": 1, "run": "{}", "sha256": ""}',
    ],
)
def test_a_description_that_is_damaged_is_refused(tmp_path, run, content):
    folder = begun(tmp_path / "r", run)
    path = folder / "checkpoint" / "run.json"
    path.write_bytes(content)
    with pytest.raises(DamagedFile) as refusal, reopen(folder):
        pass
    assert str(refusal.value).startswith(f"'{path}' is damaged (")
    assert str(refusal.value).endswith(f"). Remove '{folder}' and run the experiment again.")


def test_a_description_whose_checksum_is_wrong_says_so(tmp_path, run):
    folder = begun(tmp_path / "r", run)
    path = folder / "checkpoint" / "run.json"
    entry = json.loads(path.read_text())
    assert entry["format"] == 1
    path.write_text(json.dumps(entry | {"run": entry["run"].replace('"seed": 3', '"seed": 4')}))
    with pytest.raises(DamagedFile, match=r"\(its checksum is wrong\)"), reopen(folder):
        pass


def test_a_run_of_another_format_is_refused(tmp_path, run):
    folder = begun(tmp_path / "r", run)
    path = folder / "checkpoint" / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 2}))
    with pytest.raises(WrongVersion) as refusal, reopen(folder):
        pass
    assert (
        str(refusal.value)
        == f"'{path}' was written by a newer bioFA (format 2; this one reads up to 1). Go on with that one."
    )


@pytest.mark.parametrize(
    ("package", "backend", "refused"),
    [
        ("bioFA", "numpy", True),
        ("numpy", "numpy", True),
        ("brian2", "cpp", True),
        ("brian2", "numpy", False),
        ("h5py", "cpp", False),
    ],
)
def test_versions_that_decide_the_numbers_must_be_the_same(tmp_path, run, monkeypatch, package, backend, refused):
    here = provenance.versions()
    folder = begun(tmp_path / "r", dataclasses.replace(run, backend=backend, versions=here | {package: "0.0.1"}))
    if not refused:
        with reopen(folder) as kept:
            assert kept.count == 1
        return
    with pytest.raises(ChangedSince) as refusal, reopen(folder):
        pass
    assert (
        str(refusal.value)
        == f"the run in '{folder}' was begun with {package} 0.0.1; here is {here[package]}, which may give other"
        f" numbers. Go on with {package} 0.0.1, or run it again in another folder."
    )
