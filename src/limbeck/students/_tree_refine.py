"""Making a grown tree better at the same number of leaves, and shorter to read: fewer digits, fewer levels.

Source
------
Carreira2018: alternating optimisation of trees. With everything else fixed, the best condition of one node is the best
split of its rows into those that the left subtree predicts better and those that the right one does.

Symbols
-------
delta_i -> `delta`: loss of row i on the left minus its loss on the right. A condition's cost is the sum of delta over
the rows that it sends left.

Departures
----------
- A changed condition is kept only where the whole subtree, its leaves' values recomputed and starved leaves removed,
  has less loss; so every step lowers the loss, and it ends.
- A nominal column's best set of levels is exact here: each level goes to the side with the smaller sum.

Checked
-------
The loss never rises; on planted trees that greedy growth misses the planted conditions are found.

Cost
----
A pass is O(n * depth * d): sums by rank, no sorting.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from limbeck.students._tree_growth import Branch, Material, leaf_loss

__all__ = ["best_on_column", "refined", "routed", "shortened", "simplest_between", "tree_loss"]

PASSES = 20
SHORT = 1e-5
"""Share of the spread that a condition may cost to be written with fewer digits."""
FEW = 1e-4
"""Share of the spread that a condition may cost to name fewer levels: each is one symbol to read."""


def tree_loss(material: Material, branch: Branch) -> float:
    """The weighted squared error of the branch's rows around the means of their leaves."""
    children = branch.children()
    if children is not None:
        return tree_loss(material, children[0]) + tree_loss(material, children[1])
    return leaf_loss(material, branch)


def refined(material: Material, root: Branch, *, least: float = 1e-6) -> Branch:
    """A tree of at most as many leaves with at most the loss: every condition is set anew while that helps.

    It ends with the pass that brings no more than `least`, a share of the spread.
    """
    for _ in range(PASSES):
        before = tree_loss(material, root)
        root = _refined_once(material, root)
        if before - tree_loss(material, root) <= least * material.spread:
            break
    return root


def _refined_once(material: Material, branch: Branch) -> Branch:
    """One pass, from the leaves up."""
    children = branch.children()
    if children is None:
        return branch
    left, right = (_refined_once(material, child) for child in children)
    branch = replace(branch, left=left, right=right)
    proposal = _best_condition(material, branch)
    if proposal is None:
        return branch
    tried = routed(material, proposal, branch.rows)
    gain = tree_loss(material, branch) - tree_loss(material, tried)
    return tried if gain > 1e-9 * material.spread else branch


def routed(material: Material, branch: Branch, rows: np.ndarray) -> Branch:
    """The branch with these rows: means recomputed, and a condition that leaves one side too little removed."""
    weights = material.weights[rows]
    mean = weights @ material.goal[rows] / weights.sum()
    children = branch.children()
    if children is None:
        return Branch(rows, mean)
    goes = branch.goes_left(material.values[rows, branch.column])
    on_left = float(weights[goes].sum())
    floor = material.min_leaf - 1e-9
    if on_left < floor or weights.sum() - on_left < floor or goes.all() or not goes.any():
        return routed(material, children[0 if 2 * on_left >= weights.sum() else 1], rows)
    left = routed(material, children[0], rows[goes])
    right = routed(material, children[1], rows[~goes])
    return replace(branch, rows=rows, mean=mean, left=left, right=right)


def _predictions(material: Material, branch: Branch, rows: np.ndarray) -> np.ndarray:
    """What the branch predicts on any rows, ``(len(rows), k)``."""
    children = branch.children()
    if children is None:
        return np.broadcast_to(branch.mean, (len(rows), len(branch.mean)))
    goes = branch.goes_left(material.values[rows, branch.column])
    out = np.empty((len(rows), len(branch.mean)))
    out[goes] = _predictions(material, children[0], rows[goes])
    out[~goes] = _predictions(material, children[1], rows[~goes])
    return out


def _delta(material: Material, branch: Branch) -> np.ndarray:
    """For each of the branch's rows, its loss on the left minus its loss on the right."""
    goal, (left, right) = material.goal[branch.rows], branch.children() or (branch, branch)
    on_left = ((goal - _predictions(material, left, branch.rows)) ** 2).sum(axis=1)
    on_right = ((goal - _predictions(material, right, branch.rows)) ** 2).sum(axis=1)
    return material.weights[branch.rows] * (on_left - on_right)


def _best_condition(material: Material, branch: Branch) -> Branch | None:
    """The branch with the condition of least cost over all columns; None where no column separates its rows."""
    delta, best, found = _delta(material, branch), math.inf, None
    for j in range(len(material.schema)):
        cost, condition = best_on_column(material, branch, j, delta)
        if cost < best - 1e-12 * material.spread:
            best, found = cost, (j, *condition)
    if found is None:
        return None
    j, threshold, levels = found
    return replace(branch, column=j, threshold=threshold, levels=levels)


def best_on_column(
    material: Material, branch: Branch, j: int, delta: np.ndarray
) -> tuple[float, tuple[float | None, frozenset[int]]]:
    """The least cost of a condition on column `j`, and the condition."""
    distinct, rank = material.distinct[j], material.ranks[j][branch.rows]
    weights = material.weights[branch.rows]
    cost = np.bincount(rank, weights=delta, minlength=len(distinct))
    held = np.bincount(rank, weights=weights, minlength=len(distinct))
    column, nothing = material.schema.columns[j], (None, frozenset[int]())
    if column.levels and column.kind == "nominal":
        left = (cost < 0) & (held > 0)
        if not left.any() or left.sum() == (held > 0).sum():
            return math.inf, nothing
        return float(cost[left].sum()), (None, frozenset(np.flatnonzero(left).tolist()))
    here = np.flatnonzero(held > 0)
    total, mass = np.cumsum(cost[here])[:-1], np.cumsum(held[here])[:-1]
    floor = material.min_leaf - 1e-9
    total = np.where((mass >= floor) & (weights.sum() - mass >= floor), total, math.inf)
    if not len(total) or not np.isfinite(total.min()):
        return math.inf, nothing
    at = int(np.argmin(total))
    if column.levels:
        return float(total[at]), (None, frozenset(range(int(here[at]) + 1)))
    low, high = distinct[here[at]], distinct[here[at + 1]]
    middle = low / 2 + high / 2
    return float(total[at]), (float(middle if low <= middle < high else low), frozenset())


