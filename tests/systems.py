"""Experiments that between them use every neuron model, activation, weight kind and port:
what both consumers must agree on."""

from typing import Any

import pytest

from bioFA import Experiment, Network, Pathway, Population, Protocol, Record
from bioFA.neurons import NeuronModel
from bioFA.neurons.adaptive_lif import AdaptiveLif
from bioFA.neurons.bernoulli_source import BernoulliSource
from bioFA.neurons.constant_source import ConstantSource
from bioFA.neurons.error_unit import ErrorUnit
from bioFA.neurons.latency_source import LatencySource
from bioFA.neurons.leaky_rate import LeakyRate
from bioFA.neurons.lif import Lif
from bioFA.neurons.poisson_source import PoissonSource
from bioFA.neurons.pyramidal import Pyramidal
from bioFA.neurons.pyramidal_output import PyramidalOutput
from bioFA.neurons.rate_source import RateSource
from bioFA.neurons.spike_source import SpikeSource
from bioFA.neurons.spiking_error_unit import SpikingErrorUnit
from bioFA.neurons.static_rate import StaticRate
from bioFA.neurons.stochastic_sigmoid import StochasticSigmoid
from bioFA.neurons.tonic_error_unit import TonicErrorUnit
from bioFA.neurons.two_compartment_lif import TwoCompartmentLif
from bioFA.neurons.van_rossum_error import VanRossumError
from bioFA.rules.delta_rule import DeltaRule
from bioFA.rules.e_prop import EProp
from bioFA.rules.event_driven_random_backpropagation import EventDrivenRandomBackpropagation
from bioFA.rules.local_error import LocalError
from bioFA.rules.superspike import Superspike
from bioFA.rules.two_phase_plateau import TwoPhasePlateau
from bioFA.schemes import Layered
from bioFA.schemes.backpropagation import Backpropagation
from bioFA.schemes.feedback_alignment import FeedbackAlignment
from bioFA.schemes.kolen_pollack import KolenPollack
from bioFA.schemes.node_perturbation import NodePerturbation
from bioFA.tasks.evidence import Evidence
from bioFA.tasks.linear_teacher import LinearTeacher
from bioFA.tasks.spike_patterns import SpikePatterns
from bioFA.weights import Constant, Identity, LowRank, Normal, Orthogonal, SharedWith, Uniform

RATES = {"rule": LocalError(learning_rate=0.02), "readout_rule": DeltaRule(learning_rate=0.03)}
TASK = LinearTeacher(n_in=5, n_out=3, examples=40, test_examples=7)


def deep(activation: str, scheme: str) -> Experiment:
    """Two hidden layers with biases; the output has the activation too, and the error unit carries its gain."""
    circuit = Layered(
        sizes=(5, 6, 4, 3),
        hidden=StaticRate(activation=activation),
        output=StaticRate(activation=activation),
        error=ErrorUnit(carries_gain=True),
        biases=True,
        weights=(Normal(scale=0.5), Orthogonal(), Uniform()),
        bias_weights=Normal(scale=0.1),
        feedback=(LowRank(rank=2), Normal()),
        scheme=scheme,
        schemes={"fa": FeedbackAlignment(**RATES), "bp": Backpropagation(**RATES)},
    )
    return Experiment(
        name=f"deep_{activation}_{scheme}",
        circuit=circuit,
        task=TASK,
        record=Record(variables=("hidden1.delta", "mismatch.loss"), every=3),
    )


def held(scheme: str) -> Experiment:
    """A static network that is shown each example for five steps, and learns in the last three."""
    circuit = Layered(
        sizes=(5, 4, 3), hidden=StaticRate(activation="tanh"), weights=(Normal(scale=0.3),), scheme=scheme,
        schemes={"np": NodePerturbation(readout_rule=DeltaRule(learning_rate=0.03), sigma=0.1)},
    )
    return Experiment(
        name=f"held_{scheme}",
        circuit=circuit,
        task=TASK,
        protocol=Protocol(dt=1e-3, presentation=5e-3, learning_onset=2e-3),
    )


