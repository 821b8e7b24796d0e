"""Neuron models: what each states about itself is true, and each follows its equation."""

import inspect
import itertools
from typing import Literal, get_args, get_origin

import numpy as np
import pytest

from bioFA import neurons
from bioFA.neurons.activations import ACTIVATIONS
from bioFA.neurons.error_unit import ErrorUnit
from bioFA.neurons.leaky_rate import LeakyRate
from bioFA.neurons.static_rate import StaticRate

DT = 1e-3


def configurations(model):
    """The model in every combination of its choices."""
    choices = {}
    for name, field in model.model_fields.items():
        if field.annotation is bool:
            choices[name] = (False, True)
        elif get_origin(field.annotation) is Literal:
            choices[name] = get_args(field.annotation)
        elif name == "activation":
            choices[name] = tuple(ACTIVATIONS)
    return [model(**dict(zip(choices, values, strict=True))) for values in itertools.product(*choices.values())]


def called(neuron):
    chosen = [str(value) for name, value in neuron if not isinstance(value, float)]
    return "-".join([neuron.family_name, *chosen])


def evolving(neuron):
    """The part of the state that a differential equation describes."""
    return {line.split("/dt")[0].strip().removeprefix("d") for line in neuron.dynamics().splitlines()}


EVERY = [
    neuron
    for name in neurons.family.names()
    if not neurons.family.get(name).named_draws  # text and its sources: test_text_neurons.py, test_standard_neurons.py
    for neuron in configurations(neurons.family.get(name))
]
every_neuron = pytest.mark.parametrize("neuron", EVERY, ids=called)
every_computing_neuron = pytest.mark.parametrize("neuron", [n for n in EVERY if n.expressions()], ids=called)
every_stateful_neuron = pytest.mark.parametrize("neuron", [n for n in EVERY if n.state], ids=called)

FUNCTIONS = {
    "floor": np.floor,
    "tanh": np.tanh,
    "exp": np.exp,
    "log": np.log,
    "clip": np.clip,
    "inf": np.inf,
    "int": lambda condition: np.asarray(condition).astype(int),
}


def values_for(neuron, variable, values):
    """Everything that a published variable needs, computed in turn from ports and state."""
    for need in neuron.needs(variable):
        if need in neuron.publishes and need not in values:
            values[need] = getattr(neuron, need)(**values_for(neuron, need, values))
    return {need: values[need] for need in neuron.needs(variable)}


def surroundings(neuron, size=7):
    """Ports and state: some of it zero, some negative."""
    rng = np.random.default_rng(3)
    values = {
        name: np.append(0.0, rng.normal(size=size - 1)) if name != "gain" else rng.uniform(size=size)
        for name in (*neuron.ports, *neuron.state)
    }
    values |= {name: rng.uniform(size=size) for name in neuron.draws} | {"dt": DT, "time": 0.0}
    return values | ({neuron.shown: rng.uniform(-1.0, 6.0, size=size)} if neuron.shows == "task" else {})


def unshown(neuron):
    """What the neuron computes itself."""
    return [variable for variable in neuron.publishes if neuron.shows is None or variable != neuron.shown]


def test_there_are_neuron_models():
    assert {
        "lif",
        "adaptive_lif",
        "two_compartment_lif",
        "spiking_error_unit",
        "tonic_error_unit",
        "stochastic_sigmoid",
        "poisson_source",
        "latency_source",
        "bernoulli_source",
        "static_rate",
        "leaky_rate",
        "error_unit",
        "rate_source",
        "noise_source",
        "constant_source",
    } <= set(neurons.family.names())
    assert len(configurations(LeakyRate)) == 2 * len(ACTIVATIONS)


@every_neuron
def test_a_published_variable_is_computed_from_ports_state_and_published_variables(neuron):
    assert neuron.publishes
    for variable in neuron.publishes:
        assert inspect.isfunction(getattr(type(neuron), variable))
        known = {*neuron.ports, *neuron.known(), *neuron.publishes} - {variable}
        assert set(neuron.needs(variable)) <= known


@every_neuron
def test_ports_state_and_published_variables_have_different_names(neuron):
    names = [*neuron.ports, *neuron.known(), *neuron.publishes, *neuron.parameters()]
    assert len(names) == len(set(names))
    assert {*neuron.required_ports(), *neuron.unread_ports()} <= set(neuron.ports)
    assert not set(neuron.required_ports()) & set(neuron.unread_ports())


@every_neuron
def test_a_neuron_either_computes_or_is_shown_something(neuron):
    if neuron.shows is None:
        assert set(neuron.expressions()) == set(neuron.publishes)
    else:
        assert not neuron.ports
        assert neuron.shown in neuron.publishes
        assert set(neuron.expressions()) == set(neuron.publishes) - {neuron.shown}
        assert set(neuron.events) <= set(neuron.publishes)


@every_computing_neuron
def test_the_brian_expression_and_the_method_say_the_same(neuron):
    values = surroundings(neuron)
    for variable in unshown(neuron):
        values[variable] = getattr(neuron, variable)(**values_for(neuron, variable, values))
    for variable, expression in neuron.expressions().items():
        needed = {name: values[name] for name in (*neuron.ports, *neuron.known(), *neuron.publishes)}
        found = np.broadcast_to(eval(expression, FUNCTIONS | neuron.parameters() | needed), values[variable].shape)
        np.testing.assert_allclose(found, values[variable], rtol=1e-14, atol=1e-15, err_msg=variable)


