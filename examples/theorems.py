"""What Lillicrap et al. (2014) prove of linear networks, and the signs that feedback gives: four panels.

    python examples/theorems.py [FOLDER] [SEEDS]

With y = W A x, E = T - W A and white inputs, small steps follow dW/dt = E A', dA/dt = B E.
    a  Theorem 1: from W = A = 0 feedback alignment drives E to 0, and backpropagation never leaves 0. So that W B
       becomes positive definite in its symmetric part, e' W B e > 0: whatever the error, what is fed back helps.
    b  The quantity B W + W' B' - A A' of its proof is constant; what drifts in steps of finite size halves with the
       step.
    c  Theorem 2: with one pattern, from 0, what is fed back points where pseudo-backpropagation points: the angle is 0.
    d  The task of Fig. 1: how many forward weights have the sign of the feedback weight that goes the other way.
Inputs of a and b are sqrt(n) e_1, ..., sqrt(n) e_n in turn, exactly white over one round.
Writes theorems.png and theorems.pdf, prints medians over seeds (8).
"""

import sys
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

import bioFA
from bioFA.analysis.alignment import angles
from bioFA.runs.result import Result
from bioFA.show.style import BLUE, GREEN, GREY, ORANGE, PAGE, STYLE

SIZES = (30, 20, 10)
ZERO = {"name": "constant", "value": 0.0}
LEAST = 1e-7
"""Degrees, about the smallest angle that float64 can tell from 0."""


