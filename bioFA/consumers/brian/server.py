"""`python -m bioFA.consumers.brian.server SOCKET`:
have Brian2 write C++ projects in forks of one process that has imported it.

`import brian2` is a third of a cold build's processor time; where many different networks are built, as in a test
suite, it is paid once.
A client is a process whose `BIOFA_BUILD_SERVER` names the socket (`compile.py`). A request is a line of JSON,
`{"folder": ..., "sources": ...}`: the folder holds `program.json` and is where the project goes; `sources` is the
digest of the code that writes it. The answer is `{"exit": 0, "stderr": ""}`, or `{"exit":
null}` where the server was started from other code. It ends with the process that started it.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from bioFA.consumers.brian.__main__ import write
from bioFA.consumers.brian.compile import sources


def serve(path: str) -> None:
    """Answer requests until the parent ends."""
    ours, parent = sources(), os.getppid()
    threading.Thread(target=_end_with, args=(parent, path), daemon=True).start()
    with socket.socket(socket.AF_UNIX) as listening, tempfile.TemporaryDirectory() as empty:
        listening.bind(path)
        listening.listen(16)  # who asks meanwhile waits
        os.environ["HOME"] = empty  # where no Brian2 preferences of the user are
        os.chdir(empty)
        sys.modules["pylab"] = None  # type: ignore[assignment]  # as in __main__.py
        import bioFA.consumers.brian.build  # noqa: F401 - what every fork has

        while True:
            connection, _ = listening.accept()
            with connection:
                request = json.loads(connection.makefile().readline() or "{}")
                answer = (
                    _build(Path(request["folder"])) if request.get("sources") == ours else {"exit": None, "stderr": ""}
                )
                connection.sendall(json.dumps(answer).encode() + b"\n")


def _end_with(parent: int, path: str) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    Path(path).unlink(missing_ok=True)
    os._exit(0)


def _build(folder: Path) -> dict[str, Any]:
    """Write one project in a fork, whose folder and home are where it works, as for a process of its own."""
    with tempfile.TemporaryFile() as complaints:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                os.dup2(complaints.fileno(), 1)
                os.dup2(complaints.fileno(), 2)
                os.chdir(folder)
                os.environ["HOME"] = str(folder)
                write(Path("program.json"), Path())
                code = 0
            except BaseException:
                import traceback

                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(code)
        _, status = os.waitpid(child, 0)
        complaints.seek(0)
        return {"exit": os.waitstatus_to_exitcode(status), "stderr": complaints.read().decode(errors="replace")}


if __name__ == "__main__":
    serve(sys.argv[1])
