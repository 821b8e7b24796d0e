"""Wrong Python files of somebody's own, wrong names of what is in them, and code in a file of a stranger."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import tomli_w

from bioFA.own_code.files import LARGEST
from bioFA.selftest.case import Case

RULE, NEURON = "circuit.schemes.fa.rule", "circuit.hidden"
OWN = """from bioFA.neurons.static_rate import StaticRate
from bioFA.rules.local_error import LocalError


class OwnRule(LocalError):
    "A rule."


class OwnUnit(StaticRate):
    "A neuron."
"""
FILES = {
    "good.py": OWN,
    "syntax.py": "class OwnRule(\n    pass\n",
    "error.py": "import math\n\nmath.sqrt(-1)\n",
    "missing.py": "import no_such_package\n",
    "beside.py": "import good\n",
    "relative.py": "from .good import OwnRule\n",
    "elsewhere.py": "from bioFA.rules.local_error import LocalError\n",
    "taken.py": (
        "from bioFA import rules\n\n\n@rules.family.add\nclass LocalError(rules.PlasticityRule):\n    learning_rate:"
        " float = 1.0\n"
    ),
    "large.py": "#" * (LARGEST + 1),
    "my rules.py": OWN,
}
NEVER_RUN = "'''Code of a stranger, which never runs.'''\n"


def write(folder: Path, layered: dict[str, Any]) -> None:
    """Write the files into a folder `own`, and descriptions that hold code, made of a layered model."""
    (folder / "own").mkdir()
    for name, text in FILES.items():
        (folder / "own" / name).write_text(text)
    (folder / "own" / "binary.py").write_bytes(b"\xff\xfe\x00")
    (folder / "own" / "folder.py").mkdir()
    entry = {"sha256": hashlib.sha256(NEVER_RUN.encode()).hexdigest(), "text": NEVER_RUN}
    for name, code in {
        "stranger": {"own.py": entry},
        "altered": {"own.py": entry | {"text": f"{NEVER_RUN}\n"}},
        "outside": {"../own.py": entry},
        "no_text": {"own.py": {"text": NEVER_RUN}},
        "lost": {"own.py": {"sha256": entry["sha256"]}},
    }.items():
        (folder / f"{name}.toml").write_text(tomli_w.dumps(layered | {"code": code}))


CASES: dict[str, Case] = {
    "own code that is not Python": Case(
        "broken-code", {RULE: "own/syntax.py:OwnRule"}, RULE, "line 1: is not valid Python", "Mend it.", ("syntax.py",)
    ),
    "own code that ends in an error": Case(
        "broken-code",
        {RULE: "own/error.py:OwnRule"},
        RULE,
        "line 3, running it ended in ValueError",
        "Mend it",
        ("error.py",),
    ),
    "own code with a package that is missing": Case(
        "broken-code",
        {RULE: "own/missing.py:OwnRule"},
        RULE,
        "ModuleNotFoundError: No module named 'no_such_package'",
        "Install what it imports",
    ),
    "own code that imports what lies beside it": Case(
        "broken-code", {RULE: "own/beside.py:OwnRule"}, RULE, "imports good.py", "put what it needs into it"
    ),
    "own code with a relative import": Case(
        "broken-code", {RULE: "own/relative.py:OwnRule"}, RULE, "line 1: a relative import", "put what it needs into it"
    ),
    "own code that takes a name": Case(
        "broken-code",
        {RULE: "own/taken.py:LocalError"},
        RULE,
        "a plasticity rule 'local_error' already",
        "Give the class another name",
    ),
    "own code that is not there": Case(
        "no-such-file", {RULE: "own/none.py:OwnRule"}, RULE, "own/none.py", "beside the model file"
    ),
    "own class that is not there": Case(
        "unknown-name", {RULE: "own/good.py:OwnRul"}, RULE, "'OwnRul'", "Did you mean 'OwnRule'?", ("good.py",)
    ),
    "own class that is imported there": Case(
        "unknown-name", {RULE: "own/elsewhere.py:LocalError"}, RULE, "'LocalError'", "imported there", ("Known: none",)
    ),
    "own neuron as a rule": Case(
        "wrong-type",
        {RULE: "own/good.py:OwnUnit"},
        RULE,
        "it derives from StaticRate",
        "derives from bioFA.rules.PlasticityRule",
    ),
    "own rule as a neuron": Case(
        "wrong-type",
        {NEURON: "own/good.py:OwnRule"},
        NEURON,
        "it derives from LocalError",
        "derives from bioFA.neurons.NeuronModel",
    ),
    "key of an own rule": Case(
        "unknown-field",
        {RULE: {"name": "own/good.py:OwnRule", "learning_rat": 1.0}},
        f"{RULE}.learning_rat",
        "'learning_rat'",
        "Did you mean 'learning_rate'?",
        ("OwnRule",),
    ),
    "own code in a folder": Case(
        "wrong-kind", {RULE: "own/folder.py:OwnRule"}, RULE, "no plain file", "such as my_rules.py"
    ),
    "own code that is no text": Case(
        "wrong-kind", {RULE: "own/binary.py:OwnRule"}, RULE, "not text in UTF-8", "such as my_rules.py"
    ),
    "own code that is too large": Case(
        "too-large", {RULE: "own/large.py:OwnRule"}, RULE, f"more than {LARGEST} bytes", "Put data into a file"
    ),
    "own code with a name that is none": Case(
        "unsafe-path", {RULE: "own/my rules.py:OwnRule"}, RULE, "'my rules.py'", "such as my_rules.py"
    ),
    "code of a stranger": Case(
        "untrusted-code",
        ["run", "stranger.toml", "--backend", "numpy"],
        "stranger.toml",
        "own.py",
        "--trust-code",
        ("biofa code", "has not run here before"),
    ),
    "kept code that was altered": Case(
        "changed-since", ["run", "altered.toml", "--backend", "numpy"], "altered.toml", "own.py", "Put it back"
    ),
    "kept code that leads outside": Case(
        "unsafe-path", ["run", "outside.toml", "--backend", "numpy"], "outside.toml", "'../own.py'", "Do not trust it"
    ),
    "kept code without a digest": Case(
        "damaged-file", ["run", "no_text.toml", "--backend", "numpy"], "no_text.toml", "[code]", "Get the file anew"
    ),
    "kept code that is lost": Case(
        "no-such-file", ["run", "lost.toml", "--backend", "numpy"], "lost.toml", "own.py", "beside the model file"
    ),
}
"""By name; `in_folder` of the table of wrong inputs writes what they name."""
