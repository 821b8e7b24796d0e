"""The compile cache: one folder per program, built aside, renamed into place, locked while built.

Whoever runs a binary holds a shared lock on its entry, so that clearing the cache takes nothing
away from a running process. The key is a hash of the program, of the code that writes the C++, and of everything else
that decides the binary: Brian2, compiler, processor. Weights, parameters, data and lengths are no
part of it, so they never recompile. The folder is `BIOFA_CACHE`, or the user's cache folder.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import platformdirs

from bioFA.consumers.brian.compile import (
    FEWEST,
    INSTALL,
    MOST,
    compile_limit,
    compile_project,
    compiler,
    find_tools,
    flags,
    generate,
    sources,
)
from bioFA.consumers.brian.program import Program
from bioFA.errors import CannotWrite, NoPackage, TooSlow
from bioFA.optional import version
from bioFA.system import sealed_json
from bioFA.system.locks import Held, hold, holder

LOCK, USE, BUILDING, FAILED = ".lock", ".use", ".building-", ".failed-"
"""Beside an entry: the lock of its build, the lock of its users; before its name: where it is being built,
and the sources and log of a build that failed."""


@dataclass(frozen=True)
class Binary:
    """A compiled program: its folder, the file that will hold each variable, the parameters whose values one file will
    hold, how each pathway was compiled (`dense` or `blocked`), the files whose content it hands out at a stop, one
    after the other, what building it took, and the lock that says that it is in use."""

    folder: Path
    arrays: dict[str, str]
    pathways: dict[str, str]
    parameters: tuple[str, ...] = ()
    handed: tuple[str, ...] = ()
    codegen_s: float = 0.0
    compile_s: float = 0.0
    cached: bool = True
    use: Held | None = field(default=None, repr=False, compare=False)


def cache_folder() -> Path:
    """Where binaries are kept."""
    named = os.environ.get("BIOFA_CACHE")
    return Path(named).resolve() if named else Path(platformdirs.user_cache_dir("bioFA", appauthor=False)) / "binaries"


def build(program: Program) -> Binary:
    """The binary of a program, from the cache or built now.

    Raises:
        MissingError: if compiler or Brian2 are missing.
        RunError: if Brian2 or the compiler refuse the program; the message quotes their first complaint.
    """
    find_tools()
    folder = cache_folder() / _key(program)
    use = None
    with contextlib.suppress(OSError):  # a cache that others fill may be read only
        folder.parent.mkdir(parents=True, exist_ok=True)
        use = hold(folder.with_suffix(USE), shared=True)
    found = _open(folder, use)
    if found is not None:
        return found
    if use is None:
        raise CannotWrite(
            f"the compile cache '{folder.parent}' cannot be written. Set BIOFA_CACHE to a folder that can."
        )
    with _locked(folder):
        return _open(folder, use) or _build(program, folder, use)


class Kept(NamedTuple):
    """What the cache holds of one program: its name, its size in bytes,
    and when it was last used (seconds since 1970)."""

    name: str
    size: int
    last_used: float


def kept() -> list[Kept]:
    """The finished entries, the one used last first."""
    found = []
    for folder in _folders():
        try:
            used = (folder / "entry.json").stat().st_mtime
            found.append(
                Kept(folder.name, sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()), used)
            )
        except FileNotFoundError:  # removed meanwhile
            continue
    return sorted(found, key=lambda entry: -entry.last_used)


def clear() -> tuple[int, int]:
    """Remove every entry that no process uses or builds, and what killed builds left behind.

    Returns:
        How many entries were removed, and how many are in use and stay.
    """
    place = cache_folder()
    names = {path.name for path in _folders()} | {
        path.name.split("-")[1] for begins in (BUILDING, FAILED) for path in place.glob(f"{begins}*")
    }
    names |= {path.stem for suffix in (LOCK, USE) for path in place.glob(f"*{suffix}")}
    removed = busy = 0
    for name in sorted(names):
        folder = place / name
        entry = folder.is_dir()
        use = hold(folder.with_suffix(USE), wait=False)
        building = use and hold(folder.with_suffix(LOCK), wait=False)
        if use and building:
            _remove_unfinished(folder)
            shutil.rmtree(folder, ignore_errors=True)
            for suffix in (LOCK, USE):
                folder.with_suffix(suffix).unlink(missing_ok=True)
            removed += entry
        else:
            busy += 1
        for lock in (building, use):
            if lock:
                lock.close()
    return removed, busy


def _folders() -> list[Path]:
    place = cache_folder()
    return (
        [path.parent for path in place.glob("*/entry.json") if not path.parent.name.startswith(".")]
        if place.is_dir()
        else []
    )


def _remove_unfinished(folder: Path) -> None:
    """Remove what killed or failed builds of this entry left; whoever holds its lock may do so."""
    for pattern in (f"{BUILDING}{folder.name}-*", f"{FAILED}{folder.name}"):
        for work in folder.parent.glob(pattern):
            shutil.rmtree(work, ignore_errors=True)


def _open(folder: Path, use: Held | None) -> Binary | None:
    """A finished entry, or nothing where it is absent or damaged."""
    try:
        entry = sealed_json.read(folder / "entry.json", "entry")
        if hashlib.sha256((folder / "main").read_bytes()).hexdigest() == entry["main"]:
            with contextlib.suppress(OSError):
                os.utime(folder / "entry.json")
            return _binary(folder, entry, use=use)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


def forget(binary: Binary) -> None:
    """Take a program that does not run here out of the cache; processes that have it open keep it."""
    (binary.folder / "entry.json").unlink(missing_ok=True)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the lock of one entry; another process that wants the same binary waits, then finds it."""
    timeout = 4 * compile_limit()  # Brian2, the compiler twice, and the linker
    lock = hold(folder.with_suffix(LOCK), wait=timeout)
    if lock is None:
        raise TooSlow(
            f"another process has been building this program for more than {timeout:g} s"
            f" ({holder(folder.with_suffix(LOCK))}). If it is on a machine that is gone, remove"
            f" {folder.with_suffix(LOCK)}."
        )
    with lock:
        yield


