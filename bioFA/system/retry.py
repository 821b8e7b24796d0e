"""Wait where the machine has no file handle, process or memory to give just now: others may give some back."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

SCARCE = {errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM}
PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
"""Seconds, one after the other."""


def patiently(attempt: Callable[[], T]) -> T:
    """What an attempt gives, tried again for about three seconds while there are too few handles, processes or memory.

    Raises:
        OSError: the last one, where they stayed too few, or another at once.
    """
    for pause in PAUSES:
        try:
            return attempt()
        except OSError as error:
            if error.errno not in SCARCE:
                raise
            time.sleep(pause)
    return attempt()
