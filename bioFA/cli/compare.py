"""Commands that compare schemes and models, and write a report: compare, report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bioFA.cli.console import (
    Whole,
    backend_option,
    complete_scheme,
    driving_options,
    json_option,
    note,
    precision_option,
    print_json,
    progress_bar,
    stoppable,
    trust_option,
)

if TYPE_CHECKING:
    from bioFA.comparisons.table import Sweep


@click.command(short_help="Compare schemes and models over seeds.")
@click.argument("model", required=False)
@click.option("--models", metavar="A,B", help="Several models, in place of MODEL.")
@click.option(
    "--schemes",
    metavar="A,B",
    shell_complete=complete_scheme,
    help="Learning schemes; each model's own where left out.",
)
@click.option(
    "--seeds",
    type=Whole(1),
    metavar="N",
    help=(
        "Run each from the first N seeds on which no compared model was chosen.  [default: as few as can test all"
        " pairs, at least 8]"
    ),
)
@click.option(
    "--baseline", metavar="S", shell_complete=complete_scheme, help="Test each condition against this scheme only."
)
@click.option(
    "--margin",
    type=click.FloatRange(0, min_open=True),
    metavar="X",
    help="Say where two are equal within X: a fraction of errors, or a decimal logarithm of NSE.",
)
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="KEY=V1,V2",
    help="Change a value of the models, or sweep several; repeatable.",
)
@click.option(
    "--tune",
    is_flag=True,
    help=(
        "First choose one factor on all rates of each scheme (learning rates, its own too, and decays, whose ratio"
        " stays) on validation data, all on the same grid."
    ),
)
@backend_option
@precision_option
@click.option(
    "--out", metavar="DIR", required=True, help="Folder for the comparison; the same command goes on with it."
)
@driving_options
@trust_option
@json_option
def compare(
    model: str | None,
    models: str | None,
    schemes: str | None,
    seeds: int | None,
    baseline: str | None,
    margin: float | None,
    changes: tuple[str, ...],
    tune: bool,
    backend: str,
    precision: str,
    out: str,
    as_json: bool,
    **driving: Any,
) -> None:
    """Run schemes x models x seeds (x swept values), and compare them pair by pair.

    Every run is proven complete and kept; run the same command again, or 'biofa resume DIR', and
    only what is not done is run. A run that diverges is counted and shown. A value of --set with
    commas is swept.

    \b
    Examples:
      biofa compare linear --schemes shallow,np,bp,fa --seeds 8 --out results/rules
      biofa compare nonlinear --schemes bp,fa,dfa,kp --baseline bp --margin 0.1 -j 2 --out results/against_bp
      biofa compare digits --schemes bp,fa --seeds 10 --tune -j 2 --out results/tuned
      biofa compare linear --schemes fa,bp --set circuit.sizes=[30,10,10],[30,20,10] --out results/sizes
      biofa compare linear --schemes fa,bp --shard 1/4 --out results/shared
    """
    from bioFA.comparisons.plan import Request, begin
    from bioFA.runs.simulation import check_backend

    if (model is None) == (models is None):
        raise click.UsageError("give one MODEL, or several with --models a,b", click.get_current_context())
    check_backend(backend, precision)
    names = [
        tuple(part.strip() for part in text.split(",") if part.strip()) if text else ()
        for text in (models or model, schemes)
    ]
    drive(
        begin(
            Request(names[0], names[1], seeds, changes, tune, backend, precision, baseline, margin),
            Path(out),
            driving["mixed"],
        ),
        as_json,
        **driving,
    )


def drive(
    sweep: Sweep,
    as_json: bool,
    processes: int,
    scheduler: str | None,
    shard: tuple[int, int] | None,
    limit: float | None,
    memory: int | None,
    failures: int,
    mixed: bool,
    force: bool,
) -> None:
    """Run what is left of a comparison, and print its summary."""
    from bioFA.comparisons.driver import Limits
    from bioFA.comparisons.messages import describe
    from bioFA.comparisons.outcomes import summary
    from bioFA.comparisons.run import failure, run
    from bioFA.comparisons.table import PAIRS, TIDY
    from bioFA.show import report as pages

    with stoppable(sweep.folder), progress_bar(str(sweep.folder), "starting", "runs") as progress:

        def report(done: int, total: int, failed: int) -> None:
            progress(done, total, {"failed": failed} if failed else {})

        outcomes = run(sweep, processes, scheduler, shard, Limits(limit, failures, memory), report, note, force)
        page = pages.of_comparison(outcomes)
    if as_json:
        print_json(summary(outcomes) | {"report": str(page)})
    else:
        click.echo(describe(summary(outcomes)))
        click.echo(f"Written to {sweep.folder}: {page.name}, {TIDY}, {PAIRS}")
    if (error := failure(outcomes)) is not None:
        click.echo(f"biofa: [{error.code}] {error}", err=True)
        click.get_current_context().exit(error.exit_code)


@click.command(short_help="Write the report of a comparison or a run.")
@click.argument("folder", metavar="DIR")
@trust_option
@json_option
def report(folder: str, as_json: bool) -> None:
    """Write DIR/report.html, one page about a comparison or a run that stands for itself.

    It holds the question, the model as tables, every seed's learning curve and alignment angles, the
    measures with their intervals, pairs, tuning, what is wrong, and the command that makes it
    again. DIR is the folder of a 'biofa compare', which writes the page by itself, or of a 'biofa run'.
    Figures are written beside it as .svg and .pdf, with text that can be edited.

    \b
    Examples:
      biofa report results/rules
      biofa report results/digits_fa_seed1
    """
    from bioFA.show import report as pages

    page = pages.write(Path(folder))
    if as_json:
        return print_json({"report": str(page)})
    click.echo(f"Written: {page}")
