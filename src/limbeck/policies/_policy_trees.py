"""Trees that choose an action: on columns and differences, or with oblique splits, the best for each bound of leaves.

Source
------
Breiman1984 (CART, pruning by cost complexity). Bastani2018 (trees of policies on differences of columns). Murthy1994
(splits on linear forms).

Departures
----------
- An oblique split is not found by moving a hyperplane at random: at every node of a first tree a logistic regression
  between actions is fitted on the rows of the node and cut to two, three and four columns, and its form is written with
  weights of two digits, the largest 1. The tree is then grown anew with these forms beside the columns and
  differences, twice.
- Pruned by the weight of the rows that get another action than the teacher's, not by impurity, for each bound of leaves
  at once (`limbeck.students`); two leaves of one action are one.

Checked
-------
tests/unit/test_distill_policy.py: a planted oblique rule takes two leaves, a planted axis tree is found.

Cost
----
CART, O(n log n F) for F forms: at most `MOST_ROWS` rows, and for oblique splits at most `MOST_FORMS` forms more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from limbeck._core.columns import Column
from limbeck._core.tables import Schema
from limbeck.policies._features import Features, Terms
from limbeck.readable import _policy_tree as policy_tree
from limbeck.readable._policy_tree import PolicyTree
from limbeck.readable._program_comparison import Comparison
from limbeck.students._tree_growth import Branch, Material, full_growth, prepared, pruned
from limbeck.students._tree_refine import shortened

__all__ = ["BOUNDS", "MOST_ROWS", "fitted_trees", "oblique_forms"]

BOUNDS = (2, 4, 8, 16, 32, 64)
"""The bounds of leaves."""
MOST_ROWS, MOST_OBLIQUE_ROWS = 20_000, 10_000
GROWN = 4
"""The tree that is pruned has at most so many times the leaves of the largest bound."""
NODES = 15
"""At so many nodes, those with the most to gain, oblique splits are looked for."""
MOST_FORMS = 60
SPARSE = (2, 3, 4)
"""How many columns an oblique split may use."""
STEPS, RIDGE = 8, 1e-3
LEAST_ROWS = 20
"""A node with fewer rows has no oblique split; a leaf may be as small as a row."""


def fitted_trees(
    rows: np.ndarray,
    actions: np.ndarray,
    weights: np.ndarray,
    *,
    forms: Features,
    schema: Schema,
    output_names: Sequence[str],
    changes: Sequence[int] = (),
    bounds: Sequence[int] = BOUNDS,
    oblique: bool = False,
    seed: int = 0,
) -> dict[int, PolicyTree]:
    """The best tree for each bound of leaves; a bound is absent where its tree is that of a lesser bound.

    Parameters
    ----------
    rows : array ``(n, d)``
    actions : int array ``(n,)``
        The teacher's.
    weights : array ``(n,)``
        What another action costs.
    forms : Features
        What a split may compare.
    schema : Schema
        The columns of the rows.
    output_names : sequence of str
        The actions' names.
    changes : sequence of int
        The columns whose changes stand behind the observation's.
    bounds : sequence of int
    oblique : bool
        With splits on linear forms of up to four columns.
    seed : int
    """
    most = MOST_OBLIQUE_ROWS if oblique else MOST_ROWS
    rows, actions, weights = _sampled(rows, actions, weights, most, seed)
    seen, n_actions = forms, len(output_names)
    material, root = _grown(rows, actions, weights, forms, n_actions, max(bounds), seed)
    for _ in range(2 if oblique else 0):
        kept = [forms.terms[branch.column] for branch in _inner(pruned(material, root, max(bounds), 0.0, _cost))]
        forms = seen.with_forms([*kept, *oblique_forms(rows, actions, weights, root, material, n_actions)])
        material, root = _grown(rows, actions, weights, forms, n_actions, max(bounds), seed)
    found: dict[int, PolicyTree] = {}
    for bound in sorted(bounds):
        tree = _written(
            shortened(material, pruned(material, root, bound, 0.0, _cost)), forms, schema, output_names, changes
        )
        if tree not in found.values():
            found[bound] = tree
    return found


def _sampled(
    rows: np.ndarray, actions: np.ndarray, weights: np.ndarray, most: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """At most so many rows, without those of no weight."""
    keep = np.flatnonzero(weights > 0) if np.any(weights > 0) else np.arange(len(rows))
    if len(keep) > most:
        keep = np.sort(np.random.default_rng(seed).choice(keep, most, replace=False))
    weights = weights[keep] if np.any(weights > 0) else np.ones(len(keep))
    return rows[keep], actions[keep], weights / weights.mean()


def _grown(
    rows: np.ndarray,
    actions: np.ndarray,
    weights: np.ndarray,
    forms: Features,
    n_actions: int,
    bound: int,
    seed: int,
) -> tuple[Material, Branch]:
    """A tree of more leaves than will be kept."""
    material = _material(forms.values(rows), actions, weights, n_actions)
    return material, full_growth(material, np.arange(len(rows)), seed, leaves=GROWN * bound)


def _inner(root: Branch) -> list[Branch]:
    """The nodes that are no leaves, each before those below it."""
    nodes = [root]
    for branch in nodes:
        nodes += branch.children() or ()
    return [branch for branch in nodes if branch.left is not None]


def _material(values: np.ndarray, actions: np.ndarray, weights: np.ndarray, n_actions: int) -> Material:
    """The forms' values as columns; the targets are one for the teacher's action and zero for the others."""
    schema = Schema(tuple(Column(str(i)) for i in range(values.shape[1])))
    one_hot = np.eye(n_actions)[actions]
    return replace(prepared(schema, values, one_hot, weights, scale=False, min_leaf=0.0), goal=one_hot)


def _cost(material: Material, branch: Branch) -> float:
    """The weight of the branch's rows whose action is not that of most of them."""
    shares = material.weights[branch.rows] @ material.goal[branch.rows]
    return float(shares.sum() - shares.max())


