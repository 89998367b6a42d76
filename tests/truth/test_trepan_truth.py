"""Asking finds a planted tree that the rows alone do not tell; an oracle without a rule is not passed off as a tree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from limbeck._core.tables import Table
from limbeck.checks import Case, Fidelity
from limbeck.readable import TreeReadable
from limbeck.simulate import World, planted_mixed, planted_tree
from limbeck.students import TreeRegressor, TrepanClassifier, TrepanRegressor

FEW = 80


class Counted:
    def __init__(self, function: Callable[[Any], np.ndarray]) -> None:
        self.function = function
        self.rows = self.calls = 0

    def __call__(self, rows: Any) -> np.ndarray:
        self.rows, self.calls = self.rows + len(rows), self.calls + 1
        return self.function(rows)


def is_found(tree: TreeReadable, world: World, near: float) -> bool:
    """The planted columns are read and no other, and fresh rows get the planted answers, but for those at a cut."""
    fresh = np.random.default_rng(99).uniform(size=(4_000, world.X.shape[1]))
    right = np.abs(tree(fresh)[:, 0] - world.function(fresh)) < 0.25
    return tree.features_used == world.used and float(np.mean(right)) > 1 - near


@pytest.mark.parametrize("seed", [0, 2, 5])
def test_a_planted_tree_is_found_from_few_rows_by_asking_only(seed: int) -> None:
    world = planted_tree(FEW, 5, random_state=seed)
    oracle = Counted(world.function)
    asked = TrepanRegressor(max_leaf_nodes=4, max_queries=3_000, random_state=0)
    asked.fit(world.X, world.y, oracle=oracle)
    assert is_found(asked.readable_, world, 0.01)
    assert asked.n_leaves_ == 4
    assert (oracle.rows, oracle.calls) == (asked.n_queries_, asked.n_calls_)
    assert oracle.rows == 128 + 3_000
    assert oracle.calls <= 6
    for alone in (TrepanRegressor(max_leaf_nodes=4, random_state=0), TreeRegressor(max_leaf_nodes=4, random_state=0)):
        assert not is_found(alone.fit(world.X, world.y).readable_, world, 0.05)


def test_a_rule_over_text_and_numbers_is_found_by_asking() -> None:
    world = planted_mixed(FEW, random_state=1)
    tree = TrepanClassifier(max_leaf_nodes=3, random_state=0).fit(world.X, world.y, oracle=world.function)
    fresh = planted_mixed(3_000, random_state=2)
    assert np.mean(tree.predict(fresh.X) == fresh.y) > 0.99
    assert set(tree.readable_.features_used) == set(world.used)
    assert "workclass in {'Private', 'Self-emp'}" in tree.readable_.text()


def without_a_rule(rows: np.ndarray) -> np.ndarray:
    """The same answer for the same row, but none that a condition on a column could tell."""
    digits = np.floor(np.abs(rows).sum(axis=1) * 1e9).astype(np.int64)
    return np.where(digits % 2 == 0, "even", "odd")


def verdict(tree: TreeReadable, oracle: Callable[[Any], np.ndarray]) -> str:
    held_out = Table.read(np.random.default_rng(7).uniform(size=(1_000, 4)))
    answers = (oracle(held_out.values)[:, None] == np.array(tree.output_names)[None]).astype(float)
    case = Case(tree, oracle, held_out, answers, truth=None, background=held_out, refits=None, seed=0)  # type: ignore[arg-type]
    return Fidelity()(case).status


def test_fidelity_rejects_the_tree_of_an_oracle_without_a_rule() -> None:
    X = np.random.default_rng(0).uniform(size=(300, 4))

    def ruled(rows: np.ndarray) -> np.ndarray:
        return np.where((rows[:, 1] > 0.4) & (rows[:, 2] > 0.3), "odd", "even")

    statuses = [
        verdict(TrepanClassifier(max_queries=2_000, random_state=0).fit(X, oracle(X), oracle=oracle).readable_, oracle)
        for oracle in (ruled, without_a_rule)
    ]
    assert statuses == ["pass", "fail"]


def test_shuffled_answers_without_an_oracle_are_rejected() -> None:
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(300, 4))

    def ruled(rows: np.ndarray) -> np.ndarray:
        return np.where((rows[:, 1] > 0.4) & (rows[:, 2] > 0.3), "odd", "even")

    tree = TrepanClassifier(random_state=0).fit(X, rng.permutation(ruled(X))).readable_
    assert verdict(tree, ruled) == "fail"


def test_one_seed_one_tree_and_the_order_of_the_rows_does_not_matter() -> None:
    world = planted_mixed(FEW, random_state=3)
    shuffled = world.X.sample(frac=1.0, random_state=0).reset_index(drop=True)
    trees = [
        TrepanClassifier(random_state=4).fit(rows, world.function(rows), oracle=world.function).readable_.to_dict()
        for rows in (world.X, world.X, pd.DataFrame(shuffled))
    ]
    assert trees[0] == trees[1] == trees[2]
