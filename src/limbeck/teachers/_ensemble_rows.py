"""What an ensemble is fitted and selected on: rows, targets and weights, checked and in an order of their own.

Rows of weight 0 are left out, whole weights become so many equal rows, and rows are sorted by a key: the ensemble does
not depend on the order of the rows, and a weight of 3 is exactly a row that comes three times. Equal rows fall on the
same side where rows are held out for selection.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.utils.validation import column_or_1d

from limbeck._core.errors import InputError
from limbeck._core.estimator_input import same_length
from limbeck._core.keys import row_keys

__all__ = ["TargetRows", "hold_out", "in_order", "read_values"]

MOST_REPEATS = 10
"""Whole weights become equal rows where these are at most so many times as many as were given."""


@dataclass(frozen=True)
class TargetRows:
    """Encoded rows with what they have to say.

    Attributes
    ----------
    values : array ``(n, d)`` of float64
        Numbers, and positions of levels.
    target : array ``(n,)``
        Positions of classes, or quantities.
    weights : array ``(n,)`` of float64, or None
        Positive; None where every row counts the same.
    """

    values: np.ndarray
    target: np.ndarray
    weights: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.values)

    def take(self, index: np.ndarray) -> TargetRows:
        """The rows at `index`."""
        weights = None if self.weights is None else self.weights[index]
        return replace(self, values=self.values[index], target=self.target[index], weights=weights)

    def shares(self) -> np.ndarray:
        """The weights ``(n,)``, summing to 1."""
        weights = np.ones(len(self)) if self.weights is None else self.weights
        return weights / weights.sum()


def read_values(y: Any, n: int) -> np.ndarray:
    """Quantities ``(n,)`` as float64, every one finite."""
    raw = np.asarray(y)
    if raw.ndim == 2 and raw.shape[1] > 1:
        raise InputError(f"y must have shape (n,): one quantity an ensemble; got {raw.shape}. Fit one for each column.")
    values = column_or_1d(raw, warn=True)
    same_length("y", len(values), n)
    try:
        values = values.astype(np.float64)
    except (TypeError, ValueError):
        raise InputError(
            f"y must hold numbers in regression; got {str(values[0])!r:.60} (dtype {values.dtype}). For labels use "
            "EnsembleSelection."
        ) from None
    bad = int((~np.isfinite(values)).sum())
    if bad:
        raise InputError(f"Input y contains NaN or infinity in {bad} of {n} rows. Drop those rows.")
    return values


def in_order(values: np.ndarray, target: np.ndarray, weights: np.ndarray) -> TargetRows:
    """The rows of positive weight in an order that does not depend on the one they come in.

    Whole weights become so many equal rows.
    """
    whole = bool((weights == np.rint(weights)).all()) and weights.sum() <= MOST_REPEATS * len(weights)
    index = np.repeat(np.arange(len(values)), weights.astype(np.int64)) if whole else np.flatnonzero(weights)
    keys = _keys(values, target)[index]
    index = index[np.lexsort((weights[index], keys))]
    return TargetRows(values[index] + 0.0, target[index], None if whole else weights[index])


def _keys(values: np.ndarray, target: np.ndarray) -> np.ndarray:
    return row_keys(values) * np.uint64(3) + row_keys(target.reshape(-1, 1).astype(np.float64))


def hold_out(
    rows: TargetRows, share: float, rng: np.random.Generator, *, stratified: bool
) -> tuple[TargetRows, TargetRows]:
    """Rows to fit on, and the `share` of them to select on.

    Equal rows stay together. Where `stratified`, each class keeps at least one row to fit on and gives its share,
    within one row.

    Raises
    ------
    InputError
        Where there are too few different rows to hold any out.
    """
    keys = _keys(rows.values, rows.target)
    _, first, group = np.unique(keys, return_index=True, return_inverse=True)
    strata = rows.target[first] if stratified else np.zeros(len(first))
    order = rng.permutation(len(first))
    order = order[np.argsort(strata[order], kind="stable")]
    begins = np.r_[True, np.diff(strata[order]) != 0]
    pool = order[~begins]
    if not len(pool):
        raise InputError(
            f"at least 2 different rows{' of one class' if stratified else ''} are required, to fit on one and select "
            f"on another; got n_samples = {len(rows)}. Give validation_data=(X, y) for rows to select on."
        )
    n = min(max(1, round(share * len(first))), len(pool))
    chosen = pool[((np.arange(n) + rng.uniform()) * len(pool) / n).astype(np.int64)]
    held = np.isin(group, chosen)
    return rows.take(np.flatnonzero(~held)), rows.take(np.flatnonzero(held))
