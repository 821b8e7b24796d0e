"""What a release ships: wheel and sdist are built, pass the index's checks, and run where they are installed alone."""

import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
pytestmark = pytest.mark.slow


def run(*words, where, **environment):
    """What a command prints; it must end well."""
    done = subprocess.run(
        [str(word) for word in words], cwd=where, capture_output=True, text=True, env=os.environ | environment
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory):
    """The wheel and the sdist of the files that git tracks."""
    pytest.importorskip("build", reason="packages are built by: pip install '.[dev]'")
    if not (ROOT / ".git").exists():
        pytest.skip("packages are built from a checkout")
    source = tmp_path_factory.mktemp("packages")
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in tracked.decode().split("\0"):
        if name and (ROOT / name).is_file():
            place = source / "source" / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes((ROOT / name).read_bytes())
    # the sdist, and the wheel made of the sdist alone
    run(sys.executable, "-m", "build", "--outdir", source / "dist", where=source / "source")
    return {path.name.rsplit(".", 1)[1]: path for path in (source / "dist").iterdir()}


@pytest.fixture(scope="module")
def installed(dist, tmp_path_factory):
    """A Python that has the wheel, and what it depends on from here; bioFA's checkout is nowhere on its path."""
    home = tmp_path_factory.mktemp("installed")
    run(sys.executable, "-m", "venv", "--without-pip", home / "venv", where=home)
    python = home / "venv" / "bin" / "python"
    packages = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", where=home).strip())
    with zipfile.ZipFile(dist["whl"]) as wheel:  # as an installer does with a wheel of Python files
        wheel.extractall(packages)
    (packages / "others.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    return python


def test_the_index_would_take_both(dist):
    pytest.importorskip("twine", reason="checked by: pip install '.[dev]'")
    assert set(dist) == {"whl", "gz"}
    assert "PASSED" in run(sys.executable, "-m", "twine", "check", "--strict", *dist.values(), where=ROOT)


def test_the_wheel_holds_every_tracked_file_of_the_package_and_no_other(dist):
    tracked = subprocess.run(["git", "ls-files", "bioFA", "models"], cwd=ROOT, capture_output=True, text=True).stdout
    expected = {
        name.replace("models/", "bioFA/models/", 1) if name.startswith("models/") else name for name in tracked.split()
    }
    with zipfile.ZipFile(dist["whl"]) as wheel:
        held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert held == expected


def test_the_sdist_holds_what_the_tests_need(dist):
    with tarfile.open(dist["gz"]) as sdist:
        held = {name.partition("/")[2] for name in sdist.getnames()}
    tracked = subprocess.run(["git", "ls-files", "tests", "docs", "models", "benchmarks", "trial", "examples"],
                             cwd=ROOT, capture_output=True, text=True).stdout  # fmt: skip
    assert set(tracked.split()) <= held


def test_the_wheel_runs_without_a_compiler_and_says_what_needs_one(installed, tmp_path):
    (tmp_path / "bin").mkdir()
    bare = {
        "PATH": str(tmp_path / "bin"),
        "BIOFA_CACHE": str(tmp_path / "cache"),
        "CC": "",
        "CXX": "",
        "PYTHONPATH": "",
    }
    told = run(
        installed,
        "-m",
        "bioFA",
        "run",
        "digits",
        "--backend",
        "numpy",
        "--set",
        "protocol.epochs=1",
        where=tmp_path,
        **bare,
    )
    assert "Result of digits" in told
    place = run(installed, "-c", "import bioFA; print(bioFA.__file__, bioFA.__version__)", where=tmp_path, **bare)
    assert str(installed.parent.parent) in place
    refused = subprocess.run(
        [installed, "-m", "bioFA", "run", "digits", "--out", "other"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=os.environ | bare,
    )
    assert refused.returncode == 3
    assert "compiler" in refused.stderr
    assert "--backend numpy" in refused.stderr
