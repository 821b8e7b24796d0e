"""Measurements against cases whose answer is known without them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bioFA.analysis.alignment import alignment_angle, angles, norm_ratio, pseudoinverse_angle
from bioFA.analysis.learning import error_rate, nse, nse_curve, sliding_mean
from bioFA.errors import ModelError

entries = st.floats(min_value=1e-3, max_value=1e3) | st.floats(min_value=-1e3, max_value=-1e-3)
matrices = arrays(float, st.tuples(st.integers(1, 5), st.integers(1, 5)), elements=entries)


@given(forward=matrices)
def test_transposed_feedback_is_0_degrees(forward):
    assert alignment_angle(forward.T.copy(), forward) == pytest.approx(0.0, abs=1e-6)


@given(forward=matrices)
def test_opposed_feedback_is_180_degrees_not_0(forward):
    assert alignment_angle(-forward.T, forward) == pytest.approx(180.0, abs=1e-6)


@given(forward=matrices, size=st.floats(min_value=1e-6, max_value=1e6))
def test_an_angle_does_not_depend_on_size(forward, size):
    feedback = forward.T + np.arange(forward.size).reshape(forward.T.shape)
    if np.linalg.norm(feedback) > 1e-3:
        assert alignment_angle(size * feedback, forward) == pytest.approx(alignment_angle(feedback, forward), abs=1e-6)


@given(first=arrays(float, (3, 4), elements=entries), second=arrays(float, (3, 4), elements=entries))
def test_angles_agree_with_the_arccos_of_the_signed_cosine_row_by_row(first, second):
    cosine = np.sum(first * second, axis=1) / np.linalg.norm(first, axis=1) / np.linalg.norm(second, axis=1)
    np.testing.assert_allclose(angles(first, second), np.degrees(np.arccos(np.clip(cosine, -1, 1))), atol=1e-4)


def test_known_angles_are_exact():
    first = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [2.0, 0.0]])
    second = np.array([[0.0, 3.0], [1.0, 1.0], [-1.0, 1.0], [1.0, -np.sqrt(3.0)]])
    np.testing.assert_allclose(angles(first, second), [90.0, 45.0, 135.0, 60.0], rtol=1e-14)


@pytest.mark.parametrize("radians", [1e-6, 1e-9, 1e-12])
def test_small_angles_keep_their_precision(radians):
    """The arccos of a cosine would give 0 for the last two."""
    found = angles(np.array([[1.0, 0.0], [-1.0, 0.0]]), np.array([[1.0, radians], [1.0, radians]]))
    assert np.radians(found[0]) == pytest.approx(radians, rel=1e-6)
    assert np.pi - np.radians(found[1]) == pytest.approx(radians, rel=1e-3)


@pytest.mark.parametrize("size", [1e-300, 1e-160, 1e200])
def test_very_small_and_very_large_vectors_have_angles_too(size):
    np.testing.assert_allclose(angles(np.array([[size, size]]), np.array([[1.0, 0.0]])), [45.0])


def test_the_angle_to_a_vector_of_zeros_is_unknown():
    found = angles(np.array([[1.0, 2.0], [0.0, 0.0]]), np.array([[0.0, 0.0], [0.0, 0.0]]))
    assert np.isnan(found).all()


def test_shapes_that_are_not_transposes_are_refused():
    with pytest.raises(ModelError, match=r"feedback must have the shape of forward transposed, \(4, 3\); got \(3, 4\)"):
        alignment_angle(np.ones((3, 4)), np.ones((3, 4)))
    with pytest.raises(ModelError, match=r"\(2, 3\) and \(3, 2\)"):
        angles(np.ones((2, 3)), np.ones((3, 2)))


@pytest.mark.parametrize(
    ("feedback", "forward", "name"),
    [(np.zeros((2, 3)), np.ones((3, 2)), "feedback"), (np.ones((2, 3)), np.zeros((3, 2)), "forward")],
)
def test_a_matrix_of_zeros_has_no_direction(feedback, forward, name):
    for measure in (alignment_angle, pseudoinverse_angle):
        with pytest.raises(ModelError, match=f"{name} is all zero"):
            measure(feedback, forward)


def test_the_pseudo_inverse_itself_is_0_degrees_and_the_transpose_is_not():
    forward = np.random.default_rng(1).normal(size=(3, 6)) * np.array([[1.0], [5.0], [20.0]])
    assert pseudoinverse_angle(np.linalg.pinv(forward), forward) == pytest.approx(0.0, abs=1e-6)
    assert pseudoinverse_angle(-np.linalg.pinv(forward), forward) == pytest.approx(180.0, abs=1e-6)
    assert pseudoinverse_angle(forward.T, forward) > 30
    assert alignment_angle(np.linalg.pinv(forward), forward) > 30


def test_the_pseudo_inverse_and_the_transpose_of_orthonormal_rows_are_the_same_direction():
    rows = np.linalg.qr(np.random.default_rng(1).normal(size=(6, 3)))[0].T
    feedback = np.random.default_rng(2).normal(size=(6, 3))
    assert pseudoinverse_angle(feedback, 7.0 * rows) == pytest.approx(alignment_angle(feedback, rows), abs=1e-9)


def test_the_norm_ratio_is_feedback_over_forward():
    assert norm_ratio(np.full((2, 3), 4.0), np.full((3, 2), 2.0)) == pytest.approx(2.0)
    assert norm_ratio(np.ones((2, 3)), np.zeros((3, 2))) == float("inf")


def test_an_answer_of_zero_has_an_nse_of_1_wherever_the_targets_lie():
    targets = 100.0 + np.random.default_rng(1).normal(size=(20, 3))
    assert nse(targets, np.zeros_like(targets)) == 1.0
    assert nse(targets, targets) == 0.0
    assert nse(targets, np.broadcast_to(targets.mean(axis=0), targets.shape)) < 1e-3  # the centred form would say 1


def test_the_nse_does_not_depend_on_the_unit_of_the_targets():
    targets, answers = np.random.default_rng(1).normal(size=(2, 20, 3))
    assert nse(1e3 * targets, 1e3 * answers) == pytest.approx(nse(targets, answers))
    assert nse(np.array([[3.0, 4.0]]), np.array([[3.0, 3.0]])) == pytest.approx(1 / 25)


def test_the_nse_is_the_mean_of_its_curve():
    targets, answers = np.random.default_rng(1).normal(size=(2, 20, 3))
    curve = nse_curve(targets, answers)
    assert curve.shape == (20,)
    assert curve.mean() == pytest.approx(nse(targets, answers))
    assert curve[4] == pytest.approx(np.sum((targets[4] - answers[4]) ** 2) / np.mean(np.sum(targets**2, axis=1)))


@pytest.mark.parametrize("measure", [nse, nse_curve])
def test_an_nse_needs_equal_shapes_and_targets_that_are_not_all_zero(measure):
    with pytest.raises(ModelError, match=r"\(4, 3\); got \(4, 2\)"):
        measure(np.ones((4, 3)), np.ones((4, 2)))
    with pytest.raises(ModelError, match="all zero"):
        measure(np.zeros((4, 3)), np.ones((4, 3)))


def test_the_error_rate_counts_answers_whose_largest_entry_is_elsewhere():
    answers = np.array([[0.9, 0.1, 0.0], [0.2, 0.3, 0.1], [-1.0, -2.0, -0.5], [5.0, 6.0, 7.0]])
    assert error_rate(np.array([0, 1, 2, 2]), answers) == 0.0
    assert error_rate(np.array([1, 1, 2, 0]), answers) == 0.5


@given(values=arrays(float, st.integers(1, 30), elements=st.floats(-1e3, 1e3)), window=st.integers(1, 40))
def test_a_sliding_mean_looks_back_over_its_window(values, window):
    expected = [values[max(0, k + 1 - window) : k + 1].mean() for k in range(len(values))]
    np.testing.assert_allclose(sliding_mean(values, window), expected, atol=1e-9)
