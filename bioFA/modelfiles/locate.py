"""Where in a model file a mistake is: its line, and the keys that lead there."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bioFA.errors import FileError, Keys, ModelError

MOST = 4_000_000
"""The line of a mistake is not looked for where lines times characters are more,
since a line is read with all before it, and within a long value every line is tried."""


def located(
    error: ModelError | FileError, path: Path, table: dict[str, Any], changes: Mapping[str, Any]
) -> ModelError | FileError:
    """The same error, with its place before it: `mine.toml (line 12, circuit.sizes): ...`.

    Args:
        error: what the tables were refused with.
        path: the model file.
        table: its tables, changed.
        changes: by dotted key, what was put in place of the file's values.
    """
    keys = as_written(error.at, table)
    dotted = ".".join(map(str, keys))
    if not keys:
        return error.prefixed(f"{path.name}: ")
    within = [key for key in changes if f"{key}.".startswith(f"{dotted}.")]
    if any(f"{dotted}.".startswith(f"{key}.") for key in changes) or len(within) == 1:
        return error.prefixed(f"{path.name} ({within[0] if within else dotted}, as changed): ")
    line = _line(path.read_text("utf-8-sig"), keys)
    return error.prefixed(f"{path.name} ({f'line {line}, ' if line else ''}{dotted}): ")


def as_written(keys: Keys, part: Any) -> Keys:
    """A path without the number of an entry that stands by itself where a list could."""
    written: Keys = ()
    for key in keys:
        if isinstance(key, str) or isinstance(part, list):
            written += (key,)
            part = part.get(key) if isinstance(part, dict) else None if isinstance(key, str) else part[key]
    return written


def _line(text: str, keys: Keys) -> int | None:
    """The line where a value begins, or as much of the way to it as the file has."""
    lines = text.split("\n")
    filled = [number for number, line in enumerate(lines, 1) if line.strip() and not line.lstrip().startswith("#")]
    if len(filled) * len(text) > MOST:
        return None

    @functools.cache
    def depth(place: int) -> int | None:
        """How deep the keys lead in the lines up to a filled one; None in the middle of a longer value."""
        try:
            return depth_of(tomllib.loads("\n".join(lines[: filled[place]])), keys)
        except tomllib.TOMLDecodeError:
            return None

    def whole(place: int, least: int = 0) -> int:
        """The last filled line up to this one where a value ends; `least` - 1 where there is none."""
        while place >= least and depth(place) is None:
            place -= 1
        return place

    first, last = 0, whole(len(filled) - 1)
    deepest = (depth(last) if last >= 0 else None) or 0
    if not deepest:
        return None
    while first < last:  # what the keys lead to in some lines is there in more of them too
        middle = (first + last) // 2
        found = whole(middle, first)
        if found >= first and (depth(found) or 0) >= deepest:
            last = found
        else:
            first = middle + 1
    return filled[whole(last - 1) + 1]


def depth_of(part: Any, keys: Keys) -> int:
    """How many of the keys lead somewhere in the tables `part`."""
    for depth, key in enumerate(keys):
        try:
            part = part[key]
        except (KeyError, IndexError, TypeError):
            return depth
    return len(keys)
