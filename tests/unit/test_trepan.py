"""Trees by asking: what is asked, how it is checked, where rows come from, when growth stops, what is optimised."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.stats import binomtest

from limbeck._core.errors import InputError, TeacherError
from limbeck._core.tables import Table
from limbeck.students import TreeRegressor, TrepanClassifier, TrepanRegressor
from limbeck.students._tree_growth import full_growth, prepared
from limbeck.students._trepan_agreement import Agreement
from limbeck.students._trepan_drawing import Bounds, Drawing, taught
from limbeck.students._trepan_growth import NODE_ROWS, lower_bound

N = 150
RNG = np.random.default_rng(5)
X = RNG.uniform(size=(N, 3))
JOBS = np.array(["baker", "clerk", "nurse", "pilot"], dtype=object)
FRAME = pd.DataFrame({"age": RNG.integers(20, 60, N), "pay": RNG.normal(3, 1, N), "job": JOBS[RNG.integers(4, size=N)]})


def values(rows: np.ndarray) -> np.ndarray:
    return np.where(rows[:, 0] > 0.5, 3.0, 1.0) + np.where(rows[:, 1] > 0.25, 0.5, 0.0)


def labels(rows: np.ndarray) -> np.ndarray:
    return np.where((rows[:, 0] > 0.5) & (rows[:, 1] > 0.25), "yes", "no")


def chances(rows: np.ndarray) -> np.ndarray:
    yes = 0.1 + 0.8 * (labels(rows) == "yes")
    return np.column_stack([1 - yes, yes])


class Counted:
    """An oracle that remembers how many rows each call had."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function = function
        self.sizes: list[int] = []

    def __call__(self, rows: Any) -> Any:
        self.sizes.append(len(rows))
        return self.function(rows)


@pytest.mark.parametrize("queries", [0, 300, 3_000])
def test_rows_and_calls_are_counted_and_bounded(queries: int) -> None:
    oracle = Counted(values)
    tree = TrepanRegressor(max_leaf_nodes=4, max_queries=queries, random_state=0).fit(X, values(X), oracle=oracle)
    assert oracle.sizes[:2] == [64, 64]  # the check
    assert sum(oracle.sizes[2:]) <= queries
    assert (tree.n_queries_, tree.n_calls_) == (sum(oracle.sizes), len(oracle.sizes))
    assert min(oracle.sizes) > 1
    assert len(oracle.sizes) <= 8
    if queries:
        assert sum(oracle.sizes[2:]) == queries
        assert oracle.sizes[2] == min(queries, NODE_ROWS - N)


def test_without_an_oracle_nothing_is_asked() -> None:
    tree = TrepanClassifier(random_state=0).fit(X, labels(X))
    assert (tree.n_queries_, tree.n_calls_) == (0, 0)
    assert tree.score(X, labels(X)) == 1.0


@pytest.mark.parametrize("container", ["numpy", "pandas", "polars", "table"])
def test_the_oracle_takes_what_the_user_has(container: str) -> None:
    kinds: dict[str, Any] = {"numpy": X, "pandas": FRAME, "polars": pl.from_pandas(FRAME), "table": Table.read(FRAME)}
    seen = []

    def oracle(rows: Any) -> np.ndarray:
        seen.append(type(rows))
        if container == "numpy":
            return labels(rows)
        assert list(rows.columns) == list(FRAME.columns)
        job, age = np.asarray(rows["job"]), np.asarray(rows["age"])
        assert set(job) <= set(JOBS)
        assert age.dtype == np.int64
        return np.where((job == "nurse") & (age > 30), "yes", "no")

    tree = TrepanClassifier(max_leaf_nodes=3, random_state=0).fit(kinds[container], labels(X), oracle=oracle)
    wanted = {"numpy": np.ndarray, "pandas": pd.DataFrame, "polars": pl.DataFrame, "table": pd.DataFrame}
    assert set(seen) == {wanted[container]}
    if container != "numpy":
        assert tree.readable_.features_used == ("age", "job")
        assert "'nurse'" in tree.readable_.text()
        thresholds = [node.threshold for node in tree.readable_.nodes if node.threshold is not None]
        assert len(thresholds) == 1
        assert 30 <= thresholds[0] < 31


