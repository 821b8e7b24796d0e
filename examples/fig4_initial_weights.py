"""Fig. 4 of Lillicrap et al. (2014): smaller initial weights align feedback alignment with the pseudo-inverse.

    python examples/fig4_initial_weights.py [FOLDER] [SEEDS]

The linear network at learning rate 1e-3 from nine scales of initial weights, 10,000 presentations. Writes fig4.png and
fig4.pdf, and prints means over seeds: when the mean NSE of 50 presentations falls below 1e-3, and the angles of what
feedback alignment feeds back, B e, to backpropagation, W' e, and to pseudo-backpropagation, pinv(W) e,
early (presentations 1,500 to 2,000) and late (5,000 to 10,000).
"""

import sys
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

import bioFA
from bioFA.analysis.alignment import angles
from bioFA.analysis.learning import sliding_mean
from bioFA.show.style import PAGE, STYLE

SCALES = (1e-4, 1e-3, 0.01, 0.05, 0.1, 0.125, 0.15, 0.2, 0.25)
EARLY, LATE = slice(1500, 2000), slice(5000, 10000)
EVERY = 50
"""Presentations between two snapshots, whose W stands for those in between."""


def one_run(scale: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """NSE, angle to backpropagation and angle to pseudo-backpropagation of every presentation, each `(10000,)`."""
    rule = {"circuit.schemes.fa.rule.learning_rate": 1e-3, "circuit.schemes.fa.readout_rule.learning_rate": 1e-3}
    result = bioFA.simulate(bioFA.load("linear", {
        **rule, "circuit.weights": {"name": "uniform", "low": -scale, "high": scale}, "task.examples": 10000,
        "protocol.snapshots": 10000 // EVERY, "record.variables": ["mismatch.r"],
    }), seed=seed)
    errors, fed_back = result.recording.arrays["mismatch.r"], result.recording.arrays["hidden.error"]
    inverses = np.array([np.linalg.pinv(w) for w in result.snapshots["hidden_to_output.w"]])
    pseudo = np.einsum("kij,kj->ki", inverses[np.arange(len(errors)) // EVERY], errors)
    return result.learning_curve, result.feedback_angles["mismatch_to_hidden"], angles(fed_back, pseudo)


@matplotlib.rc_context(STYLE)
def main(folder: Path, seeds: int) -> None:
    """Run, draw, print."""
    figure = Figure(figsize=(PAGE, 2.6))
    panels = figure.subplots(1, 3)
    colours = matplotlib.colormaps["viridis"](np.linspace(0, 0.9, len(SCALES)))
    print(f"means over {seeds} seeds\nscale    NSE < 1e-3 at   to BP, PBP early (deg)   to BP, PBP late (deg)")
    for scale, colour in zip(SCALES, colours, strict=True):
        nse, to_bp, to_pbp = (
            np.array(values) for values in zip(*(one_run(scale, seed) for seed in range(1, seeds + 1)), strict=True)
        )
        smooth = np.array([sliding_mean(row, 50) for row in nse])
        first = np.mean([np.argmax(row < 1e-3) for row in smooth])
        print(
            f"{scale:<8g} {first:10.0f} {to_bp[:, EARLY].mean():14.1f}, {to_pbp[:, EARLY].mean():4.1f}"
            f" {to_bp[:, LATE].mean():18.1f}, {to_pbp[:, LATE].mean():4.1f}"
        )
        for panel, rows in zip(panels, (nse, to_bp, to_pbp), strict=True):
            panel.plot(
                np.mean([sliding_mean(row, 50) for row in rows], axis=0),
                color=colour,
                linewidth=0.9,
                label=f"{scale:g}",
            )
    for panel, label in zip(
        panels,
        (
            "normalised squared error",
            "angle to backpropagation\n(degrees)",
            "angle to pseudo-backpropagation\n(degrees)",
        ),
        strict=True,
    ):
        panel.set(xlabel="presentation", ylabel=label)
    panels[0].set_yscale("log")
    for panel in panels[1:]:
        panel.set_ylim(0, 100)
    panels[2].legend(title="initial weights", ncols=2)
    folder.mkdir(parents=True, exist_ok=True)
    for suffix in ("png", "pdf"):
        figure.savefig(folder / f"fig4.{suffix}", dpi=200)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "figures"), int(sys.argv[2]) if len(sys.argv) > 2 else 6)
