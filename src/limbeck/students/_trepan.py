"""Trees by asking: a tree grown best node first, with fresh queries to the teacher under the constraints of each node.

Source
------
Craven1996 (TREPAN); Bastani2017 for queries drawn from a model of the data. Growth is in `_trepan_growth`, where
queries come from in `_trepan_drawing`, and the last word of a classifier in `_trepan_agreement`.

Departures
----------
Conditions ask one column (no m-of-n), so the tree is a `TreeReadable` as CART's. After growth the best subtree of the
budget is taken and all conditions are set anew on all rows; a classifier's for agreement with the teacher's labels.
Leaves that this frees are spent where they bring most, which may be inside a node that growth had found pure. See the
files named above for theirs.

Checked
-------
Planted trees are found from few rows where the rows alone do not tell, with rows and calls counted; an oracle that
answers at random is refused, a constant one leaves the root unsplit. Against CART on the teacher's labels with as many
leaves, ten data sets and ten seeds: ``make bench NAME=trepan``, `benchmarks/RESULTS.md`.

Cost
----
At most `max_queries` rows in about ten calls, beside the few of the check; 1 to 4 s of one core for 2,000 rows.
"""

from __future__ import annotations

import numbers
from collections.abc import Callable
from typing import Any

import numpy as np

from limbeck._core.errors import InputError
from limbeck._core.seeds import RandomState, draw_seeds
from limbeck._core.tables import Rows
from limbeck.readable import TreeReadable
from limbeck.students._fitting import TrainingRows, read_classification, read_regression
from limbeck.students._predicting import StudentClassifier, StudentRegressor
from limbeck.students._tree import check_arguments, frozen, least_weight
from limbeck.students._tree_front import tree_front
from limbeck.students._tree_growth import Branch, Material, prepared, pruned
from limbeck.students._tree_refine import refined, routed, shortened, tree_loss
from limbeck.students._tree_search import ROWS_A_LEAF, polished, searched
from limbeck.students._trepan_agreement import Agreement
from limbeck.students._trepan_asking import Asking
from limbeck.students._trepan_growth import Limits, Pool, grown_by_asking

__all__ = ["TrepanClassifier", "TrepanRegressor", "fit_trepan"]

Oracle = Callable[[Any], Any]

SEARCHED = 8
"""Up to so many leaves every column is tried at the root, too: so small a tree can't mend a wrong start."""


def fit_trepan(rows: TrainingRows, ask: Asking | None, limits: Limits, random_state: RandomState) -> TreeReadable:
    """The tree for these rows and, where there is someone to `ask`, for queries."""
    seed, draws = draw_seeds(random_state, 2)
    pool, root = grown_by_asking(rows, ask, limits, seed, np.random.default_rng(draws))
    weights = _weights(pool, root)
    share = rows.weights.sum() / weights.sum()
    every = TrainingRows(
        rows.table.with_values(pool.values), pool.targets, weights * share, rows.task, rows.classes, rows.output_names
    )
    schema, least = rows.table.schema, limits.min_leaf
    material = prepared(schema, pool.values, pool.goal, weights, scale=False, min_leaf=least)
    price = limits.min_gain * material.spread
    best = pruned(material, routed(material, root, np.arange(len(weights))), limits.leaves, price)
    if len(weights) >= ROWS_A_LEAF * limits.leaves and best.n_leaves > 1:
        best = refined(material, polished(material, best, limits.leaves, price, seed))
        if limits.leaves <= SEARCHED:
            best = min(best, searched(material, limits.leaves, price, seed), key=lambda tree: tree_loss(material, tree))
        if rows.task == "classification" and ask is not None:
            material, best = _agreeing(material, pool, best, root, limits.leaves)
    return frozen(every, material, shortened(material, best))


def _weights(pool: Pool, root: Branch) -> np.ndarray:
    """The weight of every row: in each grown leaf all queries together weigh as much as the rows of the data."""
    out = np.empty(len(pool.values))
    todo = [(root, np.arange(len(out)))]
    while todo:
        branch, rows = todo.pop()
        children = branch.children()
        if children is None:
            out[rows] = pool.weights(rows)
            continue
        goes = branch.goes_left(pool.values[rows, branch.column])
        todo += [(children[0], rows[goes]), (children[1], rows[~goes])]
    return out


def _agreeing(material: Material, pool: Pool, best: Branch, grown: Branch, budget: int) -> tuple[Material, Branch]:
    """The better for agreement of two trees, and its material: the polished one, and one pruned for agreement."""
    labels = pool.targets.argmax(axis=1)
    goal = np.eye(pool.targets.shape[1])[labels]
    weights = material.weights
    hard = prepared(material.schema, pool.values, goal, weights, scale=False, min_leaf=material.min_leaf)
    agreement = Agreement(hard, labels, weights @ goal / weights.sum())
    trees = [agreement.refined(best)]
    trees.append(agreement.refined(agreement.pruned(grown, budget)))
    return hard, min(trees, key=agreement.loss)


