"""Many runs over one written table of jobs: in a local pool, on a Dask cluster, or shard by shard.

    DIR/sweep.json                the request, the conditions and the jobs; written once
    DIR/runs/NAME/result.h5       the result of one job
    DIR/runs/NAME/outcome.json    what it came to, with the SHA-256 of the result; written last
    DIR/runs/NAME.log             what a failed run complained of

A job is a process of its own, `python -m bioFA.comparisons.sweep DIR NAME`, which reads the table, so every way
of running them does the same. It counts as done if its outcome is whole, is that of the experiment
and seed asked for, and its result has the recorded hash; anything else is run again, from its last
whole stretch where there is one. A process lives as long as its standard input is open: a driver
that is killed takes its runs with it. A run that diverges is an outcome; one that fails is not.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from bioFA.comparisons import tuning
from bioFA.errors import (
    BioFAError,
    CannotWrite,
    ChangedSince,
    DamagedFile,
    Diverged,
    FileError,
    NoPackage,
    NoScheduler,
    NoSuchFile,
    NotFinished,
    OutOfMemory,
    PlaceBusy,
    PlaceTaken,
    TimeLimit,
    WrongVersion,
)
from bioFA.experiment import Experiment
from bioFA.instance import identical
from bioFA.modelfiles import toml
from bioFA.runs import provenance
from bioFA.runs.checkpoint import DECIDING, is_unfinished
from bioFA.runs.result import RESULT
from bioFA.system.atomic import written_whole
from bioFA.system.locks import Held, hold, holder, take_over
from bioFA.system.memory import resident
from bioFA.system.retry import patiently

FORMAT = 1
TABLE, RUNS, OUTCOME, LOCK = "sweep.json", "runs", "outcome.json", "lock"
STATES = {"timeout": TimeLimit.code, "oom": OutOfMemory.code}
"""States of a run that was ended for what it took, and the codes of what it complains of."""
NO_MEMORY = ("bad_alloc", "Cannot allocate memory", "the memory of this machine does not suffice")
MEASURES = ("test_error", "test_nse", "nse")
"""What conditions are compared by: the first of these that all finished runs of a model have."""
MANY = 50
"""Before this many runs, one of each condition is run and the time and disk of all are estimated."""

Report = Callable[[int, int, int], None]
"""Called with jobs done, jobs in all, and jobs that failed."""


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


@dataclass(frozen=True)
class Limits:
    """Seconds that a run may take, megabytes of memory that it and its program may hold,
    and how many may fail before no more are begun."""

    time: float | None = None
    failures: int = 5
    memory: int | None = None


class Sweep:
    """The table of jobs in a folder, and what has become of them."""

    def __init__(self, folder: Path, table: Mapping[str, Any], mixed: bool = False):
        self.folder = folder
        self.mixed = mixed
        self.request: Mapping[str, Any] = table["request"]
        self.conditions = [Condition(**row) for row in table["conditions"]]
        self.jobs = [Job(**row) for row in table["jobs"]]
        self._chosen: dict[int, dict[str, Any]] = {}
        self._proven: set[str] = set()
        self._digests: dict[tuple[int, float], tuple[str, ...]] = {}

    @cached_property
    def experiments(self) -> list[Experiment]:
        """The experiment of each condition, as it was before tuning."""
        return [toml.loads(condition.experiment) for condition in self.conditions]

    @cached_property
    def identical(self) -> frozenset[tuple[int, int]]:
        """Every two conditions, by number, that are the same network by construction (`instance.identical`)."""
        seed = min((job.seed for job in self.compared), default=1)
        return frozenset(
            (first, second)
            for (first, one), (second, other) in itertools.combinations(enumerate(self.experiments), 2)
            if identical(one, other, seed)
        )

    @cached_property
    def compared(self) -> list[Job]:
        """The jobs that are compared: all but those that tune."""
        return [job for job in self.jobs if job.factor is None]

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
                    outcome = self.outcome(job)
                    if outcome is None:
                        return None
                    diverged = outcome["status"] == "diverged"
                    values.setdefault(job.factor, []).append(
                        float("inf") if diverged else tuning.validation_measure(outcome["metrics"])
                    )
            self._chosen[condition] = tuning.choose(values) if values else {"factor": 1.0, "at_edge": False, "grid": []}
        return self._chosen[condition]

    def rates(self, condition: int) -> dict[str, Any]:
        """The rates with which a condition is compared: after tuning, where that is finished."""
        return tuning.scaled(
            self.experiments[condition], (self.chosen(condition) or {"factor": 1.0})["factor"]
        ).rates_in_use()

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
        """The SHA-256 of what a job runs, which all seeds of a condition share: as the table holds it,
        where nothing was tuned, and as it is written now."""
        factor = self.factor(job)
        if factor is None:
            return ()
        if (job.condition, factor) not in self._digests:
            experiment = self.experiment(job)
            as_kept = (_sha256(self.conditions[job.condition].experiment.encode()),) if factor == 1.0 else ()
            self._digests[job.condition, factor] = (*as_kept, *(() if experiment is None else (_digest(experiment),)))
        return self._digests[job.condition, factor]

    def place(self, job: Job) -> Path:
        """The folder of a job."""
        return self.folder / RUNS / job.name

    def outcome(self, job: Job) -> dict[str, Any] | None:
        """What a job came to, or None where it is not proven done.
        Proven once, its result is not hashed again, being large; nothing of it is kept in memory."""
        outcome = self._prove(job, hashed=job.name not in self._proven)
        if outcome is not None:
            self._proven.add(job.name)
        return outcome

    def _prove(self, job: Job, hashed: bool) -> dict[str, Any] | None:
        try:
            entry = json.loads((self.place(job) / OUTCOME).read_bytes())
            if entry["sha256"] != _sha256(entry["outcome"].encode()):
                return None
            outcome = json.loads(entry["outcome"])
            if outcome["experiment_sha256"] not in self._digests_of(job) or outcome["seed"] != job.seed:
                return None
            result = self.place(job) / RESULT
            if (
                hashed
                and outcome["result_sha256"] is not None
                and _sha256(result.read_bytes()) != outcome["result_sha256"]
            ):
                return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        return outcome

    def state(self, job: Job) -> str:
        """What has become of a job: `finished` or `diverged` where that is proven, `timeout`,
        `oom` (no memory) or `failed` where it complained, or `not finished`."""
        outcome = self.outcome(job)
        if outcome is not None:
            return str(outcome["status"])
        words = self.complaint(job)
        return (
            "not finished"
            if words is None
            else next((state for state, code in STATES.items() if words.startswith(f"[{code}]")), "failed")
        )

    def complaint(self, job: Job) -> str | None:
        """The last line of what a failed run complained of."""
        with contextlib.suppress(OSError):
            lines = (self.folder / RUNS / f"{job.name}.log").read_text(errors="replace").strip().splitlines()
            return lines[-1] if lines else None
        return None


class Outcomes(Sweep):
    """What has become of every job of a sweep: a value, for which each outcome is read and proved once.
    Courses, the only large part, are read when asked for."""

    def __init__(self, sweep: Sweep):
        self.__dict__.update(sweep.__dict__)
        self.sweep = sweep
        self._rows: dict[str, dict[str, Any] | None] = {}
        self._states: dict[str, str] = {}
        self._rates: dict[int, dict[str, Any]] = {}
        # tuning first, which decides what the others ran
        for job in sorted(sweep.jobs, key=lambda job: job.factor is None):
            outcome = sweep.outcome(job)
            if outcome is not None:
                outcome.pop("course", None)
            self._rows[job.name] = outcome
        self._chosen = sweep._chosen

    def outcome(self, job: Job) -> dict[str, Any] | None:
        """As `Sweep.outcome`, without its course."""
        return self._rows[job.name]

    def state(self, job: Job) -> str:
        """As `Sweep.state`."""
        if job.name not in self._states:
            self._states[job.name] = super().state(job)
        return self._states[job.name]

    def rates(self, condition: int) -> dict[str, Any]:
        """As `Sweep.rates`."""
        if condition not in self._rates:
            self._rates[condition] = super().rates(condition)
        return self._rates[condition]

    @cached_property
    def measures(self) -> dict[str, str]:
        """What the conditions of each model are compared by:
        the first of `MEASURES` that all its finished runs have."""
        metrics: dict[str, list[Mapping[str, Any]]] = {condition.model: [] for condition in self.conditions}
        for job in self.compared:
            outcome = self.outcome(job)
            if outcome is not None and outcome["status"] == "finished":
                metrics[self.conditions[job.condition].model].append(outcome["metrics"])
        return {
            model: next((m for m in MEASURES if of and all(m in one for one in of)), MEASURES[-1])
            for model, of in metrics.items()
        }


def read_outcomes(sweep: Sweep) -> Outcomes:
    """The outcomes of a sweep as they are now; those that are given stay as they were read."""
    return sweep if isinstance(sweep, Outcomes) else Outcomes(sweep)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _digest(experiment: Experiment) -> str:
    return _sha256(toml.dumps(experiment).encode())


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
        if folder.is_dir() and any(entry.name != LOCK for entry in folder.iterdir()):
            raise PlaceTaken(f"--out: '{folder}' already holds something else. Give a new folder.")
        try:
            (folder / RUNS).mkdir(parents=True, exist_ok=True)
            with written_whole(path) as partial:
                text = json.dumps(table)
                partial.write_text(
                    json.dumps({
                        "format": FORMAT,
                        "versions": provenance.versions(),
                        "sha256": _sha256(text.encode()),
                        "table": text,
                    })
                )
        except OSError as error:
            raise CannotWrite(
                f"--out: '{folder}' cannot be written ({error.strerror}). Give a folder of your own."
            ) from None
    found = read(folder, mixed)
    if json.loads(
        json.dumps([found.request, [asdict(c) for c in found.conditions], [asdict(j) for j in found.jobs]])
    ) != list(table.values()):
        raise PlaceTaken(
            f"--out: '{folder}' holds another comparison. Give another folder; 'biofa resume {folder}' goes on with"
            " that one."
        )
    return found


def read(folder: Path, mixed: bool = False) -> Sweep:
    """The sweep that a folder holds; with `mixed`, also one that other versions of bioFA, Brian2 or NumPy began.

    Raises:
        FileError: if there is none, it is damaged, or other versions began it.
    """
    path = folder / TABLE
    if not path.is_file():
        raise NoSuchFile(
            f"there is no comparison in '{folder}'. Begin one with 'biofa compare MODEL --schemes a,b --seeds N --out"
            f" {folder}'."
        )
    try:
        entry = json.loads(path.read_bytes())
        if isinstance(entry["format"], int) and entry["format"] > FORMAT:
            raise WrongVersion(
                f"'{path}' was written by a newer bioFA (format {entry['format']}; this one reads {FORMAT}). Go on with"
                " that one."
            )
        if entry["format"] != FORMAT or _sha256(entry["table"].encode()) != entry["sha256"]:
            raise ValueError("its checksum or format is wrong")
        sweep = Sweep(folder, json.loads(entry["table"]), mixed)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedFile(f"'{path}' is damaged ({error}). Begin the comparison again in another folder.") from None
    here = provenance.versions()
    for package in DECIDING:
        if entry["versions"].get(package) != here[package] and not mixed:
            raise ChangedSince(
                f"the comparison in '{folder}' was begun with {package} {entry['versions'].get(package)}; here is"
                f" {here[package]}, which may give other numbers. Go on with {package}"
                f" {entry['versions'].get(package)}, or begin again in another folder; or let the versions mix:"
                " --allow-mixed."
            )
    return sweep


def holds_sweep(folder: Path) -> bool:
    """Whether a folder holds a table of jobs."""
    return (folder / TABLE).is_file()


@contextlib.contextmanager
def driving(folder: Path, shared: bool, force: bool = False) -> Iterator[None]:
    """Hold a folder for one driver, or for several shards; with `force`, take it from another that seems to have it.

    Raises:
        FileError: if another driver has it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        held = hold(folder / LOCK, shared=shared, wait=False)
        if held is None and force:
            for lock in (folder / LOCK, *(folder / RUNS).glob(".*.lock")):
                take_over(lock)
            held = hold(folder / LOCK, shared=shared, wait=False)
    except OSError as error:
        raise CannotWrite(
            f"'{folder}' cannot be written ({error.strerror}). Make it writable to go on with its comparison."
        ) from None
    if held is None:
        raise PlaceBusy(
            f"another process runs the comparison in '{folder}' now ({holder(folder / LOCK)}). Wait for it, or give"
            f" another folder. If it is on a machine that is gone: biofa resume {shlex.quote(str(folder))} --force"
        )
    with held:
        yield


