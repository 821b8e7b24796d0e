"""Figures of a run in which time passed, drawn from what it recorded: spikes and rates, and sample traces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bioFA.equations.dimensions import describe
from bioFA.errors import Unavailable
from bioFA.runs.monitors import Monitors, RecordedSynapses, RecordedTrace
from bioFA.runs.result import Result
from bioFA.show.style import BLUE, COLUMN, GREEN, GREY, ORANGE, PAGE, PURPLE, STYLE, as_text
from bioFA.units import as_time

Array = np.ndarray
LAST = 1.0
"""Seconds at the end of a trial that are drawn."""
MOST_NEURONS = 200
"""Rows of a population in the raster, evenly over those whose spikes were recorded."""
MOST_DOTS = 4000
"""A raster of more spikes is drawn as an image, which keeps the files small."""
RATE_BIN = 5e-3
"""Seconds in a bin of a population's rate, where no rates were recorded."""
MOST_TRACES = 6
"""Panels of traces, and lines in each."""
MOST_POINTS = 4000
"""Samples of a trace that are drawn."""
MOST_WEIGHED = 400
"""Moments at which weights are drawn."""
BAND = (5, 95)
"""Percentiles of all recorded weights between which a band is drawn."""


@matplotlib.rc_context(STYLE)
def raster(result: Result) -> Figure:
    """Recorded spikes in the last second of the first trial, or in all of it where it is shorter, and below the rate of
    every population, its spikes per neuron in bins. A row is a neuron, at most 200 of a population, evenly over those
    whose spikes were recorded; the mean rate of the population over all that was measured stands beside it.

    Raises:
        ModelError: if no spikes were recorded.
    """
    monitors = _monitors(result)
    start, stop = _window(result)
    names = list(monitors.layout.spikes)
    if not names:
        raise Unavailable(f"the run of '{result.experiment.name}' recorded no spikes. Leave record.spikes out.")
    rows = {name: _rows(monitors.recorded(name)) for name in names}
    heights = [*(min(max(0.012 * len(rows[name]), 0.45), 1.5) for name in names), 1.1]
    figure = Figure(figsize=(PAGE, sum(heights) + 0.2 * len(heights) + 0.6))
    panels = figure.subplots(len(heights), 1, height_ratios=heights, sharex=True)
    means = {measured.population: measured.rate for measured in result.measures}
    for panel, name, height in zip(panels[:-1], names, heights[:-1], strict=True):
        neurons, times = monitors.spikes(name, 0, start, stop)
        shown = np.isin(neurons, rows[name])
        places = np.searchsorted(rows[name], neurons[shown])
        points = 72 * height / len(rows[name])  # of a row, of which a tick fills one, but from 2 to 6 points
        half = min(max(points, 2.0), 6.0) / points / 2
        panel.plot(  # all ticks are one line, which is written in a fraction of the time and space of as many markers
            np.repeat(times[shown], 3),
            (places[:, None] + [-half, half, np.nan]).ravel(),
            color="black",
            linewidth=0.6,
            solid_capstyle="butt",
            snap=True,
            rasterized=len(places) > MOST_DOTS,
        )
        last = len(rows[name]) - 1
        panel.set(ylim=(-0.5, last + 0.5), yticks=[0, last] if last else [0])
        panel.set_yticklabels([str(rows[name][place]) for place in ([0, last] if last else [0])])
        panel.set_ylabel(name.replace("_", "\n"), rotation=0, ha="right", va="center")
        panel.text(1.01, 0.5, f"{means[name]:.1f} Hz", transform=panel.transAxes, va="center", fontsize=7.0)
    for colour, name in zip(_cycle(len(names)), names, strict=True):
        rate, edges = _rate(monitors, name, start, stop)
        panels[-1].stairs(rate, edges, baseline=None, color=colour, linewidth=0.9, label=name)
    width = monitors.layout.bin * monitors.layout.dt if monitors.layout.bin is not None else RATE_BIN
    panels[-1].set(xlabel=f"time (s); rates in bins of {as_time(width)}", ylim=(0, None), xlim=(start, stop))
    panels[-1].set_ylabel("rate (Hz)", rotation=0, ha="right", va="center")
    panels[-1].legend(loc="upper left", ncols=1, bbox_to_anchor=(1.0, 1.05))
    figure.suptitle(_title(result), x=0.02, ha="left", fontsize=8.0)
    figure.align_ylabels(panels)
    return figure


