"""What a formula is made of: numeric columns as they are, and conditions on the levels of the others.

A column with levels gives a condition for each level with enough rows - ``[job = 'nurse']``, 1 where it holds and 0
elsewhere -, and one for the group of levels that splits the answers best. Of columns with ordered levels, groups are
those from a level on.

Source
------
Fisher1958 for the best group: the levels sorted by their mean answer, and cut once.

Cost
----
O(rows x levels) for each column with levels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import sympy as sp

from limbeck._core.tables import Schema
from limbeck.readable import IsIn
from limbeck.readable._language import column_symbol, count_symbols

LEAST_SHARE = 0.005
LEAST_WEIGHT = 5.0
MAX_LEVELS_IN_GROUP = 6
MAX_ORDERED_CUTS = 8


@dataclass(frozen=True)
class Feature:
    """A numeric column, or the condition that a column has one of some levels."""

    column: int
    levels: tuple[int, ...]
    expression: sp.Expr

    @property
    def symbols(self) -> int:
        """How many symbols a person reads."""
        return count_symbols(self.expression)

    def values(self, Z: np.ndarray) -> np.ndarray:
        """The feature on encoded rows, ``(n,)``."""
        column = Z[:, self.column]
        return np.isin(column, self.levels).astype(np.float64) if self.levels else np.ascontiguousarray(column)


def feature_matrix(features: tuple[Feature, ...], Z: np.ndarray) -> np.ndarray:
    """All features on encoded rows, ``(n, m)``."""
    return np.column_stack([f.values(Z) for f in features]) if features else np.zeros((len(Z), 0))


def build_features(schema: Schema, Z: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> tuple[Feature, ...]:
    """The features of a table; columns that do not vary give none.

    Parameters
    ----------
    schema : Schema
    Z : array ``(n, d)``
        Encoded rows.
    targets : array ``(n, k)``
        What groups of levels are to split.
    weights : array ``(n,)``
    """
    found: list[Feature] = []
    for j in range(len(schema)):
        if np.ptp(Z[:, j]) == 0.0:
            continue
        if not schema.has_levels(j):
            found.append(Feature(j, (), column_symbol(j)))
            continue
        names = schema.columns[j].level_names
        for levels in _level_sets(schema, j, Z[:, j].astype(np.int64), targets, weights):
            condition = IsIn.of(column_symbol(j), [names[level] for level in levels])
            found.append(Feature(j, levels, sp.Piecewise((1, condition), (0, True), evaluate=False)))
    return tuple(found)


def _level_sets(
    schema: Schema, j: int, codes: np.ndarray, targets: np.ndarray, weights: np.ndarray
) -> list[tuple[int, ...]]:
    mass = np.bincount(codes, weights, minlength=len(schema.columns[j].levels))
    present = np.flatnonzero(mass)
    least = min(max(LEAST_WEIGHT, LEAST_SHARE * mass.sum()), float(np.sort(mass[present])[-2]))
    sets: list[tuple[int, ...]] = [(int(level),) for level in present if mass[level] >= least]
    if len(present) == 2:
        return sets[-1:]
    if schema.columns[j].kind == "ordinal":
        cuts = np.unique(np.linspace(1, len(present) - 1, MAX_ORDERED_CUTS).astype(np.int64))
        groups = [_shorter_side(present, cut) for cut in cuts]
    else:
        groups = []
        for answer in targets.T:
            means = np.bincount(codes, weights * answer, minlength=len(mass))[present] / mass[present]
            order = present[np.argsort(means, kind="stable")]
            groups.append(_shorter_side(order, _best_cut(np.sort(means), mass[order])))
    kept = [group for group in groups if len(group) <= MAX_LEVELS_IN_GROUP]
    return list(dict.fromkeys([*sets, *kept]))


def _best_cut(means: np.ndarray, mass: np.ndarray) -> int:
    """After how many of the sorted levels the cut explains most variance."""
    total, sums = np.cumsum(mass)[:-1], np.cumsum(mass * means)[:-1]
    rest, rest_sums = mass.sum() - total, (mass * means).sum() - sums
    return 1 + int(np.argmax(sums**2 / total + rest_sums**2 / rest))


def _shorter_side(order: np.ndarray, cut: int) -> tuple[int, ...]:
    left, right = order[:cut], order[cut:]
    return tuple(sorted(int(level) for level in (left if len(left) <= len(right) else right)))
