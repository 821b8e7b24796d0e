"""What is said of mutation testing is what was measured, and at least nine of ten mutants are noticed."""

import json
from pathlib import Path

import mutation

ROOT = Path(__file__).resolve().parent.parent
REPORT = json.loads((ROOT / "trial" / "mutants.json").read_text())

PAGE = (ROOT / "docs" / "mutation.md").read_text()
UNMEASURED = {line.split("`")[1] for line in PAGE.splitlines() if line.endswith("| not measured since it moved | |")}


def test_every_critical_module_was_measured_and_nine_of_ten_mutants_were_noticed():
    assert set(mutation.MODULES) == {*REPORT["modules"], *UNMEASURED}
    for module, numbers in REPORT["modules"].items():
        assert numbers["killed"] >= 0.9 * numbers["mutants"] > 0, module
        assert len(numbers["survivors"]) == numbers["mutants"] - numbers["killed"], module
        assert len(numbers["sha256"]) == 64
    for key in ("mutants", "killed"):
        assert REPORT[key] == sum(numbers[key] for numbers in REPORT["modules"].values())


def test_the_page_says_what_was_measured():
    for module, numbers in REPORT["modules"].items():
        assert f"| `{module}` | {numbers['killed']} of {numbers['mutants']} |" in PAGE
    assert f"{REPORT['killed']} of {REPORT['mutants']} mutants" in PAGE
    assert REPORT["tool"] in PAGE


def test_modules_functions_and_tests_that_are_measured_exist():
    for module, measured in mutation.MODULES.items():
        text = (ROOT / module).read_text()
        for function in measured.functions:
            assert f"def {function.rpartition('.')[2]}(" in text, function
        for test in measured.tests:
            assert (ROOT / "tests" / test).is_file()
    assert (
        mutation.pattern("bioFA/consumers/brian/run.py", "Compiled._prove")
        == "bioFA.consumers.brian.run.xǁCompiledǁ_prove__mutmut_*"
    )
    assert mutation.pattern("bioFA/comparisons/table.py", "write") == "bioFA.comparisons.table.x_write__mutmut_*"
