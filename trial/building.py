"""Faults of building a program: F1 to F6, and F23, what is not installed."""

from __future__ import annotations

import json
import os
from pathlib import Path

from bioFA.exchange import FORMATS
from bioFA.runs.result import RESULT
from trial.fault import fault
from trial.injections import DAMAGES, Compiler, entries, replace_program, script, unfinished_builds
from trial.oracle import Attempt, Ended, Outcome, complaint, digest
from trial.sandbox import Sandbox, gone


def _store(sandbox: Sandbox) -> Path:
    """What the drills' compiler has made before."""
    return sandbox.folder / "compiled"


def _refused_with(sandbox: Sandbox, ended: Ended, place: Path, code: int | None, *phrases: str) -> Attempt:
    """Judge a run that has to be refused, with an exit code and with phrases in its message."""
    attempt = sandbox.judged(ended, place)
    if ended.code == 0 or not attempt.outcome.survived:
        return attempt if ended.code != 0 else Attempt(Outcome.UNCLEAR, "the fault did not disturb it")
    if code is not None and ended.code != code:
        return Attempt(Outcome.UNCLEAR, f"exit code {ended.code}, not {code}: {ended.last}")
    if missing := [phrase for phrase in phrases if phrase not in ended.err]:
        return Attempt(Outcome.UNCLEAR, f"it does not say {missing}: {ended.last}")
    return attempt


@fault(
    "F1",
    "no compiler",
    "g++ is not on PATH",
    "PATH is empty",
    "CXX names no program",
    "CXX names a file that is no program",
)
def no_compiler(sandbox: Sandbox, attempt: int) -> Attempt:
    """PATH without a compiler, or CXX without one, and an empty compile cache."""
    place, cache = sandbox.fresh(), sandbox.fresh()
    bin = sandbox.fresh()
    bin.mkdir()
    environments: list[dict[str, str | None]] = [
        {"PATH": str(bin), "CXX": None},
        {"PATH": "", "CXX": None},
        {"CXX": "no-such-compiler"},
        {"CXX": str(script(bin / "text", "")), "PATH": os.environ["PATH"]},
    ]
    if attempt % 4 == 3:
        (bin / "text").chmod(0o644)
    ended = sandbox.run(place, environment={**environments[attempt % 4], "BIOFA_CACHE": str(cache)}).wait()
    found = _refused_with(sandbox, ended, place, 3, "apt install g++", "conda", "--backend numpy")
    if unfinished_builds(cache) or entries(cache):
        return Attempt(Outcome.UNCLEAR, "something half-built was left")
    return found


@fault("F2", "compile error", "an error in the source", "nothing said", "linking fails")
def compile_error(sandbox: Sandbox, attempt: int) -> Attempt:
    """A compiler that exits with 1: with an error of the source, without a word, or only when it links."""
    place, cache = sandbox.fresh(), sandbox.fresh()
    fault = [
        "echo 'steps.cpp:7:1: error: no such thing' >&2; exit 1",
        "exit 1",
        "[ \"$out\" = main ] && { echo 'ld: error: undefined reference' >&2; exit 1; }",
    ][attempt % 3]
    compiler = Compiler(sandbox.fresh(), _store(sandbox), fault)
    ended = sandbox.run(place, environment={**compiler.environment, "BIOFA_CACHE": str(cache)}).wait()
    phrase = ["error: no such thing", "no message", "undefined reference"][attempt % 3]
    found = _refused_with(sandbox, ended, place, 1, phrase, "compiler.log")
    if unfinished_builds(cache) or entries(cache):
        return Attempt(Outcome.UNCLEAR, "something half-built is in the cache")
    return found if list(cache.glob(".failed-*/compiler.log")) else Attempt(Outcome.UNCLEAR, "no log was kept")


