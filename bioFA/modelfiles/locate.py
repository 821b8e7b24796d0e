"""Where in a model file a mistake is: its line, and the keys that lead there."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bioFA.components import snake_case
from bioFA.errors import FileError, ModelError

Keys = tuple[str | int, ...]
MOST = 4_000_000
"""The line of a mistake is not looked for where lines times characters are more,
since each line is read with all before it."""


def placed(
    error: ModelError | FileError, path: Path, table: dict[str, Any], changes: Mapping[str, Any]
) -> ModelError | FileError:
    """The same error, with its place before it: `mine.toml (line 12, circuit.sizes): ...`.

    Args:
        error: what the tables were refused with.
        path: the model file.
        table: its tables, changed.
        changes: by dotted key, what was put in place of the file's values.
    """
    keys = _keys(table, error)
    dotted = ".".join(map(str, keys))
    if not keys:
        return error.within(f"{path.name}: ")
    error.trail = ""
    within = [key for key in changes if f"{key}.".startswith(f"{dotted}.")]
    if any(f"{dotted}.".startswith(f"{key}.") for key in changes) or len(within) == 1:
        return error.within(f"{path.name} ({within[0] if within else dotted}, as changed): ")
    line = _line(path.read_text("utf-8-sig"), keys)
    return error.within(f"{path.name} ({f'line {line}, ' if line else ''}{dotted}): ")


def _keys(table: dict[str, Any], error: ModelError | FileError) -> Keys:
    """The keys that lead from the tables of a model file to what an error is about, as near as can be told."""
    message = str(error).removeprefix(error.trail)
    owner, named = re.match(r"(\w+)\.(\w+)", message), re.match(r"(?:population|pathway) '(\w+)'", message)
    near: Keys = ("circuit",) if named else ()
    for keys, part in _tables(table, ()):
        if error.fields is not None and error.fields in (
            part,
            {key: value for key, value in part.items() if key != "name"},
        ):
            if error.key:
                return (*keys, *error.key)
            near = near or keys
        if owner and snake_case(owner[1]) in (part.get("name"), *keys[-1:]):
            return (*keys, owner[2])
        if named and part.get("name") == named[1]:
            return keys
        if isinstance(part.get("path"), str) and message.startswith(f"{part['path']}: "):
            return (*keys, "path")
    return (owner[2],) if owner and owner[1] == "Experiment" else near


def _tables(part: Any, keys: Keys) -> Iterator[tuple[Keys, dict[str, Any]]]:
    """Every table in a part of a model file, the innermost first, with the keys that lead to it."""
    inside = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    for key, value in inside:
        yield from _tables(value, (*keys, key))
    if isinstance(part, dict):
        yield keys, part


def _line(text: str, keys: Keys) -> int | None:
    """The line where a value begins, or as much of the way to it as the file has."""
    lines, begin, deepest, found = text.split("\n"), 1, 0, None
    telling = [number for number, line in enumerate(lines, 1) if line.strip() and not line.lstrip().startswith("#")]
    if len(telling) * len(text) > MOST:
        return None
    for number in telling:
        try:
            depth = _depth(tomllib.loads("\n".join(lines[:number])), keys)
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


def _depth(part: Any, keys: Keys) -> int:
    """How many of the keys lead somewhere."""
    for depth, key in enumerate(keys):
        try:
            part = part[key]
        except (KeyError, IndexError, TypeError):
            return depth
    return len(keys)
