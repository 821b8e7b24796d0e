"""JSON files that carry the SHA-256 of what they hold: `{"sha256": ..., KEY: "the content, as JSON text"}`.

More fields, such as a version, stand before these; they are not sealed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write(path: Path, key: str, content: Any, **header: Any) -> None:
    """Write content under a key, after the fields of a header.

    Raises:
        OSError: if it could not be written.
    """
    text = json.dumps(content)
    path.write_text(json.dumps({**header, "sha256": _sha256(text), key: text}))


def read(path: Path, key: str) -> Any:
    """Content that is what was written.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it was changed, cut or damaged.
    """
    return content(load(path), key)


def load(path: Path) -> dict[str, Any]:
    """All fields of a file, its content still sealed.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is no JSON object.
    """
    try:
        fields = json.loads(path.read_bytes())
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    if not isinstance(fields, dict):
        raise ValueError("it is no JSON object")
    return fields


def content(fields: Mapping[str, Any], key: str) -> Any:
    """Content of a file that was loaded.

    Raises:
        ValueError: if it is not what was written.
    """
    text = fields.get(key)
    if not isinstance(text, str) or _sha256(text) != fields.get("sha256"):
        raise ValueError("its checksum is wrong")
    return json.loads(text)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
