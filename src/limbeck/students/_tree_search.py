"""Searching beyond the greedy tree: refine it, spend freed leaves again, and try every column at the root.

Source
------
Own. Greedy growth can't see a condition that explains nothing until others follow (the two inputs of an exclusive or);
the tree then needs more leaves for the same rule, or misses it.

Departures
----------
The starts are compared on at most 2,000 rows; only the best of them is grown on all rows, and kept only where it is
better there too. Below 25 rows a leaf nothing is searched: on a network's answers to a few hundred rows, refining lost
0.01 of held-out R2.

Checked
-------
On planted trees of four leaves: 20 of 20 found exactly, 10 of 20 by greedy growth and refinement alone. On a network's
answers over eleven real tables, 12 and 32 leaves: mean held-out R2 0.741 for greedy growth, 0.745 refined, 0.751 with
every column tried.

Cost
----
One tree of 2,000 rows a column (at most `STARTS` columns), and one more tree of all rows.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from limbeck.students._tree_growth import Branch, Material, full_growth, grown, prepared, pruned, regrown
from limbeck.students._tree_refine import refined, tree_loss

__all__ = ["polished", "searched", "started_on"]

ROUNDS = 2
"""How often leaves that the refinement has freed are spent again."""
ROWS_A_LEAF = 25
"""With fewer rows for every leaf of the budget the greedy tree is kept: what a search finds in so few is chance."""
ROWS = 2_000
STARTS = 12
"""The most columns that are tried at the root: those that explain most by themselves."""
LEAF = 1e-3
"""What a leaf costs where trees are compared, as a share of the spread."""
LEAST = 1e-3
"""The share of the spread that a pass of refinement must bring to be followed by another, while trees are compared."""
BETTER = 5e-4
"""By how much another start must be better."""


def searched(material: Material, budget: int, price: float, seed: int) -> Branch:
    """The best tree found from the greedy start and from every column at the root; with few rows, the greedy one."""
    root = grown(material, budget, price, seed)
    if len(material.values) < ROWS_A_LEAF * budget:
        return root
    root = polished(material, root, budget, price, seed)
    if root.n_leaves >= 3 and len(material.schema) >= 2:
        few = _sampled(material, seed)
        share = few.spread / material.spread
        greedy = polished(few, grown(few, budget, price * share, seed), budget, price * share, seed)
        found = {j: _cost(few, started_on(few, j, budget, price * share, seed)) for j in _columns(few, seed)}
        best = min(found, key=lambda j: found[j])
        if found[best] < _cost(few, greedy) - BETTER:
            other = started_on(material, best, budget, price, seed)
            root = min(root, other, key=lambda tree: _cost(material, tree))
    return refined(material, root)


def polished(material: Material, root: Branch, budget: int, price: float, seed: int) -> Branch:
    """The tree refined, leaves that this freed spent again, and leaves that it can do without taken away."""
    root = refined(material, root, least=LEAST)
    for _ in range(ROUNDS):
        if root.n_leaves >= budget:
            break
        root = refined(material, regrown(material, root, budget, price, seed), least=LEAST)
    return root if root.n_leaves >= budget else _lean(material, root, price)


def _lean(material: Material, root: Branch, price: float) -> Branch:
    """The tree without the leaves that it can do without once its other conditions are set anew."""
    for fewer in (3, 2, 1):
        if root.n_leaves - fewer < 2:
            continue
        tried = refined(material, pruned(material, root, root.n_leaves - fewer, 0.0))
        if tree_loss(material, tried) <= tree_loss(material, root) + fewer * price:
            return _lean(material, tried, price)
    return root


def started_on(material: Material, j: int, budget: int, price: float, seed: int) -> Branch:
    """A polished tree whose first condition, before it is refined, is the best single one on column `j`."""
    rows = np.arange(len(material.values))
    root = full_growth(material, rows, seed, only=j, leaves=2)
    children = root.children()
    if children is not None:
        left, right = (full_growth(material, child.rows, seed) for child in children)
        root = replace(root, left=left, right=right)
    return polished(material, pruned(material, root, budget, price), budget, price, seed)


def _cost(material: Material, root: Branch) -> float:
    return tree_loss(material, root) / material.spread + LEAF * root.n_leaves


def _columns(material: Material, seed: int) -> list[int]:
    """The columns to try: those with the best single conditions."""
    rows = np.arange(len(material.values))
    stumps = [full_growth(material, rows, seed, only=j, leaves=2) for j in range(len(material.schema))]
    losses = [tree_loss(material, stump) for stump in stumps]
    return [int(j) for j in np.argsort(losses, kind="stable")[:STARTS]]


def _sampled(material: Material, seed: int) -> Material:
    """At most `ROWS` rows, the least weight of a leaf scaled with them."""
    n = len(material.values)
    if n <= ROWS:
        return material
    rows = np.sort(np.random.default_rng(seed).choice(n, ROWS, replace=False))
    weights = material.weights[rows]
    share = float(weights.sum() / material.weights.sum())
    values, goal = material.values[rows], material.goal[rows]
    return prepared(material.schema, values, goal, weights, scale=False, min_leaf=material.min_leaf * share)
