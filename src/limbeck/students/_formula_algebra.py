"""Formulas as small nested tuples with as few constants as they need, and their way into SymPy.

A formula is always a sum, ``("+", c0, ((c1, core1), (c2, core2), ...))``, its cores free of coefficients:

- ``("x", j)`` - feature `j`;
- ``("*", ((base, p), ...))`` - a product of powers with fixed exponents;
- ``("log", formula)`` and so on - a function of a formula.

A base is a feature, a function, a normalised sum (one coefficient is 1 or -1) or, under a broken exponent, a product. A
``c0`` of 0 and a coefficient of 1 or -1 are not constants but their absence: they are neither read nor fitted.
Building with `add`, `multiply`, `power` and `apply` keeps that form, so ``2*(3*x/y)`` has one constant.

Source
------
Own.

Checked
-------
Values against SymPy's, `symbols` against `count_symbols` of the SymPy form (unit tests, random formulas).

Cost
----
Linear in the size of the formula.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
import sympy as sp

Formula: TypeAlias = tuple[Any, ...]
"""``("+", c0, ((coefficient, core), ...))``."""

Core: TypeAlias = tuple[Any, ...]
"""A part of a formula without a coefficient of its own."""

FUNCTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "log": np.log,
    "exp": np.exp,
    "tanh": np.tanh,
    "sin": np.sin,
    "cos": np.cos,
    "abs": np.abs,
}
"""The functions of one argument, beside powers."""


def constant(value: float) -> Formula:
    """The formula that is a number."""
    return ("+", float(value), ())


def feature(j: int) -> Formula:
    """The formula that is feature `j`."""
    return ("+", 0.0, ((1.0, ("x", j)),))


def add(*formulas: Formula) -> Formula:
    """The sum, with equal cores merged."""
    total = 0.0
    terms: dict[Core, float] = {}
    for _, c0, parts in formulas:
        total += c0
        for c, core in parts:
            terms[core] = terms.get(core, 0.0) + c
    return ("+", total, tuple((c, core) for core, c in terms.items() if c != 0.0))


def scale(formula: Formula, factor: float) -> Formula:
    """The formula times a number."""
    if factor == 0.0:
        return constant(0.0)
    return ("+", formula[1] * factor, tuple((c * factor, core) for c, core in formula[2]))


def is_constant(formula: Formula) -> bool:
    """True where no feature is used."""
    return not formula[2]


def _single(formula: Formula) -> bool:
    return formula[1] == 0.0 and len(formula[2]) == 1


def normalised(formula: Formula) -> tuple[float, Formula]:
    """``(s, base)`` with ``formula = s * base``, s > 0, and the largest coefficient of the base 1 or -1."""
    sizes = [abs(c) for c, _ in formula[2]]
    pivot = int(np.argmax(sizes))
    s = sizes[pivot]
    terms = tuple((math.copysign(1.0, c) if i == pivot else c / s, core) for i, (c, core) in enumerate(formula[2]))
    return s, ("+", formula[1] / s, terms)


def _factors(core: Core) -> tuple[tuple[Core, float], ...]:
    return core[1] if core[0] == "*" else ((core, 1.0),)


def _core_of(factors: Sequence[tuple[Core, float]]) -> Core:
    merged: dict[Core, float] = {}
    for base, p in factors:
        merged[base] = merged.get(base, 0.0) + p
    kept = tuple((base, p) for base, p in merged.items() if p != 0.0)
    if len(kept) == 1 and kept[0][1] == 1.0 and kept[0][0][0] != "+":
        return kept[0][0]
    return ("*", kept)


def _as_product(formula: Formula) -> tuple[float, tuple[tuple[Core, float], ...]]:
    """``(coefficient, factors)`` of any formula that is not a constant."""
    if _single(formula):
        c, core = formula[2][0]
        return c, _factors(core)
    s, base = normalised(formula)
    return s, ((base, 1.0),)


def _from_product(c: float, factors: Sequence[tuple[Core, float]]) -> Formula:
    core = _core_of(factors)
    if core[0] == "*" and not core[1]:
        return constant(c)
    if core[0] == "*" and len(core[1]) == 1 and core[1][0][1] == 1.0:
        return scale(core[1][0][0], c)
    if core[0] == "*":
        c, core = _with_few_signs(c, core)
    return ("+", 0.0, ((c, core),))


def _with_few_signs(c: float, core: Core) -> tuple[float, Core]:
    """The same product with signs moved between the coefficient and the sums in it, so that few are read."""
    factors = list(core[1])
    for i, (base, p) in enumerate(factors):
        if base[0] != "+" or p % 2.0 != 1.0:
            continue
        led_by_minus = any(sign == -1.0 for sign, _ in base[2]) and not any(sign == 1.0 for sign, _ in base[2])
        if c == -1.0 or (led_by_minus and c != 1.0):
            factors[i], c = (scale(base, -1.0), p), -c
    return c, ("*", tuple(factors))


def multiply(left: Formula, right: Formula) -> Formula:
    """The product; numbers are gathered into one coefficient."""
    if is_constant(left):
        return scale(right, left[1])
    if is_constant(right):
        return scale(left, right[1])
    (a, f), (b, g) = _as_product(left), _as_product(right)
    return _from_product(a * b, (*f, *g))


def power(formula: Formula, p: float) -> Formula:
    """The formula to a fixed exponent; its positive scale is pulled out."""
    if p == 1.0:
        return formula
    if is_constant(formula):
        with np.errstate(all="ignore"):
            return constant(float(np.power(np.float64(formula[1]), p)))
    c, factors = _as_product(formula)
    if float(p).is_integer():
        return _from_product(c**p, [(base, q * p) for base, q in factors])
    base = _base_of(factors)
    if c < 0:
        base = ("+", 0.0, ((-1.0, _core_of(factors)),))
    return _from_product(abs(c) ** p, [(base, p)])


def as_formula(core: Core) -> Formula:
    """The formula that consists of this part alone."""
    return core if core[0] == "+" else ("+", 0.0, ((1.0, core),))


def _base_of(factors: tuple[tuple[Core, float], ...]) -> Core:
    return factors[0][0] if len(factors) == 1 and factors[0][1] == 1.0 else _core_of(factors)


def apply(name: str, formula: Formula) -> Formula:
    """A function of the formula, with constants pulled out of ``log`` and ``exp``."""
    if is_constant(formula):
        with np.errstate(all="ignore"):
            return constant(float(FUNCTIONS[name](np.array(formula[1]))))
    if name == "log":
        s, inner = normalised(formula)
        return ("+", math.log(s), ((1.0, ("log", inner)),))
    if name == "abs":
        s, inner = normalised(formula)
        return ("+", 0.0, ((s, ("abs", inner)),))
    if name == "exp" and abs(formula[1]) < 30.0:
        return ("+", 0.0, ((math.exp(formula[1]), ("exp", ("+", 0.0, formula[2]))),))
    return ("+", 0.0, ((1.0, (name, formula)),))


def constants(formula: Formula) -> list[float]:
    """The free constants, in a fixed order."""
    return list(_walk(formula))


def _walk(formula: Formula) -> Iterator[float]:
    if formula[1] != 0.0:
        yield formula[1]
    for c, core in formula[2]:
        if abs(c) != 1.0:
            yield c
        yield from _walk_core(core)


def _walk_core(core: Core) -> Iterator[float]:
    if core[0] == "+":
        yield from _walk(core)
    elif core[0] == "*":
        for base, _ in core[1]:
            yield from _walk_core(base)
    elif core[0] != "x":
        yield from _walk(core[1])


def with_constants(formula: Formula, values: Sequence[float] | np.ndarray) -> Formula:
    """The same formula with other values for its free constants."""
    return _refill(formula, iter(float(v) for v in values))


def _refill(formula: Formula, values: Iterator[float]) -> Formula:
    c0 = next(values) if formula[1] != 0.0 else 0.0
    terms = []
    for c, core in formula[2]:
        c = next(values) if abs(c) != 1.0 else c
        terms.append((c, _refill_core(core, values)))
    return ("+", c0, tuple(terms))


def _refill_core(core: Core, values: Iterator[float]) -> Core:
    if core[0] == "+":
        return _refill(core, values)
    if core[0] == "*":
        return ("*", tuple((_refill_core(base, values), p) for base, p in core[1]))
    return core if core[0] == "x" else (core[0], _refill(core[1], values))


def rebuild(formula: Formula) -> Formula:
    """The formula built again, so that constants that became 0 or 1 and equal cores are merged away."""
    whole = add(constant(formula[1]), *(scale(_rebuild_core(core), c) for c, core in formula[2]))
    terms = tuple(_with_few_signs(c, core) if core[0] == "*" else (c, core) for c, core in whole[2])
    return ("+", whole[1], terms)


def _rebuild_core(core: Core) -> Formula:
    if core[0] == "+":
        return rebuild(core)
    if core[0] == "x":
        return as_formula(core)
    if core[0] != "*":
        return apply(core[0], rebuild(core[1]))
    result = constant(1.0)
    for base, p in core[1]:
        result = multiply(result, power(_rebuild_core(base), p))
    return result


def features_used(formula: Formula) -> set[int]:
    """The features that the formula reads."""
    used: set[int] = set()
    stack: list[Any] = [formula]
    while stack:
        part = stack.pop()
        if part[0] == "x":
            used.add(part[1])
        elif part[0] == "+":
            stack.extend(core for _, core in part[2])
        elif part[0] == "*":
            stack.extend(base for base, _ in part[1])
        else:
            stack.append(part[1])
    return used


def symbols(formula: Formula, costs: Sequence[int]) -> int:
    """How many symbols a person reads, as `count_symbols` counts them in the SymPy form.

    Parameters
    ----------
    formula : Formula
    costs : sequence of int
        The symbols of each feature: 1 for a column, more for a condition on levels.
    """
    c0, terms = formula[1], formula[2]
    if not terms:
        return 1
    total = len(terms) - 1 + (2 if c0 != 0.0 else 0)
    for c, core in terms:
        total += _product_symbols(_factors(core), abs(c) != 1.0, costs)
    return total + (1 if c0 == 0.0 and all(c == -1.0 for c, _ in terms) else 0)


def _core_symbols(core: Core, costs: Sequence[int]) -> int:
    if core[0] == "x":
        return costs[core[1]]
    if core[0] == "+":
        return symbols(core, costs)
    if core[0] == "*":
        return _product_symbols(core[1], False, costs)
    return 1 + symbols(core[1], costs)


def _product_symbols(factors: Sequence[tuple[Core, float]], coefficient: bool, costs: Sequence[int]) -> int:
    """A product's factors, its operators, and the coefficient or the 1 that a lone divisor stands under."""
    if len(factors) == 1 and not coefficient and factors[0][1] < 0 and factors[0][1] != -1.0:
        return _core_symbols(factors[0][0], costs) + 2
    total = len(factors) - 1
    for base, p in factors:
        total += _core_symbols(base, costs) + {1.0: 0, 0.5: 1}.get(abs(p), 2)
    return total + (2 if coefficient or all(p < 0 for _, p in factors) else 0)


