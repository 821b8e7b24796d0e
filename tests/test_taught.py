"""Learning schemes on a network of one's own, along the chain that `layers` names, and layers with neurons, recurrence
and interneurons of their own."""

from pathlib import Path

import numpy as np
import pytest

import bioFA
from bioFA import Experiment, Layered, Network, Pathway, Population, TaughtNetwork, audit, errors, schemes
from bioFA.comparisons import tuning
from bioFA.consumers.reference import Reference
from bioFA.instance import draw
from bioFA.modelfiles import toml
from bioFA.neurons.equations import Equations
from bioFA.neurons.error_unit import ErrorUnit
from bioFA.neurons.leaky_rate import LeakyRate
from bioFA.neurons.lif_exp import LifExp
from bioFA.neurons.rate_source import RateSource
from bioFA.neurons.static_rate import StaticRate
from bioFA.rules.local_error import LocalError
from bioFA.show.model_card import card
from bioFA.tasks.linear_teacher import LinearTeacher
from bioFA.weights import Normal, Uniform

FILE = Path(__file__).resolve().parent.parent / "examples" / "learning" / "two_pools.toml"
SHORT = {"protocol.presentations": 30, "task.examples": 30, "task.test_examples": 5, "task.validation_examples": 5}
SCHEMES = schemes.family.names()
LAYERS = ("input", "hidden1", "hidden2", "output")
BESIDE = ("upper_loop", "input_to_pv", "hidden_to_pv", "pv_to_hidden", "upper_to_som", "som_to_upper")


def two_pools(scheme="fa", **changes):
    return bioFA.load(FILE, {**SHORT, **changes}).with_scheme(scheme)


def chain(hidden=None, output=None, more=(), populations=(), layers=("input", "hidden", "output"), **fields):
    """An input, a hidden layer and an output, and what is to stand beside them."""
    hidden = hidden if hidden is not None else LeakyRate()
    return TaughtNetwork(
        populations=(
            Population("input", size=3, neuron=RateSource()),
            Population("hidden", size=4, neuron=hidden),
            Population("output", size=2, neuron=output if output is not None else LeakyRate()),
            *populations,
        ),
        pathways=(
            Pathway("input_to_hidden", source="input", target="hidden", weights=Normal()),
            Pathway("hidden_to_output", source="hidden", target="output", weights=Normal()),
            *more,
        ),
        layers=layers,
        **fields,
    )


def joins(source, target, **fields):
    return Pathway(f"{source}_to_{target}", source=source, target=target, **({"weights": Normal()} | fields))


POOL = Population("pv", size=2, neuron=LeakyRate(activation="rectified"))
INHIBITION = (joins("hidden", "pv"), joins("pv", "hidden", weights=Uniform(low=0.0, high=1.0), sign="inhibitory"))


# a described network


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("size", [(3, 4, 2), (3, 5, 4, 2)])
def test_a_described_chain_is_laid_out_as_the_layered_circuit_is(scheme, size):
    layered = Layered(sizes=size, hidden=StaticRate(activation="tanh"), scheme=scheme)
    names = layered.layer_names()
    whole = layered.network()
    taught = TaughtNetwork(
        populations=[p for p in whole.populations if p.name in names],
        pathways=[p.replace(plasticity=None, partner=None) for p in layered.laid().layers.forward],
        layers=names,
        scheme=scheme,
    ).network()
    for kind in ("populations", "pathways"):
        ours, theirs = ({part.name: part for part in getattr(net, kind)} for net in (taught, whole))
        assert ours == theirs


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_scheme_changes_nothing_beside_the_chain_and_all_begin_alike(scheme):
    experiment, own = two_pools(scheme), two_pools()
    described = {part.name: part for part in (*own.circuit.populations, *own.circuit.pathways)}
    laid = {part.name: part for part in (*experiment.network.populations, *experiment.network.pathways)}
    learning = {"input_to_hidden", "hidden_to_upper", "upper_to_output", "bias_to_hidden", "loop"}
    assert {name for name in described if laid[name] != described[name]} <= learning
    assert {name: laid[name] for name in BESIDE} == {name: described[name] for name in BESIDE}
    plastic = {p.name for p in experiment.network.plastic() if p.name in described}
    assert plastic == ({"upper_to_output"} if scheme == "shallow" else learning) | {"upper_to_som"}
    weights, theirs = draw(experiment, 3).state, draw(own, 3).state
    for name in (*BESIDE, *learning):
        np.testing.assert_array_equal(weights[f"{name}.w"], theirs[f"{name}.w"])
    assert bioFA.loads(bioFA.dumps(experiment)) == experiment
    assert experiment.scheme == scheme


