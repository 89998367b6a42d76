"""What an ensemble is fitted and selected on: rows, targets and weights, checked and in an order of their own.

Rows of weight 0 are left out, whole weights become so many equal rows, and rows are sorted by a key: the ensemble does
not depend on the order of the rows, and a weight of 3 is exactly a row that comes three times. Equal rows fall on the
same side where rows are held out for selection.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from limbeck._core.errors import InputError
from limbeck._core.keys import row_keys
from limbeck._core.tables import Rows, Table, columns_of

__all__ = [
    "TargetRows",
    "encode_rows",
    "hold_out",
    "in_order",
    "read_labels",
    "read_rows",
    "read_values",
    "read_weights",
]

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


def read_rows(model: Any, X: Rows, y: Any) -> Table:
    """The rows of ``fit`` as a table; sets `n_features_in_` and, where columns have names, `feature_names_in_`."""
    if y is None:
        raise InputError(f"This {type(model).__name__} estimator requires y to be passed, but the target y is None.")
    if _is_plain(X):
        return Table.read(validate_data(model, X, dtype="numeric", ensure_all_finite=False))
    table = Table.read(X)
    if len(table) == 0 or not np.isfinite(table.values).all():
        raise InputError(f"a table of at least one row, every number finite, is required; got shape {table.shape}")
    model.n_features_in_ = table.shape[1]
    if table.schema.container == "numpy":
        vars(model).pop("feature_names_in_", None)
    else:
        model.feature_names_in_ = np.array(table.schema.names, dtype=object)
    return table


def encode_rows(model: Any, X: Rows) -> np.ndarray:
    """Encoded rows ``(n, d)`` for a fitted ensemble's ``predict``.

    Raises
    ------
    NotFittedError
        Where ``fit`` was not called.
    InputError, ValueError
        Where the columns are not those of ``fit``, or a value is missing, not finite or an unknown level.
    """
    check_is_fitted(model, "estimators_")
    if _is_plain(X) and model.schema_.all_numbers and not hasattr(model, "feature_names_in_"):
        X = validate_data(model, X, reset=False, dtype=np.float64, ensure_all_finite=False)
    return np.asarray(model.schema_.encode(X))


def _is_plain(X: Rows) -> bool:
    """True for what scikit-learn reads itself: arrays of numbers, lists, sparse matrices (which it refuses)."""
    if isinstance(X, Table | str) or hasattr(X, "__fspath__") or columns_of(X) is not None:
        return False
    if hasattr(X, "toarray"):
        return True
    raw = np.asarray(X)
    return not (raw.dtype.kind in "US" or (raw.dtype.kind == "O" and any(isinstance(v, str) for v in raw.flat)))


def read_labels(y: Any, n: int) -> np.ndarray:
    """Labels ``(n,)``, none missing."""
    labels = column_or_1d(y, warn=True)
    _same_length("y", len(labels), n)
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        raise InputError(f"Input y contains NaN or infinity: labels are required in all {n} rows")
    if labels.dtype.kind == "O":
        missing = sum(type(value).__name__ == "NAType" or value is None or value != value for value in labels)
        if missing:
            raise InputError(f"Input y contains NaN or None in {missing} rows: a label is required in each")
        if len({str if isinstance(value, str) else float for value in labels}) > 1:
            raise InputError("y mixes text and numbers; labels of one type are required")
        labels = np.array(labels.tolist())
    check_classification_targets(labels)
    return labels


def read_values(y: Any, n: int) -> np.ndarray:
    """Quantities ``(n,)`` as float64, every one finite."""
    raw = np.asarray(y)
    if raw.ndim == 2 and raw.shape[1] > 1:
        raise InputError(f"y must have shape (n,): one quantity an ensemble; got {raw.shape}. Fit one for each column.")
    values = column_or_1d(raw, warn=True)
    _same_length("y", len(values), n)
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


def read_weights(sample_weight: Any, n: int) -> np.ndarray:
    """Weights ``(n,)``, at least 0, not all 0."""
    if sample_weight is None:
        return np.ones(n)
    try:
        weights = np.asarray(sample_weight, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"sample_weight must hold numbers; got {type(sample_weight).__name__}") from None
    if weights.shape != (n,):
        raise InputError(f"sample_weight must have shape ({n},), one weight a row; got {weights.shape}")
    if not np.isfinite(weights).all():
        raise InputError(f"sample_weight must be finite; got NaN or infinity in {(~np.isfinite(weights)).sum()} rows")
    if weights.min() < 0:
        raise InputError(f"Negative values in sample_weight: weights must be at least 0; got {weights.min():g}")
    if not weights.any():
        raise InputError(f"sample_weight must have a weight above zero; all {n} weights are zero")
    return weights


def _same_length(name: str, length: int, n: int) -> None:
    if length != n:
        raise InputError(f"{name} must have one row for each of the {n} rows of X; got inconsistent length {length}")


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
