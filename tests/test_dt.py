"""Nothing that is learned may depend on the size of a step, or on how long an example is held,
beyond the error of the step itself."""

from itertools import pairwise

import numpy as np
import pytest

import bioFA
from bioFA.experiment import Experiment, Protocol
from bioFA.instance import draw
from bioFA.neurons.leaky_rate import LeakyRate
from bioFA.neurons.static_rate import StaticRate
from bioFA.rules.delta_rule import DeltaRule
from bioFA.rules.local_error import LocalError
from bioFA.schemes import Layered
from bioFA.schemes.feedback_alignment import FeedbackAlignment
from bioFA.tasks.linear_teacher import LinearTeacher
from bioFA.weights import Normal

LEAKY, STATIC = LeakyRate(tau="5 ms", activation="tanh"), StaticRate(activation="tanh")


def learned(neuron, learning_rate=0.05, presentations=40, **times):
    """The result of a small network after some presentations, and how far each pathway's weights have moved in all."""
    settings = FeedbackAlignment(
        rule=LocalError(learning_rate=learning_rate), readout_rule=DeltaRule(learning_rate=learning_rate)
    )
    experiment = Experiment(
        name="dt",
        circuit=Layered(
            sizes=(5, 4, 3),
            hidden=neuron,
            output=neuron.replace(activation="linear"),
            weights=(Normal(scale=0.3),),
            schemes={"fa": settings},
        ),
        task=LinearTeacher(n_in=5, n_out=3, examples=presentations, test_examples=20),
        protocol=Protocol(snapshots=1, **times),
    )
    start, result = draw(experiment, 2).state, bioFA.simulate(experiment, seed=2, backend="numpy")
    return result, np.concatenate(
        [(result.state[name] - start[name]).ravel() for name in ("input_to_hidden.w", "hidden_to_output.w")]
    )


@pytest.mark.slow
@pytest.mark.parametrize("decay", ["euler", "exact"])
def test_halving_dt_leaves_learning_alone_to_first_order(decay):
    runs = [
        learned(LEAKY.replace(decay=decay), dt=dt, presentation=40e-3, learning_onset=20e-3)
        for dt in (2e-3, 1e-3, 0.5e-3, 0.25e-3)
    ]
    weights = [moved for _, moved in runs]
    curves = [result.learning_curve for result, _ in runs]
    for course in (weights, curves):
        coarse, fine, finest = (np.linalg.norm(b - a) for a, b in pairwise(course))
        assert finest < 0.02 * np.linalg.norm(course[-1])
        assert coarse / fine == pytest.approx(2.0, rel=0.3)
        assert fine / finest == pytest.approx(2.0, rel=0.2)


@pytest.mark.slow
def test_holding_each_example_twice_as_long_does_not_teach_twice_as_much():
    short, long = (learned(LEAKY, dt=1e-3, presentation=held, learning_onset=held / 2)[1] for held in (60e-3, 120e-3))
    assert np.linalg.norm(short) > 0.3
    assert np.linalg.norm(long - short) < 0.05 * np.linalg.norm(short)


@pytest.mark.slow
def test_learning_for_the_last_half_or_the_last_quarter_teaches_as_much():
    half, quarter = (learned(LEAKY, dt=1e-3, presentation=80e-3, learning_onset=onset)[1] for onset in (40e-3, 60e-3))
    assert np.linalg.norm(quarter - half) < 0.05 * np.linalg.norm(half)


def test_a_static_network_held_for_many_steps_agrees_with_one_step_to_first_order_in_the_learning_rate():
    def relative(learning_rate):
        once = learned(STATIC, learning_rate, presentations=20)[1]
        held = learned(STATIC, learning_rate, presentations=20, dt=1e-3, presentation=10e-3)[1]
        return np.linalg.norm(held - once) / np.linalg.norm(once)

    coarse, fine, finest = relative(4e-3), relative(2e-3), relative(1e-3)
    assert 0 < finest < 0.02
    assert coarse / fine == pytest.approx(2.0, rel=0.2)
    assert fine / finest == pytest.approx(2.0, rel=0.2)


@pytest.mark.parametrize("factor", [1e-3, 10.0])
def test_the_unit_of_time_means_nothing_to_a_static_network(factor):
    plain = learned(STATIC)[1]
    np.testing.assert_allclose(learned(STATIC, dt=factor, presentation=factor)[1], plain, rtol=1e-12)


def test_before_learning_onset_nothing_is_learned():
    with_onset = learned(STATIC, dt=1e-3, presentation=10e-3, learning_onset=5e-3)[1]
    shorter = learned(STATIC, dt=1e-3, presentation=5e-3)[1]
    np.testing.assert_allclose(with_onset, shorter, rtol=1e-12)


@pytest.mark.slow
def test_halving_the_step_of_the_leaky_model_leaves_its_learning_curve_alone():
    curves = []
    for dt in ("2 ms", "1 ms"):
        model = bioFA.load(
            "leaky", {"protocol.dt": dt, "protocol.presentations": 300, "protocol.learning_onset": "50 ms"}
        )
        curves.append(bioFA.simulate(model, seed=1, backend="numpy").learning_curve)
    assert curves[1][-50:].mean() < 0.5 * curves[1][:50].mean()
    assert np.linalg.norm(curves[0] - curves[1]) < 0.05 * np.linalg.norm(curves[1])
