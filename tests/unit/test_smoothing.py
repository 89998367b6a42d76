"""Programs that act alike tell of each other: the noisy returns of many rank them better than each one's own."""

from __future__ import annotations

import numpy as np

from limbeck.policies._program_draft import Draft, Line
from limbeck.policies._smoothing import Smoothed


def lines(n: int, seed: int) -> list[Draft]:
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(n):
        low, high = np.sort(rng.normal(size=2) * 1.5)
        made.append(Draft((Line(((0, 1.0), (1, float(rng.choice([-2, -1, 1])))), float(low), float(high), 1, 2),), 0))
    return made


def share(a: np.ndarray, b: np.ndarray) -> float:
    """How many of the best fifth by `a` are of the best fifth by `b`."""
    k = len(a) // 5
    return len(set(np.argsort(-a)[:k]) & set(np.argsort(-b)[:k])) / k


def test_smoothed_returns_rank_better_than_noisy_ones_and_know_programs_that_never_played() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(800, 3))
    right = Draft((Line(((0, 1.0), (1, -1.0)), -0.4, 0.9, 1, 2),), 0)(rows)
    drafts, others = lines(200, 1), lines(80, 2)
    true = np.array([100.0 * (draft(rows) == right).mean() for draft in drafts])
    noisy = true + 30.0 * rng.normal(size=len(true))
    model = Smoothed(drafts, [[value] for value in noisy], rows, 3)
    assert share(noisy, true) < 0.6 < share(model.means(drafts), true)
    elsewhere = np.array([100.0 * (draft(rows) == right).mean() for draft in others])
    assert np.corrcoef(model.means(others), elsewhere)[0, 1] > 0.8
    assert (model.hopes(others) > model.means(others)).all()


def test_where_returns_have_nothing_to_do_with_what_is_done_nothing_is_learned() -> None:
    rng = np.random.default_rng(3)
    drafts = lines(150, 4)
    model = Smoothed(drafts, [[value] for value in rng.normal(size=150)], rng.normal(size=(500, 3)), 3)
    assert np.ptp(model.means(drafts)) < 1.0


def test_equal_returns_and_a_single_program_are_no_fault() -> None:
    drafts, rows = lines(5, 6), np.random.default_rng(7).normal(size=(50, 3))
    assert np.allclose(Smoothed(drafts, [[4.0, 4.0]] * 5, rows, 3).means(drafts), 4.0)
    assert np.allclose(Smoothed(drafts[:1], [[4.0]], rows, 3).means(drafts[1:]), 4.0)
