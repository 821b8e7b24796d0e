"""Wrong input, case by case: refused with exit code 2, and one message with code, place,
what was found and what to do; nothing is written."""

import ast
import inspect
import sys
from pathlib import Path

import numpy as np
import pytest
import tomli_w

import bioFA
from bioFA import errors
from bioFA.modelfiles.locate import located
from bioFA.network import Network
from bioFA.neurons.leaky_rate import LeakyRate
from bioFA.selftest import bad_inputs
from bioFA.selftest.bad_inputs import CASES, EXPLICIT, LAYERED, arguments
from bioFA.selftest.taught_inputs import TAUGHT

PACKAGE = Path(bioFA.__file__).parent
DOCS = Path(__file__).resolve().parent.parent / "docs"


@pytest.fixture
def folder(tmp_path):
    """The current folder, with files that are wrong in one way each."""
    with bad_inputs.in_folder(tmp_path):
        yield tmp_path


@pytest.mark.parametrize("case", CASES)
def test_wrong_input_is_refused_with_code_place_and_fix(folder, case):
    assert bad_inputs.faults_of(CASES[case]) == []


def test_there_are_at_least_a_hundred_cases_of_every_kind_of_input():
    assert len(CASES) >= 100
    assert {case.base if isinstance(case.given, dict) else "command" for case in CASES.values()} == {
        "free",
        "layered",
        "explicit",
        "taught",
        "command",
    }


@pytest.mark.parametrize("base", [LAYERED, EXPLICIT, TAUGHT], ids=["layered", "explicit", "taught"])
def test_the_models_that_the_cases_change_are_right(folder, base):
    (folder / "model.toml").write_text(tomli_w.dumps(base))
    assert bioFA.load("model.toml").network.plastic()


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        ({"code": "wrong-type"}, "the code is not wrong-type"),
        ({"place": "circuit.size"}, "does not lead to"),
        ({"found": "'taus'"}, "does not say \"'taus'\""),
        ({"fix": "Did you mean 'taus'?"}, "does not say"),
        ({"given": {}}, "exit code 0"),
    ],
    ids=str,
)
def test_a_message_that_lacks_a_part_is_found(folder, wrong, fault):
    case = CASES["key of the experiment"]
    assert any(fault in found for found in bad_inputs.faults_of(case._replace(**wrong)))


def test_the_line_that_a_message_names_is_the_one_that_is_wrong(folder):
    text = [
        "# a remark",
        'name = "mine"',
        "[circuit]",
        'name = "layered"',
        "sizes = [",
        "  3,",
        "  2,",
        "]",
        "",
        "[circuit.schemes.fa]",
        '# rule = { name = "local_error", learning_rate = -1 }',
        'rule = { name = "local_error", learning_rate = -2 }',
        "[task]",
        'name = "linear_teacher"',
    ]
    (folder / "mine.toml").write_text("\n".join(text))
    with pytest.raises(
        errors.OutOfRange,
        match=(
            r"^mine.toml \(line 12, circuit.schemes.fa.rule.learning_rate\): LocalError.learning_rate must be >= 0;"
            r" got -2"
        ),
    ):
        bioFA.load("mine.toml")
    (folder / "mine.toml").write_text("\n".join(text).replace("-2", "2").replace("  3,", "  3.5,"))
    with pytest.raises(
        errors.WrongType,
        match=r"^mine.toml \(line 5, circuit.sizes.0\): Layered.sizes.0 must be a whole number; got 3.5",
    ):
        bioFA.load("mine.toml")
    with pytest.raises(
        errors.WrongType, match=r"^mine.toml \(circuit.sizes, as changed\): Layered.sizes must be a list; got 3"
    ):
        bioFA.load("mine.toml", {"circuit.sizes": 3})
    with pytest.raises(
        errors.OutOfRange,
        match=r"^linear.toml \(circuit.weights.low, as changed\): Uniform: high must be >= low; got low = 2",
    ):
        bioFA.load("linear", {"circuit.weights.low": 2.0})


def place_of(case):
    """What stands before the message about a wrong model: the file's name, the line and the keys."""
    arguments(CASES[case])
    try:
        bioFA.load("model.toml")
    except errors.BioFAError as error:
        return str(error).partition("): ")[0]
    return "none: it loads"


def test_other_words_in_every_message_leave_the_line_where_it_is(folder, monkeypatch):
    def reworded(error, message="", at=()):
        place = "".join(message.partition("): ")[:2]) if message.startswith("model.toml (") else ""
        errors.BioFAError.__init__(error, f"{place}no such words", at)

    wrong = [name for name, case in CASES.items() if isinstance(case.given, dict)]
    before = {name: place for name in wrong if "(" in (place := place_of(name))}
    assert sum("(line " in place for place in before.values()) > 90
    monkeypatch.setattr(errors.ModelError, "__init__", reworded)
    monkeypatch.setattr(errors.FileError, "__init__", reworded)
    with pytest.raises(errors.ModelError, match="no such words"):
        bioFA.load("linear", {"protocol.epoch": 3})
    assert {name: place_of(name) for name in before} == before


