"""A segment that is not proven complete does not count: the faults of a standalone binary, one by one."""

import dataclasses
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import bioFA
from bioFA.consumers.brian import cache
from bioFA.consumers.brian.run import Compiled
from bioFA.errors import RunError
from bioFA.instance import draw

pytestmark = pytest.mark.compiled


@pytest.fixture(scope="module")
def instance():
    return draw(bioFA.load("linear"), 1)


def lasting(instance):
    """An instance whose run takes seconds."""
    return dataclasses.replace(instance, experiment=instance.experiment.replace(protocol=bioFA.Protocol(epochs=500)))


@pytest.fixture
def compiled(instance):
    return Compiled(instance)


def run(compiled, instance, presentations=50):
    return compiled.segment(instance.state, instance.training(0, presentations), learning=True)


SERVES = """#!{python}
import os, subprocess, sys

for order in iter(lambda: b"".join(iter(lambda: os.read(0, 1), b"\\0")), b""):
    arguments = [order]
    while word := b"".join(iter(lambda: os.read(0, 1), b"\\0")):
        arguments.append(word)
    code = subprocess.run(["sh", "-c", {script!r}, "sh", *arguments]).returncode
    if code:
        os.kill(os.getpid(), -code) if code < 0 else sys.exit(code)
    os.write(1, b"ended\\n")
"""
"""A program that serves segments, each by a shell script."""


def replaced_binary(compiled, tmp_path, script):
    """A program that runs the real one and then, or instead, does something wrong."""
    folder = tmp_path / "entry"
    folder.mkdir()
    real = compiled.binary.folder / "main"
    script = f"RESULTS=$2\n{script}".replace("REAL", f"cd {real.parent} && ./main")
    (folder / "main").write_text(SERVES.format(python=sys.executable, script=script))
    (folder / "main").chmod(0o755)
    compiled.binary = dataclasses.replace(compiled.binary, folder=folder)


def test_an_undisturbed_segment_counts(compiled, instance):
    assert np.isfinite(run(compiled, instance).state["input_to_hidden.w"]).all()


def test_one_process_serves_the_segments_of_a_run_and_each_begins_as_if_it_were_the_first(compiled, instance):
    once = run(compiled, instance)
    served = compiled._served._process.pid
    run(compiled, instance, presentations=7)
    compiled.segment(instance.state, instance.evaluation("test"), learning=False, every=1)
    again = run(compiled, instance)
    assert compiled._served._process.pid == served
    alone = run(Compiled(instance), instance)
    for other in (again, alone):
        for name, array in once.state.items():
            assert other.state[name].tobytes() == array.tobytes()
        for name, array in once.recording.arrays.items():
            assert other.recording.arrays[name].tobytes() == array.tobytes()


def test_a_program_that_was_killed_between_two_segments_is_begun_again(compiled, instance):
    first = run(compiled, instance)
    served = compiled._served._process
    os.kill(served.pid, signal.SIGKILL)
    served.wait()
    again = run(compiled, instance)
    assert again.state["input_to_hidden.w"].tobytes() == first.state["input_to_hidden.w"].tobytes()
    assert compiled._served._process.pid != served.pid


def test_a_fork_of_the_process_has_a_program_of_its_own_and_leaves_that_of_its_parent_alone(compiled, instance):
    first, served = run(compiled, instance), compiled._served._process
    child = os.fork()
    if child == 0:
        same = run(compiled, instance).state["input_to_hidden.w"].tobytes()
        compiled._served.close()
        os._exit(0 if same == first.state["input_to_hidden.w"].tobytes() else 1)
    assert os.waitpid(child, 0)[1] == 0
    run(compiled, instance)
    assert compiled._served._process is served


def test_a_fork_leaves_the_files_that_its_parent_goes_on_from_alone(compiled, instance):
    first = run(compiled, instance)
    child = os.fork()
    if child == 0:
        run(compiled, instance)
        run(compiled, instance)
        compiled._served.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    further = instance.training(50, 100)
    last = compiled.segment(first.state, further, learning=True).state["input_to_hidden.w"]
    assert (last == Compiled(instance).segment(first.state, further, learning=True).state["input_to_hidden.w"]).all()


