"""Formula students against worlds whose formula is known, and against worlds that have none."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from limbeck.datasets import load
from limbeck.readable import FormulaReadable
from limbeck.simulate import planted_formula
from limbeck.students import FormulaClassifier, FormulaRegressor

D = 4
LAWS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], set[str], int]] = {
    "gravity": (lambda x: 6.7 * x[:, 0] * x[:, 1] / x[:, 2] ** 2, {"x0", "x1", "x2"}, 9),
    "lens": (lambda x: 1.0 / (1.0 / x[:, 0] + x[:, 1] / x[:, 2]), {"x0", "x1", "x2"}, 12),
    "kinetic": (lambda x: 0.5 * x[:, 0] * (x[:, 1] ** 2 + x[:, 2] ** 2), {"x0", "x1", "x2"}, 15),
    "decay": (lambda x: 3.0 * np.exp(-0.7 * x[:, 0]) + 2.0, {"x0"}, 8),
    "saturation": (lambda x: 4.0 * x[:, 1] / (x[:, 1] + 2.5), {"x1"}, 8),
    "filter": (lambda x: x[:, 0] / np.sqrt(1.0 + x[:, 1] ** 2 / x[:, 2] ** 2), {"x0", "x1", "x2"}, 14),
    "bell": (lambda x: np.exp(-0.5 * x[:, 0] ** 2 / x[:, 1] ** 2) / x[:, 1], {"x0", "x1"}, 15),
    "length": (lambda x: np.sqrt(x[:, 0] ** 2 + x[:, 3] ** 2), {"x0", "x3"}, 9),
}
"""Name to the law, the columns that it reads, and the symbols that are enough for it."""


def r2(truth: np.ndarray, found: np.ndarray) -> float:
    return 1.0 - float(np.mean((truth - found) ** 2) / np.var(truth))


def rows(seed: int, n: int, low: float = 1.0, high: float = 5.0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(low, high, size=(n, D))


@pytest.mark.parametrize("name", LAWS)
def test_a_law_is_found_and_holds_far_outside(name: str) -> None:
    law, used, enough = LAWS[name]
    X = rows(0, 300)
    student = FormulaRegressor(max_evaluations=300_000, random_state=0).fit(X, law(X))
    far = rows(1, 300, 5.0, 12.0)
    assert r2(law(far), student.predict(far)) > 0.999999
    assert set(student.readable_.features_used) == used
    assert student.readable_.complexity <= enough


def test_noise_changes_the_constants_not_the_form() -> None:
    X = rows(2, 400)
    y = LAWS["saturation"][0](X) + 0.1 * np.random.default_rng(3).normal(size=400)
    student = FormulaRegressor(max_evaluations=30_000, random_state=0).fit(X, y)
    new = rows(4, 400)
    assert r2(LAWS["saturation"][0](new), student.predict(new)) > 0.99
    assert student.readable_.complexity <= 14


def test_the_planted_wave_is_found_where_waves_are_allowed() -> None:
    world = planted_formula(400, 4, random_state=0)
    new = planted_formula(400, 4, random_state=1)
    allowed = ["add", "sub", "mul", "sin"]
    student = FormulaRegressor(operators=allowed, max_evaluations=30_000, random_state=0).fit(world.X, world.y)
    assert r2(new.y, student.predict(new.X)) > 0.999999
    assert set(student.readable_.features_used) == set(world.used)
    plain = FormulaRegressor(operators=["add", "mul"], max_complexity=10, max_evaluations=30_000, random_state=0)
    assert r2(new.y, plain.fit(world.X, world.y).predict(new.X)) < 0.99


def test_where_there_is_nothing_to_find_little_is_said() -> None:
    generator = np.random.default_rng(5)
    X, y = generator.normal(size=(400, 6)), generator.normal(size=400)
    student = FormulaRegressor(max_evaluations=30_000, random_state=0).fit(X, y)
    assert student.readable_.complexity <= 9
    assert student.front_[-1].score < 0.1
    new = generator.normal(size=(400, 6))
    assert r2(generator.normal(size=400), student.predict(new)) < 0.05


def test_a_known_score_is_found_from_probabilities_and_from_labels() -> None:
    X = rows(6, 500)
    score = 2.0 * X[:, 0] - X[:, 1] * X[:, 2]
    p = 1.0 / (1.0 + np.exp(-score))
    soft = np.column_stack([1.0 - p, p])
    student = FormulaClassifier(max_evaluations=30_000, random_state=0).fit(X, None, y_soft=soft, classes=["no", "yes"])
    assert isinstance(student.readable_, FormulaReadable)
    far = rows(7, 300, 2.0, 7.0)
    truth = 2.0 * far[:, 0] - far[:, 1] * far[:, 2]
    assert r2(truth, student.readable_.scores(far)[:, 0]) > 0.9999
    assert set(student.readable_.features_used) == {"x0", "x1", "x2"}
    labels = np.random.default_rng(8).random(500) < p
    hard = FormulaClassifier(max_evaluations=30_000, random_state=0).fit(X, labels)
    assert np.corrcoef(hard.readable_.scores(X)[:, 0], score)[0, 1] > 0.9


def test_concrete_in_few_symbols_beats_a_linear_model() -> None:
    table = load("concrete")
    X = table.frame.drop(columns=table.target).to_numpy(dtype=float)
    y = table.frame[table.target].to_numpy(dtype=float)
    order = np.random.default_rng(9).permutation(len(y))
    train, test = order[:770], order[770:]
    student = FormulaRegressor(max_complexity=25, max_evaluations=120_000, random_state=0).fit(X[train], y[train])
    A = np.column_stack([X, np.ones(len(X))])
    linear = A[test] @ np.linalg.lstsq(A[train], y[train], rcond=None)[0]
    assert r2(y[test], linear) < 0.65
    assert r2(y[test], student.predict(X[test])) > 0.75
    assert student.readable_.complexity <= 25
    shuffled = FormulaRegressor(max_complexity=25, max_evaluations=20_000, random_state=0)
    shuffled.fit(X[train], np.random.default_rng(10).permutation(y[train]))
    assert r2(y[test], shuffled.predict(X[test])) < 0.1
