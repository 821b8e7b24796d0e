"""Synapses whose strength changes from spike to spike: closed forms, NEST's synapses, both consumers, any segment."""

import brian2
import numpy as np
import pytest
from scipy.linalg import expm
from tiers import first_of

import bioFA
from bioFA import Experiment, Network, Pathway, Population, errors, exchange
from bioFA.consumers.brian.run import Compiled
from bioFA.consumers.reference import Reference
from bioFA.instance import draw
from bioFA.modelfiles import toml
from bioFA.neurons.equations import Equations
from bioFA.neurons.error_unit import ErrorUnit
from bioFA.neurons.leaky_rate import LeakyRate
from bioFA.neurons.lif_exp import LifExp
from bioFA.neurons.poisson import Poisson
from bioFA.neurons.poisson_source import PoissonSource
from bioFA.neurons.rate_source import RateSource
from bioFA.neurons.spikes_from import SpikesFrom
from bioFA.show.model_card import card
from bioFA.synapses.dynamics import family
from bioFA.synapses.tsodyks_markram import TsodyksMarkram
from bioFA.tasks.linear_teacher import LinearTeacher
from bioFA.weights import Identity

DT = 1e-4
SUM = Equations(model="g : 1", ports={"exc": "1"}, arrival="g += exc")
"""Counts all that ever arrived."""
DEPRESSING = {"U": 0.5, "tau_rec": "200 ms"}
FACILITATING = {"U": 0.1, "tau_rec": "100 ms", "tau_facil": "800 ms"}
KINDS = {
    "depressing": TsodyksMarkram(**DEPRESSING),
    "facilitating": TsodyksMarkram(**FACILITATING),
    "three": TsodyksMarkram(resources="three", tau_psc="3 ms", **FACILITATING),
    "three_depressing": TsodyksMarkram(resources="three", tau_psc="20 ms", **DEPRESSING),
    "three_equal": TsodyksMarkram(resources="three", tau_psc="50 ms", U=0.3, tau_rec="50 ms"),
}
every_kind = pytest.mark.parametrize("kind", KINDS)


def model(dynamics, trains, steps, size=1, connect="one_to_one", weights=1.0, delay="0 ms", cell=SUM):
    """Given spikes, `trains` by neuron in steps, over synapses with dynamics to neurons that sum them."""
    spikes = [[neuron, float(step * DT)] for neuron, train in enumerate(trains) for step in train]
    connect = {"name": connect} if isinstance(connect, str) else connect
    pathway = Pathway(
        "to",
        source="senders",
        target="summed",
        port="exc",
        connect=connect,
        weights=weights,
        delay=delay,
        dynamics=dynamics,
    )
    populations = (
        Population("senders", size=len(trains), neuron=SpikesFrom(spikes=spikes)),
        Population("summed", size=size, neuron=cell),
    )
    variable = cell.text.state[0]
    record = {"traces": [{"population": "summed", "variables": [variable], "neurons": list(range(size))}]}
    protocol = {"duration": steps * DT, "dt": DT}
    return Experiment(
        name="dynamics", circuit=Network(populations=populations, pathways=(pathway,)), protocol=protocol, record=record
    )


def arrived(experiment, consumer=Reference):
    """What has arrived by the end of each step, `(steps, size)`."""
    instance = draw(experiment, 1)
    steps = experiment.protocol.steps
    segment = consumer(instance).segment(instance.state, instance.passing(0, 0, steps), False)
    whole = np.vstack([segment.traces[0]["g"], segment.state["summed.g"]])
    return np.diff(whole, axis=0)


def train(count=30, longest=100, seed=2):
    """Steps of a train, `(count,)`."""
    return np.cumsum(np.random.default_rng(seed).integers(1, longest, count))


def released(dynamics, steps):
    """What one synapse releases at each spike of a train."""
    return arrived(model(dynamics, [steps], int(steps[-1]) + 2))[steps, 0]


