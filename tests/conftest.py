"""What all tests share: a compile cache of their own, so that each program is built once a session,
by whichever worker comes first."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

# `benchmarks`, which is not installed; last, so that an installed bioFA is the one tested
sys.path.append(str(Path(__file__).resolve().parent.parent))

# the same examples on every machine; others: --hypothesis-profile=default
settings.register_profile("biofa", deadline=None, derandomize=True, database=None)
settings.load_profile("biofa")


def pytest_configure(config):
    """Start one process that has imported Brian2, for the builds of all workers;
    the tests of builds themselves go without it."""
    if not hasattr(config, "workerinput") and not config.option.collectonly and "BIOFA_BUILD_SERVER" not in os.environ:
        os.environ["BIOFA_BUILD_SERVER"] = str(Path(tempfile.mkdtemp(prefix="biofa-")) / "build")
        command = [sys.executable, "-P", "-m", "bioFA.consumers.brian.server", os.environ["BIOFA_BUILD_SERVER"]]
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.fixture
def cold_builds(monkeypatch):
    """Builds as on a user's machine: Brian2 is imported in a process of its own."""
    monkeypatch.setenv("BIOFA_BUILD_SERVER", "")


@pytest.fixture(scope="session", autouse=True)
def _binaries(tmp_path_factory):
    if "BIOFA_CACHE" not in os.environ:
        base = tmp_path_factory.getbasetemp()
        os.environ["BIOFA_CACHE"] = str((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "binaries")


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
