"""How students of all families predict: through `readable_`, so what a person reads is what predicts."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from limbeck._core.estimator_input import encode_rows
from limbeck._core.tables import Rows
from limbeck.readable import Readable

__all__ = ["StudentClassifier", "StudentRegressor"]


def _encode(student: Any, X: Rows) -> np.ndarray:
    check_is_fitted(student, "readable_")
    return encode_rows(student, X, student.readable_.schema)


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
        Z = _encode(self, X)
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
        Z = _encode(self, X)
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