@pytest.mark.parametrize(
    ("at", "place"),
    [
        (("circuit", "sizes", 1), "line 5, circuit.sizes.1"),
        (("circuit", "hidden", "tau"), "line 10, circuit.hidden.tau"),
        (("circuit", "weights", 0, "low"), "line 14, circuit.weights.low"),  # an entry that stands by itself
        (("circuit", "nothing"), "line 3, circuit.nothing"),
        (("nothing", 3), "nothing"),
    ],
)
def test_an_error_is_located_by_its_path_alone(folder, at, place):
    weights = {"name": "uniform", "low": 0}
    table = bad_inputs.changed(LAYERED, {"circuit.hidden": "leaky_rate", "circuit.weights": weights})
    path = folder / "model.toml"
    path.write_text(tomli_w.dumps(table))
    error = located(errors.OutOfRange("Layered.weights: population 'input' is odd.", at=at), path, table, {})
    assert str(error) == f"model.toml ({place}): Layered.weights: population 'input' is odd."


UNIT, RULE = {"name": "static_rate", "activation": "tanh"}, {"name": "local_error", "decay": -1.0}
GIVEN, LACKING = ({"name": "from_file", "path": path} for path in ("good.npy", "nothing.npy"))
TIMES = {"dt": "1 ms", "presentation": "10 ms"}
SECOND_OF_TWO = {
    "circuit.output.activation": {"circuit.hidden": UNIT, "circuit.output": UNIT | {"activation": "tan"}},
    "circuit.feedback.low": {
        "circuit.weights": {"name": "uniform"},
        "circuit.feedback": {"name": "uniform", "low": "a"},
    },
    "circuit.schemes.bp.rule.decay": {"circuit.schemes": {"fa": {"rule": "local_error"}, "bp": {"rule": RULE}}},
    "circuit.weights.1.path": {"circuit.weights": [GIVEN, LACKING]},
    "circuit.feedback.path": {"circuit.weights": [GIVEN, "normal"], "circuit.feedback": LACKING},
    "circuit.bias_weights.path": {"circuit.biases": True, "circuit.bias_weights": LACKING},
    "protocol.phases.1.learns": {"protocol.phases": [{"epochs": 1}, {"epochs": 1, "learns": ["nothing"]}]},
    "circuit.output.tau_syn": {
        "protocol": TIMES,
        "circuit.hidden": {"name": "lif"},
        "circuit.output": {"name": "lif", "tau": "5 ms", "tau_syn": "5 ms"},
    },
}


@pytest.mark.parametrize("place", SECOND_OF_TWO)
def test_of_two_parts_of_a_kind_the_one_that_is_wrong_is_located(folder, place):
    np.save("good.npy", np.ones((4, 3)))
    (folder / "model.toml").write_text(tomli_w.dumps(bad_inputs.changed(LAYERED, SECOND_OF_TWO[place])))
    with pytest.raises(errors.BioFAError, match=rf"^model.toml \(line \d+, {place}\): "):
        bioFA.load("model.toml")


def test_in_python_an_error_holds_its_path_and_begins_with_the_keys_of_the_part():
    hidden = {"name": "hidden", "size": 3, "neuron": {"name": "leaky_rate", "tau": "-1 ms"}}
    with pytest.raises(errors.OutOfRange, match=r"^populations.0.neuron: LeakyRate.tau must be > 0 s") as caught:
        Network(populations=[hidden])
    assert caught.value.at == ("populations", 0, "neuron", "tau")
    with pytest.raises(errors.WrongType, match=r"^LeakyRate.tau must be a number") as caught:
        LeakyRate(tau=[])
    assert caught.value.at == ("tau",)


def test_in_a_large_file_the_keys_are_told_but_no_line_is_looked_for(folder):
    (folder / "large.toml").write_text(
        "\n".join(
            [f"# {'x' * 900}\nmore{n} = 1" for n in range(100)]
            + ['name = "big"', "[circuit]", 'name = "layered"', "sizes = [64, 9, 10]", "[task]", 'name = "digits"']
        )
    )
    with pytest.raises(errors.UnknownField, match=r"^large.toml \(more0\): unknown field 'more0'"):
        bioFA.load("large.toml")


def test_python_gets_the_same_message_as_the_command_line(folder):
    with pytest.raises(
        bioFA.ModelError,
        match=r"linear.toml \(protocol.epoch, as changed\): unknown field 'epoch' in Protocol. Did you mean 'epochs'\?",
    ):
        bioFA.load("linear", {"protocol.epoch": 3})


@pytest.mark.parametrize("seed", [-1, 1.5, True, "1", None, 2**63])
def test_a_seed_that_is_no_seed_is_refused(seed):
    with pytest.raises(bioFA.ModelError, match="seed must be a whole number"):
        bioFA.draw(bioFA.load("linear"), seed)


# codes

def test_every_error_that_bioFA_raises_has_a_code_of_its_own():
    bases = {"BioFAError", "ModelError", "FileError", "MissingError", "RunError"}
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.name == "errors.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert (
                    node.func.id not in bases
                ), f"{path.name}:{node.lineno} raises {node.func.id}, which says nothing. Use one of its classes."


def test_every_code_is_raised_somewhere_and_explained():
    source = "\n".join(path.read_text() for path in PACKAGE.rglob("*.py") if path.name != "errors.py")
    for code, kind in errors.all_codes().items():
        assert kind.__name__ in source, code
        assert len(inspect.getdoc(kind)) > 30, code


def test_the_page_of_errors_is_what_the_table_and_the_classes_say():
    sys.path.insert(0, str(DOCS / "_ext"))
    from errors_page import page

    assert (DOCS / "errors.md").read_text() == page(), "docs/errors.md is old: python docs/_ext/errors_page.py"
