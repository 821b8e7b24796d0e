"""Networks without a teacher against NEST 3.10, spike for spike: recurrent, with a delay of its own at every synapse.

Weights are multiples of a power of two, so that the order of a sum does not matter. In NEST a spike that has the stamp
t reaches a current-based neuron of delay d as the step that begins at t + d begins, as here; a neuron on whose
potential a spike jumps at the end of a step (`izhikevich`) sees it one step earlier.

NEST is installed by the extra `nest`; without it these tests are skipped.
"""

import numpy as np
import pytest
from tiers import first_of

import bioFA
from bioFA import Experiment
from bioFA.exchange import free_parts
from bioFA.instance import draw
from bioFA.runs.simulation import consumer

nest = pytest.importorskip("nest", reason="NEST is not installed: pip install '.[nest]'")

STEPS, DT, SIZE, FAN_IN = 5000, 0.1, 80, 10


def wired(seed, low, high, quantum, inhibitory):
    """Pairs, weights in multiples of `quantum`, and delays of 1 to 30 steps."""
    rng = np.random.default_rng(seed)
    post = np.repeat(np.arange(SIZE), FAN_IN)
    pre = np.concatenate([rng.choice(SIZE, FAN_IN, replace=False) for _ in range(SIZE)])
    weights = np.round(rng.uniform(low, high, len(pre)) / quantum) * quantum
    weights[pre >= SIZE - inhibitory] *= -4
    return np.stack([pre, post], axis=1), weights, rng.integers(1, 31, len(pre))


def ours(folder, backend, neuron, port, wiring, unit, earlier=0, **synapses):
    """Steps of all spikes of every neuron."""
    pairs, weights, delays = wiring
    np.save(folder / "pairs.npy", pairs)
    np.save(folder / "weights.npy", weights * unit)
    np.save(folder / "delays.npy", (delays - earlier) * DT * 1e-3)
    experiment = Experiment(
        name="recurrent",
        circuit={
            "name": "network",
            "populations": [{"name": "cells", "size": SIZE, "neuron": neuron}],
            "pathways": [{
                "name": "cells_to_cells",
                "source": "cells",
                "target": "cells",
                "port": port,
                "connect": {"name": "pairs", "path": str(folder / "pairs.npy")},
                "weights": {"name": "from_file", "path": str(folder / "weights.npy")},
                "delay": {"name": "from_file", "path": str(folder / "delays.npy")},
                **synapses,
            }],
        },
        protocol={"duration": STEPS * DT * 1e-3, "dt": DT * 1e-3},
    )
    instance = draw(experiment, 1)
    segment = consumer(instance, backend).segment(instance.state, instance.passing(0, 0, STEPS), learning=False)
    neurons, steps = segment.spikes["cells"]
    return [steps[neurons == number] for number in range(SIZE)]


def theirs(model, parameters, currents, wiring, initial, **synapses):
    """Steps at whose end NEST has stamped the spikes of every neuron."""
    pairs, weights, delays = wiring
    nest.ResetKernel()
    nest.verbosity = nest.VerbosityLevel.ERROR
    nest.resolution = DT
    cells = nest.Create(model, SIZE, params=parameters)
    cells.I_e = currents
    for name, values in initial.items():
        cells.set({name: list(values)})
    ids = np.array(cells.tolist())
    nest.Connect(
        ids[pairs[:, 0]],
        ids[pairs[:, 1]],
        "one_to_one",
        {"weight": weights, "delay": delays * DT, "synapse_model": "static_synapse"} | synapses,
    )
    recorder = nest.Create("spike_recorder")
    nest.Connect(cells, recorder)
    nest.Simulate((STEPS + 1) * DT)
    steps = np.rint(np.asarray(recorder.events["times"]) / DT).astype(int)
    senders = np.asarray(recorder.events["senders"])
    return [np.sort(steps[(senders == one) & (steps < STEPS)]) for one in ids]


