"""Rows as codes, and conditions as spans of codes: what the search for rules works on.

A numeric column's values are numbered, on a coarse grid by at most `BINS` bins of about equal weight, on the fine grid
by their ranks. A condition is then a span ``(first, stop)`` of codes, or on a nominal column a set of levels.

Source
------
Own.

Cost
----
`best_spans` is one histogram of the rows a column, and all intervals of at most 32 bins.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeAlias

import numpy as np

from limbeck.students._tree_growth import Material

__all__ = ["Clause", "Grid", "Span", "Wanted", "best_spans", "coarse_grid", "fine_grid", "refined_span", "turned"]

Span: TypeAlias = tuple[int, int] | frozenset[int]
"""Codes from the first to before the second, or a set of levels."""

Clause: TypeAlias = tuple[tuple[int, Span], ...]
"""Conditions that hold together: columns, ascending, and their spans."""

BINS = 32
MOST_KEPT = 20_000_000
"""How many answers to "which rows meet this" are kept."""
DIRECTIONS = 4
"""With more outputs the search looks at so many principal directions of them."""


@dataclass(frozen=True)
class Grid:
    """The rows as codes.

    Attributes
    ----------
    codes : array ``(n, d)`` of int
    sizes : tuple of int
        For each column how many codes there are.
    n_levels : tuple of int
        For each column how many levels there are; 0 for numbers.
    nominal : tuple of bool
        For each column whether its levels have no order.
    goal : array ``(n, k)``
    weights : array ``(n,)``
    least : float
        The least weight of a rule.
    price : float
        The loss that each symbol must save.
    value_symbols : int
        What the value of a rule counts.
    """

    codes: np.ndarray
    sizes: tuple[int, ...]
    n_levels: tuple[int, ...]
    nominal: tuple[bool, ...]
    goal: np.ndarray
    weights: np.ndarray
    least: float
    price: float
    value_symbols: int

    def __len__(self) -> int:
        return len(self.codes)

    def take(self, rows: np.ndarray) -> Grid:
        """The grid of some of the rows; prices and least weights scale with them."""
        share = float(self.weights[rows].sum() / self.weights.sum())
        return replace(
            self,
            codes=np.asfortranarray(self.codes[rows]),
            goal=self.goal[rows],
            weights=self.weights[rows],
            least=self.least * share,
            price=self.price * share,
        )

    def meets(self, j: int, span: Span) -> np.ndarray:
        """Which rows meet the condition."""
        codes = self.codes[:, j]
        if isinstance(span, frozenset):
            table = np.zeros(self.sizes[j], dtype=bool)
            table[list(span)] = True
            return table[codes]
        return (codes >= span[0]) & (codes < span[1])

    def meets_all(self, clause: Clause) -> np.ndarray:
        """Which rows meet all conditions; not to be written to."""
        met = self._met.get(clause)
        if met is None:
            met = np.ones(len(self), dtype=bool)
            for j, span in clause:
                met &= self.meets(j, span)
            if len(self._met) * len(self) > MOST_KEPT:
                self._met.clear()
            self._met[clause] = met
        return met

    @cached_property
    def _met(self) -> dict[Clause, np.ndarray]:
        return {}

    def span_symbols(self, j: int, span: Span) -> int:
        """The symbols of a condition."""
        if self.n_levels[j]:
            inside = len(span) if isinstance(span, frozenset) else span[1] - span[0]
            return 2 + min(inside, self.n_levels[j] - inside)
        first, stop = span  # type: ignore[misc]
        return 1 + 2 * ((first > 0) + (stop < self.sizes[j]))

    def symbols(self, clause: Clause) -> int:
        """The symbols of a rule: its conditions, one between two, "if", and its value."""
        return self.value_symbols + sum(1 + self.span_symbols(j, span) for j, span in clause)

    @cached_property
    def _offsets(self) -> np.ndarray:
        return self.codes + np.arange(len(self.sizes)) * max(self.sizes)

    def histograms(self, rows: np.ndarray, amounts: np.ndarray) -> np.ndarray:
        """The sums of amounts ``(m, c)`` of these rows by column and code, ``(d, codes, c)``."""
        d, width = len(self.sizes), max(self.sizes)
        flat = self._offsets[rows].ravel()
        out = [np.bincount(flat, weights=np.repeat(a, d), minlength=d * width) for a in amounts.T]
        return np.stack(out, axis=-1).reshape(d, width, amounts.shape[1])

    @cached_property
    def intervals(self) -> _Intervals:
        """All intervals on the columns whose codes have an order."""
        return _Intervals(self)


class _Intervals:
    """The intervals ``[first, stop)`` on every ordered column, and the symbols of each; those of all codes are out."""

    def __init__(self, grid: Grid) -> None:
        self.columns = np.array([j for j in range(len(grid.sizes)) if not grid.nominal[j]], dtype=np.int64)
        width = max((grid.sizes[j] for j in self.columns), default=1)
        self.first, self.stop = np.triu_indices(width + 1, 1)
        size = np.array([grid.sizes[j] for j in self.columns])[:, None]
        levels = np.array([grid.n_levels[j] for j in self.columns])[:, None]
        above, below = self.first[None, :] > 0, self.stop[None, :] < size
        inside = self.stop - self.first
        named = 2 + np.minimum(inside, np.maximum(levels - inside, 1))
        self.symbols = np.where(levels > 0, named, 1 + 2 * above + 2 * below)
        self.cuts = (above | below) & (self.stop[None, :] <= size)
        self.sides = (above & below) & (levels == 0)


def coarse_grid(material: Material, price: float, value_symbols: int) -> tuple[Grid, list[np.ndarray]]:
    """The grid of bins, and for each column the rank at which every bin starts (and the number of ranks)."""
    starts = [_bins(material, j) for j in range(len(material.schema))]
    codes = [np.searchsorted(s, rank, side="right") - 1 for s, rank in zip(starts, material.ranks, strict=True)]
    grid = _grid(material, codes, [len(s) - 1 for s in starts], price, value_symbols)
    return replace(grid, goal=turned(grid.goal, grid.weights)), starts


def turned(goal: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The goal along its principal directions, without those in which nothing varies: of two classes, one is left."""
    if goal.shape[1] == 1:
        return goal
    scaled = goal * np.sqrt(weights)[:, None]
    spread, directions = np.linalg.eigh(scaled.T @ scaled)
    kept = np.flatnonzero(spread > 1e-9 * max(float(spread[-1]), 1e-300))[::-1][:DIRECTIONS]
    return goal @ directions[:, kept if len(kept) else [-1]]