def shortened(material: Material, root: Branch) -> Branch:
    """The tree with thresholds of fewer digits and sets of fewer levels, at a cost of loss that is next to nothing."""
    before = tree_loss(material, root)
    for share in (1.0, 0.1, 0.0):
        tried = _shortened(material, root, share)
        if tree_loss(material, tried) - before <= 1e-3 * material.spread:
            break
    return tried


def _shortened(material: Material, branch: Branch, share: float) -> Branch:
    children = branch.children()
    if children is None:
        return branch
    delta = _delta(material, branch)
    short = replace(branch)
    if branch.threshold is not None:
        short.threshold = _short_threshold(material, branch, delta, share * SHORT * material.spread)
    else:
        short.levels = _few_levels(material, branch, delta, share * FEW * material.spread)
    tried = routed(material, short, branch.rows)
    children = tried.children()
    if children is None or tried.column != branch.column:
        return tried if children is None else _shortened(material, tried, share)
    left, right = (_shortened(material, child, share) for child in children)
    return replace(tried, left=left, right=right)


def _few_levels(material: Material, branch: Branch, delta: np.ndarray, allowed: float) -> frozenset[int]:
    """The levels that go left, without those that it costs next to nothing to send with the others."""
    column = material.schema.columns[branch.column]
    if column.kind == "ordinal":
        return branch.levels
    rank = material.ranks[branch.column][branch.rows]
    cost = np.bincount(rank, weights=delta, minlength=len(column.levels))
    here = set(np.unique(rank).tolist())
    left, right = branch.levels & here, here - branch.levels
    short_left, short_right = _dropped(left, -cost, allowed), _dropped(right, cost, allowed)
    if len(short_left) <= len(short_right):
        return frozenset(short_left)
    return frozenset(here - short_right)


def _dropped(levels: set[int] | frozenset[int], cost: np.ndarray, allowed: float) -> set[int]:
    """The levels, without the cheapest whose costs together are allowed; at least one is left."""
    order = sorted(levels, key=lambda code: cost[code])
    while len(order) > 1 and cost[order[0]] <= allowed:
        allowed -= max(0.0, float(cost[order[0]]))
        order = order[1:]
    return set(order)


def _short_threshold(material: Material, branch: Branch, delta: np.ndarray, allowed: float) -> float:
    """The threshold with the fewest digits that costs no more than allowed."""
    j, threshold = branch.column, branch.threshold or 0.0
    rank = material.ranks[j][branch.rows]
    cost = np.bincount(rank, weights=delta, minlength=len(material.distinct[j]))
    held = np.bincount(rank, weights=material.weights[branch.rows], minlength=len(cost))
    here = np.flatnonzero(held > 0)
    values, total, mass = material.distinct[j][here], np.cumsum(cost[here]), np.cumsum(held[here])
    now = int(np.searchsorted(values, threshold, side="right")) - 1
    floor = material.min_leaf - 1e-9
    fine = (total - total[now] <= allowed) & (mass >= floor) & (mass[-1] - mass >= floor)
    fine[now], fine[-1] = True, False
    first = last = now
    while first > 0 and fine[first - 1]:
        first -= 1
    while fine[last + 1]:
        last += 1
    if allowed <= 0.0:
        first = last = now
    return simplest_between(values[first : last + 2], total[first : last + 1], threshold)


def simplest_between(values: np.ndarray, costs: np.ndarray, otherwise: float) -> float:
    """The decimal with the fewest digits in a gap between neighbouring values, and not within a tenth of its ends.

    Among those with as few digits the one of the cheapest gap, then the one nearest its middle.

    Parameters
    ----------
    values : array ``(m + 1,)``
        Ascending.
    costs : array ``(m,)``
        The cost of each gap.
    otherwise : float
        What comes back where a gap is too narrow for a decimal.

    Examples
    --------
    >>> simplest_between(np.array([21.4, 21.59]), np.zeros(1), 21.495)
    21.5
    """
    low, high = float(values[0]), float(values[-1])
    top = math.floor(math.log10(max(abs(low), abs(high), 1e-300))) + 1
    for exponent in range(top, top - 18, -1):
        found = [
            (costs[i], abs(t - middle) / gap, t)
            for t, i, gap, middle in _decimals(values, exponent)
            if abs(t - middle) <= 0.4 * gap
        ]
        if found:
            return min(found)[2]
    return otherwise


def _decimals(values: np.ndarray, exponent: int) -> Iterator[tuple[float, int, float, float]]:
    """Multiples of ``10**exponent`` within the values; of each the position, width and middle of its gap."""
    unit = float(f"1e{exponent}")
    if not 0.0 < unit < math.inf:
        return
    first, last = math.ceil(values[0] / unit), math.floor(values[-1] / unit)
    for m in range(first, min(last, first + 2000) + 1):
        t = float(f"{m}e{exponent}")
        i = int(np.searchsorted(values, t, side="right")) - 1
        if 0 <= i < len(values) - 1:
            gap = float(values[i + 1] - values[i])
            yield t, i, gap, float(values[i] / 2 + values[i + 1] / 2)
