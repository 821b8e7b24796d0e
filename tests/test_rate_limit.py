"""Spikes against the rate network: averages approach its prediction as 1/sqrt(T),
and what breaks both consumers alike is caught here."""

from functools import lru_cache

import numpy as np
import pytest
import systems
from tiers import first_of

import bioFA
from bioFA import ModelError, schemes
from bioFA.components import headline
from bioFA.consumers.reference import Reference
from bioFA.instance import draw
from bioFA.neurons.leaky_rate import LeakyRate
from bioFA.neurons.lif import Lif
from bioFA.neurons.static_rate import StaticRate
from bioFA.neurons.stochastic_sigmoid import StochasticSigmoid
from bioFA.rules.local_error import LocalError
from bioFA.show.model_card import card
from bioFA.verification import rate_limit
from bioFA.verification.backends import verify

SMALL = {"circuit.sizes": [6, 8, 10], "task.n_in": 6, "task.n_out": 10, "task.examples": 40, "task.test_examples": 10}


@lru_cache
def small():
    return bioFA.load("linear_spiking", SMALL)


def averages():
    """Of so few windows only the bias tells."""
    instance = draw(small(), 2)
    weights = {name: array for name, array in instance.state.items() if name.endswith(".w")}
    return {q.name: q for q in rate_limit.converge(small(), instance, weights, Reference)}


