"""The table of jobs and what has become of them, without a run: what counts as done, what is refused,
and exactly what is said."""

import hashlib
import json
import shutil

import pytest

import bioFA
from benchmarks.outcomes import fabricate
from bioFA.analysis import statistics
from bioFA.comparisons import driver, plan, tuning, worker
from bioFA.comparisons.driver import Limits, estimate, pilots
from bioFA.comparisons.outcomes import read_outcomes, summary
from bioFA.comparisons.run import write_tables
from bioFA.comparisons.table import Condition, Job, Sweep, holds_sweep, read, write
from bioFA.errors import CannotWrite, ChangedSince, DamagedFile, Diverged, NoSuchFile, PlaceTaken, WrongVersion
from bioFA.runs import provenance

REQUEST = {"models": ["linear"], "seeds": 2}


def sha(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture(scope="module")
def experiment():
    return bioFA.load("linear")


@pytest.fixture
def parts(experiment):
    conditions = [
        Condition("linear", "fa", {}, bioFA.dumps(experiment)),
        Condition("linear", "bp", {"x": 1}, bioFA.dumps(experiment.with_scheme("bp"))),
    ]
    return conditions, [Job("a1", 0, 1), Job("a2", 0, 2), Job("b1", 1, 1), Job("b2", 1, 2)]


@pytest.fixture
def table(tmp_path, parts):
    return write(tmp_path / "s", REQUEST, *parts)


def done(found, name, status="finished", result=b"numbers", wall=10.0, cached=True, **metrics):
    """Record an outcome as a run does."""
    job = next(job for job in found.jobs if job.name == name)
    place = found.folder / "runs" / name
    place.mkdir(parents=True, exist_ok=True)
    if result is not None:
        (place / "result.h5").write_bytes(result)
    outcome = {
        "status": status,
        "seed": job.seed,
        "experiment_sha256": sha(bioFA.dumps(found.experiment(job)).encode()),
        "result_sha256": None if result is None else sha(result),
        "metrics": metrics,
        "wall_s": wall,
        "timing": {"cached": cached, "codegen_s": 1.0, "compile_s": 3.0},
        "result_bytes": len(result or b""),
    }
    return record(place, outcome)


def record(place, outcome):
    text = json.dumps(outcome)
    (place / "outcome.json").write_text(json.dumps({"sha256": sha(text.encode()), "outcome": text}))
    return outcome


def test_a_table_comes_back_as_it_was_written(table, parts):
    conditions, jobs = parts
    assert holds_sweep(table.folder)
    assert not holds_sweep(table.folder.parent)
    for found in (table, read(table.folder), write(table.folder, REQUEST, conditions, jobs)):
        assert found.request == REQUEST
        assert found.conditions == conditions
        assert found.jobs == jobs
        assert found.compared == jobs
        assert not found.mixed
        assert [e.scheme for e in found.experiments] == ["fa", "bp"]
    entry = json.loads((table.folder / "sweep.json").read_text())
    assert entry["format"] == 1
    assert entry["versions"] == provenance.versions()
    assert entry["sha256"] == sha(entry["table"].encode())
    assert (table.folder / "runs").is_dir()
    assert table.place(jobs[0]) == table.folder / "runs" / "a1"
    assert read(table.folder, mixed=True).mixed
    assert write(table.folder, REQUEST, conditions, jobs, mixed=True).mixed


def test_shards_share_the_jobs_out(table):
    assert table.part(None) == table.jobs
    assert [[job.name for job in table.part((k, 3))] for k in (1, 2, 3)] == [["a1", "b2"], ["a2"], ["b1"]]


def test_pilots_are_the_first_of_each_condition(table):
    assert [job.name for job in pilots(table.jobs)] == ["a1", "b1"]
    assert [job.name for job in pilots(table.jobs[1:])] == ["a2", "b1"]


@pytest.mark.parametrize(
    "other", [{"request": {"models": ["digits"]}}, {"jobs": [Job("a1", 0, 9)]}, {"conditions": []}]
)
def test_another_table_in_the_same_folder_is_refused(table, parts, other):
    conditions, jobs = parts
    with pytest.raises(PlaceTaken) as refusal:
        write(table.folder, other.get("request", REQUEST), other.get("conditions", conditions), other.get("jobs", jobs))
    assert (
        str(refusal.value)
        == f"--out: '{table.folder}' holds another comparison. Give another folder; 'biofa resume {table.folder}' goes"
        " on with that one."
    )


def test_files_of_somebodys_own_are_noted_and_refused_once_they_are_changed(tmp_path, parts, monkeypatch):
    file = tmp_path / "mine.py"
    file.write_text("one")
    noted = {"mine": (str(file), sha(b"one"))}
    monkeypatch.setattr("bioFA.comparisons.table._origins", lambda conditions: noted)
    write(tmp_path / "s", REQUEST, *parts)
    assert read(tmp_path / "s").origins == {"mine": [str(file), sha(b"one")]}
    file.write_text("two")
    with pytest.raises(ChangedSince, match="mine"):
        write(tmp_path / "s", REQUEST, *parts)


def test_a_folder_that_holds_something_else_is_refused(tmp_path, parts):
    (tmp_path / "lock").touch()
    assert write(tmp_path, REQUEST, *parts).jobs
    (tmp_path / "sweep.json").unlink()
    with pytest.raises(PlaceTaken) as refusal:
        write(tmp_path, REQUEST, *parts)
    assert str(refusal.value) == f"--out: '{tmp_path}' already holds something else. Give a new folder."


def test_a_folder_that_cannot_be_written_is_refused(tmp_path, parts):
    (tmp_path / "file").touch()
    with pytest.raises(CannotWrite) as refusal:
        write(tmp_path / "file" / "s", REQUEST, *parts)
    assert (
        str(refusal.value)
        == f"--out: '{tmp_path / 'file' / 's'}' cannot be written (Not a directory). Give a folder of your own."
    )


def test_where_there_is_no_table_the_remedy_is_told(tmp_path):
    with pytest.raises(NoSuchFile) as refusal:
        read(tmp_path)
    assert (
        str(refusal.value)
        == f"there is no comparison in '{tmp_path}'. Begin one with 'biofa compare MODEL --schemes a,b --seeds N --out"
        f" {tmp_path}'."
    )


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"format": 1}',
        b'{"format": 1, "table": 1, "sha256": ""}',
        b'{"format": 1, "table": "{}", "sha256": "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"}',
    ],
)
def test_a_damaged_table_is_refused(table, content):
    path = table.folder / "sweep.json"
    path.write_bytes(content)
    with pytest.raises(DamagedFile) as refusal:
        read(table.folder)
    assert str(refusal.value).startswith(f"'{path}' is damaged (")
    assert str(refusal.value).endswith("). Begin the comparison again in another folder.")


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (
            {"format": 0},
            DamagedFile,
            "'{path}' is damaged (its format is wrong). Begin the comparison again in another folder.",
        ),
        (
            {"format": "2"},
            DamagedFile,
            "'{path}' is damaged (its format is wrong). Begin the comparison again in another folder.",
        ),
        (
            {"sha256": "0"},
            DamagedFile,
            "'{path}' is damaged (its checksum is wrong). Begin the comparison again in another folder.",
        ),
        (
            {"format": 2},
            WrongVersion,
            "'{path}' was written by a newer bioFA (format 2; this one reads up to 1). Go on with that one.",
        ),
    ],
)
def test_what_is_wrong_with_a_table_is_told(table, change, error, words):
    path = table.folder / "sweep.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(error) as refusal:
        read(table.folder)
    assert str(refusal.value) == words.format(path=path)


