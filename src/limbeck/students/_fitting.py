"""The one place where students read and check what they are given: rows, targets, weights, probabilities, classes.

Every student's ``fit`` starts with `read_regression` or `read_classification` and goes on with the `TrainingRows` that
come back. How all students predict is in `_predicting`.

Departures
----------
``classes`` keeps the order in which it is given, because the columns of ``y_soft`` follow it; labels from ``y`` are
sorted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np
from sklearn.base import BaseEstimator

from limbeck._core.errors import InputError
from limbeck._core.estimator_input import read_labels, read_numbers, read_rows, read_weights, same_length
from limbeck._core.keys import row_keys
from limbeck._core.tables import Rows, Table
from limbeck.students._predicting import StudentClassifier, StudentRegressor

__all__ = [
    "StudentClassifier",
    "StudentRegressor",
    "TrainingRows",
    "read_classification",
    "read_regression",
]

Task: TypeAlias = Literal["regression", "classification"]

WIDE = 64
"""From more columns on, rows are put in order by a key."""
SUM_TOLERANCE = 1e-3
"""How far from 1 a row of probabilities may sum (half-precision teachers); it is then divided by its sum."""


@dataclass(frozen=True)
class TrainingRows:
    """What a student fits, checked: only rows of positive weight, every number finite.

    Attributes
    ----------
    table : Table
        The rows, ``(n, d)``.
    targets : array ``(n, k)`` of float64
        Regression targets, or class probabilities (one 1 a row where only labels are given).
    weights : array ``(n,)`` of float64
        Positive.
    task : {"regression", "classification"}
    classes : array ``(k,)`` or None
        The labels, in the order of the columns of `targets`; None in regression.
    output_names : tuple of str
        Names of the targets, or the labels as text.
    """

    table: Table
    targets: np.ndarray
    weights: np.ndarray
    task: Task
    classes: np.ndarray | None
    output_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.table)

    @property
    def values(self) -> np.ndarray:
        """The rows as an encoded matrix ``(n, d)``."""
        return self.table.values

    @property
    def n_outputs(self) -> int:
        """The number of targets, or of classes."""
        return self.targets.shape[1]

    def take(self, index: np.ndarray) -> TrainingRows:
        """The rows at `index`."""
        return replace(self, table=self.table.take(index), targets=self.targets[index], weights=self.weights[index])

    def distinct(self) -> TrainingRows:
        """The same rows in an order of their own, equal ones merged into one with the sum of their weights.

        A student that fits these gives the same model whatever the order of the rows, and a weight of 3 is exactly
        a row that comes three times.
        """
        order, first = _distinct(self.values, self.targets)
        index = order[first]
        return replace(
            self,
            table=self.table.with_values(self.values[index] + 0.0),
            targets=self.targets[index] + 0.0,
            weights=np.add.reduceat(self.weights[order], first),
        )


def _distinct(values: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """An order of the rows that does not depend on the one they come in, and where in it another row begins.

    Lexicographic; where there are many columns by a key of each row, which takes one pass instead of one a column.
    """
    if values.shape[1] > WIDE:
        keys = row_keys(values) * np.uint64(3) + row_keys(targets)
        order = np.argsort(keys, kind="stable")
        same = np.flatnonzero(np.diff(keys[order]) == 0)
        one, other = order[same], order[same + 1]
        if np.array_equal(values[one], values[other]) and np.array_equal(targets[one], targets[other]):
            return order, np.flatnonzero(np.r_[True, np.diff(keys[order]) != 0])
    whole = np.column_stack([values, targets]) + 0.0
    order = np.lexsort(whole.T[::-1])
    whole = whole[order]
    return order, np.flatnonzero(np.r_[True, np.any(whole[1:] != whole[:-1], axis=1)])


def read_regression(
    student: BaseEstimator,
    X: Rows,
    y: Any,
    *,
    sample_weight: Any = None,
    y_soft: Any = None,
    classes: Any = None,
) -> TrainingRows:
    """The checked rows of a regressor's ``fit``; sets `n_features_in_` and `feature_names_in_` on the student.

    Parameters
    ----------
    student : estimator
        Whose ``fit`` was called.
    X : rows
        An array ``(n, d)``, a frame, or a `Table`.
    y : array or frame
        ``(n,)`` or ``(n, k)``; the columns of a frame name the outputs.
    sample_weight : array ``(n,)``, optional
        At least 0; a row of weight 0 is as if it were not there.
    y_soft, classes
        Part of the signature that all students share; a regressor refuses them.

    Raises
    ------
    InputError, ValueError
        Where anything is missing, not finite, not a number, or of the wrong shape.
    """
    if y_soft is not None or classes is not None:
        given = "y_soft" if y_soft is not None else "classes"
        raise InputError(f"{given} is for classifiers; a regressor takes the teacher's values as y")
    table = read_rows(student, X, y)
    names = _target_names(y)
    targets = _read_targets(y, len(table))
    if names is None:
        k = targets.shape[1]
        names = ("prediction",) if k == 1 else tuple(f"prediction_{o}" for o in range(k))
    weights = read_weights(sample_weight, len(table))
    return _without_zeros(TrainingRows(table, targets, weights, "regression", None, names))


def read_classification(
    student: BaseEstimator,
    X: Rows,
    y: Any,
    *,
    sample_weight: Any = None,
    y_soft: Any = None,
    classes: Any = None,
) -> TrainingRows:
    """The checked rows of a classifier's ``fit``; sets `classes_`, `n_features_in_` and `feature_names_in_`.

    Parameters
    ----------
    student : estimator
        Whose ``fit`` was called.
    X : rows
        An array ``(n, d)``, a frame, or a `Table`.
    y : array ``(n,)`` or None
        Labels. May be None where `y_soft` and `classes` say all.
    sample_weight : array ``(n,)``, optional
        At least 0; a row of weight 0 is as if it were not there (its label still counts as a class).
    y_soft : array ``(n, k)``, optional
        The teacher's probabilities, which are then what is fitted. Column ``c`` belongs to ``classes[c]``.
    classes : array ``(k,)``, optional
        All labels, in the order of the columns of `y_soft`; by default the sorted labels of `y`.

    Raises
    ------
    InputError, ValueError
        Where anything is missing, not finite, or of the wrong shape; where there are fewer than two classes; where
        `classes` lacks a label of `y`; where `y_soft` does not hold probabilities of exactly these classes.
    """
    table = read_rows(student, X, y if y_soft is None else y_soft)
    labels = None if y is None else read_labels(y, len(table))
    names = _read_classes(labels, classes)
    if y_soft is not None:
        targets = _read_probabilities(y_soft, len(table), names)
    else:
        targets = (labels[:, None] == names[None, :]).astype(np.float64)  # type: ignore[index]
    weights = read_weights(sample_weight, len(table))
    student.classes_ = names
    output_names = tuple(str(name) for name in names)
    return _without_zeros(TrainingRows(table, targets, weights, "classification", names, output_names))


def _without_zeros(rows: TrainingRows) -> TrainingRows:
    keep = rows.weights > 0
    return rows if keep.all() else rows.take(np.flatnonzero(keep))


def _target_names(y: Any) -> tuple[str, ...] | None:
    """The outputs' names, where `y` is a frame or a series with a name."""
    columns, name = getattr(y, "columns", None), getattr(y, "name", None)
    if columns is not None and getattr(y, "ndim", 2) == 2:
        names = tuple(str(column) for column in getattr(y, "column_names", columns))
        if len(set(names)) != len(names):
            raise InputError(f"the columns of y name the outputs and must differ; got {list(names)}")
        return names
    return (name,) if isinstance(name, str) and name else None


