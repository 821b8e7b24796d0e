"""The benchmark: peers that it may compare compute the same weights, and its table tells who is missing or wrong."""

import dataclasses

import numpy as np
import pytest

from benchmarks import cases, check, events, exports, machine, networks, pictures, scale, table
from benchmarks.case import Case
from benchmarks.cases import spikes
from benchmarks.race import Unmeasured, Variant, blank, hold, race, start, time_once
from benchmarks.scaling import flatness
from benchmarks.spikes import STEPS
from benchmarks.variants import (
    BATCHED,
    BLOCKED,
    BLOCKED32,
    DENSE,
    EVENT_DRIVEN,
    EVENTS,
    FROZEN,
    MINIBATCH,
    PLAIN,
    PLAIN32,
    RACE,
    REFERENCE,
    STOCK_EVENTS,
    beside,
)

MACHINE = {
    "caches": {"L1": 32768},
    "versions": {"python": "3"},
    "processor": "one",
    "cores": 1,
    "memory_gb": 1,
    "system": "s",
    "compiler": "c",
    "load": [0.0],
}


@pytest.fixture
def case():
    generator = np.random.default_rng(3)
    return Case(
        "7-5-3 logistic", "logistic", 0.1, "generated", generator.random((11, 7)), generator.random((11, 3)),
        generator.normal(size=(5, 7)), generator.normal(size=(3, 5)), generator.normal(size=(5, 3)),
    )


def timed(variant, case, microseconds):
    spent = [1e3 * microseconds] * 3
    return blank(variant, case) | {
        "status": "timed",
        "ns": spent,
        "median_ns": spent[0],
        "difference": 1e-16,
        "checked": 40,
        "peak_kb": 2048,
    }


@pytest.mark.compiled
@pytest.mark.slow
def test_plain_loop_bioFA_and_reference_give_the_same_weights_and_are_timed():
    peers = [PLAIN, PLAIN32, BLOCKED, DENSE, BLOCKED32, REFERENCE]
    rows = race(peers, [cases.linear()], repeats=1, seconds=0.05, check=40, environments=None, say=print)
    assert [row["status"] for row in rows] == ["timed"] * 6, [row["reason"] for row in rows]
    for row in rows:
        assert row["difference"] < (1e-13 if row["precision"] == "float64" else 1e-5)
    assert rows[2]["note"] == "first pathway blocked"
    assert rows[3]["note"] in ("first pathway dense", "first pathway rows")  # as vectors of this processor have it


@pytest.mark.compiled
@pytest.mark.slow
@pytest.mark.usefixtures("quick_builds")
def test_stock_brian_and_bioFA_spike_and_learn_alike_in_the_event_driven_network(monkeypatch):
    """Every weight after 300 steps, so every spike that changed one; the input is shown anew after its last row."""
    monkeypatch.setattr(events, "EVENTS", (EVENT_DRIVEN, STOCK_EVENTS))
    case = dataclasses.replace(spikes(width=40, presentations=2), rate=0.05)
    monkeypatch.setattr(events, "FROZEN", (EVENT_DRIVEN,))
    found = events.events(1, 1e-3, 3, None, print, case)
    assert [row["status"] for row in found["rows"]] == ["timed", "timed"], [row["reason"] for row in found["rows"]]
    assert all(row["difference"] < 1e-13 for row in found["rows"])
    assert found["hidden_hz"] > 10
    assert found["events"] == pytest.approx(case.inputs.sum() / 2 * 40 + found["hidden_hz"] * 40 * STEPS * 1e-3 * 10)
    line = next(line for line in table.events(found).splitlines() if line.startswith("| stock"))
    assert line.split(" | ")[7] == "1.00"


@pytest.mark.compiled
@pytest.mark.slow
def test_nest_spikes_as_often_where_weights_stay(monkeypatch):
    pytest.importorskip("nest", reason="NEST is not installed: pip install '.[nest]'")
    case = spikes(width=40, presentations=2)
    found = events._measured(
        (EVENT_DRIVEN, dataclasses.replace(FROZEN[1], packages=())),
        dataclasses.replace(case, rate=0.0),
        1,
        1e-3,
        3,
        None,
        print,
    )
    assert [row["status"] for row in found["rows"]] == ["timed", "timed"], [row["reason"] for row in found["rows"]]
    assert found["hidden_spikes"] > 50
    assert f"; {found['hidden_spikes']:.0f} hidden spikes in 2 presentations" in found["rows"][1]["note"]


def test_a_peer_without_an_environment_is_reported_missing_and_the_others_go_on(case):
    absent = Variant("far away", "pytorch", packages=("torch",))
    rows = race([absent, REFERENCE], [case], repeats=1, seconds=1e-4, check=5, environments=None, say=print)
    assert [row["status"] for row in rows] == ["missing", "timed"]
    assert "--environments" in rows[0]["reason"]
    assert "| far away | float64 | **missing** |" in table.race(rows)


