"""Sources that need no task: what they send is what they say, in the right step, in every trial and segment."""

import datetime

import numpy as np
import pytest

import bioFA
from bioFA import Experiment, Network, Pathway, Population, errors, neurons
from bioFA.consumers.reference import Reference
from bioFA.instance import draw
from bioFA.modelfiles import toml
from bioFA.neurons.current import Current
from bioFA.neurons.equations import Equations
from bioFA.neurons.free_source import FreeSource
from bioFA.neurons.lif_exp import LifExp
from bioFA.neurons.ornstein_uhlenbeck import OrnsteinUhlenbeck
from bioFA.neurons.poisson import Poisson
from bioFA.neurons.spikes_from import SpikesFrom

DT = 1e-3
SOURCES = {
    "poisson": {"rate": "200 Hz"},
    "current": {"values": [["0 ms", "100 pA"]]},
    "ornstein_uhlenbeck": {"mean": "100 pA", "sigma": "20 pA"},
    "spikes_from": {"spikes": [[number % 19, 1e-3 * number] for number in range(200)]},
}


def experiment(source, size=20, steps=200, trials=1, dt=DT, target=None, **pathway):
    populations = [Population("source", size=size, neuron=source)]
    pathways = []
    if target is not None:
        populations.append(Population("target", size=size, neuron=target))
        pathways = [Pathway("to", source="source", target="target", connect={"name": "one_to_one"}, **pathway)]
    circuit = Network(populations=tuple(populations), pathways=tuple(pathways))
    variable = source.publishes[0]
    traces = [{"population": "source", "variables": [variable], "neurons": list(range(size))}]
    if target is not None:
        traces.append({"population": "target", "variables": ["v"], "neurons": list(range(size))})
    protocol = {"duration": steps * dt, "dt": dt, "trials": trials}
    return Experiment(name="sources", circuit=circuit, protocol=protocol, record={"traces": traces})


def sent(source, trial=0, start=0, stop=None, seed=1, population=0, **options):
    """What neurons sent in each step of a trial, `(steps, size)`."""
    given = experiment(source, **options)
    instance = draw(given, seed)
    stop = stop or given.protocol.steps
    segment = Reference(instance).segment(instance.trial_begins(trial), instance.passing(trial, start, stop), False)
    return next(iter(segment.traces[population].values()))


def test_every_source_is_tested_here():
    free = {name for name in neurons.family.names() if issubclass(neurons.family.get(name), FreeSource)}
    assert free == set(SOURCES)


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_survives_its_file_and_runs(name):
    source = neurons.family.read({"name": name, **SOURCES[name], "on": [["10 ms", "50 ms"]], "repeat": "100 ms"})
    given = experiment(source)
    assert toml.loads(toml.dumps(given)) == given
    assert source.replace(frozen=True).frozen
    found = sent(source)
    assert found.shape == (200, 20)
    inside = np.isin(np.arange(200) % 100, np.arange(10, 50))
    assert found[inside].any(axis=1).mean() > 0.9
    assert not found[~inside].any()


@pytest.mark.parametrize("name", SOURCES)
def test_any_segment_of_a_run_is_the_same(name):
    source = neurons.family.read({"name": name, **SOURCES[name], "on": [["10 ms", "50 ms"]], "repeat": "70 ms"})
    given = experiment(source)
    instance = draw(given, 1)
    reference = Reference(instance)
    whole = reference.segment(instance.state, instance.passing(0, 0, 200), False)
    first = reference.segment(instance.state, instance.passing(0, 0, 97), False)
    second = reference.segment(first.state, instance.passing(0, 97, 200), False)
    variable = source.publishes[0]
    parts = np.concatenate([first.traces[0][variable], second.traces[0][variable]])
    np.testing.assert_array_equal(parts, whole.traces[0][variable])


@pytest.mark.parametrize(("frozen", "same"), [(False, False), (True, True)])
@pytest.mark.parametrize("name", ["poisson", "ornstein_uhlenbeck"])
def test_frozen_numbers_are_those_of_every_trial(name, frozen, same):
    source = neurons.family.read({"name": name, **SOURCES[name], "frozen": frozen})
    first, second = (sent(source, trial=trial, trials=2) for trial in (0, 1))
    assert np.array_equal(first, second) == same
    assert first.std() > 0


