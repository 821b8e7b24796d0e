"""Which known name was meant by one that nobody knows: the same but for its case, a misspelt one, what another tool
calls it (`elsewhere.py`), one that begins so, or one with the same chief word; else none."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from bioFA.names.elsewhere import CALLED

LONGEST_NAME = 80
"""A longer name is no misspelt one."""


def nearest(given: str, known: Sequence[str]) -> str | None:
    """The known name that was meant, or None where all are far from it."""
    plain = _plain(given)
    same = [name for name in known if _plain(name) == plain]
    if same or not plain or len(given) > LONGEST_NAME:
        return same[0] if same else None
    for name in known:
        if not CALLED.get(name, frozenset()).isdisjoint((plain, plain.removesuffix("s"))):
            return name
    wrong = {name: distance(given.lower(), name.lower()) for name in known if _may_be(given, name)}
    close = [name for name, letters in wrong.items() if letters <= _allowed(given, name)]
    if close:
        return min(close, key=lambda name: (wrong[name], -_alike(given, name)))
    begun = [name for name in known if len(plain) > 2 and _plain(name).startswith(plain)]
    if begun:
        return min(begun, key=len)
    related = [name for name in known if 2 * _shared(given, name) > len(plain)]
    return max(related, key=lambda name: (_shared(given, name), _alike(given, name)), default=None)


def distance(one: str, other: str) -> int:
    """How many letters must be put in, left out, changed or exchanged with their neighbour to make one the other.

    Source: the optimal string alignment distance, Damerau (1964), Commun. ACM 7:171.
    """
    before, row = [], list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        before, last, row = row, before, [i]
        for j, wanted in enumerate(other, 1):
            row.append(min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != wanted)))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == wanted:
                row[j] = min(row[j], last[j - 2] + 1)
    return row[-1]


def _may_be(given: str, name: str) -> bool:
    """Whether one may be a misspelt other: of symbols, such as `e_l`, only where one begins with the other."""
    one, other = _plain(given), _plain(name)
    short = min(len(one), len(other)) <= 2
    return len(name) <= LONGEST_NAME and (not short or one.startswith(other) or other.startswith(one))


def _allowed(given: str, name: str) -> int:
    """How many letters may be wrong: one of up to five in the shorter name, and one more for every further four."""
    return min(max((min(len(given), len(name)) + 2) // 4, 1), 4)


def _plain(name: str) -> str:
    """Without case, and without what joins words."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _words(name: str) -> set[str]:
    """The words of a name, without case and plural."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return {word.rstrip("s") for word in re.split(r"[^a-z0-9]+", spaced.lower()) if len(word) > 2}


def _shared(given: str, name: str) -> int:
    """How many letters are in the words that two names have in common."""
    return sum(len(word) for word in _words(given) & _words(name))


def _alike(given: str, name: str) -> float:
    return difflib.SequenceMatcher(None, given.lower(), name.lower()).ratio()