def _panels(count: int, height: float) -> tuple[Figure, Any]:
    """A figure of panels below one another, each of a height in inches, which share their time."""
    figure = Figure(figsize=(PAGE, height * count + 0.8))
    return figure, figure.subplots(count, 1, sharex=True, squeeze=False)[:, 0]


def _finished(figure: Figure, panels: Any, result: Result) -> Figure:
    """The figure with its title, the name of its time axis, and labels in line."""
    panels[-1].set_xlabel("time (s)")
    figure.suptitle(_title(result), x=0.02, ha="left", fontsize=8.0)
    figure.align_ylabels(panels)
    return figure


@matplotlib.rc_context(STYLE)
def traces(result: Result) -> Figure:
    """Recorded traces in the last second of the first trial, or in as much of it as they were recorded: a panel for
    every variable, in SI, a line for every neuron, at most six of each.

    Raises:
        ModelError: if no traces were recorded.
    """
    every = [trace for trace in result.traces if len(trace.times)]
    panels_of = [(trace, variable) for trace in every for variable in trace.variables][:MOST_TRACES]
    if not panels_of:
        raise Unavailable(
            f"the run of '{result.experiment.name}' recorded no traces. Name some: record.traces = [{{ population ="
            " 'exc', variables = ['v'] }]."
        )
    figure, panels = _panels(len(panels_of), 1.0)
    for panel, (trace, variable) in zip(panels, panels_of, strict=True):
        _draw_trace(panel, trace, variable, _unit(result, trace.population, variable))
    return _finished(figure, panels, result)


@matplotlib.rc_context(STYLE)
def weights(result: Result) -> Figure:
    """Recorded weights, or what short-term dynamics keep, in time in the first trial, in SI: a panel for every
    variable, with the mean over the recorded synapses, a band from their 5th to their 95th percentile, and a line for
    each of at most six of them; of a histogram the share of synapses in each bin.

    Raises:
        ModelError: if no weights were recorded.
    """
    every = [kept for kept in result.synapses if len(kept.times)]
    panels_of = [(kept, variable) for kept in every for variable in kept.variables][:MOST_TRACES]
    if not panels_of:
        raise Unavailable(
            f"the run of '{result.experiment.name}' recorded no weights. Name some: record.synapses = [{{ pathway ="
            " 'exc_to_out', every = '100 ms' }]."
        )
    figure, panels = _panels(len(panels_of), 1.2)
    for panel, (kept, variable) in zip(panels, panels_of, strict=True):
        _draw_weights(panel, kept, variable)
        network = result.experiment.network
        unit = describe(network.weight_dimension(network.pathway(kept.pathway))) if variable == "w" else "1"
        label = f"{kept.pathway.replace('_', chr(10))}\n{variable}{'' if unit == '1' else f' ({unit})'}"
        panel.set_ylabel(label, rotation=0, ha="right", va="center")
        panel.yaxis.set_major_locator(MaxNLocator(nbins=3))
        panel.margins(x=0)
    return _finished(figure, panels, result)


@matplotlib.rc_context(STYLE)
def spectrum(result: Result) -> Figure:
    """Power density of the rate of every population over all that was measured, by Welch's method."""
    figure = Figure(figsize=(COLUMN, 2.4))
    axes = figure.subplots()
    for colour, (name, (frequencies, power)) in zip(_cycle(len(result.spectra)), result.spectra.items(), strict=True):
        if power.any():
            axes.plot(frequencies, power, color=colour, linewidth=0.9, label=name)
    axes.set(xscale="log", yscale="log", xlabel="frequency (Hz)", ylabel="power (Hz$^2$/Hz)")
    axes.legend()
    figure.suptitle(_title(result), x=0.02, ha="left", fontsize=8.0)
    return figure


def drawn(result: Result) -> list[Callable[[Result], Figure]]:
    """The figures that can be drawn of a run in which time passed."""
    return [
        *([raster] if _monitors(result).layout.spikes else []),
        *([traces] if any(len(trace.times) for trace in result.traces) else []),
        *([weights] if any(len(kept.times) for kept in result.synapses) else []),
        *([spectrum] if any(power.any() for _, power in result.spectra.values()) else []),
    ]


