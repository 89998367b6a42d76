"""The same formula in fewer symbols: rewriting rules on the tuple algebra, each outcome checked on the rows.

A rule turns one part of a formula into another that is equal to it. Forms are opened best first, a few symbols longer
than the shortest for a while, because a product must often be multiplied out before it cancels. Short formulas are also
given to SymPy (`_formula_rewriting`). What comes out is taken only where it is shorter - or as short, with fewer
constants - and has the same values on all rows that are given, and none exactly where the first has none.

Source
------
Own; best-first search over equal expressions after Caviness1970's remark that no form is simplest for all.

Checked
-------
Never longer, and equal values, on random formulas (unit tests).

Cost
----
At most `MOST_OPENED` forms are opened, about 0.5 ms each; one pass over all rows for each form that is shorter.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from limbeck.students._formula_algebra import (
    Formula,
    constant,
    constants,
    is_constant,
    rebuild,
    symbols,
)
from limbeck.students._formula_edits import anatomy
from limbeck.students._formula_fit import values_of
from limbeck.students._formula_rewriting import sympy_forms
from limbeck.students._formula_rules import RULES

__all__ = ["agree", "shorter_forms", "simplified"]

MOST_OPENED = 24
SLACK = 3
LONGEST = 60
SAMPLE = 64
AGREEMENT = 1e-9
SAME = 1e-12


def simplified(formula: Formula, costs: Sequence[int], columns: Sequence[np.ndarray]) -> Formula:
    """The shortest form that was found with the same values on these rows; the formula itself where none is shorter.

    Parameters
    ----------
    formula : Formula
    costs : sequence of int
        Symbols of each feature.
    columns : sequence of array ``(n,)``
        The features on the rows where the values must agree, to 1e-9 of their size.
    """
    if symbols(formula, costs) > LONGEST or is_constant(formula):
        return formula
    few = [column[:: max(1, len(column) // SAMPLE)] for column in columns]
    values = values_of(formula, columns)
    best = formula
    starts = [formula, *_without_what_is_nothing(formula, columns), *sympy_forms(formula, costs, columns)]
    for form in _opened(starts, costs, few, values_of(formula, few)):
        if _is_better(form, best, costs) and agree(values, values_of(form, columns)):
            best = form
    return best


def shorter_forms(formula: Formula, costs: Sequence[int]) -> list[Formula]:
    """Forms of the same formula that one rule makes shorter, the shortest first; nothing is evaluated."""
    length = symbols(formula, costs)
    found = {form: symbols(form, costs) for form in _rewritten(formula)}
    return sorted((form for form, n in found.items() if n < length), key=lambda form: found[form])


def agree(left: np.ndarray, right: np.ndarray) -> bool:
    """True where both are finite on the same rows, and equal there to 1e-9 of their size."""
    finite = np.isfinite(left)
    if not np.array_equal(finite, np.isfinite(right)) or not finite.any():
        return False
    left, right = left[finite], right[finite]
    size = np.abs(left)
    return bool((np.abs(left - right) <= AGREEMENT * np.maximum(size, size.mean())).all())


def _is_better(form: Formula, best: Formula, costs: Sequence[int]) -> bool:
    return (symbols(form, costs), len(constants(form))) < (symbols(best, costs), len(constants(best)))


def _opened(
    starts: Sequence[Formula], costs: Sequence[int], columns: Sequence[np.ndarray], values: np.ndarray
) -> Iterator[Formula]:
    """Equal forms, opened from the shortest on; each has the same values on a few rows."""
    seen, heap = set(starts), [(symbols(form, costs), i, form) for i, form in enumerate(dict.fromkeys(starts))]
    least = min(length for length, *_ in heap)
    heapq.heapify(heap)
    for _ in range(MOST_OPENED):
        if not heap:
            return
        _, _, form = heapq.heappop(heap)
        yield form
        for other in _rewritten(form):
            length = symbols(other, costs)
            if other not in seen and length <= least + SLACK and agree(values, values_of(other, columns)):
                least = min(least, length)
                heapq.heappush(heap, (length, len(seen), other))
            seen.add(other)
    for _, _, form in sorted(heap)[:MOST_OPENED]:
        yield form


def _rewritten(formula: Formula) -> list[Formula]:
    """Every form that one rule at one place makes."""
    found: list[Formula] = []
    for site in anatomy(formula).sites:
        for rule in RULES:
            for part in rule(site.part):
                whole = _built(lambda site=site, part=part: rebuild(site.replace(part)))  # type: ignore[misc]
                if whole is not None and whole != formula:
                    found.append(whole)
    return found


def _built(build: Callable[[], Formula]) -> Formula | None:
    try:
        with np.errstate(all="ignore"):
            formula = build()
    except (OverflowError, ZeroDivisionError, ValueError):
        return None
    return formula if np.isfinite(constants(formula)).all() and np.isfinite(formula[1]) else None


def _without_what_is_nothing(formula: Formula, columns: Sequence[np.ndarray]) -> list[Formula]:
    """The formula without its parts that do not vary, and without those that change nothing, on these rows."""
    found, now = [], formula
    for _ in range(8):
        changed = _one_thing_less(now, columns)
        if changed is None:
            break
        found.append(changed)
        now = changed
    return found


def _one_thing_less(formula: Formula, columns: Sequence[np.ndarray]) -> Formula | None:
    body, values = anatomy(formula), values_of(formula, columns)
    fixed = []
    for site in body.sites[:-1]:
        own = values_of(site.part, columns)
        if np.isfinite(own).all() and np.ptp(own) <= SAME * abs(float(own[0])):
            fixed.append(lambda site=site, own=own: rebuild(site.replace(constant(float(own.mean())))))
    for build in [*fixed[::-1], *body.cuts]:
        form = _built(build)
        if form is not None and form != formula and agree(values, values_of(form, columns)):
            return form
    return None
