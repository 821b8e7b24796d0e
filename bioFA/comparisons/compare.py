"""A comparison: schemes x models x seeds x swept values, run as one sweep, told as tables.

    DIR/table.csv          one row a run: the tidy table
    DIR/comparisons.csv    one row a pair of conditions that differ in one thing

Seeds are 1 to N for every condition, so that runs are paired by seed. Error rates are compared as
they are, squared errors (NSE) by their decimal logarithm, since they span decades; a run that
diverged is infinitely bad, and every run counts in every number. Order, direction, interval and verdict
are of one estimand, the Hodges-Lehmann median of paired differences. All pairs share one Holm correction.
"""

from __future__ import annotations

import itertools
import json
import math
import shlex
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bioFA.analysis import statistics
from bioFA.comparisons import sweep, tuning
from bioFA.comparisons.sweep import Condition, Job, Limits, Report, Sweep, read_outcomes
from bioFA.errors import (
    CannotWrite,
    DuplicateName,
    NoSpace,
    OutOfRange,
    RunError,
    RunsFailed,
    Unavailable,
    UnknownName,
    suggestion,
)
from bioFA.instance import draw
from bioFA.modelfiles import toml
from bioFA.runs.checkpoint import DECIDING
from bioFA.system.atomic import written_whole

if TYPE_CHECKING:
    from pandas import DataFrame

TIDY, PAIRS = "table.csv", "comparisons.csv"


@dataclass(frozen=True)
class Request:
    """What is to be compared. `schemes` may be empty for each model's own; `changes` are `key=value` or `key=v1,v2`."""

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


MOST_RUNS = 100_000
"""A comparison of more runs is a slip, and its table would not fit."""


def plan(request: Request) -> tuple[list[Condition], list[Job]]:
    """The conditions and jobs of a request, every description checked; without a number of seeds, `default_seeds`.

    Raises:
        ModelError: if a model, scheme or value is wrong, or there are no validation data to tune on.
    """
    for kind in ("models", "schemes"):
        names = getattr(request, kind)
        if doubled := [name for name in names if names.count(name) > 1]:
            raise DuplicateName(f"--{kind} names '{doubled[0]}' twice. Name each once.")
    axes = [parse_axis(change) for change in request.changes]
    runs = math.prod([
        len(request.models),
        max(len(request.schemes), 1),
        request.seeds or statistics.LEAST,
        *(len(values) for _, values in axes),
    ])
    if runs > MOST_RUNS:
        raise OutOfRange(
            f"--seeds {request.seeds} and what is swept make {runs} runs; a comparison has at most {MOST_RUNS}. Give"
            " fewer, or split it into several."
        )
    conditions: list[Condition] = []
    for model, scheme in itertools.product(request.models, request.schemes or (None,)):
        name = toml.load(model).scheme if scheme is None else scheme
        own = [axis for axis in axes if not _of_another_scheme(axis[0], name) or _inherited(axis, model, name)]
        swept = [key for key, values in own if len(values) > 1]
        for values in itertools.product(*(values for _, values in own)):
            chosen = dict(zip((key for key, _ in own), values, strict=True))
            experiment = toml.load(model, chosen)
            experiment = experiment if scheme is None else experiment.with_scheme(scheme)
            conditions.append(
                Condition(
                    experiment.name, experiment.scheme, {key: chosen[key] for key in swept}, toml.dumps(experiment)
                )
            )
        _check(toml.loads(conditions[-1].experiment), request)
    names = [_name(condition) for condition in conditions]
    if doubled := [name for name in names if names.count(name) > 1]:
        raise DuplicateName(
            f"two of the models compared have the same name; got '{doubled[0]}' twice. Give one another name in its"
            " file."
        )
    if request.baseline is not None and request.baseline not in (
        schemes := list(dict.fromkeys(c.scheme for c in conditions))
    ):
        raise UnknownName(
            f"--baseline: '{request.baseline}' is not among the schemes"
            f" compared.{suggestion(request.baseline, schemes)}"
        )
    count = request.seeds or max(
        statistics.LEAST, statistics.seeds_needed(len(_differing(conditions, request.baseline)))
    )
    free = _unused_seeds(conditions)
    seeds, tuned = list(itertools.islice(free, count)), list(itertools.islice(free, tuning.SEEDS))
    jobs: list[Job] = []
    if request.tune:
        for number, condition in enumerate(conditions):
            for factor, seed in itertools.product(tuning.GRID, tuned):
                jobs.append(Job(f"{len(jobs):05d}_{_plain(condition)}_x{factor:g}_seed{seed}", number, seed, factor))
    for seed, (number, condition) in itertools.product(seeds, enumerate(conditions)):
        jobs.append(Job(f"{len(jobs):05d}_{_plain(condition)}_seed{seed}", number, seed))
    return conditions, jobs


