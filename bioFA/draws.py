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


def key(seed: int, purpose: str) -> int:
    """The 64 bits that one purpose's numbers follow from, under one seed."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{purpose}".encode()).digest()[:8], "big")


def uniform(key: int, presentation: int, step: int, size: int) -> Array:
    """Numbers in [0, 1) with 53 random bits, `(size,)`: one for each neuron in one step."""
    return number(key, presentation, step, np.arange(size))


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
