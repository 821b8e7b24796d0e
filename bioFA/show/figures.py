"""Figures of one result: what was learned, how feedback aligned, the weights, and what spiking neurons do.

Each function takes a `Result` and gives a matplotlib `Figure`, drawn without pyplot, so nothing
needs a display and nothing is left open.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator

from bioFA.analysis.learning import sliding_mean
from bioFA.errors import Unavailable
from bioFA.network import Pathway, Population
from bioFA.neurons.rate_source import RateSource
from bioFA.runs.activity import Activity
from bioFA.runs.result import Result
from bioFA.show import free_figures
from bioFA.show.style import BLUE, COLUMN, GREEN, GREY, ORANGE, PAGE, PURPLE, STYLE, as_text, write
from bioFA.units import steps_of

Array = np.ndarray

SPLITS: dict[str, dict[str, Any]] = {
    "validation": {"color": ORANGE, "marker": "o", "linestyle": "-"},
    "test": {"color": GREEN, "marker": "D", "linestyle": "", "markerfacecolor": "none"},
}
"""The test's mark is open, since that of the last validation may lie behind it."""
SHOWN = 4000
"""At most so many single presentations are drawn."""
BINS = 100
"""Courses are summarised in at most this many bins of consecutive presentations."""
PIXELS = 600
"""Of a larger matrix, every second (third, ...) row and column is drawn."""
SLIM = 0.25
"""Height in inches of the bars above spikes."""
RATE_BIN = 20e-3
"""Seconds in a bin of a population's rate."""
LONG = 28
"""Titles of names so long take two lines, where a page has three panels in a row."""
WRITTEN = 12
"""The numbers stand in the matrices of up to so many classes."""
IMAGES = 24
"""So many receptive fields are shown."""
MOST_COURSES = 400
"""So many weights are drawn as courses, one line each."""


@matplotlib.rc_context(STYLE)
def learning_curve(result: Result) -> Figure:
    """Squared error of the recorded presentations over the course of learning, and the error rate where there is one.

    The error is a presentation's squared error over the mean power of the targets (NSE), taken before the network
    learns from it: dots, one presentation or one in so many (`record.every`,
    and thinned where there are more than 4,000), with the mean over the last that were recorded.
    """
    rates = {split: rows for split in SPLITS if (rows := _evaluations(result, split, "error"))}
    figure = Figure(figsize=(PAGE if rates else COLUMN, 2.7))
    axes = figure.subplots(1, 2 if rates else 1, squeeze=False)[0]
    at, curve = result.recording.at + 1, result.learning_curve
    window, thin = max(1, len(curve) // 40), -(-len(curve) // SHOWN)
    mean = sliding_mean(curve, window)
    every = result.experiment.record.every
    label = "one presentation" if thin * every == 1 else f"one presentation in {thin * every}"
    axes[0].plot(
        at[::thin],
        curve[::thin],
        ".",
        color=BLUE,
        alpha=0.25,
        markersize=2.0,
        markeredgewidth=0.0,
        rasterized=True,
        label=label,
    )
    axes[0].plot(at, mean, color=BLUE, label=f"mean over {window * every}")
    lowest = [float(mean[mean > 0].min(initial=np.inf))]
    for split, mark in SPLITS.items():
        if rows := _evaluations(result, split, "nse"):
            axes[0].plot(*rows, **mark, markersize=3.0, linewidth=0.9, label=split, clip_on=False, zorder=3)
            lowest.append(float(rows[1][rows[1] > 0].min(initial=np.inf)))
    axes[0].set(yscale="log", ylabel="normalised squared error")
    figure.suptitle(_title(result), x=0.02, ha="left", fontsize=8.0)
    if np.isfinite(min(lowest)):  # single presentations far below every mean would squeeze the rest
        axes[0].set_ylim(bottom=max(float(curve[curve > 0].min(initial=np.inf)) / 2, min(lowest) / 100))
    # above the panel, since single presentations are everywhere in it
    above = axes[0].legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=2, borderaxespad=0.0, columnspacing=1.0)
    dots = above.legend_handles[0]
    dots.set(alpha=0.6, markersize=4.0)
    for split, (presentations, values) in rates.items():
        label = f"{split}, {100 * values[-1]:.1f} % at the end"
        axes[1].plot(presentations, 100 * values, **SPLITS[split], markersize=3.0, label=label, clip_on=False, zorder=3)
    if rates:
        axes[1].set(ylim=(0, None), ylabel="misclassified (%)")
        axes[1].legend()
    for panel in axes:
        _over_presentations(panel, result)
    return figure


