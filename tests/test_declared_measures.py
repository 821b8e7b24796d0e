"""Declared measures: what `measures` of a model file asks for, from the run to a comparison that ranks by it."""

import json
import os

import numpy as np
import pytest
from click.testing import CliRunner
from jobs import jobs_here
from test_free_runs import CELL, model

import bioFA
from bioFA import cli
from bioFA.analysis import population_activity as whole_arrays
from bioFA.comparisons.outcomes import in_one_order
from bioFA.consumers.reference import Reference
from bioFA.runs import free_run
from bioFA.runs.declared import Course
from bioFA.runs.result import RESULT
from bioFA.show.model_card import card
from bioFA.show.notebook import of_result

MEASURES = (
    {"name": "rate", "of": "exc[1:4]", "from": "40 ms", "until": "260 ms", "better": "higher"},
    {"name": "cv", "of": "exc", "per": "neuron"},
    {"name": "fano", "of": "exc", "per": "neuron"},
    {"name": "synchrony", "of": "exc", "until": "260 ms"},
    {"name": "peak", "of": "exc"},
    {"name": "active", "of": "exc[0:2]"},
    {"name": "mean", "of": "exc[1:4].v", "every": "2 ms"},
    {"name": "std", "of": "exc[1:4].v", "every": "2 ms", "per": "neuron"},
    {"name": "max", "of": "other.g"},
    {"name": "min", "of": "other.v", "from": "40 ms", "until": "41 ms"},
)
RECORD = {
    "traces": [
        {"population": "exc", "variables": ["v"], "neurons": [1, 2, 3], "every": "2 ms", "from": "20 ms"},
        {"population": "other", "variables": ["g", "v"], "neurons": [0, 1, 2]},
    ]
}


def measured(**changes):
    return model(trials=2, duration="300 ms", warm_up="20 ms", record=RECORD).replace(measures=MEASURES, **changes)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """The folder of a run, and its result."""
    folder = tmp_path_factory.mktemp("declared")
    (folder / "model.toml").write_text(bioFA.dumps(measured()))
    biofa("run", folder / "model.toml", "--seed", 3, "--backend", "numpy", "--out", folder / "out")
    return folder


@pytest.fixture(scope="module")
def result(place):
    return bioFA.load_result(place / "out" / RESULT)


def biofa(*arguments, code=0):
    outcome = CliRunner().invoke(cli.main, list(map(str, arguments)))
    assert outcome.exit_code == code, (outcome.output, outcome.exception)
    return outcome.output


def spikes(result, trial, part, start, stop):
    neurons, times = result.spikes("exc", trial)
    inside = (neurons >= part.start) & (neurons < part.stop)
    return whole_arrays.Spikes(neurons[inside] - part.start, times[inside], part.stop - part.start, start, stop)


def by_label(result):
    return {one.label: one for one in result.declared}


def test_measures_of_spikes_are_those_of_the_recorded_spikes(result):
    found = by_label(result)
    rate = found["exc[1:4].rate from 40 ms until 0.26 s"]
    expected = [whole_arrays.rates(spikes(result, trial, slice(1, 4), 0.04, 0.26)) for trial in (0, 1)]
    assert rate.value == pytest.approx(np.mean(expected), rel=1e-12)
    assert rate.unit == "hertz"
    assert (rate.start, rate.stop) == pytest.approx((0.04, 0.26))
    cvs, whole = found["exc.cv per neuron"], result.measures[0]
    assert len(cvs.neurons) == 6
    assert cvs.value == pytest.approx(whole.cv, rel=1e-12)
    assert found["exc.fano per neuron"].value == pytest.approx(whole.fano, rel=1e-12)
    assert found["exc.peak"].value == whole.peak_hz
    counts = [whole_arrays.counts(spikes(result, trial, slice(0, 6), 0.02, 0.26), 3e-3) for trial in (0, 1)]
    pooled = np.concatenate(counts)
    assert found["exc.synchrony until 0.26 s"].value == pytest.approx(pooled.var() / pooled.mean(), rel=1e-9)
    active = {n for trial in (0, 1) for n in spikes(result, trial, slice(0, 2), 0.02, 0.3).neurons}
    assert found["exc[0:2].active"].value == len(active) / 2


