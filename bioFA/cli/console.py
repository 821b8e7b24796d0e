"""What all commands share: options, errors and exit codes, stopping, progress, JSON."""

from __future__ import annotations

import atexit
import contextlib
import errno
import gc
import json
import math
import os
import re
import shlex
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from bioFA.consumers import BACKENDS, DEFAULT
from bioFA.errors import BioFAError, CannotWrite, OutOfMemory, TooFewHandles, suggestion
from bioFA.system.retry import SCARCE

if TYPE_CHECKING:
    from bioFA.experiment import Experiment
    from bioFA.runs.simulation import Progress

_JSON = "bioFA.json"
WIDTH = 110
"""Lines are wrapped at the terminal's width, or here."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What a full disk, a quota and a limit of file sizes answer."""


class Commands(click.Group):
    """Commands whose errors are one message on standard error and an exit code."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Note whether JSON is asked for, also where something is wrong with the rest."""
        ctx.meta[_JSON] = "--json" in args
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Refuse an unknown command with the nearest known one."""
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            raise click.UsageError(f"unknown command '{args[0]}'.{suggestion(args[0], self.list_commands(ctx))}", ctx)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Turn what goes wrong into a message and an exit code."""
        _start_lightly()
        try:
            with _terminable():
                return super().invoke(ctx)
        except click.UsageError as error:
            command = error.ctx.command_path if error.ctx is not None else "biofa"
            message = error.format_message()
            _fail(
                ctx,
                "usage",
                f"{message if message.endswith(('.', '?')) else f'{message}.'} See '{command} --help'.",
                error.exit_code,
            )
        except BioFAError as error:
            _fail(ctx, error.code, str(error), error.exit_code)
        except MemoryError as error:
            _fail(
                ctx,
                OutOfMemory.code,
                f"the memory of this machine does not suffice ({error}). Describe a smaller network, or record less.",
                OutOfMemory.exit_code,
            )
        except OSError as error:  # of the machine, wherever it strikes; any other is a mistake of ours
            if error.errno in SCARCE:
                _fail(
                    ctx,
                    TooFewHandles.code,
                    f"the system gives no more file handles, processes or memory: {error}. Run less at once, or raise"
                    " the limit (ulimit -n, ulimit -u).",
                    TooFewHandles.exit_code,
                )
            elif error.errno in FULL:
                _fail(
                    ctx,
                    CannotWrite.code,
                    f"there is no space to write: {error}. Make some, then run the same command again.",
                    CannotWrite.exit_code,
                )
            else:
                raise
        except _Stopped as stopped:
            _fail(ctx, "interrupted" if stopped.code == 130 else "terminated", str(stopped), stopped.code)
        except _Terminated:
            _fail(ctx, "terminated", "ended by SIGTERM.", 143)
        except KeyboardInterrupt:
            _fail(ctx, "interrupted", "interrupted.", 130)


def _fail(ctx: click.Context, code: str, message: str, exit_code: int) -> None:
    click.echo(f"biofa: [{code}] {message}", err=True)
    if ctx.meta[_JSON]:
        print_json({"error": message, "code": code, "exit_code": exit_code})
    ctx.exit(exit_code)


class _Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a run as cleanly as Ctrl-C does."""


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM end a command as cleanly as Ctrl-C does."""

    def terminate(*_: object) -> None:
        raise _Terminated

    # where a command is called from within a program, it may set no signals
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class _Stopped(Exception):
    """A run that was stopped from outside: what to do next, and the exit code."""

    def __init__(self, message: str, code: int):
        super().__init__(message)
        self.code = code


class Whole(click.ParamType):
    """A whole number that is not below `least`."""

    name = "whole number"

    def __init__(self, least: int):
        self.least = least

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number that a word stands for."""
        if isinstance(value, int):
            return value
        if not re.fullmatch(r"[+-]?\d+", value) or int(value) < self.least:
            example = f"{param.opts[0]} {max(self.least, 1)}" if param else ""
            self.fail(f"must be a whole number >= {self.least}; got '{value}'. For example: {example}.", param, ctx)
        return int(value)


class _Shard(click.ParamType):
    """`k/K`: the k-th of K equal parts."""

    name = "k/K"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        match = re.fullmatch(r"(\d+)/(\d+)", value) if isinstance(value, str) else None
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            self.fail(f"must be k/K with 1 <= k <= K; got '{value}'. For example: --shard 1/8.", param, ctx)
        return int(match[1]), int(match[2])


def complete_model(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Built-in models, and files."""
    from bioFA.modelfiles.toml import builtin_models

    return [
        *(CompletionItem(name) for name in builtin_models() if name.startswith(incomplete)),
        CompletionItem(incomplete, type="file"),
    ]


def complete_scheme(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Schemes; the last of several that are given with commas."""
    from bioFA.schemes import family

    given, comma, last = incomplete.rpartition(",")
    return [CompletionItem(f"{given}{comma}{name}") for name in family.names() if name.startswith(last)]


def complete_format(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Formats of other programs."""
    from bioFA.exchange import FORMATS

    return [
        CompletionItem(name, help=format.headline) for name, format in FORMATS.items() if name.startswith(incomplete)
    ]


model_argument = click.argument("model", shell_complete=complete_model)
scheme_option = click.option(
    "--scheme",
    metavar="NAME",
    shell_complete=complete_scheme,
    help="Learning scheme: fa, bp, ... ('biofa list'), laid along the model's layers. Its own where left out.",
)
seed_option = click.option(
    "--seed",
    type=Whole(0),
    default=1,
    show_default=True,
    metavar="N",
    help="The one number that all draws follow from.",
)
set_option = click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a value of the model, by dotted key; a part of a network goes by its name; repeatable.",
)
backend_option = click.option(
    "--backend",
    default=DEFAULT,
    show_default=True,
    metavar="|".join(BACKENDS),
    help=f"{', or '.join(backend.title for backend in BACKENDS.values())}.",
)
precision_option = click.option(
    "--precision", default="float64", show_default=True, metavar="float64|float32", help="Of weights and rates, in C++."
)
figures_option = click.option(
    "--figures/--no-figures", default=None, help="Draw the figures.  [default: yes, but not with --json]"
)
force_option = click.option(
    "--force",
    is_flag=True,
    help="Take over from a process that seems to run there, such as one of a machine that is gone.",
)


