"""Every plasticity rule in spikes changes its weights as its paper's equation says of the recorded spikes
(`papers.py`), to 1e-9, before and after training.

No bound on averages can do this: with the right rule the mean change of spiking neurons differs from the rate network's
by a third to a half.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, wraps
from typing import Any

import numpy as np
import papers
import pytest
import systems
from tiers import first_of

from bioFA import Experiment, Protocol
from bioFA import rules as family
from bioFA.consumers.base import Consumer
from bioFA.consumers.reference import Reference
from bioFA.instance import draw
from bioFA.neurons import NeuronModel
from bioFA.neurons.adaptive_lif import AdaptiveLif
from bioFA.neurons.error_unit import ErrorUnit
from bioFA.neurons.leaky_rate import LeakyRate
from bioFA.neurons.lif import Lif
from bioFA.neurons.poisson_source import PoissonSource
from bioFA.neurons.pyramidal import Pyramidal
from bioFA.neurons.pyramidal_output import PyramidalOutput
from bioFA.neurons.spike_source import SpikeSource
from bioFA.neurons.spiking_error_unit import SpikingErrorUnit
from bioFA.neurons.spiking_neuron import SpikingNeuron
from bioFA.neurons.stochastic_sigmoid import StochasticSigmoid
from bioFA.neurons.two_compartment_lif import TwoCompartmentLif
from bioFA.neurons.van_rossum_error import VanRossumError
from bioFA.rules.delta_rule import DeltaRule
from bioFA.rules.event_driven_random_backpropagation import EventDrivenRandomBackpropagation
from bioFA.rules.local_error import LocalError
from bioFA.rules.superspike import Superspike
from bioFA.rules.weight_perturbation import WeightPerturbation as WeightPerturbationRule
from bioFA.runs.simulation import consumer
from bioFA.schemes import Layered
from bioFA.schemes.feedback_alignment import FeedbackAlignment
from bioFA.schemes.kolen_pollack import KolenPollack
from bioFA.schemes.weight_perturbation import WeightPerturbation
from bioFA.tasks.spike_patterns import SpikePatterns
from bioFA.weights import Constant, Normal

PROTOCOL = Protocol(dt="1 ms", presentation="40 ms", learning_onset="10 ms", reset=True, epochs=2)
TIMES = {"dt": 1e-3, "T": 30e-3, "onset": 10}
LAYERS = {"in": "input_to_hidden", "out": "hidden_to_output", "B": "mismatch_to_hidden"}
BIASES = {"bias_h": "bias_to_hidden", "bias_o": "bias_to_output"}
INPUT = PoissonSource(max_rate="300 Hz", tau_trace="12 ms")
LIF = {"tau": "20 ms", "tau_syn": "5 ms", "refractory_period": "3 ms", "unit_rate": "100 Hz"}


@dataclass(frozen=True, eq=False)
class Case:
    """A network, the rules that it puts to the test, and the paper's equations with the same parameters."""

    experiment: Experiment
    rules: tuple[str, ...]
    text: Callable[..., dict[str, np.ndarray]]
    parameters: dict[str, Any]
    weights: dict[str, str]


