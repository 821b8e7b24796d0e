"""Where a result came from: versions, machine and description, so that it can be had again."""

from __future__ import annotations

import datetime
import hashlib
import importlib.metadata
import json
import os
import platform
from typing import Any

from bioFA.experiment import Experiment
from bioFA.modelfiles import toml

PACKAGES = ("bioFA", "brian2", "numpy", "pydantic", "h5py")


def versions() -> dict[str, str]:
    """The versions of bioFA and of what decides its numbers."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def collect(experiment: Experiment, started: str) -> dict[str, Any]:
    """The record of a run: no environment variables, no paths, no names of people or machines."""
    table = json.dumps(toml.to_table(experiment), sort_keys=True)
    return {
        "versions": versions(),
        "platform": platform.platform(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "experiment_sha256": hashlib.sha256(table.encode()).hexdigest(),
        "started": started,
        "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