def test_poisson_spikes_have_their_rate_and_independence():
    """Counts of 400 neurons in 500 steps: mean and variance N p and N p (1 - p), no correlation in time or space."""
    spikes = sent(Poisson(rate="50 Hz"), size=400, steps=500)
    assert set(np.unique(spikes)) == {0.0, 1.0}
    p, n = 0.05, spikes.size
    assert abs(spikes.mean() - p) < 4 * np.sqrt(p * (1 - p) / n)
    counts = spikes.sum(axis=0)
    assert counts.var() == pytest.approx(500 * p * (1 - p), rel=0.3)
    later = ((spikes[1:] - p) * (spikes[:-1] - p)).mean()
    beside = ((spikes[:, 1:] - p) * (spikes[:, :-1] - p)).mean()
    assert max(abs(later), abs(beside)) < 4 * p * (1 - p) / np.sqrt(n)


def test_poisson_rates_may_differ_between_neurons_and_change_in_time():
    differing = sent(Poisson(rate=[0.0, "1000 Hz", "100 Hz"]), size=3, steps=1000)
    assert differing[:, 0].sum() == 0
    assert differing[:, 1].sum() == 1000
    assert 60 < differing[:, 2].sum() < 140
    table = Poisson(rates=[["10 ms", "1 kHz"], ["20 ms", "0 Hz"], ["190 ms", "2 kHz"]])
    found = sent(table)
    expected = np.zeros(200)
    expected[10:20] = expected[190:] = 1.0
    np.testing.assert_array_equal(found, np.repeat(expected[:, None], 20, axis=1))


def test_a_current_follows_its_table_in_steps_and_lines():
    table = [["20 ms", "100 pA"], ["60 ms", "-50 pA"], ["100 ms", "0 pA"]]
    n = np.arange(200)
    steps = np.where(n < 20, 0.0, np.where(n < 60, 100e-12, np.where(n < 100, -50e-12, 0.0)))
    np.testing.assert_array_equal(sent(Current(values=table))[:, 3], steps)
    line = np.where(n < 20, 0.0, np.interp(n * DT, [20e-3, 60e-3, 100e-3], [100e-12, -50e-12, 0.0]))
    np.testing.assert_array_equal(sent(Current(values=table, shape="linear"))[:, 0], line)


def test_a_pulse_train_is_a_value_with_windows_that_repeat():
    source = Current(values=[["0 ms", "1 nA"]], on=[["5 ms", "7 ms"]], repeat="50 ms", scale=[1.0, 2.0])
    found = sent(source, size=2)
    assert np.flatnonzero(found[:, 0]).tolist() == [5, 6, 55, 56, 105, 106, 155, 156]
    np.testing.assert_array_equal(found[:, 1], 2.0 * found[:, 0])


def test_ornstein_uhlenbeck_noise_is_stationary_from_the_first_step_at_any_step():
    """Mean, standard deviation and exp(-t/tau) correlation, of 4,000 neurons."""
    source = OrnsteinUhlenbeck(mean="100 pA", sigma="20 pA", tau="5 ms")
    for dt, lag in ((1e-3, 5), (5e-3, 1)):
        found = sent(source, size=4000, steps=12, dt=dt) * 1e12
        for step in (0, 11):
            assert found[step].mean() == pytest.approx(100.0, abs=4 * 20 / np.sqrt(4000))
            assert found[step].std() == pytest.approx(20.0, rel=0.06)
        z = (found - 100.0) / 20.0
        assert (z[0] * z[lag]).mean() == pytest.approx(np.exp(-1.0), abs=0.07)


def test_a_spike_of_a_source_acts_in_its_own_step_and_after_its_delay():
    spike = Poisson(rates=[["10 ms", "1 kHz"], ["11 ms", "0 Hz"]])
    for delay, acts in (("0 ms", 10), ("4 ms", 14)):
        options = {"port": "exc", "weights": "100 pA", "delay": delay}
        v = sent(spike, population=1, target=LifExp(tau_exc="5 ms"), **options)
        assert (v[: acts + 1] == -65e-3).all()
        assert (v[acts + 1] > -65e-3).all()