CURRENTS = np.linspace(360.0, 420.0, SIZE)
PSC_EXP = {
    "name": "equations",
    "model": (
        """
        dv/dt = (e_l - v)/tau_m + (i_e + i_syn)/c_m : volt (unless refractory)
        di_syn/dt = -i_syn/tau_syn : amp
    """
    ),
    "ports": {"syn": "amp"},
    "arrival": "i_syn += syn",
    "threshold": "v >= theta",
    "reset": "v = v_reset",
    "refractory": "2 ms",
    "method": "exact",
    "initial": {"v": "-70 mV"},
    "parameters": {
        "tau_m": "10 ms",
        "tau_syn": "2 ms",
        "c_m": "250 pF",
        "e_l": "-70 mV",
        "theta": "-55 mV",
        "v_reset": "-70 mV",
        "i_e": {"name": "linear", "low": "360 pA", "high": "420 pA"},
    },
}
IAF_PSC_EXP = {
    "tau_m": 10.0, "tau_syn_ex": 2.0, "tau_syn_in": 2.0, "C_m": 250.0, "E_L": -70.0, "V_th": -55.0,
    "V_reset": -70.0, "t_ref": 2.0,
}  # fmt: skip


@pytest.mark.parametrize("backend", first_of("cpp", "numpy"))
def test_iaf_psc_exp_with_distributed_delays(tmp_path, backend):
    wiring = wired(1, 20.0, 80.0, 0.25, 16)
    mine = ours(tmp_path, backend, PSC_EXP, "syn", wiring, 1e-12)
    other = theirs("iaf_psc_exp", IAF_PSC_EXP, CURRENTS, wiring, {})
    assert sum(map(len, mine)) > 1000
    assert [list(steps) for steps in mine] == [list(steps) for steps in other]


@pytest.mark.parametrize("backend", first_of("cpp", "numpy"))
def test_tsodyks2_synapses_with_distributed_delays_and_parameters(tmp_path, backend):
    """What they release is no multiple of anything, so that sums round otherwise; no potential meets the threshold so
    nearly."""
    wiring = wired(3, 60.0, 240.0, 0.25, 16)
    rng = np.random.default_rng(4)
    count = len(wiring[1])
    U, recovery, facilitation = rng.uniform(0.2, 0.7, count), rng.uniform(100, 800, count), rng.uniform(10, 500, count)
    for name, values in (("U", U), ("tau_rec", recovery * 1e-3), ("tau_facil", facilitation * 1e-3)):
        np.save(tmp_path / f"{name}.npy", values)
    dynamics = {"name": "tsodyks_markram", "resources": "two"} | {
        name: {"name": "from_file", "path": str(tmp_path / f"{name}.npy")} for name in ("U", "tau_rec", "tau_facil")
    }
    mine = ours(tmp_path, backend, PSC_EXP, "syn", wiring, 1e-12, dynamics=dynamics)
    other = theirs(
        "iaf_psc_exp",
        IAF_PSC_EXP,
        CURRENTS,
        wiring,
        {},
        synapse_model="tsodyks2_synapse",
        U=U,
        u=U,
        x=np.ones(count),
        tau_rec=recovery,
        tau_fac=facilitation,
    )
    static = ours(tmp_path, backend, PSC_EXP, "syn", wiring, 1e-12)
    assert [list(steps) for steps in static] != [list(steps) for steps in mine]
    assert sum(map(len, mine)) > 700
    assert [list(steps) for steps in mine] == [list(steps) for steps in other]


@pytest.mark.parametrize("backend", ["numpy", "cpp"])
def test_izhikevich_with_distributed_delays(tmp_path, backend):
    wiring = wired(2, 0.5, 2.0, 0.125, 16)
    neuron = {
        "name": "equations",
        "model": """
            dv/dt = (0.04*v*v + 5.0*v + 140.0 - u + i_e)/ms + syn/dt : 1
            du/dt = a*(b*v - u)/ms : 1
        """,
        "ports": {"syn": "1"},
        "threshold": "v >= 30.0",
        "reset": "v = c; u += d",
        "method": "euler",
        "parameters": {
            "a": 0.02, "b": 0.2, "c": -65.0, "d": 8.0, "i_e": {"name": "linear", "low": 4.0, "high": 8.0}
        },
        "initial": {"v": -65.0, "u": -13.0},
    }  # fmt: skip
    mine = ours(tmp_path, backend, neuron, "syn", wiring, 1.0, earlier=1)
    parameters = {"a": 0.02, "b": 0.2, "c": -65.0, "d": 8.0, "V_th": 30.0, "consistent_integration": True}
    other = theirs(
        "izhikevich",
        parameters,
        np.linspace(4.0, 8.0, SIZE),
        wiring,
        {"V_m": np.full(SIZE, -65.0), "U_m": np.full(SIZE, -13.0)},
    )
    assert sum(map(len, mine)) > 300
    assert [list(steps) for steps in mine] == [list(steps) for steps in other]


