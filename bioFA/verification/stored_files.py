"""Check that stored files are still what was written, by their SHA-256: runs, their checkpoints, comparisons,
bundles, states."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bioFA.comparisons import table
from bioFA.errors import FileError, NoSuchFile, WrongKind
from bioFA.exchange import bundle
from bioFA.runs import checkpoint
from bioFA.runs.result import RESULT
from bioFA.system import sealed_hdf5


class Verdict(NamedTuple):
    """What was found of one thing: `ok` is True or False, or None where it is unverified (not run yet,
    or without a digest)."""

    name: str
    ok: bool | None
    says: str


def check(path: Path) -> list[Verdict]:
    """Check what lies at a path against its digests: a result or state file, or the folder of a run,
    a comparison or a bundle.

    Raises:
        FileError: if there is nothing that can be checked.
    """
    if path.suffix == ".toml" and path.is_file():
        raise WrongKind(
            f"'{path}' is a model file, and what is checked here are results. Whether it is valid, and what it"
            f" describes, says: biofa show {path}"
        )
    if path.is_file():
        return [_file(path)]
    if not path.is_dir():
        raise NoSuchFile(
            f"there is nothing at '{path}'. Give a result.h5, or the folder of a run, a comparison or a bundle."
        )
    if table.holds_sweep(path):
        return list(_comparison(path))
    if (path / bundle.MANIFEST).is_file():
        return [_bundle(path)]
    found = list(_run(path))
    if not found:
        raise NoSuchFile(f"'{path}' holds no run, comparison or bundle. Give the folder that --out named.")
    return found


def _file(path: Path) -> Verdict:
    try:
        whole = sealed_hdf5.is_whole(path)
        if whole is False:
            return Verdict(str(path), False, sealed_hdf5.what_is_wrong(path))
    except OSError as error:
        return Verdict(str(path), False, f"cannot be read: {error.strerror}")
    return Verdict(
        str(path),
        whole,
        "is what was written" if whole else "carries no digest: an older bioFA or another program wrote it",
    )


def _run(folder: Path) -> Iterator[Verdict]:
    if (folder / RESULT).is_file():
        yield _file(folder / RESULT)
    if checkpoint.is_unfinished(folder):
        segments = sorted((folder / checkpoint.FOLDER).glob("stretch-*.h5"))
        whole = [bool(sealed_hdf5.is_whole(segment)) for segment in segments]
        usable = whole.index(False) if False in whole else len(whole)
        says = f"unfinished: {usable} of {len(whole)} kept segments can be continued from"
        yield Verdict(str(folder / checkpoint.FOLDER), usable > 0 and all(whole), says)


def _comparison(folder: Path) -> Iterator[Verdict]:
    found = table.read(folder)
    for job in found.jobs:
        outcome = found.outcome(job)
        if outcome is not None:
            yield Verdict(job.name, True, f"{outcome['status']}, and what was written")
        elif (found.place(job) / table.OUTCOME).exists():
            yield Verdict(
                job.name, False, "was changed, cut or damaged after it was written; the same command runs it again"
            )
        else:
            yield Verdict(job.name, None, "not done")


def _bundle(folder: Path) -> Verdict:
    try:
        count = bundle.check(folder)
    except FileError as error:
        return Verdict(str(folder), False, str(error))
    return Verdict(str(folder), True, f"{count} files are what was written")
