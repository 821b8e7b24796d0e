"""bioFA's own bundle: a folder with everything about one run, to archive beside a paper or to hand to a reviewer.
It loses nothing.

    model.toml          the description; files that it names are in `data`, by relative paths
    my_rules.py, ...    the Python files of parts of one's own, where it has any; they run only where they are trusted
    result.h5           the whole result, as `biofa run` wrote it
    manifest.json       what was run (seed, backend, precision), its metrics, and the SHA-256 of every other file
    rerun.sh            one command that runs it again
    requirements.txt    the versions that decide its numbers
    CITATION.cff        what to cite
    README.md           all of this in prose

Reading checks every hash, and gives back the network bit for bit.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bioFA.errors import DamagedFile, NoSuchFile, UnsafePath
from bioFA.exchange.base import MODEL, Exported, Imported
from bioFA.exchange.format import Format
from bioFA.experiment import Experiment
from bioFA.modelfiles import toml
from bioFA.runs.provenance import refuse_format
from bioFA.runs.result import RESULT, Result, load_result
from bioFA.runs.trained import sha256

BUNDLE_FORMAT = 1
MANIFEST, README, RERUN, CITATION, REQUIREMENTS, DATA = (
    "manifest.json",
    "README.md",
    "rerun.sh",
    "CITATION.cff",
    "requirements.txt",
    "data",
)
FORMAT = Format(
    "everything about the run in one folder, to archive and to run again",
    needs_result=True,
    reads=True,
    holds_free=True,
    mark=MANIFEST,
)
PREFERENCES = "brian_preferences"
"""A file that Brian2 evaluates when it is imported in the folder that holds it."""
OTHERS = ("scipy", "scikit-learn")
"""Packages that are noted where they are installed, beside those of the provenance."""


def export(result: Result, path: Path) -> Exported:
    """Write the folder.

    Raises:
        FileError: if a file that the model names is no longer there.
    """
    path.mkdir()
    try:
        result = replace(result, experiment=_with_data(result, path))
        (path / MODEL).write_text(toml.kept(result.experiment, path, texts=False), encoding="utf-8")
        code = toml.code_texts(result.experiment)
        for name, own in code.items():
            (path / name).write_bytes(own.encode())
        result.save(path / RESULT)
        texts = {
            RERUN: (
                "#!/bin/sh\n# Runs it again, here, into the folder 'rerun'.\nset -e\ncd \"$(dirname"
                f" \"$0\")\"\n{rerun(result)} \"$@\"\n"
            ),
            CITATION: _citation(result),
            REQUIREMENTS: "".join(f"{name}=={known}\n" for name, known in _versions(result).items()),
            README: _readme(result, tuple(code)),
        }
        for name, text in texts.items():
            (path / name).write_text(text, encoding="utf-8")
        written = sorted(p for p in path.rglob("*") if p.is_file())
        manifest = {
            "format": BUNDLE_FORMAT,
            "model": result.experiment.name,
            "scheme": result.experiment.scheme,
            "seed": result.seed,
            "backend": result.backend,
            "precision": _precision(result),
            "presentations": result.presentations,
            "metrics": result.metrics,
            "command": rerun(result),
            "files": {str(p.relative_to(path)): sha256(p) for p in written},
        }
        (path / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    except BaseException:
        shutil.rmtree(path)
        raise
    origin = result.provenance.get("weights") or result.provenance.get("after")
    lost = (
        (
            (
                f"where the run began: it took its first weights from another run, which '{RERUN}' cannot repeat;"
                f" {RESULT} holds them as snapshot 0"
            ),
        )
        if origin
        else ()
    )
    return Exported((path,), lost, run=f"sh {path / RERUN}, as {path / 'README.md'} says")


def load(path: Path) -> Imported:
    """Read a bundle.

    Raises:
        FileError: if it is none, a file is missing or was changed, or a newer bioFA wrote it.
    """
    check(path)
    result = load_result(path / RESULT)
    return Imported(result.trained)


def check(path: Path) -> int:
    """Hold every file of a bundle to the hash that its manifest gives; how many there are.

    Raises:
        FileError: naming the file that is missing, was changed, or lies outside.
    """
    try:
        # of bytes, json would also read UTF-16 and 32
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        refuse_format(path, manifest["format"], BUNDLE_FORMAT, "bundle")
        listed = {str(name): str(digest) for name, digest in manifest["files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise DamagedFile(
            f"'{path}' is no bundle, or its {MANIFEST} is damaged ({error}). Give a folder that 'biofa bundle' wrote."
        ) from None
    if found := next(path.rglob(PREFERENCES), None):
        raise UnsafePath(
            f"'{found}' lies in the bundle. Brian2 runs what stands in such a file when it is imported, and bioFA"
            " writes none: do not trust this bundle."
        )
    for name, digest in listed.items():
        place = path / name
        if not _within(place, path):
            raise UnsafePath(
                f"'{path / MANIFEST}' names {name[:80]!r}, which lies outside the bundle. Do not trust it."
            )
        if not os.path.isfile(place):  # unlike Path.is_file, also False where a name is too long
            raise NoSuchFile(f"'{path / name[:80]}' is missing from the bundle. Get it anew.")
        if sha256(place) != digest:
            raise DamagedFile(
                f"'{place}' is not what the bundle's {MANIFEST} says: it was changed or damaged. Get it anew."
            )
    for name in (MODEL, RESULT):
        if name not in listed:
            raise UnsafePath(f"'{path / MANIFEST}' does not list {name}. Get the bundle anew.")
    return len(listed)


def _within(place: Path, folder: Path) -> bool:
    """Whether a place, links followed, lies in a folder; what can be the name of no file lies nowhere."""
    try:
        return place.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError):  # such as one with a null character in it
        return False


def rerun(result: Result) -> str:
    """The command that runs it again, in the bundle's folder."""
    parts = ["biofa", "run", MODEL, "--seed", str(result.seed), "--backend", result.backend]
    parts += ["--precision", _precision(result)] if _precision(result) != "float64" else []
    return shlex.join([*parts, "--out", "rerun"])


