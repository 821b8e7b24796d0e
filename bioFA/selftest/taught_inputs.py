"""Mistakes in networks of one's own under a learning scheme, for the self-test's table of wrong inputs."""

from __future__ import annotations

from typing import Any

from bioFA.selftest.case import Case

TAUGHT: dict[str, Any] = {
    "name": "small",
    "circuit": {
        "name": "network",
        "layers": ["input", "hidden", "output"],
        "populations": [
            {"name": "input", "size": 3, "neuron": "rate_source"},
            {"name": "hidden", "size": 4, "neuron": "static_rate"},
            {"name": "output", "size": 2, "neuron": "static_rate"},
        ],
        "pathways": [
            {"name": "input_to_hidden", "source": "input", "target": "hidden", "weights": "normal"},
            {"name": "hidden_to_output", "source": "hidden", "target": "output", "weights": "normal"},
        ],
    },
    "task": {"name": "linear_teacher", "n_in": 3, "n_out": 2, "examples": 20, "test_examples": 5},
}


def _joined(name: str, source: str, target: str, **others: Any) -> dict[str, Any]:
    return {"circuit.pathways.+": {"name": name, "source": source, "target": target, "weights": "normal", **others}}


CASES = {
    "layer that is no population": Case(
        "unknown-name",
        {"circuit.layers": ["input", "hiden", "output"]},
        "circuit.layers.1",
        "'hiden'",
        "Did you mean 'hidden'?",
        ("Network.layers",),
        base="taught",
    ),
    "one layer": Case(
        "wrong-shape",
        {"circuit.layers": ["input"]},
        "circuit.layers",
        "['input']",
        "at least 2 entries",
        ("For example",),
        base="taught",
    ),
    "layer twice": Case(
        "duplicate-name",
        {"circuit.layers": ["input", "hidden", "hidden", "output"]},
        "circuit.layers.2",
        "'hidden' twice",
        "is named once",
        ("Network.layers",),
        base="taught",
    ),
    "scheme without layers": Case(
        "missing-field",
        {"circuit.layers": None, "circuit.scheme": "fa"},
        "circuit.layers",
        "Network.layers is missing",
        "For example: layers =",
        ("chain",),
        base="taught",
    ),
    "layers that do not drive each other": Case(
        "missing-field",
        {"circuit.layers": ["input", "output"]},
        "circuit.layers.1",
        "no pathway goes from 'input' to 'output'",
        "Describe one",
        ("Network.layers",),
        base="taught",
    ),
    "two pathways between layers": Case(
        "contradiction",
        _joined("also", "input", "hidden"),
        "circuit.layers.1",
        "input_to_hidden, also",
        "Leave one",
        ("2 pathways",),
        base="taught",
    ),
    "rule of a layer's pathway": Case(
        "contradiction",
        {"circuit.pathways.0.plasticity": "local_error"},
        "circuit.pathways.0.plasticity",
        "names a rule, local_error",
        "schemes.fa.rule",
        ("Leave plasticity out",),
        base="taught",
    ),
    "single synapses between layers": Case(
        "contradiction",
        {"circuit.pathways.0.connect": "all", "circuit.pathways.0.weights": 1.0},
        "circuit.pathways.0",
        "lists single synapses",
        "density or fan_in",
        ("'input_to_hidden'",),
        base="taught",
    ),
    "learning pathway that is none": Case(
        "unknown-name",
        _joined("skip", "input", "output") | {"circuit.learns": ["skp"]},
        "circuit.learns.0",
        "'skp'",
        "Did you mean 'skip'?",
        ("Network.learns",),
        base="taught",
    ),
    "layer that hears no error": Case(
        "missing-signal",
        {"circuit.populations.1.neuron": "lif_exp"},
        "circuit.populations.1",
        "needs a port 'error'",
        "Or take a scheme",
        ("the layer 'hidden'", "lif_exp", "scheme 'fa'"),
        base="taught",
    ),
    "name of an added population": Case(
        "duplicate-name",
        {"circuit.populations.+": {"name": "mismatch", "size": 1, "neuron": "static_rate"}},
        "circuit.populations.3",
        "'mismatch'",
        "Call yours otherwise",
        ("scheme 'fa' adds",),
        base="taught",
    ),
}
"""Each mistake by its name."""
