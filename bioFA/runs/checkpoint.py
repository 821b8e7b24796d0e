"""A run in a folder, kept segment by segment, so that it can go on after whatever stopped it.

    DIR/checkpoint/lock               held by the process that runs here
    DIR/checkpoint/run.json           what is run: experiment, seed, backend, precision
    DIR/checkpoint/stretch-00000.h5   the state before the first presentation
    DIR/checkpoint/stretch-00001.h5   the state after the first segment, and what was recorded in it
    DIR/result.h5                     written when the run has ended; then the checkpoint folder goes

Each file is written aside, flushed and renamed, and carries a checksum: what a kill, a full disk
or a decaying one damaged is recognised, and the run goes on from the last segment before it.
Short segments are written together, once a second (INTERVAL), so that keeping them costs little.
Since every random stream belongs to the seed and a presentation, never to a process, a run that
went on gives the same numbers, bit for bit, as one that was not stopped.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shlex
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from bioFA.consumers import without
from bioFA.consumers.base import Recording
from bioFA.errors import (
    OF_OWN_PARTS,
    AlreadyFinished,
    CannotWrite,
    DamagedFile,
    FileError,
    NoSuchFile,
    PlaceBusy,
    PlaceTaken,
    TakenOver,
    Unreadable,
)
from bioFA.experiment import Experiment
from bioFA.modelfiles import toml
from bioFA.own_code import reading
from bioFA.runs import monitors, provenance
from bioFA.runs.result import RESULT
from bioFA.system import sealed_json
from bioFA.system.atomic import remove_partial, sync, written_whole
from bioFA.system.locks import Held, hold_folder
from bioFA.system.sealed_hdf5 import is_whole, sealed

Array = np.ndarray
FORMAT = 1
FOLDER, LOCK, RUN = "checkpoint", "lock", "run.json"
MONITORS, COUNTING = monitors.GROUP, "counting"
INTERVAL, LARGEST = 1.0, 16 * 1024**2
"""A segment waits to be written for at most so many seconds, while those that wait have at most so many bytes."""
BULKY = 16 * 1024**2
"""A state of so many bytes is kept of the first and the last two segments only, where time passes without a task."""


@dataclass(frozen=True)
class Run:
    """What is run: all that a result follows from, with the SHA-256 of the data and of given weights;
    `start` is its first presentation, `code` says where Python files of somebody's own lay, and their SHA-256.
    `threads` share the work, and change no number."""

    experiment: Experiment
    seed: int
    backend: str
    precision: str
    data_sha256: str
    weights: Mapping[str, Any] | None = None
    started: str = ""
    resumed: int = 0
    start: int = 0
    code: Mapping[str, Sequence[str]] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=provenance.versions)
    threads: int = 1


@dataclass(frozen=True)
class SegmentEnd:
    """The end of one segment of presentations: the whole state, and what was recorded and measured on the way.

    `evaluations` are the result's rows; `measured` is what an early stop looks at, `seconds`
    what the segment took, `engine` what ran it. Where time passes without a task, `stop` counts steps, all trials
    together; `monitored` is what was recorded, by its place in a result's group `monitors`, which stays in the file
    when the segment is read, and `counting` what measures keep, by its place in a group of its own. `thinned` says that
    the state is no longer kept, so that a run cannot go on from there.
    """

    stop: int
    state: Mapping[str, Array]
    recording: Recording | None = None
    evaluations: tuple[Mapping[str, Any], ...] = ()
    measured: float | None = None
    seconds: float = 0.0
    engine: Mapping[str, Any] = field(default_factory=dict)
    monitored: Mapping[str, Array] = field(default_factory=dict)
    counting: Mapping[str, Array] = field(default_factory=dict)
    thinned: bool = False


class Checkpoint:
    """The segments of a run in a folder. Made by `begin` and `reopen`, which hold the folder's lock."""

    def __init__(
        self, folder: Path, run: Run, count: int, lock: Held, made: list[Path] | None = None, resumed: bool = False
    ):
        self._lock = lock
        self.folder = folder
        self.run = run
        self.count = count
        self.resumed = resumed
        self._made = made or []
        self._waiting: list[SegmentEnd] = []
        self._written = time.monotonic()

    @property
    def place(self) -> Path:
        """The checkpoint folder, which also holds what passes through files during the run."""
        return self.folder / FOLDER

    def segments(self) -> Iterator[SegmentEnd]:
        """The whole segments, from the state before the first presentation on, one at a time."""
        for number in range(self.count):
            segment = _read_segment(_path(self.place, number))
            if segment is None:
                raise DamagedFile(
                    f"'{_path(self.place, number)}' was damaged a moment ago. Look to the disk, then try again."
                )
            yield segment

    def monitored(self) -> list[Path | Mapping[str, Array]]:
        """What every segment recorded, in order: its file, or the arrays by their places where it waits to be
        written. That of the state before the first presentation is left out."""
        written = [_path(self.place, number) for number in range(1, self.count)]
        return [*written, *(segment.monitored for segment in self._waiting)]

    def keep(self, segment: SegmentEnd) -> None:
        """Keep one more segment: on disk when this returns, or within INTERVAL.

        Raises:
            FileError: if it cannot be written; all earlier ones are still there.
        """
        self._waiting.append(segment)
        if time.monotonic() - self._written >= INTERVAL or sum(map(_size, self._waiting)) >= LARGEST:
            self.flush()

    def flush(self) -> None:
        """Write what waits to be written.

        Raises:
            FileError: if it cannot be written; all earlier ones are still there.
        """
        self.refuse_lost()
        try:
            while self._waiting:
                with written_whole(_path(self.place, self.count)) as partial:
                    _write_segment(partial, self._waiting[0])
                bulky = sum(array.nbytes for array in self._waiting[0].state.values()) >= BULKY
                del self._waiting[0]
                self.count += 1
                if bulky and self.count > 3 and self.run.experiment.free:
                    _thin(_path(self.place, self.count - 3))
        except OSError as error:
            raise CannotWrite(
                f"the run's state could not be kept in '{self.place}': {error}. Make space; then 'biofa resume"
                f" {shlex.quote(str(self.folder))}' goes on."
            ) from None
        self._written = time.monotonic()

    def refuse_lost(self) -> None:
        """Refuse to go on where another process has taken the run over, or its folder is gone.

        Raises:
            FileError: saying so.
        """
        if not self._lock.valid:
            gone = not (self.place / LOCK).exists()
            raise TakenOver(
                f"'{self.folder}' was removed or moved while the run was in it."
                if gone
                else f"another process has taken over the run in '{self.folder}'. It goes on there."
            )

    @property
    def is_new(self) -> bool:
        """Whether nothing has run here yet."""
        return not self.resumed and self.count + len(self._waiting) == 1

    def remove(self) -> None:
        """Take the checkpoint folder away: the run has its result, or can have none.
        What another process has taken over stays."""
        self._waiting.clear()
        if not self._lock.valid:
            return
        (self.place / RUN).unlink(missing_ok=True)  # first, so that a kill in between leaves no run that cannot go on
        shutil.rmtree(self.place, ignore_errors=True)

    def undo(self) -> None:
        """Take away everything that `begin` made."""
        self.remove()
        for folder in self._made:
            with contextlib.suppress(OSError):  # not empty
                folder.rmdir()


