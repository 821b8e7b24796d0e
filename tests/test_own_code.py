"""A Python file with a rule and a neuron of somebody's own: whatever a model can do, one that names it can do, in every
process; and a stranger's runs only where it is trusted."""

import importlib
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import bioFA
from bioFA import cli, exchange, neurons, rules
from bioFA.comparisons import driver
from bioFA.comparisons.plan import Request, begin
from bioFA.comparisons.run import run
from bioFA.comparisons.table import read, refuse_changed_code
from bioFA.errors import (
    BrokenCode,
    ChangedSince,
    DamagedFile,
    DuplicateName,
    NoSuchFile,
    PlaceTaken,
    UnknownName,
    UnsafePath,
    UntrustedCode,
    WrongType,
)
from bioFA.modelfiles import toml
from bioFA.own_code import files, reading, trust
from bioFA.runs.trained import load_trained
from bioFA.show.own_code import plain

PARTS = '''"""A rule and a neuron of somebody's own."""
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt

from bioFA.components import Number
from bioFA.neurons.base import NeuronModel
from bioFA.rules import PlasticityRule
from bioFA.units import Unit


class Own(PlasticityRule):
    """T dw_ij/dt = eta e_i phi'(u_i) r_j"""

    learning_rate: Annotated[float, Ge(0)] = 0.02

    reads_pre = ("r",)
    reads_post = ("error", "gain")
    equations = "dw/dt = learning_rate * error_post * gain_post * r_pre / T : 1"

    def step(self, synapses, pre, post, dt, T):
        return {"w": synapses["w"] + self.learning_rate * dt / T * np.outer(post["error"] * post["gain"], pre["r"])}


class Slow(NeuronModel):
    """tau du/dt = drive - u, r = tanh(u)"""

    tau: Annotated[Number, Unit("s"), Gt(0)] = 10e-3

    ports = ("drive", "error", "probe")
    publishes = ("r", "gain", "delta")
    state = {"u": 0.0}

    def r(self, u):
        return np.tanh(u)

    def gain(self, r):
        return 1.0 - r**2

    def delta(self, error, gain):
        return error * gain

    def expressions(self):
        return {"r": "tanh(u)", "gain": "1 - r**2", "delta": "error*gain"}

    def dynamics(self):
        return "du/dt = (drive - u)/tau : 1"

    def advance(self, state, now, dt):
        return {"u": state["u"] + dt / self.tau * (now["drive"] - state["u"])}
'''
MODEL = """name = "mine"

[circuit]
name = "layered"
sizes = [3, 4, 2]
hidden = "parts.py:Slow"
schemes.fa.rule = { name = "parts.py:Own", learning_rate = 0.01 }

[task]
name = "linear_teacher"
n_in = 3
n_out = 2
examples = 20
test_examples = 5

[protocol]
dt = "1 ms"
presentation = "5 ms"
learning_onset = "3 ms"
"""


@pytest.fixture(scope="module")
def mine(tmp_path_factory):
    """A folder with a model file, its Python file, a run of it and what was made of that."""
    folder = tmp_path_factory.mktemp("mine")
    (folder / "parts.py").write_text(PARTS)
    (folder / "mine.toml").write_text(MODEL)
    experiment = bioFA.load(folder / "mine.toml")
    result = bioFA.simulate(experiment, backend="numpy", folder=folder / "run")
    with pytest.raises(KeyboardInterrupt):
        bioFA.simulate(experiment, backend="numpy", folder=folder / "stopped", progress=stop)
    for name in ("bundle", "safetensors"):
        exchange.export(result if name == "bundle" else result.trained, name, folder / f"there.{name}")
    exchange.load(folder / "there.safetensors").save(folder / "back")
    return folder


@pytest.fixture
def stranger(monkeypatch, tmp_path):
    """Nothing has run here: as on a machine of somebody else."""
    for place, name, value in (
        (trust, "_here", set()),
        (files, "_ran", {}),
        (files, "_file_of", {}),
        (reading, "_latest", {}),
    ):
        monkeypatch.setattr(place, name, value)
    monkeypatch.setenv("BIOFA_TRUST", str(tmp_path / "nothing_ran.txt"))


def stop(*_):
    raise KeyboardInterrupt


