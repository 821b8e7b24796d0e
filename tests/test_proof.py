"""The proof that a segment is complete, held to programs that only pretend: scripts in place of the compiled one."""

import os
import re
import shutil
import stat
from types import SimpleNamespace

import numpy as np
import pytest

from bioFA.consumers.brian import outputs, run
from bioFA.consumers.brian.run import ROWS, Compiled
from bioFA.errors import DiskFull, IncompleteRun, ProgramFailed, WrongProcessor


@pytest.fixture
def program(tmp_path):
    """A consumer without a compiled program: what it reads and proves is that of a real one."""
    made = object.__new__(Compiled)
    (tmp_path / "binary").mkdir()
    (tmp_path / "results").mkdir()
    made.binary = SimpleNamespace(
        folder=tmp_path / "binary",
        arrays={"rate": "rate_file", "other": "other_file", "first": "?", "second": "?"},
        parameters=("first", "second"),
        pathways={"a": "dense", "b": "events", "c": "dense"},
    )
    made._served = None
    made.dtype = np.dtype("float64")
    made.protocol = SimpleNamespace(steps=4)
    made.network = SimpleNamespace(
        population=lambda name: SimpleNamespace(name=name, size={"hidden": 3, "none": 0}[name])
    )
    return made


@pytest.fixture
def results(program):
    return program.binary.folder.with_name("results")


FEED = SimpleNamespace(presentations=5, span=None)


