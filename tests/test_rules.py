"""What every plasticity rule must respect: a synapse knows its own two neurons and itself, and nothing else.

Each test runs over the whole family, so a new rule is tested on the day its file appears.
"""

import re

import numpy as np
import pytest

import bioFA
from bioFA import rules
from bioFA.errors import ModelError
from bioFA.rules.delta_rule import DeltaRule
from bioFA.rules.hebbian import Hebbian
from bioFA.rules.local_error import LocalError
from bioFA.rules.node_perturbation import NodePerturbation
from bioFA.rules.two_phase_plateau import TwoPhasePlateau

N_POST, N_PRE = 4, 3
DT = 1e-3


@pytest.fixture(params=rules.family.names())
def rule(request):
    return rules.family.get(request.param)(learning_rate=0.3)


@pytest.fixture
def surroundings(rule):
    """Synapses, presynaptic and postsynaptic variables: everything different everywhere."""
    rng = np.random.default_rng(5)
    return (
        {
            name: rng.normal(size=(N_POST, N_PRE))
            for name in ("w", *rule.state, *(["w_partner"] if rule.needs_partner else []))
        },
        {name: rng.uniform(0.5, 1.5, N_PRE) for name in rule.reads_pre},
        {name: rng.uniform(0.5, 1.5, N_POST) for name in rule.reads_post},
    )


def change(rule, synapses, pre, post, dt=DT, T=DT):
    return rule.step(synapses, pre, post, dt, T)["w"] - synapses["w"]


def changes(rule, synapses, pre, post):
    """Of the weight and of every trace, `(n_post, n_pre, variables)`."""
    new = rule.step(synapses, pre, post, DT, DT)
    return np.stack([new[name] - synapses[name] for name in ("w", *rule.state)], axis=-1)


def disturbed(variables, index):
    """The same, but neuron `index` does something else."""
    return {
        name: np.where(np.arange(len(values)) == index, -7.0 * values, values) for name, values in variables.items()
    }


def test_there_are_rules():
    assert {"local_error", "delta_rule", "node_perturbation"} <= set(rules.family.names())


def test_every_rule_names_its_source(rule):
    assert "Source:" in __import__(type(rule).__module__, fromlist=["_"]).__doc__


def test_a_synapse_changes(rule, surroundings):
    assert np.abs(change(rule, *surroundings)).min() > 1e-3


def test_the_step_leaves_its_arguments_alone(rule, surroundings):
    before = [{name: values.copy() for name, values in part.items()} for part in surroundings]
    rule.step(*surroundings, DT, DT)
    for part, kept in zip(surroundings, before, strict=True):
        for name in part:
            np.testing.assert_array_equal(part[name], kept[name])


def test_a_synapse_does_not_feel_other_postsynaptic_neurons(rule, surroundings):
    synapses, pre, post = surroundings
    before, after = changes(rule, synapses, pre, post), changes(rule, synapses, pre, disturbed(post, 1))
    others = np.arange(N_POST) != 1
    np.testing.assert_array_equal(after[others], before[others])
    assert np.all((after[1] != before[1]).any(axis=-1))


def test_a_synapse_does_not_feel_other_presynaptic_neurons(rule, surroundings):
    synapses, pre, post = surroundings
    before, after = changes(rule, synapses, pre, post), changes(rule, synapses, disturbed(pre, 2), post)
    others = np.arange(N_PRE) != 2
    np.testing.assert_array_equal(after[:, others], before[:, others])
    assert np.all((after[:, 2] != before[:, 2]).any(axis=-1)) or not rule.reads_pre


def test_a_synapse_does_not_feel_the_weight_of_another(rule, surroundings):
    synapses, pre, post = surroundings
    others = np.ones((N_POST, N_PRE), dtype=bool)
    others[1, 2] = False
    elsewhere = {name: np.where(others, values, values + 9.0) for name, values in synapses.items()}
    before, after = changes(rule, synapses, pre, post), changes(rule, elsewhere, pre, post)
    np.testing.assert_array_equal(after[others], before[others])


