"""What the strength of a listed synapse does from spike to spike, whatever is learned.

    what arrives = weight * release        release: of this synapse, at this presynaptic spike

Dynamics belong to the synapse: each has resources and parameters of its own, and only presynaptic spikes move them.
They are evaluated as the spike is sent; delays come after.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import numpy as np

from bioFA.components import Component, Family
from bioFA.distributions import Distribution, Measures
from bioFA.equations.dimensions import Dimension
from bioFA.errors import under

Array = np.ndarray
LONG_AGO = 1e9
"""Steps since its last spike, of a presynaptic neuron that has not spiked yet."""


class Dynamics(Component):
    """Base of the dynamics of synapses."""

    family_name: ClassVar[str] = ""

    def model_post_init(self, context: Any) -> None:
        """Refuse parameters that measure something else, or are out of range."""
        for name, part in Measures.fields(type(self)).items():
            with under(name):
                part.check(getattr(self, name), f"{type(self).__name__}.{name}")

    @property
    def kind(self) -> str:
        """What the compiled program calls it (`biofa_dynamics.h`)."""
        raise NotImplementedError

    @property
    def keeps(self) -> Mapping[str, float]:
        """What every synapse keeps, and the value that it begins with."""
        raise NotImplementedError

    def own_parameters(self) -> Mapping[str, tuple[Distribution, Dimension]]:
        """The parameters, each a distribution over synapses, and their dimensions."""
        return {name: (getattr(self, name), part.dimension) for name, part in Measures.fields(type(self)).items()}

    def present(self, kept: Mapping[str, Array], p: Mapping[str, Array], since: Array) -> dict[str, Array]:
        """What a presynaptic spike would find now, by variable, `(n,)` each, as `release` takes it; what is recorded.

        Args:
            kept: what they kept after the spike before, `(n,)` each.
            p: their parameters, `(n,)` or `(1,)` each, in SI.
            since: the seconds since that spike, `(n,)`.
        """
        raise NotImplementedError

    def release(
        self, kept: Mapping[str, Array], p: Mapping[str, Array], since: Array
    ) -> tuple[Array, dict[str, Array]]:
        """What synapses release at a presynaptic spike, and what they keep after it.

        Args:
            kept: what they kept after the spike before, `(n,)` each.
            p: their parameters, `(n,)` or `(1,)` each, in SI.
            since: the seconds since that spike, `(n,)`.

        Returns:
            The release `(n,)`, and what they keep, `(n,)` each.
        """
        raise NotImplementedError


family: Family[Dynamics] = Family("dynamics of synapses", "bioFA.synapses", base=Dynamics)
DynamicsField = Annotated[Dynamics, *family.member()]
