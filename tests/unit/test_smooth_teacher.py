"""Smooth teachers keep scikit-learn's promises, are the default network without a penalty, and say what is wrong."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.tree import DecisionTreeRegressor
from sklearn.utils.estimator_checks import parametrize_with_checks
from tests.running_cli import limbeck as command

import limbeck
from limbeck._core.errors import InputError, TeacherError
from limbeck._core.tables import Table
from limbeck.students import TreeClassifier
from limbeck.teachers import SmoothTeacher, SmoothTeacherClassifier
from limbeck.training import DefaultRegressor, jacobian_penalty, train_default

RNG = np.random.default_rng(0)
N = 120
X = RNG.normal(size=(N, 3)) * [1.0, 50.0, 0.01]
Y = np.sin(X[:, 0]) + X[:, 1] / 50 + 0.1 * RNG.normal(size=N)
JOBS = np.array(["baker", "clerk", "nurse"], dtype=object)
FRAME = pd.DataFrame({"age; --": X[:, 0], "job": JOBS[RNG.integers(3, size=N)], "n": RNG.integers(0, 9, N)})
LABELS = np.where((FRAME["job"] == "nurse") | (X[:, 0] > 1), "yes", "no").astype(object)
QUICK: dict[str, Any] = {"hidden": (8,), "max_epochs": 12, "random_state": 0}


def quick(penalty: str = "jacobian", strength: Any = 0.01, **more: Any) -> SmoothTeacher:
    return SmoothTeacher(penalty, strength, **{**QUICK, **more})  # type: ignore[arg-type]


def quick_classifier(penalty: str = "jacobian", strength: Any = 0.01, **more: Any) -> SmoothTeacherClassifier:
    return SmoothTeacherClassifier(penalty, strength, **{**QUICK, **more})  # type: ignore[arg-type]


@parametrize_with_checks(
    [quick(hidden=(32,), max_epochs=15), quick_classifier("lipschitz", hidden=(32,), max_epochs=15)]
)
def test_scikit_learn(estimator: Any, check: Callable[[Any], None]) -> None:
    check(estimator)


@pytest.mark.parametrize("strength", [0.0, 0.3])
def test_without_a_penalty_it_is_the_default_network(strength: float) -> None:
    penalty = "none" if strength else "jacobian"
    own = SmoothTeacher(penalty, strength, random_state=3).fit(FRAME[:60], Y[:60])  # type: ignore[arg-type]
    default = train_default(FRAME[:60], Y[:60], random_state=3)
    np.testing.assert_array_equal(own.predict(FRAME), default.predict(FRAME))
    assert own.network_.to_dict() == default.to_dict()
    assert (own.strength_, own.selection_.rule) == (0.0, "given")
    penalised = SmoothTeacher("jacobian", 0.3, max_epochs=3, random_state=3).fit(FRAME, Y)
    assert not np.array_equal(penalised.predict(FRAME), default.predict(FRAME))


def test_without_a_penalty_the_classifier_is_too() -> None:
    own = SmoothTeacherClassifier("none", random_state=3).fit(FRAME[:60], LABELS[:60])
    default = train_default(FRAME[:60], LABELS[:60], random_state=3)
    assert own.network_.to_dict() == default.to_dict()
    assert own.classes_.tolist() == ["no", "yes"]


def test_every_container_gives_the_same_network() -> None:
    first = quick_classifier().fit(FRAME, LABELS)
    want = first.predict_proba(FRAME)
    polars = pl.from_pandas(FRAME)
    for rows in (polars, Table.read(FRAME), FRAME.to_numpy(dtype=object)):
        np.testing.assert_array_equal(quick_classifier().fit(rows, LABELS).predict_proba(rows), want)
    np.testing.assert_array_equal(first.predict_proba(polars.select("n", "job", "age; --")), want)
    assert first.feature_names_in_.tolist() == list(FRAME)


def test_a_seed_gives_one_network_and_global_states_are_untouched() -> None:
    states = torch.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002
    Y3 = np.column_stack([Y, -Y, X[:, 1]])
    for penalty in ("jacobian", "lipschitz"):
        one, two, other = (quick(penalty, random_state=seed).fit(X, Y3).predict(X) for seed in (1, 1, 2))
        np.testing.assert_array_equal(one, two)
        assert not np.array_equal(one, other)
        assert one.shape == (N, 3)
    assert torch.equal(states[0], torch.get_rng_state())
    assert states[1] == np.random.get_state()[1].tolist()  # noqa: NPY002


def test_the_smoothness_is_that_of_standardised_inputs_and_outputs() -> None:
    teacher = quick("none", validation=0.2).fit(X, 1000 * Y)
    moved = quick("none", validation=0.2).fit(X * [10, 0.1, 5], Y)
    assert moved.smoothness_.mean_jacobian == pytest.approx(teacher.smoothness_.mean_jacobian, rel=1e-3)
    order = np.random.default_rng(limbeck_seed()).permutation(N)[24:]
    rows, target = X[order], 1000 * Y[order]
    x = torch.tensor(teacher.network_.prepare(rows))
    scale, unit = torch.tensor(rows.std(axis=0)), float(target.std())
    model = teacher.network_.module()
    squares = [float(jacobian_penalty(lambda z: model(z * scale) / unit, (row / scale)[None]).detach()) for row in x]  # type: ignore[arg-type]
    assert teacher.smoothness_.mean_jacobian == pytest.approx(np.mean(np.sqrt(squares)), rel=1e-6)
    assert teacher.smoothness_.largest_slope >= np.sqrt(max(squares)) * (1 - 1e-9)
    assert teacher.smoothness_.lipschitz_bound is not None
    assert teacher.smoothness_.lipschitz_bound >= teacher.smoothness_.largest_slope
    assert teacher.smoothness_.rows == 96


def limbeck_seed() -> int:
    from limbeck._core.seeds import draw_seeds

    return draw_seeds(0, 1)[0]


def test_the_strength_is_chosen_by_the_teachers_validation_loss() -> None:
    teacher = quick("jacobian", (0.0, 100.0, 0.01)).fit(X, Y)
    table = dict(teacher.selection_.table)
    assert list(table) == [0.0, 100.0, 0.01]
    assert teacher.strength_ == min(table, key=table.__getitem__) != 100.0
    assert (teacher.selection_.rule, teacher.selection_.rows) == ("teacher", 24)
    alone = quick("jacobian", teacher.strength_).fit(X, Y)
    np.testing.assert_array_equal(alone.predict(X), teacher.predict(X))
    assert alone.selection_.table[0][1] == table[teacher.strength_]
    assert f"chosen by the teacher's loss on 24 validation rows" in teacher.summary()  # noqa: F541
    assert [strength for strength, _ in quick("lipschitz", "auto").fit(X, Y).selection_.table] == [0, 0.001, 0.01, 0.1]
    assert [s for s, _ in quick("jacobian", np.array([0.1, 1.0])).fit(X, Y).selection_.table] == [0.1, 1.0]


class Remembers(RegressorMixin, BaseEstimator):
    """A student that notes what it is given, and is only good where the teacher is nearly constant."""

    given: list[Any] = []  # noqa: RUF012

    def fit(self, X: Any, y: Any) -> Remembers:
        Remembers.given.append((X, y))
        self.spread_ = float(np.std(y))
        return self

    def predict(self, X: Any) -> Any:
        return np.full(len(X), 1e3 * self.spread_)


def test_the_strength_is_chosen_by_the_students_score_on_the_truth() -> None:
    Remembers.given.clear()
    teacher = quick("jacobian", (0.0, 100.0), select_by="student", student=Remembers()).fit(FRAME, Y)
    assert teacher.strength_ == 100.0
    assert (teacher.selection_.rule, teacher.selection_.metric) == ("student", "R2")
    rows, answers = Remembers.given[1]
    assert isinstance(rows, pd.DataFrame)
    assert (list(rows), len(rows)) == (list(FRAME), 96)
    np.testing.assert_array_equal(answers, teacher.predict(rows))
    order = np.random.default_rng(limbeck_seed()).permutation(N)
    truth = Y[order[:24]]
    score = 1 - ((truth - 1e3 * answers.std()) ** 2).sum() / ((truth - truth.mean()) ** 2).sum()
    assert teacher.selection_.table[1][1] == pytest.approx(score)
    assert quick("jacobian", (0.0, 100.0)).fit(FRAME, Y).strength_ == 0.0


def test_a_classifier_chosen_by_its_student() -> None:
    student = TreeClassifier(max_leaf_nodes=4)
    teacher = quick_classifier("jacobian", (0.0, 1000.0), select_by="student", student=student, max_epochs=100)
    teacher.fit(FRAME, LABELS)
    assert teacher.strength_ == 0.0
    assert teacher.selection_.metric == "accuracy"
    assert teacher.selection_.table[0][1] > teacher.selection_.table[1][1]
    numbers = (LABELS == "yes").astype(float)
    again = quick_classifier("jacobian", (0.0, 1000.0), select_by="student", student=LogisticRegression())
    assert again.fit(X, numbers).classes_.tolist() == [0.0, 1.0]


class Raises(RegressorMixin, BaseEstimator):
    """A student that can't be fitted to answers that spread."""

    def __init__(self, most: float = 0.0) -> None:
        self.most = most

    def fit(self, X: Any, y: Any) -> Raises:
        if np.std(y) > self.most:
            raise ValueError("too\nmuch")
        return self

    def predict(self, X: Any) -> Any:
        return np.zeros(len(X))