@pytest.mark.parametrize(("package", "refused"), [("bioFA", True), ("brian2", True), ("numpy", True), ("h5py", False)])
def test_a_table_of_other_versions_is_refused_unless_they_may_mix(table, package, refused):
    path, here = table.folder / "sweep.json", provenance.versions()
    path.write_text(json.dumps(json.loads(path.read_text()) | {"versions": here | {package: "0.1"}}))
    assert read(table.folder, mixed=True).jobs
    if not refused:
        assert read(table.folder).jobs
        return
    with pytest.raises(ChangedSince) as refusal:
        read(table.folder)
    assert (
        str(refusal.value)
        == f"the comparison in '{table.folder}' was begun with {package} 0.1; here is {here[package]}, which may give"
        f" other numbers. Go on with {package} 0.1, or begin again in another folder; or let the versions mix:"
        " --allow-mixed."
    )


def test_a_job_is_done_when_its_outcome_is_proven(table):
    assert [table.outcome(job) for job in table.jobs] == [None] * 4
    first, second = done(table, "a1"), done(table, "a2", status="diverged", result=None)
    assert table.outcome(table.jobs[0]) == first
    assert table.outcome(table.jobs[1]) == second
    states = list(map(read_outcomes(table).state, table.jobs))
    assert states == ["finished", "diverged", "not finished", "not finished"]
    (table.folder / "runs" / "a1" / "result.h5").unlink()
    assert table.outcome(table.jobs[0]) == first  # proven once, it is not read again
    assert read(table.folder).outcome(table.jobs[0]) is None


