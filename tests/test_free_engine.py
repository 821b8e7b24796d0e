"""The compiled program of networks in which time passes: text neurons, listed synapses, delays, background, monitors.

It is held to the reference, and three networks to scripts that a Brian2 user would write by hand.
"""

import functools
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import systems
from hypothesis import given, settings
from hypothesis import strategies as st
from tiers import first_of

from bioFA import Experiment
from bioFA.consumers.brian import cache
from bioFA.consumers.brian.compile import compiler, flags
from bioFA.consumers.brian.compose import make_program
from bioFA.consumers.brian.run import Compiled
from bioFA.consumers.reference import Reference
from bioFA.equations.formula import exprel
from bioFA.errors import RunError
from bioFA.instance import draw
from bioFA.network import Network, Node, Pathway, Population
from bioFA.neurons.equations import Equations
from bioFA.verification.backends import verify

pytestmark = pytest.mark.compiled

STEPS, LONG = 400, 2000
HAND = 1000
TOLERANCE = 1e-12
OPEN = {"C": "200 pF", "g_l": "10 nS", "e_l": "-70 mV", "tau": "5 ms"}
SPREAD = {"name": "uniform", "low": "-70 mV", "high": "-52 mV"}


def text(model, method, **fields):
    """A neuron of volts that receives current."""
    given_ = {"parameters": OPEN, "ports": {"exc": "amp"}, "arrival": "I += exc", "threshold": "v > -50*mV"} | fields
    return Equations(model=model, method=method, **({"reset": "v = e_l", "initial": {"v": SPREAD}} | given_))


LEAKY = "dv/dt = (g_l*(e_l - v) + I)/C : volt (unless refractory)\ndI/dt = -I/tau : amp"
NEURONS = {
    "euler": text(
        LEAKY + "\nw : 1",
        "euler",
        refractory="1.5 ms",
        reset="v = e_l - w*mV; w += 0.5*rand()",
        arrival="I += exc; w *= 0.99",
    ),
    "noisy": text(
        "dv/dt = (g_l*(e_l - v) + I)/C + 3*mV/sqrt(tau)*xi : volt\ndI/dt = -I/tau + 20*pA/sqrt(tau)*xi_2 : amp",
        "euler",
        reset="v = e_l + 2*mV*randn()",
    ),
    "exponential": text(
        "dv/dt = (g_l*(e_l - v) + 20*pA*exp(clip(-u/(50*pA), -3, 3)) + I - u)/C : volt\n"
        "du/dt = (a*(v - e_l) - u*(1 + int(v > -60*mV)))/(3*tau) : amp\ndI/dt = -I/tau : amp",
        "exponential_euler",
        parameters=OPEN | {"a": "2 nS"},
        reset="v = e_l; u += 30*pA*int(since > 20*ms)",
    ),
    "equal_times": text(
        "dv/dt = (e_l - v)/tau + I/C : volt (unless refractory)\ndI/dt = -I/tau : amp\ndx/dt = (v - e_l)/volt/tau : 1",
        "exact",
        parameters=OPEN | {"tau": {"name": "uniform", "low": "4 ms", "high": "9 ms"}},
        refractory="2 ms",
    ),
    "open_gate": text(
        "dv/dt = (g_l*(e_l - v) + g*(0*mV - v) + I)/C : volt (unless refractory)\ndI/dt = -I/tau : amp\ng : siemens",
        "exact",
        arrival="I += exc; g = 0.9*g + exc*0.02/mV*int(i % 2 < 1)",
        refractory="1 ms",
    ),
    "runge": text(
        "dv/dt = (g_l*(e_l - v) + current)/C : volt (unless refractory)\ndI/dt = -I/tau : amp\n"
        "current = I + swing : amp\nswing = 40*pA*sin(2*pi*(t*30*Hz + 1.0*i/10)) : amp",
        "rk4",
        threshold="v > v_t and not_refractory",
        parameters=OPEN | {"v_t": {"name": "normal", "mean": "-51 mV", "std": "1 mV"}},
        refractory="3 ms",
    ),
    "odd": Equations(
        model="dnew/dt = (-new + double + (t/ms) % 3 - (t/ms)//4)/(10*ms) : 1\nsame = abs(new)**1.5 + sign(new) : 1",
        ports={"double": "1"},
        method="rk4",
    ),
}
"""Every method and word of a text; the last has no threshold, and names that C++ has for itself."""


