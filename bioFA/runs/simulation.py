"""Run an experiment: draw the instance, run it segment by segment, measure, and hand back a result.

In a folder, every segment is kept as it ends (`checkpoint.py`), and `resume` goes on from there.
"""

from __future__ import annotations

import datetime
import tempfile
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from bioFA.analysis.learning import confusion_matrix, error_rate
from bioFA.consumers import BACKENDS, PRECISIONS
from bioFA.consumers.base import Consumer, Recording
from bioFA.errors import (
    BioFAError,
    CannotWrite,
    ChangedSince,
    Contradiction,
    DamagedFile,
    Diverged,
    OutOfRange,
    TooFewHandles,
    Unavailable,
    UnknownName,
    WrongType,
    suggestion,
)
from bioFA.experiment import Experiment
from bioFA.instance import Instance, draw
from bioFA.modelfiles import toml
from bioFA.own_code import trust
from bioFA.runs import checkpoint, provenance
from bioFA.runs.checkpoint import Checkpoint, Run, SegmentEnd
from bioFA.runs.diagnosis import diagnose, gather
from bioFA.runs.free_run import FreeRun
from bioFA.runs.needs import needs
from bioFA.runs.result import RESULT, Result, load_result, read_weights
from bioFA.runs.trained import Trained, load_trained, sha256
from bioFA.system.retry import SCARCE
from bioFA.tasks import Split

Array = np.ndarray
Progress = Callable[[int, int, dict[str, float]], None]
"""Called with presentations done, presentations in all, and the latest measurements; where time passes without a task,
with steps in place of presentations."""

Finish = Callable[[Result], None]

LARGE = 1_000_000
"""A program of so many synapses is built before they are drawn, so that they and the compiler are not in memory at
once; others are drawn first, since that tells sooner what is wrong."""

MOST_CLASSES = 100
"""The answers to the examples of each class are kept for so many classes."""


def check_backend(backend: str, precision: str, threads: int = 1) -> None:
    """Refuse a backend or a precision that there is not, or threads that it cannot run on.

    Raises:
        ModelError: with the nearest known name, or the fewest and the most threads.
    """
    if precision not in PRECISIONS:
        raise UnknownName(f"unknown precision '{precision}'.{suggestion(precision, PRECISIONS)}")
    if backend not in BACKENDS:
        raise UnknownName(f"unknown backend '{backend}'.{suggestion(backend, BACKENDS)}")
    chosen = BACKENDS[backend]
    if precision not in chosen.precisions:
        others = [f"'{other.name}'" for other in BACKENDS.values() if precision in other.precisions]
        raise Contradiction(
            f"{chosen.title} computes in {' and '.join(chosen.precisions)} only; got precision '{precision}'. Use the"
            f" backend {' or '.join(others)} for {precision}."
        )
    if not isinstance(threads, int) or threads < 1:
        raise OutOfRange(f"threads must be a whole number of at least 1; got {threads!r}. Leave it out for 1.")
    if threads > chosen.most_threads == 1:
        raise Contradiction(
            f"{chosen.title} runs on one thread only; got threads {threads}. Use the backend 'cpp', or leave threads"
            " out."
        )
    if threads > chosen.most_threads:
        raise OutOfRange(f"threads must be at most {chosen.most_threads}; got {threads}.")


def consumer(
    instance: Instance,
    backend: str,
    precision: str = "float64",
    scratch: Path | None = None,
    binary: object = None,
    threads: int = 1,
) -> Consumer:
    """The consumer of a backend's name: `cpp` (Brian2, compiled) or `numpy` (the reference, always float64).

    `scratch` is a folder for what passes through files while it runs; the system's where None. `binary` is what
    `Backend.prepare` made of the experiment, if it did. `threads` share the work of a compiled program.

    Raises:
        ModelError: if there is no such backend, or none with that precision or so many threads.
        MissingError: if the compiler or Brian2 is missing.
    """
    check_backend(backend, precision, threads)
    return BACKENDS[backend].make(instance, precision, scratch, binary, threads)


