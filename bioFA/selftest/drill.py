"""The fault drill: every fault, so many trials, and what came of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bioFA.errors import UnknownName, suggestion
from bioFA.selftest import building, comparing, running, storing
from bioFA.selftest.bench import Bench
from bioFA.selftest.fault import Fault
from bioFA.selftest.oracle import Outcome, Trial

FAULTS: dict[str, Fault] = {
    fault.number: fault
    for fault in sorted(
        (*building.FAULTS, *running.FAULTS, *comparing.FAULTS, *storing.FAULTS), key=lambda fault: int(fault.number[1:])
    )
}
"""F1 to F24, by number."""

Progress = Callable[[str], None]
"""Called with the number of the fault after each trial."""


@dataclass(frozen=True)
class Row:
    """What came of one fault, and what a plain Brian2 script did with its counterpart."""

    fault: Fault
    trials: tuple[Trial, ...]
    control: str = ""

    @property
    def counts(self) -> dict[str, int]:
        """How often each outcome came."""
        return dict(Counter(trial.outcome.value for trial in self.trials))

    @property
    def survived(self) -> bool:
        """Whether there were trials, and every one ended as it may."""
        return bool(self.trials) and all(trial.outcome.survived for trial in self.trials)

    @property
    def wrong(self) -> tuple[str, ...]:
        """What was wrong, where something was."""
        return tuple(
            f"{self.fault.number}, trial {number} ({self.fault.variants[number % len(self.fault.variants)]}):"
            f" {trial.outcome.value}, {trial.says}"
            for number, trial in enumerate(self.trials)
            if not trial.outcome.survived or trial.lost
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


def put_to(bench: Bench, fault: Fault, trials: int | None = None, progress: Progress | None = None) -> Row:
    """Put a fault to bioFA, so many times."""
    done = []
    for number in range(fault.trials(trials)):
        try:
            done.append(fault.drill(bench, number))
        except Exception as error:  # a drill that breaks down shows nothing, so that nothing is claimed
            done.append(Trial(Outcome.UNCLEAR, f"the drill itself failed: {type(error).__name__}: {error}"))
        bench.tidy()
        if progress is not None:
            progress(fault.number)
    return Row(fault, tuple(done))
