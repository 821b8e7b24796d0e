"""Model files: TOML to experiment and back without loss, and the built-in models by name."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any, TypeGuard

import tomli_w

from bioFA.components import Component
from bioFA.errors import (
    BadChange,
    FileError,
    Keys,
    ModelError,
    NoSuchFile,
    TooLarge,
    UnknownModel,
    UnknownName,
    UnknownPart,
    Unreadable,
    WrongKind,
    WrongType,
    suggestion,
)
from bioFA.experiment import Experiment
from bioFA.modelfiles.locate import located
from bioFA.modelfiles.said_once import CONSTANTS, NEURONS, Resolved, neuron_places, resolved
from bioFA.own_code import reading, trust
from bioFA.own_code.files import CodeFile
from bioFA.schemes.base import family
from bioFA.schemes.layered import Layered
from bioFA.schemes.taught import TaughtNetwork

LARGEST, DEEPEST, MOST = 1_000_000, 100, 10_000
"""A model file is read by people: more bytes, tables nested deeper, or more keys than this are some other file."""
LONGEST_KEY = 1000
BUNDLE = "manifest.json"
"""Beside a model file it says that the file is part of a bundle, which somebody handed on."""
OWN = "# own part: "
"""How a line begins that names the class behind a part of somebody's own."""
MOST_LOADED = 8
_LOADED: dict[tuple[str, bytes, str], Experiment] = {}
"""The experiments of the last files that were loaded, which hold all that they describe, by path, content and changes:
a sweep loads the same one for every run, and a description never changes."""
_STRING = re.compile(r"""\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*'""")
_KEY = re.compile(r"[\w\-.\t ]+")


def models_folder() -> Path:
    """Where the built-in models are: inside the installed package, or beside it in a checkout."""
    installed = Path(str(package_files("bioFA") / "models"))
    return installed if installed.is_dir() else Path(__file__).resolve().parents[2] / "models"


def builtin_models() -> list[str]:
    """The names of the built-in models, sorted."""
    return sorted(path.stem for path in models_folder().glob("*.toml"))


def find(model: str | Path) -> Path:
    """The file of a built-in model's name, or of a path.

    Raises:
        FileError: if there is none, with the nearest built-in name.
    """
    path = Path(model)
    if path.suffix == ".toml" or len(path.parts) > 1:
        if not _is_file(path):
            raise NoSuchFile(
                f"there is no model file '{model}'. Give a path to a .toml file, or a built-in name:"
                f" {', '.join(builtin_models())}."
            )
        return path
    if str(model) not in builtin_models():
        raise UnknownModel(
            f"unknown model '{model}'.{suggestion(str(model), builtin_models())} Or give a path to a .toml file."
        )
    return models_folder() / f"{model}.toml"


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # such as a name that is too long
        return False


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # such as a name that is too long, or holds a null character
        return False


def _find_files(table: dict[str, Any], folder: Path) -> None:
    """Make relative paths of a model that lead to something beside it absolute."""
    each_path(
        table,
        lambda given: (
            str((folder / given).resolve()) if not Path(given).is_absolute() and _exists(folder / given) else given
        ),
    )


def each_path(tables: Any, change: Callable[[str], str]) -> None:
    """Change every `path` of a part in the tables of a model file, in place."""
    for part in tables.values() if isinstance(tables, dict) else tables if isinstance(tables, list) else ():
        each_path(part, change)
    if isinstance(tables, dict) and "name" in tables and isinstance(tables.get("path"), str):
        tables["path"] = change(tables["path"])


def load(model: str | Path, changes: dict[str, Any] | None = None, trust_code: bool = False) -> Experiment:
    """Read an experiment from a built-in name or a TOML file.

    Args:
        model: a built-in name such as 'digits', or a path.
        changes: values to put in place of the file's, by dotted key:
            `{"protocol.epochs": 3, "circuit.schemes.fa.rule.learning_rate": 0.01}`. An entry of a list goes by its
            number or its `name`, `circuit.populations.e.size`; a population or pathway of a network by its name alone,
            `e.size`. A constant, `constants.g`, is changed before it is put into anything.
        trust_code: let Python code run that came with a bundle, or with another description that was kept.

    Files that a model names by a relative path are looked for beside the model, then in the working folder. A Python
    file that it names for a part of its own, `rule = "my_rules.py:MyRule"`, runs.

    Raises:
        FileError: if the file is missing or is not TOML, or came with Python code that has not run here before
            (`UntrustedCode`).
        ModelError: if what it describes is wrong.
    """
    path = find(model)
    raw = _read(path)
    try:
        known = str(path.absolute()), raw, json.dumps(changes)
    except (TypeError, ValueError):
        known = None
    if known in _LOADED:
        return _LOADED[known]
    table = _read_toml(path, raw)
    with trust.allowing(trust_code):
        experiment = _load(path, table, changes, _of_file(path, table))
    if known is not None and not _names_files(table) and not code_of(experiment):
        for oldest in list(_LOADED)[: len(_LOADED) + 1 - MOST_LOADED]:
            del _LOADED[oldest]
        _LOADED[known] = experiment
    return experiment


