"""Bad input, case by case: exit code 2, one message with place, given, expected and what to do, and nothing written."""

import copy
import math

import numpy as np
import pytest
import tomli_w
from click.testing import CliRunner

import bioFA
from bioFA.cli import main

TASK = {"name": "linear_teacher", "n_in": 3, "n_out": 2, "examples": 20, "test_examples": 5}
LAYERED = {"name": "small", "circuit": {"name": "layered", "sizes": [3, 4, 2]}, "task": TASK}
EXPLICIT = {
    "name": "small",
    "circuit": {
        "name": "network",
        "populations": [
            {"name": "input", "size": 3, "neuron": {"name": "rate_source", "of": "inputs"}},
            {"name": "output", "size": 2, "neuron": "static_rate"},
            {"name": "target", "size": 2, "neuron": {"name": "rate_source", "of": "targets"}},
            {"name": "mismatch", "size": 2, "neuron": "error_unit"},
        ],
        "pathways": [
            {"name": "input_to_output", "source": "input", "target": "output", "weights": "normal", "plasticity": "delta_rule"},
            {"name": "target_to_mismatch", "source": "target", "target": "mismatch", "port": "target", "weights": "identity"},
            {"name": "output_to_mismatch", "source": "output", "target": "mismatch", "port": "prediction", "weights": "identity"},
            {"name": "mismatch_to_output", "source": "mismatch", "target": "output", "port": "error", "weights": "identity"},
        ],
    },
    "task": TASK,
}


def pathway(name, source, target, weights, **others):
    return {"name": name, "source": source, "target": target, "weights": weights, **others}


def changed(base, changes):
    """A model file's tables with values put in place, by dotted key; a number is a place in a list, '+' its end, None takes away."""
    tables = copy.deepcopy(base)
    for key, value in changes.items():
        *parents, last = key.split(".")
        part = tables
        for parent in parents:
            part = part[int(parent)] if isinstance(part, list) else part.setdefault(parent, {})
        if last == "+":
            part.append(value)
        elif value is None:
            del part[last]
        else:
            part[int(last) if isinstance(part, list) else last] = value
    return tables


LEAKY = "circuit.hidden"
RULE = "circuit.schemes.fa.rule"
FROM_FILE = "circuit.weights"


def leaky(**fields):
    return {"name": "leaky_rate", **fields}


def first_weights(**fields):
    return [fields, "uniform"]


