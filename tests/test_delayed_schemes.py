"""Every learning scheme under delays, in rates and in spikes, and the digits in spikes: both readings agree, and a run
that is killed continues to the same bits."""

import time
from functools import partial

import pytest
import systems
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import bioFA
import trial.sandbox
from bioFA import Experiment, ModelError, Network, Protocol
from bioFA.consumers.reference import Reference
from bioFA.instance import draw
from bioFA.modelfiles import toml
from bioFA.network import Pathway
from bioFA.neurons.leaky_rate import LeakyRate
from bioFA.neurons.lif import Lif
from bioFA.neurons.poisson_source import PoissonSource
from bioFA.runs import checkpoint
from bioFA.runs.result import RESULT, load_result
from bioFA.schemes import family
from bioFA.schemes.layered import Layered
from bioFA.verification.backends import verify
from bioFA.weights import Normal
from trial.oracle import Attempt, Outcome
from trial.sandbox import processes_of, waited

NEURONS = {
    "rate": {"hidden": LeakyRate(tau="6 ms", activation="tanh"), "output": LeakyRate(tau="5 ms")},
    "spiking": {
        "input": PoissonSource(max_rate="300 Hz"),
        "hidden": Lif(tau="10 ms"),
        "output": Lif(tau="10 ms"),
    },
}
PROTOCOL = Protocol(dt="1 ms", presentation="24 ms", learning_onset="4 ms", epochs=2)
PRESENTATIONS = 5


def layered(scheme, neurons):
    """Two hidden layers under a scheme, with recurrence and biases."""
    circuit = Layered(
        sizes=(5, 6, 4, 3),
        weights=(Normal(scale=2.0, mean=1.0),),
        recurrent=Normal(scale=0.3),
        biases=True,
        scheme=scheme,
        **NEURONS[neurons],
    )
    return Experiment(name=f"{scheme}_{neurons}", circuit=circuit, task=systems.TASK, protocol=PROTOCOL)


def with_delays(experiment, delay_of):
    """The same experiment with a delay on every pathway, from its name; what passes one to one is passed on by listed
    synapses."""
    network, pathways = experiment.network, []
    for pathway in network.pathways:
        delay = delay_of(pathway.name)
        if pathway.weights.one_to_one:
            ends = {
                name: getattr(pathway, name) for name in ("name", "source", "target", "port", "carries", "stands_for")
            }
            weight = pathway.weights.parameters()["scale"]
            pathways.append(Pathway(**ends, connect="one_to_one", weights=weight, delay=delay))
        else:
            pathways.append(pathway.replace(delay=delay))
    return experiment.replace(circuit=Network(populations=network.populations, pathways=tuple(pathways)))


def drawn_delays(data, kind):
    """For a pathway's name a delay of a kind, of at most 9 steps: one for all synapses, or one for each."""

    def delay_of(name):
        low = data.draw(st.integers(1, 4), label=f"least delay of {name}")
        if kind == "one":
            return f"{low} ms"
        high = low + data.draw(st.integers(1, 5), label=f"spread of {name}")
        return {"name": "uniform", "low": f"{low} ms", "high": f"{high} ms"}

    return delay_of


def check(data, scheme, neurons, kind, presentations=PRESENTATIONS):
    experiment = with_delays(layered(scheme, neurons), drawn_delays(data, kind))
    outcome = verify(experiment, data.draw(st.integers(1, 10**6), label="seed"), presentations)
    assert outcome.agrees, str(outcome)


def drawn(examples):
    quiet = list(HealthCheck)
    return settings(max_examples=examples, deadline=None, suppress_health_check=quiet, phases=[Phase.generate])


def possible():
    """Every scheme with either kind of neuron, where there is such a network."""
    found = []
    for scheme in family.names():
        for neurons in NEURONS:
            try:
                with_delays(layered(scheme, neurons), lambda name: "2 ms")
            except ModelError:
                continue
            found.append((scheme, neurons))
    return found


POSSIBLE = possible()


def test_every_scheme_has_a_network_of_rates_with_delays():
    assert {scheme for scheme, neurons in POSSIBLE if neurons == "rate"} == set(family.names())


SHARED = [("fa", "rate"), ("dfa", "spiking")]


@pytest.mark.compiled
@pytest.mark.parametrize(("scheme", "neurons"), [SHARED[0], pytest.param(*SHARED[1], marks=pytest.mark.slow)])
def test_a_scheme_learns_the_same_in_both_readings_whatever_the_delays(scheme, neurons):
    """One program each, which all examples share."""

    @drawn(4)
    @given(data=st.data())
    def verified(data):
        check(data, scheme, neurons, "each", presentations=3)

    verified()


