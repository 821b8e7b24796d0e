"""Conditions that are the same network by construction: those whose trajectories are equal, bit for bit,
and no others."""

import itertools

import numpy as np
import pytest

from bioFA import schemes
from bioFA.consumers.reference import Reference
from bioFA.experiment import Experiment, Protocol
from bioFA.instance import draw, identical
from bioFA.neurons.static_rate import StaticRate
from bioFA.rules.local_error import LocalError
from bioFA.schemes import Layered
from bioFA.tasks.tanh_teacher import TanhTeacher
from bioFA.weights import Normal

DEPTHS = {"one hidden layer": (4, 5, 3), "two hidden layers": (4, 5, 6, 3)}
PRESENTATIONS = 12


def instance(scheme, sizes, seed=1, **circuit):
    """A small tanh network whose own scheme is `fa`, under a scheme that inherits its rates; in two learning rates,
    so that layers differ."""
    own = {"rule": LocalError(learning_rate=0.2), "readout_rule": {"name": "delta_rule", "learning_rate": 0.1}}
    fields = {
        "sizes": sizes,
        "hidden": StaticRate(activation="tanh"),
        "biases": True,
        "weights": (Normal(scale=0.5),),
        "bias_weights": Normal(scale=0.3),
        "feedback": (Normal(),),
        "schemes": {"fa": own},
    }
    experiment = Experiment(
        name="small",
        circuit=Layered(**fields | circuit),
        task=TanhTeacher(sizes_of_teacher=(sizes[0], sizes[-1]), examples=PRESENTATIONS, test_examples=1),
        protocol=Protocol(),
    )
    return draw(experiment if scheme == "fa" else experiment.with_scheme(scheme), seed)


def trajectory(given):
    """Answers in every presentation, and the forward weights at the end, by the population that they enter."""
    network = given.network
    end = Reference(given).segment(given.state, given.training(0, PRESENTATIONS), learning=True, every=1)
    forward = [end.state[f"{p.name}.w"] for p in network.owners() if p.port == "drive" and f"{p.name}.w" in end.state]
    return [end.recording.arrays[str(network.readout)], *forward]


@pytest.fixture(scope="module", params=DEPTHS)
def runs(request):
    """Every scheme on one circuit: its instance and its trajectory."""
    given = {scheme: instance(scheme, DEPTHS[request.param]) for scheme in schemes.family.names()}
    return request.param, {scheme: (one, trajectory(one)) for scheme, one in given.items()}


def test_two_schemes_are_identical_where_their_trajectories_are_equal_bit_for_bit_and_only_there(runs):
    depth, found = runs
    same = set()
    for (a, (first, one)), (b, (second, other)) in itertools.combinations(found.items(), 2):
        equal = len(one) == len(other) and all(np.array_equal(x, y) for x, y in zip(one, other, strict=True))
        assert (
            identical(first.experiment, second.experiment, 1)
            == identical(second.experiment, first.experiment, 1)
            == equal
        ), (a, b)
        same |= {(a, b)} if equal else set()
    chain = {"dfa", "fa", "ifa", "lfa"} if depth == "one hidden layer" else set()
    assert same == set(itertools.combinations(sorted(chain), 2))


def test_identical_networks_are_told_whatever_their_pathways_are_called():
    one = instance("fa", (4, 5, 3), feedback=(Normal(scale=0.0, mean=0.3),))
    network = one.network
    renamed = network.replace(pathways=tuple(
        p.replace(name="error_to_hidden") if p.name == "mismatch_to_hidden" else p for p in network.pathways
    ))
    given = draw(one.experiment.replace(circuit=network), 1)
    other = draw(one.experiment.replace(circuit=renamed), 1)
    assert identical(given.experiment, other.experiment, 1)
    assert all(np.array_equal(x, y) for x, y in zip(trajectory(given), trajectory(other), strict=True))


def test_a_pathway_of_another_name_draws_other_weights_and_is_another_network():
    network = instance("fa", (4, 5, 3)).network
    renamed = network.replace(
        pathways=tuple(
            p.replace(name="error_to_hidden") if p.name == "mismatch_to_hidden" else p for p in network.pathways
        )
    )
    plain = instance("fa", (4, 5, 3)).experiment
    assert not identical(plain.replace(circuit=network), plain.replace(circuit=renamed), 1)


@pytest.mark.parametrize(
    "change",
    [
        {
            "schemes": {
                "fa": {
                    "rule": LocalError(learning_rate=0.2001),
                    "readout_rule": {"name": "delta_rule", "learning_rate": 0.1},
                }
            }
        },
        {"weights": (Normal(scale=0.5001),)},
        {"feedback": (Normal(scale=1.001),)},
        {"hidden": StaticRate(activation="logistic")},
        {"biases": False},
        {"learning": {"batch": 2}},
        {"density": 0.9},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_rate_weight_neuron_or_way_of_learning_is_another_network(change):
    one, other = instance("fa", (4, 5, 3)), instance("dfa", (4, 5, 3), **change)
    assert not identical(one.experiment, other.experiment, 1)
    assert identical(instance("fa", (4, 5, 3), **change).experiment, other.experiment, 1)


def test_another_task_or_protocol_is_another_run():
    one, other = (instance(scheme, (4, 5, 3)).experiment for scheme in ("fa", "lfa"))
    assert identical(one, other, 1)
    for change in ({"protocol": Protocol(shuffle=False)}, {"task": one.task.replace(examples=13)}):
        assert not identical(one, other.replace(**change), 1)
