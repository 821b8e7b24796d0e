"""The jobs of comparisons in this process, for tests of what comparisons say, not of how their runs are begun."""

import contextlib
import time
from pathlib import Path

import numpy as np
import pytest

from bioFA.comparisons import driver, worker
from bioFA.comparisons.table import read


def attempt(folder, name, limit, directory, memory=None, mixed=False, stop=None, forks=None, code=()):
    """As `driver.attempt`, for a job that is not expected to fail."""
    sweep = read(Path(folder), mixed)
    job = next(job for job in sweep.jobs if job.name == name)
    if sweep.outcome(job) is None:
        with np.errstate(all="ignore"):  # a run that diverges overflows; here pytest would make that an error
            worker._perform(sweep, job, time.monotonic())


@contextlib.contextmanager
def jobs_here():
    """Within it, no job has a process of its own, whose imports would cost more than a small run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(driver, "attempt", attempt)
        yield
