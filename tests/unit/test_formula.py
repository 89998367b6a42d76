"""Formulas: the algebra, the fit, the edits, the search's parts, the rounding, the choice, the students."""

from __future__ import annotations

import json
import math
import time
from typing import Any

import numpy as np
import pandas as pd
import pyoperon as op
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression

from limbeck._core.errors import InputError
from limbeck._core.tables import Column, Schema, Table
from limbeck.cli._predict import _say_what_is_outside
from limbeck.readable import FormulaReadable, Program, count_symbols, evaluate, readable_from_dict
from limbeck.readable._formula import NotFiniteWarning
from limbeck.readable._language import column_symbol
from limbeck.students import FormulaClassifier, FormulaRegressor
from limbeck.students._formula_algebra import (
    FUNCTIONS,
    Formula,
    add,
    apply,
    constant,
    constants,
    feature,
    features_used,
    multiply,
    power,
    rebuild,
    scale,
    symbols,
    to_sympy,
    with_constants,
)
from limbeck.students._formula_candidates import Linearised, Setting
from limbeck.students._formula_choice import build_front, joined
from limbeck.students._formula_classes import BesideOthers, class_scores, log_total
from limbeck.students._formula_edits import anatomy
from limbeck.students._formula_evolution import _copied, _read_tree, evolve
from limbeck.students._formula_features import build_features, feature_matrix
from limbeck.students._formula_fit import (
    Logistic,
    Squares,
    compile_tape,
    propagate,
    refit,
    run_backwards,
    run_tape,
    values_of,
)
from limbeck.students._formula_growth import Archive, Budget, is_plain
from limbeck.students._formula_judge import Judge, Part, _Softmax, distinct_symbols
from limbeck.students._formula_library import build_library
from limbeck.students._formula_rounding import round_constants, shortest
from limbeck.students._formula_search import DEFAULT_OPERATORS, OPERATORS, sampled_rows
from limbeck.students._formula_views import VIEWS, looked_back, seen_through

D = 3
ROWS = np.random.default_rng(0).uniform(0.5, 3.0, size=(60, D))
COLUMNS = list(ROWS.T)
COSTS = (1,) * D
X0, X1, X2 = (feature(j) for j in range(D))
SYMBOLS = [column_symbol(j) for j in range(D)]
SMALL: dict[str, Any] = {"max_evaluations": 6_000, "random_state": 0}

numbers = st.floats(-4, 4).map(lambda v: round(v, 2)).filter(lambda v: abs(v) > 0.05)
leaves = st.one_of(numbers.map(constant), st.integers(0, D - 1).map(feature))


def grown(parts: st.SearchStrategy[Formula]) -> st.SearchStrategy[Formula]:
    return st.one_of(
        st.tuples(parts, parts).map(lambda p: add(*p)),
        st.tuples(parts, numbers).map(lambda p: scale(*p)),
        st.tuples(parts, parts).map(lambda p: multiply(*p)),
        st.tuples(parts, st.sampled_from([-1.0, 0.5, 2.0])).map(lambda p: power(*p)),
        st.tuples(st.sampled_from(sorted(FUNCTIONS)), parts).map(lambda p: apply(*p)),
    )


def sensible(formula: Formula) -> bool:
    values = values_of(formula, COLUMNS)
    return bool(np.isfinite(constants(formula)).all() and np.isfinite(values).all() and np.abs(values).max() < 1e8)


formulas = st.recursive(leaves, grown, max_leaves=8).filter(sensible)


def sympy_values(formula: Formula) -> np.ndarray:
    schema = Schema(tuple(Column(f"x{j}") for j in range(D)))
    return evaluate(Program(schema, (), (to_sympy(formula, SYMBOLS),), ("y",)), ROWS)[:, 0]


# The algebra


@settings(max_examples=200, deadline=None)
@given(formulas)
def test_the_sympy_form_has_the_same_values_and_length(formula: Formula) -> None:
    np.testing.assert_allclose(sympy_values(formula), values_of(formula, COLUMNS), rtol=1e-9, atol=1e-12)
    assert count_symbols(to_sympy(formula, SYMBOLS)) == symbols(formula, COSTS)


@settings(max_examples=100, deadline=None)
@given(formulas, formulas)
def test_operations_mean_what_they_say(left: Formula, right: Formula) -> None:
    a, b = values_of(left, COLUMNS), values_of(right, COLUMNS)
    np.testing.assert_allclose(values_of(add(left, right), COLUMNS), a + b, rtol=1e-7, atol=1e-6)
    np.testing.assert_allclose(values_of(multiply(left, right), COLUMNS), a * b, rtol=1e-7, atol=1e-6)
    with np.errstate(all="ignore"):
        for p in (-1.0, 0.5, 2.0):
            expected, found = np.power(a, p), values_of(power(left, p), COLUMNS)
            both = np.isfinite(expected) & np.isfinite(found)
            np.testing.assert_allclose(found[both], expected[both], rtol=1e-5, atol=1e-6)


@settings(max_examples=100, deadline=None)
@given(formulas)
def test_constants_can_be_taken_out_and_put_back(formula: Formula) -> None:
    assert with_constants(formula, constants(formula)) == formula
    values = values_of(formula, COLUMNS)
    np.testing.assert_allclose(values_of(rebuild(formula), COLUMNS), values, rtol=1e-6, atol=1e-6)
    assert len(constants(rebuild(formula))) <= len(constants(formula))


def test_numbers_are_gathered_into_one() -> None:
    formula = multiply(scale(X0, 2.0), multiply(constant(3.0), power(scale(X1, 4.0), -1.0)))
    assert constants(formula) == [1.5]
    assert symbols(formula, COSTS) == 5
    logged = apply("log", scale(X0, 2.0))
    assert constants(logged) == pytest.approx([math.log(2.0)])
    assert constants(add(logged, constant(-math.log(2.0)))) == []
    assert add(X0, scale(X0, 2.0)) == scale(X0, 3.0)
    assert multiply(X0, power(X0, -1.0)) == constant(1.0)
    assert power(power(X0, 0.5), 2.0) == X0


def test_signs_are_few() -> None:
    formula = rebuild(scale(multiply(X1, add(constant(2.0), scale(X0, -1.0))), -0.5))
    assert to_sympy(formula, SYMBOLS).args[0] == 0.5
    formula = rebuild(scale(multiply(X1, add(scale(X0, -1.0), constant(-1.0))), -1.0))
    assert symbols(formula, COSTS) == 5


