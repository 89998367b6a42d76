"""Smooth teachers are as smooth as they are told to be, and the strength that helps is found, by either rule."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.tree import DecisionTreeRegressor

from limbeck.teachers import SmoothTeacher
from limbeck.training import jacobian_penalty, lipschitz_penalty


def planted(n: int, noise: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, size=(n, 6))
    clean = X[:, 0] - 0.5 * X[:, 1]
    return X, clean + noise * rng.normal(size=n)


@pytest.mark.parametrize("penalty", ["jacobian", "lipschitz"])
def test_the_stronger_the_penalty_the_smoother_the_teacher(penalty: Any) -> None:
    X, y = planted(300, 0.3)
    grid = (0.0, 0.1, 1.0) if penalty == "jacobian" else (0.0, 0.01, 0.1)
    found = [SmoothTeacher(penalty, s, hidden=(32, 32), max_epochs=40, random_state=0).fit(X, y) for s in grid]
    numbers = [teacher.smoothness_ for teacher in found]
    measure = "mean_jacobian" if penalty == "jacobian" else "lipschitz_bound"
    values = [getattr(one, measure) for one in numbers]
    assert values[0] > 1.05 * values[1] > 1.2 * values[2]
    assert all(one.mean_jacobian <= one.largest_slope * (1 + 1e-9) for one in numbers)


def test_of_a_planted_line_the_measured_slope_is_the_true_one() -> None:
    X, y = planted(1000, 0.0)
    teacher = SmoothTeacher("none", hidden=(32,), max_epochs=150, random_state=0).fit(X, y)
    true = np.sqrt(1 + 0.25) * X[:, 0].std() / y.std()
    assert teacher.smoothness_.mean_jacobian == pytest.approx(true, rel=0.05)
    assert teacher.smoothness_.mean_jacobian != pytest.approx(np.sqrt(1.25), rel=0.05)


def test_the_jacobian_penalty_shrinks_a_line_as_ridge_does() -> None:
    """Without a hidden layer, on independent inputs, the loss is (w - b)^2 + lambda w^2: w = b / (1 + lambda)."""
    X, y = planted(2000, 0.0)
    options: dict[str, Any] = {"hidden": (), "max_epochs": 60, "random_state": 0}
    plain = SmoothTeacher("none", **options).fit(X, y).smoothness_.mean_jacobian
    shrunk = SmoothTeacher("jacobian", 0.5, **options).fit(X, y)
    assert shrunk.smoothness_.mean_jacobian < 0.9 * plain
    network = shrunk.network_.network
    loss = [float(held) for _, held in network.history]
    assert plain / 1.5 == pytest.approx(shrunk.smoothness_.mean_jacobian, rel=0.15), loss[-1]


def test_the_strength_that_helps_is_found_where_noise_is_learnt_and_refused_where_nothing_is_to_be_smoothed() -> None:
    X, y = planted(80, 1.0)
    grid = (0.0, 0.3)
    options: dict[str, Any] = {"hidden": (64, 64), "max_epochs": 100, "random_state": 0}
    held = planted(1000, 0.0, seed=1)
    noisy = SmoothTeacher("jacobian", grid, **options).fit(X, y, validation_data=held)
    assert noisy.strength_ == 0.3
    X, y = np.random.default_rng(2).uniform(-1, 1, size=(600, 2)), np.zeros(600)
    y = np.sin(6 * X[:, 0])
    wild = SmoothTeacher("jacobian", grid, **options).fit(X, y)
    assert wild.strength_ == 0.0


def test_the_students_rule_finds_what_is_best_for_the_student() -> None:
    """A stump learns only the constant part of a strongly penalised teacher; it must choose the other one."""
    X, y = planted(300, 0.1)
    options: dict[str, Any] = {"hidden": (32,), "max_epochs": 60, "random_state": 0}
    student = DecisionTreeRegressor(max_leaf_nodes=16, random_state=0)
    teacher = SmoothTeacher("jacobian", (100.0, 0.01), select_by="student", student=student, **options).fit(X, y)
    assert teacher.strength_ == 0.01
    assert teacher.selection_.table[1][1] > 0.5 > teacher.selection_.table[0][1]


def test_wrong_measures_of_a_linear_map_are_told_apart() -> None:
    W = torch.tensor([[3.0, 0.0, 1.0], [0.0, 2.0, 1.0]], dtype=torch.float64)
    model = torch.nn.Linear(3, 2, dtype=torch.float64)
    with torch.no_grad():
        model.weight.copy_(W)
    x = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    frobenius, spectral = float((W**2).sum()), float(torch.linalg.matrix_norm(W, 2))
    assert float(jacobian_penalty(model, x).detach()) == pytest.approx(frobenius, rel=1e-12)
    assert float(jacobian_penalty(model, x).detach()) != pytest.approx(spectral**2, rel=0.1)
    assert float(lipschitz_penalty(model, form="product").detach()) == pytest.approx(spectral, rel=1e-9)
    assert float(lipschitz_penalty(model, form="product").detach()) != pytest.approx(frobenius**0.5, rel=0.1)
