"""The recipes of CONTRIBUTING.md are true, each file in it takes part; and whatever a release states agrees."""

import importlib.util
import json
import re
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import yaml

import bioFA
from bioFA import exchange, neurons, rules

ROOT = Path(__file__).resolve().parent.parent
RECIPES = dict(
    re.findall(r"^`(bioFA/\w+/\w+\.py)`:\n\n```python\n(.*?)^```", (ROOT / "CONTRIBUTING.md").read_text(), re.M | re.S)
)


@pytest.fixture
def parts(tmp_path, monkeypatch):
    """The rule and the neuron of the recipes, known by name for as long as the test lasts."""
    found = []
    for family, file in (
        (rules.family, "bioFA/rules/presynaptic_decay.py"),
        (neurons.family, "bioFA/neurons/cubic_rate.py"),
    ):
        monkeypatch.setattr(family, "_known", dict(family._parts()))
        path = tmp_path / Path(file).name
        path.write_text(RECIPES[file])
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, path.stem, module)
        spec.loader.exec_module(module)
        found.append(family.add(next(iter(family._parts_of(module).values()))))
    return found


def test_there_is_a_recipe_for_a_rule_a_neuron_and_a_format():
    assert {Path(file).parent.name for file in RECIPES} == {"rules", "neurons", "exchange"}


@pytest.mark.compiled
def test_rule_and_neuron_of_the_recipes_are_computed_alike_by_both_consumers(parts):
    rule, _ = parts
    assert bioFA.check_rule(rule()).passes
    changes = {
        "circuit.hidden": {"name": "cubic_rate", "tau": "20 ms"},
        "circuit.schemes.fa.rule": {"name": "presynaptic_decay"},
        "task.examples": 6,
        "task.test_examples": 3,
        "task.n_in": 5,
        "task.n_out": 3,
        "circuit.sizes": [5, 4, 3],
    }
    found = bioFA.verify(bioFA.load("leaky", changes), presentations=10)
    assert found.agrees, str(found)


def test_the_format_of_the_recipe_is_found_by_its_name(tmp_path, monkeypatch):
    file = Path("bioFA/exchange/weights_json.py")
    (tmp_path / file.name).write_text(RECIPES[str(file)])
    monkeypatch.setattr(exchange, "__path__", [*exchange.__path__, str(tmp_path)])
    try:
        result = bioFA.simulate(bioFA.load("linear", {"task.examples": 5}), backend="numpy")
        written = exchange.export(result, "weights_json", tmp_path / "weights.json")
    finally:
        sys.modules.pop("bioFA.exchange.weights_json", None)
        vars(exchange).pop("weights_json", None)
    np.testing.assert_array_equal(
        json.loads((tmp_path / "weights.json").read_text())["input_to_hidden.w"], result.state["input_to_hidden.w"]
    )
    assert "weights alone" in written.lost[0]


def test_whatever_states_a_version_states_the_same():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    codemeta = json.loads((ROOT / "codemeta.json").read_text())
    recipe = (ROOT / "packaging" / "recipe.yaml").read_text()
    assert project["version"] == bioFA.__version__ == citation["version"] == codemeta["version"]
    assert f'version: "{project["version"]}"' in recipe
    assert project["license"] == citation["license"] == codemeta["license"].rsplit("/", 1)[1]
    assert (ROOT / "bioFA" / "py.typed").is_file()


def test_the_conda_recipe_asks_for_what_pip_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = {_name(line) for line in project["dependencies"]}
    recipe = yaml.safe_load(re.sub(r"\$\{\{.*?\}\}", "x", (ROOT / "packaging" / "recipe.yaml").read_text()))
    given = {line.split(" ")[0].lower() for line in recipe["requirements"]["run"]} - {"python", "cxx-compiler", "x"}
    names = {"matplotlib": "matplotlib-base"}
    assert given == {names.get(name, name) for name in asked}


def test_the_lock_of_uv_is_of_what_pyproject_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    locked = tomllib.loads((ROOT / "uv.lock").read_text())
    own = next(package for package in locked["package"] if package["name"] == "biofa")
    extras = project["optional-dependencies"]
    asked = sorted((_name(line), "") for line in project["dependencies"])
    asked += sorted((_name(line), extra) for extra, lines in extras.items() for line in lines)
    given = [
        (entry["name"], extra[1] if (extra := re.search(r"extra == '(\w+)'", entry.get("marker", ""))) else "")
        for entry in own["metadata"]["requires-dist"]
    ]
    assert sorted(given) == sorted(asked)
    assert locked["requires-python"].replace(" ", "") == project["requires-python"]
    assert all("pypi.org" in p["source"].get("registry", "pypi.org") for p in locked["package"])


def _name(line):
    return re.split(r"[<>=;\[ ]", line, maxsplit=1)[0].lower()
