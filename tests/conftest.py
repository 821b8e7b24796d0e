"""What all tests share: a compile cache of their own, so that each program is built once a session,
by whichever worker comes first."""

import gc
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

# `benchmarks`, which is not installed; last, so that an installed bioFA is the one tested
sys.path.append(str(Path(__file__).resolve().parent.parent))

# the same examples on every machine, more of them in CI's slow tier; others: --hypothesis-profile=default
EXAMPLES = int(os.environ.get("BIOFA_EXAMPLES", 25))
settings.register_profile("biofa", max_examples=EXAMPLES, deadline=None, derandomize=True, database=None)
settings.load_profile("biofa")


def pytest_configure(config):
    """Have builds cost less: for all workers, one process imports Brian2, and the compiler parses each header once."""
    if not hasattr(config, "workerinput") and not config.option.collectonly and "BIOFA_BUILD_SERVER" not in os.environ:
        config.of_builds = Path(tempfile.mkdtemp(prefix="biofa-"))
        _serve_builds(config.of_builds / "build")
        _parse_headers_once(config.of_builds)


def pytest_collection_finish():
    """Spare what was imported from every collection of garbage to come: closing a NIX file makes one."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure(config):
    """Remove the parsed headers."""
    if hasattr(config, "of_builds"):
        shutil.rmtree(config.of_builds, ignore_errors=True)


def _serve_builds(socket):
    os.environ["BIOFA_BUILD_SERVER"] = str(socket)
    command = [sys.executable, "-P", "-m", "bioFA.consumers.brian.server", str(socket)]
    subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _parse_headers_once(folder):
    """Put `compiler/g++` before the real one, where that is GCC."""
    real = shutil.which("g++")
    version = subprocess.run([real, "--version"], capture_output=True, text=True).stdout if real else ""
    if "Free Software Foundation" in version:
        path = os.pathsep.join([str(Path(__file__).parent / "compiler"), os.environ["PATH"]])
        os.environ |= {"BIOFA_TEST_COMPILER": real, "BIOFA_TEST_HEADERS": str(folder), "PATH": path}


@pytest.fixture
def cold_builds(monkeypatch):
    """Builds as on a user's machine: Brian2 is imported in a process of its own, and every header is parsed."""
    monkeypatch.setenv("BIOFA_BUILD_SERVER", "")
    monkeypatch.delenv("BIOFA_TEST_HEADERS", raising=False)


@pytest.fixture
def quick_builds(monkeypatch, _binaries):
    """Steps are compiled in half the time, into a cache of their own: for a family of many programs of which others are
    compiled as a user's are."""
    monkeypatch.setenv("BIOFA_TEST_STEPS", "-O1")
    monkeypatch.setenv("BIOFA_CACHE", f"{os.environ['BIOFA_CACHE']}-quick")


@pytest.fixture(scope="session", autouse=True)
def _binaries(tmp_path_factory):
    if "BIOFA_CACHE" not in os.environ:
        base = tmp_path_factory.getbasetemp()
        os.environ["BIOFA_CACHE"] = str((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "binaries")


@pytest.fixture(scope="session", autouse=True)
def _trusted_code(tmp_path_factory):
    """A list of the code that has run for tests alone."""
    os.environ["BIOFA_TRUST"] = str(tmp_path_factory.getbasetemp() / "code_that_ran.txt")


@pytest.fixture(scope="session", autouse=True)
def _forked_walks():
    from walks import Forking

    from bioFA.system import untrusted_hdf5

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(untrusted_hdf5, "subprocess", Forking)
        yield


@pytest.fixture
def processes_that_walk(monkeypatch):
    """HDF5 files are walked as for a user, in a process of its own (walks.py)."""
    monkeypatch.setattr("bioFA.system.untrusted_hdf5.subprocess", subprocess)


@pytest.fixture(autouse=True)
def _nothing_loaded():
    """A test may change what a part is, so it takes no experiment from before."""
    from bioFA.modelfiles import toml

    toml._LOADED.clear()


@pytest.fixture(scope="session", autouse=True)
def _power_stays_on():
    """Nothing is waited for until it is on disk, in this process: tests kill processes, not machines."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda opened: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def sandbox():
    """The sandbox of the drills, whose undisturbed runs and compiled programs all tests of a worker share."""
    from trial.sandbox import sandbox

    with sandbox() as made:
        yield made


@pytest.fixture(scope="module")
def plain_brian2():
    """Brian2 without compiling, in steps of 0.1 ms."""
    import brian2

    brian2.BrianLogger.log_level_error()
    before = brian2.prefs.codegen.target
    brian2.prefs.codegen.target = "numpy"
    brian2.defaultclock.dt = 1e-4 * brian2.second
    yield
    brian2.prefs.codegen.target = before
