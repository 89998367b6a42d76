"""Rule students in worlds whose rules are known: they are found, wrong ones are rejected."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from limbeck._core.tables import Column, Schema, Table
from limbeck.readable import Condition, LinearTerm, Rule, RuleListReadable, RuleSetReadable
from limbeck.students import RuleListClassifier, RuleListRegressor, RuleSetClassifier, RuleSetRegressor
from limbeck.students._rule_grid import Grid, coarse_grid
from limbeck.students._rule_search import Draft, _beam, _wanted_at, grown_list, objective
from limbeck.students._tree_growth import prepared

SCHEMA = Schema(
    (
        Column("age"),
        Column("job", "nominal", ("clerk", "nurse", "pilot", "teacher", "welder")),
        Column("income"),
        Column("size", "ordinal", ("small", "middle", "large")),
        Column("noise"),
        Column("more noise"),
        Column("town", "nominal", ("Ayr", "Bath", "Cork", "Dover")),
    )
)
YOUNG = (Condition(0, high=30.0), Condition(1, levels=(0, 1)))
MIDDLE = (Condition(2, low=40.0, high=70.0),)
PILOTS = (Condition(0, low=50.0), Condition(1, levels=(2,)))
LARGE = (Condition(0, low=45.0), Condition(3, levels=(2,)))
CLASSES = ("no", "maybe", "yes")
LIST = RuleListReadable(
    SCHEMA,
    "classification",
    CLASSES,
    (
        Rule(YOUNG, (0.05, 0.05, 0.9), 0),
        Rule(MIDDLE, (0.8, 0.1, 0.1), 0),
        Rule(PILOTS, (0.1, 0.7, 0.2), 0),
        Rule((), (0.4, 0.3, 0.3), 0),
    ),
)
NUMBERS = RuleListReadable(
    SCHEMA,
    "regression",
    ("pay",),
    (Rule(PILOTS, (90.0,), 0), Rule(YOUNG, (20.0,), 0), Rule(LARGE, (70.0,), 0), Rule((), (40.0,), 0)),
)
WEIGHED = (Rule(YOUNG, (2.0,), 0), Rule((Condition(2, high=60.0),), (1.5,), 0), Rule(LARGE, (1.0,), 0))
LOGISTIC = RuleSetReadable(SCHEMA, "classification", ("no", "yes"), (-2.0,), WEIGHED, (), "logistic")
SUM = RuleSetReadable(SCHEMA, "regression", ("pay",), (3.0,), WEIGHED, (LinearTerm(4, -1.5, 1.5, (0.5,)),))
SHARES = RuleSetReadable(
    SCHEMA,
    "classification",
    CLASSES,
    (0.0, -1.0, 0.0),
    (
        Rule(YOUNG, (2.0, 0.0, 0.0), 0),
        Rule((Condition(2, high=60.0),), (0.0, 1.5, 0.0), 0),
        Rule(LARGE, (0.0, 0.0, 1.5), 0),
    ),
    (),
    "softmax",
)


def world(n: int, seed: int) -> Table:
    """Rows of mixed columns, three of them never asked."""
    rng = np.random.default_rng(seed)
    columns = [
        rng.uniform(18, 80, n),
        rng.integers(0, 5, n),
        rng.uniform(0, 100, n),
        rng.integers(0, 3, n),
        rng.normal(size=n),
        rng.normal(size=n),
        rng.integers(0, 4, n),
    ]
    return Table(SCHEMA, np.column_stack(columns))


def same_conditions(found: Rule, planted: Rule, near: float) -> bool:
    """The same columns and levels, and bounds that are near."""
    a, b = (sorted(rule.conditions, key=lambda c: c.column) for rule in (found, planted))
    if [(c.column, c.levels, c.excluded) for c in a] != [(c.column, c.levels, c.excluded) for c in b]:
        return False
    bounds = [
        (bound, wanted) for c, d in zip(a, b, strict=True) for bound, wanted in ((c.low, d.low), (c.high, d.high))
    ]
    if any((bound is None) != (wanted is None) for bound, wanted in bounds):
        return False
    return all(abs(bound - wanted) <= near for bound, wanted in bounds if bound is not None and wanted is not None)


def is_planted(found: tuple[Rule, ...], planted: tuple[Rule, ...], near: float) -> bool:
    """Every planted rule once, no other."""
    matched = [sum(same_conditions(rule, other, near) for rule in found) for other in planted]
    return len(found) == len(planted) and matched == [1] * len(planted)


def explained(readable: Callable[[Table], np.ndarray], truth: np.ndarray, rows: Table) -> float:
    return 1.0 - float(((readable(rows) - truth) ** 2).sum() / ((truth - truth.mean(axis=0)) ** 2).sum())


@pytest.mark.parametrize("seed", range(4))
def test_a_planted_list_is_found(seed: int) -> None:
    """From the teacher's probabilities: the planted rules, in the planted order, and their values exactly."""
    rows = world(2_000, seed)
    student = RuleListClassifier(random_state=seed).fit(rows, None, y_soft=LIST(rows), classes=CLASSES)
    readable = student.readable_
    assert is_planted(readable.rules, LIST.rules, 1.5), readable.text()
    assert [rule.value for rule in readable.rules] == [rule.value for rule in LIST.rules]
    assert readable.features_used == ("age", "job", "income")
    fresh = world(4_000, 100 + seed)
    assert explained(readable, LIST(fresh), fresh) > 0.98


