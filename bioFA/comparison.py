"""Comparisons in Python: the same runs, table and statistics as `biofa compare`, as pandas tables.

    comparison = bioFA.run_comparison("digits", schemes=("fa", "bp"), folder="results/rules")
    comparison.table        one row a run
    comparison.pairs        which is better, median of paired differences, interval, Holm's p of each pair
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bioFA.comparisons.driver import Limits, Report
from bioFA.comparisons.messages import describe
from bioFA.comparisons.outcomes import Outcomes, pair_rows, read_outcomes, summary, tidy
from bioFA.comparisons.plan import Request, begin
from bioFA.comparisons.run import failure, run
from bioFA.comparisons.table import read

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Comparison:
    """The outcome of a comparison.

    `table` has one row a run, `pairs` one row a pair, and `outcome` is what `biofa compare --json` prints.
    """

    folder: Path
    table: pd.DataFrame
    pairs: pd.DataFrame
    outcome: Mapping[str, Any]

    @property
    def report(self) -> Path:
        """Its page."""
        from bioFA.show import report

        return self.folder / report.PAGE

    def __str__(self) -> str:
        return describe(self.outcome)

    def _repr_html_(self) -> str:
        from bioFA.show.notebook import of_comparison

        return of_comparison(self.outcome, self.report)


def run_comparison(
    models: str | Sequence[str],
    schemes: Sequence[str] = (),
    seeds: int | None = None,
    folder: str | Path = "results/comparison",
    changes: Sequence[str] = (),
    tune: bool = False,
    backend: str = "cpp",
    precision: str = "float64",
    processes: int = 1,
    progress: Report | None = None,
    time_limit: float | None = None,
    baseline: str | None = None,
    margin: float | None = None,
) -> Comparison:
    """Run schemes x models x seeds, those that are not proven done in the folder, and compare them pair by pair.

    Args:
        models: names of built-in models or paths of model files, one or several.
        schemes: learning schemes; each model's own where empty.
        seeds: how many, the first on which no compared model was chosen; as few as can test all pairs, at least 8,
            where not given.
        folder: where everything is kept; the same call goes on with it.
        changes: `key=value`, or `key=v1,v2` to sweep, as `--set`.
        tune: choose each scheme's learning rates first, on validation data, all on the same grid.
        backend, precision: as `simulate`.
        processes: runs at once.
        progress: called with how many runs are done, of how many, and how many failed.
        time_limit: seconds that one run may take.
        baseline: the scheme that each is tested against, in place of all pairs.
        margin: say where two are equal within this (fraction of errors, decimal logarithm of NSE).

    Raises:
        ModelError: if a model, scheme or change is wrong.
        FileError: if the folder holds another comparison, or another process runs it.
        RunError: if runs failed; those that are done are kept.
    """
    from bioFA.runs.simulation import check_backend
    from bioFA.show import report

    check_backend(backend, precision)
    names = (models,) if isinstance(models, str) else tuple(models)
    request = Request(names, tuple(schemes), seeds, tuple(changes), tune, backend, precision, baseline, margin)
    outcomes = run(begin(request, Path(folder)), processes, limits=Limits(time_limit), report=progress)
    report.of_comparison(outcomes)
    if (error := failure(outcomes)) is not None:
        raise error
    return _comparison(outcomes)


def load_comparison(folder: str | Path) -> Comparison:
    """Read a comparison from its folder, with what is done of it.

    Raises:
        FileError: if there is none, or it is damaged.
    """
    sweep = read(Path(folder), mixed=True)  # to look at: whoever continues it is asked about versions
    return _comparison(read_outcomes(sweep))


def _comparison(outcomes: Outcomes) -> Comparison:
    import pandas as pd

    return Comparison(outcomes.sweep.folder, tidy(outcomes), pd.DataFrame(pair_rows(outcomes)), summary(outcomes))
