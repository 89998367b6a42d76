"""What is true for the rows: read from an array or from columns of the rows, and matched to the teacher's outputs."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from limbeck._core.columns import series_values
from limbeck._core.errors import InputError, did_you_mean
from limbeck._core.files import read_file
from limbeck._core.tables import columns_of
from limbeck._core.targets import infer_task, read_target

__all__ = ["Truth", "read_truth", "split_target"]


@dataclass(frozen=True)
class Truth:
    """The true values, before it is known what the teacher answers.

    Attributes
    ----------
    values : array
        Numbers ``(n, k)``, or labels ``(n,)``.
    task : "regression" or "classification"
        The task that was given, or that the values speak for.
    classes : sequence or None
        The labels in order, in classification.
    """

    values: np.ndarray
    task: Literal["regression", "classification"]
    classes: tuple[Any, ...] | None

    def strata(self) -> np.ndarray | None:
        """Labels to stratify by, in classification."""
        return np.array([str(value) for value in self.values]) if self.task == "classification" else None

    def of(self, classes: Sequence[Any] | None, n_outputs: int) -> np.ndarray:
        """The truth as the checks take it: numbers ``(n, k)``, or positions ``(n,)`` of the teacher's classes, if any.

        Raises
        ------
        InputError
            Where labels are not among the teacher's classes, or the number of outputs differs.
        """
        if classes is None:
            if self.values.dtype.kind not in "fiub":
                raise InputError(f"the teacher answers with numbers, but y holds labels such as {self.values[0]!r:.60}")
            numbers_ = self.values.astype(np.float64).reshape(len(self.values), -1)
            if numbers_.shape[1] != n_outputs:
                raise InputError(f"the teacher has {n_outputs} output(s), but y has {numbers_.shape[1]}")
            return numbers_
        position = {str(label): i for i, label in enumerate(classes)}
        flat = self.values if self.values.ndim == 1 else self.values[:, 0]
        labels = [_label_text(value, position) for value in flat]
        unknown = sorted({label for label in labels if label not in position})
        if unknown:
            raise InputError(
                f"y holds labels that the teacher does not have: {unknown[:6]}; its classes are {list(position)[:12]}. "
                "Give classes=[...] in the order of the teacher's outputs."
            )
        return np.array([position[label] for label in labels])


def _label_text(value: Any, known: dict[str, int]) -> str:
    text = str(value)
    if text not in known and isinstance(value, numbers.Real) and float(value).is_integer():
        text = str(int(float(value)))
    return text


def split_target(X: Any, y: Any) -> tuple[Any, Any, tuple[str, ...] | None]:
    """Rows, target, and the target's names, where `y` may name columns of the rows.

    Raises
    ------
    InputError
        Where the named column is not there, or the rows have no names.
    """
    is_name = isinstance(y, str) or (isinstance(y, list | tuple) and bool(y) and all(isinstance(v, str) for v in y))
    if isinstance(X, str | Path):
        X = read_file(X)
    columns = columns_of(X)
    if not is_name or (columns is None and not isinstance(y, str)):
        return X, y, _names_of(y)
    if columns is None:
        raise InputError(f"y names the column {y!r}, but the rows have no names; give a DataFrame, or y as an array")
    wanted = [y] if isinstance(y, str) else list(y)
    if isinstance(y, list | tuple) and len(y) == len(X) and not set(wanted) <= set(columns):
        return X, y, None
    for name in wanted:
        if name not in columns:
            raise InputError(
                f"the target {name!r} is not a column; there are {list(columns)[:20]}.{did_you_mean(name, columns)}"
            )
    import narwhals as nw

    rows = nw.from_native(X, eager_only=True)
    arrays = [series_values(columns[name]) for name in wanted]
    values = arrays[0] if len(wanted) == 1 else np.column_stack([a.astype(np.float64) for a in arrays])
    return rows.drop(wanted).to_native(), values, tuple(wanted)


def _names_of(y: Any) -> tuple[str, ...] | None:
    if hasattr(y, "columns"):
        return tuple(str(name) for name in y.columns)
    name = getattr(y, "name", None)
    return (name,) if isinstance(name, str) and name else None


def read_truth(y: Any, n: int, *, task: str | None, classes: Sequence[Any] | None) -> Truth:
    """The truth from an array-like `y` of `n` rows.

    Raises
    ------
    InputError
        For a wrong length or shape, missing values, one class, or text where numbers are required.
    """
    values = read_target(y)
    if len(values) != n:
        raise InputError(f"y must have {n} rows, one for each row of X; got shape {values.shape}")
    if (task or infer_task(values)) == "regression":
        if values.dtype.kind not in "fiub":
            raise InputError(f"regression needs numbers in y; got text such as {values.ravel()[0]!r:.60}")
        return Truth(values, "regression", None)
    if values.ndim == 2:
        raise InputError(f"classification needs one label a row; got y of shape {values.shape}")
    if values.dtype.kind == "f" and np.all(values == np.rint(values)):
        values = values.astype(np.int64)
    found = np.unique(values.astype(str) if values.dtype.kind == "O" else values).tolist()
    labels = tuple(classes) if classes is not None else tuple(found)
    if len(labels) < 2:
        raise InputError(f"classification needs at least two classes in y; got only {labels}")
    return Truth(values, "classification", labels)