@pytest.mark.parametrize(
    "change", [{"seed": 2}, {"experiment_sha256": "0"}, {"result_sha256": "0"}, {"status": None, "seed": "1"}]
)
def test_an_outcome_of_something_else_does_not_count(table, change):
    outcome = done(table, "a1") | change
    record(table.folder / "runs" / "a1", outcome)
    assert table.outcome(table.jobs[0]) is None


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"sha256": "", "outcome": "{}"}',
        '{"sha256": "", "outcome": 1}',
        '{"sha256": "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a", "outcome": "{}"}',
    ],
)
def test_a_damaged_outcome_does_not_count(table, content):
    done(table, "a1")
    (table.folder / "runs" / "a1" / "outcome.json").write_text(content)
    assert table.outcome(table.jobs[0]) is None


def test_a_changed_bit_of_outcome_or_result_does_not_count(table):
    done(table, "a1")
    path = table.folder / "runs" / "a1" / "outcome.json"
    whole = path.read_text()
    path.write_text(whole.replace("finished", "finishes"))
    assert table.outcome(table.jobs[0]) is None
    path.write_text(whole)
    (table.folder / "runs" / "a1" / "result.h5").write_bytes(b"numberz")
    assert table.outcome(table.jobs[0]) is None


@pytest.mark.parametrize(
    ("log", "complaint", "state"),
    [
        ("first\nit broke\n\n", "it broke", "failed"),
        ("", None, "not finished"),
        ("  \n", None, "not finished"),
        ("x\n[time-limit] it was ended", "[time-limit] it was ended", "timeout"),
        ("[out-of-memory] killed", "[out-of-memory] killed", "oom"),
        ("it said [out-of-memory]", "it said [out-of-memory]", "failed"),
        (b"\xff broke", "\ufffd broke", "failed"),
    ],
)
def test_what_a_run_complained_of_is_its_last_line(table, log, complaint, state):
    (table.folder / "runs" / "a1.log").write_bytes(log if isinstance(log, bytes) else log.encode())
    assert table.complaint(table.jobs[0]) == complaint
    assert read_outcomes(table).state(table.jobs[0]) == state
    assert table.complaint(table.jobs[1]) is None
    assert read_outcomes(table).state(table.jobs[1]) == "not finished"


