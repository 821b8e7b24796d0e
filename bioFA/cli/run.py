"""Commands that train a model: run, resume."""

from __future__ import annotations

import contextlib
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bioFA.cli.compare import drive
from bioFA.cli.console import (
    backend_option,
    driving_options,
    figures_option,
    json_option,
    load_experiment,
    model_argument,
    precision_option,
    print_json,
    progress_bar,
    scheme_option,
    seed_option,
    set_option,
    stoppable,
    trust_option,
    watched,
)
from bioFA.errors import CannotWrite, FileError, NoSuchFile, PlaceTaken

if TYPE_CHECKING:
    from bioFA.cli.drawing import Drawing
    from bioFA.runs.result import Result

FIGURES = ("learning_curve", "alignment", "weights", "confusion", "raster", "neurons", "traces", "spectrum")
"""What `biofa run` draws into its folder beside the result,"""
SUFFIXES = (".png", ".pdf", ".svg")
"""each as these."""


@click.command(short_help="Train a model; write result and figures.")
@model_argument
@scheme_option
@seed_option
@set_option
@backend_option
@precision_option
@click.option(
    "--threads", type=int, default=1, show_default=True, metavar="N",
    help="Threads that share the work of a large network, in C++; the numbers are the same for every N.",
)
@click.option("--weights", metavar="RESULT.h5", help="Start from the weights of another run; all else starts anew.")
@click.option(
    "--after",
    metavar="RESULT.h5",
    help="Go on where another run ended, with its seed and whole state.",
)
@click.option("--out", metavar="DIR", help="Folder for the result.  [default: results/MODEL_SCHEME_seedN]")
@click.option(
    "--watch", is_flag=True, help="Write a line with the current measures for every segment, in place of the bar."
)
@figures_option
@trust_option
@json_option
def run(
    model: str,
    scheme: str | None,
    seed: int,
    changes: tuple[str, ...],
    backend: str,
    precision: str,
    threads: int,
    weights: str | None,
    after: str | None,
    out: str | None,
    watch: bool,
    figures: bool | None,
    as_json: bool,
) -> None:
    """Train a model, and write its result and figures into a folder.

    Where the model's protocol has a duration, time passes without a task: then rates, CV of intervals, Fano factor,
    synchrony and spectrum of the run are printed, and its recorded spikes and traces drawn.

    The folder gets result.h5 (everything measured, with the model and the seed) and figures of
    the learning curve, the alignment of feedback and forward weights, and the weights, and where
    neurons spike a raster with the rates, and the potentials of sample neurons, each as .png, .pdf
    and .svg; drawing takes longer than a short run, so --json leaves them out unless --figures is
    given. Statistics of the spikes are told where Elephant is installed. A folder that already holds a result is
    refused. While it runs, the folder also keeps all that 'biofa resume' needs to go on after Ctrl-C, SIGTERM,
    or a kill.

    \b
    Examples:
      biofa run digits
      biofa run linear --scheme bp --seed 3 --out results/control
      biofa run linear --set protocol.epochs=5 --set circuit.schemes.fa.rule.learning_rate=0.01
      biofa run linear --backend numpy --json
      biofa run mnist --watch
      biofa run random_ei --threads 2
      biofa run linear --set protocol.stop.measure=nse --set protocol.stop.below=0.01
      biofa run linear --weights results/linear_fa_seed1/result.h5 --out results/onwards
      biofa run digits --set protocol.epochs=40 --after results/digits_fa_seed1/result.h5 --out results/longer
    """
    from bioFA.consumers import BACKENDS
    from bioFA.runs.simulation import simulate

    drawing = _drawing(figures, as_json)
    experiment = load_experiment(model, scheme, changes)
    if out == "":
        raise NoSuchFile("--out: the folder has no name; got ''. Give one, such as --out results/mine.")
    scheme_name = "" if experiment.free else f"_{_folder_name(experiment.scheme)}"
    usual = f"{_folder_name(experiment.name)}{scheme_name}_seed{seed}"
    folder = Path(out) if out is not None else Path("results") / usual
    _refuse_taken(folder)
    named = experiment.name if experiment.free else f"{experiment.name}, {experiment.scheme}"
    title, unit = f"{named}, seed {seed}", "steps" if experiment.free else "presentations"
    waiting = "compiling" if backend in BACKENDS and BACKENDS[backend].compiles else "starting"
    shown = watched(title, waiting, unit) if watch else progress_bar(title, waiting, unit)
    with stoppable(folder), shown as progress:
        result = simulate(
            experiment,
            seed,
            backend,
            progress,
            precision,
            weights=weights,
            folder=folder,
            finish=drawing.into(folder),
            after=after,
            threads=threads,
        )
    _print_result(result, folder, as_json)
    if not as_json:
        click.echo(f"Next, hold the compiled program to NumPy: {_command_line('verify', model, scheme, seed, changes)}")


