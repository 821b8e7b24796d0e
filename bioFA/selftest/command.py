"""`biofa selftest`: wrong and hostile input put to the bioFA that is installed here."""

from __future__ import annotations

import datetime
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bioFA.cli.console import json_option, print_json
from bioFA.errors import CannotWrite

if TYPE_CHECKING:
    from bioFA.selftest.tally import Tally

DRILLS = {"--faults": True, "--soak": True, "--no-control": True, "--only": False, "--trials": False, "--runs": False}
"""Options of the drills, which are in a checkout alone, and whether each is a switch."""


def _refuse_drill(context: click.Context, option: click.Parameter, given: object) -> None:
    """Refuse an option of the drills with the command that has them."""
    if given:
        raise click.UsageError(
            f"{option.opts[0]} belongs to the fault drills, which are not installed with bioFA. "
            "In a checkout of its source: python -m trial --faults (or --soak).", context,
        )


def _drill_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of the drills, each of which says where they are."""
    for name, switch in DRILLS.items():
        command = click.option(name, is_flag=switch, hidden=True, expose_value=False, callback=_refuse_drill)(command)
    return command


@click.command("selftest", short_help="Put wrong and hostile input to bioFA, here.")
@click.option("--out", metavar="DIR", help="Also write selftest.json into a folder.")
@_drill_options
@json_option
def selftest(out: str | None, as_json: bool) -> None:
    """Put bioFA on trial, here: is wrong input refused with code, place and fix, and is hostile input never executed?

    Exit code 1 if anything did not go as it must. The fault drills and the soak, which kill, starve, damage and
    mislead real runs, are in a checkout of the source: python -m trial --faults --soak.
    """
    from bioFA.selftest import bad_inputs, hostile

    began = time.monotonic()
    tallies = [bad_inputs.run(), hostile.run()]
    found = report(tallies, time.monotonic() - began)
    if out is not None:
        write_json(Path(out), "selftest.json", found)
    if as_json:
        print_json(found)
    else:
        click.echo(found["line"])
        click.echo("The fault drills and the soak are in a checkout of the source: python -m trial --faults --soak")
    if not all(tally.clean for tally in tallies):
        click.get_current_context().exit(1)


def report(tallies: Sequence[Tally], seconds: float) -> dict[str, Any]:
    """Return the counts as data: one line, when and with what they were measured, and each tally."""
    from dataclasses import asdict

    from bioFA.runs.provenance import versions

    return {
        "line": ", ".join(map(str, tallies)),
        "measured": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 1), "versions": versions(), "tallies": [asdict(tally) for tally in tallies],
    }


def write_json(folder: Path, name: str, found: dict[str, Any]) -> None:
    """Write a report into a folder, which is made where there is none.

    Raises:
        CannotWrite: if that is not possible.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise CannotWrite(
            f"--out: '{folder}' cannot be written ({error.strerror}). Give a folder of your own."
        ) from None
