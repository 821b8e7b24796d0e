"""A Python file with parts of somebody's own: read within limits, checked, run once, and kept as text.

    file = read(Path("my_rules.py"))
    own_class(file, "RewardSTDP")       # the class; the file has run, once in this process

A file stands alone: it imports installed packages and nothing beside it, so that its text is all there is to keep.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import importlib.metadata
import linecache
import os
import re
import stat
import sys
import traceback
import types
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from bioFA.errors import BrokenCode, NoSuchFile, TooLarge, UnknownName, Unreadable, UnsafePath, WrongKind, suggestion

LARGEST = 200_000
"""A file of parts has at most so many bytes."""
PACKAGE = "bioFA."
"""How the module of everything begins that is bioFA's own."""
PLAIN = re.compile(r"[A-Za-z0-9_][\w\-]*\.py", re.ASCII)
"""The names that a file may have."""


@dataclass(frozen=True)
class CodeFile:
    """One file: its name without a folder, its text, and where it was read, which says nothing of who it is."""

    name: str
    text: str
    origin: Path | None = None

    @property
    def sha256(self) -> str:
        """The SHA-256 of the text in UTF-8."""
        return hashlib.sha256(self.text.encode()).hexdigest()


_ran: dict[tuple[str, str, bool], types.ModuleType] = {}
"""The modules of the files that have run, by name and SHA-256, and whether their classes keep the names of imported
ones."""
_file_of: dict[str, CodeFile] = {}
"""The same files by the name of their module."""
_imported: dict[tuple[str, str, str], type] = {}
"""Classes of modules that were imported as usual, by file, SHA-256 and name."""


def read(path: Path, within: Path | None = None) -> CodeFile:
    """Read a file of parts; nothing of it runs.

    Args:
        path: the file.
        within: the folder that it must lie in itself, no link leading out, where it came with what somebody handed on.

    Raises:
        FileError: if it is missing, no plain file, too large, no text, or lies outside.
    """
    if not PLAIN.fullmatch(path.name):
        raise UnsafePath(
            f"'{path.name[:80]}' can be no name of a file of parts. Use letters, digits, _ and -, and end it in .py,"
            " such as my_rules.py."
        )
    try:
        if within is not None and (path.is_symlink() or not path.resolve().is_relative_to(within.resolve())):
            raise UnsafePath(f"'{path}' is a link, or leads out of '{within}'. Do not trust it.")
        known = path.stat()
        if not stat.S_ISREG(known.st_mode):
            raise WrongKind(f"'{path}' is no plain file. Name a Python file, such as my_rules.py.")
        with open(path, "rb") as file:
            raw = file.read(LARGEST + 1)
    except FileNotFoundError:
        raise NoSuchFile(
            f"there is no file '{path}'. Name one beside the model file, or in the working folder."
        ) from None
    except (OSError, ValueError) as error:  # such as a name with a null character
        raise Unreadable(f"'{path}' cannot be read ({error}). Give a file that you may read.") from None
    if len(raw) > LARGEST:
        raise TooLarge(
            f"'{path}' has more than {LARGEST} bytes, which no file of parts needs. Put data into a file of their own."
        )
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise WrongKind(f"'{path}' is not text in UTF-8. Name a Python file, such as my_rules.py.") from None
    return CodeFile(path.name, text, path.resolve())


def own_class(file: CodeFile, name: str, imported: bool = False) -> type:
    """A class that a file defines; the file runs, unless it did.

    With `imported` it is one that was imported as usual where the description was kept, and has the name that it had
    there; here it may be in use in that way, too.

    Raises:
        BrokenCode: if it is not valid, does not stand alone, or ends in an error.
        UnknownName: if it defines no such class.
    """
    if imported and (known := _imported.get((file.name, file.sha256, name))) is not None:
        return known
    module = run(file, imported)
    classes = [key for key, value in vars(module).items() if _defined(value, module)]
    if name not in classes:
        elsewhere = " It is imported there from somewhere else." if isinstance(vars(module).get(name), type) else ""
        raise UnknownName(f"{file.name} defines no class '{name}'.{elsewhere}{suggestion(name, classes)}")
    found: type = vars(module)[name]
    return found


def _defined(value: object, module: types.ModuleType) -> bool:
    return isinstance(value, type) and value.__module__ == module.__name__ and value.__qualname__ == value.__name__


def run(file: CodeFile, imported: bool = False) -> types.ModuleType:
    """The module of a file, which runs where it has not yet; with `imported` apart from what names classes by file.

    Raises:
        BrokenCode: if it is not valid Python, imports what lies beside it, or ends in an error; naming the line.
    """
    key = (file.name, file.sha256, imported)
    if (known := _ran.get(key)) is not None:
        if file.origin is not None:
            _file_of[known.__name__] = file
        return known
    check(file)
    module = types.ModuleType(
        f"own_code_{re.sub(r'[^a-z0-9_]', '_', file.name[:-3].lower())}_{file.sha256[:16]}{'_imported' * imported}"
    )
    module.__file__ = shown = f"{file.name} ({file.sha256[:8]})"
    linecache.cache[shown] = (len(file.text), None, file.text.splitlines(keepends=True), shown)
    sys.modules[module.__name__] = module  # where classes find their annotations, and their docstrings are looked up
    try:
        exec(compile(file.text, shown, "exec", dont_inherit=True), vars(module))
    except KeyboardInterrupt:
        del sys.modules[module.__name__]
        raise
    except BaseException as error:
        del sys.modules[module.__name__]
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == shown]
        place = f"line {lines[-1]}, " if lines else ""
        hint = (
            " Install what it imports; it can import nothing that lies beside it."
            if isinstance(error, ImportError)
            else " Mend it; 'python FILE' shows where."
        )
        raise BrokenCode(
            f"{file.name}: {place}running it ended in {type(error).__name__}: {_short(error)}.{hint}"
        ) from None
    _ran[key], _file_of[module.__name__] = module, file
    return module


