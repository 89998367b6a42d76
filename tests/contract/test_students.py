"""Every student keeps every promise: one table of students, one test a promise, scikit-learn's checks among them."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import parametrize_with_checks

from limbeck import students
from limbeck._core.errors import InputError
from limbeck._core.tables import Table
from limbeck.readable import evaluate, readable_from_dict

SMALL: dict[str, dict[str, Any]] = {
    "AdaptiveWaveletClassifier": {"wavelet": "db2", "level": 2, "l1": 0.01, "max_steps": 2, "max_coefficients": 3},
    "AdaptiveWaveletRegressor": {"wavelet": "db2", "level": 2, "l1": 0.01, "max_steps": 2, "max_coefficients": 3},
    "FixedWaveletClassifier": {"wavelet": "db2", "level": 2},
    "FixedWaveletRegressor": {"wavelet": "db2", "level": 2},
    "FormulaClassifier": {"max_complexity": 20, "max_evaluations": 300},
    "FormulaRegressor": {"max_complexity": 20, "max_evaluations": 300},
    "NetworkClassifier": {"hidden_layer_sizes": (8,), "max_epochs": 20},
    "NetworkRegressor": {"hidden_layer_sizes": (8,), "max_epochs": 20},
    "OptimalTreeClassifier": {},
    "OptimalTreeRegressor": {},
    "RuleListClassifier": {},
    "RuleListRegressor": {},
    "RuleSetClassifier": {"max_rules": 4},
    "RuleSetRegressor": {"max_rules": 4},
    "SoftTreeClassifier": {"max_depth": 3, "max_steps": 150},
    "SoftTreeRegressor": {"max_depth": 3, "max_steps": 150},
    "TreeClassifier": {},
    "TreeRegressor": {},
    "TrepanClassifier": {},
    "TrepanRegressor": {},
}
"""Every student with a budget that lets this file run in a minute."""

REGRESSORS = [name for name in SMALL if name.endswith("Regressor")]
CLASSIFIERS = [name for name in SMALL if name.endswith("Classifier")]
LEARNS_LITTLE: dict[str, dict[str, Any]] = {
    "FormulaClassifier": {"max_complexity": 40, "max_evaluations": 3_000},
    "FormulaRegressor": {"max_complexity": 40, "max_evaluations": 3_000},
    "NetworkClassifier": {"max_epochs": 150},
    "NetworkRegressor": {"max_epochs": 150},
    "SoftTreeClassifier": {"max_steps": 1_000},
    "SoftTreeRegressor": {"max_depth": 5, "max_steps": 1_500},
}
"""What a student needs beyond `SMALL` where a test asks how well it learns."""

every = pytest.mark.parametrize("name", SMALL)
regressors = pytest.mark.parametrize("name", REGRESSORS)
classifiers = pytest.mark.parametrize("name", CLASSIFIERS)

N = 120
CLASSES = ("low", "middle", "high")
JOBS = np.array(["baker", "clerk", "nurse", "pilot"], dtype=object)
rng = np.random.default_rng(0)
FRAME = pd.DataFrame({"age": rng.uniform(20, 60, N), "height": rng.normal(170, 10, N), "job": JOBS[np.arange(N) % 4]})
WELL_PAID = FRAME["job"].isin(["nurse", "pilot"]).to_numpy()
VALUES = np.where(WELL_PAID, 5.0, 1.0) + 0.1 * FRAME["age"].to_numpy()
NUMBERS = np.column_stack([FRAME["age"], FRAME["height"], WELL_PAID])
LABELS = np.array(CLASSES, dtype=object)[np.digitize(VALUES, [5.0, 8.0])]
SCORES = np.column_stack([7.0 - VALUES, np.full(N, 0.5), VALUES - 7.0])
SOFT = np.exp(SCORES) / np.exp(SCORES).sum(axis=1, keepdims=True)


def student(name: str, **over: Any) -> Any:
    return getattr(students, name)(**{"random_state": 0, **SMALL[name], **over})


def target(name: str) -> np.ndarray:
    return VALUES if name in REGRESSORS else LABELS


def fitted(name: str, X: Any = FRAME, **given: Any) -> Any:
    more = {} if name in REGRESSORS else {"y_soft": SOFT, "classes": CLASSES}
    return student(name).fit(X, target(name), **(more | given))


def outputs(model: Any, X: Any) -> np.ndarray:
    return model.predict_proba(X) if hasattr(model, "classes_") else model.predict(X).reshape(len(X), -1)


@pytest.fixture(scope="module")
def on_frame() -> dict[str, Any]:
    return {name: fitted(name) for name in SMALL}


@pytest.fixture(scope="module")
def on_array() -> dict[str, Any]:
    return {name: fitted(name, NUMBERS) for name in SMALL}


def test_every_public_student_has_a_row() -> None:
    assert sorted(SMALL) == sorted(students.__all__)


@parametrize_with_checks([student(name) for name in SMALL])
def test_scikit_learn(estimator: Any, check: Callable[[Any], None]) -> None:
    check(estimator)


@every
def test_what_is_read_is_what_predicts(name: str, on_frame: dict[str, Any]) -> None:
    model = copy.copy(on_frame[name])
    assert np.array_equal(outputs(model, FRAME), model.readable_(FRAME))
    program = evaluate(model.readable_.program(), model.readable_.schema.encode(FRAME))
    np.testing.assert_allclose(program, outputs(model, FRAME), rtol=1e-9, atol=1e-9)
    other = fitted(name, FRAME.iloc[::-1].reset_index(drop=True))
    assert not np.allclose(outputs(other, FRAME), outputs(model, FRAME))
    model.readable_ = other.readable_
    assert np.array_equal(outputs(model, FRAME), outputs(other, FRAME))


@every
def test_the_readable_survives_json(name: str, on_frame: dict[str, Any]) -> None:
    readable = on_frame[name].readable_
    again = readable_from_dict(json.loads(json.dumps(readable.to_dict())))
    assert np.array_equal(again(FRAME), readable(FRAME))
    assert again.text() == readable.text()


@every
def test_levels_are_read_by_their_names(name: str, on_frame: dict[str, Any]) -> None:
    readable = on_frame[name].readable_
    assert "job" in readable.features_used
    assert "'nurse'" in readable.text() or "'baker'" in readable.text()


@every
def test_any_container_and_any_order_of_columns(name: str, on_frame: dict[str, Any]) -> None:
    model = on_frame[name]
    expected = outputs(model, FRAME)
    polars = pl.DataFrame({column: FRAME[column].to_list() for column in FRAME})
    for rows in (FRAME[["job", "height", "age"]], FRAME.assign(more=1.0), polars, Table.read(FRAME), FRAME.to_numpy()):
        assert np.array_equal(outputs(model, rows), expected)


@every
def test_a_table_is_fitted_as_its_frame_is(name: str, on_frame: dict[str, Any]) -> None:
    model = fitted(name, Table.read(FRAME))
    assert model.readable_.to_dict() == on_frame[name].readable_.to_dict()


@every
def test_names_come_with_frames_and_go_with_arrays(name: str) -> None:
    model = fitted(name)
    assert model.feature_names_in_.tolist() == list(FRAME.columns)
    assert model.n_features_in_ == 3
    model.fit(NUMBERS[:, :2], target(name))
    assert not hasattr(model, "feature_names_in_")
    assert model.n_features_in_ == 2
    assert model.readable_.schema.names == ("x0", "x1")


@every
def test_one_seed_one_model(name: str, on_frame: dict[str, Any]) -> None:
    assert fitted(name).readable_.to_dict() == on_frame[name].readable_.to_dict()


@every
def test_global_random_states_are_left_alone(name: str) -> None:
    before = (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())  # noqa: NPY002
    fitted(name)
    after = (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())  # noqa: NPY002
    assert before == after


@every
def test_what_was_given_is_left_alone(name: str) -> None:
    X, weights, soft = FRAME.copy(), np.ones(N), SOFT.copy()
    more = {} if name in REGRESSORS else {"y_soft": soft, "classes": CLASSES}
    model = student(name)
    given = clone(model).get_params()
    model.fit(X, target(name), sample_weight=weights, **more)
    pd.testing.assert_frame_equal(X, FRAME)
    assert (weights == 1).all()
    assert np.array_equal(soft, SOFT)
    assert model.get_params() == given


@every
def test_heavy_rows_win(name: str) -> None:
    """The same rows twice, with answers that contradict each other: the weights decide."""
    y = np.where(NUMBERS[:, 2] > 0.5, 1, 0)
    twice, weights = np.vstack([NUMBERS, NUMBERS]), np.r_[np.full(N, 0.01), np.full(N, 1.99)]
    model = student(name, **LEARNS_LITTLE.get(name, {})).fit(twice, np.r_[1 - y, y], sample_weight=weights)
    assert np.mean((model.predict(NUMBERS) > 0.5) == y) > 0.95
    model.fit(twice, np.r_[1 - y, y], sample_weight=weights[::-1])
    assert np.mean((model.predict(NUMBERS) > 0.5) == y) < 0.05


@every
def test_a_constant_column_is_not_read(name: str) -> None:
    X = np.column_stack([NUMBERS, np.full(N, 7.0)])
    model = fitted(name, X)
    assert "x3" not in model.readable_.features_used
    X[:, 3] = -1e3
    assert np.array_equal(outputs(model, X), outputs(model, np.column_stack([NUMBERS, np.full(N, 7.0)])))


@regressors
def test_several_outputs(name: str) -> None:
    Y = pd.DataFrame({"pay": VALUES, "debt": -2 * VALUES})
    model = student(name, **LEARNS_LITTLE.get(name, {})).fit(FRAME, Y)
    assert model.readable_.output_names == ("pay", "debt")
    assert model.predict(FRAME).shape == (N, 2)
    assert model.score(FRAME, Y) > 0.7
    assert model.fit(FRAME, Y.to_numpy()).readable_.output_names == ("prediction_0", "prediction_1")


@regressors
def test_the_name_of_the_target_is_kept(name: str) -> None:
    assert student(name).fit(FRAME, pd.Series(VALUES, name="pay")).readable_.output_names == ("pay",)
    assert student(name).fit(FRAME, VALUES).readable_.output_names == ("prediction",)


@classifiers
def test_probabilities_are_probabilities(name: str, on_frame: dict[str, Any]) -> None:
    P = on_frame[name].predict_proba(FRAME)
    assert P.shape == (N, 3)
    assert P.min() >= 0
    np.testing.assert_allclose(P.sum(axis=1), 1.0, atol=1e-9)


@classifiers
def test_the_teachers_probabilities_are_fitted_not_the_labels(name: str) -> None:
    """The labels are noise; the probabilities say 0.2, 0.7 and 0.1 everywhere."""
    soft = np.tile([0.2, 0.7, 0.1], (N, 1))
    labels = np.array(CLASSES)[np.random.default_rng(1).integers(3, size=N)]
    model = student(name, **LEARNS_LITTLE.get(name, {})).fit(NUMBERS, labels, y_soft=soft, classes=CLASSES)
    np.testing.assert_allclose(model.predict_proba(NUMBERS), soft, atol=0.05)
    assert set(model.predict(NUMBERS)) == {"middle"}


@classifiers
def test_no_class_is_dropped(name: str) -> None:
    """``middle`` is never the most probable class: no label names it, and it keeps its probability."""
    weights = np.exp(np.column_stack([7.0 - VALUES, np.full(N, -0.5), VALUES - 7.0]))
    soft, labels = weights / weights.sum(axis=1, keepdims=True), np.where(VALUES > 7.0, "high", "low")
    assert (soft.argmax(axis=1) != 1).all()
    model = student(name, **LEARNS_LITTLE.get(name, {})).fit(FRAME, labels, y_soft=soft, classes=CLASSES)
    assert model.classes_.tolist() == list(CLASSES)
    assert model.readable_.output_names == CLASSES
    assert model.predict_proba(FRAME)[:, 1].mean() == pytest.approx(soft[:, 1].mean(), abs=0.05)


@classifiers
def test_a_class_without_rows_is_kept(name: str) -> None:
    labels = np.where(VALUES > 7.0, "high", "low")
    model = student(name, **LEARNS_LITTLE.get(name, {})).fit(FRAME, labels, classes=CLASSES)
    P = model.predict_proba(FRAME)
    assert P.shape == (N, 3)
    assert P[:, 1].max() < 0.2
    assert np.mean(model.predict(FRAME) == labels) > 0.9


@classifiers
def test_columns_of_probabilities_follow_classes_in_any_order(name: str) -> None:
    order = [2, 0, 1]
    classes = [CLASSES[c] for c in order]
    learns = LEARNS_LITTLE.get(name, {})
    model = student(name, **learns).fit(FRAME, None, y_soft=SOFT[:, order], classes=classes)
    assert model.classes_.tolist() == classes
    np.testing.assert_allclose(model.predict_proba(FRAME).mean(axis=0), SOFT[:, order].mean(axis=0), atol=0.05)


@classifiers
def test_labels_are_not_needed_beside_probabilities(name: str, on_frame: dict[str, Any]) -> None:
    model = student(name).fit(FRAME, None, y_soft=SOFT, classes=CLASSES)
    assert model.readable_.to_dict() == on_frame[name].readable_.to_dict()


@classifiers
def test_half_precision_probabilities_are_taken(name: str, on_frame: dict[str, Any]) -> None:
    model = student(name).fit(FRAME, LABELS, y_soft=SOFT.astype(np.float16), classes=CLASSES)
    np.testing.assert_allclose(model.predict_proba(FRAME), on_frame[name].predict_proba(FRAME), atol=0.2)


@classifiers
@pytest.mark.parametrize("labels", [[3, 1], [True, False], ["b", "a"]], ids=str)
def test_labels_come_back_as_they_were(name: str, labels: list[Any]) -> None:
    y = np.array(labels)[(VALUES > 7.0).astype(int)]
    model = student(name, **LEARNS_LITTLE.get(name, {})).fit(NUMBERS, y)
    assert model.classes_.dtype == y.dtype
    assert model.classes_.tolist() == sorted(labels)
    assert np.mean(model.predict(NUMBERS) == y) > 0.9
    assert model.readable_.output_names == tuple(str(label) for label in sorted(labels))


def changed(X: np.ndarray, value: float) -> np.ndarray:
    X = X.copy()
    X[3, 1] = value
    return X


BAD_ROWS: dict[str, tuple[Any, str]] = {
    "missing": (changed(NUMBERS, np.nan), r"missing \(NaN or null\) in 1 column\(s\) - x1: 1"),
    "infinite": (changed(NUMBERS, np.inf), r"must be finite; got infinity \(inf\) in column\(s\) \{'x1': 1\}"),
    "missing in a frame": (FRAME.assign(age=changed(NUMBERS, np.nan)[:, 1]), "missing .* - age: 1"),
    "missing text": (FRAME.assign(job=[None, *FRAME["job"][1:]]), "missing .* - job: 1"),
    "dates": (FRAME.assign(day=pd.Timestamp("2020-01-01")), "column 'day' holds .*; numbers or text are required"),
    "no rows": (NUMBERS[:0], r"0 sample\(s\)"),
    "no rows in a frame": (FRAME.iloc[:0], "at least one row"),
    "no columns": (NUMBERS[:, :0], r"0 feature\(s\)"),
    "one dimension": (NUMBERS[:, 0], "Expected 2D array, got 1D array"),
    "a nested value": (np.array([[{}]] * N, dtype=object), "argument must be a string or a real number"),
    "names twice": (pd.DataFrame(NUMBERS, columns=["a", "b", "a"]), "names must differ"),
    "fewer rows than targets": (NUMBERS[:7], "y must have one row for each of the 7 rows of X"),
}


@every
@pytest.mark.parametrize("case", BAD_ROWS)
def test_bad_rows(name: str, case: str) -> None:
    X, match = BAD_ROWS[case]
    with pytest.raises((ValueError, TypeError), match=match):
        student(name).fit(X, target(name))


BAD_WEIGHTS: dict[str, tuple[Any, str]] = {
    "negative": (np.r_[-1.0, np.ones(N - 1)], "weights must be at least 0; got -1"),
    "all zero": (np.zeros(N), "must have a weight above zero"),
    "too few": (np.ones(3), r"must have shape \(120,\), one weight a row; got \(3,\)"),
    "a matrix": (np.ones((N, 2)), r"must have shape \(120,\), one weight a row; got \(120, 2\)"),
    "missing": (np.full(N, np.nan), "sample_weight must be finite; got NaN or infinity in 120 of 120 values"),
}


@every
@pytest.mark.parametrize("case", BAD_WEIGHTS)
def test_bad_weights(name: str, case: str) -> None:
    weights, match = BAD_WEIGHTS[case]
    with pytest.raises(InputError, match=match):
        student(name).fit(NUMBERS, target(name), sample_weight=weights)


BAD_VALUES: dict[str, tuple[Any, dict[str, Any], str]] = {
    "text": (LABELS, {}, "y must hold numbers in regression; got '(low|middle|high)'"),
    "missing": (np.where(VALUES > 7, np.nan, 1.0), {}, r"y must be finite; got NaN or infinity in \d+ of 120 values"),
    "infinite": (np.full(N, np.inf), {}, "y must be finite"),
    "absent": (None, {}, "requires y to be passed, but the target y is None"),
    "three dimensions": (VALUES[:, None, None], {}, r"y must have shape \(n,\) or \(n, k\)"),
    "dates": (np.full(N, "2020-01-01", dtype="M8[D]"), {}, "y must hold numbers"),
    "names twice": (pd.DataFrame(np.ones((N, 2)), columns=["a", "a"]), {}, "columns of y name the outputs"),
    "probabilities": (VALUES, {"y_soft": SOFT}, "y_soft is for classifiers"),
    "classes": (VALUES, {"classes": CLASSES}, "classes is for classifiers"),
}


@regressors
@pytest.mark.parametrize("case", BAD_VALUES)
def test_bad_values(name: str, case: str) -> None:
    y, more, match = BAD_VALUES[case]
    with pytest.raises(InputError, match=match):
        student(name).fit(NUMBERS, y, **more)


BAD_LABELS: dict[str, tuple[Any, dict[str, Any], str]] = {
    "numbers": (VALUES, {}, "Unknown label type: continuous"),
    "a matrix": (SOFT, {}, "y should be a 1d array"),
    "absent": (None, {}, "requires y to be passed, but the target y is None"),
    "missing": (np.array([None, *LABELS[1:]], dtype=object), {}, "NaN or None in 1 rows: a label is required in each"),
    "missing numbers": (np.where(VALUES > 7, 1, np.nan), {}, "NaN or infinity: labels are required"),
    "mixed": (np.array([1, *LABELS[1:]], dtype=object), {}, "mixes text and numbers"),
    "one class": (np.full(N, "low"), {}, r"at least 2 classes; got 1 class: \['low'\]"),
    "classes lack a label": (LABELS, {"classes": ["low", "middle"]}, r"it lacks \['high'\]"),
    "classes twice": (LABELS, {"classes": ["low", *CLASSES]}, "list of different labels"),
    "classes are a number": (LABELS, {"classes": 3}, "list of different labels; got 3"),
    "soft: a row does not sum to 1": (LABELS, {"y_soft": 2 * SOFT}, r"sum to 1 in every row; got 2 in row \d+"),
    "soft: scores": (LABELS, {"y_soft": SCORES}, "must hold probabilities, none negative"),
    "soft: a column short": (LABELS, {"y_soft": SOFT[:, :2]}, "one column a class, 3 for"),
    "soft: one dimension": (LABELS, {"y_soft": SOFT[:, 0]}, r"one column a class, 3 for .* got shape \(120,\)"),
    "soft: too few rows": (LABELS, {"y_soft": SOFT[:5]}, "y_soft must have one row for each of the 120 rows"),
    "soft: missing": (LABELS, {"y_soft": np.full_like(SOFT, np.nan)}, "y_soft must be finite"),
    "soft: more classes than labels": (np.where(VALUES > 7, "a", "b"), {"y_soft": SOFT}, "classes="),
    "soft without names": (None, {"y_soft": SOFT}, "classes must name the columns of y_soft"),
}


@classifiers
@pytest.mark.parametrize("case", BAD_LABELS)
def test_bad_labels(name: str, case: str) -> None:
    y, more, match = BAD_LABELS[case]
    with pytest.raises(ValueError, match=match):
        student(name).fit(NUMBERS, y, **more)


@every
def test_bad_rows_to_predict(name: str, on_frame: dict[str, Any], on_array: dict[str, Any]) -> None:
    with pytest.raises(NotFittedError, match="not fitted yet"):
        student(name).predict(NUMBERS)
    cases = [
        (on_frame, FRAME.assign(job="smith"), r"column 'job' has no level 'smith' \(row 0\); its levels are"),
        (on_frame, FRAME.drop(columns="job"), r"lack the column\(s\) \['job'\]"),
        (on_frame, FRAME.assign(age="old"), "column 'age' must hold numbers; got value 'old'"),
        (on_frame, FRAME.assign(age=np.nan), "NaN"),
        (on_frame, NUMBERS[:, :2], "must have 3 columns"),
        (on_array, NUMBERS[:, :2], "X has 2 features, but .* is expecting 3 features as input"),
        (on_array, changed(NUMBERS, np.nan), r"NaN in column\(s\) \{'x1': 1\}"),
        (on_array, changed(NUMBERS, np.inf), r"infinity \(inf\) in column\(s\)"),
        (on_array, FRAME[["job", "age", "height"]].to_numpy(), "column 'x0' must hold numbers"),
    ]
    for models, X, match in cases:
        with pytest.raises(ValueError, match=match):
            models[name].predict(X)


@every
def test_a_bad_seed_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="random_state must be"):
        student(name, random_state=-1).fit(NUMBERS, target(name))
