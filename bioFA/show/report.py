"""One page about a comparison or a run: the question, the model, its outcome, and the command that remakes it.

The page is whole in itself: it loads nothing, runs no script, and whatever text a model file holds is
escaped. Its figures are SVG within it, and files beside it:

    DIR/report.html
    DIR/figures/NAME.svg, NAME.pdf      of a comparison
    DIR/NAME.svg, NAME.pdf, NAME.png    of a run, as `biofa run` draws them
"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files as package_files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
import numpy as np
from markupsafe import Markup

from bioFA.analysis import spikes
from bioFA.comparisons import messages, tuning
from bioFA.comparisons.outcomes import Outcomes, read_outcomes, summary, tidy, verdict
from bioFA.comparisons.plan import command
from bioFA.comparisons.table import PAIRS, TABLE, TIDY, holds_sweep, label, read
from bioFA.consumers import DEFAULT
from bioFA.errors import CannotWrite, NoSuchFile
from bioFA.experiment import EXPLICIT, Experiment
from bioFA.modelfiles import toml
from bioFA.runs import provenance
from bioFA.runs.result import RESULT, Result, load_result
from bioFA.show import comparison_figures, figures, style
from bioFA.show.comparison_figures import Line
from bioFA.show.model_card import Table, card
from bioFA.system.atomic import written_whole
from bioFA.verification.biology import audit

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAGE = "report.html"
FIGURES = "figures"
MEASURE_NAMES = {
    "test_error": "test error",
    "test_nse": "test NSE",
    "nse": "training NSE",
    "nse_first": "first training NSE",
    "validation_error": "validation error",
    "validation_nse": "validation NSE",
}


@dataclass(frozen=True)
class Drawing:
    """A figure within the page."""

    name: str
    caption: str
    svg: Markup
    files: tuple[str, ...]


@dataclass(frozen=True)
class Cell:
    """A number as it is shown, and in full."""

    shown: str
    exact: str


def write(folder: Path) -> Path:
    """Write the report of the comparison or the run in a folder, and return its path.

    Raises:
        FileError: if there is neither, or the folder cannot be written.
    """
    if holds_sweep(folder):
        return of_comparison(read_outcomes(read(folder, mixed=True)))
    if (folder / RESULT).is_file():
        return of_run(load_result(folder / RESULT), folder)
    raise NoSuchFile(
        f"there is no finished run and no comparison in '{folder}'. Give the --out folder of 'biofa run' or 'biofa"
        " compare'."
    )


def of_comparison(outcomes: Outcomes) -> Path:
    """Write the report of a comparison, as far as it is done."""
    sweep, outcome = outcomes.sweep, summary(outcomes)
    names = _short_names(outcomes)
    columns, measured = messages.measure_table(outcome.get("measures", ()))
    drawings = [] if sweep.free else [
        _drawing(figure, sweep.folder / FIGURES, name, caption, (".svg", ".pdf"))
        for name, caption, figure in _comparison_figures(outcomes, outcome, names)
    ]
    finished = [one for one in outcomes.proven.values() if one["status"] == "finished" and "provenance" in one]
    return _write_page(
        sweep.folder,
        kind="comparison",
        free=sweep.free,
        columns=names if sweep.free else [],
        estimate=messages.ESTIMATE,
        measures=[(name, [cells[place] for _, cells in columns]) for place, name in enumerate(measured)],
        title=f"{', '.join(dict.fromkeys(c.model for c in sweep.conditions))}: {', '.join(names)}",
        question=_question(outcomes),
        answer=_answer(outcome, names),
        outcome=outcome,
        names=names,
        drawings={d.name: d for d in drawings},
        most=comparison_figures.MOST,
        conditions=[] if sweep.free else _condition_rows(outcome, names),
        angles=[] if sweep.free else _angle_rows(outcomes, names),
        pairs=_pair_rows(outcome),
        higher=any(row["better"] == "higher" for row in outcome.get("measures", ())),
        tuning=_tuning_rows(outcome, names),
        grid=tuning.GRID,
        tuning_seeds=tuning.SEEDS,
        findings=_finding_rows(outcome, names),
        unfinished=[
            (job.name, outcomes.complaints.get(job.name, "not run yet"))
            for job in sweep.jobs
            if job.name not in outcomes.proven
        ],
        runs=_run_table(outcomes),
        cards=[
            (name, condition.experiment, card(experiment), audit(experiment))
            for name, condition, experiment in zip(names, sweep.conditions, sweep.experiments, strict=True)
        ],
        command=command(sweep.request),
        given=[m for m in sweep.request["models"] if m not in toml.builtin_models()],
        origin=_origin([one["provenance"] for one in finished]),
        beside=[TIDY, PAIRS, TABLE],
    )


def of_run(result: Result, folder: Path) -> Path:
    """Write the report of one run."""
    experiment = result.experiment
    drawings = [
        _drawing(draw(result), folder, draw.__name__, figures.caption(draw, result), style.SUFFIXES)
        for draw in figures.drawn(result)
    ]
    summary = result.summary()
    numbers = [(_measure_name(name), _number(value)) for name, value in summary["metrics"].items()]
    numbers += [
        (f"{kind} angle of {name} (degrees)", _number(value))
        for kind, of in (("alignment", "alignment"), ("feedback", "feedback_angle"))
        for name, value in summary.get(of, {}).items()
    ]
    question = f"What does {experiment.name} learn under the scheme {experiment.scheme}, from seed {result.seed}?"
    if result.free:
        question = f"What does {experiment.name} do from seed {result.seed}, without a task?"
    return _write_page(
        folder,
        kind="run",
        title=", ".join([
            experiment.name,
            *([] if result.free else [experiment.scheme]),
            f"seed {result.seed}",
        ]),
        question=question,
        answer=[],
        result=result,
        free=result.free,
        measures=[
            *((measured.population, *row) for measured in result.measures for row in measured.rows()),
            *(("", *measured.row()) for measured in result.declared),
        ],
        headline=str(result).splitlines()[0],
        spikes=_spike_rows(result),
        elephant=spikes.has_elephant(),
        install=spikes.INSTALL,
        bin_ms=1e3 * spikes.BIN,
        summary=summary,
        numbers=numbers,
        drawings={d.name: d for d in drawings},
        findings=[("", "", f.kind, f.place, f.says) for f in result.findings],
        cards=[(experiment.name, toml.dumps(experiment), card(experiment), audit(experiment))],
        command=_run_command(result),
        given=[] if _is_builtin(experiment) else ["model.toml"],
        origin=_origin([result.provenance]),
        beside=[RESULT],
    )


def _write_page(folder: Path, **content: Any) -> Path:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string((package_files("bioFA.show") / "report.html").read_text())
    path = folder / PAGE
    try:
        with written_whole(path) as partial:
            partial.write_text(template.render(version=provenance.versions()["bioFA"], **content))
    except OSError as error:
        raise CannotWrite(
            f"the report could not be written to '{folder}': {error}. Give a folder with space left."
        ) from None
    return path


def _drawing(figure: Figure, folder: Path, name: str, caption: str, suffixes: Sequence[str]) -> Drawing:
    paths = style.write(figure, folder, name, suffixes)
    svg = next(path for path in paths if path.suffix == ".svg").read_text()
    return Drawing(name, caption, inlined(svg, name), tuple(path.name for path in paths))


def inlined(svg: str, name: str) -> Markup:
    """An SVG file of matplotlib's as a part of a page.

    It comes without metadata, and with identifiers of its own where something refers to them.
    """
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\sxmlns(:xlink)?="[^"]*"', "", svg)
    used = set(re.findall(r'(?:href="#|url\(#)([^")]*)', svg))
    svg = re.sub(r'\sid="([^"]*)"', lambda found: found[0] if found[1] in used else "", svg)
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", svg)
    return Markup(re.sub(r"<svg ", f'<svg role="img" aria-labelledby="caption-{name}" ', svg, count=1))


def _short_names(outcomes: Outcomes) -> list[str]:
    """The conditions without the model's name where there is one model."""
    several = len({c.model for c in outcomes.sweep.conditions}) > 1
    if outcomes.sweep.free:
        return [label(c, schemes=False) for c in outcomes.sweep.conditions]
    return [label(c) if several else label(c).removeprefix(f"{c.model}, ") for c in outcomes.sweep.conditions]


