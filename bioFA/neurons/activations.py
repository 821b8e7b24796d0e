"""Activation functions phi and their gains phi', in NumPy, as Brian2 expressions and in LEMS.

    linear      phi(u) = u                   gain = 1
    tanh        phi(u) = tanh(u)             gain = 1 - r^2
    logistic    phi(u) = 1 / (1 + exp(-u))   gain = r (1 - r)
    rectified   phi(u) = max(u, 0)           gain = 1 where r > 0, else 0

The gain phi'(u) is written in the rate r = phi(u), which every function here allows. A new activation is one entry
of `ACTIVATIONS`, here or in a module of one's own: model files, both consumers and every export take it from there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from pydantic import BeforeValidator
from pydantic_core import PydanticKnownError


@dataclass(frozen=True)
class Activation:
    """One activation: two NumPy functions, the same as expressions, and whether the rate may be negative.

    `rate_expression` is Brian2's, in `{u}`, and `gain_expression` in `r`; `lems_rate` is that of LEMS, in `{u}`, and
    `lems_gain` in `V`, its rate; where they are left out, nothing of this activation is written in LEMS.
    """

    rate: Callable[[np.ndarray], np.ndarray]
    gain: Callable[[np.ndarray], np.ndarray]
    rate_expression: str
    gain_expression: str
    signed: bool
    lems_rate: str = ""
    lems_gain: str = ""

    @property
    def array_expression(self) -> str:
        """`rate_expression` for NumPy: `{u} * ({u} > 0)`."""
        return self.rate_expression.replace("int(", "(")


ACTIVATIONS = {
    "linear": Activation(lambda u: u.copy(), np.ones_like, "{u}", "1.0", True, "{u}", "1"),
    "tanh": Activation(
        np.tanh, lambda r: 1.0 - r * r, "tanh({u})", "1 - r**2", True, "2/(1 + exp(-2*{u})) - 1", "1 - V*V"
    ),
    "logistic": Activation(
        lambda u: 0.5 * (1.0 + np.tanh(0.5 * u)),
        lambda r: r * (1.0 - r),
        "1/(1 + exp(-{u}))",
        "r*(1 - r)",
        False,
        "1/(1 + exp(-{u}))",
        "V*(1 - V)",
    ),
    "rectified": Activation(
        lambda u: np.maximum(u, 0.0),
        lambda r: (r > 0.0).astype(float),
        "{u}*int({u} > 0)",
        "1.0*int(r > 0)",
        False,
        "{u}*H({u})",
        "H(V)",
    ),
}


class _Named:
    """What the JSON Schema says of the name of an activation: one of those that there are."""

    def __get_pydantic_json_schema__(self, core: Any, handler: Any) -> dict[str, Any]:
        return {"enum": list(ACTIVATIONS), "type": "string"}


def _known(value: Any) -> Any:
    """A name that is in `ACTIVATIONS` at this moment."""
    if not isinstance(value, str) or value not in ACTIVATIONS:
        *others, last = map(repr, ACTIVATIONS)
        raise PydanticKnownError("literal_error", {"expected": f"{', '.join(others)} or {last}"})
    return value


ActivationName = Annotated[str, BeforeValidator(_known), _Named()]