def test_a_program_ends_with_its_run_and_with_the_process_that_began_it(compiled, instance):
    run(compiled, instance)
    served = compiled._served._process.pid
    compiled._served.close()
    assert not os.path.exists(f"/proc/{served}")
    child = os.fork()
    if child == 0:
        run(compiled, instance)
        os.kill(os.getpid(), signal.SIGSTOP)
        run(compiled, lasting(instance), 1_000_000)
    os.waitpid(child, os.WUNTRACED)
    (served,) = of_parent(child)
    os.kill(child, signal.SIGCONT)
    end = time.monotonic() + 30
    while not (segment := of_parent(served)) and time.monotonic() < end:
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while any(map(lives, (served, *segment))) and time.monotonic() < end:
        time.sleep(0.01)
    assert segment
    assert not any(map(lives, (served, *segment)))


def lives(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def of_parent(pid):
    """The processes that a process has begun."""
    return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


FAULTS = {
    "exit code": ('REAL "$@"; exit 3', "exit code 3"),
    "killed": ("kill -9 $$", "exit code -9"),
    "words on the error stream": ('REAL "$@"; echo "Error reading x: file size 3" >&2', "Error reading x"),
    "an error on standard output": ('REAL "$@"; echo "Error writing output file for y."', "Error writing output"),
    "does nothing and exits 0": ("exit 0", "stopped before the last"),
    "no mark of the end": ('REAL "$@"; rm "$RESULTS/done.txt"', "stopped before the last"),
    "the mark of another length": ('REAL "$@"; echo "finished 49" > "$RESULTS/done.txt"', "stopped before the last"),
    "a stopped run": ('REAL "$@"; echo "stopped 50" > "$RESULTS/done.txt"', "stopped before the last"),
    "a truncated weight file": (
        'REAL "$@"; truncate -s 100 "$RESULTS"_array_input_to_hidden_w_*',
        "did not finish writing",
    ),
    "an empty weight file": ('REAL "$@"; truncate -s 0 "$RESULTS"_array_hidden_to_output_w_*', "has 0 bytes"),
    "a missing weight file": ('REAL "$@"; rm "$RESULTS"_array_input_to_hidden_w_*', "is missing"),
    "a truncated record": ('REAL "$@"; truncate -s 80 "$RESULTS"output.r.record', "output.r.record has 80 bytes"),
    "a missing record": ('REAL "$@"; rm "$RESULTS"hidden.error.record', "hidden.error.record is missing"),
    "another learning rate": ('REAL "$@" input_to_hidden.learning_rate=0.5', "learning_rate = 0.5 instead of 0.007"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_refused(fault, compiled, instance, tmp_path):
    script, message = FAULTS[fault]
    replaced_binary(compiled, tmp_path, script)
    with pytest.raises(RunError, match=message):
        run(compiled, instance)


def test_a_full_disk_is_refused(compiled, instance):
    compiled.segment(instance.state, instance.training(0, 5), learning=True)
    compiled._served.close()  # the limit holds for the program that is begun under it
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limit[1]))
        with pytest.raises(RunError, match=r"finish|written|write|failed"):
            run(compiled, instance, presentations=1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_segment_stopped_half_way_by_a_signal_is_refused(compiled, instance, monkeypatch):
    popen = subprocess.Popen

    def interrupted(*arguments, **keywords):
        process = popen(*arguments, **keywords)

        def stop():
            time.sleep(0.05)
            process.send_signal(signal.SIGINT)

        threading.Thread(target=stop).start()
        return process

    monkeypatch.setattr(subprocess, "Popen", interrupted)
    with pytest.raises(RunError, match=r"stopped before the last|failed"):
        run(compiled, lasting(instance), 1_000_000)


def test_divergence_names_the_variable_and_the_presentation():
    wild = bioFA.load(
        "linear", {"circuit.schemes.fa.rule.learning_rate": 5.0, "circuit.schemes.fa.readout_rule.learning_rate": 5.0}
    )
    for backend in ("cpp", "numpy"):
        with (
            np.errstate(all="ignore"),
            pytest.raises(RunError, match=r"diverged: \w+\.\w+ is no longer finite in presentation \d+"),
        ):
            bioFA.simulate(wild, backend=backend)


def builds(folder):
    return [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]


class Building(Exception):
    """Raised in place of a build."""


def test_no_number_recompiles_and_a_new_structure_does(compiled, monkeypatch):
    def build(*_):
        raise Building

    monkeypatch.setattr(cache, "_build", build)  # counting entries would count those that tests beside this one build
    changes = [
        {"protocol.epochs": 2},
        {"protocol.snapshots": 3},
        {"task.examples": 123},
        {"circuit.schemes.fa.rule.learning_rate": 1e-4},
        {"circuit.weights": {"name": "normal", "scale": 0.03}},
        {"circuit.feedback": {"name": "low_rank", "scale": 0.1}},
        {"protocol.shuffle": True},
        {"record.every": 7},
        {"name": "other"},
    ]
    for change in changes:
        result = bioFA.simulate(bioFA.load("linear", change), seed=9)
        assert result.timing["cached"], change
    with pytest.raises(Building):
        # a size that no other test builds
        bioFA.simulate(bioFA.load("linear", {"circuit.sizes": [30, 24, 10]}), seed=9)


def test_a_damaged_binary_is_built_again(tmp_path, monkeypatch):
    from bioFA.consumers.brian.compose import make_program

    monkeypatch.setenv("BIOFA_CACHE", str(tmp_path))
    program = make_program(bioFA.load("minimal"))
    first = cache.build(program)
    assert not first.cached
    with open(first.folder / "main", "r+b") as main:
        main.seek(3000)
        main.write(b"\0" * 64)
    again = cache.build(program)
    assert not again.cached
    assert cache.build(program).cached


def test_two_processes_that_need_one_binary_build_it_once(tmp_path):
    command = [
        sys.executable,
        "-c",
        "import bioFA; print(bioFA.simulate(bioFA.load('minimal'), seed=1).timing['cached'])",
    ]
    environment = os.environ | {"BIOFA_CACHE": str(tmp_path)}
    pair = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) for _ in range(2)]
    assert sorted(process.communicate()[0].strip() for process in pair) == ["False", "True"]
    assert len(builds(tmp_path)) == 1


