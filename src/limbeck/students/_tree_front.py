"""The smaller trees inside a tree: for each of a few numbers of leaves, the subtree that explains most.

Source
------
Breiman1984, chapter 3 (pruning by cost complexity); `_tree_growth.best_pruning` solves it for every number of leaves.

Symbols
-------
Splitting a node of weight n into children of weights l and r explains ``l r / (l + r) |v_l - v_r|^2`` of the squared
error, v the children's values: `gains`.

Departures
----------
Computed from the frozen tree alone, so that any student that freezes into a `TreeReadable` can use it: nodes carry
their value and their weight. With one output or many, each is divided by its spread over the leaves, as the trees are
grown; probabilities are not. A subtree of fewer leaves need not lie inside the next larger one.

Checked
-------
Against every subtree by brute force on small trees.

Cost
----
O(nodes * leaves) for each size; no rows are needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from limbeck.readable import Node, TreeReadable
from limbeck.students._members import Member
from limbeck.students._tree_growth import best_pruning

__all__ = ["front_sizes", "gains", "subtree", "tree_front"]


def front_sizes(largest: int) -> tuple[int, ...]:
    """Numbers of leaves, each about a third more than the one before; `largest` is the last.

    Examples
    --------
    >>> front_sizes(20)
    (1, 2, 3, 4, 6, 8, 12, 16, 20)
    """
    powers = [2**i for i in range(largest.bit_length())]
    sizes = {size for power in powers for size in (power, 3 * power) if size < largest}
    return (*sorted(sizes), largest)


def gains(tree: TreeReadable) -> np.ndarray:
    """What each node's split explains of the squared error, ``(nodes,)``; 0 at leaves."""
    values = np.array([node.value for node in tree.nodes])
    rows = np.array([node.rows for node in tree.nodes])
    leaves = np.array([node.is_leaf for node in tree.nodes])
    if tree.task == "regression":
        values = values / _spreads(values[leaves], rows[leaves])
    out = np.zeros(len(tree.nodes))
    for i, node in enumerate(tree.nodes):
        if node.is_leaf:
            continue
        left, right = rows[node.left], rows[node.right]
        if left + right > 0:
            gap = values[node.left] - values[node.right]
            out[i] = left * right / (left + right) * float(gap @ gap)
    return out


def _spreads(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The standard deviation of each output over the leaves; 1 where there is none."""
    weights = rows / rows.sum() if rows.sum() > 0 else np.full(len(rows), 1.0 / len(rows))
    gaps = np.abs(values - weights @ values)
    top = np.where(gaps.max(axis=0) > 0, gaps.max(axis=0), 1.0)
    spread = top * np.sqrt(weights @ (gaps / top) ** 2)
    return np.where(spread > 0, spread, 1.0)


def subtree(tree: TreeReadable, is_split: Sequence[bool] | np.ndarray) -> TreeReadable:
    """The tree with every node a leaf whose split is not kept."""
    nodes: list[Node] = []

    def write(i: int) -> int:
        at, node = len(nodes), tree.nodes[i]
        nodes.append(Node(node.value, node.rows))
        if not node.is_leaf and is_split[i]:
            left, right = write(node.left), write(node.right)
            nodes[at] = replace(node, left=left, right=right)
        return at

    write(0)
    return replace(tree, nodes=tuple(nodes))


def tree_front(tree: TreeReadable) -> tuple[Member, ...]:
    """The tree and the best trees of fewer leaves inside it, the smallest (one leaf, a constant) first.

    A member's score is the share that it keeps of what the whole tree explains: 0 for one leaf, 1 for the whole.

    Examples
    --------
    >>> from limbeck.students import TreeRegressor
    >>> X = np.arange(40.0)[:, None]
    >>> tree = TreeRegressor(random_state=0).fit(X, np.digitize(X[:, 0], [10, 20, 30])).readable_
    >>> [member.readable.n_leaves for member in tree_front(tree)]
    [1, 2, 3, 4]
    """
    gain = gains(tree)
    loss = gain.copy()  # of a node as a leaf, beyond that of its subtree
    for i in range(len(tree.nodes) - 1, -1, -1):
        node = tree.nodes[i]
        if not node.is_leaf:
            loss[i] += loss[node.left] + loss[node.right]
    left, right = (np.array([getattr(node, side) for node in tree.nodes]) for side in ("left", "right"))
    whole = np.array([not node.is_leaf for node in tree.nodes])
    members: list[Member] = []
    for size in front_sizes(tree.n_leaves):
        is_split = whole if size == tree.n_leaves else best_pruning(loss, left, right, size, 0.0)
        smaller = subtree(tree, is_split)
        if not members or smaller.n_leaves > members[-1].readable.n_leaves:  # type: ignore[attr-defined]
            score = float(gain[is_split].sum() / loss[0]) if loss[0] > 0 else 1.0
            members.append(Member(smaller, smaller.complexity, score))
    return tuple(members)
