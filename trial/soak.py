"""A long comparison whose runs and driver are killed at random moments: nothing finished may be lost,
and the driver may not grow.

The runs are those of the NumPy reference, short, each a process of its own as in any comparison; but where a comparison
starts Python anew for each, which takes most of a second, here the driver forks, so that thousands take minutes. All
else is the driver's own code. The driver is a process that is sampled from outside (memory and open files, `/proc`);
when it is killed, another continues from there. At the end every finished run is checked against its SHA-256, as `biofa
check` does.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from bioFA.comparisons import table, worker
from bioFA.system.processes import end_after
from trial.report import zero
from trial.sandbox import Running, Sandbox, gone, sandbox, without_report

TINY = (
    "--set",
    "task.examples=20",
    "--set",
    "task.test_examples=10",
    "--set",
    "protocol.snapshots=1",
    "--set",
    "record.every=5",
)
DRIVER_LIVES = (5.0, 25.0)
"""A driver is killed after so many seconds, drawn anew for each;"""
RUN_LIVES = (0.2, 3.0)
"""one of its runs every so many seconds."""
SAMPLE = 0.2
"""Seconds between two looks at the driver."""
SETTLED = 3.0
"""A driver's first seconds, in which it reads the table, are no part of whether it grows."""


@dataclass(frozen=True)
class Soak:
    """The outcome of a soak: how many runs were asked for, finished, and killed, and how often the driver was; finished
    runs lost or changed; what `biofa check` found whole and damaged; the memory (MB) and open files of the driver while
    it has runs: lowest, highest, and slope over the runs done, times 1,000."""

    runs: int
    finished: int
    killed_runs: int
    killed_drivers: int
    seen_finished: int
    lost: int
    whole: int
    damaged: int
    seconds: float
    memory_mb: tuple[float, float]
    memory_slope_mb: float
    files: tuple[int, int]
    files_slope: float

    @property
    def passes(self) -> bool:
        """Whether every run finished and is whole, none was lost, and the driver kept its size:
        below 20 kB and 0.01 files a run."""
        return (
            self.finished == self.whole == self.runs
            and self.lost == self.damaged == 0
            and self.memory_slope_mb < 20
            and self.files_slope < 10
        )

    def as_json(self) -> dict[str, Any]:
        """As data."""
        return asdict(self) | {"passes": self.passes}

    def __str__(self) -> str:
        return (
            f"{self.finished} of {self.runs} runs finished in {self.seconds / 60:.1f} min, {self.killed_runs} runs and"
            f" {self.killed_drivers} drivers killed; finished runs lost {zero(self.lost, self.seen_finished)}; checked:"
            f" {self.whole} whole, damaged {zero(self.damaged, self.finished)}\nthe driver: {self.memory_mb[0]:.1f} to"
            f" {self.memory_mb[1]:.1f} MB, slope {self.memory_slope_mb:+.2f} MB per 1,000 runs; {self.files[0]} to"
            f" {self.files[1]} open files, slope {self.files_slope:+.2f} per 1,000 runs"
        )


def run(runs: int = 2000, progress: Callable[[int], None] | None = None, processes: int = 1, seed: int = 2016) -> Soak:
    """Make so many runs, with kills all the while.

    Args:
        runs: how many; 2,000 take about a second each on one core.
        progress: called with how many more are finished, and with 0 at the end.
        processes: runs at once.
        seed: of when and what is killed.
    """
    with sandbox() as place:
        found = _soak(place, runs, progress or (lambda _: None), processes, random.Random(seed))
    if progress is not None:
        progress(0)
    return found


def _soak(place: Sandbox, runs: int, progress: Callable[[int], None], processes: int, chance: random.Random) -> Soak:
    folder = place.fresh()
    arguments = (
        "compare",
        "linear",
        "--schemes",
        "fa",
        "--seeds",
        str(runs),
        *TINY,
        "--backend",
        "numpy",
        "--out",
        str(folder),
        "-j",
        str(processes),
        "--max-failures",
        "1000000",
        "--json",
    )
    began = time.monotonic()
    seen: dict[str, tuple[int, int]] = {}
    samples: list[tuple[int, int, float, int]] = []  # the driver's number, runs done, MB, open files
    killed_runs = killed_drivers = lost = 0
    ended = False
    while not ended:
        driver = place.biofa(*arguments, prepare=[without_report, fork_runs])
        born, life = time.monotonic(), chance.uniform(*DRIVER_LIVES)
        next_kill = born + chance.uniform(*RUN_LIVES)
        while driver.poll() is None:
            time.sleep(SAMPLE)
            before = len(seen)
            lost += _look(folder, seen)
            progress(len(seen) - before)
            if time.monotonic() - born > SETTLED and _children(driver) and (size := _size(driver)) is not None:
                samples.append((killed_drivers, len(seen), *size))
            if time.monotonic() > next_kill:
                killed_runs += _kill_a_run(driver, chance)
                next_kill = time.monotonic() + chance.uniform(*RUN_LIVES)
            if time.monotonic() - born > life and len(seen) < runs:
                driver.kill()
                killed_drivers += 1
        code = driver.poll()
        gone(folder)
        ended = code == 0
        if code not in (0, -signal.SIGKILL, 1):
            raise RuntimeError(f"the driver failed with exit code {code}: {driver.wait().last}")
    progress(runs - len(seen))
    _look(folder, seen)
    verdicts = [found.outcome(job) for found in [table.read(folder)] for job in found.jobs]
    whole = sum(verdict is not None for verdict in verdicts)
    slopes = [_slope(samples, column) for column in (2, 3)]
    memory, files = [sample[2] for sample in samples] or [0.0], [sample[3] for sample in samples] or [0]
    return Soak(
        runs,
        len(list((folder / table.RUNS).glob(f"*/{table.OUTCOME}"))),
        killed_runs,
        killed_drivers,
        len(seen),
        lost,
        whole,
        len(seen) - whole,
        time.monotonic() - began,
        (min(memory), max(memory)),
        slopes[0],
        (min(files), max(files)),
        slopes[1],
    )


