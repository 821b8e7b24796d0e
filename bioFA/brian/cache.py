"""The compile cache: one folder per program, built aside, renamed into place, locked while built.

Whoever runs a binary holds a shared lock on its entry, so that clearing the cache takes nothing
away from a running process. The key is a hash of the program, of the code that writes the C++, and of everything else that
decides the binary: Brian2, compiler, processor. Weights, parameters, data and lengths are no
part of it, so they never recompile. The folder is `BIOFA_CACHE`, or the user's cache folder.
"""

from __future__ import annotations

import contextlib
import functools
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
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import platformdirs

from bioFA.brian.processes import call
from bioFA.brian.program import Program
from bioFA.errors import BioFAError, CannotWrite, CompilationFailed, NoCompiler, NoPackage, OutOfRange, TooSlow, TranslationFailed
from bioFA.locks import Held, hold, holder

LOCK, USE, BUILDING, FAILED, LOG = ".lock", ".use", ".building-", ".failed-", "compiler.log"
"""Beside an entry: the lock of its build, the lock of its users; before its name: where it is being built, and the sources and log of a build that failed."""

LIMIT = 1800.0
"""Seconds that Brian2 or the compiler may take, if BIOFA_COMPILE_LIMIT does not say otherwise."""

FEWEST, MOST = (2, 9), (2, 12)
"""The versions of Brian2 that bioFA knows: from the first, below the second."""

NO_PLAN = "there is no plan in "
"""What a program that runs here complains of when nothing is given to it."""


def flags() -> tuple[str, ...]:
    """The compiler's flags: Brian2's own; given here, since Brian2 would try each with the compiler in every build.

    Where BIOFA_PORTABLE is set, the program is for any processor of this kind, and slower.
    """
    native = () if os.environ.get("BIOFA_PORTABLE") else ("-march=native",)
    return ("-w", "-O3", "-ffast-math", "-fno-finite-math-only", *native, "-std=c++11")


def compile_limit() -> float:
    """The seconds that Brian2, or one call of the compiler, may take."""
    given = os.environ.get("BIOFA_COMPILE_LIMIT", "")
    try:
        seconds = float(given) if given else LIMIT
    except ValueError:
        seconds = -1.0
    if not seconds > 0:
        raise OutOfRange(f"the variable BIOFA_COMPILE_LIMIT is a number of seconds > 0; got {given!r}. Set it to one such as 600, or unset it.")
    return seconds


@dataclass(frozen=True)
class Binary:
    """A compiled program: its folder, the file that will hold each variable, how each pathway was compiled
    (`dense` or `blocked`), what building it took, and the lock that says that it is in use."""

    folder: Path
    arrays: dict[str, str]
    pathways: dict[str, str]
    codegen_s: float = 0.0
    compile_s: float = 0.0
    cached: bool = True
    use: Held | None = field(default=None, repr=False, compare=False)


def cache_folder() -> Path:
    """Where binaries are kept."""
    named = os.environ.get("BIOFA_CACHE")
    return Path(named).resolve() if named else Path(platformdirs.user_cache_dir("bioFA", appauthor=False)) / "binaries"


def compiler() -> list[str]:
    """The C++ compiler's command: the environment variable CXX, or g++."""
    try:
        return shlex.split(os.environ.get("CXX", "")) or ["g++"]
    except ValueError as error:
        raise NoCompiler(f"the variable CXX is not a command: {os.environ['CXX']!r} ({error}). Set it to a compiler, or unset it.") from None


def find_tools() -> None:
    """Refuse to go on without a compiler.

    Raises:
        MissingError: naming the missing program.
    """
    program = compiler()[0]
    if shutil.which(program) is None:
        raise NoCompiler(
            f"the C++ backend needs '{program}', which is not on PATH. Install it (Debian, Ubuntu: apt install g++; conda: "
            "conda install -c conda-forge gxx; macOS: xcode-select --install), or run without it: biofa run MODEL --backend numpy."
        )


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
        raise CannotWrite(f"the compile cache '{folder.parent}' cannot be written. Set BIOFA_CACHE to a folder that can.")
    with _locked(folder):
        return _open(folder, use) or _build(program, folder, use)


