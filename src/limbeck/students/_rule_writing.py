"""From spans of codes to conditions as a person reads them: short thresholds, few levels, nothing said twice.

Source
------
Own; the rounding of thresholds is that of `_tree_refine`.

Departures
----------
A threshold that another rule has on the same column is taken over where that costs next to nothing: the two conditions
then meet, and often one of them need not be said.

Cost
----
One pass over the rows a condition.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from limbeck.readable import Condition
from limbeck.students._rule_grid import Grid, Span
from limbeck.students._rule_search import Draft, deltas, objective
from limbeck.students._tree_growth import Material
from limbeck.students._tree_refine import simplest_between

__all__ = ["Judge", "ListJudge", "fine_draft", "written_conditions", "written_levels"]

SHORT = 3e-5
"""Share of the spread that a threshold may cost to be written with fewer digits."""
MOST = 1e-3
"""Share of the spread that all thresholds may cost together."""


def fine_draft(draft: Draft, starts: Sequence[np.ndarray]) -> Draft:
    """The list found on the grid of bins, on the grid of ranks."""

    def fine(j: int, span: Span) -> Span:
        return span if isinstance(span, frozenset) else (int(starts[j][span[0]]), int(starts[j][span[1]]))

    return tuple(tuple((j, fine(j, span)) for j, span in clause) for clause in draft)


def written_conditions(
    material: Material, grid: Grid, draft: Draft, judge: Judge, spread: float
) -> tuple[list[tuple[Condition, ...]], Draft]:
    """The conditions of each rule, thresholds as short as next to no loss allows; and the list or set that they are.

    Parameters
    ----------
    material : Material
    grid : Grid
        The material's ranks.
    draft : Draft
    judge : Judge
        What changes of the conditions cost.
    spread : float
        The loss that costs are shares of.
    """
    before = judge.loss(draft)
    for share in (1.0, 0.1, 0.0):
        writer = _Writer(material, grid, draft, judge, share * SHORT * spread)
        if judge.loss(writer.draft) - before <= MOST * spread:
            break
    return writer.written, writer.draft


class Judge(Protocol):
    """What changes of conditions cost."""

    def loss(self, draft: Draft) -> float:
        """The loss with these conditions."""

    def deltas(self, draft: Draft, i: int, j: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows that rule `i` may take by its condition on column `j`; what each loses more if it is taken."""


class ListJudge:
    """Judges the conditions of a list: values are means."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid

    def loss(self, draft: Draft) -> float:
        """The objective."""
        return objective(self.grid, draft)

    def deltas(self, draft: Draft, i: int, j: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows that reach the rule and meet its other conditions, and their loss in it less that behind it."""
        return deltas(self.grid, draft, i, j)


class _Writer:
    """Writes the conditions in order; `draft` follows what is written."""

    def __init__(self, material: Material, grid: Grid, draft: Draft, judge: Judge, allowed: float) -> None:
        self.material, self.grid, self.draft, self.judge, self.allowed = material, grid, draft, judge, allowed
        self.used: dict[int, list[float]] = {}
        self.written = [self._rule(i) for i in range(len(draft))]

    def _rule(self, i: int) -> tuple[Condition, ...]:
        conditions = []
        for j, span in self.draft[i]:
            rows, delta = self.judge.deltas(self.draft, i, j)
            if self.grid.n_levels[j]:
                codes = span if isinstance(span, frozenset) else frozenset(range(*span))
                held = frozenset(np.unique(self.grid.codes[rows, j]).tolist())
                condition = written_levels(j, codes, held)
            else:
                condition = self._interval(i, j, rows, delta)
            if condition is not None:
                conditions.append(condition)
        return tuple(conditions)

    def _interval(self, i: int, j: int, rows: np.ndarray, delta: np.ndarray) -> Condition | None:
        """The interval with short bounds; None where every row meets it."""
        first, stop = dict(self.draft[i])[j]  # type: ignore[misc]
        ranks = self.grid.codes[rows, j]
        here, place = np.unique(ranks, return_inverse=True)
        cost = np.bincount(place.ravel(), weights=delta, minlength=len(here))
        mass = np.bincount(place.ravel(), weights=self.grid.weights[rows], minlength=len(here))
        below, upto = int(np.searchsorted(here, first)) - 1, int(np.searchsorted(here, stop)) - 1
        if upto <= below:  # shorter thresholds of earlier rules have taken its rows: it is left out afterwards
            return self._as_it_is(j, first, stop)
        values, total, held = self.material.distinct[j][here], np.cumsum(cost), np.cumsum(mass)
        low = high = None
        if upto < len(here) - 1:
            start = held[below] if below >= 0 else 0.0
            fine = (total - total[upto] <= self.allowed) & (held - start >= self.grid.least)
            high = self._bound(j, values, total, fine, upto, max(below + 1, 0))
            stop = int(np.searchsorted(self.material.distinct[j], high, side="right"))
            upto = int(np.searchsorted(values, high, side="right")) - 1
        else:
            stop = self.grid.sizes[j]
        if below >= 0:
            fine = (total[below] - total <= self.allowed) & (held[upto] - held >= self.grid.least)
            low = self._bound(j, values, -total, fine, below, 0)
            first = int(np.searchsorted(self.material.distinct[j], low, side="right"))
        else:
            first = 0
        spans = {**dict(self.draft[i]), j: (first, stop)}
        self.draft = (*self.draft[:i], tuple(sorted(spans.items(), key=lambda item: item[0])), *self.draft[i + 1 :])
        return None if low is None and high is None else Condition(j, low, high)

    def _as_it_is(self, j: int, first: int, stop: int) -> Condition:
        values = self.material.distinct[j]
        low = float(values[first - 1]) if first > 0 else None
        return Condition(j, low, float(values[stop - 1]) if stop < len(values) else None)

    def _bound(self, j: int, values: np.ndarray, total: np.ndarray, fine: np.ndarray, now: int, least: int) -> float:
        """A short number in the gaps around `now` that are fine, one in use on the column first."""
        fine = fine.copy()
        fine[now], fine[-1] = True, False
        first = last = now
        while self.allowed > 0 and first > least and fine[first - 1]:
            first -= 1
        while self.allowed > 0 and fine[last + 1]:
            last += 1
        used = self.used.setdefault(j, [])
        places = [int(np.searchsorted(values, bound, side="right")) - 1 for bound in used]
        known = [(total[at], bound) for at, bound in zip(places, used, strict=True) if first <= at <= last]
        if known:
            return min(known)[1]
        gap = values[now : now + 2]
        middle = float(gap[0] / 2 + gap[1] / 2)
        otherwise = middle if gap[0] <= middle < gap[1] else float(gap[0])
        bound = simplest_between(values[first : last + 2], total[first : last + 1], otherwise)
        used.append(bound)
        return bound


def written_levels(j: int, codes: frozenset[int], held: frozenset[int]) -> Condition | None:
    """The set by its shorter side, of levels with rows; None where all rows, or none, have one of them."""
    inside, outside = sorted(codes & held), sorted(held - codes)
    if not inside or not outside:
        return None
    excluded = len(outside) < len(inside)
    return Condition(j, levels=tuple(outside if excluded else inside), excluded=excluded)
