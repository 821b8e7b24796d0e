"""The report of a drill: one line, a table of faults, and the same as JSON.
Beside every zero stand n and the 95 % upper bound, 3 / n."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import bioFA
from bioFA.selftest import command
from bioFA.selftest.tally import Tally
from trial.drill import Row

MUTANTS = Path(__file__).with_name("mutants.json")
"""Which mutants of which modules the tests kill, measured elsewhere (`tests/mutation.py`): in all,
and by the module's path with its SHA-256."""


def zero(count: int, of: int) -> str:
    """A count that should be 0, with what it is of, and the largest rate that is still likely where it is 0."""
    return f"{count} of {of}" + (f" (95 % bound {3 / of:.2g})" if not count and of else "")


def mutants() -> tuple[str, dict[str, Any]]:
    """The share of mutants that the tests kill, as text, and as it was measured."""
    try:
        known = json.loads(MUTANTS.read_text(encoding="utf-8"))
        killed, of = int(known["killed"]), int(known["mutants"])
        changed = sorted(path for path, module in known["modules"].items() if _sha256(path) != module["sha256"])
        when = str(known["date"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return "mutants killed: not measured", {"date": None}
    since = "of sources that are unchanged" if not changed else f"changed since: {', '.join(changed)}"
    return f"mutants killed {100 * killed / max(of, 1):.0f} % ({killed}/{of}, measured {when}; {since})", {
        **known,
        "changed": changed,
    }


def _sha256(path: str) -> str | None:
    """The SHA-256 of a module of bioFA by its path, such as `bioFA/units.py`."""
    file = Path(bioFA.__file__).resolve().parents[1] / path
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else None


def totals(rows: Sequence[Row]) -> dict[str, Any]:
    """The numbers of a fault drill."""
    attempts = [attempt for row in rows for attempt in row.attempts]
    resumed = [attempt.resumed for attempt in attempts if attempt.resumed is not None]
    return {
        "faults": len(rows),
        "survived": sum(row.survived for row in rows),
        "attempts": len(attempts),
        "finished_runs": sum(attempt.finished for attempt in attempts),
        "lost": sum(attempt.lost for attempt in attempts),
        "silent": sum(attempt.outcome.value == "silent" for attempt in attempts),
        "unclear": sum(attempt.outcome.value == "unclear" for attempt in attempts),
        "resumed": len(resumed),
        "resumed_identical": sum(resumed),
    }


def line(rows: Sequence[Row], tallies: Sequence[Tally]) -> str:
    """All of it in one line."""
    n = totals(rows)
    parts = [
        f"faults survived {n['survived']}/{n['faults']} ({n['attempts']} attempts)",
        *map(str, tallies),
        f"finished runs lost {zero(n['lost'], n['finished_runs'])}",
        f"silent wrong results {zero(n['silent'], n['attempts'])}",
        f"resume bit-identical {n['resumed_identical']}/{n['resumed']}",
        mutants()[0],
    ]
    return ", ".join(parts)


def table(rows: Sequence[Row]) -> str:
    """A line a fault: attempts, outcomes, and the control."""
    width = max(len(row.fault.title) for row in rows)
    head = f"{'':<4}{'fault':<{width}}  attempts  identical  refused  unclear  silent  plain Brian2 (control)"
    lines = [head]
    for row in rows:
        counts = [row.counts.get(name, 0) for name in ("identical", "refused", "unclear", "silent")]
        lines.append(
            f"{row.fault.number:<4}{row.fault.title:<{width}}  {len(row.attempts):>8}  {counts[0]:>9}  {counts[1]:>7} "
            f" {counts[2]:>7}  {counts[3]:>6}  {row.control}".rstrip()
        )
    return "\n".join(lines)


def as_json(rows: Sequence[Row], tallies: Sequence[Tally], seconds: float) -> dict[str, Any]:
    """All of it as data."""
    return command.report(tallies, seconds) | {
        "line": line(rows, tallies),
        "totals": totals(rows),
        "mutants": mutants()[1],
        "faults": [
            {
                "number": row.fault.number,
                "title": row.fault.title,
                "injected": row.fault.injected,
                "variants": list(dict.fromkeys(row.fault.variants)),
                "survived": row.survived,
                "outcomes": row.counts,
                "control": row.control,
                "attempts": [asdict(attempt) | {"outcome": attempt.outcome.value} for attempt in row.attempts],
            }
            for row in rows
        ],
    }
