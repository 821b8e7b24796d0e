"""The compile cache: one folder per program, built aside, renamed into place, locked while built.

The key is a hash of the program, of the code that writes the C++, and of everything else that
decides the binary: Brian2, compiler, processor. Weights, parameters, data and lengths are no
part of it, so they never recompile. The folder is `BIOFA_CACHE`, or the user's cache folder.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from bioFA.brian.program import Program
from bioFA.errors import MissingError, RunError

HEADERS = ('"objects.h"', '"network.h"', '"brianlib/common_math.h"', '"brianlib/stdint_compat.h"', "<cmath>", "<ctime>",
           "<iostream>", "<fstream>", "<climits>", '"biofa_block.h"')
"""What every generated file includes: compiled once a program, which shortens a build by half or more."""


@dataclass(frozen=True)
class Binary:
    """A compiled program: its folder, the file that will hold each variable, how each pathway was compiled
    (`dense` or `blocked`), and what building it took."""

    folder: Path
    arrays: dict[str, str]
    pathways: dict[str, str]
    codegen_s: float = 0.0
    compile_s: float = 0.0
    cached: bool = True


def cache_folder() -> Path:
    """Where binaries are kept."""
    named = os.environ.get("BIOFA_CACHE")
    return Path(named) if named else Path(platformdirs.user_cache_dir("bioFA", appauthor=False)) / "binaries"


def compiler() -> list[str]:
    """The C++ compiler's command: the environment variable CXX, or g++."""
    return shlex.split(os.environ.get("CXX", "")) or ["g++"]


def find_tools() -> None:
    """Refuse to go on without a compiler and make.

    Raises:
        MissingError: naming the missing program.
    """
    for program, package in ((compiler()[0], "g++"), ("make", "make")):
        if shutil.which(program) is None:
            raise MissingError(
                f"the C++ backend needs '{program}', which is not on PATH. Install it (Debian, Ubuntu: apt install {package}; conda: "
                "conda install -c conda-forge gxx make; macOS: xcode-select --install), or run without it: biofa run MODEL --backend numpy."
            )


def build(program: Program) -> Binary:
    """The binary of a program, from the cache or built now.

    Raises:
        MissingError: if compiler, make or Brian2 are missing.
        RunError: if Brian2 or the compiler refuse the program; the message quotes their first complaint.
    """
    find_tools()
    folder = cache_folder() / _key(program)
    found = _open(folder)
    if found is not None:
        return found
    with _locked(folder):
        return _open(folder) or _build(program, folder)


def _open(folder: Path) -> Binary | None:
    """A finished entry, or nothing where it is absent or damaged."""
    try:
        entry = json.loads((folder / "entry.json").read_text())
        if hashlib.sha256((folder / "main").read_bytes()).hexdigest() == entry["sha256"]:
            return Binary(folder, entry["arrays"], entry["pathways"])
    except (OSError, ValueError, KeyError):
        pass
    return None


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the lock of one entry; another process that wants the same binary waits, then finds it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(program: Program, folder: Path) -> Binary:
    work = Path(tempfile.mkdtemp(prefix=".building-", dir=folder.parent))
    try:
        began = time.perf_counter()
        _generate(program, work)
        generated = time.perf_counter()
        _compile(work)
        compiled = time.perf_counter()
        written = json.loads((work / "written.json").read_text())
        digest = hashlib.sha256((work / "main").read_bytes()).hexdigest()
        (work / "entry.json").write_text(json.dumps({"sha256": digest, **written}))
        for leftover in (*work.rglob("*.o"), *work.rglob("*.gch")):
            leftover.unlink()
        shutil.rmtree(folder, ignore_errors=True)
        work.rename(folder)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    return Binary(folder, written["arrays"], written["pathways"], generated - began, compiled - generated, cached=False)


def _generate(program: Program, work: Path) -> None:
    """Have Brian2 write the C++, in a process of its own and in a folder of ours."""
    (work / "program.json").write_text(program.model_dump_json())
    command = [sys.executable, "-m", "bioFA.brian.build", "program.json", "."]
    path = os.pathsep.join([str(Path(__file__).resolve().parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(command, cwd=work, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": path})
    if done.returncode != 0:
        complaint = done.stderr.strip().splitlines()
        if any("No module named 'brian2'" in line for line in complaint):
            raise MissingError("the C++ backend needs Brian2: pip install 'brian2>=2.9,<2.12', or run without it: biofa run MODEL --backend numpy.")
        raise RunError("Brian2 could not translate the network:\n  " + "\n  ".join(complaint[-6:]))


def _compile(work: Path) -> None:
    """Run Brian2's makefile, with the common headers compiled once."""
    command = ["make", "-j2", f"CXX={shlex.join(compiler())}"]
    flags = re.search(r"^OPTIMISATIONS *= *(.*)$", (work / "makefile").read_text(), re.MULTILINE)
    if flags:
        (work / "common.h").write_text("".join(f"#include {header}\n" for header in HEADERS))
        _call([*compiler(), *shlex.split(flags[1]), "-Wno-write-strings", "-I.", "-x", "c++-header", "common.h", "-o", "common.h.gch"], work)
        command.append(f"OPTIMISATIONS={flags[1]} -include common.h")
    _call(command, work)


def _call(command: list[str], work: Path) -> None:
    done = subprocess.run(command, cwd=work, capture_output=True, text=True)
    if done.returncode != 0:
        lines = (done.stderr + done.stdout).splitlines()
        first = next((line for line in lines if "error" in line.lower()), lines[-1] if lines else "no message")
        raise RunError(f"the C++ compiler failed ({command[0]} exited with {done.returncode}): {first}. Check it with 'biofa doctor'.")


def _key(program: Program) -> str:
    here = Path(__file__).parent
    sources = [*sorted(here.glob("*.py")), *sorted(here.glob("*.h")), *sorted((here / "templates").glob("*.cpp"))]
    try:
        brian2 = importlib.metadata.version("brian2")
    except importlib.metadata.PackageNotFoundError:
        raise MissingError("the C++ backend needs Brian2: pip install 'brian2>=2.9,<2.12', or run without it: biofa run MODEL --backend numpy.") from None
    version = subprocess.run([*compiler(), "--version"], capture_output=True, text=True).stdout
    parts = [program.digest(), brian2, shlex.join(compiler()), version, _processor(), *(source.read_text() for source in sources)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]


def _processor() -> str:
    """What `-march=native` depends on."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return "".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))}))
    except OSError:
        return platform.processor() + platform.machine()
