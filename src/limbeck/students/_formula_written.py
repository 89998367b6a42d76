"""How a formula is written where the algebra has no form for the shortest way: ``(x/y)**2`` and ``2*(x + y)``.

Source
------
Own.

Checked
-------
Never longer than the plain SymPy form, and the same values, on random formulas (unit tests).

Cost
----
Linear in the size of the formula.
"""

from __future__ import annotations

from collections.abc import Sequence

import sympy as sp

from limbeck.readable._language import count_symbols
from limbeck.students._formula_algebra import Formula, to_sympy

__all__ = ["written"]


def written(formula: Formula, features: Sequence[sp.Expr]) -> sp.Expr:
    """The SymPy form, with ``x**2/y**2`` as ``(x/y)**2`` and ``2*x + 2*y`` as ``2*(x + y)`` where that is shorter."""
    plain = to_sympy(formula, features)
    gathered = _gathered(plain)
    return gathered if count_symbols(gathered) < count_symbols(plain) else plain


def _gathered(expr: sp.Expr) -> sp.Expr:
    if expr.is_Atom or isinstance(expr, sp.Piecewise):
        return expr
    args = [_gathered(arg) for arg in expr.args]
    if isinstance(expr, sp.Mul):
        args = _under_one_power(args)
    elif isinstance(expr, sp.Add):
        args = _under_one_coefficient(args)
    if len(args) == 1 and isinstance(expr, sp.Mul | sp.Add):
        return args[0]
    return expr.func(*args, evaluate=False)


def _under_one_power(factors: list[sp.Expr]) -> list[sp.Expr]:
    powers: dict[int, list[sp.Expr]] = {}
    for factor in factors:
        if isinstance(factor, sp.Pow) and factor.exp.is_Integer and abs(factor.exp) > 1:
            powers.setdefault(abs(int(factor.exp)), []).append(factor)
    for n, group in powers.items():
        above = [factor.base for factor in group if factor.exp > 0]
        below = [factor.base for factor in group if factor.exp < 0]
        if len(group) > 1:
            parts = [*above, *(sp.Pow(base, -1, evaluate=False) for base in below)] if above else below
            whole = sp.Pow(sp.Mul(*parts, evaluate=False), n if above else -n, evaluate=False)
            factors = [*(factor for factor in factors if factor not in group), whole]
    return factors


def _under_one_coefficient(terms: list[sp.Expr]) -> list[sp.Expr]:
    """Terms with one coefficient but for the sign, in brackets behind it."""
    sizes: dict[float, list[int]] = {}
    for i, term in enumerate(terms):
        first = term.args[0] if isinstance(term, sp.Mul) else None
        if isinstance(first, sp.Float):
            sizes.setdefault(abs(float(first)), []).append(i)
    _, group = max(sizes.items(), key=lambda item: len(item[1]), default=(0.0, []))
    if len(group) < 2:
        return terms
    lead = float(terms[group[0]].args[0])
    inside = []
    for i in group:
        rest = list(terms[i].args[1:])
        signed = rest if float(terms[i].args[0]) == lead else [sp.Integer(-1), *rest]
        inside.append(signed[0] if len(signed) == 1 else sp.Mul(*signed, evaluate=False))
    bracket = sp.Mul(sp.Float(lead), sp.Add(*inside, evaluate=False), evaluate=False)
    return [bracket if i == group[0] else term for i, term in enumerate(terms) if i == group[0] or i not in group]