def test_measures_of_variables_are_those_of_the_recorded_traces(result):
    found = by_label(result)
    v = np.concatenate([result.traces[0].read("v", trial) for trial in (0, 1)])
    assert found["exc[1:4].v.mean"].value == pytest.approx(v.mean(), rel=1e-12)
    assert np.allclose(found["exc[1:4].v.std per neuron"].neurons, v.std(axis=0), rtol=1e-10)
    assert found["exc[1:4].v.std per neuron"].value == pytest.approx(v.std(axis=0).mean(), rel=1e-10)
    g, other = (np.stack([result.traces[1].read(name, trial) for trial in (0, 1)]) for name in "gv")
    assert found["other.g.max"].value == g[:, 20:].max()
    assert found["other.v.min from 40 ms until 41 ms"].value == other[:, 40].min()


def test_what_measures_look_at_is_not_recorded_and_moves_nothing(result):
    plain = bioFA.simulate(result.experiment.replace(measures=()), seed=3, backend="numpy")
    assert [trace.variables for trace in result.traces] == [trace.variables for trace in plain.traces]
    assert np.array_equal(plain.spikes("exc")[1], result.spikes("exc")[1])
    assert plain.measures == result.measures
    assert plain.declared == ()


def test_no_measure_depends_on_where_a_segment_ends(result, monkeypatch):
    monkeypatch.setattr(free_run, "SEGMENTS", 7)
    other = bioFA.simulate(result.experiment, seed=3, backend="numpy")
    for one, two in zip(result.declared, other.declared, strict=True):
        assert one.numbers() == two.numbers()
        assert np.array_equal(one.neurons, two.neurons, equal_nan=True)


