"""How far two models are from each other, with intervals.

Source
------
ClopperPearson1934 for the interval of a share; Efron1979 (percentile bootstrap over rows) for the others.

Cost
----
1,000 resamples of n rows: one matrix product of ``1,000 x n`` in chunks.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

__all__ = ["agreement", "bootstrap", "determination", "divergence", "share_interval", "total_variation"]

RESAMPLES = 1_000
_TINY = 1e-12

Statistic = Callable[[np.ndarray], np.ndarray]
"""From row weights ``(b, n)`` to the statistic ``(b,)``."""


def determination(reference: np.ndarray, other: np.ndarray) -> Statistic:
    """R2 of `other` to `reference` (both ``(n, k)``), the worst output, as a function of row weights."""
    reference, other = np.atleast_2d(reference.T).T, np.atleast_2d(other.T).T
    # Shifted by the mean, so that the weighted variance below does not cancel
    centred = reference - reference.mean(axis=0)
    with np.errstate(all="ignore"):
        squares = (reference - other) ** 2

    def statistic(weights: np.ndarray) -> np.ndarray:
        total = weights.sum(axis=1, keepdims=True)
        mean = weights @ centred / total
        spread = weights @ centred**2 / total - mean**2
        with np.errstate(all="ignore"):
            error = weights @ np.where(np.isfinite(squares), squares, np.inf) / total
            return np.min(1.0 - error / spread, axis=1)

    return statistic


def per_output_determination(reference: np.ndarray, other: np.ndarray) -> list[float]:
    """R2 of each output."""
    ones = np.ones((1, len(reference)))
    return [float(determination(reference[:, [o]], other[:, [o]])(ones)[0]) for o in range(reference.shape[1])]


def agreement(reference: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Which rows ``(n,)`` have the same most probable class."""
    return reference.argmax(axis=1) == other.argmax(axis=1)


def divergence(reference: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Kullback-Leibler divergence of each row ``(n,)`` from the reference's probabilities to the other's, in nats."""
    p, q = np.clip(reference, _TINY, 1.0), np.clip(other, _TINY, 1.0)
    return np.sum(reference * (np.log(p) - np.log(q)), axis=1)


def total_variation(reference: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Half the summed difference of the probabilities of each row ``(n,)``, between 0 and 1."""
    return 0.5 * np.abs(reference - other).sum(axis=1)


def share_interval(hits: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """The exact (Clopper-Pearson) interval of a share.

    Examples
    --------
    >>> [round(bound, 4) for bound in share_interval(8, 10)]
    [0.4439, 0.9748]
    """
    from scipy.stats import beta

    tail = (1.0 - level) / 2.0
    low = 0.0 if hits == 0 else float(beta.ppf(tail, hits, n - hits + 1))
    high = 1.0 if hits == n else float(beta.ppf(1.0 - tail, hits + 1, n - hits))
    return low, high


def bootstrap(statistic: Statistic, n: int, seed: int, *, resamples: int = RESAMPLES) -> tuple[float, float]:
    """The 95 % percentile interval of a statistic of weighted rows, over resamples of the `n` rows."""
    generator = np.random.default_rng(seed)
    chunk = max(1, min(resamples, 4_000_000 // max(n, 1)))
    values = []
    for start in range(0, resamples, chunk):
        size = min(chunk, resamples - start)
        weights = generator.multinomial(n, np.full(n, 1.0 / n), size=size).astype(np.float64)
        values.append(statistic(weights))
    drawn = np.concatenate(values)
    drawn = drawn[~np.isnan(drawn)]
    if not len(drawn):
        return float("nan"), float("nan")
    low, high = np.quantile(drawn, [0.025, 0.975], method="nearest")
    return float(low), float(high)


def mean_interval(values: np.ndarray, seed: int) -> tuple[float, float]:
    """The 95 % bootstrap interval of a mean over rows."""
    return bootstrap(lambda weights: weights @ values / weights.sum(axis=1), len(values), seed)