def _unused_seeds(conditions: Sequence[Condition]) -> Iterator[int]:
    """1, 2, 3, ... without those on which numbers of any compared model were chosen."""
    chosen = [toml.loads(condition.experiment).chosen_on for condition in conditions]
    used = {seed for one in chosen if one is not None for seed in one.seeds}
    return (seed for seed in itertools.count(1) if seed not in used)


def seeds_of(found: Sweep) -> list[int]:
    """The seeds that are compared."""
    return sorted({job.seed for job in found.compared})


def command(request: Mapping[str, Any], folder: str = "DIR") -> str:
    """The command line that makes a comparison, from its table's request."""
    models, changes = request["models"], request["changes"]
    words = ["biofa", "compare", *(models if len(models) == 1 else ["--models", ",".join(models)])]
    words += ["--schemes", ",".join(request["schemes"])] if request["schemes"] else []
    words += ["--seeds", str(request["seeds"]), *(word for change in changes for word in ("--set", change))]
    words += [
        word
        for name in ("baseline", "margin")
        if request.get(name) is not None
        for word in (f"--{name}", str(request[name]))
    ]
    words += ["--tune"] if request["tune"] else []
    words += [
        word
        for name, usual in (("backend", "cpp"), ("precision", "float64"))
        if request[name] != usual
        for word in (f"--{name}", request[name])
    ]
    return shlex.join([*words, "--out", folder])


def _check(experiment: Any, request: Request) -> None:
    data = draw(experiment, 1).data
    if request.tune:
        if data.validation is None:
            task = experiment.task
            remedy = (
                "--set task.validation_examples=500"
                if "validation_examples" in type(task).model_fields
                else "a task that has some"
            )
            raise Unavailable(
                f"--tune chooses on validation data, never on test data, and {type(task).__name__} of"
                f" '{experiment.name}' has none. Give {remedy}."
            )
        tuning.scaled(experiment, 2.0)


def parse_axis(text: str) -> tuple[str, list[Any]]:
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


def _inherited(axis: tuple[str, list[Any]], model: str, scheme: str) -> bool:
    """Whether the settings of one scheme that are changed reach another, which inherits them."""
    key, values = axis
    changes: list[dict[str, Any]] = [{key: value} for value in values]
    networks = [
        toml.load(model, change).with_scheme(scheme).network
        for change in (changes if len(changes) > 1 else [{}, *changes])
    ]
    return any(network != networks[0] for network in networks)


def _name(condition: Condition) -> str:
    return json.dumps([condition.model, condition.scheme, condition.settings], sort_keys=True)


def label(condition: Condition) -> str:
    """A condition in words: model, scheme, and what is swept."""
    return ", ".join([
        condition.model,
        condition.scheme,
        *(f"{key.rpartition('.')[2]} {_short(value)}" for key, value in condition.settings.items()),
    ])


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else value if isinstance(value, str) else json.dumps(value)


def _plain(condition: Condition) -> str:
    return "_".join(
        "".join(c if c.isalnum() and c.isascii() else "-" for c in word)[:40]
        for word in (condition.model, condition.scheme)
    )


def begin(request: Request, folder: Path, mixed: bool = False) -> Sweep:
    """The sweep of a request in a folder: written now, or taken up again; with `mixed`,
    also where other versions began it.

    Raises:
        ModelError, FileError: as `plan` and `sweep.write`.
    """
    conditions, jobs = plan(request)
    table = request.table() | {"seeds": len({job.seed for job in jobs if job.factor is None})}
    return sweep.write(folder, table, conditions, jobs, mixed)