def test_what_is_imitated_is_the_oracle_not_y() -> None:
    """The labels given with the rows are the opposite of the oracle's answers."""
    oracle = Counted(labels)
    opposite = np.where(labels(X) == "yes", "no", "yes")
    tree = TrepanClassifier(random_state=0).fit(X, opposite, oracle=oracle)
    assert (tree.predict(X) == labels(X)).all()
    assert oracle.sizes[2] == N
    oracle = Counted(values)
    regressor = TrepanRegressor(random_state=0).fit(X, -values(X), oracle=oracle)
    np.testing.assert_allclose(regressor.predict(X), values(X), atol=0.01)
    assert oracle.sizes[2] == N


def test_answers_that_come_with_the_rows_are_not_asked_again() -> None:
    oracle = Counted(chances)
    TrepanClassifier(random_state=0).fit(X, labels(X), y_soft=chances(X), oracle=oracle)
    assert oracle.sizes[2] == NODE_ROWS - N


def test_labels_and_probabilities_lead_to_the_same_labels() -> None:
    by_labels = TrepanClassifier(max_leaf_nodes=4, random_state=0).fit(X, labels(X), oracle=labels)
    by_chances = TrepanClassifier(max_leaf_nodes=4, random_state=0).fit(X, labels(X), oracle=chances)
    fresh = np.random.default_rng(1).uniform(size=(2_000, 3))
    assert np.mean(by_labels.predict(fresh) == by_chances.predict(fresh)) > 0.99
    assert by_labels.predict_proba(fresh).max() == 1.0
    assert by_chances.predict_proba(fresh).max() < 0.95


class OnDevice:
    """Answers as a network gives them: no array until detached and copied."""

    def __init__(self, answers: np.ndarray) -> None:
        self.answers = answers

    def detach(self) -> OnDevice:
        return self

    def cpu(self) -> np.ndarray:
        return self.answers


def test_several_outputs_of_a_network() -> None:
    def both(rows: np.ndarray) -> np.ndarray:
        return np.column_stack([values(rows), -2 * values(rows)])

    tree = TrepanRegressor(random_state=0).fit(X, both(X), oracle=lambda rows: OnDevice(both(rows)))
    assert tree.score(X, both(X)) > 0.99


def raising(rows: np.ndarray) -> np.ndarray:
    raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")


CLASSIFIER: dict[str, tuple[Any, str]] = {
    "raises": (raising, "the oracle raised RuntimeError on 64 rows: mat1 and mat2"),
    "random": (
        lambda rows: np.random.default_rng().choice(["no", "yes"], len(rows)),
        r"must answer the same rows alike; \d+ of 64 rows",
    ),
    "random probabilities": (
        lambda rows: np.random.default_rng().dirichlet([1, 1], len(rows)),
        "answer the same rows alike; 64 of 64",
    ),
    "NaN": (lambda rows: np.full((len(rows), 2), np.nan), "finite numbers; got NaN or infinity in 64 of 64 rows"),
    "too few rows": (lambda rows: labels(rows)[:-1], r"answer 64 rows with .* each; got an answer of shape \(63,\)"),
    "a scalar": (lambda rows: 1.0, r"got an answer of shape \(\)"),
    "three dimensions": (lambda rows: np.ones((len(rows), 2, 1)), r"shape \(64, 2, 1\)"),
    "a column short": (lambda rows: np.ones((len(rows), 1)), r"one column a class, 2 for .* got shape \(64, 1\)"),
    "an unknown label": (
        lambda rows: np.full(len(rows), "perhaps"),
        r"one of the classes \['no', 'yes'\]; got .*perhaps",
    ),
    "numbers for text": (lambda rows: np.ones(len(rows)), r"one of the classes \['no', 'yes'\]; got .*1\.0"),
    "scores": (lambda rows: 3 * chances(rows), "sum to 1; got .* Apply a softmax"),
    "negative": (lambda rows: np.tile([-0.5, 1.5], (len(rows), 1)), r"none negative, .* got \[-0.5, 1.5\]"),
    "text": (lambda rows: np.full((len(rows), 2), "a"), "must answer with numbers; got .*a"),
}


