"""Spikes and sample neurons of a finished run: what is kept, drawn and told is what the reference does."""

import itertools
import json
import sys

import numpy as np
import pytest
from click.testing import CliRunner

import bioFA
from bioFA import cli
from bioFA.analysis import spikes as analysis
from bioFA.consumers.base import Segment
from bioFA.consumers.reference import Reference
from bioFA.errors import MissingError, ModelError
from bioFA.instance import draw
from bioFA.runs.activity import activity, watched
from bioFA.runs.result import load_result
from bioFA.show import figures, report

SMALL = {
    "circuit.sizes": [6, 12, 4],
    "task.n_in": 6,
    "task.n_out": 4,
    "task.examples": 20,
    "task.test_examples": 2,
    "circuit.hidden": {"name": "lif"},
    "circuit.output": {"name": "lif"},
    "circuit.biases": True,
    "circuit.bias_weights": {"name": "constant", "value": 1.5},
    "protocol.presentations": 20,
    "protocol.presentation": "40 ms",
    "protocol.learning_onset": "15 ms",
    "protocol.blank": "10 ms",
    "protocol.reset": True,
    "protocol.snapshots": 1,
}
WORDS = [
    word
    for key, value in SMALL.items()
    for word in (
        "--set",
        (
            f"{key}={json.dumps(value) if not isinstance(value, dict) else '{' + ', '.join(f'{k} = {json.dumps(v)}' for k, v in value.items()) + '}'}"  # noqa: E501
        ),
    )
]
DASH = "|"


@pytest.fixture(scope="module")
def result():
    return bioFA.simulate(bioFA.load("linear_spiking", SMALL), seed=2, backend="numpy")


@pytest.fixture(scope="module")
def by_hand(result):
    """The same presentations, stepped one by one: every spike, and every state as each step begins."""
    reference = Reference(draw(result.experiment, result.seed))
    network, protocol = reference.network, result.experiment.protocol
    feed = draw(result.experiment, result.seed).training(0, result.activity.presentations)
    state, spikes, states, values = dict(result.state), {p.name: [] for p in network.spiking()}, [], []
    for k in range(feed.presentations):
        for step in range(protocol.steps):
            if step == 0:
                state |= reference._beginning()
            moments = {p.name: reference._moment(p, feed, k, step) for p in network.populations}
            now = reference._sweep(state, feed, k, step, moments)
            for name in spikes:
                spikes[name].append(now[(name, "s")])
            states.append(state)
            values.append({str(node): array for node, array in now.items()})
            state = state | reference._advance(state, now, moments)
    return {name: np.array(rows) for name, rows in spikes.items()}, states, values


def test_every_spike_of_the_replay_is_kept(result, by_hand):
    assert result.activity.presentations == 20
    for name, raster in by_hand[0].items():
        np.testing.assert_array_equal(result.activity.spikes[name], np.argwhere(raster), err_msg=name)
        assert len(result.activity.spikes[name]) > 0


def test_the_courses_are_those_of_the_sampled_neurons(result, by_hand):
    _, states, values = by_hand
    assert {"hidden.v", "hidden.I", "hidden.r", "hidden.error", "output.v"} <= set(result.activity.courses)
    for name, course in result.activity.courses.items():
        expected = np.array([(values[k] | states[k])[name] for k in range(len(states))])[
            :, result.activity.sampled[name.split(".")[0]]
        ]
        np.testing.assert_allclose(course, expected, rtol=1e-6, atol=1e-6, err_msg=name)


def test_the_sample_is_the_busiest_neuron_and_the_median_of_those_that_spike():
    raster = np.zeros((1, 9, 5), dtype=np.uint8)
    for neuron, count in enumerate((1, 0, 7, 3, 0)):
        raster[0, :count, neuron] = 1
    kept = activity(Segment({}, None, {"hidden": raster}, {"hidden.v": np.zeros((1, 9, 5), dtype=np.float32)}))
    assert kept.sampled["hidden"].tolist() == [2, 3]
    assert activity(Segment({}, None, {"hidden": 0 * raster}, {"hidden.v": np.zeros((1, 9, 5))})).sampled[
        "hidden"
    ].tolist() == [0]


