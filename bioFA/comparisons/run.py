"""A comparison from its table to its tables: what is not proven done is run, and the outcomes are written."""

from __future__ import annotations

import shlex
from collections.abc import Callable

from bioFA.comparisons import driver
from bioFA.comparisons.driver import Limits, Report
from bioFA.comparisons.messages import describe_estimate, size, too_few_seeds
from bioFA.comparisons.outcomes import Outcomes, pair_rows, read_outcomes, tested_pairs, tidy
from bioFA.comparisons.table import PAIRS, TIDY, Job, Sweep
from bioFA.errors import CannotWrite, NoSpace, RunError, RunsFailed
from bioFA.system.atomic import written_whole


def run(
    sweep: Sweep, processes: int = 1, scheduler: str | None = None, shard: tuple[int, int] | None = None,
    limits: Limits | None = None, report: Report | None = None, notify: Callable[[str], None] | None = None,
    force: bool = False,
) -> Outcomes:
    """Run what is not proven done, write the tables, and return the outcomes.

    `notify` is called at once if so few seeds cannot show a difference between so many conditions. Where 50 runs or
    more are left, one of each condition is run first, and `notify` is called with what the others will take. With
    `force`, the comparison is taken from another process that seems to run it.

    Raises:
        FileError: if another process runs the same comparison, or the disk will not hold what is left.
    """
    limits, notify = limits or Limits(), notify or _ignore
    if caution := too_few_seeds(sweep.request["seeds"], len(tested_pairs(sweep))):
        notify(caution)
    with driver.driving(sweep.folder, shard is not None, force), driver.forking(sweep) as forks:
        part = sweep.part(shard)
        failed: dict[str, str] = {}
        if sum(not sweep.is_done(job) for job in part) >= driver.MANY:
            failed = driver.execute(sweep, processes, scheduler, shard, limits, report, driver.pilots(part), forks)
            _announce(sweep, part, processes, scheduler, notify)
        if len(failed) <= limits.failures:
            failed |= driver.execute(sweep, processes, scheduler, shard, limits, report, forks=forks)
    outcomes = read_outcomes(sweep, failed)
    write_tables(outcomes)
    return outcomes


def _ignore(_: str) -> None:
    """Say nothing."""


def _announce(
    sweep: Sweep, jobs: list[Job], processes: int, scheduler: str | None, notify: Callable[[str], None]
) -> None:
    """Say what those of some jobs that are left will take, and refuse where the disk will not hold it."""
    expected = driver.estimate(sweep, jobs, processes)
    if expected is None:
        return
    notify(describe_estimate(expected, processes, scheduler))
    if expected["bytes"] > expected["free"]:
        raise NoSpace(
            f"'{sweep.folder}': the {expected['left']:.0f} runs left need about {size(expected['bytes'])}; "
            f"{size(expected['free'])} are free. Record less (record.every), or give a folder on a larger disk."
        )


def write_tables(outcomes: Outcomes) -> None:
    """Write the tidy table and the pairs as CSV.

    Raises:
        FileError: if the folder cannot be written.
    """
    import pandas

    folder = outcomes.sweep.folder
    try:
        for name, table in ((TIDY, tidy(outcomes)), (PAIRS, pandas.DataFrame(pair_rows(outcomes)))):
            with written_whole(folder / name) as partial:
                table.to_csv(partial, index=False)
    except OSError as error:
        raise CannotWrite(
            f"the tables of '{folder}' could not be written: {error}. "
            f"All runs are kept; make space, then 'biofa resume {shlex.quote(str(folder))}'."
        ) from None


def failure(outcomes: Outcomes) -> RunError | None:
    """The error to raise, if runs failed."""
    failed = list(outcomes.failed.items())
    if not failed:
        return None
    name, message = failed[0]
    return RunsFailed(
        f"{len(failed)} runs failed; the first, {name}: {message} "
        "Run the same command again to try those that are left."
    )