# name: changes to the layered model, and what the message must say: the place, what was given, what was expected, what to do
LAYERED_CASES = {
    # misspelt keys, at every level
    "key of the experiment": ({"taks": "digits"}, ["Experiment", "'taks'", "Did you mean 'task'?", "Known: circuit"]),
    "key of the circuit": ({"circuit.size": [3, 4, 2]}, ["circuit: ", "'size'", "Layered", "Did you mean 'sizes'?"]),
    "key of a neuron": ({LEAKY: leaky(taw="10 ms")}, ["hidden: ", "'taw'", "LeakyRate", "Did you mean 'tau'?"]),
    "key of a scheme": ({"circuit.schemes.fa": {"rul": "local_error"}}, ["schemes.fa: ", "'rul'", "FeedbackAlignment", "Did you mean 'rule'?"]),
    "key of a rule": ({RULE: {"name": "local_error", "learning_rat": 1.0}}, ["rule: ", "'learning_rat'", "Did you mean 'learning_rate'?"]),
    "key of a task": ({"task.example": 3}, ["task: ", "'example'", "LinearTeacher", "Did you mean 'examples'?"]),
    "key of the protocol": ({"protocol.epoch": 3}, ["Protocol", "'epoch'", "Did you mean 'epochs'?"]),
    "key of the record": ({"record.evry": 3}, ["Record", "'evry'", "Did you mean 'every'?"]),
    "key of weights": ({"circuit.weights": {"name": "uniform", "hi": 1.0}}, ["weights: ", "'hi'", "Uniform", "Known: high, low"]),
    "key that Python would take": ({"self": 1}, ["Experiment", "'self'", "Known: circuit"]),
    # misspelt names, at every level
    "name of a circuit": ({"circuit.name": "layerd"}, ["circuit: ", "'layerd'", "Did you mean 'layered'?"]),
    "circuit without a name": ({"circuit.name": None}, ["circuit: ", "needs a name", "got {'sizes'", "layered, network"]),
    "name of a neuron model": ({LEAKY: "leaky_rat"}, ["hidden: ", "'leaky_rat'", "Did you mean 'leaky_rate'?", "static_rate"]),
    "name of a rule": ({RULE: "local_eror"}, ["rule: ", "'local_eror'", "Did you mean 'local_error'?"]),
    "name of the scheme": ({"circuit.scheme": "shalow"}, ["learning scheme", "'shalow'", "Did you mean 'shallow'?", "Known: arbp, bp,"]),
    "name among schemes": ({"circuit.schemes.fb": {}}, ["schemes.fb: ", "'fb'", "Known: arbp, bp,"]),
    "scheme under another name": ({"circuit.schemes.fa": {"name": "bp"}}, ["schemes.fa", "'bp'", "Give it under its own name"]),
    "name of a task": ({"task.name": "digit"}, ["task: ", "'digit'", "Did you mean 'digits'?"]),
    "name of weights": ({"circuit.weights": "unifrom"}, ["weights: ", "'unifrom'", "Did you mean 'uniform'?"]),
    "name of an activation": ({LEAKY: {"name": "static_rate", "activation": "tan"}}, ["StaticRate.activation", "'tan'", "'linear', 'tanh'"]),
    "name of what is recorded": ({"record.variables": ["hiden.r"]}, ["Record.variables", "'hiden.r'", "Did you mean 'hidden.r'?"]),
    "a number for a neuron model": ({LEAKY: 3}, ["hidden: ", "got 3", "a name or a table with a name", "Known: "]),
    "no task": ({"task": None}, ["Experiment.task", "missing", "needs: name, circuit, task"]),
    # units
    "unit of another dimension": ({LEAKY: leaky(tau="10 mV")}, ["LeakyRate.tau", "'10 mV'", "does not measure what 's' measures", "'20 ms'"]),
    "no unit": ({LEAKY: leaky(tau="10")}, ["LeakyRate.tau", "'10'", "has no unit", "'20 ms'"]),
    "unknown unit": ({LEAKY: leaky(tau="10 msec")}, ["LeakyRate.tau", "unknown unit 'msec'", "'20 ms'", "'10 msec'"]),
    "unit without a number": ({LEAKY: leaky(tau="ms")}, ["LeakyRate.tau", "not a number with a unit", "'20 ms'", "got 'ms'"]),
    # numbers
    "negative time constant": ({LEAKY: leaky(tau="-10 ms")}, ["hidden: LeakyRate.tau", "must be > 0 s", "got '-10 ms'"]),
    "NaN for a time": ({LEAKY: leaky(tau=math.nan)}, ["LeakyRate.tau", "finite number", "got nan"]),
    "truth value for a time": ({LEAKY: leaky(tau=True)}, ["LeakyRate.tau", "must be a number", "got True"]),
    "NaN for a learning rate": ({RULE: {"name": "local_error", "learning_rate": math.nan}}, ["rule: LocalError.learning_rate", "finite", "got nan"]),
    "negative learning rate": ({RULE: {"name": "local_error", "learning_rate": -1.0}}, ["LocalError.learning_rate", ">= 0", "got -1.0"]),
    "text for a number": (
        {RULE: {"name": "local_error", "learning_rate": "1e-3"}},
        ["LocalError.learning_rate", "must be a number", "got '1e-3'", "without quotes: 1e-3"],
    ),
    "truth value for a number": ({RULE: {"name": "local_error", "learning_rate": True}}, ["LocalError.learning_rate", "a number", "got True"]),
    "infinite weights": ({"circuit.weights": {"name": "normal", "scale": math.inf}}, ["weights: Normal.scale", "finite", "got inf"]),
    "weights upside down": ({"circuit.weights": {"name": "uniform", "low": 1.0, "high": -1.0}}, ["weights: Uniform", "high must be >= low", "high = -1"]),
    "no noise to correlate with": ({"circuit.schemes.np": {"sigma": 0.0}}, ["schemes.np: NodePerturbation.sigma", ">= 1e-100", "got 0.0"]),
    "text for a truth value": ({"protocol.shuffle": "true"}, ["Protocol.shuffle", "true or false", "got 'true'", "without quotes: true"]),
    "number for a text": ({"name": 3}, ["Experiment.name", "must be text", "got 3"]),
    # times
    "no time step": ({"protocol": {"dt": "0 ms", "presentation": "10 ms"}}, ["Protocol.dt", "must be > 0 s", "got '0 ms'"]),
    "time step alone": ({"protocol": {"dt": "1 ms"}}, ["Protocol.presentation", "missing", "give both"]),
    "presentation of broken steps": (
        {"protocol": {"dt": "3 ms", "presentation": "10 ms"}}, ["Protocol.presentation", "dt = 0.003 s", "got 0.01 s", "nearest is 0.009 s"],
    ),
    "learning that never begins": (
        {"protocol": {"dt": "1 ms", "presentation": "10 ms", "learning_onset": "10 ms"}}, ["Protocol.learning_onset", "< presentation", "got 0.01 s"],
    ),
    "learning onset in no time": ({"protocol.learning_onset": "1 ms"}, ["Protocol.learning_onset", "0.001 s", "needs dt and presentation"]),
    "leaky network without times": ({LEAKY: "leaky_rate"}, ["'hidden'", "LeakyRate", "protocol.dt", "dt = '1 ms'"]),
    # counts, sizes and shapes
    "no epochs": ({"protocol.epochs": 0}, ["Protocol.epochs", ">= 1", "got 0"]),
    "half an epoch": ({"protocol.epochs": 1.5}, ["Protocol.epochs", "whole number", "got 1.5"]),
    "truth value for a count": ({"protocol.epochs": True}, ["Protocol.epochs", "whole number", "got True"]),
    "no examples": ({"task.examples": 0}, ["LinearTeacher.examples", ">= 1", "got 0"]),
    "empty layer": ({"circuit.sizes": [3, 0, 2]}, ["circuit: Layered.sizes.1", ">= 1", "got 0"]),
    "absurd layer": ({"circuit.sizes": [3, 10**24, 2]}, ["Layered.sizes.1", "<= 2147483647", "got 1000000000000000000000000"]),
    "one layer": ({"circuit.sizes": [3]}, ["Layered.sizes", "at least 2 entries", "got [3]"]),
    "sizes as text": ({"circuit.sizes": "3,4,2"}, ["Layered.sizes", "must be a list", "got '3,4,2'"]),
    "inputs of another size": ({"circuit.sizes": [5, 4, 2]}, ["'input'", "LinearTeacher", "size is 5", "Give it size 3", "first of sizes"]),
    "targets of another size": ({"circuit.sizes": [3, 4, 9]}, ["'target'", "LinearTeacher", "size is 9", "Give it size 2", "last of sizes"]),
    "too many weights": ({"circuit.weights": ["uniform"] * 3}, ["Layered.weights", "1 entry", "or 2", "[3, 4, 2]", "got 3"]),
    "too many feedback weights": ({"circuit.feedback": ["uniform"] * 2}, ["Layered.feedback", "must have 1 entry", "[3, 4, 2]", "got 2"]),
    "values of another shape": (
        {"circuit.weights": first_weights(name="values", values=[[1.0, 2.0]])}, ["'input_to_hidden'", "(n_post, n_pre) = (4, 3)", "got (1, 2)"],
    ),
    "ragged values": (
        {"circuit.weights": first_weights(name="values", values=[[1.0, 2.0], [1.0]])}, ["Values.values", "rows of equal length", "got [[1.0, 2.0], [1.0]]"],
    ),
    "many wrong values": (
        {"circuit.weights": first_weights(name="values", values=[["a"] * 3] * 4)}, ["Values.values.0.0", "a number", "got 'a'", "7 more"],
    ),
    "NaN among values": (
        {"circuit.weights": first_weights(name="values", values=[[0.0, math.nan, 0.0]] * 4)}, ["Values.values.0.1", "finite", "got nan"],
    ),
    # files
    "no weights file": ({FROM_FILE: first_weights(name="from_file", path="nope.npy")}, ["FromFile.path", "'nope.npy'", "(n_post, n_pre)", "Give the path"]),
    "weights file of another shape": ({FROM_FILE: first_weights(name="from_file", path="wide.npy")}, ["'input_to_hidden'", "(4, 3)", "got (3, 4)"]),
    "weights file with NaN": ({FROM_FILE: first_weights(name="from_file", path="nan.npy")}, ["FromFile.path", "nan.npy'", "not finite", "Replace"]),
    "weights file of objects": ({FROM_FILE: first_weights(name="from_file", path="objects.npy")}, ["FromFile.path", "objects.npy'", "numpy.save"]),
    "weights file of text": ({FROM_FILE: first_weights(name="from_file", path="text.npy")}, ["FromFile.path", "text.npy'", "numpy.save"]),
    "empty weights file": ({FROM_FILE: first_weights(name="from_file", path="empty.npy")}, ["FromFile.path", "empty.npy'", "numpy.save"]),
    "several arrays for weights": ({FROM_FILE: first_weights(name="from_file", path="good.npz")}, ["FromFile.path", "good.npz'", "numpy.save"]),
    "no data file": ({"task": {"name": "arrays", "path": "nope.npz"}}, ["Arrays.path", "'nope.npz'", "numpy.savez"]),
    "data without a path": ({"task": {"name": "arrays"}}, ["task: Arrays.path", "missing"]),
    "data with NaN": ({"task": {"name": "arrays", "path": "nan.npz"}}, ["nan.npz", "'inputs'", "row 2", "Remove or replace"]),
    "data with unequal rows": ({"task": {"name": "arrays", "path": "rows.npz"}}, ["rows.npz", "'targets'", "as 'inputs', 4", "got 5"]),
    "data of objects": ({"task": {"name": "arrays", "path": "objects.npz"}}, ["Arrays.path", "objects.npz'", "numpy.savez"]),
    "data without targets": ({"task": {"name": "arrays", "path": "no_targets.npz"}}, ["no_targets.npz", "'targets' is missing", "it holds: inputs"]),
    "data with a misspelt array": ({"task": {"name": "arrays", "path": "misspelt.npz"}}, ["misspelt.npz", "'label'", "Did you mean 'labels'?"]),
    "labels beyond the targets": ({"task": {"name": "arrays", "path": "labels.npz"}}, ["labels.npz", "'labels'", "from 0 to 1", "got 0 to 2"]),
    "labels in a column": ({"task": {"name": "arrays", "path": "column.npz"}}, ["column.npz", "'labels'", "4 whole numbers", "(4, 1)"]),
    "flat data": ({"task": {"name": "arrays", "path": "flat.npz"}}, ["flat.npz", "'inputs'", "matrix of numbers", "(4,)"]),
    "no data in the file": ({"task": {"name": "arrays", "path": "none.npz"}}, ["none.npz", "'inputs'", "one row an example", "(0, 3)"]),
    "test data of another width": ({"task": {"name": "arrays", "path": "width.npz"}}, ["width.npz", "'test_inputs'", "'inputs', 3", "got 2"]),
    "damaged data": ({"task": {"name": "arrays", "path": "damaged.npz"}}, ["Arrays.path", "damaged.npz'", "numpy.savez"]),
    "one array for data": ({"task": {"name": "arrays", "path": "wide.npy"}}, ["Arrays.path", "wide.npy'", "numpy.savez"]),
}

