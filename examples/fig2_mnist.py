"""Fig. 2a, 2b and S1 of Lillicrap et al. (2014) from finished runs of the model `mnist`: nothing is trained here.

    biofa run mnist --scheme fa --seed 1 --precision float32 --out runs/fa1
    (and so on: bp, other seeds, shallow, mnist_sparse)
    python examples/fig2_mnist.py FOLDER RUN [RUN ...]        RUN: a folder that `biofa run --out` wrote

Error on training and test images at every snapshot, the feedback angle over learning, and the receptive fields of 100
hidden units (those of the first run of each condition, and of its initial weights). Runs of one model and scheme are
one condition: medians are drawn, with the range over seeds. Writes fig2.png, fig2.pdf, figS1.png and figS1.pdf, and
prints the last error and alignment of each condition, and what the first of its runs took to come below 2.1 % test
error. That time is the run's own, in proportion to presentations, without evaluations.
"""

import itertools
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

import bioFA
from bioFA.analysis.learning import error_rate, sliding_mean
from bioFA.instance import draw
from bioFA.runs.result import Result
from bioFA.show.style import BLUE, GREEN, GREY, ORANGE, PAGE, PURPLE, STYLE
from bioFA.tasks import Split

COLOURS = (BLUE, ORANGE, GREEN, PURPLE, GREY, "black")
FIELDS = 100
REACHED = 0.021
"""The paper's test error under feedback alignment."""


def errors(result: Result, split: Split, most: int = 10_000) -> np.ndarray:
    """Error rate at every snapshot, on the first `most` examples of a split."""
    inputs, labels = split.inputs[:most].astype(np.float32), split.labels[:most]
    circuit = result.experiment.circuit
    names = circuit.layer_names()
    found = []
    for k in range(len(result.snapshots_at)):
        rates = inputs
        for below, layer in itertools.pairwise(names):
            drive = rates @ result.snapshots[f"{below}_to_{layer}.w"][k].T.astype(np.float32)
            if circuit.biases:
                drive += result.snapshots[f"bias_to_{layer}.w"][k][:, 0].astype(np.float32)
            rates = (circuit.output if layer == names[-1] else circuit.hidden).r(drive)
        found.append(error_rate(labels, rates))
    return np.array(found)


def fields(matrix: np.ndarray) -> np.ndarray:
    """The first 100 receptive fields as one picture, each scaled to its own largest weight."""
    side = round(matrix.shape[1] ** 0.5)
    tiles = np.full((10 * (side + 2), 10 * (side + 2)), np.nan)
    for number, row in enumerate(matrix[:FIELDS]):
        top, left = (side + 2) * np.array(divmod(number, 10))
        tiles[top : top + side, left : left + side] = row.reshape(side, side) / np.abs(row).max()
    return tiles


@matplotlib.rc_context(STYLE)
def main(folder: Path, runs: Sequence[Path]) -> None:
    """Read, measure, draw, print."""
    conditions: dict[str, list[Result]] = defaultdict(list)
    for run in runs:
        result = bioFA.load_result(Path(run) / "result.h5")
        conditions[f"{result.experiment.name}, {result.experiment.scheme}"].append(result)
    first = next(iter(conditions.values()))[0]
    data = draw(first.experiment, first.seed).data
    figure = Figure(figsize=(PAGE, 2.8))
    left, right = figure.subplots(1, 2)
    pictures = {"initial": first.snapshots["input_to_hidden.w"][0]}
    for colour, (name, results) in zip(COLOURS, conditions.items(), strict=False):
        epochs = results[0].snapshots_at / len(data.train)
        test = np.array([errors(result, data.test) for result in results])
        train = np.array([errors(result, data.train) for result in results])
        left.fill_between(epochs, *(100 * np.percentile(test, (0, 100), axis=0)), color=colour, alpha=0.2, linewidth=0)
        left.plot(epochs, 100 * np.median(test, axis=0), "o-", color=colour, markersize=2, label=f"{name}, test")
        left.plot(epochs, 100 * np.median(train, axis=0), ":", color=colour, label=f"{name}, training (10,000 images)")
        line = (
            f"{name:20} n = {len(results)}: test {100 * np.median(test[:, -1]):.2f} % ({100 * test[:, -1].min():.2f} to"
            f" {100 * test[:, -1].max():.2f}), training {100 * np.median(train[:, -1]):.2f} %"
        )
        pathway = next(iter(results[0].feedback_angles), None)
        if pathway is not None:
            courses = np.array([sliding_mean(result.feedback_angles[pathway], 40) for result in results])
            right.plot(
                results[0].recording.at / len(data.train), np.nanmedian(courses, axis=0), color=colour, label=name
            )
            line += f"; B against W' {np.median([result.alignment[pathway] for result in results]):.0f} deg"
        below = np.flatnonzero(test[0] <= REACHED)
        if len(below):
            share = results[0].snapshots_at[below[0]] / results[0].presentations
            line += (
                f"; below {REACHED:.1%} after {results[0].snapshots_at[below[0]]} presentations,"
                f" {share * results[0].timing['run_s']:.0f} s of {results[0].timing['run_s']:.0f} s"
            )
        print(line, flush=True)
        pictures[name] = results[0].snapshots["input_to_hidden.w"][-1]
    left.set(xlabel="epoch", ylabel="misclassified (%)", ylim=(0, 12))
    left.legend()
    right.axhline(90, color=GREY, linewidth=0.6)
    right.set(xlabel="epoch", ylabel="angle between $Be$ and $W^{\\mathsf{T}}e$ (degrees)", ylim=(0, 120))
    right.legend()
    shown = Figure(figsize=(PAGE, PAGE / len(pictures) + 0.3))
    for panel, (name, matrix) in zip(np.atleast_1d(shown.subplots(1, len(pictures))), pictures.items(), strict=True):
        panel.imshow(fields(matrix), cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
        panel.set(title=name, xticks=[], yticks=[])
        panel.spines[:].set_visible(False)
    folder.mkdir(parents=True, exist_ok=True)
    for name, drawn in (("fig2", figure), ("figS1", shown)):
        for suffix in ("png", "pdf"):
            drawn.savefig(folder / f"{name}.{suffix}", dpi=200)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
