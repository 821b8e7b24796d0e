"""How long what is sent is under way: one delay for a pathway, or one a synapse.

    delay = axonal + dendritic        in whole steps, each rounded by `units.steps_of`

A spike that the threshold test of a step found acts in the step that begins `delay` after that step has ended: with no
delay in the next. What a source or a static unit sends acts in the step that begins `delay` after its own begins. A
plasticity rule sees what is presynaptic after the axonal part, and what is postsynaptic after the dendritic part.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import Annotated, Any, Literal

import numpy as np

from bioFA.components import Component, InSchema, ReadBy, faults
from bioFA.distributions import AtSynapses, Constant, Distributed, Distribution
from bioFA.equations.dimensions import TIME
from bioFA.errors import OutOfRange, under
from bioFA.units import steps_of_all

Array = np.ndarray
MOST_STEPS = 2**20
"""A delay has at most so many steps: what is under way is kept for each."""
BLOCK = 2**16
"""So many delays are rounded at once, so that a list of millions needs no copies of itself."""


class Delay(Component):
    """The two parts of a delay, each a distribution over synapses; plain numbers are seconds."""

    axonal: Distributed = Constant(value=0.0)
    dendritic: Distributed = Constant(value=0.0)

    @property
    def alike(self) -> bool:
        """Whether all synapses have one delay."""
        return self.axonal.alike and self.dendritic.alike

    @property
    def given(self) -> bool:
        """Whether every delay is given, in an order, not drawn."""
        return self.axonal.given or self.dendritic.given

    @property
    def none(self) -> bool:
        """Whether it was left out."""
        return self == NO_DELAY

    def model_post_init(self, context: Any) -> None:
        """Refuse what measures no time, and one delay below 0."""
        for name, part in self.parts().items():
            with under(name):
                numbers = part.numbers(TIME, f"delay.{name}")
                if part.alike and numbers["value"] < 0:
                    raise OutOfRange(f"delay.{name} must be >= 0 s; got {numbers['value']:g} s.")
                if part.least(numbers) < 0:
                    raise OutOfRange(
                        f"delay.{name}: a delay must be >= 0 s, but {part.family_name} also gives less. Give low = 0."
                    )

    @cached_property
    def total(self) -> float:
        """The one delay of all synapses, in seconds."""
        parts = {name: part.numbers(TIME, f"delay.{name}") for name, part in self.parts().items()}
        return sum(numbers["value"] for numbers in parts.values())

    @cached_property
    def least(self) -> dict[str, float]:
        """What no synapse's part is below, in seconds, by part; 0 where that is not known."""
        found = {name: part.least(part.numbers(TIME, f"delay.{name}")) for name, part in self.parts().items()}
        return {name: value if value < math.inf else 0.0 for name, value in found.items()}

    def kind(self, part: str) -> Literal["", "one", "each"]:
        """Of one part: whether there is none, one for all synapses, or one for each."""
        if not self.parts()[part].alike:
            return "each"
        return "one" if self.least[part] > 0 else ""

    def parts(self) -> dict[str, Distribution]:
        """Both parts by name."""
        return {"axonal": self.axonal, "dendritic": self.dendritic}

    def draw(
        self, rng: np.random.Generator, count: int, dt: float, place: str, synapses: AtSynapses | None = None
    ) -> dict[str, Array]:
        """Both parts in steps, by name, each `(1,)` where all are alike, else `(count,)`, int32; `synapses` are what
        texts of two neurons read.

        Raises:
            OutOfRange: if one is negative, or longer than `MOST_STEPS`.
        """
        found: dict[str, Array] = {}
        for name, part in self.parts().items():
            size = 1 if part.alike else count
            where = f"{place}.{name}"
            times = part.draw(rng, size, TIME, where) if synapses is None else part.draw_at(rng, synapses, TIME, where)
            if not (times >= 0).all():
                raise OutOfRange(
                    f"{place}.{name}: {np.count_nonzero(~(times >= 0))} of {size} delays are negative, the first"
                    f" {times[~(times >= 0)][0]:g} s. Give a distribution with low = 0."
                )
            if times.max(initial=0.0) > MOST_STEPS * dt:
                raise OutOfRange(
                    f"{place}.{name} must be at most {MOST_STEPS} steps of dt = {dt:g} s; got {times.max():g} s."
                )
            found[name] = steps = np.empty(size, dtype=np.int32)
            for start in range(0, size, BLOCK):
                block = slice(start, start + BLOCK)
                steps[block] = steps_of_all(times[block], dt)
        return found


NO_DELAY = Delay()


def _read(value: Any) -> Any:
    if isinstance(value, Delay):
        return value
    with faults():
        if isinstance(value, dict) and "name" not in value:
            return Delay(**value)
        return Delay(axonal=value)


def _written(delay: Delay) -> Any:
    table = delay.model_dump(mode="json")
    return table["axonal"] if delay.dendritic == NO_DELAY.dendritic else table


DelayField = Annotated[
    Delay,
    ReadBy(_read, _written),
    InSchema({"anyOf": [{"type": ["number", "string", "array", "object"]}]}),
]
"""A field that holds a delay: a quantity or a distribution, which is axonal, or a table of both parts."""
