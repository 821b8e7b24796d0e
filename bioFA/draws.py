"""Uniform random numbers by counter: each is a hash of what it is for, so none has to be remembered.

    key             = the first 64 bits of SHA-256("seed/purpose")
    number(k, n, i) = mix(mix(mix(key + (k + 1) G) + (n + 1) G) + (i + 1) G) / 2^64

for presentation k, step n of the presentation and neuron i; G is the golden ratio in 64 bits and
`mix` the finaliser of splitmix64, all modulo 2^64. The same integer arithmetic stands in
`brian/biofa_runtime.h`. Any stretch of a run, in any consumer, so sees the same numbers.

Source: Steele, Lea & Flood (2014), Fast splittable pseudorandom number generators, OOPSLA (splitmix64).
"""

from __future__ import annotations

import hashlib

import numpy as np

Array = np.ndarray
GOLDEN = 0x9E3779B97F4A7C15
_MASK = 2**64 - 1


def key(seed: int, purpose: str) -> int:
    """The 64 bits that one purpose's numbers follow from, under one seed."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{purpose}".encode()).digest()[:8], "big")


def uniform(key: int, presentation: int, step: int, size: int) -> Array:
    """Numbers in [0, 1) with 53 random bits, `(size,)`: one for each neuron in one step."""
    place = key
    for count in (presentation, step):
        place = int(_mix(np.array([(place + (count + 1) * GOLDEN) & _MASK], dtype=np.uint64))[0])
    counters = np.uint64(place) + np.arange(1, size + 1, dtype=np.uint64) * np.uint64(GOLDEN)
    return (_mix(counters) >> np.uint64(11)) * 2.0**-53


def _mix(z: Array) -> Array:
    """The finaliser of splitmix64: every bit of the result hangs on every bit of `z` (uint64, modulo 2^64)."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