def mixed_tissue() -> Experiment:
    """Leaky and static units in one loop, recurrence, two pathways and a partner on one port, both decay rules,
    a broadcast error."""
    populations = (
        Population("image", size=5, neuron=RateSource(of="inputs")),
        Population("wanted", size=3, neuron=RateSource(of="targets")),
        Population("hidden", size=6, neuron=LeakyRate(tau="8 ms", activation="tanh", decay="exact")),
        Population("gate", size=6, neuron=StaticRate(activation="logistic")),
        Population("answer", size=3, neuron=LeakyRate(tau="5 ms", decay="euler")),
        Population("mismatch", size=3, neuron=ErrorUnit()),
    )
    pathways = (
        Pathway(
            "image_to_hidden",
            source="image",
            target="hidden",
            weights=Normal(scale=0.4),
            plasticity=LocalError(learning_rate=0.05),
        ),
        Pathway(
            "hidden_to_hidden",
            source="hidden",
            target="hidden",
            weights=Normal(scale=0.2),
            plasticity=LocalError(learning_rate=0.02),
        ),
        Pathway("gate_to_hidden", source="gate", target="hidden", weights=Identity(scale=0.5)),
        Pathway("hidden_to_gate", source="hidden", target="gate", weights=Normal(scale=0.5)),
        Pathway(
            "gate_to_answer",
            source="gate",
            target="answer",
            weights=Normal(scale=0.4),
            plasticity=DeltaRule(learning_rate=0.05),
        ),
        Pathway(
            "hidden_to_answer",
            source="hidden",
            target="answer",
            weights=Constant(value=0.1),
            plasticity=DeltaRule(learning_rate=0.05),
        ),
        Pathway("wanted_to_mismatch", source="wanted", target="mismatch", port="target", weights=Identity()),
        Pathway("answer_to_mismatch", source="answer", target="mismatch", port="prediction", weights=Identity()),
        Pathway("mismatch_to_answer", source="mismatch", target="answer", port="error", weights=Identity()),
        Pathway("mismatch_to_hidden", source="mismatch", target="hidden", port="error", weights=Normal()),
        Pathway(
            "mismatch_to_hidden_too",
            source="mismatch",
            target="hidden",
            port="error",
            weights=SharedWith(pathway="gate_to_answer", transposed=True),
        ),
    )
    return Experiment(
        name="mixed_tissue",
        circuit=Network(populations=populations, pathways=pathways),
        task=TASK,
        protocol=Protocol(dt="1 ms", presentation="12 ms", learning_onset="3 ms", epochs=2),
        record=Record(variables=("hidden.gain", "gate.r")),
    )


def constrained() -> Experiment:
    """Sparse pathways, and pathways whose weights keep their sign; the excitatory one meets its bound."""
    circuit = Layered(
        sizes=(5, 6, 3), hidden=StaticRate(activation="rectified"), schemes={"fa": FeedbackAlignment(**RATES)}
    )
    network = circuit.network()
    change = {
        "input_to_hidden": {"weights": Normal(scale=0.5), "sign": "excitatory", "density": 0.6},
        "hidden_to_output": {"weights": Normal(scale=0.5), "sign": "inhibitory"},
        "mismatch_to_hidden": {"weights": Normal(), "density": 0.5, "sign": "excitatory"},
    }
    pathways = tuple(p.replace(**change.get(p.name, {})) for p in network.pathways)
    return Experiment(
        name="constrained", circuit=network.replace(pathways=pathways), task=TASK, protocol=Protocol(epochs=3)
    )


ALL = [
    constrained(),
    deep("tanh", "fa"),
    deep("logistic", "bp"),
    deep("rectified", "fa"),
    deep("linear", "bp"),
    held("np"),
    mixed_tissue(),
]


