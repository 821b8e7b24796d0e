"""Fig. 3 of Lillicrap et al. (2014): the flow of the two weights of a 1-1-1 network, with trajectories.

    python examples/fig3_flow.py [FOLDER] [SEEDS]

With input, target and feedback weight 1, the weights W0 (input to hidden) and W (hidden to output) follow
dW0/dt = E, dW/dt = E W0 with E = 1 - W W0, along parabolas 2 W - W0^2 = const, to the hyperbola W W0 = 1: nearly
everywhere to the branch W > 0, where feedback and forward weight agree in sign; from W0 far below 0 to the branch W <
0. Each trajectory is a run of the model `minimal`.
   Writes fig3.png and fig3.pdf, and prints where the trajectories end and how far each strays from its parabola.
"""

import sys
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

import bioFA
from bioFA.show.style import BLUE, COLUMN, GREY, ORANGE, STYLE


@matplotlib.rc_context(STYLE)
def main(folder: Path, seeds: int) -> None:
    """Run, draw, print."""
    figure = Figure(figsize=(COLUMN, COLUMN))
    panel = figure.subplots()
    w0, w = np.meshgrid(np.linspace(-3, 3, 25), np.linspace(-3, 3, 25))
    error = 1 - w * w0
    panel.streamplot(w0, w, error, error * w0, color=GREY, linewidth=0.4, density=1.2, arrowsize=0.5)
    for side in (np.linspace(1 / 3, 3, 100), np.linspace(-3, -1 / 3, 100)):
        panel.plot(side, 1 / side, color="black", linewidth=0.8)
    ends, drift = [], []
    for seed in range(1, seeds + 1):
        result = bioFA.simulate(bioFA.load("minimal"), seed=seed)
        first = result.recording.arrays["hidden.r"][:, 0]
        second = result.recording.arrays["output.r"][:, 0] / first
        invariant = 2 * second - first**2
        ends.append(second[-1])
        drift.append(np.ptp(invariant))
        panel.plot(first, second, color=BLUE if second[-1] > 0 else ORANGE, linewidth=0.9)
        panel.plot(first[0], second[0], "o", color=BLUE if second[-1] > 0 else ORANGE, markersize=2)
    panel.set(
        xlabel="$W_0$, input to hidden", ylabel="$W$, hidden to output", xlim=(-3, 3), ylim=(-3, 3), aspect="equal"
    )
    ends = np.array(ends)
    print(
        f"{(ends > 0).sum()} of {seeds} trajectories end on the branch W > 0, {(ends < 0).sum()} on W < 0; 2 W - W0^2"
        f" strays by at most {max(drift):.2g}"
    )
    folder.mkdir(parents=True, exist_ok=True)
    for suffix in ("png", "pdf"):
        figure.savefig(folder / f"fig3.{suffix}", dpi=200)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "figures"), int(sys.argv[2]) if len(sys.argv) > 2 else 60)