def test_a_run_that_was_stopped_measures_the_same(result, tmp_path, monkeypatch):
    calls = []

    class Stopping(Reference):
        def segment(self, *arguments, **options):
            calls.append(1)
            if len(calls) == 27:  # in the second trial
                raise KeyboardInterrupt
            return super().segment(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr("bioFA.consumers.Reference", Stopping, raising=False)
        patch.setattr("bioFA.runs.simulation.consumer", lambda instance, *_: Stopping(instance))
        with pytest.raises(KeyboardInterrupt):
            bioFA.simulate(result.experiment, seed=3, backend="numpy", folder=tmp_path / "out")
    other = bioFA.resume(tmp_path / "out")
    assert len(calls) == 27
    for one, two in zip(result.declared, other.declared, strict=True):
        assert one.numbers() == two.numbers()
        assert np.array_equal(one.neurons, two.neurons, equal_nan=True)


def test_the_compiled_program_measures_the_same(result):
    other = bioFA.simulate(result.experiment, seed=3)
    for one, two in zip(result.declared, other.declared, strict=True):
        assert one.numbers() | {"value": 0} == two.numbers() | {"value": 0}
        assert one.value == pytest.approx(two.value, rel=1e-9)
        assert np.allclose(one.neurons, two.neurons, rtol=1e-9, equal_nan=True)


def test_measures_are_shown_wherever_a_run_is(place, result):
    lines = str(result)
    rate = by_label(result)["exc[1:4].rate from 40 ms until 0.26 s"]
    assert f"{rate.value:.3g} Hz" in lines
    assert "3 neurons every 2 ms, 20 ms to 0.3 s" in lines
    assert result.metrics[rate.label] == rate.value
    summary = json.loads(json.dumps(result.summary()))
    assert [one["label"] for one in summary["declared"]] == [one.label for one in result.declared]
    assert len(summary["declared"][1]["neurons"]) == 6
    assert summary["declared"][0]["neurons"] is None
    assert list(result.frames()["declared"]["label"]) == [one.label for one in result.declared]
    assert rate.label in of_result(result)
    biofa("report", place / "out")
    assert rate.label in (place / "out" / "report.html").read_text()
    cells = [cell for table in card(result.experiment) for row in table.rows for cell in row]
    assert f"{rate.label}, higher is better" in cells


def test_a_value_is_shown_with_the_unit_of_its_variable():
    cell = {"name": "lif_exp"}
    network = bioFA.Network(populations=(bioFA.Population("exc", size=2, neuron=cell),), pathways=())
    experiment = bioFA.Experiment(
        name="volts",
        circuit=network,
        protocol={"duration": "10 ms", "dt": "1 ms"},
        measures=[{"name": "mean", "of": "exc.v"}],
    )
    (one,) = bioFA.simulate(experiment, backend="numpy").declared
    assert one.unit == "volt"
    assert one.row()[1] == f"{1e3 * one.value:.3g} mV"


def test_a_course_far_from_zero_keeps_its_spread():
    rng = np.random.default_rng(1)
    values = 1e6 + rng.normal(size=(1000, 3))
    course = Course(3)
    for piece in np.array_split(values, 13):
        course.add(piece)
    assert np.allclose(course.of_neurons("std"), values.std(axis=0), rtol=1e-9)
    assert np.allclose(course.of_neurons("mean"), values.mean(axis=0), rtol=1e-14)


def test_a_measure_that_the_first_condition_lacks_stands_where_others_have_it():
    lists = [["exc.rate", "exc.cv", "inh.rate"], ["exc.rate", "inh.rate", "inh.cv"], ["exc.peak", "exc.rate"]]
    assert in_one_order(lists[::-1]) == in_one_order(lists)
    assert in_one_order(lists) == ["exc.peak", "exc.rate", "exc.cv", "inh.rate", "inh.cv"]


@pytest.mark.parametrize(("better", "best"), [("higher", "0.5"), pytest.param("lower", "0", marks=pytest.mark.slow)])
@jobs_here()
def test_a_comparison_ranks_by_the_measure_that_says_what_is_better(tmp_path, better, best):
    """The drive of `exc` is what its neurons spike for, so that more of it makes them faster under every seed."""
    file = tmp_path / "passing.toml"
    tau = {"name": "uniform", "low": "9 ms", "high": "11 ms"}
    cell = CELL.replace(model=CELL.model.replace("1.3", "1.3 + more"), given={"tau": tau, "more": 0.0})
    experiment = model(duration="60 ms", record={}, cell=cell)
    measures = ({"name": "rate", "of": "exc", "better": better}, {"name": "mean", "of": "other.v"})
    file.write_text(bioFA.dumps(experiment.replace(measures=measures)))
    key = "exc.neuron.parameters.more"
    command = ("compare", file, "--set", f"{key}=0,0.5", "--seeds", 3, "--backend", "numpy", "--out")
    printed = biofa(*command, tmp_path / "out")
    assert "exc.rate" in printed
    assert "other.v.mean" in printed
    assert "exc.cv" not in printed
    order = ["0.5", "0"] if better == "higher" else ["0", "0.5"]
    assert order[0] == best
    listed = ", ".join(f"more {value}" for value in order)
    assert f"passing, best first by medians of paired differences: {listed}" in printed
    found = bioFA.load_comparison(tmp_path / "out")
    assert len(found.pairs) == 1
    for _, row in found.pairs.iterrows():
        more, less = (float(row[name].rpartition(" ")[2]) for name in ("first", "second"))
        table = found.table.pivot(index="seed", columns=key, values="exc.rate")
        apart = table[more] - table[less]
        assert np.sign(row["difference"]) == np.sign(apart.median()) == np.sign(more - less)
        assert row["low"] <= row["difference"] <= row["high"]
        assert row["scale"] == "hertz"
        assert row["better"].endswith(f" {max(more, less) if better == 'higher' else min(more, less):g}")
    page = found.report.read_text()
    assert "best first by medians of paired differences" in page
    assert f"so {'above' if better == 'higher' else 'below'} 0 the first is better" in page
    assert "verdict" in found._repr_html_()


@jobs_here()
def test_nothing_is_ranked_where_no_measure_says_what_is_better(tmp_path):
    file = tmp_path / "passing.toml"
    measures = ({"name": "rate", "of": "exc"},)
    file.write_text(bioFA.dumps(model(duration="60 ms", record={}).replace(measures=measures)))
    command = ("compare", file, "--set", "protocol.warm_up=0 ms,20 ms", "--seeds", 1, "--backend", "numpy")
    printed = biofa(*command, "--out", tmp_path / "out")
    assert "exc.rate" in printed
    assert not any(word in printed for word in ("best first", "pair ", "other.rate"))
    assert os.path.exists(tmp_path / "out" / "table.csv")
