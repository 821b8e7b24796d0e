"""What a synapse sees late: rules on listed synapses, delays of every kind, and learning while time passes.

What each step should do is computed here from the recorded courses of the neurons, synapse by synapse and without the
code of the reference; then the compiled program is held to the reference.
"""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import systems

import bioFA
from bioFA import Experiment, ModelError, Network, Pathway, Population, Protocol, exchange
from bioFA.consumers.brian.run import Compiled
from bioFA.consumers.reference import Reference
from bioFA.instance import draw
from bioFA.network import Learning, Node
from bioFA.neurons.equations import Equations
from bioFA.neurons.ornstein_uhlenbeck import OrnsteinUhlenbeck
from bioFA.rules import family
from bioFA.rules.equation import Equation
from bioFA.rules.hebbian import Hebbian
from bioFA.rules.superspike import Superspike
from bioFA.runs import checkpoint
from bioFA.runs.trained import Trained
from bioFA.show.model_card import card
from bioFA.verification.backends import verify

N_PRE, N_POST, STEPS = 4, 3, 60
DELAYS = {
    "none": {},
    "axonal": {"axonal": "3 ms"},
    "dendritic": {"dendritic": "4 ms"},
    "each": {"axonal": {"name": "uniform", "low": "0 ms", "high": "6 ms"}},
    "both": {
        "axonal": {"name": "uniform", "low": "0 ms", "high": "6 ms"},
        "dendritic": {"name": "uniform", "low": "1 ms", "high": "5 ms"},
    },
}
CONNECT = {"matrix": None, "list": {"name": "probability", "p": 0.7}}


def rate(tau):
    return Equations(
        model=f"dx/dt = (-x + I)/({tau}*ms) : 1\nr = tanh(x) : 1",
        ports={"I": "1"},
        method="exact",
        initial={"x": {"name": "uniform"}},
    )


def passing(delay, connect, rule=None, learning=None, **protocol):
    """Noise that drives a few neurons, which drive others through synapses that learn."""
    weights = {"name": "normal", "std": 0.5}
    joined = (
        {"weights": bioFA.weights.Normal(scale=0.5)} if connect is None else {"weights": weights, "connect": connect}
    )
    pathways = (
        Pathway("noise_to_pre", source="noise", target="pre", port="I", carries="I", weights=2.0, connect="one_to_one"),
        Pathway(
            "pre_to_post",
            source="pre",
            target="post",
            port="I",
            carries="r",
            **joined,
            delay=delay,
            plasticity=rule
            or Equation(equation="dw/dt = learning_rate*(r_pre*r_post - 0.2*x_pre*w)/T", learning_rate=5.0),
            learning=learning or Learning(),
        ),
    )
    populations = (
        Population("noise", size=N_PRE, neuron=OrnsteinUhlenbeck(sigma=1.0, tau="10 ms")),
        Population("pre", size=N_PRE, neuron=rate(5)),
        Population("post", size=N_POST, neuron=rate(7)),
    )
    given = {"duration": f"{STEPS} ms", "dt": "1 ms"} | protocol
    return Experiment(
        name="passing", circuit=Network(populations=populations, pathways=pathways), protocol=Protocol(**given)
    )


def single(instance, name="pre_to_post"):
    """Presynaptic and postsynaptic neuron and both delays of every synapse, and how weights are told by it."""
    if name in instance.synapses:
        pre, post = instance.synapses[name].pre, instance.synapses[name].post
    else:
        post, pre = (axis.ravel() for axis in np.indices(instance.network.shape(instance.network.pathway(name))))
    found = {"axonal": np.zeros(1, int), "dendritic": np.zeros(1, int)} | dict(instance.delays.get(name, {}))
    steps = {part: np.broadcast_to(array.ravel(), len(pre)) for part, array in found.items()}
    return pre, post, steps["axonal"], steps["dendritic"]