class Kept(NamedTuple):
    """What the cache holds of one program: its name, its size in bytes, and when it was last used (seconds since 1970)."""

    name: str
    size: int
    last_used: float


def kept() -> list[Kept]:
    """The finished entries, the one used last first."""
    found = []
    for folder in _folders():
        try:
            used = (folder / "entry.json").stat().st_mtime
            found.append(Kept(folder.name, sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()), used))
        except FileNotFoundError:  # removed meanwhile
            continue
    return sorted(found, key=lambda entry: -entry.last_used)


def clear() -> tuple[int, int]:
    """Remove every entry that no process uses or builds, and what killed builds left behind.

    Returns:
        How many entries were removed, and how many are in use and stay.
    """
    place = cache_folder()
    names = {path.name for path in _folders()} | {path.name.split("-")[1] for begins in (BUILDING, FAILED) for path in place.glob(f"{begins}*")}
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
    return [path.parent for path in place.glob("*/entry.json") if not path.parent.name.startswith(".")] if place.is_dir() else []


def _remove_unfinished(folder: Path) -> None:
    """Remove what killed or failed builds of this entry left; whoever holds its lock may do so."""
    for pattern in (f"{BUILDING}{folder.name}-*", f"{FAILED}{folder.name}"):
        for work in folder.parent.glob(pattern):
            shutil.rmtree(work, ignore_errors=True)


def _open(folder: Path, use: Held | None) -> Binary | None:
    """A finished entry, or nothing where it is absent or damaged."""
    try:
        kept = json.loads((folder / "entry.json").read_text())
        entry = json.loads(kept["entry"])
        whole = hashlib.sha256(kept["entry"].encode()).hexdigest() == kept["sha256"]
        if whole and hashlib.sha256((folder / "main").read_bytes()).hexdigest() == entry["main"]:
            with contextlib.suppress(OSError):
                os.utime(folder / "entry.json")
            return Binary(folder, entry["arrays"], entry["pathways"], use=use)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    return None


