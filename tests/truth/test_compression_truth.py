"""Compression on planted worlds: queries near the data teach a small network what matters there, others do not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import limbeck
from limbeck._core.errors import LimbeckError
from limbeck.queries import Marginals, Munge

QUICK: dict[str, Any] = {"task": "regression", "checks": (limbeck.checks.Fidelity(),), "bill": False}


def world(n: int = 800) -> np.ndarray:
    """Rows along a line in five columns: each column is spread widely, all hang together."""
    rng = np.random.default_rng(0)
    along = rng.uniform(-3, 3, size=(n, 1))
    return along + 0.1 * rng.normal(size=(n, 5))


def teacher(X: np.ndarray) -> np.ndarray:
    """A smooth bend along the line; away from it, which no row is, a storm that costs a network all its units."""
    along = X.mean(axis=1)
    away = X.std(axis=1)
    return np.sin(2 * along) + np.where(away > 0.4, 20 * np.sin(7 * X[:, 0]) * np.cos(9 * X[:, 1]), 0.0)


def fidelity(queries: Any, seed: int) -> float:
    result = limbeck.compress(
        teacher, world(), budget="4KB", queries=queries, n_queries=4_000, max_epochs=60, random_state=seed, **QUICK
    )
    return result["network"].fidelity


def test_queries_near_the_data_teach_and_independent_columns_do_not() -> None:
    near, far = fidelity(Munge(), 0), fidelity(Marginals(), 0)
    assert near > 0.9
    assert far < near - 0.1


def test_the_smallest_network_that_is_as_good_is_found() -> None:
    """A plane needs few units, a storm many: the width follows what the teacher does, not a habit."""
    X = np.random.default_rng(0).uniform(-1, 1, size=(800, 3))
    plane = limbeck.compress(lambda X: X @ [1.0, -2.0, 0.5], X, n_queries=2_000, max_epochs=20, random_state=0, **QUICK)
    storm = limbeck.compress(
        lambda X: np.sin(5 * X[:, 0]) * np.cos(4 * X[:, 1]), X, n_queries=2_000, max_epochs=20, random_state=0, **QUICK
    )
    widths = [len(result["network"].readable.layers[0].bias) for result in (plane, storm)]
    assert plane["network"].fidelity > 0.98
    assert storm["network"].fidelity > 0.95
    assert widths[0] < widths[1]


def test_what_is_smaller_costs_fidelity() -> None:
    """A control: eight hundred bytes can't hold a storm, and the fidelity says so."""
    X = np.random.default_rng(0).uniform(-1, 1, size=(800, 3))
    tiny = limbeck.compress(
        lambda X: np.sin(9 * X[:, 0]) * np.cos(8 * X[:, 1]),
        X,
        budget="1100B",
        n_queries=3_000,
        max_epochs=30,
        random_state=0,
        **QUICK,
    )
    assert tiny["network"].verdict.startswith("do not use")
    with pytest.raises(LimbeckError, match="no candidate may be used"):
        tiny.best()
