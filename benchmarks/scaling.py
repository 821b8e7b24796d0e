"""Cost against the width of the hidden layer, and against the number of presentations."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import cases
from benchmarks.machine import caches
from benchmarks.race import Absent, Contestant, Say, race, start
from benchmarks.variants import LENGTHS, WIDTHS


def widths(sizes: Sequence[int], repeats: int, seconds: float, say: Say) -> dict[str, Any]:
    """ns per synapse and presentation of 784-width-10; where the last-level cache ends,
    by its size and by measurement."""
    found = race(WIDTHS, [cases.logistic(size, rows=500) for size in sizes], repeats, seconds, 50, None, say)
    for row in found:
        row["width"] = int(row["case"].split("-")[1])
    last = max(caches().items(), default=("", 0))
    ends = {"cache": last[0], "bytes": last[1], "width_float64": last[1] // (784 * 8)} if last[1] else {}
    return {"rows": found, "last_level_cache": ends, "flatness": {v.name: flatness(found, v.name) for v in WIDTHS}}


def flatness(rows: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """Largest over smallest ns a synapse from 300 to 3,000 units,
    and the first wider layer that costs half as much again."""
    costs = {row["width"]: row["ns_per_synapse"] for row in rows if row["name"] == name and row["status"] == "timed"}
    inside = [cost for width, cost in costs.items() if 300 <= width <= 3000]
    if not inside:
        return {}
    slower = [width for width, cost in sorted(costs.items()) if width >= 300 and cost > 1.5 * min(inside)]
    return {"ratio_300_to_3000": max(inside) / min(inside), "half_as_much_again_from": slower[0] if slower else None}


def lengths(counts: Sequence[int], repeats: int, say: Say) -> list[dict[str, Any]]:
    """Seconds of whole runs of the 30-20-10 network of different lengths, start of the program included."""
    case = cases.linear()
    with tempfile.TemporaryDirectory(prefix="biofa-lengths-") as scratch:
        folder = Path(scratch)
        case.write(folder)
        contestants: list[Contestant] = []
        rows: list[dict[str, Any]] = []
        try:
            for variant in LENGTHS:
                try:
                    contestants.append(start(variant, case, folder))
                except Absent as reason:
                    rows.append({"case": case.name, "name": variant.name, "reason": str(reason)})
            for count in counts:
                samples = _in_turns(contestants, count, repeats)
                rows += [
                    {
                        "case": case.name,
                        "name": contestant.variant.name,
                        "presentations": count,
                        "seconds": taken,
                        "median_s": median(taken),
                        "reason": "",
                    }
                    for contestant, taken in zip(contestants, samples, strict=True)
                ]
                say(f"runs of {count} presentations done")
        finally:
            for contestant in contestants:
                contestant.stop()
    return rows


def _in_turns(contestants: list[Contestant], count: int, repeats: int) -> list[list[float]]:
    samples: list[list[float]] = [[] for _ in contestants]
    for _ in range(repeats):
        for contestant, taken in zip(contestants, samples, strict=True):
            taken.append(contestant.run(count)[0])
    return samples