def _names_files(table: dict[str, Any]) -> bool:
    """Whether a part in the tables of a model file names a file."""
    found: list[str] = []

    def note(given: str) -> str:
        found.append(given)
        return given

    each_path(table, note)
    return bool(found)


def _of_file(path: Path, table: dict[str, Any]) -> AbstractContextManager[None]:
    """How the Python files are found that a model file names: beside it, or, of a description that was kept,
    in its table."""
    kept = table.pop(reading.TABLE, None)
    if kept is None and not (path.parent / BUNDLE).exists():
        return reading.of_named(path.name, (path.parent, Path()))
    try:
        return reading.of_kept("the description", reading.read_table(kept or {}, path.parent))
    except FileError as error:
        raise error.prefixed(f"{path.name}: ") from None


def _load(
    path: Path, table: dict[str, Any], changes: dict[str, Any] | None, own_code: AbstractContextManager[None]
) -> Experiment:
    """The experiment that the tables of a model file describe, changed."""
    _find_files(table, path.parent)
    own = table["circuit"].get("scheme", "fa") if isinstance(table.get("circuit"), dict) else None
    placed = {key: _put(table, key, value) for key, value in (changes or {}).items()}
    for key, keys in placed.items():
        _refuse_unread(table, key, keys)
    changed = {".".join(map(str, placed[key])): value for key, value in (changes or {}).items()}
    whole = Resolved(table, table)
    try:
        with own_code:
            _keep_own(table, own)
            whole = resolved(table)
            return Experiment(**whole.table)
    except (ModelError, FileError) as error:
        if (
            isinstance(error, UnknownName)
            and error.part is not None
            and f"\n{OWN}{error.part[1]} = " in (text := path.read_text("utf-8-sig"))
        ):
            raise _absent(error, text).prefixed(f"{path.name}: ") from None
        raise located(whole.explained(error), path, table, changed) from None


def under_scheme(experiment: Experiment, scheme: str, model: str | Path) -> Experiment:
    """An experiment under another scheme; where that is a class in a Python file, it is looked for as the model's are.

    Raises:
        ModelError, FileError: if there is no such scheme, or it has nothing to lay out.
    """
    with reading.of_named(f"the scheme '{scheme[:80]}'", (find(model).parent, Path())):
        return experiment.with_scheme(scheme)


def description(model: str | Path) -> str:
    """What a model file says that it describes; the experiment is not made.

    Raises:
        FileError: if the file is missing or is not TOML.
    """
    path = find(model)
    return str(_read_toml(path, _read(path)).get("description", ""))


def _has_scheme(circuit: Any) -> TypeGuard[dict[str, Any]]:
    """Whether the table of a circuit is that of a layered one, or of a network with a chain of layers."""
    named = circuit.get("name") if isinstance(circuit, dict) else None
    return bool(named == Layered.family_name or (named == TaughtNetwork.family_name and "layers" in circuit))


def _keep_own(table: dict[str, Any], own: Any) -> None:
    """Where a change chose another scheme than the model's own, let it inherit from that one, as `with_scheme` does."""
    circuit = table.get("circuit")
    if _has_scheme(circuit) and own != (chosen := circuit.get("scheme", "fa")) and own is not None:
        circuit.setdefault("own_scheme", own)
        if chosen in family and isinstance(circuit.setdefault("schemes", {}), dict):
            circuit["schemes"].setdefault(chosen, {})


def _read(path: Path) -> bytes:
    """What a model file holds."""
    try:
        size = path.stat().st_size
        raw = path.read_bytes() if size <= LARGEST else b""
    except OSError as error:
        raise Unreadable(f"{path}: cannot be read ({error.strerror}). Give a file that you may read.") from None
    if size > LARGEST:
        raise TooLarge(
            f"{path}: a model file has at most {LARGEST} bytes; this one has {size}. Put data into a .npz file and name"
            " it in the task."
        )
    return raw