def run(
    found: Sweep,
    processes: int = 1,
    scheduler: str | None = None,
    shard: tuple[int, int] | None = None,
    limits: Limits | None = None,
    report: Report | None = None,
    foretell: Callable[[str], None] | None = None,
    force: bool = False,
) -> dict[str, Any]:
    """Run what is not proven done, write the tables and the report, and say what came out (as `summary`).

    `foretell` is told at once if so few seeds cannot show a difference between so many conditions. Where 50 runs or
    more are left, one of each condition is run first, and `foretell` is told what the others will take. With `force`,
    the comparison is taken from another process that seems to run it.

    Raises:
        FileError: if another process runs the same comparison, or the disk will not hold what is left.
    """
    limits = limits or Limits()
    caution = too_few_seeds(found.request["seeds"], len(_pairs(found)))
    if caution and foretell is not None:
        foretell(caution)
    with sweep.driving(found.folder, shard is not None, force):
        part = found.part(shard)
        failed: dict[str, str] = {}
        if sum(found.outcome(job) is None for job in part) >= sweep.MANY:
            failed = sweep.execute(found, processes, scheduler, shard, limits, report, sweep.pilots(part))
            expected = sweep.estimate(found, part, processes)
            if expected is not None and foretell is not None:
                foretell(_expectation(expected, processes, scheduler))
            if expected is not None and expected["bytes"] > expected["free"]:
                raise NoSpace(
                    f"'{found.folder}': the {expected['left']:.0f} runs left need about {_size(expected['bytes'])};"
                    f" {_size(expected['free'])} are free. Record less (record.every), or give a folder on a larger"
                    " disk."
                )
        if len(failed) <= limits.failures:
            failed |= sweep.execute(found, processes, scheduler, shard, limits, report)
    outcomes = read_outcomes(found)
    write_tables(outcomes)
    done = {job.name for job in found.jobs if outcomes.outcome(job) is not None}
    return summary(outcomes, {name: why for name, why in failed.items() if name not in done})


def _expectation(expected: Mapping[str, float], processes: int, scheduler: str | None) -> str:
    """An estimate in words."""
    width = (
        "over all workers together"
        if scheduler is not None
        else f"with {processes} at once" if processes > 1 else "one at a time"
    )
    return (
        f"{expected['left']:.0f} runs are left: about {_duration(expected['seconds'])} {width}, and"
        f" {_size(expected['bytes'])} of disk ({_size(expected['free'])} are free)."
    )


def _duration(seconds: float) -> str:
    return (
        f"{seconds:.0f} s"
        if seconds < 100
        else f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
    )


def _size(count: float) -> str:
    return f"{count / 1e6:.1f} MB" if count < 1e9 else f"{count / 1e9:.1f} GB"


def tidy(found: Sweep) -> DataFrame:
    """One row a compared run: model, scheme, swept values, seed, status, every measure,
    every alignment angle in degrees.

    Nothing in it depends on when, where, or in what order runs were made.
    """
    import pandas

    found = read_outcomes(found)
    rows = []
    swept = sorted({key for condition in found.conditions for key in condition.settings})
    outcomes = {job.name: found.outcome(job) or {} for job in found.compared}
    metrics = sorted({name for outcome in outcomes.values() for name in outcome.get("metrics", {})})
    pathways = sorted({name for outcome in outcomes.values() for name in outcome.get("alignment", {})})
    for job in sorted(found.compared, key=lambda job: (job.condition, job.seed)):
        condition, outcome = found.conditions[job.condition], outcomes[job.name]
        row: dict[str, Any] = {"model": condition.model, "scheme": condition.scheme}
        row |= {key: _cell(condition.settings.get(key)) for key in swept}
        row |= {
            "rates": found.rates(job.condition)["text"],
            "seed": job.seed,
            "status": found.state(job),
            "presentations": outcome.get("presentations"),
        }
        if found.request["tune"]:
            row["learning_rate_factor"] = (found.chosen(job.condition) or {}).get("factor")
        row |= {name: outcome.get("metrics", {}).get(name) for name in metrics}
        row |= {f"alignment.{name}": outcome.get("alignment", {}).get(name) for name in pathways}
        rows.append(row)
    return pandas.DataFrame(rows).astype({"presentations": "Int64"})


def _cell(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, (dict, list)) else value


