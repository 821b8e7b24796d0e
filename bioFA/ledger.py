"""What a file holds against what of it was used, by the file's own names: so nothing is passed over without a word."""

from __future__ import annotations

from collections.abc import Mapping


class Ledger:
    """What a file holds and what of it was read, by the file's own names, so that the rest can be named:
    `lost` of an import, notes of data.

        ledger.holds("dynamics_params of 'cells'", {"V_m": 1, "C_m": 1})
        ledger.take("dynamics_params of 'cells'", "C_m")
        ledger.rest()        # ("dynamics_params of 'cells': V_m (1 value) is not used",)
        ledger.by_place()    # ("not used of dynamics_params of 'cells': V_m (1 value)",)
    """

    def __init__(self) -> None:
        self._held: dict[str, dict[str, int]] = {}
        self._taken: dict[str, set[str]] = {}

    def holds(self, place: str, names: Mapping[str, int]) -> None:
        """Note that a place of the file holds these names, with so many values each."""
        held = self._held.setdefault(place, {})
        for name, count in names.items():
            held[name] = held.get(name, 0) + count

    def take(self, place: str, *names: str) -> None:
        """Note that these are used, or named in a sentence of their own."""
        self._taken.setdefault(place, set()).update(names)

    def rest(self) -> tuple[str, ...]:
        """A sentence for each name that nobody took."""
        return tuple(
            f"{place}: {_counted(name, count)} is not used" for place, left in self._left() for name, count in left
        )

    def by_place(self) -> tuple[str, ...]:
        """A sentence for each place that holds what nobody took, with every name in it."""
        return tuple(
            f"not used of {place}: {', '.join(_counted(name, count) for name, count in left)}"
            for place, left in self._left()
            if left
        )

    def _left(self) -> list[tuple[str, list[tuple[str, int]]]]:
        return [
            (place, [(name, count) for name, count in held.items() if name not in self._taken.get(place, ())])
            for place, held in self._held.items()
        ]


def _counted(name: str, count: int) -> str:
    return f"{name} ({count} value{'s' if count != 1 else ''})"