def simulate(
    experiment: Experiment,
    seed: int = 1,
    backend: str = "cpp",
    progress: Progress | None = None,
    precision: str = "float64",
    weights: str | Path | None = None,
    folder: str | Path | None = None,
    finish: Finish | None = None,
    after: str | Path | Trained | None = None,
    threads: int = 1,
) -> Result:
    """Run an experiment from a seed.

    Args:
        experiment: the description; `bioFA.load("digits")` gives a built-in one.
        seed: the one integer that makes the instance.
        backend: `cpp` or `numpy`.
        progress: called after every segment of presentations.
        precision: `float64`, or `float32` (C++ only) for half the memory and more speed.
        weights: a result file; pathways of the same name start from its weights, all else starts anew.
        folder: where to write `result.h5`. The run is kept there segment by segment, and `resume` goes on with it if it
            is stopped.
        finish: called with the result when it is written to `folder`, before the run counts as finished, such as to
            draw figures.
        after: a run to go on from, as its result file or a `Trained`: this one begins with the whole state that it
            ended with and the presentation that was due next, and ends as one run of both lengths would have,
            bit for bit. Its seed must be `seed`, and `protocol` must be longer: where time passes without a task, in
            the duration of its one trial, or in trials.
        threads: how many share the work of the compiled program: each has its own neurons, and the synapses onto them.
            The numbers are the same, bit for bit. It pays for thousands of neurons.

    Raises:
        ModelError: if seed, backend, threads, weights or what to go on from are wrong.
        FileError: if the folder is taken or cannot be written.
        MissingError: if the machine lacks what the backend needs.
        RunError: if the run failed, did not finish, or diverged.
    """
    started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    if not isinstance(experiment, Experiment):
        raise WrongType(
            f"simulate takes an Experiment; got {experiment!r}. Load one: bioFA.simulate(bioFA.load('digits'))."
        )
    check_backend(backend, precision, threads)
    large = needs(experiment, precision).synapses >= LARGE
    binary = BACKENDS[backend].prepare(experiment, precision) if large else None
    instance = draw(experiment, seed)
    if not experiment.free:
        _check_stop(instance)
    if weights is not None and after is not None:
        raise Contradiction(
            "a run starts from the weights of another, or goes on after another; got both. Leave one out."
        )
    origin: dict[str, Any] | None = None
    start = 0
    if weights is not None:
        given, digest = read_weights(weights)
        instance, taken = instance.with_weights(given)
        unused = {
            name.removesuffix(".w"): int(array.size)
            for name, array in given.items()
            if name.removesuffix(".w") not in taken
        }
        drawn = [name.removesuffix(".w") for name in instance.state if name.endswith(".w") and name not in given]
        origin = {"file_sha256": digest, "pathways": taken, "unused": unused, "drawn": drawn}
    if after is not None:
        trained = after if isinstance(after, Trained) else load_trained(after)
        start = trained.steps_before(experiment) if experiment.free else trained.presentations
        if experiment.free:
            experiment.check_from(start)
        instance = instance.continued_from(trained.state, trained.seed, start)
        origin = {"steps" if experiment.free else "presentations": start}
        origin |= {} if isinstance(after, Trained) else {"file_sha256": sha256(after)}
        if changed := trained.changed(experiment, instance.data_sha256() if trained.data_sha256 else ""):
            origin["changed"] = changed
    if not experiment.free:
        _check_recorded(instance, start)
    run = Run(
        experiment,
        instance.seed,
        backend,
        precision,
        instance.data_sha256() if folder is not None else "",
        origin,
        started,
        start=start,
        code=toml.code_origins(experiment) if folder is not None else {},
        threads=threads,
    )
    if folder is None and experiment.free:
        return _run_in_passing(instance, run, progress, binary)
    if folder is None:
        return _run(instance, run, progress, binary=binary)
    with checkpoint.begin(Path(folder), run, instance.state) as kept:
        result = _run_in_folder(instance, kept, progress, binary)
        del instance  # its data, which what follows does not need
        return _finished(result, kept, finish)


