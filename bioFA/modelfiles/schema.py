"""The JSON Schema of model files, from which editors complete and check what is written.

It is made from the parts themselves, parts of one's own included, so it knows every name and field. It checks names,
types and bounds of single fields; what spans fields, such as sizes that do not fit the task, and what constants and
expressions of them come to, is refused when the file is loaded.
"""

from __future__ import annotations

from typing import Any

from bioFA import network, tasks
from bioFA.components import Component, Family, headline
from bioFA.distributions import family as distributions
from bioFA.experiment import Experiment
from bioFA.modelfiles.said_once import CONSTANTS, NEURONS
from bioFA.neurons.base import NeuronModel
from bioFA.neurons.base import family as neurons
from bioFA.own_code.reading import TABLE
from bioFA.rules.base import family as rules
from bioFA.schemes.base import family as schemes
from bioFA.synapses.connect import family as connections
from bioFA.synapses.dynamics import family as dynamics
from bioFA.weights import family as weights

DIALECT = "https://json-schema.org/draft/2020-12/schema"
NAMED = "neuron_model_by_name"
"""The neuron models that have a name everywhere, not in one file alone."""
EXPRESSION = {
    "type": "string",
    "pattern": r"^\s*=",
    "description": "An expression of [constants], such as '= -g*J'.",
}
OWN = {
    "type": "string",
    "pattern": r"\.py:[A-Za-z_]\w*$",
    "description": "A class of your own in a Python file beside this one, such as 'my_rules.py:MyRule'.",
}
FAMILIES: tuple[Family[Any], ...] = (
    network.family, neurons, rules, schemes, tasks.family, weights, distributions, connections, dynamics
)


def schema() -> dict[str, Any]:
    """The schema as plain data, JSON Schema 2020-12."""
    shared: dict[str, Any] = {}
    whole = _of(Experiment, shared)
    for family in FAMILIES:
        parts = [family.get(name) for name in family.names()]
        shared[_key(family.kind)] = {
            "anyOf": [
                _bare(parts),
                *({"$ref": f"#/$defs/{_key(family.kind)}.{part.family_name}"} for part in parts),
                {"$ref": "#/$defs/own_class"},
                {"type": "object", "properties": {"name": {"$ref": "#/$defs/own_class"}}, "required": ["name"]},
            ]
        }
        for part in parts:
            shared[f"{_key(family.kind)}.{part.family_name}"] = _named(_of(part, shared), part)
    shared["expression"] = EXPRESSION
    shared["own_class"] = OWN
    shared[NAMED] = shared[_key(neurons.kind)]
    shared[_key(neurons.kind)] = {"anyOf": [{"$ref": f"#/$defs/{NAMED}"}, *_of_the_file()]}
    shared["scheme_settings"] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {name: _settings(shared, name) for name in schemes.names()},
    }
    return {
        "$schema": DIALECT,
        **whole,
        "properties": whole["properties"] | _said_once(),
        "if": {"not": {"required": [NEURONS]}},
        "then": {"properties": {"circuit": _without_shared()}},
        "title": "bioFA model",
        "description": "A model file of bioFA, as `biofa run` reads it.",
        "$defs": shared,
    }


def _said_once() -> dict[str, Any]:
    """The tables that a file puts into the others."""
    value = {"anyOf": [{"type": "number"}, {"type": "string"}], "examples": [4, "0.1 mV", "= -g*J"]}
    neuron = {"type": "object", "anyOf": [{"$ref": f"#/$defs/{_key(neurons.kind)}"}, {"required": ["name"]}]}
    return {
        TABLE: {"type": "object", "description": "Python files that bioFA kept with a description; not to be written."},
        CONSTANTS: {
            "type": "object",
            "additionalProperties": value,
            "description": "Numbers, quantities, and expressions of them, for every text that begins with '='.",
        },
        NEURONS: {
            "type": "object",
            "additionalProperties": neuron,
            "description": "Neurons that several populations have, by the name that they give as their neuron.",
        },
    }


def _of_the_file() -> list[dict[str, Any]]:
    """A neuron by a name that no neuron model has: one that the file describes once."""
    name = {"type": "string", "not": {"enum": neurons.names()}}
    return [name, {"type": "object", "properties": {"name": name}, "required": ["name"]}]


def _without_shared() -> dict[str, Any]:
    """A circuit of a file that describes no neuron once: every neuron is a model with a name."""
    named = {"$ref": f"#/$defs/{NAMED}"}
    kinds = [network.family.get(name) for name in network.family.names()]
    fields = {name for kind in kinds for name, field in kind.model_fields.items() if field.annotation is NeuronModel}
    entries = {"items": {"properties": {"neuron": named}}}
    layers = {"items": {"properties": {"neuron": named, "interneurons": entries}}}
    return {"properties": {**dict.fromkeys(sorted(fields), named), "populations": entries, "layers": layers}}


def _of(part: type[Component], shared: dict[str, Any]) -> dict[str, Any]:
    """The schema of one part; the parts that it is made of go to `shared`."""
    made = part.model_json_schema(mode="validation")
    shared |= {name: _cleaned(table) for name, table in made.pop("$defs", {}).items()}
    return _cleaned(made) | {"additionalProperties": False}


def _named(table: dict[str, Any], part: type[Component]) -> dict[str, Any]:
    """A part as a table with its `name`, as a field of its family takes it."""
    properties = {"name": {"const": part.family_name}, **table.get("properties", {})}
    return table | {
        "description": headline(part),
        "properties": properties,
        "required": ["name", *table.get("required", [])],
    }


def _settings(shared: dict[str, Any], name: str) -> dict[str, Any]:
    """A scheme's own settings, which need not repeat its name."""
    table = shared[f"{_key(schemes.kind)}.{name}"]
    return table | {"required": [field for field in table["required"] if field != "name"]}


def _bare(parts: list[type[Component]]) -> dict[str, Any]:
    """The names that may stand for a part by themselves, all its fields having defaults."""
    return {
        "enum": [
            part.family_name for part in parts if not any(field.is_required() for field in part.model_fields.values())
        ]
    }


def _cleaned(value: Any) -> Any:
    """What pydantic says, without titles, defaults that are parts, and nulls, which TOML does not have;
    families by reference, and an expression wherever a number may stand."""
    if isinstance(value, list):
        return [_cleaned(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "family" in value:
        return {"$ref": f"#/$defs/{_key(value['family'])}"}
    table = {
        name: {key: _cleaned(given) for key, given in item.items()} if name == "properties" else _cleaned(item)
        for name, item in value.items()
        if not (name == "title" and isinstance(item, str))
        and not (name == "default" and (item is None or isinstance(item, (dict, list))))
    }
    choices = [
        inner
        for choice in table.get("anyOf", [])
        if choice != {"type": "null"}
        for inner in (choice["anyOf"] if set(choice) == {"anyOf"} else [choice])
    ]
    if table.get("type") in ("number", "integer"):
        shown = {name: table.pop(name) for name in ("description", "default", "examples") if name in table}
        return shown | {"anyOf": [table, {"$ref": "#/$defs/expression"}]}
    if len(choices) == 1:
        return {name: item for name, item in table.items() if name != "anyOf"} | choices[0]
    return table | ({"anyOf": choices} if choices else {})


def _key(kind: str) -> str:
    return kind.replace(" ", "_")
