"""Symmetric feedback is the gradient: every change of weight against finite differences of a loss.

The loss is found by running the network forwards with one weight moved, so nothing of the backward
sweep is trusted.
"""

import numpy as np
import pytest

from bioFA.consumers.reference import Reference
from bioFA.experiment import Experiment, Protocol
from bioFA.instance import draw
from bioFA.measures.record import Record
from bioFA.neurons.activations import ACTIVATIONS
from bioFA.neurons.error_unit import ErrorUnit
from bioFA.neurons.static_rate import StaticRate
from bioFA.rules.delta_rule import DeltaRule
from bioFA.rules.local_error import LocalError
from bioFA.rules.node_perturbation import NodePerturbation as NodePerturbationRule
from bioFA.schemes import Layered
from bioFA.schemes.backpropagation import Backpropagation
from bioFA.schemes.node_perturbation import NodePerturbation
from bioFA.tasks.linear_teacher import LinearTeacher
from bioFA.weights import Normal

SCHEMES = {
    "bp": Backpropagation(rule=LocalError(learning_rate=1.0), readout_rule=DeltaRule(learning_rate=1.0)),
    "np": NodePerturbation(
        rule=NodePerturbationRule(learning_rate=1e-9), readout_rule=DeltaRule(learning_rate=1e-9), sigma=1e-3
    ),
}


def network(hidden="tanh", output="linear", carries_gain=False, scheme="bp", presentations=1):
    """Two hidden layers and biases; learning rate 1, so that the change of one presentation is the step itself."""
    circuit = Layered(
        sizes=(4, 5, 3, 2),
        hidden=StaticRate(activation=hidden),
        output=StaticRate(activation=output),
        error=ErrorUnit(carries_gain=carries_gain),
        biases=True,
        weights=(Normal(scale=0.5),),
        bias_weights=Normal(scale=0.3),
        scheme=scheme,
        schemes=SCHEMES,
    )
    return Experiment(
        name="gradient", circuit=circuit, task=LinearTeacher(n_in=4, n_out=2, examples=1, test_examples=1),
        protocol=Protocol(epochs=presentations), record=Record(variables=("mismatch.loss",)),
    )


def changes(experiment, seed=1):
    """By pathway: what learning did to the weights, and what finite differences of a loss say that descent would do."""
    instance = draw(experiment, seed)
    after = (
        Reference(instance).segment(instance.state, instance.training(0, instance.presentations()), learning=True).state
    )
    names = [f"{pathway.name}.w" for pathway in instance.network.plastic()]
    assert len(names) == 6
    return {name: after[name] - instance.state[name] for name in names}


def descent(experiment, loss, seed=1, step=1e-5):
    """Minus the gradient of `loss(recording, targets)`, by central differences, for every weight that learns."""
    instance = draw(experiment, seed)
    reference, feed, targets = Reference(instance), instance.training(0, 1), instance.data.train.targets[0]

    def at(name, index, shift):
        state = {key: array.copy() for key, array in instance.state.items()}
        state[name][index] += shift
        return loss(
            {key: array[0] for key, array in reference.segment(state, feed, learning=False).recording.arrays.items()},
            targets,
        )

    return {
        name: (
            np.array(
                [(at(name, i, -step) - at(name, i, step)) / (2 * step) for i in np.ndindex(instance.state[name].shape)]
            ).reshape(instance.state[name].shape)
        )
        for name in (f"{pathway.name}.w" for pathway in instance.network.plastic())
    }


def squared_error(recorded, targets):
    return 0.5 * np.sum((targets - recorded["output.r"]) ** 2)


def cross_entropy(recorded, targets):
    return -np.sum(targets * np.log(recorded["output.r"]) + (1 - targets) * np.log(1 - recorded["output.r"]))


def differences(found, expected):
    """By pathway, the norm of the difference over the norm of what was expected."""
    assert all(np.abs(array).max() > 1e-3 for array in expected.values())
    return {name: np.linalg.norm(found[name] - expected[name]) / np.linalg.norm(expected[name]) for name in expected}


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_symmetric_feedback_with_a_linear_readout_is_the_gradient_of_the_squared_error(activation, seed):
    experiment = network(hidden=activation)
    off = differences(changes(experiment, seed), descent(experiment, squared_error, seed))
    assert max(off.values()) < 1e-6, off


@pytest.mark.parametrize("activation", ["tanh", "logistic", "rectified"])
def test_with_another_readout_it_is_the_gradient_if_the_error_unit_carries_the_gain(activation):
    experiment = network(output=activation, carries_gain=True)
    off = differences(changes(experiment, 3), descent(experiment, squared_error, 3))
    assert max(off.values()) < 1e-6, off


@pytest.mark.parametrize("activation", ["tanh", "logistic"])
def test_without_the_gain_it_is_not_the_gradient_of_the_squared_error(activation):
    experiment = network(output=activation, carries_gain=False)
    off = differences(changes(experiment), descent(experiment, squared_error))
    assert min(off.values()) > 0.05, off


def test_a_logistic_readout_without_the_gain_descends_the_cross_entropy():
    experiment = network(output="logistic", carries_gain=False)
    off = differences(changes(experiment), descent(experiment, cross_entropy))
    assert max(off.values()) < 1e-6, off


def test_a_logistic_readout_with_the_gain_does_not_descend_the_cross_entropy():
    experiment = network(output="logistic", carries_gain=True)
    off = differences(changes(experiment), descent(experiment, cross_entropy))
    assert min(off.values()) > 0.05, off


def test_the_loss_that_is_broadcast_is_half_the_squared_error():
    experiment = network()
    instance = draw(experiment, 1)
    recorded = Reference(instance).segment(instance.state, instance.training(0, 1), learning=False).recording.arrays
    assert recorded["mismatch.loss"].sum() == pytest.approx(
        squared_error({"output.r": recorded["output.r"][0]}, instance.data.train.targets[0])
    )


def test_node_perturbation_follows_the_gradient_on_average():
    def off_the_gradient(presentations):
        found, expected = changes(network(scheme="np", presentations=presentations)), changes(network(scheme="bp"))
        mean = {name: array / (1e-9 * presentations) for name, array in found.items()}
        hidden = [name for name in mean if "to_output" not in name]
        assert len(hidden) == 4
        for name in set(mean) - set(hidden):  # the readout has the error itself
            np.testing.assert_allclose(mean[name], expected[name], rtol=1e-4)
        a, b = (np.concatenate([changed[name].ravel() for name in hidden]) for changed in (mean, expected))
        return np.degrees(np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b))), np.linalg.norm(a) / np.linalg.norm(
            b
        )

    few, many = off_the_gradient(40), off_the_gradient(4000)
    assert many[0] < 7 < few[0]
    assert many[1] == pytest.approx(1.0, abs=0.1)
