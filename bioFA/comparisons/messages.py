"""What is written of a comparison for people: its summary for a terminal, and the numbers in its sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bioFA.analysis import statistics
from bioFA.comparisons.table import STATES

Row = Mapping[str, Any]
BESIDE = 4
"""Columns of a table of measures on a terminal."""
ESTIMATE = "median over seeds (Hodges-Lehmann) [95 % interval], or (lowest to highest) where seeds are too few for one"
"""What `describe_measure` says."""


def describe(summary: Row) -> str:
    """A summary (`outcomes.summary`) as text for a terminal."""
    ended = "".join(f", {summary['states'][state]} {state}" for state in STATES if state in summary["states"])
    lines = [
        f"{summary['finished']} of {summary['runs']} runs finished, {summary['diverged']} diverged{ended}, "
        f"{summary['left']} are left.",
        f"  seeds      {', '.join(map(str, summary['seeds']))}",
    ]
    for package, versions in summary["mixed"].items():
        lines.append(f"  WARNING    the runs were made by several versions of {package}: {', '.join(versions)}")
    for row in summary["tuning"]:
        if "factor" in row:
            edge = "   (the edge of the grid: a better one may lie beyond)" if row["at_edge"] else ""
            grid = ", ".join(f"{point['factor']:g}" for point in row["grid"])
            lines.append(f"  tuned      {row['condition']}: learning rates x {row['factor']:g} of {grid}{edge}")
    if "measures" in summary:
        lines += [*_measure_lines(summary["measures"]), *map(_finding_line, _found(summary["conditions"]))]
    for row in [] if "measures" in summary else summary["conditions"]:
        lines += _condition_lines(row)
    for first, second in summary["identical"]:
        lines.append(
            f"  identical  {first} and {second}: the same network by construction, so nothing is tested between them"
        )
    lines += [f"  order      {describe_order(row)}" for row in summary["ranking"] if len(row["order"]) > 1]
    lines += [_pair_line(row) for row in summary["comparisons"]]
    caution = too_few_seeds(summary["request"]["seeds"], len(summary["comparisons"]))
    if caution:
        lines.append(f"  NOTE       {caution}")
    return "\n".join(lines)


def _condition_lines(row: Row) -> list[str]:
    lines = [
        f"  {row['measure']:<11}{row['label']}: {describe_condition(row)}",
        f"  rates      {row['label']}: {row['rates']['text']}",
    ]
    if row["rates"]["departs"]:
        lines.append(
            f"  NOTE       {row['label']} differs from the model's own scheme in more than its feedback: "
            f"{'; '.join(row['rates']['departs'])}"
        )
    return [*lines, *map(_finding_line, _found([row]))]


def _found(rows: Sequence[Row]) -> list[tuple[Row, Row]]:
    """Every condition with each thing that is wrong with its runs."""
    return [(row, finding) for row in rows for finding in row["findings"]]


def _finding_line(found: tuple[Row, Row]) -> str:
    row, finding = found
    return f"  WARNING    {row['label']}, {affected_runs(finding, row)}: {finding['says']}"


def _measure_lines(rows: Sequence[Row]) -> list[str]:
    """A table of measures by condition, a few conditions beside each other."""
    columns, names = measure_table(rows)
    lines = [f"  measures   {ESTIMATE}; rates and peaks in Hz"]
    for start in range(0, len(columns), BESIDE):
        some = columns[start : start + BESIDE]
        table = [("", *(heading for heading, _ in some))]
        table += [(name, *(cells[place] for _, cells in some)) for place, name in enumerate(names)]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines.append("")
        lines += ["  " + "  ".join(map(str.ljust, line, widths)).rstrip() for line in table]
    return lines


def measure_table(rows: Sequence[Row]) -> tuple[list[tuple[str, list[str]]], list[str]]:
    """The measures (`outcomes.measure_rows`) of every condition, its label and a text for each, and their names."""
    names = list(dict.fromkeys(row["measure"] for row in rows))
    labels = dict.fromkeys(row["label"] for row in rows)
    cells = {(row["label"], row["measure"]): describe_measure(row) for row in rows}
    return [(label, [cells[label, name] for name in names]) for label in labels], names


def describe_measure(row: Row) -> str:
    """The median of a measure over seeds with its interval, or its ends where seeds are too few for one; else how many
    seeds have the measure."""
    if not np.isfinite(row["value"]):
        return f"- ({row['n_finite']} of {row['n']} runs have one)"
    if np.isfinite([row["low"], row["high"]]).all():
        return f"{row['value']:.4g} [{row['low']:.4g}, {row['high']:.4g}]"
    return f"{row['value']:.4g} ({min(row['values']):.4g} to {max(row['values']):.4g})"


def _pair_line(row: Row) -> str:
    interval = f"{signed(row['difference'])} [{', '.join(bounds(row))}] ({row['scale']}, {100 * row['level']:.4g} %), "
    difference = "" if np.isnan(row["difference"]) else f"First minus second: {interval}"
    return (
        f"  pair       {row['first']} against {row['second']}: {row['verdict']}. {difference}"
        f"p = {row['p_holm']:.3g} (Holm), n = {row['n']}, both finite in {row['n_finite']}"
    )


def describe_condition(row: Row) -> str:
    """A condition's median, interval and number of runs, with what sampling of test examples adds."""
    ends = ", ".join(
        f"{v:.4g}" if (np.isfinite(v) and v > 0) or (v == 0 and row["measure"] == "test_error") else "unbounded"
        for v in (row["low"], row["high"])
    )
    if row["n_finite"] < row["n"]:
        value = "no median, since runs diverged"
    else:
        value = f"median {row['value']:.4g} [{ends}]" if row["n"] else "no run"
    note = ""
    if row["sampling_error"] is not None:
        note = f"; sampling of {row['test_examples']} test examples alone +-{row['sampling_error']:.2g}"
    return f"{value}, n = {row['n']}, finite {row['n_finite']}{note}"


