"""What a result says, recomputed from its own arrays; and that no split sees another."""

import numpy as np
import pytest

import bioFA
from bioFA import ModelError, Record
from bioFA.consumers.base import Recording, Segment
from bioFA.consumers.reference import Reference
from bioFA.experiment import Protocol
from bioFA.instance import draw
from bioFA.runs.simulation import simulate
from bioFA.tasks.digits import Digits
from bioFA.tasks.linear_teacher import LinearTeacher
from bioFA.tasks.tanh_teacher import TanhTeacher
from bioFA.verification.backends import verify
from bioFA.weights import Normal


def degrees(a, b):
    return np.degrees(np.arccos(np.clip(np.sum(a * b) / np.sqrt(np.sum(a * a) * np.sum(b * b)), -1, 1)))


@pytest.fixture(scope="module", params=["fa", "bp"])
def result(request):
    model = bioFA.load("linear", {"task.examples": 300, "protocol.snapshots": 3}).with_scheme(request.param)
    return simulate(model.replace(record=Record(variables=("mismatch.r", "input.r"))), seed=2, backend="numpy")


def random_feedback(result):
    return result.state["mismatch_to_hidden.w" if result.experiment.scheme == "fa" else "mismatch_to_hidden_probe.w"]


def test_the_probe_carries_the_other_signal(result):
    """fa: B e arrives and W' e is probed; bp the other way round. W is the one before the presentation's own update."""
    error, r = result.recording.arrays["mismatch.r"], result.recording.arrays
    transported, random = (
        (r["hidden.probe"], r["hidden.error"])
        if result.experiment.scheme == "fa"
        else (r["hidden.error"], r["hidden.probe"])
    )
    np.testing.assert_allclose(random, error @ random_feedback(result).T, rtol=1e-12, atol=1e-300)
    for index, at in enumerate(result.snapshots_at[:-1]):
        np.testing.assert_allclose(
            transported[at], result.snapshots["hidden_to_output.w"][index].T @ error[at], rtol=1e-12
        )


def test_the_feedback_angle_is_between_the_two_signals(result):
    course = result.feedback_angles["mismatch_to_hidden"]
    arrays = result.recording.arrays
    for k in (0, 100, 299):
        assert course[k] == pytest.approx(degrees(arrays["hidden.error"][k], arrays["hidden.probe"][k]), abs=1e-6)
    assert 0 < course.min() < course.max() < 180


def test_the_courses_over_snapshots_are_those_of_the_matrices(result):
    course, feedback = result.alignment_course["mismatch_to_hidden"], random_feedback(result)
    for index, forward in enumerate(result.snapshots["hidden_to_output.w"]):
        assert course["alignment"][index] == pytest.approx(degrees(feedback, forward.T), abs=1e-6)
        assert course["pseudoinverse"][index] == pytest.approx(degrees(feedback, np.linalg.pinv(forward)), abs=1e-6)
        assert course["norm_ratio"][index] == pytest.approx(np.sqrt(np.sum(feedback**2) / np.sum(forward**2)))
    assert result.alignment["mismatch_to_hidden"] == pytest.approx(
        np.median(course["alignment"][result.snapshots_at >= 100])
    )


def test_the_test_error_is_that_of_the_final_weights_and_is_looked_at_once(result):
    instance = draw(result.experiment, 2)
    test = instance.data.test
    answers = test.inputs @ result.state["input_to_hidden.w"].T @ result.state["hidden_to_output.w"].T
    by_hand = np.sum((test.targets - answers) ** 2) / np.sum(test.targets**2)
    assert result.metrics["test_nse"] == pytest.approx(by_hand, rel=1e-9)
    assert [row["presentation"] for row in result.evaluations if row["split"] == "test"] == [300]


def test_the_training_error_is_recorded_before_its_own_example_is_learned(result):
    instance = draw(result.experiment, 2)
    first = instance.data.train.inputs[instance.order(0, 1)[0]]
    answer = instance.state["hidden_to_output.w"] @ instance.state["input_to_hidden.w"] @ first
    np.testing.assert_allclose(result.recording.arrays["output.r"][0], answer, rtol=1e-12)
    power = np.mean(np.sum(result.targets**2, axis=1))
    squared = np.sum(result.recording.arrays["mismatch.r"] ** 2, axis=1)
    assert result.metrics["nse"] == pytest.approx(squared[-50:].mean() / power)


