"""Spiking stimulus source: shows spikes that are given as data, step by step.

    s = the row of `of` that belongs to this step: 1 for a spike, else 0
    train = s / (unit_rate dt)        the spike train over the rate that counts as 1
    tau_trace dr/dt = -r + train      the low-passed train, which plasticity sees

Nothing is drawn here: the same presentation shows the same spikes every time ("frozen noise"). The task
divides a presentation into as many bins as it has steps.
"""

from __future__ import annotations

from typing import ClassVar

from bioFA.neurons.spiking_source import TimedSource


class SpikeSource(TimedSource):
    """Spikes as the task gives them."""

    publishes: ClassVar[tuple[str, ...]] = ("s", "train", "r")
    shown: ClassVar[str] = "s"
    shows_steps: ClassVar[bool] = True

    def s(self) -> None:
        """Shown, not computed."""
