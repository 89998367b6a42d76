"""Optimal small trees: of all trees of a depth over a set of candidate conditions, one with the least loss, with proof.

Source
------
VanDerLinden2023 (STreeD: dynamic programming over subproblems), through the package pystreed (extra ``optimal``);
McTavish2022 for taking candidate thresholds from a greedy tree's own.

Departures
----------
- Optimal means: among trees over the candidate conditions (`_optimal_tree_conditions`). Those are `n_thresholds`
  quantiles of each column, every set of up to five levels, single ones of more, the first levels of an ordered column,
  and every condition of the greedy trees of the same depth and of 32 leaves; so the tree is never worse on its rows
  than the greedy one of its depth.
- A classifier's loss is the weighted chance to miss the teacher's label: a row of probabilities p costs ``1 - p_c`` in
  a leaf of label c. Leaves then show mean probabilities.
- In regression pystreed knows one output and no weights. Weights become copies of rows, at most `COPIES` in all, exact
  where weights are whole numbers that few; with several outputs a leaf chooses among `ANSWERS` answers, the centres
  of k-means, while the tree is sought. Leaf values are recomputed from all rows and their true weights.
- Only the solver is used of pystreed; rows, classes and prediction are those of all students.

Checked
-------
Against the greedy tree of the same depth on the same conditions, and every tree of depth 2 by brute force; an
exclusive or, which greedy growth of depth 2 misses, is found.

Cost
----
Grows steeply with depth and conditions: 2,000 rows and 60 to 140 conditions take less than a second at depth 3, 3,000
rows and 160 conditions six; depth 4 is often stopped by `time_limit`, which is reported.
"""

from __future__ import annotations

import numbers
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from limbeck._core.errors import InputError, require
from limbeck._core.seeds import RandomState, draw_seeds
from limbeck._core.tables import Rows
from limbeck.readable import TreeReadable
from limbeck.students._fitting import TrainingRows, read_classification, read_regression
from limbeck.students._optimal_tree_conditions import Condition, candidate_conditions
from limbeck.students._predicting import StudentClassifier, StudentRegressor
from limbeck.students._tree import frozen
from limbeck.students._tree_front import tree_front
from limbeck.students._tree_growth import Branch, Material, prepared
from limbeck.students._tree_refine import routed

__all__ = ["OptimalTreeClassifier", "OptimalTreeRegressor", "fit_optimal_tree"]

DEEPEST = 4
COPIES = 20_000
ANSWERS = 32


@dataclass(frozen=True)
class Solution:
    """What the solver found: the tree, whether it is proven optimal, and among how many conditions."""

    readable: TreeReadable
    is_optimal: bool
    n_conditions: int


def fit_optimal_tree(
    rows: TrainingRows, *, max_depth: int, max_leaf_nodes: int | None, time_limit: float, n_thresholds: int, seed: int
) -> Solution:
    """The best tree for these rows; the arguments are those of `OptimalTreeRegressor`."""
    rows = rows.distinct()
    regression = rows.task == "regression"
    material = prepared(rows.table.schema, rows.values, rows.targets, rows.weights, scale=regression, min_leaf=0.0)
    conditions = candidate_conditions(material, max_depth, n_thresholds, seed)
    everything = np.arange(len(rows))
    if not conditions:
        return Solution(frozen(rows, material, routed(material, Branch(everything, np.empty(0)), everything)), True, 0)
    asked = np.column_stack([condition.holds(rows.values) for condition in conditions]).astype(np.intc)
    settings = {
        "max_depth": max_depth,
        "max_num_nodes": min(2**max_depth, max_leaf_nodes or 2**max_depth) - 1,
        "time_limit": float(time_limit),
        "random_seed": seed,
    }
    if regression and rows.n_outputs == 1:
        solver = _solved_values(asked, material.goal[:, 0], rows.weights, settings)
    else:
        solver = _solved_costs(asked, _costs(rows, material, seed), settings)
    root = routed(material, _branch(solver.tree_, conditions), everything)
    return Solution(frozen(rows, material, root), bool(solver.fit_result.is_optimal()), len(conditions))


def _costs(rows: TrainingRows, material: Material, seed: int) -> np.ndarray:
    """What each answer ``(n, answers)`` costs in each row: the chance to miss the label, or the squared error."""
    weights = rows.weights / rows.weights.mean()
    if rows.task == "classification":
        return weights[:, None] * (1.0 - rows.targets)
    from sklearn.cluster import KMeans

    count = min(ANSWERS, len(np.unique(material.goal, axis=0)))
    centres = KMeans(count, n_init=1, random_state=seed).fit(material.goal, sample_weight=weights).cluster_centers_
    return weights[:, None] * ((material.goal[:, None, :] - centres[None]) ** 2).sum(axis=2)


def _solved_costs(asked: np.ndarray, costs: np.ndarray, settings: dict[str, Any]) -> Any:
    """The solver of pystreed, run on a cost for every row and answer."""
    streed = require("pystreed", extra="optimal")
    if costs.shape[1] == 1:
        costs = np.repeat(costs, 2, axis=1)
    return streed.STreeDInstanceCostSensitiveClassifier(min_leaf_node_size=1, **settings).fit(asked, costs)