def test_features_used() -> None:
    assert features_used(add(apply("log", multiply(X0, X2)), constant(1.0))) == {0, 2}


# The fit


@settings(max_examples=60, deadline=None)
@given(formulas)
def test_derivatives_are_those_of_finite_differences(formula: Formula) -> None:
    theta = np.array(constants(formula))
    tape, n = compile_tape(formula), len(ROWS)
    J, _ = run_backwards(tape, theta, run_tape(tape, theta, COLUMNS), n)
    for i in range(len(theta)):
        step = np.zeros(len(theta))
        step[i] = 1e-6 * max(1.0, abs(theta[i]))
        with np.errstate(all="ignore"):
            up, down = (np.broadcast_to(run_tape(tape, theta + s, COLUMNS)[-1], (n,)) for s in (step, -step))
        slope = (up - down) / (2 * step[i])
        smooth = np.isfinite(slope) & np.isfinite(J[:, i]) & (np.abs(slope) < 1e5)
        bound = 1e-3 * (1.0 + np.abs(slope[smooth]) + np.abs(up[smooth]))
        kinks = np.abs(J[smooth, i] - slope[smooth]) > bound
        assert kinks.mean() <= 0.1 if len(kinks) else True


PLANTED: dict[str, tuple[Formula, Formula]] = {
    "linear": (
        add(scale(X0, 2.5), scale(X1, -0.7), constant(3.0)),
        add(scale(X0, 1.1), scale(X1, 1.2), constant(0.1)),
    ),
    "saturation": (
        add(scale(apply("tanh", scale(X0, 0.8)), 5.0), constant(1.5)),
        add(scale(apply("tanh", scale(X0, 0.6)), 4.0), constant(1.0)),
    ),
    "quotient": (
        scale(multiply(X0, power(add(X1, constant(1.7)), -1.0)), 4.2),
        scale(multiply(X0, power(add(X1, constant(0.4)), -1.0)), 1.3),
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_planted_constants_are_found(name: str) -> None:
    truth, start = PLANTED[name]
    n = len(ROWS)
    found = refit(start, COLUMNS, Squares(values_of(truth, COLUMNS), np.ones(n) / n))
    np.testing.assert_allclose(constants(found.formula), constants(truth), rtol=1e-6)
    assert found.loss < 1e-14


def test_weights_count_as_copies() -> None:
    rng = np.random.default_rng(1)
    y, counts = rng.normal(size=60), rng.integers(1, 4, size=60)
    start = PLANTED["saturation"][1]
    weighted = refit(start, COLUMNS, Squares(y, counts / counts.sum()))
    copies = np.repeat(np.arange(60), counts)
    repeated = refit(start, list(ROWS[copies].T), Squares(y[copies], np.ones(len(copies)) / len(copies)))
    np.testing.assert_allclose(constants(weighted.formula), constants(repeated.formula), rtol=1e-6)


def test_cross_entropy_is_fitted_like_logistic_regression() -> None:
    rng = np.random.default_rng(2)
    labels = rng.random(60) < 1 / (1 + np.exp(2 - ROWS[:, 0] - 0.5 * ROWS[:, 1]))
    start = add(scale(X0, 0.1), scale(X1, 0.2), constant(0.3))
    found = refit(start, COLUMNS, Logistic(labels.astype(float), np.ones(60) / 60))
    reference = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1_000).fit(ROWS[:, :2], labels)
    expected = [reference.intercept_[0], *reference.coef_[0]]
    np.testing.assert_allclose(constants(found.formula), expected, rtol=1e-4)


def test_a_formula_that_is_not_defined_stays_as_it_is() -> None:
    formula = scale(apply("log", add(X0, constant(-2.0))), 3.0)
    found = refit(formula, COLUMNS, Squares(np.ones(60), np.ones(60) / 60))
    assert found.formula == formula
    assert not np.isfinite(found.loss)


def test_the_joint_gradient_is_that_of_finite_differences() -> None:
    rng = np.random.default_rng(3)
    q = rng.dirichlet(np.ones(3), size=60)
    models = [PLANTED["linear"][0], PLANTED["saturation"][0], PLANTED["quotient"][0]]
    joint = _Softmax(Part(tuple(COLUMNS), q, np.ones(60) / 60), models)
    _, g, H = joint.look(joint.start)
    for i in range(len(g)):
        step = np.zeros(len(g))
        step[i] = 1e-5
        slope = (joint.value(joint.start + step) - joint.value(joint.start - step)) / 2e-5
        assert g[i] == pytest.approx(slope, rel=1e-4, abs=1e-8)
    assert np.linalg.eigvalsh(H).min() > -1e-10


# The edits


@settings(max_examples=100, deadline=None)
@given(formulas)
def test_a_part_put_back_in_its_place_changes_nothing(formula: Formula) -> None:
    body, tape = anatomy(formula), compile_tape(formula)
    steps = run_tape(tape, np.array(constants(formula)), COLUMNS)
    assert len(body.sites) == len(tape)
    for site, values in zip(body.sites, steps, strict=True):
        np.testing.assert_allclose(values_of(site.part, COLUMNS), np.broadcast_to(values, (60,)), rtol=1e-9)
        np.testing.assert_allclose(
            values_of(site.replace(site.part), COLUMNS), values_of(formula, COLUMNS), rtol=1e-5, atol=1e-5
        )


@settings(max_examples=100, deadline=None)
@given(formulas)
def test_cuts_are_shorter(formula: Formula) -> None:
    for build in anatomy(formula).cuts:
        with np.errstate(all="ignore"):
            cut = build()
        if np.isfinite(constants(cut)).all():
            spread = 1  # a power of a product is spread over its factors
            assert symbols(cut, COSTS) <= symbols(formula, COSTS) + spread


def test_every_cut_of_a_small_formula() -> None:
    formula = add(scale(apply("log", X0), 2.0), scale(multiply(X1, X2), 3.0))
    shorter = {str(to_sympy(build(), SYMBOLS)) for build in anatomy(formula).cuts}
    assert {"2.0*x0 + 3.0*x1*x2", "2.0*log(x0)", "3.0*x1*x2", "3.0*x1 + 2.0*log(x0)"} <= {
        text.replace("00000000000000", "") for text in shorter
    }


# The search's parts


@pytest.mark.parametrize("name", OPERATORS)
def test_a_tree_is_read_as_pyoperon_computes_it(name: str) -> None:
    dataset = op.Dataset(np.asfortranarray(ROWS))
    variables = sorted(dataset.Variables, key=lambda v: v.Index)
    kind = getattr(op.NodeType, name.capitalize())
    arity = op.Node(kind).Arity
    nodes = []
    for j in range(arity):
        leaf = op.Node.Variable(0.5 + j)
        leaf.HashValue = variables[j].Hash
        nodes.append(leaf)
    nodes.append(op.Node(kind))
    tree = op.Tree(nodes).UpdateNodes()
    expected = op.Evaluate(tree, dataset, op.Range(0, len(ROWS)))
    formula = _read_tree([_copied(node) for node in tree.Nodes], {v.Hash: feature(j) for j, v in enumerate(variables)})
    assert formula is not None
    np.testing.assert_allclose(values_of(formula, COLUMNS), expected, rtol=1e-4)


def test_evolution_finds_a_product_and_finds_it_again() -> None:
    y = 2.0 * ROWS[:, 0] * ROWS[:, 1] - 5.0
    found = evolve(ROWS, y, frozenset(DEFAULT_OPERATORS), 5_000, None, seed=1)
    assert min(np.abs(values_of(formula, COLUMNS) - y).max() for formula in found) < 1e-3
    assert found == evolve(ROWS, y, frozenset(DEFAULT_OPERATORS), 5_000, None, seed=1)
    assert found != evolve(ROWS, y, frozenset(DEFAULT_OPERATORS), 5_000, None, seed=2)


def setting(y: np.ndarray, *, max_symbols: int = 20, guard: np.ndarray = ROWS, room: float = 100.0) -> Setting:
    names = frozenset(DEFAULT_OPERATORS)
    library = build_library(COLUMNS, COSTS, names, range(D))
    loss = Squares(y, np.ones(len(y)) / len(y) / y.var())
    return Setting(COLUMNS, list(guard.T), (-room, room), loss, library, COSTS, max_symbols, names)


def test_the_local_search_alone_finds_a_formula() -> None:
    y = 3.0 * ROWS[:, 0] / (ROWS[:, 1] + 2.0) + np.log(ROWS[:, 2])
    archive = Archive(setting(y), Budget(600))
    archive.offer(constant(1.0))
    archive.run()
    best = archive.entries[archive.front()[-1]]
    assert best.loss < 1e-5
    assert all(symbols(entry.formula, COSTS) == n <= 20 for n, entry in archive.entries.items())
    losses = [archive.entries[n].loss for n in archive.front()]
    assert losses == sorted(losses, reverse=True)


def test_the_budget_ends_the_local_search() -> None:
    y = np.random.default_rng(4).normal(size=60)
    spent = Archive(setting(y), Budget(5))
    spent.offer(constant(1.0))
    spent.run()
    assert len(spent.seen) < 60
    late = Archive(setting(y), Budget(math.inf, deadline=time.monotonic() - 1.0))
    late.offer(constant(1.0))
    late.run()
    assert len(late.seen) == 1


def test_a_formula_with_a_pole_between_the_rows_is_not_kept() -> None:
    y = 1.0 / (ROWS[:, 0] - 5.0)
    guard = np.vstack([ROWS, [[5.0, 1.0, 1.0]]])
    pole = power(add(X0, constant(-5.0)), -1.0)
    safe, guarded = Archive(setting(y), Budget(100)), Archive(setting(y, guard=guard), Budget(100))
    safe.offer(pole)
    guarded.offer(pole)
    assert len(safe.entries) == 1
    assert not guarded.entries
    narrow = Archive(setting(y, room=0.2), Budget(100))
    narrow.offer(pole)
    assert not narrow.entries


def test_what_is_plain() -> None:
    assert is_plain(apply("log", apply("exp", add(X0, X1))))
    assert is_plain(power(X0, -1.5))
    assert not is_plain(power(X0, 4.0))
    assert not is_plain(apply("tanh", apply("exp", X0)))
    assert not is_plain(apply("log", add(apply("log", X0), X1)))


def test_the_library_has_the_allowed_forms_only() -> None:
    few = build_library(COLUMNS, COSTS, frozenset({"add", "sub", "mul"}), range(D))
    texts = {str(to_sympy(item, SYMBOLS)) for item in few.items}
    assert texts > {"x0", "x1", "x2", "x0**2", "x1**2", "x2**2", "x0*x1", "x0*x2", "x1*x2", "x0 - x1", "(x0 + x2)**2"}
    assert all(to_sympy(item, SYMBOLS).is_polynomial() for item in few.items)
    bare = build_library(COLUMNS, COSTS, frozenset({"add", "sub"}), range(D))
    assert {str(to_sympy(item, SYMBOLS)) for item in bare.items} > {"x0", "x1", "x2", "x0 + x1"}
    assert all(sp.Poly(to_sympy(item, SYMBOLS)).total_degree() == 1 for item in bare.items)
    many = build_library(COLUMNS, COSTS, frozenset(OPERATORS), range(D))
    for item, values in zip(many.items, many.values.T, strict=True):
        np.testing.assert_allclose(values_of(item, COLUMNS), values)
    signed = build_library([ROWS[:, 0] - 1.0], (1,), frozenset(OPERATORS), [0])
    assert "log(x0)" not in {str(to_sympy(item, SYMBOLS)) for item in signed.items}


def test_rows_are_drawn_by_weight() -> None:
    rng = np.random.default_rng(5)
    even = sampled_rows(np.ones(50), 100, rng)
    assert even.tolist() == list(range(50))
    weights = np.r_[np.full(500, 3.0), np.ones(500)]
    drawn = sampled_rows(weights, 400, rng)
    assert len(drawn) == 400
    assert np.mean(drawn < 500) == pytest.approx(0.75, abs=0.06)
    assert np.mean(sampled_rows(np.array([1e-300, 1.0]), 100, rng) == 1) > 0.98
    few = sampled_rows(np.array([1.0, 3.0]), 100, rng)
    assert few.tolist() == [0, 1, 1, 1]


@settings(max_examples=60, deadline=None)
@given(formulas)
def test_a_change_inside_is_carried_to_the_end(formula: Formula) -> None:
    """Judged values of a formula with another part inside are those of that formula."""
    tape, theta = compile_tape(formula), np.array(constants(formula))
    values = run_tape(tape, theta, COLUMNS)
    for at, site in enumerate(anatomy(formula).sites):
        with np.errstate(all="ignore"):
            carried = propagate(tape, theta, values, at, ROWS, len(tape) - 1)
            for j in range(D):
                direct = values_of(site.replace(feature(j)), COLUMNS)
                both = np.isfinite(direct) & np.isfinite(carried[:, j])
                np.testing.assert_allclose(carried[both, j], direct[both], rtol=1e-5, atol=1e-5)


def test_candidates_bring_what_they_promise() -> None:
    """The best new term brings, fitted, at least what the score test says: the loss is linear in its coefficient."""
    y = 2.0 * ROWS[:, 0] + np.log(ROWS[:, 1])
    start = refit(add(scale(X0, 1.0001), constant(0.1)), COLUMNS, setting(y).loss)
    found = Linearised(setting(y), start.formula, start.loss, anatomy(start.formula)).candidates()
    promised, build = min(found, key=lambda candidate: candidate[0])
    fitted = refit(build(), COLUMNS, setting(y).loss)
    assert promised < 1e-12
    assert fitted.loss < 1e-12
    assert all(promised <= start.loss for promised, _ in found[:5])


@pytest.mark.parametrize("name", VIEWS)
def test_looking_back_undoes_the_view(name: str) -> None:
    y = 1.0 + 3.0 * ROWS[:, 0]
    assert VIEWS[name].fits(y, frozenset(DEFAULT_OPERATORS))
    assert not VIEWS[name].fits(y - 5.0, frozenset(DEFAULT_OPERATORS))
    assert not VIEWS[name].fits(y, frozenset({"add"}))
    seen = seen_through(name, values_of(X0, COLUMNS))
    inner = {
        "root": power(X0, 2.0),
        "quotient": power(X0, -1.0),
        "exponential": apply("log", X0),
        "inverse root": power(X0, -2.0),
        "square": power(X0, 0.5),
    }
    formula = inner[name]
    np.testing.assert_allclose(values_of(formula, COLUMNS), seen)
    back = looked_back(name, formula)
    assert back is not None
    np.testing.assert_allclose(values_of(back, COLUMNS), ROWS[:, 0])
    assert looked_back(name, constant(0.0)) is None


# Features


def test_features_of_columns_with_levels() -> None:
    frame = pd.DataFrame(
        {
            "job": np.array(["baker", "clerk", "nurse", "pilot"], dtype=object)[np.arange(80) % 4],
            "sex": np.array(["f", "m"], dtype=object)[np.arange(80) // 40],
            "age": np.arange(80.0),
            "same": 7.0,
        }
    )
    frame["size"] = pd.Categorical(np.array(["s", "m", "l"])[np.arange(80) % 3], ["s", "m", "l"], ordered=True)
    table = Table.read(frame)
    y = frame["job"].isin(["nurse", "pilot"]).to_numpy(dtype=float)[:, None]
    features = build_features(table.schema, table.values, y, np.ones(80))
    by_column = {name: [f.levels for f in features if f.column == j] for j, name in enumerate(table.schema.names)}
    assert by_column["job"] == [(0,), (1,), (2,), (3,), (0, 1)] or by_column["job"][-1] == (2, 3)
    assert len(by_column["sex"]) == 1
    assert by_column["age"] == [()]
    assert by_column["same"] == []
    assert (0,) in by_column["size"]
    assert (0, 2) not in by_column["size"]
    X = feature_matrix(features, table.values)
    group = next(k for k, f in enumerate(features) if len(f.levels) == 2)
    assert set(X[:, group]) == {0.0, 1.0}
    assert abs(np.corrcoef(X[:, group], y[:, 0])[0, 1]) == pytest.approx(1.0)
    assert all(f.symbols == count_symbols(f.expression) for f in features)


def test_rare_levels_have_no_condition_of_their_own() -> None:
    frame = pd.DataFrame({"job": ["a"] * 50 + ["b"] * 48 + ["c"] * 2})
    table = Table.read(frame)
    features = build_features(table.schema, table.values, np.zeros((100, 1)), np.ones(100))
    assert (2,) not in [f.levels for f in features[:2]]


# Rounding


@given(st.floats(-1e6, 1e6).filter(lambda v: abs(v) > 1e-3), st.floats(1e-6, 10.0))
def test_the_shortest_number_lies_near(value: float, room: float) -> None:
    assert abs(shortest(value, room) - value) <= room


def test_rounding_keeps_the_loss_and_shortens() -> None:
    rng = np.random.default_rng(6)
    A = rng.normal(size=(200, 4)) @ np.diag([1.0, 10.0, 100.0, 1.0])
    A[:, 3] += A[:, 0]
    best = np.array([1.23456789, -0.98765432, 0.02001, 3.0000001])
    y = A @ best + rng.normal(size=200)
    theta, *_ = np.linalg.lstsq(A, y, rcond=None)

    def loss_at(t: np.ndarray) -> float:
        return float(np.mean((A @ t - y) ** 2)) / 2

    rounded = round_constants(theta, A.T @ A / 200, loss_at, 1e-3)
    assert loss_at(theta) < loss_at(rounded) <= loss_at(theta) + 1e-3
    assert sum(len(f"{v:.15g}") for v in rounded) < 25
    assert np.array_equal(round_constants(theta, A.T @ A / 200, loss_at, 0.0), theta)


def test_a_constant_that_does_not_matter_becomes_zero() -> None:
    rounded = round_constants(
        np.array([2.0, 1e-15]), np.eye(2), lambda t: float((t - [2.0, 1e-15]) @ (t - [2, 1e-15])), 1e-9
    )
    assert rounded.tolist() == [2.0, 0.0]


def test_the_others_make_up_for_a_rounded_constant() -> None:
    """Rounded one at a time, the loss rises far less than where each is rounded alone, to as many digits."""
    together, alone = [], []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        A = rng.normal(size=(100, 1)) + 0.2 * rng.normal(size=(100, 4))
        y = A @ rng.uniform(0.5, 2.0, size=4) + 0.5 * rng.normal(size=100)
        theta, *_ = np.linalg.lstsq(A, y, rcond=None)

        def loss_at(t: np.ndarray, A: np.ndarray = A, y: np.ndarray = y) -> float:
            return float(np.mean((A @ t - y) ** 2)) / 2

        rounded = round_constants(theta, A.T @ A / 100, loss_at, 0.02 * loss_at(theta))
        digits = [len(f"{abs(v):.15g}".replace(".", "").strip("0")) for v in rounded]
        naive = np.array([float(f"{v:.{max(1, d)}g}") for v, d in zip(theta, digits, strict=True)])
        together.append(loss_at(rounded) - loss_at(theta))
        alone.append(loss_at(naive) - loss_at(theta))
    assert np.mean(together) < 0.25 * np.mean(alone)
    assert np.mean(np.array(together) <= np.array(alone)) > 0.8


# The choice


def judge_of(y: np.ndarray, link: str = "identity") -> Judge:
    part = Part(tuple(COLUMNS), y, np.ones(60) / 60)
    variances = y.var(axis=0) if link == "identity" else np.ones(y.shape[1])
    return Judge(part, part, tuple(COLUMNS), variances, link, COSTS)


def test_symbols_go_to_the_output_that_needs_them() -> None:
    easy, hard = 2.0 * ROWS[:, 0], np.log(ROWS[:, 1]) * ROWS[:, 2] + 3.0 * ROWS[:, 0]
    fronts = [
        [constant(1.0), scale(X0, 1.0001), add(scale(X0, 1.1), scale(X1, 1e-9))],
        [constant(1.0), scale(X2, 2.0), add(scale(X0, 2.9), multiply(apply("log", X1), X2))],
    ]
    judge = judge_of(np.column_stack([easy, hard]))
    path = joined(judge, fronts, 14)
    assert all(judge.length(model) <= 14 for model in path)
    assert judge.length(path[0]) == 2
    assert [symbols(formula, COSTS) for formula in path[-1]] == [3, 8]
    assert judge.length(joined(judge, fronts, 9)[-1]) <= 9


def test_of_equals_the_shorter_is_chosen_and_of_unequals_the_better() -> None:
    rng = np.random.default_rng(7)
    X = rng.uniform(1, 3, size=(400, 2))
    close = FormulaRegressor(**SMALL).fit(X, X[:, 0] + 0.3 * rng.normal(size=400))
    assert close.readable_.complexity <= 5
    clear = FormulaRegressor(**SMALL).fit(X, X[:, 0] + 0.3 * X[:, 1])
    assert set(clear.readable_.features_used) == {"x0", "x1"}


def test_the_description_length_counted_by_hand() -> None:
    """Three bits a symbol and seven for the constant, beside the answers' own."""
    y = 2.5 * ROWS[:, 0] + np.random.default_rng(0).normal(size=60)
    judge = judge_of(y[:, None])
    formula = scale(X0, 2.5)
    loss = np.mean((2.5 * ROWS[:, 0] - y) ** 2) / y.var()
    expected = 30 * np.log2(loss) + 3 * np.log2(3) + 1 + 2 * np.log2(10)
    assert judge.mdl((formula,)) == pytest.approx(expected)
    assert distinct_symbols(formula) == {"x0", "*", "constant"}
    whole = add(multiply(power(X0, 0.5), power(X1, -2.0)), scale(apply("log", X2), -1.0))
    assert distinct_symbols(whole) == {"x0", "x1", "x2", "power 0.5", "power 2.0", "/", "-", "+", "log"}


def test_the_description_length_does_not_depend_on_the_unit_of_the_answers() -> None:
    y = 2.5 * ROWS[:, 0] + np.random.default_rng(0).normal(size=60)
    grams, kilograms = judge_of(1000.0 * y[:, None]), judge_of(y[:, None])
    assert grams.mdl((scale(X0, 2500.0),)) == pytest.approx(kilograms.mdl((scale(X0, 2.5),)))
    long = add(scale(X0, 2.5), scale(X1, 0.001234))
    assert kilograms.mdl((long,)) > kilograms.mdl((scale(X0, 2.5),))


def test_a_formula_without_a_value_on_some_row_is_not_in_the_front() -> None:
    """The logarithm fits the training rows exactly; a row it has no value on may be in any of the three parts."""
    y = np.log(ROWS[:, :1])
    bad = [column.copy() for column in COLUMNS]
    bad[0][7] = -1.0
    good, poor = (Part(tuple(columns), y, np.ones(60) / 60) for columns in (COLUMNS, bad))
    schema = Schema(tuple(Column(f"x{j}") for j in range(D)))
    blank = FormulaReadable(schema, "regression", ("y",), (sp.Float(0.0),))
    features = build_features(schema, ROWS, y, np.ones(60))
    models: list[tuple[Formula, ...]] = [(constant(1.0),), (scale(X0, 0.5),), (apply("log", X0),)]
    for train, valid, guard, ok in (
        (good, good, COLUMNS, True),
        (poor, good, COLUMNS, False),
        (good, poor, COLUMNS, False),
        (good, good, bad, False),
    ):
        judge = Judge(train, valid, tuple(guard), y.var(axis=0), "identity", COSTS)
        front, _ = build_front(judge, models, features, blank, [(0.5, 3.0)] * D, 20)
        assert bool(front[-1].readable.expressions[0].atoms(sp.log)) is ok
        assert front[-1].readable.ranges == ((0.5, 3.0),)


def test_one_number_may_be_added_to_all_scores() -> None:
    rng = np.random.default_rng(1)
    judge = judge_of(rng.dirichlet(np.ones(3), size=60), "softmax")
    formulas = [add(X0, constant(-1.5)), add(scale(X1, 2.0), constant(-1.5)), constant(0.0)]
    moved = judge._with_few_constants(formulas)
    assert moved == [X0, scale(X1, 2.0), constant(1.5)]
    np.testing.assert_allclose(judge.row_losses(moved, judge.train), judge.row_losses(formulas, judge.train))


def test_scores_of_classes_are_taken_where_they_are_simplest() -> None:
    truth = np.column_stack([2.0 * ROWS[:, 0], np.zeros(60), ROWS[:, 1] * ROWS[:, 2], np.log(ROWS[:, 1])])
    q = np.exp(truth) / np.exp(truth).sum(axis=1, keepdims=True)
    scores = class_scores(q, COLUMNS, COSTS, frozenset(DEFAULT_OPERATORS))
    np.testing.assert_allclose(scores, truth, atol=1e-9)
    beside = BesideOthers(Logistic(q[:, 0], np.ones(60) / 60), log_total(scores, 0))
    _, slope, _ = beside.expand(scores[:, 0])
    np.testing.assert_allclose(slope, 0.0, atol=1e-12)


# The ranges


def ranged(ranges: Any = ((1.0, 4.0), None)) -> FormulaReadable:
    schema = Schema((Column("cement"), Column("job", "nominal", levels=("a", "b")), Column("age")))
    expression = sp.log(sp.Symbol("x0")) + sp.Symbol("x1")
    return FormulaReadable(schema, "regression", ("y",), (expression,), "identity", ranges)


def test_rows_outside_the_ranges_are_told() -> None:
    formula = ranged()
    frame = pd.DataFrame({"cement": [1.0, 4.0, 0.9, 9.0], "job": ["a", "b", "a", "a"], "age": [1e9, 0, 0, 0]})
    assert formula.outside(frame).tolist() == [False, False, True, True]
    assert formula.domain_text() == "fitted for 1 <= cement <= 4"
    assert "fitted for" not in formula.text()
    again = readable_from_dict(json.loads(json.dumps(formula.to_dict())))
    assert again == formula
    assert again.ranges == ((1.0, 4.0), None)  # type: ignore[attr-defined]


def test_a_formula_from_before_there_were_ranges_loads() -> None:
    old = ranged(None)
    assert "ranges" not in old.to_dict()
    again = readable_from_dict(old.to_dict())
    assert again == old
    assert old.domain_text() == "fitted for values that were not kept"
    with pytest.raises(InputError, match="made or stored without the ranges of its rows"):
        old.outside(np.zeros((2, 3)))


@pytest.mark.parametrize(
    "ranges", ["x", [1.0], [[2.0, 1.0], None], [[0.0, float("nan")], None], [["0", "1"], None], [[0, 10**400], None]]
)
def test_bad_ranges_are_refused(ranges: Any) -> None:
    with pytest.raises(InputError, match="a formula's ranges are a list of pairs of numbers"):
        readable_from_dict({**ranged().to_dict(), "ranges": ranges})


def test_ranges_are_of_the_columns_used() -> None:
    with pytest.raises(InputError, match=r"ranges has one item for each of \('cement', 'job'\); got 3"):
        ranged(((1.0, 2.0), None, (0.0, 1.0)))


def test_hostile_names_and_numbers_in_the_domain() -> None:
    schema = Schema((Column("a <= 1, b"), Column("b")))
    expression = sp.Symbol("x0") + sp.Symbol("x1")
    ranges = ((-1.23456, 1.23456), (-1e-9, 2e20))
    formula = FormulaReadable(schema, "regression", ("y",), (expression,), "identity", ranges)
    assert formula.domain_text() == "fitted for -1.235 <= `a <= 1, b` <= 1.235, -1e-09 <= b <= 2e+20"


def test_values_that_are_not_finite_are_told() -> None:
    formula = ranged()
    frame = pd.DataFrame({"cement": [1.0, -4.0, 0.0], "job": ["a", "b", "a"], "age": 0.0})
    match = (
        r"no finite value on 2 of 3 rows \(positions 1, 2\); 2 of them lie outside the ranges it was fitted for 1 <="
    )
    with pytest.warns(NotFiniteWarning, match=match):
        assert np.isfinite(formula(frame)[:, 0]).tolist() == [True, False, False]


def test_predict_says_how_many_rows_lie_outside(capsys: pytest.CaptureFixture[str]) -> None:
    frame = pd.DataFrame({"cement": [1.0, 9.0, 0.5], "job": ["a", "b", "a"], "age": 0.0})
    _say_what_is_outside(ranged(), frame)
    told = "2 of 3 rows lie outside the ranges that the formula was fitted for 1 <= cement <= 4\n"
    assert capsys.readouterr().err == told
    _say_what_is_outside(ranged(), frame[:1])
    _say_what_is_outside(ranged(None), frame)
    assert capsys.readouterr().err == ""


# The students

rng = np.random.default_rng(8)
X = rng.uniform(1.0, 4.0, size=(200, 3))
Y = 2.0 * X[:, 0] * X[:, 1] + 1.0 / X[:, 2]


def test_the_front_is_a_front() -> None:
    model = FormulaRegressor(max_evaluations=10_000, max_complexity=15, random_state=0).fit(X, Y + 0.1 * X[:, 1] ** 2)
    lengths = [member.complexity for member in model.front_]
    scores = [member.score for member in model.front_]
    assert lengths == sorted(set(lengths))
    assert scores == sorted(scores)
    assert lengths[-1] <= 15
    assert model.readable_ in [member.readable for member in model.front_]
    for member in model.front_:
        assert member.complexity == member.readable.complexity
        assert np.isfinite(member.bic)
    bics = [member.bic for member in model.front_]
    assert bics[0] == max(bics)


def test_the_front_as_a_table() -> None:
    model = FormulaRegressor(**SMALL).fit(X, Y)
    table = model.front_frame()
    assert list(table.columns) == ["complexity", "score", "bic", "mdl", "chosen", "text"]
    assert table["complexity"].tolist() == [member.complexity for member in model.front_]
    assert table.loc[table["chosen"], "text"].tolist() == [model.readable_.text()]
    assert np.isfinite(table["mdl"]).all()
    assert table["mdl"].iloc[0] > table["mdl"].iloc[-1]
    with pytest.raises(NotFittedError, match="not fitted yet"):
        FormulaRegressor().front_frame()


def test_ranges_are_those_of_the_rows() -> None:
    model = FormulaRegressor(**SMALL).fit(X, Y)
    assert model.readable_.ranges is not None
    assert not model.readable_.outside(X).any()
    assert model.readable_.outside(X + 10.0).all()
    spans = zip(model.readable_.columns_used, model.readable_.ranges, strict=True)
    assert all(span == (X[:, j].min(), X[:, j].max()) for j, span in spans)


def test_restarts_share_the_budget() -> None:
    one, two = (FormulaRegressor(restarts=n, max_evaluations=40_000, random_state=0) for n in (1, 2))
    assert one.expected_seconds(200, 3, 1) == two.expected_seconds(200, 3, 1)
    noisy = Y + np.random.default_rng(2).normal(size=200)
    found = [model.fit(X, noisy).front_ for model in (one, two)]
    assert [m.readable.to_dict() for m in found[0]] != [m.readable.to_dict() for m in found[1]]
    assert all(front[-1].score > 0.8 for front in found)


def test_a_logarithm_is_finite_wherever_it_was_fitted() -> None:
    Z = np.random.default_rng(5).uniform(1.001, 4.0, size=(200, 2))
    model = FormulaRegressor(**SMALL).fit(Z, np.log(Z[:, 0] - 1.0))
    for member in model.front_:
        assert np.isfinite(member.readable(Z)).all()


def test_a_student_says_where_it_has_no_value() -> None:
    model = FormulaRegressor(**SMALL).fit(X, np.log(X[:, 0]))
    assert model.readable_.expressions[0].atoms(sp.log)
    Z = X.copy()
    Z[3, 0] = -1.0
    with pytest.warns(
        NotFiniteWarning, match=r"on 1 of 200 rows \(positions 3\); 1 of them lie outside the ranges it was"
    ):
        assert np.isnan(model.predict(Z)[3])
    classes = FormulaClassifier(**SMALL).fit(X, X[:, 0] > 2)
    object.__setattr__(classes.readable_, "expressions", (sp.log(sp.Symbol("x0")),))
    object.__setattr__(classes.readable_, "ranges", None)
    with pytest.warns(NotFiniteWarning, match=r"on 1 of 200 rows \(positions 3\)$"):
        classes.predict_proba(Z)


def test_scores_are_those_of_rows_not_fitted() -> None:
    """With noise and few rows, training R2 would be above what new rows give; validation R2 is not, on average."""
    noise = np.random.default_rng(9)
    told, met = [], []
    for seed in range(6):
        Z = noise.uniform(1, 4, size=(80, 3))
        t, u = Z[:, 0] + noise.normal(size=80), noise.uniform(1, 4, size=(2_000, 3))
        last = FormulaRegressor(max_evaluations=4_000, random_state=seed).fit(Z, t).front_[-1]
        told.append(last.score)
        truth = u[:, 0] + noise.normal(size=2_000)
        met.append(1 - np.mean((truth - last.readable(u)[:, 0]) ** 2) / truth.var())
    assert np.mean(told) - np.mean(met) < 0.25


def test_the_same_answer_in_any_number_of_processes_and_any_order_of_rows() -> None:
    one, two = (
        FormulaRegressor(max_evaluations=70_000, random_state=0, n_jobs=n).fit(X, Y + X[:, 0] ** 1.3) for n in (1, 2)
    )
    assert [m.readable.to_dict() for m in one.front_] == [m.readable.to_dict() for m in two.front_]
    order = np.random.default_rng(1).permutation(200)
    other = FormulaRegressor(**SMALL).fit(X[order], Y[order])
    assert other.readable_.to_dict() == FormulaRegressor(**SMALL).fit(X, Y).readable_.to_dict()
    different = FormulaRegressor(max_evaluations=70_000, random_state=1).fit(X, Y + X[:, 0] ** 1.3)
    assert [m.readable.to_dict() for m in different.front_] != [m.readable.to_dict() for m in one.front_]


def test_a_budget_in_seconds_is_kept_to() -> None:
    noisy = Y + np.random.default_rng(2).normal(size=200)
    model = FormulaRegressor(budget_s=0.6, max_evaluations=10**9, random_state=0)
    model.fit(X, noisy)
    assert model.front_[-1].score > 0.5
    assert model.expected_seconds(200, 3, 1) == 0.6
    assert FormulaRegressor().expected_seconds(4_000, 8, 1) > 1.0


def test_operators_are_kept_to() -> None:
    y = 3.0 * np.log(X[:, 0])
    allowed = {"add": sp.Add, "sub": sp.Add, "mul": sp.Mul}
    model = FormulaRegressor(operators=list(allowed), max_evaluations=6_000, random_state=0).fit(X, y)
    for member in model.front_:
        for expression in member.readable.expressions:
            assert not expression.atoms(sp.log, sp.exp, sp.tanh)
            assert all(power_.exp.is_integer and power_.exp > 0 for power_ in expression.atoms(sp.Pow))
    free = FormulaRegressor(max_evaluations=6_000, random_state=0).fit(X, y)
    assert free.front_[-1].readable.expressions[0].atoms(sp.log)


def test_levels_come_out_as_conditions() -> None:
    job = np.array(["baker", "clerk", "nurse", "pilot"], dtype=object)[np.arange(200) % 4]
    frame = pd.DataFrame({"job": job, "x": X[:, 0]})
    y = 3.0 * X[:, 0] + 5.0 * np.isin(job, ["clerk", "pilot"])
    model = FormulaRegressor(**SMALL).fit(frame, y)
    assert model.readable_.text().count("job in {") == 1
    np.testing.assert_allclose(model.predict(frame), y, rtol=1e-6)
    again = readable_from_dict(json.loads(json.dumps(model.readable_.to_dict())))
    assert np.array_equal(again(frame), model.readable_(frame))


def test_soft_labels_teach_more_than_hard_ones() -> None:
    p = 1 / (1 + np.exp(6.0 - X[:, 0] * X[:, 1]))
    soft = np.column_stack([1 - p, p])
    model = FormulaClassifier(**SMALL).fit(X, None, y_soft=soft, classes=["no", "yes"])
    np.testing.assert_allclose(model.predict_proba(X), soft, atol=0.01)
    assert model.readable_.link == "logistic"
    hard = FormulaClassifier(**SMALL).fit(X, np.where(p > 0.5, "yes", "no"))
    assert np.abs(hard.predict_proba(X) - soft).mean() > 0.02
    assert hard.score(X, np.where(p > 0.5, "yes", "no")) > 0.95


def test_many_classes_have_a_formula_each() -> None:
    scores = np.column_stack([X[:, 0], 2.0 * X[:, 1] - 3.0, np.ones(200)])
    soft = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    model = FormulaClassifier(max_evaluations=20_000, random_state=0).fit(X, None, y_soft=soft, classes=[10, 20, 30])
    assert isinstance(model.readable_, FormulaReadable)
    assert len(model.readable_.expressions) == 3
    assert np.abs(model.predict_proba(X) - soft).mean() < 0.02
    assert model.readable_.complexity <= 40
    np.testing.assert_array_equal(model.predict(X), np.array([10, 20, 30])[model.predict_proba(X).argmax(axis=1)])


def test_ten_classes_are_found_exactly() -> None:
    """Class against the rest leaves a tenth of this entropy at half as many symbols again."""
    rng = np.random.default_rng(0)
    Z, new = rng.uniform(0.5, 3, size=(600, 3)), rng.uniform(0.5, 3, size=(300, 3))

    def probabilities(z: np.ndarray) -> np.ndarray:
        a, b, c = z.T
        one = np.ones(len(z))
        scores = [2 * a, 1.5 * b * c - 1, 3 * np.log(a), -b, a - b, 2 * c, b / a, 2 * b - 2, 0.5 * a * c, one]
        weights = np.exp(np.column_stack(scores))
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))

    model = FormulaClassifier(max_complexity=60, max_evaluations=60_000, restarts=1, random_state=0)
    model.fit(Z, None, y_soft=probabilities(Z), classes=list(range(10)))
    q = probabilities(new)
    found = model.predict_proba(new)
    entropy, noise = -np.sum(q * np.log(q)), -np.sum(q * np.log(q.mean(axis=0)))
    assert -np.sum(q * np.log(found)) - entropy < 0.01 * (noise - entropy)
    assert np.mean(found.argmax(axis=1) == q.argmax(axis=1)) > 0.97
    assert model.readable_.complexity <= 50


