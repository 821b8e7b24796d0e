"""Write the tables of docs/explanation/biology.md from the audit of every scheme and of every built-in model.

    python docs/_ext/biology_page.py
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import bioFA
from bioFA.schemes import family
from bioFA.verification.biology import KINDS

PAGE = Path(__file__).resolve().parent.parent / "explanation" / "biology.md"
LAYERED = "nonlinear"
"""The built-in model, of two hidden layers, under which every scheme is audited."""


def tables() -> dict[str, str]:
    """Each table of the page, by the name that its place there has."""
    layered = bioFA.load(LAYERED)
    models = {name: bioFA.load(name) for name in bioFA.builtin_models()}
    return {
        "kinds": "\n".join([
            "| demand | what is meant |",
            "|---|---|",
            *(f"| {_words(name)} | {kind.title} |" for name, kind in KINDS.items()),
        ]),
        "schemes": _table({f"`{name}`": bioFA.audit(layered.with_scheme(name)) for name in family.names()}),
        "models": _table(
            {f"`{name}` ({experiment.scheme})": bioFA.audit(experiment) for name, experiment in models.items()}
        ),
    }


def _table(audits: Mapping[str, bioFA.Audit]) -> str:
    """One row a demand, one column an audit."""
    rows = [f"| demand | {' | '.join(audits)} |", f"|---|{'---|' * len(audits)}"]
    for kind in KINDS:
        marks = ["x" if kind in audit.kinds() else "" for audit in audits.values()]
        rows.append(f"| {_words(kind)} | {' | '.join(marks)} |")
    return "\n".join(rows)


def _words(kind: str) -> str:
    return kind.replace("_", " ")


def page(text: str) -> str:
    """The page with its tables made anew."""
    for name, table in tables().items():
        place = re.compile(rf"(<!-- table: {name} -->\n)(?:(?!<!--).)*(<!-- end -->)", re.DOTALL)
        text, count = place.subn(lambda found, table=table: f"{found[1]}{table}\n{found[2]}", text)
        if count != 1:
            raise SystemExit(
                f"biology.md must have one place '<!-- table: {name} -->' ... '<!-- end -->'; it has {count}."
            )
    return text


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
