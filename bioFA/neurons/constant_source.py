"""Constant source: a tonically active unit, whose outgoing weights are the biases of a layer."""

from __future__ import annotations

from typing import ClassVar

from bioFA.neurons.base import NeuronModel


class ConstantSource(NeuronModel):
    """r = 1, always."""

    publishes: ClassVar[tuple[str, ...]] = ("r",)
    shows: ClassVar[str | None] = "one"

    def r(self) -> None:
        """Shown, not computed."""