def _question(outcomes: Outcomes) -> str:
    request, conditions = outcomes.sweep.request, outcomes.sweep.conditions
    schemes, models = (list(dict.fromkeys(getattr(c, kind) for c in conditions)) for kind in ("scheme", "model"))
    swept = sorted({key for c in conditions for key in c.settings})
    if outcomes.sweep.free:
        among = f" for each value of {_listed(swept)}" if swept else ""
        seeds = f"{request['seeds']} seed{'s' if request['seeds'] > 1 else ''}"
        return f"What do the populations of {_listed(models)} do without a task{among}, over {seeds}?"
    measures = list(dict.fromkeys(_measure_name(outcomes.measures[model]) for model in models))
    parts = [
        f"Which of {_listed(schemes)} ends at the lowest {_listed(measures)}"
        if len(schemes) > 1
        else f"At which {_listed(measures)} does {schemes[0]} end"
    ]
    parts.append(f"on {_listed(models)}")
    if swept:
        parts.append(f"for each value of {_listed(swept)}")
    parts.append(
        f"over {request['seeds']} seed{'s' if request['seeds'] > 1 else ''}"
        f" ({', '.join(map(str, outcomes.sweep.seeds))})"
    )
    if request["tune"]:
        parts.append("each at learning rates chosen on validation data")
    return f"{parts[0]} {parts[1]}, {', '.join(parts[2:])}?"


