"""What a grid point of `--tune` changes: every rate of a scheme, its own too, and nothing else."""

import pytest

import bioFA
from bioFA import schemes
from bioFA.comparisons import tuning
from bioFA.rules import family as rules

RATES = {"learning_rate", "decay", "feedback_rate", "mirror_rate", "mirror_decay", "step"}
"""The names of rates, written down here a second time, as what the fields declare is to be checked."""


def leaves(table, path=()):
    """Every value of nested tables by its path."""
    for key, value in table.items():
        yield from leaves(value, (*path, key)) if isinstance(value, dict) else [((*path, key), value)]


@pytest.mark.parametrize("scheme", schemes.family.names())
def test_every_rate_of_a_scheme_is_scaled_and_nothing_else(scheme):
    model = bioFA.load("linear", {"circuit.learning.step": 0.5}).with_scheme(scheme)
    before, after = (dict(leaves(e.circuit.model_dump(mode="json"))) for e in (model, tuning.scaled(model, 3.0)))
    used = [path for path in after if path[0] == "learning" or path[:2] == ("schemes", scheme)]
    assert {path[-1] for path in used} & RATES >= {"learning_rate", "step"}
    for path in after:
        assert after[path] == (3.0 * before[path] if path in used and path[-1] in RATES else before[path]), path


@pytest.mark.parametrize(("scheme", "rate"), [("arbp", "feedback_rate"), ("wm", "mirror_rate"), ("wm", "mirror_decay")])
def test_the_rates_of_feedback_are_scaled_in_the_network(scheme, rate):
    model = bioFA.load("linear").with_scheme(scheme)

    def feedback(experiment):
        return [p.plasticity for p in experiment.network.plastic() if p.port == "error"]

    field = "decay" if rate.endswith("decay") else "learning_rate"
    assert (
        [getattr(rule, field) for rule in feedback(tuning.scaled(model, 10.0))]
        == [10.0 * getattr(rule, field) for rule in feedback(model)]
        != []
    )


@pytest.mark.parametrize("name", rules.names())
def test_a_rule_declares_its_rates(name):
    rule = rules.get(name)()
    assert set(rule.rates()) == RATES & set(type(rule).model_fields) >= {"learning_rate"}