@pytest.mark.parametrize("case", CLASSIFIER)
def test_a_bad_oracle_of_a_classifier(case: str) -> None:
    oracle, match = CLASSIFIER[case]
    with pytest.raises(TeacherError, match=match):
        TrepanClassifier(random_state=0).fit(X, labels(X), oracle=oracle)


REGRESSOR: dict[str, tuple[Any, str]] = {
    "raises": (raising, "the oracle raised RuntimeError on 64 rows"),
    "random": (lambda rows: np.random.default_rng().normal(size=len(rows)), r"6\d of 64 rows had another answer"),
    "NaN": (lambda rows: np.where(rows[:, 0] > 0.5, np.nan, 1.0), r"NaN or infinity in \d+ of 64 rows"),
    "too many rows": (lambda rows: np.ones(2 * len(rows)), r"shape \(128,\)"),
    "too many columns": (lambda rows: np.ones((len(rows), 2)), r"1 value\(s\) a row, as y has; got 2"),
    "text": (lambda rows: np.full(len(rows), "a"), "must answer with numbers; got .*a"),
}


@pytest.mark.parametrize("case", REGRESSOR)
def test_a_bad_oracle_of_a_regressor(case: str) -> None:
    oracle, match = REGRESSOR[case]
    with pytest.raises(TeacherError, match=match):
        TrepanRegressor(random_state=0).fit(X, values(X), oracle=oracle)


def test_an_oracle_that_fails_later_is_named_too() -> None:
    calls = Counted(lambda rows: values(rows) if len(calls.sizes) < 3 else np.full(len(rows), np.inf))
    with pytest.raises(TeacherError, match=f"NaN or infinity in {NODE_ROWS - N} of {NODE_ROWS - N} rows"):
        TrepanRegressor(random_state=0).fit(X, values(X), oracle=calls)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"max_leaf_nodes": 1}, "max_leaf_nodes must be a whole number of at least 2; got 1"),
        ({"max_queries": -1}, "max_queries must be a whole number of at least 0; got -1"),
        ({"max_queries": True}, "max_queries must be"),
        ({"purity": 1.0}, r"purity must be a share in \[0.5, 1\); got 1.0"),
        ({"confidence": 0.1}, r"confidence must be a share in \[0.5, 1\); got 0.1"),
        ({"min_samples_leaf": 0}, "min_samples_leaf must be at least 1"),
        ({"min_gain": 2}, "min_gain must be a share"),
    ],
)
def test_bad_arguments(given: dict[str, Any], match: str) -> None:
    with pytest.raises(InputError, match=match):
        TrepanClassifier(**given).fit(X, labels(X))


def test_an_oracle_must_be_callable() -> None:
    with pytest.raises(InputError, match=r"oracle must be a callable, .* got ndarray"):
        TrepanClassifier().fit(X, labels(X), oracle=labels(X))


