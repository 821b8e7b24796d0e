"""Whatever kills or stops a run or a comparison, and whenever: what continues from there comes to the same bits."""

import json
import os
import random
import signal

import pytest

import bioFA
from bioFA.comparisons.outcomes import summary
from bioFA.comparisons.plan import Request, begin
from bioFA.comparisons.run import run
from bioFA.comparisons.table import OUTCOME, RUNS
from bioFA.errors import FileError
from bioFA.runs import checkpoint
from bioFA.runs.checkpoint import FOLDER
from bioFA.runs.result import RESULT, load_result
from trial import drill, killing, soak
from trial.oracle import Attempt, Outcome, digest
from trial.sandbox import processes_of, settings, waited, without_report

pytestmark = [pytest.mark.faults, pytest.mark.compiled]
slow = pytest.mark.slow


def segments(folder):
    return sorted((folder / FOLDER).glob("stretch-*.h5"))


# at random moments


ATTEMPTS = {
    "F3": {5: slow},  # a build
    "F7": {0: ()},  # a run
    "F8": {0: slow},  # the driver of a comparison
    "F9": {0: slow, 1: slow, 2: (), 3: slow, 4: slow},  # SIGINT and SIGTERM of both
    "F10": {0: slow, 1: slow, 2: (), 3: slow, 4: slow},  # around a renaming or a removal
    "F20": {2: slow},  # a run of a comparison, by the system
}
"""The attempts of the drills that kill, each a variant of its fault."""


@pytest.mark.parametrize(
    ("number", "attempt"),
    [pytest.param(number, way, marks=marks) for number, ways in ATTEMPTS.items() for way, marks in ways.items()],
)
def test_a_kill_or_signal_is_survived(sandbox, number, attempt):
    found = drill.FAULTS[number].drill(sandbox, attempt)
    sandbox.tidy()
    assert found.outcome.survived, found
    assert found.lost == 0


def test_every_drill_that_kills_is_put_here_in_every_variant():
    for fault in killing.FAULTS:
        assert list(ATTEMPTS[fault.number]) == list(range(len(fault.variants)))


COMPILED = {"blocks": "blocked", "batches": "batched", "events": "events"}
"""How runs that are to try a kernel of their own compile their first pathway."""
RUNS_AND_KILLS = [("long", 20), ("traces", 10), ("passing", 10), *((name, 20) for name in COMPILED)]


@slow
@pytest.mark.parametrize(("name", "kills"), RUNS_AND_KILLS)
def test_kills_at_random_moments_are_survived_bit_for_bit(sandbox, name, kills):
    """Also of neurons that go on from one presentation to the next, of a rule with traces at its synapses, and of
    matrices that learn in blocks or batches of presentations, or at every event."""
    undisturbed = load_result(sandbox.reference(name).folder / RESULT)
    assert name in ("long", "blocks", "batches") or any(variable.endswith(".v") for variable in undisturbed.state)
    assert name != "traces" or any(pathway.traces() for pathway in undisturbed.experiment.network.plastic())
    assert name != "passing" or undisturbed.state["inh_to_exc.under_way"].any()
    if name in COMPILED:
        assert undisturbed.provenance["engine"]["pathways"]["input_to_hidden"] == COMPILED[name]
    kept, tries = [], iter(range(3 * kills))
    while len(kept) < kills:
        next(tries)
        folder = killing.killed_at_random(sandbox, name, with_state=True)
        if checkpoint.is_unfinished(folder):  # else it was faster
            assert waited(lambda folder=folder: not processes_of(folder), 60)
            kept.append(len(segments(folder)) - 1)
            assert sandbox.recovered(folder, name=name) == Attempt(Outcome.REFUSED, resumed=True)
        sandbox.tidy()
    assert len(set(kept)) > kills / 4, kept


# by signals


@pytest.mark.parametrize(
    ("number", "code", "message"), [(signal.SIGTERM, 143, "ended by SIGTERM"), (signal.SIGINT, 130, "interrupted")]
)
@pytest.mark.parametrize(
    "killed_before", [pytest.param(False, id="run"), pytest.param(True, id="resume", marks=pytest.mark.slow)]
)
def test_a_signal_stops_a_run_cleanly_and_it_continues(sandbox, number, code, message, killed_before):
    folder = sandbox.fresh() / "it's a run"
    running = sandbox.run(folder, "long")
    assert waited(lambda: len(segments(folder)) > 3)
    if killed_before:
        running.kill()
        kept = len(segments(folder))
        assert waited(lambda: not processes_of(folder), 60)
        running = sandbox.resume(folder)
        assert waited(lambda: len(segments(folder)) > kept + 2)
    running.send(number)
    ended = running.wait()
    assert ended.code == code
    further = f"{message}. Go on with: biofa resume '{folder.parent}/it'\"'\"'s a run'"
    stopped = "interrupted" if code == 130 else "terminated"
    assert ended.err.splitlines()[-1] == f"biofa: [{stopped}] {further}"
    assert json.loads(ended.out) == {"error": further, "code": stopped, "exit_code": code}
    assert processes_of(folder) == []
    assert not (folder / RESULT).exists()
    assert not [path for path in (folder / FOLDER).iterdir() if path.is_dir()], "no passing files are left"
    ended = sandbox.resume(folder).wait()
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["result"] == str(folder / RESULT)
    assert os.listdir(folder) == [RESULT]
    assert digest(folder / RESULT) == sandbox.reference("long").digest
    sandbox.tidy()


