"""Threads that share the work of a compiled program: the same bits for every number of them, which no program knows."""

import functools

import numpy as np
import pytest
from click.testing import CliRunner
from tiers import first_of

import bioFA
from bioFA import Experiment, cli
from bioFA.consumers.brian.run import Compiled
from bioFA.consumers.reference import Reference
from bioFA.errors import ModelError
from bioFA.instance import draw
from bioFA.network import Network, Pathway, Population
from bioFA.neurons.equations import Equations
from bioFA.rules.equation import Equation as EquationRule

COUNTS = (1, 2, 3)
STEPS = 250
CELL = Equations(
    model="dv/dt = (base - v + g)/(10*ms) : 1 (unless refractory)\ndg/dt = -g/(3*ms) : 1",
    ports={"exc": "1", "inh": {"unit": "1", "sign": -1}},
    arrival="g += exc + inh",
    parameters={"base": {"name": "linear", "low": 0.5, "high": 1.3}},
    threshold="v > 1",
    reset="v = 0",
    refractory="0.5 ms",
    method="exponential_euler",
    initial={"v": {"name": "uniform"}},
)
RULE = EquationRule(equation="dw/dt = learning_rate*(v_post - 0.5)*s_pre/T", learning_rate=200.0)


def large(learning=True):
    """Two populations, one of more targets than a tile holds, with every kind of weights and delays, dynamics of
    synapses, a pathway that learns, and backgrounds of few and of many spikes a step."""
    backgrounds = (
        {"port": "exc", "rate": "20 kHz", "weight": 0.02},
        {"port": "inh", "rate": "500 kHz", "weight": 0.0005},
        {"port": "exc", "rate": "0 Hz", "weight": 1.0},
        {"port": "exc", "rate": {"name": "uniform", "low": "0 Hz", "high": "3 kHz"}, "weight": 0.02},
    )
    drawn = {"name": "uniform", "low": 0.0, "high": 0.02}
    spread = {"name": "uniform", "low": "0 ms", "high": "1.2 ms"}

    def pathway(source, target, port, connect, weights, delay="0.4 ms", **fields):
        name = f"{source}_to_{target}_{port}"
        ends = {"source": source, "target": target, "port": port, "connect": connect}
        return Pathway(name, weights=weights, delay=delay, **ends, **fields)

    taught = {"carries": "s", "plasticity": RULE} if learning else {}
    network = Network(
        populations=(
            Population("many", size=2700, neuron=CELL, background=backgrounds),
            Population("few", size=150, neuron=CELL, background=backgrounds[:1]),
        ),
        pathways=(
            pathway("few", "many", "exc", {"name": "fan_out", "count": 900}, 0.01),
            pathway("few", "many", "inh", {"name": "fan_out", "count": 300}, drawn, spread),
            pathway("many", "many", "inh", {"name": "fan_out", "count": 30, "multapses": True}, drawn),
            pathway("many", "many", "exc", {"name": "fan_out", "count": 20}, 0.01, **taught),
            pathway("many", "few", "exc", {"name": "probability", "p": 0.05}, 0.004, spread),
            pathway("few", "few", "exc", {"name": "fan_in", "count": 40}, 0.02,
                    dynamics={"name": "tsodyks_markram", "U": 0.4, "tau_rec": "80 ms"}),
        ),
    )  # fmt: skip
    traces = [{"population": "many", "variables": ["v", "exc", "inh"], "neurons": [0, 1600, 2699]}]
    protocol = {"duration": "1 s", "dt": "0.1 ms"}
    return Experiment(name="large", circuit=network, protocol=protocol, record={"traces": traces})


@functools.cache
def instance(learning=True):
    """The large network, drawn."""
    return draw(large(learning), 3)


@functools.cache
def whole(threads, learning=True):
    """Some steps of it, on so many threads."""
    drawn = instance(learning)
    return Compiled(drawn, threads=threads).segment(drawn.state, drawn.passing(0, 0, STEPS), learning)


