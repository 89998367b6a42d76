"""Students in worlds whose answer is known: the right answer is found, a wrong one is rejected."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor

from limbeck import datasets
from limbeck.queries import Munge
from limbeck.readable import TreeReadable
from limbeck.simulate import World, planted_mixed, planted_tree
from limbeck.students import NetworkClassifier, NetworkRegressor, TreeClassifier, TreeRegressor
from limbeck.training import train_default


def thresholds(tree: TreeReadable) -> dict[str, tuple[float, ...]]:
    found: dict[str, list[float]] = {}
    for node in tree.nodes:
        if node.threshold is not None:
            found.setdefault(tree.schema.names[node.column], []).append(node.threshold)
    return {name: tuple(sorted(values)) for name, values in found.items()}


def is_planted(tree: TreeReadable, world: World, near: float) -> bool:
    """The planted columns, each with the planted thresholds, and the planted answers."""
    found = thresholds(tree)
    if {name: len(values) for name, values in found.items()} != {
        name: len(values) for name, values in world.thresholds.items()
    }:
        return False
    gaps = [np.abs(np.subtract(found[name], world.thresholds[name])).max() for name in found]
    return max(gaps) <= near and np.abs(tree(world.X)[:, 0] - world.function(world.X)).mean() < near


@pytest.mark.parametrize("seed", range(6))
def test_a_planted_tree_is_found_exactly(seed: int) -> None:
    world = planted_tree(1_000, 5, random_state=seed)
    tree = TreeRegressor(random_state=0).fit(world.X, world.y).readable_
    assert is_planted(tree, world, 0.02)
    assert tree.n_leaves == 4
    assert np.array_equal(tree(world.X)[:, 0], world.y)
    inner = [(node.column, node.threshold) for node in tree.nodes if not node.is_leaf]
    for column, threshold in inner:
        planted = min(world.thresholds[f"x{column}"], key=lambda cut: abs(cut - threshold))
        between = (world.X[:, column] > min(planted, threshold)) & (world.X[:, column] <= max(planted, threshold))
        assert between.sum() <= 8  # rows of other branches only: this condition's own are where they belong
    assert all(len(f"{threshold:g}") <= 6 for _, threshold in inner)


@pytest.mark.parametrize("seed", range(2))
def test_a_planted_tree_is_found_under_noise(seed: int) -> None:
    world = planted_tree(2_000, 5, noise=0.3, random_state=seed)
    tree = TreeRegressor(4, random_state=0).fit(world.X, world.y).readable_
    assert is_planted(tree, world, 0.05)


@pytest.mark.parametrize("seed", range(2))
def test_wrong_trees_are_told_from_planted_ones(seed: int) -> None:
    """Another world's tree, the tree of shuffled answers, and the planted tree with one threshold moved."""
    world = planted_tree(1_000, 5, random_state=seed)
    right = TreeRegressor(random_state=0).fit(world.X, world.y).readable_
    assert is_planted(right, world, 0.02)
    other = planted_tree(1_000, 5, random_state=seed + 100)
    assert not is_planted(TreeRegressor(random_state=0).fit(other.X, other.y).readable_, world, 0.02)
    shuffled = np.random.default_rng(0).permutation(world.y)
    noise = TreeRegressor(random_state=0).fit(world.X, shuffled)
    assert not is_planted(noise.readable_, world, 0.02)
    fresh = np.random.default_rng(1).uniform(size=(1_000, 5))
    assert r2_score(world.function(fresh), noise.predict(fresh)) < 0.1
    moved = right.to_dict()
    moved["nodes"][0]["threshold"] += 0.1
    assert not is_planted(TreeReadable.from_dict(moved), world, 0.02)


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_over_planted_trees_it_beats_greedy_growth(depth: int) -> None:
    """Eight worlds, some of which a greedy search can't read: more than half of its error is gone."""
    fresh = np.random.default_rng(99).uniform(size=(2_000, 6))
    ours, greedy = [], []
    for seed in range(8):
        world = planted_tree(1_000, 6, depth=depth, random_state=seed)
        truth, leaves = world.function(fresh), 2**depth
        ours.append(r2_score(truth, TreeRegressor(leaves, random_state=0).fit(world.X, world.y).predict(fresh)))
        plain = DecisionTreeRegressor(max_leaf_nodes=leaves, min_samples_leaf=5, random_state=0)
        greedy.append(r2_score(truth, plain.fit(world.X, world.y).predict(fresh)))
    assert 1 - np.mean(ours) < 0.5 * (1 - np.mean(greedy))
    assert (np.array(ours) > np.array(greedy) - 0.01).all()