def test_random_ei_on_the_same_synapses_and_background_spikes_is_nests_in_every_spike():
    """The built-in network, small: so what is left between the two is what each draws by itself.

    A jump decays from the end of the step before in NEST, and from the beginning of the step here, so weights have
    decayed by a step there, and act a step later; all of NEST's run is one step later, as no spike can come at 0.
    """
    changes = {"constants.order": 40, "protocol.duration": "100 ms", "protocol.warm_up": 0.0, "record.spikes": []}
    experiment = bioFA.load("random_ei", changes)
    network, steps, dt = experiment.network, experiment.protocol.shown_steps, 0.1
    instance = draw(experiment, 1)
    feed = instance.passing(0, 0, steps)
    mine = consumer(instance, "numpy").segment(instance.state | instance.trial_begins(0), feed, learning=False)
    decay = np.exp(-dt / 20.0)
    nest.ResetKernel()
    nest.verbosity = nest.VerbosityLevel.ERROR
    nest.resolution = dt
    fields = {"tau_m": 20.0, "V_th": 20.0, "V_reset": 10.0, "t_ref": 2.0, "E_L": 0.0, "I_e": 0.0, "C_m": 1.0}
    cells = {p.name: nest.Create("iaf_psc_delta", p.size, fields) for p in network.populations}
    ids = {name: np.array(group.tolist()) for name, group in cells.items()}
    for population in network.populations:
        name = population.name
        cells[name].V_m = list(instance.state[f"{name}.v"] * 1e3 / decay)
        (background,) = free_parts.outside(instance, population)
        numbers = np.array(list(background.numbers(steps)))
        assert numbers.sum(axis=1).var() / numbers.sum(axis=1).mean() == pytest.approx(1, abs=5 * (2 / steps) ** 0.5)
        weight = float(background.weight[0]) * 1e3 * decay
        for cell, counts in zip(cells[name], numbers.T, strict=True):
            at = np.flatnonzero(counts)
            trains = {"spike_times": dt * (at + 1), "spike_multiplicities": counts[at], "allow_offgrid_times": True}
            source = nest.Create("spike_generator", 1, trains)
            nest.Connect(source, cell, "one_to_one", {"weight": weight, "delay": dt})
    for pathway in network.pathways:
        synapses = instance.synapses[pathway.name]
        count = len(synapses.post)
        weight, delay = float(synapses.weights[0]) * 1e3 * decay, (int(synapses.delays[0]) + 1) * dt
        nest.Connect(
            ids[pathway.source][synapses.pre],
            ids[pathway.target][synapses.post],
            "one_to_one",
            {"weight": np.full(count, weight), "delay": np.full(count, delay), "synapse_model": "static_synapse"},
        )
    recorders = {name: nest.Create("spike_recorder") for name in cells}
    for name, recorder in recorders.items():
        nest.Connect(cells[name], recorder)
    nest.Simulate((steps + 2) * dt)
    for name, recorder in recorders.items():
        at = np.rint(np.asarray(recorder.events["times"]) / dt).astype(int) - 1
        neurons = np.asarray(recorder.events["senders"]) - ids[name][0]
        expected = {(int(n), int(step)) for n, step in zip(neurons, at, strict=True) if step < steps}
        found = {(int(n), int(step)) for n, step in zip(*mine.spikes[name], strict=True)}
        assert len(found) > 300
        assert found == expected
