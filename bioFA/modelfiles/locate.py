"""Where in a model file a mistake is: its line, and the keys that lead there."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bioFA.errors import FileError, Keys, ModelError

MOST = 4_000_000
"""The line of a mistake is not looked for where lines times characters are more,
since each line is read with all before it."""


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
    lines, begin, deepest, found = text.split("\n"), 1, 0, None
    filled = [number for number, line in enumerate(lines, 1) if line.strip() and not line.lstrip().startswith("#")]
    if len(filled) * len(text) > MOST:
        return None
    for number in filled:
        try:
            depth = depth_of(tomllib.loads("\n".join(lines[:number])), keys)
        except tomllib.TOMLDecodeError:  # the middle of a longer value
            continue
        if depth > deepest:
            deepest = depth
            found = next(
                (
                    at
                    for at in range(begin, number)
                    if lines[at - 1].strip() and not lines[at - 1].lstrip().startswith("#")
                ),
                number,
            )
        begin = number + 1
    return found


def depth_of(part: Any, keys: Keys) -> int:
    """How many of the keys lead somewhere in the tables `part`."""
    for depth, key in enumerate(keys):
        try:
            part = part[key]
        except (KeyError, IndexError, TypeError):
            return depth
    return len(keys)
