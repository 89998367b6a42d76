"""A tree, a formula or another student on the coefficients of a wavelet that stays as it is.

Source
------
Own: the control of Ha2021. Beside an adaptive wavelet it shows what adapting is worth; and trees and formulas read
signals better by scale and time than point by point.

Checked
-------
tests/unit/test_fixed_wavelet.py: a tree on coefficients is the tree of a table of PyWavelets' coefficients.

Cost
----
That of the student on about as many columns as the signal has points.
"""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np
from sklearn.base import clone

from limbeck._core.errors import InputError, did_you_mean
from limbeck._core.images import image_shape as read_image_shape
from limbeck._core.seeds import RandomState, draw_seeds
from limbeck._core.tables import Rows, Table
from limbeck.readable import CoefficientsReadable
from limbeck.readable._coefficients import coefficient_schema
from limbeck.readable._wavelet_filters import blocks_of, decompose, shaped
from limbeck.students._adaptive_wavelet import checked_scale, starting_filter
from limbeck.students._fitting import TrainingRows, read_classification, read_regression
from limbeck.students._members import Member
from limbeck.students._predicting import StudentClassifier, StudentRegressor

__all__ = ["FixedWaveletClassifier", "FixedWaveletRegressor"]

INNER = {
    "tree": ("_tree", "Tree"),
    "formula": ("_formula", "Formula"),
    "rules": ("_rule_list", "RuleList"),
    "rule_set": ("_rule_set", "RuleSet"),
}
"""Students by name: the module, and the first part of the estimator's name."""


def _inner(student: Any, is_classifier: bool) -> Any:
    """The student that reads the coefficients, with the seed of the outer one where it has none of its own."""
    given = student.student
    if isinstance(given, str):
        if given not in INNER:
            raise InputError(
                f"student is one of {sorted(INNER)}, or an estimator; got {given!r}.{did_you_mean(given, INNER)}"
            )
        module, name = INNER[given]
        kind = "Classifier" if is_classifier else "Regressor"
        made = getattr(import_module(f"limbeck.students.{module}"), f"{name}{kind}")()
    elif isinstance(given, StudentClassifier if is_classifier else StudentRegressor):
        made = clone(given)
    else:
        kind = "classifier" if is_classifier else "regressor"
        raise InputError(
            f"student must be a name ({', '.join(sorted(INNER))}) or a student that is a {kind}; got {given!r:.80}"
        )
    seed = draw_seeds(student.random_state, 1)[0]
    return made.set_params(random_state=seed) if made.get_params().get("random_state", 0) is None else made


def _fit(student: Any, rows: TrainingRows) -> None:
    """The wavelet's coefficients of the rows, the inner student on them, and what a person reads of both."""
    low = starting_filter(student.wavelet)
    level = checked_scale(student.level, student.mode)
    inner = _inner(student, rows.task == "classification")
    schema, Z = rows.table.schema, rows.values
    signal = tuple(j for j, column in enumerate(schema.columns) if not column.levels)
    if not signal:
        raise InputError("a wavelet needs a signal: at least one column of numbers; all columns have levels")
    image = read_image_shape(schema, student.image_shape)
    shape, channels = ((len(signal),), 1) if image is None else (image[:2], image[2])
    blocks = blocks_of(shape, len(low), level, student.mode, channels)
    whole = decompose(shaped(Z[:, list(signal)], image), low, level, student.mode, 1 if image is None else 2)
    levels = [j for j in range(len(schema)) if j not in signal]
    design = np.column_stack([whole.reshape(len(Z), -1), Z[:, levels]])
    table = Table(coefficient_schema(schema, blocks), design)
    held = tuple((j, float(Z[0, j])) for j in signal if np.ptp(Z[:, j]) == 0)
    if rows.task == "classification":
        inner.fit(table, None, y_soft=rows.targets, classes=rows.classes, sample_weight=rows.weights)
    else:
        targets = rows.targets[:, 0] if rows.n_outputs == 1 else rows.targets
        inner.fit(table, targets, sample_weight=rows.weights)

    def on_coefficients(readable: Any) -> CoefficientsReadable:
        taps = tuple(low.tolist())
        parts = (replace(readable, output_names=rows.output_names), taps, level, student.mode, signal, held, image)
        return CoefficientsReadable(schema, rows.task, rows.output_names, *parts, student.wavelet)

    student.student_ = inner
    student.readable_ = on_coefficients(inner.readable_)
    members = ((one, on_coefficients(one.readable)) for one in getattr(inner, "front_", ()))
    student.front_ = tuple(Member(own, own.complexity, one.score) for one, own in members)


def _expected_seconds(n: int, d: int, k: int, student: Any, *, is_classifier: bool) -> float:
    inner = _inner(student, is_classifier)
    return float(inner.expected_seconds(n, d, k)) if hasattr(inner, "expected_seconds") else 0.0


