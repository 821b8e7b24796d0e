"""What a run needs is told from its description: as many synapses as are drawn; and a large network's program is built
before it is drawn."""

from pathlib import Path

import bioFA
from bioFA.consumers.brian import cache
from bioFA.instance import draw
from bioFA.network import Network, Pathway, Population
from bioFA.runs import simulation
from bioFA.runs.needs import needs
from bioFA.synapses.connect import Where

BALANCED = Path(__file__).parents[1] / "examples" / "learning" / "balanced.toml"
FEW = {"constants.neurons": 250, "protocol.duration": "5 ms", "protocol.warm_up": "0 s"}


def test_as_many_synapses_are_told_as_are_drawn():
    experiment = bioFA.load(BALANCED, FEW)
    told, instance = needs(experiment), draw(experiment, 1)
    assert told.whole
    assert told.synapses == sum(len(synapses.post) for synapses in instance.synapses.values())
    learned = [len(instance.synapses[pathway.name].post) for pathway in instance.network.plastic()]
    assert told.learning == sum(learned)


def test_matrices_and_single_partners_are_counted():
    told = needs(bioFA.load("linear"))
    assert (told.synapses, told.learning) == (30 * 20 + 20 * 10 + 10 * 20 + 3 * 10 + 200, 30 * 20 + 20 * 10)


def test_a_synapse_more_takes_the_bytes_of_its_lists():
    """Bytes a synapse of a pathway that stands still with one weight, and of one that learns."""
    small, large = (
        needs(bioFA.load(BALANCED, {"constants.neurons": n, "constants.K": 200}), "float32") for n in (1000, 2000)
    )
    more, learned = large.synapses - small.synapses, large.learning - small.learning
    neurons, fed_back = 200 * 1000, 8 * 2 * 10 * 800  # weights of their own, of the feedback alone
    assert large.program - small.program == 4 * more + 4 * learned + neurons + fed_back
    assert large.python - small.python == 4 * more + 32 * learned + 6 * 108_000 + neurons + fed_back


def test_where_drawing_alone_tells_it_is_said():
    cell = bioFA.load(BALANCED, FEW).network.population("inh").neuron
    network = Network(
        populations=(Population("a", size=9, neuron=cell),),
        pathways=(Pathway("loop", source="a", target="a", port="jump", weights="1 mV", connect=Where(p="0.5")),),
    )
    experiment = bioFA.load(BALANCED, FEW).replace(circuit=network)
    assert needs(experiment).describe().startswith("at least 0 synapses")


def test_a_large_network_is_built_once_before_it_is_drawn(monkeypatch):
    order = []

    def note(module, name):
        call = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *arguments: (order.append(name), call(*arguments))[1])

    note(simulation, "draw")
    note(cache, "build")
    experiment = bioFA.load("linear", {"task.examples": 20, "task.test_examples": 5})
    small = bioFA.simulate(experiment)
    assert order == ["draw", "build"]
    order.clear()
    monkeypatch.setattr(simulation, "LARGE", 1)
    large = bioFA.simulate(experiment)
    assert order == ["build", "draw"]
    assert all((array == small.state[name]).all() for name, array in large.state.items())