@pytest.mark.parametrize("seed", range(2))
def test_planted_values_are_found(seed: int) -> None:
    rows = world(2_000, seed)
    readable = RuleListRegressor(random_state=seed).fit(rows, NUMBERS(rows)[:, 0]).readable_
    assert is_planted(readable.rules, NUMBERS.rules, 0.5), readable.text()
    assert {rule.value for rule in readable.rules} == {rule.value for rule in NUMBERS.rules}


def test_a_planted_list_is_found_behind_noise() -> None:
    """From labels drawn with the planted probabilities."""
    rows = world(6_000, 0)
    rng = np.random.default_rng(1)
    labels = np.array([CLASSES[rng.choice(3, p=p)] for p in LIST(rows)])
    student = RuleListClassifier(min_gain=2e-3, random_state=0).fit(rows, labels, classes=CLASSES)
    assert is_planted(student.readable_.rules, LIST.rules, 2.0), student.readable_.text()
    fresh = world(4_000, 2)
    assert explained(student.readable_, LIST(fresh), fresh) > 0.9


def test_shuffled_answers_give_no_rules() -> None:
    """The control: where answers have nothing to do with the rows, no list explains fresh rows, and none is planted."""
    rows, fresh = world(2_000, 0), world(4_000, 1)
    shuffled = np.random.default_rng(0).permutation(LIST(rows))
    bare = RuleListClassifier(min_gain=5e-3, random_state=0).fit(rows, None, y_soft=shuffled, classes=CLASSES)
    assert len(bare.readable_.rules) == 1
    eager = RuleListClassifier(min_gain=0.0, random_state=0).fit(rows, None, y_soft=shuffled, classes=CLASSES)
    assert explained(eager.readable_, LIST(fresh), fresh) < 0.05
    assert not is_planted(eager.readable_.rules, LIST.rules, 2.0)
    other = RuleListClassifier(random_state=0).fit(rows, None, y_soft=LIST(rows)[::-1], classes=CLASSES)
    assert not is_planted(other.readable_.rules, LIST.rules, 2.0)


def covering(grid: Grid, max_rules: int, max_conditions: int) -> Draft:
    """Sequential covering: each rule the best for the rows that are left, never looked at again."""
    draft: Draft = ()
    while len(draft) < max_rules:
        found = _beam(grid, _wanted_at(grid, draft, len(draft))[0], (), max_conditions)
        if not found or objective(grid, (*draft, found[0])) >= objective(grid, draft):
            break
        draft = (*draft, found[0])
    return draft


@pytest.mark.parametrize("name", ["diabetes", "breast cancer", "planted"])
def test_better_than_sequential_covering(name: str) -> None:
    """The same rules to choose from, the same objective: the whole list is searched, not one rule after the other."""
    if name == "planted":
        rows = world(1_500, 0)
        schema, Z, goal = SCHEMA, rows.values, SUM(rows)
    elif name == "diabetes":
        Z, y = load_diabetes(return_X_y=True)
        goal = RandomForestRegressor(50, min_samples_leaf=3, random_state=0).fit(Z, y).predict(Z)[:, None]
        schema = Schema(tuple(Column(f"x{j}") for j in range(Z.shape[1])))
    else:
        Z, y = load_breast_cancer(return_X_y=True)
        goal = RandomForestClassifier(50, min_samples_leaf=3, random_state=0).fit(Z, y).predict_proba(Z)
        schema = Schema(tuple(Column(f"x{j}") for j in range(Z.shape[1])))
    material = prepared(schema, Z, goal, np.ones(len(Z)), scale=True, min_leaf=5.0)
    grid = coarse_grid(material, 5e-4 * material.spread, 1)[0]
    ours, greedy = (objective(grid, draft) for draft in (grown_list(grid, 6, 3)[-1], covering(grid, 6, 3)))
    assert ours < greedy - 0.01 * material.spread


