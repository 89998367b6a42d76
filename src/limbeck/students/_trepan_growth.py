"""Growing a tree by asking: best node first, each split chosen on many fresh rows that meet the node's constraints.

Source
------
Craven1996: best-first growth, queries under constraints, a least number of rows for every split, a stopping rule with
a stated confidence. ClopperPearson1934 for the rule's bound.

Symbols
-------
reach(N) (1 - fidelity(N)) -> `loss`: the weighted squared error of the node's rows around their mean; S_min ->
`NODE_ROWS`.

Departures
----------
- Conditions ask one column (no m-of-n), and are the best by squared error of the answers, not by information gain.
- The `BATCH` worst nodes are asked about together, one call a round.
- The tree is grown to `OVERSHOOT` times its leaves, and the best subtree is taken afterwards. What is left of the
  queries is then drawn from the whole.
- In each grown leaf all queries together weigh as much as the rows of the data that reach it, so that many queries
  about a small node do not make it a large one.

Checked
-------
On planted trees with counted rows and calls; a constant oracle leaves the root unsplit.

Cost
----
Rounds: about ``OVERSHOOT * leaves / BATCH``, each with one call and one single-condition CART a node.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from limbeck.students._fitting import TrainingRows
from limbeck.students._tree_growth import Branch, deviations, full_growth, prepared
from limbeck.students._trepan_asking import Asking
from limbeck.students._trepan_drawing import Bounds, Drawing, taught

__all__ = ["Limits", "Pool", "grown_by_asking"]

NODE_ROWS = 1_000
"""Rows, data and queries together, on which a condition is chosen."""
BATCH = 8
OVERSHOOT = 3
AGREES = 0.1
"""A regression answer agrees with its node where it is within this share of the answers' standard deviation."""
TEACH = 50
"""With fewer rows of data nothing can be learned about which made rows are likely."""


@dataclass(frozen=True)
class Limits:
    """When to stop: leaves, queries, the least weight of a leaf, purity and the confidence in it."""

    leaves: int
    queries: int
    min_leaf: float
    min_gain: float
    purity: float
    confidence: float


