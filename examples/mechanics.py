"""How feedback alignment works, in two experiments of the journal version of the paper (Lillicrap et al., 2016).

    python examples/mechanics.py [FOLDER] [SEEDS]

Three phases: first only the hidden layer learns, then only the output layer, then only the hidden layer again. B is
written into W0, from there into W, and only then is what B feeds back of use. The switch: a network trained by
backpropagation goes on with feedback alignment, whose B it has never seen; the error jumps, and falls again.
Writes mechanics.png and mechanics.pdf, and prints the errors, medians over seeds (8).
"""

import sys
import tempfile
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

import bioFA
from bioFA.analysis.learning import sliding_mean
from bioFA.show.style import BLUE, GREY, ORANGE, PAGE, STYLE

PHASE = 250_000
RATE = 1e-6
"""Slow enough for the three phases to be told apart."""


def three_phases(seed: int) -> np.ndarray:
    """NSE of every 20th presentation over the three phases."""
    learns = (["input_to_hidden"], ["hidden_to_output"], ["input_to_hidden"])
    result = bioFA.simulate(bioFA.load("linear", {
        "circuit.schemes.fa.rule.learning_rate": RATE, "circuit.schemes.fa.readout_rule.learning_rate": RATE,
        "circuit.weights": {"name": "uniform", "low": -0.1, "high": 0.1}, "record.every": 20, "protocol.snapshots": 3,
        "protocol.phases": [{"presentations": PHASE, "learns": names} for names in learns],
    }), seed=seed)
    return result.learning_curve


def switch(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """NSE of every presentation: learning by backpropagation, then going on by feedback alignment."""
    with tempfile.TemporaryDirectory() as scratch:
        before = bioFA.simulate(bioFA.load("linear").with_scheme("bp"), seed=seed)
        before.save(Path(scratch) / "bp.h5")
        after = bioFA.simulate(bioFA.load("linear"), seed=seed, weights=Path(scratch) / "bp.h5")
    return before.learning_curve, after.learning_curve


@matplotlib.rc_context(STYLE)
def main(folder: Path, seeds: int) -> None:
    """Run, draw, print."""
    figure = Figure(figsize=(PAGE, 2.6))
    left, right = figure.subplots(1, 2)
    phases = np.array([three_phases(seed) for seed in range(1, seeds + 1)])
    smooth = np.array([sliding_mean(row, 500) for row in phases])
    places = 0.02 * np.arange(smooth.shape[1])
    for row in smooth:
        left.plot(places, row, color=BLUE, alpha=0.25, linewidth=0.6)
    left.plot(places, np.median(smooth, axis=0), color=BLUE)
    for end in (PHASE / 1000, 2 * PHASE / 1000):
        left.axvline(end, color=GREY, linewidth=0.6)
    left.set(xlabel="presentations (thousands)", ylabel="normalised squared error", ylim=(0, None))
    steps = PHASE // 20
    for number in range(3):
        part = smooth[:, number * steps : (number + 1) * steps]
        print(f"phase {number + 1}: NSE {np.median(part[:, 500]):.2f} -> {np.median(part[:, -1]):.2f}")
    for colour, scheme, rows in zip(
        (ORANGE, BLUE), ("bp", "fa"), zip(*(switch(seed) for seed in range(1, seeds + 1)), strict=True), strict=True
    ):
        curve = np.median([sliding_mean(row, 50) for row in rows], axis=0)
        right.plot(np.arange(len(curve)) + (0 if scheme == "bp" else len(curve)), curve, color=colour, label=scheme)
        peak = np.array([sliding_mean(row, 50).max() for row in rows])
        print(
            f"{scheme}: NSE at most {np.median(peak):.2g} ({peak.min():.2g} to {peak.max():.2g}), at the end"
            f" {np.median([row[-50:].mean() for row in rows]):.2g}"
        )
    right.set(yscale="log", xlabel="presentation", ylabel="normalised squared error")
    right.legend()
    folder.mkdir(parents=True, exist_ok=True)
    for suffix in ("png", "pdf"):
        figure.savefig(folder / f"mechanics.{suffix}", dpi=200)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "figures"), int(sys.argv[2]) if len(sys.argv) > 2 else 8)