def resume(
    folder: str | Path, progress: Progress | None = None, finish: Finish | None = None, force: bool = False,
    trust_code: bool = False,
) -> Result:
    """Go on with a run that was stopped, from its last whole segment; the result is that of a run that was not.

    Args:
        folder: where the run is.
        progress: as in `simulate`.
        finish: as in `simulate`.
        force: take the run from another process that seems to run it, such as one of a machine that is gone.
        trust_code: whether Python code of somebody's own that the run holds may run, if it has not run here before.

    Raises:
        FileError: if there is no unfinished run, it is damaged, its data or its Python files have changed, or a process
            runs it now.
        MissingError: if the machine lacks what the backend needs.
        RunError: if the run failed, did not finish, or diverged.
    """
    with trust.allowing(trust_code), checkpoint.reopen(Path(folder), force) as kept:
        instance = draw(kept.run.experiment, kept.run.seed)
        if instance.data_sha256() != kept.run.data_sha256:
            raise ChangedSince(
                f"the data of the run in '{folder}' have changed since it began. Put them back, or run it again in"
                " another folder."
            )
        result = _run_in_folder(instance, kept, progress)
        del instance
        return _finished(result, kept, finish)


def _run_in_passing(instance: Instance, run: Run, progress: Progress | None, binary: object) -> Result:
    """Run where time passes, in a folder that is removed with the result."""
    scratch = tempfile.TemporaryDirectory(prefix="biofa-run-", ignore_cleanup_errors=True)
    with checkpoint.begin(Path(scratch.name) / "run", run, instance.state) as kept:
        result = _run_in_folder(instance, kept, progress, binary)
        kept.remove()
    return result.stored(kept.folder / RESULT, keeps=scratch)


def _run_in_folder(
    instance: Instance, kept: Checkpoint, progress: Progress | None, binary: object = None
) -> Result:
    """Run to the end and write the result."""
    path = kept.folder / RESULT
    if path.exists():  # stopped after its result was written, before it counted as finished
        return load_result(path, trusted=True)
    try:
        if instance.experiment.free:
            result = _run_free(instance, kept, progress, binary)
        else:
            result = _run(instance, kept.run, progress, kept, binary)
    except BioFAError as error:
        if isinstance(error, Diverged) or kept.is_new:  # nothing there that could go on
            kept.undo()
        raise
    except OSError as error:
        kept.refuse_lost()
        raise (TooFewHandles if error.errno in SCARCE else CannotWrite)(
            f"a file of the run in '{kept.folder}' could not be opened, written or read: {error}. Is the disk full, was"
            " something removed, or are file handles or processes used up?"
        ) from None
    kept.refuse_lost()
    result.save(path)
    return result.stored(path)


def _finished(result: Result, kept: Checkpoint, finish: Finish | None) -> Result:
    """Do what is left to do with a result, then take the checkpoints away."""
    if finish is not None:
        finish(result)
    kept.remove()
    return result


def _run(
    instance: Instance, run: Run, progress: Progress | None, kept: Checkpoint | None = None, binary: object = None
) -> Result:
    """Segment by segment to the end: those that are kept are read, the others are run and kept."""
    began = time.perf_counter()
    course = _Course(instance, run.start)
    for segment in kept.segments() if kept is not None else (SegmentEnd(run.start, instance.state),):
        course.add(segment)
    known = course.seconds
    place = kept.place if kept is not None else None
    runner = consumer(instance, run.backend, run.precision, place, binary, run.threads)
    while not course.ended:
        with closing(_next_segments(course, instance, runner)) as segments:
            for segment in segments:
                course.add(segment)
                if kept is not None:
                    kept.keep(segment)
                if progress is not None:
                    progress(course.stop, course.total, _latest(segment, course))
    timing, record = _record(run, runner, instance, course.seconds, time.perf_counter() - began + known)
    if instance.data.columns:
        record["columns"] = {name: list(columns) for name, columns in instance.data.columns.items()}
    if course.reason is not None:
        record["ended_early"] = course.reason
    if len(course.engines) > 1:
        record["engines"] = course.engines
    result = course.result(run, runner.name, timing, record)
    evidence = gather(result, instance)
    return replace(
        result, findings=diagnose(evidence), firing_rates=evidence.firing_rates(), activity=evidence.activity
    )


