"""NBE: a mixture of naive-Bayes components fitted to the rows, then sampled.

Source
------
Bucila2006, the baseline called NBE, after Lowd2005 (naive-Bayes estimation by EM, the number of
components chosen by held-out likelihood).

Symbols
-------
k -> components; pi, mu, sigma^2, theta -> `weights`, `mean`, `variance`, `chance`; gamma -> `share` ``(n, k)``.

Departures
----------
1. The number of components is doubled (1, 2, 4, ...) while the mean log-likelihood of a held-out fifth of the rows
   rises; the mixture of the best number is then fitted to all rows. Under 25 rows there is one component.
2. Numbers are normal within a component, with a standard deviation of at least a thousandth of the column's, and of
   at least that of rounding (0.29) in whole-number columns: a component on one repeated value would otherwise have
   infinite likelihood. Whole numbers are rounded after they are drawn.
3. Constant columns stay constant. Chances of levels are smoothed by one count, shared out as the column's own
   frequencies.
4. At most `FIT_ROWS` rows, taken at random, are fitted.

Checked
-------
The likelihood never falls from step to step; planted mixtures are found; columns and pairs agree with the data by
two-sample tests.

Cost
----
An EM step is four matrix products and as many sparse ones, O(n k d).
"""

from __future__ import annotations

import itertools
import numbers
from dataclasses import dataclass
from typing import Any

import numpy as np

from limbeck._core.errors import InputError
from limbeck._core.seeds import RandomState
from limbeck._core.tables import Rows, Table
from limbeck.queries._source import Draw, sample_rows

__all__ = ["NaiveBayes"]

FIT_ROWS = 10_000
FEW_ROWS = 25
STEPS = 100
TOLERANCE = 1e-4
LEAST_SPREAD = 1e-3
ROUNDING = 0.2887  # the standard deviation of an error spread evenly over one unit


@dataclass(frozen=True)
class Data:
    """Rows as EM takes them: numbers of zero mean and unit variance ``X``, levels as a sparse one-hot matrix ``hot``.

    `floor` is the least variance of each number; `prior` the frequency of each level; column c of those with levels
    has the places ``cuts[c]:cuts[c + 1]`` of `hot`.
    """

    X: np.ndarray
    hot: Any
    floor: np.ndarray
    prior: np.ndarray
    cuts: np.ndarray

    def take(self, index: np.ndarray) -> Data:
        """The rows at `index`, on the same scale and with the same prior."""
        return Data(self.X[index], self.hot[index], self.floor, self.prior, self.cuts)


@dataclass(frozen=True)
class Mixture:
    """The mixture's numbers: `weights` ``(k,)``, `mean` and `variance` ``(k, numbers)``, `chance` ``(k, levels)``.

    `history` is the mean log-likelihood of the fitted rows before each step.
    """

    weights: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    chance: np.ndarray
    history: tuple[float, ...] = ()
    converged: bool = False


def log_joint(mixture: Mixture, data: Data) -> np.ndarray:
    """The log-density of each row together with each component ``(n, k)``."""
    precision = 1.0 / mixture.variance
    out = data.X**2 @ precision.T
    out -= 2.0 * data.X @ (mixture.mean * precision).T
    out += (mixture.mean**2 * precision + np.log(2.0 * np.pi * mixture.variance)).sum(axis=1)
    out *= -0.5
    out += data.hot @ np.log(np.maximum(mixture.chance, 1e-300)).T
    out += np.log(mixture.weights)
    return np.asarray(out)


def expect(mixture: Mixture, data: Data) -> tuple[np.ndarray, float]:
    """The share ``(n, k)`` of each component in each row, and the mean log-likelihood."""
    joint = log_joint(mixture, data)
    top = joint.max(axis=1, keepdims=True)
    np.exp(joint - top, out=joint)
    total = joint.sum(axis=1, keepdims=True)
    joint /= total
    return joint, float((np.log(total) + top).mean())


def maximise(share: np.ndarray, data: Data) -> Mixture:
    """The mixture that fits the shares best, its variances floored and its chances smoothed by one count."""
    size = np.maximum(share.sum(axis=0), 1e-9)
    mean = share.T @ data.X / size[:, None]
    variance = np.maximum(share.T @ data.X**2 / size[:, None] - mean**2, data.floor)
    count = np.asarray((data.hot.T @ share).T) + data.prior
    return Mixture(size / size.sum(), mean, variance, count / (size[:, None] + 1.0))


def fit_mixture(data: Data, components: int, rng: np.random.Generator) -> Mixture:
    """The mixture after EM from components placed on rows taken at random; `converged` says whether it came to rest."""
    start = rng.choice(len(data.X), size=components, replace=False)
    spread = np.maximum(np.ones((components, data.X.shape[1])), data.floor)
    chance = 0.5 * data.prior + 0.5 * np.asarray(data.hot[start].todense())
    mixture = Mixture(np.full(components, 1.0 / components), data.X[start], spread, chance)
    history: list[float] = []
    for _ in range(STEPS):
        share, likelihood = expect(mixture, data)
        history.append(likelihood)
        mixture = maximise(share, data)
        if len(history) > 1 and history[-1] - history[-2] < TOLERANCE:
            return _with_history(mixture, history, True)
    return _with_history(mixture, history, False)


