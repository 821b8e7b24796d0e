"""The leaky integrate-and-fire network that NEST simulates is ours: every spike, in the same step after a constant lag.

NEST's `iaf_psc_exp` is our `Lif` with `decay = "exact"`, `reset = "to_value"` and `test = "reach"`; it has no
Euler decay, no reset by subtraction, and no strict threshold test. Its units follow from C = tau (pF, ms) and
E_L = 0, V_th = 1 (mV): then tau dv/dt = -v + I with I in pA, and a spike through a weight w of a pathway that carries
`train` is a current of w / (unit_rate tau_syn). Two things differ in time. A spike moves v one step later in
NEST, which adds what arrives to the current after v has moved; so each layer lags one step more behind ours, and a
recurrent pathway, whose loop a lag cannot undo, must have one step of axonal delay in ours: a `LeakyRate` with
tau = dt under Euler decay hands on in the next step what reached it in this one.

NEST is installed by the extra `nest`; without it these tests are skipped.
"""

import numpy as np
import pytest

from bioFA import Experiment, Network, Pathway, Population, Protocol
from bioFA.instance import draw
from bioFA.neurons.constant_source import ConstantSource
from bioFA.neurons.error_unit import ErrorUnit
from bioFA.neurons.leaky_rate import LeakyRate
from bioFA.neurons.lif import Lif
from bioFA.neurons.poisson_source import PoissonSource
from bioFA.neurons.rate_source import RateSource
from bioFA.runs.simulation import consumer
from bioFA.tasks.linear_teacher import LinearTeacher
from bioFA.weights import Constant, Identity, Normal

nest = pytest.importorskip("nest", reason="NEST is not installed: pip install '.[nest]'")

STEPS = 1000
PRESENTATIONS = 3
HIDDEN = Lif(tau="20 ms", tau_syn="5 ms", refractory_period="2 ms", v_reset=-0.1, test="reach")
ANSWER = Lif(tau="10 ms", tau_syn="3 ms", refractory_period="1 ms", test="reach")
FIRST_LAG = 2
"""Steps by which NEST's first layer is behind ours: one from its source, whose spikes take a delay,
one from the order of its step."""


def network(dt, recurrent, relayed=True):
    """Poisson inputs, 30 hidden and 5 output neurons with a tonic drive; with `recurrent`,
    hidden neurons reach each other, through relays or directly."""
    populations = [
        Population("image", size=20, neuron=PoissonSource(max_rate="80 Hz")),
        Population("tonic", size=1, neuron=ConstantSource()),
        Population("hidden", size=30, neuron=HIDDEN),
        Population("answer", size=5, neuron=ANSWER),
        Population("wanted", size=5, neuron=RateSource(of="targets")),
        Population("mismatch", size=5, neuron=ErrorUnit()),
    ]
    pathways = [
        Pathway(
            "image_to_hidden", source="image", target="hidden", carries="train", weights=Normal(scale=1.5, mean=0.3)
        ),
        Pathway("tonic_to_hidden", source="tonic", target="hidden", weights=Constant(value=0.4)),
        Pathway(
            "hidden_to_answer", source="hidden", target="answer", carries="train", weights=Normal(scale=1.0, mean=0.6)
        ),
        Pathway("wanted_to_mismatch", source="wanted", target="mismatch", port="target", weights=Identity()),
        Pathway("answer_to_mismatch", source="answer", target="mismatch", port="prediction", weights=Identity()),
    ]
    if recurrent and not relayed:
        pathways.append(
            Pathway("relay_to_hidden", source="hidden", target="hidden", carries="train", weights=Normal(scale=1.5))
        )
    elif recurrent:
        populations.append(Population("relay", size=30, neuron=LeakyRate(tau=dt, decay="euler")))
        pathways.append(
            Pathway("hidden_to_relay", source="hidden", target="relay", carries="train", weights=Identity())
        )
        pathways.append(Pathway("relay_to_hidden", source="relay", target="hidden", weights=Normal(scale=1.5)))
    return Network(populations=tuple(populations), pathways=tuple(pathways))


def ours(circuit, dt, backend):
    """The instance, and the spikes of our populations, `(steps, size)`."""
    task = LinearTeacher(n_in=20, n_out=5, examples=PRESENTATIONS, test_examples=1)
    protocol = Protocol(dt=dt, presentation=STEPS * dt, shuffle=False, snapshots=1)
    instance = draw(Experiment(name="nest", circuit=circuit, task=task, protocol=protocol), 1)
    segment = consumer(instance, backend).segment(
        instance.state, instance.training(0, PRESENTATIONS), learning=False, rasters=True
    )
    return instance, {name: raster.reshape(PRESENTATIONS * STEPS, -1) for name, raster in segment.rasters.items()}


