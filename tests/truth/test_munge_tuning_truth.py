"""Tuning finds that a wild source teaches worse where it does, and finds nothing where there is nothing."""

from __future__ import annotations

from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.neighbors import KNeighborsRegressor

from limbeck._core.errors import InputError, TeacherError
from limbeck.queries import Munge, tune_munge

WEIGHTS = np.random.default_rng(7).normal(size=(6, 3))


def near_a_curve(n: int, seed: int) -> np.ndarray:
    """Rows ``(n, 6)`` near one closed curve: nearly all of the space around them is empty."""
    rng = np.random.default_rng(seed)
    along = rng.uniform(size=(n, 1))
    places = np.arange(6)
    return np.sin(2 * np.pi * (along * (1 + places / 3) + places / 7)) + 0.02 * rng.normal(size=(n, 6))


def teacher(rows: np.ndarray) -> np.ndarray:
    return np.sin(3 * rows @ WEIGHTS)


def shuffled(rows: np.ndarray) -> np.ndarray:
    """Answers that no student can learn: each row has one, and near rows have nothing in common."""
    return np.sin(1e7 * (rows @ WEIGHTS))


X, VALIDATION = near_a_curve(150, 0), near_a_curve(400, 1)


def by_neighbours(inputs: np.ndarray, answers: np.ndarray, asked: np.ndarray) -> np.ndarray:
    return KNeighborsRegressor(5).fit(inputs, answers).predict(asked)


@pytest.mark.parametrize(
    "student", [None, KNeighborsRegressor(5), by_neighbours], ids=["quick", "estimator", "function"]
)
def test_a_source_that_is_too_wild_is_told_and_not_chosen(student: Any) -> None:
    munge, tried = tune_munge(X, teacher, VALIDATION, student=student, n_queries=600, ps=(0.5,), ss=(0.1, 5.0), seed=0)
    wild = tried[tried.s == 0.1].iloc[0]
    assert munge.s > 0.1
    assert wild.worse_by > 4 * wild.se
    assert not wild.tied
    assert tried[tried.chosen].s.item() == munge.s
    assert tried.rmse.is_monotonic_increasing
    assert (tried.asked <= 600).all()


def test_where_answers_are_shuffled_no_setting_is_better_beyond_noise() -> None:
    munge, tried = tune_munge(
        X, shuffled, VALIDATION, student=by_neighbours, n_queries=1_000, ps=(0.2, 0.5, 0.8), ss=(1.0, 5.0), seed=0
    )
    assert (tried.worse_by <= 4 * tried.se).all()
    assert (tried.rmse > 0.95 * shuffled(VALIDATION).std()).all()
    if tried[(tried.p == 0.5) & (tried.s == 5.0)].tied.item():
        assert munge == Munge()


def test_of_settings_that_tie_the_nearest_to_the_default_is_taken() -> None:
    def mean(inputs: np.ndarray, answers: np.ndarray, asked: np.ndarray) -> np.ndarray:
        return np.zeros((len(asked), answers.shape[1]))  # learns nothing: every setting is the same

    munge, tried = tune_munge(X, teacher, VALIDATION, student=mean, n_queries=50, ps=(0.1, 0.4), ss=(0.5, 20.0), seed=0)
    assert tried.tied.all()
    assert munge == Munge(p=0.4, s=20.0)


def test_one_seed_gives_one_answer_in_any_number_of_workers() -> None:
    rows = pd.DataFrame(near_a_curve(60, 2)).rename(columns=str)
    rows["side"] = np.where(rows["0"] > 0, "left", "right")
    held = pd.DataFrame(near_a_curve(50, 3)).rename(columns=str).assign(side="left")

    def of_frame(frame: pd.DataFrame) -> np.ndarray:
        return frame["0"].to_numpy() * (frame["side"] == "left")

    def tuned() -> Any:
        student = KNeighborsRegressor(3)
        return tune_munge(rows, of_frame, held, student=student, n_queries=80, ps=(0.5,), ss=(1.0, 5.0), seed=4)

    found = [tuned()]
    with joblib.parallel_config("threading", n_jobs=2):
        found.append(tuned())
    assert found[0][0] == found[1][0]
    pd.testing.assert_frame_equal(found[0][1].drop(columns="seconds"), found[1][1].drop(columns="seconds"))


def failing(inputs: np.ndarray, answers: np.ndarray, asked: np.ndarray) -> np.ndarray:
    raise ArithmeticError("no luck")


def nameless(inputs: np.ndarray, answers: np.ndarray, asked: np.ndarray) -> np.ndarray:
    return np.full((len(asked), answers.shape[1]), np.nan)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"validation": X[:100]}, "validation must be rows kept out of X; 100 of its 100 rows are in X"),
        ({"validation": VALIDATION[:, :4]}, "rows must have 6 columns"),
        ({"ps": ()}, "ps must be a sequence of at least one number"),
        ({"ss": 5.0}, "ss must be a sequence of at least one number; got 5.0"),
        ({"ss": (0.0,)}, "s, by which differences are divided, must be a number above 0"),
        ({"n_queries": 0}, "m, the number of rows to draw"),
        ({"student": "tree"}, "student must be a scikit-learn regressor, or a function"),
        ({"student": failing}, r"the student failed with Munge\(p=0.5.*ArithmeticError: no luck"),
        ({"student": nameless}, "a student must answer with finite numbers"),
        ({"student": lambda a, b, c: np.zeros(3)}, r"a student must answer with the shape \(400, 3\); got \(3,\)"),
    ],
)
def test_what_can_not_be_tuned_is_refused(change: dict[str, Any], words: str) -> None:
    given = {"validation": VALIDATION, "student": by_neighbours, "n_queries": 30, "ps": (0.5,), "ss": (5.0,), **change}
    with pytest.raises(InputError, match=words):
        tune_munge(X, teacher, given.pop("validation"), seed=0, **given)


def test_a_teacher_that_fails_is_said() -> None:
    with pytest.raises(TeacherError, match="the teacher raised ZeroDivisionError"):
        tune_munge(X, lambda rows: 1 / 0, VALIDATION)
