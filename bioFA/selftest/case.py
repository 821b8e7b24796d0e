"""One mistake of the self-test's table, and what its message must hold."""

from __future__ import annotations

from typing import Any, NamedTuple


class Case(NamedTuple):
    """One mistake, and what its message must hold.

    `given` are changes to a model file by dotted key, or the arguments of a command; `place` the keys that the message
    must lead to (of a model file) or words of it; `found` what was given, as it is told; `fix` what is allowed,
    or what to do; `says` what else.
    """

    code: str
    given: dict[str, Any] | list[str]
    place: str
    found: str
    fix: str
    says: tuple[str, ...] = ()
    base: str = "layered"
