"""Labels of a layer's units: whole numbers from 0, one an output and one an input."""

from __future__ import annotations

from typing import Any

import numpy as np

from limbeck._core.errors import InputError

__all__ = ["label_pair", "labels_of"]


def labels_of(labels: Any, name: str, k: int | None = None) -> np.ndarray:
    """A copy of labels as int64, checked.

    Raises
    ------
    InputError
        Where they aren't one or more whole numbers from 0 (to k - 1).
    """
    if hasattr(labels, "detach"):
        labels = labels.detach().cpu().numpy()
    try:
        found = np.array(labels)
    except ValueError as error:
        raise InputError(f"{name} must be labels, one whole number a unit; NumPy says: {str(error)[:120]}") from None
    if found.ndim != 1 or not len(found) or found.dtype.kind not in "iu":
        raise InputError(f"{name} must be labels, one whole number a unit; got {found.dtype} of shape {found.shape}")
    if found.min() < 0 or (k is not None and found.max() >= k):
        to = "" if k is None else f" to {k - 1}"
        raise InputError(f"{name} must be labels from 0{to}; got {found.min()} to {found.max()}")
    return found.astype(np.int64)


def label_pair(clusters: Any, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The labels of rows and columns, from what has `.rows` and `.columns` or is a pair.

    Raises
    ------
    InputError
        For anything else, and for labels that aren't as many as the `shape` (outputs, inputs) says.
    """
    if hasattr(clusters, "rows") and hasattr(clusters, "columns"):
        clusters = (clusters.rows, clusters.columns)
    try:
        rows, columns = clusters
    except (TypeError, ValueError):
        raise InputError(
            f"clusters must have .rows and .columns, or be a pair (rows, columns); got a {type(clusters).__name__}"
        ) from None
    found = labels_of(rows, "rows"), labels_of(columns, "columns")
    if tuple(map(len, found)) != tuple(shape):
        raise InputError(
            f"clusters must label {shape[0]} outputs and {shape[1]} inputs; got {len(found[0])} and {len(found[1])}"
        )
    return found