class _Forked:
    """What `subprocess.Popen` is to a driver, but a fork of it that calls what the new process would."""

    def __init__(self, command: list[str], cwd: str, stdout: IO[bytes], **_: Any):
        self.returncode: int | None = None
        read, write = os.pipe()
        self.pid = os.fork()
        if self.pid:
            os.close(read)
            self.stdin = os.fdopen(write, "wb")
            return

        def run() -> int:
            os.setsid()
            os.chdir(cwd)
            for number, stream in enumerate((read, stdout.fileno(), stdout.fileno())):
                os.dup2(stream, number)
            os.closerange(3, 4096)  # the driver's locks are the driver's alone
            return worker.main(*command[command.index("bioFA.comparisons.worker") + 1 :])

        end_after(run)

    def poll(self) -> int | None:
        """Its exit code, if it has ended."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end."""
        end = time.monotonic() + (timeout if timeout is not None else float("inf"))
        while self.poll() is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired("a run", timeout or 0.0)
            time.sleep(0.002)
        return self.returncode or 0

    def terminate(self) -> None:
        """Ask it to end."""
        os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        os.kill(self.pid, signal.SIGKILL)


def fork_runs() -> None:
    """Let this driver fork its runs."""
    import bioFA.runs.simulation  # noqa: F401  (once here, and not in every run)
    from bioFA.comparisons.forks import Forks

    Forks.begin = lambda *_: None  # type: ignore[method-assign]
    subprocess.Popen = _Forked  # type: ignore[assignment, misc]


def _look(folder: Path, seen: dict[str, tuple[int, int]]) -> int:
    """Note the runs that are newly finished; how many that were finished are no longer there, or were written again."""
    here = {}
    for entry in os.scandir(folder / table.RUNS) if (folder / table.RUNS).is_dir() else ():
        try:
            status = os.stat(os.path.join(entry.path, table.OUTCOME))
        except OSError:
            continue
        here[entry.name] = (status.st_mtime_ns, status.st_size)
    lost = sum(here.get(name) != status for name, status in seen.items())
    seen.update(here)
    return lost


def _size(driver: Running) -> tuple[float, int] | None:
    """The driver's resident memory in MB, and how many files it has open."""
    try:
        pages = int(Path(f"/proc/{driver.pid}/statm").read_text().split()[1])
        files = len(os.listdir(f"/proc/{driver.pid}/fd"))
        # nothing of one that has just ended
        return (pages * os.sysconf("SC_PAGE_SIZE") / 1e6, files) if pages and files else None
    except (OSError, IndexError):
        return None


def _children(driver: Running) -> list[int]:
    """The runs that a driver has now; none while it writes its tables, which takes memory for a moment."""
    children = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == driver.pid:
                children.append(int(entry.name))
        except OSError:
            continue
    return children


def _kill_a_run(driver: Running, chance: random.Random) -> int:
    """Kill one of the driver's runs, if it has one now."""
    children = _children(driver)
    if not children:
        return 0
    try:
        os.kill(chance.choice(children), signal.SIGKILL)
    except ProcessLookupError:
        return 0
    return 1


def _slope(samples: list[tuple[int, int, float, int]], column: int) -> float:
    """How much a driver grows in 1,000 runs: the slope common to all drivers, each with a level of its own."""
    x, y = [], []
    for number in {sample[0] for sample in samples}:
        own = np.array([(sample[1], sample[column]) for sample in samples if sample[0] == number], dtype=float)
        x.append(own[:, 0] - own[:, 0].mean())
        y.append(own[:, 1] - own[:, 1].mean())
    if not x:
        return 0.0
    done, size = np.concatenate(x), np.concatenate(y)
    return float(1000 * (done @ size) / (done @ done)) if (done @ done) > 0 else 0.0
