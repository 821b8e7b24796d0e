"""A network in which time passes is exported as NeuroML and LEMS, which jNeuroML runs spike for spike."""

import contextlib
import io
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from test_free_brian2_export import CONDUCTING, JUMPING, as_trained, between
from test_neuroml import NML, pynml

import bioFA
from bioFA import Experiment, ModelError, Network, Pathway, Population, exchange, neurons
from bioFA.exchange import neuroml_free
from bioFA.neurons.equations import Equations
from bioFA.neurons.standard import StandardNeuron

HELD = Equations(
    model="""
        over = clip(v, 0, 1) : 1
        dv/dt = (1.2*exprel(v/9) - over - int(v > 0.5 and t < 30.05*ms)/4 + push)/(10*ms) : 1 (unless refractory)
        da/dt = -a**2/(30*ms*volt) : volt
    """,
    ports={"push": "1", "kick": "volt"},
    arrival="a += kick; v = v + kick/(2*volt)",
    threshold="v >= 1 or v < -5",
    reset="v = 0; a *= 0.5",
    refractory="0.5 ms",
    initial={"v": {"name": "uniform"}},
)
"""Functions, conditions, a port that is held for the step, and arrivals at what stands still while refractory."""


def model(duration="100 ms", dt="0.1 ms", background=False, **changed):
    """Delays of all kinds, given and drawn spikes, also in the first step, courses, and short-term plasticity."""
    listed = [[n % 3, f"{2.3 * n:.1f} ms"] for n in range(60)]
    some = {"connect": {"name": "fan_in", "count": 3}, "delay": {"name": "uniform", "low": "0 ms", "high": "6 ms"}}
    outside = [{"port": "jump", "rate": "600 Hz", "count": 3, "weight": 2.0**-6}] if background else []
    depressing = {"name": "tsodyks_markram", "U": 0.25, "tau_rec": "100 ms", "tau_facil": "50 ms"}
    populations = (
        Population("jumping", size=7, neuron=JUMPING.replace(method="euler"), background=outside),
        Population("trains", size=6, neuron={"name": "poisson", "rate": "300 Hz"}),
        Population("given", size=3, neuron={"name": "spikes_from", "spikes": listed}),
        Population("course", size=2, neuron={
            "name": "current", "values": [["0 ms", -0.25], ["10 ms", 0.5], ["30 ms", 0]], "repeat": "50 ms",
            "scale": {"name": "linear", "low": 0.5, "high": 1}}),
        Population("conducting", size=5, neuron=CONDUCTING.replace(method="euler")),
        Population("held", size=4, neuron=HELD),
        Population("leaky", size=4, neuron={"name": "lif_exp", "i_e": "500 pA", "refractory": "1 ms"}),
    )  # fmt: skip
    pathways = (
        *between(some),
        Pathway("p5", source="course", target="held", port="push", weights=2.0**-1, connect="all"),
        Pathway("p6", source="jumping", target="held", port="kick", weights="0.1 V", connect="all", delay="0.3 ms",
                dynamics=depressing),
        Pathway("p7", source="jumping", target="leaky", port="exc", weights="200 pA", connect="all", delay="2 ms",
                dynamics={**depressing, "resources": "three", "tau_psc": "4 ms"}),
        Pathway("p8", source="held", target="leaky", port="inh", weights="100 pA", connect="all"),
    )  # fmt: skip
    traces = [{"population": "held", "variables": ["v", "a", "over"], "neurons": [0, 3]}]
    return Experiment(
        name="passing",
        circuit=Network(populations=populations, pathways=pathways),
        protocol={"duration": duration, "dt": dt} | changed,
        record={"spikes": ["jumping"], "traces": traces},
    )


def test_every_synapse_stands_in_the_document_with_weight_and_delay(tmp_path):
    folder = tmp_path / "passing"
    exported = exchange.export(as_trained(model("5 ms")), "neuroml", folder)
    drawn = bioFA.draw(model(), 5)
    root = ElementTree.parse(folder / "network.nml").getroot()
    for name, shortest in (("p2", 1), ("p4", 1), ("p3", 15), ("p8", 1)):
        projection = next(p for p in root.iter(f"{NML}projection") if p.get("id") == name)
        found = [
            (int(c.get("preCellId").split("/")[2]), int(c.get("postCellId").split("/")[2]), float(c.get("weight")),
             float(c.get("delay").rstrip("s")) / 1e-4)
            for c in projection
        ]  # fmt: skip
        if name == "p3":
            assert len(found) == 35
            assert {(weight, round(delay, 6)) for *_, weight, delay in found} == {(-(2.0**-8), 14.5)}
            continue
        listed = drawn.synapses[name]
        weights, delays = (np.broadcast_to(array, len(listed.pre)) for array in (listed.weights, listed.delays))
        assert [(j, i, w) for j, i, w, _ in found] == list(zip(listed.pre, listed.post, weights, strict=True))
        np.testing.assert_allclose([c[3] for c in found], np.maximum(delays, shortest) - 0.5, rtol=0, atol=1e-6)
    neurons = {
        c.tag: c for c in ElementTree.parse(folder / "neurons.xml").getroot() if c.get("id", "").endswith("_cell")
    }
    assert float(neurons["leaky_neuron"].get("tau_m").split()[0]) == 10e-3
    lost = "\n".join(exported.lost)
    assert "the method exact of leaky: jNeuroML takes Euler steps" in lost
    assert "that spikes of p8 act without delay" in lost
    assert "the last digits of the time t in held" in lost
    assert "the method euler" not in lost
    again = exchange.load(folder, "neuroml").trained
    assert again.experiment == model("5 ms")