@fault(
    "F3",
    "the compiler hangs, is killed, or writes half",
    "hangs",
    "is killed",
    "half an object, exit 0",
    "half a program, exit 0",
    "nothing, exit 0",
    *(5 * ["the build is killed"]),
    chance=True,
)
def bad_compiler(sandbox: Sandbox, attempt: int) -> Attempt:
    """A compiler that hangs, kills itself, or cuts what it made short and exits with 0;
    SIGKILL at a random moment of the build. Then the same cache is used with the compiler mended."""
    place, cache = sandbox.fresh(), sandbox.fresh()
    fault, after = [
        ("sleep 1000", ""),
        ("kill -9 $$", ""),
        ("", 'case "$out" in *.o) truncate -s 3000 "$out";; esac'),
        ("", f'case "$out" in main) truncate -s {sandbox.random.randrange(1, 60_000)} "$out";; esac'),
        ("exit 0", ""),
        ("", "sleep 0.2"),
    ][min(attempt % 10, 5)]
    compiler = Compiler(sandbox.fresh(), _store(sandbox), fault, after)
    killed = attempt % 10 >= 5
    environment = {
        **compiler.environment,
        "BIOFA_CACHE": str(cache),
        "BIOFA_COMPILE_LIMIT": "12" if attempt % 10 == 0 else None,
    }
    running = sandbox.run(place, environment=environment)
    if killed:
        running_for = sandbox.random.uniform(0.05, 3.0)
        _sleep(running_for)
        ended = running.kill()
    else:
        ended = running.wait()
    wrong = None if killed else complaint(ended)
    if wrong:
        return Attempt(Outcome.UNCLEAR, wrong)
    if not gone(cache):
        return Attempt(Outcome.UNCLEAR, "what the compiler had started goes on")
    compiler.mend()
    again = sandbox.fresh()
    ended_again = sandbox.run(again, environment=environment | {"BIOFA_COMPILE_LIMIT": None}).wait()
    if ended_again.code != 0 or digest(again / RESULT) != sandbox.expected:
        return Attempt(
            Outcome.SILENT if ended_again.code == 0 else Outcome.UNCLEAR, f"the cache is poisoned: {ended_again.last}"
        )
    if unfinished_builds(cache):
        return Attempt(Outcome.UNCLEAR, f"left in the cache: {unfinished_builds(cache)}")
    return sandbox.recovered(place, ended.last) if killed else sandbox.judged(ended, place)


def _sleep(seconds: float) -> None:
    import time

    time.sleep(seconds)


@fault("F4", "two processes build the same model", "at random moments", chance=True)
def two_builds(sandbox: Sandbox, attempt: int) -> Attempt:
    """Two runs begun within a second of each other, with one empty cache."""
    cache, places = sandbox.fresh(), [sandbox.fresh(), sandbox.fresh()]
    compiler = Compiler(sandbox.fresh(), _store(sandbox), "", "sleep 0.1")
    environment = {**compiler.environment, "BIOFA_CACHE": str(cache)}
    running = []
    for place in places:
        running.append(sandbox.run(place, environment=environment))
        _sleep(sandbox.random.uniform(0, 1.0))
    ended = [one.wait() for one in running]
    for one, place in zip(ended, places, strict=True):
        found = sandbox.judged(one, place)
        if found.outcome is not Outcome.IDENTICAL:
            return found
    linked = compiler.count.read_text().split().count("main")
    cached = sorted(json.loads(one.out)["timing"]["cached"] for one in ended)
    return (
        Attempt(Outcome.IDENTICAL)
        if (linked, cached) == (1, [False, True])
        else Attempt(Outcome.UNCLEAR, f"{linked} builds, cached: {cached}")
    )


