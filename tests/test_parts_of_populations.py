"""A pathway may join parts of populations, and populations may be called e and i."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bioFA
from bioFA import exchange
from bioFA.errors import ModelError
from bioFA.instance import draw
from bioFA.modelfiles import toml

SIZES = {"e": 9, "i": 6}


def model(**pathway):
    given = {"name": "joined", "source": "e", "target": "i", "port": "exc", "weights": "90 pA"} | pathway
    populations = [
        {"name": name, "size": size, "neuron": {"name": "lif_exp", "i_e": "450 pA"}} for name, size in SIZES.items()
    ]
    circuit = {"name": "network", "populations": populations, "pathways": [given]}
    return bioFA.Experiment(name="parts", circuit=circuit, protocol={"duration": "200 ms", "dt": "0.1 ms"})


def part_of(size):
    return st.integers(0, size - 1).flatmap(lambda first: st.tuples(st.just(first), st.integers(first + 1, size)))


@given(pre=part_of(9), post=part_of(6), open_end=st.booleans(), seed=st.integers(0, 9))
def test_synapses_lie_within_the_parts_and_all_of_them_are_joined(pre, post, open_end, seed):
    ends = [f"[{part[0]}:{'' if open_end and part[1] == size else part[1]}]" for part, size in ((pre, 9), (post, 6))]
    experiment = model(source=f"e{ends[0]}", target=f"i{ends[1]}", connect={"name": "all"})
    assert toml.loads(toml.dumps(experiment)) == experiment
    synapses = draw(experiment, seed).synapses["joined"]
    sources = np.repeat(np.arange(9), np.diff(synapses.first))
    expected = [(source, target) for source in range(*pre) for target in range(*post)]
    assert list(zip(sources, synapses.post, strict=True)) == expected


def test_a_count_is_of_the_part():
    synapses = draw(model(source="e[4:7]", connect={"name": "fan_in", "count": 2}), 1).synapses["joined"]
    assert np.bincount(synapses.post, minlength=6).tolist() == [2] * 6
    assert np.diff(synapses.first)[:4].sum() == np.diff(synapses.first)[7:].sum() == 0
    with pytest.raises(ModelError, match=r"count must be at most 3"):
        model(source="e[4:7]", connect={"name": "fan_in", "count": 4})


def test_only_neurons_of_the_part_are_driven():
    result = bioFA.simulate(model(target="i[2:4]", weights="2 nA"), seed=1, backend="numpy")
    alone = bioFA.simulate(model(target="i[2:4]", weights="0 nA"), seed=1, backend="numpy")
    counts, without = (np.bincount(found.spikes("i")[0], minlength=6) for found in (result, alone))
    assert (counts[2:4] > without[2:4]).all()
    assert (counts[[0, 1, 4, 5]] == without[[0, 1, 4, 5]]).all()


def test_a_summary_shows_the_parts():
    assert "e[2:5].s -> i[3:].exc" in model(source="e[2:5]", target="i[3:]").network.describe()


@pytest.mark.parametrize(
    ("pathway", "message"),
    [
        ({"source": "e[2:10]"}, r"source: 'e' has 9 neurons, so a part is within \[0:9\]; got \[2:10\]"),
        ({"source": "e[5:5]"}, r"got \[5:5\]"),
        ({"target": "x[0:2]"}, "unknown target 'x'"),
        ({"weights": {"name": "normal"}, "source": "e[0:2]"}, "a part of a population is joined by single synapses"),
        (
            {"target": "e[3:]", "source": "e[:5]", "connect": {"name": "all", "autapses": False}},
            "different parts of one population that overlap",
        ),
    ],
)
def test_parts_that_are_not_there_or_cannot_be_joined_are_refused(pathway, message):
    with pytest.raises(ModelError, match=message):
        model(**pathway)


def test_a_script_for_brian2_calls_a_population_e_otherwise(tmp_path):
    experiment = bioFA.load("linear", {"protocol.presentations": 5, "protocol.snapshots": 1})
    network, new = experiment.network, {"input": "i", "hidden": "e"}
    populations = tuple(p.replace(name=new.get(p.name, p.name)) for p in network.populations)
    ends = {"source", "target"}
    pathways = tuple(
        p.replace(**{end: new.get(getattr(p, end), getattr(p, end)) for end in ends}) for p in network.pathways
    )
    named = experiment.replace(circuit=bioFA.Network(populations=populations, pathways=pathways))
    result = bioFA.simulate(named, seed=1, backend="numpy")
    exchange.export(result, "brian2", tmp_path / "script")
    text = (tmp_path / "script" / "network.py").read_text()
    assert "e_ = NeuronGroup" in text
    assert "i_ = NeuronGroup" in text
