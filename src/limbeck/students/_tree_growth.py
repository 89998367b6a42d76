"""Growing a tree with scikit-learn's CART, and the best smaller tree inside it.

Source
------
Breiman1984: CART, and pruning by cost complexity (chapter 3). Fisher1958: for one output, the best split of a nominal
column's levels is one along the order of their means.

Symbols
-------
R(t) -> `loss`: the squared error of node t's rows around their mean. |T| -> leaves. alpha -> `price`.

Departures
----------
- CART runs on ranks: scikit-learn compares in float32, a rank is exact there, and the threshold between two
  neighbouring ranks is written in the column's own float64 values afterwards.
- Weakest-link pruning visits a nested sequence of trees that can jump past the budget (40 leaves, then 28).
  `best_pruning` solves the same problem for every number of leaves at once, so the budget is used; where a weakest-link
  tree has b leaves, this is that tree or one as good.
- With several outputs the levels are ordered along the first principal direction of their means, and with three or more
  along the second as well.

Checked
-------
Against scikit-learn's own pruning path (same loss at the same number of leaves), and brute force on small trees.

Cost
----
CART: O(n log n d). Pruning: O(nodes * budget) sums.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from sklearn.tree import DecisionTreeRegressor

from limbeck._core.tables import Schema

__all__ = [
    "Branch",
    "Material",
    "best_pruning",
    "deviations",
    "full_growth",
    "grown",
    "leaf_loss",
    "level_ranks",
    "prepared",
    "pruned",
    "regrown",
]


@dataclass(frozen=True)
class Material:
    """The rows as tree methods need them.

    Attributes
    ----------
    schema : Schema
    values : array ``(n, d)``
        Encoded rows.
    ranks : tuple of arrays ``(n,)``
        For each column the position of each row's value among the column's different values (codes, for levels).
    distinct : tuple of arrays
        For each column its different values, ascending.
    goal : array ``(n, k)``
        The targets in the units in which losses are added up.
    weights : array ``(n,)``
    min_leaf : float
        The least weight of a leaf.
    spread : float
        The loss of the tree with one leaf: what losses are compared with.
    """

    schema: Schema
    values: np.ndarray
    ranks: tuple[np.ndarray, ...]
    distinct: tuple[np.ndarray, ...]
    goal: np.ndarray
    weights: np.ndarray
    min_leaf: float
    spread: float


@dataclass
class Branch:
    """A node while the tree is being made: its rows, and, unless it is a leaf, what sends a row to the left."""

    rows: np.ndarray
    mean: np.ndarray
    column: int = -1
    threshold: float | None = None
    levels: frozenset[int] = frozenset()
    left: Branch | None = None
    right: Branch | None = None

    def children(self) -> tuple[Branch, Branch] | None:
        """Left and right, or None at a leaf."""
        return None if self.left is None or self.right is None else (self.left, self.right)

    @property
    def n_leaves(self) -> int:
        """The number of leaves."""
        children = self.children()
        return 1 if children is None else children[0].n_leaves + children[1].n_leaves

    def goes_left(self, values: np.ndarray) -> np.ndarray:
        """Which of these values of the branch's column go left."""
        return values <= self.threshold if self.threshold is not None else np.isin(values, list(self.levels))


def prepared(
    schema: Schema, values: np.ndarray, targets: np.ndarray, weights: np.ndarray, *, scale: bool, min_leaf: float
) -> Material:
    """The rows with their ranks; with `scale`, every target is divided by its standard deviation."""
    distinct, ranks = [], []
    for j in range(len(schema)):
        if schema.has_levels(j):
            distinct.append(np.arange(len(schema.columns[j].levels), dtype=np.float64))
            ranks.append(values[:, j].astype(np.int64))
        else:
            different, rank = np.unique(values[:, j], return_inverse=True)
            distinct.append(different)
            ranks.append(rank.ravel())
    goal = targets - weights @ targets / weights.sum()
    if scale:
        spread_of = deviations(targets, weights)
        goal = goal / np.where(spread_of > 0, spread_of, 1.0)
    spread = float(weights @ (goal**2).sum(axis=1))
    return Material(schema, values, tuple(ranks), tuple(distinct), goal, weights, min_leaf, spread)


