"""Noise source: independent Gaussian noise, drawn anew for every presentation.

    r ~ N(0, sigma^2)
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from annotated_types import Ge

from bioFA.components import Number
from bioFA.neurons.base import NeuronModel


class NoiseSource(NeuronModel):
    """r ~ N(0, sigma^2), held for a presentation."""

    sigma: Annotated[Number, Ge(1e-100)] = 0.01

    both_signs: ClassVar[tuple[str, ...]] = ("r",)
    publishes: ClassVar[tuple[str, ...]] = ("r",)
    shows: ClassVar[str | None] = "noise"

    def r(self) -> None:
        """Shown, not computed."""