def test_a_peer_that_disagrees_is_not_timed_and_the_table_says_so(case):
    class Wrong:
        variant, row = REFERENCE, blank(REFERENCE, case)

        def run(self, presentations):
            return 0.0, case.w0 + 1e-9, case.w1

    wrong = Wrong()
    assert not hold(wrong, (case.w0, case.w1), 40)
    page = table.race([wrong.row, timed(PLAIN, case, 1.0)])
    assert "| NumPy reference | float64 | **disagrees** |" in page
    assert "so it is not timed" in page


def test_weights_that_are_not_finite_disagree(case):
    class Diverged:
        variant, row = PLAIN32, blank(PLAIN32, case)

        def run(self, presentations):
            return 0.0, np.full_like(case.w0, np.nan), case.w1

    assert not hold(Diverged(), (case.w0, case.w1), 40)


def test_ratios_are_to_the_plain_loop_in_float64_and_in_the_same_precision(case):
    rows = [timed(PLAIN, case, 4.0), timed(PLAIN32, case, 2.0), timed(BLOCKED32, case, 1.0)]
    line = next(line for line in table.race(rows).splitlines() if line.startswith("| bioFA, blocked"))
    assert line.split(" | ")[2:6] == ["1", "1 to 1", "0.25", "0.50"]


def test_the_page_holds_a_table_for_every_part_that_was_run(case):
    results = {
        "machine": MACHINE,
        "command": "python -m benchmarks",
        "date": "today",
        "repeats": 3,
        "race": [timed(PLAIN, case, 1.0)],
    }
    page = table.markdown(results)
    assert "## Online learning" in page
    assert "## Builds" not in page


def test_the_width_where_a_synapse_costs_half_as_much_again_is_named():
    rows = [
        {"width": width, "name": "a", "status": "timed", "ns_per_synapse": cost}
        for width, cost in ((100, 9.0), (300, 1.0), (3000, 1.2), (6000, 1.6))
    ]
    assert flatness(rows, "a") == {"ratio_300_to_3000": 1.2, "half_as_much_again_from": 6000}


def test_a_case_survives_its_folder(case, tmp_path):
    case.write(tmp_path)
    for name, value in dataclasses.asdict(Case.read(tmp_path)).items():
        np.testing.assert_array_equal(value, getattr(case, name))


def test_every_peer_file_takes_part():
    from pathlib import Path

    import benchmarks.peers

    files = {path.stem for path in Path(benchmarks.peers.__file__).parent.glob("*.py")} - {"__init__"}
    assert files == {variant.module for variant in (*RACE, *MINIBATCH, *EVENTS, *FROZEN, *networks.PEERS)}


def test_free_networks_are_set_against_brian_and_nest_and_a_peer_that_fails_is_missing(monkeypatch):
    class Peer:
        def __init__(self, variant, model, folder, environments):
            if variant.name == "NEST":
                raise networks.Absent("no such package")
            self.costs = {"bioFA": 1e-4, "bioFA, 2 threads": 2e-4}.get(variant.name, 4e-4)
            self.about = {"versions": {"some": "1"}}

        def run(self, steps):
            return {"processor": 5.0 + self.costs * steps, "wall": 6.0 + self.costs * steps, "spikes": 7 * steps}

        def stop(self):
            pass

    monkeypatch.setattr(networks, "_Started", Peer)
    monkeypatch.setattr(networks, "MODELS", ("coba",))
    rows = networks.networks(2, 0.1, None, lambda message: None)
    assert [len(row["processor"]) for row in rows] == [2, 2, 2, 0]
    lines = [line.split(" | ") for line in table.networks(rows).splitlines() if line.startswith("| coba")]
    assert [line[2] for line in lines] == ["1", "2", "4", "**missing**"]
    assert [line[7] for line in lines] == ["4.00", "2.00", "1.00", ""]
    assert lines[0][6] == f"{1e9 / (70000 * rows[0]['synapses']):.2f}"
    assert 75 < rows[0]["synapses"] < 85
    assert lines[3][9].startswith("no such package")


