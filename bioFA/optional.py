"""Optional packages: what needs one asks for it here, and says what to install where it is not."""

from __future__ import annotations

import importlib
from types import ModuleType

from bioFA.errors import NoPackage


def require(package: str, extra: str, what: str) -> ModuleType:
    """A package that is not part of every installation.

    Raises:
        MissingError: saying what to install.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise NoPackage(f"{what} needs the package '{package}' ({error}): pip install 'bioFA[{extra}]'.") from None
