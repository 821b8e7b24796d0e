"""How a name of a model file, `my_rules.py:RewardSTDP`, comes to its class while that file is read.

A model file that is named has its Python files beside it, or in the working folder. A text that a result, a bundle or
a comparison keeps has them in its table `code`:

    [code."my_rules.py"]
    sha256 = "..."
    text = "..."                        # left out where the file lies beside the text, as in a bundle
    names = { own_oja = "OwnOja" }      # classes that the text names otherwise than file and class
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bioFA.errors import (
    ChangedSince,
    DamagedFile,
    DuplicateName,
    FileError,
    ModelError,
    NoSuchFile,
    UnknownName,
    UnsafePath,
)
from bioFA.own_code import files, trust
from bioFA.own_code.files import PACKAGE, CodeFile

TABLE = "code"
"""The table of a kept text that holds the files."""
_NAMED = re.compile(r"(?P<file>[^\n]*\.py):(?P<own>[A-Za-z_]\w*)", re.ASCII)


@dataclass(frozen=True)
class Kept:
    """A file as a kept text holds it: the classes that the text names otherwise than file and class, by that name."""

    file: CodeFile
    names: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Reading:
    where: str
    folders: tuple[Path, ...]
    kept: Mapping[str, Kept]
    found: dict[str, type] = field(default_factory=dict)
    """Classes by the name of file and class, without the folder that the model file names."""


_reading: ContextVar[_Reading | None] = ContextVar("reading", default=None)
_latest: dict[str, type] = {}
"""Classes by the name of file and class, as they were last read."""


def is_named(name: object) -> bool:
    """Whether a text names a file and a class in it."""
    return isinstance(name, str) and _NAMED.fullmatch(name) is not None


@contextlib.contextmanager
def of_named(where: str, folders: Iterable[Path]) -> Iterator[None]:
    """While a model file is read that the user named: its Python files run."""
    with _set(_Reading(where, tuple(folders), {})):
        yield


@contextlib.contextmanager
def of_kept(where: str, kept: Mapping[str, Kept]) -> Iterator[None]:
    """While a text is read that was kept: of its files only those run that may (`trust.permit`).

    Raises:
        UntrustedCode: if one may not.
    """
    trust.permit([one.file for one in kept.values()], False, where)
    with _set(_Reading(where, (), kept)):
        yield


@contextlib.contextmanager
def _set(reading: _Reading) -> Iterator[None]:
    token = _reading.set(reading)
    try:
        yield
    finally:
        _reading.reset(token)


def read_table(table: Any, beside: Path | None) -> dict[str, Kept]:
    """The files of a kept text; nothing of them runs.

    Args:
        table: its table `code`.
        beside: the folder of the text, where files lie whose text it does not hold.

    Raises:
        FileError: if the table is not as it was written, or a file is missing, was changed, or lies elsewhere.
    """
    found: dict[str, Kept] = {}
    try:
        for name, entry in table.items():
            sha256, text = entry["sha256"], entry.get("text")
            names = {str(key): str(own) for key, own in entry.get("names", {}).items()}
            if not files.PLAIN.fullmatch(name):
                raise UnsafePath(f"[{TABLE}] names {name[:80]!r}, which is no plain name of a file. Do not trust it.")
            if text is None and beside is None:
                raise DamagedFile(f"[{TABLE}] holds no text of {name}. Get the file anew.")
            file = CodeFile(name, text) if text is not None else files.read(Path(beside or "") / name, beside)
            if file.sha256 != sha256:
                raise ChangedSince(
                    f"{name} is not the file that the description was kept with: its SHA-256 was {str(sha256)[:64]},"
                    f" and is {file.sha256}. Put it back, or name the new one in a model file of your own, without the"
                    f" table [{TABLE}]."
                )
            found[name] = Kept(file, names)
    except (KeyError, TypeError, AttributeError, UnicodeEncodeError) as error:
        raise DamagedFile(f"the table [{TABLE}] is not as it was written ({error!r}). Get the file anew.") from None
    return found


def find(name: str, base: type) -> type | None:
    """The class of somebody's own behind a name, or None where the name is none of one.

    Args:
        name: as the description has it.
        base: what a class must derive from whose name is not that of file and class.

    Raises:
        ModelError, FileError: if the file or the class is not there, or it may not run.
    """
    reading, named = _reading.get(), _NAMED.fullmatch(name)
    if named is None:
        for kept in reading.kept.values() if reading is not None else ():
            if name in kept.names and issubclass(part := files.own_class(kept.file, kept.names[name], True), base):
                return part
        return None
    if reading is None:
        if name in _latest:
            return _latest[name]
        raise UnknownName(
            f"'{name[:80]}' names a class in a Python file, and such a file is read with the model file that names it:"
            ' bioFA.load("my_model.toml").'
        )
    if name in reading.found and not any(_there(folder / named["file"]) for folder in reading.folders):
        return reading.found[name]
    file = _file(named["file"], reading)
    own = files.own_class(file, named["own"])
    known = f"{file.name}:{named['own']}"
    if hasattr(own, "family_name"):
        own.family_name = known
    _latest[known] = reading.found[known] = own
    return own


def _file(given: str, reading: _Reading) -> CodeFile:
    """The file of a name, which may run."""
    if reading.kept or not reading.folders:
        if given not in reading.kept:
            raise NoSuchFile(f"{reading.where} does not hold the file {given[:80]} that it names. Get it anew.")
        return reading.kept[given].file
    places = [folder / given for folder in reading.folders]
    path = next((place for place in places if _there(place)), places[0])
    file = files.read(path)
    trust.permit([file], True, reading.where)
    return file


def _there(place: Path) -> bool:
    try:
        return place.exists()
    except (OSError, ValueError):
        return False


def table(parts: Iterable[type], texts: bool = True) -> tuple[dict[str, Any], list[Any]]:
    """The table `code` of a description, and the classes that have no file which could be kept.

    Args:
        parts: the classes of its parts, bioFA's own among them.
        texts: whether the table holds the texts, or the files lie beside it.

    Raises:
        DuplicateName: if two files, or two classes, have one name.
    """
    found: dict[str, Kept] = {}
    without: list[Any] = []
    named: dict[tuple[str, str], type] = {}
    for part in dict.fromkeys(parts):
        known = getattr(part, "family_name", part.__name__)
        if (other := named.setdefault((_kind(part), known), part)) is not part:
            raise DuplicateName(
                f"two classes of the description are called '{known}', {_said(other)} and {_said(part)}, so that a file"
                " could not tell them apart. Give one another name."
            )
        if part.__module__.startswith(PACKAGE):
            continue
        if files.is_installed(part):
            without.append(part)
            continue
        try:
            file = files.file_of(part)
        except (ModelError, FileError):
            without.append(part)
            continue
        before = found.get(file.name)
        if before is not None and before.file.sha256 != file.sha256:
            raise DuplicateName(
                f"two files of the description are called {file.name}, and differ. Give one of them another name."
            )
        names = {} if known == f"{file.name}:{part.__name__}" else {known: part.__name__}
        found[file.name] = Kept(file, {**(before.names if before else {}), **names})
        trust.note(file)  # its class is in use here
    return {name: _entry(kept, texts) for name, kept in found.items()}, without


def _kind(part: type) -> str:
    """What tells families apart: the class that a part derives from right below all parts."""
    bases = [base for base in part.__mro__ if base.__module__.startswith(PACKAGE)]
    return bases[-2].__qualname__ if len(bases) > 1 else ""


def _said(part: type) -> str:
    file = files.ran_from(part)
    return f"{part.__qualname__} of {part.__module__ if file is None else file.name}"


def _entry(kept: Kept, texts: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {"sha256": kept.file.sha256}
    entry |= {"text": kept.file.text} if texts else {}
    return entry | ({"names": dict(kept.names)} if kept.names else {})


def files_of(parts: Iterable[type]) -> dict[str, CodeFile]:
    """The files of the classes of a description that have one, by name.

    Raises:
        BrokenCode: if a class has none: saying why, and what to do.
    """
    own = [part for part in dict.fromkeys(parts) if not part.__module__.startswith(PACKAGE)]
    return {file.name: file for file in map(files.file_of, (part for part in own if not files.is_installed(part)))}


def hashes(table: Any) -> tuple[str, ...]:
    """The SHA-256 of the files of a kept text, from its table `code`."""
    entries = table.values() if isinstance(table, dict) else ()
    return tuple(str(entry["sha256"]) for entry in entries if isinstance(entry, dict) and "sha256" in entry)


def origins(parts: Iterable[type]) -> dict[str, tuple[str, str]]:
    """Where the files lay that classes of a description were read from, and their SHA-256, by name."""
    found: dict[str, tuple[str, str]] = {}
    for part in dict.fromkeys(parts):
        if not part.__module__.startswith(PACKAGE):
            with contextlib.suppress(ModelError, FileError):
                file = files.file_of(part)
                found |= {} if file.origin is None else {file.name: (str(file.origin), file.sha256)}
    return found


def refuse_changed(known: Mapping[str, Sequence[str]], what: str) -> None:
    """Refuse to go on where a file was changed since.

    Args:
        known: by name of a file, where it lay, and its SHA-256 then (`origins`); one that is gone has not changed.
        what: what was begun with it.

    Raises:
        ChangedSince: naming the file.
    """
    for name, (origin, sha256) in known.items():
        try:
            now = files.read(Path(origin)).sha256
        except FileError:
            continue
        if now != sha256:
            raise ChangedSince(
                f"{what} was begun with another {name}: its SHA-256 was {sha256}, and that of '{origin}' is {now}. Put"
                " the file back, or begin anew in another folder."
            )
