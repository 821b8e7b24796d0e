"""Every fault that bioFA is to survive but kills (test_kills.py), put to it a few times; and the oracle that judges it,
put to programs that are wrong."""

import json
import shutil
import signal
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from bioFA.__main__ import main
from bioFA.consumers.brian.run import Compiled
from bioFA.errors import TooFewHandles
from bioFA.runs import checkpoint
from bioFA.runs.result import RESULT
from bioFA.selftest import command
from bioFA.selftest.tally import Tally
from bioFA.system.memory import resident
from bioFA.system.retry import retry_while_scarce
from trial import drill, killing, report, soak
from trial.__main__ import trial
from trial.injections import replace_program
from trial.oracle import Attempt, Ended, Outcome, complaint, digest, judge
from trial.sandbox import dies_after, lost, outcomes

pytestmark = [pytest.mark.faults, pytest.mark.compiled, pytest.mark.usefixtures("processes_that_walk")]


@pytest.mark.slow
@pytest.mark.parametrize("number", [number for number, fault in drill.FAULTS.items() if fault not in killing.FAULTS])
def test_a_fault_is_survived(sandbox, number):
    row = drill.run_attempts(sandbox, drill.FAULTS[number], 2)
    assert row.survived, row.wrong
    assert sum(attempt.lost for attempt in row.attempts) == 0


def test_there_are_24_faults_and_each_says_how_it_is_injected():
    assert list(drill.FAULTS) == [f"F{number}" for number in range(1, 25)]
    for fault in drill.FAULTS.values():
        assert len(fault.injected) > 30
        assert fault.variants


# the oracle


def wrong_program():
    """A bioFA that computes with another learning rate and does not look:
    what the proof of completeness is there for."""
    real = Compiled._call
    Compiled._prove = lambda *_: None
    Compiled._call = lambda self, folder, arguments: real(
        self, folder, [*arguments, "hidden_to_output.learning_rate=0.01"]
    )


@pytest.mark.slow
def test_a_program_that_computes_something_else_is_called_silent(sandbox):
    where = sandbox.fresh()
    attempt = sandbox.judged(sandbox.run(where, prepare=[wrong_program]).wait(), where)
    assert attempt.outcome is Outcome.SILENT
    assert "other numbers" in attempt.message


@pytest.mark.slow
def test_what_goes_on_to_other_numbers_is_called_silent(sandbox):
    where = sandbox.fresh()
    sandbox.run(where, prepare=[wrong_program, lambda: dies_after(3)]).wait()
    assert checkpoint.is_unfinished(where)
    assert (sandbox.recovered(where).outcome, sandbox.recovered(where).lost) == (Outcome.SILENT, 1)


@pytest.mark.slow
def test_a_whole_result_with_other_numbers_is_silent_also_where_the_exit_code_tells_of_failure(sandbox):
    where = sandbox.fresh()
    ended = sandbox.run(where, prepare=[wrong_program]).wait()
    assert sandbox.judged(Ended(1, "", "biofa: [disk-full] x"), where).outcome is Outcome.SILENT
    assert ended.code == 0


@pytest.mark.slow
def test_without_the_proof_a_full_disk_would_be_silent_and_the_drill_would_say_so(sandbox):
    cache, where = sandbox.copy_of_cache(), sandbox.fresh()
    replace_program(cache, 'cd "$(dirname "$REAL")" && "$REAL" "$@" hidden_to_output.learning_rate=0.01')
    proven = sandbox.fresh()
    assert (
        sandbox.judged(sandbox.run(proven, environment={"BIOFA_CACHE": str(cache)}).wait(), proven).outcome
        is Outcome.REFUSED
    )
    unproven = sandbox.run(
        where, environment={"BIOFA_CACHE": str(cache)}, prepare=[lambda: setattr(Compiled, "_prove", lambda *_: None)]
    )
    assert sandbox.judged(unproven.wait(), where).outcome is Outcome.SILENT


@pytest.mark.parametrize(
    ("ended", "says"),
    [
        (Ended(None, "", ""), "hung"),
        (Ended(1, "", "biofa: something went wrong"), "no code"),
        (Ended(1, "", ""), "no code"),
        (Ended(-11, "", ""), "signal 11"),
        (Ended(1, "", "biofa: [run-error] x\nTraceback (most recent call last):\n  y\nKeyError: z"), "traceback"),
        (Ended(0, "", ""), "exited with 0"),
    ],
)
def test_a_failure_that_does_not_tell_its_code_is_unclear(ended, says):
    assert says in complaint(ended)
    assert complaint(Ended(2, "", "biofa: [damaged-file] 'x' is damaged.")) is None


@pytest.mark.parametrize(
    ("ended", "found", "outcome"),
    [
        (Ended(0, "", ""), "right", Outcome.IDENTICAL),
        (Ended(0, "", ""), "other", Outcome.SILENT),
        (Ended(0, "", ""), None, Outcome.SILENT),
        (Ended(1, "", "biofa: [x] y"), None, Outcome.REFUSED),
        (Ended(1, "", "biofa: [x] y"), "other", Outcome.SILENT),
        (Ended(1, "", "y"), None, Outcome.UNCLEAR),
    ],
)
def test_an_end_and_a_result_have_one_outcome(ended, found, outcome):
    assert judge(ended, found, "right").outcome is outcome