COPY = pathway("copy", "input", "output", {"name": "shared_with", "pathway": "input_to_output"})
EXPLICIT_CASES = {
    "key of a population": ({"circuit.populations.1.siez": 3}, ["Population", "'siez'", "Did you mean 'size'?"]),
    "key of a pathway": ({"circuit.pathways.0.prot": "drive"}, ["Pathway", "'prot'", "Did you mean 'port'?"]),
    "no populations": ({"circuit.populations": []}, ["Network.populations", "empty", "Describe at least one"]),
    "text for a population": ({"circuit.populations.1": "output"}, ["Network.populations.1", "table", "got 'output'"]),
    "population without a size": ({"circuit.populations.1.size": None}, ["Population.size", "missing", "needs: name, size, neuron"]),
    "fractional size": ({"circuit.populations.1.size": 2.0}, ["Population.size", "whole number", "got 2.0"]),
    "one name twice": ({"circuit.populations.1.name": "input"}, ["'input'", "2 times", "its own name"]),
    "name of two words": ({"circuit.populations.1.name": "Out put"}, ["population 'Out put'", "lower-case", "For example: 'hidden'"]),
    "reserved name": ({"circuit.populations.1.name": "double"}, ["population 'double'", "reserved", "For example: 'hidden'"]),
    "unknown source": ({"circuit.pathways.0.source": "inptu"}, ["'input_to_output'", "source 'inptu'", "Did you mean 'input'?"]),
    "unknown target": ({"circuit.pathways.0.target": "otput"}, ["'input_to_output'", "target 'otput'", "Did you mean 'output'?"]),
    "unknown port": ({"circuit.pathways.3.port": "eror"}, ["'mismatch_to_output'", "StaticRate has no port 'eror'", "Did you mean 'error'?"]),
    "port that nothing reads": (
        {"circuit.pathways.+": pathway("extra", "output", "mismatch", "identity", port="gain")}, ["'extra'", "ErrorUnit", "port 'gain'", "Drop the pathway"],
    ),
    "carries what is not published": ({"circuit.pathways.0.carries": "delta"}, ["'input_to_output'", "'delta'", "RateSource publishes only: r"]),
    "stands for nothing": (
        {"circuit.pathways.3.stands_for": "input_to_outpt"}, ["'mismatch_to_output'", "'input_to_outpt'", "Did you mean 'input_to_output'?"],
    ),
    "rule that reads what its target lacks": (
        {"circuit.pathways.0.target": "mismatch", "circuit.pathways.0.port": "prediction"},
        ["'input_to_output'", "DeltaRule reads 'error'", "ErrorUnit publishes only: mismatch, r, loss", "Use another rule"],
    ),
    "rule that reads an empty port": (
        {"circuit.pathways.0.plasticity": "node_perturbation"},
        ["'input_to_output'", "NodePerturbation reads 'perturbation' of 'output'", "no pathway arrives", "Add a pathway"],
    ),
    "error unit without a prediction": ({"circuit.pathways.2.port": "target"}, ["'mismatch'", "'prediction'", "ErrorUnit needs", "Add a pathway"]),
    "plasticity on shared weights": (
        {"circuit.pathways.+": COPY | {"plasticity": "delta_rule"}}, ["'copy'", "cannot learn", "belong to 'input_to_output'", "Put the plasticity there"],
    ),
    "plasticity on one-to-one weights": (
        {"circuit.pathways.1.plasticity": "delta_rule"}, ["'target_to_mismatch'", "Identity weights are fixed", "Use Values or Normal"],
    ),
    "shared with nothing": (
        {"circuit.pathways.+": COPY | {"weights": {"name": "shared_with", "pathway": "input_to_outpt"}}},
        ["'copy'", "'input_to_outpt'", "Did you mean 'input_to_output'?"],
    ),
    "shared with another shape": (
        {"circuit.pathways.+": COPY | {"weights": {"name": "shared_with", "pathway": "input_to_output", "transposed": True}}},
        ["'copy'", "(n_post, n_pre) = (2, 3)", "'input_to_output' transposed has (3, 2)"],
    ),
    "one-to-one between unequals": ({"circuit.pathways.0.weights": "identity"}, ["'input_to_output'", "equal size", "got 3 to 2"]),
    "unit that drives itself": (
        {"circuit.pathways.+": pathway("loop", "output", "output", "normal")},
        ["form a cycle: output.drive -> output.r -> output.drive", "LeakyRate", "remove a pathway"],
    ),
    "cycle through the error": (
        {"circuit.pathways.+": pathway("loop", "mismatch", "output", "normal")}, ["form a cycle", "-> mismatch.r -> output.drive", "remove a pathway"],
    ),
    "nothing to learn from": (
        {"circuit.populations.2.neuron": "noise_source"}, ["nothing compares", "targets", "Add an ErrorUnit"],
    ),
}

