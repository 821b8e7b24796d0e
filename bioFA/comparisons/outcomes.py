"""The outcomes of a comparison as a value, and the tables and statistics that follow from them.

Runs are paired by seed. Error rates are compared as they are, squared errors (NSE) by their decimal logarithm, since
they span decades; a run that diverged is infinitely bad, and every run counts in every number. Order, direction,
interval and verdict are of one estimand, the Hodges-Lehmann median of paired differences. All pairs share one Holm
correction. Where time passes without a task, measures are tabulated, and compared by the declared one that says what is
better, as it is; seeds in which too few spikes tell it are left out, and n says so.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from bioFA.analysis import statistics
from bioFA.comparisons import tuning
from bioFA.comparisons.table import PAIRS, STATES, TIDY, Job, Sweep, differing, label
from bioFA.instance import draw
from bioFA.modelfiles import toml
from bioFA.runs.provenance import DECIDING

if TYPE_CHECKING:
    from pandas import DataFrame

MEASURES = ("test_error", "test_nse", "nse")
"""What conditions are compared by: the first of these that all finished runs of a model have."""

Outcome = Mapping[str, Any]


@dataclass(frozen=True)
class Outcomes:
    """The outcomes of all jobs of a sweep, as they were when they were read.

    Courses, the only large part, are left out; `sweep.outcome` reads one with its course. By the names of jobs:
    `proven` holds those that are proven done, `complaints` what others complained of, and `failed` the error messages
    of those that just failed.
    """

    sweep: Sweep
    proven: Mapping[str, Outcome]
    complaints: Mapping[str, str]
    chosen: Sequence[Mapping[str, Any] | None]
    failed: Mapping[str, str] = field(default_factory=dict)

    def of(self, job: Job) -> Outcome | None:
        """The outcome of a job, or None where it is not proven done."""
        return self.proven.get(job.name)

    def finished(self, condition: int) -> list[Outcome]:
        """The outcomes of the compared runs of a condition that finished."""
        found = (self.of(job) for job in self.sweep.runs_of(condition))
        return [outcome for outcome in found if outcome is not None and outcome["status"] == "finished"]

    def state(self, job: Job) -> str:
        """The state of a job.

        `finished` or `diverged` where that is proven, `timeout`, `oom` (no memory) or `failed` where it complained, or
        `not finished`.
        """
        if (outcome := self.of(job)) is not None:
            return str(outcome["status"])
        complaint = self.complaints.get(job.name)
        if complaint is None:
            return "not finished"
        return next((state for state, code in STATES.items() if complaint.startswith(f"[{code}]")), "failed")

    @cached_property
    def rates(self) -> list[dict[str, Any]]:
        """The rates with which each condition is compared: after tuning, where that is finished."""
        factors = ((choice or {"factor": 1.0})["factor"] for choice in self.chosen)
        experiments = self.sweep.experiments
        return [tuning.scaled(one, factor).rates_in_use() for one, factor in zip(experiments, factors, strict=True)]

    @cached_property
    def measures(self) -> dict[str, str]:
        """What conditions are compared by, by their model: the first of `MEASURES` that all its finished runs have."""
        metrics: dict[str, list[Mapping[str, Any]]] = {condition.model: [] for condition in self.sweep.conditions}
        for number, condition in enumerate(self.sweep.conditions):
            metrics[condition.model] += [outcome["metrics"] for outcome in self.finished(number)]
        return {
            model: next((name for name in MEASURES if of and all(name in one for one in of)), MEASURES[-1])
            for model, of in metrics.items()
        }

    def measure(self, condition: int) -> str:
        """What a condition is compared by; nothing where time passes without a task and no measure says what is
        better."""
        if self.sweep.free:
            ranks = self.sweep.ranks[condition]
            return "" if ranks is None else ranks.label
        return self.measures[self.sweep.conditions[condition].model]

    def higher(self, condition: int) -> bool:
        """Whether a condition is better for a higher measure."""
        ranks = self.sweep.ranks[condition] if self.sweep.free else None
        return ranks is not None and ranks.better == "higher"

    def scale(self, condition: int) -> str:
        """In what the differences of a condition's measure are."""
        ranks = self.sweep.ranks[condition] if self.sweep.free else None
        if ranks is None:
            return "log10" if self.measure(condition).endswith("nse") else "fraction"
        return ranks.unit(self.sweep.experiments[condition].network)

    @cached_property
    def values(self) -> list[dict[int, float]]:
        """The measure of each condition by seed, the worst infinity for a run that diverged; only of runs that are
        done."""
        return [self._values(number) for number in range(len(self.sweep.conditions))]

    def _values(self, condition: int) -> dict[int, float]:
        measure, found = self.measure(condition), {}
        for job in sorted(self.sweep.runs_of(condition), key=lambda job: job.seed):
            if (outcome := self.of(job)) is not None:
                finished = outcome["status"] == "finished"
                if finished and self.sweep.free and measure not in outcome["metrics"]:
                    continue  # too few spikes tell it
                worst = float("-inf" if self.higher(condition) else "inf")
                found[job.seed] = outcome["metrics"][measure] if finished else worst
        return found

    @cached_property
    def _scaled(self) -> list[dict[int, float]]:
        """As `values`, so that lower is better: NSE as its logarithm, the negative of what is better for being higher.
        """
        found = []
        for number, one in enumerate(self.values):
            if not self.sweep.free and self.measure(number).endswith("nse"):
                one = _logarithms(one)
            found.append({seed: -value for seed, value in one.items()} if self.higher(number) else one)
        return found

    def scaled(self, condition: int) -> list[float]:
        """What is compared of a condition, by seed."""
        return list(self._scaled[condition].values())

    def common(self, first: int, second: int) -> tuple[list[float], list[float]]:
        """What is compared of two conditions, from the seeds that both have."""
        a, b = self._scaled[first], self._scaled[second]
        seeds = sorted(a.keys() & b.keys())
        return [a[seed] for seed in seeds], [b[seed] for seed in seeds]

    @cached_property
    def _paired(self) -> dict[tuple[int, int], statistics.Paired]:
        return {}

    def paired(self, first: int, second: int) -> statistics.Paired:
        """One condition against another, computed once."""
        if (first, second) not in self._paired:
            self._paired[first, second] = statistics.paired(*self.common(first, second))
        return self._paired[first, second]


