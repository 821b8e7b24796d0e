"""Call another program so that it never outlives the call: not by Ctrl-C, by SIGTERM, nor by taking too long."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from bioFA.errors import CannotExecute, TooFewHandles
from bioFA.system.retry import SCARCE, retry_while_scarce


def call(
    command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None, limit: float | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder to its end; if we are interrupted, or it takes more than `limit` seconds,
    end it with everything that it started.

    It runs in a process group of its own, so that Ctrl-C reaches it only through us: a program
    stopped by itself half way could look finished.

    Raises:
        MissingError: if it cannot be begun.
        subprocess.TimeoutExpired: if it took too long.
    """
    try:
        started = retry_while_scarce(
            lambda: subprocess.Popen(
                command,
                cwd=folder,
                env=os.environ | dict(environment or {}),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        )
    except OSError as error:
        if error.errno in SCARCE:
            raise TooFewHandles(
                f"'{command[0]}' cannot be started now: {error.strerror}. Run less at once, or raise the limit (ulimit"
                " -n, ulimit -u)."
            ) from None
        raise CannotExecute(
            f"'{command[0]}' cannot be run here ({error.strerror}). If its folder forbids programs, set BIOFA_CACHE to"
            " one that allows them."
        ) from None
    with started as process:
        try:
            said, complained = process.communicate(timeout=limit)
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    return subprocess.CompletedProcess(command, process.returncode, said, complained)
