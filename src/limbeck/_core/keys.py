"""One whole number a row, equal for equal rows."""

from __future__ import annotations

import numpy as np

__all__ = ["row_keys"]

CHUNK = 2**22
"""So many numbers are mixed at a time."""


def row_keys(values: np.ndarray) -> np.ndarray:
    """One 64-bit key a row ``(n,)`` of a matrix ``(n, d)``; equal rows have equal keys, so a new key is a new row."""
    n, d = values.shape
    odd = np.random.default_rng(0).integers(2**63, size=d, dtype=np.uint64) * 2 + 1
    keys = np.empty(n, dtype=np.uint64)
    step = max(1, CHUNK // max(1, d))
    for start in range(0, n, step):
        part = np.ascontiguousarray(values[start : start + step], dtype=np.float64) + 0.0
        words = part.view(np.uint64)
        mixed = (words ^ (words >> np.uint64(29))) * odd
        keys[start : start + step] = (mixed ^ (mixed >> np.uint64(32))).sum(axis=1, dtype=np.uint64)
    return keys
