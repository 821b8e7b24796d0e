"""Published networks as model files, `examples/networks/*.toml`: each is accepted, runs, and compiled C++ and the NumPy
reference agree in every spike and, in pieces of 100 steps, in every state."""

import re
from pathlib import Path

import numpy as np
import pytest

import bioFA
from bioFA import Experiment, Network, Pathway, Population, errors
from bioFA.consumers.reference import Reference
from bioFA.instance import draw
from bioFA.neurons.equations import Equations

FILES = sorted((Path(__file__).resolve().parent.parent / "examples" / "networks").glob("*.toml"))
DESIGNED = {
    *("vogels_2011", "song_2000", "izhikevich_2007", "tsodyks_2000", "diehl_cook_2015", "sacramento_2018"),
    *("payeur_2021", "clopath_2010", "erbp", "ring", "recorded_input", "cart_pole", "gap_junctions"),
    "conductance_feedback",
}
"""Those of the eighteen networks that no built-in model holds."""
SILENT = {"cart_pole": ("cart",)}
"""What need not spike: the pole stays up."""


def test_every_network_has_a_file():
    assert {file.stem for file in FILES} == DESIGNED


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_file_says_what_it_is_and_what_it_leaves_out(file):
    comment = re.match(r"(?:# .*\n)+", file.read_text())[0]
    assert re.search(r"[Ss]caled", comment)
    assert re.search(r"[Ll]eft out|plastic", comment)
    experiment = bioFA.load(file)
    assert experiment.name == file.stem
    assert bioFA.loads(bioFA.dumps(experiment)) == experiment


QUICK = ("gap_junctions",)
"""What runs at once; the others, of which each is a program of its own, in the slow tier."""


@pytest.mark.compiled
@pytest.mark.parametrize(
    "file",
    [pytest.param(file, marks=[pytest.mark.slow] * (file.stem not in QUICK)) for file in FILES],
    ids=lambda file: file.stem,
)
def test_a_published_network_runs_and_both_programs_agree(file):
    experiment = bioFA.load(file)
    result = bioFA.simulate(experiment, seed=1)
    rates = {m.population: m.rate for m in result.measures}
    assert {name for name, rate in rates.items() if not rate} == set(SILENT.get(file.stem, ()))
    assert all(np.isfinite(trace.read(name)).all() for trace in result.traces for name in trace.variables)
    found = bioFA.verify(experiment, seed=1)
    assert found.agrees, str(found)
    assert found.max_relative_difference <= 1e-10
    assert all(wrong == 0 for _, wrong in found.spikes.values())


SMALL = {
    "random_ei": {"constants.order": 250, "constants.J": "1 mV", "protocol.duration": "100 ms"},
    "coba": {"circuit.populations.0.size": 640, "circuit.populations.1.size": 160, "protocol.duration": "60 ms"},
    "cortical_microcircuit": {"protocol.duration": "30 ms"},
    "current_clamp": {"protocol.duration": "60 ms"},
}
"""The built-in models among the eighteen networks, made smaller or shorter."""


def small(name):
    experiment = bioFA.load(name, {**SMALL[name], "protocol.warm_up": "0 ms"})
    return experiment.replace(record=experiment.record.replace(traces=()))


@pytest.mark.compiled
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name != "current_clamp")) for name in SMALL]
)
def test_both_programs_of_a_built_in_network_agree(name):
    found = bioFA.verify(small(name), seed=1, presentations=1)
    assert found.agrees, str(found)
    assert found.max_relative_difference <= 1e-10
    assert all(count > 0 and wrong == 0 for count, wrong in found.spikes.values())


def test_the_microcircuit_has_the_connection_probabilities_of_its_paper():
    """Potjans and Diesmann (2014), table 5: C = 1 - (1 - 1/(N_pre N_post))^K, with the K of the full network."""
    experiment = small("cortical_microcircuit")
    sizes = {"l23_exc": 20683, "l23_inh": 5834, "l4_exc": 21915, "l4_inh": 5479}
    table = {
        ("l23_exc", "l23_exc"): 0.1009,
        ("l23_inh", "l23_exc"): 0.1689,
        ("l4_exc", "l23_exc"): 0.0437,
        ("l4_inh", "l23_exc"): 0.0818,
        ("l4_inh", "l4_inh"): 0.1597,
        ("l23_inh", "l4_inh"): 0.0029,
    }
    for (source, target), chance in table.items():
        pairs, count = sizes[source] * sizes[target], experiment.network.pathway(f"{source}_to_{target}").connect.count
        assert -np.expm1(400 * count * np.log1p(-1 / pairs)) == pytest.approx(chance, rel=2e-3)
    assert len(experiment.network.pathways) == 55
    instance = draw(experiment, 1)
    doubled, single = (instance.synapses[f"{name}_to_l23_exc"].weights for name in ("l4_exc", "l23_exc"))
    assert doubled.mean() / single.mean() == pytest.approx(2, rel=0.01)
    assert (single > 0).all()