@every_computing_neuron
def test_a_method_gives_a_new_array(neuron):
    values = surroundings(neuron)
    for variable in unshown(neuron):
        needed = values_for(neuron, variable, values)
        before = {name: np.copy(array) for name, array in needed.items()}
        found = getattr(neuron, variable)(**needed)
        found += 1.0
        for name, array in needed.items():
            np.testing.assert_array_equal(array, before[name])


@every_neuron
def test_state_and_dynamics_go_together(neuron):
    if neuron.state:
        kept = set(neuron.state) - evolving(neuron)
        assert evolving(neuron) <= set(neuron.state)
        assert kept <= {
            line.split("=")[0].strip() for line in (*neuron.arrival().splitlines(), *neuron.spiking().splitlines())
        }
    else:
        assert not neuron.dynamics()
        assert not neuron.advance({}, {}, DT)


@every_stateful_neuron
def test_a_small_step_follows_the_differential_equation(neuron):
    values = surroundings(neuron) | {name: np.zeros(7) for name in set(neuron.state) - evolving(neuron)}
    if "v" in evolving(neuron):
        # nothing arrives at once, nobody spikes
        values |= {"drive": np.zeros(7), "v": np.linspace(-1.0, 0.9, 7), "a": np.linspace(0.0, 1.0, 7)}
    for variable in unshown(neuron):
        values[variable] = getattr(neuron, variable)(**values_for(neuron, variable, values))
    state, now = ({name: values[name] for name in part} for part in (neuron.state, (*neuron.ports, *neuron.publishes)))
    after = neuron.advance(state, now, 1e-9)
    for line in neuron.dynamics().splitlines():
        left, right = line.split(":")[0].split("=")
        name = left.split("/dt")[0].strip().removeprefix("d")
        np.testing.assert_allclose(
            (after[name] - state[name]) / 1e-9,
            eval(right, FUNCTIONS | neuron.parameters() | values),
            rtol=1e-5,
            atol=1e-5,
        )


def leaky_after(decay, dt, time, tau=10e-3):
    """A leaky unit at 0.5 under a drive of 2 for a while."""
    neuron, u = LeakyRate(tau=tau, decay=decay), {"u": np.array([0.5])}
    for _ in range(round(time / dt)):
        u = neuron.advance(u, {"drive": np.array([2.0])}, dt)
    return u["u"][0]


@pytest.mark.parametrize("dt", [1e-3, 5e-3, 20e-3])
def test_a_leaky_unit_with_exact_decay_is_on_the_closed_form_at_any_step(dt):
    assert leaky_after("exact", dt, 40e-3) == pytest.approx(2.0 - 1.5 * np.exp(-4.0), rel=1e-13)


def test_a_leaky_unit_with_euler_decay_approaches_the_closed_form_in_proportion_to_the_step():
    closed = 2.0 - 1.5 * np.exp(-2.0)
    coarse, fine, finest = (abs(leaky_after("euler", dt, 20e-3) - closed) for dt in (0.4e-3, 0.2e-3, 0.1e-3))
    assert finest < 3e-3
    assert coarse / fine == pytest.approx(2.0, rel=0.05)
    assert fine / finest == pytest.approx(2.0, rel=0.05)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_gain_is_the_derivative_of_the_rate(name):
    activation, step = ACTIVATIONS[name], 1e-6
    u = np.array([-5.0, -1.3, -0.2, -1e-3, 1e-3, 0.4, 2.0, 6.0])
    slope = (activation.rate(u + step) - activation.rate(u - step)) / (2 * step)
    np.testing.assert_allclose(activation.gain(activation.rate(u)), slope, rtol=1e-6, atol=1e-10)


@pytest.mark.parametrize(
    ("name", "at_zero", "below", "above"),
    [("tanh", 0.0, -1.0, 1.0), ("logistic", 0.5, 0.0, 1.0), ("rectified", 0.0, 0.0, 1000.0)],
)
def test_an_activation_saturates_without_overflow(name, at_zero, below, above):
    with np.errstate(all="raise"):
        np.testing.assert_allclose(
            ACTIVATIONS[name].rate(np.array([0.0, -1000.0, 1000.0])), [at_zero, below, above], atol=1e-300
        )


@pytest.mark.parametrize("model", [StaticRate, LeakyRate])
def test_what_is_passed_on_is_the_error_times_the_gain(model):
    assert model(activation="tanh").delta(np.array([2.0, -3.0]), np.array([0.5, 0.1])) == pytest.approx([1.0, -0.3])


@pytest.mark.parametrize(("carries_gain", "expected"), [(False, [0.5, -2.0]), (True, [0.05, -0.6])])
def test_an_error_unit_sends_the_mismatch_and_the_gain_only_if_it_carries_it(carries_gain, expected):
    unit = ErrorUnit(carries_gain=carries_gain)
    mismatch = unit.mismatch(target=np.array([1.0, 0.0]), prediction=np.array([0.5, 2.0]))
    assert unit.r(mismatch, np.array([0.1, 0.3])) == pytest.approx(expected)
    assert unit.loss(mismatch) == pytest.approx([0.125, 2.0])
    assert ("gain" in unit.required_ports()) is carries_gain
    assert ("gain" in unit.unread_ports()) is not carries_gain
