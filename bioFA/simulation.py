"""Run an experiment: draw the instance, run it stretch by stretch, measure, and hand back a result."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from bioFA import provenance
from bioFA.analysis.learning import error_rate, nse
from bioFA.errors import ModelError, suggestion
from bioFA.experiment import Experiment
from bioFA.instance import Instance, draw
from bioFA.recording import Consumer, Recording
from bioFA.reference import Reference
from bioFA.result import Result

Array = np.ndarray
Progress = Callable[[int, int, dict[str, float]], None]
"""Called with presentations done, presentations in all, and the latest measurements."""

BACKENDS = ("cpp", "numpy")
PRECISIONS = ("float32", "float64")


def consumer(instance: Instance, backend: str, precision: str = "float64") -> Consumer:
    """The consumer of a backend's name: `cpp` (Brian2, compiled) or `numpy` (the reference, always float64).

    Raises:
        ModelError: if there is no such backend, or none with that precision.
        MissingError: if the compiler or Brian2 is missing.
    """
    if precision not in PRECISIONS:
        raise ModelError(f"unknown precision '{precision}'.{suggestion(precision, PRECISIONS)}")
    if backend == "numpy":
        if precision != "float64":
            raise ModelError("the NumPy reference computes in float64 only; got precision 'float32'. Use the backend 'cpp' for float32.")
        return Reference(instance)
    if backend == "cpp":
        from bioFA.brian.run import Compiled

        return Compiled(instance, precision)
    raise ModelError(f"unknown backend '{backend}'.{suggestion(backend, BACKENDS)}")


def simulate(
    experiment: Experiment, seed: int = 1, backend: str = "cpp", progress: Progress | None = None, precision: str = "float64"
) -> Result:
    """Run an experiment from a seed.

    Args:
        experiment: the description; `bioFA.load("digits")` gives a built-in one.
        seed: the one integer that makes the instance.
        backend: `cpp` or `numpy`.
        progress: called after every stretch of presentations.
        precision: `float64`, or `float32` (C++ only) for half the memory and more speed.

    Raises:
        ModelError: if seed or backend are wrong.
        MissingError: if the machine lacks what the backend needs.
        RunError: if the run failed, did not finish, or diverged.
    """
    began = time.perf_counter()
    started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    instance = draw(experiment, seed)
    runner = consumer(instance, backend, precision)
    total = instance.presentations()
    points = snapshot_points(total, experiment.protocol.snapshots)
    state = instance.state
    snapshots = [_weights(instance, state)]
    parts: list[Recording] = []
    evaluations: list[dict[str, Any]] = []
    running = time.perf_counter()
    for start, stop in pairwise(points):
        segment = runner.segment(state, instance.training(start, stop), learning=True)
        segment.check_finite(start)
        state = segment.state
        parts.append(segment.recording)
        snapshots.append(_weights(instance, state))
        evaluations += _evaluate(instance, runner, state, stop, final=stop == total)
        if progress is not None:
            progress(stop, total, _latest(evaluations, instance, segment.recording, start))
    finished = time.perf_counter()
    recording = Recording.join(parts, points[:-1])
    targets = instance.data.train.targets[np.concatenate([instance.order(a, b) for a, b in pairwise(points)])]
    timing = {"codegen_s": 0.0, "compile_s": 0.0, "cached": False} | runner.timing
    timing |= {"run_s": finished - running, "total_s": finished - began}
    return Result(
        experiment=experiment, seed=instance.seed, backend=runner.name, presentations=total, recording=recording,
        targets=targets[recording.at], snapshots_at=np.array(points),
        snapshots={name: np.stack([shot[name] for shot in snapshots]) for name in snapshots[0]},
        evaluations=tuple(evaluations), state=dict(state), timing=timing,
        provenance=provenance.collect(experiment, started) | {"engine": runner.engine},
    )


def snapshot_points(presentations: int, snapshots: int) -> list[int]:
    """Where stretches begin and end: 0, then at most `snapshots` further points, the last the end."""
    return sorted({0, *(round(presentations * k / snapshots) for k in range(1, snapshots + 1))})


def _weights(instance: Instance, state: Any) -> dict[str, Array]:
    return {f"{p.name}.w": state[f"{p.name}.w"].copy() for p in instance.network.owners() if f"{p.name}.w" in state}


def _evaluate(instance: Instance, runner: Consumer, state: Any, at: int, final: bool) -> list[dict[str, Any]]:
    """Answers of the network with learning off: on validation data, and at the end on the test data."""
    splits = instance.data.splits()
    wanted = [name for name in ("validation", "test") if name in splits and (final or name == "validation")]
    rows = []
    for name in wanted:
        segment = runner.segment(state, instance.evaluation(name), learning=False, every=1)
        segment.check_finite(at)
        answers, split = segment.recording.arrays[str(instance.network.readout)], splits[name]
        error = None if split.labels is None else error_rate(split.labels, answers)
        rows.append({"presentation": at, "split": name, "nse": nse(split.targets, answers), "error": error})
    return rows


def _latest(evaluations: list[dict[str, Any]], instance: Instance, recording: Recording, start: int) -> dict[str, float]:
    """What progress shows: the latest error rate, or the NSE of the last stretch over the power of all targets."""
    if evaluations and evaluations[-1]["error"] is not None:
        return {f"{evaluations[-1]['split']} error": evaluations[-1]["error"]}
    targets = instance.data.train.targets
    shown = targets[instance.order(start, start + int(recording.at[-1]) + 1)[recording.at]]
    errors = shown - recording.arrays[str(instance.network.readout)]
    return {"NSE": float(np.mean(errors**2) / np.mean(targets**2))}