def attempt(
    folder: str,
    name: str,
    limit: float | None,
    directory: str,
    memory: int | None = None,
    mixed: bool = False,
    stop: threading.Event | None = None,
) -> str | None:
    """Run one job as a process of its own; None where it went well, else what went wrong, which its log keeps.
    Whether it is done, its outcome says."""
    runs = Path(folder) / RUNS
    log = runs / f"{name}.log"
    runs.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    began = time.monotonic()
    with open(log, "wb") as complaints:
        words = [sys.executable, "-P", "-m", "bioFA.comparisons.sweep", folder, name, *(["mixed"] if mixed else [])]
        process = patiently(
            lambda: subprocess.Popen(
                words,
                cwd=directory,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=complaints,
                stderr=complaints,
                start_new_session=True,
            )
        )
        while process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.05)
            late = limit is not None and time.monotonic() - began > limit
            large = memory is not None and resident(process.pid) > memory * 1_000_000
            if process.returncode is None and (late or large or (stop is not None and stop.is_set())):
                _end(process)
                if large:
                    return _told(
                        log,
                        f"[{STATES['oom']}] it was ended when it held more than its limit of {memory} MB. Give more"
                        " with --memory-limit, then run the same command again.",
                    )
                if late:
                    return _told(
                        log,
                        f"[{STATES['timeout']}] it was ended after its time limit of {limit:g} s. Give more with"
                        " --time-limit, then run the same command again.",
                    )
                log.unlink(missing_ok=True)
                return "interrupted"
        if process.stdin is not None:
            process.stdin.close()
    if process.returncode == 0:
        log.unlink(missing_ok=True)
        return None
    said = log.read_text(errors="replace").strip().splitlines()
    last = said[-1] if said else f"it ended with exit code {process.returncode} and said nothing."
    if process.returncode == -signal.SIGKILL:
        last = (
            f"[{STATES['oom']}] it was killed (SIGKILL), as a system does whose memory is full. Give it more memory, or"
            " run fewer at once."
        )
    elif any(words in last for words in NO_MEMORY):
        last = f"[{STATES['oom']}] there was not enough memory. {last}"
    return last if said and last == said[-1] else _told(log, last)


