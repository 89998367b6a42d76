"""A linear comparison of a few columns with a threshold: ``ball_x - paddle_x + 2*ball_vx > 20.5``.

Stored, every comparison is "sum of weight times column > threshold"; "less than" is written by negative weights. Read,
it is turned so that its first weight is positive: ``x - y < -3.5`` rather than ``y - x > 3.5``. The turn changes no
number, for the sum's terms stay in the order of the columns and negation is exact.

Source
------
Own frozen form.

Cost
----
One NumPy operation or two a term and row.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from limbeck._core.errors import InputError

__all__ = ["Comparison", "Form", "form_values", "read_comparison", "significant"]

Form = tuple[tuple[int, float], ...]
"""Columns with their weights, in the order of the columns, the first weight positive."""


@dataclass(frozen=True)
class Comparison:
    """A weighted sum of columns is greater than a threshold.

    Attributes
    ----------
    terms : tuple of (int, float)
        The positions of columns with their weights, none of them 0; kept in the order of the columns.
    threshold : float
        What the sum must exceed.

    Examples
    --------
    >>> below = Comparison(((2, 1.0), (0, -1.0)), 3.5)
    >>> below.form, below.is_above, below.bound
    (((0, 1.0), (2, -1.0)), False, -3.5)
    """

    terms: tuple[tuple[int, float], ...]
    threshold: float

    def __post_init__(self) -> None:
        """Refuse what can't be compared; put the terms in order."""
        try:
            terms = tuple(sorted((int(column), float(weight)) for column, weight in self.terms))
            threshold = float(self.threshold) + 0.0
        except (TypeError, ValueError, OverflowError):
            raise InputError(
                f"a comparison needs pairs of a column and a weight, and a threshold; got {self.terms!r:.80} and "
                f"{self.threshold!r:.40}"
            ) from None
        columns = [column for column, _ in terms]
        if not terms or len(set(columns)) < len(columns) or min(columns) < 0:
            raise InputError(f"a comparison needs one column or more, each once; got {self.terms!r:.120}")
        if not all(math.isfinite(weight) and weight for _, weight in terms) or not math.isfinite(threshold):
            raise InputError(
                f"a comparison needs finite weights other than 0 and a finite threshold; got {self.terms!r:.120} and "
                f"{self.threshold!r:.40}"
            )
        object.__setattr__(self, "terms", terms)
        object.__setattr__(self, "threshold", threshold)

    @property
    def is_above(self) -> bool:
        """True where it reads ``form > bound``, False where it reads ``form < bound``."""
        return self.terms[0][1] > 0

    @property
    def form(self) -> Form:
        """The sum as it is read, its first weight positive."""
        return self.terms if self.is_above else tuple((column, -weight) for column, weight in self.terms)

    @property
    def bound(self) -> float:
        """The threshold as it is read."""
        return self.threshold if self.is_above else -self.threshold + 0.0

    def holds(self, rows: np.ndarray) -> np.ndarray:
        """Which rows ``(n, d)`` meet it, ``(n,)``."""
        met: np.ndarray = form_values(self.terms, rows) > self.threshold
        return met

    def rounded(self, digits: int) -> Comparison:
        """The comparison with every constant at so many significant digits."""
        terms = tuple((column, significant(weight, digits)) for column, weight in self.terms)
        return Comparison(terms, significant(self.threshold, digits))

    def to_dict(self) -> dict[str, Any]:
        """The comparison as JSON types, exactly."""
        return {"terms": [[column, weight] for column, weight in self.terms], "threshold": self.threshold}


def significant(value: float, digits: int) -> float:
    """The number at so many significant digits."""
    return float(f"{value:.{digits}g}")


def form_values(form: Sequence[tuple[int, float]], rows: np.ndarray) -> np.ndarray:
    """The sum's value on every row ``(n, d)``: term after term, as every export computes it."""
    total = None
    for column, weight in form:
        values = rows[:, column]
        if total is None:
            total = values * weight
        elif weight == 1.0:
            total = total + values
        elif weight == -1.0:
            total = total - values
        else:
            total = total + weight * values
    if total is None:
        raise InputError("a sum needs one term or more")
    return total


def read_comparison(data: Any) -> Comparison:
    """The comparison that `to_dict` wrote; anything malformed is refused."""
    try:
        terms, threshold = data["terms"], data["threshold"]
        pairs = tuple((column, weight) for column, weight in terms)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"a stored comparison is malformed: {error!r:.120}") from None
    numbers = [threshold, *(weight for _, weight in pairs)]
    if any(type(column) is not int for column, _ in pairs) or any(type(v) not in (int, float) for v in numbers):
        raise InputError(f"a stored comparison needs whole columns and numbers; got {data!r:.120}")
    return Comparison(pairs, threshold)