def read_outcomes(sweep: Sweep, failed: Mapping[str, str] | None = None) -> Outcomes:
    """The outcomes of a sweep as they are now, each read and proven once.

    Args:
        sweep: the table of jobs.
        failed: the error messages of jobs that just failed, by name; those that are done since are left out.
    """
    proven: dict[str, Outcome] = {}
    complaints: dict[str, str] = {}
    for job in sorted(sweep.jobs, key=lambda job: job.factor is None):  # tuning first, which decides what others ran
        outcome = sweep.outcome(job)
        if outcome is not None:
            proven[job.name] = {key: value for key, value in outcome.items() if key != "course"}
        elif (complaint := sweep.complaint(job)) is not None:
            complaints[job.name] = complaint
    chosen = [sweep.chosen(number) for number in range(len(sweep.conditions))]
    still = {name: message for name, message in (failed or {}).items() if name not in proven}
    return Outcomes(sweep, proven, complaints, chosen, still)


def tidy(outcomes: Outcomes) -> DataFrame:
    """One row a compared run: model, scheme, swept values, seed, status, every measure, every angle in degrees.

    Nothing in it depends on when, where, or in what order runs were made.
    """
    import pandas

    sweep = outcomes.sweep
    swept = sorted({key for condition in sweep.conditions for key in condition.settings})
    known = {job.name: outcomes.of(job) or {} for job in sweep.compared}
    metrics = sorted({name for outcome in known.values() for name in outcome.get("metrics", {})})
    pathways = sorted({name for outcome in known.values() for name in outcome.get("alignment", {})})
    rows = []
    for job in sorted(sweep.compared, key=lambda job: (job.condition, job.seed)):
        condition, outcome = sweep.conditions[job.condition], known[job.name]
        row: dict[str, Any] = {"model": condition.model, "scheme": condition.scheme}
        row |= {key: _cell(condition.settings.get(key)) for key in swept}
        row |= {} if sweep.free else {"rates": outcomes.rates[job.condition]["text"]}
        row |= {"seed": job.seed, "status": outcomes.state(job)}
        row |= {"trials" if sweep.free else "presentations": outcome.get("trials" if sweep.free else "presentations")}
        if sweep.request["tune"]:
            row["learning_rate_factor"] = (outcomes.chosen[job.condition] or {}).get("factor")
        row |= {name: outcome.get("metrics", {}).get(name) for name in metrics}
        row |= {f"alignment.{name}": outcome.get("alignment", {}).get(name) for name in pathways}
        rows.append(row)
    return pandas.DataFrame(rows).astype({"trials" if sweep.free else "presentations": "Int64"})


