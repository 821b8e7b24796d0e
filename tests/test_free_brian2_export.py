"""A network in which time passes is exported as a script for plain Brian2, which has every spike of bioFA's run."""

import subprocess
import sys

import numpy as np
import pytest
from tiers import first_of

import bioFA
from bioFA import Experiment, ModelError, Network, Pathway, Population, exchange
from bioFA.instance import draw
from bioFA.neurons.equations import Equations
from bioFA.runs.trained import Trained

STEP = 2.0**-31
"""Weights are multiples of it, so that no sum of them rounds."""
JUMPING = Equations(
    model="""
        dv/dt = (1.1 - v)/tau : 1 (unless refractory)   # held while refractory
        da/dt = -a/(30*ms) : 1
    """,
    ports={"jump": "1"},
    arrival="v += jump; a += 0.5*jump",
    threshold="v > 1",
    reset="v = 0; a += 0.125",
    refractory="2 ms",
    method="exact",
    parameters={"tau": {"name": "uniform", "low": "8 ms", "high": "20 ms"}},
    initial={"v": {"name": "uniform"}},
)
CONDUCTING = Equations(
    model="""
        dv/dt = (0.1*(e_l - v) + g*(0*mV - v))/(2*ms) : volt
        dg/dt = -g/(4*ms) : 1
    """,
    ports={"exc": "1"},
    arrival="g += exc",
    threshold="v > -50*mV and not_refractory",
    reset="g *= 0.5",
    refractory="1.2 ms",
    method="exponential_euler",
    parameters={"e_l": {"name": "linear", "low": "-65 mV", "high": "-55 mV"}},
    initial={"v": "-60 mV"},
)


def between(some):
    """Pathways of weights whose sums are free of rounding: some listed, some whole, one a matrix."""
    return (
        Pathway("p0", source="trains", target="jumping", port="jump", weights=2.0**-3, **some),
        Pathway("p1", source="given", target="conducting", port="exc", weights=2.0**-2, connect="all"),
        Pathway("p2", source="jumping", target="conducting", port="exc", weights=2.0**-4, **some),
        Pathway("p3", source="conducting", target="jumping", port="jump", delay="1.5 ms",
                weights=bioFA.weights.Constant(value=-(2.0**-8))),
        Pathway("p4", source="jumping", target="jumping", port="jump", weights=2.0**-5, **some),
    )  # fmt: skip


def model(order="deliver_first", duration="100 ms", **protocol):
    """Jumps into what is reset, a held port, conductances, given and Poisson spikes, background, and all delays."""
    listed = [[n % 3, f"{2.3 * n:.1f} ms"] for n in range(60)]
    some = {"connect": {"name": "fan_in", "count": 3}, "delay": {"name": "uniform", "low": "0 ms", "high": "6 ms"}}
    network = Network(
        populations=(
            Population("jumping", size=7, neuron=JUMPING,
                       background=[{"port": "jump", "rate": "60 Hz", "count": 3, "weight": 2.0**-6}]),
            Population("trains", size=6, neuron={"name": "poisson", "rate": "60 Hz"}),
            Population("given", size=3, neuron={"name": "spikes_from", "spikes": listed}),
            Population("conducting", size=5, neuron=CONDUCTING),
            *((Population("leaky", size=4, neuron={"name": "lif_exp", "i_e": "500 pA", "refractory": "1 ms"}),)
              if order == "deliver_first" else ()),
        ),
        pathways=(
            *between(some),
            *((Pathway("p5", source="jumping", target="leaky", port="exc", weights=512 * STEP * 1e-3, **some),)
              if order == "deliver_first" else ()),
        ),
    )  # fmt: skip
    return Experiment(
        name="script", circuit=network, protocol={"duration": duration, "dt": "0.1 ms", "order": order} | protocol
    )


def as_trained(experiment, seed=5):
    return Trained(experiment, seed, 0, draw(experiment, seed).state)


@pytest.mark.parametrize("order", first_of("deliver_first", "brian2"))
def test_the_script_has_every_spike(order, tmp_path):
    experiment = model(order)
    result = bioFA.simulate(experiment, seed=5, backend="numpy")
    found = exchange.export(result, "brian2", tmp_path / "out")
    assert found.run
    command = [sys.executable, "network.py", "--out", "answers"]
    done = subprocess.run(command, cwd=tmp_path / "out", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answers = np.load(tmp_path / "out" / "answers" / "spikes.npz")
    for population in experiment.network.populations:
        if population.name in ("trains", "given"):
            continue
        neurons, times = result.spikes(population.name)
        assert len(neurons) > 10, population.name
        np.testing.assert_array_equal(answers[f"{population.name}.neurons"], neurons)
        np.testing.assert_array_equal(answers[f"{population.name}.steps"], np.rint(times / 1e-4))
    for name, array in np.load(tmp_path / "out" / "expected.npz").items():
        np.testing.assert_array_equal(answers[name], array)
    again = exchange.load(tmp_path / "out", "brian2").trained
    assert again.experiment == experiment
    if order == "brian2":
        return
    script = (tmp_path / "out" / "network.py").read_text()
    assert "dv/dt = (1.1 - v)/tau : 1 (unless refractory)\n" in script
    assert 'group_jumping = NeuronGroup(7, """' in script
    assert 'on_pre="jump_post += w", delay=15*defaultclock.dt' in script
    assert "import bioFA" not in script
    assert "refractory=21*defaultclock.dt" in script  # one step more: Brian2 counts that of the spike itself


def changed(place, **fields):
    """The model with a population or a pathway changed."""
    experiment = model()
    network = experiment.network
    parts = {part.name: part for part in (*network.populations, *network.pathways)}
    parts[place] = parts[place].replace(**fields)
    return experiment.replace(
        circuit=Network(
            populations=tuple(parts[population.name] for population in network.populations),
            pathways=tuple(parts[pathway.name] for pathway in network.pathways),
        )
    )


@pytest.mark.parametrize(
    ("place", "fields", "said"),
    [
        ("p0", {"plasticity": {"name": "equation", "equation": "dw/dt = -learning_rate*w"}}, "'p0' learns"),
        ("p0", {"dynamics": {"name": "tsodyks_markram"}}, "'p0' has short-term dynamics"),
        ("p2", {"carries": "a"}, "'p2' carries 'a'"),
        ("jumping", {"neuron": JUMPING.replace(reset="v = 0.1*rand()")}, "'jumping': its text draws random numbers"),
        ("jumping", {"neuron": JUMPING.replace(reset="v = 0*since/ms")}, "'jumping': its text names 'since'"),
        ("conducting", {"neuron": CONDUCTING.replace(method="rkf45")}, "'conducting': Brian2 has no method rkf45"),
        ("given", {"neuron": {"name": "spikes_from", "spikes": [[0, "3 ms"], [0, "3 ms"]]}}, "spikes twice in one"),
    ],
)
def test_what_the_script_has_no_words_for_is_refused(place, fields, said, tmp_path):
    with pytest.raises(ModelError, match=said):
        exchange.export(as_trained(changed(place, **fields)), "brian2", tmp_path / "out")
    assert not (tmp_path / "out").exists()
