"""A plasticity rule of one's own: three factors with Oja's bound, checked, run, and compared with feedback alignment.

    T dw_ij/dt = eta (e_i phi'(u_i) r_j - kappa r_i^2 w_ij)

    python examples/three_factor_rule.py
"""

from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge

import bioFA
from bioFA.rules import PlasticityRule


class OjaError(PlasticityRule):
    """Error, gain and presynaptic rate; Oja's decay keeps the weights of an active neuron bounded."""

    learning_rate: Annotated[float, Ge(0)] = 0.1
    kappa: Annotated[float, Ge(0)] = 1e-4

    error_driven: ClassVar = False  # a weight decays without an error too
    reads_pre: ClassVar = ("r",)
    reads_post: ClassVar = ("error", "gain", "r")
    equations: ClassVar = "dw/dt = learning_rate * (error_post * gain_post * r_pre - kappa * r_post**2 * w) / T : 1"

    def step(self, synapses, pre, post, dt, T):
        """One Euler step, by hand."""
        w = synapses["w"]
        dw = np.outer(post["error"] * post["gain"], pre["r"]) - self.kappa * (post["r"] ** 2)[:, np.newaxis] * w
        return {"w": w + self.learning_rate * dt / T * dw}


if __name__ == "__main__":
    print(bioFA.check_rule(OjaError()))
    fa = bioFA.load("digits")
    settings = fa.circuit.schemes["fa"].replace(rule=OjaError())
    own = fa.replace(name="oja_error", circuit=fa.circuit.replace(schemes={"fa": settings}))
    print(bioFA.verify(own, presentations=500))
    for experiment in (fa, own):
        errors = [bioFA.simulate(experiment, seed).metrics["validation_error"] for seed in (1, 2, 3)]
        print(
            f"{experiment.name:<10} validation error {np.mean(errors):.1%}   (seeds 1 to 3:"
            f" {', '.join(f'{e:.1%}' for e in errors)})"
        )