def _solved_values(asked: np.ndarray, goal: np.ndarray, weights: np.ndarray, settings: dict[str, Any]) -> Any:
    """The solver of pystreed, run on squared error, heavy rows copied."""
    streed = require("pystreed", extra="optimal")
    copies = np.repeat(np.arange(len(goal)), _copies(weights))
    return streed.STreeDRegressor("regression", min_leaf_node_size=1, **settings).fit(asked[copies], goal[copies])


def _copies(weights: np.ndarray) -> np.ndarray:
    """How often each row is taken.

    Examples
    --------
    >>> _copies(np.array([0.5, 0.5, 1.5]))
    array([1, 1, 3])
    """
    units = weights / weights.min()
    most = max(COPIES, len(weights))
    if units.sum() > most or np.abs(units - np.rint(units)).max() > 1e-9:
        units = weights * (min(most, 4 * len(weights)) / weights.sum())
    counts = np.rint(units).astype(np.int64)
    return counts if counts.sum() > 1 else np.ones(len(weights), dtype=np.int64)


def _branch(tree: Any, conditions: list[Condition]) -> Branch:
    """The solver's tree with our conditions; its left child is where a condition does not hold."""
    nothing = np.empty(0, dtype=np.int64)
    if tree.is_leaf_node():
        return Branch(nothing, nothing)
    condition = conditions[tree.feature]
    left, right = _branch(tree.right_child, conditions), _branch(tree.left_child, conditions)
    return Branch(nothing, nothing, condition.column, condition.threshold, condition.levels, left, right)


def _check_arguments(student: Any) -> None:
    depth = student.max_depth
    if isinstance(depth, bool) or not isinstance(depth, numbers.Integral) or not 1 <= int(depth) <= DEEPEST:
        raise InputError(
            f"max_depth must be a whole number from 1 to {DEEPEST}; got {depth!r:.60}. Each level multiplies the trees "
            "to be compared by the number of conditions, squared and more; for deeper trees use tree or trepan."
        )
    leaves = student.max_leaf_nodes
    if leaves is not None and (not isinstance(leaves, numbers.Integral) or int(leaves) < 2):
        raise InputError(f"max_leaf_nodes must be None or a whole number of at least 2; got {leaves!r:.60}")
    limit = student.time_limit
    if isinstance(limit, bool) or not isinstance(limit, numbers.Real) or not 0 < float(limit) < np.inf:
        raise InputError(f"time_limit must be a number of seconds above 0; got {limit!r:.60}")
    count = student.n_thresholds
    if isinstance(count, bool) or not isinstance(count, numbers.Integral) or int(count) < 1:
        raise InputError(f"n_thresholds must be a whole number of at least 1; got {count!r:.60}")


def _fit(student: Any, rows: TrainingRows) -> None:
    """Set what a fitted student has, and say it where time ran out."""
    seed = draw_seeds(student.random_state, 1)[0]
    given = {name: value for name, value in student.get_params().items() if name != "random_state"}
    found = fit_optimal_tree(rows, seed=seed, **given)
    student.readable_ = found.readable
    student.n_leaves_ = found.readable.n_leaves
    student.n_conditions_ = found.n_conditions
    student.is_optimal_ = found.is_optimal
    student.front_ = tree_front(found.readable)
    student.outcome_ = f"optimal among all trees over {found.n_conditions} conditions"
    if not found.is_optimal:
        student.outcome_ = (
            f"time ran out after {student.time_limit:g} s: the best tree found over {found.n_conditions} conditions, "
            "not proven optimal"
        )
        hint = "Raise time_limit, or lower max_depth or n_thresholds."
        warnings.warn(f"{student.outcome_}. {hint}", ConvergenceWarning, stacklevel=3)


def _expected_seconds(student: Any, n: int, d: int) -> float:
    """About how long a fit takes: 6 s for 3,000 rows and 160 conditions at depth 3, never much more than its limit."""
    conditions = d * student.n_thresholds + 30
    return 0.2 + min(float(student.time_limit), 0.002 * n * (conditions / 160) ** 2.3 * 50.0 ** (student.max_depth - 3))