# around each renaming

REPLACED = {
    1: "segment 0",
    2: "run.json",
    3: "segment 1",
    4: "segment 2",
    5: "segment 3",
    6: "segment 4",
    7: "the result",
}
MIDDLE = (4, 5, 6)
"""Segments like the one before them."""
SHORT = {"task.examples": 60, "task.test_examples": 20, "protocol.snapshots": 4}


def simulated(folder):
    bioFA.simulate(bioFA.load("linear", SHORT).with_scheme("np"), seed=3, backend="numpy", folder=folder)
    return 0


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The digest of a short run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    simulated(folder)
    return digest(folder / RESULT)


@pytest.mark.parametrize(
    ("number", "moment"),
    [
        pytest.param(number, moment, id=f"{name}-{moment}", marks=[slow] * (number in MIDDLE))
        for number, name in REPLACED.items()
        for moment in ("before", "after", "half")
    ],
)
def test_death_during_a_checkpoint_leaves_the_old_state_or_the_new_never_one_between(
    sandbox, whole, tmp_path, number, moment
):
    dies = killing.dies_renaming(number, moment)
    assert sandbox.fork(lambda: simulated(tmp_path), prepare=[dies]).wait().code == -signal.SIGKILL
    kept = [checkpoint._read_segment(path) for path in segments(tmp_path)]
    if number > 2:
        stops = [segment.stop for segment in kept if segment is not None]
        done = min(number - 2, 5) - (moment != "after" and number < 7)
        assert stops == [0, 15, 30, 45, 60][: done + 1 if number < 7 else 5]
    if (number, moment) in ((2, "half"), (7, "half")):  # only a disk that lies about having written does this
        with pytest.raises(FileError, match=r"damaged|not a whole result"):
            bioFA.resume(tmp_path)
        return
    if number == 1 or (number == 2 and moment == "before"):
        with pytest.raises(FileError, match="there is no run"):
            bioFA.resume(tmp_path)
        simulated(tmp_path)
    else:
        with pytest.raises(FileError, match="biofa resume"):
            simulated(tmp_path)
        bioFA.resume(tmp_path)
    assert digest(tmp_path / RESULT) == whole
    assert os.listdir(tmp_path) == [RESULT]


# of comparisons

FEW = ("task.examples=120", "task.test_examples=20", "task.validation_examples=20")
TUNED = ("linear", "--schemes", "shallow,fa", "--seeds", "2", *settings(*FEW), "--backend", "numpy", "--tune")


def tuned_in(sandbox, folder):
    """Begin a tuned comparison, whose runs are forks of its driver."""
    prepare = [without_report, soak.fork_runs]
    return sandbox.biofa("compare", *TUNED, "-j", "2", "--json", "--out", str(folder), prepare=prepare)


@pytest.fixture(scope="module")
def table(sandbox, tmp_path_factory):
    """The table of the tuned comparison that nothing disturbed."""
    folder = tmp_path_factory.mktemp("tuned") / "out"
    ended = tuned_in(sandbox, folder).wait()
    assert ended.code == 0, ended.err
    return (folder / "table.csv").read_bytes()


@slow
def test_a_driver_killed_at_random_and_resumed_ends_at_the_same_table(sandbox, table, tmp_path):
    chance, folder = random.Random(3), tmp_path / "out"

    def outcomes():
        return len(list((folder / RUNS).glob(f"*/{OUTCOME}")))

    for _ in range(2):
        wanted = outcomes() + chance.randint(1, 8)
        driver = tuned_in(sandbox, folder)
        assert waited(lambda driver=driver, wanted=wanted: outcomes() >= wanted or driver.poll() is not None)
        assert driver.kill().code == -signal.SIGKILL
    assert not (folder / "table.csv").exists()
    assert sandbox.resume(folder, "-j", "2").wait().code == 0
    assert (folder / "table.csv").read_bytes() == table


@slow
def test_dask_finishes_all_runs_though_a_worker_is_killed(table, tmp_path):
    distributed = pytest.importorskip("distributed")
    request = Request(("linear",), ("shallow", "fa"), seeds=2, changes=FEW, backend="numpy", tune=True)
    killed = []
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:

        def kill_one(done, total, failed):
            if done >= 5 and not killed:
                killed.append(cluster.workers[0].pid)
                os.kill(killed[0], signal.SIGKILL)

        found = begin(request, tmp_path / "out")
        outcome = summary(run(found, scheduler=cluster.scheduler_address, report=kill_one))
    assert killed
    assert (outcome["left"], outcome["failed"]) == (0, {})
    assert (tmp_path / "out" / "table.csv").read_bytes() == table


@slow
def test_a_short_soak_loses_nothing_and_the_driver_keeps_its_size(monkeypatch):
    monkeypatch.setattr(soak, "DRIVER_LIVES", (3.0, 6.0))
    found = soak.run(120)  # so many that a machine twice as fast is not done before a driver is killed
    assert (found.finished, found.whole, found.lost, found.damaged) == (120, 120, 0, 0)
    assert found.killed_runs > 0
    assert found.killed_drivers > 0
    assert found.memory_mb[1] - found.memory_mb[0] < 10
    assert found.files[1] - found.files[0] <= 3
    assert "120 of 120 runs finished" in str(found)
