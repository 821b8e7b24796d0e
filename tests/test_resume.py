"""A run that was stopped, however, goes on to the result that it would have had, bit for bit."""

import dataclasses
import fcntl
import hashlib
import json
import os
import time

import numpy as np
import pytest
import systems
from click.testing import CliRunner

import bioFA
from bioFA import cli
from bioFA.consumers.base import Recording
from bioFA.errors import Diverged, FileError, ModelError
from bioFA.modelfiles import toml
from bioFA.runs import checkpoint, simulation
from bioFA.runs.checkpoint import FOLDER
from bioFA.runs.result import RESULT, load_result
from bioFA.system.locks import hold

SMALL = {"task.examples": 60, "task.test_examples": 20, "protocol.snapshots": 4}
FEW = {"task.examples": 8, "task.test_examples": 3, "protocol.snapshots": 4}
"""For networks of many steps a presentation."""
FINISHED = {RESULT} | {
    f"{figure}.{ending}" for figure in ("learning_curve", "alignment", "weights") for ending in ("png", "pdf", "svg")
}


@pytest.fixture(autouse=True)
def _every_segment_is_written_at_once(monkeypatch):
    monkeypatch.setattr(checkpoint, "INTERVAL", 0.0)


def small(scheme="np", **changes):
    return bioFA.load("linear", SMALL | {key.replace("__", "."): value for key, value in changes.items()}).with_scheme(
        scheme
    )


def stopper(segments):
    """A progress report that stops the run, as Ctrl-C would, after so many segments."""

    def report(done, total, latest):
        nonlocal segments
        segments -= 1
        if segments == 0:
            raise KeyboardInterrupt

    return report


def stopped(experiment, folder, segments=2, **keywords):
    with pytest.raises(KeyboardInterrupt):
        bioFA.simulate(experiment, seed=3, backend="numpy", progress=stopper(segments), folder=folder, **keywords)
    return folder


def same(first, second):
    """Whether two results hold the same numbers, bit for bit: everything but timing and provenance."""
    pairs = [
        (first.state, second.state),
        (first.snapshots, second.snapshots),
        (first.recording.arrays, second.recording.arrays),
    ]
    arrays = [
        (a[name], b[name])
        for a, b in pairs
        for name in a
        if a.keys() == b.keys() or pytest.fail(f"{a.keys()} and {b.keys()}")
    ]
    arrays += [
        (first.recording.at, second.recording.at),
        (first.targets, second.targets),
        (first.snapshots_at, second.snapshots_at),
    ]
    return (
        all(a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes() for a, b in arrays)
        and list(first.evaluations) == list(second.evaluations) and first.presentations == second.presentations
    )


@pytest.mark.parametrize("segments", [1, 2, 3, 4])
@pytest.mark.parametrize("scheme", ["fa", "np"])
def test_a_stopped_run_goes_on_to_the_same_result(tmp_path, scheme, segments):
    whole = bioFA.simulate(small(scheme), seed=3, backend="numpy")
    stopped(small(scheme), tmp_path / "run", segments)
    reports = []
    result = bioFA.resume(tmp_path / "run", progress=lambda done, total, latest: reports.append(done))
    assert same(result, whole)
    assert same(load_result(tmp_path / "run" / RESULT), whole)
    assert reports == [15 * (k + 1) for k in range(segments, 4)], "only what was missing is run"
    assert result.provenance["resumed"] == 1
    assert os.listdir(tmp_path / "run") == [RESULT]


def test_neurons_that_keep_a_state_go_on_from_it(tmp_path):
    leaky = bioFA.load("leaky", FEW)
    stopped(leaky, tmp_path)
    assert same(bioFA.resume(tmp_path), bioFA.simulate(leaky, seed=3, backend="numpy"))