def measure_of(found: Sweep, model: str) -> str:
    """What the conditions of a model are compared by."""
    return read_outcomes(found).measures[model]


def values(found: Sweep, condition: int, measure: str) -> dict[int, float]:
    """One measure by seed: infinity for a run that diverged; runs that are not done are absent."""
    outcomes = {job.seed: found.outcome(job) for job in found.runs_of(condition)}
    return {
        seed: outcome["metrics"][measure] if outcome["status"] == "finished" else float("inf")
        for seed, outcome in sorted(outcomes.items()) if outcome is not None
    }


def _comparable(values: Mapping[int, float], measure: str) -> dict[int, float]:
    """NSE as its logarithm."""
    return {
        s: float(np.log10(max(v, 1e-300))) if measure.endswith("nse") and np.isfinite(v) else v
        for s, v in values.items()
    }


def describe(found: Sweep) -> list[dict[str, Any]]:
    """Each condition: its measure from every seed, the Hodges-Lehmann median of all with its 95 % interval,
    and how many diverged or are missing.

    Where a run diverged there is no median (NaN): no number is that of all runs.
    """
    found = read_outcomes(found)
    rows = []
    for number, condition in enumerate(found.conditions):
        measure = measure_of(found, condition.model)
        raw = values(found, number, measure)
        whole = all(np.isfinite(v) for v in raw.values())
        interval = statistics.hodges_lehmann(list(_comparable(raw, measure).values()) if whole else [])
        back = _power if measure.endswith("nse") else float
        examples = (
            _test_examples(condition.experiment) if measure == "test_error" and np.isfinite(interval.median) else None
        )
        rows.append({
            "model": condition.model,
            "scheme": condition.scheme,
            "settings": dict(condition.settings),
            "label": label(condition),
            "measure": measure,
            "estimate": "Hodges-Lehmann median",
            "value": back(interval.median),
            "low": back(interval.low),
            "high": back(interval.high),
            "n": len(raw),
            "n_finite": sum(bool(np.isfinite(v)) for v in raw.values()),
            "test_examples": examples,
            "sampling_error": statistics.sampling_error(interval.median, examples) if examples else None,
            "seeds": list(raw),
            "values": list(raw.values()),
            "diverged": sum(not np.isfinite(v) for v in raw.values()),
            "missing": found.request["seeds"] - len(raw),
            "findings": findings(found, number),
            "rates": found.rates(number),
        })
    return rows


def _power(x: float) -> float:
    return float("inf") if x >= 308 else float(10**x)


@lru_cache(maxsize=64)
def _test_examples(experiment: str) -> int | None:
    """How many test examples an experiment has."""
    described = toml.loads(experiment)
    known = getattr(described.task, "test_examples", None)
    if known is not None:
        return int(known)
    test = draw(described, 1).data.test
    return None if test is None else len(test.inputs)


