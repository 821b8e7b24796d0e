"""Comparisons: one written table of jobs, whoever runs it and however it is stopped, and the same tidy table."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from jobs import jobs_here
from tiers import first_of

import bioFA
from bioFA import cli
from bioFA.comparisons import driver, tuning
from bioFA.comparisons.messages import describe
from bioFA.comparisons.outcomes import Outcomes, read_outcomes, summary, tidy
from bioFA.comparisons.plan import Request, begin, parse_axis, plan
from bioFA.comparisons.run import run
from bioFA.comparisons.table import read
from bioFA.errors import FileError, ModelError

SMALL = ("task.examples=120", "task.test_examples=20", "task.validation_examples=20")


def request(**changes):
    return Request(**(
        {"models": ("linear",), "schemes": ("shallow", "fa"), "seeds": 2, "changes": SMALL, "backend": "numpy"}
        | changes
    ))


def biofa(*arguments):
    return CliRunner().invoke(cli.main, arguments)


def command(folder, *more):
    changes = [word for change in SMALL for word in ("--set", change)]
    return [
        "compare",
        "linear",
        "--schemes",
        "shallow,fa",
        "--seeds",
        "2",
        *changes,
        "--backend",
        "numpy",
        "--tune",
        "--out",
        str(folder),
        *more,
    ]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A small tuned comparison: its folder and what it printed. Its jobs run in this process, those of others below in
    processes of their own."""
    folder = tmp_path_factory.mktemp("compared") / "out"
    with jobs_here():
        outcome = biofa(*command(folder, "-j", "2", "--json"))
    assert outcome.exit_code == 0, outcome.output
    return folder, json.loads(outcome.stdout)


def test_every_condition_has_the_first_seeds_on_which_nothing_was_chosen_so_that_runs_are_paired(finished):
    _, printed = finished
    assert [row["seeds"] for row in printed["conditions"]] == [[5, 6], [5, 6]]
    assert (printed["finished"] + printed["diverged"], printed["left"], printed["failed"]) == (printed["runs"], 0, {})


def test_a_compared_run_is_that_of_the_same_seed_run_alone(finished):
    folder, printed = finished
    found = read(folder)
    job = found.compared[-1]
    alone = bioFA.simulate(found.experiment(job), job.seed, "numpy")
    assert printed["conditions"][job.condition]["values"][-1] == alone.metrics["test_nse"]


def test_fewer_than_five_seeds_claim_nothing(finished):
    _, printed = finished
    assert [row["differs"] for row in printed["comparisons"]] == [False]


def test_tuning_gives_every_scheme_the_same_effort_on_other_seeds_and_never_sees_test_data(finished):
    folder, printed = finished
    found = read(folder)
    effort = {}
    for job in found.jobs:
        if job.factor is not None:
            effort.setdefault(job.condition, []).append((job.factor, job.seed))
            assert not any(name.startswith("test") for name in found.outcome(job)["metrics"])
            assert job.seed > 6
    assert len(effort) == 2
    assert effort[0] == effort[1]
    assert all(len(row["grid"]) == len(tuning.GRID) for row in printed["tuning"])


def test_the_same_command_again_runs_nothing(finished):
    folder, _ = finished
    before = {path: path.stat().st_mtime_ns for path in (folder / "runs").rglob("*.json")}
    assert biofa(*command(folder)).exit_code == 0
    assert {path: path.stat().st_mtime_ns for path in (folder / "runs").rglob("*.json")} == before


def test_another_comparison_in_the_same_folder_is_refused(finished):
    folder, _ = finished
    outcome = biofa(*command(folder), "--set", "protocol.snapshots=3")
    assert outcome.exit_code == 2
    assert "holds another comparison" in outcome.stderr