def by_linear_algebra(dynamics, steps):
    """The same by matrix exponentials of the differential equations, jumps at spikes."""
    p = {name: part.numbers(dim, name)["value"] for name, (part, dim) in dynamics.own_parameters().items()}
    three = dynamics.resources == "three"
    x, y, z, u, found = 1.0, 0.0, 0.0, 0.0 if three else p["U"], []
    a, b = 1 / p.get("tau_psc", 1.0), 1 / p["tau_rec"]
    for before, after in zip([None, *steps[:-1]], steps, strict=True):
        if before is not None:
            h = (after - before) * DT
            flow = (
                np.array([[0, 0, b], [0, -a, 0], [0, a, -b]]) if three else np.array([[0, 0, b], [0, 0, 0], [0, 0, -b]])
            )
            x, y, z = expm(flow * h) @ [x, y, z]
            u = u * np.exp(-h / p["tau_facil"]) if p["tau_facil"] else 0.0
            u = u if three else p["U"] + (1 - p["U"]) * u
        if three:
            u = u + p["U"] * (1 - u)
        found.append(u * x)
        x, y, z = x - u * x, y + u * x * three, z + u * x * (not three)
    return np.array(found)


def test_there_are_dynamics_of_synapses():
    assert family.names() == ["tsodyks_markram"]
    assert family.read("tsodyks_markram") == TsodyksMarkram()


@every_kind
def test_releases_are_those_of_the_differential_equations(kind):
    steps = train()
    found = released(KINDS[kind], steps)
    np.testing.assert_allclose(found, by_linear_algebra(KINDS[kind], steps), rtol=1e-11)
    assert found[0] == pytest.approx(KINDS[kind].U.value, rel=1e-13)


@pytest.mark.parametrize("kind", ["depressing", "facilitating"])
def test_a_regular_train_comes_to_its_closed_form(kind):
    """u = U/(1 - (1 - U) exp(-h/tau_facil)), x = (1 - e)/(1 - (1 - u) e) with e = exp(-h/tau_rec)."""
    dynamics, h = KINDS[kind], 20e-3
    p = {name: part.numbers(dim, name)["value"] for name, (part, dim) in dynamics.own_parameters().items()}
    u = p["U"] / (1 - (1 - p["U"]) * (np.exp(-h / p["tau_facil"]) if p["tau_facil"] else 0.0))
    e = np.exp(-h / p["tau_rec"])
    found = at_once(dynamics, p, [h] * 400)
    assert found[-1] == pytest.approx(u * (1 - e) / (1 - (1 - u) * e), rel=1e-12)
    assert at_once(dynamics, p, [1e-3, 20.0])[-1] == pytest.approx(p["U"], rel=1e-6)


def at_once(dynamics, p, between):
    """What a synapse releases at spikes, the first and those after so many seconds each."""
    kept = {name: np.full(1, value) for name, value in dynamics.keeps.items()}
    found = []
    for since in (1e5, *between):
        amount, kept = dynamics.release(kept, {name: np.full(1, value) for name, value in p.items()}, np.full(1, since))
        found.append(amount[0])
    return found


def test_synapses_have_parameters_weights_delays_and_resources_of_their_own():
    """Three neurons with trains of their own reach two targets each over different synapses."""
    trains = [train(seed=seed, count=15) for seed in (1, 2, 3)]
    steps = max(int(t[-1]) for t in trains) + 60
    spread = TsodyksMarkram(
        U={"name": "uniform", "low": 0.1, "high": 0.9},
        tau_rec={"name": "uniform", "low": "50 ms", "high": "0.5 s"},
        tau_facil={"name": "uniform", "low": "0 ms", "high": "0.5 s"},
    )
    options = {
        "weights": {"name": "uniform", "low": 0.5, "high": 2.0},
        "delay": {"name": "uniform", "low": "0 ms", "high": "5 ms"},
    }
    experiment = model(spread, trains, steps, size=2, connect="all", **options)
    instance = draw(experiment, 1)
    synapses = instance.synapses["to"]
    expected = np.zeros((steps, 2))
    for neuron in range(3):
        for k in range(synapses.first[neuron], synapses.first[neuron + 1]):
            own = TsodyksMarkram(**{name: float(values[k]) for name, values in synapses.parameters.items()})
            for step, amount in zip(trains[neuron], by_linear_algebra(own, trains[neuron]), strict=True):
                expected[step + synapses.delays[k], synapses.post[k]] += synapses.weights[k] * amount
    assert len({*synapses.parameters["U"]}) == len(synapses.post) == 6
    np.testing.assert_allclose(arrived(experiment), expected, rtol=1e-9, atol=1e-12)


