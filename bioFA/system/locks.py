"""Locks between processes: held by an open file, so that a killed process gives its locks back by dying."""

from __future__ import annotations

import datetime
import fcntl
import json
import os
import shlex
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bioFA.errors import CannotWrite, PlaceBusy
from bioFA.system.retry import retry_while_scarce


class Held:
    """A lock that is held until it is closed, or nobody refers to it any more."""

    def __init__(self, opened: int, path: Path):
        self._opened: int | None = opened
        self._path = path

    @property
    def valid(self) -> bool:
        """Whether it still guards anything: not once another process has taken it over, or its file is gone."""
        return self._opened is not None and _is(self._opened, self._path)

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


def hold(path: Path, shared: bool = False, wait: bool | float = True) -> Held | None:
    """Hold the lock that a file stands for.

    Args:
        path: the lock's file, made where there is none; whoever holds the lock unshared may remove it.
        shared: many may hold a shared lock at once, but nobody beside them an unshared one.
        wait: wait for the lock, or so many seconds; return None where another process has it then.
    """
    forever = wait is True
    kind = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if forever else fcntl.LOCK_NB)
    end = time.monotonic() + float(wait)
    while True:
        opened = retry_while_scarce(lambda: os.open(path, os.O_RDWR | os.O_CREAT, 0o666))
        held = Held(opened, path)
        try:
            fcntl.flock(opened, kind)
        except BlockingIOError:
            if not wait or time.monotonic() > end:
                return None
            time.sleep(0.05)
            continue
        if _is(opened, path):
            if not shared:
                _sign(opened)
            return held
        held.close()  # whoever held it removed the file meanwhile, so this lock no longer guards anything


def _is(opened: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(opened), os.stat(path))
    except FileNotFoundError:
        return False


def _sign(opened: int) -> None:
    """Write into a lock's file who holds it."""
    since = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    try:
        os.ftruncate(opened, 0)
        os.pwrite(opened, json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": since}).encode(), 0)
    except OSError:  # a full disk: the lock holds all the same
        pass


def holder(path: Path) -> str:
    """Describe who holds a lock, as far as its file says."""
    try:
        known = json.loads(path.read_bytes())
        return f"process {int(known['pid'])} on {str(known['host'])[:80]}, since {str(known['since'])[:30]}"
    except (OSError, ValueError, KeyError, TypeError):
        return "which did not say who it is"


@contextmanager
def hold_folder(
    folder: Path, lock: Path, use: str, remedy: str, shared: bool = False, take: Iterable[Path] = (),
) -> Iterator[Held]:
    """Hold a folder by its lock, at once or not at all.

    Args:
        folder: what is held, for messages.
        lock: its lock's file.
        use: what another process that has it does, such as `"is running in"`.
        remedy: what to do where the folder cannot be written.
        shared: as in `hold`.
        take: locks to remove where another process has the folder, so that they guard nothing any more (`Held.valid`).

    Raises:
        PlaceBusy: if another process has it.
        CannotWrite: if the lock's file cannot be written.
    """
    try:
        held = hold(lock, shared, wait=False)
        if held is None and (taken := list(take)):
            for path in taken:
                path.unlink(missing_ok=True)
            held = hold(lock, shared, wait=False)
    except OSError as error:
        raise CannotWrite(f"'{folder}' cannot be written ({error.strerror}). {remedy}") from None
    if held is None:
        raise PlaceBusy(
            f"another process {use} '{folder}' now ({holder(lock)}). Wait for it, or give another folder. "
            f"If it is on a machine that is gone: biofa resume {shlex.quote(str(folder))} --force"
        )
    with held:
        yield held
