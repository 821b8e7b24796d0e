"""Models, results and comparisons as HTML in a notebook: it stands for itself, with all text escaped."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bioFA.comparisons.messages import bounds, describe_condition, measure_table, signed
from bioFA.experiment import Experiment
from bioFA.repr_html import html
from bioFA.runs.result import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CELL = "text-align:left;vertical-align:top;white-space:pre-wrap"


@html.register
def of_experiment(experiment: Experiment) -> str:
    """Name and description, and the model card's tables, folded away."""
    from bioFA.show.model_card import card

    scheme = "" if experiment.free else f", scheme {escape(experiment.scheme)}"
    head = f"<b>{escape(experiment.name)}</b>{scheme}<br>{escape(experiment.description)}"
    return head + "".join(_folded(table.title, _table(table.columns, table.rows)) for table in card(experiment))


@html.register
def of_result(result: Result) -> str:
    """The summary, what is wrong with the run, the learning curve or the raster, and the model, folded away."""
    from bioFA.show import figures

    if result.free:
        return _of_free_result(result)

    rows = [(name, f"{value:.4g}") for name, value in result.metrics.items()]
    rows += [
        (f"alignment of {name}", "-" if angle is None else f"{angle:.1f} deg")
        for name, angle in result.alignment.items()
    ]
    rows += [(f"firing rate of {name}", f"{rate:.1f} Hz") for name, rate in result.firing_rates.items()]
    head = (
        f"<b>{escape(result.experiment.name)}</b>, scheme {escape(result.experiment.scheme)}, seed {result.seed},"
        f" {result.presentations} presentations"
    )
    findings = "".join(f"<p><b>WARNING</b> {escape(finding.says)}</p>" for finding in result.findings)
    curve = _image(figures.learning_curve(result), f"Learning curve of {result.experiment.name}")
    model = _folded("Model", of_experiment(result.experiment))
    return f"{head}{findings}{_table(('measure', 'value'), rows)}{curve}{model}"


def _of_free_result(result: Result) -> str:
    """What the populations did in a run in which time passes, its first figure, and the model, folded away."""
    from bioFA.show import figures

    rows = [(measured.population, *row) for measured in result.measures for row in measured.rows()]
    rows += [("", *measured.row()) for measured in result.declared]
    head, *_ = str(result).splitlines()
    findings = "".join(f"<p><b>WARNING</b> {escape(finding.says)}</p>" for finding in result.findings)
    drawings = [
        _image(draw(result), f"{draw.__name__.capitalize()} of {result.experiment.name}")
        for draw in figures.drawn(result)[:1]
    ]
    table = _table(("population", "measure", "value", "of"), rows)
    model = _folded("Model", of_experiment(result.experiment))
    return f"{escape(head)}{findings}{table}{''.join(drawings)}{model}"


def of_comparison(outcome: Mapping[str, Any], page: Path) -> str:
    """The conditions with their intervals, and the pairs; the measures, where time passes without a task."""
    if "measures" in outcome:
        columns, names = measure_table(outcome["measures"])
        rows = [(name, *(cells[place] for _, cells in columns)) for place, name in enumerate(names)]
        tables = _table(("measure", *(heading for heading, _ in columns)), rows)
        return f"{_counted(outcome, page)}{tables}{_pairs(outcome)}"
    conditions = [(row["label"], row["measure"], describe_condition(row)) for row in outcome["conditions"]]
    tables = _table(("condition", "measure", "median [95 % interval], runs"), conditions)
    return f"{_counted(outcome, page)}{tables}{_pairs(outcome)}"


def _pairs(outcome: Mapping[str, Any]) -> str:
    """The pairs of conditions that were tested, nothing where none was."""
    pairs = [
        (
            f"{row['first']} against {row['second']}",
            row["verdict"],
            signed(row["difference"]),
            " to ".join(bounds(row)),
            f"{row['p_holm']:.3g}",
            f"{row['n']}, finite {row['n_finite']}",
        )
        for row in outcome["comparisons"]
    ]
    heads = ("pair", "verdict", "median difference", "interval", "p (Holm)", "runs")
    return _table(heads, pairs) if pairs else ""


def _counted(outcome: Mapping[str, Any], page: Path) -> str:
    """How many runs there were, and where their page is."""
    return (
        f"{outcome['finished']} of {outcome['runs']} runs finished, {outcome['diverged']} diverged. Page:"
        f" {escape(str(page))}"
    )


def _table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    heads = "".join(f'<th style="{CELL}">{escape(str(name))}</th>' for name in columns)
    body = "".join(
        "<tr>" + "".join(f'<td style="{CELL}">{escape(str(cell))}</td>' for cell in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"


def _folded(title: str, content: str) -> str:
    return f"<details><summary>{escape(title)}</summary>{content}</details>"


def _image(figure: Figure, description: str) -> str:
    file = BytesIO()
    figure.savefig(file, format="png", dpi=150)
    return (
        f'<img style="max-width:100%;width:640px" alt="{escape(description)}"'
        f' src="data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}">'
    )