def free(populations, pathways, traces=(), dt="0.1 ms", **protocol):
    """An experiment in which time passes."""
    return Experiment(
        name="free",
        circuit=Network(populations=tuple(populations), pathways=tuple(pathways)),
        protocol={"duration": "1 s", "dt": dt, **protocol},
        record={"traces": list(traces)},
    )


def texts(seed_of_rates="9 kHz", tau="5 ms", gap="2 ms"):
    """One population for each text, each with background, a listed pathway from another, and traces."""
    populations, pathways, traces = [], [], []
    names = list(NEURONS)
    for before, name in zip([names[-2], *names], names, strict=False):
        neuron = NEURONS[name]
        if name == "euler":
            neuron = neuron.replace(given=OPEN | {"tau": tau})
        port, unit = ("double", 1.0) if name == "odd" else ("exc", "45 pA")
        spread = {"name": "uniform", "low": "3 kHz", "high": seed_of_rates}
        background = [{"port": port, "rate": spread if name == "runge" else "4 kHz", "weight": unit}]
        if name == "euler":
            weights = {"name": "normal", "mean": "10 pA", "std": "2 pA"}
            background.append({"port": port, "rate": "500 Hz", "count": 3, "weight": weights})
        populations.append(Population(name, size=12, neuron=neuron, background=tuple(background)))
        pathways.append(
            Pathway(
                f"to_{name}",
                source=before,
                target=name,
                port=port,
                connect={"name": "probability", "p": 0.4},
                weights=0.5 if name == "odd" else {"name": "normal", "mean": "20 pA", "std": "8 pA"},
                delay={"name": "uniform", "low": "0 ms", "high": gap},
            )
        )
        variables = [*neuron.publishes, *neuron.ports, *neuron.state]
        traces.append({"population": name, "variables": list(dict.fromkeys(variables)), "neurons": [7, 0]})
    traces.append({"population": "runge", "variables": ["v"], "every": "0.7 ms", "from": "10 ms", "until": "35 ms"})
    return free(populations, pathways, traces)


DELAYS = {"alike": "1.3 ms", "none": "0 ms", "spread": {"name": "exponential", "mean": "2 ms", "high": "15 ms"}}
CONNECTS = {
    "all": {"name": "all", "autapses": False},
    "one_to_one": {"name": "one_to_one"},
    "probability": {"name": "probability", "p": 0.3},
    "fan_in": {"name": "fan_in", "count": 5, "multapses": True},
    "fan_out": {"name": "fan_out", "count": 4},
    "total": {"name": "total", "count": 90, "multapses": True},
    "pairs": {"name": "pairs", "path": "pairs.npy"},
}


def listed(folder):
    """Every way to connect, with weights and delays that are alike or not, onto two ports of two populations."""
    rng = np.random.default_rng(4)
    np.save(folder / "pairs.npy", rng.integers(0, 15, (60, 2)))
    neuron = Equations(
        model=(
            "dv/dt = (base - v + ge*(30 - v) - gi)/(10*ms) : 1\ndge/dt = -ge/(3*ms) : 1\ndgi/dt = -gi/(6*ms) : 1\n"
            "rate = clip(v, 0, 1) : 1"
        ),
        ports={"exc": "1", "inh": {"unit": "1", "sign": -1}},
        arrival="ge += exc; gi += inh",
        parameters={"base": {"name": "linear", "low": 0.9, "high": 1.6}},
        threshold="v > 1",
        reset="v = 0",
        method="exponential_euler",
        initial={"v": {"name": "uniform"}},
    )
    populations = [Population(name, size=15, neuron=neuron) for name in ("one", "two")]
    pathways = []
    for number, (name, connect) in enumerate(CONNECTS.items()):
        connect = connect | ({"path": str(folder / "pairs.npy")} if name == "pairs" else {})
        kind = list(DELAYS)[number % 3]
        weights = {"name": "uniform", "low": 0.0, "high": 0.01} if number % 2 else 0.004
        ends = [("one", "one"), ("one", "two"), ("two", "one"), ("two", "two")][number % 4]
        pathways.append(
            Pathway(
                name,
                source=ends[0],
                target=ends[1],
                port="exc" if number % 3 else "inh",
                carries="rate" if name == "fan_out" else "s",
                connect=connect,
                weights=weights,
                delay=DELAYS[kind],
            )
        )
    return free(populations, pathways, [{"population": "two", "variables": ["exc", "rate"], "neurons": [3]}])


