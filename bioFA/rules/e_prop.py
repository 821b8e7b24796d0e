"""E-prop: a learning signal meets an eligibility trace, which says how the synapse has moved its neuron's spikes.

    T dw_ij/dt = eta L_i ebar_ij                                        i: postsynaptic, j: presynaptic
    tau_mem        deps_ij/dt  = -eps_ij + train_j                      of the potential: zbar in the source
    tau_adaptation dalpha_ij/dt = -alpha_ij + e_ij                      of the threshold (eq. 24)
    tau_readout    debar_ij/dt = -ebar_ij + e_ij                        the readout's filter (eq. 28)
    e_ij = gain_i (eps_ij - beta alpha_ij)                              eligibility trace (eq. 25)

(eps, alpha) is the eligibility vector: derivatives by w_ij of v_i and of the adaptation a_i, of which three ways are
cut, as in the source: through other neurons, through what the reset takes off v_i, and through the neuron's recurrent
synapse to itself. What is left is the leak of v and the threshold's adaptation. For `AdaptiveLif`, whose gain_i is the
pseudo-derivative psi_i (of the train; the train itself has no derivative) and whose tau, beta and tau_adaptation the
rule must be given, the traces equal these cut derivatives to rounding, and so does ebar where the readout is
`LeakyRate` with tau = tau_readout and decay = "exact". Then, with L_i = sum_k B_ik (y*_k - y_k) the learning signal
(eq. 4, with the other sign), the rule follows the so cut pseudo-gradient of the squared error that the readout makes
while learning is on (for logistic readouts, of the cross-entropy): the true one is 0 almost everywhere, since spikes
are all or none. Since alpha is part of e, its own drive holds -beta gain alpha: a spike that the synapse brings about
raises the threshold of the next.

Where L_i comes from is the circuit's affair: the error that arrives, through fixed random weights ("random" e-prop),
the readout's own ("symmetric") or weights that learn as the readout does ("adaptive").
Left out here: the source's regularisation of firing rates.

Source: Bellec et al. (2020), Nat. Commun. 11:3625, eqs. 1, 4, 24, 25 and 28.
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


class EProp(PlasticityRule):
    """T dw/dt = learning_rate * error * filtered eligibility."""

    learning_rate: Annotated[Number, Rate(), Ge(0)] = 1e-3
    tau_mem: Annotated[Number, Unit("s"), Gt(0)] = 20e-3
    tau_readout: Annotated[Number, Unit("s"), Gt(0)] = 20e-3
    tau_adaptation: Annotated[Number, Unit("s"), Gt(0)] = 2.0
    beta: Annotated[Number, Ge(0)] = 5.0

    reads_pre: ClassVar[tuple[str, ...]] = ("carried",)
    reads_post: ClassVar[tuple[str, ...]] = ("error", "gain")
    neuron_parameters: ClassVar[Mapping[str, str]] = {
        "tau_mem": "tau",
        "tau_adaptation": "tau_adaptation",
        "beta": "beta",
    }
    readout_parameters: ClassVar[Mapping[str, str]] = {"tau_readout": "tau"}
    state: ClassVar[Mapping[str, float]] = {"potential": 0.0, "adaptation": 0.0, "eligibility": 0.0}
    equations: ClassVar[str] = """
        dw/dt = learning_rate * error_post * eligibility / T : 1
        dpotential/dt = (carried_pre - potential)/tau_mem : 1
        dadaptation/dt = (gain_post * (potential - beta * adaptation) - adaptation)/tau_adaptation : 1
        deligibility/dt = (gain_post * (potential - beta * adaptation) - eligibility)/tau_readout : 1
    """

    def step(
        self, synapses: Mapping[str, Array], pre: Mapping[str, Array], post: Mapping[str, Array], dt: float, T: float
    ) -> dict[str, Array]:
        """The error of each row times the filtered eligibility; every trace follows the others as they were."""
        potential, adaptation, eligibility = (synapses[name] for name in ("potential", "adaptation", "eligibility"))
        mem, slow, readout = (-math.expm1(-dt / tau) for tau in (self.tau_mem, self.tau_adaptation, self.tau_readout))
        now = post["gain"][:, np.newaxis] * (potential - self.beta * adaptation)
        return {
            "w": synapses["w"] + self.learning_rate * dt / T * post["error"][:, np.newaxis] * eligibility,
            "potential": potential + mem * (pre["carried"] - potential),
            "adaptation": adaptation + slow * (now - adaptation),
            "eligibility": eligibility + readout * (now - eligibility),
        }
