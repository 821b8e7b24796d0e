"""Hostile input: nothing that stands in a model file is executed, opened or imported, and nothing hangs.

The texts, the readers and the canary that watches are `bioFA.selftest.hostile`, which ships with bioFA;
Hypothesis makes more texts here.
"""

import ast
import gc
import os
import re
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import example, given, settings
from hypothesis import strategies as st

import bioFA
from bioFA import cli
from bioFA.errors import BioFAError, MalformedFile, ModelError
from bioFA.exchange import export
from bioFA.exchange import load as import_
from bioFA.expressions import parse
from bioFA.selftest import hostile
from bioFA.selftest.hostile import BOMBS, KNOWN, LIMIT, PAYLOADS, Canary, Case, Verdict
from bioFA.tasks.arrays import Arrays


@pytest.fixture(scope="module")
def canary():
    return Canary()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("known")


@pytest.fixture(scope="module")
def known(place):
    found = hostile.readers(place)
    hostile.warm(found)
    return found


@pytest.fixture(scope="module")
def drill():
    return hostile.verdicts()


def test_the_canary_sees(canary, tmp_path):
    (tmp_path / "x").touch()
    with canary.watching(tmp_path):
        (tmp_path / "x").open("w").close()
        (tmp_path / "x").open().close()
        Path("/dev/null").open().close()
        subprocess.run([sys.executable, "-c", ""], check=True)
        eval("1")
    told = [entry.split()[0] for entry in canary.seen]
    assert told.count("open") >= 2
    assert "subprocess.Popen" in told
    assert "exec" in told
    assert canary.seen[0].startswith("open")
    assert canary.seen[0].endswith(" w")
    assert not any(entry.endswith("x') r") for entry in canary.seen)  # what is in the folder may be read
    assert canary.took > 0


def test_hostile_texts_for_every_reader_are_refused_and_nothing_happens(canary, known, place):
    few = hostile.cases()[::11]
    assert {case.reader for case in few} == {case.reader for case in hostile.cases()}
    found = {case: hostile.put(case, known, canary, place) for case in few}
    assert [(case.reader, case.name, verdict) for case, verdict in found.items() if not verdict.passes(case)] == []


@pytest.mark.slow
def test_every_hostile_text_is_refused_and_nothing_happens(drill):
    found, left = drill
    every = hostile.cases()
    assert len(found) == len(every) >= 1000
    assert [
        (case.reader, case.name, verdict)
        for case, verdict in zip(every, found, strict=True)
        if not verdict.passes(case)
    ] == []
    assert left == []


def test_the_texts_differ_and_there_are_at_least_200_for_equations_alone():
    assert len(set(PAYLOADS)) == len(PAYLOADS)
    assert len({case.text for case in hostile.cases() if case.reader == "equation"}) >= 200
    assert {case.reader for case in hostile.cases()} == set(hostile.readers(Path()))


@pytest.mark.parametrize(
    ("verdict", "passes"),
    [
        (Verdict("refused", True, [], 0.1), True),
        (Verdict(None, True, [], 0.1), False),
        (Verdict("refused", True, ["open 'x' w"], 0.1), False),
        (Verdict("TypeError: x", False, [], 0.1), False),
        (Verdict("refused", True, [], LIMIT), False),
        (Verdict("r" * 4000, True, [], 0.1), False),
    ],
)
def test_a_case_passes_only_if_it_was_refused_in_time_and_nothing_was_seen(verdict, passes):
    assert verdict.passes(Case("equation", "x", "x")) is passes


def test_text_that_was_taken_as_text_passes_only_where_it_may():
    assert Verdict(None, True, [], 0.1).passes(Case("name", "x", "x", refused=False))


def test_a_reader_that_runs_what_it_reads_is_caught(canary, tmp_path):
    verdict = hostile.put(
        Case("equation", "x", "open('canary', 'w')"),
        {"equation": lambda text: eval(text, {"open": lambda *_: None})},
        canary,
        tmp_path,
    )
    assert verdict.executed
    assert not verdict.passes(Case("equation", "x", ""))


@pytest.mark.parametrize(("pauses", "passes"), [(1, True), (2, False)])
def test_a_text_that_took_too_long_once_is_put_again(canary, tmp_path, monkeypatch, pauses, passes):
    monkeypatch.setattr(hostile, "LIMIT", 0.2)
    waits = [0.25] * pauses

    def reader(_):
        end = time.process_time() + (waits.pop() if waits else 0.0)
        while time.process_time() < end:
            pass
        raise ModelError("refused")

    case = Case("equation", "x", "x")
    assert hostile.put(case, {"equation": reader}, canary, tmp_path).passes(case) is passes