def test_the_raster_draws_every_spike_at_its_time_and_marks_presentations_and_learning(result, by_hand):
    figure = figures.raster(result)
    bars, *panels, rates = figure.axes
    populations = [p.name for p in result.experiment.network.populations if p.name in by_hand[0]]
    assert [panel.get_ylabel() for panel in panels] == populations
    for panel, name in zip(panels, populations, strict=True):
        dashes = next(line for line in panel.lines if line.get_marker() == DASH)
        drawn = dashes.get_xydata()
        counts = np.bincount(drawn[:, 1].astype(int), minlength=by_hand[0][name].shape[1])
        np.testing.assert_array_equal(counts, by_hand[0][name].sum(axis=0), err_msg=name)
        np.testing.assert_allclose(drawn[:, 0], np.argwhere(by_hand[0][name])[:, 0])
        borders = [line.get_xdata()[0] for line in panel.lines if line is not dashes]
        np.testing.assert_allclose(borders, 50.0 * np.arange(1, 20))
    shown, learning = (collection.get_paths() for collection in bars.collections)
    np.testing.assert_allclose([path.get_extents().intervalx for path in shown[:2]], [[0, 40], [50, 90]])
    np.testing.assert_allclose([path.get_extents().intervalx for path in learning[:2]], [[15, 40], [65, 90]])
    edges_and_rates = {patch.get_label(): patch.get_data() for patch in rates.patches}
    for name in populations:
        heights, edges, _ = edges_and_rates[name]
        assert np.sum(heights * np.diff(edges)) / edges[-1] == pytest.approx(result.firing_rates[name])
    assert "replayed in the reference at the final weights" in figure.get_suptitle()


def test_sample_neurons_are_drawn_with_their_spikes(result, by_hand):
    panels = figures.neurons(result).axes
    for name, sampled in result.activity.sampled.items():
        for neuron in sampled:
            panel = next(p for p in panels if p.get_title(loc="left") == f"{name}, neuron {neuron}")
            dashes = next(line for line in panel.lines if line.get_marker() == DASH)
            np.testing.assert_allclose(dashes.get_xdata(), np.flatnonzero(by_hand[0][name][:, neuron]))
            course = max(panel.lines, key=lambda line: len(line.get_xdata()))
            np.testing.assert_array_equal(
                course.get_ydata(), result.activity.courses[f"{name}.v"][:, list(sampled).index(neuron)]
            )


def test_activity_survives_its_file_and_the_report_draws_it_without_simulating(result, tmp_path, monkeypatch):
    again = load_result(result.save(tmp_path / "result.h5"))
    monkeypatch.setattr(Reference, "segment", lambda *_, **__: pytest.fail("it simulated"))
    for kind in ("spikes", "sampled", "courses"):
        before, after = getattr(result.activity, kind), getattr(again.activity, kind)
        assert set(before) == set(after)
        for name in before:
            np.testing.assert_array_equal(before[name], after[name])
    assert {figures.raster, figures.neurons} < set(figures.drawn(result))
    monkeypatch.setattr(figures, "drawn", lambda _: [figures.raster, figures.neurons])  # the others take long
    page = report.write(tmp_path).read_text()
    assert 'id="figure-raster"' in page
    assert 'id="figure-neurons"' in page
    assert 'id="spike_statistics"' in page
    svg = (tmp_path / "raster.svg").read_text()
    assert ">hidden</text>" in svg  # text stays text
    assert {path.name for path in tmp_path.iterdir()} >= {
        f"{name}{suffix}" for name in ("raster", "neurons") for suffix in (".pdf", ".svg", ".png")
    }


def test_where_nobody_spikes_no_spikes_are_kept_or_drawn(tmp_path):
    result = bioFA.simulate(
        bioFA.load("linear", {"task.examples": 20, "task.test_examples": 5}), seed=1, backend="numpy"
    )
    assert result.activity is None
    assert load_result(result.save(tmp_path / "result.h5")).activity is None
    assert [draw.__name__ for draw in figures.drawn(result)] == ["learning_curve", "alignment", "weights"]
    assert result.spike_statistics == {}
    with pytest.raises(ModelError, match="no population of it spikes"):
        figures.raster(result)


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, part in ((name, bioFA.neurons.family.get(name)) for name in bioFA.neurons.family.names())
        if not part.named_draws and "s" in part.publishes
    ],
)
def test_what_a_neuron_watches_exists(name):
    neuron = bioFA.neurons.family.get(name)
    assert set(neuron.watched) <= {*neuron.ports, *neuron.publishes, *neuron.state}
    assert bool(neuron.watched) == (neuron.shows is None)


