"""What the teacher says about states: for each action what it wins there, in several ways to count.

Source
------
Bastani2018 (a state weighs what a wrong action costs there).

Departures
----------
Two ways stand side by side, for neither finds every good program: only the teacher's own action counts, by the state's
weight; or every action counts by its score (Q values, or log-probabilities), so that it costs little to differ where
the teacher is indifferent. A third asks for one action against the best of all others.

Cost
----
The teacher is asked once a state.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from limbeck.policies._policy import Policy

__all__ = ["Lessons", "lessons"]

LEAST_PROBABILITY = 1e-4


@dataclass(frozen=True)
class Lessons:
    """States, and what each action wins in them.

    Attributes
    ----------
    rows : array (n, d)
    alone : array (n, a)
        The state's weight for the teacher's action, 0 for the others.
    graded : array (n, a)
        0 for the teacher's action, less for the others.
    """

    rows: np.ndarray
    alone: np.ndarray
    graded: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def wins(self) -> np.ndarray:
        """Both ways to count, added up."""
        return np.asarray(_scaled(self.alone) + _scaled(self.graded))

    def both(self) -> tuple[np.ndarray, np.ndarray]:
        """The two ways to count."""
        return self.alone, self.graded

    def against(self) -> list[np.ndarray]:
        """For each action, what it wins against the best of the others, as gains ``(n, 2)``."""
        wins = self.wins
        pairs = [np.column_stack([wins[:, a], np.delete(wins, a, axis=1).max(axis=1)]) for a in range(wins.shape[1])]
        return pairs if wins.shape[1] > 2 else []

    def taken(self, index: np.ndarray) -> Lessons:
        """Some of the states."""
        return Lessons(self.rows[index], self.alone[index], self.graded[index])

    def joined(self, other: Lessons) -> Lessons:
        """These states, and then others."""
        mine, others = (self.rows, self.alone, self.graded), (other.rows, other.alone, other.graded)
        return Lessons(*(np.concatenate(pair) for pair in zip(mine, others, strict=True)))


def _scaled(gains: np.ndarray) -> np.ndarray:
    """So that a wrong action costs 1 in the mean state."""
    return gains / max(float((gains.max(axis=1) - gains.min(axis=1)).mean()), 1e-12)


def lessons(policy: Policy, rows: np.ndarray, weights: np.ndarray, n_columns: int) -> Lessons:
    """What the teacher says about rows, of which it sees the first `n_columns` columns."""
    scores = np.asarray(policy(rows[:, :n_columns]), dtype=np.float64)
    alone = np.zeros_like(scores)
    alone[np.arange(len(scores)), scores.argmax(axis=1)] = weights
    if policy.kind == "actions":
        return Lessons(rows, alone, alone)
    if policy.kind == "probabilities":
        scores = np.log(np.clip(scores, LEAST_PROBABILITY, None))
    return Lessons(rows, alone, scores - scores.max(axis=1, keepdims=True))