def test_a_process_that_dies_half_way_is_counted(canary, known, place, monkeypatch):
    first = [hostile.put(case, known, canary, place) for case in hostile.cases()[:10]]
    monkeypatch.setattr(hostile, "verdicts", lambda: (first, ["unknown"]))
    tally = hostile.run()
    assert tally.passed == 10
    assert tally.of == len(hostile.cases())
    assert tally.notes[1].startswith("1 hang")
    assert not tally.clean


def test_the_command_refuses_hostile_equations_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = bioFA.dumps(bioFA.load("linear"))
    for payload in PAYLOADS[::20]:
        (tmp_path / "m.toml").write_text(
            text.replace(
                'name = "local_error"', f'name = "equation"\nequation = {hostile.quoted("dw/dt = " + payload)}'
            ),
            encoding="utf-8",
        )
        outcome = CliRunner().invoke(cli.main, ["run", "m.toml", "--backend", "numpy", "--out", "out"])
        assert outcome.exit_code == 2, (payload, outcome.output)
    assert {path.name for path in tmp_path.iterdir()} == {"m.toml"}


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=200))
@example("(" * 120 + "w" + ")" * 120)
@example("w" + " + w" * 240)
@example("9" * 900)
@example("9**" * 300 + "9")
def test_any_text_is_read_or_refused_and_nothing_happens(canary, text):
    with canary.watching():
        try:
            written = parse(text, KNOWN).text
        except ModelError:
            written = ""
    assert canary.seen == []
    assert canary.took < LIMIT
    assert set(written) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789.+-*/()<>=, ")


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["model", "quantity", "name", "change"]), st.text(max_size=100))
def test_any_text_in_a_model_or_change_is_read_or_refused_and_nothing_happens(canary, known, reader, text):
    complaint = ""
    with canary.watching():
        try:
            known[reader](text)
        except BioFAError as refusal:
            complaint = str(refusal)
    assert len(complaint) < hostile.LONGEST_MESSAGE
    assert canary.seen == []
    assert canary.took < LIMIT


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_file_that_would_use_up_the_machine_is_refused_at_once(bomb, tmp_path):
    (tmp_path / "bomb.toml").write_text(BOMBS[bomb])
    began = time.perf_counter()
    outcome = CliRunner().invoke(cli.main, ["show", str(tmp_path / "bomb.toml")])
    assert outcome.exit_code == 2, (outcome.exception, outcome.output[:300])
    assert time.perf_counter() - began < 10
    assert len(outcome.stderr) < 5000


@pytest.mark.parametrize("name", ["../../evil", "/evil", "a/b", "..", "~", "a\\b", "-rf", "con", "a\nb"])
def test_a_name_never_leads_out_of_the_folder_of_results(name, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    text = bioFA.dumps(bioFA.load("linear", {"task.examples": 20, "task.test_examples": 5})).replace(
        'name = "linear"', f"name = {name!r}".replace("'", '"'), 1
    )
    (tmp_path / "here" / "m.toml").write_text(text)
    outcome = CliRunner().invoke(cli.main, ["run", "m.toml", "--backend", "numpy", "--json"])
    assert outcome.exit_code in (0, 2)
    assert {path.name for path in tmp_path.iterdir()} == {"here"}
    made = {path.name for path in (tmp_path / "here").iterdir()}
    assert made == ({"m.toml", "results"} if outcome.exit_code == 0 else {"m.toml"})
    if outcome.exit_code == 0:
        assert len(list((tmp_path / "here" / "results").iterdir())) == 1


@pytest.fixture
def preferences(tmp_path):
    """A folder, and a home, whose Brian2 preferences write a file when they are evaluated;
    and what tells whether they were."""
    (tmp_path / "home" / ".brian").mkdir(parents=True)
    (tmp_path / "here").mkdir()
    for place, name in (
        (tmp_path / "here" / "brian_preferences", "here"),
        (tmp_path / "home" / ".brian" / "user_preferences", "home"),
    ):
        place.write_text(f"codegen.target = open({str(tmp_path / f'canary-{name}')!r}, 'a').write('x') and 'numpy'\n")

    def run(*command):
        outside = {
            "HOME": str(tmp_path / "home"),
            "BIOFA_BUILD_SERVER": "",
            "BIOFA_CACHE": str(tmp_path / "cache"),
            "PYTHONPATH": str(Path(bioFA.__file__).resolve().parents[1]),
        }
        done = subprocess.run(
            [sys.executable, *command], cwd=tmp_path / "here", env=os.environ | outside, capture_output=True, text=True
        )
        return done, sorted(path.name for path in tmp_path.glob("canary*"))

    return run


@pytest.mark.slow
def test_brian2_itself_runs_its_preferences(preferences):
    assert preferences("-P", "-c", "import brian2")[1] == ["canary-here", "canary-home"]


@pytest.mark.compiled
def test_a_build_never_runs_preferences_of_brian2(preferences, tmp_path, monkeypatch):
    """The build fails with the compiler, when Brian2 has written the program."""
    (tmp_path / "refuses").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "refuses").chmod(0o755)
    monkeypatch.setenv("CXX", str(tmp_path / "refuses"))
    done, canaries = preferences("-P", "-m", "bioFA", "run", "linear", "--set", "task.examples=20", "--json")
    assert "compiler failed" in done.stderr
    assert canaries == []