@pytest.mark.slow
def test_one_changed_number_changes_the_digest_and_the_time_of_day_does_not(sandbox):
    again, other = sandbox.fresh(), sandbox.fresh()
    sandbox.run(again).wait()
    sandbox.run(other, "another seed").wait()
    assert digest(again / RESULT) == sandbox.expected
    assert digest(other / RESULT) == sandbox.reference("another seed").digest != sandbox.expected
    (again / RESULT).write_bytes((again / RESULT).read_bytes()[:-1])
    assert digest(again / RESULT) is None


@pytest.mark.slow
def test_a_lost_run_of_a_comparison_is_counted(sandbox):
    where = sandbox.copy_of_comparison()
    before = outcomes(where)
    assert len(before) == 3
    assert lost(before, where) == 0
    shutil.rmtree(where / "runs" / min(before))
    assert lost(before, where) == 1
    assert sandbox.comparison_recovered(where, before).lost == 1


# what tells of it


def row(number, *attempts, control=""):
    return drill.Row(drill.FAULTS[number], attempts, control)


def test_the_line_counts_and_puts_n_beside_every_zero():
    rows = [
        row("F7", Attempt(Outcome.REFUSED, resumed=True), Attempt(Outcome.IDENTICAL, finished=1)),
        row("F11", Attempt(Outcome.REFUSED, resumed=True), control="silent 10 of 10"),
    ]
    told = report.line(rows, [Tally("bad inputs refused", 5, 5)])
    assert told.startswith(
        "faults survived 2/2 (3 attempts), bad inputs refused 5/5, finished runs lost 0 of 1 (95 % bound 3),"
        " silent wrong results 0 of 3 (95 % bound 1), resume bit-identical 2/2"
    )
    assert "silent 10 of 10" in report.table(rows)
    worse = [*rows, row("F12", Attempt(Outcome.SILENT, "x", finished=3, lost=1))]
    assert "faults survived 2/3 (4 attempts)" in report.line(worse, [])
    assert "finished runs lost 1 of 4, silent wrong results 1 of 4" in report.line(worse, [])
    assert not worse[2].survived
    assert "F12, attempt 0" in worse[2].wrong[0]


@pytest.mark.slow
def test_the_command_prints_the_table_writes_json_and_fails_where_a_fault_is_not_survived(tmp_path, monkeypatch):
    outcome = CliRunner().invoke(
        trial, ["--only", "F1", "--attempts", "1", "--no-control", "--out", str(tmp_path / "out"), "--json"]
    )
    assert outcome.exit_code == 0, outcome.output
    found = json.loads(outcome.stdout)
    assert found == json.loads((tmp_path / "out" / "trial.json").read_text())
    assert (found["totals"]["survived"], found["totals"]["attempts"]) == (1, 1)
    assert found["faults"][0]["outcomes"] == {"refused": 1}
    silent = Attempt(Outcome.SILENT, "other numbers")
    monkeypatch.setattr(drill, "run_attempts", lambda sandbox, fault, *_: drill.Row(fault, (silent,)))
    monkeypatch.setattr("trial.sandbox.Sandbox.reference", lambda self: None)
    outcome = CliRunner().invoke(trial, ["--only", "F1", "--no-control"])
    assert outcome.exit_code == 1
    assert "F1, attempt 0 (g++ is not on PATH): silent, other numbers" in outcome.output
    outcome = CliRunner().invoke(trial, ["--only", "F99"])
    assert outcome.exit_code == 2
    assert "[unknown-name] unknown fault 'F99'" in outcome.output


def test_a_soak_and_drills_that_are_asked_for_together_are_both_done(tmp_path, monkeypatch):
    survived, lost = Attempt(Outcome.IDENTICAL), soak.Soak(9, 9, 1, 1, 9, 1, 9, 0, 1.0, (1.0, 1.0), 0.0, (1, 1), 0.0)
    monkeypatch.setattr(drill, "run_attempts", lambda sandbox, fault, *_: drill.Row(fault, (survived,)))
    monkeypatch.setattr("trial.sandbox.Sandbox.reference", lambda self: None)
    monkeypatch.setattr(soak, "run", lambda runs, progress: lost)
    outcome = CliRunner().invoke(trial, ["--only", "F1", "--no-control", "--soak", "--runs", "9", "--json"])
    found = json.loads(outcome.stdout)
    assert (found["totals"]["survived"], found["soak"]["lost"], outcome.exit_code) == (1, 1, 1)
    outcome = CliRunner().invoke(trial, [])
    assert (outcome.exit_code, "nothing to do" in outcome.output) == (2, True)


