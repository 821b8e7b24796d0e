"""`python forks.py SOCKET MODULE...`: run commands one after the other, or side by side, as forks of a process that has
imported what they need; most of the time of a short one goes into imports.

A request (`ask`) is code, arguments, a folder, an environment, and three open files. What runs is a process of its own,
as if Python had been started on the code. The server ends with the process that started it. It needs Python alone, so
that it serves in environments of others, too.
"""

import array
import atexit
import contextlib
import gc
import importlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path


def ask(path, code, arguments, folder, environment, files=(0, 1, 2)):
    """Run code in a fork of the server at a socket.

    Returns:
        Its exit code.
    """
    request = {"code": code, "arguments": arguments, "folder": str(folder), "environment": dict(environment)}
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        connection.sendmsg([b"\n"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))])
        connection.sendall(json.dumps(request).encode() + b"\n")
        return int(connection.makefile().readline() or "-1")


def output_of(path, code, arguments, folder, environment):
    """Run code in a fork of the server at a socket.

    Returns:
        Its exit code, and all that it printed.
    """
    with tempfile.TemporaryFile() as printed, open(os.devnull) as nothing:
        files = (nothing.fileno(), printed.fileno(), printed.fileno())
        ended = ask(path, code, arguments, folder, environment, files)
        printed.seek(0)
        return ended, printed.read().decode(errors="replace")


def start(path, modules, python=sys.executable, prepare="", environment=None):
    """Start a server, and wait until it listens; it runs `prepare` once it has imported its modules."""
    command = [python, __file__, str(path), *modules]
    asked = (os.environ if environment is None else environment) | {"FORKS_PREPARE": prepare}
    server = subprocess.Popen(command, env=asked, stdin=subprocess.DEVNULL)
    while not Path(path).exists():
        if server.poll() is not None:
            raise RuntimeError(f"no server of forks: it exited with {server.returncode}")
        time.sleep(0.02)
    return server


def serve(path, modules):
    """Answer requests until the parent ends."""
    parent = os.getppid()
    sys.path.pop(0)  # the folder of this file
    for name in modules:
        importlib.import_module(name)
    exec(os.environ.pop("FORKS_PREPARE", ""), {})
    gc.collect()
    gc.freeze()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{path}.new")
        listening.listen(16)
        listening.settimeout(1.0)
        os.rename(f"{path}.new", path)
        while os.getppid() == parent:
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            with contextlib.suppress(TimeoutError):
                connection, _ = listening.accept()
                with connection:
                    if not os.fork():
                        listening.close()
                        _answer(connection)


def _answer(connection):
    """Run what is asked for in a process of its own, and say how it ended."""
    connection.setblocking(True)
    files = array.array("i")
    _, (received, *_), *_ = connection.recvmsg(1, socket.CMSG_SPACE(3 * files.itemsize))
    files.frombytes(received[2])
    request = json.loads(connection.makefile().readline())
    child = os.fork()
    if not child:
        connection.close()
        _run(request, files)
    _, status = os.waitpid(child, 0)
    connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _run(request, files):
    ended = 1
    atexit._clear()  # what was to be done at the server's end
    try:
        for stream, file in enumerate(files):
            os.dup2(file, stream)
        os.chdir(request["folder"])
        os.environ.clear()
        os.environ.update(request["environment"])
        sys.argv = request["arguments"]
        sys.path.insert(0, "")
        exec(compile(request["code"], "<forked>", "exec"), {"__name__": "__main__"})
        ended = 0
    except SystemExit as end:
        ended = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        atexit._run_exitfuncs()
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(ended & 0xFF)


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2:])
