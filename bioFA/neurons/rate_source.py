"""Stimulus source: shows the inputs, or the targets, of the current presentation."""

from __future__ import annotations

from typing import ClassVar

from bioFA.neurons.base import TaskSource


class RateSource(TaskSource):
    """r = the row of `of` that belongs to this presentation."""

    publishes: ClassVar[tuple[str, ...]] = ("r",)

    def r(self) -> None:
        """Shown, not computed."""
