"""Trees: pruning, refinement, short conditions, rounded leaves, levels."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.tree import DecisionTreeRegressor

from limbeck._core.errors import InputError
from limbeck._core.tables import Column, Schema, Table
from limbeck.readable import TreeReadable
from limbeck.simulate import planted_tree
from limbeck.students import TreeClassifier, TreeRegressor
from limbeck.students._tree import rounded_probabilities
from limbeck.students._tree_growth import Branch, Material, best_pruning, grown, level_ranks, prepared, regrown
from limbeck.students._tree_refine import refined, shortened, simplest_between, tree_loss
from limbeck.students._tree_search import polished, searched


def material_of(X: Any, y: np.ndarray, *, min_leaf: float = 1, weights: np.ndarray | None = None) -> Material:
    table = Table.read(X)
    weights = np.ones(len(table)) if weights is None else weights
    return prepared(table.schema, table.values, y.reshape(len(table), -1), weights, scale=True, min_leaf=min_leaf)


def leaves(branch: Branch) -> list[Branch]:
    children = branch.children()
    return [branch] if children is None else [*leaves(children[0]), *leaves(children[1])]


def conditions(tree: TreeReadable) -> list[str]:
    return [tree.condition_text(i) for i, node in enumerate(tree.nodes) if not node.is_leaf]


def wavy(seed: int, n: int = 300) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.uniform(size=(n, 3))
    return X, np.sin(6 * X[:, 0]) + X[:, 1] ** 2 + 0.1 * rng.normal(size=n)


# Pruning


def every_pruning(left: np.ndarray, right: np.ndarray, loss: np.ndarray, node: int) -> dict[int, float]:
    """By brute force: the least loss of every number of leaves below `node`."""
    best = {1: float(loss[node])}
    if left[node] >= 0:
        sides = [every_pruning(left, right, loss, int(child[node])) for child in (left, right)]
        for (i, a), (j, b) in itertools.product(sides[0].items(), sides[1].items()):
            best[i + j] = min(best.get(i + j, math.inf), a + b)
    return best


@pytest.mark.parametrize("seed", range(4))
def test_pruning_is_the_best_of_all(seed: int) -> None:
    X, y = wavy(seed, 40)
    tree = DecisionTreeRegressor(random_state=0).fit(X, y).tree_
    loss = tree.impurity * tree.weighted_n_node_samples
    truth = every_pruning(tree.children_left, tree.children_right, loss, 0)
    for budget in (1, 2, 3, 7, 20):
        split = best_pruning(loss, tree.children_left, tree.children_right, budget, 0.0)
        kept = reached(tree, split)
        assert len(kept) <= budget
        assert loss[kept].sum() == pytest.approx(min(truth[n] for n in truth if n <= budget))


def reached(tree: Any, split: np.ndarray) -> list[int]:
    todo, kept = [0], []
    while todo:
        node = todo.pop()
        if split[node]:
            todo += [int(tree.children_left[node]), int(tree.children_right[node])]
        else:
            kept.append(node)
    return kept


def test_pruning_has_the_loss_of_the_weakest_link_tree() -> None:
    """At the sizes that scikit-learn's pruning path visits, the tree is as good."""
    X, y = wavy(0)
    full = DecisionTreeRegressor(random_state=0).fit(X, y)
    loss = full.tree_.impurity * full.tree_.weighted_n_node_samples
    for alpha in full.cost_complexity_pruning_path(X, y).ccp_alphas[-25::4]:
        theirs = DecisionTreeRegressor(random_state=0, ccp_alpha=alpha * (1 + 1e-9)).fit(X, y)
        n = theirs.get_n_leaves()
        ours = reached(full.tree_, best_pruning(loss, full.tree_.children_left, full.tree_.children_right, n, 0.0))
        error = ((theirs.predict(X) - y) ** 2).sum()
        assert loss[ours].sum() <= error * (1 + 1e-9)


def test_a_leaf_must_be_worth_its_price() -> None:
    X, y = wavy(0)
    sizes = [TreeRegressor(64, min_gain=gain, random_state=0).fit(X, y).n_leaves_ for gain in (0.0, 1e-3, 1e-2, 0.2)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < sizes[0]
    assert TreeRegressor(64, min_gain=0.99, random_state=0).fit(X, y).n_leaves_ == 1


# Refinement


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 12), st.integers(1, 8))
def test_refinement_never_loses(seed: int, budget: int, min_leaf: int) -> None:
    X, y = wavy(seed, 80)
    material = material_of(X, y, min_leaf=min_leaf)
    root = grown(material, budget, 0.0, seed)
    better = refined(material, root)
    assert tree_loss(material, better) <= tree_loss(material, root) * (1 + 1e-12)
    assert len(leaves(better)) <= len(leaves(root))
    assert min(len(leaf.rows) for leaf in leaves(better)) >= min_leaf
    assert sorted(np.concatenate([leaf.rows for leaf in leaves(better)])) == list(range(80))