def spiking_tissue(decay: str = "exact", reset: str = "to_value", test: str = "above") -> Experiment:
    """Spiking and rate populations in one loop: every spiking model, recurrence, events and traces,
    transposed sharing, a blank."""
    lif = Lif(decay=decay, reset=reset, test=test, refractory_period="3 ms")
    populations = (
        Population("image", size=5, neuron=PoissonSource(max_rate="200 Hz")),
        Population("negative", size=5, neuron=PoissonSource(max_rate="200 Hz", polarity="off")),
        Population("coin", size=5, neuron=BernoulliSource()),
        Population("wanted", size=3, neuron=RateSource(of="targets")),
        Population("tonic", size=1, neuron=ConstantSource()),
        Population("hidden", size=6, neuron=lif),
        Population("chancy", size=4, neuron=StochasticSigmoid(decay=decay)),
        Population("smooth", size=4, neuron=LeakyRate(activation="tanh")),
        Population("answer", size=3, neuron=lif),
        Population("mismatch", size=3, neuron=ErrorUnit()),
    )
    pathways = (
        Pathway(
            "image_to_hidden",
            source="image",
            target="hidden",
            carries="train",
            weights=Normal(scale=2.0),
            plasticity=LocalError(learning_rate=0.05),
        ),
        Pathway(
            "negative_to_hidden", source="negative", target="hidden", carries="train", weights=Normal(), density=0.7
        ),
        Pathway(
            "coin_to_chancy",
            source="coin",
            target="chancy",
            carries="train",
            weights=Normal(),
            plasticity=LocalError(learning_rate=0.05, decay=0.02),
        ),
        Pathway("hidden_to_hidden", source="hidden", target="hidden", carries="s", weights=Normal(scale=3.0)),
        Pathway(
            "tonic_to_hidden",
            source="tonic",
            target="hidden",
            weights=Constant(value=1.3),
            plasticity=LocalError(learning_rate=0.02),
        ),
        Pathway("tonic_to_answer", source="tonic", target="answer", weights=Constant(value=1.1)),
        Pathway("hidden_to_smooth", source="hidden", target="smooth", carries="train", weights=Normal()),
        Pathway(
            "smooth_to_answer",
            source="smooth",
            target="answer",
            weights=Normal(),
            plasticity=DeltaRule(learning_rate=0.05),
        ),
        Pathway(
            "hidden_to_answer",
            source="hidden",
            target="answer",
            carries="train",
            weights=Normal(scale=0.5),
            plasticity=DeltaRule(learning_rate=0.05),
        ),
        Pathway(
            "chancy_to_answer",
            source="chancy",
            target="answer",
            carries="train",
            weights=Normal(scale=0.5),
            plasticity=DeltaRule(learning_rate=0.05),
        ),
        Pathway("wanted_to_mismatch", source="wanted", target="mismatch", port="target", weights=Identity()),
        Pathway("answer_to_mismatch", source="answer", target="mismatch", port="prediction", weights=Identity()),
        Pathway("mismatch_to_answer", source="mismatch", target="answer", port="error", weights=Identity()),
        Pathway(
            "mismatch_to_hidden",
            source="mismatch",
            target="hidden",
            port="error",
            weights=SharedWith(pathway="hidden_to_answer", transposed=True),
        ),
        Pathway("mismatch_to_chancy", source="mismatch", target="chancy", port="error", weights=Normal()),
    )
    return Experiment(
        name=f"spiking_{decay}_{reset}_{test}",
        circuit=Network(populations=populations, pathways=pathways),
        task=TASK,
        protocol=Protocol(
            dt="1 ms", presentation="40 ms", learning_onset="5 ms", blank="10 ms", reset=reset == "subtract", epochs=2
        ),
        record=Record(variables=("hidden.gain", "chancy.rate")),
    )


SPIKING = [spiking_tissue(), spiking_tissue("euler", "subtract", "reach")]
ALL += SPIKING


