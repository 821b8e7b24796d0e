"""The table of jobs of a comparison, and which of them are proven done.

    DIR/sweep.json                the request, the conditions and the jobs; written once
    DIR/models/NAME.toml          experiments that were given in Python, as model files
    DIR/runs/NAME/result.h5       the result of one job
    DIR/runs/NAME/outcome.json    its outcome, with the SHA-256 of the result; written last
    DIR/runs/NAME.log             what a failed run complained of
    DIR/table.csv                 one row a run: the tidy table
    DIR/comparisons.csv           one row a pair of conditions that differ in one thing

A job counts as done if its outcome is whole, is that of the experiment and seed asked for, and its result has the
recorded hash; anything else is run again, from its last whole segment where there is one. A run that diverges is an
outcome; one that fails is not.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from bioFA.comparisons import tuning
from bioFA.errors import (
    OF_OWN_PARTS,
    CannotWrite,
    DamagedFile,
    NoSuchFile,
    OutOfMemory,
    PlaceTaken,
    TimeLimit,
)
from bioFA.experiment import Experiment
from bioFA.instance import identical
from bioFA.measures.measure import Measure
from bioFA.modelfiles import toml
from bioFA.own_code import reading
from bioFA.runs import provenance
from bioFA.runs.result import RESULT
from bioFA.runs.trained import sha256
from bioFA.system import sealed_json
from bioFA.system.atomic import written_whole

FORMAT = 1
TABLE, RUNS, OUTCOME, LOCK = "sweep.json", "runs", "outcome.json", "lock"
MODELS = "models"
"""The folder with the model files of experiments that were given in Python."""
TIDY, PAIRS = "table.csv", "comparisons.csv"
STATES = {"timeout": TimeLimit.code, "oom": OutOfMemory.code}
"""States of a run that was ended for what it took, and the codes of what it complains of."""


@dataclass(frozen=True)
class Condition:
    """What is compared: an experiment, as the text of a model file, under the names that tell it from the others."""

    model: str
    scheme: str
    settings: Mapping[str, Any]
    experiment: str


@dataclass(frozen=True)
class Job:
    """One run of a condition; `factor` is the grid point of a run that only tunes."""

    name: str
    condition: int
    seed: int
    factor: float | None = None


class Sweep:
    """The table of jobs in a folder, and the proof of those that are done."""

    def __init__(self, folder: Path, table: Mapping[str, Any], mixed: bool = False):
        self.folder = folder
        self.mixed = mixed
        self.request: Mapping[str, Any] = table["request"]
        self.origins: Mapping[str, Sequence[str]] = {}
        """Where Python files of somebody's own lay as the comparison began, and their SHA-256, by name."""
        self.conditions = [Condition(**row) for row in table["conditions"]]
        self.jobs = [Job(**row) for row in table["jobs"]]
        self._chosen: dict[int, dict[str, Any]] = {}
        self._proven: set[str] = set()
        self._validation: dict[str, float] = {}
        self._digests: dict[tuple[int, float], tuple[str, ...]] = {}

    @cached_property
    def experiments(self) -> list[Experiment]:
        """The experiment of each condition, as it was before tuning."""
        try:
            return [toml.loads(condition.experiment) for condition in self.conditions]
        except OF_OWN_PARTS as error:
            raise error.prefixed(f"'{self.folder / TABLE}': ") from None

    @cached_property
    def code(self) -> tuple[str, ...]:
        """The SHA-256 of the Python files of somebody's own in what is compared, which whoever began it trusts."""
        found = (sha256 for condition in self.conditions for sha256 in toml.code_hashes(condition.experiment))
        return tuple(dict.fromkeys(found))

    @cached_property
    def free(self) -> bool:
        """Whether time passes without a task in what is compared, so that measures are tabulated."""
        return all(experiment.free for experiment in self.experiments)

    @cached_property
    def ranks(self) -> list[Measure | None]:
        """Where time passes without a task, the declared measure by which each condition is ranked, if one says what is
        better."""
        return [
            next((measure for measure in experiment.measures if measure.better is not None), None)
            for experiment in self.experiments
        ]

    @cached_property
    def identical(self) -> frozenset[tuple[int, int]]:
        """Every two conditions, by number, that are the same network by construction (`instance.identical`)."""
        seed = min(self.seeds, default=1)
        pairs = itertools.combinations(enumerate(self.experiments), 2)
        return frozenset((first, second) for (first, one), (second, other) in pairs if identical(one, other, seed))

    @cached_property
    def compared(self) -> list[Job]:
        """The jobs that are compared: all but those that tune."""
        return [job for job in self.jobs if job.factor is None]

    @cached_property
    def seeds(self) -> list[int]:
        """The seeds that are compared."""
        return sorted({job.seed for job in self.compared})

    def runs_of(self, condition: int) -> list[Job]:
        """The compared jobs of a condition."""
        return self._by_condition.get(condition, [])

    @cached_property
    def _by_condition(self) -> dict[int, list[Job]]:
        found: dict[int, list[Job]] = {}
        for job in self.compared:
            found.setdefault(job.condition, []).append(job)
        return found

    def part(self, shard: tuple[int, int] | None) -> list[Job]:
        """The jobs of the k-th of K shards, `(k, K)`, or all."""
        return self.jobs if shard is None else self.jobs[shard[0] - 1 :: shard[1]]

    def chosen(self, condition: int) -> dict[str, Any] | None:
        """What tuning chose for a condition, or None while it is not finished; a factor of 1 without tuning."""
        if condition not in self._chosen:
            values: dict[float, list[float]] = {}
            for job in self.jobs:
                if job.condition == condition and job.factor is not None:
                    if not self.is_done(job):
                        return None
                    values.setdefault(job.factor, []).append(self._validation[job.name])
            self._chosen[condition] = (
                tuning.choose(values) if values else {"factor": 1.0, "at_edge": False, "grid": []}
            )
        return self._chosen[condition]

    def factor(self, job: Job) -> float | None:
        """By what a job scales the learning rates, or None while its tuning is not finished."""
        if job.factor is not None:
            return job.factor
        choice = self.chosen(job.condition)
        return None if choice is None else float(choice["factor"])

    def experiment(self, job: Job) -> Experiment | None:
        """What a job runs, or None while its tuning is not finished."""
        factor, experiment = self.factor(job), self.experiments[job.condition]
        return None if factor is None else experiment if factor == 1.0 else tuning.scaled(experiment, factor)

    def _digests_of(self, job: Job) -> tuple[str, ...]:
        """The SHA-256 of what a job runs, which all seeds of a condition share.

        As the table holds it, where nothing was tuned, and as it is written now; none while tuning is not finished.
        """
        factor = self.factor(job)
        if factor is None:
            return ()
        if (job.condition, factor) not in self._digests:
            experiment = self.experiment(job)
            as_kept = (_sha256(self.conditions[job.condition].experiment),) if factor == 1.0 else ()
            as_written = () if experiment is None else (digest(experiment),)
            self._digests[job.condition, factor] = (*as_kept, *as_written)
        return self._digests[job.condition, factor]

    def place(self, job: Job) -> Path:
        """The folder of a job."""
        return self.folder / RUNS / job.name

    def is_done(self, job: Job) -> bool:
        """Whether a job is proven done; one that was is not read again."""
        return job.name in self._proven or self.outcome(job) is not None

    def outcome(self, job: Job) -> dict[str, Any] | None:
        """The outcome of a job as its file holds it, or None where it is not proven done.

        Proven once, its result is not hashed again, being large. Of outcomes nothing is kept in memory but the
        validation measures of those that tune.
        """
        outcome = self._prove(job, hashed=job.name not in self._proven)
        if outcome is not None:
            if job.factor is not None:
                diverged = outcome["status"] == "diverged"
                self._validation[job.name] = float("inf") if diverged else tuning.validation_measure(outcome["metrics"])
            self._proven.add(job.name)
        return outcome

    def _prove(self, job: Job, hashed: bool) -> dict[str, Any] | None:
        try:
            outcome = sealed_json.read(self.place(job) / OUTCOME, "outcome")
            if outcome["experiment_sha256"] not in self._digests_of(job) or outcome["seed"] != job.seed:
                return None
            result, expected = self.place(job) / RESULT, outcome["result_sha256"]
            if hashed and expected is not None and sha256(result) != expected:
                return None
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return outcome

    def complaint(self, job: Job) -> str | None:
        """The last line of what a failed run complained of."""
        with contextlib.suppress(OSError):
            lines = (self.folder / RUNS / f"{job.name}.log").read_text(errors="replace").strip().splitlines()
            return lines[-1] if lines else None
        return None