@matplotlib.rc_context(STYLE)
def alignment(result: Result) -> Figure:
    """For each measured feedback pathway, how well what it carries agrees with the transposed forward weights.

    Three angles in degrees over the course of learning: between the fed-back error B e and what
    the transpose would feed back, W' e (median and the middle 80 % of consecutive recorded presentations);
    between the matrices B and W'; and between B and the pseudo-inverse of W.
    """
    names = list(result.feedback_angles)
    figure = Figure(figsize=(COLUMN if len(names) < 2 else PAGE, 2.4 * math.ceil(len(names) / 2)))
    panels = figure.subplots(math.ceil(len(names) / 2), min(len(names), 2), squeeze=False, sharey=True)
    for panel in panels.flat[len(names) :]:
        panel.set_axis_off()
    largest = 90.0
    for panel, name in zip(panels.flat, names, strict=False):
        course, at = result.alignment_course[name], result.snapshots_at
        places, middle, low, high = _summary(result.recording.at + 1, result.feedback_angles[name])
        panel.axhline(90, color=GREY, linewidth=0.6, linestyle=(0, (4, 3)), zorder=0)
        panel.fill_between(places, low, high, color=BLUE, alpha=0.2, linewidth=0)
        panel.plot(places, middle, color=BLUE, label="$Be$ and $W^{\\mathsf{T}}e$")
        panel.plot(
            at,
            course["alignment"],
            "o-",
            color=ORANGE,
            markersize=3.0,
            label="$B$ and $W^{\\mathsf{T}}$",
            clip_on=False,
        )
        panel.plot(
            at,
            course["pseudoinverse"],
            "s--",
            color=GREEN,
            markersize=2.5,
            linewidth=0.9,
            label="$B$ and $W^{+}$",
            clip_on=False,
        )
        seen = np.concatenate([high, course["alignment"], course["pseudoinverse"]])
        largest = max(largest, float(seen[np.isfinite(seen)].max(initial=0.0)))
        pathway = result.experiment.network.pathway(name)
        panel.set_title(
            f"{name}, for {pathway.stands_for}" + ("" if result.experiment.scheme != "bp" else " (control)")
        )
        _over_presentations(panel, result)
    top = 180 if largest > 115 else 120
    for panel in panels.flat[: len(names)]:
        panel.set(ylim=(0, top), yticks=range(0, top + 1, 30))
    for row in panels:
        row[0].set_ylabel("angle (degrees)")
    figure.legend(*panels.flat[0].get_legend_handles_labels(), loc="outside upper left", ncols=3, columnspacing=1.5)
    return figure


@matplotlib.rc_context(STYLE)
def weights(result: Result) -> Figure:
    """The weights of every pathway that learns, before and after.

    Matrices are images `(n_post, n_pre)`, each pathway on one colour scale, beside the fixed
    feedback that stands for their transpose; vectors, single weights and the first of listed synapses are courses over
    learning. Pixels to hidden neurons appear once more as receptive fields.
    """
    network = result.experiment.network
    matrices = [p for p in network.plastic() if min(network.shape(p)) > 1 and not p.listed]
    vectors = [p for p in network.plastic() if p not in matrices]
    pairs = [vectors[start : start + 2] for start in range(0, len(vectors), 2)]
    fields = [p for p in matrices if _side(result, p)]
    heights = ([1.9 * len(matrices)] if matrices else []) + [2.0] * len(pairs) + [1.5] * len(fields)
    figure = Figure(figsize=(PAGE, sum(heights)))
    parts = iter(figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0])
    if matrices:
        _draw_matrices(next(parts), result, matrices)
    for pair in pairs:
        for panel, pathway in zip(next(parts).subplots(1, 2), (*pair, None), strict=False):
            _draw_courses(panel, result, pathway)
    for pathway in fields:
        _draw_fields(next(parts), result, pathway)
    return figure


