"""Fork the runs of a comparison from one process that has everything loaded: `python -m bioFA.comparisons.forks`.

Starting Python and importing what a run needs costs more than a short run. Here it is paid once: the driver starts this
process, sends it the name of a job with the job's standard input, log and a pipe for its status, and gets a run that is
a process of its own, in a session of its own, to be limited and killed like one that was started alone. The process
that forks does nothing else, has one thread, and ends when the driver does. Elsewhere than on Linux, where forking
beside the system's own threads is not safe, and where this process cannot be had, runs are started one by one.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import IO, NoReturn

from bioFA.comparisons import worker
from bioFA.comparisons.table import Sweep, read
from bioFA.errors import BioFAError
from bioFA.own_code import trust
from bioFA.system.processes import end_after

READY = b"ready"
"""What the process says once it has loaded everything and can fork."""


class Forks:
    """The process that forks, as the driver sees it. Closed, it ends; its runs do not."""

    def __init__(self, folder: str, mixed: bool, code: tuple[str, ...] = ()):
        self._lock = threading.Lock()
        self._arguments = [folder, "mixed" if mixed else "", ",".join(code)]
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: socket.socket | None = None
        self._usable = sys.platform == "linux"

    def begin(self, name: str, directory: str, environment: Mapping[str, str], log: IO[bytes]) -> Forked | None:
        """Begin a run in a working directory, which writes to its log; None where that cannot be had.

        Directory and environment are those with which the first is begun.
        """
        with self._lock:
            if self._usable and self._connection is None:
                self._usable = self._start(directory, environment)
        if not self._usable or self._connection is None:
            return None
        (status, theirs), (given, stdin) = os.pipe(), os.pipe()
        run = Forked(status, stdin)
        try:
            with self._lock:
                socket.send_fds(self._connection, [os.fsencode(name)], [given, log.fileno(), theirs])
        except OSError:
            self._usable = False
        finally:
            os.close(theirs)
            os.close(given)
        if run.begun():
            return run
        self._usable = False
        run.close()
        return None

    def _start(self, directory: str, environment: Mapping[str, str]) -> bool:
        """Start the process, and wait until it has loaded everything; whether it will fork."""
        self._connection, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-P", "-m", __name__, str(theirs.fileno()), *self._arguments]
        with theirs, contextlib.suppress(OSError):
            self._process = subprocess.Popen(
                command, cwd=directory, env=environment, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            )
        return self._process is not None and self._connection.recv(len(READY)) == READY

    def close(self) -> None:
        """Let the process end."""
        if self._connection is not None:
            self._connection.close()
        if self._process is None:
            return
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Forked:
    """A run that was forked, as `subprocess.Popen` would show it."""

    def __init__(self, status: int, stdin: int):
        self.pid = 0
        self.returncode: int | None = None
        self.stdin: IO[bytes] | None = os.fdopen(stdin, "wb", buffering=0)
        self._status: int | None = status

    def begun(self) -> bool:
        """Whether it has been forked; waits for that."""
        line = self._line(None)
        self.pid = int(line) if line else 0
        return self.pid > 0

    def poll(self) -> int | None:
        """Its exit code, if it has ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end.

        Raises:
            subprocess.TimeoutExpired: if that takes too long.
        """
        if self.returncode is None:
            line = self._line(timeout)
            if not line:  # the process that forks was killed, and knows no more how this one ends
                self._send(signal.SIGKILL)
            self.returncode = int(line) if line else -signal.SIGKILL
            self.close()
        return self.returncode

    def terminate(self) -> None:
        """Ask it to end."""
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self._send(signal.SIGKILL)

    def close(self) -> None:
        """Close its status and its standard input, with which it ends if it has not."""
        if self._status is not None:
            os.close(self._status)
            self._status = None
        if self.stdin is not None:
            self.stdin.close()

    def _send(self, number: int) -> None:
        if self.returncode is None and self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def _line(self, timeout: float | None) -> bytes:
        """The next number of its status, or nothing where none will come."""
        if self._status is None:
            return b""
        poll = select.poll()
        poll.register(self._status, select.POLLIN)
        line = bytearray()
        while not line.endswith(b"\n"):
            if not poll.poll(None if timeout is None else 1000 * timeout):
                raise subprocess.TimeoutExpired("a run", timeout or 0.0)
            if not (part := os.read(self._status, 1)):
                return b""
            line += part
        return bytes(line)


def main(opened: str, folder: str, mixed: str = "", code: str = "") -> None:
    """Load everything, then fork a run for every name that comes, until the driver is gone.

    `code` holds the SHA-256 of the Python files that may run, with commas.
    """
    trust.allow(filter(None, code.split(",")))
    connection = socket.socket(fileno=int(opened))
    _load()
    table: Callable[[], Sweep] = partial(read, Path(folder), bool(mixed))
    with contextlib.suppress(BioFAError, OSError):  # what is wrong with it each run will say
        sweep = table()
        _ = sweep.experiments
        table = partial(_same, sweep)
    if len(os.listdir("/proc/self/task")) > 1:
        return
    gc.collect()
    gc.freeze()  # what is loaded is shared with the forks, and stays so
    woken, waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    connection.send(READY)
    running: dict[int, int] = {}
    poll = select.poll()
    for one in (connection.fileno(), woken):
        poll.register(one, select.POLLIN)
    while True:
        found = {one for one, _ in poll.poll()}
        if woken in found:
            with contextlib.suppress(BlockingIOError):
                os.read(woken, 4096)
            _reap(running)
        if connection.fileno() in found:
            name, given, _, _ = socket.recv_fds(connection, 4096, 3)
            if not name:
                return
            stdin, log, status = given
            pid = os.fork()
            if pid == 0:
                for one in (*running.values(), status, woken, waker):
                    os.close(one)
                connection.close()
                _become(stdin, log, os.fsdecode(name), table)
            running[pid] = status
            _write(status, pid)
            os.close(stdin)
            os.close(log)


def _load() -> None:
    """Import what a run imports."""
    import numpy.random  # noqa: F401

    import bioFA.consumers.brian.run
    import bioFA.runs.simulation  # noqa: F401


def _reap(running: dict[int, int]) -> None:
    """Pass on how runs ended."""
    while running:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        if (opened := running.pop(pid, None)) is not None:
            _write(opened, os.waitstatus_to_exitcode(status))
            os.close(opened)


def _write(status: int, number: int) -> None:
    with contextlib.suppress(BrokenPipeError):  # the driver does not want to know
        os.write(status, f"{number}\n".encode())


def _same(sweep: Sweep) -> Sweep:
    return sweep


def _become(stdin: int, log: int, name: str, table: Callable[[], Sweep]) -> NoReturn:
    """Be a run, and end with it."""

    def run() -> int:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        for number, one in enumerate((stdin, log, log)):
            os.dup2(one, number)
        os.close(stdin)
        os.close(log)
        code = worker.work(name, table)
        atexit._run_exitfuncs()
        return code

    end_after(run)


if __name__ == "__main__":
    main(*sys.argv[1:])