def test_levels_and_threshold_of_a_mixed_world_are_found() -> None:
    world = planted_mixed(800, random_state=0)
    tree = TreeClassifier(random_state=0).fit(world.X, world.y).readable_
    assert tree.features_used == world.used or set(tree.features_used) == set(world.used)
    conditions = {tree.condition_text(i) for i, node in enumerate(tree.nodes) if not node.is_leaf}
    assert conditions == {"workclass in {'Private', 'Self-emp'}", "age <= 35.5"}
    shuffled = np.random.default_rng(0).permutation(world.y)
    wrong = TreeClassifier(max_leaf_nodes=3, random_state=0).fit(world.X, shuffled).readable_
    assert conditions != {wrong.condition_text(i) for i, node in enumerate(wrong.nodes) if not node.is_leaf}


GROUPS = ({0, 3, 7, 11}, {1, 2, 9}, {4, 5, 6, 8, 10})
"""Twelve towns, three groups that have nothing to do with their names."""


def grouped(n: int, seed: int) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    town, age = rng.integers(12, size=n), rng.uniform(20, 60, size=n)
    group = np.array([next(g for g, members in enumerate(GROUPS) if t in members) for t in town])
    X = pd.DataFrame({"town": [f"town{t:02d}" for t in town], "age": age})
    return X, group, np.array([10.0, 20.0, 40.0])[group] + np.where(group == 1, 5.0 * (age > 35), 0.0)


def groups_read(tree: TreeReadable, X: pd.DataFrame) -> set[frozenset[int]]:
    """Towns that always come to the same leaves."""
    leaf = tree.leaf_of(tree.schema.encode(X))
    town = X["town"].str[4:].astype(int).to_numpy()
    leaves = {t: frozenset(leaf[town == t].tolist()) for t in range(12)}
    return {frozenset(t for t in leaves if leaves[t] == same) for same in leaves.values()}


def test_groups_of_levels_are_recovered() -> None:
    X, group, y = grouped(1_500, 0)
    planted = {frozenset(members) for members in GROUPS}
    tree = TreeRegressor(random_state=0).fit(X, y).readable_
    assert groups_read(tree, X) == planted
    assert tree.n_leaves == 4
    soft = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6], [0.3, 0.5, 0.2]])[group]
    classes = TreeClassifier(random_state=0).fit(X, None, y_soft=soft, classes=["a", "b", "c"]).readable_
    assert groups_read(classes, X) == planted
    np.testing.assert_allclose(classes(X), soft, atol=1e-9)
    wrong = TreeRegressor(4, random_state=0).fit(X, np.random.default_rng(0).permutation(y)).readable_
    assert groups_read(wrong, X) != planted


@pytest.mark.parametrize("student", [TreeClassifier, NetworkClassifier])
def test_probabilities_teach_more_than_labels(student: Any) -> None:
    """A teacher that is never sure: 300 of its probabilities say more than 300 labels drawn from them."""
    gaps = {"soft": 0.0, "hard": 0.0}
    for seed in range(3):
        rng = np.random.default_rng(seed)
        X, fresh = rng.normal(size=(300, 4)), rng.normal(size=(2_000, 4))

        def teacher(rows: np.ndarray) -> np.ndarray:
            second = 1 / (1 + np.exp(-(rows[:, 0] + rows[:, 1] * (rows[:, 2] > 0))))
            return np.column_stack([1 - second, second])

        soft = teacher(X)
        labels = (rng.random(300) < soft[:, 1]).astype(int)
        for name, given in (("soft", {"y_soft": soft}), ("hard", {})):
            model = student(random_state=0).fit(X, labels, classes=[0, 1], **given)
            gaps[name] += float(((model.predict_proba(fresh) - teacher(fresh)) ** 2).mean())
    assert gaps["soft"] < 0.7 * gaps["hard"]