def _record(
    run: Run, runner: Consumer, instance: Instance, ran: float, total: float
) -> tuple[dict[str, Any], dict[str, Any]]:
    """How long a run took, and where its numbers came from.

    Args:
        run: what was run.
        runner: what ran it.
        instance: of the experiment.
        ran: seconds that its segments took.
        total: seconds in all.
    """
    timing = {"codegen_s": 0.0, "compile_s": 0.0, "cached": False} | runner.timing | {"run_s": ran, "total_s": total}
    record = provenance.collect(run.experiment, run.started) | {"engine": runner.engine, "resumed": run.resumed}
    if run.weights is not None:
        record["after" if run.start else "weights"] = dict(run.weights)
    if run.data_sha256:
        record["data_sha256"] = run.data_sha256
    if instance.data.notes:
        record["data_notes"] = list(instance.data.notes)
    return timing, record


def _run_free(instance: Instance, kept: Checkpoint, progress: Progress | None, binary: object) -> Result:
    """Let time pass, segment by segment; what is kept is read, the rest is run and kept."""
    began = time.perf_counter()
    course = FreeRun(instance, kept)
    for segment in kept.segments():
        course.read(segment)
    known = course.seconds
    runner = consumer(instance, kept.run.backend, kept.run.precision, kept.place, binary, kept.run.threads)
    while course.stop < course.total:
        latest = course.next(runner)
        if progress is not None:
            progress(course.stop, course.total, latest)
    timing, record = _record(kept.run, runner, instance, course.seconds, time.perf_counter() - began + known)
    if len(course.engines) > 1:
        record["engines"] = course.engines
    return course.result(runner.name, timing, record)


def _next_segments(course: _Course, instance: Instance, runner: Consumer) -> Generator[SegmentEnd, None, None]:
    """Learn up to the next points at which nothing but the state is asked for, then measure with learning off."""
    began = time.perf_counter()
    points = course.next()
    for (start, stop), segment in zip(
        pairwise(points), runner.segments(course.state, points, instance.training), strict=True
    ):
        segment.check_finite(start)
        recording = Recording(segment.recording.at + start, segment.recording.arrays)
        rows = evaluate(instance, runner, segment.state, stop, "validation")
        rule = instance.experiment.protocol.stop
        measured = None
        if rule is not None:
            row = rows[0] if rows else {}
            measured = {
                "validation_error": row.get("error"),
                "validation_nse": row.get("nse"),
                "nse": course.training_nse(recording) if len(recording.at) else None,
            }[rule.measure]
        if course.reason_after(measured) is not None or stop == course.total:
            rows += evaluate(instance, runner, segment.state, stop, "test")
        seconds = time.perf_counter() - began
        yield SegmentEnd(stop, segment.state, recording, tuple(rows), measured, seconds, runner.engine)
        began = time.perf_counter()


