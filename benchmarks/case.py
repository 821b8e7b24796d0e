"""What every peer is given: one network, its weights, its data, as plain arrays in a folder.

    u = W0 x      h = phi(u)      y = phi(W1 h)      e = t - y
    W1 += eta e h'                W0 += eta (B e * phi'(u)) x'

One example at a time; presentation k shows row k modulo the number of rows. phi is `linear`
or `logistic`. With `spikes` in place of phi, neurons are leaky integrate-and-fire and a presentation lasts
`steps` steps of 1 ms: `inputs` has a row of zeros and ones for each step, `targets` one for each presentation
(`spikes.py` has the equations). With `batch`, changes are summed over so many presentations and made together; those of
a last batch that is not full are not made. Only NumPy is needed to read a case, so that a peer can live in any
environment.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

Array = np.ndarray
ARRAYS = ("inputs", "targets", "w0", "w1", "feedback")


@dataclass(frozen=True)
class Case:
    """Inputs `(n steps, n_in)`, targets `(n, n_out)`, weights `w0` `(n_hidden, n_in)`, `w1` `(n_out, n_hidden)`,
    `feedback` `(n_hidden, n_out)`."""

    name: str
    activation: str
    rate: float
    data: str
    inputs: Array
    targets: Array
    w0: Array
    w1: Array
    feedback: Array
    steps: int = 1
    batch: int = 1

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Input, hidden, output."""
        return self.w0.shape[1], self.w0.shape[0], self.w1.shape[0]

    @property
    def synapses(self) -> int:
        """All of them: plastic and feedback."""
        return self.w0.size + self.w1.size + self.feedback.size

    def write(self, folder: Path) -> None:
        """Write the case into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in ARRAYS:
            np.save(folder / f"{name}.npy", getattr(self, name))
        about = {
            "name": self.name,
            "activation": self.activation,
            "rate": self.rate,
            "data": self.data,
            "steps": self.steps,
        } | ({"batch": self.batch} if self.batch > 1 else {})  # older builds know none
        (folder / "case.json").write_text(json.dumps(about))

    @staticmethod
    def read(folder: Path) -> Case:
        """The case in a folder."""
        arrays = {name: np.load(folder / f"{name}.npy") for name in ARRAYS}
        return Case(**json.loads((folder / "case.json").read_text()), **arrays)
