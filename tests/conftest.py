"""What all tests share: a compile cache of their own, so that each program is built once a session, by whichever worker comes first."""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

sys.path.append(str(Path(__file__).resolve().parent.parent))  # `benchmarks`, which is not installed; last, so that an installed bioFA is the one tested

settings.register_profile("biofa", deadline=None, derandomize=True, database=None)  # the same examples on every machine; others: --hypothesis-profile=default
settings.load_profile("biofa")


@pytest.fixture(scope="session", autouse=True)
def _binaries(tmp_path_factory):
    if "BIOFA_CACHE" not in os.environ:
        base = tmp_path_factory.getbasetemp()
        os.environ["BIOFA_CACHE"] = str((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "binaries")


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