def courses(instance, steps=STEPS):
    """Everything that neurons show in each step of a trial, and the weights as each step begins."""
    reference, state = Reference(instance), instance.state
    nodes = [Node("pre", "r"), Node("pre", "x"), Node("post", "r"), Node("post", "I")]
    rows, weights = {str(node): [] for node in nodes}, []
    for step in range(steps):
        weights.append(state["pre_to_post.w"].ravel())
        end = reference.segment(state, instance.passing(0, step, step + 1), True, watched=nodes, whole=True)
        for name, values in end.courses.items():
            rows[name].append(values.ravel())
        state = end.state
    return {name: np.array(values) for name, values in rows.items()}, np.array(
        [*weights, state["pre_to_post.w"].ravel()]
    )


def late(course, step, delay, neuron):
    return course[step - delay][neuron] if step >= delay else 0.0


@pytest.mark.parametrize("connect", CONNECT)
@pytest.mark.parametrize("kind", DELAYS)
def test_a_rule_sees_each_side_after_its_own_part_of_the_delay(kind, connect):
    instance = draw(passing(DELAYS[kind], CONNECT[connect]), 3)
    shown, weights = courses(instance)
    pre, post, axonal, dendritic = single(instance)
    assert len(pre) > 5
    for step in range(STEPS):
        for k in range(len(pre)):
            r_pre, x_pre = (late(shown[f"pre.{v}"], step, axonal[k], pre[k]) for v in ("r", "x"))
            r_post, w = late(shown["post.r"], step, dendritic[k], post[k]), weights[step, k]
            expected = w + 1e-3 * 5.0 * (r_pre * r_post - 0.2 * x_pre * w)
            assert weights[step + 1, k] == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize("connect", CONNECT)
@pytest.mark.parametrize("kind", DELAYS)
def test_a_synapse_transmits_with_the_weight_that_it_has_as_it_is_reached(kind, connect):
    """It is reached an axonal delay after something was sent, and that arrives a dendritic delay later."""
    instance = draw(passing(DELAYS[kind], CONNECT[connect]), 3)
    shown, weights = courses(instance)
    pre, post, axonal, dendritic = single(instance)
    expected = np.zeros((STEPS, N_POST))
    for step in range(STEPS):
        for k in range(len(pre)):
            reached = step - dendritic[k]
            if reached >= 0:
                expected[step, post[k]] += weights[reached, k] * late(shown["pre.r"], reached, axonal[k], pre[k])
    np.testing.assert_allclose(shown["post.I"], expected, atol=1e-13)
    assert np.abs(expected).max() > 0.1


def test_nothing_is_learned_in_warm_up_and_rates_are_per_second():
    rule = Equation(equation="dw/dt = learning_rate/T", learning_rate=2.0)
    instance = draw(passing({}, CONNECT["list"], rule, warm_up="25 ms", trials=2), 1)
    result = bioFA.simulate(instance.experiment, seed=1, backend="numpy")
    moved = result.state["pre_to_post.w"] - instance.state["pre_to_post.w"]
    np.testing.assert_allclose(moved, 2 * 2.0 * 0.035, atol=1e-12)  # two trials, each of which learns for 35 ms
    assert "pre_to_post" in str(result)


def test_phases_divide_a_trial_and_say_what_learns_and_how_fast():
    rule = Equation(equation="dw/dt = learning_rate/T", learning_rate=2.0)
    phases = [{"duration": "20 ms"}, {"duration": "10 ms", "learns": []}, {"duration": "30 ms", "rate": 0.5}]
    instance = draw(passing({}, CONNECT["list"], rule, phases=phases), 1)
    end = bioFA.simulate(instance.experiment, seed=1, backend="numpy").state["pre_to_post.w"]
    np.testing.assert_allclose(end - instance.state["pre_to_post.w"], 2.0 * 0.020 + 1.0 * 0.030, atol=1e-12)