@pytest.mark.parametrize("damage", first_of("result.h5", "outcome.json"))
def test_what_is_damaged_is_run_again_and_nothing_else(finished, damage):
    folder, _ = finished
    table = (folder / "table.csv").read_bytes()
    found = read(folder)
    path = found.place(found.compared[1]) / damage
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert [job.name for job in found.jobs if read(folder).outcome(job) is None] == [found.compared[1].name]
    (folder / "table.csv").unlink()
    assert biofa("resume", str(folder)).exit_code == 0
    assert (folder / "table.csv").read_bytes() == table


@pytest.mark.slow
def test_shards_together_do_what_one_driver_does(finished, tmp_path):
    folder, _ = finished
    for shard in ("2/2", "1/2", "2/2"):  # the first cannot know what tuning will choose
        assert biofa(*command(tmp_path / "out", "--shard", shard)).exit_code == 0
    assert (tmp_path / "out" / "table.csv").read_bytes() == (folder / "table.csv").read_bytes()


def test_a_run_that_diverges_is_counted_and_shown(tmp_path):
    changes = (*SMALL, "circuit.schemes.fa.rule.learning_rate=1e3")
    outcome = summary(run(begin(request(changes=changes), tmp_path / "out"), 2))
    assert outcome["diverged"] == 2
    assert [row["diverged"] for row in outcome["conditions"]] == [0, 2]
    found = outcome["conditions"][1]["findings"]
    assert [(row["kind"], row["seeds"]) for row in found] == [("diverged", [5, 6])]
    assert f"WARNING    linear, fa, all 2 runs: {found[0]['says']}" in describe(outcome)
    assert list(tidy(read_outcomes(read(tmp_path / "out")))["status"]) == ["finished"] * 2 + ["diverged"] * 2
    assert np.isinf(outcome["conditions"][1]["values"]).all()


@pytest.mark.slow
def test_a_run_past_its_time_limit_fails_and_the_failure_budget_stops_the_rest(tmp_path):
    found = begin(request(changes=(*SMALL, "protocol.epochs=5000")), tmp_path / "out")
    outcome = summary(run(found, 1, limits=driver.Limits(time=2, failures=1)))
    assert len(outcome["failed"]) == 2
    assert all("time limit" in text for text in outcome["failed"].values())
    assert outcome["left"] == 4


def test_before_many_runs_their_time_and_disk_are_told_from_one_of_each_condition(tmp_path, monkeypatch):
    monkeypatch.setattr(driver, "MANY", 6)
    found = begin(request(seeds=3), tmp_path / "out")
    told = []

    def notify(words):
        if "cannot be tested" in words:
            return
        done = [outcome for job in found.jobs if (outcome := found.outcome(job))]
        expected = driver.estimate(found, found.jobs, 2)
        told.append(words)
        assert [job.condition for job in found.jobs if found.outcome(job)] == [0, 1]
        assert expected["left"] == 4
        # two left of each, two at once
        assert expected["seconds"] == pytest.approx(sum(outcome["wall_s"] for outcome in done))
        told.append(expected["bytes"])

    run(found, 2, notify=notify)
    assert told[0].startswith("4 runs are left: about ")
    results = [(found.place(job) / "result.h5").stat().st_size for job in found.jobs[2:]]
    assert told[1] == pytest.approx(sum(results), rel=0.1)


def test_few_runs_are_run_without_an_estimate(tmp_path):
    told = []
    run(begin(request(seeds=1), tmp_path / "out"), 2, notify=told.append)
    assert [words[:44] for words in told] == ["1 pair cannot be tested with 1 seeds, howeve"]


def test_a_comparison_for_which_the_disk_is_too_small_is_refused_after_one_of_each(tmp_path, monkeypatch):
    monkeypatch.setattr(driver, "MANY", 4)
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=10))
    found = begin(request(), tmp_path / "out")
    with pytest.raises(FileError, match=r"the 2 runs left need about .* MB; 0\.0 MB are free"):
        run(found)
    assert sum(found.outcome(job) is not None for job in found.jobs) == 2


def test_a_second_driver_in_the_same_folder_is_refused(tmp_path):
    found = begin(request(), tmp_path / "out")
    with driver.driving(found.folder, shared=False), pytest.raises(FileError, match="another process"):
        run(found)