@pytest.mark.parametrize(
    "backend", ["numpy", pytest.param("cpp", marks=[pytest.mark.compiled, pytest.mark.slow])]  # quick: test_kills.py
)
def test_spikes_go_on_as_if_nothing_had_happened(tmp_path, backend):
    system = systems.SPIKING[0]
    system = system.replace(protocol=system.protocol.replace(presentations=8, snapshots=4))
    with pytest.raises(KeyboardInterrupt):
        bioFA.simulate(system, seed=3, backend=backend, progress=stopper(2), folder=tmp_path)
    assert same(bioFA.resume(tmp_path), bioFA.simulate(system, seed=3, backend=backend))


def test_a_run_may_be_stopped_again_and_again(tmp_path):
    stopped(small(), tmp_path, 1)
    for times in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            bioFA.resume(tmp_path, progress=stopper(1))
        assert len(list((tmp_path / FOLDER).glob("*.h5"))) == times + 2
    result = bioFA.resume(tmp_path)
    assert same(result, bioFA.simulate(small(), seed=3, backend="numpy"))
    assert result.provenance["resumed"] == 3


def test_a_run_in_a_folder_is_the_run_without_one(tmp_path):
    assert same(
        bioFA.simulate(small(), seed=3, backend="numpy", folder=tmp_path / "a b=c" / "run"),
        bioFA.simulate(small(), seed=3, backend="numpy"),
    )


def test_short_segments_wait_for_each_other_but_not_when_the_run_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "INTERVAL", 3600.0)
    seen = []

    def report(done, total, latest):
        seen.append(len(list((tmp_path / FOLDER).glob("*.h5"))))
        if len(seen) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bioFA.simulate(small(), seed=3, backend="numpy", progress=report, folder=tmp_path)
    assert seen == [1, 1, 1]
    assert len(list((tmp_path / FOLDER).glob("*.h5"))) == 4
    monkeypatch.setattr(checkpoint, "LARGEST", 1)
    seen.clear()
    bioFA.resume(tmp_path, progress=lambda *_: seen.append(len(list((tmp_path / FOLDER).glob("*.h5")))))
    assert seen == [5], "what has grown large is not kept waiting"


def test_memory_and_disk_do_not_hold_a_segment_twice(tmp_path):
    stopped(small("fa"), tmp_path, 3)
    sizes = [path.stat().st_size for path in sorted((tmp_path / FOLDER).glob("*.h5"))]
    assert max(sizes[1:]) < 1.2 * min(sizes[1:]), "each file holds its own segment only"


# what goes wrong while a checkpoint is written

def damage_truncated(path):
    os.truncate(path, path.stat().st_size - 100)


def damage_one_bit(path):
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 4
    path.write_bytes(raw)


def damage_emptied(path):
    path.write_bytes(b"")


def damage_removed(path):
    path.unlink()


@pytest.mark.parametrize("damage", [damage_truncated, damage_one_bit, damage_emptied, damage_removed])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_damaged_segment_is_run_again(tmp_path, number, damage):
    stopped(small(), tmp_path, 3)
    damage(tmp_path / FOLDER / f"stretch-{number:05d}.h5")
    reports = []
    result = bioFA.resume(tmp_path, progress=lambda done, *_: reports.append(done))
    assert reports[0] == 15 * number
    assert same(result, bioFA.simulate(small(), seed=3, backend="numpy"))


@pytest.mark.parametrize("damage", [damage_truncated, damage_one_bit, damage_emptied])
@pytest.mark.parametrize("name", ["run.json", "stretch-00000.h5"])
def test_a_run_whose_beginning_is_damaged_is_refused(tmp_path, name, damage):
    stopped(small(), tmp_path)
    damage(tmp_path / FOLDER / name)
    with pytest.raises(FileError, match=r"damaged.*Remove"):
        bioFA.resume(tmp_path)


def test_a_run_whose_seed_was_changed_by_a_failing_disk_is_refused(tmp_path):
    path = stopped(small(), tmp_path) / FOLDER / "run.json"
    path.write_text(path.read_text().replace(r'\"seed\": 3', r'\"seed\": 7'))
    with pytest.raises(FileError, match=r"damaged \(its checksum is wrong\)"):
        bioFA.resume(tmp_path)