@pytest.mark.slow
@pytest.mark.compiled
def test_the_rates_of_the_microcircuit_are_near_those_of_the_full_network():
    """The rates that the model file names, for which its constant currents are computed."""
    changes = {"protocol.duration": "500 ms", "protocol.warm_up": "100 ms"}
    rates = [m.rate for m in bioFA.simulate(bioFA.load("cortical_microcircuit", changes), seed=1).measures]
    assert np.allclose(rates, [0.97, 2.87, 4.75, 5.40, 8.14, 9.08, 0.99, 7.52], rtol=0.4, atol=0.3), rates


@pytest.mark.slow
@pytest.mark.compiled
def test_cells_that_are_clamped_spike_above_their_rheobase_the_more_the_larger_the_current():
    """The regular spiking cell spikes above 0.59 nA or so (Brette & Gerstner 2005); without a current none does."""
    result = bioFA.simulate(bioFA.load("current_clamp", {"protocol.duration": "500 ms"}), seed=1)
    currents = np.linspace(0, 1.2, 20)
    for name, least, most in (("adex", 0.5, 0.8), ("hodgkin_huxley", 0.0, 0.3)):
        counts = np.bincount(result.spikes(name)[0], minlength=20)
        first = currents[counts > 0].min()
        assert least < first < most
        assert (np.diff(counts[currents >= first]) >= -1).all()
        assert counts[-1] > 2 * counts[currents >= first][0]


# what these files need of the language


def free(populations, pathways, duration="5 ms"):
    circuit = Network(populations=populations, pathways=pathways)
    return Experiment(name="free", circuit=circuit, protocol={"duration": duration, "dt": "1 ms"})


RELAY = Equations(model="v : 1\nsaid : 1", ports={"exc": "1"}, arrival="v = exc", threshold="v > 0.5")
PACED = Equations(
    model="dc/dt = 1/ms : 1\nlate : 1\nseen : 1",
    method="exact",
    ports={"exc": "1"},
    arrival="seen = exc",
    threshold="c > 2.5",
    reset="c = 0; late = 10*late",
    refractory="1 ms",
    events={
        "soon": {"when": "c > 1.5 and c < 2.5", "do": "late += 1"},
        "both": {"when": "c > 2.5 and since < 4*ms", "do": "late += 2; c += 0.25"},
    },
)


def run(experiment, steps):
    """Every variable as each step begins, by name."""
    instance = draw(experiment, 1)
    consumer, state = Reference(instance), dict(instance.state) | instance.trial_begins(0)
    rows = []
    for step in range(steps):
        rows.append(state)
        state = consumer.segment(state, instance.passing(0, step, step + 1), False).state
    return {name: np.array([row[name][0] for row in rows]) for name in rows[0] if np.ndim(rows[0][name])}


def test_events_are_tested_with_the_threshold_and_their_statements_run_after_the_reset():
    found = run(free((Population("cell", size=1, neuron=PACED),), ()), 10)
    # c passes 2.5 in step 3, and, since `both` adds 0.25 after the reset, in step 6, 9, ...
    assert found["cell.fired"].tolist() == [0, 0, 0, 1, 0, 0, 1, 0, 0, 1]
    assert found["cell.soon"].tolist() == [0, 0, 1, 0, 0, 1, 0, 0, 1, 0]
    assert found["cell.both"].tolist() == [0, 0, 0, 0, 0, 0, 1, 0, 0, 1]
    assert found["cell.late"].tolist() == [0, 0, 1, 10, 10, 11, 112, 112, 113, 1132]
    assert found["cell.c"][[3, 6]].tolist() == [0.0, 0.25]


@pytest.mark.compiled
def test_pathways_carry_events_which_both_programs_see_in_the_same_steps():
    populations = (Population("cell", size=2, neuron=PACED), Population("other", size=3, neuron=RELAY))
    ends = {"source": "cell", "target": "other", "port": "exc", "carries": "both"}
    listed = Pathway("listed", **ends, weights=1.0, delay="2 ms")
    matrix = Pathway("matrix", **ends, weights={"name": "values", "values": [[0.25, 0.25]] * 3})
    experiment = free(populations, (listed, matrix), "60 ms")
    result = bioFA.simulate(experiment, seed=1, backend="numpy")
    # a `both` of step 5 acts by the matrix in step 6, not enough, and by the list in step 8
    assert sorted({round(1e3 * time) for time in result.spikes("other")[1]})[:2] == [9, 12]
    found = bioFA.verify(experiment)
    assert found.agrees, str(found)
    assert found.spikes["other"][0] > 20


def test_only_spikes_are_recorded_as_spikes():
    experiment = free((Population("cell", size=1, neuron=PACED),), (), "12 ms")
    assert np.allclose(bioFA.simulate(experiment, 1, "numpy").spikes("cell")[1], [3e-3, 6e-3, 9e-3])


