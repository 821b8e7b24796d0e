"""A plasticity rule of one's own, as text in a model file.

    dw/dt = <expression in w, *_pre, *_post, T, learning_rate and constants>

`r_pre` is the presynaptic variable r, `error_post` the postsynaptic variable error, `carried_pre` what the
pathway carries, `w_partner` the weight of the synapse's partner. The text is read by the whitelist of
`expressions.py`; NumPy evaluates what was read, Brian2 gets it written anew.

Source: none; the rule is the user's.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, ClassVar

import numpy as np
from annotated_types import Ge
from pydantic import Field

from bioFA.components import Name, Number, Rate
from bioFA.expressions import Constants, Expression, check_constants, parse, right_side
from bioFA.rules.base import Array, PlasticityRule


class Equation(PlasticityRule):
    """dw/dt as `equation` says; `constants` are the numbers that it names beside `learning_rate`."""

    family_name: ClassVar[str] = "equation"

    equation: Name = "dw/dt = learning_rate * error_post * r_pre / T"
    learning_rate: Annotated[Number, Rate(), Ge(0)] = 1e-3
    constants: Constants = Field(default_factory=dict, validate_default=True)

    def model_post_init(self, context: Any) -> None:
        """Read the equation."""
        check_constants(self.constants, ("w", "w_partner", "T", "dt", "learning_rate"))
        _ = self._expression

    @cached_property
    def _expression(self) -> Expression:
        read = parse(right_side(self.equation, "dw/dt"))
        ends = [name for name in read.names if name.endswith(("_pre", "_post"))]
        return parse(
            right_side(self.equation, "dw/dt"),
            [*ends, "r_pre", "error_post", "w", "w_partner", "T", "learning_rate", *self.constants],
        )

    def _ending(self, ending: str) -> tuple[str, ...]:
        return tuple(name.removesuffix(ending) for name in self._expression.names if name.endswith(ending))

    @property
    def reads_pre(self) -> tuple[str, ...]:  # type: ignore[override]
        """The presynaptic variables in the equation."""
        return self._ending("_pre")

    @property
    def reads_post(self) -> tuple[str, ...]:  # type: ignore[override]
        """The postsynaptic variables in the equation."""
        return self._ending("_post")

    @property
    def needs_partner(self) -> bool:  # type: ignore[override]
        """Whether the equation names `w_partner`."""
        return "w_partner" in self._expression.names

    @property
    def equations(self) -> str:  # type: ignore[override]
        """The equation as it was read."""
        return f"dw/dt = {self._expression.text} : 1"

    def parameters(self) -> dict[str, float]:
        """The learning rate and the constants, where the equation names them."""
        given = {"learning_rate": self.learning_rate, **self.constants}
        return {name: value for name, value in given.items() if name in self._expression.names}

    @classmethod
    def unit_of(cls, field: str) -> str:
        """Constants have no unit; T carries the time."""
        return "1"

    def step(
        self, synapses: Mapping[str, Array], pre: Mapping[str, Array], post: Mapping[str, Array], dt: float, T: float
    ) -> dict[str, Array]:
        """One Euler step of what was read, evaluated by NumPy."""
        values: dict[str, Any] = {**synapses, "T": T, **self.parameters()}
        values |= {f"{name}_pre": values[np.newaxis, :] for name, values in pre.items()}
        values |= {f"{name}_post": values[:, np.newaxis] for name, values in post.items()}
        return {"w": synapses["w"] + dt * self._expression.evaluate(values)}