def script(program, *lines):
    path = program.binary.folder / "main"
    path.write_text("\n".join(["#!/bin/sh", *lines]) + "\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_a_program_is_called_with_its_results_folder_and_arguments_where_it_lies(program, results):
    order = f"--results_dir {results}/ a=1 b=2 "
    script(
        program,
        'echo "$@" > said',
        'echo "$LD_BIND_NOW" >> said',
        "pwd >> said",
        f"dd bs=1 count={len(order) + 1} 2> /dev/null | tr '\\0' ' ' >> said",
        "echo all is well",
        "echo ended",
    )
    assert list(program._call(results, ["a=1", "b=2"])) == []
    assert (program.binary.folder / "said").read_text().splitlines() == [
        f"--serve {os.getpid()}",
        "1",
        str(program.binary.folder.resolve()),
        f"{order} ",
    ]


@pytest.mark.parametrize(
    ("lines", "code", "words"),
    [
        (["exit 3"], 3, "no message"),
        (["echo one; echo two; exit 1"], 1, "one"),
        (["echo one >&2; echo two >&2"], 0, "one"),
        (["echo out; echo wrong >&2; exit 2"], 2, "wrong"),
        (["exit 0"], 0, "no message"),
        (["echo all is well"], 0, "all is well"),
        (["echo 'not ended'"], 0, "not ended"),
        (["echo one >&2", "echo ended"], 0, "one"),
        (["echo 'Error writing file'", "echo ended"], 0, "Error writing file"),
        (["echo 'Error writing file'"], 0, "Error writing file"),
        (["echo 'an ERROR'"], 0, "an ERROR"),
        (["kill -9 $$"], -9, "no message"),
        (["kill -11 $$"], -11, "no message"),
    ],
)
def test_a_program_that_fails_or_complains_is_refused_in_its_words(program, results, lines, code, words):
    script(program, *lines)
    with pytest.raises(ProgramFailed) as refusal:
        list(program._call(results, []))
    assert str(refusal.value) == f"the compiled program failed (exit code {code}): {words}"


def test_a_program_for_another_processor_leaves_the_cache(program, results):
    script(program, "kill -4 $$")
    (program.binary.folder / "entry.json").touch()
    with pytest.raises(WrongProcessor) as refusal:
        list(program._call(results, []))
    assert (
        str(refusal.value)
        == "the compiled program holds instructions that this processor lacks, so it was taken out of the cache. Run"
        " again to build it here, or set BIOFA_PORTABLE=1 to build it for any processor of this kind."
    )
    assert not (program.binary.folder / "entry.json").exists()


def test_a_segment_that_reached_its_end_with_its_parameters_is_proven(program, results):
    (results / "done.txt").write_text("finished 20\n")
    np.array([0.1]).tofile(results / "rate_file")
    np.array([3.0, 4.0]).tofile(results / "parameters")
    program._prove(results, FEED, {"rate": 0.1, "second": 4.0, "unknown": 7.0})


@pytest.mark.parametrize(
    ("values", "message"),
    [([3.0, 5.0], r"with second = 5\.0 instead of 4\.0"), ([3.0], "parameters has 8 bytes, expected 16"),
     ([3.0, 4.0, 4.0], "parameters has 24 bytes, expected 16"), (None, "parameters is missing")],
)  # fmt: skip
def test_parameters_that_one_file_holds_are_all_there_and_as_given(program, results, values, message):
    (results / "done.txt").write_text("finished 20")
    if values is not None:
        np.array(values).tofile(results / "parameters")
    with pytest.raises((IncompleteRun, DiskFull), match=message):
        program._prove(results, FEED, {"first": 3.0, "second": 4.0})


@pytest.mark.parametrize(
    "done", [None, "", "finished", "finished 19", "finished 21", "stopped 20", "finished 20 20", "20 finished"]
)
def test_a_segment_that_did_not_reach_its_end_is_refused(program, results, done):
    if done is not None:
        (results / "done.txt").write_text(done)
    with pytest.raises(IncompleteRun) as refusal:
        program._prove(results, FEED, {})
    assert str(refusal.value) == "the compiled program stopped before the last of 5 presentations. Run it again."


PART = SimpleNamespace(presentations=1, span=(3, 10))
"""Steps 3 to before 10 of a trial, in which time passes without a task."""


def test_a_part_of_a_trial_is_proven_by_its_own_steps(program, results):
    np.array([3.0, 4.0]).tofile(results / "parameters")
    (results / "done.txt").write_text("finished 7")
    program._prove(results, PART, {"second": 4.0})
    for done in ("finished 4", "finished 10", "finished 13"):
        (results / "done.txt").write_text(done)
        with pytest.raises(IncompleteRun) as refusal:
            program._prove(results, PART, {})
        assert str(refusal.value) == "the compiled program stopped before the last of 7 steps. Run it again."


def test_a_parameter_that_was_not_taken_is_refused_by_its_name(program, results):
    program.binary.parameters = ()
    (results / "done.txt").write_text("finished 20")
    np.array([0.1]).tofile(results / "rate_file")
    np.array([np.nextafter(0.2, 1)]).tofile(results / "other_file")
    with pytest.raises(IncompleteRun) as refusal:
        program._prove(results, FEED, {"rate": 0.1, "other": 0.2})
    assert str(
        refusal.value
    ) == f"the compiled program ran with other = {np.nextafter(0.2, 1)!r} instead of 0.2, so its result does not count.".replace(  # noqa: E501
        "np.float64(", ""
    ).replace(
        ")", "", 1
    )


def test_a_parameter_of_single_precision_is_held_to_what_it_can_hold(program, results):
    program.binary.parameters = ()
    program.dtype = np.dtype("float32")
    (results / "done.txt").write_text("finished 20")
    np.array([0.1], np.float32).tofile(results / "rate_file")
    program._prove(results, FEED, {"rate": 0.1})
    np.array([0.1], np.float64).tofile(results / "rate_file")
    with pytest.raises(DiskFull, match=r"rate_file has 8 bytes, expected 4\. "):
        program._prove(results, FEED, {"rate": 0.1})


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_an_array_is_read_in_its_shape_as_double(program, results, dtype):
    program.dtype = np.dtype(dtype)
    np.arange(6, dtype=dtype).tofile(results / "x")
    found = program._read(results, "x", (2, 3))
    np.testing.assert_array_equal(found, [[0, 1, 2], [3, 4, 5]])
    assert found.dtype == float
    assert program._read(results, "missing", (2, 0)).shape == (2, 0)


@pytest.mark.parametrize(
    ("size", "found"),
    [(None, "is missing"), (0, "has 0 bytes"), (47, "has 47 bytes"), (49, "has 49 bytes"), (96, "has 96 bytes")],
)
def test_an_array_of_another_size_is_refused(program, results, size, found, monkeypatch):
    if size is not None:
        (results / "x").write_bytes(bytes(size))
    asked = []
    monkeypatch.setattr(outputs, "room", lambda folder: asked.append(folder) or "ROOM")
    with pytest.raises(DiskFull) as refusal:
        program._read(results, "x", (2, 3))
    assert str(refusal.value) == f"the compiled program did not finish writing: x {found}, expected 48. ROOM"
    assert asked == [results]


def test_records_have_the_size_of_their_population(program, results):
    class Node(SimpleNamespace):
        def __str__(self):
            return f"{self.population}.r"

    np.arange(6.0).tofile(results / "hidden.r.record")
    at = np.array([1, 4])
    found = program._read_records(results, at, [Node(population="hidden"), Node(population="none")])
    assert found.at is at
    assert {name: array.shape for name, array in found.arrays.items()} == {"hidden.r": (2, 3), "none.r": (2, 0)}
    with pytest.raises(DiskFull, match=r"hidden\.r\.record has 48 bytes, expected 72\. "):
        program._read_records(results, np.arange(3), [Node(population="hidden")])


def test_a_raster_is_whole_or_refused(program, results, monkeypatch):
    monkeypatch.setattr(run, "room", lambda folder: f"ROOM {folder}")
    hidden = SimpleNamespace(name="hidden", size=3)
    for size in (None, 0, 23, 25):
        if size is not None:
            (results / "hidden.s.raster").write_bytes(bytes(size))
        with pytest.raises(DiskFull) as refusal:
            program._read_raster(results, hidden, 2)
        assert (
            str(refusal.value)
            == f"the compiled program did not finish writing: hidden.s.raster has {size or 0} bytes, expected 24. ROOM"
            f" {results}"
        )
    np.arange(24, dtype=np.uint8).tofile(results / "hidden.s.raster")
    found = program._read_raster(results, hidden, 2)
    assert (found.shape, found.dtype, found[1, 3, 2]) == ((2, 4, 3), np.uint8, 23)


def test_the_room_that_is_left_is_told(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: asked.append(folder) or SimpleNamespace(free=12_345_678))
    assert outputs.room(tmp_path) == "Is the disk full, or a quota reached? 12.3 MB are free there."
    assert asked == [tmp_path]
    monkeypatch.undo()
    assert outputs.room(tmp_path / "gone") == "Is the disk full, or was the folder removed?"


@pytest.mark.parametrize(("key", "turned"), [("a.w", False), ("b.w", True), ("c.w", False), ("unknown.w", False)])
def test_matrices_are_turned_where_the_program_keeps_them_by_source(program, key, turned):
    matrix = np.arange(6).reshape(2, 3)
    assert program._stored(key, matrix).shape == ((3, 2) if turned else (2, 3))
    assert program._stored(key, np.arange(3)).shape == (3,)
    np.testing.assert_array_equal(program._stored(key, program._stored(key, matrix)), matrix)


@pytest.mark.parametrize("rows", [0, 1, ROWS - 1, ROWS, ROWS + 1, 2 * ROWS + 3])
def test_arrays_are_written_whole_however_many_rows(tmp_path, rows):
    array = np.asfortranarray(np.arange(rows * 2.0).reshape(rows, 2))
    run._write(tmp_path / "x", array)
    np.testing.assert_array_equal(np.fromfile(tmp_path / "x").reshape(rows, 2), array)
    run._write(tmp_path / "x", array, np.dtype("float32"))
    assert (tmp_path / "x").stat().st_size == rows * 2 * 4


def test_an_input_that_cannot_be_written_is_told(tmp_path):
    with pytest.raises(
        DiskFull,
        match=(
            r"^the input of the compiled program could not be written \(\[Errno 2\] No such file or directory:"
            rf" {re.escape(repr(str(tmp_path / 'gone' / 'x')))}\)\. Is the disk full\?$"
        ),
    ):
        run._write(tmp_path / "gone" / "x", np.zeros(3))
