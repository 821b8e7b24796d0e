"""How well feedback weights stand for the transpose of forward weights.

All angles are signed in the sense of the paper's figures: 0 degrees where two things agree,
90 where they are unrelated, 180 where they oppose. (The paper's text prints an absolute cosine,
which would fold 180 onto 0; Lillicrap et al. (2014), methods.)
"""

from __future__ import annotations

import numpy as np

from bioFA.errors import OutOfRange, WrongShape

Array = np.ndarray


def angles(first: Array, second: Array) -> Array:
    """Angle between vectors, row by row.

    Args:
        first: `(n, size)`.
        second: `(n, size)`.

    Returns:
        `(n,)` in degrees; NaN where one of the two vectors is all zero, since it points nowhere.

    Raises:
        ModelError: if the shapes differ.
    """
    if first.shape != second.shape:
        raise WrongShape(f"both must have the same shape; got {first.shape} and {second.shape}.")
    a, b = _unit_rows(first), _unit_rows(second)
    # 2 atan2(|a - b|, |a + b|) keeps its precision near 0 and 180 degrees, where arccos loses it
    return np.degrees(2.0 * np.arctan2(np.linalg.norm(a - b, axis=-1), np.linalg.norm(a + b, axis=-1)))


def _unit_rows(rows: Array) -> Array:
    largest = np.abs(rows).max(axis=-1, keepdims=True, initial=0.0)
    scaled = np.divide(rows, largest, out=np.full_like(rows, np.nan, dtype=float), where=largest > 0)
    return scaled / np.linalg.norm(scaled, axis=-1, keepdims=True)


def alignment_angle(feedback: Array, forward: Array) -> float:
    """Angle between a feedback matrix and the transpose of a forward matrix.

    Args:
        feedback: `(n_hidden, n_output)`, the weights that carry the error back.
        forward: `(n_output, n_hidden)`, the weights the error is about.

    Returns:
        Degrees: 0 where they agree, 90 where unrelated, 180 where they oppose.

    Raises:
        ModelError: if the shapes are not each other's transpose, or one matrix is all zero.
    """
    if feedback.shape != forward.T.shape:
        raise WrongShape(
            f"feedback must have the shape of forward transposed, {forward.T.shape}; got {feedback.shape}."
        )
    for name, matrix in (("feedback", feedback), ("forward", forward)):
        if not matrix.any():
            raise OutOfRange(f"{name} is all zero, so it has no direction. Measure after the first weight change.")
    return float(angles(feedback.reshape(1, -1), forward.T.reshape(1, -1))[0])


def pseudoinverse_angle(feedback: Array, forward: Array) -> float:
    """Angle between a feedback matrix and the pseudo-inverse of a forward matrix, in degrees.

    pinv(W) e is the Gauss-Newton direction for the hidden layer (pseudobackprop; Lillicrap et
    al. (2014), supplement, proof of the Gauss-Newton property). Shapes and errors as `alignment_angle`.
    """
    if not forward.any():
        raise OutOfRange("forward is all zero, so it has no direction. Measure after the first weight change.")
    return alignment_angle(feedback, np.linalg.pinv(forward).T)


def norm_ratio(feedback: Array, forward: Array) -> float:
    """|B| / |W|, Frobenius norms; infinite for zero forward weights."""
    size = float(np.linalg.norm(forward))
    return float(np.linalg.norm(feedback)) / size if size > 0 else float("inf")
