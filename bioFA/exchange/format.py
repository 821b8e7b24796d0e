"""What an exchange format states about itself, and how formats are found.

Each file of this folder that states `FORMAT = Format(...)` is a format, with the name of the file. Names are read from
the files; a file is imported when something is asked of its format, and optional packages by its functions alone.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import NamedTuple

from bioFA.optional import Package

STATEMENT = "\nFORMAT = Format("
"""The line by which a file is known to hold a format."""


class Format(NamedTuple):
    """Facts about one format, whose file has `export`, and `load` where it `reads`."""

    headline: str
    suffix: str = ""
    """The ending of its files; '' for a folder."""
    needs_result: bool = False
    """Whether it holds what a run recorded, so that a network alone is not enough."""
    reads: bool = False
    holds_free: bool = False
    """Whether it holds a run in which time passes without a task."""
    holds_presented: bool = True
    """Whether it holds a run in which a task is presented."""
    holds_delays: bool = True
    """Whether it holds networks with delays and listed synapses, to which a task is presented."""
    mark: str = ""
    """The file by which a folder of this format is recognised, where it is read."""
    package: Package | None = None
    """The optional package that writes and reads it."""
    tools: Mapping[str, str] = MappingProxyType({})
    """The programs that run what is written, each as pip installs it, in the version that the tests run."""

    def requirements(self, *programs: str) -> tuple[str, ...]:
        """The programs as pip installs them: its tools in their versions, others by their names."""
        return tuple(self.tools.get(program, program) for program in programs)


class Formats(Mapping[str, Format]):
    """Every format by name, sorted; iterating over the names imports nothing."""

    def __init__(self, home: str):
        self.home = home

    def names(self) -> tuple[str, ...]:
        """The names of the files that state a format."""
        folders = importlib.import_module(self.home).__path__
        return _stating(tuple((folder, Path(folder).stat().st_mtime_ns) for folder in folders))

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __len__(self) -> int:
        return len(self.names())

    def __contains__(self, name: object) -> bool:
        return name in self.names()

    def __getitem__(self, name: str) -> Format:
        if name not in self:
            raise KeyError(name)
        found = self.module(name).FORMAT
        assert isinstance(found, Format)
        return found

    def module(self, name: str) -> ModuleType:
        """The file of a format."""
        return importlib.import_module(f"{self.home}.{name}")


@functools.lru_cache(8)
def _stating(folders: tuple[tuple[str, int], ...]) -> tuple[str, ...]:
    """The names of the files that state a format, in folders that were changed last at these times."""
    files = [file for folder, _ in folders for file in Path(folder).glob("*.py")]
    return tuple(sorted(file.stem for file in files if STATEMENT in file.read_text(encoding="utf-8")))