def _answer(outcome: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """The order of the conditions of each model, and what may be said of the best."""
    sentences = []
    short = {row["label"]: name for row, name in zip(outcome["conditions"], names, strict=True)}
    values = {row["label"]: row for row in outcome["conditions"]}
    if "measures" in outcome:
        values = {row["label"]: row for row in outcome["measures"] if row["better"] is not None}
    for row in outcome["ranking"]:
        if not any(values[name]["n"] for name in row["order"]):
            continue
        order = ", ".join(_standing(short[name], values[name]) for name in row["order"])
        fits = "" if row["consistent"] else " Some pairs are the other way round: no order fits all."
        sentences.append(
            f"{row['model']}, {_measure_name(row['measure'])}, best first by medians of paired differences over all"
            f" runs: {order}.{fits}"
        )
        for pair in outcome["comparisons"]:
            if (
                row["order"][0] in (pair["first"], pair["second"])
                and pair["first"] in short
                and pair["measure"] == row["measure"]
            ):
                sentences.append(
                    f"{short[pair['first']]} against {short[pair['second']]}: {_verdict(pair, short)} (n = {pair['n']},"
                    f" both finite in {pair['n_finite']})."
                )
    caution = messages.too_few_seeds(outcome["request"]["seeds"], len(outcome["comparisons"]))
    if caution:
        sentences.append(caution)
    return sentences


def _standing(name: str, row: Mapping[str, Any]) -> str:
    """A condition in the order of all: its median, where there is one, and how many runs it has."""
    median = f" {_shown(row['value'], row['measure'])}" if np.isfinite(row["value"]) else ""
    return f"{name}{median} ({row['n_finite']} of {row['n']} runs finite)"


def _verdict(pair: Mapping[str, Any], short: Mapping[str, str]) -> str:
    return verdict({**pair, "better": short.get(pair["better"], pair["better"])})


def _comparison_figures(
    outcomes: Outcomes, outcome: Mapping[str, Any], names: Sequence[str]
) -> list[tuple[str, str, Figure]]:
    """Name, caption and figure of each: the measures, then the courses of every model, then tuning."""
    drawn: list[tuple[str, str, Figure]] = []
    drawn.append((
        "measures",
        (
            "The measure at the end: every seed (dots), their median (tick) and its 95 % interval (bar below the dots);"
            " neither where a run diverged."
        ),
        comparison_figures.measures(outcome["conditions"], names),
    ))
    courses = _courses(outcomes, names)
    notes = {
        name: f"{row['diverged']} diverged"
        for row, name in zip(outcome["conditions"], names, strict=True)
        if row["diverged"]
    }
    kinds = (
        (
            "learning_curve",
            "training NSE",
            True,
            (
                "squared error of each recorded training presentation before learning from it, over the power of the"
                " targets, in at most 100 means"
            ),
        ),
        ("validation_error", "validation error (%)", False, "share of validation examples that are misclassified"),
    )
    for kind, ylabel, logarithmic, what in kinds:
        lines = courses[kind]
        if not any(lines.values()):
            continue
        drawn.append((
            f"{kind}_means",
            (
                f"Learning, {what}: means over seeds{' (geometric)' if logarithmic else ''}, of conditions of which no"
                " run diverged."
            ),
            comparison_figures.overview(
                {name: [] if name in notes else of for name, of in lines.items()}, ylabel, logarithmic
            ),
        ))
        drawn.append((
            kind, "The same from every seed (thin) with the mean (thick); grey, the means of the other conditions.",
            comparison_figures.every_seed(lines, ylabel, logarithmic, notes),
        ))
    if any(courses["alignment"].values()):
        drawn.append((
            "alignment",
            (
                "Angle between feedback weights and the transposed forward weights over learning, every seed: 0 degrees"
                " agree, 90 (dashed) unrelated, 180 oppose. Under bp it is that of random weights which carry nothing,"
                " the control."
            ),
            comparison_figures.angles(courses["alignment"]),
        ))
    if outcome["tuning"] and any(row.get("grid") for row in outcome["tuning"]):
        tuned = [outcomes.of(job) for job in outcomes.sweep.jobs if job.factor is not None]
        metrics = next(one["metrics"] for one in tuned if one is not None and one["metrics"])
        measure = "validation_error" if "validation_error" in metrics else "validation_nse"
        drawn.append((
            "tuning",
            (
                "Search of the learning rates on validation data: every tuning seed (dots), their mean (line), and the"
                " factor chosen (diamond)."
            ),
            comparison_figures.tuning(outcome["tuning"], names, measure),
        ))
    return drawn


def _courses(outcomes: Outcomes, names: Sequence[str]) -> dict[str, dict[str, list[Line]]]:
    """For each kind of course, the lines of every condition."""
    kinds: dict[str, dict[str, list[Line]]] = {
        kind: {name: [] for name in names} for kind in ("learning_curve", "validation_error", "alignment")
    }
    for job in outcomes.sweep.compared:
        outcome = outcomes.sweep.outcome(job)
        if outcome is None or outcome["status"] != "finished":
            continue
        course, name = outcome["course"], names[job.condition]
        kinds["learning_curve"][name].append(Line(np.array(course["at"]), np.array(course["nse"])))
        rows = [row for row in course["evaluations"] if row["split"] == "validation" and row["error"] is not None]
        if rows:
            kinds["validation_error"][name].append(
                Line(np.array([r["presentation"] for r in rows]), 100 * np.array([r["error"] for r in rows]))
            )
        for pathway, degrees in course["alignment"].items():
            kinds["alignment"][name].append(
                Line(np.array(course["snapshots_at"]), np.array([np.nan if d is None else d for d in degrees]), pathway)
            )
    return kinds


def _condition_rows(outcome: Mapping[str, Any], names: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "measure": _measure_name(row["measure"]),
            "n_finite": row["n_finite"],
            "sampling": _number(row["sampling_error"], row["measure"]),
            "value": _number(row["value"], row["measure"]),
            "low": _number(row["low"], row["measure"]),
            "high": _number(row["high"], row["measure"]),
            "n": len(row["values"]),
            "rates": row["rates"],
            "diverged": row["diverged"],
            "missing": row["missing"],
            "values": [_number(v, row["measure"]) for v in row["values"]],
        }
        for row, name in zip(outcome["conditions"], names, strict=True)
    ]


