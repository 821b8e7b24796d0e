"""`check_neuron` passes every neuron model here, and says of a wrong one what is wrong."""

import pytest

import bioFA
from bioFA import check_neuron, neurons
from bioFA.neurons.leaky_rate import LeakyRate
from bioFA.neurons.lif import Lif

NEEDS = {
    "current": {"values": [["0 ms", "0 pA"]]},
    "equations": {"model": "dv/dt = (a - v)/(10*ms) : 1", "parameters": {"a": 1.0}},
    "ornstein_uhlenbeck": {"sigma": "1 pA"},
    "spikes_from": {"spikes": []},
}
"""What neurons need that have no defaults."""


@pytest.mark.parametrize("name", neurons.family.names())
def test_every_neuron_here_passes(name):
    found = check_neuron(neurons.family.read({"name": name, **NEEDS.get(name, {})}))
    assert found.passes, str(found)
    assert str(found).splitlines()[0] == f"{found.neuron} passes"
    assert found.findings[0].passes


def test_of_those_with_a_step_of_their_own_all_is_asked():
    assert all(finding.passes for finding in check_neuron(Lif()).findings)
    assert [f.check for f in check_neuron(LeakyRate()).findings if f.passes is None] == [
        "its spikes are 0 or 1, its train is of the rate that counts as 1"
    ]


def changed(base=LeakyRate, **fields):
    """A class that computes otherwise, as an instance."""
    return type("Mine", (base,), {"__module__": __name__, **fields})()


def mixes(self, state, now, dt):
    return {"u": state["u"] + dt / self.tau * (now["drive"].mean() - state["u"])}


def writes(self, state, now, dt):
    state["u"] += dt / self.tau * (now["drive"] - state["u"])
    return {"u": state["u"]}


DRAWN = iter(range(10**9))
WRONG = {
    "an expression that says otherwise": (
        {"expressions": lambda self: {"r": "u", "gain": "1", "delta": "error*gain*1.001"}},
        "the Brian2 expressions and the methods say the same",
        "delta = error*gain*1.001 and the method delta differ: ",
    ),
    "an equation that says otherwise": (
        {"dynamics": lambda self: "du/dt = (drive - 1.001*u)/tau : 1"},
        "the Brian2 equations and the step say the same",
        "u after a step by the Brian2 text, and by advance, differ: ",
    ),
    "another method of integration": (
        {"integration": lambda self: "rk4"},
        "the Brian2 equations and the step say the same",
        "u after a step",
    ),
    "a unit that does not fit": (
        {"dynamics": lambda self: "du/dt = drive - u : 1"},
        "its texts can be read, and their units fit",
        "du/dt: the right side has the unit 1; expected",
    ),
    "an expression with a unit": (
        {"expressions": lambda self: {"r": "u", "gain": "tau", "delta": "error*gain"}},
        "its texts can be read, and their units fit",
        "gain = tau must be a plain number",
    ),
    "a name that nobody knows": (
        {"dynamics": lambda self: "du/dt = (drve - u)/tau : 1"},
        "its texts can be read, and their units fit",
        "Did you mean 'drive'?",
    ),
    "a method of integration that nobody knows": (
        {"integration": lambda self: "heun"},
        "its texts can be read, and their units fit",
        "integration() is 'heun'. Known: euler",
    ),
    "an equation of no state": (
        {"dynamics": lambda self: "dx/dt = (drive - x)/tau : 1"},
        "its texts can be read, and their units fit",
        "dynamics() moves x, which is no state",
    ),
    "an expression that is missing": (
        {"expressions": lambda self: {"r": "u", "gain": "1"}},
        "there is an expression for each",
        "expressions() lacks delta",
    ),
    "an expression of nothing": (
        {"expressions": lambda self: {"r": "u", "gain": "1", "delta": "error*gain", "extra": "u"}},
        "there is an expression for each",
        "expressions() has extra, which the model does not publish",
    ),
    "a method that is missing": (
        {"publishes": ("r", "gain", "delta", "trace")},
        "what it publishes are methods of what it knows",
        "trace is published, and there is no method def trace(self, ...)",
    ),
    "a method that needs what nobody knows": (
        {"r": lambda self, uu: uu},
        "what it publishes are methods of what it knows",
        "r needs 'uu', which the model does not know. Did you mean 'u'?",
    ),
    "variables that wait for each other": (
        {"r": lambda self, gain: gain, "gain": lambda self, r: r},
        "what it publishes are methods of what it knows",
        "published variables wait for each other: ",
    ),
    "one name for two things": (
        {"ports": ("drive", "error", "u")},
        "it states ports, state and what it publishes, all with names of their own",
        "u: each name of a port",
    ),
    "ports that are one word": (
        {"ports": "drive"},
        "it states ports, state and what it publishes, all with names of their own",
        "ports must be a tuple of names",
    ),
    "a state that begins nowhere": (
        {"state": {"u": float("nan")}},
        "it states ports, state and what it publishes, all with names of their own",
        "state u must begin at a finite number",
    ),
    "a step that forgets": (
        {"advance": lambda self, state, now, dt: {}},
        "the step keeps the state, and leaves its arguments alone",
        "advance must return u; got nothing",
    ),
    "a step of another shape": (
        {"advance": lambda self, state, now, dt: {"u": 0.0}},
        "the step keeps the state, and leaves its arguments alone",
        "advance must return u of the shape (size,) = (1,); got ()",
    ),
    "a step that writes": (
        {"advance": writes},
        "the step keeps the state, and leaves its arguments alone",
        "the model writes into u, which it is given",
    ),
    "a step that draws by itself": (
        {"advance": lambda self, state, now, dt: {"u": state["u"] + next(DRAWN)}},
        "the step keeps the state, and leaves its arguments alone",
        "the same step was made twice, with two outcomes",
    ),
    "an error": (
        {"advance": lambda self, state, now, dt: {"u": now["nothing"]}},
        "the step keeps the state, and leaves its arguments alone",
        "KeyError: 'nothing'",
    ),
    "numbers beyond all bounds": (
        {"advance": lambda self, state, now, dt: {"u": state["u"] / 0.0}},
        "moderate values give finite ones",
        "u afterwards is not finite",
    ),
    "a neuron that feels the others": (
        {"advance": mixes},
        "a neuron does not feel the others of its population",
        "was set to 17, and u afterwards of another neuron moved",
    ),
    "spikes that are no 0 or 1": (
        {
            "base": Lif,
            "s": lambda self, fired: 2 * fired,
            "expressions": lambda self: {**Lif.expressions(self), "s": "2*fired"},
        },
        "its spikes are 0 or 1, its train is of the rate that counts as 1",
        "s must be 1 in a step with a spike",
    ),
    "another rate that counts as 1": (
        {"base": Lif, "unit": lambda self: 50.0},
        "its spikes are 0 or 1, its train is of the rate that counts as 1",
        "train must be s over unit() dt",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_of_a_wrong_neuron_it_says_what_is_wrong(name):
    fields, check, said = WRONG[name]
    found = check_neuron(changed(**fields))
    assert not found.passes
    wrong = [finding for finding in found.findings if finding.passes is False]
    assert [finding.check for finding in wrong] == [check], str(found)
    assert said in wrong[0].found, str(found)
    assert "FAILS" in str(found)


def test_what_is_no_neuron_is_refused():
    for given in (LeakyRate, 3):
        with pytest.raises(bioFA.ModelError, match=r"check_neuron takes a neuron model"):
            check_neuron(given)