def _monitors(result: Result) -> Monitors:
    assert isinstance(result.monitors, Monitors)
    return result.monitors


def _window(result: Result) -> tuple[float, float]:
    """From when to when is drawn."""
    duration, layout = result.experiment.protocol.duration or 0.0, _monitors(result).layout
    return max(layout.begin * layout.dt, duration - LAST), duration


def _rows(neurons: Array) -> Array:
    """At most so many of some neurons, evenly chosen."""
    count = min(len(neurons), MOST_NEURONS)
    chosen: Array = neurons[np.arange(count) * len(neurons) // count]
    return chosen


def _rate(monitors: Monitors, population: str, start: float, stop: float) -> tuple[Array, Array]:
    """The rate of a population in bins, and their edges: as recorded, or that of the neurons whose spikes were."""
    if monitors.layout.bin is not None:
        width = monitors.layout.bin * monitors.layout.dt
        times, rate = monitors.rates(population)
        begin = int(np.searchsorted(times, start - 1e-9))
        return rate[begin:], (times[begin] if begin < len(times) else start) + width * np.arange(len(rate) - begin + 1)
    width = max(RATE_BIN, monitors.layout.dt)
    edges = start + width * np.arange(max(round((stop - start) / width), 1) + 1)
    _, times = monitors.spikes(population, 0, start, stop)
    counts, _ = np.histogram(times, edges)
    return counts / (width * len(monitors.recorded(population))), edges


def _unit(result: Result, population: str, variable: str) -> str:
    """The SI unit of a variable, or nothing for a number."""
    unit = describe(result.experiment.network.population(population).neuron.dimension_of(variable))
    return "" if unit == "1" else f"\n({unit})"


def _draw_trace(panel: Axes, trace: RecordedTrace, variable: str, unit: str) -> None:
    first = int(np.searchsorted(trace.times, trace.times[-1] - LAST))
    times, values = trace.times[first:], trace.read(variable, first=first)
    thin = -(-len(times) // MOST_POINTS)
    lines = list(zip(_cycle(MOST_TRACES), trace.neurons[:MOST_TRACES], values.T[:MOST_TRACES], strict=False))
    for colour, neuron, course in lines:
        panel.plot(times[::thin], course[::thin], color=colour, linewidth=0.7, label=str(neuron))
    panel.set_ylabel(f"{trace.population}\n{variable}{unit}", rotation=0, ha="right", va="center")
    panel.yaxis.set_major_locator(MaxNLocator(nbins=3))
    panel.margins(x=0)
    panel.legend(loc="upper left", bbox_to_anchor=(1.0, 1.05), title="neuron", title_fontsize=7.0)


def _draw_weights(panel: Axes, kept: RecordedSynapses, variable: str) -> None:
    every = -(-len(kept.times) // MOST_WEIGHED)
    times = kept.times[::every]
    if kept.edges is not None:
        shares = kept.counts(every=every) / max(len(kept.pre), 1)
        if len(times) > 1:
            panel.pcolormesh(times, kept.edges, shares[:-1].T, cmap="Greys", rasterized=True)
        return
    values = kept.read(variable, every=every)
    low, high = np.percentile(values, BAND, axis=1) if values.size else (np.zeros(len(times)),) * 2
    panel.fill_between(times, low, high, color=GREY, alpha=0.3, linewidth=0)
    shown = np.unique(np.linspace(0, len(kept.pre) - 1, min(MOST_TRACES, len(kept.pre))).astype(int))
    for colour, place in zip(_cycle(MOST_TRACES), shown, strict=False):
        name = f"{kept.pre[place]} to {kept.post[place]}"
        panel.plot(times, values[:, place], color=colour, linewidth=0.7, label=name)
    if values.size:
        panel.plot(times, values.mean(axis=1), color="black", linewidth=1.2, label=f"mean of {len(kept.pre):,}")
        panel.legend(loc="upper left", bbox_to_anchor=(1.0, 1.05), title="neurons", title_fontsize=7.0)


def _title(result: Result) -> str:
    trials = ", the first of its trials" if result.presentations > 1 else ""
    return as_text(f"{result.experiment.name}, seed {result.seed}{trials}")


def _cycle(count: int) -> Sequence[str]:
    colours = (BLUE, ORANGE, GREEN, PURPLE, GREY)
    return [colours[place % len(colours)] for place in range(count)]