def test_a_hidden_layer_hears_the_errors_of_its_scheme_and_keeps_the_rules_of_the_own_scheme():
    sources = {
        scheme: [p.source for p in two_pools(scheme).network.arriving("hidden", "error")]
        for scheme in ("fa", "dfa", "bp", "kp", "shallow")
    }
    assert sources == {"fa": ["upper"], "dfa": ["mismatch"], "bp": ["upper"], "kp": ["upper"], "shallow": []}
    assert two_pools("dfa").network.pathway("input_to_hidden").plasticity == LocalError(learning_rate=0.1)
    kept = bioFA.load(FILE, {**SHORT, "circuit.scheme": "dfa"})
    assert kept == two_pools("dfa")
    assert kept.circuit.own_scheme == "fa"


def test_the_names_that_stand_for_neurons_reach_layers_and_their_interneurons(tmp_path):
    text = """
name = "named"
task = { name = "linear_teacher", n_in = 3, n_out = 2 }
protocol = { dt = "1 ms", presentation = "5 ms" }
neurons.cell = { name = "leaky_rate", tau = "7 ms" }
neurons.fast = { name = "cell", tau = "2 ms" }
[circuit]
name = "layered"
layers = [
    { size = 3 },
    { size = 4, neuron = "cell", interneurons = [{ name = "pv", size = 2, neuron = "fast" }] },
    { size = 2, neuron = { name = "cell", activation = "tanh" } },
]
"""
    path = tmp_path / "named.toml"
    path.write_text(text)
    network = bioFA.load(path).network
    assert network.population("hidden").neuron == LeakyRate(tau=7e-3)
    assert network.population("pv").neuron == LeakyRate(tau=2e-3)
    assert network.population("output").neuron == LeakyRate(tau=7e-3, activation="tanh")


@pytest.mark.compiled
@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["np", "fa", "bp", "dfa", "kp", "shallow", "wp", "wm", "frsf"])
def test_both_programs_agree_on_a_network_with_two_pools_and_loops(scheme):
    found = bioFA.verify(two_pools(scheme), seed=1, presentations=20)
    assert found.agrees, str(found)
    assert found.max_relative_difference <= 1e-10


@pytest.mark.compiled
@pytest.mark.slow
def test_a_network_of_ones_own_is_compared_under_schemes_from_equal_starts(tmp_path):
    comparison = bioFA.run_comparison(
        str(FILE), schemes=("fa", "bp", "dfa", "kp", "shallow"), seeds=2, folder=tmp_path / "schemes",
        changes=tuple(f"{key}={value}" for key, value in SHORT.items()),
    )  # fmt: skip
    assert set(comparison.table["scheme"]) == {"fa", "bp", "dfa", "kp", "shallow"}
    assert (comparison.table["status"] == "finished").all()
    angles = comparison.table.set_index("scheme")["alignment.upper_to_hidden"]
    assert angles[["fa", "bp", "kp"]].notna().all()
    assert angles[["dfa", "shallow"]].isna().all()


def test_the_perturbed_copy_has_the_pools_and_loops_of_the_circuit():
    """Without noise both circuits answer alike, so that the reward is 0; the loss is not."""
    experiment = two_pools("np", **{"circuit.schemes.np.sigma": 1e-9})
    copied = {p.name for p in experiment.network.populations if p.name.endswith("_perturbed")}
    assert copied == {f"{name}_perturbed" for name in ("hidden", "upper", "output", "pv", "som", "mismatch")}
    watched = experiment.replace(record=experiment.record.replace(variables=("reward.r", "mismatch.loss")))
    instance = draw(watched, 1)
    arrays = Reference(instance).segment(instance.state, instance.training(0, 10), True, every=1).recording.arrays
    assert np.abs(arrays["reward.r"]).max() < 1e-6
    assert np.abs(arrays["mismatch.loss"]).max() > 0.1