@functools.cache
def pair(make, seed=1, folder=None):
    """An instance, its reference and its program."""
    instance = draw(make(folder) if folder else make(), seed)
    return instance, Reference(instance), Compiled(instance)


@functools.cache
def whole(make, folder=None):
    """Both consumers' segments of `STEPS`."""
    instance, *both = pair(make, folder=folder)
    return [consumer.segment(instance.state, instance.passing(0, 0, STEPS), False) for consumer in both]


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("listed")


@pytest.fixture(params=[texts, listed])
def network(request, folder):
    return (request.param, folder if request.param is listed else None)


def range_of(array):
    return max(float(np.abs(array).max(initial=0.0)), 1e-300)


def same(first, second):
    """Whether two segments are equal to the last bit."""
    states = all(np.array_equal(second.state[name], array) for name, array in first.state.items())
    return states and all(
        np.array_equal(a, b)
        for name in first.spikes
        for a, b in zip(first.spikes[name], second.spikes[name], strict=True)
    )


def test_every_spike_is_that_of_the_reference(network):
    reference, compiled = whole(*network)
    assert reference.spikes.keys() == compiled.spikes.keys()
    for name, (neurons, steps) in reference.spikes.items():
        assert len(neurons) > 5, name
        np.testing.assert_array_equal(compiled.spikes[name][0], neurons)
        np.testing.assert_array_equal(compiled.spikes[name][1], steps)
        assert compiled.spikes[name][0].dtype == np.int32
        assert compiled.spikes[name][1].dtype == np.int64


def test_every_state_is_that_of_the_reference(network):
    reference, compiled = whole(*network)
    assert reference.state.keys() == compiled.state.keys()
    for name, array in reference.state.items():
        assert np.abs(compiled.state[name] - array).max() <= TOLERANCE * range_of(array), name
        assert array.any() or name.endswith(("left", "fired", "under_way")), name


def test_every_trace_is_that_of_the_reference(network):
    reference, compiled = whole(*network)
    assert len(reference.traces) == len(compiled.traces) > 0
    for expected, found in zip(reference.traces, compiled.traces, strict=True):
        assert expected.keys() == found.keys()
        for variable, course in expected.items():
            assert found[variable].shape == course.shape
            assert np.abs(found[variable] - course).max() <= TOLERANCE * range_of(course), variable
            assert np.ptp(course) > 0 or variable in ("left", "fired", "s"), variable


@pytest.mark.slow
def test_every_spike_of_2000_steps_is_that_of_the_reference(network):
    make, place = network
    instance, *both = pair(make, folder=place)
    ours, theirs = (consumer.segment(instance.state, instance.passing(0, 0, LONG), False) for consumer in both)
    assert all(len(neurons) > 20 for neurons, _ in ours.spikes.values())
    for name, (neurons, steps) in ours.spikes.items():
        np.testing.assert_array_equal(theirs.spikes[name][0], neurons)
        np.testing.assert_array_equal(theirs.spikes[name][1], steps)
    for name, array in ours.state.items():
        assert np.abs(theirs.state[name] - array).max() <= TOLERANCE * range_of(array), name


@settings(max_examples=12)
@given(cuts=st.lists(st.integers(0, STEPS), max_size=4).map(sorted))
@pytest.mark.parametrize("make", [texts, listed])
def test_a_trial_in_parts_is_the_whole_trial_bit_for_bit(make, cuts, folder):
    place = folder if make is listed else None
    instance, _, compiled = pair(make, folder=place)
    expected = whole(make, place)[1]
    state, parts = instance.state, []
    for start, stop in zip([0, *cuts], [*cuts, STEPS], strict=True):
        parts.append(compiled.segment(state, instance.passing(0, start, stop), False))
        state = parts[-1].state
    spikes = {
        name: tuple(np.concatenate([part.spikes[name][which] for part in parts]) for which in (0, 1))
        for name in expected.spikes
    }
    assert same(expected, replace(parts[-1], spikes=spikes))
    for number, trace in enumerate(expected.traces):
        for variable, course in trace.items():
            np.testing.assert_array_equal(np.concatenate([part.traces[number][variable] for part in parts]), course)