def test_four_outputs_are_found_exactly() -> None:
    def answers(z: np.ndarray) -> np.ndarray:
        a, b, c = z.T
        return np.column_stack([3 * a * b + 1, b * np.exp(-c), np.sqrt(a + c), 2 * a / b - c])

    Z, new = (np.random.default_rng(seed).uniform(0.5, 3, size=(400, 3)) for seed in (0, 1))
    model = FormulaRegressor(max_evaluations=60_000, restarts=1, random_state=0).fit(Z, answers(Z))
    left = np.mean((model.predict(new) - answers(new)) ** 2, axis=0) / answers(new).var(axis=0)
    assert (left < 1e-6).all()
    assert model.readable_.complexity <= 24


def test_a_class_that_never_comes_has_little_probability() -> None:
    model = FormulaClassifier(**SMALL).fit(X, np.where(X[:, 0] > 2, "a", "b"), classes=["a", "b", "c"])
    assert model.predict_proba(X)[:, 2].max() < 0.05


HOSTILE: dict[str, tuple[Any, Any, float]] = {
    "one row": ([[1.0, 2.0]], [3.0], 1e-12),
    "two rows": ([[1.0, 2.0], [2.0, 5.0]], [3.0, 4.0], 1e-3),
    "five rows": (X[:5], Y[:5], np.inf),
    "a constant answer": (X, np.full(200, 7.25), 1e-12),
    "constant columns": (np.ones((200, 2)), Y, np.inf),
    "huge answers": (X, 1e60 * X[:, 0], 1e52),
    "tiny answers": (X, 1e-60 * X[:, 0], 1e-68),
    "huge columns": (1e70 * X, X[:, 0], 1e-6),
    "years": (np.column_stack([2000 + X[:, 0], X[:, 1]]), X[:, 0] * X[:, 1], 1e-3),
    "whole numbers": (np.rint(10 * X).astype(int), np.rint(10 * X[:, 0]).astype(int), 1e-6),
    "one column": (X[:, :1], 3.0 * X[:, 0] + 1.0, 1e-6),
    "more columns than rows": (np.random.default_rng(3).normal(size=(30, 90)), np.arange(30.0), np.inf),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_rows(case: str) -> None:
    rows, y, near = HOSTILE[case]
    model = FormulaRegressor(max_evaluations=12_000, random_state=0).fit(rows, y)
    predicted = model.predict(rows)
    assert np.isfinite(predicted).all()
    assert np.abs(predicted - y).max() <= near
    assert np.mean((predicted - y) ** 2) <= 1.01 * np.var(y) + 1e-100


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no symbols": ({"max_complexity": 0}, "max_complexity must be a whole number of at least 1; got 0"),
    "half a symbol": ({"max_complexity": 2.5}, "max_complexity must be a whole number of at least 1; got 2.5"),
    "yes": ({"max_complexity": True}, "max_complexity must be a whole number of at least 1; got True"),
    "text": ({"max_complexity": "40"}, "max_complexity must be a whole number of at least 1; got '40'"),
    "no evaluations": ({"max_evaluations": 0}, "max_evaluations must be a whole number of at least 1; got 0"),
    "a float": ({"max_evaluations": 1e5}, "max_evaluations must be a whole number of at least 1; got 100000.0"),
    "no time": ({"budget_s": 0}, "budget_s must be a number of seconds above 0, or None; got 0"),
    "time as text": ({"budget_s": "10s"}, "budget_s must be a number of seconds above 0, or None; got '10s'"),
    "time not a number": ({"budget_s": math.nan}, "budget_s must be a number of seconds above 0, or None; got nan"),
    "operators as text": ({"operators": "add"}, "operators must be a list of names out of"),
    "an unknown operator": ({"operators": ["add", "pow"]}, "got 'pow'"),
    "a slip": ({"operators": ["lgo"]}, "got 'lgo'. Did you mean 'log'"),
    "operators as a number": ({"operators": 7}, "operators must be a list of names out of .*; got 7"),
    "one row": ({"max_rows": 1}, "max_rows must be a whole number of at least 2; got 1"),
    "no restarts": ({"restarts": 0}, "restarts must be a whole number of at least 1; got 0"),
    "restarts as a float": ({"restarts": 3.0}, "restarts must be a whole number of at least 1; got 3.0"),
    "a bad seed": ({"random_state": "x"}, "random_state must be a whole number >= 0"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_arguments(case: str) -> None:
    arguments, match = BAD[case]
    with pytest.raises(InputError, match=match):
        FormulaRegressor(**{**SMALL, **arguments}).fit(X, Y)


def test_numbers_beyond_float64s_squares_are_refused() -> None:
    for rows, y, match in (
        (1e200 * X, Y, r"up to 1e\+75 in X; got 3.\d+e\+200"),
        (X, 1e300 * Y, r"up to 1e\+75 in y"),
        (X, 1e-200 * Y, "differences in y above 1e-75"),
    ):
        with pytest.raises(InputError, match=match):
            FormulaRegressor(**SMALL).fit(rows, y)


def test_more_outputs_than_symbols_are_refused() -> None:
    with pytest.raises(InputError, match="symbols of all 3 formulas, one for each output or class; at least 3"):
        FormulaRegressor(max_complexity=2, **SMALL).fit(X, np.column_stack([Y, Y, Y]))
    with pytest.raises(InputError, match="symbols of all 5 formulas"):
        FormulaClassifier(max_complexity=4, **SMALL).fit(X, np.arange(200) % 5)