@pytest.mark.parametrize("hidden", [StaticRate(activation="tanh"), LeakyRate()])
def test_bp_is_local_only_where_activity_goes_another_way_than_the_chain(hidden):
    def said(scheme="bp", **fields):
        return " ".join(chain(hidden, scheme=scheme, **fields).caveats())

    assert said() == ""
    skip = {"more": (joins("input", "output"),)}
    assert said(**skip) == ""
    leaky = {"hidden": LeakyRate(), "scheme": "bp"}
    assert "hidden -> pv -> hidden" in " ".join(chain(more=INHIBITION, populations=(POOL,), **leaky).caveats())
    past = {"more": (joins("hidden", "pv"), joins("pv", "output")), "populations": (POOL,)}
    assert "'bp' is local here, not the gradient: activity also goes the way hidden -> pv -> output" in said(**past)
    assert said("fa", **past) == said("shallow", **past) == ""
    loop = {"more": (joins("hidden", "hidden"),), "learns": ("hidden_to_hidden",)}
    assert "hidden -> hidden" in " ".join(chain(**loop, **leaky).caveats())
    assert "output -> output" in " ".join(
        chain(output=LeakyRate(), more=(joins("output", "output"),), **leaky).caveats()
    )


def test_audits_cards_and_layered_circuits_say_that_bp_along_a_loop_is_local():
    experiment = two_pools("bp")
    words = "'bp' is local here, not the gradient: activity also goes the way hidden -> hidden"
    assert words in str(audit(experiment))
    assert words in audit(experiment).summary()["notes"][0]
    assert ("Note", experiment.circuit.caveats()[0]) in card(experiment)[0].rows
    assert audit(two_pools("fa")).notes == ()
    layered = Layered(sizes=(3, 4, 2), hidden=LeakyRate(), output=LeakyRate(), recurrent=Normal(), scheme="bp")
    assert words in layered.caveats()[0]
    assert layered.with_scheme("fa").caveats() == ()


def test_an_error_unit_that_is_described_is_the_schemes():
    more = (
        joins("teacher", "wrong", port="target", weights="identity"),
        joins("output", "wrong", port="prediction", weights="identity"),
    )
    own = (
        Population("teacher", size=2, neuron=RateSource(of="targets")),
        Population("wrong", size=2, neuron=ErrorUnit()),
    )
    network = chain(StaticRate(), StaticRate(), more=more, populations=own).network()
    added = {p.name: (p.source, p.target, p.port) for p in network.pathways[4:]}
    assert added == {
        "wrong_to_output": ("wrong", "output", "error"),
        "wrong_to_hidden": ("wrong", "hidden", "error"),
        "wrong_to_hidden_probe": ("wrong", "hidden", "probe"),
    }
    assert len(network.populations) == 5
    wired = (*more, joins("wrong", "output", port="error", weights="identity"))
    assert len(chain(StaticRate(), StaticRate(), more=wired, populations=own).network().pathways) == 7
    perturbed = chain(StaticRate(), StaticRate(), more=wired, populations=own, scheme="np").network()
    assert [p.source for p in perturbed.arriving("wrong_perturbed", "target")] == ["teacher"]


def test_a_layer_of_text_neurons_learns_and_without_a_probe_no_angle_is_measured():
    model = "r = tanh(drive) : 1\ngain = 1 - r**2 : 1\ndelta = error*gain : 1"
    text = Equations(model=model, ports={"drive": "1", "error": "1"})
    taught = chain(text, StaticRate())
    assert taught.caveats() == ("no angle is measured at hidden, whose neurons have no port 'probe'",)
    assert taught.with_scheme("shallow").caveats() == ()
    seeing = Equations(model=f"{model}\nseen = probe : 1", ports={"drive": "1", "error": "1", "probe": "1"})
    assert chain(seeing, StaticRate()).caveats() == ()
    experiments = [
        Experiment(name="x", circuit=circuit, task=LinearTeacher(n_in=3, n_out=2, examples=20, test_examples=5))
        for circuit in (taught, chain(seeing, StaticRate()), chain(StaticRate(activation="tanh"), StaticRate()))
    ]
    results = [bioFA.simulate(experiment, 1, "numpy") for experiment in experiments]
    blind, told, built_in = (result.state["input_to_hidden.w"] for result in results)
    np.testing.assert_array_equal(told, blind)
    np.testing.assert_allclose(told, built_in, rtol=1e-12)
    assert [len(experiment.network.measured_feedback()) for experiment in experiments] == [0, 1, 1]


def test_tuning_scales_the_rates_of_the_scheme_and_leaves_rules_beside_the_chain():
    before, after = two_pools(), tuning.scaled(two_pools(), 10.0)
    rules = [
        (a.plasticity, b.plasticity) for a, b in zip(before.network.plastic(), after.network.plastic(), strict=True)
    ]
    scaled = [b.learning_rate / a.learning_rate for a, b in rules]
    names = [p.name for p in before.network.plastic()]
    assert dict(zip(names, scaled, strict=True)) == {n: 1.0 if n == "upper_to_som" else 10.0 for n in names}


