"""Measures that the checks of an attribution share: rank correlation of effects, and verdicts.

Source
------
Spearman1904 (rank correlation; equal values share their mean rank); Efron1979 (bootstrap).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Protocol

import numpy as np

from limbeck.checks._attribution_case import AttributionCase, NotANumberError
from limbeck.checks._finding import Finding, Status
from limbeck.checks._measures import RESAMPLES

__all__ = ["MIN_ROWS", "crossed_interval", "guarded", "rank_correlations", "size_of", "usable", "worth"]

MIN_ROWS = 5
"""Fewer rows than these give no interval that could decide."""
MIN_UNITS = 3
"""Fewer units than these have no order to speak of."""


class _Check(Protocol):
    code: ClassVar[str]
    title: ClassVar[str]


def guarded(check: _Check, judge: Callable[[AttributionCase], Finding], case: AttributionCase) -> Finding:
    """The finding of `judge`; a failed one where the attribution is not a number."""
    try:
        return judge(case)
    except NotANumberError as bad:
        return Finding(check.code, "fail", None, None, None, str(bad), check.title)


def rank_correlations(one: np.ndarray, other: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Spearman's correlation ``(n,)`` of effects ``(u, n)`` in each row, over the units `used` ``(n, u)`` there.

    0 where one of the two is the same for all units: then they share no order.
    """
    if used.all():
        return _correlations(one, other)
    rows = [_correlations(one[used[row], row, None], other[used[row], row, None]) for row in range(one.shape[1])]
    return np.concatenate(rows)


def _correlations(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    from scipy.stats import rankdata

    if not len(one):
        return np.zeros(one.shape[1])
    a, b = (rankdata(effects, axis=0) - (len(effects) + 1) / 2 for effects in (one, other))
    scale = np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
    return np.asarray((a * b).sum(axis=0) / np.where(scale > 0, scale, 1.0))


def usable(effects: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Which rows ``(n,)`` have an order: enough units, not all with one effect."""
    return np.array(
        [used[row].sum() >= MIN_UNITS and np.ptp(effects[used[row], row]) > 0 for row in range(effects.shape[1])]
    )


def crossed_interval(values: np.ndarray, seed: int) -> tuple[float, float]:
    """The 95 % bootstrap interval of the mean of ``(draws, rows)``, both resampled: rows share each draw."""
    generator = np.random.default_rng(seed)
    draws, rows = values.shape
    over = [generator.multinomial(k, np.full(k, 1 / k), size=RESAMPLES) / k for k in (draws, rows)]
    means = np.einsum("bd,dr,br->b", over[0], values, over[1], optimize=True)
    low, high = np.quantile(means, [0.025, 0.975], method="nearest")
    return float(low), float(high)


def size_of(interval: tuple[float, float]) -> tuple[float, float]:
    """The interval of the absolute value."""
    low, high = sorted(map(abs, interval))
    return (0.0 if interval[0] <= 0 <= interval[1] else low), high


def worth(interval: tuple[float, float], least: float) -> Status:
    """Pass where the whole interval is above 0; fail where it is below `least`, the smallest gain that counts."""
    if interval[0] > 0:
        return "pass"
    return "fail" if interval[1] < least else "inconclusive"
