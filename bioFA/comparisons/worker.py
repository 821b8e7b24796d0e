"""One job as a process: `python -m bioFA.comparisons.worker DIR NAME` reads the table of jobs and runs one of them.

Every way of running many jobs runs them so, and each does the same. A process lives as long as its standard input is
open: a driver that is killed takes its runs with it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bioFA.comparisons.table import OUTCOME, RUNS, Job, Sweep, digest, read
from bioFA.errors import BioFAError, CannotWrite, Diverged, FileError, NotFinished
from bioFA.experiment import Experiment
from bioFA.own_code import trust
from bioFA.runs.checkpoint import is_unfinished
from bioFA.runs.result import RESULT, Result
from bioFA.runs.trained import sha256
from bioFA.system import sealed_json
from bioFA.system.atomic import written_whole
from bioFA.system.locks import hold

NO_MEMORY = "the memory of this machine does not suffice"
"""What a run says that found no memory."""


def main(folder: str, name: str, mixed: str = "", code: str = "") -> int:
    """Run one job of the table in a folder, unless it is done, and return the exit code.

    `code` holds the SHA-256 of the Python files that may run, with commas: on another machine they have not run yet.
    """
    trust.allow(filter(None, code.split(",")))
    return work(name, lambda: read(Path(folder), bool(mixed)))


def work(name: str, table: Callable[[], Sweep]) -> int:
    """Run one job of a table, unless it is done, and return the exit code."""
    began = time.monotonic()
    signal.signal(signal.SIGTERM, _interrupt)
    _live_with_driver()
    try:
        sweep = table()
        job = next(job for job in sweep.jobs if job.name == name)
        lock = hold(sweep.folder / RUNS / f".{name}.lock")  # another driver's run of it may still be ending
        assert lock is not None
        with lock:
            if sweep.outcome(job) is None:
                _perform(sweep, job, began)
    except BioFAError as error:
        print(f"[{error.code}] {' '.join(str(error).split())}", file=sys.stderr)
        return error.exit_code
    except MemoryError as error:
        print(f"{NO_MEMORY} ({error})", file=sys.stderr)
        return 3
    except OSError as error:
        print(
            f"[{CannotWrite.code}] a file could not be read or written: {error}. Is the disk full?", file=sys.stderr
        )
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _perform(sweep: Sweep, job: Job, began: float) -> None:
    """Run a job, and write its outcome."""
    experiment, place = sweep.experiment(job), sweep.place(job)
    if experiment is None:
        raise NotFinished(f"the tuning of '{job.name}' is not finished. Run the same command again when it is.")
    outcome: dict[str, Any] = {
        "status": "finished", "experiment_sha256": digest(experiment), "seed": job.seed, "result_sha256": None
    }
    try:
        outcome |= _measurements(_result(experiment, job.seed, sweep.request, place), job, place / RESULT)
    except Diverged as error:
        outcome |= {"status": "diverged", "message": str(error), "metrics": {}, "timing": {}, "presentations": 0}
    place.mkdir(parents=True, exist_ok=True)
    with written_whole(place / OUTCOME) as partial:
        sealed_json.write(partial, "outcome", outcome | {"wall_s": time.monotonic() - began})


def _result(experiment: Experiment, seed: int, request: Mapping[str, Any], place: Path) -> Result:
    """Continue from the last whole segment of the same run, where there is one, or run it from its beginning."""
    from bioFA.runs.simulation import resume, simulate

    if is_unfinished(place):
        with contextlib.suppress(FileError, Diverged):
            result = resume(place)
            if result.experiment == experiment and result.seed == seed:
                return result
    shutil.rmtree(place, ignore_errors=True)
    return simulate(experiment, seed, request["backend"], precision=request["precision"], folder=place)


def _measurements(result: Result, job: Job, path: Path) -> dict[str, Any]:
    """What the outcome of a job keeps of its result, which lies at a path; that of a run that only tunes is removed."""
    named = ("model", "scheme", "seed", "backend")
    kept: dict[str, Any] = {name: value for name, value in result.summary().items() if name not in named}
    kept["result_bytes"] = path.stat().st_size
    if job.factor is None:
        record = {"course": result.course(), "provenance": dict(result.provenance)}
        return kept | {"result_sha256": sha256(path)} | record
    kept["metrics"] = {name: value for name, value in result.metrics.items() if not name.startswith("test")}
    path.unlink()
    return kept


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _live_with_driver() -> None:
    """End this process when its standard input is closed, which a driver does by dying."""

    def watch() -> None:
        while os.read(0, 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(3)
        os._exit(143)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
