"""Figures of a comparison: every seed of every condition, and what they have in common.

Each function takes plain numbers and gives a matplotlib `Figure` in the style of `style.py`.
A condition has the same colour and dashes in all of them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bioFA.show.style import BLUE, COLUMN, GREEN, GREY, ORANGE, PAGE, PURPLE, STYLE, as_text

Array = np.ndarray

COLOURS = (BLUE, ORANGE, GREEN, PURPLE, "#56B4E9", "#E69F00", "#000000")
"""Okabe & Ito's, without their yellow, which is lost on white."""
DASHES = ("-", (0, (4, 1.5)), (0, (1, 1)), (0, (5, 1, 1, 1)))
MOST = 24
"""So many conditions are drawn; the tables hold all."""
COLUMNS = 4


@dataclass(frozen=True)
class Line:
    """One run's course: `x` `(n,)` presentations, `y` `(n,)`.

    Several of a seed differ by their `part`, such as a pathway.
    """

    x: Array
    y: Array
    part: str = ""


Courses = Mapping[str, Sequence[Line]]
"""The lines of each condition, by its name."""


def means(lines: Sequence[Line], logarithmic: bool) -> tuple[Array, Array]:
    """The mean over seeds (geometric where `logarithmic`) at the places of the line that ends first.

    Returns:
        `x` and the mean, `(n,)` each.
    """
    x = min((line.x for line in lines), key=lambda places: places[-1])
    courses = [np.interp(x, line.x, _scaled(line.y, logarithmic)) for line in lines]
    mean = np.mean(courses, axis=0)
    return x, 10**mean if logarithmic else mean


def _scaled(y: Array, logarithmic: bool) -> Array:
    return np.log10(np.maximum(y, 1e-300)) if logarithmic else y


