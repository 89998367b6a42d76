"""Optimal small trees: proven against brute force and greedy trees, within their time, said where it ran out."""

from __future__ import annotations

import builtins
import importlib
import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from limbeck._core.errors import InputError, MissingDependencyError
from limbeck._core.tables import Table
from limbeck.students import OptimalTreeClassifier, OptimalTreeRegressor, _optimal_tree
from limbeck.students._optimal_tree import _copies
from limbeck.students._optimal_tree_conditions import Condition, candidate_conditions
from limbeck.students._tree_growth import Material, prepared

RNG = np.random.default_rng(3)
X = RNG.uniform(size=(400, 4))
ODD = (X[:, 0] > 0.5) != (X[:, 1] > 0.5)
"""The exclusive or of two columns, which no single condition tells anything about."""
NOISE = X[:, 2] > 0.6
GREEDY_TRAP = np.where(RNG.uniform(size=400) < 0.1, NOISE, ODD).astype(int)
"""One row in ten follows a third column, at which greedy growth bites."""


def material_of(rows: Any, targets: np.ndarray, *, scale: bool) -> Material:
    table = Table.read(rows)
    values = targets.reshape(len(targets), -1).astype(float)
    return prepared(table.schema, table.values, values, np.ones(len(table)), scale=scale, min_leaf=0.0)


def asked(rows: Any, targets: np.ndarray, depth: int, n_thresholds: int, *, scale: bool) -> np.ndarray:
    """The candidate conditions' answers."""
    material = material_of(rows, targets, scale=scale)
    found = candidate_conditions(material, depth, n_thresholds, 0)
    return np.column_stack([condition.holds(material.values) for condition in found])


