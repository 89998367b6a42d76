"""Ensemble selection keeps scikit-learn's promises, takes every container, and says what is wrong."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from sklearn.utils.estimator_checks import parametrize_with_checks

from limbeck._core.errors import InputError
from limbeck._core.tables import Table
from limbeck.teachers import EnsembleSelection, EnsembleSelectionRegressor, as_teacher
from limbeck.teachers._ensemble_fitting import count_trees
from limbeck.teachers._ensemble_library import SMALL, read_library
from limbeck.teachers._ensemble_neighbours import BlockNeighborsClassifier, BlockNeighborsRegressor

CLASSIFIERS = [("tree", DecisionTreeClassifier()), ("line", LogisticRegression()), ("bayes", GaussianNB())]
REGRESSORS = [("tree", DecisionTreeRegressor()), ("line", LinearRegression()), ("near", KNeighborsRegressor(2))]

N = 240
rng = np.random.default_rng(0)
JOBS = np.array(["baker", "clerk", "nurse", "pilot"], dtype=object)
FRAME = pd.DataFrame(
    {"age": rng.uniform(20, 60, N), "job": JOBS[rng.integers(4, size=N)], "hours": rng.integers(60, size=N)}
)
SCORE = FRAME["age"] / 10 + 3 * FRAME["job"].isin(["nurse", "pilot"])
LABELS = np.array(["low", "middle", "high"], dtype=object)[np.digitize(SCORE, [4.5, 6.5])]
X = np.column_stack([FRAME["age"], FRAME["hours"], rng.normal(size=N)])


class Raises(ClassifierMixin, BaseEstimator):
    """A model that raises where it is told to."""

    def __init__(self, error: type[BaseException] = ValueError) -> None:
        self.error = error

    def fit(self, X: Any, y: Any) -> Raises:
        raise self.error("no more\nrows")

    def predict(self, X: Any) -> Any: ...

    def predict_proba(self, X: Any) -> Any: ...


class AnswersNaN(DummyClassifier):
    def predict_proba(self, X: Any) -> Any:
        return super().predict_proba(X) * np.nan


class Slow(DummyClassifier):
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        time.sleep(0.2)
        return super().fit(X, y, sample_weight)


def small(library: Any = CLASSIFIERS, **more: Any) -> EnsembleSelection:
    return EnsembleSelection(library, **{"n_bags": 2, "random_state": 0} | more)


def small_regressor(library: Any = REGRESSORS, **more: Any) -> EnsembleSelectionRegressor:
    return EnsembleSelectionRegressor(library, **{"n_bags": 2, "random_state": 0} | more)


@parametrize_with_checks([small(), small_regressor()])
def test_scikit_learn(estimator: Any, check: Callable[[Any], None]) -> None:
    check(estimator)


def test_every_container_gives_the_same_ensemble() -> None:
    first = small().fit(FRAME, LABELS)
    want = first.predict_proba(FRAME)
    assert first.score(FRAME, LABELS) > 0.85
    assert first.feature_names_in_.tolist() == ["age", "job", "hours"]
    polars = pl.from_pandas(FRAME)
    for rows in (polars, pa.table(FRAME), Table.read(FRAME), FRAME.to_numpy(dtype=object)):
        model = small().fit(rows, LABELS)
        assert np.array_equal(model.predict_proba(rows), want)
        assert model.n_features_in_ == 3
    assert np.array_equal(first.predict_proba(polars.select("hours", "job", "age")), want)


def test_the_teacher_passes_a_table_and_no_row_needs_the_others() -> None:
    model = small([*CLASSIFIERS, ("near", KNeighborsClassifier(3, algorithm="kd_tree"))]).fit(FRAME, LABELS)
    teacher = as_teacher(model, rows=Table.read(FRAME))
    assert teacher.source.takes_table
    assert np.allclose(teacher(Table.read(FRAME)), model.predict_proba(FRAME))
    alone = np.concatenate([model.predict_proba(FRAME.iloc[[i]]) for i in range(20)])
    assert np.allclose(alone, model.predict_proba(FRAME)[:20])


@pytest.mark.parametrize("weights", ["uniform", "distance"])
def test_ties_between_neighbours_do_not_depend_on_the_other_rows(weights: str) -> None:
    whole = np.random.default_rng(0).integers(16, size=(1500, 16)) / np.linspace(1, 3, 16)
    labels = np.random.default_rng(1).integers(5, size=1500)
    Z = whole[1000:1300]
    near = BlockNeighborsClassifier(15, weights=weights, algorithm="brute").fit(whole[:1000], labels[:1000])
    alone = np.concatenate([near.predict_proba(Z[i : i + 1]) for i in range(0, 300, 3)])
    assert np.array_equal(alone, near.predict_proba(Z)[::3])
    assert np.array_equal(near.predict(Z), near.classes_[near.predict_proba(Z).argmax(axis=1)])
    mean = BlockNeighborsRegressor(15, weights=weights, algorithm="brute").fit(whole[:1000], labels[:1000])
    assert np.array_equal(np.concatenate([mean.predict(Z[:7]), mean.predict(Z[7:])]), mean.predict(Z))
    trees = KNeighborsRegressor(15, weights=weights, algorithm="kd_tree").fit(whole[:1000], labels[:1000])
    assert np.abs(trees.predict(Z) - mean.predict(Z)).max() < 0.5


def test_the_same_seed_gives_the_same_ensemble_in_any_number_of_processes() -> None:
    library = [("bayes", GaussianNB()), ("forest", RandomForestClassifier(10))]
    one, two = (small(library, n_jobs=jobs).fit(FRAME, LABELS) for jobs in (1, 2))
    assert "forest" in one.weights_
    assert one.weights_ == two.weights_
    assert np.array_equal(one.predict_proba(FRAME), two.predict_proba(FRAME))
    other = small(library, random_state=1).fit(FRAME, LABELS)
    assert not np.array_equal(one.predict_proba(FRAME), other.predict_proba(FRAME))


def test_the_order_of_the_rows_does_not_matter() -> None:
    order = np.random.default_rng(1).permutation(N)
    one, two = small().fit(X, LABELS), small().fit(X[order], LABELS[order])
    assert np.array_equal(one.predict_proba(X), two.predict_proba(X))


def test_what_is_kept() -> None:
    model = small([*CLASSIFIERS, ("forest", RandomForestClassifier(7, max_depth=3))], n_bags=5).fit(FRAME, LABELS)
    table = model.library_scores_
    assert list(table.columns) == ["name", "family", "score", "seconds", "error", "weight"]
    assert set(model.estimators_) == set(model.weights_) == set(table["name"][table["weight"] > 0])
    assert sum(model.weights_.values()) == pytest.approx(1)
    assert table["score"].is_monotonic_increasing
    assert table["name"][0] == model.best_single_
    assert model.path_[0] == pytest.approx(table["score"][0])
    assert model.validation_score_ <= table["score"][0] + 1e-12
    assert model.complete_
    assert model.n_trees_ == 7 * ("forest" in model.weights_) + ("tree" in model.weights_)
    mixed = sum(w * model.estimators_[n].predict_proba(model.schema_.encode(FRAME)) for n, w in model.weights_.items())
    assert np.allclose(mixed, model.predict_proba(FRAME))


def test_validation_data_are_what_is_selected_on() -> None:
    library = [("line", LogisticRegression()), ("tree", DecisionTreeClassifier())]
    swapped = np.roll(LABELS, 1)
    half = N // 2
    model = small(library).fit(FRAME[:half], LABELS[:half], validation_data=(FRAME[half:], LABELS[half:]))
    against = small(library).fit(FRAME[:half], LABELS[:half], validation_data=(FRAME[half:], swapped[half:]))
    assert against.validation_score_ > 2 * model.validation_score_
    error = model.predict_proba(FRAME[half:]) - (LABELS[half:, None] == model.classes_)
    assert np.sqrt((error**2).mean()) == pytest.approx(model.validation_score_)


def test_two_classes_the_error_is_that_of_the_positive_probability() -> None:
    y = (LABELS == "high").astype(int)
    model = small().fit(X[:160], y[:160], validation_data=(X[160:], y[160:]))
    positive = model.predict_proba(X[160:])[:, 1]
    assert model.validation_score_ == pytest.approx(np.sqrt(((positive - y[160:]) ** 2).mean()))


@pytest.mark.parametrize("metric", ["log_loss", "accuracy"])
def test_other_metrics_score_as_their_names_say(metric: str) -> None:
    from sklearn.metrics import accuracy_score, log_loss

    half = N // 2
    model = small(metric=metric).fit(FRAME[:half], LABELS[:half], validation_data=(FRAME[half:], LABELS[half:]))
    p = model.predict_proba(FRAME[half:])
    want = (
        log_loss(LABELS[half:], p)
        if metric == "log_loss"
        else accuracy_score(LABELS[half:], model.predict(FRAME[half:]))
    )
    assert model.validation_score_ == pytest.approx(want)
    best = model.library_scores_["score"][0]
    assert model.validation_score_ <= best if metric == "log_loss" else model.validation_score_ >= best


def test_a_failed_model_is_a_line_and_no_error() -> None:
    model = small([("bad", Raises()), ("nan", AnswersNaN()), *CLASSIFIERS]).fit(FRAME, LABELS)
    table = model.library_scores_.set_index("name")
    assert table.loc["bad", "error"] == "ValueError: no more rows"
    assert "finite" in table.loc["nan", "error"]
    assert table.loc["tree", "error"] is None
    assert np.isnan(table.loc["bad", "score"])
    assert table.loc["bad", "weight"] == 0
    with pytest.raises(
        InputError, match=r"every one of the 2 models of the library failed\. bad: ValueError: no more rows"
    ):
        small([("bad", Raises()), ("nan", AnswersNaN())]).fit(FRAME, LABELS)


def test_a_stop_keeps_what_is_done() -> None:
    library = [("tree", DecisionTreeClassifier()), ("stop", Raises(KeyboardInterrupt)), ("late", GaussianNB())]
    with pytest.warns(UserWarning, match=r"stopped after 1 of 3 models: .* \(tree\), and complete_ is False") as caught:
        model = small(library).fit(FRAME, LABELS)
    assert caught[0].filename == __file__
    assert not model.complete_
    assert model.weights_ == {"tree": 1.0}
    assert "not reached" in model.library_scores_.set_index("name").loc["late", "error"]
    with pytest.raises(KeyboardInterrupt):
        small(library[1:]).fit(FRAME, LABELS)


def test_a_stop_in_several_processes_keeps_what_is_done() -> None:
    library = [("tree", DecisionTreeClassifier()), *((f"slow{i}", Slow()) for i in range(20))]

    def press(what: str, done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.warns(UserWarning, match="stopped after 2 of 21 models"):
        model = small(library, n_jobs=2, progress=press).fit(FRAME, LABELS)
    assert model.predict(FRAME).shape == (N,)


def test_progress_says_what_it_will_cost() -> None:
    said: list[tuple[str, int, int]] = []
    small(progress=lambda *what: said.append(what)).fit(FRAME, LABELS)
    assert said[0] == ("ensemble selection: 3 models on 192 rows", 0, 0)
    assert said[1:] == [("models", i, 3) for i in range(4)]


def test_own_models_get_scaled_columns_and_pipelines_the_encoded_matrix() -> None:
    library = [("near", KNeighborsClassifier(3)), ("whole", make_pipeline(DecisionTreeClassifier()))]
    members = {m.name: m.model for m in read_library(library, Table.read(FRAME).schema, classify=True)}
    Z = Table.read(FRAME).values
    seen = members["near"][:-1].fit(Z).transform(Z)
    assert seen.shape == (N, 6)
    assert seen[:, :4].sum(axis=1).tolist() == [1] * N
    assert np.allclose(seen[:, 4:].std(axis=0), 1)
    assert members["whole"] is library[1][1]


def test_a_model_with_scores_only_is_calibrated() -> None:
    model = small([("svm", LinearSVC())]).fit(FRAME, LABELS)
    assert model.predict_proba(FRAME).sum(axis=1) == pytest.approx(np.ones(N))
    pipeline = make_pipeline(LinearSVC())
    (member,) = read_library([("svm", pipeline)], Table.read(FRAME).schema, classify=True)
    assert (member.family, member.model.estimator) == ("LinearSVC", pipeline)


def test_weights_that_are_not_whole_are_given_or_drawn() -> None:
    weights = np.where(LABELS == "low", 0.25, 1.5)
    library = [("line", LogisticRegression()), ("near", KNeighborsClassifier(5))]
    plain, heavy = small(library).fit(FRAME, LABELS), small(library).fit(FRAME, LABELS, sample_weight=weights)
    low = list(plain.classes_).index("low")
    for name in plain.estimators_:
        Z = plain.schema_.encode(FRAME)
        assert (
            heavy.estimators_[name].predict_proba(Z)[:, low].mean()
            < plain.estimators_[name].predict_proba(Z)[:, low].mean()
        )


def test_a_whole_weight_is_so_many_rows_and_none_is_no_row() -> None:
    weights = np.arange(N) % 3
    one = small().fit(FRAME, LABELS, sample_weight=weights)
    index = np.repeat(np.arange(N), weights)
    two = small().fit(FRAME.iloc[index], LABELS[index])
    assert np.array_equal(one.predict_proba(FRAME), two.predict_proba(FRAME))


@pytest.mark.parametrize("classify", [True, False])
def test_the_small_library_fits_and_answers(classify: bool) -> None:
    model = small("small") if classify else small_regressor("small")
    model.fit(FRAME, LABELS if classify else SCORE)
    table = model.library_scores_
    assert set(table["name"]) == set(SMALL) - (set() if classify else {"bayes"})
    assert table["error"].isna().all()
    assert model.score(FRAME, LABELS if classify else SCORE) > 0.9
    assert model.n_trees_ > 0


@pytest.mark.parametrize("classify", [True, False])
def test_the_default_library_has_every_kind_and_counts_its_trees(classify: bool) -> None:
    members = read_library(None, Table.read(FRAME).schema, classify=classify)
    assert len({m.name for m in members}) == len(members) > 45
    assert len({m.family for m in members}) == 11 + classify
    assert set(SMALL) - {m.name for m in members} == (set() if classify else {"bayes"})
    y = (LABELS == "high") if classify else SCORE
    trees = {}
    for member in members:
        names = member.model.get_params()
        few = {"n_estimators": 3, "estimator__n_estimators": 3, "max_iter": 3}
        model = clone(member.model).set_params(**{k: v for k, v in few.items() if names.get(k) is not None})
        if "tree" in member.family or "forest" in member.family or "boost" in member.family:
            trees[member.name] = count_trees(model.fit(Table.read(FRAME).values, y))
    assert min(trees.values()) >= 1
    assert trees["forest_sqrt_1"] == trees["boosting_1_0.1_400"] == 3
    assert trees["tree_1"] == 1


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"library": "huge"}, r"library must be None, 'default', 'small' or a list .* got 'huge'"),
        ({"library": "smal"}, r"Did you mean 'small'\?"),
        ({"library": []}, r"library must be .* got \[\]"),
        ({"library": 3}, "library must be .* got 3"),
        ({"library": [GaussianNB()]}, r"an entry of library must be \(name, estimator\); got GaussianNB"),
        ({"library": [("a", GaussianNB)]}, "'a' must be an estimator with fit and predict"),
        ({"library": [("a", LinearRegression())]}, "'a' must be a classifier here; got LinearRegression"),
        ({"library": [("a", GaussianNB()), ("a", GaussianNB())]}, r"different names; .* \['a'\]"),
        ({"n_init": 0}, "n_init must be a whole number of at least 1; got 0"),
        ({"n_bags": -1}, "n_bags must be a whole number of at least 0; got -1"),
        ({"max_models": 2.5}, "max_models must be a whole number of at least 1; got 2.5"),
        ({"bag_fraction": 1.5}, "bag_fraction must be above 0 and at most 1; got 1.5"),
        ({"validation": 1.0}, "validation must be above 0 and below 1; got 1.0"),
        ({"validation": float("nan")}, "validation must be above 0 and below 1; got nan"),
        ({"metric": "acuracy"}, r"metric must be one of .* got 'acuracy'\. Did you mean 'accuracy'\?"),
        ({"random_state": "x"}, "random_state must be a whole number"),
    ],
)
def test_wrong_parameters(given: dict[str, Any], match: str) -> None:
    with pytest.raises(InputError, match=match):
        small(**given).fit(X, LABELS)


@pytest.mark.parametrize(
    ("rows", "y", "match"),
    [
        (np.where(X > 59, np.nan, X), LABELS, r"missing \(NaN|NaN or inf"),
        (np.where(X > 59, np.inf, X), LABELS, "inf"),
        (X[:0], LABELS[:0], "0 sample|at least one row"),
        (X[:, :0], LABELS, "0 feature"),
        (X[:, 0], LABELS, r"1D array|shape \(n, d\)"),
        (X[:1], LABELS[:1], "1 class"),
        (X[:2], np.array([0, 1]), "at least 2 different rows of one class are required"),
        (X, LABELS[:-1], "one row for each of the 240 rows of X"),
        (X, np.full(N, "low"), r"at least 2 classes; got 1 class: \['low'\]"),
        (X, np.where(LABELS == "low", None, LABELS), "NaN or None in"),
        (X, np.where(LABELS == "low", np.nan, 1.0), "NaN or infinity"),
        (X, None, "requires y to be passed"),
        (X, rng.normal(size=N), "Unknown label type"),
    ],
)
def test_wrong_rows(rows: Any, y: Any, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        small().fit(rows, y)


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (X, r"validation_data must be a pair \(X, y\)"),
        ((X, LABELS[:5]), "one row for each of the 240 rows"),
        ((X[:, :2], LABELS), "must have 3 columns"),
        ((X, np.full(N, "none")), r"validation_data holds labels that y lacks: \['none'\]"),
    ],
)
def test_wrong_validation_data(data: Any, match: str) -> None:
    with pytest.raises(InputError, match=match):
        small().fit(X, LABELS, validation_data=data)


@pytest.mark.parametrize(
    ("weights", "match"),
    [
        (np.ones(3), r"sample_weight must have shape \(240,\)"),
        (np.full(N, -1.0), "Negative values"),
        (np.zeros(N), "all 240 weights are zero"),
        (np.full(N, np.nan), "sample_weight must be finite"),
        (["a"] * N, "sample_weight must hold numbers"),
    ],
)
def test_wrong_weights(weights: Any, match: str) -> None:
    with pytest.raises(InputError, match=match):
        small().fit(X, LABELS, sample_weight=weights)


def test_wrong_targets_of_a_regressor() -> None:
    for y, match in (
        (np.ones((N, 2)), "one quantity an ensemble"),
        (LABELS, r"must hold numbers in regression; got .* use EnsembleSelection"),
        (np.where(X[:, 0] > 50, np.nan, 1.0), "NaN or infinity in"),
    ):
        with pytest.raises(InputError, match=match):
            small_regressor().fit(X, y)
    with pytest.raises(InputError, match="metric must be one of"):
        small_regressor(metric="accuracy").fit(X, SCORE)


def test_wrong_rows_to_predict() -> None:
    with pytest.raises(NotFittedError, match="not fitted"):
        small().predict_proba(X)
    model = small().fit(FRAME, LABELS)
    with pytest.raises(InputError, match="no level 'smith'"):
        model.predict(FRAME.replace({"job": {"clerk": "smith"}}))
    with pytest.raises(InputError, match=r"lack the column\(s\) \['hours'\]"):
        model.predict(FRAME.drop(columns="hours"))


def test_constant_columns_and_rare_classes_are_fine() -> None:
    rows = FRAME.assign(same=1.0, one="a")
    labels = LABELS.copy()
    labels[0] = "rare"
    model = small([*CLASSIFIERS, ("svm", LinearSVC())]).fit(rows, labels)
    assert "less than 3" in model.library_scores_.set_index("name").loc["svm", "error"]
    assert model.predict_proba(rows).shape == (N, 4)
    assert np.allclose(model.predict_proba(rows).sum(axis=1), 1)
