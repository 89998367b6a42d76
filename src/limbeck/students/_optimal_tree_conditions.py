"""Candidate conditions of a small tree: quantiles, levels, and what greedy trees ask.

Source
------
McTavish2022 for taking thresholds from a greedy tree's own conditions; quantiles are common practice.

Departures
----------
The greedy trees are one of the same depth and one of 32 leaves, not boosted ones.

Checked
-------
Every condition parts the rows, and no two part them alike; every condition of the greedy tree is among them.

Cost
----
Two CARTs, and one comparison of all rows a condition.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from limbeck.students._tree_growth import Branch, Material, full_growth
from limbeck.students._tree_refine import simplest_between

__all__ = ["Condition", "candidate_conditions"]

GREEDY_LEAVES = 32
FEW_LEVELS = 5
"""Up to so many levels every set of them is a condition."""
MANY_LEVELS = 30
"""The most levels of a nominal column that are each a condition: the most frequent ones."""


@dataclass(frozen=True)
class Condition:
    """One question about one column: ``x <= threshold``, or one of these levels."""

    column: int
    threshold: float | None = None
    levels: frozenset[int] = frozenset()

    def holds(self, values: np.ndarray) -> np.ndarray:
        """Which encoded rows ``(n, d)`` meet it."""
        x = values[:, self.column]
        return x <= self.threshold if self.threshold is not None else np.isin(x, list(self.levels))


def candidate_conditions(material: Material, max_depth: int, n_thresholds: int, seed: int) -> list[Condition]:
    """The conditions among which trees are sought, no two of which part the rows alike."""
    found: list[Condition] = []
    for j in range(len(material.schema)):
        found += _of_column(material, j, n_thresholds)
    rows = np.arange(len(material.values))
    if len(rows) > 1:
        for leaves in (GREEDY_LEAVES, None):
            found += _of_tree(full_growth(material, rows, seed, leaves=leaves), max_depth if leaves is None else 99)
    kept, seen = [], set()
    for condition in found:
        holds = condition.holds(material.values)
        key = np.packbits(holds if not holds[0] else ~holds).tobytes()
        if 0 < holds.sum() < len(holds) and key not in seen:
            seen.add(key)
            kept.append(condition)
    return kept


def _of_column(material: Material, j: int, n_thresholds: int) -> list[Condition]:
    """Quantiles of a column of numbers; sets of few levels, single ones of many; the first of an ordered column."""
    column, distinct = material.schema.columns[j], material.distinct[j]
    held = np.bincount(material.ranks[j], weights=material.weights, minlength=len(distinct))
    if column.levels and column.kind == "ordinal":
        return [Condition(j, None, frozenset(range(code + 1))) for code in range(len(column.levels) - 1)]
    if column.levels:
        common = np.sort(np.argsort(-held, kind="stable")[: min(MANY_LEVELS, int((held > 0).sum()))])
        most = len(common) // 2 if len(common) <= FEW_LEVELS else 1
        sets = [frozenset(some) for size in range(1, most + 1) for some in combinations(common.tolist(), size)]
        return [Condition(j, None, levels) for levels in sets]
    below = np.cumsum(held)[:-1] / held.sum()
    wanted = np.arange(1, n_thresholds + 1) / (n_thresholds + 1)
    if len(below) <= n_thresholds:
        gaps = np.arange(len(below))
    else:
        gaps = np.unique(np.abs(below[None, :] - wanted[:, None]).argmin(axis=1))
    return [Condition(j, _short(distinct, int(gap))) for gap in gaps]


def _short(distinct: np.ndarray, gap: int) -> float:
    """The shortest decimal between two neighbouring values."""
    low, high = distinct[gap], distinct[gap + 1]
    middle = low / 2 + high / 2
    return simplest_between(distinct[gap : gap + 2], np.zeros(1), float(middle if low <= middle < high else low))


def _of_tree(branch: Branch, depth: int) -> list[Condition]:
    """The conditions of a tree's first levels."""
    children = branch.children()
    if children is None or depth == 0:
        return []
    own = Condition(branch.column, branch.threshold, branch.levels)
    return [own, *_of_tree(children[0], depth - 1), *_of_tree(children[1], depth - 1)]