def _read_toml(path: Path, raw: bytes) -> dict[str, Any]:
    """The tables of a model file, which holds these bytes."""
    try:
        return _tables(raw.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise WrongKind(
            f"{path}: is not text in UTF-8. A model file is TOML; see 'biofa show digits' for one."
        ) from None
    except (ValueError, RecursionError) as error:
        raise WrongKind(f"{path}: is not valid TOML: {error}. See 'biofa show digits' for a model file.") from None


def _tables(text: str) -> dict[str, Any]:
    """The tables of a TOML text.

    Raises:
        ValueError: if it is no TOML, or no model file can be so large;
            a key of many parts would keep its reader busy for hours.
    """
    plain = _STRING.sub("", text)
    if any(found[0].count(".") > LONGEST_KEY for found in _KEY.finditer(plain)):
        raise ValueError(f"it has a key of more than {LONGEST_KEY} parts")
    return _shallow(tomllib.loads(text))


def _shallow(table: dict[str, Any]) -> dict[str, Any]:
    """The same tables.

    Raises:
        ValueError: if they are nested deeper, or hold more keys, than any model does.
    """
    level: list[Any] = [table]
    keys = 0
    for _ in range(DEEPEST):
        keys += sum(len(parts) for parts in level if isinstance(parts, dict))
        if keys > MOST:
            raise ValueError(f"it has more than {MOST} keys")
        level = [
            part
            for parts in level
            for part in (parts.values() if isinstance(parts, dict) else parts)
            if isinstance(part, (dict, list))
        ]
        if not level:
            return table
    raise ValueError(f"its tables are nested more than {DEEPEST} deep")


def _put(table: dict[str, Any], key: str, value: Any) -> Keys:
    """Put a value in its place in the tables of a model file; the keys that lead there.

    Raises:
        BadChange: if there is no such place.
    """
    *parents, last = _whole_path(table, key)
    shared = described if isinstance(described := table.get(NEURONS), dict) else {}
    keys: list[str | int] = []
    part: Any = table
    for parent in parents:
        place = _place(part, parent, key)
        held = part.setdefault(place, {}) if isinstance(part, dict) else part[place]
        keys.append(place)
        if isinstance(held, str) and held in shared and tuple(keys) in neuron_places(table):
            held = part[place] = {"name": held}  # a shared neuron, over which the value is laid
        if not isinstance(held, (dict, list)):
            raise BadChange(
                f"cannot set '{key}': '{parent}' holds a single value, not a table. See 'biofa show MODEL' for the"
                " keys."
            )
        part = held
    place = _place(part, last, key)
    part[place] = value
    return (*keys, place)


def _refuse_unread(table: dict[str, Any], key: str, keys: Keys) -> None:
    """Refuse to set a parameter of a neuron as text that nothing in the model reads.

    Raises:
        BadChange: naming the parameters that there are.
    """
    *parents, holder, name = ("", "", *keys)
    if holder != "parameters" or not isinstance(name, str):
        return
    neuron: Any = table
    for parent in parents[2:]:
        neuron = neuron[parent]
    if not isinstance(neuron, dict):
        return
    given = shared.get(str(neuron.get("name"))) if isinstance(shared := table.get(NEURONS), dict) else None
    described = given if isinstance(given, dict) else {}
    if "equations" not in (neuron.get("name"), described.get("name")):
        return
    read = re.compile(rf"\b{re.escape(name)}(_pre|_post)?\b")
    if not any(read.search(text) for text in _texts(table)):
        parts = (part["parameters"] for part in (described, neuron) if isinstance(part.get("parameters"), dict))
        known = {other for part in parts for other in part} - {name}
        raise BadChange(f"cannot set '{key}': no text of the model reads '{name}'.{suggestion(name, known)}")


def _texts(part: Any) -> Iterator[str]:
    """Every text in the tables of a model file."""
    if isinstance(part, str):
        yield part
    for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from _texts(inner)


def _whole_path(table: dict[str, Any], key: str) -> list[str]:
    """The parts of a dotted key, with the place of a network's population or pathway before one that begins with
    its name."""
    first, *others = parts = key.split(".")
    if first in (CONSTANTS, NEURONS) and others and others[0] not in (known := _names_in(table.get(first))):
        what = "constant" if first == CONSTANTS else "shared neuron"
        raise BadChange(f"cannot set '{key}': the model has no {what} '{others[0]}'.{suggestion(others[0], known)}")
    circuit = table.get("circuit")
    lists = {
        kind: entries
        for kind in ("populations", "pathways")
        if isinstance(circuit, dict) and isinstance(entries := circuit.get(kind), list)
    }
    if not others or not lists or first in table or first in Experiment.model_fields:
        return parts
    found = [kind for kind, entries in lists.items() if first in _names_in(entries)]
    if len(found) == 1:
        return ["circuit", found[0], *parts]
    if found:
        raise BadChange(
            f"cannot set '{key}': a population and a pathway are called '{first}'. Write"
            f" circuit.{found[0]}.{key} or circuit.{found[1]}.{key}."
        )
    known = [*Experiment.model_fields, *(name for entries in lists.values() for name in _names_in(entries))]
    raise BadChange(f"cannot set '{key}': the model has no part '{first}'.{suggestion(first, known)}")


def _names_in(part: Any) -> list[str]:
    """The names by which a change can reach what a table or a list holds."""
    if isinstance(part, dict):
        return list(part)
    entries = part if isinstance(part, list) else ()
    return [entry["name"] for entry in entries if isinstance(entry, dict) and isinstance(entry.get("name"), str)]


def _place(part: dict[str, Any] | list[Any], step: str, key: str) -> str | int:
    """The key of a table, or the number of a list's entry, that one part of a dotted key stands for."""
    if isinstance(part, dict):
        return step
    if step.isdecimal() and step.isascii():
        if len(step) < 10 and int(step) < len(part):
            return int(step)
        raise BadChange(f"cannot set '{key}': the list has {len(part)} entries, numbered from 0; got {step[:20]}.")
    names = _names_in(part)
    if names.count(step) > 1:
        raise BadChange(f"cannot set '{key}': {names.count(step)} entries are called '{step}'. Give one by its number.")
    if not names:
        raise BadChange(
            f"cannot set '{key}': '{step}' is no number of an entry, and of the {len(part)} in the list, numbered"
            " from 0, none has a name. See 'biofa show MODEL' for the keys."
        )
    if step not in names:
        raise BadChange(
            f"cannot set '{key}': nothing in the list is called '{step}'.{suggestion(step, set(names))} Or give its"
            f" number, 0 to {len(part) - 1}."
        )
    return next(n for n, entry in enumerate(part) if isinstance(entry, dict) and entry.get("name") == step)


def from_table(table: dict[str, Any]) -> Experiment:
    """An experiment from the tables of a model file, with its constants and shared neurons put in.

    Raises:
        ModelError: if what they describe is wrong; its keys lead to it in `table`.
    """
    whole = resolved(table)
    try:
        return Experiment(**whole.table)
    except (ModelError, FileError) as error:
        raise whole.explained(error) from None


def to_table(experiment: Experiment) -> dict[str, Any]:
    """The tables of a model file, with units written out; `from_table` gives an equal experiment.

    What a file says once is gone: an experiment has the values of constants, and every population its own neuron."""
    return experiment.model_dump(mode="json", exclude_none=True, by_alias=True)


def dumps(experiment: Experiment, beside: Path | None = None) -> str:
    """An experiment as the text of a model file; paths below the folder `beside`, where the file is to be,
    are written relative to it. Constants, expressions and shared neurons of the file that it came from are written as
    what they stand for."""
    table = to_table(experiment)
    if beside is not None:
        place = beside.resolve()
        each_path(
            table, lambda given: str(Path(given).relative_to(place)) if Path(given).is_relative_to(place) else given
        )
    return tomli_w.dumps(table)


def with_paths(experiment: Experiment, change: Callable[[str], str]) -> Experiment:
    """The experiment with the paths of files that its parts name changed."""
    table = to_table(experiment)
    each_path(table, change)
    code, _ = reading.table(map(type, _parts(experiment)))
    with reading.of_kept("the description", reading.read_table(code, None)):
        return from_table(table)


def kept(experiment: Experiment, beside: Path | None = None, texts: bool = True) -> str:
    """`dumps`, with the Python files of the parts of somebody's own in its table `code`: their texts, or, without
    `texts`, their SHA-256 alone. Of a class that has no file a line says what to import (`UnknownPart`).

    Raises:
        DuplicateName: if two of the files, or of the classes, have one name.
    """
    code, without = reading.table(map(type, _parts(experiment)), texts)
    own = dict.fromkeys(f"{OWN}{part.family_name} = {part.__module__}:{part.__qualname__}\n" for part in without)
    return dumps(experiment, beside) + (f"\n{tomli_w.dumps({reading.TABLE: code})}" if code else "") + "".join(own)


def code_files(experiment: Experiment) -> dict[str, CodeFile]:
    """The Python files of the parts of somebody's own, by name.

    Raises:
        BrokenCode: if a class has none that could be kept: saying why, and what to do.
    """
    return reading.files_of(map(type, _parts(experiment)))


def code_texts(experiment: Experiment) -> dict[str, str]:
    """The texts of the Python files of the parts of somebody's own, by name, of all that have one."""
    code, _ = reading.table(map(type, _parts(experiment)))
    return {name: entry["text"] for name, entry in code.items()}


def code_origins(experiment: Experiment) -> dict[str, tuple[str, str]]:
    """Where the Python files of the parts of somebody's own lay, and their SHA-256, by name."""
    return reading.origins(map(type, _parts(experiment)))


def code_of(experiment: Experiment) -> dict[str, str]:
    """The SHA-256 of the Python files of the parts of somebody's own, by name."""
    code, _ = reading.table(map(type, _parts(experiment)), texts=False)
    return {name: entry["sha256"] for name, entry in code.items()}


def code_hashes(text: str) -> tuple[str, ...]:
    """The SHA-256 of the Python files that a kept text holds."""
    return reading.hashes(_tables(text).get(reading.TABLE))


def _parts(value: Any) -> Iterator[Component]:
    """Every part of a description."""
    if isinstance(value, Component):
        yield value
        for field in type(value).model_fields:
            yield from _parts(getattr(value, field))
    elif isinstance(value, (tuple, list, Mapping)):
        for one in value.values() if isinstance(value, Mapping) else value:
            yield from _parts(one)


def _absent(error: UnknownName, text: str) -> ModelError | FileError:
    """What to do about a part that nobody here knows, in a description that was valid where it was written;
    the same error where it can be no class's name."""
    kind, name, home = error.part or ("", "", "")
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        return error
    noted = re.search(rf"^{OWN}{name} = ([\w.]+):([\w.]+)$", text, re.MULTILINE)
    own = "".join(word.title() for word in name.split("_"))
    module, own = noted.groups() if noted else ("its_module", own)
    if noted and module != "__main__":
        state = f"the class {own} of the module {module}, which is not known here"
    else:
        where = "the program that was run" if noted else "its author, or of a newer bioFA"
        state = f"the class {own} of {where}, which is not known here; put it into a module, here its_module.py"
        module = "its_module"
    first = f"import {module}, {home}; {home}.family.add({module}.{own})"
    return UnknownPart(
        f"the {kind} '{name}' is no part of bioFA but {state}. Begin with '{first}' in Python, then open the file; or"
        f" run the command there: python -c '{first}; import bioFA.cli; bioFA.cli.main()' COMMAND ..."
    )


def loads(text: str, beside: Path | None = None, trust_code: bool = False) -> Experiment:
    """An experiment from the text that a result, bundle or comparison keeps of it;
    files that it names are looked for in the folder `beside` first.

    It means what it meant when it ran: a scheme that it gives no settings ran at the defaults of its time
    (`Scheme.once`).

    Raises:
        ModelError: if the text is not TOML, or what it describes is wrong.
        UnknownPart: if it has a part that is a class of somebody's own, and is not loaded.
        UntrustedCode: if it holds Python code that has not run here before, unless `trust_code`.
    """
    try:
        table = _tables(text)
    except (ValueError, RecursionError) as error:
        raise WrongType(f"the text is not valid TOML: {error}. See 'biofa show digits' for a model file.") from None
    if beside is not None:
        _find_files(table, beside)
    kept = reading.read_table(table.pop(reading.TABLE, {}), beside)
    try:
        with trust.allowing(trust_code), reading.of_kept("the description", kept):
            return _as_once(table)
    except UnknownName as error:
        raise _absent(error, text) from None


def _as_once(table: dict[str, Any]) -> Experiment:
    """The experiment of a kept description; schemes without settings are at the defaults of their time."""
    circuit = table.get("circuit")
    if _has_scheme(circuit):
        scheme, schemes = circuit.get("scheme", "fa"), circuit.get("schemes", {})
        if (
            scheme in family
            and isinstance(schemes, dict)
            and scheme not in schemes
            and (once := family.get(scheme).once)
        ):
            circuit["schemes"] = {**schemes, scheme: dict(once)}
    return from_table(table)


def parse_change(text: str) -> tuple[str, Any]:
    """Read `key=value` from the command line; the value is read as TOML, or as text where it is none.

    Raises:
        ModelError: if there is no `=`.
    """
    key, sign, value = text.partition("=")
    if not sign or not key.strip():
        raise BadChange(f"--set takes key=value; got '{text}'. For example: --set protocol.epochs=5.")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except (ValueError, RecursionError):  # not TOML, or too deep or long for its reader
        return key.strip(), value.strip()