@matplotlib.rc_context(STYLE)
def raster(result: Result) -> Figure:
    """Every spike in the first presentations of training, replayed in the NumPy reference at the final weights with
    learning off, and below the rate of every population, its spikes per neuron in bins of 20 ms. A row is a neuron; the
    mean rate of its population stands beside it. Grey lines: a presentation begins.
    Bars: the example is shown; learning was on, in training.

    Raises:
        ModelError: if no neuron spikes, or an older bioFA kept no spikes.
    """
    activity = _activity(result)
    populations = [p for p in result.experiment.network.populations if p.name in activity.spikes]
    heights = [SLIM, *(min(max(0.012 * p.size, 0.45), 1.5) for p in populations), 1.1]
    figure = Figure(figsize=(PAGE, sum(heights) + 0.2 * len(heights) + 0.4))
    panels = figure.subplots(len(heights), 1, height_ratios=heights, sharex=True)
    for panel, population, height in zip(panels[1:-1], populations, heights[1:-1], strict=True):
        steps, neurons = activity.spikes[population.name].T
        size = min(max(72 * height / population.size, 1.0), 6.0)
        times = 1e3 * result.experiment.protocol.step * steps
        panel.plot(
            times,
            neurons,
            "|",
            color="black",
            markersize=size,
            markeredgewidth=0.6,
            rasterized=len(times) > SHOWN,
            clip_on=False,
        )
        panel.set(ylim=(-0.5, population.size - 0.5), yticks=[0, population.size - 1] if population.size > 1 else [0])
        panel.set_ylabel(_apart(population.name), rotation=0, ha="right", va="center")
        _beside(panel, f"{result.firing_rates[population.name]:.0f} Hz")
    for colour, population in zip(_cycle(len(populations)), populations, strict=False):
        panels[-1].stairs(
            *_population_rate(result, population), baseline=None, color=colour, linewidth=0.9, label=population.name
        )
    panels[-1].set(xlabel="time (ms)", ylim=(0, None))
    panels[-1].set_ylabel("rate (Hz)", rotation=0, ha="right", va="center")
    panels[-1].legend(loc="upper left", ncols=1, bbox_to_anchor=(1.0, 1.05))
    _over_time(figure, panels, result)
    figure.align_ylabels(panels)
    return figure


@matplotlib.rc_context(STYLE)
def neurons(result: Result) -> Figure:
    """Sample neurons in the first presentations of training, replayed in the NumPy reference at the final weights with
    learning off: of every population the neuron that spikes most, and the median of those that spike. Dashes are its
    spikes; below, what its model keeps, receives and publishes, in the model's own units.
    Grey lines: a presentation begins. Bars: the example is shown; learning was on, in training.

    Raises:
        ModelError: if no neuron spikes, or an older bioFA kept no spikes.
    """
    activity = _activity(result)
    network, step = result.experiment.network, 1e3 * result.experiment.protocol.step
    rows = [(p, v) for p in network.populations for v in p.neuron.watched if f"{p.name}.{v}" in activity.courses]
    heights = [SLIM, *(0.6 for _ in rows)]
    columns = max(len(sampled) for sampled in activity.sampled.values())
    figure = Figure(figsize=(PAGE, sum(heights) + 0.1 * len(heights) + 0.6))
    panels = figure.subplots(len(heights), columns, height_ratios=heights, sharex=True, sharey="row", squeeze=False)
    for (population, variable), line in zip(rows, panels[1:], strict=True):
        course, sampled = activity.courses[f"{population.name}.{variable}"], activity.sampled[population.name]
        first = variable == next(v for p, v in rows if p is population)
        for panel, values, neuron in zip(line, course.T, sampled, strict=False):
            panel.plot(step * np.arange(len(values)), values, color=BLUE, linewidth=0.7)
            if first:
                spikes = activity.spikes[population.name]
                times = step * spikes[spikes[:, 1] == neuron, 0]
                panel.plot(
                    times,
                    np.full(len(times), 1.08),
                    "|",
                    color="black",
                    markersize=5.0,
                    markeredgewidth=0.7,
                    transform=panel.get_xaxis_transform(),
                    clip_on=False,
                )
                panel.set_title(f"{population.name}, neuron {neuron}", pad=8.0)
        for panel in line[len(sampled) :]:
            panel.set_axis_off()
        line[0].set_ylabel(variable if len(variable) > 1 else f"${variable}$", rotation=0, ha="right", va="center")
        line[0].yaxis.set_major_locator(MaxNLocator(nbins=3))
    for panel in panels[-1]:
        panel.set_xlabel("time (ms)")
    for column in panels.T:
        _over_time(figure, column, result)
    figure.align_ylabels(panels[:, 0])
    return figure


