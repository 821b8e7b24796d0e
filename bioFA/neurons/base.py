"""What every neuron model states about itself, so that both consumers can run it.

A model has *ports* (where pathways arrive), *state* (what it keeps from step to step) and
*published* variables (what others can read within the step). Each published variable is a
method whose argument names are what it needs; a test holds the Brian2 expression of the same
name to that method. Arrays have shape `(size,)`.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, ClassVar

import numpy as np

from bioFA.components import Component, Family

Array = np.ndarray


class NeuronModel(Component):
    """Base of the neuron models."""

    ports: ClassVar[tuple[str, ...]] = ()
    publishes: ClassVar[tuple[str, ...]] = ()
    state: ClassVar[Mapping[str, float]] = {}
    shows: ClassVar[str | None] = None
    """What a stimulus source takes from outside: 'task' or 'noise'; None for neurons that compute."""

    def required_ports(self) -> tuple[str, ...]:
        """Ports that must receive a pathway, or the model makes no sense."""
        return ()

    def unread_ports(self) -> tuple[str, ...]:
        """Ports that nothing in this configuration of the model reads."""
        return ()

    def expressions(self) -> dict[str, str]:
        """Each published variable as a Brian2 expression."""
        return {}

    def dynamics(self) -> str:
        """The Brian2 differential equations of the state, or nothing."""
        return ""

    def integration(self) -> str:
        """The name of Brian2's integration method for `dynamics`."""
        return "euler"

    def advance(self, state: Mapping[str, Array], ports: Mapping[str, Array], dt: float) -> dict[str, Array]:
        """The state one step later, from the state and the ports of this step (NumPy)."""
        return {}

    @classmethod
    def needs(cls, variable: str) -> tuple[str, ...]:
        """The ports, states and published variables that one published variable is computed from."""
        return _arguments(cls, variable)

    def readable(self) -> tuple[str, ...]:
        """Everything that a plasticity rule may read; a record may name what is published, and ports."""
        return (*self.publishes, *self.ports, *self.state)


@lru_cache
def _arguments(model: type[NeuronModel], variable: str) -> tuple[str, ...]:
    return tuple(inspect.signature(getattr(model, variable)).parameters)[1:]


family: Family[NeuronModel] = Family("neuron model", "bioFA.neurons", base=NeuronModel)
Neuron = Annotated[NeuronModel, *family.member()]
