"""Other packages: what needs an optional one asks for it here, and says what to install where it is not."""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import re
from importlib.util import find_spec
from types import ModuleType
from typing import NamedTuple

from bioFA.errors import NoPackage


class Package(NamedTuple):
    """An optional package: what people call it, its module, and the extra of bioFA that brings it."""

    name: str
    module: str
    extra: str

    @property
    def installation(self) -> str:
        """The command that installs it."""
        return f"pip install 'bioFA[{self.extra}]'"

    def is_here(self) -> bool:
        """Whether it is installed, found without importing it."""
        return find_spec(self.module) is not None

    def require(self, what: str, module: str = "") -> ModuleType:
        """Import it, or another module that its extra brings.

        Raises:
            MissingError: saying what to install.
        """
        return require(module or self.module, self.extra, what)


def require(package: str, extra: str, what: str) -> ModuleType:
    """A package that is not part of every installation.

    Raises:
        MissingError: saying what to install.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise NoPackage(f"{what} needs the package '{package}' ({error}): pip install 'bioFA[{extra}]'.") from None


@functools.cache
def version(package: str) -> str | None:
    """The version of an installed package, or None where it is not installed.

    Only this line of the package's record is read: `importlib.metadata.version` parses the whole description.
    """
    try:
        found = importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError:
        return None
    stated = re.search(r"^Version: *(\S+)", found.read_text("METADATA") or "", re.MULTILINE)
    return stated[1] if stated else found.version
