"""What the formula of each class has to say where there are three classes or more.

The teacher's probabilities fix the scores of the classes but for one function that may be added to all of them. It is
chosen so that the scores are simple: the score of one class is made 0, that which leaves the others nearest to one
expression each; or the mean of all is. Each class's formula is then searched for as a regression on its score, and
judged by the cross-entropy that it gives beside the other classes' true scores.

Source
------
Aitchison1982 for log-ratios to a part, and to the mean; the choice of the part is our own.

Departures
----------
Each row counts by ``p * (1 - p)`` of the class, and little where the class is as good as impossible or sure.

Checked
-------
Planted scores of ten classes are found again; class against the rest left 9 % of the entropy unexplained at 60 symbols
(unit tests).

Cost
----
One product of a matrix of expressions with the scores for each class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from limbeck.students._formula_fit import Logistic
from limbeck.students._formula_library import build_library

__all__ = ["BesideOthers", "class_scores", "class_weights", "log_total"]

LEAST_PROBABILITY = 1e-6
LEAST_WEIGHT = 2e-3
ROWS_LOOKED_AT = 1_000


@dataclass(frozen=True)
class BesideOthers:
    """The cross-entropy of one class's score where the other classes' scores add up to `others` (log of the sum)."""

    one: Logistic
    others: np.ndarray

    def value(self, f: np.ndarray) -> float:
        """The loss of the scores ``(n,)``."""
        return self.one.value(f - self.others)

    def expand(self, f: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """``(loss, slope, curvature)``."""
        return self.one.expand(f - self.others)


def class_scores(
    q: np.ndarray, columns: Sequence[np.ndarray], costs: Sequence[int], operators: frozenset[str]
) -> np.ndarray:
    """Scores ``(n, k)`` whose softmax are the probabilities, on the scale on which they are simplest.

    Parameters
    ----------
    q : array ``(n, k)``
        Probabilities.
    columns : sequence of array ``(n,)``
        The features.
    costs : sequence of int
        Symbols of each feature.
    operators : frozenset of str
        Which the expressions may use.
    """
    logs = np.log(np.maximum(q, LEAST_PROBABILITY))
    some = slice(None, None, max(1, len(q) // ROWS_LOOKED_AT))
    seen, least = logs[some], q[some].sum(axis=0)
    library = build_library([column[some] for column in columns], costs, operators, range(len(costs)))
    basis = library.values - library.values.mean(axis=0)
    basis /= np.maximum(np.sqrt(np.einsum("ij,ij->j", basis, basis)), 1e-300)
    candidates = [logs[:, r] for r in np.flatnonzero(least > 0)] + [logs.mean(axis=1)]
    left = [_left_over(seen - zero[some][:, None], basis, np.sqrt(q[some])) for zero in candidates]
    return logs - candidates[int(np.argmin(left))][:, None]


def _left_over(scores: np.ndarray, basis: np.ndarray, roots: np.ndarray) -> float:
    """What the scores vary by, in all, where each is explained by one expression; rows of likely classes count more."""
    scores = scores - scores.mean(axis=0)
    gains = (basis.T @ scores) ** 2 if basis.shape[1] else np.zeros((1, scores.shape[1]))
    best = np.argmax(gains, axis=0)
    left = 0.0
    for c, i in enumerate(best):
        own, w = scores[:, c], roots[:, c]
        A = np.column_stack([np.ones(len(own)), basis[:, i]]) if basis.shape[1] else np.ones((len(own), 1))
        A, b = A * w[:, None], own * w
        left += float(np.sum((b - A @ np.linalg.lstsq(A, b, rcond=None)[0]) ** 2))
    return left


def class_weights(q: np.ndarray) -> np.ndarray:
    """How much each row counts in the search for each class's formula, ``(n, k)``."""
    return np.asarray(q * (1.0 - q) + LEAST_WEIGHT)


def log_total(scores: np.ndarray, without: int) -> np.ndarray:
    """The logarithm of the summed exponentials of all scores but one, ``(n,)``."""
    rest = np.delete(scores, without, axis=1)
    top = rest.max(axis=1)
    return np.asarray(top + np.log(np.exp(rest - top[:, None]).sum(axis=1)))