def findings(found: Sweep, condition: int) -> list[dict[str, Any]]:
    """What is wrong with the runs of a condition (`diagnosis.py`), each kind and place once: in how many,
    and the words of the first."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for job in found.runs_of(condition):
        outcome = found.outcome(job)
        if outcome is None:
            continue
        told = (
            outcome["findings"]
            if outcome["status"] == "finished"
            else [{"kind": "diverged", "place": "", "says": outcome["message"]}]
        )
        for finding in told:
            row = rows.setdefault((finding["kind"], finding["place"]), dict(finding) | {"seeds": []})
            row["seeds"].append(job.seed)
    return list(rows.values())


def compare_pairs(found: Sweep) -> list[dict[str, Any]]:
    """Every two conditions that differ in one thing (scheme, model, or swept values), over the seeds that both have.

    `difference` (first minus second), `low` and `high`, `better` and `verdict` are of the Hodges-Lehmann median and
    of the level at which Holm's correction tested this pair. Where a run diverged there is no difference (NaN); the
    direction, p and verdict are over all runs still.
    """
    found = read_outcomes(found)
    rows: list[dict[str, Any]] = []
    tested: list[statistics.Paired] = []
    for first, second in _pairs(found):
        a, b = found.conditions[first], found.conditions[second]
        measure = measure_of(found, a.model)
        if measure_of(found, b.model) != measure:
            continue
        of_a, of_b = _common(found, first, second, measure)
        outcome = statistics.paired(of_a, of_b)
        better = (
            None
            if not outcome.estimate
            else label(a) if outcome.estimate < 0 else label(b) if outcome.estimate > 0 else None
        )
        tested.append(outcome)
        rows.append({
            "first": label(a),
            "second": label(b),
            "measure": measure,
            "scale": "log10" if measure.endswith("nse") else "fraction",
            "n": outcome.n,
            "n_finite": outcome.n_finite,
            "diverged_first": int(np.isinf(of_a).sum()),
            "diverged_second": int(np.isinf(of_b).sum()),
            "difference": outcome.estimate,
            "better": better,
            "superiority": outcome.superiority,
            "p": outcome.p,
        })
    margin = found.request.get("margin")
    for row, outcome, (corrected, tests) in zip(
        rows, tested, statistics.holm_tests([row["p"] for row in rows]), strict=True
    ):
        interval = outcome.interval(tests)
        row |= {
            "low": interval.low,
            "high": interval.high,
            "level": 1 - statistics.ALPHA / tests,
            "p_holm": corrected,
            "differs": corrected < statistics.ALPHA,
        }
        row["can_be_tested"] = row["differs"] or statistics.can_be_tested(outcome.n, tests)
        row["equal_within"] = margin if margin is not None and statistics.equal_within(outcome, margin) else None
        row["verdict"] = verdict(row)
        if row["n_finite"] < row["n"]:
            row |= dict.fromkeys(("difference", "low", "high"), np.nan)
    return rows


def verdict(row: Mapping[str, Any]) -> str:
    """What may be said of a pair: which is better, or why that is not known."""
    said = (
        f"{row['better']} better"
        if row["differs"]
        else "cannot be told" if row["can_be_tested"] else f"cannot be tested with {row['n']} seeds"
    )
    return said if row["equal_within"] is None else f"{said}, equal within {row['equal_within']:g}"


def _common(found: Sweep, first: int, second: int, measure: str) -> tuple[list[float], list[float]]:
    """The values of two conditions, from the seeds that both have."""
    of_a, of_b = (_comparable(values(found, number, measure), measure) for number in (first, second))
    seeds = sorted(of_a.keys() & of_b.keys())
    return [of_a[s] for s in seeds], [of_b[s] for s in seeds]


def ranking(found: Sweep) -> list[dict[str, Any]]:
    """The conditions of each model, best first: by how many others each is better than,
    in the median of paired differences.

    `consistent` is false where such an order leaves a pair the other way round: A better than B, B than C, C than A.
    """
    found = read_outcomes(found)
    ranked = []
    for model in dict.fromkeys(condition.model for condition in found.conditions):
        numbers = [n for n, condition in enumerate(found.conditions) if condition.model == model]
        measure = measure_of(found, model)
        estimates = {
            (a, b): statistics.paired(*_common(found, a, b, measure)).estimate
            for a, b in itertools.permutations(numbers, 2)
        }
        wins = {
            a: sum(estimates[a, b] < 0 for b in numbers if b != a) - sum(estimates[a, b] > 0 for b in numbers if b != a)
            for a in numbers
        }
        order = sorted(numbers, key=lambda n: -wins[n])
        consistent = not any(estimates[a, b] > 0 for a, b in itertools.combinations(order, 2))
        ranked.append({
            "model": model,
            "measure": measure,
            "order": [label(found.conditions[n]) for n in order],
            "consistent": consistent,
            "equal": [estimates[pair] == 0 for pair in itertools.pairwise(order)],
        })
    return ranked


def _pairs(found: Sweep) -> list[tuple[int, int]]:
    """Every two conditions that differ in one thing, by number;
    of conditions that are the same network nothing is tested between them, and each difference once."""
    same = {second: first for first, second in sorted(found.identical, reverse=True)}
    pairs: dict[frozenset[int], tuple[int, int]] = {}
    for pair in _differing(found.conditions, found.request.get("baseline")):
        if pair not in found.identical:
            pairs.setdefault(frozenset(same.get(number, number) for number in pair), pair)
    return list(pairs.values())


def _differing(conditions: Sequence[Condition], baseline: str | None) -> list[tuple[int, int]]:
    """Every two conditions that differ in one thing; with a baseline, those of another scheme against it."""
    return [
        (first, second) for (first, a), (second, b) in itertools.combinations(enumerate(conditions), 2)
        if (a.model != b.model) + (a.scheme != b.scheme) + (dict(a.settings) != dict(b.settings)) == 1
        and (baseline is None or (a.scheme == baseline) != (b.scheme == baseline))
    ]


def too_few_seeds(seeds: int, pairs: int) -> str | None:
    """What to say where so few seeds cannot show a difference in any of so many pairs."""
    if not pairs or statistics.can_be_tested(seeds, pairs):
        return None
    return (
        f"{pairs} pair{'s' if pairs > 1 else ''} cannot be tested with {seeds} seeds, however large a difference is:"
        f" the lowest p that can come out is {min(1.0, pairs * 2.0 ** (1 - seeds)):.2g} (Holm)."
        f" {statistics.seeds_needed(pairs)} seeds could, fewer conditions, or one baseline (--baseline)."
    )


def write_tables(found: Sweep) -> None:
    """Write the tidy table and the pairs as CSV."""
    import pandas

    found = read_outcomes(found)
    try:
        for name, table in ((TIDY, tidy(found)), (PAIRS, pandas.DataFrame(compare_pairs(found)))):
            with written_whole(found.folder / name) as partial:
                table.to_csv(partial, index=False)
    except OSError as error:
        raise CannotWrite(
            f"the tables of '{found.folder}' could not be written: {error}. All runs are kept; make space, then 'biofa"
            f" resume {shlex.quote(str(found.folder))}'."
        ) from None


def summary(found: Sweep, failed: Mapping[str, str] | None = None) -> dict[str, Any]:
    """What `biofa compare --json` prints."""
    found = read_outcomes(found)
    outcomes = [found.outcome(job) for job in found.jobs]
    done = [outcome for outcome in outcomes if outcome is not None]
    return {
        "request": dict(found.request),
        "runs": len(found.jobs),
        "finished": sum(o["status"] == "finished" for o in done),
        "diverged": sum(o["status"] == "diverged" for o in done),
        "failed": dict(failed or {}),
        "left": len(found.jobs) - len(done),
        "states": dict(Counter(map(found.state, found.jobs))),
        "mixed": _mixed(done),
        "compiled": sum(not o["timing"]["cached"] for o in done if o["timing"].get("compile_s")),
        "tuning": (
            [{"condition": label(c)} | (found.chosen(n) or {}) for n, c in enumerate(found.conditions)]
            if found.request["tune"]
            else []
        ),
        "seeds": seeds_of(found),
        "ranking": ranking(found),
        "conditions": describe(found),
        "identical": [[label(found.conditions[n]) for n in pair] for pair in sorted(found.identical)],
        "comparisons": compare_pairs(found),
        "table": str(found.folder / TIDY),
        "pairs": str(found.folder / PAIRS),
    }


def _mixed(outcomes: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """The packages that decide numbers and of which the runs used several versions."""
    known = [outcome["provenance"]["versions"] for outcome in outcomes if "provenance" in outcome]
    versions = {package: sorted({str(one.get(package)) for one in known}) for package in DECIDING}
    return {package: found for package, found in versions.items() if len(found) > 1}


def in_runs(finding: Mapping[str, Any], row: Mapping[str, Any]) -> str:
    """In which of a condition's runs something was found."""
    seeds = finding["seeds"]
    return (
        f"all {len(seeds)} runs"
        if len(seeds) == len(row["values"])
        else f"{len(seeds)} of {len(row['values'])} runs (seed {', '.join(map(str, seeds))})"
    )


