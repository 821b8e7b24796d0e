"""Phases of learning: which pathways learn when, and how fast, is data, and both consumers obey it."""

import numpy as np
import pytest

import bioFA
from bioFA import Phase
from bioFA.instance import draw

FREEZE = [
    {"presentations": 150, "learns": ["input_to_hidden"]},
    {"presentations": 100, "learns": ["hidden_to_output"], "rate": 0.5},
    {"presentations": 50, "learns": ["input_to_hidden"], "rate": 2.0},
]


def frozen(**changes):
    return bioFA.load("linear", {"protocol.phases": FREEZE, "protocol.snapshots": 4, **changes})


@pytest.mark.compiled
@pytest.mark.parametrize("backend", ["numpy", "cpp"])
def test_only_the_pathways_of_a_phase_learn_in_it(backend):
    result = bioFA.simulate(frozen(), seed=2, backend=backend)
    assert result.presentations == 300
    assert {150, 250} <= set(result.snapshots_at)
    at = {int(point): place for place, point in enumerate(result.snapshots_at)}
    first, second = (result.snapshots[f"{name}.w"] for name in ("input_to_hidden", "hidden_to_output"))
    for name, shots, moves in (("input", first, (True, False, True)), ("output", second, (False, True, False))):
        for start, stop, moved in zip((0, 150, 250), (150, 250, 300), moves, strict=True):
            assert np.array_equal(shots[at[start]], shots[at[stop]]) != moved, (name, start)


@pytest.mark.compiled
@pytest.mark.parametrize("scheme", ["fa", pytest.param("np", marks=pytest.mark.slow)])
def test_cpp_and_numpy_agree_over_phases(scheme):
    outcome = bioFA.verify(frozen().with_scheme(scheme), seed=2, presentations=300)
    assert outcome.agrees, str(outcome)


@pytest.mark.compiled
@pytest.mark.parametrize("options", [{"blocked": True}, {"blocked": False}], ids=str)
def test_every_way_to_compile_a_pathway_obeys_phases(options):
    from bioFA.consumers.brian.run import Compiled
    from bioFA.consumers.reference import Reference

    instance = draw(frozen(), 2)
    for start, stop in ((0, 150), (150, 250)):
        feed = instance.training(start, stop)
        found, expected = (
            runner.segment(instance.state, feed, learning=True).state
            for runner in (Compiled(instance, **options), Reference(instance))
        )
        for name in expected:
            np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=1e-12)


def test_a_rate_multiplies_learning_rates():
    slow = bioFA.load("linear", {"protocol.phases": [{"presentations": 20, "rate": 0.5}]})
    rule = bioFA.load("linear").circuit.active().rule
    halved = bioFA.load(
        "linear",
        {
            "protocol.presentations": 20,
            "circuit.schemes.fa.rule.learning_rate": rule.learning_rate / 2,
            "circuit.schemes.fa.readout_rule.learning_rate": (
                bioFA.load("linear").circuit.active().readout_rule.learning_rate / 2
            ),
        },
    )
    ours, theirs = (bioFA.simulate(experiment, seed=3, backend="numpy") for experiment in (slow, halved))
    for name, array in theirs.state.items():
        np.testing.assert_array_equal(ours.state[name], array)


def test_phases_last_for_epochs_too_and_survive_their_file():
    experiment = bioFA.load("minimal", {"protocol.phases": [{"epochs": 2}, {"presentations": 3, "rate": 0.1}]})
    instance = draw(experiment, 1)
    examples = len(instance.data.train)
    assert instance.phase_ends() == [2 * examples, 2 * examples + 3]
    assert instance.presentations() == 2 * examples + 3
    assert bioFA.loads(bioFA.dumps(experiment)) == experiment
    with pytest.raises(ValueError, match="a phase ends between"):
        instance.training(0, 2 * examples + 1)


@pytest.mark.parametrize(("phase", "message"), [
    ({}, "needs presentations or epochs"),
    ({"presentations": 3, "epochs": 1}, "not both"),
    ({"presentations": 3, "rate": -1.0}, r"Phase.rate must be >= 0"),
    ({"presentations": 3, "learns": ["input_to_hiden"]}, "Did you mean 'input_to_hidden'"),
    ({"presentations": 3, "lerns": []}, "Did you mean 'learns'"),
])
def test_a_wrong_phase_is_refused(phase, message):
    with pytest.raises(bioFA.ModelError, match=message):
        bioFA.load("linear", {"protocol.phases": [phase]})


def test_a_phase_can_be_written_in_python():
    assert bioFA.Protocol(phases=(Phase(epochs=1),)).phases[0].epochs == 1
