"""Which code of somebody's own may run: what has run here before under this user, by its SHA-256, or what is trusted.

The list of what has run is a file that only this user can write, one line for each SHA-256. `BIOFA_TRUST` names another
place for it.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import stat
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from pathlib import Path

import platformdirs

from bioFA.errors import UntrustedCode
from bioFA.own_code.files import CodeFile

LARGEST = 10_000_000
"""Of the list so many bytes are read."""
_here: set[str] = set()
"""What has run in this process, or was said to be trusted."""
_allowed: ContextVar[bool] = ContextVar("trust_code", default=False)
_looked: ContextVar[list[CodeFile] | None] = ContextVar("looked_at_code", default=None)


def place() -> Path:
    """The file with the list."""
    named = os.environ.get("BIOFA_TRUST")
    return Path(named) if named else Path(platformdirs.user_data_dir("bioFA", appauthor=False)) / "code_that_ran.txt"


@contextlib.contextmanager
def allowing(trust_code: bool = True) -> Iterator[None]:
    """Let all code run meanwhile (`--trust-code`), and note that it has."""
    token = _allowed.set(trust_code or _allowed.get())
    try:
        yield
    finally:
        _allowed.reset(token)


@contextlib.contextmanager
def looking() -> Iterator[list[CodeFile]]:
    """Let no code run meanwhile: what would have is collected, and refused."""
    found: list[CodeFile] = []
    token = _looked.set(found)
    try:
        yield found
    finally:
        _looked.reset(token)


def allow(hashes: Iterable[str]) -> None:
    """Let code with these SHA-256 run in this process, as one who started it has said."""
    _here.update(hashes)


def has_run(sha256: str) -> bool:
    """Whether code with this SHA-256 has run in this process, or before under this user."""
    return sha256 in _here or sha256 in _noted()


def permit(files: Iterable[CodeFile], named: bool, where: str) -> None:
    """Note that files run now, or refuse them.

    Args:
        files: the files.
        named: whether the user named them: a model file on the command line names its files.
        where: what holds it, for the message.

    Raises:
        UntrustedCode: if nobody trusts one.
    """
    files, looked = list(files), _looked.get()
    if looked is not None:
        looked += files
    if looked is not None and files:
        raise UntrustedCode(f"{where} holds code of somebody's own, which is looked at only.")
    strange = [file for file in files if not (named or _allowed.get() or has_run(file.sha256))]
    for file in strange:
        raise UntrustedCode(
            f"{where} holds code of somebody's own, {file.name} (SHA-256 {file.sha256}), which has not run here before,"
            " and which opening it would run with your rights. Look at it with 'biofa code PLACE'. If you trust it,"
            " give --trust-code, in Python trust_code=True."
        )
    for file in files:
        note(file)


def note(file: CodeFile) -> None:
    """Note that a file has run here, in this process and, where that can be written, in the list."""
    if file.sha256 in _here:
        return
    known = file.sha256 in _noted()
    _here.add(file.sha256)
    if known:
        return
    line = f"{file.sha256} {datetime.date.today().isoformat()} {file.name}\n"
    with contextlib.suppress(OSError):
        place().parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(place(), os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0), 0o600)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)


def _noted() -> frozenset[str]:
    """What the list holds; nothing where another user could have written it."""
    try:
        descriptor = os.open(place(), os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except (OSError, ValueError):
        return frozenset()
    known = os.fstat(descriptor)
    if not stat.S_ISREG(known.st_mode):
        os.close(descriptor)
        return frozenset()
    with os.fdopen(descriptor, "rb") as file:
        strange = hasattr(os, "geteuid") and (known.st_uid != os.geteuid() or known.st_mode & 0o022)
        if strange:
            return frozenset()
        lines = file.read(LARGEST).decode("ascii", "replace").splitlines()
    return frozenset(words[0] for line in lines if len(words := line.split()) > 1 and len(words[0]) == 64)