def lif_case(decaying: bool, error: NeuronModel = ErrorUnit()) -> Case:  # noqa: B008 - frozen
    rates = {
        "rule": LocalError(learning_rate=0.5, decay=0.02 * decaying),
        "readout_rule": DeltaRule(learning_rate=0.3, decay=0.01 * decaying),
    }
    circuit = Layered(
        sizes=(5, 6, 3),
        input=INPUT,
        hidden=Lif(**LIF, tau_trace="20 ms", proxy_slope=0.7),
        output=Lif(**LIF, tau_trace="30 ms"),
        biases=True,
        error=error,
        weights=(Normal(scale=2.0),),
        bias_weights=Constant(value=1.1),
        feedback=(Normal(),),
        scheme="kp" if decaying else "fa",
        schemes={"kp": KolenPollack(**rates)} if decaying else {"fa": FeedbackAlignment(**rates)},
    )
    parameters: dict[str, Any] = {
        **TIMES,
        "input": 300.0,
        "hidden": 100.0,
        "output": 100.0,
        "tau_in": 12e-3,
        "tau_h": 20e-3,
        "tau_o": 30e-3,
        "tau_syn": 5e-3,
        "height": 1.0,
        "slope": 0.7,
        "eta": 0.5,
        "eta_out": 0.3,
        "lambda": {},
    }
    if decaying:  # feedback weights take rate and decay of the forward weights that they stand for
        parameters |= {"eta_B": 0.3, "lambda": {"in": 0.02, "bias_h": 0.02, "out": 0.01, "bias_o": 0.01, "B": 0.01}}
    if isinstance(error, SpikingErrorUnit):
        parameters["rate_error"] = error.unit_rate
    experiment = Experiment(
        name=f"lif_{circuit.scheme}_{error.family_name}", circuit=circuit, task=systems.TASK, protocol=PROTOCOL
    )
    return Case(
        experiment,
        ("local_error", "delta_rule", *(["hebbian"] if decaying else [])),
        papers.feedback_alignment_lif,
        parameters,
        LAYERS | BIASES,
    )


def sigmoid_case() -> Case:
    circuit = Layered(
        sizes=(5, 6, 3),
        input=INPUT,
        hidden=StochasticSigmoid(tau="10 ms", tau_trace="15 ms", max_rate="200 Hz"),
        output=LeakyRate(tau="8 ms", decay="exact"),
        weights=(Normal(scale=2.0), Normal()),
        feedback=(Normal(),),
        schemes={
            "fa": FeedbackAlignment(rule=LocalError(learning_rate=0.5), readout_rule=DeltaRule(learning_rate=0.3))
        },
    )
    parameters = {
        **TIMES,
        "input": 300.0,
        "hidden": 200.0,
        "tau_in": 12e-3,
        "tau_h": 15e-3,
        "tau": 10e-3,
        "tau_y": 8e-3,
        "eta": 0.5,
        "eta_out": 0.3,
    }
    experiment = Experiment(name="sigmoid", circuit=circuit, task=systems.TASK, protocol=PROTOCOL)
    return Case(experiment, ("local_error", "delta_rule"), papers.feedback_alignment_sigmoid, parameters, LAYERS)


def superspike_case() -> Case:
    rule = Superspike(learning_rate=5.0, tau_mem="12 ms", tau_rise="4 ms", tau_decay="9 ms")
    lif = Lif(
        tau="12 ms", tau_syn="5 ms", tau_trace="5 ms", refractory_period="3 ms", surrogate="fast_sigmoid", steepness=5.0
    )
    circuit = Layered(
        sizes=(8, 6, 3),
        input=SpikeSource(tau_trace="5 ms"),
        hidden=lif,
        output=lif,
        target=SpikeSource(of="targets"),
        error=VanRossumError(tau_rise="4 ms", tau_decay="9 ms"),
        weights=(Normal(scale=2.0, mean=1.0),),
        feedback=(Normal(),),
        schemes={"fa": FeedbackAlignment(rule=rule, readout_rule=rule)},
    )
    task = SpikePatterns(
        n_in=8, n_out=3, patterns=6, target_spikes=2, input_rate="100 Hz", duration="40 ms", earliest="5 ms"
    )
    parameters = {
        **TIMES,
        "rate": 100.0,
        "tau": 12e-3,
        "tau_syn": 5e-3,
        "tau_rise": 4e-3,
        "tau_decay": 9e-3,
        "beta": 5.0,
        "refractory": 3e-3,
        "eta": 5.0,
    }
    experiment = Experiment(name="superspike", circuit=circuit, task=task, protocol=PROTOCOL.replace(epochs=6))
    return Case(experiment, ("superspike",), papers.superspike, parameters, LAYERS)


