"""Spending a classification tree's leaves on agreement: how often its label is the teacher's.

Source
------
Carreira2018: alternating optimisation of trees under the 0/1 loss. Breiman1984 for pruning.

Symbols
-------
delta_i -> as in `_tree_refine`, with the loss of this file.

Departures
----------
The loss of a row is 1 where the leaf's most probable label is not its own, and a twentieth of the squared error, which
decides between conditions that agree equally often.

Checked
-------
The loss never rises; where squared error spends a leaf on a probability, this spends it on a label.

Cost
----
As a pass of `_tree_refine.refined`: O(n depth d).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from limbeck.students._tree_growth import Branch, Material, pruned
from limbeck.students._tree_refine import best_on_column, routed

__all__ = ["Agreement"]

PASSES = 6
TIE = 0.05


@dataclass(frozen=True)
class Agreement:
    """The rows as they are needed here.

    Attributes
    ----------
    material : Material
        Its goal is a 1 for the label of each row, less `share`.
    labels : array ``(n,)``
        The position of each row's label.
    share : array ``(k,)``
        The share of each label among all rows.
    """

    material: Material
    labels: np.ndarray
    share: np.ndarray

    def loss(self, branch: Branch) -> float:
        """The loss of the branch's rows."""
        return float(self._losses(branch, branch.rows).sum())

    def refined(self, root: Branch) -> Branch:
        """The tree with conditions set anew, from the leaves up, while that lowers the loss."""
        root = self.routed(root)
        for _ in range(PASSES):
            before = self.loss(root)
            root = self._once(root)
            if before - self.loss(root) <= 1e-5 * self.material.weights.sum():
                break
        return root

    def pruned(self, root: Branch, budget: int) -> Branch:
        """The subtree of at most `budget` leaves with the least loss."""
        return pruned(self.material, self.routed(root), budget, 0.0, lambda _, branch: self._leaf_loss(branch))

    def routed(self, root: Branch) -> Branch:
        """The tree on all rows, its leaves' means those of the labels."""
        return routed(self.material, root, np.arange(len(self.labels)))

    def _leaf_loss(self, branch: Branch) -> float:
        return float(self._losses(Branch(branch.rows, branch.mean), branch.rows).sum())

    def _losses(self, branch: Branch, rows: np.ndarray) -> np.ndarray:
        """The weighted loss of each of `rows` under the branch."""
        children = branch.children()
        if children is None:
            missed = self.labels[rows] != int((branch.mean + self.share).argmax())
            gap = self.material.goal[rows] - branch.mean
            return self.material.weights[rows] * (missed + TIE * (gap**2).sum(axis=1))
        goes = branch.goes_left(self.material.values[rows, branch.column])
        out = np.empty(len(rows))
        out[goes] = self._losses(children[0], rows[goes])
        out[~goes] = self._losses(children[1], rows[~goes])
        return out

    def _once(self, branch: Branch) -> Branch:
        children = branch.children()
        if children is None:
            return branch
        left, right = (self._once(child) for child in children)
        branch = replace(branch, left=left, right=right)
        delta = self._losses(left, branch.rows) - self._losses(right, branch.rows)
        best, found = math.inf, branch
        for j in range(len(self.material.schema)):
            cost, (threshold, levels) = best_on_column(self.material, branch, j, delta)
            if cost < best - 1e-12:
                best, found = cost, replace(branch, column=j, threshold=threshold, levels=levels)
        tried = routed(self.material, found, branch.rows)
        gain = self.loss(branch) - self.loss(tried)
        return tried if gain > 1e-9 * self.material.weights.sum() else branch
