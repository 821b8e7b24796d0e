"""The sandbox of the drills: a folder and a compile cache of its own, the undisturbed runs,
and bioFA's commands as processes to disturb.

A command runs in a fork of this process, which has everything imported: the program under test is
the command line itself, and a run takes a quarter of a second. Each fork is a session of its own.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bioFA.runs import checkpoint
from bioFA.runs.result import RESULT
from bioFA.system.processes import end_after
from trial.oracle import Attempt, Ended, Outcome, digest, judge

Prepare = Callable[[], None]
"""What a fork does to itself before the command runs: set a limit, hide a package, change the clock."""

TIMEOUT = 300.0
"""A command that takes longer hangs."""


def settings(*changes: str) -> tuple[str, ...]:
    """Return the options that change a model."""
    return tuple(word for change in changes for word in ("--set", change))


SMALL = settings("task.examples=60", "task.test_examples=20")
MODEL = ("linear", "--scheme", "np", *SMALL, *settings("protocol.epochs=5", "protocol.snapshots=10"))
"""The run that most drills disturb: random numbers in every presentation, and a state that is measured and kept ten
times."""
RUNS = {
    "rates": (*MODEL, "--seed", "3"),
    "another seed": (*MODEL, "--seed", "4"),
    "long": ("linear", "--scheme", "np", *settings(
        "protocol.epochs=100", "protocol.snapshots=40", "record.every=20",
    )),
    "events": ("digits_erbp", *settings(
        "circuit.sizes=[64,20,10]", "protocol.presentation=40 ms", "protocol.learning_onset=20 ms",
        "protocol.reset=false", "protocol.phases=[{epochs=3}]", "protocol.snapshots=40",
    )),
    "traces": ("pattern", *settings("protocol.epochs=400", "protocol.snapshots=40")),
    "passing": ("random_ei", *settings(
        "constants.order=250", "constants.J=0.5 mV", "protocol.duration=3 s",
        'inh_to_exc.delay={name="uniform",low="0 ms",high="3 ms"}',
    )),
    "blocks": ("digits", *settings("protocol.epochs=40", "protocol.snapshots=40", "record.every=50")),
    "batches": ("digits", *settings(
        "circuit.learning={batch=50}", "protocol.epochs=40", "protocol.snapshots=40", "record.every=50",
    )),
}
"""The runs to disturb, by name: short ones; one that takes seconds; spiking neurons that keep their state from one
presentation to the next and learn at every event; a rule with traces at its synapses; time that passes without a task,
with spikes under way; a matrix that learns in blocks of presentations, in tiles; one that learns in batches."""
COMPARED = ("linear", "--schemes", "fa", "--seeds", "3", *SMALL, "--backend", "numpy", "--json")
"""What is compared."""


class Running:
    """A command that runs."""

    def __init__(self, pid: int, said: Path):
        self.pid = pid
        self._said = said
        self._status: int | None = None

    def poll(self) -> int | None:
        """Its exit code, if it has ended."""
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self._status = os.waitstatus_to_exitcode(status) if pid else None
        return self._status

    def send(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def wait(self) -> Ended:
        """Wait for its end; where that takes too long, kill it with all that it started."""
        end = time.monotonic() + TIMEOUT
        while self.poll() is None and time.monotonic() < end:
            time.sleep(0.002)
        code = self.poll()
        if code is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self._status = -signal.SIGKILL
        out, err = (self._said.with_suffix(suffix).read_text(errors="replace") for suffix in (".out", ".err"))
        return Ended(code, out, err)

    def kill(self) -> Ended:
        """Kill it, and it alone, as a full memory or an impatient user would."""
        self.send(signal.SIGKILL)
        return self.wait()


@dataclass(frozen=True)
class Reference:
    """An undisturbed run: its folder, the digest of its result, about how long it takes, and how much of that after it
    has kept its first state."""

    folder: Path
    digest: str
    seconds: float
    seconds_with_state: float


class Sandbox:
    """The folder where drills are done, with a compile cache, and undisturbed runs that are made when asked for."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.cache = folder / "cache"
        self.random = random.Random(2016)
        self._count = 0
        self._references: dict[str, Reference] = {}
        self._comparison = ""
        import bioFA.cli
        import bioFA.comparisons.run
        import bioFA.consumers.brian.run
        import bioFA.show.report  # noqa: F401  (imported once here, and not in every fork)

    def reference(self, name: str = "rates") -> Reference:
        """Return the undisturbed run of a name of `RUNS`, done twice: the second finds its program compiled.

        Raises:
            RuntimeError: if it fails, or is not repeated bit for bit, so that no fault can be judged.
        """
        if name != "rates":
            self.reference()  # so that the first program of the cache is that of `rates`
        if name not in self._references:
            folders = [self.fresh(), self.fresh()]
            for folder in folders:
                began = time.monotonic()
                running = self.run(folder, name)
                self.until_state(running, folder)
                kept = time.monotonic()
                ended = running.wait()
                seconds, with_state = time.monotonic() - began, time.monotonic() - kept
            first, second = (digest(folder / RESULT) for folder in folders)
            if first is None or first != second:
                raise RuntimeError(f"the undisturbed run '{name}' cannot be had: {ended.err or ended.out}")
            self._references[name] = Reference(folders[0], first, 0.8 * seconds, 0.8 * with_state)
            if name == "rates":
                (self.program,) = (entry.parent.name for entry in self.cache.glob("*/entry.json"))
        return self._references[name]

    def until_state(self, running: Running, folder: Path) -> None:
        """Wait until a run has kept its first state, or has ended."""
        waited(lambda: checkpoint.is_unfinished(folder) or running.poll() is not None)

    @property
    def expected(self) -> str:
        """The digest of the undisturbed run of `rates`."""
        return self.reference().digest

    @property
    def seconds(self) -> float:
        """The time from the making of its folder to its end, about."""
        return self.reference().seconds

    def fresh(self) -> Path:
        """The path of a folder that is not there yet."""
        self._count += 1
        return self.folder / f"t{self._count:05d}"

    def fork(
        self,
        work: Callable[[], int],
        environment: Mapping[str, str | None] | None = None,
        prepare: Sequence[Prepare] = (),
    ) -> Running:
        """Do some work in a process of its own, and say how it ended; None in `environment` takes a variable away."""
        said = self.fresh()
        sys.stdout.flush()
        sys.stderr.flush()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside threads; ours do nothing
            child = os.fork()
        if child:
            return Running(child, said)

        def disturbed() -> int:
            os.setsid()
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
            nothing = os.open(os.devnull, os.O_RDONLY)
            for stream, file in (
                (0, nothing),
                (1, os.open(said.with_suffix(".out"), os.O_WRONLY | os.O_CREAT)),
                (2, os.open(said.with_suffix(".err"), os.O_WRONLY | os.O_CREAT)),
            ):
                os.dup2(file, stream)
                os.close(file)
            sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w"), os.fdopen(2, "w")
            os.environ |= {"BIOFA_CACHE": str(self.cache), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
            for name, value in (environment or {}).items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value
            warnings.resetwarnings()  # as in a new Python, whatever has been made of them here
            warnings.simplefilter("ignore", DeprecationWarning)
            checkpoint.INTERVAL = 0.0  # every segment is kept as it ends, so that there is something to disturb
            for step in prepare:
                step()
            return work()

        end_after(disturbed)

    def biofa(
        self, *arguments: str, environment: Mapping[str, str | None] | None = None, prepare: Sequence[Prepare] = ()
    ) -> Running:
        """Begin a command."""

        def work() -> int:
            from bioFA.cli import main

            main(list(arguments), prog_name="biofa")
            return 0

        return self.fork(work, environment, prepare)

    def run(
        self,
        place: Path,
        name: str = "rates",
        environment: Mapping[str, str | None] | None = None,
        prepare: Sequence[Prepare] = (),
    ) -> Running:
        """Begin a run in a folder."""
        arguments = ("run", *RUNS[name], "--json", "--out", str(place))
        return self.biofa(*arguments, environment=environment, prepare=prepare)

    def judged(self, ended: Ended, place: Path) -> Attempt:
        """Judge a run by its end, and by whether, the fault being over, its folder comes to the undisturbed run."""
        found = judge(ended, digest(place / RESULT), self.expected, None)
        return found if found.outcome is not Outcome.REFUSED else self.recovered(place, found.message)

    def recovered(self, place: Path, message: str = "", name: str = "rates") -> Attempt:
        """Judge whether a run that was stopped comes to the undisturbed one: continued where it can be,
        run again where nothing is left of it."""
        expected = self.reference(name).digest
        if (place / RESULT).exists() and not checkpoint.is_unfinished(place):
            same = digest(place / RESULT) == expected
            outcome = Outcome.IDENTICAL if same else Outcome.SILENT
            return Attempt(outcome, message, finished=1, lost=int(not same))
        resumed = checkpoint.is_unfinished(place)
        ended = (self.resume(place) if resumed else self.run(place, name)).wait()
        if ended.code != 0:
            last = f"it cannot be continued: {ended.last or ended.code}"
            return Attempt(Outcome.UNCLEAR, last, False if resumed else None)
        return _as_expected(digest(place / RESULT) == expected, message, resumed)

    def compare(
        self,
        place: Path,
        *more: str,
        environment: Mapping[str, str | None] | None = None,
        prepare: Sequence[Prepare] = (),
    ) -> Running:
        """Begin the comparison in a folder."""
        arguments = ("compare", *COMPARED, *more, "--out", str(place))
        return self.biofa(*arguments, environment=environment, prepare=[without_report, *prepare])

    def resume(
        self,
        place: Path,
        *more: str,
        environment: Mapping[str, str | None] | None = None,
        prepare: Sequence[Prepare] = (),
    ) -> Running:
        """Continue the comparison, or the run, in a folder."""
        return self.biofa(
            "resume", str(place), *more, "--json", environment=environment, prepare=[without_report, *prepare]
        )

    def compared(self) -> str:
        """The digest of the undisturbed comparison."""
        if not self._comparison:
            ended = self.biofa("compare", *COMPARED, "--out", str(self.comparison())).wait()
            found = comparison_digest(self.comparison())
            if ended.code != 0 or found is None:
                raise RuntimeError(f"the undisturbed comparison cannot be had: {ended.err or ended.out}")
            self._comparison = found
        return self._comparison

    def comparison_recovered(self, place: Path, before: Mapping[str, str], message: str = "") -> Attempt:
        """Whether a comparison that was stopped comes to the undisturbed one,
        with the runs that were finished `before` as they were."""
        count = len(before)
        missing = lost(before, place)
        if (place / "table.csv").exists() and comparison_digest(place) == self.compared():
            return Attempt(Outcome.IDENTICAL, message, None, count, missing)
        written = {path: path.stat().st_mtime_ns for name in before for path in (place / "runs" / name).glob("*")}
        ended = self.resume(place).wait()
        missing = max(
            missing,
            lost(before, place),
            sum(not path.exists() or path.stat().st_mtime_ns != at for path, at in written.items()),
        )
        if ended.code != 0:
            last = f"it cannot be continued: {ended.last or ended.code}"
            return Attempt(Outcome.UNCLEAR, last, False, count, missing)
        same = comparison_digest(place) == self.compared()
        return replace(_as_expected(same, message, resumed=True), finished=count, lost=missing)

    def open_to_all(self) -> None:
        """Let ordinary users pass through the sandbox and read its cache; write there they may not."""
        self.folder.chmod(0o711)

    def comparison(self) -> Path:
        """The folder of the undisturbed comparison."""
        return self.folder / "comparison"

    def copy_of_comparison(self) -> Path:
        """A copy of the undisturbed comparison, to be damaged."""
        self.compared()
        return self.copied(self.comparison())

    def tidy(self) -> None:
        """Take away what an attempt left, but for what others need."""
        undisturbed = {reference.folder for reference in self._references.values()}
        kept = undisturbed | {self.cache, self.comparison(), self.folder / "compiled"}
        for path in self.folder.iterdir():
            if path not in kept:
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)

    def copied(self, place: Path) -> Path:
        """A copy of a folder."""
        return Path(shutil.copytree(place, self.fresh()))

    def whole(self) -> Path:
        """The folder of the undisturbed run of `rates`."""
        return self.reference().folder

    def copy_of_cache(self) -> Path:
        """A compile cache with a copy of the program of `rates` alone, to be damaged."""
        self.reference()
        place = self.fresh()
        shutil.copytree(self.cache / self.program, place / self.program)
        return place

    def stopped(self, segments: int) -> Path:
        """A run that was killed when it had kept so many segments."""
        place = self.fresh()
        self.run(place, prepare=[lambda: dies_after(segments)]).wait()
        return place


