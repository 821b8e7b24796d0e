"""Retry a call of the operating system while file handles, processes or memory are short (EMFILE, EAGAIN, ...)."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

SCARCE = {errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM}
PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
"""Seconds, one after the other."""


def retry_while_scarce(attempt: Callable[[], T]) -> T:
    """Call until it succeeds, for about three seconds, while there are too few handles, processes or memory.

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
