"""What was recorded as time passed is read back, by the packages of the formats, as it was."""

import h5py
import numpy as np
import pytest

import bioFA
from bioFA import exchange
from bioFA.errors import ModelError

MODEL = {
    "name": "recorded",
    "circuit": {
        "name": "network",
        "populations": [
            {"name": "cells", "size": 6, "neuron": {"name": "lif_exp", "i_e": "450 pA"}},
            {"name": "noise", "size": 3, "neuron": {"name": "poisson", "rate": "60 Hz"}},
        ],
        "pathways": [
            {"name": "noise_to_cells", "source": "noise", "target": "cells", "port": "exc", "weights": "200 pA"}
        ],
    },
    "protocol": {"duration": "200 ms", "dt": "0.1 ms", "trials": 2},
    "record": {
        "spikes": ["cells[0:4]", "noise"],
        "traces": [{"population": "cells", "variables": ["v"], "neurons": [0, 5], "every": "0.5 ms", "from": "50 ms"}],
        "rates": {"bin": "10 ms"},
    },
}


@pytest.fixture(scope="module")
def result():
    return bioFA.simulate(bioFA.Experiment(**MODEL), seed=1, backend="numpy")


def test_neo_has_a_segment_a_trial_with_trains_traces_and_rates(result, tmp_path):
    neo = pytest.importorskip("neo")
    exchange.export(result, "neo", tmp_path / "recorded.nix")
    block = neo.NixIO(str(tmp_path / "recorded.nix"), "ro").read_block()
    assert len(block.segments) == 2
    for trial, segment in enumerate(block.segments):
        neurons, times = result.spikes("cells", trial)
        trains = [train for train in segment.spiketrains if train.annotations["population"] == "cells"]
        assert [int(train.annotations["neuron"]) for train in trains] == [0, 1, 2, 3]
        for train in trains:
            np.testing.assert_allclose(train.rescale("s").magnitude, times[neurons == train.annotations["neuron"]])
        signals = {signal.name: signal for signal in segment.analogsignals}
        np.testing.assert_array_equal(
            signals["cells.v"].rescale("V").magnitude, result.traces[0].read("v", trial), strict=True
        )
        assert float(signals["cells.v"].t_start.rescale("s")) == pytest.approx(0.05)
        assert float(signals["cells.v"].sampling_period.rescale("s")) == pytest.approx(5e-4)
        np.testing.assert_allclose(
            signals["rate of cells"].rescale("Hz").magnitude[:, 0], result.rates("cells", trial)[1]
        )


def test_nwb_has_units_trials_traces_in_their_units_and_rates(result, tmp_path):
    pynwb = pytest.importorskip("pynwb")
    exchange.export(result, "nwb", tmp_path / "recorded.nwb")
    with pynwb.NWBHDF5IO(str(tmp_path / "recorded.nwb"), "r") as io:
        file = io.read()
        assert list(file.trials["start_time"][:]) == pytest.approx([0.0, 0.2])
        rows = {
            (population, int(neuron)): np.asarray(times)
            for population, neuron, times in zip(
                file.units["population"][:], file.units["neuron"][:], file.units["spike_times"][:], strict=True
            )
        }
        assert len(rows) == 4 + 3
        for population in ("cells", "noise"):
            for trial in range(2):
                neurons, times = result.spikes(population, trial)
                for neuron in set(neurons):
                    found = rows[population, int(neuron)]
                    here = found[(found >= 0.2 * trial - 1e-9) & (found < 0.2 * (trial + 1) - 1e-9)]
                    np.testing.assert_allclose(here - 0.2 * trial, times[neurons == neuron], atol=1e-9)
        series = file.processing["simulation"]["cells_v_0"]
        assert series.unit == "volt"
        np.testing.assert_array_equal(
            series.data[:], np.concatenate([result.traces[0].read("v", trial) for trial in range(2)])
        )
        assert "rate_of_cells" in file.processing["simulation"].data_interfaces


def test_a_sonata_spike_file_has_every_recorded_spike_in_ms(result, tmp_path):
    exchange.export(result, "sonata_spikes", tmp_path / "spikes.h5")
    with h5py.File(tmp_path / "spikes.h5") as file:
        assert file.attrs["magic"] == 0x0A7A
        for population in ("cells", "noise"):
            found = file[f"spikes/{population}"]
            first, second = (result.spikes(population, trial) for trial in range(2))
            np.testing.assert_array_equal(found["node_ids"][:], np.concatenate([first[0], second[0]]))
            expected = 1e3 * np.concatenate([first[1], 0.2 + second[1]])
            np.testing.assert_allclose(found["timestamps"][:], expected, atol=1e-9)
            assert (np.diff(found["timestamps"][:]) >= 0).all()


def test_the_spikes_of_a_sonata_file_can_be_shown_to_another_network(result, tmp_path):
    exchange.export(result, "sonata_spikes", tmp_path / "spikes.h5")
    source = {"name": "spikes_from", "path": str(tmp_path / "spikes.h5"), "group": "noise"}
    table = MODEL | {"protocol": {"duration": "200 ms", "dt": "0.1 ms"}, "record": {"spikes": ["cells", "noise"]}}
    table["circuit"] = MODEL["circuit"] | {
        "populations": [MODEL["circuit"]["populations"][0], {"name": "noise", "size": 3, "neuron": source}]
    }
    again = bioFA.simulate(bioFA.Experiment(**table), seed=9, backend="numpy")
    for mine, theirs in zip(again.spikes("noise"), result.spikes("noise"), strict=True):
        np.testing.assert_allclose(mine, theirs)
    neurons, times = again.spikes("cells")
    first = neurons < 4
    np.testing.assert_array_equal(neurons[first], result.spikes("cells")[0])
    np.testing.assert_array_equal(times[first], result.spikes("cells")[1])


def test_a_presented_experiment_has_no_sonata_spike_file(tmp_path):
    small = {"protocol.presentations": 1, "protocol.snapshots": 1, "task.test_examples": 2}
    shown = bioFA.simulate(bioFA.load("linear_spiking", small), seed=1, backend="numpy")
    with pytest.raises(ModelError, match=r"presents a task. Export to nwb or neo"):
        exchange.export(shown, "sonata_spikes", tmp_path / "spikes.h5")
