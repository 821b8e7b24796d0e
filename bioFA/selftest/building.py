"""Faults of building a program: F1 to F6, and F23, what is not installed."""

from __future__ import annotations

import json
import os
from pathlib import Path

from bioFA.runs.result import RESULT
from bioFA.selftest.bench import Bench, gone
from bioFA.selftest.fault import fault
from bioFA.selftest.injections import DAMAGES, Compiler, entries, replace_program, script, unfinished_builds
from bioFA.selftest.oracle import Ended, Outcome, Trial, complaint, digest


def _store(bench: Bench) -> Path:
    """What the drills' compiler has made before."""
    return bench.folder / "compiled"


def _refused_with(bench: Bench, ended: Ended, place: Path, code: int | None, *words: str) -> Trial:
    """Judge a run that has to be refused, with an exit code and with words."""
    trial = bench.judged(ended, place)
    if ended.code == 0 or not trial.outcome.survived:
        return trial if ended.code != 0 else Trial(Outcome.UNCLEAR, "the fault did not disturb it")
    if code is not None and ended.code != code:
        return Trial(Outcome.UNCLEAR, f"exit code {ended.code}, not {code}: {ended.last}")
    if missing := [word for word in words if word not in ended.err]:
        return Trial(Outcome.UNCLEAR, f"it does not say {missing}: {ended.last}")
    return trial


@fault(
    "F1",
    "no compiler",
    "g++ is not on PATH",
    "PATH is empty",
    "CXX names no program",
    "CXX names a file that is no program",
)
def no_compiler(bench: Bench, trial: int) -> Trial:
    """PATH without a compiler, or CXX without one, and an empty compile cache."""
    place, cache = bench.fresh(), bench.fresh()
    bin = bench.fresh()
    bin.mkdir()
    environments: list[dict[str, str | None]] = [
        {"PATH": str(bin), "CXX": None},
        {"PATH": "", "CXX": None},
        {"CXX": "no-such-compiler"},
        {"CXX": str(script(bin / "text", "")), "PATH": os.environ["PATH"]},
    ]
    if trial % 4 == 3:
        (bin / "text").chmod(0o644)
    ended = bench.run(place, environment={**environments[trial % 4], "BIOFA_CACHE": str(cache)}).wait()
    found = _refused_with(bench, ended, place, 3, "apt install g++", "conda", "--backend numpy")
    return (
        Trial(Outcome.UNCLEAR, "something half-built was left") if unfinished_builds(cache) or entries(cache) else found
    )


@fault("F2", "compile error", "an error in the source", "nothing said", "linking fails")
def compile_error(bench: Bench, trial: int) -> Trial:
    """A compiler that exits with 1: with an error of the source, without a word, or only when it links."""
    place, cache = bench.fresh(), bench.fresh()
    fault = [
        "echo 'steps.cpp:7:1: error: no such thing' >&2; exit 1",
        "exit 1",
        "[ \"$out\" = main ] && { echo 'ld: error: undefined reference' >&2; exit 1; }",
    ][trial % 3]
    compiler = Compiler(bench.fresh(), _store(bench), fault)
    ended = bench.run(place, environment={**compiler.environment, "BIOFA_CACHE": str(cache)}).wait()
    found = _refused_with(
        bench, ended, place, 1, ["error: no such thing", "no message", "undefined reference"][trial % 3], "compiler.log"
    )
    if unfinished_builds(cache) or entries(cache):
        return Trial(Outcome.UNCLEAR, "something half-built is in the cache")
    return found if list(cache.glob(".failed-*/compiler.log")) else Trial(Outcome.UNCLEAR, "no log was kept")


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
def bad_compiler(bench: Bench, trial: int) -> Trial:
    """A compiler that hangs, kills itself, or cuts what it made short and exits with 0;
    SIGKILL at a random moment of the build. Then the same cache is used with the compiler mended."""
    place, cache = bench.fresh(), bench.fresh()
    fault, after = [
        ("sleep 1000", ""),
        ("kill -9 $$", ""),
        ("", 'case "$out" in *.o) truncate -s 3000 "$out";; esac'),
        ("", f'case "$out" in main) truncate -s {bench.random.randrange(1, 60_000)} "$out";; esac'),
        ("exit 0", ""),
        ("", "sleep 0.2"),
    ][min(trial % 10, 5)]
    compiler = Compiler(bench.fresh(), _store(bench), fault, after)
    killed = trial % 10 >= 5
    environment = {
        **compiler.environment,
        "BIOFA_CACHE": str(cache),
        "BIOFA_COMPILE_LIMIT": "12" if trial % 10 == 0 else None,
    }
    running = bench.run(place, environment=environment)
    if killed:
        running_for = bench.random.uniform(0.05, 3.0)
        _sleep(running_for)
        ended = running.kill()
    else:
        ended = running.wait()
    wrong = None if killed else complaint(ended)
    if wrong:
        return Trial(Outcome.UNCLEAR, wrong)
    if not gone(cache):
        return Trial(Outcome.UNCLEAR, "what the compiler had started goes on")
    compiler.mend()
    again = bench.fresh()
    ended_again = bench.run(again, environment=environment | {"BIOFA_COMPILE_LIMIT": None}).wait()
    if ended_again.code != 0 or digest(again / RESULT) != bench.expected:
        return Trial(
            Outcome.SILENT if ended_again.code == 0 else Outcome.UNCLEAR, f"the cache is poisoned: {ended_again.last}"
        )
    if unfinished_builds(cache):
        return Trial(Outcome.UNCLEAR, f"left in the cache: {unfinished_builds(cache)}")
    return bench.recovered(place, ended.last) if killed else bench.judged(ended, place)


