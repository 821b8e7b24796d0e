"""Fig. 1d and 1e of Lillicrap et al. (2014): a linear network learns a linear map, eight seeds a scheme,
with pseudo-backprop as a fifth curve.

    python examples/fig1_linear_map.py [FOLDER] [SEEDS]

Writes fig1.png and fig1.pdf, and prints the error (NSE) of the last 50 of 2,000 presentations,
median and range over seeds.
"""

import sys
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

import bioFA
from bioFA.analysis.learning import sliding_mean
from bioFA.show.style import BLUE, GREEN, GREY, ORANGE, PAGE, PURPLE, STYLE

SCHEMES = {"shallow": GREY, "np": PURPLE, "bp": ORANGE, "fa": BLUE, "pbp": GREEN}


@matplotlib.rc_context(STYLE)
def main(folder: Path, seeds: int) -> None:
    """Run, draw, print."""
    figure = Figure(figsize=(PAGE, 2.8))
    curves, angles = figure.subplots(1, 2)
    for scheme, colour in SCHEMES.items():
        results = [bioFA.simulate(bioFA.load("linear").with_scheme(scheme), seed=seed) for seed in range(1, seeds + 1)]
        nse = np.array([result.learning_curve for result in results])
        for row in nse:
            curves.plot(sliding_mean(row, 50), color=colour, alpha=0.2, linewidth=0.6)
        curves.plot(np.median([sliding_mean(row, 50) for row in nse], axis=0), color=colour, label=scheme)
        last = nse[:, -50:].mean(axis=1)
        print(f"{scheme:8} NSE of the last 50: median {np.median(last):.2g} ({last.min():.2g} to {last.max():.2g})")
        if scheme == "fa":
            found = np.array([result.feedback_angles["mismatch_to_hidden"] for result in results])
            middle = np.array([sliding_mean(row, 10) for row in found])
            angles.fill_between(
                np.arange(middle.shape[1]), *np.percentile(middle, (0, 100), axis=0), color=BLUE, alpha=0.2, linewidth=0
            )
            angles.plot(np.median(middle, axis=0), color=BLUE)
            print(
                f"{'':8} feedback angle, last 200: median {np.median(found[:, -200:]):.0f} deg; B against W':"
                f" {np.median([r.alignment['mismatch_to_hidden'] for r in results]):.0f} deg"
            )
    curves.set(yscale="log", xlabel="presentation", ylabel="normalised squared error")
    curves.legend()
    angles.axhline(90, color=GREY, linewidth=0.6)
    angles.set(xlabel="presentation", ylabel="angle between $Be$ and $W^{\\mathsf{T}}e$ (degrees)", ylim=(0, 120))
    folder.mkdir(parents=True, exist_ok=True)
    for suffix in ("png", "pdf"):
        figure.savefig(folder / f"fig1.{suffix}", dpi=200)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "figures"), int(sys.argv[2]) if len(sys.argv) > 2 else 8)
