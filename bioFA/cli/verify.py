"""Commands that check: verify a backend, audit a circuit, check stored files."""

from __future__ import annotations

from pathlib import Path

import click

from bioFA.cli.console import (
    Whole,
    json_option,
    load_experiment,
    model_argument,
    print_json,
    progress_bar,
    scheme_option,
    seed_option,
    set_option,
    trust_option,
)


@click.command(short_help="Compare C++ and NumPy, weight by weight.")
@model_argument
@scheme_option
@seed_option
@set_option
@click.option(
    "--presentations",
    type=Whole(1),
    metavar="N",
    help=(
        "How many to compare.  [default: 2000; for spiking neurons those that take 10,000 steps, at least 40]  Where"
        " time passes without a task, how many whole trials.  [default: 2,000 steps of at most two]"
    ),
)
@click.option("--exact-only", is_flag=True, help="Leave out the comparison of spikes with the rate network.")
@trust_option
@json_option
def verify(
    model: str,
    scheme: str | None,
    seed: int,
    changes: tuple[str, ...],
    presentations: int | None,
    exact_only: bool,
    as_json: bool,
) -> None:
    """Train a model in C++ and in NumPy and compare every spike and weight; exit 1 where they differ.

    Equal are spikes that are the same in every step, and weights, states and recorded variables whose largest
    difference is at most 1e-10 of their range (the reference's largest minus smallest value over the run;
    of its size where a variable never changes).

    Where neurons spike, their averages are compared with the rate network, too: with the weights frozen, mean rates,
    errors and weight changes must approach its prediction as 1/sqrt(T), to a bias, which is printed and has no bound.
    Then, over training, the angle between what the spikes would change and the gradient of the rate network, at the
    errors that this makes and at those that the spikes made.

    Where time passes without a task, both sides run in pieces of 100 steps, the reference from the compiled program's
    state: within a piece every spike must be equal, and states and recorded variables to the same bound; this decides.
    When two whole runs first part in a spike, which rounding brings about in a balanced network, is printed beside it,
    and so are populations whose text has one parse, from which both sides compute.

    \b
    Examples:
      biofa verify digits
      biofa verify linear --scheme np --presentations 500
      biofa verify digits_spiking
    """
    from bioFA.verification.backends import verify as compare

    experiment = load_experiment(model, scheme, changes)
    unit = "steps" if experiment.free else "presentations"
    with progress_bar(f"{experiment.name}, {experiment.scheme}, seed {seed}", "compiling", unit) as progress:
        outcome = compare(experiment, seed, presentations, progress, limit=not exact_only)
    if as_json:
        print_json(outcome.summary())
    else:
        click.echo(str(outcome))
    if not outcome.passes:
        click.get_current_context().exit(1)


@click.command(short_help="List what a circuit asks of a brain.")
@model_argument
@scheme_option
@set_option
@trust_option
@json_option
def audit(model: str, scheme: str | None, changes: tuple[str, ...], as_json: bool) -> None:
    """List what a circuit asks of a brain, from its description: nothing is drawn or run.

    Weight transport, shared weights, one-to-one wiring, signals and synapses of both signs from one cell, graded
    signals among spiking cells, negative rates, times set from outside, and the like: each with where it is and what in
    the model file would change it. Only what something learns from or answers by is looked at.

    \b
    Examples:
      biofa audit digits
      biofa audit digits_spiking --scheme bp
      biofa audit digits --set circuit.inhibitory=0.2
    """
    from bioFA.verification.biology import audit as look

    found = look(load_experiment(model, scheme, changes))
    if as_json:
        return print_json(found.summary())
    click.echo(str(found))


@click.command(short_help="Hold stored results to their SHA-256.")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@trust_option
@json_option
def check(paths: tuple[str, ...], as_json: bool) -> None:
    """Say whether results are still what was written: every file is held to its SHA-256.

    PATH is a result.h5 or state.h5, or the folder of a run, a comparison or a bundle.
    Exit code 1 if anything was changed, cut or damaged.

    \b
    Examples:
      biofa check results/digits_fa_seed1
      biofa check results/rules results/tuned --json
    """
    from bioFA.verification.stored_files import check as look

    verdicts = [verdict for path in paths for verdict in look(Path(path))]
    damaged = [verdict for verdict in verdicts if verdict.ok is False]
    whole = sum(verdict.ok is True for verdict in verdicts)
    if as_json:
        print_json({
            "whole": whole,
            "damaged": len(damaged),
            "unverified": len(verdicts) - whole - len(damaged),
            "verdicts": [v._asdict() for v in verdicts],
        })
    else:
        for verdict in verdicts if len(verdicts) <= 20 else damaged:
            click.echo(
                f"  {'ok' if verdict.ok else 'DAMAGED' if verdict.ok is False else '-':<9}{verdict.name}:"
                f" {verdict.says}"
            )
        click.echo(
            f"{whole} whole, {len(damaged)} damaged, {len(verdicts) - whole - len(damaged)} not done or without a"
            " digest."
        )
    if damaged:
        click.get_current_context().exit(1)
