"""The judge of the Feynman benchmark: the same formula in another form is recovered, a near one is not."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from benchmarks.feynman import Equation, judged, r2, same_expression

a, b, c = sp.symbols("a b c", real=True)
SAME = {
    "rounded": (0.0796 * a / b, a / (4 * sp.pi * b)),
    "over one denominator": ((a - b) / (a * b), 1 / b - 1 / a),
    "inside a root": (c * a / sp.sqrt(c**2 - b**2), a / sp.sqrt(1 - b**2 / c**2)),
    "squares": (0.5 * a * b**2 + 0.5 * a * c**2, a * (b**2 + c**2) / 2),
    "signs in functions": (-sp.sin(b - a) + sp.cos(b - a), sp.sin(a - b) + sp.cos(a - b)),
}
OTHER = {
    "another constant": (0.09 * a / b, a / (4 * sp.pi * b)),
    "a term more": (a / b + 0.01 * c, a / b),
    "another exponent": (a * b**2, a * b**2.5),
    "a series": (a - a**3 / 6, sp.sin(a)),
    "another argument": (sp.exp(-a / b) + c, sp.exp(-a / (b + 0.1)) + c),
}


@pytest.mark.parametrize("case", SAME)
def test_other_forms_are_the_same(case: str) -> None:
    assert same_expression(*SAME[case])


@pytest.mark.parametrize("case", OTHER)
def test_near_formulas_are_not(case: str) -> None:
    assert not same_expression(*OTHER[case])


def test_rows_above_the_ranges_leave_out_what_is_not_defined() -> None:
    equation = Equation("test", ("a", "b"), (0.0, 1.0), (1.0, 2.0), sp.asin(sp.Symbol("a") / sp.Symbol("b")))
    X, y = equation.draw(200, 0, above=True)
    assert len(X) > 50
    assert np.isfinite(y).all()
    assert (X[:, 0] > 1).all()
    assert judged(equation.values, equation, 0) == {"r2": 1.0, "r2_above": 1.0}
    assert r2(y, np.full(len(y), np.nan)) == -np.inf
