"""What bioFA is made of: locked by hashes, with known licences, and audited where that can be done."""

import importlib.util
import re
import subprocess
import sys
import tomllib
from importlib.metadata import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements" / "python3.13.txt"


def loaded(path):
    specification = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def licences():
    return loaded(ROOT / "docs" / "_ext" / "licences_page.py")


def test_every_package_that_an_installation_needs_has_its_licence_on_the_page(licences):
    always = licences.needed(metadata("bioFA").get_all("Requires-Dist"))
    assert {"brian2", "numpy", "sympy", "markupsafe", "pydantic-core"} <= set(always)  # also what needs only lead to
    first = licences.PAGE.read_text().split("## Extras")[0]
    listed = dict(re.findall(r"^\| ([\w.-]+) \| \S+ \| (.+) \|$", first, re.MULTILINE))
    # what a newer version of a package brings is not known here
    locked = re.findall(r"^([\w.-]+)==", LOCK.read_text(), re.MULTILINE)
    assert [name for name in always if name in locked and name not in listed] == []
    assert [name for name, licence in listed.items() if "not " in licence] == []


def test_every_extra_of_users_has_its_licences_on_the_page(licences):
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    text = licences.PAGE.read_text()
    for extra, requirements in extras.items():
        for requirement in requirements:
            assert f"| {licences.plain(Requirement(requirement).name)} |" in text, extra


def test_a_licence_is_what_the_metadata_say(licences):
    assert licences.licence("numpy") != licences.licence("brian2")
    assert "CECILL" in licences.licence("Brian2").upper()  # as 2.9 and as 2.11 write it
    assert licences.licence("no-such-package") == "not installed here"


def test_what_is_locked_is_whole_and_fits_what_is_asked_for():
    pinned = dict(re.findall(r"^([\w.-]+)==(\S+) \\\n    --hash=sha256:[0-9a-f]{64}$", LOCK.read_text(), re.MULTILINE))
    assert len(pinned) == len([line for line in LOCK.read_text().splitlines() if not line.startswith(("#", " "))]) > 50
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for text in (*project["dependencies"], *project["optional-dependencies"]["test"]):
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"python_version": "3.13"}):
            assert requirement.specifier.contains(pinned[requirement.name.lower()]), text


def test_a_lock_is_written_from_what_pip_resolves():
    lock = loaded(ROOT / "requirements" / "lock.py")
    entries = [
        {"metadata": {"name": "B_x", "version": "2"}, "download_info": {"archive_info": {"hashes": {"sha256": "bb"}}}},
        {"metadata": {"name": "A", "version": "1"}, "download_info": {"archive_info": {"hashes": {"sha256": "aa"}}}},
        {"metadata": {"name": "bioFA", "version": "0"}, "download_info": {"dir_info": {}}},
    ]
    head, *lines = lock.text({"install": entries}, "test").splitlines()
    assert head.startswith("# Python 3")
    assert lines == ["a==1 \\", "    --hash=sha256:aa", "b-x==2 \\", "    --hash=sha256:bb"]


@pytest.mark.parametrize(
    ("program", "code", "words"),
    [
        ("import sys; sys.exit('ConnectionError: nobody there')", 3, "NOT CHECKED"),
        ("import sys; print('No known vulnerabilities found', file=sys.stderr)", 0, "No known"),
        ("import sys; print('numpy 1.0 X-1'); sys.exit(1)", 1, "numpy 1.0 X-1"),
        (None, 3, "NOT CHECKED"),
    ],
)
def test_an_audit_says_so_where_nobody_could_be_asked(tmp_path, program, code, words):
    (tmp_path / "pip_audit").mkdir()
    if program is not None:
        (tmp_path / "pip_audit" / "__main__.py").write_text(program)
    done = subprocess.run(
        [sys.executable, ROOT / "requirements" / "audit.py", LOCK],
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == code, done.stderr
    assert words in done.stdout
