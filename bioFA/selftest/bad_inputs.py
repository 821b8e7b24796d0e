"""Wrong input, case by case: each is refused with exit code 2 and one message with code, place,
what was found and what to do, and nothing is written."""

from __future__ import annotations

import copy
import json
import math
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import tomli_w
from click.testing import CliRunner

from bioFA.exchange.bundle import MANIFEST
from bioFA.selftest import free_inputs, own_code_inputs, taught_inputs
from bioFA.selftest.case import Case
from bioFA.selftest.tally import Tally
from bioFA.system.sealed_hdf5 import SIGNATURE

__all__ = ["CASES", "Case", "arguments", "faults_of", "in_folder", "run", "run_command"]


TASK = {"name": "linear_teacher", "n_in": 3, "n_out": 2, "examples": 20, "test_examples": 5}
LAYERED: dict[str, Any] = {"name": "small", "circuit": {"name": "layered", "sizes": [3, 4, 2]}, "task": TASK}
EXPLICIT: dict[str, Any] = {
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
            {
                "name": "input_to_output",
                "source": "input",
                "target": "output",
                "weights": "normal",
                "plasticity": "delta_rule",
            },
            {
                "name": "target_to_mismatch",
                "source": "target",
                "target": "mismatch",
                "port": "target",
                "weights": "identity",
            },
            {
                "name": "output_to_mismatch",
                "source": "output",
                "target": "mismatch",
                "port": "prediction",
                "weights": "identity",
            },
            {
                "name": "mismatch_to_output",
                "source": "mismatch",
                "target": "output",
                "port": "error",
                "weights": "identity",
            },
        ],
    },
    "task": TASK,
}


def _pathway(name: str, source: str, target: str, weights: Any, **others: Any) -> dict[str, Any]:
    return {"name": name, "source": source, "target": target, "weights": weights, **others}