def fine_grid(material: Material, price: float, value_symbols: int) -> Grid:
    """The grid of ranks."""
    return _grid(material, list(material.ranks), [len(values) for values in material.distinct], price, value_symbols)


def _grid(material: Material, codes: list[np.ndarray], sizes: list[int], price: float, value_symbols: int) -> Grid:
    columns = material.schema.columns
    return Grid(
        np.asfortranarray(np.column_stack(codes)),
        tuple(sizes),
        tuple(len(column.levels) for column in columns),
        tuple(bool(column.levels) and column.kind == "nominal" for column in columns),
        material.goal,
        material.weights,
        material.min_leaf,
        price,
        value_symbols,
    )


def _bins(material: Material, j: int) -> np.ndarray:
    """The rank at which each bin starts, and the number of ranks."""
    ranks = len(material.distinct[j])
    if ranks <= BINS or material.schema.columns[j].levels:
        return np.arange(ranks + 1)
    mass = np.cumsum(np.bincount(material.ranks[j], weights=material.weights, minlength=ranks))
    cuts = np.searchsorted(mass, mass[-1] * np.arange(1, BINS) / BINS * (1 - 1e-12)) + 1
    return np.unique(np.r_[0, cuts[cuts < ranks], ranks])


@dataclass(frozen=True)
class Wanted:
    """What a rule is to improve: the rows that it may take, and what becomes of those that it does not take.

    Attributes
    ----------
    rows : array of int
        The rows that reach the rule.
    amounts : array ``(m, k + 2)``
        For each: its weight, weight times goal, and what it loses now less what it would lose against a value of 0.
    last : bool
        True where rows that are not taken get a value of their own anew; else they lose what they lose now.
    """

    rows: np.ndarray
    amounts: np.ndarray
    last: bool

    @classmethod
    def of(cls, grid: Grid, rows: np.ndarray, predicted: np.ndarray, *, last: bool) -> Wanted:
        """For the rows that reach a place, given what is predicted for them now."""
        weights, goal = grid.weights[rows], grid.goal[rows]
        losses = weights * (((goal - predicted) ** 2).sum(axis=1) - (goal**2).sum(axis=1))
        return cls(rows, np.column_stack([weights, weights[:, None] * goal, losses]), last)

    def gains(self, taken: np.ndarray, least: float) -> np.ndarray:
        """How much loss is saved for sums of amounts ``(..., k + 2)`` over the rows taken."""
        total = self.amounts.sum(axis=0)
        mass, sums = taken[..., 0], taken[..., 1:-1]
        left = total[0] - mass
        with np.errstate(all="ignore"):
            saved = (sums**2).sum(axis=-1) / mass
            if self.last:
                saved += ((total[1:-1] - sums) ** 2).sum(axis=-1) / left - (total[1:-1] ** 2).sum() / total[0]
            else:
                saved += taken[..., -1]
        return np.where((mass >= least - 1e-9) & (left >= least - 1e-9), saved, -np.inf)


