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

import numpy as np

from limbeck.students._formula_algebra import Formula, apply, feature, multiply, power, scale, symbols
from limbeck.students._formula_fit import values_of

MAX_SINGLES = 240
MAX_PAIRS = 480

_FORMS: dict[str, tuple[str | None, Callable[[int, float], Formula]]] = {
    "itself": (None, lambda j, s: feature(j)),
    "log": ("log", lambda j, s: apply("log", feature(j))),
    "sqrt": ("sqrt", lambda j, s: power(feature(j), 0.5)),
    "inverse": ("div", lambda j, s: power(feature(j), -1.0)),
    "square": ("mul", lambda j, s: power(feature(j), 2.0)),
    "exp": ("exp", lambda j, s: apply("exp", scale(feature(j), -1.0 / s))),
    "sin": ("sin", lambda j, s: apply("sin", scale(feature(j), 1.0 / s))),
    "cos": ("cos", lambda j, s: apply("cos", scale(feature(j), 1.0 / s))),
    "abs": ("abs", lambda j, s: apply("abs", feature(j))),
}
"""Form to the operator that must be allowed, and how it is built from a feature and its spread."""

_IN_PAIRS = ("itself", "log", "sqrt", "inverse")


@dataclass(frozen=True)
class Library:
    """Expressions, their values ``(n, m)`` on the sampled rows, and their symbols.

    The first `n_singles` are of one feature; the others are products of two of those.
    """

    items: tuple[Formula, ...]
    values: np.ndarray
    symbols: np.ndarray
    n_singles: int


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
    singles: list[tuple[str, int, Formula, np.ndarray]] = []
    for j in ranking:
        for name in forms if costs[j] == 1 else forms[:1]:
            spread = float(np.std(columns[j])) or 1.0
            item = _FORMS[name][1](j, spread)
            values = values_of(item, columns)
            if len(singles) < MAX_SINGLES and np.isfinite(values).all() and np.ptp(values) > 0:
                singles.append((name, j, item, values))
    pairs = _pairs(singles, costs) if "mul" in operators else []
    items = tuple(item for *_, item, _ in singles) + tuple(item for item, _ in pairs)
    nothing = np.zeros((len(columns[0]), 0))
    values = np.column_stack([nothing, *(v for *_, v in singles), *(v for _, v in pairs)])
    return Library(items, values, np.array([symbols(item, costs) for item in items]), len(singles))


def _pairs(
    singles: Sequence[tuple[str, int, Formula, np.ndarray]], costs: Sequence[int]
) -> list[tuple[Formula, np.ndarray]]:
    """Products of two forms of different features, those of the first features first."""
    found: list[tuple[Formula, np.ndarray]] = []
    usable = [single for single in singles if single[0] in _IN_PAIRS]
    for b, (_, j, right, right_values) in enumerate(usable):
        for _, i, left, left_values in usable[:b]:
            if i == j or (costs[i] > 1 and costs[j] > 1):
                continue
            item = multiply(left, right)
            values = left_values * right_values
            if len(found) < MAX_PAIRS and len(item[2]) == 1 and np.isfinite(values).all() and np.ptp(values) > 0:
                found.append((item, values))
    return found
