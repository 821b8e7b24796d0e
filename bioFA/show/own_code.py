"""The Python files of somebody's own in whatever may hold some, to be looked at; nothing of them runs."""

from __future__ import annotations

import contextlib
from pathlib import Path

from bioFA import exchange
from bioFA.comparisons import table
from bioFA.errors import UntrustedCode
from bioFA.exchange import bundle
from bioFA.modelfiles import toml
from bioFA.own_code import trust
from bioFA.own_code.files import CodeFile
from bioFA.runs import checkpoint
from bioFA.runs.result import RESULT
from bioFA.runs.trained import load_trained


def code_in(place: Path) -> list[CodeFile]:
    """The Python files in a result, a state, an export, or the folder of a run, a comparison or a bundle; of a model
    file the first that it names.

    Raises:
        FileError: if there is no such thing, or it is damaged.
    """
    with trust.looking() as found, contextlib.suppress(UntrustedCode):
        _open(place)
    return list(dict.fromkeys(found))


def _open(place: Path) -> object:
    """Read what lies at a place, up to where its code would run."""
    if table.holds_sweep(place):
        return table.read(place, mixed=True).experiments
    if checkpoint.is_unfinished(place):
        return checkpoint.read_run(place)
    if (place / bundle.MANIFEST).is_file():
        return bundle.load(place)
    if (place / RESULT).is_file():
        return load_trained(place / RESULT)
    if place.suffix == ".toml" or not place.exists():
        return toml.load(place)
    return load_trained(place) if place.suffix == ".h5" else exchange.load(place)


def plain(text: str) -> str:
    """A text of somebody else as a terminal may show it: what is not printed, such as what turns the direction of
    writing, is written out."""
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)