def traced_tissue(frozen: bool) -> Experiment:
    """Synapses with traces: sparse, recurrent, excitatory, of events and of rates, under a blank and an onset;
    stimuli that change in time.

    `frozen`: spikes as data, one row a step, and neurons and traces that begin anew with each presentation; else
    rates in bins of four steps, and everything goes on.
    """
    rule = Superspike(learning_rate=2.0, tau_mem="10 ms", tau_rise="4 ms" if frozen else "5 ms")
    lif = Lif(tau="10 ms", tau_trace="5 ms", surrogate="fast_sigmoid", steepness=5.0)
    train = {"carries": "train"}
    populations = (
        Population(
            "image",
            size=5,
            neuron=SpikeSource(tau_trace="5 ms") if frozen else PoissonSource(max_rate="300 Hz", tau_trace="5 ms"),
        ),
        Population("wanted", size=3, neuron=SpikeSource(of="targets") if frozen else RateSource(of="targets")),
        Population("hidden", size=6, neuron=lif),
        Population("answer", size=3, neuron=lif),
        Population("mismatch", size=3, neuron=VanRossumError(tau_rise="4 ms") if frozen else ErrorUnit()),
    )
    pathways = (
        Pathway(
            "image_to_hidden",
            source="image",
            target="hidden",
            weights=Normal(scale=3.0, mean=1.0),
            plasticity=rule,
            density=0.7,
            **train,
        ),
        Pathway(
            "image_too",
            source="image",
            target="hidden",
            carries="r",
            weights=Normal(),
            plasticity=rule,
            density=0.6,
            sign="excitatory",
        ),
        Pathway("hidden_to_hidden", source="hidden", target="hidden", weights=Normal(), plasticity=rule, **train),
        Pathway(
            "hidden_to_answer",
            source="hidden",
            target="answer",
            weights=Normal(scale=2.0, mean=1.0),
            plasticity=rule,
            **train,
        ),
        Pathway(
            "wanted_to_mismatch",
            source="wanted",
            target="mismatch",
            port="target",
            carries="train" if frozen else "r",
            weights=Identity(),
        ),
        Pathway(
            "answer_to_mismatch",
            source="answer",
            target="mismatch",
            port="prediction",
            carries="train" if frozen else "r",
            weights=Identity(),
        ),
        Pathway("mismatch_to_answer", source="mismatch", target="answer", port="error", weights=Identity()),
        Pathway(
            "mismatch_to_hidden",
            source="mismatch",
            target="hidden",
            port="error",
            weights=SharedWith(pathway="hidden_to_answer", transposed=True),
        ),
    )
    task = SpikePatterns(
        n_in=5,
        n_out=3,
        patterns=6,
        target_spikes=2,
        input_rate="100 Hz",
        duration="40 ms",
        earliest="5 ms",
        bin="1 ms" if frozen else "4 ms",
    )
    return Experiment(
        name=f"traced_{'frozen' if frozen else 'binned'}",
        circuit=Network(populations=populations, pathways=pathways),
        task=task,
        protocol=Protocol(
            dt="1 ms", presentation="40 ms", learning_onset="5 ms", blank="6 ms", reset=frozen, epochs=10
        ),
        record=Record(variables=("hidden.gain",)),
    )


TRACED = [traced_tissue(True), traced_tissue(False)]
ALL += TRACED


def event_driven(error: NeuronModel | None = None, decay: str = "exact") -> Experiment:
    """eRBP: two hidden layers with dendrites, errors as spikes of two populations or about a baseline,
    a rule that acts on presynaptic spikes."""
    cell = TwoCompartmentLif(decay=decay, refractory_period="3 ms", proxy_slope=0.7)
    rule = EventDrivenRandomBackpropagation(learning_rate=0.05)
    circuit = Layered(
        sizes=(5, 6, 4, 3),
        input=PoissonSource(max_rate="200 Hz"),
        hidden=cell,
        output=cell,
        error=error or SpikingErrorUnit(unit_rate="150 Hz"),
        biases=True,
        weights=(Normal(scale=2.0),),
        bias_weights=Constant(value=0.9),
        feedback=(Normal(scale=0.5),),
        feedback_density=0.8,
        schemes={"fa": FeedbackAlignment(rule=rule, readout_rule=rule)},
    )
    unit = circuit.error.family_name
    return Experiment(
        name=f"event_driven_{unit}_{decay}",
        circuit=circuit,
        task=TASK,
        record=Record(variables=("hidden1.dendrite", "hidden2.gain")),
        protocol=Protocol(dt="1 ms", presentation="40 ms", learning_onset="5 ms", blank="10 ms", epochs=2),
    )


def two_phases() -> Experiment:
    """Pyramidal neurons, recurrent and in a blank, with the target shown in the second phase only;
    weights change before that phase has begun, too."""
    phases = {"forward": "20 ms", "settling": "8 ms", "tau_trace": "15 ms"}
    rule = TwoPhasePlateau(learning_rate=2.0)
    populations = (
        Population("image", size=5, neuron=PoissonSource(max_rate="300 Hz", tau_trace="15 ms")),
        Population("wanted", size=3, neuron=RateSource(of="targets")),
        Population("hidden", size=6, neuron=Pyramidal(**phases, g_apical=0.3)),
        Population("answer", size=3, neuron=PyramidalOutput(**phases)),
        Population("mismatch", size=3, neuron=ErrorUnit()),
    )
    pathways = (
        Pathway("image_to_hidden", source="image", target="hidden", weights=Normal(scale=2.0), plasticity=rule),
        Pathway(
            "hidden_to_hidden",
            source="hidden",
            target="hidden",
            carries="train",
            weights=Normal(scale=0.3),
            density=0.7,
            plasticity=rule,
        ),
        Pathway("hidden_to_answer", source="hidden", target="answer", weights=Normal(), plasticity=rule),
        Pathway("answer_to_hidden", source="answer", target="hidden", port="error", weights=Normal(scale=2.0)),
        Pathway("wanted_to_answer", source="wanted", target="answer", port="target", weights=Identity()),
        Pathway("wanted_to_mismatch", source="wanted", target="mismatch", port="target", weights=Identity()),
        Pathway(
            "answer_to_mismatch",
            source="answer",
            target="mismatch",
            port="prediction",
            carries="answer",
            weights=Identity(),
        ),
    )
    return Experiment(
        name="two_phases",
        circuit=Network(populations=populations, pathways=pathways),
        task=TASK,
        protocol=Protocol(dt="1 ms", presentation="44 ms", learning_onset="15 ms", blank="6 ms", epochs=2),
        record=Record(variables=("hidden.change",)),
    )


