"""Candidates of rule sets: the nodes of small boosted trees, and columns held between two bounds.

Source
------
Friedman2008: trees of different sizes, each on half of the rows, fitted to what the ones before leave over.

Departures
----------
The trees split on codes of at most 32 bins, so that many of them share their thresholds; candidates that the same rows,
or exactly the others, meet are one candidate: the shorter.

Cost
----
`TREES` small trees on at most `ROWS` rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from limbeck._core.tables import Schema
from limbeck.students._rule_grid import Clause, Grid, Span, turned
from limbeck.students._rule_weights import Link, curvature, residuals_of
from limbeck.students._tree_growth import Branch, full_growth, prepared

__all__ = ["clauses_of_trees", "linear_bounds"]

TREES = 50
LEAVES = (2, 3, 4, 6, 8)
SHRINKAGE = 0.2
MOST_CANDIDATES = 600
TAIL = 0.025


def clauses_of_trees(
    schema: Schema, grid: Grid, targets: np.ndarray, link: Link, max_conditions: int, seed: int
) -> list[Clause]:
    """Different clauses of at most so many conditions, those of earlier trees first."""
    rng = np.random.default_rng(seed)
    n = len(grid)
    base = prepared(schema, grid.codes.astype(np.float64), grid.goal, grid.weights, scale=False, min_leaf=grid.least)
    weights = grid.weights / grid.weights.sum()
    scores = np.zeros_like(targets) + (weights @ targets if link == "identity" else 0.0)
    found: dict[bytes, Clause] = {}
    for t in range(TREES):
        residuals = -residuals_of(scores, targets, link)
        rows = np.sort(rng.choice(n, max(min(n, 20), n // 2), replace=False)) if n > 40 else np.arange(n)
        material = replace(base, goal=turned(residuals, weights))
        tree = full_growth(material, rows, seed, leaves=LEAVES[t % len(LEAVES)])
        for clause, leaf in _paths(grid, tree, {}):
            met = grid.meets_all(clause)
            if leaf:
                mass = float(weights[met].sum())
                mean = weights[met] @ residuals[met] / mass if mass > 0 else 0.0
                scores[met] += SHRINKAGE / curvature(link) * mean
            _keep(grid, found, clause, met, max_conditions)
    return list(found.values())[:MOST_CANDIDATES]


def _keep(grid: Grid, found: dict[bytes, Clause], clause: Clause, met: np.ndarray, max_conditions: int) -> None:
    """Enter the clause, unless one as short is there that the same rows meet, or exactly the others."""
    held = float(grid.weights[met].sum())
    if not 0 < len(clause) <= max_conditions or min(held, grid.weights.sum() - held) < grid.least - 1e-9:
        return
    key = np.packbits(met if met[0] else ~met).tobytes()
    if key not in found or grid.symbols(clause) < grid.symbols(found[key]):
        found[key] = clause


def _paths(grid: Grid, branch: Branch, spans: dict[int, Span]) -> Iterator[tuple[Clause, bool]]:
    """The conditions of every node, and whether it is a leaf."""
    children = branch.children()
    yield tuple(sorted(spans.items(), key=lambda item: item[0])), children is None
    for child, span in zip(children or (), _sides(grid, branch) if children else (), strict=True):
        yield from _paths(grid, child, {**spans, branch.column: _joined(spans.get(branch.column), span)})


def _sides(grid: Grid, branch: Branch) -> tuple[Span, Span]:
    """The spans of the rows that go left, and right."""
    j = branch.column
    if grid.nominal[j]:
        return branch.levels, frozenset(range(grid.sizes[j])) - branch.levels
    cut = max(branch.levels) + 1 if branch.threshold is None else math.floor(branch.threshold) + 1
    return (0, cut), (cut, grid.sizes[j])


def _joined(a: Span | None, b: Span) -> Span:
    if a is None:
        return b
    if isinstance(a, frozenset) and isinstance(b, frozenset):
        return a & b
    return max(a[0], b[0]), min(a[1], b[1])  # type: ignore[index]


def linear_bounds(values: np.ndarray, weights: np.ndarray) -> tuple[float, float] | None:
    """Short bounds near the 2.5 % and 97.5 % quantiles of a column; None where it hardly varies."""
    order = np.argsort(values, kind="stable")
    mass = np.cumsum(weights[order]) / weights.sum()
    low, high = (float(values[order][np.searchsorted(mass, share)]) for share in (TAIL, 1 - TAIL))
    if not low < high:
        return None
    digits = 1 - math.floor(math.log10(high - low))
    short = round(low, digits) + 0.0, round(high, digits) + 0.0
    return short if short[0] < short[1] else (low, high)
