"""The compiled network is the reference network: every weight, state and record, on the same instance."""

import numpy as np
import pytest
import systems

import bioFA
from bioFA import neurons, rules
from bioFA.consumers.reference import Reference
from bioFA.instance import draw
from bioFA.neurons.lif import Lif
from bioFA.neurons.spiking_error_unit import SpikingErrorUnit
from bioFA.neurons.stochastic_sigmoid import StochasticSigmoid
from bioFA.neurons.two_compartment_lif import TwoCompartmentLif
from bioFA.rules.delta_rule import DeltaRule
from bioFA.rules.event_driven_random_backpropagation import EventDrivenRandomBackpropagation
from bioFA.rules.local_error import LocalError
from bioFA.rules.node_perturbation import NodePerturbation
from bioFA.runs.simulation import consumer
from bioFA.verification.backends import TOLERANCE, verify

pytestmark = pytest.mark.compiled

CASES = [(model, scheme) for model in ("linear", "nonlinear", "digits", "leaky") for scheme in ("fa", "bp")] + [
    ("linear", "np"),
    ("linear", "shallow"),
    ("minimal", "fa"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("model", "scheme"), CASES)
def test_a_built_in_model_of_rates_agrees_over_2000_steps_and_more(model, scheme):
    # presentations of 80 steps each in the leaky one
    presentations = 400 if model == "leaky" else 2000
    outcome = verify(bioFA.load(model).with_scheme(scheme), seed=3, presentations=presentations)
    assert outcome.agrees
    assert outcome.max_abs_difference <= 1e-10
    assert max(outcome.recorded.values()) <= 1e-9
    assert any(moved > 1e-3 for moved in outcome.moved.values())


@pytest.mark.slow
# test_mnist.py, test_networks.py
@pytest.mark.parametrize(
    "model",
    [
        m
        for m in bioFA.builtin_models()
        if m not in {model for model, _ in CASES} and not m.startswith("mnist") and not bioFA.load(m).free
    ],
)
def test_every_other_built_in_model_agrees(model):
    experiment = bioFA.load(model)
    some = min(20, max(3, 1500 // experiment.protocol.steps))
    outcome = verify(experiment, seed=3, presentations=2000 if experiment.network.is_static() else some)
    assert outcome.agrees, str(outcome)
    assert any(moved > 1e-3 for moved in outcome.moved.values())
    for population, (spikes, different) in outcome.spikes.items():
        assert spikes > 0, population
        assert different == 0


def test_every_neuron_model_and_rule_is_compared():
    """By `systems.ALL`, but for those that text makes (test_own_parts.py, test_standard_neurons.py), the
    rate limit of `lif` (test_rate_limit.py), and weight perturbation (test_schemes.py)."""
    models = {type(p.neuron) for e in systems.ALL for p in e.network.populations}
    learning = {type(p.plasticity) for e in systems.ALL for p in e.network.plastic()}
    parts = {name: neurons.family.get(name) for name in neurons.family.names()}
    assert {name for name, part in parts.items() if part not in models and not part.named_draws} == {
        "equation",
        "lif_rate",
    }
    assert {name for name in rules.family.names() if rules.family.get(name) not in learning} == {
        "equation",
        "weight_perturbation",
    }


@pytest.mark.parametrize("experiment", systems.EACH)
def test_every_kind_of_part_agrees(experiment):
    outcome = verify(experiment, seed=1, presentations=60 if experiment.network.is_static() else 10)
    assert outcome.agrees, str(outcome)
    assert max(outcome.recorded.values()) <= TOLERANCE
    assert {"hidden.u", "answer.u"} <= set(outcome.differences) or experiment.name != "mixed_tissue"


@pytest.mark.slow
@pytest.mark.parametrize("experiment", [e for e in systems.ALL if not e.network.is_static()], ids=lambda e: e.name)
def test_every_kind_of_neuron_with_a_state_agrees_over_60_presentations(experiment):
    outcome = verify(experiment, seed=1, presentations=60)
    assert outcome.agrees, str(outcome)
    assert max(outcome.recorded.values()) <= TOLERANCE


@pytest.mark.parametrize(
    ("rule", "scheme", "pathway"),
    [
        (LocalError, "fa", "input_to_hidden.w"),
        pytest.param(DeltaRule, "fa", "hidden_to_output.w", marks=pytest.mark.slow),
        pytest.param(NodePerturbation, "np", "input_to_hidden.w", marks=pytest.mark.slow),
    ],
)
def test_a_flipped_sign_in_a_rule_is_caught_and_its_pathway_named(rule, scheme, pathway, monkeypatch):
    monkeypatch.setattr(rule, "equations", rule.equations.replace("= learning_rate", "= -learning_rate"))
    outcome = verify(bioFA.load("linear").with_scheme(scheme), presentations=50)
    assert not outcome.agrees
    assert next(iter(outcome.first_excess)) == pathway or pathway in outcome.first_excess
    assert pathway in str(outcome)
    assert "DIFFER" in str(outcome)


@pytest.mark.slow
def test_a_wrong_activation_is_caught(monkeypatch):
    from bioFA.neurons.activations import ACTIVATIONS, Activation

    right = ACTIVATIONS["tanh"]
    monkeypatch.setitem(
        ACTIVATIONS, "tanh", Activation(right.rate, right.gain, right.rate_expression, "1 - r", right.signed)
    )
    assert not verify(systems.deep("tanh", "fa"), presentations=20).agrees


FAULTS = {
    "a dropped filter": (Lif, "expressions", lambda right: lambda self: right(self) | {"r": "train"}),
    "a drive of the wrong sign": (Lif, "arrival", lambda right: lambda self: "I += -drive*dt/tau_syn"),
    "no reset": (
        Lif,
        "spiking",
        lambda right: lambda self: right(self).replace("v = v*(1 - fired)", "v = v + 0*(1 - fired)"),
    ),
    "no refractoriness": (
        Lif,
        "spiking",
        lambda right: lambda self: right(self).replace("floor(refractory_period/dt + 0.5)", "0"),
    ),
    "a proxy without its slope": (
        Lif,
        "expressions",
        lambda right: lambda self: right(self) | {"gain": "1.0*int(I > 0)"},
    ),
    "chance turned round": (
        StochasticSigmoid,
        "expressions",
        lambda right: lambda self: right(self) | {"s": "1.0*int(chance > 1 - rate*max_rate*dt)"},
    ),
}


EVENT_FAULTS = {
    "errors of the wrong sign": (
        SpikingErrorUnit,
        "expressions",
        lambda right: lambda self: right(self) | {"train": "s/(unit_rate*dt)"},
    ),
    "errors without a bound": (
        SpikingErrorUnit,
        "spiking",
        lambda right: lambda self: right(self).replace("0, inf", "-inf, inf"),
    ),
    "a dropped dendrite": (
        TwoCompartmentLif,
        "expressions",
        lambda right: lambda self: right(self) | {"dendrite": "error"},
    ),
    "an open gate": (EventDrivenRandomBackpropagation, "equations", lambda right: right.replace("* gain_post ", "")),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", [*FAULTS, *EVENT_FAULTS])
def test_a_fault_in_a_spiking_neuron_is_caught(fault, monkeypatch):
    model, name, broken = {**FAULTS, **EVENT_FAULTS}[fault]
    monkeypatch.setattr(model, name, broken(getattr(model, name)))
    outcome = verify(systems.SPIKING[2 if fault in EVENT_FAULTS else 0], presentations=10)
    assert not outcome.agrees
    assert "DIFFER" in str(outcome)


def test_learning_off_changes_no_weight_in_either():
    instance = draw(bioFA.load("linear"), 1)
    for backend in ("numpy", "cpp"):
        segment = consumer(instance, backend).segment(
            instance.state, instance.evaluation("test"), learning=False, every=1
        )
        for name, array in instance.state.items():
            np.testing.assert_array_equal(segment.state[name], array)
        assert len(segment.recording.at) == 500


def test_two_segments_are_one_long_segment_bit_for_bit():
    instance = draw(bioFA.load("linear").with_scheme("np"), 2)
    for runner in (Reference(instance), consumer(instance, "cpp")):
        whole = runner.segment(instance.state, instance.training(0, 700), learning=True)
        first = runner.segment(instance.state, instance.training(0, 300), learning=True)
        second = runner.segment(first.state, instance.training(300, 700), learning=True)
        for name, array in whole.state.items():
            np.testing.assert_array_equal(second.state[name], array)


def test_recording_more_does_not_change_the_weights():
    plain = bioFA.load("linear")
    curious = plain.replace(record=bioFA.Record(variables=("hidden.r", "mismatch.loss"), every=1))
    results = [bioFA.simulate(experiment, seed=1) for experiment in (plain, curious)]
    for name, array in results[0].state.items():
        np.testing.assert_array_equal(results[1].state[name], array)
    assert results[1].recording.arrays["hidden.r"].shape == (2000, 20)


def test_cpp_and_numpy_results_tell_the_same_story():
    by = {backend: bioFA.simulate(bioFA.load("linear"), seed=4, backend=backend) for backend in ("cpp", "numpy")}
    assert by["cpp"].metrics["test_nse"] == pytest.approx(by["numpy"].metrics["test_nse"], rel=1e-6)
    assert by["cpp"].alignment["mismatch_to_hidden"] == pytest.approx(
        by["numpy"].alignment["mismatch_to_hidden"], abs=1e-9
    )
    np.testing.assert_allclose(by["cpp"].learning_curve, by["numpy"].learning_curve, rtol=1e-6, atol=1e-20)