@pytest.mark.compiled
@pytest.mark.slow
def test_commands_and_workers_never_run_preferences_of_brian2(preferences):
    small = [
        "linear",
        "--set",
        "task.examples=20",
        "--set",
        "task.test_examples=5",
        "--set",
        "protocol.epochs=1",
        "--json",
    ]
    for command in (
        ["run", *small, "--out", "run"],
        ["compare", *small, "--schemes", "bp", "--seeds", "1", "--out", "compare"],
        ["export", "run", "--to", "brian2", "--out", "script"],
        ["doctor"],
    ):
        done, canaries = preferences("-P", "-m", "bioFA", *command)
        assert done.returncode == 0, done.stderr
        assert canaries == [], command
        assert "warn" not in done.stderr.lower()


@pytest.mark.slow
def test_live_objects_warn_of_preferences_in_the_working_folder(preferences):
    done, canaries = preferences("-P", "-c", "import bioFA; bioFA.to_brian2('missing.h5')")
    assert canaries == ["canary-here", "canary-home"]
    assert "brian_preferences" in done.stderr
    assert "remove it" in done.stderr


def test_a_bundle_with_preferences_of_brian2_is_refused(tmp_path):
    result = bioFA.simulate(bioFA.load("linear", {"task.examples": 20, "task.test_examples": 5}), 1, "numpy")
    export(result, "bundle", tmp_path / "bundle")
    assert import_(tmp_path / "bundle")
    (tmp_path / "bundle" / "data").mkdir()
    (tmp_path / "bundle" / "data" / "brian_preferences").touch()
    with pytest.raises(BioFAError, match="do not trust this bundle"):
        import_(tmp_path / "bundle")


def test_nothing_in_bioFA_reads_xml_or_unpickles():
    """XML is written (NeuroML), and parsed only where the text is bioFA's own, so no entity can unfold;
    and no pickle is ever read."""
    forbidden = {
        "pickle",
        "marshal",
        "shelve",
        "dill",
        "joblib",
        "cloudpickle",
        "xml.sax",
        "xml.dom",
        "lxml",
        "pyexpat",
    }
    parsed = []
    for path in Path(bioFA.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [f"{node.module}.{alias.name}" for alias in node.names] if isinstance(node, ast.ImportFrom) else []
            )
            assert not [
                name for name in names if any(name == bad or name.startswith(f"{bad}.") for bad in forbidden)
            ], path
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {
                f"ElementTree.{name}"
                for name in (
                    "parse",
                    "fromstring",
                    "XML",
                    "XMLParser",
                    "XMLPullParser",
                    "iterparse",
                    "fromstringlist",
                    "XMLID",
                )
            }:
                parsed.append(ast.unparse(node)[:32])
    assert parsed
    # a constant of the module
    assert all(re.match(r"ElementTree\.fromstring\(_[A-Z]", call) for call in parsed), parsed


def test_an_archive_of_arrays_that_unfolds_out_of_proportion_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inputs.npy", bytes(1 << 20))
        archive.filelist[0].file_size = 1300 << 20  # what it says of itself is all that is read of it
    assert (tmp_path / "bomb.npz").stat().st_size < 3_000_000
    with pytest.raises(MalformedFile, match=r"Arrays\.path: '.*bomb\.npz' unfolds to 1363148800 bytes"):
        Arrays(path=str(tmp_path / "bomb.npz")).draw(None)


class Left:
    """Removes a folder when it is collected, as a `TemporaryDirectory` does."""

    def __init__(self, folder):
        self.itself, self.folder = self, folder

    def __del__(self):
        self.folder.rmdir()


def test_what_others_left_to_be_collected_is_no_doing_of_a_reader(canary, tmp_path):
    (tmp_path / "left").mkdir()
    Left(tmp_path / "left")
    with canary.watching():
        kept = [[] for _ in range(200_000)]  # enough for any generation to be collected
    assert canary.seen == []
    del kept
    gc.collect()
    assert not (tmp_path / "left").exists()