def test_feedback_that_learns_does_so_as_the_pathway_that_it_stands_for():
    forward = {"learning": {"batch": 4, "step": 0.1}}
    taught = chain(scheme="kp")
    taught = taught.replace(pathways=[p.replace(**forward) for p in taught.pathways])
    network = taught.with_scheme("kp").network()
    assert network.pathway("mismatch_to_hidden").learning == network.pathway("hidden_to_output").learning
    assert network.pathway("mismatch_to_hidden").learning.batch == 4


SPIKING = Equations(model="dv/dt = -v/(10*ms) : 1", ports={"drive": "1"}, arrival="v += drive", threshold="v > 1")
BARE = Equations(model="r = drive + error : 1", ports={"drive": "1", "error": "1"})


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: chain(LifExp()), errors.MissingSignal, "layer 'hidden' needs a port 'error'.*lif_exp, has only"),
        (lambda: chain(SPIKING), errors.MissingSignal, "scheme 'fa' cannot be laid .* needs a port 'error'.*shallow"),
        (lambda: chain(BARE, StaticRate()), errors.MissingSignal, "local_error, reads 'gain' of the layer 'hidden'"),
        (lambda: chain(BARE, StaticRate(), scheme="np"), errors.MissingSignal, "needs a port 'perturbation'"),
        (lambda: chain(layers=()), errors.MissingField, r"Network.layers is missing.*\"hidden\""),
        (lambda: chain(layers=("input",)), errors.WrongShape, "at least 2 entries"),
        (lambda: chain(layers=("input", "hiden", "output")), errors.UnknownName, "Did you mean 'hidden'"),
        (lambda: chain(layers=("input", "hidden", "hidden")), errors.DuplicateName, "'hidden' twice"),
        (lambda: chain(layers=("input", "output")), errors.MissingField, "no pathway goes from 'input' to 'output'"),
        (
            lambda: chain(more=(Pathway("also", source="input", target="hidden", weights=Normal()),)),
            errors.Contradiction,
            r"2 pathways go from 'input' to 'hidden' \(input_to_hidden, also\)",
        ),
        (lambda: chain(scheme="faa"), errors.UnknownName, "learning scheme 'faa'"),
        (lambda: chain(learns=("loop",)), errors.UnknownName, "Network.learns: 'loop' is no pathway beside the chain"),
        (lambda: chain(learns=("input_to_hidden",)), errors.UnknownName, "'input_to_hidden' is no pathway beside"),
        (lambda: chain(feedback=(Normal(), Normal())), errors.WrongShape, "must have 1 entry"),
        (
            lambda: chain(populations=(Population("mismatch", size=1, neuron=StaticRate()),)),
            errors.DuplicateName,
            "adds a population 'mismatch', and one of yours",
        ),
        (
            lambda: chain(
                populations=(Population("wrong", size=2, neuron=ErrorUnit()),),
                more=(joins("output", "wrong", port="prediction", weights="identity"),),
            ),
            errors.MissingSignal,
            "nothing arrives at its port 'target'",
        ),
    ],
)
def test_what_cannot_learn_says_which_layer_why_and_what_would_do(make, error, words):
    with pytest.raises(error, match=words):
        make().network()


def test_a_pathway_of_the_chain_is_a_matrix_whose_rule_the_scheme_decides():
    taught = chain()
    for change, words in (
        ({"plasticity": LocalError()}, "names a rule, local_error.*schemes.fa.rule"),
        ({"connect": "all", "weights": 1.0}, "lists single synapses.*density or fan_in"),
        ({"weights": {"name": "shared_with", "pathway": "hidden_to_output"}}, "SharedWith"),
    ):
        first, *others = taught.pathways
        with pytest.raises(errors.Contradiction, match=words):
            taught.replace(pathways=(first.replace(**change), *others)).network()
    listed = {"more": (joins("hidden", "pv", connect="all", weights=0.1), INHIBITION[1]), "populations": (POOL,)}
    assert chain(**listed).network()
    with pytest.raises(errors.Unavailable, match=r"perturbed copy .* 'hidden_to_pv' lists single synapses"):
        chain(**listed, scheme="np").network()