def best_spans(grid: Grid, wanted: Wanted, met: np.ndarray, without: set[int]) -> list[tuple[float, int, Span]]:
    """For each column its best spans among the rows `met`: pairs of gain less price, column, and span."""
    table = grid.histograms(wanted.rows[met], wanted.amounts[met])
    out: list[tuple[float, int, Span]] = []
    ordered = grid.intervals
    if len(ordered.columns):
        sums = np.cumsum(table[ordered.columns][:, : ordered.stop.max()], axis=1)
        sums = np.concatenate([np.zeros_like(sums[:, :1]), sums], axis=1)
        net = wanted.gains(sums[:, ordered.stop] - sums[:, ordered.first], grid.least) - grid.price * ordered.symbols
        for two_sided in (False, True):
            now = np.where(ordered.cuts & (ordered.sides == two_sided), net, -np.inf)
            for row, (j, at) in enumerate(zip(ordered.columns, now.argmax(axis=1), strict=True)):
                out.append((float(now[row, at]), int(j), (int(ordered.first[at]), int(ordered.stop[at]))))
    for j in np.flatnonzero(grid.nominal):
        if int(j) not in without:
            out += [(net, int(j), span) for net, span in _best_levels(grid, wanted, int(j), table[j])]
    return [item for item in out if np.isfinite(item[0]) and item[1] not in without]


def _best_levels(grid: Grid, wanted: Wanted, j: int, table: np.ndarray) -> Iterator[tuple[float, Span]]:
    """The best set of levels, from those around each level's mean and those at either end of the means' order."""
    here = np.flatnonzero(table[:, 0] > 0)
    if len(here) < 2:
        return
    table = table[here]
    means = table[:, 1:-1] / table[:, :1]
    order = np.argsort(_along(means, table[:, 0]), kind="stable")
    place = np.empty(len(here), dtype=np.int64)
    place[order] = np.arange(len(here))
    cuts = np.arange(1, len(here))[:, None]
    # Each level's loss against a value v, less its loss now, is negative where it should be taken with v
    values = means[:64]
    against = -2 * values @ table[:, 1:-1].T + (values**2).sum(axis=1)[:, None] * table[:, 0]
    member = np.vstack([place < cuts, place >= cuts, against < table[:, -1], np.eye(len(here), dtype=bool)])
    inside = member.sum(axis=1)
    symbols = 2 + np.minimum(inside, np.maximum(len(here) - inside, 1))
    net = wanted.gains(member @ table, grid.least) - grid.price * symbols
    net[(inside == 0) | (inside == len(here))] = -np.inf
    at = int(net.argmax())
    yield float(net[at]), frozenset(here[member[at]].tolist())


def _along(means: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """The means along the direction in which they differ most."""
    if means.shape[1] == 1:
        return means[:, 0]
    centred = (means - mass @ means / mass.sum()) * np.sqrt(mass)[:, None]
    return means @ np.linalg.svd(centred, full_matrices=False)[2][0]


def refined_span(grid: Grid, j: int, rows: np.ndarray, delta: np.ndarray, now: Span) -> Span:
    """The span on column `j` with the least sum of delta over the rows that meet it, and the price of its symbols."""
    cost = np.bincount(grid.codes[rows, j], weights=delta, minlength=grid.sizes[j])
    if isinstance(now, frozenset):
        held = set(np.unique(grid.codes[rows, j]).tolist())
        found = {code for code in held if cost[code] < 0}
        named = found if 2 * len(found) <= len(held) else held - found
        cheap = {code for code in named if abs(cost[code]) < grid.price}
        found = found - cheap if named is found else found | cheap
        return frozenset(found) if 0 < len(found) < len(held) else now
    total = np.concatenate([[0.0], np.cumsum(cost)])
    stop_only, first_only = int(total[1:-1].argmin()) + 1, int(total[1:-1].argmax()) + 1
    highest = np.maximum.accumulate(total)
    stop = int((total - highest).argmin())
    first = int(total[: stop + 1].argmax())
    choices = [(0, stop_only), (first_only, grid.sizes[j])] + ([(first, stop)] if first < stop else [])

    def price(span: tuple[int, int]) -> float:
        return float(total[span[1]] - total[span[0]]) + grid.price * grid.span_symbols(j, span)

    return min(choices, key=price)
