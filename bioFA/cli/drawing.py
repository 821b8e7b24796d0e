"""Draw the figures of a run in processes of their own, one a figure, forked from one that has everything loaded.

Importing matplotlib and writing three formats of each figure takes seconds, longer than a short run. The command that
runs forks a process before anything is drawn, allocated or started; it loads what draws meanwhile and, told where the
result is, forks a process for each figure. Where there is none (elsewhere than on Linux, where forking is not safe, or
on one core), or it fails, the command draws the figures itself, one by one, and says what is wrong.
"""

from __future__ import annotations

import contextlib
import gc
import io
import os
import signal
import sys
import warnings
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bioFA.system.processes import end_after

if TYPE_CHECKING:
    from bioFA.runs.result import Result
    from bioFA.runs.simulation import Finish


class Drawing:
    """What draws the figures of a run, if they are wanted, as the command that runs it sees it."""

    def __init__(self, wanted: bool):
        self._wanted = wanted
        self._process: int | None = None
        if wanted and sys.platform == "linux" and len(os.sched_getaffinity(0)) > 1:
            self._start()

    def into(self, folder: Path) -> Finish | None:
        """What draws the figures of a result that is written to a folder; None where they are not wanted.

        It raises a FileError if the folder cannot be written.
        """
        return partial(self._draw, folder) if self._wanted else None

    def close(self) -> None:
        """End the process, if the run did not come to its figures."""
        if self._process is not None:
            os.kill(self._process, signal.SIGKILL)
            self._tell(b"")

    def _start(self) -> None:
        told, self._pipe = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        with warnings.catch_warnings(), contextlib.suppress(OSError):
            warnings.simplefilter("ignore", DeprecationWarning)  # NumPy's threads, if it has any, hold no lock of ours
            if not (process := os.fork()):
                end_after(partial(_serve, told))
            self._process = process
        os.close(told)

    def _draw(self, folder: Path, result: Result) -> None:
        if self._process is not None and self._tell(os.fsencode(folder)) == 0:
            return
        from bioFA.show import figures

        figures.save_all(result, folder)

    def _tell(self, folder: bytes) -> int:
        """Tell the process where the result is, and wait for its end; how it ended."""
        process, self._process = self._process, None
        assert process is not None
        with contextlib.suppress(OSError):
            os.write(self._pipe, folder)
        os.close(self._pipe)
        return os.waitpid(process, 0)[1]


def _serve(told: int) -> int:
    """Load what draws, wait for the folder of a result, and draw its figures there; the exit code."""
    gc.disable()  # which takes longer here than what it would free is worth
    os.setsid()  # Ctrl-C is for the command, which then ends this one
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    null = os.open(os.devnull, os.O_RDWR)
    for place, one in enumerate((told, null, null)):
        os.dup2(one, place)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))  # those of the command end with it
    from bioFA.runs.result import RESULT, load_result
    from bioFA.show import figures

    _load()
    gc.freeze()  # what is loaded is shared with the forks, and stays so
    with os.fdopen(0, "rb") as given:
        if not (named := given.read()):
            return 0
    folder = Path(os.fsdecode(named))
    result = load_result(folder / RESULT, trusted=True)
    forks = []
    for draw in figures.drawn(result):
        if not (fork := os.fork()):
            end_after(lambda: int(not figures.save(draw, result, folder)))  # noqa: B023 - it sees no other
        forks.append(fork)
    ended = [os.waitpid(fork, 0)[1] for fork in forks]
    return int(any(ended))


def _load() -> None:
    """Have matplotlib load what writes the formats, and its fonts, which it does at its first figure."""
    import matplotlib.backends.backend_agg
    import matplotlib.backends.backend_pdf
    import matplotlib.backends.backend_svg
    from matplotlib.figure import Figure

    from bioFA.show.style import STYLE

    with matplotlib.rc_context(STYLE):
        figure = Figure()
        figure.subplots().set_title("$10^1$")
        figure.savefig(io.BytesIO(), format="png")
