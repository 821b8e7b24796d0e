"""Runs of a comparison are forks of a process that has everything loaded, and yet processes of their own."""

import atexit
import os
import signal
import sys
from pathlib import Path

import pytest

from bioFA.comparisons import driver, worker
from bioFA.comparisons.forks import Forks
from bioFA.comparisons.plan import Request, begin
from bioFA.comparisons.run import run
from bioFA.comparisons.table import RUNS
from bioFA.runs.checkpoint import is_unfinished
from bioFA.system.processes import end_after
from trial.sandbox import waited

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere runs are started one by one")
SMALL = ("task.examples=60", "task.test_examples=20")
LONG = ("task.examples=60", "task.test_examples=20", "protocol.epochs=100000")


def sweep_in(folder, changes=SMALL):
    return begin(Request(("linear",), ("shallow", "fa"), seeds=2, changes=changes, backend="numpy"), folder)


@pytest.fixture
def forks(tmp_path):
    sweep = sweep_in(tmp_path / "out", LONG)
    with driver.forking(sweep) as forks:
        forks.sweep = sweep
        yield forks


@pytest.fixture
def begun(forks, tmp_path):
    """Two runs that take minutes."""
    with open(tmp_path / "log", "wb") as log:
        jobs = forks.sweep.jobs[:2]
        runs = [forks.begin(job.name, str(tmp_path), os.environ, log) for job in jobs]
    assert waited(lambda: all(is_unfinished(forks.sweep.place(job)) for job in jobs), 30)
    yield runs
    for one in runs:
        one.kill()
        one.wait()


def parent(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_a_run_is_a_process_and_a_session_of_its_own_and_is_ended_alone(forks, begun):
    one, other = begun
    assert len({one.pid, other.pid, os.getpid(), forks._process.pid}) == 4
    assert {parent(run.pid) for run in begun} == {forks._process.pid}
    assert waited(lambda: os.getsid(one.pid) == one.pid, 10)
    assert one.poll() is None
    one.terminate()
    assert one.wait(20) == 130  # it was asked to end, and kept its last segment
    assert other.poll() is None
    other.kill()
    assert other.wait(20) == -signal.SIGKILL


def test_a_run_ends_with_its_standard_input(begun):
    one, other = begun
    one.stdin.close()
    assert one.wait(20) == 130
    assert other.poll() is None


@pytest.mark.slow
def test_runs_end_where_the_process_that_forks_is_killed_and_others_are_started_one_by_one(forks, begun, tmp_path):
    os.kill(forks._process.pid, signal.SIGKILL)
    assert [one.wait(20) for one in begun] == [-signal.SIGKILL] * 2
    assert waited(lambda: not any(Path(f"/proc/{one.pid}").exists() for one in begun), 20)
    with open(tmp_path / "log", "wb") as log:
        assert forks.begin("x", str(tmp_path), os.environ, log) is None
    found = sweep_in(tmp_path / "other")
    assert driver.execute(found, 2, forks=forks) == {}
    assert all(map(found.is_done, found.jobs))


def test_forked_runs_come_to_the_bits_of_those_that_are_started(tmp_path, monkeypatch):
    pids, work = [], Forks.begin

    def noted(self, *arguments):
        pids.append(found := work(self, *arguments))
        return found

    monkeypatch.setattr(Forks, "begin", noted)
    forked, started = sweep_in(tmp_path / "forked"), sweep_in(tmp_path / "started")
    run(forked, 2)
    assert len({one.pid for one in pids}) == 4
    assert driver.execute(started, 2) == {}
    assert len(pids) == 4
    for job in forked.jobs:
        one, other = (sweep.outcome(job) for sweep in (forked, started))
        assert one["metrics"] == other["metrics"]
        assert one["course"] == other["course"]
    assert not list((tmp_path / "forked" / RUNS).glob("*.log"))


def test_a_run_past_its_time_or_memory_is_ended_and_says_so(tmp_path):
    found = sweep_in(tmp_path / "out", LONG)
    with driver.forking(found) as forks:
        for limits, said in (((2.0, None), "time limit of 2 s"), ((None, 30), "its limit of 30 MB")):
            name = found.jobs[0].name
            message = driver.attempt(str(found.folder), name, limits[0], str(tmp_path), limits[1], forks=forks)
            assert said in message
            assert (found.folder / RUNS / f"{name}.log").read_text().splitlines()[-1] == message


def test_a_run_that_fails_is_quoted_as_one_that_is_started(tmp_path, monkeypatch):
    found = sweep_in(tmp_path / "out")
    with driver.forking(found) as forks:
        assert driver.attempt(str(found.folder), "no such job", None, str(tmp_path), forks=forks) == "StopIteration"
    assert driver.attempt(str(found.folder), "no such job", None, str(tmp_path)) == "StopIteration"
    assert worker.__name__ == "bioFA.comparisons.worker"


def interrupted():
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("work", "code"),
    [
        (lambda: 3, 3),
        (lambda: sys.exit(4), 4),
        (lambda: sys.exit(), 0),
        (lambda: sys.exit("a message"), 1),
        (lambda: int("x"), 1),
        (interrupted, 130),
    ],
)
def test_a_forked_process_ends_with_the_exit_code_of_its_work_and_does_nothing_more(work, code, tmp_path):
    child = os.fork()
    if child == 0:
        sys.stderr = open(tmp_path / "stderr", "w")  # noqa: SIM115
        atexit.register((tmp_path / "of the parent").touch)
        end_after(work)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == code
    assert ("ValueError" in (tmp_path / "stderr").read_text()) == (code == 1 and "int" in work.__code__.co_names)
    assert not (tmp_path / "of the parent").exists()
