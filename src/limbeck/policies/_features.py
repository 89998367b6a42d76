"""What a program or a tree may compare: the columns, their pairwise differences, and their changes since the last step.

Source
------
Bastani2018 (differences as features of the trees). Verma2018 (changes between steps in programs for control).

Departures
----------
Nothing that a person could not see: no products, no learned features, no memory beyond one step.

Checked
-------
tests/unit/test_distill_policy.py: the values by the matrix are those of the terms, and changes start anew with an
episode.

Cost
----
``d + d (d - 1) / 2`` forms for d columns, and as many for the changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from limbeck._core.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from limbeck.policies._environment import Environment

__all__ = ["Features", "Terms", "change_columns", "features", "observed_rows", "standing"]

MOST_COLUMNS = 40
"""With more columns there are no differences: their number would leave nothing to read, and little time to search."""

Terms = tuple[tuple[int, float], ...]
"""A linear form: pairs of a column's position in the row and its weight."""


@dataclass(frozen=True)
class Features:
    """Linear forms over the columns of a row.

    Attributes
    ----------
    terms : tuple of Terms
    width : int
        The number of columns of a row: the observation's, then the changes'.
    """

    terms: tuple[Terms, ...]
    width: int

    def __len__(self) -> int:
        return len(self.terms)

    @cached_property
    def matrix(self) -> np.ndarray:
        """The forms as rows ``(F, width)``, so that ``rows @ matrix.T`` are their values."""
        matrix = np.zeros((len(self.terms), self.width))
        for i, form in enumerate(self.terms):
            for column, weight in form:
                matrix[i, column] += weight
        return matrix

    def values(self, rows: np.ndarray) -> np.ndarray:
        """The forms' values ``(n, F)`` on rows ``(n, width)``, added up in the order in which a comparison adds."""
        values = np.zeros((len(rows), len(self.terms)))
        for i, form in enumerate(self.terms):
            for column, weight in form:
                values[:, i] += weight * rows[:, column]
        return values

    def with_forms(self, more: Sequence[Terms]) -> Features:
        """These forms and those of `more` that are not among them."""
        return Features(tuple(dict.fromkeys((*self.terms, *more))), self.width)


def features(environment: Environment, *, differences: bool = True, changes: Sequence[int] = ()) -> Features:
    """The forms that a person can see: columns, pairwise differences of them, and changes since the last step.

    Parameters
    ----------
    environment : Environment
    differences : bool
        With the pairwise differences ``x_i - x_j`` of columns, and of changes.
    changes : sequence of int
        The columns whose change stands behind the observation's own columns.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> features(SimpleNamespace(columns=("ball_x", "paddle_x")), changes=[0]).terms
    (((0, 1.0),), ((1, 1.0),), ((2, 1.0),), ((0, 1.0), (1, -1.0)))
    """
    d, width = len(environment.columns), len(environment.columns) + len(changes)
    terms: list[Terms] = [((j, 1.0),) for j in range(width)]
    for group in (range(d), range(d, width)):
        if differences and len(group) <= MOST_COLUMNS:
            terms += [((i, 1.0), (j, -1.0)) for i, j in combinations(group, 2)]
    return Features(tuple(terms), width)


def change_columns(environment: Environment, changes: Sequence[Any]) -> tuple[int, ...]:
    """The positions of the columns whose changes are asked for by name or position.

    Raises
    ------
    InputError
        For a column that is not there, or that is named twice.
    """
    names = list(environment.columns)
    if isinstance(changes, str):
        changes = (changes,)
    found = []
    for change in changes:
        if isinstance(change, str) and change in names:
            found.append(names.index(change))
        elif isinstance(change, int | np.integer) and not isinstance(change, bool) and 0 <= change < len(names):
            found.append(int(change))
        else:
            hint = did_you_mean(str(change), names)
            raise InputError(
                f"changes are names or positions of the columns {names[:20]}; got {str(change)!r:.60}.{hint}"
            )
    if len(set(found)) < len(found):
        raise InputError(f"changes must be different columns; got {[names[j] for j in found][:20]}")
    return tuple(found)


def observed_rows(observations: np.ndarray, changes: Sequence[int] = ()) -> np.ndarray:
    """The rows ``(t, d + c)`` of one episode's observations ``(t, d)``: each change is 0 at the start.

    Examples
    --------
    >>> observed_rows(np.array([[1.0, 5.0], [4.0, 5.0]]), [0])
    array([[1., 5., 0.],
           [4., 5., 3.]])
    """
    observations = np.asarray(observations, dtype=np.float64)
    if not len(changes):
        return observations
    moved = np.diff(observations[:, list(changes)], axis=0, prepend=observations[:1, list(changes)])
    return np.hstack([observations, moved])


def standing(episodes: Any, changes: Sequence[int] = ()) -> np.ndarray:
    """All rows ``(n, d + c)`` that recorded episodes went through, one episode after the other."""
    return np.concatenate([observed_rows(one, changes) for one in episodes.observations])