def _sleep(seconds: float) -> None:
    import time

    time.sleep(seconds)


@fault("F4", "two processes build the same model", "at random moments", chance=True)
def two_builds(bench: Bench, trial: int) -> Trial:
    """Two runs begun within a second of each other, with one empty cache."""
    cache, places = bench.fresh(), [bench.fresh(), bench.fresh()]
    compiler = Compiler(bench.fresh(), _store(bench), "", "sleep 0.1")
    environment = {**compiler.environment, "BIOFA_CACHE": str(cache)}
    running = []
    for place in places:
        running.append(bench.run(place, environment=environment))
        _sleep(bench.random.uniform(0, 1.0))
    ended = [one.wait() for one in running]
    for one, place in zip(ended, places, strict=True):
        found = bench.judged(one, place)
        if found.outcome is not Outcome.IDENTICAL:
            return found
    linked = compiler.count.read_text().split().count("main")
    cached = sorted(json.loads(one.out)["timing"]["cached"] for one in ended)
    return (
        Trial(Outcome.IDENTICAL)
        if (linked, cached) == (1, [False, True])
        else Trial(Outcome.UNCLEAR, f"{linked} builds, cached: {cached}")
    )


@fault("F5", "an entry of the compile cache is damaged", *DAMAGES, chance=True)
def damaged_entry(bench: Bench, trial: int) -> Trial:
    """A flipped bit, a cut, an emptied or a removed file in an entry of the compile cache, at a random place."""
    place, cache = bench.fresh(), bench.copy_of_cache()
    (entry,) = (path.parent for path in cache.glob("*/entry.json"))
    damage = list(DAMAGES.values())[trial % 4]
    damage(entry / ["main", "entry.json"][trial // 4 % 2], bench.random)
    compiler = Compiler(bench.fresh(), _store(bench))
    return bench.judged(
        bench.run(place, environment={**_same_compiler(bench, compiler), "BIOFA_CACHE": str(cache)}).wait(), place
    )


def _same_compiler(bench: Bench, compiler: Compiler) -> dict[str, str | None]:
    """The compiler under the name g++, by which an entry of the cache is found."""
    bin = compiler.path.parent
    (bin / "g++").symlink_to(compiler.path)
    compiler.mend()
    return {"PATH": f"{bin}{os.pathsep}{os.environ['PATH']}"}


@fault("F6", "the program was built for another processor", "and is built again", "and is built for any processor")
def another_processor(bench: Bench, trial: int) -> Trial:
    """A program that dies by SIGILL, in an entry of the cache that is whole."""
    place, cache = bench.fresh(), bench.copy_of_cache()
    replace_program(cache, "kill -ILL $$")
    ended = bench.run(place, environment={"BIOFA_CACHE": str(cache)}).wait()
    found = _refused_with(bench, ended, place, 1, "processor", "BIOFA_PORTABLE")
    if not found.outcome.survived:
        return found
    again = bench.fresh()
    portable = {"BIOFA_PORTABLE": "1"} if trial % 2 else {}
    compiler = Compiler(bench.fresh(), bench.fresh() if trial % 2 else _store(bench))
    ended = bench.run(
        again, environment={**_same_compiler(bench, compiler), **portable, "BIOFA_CACHE": str(cache)}
    ).wait()
    if ended.code != 0:
        return Trial(Outcome.UNCLEAR, f"it cannot be built again: {ended.last}")
    if trial % 2:  # other instructions may round otherwise
        return (
            found
            if json.loads(ended.out)["presentations"] == 300
            else Trial(Outcome.SILENT, "the portable program did something else")
        )
    return (
        found
        if digest(again / RESULT) == bench.expected
        else Trial(Outcome.SILENT, "built again, it has other numbers")
    )


EXTRAS = {"nir": "nir", "neo": "nixio", "nwb": "pynwb", "safetensors": "safetensors"}
"""The formats that need a package: the extra that brings it, and the module."""


@fault(
    "F23",
    "a package is missing or too old",
    *(f"no {module}" for module in EXTRAS.values()),
    "no Dask",
    "no Brian2",
    "an old Brian2",
)
def missing_package(bench: Bench, trial: int) -> Trial:
    """A package hidden from import, or in its place another with an old version's number."""
    which = trial % 7
    if which < 4:
        extra, module = list(EXTRAS.items())[which]
        place = bench.whole()
        out = bench.fresh()
        ended = bench.biofa(
            "export", str(place), "--to", extra, "--out", str(out), prepare=[lambda: _hide(module)]
        ).wait()
        return _named(ended, 3, f"bioFA[{extra}]", out)
    if which == 4:
        out = bench.fresh()
        ended = bench.compare(out, "--scheduler", "tcp://127.0.0.1:1", prepare=[lambda: _hide("distributed")]).wait()
        found = _named(ended, 3, "bioFA[cluster]", out / "table.csv")
        return found
    place, cache, hidden = bench.fresh(), bench.fresh(), bench.fresh()
    (hidden / "brian2").mkdir(parents=True)
    (hidden / "brian2" / "__init__.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'brian2'\")\n" if which == 5 else '__version__ = "2.4"\n'
    )
    if which == 6:
        (hidden / "brian2-2.4.dist-info").mkdir()
        (hidden / "brian2-2.4.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: brian2\nVersion: 2.4\n")
    path = os.pathsep.join([str(hidden), *filter(None, [os.environ.get("PYTHONPATH")])])
    ended = bench.run(
        place, environment={"PYTHONPATH": path, "BIOFA_CACHE": str(cache)}, prepare=[lambda: _first_on_path(hidden)]
    ).wait()
    return _refused_with(bench, ended, place, 3, "pip install 'brian2>=2.9,<2.12'")


def _named(ended: Ended, code: int, words: str, made: Path) -> Trial:
    wrong = complaint(ended)
    if wrong is None and ended.code != code:
        wrong = f"exit code {ended.code}, not {code}: {ended.last}"
    if wrong is None and words not in ended.err:
        wrong = f"it does not say '{words}': {ended.last}"
    if made.exists():
        return Trial(Outcome.SILENT, f"something was made all the same: {made.name}")
    return Trial(Outcome.REFUSED, ended.last) if wrong is None else Trial(Outcome.UNCLEAR, wrong)


def _hide(module: str) -> None:
    import sys

    for name in [name for name in sys.modules if name == module or name.startswith(f"{module}.")]:
        del sys.modules[name]
    sys.modules[module] = None  # type: ignore[assignment]


def _first_on_path(folder: Path) -> None:
    import sys

    sys.path.insert(0, str(folder))


FAULTS = (no_compiler, compile_error, bad_compiler, two_builds, damaged_entry, another_processor, missing_package)
