"""Kolen-Pollack: feedback weights learn by the product that their forward weights learn by, and both decay.

    dW_l = eta delta_{l+1} r_l' - lambda W_l,        dB_l = eta r_l delta_{l+1}' - lambda B_l

The two increments are each other's transpose, so W - B' shrinks by (1 - lambda) in every presentation
whatever is learned: weight transport without transport. Each synapse sees its own two neurons only.
eta and lambda are those of the rule of the forward pathway. Errors go down as in feedback alignment.
Shapes: W_l (size of layer l + 1, size of layer l), B_l the transpose of that.

Source: Kolen & Pollack (1994), Proc. ICNN 3:1375; Akrout et al. (2019), arXiv 1904.05391, eqs. 16-17.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from bioFA.schemes.base import Additions, Layers, Scheme, number_of, plastic_feedback

SHARE = 0.1
"""How much of a weight decays in a training, to first order, where no decay is given."""


class KolenPollack(Scheme):
    """Scheme `kp`: `decay` of the rules is the lambda of forward and feedback weights alike.

    Where no decay is given, and the model's own scheme has none, it is `SHARE` / (training presentations): over the
    whole training the random part of B and W shrinks by exp(-SHARE), as do weights that nothing renews.
    """

    family_name: ClassVar[str] = "kp"
    once: ClassVar[Mapping[str, Any]] = {
        "rule": {"name": "local_error", "decay": 1e-3},
        "readout_rule": {"name": "delta_rule", "decay": 1e-3},
    }

    def settled(self, presentations: Callable[[], int]) -> Scheme:
        """Rules that were given no decay have the one of the training's length."""
        rules = {name: getattr(self, name) for name in self.inherits}
        without = {
            name: rule
            for name, rule in rules.items()
            if "decay" in rule.parameters() and "decay" not in rule.model_fields_set
        }
        return (
            self.replace(**{name: rule.replace(decay=SHARE / presentations()) for name, rule in without.items()})
            if without
            else self
        )

    def completed(self, own: Scheme) -> Scheme:
        """What is inherited without a decay was given none."""
        rules = {name: getattr(own, name) for name in self.inherits}
        bare = {
            name: rule.without("decay") if rule.parameters().get("decay") == 0 else rule for name, rule in rules.items()
        }
        return super().completed(own.replace(**bare) if own.family_name != self.family_name else own)

    def lay(self, layers: Layers) -> Additions:
        """Random weights that learn to `error`, the transpose to `probe`."""
        rules = self.every_rule(layers)
        above = [rules[layers.forward[layer].name] for layer in layers.hidden_layers()]
        return plastic_feedback(
            self, layers, [(number_of(rule, "learning_rate"), number_of(rule, "decay")) for rule in above]
        )