FAULTS = {
    "a gain of the wrong sign": (
        StochasticSigmoid,
        "gain",
        lambda right: lambda self, rate: -right(self, rate),
        "input_to_hidden change",
    ),
    "a gain left out": (
        StochasticSigmoid,
        "gain",
        lambda right: lambda self, rate: np.ones_like(rate),
        "input_to_hidden change",
    ),
    "a rate twice too high": (
        StochasticSigmoid,
        "s",
        lambda right: lambda self, rate, chance, dt: right(self, np.minimum(2 * rate, 1.0), chance, dt),
        "hidden.r",
    ),
    "a rule without 1/T": (
        LocalError,
        "step",
        lambda right: lambda self, synapses, pre, post, dt, T: right(self, synapses, pre, post, dt, 1.0),
        "input_to_hidden change",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_gross_fault_that_both_consumers_share_shows_in_the_bias(fault, monkeypatch):
    model, method, broken, name = FAULTS[fault]
    monkeypatch.setattr(rate_limit, "WINDOWS", 16)
    right = averages()[name].bias
    monkeypatch.setattr(model, method, broken(getattr(model, method)))
    quantity = averages()[name]
    assert quantity.bias > max(0.5, 2 * right)
    assert f"bias {quantity.bias:.3f}" in str(quantity)


def test_a_bias_of_any_size_is_printed_and_decides_nothing():
    rng = np.random.default_rng(1)
    shifted = rate_limit._quantity("x", 3.0 + rng.normal(size=(rate_limit.WINDOWS, 20)), np.ones(20))
    assert shifted.bias == pytest.approx(2.0, abs=0.1)
    assert shifted.holds
    assert "OUTSIDE" not in str(shifted)


@pytest.mark.slow
def test_at_the_spikes_own_errors_backpropagation_in_spikes_points_more_along_the_gradient():
    """Of the readout, whose rule knows no gain, as of the hidden layer:
    what grows in training is how far the errors of the two networks are apart."""
    spiking = bioFA.load("digits_spiking", {"circuit.sizes": [64, 40, 10], "task.name": "digits"}).with_scheme("bp")
    instance = draw(spiking, 3)
    runner = Reference(instance)
    trained = runner.segment(instance.state, instance.training(0, 150), True, only=()).state
    weights = {name: array for name, array in trained.items() if name.endswith(".w")}
    at_its_own, at_theirs = rate_limit.update_angles(spiking, instance, weights, runner)
    assert set(at_its_own) == set(at_theirs) == {p.name for p in spiking.network.plastic()}
    for pathway in at_theirs:
        assert at_theirs[pathway] < 60
        assert at_theirs[pathway] < at_its_own[pathway]


def test_correlated_windows_have_no_slope_of_a_half():
    rng = np.random.default_rng(1)
    drifting = np.cumsum(rng.normal(size=(rate_limit.WINDOWS, 20)), axis=0)
    drifted = rate_limit._quantity("x", drifting, np.ones(20))
    assert not drifted.holds
    assert "OUTSIDE" in str(drifted)
    independent = 1.0 + rng.normal(size=(rate_limit.WINDOWS, 20))
    assert rate_limit._quantity("x", independent, np.ones(20)).holds


def test_a_rate_network_has_the_settled_unit_of_every_neuron():
    network = rate_limit.rate_network(small().network)
    assert isinstance(network.population("hidden").neuron, StaticRate)
    assert network.population("hidden").neuron.activation == "logistic"
    assert network.pathway("hidden_to_output").carries == "r"
    assert network.is_static()
    assert LeakyRate(activation="tanh").rate_unit() == StaticRate(activation="tanh")


@pytest.mark.parametrize("drive", first_of(1.2, 0.5, 3.0))
def test_the_rate_unit_of_a_lif_neuron_has_its_rate(drive):
    neuron = Lif(refractory_period="3 ms", v_reset=-0.3, unit_rate="50 Hz")
    state = {name: np.full(1, value) for name, value in neuron.state.items()}
    spikes = 0.0
    for _ in range(40_000):
        state = neuron.advance(state, {"drive": np.full(1, drive), "train": np.zeros(1)}, 1e-4)
        spikes += state["fired"][0]
    assert neuron.rate_unit().r(np.array([drive]))[0] == pytest.approx(spikes / 4.0 / 50.0, abs=0.02)


def test_a_lif_neuron_whose_gain_is_no_slope_of_its_rate_curve_has_no_rate_unit():
    assert Lif(surrogate="fast_sigmoid").rate_unit() is None
    assert Lif(surrogate="rate").rate_unit() is not None


def test_a_network_without_a_rate_network_is_said_to_have_none():
    outcome = rate_limit.compare_with_rates(systems.SPIKING[0], 1, Reference)
    assert outcome.holds
    assert "carries 's'" in outcome.reason
    assert "Not compared" in str(outcome)


def test_signed_values_in_one_population_of_spikes_are_refused():
    signed = bioFA.load("linear_spiking", SMALL | {"circuit.input": {"name": "poisson_source"}})
    instance = draw(signed, 1)
    with pytest.raises(ModelError, match="negative values"):
        rate_limit.converge(signed, instance, instance.state, Reference)


@pytest.mark.compiled
def test_verify_tells_of_spikes_averages_and_angles():
    outcome = verify(small(), presentations=40, limit=True)
    assert outcome.passes, str(outcome)
    assert outcome.agrees
    assert outcome.spikes["hidden"][0] > 1000
    assert set(outcome.limit.angles) == set(outcome.limit.own_angles) == {0, 20, 40}
    assert set(outcome.summary()["rate_limit"]["update_angles_at_own_errors"]["40"]) == {
        p.name for p in small().network.plastic()
    }
    assert outcome.limit.angles[0]["hidden_to_output"] < 60
    found = {quantity.name: quantity for quantity in outcome.limit.quantities}
    assert set(found) == {"hidden.r", "hidden.error", *(f"{p.name} change" for p in small().network.plastic())}
    assert found["hidden.r"].bias < 0.05
    assert all(quantity.differences[-1] < 0.6 * quantity.differences[0] for quantity in found.values())
    assert outcome.summary()["rate_limit"]["averages"]["hidden.r"]["holds"]


@pytest.mark.slow
def test_backpropagation_in_spikes_is_said_to_be_no_gradient_of_the_spiking_network():
    spiking = small().replace(protocol=small().protocol.replace(presentations=5))
    printed = {
        scheme: str(bioFA.simulate(spiking.with_scheme(scheme), seed=1, backend="numpy")) for scheme in ("bp", "fa")
    }
    assert "not the gradient of the spiking network" in printed["bp"]
    assert "not the gradient" not in printed["fa"]
    assert not bioFA.load("linear").with_scheme("bp").circuit.caveats()
    assert "in spikes" in headline(schemes.family.get("bp"))
    assert spiking.with_scheme("bp").circuit.caveats()[0] in {
        row[1] for table in card(spiking.with_scheme("bp")) for row in table.rows if len(row) > 1
    }
    instance = draw(spiking.with_scheme("bp"), 1)
    outcome = verify(spiking.with_scheme("bp"), presentations=5, against=Reference(instance))
    assert "not the gradient" in str(outcome)
    assert outcome.summary()["notes"] == list(spiking.with_scheme("bp").circuit.caveats())