def test_the_reference_too_may_run_a_trial_in_parts(network):
    make, place = network
    instance, reference, _ = pair(make, folder=place)
    once = reference.segment(instance.state, instance.passing(0, 0, 200), False)
    first = reference.segment(instance.state, instance.passing(0, 0, 117), False)
    second = reference.segment(first.state, instance.passing(0, 117, 200), False)
    assert all(np.array_equal(second.state[name], array) for name, array in once.state.items())
    assert not all(np.array_equal(once.state[name], array) for name, array in instance.state.items())


def test_a_trial_has_noise_of_its_own_in_both():
    instance, reference, compiled = pair(texts)
    begins = {**instance.state, **instance.trial_begins(3)}
    ours, theirs = (consumer.segment(begins, instance.passing(3, 0, 400), False) for consumer in (reference, compiled))
    first = compiled.segment(instance.state, instance.passing(0, 0, 400), False)
    for name, (neurons, steps) in ours.spikes.items():
        np.testing.assert_array_equal(theirs.spikes[name][0], neurons)
        np.testing.assert_array_equal(theirs.spikes[name][1], steps)
    assert not np.array_equal(theirs.spikes["noisy"][1], first.spikes["noisy"][1])


def test_values_do_not_recompile_but_structure_does():
    program = make_program(texts())
    assert make_program(texts(seed_of_rates="8 kHz", tau="7 ms", gap="6 ms")) == program
    assert make_program(texts(tau={"name": "uniform", "low": "4 ms", "high": "5 ms"})) != program
    compiled = pair(texts)[2]
    other = Compiled(draw(texts(tau="7 ms", gap="6 ms"), 5))
    assert other.binary.folder == compiled.binary.folder
    assert other.binary.cached


def test_other_values_give_what_the_reference_gives():
    instance = draw(texts(seed_of_rates="8 kHz", tau="7 ms", gap="6 ms"), 2)
    ours, theirs = (
        c(instance).segment(instance.state, instance.passing(0, 0, 300), False) for c in (Reference, Compiled)
    )
    for name, (neurons, steps) in ours.spikes.items():
        np.testing.assert_array_equal(theirs.spikes[name][0], neurons)
        np.testing.assert_array_equal(theirs.spikes[name][1], steps)
    assert not same(theirs, replace(whole(texts)[1], spikes=theirs.spikes))


def test_programs_of_time_that_passes_round_as_they_are_written():
    assert make_program(texts()).strict
    assert not make_program(systems.mixed_tissue()).strict
    assert "-ffp-contract=off" in flags(strict=True)
    assert not [flag for flag in flags(strict=True) if "fast" in flag or "unsafe" in flag]
    assert "-ffast-math" in flags()


def test_a_plan_that_lacks_its_synapses_is_refused(folder):
    instance, _, compiled = pair(listed, folder=folder)
    (compiled._listed["total"].with_name("total.synapses.post")).write_bytes(b"")
    try:
        with pytest.raises(RunError, match="synapses of total are incomplete"):
            compiled.segment(instance.state, instance.passing(0, 0, 50), False)
    finally:
        instance.synapses["total"].post.tofile(compiled._listed["total"].with_name("total.synapses.post"))


NUMBERS = """
#include <cstdio>
#include "biofa_numbers.h"
int main() {
    double z[2];
    while (std::fread(z, sizeof(double), 2, stdin) == 2) {
        const double found[] = {biofa::power_of_e(z[0]), biofa::relative_growth(z[0]), biofa::floored(z[0], z[1]),
                                biofa::modulo(z[0], z[1])};
        std::fwrite(found, sizeof(double), 4, stdout);
    }
}
"""