def test_tuning_comes_before_what_is_compared(tmp_path, parts):
    conditions, _ = parts
    jobs = [
        Job("t1", 0, 8, 0.5),
        Job("t2", 0, 9, 0.5),
        Job("t3", 0, 8, 2.0),
        Job("t4", 0, 9, 2.0),
        Job("u1", 1, 8, 3.0),
        Job("a1", 0, 1),
        Job("b1", 1, 1),
    ]
    table = write(tmp_path / "s", REQUEST, conditions, jobs)
    assert [job.name for job in table.compared] == ["a1", "b1"]
    assert table.chosen(0) is None
    assert table.experiment(jobs[5]) is None
    assert table.outcome(jobs[5]) is None
    assert table.experiment(jobs[2]) == tuning.scaled(table.experiments[0], 2.0)
    for name, error in (("t1", 0.4), ("t2", 0.2), ("t3", 0.2)):
        done(table, name, result=None, validation_error=error)
    assert table.chosen(0) is None
    done(table, "t4", result=None, validation_error=0.3)
    assert table.chosen(0) == {
        "factor": 2.0,
        "at_edge": True,
        "grid": [
            {"factor": 0.5, "mean": pytest.approx(0.3), "values": [0.4, 0.2]},
            {"factor": 2.0, "mean": 0.25, "values": [0.2, 0.3]},
        ],
    }
    assert table.experiment(jobs[5]) == tuning.scaled(table.experiments[0], 2.0)
    done(table, "u1", status="diverged", result=None)
    assert table.chosen(1)["factor"] == 1.0
    assert table.experiment(jobs[6]) == table.experiments[1]
    assert table.chosen(1)["grid"][0]["values"] == [float("inf")]


def test_without_tuning_nothing_is_scaled(table):
    assert table.chosen(0) == {"factor": 1.0, "at_edge": False, "grid": []}
    assert table.experiment(table.jobs[3]) == table.experiments[1]
    assert table.experiment(Job("x", 0, 1, 1.0)) == table.experiments[0]


def test_what_is_left_is_told_from_what_is_done(table, monkeypatch):
    monkeypatch.setattr(
        driver.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 123 if folder == table.folder else 0})
    )
    assert estimate(table, table.jobs) is None
    done(table, "a1", status="diverged", result=None)
    assert estimate(table, table.jobs) is None
    table._proven.clear()
    done(table, "a1", wall=10.0)
    assert estimate(table, table.jobs) == {"left": 3, "seconds": 30.0, "bytes": 21.0, "free": 123}
    done(table, "b1", wall=24.0, cached=False, result=b"x" * 9)
    assert estimate(table, table.jobs) == {"left": 2, "seconds": 30.0, "bytes": 16.0, "free": 123}
    assert estimate(table, table.jobs, 2)["seconds"] == 15.0
    assert estimate(table, table.jobs, 8)["seconds"] == 15.0
    assert estimate(table, [table.jobs[1]], 2) == {"left": 1, "seconds": 10.0, "bytes": 7.0, "free": 123}
    assert estimate(table, table.jobs[:1]) == {"left": 0, "seconds": 0.0, "bytes": 0, "free": 123}
    done(table, "a2", wall=3.0, cached=False)  # as if compiling took longer than all
    assert estimate(table, [Job("x", 0, 7)])["seconds"] == 5.0
    assert estimate(table, [Job("x", 0, 7, 2.0), Job("y", 7, 7)]) == {
        "left": 2,
        "seconds": 5.0 + 10.0,
        "bytes": pytest.approx(23 / 3),
        "free": 123,
    }


def test_limits_are_five_failures_and_no_time():
    assert Limits() == Limits(time=None, memory=None, failures=5)


@pytest.fixture(scope="module")
def fabricated(tmp_path_factory):
    """A comparison of 20 conditions with three seeds each, all finished: its folder."""
    folder = tmp_path_factory.mktemp("fabricated") / "c"
    fabricate(plan, folder, 3)
    return folder


@pytest.fixture
def proofs(monkeypatch):
    """The names of jobs whose outcomes are read and proved from now on."""
    found, prove = [], Sweep._prove
    monkeypatch.setattr(Sweep, "_prove", lambda self, job, hashed: found.append(job.name) or prove(self, job, hashed))
    return found