@matplotlib.rc_context(STYLE)
def confusion(result: Result) -> Figure:
    """How the examples of each class were answered at the end, in percent of the class; the diagonal,
    what was answered rightly, is left white.

    A panel for each split; beside each class its number of examples and its error.
    Numbers stand in matrices of up to 12 classes.
    """
    panels = result.confusion
    figure = Figure(figsize=(COLUMN if len(panels) == 1 else PAGE, 3.1))
    axes = np.atleast_1d(figure.subplots(1, len(panels)))
    shares = {
        split: 100 * matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1) for split, matrix in panels.items()
    }
    wrong = {split: np.where(np.eye(len(share), dtype=bool), np.nan, share) for split, share in shares.items()}
    top = (
        max(float(np.nanmax(share)) for share in wrong.values() if np.isfinite(share).any())
        if any(np.isfinite(s).any() for s in wrong.values())
        else 1.0
    )
    for panel, (split, matrix) in zip(axes, panels.items(), strict=True):
        classes = len(matrix)
        image = panel.imshow(wrong[split], cmap="Oranges", vmin=0, vmax=max(top, 1.0), aspect="equal")
        errors = result.class_errors[split]
        for row, column in np.ndindex(matrix.shape) if classes <= WRITTEN else ():
            if matrix[row, column]:
                dark = row != column and wrong[split][row, column] > 0.6 * top
                panel.text(
                    column,
                    row,
                    str(matrix[row, column]),
                    ha="center",
                    va="center",
                    fontsize=6.0,
                    color="white" if dark else "black" if row != column else GREY,
                )
        if classes <= WRITTEN:
            panel.set_yticks(
                range(classes), [f"{k}  ({matrix[k].sum()}; {100 * errors[k]:.1f} %)" for k in range(classes)]
            )
            panel.set_xticks(range(classes))
        panel.set(
            xlabel="answered as",
            ylabel="class (examples; wrong)",
            title=f"{split}, {100 * (1 - np.trace(matrix) / matrix.sum()):.1f} % wrong",
        )
        panel.spines[:].set_visible(False)
        panel.tick_params(length=0)
        figure.colorbar(image, ax=panel, shrink=0.8, label="% of the class", pad=0.02).outline.set_visible(False)
    figure.suptitle(_title(result), x=0.02, ha="left", fontsize=8.0)
    return figure


def drawn(result: Result) -> list[Callable[[Result], Figure]]:
    """The figures that can be drawn of a result.

    There is no alignment where no feedback is measured (schemes without feedback weights), no weights where none learn,
    no spikes where nobody spikes. Where time passes without a task, they are those of `free_figures`.
    """
    if result.free:
        return free_figures.drawn(result)
    found: list[Callable[[Result], Figure]] = [
        learning_curve,
        *([alignment] if result.feedback_angles else []),
        *([weights] if result.experiment.network.plastic() else []),
    ]
    found += [confusion] if result.confusion else []
    if result.activity is not None:
        found += [raster, *([neurons] if result.activity.courses else [])]
    return found


def caption(draw: Callable[[Result], Figure], result: Result) -> str:
    """The first paragraph of a figure's description; where it shows courses, which presentations were recorded."""
    text = " ".join((draw.__doc__ or "").split("\n\n")[0].split())
    every = result.experiment.record.every
    recorded = "Every presentation was recorded." if every == 1 else f"One presentation in {every} was recorded."
    return f"{text} {recorded}" if draw in (learning_curve, alignment) else text


def save_all(result: Result, folder: str | Path) -> list[Path]:
    """Write the figures of a result (`drawn`), each as .png, .pdf and .svg, and return their paths.

    Raises:
        FileError: if the folder cannot be written.
    """
    return [path for draw in drawn(result) for path in save(draw, result, Path(folder))]


def save(draw: Callable[[Result], Figure], result: Result, folder: Path) -> list[Path]:
    """Write one figure of a result as .png, .pdf and .svg, and return their paths.

    Raises:
        FileError: if the folder cannot be written.
    """
    return write(draw(result), folder, draw.__name__)