def e_prop_case() -> Case:
    cell = AdaptiveLif(
        tau="15 ms", tau_trace="25 ms", tau_adaptation="80 ms", beta=1.5, refractory_period="3 ms", height=3.0
    )
    parameters = {
        "dt": 1e-3,
        "T": 15e-3,
        "onset": 45,
        "rate": 100.0,
        "rate_in": 100.0,
        "tau": 15e-3,
        "tau_a": 80e-3,
        "tau_h": 25e-3,
        "tau_y": 25e-3,
        "beta": 1.5,
        "gamma": 3.0,
        "refractory": 3e-3,
        "eta": 0.3,
        "eta_out": 0.2,
    }
    weights = LAYERS | BIASES | {"rec": "hidden_to_hidden"}
    return Case(systems.accumulating("fa", cell), ("e_prop", "delta_rule"), papers.e_prop, parameters, weights)


def event_driven_case() -> Case:
    cell = TwoCompartmentLif(**LIF, tau_dendrite="18 ms", gate_low=-1.0, gate_high=3.0)
    rule = EventDrivenRandomBackpropagation(learning_rate=0.2)
    circuit = Layered(
        sizes=(5, 6, 3),
        input=INPUT,
        hidden=cell,
        output=cell,
        error=SpikingErrorUnit(unit_rate="150 Hz"),
        biases=True,
        weights=(Normal(scale=2.0),),
        bias_weights=Constant(value=0.9),
        feedback=(Normal(),),
        schemes={"fa": FeedbackAlignment(rule=rule, readout_rule=rule)},
    )
    parameters = {
        **TIMES,
        "rate_input": 300.0,
        "rate_hidden": 100.0,
        "rate_error": 150.0,
        "tau_syn": 5e-3,
        "tau_dendrite": 18e-3,
        "low": -1.0,
        "high": 3.0,
        "eta": 0.2,
    }
    experiment = Experiment(name="event_driven", circuit=circuit, task=systems.TASK, protocol=PROTOCOL)
    return Case(
        experiment,
        ("event_driven_random_backpropagation",),
        papers.event_driven_random_backpropagation,
        parameters,
        LAYERS | BIASES,
    )


def plateau_case() -> Case:
    whole = systems.two_phases()
    network = whole.network
    pathways = tuple(p.replace(density=1.0) for p in network.pathways)
    protocol = whole.protocol.replace(blank=0.0, reset=True, presentation="50 ms")
    parameters = {
        "dt": 1e-3,
        "T": 35e-3,
        "onset": 15,
        "rate_image": 300.0,
        "rate": 200.0,
        "tau_trace": 15e-3,
        "tau": 10e-3,
        "forward": 20e-3,
        "settling": 8e-3,
        "g": 6.0,
        "g_apical": 0.3,
        "g_teach": 6.0,
        "E": 4.0,
        "eta": 2.0,
    }
    weights = {"in": "image_to_hidden", "rec": "hidden_to_hidden", "out": "hidden_to_answer", "B": "answer_to_hidden"}
    experiment = whole.replace(circuit=network.replace(pathways=pathways), protocol=protocol)
    return Case(experiment, ("two_phase_plateau",), papers.two_phase_plateaus, parameters, weights)


def perturbation_case() -> Case:
    lif = Lif(**LIF, tau_trace="20 ms")
    scheme = WeightPerturbation(
        rule=WeightPerturbationRule(learning_rate=0.2), readout_rule=DeltaRule(learning_rate=0.3), sigma=1.0
    )
    circuit = Layered(
        sizes=(5, 6, 3),
        input=INPUT,
        hidden=lif,
        output=lif,
        weights=(Normal(scale=2.0, mean=1.5),),
        scheme="wp",
        schemes={"wp": scheme},
    )
    parameters = {**TIMES, "rate": 100.0, "tau_h": 20e-3, "tau_o": 20e-3, "sigma": 1.0, "eta": 0.2, "eta_out": 0.3}
    experiment = Experiment(name="perturbation", circuit=circuit, task=systems.TASK, protocol=PROTOCOL)
    weights = {"in": "input_to_hidden", "out": "hidden_to_output", "xi": "noise_input_to_hidden"}
    return Case(experiment, ("weight_perturbation", "delta_rule"), papers.weight_perturbation, parameters, weights)