def test_wrong_parts_of_a_taught_network_are_found_by_their_line(tmp_path):
    text = FILE.read_text()
    for old, new, words in (
        ('"hidden", "upper", "output"]', '"hiden", "upper", "output"]', r"\(line \d+, circuit.layers.1\).*'hiden'"),
        (
            '"bias_to_hidden", "loop"]',
            '"bias_to_hidden", "lop"]',
            r"\(line \d+, circuit.learns.1\).*Did you mean 'loop'",
        ),
        ("layers = [", "layer = [", r"circuit.layer\).*'layer'.*Did you mean 'layers'"),
        ('neuron = "cell"', 'neuron = "lif_exp"', r"\(line \d+, circuit.populations.2.*needs a port 'error'"),
    ):
        path = tmp_path / "wrong.toml"
        path.write_text(text.replace(old, new, 1))
        with pytest.raises(errors.ModelError, match=words):
            bioFA.load(path)


def test_without_layers_a_described_network_takes_no_scheme():
    plain = chain().network()
    experiment = Experiment(
        name="x", circuit=plain, task=LinearTeacher(n_in=3, n_out=2), protocol={"dt": 1e-3, "presentation": 0.01}
    )
    assert type(bioFA.loads(bioFA.dumps(experiment)).circuit) is Network
    with pytest.raises(errors.Unavailable, match="name the populations that are the layers"):
        experiment.with_scheme("bp")
    given = Network(populations=chain().populations, pathways=chain().pathways)
    assert TaughtNetwork.of(given, ("input", "hidden", "output"), scheme="bp") == chain(scheme="bp")
    with pytest.raises(errors.MissingField, match="no pathway"):
        TaughtNetwork.of(given, ("input", "output"))


# layers with neurons, recurrence and interneurons of their own

WITH_POOLS = [
    {"size": 3},
    {"size": 6, "recurrent": {"density": 0.5, "plastic": False}, "interneurons": [{"name": "pv", "size": 2}]},
    {
        "size": 5,
        "neuron": {"name": "leaky_rate", "tau": "3 ms"},
        "recurrent": {"weights": {"name": "normal", "scale": 0.1}},
        "interneurons": [{"name": "som", "size": 3, "hears": "both", "excitation": "uniform", "density": 0.5}],
    },
    {"size": 2},
]


def with_pools(**fields):
    return Layered(layers=WITH_POOLS, hidden=LeakyRate(activation="tanh"), output=LeakyRate(), **fields)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_layers_that_say_their_size_only_are_sizes(scheme):
    short = Layered(sizes=(3, 5, 4, 2), biases=True, scheme=scheme)
    long = Layered(layers=[{"size": n} for n in (3, 5, 4, 2)], biases=True, scheme=scheme)
    assert long.network() == short.network()
    assert (
        "layers" not in toml.to_table(Experiment(name="x", circuit=short, task=LinearTeacher(n_in=3, n_out=2)))[
            "circuit"
        ]
    )


def test_each_layer_has_its_neuron_recurrence_and_interneurons():
    network = with_pools().network()
    assert network.population("hidden1").neuron == LeakyRate(activation="tanh")
    assert network.population("hidden2").neuron == LeakyRate(tau=3e-3)
    assert network.population("som").neuron == network.population("hidden2").neuron
    fixed, plastic = network.pathway("hidden1_to_hidden1"), network.pathway("hidden2_to_hidden2")
    assert (fixed.density, fixed.plasticity) == (0.5, None)
    assert (plastic.density, plastic.plasticity) == (1.0, LocalError())
    assert [p.source for p in network.arriving("pv", "drive")] == ["hidden1"]
    assert [p.source for p in network.arriving("som", "drive")] == ["hidden1", "hidden2"]
    assert [p.sign for p in network.pathways if p.target in ("pv", "som")] == ["excitatory"] * 3
    assert [p.sign for p in network.pathways if p.source in ("pv", "som")] == ["inhibitory"] * 2
    assert network.pathway("som_to_hidden2").density == 0.5
    assert with_pools().topology() == "layered, 3-6-5-2, recurrent, with interneurons pv (2), som (3)"
    lawful = with_pools(inhibitory=0.2).network()
    assert {p.name: p.sign for p in lawful.pathways if p.target == "pv"} == {"hidden1_to_pv": "any"}


