"""Builds in the tests cost less than a user's (conftest.py), and make the same programs."""

import json
import os
import shlex
import subprocess
import sys
import time

import pytest
import systems

from bioFA.consumers.brian.cache import build
from bioFA.consumers.brian.compile import flags, generate
from bioFA.consumers.brian.compose import make_program
from bioFA.errors import TranslationFailed

pytestmark = pytest.mark.compiled


@pytest.fixture(scope="module")
def program():
    return make_program(systems.held("np"))


@pytest.fixture
def server(tmp_path):
    """The socket of a server of builds that has seen no network yet."""
    socket = tmp_path / "build"
    process = subprocess.Popen([sys.executable, "-P", "-m", "bioFA.consumers.brian.server", str(socket)])
    while not socket.exists():
        assert process.poll() is None
        time.sleep(0.01)
    yield socket
    process.kill()
    process.wait()


def test_a_build_as_on_a_users_machine_writes_what_the_server_writes_after_other_networks(
    program, server, cold_builds, tmp_path, monkeypatch,
):
    monkeypatch.setenv("BIOFA_CACHE", str(tmp_path / "cache"))
    cold = build(program)
    assert not cold.cached
    monkeypatch.setenv("BIOFA_BUILD_SERVER", str(server))
    for name, other in {"first": make_program(systems.mixed_tissue()), "then": program}.items():
        (tmp_path / name).mkdir()
        generate(other, tmp_path / name)
    ours = [path.relative_to(cold.folder) for path in cold.folder.rglob("*.*") if path.suffix in {".cpp", ".h"}]
    ours = [path for path in ours if path.name not in {"steps.cpp", "rest.cpp"}]
    assert len(ours) > 20
    assert [path for path in ours if (tmp_path / "then" / path).read_bytes() != (cold.folder / path).read_bytes()] == []


@pytest.mark.slow
def test_a_server_begins_anew_after_a_network_that_brian2_refuses(program, server, tmp_path, monkeypatch):
    monkeypatch.setenv("BIOFA_BUILD_SERVER", str(server))
    rules = [{"equations": pathway.equations.replace("=", "= strange *", 1)} for pathway in program.pathways]
    pathways = tuple(p._replace(**rule) for p, rule in zip(program.pathways, rules, strict=True))
    with pytest.raises(TranslationFailed, match="could not translate"):
        generate(program._replace(pathways=pathways), tmp_path)
    while not server.exists():
        time.sleep(0.01)
    generate(program, tmp_path)
    assert (tmp_path / "written.json").is_file()


@pytest.mark.slow
@pytest.mark.skipif("BIOFA_TEST_COMPILER" not in os.environ, reason="the compiler is not GCC")
def test_parsed_headers_change_no_byte_of_the_steps(program, tmp_path, monkeypatch):
    monkeypatch.setenv("BIOFA_CACHE", str(tmp_path / "cache"))
    folder = build(program).folder
    monkeypatch.setenv("BIOFA_TEST_HEADERS", str(tmp_path / "headers"))
    (tmp_path / "headers").mkdir()
    include = shlex.split((folder / "makefile").read_text().split("OPTIMISATIONS =", 1)[1].splitlines()[0])
    ours = [*include, *flags(), "-I.", "-c", "steps.cpp"]
    step = sorted((folder / "code_objects").glob("*.cpp"))[0].relative_to(folder)
    plain = ["-c", "-Wno-write-strings", *include, *flags(), "-I.", str(step)]  # as Brian2's makefile has it
    for kind, command in {"steps": ours, "plain": plain}.items():
        objects = {}
        for name in ("g++", os.environ["BIOFA_TEST_COMPILER"]):
            subprocess.run([name, *command, "-o", "object.o"], cwd=folder, check=True)
            objects[name] = (folder / "object.o").read_bytes()
        assert list((tmp_path / "headers").glob(f"{kind}-*/headers.h.gch"))
        assert len(set(objects.values())) == 1


@pytest.mark.slow
@pytest.mark.skipif("BIOFA_TEST_COMPILER" not in os.environ, reason="the compiler is not GCC")
def test_instances_of_templates_are_shared_and_where_they_do_not_suffice_made_anew(program, tmp_path, monkeypatch):
    headers = tmp_path / "headers"
    headers.mkdir()
    monkeypatch.setenv("BIOFA_TEST_HEADERS", str(headers))

    def built(name):
        monkeypatch.setenv("BIOFA_CACHE", str(tmp_path / name))
        return build(program).folder  # which sees that it runs

    assert not (built("first") / "instances").exists()
    (instances,) = headers.glob("rest-*/instances.o")
    second = built("second")
    assert (second / "instances").read_text() == f"{instances}\n"
    instances.write_bytes(instances.read_bytes()[:100])
    third = built("third")
    assert b"biofa" in (third / "main").read_bytes()
    assert (third / "main").stat().st_size != (second / "main").stat().st_size


def test_every_array_is_written_and_set_by_one_line(program):
    """Where another Brian2 writes its lists of arrays otherwise, programs would only compile more slowly."""
    folder = build(program).folder
    text = (folder / "objects.cpp").read_text()
    written = json.loads((folder / "written.json").read_text())
    arrays, parameters = written["arrays"], written["parameters"]
    states = {name: file for name, file in arrays.items() if f'    write_array("{file}", ' in text}
    assert any(name.endswith(".w") for name in states)
    assert parameters
    assert not states.keys() & set(parameters)
    assert text.count("    write_value(file, ") == len(parameters)  # one after the other in one file
    assert text.count("ofstream outfile_") == 1  # of the file that tells of the run
    assert text.count("return set_array<double>(") > len(arrays) / 2