def test_relabelling_neurons_relabels_weights(rule, surroundings):
    synapses, pre, post = surroundings
    i, j = np.array([2, 0, 3, 1]), np.array([1, 2, 0])
    renamed = rule.step(
        {name: values[np.ix_(i, j)] for name, values in synapses.items()},
        {name: values[j] for name, values in pre.items()},
        {name: values[i] for name, values in post.items()},
        DT,
        DT,
    )
    as_before = rule.step(synapses, pre, post, DT, DT)
    for name in ("w", *rule.state):
        np.testing.assert_array_equal(renamed[name], as_before[name][np.ix_(i, j)])


def test_no_error_leaves_weights_unchanged(rule, surroundings):
    synapses, pre, post = surroundings
    if "error" not in rule.reads_post:
        pytest.skip(f"{type(rule).__name__} reads no error")
    np.testing.assert_array_equal(
        rule.step(synapses, pre, post | {"error": np.zeros(N_POST)}, DT, DT)["w"], synapses["w"]
    )


@pytest.mark.parametrize("dt", [1e-4, 1e-3, 0.02])
@pytest.mark.parametrize("steps", [1, 2, 50])
def test_the_learning_rate_does_not_depend_on_dt_or_on_the_length_of_a_presentation(rule, surroundings, dt, steps):
    synapses, pre, post = surroundings
    expected = change(rule, synapses, pre, post)  # a presentation of one step
    held = synapses
    for _ in range(steps):
        held = synapses | {"w": rule.step(held, pre, post, dt, steps * dt)["w"]}  # traces as they are
    np.testing.assert_allclose(held["w"] - synapses["w"], expected, rtol=1e-12)


def test_the_change_is_in_proportion_to_the_learning_rate(rule, surroundings):
    once, thrice = change(rule, *surroundings), change(rule.replace(learning_rate=0.9), *surroundings)
    np.testing.assert_allclose(thrice, 3 * once, rtol=1e-12)
    np.testing.assert_array_equal(change(rule.replace(learning_rate=0.0), *surroundings), np.zeros((N_POST, N_PRE)))


def test_without_an_error_a_decay_shrinks_each_weight_by_its_share_of_a_presentation(rule, surroundings):
    synapses, pre, post = surroundings
    if "decay" not in rule.parameters():
        pytest.skip(f"{type(rule).__name__} has no decay")
    rule, post, pre = (
        rule.replace(decay=0.2),
        post | {"error": np.zeros(N_POST)},
        pre | ({"carried": np.zeros(N_PRE)} if "carried" in pre else {}),
    )
    np.testing.assert_allclose(rule.step(synapses, pre, post, DT, DT)["w"], 0.8 * synapses["w"], rtol=1e-12)
    np.testing.assert_allclose(rule.step(synapses, pre, post, DT, 4 * DT)["w"], 0.95 * synapses["w"], rtol=1e-12)


def test_the_equation_uses_what_the_rule_says_it_reads(rule):
    assert set(re.findall(r"\b([a-z]\w*)_post\b", rule.equations)) == set(rule.reads_post)
    assert set(re.findall(r"\b([a-z]\w*)_pre\b", rule.equations)) == set(rule.reads_pre)


