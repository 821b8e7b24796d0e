"""Faults of what is stored: F17 and F18."""

from __future__ import annotations

import json
from pathlib import Path

import h5py

from bioFA.comparisons import table
from bioFA.runs import checkpoint
from bioFA.runs.result import RESULT
from bioFA.system.sealed_hdf5 import is_whole, sealed
from trial.comparing import sealed_run
from trial.fault import fault
from trial.injections import cut, empty, flip_a_bit
from trial.oracle import Attempt, Ended, Outcome, complaint, digest
from trial.sandbox import MODEL, Sandbox, comparison_digest, lost, outcomes

STORED = (
    "a result",
    "a segment",
    "the description of a run",
    "a table of jobs",
    "an outcome",
    "a result of a comparison",
    "a bundle",
    "a state",
)
DAMAGES = (flip_a_bit, cut, empty)


@fault("F17", "a stored file is damaged", *STORED, chance=True)
def damaged_file(sandbox: Sandbox, attempt: int) -> Attempt:
    """A flipped bit, a cut at a random place, or zero length, of every kind of stored file."""
    kind = STORED[attempt % len(STORED)]
    damage = sandbox.random.choice(DAMAGES)
    if kind in ("a result", "a bundle", "a state"):
        place, file = _copied(sandbox, kind)
        damage(file, sandbox.random)
        return _judged_reading(sandbox, place, file, kind)
    if kind in ("a segment", "the description of a run"):
        place = sandbox.stopped(sandbox.random.randrange(2, 8))
        folder = place / checkpoint.FOLDER
        damage(
            (
                sandbox.random.choice(sorted(folder.glob("stretch-*.h5")))
                if kind == "a segment"
                else folder / checkpoint.RUN
            ),
            sandbox.random,
        )
        ended = sandbox.resume(place).wait()
        if ended.code == 0:
            return (
                Attempt(Outcome.IDENTICAL, "", True)
                if digest(place / RESULT) == sandbox.expected
                else Attempt(Outcome.SILENT, "it went on from damage")
            )
        return _complained(ended, "damaged")
    place = sandbox.copy_of_comparison()
    before = outcomes(place)
    if kind == "a table of jobs":
        damage(place / table.TABLE, sandbox.random)
        for ended in (
            sandbox.resume(place).wait(),
            sandbox.biofa("check", str(place)).wait(),
            sandbox.biofa("report", str(place)).wait(),
        ):
            if ended.code == 0 and comparison_digest(place) != sandbox.compared():
                return Attempt(Outcome.SILENT, "a damaged table of jobs was run")
            if ended.code != 0 and (found := _complained(ended, "damaged")).outcome is not Outcome.REFUSED:
                return found
        return Attempt(Outcome.REFUSED, ended.last, None, len(before), lost(before, place))
    name = sandbox.random.choice(sorted(before))
    damage(place / "runs" / name / ("outcome.json" if kind == "an outcome" else RESULT), sandbox.random)
    whole = (
        digest(place / "runs" / name / RESULT) == before[name]
        and table.read(place).outcome(next(j for j in table.read(place).jobs if j.name == name)) is not None
    )
    ended = sandbox.biofa("check", str(place)).wait()
    if not whole and (ended.code == 0 or name not in ended.out):
        return Attempt(Outcome.SILENT, f"check does not find the damage: {ended.out}")
    page = sandbox.biofa("report", str(place)).wait() if attempt % 2 else None
    if not whole and page is not None and page.code == 0 and "not finished" not in (place / "report.html").read_text():
        return Attempt(Outcome.SILENT, "the report does not mark it")
    before.pop(name)
    (place / "table.csv").unlink()
    return sandbox.comparison_recovered(place, before)


def _copied(sandbox: Sandbox, kind: str) -> tuple[Path, Path]:
    """A copy of the undisturbed run, of its bundle or of its state, and the file in it that is to be damaged."""
    if kind == "a result":
        place = sandbox.copied(sandbox.whole())
        return place, place / RESULT
    place = sandbox.fresh()
    if kind == "a bundle":
        sandbox.biofa("bundle", str(sandbox.whole()), "--out", str(place)).wait()
        return place, sandbox.random.choice(sorted(path for path in place.rglob("*") if path.is_file()))
    from bioFA.runs.result import load_result

    load_result(sandbox.whole() / RESULT).trained.save(place / "state.h5")
    return place / "state.h5", place / "state.h5"


