"""Planted worlds: the rule gives the answers, uses what it says, and nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.tree import DecisionTreeRegressor

from limbeck._core.errors import InputError
from limbeck.simulate import World, planted_formula, planted_mixed, planted_tree

WORLDS = {
    "tree": lambda seed: planted_tree(400, 6, depth=2, random_state=seed),
    "formula": lambda seed: planted_formula(400, 5, random_state=seed),
    "mixed": lambda seed: planted_mixed(400, random_state=seed),
}


def shuffled(world: World, column: str) -> Any:
    """The rows with one column shuffled."""
    order = np.random.default_rng(0).permutation(len(world.y))
    if isinstance(world.X, pd.DataFrame):
        return world.X.assign(**{column: world.X[column].to_numpy()[order]})
    X = world.X.copy()
    X[:, int(column[1:])] = X[order, int(column[1:])]
    return X


@pytest.mark.parametrize("name", WORLDS)
def test_the_rule_gives_the_answers_and_reads_the_columns_it_names(name: str) -> None:
    world = WORLDS[name](0)
    assert (world.function(world.X) == world.y).all()
    columns = list(world.X.columns) if isinstance(world.X, pd.DataFrame) else [f"x{j}" for j in range(world.X.shape[1])]
    for column in columns:
        changed = (world.function(shuffled(world, column)) != world.y).any()
        assert changed == (column in world.used)
    assert set(world.used) < set(columns)


@pytest.mark.parametrize("name", WORLDS)
def test_one_seed_gives_one_world(name: str) -> None:
    a, b, other = WORLDS[name](1), WORLDS[name](1), WORLDS[name](2)
    assert np.array_equal(np.asarray(a.X), np.asarray(b.X))
    assert a.truth == b.truth
    assert not np.array_equal(np.asarray(a.X), np.asarray(other.X))


@pytest.mark.parametrize("seed", range(5))
def test_the_written_tree_is_the_rule(seed: int) -> None:
    world = planted_tree(300, 5, depth=3, random_state=seed)
    for row, answer in zip(world.X[:50], world.y[:50], strict=True):
        text = world.truth
        while text.startswith("("):  # read the text by hand: (HIGH if xJ > T else LOW)
            high, low, column, cut = parts(text)
            text = high if row[column] > cut else low
        assert float(text) == answer
    assert len(set(world.y)) == 8


def parts(text: str) -> tuple[str, str, int, float]:
    depth = 0
    for i, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if depth == 1 and text[i:].startswith(" if "):
            condition, low = text[i + 4 : -1].split(" else ", 1)
            column, cut = condition.split(" > ")
            return text[1:i], low, int(column[1:]), float(cut)
    raise ValueError(text)


def test_a_tree_finds_the_planted_thresholds() -> None:
    world = planted_tree(4000, 4, depth=1, random_state=0)
    found = DecisionTreeRegressor(max_depth=1).fit(world.X, world.y).tree_
    ((column, thresholds),) = world.thresholds.items()
    assert f"x{found.feature[0]}" == column
    assert abs(found.threshold[0] - thresholds[0]) < 0.01


def test_noise_is_added_to_the_answers_only() -> None:
    clean, noisy = planted_formula(5000, random_state=0), planted_formula(5000, noise=0.5, random_state=0)
    assert (clean.X == noisy.X).all()
    assert abs((noisy.y - noisy.function(noisy.X)).std() - 0.5) < 0.02


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: planted_tree(10, 2, depth=2), "needs more than 2 columns"),
        (lambda: planted_tree(0, 3), "n must be a whole number >= 1; got 0"),
        (lambda: planted_tree(10, 3, depth=1.5), "depth must be a whole number >= 1; got 1.5"),
        (lambda: planted_formula(10, 3), "d must be at least 4; got 3"),
        (lambda: planted_formula(10, noise=-1), "noise, a standard deviation, must be a number of at least 0; got -1"),
        (lambda: planted_mixed("many"), "n must be a whole number >= 1; got 'many'"),
    ],
)
def test_worlds_that_can_not_be(make: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        make()
