"""Call another program so that it never outlives the call: not by Ctrl-C, nor by SIGTERM."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from bioFA.errors import CannotExecute


def call(command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder to its end; if we are interrupted, end it with everything that it started.

    It runs in a process group of its own, so that Ctrl-C reaches it only through us: a program
    stopped by itself half way could look finished.
    """
    try:
        started = subprocess.Popen(
            command, cwd=folder, env=os.environ | dict(environment or {}), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        )
    except OSError as error:
        raise CannotExecute(
            f"'{command[0]}' cannot be run here ({error.strerror}). If its folder forbids programs, set BIOFA_CACHE to one that allows them."
        ) from None
    with started as process:
        try:
            said, complained = process.communicate()
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    return subprocess.CompletedProcess(command, process.returncode, said, complained)
