"""Batches side by side: the compiled program that computes all presentations of a batch as matrix products, held to the
NumPy reference and to itself, cut."""

import numpy as np
import pytest

from bioFA.consumers.brian.compose import LANES, make_program
from bioFA.consumers.reference import Reference
from bioFA.experiment import Experiment, Protocol
from bioFA.instance import draw
from bioFA.neurons.static_rate import StaticRate
from bioFA.schemes import family
from bioFA.schemes.layered import Layered
from bioFA.tasks.linear_teacher import LinearTeacher
from bioFA.weights import Normal

SIDE_BY_SIDE = ("bp", "dfa", "fa", "frsf", "kp", "lfa", "usf", "wm")
"""Schemes whose rules all have the form for it."""


def experiment(scheme="fa", batch=7, sizes=(5, 8, 6, 3), hidden="logistic", decay=1e-3, density=1.0, **learning):
    """A small network that learns in batches."""
    made = family.get(scheme)()
    rule = made.rule.replace(
        learning_rate=0.03, **({"decay": decay} if "decay" in type(made.rule).model_fields else {})
    )
    readout = {"name": "delta_rule", "learning_rate": 0.05, "decay": decay}
    circuit = Layered(
        sizes=sizes,
        hidden=StaticRate(activation=hidden),
        weights=(Normal(scale=0.5),),
        biases=True,
        feedback_density=density,
        scheme=scheme,
        schemes={scheme: family.get(scheme)(rule=rule, readout_rule=readout)},
        learning={"batch": batch, **learning},
    )
    task = LinearTeacher(n_in=sizes[0], n_out=sizes[-1], examples=30, test_examples=1)
    return Experiment(name="batches", circuit=circuit, task=task, protocol=Protocol(epochs=3))


def both(given, count=60, precision="float64"):
    """The instance, the compiled consumer, and what it and the reference make of the first presentations."""
    from bioFA.consumers.brian.run import Compiled

    instance = draw(given, 1)
    compiled = Compiled(instance, precision)
    assert set(compiled.binary.pathways.values()) == {"batched"}
    found, expected = (
        one.segment(instance.state, instance.training(0, count), learning=True)
        for one in (compiled, Reference(instance))
    )
    return instance, compiled, found, expected


def hold(found, expected, tolerance=1e-12):
    """All states and records, against the largest value of each."""
    for one, other in ((found.state, expected.state), (found.recording.arrays, expected.recording.arrays)):
        assert set(one) == set(other)
        for name, array in other.items():
            np.testing.assert_allclose(
                one[name], array, rtol=0, atol=tolerance * max(np.abs(array).max(), 1.0), err_msg=name
            )


@pytest.mark.compiled
@pytest.mark.parametrize("batch", [7, *(pytest.param(batch, marks=pytest.mark.slow) for batch in (20, 130))])
def test_a_batch_side_by_side_is_that_of_the_reference_and_goes_on_where_it_is_cut(batch):
    """Batches of 7, 20 and 130 have programs of 16, 32 and 64 lanes; the last batch is not full. A cut within a batch
    changes not a bit, but for what decay rounds."""
    instance, compiled, found, expected = both(experiment(batch=batch, decay=0.0), count=75)
    hold(found, expected)
    hold(*(one.segment(instance.state, instance.training(0, 75), True, 4) for one in (compiled, Reference(instance))))
    assert any(np.abs(found.state[name] - instance.state[name]).max() > 1e-3 for name in found.state)
    state, records = instance.state, []
    for first, last in ((0, 17), (17, 18), (18, 75)):
        part = compiled.segment(state, instance.training(first, last), learning=True)
        state = part.state
        records.append(part.recording.arrays)
    for name, array in found.state.items():
        np.testing.assert_array_equal(state[name], array, err_msg=name)
    for name, array in found.recording.arrays.items():
        np.testing.assert_array_equal(np.concatenate([one[name] for one in records]), array)


@pytest.mark.slow
@pytest.mark.compiled
def test_wide_layers_fill_registers_and_leave_rests():
    """More neurons than a panel has, in single precision too; half of the inputs are 0, some always."""
    given = experiment(sizes=(150, 53, 11), hidden="rectified", decay=1e-3, batch=20)
    _, _, found, expected = both(given, count=50)
    hold(found, expected)
    _, _, single, _ = both(given, count=50, precision="float32")
    hold(single, expected, tolerance=2e-5)


@pytest.mark.compiled
def test_a_test_shows_every_row_and_changes_nothing():
    instance, compiled, _, _ = both(experiment(batch=7, decay=0.0), count=3)
    feed = instance.training(0, 45)
    found = compiled.segment(instance.state, feed, learning=False)
    hold(found, Reference(instance).segment(instance.state, feed, learning=False))
    for name, array in instance.state.items():
        np.testing.assert_array_equal(found.state[name], array)


@pytest.mark.slow
@pytest.mark.compiled
@pytest.mark.usefixtures("quick_builds")
@pytest.mark.parametrize(
    "learning", [{}, {"step": 1e-3}, {"low": -0.5, "high": 0.5}, {"normalised": True}, {"density": 0.6}], ids=str
)
@pytest.mark.parametrize("scheme", SIDE_BY_SIDE)
def test_every_scheme_that_allows_it_and_every_way_to_learn(scheme, learning):
    _, _, found, expected = both(experiment(scheme, **learning))
    hold(found, expected)


def test_a_program_has_lanes_where_nothing_but_weights_lasts():
    def lanes(given, **options):
        return make_program(given, **options).lanes

    assert [lanes(experiment(batch=batch)) for batch in (2, 16, 17, 64, 65, 100, 1000)] == [16, 16, 32, 64, 64, 64, 64]
    assert LANES == (16, 32, 64)
    assert lanes(experiment(batch=1)) == 1
    assert lanes(experiment(), blocked=False) == 1
    held = experiment().replace(protocol=Protocol(dt=1e-3, presentation=4e-3))
    assert lanes(held) == 1
    dale = experiment().replace(circuit=experiment().circuit.replace(inhibitory=0.4))
    assert lanes(dale) == 1
    assert lanes(experiment("brsf")) == 1