@pytest.mark.parametrize("every", [1, 7, 64, 1000])
@pytest.mark.parametrize("snapshots", [1, 5, 60])
def test_what_is_recorded_does_not_depend_on_the_snapshots(every, snapshots):
    model = bioFA.load("linear", {"task.examples": 200, "protocol.snapshots": snapshots, "record.every": every})
    result = simulate(model, seed=1, backend="numpy")
    np.testing.assert_array_equal(result.recording.at, np.arange(0, 200, every))
    assert len(result.targets) == len(result.learning_curve) == len(result.recording.at)


def test_the_digits_are_split_once_for_all_into_disjoint_balanced_parts():
    load_digits = pytest.importorskip("sklearn.datasets").load_digits
    splits = Digits().draw(lambda purpose: np.random.default_rng(1)).splits()
    again = Digits().draw(lambda purpose: np.random.default_rng(2)).splits()
    assert {name: len(split) for name, split in splits.items()} == {"train": 1077, "validation": 360, "test": 360}
    together = np.concatenate([split.inputs for split in splits.values()])
    images = load_digits().data / 16
    np.testing.assert_array_equal(
        np.sort(together.view(f"V{together.itemsize * 64}").ravel()),
        np.sort(images.view(f"V{images.itemsize * 64}").ravel()),
    )
    for name, split in splits.items():
        np.testing.assert_array_equal(split.inputs, again[name].inputs)
        counts = np.bincount(split.labels, minlength=10)
        assert counts.max() - counts.min() <= 0.05 * len(split)
        assert (split.targets.argmax(axis=1) == split.labels).all()


@pytest.mark.parametrize("model", ["linear", "nonlinear", "leaky"])
def test_generated_test_examples_are_not_training_examples(model):
    splits = draw(bioFA.load(model), 1).data.splits()
    train = {row.tobytes() for row in splits["train"].inputs}
    assert not any(row.tobytes() in train for row in splits["test"].inputs)


@pytest.mark.parametrize(
    "task",
    [
        LinearTeacher(n_in=3, n_out=2, teacher=Normal(scale=1e300), inputs=Normal(scale=1e300)),
        TanhTeacher(sizes_of_teacher=(3, 2), scale=1e308),
    ],
    ids=["linear", "tanh"],
)
def test_a_teacher_whose_targets_are_no_finite_numbers_is_refused_when_it_is_drawn(task):
    assert task.training_examples() == task.examples  # known without a draw
    with pytest.raises(ModelError, match="no finite numbers"):
        task.draw(lambda purpose: np.random.default_rng(1))


def test_the_tanh_teacher_is_not_linear():
    train = TanhTeacher(examples=3000, test_examples=1).draw(lambda purpose: np.random.default_rng(len(purpose))).train
    design = np.column_stack([train.inputs, np.ones(len(train))])
    residual = train.targets - design @ np.linalg.lstsq(design, train.targets, rcond=None)[0]
    assert np.sum(residual**2) > 0.1 * np.sum((train.targets - train.targets.mean(axis=0)) ** 2)


def test_measuring_never_learns(monkeypatch):
    """Learning is on in training segments only, and only validation data are looked at before the end;
    the diagnosis asks no consumer of a static network (`at_once.py`)."""
    asked = []
    segment = Reference.segment

    def spy(self, state, feed, learning, *arguments, **keywords):
        asked.append((feed.presentations, learning))
        return segment(self, state, feed, learning, *arguments, **keywords)

    monkeypatch.setattr(Reference, "segment", spy)
    model = bioFA.load("digits", {"protocol.presentations": 30, "protocol.snapshots": 3})
    simulate(model, seed=1, backend="numpy")
    assert asked == [
        (10, True),
        (360, False),
        (10, True),
        (360, False),
        (10, True),
        (360, False),
        (360, False),
    ]


class Wrong(Reference):
    """A consumer whose weights are right and whose records are not."""

    def segment(self, *arguments, **keywords):
        right = super().segment(*arguments, **keywords)
        arrays = {name: -3 * array for name, array in right.recording.arrays.items()}
        return Segment(right.state, Recording(right.recording.at, arrays))


def test_verification_sees_wrong_records_under_right_weights():
    experiment = bioFA.load("linear")
    instance = draw(experiment.replace(protocol=Protocol(shuffle=False)), 1)
    outcome = verify(experiment, presentations=40, against=Wrong(instance))
    assert not outcome.agrees
    assert outcome.max_abs_difference == 0.0
    assert {"output.r", "hidden.error", "hidden.probe"} <= set(outcome.first_excess)
    assert "output.r" in str(outcome)


def test_a_description_is_frozen_all_the_way_down():
    circuit = bioFA.load("digits").circuit
    with pytest.raises(TypeError):
        circuit.schemes["fa"] = circuit.schemes["bp"]