def _as_expected(same: bool, message: str, resumed: bool) -> Attempt:
    """Judge what was continued or run again after a fault that was told of, by whether it has the undisturbed bits."""
    if same:
        return Attempt(Outcome.REFUSED, message, True if resumed else None)
    return Attempt(Outcome.SILENT, "what was continued has other numbers", False if resumed else None)


def dies_after(segments: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Let this process die of a signal, or stand still, once so many segments are kept."""
    patched: Any = checkpoint.Checkpoint  # in a fork, which dies with it
    real, kept = patched.keep, [0]

    def keep(self: checkpoint.Checkpoint, *arguments: Any) -> None:
        real(self, *arguments)
        kept[0] += 1
        if kept[0] == segments + 1:  # the first is the state before the first presentation
            os.kill(os.getpid(), number)

    patched.keep = keep


def without_report() -> None:
    """Let a comparison end with its tables: drawing the page takes longer than all its runs,
    and has drills of its own."""
    from bioFA.show import report

    report.of_comparison = lambda outcomes: outcomes.sweep.folder / report.PAGE  # in a fork


def comparison_digest(place: Path) -> str | None:
    """The digest of a comparison: of its table and of every result; None where one is missing."""
    import hashlib

    try:
        found = hashlib.sha256((place / "table.csv").read_bytes())
    except OSError:
        return None
    for result in sorted((place / "runs").glob(f"*/{RESULT}")):
        one = digest(result)
        if one is None:
            return None
        found.update(f"{result.parent.name} {one}".encode())
    return found.hexdigest()


def outcomes(place: Path) -> dict[str, str]:
    """The digest of each finished run of a comparison, by its name."""
    found = {path.parent.name: digest(path.with_name(RESULT)) for path in (place / "runs").glob("*/outcome.json")}
    return {name: value for name, value in found.items() if value is not None}


def lost(before: Mapping[str, str], place: Path) -> int:
    """How many of the runs that were finished are no longer there, or not the same."""
    after = outcomes(place)
    return sum(after.get(name) != value for name, value in before.items())


def processes_of(place: Path) -> list[int]:
    """Living processes whose command line names a folder, or that work in it."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if entry.joinpath("stat").read_text().rpartition(")")[2].split()[0] == "Z":
                continue
            command, folder = entry.joinpath("cmdline").read_bytes(), os.readlink(entry / "cwd")
            if str(place).encode() in command or str(place) in folder:
                found.append(int(entry.name))
    return found


def gone(place: Path) -> bool:
    """Whether all processes of a folder end within a minute."""
    return waited(lambda: not processes_of(place), 60.0)


def stands_still(pid: int) -> bool:
    """Whether a process was stopped by a signal."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    except OSError:
        return False


def waited(what: Callable[[], object], timeout: float = TIMEOUT) -> bool:
    """Whether something comes true within some seconds."""
    end = time.monotonic() + timeout
    while not what():
        if time.monotonic() > end:
            return False
        time.sleep(0.002)
    return True


@contextlib.contextmanager
def sandbox() -> Iterator[Sandbox]:
    """A sandbox in a folder that is removed when the drills are over."""
    with tempfile.TemporaryDirectory(prefix="biofa-trial-", ignore_cleanup_errors=True) as folder:
        yield Sandbox(Path(folder))
