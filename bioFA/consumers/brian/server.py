"""`python -m bioFA.consumers.brian.server SOCKET`:
have Brian2 write C++ projects one after another in one process.

`import brian2` is a third of a cold build's processor time, and what SymPy has solved once it need not solve again;
where many different networks are built, as in a test suite, both are paid once.
A client is a process whose `BIOFA_BUILD_SERVER` names the socket (`compile.py`). A request is a line of JSON,
`{"folder": ..., "sources": ...}`: the folder holds `program.json` and is where the project goes; `sources` is the
digest of the code that writes it. The answer is `{"exit": 0, "stderr": ""}`, or `{"exit": null}` where the server was
started from other code. It ends with the process that started it.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import socket
import sys
import tempfile
import threading
import time
import traceback
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
        import bioFA.consumers.brian.build  # noqa: F401 - once, before the first request

        while True:
            connection, _ = listening.accept()
            with connection:
                request = json.loads(connection.makefile().readline() or "{}")
                known = request.get("sources") == ours
                answer = _build(Path(request["folder"]), Path(empty)) if known else {"exit": None, "stderr": ""}
                with contextlib.suppress(OSError):  # who asked may be gone
                    connection.sendall(json.dumps(answer).encode() + b"\n")
            if answer["exit"]:  # what Brian2 holds of a build that failed is not for the next one
                Path(path).unlink(missing_ok=True)
                os.execv(sys.executable, sys.orig_argv)


def _end_with(parent: int, path: str) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    Path(path).unlink(missing_ok=True)
    os._exit(0)


def _build(folder: Path, empty: Path) -> dict[str, Any]:
    """Write one project as a process of its own would, and have Brian2 forget the network, not what it derived."""
    import brian2

    os.environ["HOME"] = str(folder)
    os.chdir(folder)
    try:
        write(Path("program.json"), Path())
    except Exception:
        return {"exit": 1, "stderr": traceback.format_exc()}
    finally:
        os.chdir(empty)
        os.environ["HOME"] = str(empty)
    brian2.get_device().reinit()
    brian2.get_device().activate()
    brian2.start_scope()
    gc.collect()
    return {"exit": 0, "stderr": ""}


if __name__ == "__main__":
    serve(sys.argv[1])
