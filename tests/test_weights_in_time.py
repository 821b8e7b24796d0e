"""Weights in time, `record.synapses`: what the compiled run keeps is what the reference had, step by step."""

import tracemalloc
import warnings
from typing import Annotated

import numpy as np
import pytest

import bioFA
from bioFA import Experiment, ModelError, Network, Pathway, Population, exchange
from bioFA.components import Number
from bioFA.consumers import Numpy
from bioFA.consumers.base import Recording, Segment
from bioFA.consumers.brian.run import Compiled
from bioFA.consumers.reference import Reference
from bioFA.instance import draw
from bioFA.neurons.equations import Equations
from bioFA.neurons.poisson import Poisson
from bioFA.rules import PlasticityRule
from bioFA.rules.equation import Equation
from bioFA.runs import checkpoint, free_run
from bioFA.runs.result import RESULT
from bioFA.show import free_figures
from bioFA.show.model_card import card
from bioFA.units import Unit
from bioFA.verification.free_run import verify_free

N_PRE, N_POST, STEPS = 6, 4, 40
CELL = Equations(
    model="dv/dt = -v/(10*ms) : volt",
    ports={"exc": "volt"},
    arrival="v += exc",
    threshold="v > 1*mV",
    reset="v = 0*mV",
)
HEBB = Equation(equation="dw/dt = learning_rate*(s_post*s_pre - 0.05*w*s_pre)/T", learning_rate=0.2)
EVERY = {"pathway": "list", "every": "3 ms"}


class Coincidence(PlasticityRule):
    """dw/dt = 1e-4 x s_post/dt, tau dx/dt = -x + s_pre."""

    tau: Annotated[Number, Unit("s")] = 5e-3

    reads_pre = ("s",)
    reads_post = ("s",)
    state = {"x": 0.0}
    equations = """
        dw/dt = 1e-4 * x * s_post / dt : 1
        dx/dt = (s_pre - x)/tau : 1
    """

    def step(self, synapses, pre, post, dt, T):
        moved = synapses["x"] - np.expm1(-dt / self.tau) * (pre["s"] - synapses["x"])
        return {"w": synapses["w"] + 1e-4 * synapses["x"] * post["s"][:, np.newaxis], "x": moved}


def model(*kept, rule=HEBB, duration=f"{STEPS} ms", **protocol):
    """Poisson spikes that reach a few cells by a matrix, which a program stores by source, and by a list."""
    ends = {"source": "noise", "target": "cells", "port": "exc", "plasticity": rule}
    return Experiment(
        name="weights",
        circuit=Network(
            populations=(
                Population("noise", size=N_PRE, neuron=Poisson(rate=200.0)),
                Population("cells", size=N_POST, neuron=CELL),
            ),
            pathways=(
                Pathway("matrix", **ends, weights=bioFA.weights.Uniform(low=1e-4, high=6e-4)),
                Pathway(
                    "list",
                    **ends,
                    weights={"name": "uniform", "low": "0.1 mV", "high": "0.6 mV"},
                    connect={"name": "fan_out", "count": 3, "multapses": True},
                ),
                Pathway("still", **ends | {"plasticity": None}, weights="0.3 mV", connect="all"),
            ),
        ),
        protocol={"duration": duration, "dt": "1 ms"} | protocol,
        record={"synapses": kept},
    )


KEPT = (
    {"pathway": "matrix", "every": "2 ms", "from": "5 ms", "until": "31 ms"},
    {"pathway": "matrix", "every": "1 ms", "pairs": [[4, 1], [0, 3], [5, 0]]},
    {"pathway": "list", "every": "3 ms"},
    {"pathway": "list", "every": "10 ms", "sample": 5},
)


def courses(instance, variable="w"):
    """The weights as each step begins, by pathway, from a run of the reference in single steps."""
    reference, state, found = Reference(instance), instance.state, {"matrix": [], "list": []}
    for step in range(STEPS):
        for name, rows in found.items():
            rows.append(state[f"{name}.{variable}"].copy())
        state = reference.segment(state, instance.passing(0, step, step + 1), True).state
    return {name: np.array(rows) for name, rows in found.items()}