@pytest.mark.slow
def test_exports_are_read_back_timed_in_turns_and_set_against_nwb(monkeypatch):
    for package in ("neo", "nixio", "pynwb"):
        pytest.importorskip(package)
    small = {
        "protocol.phases": [],
        "protocol.presentations": 20,
        "protocol.snapshots": 2,
        "task": {"name": "linear_teacher", "n_in": 6, "n_out": 3, "examples": 9, "test_examples": 2},
    }
    spiking = small | {"circuit.sizes": [6, 5, 3], "protocol.presentation": "40 ms", "protocol.learning_onset": "20 ms"}
    rows = exports.exports(1, print, {"linear": small | {"circuit.sizes": [6, 5, 3]}, "digits_spiking": spiking})
    assert [(row["case"], row["name"], row["reason"]) for row in rows] == [
        (case, name, "") for case in ("linear", "digits_spiking") for name in ("neo", "nwb")
    ]
    assert all(len(row["seconds"]) == 1 and row["bytes"] > 0 for row in rows)
    assert rows[0]["times"] == rows[0]["median_s"] / rows[1]["median_s"]
    line = next(line for line in table.exports(rows).splitlines() if line.startswith("| linear | neo "))
    assert line.split(" | ")[5:7] == [f"{rows[0]['times']:.2f}", f"{rows[0]['size']:.2f}"]

    def wrong(result, path):
        raise AssertionError(path)

    monkeypatch.setitem(exports.READERS, "nwb", wrong)
    with pytest.raises(AssertionError, match=r"0\.nwb"):
        exports.exports(1, print, {"linear": small | {"circuit.sizes": [6, 5, 3]}})


def test_the_large_network_is_told_for_every_way(monkeypatch):
    """Medians over rounds, the ratio of learning to the same round without, and reasons in place of numbers."""
    costs = iter([5.0, 4.0, 90.0, 6.0, 3.0, 80.0, 7.0, 7.0, 100.0])

    def run(way, neurons, indegree, duration):
        if duration < scale.DURATION:
            return {"reason": ""}  # builds
        if way == "NEST, static":
            return {"reason": "no NEST here"}
        numbers = {"ns_an_event": next(costs), "seconds": 1.0, "hz": 9.0, "python_mb": 80.0, "program_mb": 20.0}
        return numbers | {"reason": ""}

    monkeypatch.setattr(scale, "_run", run)
    rows = scale.scale([(10_000, 200, 3)], scale.DURATION, print)
    assert [row["way"] for row in rows] == list(scale.WAYS)
    assert [row.get("ns_an_event") for row in rows] == [6.0, 4.0, 90.0, None]
    assert rows[0]["to_off"] == 1.25
    printed = table.scale(rows)
    assert "| 10,000 neurons, 2e+06 synapses | bioFA, learning | 6.0 | 1.25 | 80 + 20 | 9.0 |" in printed
    assert "| NEST, static | no NEST here |" in printed


def test_nest_is_not_asked_for_more_than_its_memory(monkeypatch):
    asked = []
    numbers = {"ns_an_event": 1.0, "seconds": 1.0, "hz": 9.0, "python_mb": 1.0, "program_mb": 0.0, "reason": ""}
    monkeypatch.setattr(scale, "_run", lambda way, *_: (asked.append(way), numbers)[1])
    rows = scale.scale([(100_000, 1000, 1)], scale.DURATION, print)
    assert not any(way.startswith("NEST") for way in asked)
    assert rows[2]["reason"] == rows[3]["reason"] == "not tried above 2e+07 synapses"


def test_a_sample_is_measured_longer_where_the_long_run_was_not_slower_and_refused_where_that_does_not_help(case):
    class Noisy:
        variant = REFERENCE

        def __init__(self, disturbed):
            self.row, self.disturbed, self.asked = blank(REFERENCE, case) | {"short": 1, "long": 10}, disturbed, []

        def run(self, presentations):
            self.asked.append(presentations)
            late = 1.0 if presentations == 1 and len(self.asked) <= 2 * self.disturbed else 0.0
            return 1e-6 * presentations + late, case.w0, case.w1

    once = Noisy(1)
    time_once(once)
    assert once.asked == [1, 10, 1, 40]
    assert once.row["ns"] == pytest.approx([1e3])
    with pytest.raises(Unmeasured, match=r"640 presentations took 0.00064 s and 1 took 1 s"):
        time_once(Noisy(9))


def test_a_refused_peer_says_so_and_the_others_go_on(case, monkeypatch):
    def never(contestant):
        raise Unmeasured("too noisy")

    monkeypatch.setattr("benchmarks.race.time_once", never)
    rows = race([REFERENCE], [case], repeats=2, seconds=1e-4, check=5, environments=None, say=print)
    assert (rows[0]["status"], rows[0]["ns"]) == ("refused", [])
    assert "| **refused** |" in table.race(rows)
    assert "| too noisy |" in table.race(rows)