@fault("F5", "an entry of the compile cache is damaged", *DAMAGES, chance=True)
def damaged_entry(sandbox: Sandbox, attempt: int) -> Attempt:
    """A flipped bit, a cut, an emptied or a removed file in an entry of the compile cache, at a random place."""
    place, cache = sandbox.fresh(), sandbox.copy_of_cache()
    (entry,) = (path.parent for path in cache.glob("*/entry.json"))
    damage = list(DAMAGES.values())[attempt % 4]
    damage(entry / ["main", "entry.json"][attempt // 4 % 2], sandbox.random)
    compiler = Compiler(sandbox.fresh(), _store(sandbox))
    return sandbox.judged(
        sandbox.run(place, environment={**_same_compiler(sandbox, compiler), "BIOFA_CACHE": str(cache)}).wait(), place
    )


def _same_compiler(sandbox: Sandbox, compiler: Compiler) -> dict[str, str | None]:
    """The compiler under the name g++, by which an entry of the cache is found."""
    bin = compiler.path.parent
    (bin / "g++").symlink_to(compiler.path)
    compiler.mend()
    return {"PATH": f"{bin}{os.pathsep}{os.environ['PATH']}"}


@fault("F6", "the program was built for another processor", "and is built again", "and is built for any processor")
def another_processor(sandbox: Sandbox, attempt: int) -> Attempt:
    """A program that dies by SIGILL, in an entry of the cache that is whole."""
    place, cache = sandbox.fresh(), sandbox.copy_of_cache()
    replace_program(cache, "kill -ILL $$")
    ended = sandbox.run(place, environment={"BIOFA_CACHE": str(cache)}).wait()
    found = _refused_with(sandbox, ended, place, 1, "processor", "BIOFA_PORTABLE")
    if not found.outcome.survived:
        return found
    again = sandbox.fresh()
    portable = {"BIOFA_PORTABLE": "1"} if attempt % 2 else {}
    compiler = Compiler(sandbox.fresh(), sandbox.fresh() if attempt % 2 else _store(sandbox))
    ended = sandbox.run(
        again, environment={**_same_compiler(sandbox, compiler), **portable, "BIOFA_CACHE": str(cache)}
    ).wait()
    if ended.code != 0:
        return Attempt(Outcome.UNCLEAR, f"it cannot be built again: {ended.last}")
    if attempt % 2:  # other instructions may round otherwise
        return (
            found
            if json.loads(ended.out)["presentations"] == 300
            else Attempt(Outcome.SILENT, "the portable program did something else")
        )
    return (
        found
        if digest(again / RESULT) == sandbox.expected
        else Attempt(Outcome.SILENT, "built again, it has other numbers")
    )


PACKAGES = {name: format.package for name, format in FORMATS.items() if format.package}
"""The formats that need a package."""


@fault(
    "F23",
    "a package is missing or too old",
    *(f"no {package.module}" for package in PACKAGES.values()),
    "no Dask",
    "no Brian2",
    "an old Brian2",
)
def missing_package(sandbox: Sandbox, attempt: int) -> Attempt:
    """A package hidden from import, or in its place another with an old version's number."""
    which = attempt % (len(PACKAGES) + 3) - len(PACKAGES)
    if which < 0:
        name, package = list(PACKAGES.items())[which]
        place = sandbox.whole()
        out = sandbox.fresh()
        ended = sandbox.biofa(
            "export", str(place), "--to", name, "--out", str(out), prepare=[lambda: _hide(package.module)]
        ).wait()
        return _named(ended, 3, f"bioFA[{package.extra}]", out)
    if which == 0:
        out = sandbox.fresh()
        ended = sandbox.compare(out, "--scheduler", "tcp://127.0.0.1:1", prepare=[lambda: _hide("distributed")]).wait()
        found = _named(ended, 3, "bioFA[cluster]", out / "table.csv")
        return found
    place, cache, hidden = sandbox.fresh(), sandbox.fresh(), sandbox.fresh()
    (hidden / "brian2").mkdir(parents=True)
    (hidden / "brian2" / "__init__.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'brian2'\")\n" if which == 1 else '__version__ = "2.4"\n'
    )
    if which == 2:
        (hidden / "brian2-2.4.dist-info").mkdir()
        (hidden / "brian2-2.4.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: brian2\nVersion: 2.4\n")
    path = os.pathsep.join([str(hidden), *filter(None, [os.environ.get("PYTHONPATH")])])
    ended = sandbox.run(
        place, environment={"PYTHONPATH": path, "BIOFA_CACHE": str(cache)}, prepare=[lambda: _first_on_path(hidden)]
    ).wait()
    return _refused_with(sandbox, ended, place, 3, "pip install 'brian2>=2.9,<2.12'")


def _named(ended: Ended, code: int, phrase: str, made: Path) -> Attempt:
    wrong = complaint(ended)
    if wrong is None and ended.code != code:
        wrong = f"exit code {ended.code}, not {code}: {ended.last}"
    if wrong is None and phrase not in ended.err:
        wrong = f"it does not say '{phrase}': {ended.last}"
    if made.exists():
        return Attempt(Outcome.SILENT, f"something was made all the same: {made.name}")
    return Attempt(Outcome.REFUSED, ended.last) if wrong is None else Attempt(Outcome.UNCLEAR, wrong)


def _hide(module: str) -> None:
    import sys

    for name in [name for name in sys.modules if name == module or name.startswith(f"{module}.")]:
        del sys.modules[name]
    sys.modules[module] = None  # type: ignore[assignment]


def _first_on_path(folder: Path) -> None:
    import sys

    sys.path.insert(0, str(folder))


FAULTS = (no_compiler, compile_error, bad_compiler, two_builds, damaged_entry, another_processor, missing_package)
