"""The small expressions that a formula is grown with: a feature, its logarithm, its square, a quotient of two, ...

Source
------
Own.

Cost
----
At most `MAX_SINGLES + MAX_PAIRS` columns over the sampled rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, TypeAlias

import numpy as np

from limbeck.students._formula_algebra import Formula, add, apply, feature, multiply, power, scale, symbols
from limbeck.students._formula_fit import values_of

MAX_SINGLES = 240
MAX_PAIRS = 480
MAX_TOGETHER = 10
MAX_TOGETHER_RICH = 6

_FORMS: dict[str, tuple[str | None, Callable[[int, float], Formula]]] = {
    "itself": (None, lambda j, s: feature(j)),
    "log": ("log", lambda j, s: apply("log", feature(j))),
    "sqrt": ("sqrt", lambda j, s: power(feature(j), 0.5)),
    "inverse": ("div", lambda j, s: power(feature(j), -1.0)),
    "square": ("mul", lambda j, s: power(feature(j), 2.0)),
    "inverse square": ("div", lambda j, s: power(feature(j), -2.0)),
    "exp": ("exp", lambda j, s: apply("exp", scale(feature(j), -1.0 / s))),
    "sin": ("sin", lambda j, s: apply("sin", scale(feature(j), 1.0 / s))),
    "cos": ("cos", lambda j, s: apply("cos", scale(feature(j), 1.0 / s))),
    "abs": ("abs", lambda j, s: apply("abs", feature(j))),
}
"""Form to the operator that must be allowed, and how it is built from a feature and its spread."""

_IN_PAIRS = ("itself", "inverse", "log", "sqrt", "square", "inverse square", "exp", "sin", "cos")
"""In the order in which they are paired, until there are `MAX_PAIRS`."""


def _difference(left: Formula, right: Formula) -> Formula:
    return add(left, scale(right, -1.0))


def _squared(part: Formula) -> Formula:
    return power(part, 2.0)


_Pair: TypeAlias = Callable[[Formula, Formula], Formula]

_FEW_TOGETHER: dict[str, tuple[str | None, _Pair]] = {
    "difference": (None, _difference),
    "square of difference": ("mul", lambda x, y: _squared(_difference(x, y))),
}
_TOGETHER: dict[str, tuple[str | None, _Pair]] = {
    **_FEW_TOGETHER,
    "sum": (None, add),
    "square of sum": ("mul", lambda x, y: _squared(add(x, y))),
    "inverse of difference": ("div", lambda x, y: power(_difference(x, y), -1.0)),
    "inverse of sum": ("div", lambda x, y: power(add(x, y), -1.0)),
    "sum of squares": ("mul", lambda x, y: add(_squared(x), _squared(y))),
    "difference of squares": ("mul", lambda x, y: _difference(_squared(x), _squared(y))),
    "cosine of difference": ("cos", lambda x, y: apply("cos", _difference(x, y))),
}
"""Form to the operator that must be allowed, and how it is built from two features."""


class _Single(NamedTuple):
    """A form of one feature, with its values ``(n,)``."""

    form: str
    feature: int
    item: Formula
    values: np.ndarray


@dataclass(frozen=True)
class Library:
    """Expressions, their values ``(n, m)`` on the sampled rows, and their symbols.

    The first `n_singles` are of one feature; the others are of two: their sums and differences, and products of forms.
    """

    items: tuple[Formula, ...]
    values: np.ndarray
    symbols: np.ndarray
    n_singles: int

    @cached_property
    def with_one(self) -> tuple[np.ndarray, np.ndarray]:
        """The values with a first column of ones, and their squares."""
        values = np.column_stack([np.ones(len(self.values)), self.values])
        return values, values * values


def build_library(
    columns: Sequence[np.ndarray], costs: Sequence[int], operators: frozenset[str], ranking: Sequence[int]
) -> Library:
    """The library over the features, the first of `ranking` in pairs too.

    Parameters
    ----------
    columns : sequence of array ``(n,)``
    costs : sequence of int
        Symbols of each feature; more than 1 marks a condition, which is 0 or 1 and has no other forms.
    operators : set of str
        Which forms are allowed.
    ranking : sequence of int
        Features, the most useful first.
    """
    forms = [name for name, (needs, _) in _FORMS.items() if needs is None or needs in operators]
    singles: list[_Single] = []
    for j in ranking:
        for name in forms if costs[j] == 1 else forms[:1]:
            spread = float(np.std(columns[j])) or 1.0
            item = _FORMS[name][1](j, spread)
            values = values_of(item, columns)
            if len(singles) < MAX_SINGLES and np.isfinite(values).all() and np.ptp(values) > 0:
                singles.append(_Single(name, j, item, values))
    pairs = _together(singles, columns, costs, operators)
    if "mul" in operators:
        pairs += _products(singles, costs, MAX_PAIRS - len(pairs))
    items = tuple(single.item for single in singles) + tuple(item for item, _ in pairs)
    nothing = np.zeros((len(columns[0]), 0))
    values = np.column_stack([nothing, *(single.values for single in singles), *(v for _, v in pairs)])
    return Library(items, values, np.array([symbols(item, costs) for item in items]), len(singles))


def _together(
    singles: Sequence[_Single], columns: Sequence[np.ndarray], costs: Sequence[int], operators: frozenset[str]
) -> list[tuple[Formula, np.ndarray]]:
    """Sums and differences of two features, and what is made of them; few forms where there are many features."""
    plain = [single.item for single in singles if single.form == "itself" and costs[single.feature] == 1][:MAX_TOGETHER]
    forms = _TOGETHER if len(plain) <= MAX_TOGETHER_RICH else _FEW_TOGETHER
    found = []
    for right, left in ((plain[b], plain[a]) for b in range(len(plain)) for a in range(b)):
        for needs, build in forms.values():
            if needs is None or needs in operators:
                item = build(left, right)
                values = values_of(item, columns)
                if np.isfinite(values).all() and np.ptp(values) > 0:
                    found.append((item, values))
    return found


def _products(singles: Sequence[_Single], costs: Sequence[int], most: int) -> list[tuple[Formula, np.ndarray]]:
    """At most so many products of two forms of different features, the plainest forms and first features first."""
    usable = [single for single in singles if single.form in _IN_PAIRS]
    rank = [_IN_PAIRS.index(single.form) for single in usable]
    pairs = sorted((max(rank[b], rank[a]), b, a) for b in range(len(usable)) for a in range(b))
    found: list[tuple[Formula, np.ndarray]] = []
    for _, b, a in pairs:
        if len(found) >= most:
            break
        right, left = usable[b], usable[a]
        if right.feature == left.feature or (costs[right.feature] > 1 and costs[left.feature] > 1):
            continue
        item, values = multiply(left.item, right.item), left.values * right.values
        if len(item[2]) == 1 and np.isfinite(values).all() and np.ptp(values) > 0:
            found.append((item, values))
    return found