def _cell(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, (dict, list)) else value


def _logarithms(values: Mapping[int, float]) -> dict[int, float]:
    return {seed: float(np.log10(max(v, 1e-300))) if np.isfinite(v) else v for seed, v in values.items()}


def condition_rows(outcomes: Outcomes) -> list[dict[str, Any]]:
    """Each condition: its measure from every seed, the median of all, and how many diverged or are missing.

    The median is Hodges' and Lehmann's, with its 95 % interval. Where a run diverged there is none (NaN): no number is
    that of all runs. Where time passes without a task, conditions have many measures, which are in `measure_rows`.
    """
    if outcomes.sweep.free:
        return [
            _named(outcomes, number) | {"n": len(done := _done(outcomes, number)), "diverged": done.count(None),
             "missing": outcomes.sweep.request["seeds"] - len(done), "findings": findings(outcomes, number)}
            for number in range(len(outcomes.sweep.conditions))
        ]  # fmt: skip
    rows = []
    for number, condition in enumerate(outcomes.sweep.conditions):
        measure, raw = outcomes.measure(number), outcomes.values[number]
        whole = all(np.isfinite(v) for v in raw.values())
        interval = statistics.hodges_lehmann(outcomes.scaled(number) if whole else [])
        back = _power if measure.endswith("nse") else float
        counted = measure == "test_error" and np.isfinite(interval.median)
        examples = _test_examples(condition.experiment) if counted else None
        rows.append({
            "model": condition.model, "scheme": condition.scheme, "settings": dict(condition.settings),
            "label": label(condition), "measure": measure, "estimate": "Hodges-Lehmann median",
            "value": back(interval.median), "low": back(interval.low), "high": back(interval.high),
            "n": len(raw), "n_finite": sum(bool(np.isfinite(v)) for v in raw.values()), "test_examples": examples,
            "sampling_error": statistics.sampling_error(interval.median, examples) if examples else None,
            "seeds": list(raw), "values": list(raw.values()), "diverged": sum(not np.isfinite(v) for v in raw.values()),
            "missing": outcomes.sweep.request["seeds"] - len(raw), "findings": findings(outcomes, number),
            "rates": outcomes.rates[number],
        })
    return rows


def _named(outcomes: Outcomes, number: int) -> dict[str, Any]:
    """The names of a condition."""
    condition = outcomes.sweep.conditions[number]
    names = {"model": condition.model, "scheme": condition.scheme, "settings": dict(condition.settings)}
    return names | {"label": label(condition, schemes=False)}


def _done(outcomes: Outcomes, number: int) -> list[Mapping[str, float] | None]:
    """The measures of each compared run of a condition that is done, in the order of seeds; None of one that diverged.
    """
    found = [outcomes.of(job) for job in sorted(outcomes.sweep.runs_of(number), key=lambda job: job.seed)]
    return [one["metrics"] if one["status"] == "finished" else None for one in found if one is not None]


def measure_rows(outcomes: Outcomes) -> list[dict[str, Any]]:
    """Each measure of each condition, where time passes without a task.

    The declared ones, where there are some. From every seed, NaN where a run diverged or too few spikes tell it, and
    the Hodges-Lehmann median of all with its 95 % interval, NaN where one is NaN.
    """
    if not outcomes.sweep.free:
        return []
    done = [_done(outcomes, number) for number in range(len(outcomes.sweep.conditions))]
    declared = [measure for experiment in outcomes.sweep.experiments for measure in experiment.measures]
    names = dict.fromkeys(measure.label for measure in declared)
    if not declared:
        names = dict.fromkeys(in_one_order(tuple(one) for runs in done for one in runs if one is not None))
    rows = []
    for name in names:
        for number, runs in enumerate(done):
            values = [float("nan") if one is None else one.get(name, float("nan")) for one in runs]
            finite = [value for value in values if np.isfinite(value)]
            interval = statistics.hodges_lehmann(finite if len(finite) == len(values) else [])
            ranks = outcomes.sweep.ranks[number]
            better = ranks.better if ranks is not None and ranks.label == name else None
            row = {"measure": name, "better": better, "estimate": "Hodges-Lehmann median", "value": interval.median}
            row |= {"low": interval.low, "high": interval.high, "n": len(values), "n_finite": len(finite)}
            rows.append(_named(outcomes, number) | row | {"values": values})
    return rows


