"""What neurons that spike have in common: others see of them only a spike train, low-passed where they need a rate.

    tau_trace dr/dt = -r + train

`s` is 1 in a step with a spike, else 0; `train` the same over the rate that counts as 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from annotated_types import Gt

from bioFA.components import Number
from bioFA.neurons.base import Array, NeuronModel
from bioFA.units import Unit


class SpikingNeuron(NeuronModel):
    """A neuron that publishes `s`, `train` and the low-passed train `r`."""

    tau_trace: Annotated[Number, Unit("s"), Gt(0)] = 20e-3

    family_name: ClassVar[str] = ""
    state: ClassVar[Mapping[str, float]] = {"filtered": 0.0}
    events: ClassVar[tuple[str, ...]] = ("s", "train")
    sends: ClassVar[str] = "train"
    spike_signals: ClassVar[tuple[str, ...]] = ("s", "train", "r")

    def r(self, filtered: Array) -> Array:
        """The low-passed spike train."""
        return filtered.copy()

    def advance(self, state: Mapping[str, Array], now: Mapping[str, Array], dt: float) -> dict[str, Array]:
        """The trace moves towards the train of this step by its share."""
        return {"filtered": state["filtered"] + self.share(self.tau_trace, dt) * (now["train"] - state["filtered"])}

    def dynamics(self) -> str:
        """Brian2's reading of the trace."""
        return "dfiltered/dt = (train - filtered)/tau_trace : 1"

    def integration(self) -> str:
        """Exact for what is constant within the step."""
        return "exponential_euler"