def test_refinement_finds_conditions_that_were_set_wrong() -> None:
    """A planted tree, every threshold moved and one column wrong: all conditions come back."""
    X = np.random.default_rng(0).uniform(size=(400, 4))
    y = np.where(X[:, 0] <= 0.5, np.where(X[:, 1] <= 0.6, 0.0, 4.0), np.where(X[:, 2] <= 0.4, 7.0, 9.0))
    material = material_of(X, y)
    start = split(material, np.arange(400), [(0, 0.45), (1, 0.75), (1, 0.3)])
    assert tree_loss(material, start) > 0.1 * material.spread
    found = refined(material, start)
    assert tree_loss(material, found) == pytest.approx(0.0, abs=1e-9)
    left, right = found.children()
    assert [(b.column, round(b.threshold, 2)) for b in (found, left, right)] == [(0, 0.5), (1, 0.6), (2, 0.4)]


def test_leaves_that_refinement_frees_are_spent_again() -> None:
    """From further off a condition is lost on the way; growing below what is left brings the planted tree."""
    X = np.random.default_rng(0).uniform(size=(400, 4))
    y = np.where(X[:, 0] <= 0.5, np.where(X[:, 1] <= 0.6, 0.0, 4.0), np.where(X[:, 2] <= 0.4, 7.0, 9.0))
    material = material_of(X, y)
    found = refined(material, split(material, np.arange(400), [(0, 0.35), (1, 0.75), (1, 0.3)]))
    assert found.n_leaves == 3
    found = regrown(material, found, 4, 0.0, 0)
    assert found.n_leaves == 4
    assert tree_loss(material, found) == pytest.approx(0.0, abs=1e-9)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 12))
def test_growing_again_never_loses(seed: int, budget: int) -> None:
    X, y = wavy(seed, 80)
    material = material_of(X, y)
    root = refined(material, grown(material, budget, 0.0, seed))
    again = regrown(material, root, budget, 0.0, seed)
    assert tree_loss(material, again) <= tree_loss(material, root) * (1 + 1e-12)
    assert again.n_leaves <= budget


def split(material: Material, rows: np.ndarray, parts: list[tuple[int, float]]) -> Branch:
    """A tree of depth 2 with these conditions: root, left, right."""
    mean = material.goal[rows].mean(axis=0)
    if not parts:
        return Branch(rows, mean)
    column, threshold = parts[0]
    goes = material.values[rows, column] <= threshold
    below = (parts[1:2], parts[2:3]) if len(parts) > 1 else ([], [])
    children = [split(material, side, part) for side, part in zip((rows[goes], rows[~goes]), below, strict=True)]
    return Branch(rows, mean, column, threshold, frozenset(), *children)


# Search


def exclusive_or() -> tuple[np.ndarray, np.ndarray]:
    X = np.random.default_rng(3).uniform(size=(800, 4))
    return X, np.where(X[:, 0] <= 0.5, X[:, 1] > 0.55, X[:, 1] <= 0.45).astype(float)


def test_a_tree_that_greedy_growth_misses_is_found() -> None:
    """The planted root explains less by itself than a condition below it does."""
    world = planted_tree(800, 5, random_state=5)
    material = material_of(world.X, world.y, min_leaf=5)
    assert tree_loss(material, grown(material, 4, 0.0, 0)) > 0.01 * material.spread
    found = searched(material, 4, 0.0, 0)
    assert tree_loss(material, found) == pytest.approx(0.0, abs=1e-9)
    assert found.n_leaves == 4


def test_spare_leaves_are_taken_away() -> None:
    """No first condition explains anything, so greedy growth needs many leaves; in the end four are left."""
    X, y = exclusive_or()
    assert grown(material_of(X, y, min_leaf=5), 32, 1e-4 * len(X), 0).n_leaves > 4
    tree = TreeRegressor(32, random_state=0).fit(X, y)
    assert tree.n_leaves_ == 4
    assert tree.score(X, y) == 1.0