def digest(experiment: Experiment) -> str:
    """The SHA-256 of an experiment as it is written."""
    return _sha256(toml.kept(experiment))


def label(condition: Condition, schemes: bool = True) -> str:
    """The name of a condition: model, scheme, and what is swept; without the scheme, where none is in use."""
    swept = (f"{key.rpartition('.')[2]} {_short(value)}" for key, value in condition.settings.items())
    return ", ".join([condition.model, *([condition.scheme] if schemes else []), *swept])


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else value if isinstance(value, str) else json.dumps(value)


def differing(conditions: Sequence[Condition], baseline: str | None) -> list[tuple[int, int]]:
    """Every two conditions that differ in one thing, by number; with a baseline, those of other schemes against it."""
    return [
        (first, second) for (first, a), (second, b) in itertools.combinations(enumerate(conditions), 2)
        if (a.model != b.model) + (a.scheme != b.scheme) + (dict(a.settings) != dict(b.settings)) == 1
        and (baseline is None or (a.scheme == baseline) != (b.scheme == baseline))
    ]


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def write(
    folder: Path, request: Mapping[str, Any], conditions: Sequence[Condition], jobs: Sequence[Job], mixed: bool = False
) -> Sweep:
    """Write the table of jobs, or take up the same one where it is there already.

    Raises:
        FileError: if the folder holds another table, something else, or cannot be written.
    """
    table = {"request": dict(request), "conditions": [asdict(c) for c in conditions], "jobs": [asdict(j) for j in jobs]}
    table = json.loads(json.dumps(table))
    path = folder / TABLE
    if not path.exists():
        if folder.is_dir() and any(entry.name not in (LOCK, MODELS) for entry in folder.iterdir()):
            raise PlaceTaken(f"--out: '{folder}' already holds something else. Give a new folder.")
        try:
            (folder / RUNS).mkdir(parents=True)
            with written_whole(path) as partial:
                code = {"code": origins} if (origins := _origins(conditions)) else {}
                sealed_json.write(partial, "table", table, format=FORMAT, versions=provenance.versions(), **code)
        except OSError as error:
            raise CannotWrite(
                f"--out: '{folder}' cannot be written ({error.strerror}). Give a folder of your own."
            ) from None
    found = read(folder, mixed)
    refuse_changed_code(found)
    kept = [found.request, [asdict(c) for c in found.conditions], [asdict(j) for j in found.jobs]]
    if json.loads(json.dumps(kept)) != list(table.values()):
        raise PlaceTaken(
            f"--out: '{folder}' holds another comparison. "
            f"Give another folder; 'biofa resume {folder}' goes on with that one."
        )
    return found