def _angle_rows(outcomes: Outcomes, names: Sequence[str]) -> list[tuple[str, str, Cell, Cell, Cell]]:
    """Condition, pathway, and the median, lowest and highest final angle over seeds."""
    rows = []
    for number, name in enumerate(names):
        angles = [outcome["alignment"] for outcome in outcomes.finished(number)]
        for pathway in dict.fromkeys(name for one in angles for name in one):
            degrees = [one[pathway] for one in angles if one.get(pathway) is not None]
            if degrees:
                rows.append(
                    (name, pathway, *(_number(float(f(degrees)), digits=1) for f in (np.median, np.min, np.max)))
                )
    return rows


def _pair_rows(outcome: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for pair in outcome["comparisons"]:
        texts = (messages.signed(pair["difference"]), *messages.bounds(pair))
        shown = zip(("difference", "low", "high"), texts, strict=True)
        numbers = {name: Cell(text, repr(float(pair[name]))) for name, text in shown}
        numbers |= {name: _number(pair[name]) for name in ("superiority", "p", "p_holm")}
        rest = {name: pair[name] for name in ("first", "second", "scale", "n", "n_finite", "verdict", "differs")}
        rows.append({**numbers, **rest, "level": f"{100 * pair['level']:.4g} %"})
    return rows


def _tuning_rows(outcome: Mapping[str, Any], names: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "factor": row["factor"],
            "at_edge": row["at_edge"],
            "grid": [(p["factor"], _number(p["mean"])) for p in row["grid"]],
        }
        for row, name in zip(outcome["tuning"], names, strict=False)
        if row.get("grid")
    ]


