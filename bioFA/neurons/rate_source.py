"""Stimulus source: shows the inputs, or the targets, of the current presentation."""

from __future__ import annotations

from typing import ClassVar, Literal

from bioFA.neurons.base import NeuronModel


class RateSource(NeuronModel):
    """r = the row of `of` that belongs to this presentation."""

    of: Literal["inputs", "targets"] = "inputs"

    publishes: ClassVar[tuple[str, ...]] = ("r",)
    shows: ClassVar[str | None] = "task"

    def r(self) -> None:
        """Shown, not computed."""
