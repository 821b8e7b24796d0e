"""What a run or a data set needs from the machine, and whether it is here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from bioFA.optional import Package

OTHERS = {
    Package("Dask", "distributed", "cluster"): "biofa compare --scheduler",
    Package("xarray", "xarray", "xarray"): "Result.to_xarray",
}
"""Optional packages that no format or task states, and what they are for."""


class Check(NamedTuple):
    """One thing that is needed or of use: whether it is here, what was found, and how to mend it."""

    name: str
    ok: bool
    needed: bool
    found: str
    fix: str


def checks() -> list[Check]:
    """Everything that a run or a data set needs from the machine."""
    from bioFA.analysis.spikes import INSTALL, has_elephant
    from bioFA.consumers.brian.cache import cache_folder, compiler
    from bioFA.runs.provenance import versions
    from bioFA.tasks.mnist_files import has_mnist, mnist_folder

    known = versions()
    packages = ", ".join(f"{name} {version}" for name, version in known.items() if name not in ("python", "brian2"))
    brian2, complaint = _runs([sys.executable, "-c", "import brian2"])
    program = compiler()[0]
    compiles, refusal = _compiles(compiler())
    sklearn, _ = _runs([sys.executable, "-c", "import sklearn.datasets"])
    mnist = has_mnist()
    return [
        Check(
            "Python", (3, 11) <= sys.version_info[:2] <= (3, 13), True, known["python"], "install 3.11, 3.12 or 3.13"
        ),
        Check("packages", "not installed" not in packages, True, packages, "pip install bioFA"),
        Check("Brian2", brian2, True, known["brian2"] if brian2 else complaint, "pip install 'brian2>=2.9,<2.12'"),
        Check(
            "C++ compiler",
            compiles,
            True,
            f"{program} compiles and links" if compiles else refusal,
            "apt install g++ (Debian, Ubuntu), xcode-select --install (macOS), conda install -c conda-forge gxx; or"
            " set CXX",
        ),
        Check(
            "cache",
            writable(cache_folder()),
            True,
            str(cache_folder()),
            "make it writable, or set BIOFA_CACHE to a folder that is",
        ),
        Check("threads", True, False, _threads(), ""),
        Check("scikit-learn", sklearn, False, "for the model digits", "pip install 'bioFA[digits]'"),
        Check("Elephant", has_elephant(), False, "for statistics of spikes", INSTALL),
        *_optional(),
        Check("MNIST", mnist, False, f"{'in' if mnist else 'not in'} {mnist_folder()}", "biofa data get mnist"),
    ]


def _optional() -> list[Check]:
    """Optional packages, by name: those that formats and tasks state, and `OTHERS`."""
    from bioFA import tasks
    from bioFA.exchange import FORMATS

    uses = {package: [purpose] for package, purpose in OTHERS.items()}
    for name, format in FORMATS.items():
        if format.package is not None:
            uses.setdefault(format.package, []).append(f"biofa export --to {name}")
    for name in tasks.family.names():
        for package in tasks.family.get(name).packages:
            uses.setdefault(package, []).append(f"the task {name}")
    return [
        Check(package.name, package.is_here(), False, f"for {', and '.join(purposes)}", package.installation)
        for package, purposes in sorted(uses.items())
    ]


def _threads() -> str:
    """How many threads numerical libraries may take here."""
    given = os.environ.get("OMP_NUM_THREADS")
    return (
        f"OMP_NUM_THREADS is {given}"
        if given
        else (
            f"OMP_NUM_THREADS is not set: libraries may take all {os.cpu_count()} cores; set it to 1 for many runs at"
            " once"
        )
    )


def _runs(command: list[str], text: str = "") -> tuple[bool, str]:
    """Whether a command succeeds, run in an empty folder, and the last line of its complaints."""
    with tempfile.TemporaryDirectory(prefix="biofa-") as folder:
        try:
            environment = os.environ | {"HOME": folder}  # where, as in the folder itself, no Brian2 preferences are
            done = subprocess.run(
                command, cwd=folder, env=environment, input=text, capture_output=True, text=True, timeout=120
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return False, str(error)
    complaints = done.stderr.strip().splitlines()
    return done.returncode == 0, complaints[-1] if complaints else f"exit code {done.returncode}"


def _compiles(command: list[str]) -> tuple[bool, str]:
    """Whether the compiler makes a program, and what it complained of."""
    if shutil.which(command[0]) is None:
        return False, f"no '{command[0]}' on PATH"
    return _runs(
        [*command, "-x", "c++", "-", "-o", "program"],
        "#include <vector>\nint main() { return std::vector<int>(1)[0]; }\n",
    )


def writable(folder: Path) -> bool:
    """Whether a folder can be written, or made."""
    nearest = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    try:
        with tempfile.TemporaryFile(dir=nearest):
            return True
    except OSError:
        return False