@pytest.mark.parametrize(
    ("phases", "words"),
    [
        ([{"epochs": 1}], "Phase.duration is missing"),
        ([{"duration": "20 ms"}], "must last as long as a trial"),
        ([{"duration": "60.5 ms"}], "whole number of steps"),
        ([{"duration": "60 ms", "learns": ["nobody"]}], "no plastic pathway"),
    ],
)
def test_phases_that_do_not_fit_a_trial_are_refused(phases, words):
    with pytest.raises(ModelError, match=words):
        passing({}, CONNECT["list"], phases=phases)


def test_a_phase_of_examples_has_no_duration():
    with pytest.raises(ModelError, match="Give presentations or epochs"):
        Protocol(phases=[{"duration": "1 s"}])
    with pytest.raises(ModelError, match="and not both"):
        Protocol(phases=[{"duration": "1 s", "epochs": 2}])


# runs


def test_a_stopped_run_that_learns_goes_on_to_the_same_bits(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "INTERVAL", 0.0)
    phases = [{"duration": "20 ms"}, {"duration": "40 ms", "rate": 0.5}]
    experiment = passing(DELAYS["both"], CONNECT["list"], learning=Learning(normalised=True), trials=2, phases=phases)
    whole = bioFA.simulate(experiment, 3, "numpy")

    def stop(done, total, latest):
        if done >= 85:  # in the second phase of the second trial
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bioFA.simulate(experiment, 3, "numpy", folder=tmp_path / "cut", progress=stop)
    again = bioFA.resume(tmp_path / "cut")
    assert again.state.keys() == whole.state.keys()
    assert {
        "pre_to_post.w",
        "pre_to_post.under_way",
        "pre_to_post.dendrite",
        "pre_to_post.r_post",
    } <= again.state.keys()
    for name, array in whole.state.items():
        np.testing.assert_array_equal(array, again.state[name], err_msg=name)
    assert (again.state["pre_to_post.w"] != draw(experiment, 3).state["pre_to_post.w"]).any()


def test_listed_synapses_that_learn_take_memory_by_synapse_not_by_pair():
    size, count = 4000, 3
    ends = {"source": "cells", "target": "cells", "port": "error", "carries": "s"}
    join = {"connect": {"name": "fan_in", "count": count}, "weights": 0.1, "delay": {"axonal": LATE, "dendritic": SLOW}}
    network = Network(
        populations=(Population("cells", size=size, neuron=Equations(**CELL)),),
        pathways=(Pathway("few", **ends, **join, plasticity=Superspike()),),
    )
    instance = draw(Experiment(name="few", circuit=network, protocol=Protocol(duration="9 ms", dt="1 ms")), 1)
    end = Reference(instance).segment(instance.state, instance.passing(0, 0, 2), True).state
    kept = sum(array.nbytes for name, array in end.items() if name.startswith("few."))
    kept += sum(part.nbytes for part in instance.delays["few"].values())
    neurons_late = 8 * size * (6 + 6 + 7 + 7 + 8)  # what both sides and the dendrites are still to be seen of
    assert kept <= 8 * size * count * 6 + neurons_late
    assert end["few.w"].shape == (size * count,)


def test_what_a_rule_sees_late_is_said():
    network = passing(DELAYS["both"], CONNECT["list"]).network
    said = (
        "the rule sees what is presynaptic after its axonal delay, and what is postsynaptic after its dendritic delay"
    )
    assert f"pre_to_post: {said}" in network.describe()
    experiment = passing(DELAYS["both"], CONNECT["list"])
    cells = [cell for table in card(experiment) for row in table.rows for cell in row]
    assert any(cell.endswith(said) for cell in cells)
    assert "sees" not in passing({}, CONNECT["list"]).network.describe()


def test_a_network_that_learns_late_survives_its_file():
    experiment = passing(DELAYS["both"], CONNECT["matrix"], phases=[{"duration": "60 ms", "rate": 0.5}])
    assert bioFA.loads(bioFA.dumps(experiment)) == experiment