class FixedWaveletRegressor(StudentRegressor):
    """A student for quantities on the coefficients of a wavelet that stays as it is.

    Parameters
    ----------
    student : {"tree", "formula", "rules", "rule_set"} or student
        What is fitted to the coefficients: a student by name, or an estimator.
    wavelet : str
        An orthogonal wavelet of PyWavelets, such as ``"db5"``, ``"sym4"`` or ``"coif2"``.
    level : int
        The number of scales.
    mode : str
        What stands beyond the ends, by PyWavelets' names: ``"zero"``, ``"symmetric"``, ``"periodization"``, ...
    random_state : int, Generator or None
        The seed of the student, where it has none of its own.
    image_shape : tuple, optional
        ``(rows, columns)`` or ``(rows, columns, channels)``, where the columns are pixels; columns that are named
        ``p0, p1, ...`` and make a square need none.

    Attributes
    ----------
    readable_ : CoefficientsReadable
    student_ : estimator
        The student on the coefficients.
    front_ : tuple of Member
        Its models of other lengths, where it has some.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(200, 32))
    >>> y = np.where(X[:, 8:12].sum(axis=1) > 0, 1.0, 5.0)
    >>> student = FixedWaveletRegressor("tree", "haar", level=2, random_state=0).fit(X, y)
    >>> student.readable_.coefficient_texts()
    (('a2_2', 'approximation at time 10'),)
    """

    def __init__(
        self,
        student: Any = "tree",
        wavelet: str = "db5",
        level: int = 4,
        mode: str = "zero",
        random_state: RandomState = None,
        *,
        image_shape: Any = None,
    ) -> None:
        self.student = student
        self.wavelet = wavelet
        self.level = level
        self.mode = mode
        self.random_state = random_state
        self.image_shape = image_shape

    def fit(
        self, X: Rows, y: Any, *, sample_weight: Any = None, y_soft: Any = None, classes: Any = None
    ) -> FixedWaveletRegressor:
        """The fitted student.

        Parameters
        ----------
        X : rows
            An array ``(n, d)``, a frame, or a `Table`: a signal a row, columns in order of time. Columns with levels
            are no part of the signal; the student gets them as they are.
        y : array ``(n,)`` or ``(n, k)``
            The teacher's values.
        sample_weight : array ``(n,)``, optional
        y_soft, classes
            For classifiers only: refused.

        Raises
        ------
        InputError, ValueError
            Where an argument or a row is not what is required.
        """
        _fit(self, read_regression(self, X, y, sample_weight=sample_weight, y_soft=y_soft, classes=classes))
        return self

    def expected_seconds(self, n: int, d: int, k: int) -> float:
        """About how long ``fit`` takes for `n` rows of `d` columns and `k` outputs, on one core."""
        return _expected_seconds(n, d, k, self, is_classifier=False)


class FixedWaveletClassifier(StudentClassifier):
    """A student for classes on the coefficients of a wavelet that stays as it is.

    Parameters
    ----------
    student : {"tree", "formula", "rules", "rule_set"} or student
        What is fitted to the coefficients: a student by name, or an estimator.
    wavelet : str
        An orthogonal wavelet of PyWavelets, such as ``"db5"``, ``"sym4"`` or ``"coif2"``.
    level : int
        The number of scales.
    mode : str
        What stands beyond the ends, by PyWavelets' names: ``"zero"``, ``"symmetric"``, ``"periodization"``, ...
    random_state : int, Generator or None
        The seed of the student, where it has none of its own.
    image_shape : tuple, optional
        ``(rows, columns)`` or ``(rows, columns, channels)``, where the columns are pixels; columns that are named
        ``p0, p1, ...`` and make a square need none.

    Attributes
    ----------
    readable_ : CoefficientsReadable
    student_ : estimator
        The student on the coefficients.
    classes_ : array ``(k,)``
    front_ : tuple of Member
        Its models of other lengths, where it has some.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(200, 32))
    >>> y = np.where(X[:, 8:12].sum(axis=1) > 0, "up", "down")
    >>> student = FixedWaveletClassifier("tree", "haar", level=2, random_state=0).fit(X, y)
    >>> student.readable_.coefficient_texts()
    (('a2_2', 'approximation at time 10'),)
    """

    def __init__(
        self,
        student: Any = "tree",
        wavelet: str = "db5",
        level: int = 4,
        mode: str = "zero",
        random_state: RandomState = None,
        *,
        image_shape: Any = None,
    ) -> None:
        self.student = student
        self.wavelet = wavelet
        self.level = level
        self.mode = mode
        self.random_state = random_state
        self.image_shape = image_shape

    def fit(
        self, X: Rows, y: Any, *, sample_weight: Any = None, y_soft: Any = None, classes: Any = None
    ) -> FixedWaveletClassifier:
        """The fitted student.

        Parameters
        ----------
        X : rows
            An array ``(n, d)``, a frame, or a `Table`: a signal a row, columns in order of time. Columns with levels
            are no part of the signal; the student gets them as they are.
        y : array ``(n,)`` or None
            Labels; None where `y_soft` and `classes` say all.
        sample_weight : array ``(n,)``, optional
        y_soft : array ``(n, k)``, optional
            The teacher's probabilities, which are then what is fitted.
        classes : array ``(k,)``, optional
            All labels, in the order of the columns of `y_soft`.

        Raises
        ------
        InputError, ValueError
            Where an argument or a row is not what is required.
        """
        _fit(self, read_classification(self, X, y, sample_weight=sample_weight, y_soft=y_soft, classes=classes))
        return self

    def expected_seconds(self, n: int, d: int, k: int) -> float:
        """About how long ``fit`` takes for `n` rows of `d` columns and `k` outputs, on one core."""
        return _expected_seconds(n, d, k, self, is_classifier=True)
