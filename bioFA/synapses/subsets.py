"""Sets of different numbers, drawn evenly for many rows at once, and rows turned into columns: some at a time, so that
little more is held than what comes out."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

Array = np.ndarray
AT_ONCE = 2**20
"""So many numbers are sorted at once."""


def subsets(rng: np.random.Generator, counts: Array, size: int, forbidden: Array | None) -> Array:
    """For each row a set of different numbers below `size`, every set of that many with equal chance.

    Args:
        rng: where random numbers come from.
        counts: how many numbers each row has, `(rows,)`.
        size: of what they are drawn.
        forbidden: for each row the number that is not in it, `(rows,)`; None where all may be.

    Returns:
        The sets row by row, each ascending, `(sum of counts,)`, int32 where `size` fits.

    Numbers are drawn evenly; those that a row has already are drawn again until none is. What comes out does not prefer
    any number, so that all sets of a size are alike. Rows of more than half draw what they leave out.
    """
    available = size - (forbidden is not None)
    counts = np.asarray(counts, dtype=np.int64)
    leave = counts > available // 2
    found = _different(rng, np.where(leave, available - counts, counts), available)
    if leave.any():
        found = _complement(found, counts, leave, available)
    return found if forbidden is None else passing_over(found, counts, forbidden)


def passing_over(columns: Array, counts: Array, forbidden: Array) -> Array:
    """Numbers that leave out one, `forbidden[row]` in each row of `counts[row]`: those from it on are one more."""
    for rows, at in blocks(counts):
        columns[at] += columns[at] >= np.repeat(forbidden[rows], counts[rows])
    return columns


def blocks(counts: Array) -> Iterator[tuple[slice, slice]]:
    """Rows with about `AT_ONCE` numbers together, and where their numbers stand, in their order."""
    ends = np.cumsum(counts)
    row = 0
    while row < len(counts):
        begin = int(ends[row - 1]) if row else 0
        stop = max(int(np.searchsorted(ends, begin + AT_ONCE, side="right")), row + 1)
        yield slice(row, stop), slice(begin, int(ends[stop - 1]))
        row = stop


def transposed(columns: Array, counts: Array, size: int) -> tuple[Array, Array]:
    """The rows in which each number stands, number by number and each ascending, and for each number how often it does.

    Args:
        columns: numbers below `size`, row by row.
        counts: how many each row has, `(rows,)`.
        size: how many numbers there are.

    Returns:
        Rows `(sum of counts,)`, and how many there are of each number `(size,)`; int32.
    """
    from scipy import sparse

    first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)  # as the numbers are, or both are copied
    marks = np.ones(len(columns), dtype=np.int8)
    turned = sparse.csr_array((marks, columns, first), shape=(len(counts), size)).tocsc()
    return turned.indices.astype(np.int32, copy=False), np.diff(turned.indptr).astype(np.int32, copy=False)


def ordered(columns: Array, counts: Array, size: int) -> Array:
    """The same numbers, ascending in each row of `counts[row]`."""
    for rows, at in blocks(counts):
        columns[at] = np.sort(_keys(counts[rows], columns[at], size)) % size
    return columns


def _keys(counts: Array, columns: Array, size: int) -> Array:
    """Row times size plus number."""
    keys = np.repeat(np.arange(len(counts), dtype=np.int64) * size, counts)
    keys += columns
    return keys


def _different(rng: np.random.Generator, counts: Array, size: int) -> Array:
    """So many different numbers for each row, row by row and each ascending."""
    columns = np.empty(counts.sum(), dtype=np.int32 if size < 2**31 else np.int64)
    kept, length = np.zeros_like(counts), 0
    for rows, _ in blocks(counts):
        keys = _drawn_keys(rng, counts[rows], size)
        columns[length : length + len(keys)] = keys % size
        kept[rows] = np.bincount(keys // size, minlength=len(kept[rows]))
        length += len(keys)
    missing = counts - kept
    later = np.empty(0, dtype=np.int64)
    while missing.any():
        new = _drawn_keys(rng, missing, size)
        new = new[~(_held(columns, kept, new, size) | _holds(later, new))]
        missing = missing - np.bincount(new // size, minlength=len(counts))
        later = np.sort(np.concatenate([later, new]))
    if len(later):
        _insert(columns, kept, later, size)
    return columns


def _drawn_keys(rng: np.random.Generator, counts: Array, size: int) -> Array:
    """Row times size plus number, ascending and each once, of so many numbers a row, drawn evenly."""
    keys = _keys(counts, rng.integers(0, size, int(counts.sum())), size)
    keys.sort()
    return keys[np.diff(keys, prepend=-1) > 0]  # np.unique hashes, which takes a hundred times as long


def _held(columns: Array, counts: Array, wanted: Array, size: int) -> Array:
    """Which of some keys, ascending, the rows have."""
    found = np.empty(len(wanted), dtype=bool)
    for rows, at in blocks(counts):
        first, last = np.searchsorted(wanted, (rows.start * size, rows.stop * size))
        if first < last:
            own = _keys(counts[rows], columns[at], size)
            found[first:last] = _holds(own, wanted[first:last] - rows.start * size)
    return found


def _insert(columns: Array, counts: Array, keys: Array, size: int) -> None:
    """Put keys into their rows, of which `columns` holds `counts[row]` each at its beginning, the last rows first, so
    that nothing is written over that is still to be read."""
    end = len(columns)
    for rows, at in reversed(list(blocks(counts))):
        first, last = np.searchsorted(keys, (rows.start * size, rows.stop * size))
        own = _keys(counts[rows], columns[at], size)
        whole = np.sort(np.concatenate([own, keys[first:last] - rows.start * size]))
        columns[end - len(whole) : end] = whole % size
        end -= len(whole)


def _holds(keys: Array, wanted: Array) -> Array:
    """Which numbers stand in an ascending list."""
    if not len(keys):
        return np.zeros(len(wanted), dtype=bool)
    found: Array = keys[np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)] == wanted
    return found


def _complement(columns: Array, counts: Array, leave: Array, size: int) -> Array:
    """The same with those rows turned round that hold what is left out; `counts` are how many come out."""
    found = np.empty(counts.sum(), dtype=columns.dtype)
    here, there = (np.concatenate([[0], np.cumsum(c)]) for c in (np.where(leave, size - counts, counts), counts))
    for row in range(len(counts)):
        own = columns[here[row] : here[row + 1]]
        found[there[row] : there[row + 1]] = np.delete(np.arange(size), own) if leave[row] else own
    return found
