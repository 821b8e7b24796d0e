"""HDF5 files that may be of anybody: walked from end to end by another process first,
so that one that crashes or hangs the library does not take us with it.

Not a sandbox: that process (`untrusted_walk.py`) has limits of time, memory and files, but is a process of the same
user; and what passed is then read here by the same library. A seal (`sealed_hdf5.py`) proves that a file is whole, not
whose it is, so it spares nobody the walk.
"""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bioFA.errors import DamagedFile, MalformedFile
from bioFA.system import untrusted_walk

WALKER = (sys.executable, "-P", untrusted_walk.__file__)
SLACK = 60
"""Seconds beyond those that the walk may compute, for disks that are slow."""
MOST = untrusted_walk.OUTPUT
"""Bytes of its output that are read."""


class Look(NamedTuple):
    """What a file holds: how many datasets, how many bytes unfolded,
    and the names of those whose values vary in length (the first 20)."""

    datasets: int
    bytes: int
    variable: tuple[str, ...]


def inspect(*paths: str | Path, walker: Sequence[str] = WALKER) -> tuple[Look, ...]:
    """Have files walked by another process before they are read here.

    Args:
        paths: HDF5 files.
        walker: the command that walks them.

    Raises:
        DamagedFile: naming the first file that the library cannot read from end to end.
        MalformedFile: naming the first that must not be read, and why: it is none, it leads to other files, needs a
            plug-in, unfolds to more than it can honestly hold, or crashed or hung the process that walked it.
        OSError: if there is none, or it cannot be reached.
    """
    size = sum(_size(Path(path)) for path in paths)
    timeout = SLACK + untrusted_walk.CPU + size // untrusted_walk.BYTES_A_SECOND
    environment = os.environ | {"HDF5_PLUGIN_PRELOAD": "::", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [*walker, *(os.path.abspath(path) for path in paths)]
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        try:
            status = subprocess.run(
                command,
                cwd="/",
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                timeout=timeout,
                start_new_session=True,
            ).returncode
        except subprocess.TimeoutExpired:
            status = None
        output.seek(0)
        errors.seek(0)
        lines, messages = (
            output.read(MOST).splitlines(),
            errors.read(MOST).decode(errors="replace").strip().splitlines(),
        )
    looks = []
    for number, path in enumerate(paths):
        verdict = _verdict(lines[number]) if number < len(lines) else {}
        if verdict.get("refused") is False:
            raise DamagedFile(f"'{path}' is not a whole HDF5 file ({verdict['message']}). Get it, or make it, anew.")
        if verdict.get("ok") is not True:
            raise MalformedFile(
                f"'{path}' is not read: {verdict.get('message') or _ended(status, timeout, messages)}. "
                "Get the file anew, or from somebody you trust."
            )
        looks.append(Look(int(verdict["datasets"]), int(verdict["bytes"]), tuple(map(str, verdict["variable"]))))
    if status != 0:
        raise MalformedFile(
            f"'{paths[-1]}' is not read: {_ended(status, timeout, messages)}. Get the file anew, or from somebody"
            " you trust."
        )
    return tuple(looks)


def _size(path: Path) -> int:
    found = os.stat(path)
    if not stat.S_ISREG(found.st_mode):
        raise MalformedFile(f"'{path}' is no file of bytes on a disk. Give an HDF5 file.")
    return found.st_size


def _verdict(line: bytes) -> dict[str, Any]:
    try:
        verdict = json.loads(line)
    except ValueError:
        return {}
    return verdict if isinstance(verdict, dict) else {}


def _ended(status: int | None, timeout: float, messages: Sequence[str]) -> str:
    """How a process ended that did not say what it found."""
    if status is None:
        return f"a process that walked it did not come to an end within {timeout:g} s"
    if status in (-signal.SIGXCPU, -signal.SIGKILL):
        return "a process that walked it used up its time or its memory"
    end = f"signal {-status}" if status < 0 else f"exit code {status}"
    return f"a process that walked it died of it ({end}{f': {messages[-1][:200]}' if messages else ''})"