def test_drawn_rows_meet_the_constraints_and_are_legal() -> None:
    table = Table.read(FRAME)
    bounds = Bounds.none(3).cut(0, 35.5)[1].cut(1, 3.0)[0]
    inside = (table.values[:, 0] > 35.5) & (table.values[:, 1] <= 3.0)
    drawing = taught(Drawing.of(table.schema, table.values), table.values, np.ones(N), np.random.default_rng(0))
    rows = drawing.sample(table.values[inside], np.ones(inside.sum()), bounds, 2_000, np.random.default_rng(1))
    assert rows.shape == (2_000, 3)
    assert (rows[:, 0] > 35.5).all()
    assert (rows[:, 1] <= 3.0).all()
    assert (rows[:, 0] == np.rint(rows[:, 0])).all()
    assert set(rows[:, 2]) <= set(range(4))
    assert len(np.unique(rows, axis=0)) > 1_000
    table.with_values(rows).native()


@pytest.mark.parametrize("dtype", ["uint8", "int8", "Int8"])
def test_small_whole_numbers_do_not_wrap_around(dtype: str) -> None:
    top = 255 if dtype == "uint8" else 127
    frame = pd.DataFrame({"a": RNG.integers(top - 60, top + 1, 400), "b": RNG.integers(0, 100, 400)}).astype(dtype)
    table = Table.read(frame)
    rows = Drawing.of(table.schema, table.values).made(
        table.values, np.ones(400), Bounds.none(2), 5_000, np.random.default_rng(0)
    )
    assert rows[:, 0].max() == top
    assert np.asarray(table.with_values(rows).native()["a"]).min() > top - 128


def test_a_row_without_weight_is_never_the_start_of_another() -> None:
    values_ = np.r_[X, X + 100.0]
    drawing = Drawing.of(Table.read(values_).schema, values_)
    weights = np.r_[np.ones(N), np.zeros(N)]
    rows = drawing.sample(values_, weights, Bounds.none(3), 500, np.random.default_rng(0))
    assert rows.max() < 2.0


def test_resampling_by_odds_keeps_together_what_goes_together() -> None:
    first = RNG.uniform(size=1_000)
    rows = np.column_stack([first, first + 0.01 * RNG.normal(size=1_000), RNG.uniform(size=1_000)])
    table = Table.read(rows)
    drawing = Drawing.of(table.schema, rows)
    gaps = []
    for one in (drawing, taught(drawing, rows, np.ones(1_000), np.random.default_rng(0))):
        drawn = one.sample(rows, np.ones(1_000), Bounds.none(3), 2_000, np.random.default_rng(1))
        gaps.append(np.abs(drawn[:, 0] - drawn[:, 1]).mean())
    assert gaps[1] < 0.6 * gaps[0]


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (7, 10), (10, 10), (395, 400), (400, 400)])
def test_the_bound_of_the_stopping_rule(hits: int, n: int) -> None:
    known = binomtest(hits, n, alternative="greater").proportion_ci(0.95, method="exact").low
    assert lower_bound(hits, n, 0.95) == pytest.approx(known, abs=1e-12)


@pytest.mark.parametrize("purity", [0.9, 0.98])
def test_a_node_that_is_pure_with_confidence_is_not_split(purity: float) -> None:
    """One row in twenty has the other label: pure enough for the one, not for the other."""

    cut = np.quantile(X[:, 0], 0.95)

    def rare(rows: np.ndarray) -> np.ndarray:
        return np.where(rows[:, 0] > cut, "yes", "no")

    oracle = Counted(rare)
    tree = TrepanClassifier(purity=purity, random_state=0).fit(X, rare(X), oracle=oracle)
    assert tree.n_leaves_ == (1 if purity == 0.9 else 2)
    assert len(oracle.sizes) == (4 if purity == 0.9 else 5)  # the check, the rows, the root; the rest


@pytest.mark.parametrize("answer", ["no", "yes"])
def test_a_constant_oracle_leaves_the_root_whole(answer: str) -> None:
    oracle = Counted(lambda rows: np.full(len(rows), answer))
    tree = TrepanClassifier(random_state=0).fit(X, labels(X), oracle=oracle)
    assert tree.n_leaves_ == 1
    assert oracle.sizes == [64, 64, N, NODE_ROWS - N]  # the check, the rows, one round about the root
    assert set(tree.predict(X)) == {answer}
    assert TrepanRegressor(random_state=0).fit(X, np.ones(N), oracle=lambda rows: np.ones(len(rows))).n_leaves_ == 1