CASES = [
    lif_case(False),
    lif_case(True),
    lif_case(False, SpikingErrorUnit(unit_rate="200 Hz")),
    sigmoid_case(),
    superspike_case(),
    e_prop_case(),
    event_driven_case(),
    plateau_case(),
    perturbation_case(),
]
PAIRS = [(case, rule) for case in CASES for rule in case.rules]
WITHOUT_SPIKES = {"node_perturbation", "equation"}
"""Node perturbation needs a neuron with a port `perturbation`, which no spiking one has;
`equation` is the user's text."""


@lru_cache
def trained(case: Case, presentations: int) -> dict[str, np.ndarray]:
    """The weights after some training by the reference, as it is in the repository."""
    instance = draw(case.experiment, 1)
    return dict(Reference(instance).segment(instance.state, instance.training(0, presentations), True).state)


def excess(case: Case, runner: Callable[..., Consumer], presentations: int) -> dict[str, float]:
    """How far the changes of the next presentations are from the paper's,
    as shares of the largest change of each pathway."""
    instance = draw(case.experiment, 1)
    before = trained(case, presentations) if presentations else instance.state
    running = runner(instance)
    wanted: dict[str, list[np.ndarray]] = {p.name: [] for p in case.experiment.network.plastic()}
    found: dict[str, list[np.ndarray]] = {p.name: [] for p in case.experiment.network.plastic()}
    counts: dict[str, int] = {}
    for k in range(presentations, presentations + 3):
        feed = instance.training(k, k + 1)
        segment = running.segment(before, feed, True, rasters=True)
        for name, raster in segment.rasters.items():
            counts[name] = counts.get(name, 0) + int(raster.sum())
        spikes = {name: raster[0].astype(float) for name, raster in segment.rasters.items()}
        target = next(p.name for p in case.experiment.network.populations if getattr(p.neuron, "of", None) == "targets")
        shown = np.asarray(feed.tables[target][feed.rows[target][0]])
        w = {name: before[f"{pathway}.w"] for name, pathway in case.weights.items() if f"{pathway}.w" in before}
        w |= {
            name: feed.tables[path][feed.rows[path][0]].reshape(w["in"].shape)
            for name, path in case.weights.items()
            if name not in w
        }
        expected = case.text(spikes, shown, w, case.parameters)
        for name, pathway in case.weights.items():
            if pathway in wanted:
                wanted[pathway].append(expected[name] - w[name])
                found[pathway].append(segment.state[f"{pathway}.w"] - w[name])
        before = segment.state
    assert min(counts.values()) > 0, counts
    largest = {pathway: np.abs(changes).max() for pathway, changes in wanted.items()}
    assert min(largest.values()) > 1e-4, largest
    return {
        pathway: float(np.abs(np.subtract(found[pathway], wanted[pathway])).max() / size)
        for pathway, size in largest.items()
    }


def test_every_rule_that_can_act_in_spikes_is_here():
    assert {rule for case in CASES for rule in case.rules} | WITHOUT_SPIKES == set(family.family.names())


@pytest.mark.parametrize("presentations", first_of(0, 30), ids=["initial", "trained"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.experiment.name)
def test_weights_change_as_the_paper_says_of_the_recorded_spikes(case, presentations):
    found = excess(case, Reference, presentations)
    assert max(found.values()) <= 1e-9, found


@pytest.mark.compiled
@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.experiment.name)
def test_the_compiled_program_changes_weights_as_the_paper_says(case):
    found = excess(case, lambda instance: consumer(instance, "cpp"), 30)
    assert max(found.values()) <= 1e-9, found


def multiplied(monkeypatch, rule: str, factor: float) -> None:
    """Let both readings of a rule change weights by a factor too much: the string that Brian2 compiles, and `step`."""
    kind = family.family.get(rule)
    step, equations = kind.step, kind.equations

    def wrong(self, synapses, pre, post, dt, T):
        new = step(self, synapses, pre, post, dt, T)
        return {**new, "w": synapses["w"] + factor * (new["w"] - synapses["w"])}

    head, _, rest = equations.strip().partition("\n")
    left, _, right = head.partition("=")
    text = f"{left}= {factor}*({right.rpartition(':')[0].strip()}) : 1"
    monkeypatch.setattr(kind, "step", wrong)
    monkeypatch.setattr(kind, "equations", f"{text}\n{rest}" if rest else text)


