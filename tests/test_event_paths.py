"""What is done for many rows or many steps of a spiking network at once is what the reference does one by one
(`biofa_rows.h`, `biofa_ahead.h`): every state and spike, whatever learns, and the same bits however a run is cut.
"""

import numpy as np
import pytest

import bioFA
from bioFA import Experiment, Protocol
from bioFA.consumers.brian.compose import make_program
from bioFA.consumers.brian.run import Compiled
from bioFA.consumers.reference import Reference
from bioFA.instance import draw
from bioFA.measures.record import Record
from bioFA.neurons.lif import Lif
from bioFA.neurons.poisson_source import PoissonSource
from bioFA.neurons.spike_source import SpikeSource
from bioFA.neurons.two_compartment_lif import TwoCompartmentLif
from bioFA.rules.delta_rule import DeltaRule
from bioFA.rules.event_driven_random_backpropagation import EventDrivenRandomBackpropagation
from bioFA.rules.local_error import LocalError
from bioFA.schemes import Layered
from bioFA.schemes.feedback_alignment import FeedbackAlignment
from bioFA.tasks.arrays import Arrays
from bioFA.weights import Normal

SIZES, SHOWN = (70, 37, 3), 40
"""More inputs than one word of bits has, more hidden neurons than one tile, and some over."""


def windowed(folder, decay=0.0, onset="30 ms"):
    """Poisson input, half of it never on, and learning in the last steps of an image, before a blank."""
    generator = np.random.default_rng(5)
    inputs = generator.random((8, 70)) * (generator.random((8, 70)) < 0.5)
    np.savez(folder / "data.npz", inputs=inputs, targets=np.eye(3)[generator.integers(0, 3, 8)])
    rules = {
        "rule": LocalError(learning_rate=0.5, decay=decay), "readout_rule": DeltaRule(learning_rate=0.3, decay=decay),
    }
    circuit = Layered(
        sizes=SIZES, input=PoissonSource(max_rate="300 Hz"), hidden=Lif(proxy_slope=0.7), output=Lif(), biases=True,
        weights=Normal(mean=0.05, scale=0.1), scheme="fa", schemes={"fa": FeedbackAlignment(**rules)},
    )
    times = {"dt": "1 ms", "presentation": "40 ms", "learning_onset": onset, "blank": "5 ms", "reset": True}
    task = Arrays(path=str(folder / "data.npz"))
    return Experiment(name="windowed", circuit=circuit, task=task, protocol=Protocol(**times))


def eventful(folder, record=None):
    """Given spikes, and synapses that change with every spike."""
    generator = np.random.default_rng(6)
    inputs = (generator.random((8, SHOWN, 70)) < 0.1).astype(float)
    np.savez(folder / "data.npz", inputs=inputs, targets=np.eye(3)[generator.integers(0, 3, 8)])
    rule = EventDrivenRandomBackpropagation(learning_rate=0.05)
    circuit = Layered(
        sizes=SIZES, input=SpikeSource(), hidden=TwoCompartmentLif(), output=TwoCompartmentLif(), biases=True,
        weights=Normal(mean=0.05, scale=0.1), scheme="fa",
        schemes={"fa": FeedbackAlignment(rule=rule, readout_rule=rule)},
    )
    times = {"dt": "1 ms", "presentation": "40 ms"}
    given = {"record": record} if record else {}
    task = Arrays(path=str(folder / "data.npz"))
    return Experiment(name="eventful", circuit=circuit, task=task, protocol=Protocol(**times), **given)


def assert_agree(found, expected):
    for name, array in expected.state.items():
        np.testing.assert_allclose(found.state[name], array, rtol=0, atol=1e-11, err_msg=name)
    for name, array in expected.rasters.items():
        np.testing.assert_array_equal(found.rasters[name], array, err_msg=name)


CASES = [(windowed, {}), (windowed, {"decay": 0.02}), (windowed, {"onset": "1 ms"}), (eventful, {})]


@pytest.mark.compiled
@pytest.mark.parametrize(("network", "options"), CASES)
def test_many_rows_or_steps_at_once_are_each_by_itself(network, options, tmp_path):
    instance = draw(network(tmp_path, **options), 1)
    compiled, feed = Compiled(instance), instance.training(0, 6)
    found = compiled.segment(instance.state, feed, learning=True, rasters=True)
    expected = Reference(instance).segment(instance.state, feed, learning=True, rasters=True)
    assert expected.rasters["hidden"].mean() > 0.005
    assert not np.array_equal(expected.state["input_to_hidden.w"], instance.state["input_to_hidden.w"])
    assert_agree(found, expected)
    first = compiled.segment(instance.state, instance.training(0, 2), learning=True)
    second = compiled.segment(first.state, instance.training(2, 6), learning=True)
    for name, array in found.state.items():
        np.testing.assert_array_equal(second.state[name], array, err_msg=name)


@pytest.mark.compiled
@pytest.mark.parametrize("network", [windowed, eventful])
def test_what_does_not_learn_is_transmitted_in_the_same_way(network, tmp_path):
    instance = draw(network(tmp_path), 1)
    feed = instance.training(0, 3)
    found = Compiled(instance).segment(instance.state, feed, learning=False, rasters=True)
    assert_agree(found, Reference(instance).segment(instance.state, feed, learning=False, rasters=True))
    np.testing.assert_array_equal(found.state["input_to_hidden.w"], instance.state["input_to_hidden.w"])


def test_a_port_that_is_recorded_is_filled_before_synapses_learn(tmp_path):
    for record, at_once in ((None, True), (Record(variables=["hidden.drive"]), False)):
        steps = make_program(eventful(tmp_path, record)).steps
        learning = next(step for step in steps if (step.kind, step.of) == ("learn", "input_to_hidden"))
        assert learning.transmits == at_once
        assert any((step.kind, step.of) == ("transmit", "input_to_hidden") for step in steps) != at_once


@pytest.mark.parametrize(("scheme", "by_rows"), [("fa", True), ("pbp", False)])
def test_feedback_that_is_computed_row_by_row_of_its_target_is_stored_so(scheme, by_rows):
    pathways = make_program(bioFA.load("leaky", {"circuit.scheme": scheme})).pathways
    assert next(p for p in pathways if p.name == "mismatch_to_hidden").rows_of_pre == by_rows
