"""The driver of many jobs: in a local pool, on a Dask cluster, or shard by shard, each job a process of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bioFA.comparisons import worker
from bioFA.comparisons.forks import Forked, Forks
from bioFA.comparisons.table import LOCK, RUNS, STATES, Job, Sweep
from bioFA.errors import NoScheduler
from bioFA.optional import require
from bioFA.system.locks import hold_folder
from bioFA.system.memory import resident
from bioFA.system.retry import retry_while_scarce

NO_MEMORY = ("bad_alloc", "Cannot allocate memory", worker.NO_MEMORY)
MANY = 50
"""Before this many runs, one of each condition is run and the time and disk of all are estimated."""

Report = Callable[[int, int, int], None]
"""Called with jobs done, jobs in all, and jobs that failed."""


@dataclass(frozen=True)
class Limits:
    """What runs may take: seconds and megabytes of each, and how many may fail before no more are begun."""

    time: float | None = None
    failures: int = 5
    memory: int | None = None


@contextlib.contextmanager
def driving(folder: Path, shared: bool, force: bool = False) -> Iterator[None]:
    """Hold a folder for one driver, or for several shards; with `force`, take it from another that seems to have it.

    Raises:
        FileError: if another driver has it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    take = (folder / LOCK, *(folder / RUNS).glob(".*.lock")) if force else ()
    remedy = "Make it writable to go on with its comparison."
    with hold_folder(folder, folder / LOCK, "runs the comparison in", remedy, shared, take):
        yield


@contextlib.contextmanager
def forking(sweep: Sweep) -> Iterator[Forks]:
    """Have a process that forks runs, once the first is to be forked, until their driver has no more."""
    forks = Forks(str(sweep.folder.absolute()), sweep.mixed, sweep.code)
    try:
        yield forks
    finally:
        forks.close()


def attempt(
    folder: str, name: str, limit: float | None, directory: str, memory: int | None = None, mixed: bool = False,
    stop: threading.Event | None = None, forks: Forks | None = None,
    code: tuple[str, ...] = (),
) -> str | None:
    """Run one job as a process of its own. Returns None, or an error message, which its log keeps as its last line.

    Whether the job is done, its outcome says. With `forks` the process is a fork, else it is started.
    `code` are the SHA-256 of the Python files that may run.
    """
    runs = Path(folder) / RUNS
    log = runs / f"{name}.log"
    runs.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-P", "-m", worker.__name__, folder, name, "mixed" if mixed else "", ",".join(code)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with open(log, "wb") as output:
        process: subprocess.Popen[bytes] | Forked | None = None
        if forks is not None:
            process = forks.begin(name, directory, environment, output)
        if process is None:
            process = retry_while_scarce(lambda: subprocess.Popen(
                command, cwd=directory, env=environment, stdin=subprocess.PIPE, stdout=output, stderr=output,
                start_new_session=True,
            ))
        ended = _wait(process, limit, memory, stop)
        if process.stdin is not None:
            process.stdin.close()
    assert process.returncode is not None
    if ended == INTERRUPTED or (ended is None and process.returncode == 0):
        log.unlink(missing_ok=True)
        return ended
    lines = log.read_text(errors="replace").strip().splitlines()
    message = ended or _message(lines[-1] if lines else "", process.returncode)
    if ended is not None or not lines or message != lines[-1]:
        with contextlib.suppress(OSError), open(log, "a") as file:
            file.write(f"\n{message}\n")
    return message


INTERRUPTED = "interrupted"


def _wait(
    process: subprocess.Popen[bytes] | Forked, limit: float | None, memory: int | None, stop: threading.Event | None
) -> str | None:
    """Wait for a run to end, or end it where it takes too much or all are to stop. Returns why it was ended."""
    began = time.monotonic()
    while process.poll() is None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.05)
        if process.returncode is not None:
            break
        if memory is not None and resident(process.pid) > memory * 1_000_000:
            why = (
                f"[{STATES['oom']}] it was ended when it held more than its limit of {memory} MB. "
                "Give more with --memory-limit, then run the same command again."
            )
        elif limit is not None and time.monotonic() - began > limit:
            why = (
                f"[{STATES['timeout']}] it was ended after its time limit of {limit:g} s. "
                "Give more with --time-limit, then run the same command again."
            )
        elif stop is not None and stop.is_set():
            why = INTERRUPTED
        else:
            continue
        _end(process)
        return why
    return None


