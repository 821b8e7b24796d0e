"""The plan of a comparison: schemes x models x swept values x seeds, as conditions and jobs, each description checked.

Seeds are the first that no compared model was chosen on, the same for every condition, so that runs are paired by seed.
"""

from __future__ import annotations

import itertools
import json
import math
import shlex
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bioFA.analysis import statistics
from bioFA.comparisons import table, tuning
from bioFA.comparisons.table import Condition, Job, Sweep, differing
from bioFA.errors import Contradiction, DuplicateName, OutOfRange, Unavailable, UnknownName, suggestion
from bioFA.experiment import Experiment
from bioFA.instance import draw
from bioFA.modelfiles import toml

MOST_RUNS = 100_000
"""A comparison of more runs is a slip, and its table would not fit."""
Axis = tuple[str, list[Any]]
"""A key of the model file, and the values that it takes."""


@dataclass(frozen=True)
class Request:
    """What is to be compared.

    `schemes` may be empty for each model's own; `changes` are `key=value` or `key=v1,v2`.
    """

    models: tuple[str, ...]
    schemes: tuple[str, ...]
    seeds: int | None
    changes: tuple[str, ...] = ()
    tune: bool = False
    backend: str = "cpp"
    precision: str = "float64"
    baseline: str | None = None
    margin: float | None = None

    def table(self) -> dict[str, Any]:
        """As the folder keeps it: what a comparison may leave out only where it is given."""
        kept = {name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()}
        return {name: value for name, value in kept.items() if value is not None or name not in ("baseline", "margin")}


def begin(request: Request, folder: Path, mixed: bool = False) -> Sweep:
    """The sweep of a request in a folder: written now, or taken up again.

    With `mixed`, also where other versions began it.

    Raises:
        ModelError, FileError: as `plan` and `table.write`.
    """
    conditions, jobs = plan(request)
    kept = request.table() | {"seeds": len({job.seed for job in jobs if job.factor is None})}
    return table.write(folder, kept, conditions, jobs, mixed)


def plan(request: Request) -> tuple[list[Condition], list[Job]]:
    """The conditions and jobs of a request; without a number of seeds, as few as can test all pairs, at least 8.

    Raises:
        ModelError: if a model, scheme or value is wrong, or there are no validation data to tune on.
    """
    for kind in ("models", "schemes"):
        if doubled := _doubled(getattr(request, kind)):
            raise DuplicateName(f"--{kind} names '{doubled}' twice. Name each once.")
    axes = [parse_axis(change) for change in request.changes]
    _refuse_too_many(request, axes)
    conditions: list[Condition] = []
    for model, scheme in itertools.product(request.models, request.schemes or (None,)):
        conditions += _conditions(model, scheme, axes)
        _check(toml.loads(conditions[-1].experiment), request)
    if len({toml.loads(condition.experiment).free for condition in conditions}) > 1:
        raise Contradiction(
            "some of the models compared let time pass without a task, and others learn one, so they have no measure in"
            " common. Compare them apart."
        )
    if doubled := _doubled([_name(condition) for condition in conditions]):
        raise DuplicateName(
            f"two of the models compared have the same name; got '{doubled}' twice. Give one another name in its file."
        )
    schemes = list(dict.fromkeys(condition.scheme for condition in conditions))
    if request.baseline is not None and request.baseline not in schemes:
        raise UnknownName(
            f"--baseline: '{request.baseline}' is not among the schemes compared."
            f"{suggestion(request.baseline, schemes)}"
        )
    return conditions, _jobs(conditions, request)


def _refuse_too_many(request: Request, axes: Sequence[Axis]) -> None:
    factors = [len(request.models), max(len(request.schemes), 1), request.seeds or statistics.LEAST]
    runs = math.prod([*factors, *(len(values) for _, values in axes)])
    if runs > MOST_RUNS:
        raise OutOfRange(
            f"--seeds {request.seeds} and what is swept make {runs} runs; a comparison has at most {MOST_RUNS}. "
            "Give fewer, or split it into several."
        )


def _doubled(names: Sequence[str]) -> str | None:
    """The first name that comes twice."""
    return next((name for name in names if names.count(name) > 1), None)


def _conditions(model: str, scheme: str | None, axes: Sequence[Axis]) -> list[Condition]:
    """A model under a scheme (its own where that is None), at all combinations of the values that reach it."""
    name = toml.load(model).scheme if scheme is None else scheme
    own = [axis for axis in axes if not _of_another_scheme(axis[0], name) or _inherited(axis, model, name)]
    swept = [key for key, values in own if len(values) > 1]
    found = []
    for values in itertools.product(*(values for _, values in own)):
        chosen = dict(zip((key for key, _ in own), values, strict=True))
        experiment = toml.load(model, chosen)
        experiment = experiment if scheme is None else toml.under_scheme(experiment, scheme, model)
        settings = {key: chosen[key] for key in swept}
        toml.code_files(experiment)  # every process must find its classes
        found.append(Condition(experiment.name, experiment.scheme, settings, toml.kept(experiment)))
    return found


