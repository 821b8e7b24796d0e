"""What a plasticity rule is: the change of one synapse from what that synapse can see.

A rule's file carries the mathematics in its docstring, the Brian2 string (`equations`) and a
NumPy `step` written by hand from the mathematics; a test holds the two to each other.

Learning rates are *per presentation*: with T the time per presentation during which learning
is on, the change over one presentation of constant activity is the learning rate times the
rule's product, whatever dt and T are. Hence the factor 1/T in every equation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import numpy as np

from bioFA.components import Component, Family

Array = np.ndarray


class PlasticityRule(Component):
    """Base of the plasticity rules."""

    reads_pre: ClassVar[tuple[str, ...]] = ()
    reads_post: ClassVar[tuple[str, ...]] = ()
    equations: ClassVar[str] = ""
    error_driven: ClassVar[bool] = True
    """Whether a rule that reads an error changes nothing without one, apart from a decay; `check_rule` holds it to that."""
    needs_partner: ClassVar[bool] = False
    """Whether a synapse reads the weight of its counterpart in another pathway (`Pathway.partner`), as `w_partner`."""

    def step(
        self, synapses: Mapping[str, Array], pre: Mapping[str, Array], post: Mapping[str, Array], dt: float, T: float
    ) -> dict[str, Array]:
        """The synapses one step later (NumPy, by hand).

        Args:
            synapses: `w` of shape `(n_post, n_pre)`, and `w_partner` where the rule needs a partner.
            pre: presynaptic variables named in `reads_pre`, each `(n_pre,)`; `carried` is what the pathway carries.
            post: postsynaptic variables named in `reads_post`, each `(n_post,)`.
            dt: length of the step in seconds.
            T: learning time per presentation in seconds.
        """
        raise NotImplementedError(f"{type(self).__name__} has no NumPy step")


family: Family[PlasticityRule] = Family("plasticity rule", "bioFA.rules", base=PlasticityRule)
Rule = Annotated[PlasticityRule, *family.member()]
