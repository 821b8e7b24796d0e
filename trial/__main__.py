"""`python -m trial`: put bioFA on trial in a checkout, by fault drills with their control, and by a soak."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from bioFA.cli.console import Whole, json_option, print_json
from bioFA.errors import BioFAError
from bioFA.selftest import bad_inputs, hostile
from bioFA.selftest.command import write_json
from trial import control as plain
from trial import drill, report, soak
from trial.sandbox import sandbox


class Command(click.Command):
    """A command whose errors are one message with a code, and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Turn an error of bioFA into a message."""
        try:
            return super().invoke(ctx)
        except BioFAError as error:
            click.echo(f"{ctx.info_name}: [{error.code}] {error}", err=True)
            ctx.exit(error.exit_code)


@click.command(cls=Command)
@click.option("--faults", is_flag=True, help="The fault drill, F1 to F24, and wrong and hostile input: some minutes.")
@click.option("--only", metavar="F7,F8", help="Only these faults, and no input.")
@click.option(
    "--attempts", type=Whole(1), metavar="N",
    help="Attempts of each fault.  [default: 20 where chance matters, else each variant once]",
)
@click.option("--no-control", is_flag=True, help="Leave out the same faults on a plain Brian2 script.")
@click.option("--soak", "soaks", is_flag=True, help="One long comparison, whose runs and driver are killed at random.")
@click.option("--runs", type=Whole(1), default=2000, show_default=True, metavar="N", help="Runs of the soak.")
@click.option("--out", metavar="DIR", help="Also write trial.json into a folder.")
@json_option
def trial(
    faults: bool, only: str | None, attempts: int | None, no_control: bool,
    soaks: bool, runs: int, out: str | None, as_json: bool,
) -> None:
    """Put bioFA on trial: is every run, whatever befalls it, either bit-identical to the undisturbed one or visibly
    failed, and does a long comparison lose nothing?

    The fault drill kills, starves, damages and misleads real runs: compilers that fail or hang, full disks, flipped
    bits, two processes in one folder, clocks that jump. It works in a temporary folder with a compile cache of its
    own. Exit code 1 if anything did not go as it must.

    \b
    Examples:
      python -m trial --faults
      python -m trial --only F7,F11 --attempts 5 --no-control
      python -m trial --soak --runs 200
    """
    if not (faults or only or soaks):
        raise click.UsageError("nothing to do. Give --faults, --only, --soak, or several of them.")
    found: dict[str, Any] = {}
    lines: list[str] = []
    passes = True
    if faults or only:
        passes = _faults(_numbers(only), attempts, not no_control, found, lines)
    if soaks:
        endured = soak.run(runs, _progress("soak", runs, "runs"))
        found["soak"] = endured.as_json()
        lines.append(str(endured))
        passes = passes and endured.passes
    if out is not None:
        write_json(Path(out), "trial.json", found)
    if as_json:
        print_json(found)
    else:
        click.echo("\n".join(lines))
    if not passes:
        click.get_current_context().exit(1)


def _numbers(only: str | None) -> list[str]:
    """Return the numbers of the faults that an option names."""
    return [number.strip() for number in (only or "").split(",") if number.strip()]


def _faults(only: list[str], attempts: int | None, control: bool, found: dict[str, Any], lines: list[str]) -> bool:
    """Do the fault drill, add it to what was found and to the lines to print, and return whether all was survived."""
    began = time.monotonic()
    rows = _drill(only, attempts, control)
    tallies = [] if only else [bad_inputs.run(), hostile.run()]
    found |= report.as_json(rows, tallies, time.monotonic() - began)
    lines += [report.table(rows), *(f"  {wrong}" for row in rows for wrong in row.wrong), found["line"]]
    return not any(row.wrong or not row.attempts for row in rows) and all(tally.clean for tally in tallies)


def _drill(only: list[str], attempts: int | None, control: bool) -> list[drill.Row]:
    """Put the chosen faults to bioFA, and their counterparts to the plain script."""
    picked = drill.chosen(only)
    progress = _progress("faults", sum(fault.attempts(attempts) for fault in picked), "attempts")
    with sandbox() as place:
        place.reference()  # without which no fault can be judged
        rows = [drill.run_attempts(place, fault, attempts, lambda _: progress(1)) for fault in picked]
    if control:
        known = plain.run(only)
        rows = [dataclasses.replace(row, control=known.get(row.fault.number, "no counterpart")) for row in rows]
    progress(0)
    return rows


def _progress(title: str, total: int, unit: str) -> Callable[[int], None]:
    """Show a bar on standard error; call what is returned with how many more are done, and with 0 at the end."""
    from tqdm import tqdm

    class Bar(tqdm):
        monitor_interval = 0  # no thread of its own, since drills fork

    bar = Bar(total=total, desc=title, unit=f" {unit}", leave=False, disable=None)

    def advance(more: int) -> None:
        bar.update(more)
        if not more:
            bar.close()

    return advance


if __name__ == "__main__":
    trial(prog_name="python -m trial")
