"""SuperSpike: the error that reaches a neuron meets an eligibility trace of its synapses.

    T dw_ij/dt = eta e_i lambda_ij                             i: postsynaptic, j: presynaptic
    tau_mem   dp_ij/dt = -p_ij + r_j                           the membrane's part of epsilon * S_j
    tau_rise  dx_ij/dt = -x_ij + gain_i p_ij                   alpha, first filter
    tau_decay dlambda_ij/dt = -lambda_ij + x_ij                alpha, second filter

This is dw_ij = eta int e_i(t) alpha * [sigma'(U_i(t)) (epsilon * S_j)(t)] dt. Each kernel is there once:
epsilon, what a spike does to the membrane, is a synaptic filter, which is r_j (so the presynaptic neuron's
`tau_trace` is the synaptic time constant), then the membrane's (`tau_mem`); alpha, the kernel of the van
Rossum distance, is two filters (`tau_rise`, `tau_decay`), of the same time constants as those by which the
error e_i = alpha * (S_target - S) was made (`VanRossumError`). All filters have unit area. gain_i is
sigma'(U_i) (`Lif` with surrogate = "fast_sigmoid"). What feeds e_i to a hidden neuron is the circuit's affair: in the
source random, uniform (all 1) or symmetric weights. Left out here: the source's learning rate of each
synapse, its rate-dependent decay, and its updates in blocks of 0.5 s.

Source: Zenke & Ganguli (2018), Neural Computation 30:1514, eqs. 2.1 to 2.5.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge, Gt

from bioFA.components import Number, Rate
from bioFA.rules.base import Array, PlasticityRule
from bioFA.units import Unit


class Superspike(PlasticityRule):
    """T dw/dt = learning_rate * error * eligibility."""

    learning_rate: Annotated[Number, Rate(), Ge(0)] = 1e-3
    tau_mem: Annotated[Number, Unit("s"), Gt(0)] = 10e-3
    tau_rise: Annotated[Number, Unit("s"), Gt(0)] = 5e-3
    tau_decay: Annotated[Number, Unit("s"), Gt(0)] = 10e-3

    reads_pre: ClassVar[tuple[str, ...]] = ("r",)
    reads_post: ClassVar[tuple[str, ...]] = ("error", "gain")
    neuron_parameters: ClassVar[Mapping[str, str]] = {"tau_mem": "tau"}
    error_parameters: ClassVar[Mapping[str, str]] = {"tau_rise": "tau_rise", "tau_decay": "tau_decay"}
    state: ClassVar[Mapping[str, float]] = {"potential": 0.0, "rising": 0.0, "eligibility": 0.0}
    equations: ClassVar[str] = """
        dw/dt = learning_rate * error_post * eligibility / T : 1
        dpotential/dt = (r_pre - potential)/tau_mem : 1
        drising/dt = (gain_post * potential - rising)/tau_rise : 1
        deligibility/dt = (rising - eligibility)/tau_decay : 1
    """

    def step(
        self, synapses: Mapping[str, Array], pre: Mapping[str, Array], post: Mapping[str, Array], dt: float, T: float
    ) -> dict[str, Array]:
        """The error of each row times the trace; each filter follows the one before it as it was."""
        potential, rising, eligibility = (synapses[name] for name in ("potential", "rising", "eligibility"))
        mem, rise, decay = (-math.expm1(-dt / tau) for tau in (self.tau_mem, self.tau_rise, self.tau_decay))
        return {
            "w": synapses["w"] + self.learning_rate * dt / T * post["error"][:, np.newaxis] * eligibility,
            "potential": potential + mem * (pre["r"] - potential),
            "rising": rising + rise * (post["gain"][:, np.newaxis] * potential - rising),
            "eligibility": eligibility + decay * (rising - eligibility),
        }
