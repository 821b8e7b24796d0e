"""Source of a given current, or of anything else that is graded: steps, ramps and pulses.

    I(t) = scale f(t)        f: the table `values`, [["0 ms", "0 pA"], ["100 ms", "200 pA"], ...]

`shape = "steps"`: each value holds from its time on. `shape = "linear"`: f is straight between two times. Before the
first time, and while the source is not `on`, I is 0; after the last, the last value holds. A pulse train is one value
with `on = [["0 ms", "10 ms"]]` and `repeat = "100 ms"`. A step takes f as it begins. `scale` may differ between
neurons.

The values say what it measures: weights of its pathways are plain numbers where the port has the same unit. NEST's
`dc_generator` and `step_current_generator` are of this kind, one synaptic delay later.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from bioFA.distributions import Constant, Distributed, Measures, in_si
from bioFA.distributions import Values as Given
from bioFA.equations.dimensions import NONE, Dimension
from bioFA.errors import under
from bioFA.neurons.base import Array, Moment
from bioFA.neurons.free_source import FreeSource, Table


class Current(FreeSource):
    """What a table in time says."""

    values: Annotated[Table, Field(examples=[[["0 ms", "0 pA"], ["100 ms", "200 pA"]]])]
    shape: Literal["steps", "linear"] = "steps"
    scale: Annotated[Distributed, Measures("1")] = Constant(value=1.0)

    publishes: ClassVar[tuple[str, ...]] = ("I",)
    sends: ClassVar[str] = "I"

    def model_post_init(self, context: Any) -> None:
        """Refuse a table whose values measure different things."""
        super().model_post_init(context)
        self.table_times(self.values, "values")
        _ = self.dimension

    @property
    def dimension(self) -> Dimension:
        """What its values measure; plain numbers are numbers."""
        with under("values"):
            return Given(values=tuple(value for _, value in self.values)).dimension("Current.values")

    def dimension_of(self, variable: str) -> Dimension:
        """That of the values."""
        return self.dimension if variable == "I" else NONE

    def signed(self, variable: str) -> bool:
        """Whether a value is negative."""
        return bool((self._values() < 0).any())

    def _values(self) -> Array:
        return np.array([in_si(v, self.dimension, f"values[{n}]") for n, (_, v) in enumerate(self.values)])

    def course(self, dt: float, start: int, stop: int) -> Array:
        """f in each step, 0 while it is not on."""
        steps = self.folded(dt, start, stop)
        found = self.in_table(steps, dt, self.table_times(self.values, "values"), self._values().tolist(), self.shape)
        return np.where(self.gate(steps, dt), found, 0.0)

    def published(self, variable: str, needs: Mapping[str, Any], moment: Moment) -> Array:
        """scale f."""
        return np.array(np.broadcast_to(moment.constants["scale"] * moment.shown, moment.size), dtype=float)

    def expressions(self) -> dict[str, str]:
        """Brian2's reading of the published variables."""
        return {"I": "scale*course"}

    def run_constants(self) -> dict[str, bool]:
        """The scale."""
        return {"scale": self.scale.alike}

    def run_values(self, moment: Moment) -> dict[str, Array]:
        """Its value."""
        return {"scale": moment.constants["scale"]}