def biofa(*words, code=0):
    outcome = CliRunner().invoke(cli.main, [str(word) for word in words], catch_exceptions=False)
    assert outcome.exit_code == code, outcome.output
    return outcome.stdout if code == 0 else outcome.stderr


def apart(*words, cwd, trusted=True, **environment):
    """A command in a process of its own, by default under a user for whom nothing has run."""
    environment = os.environ | environment | ({} if trusted else {"BIOFA_TRUST": str(cwd / "nobody.txt")})
    command = [sys.executable, "-P", "-m", "bioFA", *map(str, words)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)


# a citizen


def test_a_class_of_a_file_is_named_by_it_and_comes_back_from_every_file(mine):
    experiment = bioFA.load(mine / "mine.toml")
    rule, hidden = experiment.circuit.active().rule, experiment.circuit.hidden
    assert (rule.family_name, hidden.family_name) == ("parts.py:Own", "parts.py:Slow")
    assert (rule.learning_rate, hidden.tau) == (0.01, 0.01)
    assert toml.loads(toml.kept(experiment)) == experiment
    for kept in (
        bioFA.load_result(mine / "run" / "result.h5"),
        load_trained(mine / "run" / "result.h5"),
        exchange.load(mine / "there.bundle").trained,
        exchange.load(mine / "there.safetensors").trained,
    ):
        assert kept.experiment == experiment
    assert toml.load(mine / "back" / "model.toml").circuit == experiment.circuit
    assert bioFA.check_rule(rule).passes
    assert bioFA.load_result(mine / "run" / "result.h5").provenance["code"] == toml.code_of(experiment)
    assert len(toml.code_of(experiment)["parts.py"]) == 64


@pytest.mark.compiled
def test_it_is_compiled_and_agrees_and_is_compared_by_other_processes(mine, tmp_path):
    assert bioFA.verify(bioFA.load(mine / "mine.toml"), presentations=20).agrees
    out = tmp_path / "compared"
    biofa("compare", mine / "mine.toml", "--seeds", 5, "-j", 2, "--out", out)
    assert (out / "report.html").is_file()
    comparison = bioFA.load_comparison(out)
    assert len(comparison.table) == 5
    assert set(comparison.table["status"]) == {"finished"}


def test_a_run_that_was_killed_goes_on_in_another_process_bit_by_bit(mine, tmp_path):
    experiment = bioFA.load(mine / "mine.toml")

    def dies(done, total, latest):
        os.kill(os.getpid(), signal.SIGKILL)

    if (child := os.fork()) == 0:
        bioFA.simulate(experiment, backend="numpy", folder=tmp_path / "run", progress=dies)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    done = apart("resume", "run", "--no-figures", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    resumed, whole = bioFA.load_result(tmp_path / "run" / "result.h5"), bioFA.load_result(mine / "run" / "result.h5")
    assert all(np.array_equal(resumed.state[name], array) for name, array in whole.state.items())
    assert resumed.provenance["resumed"] == 1


def test_a_bundle_carries_the_file_and_runs(mine):
    folder = mine / "there.bundle"
    assert (folder / "parts.py").read_text() == PARTS
    assert "parts.py" in json.loads((folder / "manifest.json").read_text())["files"]
    assert "--trust-code" in (folder / "README.md").read_text()
    refused = apart(
        "run", "model.toml", "--backend", "numpy", "--out", "rerun", "--no-figures", cwd=folder, trusted=False
    )
    assert (refused.returncode, "[untrusted-code]" in refused.stderr) == (2, True), refused.stderr
    os_path = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["sh", "rerun.sh", "--trust-code", "--no-figures"],
        cwd=folder,
        capture_output=True,
        text=True,
        env=os.environ | os_path | {"BIOFA_TRUST": str(mine / "somebody.txt")},
    )
    assert done.returncode == 0, done.stderr
    again, first = bioFA.load_result(folder / "rerun" / "result.h5"), bioFA.load_result(mine / "run" / "result.h5")
    shutil.rmtree(folder / "rerun")
    assert all(np.array_equal(again.state[name], array) for name, array in first.state.items())


def planned(mine, folder, seeds=1):
    """A comparison of the model that has begun: one run a seed."""
    return begin(Request((str(mine / "mine.toml"),), (), seeds, backend="numpy"), folder)


def test_shards_run_their_parts(mine, tmp_path):
    for k in (1, 2):
        run(sweep := planned(mine, tmp_path / "out", 2), shard=(k, 2))
        assert sum(map(sweep.is_done, sweep.jobs)) == k