def _told(log: Path, words: str) -> str:
    """Put what went wrong at the end of a run's log."""
    with contextlib.suppress(OSError), open(log, "a") as file:
        file.write(f"\n{words}\n")
    return words


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a run: cleanly, so that it keeps its last stretch, or else by force."""
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def execute(
    sweep: Sweep,
    processes: int = 1,
    scheduler: str | None = None,
    shard: tuple[int, int] | None = None,
    limits: Limits | None = None,
    report: Report | None = None,
    only: Sequence[Job] | None = None,
) -> dict[str, str]:
    """Run every job that is not proven done, tuning first; what failed, by the job's name.

    Args:
        sweep: the table.
        processes: how many at once, here.
        scheduler: the address of a Dask scheduler, whose workers share the folder, in place of a local pool.
        shard: `(k, K)`: only every K-th job, from the k-th on.
        limits: of time and of failures.
        report: called as jobs end.
        only: these jobs only, and not those of the shard.
    """
    limits = limits or Limits()
    jobs = list(only if only is not None else sweep.part(shard))
    failed: dict[str, str] = {}
    done = 0
    with _pool(processes, scheduler) as (pool, width, stop):
        for stage in ([j for j in jobs if j.factor is not None], [j for j in jobs if j.factor is None]):
            left = [job for job in stage if sweep.outcome(job) is None and sweep.experiment(job) is not None]
            done += len(stage) - len(left)
            running: dict[Future[str | None], Job] = {}
            try:
                while left or running:
                    while left and len(running) < width and len(failed) <= limits.failures:
                        job = left.pop(0)
                        keywords = {"stop": stop} if stop is not None else {}
                        running[
                            pool.submit(
                                attempt,
                                str(sweep.folder.absolute()),
                                job.name,
                                limits.time,
                                os.getcwd(),
                                limits.memory,
                                sweep.mixed,
                                **keywords,
                            )
                        ] = job
                    if not running:
                        break
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        job = running.pop(future)
                        wrong = _what_went_wrong(future) or (
                            None if sweep.outcome(job) is not None else "its outcome is damaged. Look to the disk."
                        )
                        if wrong is not None:
                            failed[job.name] = wrong
                        done += 1
                    if report is not None:
                        report(done, len(jobs), len(failed))
            except BaseException:
                for future in running:
                    future.cancel()
                raise
    return failed


def _what_went_wrong(future: Future[str | None]) -> str | None:
    try:
        return future.result()
    except Exception as error:  # of the cluster: the worker died too often, or cannot import bioFA
        return f"{type(error).__name__}: {error}"


@contextlib.contextmanager
def _pool(processes: int, scheduler: str | None) -> Iterator[tuple[Executor, int, threading.Event | None]]:
    """What runs jobs, how many at once, and what stops them."""
    if scheduler is None:
        stop = threading.Event()
        with ThreadPoolExecutor(processes) as pool:
            try:
                yield pool, processes, stop
            except BaseException:
                stop.set()
                raise
        return
    try:
        from distributed import Client
    except ImportError:
        raise NoPackage("--scheduler needs the package 'distributed': pip install 'bioFA[cluster]'.") from None
    try:
        client = Client(scheduler, timeout=10, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise NoScheduler(
            f"--scheduler: there is no Dask scheduler at '{scheduler}' ({error}). Start one with 'dask scheduler'."
        ) from None
    with client, client.get_executor(pure=False, retries=3) as pool:
        yield pool, max(1, sum(client.nthreads().values())), None


def estimate(sweep: Sweep, jobs: Sequence[Job], processes: int = 1) -> dict[str, float] | None:
    """What those of some jobs that are not done will take, from what is done; None where nothing is.

    Each is taken to last as long as those of its condition that are done, without what they compiled,
    or as the mean of all where none is.

    Returns:
        `left` runs, `seconds` with so many processes, `bytes` of disk, and the bytes that are `free`.
    """
    known: dict[int, list[dict[str, Any]]] = {}
    for job in sweep.jobs:
        if (outcome := sweep.outcome(job)) is not None and outcome["status"] == "finished":
            known.setdefault(job.condition, []).append(outcome)
    if not known:
        return None
    everything = [outcome for outcomes in known.values() for outcome in outcomes]
    left = [job for job in jobs if sweep.outcome(job) is None]
    seconds = sum(_mean(_running(o) for o in known.get(job.condition, everything)) for job in left)
    kept = sum(
        _mean(o["result_bytes"] for o in known.get(job.condition, everything)) for job in left if job.factor is None
    )
    return {
        "left": len(left),
        "seconds": seconds / min(processes, max(1, len(left))),
        "bytes": kept,
        "free": shutil.disk_usage(sweep.folder).free,
    }


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found)


def _running(outcome: Mapping[str, Any]) -> float:
    """How long a run took that found its program compiled."""
    timing = outcome["timing"]
    return max(0.0, outcome["wall_s"] - (0.0 if timing["cached"] else timing["codegen_s"] + timing["compile_s"]))


def pilots(jobs: Sequence[Job]) -> list[Job]:
    """The first job of each condition."""
    first: dict[int, Job] = {}
    for job in jobs:
        first.setdefault(job.condition, job)
    return list(first.values())


def _perform(sweep: Sweep, job: Job, began: float) -> None:
    """Run one job to its outcome; called in its own process."""
    from bioFA.runs.simulation import resume, simulate

    experiment, place = sweep.experiment(job), sweep.place(job)
    if experiment is None:
        raise NotFinished(f"the tuning of '{job.name}' is not finished. Run the same command again when it is.")
    outcome: dict[str, Any] = {
        "status": "finished",
        "experiment_sha256": _digest(experiment),
        "seed": job.seed,
        "result_sha256": None,
    }
    result = None
    if is_unfinished(place):
        with contextlib.suppress(FileError):
            result = resume(place)
    if result is None or result.experiment != experiment or result.seed != job.seed:
        shutil.rmtree(place, ignore_errors=True)
        try:
            result = simulate(
                experiment, job.seed, sweep.request["backend"], precision=sweep.request["precision"], folder=place
            )
        except Diverged as error:
            result = None
            outcome |= {"status": "diverged", "message": str(error), "metrics": {}, "timing": {}, "presentations": 0}
    if result is not None:
        outcome |= {
            name: value
            for name, value in result.summary().items()
            if name not in ("model", "scheme", "seed", "backend")
        }
        outcome |= {"result_bytes": (place / RESULT).stat().st_size}
        if job.factor is None:
            outcome |= {
                "result_sha256": _sha256((place / RESULT).read_bytes()),
                "course": result.course(),
                "provenance": dict(result.provenance),
            }
        else:  # what tuning looks at is validation data alone
            outcome["metrics"] = {name: value for name, value in result.metrics.items() if not name.startswith("test")}
            (place / RESULT).unlink()
    place.mkdir(parents=True, exist_ok=True)
    text = json.dumps(outcome | {"wall_s": time.monotonic() - began})
    with written_whole(place / OUTCOME) as partial:
        partial.write_text(json.dumps({"sha256": _sha256(text.encode()), "outcome": text}))


def _live_with_driver() -> None:
    """End this process when its standard input is closed, which a driver does by dying."""

    def watch() -> None:
        while os.read(0, 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(3)
        os._exit(143)

    threading.Thread(target=watch, daemon=True).start()


def _main(folder: str, name: str, mixed: str = "") -> int:
    began = time.monotonic()

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    _live_with_driver()
    try:
        sweep = read(Path(folder), bool(mixed))
        job = next(job for job in sweep.jobs if job.name == name)
        # another driver's run of it may still be ending
        lock: Held | None = hold(sweep.folder / RUNS / f".{name}.lock")
        assert lock is not None
        with lock:
            if sweep.outcome(job) is None:
                _perform(sweep, job, began)
    except BioFAError as error:
        print(f"[{error.code}] {' '.join(str(error).split())}", file=sys.stderr)
        return error.exit_code
    except MemoryError as error:
        print(f"{NO_MEMORY[-1]} ({error})", file=sys.stderr)
        return 3
    except OSError as error:
        print(f"[{CannotWrite.code}] a file could not be read or written: {error}. Is the disk full?", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
