"""What a plasticity rule is: the change of one synapse from what that synapse can see.

A rule's file carries the mathematics in its docstring, the Brian2 string (`equations`) and a
NumPy `step` written by hand from the mathematics; tests compare the two, and, where neurons can spike, both with the
paper's equation for the recorded spikes (`tests/papers.py`): a new rule is to be added there.

Learning rates are *per presentation*: with T the time per presentation during which learning
is on, the change over one presentation of constant activity is the learning rate times the
rule's product, whatever dt and T are. Hence the factor 1/T in every equation.

A rule may keep variables at each synapse beside the weight, such as an eligibility trace: `state` names
them with the values that they begin with, and each has a line `d<name>/dt = (drive - <name>)/tau : 1` in `equations`: a
low-pass filter of unit area. In a step it moves towards its drive, as it was when the step began, by the share
1 - exp(-dt/tau). The drive may read other traces, so filters can follow each other, and the trace itself, which is then
coupled to itself beside its leak (`e_prop`), and the weight: all are taken as they were,
so the coupling is not part of the exponential. When traces move is said in `reference.py`, step 4.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, ClassVar

import numpy as np

from bioFA.components import Component, Family
from bioFA.errors import BadEquation

Array = np.ndarray


class PlasticityRule(Component):
    """Base of the plasticity rules."""

    reads_pre: ClassVar[tuple[str, ...]] = ()
    reads_post: ClassVar[tuple[str, ...]] = ()
    state: ClassVar[Mapping[str, float]] = {}
    """What a synapse keeps beside its weight, and the value that it begins with."""
    equations: ClassVar[str] = ""
    error_driven: ClassVar[bool] = True
    """Whether a rule that reads an error changes nothing without one, apart from a decay;
    `check_rule` holds it to that."""
    needs_partner: ClassVar[bool] = False
    """Whether a synapse reads the weight of its counterpart in another pathway (`Pathway.partner`), as `w_partner`."""

    neuron_parameters: ClassVar[Mapping[str, str]] = {}
    """Parameters that are the postsynaptic neuron's, with their names there:
    they must be equal where it has one of that name."""
    error_parameters: ClassVar[Mapping[str, str]] = {}
    """The same of the error units of the network, which make the error that the rule reads."""
    readout_parameters: ClassVar[Mapping[str, str]] = {}
    """The same of the neurons without spikes whose rates an error unit compares with the target."""

    def step(
        self, synapses: Mapping[str, Array], pre: Mapping[str, Array], post: Mapping[str, Array], dt: float, T: float
    ) -> dict[str, Array]:
        """The synapses one step later (NumPy, by hand): `w`, and every variable of `state`.

        It is asked for a tissue in which all meet all; where synapses are listed, or see their neurons after delays of
        their own, for those of one postsynaptic neuron at a time, `(1, n)`, with a presynaptic neuron for each. With
        delays, `pre` and `post` are what the synapses see (`bioFA.consumers.reference`, 4).

        Args:
            synapses: `w` and the variables of `state`, each `(n_post, n_pre)`, and `w_partner` where the rule needs a
                partner.
            pre: presynaptic variables named in `reads_pre`, each `(n_pre,)`; `carried` is what the pathway carries.
            post: postsynaptic variables named in `reads_post`, each `(n_post,)`.
            dt: length of the step in seconds.
            T: learning time per presentation in seconds.
        """
        raise NotImplementedError(f"{type(self).__name__} has no NumPy step")

    def filters(self) -> dict[str, tuple[str, str]]:
        """Drive and time constant of each variable of `state`, from its line in `equations`.

        Raises:
            ModelError: if the lines are not those of `w` and then of `state`, or one is no low-pass filter.
        """
        sides: dict[str, str] = {}
        for line in self.equations.strip().splitlines():
            left, _, right = line.partition("=")
            sides["".join(left.split()).removeprefix("d").removesuffix("/dt")] = right.rpartition(":")[0].strip()
        name = type(self).__name__
        if list(sides) != ["w", *self.state]:
            raise BadEquation(
                f"{name} keeps {', '.join(self.state) or 'nothing'} beside w, but its equations describe"
                f" {', '.join(sides) or 'nothing'}. Give w first, then one line a variable."
            )
        found = {}
        for variable in self.state:
            form = re.fullmatch(rf"\((.*) - {variable}\)\s*/\s*(\w+)", sides[variable])
            if form is None or not _balanced(form[1]) or form[2] not in self.parameters():
                raise BadEquation(
                    f"{name}: write 'd{variable}/dt = (drive - {variable})/tau : 1', tau being a parameter; got"
                    f" {sides[variable]!r}."
                )
            found[variable] = (form[1], form[2])
        return found


def _balanced(text: str) -> bool:
    """Whether no bracket closes before it opens."""
    depth = [text[:end].count("(") - text[:end].count(")") for end in range(len(text) + 1)]
    return min(depth) == depth[-1] == 0


family: Family[PlasticityRule] = Family("plasticity rule", "bioFA.rules", base=PlasticityRule)
Rule = Annotated[PlasticityRule, *family.member()]