def _origins(conditions: Sequence[Condition]) -> dict[str, tuple[str, str]]:
    return {
        name: origin
        for condition in conditions
        if toml.code_hashes(condition.experiment)
        for name, origin in toml.code_origins(toml.loads(condition.experiment)).items()
    }


def refuse_changed_code(sweep: Sweep) -> None:
    """Refuse to go on where a Python file of somebody's own was changed since the comparison began.

    Raises:
        ChangedSince: naming the file.
    """
    reading.refuse_changed(sweep.origins, f"the comparison in '{sweep.folder}'")


def read(folder: Path, mixed: bool = False) -> Sweep:
    """The sweep that a folder holds; with `mixed`, also one that other versions of bioFA, Brian2 or NumPy began.

    Raises:
        FileError: if there is none, it is damaged, or other versions began it.
    """
    path = folder / TABLE
    if not path.is_file():
        raise NoSuchFile(
            f"there is no comparison in '{folder}'. "
            f"Begin one with 'biofa compare MODEL --schemes a,b --seeds N --out {folder}'."
        )
    try:
        entry = sealed_json.load(path)
        provenance.refuse_format(path, entry.get("format"), FORMAT, remedy="Go on with that one.")
        sweep, versions = Sweep(folder, sealed_json.content(entry, "table"), mixed), dict(entry["versions"])
        sweep.origins = dict(entry.get("code", {}))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedFile(f"'{path}' is damaged ({error}). Begin the comparison again in another folder.") from None
    if not mixed:
        instead = "begin again in another folder; or let the versions mix: --allow-mixed"
        provenance.refuse_other_versions(versions, f"the comparison in '{folder}'", instead)
    return sweep


def holds_sweep(folder: Path) -> bool:
    """Whether a folder holds a table of jobs."""
    return (folder / TABLE).is_file()