@pytest.mark.parametrize("seed", range(2))
def test_a_planted_set_is_found(seed: int) -> None:
    rows = world(4_000, seed)
    readable = RuleSetRegressor(random_state=seed).fit(rows, SUM(rows)[:, 0]).readable_
    fresh = world(4_000, 100 + seed)
    assert explained(readable, SUM(fresh), fresh) > 0.98
    assert [term.column for term in readable.terms] == [4]
    assert len(readable.rules) == 3
    assert sorted(abs(weight) for (weight,) in readable.weights) == pytest.approx([1.0, 1.5, 2.0], abs=0.02)
    assert readable.features_used == ("age", "job", "income", "size", "noise")


@pytest.mark.parametrize("seed", range(2))
def test_a_planted_logistic_set_is_found(seed: int) -> None:
    rows = world(4_000, seed)
    student = RuleSetClassifier(random_state=seed).fit(rows, None, y_soft=LOGISTIC(rows), classes=["no", "yes"])
    readable = student.readable_
    assert is_planted(readable.rules, LOGISTIC.rules, 0.5), readable.text()
    assert sorted(weight for (weight,) in readable.weights) == pytest.approx([1.0, 1.5, 2.0], abs=0.05)
    assert readable.intercept == pytest.approx((-2.0,), abs=0.05)


def gap(found: np.ndarray, drawn: np.ndarray) -> float:
    """Calibration: the mean gap between what is said and what happens, over ten groups of equal size."""
    groups = np.array_split(np.argsort(found, kind="stable"), 10)
    return float(np.mean([abs(found[rows].mean() - drawn[rows].mean()) for rows in groups]))


def test_probabilities_are_calibrated() -> None:
    """Fitted to labels; on fresh rows the share of "yes" is what the set says. The logistic of 2p - 1 is far off."""
    rows, fresh = world(6_000, 0), world(20_000, 1)
    rng = np.random.default_rng(2)
    labels, drawn = (np.where(rng.random(len(t)) < LOGISTIC(t)[:, 1], "yes", "no") for t in (rows, fresh))
    student = RuleSetClassifier(random_state=0).fit(rows, labels)
    said, happened = student.predict_proba(fresh)[:, 1], (drawn == "yes").astype(float)
    assert gap(said, happened) < 0.02
    assert gap(1 / (1 + np.exp(1 - 2 * said)), happened) > 0.1
    assert np.abs(said - LOGISTIC(fresh)[:, 1]).mean() < 0.03


def test_a_planted_softmax_is_found() -> None:
    """Three classes, each rule for one of them; the other classes get no weight."""
    rows, fresh = world(4_000, 0), world(4_000, 1)
    readable = RuleSetClassifier(random_state=0).fit(rows, None, y_soft=SHARES(rows), classes=CLASSES).readable_
    assert is_planted(readable.rules, SHARES.rules, 0.5), readable.text()
    assert all(sum(weight != 0.0 for weight in weights) == 1 for weights in readable.weights)
    assert np.abs(readable(fresh) - SHARES(fresh)).mean() < 0.01


def test_shuffled_answers_give_no_set() -> None:
    rows, fresh = world(2_000, 0), world(4_000, 1)
    shuffled = np.random.default_rng(0).permutation(LOGISTIC(rows))
    eager = RuleSetClassifier(min_gain=0.0, random_state=0).fit(rows, None, y_soft=shuffled, classes=["no", "yes"])
    assert explained(eager.readable_, LOGISTIC(fresh), fresh) < 0.05
    bare = RuleSetClassifier(min_gain=5e-3, random_state=0).fit(rows, None, y_soft=shuffled, classes=["no", "yes"])
    assert bare.readable_.features_used == ()