# name: arguments, and what the message must say
COMMANDS = {
    "no model": (["run"], ["MODEL", "biofa run --help"]),
    "unknown model": (["run", "linea"], ["'linea'", "Did you mean 'linear'?", ".toml"]),
    "no model file": (["run", "nope.toml"], ["'nope.toml'", "built-in name", "linear"]),
    "folder for a model file": (["show", "folder.toml"], ["'folder.toml'", "Give a path to a .toml file"]),
    "not TOML": (["show", "broken.toml"], ["broken.toml", "not valid TOML", "line 1", "biofa show"]),
    "binary model file": (["show", "binary.toml"], ["binary.toml", "not text in UTF-8", "biofa show"]),
    "data for a model file": (["show", "huge.toml"], ["huge.toml", "at most 1000000 bytes", "1000001", ".npz"]),
    "unknown command": (["rnu", "linear"], ["'rnu'", "Did you mean 'run'?"]),
    "unknown option": (["run", "linear", "--sed", "3"], ["'--sed'", "--seed"]),
    "unknown scheme": (["run", "linear", "--scheme", "shalow"], ["learning scheme 'shalow'", "Did you mean 'shallow'?", "Known: arbp, bp,"]),
    "scheme for an explicit network": (["run", "explicit.toml", "--scheme", "bp"], ["layered circuit only", "'small'", "pathway by pathway"]),
    "unknown backend": (["run", "linear", "--backend", "nunpy"], ["backend 'nunpy'", "Did you mean 'numpy'?", "Known: cpp, numpy"]),
    "negative seed": (["run", "linear", "--seed", "-1"], ["'--seed'", ">= 0", "got '-1'", "--seed 1"]),
    "fractional seed": (["run", "linear", "--seed", "1.5"], ["'--seed'", "whole number", "got '1.5'", "--seed 1"]),
    "seed beyond every file": (["run", "linear", "--seed", str(2**63), "--backend", "numpy"], ["seed", "2**63 - 1", f"got {2**63}", "seed = 1"]),
    "nothing to verify": (["verify", "linear", "--presentations", "0"], ["'--presentations'", ">= 1", "got '0'"]),
    "change without a value": (["run", "linear", "--set", "protocol.epochs"], ["--set", "key=value", "'protocol.epochs'", "protocol.epochs=5"]),
    "change of nothing": (["run", "linear", "--set", "=5"], ["--set", "key=value", "'=5'"]),
    "change of an unknown key": (["run", "linear", "--set", "protocol.epoch=5"], ["Protocol", "'epoch'", "Did you mean 'epochs'?"]),
    "change inside a value": (["run", "linear", "--set", "circuit.sizes.a=5"], ["'circuit.sizes.a'", "single value", "biofa show"]),
    "change to text": (["run", "linear", "--set", "protocol.epochs=many"], ["Protocol.epochs", "whole number", "got 'many'"]),
    "change nested too deeply": (["run", "linear", "--set", "circuit.sizes=" + "[" * 3000], ["Layered.sizes", "must be a list"]),
    "change with too many digits": (["run", "linear", "--set", "protocol.epochs=1" + "0" * 5000], ["Protocol.epochs", "whole number"]),
    "noise without size": (["run", "linear", "--scheme", "np", "--set", "circuit.schemes.np.sigma=1e-200"], ["sigma", ">= 1e-100", "1e-200"]),
    "range without end": (
        ["run", "linear", "--set", 'circuit.weights={name="uniform",low=-1e308,high=1e308}'], ["high - low", "finite", "1e+308"],
    ),
    "steps without number": (["run", "leaky", "--set", "protocol.dt=1e-310"], ["Protocol.presentation", "1000000000 steps", "larger dt"]),
    "name of a folder too long": (["run", "linear", "--backend", "numpy", "--out", "x" * 300], ["--out", "cannot be a folder", "--out DIR"]),
    "folder without a name": (["run", "linear", "--backend", "numpy", "--out", ""], ["--out", "no name", "results/mine"]),
    "name of a model too long": (["run", "x" * 5000 + ".toml"], ["there is no model file", "built-in name"]),
    "name that cannot be printed": (["run", "linear", "--set", 'name="a\\u0007b"'], ["Experiment.name", "printable"]),
    "density of nothing": (["run", "explicit.toml", "--set", "circuit.pathways=[]"], ["nothing arrives", "'target'"]),
    "unknown data set": (["data", "get", "mnst"], ["'mnst'", "Did you mean 'mnist'?"]),
    "folder with a result": (["run", "linear", "--backend", "numpy", "--out", "taken"], ["--out", "'taken'", "already holds a result", "another folder"]),
    "folder with a figure": (["run", "linear", "--backend", "numpy", "--out", "drawn"], ["--out", "'drawn'", "weights.pdf", "new folder"]),
    "file for a folder": (["run", "linear", "--backend", "numpy", "--out", "wide.npy"], ["--out", "wide.npy'", "not a folder", "of your own"]),
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with files that are wrong in one way each."""
    monkeypatch.chdir(tmp_path)
    inputs, targets = np.ones((4, 3)), np.ones((4, 2))
    np.savez("good.npz", inputs=inputs, targets=targets)
    np.savez("nan.npz", inputs=np.where(np.arange(4)[:, np.newaxis] == 2, np.nan, inputs), targets=targets)
    np.savez("rows.npz", inputs=inputs, targets=np.ones((5, 2)))
    np.savez("objects.npz", inputs=np.array([["a", None, 1]], dtype=object), targets=targets[:1])
    np.savez("no_targets.npz", inputs=inputs)
    np.savez("misspelt.npz", inputs=inputs, targets=targets, label=np.zeros(4, int))
    np.savez("labels.npz", inputs=inputs, targets=targets, labels=np.array([0, 1, 2, 0]))
    np.savez("column.npz", inputs=inputs, targets=targets, labels=np.zeros((4, 1), int))
    np.savez("flat.npz", inputs=np.ones(4), targets=targets)
    np.savez("none.npz", inputs=inputs[:0], targets=targets[:0])
    np.savez("width.npz", inputs=inputs, targets=targets, test_inputs=np.ones((4, 2)), test_targets=targets)
    np.save("wide.npy", np.ones((3, 4)))
    np.save("nan.npy", np.full((4, 3), np.nan))
    np.save("objects.npy", np.array([[None]], dtype=object))
    (tmp_path / "damaged.npz").write_bytes((tmp_path / "good.npz").read_bytes()[:200])
    (tmp_path / "text.npy").write_text("0.1 0.2")
    (tmp_path / "empty.npy").touch()
    (tmp_path / "broken.toml").write_text("name = small")
    (tmp_path / "binary.toml").write_bytes(bytes(range(256)))
    (tmp_path / "huge.toml").write_bytes(b"#" * 1_000_001)
    (tmp_path / "explicit.toml").write_text(tomli_w.dumps(EXPLICIT))
    (tmp_path / "folder.toml").mkdir()
    for place, name in (("taken", "result.h5"), ("drawn", "weights.pdf")):
        (tmp_path / place).mkdir()
        (tmp_path / place / name).write_text("precious")
    return tmp_path


def contents(folder):
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def check(folder, arguments, fragments):
    before = contents(folder)
    outcome = CliRunner().invoke(main, arguments)
    assert outcome.exit_code == 2, (outcome.stderr, outcome.exception)
    assert outcome.stderr.startswith("biofa: ")
    assert outcome.stdout == ""
    for fragment in fragments:
        assert fragment in outcome.stderr
    assert contents(folder) == before


@pytest.mark.parametrize("case", LAYERED_CASES)
def test_a_wrong_layered_model_is_refused(folder, case):
    changes, fragments = LAYERED_CASES[case]
    (folder / "model.toml").write_text(tomli_w.dumps(changed(LAYERED, changes)))
    check(folder, ["run", "model.toml", "--backend", "numpy"], fragments)


@pytest.mark.parametrize("case", EXPLICIT_CASES)
def test_a_wrong_explicit_network_is_refused(folder, case):
    changes, fragments = EXPLICIT_CASES[case]
    (folder / "model.toml").write_text(tomli_w.dumps(changed(EXPLICIT, changes)))
    check(folder, ["run", "model.toml", "--backend", "numpy"], fragments)


@pytest.mark.parametrize("case", COMMANDS)
def test_a_wrong_command_is_refused(folder, case):
    check(folder, *COMMANDS[case])


@pytest.mark.parametrize("base", [LAYERED, EXPLICIT], ids=["layered", "explicit"])
def test_the_models_that_the_cases_change_are_right(folder, base):
    (folder / "model.toml").write_text(tomli_w.dumps(base))
    assert bioFA.load("model.toml").network.plastic()


def test_python_gets_the_same_message_as_the_command_line(folder):
    with pytest.raises(bioFA.ModelError, match=r"linear.toml: unknown field 'epoch' in Protocol. Did you mean 'epochs'\?"):
        bioFA.load("linear", {"protocol.epoch": 3})


@pytest.mark.parametrize("seed", [-1, 1.5, True, "1", None, 2**63])
def test_a_seed_that_is_no_seed_is_refused(seed):
    with pytest.raises(bioFA.ModelError, match="seed must be a whole number"):
        bioFA.draw(bioFA.load("linear"), seed)