def test_a_current_reaches_its_port_in_its_own_unit():
    source = Current(values=[["0 ms", "200 pA"]])
    v = sent(source, population=1, target=LifExp(), port="I", weights=1.5, steps=300)
    np.testing.assert_allclose(v[-1], -65e-3 + 10e-3 / 250e-12 * 300e-12, rtol=1e-9)
    cell = Equations(model="dv/dt = -v/(10*ms) + g/nF*mV : volt", ports={"g": "siemens"})
    with pytest.raises(errors.WrongUnit, match="weights"):
        experiment(source, target=LifExp(), port="I", weights="2 pA")
    experiment(source, target=cell, port="g", weights="2 1/volt")


@pytest.mark.parametrize(
    ("source", "fields", "error", "words"),
    [
        (Poisson, {"rate": "-1 Hz"}, errors.OutOfRange, "Poisson.rate must be >= 0 hertz"),
        (Poisson, {"rate": "1 mV"}, errors.WrongUnit, "Poisson.rate"),
        (Poisson, {"rate": "1 Hz", "rates": [["0 ms", "1 Hz"]]}, errors.Contradiction, "Leave one out"),
        (Poisson, {"rates": [["0 ms", "-1 Hz"]]}, errors.OutOfRange, "rates\\[0\\] must be >= 0 Hz"),
        (Poisson, {"rates": [["9 ms", "1 Hz"], ["9 ms", "2 Hz"]]}, errors.OutOfRange, "ascend"),
        (Poisson, {"rates": [["-1 ms", "1 Hz"]]}, errors.OutOfRange, ">= 0 s"),
        (Poisson, {"on": [["5 ms", "5 ms"]]}, errors.OutOfRange, "on\\[0\\] must be a window"),
        (Poisson, {"on": [["5 ms", "50 ms"]], "repeat": "20 ms"}, errors.OutOfRange, "repeats after 0.02 s"),
        (Poisson, {"repeat": 0.0}, errors.OutOfRange, "repeat must be > 0 s"),
        (Poisson, {"on": [["5 mV", "50 ms"]]}, errors.WrongUnit, "second"),
        (Current, {}, errors.MissingField, "values"),
        (Current, {"values": []}, errors.MissingField, "values is empty"),
        (Current, {"values": [["0 ms", "1 pA"], ["1 ms", "1 mV"]]}, errors.WrongUnit, "volt"),
        (SpikesFrom, {}, errors.MissingField, "spikes or path"),
        (SpikesFrom, {"spikes": [], "path": "a.npy"}, errors.MissingField, "not both"),
        (SpikesFrom, {"spikes": [[0, "1 mV"]]}, errors.WrongUnit, "second"),
        (SpikesFrom, {"spikes": [], "group": "e"}, errors.Contradiction, "group belongs"),
        (SpikesFrom, {"spikes": [], "select": [1, 1]}, errors.Contradiction, "twice"),
        (OrnsteinUhlenbeck, {"mean": "1 pA", "sigma": "1 mV"}, errors.WrongUnit, "sigma in volt"),
        (OrnsteinUhlenbeck, {"sigma": "-1 mV"}, errors.OutOfRange, "sigma must be >= 0"),
        (OrnsteinUhlenbeck, {"sigma": "1 mV", "tau": 0.0}, errors.OutOfRange, "tau must be > 0"),
    ],
)
def test_what_makes_no_source_is_refused_by_name(source, fields, error, words):
    with pytest.raises(error, match=words):
        source(**fields)


SPIKES = [[0, "2 ms"], [2, "10.4 ms"], [2, "10.6 ms"], [1, "10.999999999999 ms"], [0, "150 ms"]]


def shown(source, **options):
    """Neuron, step and number of every spike that is shown."""
    found = sent(source, **options)
    steps, which = np.nonzero(found)
    return sorted(zip(which.tolist(), steps.tolist(), found[steps, which].tolist(), strict=True))


EXPECTED = [(0, 2, 1.0), (0, 150, 1.0), (1, 11, 1.0), (2, 10, 2.0)]


def test_given_spikes_come_in_their_steps():
    assert shown(SpikesFrom(spikes=SPIKES)) == EXPECTED
    assert shown(SpikesFrom(spikes=SPIKES), trial=1, trials=2) == EXPECTED
    assert shown(SpikesFrom(spikes=SPIKES, start="2 ms")) == [(0, 0, 1.0), (0, 148, 1.0), (1, 9, 1.0), (2, 8, 2.0)]
    assert shown(SpikesFrom(spikes=SPIKES, on=[["10 ms", "11 ms"]])) == [(2, 10, 2.0)]
    assert shown(SpikesFrom(spikes=SPIKES, select=[2, 0])) == [(0, 10, 2.0), (1, 2, 1.0), (1, 150, 1.0)]
    repeated = shown(SpikesFrom(spikes=SPIKES, repeat="12 ms", on=[["0 ms", "11 ms"]]), steps=36)
    assert repeated == [(0, 2 + s, 1.0) for s in (0, 12, 24)] + [(2, 10 + s, 2.0) for s in (0, 12, 24)]