def identical(one, other):
    """Whether two segments hold the same bits."""
    arrays = [
        [s.state, *s.traces, dict(enumerate(a for pair in s.spikes.values() for a in pair))] for s in (one, other)
    ]
    return all(
        list(a) == list(b) and all(np.array_equal(a[name], b[name]) for name in a) for a, b in zip(*arrays, strict=True)
    )


@pytest.mark.compiled
def test_tiles_of_targets_and_tables_of_numbers_give_what_the_reference_has():
    few = instance().passing(0, 0, 50)
    expected, found = (
        consumer.segment(instance().state, few, True) for consumer in (Reference(instance()), Compiled(instance()))
    )
    for name, (which, when) in expected.spikes.items():
        assert len(which) > 20, name
        assert np.array_equal(found.spikes[name][0], which), name
        assert np.array_equal(found.spikes[name][1], when), name
    for variable, values in expected.traces[0].items():
        assert np.allclose(found.traces[0][variable], values, rtol=0, atol=1e-12), variable
    learned = "many_to_many_exc.w"
    assert np.abs(expected.state[learned] - instance().state[learned]).max() > 1e-3
    for name, values in expected.state.items():
        assert np.allclose(found.state[name], values, rtol=0, atol=1e-12), name


@pytest.mark.compiled
@pytest.mark.parametrize("learning", first_of(True, False))  # with weights that stay, threads wait once a step
@pytest.mark.parametrize("threads", COUNTS[1:])
def test_a_large_network_has_the_same_bits_on_every_number_of_threads(threads, learning):
    assert identical(whole(1, learning), whole(threads, learning))


@pytest.mark.compiled
def test_a_run_goes_on_with_another_number_of_threads():
    first = Compiled(instance(), threads=3).segment(instance().state, instance().passing(0, 0, 100), True)
    rest = Compiled(instance(), threads=2).segment(first.state, instance().passing(0, 100, STEPS), True)
    assert all(np.array_equal(values, whole(1).state[name]) for name, values in rest.state.items())


TAUGHT = {
    "linear_spiking": {},
    "leaky": {"circuit.sizes": [30, 260, 260, 10]},  # matrices that threads share
}


@pytest.mark.compiled
@pytest.mark.parametrize("model", first_of("leaky", "linear_spiking"))
def test_a_network_that_learns_has_the_same_bits_on_every_number_of_threads(model):
    taught = draw(bioFA.load(model, TAUGHT[model]), 2)
    ends = [
        Compiled(taught, threads=threads).segment(taught.state, taught.training(0, 4), learning=True)
        for threads in COUNTS
    ]
    assert any(not np.array_equal(ends[0].state[name], taught.state[name]) for name in taught.state if ".w" in name)
    for other in ends[1:]:
        assert all(np.array_equal(values, ends[0].state[name]) for name, values in other.state.items())
        assert all(
            np.array_equal(values, ends[0].recording.arrays[name]) for name, values in other.recording.arrays.items()
        )


@pytest.mark.parametrize(("threads", "backend", "says"), [
    (0, "cpp", "threads must be a whole number of at least 1; got 0"),
    (-2, "cpp", "at least 1; got -2"),
    (1.5, "cpp", "at least 1; got 1.5"),
    (257, "cpp", "at most 256; got 257"),
    (2, "numpy", "runs on one thread only; got threads 2"),
])  # fmt: skip
def test_threads_that_cannot_be_are_refused_before_anything_runs(threads, backend, says):
    with pytest.raises(ModelError, match=says):
        bioFA.simulate(bioFA.load("linear"), backend=backend, threads=threads)


def test_the_command_line_refuses_no_threads_and_takes_some(monkeypatch, tmp_path):
    def given(*arguments):
        return CliRunner().invoke(cli.main, ["run", "linear", "--out", str(tmp_path / "run"), *arguments])

    refused = given("--threads", "0")
    assert refused.exit_code == 2
    assert "threads must be a whole number of at least 1; got 0" in refused.output
    assert not (tmp_path / "run").exists()
    seen = []

    def simulate(*arguments, threads, **named):
        seen.append(threads)
        raise ModelError("seen")

    monkeypatch.setattr("bioFA.runs.simulation.simulate", simulate)
    given("--threads", "3")
    given()
    assert seen == [3, 1]