def test_an_exclusive_or_is_found_where_greedy_growth_fails() -> None:
    tree = OptimalTreeClassifier(max_depth=2, random_state=0).fit(X, GREEDY_TRAP)
    greedy = DecisionTreeClassifier(max_depth=2, random_state=0).fit(X, GREEDY_TRAP)
    assert tree.readable_.features_used == ("x0", "x1")
    assert tree.score(X, GREEDY_TRAP) > 0.9 > 0.7 > greedy.score(X, GREEDY_TRAP)
    assert tree.is_optimal_
    assert tree.outcome_ == f"optimal among all trees over {tree.n_conditions_} conditions"
    values = np.where(GREEDY_TRAP == 1, 5.0, 2.0)
    regressor = OptimalTreeRegressor(max_depth=2, random_state=0).fit(X, values)
    assert regressor.readable_.features_used == ("x0", "x1")
    greedy_values = DecisionTreeRegressor(max_depth=2, random_state=0).fit(X, values)
    assert regressor.score(X, values) > 0.6 > 0.3 > greedy_values.score(X, values)


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("seed", range(3))
def test_never_worse_than_the_greedy_tree_of_its_depth(depth: int, seed: int) -> None:
    """On the same candidate conditions, and on the columns themselves, whose greedy conditions are among them."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(150, 4))
    values = rows[:, 0] * rows[:, 1] + np.sin(3 * rows[:, 2]) + 0.3 * rng.normal(size=150)
    tree = OptimalTreeRegressor(depth, n_thresholds=3, random_state=0).fit(rows, values)
    for given in (rows, asked(rows, values, depth, 3, scale=True)):
        greedy = DecisionTreeRegressor(max_depth=depth, random_state=0).fit(given, values)
        assert tree.score(rows, values) >= greedy.score(given, values) - 1e-4  # leaf values are rounded
    labels = np.digitize(values, [-0.5, 0.5])
    classifier = OptimalTreeClassifier(depth, n_thresholds=3, random_state=0).fit(rows, labels)
    for given in (rows, asked(rows, np.eye(3)[labels], depth, 3, scale=False)):
        greedy_classes = DecisionTreeClassifier(max_depth=depth, random_state=0).fit(given, labels)
        assert classifier.score(rows, labels) >= greedy_classes.score(given, labels)


def best_of_depth_two(answers: np.ndarray, loss_of: Any) -> float:
    """The least loss of any tree of depth 2, by trying them all."""

    def best_leafs(rows: np.ndarray) -> float:
        cuts = [loss_of(rows & answers[:, j]) + loss_of(rows & ~answers[:, j]) for j in range(answers.shape[1])]
        return min([loss_of(rows), *cuts])

    every = np.ones(len(answers), dtype=bool)
    return min(best_leafs(every & answers[:, j]) + best_leafs(every & ~answers[:, j]) for j in range(answers.shape[1]))


def test_against_every_tree_by_brute_force(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[list[Condition]] = []

    def remembered(*given: Any) -> list[Condition]:
        used.append(candidate_conditions(*given))
        return used[-1]

    monkeypatch.setattr(_optimal_tree, "candidate_conditions", remembered)
    rng = np.random.default_rng(1)
    rows, values = rng.uniform(size=(60, 3)), rng.normal(size=60)
    weights = rng.integers(1, 4, size=60).astype(float)
    soft = rng.dirichlet([1, 1, 1], size=60)

    def squared(part: np.ndarray) -> float:
        w, y = weights[part], values[part]
        return float(w @ (y - w @ y / w.sum()) ** 2) if len(y) else 0.0

    def missed(part: np.ndarray) -> float:
        return float((weights[part, None] * (1 - soft[part])).sum(axis=0).min())

    tree = OptimalTreeRegressor(2, n_thresholds=3, random_state=0).fit(rows, values, sample_weight=weights)
    answers = np.column_stack([condition.holds(rows) for condition in used[-1]])
    loss = float(weights @ (values - tree.predict(rows)) ** 2)
    assert loss == pytest.approx(best_of_depth_two(answers, squared), rel=1e-3)
    classifier = OptimalTreeClassifier(2, n_thresholds=3, random_state=0)
    classifier.fit(rows, None, y_soft=soft, classes=[0, 1, 2], sample_weight=weights)
    answers = np.column_stack([condition.holds(rows) for condition in used[-1]])
    assert classifier.n_conditions_ == answers.shape[1]
    loss = float(weights @ (1 - soft[np.arange(60), classifier.predict(rows)]))
    assert loss == pytest.approx(best_of_depth_two(answers, missed), rel=1e-9)


def test_fewer_leaves() -> None:
    sizes = [OptimalTreeRegressor(3, leaves).fit(X, X[:, 0] + X[:, 1]).n_leaves_ for leaves in (2, 3, 5, 100)]
    assert sizes == [2, 3, 5, 8]


def test_several_outputs() -> None:
    both = np.column_stack([np.where(ODD, 3.0, 1.0), np.where(ODD, -2.0, 2.0)])
    tree = OptimalTreeRegressor(2).fit(X, both)
    assert tree.readable_.features_used == ("x0", "x1")
    assert tree.score(X, both) > 0.95


def test_levels_and_numbers() -> None:
    jobs = np.array(["baker", "clerk", "nurse", "pilot"], dtype=object)
    frame = pd.DataFrame({"job": jobs[RNG.integers(4, size=300)], "age": RNG.integers(20, 60, 300)})
    frame["size"] = pd.Categorical(
        RNG.choice(["small", "middle", "large"], 300), categories=["small", "middle", "large"], ordered=True
    )
    truth = (frame["job"].isin(["baker", "pilot"]) != (frame["age"] > 40)).to_numpy()
    tree = OptimalTreeClassifier(2, random_state=0).fit(frame, np.where(truth, "yes", "no"))
    assert tree.score(frame, np.where(truth, "yes", "no")) > 0.95
    large = (frame["size"] == "large").to_numpy()
    ordered = OptimalTreeClassifier(1).fit(frame, np.where(large, "yes", "no"))
    assert ordered.score(frame, np.where(large, "yes", "no")) == 1.0
    assert ordered.readable_.features_used == ("size",)


def test_conditions_part_the_rows_and_no_two_alike() -> None:
    answers = asked(X, GREEDY_TRAP, 3, 5, scale=True)
    assert (answers.sum(axis=0) > 0).all()
    assert (answers.sum(axis=0) < len(X)).all()
    for a, b in itertools.combinations(range(answers.shape[1]), 2):
        assert 0 < (answers[:, a] != answers[:, b]).sum() < len(X)
    thresholds = [c.threshold for c in candidate_conditions(material_of(X, X[:, 0], scale=True), 1, 4, 0) if c.column]
    assert len(thresholds) >= 12
    assert max(len(f"{threshold:g}") for threshold in thresholds) <= 6


def test_a_constant_table_and_a_constant_answer() -> None:
    flat = OptimalTreeRegressor().fit(np.ones((20, 2)), np.arange(20.0))
    assert (flat.n_leaves_, flat.n_conditions_, flat.is_optimal_) == (1, 0, True)
    assert OptimalTreeRegressor().fit(X, np.ones(400)).n_leaves_ == 1


def test_where_time_runs_out_it_is_said() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(1_000, 12))
    values = np.sin(3 * rows).sum(axis=1)
    tree = OptimalTreeRegressor(4, time_limit=0.2, n_thresholds=12, random_state=0)
    with pytest.warns(ConvergenceWarning, match=r"time ran out after 0\.2 s: .* not proven optimal\. Raise time_limit"):
        tree.fit(rows, values)
    assert not tree.is_optimal_
    assert tree.outcome_.startswith("time ran out")
    assert tree.n_leaves_ >= 2
    assert tree.score(rows, values) > 0


def test_front_and_seed() -> None:
    trees = [OptimalTreeClassifier(3, random_state=1).fit(X, GREEDY_TRAP) for _ in range(2)]
    assert trees[0].readable_.to_dict() == trees[1].readable_.to_dict()
    assert trees[0].front_[-1].readable == trees[0].readable_
    sizes = [member.complexity for member in trees[0].front_]
    assert sizes == sorted(sizes)


@pytest.mark.parametrize(
    ("weights", "counts"),
    [
        ([1.0, 1.0, 1.0], [1, 1, 1]),
        ([0.25, 0.5, 1.0], [1, 2, 4]),
        ([2.0, 3.0, 4.0], [3, 4, 5]),  # not whole multiples of the least: four copies a row in the mean
        ([1.0, 1e6, 1.0], [0, 12, 0]),
    ],
)
def test_weights_become_copies(weights: list[float], counts: list[int]) -> None:
    assert _copies(np.array(weights)).tolist() == counts


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"max_depth": 5}, "max_depth must be a whole number from 1 to 4; got 5. Each level multiplies the trees"),
        ({"max_depth": 0}, "from 1 to 4; got 0"),
        ({"max_depth": True}, "from 1 to 4; got True"),
        ({"max_leaf_nodes": 1}, "max_leaf_nodes must be None or a whole number of at least 2; got 1"),
        ({"time_limit": 0}, "time_limit must be a number of seconds above 0; got 0"),
        ({"time_limit": np.inf}, "time_limit must be .* got inf"),
        ({"n_thresholds": 0}, "n_thresholds must be a whole number of at least 1; got 0"),
    ],
)
@pytest.mark.parametrize("student", [OptimalTreeClassifier, OptimalTreeRegressor])
def test_bad_arguments(student: Any, given: dict[str, Any], match: str) -> None:
    with pytest.raises(InputError, match=match):
        student(**given).fit(X, GREEDY_TRAP)


def test_without_pystreed_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.import_module

    def absent(name: str, *rest: Any) -> Any:
        if name == "pystreed":
            raise builtins.ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(MissingDependencyError, match=r"pip install 'limbeck\[optimal\]'"):
        OptimalTreeClassifier().fit(X, GREEDY_TRAP)
