"""Locks between processes: held by an open file, so that a killed process gives its locks back by dying."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class Held:
    """A lock that is held until it is closed, or nobody refers to it any more."""

    def __init__(self, opened: int):
        self._opened: int | None = opened

    def close(self) -> None:
        """Give the lock back."""
        if self._opened is not None:
            os.close(self._opened)
            self._opened = None

    def __enter__(self) -> Held:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()


def hold(path: Path, shared: bool = False, wait: bool = True) -> Held | None:
    """Hold the lock that a file stands for.

    Args:
        path: the lock's file, made where there is none; whoever holds the lock unshared may remove it.
        shared: many may hold a shared lock at once, but nobody beside them an unshared one.
        wait: wait for the lock, or else return None where another process has it.
    """
    kind = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB)
    while True:
        opened = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        held = Held(opened)
        try:
            fcntl.flock(opened, kind)
        except BlockingIOError:
            return None
        if _is(opened, path):
            return held
        held.close()  # whoever held it removed the file meanwhile, so this lock no longer guards anything


def _is(opened: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(opened), os.stat(path))
    except FileNotFoundError:
        return False
