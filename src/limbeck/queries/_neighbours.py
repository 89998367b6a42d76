"""The distance of MUNGE and the nearest rows under it: numbers scaled to [0, 1], levels counted where they differ.

Source
------
Bucila2006: Euclidean distance over continuous attributes that are scaled to [0, 1], plus Hamming
distance over nominal ones; the two are added.

Symbols
-------
e, e' -> a row and its partner.

Departures
----------
A constant column is scaled by 1. Ordinal columns are levels: they are counted, as nominal ones. Where several rows
are equally near, tables with levels take one of them at random (a single one would become everybody's partner),
tables of numbers the first found.

Checked
-------
Equal to a loop over all pairs of rows.

Cost
----
All numbers and at most `TREE_COLUMNS` columns: a KD-tree, O(n log n). Otherwise chunks of a matrix product, O(n^2 d)
operations and `CHUNK` numbers of memory; a column with levels adds one comparison of n^2 bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from limbeck._core.tables import Table

__all__ = ["Space", "nearest_distance", "nearest_other"]

TREE_COLUMNS = 12
"""Up to here a KD-tree beat the matrix product on every table tried (8 to 48 columns, 8,000 to 20,000 rows)."""

CHUNK = 500_000
"""Distances held at once: 4 MB."""


@dataclass(frozen=True)
class Space:
    """The space in which rows of one table are near or far: which columns are numbers, and how they are scaled."""

    numbers: np.ndarray
    levels: np.ndarray
    low: np.ndarray
    span: np.ndarray

    @classmethod
    def of(cls, table: Table) -> Space:
        """The space of a table, scaled by its own range."""
        is_level = np.array([table.schema.has_levels(j) for j in range(len(table.schema))])
        numbers = np.flatnonzero(~is_level)
        low = table.values[:, numbers].min(axis=0)
        half = table.values[:, numbers].max(axis=0) / 2 - low / 2  # halves: a range can exceed the greatest float
        return cls(numbers, np.flatnonzero(is_level), low, np.where(half > 0, half, 0.5))

    def scaled(self, values: np.ndarray) -> np.ndarray:
        """The number columns ``(n, numbers)``, scaled so that the table's own range is [0, 1]."""
        return (values[:, self.numbers] / 2 - self.low / 2) / self.span

    def codes(self, values: np.ndarray) -> np.ndarray:
        """The columns with levels ``(columns, n)``, one contiguous row of small whole numbers each."""
        codes = values[:, self.levels].T.astype(np.uint16)
        return np.ascontiguousarray(codes.astype(np.uint8) if codes.max(initial=0) < 256 else codes)


def nearest_other(space: Space, values: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The position ``(n,)`` of each row's closest other row, and its distance ``(n,)``. Needs at least two rows."""
    scaled = space.scaled(values)
    if _by_tree(space):
        return _tree_other(scaled)
    codes = space.codes(values)
    n = len(values)
    partner, distance = np.empty(n, dtype=np.int64), np.empty(n)
    for a, b in _chunks(n, n):
        D = _distances(scaled[a:b], codes[:, a:b], scaled, codes)
        rows = np.arange(b - a)
        D[rows, np.arange(a, b)] = np.inf
        partner[a:b] = _argmin_at_random(D, rng) if len(codes) else D.argmin(axis=1)
        distance[a:b] = D[rows, partner[a:b]]
    return partner, distance if len(codes) else np.sqrt(np.maximum(distance, 0.0))


def nearest_distance(space: Space, queries: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The distance ``(m,)`` from each of `queries` to the nearest of `values`."""
    scaled, asked = space.scaled(values), space.scaled(queries)
    if _by_tree(space):
        from scipy.spatial import cKDTree

        return np.asarray(cKDTree(scaled).query(asked)[0])
    codes, asked_codes = space.codes(values), space.codes(queries)
    out = np.empty(len(queries))
    for a, b in _chunks(len(queries), len(values)):
        out[a:b] = _distances(asked[a:b], asked_codes[:, a:b], scaled, codes).min(axis=1)
    return out if len(codes) else np.sqrt(np.maximum(out, 0.0))


def _by_tree(space: Space) -> bool:
    return len(space.levels) == 0 and len(space.numbers) <= TREE_COLUMNS


def _chunks(rows: int, width: int) -> list[tuple[int, int]]:
    step = max(1, CHUNK // width)
    return [(a, min(a + step, rows)) for a in range(0, rows, step)]


def _tree_other(scaled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    from scipy.spatial import cKDTree

    distance, index = cKDTree(scaled).query(scaled, k=2)
    # Among rows that are all equal the tree may return two others and not the row itself: then the first will do.
    place = (index[:, 0] == np.arange(len(scaled))).astype(np.int64)
    rows = np.arange(len(scaled))
    return index[rows, place].astype(np.int64), distance[rows, place]


def _distances(A: np.ndarray, a_codes: np.ndarray, B: np.ndarray, b_codes: np.ndarray) -> np.ndarray:
    """Distances ``(a, b)``, numbers plus levels that differ; where there are no levels, distances *squared*."""
    # |a - b|^2 = a.a - 2 a.b + b.b, as one matrix product of widened rows.
    wide_a = np.column_stack([-2.0 * A, (A * A).sum(axis=1), np.ones(len(A))])
    wide_b = np.column_stack([B, np.ones(len(B)), (B * B).sum(axis=1)])
    D = wide_a @ wide_b.T
    if not len(a_codes):
        return D
    np.sqrt(np.maximum(D, 0.0, out=D), out=D)
    differing = np.zeros(D.shape, dtype=np.uint8 if len(a_codes) < 256 else np.uint16)
    unequal = np.empty(D.shape, dtype=bool)
    for mine, theirs in zip(a_codes, b_codes, strict=True):
        np.not_equal(mine[:, None], theirs[None, :], out=unequal)
        differing += unequal.view(np.uint8)
    D += differing
    return D


def _argmin_at_random(D: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The column of each row's least entry; among equal ones (to 1e-9) any, with equal chances."""
    nearest = D.min(axis=1, keepdims=True)
    least = nearest + 1e-9 >= D
    count = np.count_nonzero(least, axis=1)
    at = np.flatnonzero(least)
    chosen = np.cumsum(count) - count + (rng.random(len(D)) * count).astype(np.int64)
    return at[chosen] % D.shape[1]