def written(kind, folder):
    """A file that holds `SPIKES`, all but the one at 10.999999999999 ms exact."""
    neurons = np.array([neuron for neuron, _ in SPIKES])
    times = np.array([float(time.split()[0]) for _, time in SPIKES]) * 1e-3
    path = folder / f"spikes.{kind}"
    if kind == "npy":
        np.save(path, np.stack([neurons, times], axis=1))
    elif kind == "npz":
        np.savez(path, neurons=neurons, times=times)
    elif kind == "h5":
        h5py = pytest.importorskip("h5py")
        with h5py.File(path, "w") as file:
            for group, of in (("cells", neurons), ("others", neurons[::-1])):
                file[f"spikes/{group}/node_ids"] = of.astype(np.uint64)
                file[f"spikes/{group}/timestamps"] = times * 1e3
                file[f"spikes/{group}/timestamps"].attrs["units"] = "ms"
    elif kind == "nwb":
        pynwb = pytest.importorskip("pynwb")
        began = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
        file = pynwb.NWBFile("spikes", "spikes", began)
        for neuron in range(3):
            file.add_unit(spike_times=times[neurons == neuron])
        with pynwb.NWBHDF5IO(str(path), "w") as io:
            io.write(file)
    else:
        pytest.importorskip("nixio")
        neo, pq = pytest.importorskip("neo"), pytest.importorskip("quantities")
        block, segment = neo.Block(), neo.Segment()
        segment.spiketrains = [
            neo.SpikeTrain(1e3 * times[neurons == neuron] * pq.ms, t_stop=1.0 * pq.s) for neuron in range(3)
        ]
        block.segments.append(segment)
        io = neo.NixIO(str(path), "ow")
        io.write_block(block)
        io.close()
    return str(path)


@pytest.mark.parametrize("kind", ["npy", "npz", "h5", "nwb", "nix"])
def test_spikes_of_a_file_are_shown_as_those_of_the_model(kind, tmp_path):
    path = written(kind, tmp_path)
    group = {"group": "cells"} if kind == "h5" else {}
    source = SpikesFrom(path=path, **group)
    assert shown(source) == EXPECTED
    assert shown(source.replace(select=[2])) == [(0, 10, 2.0)]
    given = experiment(source)
    assert toml.loads(toml.dumps(given)) == given


def test_spikes_that_no_trial_shows_are_told_in_the_result(tmp_path):
    path = tmp_path / "spikes.npz"
    np.savez(path, neurons=np.array([0, 1]), times=np.array([5.0, 7.0]))  # written in ms
    result = bioFA.simulate(experiment(SpikesFrom(path=str(path))), backend="numpy")
    (note,) = result.summary()["data_notes"]
    assert "2 of 2 spikes are not shown, for a trial shows 0 s to " in note
    assert note.endswith("; are their times in seconds?")
    assert f"  data               {note}" in str(result)
    (twice,) = SpikesFrom(spikes=[[0, "1.2 ms"], [0, "1.4 ms"], [1, "1.4 ms"]]).notes(1e-3, 10, {})
    assert twice.startswith("1 of 3 spikes are in a step of 1 ms in which their neuron spikes already")
    fast = bioFA.simulate(experiment(Poisson(rate="5000 Hz"), dt=1e-3), backend="numpy")
    assert "a rate of 5000 Hz would be 5 spikes in each step of 1 ms; one at most is sent, 1000 Hz" in str(fast)


def test_windows_that_show_nothing_or_are_no_whole_steps_are_told():
    windows = [["0.1 ms", "0.3 ms"], ["1.2 ms", "3 ms"], ["4 ms", "5 ms"], ["1 s", "2 s"]]
    source = Current(values=[["0 ms", "1 pA"]], on=windows)
    assert source.notes(1e-3, 100, {}) == (
        "on[0], 0.1 ms to 0.3 ms, is shorter than a step of 1 ms, and shows nothing",
        "on[1], 1.2 ms to 3 ms, is simulated as 1 ms to 3 ms",
        "on[3], 1 s to 2 s, begins after the end of a trial, and shows nothing",
    )
    assert SpikesFrom(spikes=[[0, "1 ms"]], repeat="20.4 ms").notes(1e-3, 100, {}) == (
        "repeat, 20.4 ms, is simulated as 20 ms",
    )


