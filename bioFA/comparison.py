"""Comparisons in Python: the same runs, table and statistics as `biofa compare`, as pandas tables.

    comparison = bioFA.run_comparison("digits", schemes=("fa", "bp"), folder="results/rules")
    comparison.table        one row a run
    comparison.pairs        which is better, median of paired differences, interval, Holm's p of each pair
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bioFA.comparisons.driver import Limits, Report
from bioFA.comparisons.messages import describe
from bioFA.comparisons.outcomes import Outcomes, pair_rows, read_outcomes, summary, tidy
from bioFA.comparisons.plan import Request, begin
from bioFA.comparisons.run import failure, run
from bioFA.comparisons.table import MODELS, read
from bioFA.errors import DuplicateName, PlaceTaken
from bioFA.experiment import Experiment
from bioFA.modelfiles import toml
from bioFA.own_code import trust

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
    models: str | Path | Experiment | Sequence[str | Path | Experiment],
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
    trust_code: bool = False,
) -> Comparison:
    """Run schemes x models x seeds, those that are not proven done in the folder, and compare them pair by pair.

    Args:
        models: names of built-in models, paths of model files, or experiments, one or several. An experiment becomes a
            model file in the folder; a class of one's own in it must come from a file, where all processes find it.
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
        trust_code: whether Python code may run that came with a bundle, or that the folder holds.

    Raises:
        ModelError: if a model, scheme or change is wrong.
        FileError: if the folder holds another comparison, or another process runs it; if an experiment has a class that
            no other process can find (`BrokenCode`).
        RunError: if runs failed; those that are done are kept.
    """
    from bioFA.runs.simulation import check_backend
    from bioFA.show import report

    check_backend(backend, precision)
    given = (models,) if isinstance(models, (str, Path, Experiment)) else tuple(models)
    with trust.allowing(trust_code):
        with _as_files(given, Path(folder)) as names:
            request = Request(names, tuple(schemes), seeds, tuple(changes), tune, backend, precision, baseline, margin)
            sweep = begin(request, Path(folder))
        outcomes = run(sweep, processes, limits=Limits(time_limit), report=progress)
        report.of_comparison(outcomes)
    if (error := failure(outcomes)) is not None:
        raise error
    return _comparison(outcomes)


@contextlib.contextmanager
def _as_files(models: Sequence[str | Path | Experiment], folder: Path) -> Iterator[tuple[str, ...]]:
    """The models as names and paths: experiments are written to the folder, and taken away if that becomes no
    comparison."""
    place, written = folder / MODELS, list[Path]()
    texts: dict[str, str] = {}
    for model in models:
        if isinstance(model, Experiment):
            toml.code_files(model)  # refuses a class that no other process can find
            if model.name in texts:
                raise DuplicateName(
                    f"two experiments are called '{model.name}'. Give one another name: replace(name=...)."
                )
            texts[model.name] = toml.kept(model)
    paths = {name: place / f"{re.sub(r'[^A-Za-z0-9_-]+', '-', name)[:80]}.toml" for name in texts}
    try:
        for name, text in texts.items():
            path = paths[name]
            if path.exists() and path.read_text(encoding="utf-8") != text:
                raise PlaceTaken(f"'{path}' is another experiment of that name. Give another folder, or another name.")
            if not path.exists():
                place.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
                written.append(path)
        yield tuple(str(paths[model.name] if isinstance(model, Experiment) else model) for model in models)
    except BaseException:
        for path in written:
            path.unlink()
        with contextlib.suppress(OSError):  # not there, or not empty
            place.rmdir()
            folder.rmdir()
        raise


def load_comparison(folder: str | Path, trust_code: bool = False) -> Comparison:
    """Read a comparison from its folder, with what is done of it; with `trust_code`, Python code in it may run.

    Raises:
        FileError: if there is none, or it is damaged, or holds code of somebody's own that may not run.
    """
    sweep = read(Path(folder), mixed=True)  # to look at: whoever continues it is asked about versions
    with trust.allowing(trust_code):
        return _comparison(read_outcomes(sweep))


def _comparison(outcomes: Outcomes) -> Comparison:
    import pandas as pd

    return Comparison(outcomes.sweep.folder, tidy(outcomes), pd.DataFrame(pair_rows(outcomes)), summary(outcomes))