@pytest.mark.parametrize("seed", range(3))
def test_searching_is_never_worse_than_the_greedy_start(seed: int) -> None:
    X, y = wavy(seed)
    material = material_of(X, y, min_leaf=5)
    greedy = polished(material, grown(material, 12, 0.0, seed), 12, 0.0, seed)
    found = searched(material, 12, 0.0, seed)
    costs = [tree_loss(material, tree) / material.spread + 1e-3 * tree.n_leaves for tree in (found, greedy)]
    assert costs[0] <= costs[1] + 1e-9
    assert found.n_leaves <= 12


# Thresholds


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (21.4, 21.59, 21.5),
        (3.0, 4.0, 3.5),
        (-1.0, 2.0, 0.0),
        (95.0, 108.0, 100.0),
        (0.00012, 0.00019, 0.00015),
        (-21.59, -21.4, -21.5),
        (1e-300, 3e-300, 2e-300),
        (0.0, 1.7e308, 1e308),
    ],
)
def test_the_simplest_decimal_in_a_gap(low: float, high: float, expected: float) -> None:
    assert simplest_between(np.array([low, high]), np.zeros(1), math.nan) == expected


def test_a_gap_without_a_decimal_keeps_its_threshold() -> None:
    low = 0.1
    assert simplest_between(np.array([low, np.nextafter(low, 1)]), np.zeros(1), low) == low


@settings(max_examples=100, deadline=None)
@given(st.floats(-1e6, 1e6), st.floats(1e-9, 1e6))
def test_the_simplest_decimal_separates(low: float, gap: float) -> None:
    values = np.array([low, low + gap])
    found = simplest_between(values, np.zeros(1), low)
    assert values[0] <= found < values[1] or values[0] == values[1]


def test_thresholds_are_short_where_the_answer_is_smooth_and_exact_where_it_jumps() -> None:
    rng = np.random.default_rng(0)
    x = np.sort(rng.uniform(size=20_000))[:, None]
    smooth = TreeRegressor(8, random_state=0).fit(x, x[:, 0] ** 2).readable_
    digits = [len(f"{node.threshold:g}".lstrip("0.")) for node in smooth.nodes if not node.is_leaf]
    assert max(digits) <= 4
    jump = TreeRegressor(2, random_state=0).fit(x, (x[:, 0] > 0.61803).astype(float)).readable_
    low, high = x[x <= 0.61803].max(), x[x > 0.61803].min()
    assert low < jump.nodes[0].threshold < high


def test_shortening_costs_next_to_nothing() -> None:
    X, y = wavy(1, 2_000)
    material = material_of(X, y, min_leaf=5)
    root = grown(material, 16, 0.0, 0)
    assert tree_loss(material, shortened(material, root)) <= tree_loss(material, root) + 1e-3 * material.spread


def test_thresholds_hold_where_float32_cannot() -> None:
    """Values that are one number in float32: the condition still separates them."""
    x = 1e8 + np.arange(40.0)[:, None] / 10
    assert len(np.unique(x.astype(np.float32))) < 4
    y = (np.arange(40) >= 17).astype(float)
    tree = TreeRegressor(2, random_state=0).fit(x, y)
    assert tree.predict(x).tolist() == y.tolist()
    assert x[16, 0] < tree.readable_.nodes[0].threshold < x[17, 0]


# Levels


def test_levels_are_grouped_in_one_condition_the_shorter_set_named() -> None:
    job = np.array(["baker", "clerk", "nurse", "pilot", "smith"])[np.arange(100) % 5]
    X = pd.DataFrame({"job": job})
    tree = TreeRegressor(random_state=0).fit(X, np.isin(job, ["baker", "pilot", "smith"]) * 1.0).readable_
    assert conditions(tree) == ["job in {'clerk', 'nurse'}"]
    one = TreeRegressor(random_state=0).fit(X, (job != "nurse") * 1.0).readable_
    assert conditions(one) == ["job = 'nurse'"]


def test_only_levels_that_are_still_possible_are_named() -> None:
    rng = np.random.default_rng(0)
    job = np.array(list("abcdef"))[rng.integers(6, size=600)]
    age = rng.uniform(size=600)
    y = 10.0 * np.isin(job, list("abc")) + np.isin(job, list("a")) * (age > 0.5) + 0.5 * np.isin(job, list("df"))
    tree = TreeRegressor(min_gain=1e-5, random_state=0).fit(pd.DataFrame({"job": job, "age": age}), y).readable_
    assert conditions(tree)[0] == "job in {'a', 'b', 'c'}"
    assert set(conditions(tree)[1:]) == {"job = 'a'", "age <= 0.5", "job = 'e'"}