@contextmanager
def begin(folder: Path, run: Run, state: Mapping[str, Array]) -> Iterator[Checkpoint]:
    """Begin a run in a folder, from a state; hold its lock meanwhile.

    Raises:
        FileError: if the folder holds a result or an unfinished run, is in use, or cannot be written.
    """
    refuse_taken(folder)
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    remedy = "Give a folder of your own."
    try:
        (folder / FOLDER).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotWrite(f"'{folder}' cannot be written ({error.strerror}). {remedy}") from None
    with _hold(folder, remedy) as held:
        refuse_taken(folder)  # once more, since another process may have been first
        checkpoint = Checkpoint(folder, run, 0, held, made)
        try:
            _clean(folder, 0)
            checkpoint.keep(SegmentEnd(run.start, state))
            checkpoint.flush()
            _write_run(folder, run)
            for place in (folder, *folder.parents)[: len(made) + 1]:
                sync(place)
        except BaseException:
            checkpoint.undo()
            raise
        with _flushed(checkpoint):
            yield checkpoint


@contextmanager
def reopen(folder: Path, force: bool = False) -> Iterator[Checkpoint]:
    """Take up an unfinished run where its last whole segment ended; hold its lock meanwhile.

    With `force`, also one that another process seems to run: whether it lives or not,
    it can write nothing there any more.

    Raises:
        FileError: if there is no unfinished run, it is damaged or from a newer bioFA, or another process runs it.
    """
    if not is_unfinished(folder):
        if (folder / RESULT).is_file():
            raise AlreadyFinished(f"the run in '{folder}' is finished; its result is '{folder / RESULT}'.")
        raise NoSuchFile(
            f"there is no run in '{folder}'. Give the folder of a run that was stopped, or begin one with 'biofa run"
            f" MODEL --out {folder}'."
        )
    lock = folder / FOLDER / LOCK
    with _hold(folder, "Make it writable to go on with its run.", (lock,) if force else ()) as held:
        if not is_unfinished(folder):
            raise AlreadyFinished(f"the run in '{folder}' has just been finished by another process.")
        run = read_run(folder)
        count = found = 0
        while (segment := _read_segment(_path(folder / FOLDER, found))) is not None:
            found += 1
            count = count if segment.thinned else found
        if count == 0:
            raise DamagedFile(
                f"'{_path(folder / FOLDER, 0)}' is damaged, so the run cannot go on. Remove '{folder}' and run it"
                " again."
            )
        run = dataclasses.replace(run, resumed=run.resumed + 1)
        _clean(folder, count)
        _write_run(folder, run)
        with _flushed(checkpoint := Checkpoint(folder, run, count, held, resumed=True)):
            yield checkpoint


