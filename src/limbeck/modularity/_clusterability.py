"""Clusterability: the share of a layer's squared weights that lies inside its clusters, beside what chance gives.

Source
------
Golechha2024.

Symbols
-------
C = sum of W_ij^2 where row and column have one label / sum of all W_ij^2. Chance, for clusters of these sizes:
sum_c |U_c| |V_c| / (o i), which is the mean over all partitions of these sizes.

Departures
----------
- The paper prints C alone; clusters of unequal sizes, and clusters that were searched for, have a high one by chance.
- The p-value is the larger of two. Are other labels of these sizes as good? And is a matrix of the same entries in
  another order, in which clusters are searched for, as good? Clusters that are found in noise pass the first question
  and fail the second. Both compare (C - chance) / (1 - chance), so that unequal sizes gain nothing.
- Where none of the searches was as good, the tail of Student's t that fits them says how rare it is.

Checked
-------
tests/unit/test_clusters.py: by hand, and against partitions written out. tests/truth/test_clusters_truth.py: clusters
of noise have a p-value that isn't small, planted ones have.

Cost
----
A product of (o, i) with (i, n_permutations k), and n_searches times a clustering: about 1 s for 64 x 64 and four
clusters.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from limbeck._core.errors import InputError
from limbeck._core.seeds import RandomState, as_generator
from limbeck._core.unit_labels import label_pair
from limbeck.modularity._affinity import affinity_matrix
from limbeck.modularity._cocluster import co_cluster

__all__ = ["Clusterability", "clusterability"]

AT_ONCE = 4_000_000


class Clusterability(float):
    """A share from 0 to 1, as a float, with what chance gives.

    Parameters
    ----------
    value : float
        The share of squared weight inside clusters.
    chance : float
        The mean over all partitions of these sizes.
    random : float
        The mean over the partitions that were drawn.
    p_value : float
        How often chance does as well; NaN where nothing was drawn.
    shuffled : float
        The mean of what a search finds in the same entries in another order, for clusters of these sizes; NaN where
        none was made.
    """

    chance: float
    random: float
    p_value: float
    shuffled: float

    def __new__(
        cls,
        value: float,
        chance: float = math.nan,
        random: float = math.nan,
        p_value: float = math.nan,
        shuffled: float = math.nan,
    ) -> Clusterability:
        """A float with its chance."""
        made = super().__new__(cls, value)
        made.chance, made.random, made.p_value, made.shuffled = chance, random, p_value, shuffled
        return made

    def __getnewargs__(self) -> tuple[float, ...]:  # type: ignore[override]
        """What a copy is made of."""
        return (float(self), self.chance, self.random, self.p_value, self.shuffled)

    def text(self) -> str:
        """One line: the share, chance, and whether it is more than chance."""
        p = "" if math.isnan(self.p_value) else f", p = {self.p_value:.2g}"
        return f"{float(self):.3f} of the squared weight is inside clusters; by chance {self.chance:.3f}{p}"

    def to_dict(self) -> dict[str, float]:
        """``{"clusterability", "chance", "p"}`` as JSON types."""
        return {"clusterability": float(self), "chance": self.chance, "p": self.p_value}


def clusterability(
    weight: Any,
    clusters: Any,
    *,
    n_permutations: int = 1000,
    n_searches: int = 29,
    random_state: RandomState = 0,
) -> Clusterability:
    """The share of squared weight inside clusters: a float with `.chance`, `.random` and `.p_value`.

    Parameters
    ----------
    weight : array, tensor or layer
        As `cluster` takes it.
    clusters : Clusters, or (rows, columns)
        Anything with `.rows` and `.columns`, or a pair of label arrays.
    n_permutations : int
        Random partitions of the same sizes.
    n_searches : int
        Searches for as many clusters in the weights in random order. 0 is right only for labels that weren't found on
        this weight, and is fast.
    random_state : int or Generator, optional

    Raises
    ------
    InputError
        For weights that are no matrix, not finite or all zero; for labels that don't fit.

    Source
    ------
    Golechha2024.

    Cost
    ----
    See the file's header. Both numbers at 0: one pass over the weights.

    Examples
    --------
    >>> found = clusterability([[3, 1], [0, 2]], ([0, 1], [0, 1]), n_searches=0)
    >>> round(found, 3), found.chance
    (0.929, 0.5)
    """
    matrix = affinity_matrix(weight)
    rows, columns = label_pair(clusters, matrix.shape)
    for name, n in (("n_permutations", n_permutations), ("n_searches", n_searches)):
        if isinstance(n, bool) or not isinstance(n, int) or n < 0:
            raise InputError(f"{name} must be a whole number of at least 0; got {n!r:.60}")
    if not matrix.any():
        raise InputError(f"weight is all zero, {matrix.shape}: it has no share inside clusters")
    squares = (matrix / matrix.max()) ** 2
    squares /= squares.sum()
    value, chance = inside(squares, rows, columns), _chance(rows, columns)
    if chance == 1:
        return Clusterability(1.0, 1.0, 1.0, 1.0, 1.0)
    rng = as_generator(random_state)
    drawn = _permuted(squares, rows, columns, n_permutations, rng)
    random = float(drawn.mean()) if n_permutations else chance
    p = (1 + int((drawn >= value - 1e-12).sum())) / (1 + n_permutations) if n_permutations else math.nan
    if not n_searches:
        return Clusterability(value, chance, random, p)
    k = int(max(rows.max(), columns.max())) + 1
    excess, p_search = _searched(matrix, k, (value - chance) / (1 - chance), n_searches, rng)
    return Clusterability(
        value, chance, random, max(p_search, p if n_permutations else 0.0), chance + excess * (1 - chance)
    )


def inside(squares: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> float:
    """The sum where the labels are the same."""
    return float(squares[rows[:, None] == columns].sum())


def _chance(rows: np.ndarray, columns: np.ndarray) -> float:
    k = int(max(rows.max(), columns.max())) + 1
    together = np.bincount(rows, minlength=k) * np.bincount(columns, minlength=k)
    return float(together.sum() / (len(rows) * len(columns)))


def _permuted(
    squares: np.ndarray, rows: np.ndarray, columns: np.ndarray, n: int, rng: np.random.Generator
) -> np.ndarray:
    """The share inside for `n` partitions: rows and columns keep their labels' counts, in another order."""
    if squares.shape[0] < squares.shape[1]:
        squares, rows, columns = squares.T, columns, rows
    k = int(max(rows.max(), columns.max())) + 1
    found = np.empty(n)
    step = max(1, AT_ONCE // (k * sum(squares.shape)))
    for start in range(0, n, step):
        count = min(step, n - start)
        one_hot = np.eye(k)[rng.permuted(np.tile(columns, (count, 1)), axis=1)]
        sums = squares @ one_hot.transpose(1, 0, 2).reshape(squares.shape[1], count * k)
        own = rng.permuted(np.tile(rows, (count, 1)), axis=1)
        picked = np.take_along_axis(sums.reshape(-1, count, k), own.T[:, :, None], axis=2)
        found[start : start + count] = picked[:, :, 0].sum(axis=0)
    return found


def _searched(matrix: np.ndarray, k: int, reached: float, n: int, rng: np.random.Generator) -> tuple[float, float]:
    """For shuffled entries the mean excess of the clusters that are found, and how often it is as high."""
    from scipy.stats import t

    k = min(k, *matrix.shape)
    excesses = np.empty(n)
    for i in range(n):
        shuffled = rng.permutation(matrix.ravel()).reshape(matrix.shape)
        (columns, rows), _ = co_cluster([shuffled], k, int(rng.integers(2**31 - 1)))
        squares, chance = shuffled**2, _chance(rows, columns)
        share = inside(squares, rows, columns) / squares.sum()
        excesses[i] = (share - chance) / (1 - chance) if chance < 1 else 0.0
    mean, as_good = float(excesses.mean()), int((excesses >= reached - 1e-12).sum())
    p = (1 + as_good) / (1 + n)
    spread = float(excesses.std(ddof=1)) if n > 1 else 0.0
    if not as_good and spread:
        p = min(p, float(t.sf((reached - mean) / (spread * math.sqrt(1 + 1 / n)), n - 1)))
    return mean, p
