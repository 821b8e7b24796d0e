"""From a program to a binary: Brian2 writes the C++ in a process of its own, and the compiler is called on it.
The cache decides when (`cache.py`)."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bioFA.consumers.brian.program import Program
from bioFA.errors import BioFAError, CompilationFailed, NoCompiler, NoPackage, OutOfRange, TooSlow, TranslationFailed
from bioFA.system.processes import call

LOG = "compiler.log"
"""In the folder of a build that failed: all that the compiler said."""

LIMIT = 1800.0
"""Seconds that Brian2 or the compiler may take, if BIOFA_COMPILE_LIMIT does not say otherwise."""

FEWEST, MOST = (2, 9), (2, 12)
"""The versions of Brian2 that bioFA knows: from the first, below the second."""

INSTALL = "pip install 'brian2>=2.9,<2.12', or run without it: biofa run MODEL --backend numpy."

NO_PLAN = "there is no plan in "
"""What a program that runs here complains of when nothing is given to it."""

WRITERS = (
    "__main__.py", "adapter.py", "batch.py", "build.py", "factors.py", "objects.py", "program.py", "compile.py",
)  # fmt: skip
"""What decides the C++ that is written of a program and how it is compiled; the rest of this folder runs it,
or writes other things."""


def flags(strict: bool = False) -> tuple[str, ...]:
    """The compiler's flags: Brian2's own; given here, since Brian2 would try each with the compiler in every build.

    Where BIOFA_PORTABLE is set, the program is for any processor of this kind, and slower.

    Args:
        strict: whether every operation is rounded as it stands (`Program.strict`).
    """
    native = () if os.environ.get("BIOFA_PORTABLE") else ("-march=native",)
    exact = ("-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math")
    rounding = exact if strict else ("-ffast-math", "-fno-finite-math-only")
    return ("-w", "-O3", *rounding, *native, "-std=c++11", "-pthread")


def compile_limit() -> float:
    """The seconds that Brian2, or one call of the compiler, may take."""
    given = os.environ.get("BIOFA_COMPILE_LIMIT", "")
    try:
        seconds = float(given) if given else LIMIT
    except ValueError:
        seconds = -1.0
    if not seconds > 0:
        raise OutOfRange(
            f"the variable BIOFA_COMPILE_LIMIT is a number of seconds > 0; got {given!r}. Set it to one such as 600, or"
            " unset it."
        )
    return seconds


def compiler() -> list[str]:
    """The C++ compiler's command: the environment variable CXX, or g++."""
    try:
        return shlex.split(os.environ.get("CXX", "")) or ["g++"]
    except ValueError as error:
        raise NoCompiler(
            f"the variable CXX is not a command: {os.environ['CXX']!r} ({error}). Set it to a compiler, or unset it."
        ) from None


def find_tools() -> None:
    """Refuse to go on without a compiler.

    Raises:
        MissingError: naming the missing program.
    """
    program = compiler()[0]
    if shutil.which(program) is None:
        raise NoCompiler(
            f"the C++ backend needs '{program}', which is not on PATH. Install it (Debian, Ubuntu: apt install g++;"
            " conda: conda install -c conda-forge gxx; macOS: xcode-select --install), or run without it: biofa run"
            " MODEL --backend numpy."
        )


def generate(program: Program, work: Path) -> None:
    """Have Brian2 write the C++, in a process of its own and in a folder of ours."""
    (work / "program.json").write_text(program.text())
    if server := os.environ.get("BIOFA_BUILD_SERVER"):
        answer = _ask(server, work, compile_limit())
        if answer is not None:
            return _refuse_untranslated(*answer)
    command = [sys.executable, "-m", "bioFA.consumers.brian", "program.json", "."]
    home = Path(__file__).resolve().parents[3]
    # a checkout; an installed package is found as it is
    ours = [str(home)] if (home / "pyproject.toml").is_file() else []
    path = os.pathsep.join([*ours, *filter(None, [os.environ.get("PYTHONPATH")])])
    try:
        # where no Brian2 preferences of the user are
        done = call(command, work, {"PYTHONPATH": path, "HOME": str(work)}, compile_limit())
    except subprocess.TimeoutExpired:
        raise TooSlow(_late("Brian2 did not write the program")) from None
    _refuse_untranslated(done.returncode, done.stderr)


