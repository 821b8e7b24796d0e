"""The fault drill: every fault, so many attempts, and the outcome of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bioFA.errors import UnknownName, suggestion
from trial import building, comparing, killing, running, storing
from trial.fault import Fault
from trial.oracle import Attempt, Outcome
from trial.sandbox import Sandbox

FAULTS: dict[str, Fault] = {
    fault.number: fault
    for fault in sorted(
        (*building.FAULTS, *killing.FAULTS, *running.FAULTS, *comparing.FAULTS, *storing.FAULTS),
        key=lambda fault: int(fault.number[1:]),
    )
}
"""F1 to F24, by number."""

Progress = Callable[[str], None]
"""Called with the number of the fault after each attempt."""


@dataclass(frozen=True)
class Row:
    """The outcome of one fault, and what a plain Brian2 script did with its counterpart."""

    fault: Fault
    attempts: tuple[Attempt, ...]
    control: str = ""

    @property
    def counts(self) -> dict[str, int]:
        """How often each outcome came."""
        return dict(Counter(attempt.outcome.value for attempt in self.attempts))

    @property
    def survived(self) -> bool:
        """Whether there were attempts, and every one ended as it may."""
        return bool(self.attempts) and all(attempt.outcome.survived for attempt in self.attempts)

    @property
    def wrong(self) -> tuple[str, ...]:
        """What was wrong, where something was."""
        return tuple(
            f"{self.fault.number}, attempt {number} ({self.fault.variants[number % len(self.fault.variants)]}):"
            f" {attempt.outcome.value}, {attempt.message}"
            for number, attempt in enumerate(self.attempts)
            if not attempt.outcome.survived or attempt.lost
        )


def chosen(only: Sequence[str] = ()) -> list[Fault]:
    """The faults of some numbers, or all.

    Raises:
        UnknownName: if there is no such fault.
    """
    for number in only:
        if number not in FAULTS:
            raise UnknownName(f"unknown fault '{number}'.{suggestion(number, FAULTS)}")
    return [fault for number, fault in FAULTS.items() if not only or number in only]


def run_attempts(sandbox: Sandbox, fault: Fault, attempts: int | None = None, progress: Progress | None = None) -> Row:
    """Put a fault to bioFA, so many times."""
    done = []
    for number in range(fault.attempts(attempts)):
        try:
            done.append(fault.drill(sandbox, number))
        except Exception as error:  # a drill that breaks down shows nothing, so that nothing is claimed
            done.append(Attempt(Outcome.UNCLEAR, f"the drill itself failed: {type(error).__name__}: {error}"))
        sandbox.tidy()
        if progress is not None:
            progress(fault.number)
    return Row(fault, tuple(done))
