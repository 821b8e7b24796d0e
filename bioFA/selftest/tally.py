"""How many of the cases of one drill went as they must."""

from dataclasses import dataclass

__all__ = ["Tally"]


@dataclass(frozen=True)
class Tally:
    """`passed` of the `of` cases of the drill `name`; `notes` say what else was counted,
    and which cases did not pass."""

    name: str
    passed: int
    of: int
    notes: tuple[str, ...] = ()

    @property
    def clean(self) -> bool:
        """Whether there were cases, and all passed."""
        return 0 < self.of == self.passed

    def __str__(self) -> str:
        notes = f" ({', '.join(self.notes)})" if self.notes else ""
        return f"{self.name} {self.passed}/{self.of}{notes}"
