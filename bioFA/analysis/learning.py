"""How well a network answers: normalised squared error and error rate.

    NSE = sum |y* - y|^2 / sum |y*|^2

The normaliser is the uncentred power of the targets, so a network that answers zero has NSE 1.
(The paper does not define its normaliser; see its Fig. 1d and 2c.)
"""

from __future__ import annotations

import numpy as np

from bioFA.errors import OutOfRange, WrongShape

Array = np.ndarray


def nse(targets: Array, predictions: Array) -> float:
    """Normalised squared error over all examples.

    Args:
        targets: `(n, n_out)`.
        predictions: `(n, n_out)`.

    Raises:
        ModelError: if the shapes differ or the targets are all zero.
    """
    _check(targets, predictions)
    return float(np.sum((targets - predictions) ** 2) / np.sum(targets**2))


def nse_curve(targets: Array, predictions: Array) -> Array:
    """Squared error of each example over the mean power of the targets, `(n,)`; its mean is `nse`."""
    _check(targets, predictions)
    return np.sum((targets - predictions) ** 2, axis=1) / np.mean(np.sum(targets**2, axis=1))


def error_rate(labels: Array, predictions: Array) -> float:
    """Fraction of examples whose largest prediction is not at the label.

    Args:
        labels: `(n,)`, whole numbers.
        predictions: `(n, classes)`.
    """
    return float(np.mean(predictions.argmax(axis=1) != labels))


def confusion_matrix(labels: Array, predictions: Array) -> Array:
    """How many examples of each class (row) were answered as each class (column), `(classes, classes)`.

    Args:
        labels: `(n,)`, whole numbers.
        predictions: `(n, classes)`; the answer is the largest.
    """
    classes = predictions.shape[1]
    return np.bincount(classes * labels + predictions.argmax(axis=1), minlength=classes**2).reshape(classes, classes)


def sliding_mean(values: Array, window: int) -> Array:
    """Mean over the last `window` values at each place (fewer at the beginning), `(n,)`."""
    counts = np.minimum(np.arange(1, len(values) + 1), window)
    return np.convolve(values, np.ones(window))[: len(values)] / counts


def _check(targets: Array, predictions: Array) -> None:
    if targets.shape != predictions.shape:
        raise WrongShape(f"predictions must have the shape of the targets, {targets.shape}; got {predictions.shape}.")
    if not targets.any():
        raise OutOfRange("the targets are all zero, so the error has nothing to be measured against.")