def test_given_weights_of_a_list_keep_its_promises():
    experiment = passing({}, CONNECT["list"], learning=Learning(low=-1.0, high=1.0))
    instance = draw(experiment, 1)
    weights = instance.state["pre_to_post.w"]
    taken, names = instance.with_weights({"pre_to_post.w": 0.5 * weights})
    assert names == ["pre_to_post"]
    np.testing.assert_array_equal(taken.state["pre_to_post.w"], 0.5 * weights)
    broken = weights.copy()
    broken[2] = 3.0
    synapses = instance.synapses["pre_to_post"]
    first = f"from neuron {synapses.pre[2]} to neuron {synapses.post[2]}: 3"
    with pytest.raises(ModelError, match=first):
        instance.with_weights({"pre_to_post.w": broken})


def test_signs_hold_for_listed_synapses():
    ends = {"source": "noise", "target": "cells", "port": "I", "carries": "I", "connect": "all"}
    drawn = {"weights": {"name": "normal"}, "plasticity": Equation(equation="dw/dt = -learning_rate*I_post/T")}
    cells = Population("cells", size=5, neuron=rate(5))
    network = Network(
        populations=(Population("noise", size=4, neuron=OrnsteinUhlenbeck(sigma=9.0), inhibitory=0.5), cells),
        pathways=(
            Pathway("lawful", **ends, **drawn),
            Pathway(
                "back", **ends | {"source": "cells", "target": "cells", "carries": "x"}, **drawn, sign="inhibitory"
            ),
        ),
    )
    experiment = Experiment(name="signs", circuit=network, protocol=Protocol(duration="50 ms", dt="1 ms"))
    instance = draw(experiment, 1)
    lawful = np.where(instance.synapses["lawful"].pre < 2, 1.0, -1.0)
    end = bioFA.simulate(experiment, 1, "numpy").state
    for state in (instance.state, end):
        assert (lawful * state["lawful.w"] >= 0).all()
        assert (state["back.w"] <= 0).all()
    assert (end["back.w"] != instance.state["back.w"]).all()


def test_formats_without_delays_refuse_them(tmp_path):
    experiment = systems.mixed_tissue()
    pathways = [p.replace(delay="3 ms") if p.name == "hidden_to_gate" else p for p in experiment.network.pathways]
    late = experiment.replace(circuit=Network(populations=experiment.network.populations, pathways=tuple(pathways)))
    trained = Trained(late, 1, 0, draw(late, 1).state)
    for to in ("brian2", "neuroml", "nir", "sonata"):
        with pytest.raises(ModelError, match=r"no place for delays.*hidden_to_gate.*Formats that have: "):
            exchange.export(trained, to, tmp_path / "out")
    with pytest.raises(ModelError, match="no delays"):
        bioFA.to_brian2(trained)


def test_a_partner_and_dynamics_stay_with_what_does_not_learn_by_a_list():
    with pytest.raises(ModelError, match="listed synapses have none"):
        passing({}, CONNECT["list"], "weight_perturbation")
    network = spiking().network
    few = network.pathway("few").replace(dynamics={"name": "tsodyks_markram"})
    with pytest.raises(ModelError, match="dynamics, which rest on a fixed weight"):
        network.replace(pathways=tuple(few if p.name == "few" else p for p in network.pathways))


# listed and full


def plain(network):
    """The matrices that learn without a partner and that nobody else needs."""
    needed = {name for pathway in network.pathways for name in pathway.refers_to()}
    return [p for p in network.plastic() if not p.plasticity.needs_partner and p.name not in needed and not p.sparse]