def in_one_order(found: Iterable[Sequence[str]]) -> list[str]:
    """The names of several lists, each once: what some of them lack follows the name that it follows in the others."""
    names: list[str] = []
    for one in dict.fromkeys(map(tuple, found)):
        at = 0
        for name in one:
            if name not in names:
                names.insert(at, name)
            at = names.index(name) + 1
    return names


def _power(x: float) -> float:
    return float("inf") if x >= 308 else float(10**x)


@lru_cache(maxsize=64)
def _test_examples(experiment: str) -> int | None:
    """How many test examples an experiment has."""
    described = toml.loads(experiment)
    known = getattr(described.task, "test_examples", None)
    if known is not None:
        return int(known)
    test = draw(described, 1).data.test
    return None if test is None else len(test.inputs)


def findings(outcomes: Outcomes, condition: int) -> list[dict[str, Any]]:
    """What is wrong with the runs of a condition (`diagnosis.py`), each kind and place once.

    Each with the seeds of its runs and the message of the first.
    """
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for job in outcomes.sweep.runs_of(condition):
        outcome = outcomes.of(job)
        if outcome is None:
            continue
        if outcome["status"] == "finished":
            found = outcome["findings"]
        else:
            found = [{"kind": "diverged", "place": "", "says": outcome["message"]}]
        for finding in found:
            row = rows.setdefault((finding["kind"], finding["place"]), dict(finding) | {"seeds": []})
            row["seeds"].append(job.seed)
    return list(rows.values())


def pair_rows(outcomes: Outcomes) -> list[dict[str, Any]]:
    """Every two conditions that differ in one thing (scheme, model, or swept values), over the seeds that both have.

    `difference` (first minus second), `low` and `high`, `better` and `verdict` are of the Hodges-Lehmann median and
    of the level at which Holm's correction tested this pair. Where a run diverged there is no difference (NaN); the
    direction, p and verdict are over all runs still.
    """
    conditions, margin = outcomes.sweep.conditions, outcomes.sweep.request.get("margin")
    pairs = [pair for pair in tested_pairs(outcomes.sweep) if outcomes.measure(pair[0]) == outcomes.measure(pair[1])]
    named = not outcomes.sweep.free
    tests = statistics.holm_tests([outcomes.paired(*pair).p for pair in pairs])
    rows: list[dict[str, Any]] = []
    for (first, second), (corrected, count) in zip(pairs, tests, strict=True):
        found, measure = outcomes.paired(first, second), outcomes.measure(first)
        names = (label(conditions[first], named), label(conditions[second], named))
        interval, higher = found.interval(count), outcomes.higher(first)
        of_first, of_second = outcomes.common(first, second)
        row: dict[str, Any] = {
            "first": names[0], "second": names[1], "measure": measure,
            "scale": outcomes.scale(first), "n": found.n, "n_finite": found.n_finite,
            "diverged_first": int(np.isinf(of_first).sum()), "diverged_second": int(np.isinf(of_second).sum()),
            "difference": found.estimate, "better": _better(found.estimate, *names), "superiority": found.superiority,
            "p": found.p, "low": interval.low, "high": interval.high, "level": 1 - statistics.ALPHA / count,
            "p_holm": corrected, "differs": corrected < statistics.ALPHA,
        }
        if higher:  # estimate and interval are of the negative of the measure
            row |= {"difference": -found.estimate, "low": -interval.high, "high": -interval.low}
        row["can_be_tested"] = row["differs"] or statistics.can_be_tested(found.n, count)
        row["equal_within"] = margin if margin is not None and statistics.equal_within(found, margin) else None
        row["verdict"] = verdict(row)
        if row["n_finite"] < row["n"]:
            row |= dict.fromkeys(("difference", "low", "high"), np.nan)
        rows.append(row)
    return rows


def _better(estimate: float, first: str, second: str) -> str | None:
    return first if estimate < 0 else second if estimate > 0 else None


