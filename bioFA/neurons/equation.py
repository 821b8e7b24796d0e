"""A static rate neuron of one's own, as text in a model file.

    u = drive      r = <rate in u>      gain = <slope in u and r>      delta = error gain

The text is read by the whitelist of `expressions.py`; NumPy evaluates what was read, Brian2 gets it
written anew. A neuron with state is a Python class (see `neurons/base.py`).

Source: none; the neuron is the user's.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from bioFA.components import Name
from bioFA.expressions import Constants, Expression, check_constants, parse
from bioFA.neurons.base import Array, NeuronModel

DRIVES = np.concatenate([-np.geomspace(1e3, 1e-3, 500), [0.0], np.geomspace(1e-3, 1e3, 500)])


class Equation(NeuronModel):
    """r = `rate` of the drive u, gain = `slope`; `constants` are the numbers that they name."""

    family_name: ClassVar[str] = "equation"

    rate: Name = "u"
    slope: Name = "1.0"
    constants: Constants = Field(default_factory=dict, validate_default=True)

    ports: ClassVar[tuple[str, ...]] = ("drive", "error", "probe", "perturbation")
    publishes: ClassVar[tuple[str, ...]] = ("r", "gain", "delta")
    one_parse: ClassVar[bool] = True

    def model_post_init(self, context: Any) -> None:
        """Read the equations."""
        check_constants(self.constants, ("u", "r", "gain", "delta", *self.ports, "T", "dt", "cell"))
        _ = self._rate, self._slope

    @cached_property
    def _rate(self) -> Expression:
        return parse(self.rate, ["u", *self.constants])

    @cached_property
    def _slope(self) -> Expression:
        return parse(self.slope, ["u", "r", *self.constants])

    def parameters(self) -> dict[str, float]:
        """The constants."""
        return dict(self.constants)

    @classmethod
    def unit_of(cls, field: str) -> str:
        """Constants have no unit."""
        return "1"

    def r(self, drive: Array) -> Array:
        """The rate equation, evaluated by NumPy."""
        return np.broadcast_to(self._rate.evaluate({"u": drive, **self.constants}), drive.shape).astype(float)

    def gain(self, drive: Array, r: Array) -> Array:
        """The slope equation, evaluated by NumPy."""
        return np.broadcast_to(self._slope.evaluate({"u": drive, "r": r, **self.constants}), drive.shape).astype(float)

    def delta(self, error: Array, gain: Array) -> Array:
        """The error as the layer below needs it: error times gain."""
        return error * gain

    def signed(self, variable: str) -> bool:
        """The rate has the signs that its equation gives for drives of -1,000 to 1,000."""
        return bool((self.r(DRIVES) < 0.0).any()) if variable == "r" else super().signed(variable)

    def expressions(self) -> dict[str, str]:
        """The equations as they were read, with the drive in place of u."""
        return {
            "r": self._rate.renamed({"u": "drive"}),
            "gain": self._slope.renamed({"u": "drive"}),
            "delta": "error*gain",
        }