def _trust(ctx: click.Context, param: click.Parameter, given: bool) -> None:
    """Let Python code run that comes with a file, until the command ends."""
    if given:
        from bioFA.own_code import trust

        ctx.with_resource(trust.allowing())


trust_option = click.option(
    "--trust-code",
    is_flag=True,
    expose_value=False,
    callback=_trust,
    help="Let Python code of somebody's own run that a result, bundle or comparison holds. What has run here before, or"
    " a model file names, runs anyway; 'biofa code PLACE' shows it.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")


def load_experiment(model: str, scheme: str | None, changes: tuple[str, ...]) -> Experiment:
    """The experiment that a command names: a model with its changes, under a scheme or its own."""
    from bioFA.modelfiles import toml

    experiment = toml.load(model, dict(toml.parse_change(change) for change in changes))
    return experiment if scheme is None else toml.under_scheme(experiment, scheme, model)


def driving_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options of whatever drives many runs."""
    options = (
        click.option("-j", "processes", type=Whole(1), default=1, show_default=True, metavar="J", help="Runs at once."),
        click.option(
            "--scheduler", metavar="ADDRESS", help="Run on the workers of a Dask scheduler that see the same folder."
        ),
        click.option("--shard", type=_Shard(), metavar="k/K", help="Run the k-th of K parts, for array jobs."),
        click.option(
            "--time-limit",
            "limit",
            type=Whole(1),
            metavar="SECONDS",
            help="End a run that takes longer; its state is 'timeout'.",
        ),
        click.option(
            "--memory-limit",
            "memory",
            type=Whole(1),
            metavar="MB",
            help="End a run that holds more memory; its state is 'oom'.",
        ),
        click.option(
            "--max-failures",
            "failures",
            type=Whole(0),
            default=5,
            show_default=True,
            metavar="N",
            help="Begin no more after this many.",
        ),
        click.option(
            "--allow-mixed",
            "mixed",
            is_flag=True,
            help="Go on though other versions of bioFA, Brian2 or NumPy began it.",
        ),
        force_option,
    )
    for option in reversed(options):
        command = option(command)
    return command


@contextlib.contextmanager
def stoppable(folder: Path) -> Iterator[None]:
    """Say how a run that Ctrl-C or SIGTERM ends can go on."""
    try:
        yield
    except KeyboardInterrupt as error:
        from bioFA.comparisons.table import holds_sweep
        from bioFA.runs.checkpoint import is_unfinished

        further = (
            f" Go on with: biofa resume {shlex.quote(str(folder))}"
            if is_unfinished(folder) or holds_sweep(folder)
            else ""
        )
        ended = isinstance(error, _Terminated)
        raise _Stopped(f"{'ended by SIGTERM' if ended else 'interrupted'}.{further}", 143 if ended else 130) from None


def _start_lightly() -> None:
    """Spare a command what costs more than it finds: most passes of the garbage collector, since imports make a hundred
    thousand objects that stay; its last passes, which go through all of them as the process ends; and pydantic's search
    of all installed packages for plugins, of which none is ours."""
    gc.set_threshold(100_000, *gc.get_threshold()[1:])
    atexit.register(gc.freeze)
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")


@contextlib.contextmanager
def progress_bar(title: str, waiting: str, unit: str = "presentations") -> Iterator[Progress]:
    """A progress bar on standard error, where that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda done, total, latest: None
        return
    from tqdm import tqdm

    with tqdm(desc=f"{title}: {waiting}", bar_format="{desc}", unit=f" {unit}", leave=False, disable=None) as bar:

        def report(done: int, total: int, latest: Mapping[str, float]) -> None:
            bar.bar_format, bar.total = None, total
            bar.set_description_str(title, refresh=False)
            bar.set_postfix_str(", ".join(f"{name} {value:.3g}" for name, value in latest.items()), refresh=False)
            bar.update(done - bar.n)

        yield report


@contextlib.contextmanager
def watched(title: str, waiting: str, unit: str = "presentations") -> Iterator[Progress]:
    """A line on standard error for every segment, also where that is no terminal.

    It says what is done, how long it took, and the latest measures.
    """
    began = time.monotonic()
    click.echo(f"{title}: {waiting}", err=True)

    def report(done: int, total: int, latest: Mapping[str, float]) -> None:
        measures = ", ".join(f"{name} {value:.3g}" for name, value in latest.items())
        click.echo(
            f"{time.monotonic() - began:8.1f} s  {done:>{len(str(total))}} of {total} {unit}  {measures}",
            err=True,
        )

    yield report


def note(text: str) -> None:
    """A line on standard error, above the progress bar where there is one."""
    from tqdm import tqdm

    tqdm.write(text, file=sys.stderr)


def print_json(value: Mapping[str, Any]) -> None:
    """Print one JSON object, null where a number is not finite."""
    click.echo(json.dumps(_finite(value), allow_nan=False))


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinity: null stands for them."""
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
