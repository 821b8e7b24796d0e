"""Every well-known neuron and every source that needs no task, compiled from its text or expressions, is what the NumPy
reference computes by hand: in all variables, in every trial, from any step on."""

import numpy as np
import pytest

from bioFA import Experiment, Network, Pathway, Population, neurons
from bioFA.consumers.brian.run import Compiled
from bioFA.consumers.reference import Reference
from bioFA.instance import draw
from bioFA.neurons.current import Current
from bioFA.neurons.free_source import FreeSource
from bioFA.neurons.ornstein_uhlenbeck import OrnsteinUhlenbeck
from bioFA.neurons.poisson import Poisson
from bioFA.neurons.spikes_from import SpikesFrom
from bioFA.neurons.standard import StandardNeuron

pytestmark = pytest.mark.compiled

STEPS, CUT = 600, 233
SPREAD = {"name": "normal", "std": "5 pF"}
SOURCES = {
    "poisson": Poisson(rates=[["0 ms", "300 Hz"], ["30 ms", "900 Hz"]], on=[["2 ms", "25 ms"]], repeat="30 ms"),
    "frozen": Poisson(rate=["100 Hz", "200 Hz", "300 Hz", "50 Hz"], frozen=True),
    "ramp": Current(values=[["1 ms", 0.0], ["40 ms", 1.0]], shape="linear", scale=[1.0, 0.9, 1.1, 1.2]),
    "noise": OrnsteinUhlenbeck(
        mean="150 pA", sigma="60 pA", tau=["2 ms", "3 ms", "4 ms", "5 ms"], on=[["5 ms", "1 s"]]
    ),
    "given": SpikesFrom(spikes=[[n % 4, 1.7e-3 * n + 2e-4 * (n % 3)] for n in range(30)] + [[1, "7 ms"], [1, "7 ms"]]),
}
WEIGHTS = {
    "lif_exp": ("1 nA", "700 pA", "500 pA"),
    "lif_alpha": ("1 nA", "700 pA", "900 pA"),
    "lif_cond": ("8 nS", "9 nS", "300 pA"),
    "adex": ("8 nS", "9 nS", "900 pA"),
    "izhikevich": ("3 mV", "2 mV", "12 mV/ms"),
    "hodgkin_huxley": ("8 nS", "9 nS", "1 nA"),
}
"""Of each well-known neuron: what a spike brings at exc and inh, and the current at the end of the ramp."""


def model():
    """Every source reaches every neuron, whose parameters differ."""
    populations = [Population(name, size=4, neuron=source) for name, source in SOURCES.items()]
    pathways = []
    for name, (exc, inh, current) in WEIGHTS.items():
        capacity = (
            {"c_m": {**SPREAD, "mean": "200 pF"}}
            if name != "izhikevich"
            else {"c": ["-65 mV", "-60 mV", "-62 mV", "-66 mV"]}
        )
        populations.append(Population(name, size=4, neuron=neurons.family.get(name)(**capacity)))
        ends = [
            ("poisson", "exc", exc, "0.5 ms"),
            ("frozen", "exc", exc, "0 ms"),
            ("given", "inh", inh, "1 ms"),
            ("ramp", "I", current, "0 ms"),
        ]
        for source, port, weights, delay in ends:
            join = {"connect": {"name": "fan_in", "count": 2}, "weights": weights, "delay": delay}
            pathways.append(Pathway(f"{source}_to_{name}", source=source, target=name, port=port, **join))
    for name in ("lif_exp", "adex"):
        pathways.append(Pathway(f"noise_to_{name}", source="noise", target=name, port="I", weights=1.0, delay="0.3 ms"))
    traces = [
        {"population": p.name, "variables": list(p.neuron.publishes), "neurons": [0, 1, 2, 3]}
        for p in populations
    ]
    circuit = Network(populations=tuple(populations), pathways=tuple(pathways))
    protocol = {"duration": STEPS * 1e-4, "dt": "0.1 ms", "trials": 2}
    return Experiment(name="parts", circuit=circuit, protocol=protocol, record={"traces": traces})


@pytest.fixture(scope="module")
def both():
    instance = draw(model(), 3)
    return instance, Reference(instance), Compiled(instance)


def test_all_of_them_are_compared():
    parts = {name: neurons.family.get(name) for name in neurons.family.names()}
    assert set(WEIGHTS) == {name for name, part in parts.items() if issubclass(part, StandardNeuron)}
    assert {type(s).family_name for s in SOURCES.values()} == {n for n, p in parts.items() if issubclass(p, FreeSource)}


@pytest.mark.parametrize("trial", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_the_compiled_program_computes_what_the_reference_does(both, trial):
    instance, reference, compiled = both
    state = instance.trial_begins(trial)
    for span in ((0, CUT), (CUT, STEPS)):
        feed = instance.passing(trial, *span)
        ours, theirs = (consumer.segment(state, feed, False) for consumer in (reference, compiled))
        for name, spikes in ours.spikes.items():
            for mine, other in zip(spikes, theirs.spikes[name], strict=True):
                np.testing.assert_array_equal(mine, other, err_msg=name)
        for trace, mine, other in zip(instance.experiment.record.traces, ours.traces, theirs.traces, strict=True):
            for variable, rows in mine.items():
                largest = np.abs(rows).max()
                where = f"{trace.population}.{variable}"
                np.testing.assert_allclose(other[variable], rows, rtol=0, atol=1e-11 * largest, err_msg=where)
        for name, array in ours.state.items():
            np.testing.assert_allclose(theirs.state[name], array, rtol=1e-9, atol=1e-14, err_msg=name)
        state = ours.state
    assert all(len(steps) for _, steps in ours.spikes.values()), {n: len(s[1]) for n, s in ours.spikes.items()}