@pytest.fixture(scope="module")
def instance():
    return draw(model(*KEPT), 2)


@pytest.fixture(scope="module")
def result():
    histogram = {"bins": 6, "low": "0.2 mV", "high": "0.5 mV"}
    kept = (*KEPT, EVERY | {"histogram": histogram})
    return bioFA.simulate(model(*kept, trials=2, warm_up="10 ms"), 2, "numpy")


@pytest.mark.compiled
@pytest.mark.parametrize("make", [Reference, Compiled])
def test_what_is_kept_are_the_weights_as_each_step_began(make, instance):
    consumer = make(instance)
    if make is Compiled:
        assert consumer.binary.pathways["matrix"] == "events", "so that its places are others in the program"
    parts = [consumer.segment(instance.state, instance.passing(0, 0, 13), True)]
    parts.append(consumer.segment(parts[0].state, instance.passing(0, 13, STEPS), True))
    found = [np.concatenate([part.synapses[number]["w"] for part in parts]) for number in range(len(KEPT))]
    expected = courses(instance)
    flat = expected["matrix"].reshape(STEPS, -1)
    assert (flat[-1] != flat[0]).sum() > 10
    wanted = (
        flat[5:31:2],
        expected["matrix"][:, [1, 3, 0], [4, 0, 5]],
        expected["list"][::3],
        expected["list"][::10, np.arange(5) * (3 * N_PRE) // 5],
    )
    for kept, whole in zip(found, wanted, strict=True):
        assert kept.shape == whole.shape
        np.testing.assert_allclose(kept, whole, rtol=0, atol=1e-14 if make is Compiled else 0)


@pytest.mark.compiled
def test_traces_of_a_rule_are_kept_and_compared():
    kept = ({"pathway": "matrix", "variables": ["x", "w"], "every": "2 ms"}, EVERY | {"variables": ["x"]})
    experiment = model(*kept, rule=Coincidence())
    verified = verify_free(experiment, 2)
    assert verified.agrees, str(verified)
    assert {"matrix.x", "matrix.w", "list.x"} <= verified.records.keys()
    instance = draw(experiment, 2)
    end = Reference(instance).segment(instance.state, instance.passing(0, 0, STEPS), True)
    assert np.array_equal(end.synapses[1]["x"], courses(instance, "x")["list"][::3])
    assert end.synapses[1]["x"].any()


def test_weights_that_a_program_keeps_otherwise_are_found_by_verify(instance):
    class Wrong(Reference):
        def segment(self, *arguments, **keywords):
            found = super().segment(*arguments, **keywords)
            moved = tuple({name: array * (1 + 1e-6) for name, array in kept.items()} for kept in found.synapses)
            return Segment(found.state, found.recording, spikes=found.spikes, traces=found.traces, synapses=moved)

    verified = verify_free(instance.experiment, 2, against=Wrong(instance))
    assert not verified.agrees
    assert set(verified.first_excess) == {"matrix.w, as recorded", "list.w, as recorded"}


def test_a_result_has_them_by_synapse_and_time(result):
    first, second, third, sample, _ = result.synapses
    instance = draw(result.experiment, 2)
    synapses = instance.synapses["list"]
    assert np.array_equal(third.pre, synapses.pre)
    assert np.array_equal(third.post, synapses.post)
    assert np.allclose(third.times, np.arange(0, STEPS, 3) * 1e-3)
    assert np.allclose(first.times, np.arange(5, 31, 2) * 1e-3)
    assert list(zip(second.pre, second.post, strict=True)) == [(4, 1), (0, 3), (5, 0)]
    assert len(sample.pre) == 5
    weights = third.read("w", trial=1)
    assert weights.shape == (len(third.times), len(third.pre))
    assert not np.array_equal(weights[0], third["w"][0]), "weights go on from trial to trial"
    np.testing.assert_array_equal(third["w"][0], instance.state["list.w"])
    np.testing.assert_array_equal(third.read("w", every=4), third["w"][::4])
    with pytest.raises(ModelError, match=r"no 'x' of 'list' was recorded. Known: w"):
        third.read("x")
    with pytest.raises(ModelError, match="no histogram of 'list' was recorded"):
        third.counts()
    with pytest.raises(ModelError, match="trial must be from 0 to 1"):
        third.read("w", 2)


def test_a_histogram_counts_every_synapse_once_outer_ones_in_the_outer_bins(result):
    kept, whole = result.synapses[4], result.synapses[2]
    assert np.allclose(kept.edges, np.linspace(2e-4, 5e-4, 7))
    for trial in (0, 1):
        for counts, weights in zip(kept.counts(trial), whole.read("w", trial), strict=True):
            inner = np.clip(weights, 2e-4, 5e-4)
            assert np.array_equal(counts, np.histogram(inner, kept.edges)[0])
            assert counts.sum() == 3 * N_PRE
    assert (whole["w"] < 2e-4).any()
    with pytest.raises(ModelError, match="no 'w' of 'list' was recorded"):
        kept["w"]


def test_frames_and_datasets_hold_them(result):
    frames, third = result.frames(), result.synapses[2]
    table = frames["synapses"]
    assert list(table.columns) == ["pathway", "trial", "pre", "post", "variable", "time", "value"]
    lists = table[(table.pathway == "list") & (table.trial == 1)]
    assert np.array_equal(lists.value[: third["w"].size], third.read("w", 1).ravel())
    row = lists.iloc[len(third.pre) + 2]
    assert (row.pre, row.post, row.time) == (third.pre[2], third.post[2], pytest.approx(3e-3))
    histograms = frames["histograms"]
    assert histograms.synapses.sum() == 2 * len(result.synapses[4].times) * 3 * N_PRE
    data = result.to_xarray()
    assert data["list.w"].dims == ("trial", "list_time", "list_synapse")
    np.testing.assert_array_equal(data["list.w"][1], third.read("w", 1))
    np.testing.assert_array_equal(data["list_post"], third.post)
    np.testing.assert_array_equal(data["matrix.w_1"][0], result.synapses[1]["w"])
    np.testing.assert_array_equal(data["list.counts_2"][1], result.synapses[4].counts(1))


def test_they_survive_a_file_and_where_segments_end_changes_nothing(result, tmp_path, monkeypatch):
    again = bioFA.load_result(result.save(tmp_path / "kept.h5"))
    assert str(again) == str(result)
    assert "list.w of 18 synapses every 3 ms; list.w of 5 synapses every 10 ms; list.w of 18 synapses in 6 bins" in str(
        again
    )
    monkeypatch.setattr(checkpoint, "INTERVAL", 0.0)
    monkeypatch.setattr(free_run, "SEGMENTS", 3)

    def stop(done, total, latest):
        if done >= 50:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bioFA.simulate(result.experiment, 2, "numpy", folder=tmp_path / "cut", progress=stop)
    resumed = bioFA.resume(tmp_path / "cut")
    for one, other in zip(result.synapses[:4], resumed.synapses[:4], strict=True):
        for trial in (0, 1):
            np.testing.assert_array_equal(one.read("w", trial), other.read("w", trial))
    np.testing.assert_array_equal(result.synapses[4].counts(1), resumed.synapses[4].counts(1))


class Weighing(Reference):
    """In place of a consumer, which is slow: no spikes, and weights of 1."""

    def segment(self, state, feed, learning, **_):
        first, last = feed.span
        steps = self.kept[0].steps(1e-3, self.protocol.shown_steps)
        values = np.ones((sum(1 for step in range(first, last) if step in steps), len(self.chosen[0].places)))
        spikes = {name: (np.zeros(0, np.int32), np.zeros(0, np.int64)) for name in ("noise", "cells")}
        recording = Recording(np.zeros(0, int), {})
        return Segment(dict(state), recording, spikes=spikes, synapses=({"w": values},))


@pytest.mark.slow
def test_memory_does_not_grow_with_the_duration(monkeypatch, tmp_path):
    monkeypatch.setattr(Numpy, "make", lambda self, instance, *_: Weighing(instance))
    monkeypatch.setattr(free_run, "MOST_TRACED", 10_000)
    monkeypatch.setattr(checkpoint, "LARGEST", 0)
    peaks = []
    for duration in (1, 1, 4):  # the first pays for what is imported and cached
        folder = tmp_path / str(len(peaks))
        tracemalloc.start()
        bioFA.simulate(model(EVERY | {"every": "1 ms"}, duration=f"{duration} s"), 1, "numpy", folder=folder)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        found = bioFA.load_result(folder / RESULT, trusted=True).synapses[0]
        assert found["w"].shape == (1000 * duration, 18)
        assert (found["w"] == 1).all()
    recorded_more = 3000 * 18 * 8
    assert peaks[2] - peaks[1] < recorded_more / 4, peaks  # their times are there at once


def test_figures_and_the_card_show_them(result):
    figure = free_figures.weights(result)
    assert free_figures.weights in free_figures.drawn(result)
    labels = [axes.get_ylabel() for axes in figure.axes]
    assert labels == ["matrix\nw (volt)", "matrix\nw (volt)", *["list\nw (volt)"] * 3]
    lines = {line.get_label(): line.get_ydata() for line in figure.axes[1].lines}
    assert set(lines) == {"4 to 1", "0 to 3", "5 to 0", "mean of 3"}
    np.testing.assert_allclose(lines["mean of 3"], result.synapses[1]["w"].mean(axis=1))
    cells = [cell for table in card(result.experiment) for row in table.rows for cell in row]
    assert "list.w of all synapses in 6 bins, every 3 ms" in cells
    assert "matrix.w of 3 pairs, every 1 ms" in cells
    without = bioFA.simulate(model(), 2, "numpy")
    with pytest.raises(ModelError, match="recorded no weights"):
        free_figures.weights(without)


def test_nwb_and_neo_hold_them(result, tmp_path):
    pynwb, neo = pytest.importorskip("pynwb"), pytest.importorskip("neo")
    exchange.export(result, "nwb", tmp_path / "kept.nwb")
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="The file path provided")
        exchange.export(result, "nwb", tmp_path / "no_suffix")
    whole = np.concatenate([result.synapses[2].read("w", trial) for trial in (0, 1)])
    with pynwb.NWBHDF5IO(str(tmp_path / "kept.nwb"), "r") as io:
        series = io.read().processing["simulation"]["list_w_2"]
        assert series.unit == "volt"
        np.testing.assert_array_equal(series.data[:], whole)
        np.testing.assert_allclose(series.timestamps[:2], [0, 3e-3])
    exchange.export(result, "neo", tmp_path / "kept.nix")
    segments = neo.NixIO(str(tmp_path / "kept.nix"), "ro").read_block().segments
    signals = [signal for signal in segments[1].analogsignals if signal.name == "list.w"]
    np.testing.assert_array_equal(signals[0].rescale("V").magnitude, result.synapses[2].read("w", 1))
    assert list(signals[0].annotations["post"]) == result.synapses[2].post.tolist()


def test_a_pair_without_a_synapse_is_refused_as_the_instance_is_drawn():
    experiment = model(EVERY | {"pairs": [[0, 0], [0, 1], [0, 2], [0, 3]]})
    synapses = draw(model(), 2).synapses["list"]
    absent = min(set(range(N_POST)) - set(synapses.post[synapses.pre == 0].tolist()))
    with pytest.raises(ModelError, match=f"'list' has no synapse from neuron 0 to neuron {absent} with this") as caught:
        draw(experiment, 2)
    assert caught.value.at == ("record", "synapses", 0, "pairs", absent)