class OptimalTreeRegressor(StudentRegressor):
    """The regression tree of a small depth with the least squared error over its candidate conditions.

    Parameters
    ----------
    max_depth : int
        The most conditions on a path, from 1 to 4.
    max_leaf_nodes : int, optional
        The most leaves; where absent, all that the depth allows.
    time_limit : float
        Seconds after which the solver stops; it is then said, by a warning and in `outcome_`, that nothing is proven.
    n_thresholds : int
        Quantiles of every column of numbers that are candidates, beside the conditions of greedy trees.
    random_state : int, Generator or None
        Decides between equally good conditions of the greedy trees.

    Attributes
    ----------
    readable_ : TreeReadable
    n_leaves_ : int
    is_optimal_ : bool
        False where time ran out.
    outcome_ : str
        The same in words.
    n_conditions_ : int
    front_ : tuple of Member
        The best trees of fewer leaves inside it, and itself; a score is the share of what it explains.

    Examples
    --------
    >>> X = np.random.default_rng(0).integers(0, 2, size=(200, 3)).astype(float)
    >>> tree = OptimalTreeRegressor(max_depth=2).fit(X, np.where(X[:, 0] != X[:, 1], 5.0, 2.0))
    >>> tree.n_leaves_, tree.is_optimal_
    (4, True)
    """

    def __init__(
        self,
        max_depth: int = 3,
        max_leaf_nodes: int | None = None,
        time_limit: float = 60.0,
        n_thresholds: int = 6,
        random_state: RandomState = None,
    ) -> None:
        self.max_depth = max_depth
        self.max_leaf_nodes = max_leaf_nodes
        self.time_limit = time_limit
        self.n_thresholds = n_thresholds
        self.random_state = random_state

    def fit(
        self, X: Rows, y: Any, *, sample_weight: Any = None, y_soft: Any = None, classes: Any = None
    ) -> OptimalTreeRegressor:
        """The fitted student.

        Parameters
        ----------
        X : rows
            An array ``(n, d)``, a frame, or a `Table`.
        y : array ``(n,)`` or ``(n, k)``
            The teacher's values; with several outputs one tree predicts them all.
        sample_weight : array ``(n,)``, optional
        y_soft, classes
            For classifiers only: refused.

        Raises
        ------
        InputError, ValueError
            Where an argument or a row is not what is required.
        MissingDependencyError
            Where pystreed is not installed.
        """
        _check_arguments(self)
        rows = read_regression(self, X, y, sample_weight=sample_weight, y_soft=y_soft, classes=classes)
        _fit(self, rows)
        return self

    def expected_seconds(self, n: int, d: int, k: int) -> float:
        """About how long ``fit`` takes for `n` rows of `d` columns and `k` outputs, on one core."""
        return _expected_seconds(self, n, d)


class OptimalTreeClassifier(StudentClassifier):
    """The classification tree of a small depth that misses the teacher's label least, over its candidate conditions.

    Parameters
    ----------
    max_depth : int
        The most conditions on a path, from 1 to 4.
    max_leaf_nodes : int, optional
        The most leaves; where absent, all that the depth allows.
    time_limit : float
        Seconds after which the solver stops; it is then said, by a warning and in `outcome_`, that nothing is proven.
    n_thresholds : int
        Quantiles of every column of numbers that are candidates, beside the conditions of greedy trees.
    random_state : int, Generator or None
        Decides between equally good conditions of the greedy trees.

    Attributes
    ----------
    readable_ : TreeReadable
    classes_ : array ``(k,)``
    n_leaves_ : int
    is_optimal_ : bool
        False where time ran out.
    outcome_ : str
        The same in words.
    n_conditions_ : int
    front_ : tuple of Member
        The best trees of fewer leaves inside it, and itself; a score is the share of what it explains.

    Examples
    --------
    >>> X = np.random.default_rng(0).integers(0, 2, size=(200, 3)).astype(float)
    >>> y = np.where(X[:, 0] != X[:, 1], "yes", "no")
    >>> OptimalTreeClassifier(max_depth=2).fit(X, y).score(X, y)
    1.0
    """

    def __init__(
        self,
        max_depth: int = 3,
        max_leaf_nodes: int | None = None,
        time_limit: float = 60.0,
        n_thresholds: int = 6,
        random_state: RandomState = None,
    ) -> None:
        self.max_depth = max_depth
        self.max_leaf_nodes = max_leaf_nodes
        self.time_limit = time_limit
        self.n_thresholds = n_thresholds
        self.random_state = random_state

    def fit(
        self, X: Rows, y: Any, *, sample_weight: Any = None, y_soft: Any = None, classes: Any = None
    ) -> OptimalTreeClassifier:
        """The fitted student.

        Parameters
        ----------
        X : rows
            An array ``(n, d)``, a frame, or a `Table`.
        y : array ``(n,)`` or None
            Labels; None where `y_soft` and `classes` say all.
        sample_weight : array ``(n,)``, optional
        y_soft : array ``(n, k)``, optional
            The teacher's probabilities: then the chance to miss a label drawn from them is what is lost.
        classes : array ``(k,)``, optional
            All labels, in the order of the columns of `y_soft`.

        Raises
        ------
        InputError, ValueError
            Where an argument or a row is not what is required.
        MissingDependencyError
            Where pystreed is not installed.
        """
        _check_arguments(self)
        rows = read_classification(self, X, y, sample_weight=sample_weight, y_soft=y_soft, classes=classes)
        _fit(self, rows)
        return self

    def expected_seconds(self, n: int, d: int, k: int) -> float:
        """About how long ``fit`` takes for `n` rows of `d` columns and `k` outputs, on one core."""
        return _expected_seconds(self, n, d)
