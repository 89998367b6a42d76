"""How students of all families predict: through `readable_`, so what a person reads is what predicts.

Departures
----------
Frames are matched by column name, in any order, and arrays by position, without the warning that scikit-learn gives
where a student was fitted on one and predicts on the other.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from limbeck._core.tables import Rows, Table, columns_of
from limbeck.readable import Readable

__all__ = ["StudentClassifier", "StudentRegressor", "encode_rows", "is_plain"]


def is_plain(X: Rows) -> bool:
    """True for what scikit-learn reads itself: arrays of numbers, lists, sparse matrices (which it refuses)."""
    if isinstance(X, Table | str) or hasattr(X, "__fspath__") or columns_of(X) is not None:
        return False
    if hasattr(X, "toarray"):
        return True
    raw = np.asarray(X)
    return not (raw.dtype.kind in "US" or (raw.dtype.kind == "O" and any(isinstance(v, str) for v in raw.flat)))


def encode_rows(student: Any, X: Rows) -> np.ndarray:
    """Encoded rows ``(n, d)`` for a fitted student's ``predict``.

    Raises
    ------
    NotFittedError
        Where ``fit`` was not called.
    InputError, ValueError
        Where the columns are not those of ``fit``, or a value is missing, not finite or an unknown level.
    """
    check_is_fitted(student, "readable_")
    readable: Readable = student.readable_
    if is_plain(X) and readable.schema.all_numbers and not hasattr(student, "feature_names_in_"):
        X = validate_data(student, X, reset=False, dtype=np.float64, ensure_all_finite=False)
    return readable.schema.encode(X)


class StudentRegressor(RegressorMixin, BaseEstimator):
    """What the regressors of all families share: predicting through `readable_`, and the tags.

    Attributes
    ----------
    readable_ : Readable
        The fitted student as a person reads it.
    """

    readable_: Readable

    def predict(self, X: Rows) -> np.ndarray:
        """The outputs ``(n,)``, or ``(n, k)`` where there are several.

        Parameters
        ----------
        X : rows
            An array, frame or `Table` with the columns of ``fit``.
        """
        Z = encode_rows(self, X)
        out = self.readable_.predict_encoded(Z)
        return out[:, 0] if out.shape[1] == 1 else out

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


class StudentClassifier(ClassifierMixin, BaseEstimator):
    """What the classifiers of all families share: predicting through `readable_`, and the tags.

    Attributes
    ----------
    readable_ : Readable
        The fitted student as a person reads it.
    classes_ : array ``(k,)``
        The labels, in the order of the columns of the probabilities.
    """

    readable_: Readable
    classes_: np.ndarray

    def predict_proba(self, X: Rows) -> np.ndarray:
        """The probability of each class, ``(n, k)``, in the order of `classes_`.

        Parameters
        ----------
        X : rows
            An array, frame or `Table` with the columns of ``fit``.
        """
        Z = encode_rows(self, X)
        return self.readable_.predict_encoded(Z)

    def predict(self, X: Rows) -> np.ndarray:
        """The most probable label of each row, ``(n,)``.

        Parameters
        ----------
        X : rows
            An array, frame or `Table` with the columns of ``fit``.
        """
        best = np.argmax(self.predict_proba(X), axis=1)
        return self.classes_[best]