def _activity(result: Result) -> Activity:
    if result.activity is None:
        raise Unavailable(
            f"the run of '{result.experiment.name}' kept no spikes: no population of it spikes, or it was run by an"
            " older bioFA. Run a spiking model."
        )
    return result.activity


def _apart(name: str) -> str:
    """A population's name on short lines."""
    return name.replace("_", "\n")


def _beside(panel: Axes, text: str) -> None:
    panel.text(1.01, 0.5, text, transform=panel.transAxes, va="center", fontsize=7.0)


def _cycle(count: int) -> list[str]:
    colours = (BLUE, ORANGE, GREEN, PURPLE, GREY)
    return [colours[place % len(colours)] for place in range(count)]


def _population_rate(result: Result, population: Population) -> tuple[Array, Array]:
    """Mean rate in Hz in bins of `RATE_BIN`, and the edges of the bins in ms."""
    assert result.activity is not None
    protocol = result.experiment.protocol
    total, width = result.activity.presentations * protocol.steps, max(1, steps_of(RATE_BIN, protocol.step))
    edges = np.append(np.arange(0, total, width), total)
    counts, _ = np.histogram(result.activity.spikes[population.name][:, 0], edges)
    return counts / (population.size * protocol.step * np.diff(edges)), 1e3 * protocol.step * edges


def _over_time(figure: Figure, panels: Sequence[Axes], result: Result) -> None:
    """The title, the bars of stimulus and learning in the first panel, and the beginnings of presentations in all."""
    assert result.activity is not None
    protocol, count = result.experiment.protocol, result.activity.presentations
    step, length = 1e3 * protocol.step, protocol.steps
    bars, *others = panels
    for row, (onset, colour) in enumerate(((0, GREY), (protocol.onset_steps, ORANGE))):
        bars.broken_barh(
            [(step * (k * length + onset), step * (protocol.shown_steps - onset)) for k in range(count)],
            (-row - 0.3, 0.6),
            color=colour,
            linewidth=0,
        )
    bars.set(ylim=(-1.5, 0.5), yticks=[0, -1], yticklabels=["shown", "learning"])
    bars.spines[:].set_visible(False)
    bars.tick_params(length=0, labelbottom=False)
    for panel in others:
        for k in range(1, count):
            panel.axvline(step * k * length, color=GREY, linewidth=0.5, alpha=0.6, zorder=0)
        panel.tick_params(axis="x", length=2.0 if panel is others[-1] else 0.0)
        panel.spines["bottom"].set_visible(panel is others[-1])
    bars.set_xlim(0, step * count * length)
    examples = "example" if count == 1 else f"{count} examples"
    figure.suptitle(
        f"{_title(result)}: the first {examples} of training replayed in the reference at the final weights",
        x=0.02,
        ha="left",
        fontsize=8.0,
    )


def _title(result: Result) -> str:
    return as_text(f"{result.experiment.name}, {result.experiment.scheme}, seed {result.seed}")


def _over_presentations(panel: Axes, result: Result) -> None:
    panel.set(xlabel="presentation", xlim=(0, result.presentations))
    panel.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    panel.margins(x=0)


def _evaluations(result: Result, split: str, measure: str) -> tuple[Array, Array] | None:
    """Presentations and values of one measure on one split, or None where it was never taken."""
    rows = [
        (row["presentation"], row[measure])
        for row in result.evaluations
        if row["split"] == split and row[measure] is not None
    ]
    return (np.array([r[0] for r in rows]), np.array([r[1] for r in rows])) if rows else None


def _summary(at: Array, values: Array) -> tuple[Array, Array, Array, Array]:
    """Places, medians, 10th and 90th percentiles of consecutive bins; NaN where a bin has no finite value."""
    rows = []
    for places, bin_ in zip(
        np.array_split(at, min(BINS, len(at))), np.array_split(values, min(BINS, len(at))), strict=True
    ):
        finite = bin_[np.isfinite(bin_)]
        rows.append((places.mean(), *(np.percentile(finite, (50, 10, 90)) if len(finite) else (np.nan,) * 3)))
    return tuple(np.array(rows).T)


def _side(result: Result, pathway: Pathway) -> int | None:
    """The side of the square image that a pathway receives, or None where it receives none."""
    source = result.experiment.network.population(pathway.source)
    side = math.isqrt(source.size)
    return side if isinstance(source.neuron, RateSource) and side >= 8 and side * side == source.size else None