def busy(dynamics):
    """Random trains over many synapses of different kinds of delay."""
    circuit = Network(
        populations=(
            Population("senders", size=30, neuron=Poisson(rate="40 Hz")),
            Population("summed", size=20, neuron=SUM),
            Population("cells", size=20, neuron=LifExp(i_e="500 pA")),
        ),
        pathways=(
            Pathway(
                "to",
                source="senders",
                target="summed",
                port="exc",
                connect={"name": "fan_in", "count": 5},
                weights=1.0,
                dynamics=dynamics,
                delay={"name": "uniform", "low": "0 ms", "high": "3 ms"},
            ),
            Pathway(
                "too",
                source="senders",
                target="cells",
                port="exc",
                connect={"name": "probability", "p": 0.3},
                weights={"name": "uniform", "low": "50 pA", "high": "90 pA"},
                dynamics=dynamics.replace(U={"name": "uniform", "low": 0.2, "high": 0.6}),
            ),
            Pathway(
                "loop",
                source="cells",
                target="cells",
                port="inh",
                connect={"name": "fan_in", "count": 3},
                weights="30 pA",
                delay="1 ms",
                dynamics=dynamics,
            ),
        ),
    )
    variables = tuple(dynamics.keeps)
    record = {
        "traces": [{"population": "summed", "variables": ["g"], "neurons": list(range(20))}],
        "synapses": [
            {"pathway": "to", "variables": variables, "every": "0.4 ms", "pre": [7, 3]},
            {"pathway": "too", "variables": variables[1:], "every": "1 ms", "from": "20 ms", "sample": 30},
            {"pathway": "loop", "variables": ["x"], "every": "0.1 ms"},
        ],
    }
    return Experiment(
        name="busy", circuit=circuit, protocol={"duration": "150 ms", "dt": DT, "trials": 2}, record=record
    )


@pytest.mark.parametrize(
    "kind", first_of("facilitating", "three", "depressing", "three_depressing", "three_equal", count=2)
)
def test_any_segment_of_a_run_is_the_same(kind):
    instance = draw(busy(KINDS[kind]), 1)
    reference = Reference(instance)
    whole = reference.segment(instance.state, instance.passing(0, 0, 450), False)
    half = reference.segment(instance.state, instance.passing(0, 0, 411), False)
    rest = reference.segment(half.state, instance.passing(0, 411, 450), False)
    for name, array in whole.state.items():
        np.testing.assert_array_equal(rest.state[name], array, err_msg=name)
    same_synapses(whole, half, rest)
    begun = instance.trial_begins(1)
    for name in ("to.x", "to.u", "to.since"):
        np.testing.assert_array_equal(begun[name], instance.state[name])
        assert not np.array_equal(whole.state[name], instance.state[name])


