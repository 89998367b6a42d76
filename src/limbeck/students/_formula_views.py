"""Views of the answers: a formula for ``y**2`` is a square root's inside, one for ``1/y`` a quotient's.

What stands inside an outer function is hard to grow, because half of it explains nothing. Seen through the function's
inverse it is a sum, and sums are easy. What is found is put back inside and fitted to the answers themselves.

Source
------
Own, after the power transforms of BoxCox1964.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from limbeck.students._formula_algebra import Formula, apply, constants, power
from limbeck.students._formula_units import UnitCheck

LEAST_RATIO = 1e-3
MOST_RATIO = 1e6


@dataclass(frozen=True)
class View:
    """A function around the formula.

    Attributes
    ----------
    operator : str
        Its operator.
    inverse : callable
        Its inverse, for the answers.
    around : callable
        How it is put around a formula.
    power : float or None
        The inverse as a power of the answers, or None for another function.
    """

    operator: str
    inverse: Callable[[np.ndarray], np.ndarray]
    around: Callable[[Formula], Formula]
    power: float | None

    def fits(self, y: np.ndarray, operators: frozenset[str]) -> bool:
        """True where the answers are positive, on a scale on which the view makes a difference and no havoc."""
        low, high = float(y.min()), float(y.max())
        return self.operator in operators and 0.0 < low < 0.9 * high and high < MOST_RATIO * low


VIEWS: dict[str, View] = {
    "root": View("sqrt", lambda y: y * y, lambda inner: power(inner, 0.5), 2.0),
    "quotient": View("div", lambda y: 1.0 / y, lambda inner: power(inner, -1.0), -1.0),
    "exponential": View("exp", np.log, lambda inner: apply("exp", inner), None),
    "inverse root": View("sqrt", lambda y: y**-2.0, lambda inner: power(inner, -0.5), -2.0),
    "square": View("mul", np.sqrt, lambda inner: power(inner, 2.0), 0.5),
}


def seen_through(view: str, y: np.ndarray) -> np.ndarray:
    """The answers through a view."""
    return np.asarray(VIEWS[view].inverse(y))


def units_behind(view: str, units: UnitCheck | None) -> UnitCheck | None:
    """Which formulas have units that fit the answers through a view."""
    p = VIEWS[view].power
    return None if units is None else units.of_inside() if p is None else units.of_power(p)


def looked_back(view: str, inner: Formula) -> Formula | None:
    """The formula for the answers themselves, or None where its constants overflow."""
    try:
        with np.errstate(all="ignore"):
            formula = VIEWS[view].around(inner)
    except (OverflowError, ZeroDivisionError, ValueError):
        return None
    return formula if formula[2] and np.isfinite(constants(formula)).all() else None
