"""Output neuron of a network of pyramidal neurons: a soma and a basal dendrite,
and a teaching current in the target phase.

    tau dv/dt = -v + g_basal (drive - v) + g_teach (E_teach (2 target - 1) - v)       the last term in the target phase
    only
    s, train, r, gain, and the phases and their windows                               as in `Pyramidal`
    answer = sigma(mean of v in the forward window)
    change = mean of sigma(v) in the target window - answer

The teaching current is one conductance whose reversal potential is +E_teach where the target is 1, and -E_teach where
it is 0: an excitatory and an inhibitory conductance, g_teach target and g_teach (1 - target). The network's answer is
`answer`, which is known before the target is shown.

Source: Guerguiev, Lillicrap & Richards (2017), eLife 6:e22901, methods: output layer, teaching current,
loss of the output.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge, Gt

from bioFA.components import Number
from bioFA.neurons.activations import ACTIVATIONS
from bioFA.neurons.base import Array
from bioFA.neurons.pyramidal import Pyramidal, sigma
from bioFA.neurons.spiking_neuron import SpikingNeuron


class PyramidalOutput(Pyramidal):
    """Soma and basal dendrite, taught in the target phase; learns from the change of its rate."""

    g_teach: Annotated[Number, Ge(0)] = 6.0
    E_teach: Annotated[Number, Gt(0)] = 4.0

    ports: ClassVar[tuple[str, ...]] = ("drive", "target")
    publishes: ClassVar[tuple[str, ...]] = (
        "early",
        "late",
        "taught",
        "rate",
        "s",
        "train",
        "r",
        "answer",
        "change",
        "gain",
    )
    state: ClassVar[Mapping[str, float]] = {"v": 0.0, **SpikingNeuron.state, "soma_forward": 0.0, "rate_target": 0.0}
    watched: ClassVar[tuple[str, ...]] = ("v", "change", "r")

    def required_ports(self) -> tuple[str, ...]:
        """The target."""
        return ("target",)

    def taught(self, v: Array, time: float, dt: float) -> Array:
        """1 in the target phase, else 0."""
        return np.full_like(v, float(time > self.forward - dt / 2))

    def answer(self, soma_forward: Array) -> Array:
        """The rate of the forward phase."""
        return sigma(soma_forward)

    def change(self, rate_target: Array, answer: Array, late: Array) -> Array:
        """The rate of the target phase over that of the forward phase; 0 before the target window has a step."""
        return np.where((late > 0.0) & (late < 0.75), rate_target - answer, 0.0)

    def advance(self, state: Mapping[str, Array], now: Mapping[str, Array], dt: float) -> dict[str, Array]:
        """Each mean takes in this step; then soma and trace move."""
        teach = self.g_teach * now["taught"]
        leak = 1.0 + self.g_basal + teach
        aim = (self.g_basal * now["drive"] + teach * self.E_teach * (2.0 * now["target"] - 1.0)) / leak
        return {
            **SpikingNeuron.advance(self, state, now, dt),
            "v": aim + (state["v"] - aim) * np.exp(-dt * leak / self.tau),
            "soma_forward": state["soma_forward"] + now["early"] * (state["v"] - state["soma_forward"]),
            "rate_target": state["rate_target"] + now["late"] * (now["rate"] - state["rate_target"]),
        }

    def expressions(self) -> dict[str, str]:
        """Brian2's reading of the published variables."""
        return super().expressions() | {
            "taught": "1.0*int(time > forward - dt/2)",
            "answer": ACTIVATIONS["logistic"].rate_expression.format(u="soma_forward"),
            "change": "(rate_target - answer)*int(late > 0)*int(late < 0.75)",
        }

    def dynamics(self) -> str:
        """Brian2's reading of soma and trace."""
        soma = "dv/dt = (-v + g_basal*(drive - v) + g_teach*taught*(E_teach*(2*target - 1) - v))/tau : 1"
        return f"{soma}\n{SpikingNeuron.dynamics(self)}"

    def arrival(self) -> str:
        """Brian2's reading of the means."""
        return (
            "soma_forward = soma_forward + early*(v - soma_forward)\nrate_target = rate_target + late*(rate -"
            " rate_target)"
        )
