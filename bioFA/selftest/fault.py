"""What a fault is: its number in the list of faults to survive, how it is injected,
and the trial that judges what came of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bioFA.selftest.bench import Bench
from bioFA.selftest.oracle import Trial

Drill = Callable[[Bench, int], Trial]
"""One trial: the bench, and the number of the trial, which picks the variant."""

TRIALS = 20
"""So many trials where chance matters."""


@dataclass(frozen=True)
class Fault:
    """A fault to survive: `variants` say how it comes; where `chance` matters,
    at what moment or place is drawn anew in every trial."""

    number: str
    title: str
    injected: str
    variants: tuple[str, ...]
    chance: bool
    drill: Drill

    def trials(self, wanted: int | None) -> int:
        """How many trials it gets: so many as are wanted, or each variant once where nothing is left to chance."""
        if self.chance:
            return TRIALS if wanted is None else wanted
        return len(self.variants) if wanted is None else min(wanted, len(self.variants))


def fault(number: str, title: str, *variants: str, chance: bool = False) -> Callable[[Drill], Fault]:
    """Make a fault of a function, whose docstring says how it is injected."""

    def make(drill: Drill) -> Fault:
        return Fault(number, title, (drill.__doc__ or "").strip(), variants, chance, drill)

    return make
