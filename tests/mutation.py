"""Break the critical modules on purpose, one small change at a time, and count how many changes their tests notice.

    pip install mutmut
    python tests/mutation.py [MODULE...]       measure; all modules of the table where none is named.
                                               One process, so prefix it with nice

Each module has a focused, fast set of tests. mutmut makes its mutants of function bodies (not of constants at module
level, nor of functions with decorators) in a copy of the checkout, and runs the tests for each until the first fails.
What comes out stands in trial/mutants.json, with the SHA-256 of each module as it was measured; survivors with
their changes are printed. docs/mutation.md says why they may live.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
REPORT = ROOT / "trial" / "mutants.json"
ALIVE = (0, 5, 33, 34, None)
"""What mutmut notes of a mutant that no test noticed: survived, no tests, skipped, not run."""


class Measured(NamedTuple):
    """The tests of a module, which of its functions count (all where none is named),
    and what to leave out of the tests."""

    tests: tuple[str, ...]
    functions: tuple[str, ...] = ()
    but: str = ""


MODULES = {
    "bioFA/expressions.py": Measured(("test_expressions.py",)),
    "bioFA/equations/formula.py": Measured(("test_expressions.py", "test_equations.py"), but="brian2"),
    "bioFA/units.py": Measured(("test_units.py",)),
    "bioFA/system/sealed_hdf5.py": Measured(("test_sealed.py",)),
    "bioFA/analysis/statistics.py": Measured(("test_statistics.py",), but="promise or 95_of_100"),
    "bioFA/runs/checkpoint.py": Measured(("test_checkpoint.py",)),
    "bioFA/consumers/brian/run.py": Measured(
        ("test_proof.py",),
        (
            "Compiled._call",
            "Compiled._compare_one",
            "Compiled._prove",
            "Compiled._read",
            "Compiled._read_raster",
            "Compiled._read_records",
            "Compiled._stored",
            "_write",
        ),
    ),
    "bioFA/comparisons/table.py": Measured(
        ("test_sweep.py",),
        (
            "Sweep.__init__",
            "Sweep.part",
            "Sweep.chosen",
            "Sweep.experiment",
            "Sweep.place",
            "Sweep.is_done",
            "Sweep.outcome",
            "Sweep._prove",
            "Sweep.complaint",
            "_sha256",
            "digest",
            "write",
            "read",
            "holds_sweep",
        ),
    ),
    "bioFA/comparisons/driver.py": Measured(("test_sweep.py",), ("estimate", "_mean", "_running", "pilots")),
    "bioFA/comparisons/outcomes.py": Measured(("test_sweep.py",), ("Outcomes.state", "read_outcomes")),
}


def pattern(module: str, function: str) -> str:
    """The names that mutmut gives the mutants of a function."""
    owner, dot, name = function.rpartition(".")
    place = module.removesuffix(".py").replace("/", ".")
    return f"{place}.xǁ{owner}ǁ{name}__mutmut_*" if dot else f"{place}.x_{name}__mutmut_*"


def measure(module: str, folder: Path) -> tuple[dict[str, object], str]:
    """Measure one module in a copy of the checkout: its numbers, and the survivors as text."""
    found = MODULES[module]
    tracked = (
        subprocess.run(
            ["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True
        )
        .stdout.decode()
        .split("\0")
    )
    for name in filter(None, tracked):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    chosen = f"not slow and not compiled\n  -k\n  not ({found.but})" if found.but else "not slow and not compiled"
    tests = "\n  ".join(f"tests/{test}" for test in found.tests)
    (folder / "setup.cfg").write_text(
        f"[mutmut]\nsource_paths=bioFA\nonly_mutate={module}\nalso_copy=\n  benchmarks\n  models\n  README.md\n  docs\n"
        f"pytest_add_cli_args=\n  -n0\n  -q\n  -m\n  {chosen}\npytest_add_cli_args_test_selection=\n  {tests}\n"
    )
    command = [
        sys.executable,
        "-m",
        "mutmut",
        "run",
        "--max-children",
        "1",
        *(pattern(module, function) for function in found.functions),
    ]
    without = os.environ | {"BIOFA_BUILD_SERVER": ""}  # which these tests have no use for
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=without)
    meta = folder / "mutants" / f"{module}.meta"
    if done.returncode != 0 or not meta.is_file():
        raise SystemExit(f"mutmut failed on {module}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    codes = json.loads(meta.read_text())["exit_code_by_key"]
    if found.functions:
        wanted = tuple(pattern(module, function).removesuffix("*") for function in found.functions)
        codes = {name: code for name, code in codes.items() if name.startswith(wanted)}
    survivors = [name for name, code in codes.items() if code in ALIVE]
    shown = "\n".join(
        subprocess.run(
            [sys.executable, "-m", "mutmut", "show", name], cwd=folder, capture_output=True, text=True
        ).stdout
        for name in survivors
    )
    numbers = {
        "mutants": len(codes),
        "killed": len(codes) - len(survivors),
        "sha256": hashlib.sha256((ROOT / module).read_bytes()).hexdigest(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "functions": list(found.functions) or "all",
        "tests": list(found.tests),
        "survivors": survivors,
    }
    return numbers, shown


def main(modules: list[str]) -> None:
    """Measure modules, and put their numbers into the report beside those of the others."""
    report = json.loads(REPORT.read_text()) if REPORT.is_file() else {"modules": {}}
    for module in modules or MODULES:
        with tempfile.TemporaryDirectory(prefix="biofa-mutants-") as folder:
            numbers, survivors = measure(module, Path(folder))
        print(f"{module}: {numbers['killed']} of {numbers['mutants']} killed\n{survivors}", flush=True)
        report["modules"][module] = numbers
        report |= {"date": numbers["date"], "tool": f"mutmut {version('mutmut')}", "python": platform.python_version()}
        report["mutants"], report["killed"] = (
            sum(entry[key] for entry in report["modules"].values()) for key in ("mutants", "killed")
        )
        REPORT.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
