"""Searching a rule list: rules are grown by beam search, put anywhere in the list, and all of them set anew in turn.

Source
------
Own, for decision lists as in Rivest1987. Cohen1995 replaces and revises rules after they are grown.

Symbols
-------
The objective is the weighted squared error around the rules' means, and a price for each symbol.

Departures
----------
Sequential covering takes each rule for itself and never looks back. Here every rule is judged by the whole list's
objective: what the rows that it takes would lose otherwise, and how the rest is predicted anew.

Checked
-------
Every accepted change lowers the objective, computed anew from all rows. Planted lists are found.

Cost
----
A beam search asks some twenty histograms of the rows; a list of r rules needs about r * r of them, on at most
`ROWS` rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np

from limbeck.students._rule_grid import Clause, Grid, Span, Wanted, best_spans, refined_span

__all__ = ["Draft", "grown_list", "objective", "place_of", "polished_list", "tuned_list"]

Draft: TypeAlias = tuple[Clause, ...]
"""The conditions of a list's rules, but the last, which has none."""

ROWS = 3_000
WIDTH = 6
FINALISTS = 3
SWEEPS = 3


def place_of(grid: Grid, draft: Draft) -> np.ndarray:
    """For each row the position of the rule that decides it, ``(n,)``."""
    place = np.full(len(grid), len(draft))
    for i in range(len(draft) - 1, -1, -1):
        place[grid.meets_all(draft[i])] = i
    return place