@pytest.mark.compiled
@pytest.mark.parametrize("kind", ["facilitating", pytest.param("three", marks=pytest.mark.slow)])
def test_the_compiled_program_computes_what_the_reference_does(kind):
    instance = draw(busy(KINDS[kind]), 1)
    reference, compiled = Reference(instance), Compiled(instance)
    state, parts = instance.trial_begins(1), []
    whole = compiled.segment(state, instance.passing(1, 0, 1500), False)
    for span in ((0, 611), (611, 1500)):
        ours, theirs = (one.segment(state, instance.passing(1, *span), False) for one in (reference, compiled))
        assert len(ours.spikes["cells"][1]) > 5
        for mine, other in zip(ours.spikes["cells"], theirs.spikes["cells"], strict=True):
            np.testing.assert_array_equal(mine, other)
        for name, array in ours.state.items():
            np.testing.assert_allclose(theirs.state[name], array, rtol=1e-11, atol=1e-15, err_msg=name)
        for kept, other in zip(ours.synapses, theirs.synapses, strict=True):
            for name, array in kept.items():
                assert np.ptp(array) > 0.05
                np.testing.assert_allclose(other[name], array, rtol=0, atol=1e-10 * np.ptp(array), err_msg=name)
        state = theirs.state
        parts.append(theirs)
    same_synapses(whole, *parts)


def test_recorded_dynamics_are_in_datasets_nwb_and_neo(tmp_path):
    pynwb, neo = pytest.importorskip("pynwb"), pytest.importorskip("neo")
    result = bioFA.simulate(busy(KINDS["three"]), 1, "numpy")
    kept = result.synapses[0]
    assert kept.variables == ("x", "u", "y")
    data = result.to_xarray()
    exchange.export(result, "nwb", tmp_path / "kept.nwb")
    exchange.export(result, "neo", tmp_path / "kept.nix")
    segments = neo.NixIO(str(tmp_path / "kept.nix"), "ro").read_block().segments
    with pynwb.NWBHDF5IO(str(tmp_path / "kept.nwb"), "r") as io:
        for name in kept.variables:
            trials = [kept.read(name, trial) for trial in (0, 1)]
            np.testing.assert_array_equal(data[f"to.{name}"], trials)
            series = io.read().processing["simulation"][f"to_{name}_0"]
            np.testing.assert_array_equal(series.data[:], np.concatenate(trials))
            assert series.unit == "n.a."
            for trial, segment in zip(trials, segments, strict=True):
                signal = next(one for one in segment.analogsignals if one.name == f"to.{name}")
                assert signal.units.dimensionality.string == "dimensionless"
                np.testing.assert_array_equal(signal.magnitude, trial)
                assert list(signal.annotations["pre"]) == kept.pre.tolist()


def same_synapses(whole, *parts):
    """What was kept of synapses does not depend on where a run was cut."""
    for number, kept in enumerate(whole.synapses):
        for name, array in kept.items():
            np.testing.assert_array_equal(np.concatenate([part.synapses[number][name] for part in parts]), array)


@pytest.mark.usefixtures("plain_brian2")
@pytest.mark.parametrize("kind", ["depressing", "facilitating", "three"])
def test_recorded_dynamics_are_those_of_plain_brian2(kind):
    """Differential equations that move with the clock, sampled as each step begins, before a spike of that step."""
    dynamics, steps = KINDS[kind], 600
    p = {name: part.numbers(dim, name)["value"] for name, (part, dim) in dynamics.own_parameters().items()}
    trains = [train(12, 40, seed) + 1 for seed in (1, 2)]
    variables = tuple(dynamics.keeps)
    kept = {"synapses": [{"pathway": "to", "variables": variables, "every": "0.5 ms"}]}
    resources = "dx/dt = (1 - x)/tau_rec : 1 (clock-driven)"
    if dynamics.resources == "three":
        resources = "dx/dt = (1 - x - y)/tau_rec : 1 (clock-driven)\ndy/dt = -y/tau_psc : 1 (clock-driven)"
    facilitation = "du/dt = -u/tau_facil : 1 (clock-driven)" if p["tau_facil"] else "u : 1"
    brian2.defaultclock.dt = DT * brian2.second
    neurons = np.repeat([0, 1], [len(one) for one in trains])
    source = brian2.SpikeGeneratorGroup(2, neurons, (np.concatenate(trains) - 1) * DT * brian2.second)
    target = brian2.NeuronGroup(2, "g : 1")
    jump = "u += U*(1 - u)\nused = u*x\nx -= used" + ("\ny += used" if "y" in variables else "")
    constants = {name: value if name == "U" else value * brian2.second for name, value in p.items()}
    synapses = brian2.Synapses(
        source,
        target,
        f"{resources}\n{facilitation}",
        on_pre=jump + ("" if p["tau_facil"] else "\nu = 0"),
        method="exact",
        namespace=constants,
    )
    synapses.connect("i == j")
    synapses.x = 1
    synapses.pre.when, synapses.pre.order = "start", 1
    monitor = brian2.StateMonitor(synapses, variables, record=True, when="start")
    brian2.Network(source, target, synapses, monitor).run(steps * DT * brian2.second)
    for delay in ("0 ms", "0.3 ms"):
        instance = draw(model(dynamics, trains, steps, size=2, delay=delay).replace(record=kept), 1)
        found = Reference(instance).segment(instance.state, instance.passing(0, 0, steps), False).synapses[0]
        for variable in variables:
            theirs = getattr(monitor, variable).T[::5]
            theirs = p["U"] + (1 - p["U"]) * theirs if variable == "u" else theirs
            spread = max(np.ptp(theirs), 0.1)
            np.testing.assert_allclose(found[variable], theirs, rtol=0, atol=1e-10 * spread, err_msg=variable)