@pytest.mark.parametrize("options", [["--faults"], ["--soak", "--runs", "9"], ["--only", "F7"], ["--no-control"]])
def test_the_command_of_an_installed_bioFA_says_where_the_drills_are(options):
    outcome = CliRunner().invoke(main, ["selftest", *options])
    assert outcome.exit_code == 2
    assert f"[usage] {options[0]} belongs to the fault drills" in outcome.stderr
    assert "python -m trial --faults" in outcome.stderr


def test_the_command_of_an_installed_bioFA_counts_wrong_and_hostile_input(tmp_path, monkeypatch):
    monkeypatch.setattr("bioFA.selftest.bad_inputs.run", lambda: Tally("bad inputs refused", 5, 5))
    monkeypatch.setattr("bioFA.selftest.hostile.run", lambda: Tally("hostile strings", 6, 7, ("1 executed",)))
    outcome = CliRunner().invoke(main, ["selftest", "--out", str(tmp_path / "out"), "--json"])
    found = json.loads(outcome.stdout)
    assert found == json.loads((tmp_path / "out" / "selftest.json").read_text())
    assert found["line"] == "bad inputs refused 5/5, hostile strings 6/7 (1 executed)"
    assert [tally["passed"] for tally in found["tallies"]] == [5, 6]
    assert outcome.exit_code == 1
    monkeypatch.setattr("bioFA.selftest.hostile.run", lambda: Tally("hostile strings", 7, 7))
    outcome = CliRunner().invoke(main, ["selftest"])
    assert (outcome.exit_code, outcome.stdout.splitlines()[0]) == (0, "bad inputs refused 5/5, hostile strings 7/7")
    assert "python -m trial --faults" in outcome.stdout


def test_mutants_are_told_with_their_date_and_whether_sources_changed(tmp_path, monkeypatch):
    known = {
        "date": "2026-01-02",
        "mutants": 10,
        "killed": 9,
        "modules": {"bioFA/units.py": {"sha256": report._sha256("bioFA/units.py")}},
    }
    monkeypatch.setattr(report, "MUTANTS", tmp_path / "mutants.json")
    assert report.mutants()[0] == "mutants killed: not measured"
    (tmp_path / "mutants.json").write_text(json.dumps(known))
    assert report.mutants()[0] == "mutants killed 90 % (9/10, measured 2026-01-02; of sources that are unchanged)"
    known["modules"]["bioFA/units.py"]["sha256"] = "another"
    (tmp_path / "mutants.json").write_text(json.dumps(known))
    assert "changed since: bioFA/units.py" in report.mutants()[0]


# what the drills asked for


def test_scarce_handles_are_waited_for_and_other_mishaps_are_not(monkeypatch):
    waited = []
    monkeypatch.setattr(time, "sleep", waited.append)
    tries = [OSError(24, "Too many open files"), OSError(11, "Resource temporarily unavailable"), None]

    def attempt():
        error = tries.pop(0)
        if error is not None:
            raise error
        return "begun"

    assert retry_while_scarce(attempt) == "begun"
    assert len(waited) == 2
    tries[:] = [OSError(2, "No such file")]
    with pytest.raises(FileNotFoundError):
        retry_while_scarce(attempt)
    assert TooFewHandles.exit_code == 3


def test_the_memory_of_a_process_counts_what_it_started():
    import os
    import subprocess

    mine = resident(os.getpid())
    child = subprocess.Popen(
        ["python3", "-c", "x = bytearray(60_000_000); print('ready', flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        child.stdout.readline()
        assert resident(os.getpid()) > mine + 55_000_000
        assert 55_000_000 < resident(child.pid) < 120_000_000
    finally:
        child.send_signal(signal.SIGKILL)
        child.communicate()


def test_a_soak_sees_a_run_that_is_lost(tmp_path):
    seen = {}
    for name in ("a", "b"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "outcome.json").write_text("{}")
    assert soak._look(tmp_path, seen) == 0
    assert len(seen) == 2
    (tmp_path / "runs" / "a" / "outcome.json").unlink()
    assert soak._look(tmp_path, seen) == 1
    growing = [(0, done, 100.0 + 0.1 * done, 7) for done in range(50)] + [
        (1, done, 120.0 + 0.1 * done, 7) for done in range(50, 99)
    ]
    assert soak._slope(growing, 2) == pytest.approx(100.0)
    assert soak._slope(growing, 3) == 0.0


def test_the_selftest_command_costs_no_import_before_it_is_called():
    assert {"click", "bioFA"} >= {
        line.split()[1].split(".")[0]
        for line in Path(command.__file__).read_text().splitlines()
        if line.startswith("from ")
    } - {"__future__", "collections", "importlib", "pathlib", "typing"}


def test_the_page_of_guarantees_lists_the_faults_as_they_are():
    page = (Path(__file__).resolve().parent.parent / "docs" / "guarantees.md").read_text()
    for fault in drill.FAULTS.values():
        assert (
            f"| {fault.number} | {fault.title} | {fault.injected.rstrip('.')} |"
            f" {'20' if fault.chance else len(fault.variants)} |"
            in page
        )