def test_weights_that_are_read_are_those_of_the_rows() -> None:
    tree = TrepanRegressor(max_leaf_nodes=4, random_state=0).fit(X, values(X), oracle=values)
    leaves = [node.rows for node in tree.readable_.nodes if node.is_leaf]
    assert sum(leaves) == pytest.approx(N)
    assert [member.readable.n_leaves for member in tree.front_] == [1, 2, 3, 4]
    assert tree.front_[-1].readable == tree.readable_


def test_a_few_rows_with_an_oracle() -> None:
    tree = TrepanRegressor(random_state=0).fit(X[:12], values(X[:12]), oracle=values)
    assert tree.n_leaves_ >= 2
    assert tree.score(X, values(X)) > 0.4


def test_agreement_never_falls_and_beats_squared_error() -> None:
    """Probabilities fall along x0 and never cross one half; the label changes along x1 only."""
    rows = RNG.uniform(size=(2_000, 2))
    positive = np.where(rows[:, 1] > 0.5, 0.55, 0.45) + np.where(rows[:, 0] > 0.5, 0.44, 0.0) * np.sign(
        rows[:, 1] - 0.5
    )
    positive = np.clip(positive, 0.0, 1.0)
    soft = np.column_stack([1 - positive, positive])
    hard = np.eye(2)[soft.argmax(axis=1)]
    schema, weights = Table.read(rows).schema, np.ones(2_000)
    material = prepared(schema, rows, hard, weights, scale=False, min_leaf=5)
    agreement = Agreement(material, soft.argmax(axis=1), hard.mean(axis=0))
    noise = prepared(schema, rows, RNG.permutation(hard), weights, scale=False, min_leaf=5)
    start = agreement.routed(full_growth(noise, np.arange(2_000), 0, leaves=8))
    found = agreement.refined(start)
    assert agreement.loss(found) < 0.2 * agreement.loss(start)
    whole = full_growth(material, np.arange(2_000), 0)
    assert agreement.loss(agreement.pruned(whole, 2)) == pytest.approx(0.0, abs=1e-6)


def test_the_tree_of_the_rows_alone_is_near_that_of_the_tree_student() -> None:
    trepan = TrepanRegressor(max_leaf_nodes=4, random_state=0).fit(X, values(X))
    tree = TreeRegressor(max_leaf_nodes=4, random_state=0).fit(X, values(X))
    assert np.array_equal(trepan.predict(X), tree.predict(X))


def test_rows_that_the_oracle_holds_out_are_not_asked() -> None:
    """A grid of few cells: without the oracle's word most draws hit held-out cells, with it none does."""
    rng = np.random.default_rng(0)
    cells = np.array([[a, b, c] for a in range(6) for b in range(6) for c in range(6)], dtype=float)
    train, held = cells[rng.permutation(len(cells))][:150], {tuple(cell) for cell in cells}
    held -= {tuple(row) for row in train}
    seen: list[tuple[float, ...]] = []

    class Plain:
        def __call__(self, rows: np.ndarray) -> np.ndarray:
            seen.extend(map(tuple, rows))
            return rows[:, 0] * rows[:, 1] + rows[:, 2]

    class Holding(Plain):
        def is_held_out(self, rows: np.ndarray) -> np.ndarray:
            return np.array([tuple(row) in held for row in rows])

    whole = train.astype(int)  # so that draws are whole numbers too
    y = Plain()(train)
    for oracle, hits in ((Plain(), True), (Holding(), False)):
        seen.clear()
        TrepanRegressor(8, max_queries=500, random_state=0).fit(whole, y, oracle=oracle)
        assert bool(held & set(seen)) is hits