def _limits(student: Any, rows: TrainingRows) -> Limits:
    """The student's arguments, checked."""
    check_arguments(student.max_leaf_nodes, student.min_samples_leaf, student.min_gain)
    queries = student.max_queries
    if isinstance(queries, bool) or not isinstance(queries, numbers.Integral) or int(queries) < 0:
        raise InputError(f"max_queries must be a whole number of at least 0; got {queries!r:.60}")
    for name in ("purity", "confidence"):
        share = getattr(student, name)
        if isinstance(share, bool) or not isinstance(share, numbers.Real) or not 0.5 <= float(share) < 1:
            raise InputError(f"{name} must be a share in [0.5, 1); got {share!r:.60}")
    least = least_weight(rows, student.min_samples_leaf)
    return Limits(
        int(student.max_leaf_nodes), int(queries), least, student.min_gain, student.purity, student.confidence
    )


def _fit(student: Any, rows: TrainingRows, oracle: Oracle | None, *, are_answers: bool) -> None:
    """Set what a fitted student has."""
    if oracle is not None and not callable(oracle):
        raise InputError(
            f"oracle must be a callable, rows to labels, probabilities or values; got {type(oracle).__name__}. For a "
            "scikit-learn model give model.predict_proba or model.predict."
        )
    limits = _limits(student, rows)
    fit_seed, check_seed = draw_seeds(student.random_state, 2)
    ask = None if oracle is None else Asking(oracle, rows)
    if ask is not None:
        rows = ask.rows(are_answers=are_answers, rng=np.random.default_rng(check_seed))
    student.readable_ = fit_trepan(rows.distinct(), ask, limits, fit_seed)
    student.n_leaves_ = student.readable_.n_leaves
    student.n_queries_ = 0 if ask is None else ask.n_rows
    student.n_calls_ = 0 if ask is None else ask.n_calls
    student.front_ = tree_front(student.readable_)


def _expected_seconds(n: int, d: int, k: int) -> float:
    """About how long a fit takes on one core, beside the teacher's own time."""
    return (1 + 0.05 * k) * (1.0 + 0.1 * d + 1e-5 * n * (d + 4))


class TrepanRegressor(StudentRegressor):
    """A regression tree that asks the teacher while it grows.

    Parameters
    ----------
    max_leaf_nodes : int
        The most leaves.
    max_queries : int
        The most made rows that the oracle is asked about.
    purity : float
        Growth stops at a node where, with `confidence`, more than this share of the rows that reach it have an answer
        within a tenth of the answers' standard deviation from the node's mean.
    confidence : float
        The confidence of that statement: the bound is Clopper's and Pearson's, one-sided, for the rows of the node
        (data and queries) taken as independent draws.
    min_samples_leaf : float
        The least weight of a leaf, data and queries counted alike; below 1, a share of all weight of the data.
    min_gain : float
        What a leaf must be worth: the share of the answers' variance that its split explains.
    random_state : int, Generator or None
        Decides which rows are made, and between equally good splits.

    Attributes
    ----------
    readable_ : TreeReadable
        The weights of its nodes sum to those of the rows that were given.
    n_leaves_ : int
    n_queries_ : int
        Rows that the oracle was asked about, those of the check among them.
    n_calls_ : int
        How often it was called.
    front_ : tuple of Member
        The best trees of fewer leaves inside it, and itself; a score is the share of what it explains.

    Examples
    --------
    >>> X = np.random.default_rng(0).uniform(size=(60, 2))
    >>> step = lambda X: np.where(X[:, 0] <= 0.5, 1.0, 7.0)
    >>> tree = TrepanRegressor(max_queries=500, random_state=0).fit(X, step(X), oracle=step)
    >>> print(tree.readable_.text())
    if x0 <= 0.501:
        prediction = 1   [26 rows]
    else:
        prediction = 7   [34 rows]
    """

    def __init__(
        self,
        max_leaf_nodes: int = 32,
        max_queries: int = 10_000,
        purity: float = 0.98,
        confidence: float = 0.95,
        min_samples_leaf: float = 5,
        min_gain: float = 1e-4,
        random_state: RandomState = None,
    ) -> None:
        self.max_leaf_nodes = max_leaf_nodes
        self.max_queries = max_queries
        self.purity = purity
        self.confidence = confidence
        self.min_samples_leaf = min_samples_leaf
        self.min_gain = min_gain
        self.random_state = random_state

    def fit(
        self,
        X: Rows,
        y: Any,
        *,
        oracle: Oracle | None = None,
        sample_weight: Any = None,
        y_soft: Any = None,
        classes: Any = None,
    ) -> TrepanRegressor:
        """The fitted student.

        Parameters
        ----------
        X : rows
            An array ``(n, d)``, a frame, or a `Table`.
        y : array ``(n,)`` or ``(n, k)``
            The oracle's values. Where a few of them are found not to be its answers, it is asked about all rows.
        oracle : callable, optional
            Rows in the container of `X` to values ``(n,)`` or ``(n, k)``. Without it the tree grows on the rows alone.
        sample_weight : array ``(n,)``, optional
        y_soft, classes
            For classifiers only: refused.

        Raises
        ------
        InputError, ValueError
            Where an argument or a row is not what is required.
        TeacherError
            Where the oracle raises, answers the same rows differently, or its answers can't be used.
        """
        rows = read_regression(self, X, y, sample_weight=sample_weight, y_soft=y_soft, classes=classes)
        _fit(self, rows, oracle, are_answers=True)
        return self

    def expected_seconds(self, n: int, d: int, k: int) -> float:
        """About how long ``fit`` takes for `n` rows of `d` columns and `k` outputs, on one core."""
        return _expected_seconds(n, d, k)