def _end(process: subprocess.Popen[bytes] | Forked) -> None:
    """End a run: cleanly, so that it keeps its last segment, or else by force."""
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _message(last: str, code: int) -> str:
    """What went wrong with a run, from the last line of its log and its exit code."""
    if code == -signal.SIGKILL:
        return (
            f"[{STATES['oom']}] it was killed (SIGKILL), as a system does whose memory is full. "
            "Give it more memory, or run fewer at once."
        )
    if any(words in last for words in NO_MEMORY):
        return f"[{STATES['oom']}] there was not enough memory. {last}"
    return last or f"it ended with exit code {code} and said nothing."


def execute(
    sweep: Sweep, processes: int = 1, scheduler: str | None = None, shard: tuple[int, int] | None = None,
    limits: Limits | None = None, report: Report | None = None, only: Sequence[Job] | None = None,
    forks: Forks | None = None,
) -> dict[str, str]:
    """Run every job that is not proven done, tuning first. Returns the error messages of those that failed, by name.

    Args:
        sweep: the table.
        processes: how many at once, here.
        scheduler: the address of a Dask scheduler, whose workers share the folder, in place of a local pool.
        shard: `(k, K)`: only every K-th job, from the k-th on.
        limits: of time, memory and failures.
        report: called as jobs end.
        only: these jobs only, and not those of the shard.
        forks: what forks the runs of a local pool; they are started where None.
    """
    limits = limits or Limits()
    jobs = list(only if only is not None else sweep.part(shard))
    failed: dict[str, str] = {}
    done = 0
    code = sweep.code if sweep.experiments else ()  # reading them asks whether their code may run
    with _pool(processes, scheduler) as (pool, width, stop):
        folder, directory = str(sweep.folder.absolute()), os.getcwd()
        for stage in ([j for j in jobs if j.factor is not None], [j for j in jobs if j.factor is None]):
            left = [job for job in stage if not sweep.is_done(job) and sweep.experiment(job) is not None]
            done += len(stage) - len(left)
            running: dict[Future[str | None], Job] = {}
            try:
                while left or running:
                    while left and len(running) < width and len(failed) <= limits.failures:
                        job = left.pop(0)
                        future = pool.submit(
                            attempt, folder, job.name, limits.time, directory, limits.memory, sweep.mixed, stop,
                            forks if scheduler is None else None, code,
                        )
                        running[future] = job
                    if not running:
                        break
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        job = running.pop(future)
                        wrong = _error(future)
                        if wrong is None and not sweep.is_done(job):
                            wrong = "its outcome is damaged. Look to the disk."
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


def _error(future: Future[str | None]) -> str | None:
    """The error message of a job that ended."""
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
    distributed = require("distributed", "cluster", "--scheduler")
    try:
        client = distributed.Client(scheduler, timeout=10, set_as_default=False)
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
    known: dict[int, list[tuple[float, int]]] = {}
    for job in sweep.jobs:
        if (outcome := sweep.outcome(job)) is not None and outcome["status"] == "finished":
            known.setdefault(job.condition, []).append((_running(outcome), outcome["result_bytes"]))
    if not known:
        return None
    everything = [cost for costs in known.values() for cost in costs]
    left = [job for job in jobs if not sweep.is_done(job)]
    seconds = sum(_mean(cost[0] for cost in known.get(job.condition, everything)) for job in left)
    kept = sum(_mean(cost[1] for cost in known.get(job.condition, everything)) for job in left if job.factor is None)
    return {
        "left": len(left), "seconds": seconds / min(processes, max(1, len(left))), "bytes": kept,
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