def choose_mixture(data: Data, most: int, rng: np.random.Generator) -> Mixture:
    """The mixture of 1, 2, 4, ... up to `most` components whose held-out likelihood is best, fitted to all rows."""
    n = len(data.X)
    best, best_score = 1, -np.inf
    if n >= FEW_ROWS:
        order = rng.permutation(n)
        held, rest = data.take(order[: n // 5]), data.take(order[n // 5 :])
        k = 1
        while k <= min(most, len(rest.X)):
            score = expect(fit_mixture(rest, k, rng), held)[1]
            if score <= best_score:
                break
            best, best_score, k = k, score, 2 * k
    return fit_mixture(data, best, rng)


@dataclass(frozen=True)
class NaiveBayes:
    """Queries from a mixture of naive-Bayes components, fitted by EM (the paper's NBE).

    Parameters
    ----------
    components : int, optional
        How many components. Where absent they are doubled while the likelihood of held-out rows rises.
    most : int
        The most components that are tried where `components` is absent.

    Notes
    -----
    Source: Bucila2006. Departures and cost: see the head of the module.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(200, 3))
    >>> NaiveBayes().sample(X, 1_000, seed=0).shape
    (1000, 3)
    """

    components: int | None = None
    most: int = 64

    def __post_init__(self) -> None:
        """Refuse numbers of components that are none."""
        for name in ("components", "most"):
            value = getattr(self, name)
            whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
            if not (whole and value >= 1) and not (name == "components" and value is None):
                raise InputError(f"{name} must be a whole number >= 1; got {value!r:.60}")

    def sample(self, X: Rows, m: int, seed: RandomState = None, exclude: Rows | None = None) -> Any:
        """`m` rows made from `X` ``(n, d)``, in the container of `X`, none of them equal to a row of `exclude`.

        Raises
        ------
        InputError
            For missing values, a bad `m` or `seed`, more components than rows, or where too few rows outside
            `exclude` exist.
        """
        return sample_rows(self, X, m, seed, exclude)

    def prepare(self, table: Table, rng: np.random.Generator) -> Draw:
        """A function that draws encoded rows; the mixture is fitted once."""
        if self.components is not None and self.components > len(table):
            raise InputError(f"components must be at most the number of rows, {len(table)}; got {self.components}")
        fitted = table if len(table) <= FIT_ROWS else table.take(rng.choice(len(table), FIT_ROWS, replace=False))
        scaling = _Scaling.of(table)
        data = scaling.data(fitted)
        if self.components is None:
            mixture = choose_mixture(data, int(self.most), rng)
        else:
            mixture = fit_mixture(data, int(self.components), rng)
        return lambda m: scaling.back(mixture, data.cuts, m, rng)


@dataclass(frozen=True)
class _Scaling:
    """Between encoded rows and EM's: which columns are (varying) numbers and levels, and how numbers are scaled."""

    first: np.ndarray
    numbers: np.ndarray
    levels: np.ndarray
    centre: np.ndarray
    scale: np.ndarray
    whole: np.ndarray
    sizes: tuple[int, ...]

    @classmethod
    def of(cls, table: Table) -> _Scaling:
        columns = table.schema.columns
        level = np.array([bool(column.levels) for column in columns])
        varies = table.values.min(axis=0) < table.values.max(axis=0)
        nums, levels = np.flatnonzero(~level & varies), np.flatnonzero(level)
        raw = table.values[:, nums]
        whole = np.array([columns[j].integer for j in nums], dtype=bool)
        sizes = tuple(len(columns[j].levels) for j in levels)
        scale = np.maximum(raw.std(axis=0), np.finfo(float).tiny)
        return cls(table.values[0], nums, levels, raw.mean(axis=0), scale, whole, sizes)

    def data(self, table: Table) -> Data:
        from scipy.sparse import csr_array

        n = len(table)
        cuts = np.concatenate([[0], np.cumsum(self.sizes)]).astype(np.int64)
        places = (table.values[:, self.levels].astype(np.int64) + cuts[:-1]).ravel()
        ends = np.arange(n + 1) * len(self.levels)
        hot = csr_array((np.ones(len(places)), places, ends), shape=(n, int(cuts[-1])))
        floor = np.maximum(LEAST_SPREAD, np.where(self.whole, ROUNDING / self.scale, 0.0)) ** 2
        prior = np.asarray(hot.sum(axis=0)).ravel() / n
        return Data((table.values[:, self.numbers] - self.centre) / self.scale, hot, floor, prior, cuts)

    def back(self, mixture: Mixture, cuts: np.ndarray, m: int, rng: np.random.Generator) -> np.ndarray:
        """`m` encoded rows ``(m, d)`` drawn from the mixture."""
        out = np.tile(self.first, (m, 1))
        component = np.sort(rng.choice(len(mixture.weights), size=m, p=mixture.weights))
        drawn = rng.standard_normal((m, len(self.numbers))) * np.sqrt(mixture.variance)[component]
        out[:, self.numbers] = self.centre + self.scale * (drawn + mixture.mean[component])
        ends = np.searchsorted(component, np.arange(len(mixture.weights) + 1))
        for c, (a, b) in enumerate(itertools.pairwise(ends)):
            for j, low, high in zip(self.levels, cuts[:-1], cuts[1:], strict=True):
                chance = mixture.chance[c, low:high]
                out[a:b, j] = rng.choice(high - low, size=b - a, p=chance / chance.sum())
        return rng.permutation(out)


def _with_history(mixture: Mixture, history: list[float], converged: bool) -> Mixture:
    return Mixture(mixture.weights, mixture.mean, mixture.variance, mixture.chance, tuple(history), converged)