def theirs(instance, image):
    """The spikes of NEST's populations, `(steps, size)`, on the spikes of our source and with our weights."""
    dt, steps = 1e3 * instance.experiment.protocol.step, len(image)
    nest.ResetKernel()
    nest.verbosity = nest.VerbosityLevel.ERROR
    nest.set(resolution=dt, local_num_threads=1)

    def cells(size, neuron):
        return nest.Create(
            "iaf_psc_exp",
            size,
            {
                "E_L": 0.0,
                "V_m": 0.0,
                "V_th": 1.0,
                "V_reset": neuron.v_reset,
                "C_m": 1e3 * neuron.tau,
                "tau_m": 1e3 * neuron.tau,
                "I_e": 0.0,
                "tau_syn_ex": 1e3 * neuron.tau_syn,
                "tau_syn_in": 1e3 * neuron.tau_syn,
                "t_ref": 1e3 * neuron.refractory_period,
            },
        )

    def source(raster):
        parrots = [
            {"spike_times": (np.flatnonzero(column) + 1) * dt, "precise_times": False, "allow_offgrid_times": True}
            for column in raster.T
        ]
        return nest.Create("spike_generator", raster.shape[1], parrots)

    def join(source, target, weights):
        nest.Connect(source, target, "all_to_all", {"synapse_model": "static_synapse", "weight": weights, "delay": dt})

    populations = {
        "image": source(image),
        "tonic": source(np.ones((steps, 1))),
        "hidden": cells(30, HIDDEN),
        "answer": cells(5, ANSWER),
    }
    jump = {
        "image": 1 / instance.network.population("image").neuron.max_rate,
        "tonic": 1e-3 * dt,
        "hidden": 1 / HIDDEN.unit_rate,
        "relay": 1 / HIDDEN.unit_rate,
    }
    for pathway in instance.network.pathways:
        if pathway.target in ("hidden", "answer"):
            sender = "hidden" if pathway.source == "relay" else pathway.source  # NEST's own delay
            tau_syn = instance.network.population(pathway.target).neuron.tau_syn
            join(
                populations[sender],
                populations[pathway.target],
                jump[pathway.source] / tau_syn * instance.state[f"{pathway.name}.w"],
            )
    recorders = {name: nest.Create("spike_recorder") for name in ("hidden", "answer")}
    for name, recorder in recorders.items():
        nest.Connect(populations[name], recorder)
    nest.Simulate((steps + 10) * dt)
    rasters = {}
    for name, recorder in recorders.items():
        rasters[name] = np.zeros((steps + 11, len(populations[name])), dtype=np.uint8)
        rasters[name][
            np.round(np.array(recorder.events["times"]) / dt).astype(int),
            np.array(recorder.events["senders"]) - populations[name][0].global_id,
        ] = 1
    return rasters


def compare(circuit, dt, backend="numpy"):
    """(spikes of ours, (step, neuron) entries that differ,
    NEST lagging one step more with each layer) for both layers."""
    instance, spikes = ours(circuit, dt, backend)
    found = theirs(instance, spikes["image"])
    lags = {"hidden": FIRST_LAG, "answer": FIRST_LAG + 1}
    return {
        name: (int(spikes[name].sum()), int((found[name][lag : lag + len(spikes[name])] != spikes[name]).sum()))
        for name, lag in lags.items()
    }


@pytest.mark.parametrize(("recurrent", "dt", "backend"), [
    (False, 1e-4, "numpy"), (True, 1e-4, "numpy"),
    pytest.param(True, 1e-3, "cpp", marks=[pytest.mark.compiled, pytest.mark.slow]),
], ids=["layer_pair", "recurrent", "recurrent_compiled_1_ms"])
def test_nest_spikes_in_the_same_steps(recurrent, dt, backend):
    for name, (spikes, mismatches) in compare(network(dt, recurrent), dt, backend).items():
        assert spikes > 300, name
        assert mismatches == 0, name


def test_a_recurrent_pathway_without_the_delay_is_another_network_than_nests():
    assert compare(network(1e-4, recurrent=True, relayed=False), 1e-4)["hidden"][1] > 100