def _precision(result: Result) -> str:
    return str(result.provenance.get("engine", {}).get("precision", "float64"))


def _with_data(result: Result, path: Path) -> Experiment:
    """The experiment with the files that it names copied into the bundle."""
    def copied(given: str) -> str:
        source = Path(given)
        if not source.exists():
            raise NoSuchFile(
                f"the model names '{given}', which is not there, so it cannot be put into the bundle. Put it back."
            )
        place = path / DATA / source.name
        while place.exists():
            place = place.with_name(f"_{place.name}")
        place.parent.mkdir(exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copyfile)(source, place)
        return str(place.resolve())

    return toml.with_paths(result.experiment, copied)


def _versions(result: Result) -> dict[str, str]:
    """What decides the numbers: the packages of the provenance, and others of which data come."""
    found = {name: known for name, known in result.provenance.get("versions", {}).items() if name != "python"}
    for name in OTHERS:
        try:
            found.setdefault(name, version(name))
        except PackageNotFoundError:
            continue
    return found


def _citation(result: Result) -> str:
    known = result.provenance.get("versions", {}).get("bioFA", "unknown")
    return f"""cff-version: 1.2.0
message: "If you use these results, please cite the work that they belong to, bioFA, and the source of the learning rule."
type: dataset
title: {json.dumps(f"{result.experiment.name}, scheme {result.experiment.scheme}, seed {result.seed}: a bundle of bioFA")}
authors:
  - name: "Put the authors of this work here"
references:
  - type: software
    title: bioFA
    version: "{known}"
    authors:
      - name: "The bioFA developers"
  - type: article
    title: "Random synaptic feedback weights support error backpropagation for deep learning"
    journal: "Nature Communications"
    volume: 7
    start: 13276
    year: 2016
    doi: "10.1038/ncomms13276"
    authors:
      - family-names: Lillicrap
        given-names: "Timothy P."
      - family-names: Cownden
        given-names: Daniel
      - family-names: Tweed
        given-names: "Douglas B."
      - family-names: Akerman
        given-names: "Colin J."
"""  # noqa: E501


def _readme(result: Result, code: tuple[str, ...]) -> str:
    python = result.provenance.get("versions", {}).get("python", "3.11")
    metrics: dict[str, Any] = result.metrics
    rows = "\n".join(f"| {name} | {value:.6g} |" for name, value in metrics.items())
    own = (
        f"\nThe model has parts of its author's own, in {', '.join(code)}: Python code, which runs with your rights."
        f" Read it first; then `sh {RERUN} --trust-code` lets it run.\n"
        if code
        else ""
    )
    return f"""# {result.experiment.name}, scheme {result.experiment.scheme}, seed {result.seed}

{result.experiment.description}

One run of bioFA, {result.presentations} {"trials" if result.free else "presentations"}, backend {result.backend}, {_precision(result)}. To run it again:

    pip install -r {REQUIREMENTS}       # made with Python {python}
    sh {RERUN}
{own}
On the same machine with these versions every weight comes out the same, bit for bit (`biofa doctor` says what is missing). `{RESULT}` is the whole
result: `bioFA.load_result("{RESULT}")` in Python, `biofa report` for a page, `biofa import . --out DIR` to go on learning from it.
`{MODEL}` is the description, `{MANIFEST}` has the SHA-256 of every file. Errors are fractions; data are of the split that the name says.

| measure | value |
|---|---|
{rows}
"""  # noqa: E501