@matplotlib.rc_context(STYLE)
def overview(courses: Courses, ylabel: str, logarithmic: bool) -> Figure:
    """The mean course of every condition in one panel; conditions of which a run diverged come without lines."""
    figure = Figure(figsize=(PAGE, 3.0))
    panel = figure.subplots()
    for (name, lines), (colour, dashes) in zip(itertools.islice(courses.items(), MOST), _styles(), strict=False):
        if lines:
            panel.plot(*means(lines, logarithmic), color=colour, linestyle=dashes, label=as_text(name))
    _dress(panel, ylabel, logarithmic)
    handles, _ = panel.get_legend_handles_labels()
    if handles:
        figure.legend(loc="outside right upper", ncols=1 + len(handles) // 14)
    return figure


@matplotlib.rc_context(STYLE)
def every_seed(courses: Courses, ylabel: str, logarithmic: bool, notes: Mapping[str, str] | None = None) -> Figure:
    """A panel for each condition: every seed, their mean, and in grey the means of the others.

    Where `notes` says that runs diverged there is no mean.
    """
    shown = dict(itertools.islice(courses.items(), MOST))
    figure, panels = _panels(len(shown))
    mean_of = {name: means(lines, logarithmic) for name, lines in shown.items() if lines and name not in (notes or {})}
    for (name, lines), panel, (colour, _) in zip(shown.items(), panels, _styles(), strict=False):
        for other, mean in mean_of.items():
            if other != name:
                panel.plot(*mean, color=GREY, linewidth=0.5, alpha=0.5, zorder=1)
        for line in lines:
            panel.plot(line.x, line.y, color=colour, linewidth=0.6, alpha=0.55, zorder=2)
        if name in mean_of:
            panel.plot(*mean_of[name], color=colour, linewidth=1.6, zorder=3)
        _dress(panel, ylabel, logarithmic, name, (notes or {}).get(name, ""))
    return figure


@matplotlib.rc_context(STYLE)
def angles(courses: Courses) -> Figure:
    """A panel for each condition: the alignment angle of every feedback pathway from every seed, in degrees."""
    shown = dict(itertools.islice(courses.items(), MOST))
    figure, panels = _panels(len(shown))
    parts = list(dict.fromkeys(line.part for lines in shown.values() for line in lines))
    style = dict(zip(parts, _styles(), strict=False))
    largest = max(
        (float(line.y[np.isfinite(line.y)].max(initial=0.0)) for lines in shown.values() for line in lines),
        default=90.0,
    )
    for (name, lines), panel in zip(shown.items(), panels, strict=False):
        panel.axhline(90, color=GREY, linewidth=0.6, linestyle=(0, (4, 3)), zorder=0)
        for line in lines:
            colour, dashes = style[line.part]
            panel.plot(line.x, line.y, color=colour, linestyle=dashes, linewidth=0.7, alpha=0.7)
        _dress(panel, "angle (degrees)", False, name, "" if lines else "no feedback is measured")
        top = 180 if largest > 115 else 120
        panel.set(ylim=(0, top), yticks=range(0, top + 1, 30))
    for part, (colour, dashes) in style.items():
        figure.axes[0].plot([], [], color=colour, linestyle=dashes, label=as_text(part))
    if parts:
        figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside upper left", ncols=min(len(parts), 3))
    return figure


@matplotlib.rc_context(STYLE)
def measures(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Figure:
    """A panel for each measure: of each condition every seed at the end, the median of all, and its 95 % interval.

    Args:
        rows: as `outcomes.condition_rows` gives them.
        names: of the conditions, in the same order.
    """
    groups: dict[str, list[tuple[Mapping[str, Any], str]]] = {}
    for row, name in itertools.islice(zip(rows, names, strict=True), MOST):
        groups.setdefault(row["measure"], []).append((row, name))
    figure = Figure(figsize=(PAGE, 0.6 * len(groups) + 0.24 * sum(map(len, groups.values())) + 0.3))
    panels = figure.subplots(
        len(groups), 1, squeeze=False, height_ratios=[len(group) + 1 for group in groups.values()]
    )[:, 0]
    place = iter(_styles())
    for panel, (measure, group) in zip(panels, groups.items(), strict=True):
        logarithmic = measure.endswith("nse")
        for height, (row, _) in enumerate(group):
            colour, _ = next(place)
            scale = 1.0 if logarithmic else 100.0
            values = scale * np.array([v for v in row["values"] if np.isfinite(v)])
            levels = _levels(
                np.log10(np.maximum(values, 1e-300)) if logarithmic else values, _dot(group, scale, logarithmic)
            )
            panel.plot(
                values,
                height + 0.1 - min(0.13, 0.55 / max(1, levels.max(initial=1))) * levels,
                "o",
                **_dots(colour),
                clip_on=False,
            )
            # an end that is unbounded is drawn as an arrow from the last value
            if len(values) and np.isfinite(row["value"]):
                ends = np.clip(
                    [scale * row["low"], scale * row["high"]], values.min() if row["low"] <= 0 else -np.inf, None
                )
                unbounded = [bool(row["low"] <= 0 and logarithmic) or np.isinf(row["low"]), np.isinf(row["high"])]
                ends = np.where(np.isfinite(ends), ends, values.max())
                panel.plot(ends, [height + 0.3] * 2, color="black", linewidth=1.0, zorder=3)
                for place_of, open_end, marker in zip(ends, unbounded, "<>", strict=True):
                    if open_end:
                        panel.plot([place_of], [height + 0.3], marker, color="black", markersize=3.5, zorder=3)
            if len(values) and np.isfinite(row["value"]):
                panel.plot(
                    [scale * row["value"]],
                    [height + 0.3],
                    "|",
                    color="black",
                    markersize=7,
                    markeredgewidth=1.4,
                    zorder=3,
                )
            if "n_finite" in row:
                panel.annotate(
                    f"{row['n_finite']} of {row['n']} finite",
                    (1.0, height),
                    xycoords=("axes fraction", "data"),
                    ha="right",
                    va="center",
                    color=ORANGE if row["diverged"] else "black",
                    fontsize=7,
                )
        panel.set_yticks(range(len(group)), [as_text(name) for _, name in group])
        panel.set(xlabel=axis_label(measure), ylim=(len(group) - 0.3, -0.6))
        if logarithmic and any(np.isfinite(v) for row, _ in group for v in row["values"]):
            panel.set_xscale("log")
        elif not logarithmic:
            panel.set_xlim(left=0)
        panel.grid(axis="x", linewidth=0.3, color="#dddddd")
        panel.set_axisbelow(True)
    return figure


@matplotlib.rc_context(STYLE)
def tuning(rows: Sequence[Mapping[str, Any]], names: Sequence[str], measure: str) -> Figure:
    """A panel for each condition: the validation measure at every factor, of every seed, and what was chosen."""
    shown = [(row, name) for row, name in itertools.islice(zip(rows, names, strict=True), MOST) if row.get("grid")]
    figure, panels = _panels(len(shown))
    percent = measure.endswith("error")
    scale = 100.0 if percent else 1.0
    for (row, name), panel, (colour, _) in zip(shown, panels, _styles(), strict=False):
        factors = np.array([point["factor"] for point in row["grid"]])
        for point in row["grid"]:
            finite = [scale * v for v in point["values"] if np.isfinite(v)]
            # to the right on a logarithmic axis
            beside = 10 ** (0.06 * _levels(np.array(finite), 0.02 * max(finite, default=0.0)))
            panel.plot(point["factor"] * beside, finite, "o", **_dots(colour))
            if lost := len(point["values"]) - len(finite):
                panel.annotate(
                    f"{lost} diverged",
                    (point["factor"], 0.98),
                    xycoords=("data", "axes fraction"),
                    rotation=90,
                    ha="center",
                    va="top",
                    color=ORANGE,
                    fontsize=6.5,
                )
        means_of = scale * np.array([point["mean"] for point in row["grid"]])
        ended = np.isfinite(means_of)
        panel.plot(factors[ended], means_of[ended], "-", color=colour, linewidth=1.0)
        chosen = factors == row["factor"]
        if ended[chosen].any():
            panel.plot(factors[chosen], means_of[chosen], "D", color="black", markersize=4.5, zorder=4)
        panel.set_xscale("log")
        panel.set_xticks(factors, [f"{factor:g}" for factor in factors])
        panel.minorticks_off()
        if not percent:
            panel.set_yscale("log")
        panel.set(
            ylabel=axis_label(measure) if _is_leftmost(panel) else "",
            xlabel="learning rates x",
            title=as_text(name) + (" (at the edge)" if row["at_edge"] else ""),
        )
    return figure


def _dots(colour: str) -> dict[str, Any]:
    """Single seeds: open, so that a dot behind another is seen."""
    return {"color": colour, "markersize": 3.5, "markerfacecolor": "none", "markeredgewidth": 0.8, "alpha": 0.8}


def _dot(group: Sequence[tuple[Mapping[str, Any], str]], scale: float, logarithmic: bool) -> float:
    """About the width of a dot in units of the axis that shows these conditions."""
    values = scale * np.array(
        [v for row, _ in group for v in row["values"] if np.isfinite(v) and (v > 0 or not logarithmic)]
    )
    if not len(values):
        return 0.0
    return 0.012 * float(np.ptp(np.log10(values)) if logarithmic else values.max())


def _levels(places: Array, width: float) -> Array:
    """For each dot the lowest level on which no dot nearer than `width` lies, `(n,)`:
    dots that would hide one another are stacked."""
    levels, ends = np.zeros(len(places), dtype=int), list[float]()
    for index in np.argsort(places, kind="stable"):
        level = next(
            (n for n, end in enumerate(ends) if places[index] - end >= width and places[index] > end), len(ends)
        )
        ends[level : level + 1] = [float(places[index])]
        levels[index] = level
    return levels


def axis_label(measure: str) -> str:
    """What stands at the axis of a measure."""
    split, _, kind = measure.rpartition("_")
    return f"{split} error (%)" if kind == "error" else f"{split or 'training'} NSE"


def _styles() -> Iterable[tuple[str, Any]]:
    """Colour and dashes for each condition in turn."""
    return ((colour, dashes) for dashes in itertools.cycle(DASHES) for colour in COLOURS)


def _panels(count: int) -> tuple[Figure, list[Axes]]:
    """A grid with room for so many panels on shared axes."""
    columns = min(COLUMNS, max(count, 1))
    rows = max(1, math.ceil(count / columns))
    figure = Figure(figsize=(PAGE if columns > 2 else COLUMN * columns, 1.55 * rows + 0.3))
    panels = list(figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flat)
    for panel in panels[count:]:
        panel.set_axis_off()
    for panel in panels[max(0, count - columns) : count]:
        panel.tick_params(labelbottom=True)
    return figure, panels[:count]


def _dress(panel: Axes, ylabel: str, logarithmic: bool, title: str = "", note: str = "") -> None:
    if logarithmic and panel.lines:
        panel.set_yscale("log")
    panel.set(title=as_text(title), xlim=(0, None))
    if _is_leftmost(panel):
        panel.set_ylabel(ylabel)
    panel.set_xlabel("presentation")
    panel.xaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
    if not logarithmic:
        panel.set_ylim(bottom=0)
    if note:
        panel.text(0.97, 0.95, note, transform=panel.transAxes, ha="right", va="top", fontsize=7, color=ORANGE)


def _is_leftmost(panel: Axes) -> bool:
    place = panel.get_subplotspec()
    return place is None or place.is_first_col()