def test_functions_of_the_compiled_program_are_those_of_numpy(tmp_path):
    (tmp_path / "numbers.cpp").write_text(NUMBERS)
    command = [*compiler(), *flags(strict=True), f"-I{Path(cache.__file__).parent}", "numbers.cpp", "-o", "numbers"]
    subprocess.run(command, cwd=tmp_path, check=True)
    rng = np.random.default_rng(0)
    parts = [
        rng.uniform(-1, 1, 4000),
        rng.uniform(-707, 709, 4000),
        rng.normal(0, 1e-5, 4000),
        np.round(rng.normal(0, 9, 4000), 1),
    ]
    z = np.concatenate([*parts, [0.0, -0.0, 1.0, -1e300, 1e300, np.nan]])
    by = np.concatenate([np.round(rng.normal(0, 3, len(z) - 6), 1), [2.0, 2.0, 0.1, 7.0, 0.0, 1.0]])
    done = subprocess.run(
        [tmp_path / "numbers"], input=np.stack([z, by], axis=1).tobytes(), capture_output=True, check=True
    )
    found = np.frombuffer(done.stdout).reshape(-1, 4)
    with np.errstate(all="ignore"):
        expected = np.stack([np.exp(z), exprel(z), np.floor_divide(z, by), np.mod(z, by)], axis=1)
    np.testing.assert_array_max_ulp(found[:-1, :2], expected[:-1, :2], maxulp=4)
    assert np.isnan(found[-1]).all()
    finite = by != 0
    np.testing.assert_array_equal(found[finite, 2:], expected[finite, 2:])


DELAYED = {
    "mixed_tissue": (
        systems.mixed_tissue(),
        {
            "image_to_hidden": 2,
            "hidden_to_hidden": 5,
            "gate_to_answer": 3,
            "mismatch_to_hidden": 7,
            "hidden_to_gate": 1,
        },
    ),
    "spiking": (
        systems.SPIKING[0],
        {
            "image_to_hidden": 3,
            "hidden_to_hidden": 7,
            "hidden_to_answer": 4,
            "mismatch_to_chancy": 11,
            "coin_to_chancy": 1,
        },
    ),
    "spiking_reset": (systems.SPIKING[1], {"image_to_hidden": 3, "hidden_to_hidden": 7, "hidden_to_answer": 4}),
}


def with_delays(experiment, steps, kind="axonal"):
    """The same experiment with delays of so many milliseconds, which are its steps."""
    network = experiment.network
    pathways = [p.replace(delay={kind: f"{steps[p.name]} ms"}) if p.name in steps else p for p in network.pathways]
    return experiment.replace(circuit=Network(populations=network.populations, pathways=tuple(pathways)))


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=[pytest.mark.slow] * (case != "spiking_reset")) for case in DELAYED]
)
def test_a_presented_network_with_delays_is_that_of_the_reference(case):
    experiment, steps = DELAYED[case]
    outcome = verify(with_delays(experiment, steps), seed=1, presentations=10)
    assert outcome.agrees, str(outcome)
    assert max(outcome.recorded.values()) <= 1e-9
    assert all(different == 0 for _, different in outcome.spikes.values())


def test_what_is_sent_arrives_after_its_delay_across_presentations():
    """A presentation of 12 steps and a delay of 7, which does not divide it: nothing is lost where one ends."""
    experiment = with_delays(*DELAYED["mixed_tissue"])
    instance = draw(experiment, 1)
    reference = Reference(instance)
    run = reference.segment(
        instance.state,
        instance.training(0, 4),
        False,
        watched=(Node("mismatch", "r"), Node("hidden", "error")),
        whole=True,
    )
    sent = run.courses["mismatch.r"].reshape(-1, 3)
    arrived = run.courses["hidden.error"].reshape(-1, 6)
    late = instance.state["mismatch_to_hidden.w"] @ np.vstack([np.zeros((7, 3)), sent[:-7]]).T
    now = instance.state["gate_to_answer.w"].T @ sent.T
    np.testing.assert_allclose(arrived, (late + now).T, atol=1e-14)


@pytest.mark.parametrize("reset", first_of(True, False))
def test_text_and_listed_synapses_may_be_presented_to(reset):
    experiment = systems.mixed_tissue()
    neuron = Equations(
        model="dx/dt = (-x + I)/(7*ms) : 1\nr = tanh(x) : 1",
        ports={"I": "1"},
        method="exact",
        initial={"x": {"name": "uniform"}},
    )
    network = experiment.network
    circuit = Network(
        populations=(*network.populations, Population("extra", size=4, neuron=neuron)),
        pathways=(
            *network.pathways,
            Pathway(
                "hidden_to_extra",
                source="hidden",
                target="extra",
                port="I",
                carries="r",
                weights=0.3,
                connect={"name": "probability", "p": 0.6},
                delay={"name": "uniform", "high": "9 ms"},
            ),
            Pathway(
                "extra_to_answer",
                source="extra",
                target="answer",
                port="drive",
                carries="r",
                weights={"name": "normal", "std": 0.2},
                connect={"name": "all"},
                delay="2 ms",
            ),
        ),
    )
    protocol = experiment.protocol.replace(reset=reset)
    outcome = verify(experiment.replace(circuit=circuit, protocol=protocol), seed=1, presentations=30)
    assert outcome.agrees, str(outcome)
    assert outcome.moved["extra.x"] > 1e-3