def test_every_outcome_of_a_comparison_is_read_and_proved_once(fabricated, proofs):
    outcomes = read_outcomes(read(fabricated))
    assert summary(outcomes)["finished"] == len(outcomes.sweep.jobs) == 60
    write_tables(outcomes)
    assert sorted(proofs) == sorted(job.name for job in outcomes.sweep.jobs)


def test_every_pair_of_conditions_is_tested_once(fabricated, monkeypatch):
    tested, paired = [], statistics.paired
    monkeypatch.setattr(statistics, "paired", lambda *rows: tested.append(rows) or paired(*rows))
    outcomes = read_outcomes(read(fabricated))
    assert len(summary(outcomes)["comparisons"]) == 20 * 19 / 2
    write_tables(outcomes)
    assert len(tested) == 20 * 19 / 2


def test_outcomes_of_tuning_are_read_and_proved_once_though_they_decide_what_others_ran(tmp_path, parts, proofs):
    jobs = [Job("t1", 0, 8, 0.5), Job("t2", 0, 8, 2.0), *parts[1]]
    table = write(tmp_path / "s", REQUEST, parts[0], jobs)
    for name in ("t1", "t2"):
        done(table, name, result=None, validation_error=0.1)
    for job in parts[1]:
        done(table, job.name)
    proofs.clear()
    outcomes = read_outcomes(read(table.folder))
    assert [outcomes.state(job) for job in jobs] == ["finished"] * 6
    assert outcomes.chosen[0]["factor"] == 0.5
    assert sorted(proofs) == sorted(job.name for job in jobs)


def test_a_driver_does_not_read_again_what_is_proved(table, proofs):
    done(table, "a1")
    assert [table.is_done(table.jobs[0]) for _ in range(3)] == [True] * 3
    assert [table.is_done(table.jobs[1]) for _ in range(2)] == [False] * 2
    assert proofs == ["a1", "a2", "a2"]


def test_errors_of_jobs_that_are_done_since_are_left_out(table):
    done(table, "a1")
    (table.folder / "runs" / "a2.log").write_text("it broke\n")
    outcomes = read_outcomes(table, {"a1": "it was late.", "a2": "it broke."})
    assert outcomes.failed == {"a2": "it broke."}
    assert outcomes.complaints == {"a2": "it broke"}
    assert set(outcomes.proven) == {"a1"}
    assert read_outcomes(table).failed == {}


def test_outcomes_are_a_value_that_later_runs_do_not_change(fabricated, tmp_path):
    shutil.copytree(fabricated, tmp_path / "c")
    found = read(tmp_path / "c")
    outcomes = read_outcomes(found)
    (found.place(found.jobs[0]) / "outcome.json").unlink()
    assert outcomes.of(found.jobs[0])["status"] == outcomes.state(found.jobs[0]) == "finished"
    assert "course" not in outcomes.of(found.jobs[0])
    assert "course" in outcomes.sweep.outcome(found.jobs[1])
    assert read_outcomes(found).of(found.jobs[0]) is None


def test_a_run_that_diverges_where_it_is_resumed_is_an_outcome(tmp_path, parts, monkeypatch):
    begun = []

    def diverges(*_, **__):
        begun.append(True)
        raise Diverged("too large at presentation 7.")

    monkeypatch.setattr(worker, "is_unfinished", lambda place: not begun)
    monkeypatch.setattr("bioFA.runs.simulation.resume", diverges)
    monkeypatch.setattr("bioFA.runs.simulation.simulate", diverges)
    sweep = write(tmp_path / "s", REQUEST | {"backend": "numpy", "precision": "float64"}, *parts)
    worker._perform(sweep, sweep.jobs[0], 0.0)
    assert len(begun) == 2
    assert sweep.outcome(sweep.jobs[0])["status"] == "diverged"
    assert sweep.outcome(sweep.jobs[0])["message"] == "too large at presentation 7."
