"""Call another program so that it never outlives the call, or its caller: not by Ctrl-C, by SIGTERM, nor by taking too
long."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import traceback
import weakref
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

from bioFA.errors import CannotExecute, TooFewHandles
from bioFA.system.retry import SCARCE, retry_while_scarce

ENDED = b"ended\n"
"""The line that a served program writes when it has done what it was told."""
HANDED = b"handed\n"
"""The line that it writes when it has done a part of that."""


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
    with _begin(command, folder, environment) as process:
        try:
            said, complained = process.communicate(timeout=limit)
        except BaseException:
            _kill(process)
            raise
    return subprocess.CompletedProcess(command, process.returncode, _text(said), _text(complained))


def end_after(work: Callable[[], int]) -> NoReturn:
    """Do the work of a forked process and end it with the exit code that Python would end with, 130 where it was
    interrupted; what its parent means to do at its own end is left to the parent."""
    code = 1
    try:
        code = work()
    except KeyboardInterrupt:
        code = 130
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


class Answer(NamedTuple):
    """What a served program answers: whether it did what it was told, else the exit code with which it ended; and what
    it wrote to its two streams."""

    ended: bool
    code: int
    said: str
    complained: str


class Served:
    """A program that is begun once and does one thing after another.

    It reads the arguments of each from its standard input, each ended by a zero byte, all by another, and writes the
    line `ended` when that is done. The last word of its command is the number of this process, with which it is to end.
    It is begun when there is something to do, and again where it has ended meanwhile; it ends with this object, with
    this process, and with the first thing that fails. It runs in a process group of its own, as in `call`.
    """

    def __init__(self, command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None):
        self._command, self._folder, self._environment = command, folder, environment
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._end: Callable[[], object] = bool

    def call(self, arguments: Sequence[str]) -> Answer:
        """Have something done, and wait for its end.

        Raises:
            MissingError: if the program cannot be begun.
        """
        parts = self.follow(arguments)
        while True:
            try:
                next(parts)
            except StopIteration as end:
                answer: Answer = end.value
                return answer

    def follow(self, arguments: Sequence[str]) -> Generator[None, None, Answer]:
        """Have something done, and go on whenever a part of it is; who does not go on to its end ends the program.

        Raises:
            MissingError: if the program cannot be begun.
        """
        process = self._running()
        said, complained = bytearray(), bytearray()
        try:
            with contextlib.suppress(BrokenPipeError):  # it has ended, and is heard out
                _tell(process, b"".join(os.fsencode(argument) + b"\0" for argument in (*arguments, "")))
            ended = yield from _listen(process, said, complained)
            code = 0 if ended else process.wait()
        except BaseException:
            self.close()
            raise
        return Answer(ended, code, _text(said), _text(complained))

    def close(self) -> None:
        """End the program, with all that it does."""
        self._process = None
        self._end()

    def _running(self) -> subprocess.Popen[bytes]:
        """The program, begun where it does not run, or is that of the process which forked this one."""
        if self._process is None or self._owner != os.getpid() or self._process.poll() is not None:
            self.close()
            self._owner = os.getpid()
            self._process = _begin([*self._command, str(self._owner)], self._folder, self._environment, served=True)
            self._end = weakref.finalize(self, _close, self._process, self._owner)
        return self._process


def _tell(process: subprocess.Popen[bytes], order: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(order)
    process.stdin.flush()


def _listen(
    process: subprocess.Popen[bytes], said: bytearray, complained: bytearray
) -> Generator[None, None, bool]:
    """Gather what a served program writes, until it has done what it was told (True) or has ended (False)."""
    assert process.stdout is not None
    assert process.stderr is not None
    written = {process.stdout.fileno(): said, process.stderr.fileno(): complained}
    poll = select.poll()
    for opened in written:
        poll.register(opened, select.POLLIN)
    timeout, ended = None, False
    while written and (found := poll.poll(timeout)):
        for opened, _ in found:
            if part := os.read(opened, 65536):
                written[opened] += part
            else:
                poll.unregister(opened)
                del written[opened]
        while said.startswith(HANDED):
            del said[: len(HANDED)]
            yield
        if bytes(said[-len(ENDED) - 1 :]) in (ENDED, b"\n" + ENDED):
            del said[-len(ENDED) :]
            timeout, ended = 0, True  # what it complained of before that is there by now
    return ended


def _close(process: subprocess.Popen[bytes], owner: int) -> None:
    if os.getpid() != owner:  # a fork of the process that owns it
        return
    if process.poll() is None:
        _kill(process)
        process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()


def _begin(
    command: Sequence[str], folder: Path, environment: Mapping[str, str] | None, served: bool = False
) -> subprocess.Popen[bytes]:
    try:
        return retry_while_scarce(
            lambda: subprocess.Popen(
                command,
                cwd=folder,
                env=os.environ | dict(environment or {}),
                stdin=subprocess.PIPE if served else None,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
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


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a program with everything that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _text(written: bytes | bytearray) -> str:
    return written.decode(errors="replace")