SPIKING += [event_driven(), event_driven(TonicErrorUnit(decay="euler"), "euler")]
SPIKING += [two_phases()]
ALL += SPIKING[2:]


def accumulating(scheme: str = "fa", cell: AdaptiveLif | None = None, **protocol: Any) -> Experiment:
    """E-prop: a recurrent layer of adaptive neurons that must remember cues, and learns only at the end of each trial;
    feedback that learns too under `kp`."""
    rule = EProp(learning_rate=0.3, tau_mem="15 ms", tau_readout="25 ms", tau_adaptation="80 ms", beta=1.5)
    cell = cell or AdaptiveLif(
        tau="15 ms", tau_trace="25 ms", tau_adaptation="80 ms", beta=1.5, refractory_period="3 ms"
    )
    rules: dict[str, Any] = {
        "rule": rule,
        "readout_rule": DeltaRule(learning_rate=0.2, decay=0.01 if scheme == "kp" else 0.0),
    }
    circuit = Layered(
        sizes=(8, 6, 2),
        input=SpikeSource(),
        hidden=cell,
        output=LeakyRate(tau="25 ms", decay="exact"),
        biases=True,
        bias_weights=Constant(value=0.3),
        weights=(Normal(scale=1.5, mean=0.5), Normal()),
        recurrent=Normal(scale=0.7),
        feedback=(Normal(),),
        scheme=scheme,
        schemes={"fa": FeedbackAlignment(**rules), "bp": Backpropagation(**rules), "kp": KolenPollack(**rules)},
    )
    task = Evidence(
        cues=3,
        group=2,
        cue="10 ms",
        gap="4 ms",
        delay="8 ms",
        recall="10 ms",
        rate="300 Hz",
        background_rate="100 Hz",
        examples=20,
        test_examples=5,
    )
    return Experiment(
        name=f"accumulating_{scheme}",
        circuit=circuit,
        task=task,
        record=Record(variables=("hidden.gain", "hidden.threshold")),
        protocol=Protocol(**(
            {"dt": "1 ms", "presentation": "60 ms", "learning_onset": "45 ms", "reset": True, "epochs": 4} | protocol
        )),
    )


ALL += [accumulating("fa"), accumulating("kp", blank="5 ms", reset=False)]


def latency(period: float) -> Experiment:
    """Spikes whose times say how strong an input is, once a presentation or in every period;
    in the blank there are none."""
    source = LatencySource(latest="15 ms", period=period, tau_trace="10 ms")
    lif = Lif(tau="10 ms")
    circuit = Layered(
        sizes=(5, 6, 3),
        input=source,
        hidden=lif,
        output=lif,
        weights=(Normal(scale=3.0, mean=1.0),),
        schemes={"fa": FeedbackAlignment(**RATES)},
    )
    return Experiment(
        name=f"latency_{'periodic' if period else 'once'}",
        circuit=circuit,
        task=TASK,
        record=Record(variables=("input.r",)),
        protocol=Protocol(dt="1 ms", presentation="40 ms", blank="6 ms", learning_onset="5 ms", reset=True, epochs=2),
    )


SPIKING += [latency(0.0), latency(18e-3)]
ALL += SPIKING[-2:]

SIMILAR = {
    *("deep_logistic_bp", "deep_rectified_fa", "deep_linear_bp"),
    *("spiking_euler_subtract_reach", "traced_binned", "event_driven_tonic_error_unit_euler"),
    *("accumulating_kp", "latency_periodic"),
}
"""Each of a kind with another system before it: for the slow tier."""
EACH = [
    pytest.param(system, id=system.name, marks=[pytest.mark.slow] * (system.name in SIMILAR)) for system in ALL
]
"""All of them as parameters of a test."""