@pytest.mark.compiled
def test_a_result_has_recorded_dynamics_and_describes_them():
    result = bioFA.simulate(busy(KINDS["facilitating"]), 1)
    first = result.synapses[0]
    assert set(first.pre) == {7, 3}
    assert first.read("u", 1).shape == (375, len(first.pre))
    text = f"to.x, to.u of {len(first.pre)} synapses every 0.4 ms; too.u of 30 synapses every 1 ms"
    assert text in str(result)
    table = result.frames()["synapses"]
    assert set(table[table.pathway == "to"].variable) == {"x", "u"}
    np.testing.assert_array_equal(result.to_xarray()["too.u"][1], result.synapses[1].read("u", 1))
    rows = {row[0]: row[1] for part in card(result.experiment) for row in part.rows if "pre" in "".join(row)}
    assert rows["dynamics in time"] == "to.x, to.u of the synapses of presynaptic neurons 7, 3, every 0.4 ms"


@pytest.mark.compiled
@pytest.mark.parametrize("reset", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_synapses_are_at_rest_again_where_a_presentation_begins_anew(reset):
    populations = (
        Population("image", size=5, neuron=PoissonSource(max_rate="300 Hz")),
        Population("answer", size=3, neuron=LeakyRate()),
        Population("wanted", size=3, neuron=RateSource(of="targets")),
        Population("mismatch", size=3, neuron=ErrorUnit()),
    )
    listed = {
        "connect": {"name": "all"},
        "weights": 2.0,
        "carries": "s",
        "delay": "2 ms",
        "dynamics": KINDS["three_depressing"],
    }
    pathways = (
        Pathway("image_to_answer", source="image", target="answer", **listed),
        Pathway("wanted_to_mismatch", source="wanted", target="mismatch", port="target", weights=Identity()),
        Pathway("answer_to_mismatch", source="answer", target="mismatch", port="prediction", weights=Identity()),
    )
    experiment = Experiment(
        name="presented",
        circuit=Network(populations=populations, pathways=pathways),
        task=LinearTeacher(n_in=5, n_out=3, examples=4, test_examples=1),
        protocol={"dt": "1 ms", "presentation": "30 ms", "reset": reset},
    )
    instance = draw(experiment, 1)
    feed = instance.training(0, 4)
    ours, theirs = (one(instance).segment(instance.state, feed, False) for one in (Reference, Compiled))
    for name, array in ours.state.items():
        np.testing.assert_allclose(theirs.state[name], array, rtol=1e-11, atol=1e-15, err_msg=name)
    alone = Reference(instance).segment(instance.state, instance.training(3, 4), False)
    assert np.array_equal(alone.state["image_to_answer.x"], ours.state["image_to_answer.x"]) == reset


@pytest.mark.parametrize("kind", ["depressing", "facilitating", "three", "three_depressing"])
def test_nests_synapses_release_the_same(kind):
    """`tsodyks2_synapse` and `tsodyks_synapse` of NEST 3.10, whose recorded weight is that of the spike."""
    nest = pytest.importorskip("nest", reason="NEST is not installed: pip install '.[nest]'")
    dynamics, steps = KINDS[kind], train(50)
    p = {name: part.numbers(dim, name)["value"] for name, (part, dim) in dynamics.own_parameters().items()}
    nest.ResetKernel()
    nest.verbosity = nest.VerbosityLevel.ERROR
    nest.set(resolution=DT * 1e3, local_num_threads=1)
    recorder = nest.Create("weight_recorder")
    fields = {"U": p["U"], "tau_rec": 1e3 * p["tau_rec"], "tau_fac": 1e3 * p["tau_facil"]}
    if dynamics.resources == "two":
        name, fields = "tsodyks2_synapse", fields | {"u": p["U"], "x": 1.0}
    else:
        name, fields = "tsodyks_synapse", fields | {"tau_psc": 1e3 * p["tau_psc"], "u": 0.0, "x": 1.0, "y": 0.0}
    nest.CopyModel(name, "recorded", {"weight_recorder": recorder})
    spikes = {"spike_times": steps * DT * 1e3, "precise_times": False, "allow_offgrid_times": True}
    source, relay, target = (
        nest.Create("spike_generator", 1, spikes),
        nest.Create("parrot_neuron"),
        nest.Create("iaf_psc_exp"),
    )
    nest.Connect(source, relay, syn_spec={"delay": DT * 1e3})
    nest.Connect(relay, target, syn_spec={"synapse_model": "recorded", "weight": 1.0, "delay": DT * 1e3, **fields})
    nest.Simulate((int(steps[-1]) + 10) * DT * 1e3)
    np.testing.assert_allclose(released(dynamics, steps), recorder.events["weights"], rtol=0, atol=1e-13)


@every_kind
def test_dynamics_survive_their_file(kind):
    experiment = busy(KINDS[kind])
    assert toml.loads(toml.dumps(experiment)) == experiment


@pytest.mark.parametrize(
    ("fields", "error", "words"),
    [
        ({"U": 0.0}, errors.OutOfRange, "U must be > 0"),
        ({"U": 1.5}, errors.OutOfRange, "U must be <= 1"),
        ({"tau_rec": "1 mV"}, errors.WrongUnit, "tau_rec"),
        ({"tau_facil": "-1 ms"}, errors.OutOfRange, "tau_facil must be >= 0"),
        ({"tau_psc": "5 ms"}, errors.Contradiction, "resources = 'three'"),
        ({"resources": "four"}, errors.UnknownName, "resources"),
    ],
)
def test_wrong_dynamics_are_refused_by_name(fields, error, words):
    with pytest.raises(error, match=words):
        TsodyksMarkram(**fields)


def test_dynamics_need_listed_synapses_and_spikes():
    with pytest.raises(errors.MissingSignal, match="act on spikes"):
        Network(
            populations=(Population("a", size=2, neuron=LifExp()), Population("b", size=2, neuron=SUM)),
            pathways=(
                Pathway(
                    "ab",
                    source="a",
                    target="b",
                    port="exc",
                    carries="v",
                    weights="1 1/volt",
                    dynamics="tsodyks_markram",
                ),
            ),
        )
    with pytest.raises(errors.Contradiction, match="matrix"):
        Network(
            populations=(Population("a", size=2, neuron=LifExp()), Population("b", size=2, neuron=SUM)),
            pathways=(
                Pathway(
                    "ab", source="a", target="b", port="exc", weights={"name": "normal"}, dynamics="tsodyks_markram"
                ),
            ),
        )