def test_the_equation_and_the_step_say_the_same(rule, surroundings):
    """The Brian2 string, read as plain arithmetic for one synapse after the other."""
    synapses, pre, post = surroundings
    rule, T = rule.replace(**dict.fromkeys(rule.parameters(), 0.3)), 5 * DT
    left, right = rule.equations.split(":")[0].split("=")
    assert left.strip() == "dw/dt"
    new = rule.step(synapses, pre, post, DT, T)
    found = new["w"] - synapses["w"]
    for i, j in np.ndindex(N_POST, N_PRE):
        names = {f"{name}_pre": values[j] for name, values in pre.items()} | {
            f"{name}_post": values[i] for name, values in post.items()
        }
        names |= {"T": T, **{name: values[i, j] for name, values in synapses.items()}, **rule.parameters()}
        assert found[i, j] == pytest.approx(DT * eval(right, names), rel=1e-12)
        for name, (drive, tau) in rule.filters().items():
            expected = names[name] * np.exp(-DT / names[tau]) + eval(drive, names) * (1 - np.exp(-DT / names[tau]))
            assert new[name][i, j] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("rule", "pre", "post", "expected"),
    [
        (DeltaRule(learning_rate=0.1), {"r": [2.0, -1.0]}, {"error": [3.0, 0.5]}, [[0.6, -0.3], [0.1, -0.05]]),
        (
            LocalError(learning_rate=0.1),
            {"r": [2.0, -1.0]},
            {"error": [3.0, 0.5], "gain": [0.5, 4.0]},
            [[0.3, -0.15], [0.4, -0.2]],
        ),
        (
            NodePerturbation(learning_rate=0.1),
            {"r": [2.0, -1.0]},
            {"error": [3.0, 3.0], "perturbation": [-1.0, 10.0]},
            [[-0.6, 0.3], [6.0, -3.0]],
        ),
        (
            TwoPhasePlateau(learning_rate=0.1),
            {"r": [2.0, -1.0]},
            {"change": [3.0, 0.5], "gain": [0.5, 4.0]},
            [[0.3, -0.15], [0.4, -0.2]],
        ),
        (Hebbian(learning_rate=0.1), {"carried": [2.0, -1.0]}, {"r": [3.0, 0.5]}, [[0.6, -0.3], [0.1, -0.05]]),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, rules.PlasticityRule) else "",
)
def test_a_rule_does_what_its_formula_says_with_numbers(rule, pre, post, expected):
    pre, post = ({name: np.array(values) for name, values in part.items()} for part in (pre, post))
    np.testing.assert_allclose(change(rule, {"w": np.zeros((2, 2))}, pre, post), expected)


MISMATCHES = {
    "superspike's membrane": (
        "pattern",
        {"circuit.schemes.fa.rule.tau_mem": "12 ms"},
        r"Superspike.tau_mem is 0.012, but it must be that of the postsynaptic neuron: Lif.tau of 'hidden' is 0.01",
    ),
    "superspike's rise": (
        "pattern",
        {"circuit.schemes.fa.rule.tau_rise": "6 ms"},
        (
            r"Superspike.tau_rise is 0.006, but it must be that of the error unit: VanRossumError.tau_rise of"
            r" 'mismatch' is 0.005"
        ),
    ),
    "the error's decay": (
        "pattern",
        {"circuit.error.tau_decay": "12 ms"},
        (
            r"Superspike.tau_decay is 0.01, but it must be that of the error unit: VanRossumError.tau_decay of"
            r" 'mismatch' is 0.012"
        ),
    ),
    "e-prop's readout": (
        "evidence",
        {"circuit.output.tau": "30 ms"},
        r"EProp.tau_readout is 0.02, but it must be that of the readout: LeakyRate.tau of 'output' is 0.03",
    ),
}


@pytest.mark.parametrize("case", MISMATCHES)
def test_parameters_that_must_agree_are_refused_with_both_places_where_they_do_not(case):
    model, changes, complaint = MISMATCHES[case]
    with pytest.raises(ModelError, match=complaint):
        _ = bioFA.load(model, changes).network


def test_populations_that_disagree_about_the_phases_of_a_presentation_are_refused():
    network = bioFA.load("digits_plateaus").network
    populations = tuple(
        p.replace(neuron=p.neuron.replace(settling=10e-3)) if p.name == "output" else p for p in network.populations
    )
    with pytest.raises(
        ModelError,
        match=r"population 'output': PyramidalOutput.settling is 0.01, but it must be that of 'hidden', 0.03",
    ):
        network.replace(populations=populations)