@pytest.mark.slow
def test_jneuroml_has_every_spike(tmp_path):
    folder = tmp_path / "passing"
    exchange.export(as_trained(model()), "neuroml", folder)
    answers = run(folder)
    assert {name: differ for name, (_, differ) in answers.items()} == dict.fromkeys(answers, 0)
    assert min(count for count, _ in answers.values()) > 10, answers
    checked = pynml("-validate", "network.nml", folder=folder)
    assert "Valid against schema" in checked.stdout + checked.stderr


def run(folder):
    """What jNeuroML and the script of the README give: by population, how many spikes, and how many differ."""
    done = pynml("LEMS_network.xml", "-nogui", folder=folder)
    assert done.returncode == 0, done.stdout[-3000:]
    script = re.search(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.S)[1]
    return compared(folder, script)


def compared(folder, script):
    """The numbers that a script prints."""
    said = io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(said), contextlib.suppress(AssertionError):
        exec(script, {})
    lines = re.findall(r"(\w+): (\d+) spikes, (\d+)", said.getvalue())
    return {name: (int(count), int(differ)) for name, count, differ in lines}


@pytest.mark.slow
def test_jneuroml_draws_a_background_of_the_same_distribution(tmp_path):
    cell = Equations(
        model="da/dt = -a/(20*ms) : 1",
        ports={"jump": "1"},
        arrival="a += jump",
        threshold="a > 1e9",
        parameters={},
    )
    outside = [
        {"port": "jump", "rate": "500 Hz", "count": 4, "weight": 0.5},
        {"port": "jump", "rate": {"name": "linear", "low": "0 Hz", "high": "300 Hz"}, "weight": -1.0},
    ]
    network = Network(populations=(Population("cells", size=4, neuron=cell, background=outside),), pathways=())
    experiment = Experiment(
        name="outside",
        circuit=network,
        protocol={"duration": "2 s", "dt": "0.2 ms"},
        record={"traces": [{"population": "cells", "variables": ["a"], "neurons": [0, 1, 2, 3]}]},
    )
    exported = exchange.export(as_trained(experiment), "neuroml", tmp_path / "n")
    assert any("the numbers of the background" in sentence for sentence in exported.lost)
    assert pynml("LEMS_network.xml", "-nogui", folder=tmp_path / "n").returncode == 0
    found = np.loadtxt(tmp_path / "n" / "trace_0.dat")[1000:, 1:]
    rates = np.array([0, 100, 200, 300])
    mean = 20e-3 * (2000 * 0.5 - rates)  # Campbell's theorem: tau sum of w rate, and its variance tau/2 sum of w^2 rate
    variance = 10e-3 * (2000 * 0.25 + rates)
    independent = 1.8 / 40e-3  # samples of a course with this memory
    np.testing.assert_array_less(abs(found.mean(axis=0) - mean), 5 * np.sqrt(variance / independent))
    np.testing.assert_allclose(found.var(axis=0), variance, rtol=0.75)


@pytest.mark.slow
def test_spike_times_of_a_current_clamp_come_near_as_the_step_falls(tmp_path):
    """jNeuroML has every spike of Euler's method, and those of bioFA's method, the more the shorter the step."""
    largest = []
    few = {f"circuit.populations.{number}.size": 6 for number in (0, 1)}
    for dt in ("0.05 ms", "0.025 ms"):
        changes = {"protocol.duration": "40 ms", "protocol.dt": dt, "protocol.warm_up": "0 ms", "record": {}}
        experiment = bioFA.load("current_clamp", changes | few)
        folder = tmp_path / dt.replace(" ", "")
        exchange.export(as_trained(experiment, seed=1), "neuroml", folder)
        answers = run(folder)
        assert {differ for _, differ in answers.values()} == {0}
        result = bioFA.simulate(experiment, seed=1, backend="numpy")
        worst = 0.0
        for name in ("adex", "hodgkin_huxley"):
            neurons, times = result.spikes(name)
            theirs = np.loadtxt(folder / f"spikes_{name}.dat", ndmin=2).reshape(-1, 2)
            assert len(neurons) > 3
            for neuron in range(6):
                ours, found = times[neurons == neuron], theirs[theirs[:, 0] == neuron, 1]
                both = min(len(ours), len(found))
                assert abs(len(ours) - len(found)) <= 1
                worst = max([worst, *abs(np.sort(ours)[:both] - np.sort(found)[:both])])
        largest.append(worst)
    print(largest)
    assert largest[1] < 0.7 * largest[0] < 1e-3