def test_swept_values_multiply_and_another_schemes_settings_do_not():
    conditions, jobs = plan(
        request(
            changes=("circuit.sizes=[30,10,10],[30,20,10]", "circuit.schemes.fa.rule.learning_rate=0.001,0.002,0.003")
        )
    )
    assert [c.scheme for c in conditions] == ["shallow"] * 2 + ["fa"] * 6
    assert len(jobs) == 2 * 8


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a=1,2", [1, 2]),
        ("a=0.1,x", [0.1, "x"]),
        ("a=[1,2]", [[1, 2]]),
        ("a=[1],[2]", [[1], [2]]),
        ("a=tanh,linear", ["tanh", "linear"]),
        ('a="x,y"', ["x,y"]),
    ],
)
def test_values_with_commas_are_swept(text, values):
    assert parse_axis(text) == ("a", values)


def test_tuning_without_validation_data_is_refused_with_the_remedy():
    with pytest.raises(ModelError, match=r"task\.validation_examples=500"):
        plan(request(tune=True, changes=()))


def test_the_lowest_mean_is_chosen_a_diverged_point_never_and_an_edge_is_told():
    choice = tuning.choose({0.1: [3.0, 3.0], 1.0: [2.0, 2.0], 10.0: [0.0, np.inf]})
    assert (choice["factor"], choice["at_edge"]) == (1.0, False)
    assert tuning.choose({0.1: [1.0], 1.0: [2.0]})["at_edge"]


def test_seven_of_eight_diverged_runs_cannot_make_a_condition_the_better_one(tmp_path):
    found = begin(request(seeds=8), tmp_path / "out")
    values = {0: [np.inf] * 7 + [1e-12], 1: [1e-11] * 8}
    proven = {}
    for job in found.jobs:
        value = values[job.condition][found.seeds.index(job.seed)]
        status, metrics = ("finished", {"test_nse": value}) if np.isfinite(value) else ("diverged", {})
        proven[job.name] = {"status": status, "metrics": metrics, "findings": [], "message": "large", "timing": {}}
    outcome = summary(Outcomes(found, proven, {}, [found.chosen(0), found.chosen(1)]))
    (pair,) = outcome["comparisons"]
    assert (pair["verdict"], pair["better"], pair["n_finite"]) == ("linear, fa better", "linear, fa", 1)
    assert np.isnan([pair["difference"], pair["low"], pair["high"]]).all()  # no difference where a run diverged
    assert outcome["ranking"][0]["order"] == ["linear, fa", "linear, shallow"]
    assert [(row["n"], row["n_finite"]) for row in outcome["conditions"]] == [(8, 1), (8, 8)]
    assert np.isnan(outcome["conditions"][0]["value"])
    assert "First minus second" not in describe(outcome)


def test_the_default_number_of_seeds_can_test_every_pair():
    assert len({job.seed for job in plan(request(seeds=None))[1]}) == 8
    schemes = ("shallow", "fa", "bp", "usf", "kp", "wm", "arbp", "np")
    assert len({job.seed for job in plan(request(seeds=None, schemes=schemes))[1]}) == 11  # 28 pairs
    # 7 pairs
    assert len({job.seed for job in plan(request(seeds=None, schemes=schemes, baseline="bp"))[1]}) == 9
    with pytest.raises(ModelError, match="--baseline"):
        plan(request(baseline="kp"))


def test_seeds_on_which_a_model_was_chosen_are_left_out(tmp_path):
    chosen = bioFA.load("linear").replace(chosen_on={"seeds": [1, 3], "split": "test"})
    path = tmp_path / "mine.toml"
    path.write_text(bioFA.modelfiles.toml.dumps(chosen))
    assert bioFA.load(str(path)) == chosen
    _, jobs = plan(request(models=(str(path),), tune=True, seeds=2))
    assert {job.seed for job in jobs if job.factor is None} == {2, 4}
    assert {job.seed for job in jobs if job.factor is not None} == {5, 6, 7}