@dataclass
class Pool:
    """All rows so far: those of the data first, then the queries, which have no weight of their own."""

    rows: TrainingRows
    values: np.ndarray = field(init=False)
    targets: np.ndarray = field(init=False)
    goal: np.ndarray = field(init=False)
    own: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        """Begin with the rows of the data."""
        self.values, self.targets, self.own = self.rows.values, self.rows.targets, self.rows.weights
        self._middle = self.own @ self.targets / self.own.sum()
        spread = deviations(self.targets, self.own)
        self._spread = np.where(spread > 0, spread, 1.0)
        self.goal = self._goal(self.targets)

    def _goal(self, targets: np.ndarray) -> np.ndarray:
        """What conditions are to explain: standardised outputs, or the middle of probabilities and hard labels."""
        if self.rows.task == "regression":
            return (targets - self._middle) / self._spread
        return (targets + np.eye(targets.shape[1])[targets.argmax(axis=1)]) / 2

    def add(self, values: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """The positions of these queries, now in the pool."""
        start = len(self.values)
        self.values, self.targets = np.vstack([self.values, values]), np.vstack([self.targets, targets])
        self.goal = np.vstack([self.goal, self._goal(targets)])
        self.own = np.r_[self.own, np.zeros(len(values))]
        return np.arange(start, len(self.values))

    def data(self, rows: np.ndarray) -> np.ndarray:
        """Those of `rows` that are rows of the data."""
        return rows[rows < len(self.rows)]

    def weights(self, rows: np.ndarray) -> np.ndarray:
        """The weight of each of a node's rows: all its queries together weigh as much as its rows of the data."""
        weights, asked = self.own[rows].copy(), rows >= len(self.rows)
        if asked.any():
            weights[asked] = weights.sum() / asked.sum()
        return weights

    def agreeing(self, rows: np.ndarray) -> int:
        """How many of a node's rows have its answer: its most frequent label, or a value near its mean."""
        if self.rows.task == "classification":
            return int(np.bincount(self.targets[rows].argmax(axis=1)).max())
        goal = self.goal[rows]
        return int((np.abs(goal - goal.mean(axis=0)).max(axis=1) <= AGREES).sum())


@dataclass
class _Node:
    branch: Branch
    bounds: Bounds
    loss: float = 0.0


def lower_bound(hits: int, n: int, confidence: float) -> float:
    """The share that lies below the true one with this confidence, where `hits` of `n` were seen.

    Examples
    --------
    >>> round(lower_bound(100, 100, 0.95), 4)
    0.9705
    """
    from scipy.stats import beta

    return 0.0 if hits == 0 else float(beta.ppf(1.0 - confidence, hits, n - hits + 1))


def grown_by_asking(
    rows: TrainingRows, ask: Asking | None, limits: Limits, seed: int, rng: np.random.Generator
) -> tuple[Pool, Branch]:
    """All rows that were collected, and a tree of up to `OVERSHOOT` times the leaves, its rows in the pool."""
    pool = Pool(rows)
    drawing = Drawing.of(rows.table.schema, rows.values)
    if ask is not None and len(rows) >= TEACH and limits.queries:
        drawing = taught(drawing, rows.values, rows.weights, rng)
    root = _node(pool, np.arange(len(rows)), Bounds.none(len(rows.table.schema)))
    frontier, leaves, left, least = [root], 1, limits.queries if ask is not None else 0, limits.min_gain * root.loss
    while frontier and leaves < OVERSHOOT * limits.leaves:
        frontier.sort(key=lambda node: -node.loss)
        now, frontier = frontier[:BATCH], frontier[BATCH:]
        if ask is not None and left:
            left -= _ask_about(pool, now, drawing, ask, left, rng)
        for node in now:
            children = _split(pool, node, limits, seed)
            leaves += len(children) // 2
            frontier += [child for child in children if child.loss > least]
    if ask is not None and left and leaves > 1:
        values = ask.free(drawing.sample(rows.values, rows.weights, root.bounds, left, rng), rows.values)
        pool.add(values, ask(values))
    return pool, root.branch


def _node(pool: Pool, rows: np.ndarray, bounds: Bounds) -> _Node:
    weights, goal = pool.weights(rows), pool.goal[rows]
    mean = weights @ goal / weights.sum()
    return _Node(Branch(rows, mean), bounds, float(weights @ ((goal - mean) ** 2).sum(axis=1)))


def _ask_about(
    pool: Pool, nodes: list[_Node], drawing: Drawing, ask: Asking, left: int, rng: np.random.Generator
) -> int:
    """Queries under the constraints of each node until it has its rows, in one call; the number of them."""
    counts: list[int] = []
    drawn: list[np.ndarray] = []
    for node in nodes:
        count = min(max(0, NODE_ROWS - len(node.branch.rows)), left - sum(counts))
        data = pool.data(node.branch.rows)
        counts.append(count)
        if count:
            made = drawing.sample(pool.values[data], pool.own[data], node.bounds, count, rng)
            drawn.append(ask.free(made, pool.values[data]))
    if not drawn:
        return 0
    values = np.vstack(drawn)
    places = np.split(pool.add(values, ask(values)), np.cumsum(counts)[:-1])
    for node, new in zip(nodes, places, strict=True):
        node.branch.rows = np.r_[node.branch.rows, new]
    return len(values)


def _split(pool: Pool, node: _Node, limits: Limits, seed: int) -> list[_Node]:
    """The two children under the best condition; none where the node is pure or too small."""
    rows = node.branch.rows
    if lower_bound(pool.agreeing(rows), len(rows), limits.confidence) >= limits.purity:
        return []
    if pool.own[rows].sum() < 2 * limits.min_leaf - 1e-9:
        return []
    schema, weights, least = pool.rows.table.schema, pool.weights(rows), limits.min_leaf
    material = prepared(schema, pool.values[rows], pool.goal[rows], weights, scale=False, min_leaf=least)
    stump = full_growth(material, np.arange(len(rows)), seed, leaves=2)
    sides = stump.children()
    if sides is None or not all(len(pool.data(rows[side.rows])) for side in sides):
        return []
    bounds = (node.bounds, node.bounds)
    if stump.threshold is not None:
        bounds = node.bounds.cut(stump.column, stump.threshold)
    left, right = (_node(pool, rows[side.rows], box) for side, box in zip(sides, bounds, strict=True))
    branch = node.branch
    branch.column, branch.threshold, branch.levels = stump.column, stump.threshold, stump.levels
    branch.left, branch.right = left.branch, right.branch
    return [left, right]
