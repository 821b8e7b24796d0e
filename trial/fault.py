"""What a fault is: its number in the list of faults to survive, how it is injected,
and the attempt that judges its outcome."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from trial.oracle import Attempt
from trial.sandbox import Sandbox

Drill = Callable[[Sandbox, int], Attempt]
"""One attempt: the sandbox, and the number of the attempt, which picks the variant."""

ATTEMPTS = 20
"""So many attempts where chance matters."""


@dataclass(frozen=True)
class Fault:
    """A fault to survive: `variants` say how it comes; where `chance` matters,
    at what moment or place is drawn anew in every attempt."""

    number: str
    title: str
    injected: str
    variants: tuple[str, ...]
    chance: bool
    drill: Drill

    def attempts(self, wanted: int | None) -> int:
        """How many attempts it gets: so many as are wanted, or each variant once where nothing is left to chance."""
        if self.chance:
            return ATTEMPTS if wanted is None else wanted
        return len(self.variants) if wanted is None else min(wanted, len(self.variants))


def fault(number: str, title: str, *variants: str, chance: bool = False) -> Callable[[Drill], Fault]:
    """Make a fault of a function, whose docstring says how it is injected."""

    def make(drill: Drill) -> Fault:
        return Fault(number, title, " ".join((drill.__doc__ or "").split()), variants, chance, drill)

    return make