@click.command(short_help="Go on with a run that was stopped.")
@click.argument("folder", metavar="DIR")
@figures_option
@driving_options
@trust_option
@json_option
def resume(folder: str, figures: bool | None, as_json: bool, **driving: Any) -> None:
    """Go on with a run or a comparison that was stopped, to what it would have come to.

    DIR is the folder of a 'biofa run' or 'biofa compare' (for which -j and what follows it are) that
    ended by Ctrl-C, by SIGTERM, by a kill, or with the machine. Every number of the result is that of a run that was
    never stopped, bit for bit; only its timing and its provenance say that it was.

    \b
    Examples:
      biofa resume results/digits_fa_seed1
      biofa resume results/digits_fa_seed1 --json
    """
    from bioFA.comparisons.table import holds_sweep, read, refuse_changed_code
    from bioFA.runs.simulation import resume as continue_run

    place = Path(folder)
    if holds_sweep(place):
        sweep = read(place, driving["mixed"])
        refuse_changed_code(sweep)
        return drive(sweep, as_json, **driving)
    drawing, shown = _drawing(figures, as_json), progress_bar(str(place), "going on", "done")
    with stoppable(place), shown as progress:
        result = continue_run(place, progress, drawing.into(place), driving["force"])
    return _print_result(result, place, as_json)


def _refuse_taken(folder: Path) -> None:
    """Refuse, before anything runs, a folder that holds a result or cannot be written."""
    from bioFA.cli.doctor import writable
    from bioFA.runs.checkpoint import refuse_taken

    figures = [f"{stem}{suffix}" for stem in FIGURES for suffix in SUFFIXES]
    try:
        refuse_taken(folder)
    except FileError as error:
        raise error.prefixed("--out: ") from None
    except OSError as error:
        raise CannotWrite(
            f"--out: '{str(folder)[:80]}' cannot be a folder ({error.strerror}). Give another with --out DIR."
        ) from None
    if taken := [name for name in figures if (folder / name).exists()]:
        raise PlaceTaken(
            f"--out: '{folder}' already holds {', '.join(taken)}. Give an empty or new folder with --out DIR."
        )
    if not writable(folder):
        raise CannotWrite(
            f"--out: '{folder}' is not a folder that you can write to. Give one of your own with --out DIR."
        )


def _drawing(wanted: bool | None, as_json: bool) -> Drawing:
    """What draws the figures of a run, if they are wanted; it ends with the command."""
    from bioFA.cli.drawing import Drawing

    wanted = not as_json if wanted is None else wanted
    return click.get_current_context().with_resource(contextlib.closing(Drawing(wanted)))


def _print_result(result: Result, folder: Path, as_json: bool) -> None:
    """Print the outcome of a run, and where it is."""
    from bioFA.runs.result import RESULT

    if as_json:
        return print_json(result.summary() | {"result": str(folder / RESULT)})
    drawn = [path.name for stem in FIGURES for suffix in SUFFIXES if (path := folder / f"{stem}{suffix}").exists()]
    click.echo(str(result))
    if result.activity is not None:
        click.echo(_spikes(result))
    click.echo(f"Written to {folder}: {', '.join([RESULT, *drawn])}")
    return None


def _spikes(result: Result) -> str:
    """Statistics of each spiking population, or what to install for them."""
    from bioFA.analysis.spikes import INSTALL, has_elephant

    if not has_elephant():
        return f"  spike statistics   are Elephant's, which is not installed: {INSTALL}"
    lines: list[str] = []
    window = result.window
    if window is not None:
        lines.append(
            f"  spike statistics   in the first {window['presentations']:.0f} presentations, {window['seconds']:g} s,"
            " shown again with the final weights; Fano factor and correlation over presentations of different"
            " examples, which raise them"
        )
    for name, measures in result.spike_statistics.items():
        cv, fano, correlation = ("-" if value is None else f"{value:.2f}" for value in measures.values())
        lines.append(f"  {'':<19}{name}: CV of intervals {cv}, Fano factor {fano}, correlation {correlation}")
    return "\n".join(lines)


def _command_line(command: str, model: str, scheme: str | None, seed: int, changes: tuple[str, ...]) -> str:
    """A command line for the same instance."""
    words = ["biofa", command, model]
    words += ["--scheme", scheme] if scheme is not None else []
    words += ["--seed", str(seed)] if seed != 1 else []
    return shlex.join([*words, *(word for change in changes for word in ("--set", change))])


def _folder_name(name: str) -> str:
    """A model's name as the name of a folder."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")[:80] or "model"
