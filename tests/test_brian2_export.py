"""A network as a plain Brian2 program: the same answers, spikes and weights, in a process that cannot import bioFA,
or beside a user's own objects."""

import ast
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from systems import EACH

import bioFA
from bioFA import exchange
from bioFA.consumers.brian.run import Compiled
from bioFA.consumers.reference import Reference
from bioFA.errors import ModelError
from bioFA.runs.trained import Trained

WITHOUT_BIOFA = """
import runpy, sys

class NoBioFA:
    def find_spec(self, name, *rest):
        if name.partition(".")[0] == "bioFA":
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, NoBioFA())
try:
    import bioFA
except ModuleNotFoundError:
    pass
else:
    sys.exit("bioFA could be imported")
script, *runs = sys.argv[1:]
for run in runs:
    sys.argv = [script, *run.split()]
    runpy.run_path(script, run_name="__main__")
"""


def execute(folder, *runs):
    """Run the script of a folder once for each string of options, in a process of its own, without bioFA."""
    done = subprocess.run(
        [sys.executable, "-I", "-c", WITHOUT_BIOFA, str(folder / "network.py"), *runs],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done


def learned(experiment, after=None, further=None):
    """A network after as many presentations as its protocol has, or after further ones, by the reference;
    without evaluations, which take long."""
    instance = bioFA.draw(experiment, 3)
    start = after.presentations if after else 0
    stop = start + (further or experiment.protocol.presentations)
    feed = instance.presented(start, stop)
    phases = experiment.protocol.phases
    segment = Reference(instance).segment(
        after.state if after else instance.state, replace(feed, phase=phases[0] if phases else None), learning=True
    )
    return Trained(experiment, 3, stop, segment.state)


def answered(result, split, number):
    """What the reference answers, and its spikes, on the first examples of a split."""
    instance = bioFA.draw(result.experiment, result.seed)
    feed = instance.evaluation(split)
    return Reference(instance).segment(
        result.state,
        replace(feed, presentations=min(number, feed.presentations)),
        learning=False,
        every=1,
        rasters=True,
    )


def held_to(results, expected, steps):
    """Recorded variables within 1e-10, every spike the same."""
    compared = [name for name in expected.recording.arrays if name in results]
    assert compared
    for name in compared:
        np.testing.assert_allclose(results[name], expected.recording.arrays[name], rtol=0, atol=1e-10, err_msg=name)
    for population, raster in expected.rasters.items():
        mine = np.zeros((len(raster) * steps, raster.shape[-1]), dtype=np.uint8)
        mine[results[f"{population}.spikes.step"], results[f"{population}.spikes.neuron"]] = 1
        np.testing.assert_array_equal(mine, raster.reshape(mine.shape), err_msg=population)


def state_held_to(after, expected):
    for name, array in expected.items():
        np.testing.assert_allclose(after[name], array, rtol=0, atol=1e-10, err_msg=name)


CASES = {
    "digits fa": ("digits", {"protocol.presentations": 40}, 360, 30),
    "digits bp": ("digits", {"protocol.presentations": 40}, 60, 30),
    "digits dfa": ("digits", {"protocol.presentations": 40}, 60, 30),
    "digits kp": ("digits", {"protocol.presentations": 40}, 60, 30),
    "leaky fa": ("leaky", {"protocol.presentations": 8}, 4, 3),
    "digits_spiking fa": ("digits_spiking", {"protocol.presentations": 2}, 2, 2),
    "evidence fa": ("evidence", {"protocol.presentations": 1, "task.examples": 6, "task.test_examples": 2}, 1, 1),
    "pattern fa": ("pattern", {"protocol.presentations": 2}, 1, 1),
}


QUICK = ("leaky fa",)


@pytest.fixture(
    scope="module", params=[pytest.param(case, marks=[pytest.mark.slow] * (case not in QUICK)) for case in CASES]
)
def case(request, tmp_path_factory):
    """A network after some presentations, its script's folder, and the same network as bioFA itself goes on."""
    model, changes, number, further = CASES[request.param]
    folder = tmp_path_factory.mktemp(model)
    experiment = bioFA.load(model, changes).with_scheme(request.param.split()[1])
    first = learned(experiment)
    exchange.export(first, "brian2", folder / "script")
    return first, folder / "script", number, further, learned(experiment, after=first, further=further)


def test_the_script_gives_the_same_answers_spikes_and_weights_where_there_is_no_biofa(case, tmp_path):
    first, folder, number, further, onward = case
    train = [f"--train {further} --out {tmp_path / 'train'}"]
    if further > 1:  # in two parts
        train = [
            f"--train 1 --out {tmp_path / 'part'}",
            f"--train {further - 1} --state {tmp_path / 'part' / 'after.npz'} --out {tmp_path / 'train'}",
        ]
    split = "test" if bioFA.draw(first.experiment, 3).data.test is not None else "train"
    execute(folder, f"--split {split} --number {number} --out {tmp_path / 'answers'}", *train)
    with np.load(tmp_path / "answers" / "results.npz") as results:
        held_to(results, answered(first, split, number), first.experiment.protocol.steps)
    with np.load(tmp_path / "train" / "after.npz") as after:
        state_held_to(after, onward.state)
    moved = [
        name
        for name, array in onward.state.items()
        if name.endswith(".w") and not np.array_equal(array, first.state[name])
    ]
    assert moved


@pytest.mark.slow
@pytest.mark.compiled
@pytest.mark.usefixtures("quick_builds")
@pytest.mark.parametrize(("model", "presentations", "further"), [("digits", 1077, 100), ("digits_spiking", 3, 5)])
def test_the_compiled_script_gives_the_same_on_every_test_image(model, presentations, further, tmp_path):
    shorter = {"protocol.presentation": "40 ms", "protocol.learning_onset": "20 ms"} if "spiking" in model else {}
    experiment = bioFA.load(model, {"protocol.presentations": presentations, **shorter})
    first = learned(experiment)
    onward = learned(experiment, after=first, further=further)
    exchange.export(first, "brian2", tmp_path / "script")
    execute(tmp_path / "script", f"--standalone --out {tmp_path / 'test'}")
    execute(tmp_path / "script", f"--standalone --train {further} --out {tmp_path / 'train'}")
    with np.load(tmp_path / "test" / "results.npz") as results:
        expected = answered(first, "test", 360)
        assert all(raster.any() for raster in expected.rasters.values())
        held_to(results, expected, experiment.protocol.steps)
    with np.load(tmp_path / "train" / "after.npz") as after:
        state_held_to(after, onward.state)


@pytest.fixture
def brian2():
    """Brian2 in this process, by NumPy."""
    brian2 = pytest.importorskip("brian2")
    target = brian2.prefs.codegen.target
    brian2.prefs.codegen.target = "numpy"
    yield brian2
    brian2.prefs.codegen.target = target


@pytest.mark.parametrize("system", EACH)
def test_every_kind_of_part_is_the_same_in_stock_brian2(system, brian2):
    instance = bioFA.draw(system, 2)
    count = min(2, instance.presentations())
    expected = Reference(instance).segment(
        instance.state, replace(instance.presented(0, count), phase=None), learning=True
    )
    live = bioFA.to_brian2(instance, train=count)
    readout = system.network.readout
    monitor = brian2.StateMonitor(live.groups[readout.population], readout.variable, record=True, when="after_start")
    live.network.add(monitor)
    live.network.run(live.duration, namespace={})
    course = getattr(monitor, readout.variable)[:].T[system.protocol.shown_steps - 1 :: system.protocol.steps]
    np.testing.assert_allclose(
        course[:: system.record.every], expected.recording.arrays[str(readout)], rtol=0, atol=1e-10
    )
    for pathway in system.network.plastic():
        np.testing.assert_allclose(
            live.weights(pathway.name), expected.state[f"{pathway.name}.w"], rtol=0, atol=1e-10, err_msg=pathway.name
        )


@pytest.mark.slow
@pytest.mark.compiled
@pytest.mark.parametrize("model", ["linear", "nonlinear", "digits", "leaky", "minimal"])
def test_compiled_pathways_learn_as_synapses_of_stock_brian2_do(model, brian2):
    instance = bioFA.draw(bioFA.load(model), 5)
    feed = replace(instance.presented(0, 40), phase=None)
    live = bioFA.to_brian2(instance, train=40)
    live.network.run(live.duration, namespace={})
    for options in ({"blocked": False}, {}):
        state = Compiled(instance, **options).segment(instance.state, feed, learning=True).state
        for pathway in instance.network.plastic():
            assert (state[f"{pathway.name}.w"] != instance.state[f"{pathway.name}.w"]).any()
            np.testing.assert_allclose(
                state[f"{pathway.name}.w"], live.weights(pathway.name), rtol=0, atol=1e-10, err_msg=pathway.name
            )


def test_a_user_adds_monitors_and_a_population_of_their_own(brian2):
    result = learned(bioFA.load("digits_spiking", {"protocol.presentations": 2}))
    expected = answered(result, "test", 1)
    live = bioFA.to_brian2(result, split="test", number=1)
    spikes = brian2.SpikeMonitor(live.groups["hidden"])
    listener = brian2.NeuronGroup(2, "dv/dt = -v/(20*ms) : 1", method="exact", name="listener")
    heard = brian2.Synapses(live.groups["hidden"], listener, on_pre="v_post += 1", name="hidden_to_listener")
    heard.connect()
    potential = brian2.StateMonitor(listener, "v", record=True)
    live.network.add(spikes, listener, heard, potential)
    live.network.run(live.duration)
    mine = np.zeros(expected.rasters["hidden"].shape[1:], dtype=np.uint8)
    mine[np.rint(np.asarray(spikes.t / brian2.defaultclock.dt)).astype(int), spikes.i] = 1
    np.testing.assert_array_equal(mine, expected.rasters["hidden"][0])
    assert mine.sum() > 0
    kept, v = [], 0.0
    for count in mine.sum(axis=1):
        kept.append(v)
        v = v * np.exp(-1 / 20) + count
    np.testing.assert_allclose(potential.v[0], kept, rtol=1e-12)


def test_what_no_equation_can_say_is_refused(tmp_path):
    experiment = bioFA.load("digits", {"protocol.presentations": 1}).with_scheme("pbp")
    result = Trained(experiment, 1, 0, bioFA.draw(experiment, 1).state)
    with pytest.raises(ModelError, match="pseudo-inverse"):
        exchange.export(result, "brian2", tmp_path / "script")
    assert not (tmp_path / "script").exists()
    with pytest.raises(ModelError, match="no split 'tset'"):
        bioFA.to_brian2(bioFA.draw(bioFA.load("digits"), 1), split="tset")


def test_a_folder_that_biofa_did_not_write_is_not_read(tmp_path):
    (tmp_path / "network.py").touch()
    with pytest.raises(bioFA.FileError, match=r"has no state\.h5"):
        exchange.load(tmp_path, "brian2")


TEXTS = (
    'x"""); open("canary", "w"); ("""',
    '"""\nopen("canary", "w")\n"""',
    "\\",
    'ends with "',
    "\\N{BELL} \\x41 \\",
    "@BODY@ @NAME@",
)
RUN_EACH = """
import os, runpy, sys
folders, sys.argv = sys.argv[1:], ["network.py", "--help"]
for folder in folders:
    os.chdir(folder)
    try:
        runpy.run_path("network.py", run_name="__main__")
    except SystemExit as end:
        assert not end.code, folder
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The folder of a script for each of `TEXTS`; all have run in one process, which imports Brian2 once."""
    place = tmp_path_factory.mktemp("texts")
    folders = {text: place / str(number) for number, text in enumerate(TEXTS)}
    for text, folder in folders.items():
        experiment = bioFA.load("linear", {"task.examples": 20, "task.test_examples": 2, "description": text})
        if text.isprintable():
            experiment = experiment.replace(name=text)
        drawn = bioFA.runs.trained.Trained(experiment, 1, 0, bioFA.draw(experiment, 1).state)
        exchange.export(drawn, "brian2", folder)
    command = [sys.executable, "-c", RUN_EACH, *folders.values()]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("usage: network.py") == len(TEXTS)
    return folders


@pytest.mark.parametrize("text", TEXTS)
def test_text_of_a_model_file_is_never_code_in_the_script(text, ran):
    tree = ast.parse((ran[text] / "network.py").read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "open"]
    assert calls == []
    assert not (ran[text] / "canary").exists()
