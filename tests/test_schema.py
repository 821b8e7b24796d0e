"""The JSON Schema of model files: whatever bioFA accepts it accepts, and names,
types and bounds that bioFA refuses it refuses."""

import copy
import json
import tomllib

import jsonschema
import pytest
from click.testing import CliRunner

import bioFA
from bioFA import cli
from bioFA.errors import ModelError
from bioFA.modelfiles import toml
from bioFA.modelfiles.schema import FAMILIES, schema


@pytest.fixture(scope="module")
def validator():
    made = schema()
    jsonschema.Draft202012Validator.check_schema(made)
    return jsonschema.Draft202012Validator(made)


def changed(name, key, value):
    table = copy.deepcopy(toml.to_table(bioFA.load(name)))
    toml._put(table, key, value)
    return table


@pytest.mark.parametrize("model", toml.builtin_models())
def test_every_built_in_model_is_accepted_as_written_and_as_shown(validator, model):
    validator.validate(tomllib.loads(toml.find(model).read_text()))
    validator.validate(json.loads(json.dumps(toml.to_table(bioFA.load(model)))))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("circuit.hidden.tau", "20 mV"),
        ("circuit.hidden.tau", 0.0),
        ("circuit.hidden.tau", "20"),
        ("circuit.hidden.name", "leaky_rat"),
        ("circuit.hidden.taux", 1.0),
        ("circuit.sizes", [3]),
        ("circuit.sizes", [3, 0, 2]),
        ("circuit.biases", "yes"),
        ("circuit.density", [1.5]),
        ("circuit.weights", [{"name": "uniform", "lo": 1}]),
        ("circuit.schemes.fa.rule", "local_eror"),
        ("circuit.schemes.faa", {}),
        ("circuit.feedback_sign", "both"),
        ("protocol.epochs", 1.5),
        ("protocol.phases", [{"rate": -1.0}]),
        ("protocol.dt", "1 Hz"),
        ("task.name", "leaky"),
        ("task.examples", -1),
        ("circuit.name", "leaky_rate"),
        ("name", 3),
        ("nonsense", 1),
        ("record.every", 0),
    ],
)
def test_what_it_refuses_bioFA_refuses_and_the_other_way_round(validator, key, value):
    table = changed("leaky", key, value)
    assert list(validator.iter_errors(table))
    with pytest.raises(ModelError):
        toml.from_table(table)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("circuit.hidden.tau", "20ms"),
        ("circuit.hidden.tau", 1),
        ("circuit.weights", {"name": "normal", "scale": 0.1}),
        ("circuit.density", 0.5),
        ("circuit.schemes.fa", {"rule": "hebbian"}),
        ("protocol.phases", [{"epochs": 1}, {"presentations": 3, "rate": 0.5}]),
        ("circuit.target.of", "targets"),
    ],
)
def test_what_it_accepts_bioFA_accepts(validator, key, value):
    table = changed("leaky", key, value)
    validator.validate(table)
    toml.from_table(table)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.kind)
def test_it_knows_every_part_and_every_field(family):
    made = schema()["$defs"]
    for name in family.names():
        part = made[f"{family.kind.replace(' ', '_')}.{name}"]
        assert set(part["properties"]) == {
            "name", *(field.alias or own for own, field in family.get(name).model_fields.items())
        }
        assert part["description"]


def test_a_part_of_ones_own_is_known():
    from bioFA.tasks import family

    name = "only_in_this_test"
    part = type("OnlyInThisTest", (family.base,), {"__doc__": "A task of one's own.", "__module__": __name__})
    family.add(part)
    try:
        assert f"task.{name}" in schema()["$defs"]
    finally:
        family._known.pop(name)


def test_the_command_prints_it():
    outcome = CliRunner().invoke(cli.main, ["schema"])
    assert outcome.exit_code == 0
    assert json.loads(outcome.stdout) == json.loads(json.dumps(schema()))
