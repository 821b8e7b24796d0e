"""NumPy by someone who minds: products by `@`, rank-1 updates in place by BLAS `dger`/`sger`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import scipy
from scipy.linalg import blas

from benchmarks.case import Case
from benchmarks.serve import Peer, Weights, kernels, loop, serve


def prepare(case: Case, precision: str, options: list[str], scratch: Path) -> Peer:
    """Weights are C-ordered; BLAS sees their transposes, which are in its order."""
    ger = {"float64": blas.dger, "float32": blas.sger}[precision]
    inputs, targets, feedback = (array.astype(precision) for array in (case.inputs, case.targets, case.feedback))
    logistic, rate = case.activation == "logistic", case.rate

    def learn(weights: Weights, presentations: int) -> None:
        w0, w1 = weights
        for k in range(presentations):
            x, t = inputs[k % len(inputs)], targets[k % len(targets)]
            h, y = w0 @ x, None
            if logistic:
                h = 1 / (1 + np.exp(-h))
                y = 1 / (1 + np.exp(-(w1 @ h)))
            else:
                y = w1 @ h
            e = t - y
            delta = feedback @ e
            if logistic:
                delta *= h * (1 - h)
            ger(rate, h, e, a=w1.T, overwrite_x=0, overwrite_y=0, overwrite_a=1)
            ger(rate, x, delta, a=w0.T, overwrite_x=0, overwrite_y=0, overwrite_a=1)

    def start() -> Weights:
        return np.array(case.w0, precision, order="C"), np.array(case.w1, precision, order="C")

    about = {"numpy": np.__version__, "scipy": scipy.__version__}
    return Peer(loop(start, learn), about, note=f"OpenBLAS kernels for {kernels() or 'no processor that it names'}")


if __name__ == "__main__":
    serve(prepare)
