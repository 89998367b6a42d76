"""What the estimators of every room are given, read as scikit-learn's checks want it: rows, labels, weights, numbers.

Departures
----------
Frames are matched by column name, in any order, and arrays by position, without the warning that scikit-learn gives
where an estimator was fitted on one and predicts on the other.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, column_or_1d, validate_data

from limbeck._core.errors import InputError
from limbeck._core.tables import Rows, Schema, Table, columns_of

__all__ = ["encode_rows", "is_plain", "read_labels", "read_numbers", "read_rows", "read_weights", "same_length"]


def is_plain(X: Rows) -> bool:
    """True for what scikit-learn reads itself: arrays of numbers, lists, sparse matrices (which it refuses)."""
    if isinstance(X, Table | str) or hasattr(X, "__fspath__") or columns_of(X) is not None:
        return False
    if hasattr(X, "toarray"):
        return True
    raw = np.asarray(X)
    return not (raw.dtype.kind in "US" or (raw.dtype.kind == "O" and any(isinstance(v, str) for v in raw.flat)))


def read_rows(estimator: Any, X: Rows, y: Any) -> Table:
    """The rows as a table; the estimator learns how many columns there are, and their names where they have any."""
    if y is None:
        raise InputError(
            f"This {type(estimator).__name__} estimator requires y to be passed, but the target y is None."
        )
    if is_plain(X):
        return Table.read(validate_data(estimator, X, dtype="numeric", ensure_all_finite=False))
    table = Table.read(X)
    if len(table) == 0 or not np.isfinite(table.values).all():
        raise InputError(f"a table of at least one row, every number finite, is required; got shape {table.shape}")
    estimator.n_features_in_ = table.shape[1]
    if table.schema.container == "numpy":
        vars(estimator).pop("feature_names_in_", None)
    else:
        estimator.feature_names_in_ = np.array(table.schema.names, dtype=object)
    return table


def encode_rows(estimator: Any, X: Rows, schema: Schema) -> np.ndarray:
    """Encoded rows ``(n, d)`` for the ``predict`` of an estimator that was fitted on `schema`.

    Raises
    ------
    InputError, ValueError
        Where the columns are not those of ``fit``, or a value is missing, not finite or an unknown level.
    """
    if is_plain(X) and schema.all_numbers and not hasattr(estimator, "feature_names_in_"):
        X = validate_data(estimator, X, reset=False, dtype=np.float64, ensure_all_finite=False)
    return schema.encode(X)


def read_labels(y: Any, n: int) -> np.ndarray:
    """Labels ``(n,)``."""
    labels = column_or_1d(y, warn=True)
    same_length("y", len(labels), n)
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        raise InputError(f"Input y contains NaN or infinity: labels are required in all {n} rows")
    if labels.dtype.kind == "O":
        missing = sum(type(value).__name__ == "NAType" or value is None or value != value for value in labels)
        if missing:
            raise InputError(f"Input y contains NaN or None in {missing} rows: a label is required in each")
        kinds = {str if isinstance(value, str) else float for value in labels}
        if len(kinds) > 1:
            raise InputError("y mixes text and numbers; labels of one type are required")
        labels = np.array(labels.tolist())
    check_classification_targets(labels)
    return labels


def read_weights(sample_weight: Any, n: int) -> np.ndarray:
    """Weights ``(n,)``, not negative, not all zero."""
    if sample_weight is None:
        return np.ones(n)
    weights = read_numbers("sample_weight", sample_weight)
    if weights.shape != (n,):
        raise InputError(f"sample_weight must have shape ({n},), one weight a row; got {weights.shape}")
    if weights.min() < 0:
        raise InputError(f"Negative values in sample_weight: weights must be at least 0; got {weights.min():g}")
    if not weights.any():
        raise InputError(f"sample_weight must have a weight above zero; all {n} weights are zero")
    return weights


def read_numbers(name: str, values: Any) -> np.ndarray:
    """The values as float64, in any shape, every one finite."""
    try:
        array = check_array(
            values,
            ensure_2d=False,
            allow_nd=True,
            dtype=np.float64,
            ensure_all_finite=False,
            ensure_min_samples=0,
            ensure_min_features=0,
            input_name=name,
        )
    except ValueError as error:
        if "could not convert" not in str(error):
            raise
        raise InputError(f"{name} must hold numbers; got {type(values).__name__}: {str(error)[:80]}") from None
    bad = int((~np.isfinite(array)).sum())
    if bad:
        raise InputError(
            f"{name} must be finite; got NaN or infinity in {bad} of {array.size} values. Drop those rows."
        )
    return array


def same_length(name: str, length: int, n: int) -> None:
    """Refuse another length than that of the rows."""
    if length != n:
        raise InputError(f"{name} must have one row for each of the {n} rows of X; got inconsistent length {length}")