def _build(program: Program, folder: Path, use: Held | None) -> Binary:
    _remove_unfinished(folder)
    work = Path(tempfile.mkdtemp(prefix=f"{BUILDING}{folder.name}-", dir=folder.parent))
    try:
        began = time.perf_counter()
        generate(program, work)
        generated = time.perf_counter()
        compile_project(work, folder.with_name(f"{FAILED}{folder.name}"), program.strict)
        compiled = time.perf_counter()
        written = json.loads((work / "written.json").read_text())
        main = hashlib.sha256((work / "main").read_bytes()).hexdigest()
        sealed_json.write(work / "entry.json", "entry", {"main": main, **written})
        work.chmod(0o755)  # a cache that others share is read by them
        for leftover in work.glob("*.o"):
            leftover.unlink()
        shutil.rmtree(folder, ignore_errors=True)
        work.rename(folder)
    except OSError as error:
        shutil.rmtree(work, ignore_errors=True)
        raise CannotWrite(
            f"the compile cache '{folder.parent}' cannot be written: {error}. Make space there, or set BIOFA_CACHE to"
            " another folder."
        ) from None
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    took = {"codegen_s": generated - began, "compile_s": compiled - generated}
    return _binary(folder, written, **took, cached=False, use=use)


def _binary(folder: Path, written: Mapping[str, Any], **how: Any) -> Binary:
    """The program of a folder, of which `written.json` says so much."""
    parameters, handed = tuple(written["parameters"]), tuple(written["handed"])
    return Binary(folder, written["arrays"], written["pathways"], parameters, handed, **how)


def _key(program: Program) -> str:
    brian2 = version("brian2")
    if brian2 is None:
        raise NoPackage(f"the C++ backend needs Brian2: {INSTALL}")
    if not FEWEST <= _numbers(brian2) < MOST:
        raise NoPackage(f"the C++ backend needs Brian2 2.9 to 2.11; here is {brian2}: {INSTALL}")
    called, *options = compiler()
    of_compiler = _said_by(shutil.which(called) or called, *options)
    command = shlex.join([*compiler(), *flags(program.strict)])
    parts = [program.digest(), brian2, command, of_compiler, _processor(), sources()]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]


@functools.cache
def _said_by(*compiler: str) -> str:
    """What a compiler says of its version."""
    return subprocess.run([*compiler, "--version"], capture_output=True, text=True).stdout


def _numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version: (2, 10) of '2.10.1'."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])


def _processor() -> str:
    """What `-march=native` depends on."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return "".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))}))
    except OSError:
        return platform.processor() + platform.machine()