class TrepanClassifier(StudentClassifier):
    """A classification tree that asks the teacher while it grows.

    Parameters
    ----------
    max_leaf_nodes : int
        The most leaves.
    max_queries : int
        The most made rows that the oracle is asked about.
    purity : float
        Growth stops at a node where, with `confidence`, more than this share of the rows that reach it have one label.
    confidence : float
        The confidence of that statement: the bound is Clopper's and Pearson's, one-sided, for the rows of the node
        (data and queries) taken as independent draws.
    min_samples_leaf : float
        The least weight of a leaf, data and queries counted alike; below 1, a share of all weight of the data.
    min_gain : float
        What a leaf must be worth: the share of the answers' variance that its split explains.
    random_state : int, Generator or None
        Decides which rows are made, and between equally good splits.

    Attributes
    ----------
    readable_ : TreeReadable
        The weights of its nodes sum to those of the rows that were given.
    classes_ : array ``(k,)``
    n_leaves_ : int
    n_queries_ : int
        Rows that the oracle was asked about, those of the check among them.
    n_calls_ : int
        How often it was called.
    front_ : tuple of Member
        The best trees of fewer leaves inside it, and itself; a score is the share of what it explains.

    Examples
    --------
    >>> X = np.random.default_rng(0).uniform(size=(60, 2))
    >>> corner = lambda X: np.where((X[:, 0] > 0.5) & (X[:, 1] > 0.5), "yes", "no")
    >>> tree = TrepanClassifier(max_leaf_nodes=4, random_state=0).fit(X, corner(X), oracle=corner)
    >>> tree.n_leaves_, tree.score(X, corner(X))
    (3, 1.0)
    """

    def __init__(
        self,
        max_leaf_nodes: int = 32,
        max_queries: int = 10_000,
        purity: float = 0.98,
        confidence: float = 0.95,
        min_samples_leaf: float = 5,
        min_gain: float = 1e-4,
        random_state: RandomState = None,
    ) -> None:
        self.max_leaf_nodes = max_leaf_nodes
        self.max_queries = max_queries
        self.purity = purity
        self.confidence = confidence
        self.min_samples_leaf = min_samples_leaf
        self.min_gain = min_gain
        self.random_state = random_state

    def fit(
        self,
        X: Rows,
        y: Any,
        *,
        oracle: Oracle | None = None,
        sample_weight: Any = None,
        y_soft: Any = None,
        classes: Any = None,
    ) -> TrepanClassifier:
        """The fitted student.

        Parameters
        ----------
        X : rows
            An array ``(n, d)``, a frame, or a `Table`.
        y : array ``(n,)`` or None
            Labels; None where `y_soft` and `classes` say all. With an oracle they only name the classes: what is
            imitated is the oracle.
        oracle : callable, optional
            Rows in the container of `X` to labels ``(n,)`` or probabilities ``(n, k)``, whose columns follow
            `classes_`. Without it the tree grows on the rows alone.
        sample_weight : array ``(n,)``, optional
        y_soft : array ``(n, k)``, optional
            The oracle's probabilities on `X`; where they are not given, or a few are found not to be its answers, it
            is asked about all rows.
        classes : array ``(k,)``, optional
            All labels, in the order of the columns of `y_soft`.

        Raises
        ------
        InputError, ValueError
            Where an argument or a row is not what is required.
        TeacherError
            Where the oracle raises, answers the same rows differently, or its answers can't be used.
        """
        rows = read_classification(self, X, y, sample_weight=sample_weight, y_soft=y_soft, classes=classes)
        _fit(self, rows, oracle, are_answers=y_soft is not None)
        return self

    def expected_seconds(self, n: int, d: int, k: int) -> float:
        """About how long ``fit`` takes for `n` rows of `d` columns and `k` outputs, on one core."""
        return _expected_seconds(n, d, k)