@pytest.mark.parametrize(
    ("events", "error", "words"),
    [
        ({"late": {"when": "c > 1"}}, errors.BadName, "'late' is the name of something else"),
        ({"fired": {"when": "c > 1"}}, errors.BadName, "'fired' is the name of something else"),
        ({"exp": {"when": "c > 1"}}, errors.BadName, "events: 'exp' means something else"),
        ({"soon": {"when": "c + 1"}}, errors.WrongUnit, r"events.soon.when: 'c \+ 1' is no condition"),
        ({"soon": {"when": "c > 1", "do": "x = 1"}}, errors.UnknownName, "events.soon.do: 'x' is not known"),
        ({"soon": {"do": "c = 1"}}, errors.MissingField, "when"),
        ({"soon": {"when": "c > 1", "then": ""}}, errors.UnknownField, "then"),
    ],
)
def test_a_wrong_event_is_refused_by_name(events, error, words):
    fields = PACED.model_dump(mode="json", by_alias=True)
    with pytest.raises(error, match=words):
        Equations(**{**fields, "events": events})


PLACED = Equations(model="v : 1", ports={"exc": "1"}, arrival="v = exc", parameters={"x": ["0 mm", "1 mm", "2 mm"]})


def pairs(connect, seed=1, **other):
    source, target = Population("source", size=4, neuron=RELAY), Population("target", size=3, neuron=PLACED)
    ends = {"target": "target", "port": "exc", "carries": "s", "weights": 1.0}
    first = Pathway("first", source="source", connect=connect, **ends)
    second = (Pathway("second", source="source", connect=other, **ends),) if other else ()
    synapses = draw(free((source, target), (first, *second)), seed).synapses
    return [sorted(zip(np.repeat(np.arange(4), np.diff(s.first)).tolist(), s.post.tolist(), strict=True))
            for s in synapses.values()]  # fmt: skip


def test_where_lays_synapses_on_a_condition_of_numbers_and_parameters():
    assert pairs({"name": "where", "p": "i == j + 1"})[0] == [(1, 0), (2, 1), (3, 2)]
    assert pairs({"name": "where", "p": "x_post > 0.5*mm and i < n_pre/2"})[0] == [(0, 1), (0, 2), (1, 1), (1, 2)]
    let = {"d": "abs(x_post - 1*mm)", "near": "int(d < 0.5*mm)"}
    assert pairs({"name": "where", "p": "near*int(i > 1)", "let": let})[0] == [(2, 1), (3, 1)]


def test_as_lays_the_pairs_of_another_pathway_and_draws_none():
    for connect in ({"name": "where", "p": "0.5"}, {"name": "fan_in", "count": 2}):
        for seed in range(5):
            first, second = pairs(connect, seed, name="as", pathway="first")
            assert first == second


@pytest.mark.parametrize(
    ("connect", "error", "words"),
    [
        ({"name": "where", "p": "y_post > 1"}, errors.UnknownName, "connect.p: .*y_post"),
        ({"name": "where", "p": "x_post"}, errors.WrongUnit, "a plain number, or a condition; got metre"),
        ({"name": "where", "p": "x_post > 1"}, errors.WrongUnit, "connect.p: "),
        ({"name": "where", "p": "rand() < 0.5"}, errors.BadEquation, "Leave rand"),
        ({"name": "where", "p": "0.4*i"}, errors.OutOfRange, "between 0 and 1; got 1.2 for neurons 3 and 0"),
        ({"name": "where", "p": "1/i*0"}, errors.OutOfRange, "between 0 and 1; got nan for neurons 0 and 0"),
        ({"name": "where", "p": "d", "let": {"d": "i > j"}}, errors.WrongUnit, "connect.let.d is a condition"),
        ({"name": "where", "p": "i", "let": {"i": "j"}}, errors.BadName, "connect.let: 'i' means something else"),
        ({"name": "where", "p": "1", "let": {"n_pre": "j"}}, errors.ModelError, "n_pre"),
        ({"name": "as", "pathway": "frist"}, errors.UnknownName, "Did you mean 'first'"),
        ({"name": "as", "pathway": "first"}, errors.Contradiction, "'first' lists no synapses of its own"),
    ],
)
def test_a_wrong_way_to_connect_is_refused_by_name(connect, error, words):
    with pytest.raises(error, match=words):
        pairs(connect)


def test_as_needs_as_many_neurons():
    populations = (Population("source", size=4, neuron=RELAY), Population("target", size=3, neuron=PLACED))
    ends = {"port": "exc", "carries": "s", "weights": 1.0}
    first = Pathway("first", source="source", target="target", connect="all", **ends)
    other = {"name": "as", "pathway": "first"}
    with pytest.raises(errors.WrongShape, match=r"\(n_post, n_pre\) = \(4, 4\); 'first' has \(3, 4\)"):
        free(populations, (first, Pathway("back", source="source", target="source", connect=other, **ends)))
