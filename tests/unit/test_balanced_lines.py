"""Lines about a difference of two columns: the forms that are tried, and places where the states don't put them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from limbeck.policies._balanced_lines import balanced_forms, balanced_lines
from limbeck.policies._candidate_lines import candidate_forms, candidate_lines
from limbeck.policies._program_draft import Draft, Line, program_of
from limbeck.readable import policy_schema

FORM = ((0, 1.0), (1, -1.0), (2, 2.0))


def rows(n: int = 400) -> np.ndarray:
    """Two columns of one kind, two smaller ones, and one that is constant."""
    rng = np.random.default_rng(0)
    return np.column_stack([40 * rng.normal(size=(n, 2)), 8 * rng.normal(size=(n, 2)), np.full(n, 7.0)])


def wins(at: np.ndarray, low: float, high: float) -> np.ndarray:
    """What each action wins in each state, where action 2 is right above, 1 below and 0 between."""
    d = at @ np.array([1.0, -1.0, 2.0, 0.0, 0.0])
    return np.eye(3)[np.where(d > high, 2, np.where(d < low, 1, 0))]


def nearest(lines: list[Draft], low: float, high: float) -> float:
    """How far the best placed line of the planted form is from these thresholds."""
    own = [line.lines[0] for line in lines if line.lines[0].form == FORM]
    return min((max(abs(line.low - low), abs(line.high - high)) for line in own), default=np.inf)


def test_forms_compare_columns_of_one_kind() -> None:
    forms = balanced_forms(rows(), 3)
    assert FORM in forms
    assert ((0, 1.0), (2, -1.0)) not in forms
    assert all(len(form) <= 3 and 4 not in dict(form) for form in forms)
    assert balanced_forms(rows()[:, [0, 2]], 4) == []


@pytest.mark.parametrize("shift", [-0.5, 1.0])
def test_a_line_is_placed_where_the_states_do_not_put_it(shift: float) -> None:
    at = rows()
    spread = float((at @ np.array([1.0, -1.0, 2.0, 0.0, 0.0])).std())
    gains = [wins(at, -0.3 * spread, 0.3 * spread)]
    low, high = (shift - 0.3) * spread, (shift + 0.3) * spread
    placed = balanced_lines(at, gains, 3, 10)
    assert nearest(placed, low, high) < 0.05 * spread
    assert nearest(placed, (shift + 5) * spread, (shift + 6) * spread) > spread
    beside = candidate_lines(candidate_forms(at, gains, 3), at, gains, 160)
    assert nearest(beside, low, high) > 0.2 * spread


def test_a_teacher_that_stands_far_aside_leaves_a_line_where_the_columns_are_level() -> None:
    at = rows()
    spread = float((at @ np.array([1.0, -1.0, 2.0, 0.0, 0.0])).std())
    gains = [wins(at, -1.6 * spread, -1.2 * spread)]  # of its thresholds no place is near to 0.4 of a spread
    placed = balanced_lines(at, gains, 3, 10)
    assert nearest(placed, 0.1 * spread, 0.7 * spread) < 0.05 * spread
    assert nearest(placed, 0.9 * spread, 1.5 * spread) > 0.2 * spread


def test_few_forms_of_the_same_columns_stand_for_all_of_them() -> None:
    at = rows()
    placed = balanced_lines(at, [wins(at, -9.0, 9.0)], 4, 40)
    forms = {draft.lines[0].form for draft in placed}
    columns = [tuple(column for column, _ in form) for form in forms]
    assert max(columns.count(own) for own in columns) <= 4
    assert len(set(columns)) > 4


def test_what_multiplying_left_is_not_written() -> None:
    line = Line(((0, 3 * 0.1), (1, -1.0)), -math.inf, 2.1 - 2**-51, 1, 2, gate=(((2, 1.0),), 0.1 + 0.2))
    program = program_of(Draft((line,), 0), policy_schema(("x", "y", "z")), ("a", "b", "c"), ())
    assert program.text() == "c if 0.3*x - y > 2.1 and z > 0.3; else a"


def test_two_actions_need_one_threshold() -> None:
    at = rows()
    gains = [wins(at, 10.0, 10.0)[:, 1:]]
    for draft in balanced_lines(at, gains, 3, 5):
        (line,) = draft.lines
        assert np.isfinite(line.low) != np.isfinite(line.high) or line.low == line.high
        assert set(draft(at)) <= {0, 1}
