"""What SymPy makes of a short formula: common factors out, over one denominator, powers joined.

Constants go in as exact decimals and come out as floats; conditions and columns are plain symbols, positive where the
column is. Which formulas are given to SymPy is bounded by their size, never by time, so the outcome is repeatable.

Source
------
Meurer2017: its together, powsimp and factor_terms.

Cost
----
5 to 50 ms a formula; equal ones are remembered, and those in which no column comes twice are not looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import sympy as sp

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
    symbols,
    to_sympy,
)

__all__ = ["sympy_forms"]

LONGEST = 24
MOST_CONSTANTS = 5
MOST_DIGITS = 6
"""Constants with more digits are symbols to SymPy."""
MOST_TERMS = 24
"""Of the formula multiplied out."""

_WAYS: tuple[Callable[[sp.Expr], sp.Expr], ...] = (
    sp.together,
    sp.powsimp,
    sp.factor_terms,
    lambda expr: sp.factor_terms(sp.expand_log(expr)),
)
"""Not `factor` and `cancel`, which take minutes on a short formula where its constants have many digits."""
_BY_NAME = {"Abs": "abs", **{name: name for name in FUNCTIONS}}


def sympy_forms(formula: Formula, costs: Sequence[int], columns: Sequence[np.ndarray]) -> list[Formula]:
    """Forms that SymPy finds; none where the formula is long, or grows large when it is multiplied out.

    Parameters
    ----------
    formula : Formula
    costs : sequence of int
        Symbols of each feature.
    columns : sequence of array ``(n,)``
        What the features are: one that is positive on all rows is a positive symbol.
    """
    if symbols(formula, costs) > LONGEST or len(constants(formula)) > MOST_CONSTANTS or _terms(formula) > MOST_TERMS:
        return []
    places = _places(formula)
    if len(places) == len(set(places)):
        return []
    return list(_forms(formula, tuple(_positive(column) for column in columns)))


@lru_cache(maxsize=2_000)
def _forms(formula: Formula, positive: tuple[bool | None, ...]) -> tuple[Formula, ...]:
    named = {sp.Symbol(f"f{j}", real=True, positive=sign): feature(j) for j, sign in enumerate(positive)}
    long = [abs(value) for value in constants(formula) if _is_long(value)]
    known = {sp.Symbol(f"k{i}", positive=True): value for i, value in enumerate(long)}
    expr = _evaluated(to_sympy(formula, list(named)), {value: symbol for symbol, value in known.items()})
    found: list[Formula] = []
    for way in _WAYS:
        try:
            form = _as_formula(way(expr), {**named, **{symbol: constant(value) for symbol, value in known.items()}})
        except (ArithmeticError, ValueError, TypeError, NotImplementedError, AttributeError, RecursionError):
            continue
        if form is not None and form not in found and np.isfinite(constants(form)).all() and np.isfinite(form[1]):
            found.append(form)
    return tuple(found)


def _places(formula: Formula) -> list[int]:
    """The feature at each place of the formula; where none comes twice, there is nothing to join or cancel."""
    if formula[0] == "x":
        return [formula[1]]
    if formula[0] == "+":
        return [j for _, core in formula[2] for j in _places(core)]
    if formula[0] == "*":
        return [j for base, _ in formula[1] for j in _places(base)]
    return _places(formula[1])


def _positive(column: np.ndarray) -> bool | None:
    return True if len(column) and column.min() > 0.0 else None


def _is_long(value: float) -> bool:
    return float(f"{value:.{MOST_DIGITS}g}") != value


def _terms(formula: Formula) -> int:
    """How many terms there are when everything is multiplied out."""
    if formula[0] == "+":
        return (formula[1] != 0.0) + sum(_terms(core) for _, core in formula[2])
    if formula[0] != "*":
        return 1
    total = 1
    for base, p in formula[1]:
        total *= _terms(base) ** int(np.ceil(abs(p)))
    return total


def _evaluated(expr: sp.Expr, constants_by_value: dict[float, sp.Symbol]) -> sp.Expr:
    """The expression with exact numbers, or symbols for long ones, brought into SymPy's own order."""
    if isinstance(expr, sp.Float):
        value = float(expr)
        symbol = constants_by_value.get(abs(value))
        if symbol is not None:
            return symbol if value > 0 else -symbol
        return sp.Rational(repr(value))
    if expr.is_Atom:
        return expr
    return expr.func(*(_evaluated(arg, constants_by_value) for arg in expr.args))


def _as_formula(expr: sp.Expr, known: dict[sp.Symbol, Formula]) -> Formula | None:
    """The expression on the tuple algebra; None where it holds anything that a formula can't."""
    if expr in known:
        return known[expr]
    if expr.is_Number:
        return constant(float(expr)) if expr.is_finite else None
    if isinstance(expr, sp.Pow) and not expr.exp.is_Rational:
        return None
    parts = [_as_formula(arg, known) for arg in (expr.args[:1] if isinstance(expr, sp.Pow) else expr.args)]
    if any(part is None for part in parts) or not parts:
        return None
    return _put_together(expr, [part for part in parts if part is not None])


def _put_together(expr: sp.Expr, parts: list[Formula]) -> Formula | None:
    if isinstance(expr, sp.Add):
        return add(*parts)
    if isinstance(expr, sp.Pow):
        return power(parts[0], float(expr.exp))
    if isinstance(expr, sp.Mul):
        product = constant(1.0)
        for part in parts:
            product = multiply(product, part)
        return product
    name = _BY_NAME.get(type(expr).__name__)
    return None if name is None else apply(name, parts[0])