def _sums(grid: Grid, place: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    mass = np.bincount(place, weights=grid.weights, minlength=count)
    sums = [np.bincount(place, weights=grid.weights * g, minlength=count) for g in grid.goal.T]
    return mass, np.column_stack(sums)


def means_of(grid: Grid, place: np.ndarray, count: int) -> np.ndarray:
    """The mean goal of the rows of each rule, ``(count, k)``; zero where it has none."""
    mass, sums = _sums(grid, place, count)
    return sums / np.where(mass > 0, mass, 1.0)[:, None]


def objective(grid: Grid, draft: Draft) -> float:
    """Loss (less that of predicting 0) and price; infinite where a rule has too few rows."""
    mass, sums = _sums(grid, place_of(grid, draft), len(draft) + 1)
    if draft and mass.min() < grid.least - 1e-9:
        return np.inf
    return grid.price * sum(map(grid.symbols, draft)) - float(((sums**2).sum(axis=1) / mass).sum())


def grown_list(grid: Grid, max_rules: int, max_conditions: int) -> list[Draft]:
    """The best lists found of no rule, of one rule more, and so on, as long as one more rule is worth its price."""
    path: list[Draft] = [()]
    while len(path[-1]) < max_rules:
        now = objective(grid, path[-1])
        best = _with_one_more(grid, path[-1], max_conditions)
        if best is None:
            break
        best = polished_list(grid, best, max_conditions)
        if objective(grid, best) >= now - 1e-9 * abs(now):
            break
        path = [draft for draft in path if len(draft) < len(best)] + [best]
    return path


def _with_one_more(grid: Grid, draft: Draft, max_conditions: int) -> Draft | None:
    """The best list with one rule more, at any position."""
    found = []
    for position in range(len(draft) + 1):
        for clause in _beam(grid, *_wanted_at(grid, draft, position), max_conditions):
            found.append((*draft[:position], clause, *draft[position:]))
    return min(found, key=lambda new: objective(grid, new), default=None)


def _wanted_at(grid: Grid, draft: Draft, position: int) -> tuple[Wanted, Clause]:
    """What a new rule at this position is to improve; it starts without conditions."""
    place = place_of(grid, draft)
    means = means_of(grid, place, len(draft) + 1)
    rows = np.flatnonzero(place >= position)
    return Wanted.of(grid, rows, means[place[rows]], last=position == len(draft)), ()


def _beam(grid: Grid, wanted: Wanted, start: Clause, max_conditions: int) -> list[Clause]:
    """The best clauses that add conditions to the start, the best first."""
    complete: dict[Clause, float] = {}
    beam = [start]
    while beam and len(beam[0]) < max_conditions:
        grown: dict[Clause, float] = {}
        for clause in beam:
            met = _met(grid, clause, wanted.rows)
            base = grid.price * grid.symbols(clause)
            for net, j, span in best_spans(grid, wanted, met, {j for j, _ in clause}):
                new = tuple(sorted([*clause, (j, span)], key=lambda item: item[0]))
                grown[new] = net - base - grid.price
        beam = sorted(grown, key=lambda clause: -grown[clause])[:WIDTH]
        complete |= {clause: grown[clause] for clause in beam}
    return sorted(complete, key=lambda clause: -complete[clause])[:FINALISTS]


def _met(grid: Grid, clause: Clause, rows: np.ndarray) -> np.ndarray:
    return grid.meets_all(clause)[rows]


def polished_list(grid: Grid, draft: Draft, max_conditions: int) -> Draft:
    """The list after changes to its rules, one at a time, as long as one lowers the objective."""
    best = objective(grid, draft)
    for _ in range(SWEEPS):
        before = best
        i = 0
        while i < len(draft):
            for new in _changes(grid, draft, i, max_conditions):
                value = objective(grid, new)
                if value < best - 1e-9 * abs(best):
                    draft, best = new, value
                    break
            i += 1
        if best >= before - 1e-4 * abs(before):
            break
    return draft


def _changes(grid: Grid, draft: Draft, i: int, max_conditions: int) -> Iterator[Draft]:
    """Lists in which rule `i` goes, comes earlier, joins the next, or has a condition less, another, or one more."""
    clause = draft[i]
    rest: Draft = (*draft[:i], *draft[i + 1 :])
    yield rest
    for at in sorted({0, i // 2, i - 1} - {i, -1}):
        yield _lean(grid, (*rest[:at], clause, *rest[at:]))
    if len(clause) == 1 and i + 1 < len(draft):
        for folded in _folded(grid, clause[0], draft[i + 1], max_conditions):
            yield (*draft[:i], folded, *draft[i + 2 :])
    wanted, _ = _wanted_at(grid, rest, i)
    starts: list[Clause] = [tuple(item for item in clause if item[0] != j) for j, _ in clause]
    for start in starts:
        if start:
            yield (*draft[:i], start, *draft[i + 1 :])
    for start in [*starts, clause]:
        if len(start) < max_conditions:
            for new in _beam(grid, wanted, start, len(start) + 1)[:2]:
                yield (*draft[:i], new, *draft[i + 1 :])


def _folded(grid: Grid, condition: tuple[int, Span], following: Clause, max_conditions: int) -> Iterator[Clause]:
    """The following rule, where the condition does not hold: "if not a: v; if b: w; else v" is "if a and b: w"."""
    j, span = condition
    spans = dict(following)
    if isinstance(span, frozenset):
        other: Span = frozenset(range(grid.sizes[j])) - span
    elif span[0] == 0 or span[1] == grid.sizes[j]:
        other = (span[1], grid.sizes[j]) if span[0] == 0 else (0, span[0])
    else:
        return
    now = spans.get(j, other)
    if isinstance(now, frozenset) and isinstance(other, frozenset):
        spans[j] = now & other
    elif isinstance(now, tuple) and isinstance(other, tuple):
        spans[j] = (max(now[0], other[0]), min(now[1], other[1]))
    shared = spans[j]
    if len(spans) <= max_conditions and (shared if isinstance(shared, frozenset) else shared[0] < shared[1]):
        yield tuple(sorted(spans.items(), key=lambda item: item[0]))


def _lean(grid: Grid, draft: Draft) -> Draft:
    """The list without the rules and conditions that it can do without."""
    best = objective(grid, draft)
    for i in range(len(draft) - 1, -1, -1):
        shorter = [(*draft[:i], *draft[i + 1 :])]
        for j, _ in draft[i] if len(draft[i]) > 1 else ():
            clause = tuple(item for item in draft[i] if item[0] != j)
            shorter.append((*draft[:i], clause, *draft[i + 1 :]))
        for new in shorter:
            value = objective(grid, new)
            if value < best:
                draft, best = new, value
                break
    return draft


def tuned_list(grid: Grid, draft: Draft, sweeps: int = SWEEPS) -> Draft:
    """The list with every condition set anew on its column, as long as that lowers the objective."""
    best = objective(grid, draft)
    for _ in range(sweeps):
        before = best
        for i in range(len(draft)):
            for j, _ in draft[i]:
                new = _moved(grid, draft, i, j)
                value = objective(grid, new) if new != draft else np.inf
                if value < best - 1e-12 * abs(best):
                    draft, best = new, value
        if best >= before - 1e-6 * abs(before):
            break
    return draft


def _moved(grid: Grid, draft: Draft, i: int, j: int) -> Draft:
    """The list with the condition of rule `i` on column `j` set anew, all values as they are."""
    rows, delta = deltas(grid, draft, i, j)
    spans = dict(draft[i])
    if not len(rows):
        return draft
    spans[j] = refined_span(grid, j, rows, delta, spans[j])
    return (*draft[:i], tuple(sorted(spans.items(), key=lambda item: item[0])), *draft[i + 1 :])


def deltas(grid: Grid, draft: Draft, i: int, j: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows that reach rule `i` and meet its other conditions; for each its loss in the rule, less that after it."""
    count = len(draft) + 1
    means = means_of(grid, place_of(grid, draft), count)
    after = place_of(grid, tuple(clause for q, clause in enumerate(draft) if q != i))
    others: Sequence[tuple[int, object]] = [item for item in draft[i] if item[0] != j]
    rows = np.flatnonzero((after >= i) & grid.meets_all(tuple(others)))  # type: ignore[arg-type]
    goal = grid.goal[rows]
    inside = ((goal - means[i]) ** 2).sum(axis=1)
    behind = ((goal - means[after[rows] + 1]) ** 2).sum(axis=1)
    return rows, grid.weights[rows] * (inside - behind)