def is_unfinished(folder: Path) -> bool:
    """Whether a folder holds a run that has begun and whose end is not yet recorded."""
    return (folder / FOLDER / RUN).exists()


def refuse_taken(folder: Path) -> None:
    """Refuse a folder that holds a result or an unfinished run.

    Raises:
        FileError: saying which, and what to do.
    """
    if is_unfinished(folder):
        raise PlaceBusy(
            f"'{folder}' holds an unfinished run. Unless a process still runs it, go on with it: biofa resume"
            f" {shlex.quote(str(folder))}. Or give another folder."
        )
    if (folder / RESULT).exists():
        raise PlaceTaken(f"'{folder}' already holds a result ({RESULT}). Give another folder, or remove that one.")


def _hold(folder: Path, remedy: str, take: Sequence[Path] = ()) -> AbstractContextManager[Held]:
    """Hold the folder of a run."""
    return hold_folder(folder, folder / FOLDER / LOCK, "is running in", remedy, take=take)


@contextmanager
def _flushed(checkpoint: Checkpoint) -> Iterator[None]:
    """Write what still waits, however the run is left."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(FileError):  # what stopped the run is what there is to tell
            checkpoint.flush()
        raise


def _size(segment: SegmentEnd) -> int:
    recorded = segment.recording.arrays.values() if segment.recording is not None else ()
    passing = (*segment.monitored.values(), *segment.counting.values())
    return sum(array.nbytes for array in (*segment.state.values(), *recorded, *passing))


def _path(place: Path, number: int) -> Path:
    return place / f"stretch-{number:05d}.h5"


def _clean(folder: Path, count: int) -> None:
    """Remove what killed processes left: half-written files, passing files, and segments after a damaged one."""
    remove_partial(folder)
    remove_partial(folder / FOLDER)
    whole = {_path(folder / FOLDER, number) for number in range(count)}
    for path in (folder / FOLDER).iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.suffix == ".h5" and path not in whole:
            path.unlink()


def _write_run(folder: Path, run: Run) -> None:
    fields = {f.name: getattr(run, f.name) for f in dataclasses.fields(run)} | {"experiment": toml.kept(run.experiment)}
    if not run.code:
        del fields["code"]
    try:
        with written_whole(folder / FOLDER / RUN) as partial:
            sealed_json.write(partial, "run", fields, format=FORMAT)
    except OSError as error:
        raise CannotWrite(
            f"'{folder / FOLDER}' cannot be written: {error}. Make space, or give another folder."
        ) from None


def read_run(folder: Path) -> Run:
    """What the unfinished run in a folder runs.

    Raises:
        FileError: if it is damaged, or its Python files or the versions of what decides its numbers have changed.
    """
    path = folder / FOLDER / RUN
    try:
        entry = sealed_json.load(path)
        provenance.refuse_format(path, entry.get("format"), FORMAT, remedy="Go on with that one.")
        fields = sealed_json.content(entry, "run")
        run = Run(**(fields | {"experiment": toml.loads(fields["experiment"])}))
    except OF_OWN_PARTS as error:
        raise error.prefixed(f"'{path}': ") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedFile(f"'{path}' is damaged ({error}). Remove '{folder}' and run the experiment again.") from None
    reading.refuse_changed(run.code, f"the run in '{folder}'")
    but = without(run.backend)
    provenance.refuse_other_versions(run.versions, f"the run in '{folder}'", "run it again in another folder", but)
    return run


def _write_segment(path: Path, segment: SegmentEnd) -> None:
    with sealed(path) as file:
        kept = {
            "stop": segment.stop,
            "measured": segment.measured,
            "seconds": segment.seconds,
            "evaluations": segment.evaluations,
            "engine": segment.engine,
            "records": segment.recording is not None,
        }
        file.attrs["stretch"] = json.dumps(kept)
        for group, arrays in (
            ("state", segment.state),
            (MONITORS, segment.monitored),
            (COUNTING, segment.counting),
        ):
            for name, array in arrays.items():
                file.create_dataset(f"{group}/{name}", data=array)
        if segment.recording is not None:
            file.create_dataset("recording/at", data=segment.recording.at)
            for name, array in segment.recording.arrays.items():
                file.create_dataset(f"recording/{name}", data=array)


def _thin(path: Path) -> None:
    """Write a segment anew without its state."""
    if not is_whole(path):  # a damaged one stays so, and is found when it is read
        return
    with written_whole(path) as partial, h5py.File(path, "r") as file, sealed(partial) as thinned:
        for name in file:
            if name != "state":
                file.copy(name, thinned)
        thinned.attrs["stretch"] = json.dumps(json.loads(file.attrs["stretch"]) | {"thinned": True})


def _read_segment(path: Path) -> SegmentEnd | None:
    """One segment, or None where its file is missing or not exactly what was written."""
    try:
        if not is_whole(path):
            return None
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Unreadable(f"'{path}' cannot be read ({error.strerror}). Make it readable to go on.") from None
    with h5py.File(path, "r") as file:
        kept = json.loads(file.attrs["stretch"])
        state = {name: array[()] for name, array in file["state"].items()} if "state" in file else {}
        recording = None
        if kept.pop("records"):
            arrays = {name: array[()] for name, array in file["recording"].items()}
            recording = Recording(arrays.pop("at"), arrays)
        counting: dict[str, Array] = {}

        def visit(name: str, found: Any) -> None:
            if isinstance(found, h5py.Dataset):
                counting[name] = found[()]

        if COUNTING in file:
            file[COUNTING].visititems(visit)
        kept |= {"evaluations": tuple(kept["evaluations"])}
        return SegmentEnd(state=state, recording=recording, counting=counting, **kept)