def test_times_of_32_bits_are_shown_in_their_steps(tmp_path):
    path, steps = tmp_path / "spikes.npz", np.arange(0, 5000, 3)
    np.savez(path, neurons=np.zeros(len(steps), int), times=(1e-3 * steps).astype(np.float32))
    source = SpikesFrom(path=str(path))
    np.testing.assert_array_equal(source.trains(1, 1e-3, 5000)[0], steps)
    assert source.notes(1e-3, 5000, {}) == ()
    assert "times are known to 7.2e-07 s only" in source.notes(1e-6, 5_000_000, {})[0]


def test_spikes_that_changed_on_disk_are_noticed(tmp_path):
    path = tmp_path / "spikes.npz"
    digests = set()
    for late in (0.0, 0.0, 2e-3):
        np.savez(path, neurons=np.array([0, 1]), times=np.array([5e-3, 7e-3 + late]))
        digests.add(draw(experiment(SpikesFrom(path=str(path))), 1).data_sha256())
    assert len(digests) == 2


def test_a_file_that_holds_something_else_is_refused_by_name(tmp_path):
    def refusal(kind, **fields):
        with pytest.raises(errors.BioFAError) as found:
            sent(SpikesFrom(path=str(tmp_path / kind), **fields), size=2)
        return f"{type(found.value).__name__}: {found.value}"

    assert "there is no file" in refusal("none.npy")
    assert "must end in one of" in refusal("none.txt")
    np.save(tmp_path / "flat.npy", np.arange(4.0))
    assert "must hold numbers (n_spikes, 2)" in refusal("flat.npy")
    np.save(tmp_path / "half.npy", np.array([[0.5, 0.1]]))
    assert "not whole" in refusal("half.npy")
    np.save(tmp_path / "less.npy", np.array([[-1.0, 0.1]]))
    assert "neurons count from 0" in refusal("less.npy")
    np.save(tmp_path / "nan.npy", np.array([[0.0, np.nan]]))
    assert "not finite" in refusal("nan.npy")
    np.savez(tmp_path / "one.npz", times=np.arange(3.0))
    assert "neurons and times" in refusal("one.npz")
    written("npy", tmp_path)
    assert "spikes of 3 neurons; the population has 2" in refusal("spikes.npy")
    written("h5", tmp_path)
    assert "group = 'cells'" in refusal("spikes.h5")
    assert "UnknownName" in refusal("spikes.h5", group="cell")
    written("nwb", tmp_path)
    assert "has the neurons 0 to 2; got 3" in refusal("spikes.nwb", select=[3])


def test_spikes_of_a_result_can_be_shown_again():
    """What one run recorded drives another: each spike acts where its neuron's own pathway would have."""
    cells = Population("source", size=20, neuron=Poisson(rate="100 Hz"))
    relay = Population(
        "relay",
        size=20,
        neuron=LifExp(i_e="600 pA", initial={"v": {"name": "uniform", "low": "-65 mV", "high": "-50 mV"}}),
    )
    target = Population("target", size=20, neuron=LifExp())
    join = {"connect": {"name": "one_to_one"}, "port": "exc", "weights": "500 pA"}

    def run(first):
        pathway = Pathway("to", source=first.name, target="target", delay="3 ms", **join)
        circuit = Network(populations=(first, target), pathways=(pathway,))
        record = {"traces": [{"population": "target", "variables": ["v"], "neurons": list(range(20))}]}
        instance = draw(
            Experiment(name="again", circuit=circuit, protocol={"duration": "200 ms", "dt": DT}, record=record), 1
        )
        return Reference(instance).segment(instance.state, instance.passing(0, 0, 200), False)

    for first in (cells, relay):
        original = run(first)
        neurons_, steps = original.spikes[first.name]
        assert len(steps) > 50
        listed = [[int(n), float(s * DT)] for n, s in zip(neurons_, steps, strict=True)]
        again = run(Population("source", size=20, neuron=SpikesFrom(spikes=listed)))
        np.testing.assert_array_equal(again.traces[0]["v"], original.traces[0]["v"])