def test_peers_start_without_what_chooses_their_kernels(case, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Prescott")
    case.write(tmp_path)
    contestant = start(Variant("NumPy", "numpy_blas"), case, tmp_path)
    contestant.stop()
    assert contestant.row["kernels"] not in ("", "Prescott")
    assert contestant.row["kernels"] in contestant.row["note"]


def test_another_build_runs_from_its_own_checkout_and_stands_beside_this_one(case, tmp_path):
    from pathlib import Path

    assert beside([BLOCKED, REFERENCE, PLAIN], None) == [BLOCKED, REFERENCE, PLAIN]
    assert [v.name for v in beside([BLOCKED, REFERENCE], tmp_path)] == [
        "bioFA, blocked", "bioFA, blocked, other build", "NumPy reference",
    ]
    peers = tmp_path / "benchmarks" / "peers"
    peers.mkdir(parents=True)
    for package in (peers.parent, peers):
        (package / "__init__.py").touch()
    source = Path(cases.__file__).parent / "peers" / "numpy_blas.py"
    (peers / "biofa.py").write_text(source.read_text().replace('{"numpy": np', '{"other": "1", "numpy": np'))
    for name in ("case", "serve"):
        (peers.parent / f"{name}.py").write_text((source.parent.parent / f"{name}.py").read_text())
    other = beside([BLOCKED], tmp_path)[1]
    rows = race([REFERENCE, other], [case], repeats=1, seconds=1e-4, check=5, environments=None, say=print)
    assert [row["status"] for row in rows] == ["timed", "timed"], rows[1]["reason"]
    assert rows[1]["versions"]["other"] == "1"
    both = [timed(BLOCKED, case, 1.0), timed(other, case, 4.0)]
    line = next(line for line in table.race(both).splitlines() if line.startswith("| bioFA, blocked |"))
    assert line.split(" | ")[6] == "0.25"


@pytest.mark.parametrize(
    ("measured", "words"),
    [
        ([{"a": 1.2}], []),
        ([{"a": 1.3}, {"a": 1.24}], []),
        ([{"a": 1.3}] * 3, ["a: 1.30 x the plain loop; stored is 1.00 (1.30 times that)."]),
        ([{}] * 3, ["a: not measured; 1.00 x the plain loop is stored."]),
    ],
)
def test_the_check_fails_where_a_ratio_stays_a_quarter_worse(measured, words, tmp_path):
    (tmp_path / "ratios.json").write_text('{"processor": "x", "ratios": {"a": 1.0}}')
    left = iter(measured)
    assert check.check(lambda word: None, lambda say: next(left), tmp_path / "ratios.json") == words
    assert next(left, None) is None


def test_ratios_of_the_check_are_of_the_same_round_and_precision(case):
    rows = [timed(PLAIN, case, 1.0), timed(BLOCKED, case, 1.0), timed(BLOCKED32, case, 1.0)]
    rows[0]["ns"], rows[1]["ns"] = [100.0, 200.0, 400.0], [150.0, 300.0, 6000.0]
    assert check.ratios(rows) == {"7-5-3 logistic, bioFA, blocked, float64": 1.5}


@pytest.mark.compiled
@pytest.mark.slow
def test_this_build_is_not_a_quarter_slower_than_stored_beside_the_plain_loop():
    if check.of_processor() != machine.describe()["processor"]:
        pytest.skip(f"the stored ratios are of another processor, {check.of_processor()}")
    assert check.check(print) == []


def test_every_table_of_costs_has_a_picture_beside_it(case, tmp_path):
    rows = [timed(PLAIN, case, 4.0), timed(BLOCKED, case, 1.0), blank(DENSE, case)]
    spent = [{"name": "bioFA", "case": "linear", "seconds": [1.0, 2.0]}]
    wide = {"rows": [row | {"width": 5} for row in rows], "last_level_cache": {}, "flatness": {}}
    builds = {"cold": spent, "warm": spent}
    results = {"race": rows, "widths": wide, "builds": builds, "exports": spent, "memory": {}}
    found = pictures.draw(results, tmp_path)
    assert list(found) == ["race", "widths", "builds", "exports"]
    assert found["builds"] == ["pictures/builds.svg", "pictures/builds-2.svg"]
    for part in found.values():
        for name in part:
            assert "<svg" in (tmp_path / name).read_text()
    text = (tmp_path / "pictures/race.svg").read_text()
    assert "bioFA, blocked" in text
    results = {
        "machine": MACHINE, "command": "", "date": "today", "repeats": 3, "race": rows, "pictures": found,
    }
    assert "![race](pictures/race.svg)" in table.markdown(results)


@pytest.mark.compiled
@pytest.mark.slow
def test_a_batch_of_bioFA_ends_with_the_weights_of_the_reference():
    case = dataclasses.replace(cases.linear(), batch=8)
    rows = race([BATCHED, REFERENCE], [case], repeats=1, seconds=0.02, check=44, environments=None, say=print)
    assert [row["status"] for row in rows] == ["timed", "timed"], [row["reason"] for row in rows]
    assert rows[0]["note"] == "first pathway batched"
