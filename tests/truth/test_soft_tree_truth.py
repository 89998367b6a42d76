"""Soft trees in worlds whose answer is known: the planted filters are found, a wrong tree is rejected."""

from __future__ import annotations

import numpy as np
import pytest

from limbeck import datasets
from limbeck._core.tables import Table
from limbeck.checks import Case, Fidelity
from limbeck.readable import SoftTreeReadable
from limbeck.students import SoftTreeClassifier, SoftTreeRegressor


def region(rows: np.ndarray) -> np.ndarray:
    """Which of four regions between oblique planes each row ``(n, 6)`` is in."""
    first, second = rows[:, 0] + rows[:, 1] > 0, rows[:, 2] - rows[:, 3] > 0.3
    third = rows[:, 2] + rows[:, 4] > -0.3
    return np.where(first, np.where(second, 3, 2), np.where(third, 1, 0))


def oblique(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows in six columns, and the region of each."""
    X = np.random.default_rng(seed).normal(size=(n, 6))
    return X, region(X)


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    return abs(float(one @ other)) / float(np.linalg.norm(one) * np.linalg.norm(other))


@pytest.mark.parametrize("seed", range(2))
def test_planted_filters_are_found(seed: int) -> None:
    X, y = oblique(3_000, seed)
    tree = SoftTreeClassifier(2, max_steps=2_500, random_state=seed).fit(X, y)
    fresh, answers = oblique(2_000, seed + 50)
    assert tree.score(fresh, answers) > 0.97
    planes = np.array([[1, 1, 0, 0, 0, 0], [0, 0, 1, -1, 0, 0], [0, 0, 1, 0, 1, 0]], dtype=float)
    weight = tree.readable_.weight
    for plane in planes:
        assert max(cosine(filters, plane) for filters in weight) > 0.98
    reading = tree.readable_.read(fresh[:1])[0]
    assert {name for name, _, _ in reading.decisions[0].inputs[:2]} <= {"x0", "x1", "x2", "x3", "x4"}


def test_a_sparse_tree_reads_only_the_columns_that_matter() -> None:
    X, y = oblique(3_000, 0)
    X = np.column_stack([X, np.random.default_rng(9).normal(size=(3_000, 20))])
    tree = SoftTreeClassifier(2, max_steps=2_500, l1=0.003, random_state=0).fit(X, y)
    assert set(tree.readable_.features_used) == {"x0", "x1", "x2", "x3", "x4"}
    assert tree.score(X, y) > 0.97


def test_a_value_for_each_region() -> None:
    X, y = oblique(3_000, 1)
    tree = SoftTreeRegressor(3, max_steps=2_500, random_state=0).fit(X, np.array([1.0, 5.0, -3.0, 10.0])[y])
    fresh, answers = oblique(2_000, 51)
    assert tree.score(fresh, np.array([1.0, 5.0, -3.0, 10.0])[answers]) > 0.93


def verdict(tree: SoftTreeReadable) -> str:
    """What RC001 says of the tree on fresh rows, the regions being the teacher's answers."""
    X, y = oblique(1_500, 60)
    rows, answers = Table.read(X), np.eye(4)[y]
    case = Case(tree, region, rows, answers, truth=None, background=rows, refits=None, seed=0)  # type: ignore[arg-type]
    return Fidelity()(case).status


def test_shuffled_answers_are_rejected() -> None:
    """The negative control: the same rows with the answers in another order must fail the fidelity check."""
    X, y = oblique(2_500, 2)
    shuffled = np.random.default_rng(0).permutation(y)
    right, wrong = (SoftTreeClassifier(2, max_steps=2_500, random_state=0).fit(X, given) for given in (y, shuffled))
    assert verdict(right.readable_) == "pass"
    assert verdict(wrong.readable_) == "fail"


def test_images_of_digits_are_read() -> None:
    """scikit-learn's 8 x 8 digits: columns named as pixels make an image, and a small tree reads most of them."""
    data = datasets.load("digits")
    X, y = data.X.to_numpy(), data.y.to_numpy()
    tree = SoftTreeClassifier(4, image_shape=(8, 8), max_steps=2_000, random_state=0).fit(X[:1_300], y[:1_300])
    assert tree.readable_.image == (8, 8, 1)
    assert tree.score(X[1_300:], y[1_300:]) > 0.85
