"""`biofa selftest`: bioFA put on trial on this machine."""

from __future__ import annotations

import importlib
import json
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bioFA.cli.console import Whole, json_option, print_json
from bioFA.errors import CannotWrite

if TYPE_CHECKING:
    from bioFA.selftest.drill import Row

INPUTS = ("bad_inputs", "hostile")
"""Modules beside this one whose `run()` tells how many of its cases went as they must."""


@click.command("selftest", short_help="Put bioFA on trial: faults, wrong input, hostile input.")
@click.option("--faults", is_flag=True, help="The fault drill too: F1 to F24, some minutes.")
@click.option("--only", metavar="F7,F8", help="Only these faults.")
@click.option(
    "--trials",
    type=Whole(1),
    metavar="N",
    help="Trials of each fault.  [default: 20 where chance matters, else each variant once]",
)
@click.option(
    "--no-control",
    "control",
    is_flag=True,
    default=True,
    flag_value=False,
    help="Leave out the same faults on a plain Brian2 script.",
)
@click.option(
    "--soak",
    is_flag=True,
    help="In place of all that: one long comparison, whose runs and driver are killed at random.",
)
@click.option("--runs", type=Whole(1), default=2000, show_default=True, metavar="N", help="Runs of the soak.")
@click.option("--out", metavar="DIR", help="Also write selftest.json (or soak.json) into a folder.")
@json_option
def selftest(
    faults: bool,
    only: str | None,
    trials: int | None,
    control: bool,
    soak: bool,
    runs: int,
    out: str | None,
    as_json: bool,
) -> None:
    """Put bioFA on trial, here: is wrong input refused with code, place and fix, is hostile input never executed, and,
    with --faults, is every run either bit-identical to the undisturbed one or visibly failed?

    The fault drill kills, starves, damages and misleads real runs: compilers that fail or hang, full disks, flipped
    bits, two processes in one folder, clocks that jump.
    It works in a temporary folder with a compile cache of its own. Exit code 1 if anything did not go as it must.

    \b
    Examples:
      biofa selftest
      biofa selftest --faults
      biofa selftest --faults --only F7,F11 --trials 5 --no-control
      biofa selftest --soak --runs 200
    """
    began = time.monotonic()
    if soak:
        from bioFA.selftest.soak import run as endure

        outcome = endure(runs, _progress("soak", runs, "runs"))
        _write(out, "soak.json", outcome.as_json())
        if as_json:
            print_json(outcome.as_json())
        else:
            click.echo(str(outcome))
        return _exit(outcome.passes)
    from bioFA.selftest import report

    rows: list[Row] = []
    if faults or only:
        rows = _drill([number.strip() for number in (only or "").split(",") if number.strip()], trials, control)
    present = [] if only else [name for name in INPUTS if find_spec(f"bioFA.selftest.{name}")]
    tallies = [importlib.import_module(f"bioFA.selftest.{name}").run() for name in present]
    found = report.as_json(rows, tallies, time.monotonic() - began)
    _write(out, "selftest.json", found)
    if as_json:
        print_json(found)
    else:
        if rows:
            click.echo(report.table(rows))
        for wrong in (words for row in rows for words in row.wrong):
            click.echo(f"  {wrong}")
        click.echo(report.line(rows, tallies))
    return _exit(
        all(row.survived and not any(trial.lost for trial in row.trials) for row in rows)
        and all(tally.clean for tally in tallies)
    )


def _drill(only: list[str], trials: int | None, control: bool) -> list[Row]:
    import dataclasses

    from bioFA.selftest.bench import bench
    from bioFA.selftest.drill import chosen, put_to

    picked = chosen(only)
    progress = _progress("faults", sum(fault.trials(trials) for fault in picked), "trials")
    with bench() as place:
        rows = [put_to(place, fault, trials, lambda _: progress(1)) for fault in picked]
    if control:
        from bioFA.selftest.control import run as plain

        known = plain(only)
        rows = [dataclasses.replace(row, control=known.get(row.fault.number, "no counterpart")) for row in rows]
    progress(0)
    return rows


def _progress(title: str, total: int, unit: str) -> Callable[[int], None]:
    """A bar on standard error; called with what more is done, and with 0 at the end."""
    from tqdm import tqdm

    class Bar(tqdm):
        monitor_interval = 0  # no thread of its own, since drills fork

    bar = Bar(total=total, desc=title, unit=f" {unit}", leave=False, disable=None)

    def report(more: int) -> None:
        bar.update(more)
        if not more:
            bar.close()

    return report


def _write(out: str | None, name: str, found: dict[str, Any]) -> None:
    if out is None:
        return
    try:
        Path(out).mkdir(parents=True, exist_ok=True)
        (Path(out) / name).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise CannotWrite(f"--out: '{out}' cannot be written ({error.strerror}). Give a folder of your own.") from None


def _exit(passes: bool) -> None:
    if not passes:
        click.get_current_context().exit(1)