@pytest.mark.parametrize(
    ("case", "rule"), PAIRS, ids=lambda part: part if isinstance(part, str) else part.experiment.name
)
def test_a_tenth_too_much_in_both_readings_of_a_rule_is_seen(case, rule, monkeypatch):
    for presentations in (0, 30):
        trained(case, 30)
        with monkeypatch.context() as patch:
            multiplied(patch, rule, 1.1)
            found = excess(case, Reference, presentations)
        by = {p.name: p.plasticity.family_name for p in case.experiment.network.plastic()}
        assert min(share for pathway, share in found.items() if by[pathway] == rule) > 0.01, found


FAULTS = {
    "the slope of a sigmoid": (StochasticSigmoid, "gain", "sigmoid"),
    "the slope of a rate curve's proxy": (Lif, "gain", "lif_fa_error_unit"),
    "the pseudo-derivative of a spike": (Lif, "gain", "superspike"),
    "the pseudo-derivative of an adaptive neuron": (AdaptiveLif, "gain", "accumulating_fa"),
    "a gate": (TwoCompartmentLif, "gain", "event_driven"),
    "a dendrite": (TwoCompartmentLif, "dendrite", "event_driven"),
    "the slope of a pyramidal neuron": (Pyramidal, "gain", "two_phases"),
    "the change of plateaus": (Pyramidal, "change", "two_phases"),
    "the change of an output": (PyramidalOutput, "change", "two_phases"),
    "the error of spike trains": (VanRossumError, "r", "superspike"),
    "the error": (ErrorUnit, "r", "lif_fa_error_unit"),
    "the error of a pair of spiking neurons": (SpikingErrorUnit, "train", "lif_fa_spiking_error_unit"),
    "the low-passed train": (SpikingNeuron, "r", "lif_kp_error_unit"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_tenth_too_much_in_what_a_rule_reads_is_seen(fault, monkeypatch):
    model, variable, name = FAULTS[fault]
    case = next(case for case in CASES if case.experiment.name == name)
    trained(case, 30)
    right = getattr(model, variable)

    @wraps(right)
    def wrong(self, *arguments):
        return 1.1 * right(self, *arguments)

    monkeypatch.setattr(model, variable, wrong)
    for presentations in (0, 30):
        assert max(excess(case, Reference, presentations).values()) > 0.01


def test_a_rule_that_forgets_the_learning_time_is_seen(monkeypatch):
    case = CASES[0]
    trained(case, 30)
    right = LocalError.step
    monkeypatch.setattr(
        LocalError, "step", lambda self, synapses, pre, post, dt, T: right(self, synapses, pre, post, dt, 1.0)
    )
    assert excess(case, Reference, 0)["input_to_hidden"] > 0.5


@pytest.mark.compiled
@pytest.mark.slow
@pytest.mark.usefixtures("quick_builds")
@pytest.mark.parametrize(
    ("case", "rule"), PAIRS, ids=lambda part: part if isinstance(part, str) else part.experiment.name
)
def test_a_tenth_too_much_in_both_readings_is_seen_in_the_compiled_program(case, rule, monkeypatch):
    trained(case, 30)
    multiplied(monkeypatch, rule, 1.1)
    found = excess(case, lambda instance: consumer(instance, "cpp"), 30)
    assert max(found.values()) > 0.01


def test_a_perturbed_copy_without_noise_spikes_as_the_original():
    scheme = WeightPerturbation(sigma=1e-12)
    circuit = perturbation_case().experiment.circuit
    instance = draw(perturbation_case().experiment.replace(circuit=circuit.replace(schemes={"wp": scheme})), 1)
    rasters = Reference(instance).segment(instance.state, instance.training(0, 3), False, rasters=True).rasters
    for name in ("hidden", "output"):
        assert rasters[name].sum() > 10
        np.testing.assert_array_equal(rasters[name], rasters[f"{name}_perturbed"])
