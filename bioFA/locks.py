"""Locks between processes: held by an open file, so that a killed process gives its locks back by dying."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO


def hold(path: Path, shared: bool = False, wait: bool = True) -> IO[str] | None:
    """Hold the lock that a file stands for until the returned file is closed.

    Args:
        path: the lock's file, made where there is none; whoever holds the lock may remove it.
        shared: many may hold a shared lock at once, but nobody beside them an unshared one.
        wait: wait for the lock, or else return None where another process has it.
    """
    kind = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB)
    while True:
        file = open(path, "a+")  # noqa: SIM115 (the open file is the lock)
        try:
            fcntl.flock(file, kind)
        except BlockingIOError:
            file.close()
            return None
        except BaseException:
            file.close()
            raise
        if _is(file, path):
            return file
        file.close()  # whoever held it removed the file meanwhile, so this lock no longer guards anything


def _is(file: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False
