"""The same formula in fewer symbols: every rule, never longer, never other values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from limbeck._core.tables import Column, Schema
from limbeck.readable import IsIn, Program, count_symbols, evaluate
from limbeck.readable._language import choice, column_symbol
from limbeck.students._formula_algebra import (
    FUNCTIONS,
    Formula,
    add,
    apply,
    constant,
    constants,
    feature,
    multiply,
    power,
    scale,
    symbols,
    to_sympy,
)
from limbeck.students._formula_fit import values_of
from limbeck.students._formula_judge import Judge, Part
from limbeck.students._formula_rewriting import sympy_forms
from limbeck.students._formula_rules import RULES
from limbeck.students._formula_simplify import agree, shorter_forms, simplified
from limbeck.students._formula_written import written

D = 3
ROWS = np.random.default_rng(0).uniform(0.5, 3.0, size=(150, D))
SIGNED = ROWS - 1.5
COSTS = (1,) * D
SYMBOLS = [column_symbol(j) for j in range(D)]
X, Y, Z = (feature(j) for j in range(D))


def over(left: Formula, right: Formula) -> Formula:
    return multiply(left, power(right, -1.0))


def log(part: Formula) -> Formula:
    return apply("log", part)


def exp(part: Formula) -> Formula:
    return apply("exp", part)


numbers = st.floats(-4, 4).map(lambda v: round(v, 2)).filter(lambda v: abs(v) > 0.05)
leaves = st.one_of(numbers.map(constant), st.integers(0, D - 1).map(feature))


def grown(parts: st.SearchStrategy[Formula]) -> st.SearchStrategy[Formula]:
    return st.one_of(
        st.tuples(parts, parts).map(lambda p: add(*p)),
        st.tuples(parts, numbers).map(lambda p: scale(*p)),
        st.tuples(parts, parts).map(lambda p: multiply(*p)),
        st.tuples(parts, st.sampled_from([-1.0, 0.5, 2.0, -0.5])).map(lambda p: power(*p)),
        st.tuples(st.sampled_from(sorted(FUNCTIONS)), parts).map(lambda p: apply(*p)),
    )


def some_values(formula: Formula) -> bool:
    values = values_of(formula, list(SIGNED.T))
    finite = np.isfinite(values)
    return bool(np.isfinite(constants(formula)).all() and finite.any() and np.abs(values[finite]).max() < 1e8)


formulas = st.recursive(leaves, grown, max_leaves=9).filter(some_values)


@settings(max_examples=200, deadline=None)
@given(formulas)
def test_never_longer_and_never_other_values(formula: Formula) -> None:
    """Rows with both signs: also where logarithms and roots have no value, both have none."""
    found = simplified(formula, COSTS, list(SIGNED.T))
    assert symbols(found, COSTS) <= symbols(formula, COSTS)
    before, after = values_of(formula, list(SIGNED.T)), values_of(found, list(SIGNED.T))
    assert np.array_equal(np.isfinite(before), np.isfinite(after))
    finite = np.isfinite(before)
    typical = np.abs(before[finite]).mean()
    assert np.all(np.abs(before - after)[finite] <= 1e-9 * np.maximum(np.abs(before[finite]), typical))


@settings(max_examples=200, deadline=None)
@given(formulas)
def test_the_written_form_has_the_same_values_and_is_no_longer(formula: Formula) -> None:
    schema = Schema(tuple(Column(f"x{j}") for j in range(D)))
    plain, short = to_sympy(formula, SYMBOLS), written(formula, SYMBOLS)
    assert count_symbols(short) <= count_symbols(plain)
    values = evaluate(Program(schema, (), (plain, short), ("a", "b")), SIGNED)
    finite = np.isfinite(values[:, 0])
    np.testing.assert_allclose(values[finite, 1], values[finite, 0], rtol=1e-9, atol=1e-9)


@settings(max_examples=200, deadline=None)
@given(formulas)
def test_one_rule_makes_an_equal_and_shorter_form(formula: Formula) -> None:
    """On positive rows, where no rule changes what is defined; absolute values aside, all forms are exactly equal."""
    columns = list(ROWS.T)
    values = values_of(formula, columns)
    for form in shorter_forms(formula, COSTS):
        assert symbols(form, COSTS) < symbols(formula, COSTS)
        now = values_of(form, columns)
        both = np.isfinite(values) & np.isfinite(now)
        np.testing.assert_allclose(now[both], values[both], rtol=1e-6, atol=1e-6)


CASES: dict[str, tuple[Formula, str, int]] = {
    "a common factor": (add(multiply(X, Y), multiply(X, Z)), "x0*(x1 + x2)", 5),
    "a common divisor": (add(over(X, Y), over(Z, Y)), "(x0 + x2)/x1", 5),
    "a sum of logarithms": (add(log(X), log(Y)), "log(x0*x1)", 4),
    "a difference of logarithms": (add(scale(log(X), 2.5), scale(log(Y), -2.5)), "2.5*log(x0/x1)", 6),
    "a product of exponentials": (multiply(exp(X), exp(scale(Y, -1.0))), "exp(x0 - x1)", 4),
    "a product of roots": (multiply(power(X, 0.5), power(Y, 0.5)), "sqrt(x0*x1)", 4),
    "a quotient of roots": (multiply(power(X, 0.5), power(Y, -0.5)), "sqrt(x0/x1)", 4),
    "a square": (add(power(X, 2.0), scale(multiply(X, Y), 2.0), power(Y, 2.0)), "(x0 + x1)**2", 5),
    "a square with constants": (
        add(scale(power(X, 2.0), 0.3), scale(multiply(X, Y), 1.2), scale(power(Y, 2.0), 1.2)),
        "1.2*(0.5*x0 + x1)**2",
        9,
    ),
    "a square with a number": (add(power(X, 2.0), scale(X, -6.0), constant(9.0)), "(x0 - 3.0)**2", 5),
    "what cancels": (add(multiply(X, add(Y, Z)), scale(multiply(X, Y), -1.0)), "x0*x2", 3),
    "a quotient that cancels": (multiply(X, add(over(Y, X), constant(2.0))), "x1 + 2.0*x0", 5),
    "a product of sums": (
        add(multiply(X, X), multiply(X, Y), multiply(X, Z), multiply(Y, Z)),
        "(x0 + x1)*(x0 + x2)",
        7,
    ),
    "a quotient of quotients": (power(add(power(X, -1.0), power(Y, -1.0)), -1.0), "x0*x1/(x0 + x1)", 7),
    "a logarithm of an exponential": (log(multiply(exp(X), Y)), "x0 + log(x1)", 4),
    "an exponential of a logarithm": (exp(add(scale(log(X), 2.0), Y)), "x0**2*exp(x1)", 6),
    "a lone divisor": (power(exp(X), -1.0), "exp(-x0)", 3),
    "signs": (scale(apply("tanh", scale(X, -1.0)), -2.0), "2.0*tanh(x0)", 4),
    "a sign in a square": (power(add(scale(X, -1.0), scale(Y, -1.0)), 2.0), "(x0 + x1)**2", 5),
    "a part that does not vary": (add(apply("tanh", add(X, constant(60.0))), Y), "x1 + 1.0", 3),
    "a part that is nothing": (add(X, scale(multiply(Y, Z), 1e-14)), "x0", 1),
    "absolute values": (
        multiply(apply("abs", log(X)), apply("abs", add(Y, constant(-1.5)))),
        "Abs((x1 - 1.5)*log(x0))",
        7,
    ),
    "an absolute value of what is positive": (multiply(apply("abs", X), Y), "x0*x1", 3),
    "the square of an absolute value": (power(apply("abs", add(X, Y)), 2.0), "(x0 + x1)**2", 5),
    "a half": (scale(log(X), 0.5), "log(sqrt(x0))", 3),
}


@pytest.mark.parametrize("case", CASES)
def test_a_formula_is_said_more_shortly(case: str) -> None:
    formula, text, length = CASES[case]
    found = simplified(formula, COSTS, list(ROWS.T))
    assert symbols(found, COSTS) == length < symbols(formula, COSTS)
    same = sp.sympify(str(written(found, SYMBOLS))) - sp.sympify(text)
    assert abs(sp.Float(same.subs({"x0": 1.3, "x1": 0.7, "x2": 2.1}).evalf())) < 1e-12


def test_every_rule_says_something() -> None:
    silent = {rule.__name__ for rule in RULES}
    for formula, _, _ in CASES.values():
        silent -= {rule.__name__ for rule in RULES if list(rule(formula))}
    assert not silent


def test_a_rule_that_changes_where_there_are_values_is_not_followed() -> None:
    """Of two negative numbers log(x) + log(y) has no value, and log(x*y) has."""
    formula = add(log(X), log(Y))
    assert shorter_forms(formula, COSTS) == [log(multiply(X, Y))]
    assert simplified(formula, COSTS, list(SIGNED.T)) == formula
    roots = multiply(power(X, 0.5), power(Y, 0.5))
    assert simplified(roots, COSTS, list(SIGNED.T)) == roots


def test_a_form_that_is_only_nearly_equal_is_not_taken() -> None:
    nearly = add(X, scale(Y, 1e-7))
    assert simplified(nearly, COSTS, list(ROWS.T)) == nearly
    cross = add(power(X, 2.0), scale(multiply(X, Y), 2.0001), power(Y, 2.0))
    assert symbols(simplified(cross, COSTS, list(ROWS.T)), COSTS) > 5


def test_what_agrees() -> None:
    values = np.array([1.0, -2.0, np.nan, 4.0])
    assert agree(values, values * (1 + 1e-11))
    assert not agree(values, values * (1 + 1e-7))
    assert not agree(values, np.nan_to_num(values))
    assert not agree(np.full(3, np.nan), np.full(3, np.nan))


def test_long_constants_keep_their_digits_through_sympy() -> None:
    a, b = 1.2345678901234, 0.98765432109
    formula = add(scale(multiply(X, Y), a), scale(multiply(X, Z), b))
    forms = sympy_forms(formula, COSTS, list(ROWS.T))
    assert forms
    for form in forms:
        np.testing.assert_allclose(values_of(form, list(ROWS.T)), values_of(formula, list(ROWS.T)), rtol=1e-12)


def test_sympy_is_asked_about_small_formulas_only() -> None:
    many = add(*(scale(feature(j), 1.5 + j) for j in range(30)))
    columns = [ROWS[:, 0]] * 30
    assert sympy_forms(many, (1,) * 30, columns) == []
    deep = power(power(add(X, Y, Z, constant(1.5)), 3.0), 3.0)
    assert sympy_forms(deep, COSTS, list(ROWS.T)) == []
    assert simplified(many, (1,) * 30, columns) == many


WRITTEN: dict[str, tuple[Formula, int, int]] = {
    "a quotient of squares": (scale(multiply(power(X, 2.0), power(Y, -2.0)), 3.1), 9, 7),
    "a product of squares": (multiply(power(X, 2.0), power(Y, 2.0)), 7, 5),
    "one coefficient": (add(scale(X, 0.3), scale(Y, -0.3), Z), 9, 7),
    "one coefficient inside": (apply("tanh", add(scale(X, 0.3), scale(Y, 0.3))), 8, 6),
    "nothing to gather": (add(scale(X, 0.3), scale(Y, 0.4)), 7, 7),
}


@pytest.mark.parametrize("case", WRITTEN)
def test_how_a_formula_is_written(case: str) -> None:
    formula, before, after = WRITTEN[case]
    assert count_symbols(to_sympy(formula, SYMBOLS)) == before
    assert count_symbols(written(formula, SYMBOLS)) == after


def test_conditions_stay_as_they_are() -> None:
    condition: Any = choice((sp.Integer(1), IsIn.of(column_symbol(0), ["a"])), (sp.Integer(0), sp.true))
    formula = add(scale(X, 0.3), scale(Y, 0.3))
    found = written(formula, [condition, column_symbol(1), column_symbol(2)])
    assert found.atoms(IsIn) == condition.atoms(IsIn)
    assert count_symbols(found) < count_symbols(to_sympy(formula, [condition, column_symbol(1), column_symbol(2)]))


def test_a_column_with_a_condition_costs_its_symbols() -> None:
    costs = (6, 1, 1)
    formula = add(multiply(X, Y), multiply(X, Z))
    assert symbols(simplified(formula, costs, list(ROWS.T)), costs) == symbols(formula, costs) - 7


def test_constants_that_merging_made_long_are_short_again() -> None:
    rng = np.random.default_rng(7)
    X = rng.uniform(1.0, 5.0, size=(200, 2))
    columns, y = tuple(X.T), X[:, 0] / 1.3 + X[:, 1] + 0.01 * rng.normal(size=200)
    part = Part(columns, y[:, None], np.full(200, 1 / 200))
    judge = Judge(part, part, columns, np.array([np.var(y)]), "identity", (1, 1))
    long = ("+", 0.04590300000000001, ((1 / 1.3, ("x", 0)), (1.0, ("x", 1))))
    (short,) = judge._with_short_constants([long], judge._fit_each)
    assert [len(f"{value:g}") <= 6 and float(f"{value:.6g}") == value for value in constants(short)] == [True, True]
    np.testing.assert_allclose(values_of(short, columns), values_of(long, columns), rtol=0.02)
    assert judge._with_short_constants([short], judge._fit_each) == [short]