def listed(instance):
    """The same instance with every such matrix as a list of all its synapses."""
    network, names = instance.network, [pathway.name for pathway in plain(instance.network)]
    kept = ("name", "source", "target", "port", "carries", "plasticity", "learning", "sign", "delay", "stands_for")
    pathways = [
        (
            p
            if p.name not in names
            else Pathway(**{name: getattr(p, name) for name in kept}, connect="all", weights={"name": "normal"})
        )
        for p in network.pathways
    ]
    other = draw(instance.experiment.replace(circuit=Network(populations=network.populations, pathways=pathways)), 1)
    assert other.state.keys() == instance.state.keys()
    state = {
        name: array.T.ravel() if other.state[name].shape != array.shape else array
        for name, array in instance.state.items()
    }
    return replace(other, state=state), names


def kinds():
    """An experiment with such a matrix for every rule."""
    every = [
        *systems.ALL,
        *systems.SPIKING,
        *systems.TRACED,
        systems.accumulating(),
        bioFA.load("linear").with_scheme("kp"),
    ]
    return {p.plasticity.family_name: experiment for experiment in every for p in plain(experiment.network)}


RULES = kinds()


def test_every_rule_without_a_partner_is_tried_on_a_list():
    """A rule of one's own is tried above; where nodes are perturbed, a copy shares all weights."""
    assert set(family.names()) - set(RULES) == {"equation", "weight_perturbation", "node_perturbation"}


@pytest.mark.parametrize("rule", RULES)
def test_a_list_of_all_synapses_learns_as_the_matrix_does(rule):
    instance = draw(RULES[rule], 1)
    other, names = listed(instance)
    ends = [Reference(one).segment(one.state, one.training(0, 6), True).state for one in (instance, other)]
    for name in names:
        np.testing.assert_allclose(ends[1][f"{name}.w"], ends[0][f"{name}.w"].T.ravel(), rtol=1e-9, atol=1e-12)
    assert any(not np.array_equal(ends[1][f"{name}.w"], other.state[f"{name}.w"]) for name in names)


# in the compiled program

CELL = {
    "model": "dv/dt = (-v + I)/(8*ms) : 1\ndr/dt = -r/(12*ms) : 1\ngain = 1/(1 + v*v + 0.1*error*error) : 1",
    "threshold": "v > 1",
    "reset": "v = 0\nr += 0.5",
    "refractory": "2 ms",
    "method": "exact",
    "ports": {"I": "1", "error": "1"},
    "initial": {"v": {"name": "uniform"}},
}
SLOW = {"name": "uniform", "low": "0 ms", "high": "7 ms"}
LATE = {"name": "uniform", "low": "1 ms", "high": "6 ms"}