def signed(value: float) -> str:
    """A difference as text."""
    return f"{value:+.3g}" if np.isfinite(value) else "-" if np.isnan(value) else f"{'+' if value > 0 else '-'}infinity"


def bounds(row: Mapping[str, Any]) -> tuple[str, str]:
    """The ends of a pair's interval as text."""
    low, high = row["low"], row["high"]
    return "unbounded" if low == -np.inf else signed(low), "unbounded" if high == np.inf else signed(high)


def in_words(row: Mapping[str, Any]) -> str:
    """A condition's median, interval and number of runs, with what sampling of test examples adds."""
    ends = ", ".join(
        f"{v:.4g}" if (np.isfinite(v) and v > 0) or (v == 0 and row["measure"] == "test_error") else "unbounded"
        for v in (row["low"], row["high"])
    )
    value = (
        "no median, since runs diverged"
        if row["n_finite"] < row["n"]
        else "no run" if not row["n"] else f"median {row['value']:.4g} [{ends}]"
    )
    note = (
        f"; sampling of {row['test_examples']} test examples alone +-{row['sampling_error']:.2g}"
        if row["sampling_error"] is not None
        else ""
    )
    return f"{value}, n = {row['n']}, finite {row['n_finite']}{note}"


def order_in_words(row: Mapping[str, Any]) -> str:
    """The order of a model's conditions, those between which the median is 0 joined by =;
    named where pairs contradict any order."""
    names = [name.removeprefix(f"{row['model']}, ") for name in row["order"]]
    order = names[0] + "".join(
        f"{' = ' if equal else ', '}{name}" for name, equal in zip(names[1:], row["equal"], strict=True)
    )
    return f"{row['model']}, best first by medians of paired differences: {order}" + (
        "" if row["consistent"] else " (some pairs are the other way round: no order fits all)"
    )


