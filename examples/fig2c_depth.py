"""Fig. 2c of Lillicrap et al. (2014): one hidden layer or two, twenty seeds a condition, 400,000 examples.

    python examples/fig2c_depth.py [FOLDER] [SEEDS]

Networks 30-20-10 and 30-20-10-10 learn a 30-20-10-10 teacher (model `depth`). Writes fig2c.png and fig2c.pdf, and
prints the test error (NSE, 5,000 examples) of each condition, the paper's statistics (two-sample t-test of two hidden
layers against one) and ours: pairs by seed, median ratio of errors with the interval that inverts the signed-rank test
at Holm's level.
"""

import sys
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from scipy import stats

import bioFA
from bioFA.analysis.learning import sliding_mean
from bioFA.analysis.statistics import holm_tests, paired
from bioFA.show.style import BLUE, COLUMN, GREY, ORANGE, STYLE

ONE, TWO = (30, 20, 10), (30, 20, 10, 10)
CONDITIONS = {
    "shallow": ("shallow", ONE, GREY, "-"),
    "BP-3": ("bp", ONE, ORANGE, "--"),
    "FA-3": ("fa", ONE, BLUE, "--"),
    "BP-4": ("bp", TWO, ORANGE, "-"),
    "FA-4": ("fa", TWO, BLUE, "-"),
}
PAIRS = (("FA-4", "BP-3"), ("FA-4", "FA-3"), ("BP-4", "BP-3"), ("FA-4", "BP-4"), ("FA-3", "BP-3"))


@matplotlib.rc_context(STYLE)
def main(folder: Path, seeds: int) -> None:
    """Run, draw, print."""
    figure = Figure(figsize=(COLUMN, 2.8))
    panel = figure.subplots()
    ends = {}
    for name, (scheme, sizes, colour, line) in CONDITIONS.items():
        model = bioFA.load("depth", {"circuit.sizes": list(sizes)}).with_scheme(scheme)
        results = [bioFA.simulate(model, seed=seed) for seed in range(1, seeds + 1)]
        ends[name] = np.array([result.metrics["test_nse"] for result in results])
        curve = np.median([sliding_mean(result.learning_curve, 100) for result in results], axis=0)
        panel.plot(results[0].recording.at / 1000, curve, line, color=colour, label=name)
        print(
            f"{name:8} test NSE: median {np.median(ends[name]):.2g} ({ends[name].min():.2g} to {ends[name].max():.2g})",
            flush=True,
        )
    panel.set(yscale="log", xlabel="examples (thousands)", ylabel="normalised squared error")
    panel.legend()
    folder.mkdir(parents=True, exist_ok=True)
    for suffix in ("png", "pdf"):
        figure.savefig(folder / f"fig2c.{suffix}", dpi=200)
    for scheme in ("BP", "FA"):
        if seeds > 1:
            print(
                f"the paper's test, {scheme}-4 against {scheme}-3: t-test of NSE, p ="
                f" {stats.ttest_ind(ends[f'{scheme}-4'], ends[f'{scheme}-3']).pvalue:.2g}"
            )
    logs = {name: np.log10(values) for name, values in ends.items()}
    outcomes = [paired(logs[first], logs[second]) for first, second in PAIRS]
    for (first, second), outcome, (p, tests) in zip(
        PAIRS, outcomes, holm_tests([outcome.p for outcome in outcomes]), strict=True
    ):
        interval = outcome.interval(tests)
        ratio, low, high = (10**x for x in (interval.median, interval.low, interval.high))
        print(
            f"{first} / {second}: NSE ratio {ratio:.2g} [{low:.2g}, {high:.2g}], lower in {outcome.superiority:.0%} of"
            f" {outcome.n} seeds, p = {p:.2g} (Holm)"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "figures"), int(sys.argv[2]) if len(sys.argv) > 2 else 20)