def test_a_rule_sees_what_its_pathway_carries_as_it_arrives():
    """One step after the delay of the first input, and not before, the weights change."""
    experiment = with_delays(systems.mixed_tissue(), {"image_to_hidden": 5})
    experiment = experiment.replace(protocol=experiment.protocol.replace(learning_onset=0.0))
    instance = draw(experiment, 1)
    for consumer in (Reference(instance), Compiled(instance)):
        end = consumer.segment(instance.state, instance.training(0, 1), True).state
        moved = end["image_to_hidden.w"] - instance.state["image_to_hidden.w"]
        assert moved.any()
        pre = instance.data.train.inputs[instance.order(0, 1)[0]]
        # all steps see the one input, so the change is a product of a postsynaptic part and that input
        np.testing.assert_allclose(moved / pre, (moved / pre)[:, :1] * np.ones_like(pre), rtol=1e-9)
    short = experiment.replace(protocol=experiment.protocol.replace(presentation="5 ms"))
    instance = draw(short, 1)
    for consumer in (Reference(instance), Compiled(instance)):
        end = consumer.segment(instance.state, instance.training(0, 1), True).state
        np.testing.assert_array_equal(end["image_to_hidden.w"], instance.state["image_to_hidden.w"])


BRIAN = """
import sys, json
import numpy as np
import brian2 as b
b.prefs.codegen.target = "numpy"
data = np.load(sys.argv[1])
b.defaultclock.dt = 0.1*b.ms
found = {}
groups = []
for name, model, method, on_pre, reset, refractory in json.loads(sys.argv[2]):
    group = b.NeuronGroup(30, model, threshold="v > -50*mV", reset=reset, method=method, name=name,
                          refractory=refractory*b.defaultclock.dt if refractory else False, namespace={})
    group.v = data[f"{name}.v"]*b.volt
    group.I0 = data[f"{name}.I0"]*b.amp
    monitor = b.SpikeMonitor(group)
    groups += [group, monitor]
    for kind, statement in on_pre.items():
        synapses = b.Synapses(group, group, f"w : {statement[0]}", on_pre=statement[1], namespace={})
        synapses.connect(i=data[f"{name}_{kind}.pre"], j=data[f"{name}_{kind}.post"])
        synapses.w = data[f"{name}_{kind}.weights"]*b.Quantity(1, dim=getattr(b, statement[0]).dim)
        synapses.pre.delay = data[f"{name}_{kind}.delays"]*b.defaultclock.dt
        if refractory == 0:
            synapses.pre.when = "start"  # an arrival is not taken back by a reset in the same step
        groups.append(synapses)
    found[name] = monitor
b.Network(*groups).run(int(sys.argv[3])*b.defaultclock.dt, namespace={})
np.savez(sys.argv[4], **{f"{name}.i": m.i[:] for name, m in found.items()},
         **{f"{name}.t": np.round(m.t/b.defaultclock.dt).astype(int) for name, m in found.items()})
"""
PASSIVE = "C = 200*pF : farad\ng_l = 10*nS : siemens\ne_l = -70*mV : volt\nI0 : amp (constant)\n"
PLAIN = {
    "delta": (
        "dv/dt = (g_l*(e_l - v) + I0)/C : volt",
        {"exc": ("volt", "v += exc"), "inh": ("volt", "v -= inh")},
        {"exc": "v_post += w", "inh": "v_post -= w"},
        "exact",
        0,
    ),
    "current": (
        (
            "dv/dt = (g_l*(e_l - v) + I_e - I_i + I0)/C : volt (unless refractory)\ndI_e/dt = -I_e/(5*ms) : amp\n"
            "dI_i/dt = -I_i/(9*ms) : amp"
        ),
        {"exc": ("amp", "I_e += exc"), "inh": ("amp", "I_i += inh")},
        {"exc": "I_e_post += w", "inh": "I_i_post += w"},
        "exact",
        20,
    ),
    "conductance": (
        (
            "dv/dt = (g_l*(e_l - v) + g_e*(0*mV - v) + g_i*(-80*mV - v) + I0)/C : volt (unless refractory)\n"
            "dg_e/dt = -g_e/(5*ms) : siemens\ndg_i/dt = -g_i/(10*ms) : siemens"
        ),
        {"exc": ("siemens", "g_e += exc"), "inh": ("siemens", "g_i += inh")},
        {"exc": "g_e_post += w", "inh": "g_i_post += w"},
        "exponential_euler",
        50,
    ),
}
UNIT = {"volt": 2.0**-12, "amp": 2.0**-36, "siemens": 2.0**-29}
"""About 0.24 mV, 15 pA and 2 nS: weights are small multiples of these, so that no sum of them rounds."""


