"""Write docs/licences.md from the metadata of what is installed: every package that bioFA needs,
and those of its extras, with those that they need.

    python docs/_ext/licences_page.py
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distribution, metadata
from pathlib import Path

from packaging.requirements import Requirement

PAGE = Path(__file__).resolve().parent.parent / "licences.md"
HEAD = """# Licences of what bioFA uses

bioFA itself is under the MIT licence; these packages are installed beside it. The licence is what each package's own metadata say. Brian2's, CeCILL 2.1, is a copyleft licence that is compatible with
the GPL: read it before you hand on something that contains Brian2. Written by `python docs/_ext/licences_page.py` from an environment with every extra; a package that an extra needs on another
system or Python may be missing.
"""  # noqa: E501
OUR_OWN_TOOLS = ("dev", "docs", "test", "fuzz", "nest")
"""Extras for work on bioFA itself: no user needs them."""


def plain(name: str) -> str:
    """A package's name as names are compared."""
    return re.sub(r"[-_.]+", "-", name).lower()


def needed(requirements: Iterable[str], extra: str = "") -> dict[str, None]:
    """The packages that requirements lead to, with those that they lead to, by plain name,
    as far as they are installed."""
    found: dict[str, None] = {}
    waiting = [(Requirement(text), extra) for text in requirements]
    seen = set()
    while waiting:
        requirement, of = waiting.pop()
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": of}):
            continue
        key = (plain(requirement.name), tuple(sorted(requirement.extras)))
        if key in seen:
            continue
        seen.add(key)
        try:
            further = distribution(requirement.name).requires or []
        except PackageNotFoundError:
            found.setdefault(key[0])
            continue
        found.setdefault(key[0])
        waiting += [(Requirement(text), inner) for text in further for inner in ("", *sorted(requirement.extras))]
    return dict.fromkeys(sorted(found))


def licence(name: str) -> str:
    """What a package's metadata say of its licence, in few words."""
    try:
        known = metadata(name)
    except PackageNotFoundError:
        return "not installed here"
    if expression := known.get("License-Expression"):
        return str(expression)
    classified = [
        line.split(" :: ")[-1]
        for line in known.get_all("Classifier") or []
        if line.startswith("License :: ") and line != "License :: OSI Approved"
    ]
    if classified:
        return ", ".join(dict.fromkeys(classified))
    stated = (known.get("License") or "").strip().splitlines()
    return stated[0][:80] if stated else "not stated: see the package"


def rows(names: Iterable[str]) -> list[str]:
    """Lines of a table."""
    lines = []
    for name in names:
        try:
            version = metadata(name)["Version"]
        except PackageNotFoundError:
            version = "-"
        lines.append(f"| {name} | {version} | {licence(name)} |")
    return ["| package | version | licence |", "|---|---|---|", *lines]


def page() -> str:
    """The page, as Markdown."""
    own = metadata("bioFA")
    requirements = own.get_all("Requires-Dist") or []
    always = needed(requirements)
    extras = own.get_all("Provides-Extra") or []
    optional = {
        name: None
        for extra in extras
        if extra not in OUR_OWN_TOOLS
        for name in needed(requirements, extra)
        if name not in always
    }
    tools = {
        name: None
        for extra in extras
        if extra in OUR_OWN_TOOLS
        for name in needed(requirements, extra)
        if name not in always and name not in optional
    }
    optional.pop("biofa", None)
    tools.pop("biofa", None)
    lines = [
        HEAD,
        "## Needed by every installation",
        "",
        *rows(always),
        "",
        "## Extras that users may install",
        "",
        *rows(sorted(optional)),
        "",
        "## Tools for work on bioFA itself",
        "",
        *rows(sorted(tools)),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
