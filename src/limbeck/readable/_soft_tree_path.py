"""The most probable path of each row through a complete tree of filters.

Source
------
Frosst2017: the leaf of greatest path probability is the one that explains a row.

Departures
----------
Found without visiting every node: down the more probable sides first, then back into a side only where the product so
far says that a better leaf may be there.

Checked
-------
Against the greatest of all leaves' probabilities, on random trees.

Cost
----
For many rows with numba (extra ``fast``): little more than `depth` filters a row, each read where it lies. Without it,
or for few rows: all filters, one matrix product.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["best_below", "compiled_walk", "path_leaves"]

COMPILE_FROM = 4e9
"""From so many multiplications (rows x nodes x inputs) on, compiling pays."""
CHUNK = 4_096
CERTAIN = 40.0
"""Scores beyond this leave the other side less than 1e-17."""


def path_leaves(X: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """The leaf ``(n,)`` of greatest path probability for each row of `X` ``(n, m)``; `weight` is ``(nodes, m)``."""
    walk = compiled_walk() if len(X) * float(weight.size) >= COMPILE_FROM else None
    if walk is not None:
        order = np.ascontiguousarray
        return walk(order(X), order(weight, dtype=X.dtype), order(bias, dtype=X.dtype))
    out = np.empty(len(X), dtype=np.int64)
    for start in range(0, len(X), CHUNK):
        out[start : start + CHUNK] = _walk(X[start : start + CHUNK] @ weight.T + bias)
    return out


def best_below(scores: np.ndarray) -> np.ndarray:
    """The log-probability of the best way on from every node, ``(n, 2 nodes + 1)``; 0 at leaves.

    With ``left`` and ``right`` the logarithms of a gate's two probabilities, it is the greater of ``left`` and
    ``right`` plus the best below that child. As ``right - left`` is the score, the best way from a node goes right
    where ``score + best[right child] - best[left child] > 0``.
    """
    n, nodes = scores.shape
    best = np.zeros((n, 2 * nodes + 1))
    width = (nodes + 1) // 2
    while width:
        here = slice(width - 1, 2 * width - 1)
        below = best[:, 2 * width - 1 : 4 * width - 1]
        right = -np.logaddexp(0.0, -scores[:, here])
        best[:, here] = np.maximum(right - scores[:, here] + below[:, 0::2], right + below[:, 1::2])
        width //= 2
    return best


def _walk(scores: np.ndarray) -> np.ndarray:
    best = best_below(scores)
    node = np.zeros(len(scores), dtype=np.int64)
    rows = np.arange(len(scores))
    for _ in range((scores.shape[1] + 1).bit_length() - 1):
        ahead = scores[rows, node] + best[rows, 2 * node + 2] - best[rows, 2 * node + 1]
        node = 2 * node + 1 + (ahead > 0)
    return node


@functools.cache
def compiled_walk() -> Callable[..., np.ndarray] | None:
    """The walk in machine code, or None where numba is not installed."""
    try:
        import numba
    except ImportError:
        return None

    def walk(X: Any, weight: Any, bias: Any) -> Any:
        nodes, width = weight.shape
        out = np.empty(len(X), dtype=np.int64)
        waiting = np.empty(64, dtype=np.int64)
        chances = np.empty(64, dtype=np.float64)
        for row in range(len(X)):
            found, leaf, count = -np.inf, 0, 1
            waiting[0], chances[0] = 0, 0.0
            while count:
                count -= 1
                node, chance = waiting[count], chances[count]
                while node < nodes and chance > found:
                    score = bias[node]
                    for j in range(width):
                        score += weight[node, j] * X[row, j]
                    size = abs(score)
                    more = 2 if score > 0 else 1
                    if size < CERTAIN:
                        chance -= np.log1p(np.exp(-size))
                    if chance - size > found:
                        waiting[count], chances[count] = 2 * node + 3 - more, chance - size
                        count += 1
                    node = 2 * node + more
                if node >= nodes and chance > found:
                    found, leaf = chance, node
            out[row] = leaf
        return out

    compiled: Callable[..., np.ndarray] = numba.njit(fastmath={"reassoc", "contract"}, nogil=True)(walk)
    return compiled