def test_a_full_disk_stops_the_run_and_leaves_it_resumable(tmp_path, monkeypatch):
    real = checkpoint._write_segment

    def full(path, segment):
        if segment.stop == 45:
            path.write_bytes(b"half")
            raise OSError(28, "No space left on device")
        real(path, segment)

    monkeypatch.setattr(checkpoint, "_write_segment", full)
    with pytest.raises(FileError, match=r"No space left.*biofa resume"):
        bioFA.simulate(small(), seed=3, backend="numpy", folder=tmp_path)
    monkeypatch.undo()
    assert same(bioFA.resume(tmp_path), bioFA.simulate(small(), seed=3, backend="numpy"))


# who may go on, and where


def test_what_cannot_be_resumed_is_refused_with_words(tmp_path):
    with pytest.raises(FileError, match=r"there is no run in .*nowhere"):
        bioFA.resume(tmp_path / "nowhere")
    bioFA.simulate(small(), seed=3, backend="numpy", folder=tmp_path / "done")
    with pytest.raises(FileError, match=r"is finished; its result is .*result\.h5"):
        bioFA.resume(tmp_path / "done")
    with pytest.raises(FileError, match="already holds a result"):
        bioFA.simulate(small(), seed=3, backend="numpy", folder=tmp_path / "done")


def changed_entry(folder, **changes):
    path = folder / FOLDER / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_run_of_another_bioFA_is_refused(tmp_path):
    changed_entry(stopped(small(), tmp_path), format=checkpoint.FORMAT + 1)
    with pytest.raises(FileError, match=r"a newer bioFA \(format 2; this one reads up to 1\)"):
        bioFA.resume(tmp_path)


@pytest.mark.parametrize("package", ["bioFA", "numpy", "brian2"])
def test_a_run_begun_with_other_packages_is_refused_where_they_decide_its_numbers(tmp_path, monkeypatch, package):
    stopped(small(), tmp_path)
    known = bioFA.runs.provenance.versions()
    monkeypatch.setattr("bioFA.runs.provenance.versions", lambda: known | {package: "0.0.1"})
    if package == "brian2":
        assert same(bioFA.resume(tmp_path), bioFA.simulate(small(), seed=3, backend="numpy"))
    else:
        with pytest.raises(FileError, match=rf"begun with {package} .*; here is 0\.0\.1"):
            bioFA.resume(tmp_path)


def test_data_that_changed_meanwhile_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(1)
    inputs, targets = rng.normal(size=(40, 3)), rng.normal(size=(40, 2))
    np.savez("data.npz", inputs=inputs, targets=targets)
    experiment = bioFA.load("linear", {"circuit.sizes": [3, 4, 2], "task": {"name": "arrays", "path": "data.npz"}})
    stopped(experiment, tmp_path / "run")
    np.savez("data.npz", inputs=inputs, targets=targets + 1e-12)
    with pytest.raises(FileError, match=r"data of the run .* have changed"):
        bioFA.resume(tmp_path / "run")
    np.savez("data.npz", inputs=inputs, targets=targets)
    assert same(bioFA.resume(tmp_path / "run"), bioFA.simulate(experiment, seed=3, backend="numpy"))


def test_a_second_process_is_refused_while_the_first_runs(tmp_path):
    stopped(small(), tmp_path)
    with hold(tmp_path / FOLDER / "lock"), pytest.raises(FileError, match="another process is running"):
        bioFA.resume(tmp_path)
    assert same(bioFA.resume(tmp_path), bioFA.simulate(small(), seed=3, backend="numpy"))


def test_two_processes_that_begin_in_one_folder_do_not_mix(tmp_path):
    def second(done, *_):
        with pytest.raises(FileError, match="unfinished run"):
            bioFA.simulate(small("fa"), seed=9, backend="numpy", folder=tmp_path)
        with pytest.raises(FileError, match="another process"):
            bioFA.resume(tmp_path)

    result = bioFA.simulate(small(), seed=3, backend="numpy", folder=tmp_path, progress=second)
    assert same(result, bioFA.simulate(small(), seed=3, backend="numpy"))


