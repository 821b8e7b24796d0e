"""Learning from two phases: a synapse changes by what the target phase adds to its neuron's plateau, or to its rate.

    T dw_ij/dt = eta change_i gain_i r_j            i: postsynaptic, j: presynaptic

Of a hidden neuron (`Pyramidal`), change_i = alpha_t - alpha_f is the difference of its plateau potentials and gain_i =
k sigma'(v_f) the slope of its rate, so that eta = eta_0 P_0 max_rate^2 of the source; of an output neuron
(`PyramidalOutput`) change_i is what the teaching current adds to its rate. The feedback that makes the plateaus are the
output's spikes, through fixed random weights. Weights change at the end of the target phase, while learning is on
(`learning_onset`), which must lie in the target window. The presynaptic activity is r_j at that time, where the source
takes its mean over the forward phase; both have the same mean while the stimulus stays and the apical dendrite leaves
the soma alone (g_apical = 0).

Source: Guerguiev, Lillicrap & Richards (2017), eLife 6:e22901, methods: gradients of the hidden and the output loss.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge

from bioFA.components import Number, Rate
from bioFA.rules.base import Array, PlasticityRule


class TwoPhasePlateau(PlasticityRule):
    """T dw/dt = learning_rate * change * gain * r."""

    learning_rate: Annotated[Number, Rate(), Ge(0)] = 0.1

    reads_pre: ClassVar[tuple[str, ...]] = ("r",)
    reads_post: ClassVar[tuple[str, ...]] = ("change", "gain")
    equations: ClassVar[str] = "dw/dt = learning_rate * change_post * gain_post * r_pre / T : 1"

    def step(
        self, synapses: Mapping[str, Array], pre: Mapping[str, Array], post: Mapping[str, Array], dt: float, T: float
    ) -> dict[str, Array]:
        """The change of each row times what each column sends."""
        return {"w": synapses["w"] + dt / T * self.learning_rate * np.outer(post["change"] * post["gain"], pre["r"])}