def test_workers_that_never_ran_it_are_told_that_it_may_run(mine, tmp_path, monkeypatch):
    """As on other machines of a cluster, where the list of the driver's is not."""
    sweep = planned(mine, tmp_path / "out")
    monkeypatch.setenv("BIOFA_TRUST", str(tmp_path / "nothing.txt"))
    folder, name = str(sweep.folder), sweep.jobs[0].name
    assert "[untrusted-code]" in driver.attempt(folder, name, None, str(tmp_path))
    assert driver.attempt(folder, name, None, str(tmp_path), code=sweep.code) is None
    assert sweep.is_done(sweep.jobs[0])


@pytest.mark.slow
def test_dask_runs_it(mine, tmp_path, monkeypatch):
    distributed = pytest.importorskip("distributed")
    known = os.environ["BIOFA_TRUST"]
    monkeypatch.setenv("BIOFA_TRUST", str(tmp_path / "nothing.txt"))  # the workers inherit it
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        monkeypatch.setenv("BIOFA_TRUST", known)
        run(sweep := planned(mine, tmp_path / "out", 2), scheduler=cluster.scheduler_address)
    assert all(map(sweep.is_done, sweep.jobs))


def test_a_class_is_chosen_on_the_command_line(mine, tmp_path, monkeypatch):
    monkeypatch.chdir(mine)
    change = 'circuit.schemes.fa.rule={name = "parts.py:Own", learning_rate = 0.5}'
    shown = biofa("show", "linear", "--set", change)
    assert 'name = "parts.py:Own"' in shown
    assert "[code" not in shown


