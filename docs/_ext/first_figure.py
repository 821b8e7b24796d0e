"""Draw the first figure of the README: the circuit of feedback alignment, and what it learns on digits.

python docs/_ext/first_figure.py        writes docs/figures/feedback_alignment.png
"""

from pathlib import Path

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Circle

import bioFA

FIGURE = Path(__file__).parent.parent / "figures" / "feedback_alignment.png"
SEEDS = (1, 2, 3, 4, 5)
COLOURS = {"shallow": "0.55", "bp": "tab:blue", "fa": "tab:red"}
LABELS = {"shallow": "shallow: output weights only", "bp": "bp: transposed weights", "fa": "fa: fixed random weights"}


def main() -> None:
    """Run digits under three schemes and five seeds, and draw."""
    figure, (circuit, error, angle) = plt.subplots(
        1, 3, figsize=(9.6, 3.0), layout="constrained", width_ratios=(1.05, 1, 1)
    )
    _circuit(circuit)
    for scheme in COLOURS:
        results = [bioFA.simulate(bioFA.load("digits").with_scheme(scheme), seed) for seed in SEEDS]
        at, values = _validation(results)
        _course(error, at, 100 * values, scheme)
        if scheme == "fa":
            courses = np.array([r.alignment_course["mismatch_to_hidden"]["alignment"] for r in results])
            _course(angle, results[0].snapshots_at, courses, scheme)
    error.set(xlabel="presentations", ylabel="validation error (%)", ylim=(0, 10))
    error.legend(frameon=False, fontsize=7.5)
    angle.axhline(90, color="grey", linestyle=":")
    angle.text(0.97, 91.5, "unrelated", transform=angle.get_yaxis_transform(), ha="right", color="grey", fontsize=8)
    angle.set(xlabel="presentations", ylabel="angle between $B$ and $W^T$ (degrees)", ylim=(30, 100))
    for panel in (error, angle):
        panel.spines[["top", "right"]].set_visible(False)
    FIGURE.parent.mkdir(exist_ok=True)
    figure.savefig(FIGURE, dpi=150)


def _validation(results: list[bioFA.Result]) -> tuple[np.ndarray, np.ndarray]:
    tables = [[row for row in r.evaluations if row["split"] == "validation"] for r in results]
    return np.array([row["presentation"] for row in tables[0]]), np.array([[row["error"] for row in t] for t in tables])


def _course(panel: Axes, at: np.ndarray, values: np.ndarray, scheme: str) -> None:
    panel.plot(at, values.T, color=COLOURS[scheme], linewidth=0.5, alpha=0.5)
    panel.plot(at, values.mean(axis=0), color=COLOURS[scheme], linewidth=2, label=LABELS[scheme])


def _circuit(panel: Axes) -> None:
    """Three populations and an error unit: what is fed forward in black, what is fed back in red."""
    places = {"input": (0.0, 0.0), "hidden": (1.1, 0.0), "output": (2.2, 0.0), "error": (2.2, 1.2)}
    arrows = (
        ("input", "hidden", "$W_0$", "black", (0, -0.28)),
        ("hidden", "output", "$W$", "black", (0, -0.28)),
        ("output", "error", "prediction", "0.4", (0.5, 0)),
        ("error", "hidden", "$B$: fixed,\nrandom", "tab:red", (-0.72, 0.2)),
    )
    for name, place in places.items():
        panel.add_patch(Circle(place, 0.29, facecolor="mistyrose" if name == "error" else "0.92", edgecolor="black"))
        panel.text(*place, name, ha="center", va="center", fontsize=7.5)
    for source, target, label, colour, aside in arrows:
        start, end = np.array(places[source]), np.array(places[target])
        along = (end - start) / np.linalg.norm(end - start)
        style = {"arrowstyle": "-|>", "color": colour, "linewidth": 1.5}
        panel.annotate("", end - 0.31 * along, start + 0.31 * along, arrowprops=style)
        middle = (start + end) / 2 + aside
        panel.text(*middle, label, ha="center", va="center", color=colour, fontsize=8)
    style = {"arrowstyle": "-|>", "color": "0.4", "linewidth": 1.5}
    panel.annotate("", (2.2, 1.51), (2.2, 1.95), arrowprops=style)
    panel.text(2.2, 2.0, "target", ha="center", va="bottom", color="0.4", fontsize=8)
    panel.set(xlim=(-0.35, 3.1), ylim=(-0.5, 2.3), aspect="equal")
    panel.axis("off")


if __name__ == "__main__":
    main()
