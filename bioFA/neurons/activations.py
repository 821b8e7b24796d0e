"""Activation functions phi and their gains phi', in NumPy and as Brian2 expressions.

    linear      phi(u) = u                   gain = 1
    tanh        phi(u) = tanh(u)             gain = 1 - r^2
    logistic    phi(u) = 1 / (1 + exp(-u))   gain = r (1 - r)
    rectified   phi(u) = max(u, 0)           gain = 1 where r > 0, else 0

The gain phi'(u) is written in the rate r = phi(u), which every function here allows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np


@dataclass(frozen=True)
class Activation:
    """One activation: two NumPy functions, two Brian2 expressions (in `{u}` and in `r`), whether the rate may be negative, and the rate as an expression of arrays of NumPy or PyTorch."""

    rate: Callable[[np.ndarray], np.ndarray]
    gain: Callable[[np.ndarray], np.ndarray]
    rate_expression: str
    gain_expression: str
    signed: bool
    array_expression: str


ACTIVATIONS = {
    "linear": Activation(lambda u: u.copy(), np.ones_like, "{u}", "1.0", True, "{u}"),
    "tanh": Activation(np.tanh, lambda r: 1.0 - r * r, "tanh({u})", "1 - r**2", True, "tanh({u})"),
    "logistic": Activation(lambda u: 0.5 * (1.0 + np.tanh(0.5 * u)), lambda r: r * (1.0 - r), "1/(1 + exp(-{u}))", "r*(1 - r)", False, "1 / (1 + exp(-{u}))"),
    "rectified": Activation(lambda u: np.maximum(u, 0.0), lambda r: (r > 0.0).astype(float), "{u}*int({u} > 0)", "1.0*int(r > 0)", False, "{u} * ({u} > 0)"),
}

ActivationName = Literal["linear", "tanh", "logistic", "rectified"]
