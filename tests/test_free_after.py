"""A run in which time passes continues another one, `after`, to the bits of one run of both lengths."""

import numpy as np
import pytest

import bioFA
from bioFA import Experiment, ModelError, Network, Pathway, Population, exchange
from bioFA.distributions import Uniform
from bioFA.network import Learning
from bioFA.neurons.equations import Equations
from bioFA.neurons.ornstein_uhlenbeck import OrnsteinUhlenbeck
from bioFA.neurons.poisson import Poisson
from bioFA.rules.equation import Equation
from bioFA.runs import free_run
from bioFA.runs.result import RESULT
from bioFA.show import free_figures

CELL = Equations(
    model="dv/dt = (-v + I)/(10*ms) : 1",
    ports={"I": "1", "exc": "1"},
    arrival="v += exc",
    threshold="v > 1",
    reset="v = 0",
    refractory="3 ms",
    initial={"v": {"name": "uniform"}},
)


def model(duration="60 ms", trials=1, **record):
    """Cells that drive each other by delayed synapses with short-term dynamics, and learn from Poisson spikes."""
    delay = {"name": "uniform", "low": "1 ms", "high": "12 ms"}
    ends = {"target": "cells", "port": "exc", "connect": {"name": "fan_in", "count": 3}, "delay": delay}
    kept = {
        "traces": [{"population": "cells", "variables": ["v"], "neurons": [0, 2], "every": "4 ms", "from": "2 ms"}],
        "synapses": [{"pathway": "learned", "every": "5 ms"}],
        "rates": {"bin": "7 ms"},
    }
    return Experiment(
        name="longer",
        circuit=Network(
            populations=(
                Population("noise", size=5, neuron=Poisson(rate=80.0)),
                Population("current", size=4, neuron=OrnsteinUhlenbeck(sigma=0.5, mean=1.2, tau="5 ms")),
                Population("cells", size=4, neuron=CELL, background=[{"port": "exc", "rate": "30 Hz", "weight": 0.2}]),
            ),
            pathways=(
                Pathway(
                    "input", source="current", target="cells", port="I", carries="I", weights=1.0, connect="one_to_one"
                ),
                Pathway(
                    "learned", source="noise", weights=Uniform(low=0.1, high=0.3), **ends,
                    plasticity=Equation(equation="dw/dt = learning_rate*(s_post - 0.3)*s_pre/T", learning_rate=20.0),
                    learning=Learning(low=0.0, high=0.5),
                ),
                Pathway("loop", source="cells", weights=0.2, **ends, dynamics={"name": "tsodyks_markram"}),
            ),
        ),
        protocol={"duration": duration, "dt": "1 ms", "trials": trials, "warm_up": "10 ms"},
        record=kept | record,
        measures=[{"name": "rate", "of": "cells"}, {"name": "mean", "of": "cells.v", "from": "20 ms"},
                  {"name": "max", "of": "cells.v", "from": "21 ms"}],
    )  # fmt: skip


def run(experiment, **keywords):
    return bioFA.simulate(experiment, seed=4, backend=keywords.pop("backend", "numpy"), **keywords)


def same_state(first, second):
    assert first.state.keys() == second.state.keys()
    for name, array in first.state.items():
        np.testing.assert_array_equal(array, second.state[name], err_msg=name)


@pytest.fixture(scope="module")
def whole():
    return run(model("100 ms"))


@pytest.fixture(scope="module")
def continued(tmp_path_factory):
    """The second part of the same run, 60 ms being done before; from a file."""
    folder = tmp_path_factory.mktemp("first")
    run(model("60 ms"), folder=folder / "run")
    return run(model("100 ms"), after=folder / "run" / RESULT, folder=folder / "longer")


def test_a_longer_trial_ends_as_one_run_of_both_lengths(whole, continued):
    same_state(whole, continued)
    assert any(array.any() for name, array in continued.state.items() if name.endswith("under_way"))
    assert (continued.state["learned.w"] != run(model("60 ms")).state["learned.w"]).any()


@pytest.mark.compiled
def test_the_compiled_program_continues_to_the_same_bits():
    first, whole = run(model("60 ms"), backend="cpp"), run(model("100 ms"), backend="cpp")
    same_state(whole, run(model("100 ms"), backend="cpp", after=first.trained))


