"""Commands that write and read what other programs use: export, bundle, import."""

from __future__ import annotations

from pathlib import Path

import click

from bioFA.cli.console import complete_format, json_option, print_json, trust_option


class _WithFormats(click.Command):
    """A command whose help ends with the formats."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """A list of all formats."""
        from bioFA.exchange import FORMATS

        with formatter.section("Formats"):
            formatter.write_dl([
                (name, f"{format.headline}{'; also read' if format.reads else ''}") for name, format in FORMATS.items()
            ])


@click.command(cls=_WithFormats, short_help="Write a run in the format of another program.")
@click.argument("result", metavar="RESULT")
@click.option(
    "--to",
    "format",
    metavar="FORMAT",
    required=True,
    shell_complete=complete_format,
    help="The format, one of those below.",
)
@click.option("--out", metavar="PATH", required=True, help="The file, or for some formats the folder, to write.")
@trust_option
@json_option
def export(result: str, format: str, out: str, as_json: bool) -> None:
    """Write a network that has learned, or what was recorded of it, in the format of another program.

    RESULT is the result.h5 of a run, its folder, or the state.h5 of 'biofa import'. What the format cannot hold is
    told; where it keeps annotations, bioFA notes down the rest there, under the name 'bioFA', and 'biofa import' reads
    it back. With a model that others run come a README, which says how, and what must come out (expected.npz;
    beside a file, FILE.README.md and FILE.expected.npz).

    \b
    Examples:
      biofa export results/digits_fa_seed1 --to arrays --out digits_arrays
      biofa export results/digits_fa_seed1 --to safetensors --out digits.safetensors
      biofa export results/digits_spiking_fa_seed1 --to nwb --out digits.nwb
    """
    _export(result, format, out, as_json)


def _export(result: str, format: str, out: str, as_json: bool) -> None:
    """Write a run, or the result in its folder, in a format, and say what was lost."""
    from bioFA import exchange
    from bioFA.runs.result import RESULT

    source = Path(result) / RESULT if Path(result).is_dir() else Path(result)
    outcome = exchange.export(source, format, out)
    if as_json:
        return print_json({
            "format": format,
            "paths": [str(path) for path in outcome.paths],
            "lost": list(outcome.lost),
            "run": outcome.run,
        })
    click.echo(str(outcome))


@click.command(short_help="Put everything about a run into one folder.")
@click.argument("result", metavar="RESULT")
@click.option("--out", metavar="DIR", required=True, help="Folder to make.")
@trust_option
@json_option
def bundle(result: str, out: str, as_json: bool) -> None:
    """Put everything about a run into one folder, to archive or to hand on: model, data files that it names, result,
    README, CITATION, versions, and the command that runs it again.

    'biofa import DIR' reads it back without loss, and checks every file against its SHA-256.

    \b
    Examples:
      biofa bundle results/digits_fa_seed1 --out digits_bundle
      sh digits_bundle/rerun.sh
    """
    _export(result, "bundle", out, as_json)


@click.command("import", short_help="Read a network that another program wrote.")
@click.argument("path", metavar="PATH")
@click.option(
    "--from",
    "format",
    metavar="FORMAT",
    shell_complete=complete_format,
    help="Its format; told by the ending, or by what a folder holds, where left out.",
)
@click.option("--out", metavar="DIR", required=True, help="Folder for the model file and the state.")
@trust_option
@json_option
def import_(path: str, format: str | None, out: str, as_json: bool) -> None:
    """Read a network that another program wrote, or 'biofa export' did, into a model file and its state.

    DIR gets model.toml, a model like any other, and state.h5, every weight and state. Of a network that bioFA exported
    with its annotation, 'biofa run DIR/model.toml --after DIR/state.h5' goes on learning where it was (with more epochs
    in the protocol); of any other, the model holds the weights, a task that is a placeholder, and no plasticity yet.

    \b
    Examples:
      biofa import digits.safetensors --out digits_back
      biofa import network.nir --out imported && biofa run imported/model.toml
    """
    from bioFA import exchange

    found = exchange.load(path, format)
    model, state = found.save(out)
    network = found.trained.experiment.network
    if as_json:
        return print_json({
            "model": str(model),
            "state": str(state),
            "presentations": found.trained.presentations,
            "lost": list(found.lost),
        })
    click.echo(network.describe())
    click.echo(f"Written: {model}, {state}")
    for sentence in found.lost:
        click.echo(f"  lost: {sentence}")