def test_a_port_that_nothing_reaches_is_not_watched(result):
    assert "hidden.error" in map(str, watched(result.experiment.network))
    assert "hidden.error" not in map(str, watched(result.experiment.with_scheme("shallow").network))


def trains():
    """Three neurons in two presentations of 50 steps: spikes of neuron 0 at regular intervals, of 1 at others,
    of 2 with neuron 0."""
    at = {0: (5, 15, 25, 35, 55, 65, 75), 1: (3, 9, 21, 45, 60, 90), 2: (5, 15, 25, 35, 55, 65, 75)}
    return np.array(sorted((step, neuron) for neuron, steps in at.items() for step in steps)), at


def test_elephant_s_numbers_are_those_of_a_count_by_hand():
    pytest.importorskip("elephant", reason=f"Elephant is not installed: {analysis.INSTALL}")
    spikes, at = trains()
    found = analysis.spike_statistics(spikes, 2, 50, 1e-3)
    spreads, factors, binned = [], [], []
    for steps in at.values():
        halves = [[s for s in steps if s // 50 == k] for k in (0, 1)]
        intervals = [b - a for half in halves for a, b in itertools.pairwise(half)]
        spreads.append(np.std(intervals) / np.mean(intervals))
        counts = [len(half) for half in halves]
        factors.append(np.var(counts) / np.mean(counts))
        binned.append(np.bincount(np.array(steps) // 5, minlength=20))
    pairs = [np.corrcoef(binned[i], binned[j])[0, 1] for i, j in ((0, 1), (0, 2), (1, 2))]
    assert found["cv_isi"] == pytest.approx(np.mean(spreads))
    assert found["fano_factor"] == pytest.approx(np.mean(factors))
    assert found["correlation"] == pytest.approx(np.mean(pairs))


def test_too_few_spikes_have_no_statistics():
    pytest.importorskip("elephant", reason=f"Elephant is not installed: {analysis.INSTALL}")
    assert analysis.spike_statistics(np.empty((0, 2), dtype=int), 2, 50, 1e-3) == {
        "cv_isi": None,
        "fano_factor": None,
        "correlation": None,
    }
    assert analysis.spike_statistics(np.array([[3, 0]]), 1, 50, 1e-3) == {
        "cv_isi": None,
        "fano_factor": None,
        "correlation": None,
    }
    always = np.array([(step, neuron) for step in range(20) for neuron in (0, 1)])
    assert analysis.spike_statistics(always, 2, 10, 5e-3)["correlation"] is None  # nothing varies


def test_without_elephant_a_run_says_what_to_install(result, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "elephant", None)
    with pytest.raises(MissingError, match=r"pip install 'bioFA\[spikes\]'"):
        analysis.spike_statistics(trains()[0], 2, 50, 1e-3)
    outcome = CliRunner().invoke(
        cli.main,
        ["run", "linear_spiking", *WORDS, "--backend", "numpy", "--no-figures", "--out", str(tmp_path / "run")],
    )
    assert outcome.exit_code == 0, outcome.output
    assert "pip install 'bioFA[spikes]'" in outcome.stdout
    result.save(tmp_path / "result.h5")
    monkeypatch.setattr(figures, "drawn", lambda _: [])  # which takes long
    assert "Elephant, which is not installed" in report.write(tmp_path).read_text()


@pytest.mark.parametrize("figures", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_run_tells_the_statistics_of_its_spikes(figures, tmp_path):
    pytest.importorskip("elephant", reason=f"Elephant is not installed: {analysis.INSTALL}")
    outcome = CliRunner().invoke(
        cli.main,
        [
            *("run", "linear_spiking", *WORDS, "--backend", "numpy", "--out", str(tmp_path / "run")),
            "--figures" if figures else "--no-figures",
        ],
    )
    assert outcome.exit_code == 0, outcome.output
    result = load_result(tmp_path / "run" / "result.h5")
    assert f"hidden: CV of intervals {result.spike_statistics['hidden']['cv_isi']:.2f}, Fano factor" in outcome.stdout
    if not figures:
        return
    absent = ("confusion", "traces", "spectrum")  # there are no classes, and monitors are of a run without a task
    assert {f"{name}.png" for name in cli.run.FIGURES if name not in absent} <= {
        path.name for path in (tmp_path / "run").iterdir()
    }
