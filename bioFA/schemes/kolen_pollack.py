"""Kolen-Pollack: feedback weights learn by the product that their forward weights learn by, and both decay.

    dW_l = eta delta_{l+1} r_l' - lambda W_l,        dB_l = eta r_l delta_{l+1}' - lambda B_l

The two increments are each other's transpose, so W - B' shrinks by (1 - lambda) in every presentation
whatever is learned: weight transport without transport. Each synapse sees its own two neurons only.
eta and lambda are those of the rule of the forward pathway. Errors go down as in feedback alignment.
Shapes: W_l (size of layer l + 1, size of layer l), B_l the transpose of that.

Source: Kolen & Pollack (1994), Proc. ICNN 3:1375; Akrout et al. (2019), arXiv 1904.05391, eqs. 16-17.
"""

from __future__ import annotations

from typing import ClassVar

from bioFA.rules import Rule
from bioFA.rules.delta_rule import DeltaRule
from bioFA.rules.local_error import LocalError
from bioFA.schemes.base import Additions, Layers, Scheme, number_of, plastic_feedback


class KolenPollack(Scheme):
    """Scheme `kp`: `decay` of the rules is the lambda of forward and feedback weights alike."""

    family_name: ClassVar[str] = "kp"

    rule: Rule = LocalError(decay=1e-3)
    readout_rule: Rule = DeltaRule(decay=1e-3)

    def lay(self, layers: Layers) -> Additions:
        """Random weights that learn to `error`, the transpose to `probe`."""
        rules = self.every_rule(layers)
        above = [rules[layers.forward[layer].name] for layer in layers.hidden_layers()]
        return plastic_feedback(self, layers, [(number_of(rule, "learning_rate"), number_of(rule, "decay")) for rule in above])