@pytest.mark.parametrize(
    ("place", "fields", "said"),
    [
        ("jumping", {"neuron": JUMPING.replace(reset="v = 0.1*rand()")}, "'jumping': its text draws random numbers"),
        ("jumping", {"neuron": JUMPING.replace(reset="v = 0*since/ms")}, "'jumping': its text names 'since'"),
        ("jumping", {"neuron": JUMPING.replace(reset="v = arcsin(v)")}, r"'jumping': 'arcsin\(v\)' has no words"),
        ("held", {"neuron": HELD.replace(happens={"burst": {"when": "v > 0.5"}})}, "'held': it has events of its own"),
        ("course", {"neuron": {"name": "ornstein_uhlenbeck", "sigma": 1, "tau": "5 ms"}}, "sends graded signals"),
        ("p3", {"plasticity": {"name": "equation", "equation": "dw/dt = -learning_rate*w"}}, "'p3' learns"),
        ("p3", {"carries": "g"}, "'p3' carries 'g'"),
        (
            "p6",
            {"dynamics": {"name": "tsodyks_markram", "U": {"name": "uniform", "low": 0.1, "high": 0.5}}},
            "U differs",
        ),
        ("p5", {"delay": "1 ms"}, "'p5' carries a course in time after a delay"),
    ],
)
def test_what_neuroml_has_no_words_for_is_refused(place, fields, said, tmp_path):
    experiment = model()
    parts = {part.name: part for part in (*experiment.network.populations, *experiment.network.pathways)}
    parts[place] = parts[place].replace(**fields)
    network = Network(
        populations=tuple(parts[population.name] for population in experiment.network.populations),
        pathways=tuple(parts[pathway.name] for pathway in experiment.network.pathways),
    )
    changed = experiment.replace(circuit=network, record={})
    if place == "course":
        changed = changed.replace(
            circuit=network.replace(pathways=tuple(p for p in network.pathways if p.name != "p5"))
        )
    with pytest.raises(ModelError, match=said):
        exchange.export(as_trained(changed), "neuroml", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_more_synapses_than_jneuroml_has_memory_for_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(neuroml_free, "SYNAPSES", 3)
    with pytest.raises(ModelError, match=r"at most 3 synapses, .*; the network has [0-9]+\. Make it smaller"):
        exchange.export(as_trained(model()), "neuroml", tmp_path / "out")


def test_the_order_of_brian2_and_phases_are_refused(tmp_path):
    usual = model()
    few = usual.network.replace(
        populations=tuple(p for p in usual.network.populations if p.name != "leaky"),
        pathways=tuple(p for p in usual.network.pathways if p.target != "leaky"),
    )
    phases = {"phases": [{"duration": "50 ms"}] * 2}
    for protocol, said in (({"order": "brian2"}, "order is 'brian2'"), (phases, "phases")):
        changed = usual.replace(circuit=few, protocol=dict(duration="100 ms", dt="0.1 ms", **protocol))
        with pytest.raises(ModelError, match=said):
            exchange.export(as_trained(changed), "neuroml", tmp_path / "out")


@pytest.mark.slow
def test_jneuroml_has_every_spike_of_every_well_known_neuron(tmp_path):
    weights = {"amp": "1 nA", "siemens": "25 nS", "volt": "5 mV"}
    populations, pathways = [Population("trains", size=5, neuron={"name": "poisson", "rate": "200 Hz"})], []
    for name in (name for name in neurons.family.names() if issubclass(neurons.family.get(name), StandardNeuron)):
        population = Population(name, size=2, neuron={"name": name})
        port = next(iter(population.neuron.ports))
        fed = {"port": port, "weights": weights[population.neuron.ports[port].unit], "connect": "all", "delay": "1 ms"}
        populations.append(population)
        pathways.append(Pathway(f"trains_to_{name}", source="trains", target=name, **fed))
    assert len(pathways) >= 6
    experiment = Experiment(
        name="well_known",
        circuit=Network(populations=tuple(populations), pathways=tuple(pathways)),
        protocol={"duration": "60 ms", "dt": "0.05 ms"},
    )
    exchange.export(as_trained(experiment), "neuroml", tmp_path / "n")
    answers = run(tmp_path / "n")
    assert {name: differ for name, (_, differ) in answers.items()} == {p.name: 0 for p in populations[1:]}
    assert sum(count for count, _ in answers.values()) > 50