NOT_FOR_A_RUN = (
    *("brian2", "sympy", "scipy", "pandas", "matplotlib", "sklearn", "jinja2", "dask", "pooch", "tqdm", "neo", "pynwb"),
    *("numpy.ma", "numpy.fft", "numpy.polynomial", "numpy.testing", "multiprocessing", "tarfile", "unittest"),
    *("bioFA.exchange", "bioFA.show", "bioFA.comparisons", "bioFA.verification", "bioFA.tasks.mnist"),
    *("bioFA.neurons.lif", "bioFA.rules.e_prop", "bioFA.schemes.direct_feedback_alignment"),
)
"""What takes time to import, and a run of a compiled rate network has no use for."""


def test_a_warm_run_imports_only_what_it_needs(compiled, tmp_path):
    code = f"""
import sys
from bioFA.__main__ import main
main(["run", "linear", "--seed", "5", "--json", "--out", {str(tmp_path / "out")!r}], standalone_mode=False)
print(*sorted(sys.modules), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["timing"]["cached"]
    assert {"bioFA.rules.local_error", "numpy.random", "h5py"} <= (loaded := set(done.stderr.split()))
    assert loaded & set(NOT_FOR_A_RUN) == set()


def test_a_compiler_that_fails_is_quoted_and_leaves_no_entry(tmp_path, monkeypatch):
    broken = tmp_path / "broken-compiler"
    broken.write_text("#!/bin/sh\necho 'x.cpp:1: fatal error: no such thing' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("CXX", str(broken))
    monkeypatch.setenv("BIOFA_CACHE", str(tmp_path / "cache"))
    with pytest.raises(RunError, match="fatal error: no such thing"):
        bioFA.simulate(bioFA.load("minimal"))
    assert builds(tmp_path / "cache") == []
