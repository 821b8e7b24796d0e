"""Segments that follow each other in one call of the program: bit for bit what each is alone, and each proven."""

import os
import signal

import numpy as np
import pytest
import systems

import bioFA
from bioFA.consumers.base import one_by_one
from bioFA.consumers.brian.outputs import Growing
from bioFA.consumers.brian.run import Compiled
from bioFA.errors import DiskFull, IncompleteRun, ProgramFailed
from bioFA.instance import draw

pytestmark = pytest.mark.compiled
POINTS = [3, 8, 41, 45]
"""Unlike in length; the second is longer than a block of presentations."""
ALONE = {"held_np"}
"""Systems whose segments do not follow each other: they draw noise for each presentation."""


def contents(segment):
    """All bytes of a segment."""
    arrays = {**segment.state, **segment.recording.arrays, "at": segment.recording.at}
    return {name: array.tobytes() for name, array in arrays.items()}


@pytest.fixture
def calls(monkeypatch):
    """Into how many segments each call of the program is divided."""
    found = []
    real = Compiled._begin

    def begin(self, *arguments, stops=(), **keywords):
        found.append(len(stops) + 1)
        return real(self, *arguments, stops=stops, **keywords)

    monkeypatch.setattr(Compiled, "_begin", begin)
    return found


@pytest.mark.parametrize("system", systems.EACH)
def test_segments_in_one_call_are_those_of_a_call_each(system, calls):
    instance = draw(system, 5)
    compiled = Compiled(instance)
    together = list(compiled.segments(instance.state, POINTS, instance.training))
    assert calls == ([1, 1, 1] if system.name in ALONE else [3])
    for one, alone in zip(together, one_by_one(compiled, instance.state, POINTS, instance.training), strict=True):
        assert contents(one) == contents(alone)


@pytest.mark.parametrize(
    ("options", "changes"),
    [
        ({"blocked": True}, {}),
        ({"precision": "float32"}, {"record.every": 7}),
        ({}, {"circuit.learning": {"batch": 16}, "protocol.shuffle": True}),
    ],
    ids=["blocked", "single", "batched"],
)
def test_so_are_those_of_a_program_that_takes_presentations_together(options, changes, calls):
    instance = draw(bioFA.load("linear", changes), 2)
    compiled = Compiled(instance, **options)
    points = [0, 40, 77, 200]
    together = list(compiled.segments(instance.state, points, instance.training))
    assert calls == [3]
    alone = Compiled(instance, **options)
    for one, other in zip(together, one_by_one(alone, instance.state, points, instance.training), strict=True):
        assert contents(one) == contents(other)


@pytest.fixture
def instance():
    return draw(bioFA.load("linear", {"protocol.epochs": 50}), 1)


@pytest.fixture
def stopped(instance, monkeypatch):
    """A run of many presentations at its first stop: its consumer, the segment there, and those that are to come."""
    monkeypatch.setattr("bioFA.consumers.brian.run.MOST_PASSING", 1 << 40)
    compiled = Compiled(instance)
    segments = compiled.segments(instance.state, [0, 10, 100_000], instance.training)
    return compiled, next(segments), segments


def test_a_program_that_is_killed_after_a_stop_leaves_the_segment_before_it_whole(instance, stopped):
    compiled, first, segments = stopped
    os.killpg(compiled._served._process.pid, signal.SIGKILL)
    with pytest.raises(ProgramFailed, match="exit code -9"):
        next(segments)
    (alone,) = one_by_one(compiled, instance.state, [0, 10], instance.training)
    assert contents(first) == contents(alone)


def test_who_leaves_at_a_stop_ends_the_program_and_may_begin_anew(instance, stopped):
    compiled, first, segments = stopped
    served = compiled._served._process
    segments.close()
    assert served.poll() == -signal.SIGKILL
    assert os.listdir(compiled._scratch.name) == [name for name in os.listdir(compiled._scratch.name) if "data" in name]
    (alone,) = one_by_one(compiled, instance.state, [0, 10], instance.training)
    assert contents(first) == contents(alone)


def left(segment, compiled, mark, learning_rate=7e-3):
    """What a program leaves at a stop."""
    names = {file: key for key, file in compiled.binary.arrays.items()}
    states = [segment.state[names[file]].tobytes() for file in compiled.binary.handed]
    parameters = compiled._at_rate(1.0) | {"input_to_hidden.learning_rate": learning_rate}
    values = np.array([parameters[name] for name in compiled.binary.parameters])
    return b"".join(states) + values.tobytes() + mark.to_bytes(8, "little")


@pytest.mark.parametrize(
    ("left", "error", "message"),
    [
        (lambda *of: left(*of, 9), IncompleteRun, "stopped before presentation 10"),
        (lambda *of: left(*of, 10)[:-1], DiskFull, r"handed has \d+ bytes, expected \d+"),
        (lambda *of: left(*of, 10, 0.5), IncompleteRun, r"learning_rate = 0\.5 instead of 0\.007"),
        (None, DiskFull, "handed is missing"),
    ],
    ids=["mark", "short", "parameter", "missing"],
)
def test_what_a_stop_leaves_is_proven(left, error, message, instance, tmp_path):
    compiled = Compiled(instance)
    (segment,) = one_by_one(compiled, instance.state, [0, 10], instance.training)
    if left is not None:
        (tmp_path / "handed").write_bytes(left(segment, compiled))
    with pytest.raises(error, match=message):
        compiled._state_at(Growing(tmp_path, "handed"), instance.state, 10, compiled._at_rate(1.0))


def test_a_file_that_grows_is_read_part_after_part_to_its_exact_end(tmp_path):
    file = Growing(tmp_path, "x")
    assert file.take(0) == b""  # before it is there
    (tmp_path / "x").write_bytes(b"abcde")
    assert (file.take(3), file.take(2, last=True)) == (b"abc", b"de")
    with pytest.raises(DiskFull, match="x has 5 bytes, expected 6"):
        file.take(1)
    (tmp_path / "x").write_bytes(b"abcdefg")
    with pytest.raises(DiskFull, match="x has 7 bytes, expected 6"):
        file.take(1, last=True)
    file.close()


def test_a_stop_that_is_left_out_is_refused(instance, monkeypatch):
    compiled = Compiled(instance)
    write = compiled._write_plan
    monkeypatch.setattr(compiled, "_write_plan", lambda *arguments: write(*arguments[:-1], ()))
    with pytest.raises(IncompleteRun, match="left out a stop before presentation 10"):
        list(compiled.segments(instance.state, [0, 10, 20], instance.training))