def verdict(row: Mapping[str, Any]) -> str:
    """What may be said of a pair: which is better, or why that is not known."""
    if row["differs"]:
        found = f"{row['better']} better"
    else:
        found = "cannot be told" if row["can_be_tested"] else f"cannot be tested with {row['n']} seeds"
    return found if row["equal_within"] is None else f"{found}, equal within {row['equal_within']:g}"


def ranking(outcomes: Outcomes) -> list[dict[str, Any]]:
    """The conditions of each model, best first: by how many others each is better than, in the median of differences.

    `consistent` is false where such an order leaves a pair the other way round: A better than B, B than C, C than A.
    """
    conditions, named = outcomes.sweep.conditions, not outcomes.sweep.free
    ranked = []
    for model in dict.fromkeys(condition.model for condition in conditions):
        numbers = [n for n, condition in enumerate(conditions) if condition.model == model]
        measures = {(outcomes.measure(n), outcomes.higher(n)) for n in numbers}
        if outcomes.sweep.free and (len(measures) > 1 or ("", False) in measures):
            continue
        sign: dict[tuple[int, int], float] = {}  # of the first minus the second
        for a, b in itertools.combinations(numbers, 2):
            sign[a, b] = float(np.sign(outcomes.paired(a, b).estimate))
            sign[b, a] = -sign[a, b]
        wins = {a: -np.nansum([sign[a, b] for b in numbers if b != a]) for a in numbers}
        order = sorted(numbers, key=lambda n: -wins[n])
        ranked.append({
            "model": model, "measure": outcomes.measure(numbers[0]),
            "order": [label(conditions[n], named) for n in order],
            "consistent": not any(sign[pair] > 0 for pair in itertools.combinations(order, 2)),
            "equal": [sign[pair] == 0 for pair in itertools.pairwise(order)],
        })
    return ranked


def tested_pairs(sweep: Sweep) -> list[tuple[int, int]]:
    """Every two conditions that differ in one thing, by number.

    Of conditions that are the same network nothing is tested between them, and each difference once; where time passes
    without a task only those that are ranked by the same measure.
    """
    same = {second: first for first, second in sorted(sweep.identical, reverse=True)}
    pairs: dict[frozenset[int], tuple[int, int]] = {}
    for pair in differing(sweep.conditions, sweep.request.get("baseline")):
        if sweep.free and (sweep.ranks[pair[0]] is None or sweep.ranks[pair[0]] != sweep.ranks[pair[1]]):
            continue
        if pair not in sweep.identical:
            pairs.setdefault(frozenset(same.get(number, number) for number in pair), pair)
    return list(pairs.values())


def summary(outcomes: Outcomes) -> dict[str, Any]:
    """What `biofa compare --json` prints."""
    sweep, done = outcomes.sweep, list(outcomes.proven.values())
    names = [label(condition, schemes=not sweep.free) for condition in sweep.conditions]
    return {
        "request": dict(sweep.request), "runs": len(sweep.jobs),
        "finished": sum(o["status"] == "finished" for o in done),
        "diverged": sum(o["status"] == "diverged" for o in done), "failed": dict(outcomes.failed),
        "left": len(sweep.jobs) - len(done), "states": dict(Counter(map(outcomes.state, sweep.jobs))),
        "mixed": _mixed(done),
        "compiled": sum(not o["timing"]["cached"] for o in done if o["timing"].get("compile_s")),
        "tuning": [
            {"condition": name} | dict(choice or {}) for name, choice in zip(names, outcomes.chosen, strict=True)
        ] if sweep.request["tune"] else [],
        "seeds": sweep.seeds, "ranking": ranking(outcomes), "conditions": condition_rows(outcomes),
        "identical": [[names[number] for number in pair] for pair in sorted(sweep.identical)],
        "comparisons": pair_rows(outcomes), "table": str(sweep.folder / TIDY), "pairs": str(sweep.folder / PAIRS),
    } | ({"measures": measure_rows(outcomes)} if sweep.free else {})


def _mixed(outcomes: Sequence[Outcome]) -> dict[str, list[str]]:
    """The packages that decide numbers and of which the runs used several versions."""
    known = [outcome["provenance"]["versions"] for outcome in outcomes if "provenance" in outcome]
    versions = {package: sorted({str(one.get(package)) for one in known}) for package in DECIDING}
    return {package: found for package, found in versions.items() if len(found) > 1}
