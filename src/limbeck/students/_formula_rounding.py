"""Constants with the fewest digits that matter.

Each constant in turn is rounded as far as the loss, by its quadratic expansion, stays within its share of the
tolerance; the constants that are not rounded yet are fitted again, and take up what it costs. The outcome is checked on
the rows. When the last one is rounded there is nothing left to fit, so no constant has more digits than are read.

Source
------
Hassibi1993: what fixing one constant costs, and how the others make up for it.

Departures
----------
There a weight is set to zero; here, to a short number.

Checked
-------
With correlated columns the loss rises far less than where each constant is rounded alone, to as many digits (unit
tests).

Cost
----
O(constants cubed), and one pass over the rows for each tolerance tried.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

MOST_DIGITS = 15
TRIES = 6


def round_constants(
    theta: np.ndarray, hessian: np.ndarray, loss_at: Callable[[np.ndarray], float], tolerance: float
) -> np.ndarray:
    """The constants, rounded so that the loss rises by at most the tolerance; as they are where that can't be.

    Where the expansion misleads (a loss that is almost flat), all are cut to the same number of digits.

    Parameters
    ----------
    theta : array ``(p,)``
        Constants at a minimum of the loss.
    hessian : array ``(p, p)``
        Positive semi-definite.
    loss_at : callable
        The loss of other constants, on the rows.
    tolerance : float
        The rise allowed in all.
    """
    if not len(theta) or not np.isfinite(hessian).all():
        return theta
    before, share = loss_at(theta), tolerance
    for _ in range(TRIES):
        rounded = _rounded(theta, hessian, share / len(theta))
        after = loss_at(rounded)
        if np.isfinite(after) and after <= before + tolerance:
            return rounded
        share /= 8.0
    for digits in range(2, MOST_DIGITS):
        rounded = np.array([float(f"{value:.{digits}g}") for value in theta])
        if loss_at(rounded) <= before + tolerance:
            return rounded
    return theta


def _rounded(theta: np.ndarray, hessian: np.ndarray, share: float) -> np.ndarray:
    scaling = np.sqrt(np.maximum(np.diag(hessian), 1e-300))
    H = hessian / np.outer(scaling, scaling) + 1e-9 * np.eye(len(theta))
    now, free = theta * scaling, np.ones(len(theta), dtype=bool)
    inverse = np.linalg.pinv(H, hermitian=True)
    order = np.argsort(np.abs(now) / np.sqrt(np.maximum(np.diag(inverse), 1e-300)), kind="stable")
    out = theta.copy()
    for i in order:
        index = np.flatnonzero(free)
        inverse = np.linalg.pinv(H[np.ix_(index, index)], hermitian=True)
        place = int(np.flatnonzero(index == i)[0])
        variance = max(float(inverse[place, place]), 1e-300)
        out[i] = shortest(float(now[i] / scaling[i]), float(np.sqrt(2.0 * share * variance) / scaling[i]))
        change = out[i] * scaling[i] - now[i]
        now[index] += change / variance * inverse[:, place]
        free[i] = False
    return out


def shortest(value: float, room: float) -> float:
    """The number with the fewest significant digits within `room` of `value`; zero where that is near enough.

    Examples
    --------
    >>> shortest(0.98765, 0.02), shortest(1234.56, 3.0), shortest(1e-17, 1e-9)
    (1.0, 1235.0, 0.0)
    """
    if abs(value) <= room:
        return 0.0
    for digits in range(1, MOST_DIGITS + 1):
        short = float(f"{value:.{digits}g}")
        if abs(short - value) <= room:
            return short
    return value