def _read_targets(y: Any, n: int) -> np.ndarray:
    """Regression targets ``(n, k)``."""
    raw = np.asarray(y)
    if raw.dtype.kind == "O":
        odd = next((value for value in raw.flat if isinstance(value, str)), None)
        raw = raw if odd is None else raw.astype(str)
    if raw.dtype.kind in "USMm":
        raise InputError(
            f"y must hold numbers in regression; got {str(raw.flat[0])!r:.60} (dtype {raw.dtype}). "
            "For labels use a classifier."
        )
    targets = read_numbers("y", y)
    if targets.ndim not in (1, 2) or targets.size == 0:
        raise InputError(f"y must have shape (n,) or (n, k); got {targets.shape}")
    same_length("y", len(targets), n)
    return targets.reshape(n, -1)


def _read_classes(labels: np.ndarray | None, classes: Any) -> np.ndarray:
    """The classes ``(k,)``, at least two; every label is one of them."""
    if classes is None:
        if labels is None:
            raise InputError("classes must name the columns of y_soft where y is None")
        names = np.unique(labels)
    else:
        names = np.asarray(classes)
        if names.dtype.kind == "O" and None not in names.tolist():
            names = np.array(names.tolist())
        if names.ndim != 1 or names.dtype.kind == "O" or len(np.unique(names)) != len(names):
            raise InputError(f"classes must be a list of different labels; got {classes!r:.200}")
        unknown = [] if labels is None else sorted(set(labels.tolist()) - set(names.tolist()))
        if unknown:
            raise InputError(
                f"classes must hold every label of y; it lacks {unknown[:8]}, and has {names.tolist()[:20]}"
            )
    if len(names) < 2:
        raise InputError(
            f"a classifier needs at least 2 classes; got 1 class: {names.tolist()}. Name them all with classes=[...]."
        )
    return names


def _read_probabilities(y_soft: Any, n: int, names: np.ndarray) -> np.ndarray:
    """The teacher's probabilities ``(n, k)``, each row summing to 1."""
    soft, k = read_numbers("y_soft", y_soft), len(names)
    if soft.ndim != 2 or soft.shape[1] != k:
        raise InputError(
            f"y_soft needs one column a class, {k} for {names.tolist()[:12]}; got shape {soft.shape}. "
            "Where y lacks some of the classes, name them all with classes=[...]."
        )
    same_length("y_soft", len(soft), n)
    if soft.min() < -1e-9:
        row = int(np.argmin(soft.min(axis=1)))
        raise InputError(f"y_soft must hold probabilities, none negative; got {soft[row].tolist()!s:.120} in row {row}")
    total = soft.sum(axis=1)
    row = int(np.argmax(np.abs(total - 1.0)))
    if abs(total[row] - 1.0) > SUM_TOLERANCE:
        raise InputError(
            f"y_soft must sum to 1 in every row; got {total[row]:.6g} in row {row}. Apply a softmax to scores first."
        )
    soft = np.maximum(soft, 0.0)
    return soft / soft.sum(axis=1, keepdims=True)