def test_a_scheme_of_ones_own_is_chosen_and_compared(mine, tmp_path, monkeypatch):
    """Named with a folder, on the command line, beside one of bioFA's; nothing else here is of the file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "schemes.py").write_text(
        "from bioFA.schemes.feedback_alignment import FeedbackAlignment\n\n\nclass Mine(FeedbackAlignment):\n   "
        " 'One.'\n"
    )
    words = ["--set", "task.examples=20", "--set", "task.test_examples=5", "--backend", "numpy"]
    biofa("run", "linear", "--scheme", "deep/schemes.py:Mine", *words, "--no-figures")
    result = bioFA.load_result("results/linear_schemes-py-Mine_seed1/result.h5")
    assert result.experiment.scheme == "schemes.py:Mine"
    assert toml.code_of(result.experiment).keys() == {"schemes.py"}
    assert toml.loads(toml.kept(result.experiment)) == result.experiment
    fa = bioFA.simulate(bioFA.load("linear", {"task.examples": 20, "task.test_examples": 5}), backend="numpy")
    assert all(np.array_equal(result.state[name], array) for name, array in fa.state.items())
    request = Request(("linear",), ("fa", "deep/schemes.py:Mine"), 1, ("task.examples=20",), backend="numpy")
    run(sweep := begin(request, tmp_path / "out"))
    assert all(map(sweep.is_done, sweep.jobs))
    text = MODEL.replace('hidden = "parts.py:Slow"', "").replace(
        "schemes.fa.rule", "schemes.'deep/schemes.py:Mine'.rule"
    )
    text = text.replace("sizes", 'scheme = "deep/schemes.py:Mine"\nsizes').replace("parts.py:Own", "local_error")
    (tmp_path / "mine.toml").write_text(text)
    experiment = bioFA.load(tmp_path / "mine.toml")
    assert experiment.circuit.active().rule.learning_rate == 0.01
    assert toml.loads(toml.kept(experiment)) == experiment


def test_what_is_wanted_is_a_task_weights_and_a_scheme_too(tmp_path):
    (tmp_path / "others.py").write_text(
        "from bioFA.tasks.linear_teacher import LinearTeacher\nfrom bioFA.weights import *\n"
        "from bioFA.schemes.feedback_alignment import FeedbackAlignment\n"
        "class OwnTask(LinearTeacher):\n    pass\n"
        "class OwnScheme(FeedbackAlignment):\n    pass\n"
    )
    text = MODEL.replace('name = "linear_teacher"', 'name = "others.py:OwnTask"')
    text = text.replace('hidden = "parts.py:Slow"', 'scheme = "others.py:OwnScheme"')
    text = text.replace('schemes.fa.rule = { name = "parts.py:Own", learning_rate = 0.01 }', "")
    (tmp_path / "mine.toml").write_text(text)
    result = bioFA.simulate(bioFA.load(tmp_path / "mine.toml"), backend="numpy", folder=tmp_path / "run")
    fa = bioFA.simulate(bioFA.load(tmp_path / "mine.toml").with_scheme("fa"), backend="numpy")
    assert result.experiment.scheme == "others.py:OwnScheme"
    assert all(np.array_equal(result.state[name], array) for name, array in fa.state.items())
    assert bioFA.load_result(tmp_path / "run" / "result.h5").experiment == result.experiment
    found = apart("export", "run", "--to", "arrays", "--out", "out", cwd=tmp_path)
    assert found.returncode == 0, found.stderr


# changed


def test_a_file_that_changed_since_is_refused_when_going_on(mine, tmp_path):
    for name in ("parts.py", "mine.toml"):
        shutil.copy(mine / name, tmp_path)
    experiment = bioFA.load(tmp_path / "mine.toml")
    files.run(files.read(tmp_path / "parts.py"))  # its origin is that of this file
    with pytest.raises(KeyboardInterrupt):
        bioFA.simulate(experiment, backend="numpy", folder=tmp_path / "run", progress=stop)
    run(planned(tmp_path, tmp_path / "out"))
    (tmp_path / "parts.py").write_text(PARTS + "\n# changed\n")
    with pytest.raises(ChangedSince, match=r"begun with another parts.py"):
        bioFA.resume(tmp_path / "run")
    assert "[changed-since]" in biofa("resume", tmp_path / "out", code=2)
    with pytest.raises(ChangedSince, match=r"begun with another parts.py"):
        planned(tmp_path, tmp_path / "out")
    assert len(bioFA.load_comparison(tmp_path / "out").table) == 1  # to look at
    (tmp_path / "parts.py").unlink()  # what was kept suffices
    assert bioFA.resume(tmp_path / "run").presentations == 20
    refuse_changed_code(read(tmp_path / "out"))


def test_a_bundle_whose_file_was_changed_is_refused(mine, tmp_path):
    shutil.copytree(mine / "there.bundle", tmp_path / "bundle")
    (tmp_path / "bundle" / "parts.py").write_text(PARTS + "\n")
    with pytest.raises(DamagedFile, match=r"parts.py"):
        exchange.load(tmp_path / "bundle")
    with pytest.raises(ChangedSince, match=r"parts.py is not the file"):
        bioFA.load(tmp_path / "bundle" / "model.toml")


# a stranger's


READERS = {
    "result": lambda folder, **given: bioFA.load_result(folder / "run" / "result.h5", **given),
    "state": lambda folder, **given: load_trained(folder / "back" / "state.h5", **given),
    "bundle": lambda folder, **given: exchange.load(folder / "there.bundle", **given),
    "model of a bundle": lambda folder, **given: bioFA.load(folder / "there.bundle" / "model.toml", **given),
    "export": lambda folder, **given: exchange.load(folder / "there.safetensors", **given),
    "imported model": lambda folder, **given: bioFA.load(folder / "back" / "model.toml", **given),
}


@pytest.mark.parametrize("name", READERS)
def test_code_of_a_stranger_runs_only_where_it_is_trusted(name, mine, stranger):
    sha256 = files.read(mine / "parts.py").sha256
    with pytest.raises(UntrustedCode) as error:
        READERS[name](mine)
    for said in ("parts.py", sha256, "biofa code", "--trust-code", "trust_code=True"):
        assert said in str(error.value)
    assert not files._ran
    assert not trust.has_run(sha256)
    READERS[name](mine, trust_code=True)
    assert files._ran
    assert trust.has_run(sha256)
    READERS[name](mine)


COMMANDS = {
    "report": ["report", "run"],
    "export": ["export", "run", "--to", "arrays", "--out", "out"],
    "import": ["import", "there.bundle", "--out", "in"],
    "resume": ["resume", "stopped", "--no-figures"],
    "run of a bundle": ["run", "there.bundle/model.toml", "--backend", "numpy", "--no-figures", "--out", "again"],
    "show of a bundle": ["show", "there.bundle/model.toml"],
    "weights after a run": ["run", "linear", "--after", "back/state.h5"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_refuses_code_of_a_stranger_but_shows_it(name, mine, stranger, tmp_path, monkeypatch):
    shutil.copytree(mine, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    assert biofa(*COMMANDS[name], code=2).startswith("biofa: [untrusted-code] ")
    assert not files._ran
    if name != "weights after a run":  # whose model is another
        biofa(*COMMANDS[name], "--trust-code")
    assert bool(files._ran) == (name != "weights after a run")


def test_a_comparison_of_a_stranger_is_refused(mine, stranger, tmp_path):
    run(planned(mine, tmp_path / "out"))
    trust._here.clear()
    os.environ["BIOFA_TRUST"] = str(tmp_path / "another.txt")  # put back by `stranger`
    for words in (["resume", tmp_path / "out"], ["report", tmp_path / "out"]):
        assert "[untrusted-code]" in biofa(*words, code=2)
    with pytest.raises(UntrustedCode, match=r"sweep.json"):
        bioFA.load_comparison(tmp_path / "out")
    assert len(bioFA.load_comparison(tmp_path / "out", trust_code=True).table) == 1


@pytest.mark.parametrize("place", ["run", "run/result.h5", "stopped", "there.bundle", "there.safetensors", "mine.toml"])
def test_code_is_shown_without_running(place, mine, stranger):
    found = json.loads(biofa("code", mine / place, "--json"))["files"]
    assert [(file["name"], file["has_run"], file["text"]) for file in found] == [("parts.py", False, PARTS)]
    assert "has not run here" in biofa("code", mine / place)
    assert not files._ran
    assert "holds no Python code" in biofa("code", "linear")


def test_what_a_terminal_must_not_show_is_written_out():
    assert plain("a\tb\n\x1b[31m \u202e") == "a\tb\n\\x1b[31m \\u202e"


# the list of what has run


def test_the_list_is_only_the_users(tmp_path, monkeypatch):
    monkeypatch.setattr(trust, "_here", set())
    monkeypatch.setenv("BIOFA_TRUST", str(tmp_path / "deep" / "list.txt"))
    file = files.CodeFile("a.py", "")
    trust.note(file)
    place = tmp_path / "deep" / "list.txt"
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    trust._here.clear()
    assert trust.has_run(file.sha256)
    trust.note(file)
    assert len(place.read_text().splitlines()) == 1
    trust._here.clear()
    place.chmod(0o666)  # others could have written it
    assert not trust.has_run(file.sha256)
    place.chmod(0o600)
    place.rename(tmp_path / "elsewhere.txt")
    place.symlink_to(tmp_path / "elsewhere.txt")
    assert not trust.has_run(file.sha256)
    monkeypatch.setenv("BIOFA_TRUST", str(tmp_path))  # nothing that can be read or written
    trust.note(file)
    assert trust.has_run(file.sha256)


# wrong files


BROKEN = {
    "no Python": ("class Own(:\n", BrokenCode, "line 1: is not valid Python"),
    "a null character": ("\x00", BrokenCode, "is not valid Python"),
    "an error as it runs": ("a = 1\n\nb = 1 / 0\n", BrokenCode, "line 3, running it ended in ZeroDivisionError"),
    "an end": ("raise SystemExit(3)", BrokenCode, "line 1, running it ended in SystemExit"),
    "a package that is missing": ("import no_such_package\n", BrokenCode, "Install what it imports"),
    "a relative import": ("from . import other\n", BrokenCode, "line 1: a relative import"),
    "a file beside it": ("import beside\n", BrokenCode, "imports beside.py, which lies beside it"),
    "no such class": ("class Owm:\n    pass\n", UnknownName, "defines no class 'Own'. Did you mean 'Owm'?"),
    "a class from elsewhere": ("from bioFA.rules.hebbian import Hebbian as Own\n", UnknownName, "imported there"),
    "no class": ("Own = 3\n", UnknownName, "defines no class 'Own'"),
    "no rule": (
        "from bioFA.neurons.static_rate import StaticRate\nclass Own(StaticRate):\n    pass\n",
        WrongType,
        "no plasticity rule: it derives from StaticRate",
    ),
    "a name that is taken": (
        "from bioFA import rules\n@rules.family.add\nclass LocalError(rules.PlasticityRule):\n    pass\n",
        BrokenCode,
        "there is a plasticity rule 'local_error' already",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_wrong_file_is_told_where_it_is_wrong(name, tmp_path):
    text, kind, said = BROKEN[name]
    (tmp_path / "parts.py").write_text(text)
    (tmp_path / "beside.py").touch()
    (tmp_path / "mine.toml").write_text(MODEL.replace('hidden = "parts.py:Slow"\n', ""))
    with pytest.raises(kind) as error:
        bioFA.load(tmp_path / "mine.toml")
    assert str(error.value).startswith("mine.toml (line 6, circuit.schemes.fa.rule")
    assert said in str(error.value), str(error.value)


def test_a_name_that_is_read_by_itself_and_files_that_are_none_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "_latest", {})
    with pytest.raises(UnknownName, match=r"bioFA.load"):
        rules.family.get("nowhere.py:Own")
    (tmp_path / "mine.toml").write_text(MODEL)
    with pytest.raises(NoSuchFile, match=r"parts.py"):
        bioFA.load(tmp_path / "mine.toml")
    os.mkfifo(tmp_path / "parts.py")
    with pytest.raises(bioFA.FileError, match=r"no plain file"):
        bioFA.load(tmp_path / "mine.toml")
    (tmp_path / "parts.py").unlink()
    (tmp_path / "parts.py").write_bytes(b"\xff\xfe")
    with pytest.raises(bioFA.FileError, match=r"not text in UTF-8"):
        bioFA.load(tmp_path / "mine.toml")
    (tmp_path / "parts.py").write_text("#" * (files.LARGEST + 1))
    with pytest.raises(bioFA.FileError, match=r"more than"):
        bioFA.load(tmp_path / "mine.toml")


def test_nothing_leads_out_of_a_bundle(mine, tmp_path, stranger):
    shutil.copytree(mine / "there.bundle", tmp_path / "bundle")
    model = tmp_path / "bundle" / "model.toml"
    text = model.read_text()
    shutil.move(tmp_path / "bundle" / "parts.py", tmp_path / "parts.py")
    (tmp_path / "bundle" / "parts.py").symlink_to(tmp_path / "parts.py")
    with pytest.raises(UnsafePath, match=r"is a link"):
        bioFA.load(model, trust_code=True)
    for name in ("../parts.py", "/parts.py", "a/../../parts.py", "x:y.py"):
        model.write_text(text.replace('[code."parts.py"]', f'[code."{name}"]'))
        with pytest.raises(UnsafePath, match=r"no plain name"):
            bioFA.load(model, trust_code=True)
    for name in ("../parts.py", str(tmp_path / "parts.py"), "others.py"):
        model.write_text(text.replace('"parts.py:Slow"', f'"{name}:Slow"'))
        (tmp_path / "bundle" / "parts.py").unlink(missing_ok=True)
        shutil.copy(tmp_path / "parts.py", tmp_path / "bundle" / "parts.py")
        with pytest.raises(NoSuchFile, match=r"does not hold the file"):
            bioFA.load(model, trust_code=True)
    model.write_text(text.partition("[code")[0])  # what makes it part of a bundle is the manifest beside it
    with pytest.raises(NoSuchFile, match=r"does not hold the file"):
        bioFA.load(model, trust_code=True)
    for wrong in ("code = 3\n", 'code = { "parts.py" = 3 }\n', 'code = { "parts.py" = { text = "" } }\n'):
        model.write_text(wrong + text.partition("[code")[0])
        with pytest.raises(DamagedFile, match=r"not as it was written"):
            bioFA.load(model, trust_code=True)


# classes of a session


@pytest.fixture
def imported(tmp_path, monkeypatch):
    """The same file, imported as a module as usual."""
    (tmp_path / "own_session.py").write_text(PARTS)
    monkeypatch.syspath_prepend(str(tmp_path))
    module = importlib.import_module("own_session")
    yield module
    del sys.modules["own_session"]


def with_rule(rule):
    return bioFA.load("linear", {"task.examples": 20, "task.test_examples": 5, "circuit.schemes.fa.rule": rule})


def test_a_class_that_was_imported_is_kept_with_its_file(imported, tmp_path):
    experiment = with_rule(imported.Own())
    bioFA.simulate(experiment, backend="numpy", folder=tmp_path / "run")
    assert bioFA.load_result(tmp_path / "run" / "result.h5").experiment == experiment  # here it is the same class
    done = apart("export", "run", "--to", "bundle", "--out", "bundle", cwd=tmp_path / ".", PYTHONPATH="")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "bundle" / "own_session.py").read_text() == PARTS
    (tmp_path / "own_session.py").write_text(PARTS.replace("+ self", "- self"))
    with pytest.raises(BrokenCode, match=r"own_session.py has changed since the class Own was imported"):
        toml.code_files(experiment)


def test_experiments_are_compared(imported, tmp_path, monkeypatch):
    """Of one file a class that was imported, and one that a model file names."""
    monkeypatch.setattr("bioFA.show.report.of_comparison", lambda outcomes: None)
    (tmp_path / "mine.toml").write_text(MODEL.replace("parts.py", "own_session.py"))
    named = bioFA.load(tmp_path / "mine.toml")
    settings = named.circuit.active().replace(rule=imported.Own())
    experiment = named.replace(name="other", circuit=named.circuit.replace(schemes={"fa": settings}))
    out = tmp_path / "out"
    comparison = bioFA.run_comparison([named, experiment], seeds=1, folder=out, backend="numpy")
    assert set(comparison.table["status"]) == {"finished"}
    assert set(comparison.table["model"]) == {"mine", "other"}
    assert bioFA.load(out / "models" / "other.toml") == experiment
    with pytest.raises(PlaceTaken, match=r"another experiment"):
        bioFA.run_comparison([named, experiment.replace(description="new")], seeds=1, folder=out, backend="numpy")
    with pytest.raises(DuplicateName, match=r"two experiments"):
        bioFA.run_comparison([experiment, experiment], folder=tmp_path / "twice")
    with pytest.raises(UnknownName):
        bioFA.run_comparison(experiment, ("no_scheme",), folder=tmp_path / "twice")
    assert not (tmp_path / "twice").exists()


def test_a_class_that_no_other_process_finds_is_told_so(tmp_path):
    program = {"__name__": "__main__"}
    exec(PARTS, program)
    with pytest.raises(BrokenCode, match=r"the class Own was defined in a program or notebook.*Put it into a file"):
        bioFA.run_comparison(with_rule(program["Own"]()), folder=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_two_files_or_classes_of_one_name_are_refused(mine, imported, tmp_path):
    (tmp_path / "parts.py").write_text(PARTS + "\n")
    (tmp_path / "mine.toml").write_text(MODEL)
    first, second = bioFA.load(mine / "mine.toml"), bioFA.load(tmp_path / "mine.toml")
    assert first != second
    both = first.replace(circuit=first.circuit.replace(hidden=second.circuit.hidden))
    with pytest.raises(DuplicateName, match=r"two files of the description are called parts.py"):
        toml.kept(both)
    schemes = {"fa": first.circuit.active().replace(readout_rule=second.circuit.active().rule)}
    with pytest.raises(DuplicateName, match=r"two classes of the description are called 'parts.py:Own'"):
        toml.kept(first.replace(circuit=first.circuit.replace(schemes=schemes)))


# an installed package


def test_an_installed_package_names_its_parts(tmp_path, monkeypatch):
    (tmp_path / "own_installed").mkdir()
    (tmp_path / "own_installed" / "__init__.py").write_text(PARTS.replace("Own(", "OwnInstalled("))
    info = tmp_path / "own_installed-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: own-installed\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[bioFA.rules]\nown_installed = own_installed:OwnInstalled\nown_gone = own_gone:Gone\nother ="
        " own_installed:Slow\nmisnamed = own_installed:OwnInstalled\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    family = type(rules.family)("plasticity rule", "bioFA.rules", base=rules.PlasticityRule)
    monkeypatch.setattr(rules.family, "_find", family._find)
    assert {"own_installed", "own_gone", "local_error"} <= set(family.names())
    experiment = with_rule("own_installed")
    assert toml.loads(toml.kept(experiment)) == experiment
    assert "[code" not in toml.kept(experiment)
    assert toml.code_files(experiment) == {}  # every process finds it
    with pytest.raises(
        BrokenCode, match=r"entry point own_gone = own_gone:Gone of the package own-installed cannot be"
    ):
        family.get("own_gone")
    with pytest.raises(WrongType, match=r"'other' is no plasticity rule"):
        family.get("other")
    with pytest.raises(bioFA.ModelError, match=r"is called 'own_installed'. Give both one name"):
        family.get("misnamed")
    assert "own_installed" not in neurons.family.names()