def test_a_student_that_raises_is_a_line_or_an_error() -> None:
    teacher = quick("jacobian", (0.0, 100.0), select_by="student", student=Raises(0.3), max_epochs=60).fit(X, Y)
    assert teacher.strength_ == 100.0
    assert math.isnan(teacher.selection_.table[0][1])
    assert teacher.selection_.failures == ((0.0, "ValueError: too much"),)
    with pytest.raises(TeacherError, match="no strength can be chosen by Raises: ValueError: too much"):
        quick("jacobian", (0.0, 0.1), select_by="student", student=Raises()).fit(X, Y)


def test_rows_to_choose_by_can_be_given() -> None:
    teacher = quick("jacobian", (0.0, 100.0)).fit(FRAME[:80], Y[:80], validation_data=(FRAME[80:], Y[80:]))
    assert teacher.selection_.rows == 40
    constant = quick("jacobian", (0.0, 100.0)).fit(FRAME[:80], Y[:80], validation_data=(FRAME[80:], 0 * Y[80:]))
    assert constant.strength_ == 100.0
    assert teacher.strength_ == 0.0
    named = quick_classifier(classes=["yes", "maybe", "no"]).fit(
        FRAME[:80], LABELS[:80], validation_data=(FRAME[80:], LABELS[80:])
    )
    assert named.classes_.tolist() == ["yes", "maybe", "no"]
    assert named.predict_proba(FRAME).shape == (N, 3)


