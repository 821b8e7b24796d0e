"""Where a result came from: versions, machine and description, so that it can be had again."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bioFA.errors import ChangedSince, WrongVersion
from bioFA.experiment import Experiment
from bioFA.modelfiles import toml
from bioFA.optional import version

PACKAGES = ("bioFA", "brian2", "numpy", "pydantic", "h5py")
DECIDING = ("bioFA", "brian2", "numpy")
"""Packages whose version decides the numbers of a run."""


def versions() -> dict[str, str]:
    """The versions of bioFA and of what decides its numbers."""
    return {"python": platform.python_version()} | {name: version(name) or "not installed" for name in PACKAGES}


def refuse_other_versions(known: Mapping[str, str], what: str, instead: str, but: tuple[str, ...] = ()) -> None:
    """Refuse to continue what other versions of the packages that decide its numbers began.

    Args:
        known: the versions of all packages as it began.
        what: what is continued, such as `"the run in 'x'"`.
        instead: what else can be done.
        but: packages that do not matter here.

    Raises:
        ChangedSince: naming the package and both versions.
    """
    here = versions()
    for package in DECIDING:
        if known.get(package) != here[package] and package not in but:
            raise ChangedSince(
                f"{what} was begun with {package} {known.get(package)}; here is {here[package]}, which may give other "
                f"numbers. Go on with {package} {known.get(package)}, or {instead}."
            )


def refuse_format(path: Path, found: Any, newest: int, name: str = "format", remedy: str = "Update bioFA.") -> None:
    """Refuse a file in a format that this bioFA does not read.

    Raises:
        WrongVersion: if a newer bioFA wrote it.
        ValueError: if it is no number of a format.
    """
    if not isinstance(found, int) or found < 1:
        raise ValueError("its format is wrong")
    if found > newest:
        raise WrongVersion(
            f"'{path}' was written by a newer bioFA ({name} {found}; this one reads up to {newest}). {remedy}"
        )


def collect(experiment: Experiment, started: str) -> dict[str, Any]:
    """The record of a run, with the SHA-256 of Python files of somebody's own; no environment variables, no paths,
    no names of people or machines."""
    code = {"code": found} if (found := toml.code_of(experiment)) else {}
    table = json.dumps(toml.to_table(experiment) | code, sort_keys=True)
    return {
        "versions": versions(),
        "platform": platform.platform(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "experiment_sha256": hashlib.sha256(table.encode()).hexdigest(),
        "started": started,
        "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        **code,
    }