def told(outcome: Mapping[str, Any]) -> str:
    """A summary in words, for a terminal."""
    ended = "".join(f", {outcome['states'][state]} {state}" for state in sweep.STATES if state in outcome["states"])
    lines = [
        f"{outcome['finished']} of {outcome['runs']} runs finished, {outcome['diverged']} diverged{ended},"
        f" {outcome['left']} are left."
    ]
    lines += [f"  seeds      {', '.join(map(str, outcome['seeds']))}"]
    lines += [
        f"  WARNING    the runs were made by several versions of {package}: {', '.join(found)}"
        for package, found in outcome["mixed"].items()
    ]
    for row in outcome["tuning"]:
        if "factor" in row:
            edge = "   (the edge of the grid: a better one may lie beyond)" if row["at_edge"] else ""
            grid = ", ".join(f"{point['factor']:g}" for point in row["grid"])
            lines.append(f"  tuned      {row['condition']}: learning rates x {row['factor']:g} of {grid}{edge}")
    for row in outcome["conditions"]:
        lines.append(f"  {row['measure']:<11}{row['label']}: {in_words(row)}")
        lines.append(f"  rates      {row['label']}: {row['rates']['text']}")
        lines += (
            [
                f"  NOTE       {row['label']} differs from the model's own scheme in more than its feedback:"
                f" {'; '.join(row['rates']['departs'])}"
            ]
            if row["rates"]["departs"]
            else []
        )
        lines += [
            f"  WARNING    {row['label']}, {in_runs(finding, row)}: {finding['says']}" for finding in row["findings"]
        ]
    lines += [
        f"  identical  {first} and {second}: the same network by construction, so nothing is tested between them"
        for first, second in outcome["identical"]
    ]
    lines += [f"  order      {order_in_words(row)}" for row in outcome["ranking"] if len(row["order"]) > 1]
    for row in outcome["comparisons"]:
        difference = (
            ""
            if np.isnan(row["difference"])
            else (
                f"First minus second: {signed(row['difference'])} [{', '.join(bounds(row))}] ({row['scale']},"
                f" {100 * row['level']:.4g} %), "
            )
        )
        lines.append(
            f"  pair       {row['first']} against {row['second']}: {row['verdict']}. {difference}p ="
            f" {row['p_holm']:.3g} (Holm), n = {row['n']}, both finite in {row['n_finite']}"
        )
    caution = too_few_seeds(outcome["request"]["seeds"], len(outcome["comparisons"]))
    if caution:
        lines.append(f"  NOTE       {caution}")
    return "\n".join(lines)


def failure(outcome: Mapping[str, Any]) -> RunError | None:
    """What there is to complain of, if runs failed."""
    failed: Sequence[tuple[str, str]] = list(outcome["failed"].items())
    if not failed:
        return None
    return RunsFailed(
        f"{len(failed)} runs failed; the first, {failed[0][0]}: {failed[0][1]} Run the same command again to try those"
        " that are left."
    )
