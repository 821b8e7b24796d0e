"""What a delay on the feedback does to feedback alignment: the angle and the error as functions of the delay.

Digits in spikes (the model `feedback_delay`), five seeds, delays of 0 to 200 ms, with and without a reset between
images. Everything but the delay stays as it is: no trace is lengthened to bridge it, and no rate is searched anew.

    python examples/feedback_delay.py           writes results/feedback_delay.png, .csv; some ten minutes on one core

"""

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import pandas as pd
from tqdm import tqdm

import bioFA

DELAYS = (0, 5, 10, 20, 50, 100, 150, 200)
SEEDS = (1, 2, 3, 4, 5)


def table(delays: Sequence[int] = DELAYS, seeds: Sequence[int] = SEEDS) -> pd.DataFrame:
    """One row a run: delay in ms, reset, seed, test error (a fraction), angle in degrees."""
    rows = []
    for seed, reset, delay in tqdm([(s, r, d) for s in seeds for r in (True, False) for d in delays]):
        changes = {"constants.delay": f"{delay} ms", "protocol.reset": reset}
        result = bioFA.simulate(bioFA.load("feedback_delay", changes), seed)
        angle = result.alignment_course["mismatch_to_hidden"]["alignment"][-1]
        rows.append((seed, reset, delay, result.metrics["validation_error"], result.metrics["test_error"], angle))
    return pd.DataFrame(rows, columns=["seed", "reset", "delay", "validation_error", "test_error", "angle"])


def draw(rows: pd.DataFrame) -> plt.Figure:
    """Angle and error over the delay, every seed a thin line, the median a thick one."""
    figure, panels = plt.subplots(1, 2, figsize=(8.0, 3.2), layout="constrained")
    for measure, scale, panel in (("angle", 1, panels[0]), ("test_error", 100, panels[1])):
        for reset, colour, label in ((True, "tab:blue", "reset between images"), (False, "tab:red", "no reset")):
            lines = scale * rows[rows["reset"] == reset].pivot(index="delay", columns="seed", values=measure)
            panel.plot(lines.index, lines, color=colour, linewidth=0.5, alpha=0.6)
            panel.plot(lines.index, lines.median(axis="columns"), color=colour, linewidth=2, marker="o", label=label)
        panel.set(xlabel="delay of the feedback (ms)")
        panel.spines[["top", "right"]].set_visible(False)
        panel.axvline(100, color="0.7", linestyle=":", zorder=0)
        panel.text(102, 0.02, "one image", color="0.5", fontsize=8, transform=panel.get_xaxis_transform())
    panels[0].axhline(90, color="0.7", linestyle=":", zorder=0)
    panels[0].set(ylabel="angle between $B$ and $W^T$ (degrees)")
    panels[1].set(ylabel="test error (%)", ylim=(0, None))
    panels[0].legend(frameon=False)
    return figure


def main(folder: Path, delays: Sequence[int] = DELAYS, seeds: Sequence[int] = SEEDS) -> None:
    """Run all, print the medians, and write table and figure."""
    folder.mkdir(exist_ok=True)
    found = table(delays, seeds)
    found.to_csv(folder / "feedback_delay.csv", index=False)
    print(found.groupby(["reset", "delay"])[["angle", "test_error"]].median().round(3))
    draw(found).savefig(folder / "feedback_delay.png", dpi=150)


if __name__ == "__main__":
    main(Path("results"))