@pytest.mark.slow
@pytest.mark.compiled
@pytest.mark.parametrize(("scheme", "neurons"), SHARED)
def test_drawn_delays_agree_over_many_examples(scheme, neurons):
    @drawn(25)
    @given(data=st.data())
    def verified(data):
        check(data, scheme, neurons, "each")

    verified()


@pytest.mark.slow
@pytest.mark.compiled
@pytest.mark.usefixtures("quick_builds")
@pytest.mark.parametrize("kind", ["one", "each"])
@pytest.mark.parametrize(("scheme", "neurons"), POSSIBLE)
def test_every_scheme_learns_the_same_in_both_readings_whatever_the_delays(scheme, neurons, kind):
    @drawn(2)
    @given(data=st.data())
    def verified(data):
        check(data, scheme, neurons, kind)

    verified()


@pytest.mark.parametrize(("scheme", "neurons"), POSSIBLE)
def test_a_delayed_scheme_is_cut_anywhere_without_a_trace(scheme, neurons):
    delay = {"name": "uniform", "low": "1 ms", "high": "7 ms"}
    instance = draw(with_delays(layered(scheme, neurons), lambda name: delay), 3)
    reference = Reference(instance)
    whole = reference.segment(instance.state, instance.training(0, 4), True).state
    state = instance.state
    for start, stop in ((0, 1), (1, 3), (3, 4)):
        state = reference.segment(state, instance.training(start, stop), True).state
    assert all((state[name] == array).all() for name, array in whole.items())
    assert any((whole[f"{p.name}.w"] != instance.state[f"{p.name}.w"]).any() for p in instance.network.plastic())


def test_a_run_with_listed_feedback_is_diagnosed_as_any_other():
    """What passes the error one to one is listed, and so is no matrix of a rank."""
    experiment = with_delays(layered("fa", "rate"), lambda name: {"name": "uniform", "low": "1 ms", "high": "7 ms"})
    experiment = experiment.replace(protocol=PROTOCOL.replace(epochs=1, presentations=10))
    result = bioFA.simulate(experiment, 1, "numpy")
    assert result.experiment.network.pathway("mismatch_to_output").listed
    assert not any(finding.kind == "rank_deficient" for finding in result.findings)
    assert len(result.alignment) == 2


# digits


def digits(sizes, presentation, epochs=4):
    """The digits in spikes with delays of 1 to 20 ms on every pathway, one a synapse."""
    experiment = bioFA.load("digits_spiking")
    protocol = experiment.protocol.replace(
        presentation=presentation, learning_onset="10 ms", phases=[{"epochs": epochs}], snapshots=40, reset=False
    )
    experiment = experiment.replace(circuit=experiment.circuit.replace(sizes=sizes), protocol=protocol)
    return with_delays(experiment, lambda name: {"name": "uniform", "low": "1 ms", "high": "20 ms"})


@pytest.mark.slow
@pytest.mark.compiled
@pytest.mark.parametrize(
    ("sizes", "presentation", "count"),
    [((64, 20, 10), "40 ms", 5), ((64, 200, 10), "100 ms", 20)],
)
def test_digits_in_spikes_agree_with_delays_of_1_to_20_ms_on_every_pathway(sizes, presentation, count):
    experiment = digits(sizes, presentation)
    assert all(not pathway.delay.none for pathway in experiment.network.pathways)
    outcome = verify(experiment, 1, count)
    assert outcome.agrees, str(outcome)
    assert min(spikes for spikes, _ in outcome.spikes.values()) > 5


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.compiled
def test_digits_with_delays_continue_bit_for_bit_after_ten_kills(sandbox, monkeypatch, tmp_path):
    model = tmp_path / "late.toml"
    model.write_text(toml.kept(digits((64, 20, 10), "40 ms", epochs=1)), encoding="utf-8")
    monkeypatch.setitem(trial.sandbox.RUNS, "late", (str(model),))
    reference = sandbox.reference("late")
    undisturbed = load_result(reference.folder / RESULT)
    assert undisturbed.state["mismatch_to_hidden.under_way"].any()
    killed, tries = 0, iter(range(40))
    while killed < 10:
        next(tries)
        folder = sandbox.fresh()
        running = sandbox.run(folder, "late")
        assert waited(lambda: _kept(folder) or running.poll() is not None, 120)  # noqa: B023
        time.sleep(sandbox.random.uniform(0.0, reference.seconds / 2))
        running.kill()
        if checkpoint.is_unfinished(folder):  # else it was faster
            assert waited(partial(_gone, folder), 60)
            killed += 1
            assert sandbox.recovered(folder, name="late") == Attempt(Outcome.REFUSED, resumed=True)
        sandbox.tidy()


def _kept(folder):
    return list((folder / checkpoint.FOLDER).glob("stretch-*.h5"))


def _gone(folder):
    return not processes_of(folder)