def test_what_came_before_is_neither_recorded_nor_measured(whole, continued):
    assert continued.continued == 60
    for name in ("noise", "cells"):
        for mine, theirs in zip(continued.spikes(name), whole.spikes(name, start=0.06), strict=True):
            np.testing.assert_array_equal(mine, theirs)
    assert len(continued.spikes("cells")[0]) > 5
    for mine, theirs in zip(
        (*continued.traces, *continued.synapses), (*whole.traces, *whole.synapses), strict=True
    ):
        late = theirs.times >= 0.06
        np.testing.assert_array_equal(mine.times, theirs.times[late])
        for variable in mine.variables:
            np.testing.assert_array_equal(mine.read(variable), theirs.read(variable)[late])
    assert continued.traces[0].times[0] == pytest.approx(0.062)
    times, rates = continued.rates("cells")
    assert np.allclose(times, 0.06 + 0.007 * np.arange(5))
    _, spikes = whole.spikes("cells", start=0.06, stop=0.095)
    np.testing.assert_allclose(rates, np.bincount(((spikes - 0.06) / 0.007 + 1e-6).astype(int)) / (4 * 0.007))
    cells = next(measured for measured in continued.measures if measured.population == "cells")
    assert (cells.start, cells.stop, cells.trials) == (0.06, 0.1, 1)
    assert cells.spikes == len(continued.spikes("cells")[0])
    rate, mean, most = continued.declared
    assert rate.value == pytest.approx(cells.rate)
    assert (mean.start, most.start, rate.start) == pytest.approx((0.06, 0.06, 0.06))
    every = run(model("100 ms", traces=[{"population": "cells", "variables": ["v"], "neurons": [0, 1, 2, 3]}]))
    late = every.traces[0]["v"][60:]
    assert mean.value == pytest.approx(late.mean())
    assert most.value == late.max()


def test_the_result_says_so_and_survives_its_file(continued):
    again = bioFA.load_result(continued.monitors.path)
    assert str(again) == str(continued)
    assert "continued after    60 ms" in str(again)
    assert "measured from 60 ms to its end" in str(again)
    np.testing.assert_array_equal(again.spikes("cells")[1], continued.spikes("cells")[1])
    assert all(figure(again) for figure in free_figures.drawn(again))
    assert set(again.frames()) >= {"spikes", "traces", "synapses", "rates"}


def test_more_trials_end_as_one_run_of_all(tmp_path):
    whole = run(model("30 ms", trials=5))
    first = run(model("30 ms", trials=2), folder=tmp_path / "two")
    second = run(model("30 ms", trials=4), after=tmp_path / "two" / RESULT, folder=tmp_path / "four")
    third = run(model("30 ms", trials=5), after=tmp_path / "four" / RESULT)
    same_state(whole, third)
    assert (first.presentations, second.presentations, third.presentations) == (2, 2, 1)
    for trial, (result, of) in enumerate([(first, 0), (first, 1), (second, 0), (second, 1), (third, 0)]):
        np.testing.assert_array_equal(result.spikes("cells", of)[1], whole.spikes("cells", trial)[1])
        np.testing.assert_array_equal(result.synapses[0].read("w", of), whole.synapses[0].read("w", trial))
    assert "continued after    4 trials" in str(third)
    with pytest.raises(ModelError, match="trial must be from 0 to 0"):
        third.spikes("cells", 1)


def test_a_continued_run_that_is_stopped_continues_to_the_same_bits(whole, tmp_path, monkeypatch):
    first = run(model("60 ms")).trained

    def stop(done, total, latest):
        assert total == 100
        if done > 80:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(model("100 ms"), after=first, folder=tmp_path / "cut", progress=stop)
    resumed = bioFA.resume(tmp_path / "cut")
    same_state(whole, resumed)
    assert resumed.continued == 60
    monkeypatch.setattr(free_run, "SEGMENTS", 1)
    same_state(whole, run(model("100 ms"), after=first))
    np.testing.assert_array_equal(resumed.traces[0]["v"], whole.traces[0]["v"][15:])


def test_exports_of_recordings_begin_where_the_run_does(continued, tmp_path):
    pytest.importorskip("neo")
    block = exchange.export(continued, "neo", tmp_path / "late.nix")
    assert block
    import neo

    train = neo.NixIO(str(tmp_path / "late.nix"), "ro").read_block().segments[0].spiketrains[-1]
    assert float(train.t_start.rescale("s")) == pytest.approx(0.06)


def test_what_cannot_continue_is_refused(continued):
    first = run(model("60 ms")).trained
    for experiment, said in (
        (model("60 ms"), "nothing is left to do: the run before had 1 trial of 60 ms"),
        (model("40 ms"), "nothing is left to do"),
        (model("80 ms", trials=2), "the run before had 1 trial of 60 ms; got 2 of 80 ms. Give more trials of the same"),
        (
            model("100 ms", traces=[{"population": "cells", "variables": ["v"], "until": "60 ms"}]),
            "Trace.until = 0.06 s is over before this run begins, at 0.06 s of the trial",
        ),
    ):
        with pytest.raises(ModelError, match=said):
            run(experiment, after=first)
    with pytest.raises(ModelError, match="whose seed was 4; got seed 5"):
        bioFA.simulate(model("100 ms"), seed=5, backend="numpy", after=first)
    taught = bioFA.simulate(bioFA.load("linear", {"task.examples": 5, "task.test_examples": 5}), backend="numpy")
    with pytest.raises(ModelError, match="'linear' presented examples, but in 'longer' time passes"):
        run(model("100 ms"), after=taught.trained)