def _jobs(conditions: Sequence[Condition], request: Request) -> list[Job]:
    """Tuning first, then seed by seed."""
    experiments = [toml.loads(condition.experiment) for condition in conditions]
    ranked = all(not one.free or any(measure.better is not None for measure in one.measures) for one in experiments)
    pairs = differing(conditions, request.baseline) if ranked else []
    count = request.seeds or max(statistics.LEAST, statistics.seeds_needed(len(pairs)))
    unused = _unused_seeds(conditions)
    seeds, tuned = list(itertools.islice(unused, count)), list(itertools.islice(unused, tuning.SEEDS))
    jobs: list[Job] = []
    if request.tune:
        for number, condition in enumerate(conditions):
            for factor, seed in itertools.product(tuning.GRID, tuned):
                name = f"{len(jobs):05d}_{_plain(condition)}_x{factor:g}_seed{seed}"
                jobs.append(Job(name, number, seed, factor))
    for seed, (number, condition) in itertools.product(seeds, enumerate(conditions)):
        jobs.append(Job(f"{len(jobs):05d}_{_plain(condition)}_seed{seed}", number, seed))
    return jobs


def _unused_seeds(conditions: Sequence[Condition]) -> Iterator[int]:
    """1, 2, 3, ... without those on which numbers of any compared model were chosen."""
    chosen = [toml.loads(condition.experiment).chosen_on for condition in conditions]
    used = {seed for one in chosen if one is not None for seed in one.seeds}
    return (seed for seed in itertools.count(1) if seed not in used)


def _check(experiment: Experiment, request: Request) -> None:
    """Check that an experiment can be drawn, and tuned or ranked where that is asked for."""
    if experiment.free:
        for name in ("tune", "baseline", "margin"):
            if getattr(request, name) not in (None, False):
                raise Unavailable(
                    f"--{name} is of errors, and '{experiment.name}' lets time pass without a task. Leave it out: the"
                    " measures of every condition are tabulated."
                )
    data = draw(experiment, 1).data
    if not request.tune:
        return
    if data.validation is None:
        task = experiment.the_task
        can_have = "validation_examples" in type(task).model_fields
        remedy = "--set task.validation_examples=500" if can_have else "a task that has some"
        raise Unavailable(
            f"--tune chooses on validation data, never on test data, and {type(task).__name__} of "
            f"'{experiment.name}' has none. Give {remedy}."
        )
    tuning.scaled(experiment, 2.0)


def parse_axis(text: str) -> Axis:
    """Read `key=value` or `key=v1,v2,...`; each value is TOML, or text where it is none.

    Raises:
        ModelError: if there is no `=`, or a value comes twice.
    """
    key, value = toml.parse_change(text)
    if not isinstance(value, str) or "," not in value or value != text.partition("=")[2].strip():
        return key, [value]
    try:
        values = tomllib.loads(f"values = [{value}]")["values"]
    except ValueError:
        values = [toml.parse_change(f"{key}={part}")[1] for part in value.split(",")]
    if any(values.count(v) > 1 for v in values):
        raise DuplicateName(f"--set {key} has a value twice; got '{value}'. Give each once.")
    return key, values


def _of_another_scheme(key: str, scheme: str) -> bool:
    parts = key.split(".")
    return parts[:2] == ["circuit", "schemes"] and len(parts) > 2 and parts[2] != scheme


def _inherited(axis: Axis, model: str, scheme: str) -> bool:
    """Whether the settings of one scheme that are changed reach another, which inherits them."""
    key, values = axis
    changes: list[dict[str, Any]] = [{key: value} for value in values]
    tried = changes if len(changes) > 1 else [{}, *changes]
    networks = [toml.under_scheme(toml.load(model, change), scheme, model).network for change in tried]
    return any(network != networks[0] for network in networks)


def _name(condition: Condition) -> str:
    return json.dumps([condition.model, condition.scheme, condition.settings], sort_keys=True)


def _plain(condition: Condition) -> str:
    """Model and scheme as a part of a file's name."""
    names = (condition.model, condition.scheme)
    return "_".join("".join(c if c.isalnum() and c.isascii() else "-" for c in name)[:40] for name in names)


def command(request: Mapping[str, Any], folder: str = "DIR") -> str:
    """The command line that makes a comparison, from its table's request."""
    models, changes = request["models"], request["changes"]
    words = ["biofa", "compare", *(models if len(models) == 1 else ["--models", ",".join(models)])]
    words += ["--schemes", ",".join(request["schemes"])] if request["schemes"] else []
    words += ["--seeds", str(request["seeds"]), *(word for change in changes for word in ("--set", change))]
    for name in ("baseline", "margin"):
        words += [f"--{name}", str(request[name])] if request.get(name) is not None else []
    words += ["--tune"] if request["tune"] else []
    for name, usual in (("backend", "cpp"), ("precision", "float64")):
        words += [f"--{name}", request[name]] if request[name] != usual else []
    return shlex.join([*words, "--out", folder])
