"""Pyramidal neuron with a basal, a somatic and an apical compartment, and a plateau potential in each of two phases.

    tau dv/dt = -v + g_basal (drive - v) + g_apical (error - v)
    s = 1 with probability max_rate dt sigma(v), else 0           train = s / (max_rate dt)
    tau_trace dr/dt = -r + train
    alpha_f = sigma(mean of `error` in the forward window)       alpha_t = sigma(mean of `error` in the target window)
    change = alpha_t - alpha_f
    gain = k sigma'(mean of v in the forward window)             k = g_basal / (1 + g_basal + g_apical)

A presentation has two phases: forward, for the time `forward`, and target, until its end, in which the target
drives the output (`PyramidalOutput`). Their windows begin `settling` after each phase. The basal potential
is the port `drive`, the apical one the port `error`: both are what arrives, conductances g are those over the leak's.
With g_apical = 0, as in the source's main experiments, the apical dendrite reaches the soma by its plateaus only.
A window's mean is kept as a running one, m + (x - m) dt / (time in the window), so that it begins anew by itself, and
`change` is that of the target window so far; it is 0 before the target window's second step (of `late`, the share of a
step, 1, 1/2, 1/3, ...). v and r follow their exact solution for ports that are constant within the step.

Source: Guerguiev, Lillicrap & Richards (2017), eLife 6:e22901, methods: soma, plateau potentials at the end of
each phase, Poisson spikes. Left out: the rise of synaptic currents (pathways carry r, one exponential),
and phases of random length.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge, Gt

from bioFA.components import Number
from bioFA.errors import OutOfRange
from bioFA.neurons.activations import ACTIVATIONS
from bioFA.neurons.base import Array
from bioFA.neurons.spiking_neuron import SpikingNeuron
from bioFA.units import Unit

sigma = ACTIVATIONS["logistic"].rate


class Pyramidal(SpikingNeuron):
    """Soma, basal and apical dendrite; learns from the change of its plateau."""

    tau: Annotated[Number, Unit("s"), Gt(0)] = 10e-3
    g_basal: Annotated[Number, Gt(0)] = 6.0
    g_apical: Annotated[Number, Ge(0)] = 0.0
    max_rate: Annotated[Number, Unit("Hz"), Gt(0)] = 200.0
    forward: Annotated[Number, Unit("s"), Gt(0)] = 50e-3
    settling: Annotated[Number, Unit("s"), Ge(0)] = 30e-3

    shared_parameters: ClassVar[tuple[str, ...]] = ("forward", "settling")
    step_times: ClassVar[Mapping[str, int]] = {"forward": 1, "settling": 0}
    ports: ClassVar[tuple[str, ...]] = ("drive", "error", "probe")
    publishes: ClassVar[tuple[str, ...]] = ("early", "late", "rate", "s", "train", "r", "change", "gain")
    state: ClassVar[Mapping[str, float]] = {
        "v": 0.0,
        **SpikingNeuron.state,
        "soma_forward": 0.0,
        "apical_forward": 0.0,
        "apical_target": 0.0,
    }
    both_signs: ClassVar[tuple[str, ...]] = (*SpikingNeuron.both_signs, "change")
    draws: ClassVar[tuple[str, ...]] = ("chance",)
    watched: ClassVar[tuple[str, ...]] = ("v", "error", "change", "r")

    def model_post_init(self, context: object) -> None:
        """Refuse a forward phase without a window."""
        if self.settling >= self.forward:
            raise OutOfRange(
                f"{type(self).__name__}.settling must be < forward = {self.forward:g} s; got {self.settling:g} s. No"
                " forward window would be left to compare with.",
                at=("settling",),
            )

    def early(self, v: Array, time: float, dt: float) -> Array:
        """The share of this step in the mean over the forward window, 0 outside it."""
        on = self.settling - dt / 2 < time < self.forward - dt / 2
        return np.full_like(v, dt / (time - self.settling + dt) if on else 0.0)

    def late(self, v: Array, time: float, dt: float) -> Array:
        """The same for the target window."""
        begin = self.forward + self.settling
        return np.full_like(v, dt / (time - begin + dt) if time > begin - dt / 2 else 0.0)

    def rate(self, v: Array) -> Array:
        """The rate over max_rate."""
        return sigma(v)

    def s(self, rate: Array, chance: Array, dt: float) -> Array:
        """1 where the neuron spikes in this step, else 0."""
        return (chance < rate * self.max_rate * dt).astype(float)

    def train(self, s: Array, dt: float) -> Array:
        """The spike train over max_rate."""
        return s / (self.max_rate * dt)

    def change(self, apical_target: Array, apical_forward: Array, late: Array) -> Array:
        """The plateau of the target phase over that of the forward phase; 0 before the target window has a step."""
        return np.where((late > 0.0) & (late < 0.75), sigma(apical_target) - sigma(apical_forward), 0.0)

    def gain(self, soma_forward: Array) -> Array:
        """The slope of the rate with the basal potential, in the forward phase."""
        rate = sigma(soma_forward)
        return self.g_basal / (1.0 + self.g_basal + self.g_apical) * rate * (1.0 - rate)

    def rate_unit(self) -> None:
        """None: a unit within a step has no phases."""

    def unit(self) -> float:
        """The rate in Hz that a `train` counts as 1."""
        return self.max_rate

    def advance(self, state: Mapping[str, Array], now: Mapping[str, Array], dt: float) -> dict[str, Array]:
        """Each mean takes in this step; then soma and trace move."""
        leak = 1.0 + self.g_basal + self.g_apical
        aim = (self.g_basal * now["drive"] + self.g_apical * now["error"]) / leak
        return {
            **super().advance(state, now, dt),
            "v": aim + (state["v"] - aim) * np.exp(-dt * leak / self.tau),
            "soma_forward": state["soma_forward"] + now["early"] * (state["v"] - state["soma_forward"]),
            "apical_forward": state["apical_forward"] + now["early"] * (now["error"] - state["apical_forward"]),
            "apical_target": state["apical_target"] + now["late"] * (now["error"] - state["apical_target"]),
        }

    def expressions(self) -> dict[str, str]:
        """Brian2's reading of the published variables."""
        logistic = ACTIVATIONS["logistic"].rate_expression
        soma = logistic.format(u="soma_forward")
        early, late = "settling", "(forward + settling)"
        return {
            "early": (
                f"int(time > {early} - dt/2)*int(time < forward - dt/2)*dt/((time - {early})*int(time > {early}) + dt)"
            ),
            "late": f"int(time > {late} - dt/2)*dt/((time - {late})*int(time > {late}) + dt)",
            "rate": logistic.format(u="v"),
            "s": "1.0*int(chance < rate*max_rate*dt)",
            "train": "s/(max_rate*dt)",
            "r": "filtered",
            "change": (
                f"({logistic.format(u='apical_target')} - {logistic.format(u='apical_forward')})*int(late > 0)*int(late"
                " < 0.75)"
            ),
            "gain": f"g_basal/(1 + g_basal + g_apical)*({soma})*(1 - ({soma}))",
        }

    def dynamics(self) -> str:
        """Brian2's reading of soma and trace."""
        return f"dv/dt = (-v + g_basal*(drive - v) + g_apical*(error - v))/tau : 1\n{super().dynamics()}"

    def arrival(self) -> str:
        """Brian2's reading of the means, which take in the potentials of this step."""
        return "\n".join((
            "soma_forward = soma_forward + early*(v - soma_forward)",
            "apical_forward = apical_forward + early*(error - apical_forward)",
            "apical_target = apical_target + late*(error - apical_target)",
        ))
