"""Rule lists and rule sets, piece by piece: what is read, what is refused, what is left out."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limbeck._core.errors import InputError
from limbeck._core.tables import Column, Schema
from limbeck.readable import Condition, LinearTerm, Rule, RuleListReadable, RuleSetReadable, readable_from_dict
from limbeck.readable._rule_conditions import holds
from limbeck.students import RuleListClassifier, RuleListRegressor, RuleSetClassifier, RuleSetRegressor
from limbeck.students._rule_candidates import linear_bounds
from limbeck.students._rule_grid import Wanted, best_spans, coarse_grid, fine_grid, refined_span
from limbeck.students._rule_search import grown_list, objective, place_of
from limbeck.students._rule_simplify import simplified
from limbeck.students._rule_weights import fitted_weights, lasso_choice, residuals_of, row_losses
from limbeck.students._rule_writing import ListJudge, written_conditions
from limbeck.students._tree_growth import prepared

JOBS = ("clerk", "nurse", "pilot", "teacher")
SCHEMA = Schema((Column("age"), Column("my pay"), Column("job", "nominal", JOBS)))
CELLS = np.array(list(itertools.product(np.arange(-0.5, 5), np.arange(-0.5, 5), range(4))))
"""A row in every cell of the grid of the thresholds 0 ... 4."""

LIST = RuleListReadable(
    SCHEMA,
    "classification",
    ("no", "yes"),
    (
        Rule((Condition(0, high=30.0), Condition(2, levels=(0, 1))), (0.08, 0.92), 310),
        Rule((Condition(0, low=30.0, high=50.0),), (0.81, 0.19), 900),
        Rule((Condition(1, low=2.5), Condition(2, levels=(3,), excluded=True)), (0.3, 0.7), 1200),
        Rule((), (0.6, 0.4), 120),
    ),
)
SET = RuleSetReadable(
    SCHEMA,
    "classification",
    ("no", "yes"),
    (-1.25,),
    (
        Rule((Condition(0, high=30.0), Condition(2, levels=(1,))), (2.5,), 310),
        Rule((Condition(1, low=0.5),), (-1.0,), 900),
    ),
    (LinearTerm(0, 20.0, 60.0, (0.03,)),),
    "logistic",
)


def test_a_list_reads_as_a_person_says_it() -> None:
    assert LIST.text().splitlines() == [
        "if age <= 30 and job in {'clerk', 'nurse'}:   yes (92%)   [310 rows]",
        "else if 30 < age <= 50:                       no (81%)   [900 rows]",
        "else if `my pay` > 2.5 and job != 'teacher':  yes (70%)   [1,200 rows]",
        "else:                                         no (60%)   [120 rows]",
    ]
    assert (LIST.rule_text(1), LIST.value_text(1), LIST.rule_text(3)) == ("30 < age <= 50", "no (81%)", "")


def test_a_set_reads_as_a_person_says_it() -> None:
    assert SET.text().splitlines() == [
        "score = -1.25",
        "  + 2.5         if age <= 30 and job = 'nurse'   [310 rows]",
        "  - 1           if `my pay` > 0.5   [900 rows]",
        "  + 0.03 * age  (held between 20 and 60)",
        "P(yes) = 1 / (1 + exp(-score))",
    ]
    assert (SET.rule_text(0), SET.value_text(1), SET.weights) == (
        "age <= 30 and job = 'nurse'",
        "- 1",
        ((2.5,), (-1.0,)),
    )


def test_the_first_rule_that_holds_decides() -> None:
    rows = pd.DataFrame({"age": [30, 30, 40, 60, 60], "my pay": [0, 0, 3, 3, 3], "job": [*JOBS[1:], *JOBS[1:4:2]]})
    assert LIST.rule_of(LIST.schema.encode(rows)).tolist() == [0, 3, 1, 2, 3]
    assert LIST(rows)[:, 1].tolist() == [0.92, 0.4, 0.19, 0.7, 0.4]


def test_a_score_is_the_sum_of_what_holds() -> None:
    rows = pd.DataFrame({"age": [30, 10, 90], "my pay": [0, 1, 1], "job": ["nurse", "nurse", "pilot"]})
    scores = np.array([-1.25 + 2.5 + 0.9, -1.25 + 2.5 - 1.0 + 0.6, -1.25 - 1.0 + 1.8])
    np.testing.assert_allclose(SET(rows)[:, 1], 1 / (1 + np.exp(-scores)))


def test_what_a_person_reads_is_counted() -> None:
    """(if, age, <=, 30, and, job, in, two levels; class) + (if, 30, <, age, <=, 50; class) + (...) + (class)."""
    assert LIST.complexity == (9 + 1) + (6 + 1) + (8 + 1) + 1
    assert SET.complexity == 1 + (2 + 8) + (2 + 4) + (2 + 5)


def test_columns_used() -> None:
    assert LIST.features_used == ("age", "my pay", "job")
    assert RuleListReadable(SCHEMA, "regression", ("y",), (Rule((), (1.0,), 3),)).features_used == ()
    assert SET.features_used == ("age", "my pay", "job")


def changed(readable: Any, path: list[Any], value: Any) -> dict[str, Any]:
    """The document with one thing replaced; with `...`, taken away."""
    data = copy.deepcopy(readable.to_dict())
    part = data
    for key in path[:-1]:
        part = part[key]
    if value is ...:
        del part[path[-1]]
    else:
        part[path[-1]] = value
    return data


FIRST = ["rules", 0, "conditions", 0]
NO_RULE = {"conditions": [], "value": [0.5, 0.5], "rows": 1.0}
BAD_LISTS: dict[str, tuple[list[Any], Any, str]] = {
    "no rules": (["rules"], [], "ends with the one rule that has no conditions"),
    "rules are missing": (["rules"], ..., "stored rules are malformed"),
    "rules are a number": (["rules"], 3, "stored rules are malformed"),
    "a rule is text": (["rules", 0], "if", "stored rules are malformed"),
    "a condition lacks its column": ([*FIRST, "column"], ..., "stored rules are malformed"),
    "a bound is text": ([*FIRST, "high"], "old", "stored rules are malformed"),
    "a bound is infinite": ([*FIRST, "high"], float("inf"), "a condition that does not fit its column"),
    "no bound": ([*FIRST, "high"], None, "a condition that does not fit its column"),
    "an empty interval": ([*FIRST, "low"], 30.0, "a condition that does not fit its column"),
    "a column that is not there": ([*FIRST, "column"], 3, "a condition that does not fit its column"),
    "a negative column": ([*FIRST, "column"], -1, "a condition that does not fit its column"),
    "levels of numbers": ([*FIRST, "levels"], [0], "a condition that does not fit its column"),
    "a level that is not there": (["rules", 0, "conditions", 1, "levels"], [0, 4], "does not fit its column"),
    "every level": (["rules", 0, "conditions", 1, "levels"], [0, 1, 2, 3], "does not fit its column"),
    "a level twice": (["rules", 0, "conditions", 1, "levels"], [1, 1], "does not fit its column"),
    "a column twice": (
        ["rules", 0, "conditions", 1],
        LIST.to_dict()["rules"][1]["conditions"][0],
        "asks a column twice",
    ),
    "an end before the end": (["rules", 1], NO_RULE, "ends with the one rule that has no conditions"),
    "too many values": (["rules", 1, "value"], [0.1, 0.2, 0.7], "needs 2 finite values"),
    "a value that is not a number": (["rules", 1, "value"], [float("nan"), 1.0], "needs 2 finite values"),
    "rows below zero": (["rules", 1, "rows"], -1.0, "needs a number of rows"),
    "an unknown task": (["task"], "ranking", "task is regression or classification"),
}


@pytest.mark.parametrize("case", BAD_LISTS)
def test_a_malformed_list_is_refused(case: str) -> None:
    path, value, match = BAD_LISTS[case]
    with pytest.raises(InputError, match=match):
        readable_from_dict(changed(LIST, path, value))


BAD_SETS: dict[str, tuple[list[Any], Any, str]] = {
    "an unknown link": (["link"], "probit", "link is identity, logistic or softmax"),
    "a link of another task": (["link"], "identity", "does not fit classification"),
    "a task of another link": (["task"], "regression", "does not fit regression"),
    "three classes, one score": (["output_names"], ["a", "b", "c"], "does not fit classification"),
    "two intercepts": (["intercept"], [1.0, 2.0], "needs 1 finite intercept"),
    "no intercept": (["intercept"], ..., "a stored rule set is malformed"),
    "terms are missing": (["terms"], ..., "a stored rule set is malformed"),
    "a term of levels": (["terms", 0, "column"], 2, "a linear term needs a numeric column"),
    "a term without room": (["terms", 0, "high"], 20.0, "a linear term needs a numeric column"),
    "a term of text": (["terms", 0, "low"], "x", "a stored rule set is malformed"),
    "two terms of a column": (["terms"], 2 * SET.to_dict()["terms"], "at most one linear term a column"),
    "a rule that always holds": (["rules", 0, "conditions"], [], "every rule of a set has a condition"),
    "a weight too many": (["rules", 0, "value"], [1.0, 2.0], "needs 1 finite values"),
}


@pytest.mark.parametrize("case", BAD_SETS)
def test_a_malformed_set_is_refused(case: str) -> None:
    path, value, match = BAD_SETS[case]
    with pytest.raises(InputError, match=match):
        readable_from_dict(changed(SET, path, value))


def numbers(column: int) -> st.SearchStrategy[Condition]:
    """One bound or two, out of 0 ... 4."""
    pairs = st.lists(st.integers(0, 4), min_size=2, max_size=2, unique=True).map(sorted)
    sides = st.sampled_from([(True, True), (True, False), (False, True)])
    return st.builds(
        lambda pair, side: Condition(column, float(pair[0]) if side[0] else None, float(pair[1]) if side[1] else None),
        pairs,
        sides,
    )


jobs = st.builds(
    lambda levels, excluded: Condition(2, levels=tuple(sorted(levels)), excluded=excluded),
    st.sets(st.integers(0, 3), min_size=1, max_size=3),
    st.booleans(),
)
conditions = st.tuples(*(st.none() | each for each in (numbers(0), numbers(1), jobs))).map(
    lambda found: tuple(c for c in found if c is not None)
)
rules = st.builds(Rule, conditions.filter(bool), st.sampled_from([(0.0,), (1.0,), (2.0,)]), st.just(1.0))
lists = st.lists(rules, max_size=6).map(lambda found: (*found, Rule((), (0.0,), 1.0)))


def as_list(found: tuple[Rule, ...]) -> RuleListReadable:
    return RuleListReadable(SCHEMA, "regression", ("y",), found)


@settings(max_examples=300, deadline=None)
@given(lists)
def test_simplifying_never_changes_an_answer(given_rules: tuple[Rule, ...]) -> None:
    short = as_list(simplified(given_rules, SCHEMA))
    assert np.array_equal(short.predict_encoded(CELLS), as_list(given_rules).predict_encoded(CELLS))
    assert short.complexity <= as_list(given_rules).complexity
    assert sum(rule.rows for rule in short.rules) <= len(given_rules)


def lighter(condition: Condition) -> list[Condition]:
    """The condition with one side or one level less."""
    if condition.levels:
        fewer = [tuple(v for v in condition.levels if v != level) for level in condition.levels]
        return [Condition(2, levels=levels, excluded=condition.excluded) for levels in fewer if levels]
    if condition.low is None or condition.high is None:
        return []
    return [Condition(condition.column, condition.low, None), Condition(condition.column, None, condition.high)]


@settings(max_examples=200, deadline=None)
@given(lists)
def test_simplifying_leaves_nothing_that_could_go(given_rules: tuple[Rule, ...]) -> None:
    """Every rule decides a cell; without any condition, side or level another rule would decide some cell."""
    short = simplified(given_rules, SCHEMA)
    place = as_list(short).rule_of(CELLS)
    assert set(place) == set(range(len(short)))
    for i, rule in enumerate(short[:-1]):
        for c, condition in enumerate(rule.conditions):
            rest = (*rule.conditions[:c], *rule.conditions[c + 1 :])
            for tried in [rest, *((*rest, less) for less in lighter(condition))]:
                now = place.copy()
                now[(place >= i) & holds(tried, CELLS)] = i
                now[(place == i) & ~holds(tried, CELLS)] = -1
                assert not np.array_equal(now, place), (as_list(short).text(), i, condition)


SHORTER: dict[str, tuple[tuple[Rule, ...], str]] = {
    "a bound that follows from an earlier rule": (
        (
            Rule((Condition(0, high=1.0),), (1.0,), 1),
            Rule((Condition(0, low=1.0, high=3.0),), (2.0,), 1),
            Rule((), (0.0,), 1),
        ),
        "if age <= 1: y = 1 | else if age <= 3: y = 2 | else: y = 0",
    ),
    "two intervals that meet": (
        (
            Rule((Condition(0, low=0.0, high=2.0),), (1.0,), 1),
            Rule((Condition(0, low=1.0, high=3.0),), (1.0,), 1),
            Rule((), (0.0,), 1),
        ),
        "if 0 < age <= 3: y = 1 | else: y = 0",
    ),
    "a rule that is never reached": (
        (
            Rule((Condition(0, high=2.0),), (1.0,), 1),
            Rule((Condition(0, high=1.0), Condition(1, low=1.0)), (2.0,), 1),
            Rule((), (0.0,), 1),
        ),
        "if age <= 2: y = 1 | else: y = 0",
    ),
    "a rule that says what the end says": (
        (Rule((Condition(0, high=2.0),), (1.0,), 1), Rule((Condition(1, low=1.0),), (0.0,), 1), Rule((), (0.0,), 1)),
        "if age <= 2: y = 1 | else: y = 0",
    ),
    "levels named by the shorter side": (
        (Rule((Condition(2, levels=(0, 1, 3)),), (1.0,), 1), Rule((), (0.0,), 1)),
        "if job != 'pilot': y = 1 | else: y = 0",
    ),
    "levels that are taken already": (
        (
            Rule((Condition(2, levels=(0, 1)),), (1.0,), 1),
            Rule((Condition(2, levels=(0, 2)),), (2.0,), 1),
            Rule((), (0.0,), 1),
        ),
        "if job in {'clerk', 'nurse'}: y = 1 | else if job = 'pilot': y = 2 | else: y = 0",
    ),
    "an end that is never reached": (
        (Rule((Condition(0, high=2.0),), (1.0,), 1), Rule((Condition(0, low=1.0),), (2.0,), 1), Rule((), (0.0,), 0)),
        "if age <= 2: y = 1 | else: y = 2",
    ),
}


@pytest.mark.parametrize("case", SHORTER)
def test_what_need_not_be_said_is_not_said(case: str) -> None:
    given_rules, expected = SHORTER[case]
    lines = as_list(simplified(given_rules, SCHEMA)).text().splitlines()
    assert " | ".join(" ".join(line.split("   [")[0].split()) for line in lines) == expected


def test_rows_are_counted_once() -> None:
    Z = np.random.default_rng(0).choice(CELLS.ravel(), size=(200, 3))
    Z[:, 2] = np.random.default_rng(1).integers(4, size=200)
    for seed in range(20):
        drawn = np.random.default_rng(seed)
        found = []
        for _ in range(5):
            low = float(drawn.integers(0, 3))
            column = int(drawn.integers(2))
            value = (float(drawn.integers(2)),)
            found.append(Rule((Condition(column, low, low + 2.0),), value, 0.0))
        before = as_list((*found, Rule((), (0.0,), 0.0)))
        counts = np.bincount(before.rule_of(Z), minlength=6)
        counted = tuple(Rule(r.conditions, r.value, float(c)) for r, c in zip(before.rules, counts, strict=True))
        after = as_list(simplified(counted, SCHEMA))
        assert [rule.rows for rule in after.rules] == np.bincount(after.rule_of(Z), minlength=len(after.rules)).tolist()


def material(n: int = 300, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    Z = np.column_stack([rng.integers(0, 60, n) * 1.0, rng.normal(size=n), rng.integers(0, 4, n)])
    y = np.where((Z[:, 0] > 20) & (Z[:, 0] <= 40), 3.0, 0.0) + (Z[:, 2] == 1) + 0.1 * rng.normal(size=n)
    return prepared(SCHEMA, Z, y[:, None], rng.integers(1, 4, n) * 1.0, scale=True, min_leaf=5.0)


def test_a_beam_knows_what_a_rule_saves() -> None:
    """The gain of each span is how much the loss of the whole list falls."""
    grid = coarse_grid(material(), 0.0, 1)[0]
    rows = np.arange(len(grid))
    wanted = Wanted.of(grid, rows, np.zeros((len(grid), 1)), last=True)
    spans = best_spans(grid, wanted, np.ones(len(grid), dtype=bool), set())
    assert {j for _, j, _ in spans} == {0, 1, 2}
    for gain, j, span in spans:
        assert gain == pytest.approx(objective(grid, ()) - objective(grid, (((j, span),),)))


def test_a_moved_interval_is_the_best_of_all() -> None:
    grid = fine_grid(material(), 0.0, 1)
    rng = np.random.default_rng(3)
    delta = rng.normal(size=len(grid))
    first, stop = refined_span(grid, 0, np.arange(len(grid)), delta, (0, 5))
    cost = np.bincount(grid.codes[:, 0], weights=delta, minlength=grid.sizes[0])
    every = [cost[a:b].sum() for a in range(len(cost)) for b in range(a + 1, len(cost) + 1)]
    assert cost[first:stop].sum() == pytest.approx(min(every))


def test_every_list_on_the_path_is_better_than_the_shorter() -> None:
    data = material()
    grid = coarse_grid(data, 1e-3 * data.spread, 1)[0]
    path = grown_list(grid, 6, 2)
    values = [objective(grid, draft) for draft in path]
    assert values == sorted(values, reverse=True)
    assert len(path) > 2
    assert max(len(clause) for draft in path for clause in draft) <= 2
    assert np.bincount(place_of(grid, path[-1]), weights=grid.weights).min() >= 5


def test_a_rule_whose_rows_are_taken_is_written_as_it_is() -> None:
    """Shorter thresholds of an earlier rule can take all rows of a later one."""
    data = material()
    grid = fine_grid(data, 0.0, 1)
    draft = (((0, (0, 30)),), ((0, (10, 20)),))
    written, _ = written_conditions(data, grid, draft, ListJudge(grid), data.spread)
    values = data.distinct[0]
    assert written[1] == (Condition(0, float(values[9]), float(values[19])),)
    assert not holds(written[1], data.values)[~holds(written[0], data.values)].any()


@pytest.mark.parametrize("link", ["identity", "logistic", "softmax"])
def test_weights_are_at_the_minimum(link: Any) -> None:
    rng = np.random.default_rng(0)
    X, weights = (rng.random((200, 3)) < 0.4).astype(float), rng.random(200)
    weights /= weights.sum()
    targets = rng.dirichlet([1.0, 1.0, 1.0], size=200)[:, : 1 if link == "logistic" else 3]
    theta = fitted_weights(X, targets, weights, link, np.zeros(3))
    residuals = weights[:, None] * residuals_of(theta[0] + X @ theta[1:], targets, link)
    assert np.abs(np.column_stack([np.ones(200), X]).T @ residuals).max() < 1e-5
    worse = row_losses(theta[0] + X @ (theta[1:] + 0.1 * np.eye(3)[:, : theta.shape[1]]), targets, link)
    assert weights @ worse > weights @ row_losses(theta[0] + X @ theta[1:], targets, link)


def test_the_lasso_takes_up_what_matters() -> None:
    rng = np.random.default_rng(0)
    X = (rng.random((400, 30)) < 0.4).astype(float)
    targets = (2 * X[:, 3] - X[:, 17] + 0.1 * rng.normal(size=400))[:, None]
    taken = lasso_choice(X, targets, np.full(400, 1 / 400), "identity", np.ones(30), 2)
    assert {3, 17} <= set(taken.tolist())
    assert len(taken) < 10


def test_linear_bounds_are_short() -> None:
    values = np.random.default_rng(0).normal(50, 10, 2_000)
    low, high = linear_bounds(values, np.ones(2_000)) or (0.0, 0.0)
    np.testing.assert_allclose([low, high], np.quantile(values, [0.025, 0.975]), atol=1.0)
    assert (low, high) == (round(low), round(high))
    assert linear_bounds(np.r_[np.zeros(99), 1.0], np.ones(100)) is None


N = 200
rng = np.random.default_rng(0)
FRAME = pd.DataFrame(
    {
        "age": rng.uniform(18, 80, N),
        "job": np.array(JOBS, dtype=object)[rng.integers(4, size=N)],
        "same": np.full(N, 3.0),
    }
)
WANTED = np.where((FRAME["age"] <= 40) & FRAME["job"].isin(["nurse", "pilot"]), "yes", "no")
STUDENTS = [RuleListClassifier, RuleListRegressor, RuleSetClassifier, RuleSetRegressor]


def target(student: type) -> np.ndarray:
    return WANTED if student.__name__.endswith("Classifier") else np.where(WANTED == "yes", 7.0, 1.0)


BAD_ARGUMENTS: dict[str, tuple[dict[str, Any], str]] = {
    "no rules": ({"max_rules": 0}, "max_rules must be a whole number of at least 1; got 0"),
    "half a rule": ({"max_rules": 2.5}, "max_rules must be a whole number"),
    "a truth": ({"max_rules": True}, "max_rules must be a whole number"),
    "no conditions": ({"max_conditions": 0}, "max_conditions must be a whole number"),
    "no rows": ({"min_samples_rule": 0}, r"min_samples_rule must be at least 1, or a share in \(0, 0.5\]"),
    "most rows": ({"min_samples_rule": 0.7}, "min_samples_rule must be at least 1"),
    "text": ({"min_samples_rule": "few"}, "min_samples_rule must be at least 1"),
    "a negative price": ({"min_gain": -0.1}, r"min_gain must be a share in \[0, 1\)"),
}


@pytest.mark.parametrize("student", STUDENTS)
@pytest.mark.parametrize("case", BAD_ARGUMENTS)
def test_bad_arguments(student: type, case: str) -> None:
    over, match = BAD_ARGUMENTS[case]
    with pytest.raises(InputError, match=match):
        student(**over).fit(FRAME, target(student))


@pytest.mark.parametrize("student", STUDENTS)
def test_weights_that_are_too_small_for_a_rule(student: type) -> None:
    with pytest.raises(InputError, match=r"weights count as rows: they sum to 0\.2"):
        student().fit(FRAME, target(student), sample_weight=np.full(N, 1e-3))


@pytest.mark.parametrize("student", STUDENTS)
def test_one_row_is_enough(student: type) -> None:
    given = {"classes": ["no", "yes"]} if student.__name__.endswith("Classifier") else {}
    model = student().fit(FRAME.iloc[:1], target(student)[:1], **given)
    assert model.predict(FRAME.iloc[:1]).tolist() == [target(student)[0]]
    assert model.readable_.features_used == ()


@pytest.mark.parametrize("student", STUDENTS)
def test_an_unknown_level_is_refused(student: type) -> None:
    model = student(max_rules=3, random_state=0).fit(FRAME, target(student))
    assert set(model.readable_.features_used) == {"age", "job"}
    with pytest.raises(InputError, match="column 'job' has no level 'smith'"):
        model.predict(FRAME.assign(job="smith"))


@pytest.mark.parametrize("student", STUDENTS)
def test_the_front_goes_up(student: type) -> None:
    noisy = target(student) if student.__name__.endswith("Classifier") else target(student) + rng.normal(size=N)
    model = student(max_rules=4, min_gain=0.0, random_state=0).fit(FRAME, noisy)
    sizes, scores = ([getattr(member, name) for member in model.front_] for name in ("complexity", "score"))
    assert sizes == sorted(set(sizes))
    assert scores == sorted(set(scores))
    assert model.front_[0].readable.features_used == ()
    assert model.readable_ in [member.readable for member in model.front_]
    assert max(len(member.readable.rules) for member in model.front_) <= 5


@pytest.mark.parametrize("student", STUDENTS)
def test_symbols_that_are_not_worth_their_price_are_not_there(student: type) -> None:
    found = [student(min_gain=g, random_state=0).fit(FRAME, target(student)).readable_ for g in (0.0, 3e-4, 0.5)]
    assert found[0].complexity >= found[1].complexity > found[2].complexity
    assert found[2].features_used == ()


def test_a_set_without_linear_terms() -> None:
    y = 0.1 * FRAME["age"].to_numpy()
    with_terms, without = (
        RuleSetRegressor(linear=linear, random_state=0).fit(FRAME, y).readable_ for linear in (True, False)
    )
    assert len(with_terms.terms) == 1
    assert without.terms == ()
    assert with_terms.complexity < without.complexity


@pytest.mark.parametrize("student", STUDENTS)
def test_expected_seconds_grow(student: type) -> None:
    model = student()
    assert 0 < model.expected_seconds(100, 5, 2) < model.expected_seconds(10_000, 20, 3) < 60