def test_part_of_the_batch_is_another_network_that_is_smooth_too() -> None:
    whole, part, none = (
        quick(strength=strength, penalty_share=share, max_epochs=60).fit(X, Y)
        for strength, share in ((1.0, 1.0), (1.0, 0.25), (0.0, 1.0))
    )
    assert not np.array_equal(whole.predict(X), part.predict(X))
    assert part.smoothness_.mean_jacobian < 0.8 * none.smoothness_.mean_jacobian


def test_the_network_can_do_what_that_of_the_default_teacher_can() -> None:
    teacher = quick().fit(FRAME, Y)
    again = DefaultRegressor.from_dict(json.loads(json.dumps(teacher.network_.to_dict())))
    np.testing.assert_array_equal(again.predict(FRAME), teacher.predict(FRAME))
    answers = teacher.network_.module()(torch.tensor(teacher.network_.prepare(FRAME))).detach().numpy()
    np.testing.assert_allclose(answers[:, 0], teacher.predict(FRAME), rtol=1e-10, atol=1e-12)


def test_constant_columns_a_constant_target_and_few_rows_are_no_trouble() -> None:
    flat = quick().fit(np.column_stack([X[:, 0], np.ones(N)]), np.full(N, 7.0))
    assert flat.predict([[0.0, 1.0]])[0] == pytest.approx(7.0, abs=0.5)
    assert np.isfinite(flat.smoothness_.mean_jacobian)
    assert quick(hidden=()).fit(X, Y).smoothness_.lipschitz_bound is not None
    assert quick(validation=0.05).fit(X[:6], Y[:6]).selection_.rows == 0