def plain():
    """Networks of delta, current and conductance synapses, excited by a current of each neuron's own."""
    populations, pathways = [], []
    for name, (model, ports, _, method, refractory) in PLAIN.items():
        neuron = Equations(
            model=model,
            ports={port: unit for port, (unit, _) in ports.items()},
            arrival="; ".join(statement for _, statement in ports.values()),
            parameters={
                "C": "200 pF",
                "g_l": "10 nS",
                "e_l": "-70 mV",
                "I0": {"name": "uniform", "low": "190 pA", "high": "320 pA"},
            },
            threshold="v > -50*mV",
            reset="v = e_l",
            refractory=f"{refractory/10} ms",
            method=method,
            initial={"v": SPREAD},
        )
        populations.append(Population(name, size=30, neuron=neuron))
        pathways += [
            Pathway(
                f"{name}_{port}",
                source=name,
                target=name,
                port=port,
                weights=UNIT[unit],
                connect={"name": "fan_in", "count": 6},
                delay={"name": "uniform", "low": "0 ms", "high": "6 ms"},
            )
            for port, (unit, _) in ports.items()
        ]
    return free(populations, pathways)


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory):
    """The spikes of a script of plain Brian2, and ours in both consumers, of the same synapses and first values."""
    place = tmp_path_factory.mktemp("plain")
    instance = draw(plain(), 3)
    rng = np.random.default_rng(3)
    synapses = {}
    for name, listed_ in instance.synapses.items():
        weights = rng.integers(1, 4, len(listed_.post)) * listed_.weights[0]
        synapses[name] = replace(listed_, weights=weights)
    instance = replace(instance, synapses=synapses)
    arrays = {f"{name}.v": instance.state[f"{name}.v"] for name in PLAIN} | {
        f"{name}.I0": instance.constants[f"{name}.I0"] for name in PLAIN
    }
    for name, s in synapses.items():
        pre = np.repeat(np.arange(30), np.diff(s.first))
        arrays |= {f"{name}.pre": pre, f"{name}.post": s.post, f"{name}.weights": s.weights, f"{name}.delays": s.delays}
    np.savez(place / "data.npz", **arrays)
    groups = [
        (
            name,
            PASSIVE + model,
            method,
            {port: (ports[port][0], does) for port, does in on_pre.items()},
            "v = e_l",
            steps and steps + 1,
        )
        for name, (model, ports, on_pre, method, steps) in PLAIN.items()
    ]
    (place / "script.py").write_text(BRIAN)
    command = [sys.executable, "script.py", "data.npz", json.dumps(groups), str(HAND), "spikes.npz"]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    theirs = np.load(place / "spikes.npz")
    ours = [c(instance).segment(instance.state, instance.passing(0, 0, HAND), False) for c in (Reference, Compiled)]
    return theirs, ours


@pytest.mark.slow
@pytest.mark.parametrize("name", PLAIN)
def test_a_network_spikes_as_in_a_script_of_plain_brian2(by_hand, name):
    theirs, ours = by_hand
    for segment in ours:
        neurons, steps = segment.spikes[name]
        # Brian2 counts a spike in the step whose test found it, here it is published in the next
        order = np.lexsort((theirs[f"{name}.i"], theirs[f"{name}.t"]))
        kept = theirs[f"{name}.t"][order] + 1 < HAND
        assert kept.sum() > 60
        np.testing.assert_array_equal(steps, theirs[f"{name}.t"][order][kept] + 1)
        np.testing.assert_array_equal(neurons, theirs[f"{name}.i"][order][kept])