def _refuse_untranslated(exit_code: int, stderr: str) -> None:
    if exit_code != 0:
        complaint = stderr.strip().splitlines()
        if any("No module named 'brian2'" in line for line in complaint):
            raise NoPackage(f"the C++ backend needs Brian2: {INSTALL}")
        raise TranslationFailed("Brian2 could not translate the network:\n  " + "\n  ".join(complaint[-6:]))


def _late(what: str) -> str:
    return (
        f"{what} within {compile_limit():g} s, and was ended. If this machine is that slow, set BIOFA_COMPILE_LIMIT to"
        " more seconds."
    )


def compile_project(work: Path, failed: Path, strict: bool = False) -> None:
    """Compile Brian2's project, and see that what came out runs; where not,
    `failed` holds the sources and the compiler's messages."""
    try:
        _call_compiler(work, failed, strict)
        _try(work)
    except BioFAError:
        shutil.rmtree(failed, ignore_errors=True)
        with contextlib.suppress(OSError):
            work.rename(failed)
        raise


def _try(work: Path) -> None:
    """Refuse a program that the compiler did not finish, or that does not run on this processor."""
    if not (work / "main").is_file():
        raise CompilationFailed(
            f"the C++ compiler '{compiler()[0]}' made no program and did not say why. Check it with 'biofa doctor'."
        )
    (work / "main").chmod(0o755)
    done = call(["./main", "--results_dir", "nowhere/"], work, {"LD_BIND_NOW": "1"}, compile_limit())
    if NO_PLAN not in done.stderr + done.stdout:
        message = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[0]
        raise CompilationFailed(
            f"the program that '{compiler()[0]}' made does not run (exit code {done.returncode}: {message}), so it was"
            " not kept. Check it with 'biofa doctor'."
        )


def _call_compiler(work: Path, failed: Path, strict: bool) -> None:
    """Compile Brian2's project as two files, side by side: its steps, and the rest.

    The headers, which cost most of a small file's compilation, are so read twice and not once a
    file. Sources are those of Brian2's makefile. All that the rest does in a step is to call the
    steps, so that optimising it fully would cost more than it could save.
    """
    makefile = (work / "makefile").read_text()
    found = [re.search(rf"^{name} *= *(.*)$", makefile, re.MULTILINE) for name in ("OPTIMISATIONS", "SRCS", "LFLAGS")]
    if found[0] is None or found[1] is None:
        raise TranslationFailed(
            "Brian2's makefile names no flags or sources, so this Brian2 is one that bioFA does not know. See 'biofa"
            " doctor'."
        )
    include, sources, link = (shlex.split(match[1]) if match else [] for match in found)
    steps = sorted(source for source in sources if source.startswith("code_objects/"))
    (work / "steps.cpp").write_text(_together([(work / source).read_text() for source in steps], steps))
    (work / "rest.cpp").write_text("".join(f'#include "{source}"\n' for source in sources if source not in steps))
    with ThreadPoolExecutor(2) as pool:
        objects = ("steps", "rest")
        commands = [
            [*compiler(), *include, *flags(strict), *extra, "-I.", "-c", f"{name}.cpp", "-o", f"{name}.o"]
            for name, extra in zip(objects, ([], ["-O1"]), strict=True)
        ]
        list(pool.map(lambda command: _call(command, work, failed), commands))
    _call([*compiler(), *(f"{name}.o" for name in objects), "-o", "main", "-pthread", *link], work, failed)


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
        raise CompilationFailed(
            f"the C++ compiler failed ({command[0]} exited with {done.returncode}): {first}. The sources and all that"
            f" it said are in {failed}/{LOG}. Check it with 'biofa doctor'."
        )


@functools.cache
def sources() -> str:
    """A digest of the code that writes the C++."""
    here = Path(__file__).parent
    files = [*(here / name for name in WRITERS), *sorted(here.glob("*.h")), *sorted((here / "templates").glob("*.cpp"))]
    return hashlib.sha256("\0".join(file.read_text(encoding="utf-8") for file in files).encode()).hexdigest()


def _ask(path: str, folder: Path, limit: float) -> tuple[int, str] | None:
    """The exit code of a build by the server and what it complained of; None where it cannot be asked.

    Args:
        path: the socket.
        folder: holds `program.json`.
        limit: seconds that it may take.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(limit)
        try:
            connection.connect(path)
            connection.sendall(json.dumps({"folder": str(folder), "sources": sources()}).encode() + b"\n")
            answer = json.loads(connection.makefile().readline() or "null")
        except (OSError, ValueError):
            return None
    return (answer["exit"], answer["stderr"]) if answer and answer["exit"] is not None else None
