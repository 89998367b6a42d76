"""Which rows have come before, by their keys: 16 bytes a row."""

from __future__ import annotations

import numpy as np

__all__ = ["Known"]


class Known:
    """The place of every different row so far, by its key; sorted runs that are merged as they grow."""

    def __init__(self) -> None:
        self._runs: list[tuple[np.ndarray, np.ndarray]] = []

    def find(self, keys: np.ndarray) -> np.ndarray:
        """The place of each key, -1 where it is new."""
        out = np.full(len(keys), -1, dtype=np.int64)
        for known, places in self._runs:
            at = np.minimum(np.searchsorted(known, keys), len(known) - 1)
            hit = known[at] == keys
            out[hit] = places[at[hit]]
        return out

    def add(self, keys: np.ndarray, places: np.ndarray) -> None:
        """Remember new keys, each once."""
        while self._runs and len(self._runs[-1][0]) <= 2 * len(keys):
            old, old_places = self._runs.pop()
            keys, places = np.concatenate([old, keys]), np.concatenate([old_places, places])
        if len(keys):
            order = np.argsort(keys, kind="stable")
            self._runs.append((keys[order], places[order]))