def test_an_unfitted_one_says_so() -> None:
    with pytest.raises(NotFittedError, match="not fitted"):
        quick().predict(X)
    with pytest.raises(NotFittedError, match="not fitted"):
        quick().summary()
    assert clone(quick("lipschitz", (0.1, 0.2))).strength == (0.1, 0.2)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "penalty": ({"penalty": "jacobain"}, "penalty must be one of .* Did you mean 'jacobian'?"),
    "rule": ({"select_by": "me"}, "select_by must be one of"),
    "no student": ({"select_by": "student"}, "needs student=, an estimator that is not fitted; got None"),
    "negative": ({"strength": -0.1}, "at least 0, several of them, or 'auto'; got -0.1"),
    "one of several": ({"strength": (0.1, float("nan"))}, "strength must be a number of at least 0"),
    "infinite": ({"strength": float("inf")}, "strength must be a number"),
    "no strengths": ({"strength": ()}, r"got \(\)"),
    "text": ({"strength": "some"}, "or 'auto'; got 'some'"),
    "texts": ({"strength": ["auto"]}, "or 'auto'; got"),
    "yes": ({"strength": True}, "got True"),
    "share": ({"penalty_share": 0.0}, "penalty_share must be above 0 and at most 1; got 0.0"),
    "validation": ({"validation": 1.0}, "validation must be above 0 and below 1; got 1.0"),
    "widths": ({"hidden": (8, 0)}, "hidden must be the widths"),
    "one width": ({"hidden": 8}, r"such as \(128, 128\); got 8"),
    "epochs": ({"max_epochs": 0}, "max_epochs must be a whole number of at least 1, or None; got 0"),
    "far too strong": ({"strength": 1e300}, "no finite loss with the strength"),
    "no rows to choose by": ({"strength": (0.0, 1.0), "validation": 0.001}, "several strengths need validation rows"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_parameter_is_said(name: str) -> None:
    parameters, message = WRONG[name]
    with pytest.raises(InputError, match=message):
        SmoothTeacher(**{**QUICK, **parameters}).fit(X, Y)


ROWS: dict[str, tuple[Callable[[], Any], str]] = {
    "NaN in X": (lambda: quick().fit(np.where(X > 1, np.nan, X), Y), "finite|missing|NaN"),
    "infinity in y": (lambda: quick().fit(X, np.where(Y > 1, np.inf, Y)), "missing or infinite"),
    "another length": (lambda: quick().fit(X, Y[:-1]), "one row for each of the 120 rows"),
    "text in y": (lambda: quick().fit(X, LABELS), "regression needs numbers in y; got text such as"),
    "four rows": (lambda: quick().fit(X[:4], Y[:4]), "at least 5 rows are required"),
    "one class": (lambda: quick_classifier().fit(X, np.full(N, "a")), "at least 2 classes; got 1 class"),
    "a new level": (lambda: quick().fit(FRAME, Y).predict(FRAME.assign(job="pilot")), "pilot"),
    "no column": (lambda: quick().fit(FRAME, Y).predict(FRAME[["job", "n"]]), "age; --"),
    "no pair": (lambda: quick().fit(X, Y, validation_data=X), "a pair .* got a ndarray"),  # type: ignore[arg-type]
    "no validation rows": (lambda: quick().fit(X, Y, validation_data=(X[:0], Y[:0])), "row"),
    "validation NaN": (lambda: quick().fit(X, Y, validation_data=(X, np.full(N, np.nan))), "missing or infinite"),
    "a new label": (
        lambda: quick_classifier().fit(X, LABELS, validation_data=(X, np.full(N, "eh"))),
        r"labels that y lacks: \['eh'\]",
    ),
    "classes twice": (lambda: quick_classifier(classes=["no", "yes", "no"]).fit(X, LABELS), "different labels"),
    "a label beside classes": (lambda: quick_classifier(classes=["no", "x"]).fit(X, LABELS), "classes lacks: .'yes'"),
}


@pytest.mark.parametrize("name", ROWS)
def test_wrong_rows_are_said(name: str) -> None:
    call, message = ROWS[name]
    with pytest.raises((InputError, ValueError), match=message):
        call()


def test_distil_from_a_smooth_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limbeck.teachers._smooth_parameters.AUTO", (0.0, 0.1))
    heard: list[str] = []
    result = limbeck.distill(
        None,
        FRAME.assign(out=Y),
        "out",
        smooth="lipschitz",
        students=["tree"],
        checks=(),
        n_queries=0,
        random_state=0,
        n_jobs=1,
        progress=lambda what, done, total: heard.append(what),
    )
    (said,) = [line for line in heard if line.startswith("smooth teacher: ")]
    (note,) = [line for line in result.run["notes"] if line.startswith("SmoothTeacher: lipschitz penalty of strength")]
    assert said.removeprefix("smooth teacher: ") == note.removeprefix("SmoothTeacher: ")
    assert "on standardised inputs and outputs: mean Jacobian norm" in note
    assert "chosen by the teacher's loss on 18 validation rows" in note
    assert result.run["teacher"]["name"] == "the smooth network"
    assert result.run["output_names"] == ["out"]
    again = limbeck.load(result.save(tmp_path / "run"))
    assert note in again.run["notes"]


def test_distil_from_a_smooth_classifier_in_the_order_of_the_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limbeck.teachers._smooth_parameters.AUTO", (0.0, 0.1))
    options: dict[str, Any] = {"students": ["tree"], "checks": (), "n_queries": 0, "random_state": 0, "n_jobs": 1}
    result = limbeck.distill(None, FRAME, LABELS, smooth="jacobian", classes=["yes", "no"], **options)
    assert result.run["output_names"] == ["yes", "no"]
    readable = result.best().readable
    agree = np.array(["yes", "no"])[np.asarray(readable(FRAME)).argmax(axis=1)] == LABELS
    assert agree.mean() > 0.75


DISTIL: dict[str, tuple[tuple[Any, ...], dict[str, Any], str]] = {
    "a teacher": ((LinearRegression().fit(X, Y), X, Y), {}, "a teacher was given, which is trained already"),
    "no truth": ((None, X), {}, "which needs y"),
    "unknown": ((None, X, Y), {"smooth": "jacobien"}, "'jacobian' or 'lipschitz'; got 'jacobien'. Did you mean"),
    "an estimator": ((DecisionTreeRegressor(), X, Y), {}, "a teacher was given"),
}


@pytest.mark.parametrize("name", DISTIL)
def test_smooth_where_it_can_not_be_is_an_error(name: str) -> None:
    given, more, message = DISTIL[name]
    with pytest.raises(InputError, match=message):
        limbeck.distill(*given, **{"smooth": "jacobian", **more})


def test_the_command_refuses_a_smooth_teacher_that_is_given(tmp_path: Path) -> None:
    pd.DataFrame({"a": X[:, 0], "out": Y}).to_csv(tmp_path / "rows.csv", index=False)
    (tmp_path / "ours.py").write_text("def model(rows):\n    return rows['a']\n")
    arguments = ("distill", "--data", "rows.csv", "--target", "out", "--smooth", "jacobian")
    ran = command(*arguments, "--teacher", "ours:model", cwd=tmp_path)
    assert ran.returncode == 2
    assert "trained already" in ran.stderr
    ran = command(*arguments[:-1], "ridge", cwd=tmp_path)
    assert (ran.returncode, "'jacobian' or 'lipschitz'" in ran.stderr) == (2, True)


def test_a_classifier_is_one() -> None:
    assert issubclass(SmoothTeacherClassifier, ClassifierMixin)
