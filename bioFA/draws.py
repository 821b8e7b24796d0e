"""Uniform random numbers by counter: each is a hash of what it is for, so none has to be remembered.

    key             = the first 64 bits of SHA-256("seed/purpose")
    number(k, n, i) = mix(mix(mix(key + (k + 1) G) + (n + 1) G) + (i + 1) G) / 2^64

for presentation k, step n of the presentation and neuron i; G is the golden ratio in 64 bits and
`mix` the finaliser of splitmix64, all modulo 2^64. The same integer arithmetic stands in
`consumers/brian/biofa_draws.h`. Any segment of a run, in any consumer, so sees the same numbers.
Exported scripts carry the text of `mix` and `number`, which therefore name nothing else of this file.

Source: Steele, Lea & Flood (2014), Fast splittable pseudorandom number generators, OOPSLA (splitmix64).
"""

from __future__ import annotations

import hashlib

import numpy as np

Array = np.ndarray
SECOND = 0x5851F42D4C957F2D
"""What a key is changed by for the second of two numbers."""
LARGEST_MEAN = 500.0
"""Of a Poisson number: beyond, exp(-mean) is too small."""


def key(seed: int, purpose: str) -> int:
    """The 64 bits that one purpose's numbers follow from, under one seed."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{purpose}".encode()).digest()[:8], "big")


def uniform(key: int, presentation: int, step: int, size: int) -> Array:
    """Numbers in [0, 1) with 53 random bits, `(size,)`: one for each neuron in one step."""
    return number(key, presentation, step, np.arange(size))


def normal(key: int, presentation: int, step: int, size: int) -> Array:
    """Normal numbers, mean 0 and variance 1, `(size,)`: sqrt(-2 ln(1 - u)) cos(2 pi v) of two uniform ones.

    Source: Box & Muller (1958), Ann. Math. Stat. 29:610.
    """
    u, v = (uniform(one, presentation, step, size) for one in (key, key ^ SECOND))
    radius: Array = np.sqrt(-2.0 * np.log1p(-u))
    return radius * np.cos(2.0 * np.pi * v)


def poisson(u: Array, mean: Array) -> Array:
    """Poisson numbers from uniform ones, by inversion: the smallest k with u < P(N <= k).

    Never more than mean + 12 sqrt(mean) + 30.

    Args:
        u: uniform on [0, 1), `(size,)`.
        mean: `(size,)` or `(1,)`, at most `LARGEST_MEAN`.

    Source: Devroye (1986), Non-uniform random variate generation, section III.2 (sequential search).
    """
    mean = np.broadcast_to(np.asarray(mean, dtype=float), u.shape)
    number = np.zeros(u.shape)
    share = np.exp(-mean)
    below = share.copy()
    last = np.floor(mean + 12.0 * np.sqrt(mean) + 30.0)
    waiting = np.flatnonzero(u >= below)
    while len(waiting):
        number[waiting] += 1.0
        share[waiting] = share[waiting] * mean[waiting] / number[waiting]
        below[waiting] += share[waiting]
        waiting = waiting[(u[waiting] >= below[waiting]) & (number[waiting] < last[waiting])]
    return number


def mix(z: np.ndarray) -> np.ndarray:
    """The finaliser of splitmix64: every bit of the result hangs on every bit of `z` (uint64, modulo 2^64)."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def number(key: int, presentation: np.ndarray | int, step: np.ndarray | int, neuron: np.ndarray) -> np.ndarray:
    """A number in [0, 1) for each neuron: a hash of what it is for, so that no state has to be remembered."""
    place = np.array([key], dtype=np.uint64)
    for count in (presentation, step, neuron):
        place = mix(place + np.uint64(0x9E3779B97F4A7C15) * (np.atleast_1d(count).astype(np.uint64) + np.uint64(1)))
    return (place >> np.uint64(11)) * 2.0**-53