def _draw_matrices(part: SubFigure, result: Result, pathways: list[Pathway]) -> None:
    """One row a pathway: before, after, their scale; the feedback that stands for the transpose, its scale."""
    network = result.experiment.network
    replaced = {p.stands_for: p for p in network.owners()}
    grid = part.add_gridspec(len(pathways), 5, width_ratios=(1, 1, 0.04, 1, 0.04))
    for row, pathway in enumerate(pathways):
        shots = result.snapshots[f"{pathway.name}.w"]
        limit = max(_largest(shots[0]), _largest(shots[-1]))
        pre, post = (f"{name} ({network.population(name).size})" for name in (pathway.source, pathway.target))
        before, after = part.add_subplot(grid[row, 0]), part.add_subplot(grid[row, 1])
        _show(before, shots[0], limit)
        image = _show(after, shots[-1], limit)
        before.set(title=f"{pathway.name}, before", xlabel=pre, ylabel=post)
        after.set(title="after", xlabel=pre)
        _scale(part, image, part.add_subplot(grid[row, 2]))
        if pathway.name in replaced:
            feedback = replaced[pathway.name]
            matrix = result.snapshots[f"{feedback.name}.w"][-1].T
            panel = part.add_subplot(grid[row, 3])
            image = _show(panel, matrix, _largest(matrix))
            panel.set(
                title=feedback.name + (", transposed" if len(feedback.name) < LONG else ",\ntransposed"), xlabel=pre
            )
            _scale(part, image, part.add_subplot(grid[row, 4]))


def _show(panel: Axes, matrix: Array, limit: float) -> ScalarMappable:
    """Draw a matrix, zero in the middle of the colours, and return their scale.

    Thinned to what a panel can show and coloured before it is drawn, which saves most of the memory.
    """
    rows, columns = (-(-size // PIXELS) for size in matrix.shape)
    matrix = matrix[::rows, ::columns]
    scale = ScalarMappable(Normalize(-(limit or 1.0), limit or 1.0), "RdBu_r")
    panel.set(xticks=[], yticks=[])
    panel.spines[:].set_visible(False)
    panel.imshow(scale.to_rgba(matrix, bytes=True), aspect="auto", interpolation="nearest")
    return scale


def _largest(matrix: Array) -> float:
    return float(max(matrix.max(), -matrix.min()))


def _scale(part: SubFigure, colours: ScalarMappable, place: Axes) -> None:
    bar = part.colorbar(colours, cax=place, label="weight")
    bar.outline.set_visible(False)
    bar.locator = MaxNLocator(nbins=5)


def _draw_courses(panel: Axes, result: Result, pathway: Pathway | None) -> None:
    if pathway is None:
        panel.set_axis_off()
        return
    shots = result.snapshots[f"{pathway.name}.w"]
    lines = shots.reshape(len(shots), -1)[:, :MOST_COURSES]
    panel.plot(result.snapshots_at, lines, color=BLUE, linewidth=0.8, alpha=1.0 if lines.shape[1] < 10 else 0.5)
    panel.set(title=pathway.name, ylabel="weight")
    _over_presentations(panel, result)


def _draw_fields(part: SubFigure, result: Result, pathway: Pathway) -> None:
    """The receptive fields that changed most, tiled on one colour scale."""
    side = _side(result, pathway) or 1
    shots = result.snapshots[f"{pathway.name}.w"]
    chosen = np.argsort(-np.linalg.norm(shots[-1] - shots[0], axis=1), kind="stable")[:IMAGES]
    columns = IMAGES // 2
    pitch = side + max(1, side // 8)
    tiles = np.full((-(-len(chosen) // columns) * pitch, columns * pitch), np.nan)
    for place, neuron in enumerate(chosen):
        row, column = divmod(place, columns)
        tiles[row * pitch :, column * pitch :][:side, :side] = shots[-1][neuron].reshape(side, side)
    panel, scale = part.subplots(1, 2, width_ratios=(1, 0.015))
    image = _show(panel, tiles, _largest(shots[-1][chosen]))
    panel.set(
        title=(
            f"{pathway.name}, after: receptive fields of the {len(chosen)} neurons of {pathway.target} that changed"
            " most"
        )
    )
    panel.set_aspect("equal", anchor="W")
    _scale(part, image, scale)