def quietly(model: Any, X: np.ndarray, y: np.ndarray) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make_pipeline(StandardScaler(), model).fit(X, y)


def pruned_by_scikit_learn(X: np.ndarray, Y: np.ndarray, leaves: int) -> DecisionTreeRegressor:
    """Its largest cost-complexity pruned tree of at most so many leaves."""

    def tree(alpha: float) -> DecisionTreeRegressor:
        return DecisionTreeRegressor(min_samples_leaf=5, random_state=0, ccp_alpha=alpha * (1 + 1e-9)).fit(X, Y)

    alphas = DecisionTreeRegressor(min_samples_leaf=5, random_state=0).cost_complexity_pruning_path(X, Y).ccp_alphas
    low, high = 0, len(alphas) - 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if tree(alphas[middle]).get_n_leaves() <= leaves else (middle + 1, high)
    return tree(alphas[low])


@pytest.mark.parametrize("load", [load_diabetes, load_wine, load_breast_cancer], ids=lambda load: load.__name__)
def test_at_the_same_number_of_leaves_it_is_as_faithful_as_scikit_learn(load: Any) -> None:
    """Trees on a network's answers: no worse on the rows fitted, and next to no worse on held-out rows."""
    X, y = load(return_X_y=True)
    regression = load is load_diabetes
    gaps = []
    for seed in range(4):
        train, held, labels, _ = train_test_split(X, y, test_size=0.3, random_state=seed)
        network = MLPRegressor if regression else MLPClassifier
        teacher = quietly(network(hidden_layer_sizes=(32,), max_iter=400, random_state=seed), train, labels)
        ask = (lambda rows, t=teacher: t.predict(rows)[:, None]) if regression else teacher.predict_proba
        answers, truth = ask(train), ask(held)
        theirs = pruned_by_scikit_learn(train, answers, 12)
        if regression:
            tree = TreeRegressor(theirs.get_n_leaves(), random_state=0).fit(train, answers).readable_
        else:
            tree = TreeClassifier(theirs.get_n_leaves(), random_state=0)
            tree = tree.fit(train, None, y_soft=answers, classes=teacher.classes_).readable_
        assert tree.n_leaves <= theirs.get_n_leaves()
        fitted = theirs.predict(train).reshape(answers.shape)
        spread = ((answers - answers.mean(axis=0)) ** 2).sum()
        assert ((tree(train) - answers) ** 2).sum() <= ((fitted - answers) ** 2).sum() + 2e-3 * spread
        gaps.append(r2_score(truth, tree(held)) - r2_score(truth, theirs.predict(held).reshape(truth.shape)))
    assert np.mean(gaps) > -0.02


@pytest.fixture(scope="module")
def concrete() -> list[tuple[pd.DataFrame, np.ndarray, pd.DataFrame, np.ndarray]]:
    """For two seeds: rows and queries with a network's answers, and held-out rows with its answers."""
    data = datasets.load("concrete")
    out = []
    for seed in range(2):
        train, held, y, _ = train_test_split(data.X, data.y, test_size=0.2, random_state=seed)
        teacher = train_default(train, y, "regression", random_state=seed)
        rows = pd.concat([train, Munge().sample(train, 10_000, seed)], ignore_index=True)
        out.append((rows, teacher.predict(rows), held, teacher.predict(held)))
    return out


@pytest.mark.parametrize("seed", range(2))
def test_on_concrete_a_tree_of_32_leaves_is_faithful(seed: int, concrete: Any) -> None:
    rows, answers, held, truth = concrete[seed]
    tree = TreeRegressor(random_state=0).fit(rows, answers)
    assert tree.n_leaves_ <= 32
    assert tree.score(held, truth) >= 0.80


@pytest.mark.parametrize("seed", range(2))
def test_on_concrete_a_network_of_32_units_is_faithful(seed: int, concrete: Any) -> None:
    rows, answers, held, truth = concrete[seed]
    network = NetworkRegressor(random_state=0).fit(rows, answers)
    assert [layer.weight.shape for layer in network.readable_.layers] == [(8, 32), (32, 1)]
    assert network.score(held, truth) >= 0.97