class _Course:
    """A run up to some segment: everything that its result will hold, each array at its place once."""

    def __init__(self, instance: Instance, start: int):
        self.instance = instance
        self.total = instance.presentations()
        self.points = snapshot_points(self.total, instance.experiment.protocol.snapshots, instance.phase_ends(), start)
        self.state: Mapping[str, Array] = instance.state
        self.place = -1
        self.seconds = 0.0
        self.latest: Recording | None = None
        self.engines: list[Mapping[str, Any]] = []
        self.evaluations: list[Mapping[str, Any]] = []
        self.measured: list[float] = []
        every = instance.experiment.record.every
        self.recorded = 0
        self.at = np.empty(len(range(start + -start % every, self.total, every)), dtype=int)
        self.arrays: dict[str, Array] = {}
        self.snapshots: dict[str, Array] = {}

    @property
    def stop(self) -> int:
        """How many presentations there were."""
        return self.points[self.place]

    @property
    def reason(self) -> str | None:
        """Why the run ended before its last presentation, if it did."""
        reason = self.reason_after(None)
        return (
            None
            if reason is None or self.stop == self.total
            else f"after {self.stop} of {self.total} presentations: {reason}"
        )

    @property
    def ended(self) -> bool:
        """Whether nothing is left to run."""
        return self.stop == self.total or self.reason is not None

    def reason_after(self, measured: float | None) -> str | None:
        """Why the run would end with one more measurement."""
        rule = self.instance.experiment.protocol.stop
        return None if rule is None else rule.reason([*self.measured, *([] if measured is None else [measured])])

    def next(self) -> list[int]:
        """The presentations from which and to which the next segments go: one, where something is measured after it,
        else as many as are of the same phase."""
        following = self.points[self.place :]
        if self.instance.data.validation is not None or self.instance.experiment.protocol.stop is not None:
            return following[:2]
        end = next((end for end in self.instance.phase_ends() if end > self.stop), self.total)
        return [point for point in following if point <= end]

    def targets(self, at: Array) -> Array:
        """The targets of some presentations as they end, `(n, n_out)`."""
        if not len(at):  # a run that ended early, before the first presentation that it would have recorded
            return self.instance.data.train.final(slice(0, 0))
        first, last = int(at[0]), int(at[-1]) + 1
        return self.instance.data.train.final(self.instance.order(first, last)[at - first])

    def training_nse(self, recording: Recording) -> float:
        """NSE of recorded training presentations, over the power of all training targets."""
        error, power = self.instance.experiment.squares(recording.arrays, self.targets(recording.at))
        measured = self.instance.network.measure or self.instance.network.wanted is not None
        return float(error.mean() / (power.mean() if measured else self._power))

    @cached_property
    def _power(self) -> float:
        """The mean power of all training targets."""
        return float(np.mean(np.sum(self.instance.data.train.final(slice(None)) ** 2, axis=1)))

    def add(self, segment: SegmentEnd) -> None:
        """Take in one more segment, the first being the state before the first presentation."""
        self.place += 1
        if segment.stop != self.stop:
            raise DamagedFile(
                f"a kept segment ends at presentation {segment.stop}, where one to {self.stop} is due: it is of another"
                " run."
            )
        self.state = segment.state
        self.seconds += segment.seconds
        self.evaluations += segment.evaluations
        if segment.measured is not None:
            self.measured.append(segment.measured)
        for pathway in self.instance.network.pathways:
            name = f"{pathway.name}.w"
            if name in segment.state:
                _put(self.snapshots, name, segment.state[name], len(self.points), self.place)
        if segment.recording is not None:
            self.latest = segment.recording if len(segment.recording.at) else self.latest
            if segment.engine not in self.engines:
                self.engines.append(segment.engine)
            after = self.recorded + len(segment.recording.at)
            self.at[self.recorded : after] = segment.recording.at
            for name, array in segment.recording.arrays.items():
                _put(self.arrays, name, array, len(self.at), slice(self.recorded, after))
            self.recorded = after

    def result(self, run: Run, backend: str, timing: Mapping[str, Any], record: Mapping[str, Any]) -> Result:
        """All of it."""
        at, shots = self.at[: self.recorded], self.place + 1
        return Result(
            experiment=run.experiment,
            seed=run.seed,
            backend=backend,
            presentations=self.stop,
            recording=Recording(at, {name: array[: self.recorded] for name, array in self.arrays.items()}),
            targets=self.targets(at),
            snapshots_at=np.array(self.points[:shots]),
            snapshots={name: array[:shots] for name, array in self.snapshots.items()},
            evaluations=tuple(self.evaluations),
            state=dict(self.state),
            timing=timing,
            provenance=record,
        )