def _finding_rows(outcome: Mapping[str, Any], names: Sequence[str]) -> list[tuple[str, str, str, str, str]]:
    return [
        (name, messages.affected_runs(finding, row), finding["kind"], finding["place"], finding["says"])
        for row, name in zip(outcome["conditions"], names, strict=True) for finding in row["findings"]
    ]


def _spike_rows(result: Result) -> list[tuple[str, int, list[Cell]]]:
    """Population, size, mean rate, and the spike statistics where they can be had."""
    known = result.spike_statistics if spikes.has_elephant() else {}
    network = result.experiment.network
    return [
        (
            name,
            network.population(name).size,
            [_number(rate), *(_number(value) for value in known.get(name, {}).values())],
        )
        for name, rate in result.firing_rates.items()
    ]


def _run_table(outcomes: Outcomes) -> Table:
    """The tidy table, cell for cell as it is in the CSV."""
    import csv
    import io

    rows = list(csv.reader(io.StringIO(tidy(outcomes).to_csv(index=False))))
    return Table("Every run", tuple(rows[0]), [tuple(row) for row in rows[1:]])


def _is_builtin(experiment: Experiment) -> bool:
    if experiment.name not in toml.builtin_models():
        return False
    known = toml.load(experiment.name)
    experiment = experiment.replace(chosen_on=known.chosen_on)  # no part of what ran, and not in older results
    return experiment == known or (known.scheme != EXPLICIT and experiment == known.with_scheme(experiment.scheme))


def _run_command(result: Result) -> str:
    experiment = result.experiment
    model = experiment.name if _is_builtin(experiment) else "model.toml"
    words = [
        "biofa",
        "run",
        model,
        *(["--scheme", experiment.scheme] if model != "model.toml" and experiment.scheme != EXPLICIT else []),
        "--seed",
        str(result.seed),
    ]
    words += ["--backend", result.backend] if result.backend != DEFAULT else []
    words += ["--precision", "float32"] if result.provenance.get("engine", {}).get("precision") == "float32" else []
    words += ["--weights", "RESULT.h5"] if "weights" in result.provenance else []
    return shlex.join([*words, "--out", "DIR"])


def _origin(records: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Where the runs come from, each distinct value once."""
    if not records:
        return []
    rows = []
    for package in records[0]["versions"]:
        rows.append((package, ", ".join(dict.fromkeys(record["versions"][package] for record in records))))
    for name in ("platform", "processor", "cores"):
        rows.append((name, ", ".join(dict.fromkeys(str(record[name]) for record in records))))
    rows.append(
        ("engine", ", ".join(dict.fromkeys(json.dumps(record["engine"], sort_keys=True) for record in records)))
    )
    rows.append(("first begun", min(record["started"] for record in records)))
    rows.append(("last finished", max(record["finished"] for record in records)))
    digests = sorted({record["experiment_sha256"] for record in records})
    rows.append((
        "SHA-256 of the description" + ("s, together" if len(digests) > 1 else ""),
        digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest(),
    ))
    return rows


def _measure_name(measure: str) -> str:
    return MEASURE_NAMES.get(measure, measure.replace("_", " "))


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _shown(value: float | None, measure: str = "", digits: int | None = None) -> str:
    if value is None or np.isnan(value):
        return "-"
    if np.isinf(value):
        return "diverged" if measure else "infinite"
    if measure.endswith("error"):
        return f"{100 * value:.2f} %"
    return f"{value:.3g}" if digits is None else f"{value:.{digits}f}"


def _number(value: float | None, measure: str = "", digits: int | None = None) -> Cell:
    return Cell(_shown(value, measure, digits), "" if value is None else repr(float(value)))