def spiking(**protocol):
    """Spiking neurons as text that reach each other in every way: matrices and lists, each late in another way, which
    learn by rules with and without traces, within bounds, with signs, in batches, with a norm."""
    cell = Equations(**CELL)
    populations = (
        Population("noise", size=5, neuron=OrnsteinUhlenbeck(sigma=1.5, mean=1.0, tau="10 ms")),
        Population("pre", size=5, neuron=cell),
        Population("post", size=4, neuron=cell, inhibitory=0.5),
    )
    own = Equation(
        equation="dw/dt = learning_rate*(carried_pre*r_post - 0.05*v_pre*w + 0.01*gain_post)/T", learning_rate=20
    )
    matrix, few = {"weights": bioFA.weights.Normal(scale=0.4)}, {"connect": {"name": "probability", "p": 0.7}}
    few["weights"] = {"name": "normal", "std": 0.4}
    ways = {
        "plain": matrix | {"plasticity": Hebbian(learning_rate=20.0, decay=0.5)},
        "axon": matrix | {"plasticity": own, "delay": "3 ms", "density": 0.6},
        "dendrite": matrix | {"plasticity": Superspike(learning_rate=100.0), "delay": {"dendritic": "2 ms"}},
        "own_delays": matrix | {"plasticity": own, "delay": {"axonal": SLOW, "dendritic": SLOW}},
        "fixed": matrix | {"delay": {"axonal": LATE, "dendritic": LATE}},
        "few": few | {"plasticity": own, "sign": "excitatory", "learning": Learning(low=0.1, high=0.6)},
        "few_axon": few | {"plasticity": Hebbian(learning_rate=20.0, decay=0.5), "delay": "4 ms"},
        "few_dendrite": (
            few | {"plasticity": own, "delay": {"dendritic": "3 ms"}, "learning": Learning(normalised=True)}
        ),
        "few_own": few | {"plasticity": Superspike(learning_rate=100.0), "delay": {"axonal": LATE, "dendritic": SLOW}},
        "few_late": few | {"plasticity": own, "delay": {"axonal": SLOW, "dendritic": LATE}},
    }
    pathways = [
        Pathway(
            f"noise_to_{target}",
            source="noise",
            target=target,
            port="I",
            carries="I",
            weights=2.0,
            connect={"name": "fan_in", "count": 1},
        )
        for target in ("pre", "post")
    ]
    pathways += [
        Pathway(name, source="pre", target="post", port="error" if place % 3 == 2 else "I", carries="s", **fields)
        for place, (name, fields) in enumerate(ways.items())
    ]
    pathways += [
        Pathway(
            "back",
            source="post",
            target="pre",
            port="error",
            carries="s",
            **few,
            delay=SLOW,
            plasticity=Superspike(learning_rate=100.0),
        ),
        Pathway("recurrent", source="post", target="post", port="I", carries="s", **few, delay=LATE, plasticity=own),
    ]
    given = {"duration": "90 ms", "dt": "1 ms", "warm_up": "10 ms", "trials": 2} | protocol
    given |= {
        "phases": [
            {"duration": "50 ms"},
            {"duration": "40 ms", "learns": ["few", "few_own", "few_dendrite"], "rate": 0.5},
        ]
    }
    return Experiment(
        name="spiking", circuit=Network(populations=populations, pathways=tuple(pathways)), protocol=Protocol(**given)
    )


@pytest.fixture(scope="module")
def both():
    instance = draw(spiking(), 2)
    return instance, Reference(instance), Compiled(instance)


@pytest.mark.compiled
def test_the_compiled_program_learns_what_the_reference_learns(both):
    instance, _, compiled = both
    outcome = verify(instance.experiment, 2, 2, against=compiled)
    assert outcome.agrees, str(outcome)
    assert all(count > 20 for count, _ in outcome.spikes.values())
    moved = {p.name: outcome.states[f"{p.name}.w"].range for p in instance.network.plastic()}
    assert min(moved.values()) > 1e-3, moved


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("own_delays", "axonal"),
        pytest.param("own_delays", "dendritic", marks=pytest.mark.slow),
        pytest.param("few_own", "axonal", marks=pytest.mark.slow),
        ("few_own", "dendritic"),
    ],
)
def test_a_delay_that_is_a_step_too_long_is_found(both, name, part):
    instance, _, _ = both
    steps = instance.delays[name][part]
    longer = np.minimum(steps + 1, steps.max()).astype(np.int32)
    delays = {**instance.delays, name: {**instance.delays[name], part: longer}}
    outcome = verify(instance.experiment, 2, 1, against=Compiled(replace(instance, delays=delays)))
    assert not outcome.agrees
    assert any(found.startswith(f"{name}.") for found in outcome.first_excess), outcome.first_excess


@pytest.mark.compiled
def test_a_trial_that_is_cut_anywhere_learns_the_same_bit_for_bit(both):
    instance, reference, compiled = both
    for consumer in (reference, compiled):
        ends = []
        for cuts in ([0, 50], [0, 7, 8, 31, 50]):
            state = instance.state
            for start, stop in itertools.pairwise(cuts):
                state = consumer.segment(state, instance.passing(0, start, stop), True).state
            ends.append(state)
        for name, array in ends[0].items():
            np.testing.assert_array_equal(array, ends[1][name], err_msg=name)