def _written(
    root: Branch, forms: Features, schema: Schema, output_names: Sequence[str], changes: Sequence[int]
) -> PolicyTree:
    """The tree as a person reads it; where both sides of a split act the same, there is none."""

    def node(branch: Branch) -> policy_tree.Subtree:
        children = branch.children()
        if children is None or branch.threshold is None:
            return int(np.argmax(branch.mean))
        under, over = node(children[0]), node(children[1])
        if under == over:
            return under
        return policy_tree.Branch(Comparison(forms.terms[branch.column], branch.threshold), over, under)

    return policy_tree.PolicyTree(schema, tuple(output_names), node(root), tuple(changes))


def oblique_forms(
    rows: np.ndarray, actions: np.ndarray, weights: np.ndarray, root: Branch, material: Material, n_actions: int
) -> tuple[Terms, ...]:
    """Linear forms of two to four columns that tell actions apart at the nodes of a tree."""
    inner = [branch for branch in _inner(root) if len(branch.rows) >= LEAST_ROWS]
    inner.sort(key=lambda branch: -_cost(material, branch))
    found: dict[Terms, None] = {}
    for branch in inner[:NODES]:
        here = branch.rows
        heavy = [a for a in range(n_actions) if np.sum(actions[here] == a) >= 2]
        heavy.sort(key=lambda a: -float(weights[here] @ (actions[here] == a)))
        for a, b in combinations(heavy[:3], 2):
            pair = here[(actions[here] == a) | (actions[here] == b)]
            found.update(dict.fromkeys(_directions(rows[pair], actions[pair] == a, weights[pair])))
        if len(found) >= MOST_FORMS:
            break
    return tuple(found)[:MOST_FORMS]


def _directions(rows: np.ndarray, is_first: np.ndarray, weights: np.ndarray) -> list[Terms]:
    """The forms of a logistic regression between two actions, cut to a few columns."""
    spread = rows.std(axis=0)
    live = np.flatnonzero(spread > 1e-9 * (1.0 + np.abs(rows).max(axis=0)))
    if len(live) < 2:
        return []
    Z = (rows[:, live] - rows[:, live].mean(axis=0)) / spread[live]
    order = np.argsort(-np.abs(_logistic(Z, is_first, weights)), kind="stable")
    out = []
    for k in SPARSE:
        if k > len(live):
            break
        kept = np.sort(order[:k])
        slopes = _logistic(Z[:, kept], is_first, weights)
        if not np.all(np.isfinite(slopes)) or not np.any(slopes):
            continue
        raw = slopes / spread[live[kept]]
        lead = raw[int(np.argmax(np.abs(slopes)))]
        form = [(int(j), _two_digits(float(w / lead))) for j, w in zip(live[kept], raw, strict=True)]
        out.append(tuple(term for term in form if term[1] != 0.0))
    return [form for form in out if len(form) > 1]


def _two_digits(value: float) -> float:
    return float(f"{value:.2g}")


def _logistic(Z: np.ndarray, is_first: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The slopes of a weighted logistic regression with a little ridge, by a few Newton steps."""
    A = np.column_stack([Z, np.ones(len(Z))])
    share = weights / weights.sum()
    ridge = np.diag([*np.full(Z.shape[1], RIDGE), 1e-9])
    theta = np.zeros(A.shape[1])
    for _ in range(STEPS):
        p = 1.0 / (1.0 + np.exp(-np.clip(A @ theta, -30.0, 30.0)))
        curve = share * np.maximum(p * (1.0 - p), 1e-6)
        slope = A.T @ (share * (is_first - p)) - ridge @ theta
        step = np.linalg.solve((A * curve[:, None]).T @ A + ridge, slope)
        size = float(np.abs(step).max())
        theta += step * min(1.0, 10.0 / size) if size > 0 else step
        if size < 1e-4:
            break
    return theta[:-1]