def to_sympy(formula: Formula, features: Sequence[sp.Expr]) -> sp.Expr:
    """The SymPy form over the given expressions of the features, nothing simplified."""
    parts = [_term_to_sympy(c, core, features) for c, core in formula[2]]
    if formula[1] != 0.0 or not parts:
        parts.append(sp.Float(formula[1]))
    return parts[0] if len(parts) == 1 else sp.Add(*parts, evaluate=False)


def _term_to_sympy(c: float, core: Core, features: Sequence[sp.Expr]) -> sp.Expr:
    factors = [_power_to_sympy(base, p, features) for base, p in _factors(core)]
    if c == -1.0:
        factors.insert(0, sp.Integer(-1))
    elif c != 1.0:
        factors.insert(0, sp.Float(c))
    return factors[0] if len(factors) == 1 else sp.Mul(*factors, evaluate=False)


def _power_to_sympy(base: Core, p: float, features: Sequence[sp.Expr]) -> sp.Expr:
    expr = _core_to_sympy(base, features)
    if p == 1.0:
        return expr
    exponent = sp.Integer(int(p)) if float(p).is_integer() else sp.Rational(p).limit_denominator(12)
    return sp.Pow(expr, exponent, evaluate=False)


def _core_to_sympy(core: Core, features: Sequence[sp.Expr]) -> sp.Expr:
    if core[0] == "x":
        return features[core[1]]
    if core[0] == "+":
        return to_sympy(core, features)
    if core[0] == "*":
        return _term_to_sympy(1.0, core, features)
    function = sp.Abs if core[0] == "abs" else getattr(sp, core[0])
    return function(to_sympy(core[1], features), evaluate=False)