def _judged_reading(sandbox: Sandbox, place: Path, file: Path, kind: str) -> Attempt:
    """Whether a damaged file is found by `biofa check` and refused by whatever reads it,
    or is still what it was in all that counts."""
    harmless = kind == "a result" and digest(file) == sandbox.expected
    checked = sandbox.biofa("check", str(place), "--json").wait()
    if checked.code == 0 and harmless:
        return Attempt(Outcome.IDENTICAL, "the flipped bit is in the padding before the file's content")
    if checked.code == 0 and kind == "a state" and is_whole(file):
        return Attempt(Outcome.IDENTICAL, "the flipped bit is in the padding before the file's content")
    if checked.code == 0 or "Traceback" in checked.err:
        return Attempt(
            Outcome.SILENT if checked.code == 0 else Outcome.UNCLEAR,
            f"check of {file.name}: {checked.out or checked.last}",
        )
    if checked.code == 2 and complaint(checked):
        return Attempt(Outcome.UNCLEAR, f"check: {complaint(checked)}")
    out = sandbox.fresh()
    readers: dict[str, list[tuple[str, ...]]] = {
        "a result": [("report", str(place)), ("export", str(place), "--to", "arrays", "--out", str(out))],
        "a bundle": [("import", str(place), "--out", str(out))],
        "a state": [
            ("export", str(file), "--to", "arrays", "--out", str(out)),
            ("run", *_longer(), "--after", str(file), "--out", str(out)),
        ],
    }
    for arguments in readers[kind]:
        ended = sandbox.biofa(*arguments).wait()
        if ended.code == 0:
            return Attempt(Outcome.SILENT, f"{arguments[0]} reads it as if it were whole")
        if wrong := complaint(ended):
            return Attempt(Outcome.UNCLEAR, f"{arguments[0]}: {wrong}")
    return Attempt(Outcome.REFUSED, f"check names {file.name}")


def _longer() -> tuple[str, ...]:
    return (*MODEL, "--set", "protocol.epochs=6", "--seed", "3", "--json")


def _complained(ended: Ended, word: str) -> Attempt:
    wrong = complaint(ended)
    if wrong or word not in ended.err:
        return Attempt(Outcome.UNCLEAR, wrong or f"it does not say '{word}': {ended.last}")
    return Attempt(Outcome.REFUSED, ended.last)


MISSING = (
    "the description of a run, newer",
    "the description of a run, missing",
    "a table of jobs, newer",
    "a table of jobs, missing",
    "a result, newer",
    "an outcome, missing",
    "a manifest of a bundle, newer",
    "a manifest of a bundle, missing",
)


@fault("F18", "a manifest is missing, or of a newer bioFA", *MISSING)
def missing_manifest(sandbox: Sandbox, attempt: int) -> Attempt:
    """The file that says what a folder holds is taken away, or says that a later format of bioFA wrote it,
    with a checksum that is right."""
    which = MISSING[attempt % len(MISSING)]
    if which.startswith("the description"):
        place = sandbox.stopped(4)
        path = place / checkpoint.FOLDER / checkpoint.RUN
        if which.endswith("missing"):
            path.unlink()
            found = _complained(sandbox.resume(place).wait(), "there is no run")
            return found if found.outcome is not Outcome.REFUSED else sandbox.recovered(place, found.message)
        entry = json.loads(path.read_text())
        path.write_text(json.dumps(sealed_run(entry, json.loads(entry["run"])) | {"format": 99}))
        found = _complained(sandbox.resume(place).wait(), "99")
        path.write_text(json.dumps(entry))
        return found if found.outcome is not Outcome.REFUSED else sandbox.recovered(place, found.message)
    if which.startswith(("a table", "an outcome")):
        place = sandbox.copy_of_comparison()
        before = outcomes(place)
        path = place / table.TABLE
        content = path.read_bytes()
        if which.startswith("an outcome"):
            name = sorted(before)[0]
            (place / "runs" / name / "outcome.json").unlink()
            before.pop(name)
            (place / "table.csv").unlink()
            return sandbox.comparison_recovered(place, before)
        if which.endswith("missing"):
            path.unlink()
            found = _complained(sandbox.resume(place).wait(), "there is no")
            begun = _complained(sandbox.compare(place).wait(), "already holds something else")
        else:
            path.write_text(json.dumps(json.loads(content) | {"format": 99}))
            found = begun = _complained(sandbox.resume(place).wait(), "99")
        path.write_bytes(content)
        worse = next((one for one in (found, begun) if one.outcome is not Outcome.REFUSED), None)
        return worse or Attempt(Outcome.REFUSED, found.message, None, len(before), lost(before, place))
    if which == "a result, newer":
        place = sandbox.fresh()
        place.mkdir()
        with h5py.File(sandbox.whole() / RESULT) as old, sealed(place / RESULT) as new:
            for name in list(old.keys()):
                old.copy(name, new)
            new.attrs.update(dict(old.attrs) | {"format": 99})
        return _complained(sandbox.biofa("report", str(place)).wait(), "newer bioFA")
    place = sandbox.fresh()
    sandbox.biofa("bundle", str(sandbox.whole()), "--out", str(place)).wait()
    manifest = place / "manifest.json"
    if which.endswith("missing"):
        manifest.unlink()
        return _complained(
            sandbox.biofa("import", str(place), "--from", "bundle", "--out", str(sandbox.fresh())).wait(), "manifest"
        )
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"format": 99}))
    return _complained(sandbox.biofa("import", str(place), "--out", str(sandbox.fresh())).wait(), "99")


FAULTS = (damaged_file, missing_manifest)
