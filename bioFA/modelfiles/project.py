"""A new project that runs at once: model, a rule of one's own, data, README, CITATION, .gitignore,
and the schema for editors."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.resources import files as package_files
from pathlib import Path
from string import Template

from bioFA.errors import CannotWrite, PlaceTaken, ProgramFailed
from bioFA.modelfiles.schema import schema

MODEL, OWN, DATA, SCHEMA = "model.toml", "own_rule.toml", "make_data.py", "biofa.schema.json"
RULE = 'rule = { name = "local_error", learning_rate = 0.1 }'
OWN_RULE = '''# Three factors, error, gain and presynaptic rate, with a decay like Oja's. Change it: it may read error_post, gain_post, r_post, r_pre, w, and constants.
rule = { name = "equation", equation = "dw/dt = learning_rate * (error_post * gain_post * r_pre - k * r_post**2 * w) / T", learning_rate = 0.1, constants = { k = 1e-4 } }'''  # noqa: E501


def create(folder: Path) -> list[Path]:
    """Write a project into a folder that is new or empty.

    Raises:
        FileError: if the folder holds anything, or cannot be written.
        RunError: if the data could not be made.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise PlaceTaken(
            f"'{folder}' is there already and not empty. Give a new folder, such as 'biofa init my_project'."
        )
    template = package_files("bioFA.modelfiles") / "template"
    model = (template / MODEL).read_text(encoding="utf-8")
    own = model.replace('name = "spiral"', 'name = "spiral_own_rule"').replace(RULE, OWN_RULE, 1)
    texts = {
        MODEL: model,
        OWN: own,
        DATA: (template / DATA).read_text(encoding="utf-8"),
        SCHEMA: json.dumps(schema(), indent=1) + "\n",
        ".gitignore": (template / "gitignore").read_text(encoding="utf-8"),
    }
    for name in ("README.md", "CITATION.cff"):
        texts[name] = Template((template / name).read_text(encoding="utf-8")).substitute(
            name=folder.resolve().name.replace('"', "'")
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise CannotWrite(f"'{folder}' cannot be written ({error}). Give a folder of your own.") from None
    done = subprocess.run([sys.executable, DATA], cwd=folder, capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        raise ProgramFailed(
            "the data could not be made:"
            f" {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else done.returncode}. Run 'python {DATA}'"
            f" in '{folder}'."
        )
    return [folder / name for name in (*texts, "data.csv")]