def _put(arrays: dict[str, Array], name: str, values: Array, length: int, place: int | slice) -> None:
    """Put values at their place in an array that has room for all to come."""
    if name not in arrays:
        arrays[name] = np.empty((length, *(values.shape if isinstance(place, int) else values.shape[1:])))
    arrays[name][place] = values


def snapshot_points(presentations: int, snapshots: int, ends: Sequence[int] = (), start: int = 0) -> list[int]:
    """Where segments begin and end: `start`, then at most `snapshots` further points, the last the end,
    and the ends of phases."""
    snapshots = min(snapshots, presentations - start)
    points = {start + round((presentations - start) * k / snapshots) for k in range(1, snapshots + 1)}
    return sorted({start, *points, *(end for end in ends if start < end < presentations)})


def _check_recorded(instance: Instance, start: int) -> None:
    """Refuse a run of which nothing would be recorded.

    Raises:
        ModelError: naming the presentations and the interval.
    """
    every, total = instance.experiment.record.every, instance.presentations()
    if not len(range(start + -start % every, total, every)):
        raise OutOfRange(
            f"record.every = {every} records presentations 0, {every}, {2 * every}, ..., of which the run from"
            f" presentation {start} to {total} has none. Give record.every of at most {total - start}."
        )


def _check_stop(instance: Instance) -> None:
    """Refuse an early stop that looks at what the task does not have.

    Raises:
        ModelError: naming the measure and the task.
    """
    rule, validation = instance.experiment.protocol.stop, instance.data.validation
    if rule is None or rule.measure == "nse":
        return
    lacking = (
        "validation data"
        if validation is None
        else (
            "class labels"
            if validation.labels is None and rule.measure == "validation_error"
            else (
                "validation targets but 0, over whose power the NSE is taken"
                if not validation.targets.any() and rule.measure == "validation_nse"
                else ""
            )
        )
    )
    if lacking:
        raise Unavailable(
            f"Protocol.stop looks at {rule.measure}, but {type(instance.experiment.task).__name__} has no {lacking}."
            f" Use measure = '{'nse' if validation is None or not validation.targets.any() else 'validation_nse'}', or"
            " another task."
        )


def evaluate(
    instance: Instance, runner: Consumer, state: Mapping[str, Array], at: int, name: str, most: int | None = None
) -> list[dict[str, Any]]:
    """Answers of the network on one split, or its first `most` examples, with learning off:
    no row where there is no such split."""
    split = instance.data.splits().get(name)
    if split is None:
        return []
    network = instance.network
    feed = instance.evaluation(name)
    if most is not None and most < len(split):
        feed = replace(feed, presentations=most, rows={of: rows[:most] for of, rows in feed.rows.items()})
        split = Split(split.inputs[:most], split.targets[:most], None if split.labels is None else split.labels[:most])
    segment = runner.segment(state, feed, learning=False, every=1, only=tuple(map(str, network.judged)))
    segment.check_finite(at)
    arrays, row = segment.recording.arrays, {"presentation": at, "split": name}
    error, power = instance.experiment.squares(arrays, split.final(slice(None)))
    answer = arrays[str(network.answer)]
    classes = split.labels is not None and network.wanted is None and answer.shape[1] == split.targets.shape[-1]
    wrong = error_rate(split.labels, answer) if classes and split.labels is not None else None
    if wrong is not None and split.labels is not None and answer.shape[1] <= MOST_CLASSES:
        row["confusion"] = confusion_matrix(np.asarray(split.labels), answer).tolist()
    return [
        row
        | {"nse": float(error.sum() / power.sum()) if power.any() else None, "error": wrong}
        | ({"van_rossum": float(error.mean())} if network.measure else {})
    ]


def _latest(segment: SegmentEnd, course: _Course) -> dict[str, float]:
    """What progress shows: the latest error rate, or the NSE of the last segment over the power of all targets."""
    if segment.evaluations and segment.evaluations[-1]["error"] is not None:
        return {f"{segment.evaluations[-1]['split']} error": segment.evaluations[-1]["error"]}
    return {"NSE": float("nan") if course.latest is None else course.training_nse(course.latest)}
