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
    """One activation: two NumPy functions, two Brian2 expressions (in `{u}` and in `r`),
    and whether the rate may be negative."""

    rate: Callable[[np.ndarray], np.ndarray]
    gain: Callable[[np.ndarray], np.ndarray]
    rate_expression: str
    gain_expression: str
    signed: bool

    @property
    def array_expression(self) -> str:
        """`rate_expression` for NumPy: `{u} * ({u} > 0)`."""
        return self.rate_expression.replace("int(", "(")


ACTIVATIONS = {
    "linear": Activation(lambda u: u.copy(), np.ones_like, "{u}", "1.0", True),
    "tanh": Activation(np.tanh, lambda r: 1.0 - r * r, "tanh({u})", "1 - r**2", True),
    "logistic": Activation(
        lambda u: 0.5 * (1.0 + np.tanh(0.5 * u)), lambda r: r * (1.0 - r), "1/(1 + exp(-{u}))", "r*(1 - r)", False
    ),
    "rectified": Activation(
        lambda u: np.maximum(u, 0.0), lambda r: (r > 0.0).astype(float), "{u}*int({u} > 0)", "1.0*int(r > 0)", False
    ),
}

ActivationName = Literal["linear", "tanh", "logistic", "rectified"]