def test_a_lock_taken_on_a_file_that_has_just_been_removed_is_taken_again(tmp_path, monkeypatch):
    path, real = tmp_path / "lock", fcntl.flock

    def flock(opened, kind):
        monkeypatch.setattr(fcntl, "flock", real)
        path.unlink()  # whoever held the lock removes the file before giving it back
        real(opened, kind)

    monkeypatch.setattr(fcntl, "flock", flock)
    with hold(path):
        assert hold(path, wait=False) is None


def test_a_lock_whose_file_was_removed_guards_nothing(tmp_path):
    first = hold(tmp_path / "lock")
    (tmp_path / "lock").unlink()
    with hold(tmp_path / "lock", wait=False) as second:
        assert second is not None
        assert hold(tmp_path / "lock", wait=False) is None
    first.close()


def test_a_run_that_diverges_leaves_nothing_even_when_resumed(tmp_path):
    wild = small("fa", circuit__schemes__fa__readout_rule__learning_rate=1e200)
    with pytest.raises(Diverged):
        bioFA.simulate(wild, seed=3, backend="numpy", folder=tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []


# the command line, and real processes


def biofa(*arguments):
    return CliRunner().invoke(cli.main, arguments)


def test_run_refuses_an_unfinished_run_and_resume_finishes_it_with_its_figures(tmp_path):
    stopped(small("fa"), tmp_path / "run")
    outcome = biofa("run", "linear", "--backend", "numpy", "--out", str(tmp_path / "run"))
    assert outcome.exit_code == 2
    assert f"biofa resume {tmp_path / 'run'}" in outcome.stderr
    outcome = biofa("resume", str(tmp_path / "run"))
    assert outcome.exit_code == 0, outcome.output
    assert outcome.stdout.splitlines()[-1].startswith(f"Written to {tmp_path / 'run'}: result.h5, learning_curve.png")
    assert set(os.listdir(tmp_path / "run")) == FINISHED
    outcome = biofa("resume", str(tmp_path / "run"), "--json")
    assert outcome.exit_code == 2
    assert "is finished" in json.loads(outcome.stdout)["error"]


def test_a_run_stopped_while_its_figures_are_drawn_only_draws_them(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bioFA.simulate(small("fa"), seed=3, backend="numpy", folder=tmp_path / "run", finish=interrupted)
    before = (tmp_path / "run" / RESULT).read_bytes()
    monkeypatch.setattr("bioFA.runs.simulation._run", lambda *_: pytest.fail("it ran again"))
    outcome = biofa("resume", str(tmp_path / "run"))
    assert outcome.exit_code == 0, outcome.output
    assert (tmp_path / "run" / RESULT).read_bytes() == before
    assert set(os.listdir(tmp_path / "run")) == FINISHED


# early stop


def test_an_early_stop_ends_the_run_there_and_measures_there(tmp_path):
    plain = bioFA.simulate(small("fa", protocol__epochs=5, protocol__snapshots=10), seed=3, backend="numpy")
    limit = 1.001 * min(np.mean(plain.learning_curve[k * 30 : k * 30 + 30]) for k in range(5))
    stopping = small(
        "fa", protocol__epochs=5, protocol__snapshots=10, protocol__stop={"measure": "nse", "below": float(limit)}
    )
    result = bioFA.simulate(stopping, seed=3, backend="numpy")
    assert 0 < result.presentations < plain.presentations
    assert result.presentations % 30 == 0
    assert result.presentations == result.snapshots_at[-1] == result.recording.at[-1] + 1
    assert [row["presentation"] for row in result.evaluations if row["split"] == "test"] == [result.presentations]
    assert "test_nse" in result.metrics
    assert result.ended_early.startswith(f"after {result.presentations} of 300 presentations: nse ")
    assert "ended early" in str(result)
    shots = len(result.snapshots_at)
    for name, array in result.snapshots.items():
        np.testing.assert_array_equal(array, plain.snapshots[name][:shots])
    for name, array in result.state.items():
        np.testing.assert_array_equal(array, result.snapshots[name][-1] if name in result.snapshots else array)
    stopped(stopping, tmp_path, result.presentations // 30)
    again = bioFA.resume(tmp_path, progress=lambda *_: pytest.fail("it ran past its end"))
    assert same(again, result)
    assert again.ended_early == result.ended_early


def test_an_early_stop_on_validation_error_looks_at_no_test_data(monkeypatch):
    changes = {
        "circuit.sizes": [64, 30, 10],
        "task": {"name": "digits"},
        "protocol.presentations": 1600,
        "protocol.snapshots": 16,
    }
    digits = bioFA.load("linear", changes | {"protocol.stop": {"below": 0.5}, "protocol.shuffle": True})
    seen = []
    real = simulation.evaluate
    monkeypatch.setattr(simulation, "evaluate", lambda *a: seen.append((a[3], a[4])) or real(*a))
    result = bioFA.simulate(digits, seed=1, backend="numpy")
    rows = [row for row in result.evaluations if row["split"] == "validation"]
    assert all(row["error"] >= 0.5 for row in rows[:-1])
    assert rows[-1]["error"] < 0.5
    assert result.presentations < 1600
    assert [at for at, split in seen if split == "test"] == [result.presentations]


@pytest.mark.parametrize(
    ("stop", "measured", "ends"),
    [
        ({"below": 0.1}, [], False),
        ({"below": 0.1}, [0.1], False),
        ({"below": 0.1}, [0.05, 0.2], False),
        ({"below": 0.1}, [0.2, 0.05], True),
        ({"patience": 2}, [0.3, 0.2, 0.2], False),
        ({"patience": 2}, [0.3, 0.2, 0.2, 0.2], True),
        ({"patience": 2}, [0.3, 0.2, 0.25, 0.1], False),
        ({"patience": 1}, [0.3], False),
        ({"patience": 1}, [0.3, 0.3], True),
        ({"below": 0.1, "patience": 1}, [0.3, 0.4], True),
        ({"below": 0.1, "patience": 9}, [0.3, 0.05], True),
    ],
)
def test_when_a_run_ends_early(stop, measured, ends):
    assert (bioFA.Stop(**stop).reason(measured) is not None) is ends


def test_an_early_stop_survives_its_file():
    experiment = small("fa", protocol__stop={"measure": "nse", "below": 0.01, "patience": 3})
    assert experiment.protocol.stop == bioFA.Stop(measure="nse", below=0.01, patience=3)
    assert toml.loads(toml.dumps(experiment)) == experiment
    assert "stop" not in toml.to_table(small("fa"))["protocol"]


@pytest.mark.parametrize(
    ("stop", "message"),
    [
        ({}, "Stop needs below, patience, or both"),
        ({"below": -0.1}, "Stop.below must be >= 0"),
        ({"patience": 0}, "patience must be >= 1"),
        ({"measure": "test_error", "below": 0.1}, "'validation_error', 'validation_nse' or 'nse'.*got 'test_error'"),
        ({"belw": 0.1}, "Did you mean 'below'"),
        ({"below": 0.1}, "validation_error, but LinearTeacher has no validation data.*measure = 'nse'"),
    ],
)
def test_an_early_stop_that_makes_no_sense_is_refused(stop, message):
    with pytest.raises(ModelError, match=message):
        bioFA.simulate(small("fa", protocol__stop=stop), seed=3, backend="numpy")


# weights of another run


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    return bioFA.simulate(bioFA.load("leaky", FEW), seed=3, backend="numpy", folder=folder), folder / RESULT


def test_a_run_starts_from_given_weights_and_everything_else_starts_anew(trained, tmp_path):
    first, path = trained
    leaky = bioFA.load("leaky", FEW)
    result = bioFA.simulate(leaky, seed=4, backend="numpy", weights=path)
    fresh = bioFA.draw(leaky, 4)
    for name, shots in result.snapshots.items():
        np.testing.assert_array_equal(shots[0], first.state[name])
    given, _ = bioFA.runs.result.read_weights(path)
    start, taken = fresh.with_weights(given)
    assert sorted(taken) == sorted(name.removesuffix(".w") for name in first.snapshots)
    assert all(
        first.state[name].any() and not array.any() for name, array in start.state.items() if name.endswith(".u")
    )
    np.testing.assert_array_equal(result.targets, bioFA.simulate(leaky, seed=4, backend="numpy").targets)
    assert result.provenance["weights"]["file_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert sorted(result.provenance["weights"]["pathways"]) == sorted(taken)
    stopped(leaky, tmp_path, weights=path)
    again = bioFA.resume(tmp_path)
    assert same(again, bioFA.simulate(leaky, seed=3, backend="numpy", weights=path))
    assert again.provenance["weights"] == result.provenance["weights"]


def test_pathways_without_given_weights_are_drawn(trained):
    first, path = trained
    biased = bioFA.load("leaky", SMALL | {"circuit.biases": True})
    result = bioFA.simulate(biased, seed=4, backend="numpy", weights=path)
    np.testing.assert_array_equal(result.snapshots["input_to_hidden.w"][0], first.state["input_to_hidden.w"])
    np.testing.assert_array_equal(
        result.snapshots["bias_to_hidden.w"][0], bioFA.draw(biased, 4).state["bias_to_hidden.w"]
    )
    assert "bias_to_hidden" not in result.provenance["weights"]["pathways"]


def test_weights_that_do_not_fit_are_refused(trained, tmp_path):
    _, path = trained
    with pytest.raises(
        ModelError, match=r"'input_to_hidden' has weights of shape \(21, 30\) here; those given have \(20, 30\)"
    ):
        bioFA.simulate(bioFA.load("linear", {"circuit.sizes": [30, 21, 10]}), backend="numpy", weights=path)
    with pytest.raises(ModelError, match=r"no pathway here has the name.*given: .*input_to_hidden"):
        bioFA.draw(bioFA.load("linear", {"circuit.sizes": [30, 7, 7, 10]}), 1).with_weights(
            {"input_to_hidden.w": np.zeros((20, 30))}
        )
    (tmp_path / "no.h5").write_text("nothing")
    outcome = biofa(
        "run", "linear", "--backend", "numpy", "--weights", str(tmp_path / "no.h5"), "--out", str(tmp_path / "run")
    )
    assert outcome.exit_code == 2
    assert "not a whole result file" in outcome.stderr
    assert not (tmp_path / "run").exists()


def test_the_command_line_takes_weights(trained, tmp_path):
    arguments = [word for key, value in SMALL.items() for word in ("--set", f"{key}={value}")]
    outcome = biofa(
        "run", "linear", *arguments, "--backend", "numpy", "--weights", str(trained[1]), "--out", str(tmp_path / "run")
    )
    assert outcome.exit_code == 0, outcome.output
    np.testing.assert_array_equal(
        load_result(tmp_path / "run" / RESULT).snapshots["input_to_hidden.w"][0], trained[0].state["input_to_hidden.w"]
    )


PROMISES = {
    "absent synapses": (
        {"circuit.density": [0.5, 1.0]},
        (
            r"pathway 'input_to_hidden': \d+ of 600 given weights break what the model says of them, that \d+ synapses"
            r" are absent"
        ),
    ),
    "fan in": ({"circuit.feedback_fan_in": 3}, r"'mismatch_to_hidden': 140 of 200 .* that 140 synapses are absent"),
    "signs": ({"circuit.feedback_sign": "inhibitory"}, r"'mismatch_to_hidden': .* sign = 'inhibitory'"),
    "Dale's law": ({"circuit.inhibitory": 0.2}, "'input_to_hidden': .* Dale's law of 'input'"),
    "bounds": (
        {"circuit.learning.low": -0.02, "circuit.learning.high": 0.02},
        r"learning.low = -0.02 and learning.high = 0.02",
    ),
}


@pytest.mark.parametrize("how", ["weights", "after"])
@pytest.mark.parametrize("promise", PROMISES)
def test_given_weights_that_break_a_promise_of_the_model_are_refused_with_their_number(promise, how, trained):
    changes, complaint = PROMISES[promise]
    with pytest.raises(ModelError, match=complaint):
        bioFA.simulate(
            bioFA.load("leaky", SMALL | changes | {"protocol.epochs": 5}), seed=3, backend="numpy", **{how: trained[1]}
        )


@pytest.mark.parametrize("promise", PROMISES)
def test_weights_that_were_learned_under_the_same_promises_are_taken(promise, tmp_path):
    experiment = bioFA.load("linear", {"task.examples": 40, "task.test_examples": 5} | PROMISES[promise][0])
    bioFA.simulate(experiment, seed=3, backend="numpy", folder=tmp_path / "first")
    longer = experiment.replace(protocol=experiment.protocol.replace(epochs=2))
    for how in ("weights", "after"):
        bioFA.simulate(longer, seed=3, backend="numpy", **{how: tmp_path / "first" / RESULT})


@pytest.mark.parametrize("backend", ["numpy", pytest.param("cpp", marks=pytest.mark.compiled)])
def test_weights_of_0_are_absent_synapses_where_the_model_says_so(backend, tmp_path):
    given = np.random.default_rng(0).normal(size=(10, 30)) * (np.random.default_rng(1).random((10, 30)) < 0.2)
    np.save(tmp_path / "w.npy", given)
    two = {
        "circuit.sizes": [30, 10],
        "task.examples": 40,
        "task.test_examples": 5,
        "circuit.weights": {"name": "from_file", "path": str(tmp_path / "w.npy")},
    }
    network = bioFA.load("linear", two).network
    pathways = tuple(p.replace(zero_is_absent=True) if p.name == "input_to_output" else p for p in network.pathways)
    experiment = bioFA.load("linear", two).replace(circuit=network.replace(pathways=pathways))
    result = bioFA.simulate(experiment, backend=backend)
    assert ((result.state["input_to_output.w"] != 0) == (given != 0)).all()
    assert (result.state["input_to_output.w"] != given)[given != 0].all()


def test_a_run_that_continues_with_other_rules_or_data_says_so(trained, tmp_path):
    _, path = trained
    longer = FEW | {"protocol.epochs": 2}
    same_rules = bioFA.simulate(bioFA.load("leaky", longer), seed=3, backend="numpy", after=path)
    assert "changed" not in same_rules.provenance["after"]
    other = bioFA.load(
        "leaky", longer | {"circuit.schemes.fa.rule.learning_rate": 0.004, "task.examples": FEW["task.examples"] + 1}
    )
    result = bioFA.simulate(other, seed=3, backend="numpy", after=path)
    assert [change.partition(":")[0] for change in result.provenance["after"]["changed"]] == [
        "pathway 'input_to_hidden'",
        "data",
    ]
    assert "continued with     pathway 'input_to_hidden': plasticity is LocalError(learning_rate=0.004" in str(result)


# the compile cache


@pytest.fixture
def cached(tmp_path, monkeypatch):
    """A cache with two entries, what a killed build of the second left, and what is none of its business."""
    monkeypatch.setenv("BIOFA_CACHE", str(tmp_path))
    for name in ("aaaa", "bbbb", ".building-bbbb-x"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "main").write_bytes(b"\0" * 1000)
    for name, used in (("aaaa", 1e9), ("bbbb", 2e9)):
        (tmp_path / name / "entry.json").write_text("{}")
        os.utime(tmp_path / name / "entry.json", (used, used))
        (tmp_path / f"{name}.lock").touch()
    (tmp_path / "notes.txt").write_text("mine")
    return tmp_path


def test_cache_shows_what_it_holds(cached):
    printed = json.loads(biofa("cache", "--json").stdout)
    assert (printed["folder"], printed["binaries"], printed["bytes"]) == (str(cached), 2, 2004)
    assert [entry["name"] for entry in printed["entries"]] == ["bbbb", "aaaa"]
    assert printed["entries"][1]["last_used"] == "2001-09-09T01:46:40+00:00"
    assert "2 compiled programs" in biofa("cache").stdout


def test_cache_is_cleared_but_for_what_is_in_use_or_being_built(cached):
    with hold(cached / "aaaa.use", shared=True), hold(cached / "bbbb.lock"):
        printed = json.loads(biofa("cache", "--clear", "--json").stdout)
        assert (printed["removed"], printed["in_use"], printed["binaries"]) == (0, 2, 2)
        assert (cached / ".building-bbbb-x").exists()
    assert json.loads(biofa("cache", "--clear", "--json").stdout)["removed"] == 2
    assert os.listdir(cached) == ["notes.txt"]


def test_an_absent_cache_is_an_empty_one(tmp_path, monkeypatch):
    monkeypatch.setenv("BIOFA_CACHE", str(tmp_path / "none"))
    assert json.loads(biofa("cache", "--clear", "--json").stdout)["binaries"] == 0
    assert not (tmp_path / "none").exists()


@pytest.mark.compiled
def test_a_running_process_keeps_its_binary_from_being_cleared():
    from bioFA.consumers.brian import cache
    from bioFA.consumers.brian.run import Compiled

    before = time.time()
    # a program that no test beside this one runs
    compiled = Compiled(bioFA.draw(bioFA.load("linear", {"circuit.sizes": [30, 23, 10]}), 1))
    name = compiled.binary.folder.name
    assert next(entry.last_used for entry in cache.kept() if entry.name == name) >= before - 1
    assert hold(compiled.binary.folder.with_suffix(cache.USE), wait=False) is None
    del compiled
    with hold(cache.cache_folder() / f"{name}{cache.USE}", wait=False) as free:
        assert free is not None


# bytes for numbers


@pytest.mark.compiled
@pytest.mark.parametrize(("backend", "precision"), [("numpy", "float64"), ("cpp", "float64"), ("cpp", "float32")])
def test_bytes_that_stand_for_numbers_are_those_numbers(backend, precision):
    from bioFA.runs.simulation import consumer
    from bioFA.tasks import ByteTable

    instance = bioFA.draw(bioFA.load("linear"), 1)
    levels = np.random.default_rng(1).normal(size=256)
    codes = np.random.default_rng(2).integers(0, 256, (300, 30), dtype=np.uint8)
    results = []
    for inputs in (ByteTable(codes, levels), levels[codes]):
        split = dataclasses.replace(instance.data.train, inputs=inputs, targets=instance.data.train.targets[:300])
        other = dataclasses.replace(instance, data=dataclasses.replace(instance.data, train=split))
        results.append(consumer(other, backend, precision).segment(other.state, other.training(0, 300), learning=True))
    assert np.asarray(ByteTable(codes, levels)).tobytes() == levels[codes].tobytes()
    for name, array in results[0].state.items():
        np.testing.assert_array_equal(array, results[1].state[name])
    np.testing.assert_array_equal(results[0].recording.arrays["output.r"], results[1].recording.arrays["output.r"])


@pytest.mark.compiled
@pytest.mark.parametrize("backend", ["numpy", "cpp"])
def test_only_what_is_asked_for_is_recorded(backend):
    from bioFA.runs.simulation import consumer

    instance = bioFA.draw(bioFA.load("linear"), 1)
    feed = instance.training(0, 30)
    everything, only = (
        consumer(instance, backend).segment(instance.state, feed, True, only=names) for names in (None, ("output.r",))
    )
    assert list(only.recording.arrays) == ["output.r"]
    assert len(everything.recording.arrays) == 3
    np.testing.assert_array_equal(only.recording.arrays["output.r"], everything.recording.arrays["output.r"])
    assert isinstance(only.recording, Recording)


@pytest.mark.compiled
def test_noise_of_a_past_segment_is_not_kept():
    from bioFA.runs.simulation import consumer

    instance = bioFA.draw(small(protocol__epochs=9), 1)
    runner = consumer(instance, "cpp")
    state, counts = instance.state, []
    for start in range(0, 540, 60):
        state = runner.segment(state, instance.training(start, start + 60), learning=True).state
        counts.append(len(os.listdir(runner._scratch.name)))
    assert counts[0] == counts[-1] <= 4
