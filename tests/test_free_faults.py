"""A fault in one of the two readings of a network without a teacher makes its verification fail.

The compiled program gets what a wrong reading of the description would give it, the reference what is right.
"""

from dataclasses import replace

import numpy as np
import pytest

from bioFA import Experiment
from bioFA.consumers.base import Recording, Segment
from bioFA.consumers.brian.run import Compiled
from bioFA.instance import draw
from bioFA.verification.free_run import _differing, verify_free

pytestmark = pytest.mark.compiled
DT, SIZE = 1e-3, 12


def experiment(refractory="3 ms"):
    """Noisy neurons that excite and inhibit each other, with a delay for each synapse."""
    neuron = {
        "name": "equations",
        "model": (
            """
            dv/dt = (drive - v + g)/(10*ms) + sigma*sqrt(0.2/ms)*xi : 1 (unless refractory)
            dg/dt = -g/(5*ms) : 1
        """
        ),
        "ports": {"exc": "1", "inh": {"unit": "1", "sign": -1}},
        "arrival": "g += exc - inh",
        "threshold": "v > 1",
        "reset": "v = 0",
        "refractory": refractory,
        "parameters": {"drive": {"name": "uniform", "low": 0.9, "high": 1.4}, "sigma": 0.1},
        "initial": {"v": {"name": "uniform", "low": 0, "high": 1}},
    }
    delay = {"name": "uniform", "low": "0 ms", "high": "8 ms"}
    pathways = [
        {"name": port, "source": "cells", "target": "cells", "port": port, "weights": weights, "delay": delay,
         "connect": {"name": "fan_in", "count": 4}}
        for port, weights in (("exc", 0.2), ("inh", 0.3))
    ]  # fmt: skip
    circuit = {
        "name": "network",
        "populations": [{"name": "cells", "size": SIZE, "neuron": neuron}],
        "pathways": pathways,
    }
    return Experiment(
        name="controls",
        circuit=circuit,
        protocol={"duration": "300 ms", "dt": DT},
        record={"traces": [{"population": "cells", "variables": ["v"], "neurons": [0, 5]}]},
    )


def with_synapses(instance, name, **changes):
    return replace(instance, synapses={**instance.synapses, name: replace(instance.synapses[name], **changes)})


def later(instance):
    """Every delay of a pathway is a step longer, as far as there is room for it."""
    synapses = instance.synapses["exc"]
    return with_synapses(instance, "exc", delays=np.minimum(synapses.delays + 1, synapses.slots - 1).astype(np.int32))


def without_noise(instance):
    return replace(instance, constants={**instance.constants, "cells.sigma": np.zeros(1)})


def in_a_wrong_unit(instance):
    return with_synapses(instance, "exc", weights=1e3 * instance.synapses["exc"].weights)


def summed_over_the_wrong_side(instance):
    """Each synapse joins its two neurons the other way round."""
    synapses = instance.synapses["exc"]
    pre = np.repeat(np.arange(SIZE), np.diff(synapses.first))
    order = np.lexsort((pre, synapses.post))
    first = np.concatenate([[0], np.cumsum(np.bincount(synapses.post, minlength=SIZE))])
    return with_synapses(instance, "exc", first=first, post=pre[order].astype(np.int32), delays=synapses.delays[order])


def summed_into_the_wrong_port(instance):
    return replace(instance, synapses={"exc": instance.synapses["inh"], "inh": instance.synapses["exc"]})


def refractory_for_a_step_more(instance):
    return draw(experiment(refractory="4 ms"), instance.seed)


def with_other_numbers(instance):
    """A parameter of one neuron is wrong in its tenth digit."""
    drive = instance.constants["cells.drive"].copy()
    drive[3] *= 1 + 1e-9
    return replace(instance, constants={**instance.constants, "cells.drive": drive})


FAULTS = {
    "a delay off by one step": (later, "exc.under_way"),
    "a dropped noise term": (without_noise, "cells.v"),
    "a factor of 1000 in a unit": (in_a_wrong_unit, "cells.g"),
    "sender and receiver swapped in a sum": (summed_over_the_wrong_side, "cells.g"),
    "two ports swapped": (summed_into_the_wrong_port, "cells.g"),
    "a refractory period off by one step": (refractory_for_a_step_more, "cells.left"),
    "a parameter off by 1e-9": (with_other_numbers, "cells.v"),
}


def test_without_a_fault_it_agrees_in_pieces_and_as_a_whole():
    found = verify_free(experiment(), seed=1, trials=1)
    assert found.agrees, str(found)
    assert found.summary()["whole_runs_agree"]
    assert found.spikes["cells"][0] > 100
    assert set(found.records) == {"cells.v"}
    said = str(found)
    assert "compared in 3 pieces" in said
    assert "1 populations" not in said
    assert "two whole runs have every spike equal" in said
    assert "the text of cells has one parse" in said


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_one_reading_is_seen_and_its_place_named(fault):
    wrong, place = FAULTS[fault]
    right = experiment()
    instance = draw(right, 1)
    found = verify_free(right, seed=1, trials=1, against=Compiled(wrong(instance)))
    assert not found.agrees
    assert place in found.first_excess, found.first_excess
    assert "DIFFER" in str(found)
    assert found.summary()["agrees"] is False
    assert any(one in str(found) for one in ("exceed their bounds", "spikes differ"))


def test_what_is_recorded_wrongly_is_seen():
    """Traces are compared in every step in which they are kept, not only as a piece ends."""
    right = experiment()
    compiled = Compiled(draw(right, 1))

    class Shifted:
        name = "cpp"

        def segment(self, state, feed, learning, **options):
            found = compiled.segment(state, feed, learning, **options)
            return replace(found, traces=({"v": found.traces[0]["v"][:, ::-1]},))

    found = verify_free(right, seed=1, trials=1, against=Shifted())
    assert not found.agrees
    assert list(found.first_excess) == ["cells.v, as recorded"]


def test_a_spike_that_one_side_has_twice_differs():
    once, twice = (
        Segment({}, Recording(np.zeros(0, int), {}), spikes={"e": (np.zeros(n, int), np.full(n, 3))}) for n in (1, 2)
    )
    assert list(_differing(once, twice, "e")) == [3]
    assert list(_differing(twice, twice, "e")) == []