def test_ordinal_levels_split_by_their_order() -> None:
    sizes = ["XS", "S", "M", "L", "XL"]
    size = np.array(sizes)[np.random.default_rng(0).integers(5, size=200)]
    X = pd.DataFrame({"size": pd.Categorical(size, categories=sizes, ordered=True)})
    order = np.array([sizes.index(s) for s in size])
    tree = TreeRegressor(random_state=0).fit(X, (order >= 3) * 1.0).readable_
    assert conditions(tree) == ["size in {'L', 'XL'}"]
    zigzag = TreeRegressor(2, random_state=0).fit(X, (order % 2) * 1.0).readable_
    assert zigzag.nodes[0].levels in {(0, 1), (4,), (0,), (3, 4)}


def test_a_level_without_rows_goes_with_the_unnamed_ones() -> None:
    schema = Schema((Column("job", "nominal", ("a", "b", "c", "d")),))
    rows = Table(schema, np.repeat([[0.0], [1.0], [2.0]], 10, axis=0))
    tree = TreeRegressor(random_state=0).fit(rows, np.repeat([5.0, 1.0, 1.0], 10))
    assert conditions(tree.readable_) == ["job = 'a'"]
    assert tree.predict(Table(schema, np.array([[3.0]]))).tolist() == [1.0]


def test_levels_are_ordered_by_their_mean_and_along_two_directions_of_many_classes() -> None:
    codes = np.repeat(np.arange(4), 5)
    ranks = level_ranks(codes, np.array([3.0, 1.0, 2.0, 0.0])[codes][:, None], np.ones(20), 5)
    assert [rank[:4].tolist() for rank in ranks] in ([[3, 1, 2, 0]], [[0, 2, 1, 3]])
    assert ranks[0][4] == 4
    assert len(level_ranks(codes, np.eye(4)[codes], np.ones(20), 4)) == 2


def test_a_level_of_next_to_no_weight_is_not_named() -> None:
    rng = np.random.default_rng(0)
    job = np.r_[np.array(["a", "b", "c", "d"])[rng.integers(4, size=20_000)], np.array(["rare"])]
    y = np.isin(job, ["a", "b", "rare"]) * 1.0
    tree = TreeRegressor(2, random_state=0).fit(pd.DataFrame({"job": job}), y).readable_
    assert "rare" not in conditions(tree)[0]


# Leaves


def test_leaf_values_have_the_digits_that_matter() -> None:
    X, y = wavy(2)
    for factor in (1e-6, 1.0, 1e6):
        tree = TreeRegressor(random_state=0).fit(X, factor * y)
        spread = factor * y.std()
        place = tree.readable_.leaf_of(X)
        for i in np.unique(place):
            value = tree.readable_.nodes[i].value[0]
            assert abs(value - factor * y[place == i].mean()) <= 1.001e-3 * spread
            assert len(f"{value:.12g}".split("e")[0].strip("-0.").replace(".", "")) <= 5


def test_a_constant_target_is_kept_exactly() -> None:
    tree = TreeRegressor(random_state=0).fit(np.arange(20.0)[:, None], np.full(20, 1.23456789e-30))
    assert tree.readable_.n_leaves == 1
    assert tree.predict([[1.0]])[0] == pytest.approx(1.23456789e-30, rel=1e-12)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=30).filter(lambda p: sum(p) > 1e-3))
def test_rounded_probabilities_sum_to_one_and_keep_the_best(weights: list[float]) -> None:
    mean = np.array(weights) / sum(weights)
    rounded = np.array(rounded_probabilities(mean))
    assert rounded.sum() == pytest.approx(1.0, abs=1e-12)
    assert rounded.min() >= 0
    assert np.argmax(rounded) == np.argmax(mean)
    assert np.abs(rounded - mean).max() < 1e-4


def test_sibling_leaves_that_say_the_same_are_one() -> None:
    """Two sides differ by less than a digit of the rounded distribution: no condition is left."""
    X = np.repeat([[0.0], [1.0]], 50, axis=0)
    soft = np.where(X == 0, [0.50001, 0.49999], [0.50002, 0.49998])
    tree = TreeClassifier(min_gain=0.0, random_state=0).fit(X, None, y_soft=soft, classes=["a", "b"])
    assert tree.readable_.n_leaves == 1
    apart = np.where(X == 0, [0.6, 0.4], [0.8, 0.2])
    tree.fit(X, None, y_soft=apart, classes=["a", "b"])
    assert [node.value for node in tree.readable_.nodes if node.is_leaf] == [(0.6, 0.4), (0.8, 0.2)]


