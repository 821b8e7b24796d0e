"""JAX on the CPU: one compiled loop over presentations (`fori_loop`), or over batches, no autograd, one thread."""

from __future__ import annotations

import os
from pathlib import Path

import jax
import jax.numpy as jnp
from jax import lax

from benchmarks.case import Case
from benchmarks.serve import Peer, Weights, serve, time

Matrices = tuple[jax.Array, jax.Array]


def prepare(case: Case, precision: str, options: list[str], scratch: Path) -> Peer:
    """Arrays of the case, and the compiled loop over them; a presentation is a batch of one where none is asked for."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # XLA's threads share one core
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    jax.config.update("jax_enable_x64", precision == "float64")
    kind = jnp.dtype(precision)
    inputs, targets, feedback = (jnp.asarray(array, kind) for array in (case.inputs, case.targets, case.feedback))
    logistic, rate, rows, batch = case.activation == "logistic", case.rate, len(case.inputs), case.batch

    def one(k: int, weights: Matrices) -> Matrices:
        w0, w1 = weights
        x, t = inputs[k % rows], targets[k % rows]
        h = jax.nn.sigmoid(w0 @ x) if logistic else w0 @ x
        y = jax.nn.sigmoid(w1 @ h) if logistic else w1 @ h
        e = t - y
        delta = feedback @ e * (h * (1 - h) if logistic else 1)
        return w0 + rate * jnp.outer(delta, x), w1 + rate * jnp.outer(e, h)

    def several(k: int, weights: Matrices) -> Matrices:
        w0, w1 = weights
        first = k * batch % rows  # rows are a multiple of the batch
        x, t = (lax.dynamic_slice_in_dim(array, first, batch) for array in (inputs, targets))
        h = jax.nn.sigmoid(x @ w0.T) if logistic else x @ w0.T
        y = jax.nn.sigmoid(h @ w1.T) if logistic else h @ w1.T
        e = t - y
        delta = e @ feedback.T * (h * (1 - h) if logistic else 1)
        return w0 + rate * delta.T @ x, w1 + rate * e.T @ h

    learn = jax.jit(lambda count, weights: lax.fori_loop(0, count, several if batch > 1 else one, weights))
    start = (jnp.asarray(case.w0, kind), jnp.asarray(case.w1, kind))
    jax.block_until_ready(learn(1, start))  # compiled before it is timed

    def run(presentations: int) -> tuple[float, Weights]:
        began = time.perf_counter()
        w0, w1 = jax.block_until_ready(learn(presentations // batch, start))
        return time.perf_counter() - began, (w0, w1)

    return Peer(run, {"jax": jax.__version__})


if __name__ == "__main__":
    serve(prepare)