def describe_order(row: Row) -> str:
    """The order of a model's conditions, those between which the median is 0 joined by =.

    It is named where pairs contradict any order.
    """
    names = [name.removeprefix(f"{row['model']}, ") for name in row["order"]]
    joined = (f"{' = ' if equal else ', '}{name}" for name, equal in zip(names[1:], row["equal"], strict=True))
    fits = "" if row["consistent"] else " (some pairs are the other way round: no order fits all)"
    return f"{row['model']}, best first by medians of paired differences: {names[0]}{''.join(joined)}{fits}"


def affected_runs(finding: Row, row: Row) -> str:
    """In which of a condition's runs something was found."""
    seeds, runs = finding["seeds"], row["n"]
    if len(seeds) == runs:
        return f"all {runs} runs"
    return f"{len(seeds)} of {runs} runs (seed {', '.join(map(str, seeds))})"


def signed(value: float) -> str:
    """A difference as text."""
    if np.isfinite(value):
        return f"{value:+.3g}"
    return "-" if np.isnan(value) else f"{'+' if value > 0 else '-'}infinity"


def bounds(row: Row) -> tuple[str, str]:
    """The ends of a pair's interval as text."""
    low, high = row["low"], row["high"]
    return "unbounded" if low == -np.inf else signed(low), "unbounded" if high == np.inf else signed(high)


def too_few_seeds(seeds: int, pairs: int) -> str | None:
    """The warning that so few seeds cannot show a difference in any of so many pairs, where that is so."""
    if not pairs or statistics.can_be_tested(seeds, pairs):
        return None
    lowest = min(1.0, pairs * 2.0 ** (1 - seeds))
    return (
        f"{pairs} pair{'s' if pairs > 1 else ''} cannot be tested with {seeds} seeds, however large a difference is: "
        f"the lowest p that can come out is {lowest:.2g} (Holm). {statistics.seeds_needed(pairs)} seeds could, "
        "fewer conditions, or one baseline (--baseline)."
    )


def describe_estimate(expected: Mapping[str, float], processes: int, scheduler: str | None) -> str:
    """What the runs that are left will take (`driver.estimate`)."""
    width = f"with {processes} at once" if processes > 1 else "one at a time"
    if scheduler is not None:
        width = "over all workers together"
    return (
        f"{expected['left']:.0f} runs are left: about {duration(expected['seconds'])} {width}, and "
        f"{size(expected['bytes'])} of disk ({size(expected['free'])} are free)."
    )


def duration(seconds: float) -> str:
    """A time as text."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def size(count: float) -> str:
    """A number of bytes as text."""
    return f"{count / 1e6:.1f} MB" if count < 1e9 else f"{count / 1e9:.1f} GB"