@pytest.mark.parametrize("name", ["regression", "classification"])
def test_every_leaf_has_its_rows(name: str) -> None:
    X, y = wavy(3)
    if name == "regression":
        tree = TreeRegressor(20, min_samples_leaf=9, random_state=0).fit(X, y).readable_
    else:
        tree = TreeClassifier(20, min_samples_leaf=9, random_state=0).fit(X, y > 0.5).readable_
    place = tree.leaf_of(X)
    counts = {i: int((place == i).sum()) for i, node in enumerate(tree.nodes) if node.is_leaf}
    assert min(counts.values()) >= 9
    assert counts == {i: node.rows for i, node in enumerate(tree.nodes) if node.is_leaf}
    assert tree.nodes[0].rows == 300


def test_min_samples_leaf_can_be_a_share() -> None:
    X, y = wavy(3)
    tree = TreeRegressor(min_samples_leaf=0.2, random_state=0).fit(X, y).readable_
    assert min(node.rows for node in tree.nodes if node.is_leaf) >= 60


# Rows and weights


def test_order_and_repetition_do_not_matter() -> None:
    X, y = wavy(4)
    weights = np.random.default_rng(0).integers(0, 4, size=300)
    weighted = TreeRegressor(random_state=0).fit(X, y, sample_weight=weights).readable_
    order = np.random.default_rng(1).permutation(int(weights.sum()))
    repeated = TreeRegressor(random_state=0).fit(X.repeat(weights, axis=0)[order], y.repeat(weights)[order]).readable_
    assert weighted.to_dict() == repeated.to_dict()


def test_several_outputs_of_different_size_count_alike() -> None:
    """The output in the millions does not drown the other."""
    X = np.random.default_rng(0).uniform(size=(400, 2))
    Y = np.column_stack([1e6 * (X[:, 0] > 0.3), 1e-6 * (X[:, 1] > 0.6)])
    tree = TreeRegressor(random_state=0).fit(X, Y)
    assert tree.readable_.columns_used == (0, 1)
    np.testing.assert_allclose(tree.predict(X), Y)


def test_weights_that_do_not_count_as_rows_are_refused() -> None:
    X, y = wavy(5)
    with pytest.raises(InputError, match=r"weights count as rows: they sum to 1, .*Scale them to a mean of 1"):
        TreeRegressor().fit(X, y, sample_weight=np.full(300, 1 / 300))
    share = TreeRegressor(min_samples_leaf=5 / 300, random_state=0).fit(X, y, sample_weight=np.full(300, 1 / 300))
    assert share.n_leaves_ > 5


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"max_leaf_nodes": 1}, "max_leaf_nodes must be a whole number of at least 2; got 1"),
        ({"max_leaf_nodes": 8.5}, "max_leaf_nodes must be a whole number"),
        ({"max_leaf_nodes": "8"}, "max_leaf_nodes must be a whole number of at least 2; got '8'"),
        ({"min_samples_leaf": 0}, r"min_samples_leaf must be at least 1, or a share in \(0, 0.5\]; got 0"),
        ({"min_samples_leaf": 0.7}, "min_samples_leaf must be"),
        ({"min_samples_leaf": math.nan}, "min_samples_leaf must be"),
        ({"min_gain": -1}, "min_gain must be a share"),
        ({"min_gain": 1}, "min_gain must be a share"),
        ({"random_state": "today"}, "random_state must be"),
    ],
)
def test_bad_arguments(given: dict[str, Any], match: str) -> None:
    X, y = wavy(6)
    with pytest.raises(InputError, match=match):
        TreeRegressor(**given).fit(X, y)
    with pytest.raises(InputError, match=match):
        TreeClassifier(**given).fit(X, y > 0.5)


def test_few_rows_give_one_leaf() -> None:
    tree = TreeRegressor().fit([[1.0], [2.0]], [1.0, 3.0])
    assert tree.readable_.n_leaves == 1
    assert tree.predict([[5.0]]).tolist() == [2.0]
    assert TreeRegressor(min_samples_leaf=1).fit([[1.0], [2.0]], [1.0, 3.0]).predict([[5.0]]).tolist() == [3.0]


def test_the_expected_time_grows_with_the_work() -> None:
    tree = TreeRegressor()
    assert 0 < tree.expected_seconds(100, 3, 1) < tree.expected_seconds(100_000, 3, 1)
    assert TreeClassifier().expected_seconds(1_000, 3, 2) < TreeClassifier().expected_seconds(1_000, 30, 20)