@pytest.mark.compiled
def test_layers_with_pools_survive_their_file_and_both_programs_agree():
    experiment = Experiment(
        name="pools",
        circuit=with_pools(scheme="bp", biases=True),
        task=LinearTeacher(n_in=3, n_out=2, examples=20, test_examples=5),
        protocol={"dt": "1 ms", "presentation": "10 ms"},
    )
    assert bioFA.loads(bioFA.dumps(experiment)) == experiment
    assert "hidden1 -> hidden1" in experiment.circuit.caveats()[0]
    found = bioFA.verify(experiment, presentations=20)
    assert found.agrees, str(found)


@pytest.mark.parametrize(
    ("fields", "error", "words"),
    [
        ({}, errors.MissingField, r"Layered.sizes is missing.*\[784, 100, 10\]"),
        ({"layers": [{"size": 3}]}, errors.WrongShape, "Layered.layers must have at least 2 entries"),
        ({"layers": [{"size": 3}, {"sizes": 2}]}, errors.ModelError, "sizes"),
        ({"layers": [{"size": 3}, {"size": 2}], "sizes": [3, 4]}, errors.Contradiction, "Leave sizes out"),
        ({"layers": [{"size": 3, "recurrent": {}}, {"size": 2}]}, errors.Contradiction, "has no recurrent"),
        (
            {"layers": [{"size": 3}, {"size": 4, "interneurons": [{"name": "pv", "size": 2}]}, {"size": 2}]},
            errors.Cycle,
            "hidden.*pv",
        ),
    ],
)
def test_wrong_layers_are_refused_by_name(fields, error, words):
    with pytest.raises(error, match=words):
        Layered(**fields).network()


def test_static_interneurons_may_hear_the_layer_below():
    pool = {"name": "pv", "size": 2, "hears": "below"}
    circuit = Layered(layers=[{"size": 3}, {"size": 4, "interneurons": [pool]}, {"size": 2}], scheme="bp")
    assert circuit.network().is_static()
    assert circuit.caveats() == ()


@pytest.mark.compiled
@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["fa", "bp", "dfa"])
def test_spiking_layers_with_spiking_interneurons_learn_alike_in_both_programs(scheme):
    circuit = Layered(
        layers=[
            {"size": 6},
            {"size": 8, "recurrent": {"plastic": False}, "interneurons": [{"name": "pv", "size": 3, "hears": "both"}]},
            {"size": 7, "neuron": {"name": "lif", "tau": "15 ms"}},
            {"size": 3},
        ],
        input={"name": "poisson_source"},
        hidden={"name": "lif"},
        output={"name": "lif"},
        error={"name": "spiking_error_unit"},
        weights=[{"name": "uniform", "low": 0.0, "high": 2.0}],
        scheme=scheme,
    )
    experiment = Experiment(
        name="spiking",
        circuit=circuit,
        task={"name": "tanh_teacher", "sizes_of_teacher": [6, 5, 3], "examples": 20, "test_examples": 3},
        protocol={"dt": "1 ms", "presentation": "60 ms"},
    )
    assert ("surrogate" in " ".join(circuit.caveats())) == (scheme == "bp")
    found = bioFA.verify(experiment, presentations=6)
    assert found.agrees, str(found)
    assert found.spikes["pv"][0] > 0
    assert all(different == 0 for _, different in found.spikes.values())


@pytest.mark.compiled
@pytest.mark.slow
def test_the_cortical_microcircuit_with_apical_dendrites_learns_by_feedback_alignment():
    """What the model file says of itself: both angles fall, and without feedback much less is learned."""
    experiment = bioFA.load("apical_microcircuit", {"protocol.epochs": 4})
    for seed in (1, 2):
        aligned, alone = (bioFA.simulate(experiment.with_scheme(scheme), seed) for scheme in ("fa", "shallow"))
        assert aligned.metrics["validation_error"] < 0.15 < alone.metrics["validation_error"]
        angles = aligned.summary()["alignment"]
        assert set(angles) == {"upper_to_lower", "mismatch_to_upper"}
        assert max(angles.values()) < 80


def test_schemes_of_the_cortical_microcircuit_begin_alike_and_bp_is_local_there():
    experiment = bioFA.load("apical_microcircuit")
    starts = [draw(experiment.with_scheme(scheme), 5).state for scheme in ("fa", "bp", "dfa", "shallow")]
    for pathway in experiment.circuit.pathways:
        assert all((state[f"{pathway.name}.w"] == starts[0][f"{pathway.name}.w"]).all() for state in starts)
    assert "lower -> lower_pv -> lower" in experiment.with_scheme("bp").circuit.caveats()[0]
    heard = experiment.network.arriving("upper", "shunt")
    assert [p.source for p in heard] == ["upper_som"]