def changed(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A model file's tables with values put in place, by dotted key; a number is a place in a list, '+' its end,
    None takes away."""
    tables = copy.deepcopy(base)
    for key, value in changes.items():
        *parents, last = key.split(".")
        part: Any = tables
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


def _leaky(**fields: Any) -> dict[str, Any]:
    return {"name": "leaky_rate", **fields}


def _first_weights(**fields: Any) -> list[Any]:
    return [fields, "uniform"]


def _equation(text: str) -> dict[str, str]:
    return {"name": "equation", "equation": f"dw/dt = {text}"}


COPY = _pathway("copy", "input", "output", {"name": "shared_with", "pathway": "input_to_output"})

CASES: dict[str, Case] = {
    # a layered model
    "key of the experiment": Case(
        "unknown-field",
        {"taks": "digits"},
        "taks",
        "'taks'",
        "Did you mean 'task'?",
        ("Experiment", "Known: chosen_on, circuit"),
    ),
    "key of the circuit": Case(
        "unknown-field", {"circuit.size": [3, 4, 2]}, "circuit.size", "'size'", "Did you mean 'sizes'?", ("Layered",)
    ),
    "key of a neuron": Case(
        "unknown-field",
        {LEAKY: _leaky(taw="10 ms")},
        "circuit.hidden.taw",
        "'taw'",
        "Did you mean 'tau'?",
        ("LeakyRate",),
    ),
    "key of a scheme": Case(
        "unknown-field",
        {"circuit.schemes.fa": {"rul": "local_error"}},
        "circuit.schemes.fa.rul",
        "'rul'",
        "Did you mean 'rule'?",
        ("FeedbackAlignment",),
    ),
    "key of a rule": Case(
        "unknown-field",
        {RULE: {"name": "local_error", "learning_rat": 1.0}},
        "circuit.schemes.fa.rule.learning_rat",
        "'learning_rat'",
        "Did you mean 'learning_rate'?",
    ),
    "key of a task": Case(
        "unknown-field",
        {"task.example": 3},
        "task.example",
        "'example'",
        "Did you mean 'examples'?",
        ("LinearTeacher",),
    ),
    "key of the protocol": Case(
        "unknown-field", {"protocol.epoch": 3}, "protocol.epoch", "'epoch'", "Did you mean 'epochs'?", ("Protocol",)
    ),
    "key of the record": Case(
        "unknown-field", {"record.evry": 3}, "record.evry", "'evry'", "Did you mean 'every'?", ("Record",)
    ),
    "key of weights": Case(
        "unknown-field",
        {"circuit.weights": {"name": "uniform", "hi": 1.0}},
        "circuit.weights.hi",
        "'hi'",
        "Did you mean 'high'?",
        ("Uniform", "Known: high, low"),
    ),
    "key that Python would take": Case(
        "unknown-field", {"self": 1}, "self", "'self'", "Known: chosen_on, circuit", ("Experiment",)
    ),
    "name of a circuit": Case(
        "unknown-name", {"circuit.name": "layerd"}, "circuit", "'layerd'", "Did you mean 'layered'?"
    ),
    "circuit without a name": Case(
        "missing-field",
        {"circuit.name": None},
        "circuit",
        "got {'sizes'",
        "one of: layered",
        ("needs a name", "layered, network"),
    ),
    "name of a neuron model": Case(
        "unknown-name",
        {LEAKY: "leaky_rat"},
        "circuit.hidden",
        "'leaky_rat'",
        "Did you mean 'leaky_rate'?",
        ("static_rate",),
    ),
    "name of a rule": Case(
        "unknown-name", {RULE: "local_eror"}, "circuit.schemes.fa.rule", "'local_eror'", "Did you mean 'local_error'?"
    ),
    "name of the scheme": Case(
        "unknown-name",
        {"circuit.scheme": "shalow"},
        "circuit",
        "'shalow'",
        "Did you mean 'shallow'?",
        ("learning scheme", "Known: arbp, bp,"),
    ),
    "name among schemes": Case(
        "unknown-name",
        {"circuit.schemes.fb": {}},
        "circuit.schemes.fb",
        "'fb'",
        "Known: arbp, bp, brsf, dfa, fa",
        ("Known: arbp, bp,",),
    ),
    "scheme under another name": Case(
        "contradiction",
        {"circuit.schemes.fa": {"name": "bp"}},
        "circuit.schemes",
        "'bp'",
        "Give it under its own name",
        ("schemes.fa",),
    ),
    "name of a task": Case("unknown-name", {"task.name": "digit"}, "task", "'digit'", "Did you mean 'digits'?"),
    "name of weights": Case(
        "unknown-name", {"circuit.weights": "unifrom"}, "circuit.weights", "'unifrom'", "Did you mean 'uniform'?"
    ),
    "name of an activation": Case(
        "unknown-name",
        {LEAKY: {"name": "static_rate", "activation": "tan"}},
        "circuit.hidden.activation",
        "'tan'",
        "For example: activation = \"linear\"",
        ("StaticRate.activation", "'linear', 'tanh'"),
    ),
    "name of what is recorded": Case(
        "unknown-name",
        {"record.variables": ["hiden.r"]},
        "record.variables",
        "'hiden.r'",
        "Did you mean 'hidden.r'?",
        ("Record.variables",),
    ),
    "a number for a neuron model": Case(
        "wrong-type", {LEAKY: 3}, "circuit.hidden", "got 3", "Known: adaptive_lif", ("a name or a table with a name",)
    ),
    "no task": Case(
        "missing-field",
        {"task": None},
        "task",
        "Experiment.task",
        "For example: task = { name = \"digits\" }",
        ("missing", "Or let time pass without a task"),
    ),
    "unit of another dimension": Case(
        "wrong-unit",
        {LEAKY: _leaky(tau="10 mV")},
        "circuit.hidden.tau",
        "'10 mV'",
        "such as '20 ms'",
        ("LeakyRate.tau", "does not measure what 's' measures"),
    ),
    "no unit": Case(
        "wrong-unit",
        {LEAKY: _leaky(tau="10")},
        "circuit.hidden.tau",
        "'10'",
        "such as '20 ms'",
        ("LeakyRate.tau", "has no unit"),
    ),
    "unknown unit": Case(
        "wrong-unit",
        {LEAKY: _leaky(tau="10 msec")},
        "circuit.hidden.tau",
        "'20 ms'",
        "such as '20 ms'",
        ("LeakyRate.tau", "unknown unit 'msec'", "'10 msec'"),
    ),
    "unit without a number": Case(
        "wrong-unit",
        {LEAKY: _leaky(tau="ms")},
        "circuit.hidden.tau",
        "got 'ms'",
        "such as '20 ms'",
        ("LeakyRate.tau", "not a number with a unit"),
    ),
    "negative time constant": Case(
        "out-of-range",
        {LEAKY: _leaky(tau="-10 ms")},
        "circuit.hidden.tau",
        "got '-10 ms'",
        "For example: tau = \"10 ms\"",
        ("LeakyRate.tau", "must be > 0 s"),
    ),
    "NaN for a time": Case(
        "wrong-unit",
        {LEAKY: _leaky(tau=math.nan)},
        "circuit.hidden.tau",
        "got nan",
        "For example: tau = \"10 ms\"",
        ("LeakyRate.tau", "finite number"),
    ),
    "truth value for a time": Case(
        "wrong-type",
        {LEAKY: _leaky(tau=True)},
        "circuit.hidden.tau",
        "got True",
        "For example: tau = \"10 ms\"",
        ("LeakyRate.tau", "must be a number"),
    ),
    "NaN for a learning rate": Case(
        "out-of-range",
        {RULE: {"name": "local_error", "learning_rate": math.nan}},
        "circuit.schemes.fa.rule.learning_rate",
        "got nan",
        "For example: learning_rate = 0",
        ("LocalError.learning_rate", "finite"),
    ),
    "negative learning rate": Case(
        "out-of-range",
        {RULE: {"name": "local_error", "learning_rate": -1.0}},
        "circuit.schemes.fa.rule.learning_rate",
        "got -1.0",
        "For example: learning_rate = 0",
        ("LocalError.learning_rate", ">= 0"),
    ),
    "text for a number": Case(
        "wrong-type",
        {RULE: {"name": "local_error", "learning_rate": "1e-3"}},
        "circuit.schemes.fa.rule.learning_rate",
        "got '1e-3'",
        "Write it without quotes: 1e-3",
        ("LocalError.learning_rate", "must be a number"),
    ),
    "truth value for a number": Case(
        "wrong-type",
        {RULE: {"name": "local_error", "learning_rate": True}},
        "circuit.schemes.fa.rule.learning_rate",
        "got True",
        "For example: learning_rate = 0",
        ("LocalError.learning_rate", "a number"),
    ),
    "infinite weights": Case(
        "out-of-range",
        {"circuit.weights": {"name": "normal", "scale": math.inf}},
        "circuit.weights.scale",
        "got inf",
        "For example: scale = 1",
        ("Normal.scale", "finite"),
    ),
    "weights upside down": Case(
        "out-of-range",
        {"circuit.weights": {"name": "uniform", "low": 1.0, "high": -1.0}},
        "circuit.weights",
        "Uniform",
        "For example: low = -0",
        ("high must be >= low", "high = -1"),
    ),
    "no noise to correlate with": Case(
        "out-of-range",
        {"circuit.schemes.np": {"sigma": 0.0}},
        "circuit.schemes.np.sigma",
        "got 0.0",
        "For example: sigma = 0",
        ("NodePerturbation.sigma", ">= 1e-100"),
    ),
    "text for a truth value": Case(
        "wrong-type",
        {"protocol.shuffle": "true"},
        "protocol.shuffle",
        "got 'true'",
        "Write it without quotes: true",
        ("Protocol.shuffle", "true or false"),
    ),
    "number for a text": Case(
        "wrong-type",
        {"name": 3},
        "name",
        "got 3",
        "For example: name = \"digits\"",
        ("Experiment.name", "must be text"),
    ),
    "no time step": Case(
        "out-of-range",
        {"protocol": {"dt": "0 ms", "presentation": "10 ms"}},
        "protocol.dt",
        "got '0 ms'",
        "For example: dt = \"1 ms\"",
        ("Protocol.dt", "must be > 0 s"),
    ),
    "time step alone": Case(
        "missing-field",
        {"protocol": {"dt": "1 ms"}},
        "protocol.presentation",
        "Protocol.presentation",
        "For example: dt = '1 ms', presentation = '100 ms'",
        ("missing", "give both"),
    ),
    "presentation of broken steps": Case(
        "out-of-range",
        {"protocol": {"dt": "3 ms", "presentation": "10 ms"}},
        "protocol.presentation",
        "got 0.01 s",
        "The nearest is",
        ("Protocol.presentation", "dt = 0.003 s", "nearest is 0.009 s"),
    ),
    "learning that never begins": Case(
        "out-of-range",
        {"protocol": {"dt": "1 ms", "presentation": "10 ms", "learning_onset": "10 ms"}},
        "protocol.learning_onset",
        "got 0.01 s",
        "Give an earlier one, or leave it out",
        ("Protocol.learning_onset", "< presentation"),
    ),
    "learning onset in no time": Case(
        "contradiction",
        {"protocol.learning_onset": "1 ms"},
        "protocol.learning_onset",
        "Protocol.learning_onset",
        "For example: dt = '1 ms', presentation = '100 ms'",
        ("0.001 s", "needs dt and presentation"),
    ),
    "leaky network without times": Case(
        "missing-field",
        {LEAKY: "leaky_rate"},
        "circuit",
        "'hidden'",
        "Give protocol",
        ("LeakyRate", "protocol.dt", "dt = '1 ms'"),
    ),
    "no epochs": Case(
        "out-of-range",
        {"protocol.epochs": 0},
        "protocol.epochs",
        "got 0",
        "For example: epochs = 1",
        ("Protocol.epochs", ">= 1"),
    ),
    "half an epoch": Case(
        "wrong-type",
        {"protocol.epochs": 1.5},
        "protocol.epochs",
        "got 1.5",
        "For example: epochs = 1",
        ("Protocol.epochs", "whole number"),
    ),
    "truth value for a count": Case(
        "wrong-type",
        {"protocol.epochs": True},
        "protocol.epochs",
        "got True",
        "For example: epochs = 1",
        ("Protocol.epochs", "whole number"),
    ),
    "no examples": Case(
        "out-of-range",
        {"task.examples": 0},
        "task.examples",
        "got 0",
        "For example: examples = 2000",
        ("LinearTeacher.examples", ">= 1"),
    ),
    "empty layer": Case(
        "out-of-range",
        {"circuit.sizes": [3, 0, 2]},
        "circuit.sizes.1",
        "got 0",
        "For example: sizes = [784, 100, 10]",
        ("Layered.sizes.1", ">= 1"),
    ),
    "absurd layer": Case(
        "out-of-range",
        {"circuit.sizes": [3, 10**24, 2]},
        "circuit.sizes.1",
        "got 1000000000000000000000000",
        "For example: sizes = [784, 100, 10]",
        ("Layered.sizes.1", "<= 2147483647"),
    ),
    "one layer": Case(
        "wrong-shape",
        {"circuit.sizes": [3]},
        "circuit.sizes",
        "got [3]",
        "For example: sizes = [784, 100, 10]",
        ("Layered.sizes", "at least 2 entries"),
    ),
    "sizes as text": Case(
        "wrong-type",
        {"circuit.sizes": "3,4,2"},
        "circuit.sizes",
        "got '3,4,2'",
        "For example: sizes = [784, 100, 10]",
        ("Layered.sizes", "must be a list"),
    ),
    "inputs of another size": Case(
        "wrong-shape",
        {"circuit.sizes": [5, 4, 2]},
        "circuit",
        "'input'",
        "Give it size 3 (in a layered circuit, the first of sizes), o",
        ("LinearTeacher", "size is 5"),
    ),
    "targets of another size": Case(
        "wrong-shape",
        {"circuit.sizes": [3, 4, 9]},
        "circuit",
        "'target'",
        "Give it size 2 (in a layered circuit, the last of sizes), or",
        ("LinearTeacher", "size is 9"),
    ),
    "too many weights": Case(
        "wrong-shape",
        {"circuit.weights": ["uniform"] * 3},
        "circuit.weights",
        "got 3",
        "Give one for all, or one each",
        ("Layered.weights", "1 entry", "or 2", "[3, 4, 2]"),
    ),
    "too many feedback weights": Case(
        "wrong-shape",
        {"circuit.feedback": ["uniform"] * 2},
        "circuit.feedback",
        "got 2",
        "Give one for all, or one each",
        ("Layered.feedback", "must have 1 entry", "[3, 4, 2]"),
    ),
    "values of another shape": Case(
        "wrong-shape",
        {"circuit.weights": _first_weights(name="values", values=[[1.0, 2.0]])},
        "circuit",
        "got (1, 2)",
        "Give one row a postsynaptic neuron, or change the sizes",
        ("'input_to_hidden'", "(n_post, n_pre) = (4, 3)"),
    ),
    "ragged values": Case(
        "out-of-range",
        {"circuit.weights": _first_weights(name="values", values=[[1.0, 2.0], [1.0]])},
        "circuit.weights.0.values",
        "got [[1.0, 2.0], [1.0]]",
        "For example: values = [[0",
        ("Values.values", "rows of equal length"),
    ),
    "many wrong values": Case(
        "wrong-type",
        {"circuit.weights": _first_weights(name="values", values=[["a"] * 3] * 4)},
        "circuit.weights.0.values.0.0",
        "got 'a'",
        "For example: values = [[0",
        ("Values.values.0.0", "a number", "7 more"),
    ),
    "NaN among values": Case(
        "out-of-range",
        {"circuit.weights": _first_weights(name="values", values=[[0.0, math.nan, 0.0]] * 4)},
        "circuit.weights.0.values.0.1",
        "got nan",
        "For example: values = [[0",
        ("Values.values.0.1", "finite"),
    ),
    "no weights file": Case(
        "no-such-file",
        {FROM_FILE: _first_weights(name="from_file", path="nope.npy")},
        "circuit.weights.0.path",
        "'nope.npy'",
        "Give the path of a",
        ("FromFile.path", "(n_post, n_pre)"),
    ),
    "weights file of another shape": Case(
        "wrong-shape",
        {FROM_FILE: _first_weights(name="from_file", path="wide.npy")},
        "circuit",
        "got (3, 4)",
        "Give one row a postsynaptic neuron, or change the sizes",
        ("'input_to_hidden'", "(4, 3)"),
    ),
    "weights file with NaN": Case(
        "wrong-data",
        {FROM_FILE: _first_weights(name="from_file", path="nan.npy")},
        "",
        "FromFile.path",
        "Replace NaN and infinity",
        ("nan.npy'", "not finite"),
    ),
    "weights file of objects": Case(
        "wrong-kind",
        {FROM_FILE: _first_weights(name="from_file", path="objects.npy")},
        "circuit.weights.0.path",
        "FromFile.path",
        "Write it with numpy",
        ("objects.npy'", "numpy.save"),
    ),
    "weights file of text": Case(
        "wrong-kind",
        {FROM_FILE: _first_weights(name="from_file", path="text.npy")},
        "circuit.weights.0.path",
        "FromFile.path",
        "Write it with numpy",
        ("text.npy'", "numpy.save"),
    ),
    "empty weights file": Case(
        "wrong-kind",
        {FROM_FILE: _first_weights(name="from_file", path="empty.npy")},
        "circuit.weights.0.path",
        "FromFile.path",
        "Write it with numpy",
        ("empty.npy'", "numpy.save"),
    ),
    "several arrays for weights": Case(
        "wrong-kind",
        {FROM_FILE: _first_weights(name="from_file", path="good.npz")},
        "circuit.weights.0.path",
        "FromFile.path",
        "Write it with numpy",
        ("good.npz'", "numpy.save"),
    ),
    "no data file": Case(
        "no-such-file",
        {"task": {"name": "arrays", "path": "nope.npz"}},
        "task.path",
        "'nope.npz'",
        "Write one with numpy",
        ("Arrays.path", "numpy.savez"),
    ),
    "data without a path": Case(
        "missing-field",
        {"task": {"name": "arrays"}},
        "task.path",
        "Arrays.path",
        "For example: path = \"data",
        ("missing",),
    ),
    "data with NaN": Case(
        "wrong-data",
        {"task": {"name": "arrays", "path": "nan.npz"}},
        "task.path",
        "'inputs'",
        "Remove or replace it",
        ("nan.npz", "row 2"),
    ),
    "data with unequal rows": Case(
        "wrong-data",
        {"task": {"name": "arrays", "path": "rows.npz"}},
        "task.path",
        "got 5",
        "Give each input its target",
        ("rows.npz", "'targets'", "as 'inputs', 4"),
    ),
    "data of objects": Case(
        "wrong-kind",
        {"task": {"name": "arrays", "path": "objects.npz"}},
        "task.path",
        "Arrays.path",
        "Write it with numpy",
        ("objects.npz'", "numpy.savez"),
    ),
    "data without targets": Case(
        "unknown-column",
        {"task": {"name": "arrays", "path": "no_targets.npz"}},
        "task.path",
        "'targets' is missing",
        "Or name",
        ("no_targets.npz", "it holds: inputs"),
    ),
    "data with a misspelt array": Case(
        "unknown-column",
        {"task": {"name": "arrays", "path": "misspelt.npz"}},
        "task.path",
        "'label'",
        "Did you mean 'labels'?",
        ("misspelt.npz",),
    ),
    "labels beyond the targets": Case(
        "wrong-data",
        {"task": {"name": "arrays", "path": "labels.npz"}},
        "task.path",
        "got 0 to 2",
        "Count the",
        ("labels.npz", "'labels'", "from 0 to 1"),
    ),
    "labels in a column": Case(
        "wrong-data",
        {"task": {"name": "arrays", "path": "column.npz"}},
        "task.path",
        "'labels'",
        "For example: [0, 1, 0, 1]",
        ("column.npz", "4 whole numbers", "(4, 1)"),
    ),
    "flat data": Case(
        "wrong-data",
        {"task": {"name": "arrays", "path": "flat.npz"}},
        "task.path",
        "'inputs'",
        "For example: shape (1000, 784)",
        ("flat.npz", "matrix of numbers", "(4,)"),
    ),
    "no data in the file": Case(
        "wrong-data",
        {"task": {"name": "arrays", "path": "none.npz"}},
        "task.path",
        "'inputs'",
        "For example: shape (1000, 784)",
        ("none.npz", "one row an example", "(0, 3)"),
    ),
    "test data of another width": Case(
        "wrong-data",
        {"task": {"name": "arrays", "path": "width.npz"}},
        "task.path",
        "got 2",
        "Give all splits the same columns",
        ("width.npz", "'test_inputs'", "'inputs', 3"),
    ),
    "damaged data": Case(
        "wrong-kind",
        {"task": {"name": "arrays", "path": "damaged.npz"}},
        "task.path",
        "Arrays.path",
        "Write it with numpy",
        ("damaged.npz'", "numpy.savez"),
    ),
    "one array for data": Case(
        "wrong-kind",
        {"task": {"name": "arrays", "path": "wide.npy"}},
        "task.path",
        "Arrays.path",
        "Write a",
        ("wide.npy'", "numpy.savez"),
    ),
    # a network given pathway by pathway
    "key of a population": Case(
        "unknown-field",
        {"circuit.populations.1.siez": 3},
        "circuit.populations.1.siez",
        "'siez'",
        "Did you mean 'size'?",
        ("Population",),
        base="explicit",
    ),
    "key of a pathway": Case(
        "unknown-field",
        {"circuit.pathways.0.prot": "drive"},
        "circuit.pathways.0.prot",
        "'prot'",
        "Did you mean 'port'?",
        ("Pathway",),
        base="explicit",
    ),
    "no populations": Case(
        "missing-field",
        {"circuit.populations": []},
        "circuit.populations",
        "Network.populations",
        "Describe at",
        ("empty",),
        base="explicit",
    ),
    "text for a population": Case(
        "wrong-type",
        {"circuit.populations.1": "output"},
        "circuit.populations.1",
        "got 'output'",
        "For example: populations = [{ name = \"hidden\", size = 30, ne",
        ("Network.populations.1", "table"),
        base="explicit",
    ),
    "population without a size": Case(
        "missing-field",
        {"circuit.populations.1.size": None},
        "circuit.populations.1.size",
        "Population.size",
        "For example: size = 10",
        ("missing", "needs: name, size, neuron"),
        base="explicit",
    ),
    "fractional size": Case(
        "wrong-type",
        {"circuit.populations.1.size": 2.0},
        "circuit.populations.1.size",
        "got 2.0",
        "For example: size = 10",
        ("Population.size", "whole number"),
        base="explicit",
    ),
    "one name twice": Case(
        "duplicate-name",
        {"circuit.populations.1.name": "input"},
        "circuit",
        "'input'",
        "Give every population and pathway its own name",
        ("2 times",),
        base="explicit",
    ),
    "name of two words": Case(
        "bad-name",
        {"circuit.populations.1.name": "Out put"},
        "circuit.populations.1",
        "population 'Out put'",
        "For example: 'hidden', 'hidden2', 'image_to_hidden'",
        ("lower-case",),
        base="explicit",
    ),
    "reserved name": Case(
        "bad-name",
        {"circuit.populations.1.name": "double"},
        "circuit.populations.1",
        "population 'double'",
        "For example: 'hidden', 'hidden2', 'image_to_hidden'",
        ("reserved",),
        base="explicit",
    ),
    "unknown source": Case(
        "unknown-name",
        {"circuit.pathways.0.source": "inptu"},
        "circuit.pathways.0",
        "'input_to_output'",
        "Did you mean 'input'?",
        ("source 'inptu'",),
        base="explicit",
    ),
    "unknown target": Case(
        "unknown-name",
        {"circuit.pathways.0.target": "otput"},
        "circuit.pathways.0",
        "'input_to_output'",
        "Did you mean 'output'?",
        ("target 'otput'",),
        base="explicit",
    ),
    "unknown port": Case(
        "unknown-name",
        {"circuit.pathways.3.port": "eror"},
        "circuit.pathways.3",
        "'mismatch_to_output'",
        "Did you mean 'error'?",
        ("StaticRate has no port 'eror'",),
        base="explicit",
    ),
    "port that nothing reads": Case(
        "contradiction",
        {"circuit.pathways.+": _pathway("extra", "output", "mismatch", "identity", port="gain")},
        "circuit.pathways.4",
        "'extra'",
        "Drop the pathway or change the neuron",
        ("ErrorUnit", "port 'gain'"),
        base="explicit",
    ),
    "carries what is not published": Case(
        "missing-signal",
        {"circuit.pathways.0.carries": "delta"},
        "circuit.pathways.0",
        "'input_to_output'",
        "Carry one",
        ("'delta'", "RateSource publishes only: r"),
        base="explicit",
    ),
    "stands for nothing": Case(
        "unknown-name",
        {"circuit.pathways.3.stands_for": "input_to_outpt"},
        "circuit.pathways.3",
        "'mismatch_to_output'",
        "Known: input_to_output",
        ("'input_to_outpt'", "Did you mean 'input_to_output'?"),
        base="explicit",
    ),
    "rule that reads what its target lacks": Case(
        "missing-signal",
        {"circuit.pathways.0.target": "mismatch", "circuit.pathways.0.port": "prediction"},
        "circuit.pathways.0",
        "'input_to_output'",
        "Use another rule, or another neuron model for 'mismatch'",
        ("DeltaRule reads 'error'", "ErrorUnit publishes only: mismatch, r, loss"),
        base="explicit",
    ),
    "rule that reads an empty port": Case(
        "missing-signal",
        {"circuit.pathways.0.plasticity": "node_perturbation"},
        "circuit.pathways.0",
        "'input_to_output'",
        "Add a pathway with target = 'output', port = 'perturbation'",
        ("NodePerturbation reads 'perturbation' of 'output'", "no pathway arrives"),
        base="explicit",
    ),
    "error unit without a prediction": Case(
        "missing-signal",
        {"circuit.pathways.2.port": "target"},
        "circuit.populations.3",
        "'mismatch'",
        "Add a pathway with target = 'mismatch', port = 'prediction'",
        ("ErrorUnit needs",),
        base="explicit",
    ),
    "plasticity on shared weights": Case(
        "cannot-learn",
        {"circuit.pathways.+": COPY | {"plasticity": "delta_rule"}},
        "circuit.pathways.4",
        "'copy'",
        "Put the plasticity there",
        ("cannot learn", "belong to 'input_to_output'"),
        base="explicit",
    ),
    "plasticity on one-to-one weights": Case(
        "cannot-learn",
        {"circuit.pathways.1.plasticity": "delta_rule"},
        "circuit.pathways.1",
        "'target_to_mismatch'",
        "Use Values or Normal weights for a plastic pathway",
        ("Identity weights are fixed",),
        base="explicit",
    ),
    "shared with nothing": Case(
        "unknown-name",
        {"circuit.pathways.+": COPY | {"weights": {"name": "shared_with", "pathway": "input_to_outpt"}}},
        "circuit.pathways.4",
        "'copy'",
        "Did you mean 'input_to_output'?",
        ("'input_to_outpt'",),
        base="explicit",
    ),
    "shared with another shape": Case(
        "wrong-shape",
        {
            "circuit.pathways.+": (
                COPY | {"weights": {"name": "shared_with", "pathway": "input_to_output", "transposed": True}}
            )
        },
        "circuit.pathways.4",
        "'copy'",
        "Share with",
        ("(n_post, n_pre) = (2, 3)", "'input_to_output' transposed has (3, 2)"),
        base="explicit",
    ),
    "one-to-one between unequals": Case(
        "wrong-shape",
        {"circuit.pathways.0.weights": "identity"},
        "circuit.pathways.0",
        "got 3 to 2",
        "Use other weights, such as Normal, or equal sizes",
        ("'input_to_output'",),
        base="explicit",
    ),
    "unit that drives itself": Case(
        "cycle",
        {"circuit.pathways.+": _pathway("loop", "output", "output", "normal")},
        "circuit",
        "form a cycle: output.drive -> output.r -> output.drive",
        "make one of them",
        ("LeakyRate", "remove a pathway"),
        base="explicit",
    ),
    "cycle through the error": Case(
        "cycle",
        {"circuit.pathways.+": _pathway("loop", "mismatch", "output", "normal")},
        "circuit",
        "form a cycle",
        "make one of them",
        ("-> mismatch.r -> output.drive", "remove a pathway"),
        base="explicit",
    ),
    "nothing to learn from": Case(
        "missing-signal",
        {"circuit.populations.2.neuron": "noise_source"},
        "",
        "nothing compares",
        "Add an ErrorUnit whose port 'target' receives a RateSource w",
        ("targets",),
        base="explicit",
    ),
    # a command
    "no model": Case("usage", ["run"], "MODEL", "biofa run --help", "See 'biofa run --help'"),
    "unknown model": Case(
        "unknown-model", ["run", "linea"], "'linea'", "Did you mean 'linear'?", "Did you mean 'linear'?", (".toml",)
    ),
    "no model file": Case(
        "no-such-file", ["run", "nope.toml"], "'nope.toml'", "built-in name", "Give a path to a", ("linear",)
    ),
    "folder for a model file": Case(
        "no-such-file", ["show", "folder.toml"], "'folder.toml'", "Give a path to a .toml file", "Give a path to a"
    ),
    "not TOML": Case(
        "wrong-kind", ["show", "broken.toml"], "broken.toml", "not valid TOML", "See 'biofa show digits'", ("line 1",)
    ),
    "binary model file": Case(
        "wrong-kind", ["show", "binary.toml"], "binary.toml", "not text in UTF-8", "see 'biofa show digits'"
    ),
    "data for a model file": Case(
        "too-large", ["show", "huge.toml"], "huge.toml", "at most 1000000 bytes", "Put data into a", ("1000001", ".npz")
    ),
    "unknown command": Case("usage", ["rnu", "linear"], "'rnu'", "Did you mean 'run'?", "Did you mean 'run'?"),
    "unknown option": Case(
        "usage", ["run", "linear", "--sed", "3"], "'--sed'", "--seed", "Did you mean one of: '--scheme', '--seed'"
    ),
    "unknown scheme": Case(
        "unknown-name",
        ["run", "linear", "--scheme", "shalow"],
        "learning scheme 'shalow'",
        "Did you mean 'shallow'?",
        "Did you mean 'shallow'?",
        ("Known: arbp, bp,",),
    ),
    "scheme for an explicit network": Case(
        "unavailable",
        ["run", "explicit.toml", "--scheme", "bp"],
        "is laid along layers",
        "'small'",
        "Leave --scheme out, or name the populations that are the layers",
        ("pathway by pathway",),
    ),
    "unknown backend": Case(
        "unknown-name",
        ["run", "linear", "--backend", "nunpy"],
        "backend 'nunpy'",
        "Did you mean 'numpy'?",
        "Did you mean 'numpy'?",
        ("Known: cpp, numpy",),
    ),
    "negative seed": Case(
        "usage",
        ["run", "linear", "--seed", "-1"],
        "'--seed'",
        "got '-1'",
        "See 'biofa run --help'",
        (">= 0", "--seed 1"),
    ),
    "fractional seed": Case(
        "usage",
        ["run", "linear", "--seed", "1.5"],
        "'--seed'",
        "got '1.5'",
        "See 'biofa run --help'",
        ("whole number", "--seed 1"),
    ),
    "seed beyond every file": Case(
        "out-of-range",
        ["run", "linear", "--seed", str(2**63), "--backend", "numpy"],
        "seed",
        "got 9223372036854775808",
        "For example: seed = 1",
        ("2**63 - 1",),
    ),
    "nothing to verify": Case(
        "usage",
        ["verify", "linear", "--presentations", "0"],
        "'--presentations'",
        "got '0'",
        "See 'biofa verify --help'",
        (">= 1",),
    ),
    "change without a value": Case(
        "bad-change",
        ["run", "linear", "--set", "protocol.epochs"],
        "--set",
        "'protocol.epochs'",
        "For example: --set protocol",
        ("key=value", "protocol.epochs=5"),
    ),
    "change of nothing": Case(
        "bad-change", ["run", "linear", "--set", "=5"], "--set", "'=5'", "For example: --set protocol", ("key=value",)
    ),
    "change of an unknown key": Case(
        "unknown-field", ["run", "linear", "--set", "protocol.epoch=5"], "Protocol", "'epoch'", "Did you mean 'epochs'?"
    ),
    "change inside a value": Case(
        "bad-change",
        ["run", "linear", "--set", "circuit.sizes.a=5"],
        "'circuit.sizes.a'",
        "none has a name",
        "See 'biofa show MODEL'",
    ),
    "change to text": Case(
        "wrong-type",
        ["run", "linear", "--set", "protocol.epochs=many"],
        "Protocol.epochs",
        "got 'many'",
        "For example: epochs = 1",
        ("whole number",),
    ),
    "change nested too deeply": Case(
        "wrong-type",
        ["run", "linear", "--set", "circuit.sizes=" + "[" * 3000],
        "Layered.sizes",
        "must be a list",
        "For example: sizes = [784, 100, 10]",
    ),
    "change with too many digits": Case(
        "wrong-type",
        ["run", "linear", "--set", "protocol.epochs=1" + "0" * 5000],
        "Protocol.epochs",
        "whole number",
        "Write it without quotes: 10000000000000000000000000000000000",
    ),
    "noise without size": Case(
        "out-of-range",
        ["run", "linear", "--scheme", "np", "--set", "circuit.schemes.np.sigma=1e-200"],
        "sigma",
        ">= 1e-100",
        "For example: sigma = 0",
        ("1e-200",),
    ),
    "range without end": Case(
        "out-of-range",
        ["run", "linear", "--set", 'circuit.weights={name="uniform",low=-1e308,high=1e308}'],
        "high - low",
        "finite",
        "For example: low = -0",
        ("1e+308",),
    ),
    "steps without number": Case(
        "out-of-range",
        ["run", "leaky", "--set", "protocol.dt=1e-310"],
        "Protocol.presentation",
        "1000000000 steps",
        "Give a larger dt",
    ),
    "name of a folder too long": Case(
        "cannot-write",
        ["run", "linear", "--backend", "numpy", "--out", "x" * 300],
        "--out",
        "cannot be a folder",
        "Give another with --out DIR",
    ),
    "folder without a name": Case(
        "no-such-file",
        ["run", "linear", "--backend", "numpy", "--out", ""],
        "--out",
        "no name",
        "Give one, such as --out results/mine",
    ),
    "name of a model too long": Case(
        "no-such-file", ["run", "x" * 5000 + ".toml"], "there is no model file", "built-in name", "Give a path to a"
    ),
    "name that cannot be printed": Case(
        "bad-name",
        ["run", "linear", "--set", 'name="a\\u0007b"'],
        "Experiment.name",
        "printable",
        "For example: name = 'digits'",
    ),
    "density of nothing": Case(
        "missing-signal",
        ["run", "explicit.toml", "--set", "circuit.pathways=[]"],
        "nothing arrives",
        "'target'",
        "Add a pathway with target = 'mismatch', port = 'target'",
    ),
    "unknown data set": Case(
        "usage", ["data", "get", "mnst"], "'mnst'", "Did you mean 'mnist'?", "Did you mean 'mnist'?"
    ),
    "folder with a result": Case(
        "place-taken",
        ["run", "linear", "--backend", "numpy", "--out", "taken"],
        "--out",
        "'taken'",
        "Give another folder, or remove that one",
        ("already holds a result",),
    ),
    "folder with a figure": Case(
        "place-taken",
        ["run", "linear", "--backend", "numpy", "--out", "drawn"],
        "--out",
        "'drawn'",
        "Give an empty or new folder with --out DIR",
        ("weights.pdf",),
    ),
    "file for a folder": Case(
        "cannot-write",
        ["run", "linear", "--backend", "numpy", "--out", "wide.npy"],
        "--out",
        "wide.npy'",
        "Give one of your own with --out DIR",
        ("not a folder",),
    ),
    # equations, and data that teach nothing
    "equation that calls what it may not": Case(
        "unknown-name",
        {RULE: _equation("__import__(r_pre)")},
        "circuit.schemes.fa.rule",
        "unknown function '__import__'",
        "Known: abs",
    ),
    "equation with text in it": Case(
        "bad-equation", {RULE: _equation("r_pre*'x'")}, "circuit.schemes.fa.rule", "'x'", "Allowed: numbers, names"
    ),
    "equation that cannot be read": Case(
        "bad-equation", {RULE: _equation("r_pre**")}, "circuit.schemes.fa.rule", "r_pre**'", "Write it like"
    ),
    "equation with an unknown name": Case(
        "unknown-name", {RULE: _equation("r_prae")}, "circuit.schemes.fa.rule", "'r_prae'", "Did you mean 'r_pre'?"
    ),
    "equation with a tower of powers": Case(
        "bad-equation",
        {RULE: _equation("9**9**9**9*r_pre")},
        "circuit.schemes.fa.rule",
        "9 ** 9",
        "Write a smaller number",
    ),
    "equation beyond reading": Case(
        "bad-equation",
        {RULE: _equation("+".join(["r_pre"] * 2000))},
        "circuit.schemes.fa.rule",
        "r_pre+r_pre",
        "Name parts of it",
    ),
    "targets that are all zero": Case(
        "nothing-to-learn",
        [
            "run",
            "linear",
            "--backend",
            "numpy",
            "--set",
            'task={name="arrays",path="zero.npz"}',
            "--set",
            "circuit.sizes=[3,4,2]",
        ],
        "Arrays",
        "all zero",
        "Check the task",
    ),
    # files and folders of other commands
    "result of nothing": Case(
        "no-such-file",
        ["export", "nope.h5", "--to", "nir", "--out", "net.nir"],
        "'nope.h5'",
        "there is no",
        "Give the result.h5",
    ),
    "result cut short": Case(
        "damaged-file",
        ["export", "cut.h5", "--to", "nir", "--out", "net.nir"],
        "'cut.h5'",
        "not a whole HDF5 file",
        "Get it, or make it, anew",
    ),
    "text for a result": Case(
        "damaged-file",
        ["run", "linear", "--weights", "text.npy"],
        "'text.npy'",
        "is not a whole result",
        "Give the result.h5",
    ),
    "unknown format": Case(
        "unknown-name",
        ["export", "cut.h5", "--to", "nri", "--out", "net.nir"],
        "format",
        "'nri'",
        "Did you mean 'nir'?",
    ),
    "nothing to report": Case(
        "no-such-file", ["report", "folder.toml"], "'folder.toml'", "no finished run", "Give the --out folder"
    ),
    "nothing to resume": Case(
        "no-such-file", ["resume", "folder.toml"], "'folder.toml'", "there is no run", "biofa run MODEL"
    ),
    "nothing to check": Case("no-such-file", ["check", "nope"], "'nope'", "nothing at", "Give a result.h5"),
    "bundle that leads out of its folder": Case(
        "unsafe-path", ["import", "escape", "--out", "out.toml"], "manifest.json", "'../model.toml'", "Do not trust it"
    ),
    "bundle with another file": Case(
        "damaged-file", ["import", "changed", "--out", "out.toml"], "model.toml", "changed or damaged", "Get it anew"
    ),
    "bundle of a newer bioFA": Case(
        "wrong-version", ["import", "newer", "--out", "out.toml"], "'newer'", "bundle 99", "Update bioFA"
    ),
    "pickle for a model": Case(
        "wrong-kind", ["show", "pickle.toml"], "pickle.toml", "not text in UTF-8", "see 'biofa show digits'"
    ),
    "array that lies in another file": Case(
        "malformed-file",
        ["run", "linear", "--backend", "numpy", "--set", 'task={name="arrays",path="linked.h5"}'],
        "linked.h5",
        "'/inputs' is a link to another file",
        "Get the file anew",
    ),
    "scheme compared twice": Case(
        "duplicate-name",
        ["compare", "linear", "--schemes", "fa,fa", "--seeds", "2", "--out", "c"],
        "--schemes",
        "'fa' twice",
        "Name each once",
    ),
    "value compared twice": Case(
        "duplicate-name",
        ["compare", "linear", "--seeds", "2", "--set", "protocol.epochs=1,1", "--out", "c"],
        "--set protocol.epochs",
        "got '1,1'",
        "Give each once",
    ),
    "no seeds to compare": Case(
        "usage", ["compare", "linear", "--seeds", "0", "--out", "c"], "'--seeds'", "got '0'", "For example: --seeds 1"
    ),
    "more runs than anybody has": Case(
        "out-of-range",
        ["compare", "linear", "--seeds", "1000000000", "--out", "c"],
        "--seeds",
        "1000000000 runs",
        "Give fewer",
    ),
    "shard beyond the last": Case(
        "usage",
        ["compare", "linear", "--seeds", "2", "--shard", "3/2", "--out", "c"],
        "'--shard'",
        "got '3/2'",
        "--shard 1/8",
    ),
    "tuning without validation data": Case(
        "unavailable",
        ["compare", "linear", "--seeds", "2", "--tune", "--out", "c", "--set", "task.validation_examples=0"],
        "--tune",
        "'linear' has none",
        "Give ",
    ),
    "example that is not there": Case(
        "place-taken", ["init", "taken"], "'taken'", "not empty", "biofa init my_project"
    ),
}
"""By name; a test has one case for each."""


CASES |= free_inputs.CASES | own_code_inputs.CASES | taught_inputs.CASES


@contextmanager
def in_folder(folder: Path) -> Iterator[Path]:
    """A folder as the current one, with files in it that are wrong in one way each."""
    inputs, targets = np.ones((4, 3)), np.ones((4, 2))
    np.savez(folder / "good.npz", inputs=inputs, targets=targets)
    np.savez(folder / "nan.npz", inputs=np.where(np.arange(4)[:, np.newaxis] == 2, np.nan, inputs), targets=targets)
    np.savez(folder / "rows.npz", inputs=inputs, targets=np.ones((5, 2)))
    np.savez(folder / "objects.npz", inputs=np.array([["a", None, 1]], dtype=object), targets=targets[:1])
    np.savez(folder / "no_targets.npz", inputs=inputs)
    np.savez(folder / "misspelt.npz", inputs=inputs, targets=targets, label=np.zeros(4, int))
    np.savez(folder / "labels.npz", inputs=inputs, targets=targets, labels=np.array([0, 1, 2, 0]))
    np.savez(folder / "column.npz", inputs=inputs, targets=targets, labels=np.zeros((4, 1), int))
    np.savez(folder / "flat.npz", inputs=np.ones(4), targets=targets)
    np.savez(folder / "none.npz", inputs=inputs[:0], targets=targets[:0])
    np.savez(folder / "width.npz", inputs=inputs, targets=targets, test_inputs=np.ones((4, 2)), test_targets=targets)
    np.save(folder / "wide.npy", np.ones((3, 4)))
    np.save(folder / "nan.npy", np.full((4, 3), np.nan))
    np.save(folder / "objects.npy", np.array([[None]], dtype=object))
    (folder / "damaged.npz").write_bytes((folder / "good.npz").read_bytes()[:200])
    (folder / "text.npy").write_text("0.1 0.2")
    (folder / "empty.npy").touch()
    (folder / "broken.toml").write_text("name = small")
    (folder / "binary.toml").write_bytes(bytes(range(256)))
    (folder / "huge.toml").write_bytes(b"#" * 1_000_001)
    (folder / "explicit.toml").write_text(tomli_w.dumps(EXPLICIT))
    (folder / "folder.toml").mkdir()
    for place, name in (("taken", "result.h5"), ("drawn", "weights.pdf")):
        (folder / place).mkdir()
        (folder / place / name).write_text("precious")
    for place, name, digest in (("escape", "../model.toml", "0"), ("changed", "model.toml", "0")):
        (folder / place).mkdir()
        (folder / place / "model.toml").write_text("name = 'mine'")
        (folder / place / MANIFEST).write_text(json.dumps({"format": 1, "files": {name: digest}}))
    (folder / "newer").mkdir()
    (folder / "newer" / MANIFEST).write_text(json.dumps({"format": 99, "files": {}}))
    np.savez(folder / "zero.npz", inputs=inputs, targets=np.zeros((4, 2)))
    (folder / "cut.h5").write_bytes(SIGNATURE + bytes(100))
    (folder / "pickle.toml").write_bytes(b"\x80\x04\x95\x05\x00\x00\x00\x00\x00\x00\x00\x8c\x01a\x94.")
    own_code_inputs.write(folder, LAYERED)
    with h5py.File(folder / "linked.h5", "w") as file:
        file["inputs"], file["targets"] = h5py.ExternalLink("other.h5", "/inputs"), targets
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield folder
    finally:
        os.chdir(before)


def arguments(case: Case) -> list[str]:
    """The command that makes the mistake; a model file with it is written into the current folder."""
    if isinstance(case.given, list):
        return case.given
    bases = {"explicit": EXPLICIT, "layered": LAYERED, "free": free_inputs.FREE, "taught": taught_inputs.TAUGHT}
    base = bases[case.base]
    Path("model.toml").write_text(tomli_w.dumps(changed(base, case.given)))
    return ["run", "model.toml", "--backend", "numpy"]


def run_command(command: list[str]) -> tuple[int, str, str]:
    """Give a command in the current folder: exit code, standard output and standard error."""
    from bioFA.cli import main

    outcome = CliRunner().invoke(main, command)
    if outcome.exception is not None and not isinstance(outcome.exception, SystemExit):
        return -1, outcome.stdout, f"{type(outcome.exception).__name__}: {outcome.exception}"
    return outcome.exit_code, outcome.stdout, outcome.stderr


def faults_of(case: Case) -> list[str]:
    """What is wrong with the answer to a mistake made in the current folder; nothing,
    where it is refused as it must be."""
    command = arguments(case)
    before = _contents()
    exit_code, printed, message = run_command(command)
    faults = [f"exit code {exit_code}"] if exit_code != 2 else []
    faults += ["it printed something beside the message"] if printed else []
    faults += ["a file was written or changed"] if _contents() != before else []
    faults += [] if message.startswith(f"biofa: [{case.code}] ") else [f"the code is not {case.code}"]
    faults += [f"it does not say {part!r}" for part in (case.found, case.fix, *case.says) if part not in message]
    if "model.toml" in command and not _leads_to(case, message):
        faults.append(f"it does not lead to {case.place!r}")
    elif "model.toml" not in command and case.place not in message:
        faults.append(f"it does not say {case.place!r}")
    return [f"{fault}: {message.strip()[:300]}" for fault in faults]


def _leads_to(case: Case, message: str) -> bool:
    """Whether a message names the keys in the model file,
    and the line that holds the last of them that the file has."""
    place = re.search(r"model\.toml \((?:line (\d+), )?([^)]*)\): ", message)
    if place is None:
        return case.place in message.removeprefix("biofa: ")
    if place[2] != case.place:
        return False
    if place[1] is None:
        return True
    line = Path("model.toml").read_text().split("\n")[int(place[1]) - 1]
    words = [word for word in case.place.split(".") if not word.isdigit()]
    return any(word in line for word in words)


def _contents() -> dict[Path, bytes | None]:
    return {path: path.read_bytes() if path.is_file() else None for path in Path().rglob("*")}


def run() -> Tally:
    """Make every mistake of the table; count those that are refused with code, place and fix."""
    with tempfile.TemporaryDirectory() as place, in_folder(Path(place)):
        faults = {name: faults_of(case) for name, case in CASES.items()}
    wrong = tuple(f"{name}: {found[0]}" for name, found in faults.items() if found)
    return Tally("bad inputs refused", len(CASES) - len(wrong), len(CASES), ("with code, place and fix", *wrong))