def deviations(targets: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The weighted standard deviation of each target, ``(k,)``; very large and very small ones do not overflow."""
    gaps = np.abs(targets - weights @ targets / weights.sum())
    top = gaps.max(axis=0)
    return top * np.sqrt(weights @ (gaps / np.where(top > 0, top, 1.0)) ** 2 / weights.sum())


def level_ranks(codes: np.ndarray, goal: np.ndarray, weights: np.ndarray, n_levels: int) -> list[np.ndarray]:
    """Orders of a nominal column's levels along which CART looks for splits: for each, the rank of every level.

    Levels without rows come last.
    """
    total = np.bincount(codes, weights=weights, minlength=n_levels)
    sums = np.column_stack([np.bincount(codes, weights=weights * g, minlength=n_levels) for g in goal.T])
    seen = total > 0
    means = sums[seen] / total[seen, None]
    means = means - total[seen] @ means / total.sum()
    directions = np.linalg.svd(means * np.sqrt(total[seen])[:, None], full_matrices=False)[2]
    orders = []
    for direction in directions[: 1 if goal.shape[1] <= 2 else 2]:
        rank = np.full(n_levels, int(seen.sum()), dtype=np.int64)
        rank[np.flatnonzero(seen)[np.argsort(means @ direction, kind="stable")]] = np.arange(seen.sum())
        orders.append(rank)
    return orders


def grown(material: Material, budget: int, price: float, seed: int) -> Branch:
    """The best tree of at most `budget` leaves inside a fully grown one; each leaf must be worth `price` of loss."""
    return pruned(material, full_growth(material, np.arange(len(material.values)), seed), budget, price)


def regrown(material: Material, root: Branch, budget: int, price: float, seed: int) -> Branch:
    """The best tree of at most `budget` leaves inside this one with its leaves fully grown: it loses nothing."""

    def extended(branch: Branch) -> Branch:
        children = branch.children()
        if children is None:
            heavy = material.weights[branch.rows].sum() >= 2 * material.min_leaf - 1e-9
            return full_growth(material, branch.rows, seed) if heavy else branch
        return replace(branch, left=extended(children[0]), right=extended(children[1]))

    return pruned(material, extended(root), budget, price)


def full_growth(
    material: Material, rows: np.ndarray, seed: int, *, only: int | None = None, leaves: int | None = None
) -> Branch:
    """CART on these rows until every leaf is pure or too light to be split; on one column, or to so many leaves."""
    columns: list[int] = []
    views: list[np.ndarray] = []
    for j in range(len(material.ranks)) if only is None else [only]:
        rank, column = material.ranks[j], material.schema.columns[j]
        found = [rank[rows]]
        if column.kind == "nominal" and column.levels:
            orders = level_ranks(rank[rows], material.goal[rows], material.weights[rows], len(column.levels))
            found = [order[rank[rows]] for order in orders]
        columns += [j] * len(found)
        views += found
    seen = np.column_stack(views).astype(np.float32)
    share = min(0.5, max(0.0, (material.min_leaf - 1e-9) / float(material.weights[rows].sum())))
    cart = DecisionTreeRegressor(min_weight_fraction_leaf=share, max_leaf_nodes=leaves, random_state=seed)
    tree = cart.fit(seen, material.goal[rows], sample_weight=material.weights[rows]).tree_
    own: list[np.ndarray] = [np.arange(len(rows))] * tree.node_count
    branches = [Branch(rows, tree.value[node, :, 0]) for node in range(tree.node_count)]
    for node, branch in enumerate(branches):
        branch.rows = rows[own[node]]
        if tree.children_left[node] < 0:
            continue
        left, right, view = int(tree.children_left[node]), int(tree.children_right[node]), int(tree.feature[node])
        goes = seen[own[node], view] <= tree.threshold[node]
        own[left], own[right] = own[node][goes], own[node][~goes]
        branch.left, branch.right = branches[left], branches[right]
        _write_condition(branch, material, columns[view], rows[own[left]], rows[own[right]])
    return branches[0]


def pruned(
    material: Material,
    root: Branch,
    budget: int,
    price: float,
    loss_of: Callable[[Material, Branch], float] | None = None,
) -> Branch:
    """The best subtree of at most `budget` leaves; `loss_of` is the loss of a node as a leaf (squared error)."""
    order, places = [root], {id(root): 0}
    for branch in order:
        for child in branch.children() or ():
            places[id(child)] = len(order)
            order.append(child)
    loss = np.array([(loss_of or leaf_loss)(material, branch) for branch in order])
    below = np.array([[places[id(c)] for c in branch.children()] if branch.left else [-1, -1] for branch in order])  # type: ignore[union-attr]
    split = best_pruning(loss, below[:, 0], below[:, 1], budget, price)

    def cut(place: int) -> Branch:
        if not split[place]:
            return Branch(order[place].rows, order[place].mean)
        return replace(order[place], left=cut(below[place, 0]), right=cut(below[place, 1]))

    return cut(0)


def leaf_loss(material: Material, branch: Branch) -> float:
    """The weighted squared error of the branch's rows around their mean."""
    gap = material.goal[branch.rows] - branch.mean
    return float(material.weights[branch.rows] @ (gap**2).sum(axis=1))


def best_pruning(loss: np.ndarray, left: np.ndarray, right: np.ndarray, budget: int, price: float) -> np.ndarray:
    """Which nodes stay split in the subtree of at most `budget` leaves with the least loss + price * leaves.

    Parameters
    ----------
    loss : array ``(nodes,)``
        Each node's loss as a leaf.
    left, right : array ``(nodes,)``
        Children, after their parents; -1 at leaves.
    """
    best: list[np.ndarray] = [np.empty(0)] * len(loss)
    given: list[np.ndarray] = [np.empty(0, dtype=np.int64)] * len(loss)
    for node in range(len(loss) - 1, -1, -1):
        if left[node] < 0:
            best[node] = np.array([np.inf, loss[node]])
            continue
        a, b = best[left[node]], best[right[node]]
        size = min(budget, len(a) + len(b) - 2)
        least, count = np.full(size + 1, np.inf), np.zeros(size + 1, dtype=np.int64)
        for i in range(1, min(len(a), size)):
            stop = min(size, i + len(b) - 1)
            sums = a[i] + b[1 : stop - i + 1]
            better = sums < least[i + 1 : stop + 1]
            least[i + 1 : stop + 1][better] = sums[better]
            count[i + 1 : stop + 1][better] = i
        least[1], count[1] = loss[node], 0
        best[node], given[node] = least, count
    leaves = np.arange(len(best[0]))
    split = np.zeros(len(loss), dtype=bool)
    todo = [(0, int(np.argmin(best[0] + price * leaves)))]
    while todo:
        node, n = todo.pop()
        if n <= 1:
            continue
        split[node] = True
        i = int(given[node][n])
        todo += [(int(left[node]), i), (int(right[node]), n - i)]
    return split


def _write_condition(out: Branch, material: Material, j: int, left: np.ndarray, right: np.ndarray) -> None:
    """The condition that sends these rows left and those right, in the column's own values."""
    out.column = j
    if material.schema.has_levels(j):
        codes = np.unique(material.ranks[j][left])
        if material.schema.columns[j].kind == "ordinal":
            codes = np.arange(codes.max() + 1)
        out.levels = frozenset(int(code) for code in codes)
        return
    low, high = material.values[left, j].max(), material.values[right, j].min()
    middle = low / 2 + high / 2
    out.threshold = float(middle if low <= middle < high else low)
