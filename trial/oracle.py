"""The oracle of every drill: bit-identical to the undisturbed run, or visibly failed under a stable code.
All else is silent or unclear.

    identical   exit code 0, and every array of the result has the bits of the undisturbed run
    refused     another exit code, a line `biofa: [code] ...` on standard error, nothing that looks done,
                and once the fault is gone the same work comes to the undisturbed run's bits (or is told not to)
    unclear     failed, but without a code, by a traceback, by hanging, or so that the work cannot be had again
    silent      exit code 0 with other numbers, or a stored result that is whole and holds other numbers
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import h5py
import numpy as np

from bioFA.system.sealed_hdf5 import is_whole

CODE = re.compile(r"^biofa: \[([a-z][a-z0-9-]*)\] \S", re.MULTILINE)


class Outcome(Enum):
    """The outcome of a fault."""

    IDENTICAL = "identical"
    REFUSED = "refused"
    UNCLEAR = "unclear"
    SILENT = "silent"

    @property
    def survived(self) -> bool:
        """Whether it is one of the two that are allowed."""
        return self in (Outcome.IDENTICAL, Outcome.REFUSED)


@dataclass(frozen=True)
class Attempt:
    """One injected fault: its outcome, and a message; whether what was continued came to the same bits (None
    where nothing was); how many runs were finished before the fault, and how many of them were no longer there,
    or not the same, after it."""

    outcome: Outcome
    message: str = ""
    resumed: bool | None = None
    finished: int = 0
    lost: int = 0


@dataclass(frozen=True)
class Ended:
    """A process that has ended: its exit code (None where it hung and was killed), and what it said."""

    code: int | None
    out: str
    err: str

    @property
    def last(self) -> str:
        """The last line of its complaints."""
        lines = self.err.strip().splitlines()
        return lines[-1][:200] if lines else ""


def digest(path: Path) -> str | None:
    """The SHA-256 over every array of a stored result and over what was measured on the way;
    None where there is no whole result.

    Timing and provenance, which tell of when and how it was computed, are left out.
    """
    try:
        if not is_whole(path):
            return None
        found = hashlib.sha256()
        with h5py.File(path, "r") as file:
            for name in ("experiment", "seed", "presentations", "evaluations", "findings"):
                found.update(repr(file.attrs[name]).encode())
            arrays: list[str] = []
            file.visititems(lambda name, item: arrays.append(name) if isinstance(item, h5py.Dataset) else None)
            for name in sorted(arrays):
                array = np.ascontiguousarray(file[name][()])
                found.update(f"{name} {array.dtype.str} {array.shape}".encode())
                found.update(array.tobytes())
    except (OSError, KeyError, RuntimeError):
        return None
    return found.hexdigest()


def complaint(ended: Ended) -> str | None:
    """Return what is wrong with how a process reported its failure; None where nothing is."""
    if ended.code is None:
        return "it hung"
    if ended.code == 0:
        return "it exited with 0"
    if "Traceback (most recent call last)" in ended.err:
        return f"a traceback: {ended.last}"
    if ended.code < 0:
        return f"it died by signal {-ended.code}: {ended.last}"
    if not CODE.search(ended.err):
        return f"no code on standard error: {ended.last or 'nothing'}"
    return None


def judge(ended: Ended, found: str | None, expected: str, looks_done: bool | None = None) -> Attempt:
    """Judge a process by its end and by the digest of the result that it left.

    Args:
        ended: the process.
        found: the digest of the result that it left, None where there is none.
        expected: that of the undisturbed run.
        looks_done: whether what it left looks done; where left out, whether it left a result.
    """
    if ended.code == 0:
        return (
            Attempt(Outcome.IDENTICAL)
            if found == expected
            else Attempt(
                Outcome.SILENT, "it exited with 0, and " + ("other numbers" if found else "there is no whole result")
            )
        )
    done = found is not None if looks_done is None else looks_done
    if done and found != expected:
        return Attempt(
            Outcome.SILENT, f"it failed, and left a result that is whole and holds other numbers; {ended.last}"
        )
    wrong = complaint(ended)
    return Attempt(Outcome.REFUSED, ended.last) if wrong is None else Attempt(Outcome.UNCLEAR, wrong)