def check(file: CodeFile) -> None:
    """Refuse what is no Python that stands alone; nothing runs.

    Raises:
        BrokenCode: naming the line.
    """
    try:
        tree = ast.parse(file.text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = f"line {error.lineno}: " if isinstance(error, SyntaxError) and error.lineno else ""
        what = error.msg if isinstance(error, SyntaxError) else str(error)
        raise BrokenCode(f"{file.name}: {line}is not valid Python ({what}). Mend it.") from None
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            raise BrokenCode(
                f"{file.name}: line {node.lineno}: a relative import. The file stands alone: put what it needs into it,"
                " or install it as a package."
            )
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            wanted = [node.module or ""] if isinstance(node, ast.ImportFrom) else [name.name for name in node.names]
            if beside := next(filter(None, (_beside(file, name.partition(".")[0]) for name in wanted)), None):
                raise BrokenCode(
                    f"{file.name}: line {node.lineno}: imports {beside}, which lies beside it. The file stands alone,"
                    " so that it can be kept with results: put what it needs into it, or install it as a package."
                )


def _beside(file: CodeFile, module: str) -> str | None:
    """What lies beside a file under the name of a module that it imports, unless that is installed or part of Python,
    which is meant then."""
    if file.origin is None or module in sys.stdlib_module_names or module == "bioFA":
        return None
    folder = file.origin.parent
    found = next((p for p in (folder / f"{module}.py", folder / module / "__init__.py") if p.is_file()), None)
    return None if found is None or module in _installed() else str(found.relative_to(folder))


@lru_cache
def _installed() -> frozenset[str]:
    """The names of the modules and packages that are installed."""
    return frozenset(importlib.metadata.packages_distributions())


def is_installed(part: type) -> bool:
    """Whether an installed package names a class in an entry point of bioFA's families, so that every process knows
    it."""
    if ran_from(part) is not None:
        return False
    value, entries = f"{part.__module__}:{part.__qualname__}", importlib.metadata.entry_points()
    groups = (group for group in entries.groups if group.startswith(PACKAGE))
    return any(entry.value.replace(" ", "") == value for group in groups for entry in entries.select(group=group))


def file_of(part: type) -> CodeFile:
    """The file that a class of somebody's own comes from, as text that can be run anew.

    Raises:
        BrokenCode: if there is none: saying why, and what to do.
    """
    module = part.__module__
    if module in _file_of:
        return _file_of[module]
    name = part.__qualname__
    put = f'Put it into a file, such as my_parts.py, and name it in a model file, "my_parts.py:{part.__name__}".'
    if module == "__main__" or module not in sys.modules:
        raise BrokenCode(f"the class {name} was defined in a program or notebook that is running. {put}")
    origin = getattr(sys.modules[module], "__file__", None)
    if "." in module or module in _installed() or os.path.basename(origin or "") == "__init__.py":
        raise BrokenCode(
            f"the class {name} is part of the package {module.partition('.')[0]}. Let the package name it in an entry"
            f" point, or: {put[0].lower()}{put[1:]}"
        )
    if part.__name__ != name:
        raise BrokenCode(f"the class {name} is defined inside something else. {put}")
    if not origin or not os.path.isfile(origin):
        raise BrokenCode(f"the class {name} of the module {module} has no file with its text. {put}")
    file = read(Path(origin))
    check(file)
    if not _says(file, part):
        raise BrokenCode(
            f"{file.name} has changed since the class {name} was imported from it. Begin Python anew, or import it"
            " again."
        )
    _imported[file.name, file.sha256, name] = part
    return file


def _says(file: CodeFile, part: type) -> bool:
    """Whether the text of a file is what a class was made of: its methods are, and the texts that it holds."""
    found: set[object] = set()
    _constants(compile(file.text, file.name, "exec", dont_inherit=True), found)
    kept = [getattr(value, "__func__", value) for value in vars(part).values()]
    methods = [value.__code__ for value in kept if isinstance(value, types.FunctionType) and _of(value, part)]
    strings = [v for key, v in vars(part).items() if isinstance(v, str) and not key.startswith("__")]
    known = {part.family_name} if hasattr(part, "family_name") else set()
    return all(code in found for code in methods) and all(text in found or text in known for text in strings)


def _of(function: types.FunctionType, part: type) -> bool:
    return function.__module__ == part.__module__ and function.__qualname__.startswith(f"{part.__qualname__}.")


def _constants(code: types.CodeType, found: set[object]) -> None:
    for constant in code.co_consts:
        with contextlib.suppress(TypeError):
            found.add(constant)
        if isinstance(constant, types.CodeType):
            _constants(constant, found)


def ran_from(part: type) -> CodeFile | None:
    """The file that ran to make a class; None where it did not come about in that way."""
    return _file_of.get(part.__module__)


def _short(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 300 else f"{text[:297]}..."