def forget(binary: Binary) -> None:
    """Take a program that does not run here out of the cache; processes that have it open keep it."""
    (binary.folder / "entry.json").unlink(missing_ok=True)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the lock of one entry; another process that wants the same binary waits, then finds it."""
    patience = 4 * compile_limit()  # Brian2, the compiler twice, and the linker
    lock = hold(folder.with_suffix(LOCK), wait=patience)
    if lock is None:
        raise TooSlow(f"another process has been building this program for more than {patience:g} s ({holder(folder.with_suffix(LOCK))}). "
                       f"If it is on a machine that is gone, remove {folder.with_suffix(LOCK)}.")
    with lock:
        yield


def _build(program: Program, folder: Path, use: Held | None) -> Binary:
    _remove_unfinished(folder)
    work = Path(tempfile.mkdtemp(prefix=f"{BUILDING}{folder.name}-", dir=folder.parent))
    try:
        began = time.perf_counter()
        _generate(program, work)
        generated = time.perf_counter()
        _compile(work, folder.with_name(f"{FAILED}{folder.name}"))
        compiled = time.perf_counter()
        written = json.loads((work / "written.json").read_text())
        entry = json.dumps({"main": hashlib.sha256((work / "main").read_bytes()).hexdigest(), **written})
        (work / "entry.json").write_text(json.dumps({"sha256": hashlib.sha256(entry.encode()).hexdigest(), "entry": entry}))
        work.chmod(0o755)  # a cache that others share is read by them
        for leftover in work.glob("*.o"):
            leftover.unlink()
        shutil.rmtree(folder, ignore_errors=True)
        work.rename(folder)
    except OSError as error:
        shutil.rmtree(work, ignore_errors=True)
        raise CannotWrite(f"the compile cache '{folder.parent}' cannot be written: {error}. Make space there, or set BIOFA_CACHE to another folder.") from None
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    return Binary(folder, written["arrays"], written["pathways"], generated - began, compiled - generated, cached=False, use=use)


def _generate(program: Program, work: Path) -> None:
    """Have Brian2 write the C++, in a process of its own and in a folder of ours."""
    (work / "program.json").write_text(program.model_dump_json())
    if server := os.environ.get("BIOFA_BUILD_SERVER"):
        from bioFA.brian.server import ask

        answer = ask(server, work, compile_limit())
        if answer is not None:
            return _refuse_untranslated(*answer)
    command = [sys.executable, "-m", "bioFA.brian", "program.json", "."]
    home = Path(__file__).resolve().parents[2]
    ours = [str(home)] if (home / "pyproject.toml").is_file() else []  # a checkout; an installed package is found as it is
    path = os.pathsep.join([*ours, *filter(None, [os.environ.get("PYTHONPATH")])])
    try:
        done = call(command, work, {"PYTHONPATH": path, "HOME": str(work)}, compile_limit())  # where no Brian2 preferences of the user are
    except subprocess.TimeoutExpired:
        raise TooSlow(_late("Brian2 did not write the program")) from None
    _refuse_untranslated(done.returncode, done.stderr)


def _refuse_untranslated(exit_code: int, stderr: str) -> None:
    if exit_code != 0:
        complaint = stderr.strip().splitlines()
        if any("No module named 'brian2'" in line for line in complaint):
            raise NoPackage("the C++ backend needs Brian2: pip install 'brian2>=2.9,<2.12', or run without it: biofa run MODEL --backend numpy.")
        raise TranslationFailed("Brian2 could not translate the network:\n  " + "\n  ".join(complaint[-6:]))


def _late(what: str) -> str:
    return f"{what} within {compile_limit():g} s, and was ended. If this machine is that slow, set BIOFA_COMPILE_LIMIT to more seconds."


def _compile(work: Path, failed: Path) -> None:
    """Compile Brian2's project, and see that what came out runs; where not, `failed` holds the sources and the compiler's words."""
    try:
        _compile_project(work, failed)
        _try(work)
    except BioFAError:
        shutil.rmtree(failed, ignore_errors=True)
        with contextlib.suppress(OSError):
            work.rename(failed)
        raise


def _try(work: Path) -> None:
    """Refuse a program that the compiler did not finish, or that does not run on this processor."""
    if not (work / "main").is_file():
        raise CompilationFailed(f"the C++ compiler '{compiler()[0]}' made no program and did not say why. Check it with 'biofa doctor'.")
    (work / "main").chmod(0o755)
    done = call(["./main", "--results_dir", "nowhere/"], work, {"LD_BIND_NOW": "1"}, compile_limit())
    if NO_PLAN not in done.stderr + done.stdout:
        words = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[0]
        raise CompilationFailed(f"the program that '{compiler()[0]}' made does not run (exit code {done.returncode}: {words}), so it was not kept. Check it with 'biofa doctor'.")


def _compile_project(work: Path, failed: Path) -> None:
    """Compile Brian2's project as two files, side by side: its steps, and the rest.

    The headers, which cost most of a small file's compilation, are so read twice and not once a
    file. Sources are those of Brian2's makefile. All that the rest does in a step is to call the
    steps, so that optimising it fully would cost more than it could save.
    """
    makefile = (work / "makefile").read_text()
    found = [re.search(rf"^{name} *= *(.*)$", makefile, re.MULTILINE) for name in ("OPTIMISATIONS", "SRCS", "LFLAGS")]
    if found[0] is None or found[1] is None:
        raise TranslationFailed("Brian2's makefile names no flags or sources, so this Brian2 is one that bioFA does not know. See 'biofa doctor'.")
    include, sources, link = (shlex.split(match[1]) if match else [] for match in found)
    steps = sorted(source for source in sources if source.startswith("code_objects/"))
    (work / "steps.cpp").write_text(_together([(work / source).read_text() for source in steps], steps))
    (work / "rest.cpp").write_text("".join(f'#include "{source}"\n' for source in sources if source not in steps))
    with ThreadPoolExecutor(2) as pool:
        objects = ("steps", "rest")
        commands = [
            [*compiler(), *include, *flags(), *extra, "-I.", "-c", f"{name}.cpp", "-o", f"{name}.o"]
            for name, extra in zip(objects, ([], ["-O1"]), strict=True)
        ]
        list(pool.map(lambda command: _call(command, work, failed), commands))
    _call([*compiler(), *(f"{name}.o" for name in objects), "-o", "main", *link], work, failed)


def _together(texts: list[str], names: list[str]) -> str:
    """Source files as one: each in a namespace of its own, since their helpers have equal names."""
    includes = sorted({line for text in texts for line in re.findall(r"^ *#include *(.*?) *$", text, re.MULTILINE)})
    lines = [f"#include {header}" for header in includes]
    for number, (text, name) in enumerate(zip(texts, names, strict=True)):
        functions = re.findall(r"^void (\w+)\(\)", text, re.MULTILINE)
        lines += [f"namespace step_{number} {{", f'#include "{name}"', "}"]
        lines += [f"void {function}() {{ step_{number}::{function}(); }}" for function in functions]
    return "\n".join(lines) + "\n"


def _call(command: list[str], work: Path, failed: Path) -> None:
    try:
        done = call(command, work, {"LC_ALL": "C"}, compile_limit())
    except subprocess.TimeoutExpired:
        raise TooSlow(_late(f"the C++ compiler '{command[0]}' did not end")) from None
    if done.returncode != 0:
        lines = (done.stderr + done.stdout).splitlines()
        with open(work / LOG, "a") as log:
            log.write(f"{shlex.join(command)}\n{done.stderr}{done.stdout}exit code {done.returncode}\n")
        first = next((line for line in lines if "error" in line.lower()), lines[-1] if lines else "no message")
        raise CompilationFailed(f"the C++ compiler failed ({command[0]} exited with {done.returncode}): {first}. The sources and all that it said are in {failed}/{LOG}. Check it with 'biofa doctor'.")


WRITERS = ("__main__.py", "adapter.py", "build.py", "factors.py", "program.py", "cache.py")
"""What decides the C++ that is written of a program and how it is compiled; the rest of this folder runs it, or writes other things."""


@functools.cache
def sources() -> str:
    """A digest of the code that writes the C++."""
    here = Path(__file__).parent
    files = [*(here / name for name in WRITERS), *sorted(here.glob("*.h")), *sorted((here / "templates").glob("*.cpp"))]
    return hashlib.sha256("\0".join(file.read_text(encoding="utf-8") for file in files).encode()).hexdigest()


def _key(program: Program) -> str:
    try:
        brian2 = importlib.metadata.version("brian2")
    except importlib.metadata.PackageNotFoundError:
        raise NoPackage("the C++ backend needs Brian2: pip install 'brian2>=2.9,<2.12', or run without it: biofa run MODEL --backend numpy.") from None
    if not FEWEST <= _numbers(brian2) < MOST:
        raise NoPackage(f"the C++ backend needs Brian2 2.9 to 2.11; here is {brian2}: pip install 'brian2>=2.9,<2.12', or run without it: biofa run MODEL --backend numpy.")
    version = subprocess.run([*compiler(), "--version"], capture_output=True, text=True).stdout
    parts = [program.digest(), brian2, shlex.join([*compiler(), *flags()]), version, _processor(), sources()]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]


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
