"""What is predicted: the target column as an array, and whether it calls for regression or classification."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from limbeck._core.errors import InputError

__all__ = ["infer_task", "read_target"]

MAX_INTEGER_CLASSES = 20


def read_target(y: Any) -> np.ndarray:
    """The target as an array ``(n,)`` or ``(n, k)``: numbers stay numbers, all else becomes plain objects.

    Raises
    ------
    InputError
        Where values are missing or infinite (said by count), or the shape is neither.
    """
    if hasattr(y, "to_list") and not isinstance(y, np.ndarray):
        values = y.to_list()
        array = np.array(values) if all(_is_number(value) for value in values) else np.array(values, dtype=object)
    elif hasattr(y, "detach"):
        array = y.detach().cpu().numpy()
    elif hasattr(y, "to_numpy"):
        array = np.asarray(y.to_numpy())
    else:
        array = np.asarray(y)
    if array.dtype.kind in "US":
        array = array.astype(object)
    if array.dtype.kind == "O" and array.size and all(_is_number(value) for value in array.flat):
        array = np.array(array.tolist())
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim not in (1, 2) or not array.size:
        raise InputError(f"y must have the shape (n,) or (n, k), with at least one row; got shape {array.shape}")
    _refuse_missing(array)
    return array


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number | np.bool_) and value == value


def _refuse_missing(y: np.ndarray) -> None:
    if y.dtype.kind == "f":
        bad = int((~np.isfinite(y)).sum())
    elif y.dtype.kind == "O":
        bad = sum(v is None or v != v or type(v).__name__ in ("NAType", "NaTType") for v in y.flat)
    else:
        bad = 0
    if bad:
        raise InputError(f"y has {bad} missing or infinite value(s) in {len(y)} rows; drop those rows")


def infer_task(y: np.ndarray) -> Literal["regression", "classification"]:
    """What a target calls for.

    Text and booleans are classes. Whole numbers are classes where there are at most 20 different ones, each twice on
    average at least. Everything else, and every target of several columns, is a quantity.

    Examples
    --------
    >>> infer_task(np.array(["no", "yes"])), infer_task(np.array([0.1, 2.5])), infer_task(np.array([0, 1, 1, 0]))
    ('classification', 'regression', 'classification')
    """
    if y.ndim == 2:
        return "regression"
    if y.dtype.kind in "OUSb":
        return "classification"
    if y.dtype.kind in "iu":
        different = len(np.unique(y))
        return "classification" if different <= MAX_INTEGER_CLASSES and 2 * different <= len(y) else "regression"
    return "regression"
