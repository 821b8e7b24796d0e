"""A picture of each table, beside `results.md`: costs as bars on a logarithmic axis, or as lines against a size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from matplotlib.figure import Figure

FOLDER = "pictures"


@dataclass(frozen=True)
class Bar:
    """A bar: what it is of, and all its samples."""

    name: str
    samples: Sequence[float]


def draw(results: dict[str, Any], out: Path) -> dict[str, list[str]]:
    """Draw every part that was run, as SVG files in `pictures` of the folder.

    Returns:
        The files of each part, relative to the folder.
    """
    found: dict[str, list[str]] = {}
    for part in results:
        for number, (title, unit, bars) in enumerate(charts(part, results[part])):
            if bars:
                path = Path(FOLDER) / f"{part}{f'-{number + 1}' if number else ''}.svg"
                (out / FOLDER).mkdir(parents=True, exist_ok=True)
                save(title, unit, bars, out / path)
                found.setdefault(part, []).append(path.as_posix())
    return found


def charts(part: str, found: Any) -> list[tuple[str, str, list[Bar]]]:
    """The titles, units and bars of a part's tables; none for what is no table of costs."""
    if part in ("race", "minibatch"):
        return [_costs(case, found) for case in dict.fromkeys(row["case"] for row in found)]
    if part == "events":
        pairs = [found, *([found["frozen"]] if "frozen" in found else [])]
        return [_costs(one["rows"][0]["case"], one["rows"], 1e6, "ms a presentation") for one in pairs]
    if part == "widths":
        names = dict.fromkeys(row["name"] for row in found["rows"])
        return [
            (
                f"{name}: cost against width",
                "ns a synapse and presentation",
                _bars(_of(found["rows"], name), "width", 1),
            )
            for name in names
        ]
    if part == "builds":
        return [(kind, "s", _seconds(found[kind], "case")) for kind in ("cold", "warm")]
    titles = {"lengths": "presentations", "sweep": "runs", "exports": "case"}
    return [(part, "s", _seconds(found, titles[part]))] if part in titles else []


def _of(rows: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [row for row in rows if row["name"] == name]


def _costs(
    case: str, rows: list[dict[str, Any]], unit: float = 1e3, words: str = "us a presentation"
) -> tuple[str, str, list[Bar]]:
    return case, words, _bars([row for row in rows if row["case"] == case], "precision", unit)


def _bars(rows: list[dict[str, Any]], beside: str, unit: float) -> list[Bar]:
    timed = [row for row in rows if row["status"] == "timed"]
    scale = {id(row): unit * (row["synapses"] if beside == "width" else 1) for row in timed}
    return [Bar(f"{row['name']}, {row[beside]}", [ns / scale[id(row)] for ns in row["ns"]]) for row in timed]


def _seconds(rows: list[dict[str, Any]], beside: str) -> list[Bar]:
    return [Bar(f"{row['name']}, {row.get(beside, '')}", row["seconds"]) for row in rows if row.get("seconds")]


def save(title: str, unit: str, bars: Sequence[Bar], path: Path) -> None:
    """Medians as bars from the top down, with smallest and largest samples as whiskers."""
    figure = Figure(figsize=(8, 0.9 + 0.32 * len(bars)), layout="constrained")
    axes = figure.subplots()
    middles = [median(bar.samples) for bar in bars]
    whiskers = [
        [middle - min(bar.samples) for middle, bar in zip(middles, bars, strict=True)],
        [max(bar.samples) - middle for middle, bar in zip(middles, bars, strict=True)],
    ]
    colours = ["#1f6f8b" if bar.name.startswith("bioFA") else "#b0b0b0" for bar in bars]
    drawn = axes.barh(range(len(bars)), middles, xerr=whiskers, color=colours, ecolor="#444444")
    axes.set_yticks(range(len(bars)), [bar.name for bar in bars])
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlabel(unit)
    axes.set_title(title)
    axes.bar_label(drawn, [f"{middle:.3g}" for middle in middles], padding=4, fontsize=8)
    axes.margins(x=0.15)
    figure.savefig(path, metadata={"Date": None})