def run(scheme: str, seed: int, rate: float, presentations: int, **changes: Any) -> Result:
    """The linear network on white inputs, from zero weights unless they are given."""
    rates = {f"circuit.schemes.{scheme}.{rule}.learning_rate": rate for rule in ("rule", "readout_rule")}
    white = {
        "task.examples": SIZES[0],
        "task.test_examples": SIZES[0],
        "task.inputs": {"name": "identity", "scale": SIZES[0] ** 0.5},
    }
    fixed = {
        "circuit.weights": ZERO,
        "protocol.epochs": -(-presentations // SIZES[0]),
        "protocol.presentations": presentations,
        "protocol.snapshots": 100,
    }
    return bioFA.simulate(bioFA.load("linear", {**rates, **white, **fixed, **changes}).with_scheme(scheme), seed=seed)


def matrices(result: Result) -> list[np.ndarray]:
    """A, W and B over the snapshots."""
    names = ("input_to_hidden", "hidden_to_output", "mismatch_to_hidden")
    return [result.snapshots[f"{name}.w"] for name in names]


def error_of_the_map(result: Result, target: np.ndarray) -> np.ndarray:
    """|T - W A|^2 / |T|^2 at every snapshot."""
    hidden, forward = (result.snapshots[f"{name}.w"] for name in ("input_to_hidden", "hidden_to_output"))
    return np.sum((target - forward @ hidden) ** 2, axis=(1, 2)) / np.sum(target**2)


def drift(seed: int, rate: float) -> np.ndarray:
    """Largest change of B W + W' B' - A A' since the beginning,
    relative to its largest entry at the end of learning."""
    result = run(
        "fa", seed, rate, round(20 / rate), **{"circuit.weights": {"name": "uniform", "low": -0.1, "high": 0.1}}
    )
    hidden, forward, feedback = matrices(result)
    fed = feedback @ forward
    kept = fed + fed.swapaxes(1, 2) - hidden @ hidden.swapaxes(1, 2)
    return np.abs(kept - kept[0]).max(axis=(1, 2)) / np.abs(hidden[-1] @ hidden[-1].T).max()


def one_pattern(seed: int) -> np.ndarray:
    """Angle between B e and pinv(W) e for one pattern shown again and again, from zero weights,
    with eta_A = eta_W / x'x; NaN once e is rounding error."""
    first = bioFA.load(
        "linear", {"task.examples": 1, "protocol.epochs": 400, "protocol.snapshots": 400, "circuit.weights": ZERO}
    )
    x = bioFA.instance.draw(first, seed).data.train.inputs[0]
    rates = {
        "circuit.schemes.fa.readout_rule.learning_rate": 0.01,
        "circuit.schemes.fa.rule.learning_rate": 0.01 / float(x @ x),
    }
    result = bioFA.simulate(
        bioFA.load(
            "linear",
            {
                **rates,
                "task.examples": 1,
                "protocol.epochs": 400,
                "protocol.snapshots": 400,
                "circuit.weights": ZERO,
                "record.variables": ["mismatch.r"],
            },
        ),
        seed=seed,
    )
    _, forward, feedback = matrices(result)
    errors = result.recording.arrays["mismatch.r"][2:]  # W first changes with the second presentation
    pseudo = np.einsum("kij,kj->ki", np.array([np.linalg.pinv(w, rcond=1e-9) for w in forward[2:-1]]), errors)
    size = np.linalg.norm(errors, axis=1)
    return np.where(size > 1e-9 * size[0], angles(errors @ feedback[0].T, pseudo), np.nan)


@matplotlib.rc_context(STYLE)
def main(folder: Path, seeds: int) -> None:
    """Run, draw, print."""
    figure = Figure(figsize=(PAGE, 4.6))
    (theorem, kept), (pattern, signs) = figure.subplots(2, 2)
    every = range(1, seeds + 1)
    for scheme, colour in (("fa", BLUE), ("bp", ORANGE)):
        results = [run(scheme, seed, 1e-3, 15_000) for seed in every]
        targets = [
            bioFA.instance.draw(result.experiment, result.seed).data.train.targets.T / SIZES[0] ** 0.5
            for result in results
        ]
        rows = np.array([error_of_the_map(result, target) for result, target in zip(results, targets, strict=True)])
        theorem.plot(results[0].snapshots_at, np.median(rows, axis=0), color=colour, label=scheme)
        print(
            f"from zero, {scheme}: |T - WA|^2 / |T|^2 ends at {np.median(rows[:, -1]):.2g} ({rows[:, -1].min():.2g} to"
            f" {rows[:, -1].max():.2g})"
        )
        if scheme == "fa":
            smallest = [
                np.linalg.eigvalsh(w @ b + (w @ b).T)[0] / 2
                for _, w, b in ([m[-1] for m in matrices(result)] for result in results)
            ]
            print(
                f"            smallest eigenvalue of the symmetric part of W B: {np.median(smallest):.2g}"
                f" ({min(smallest):.2g} to {max(smallest):.2g})"
            )
    theorem.set(yscale="log", xlabel="presentation", ylabel="$|T - WA|^2 / |T|^2$", title="a  from zero weights")
    theorem.legend()
    ends = []
    for rate, colour in ((2e-3, GREY), (1e-3, BLUE), (5e-4, GREEN)):
        rows = np.array([drift(seed, rate) for seed in every])
        ends.append(np.median(rows[:, -1]))
        kept.plot(np.linspace(0, 20, rows.shape[1]), np.median(rows, axis=0), color=colour, label=f"rate {rate:g}")
    print(
        f"drift of BW + W'B' - AA' at rates 2e-3, 1e-3, 5e-4: {ends[0]:.2g}, {ends[1]:.2g}, {ends[2]:.2g} of the"
        " largest entry of AA'"
    )
    kept.set(
        xlabel="rate x presentations", ylabel="drift of $BW + W'B' - AA'$", title="b  what is conserved", ylim=(0, None)
    )
    kept.legend()
    found = np.array([one_pattern(seed) for seed in every])
    for row in found:
        pattern.plot(np.maximum(row, LEAST), color=BLUE, alpha=0.5, linewidth=0.6)
    pattern.axhline(90, color=GREY, linewidth=0.6)
    pattern.set(
        xlabel="presentation",
        ylabel="angle (deg)",
        yscale="log",
        ylim=(LEAST, 300),
        title="c  one pattern: $B e$ and pinv($W$) $e$",
    )
    print(f"one pattern: the angle between B e and pinv(W) e is at most {np.nanmax(found):.2g} deg")
    results = [bioFA.simulate(bioFA.load("linear"), seed=seed) for seed in every]
    share = np.array(
        [[np.mean(np.sign(w) == np.sign(b.T)) for _, w, b in zip(*matrices(result), strict=True)] for result in results]
    )
    for row in share:
        signs.plot(results[0].snapshots_at, 100 * row, color=BLUE, alpha=0.25, linewidth=0.6)
    signs.plot(results[0].snapshots_at, 100 * np.median(share, axis=0), color=BLUE)
    signs.axhline(50, color=GREY, linewidth=0.6)
    signs.set(xlabel="presentation", ylabel="signs that agree (%)", title="d  sign of $W$ and of $B'$", ylim=(0, 100))
    print(
        f"signs of W and B' that agree: {np.median(share[:, 0]):.0%} before, {np.median(share[:, -1]):.0%} after"
        f" ({share[:, -1].min():.0%} to {share[:, -1].max():.0%})"
    )
    folder.mkdir(parents=True, exist_ok=True)
    for suffix in ("png", "pdf"):
        figure.savefig(folder / f"theorems.{suffix}", dpi=200)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "figures"), int(sys.argv[2]) if len(sys.argv) > 2 else 8)
