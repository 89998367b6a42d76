"""Spectral co-clustering of rows and columns: one embedding, one k-means, so that labels match.

Source
------
Dhillon2001; used for weights by Golechha2024.

Symbols
-------
|W|, affinities ``(o, i)``; r, c, its row and column sums; D_U, D_V, the diagonal matrices of the units' degrees;
A = D_U^-1/2 (|W| - r c' / sum) D_V^-1/2. What is taken off is the first singular pair, which says nothing of clusters;
the k - 1 next ones are kept, and each unit's vector is divided by the root of its degree.

Departures
----------
- The public code of Golechha2024 runs two k-means, one on rows and one on columns, and pairs their labels by number:
  planted blocks then come out at random. Here one k-means labels both sides; with ``method="hungarian"`` there are two,
  and their labels are matched so that most of the squared weight lies within clusters.
- k-means counts each unit by its degree, as the normalised cut does: both sides then count the same, however many
  columns there are.
- A chain of layers has one embedding: Z_l, orthonormal for each set of units, so that the sum over layers of
  tr(Z_l' A_l Z_(l-1)) is largest. Eigenvectors of the chain's graph would mix clusters with depth, since their
  harmonics along the chain are eigenvectors too. For one layer both are the singular vectors.
- Where k is not given it is that of the largest gap between two singular values, from 2 on.
- Every cluster has a row and a column where there are enough.

Checked
-------
tests/truth/test_clusters_truth.py: planted blocks; benchmarks/modular_clusters.py: k = 2..10, 20 seeds, against
scikit-learn's SpectralCoclustering and the public code's pairing.

Cost
----
A singular value decomposition and ten k-means of o + i points. A chain: at most 100 products and small decompositions a
layer more.
"""

from __future__ import annotations

import warnings
from typing import TypeAlias

import numpy as np

__all__ = ["DEAD", "co_cluster", "degrees_of", "gap", "match"]

Decomposition: TypeAlias = tuple[np.ndarray, np.ndarray, np.ndarray]
"""``U, s, V``: a matrix is ``U diag(s) V'``."""

SWEEPS = 100
MOST_EXACT = 1_000
"""From as many units on the smaller side on, only the singular vectors that are needed are found, by ARPACK."""
NOTHING = 1e-9
"""Singular values up to this, of at most 1, are rounding: their vectors say nothing."""
MOST_CLUSTERS = 30
"""At most so many where k is chosen."""
DEAD = 1e-12
"""A unit is dead where its degree is at most this share of the largest one beside it."""


def co_cluster(
    matrices: list[np.ndarray], k: int | None, seed: int, *, method: str = "spectral", n_init: int = 10
) -> tuple[list[np.ndarray], np.ndarray]:
    """The labels of each set of units - inputs first - and the strengths by which k was or could be chosen.

    Parameters
    ----------
    matrices : list of arrays
        Affinities of a chain of layers, outputs by inputs, none of them all zero.
    k : int, optional
        At most the units of the smallest set.
    seed : int
    method : {"spectral", "hungarian"}
        The latter for one matrix.
    n_init : int
        How often k-means starts.
    """
    degrees = degrees_of(matrices)
    scaled = [_scaled(m, below, above) for m, below, above in zip(matrices, degrees[:-1], degrees[1:], strict=True)]
    strengths, start = _decomposed(scaled, k)
    if k is None:
        k = gap(strengths)
    if k == 1:
        return [np.zeros(len(d), dtype=np.int64) for d in degrees], strengths
    living = [d > 0 for d in degrees]
    vectors = [
        z[alive] / np.sqrt(d[alive])[:, None]
        for z, d, alive in zip(_embedded(scaled, start, k), degrees, living, strict=True)
    ]
    weights = [d[alive] for d, alive in zip(degrees, living, strict=True)]
    if method == "hungarian":
        labels = [_k_means(v, w, k, seed, n_init) for v, w in zip(vectors, weights, strict=True)]
        below, above = np.ix_(living[1], living[0]), labels
        labels = [match(matrices[0][below], above[1], above[0], k), above[1]]
    else:
        together = _k_means(np.concatenate(vectors), np.concatenate(weights), k, seed, n_init)
        labels = np.split(together, np.cumsum([len(v) for v in vectors])[:-1])
    return [_whole(own, alive, v, k) for own, alive, v in zip(labels, living, vectors, strict=True)], strengths


def degrees_of(matrices: list[np.ndarray]) -> list[np.ndarray]:
    """For each set of units their shares of the affinities of the layers beside it; 0 where dead. Each adds up to 1."""
    found = [np.zeros(matrices[0].shape[1]), *(np.zeros(len(m)) for m in matrices)]
    for level, matrix in enumerate(matrices):
        shares = matrix / matrix.max()
        shares /= shares.sum()
        found[level] += shares.sum(axis=0)
        found[level + 1] += shares.sum(axis=1)
    return [np.where(d > DEAD * d.max(), d, 0.0) / d[d > DEAD * d.max()].sum() for d in found]


def gap(strengths: np.ndarray) -> int:
    """The number of clusters after which the singular values fall most: 2 or more; 1 where there is one value.

    `strengths` are those after the first one: clusters that nothing ties together have 1.
    """
    if not len(strengths):
        return 1
    apart = int((strengths > 1 - 1e-6).sum())
    if apart:
        return min(apart, MOST_CLUSTERS - 1) + 1
    if len(strengths) == 1:
        return 2
    return int(np.argmax(-np.diff(strengths[:MOST_CLUSTERS]))) + 2


def match(matrix: np.ndarray, rows: np.ndarray, columns: np.ndarray, k: int) -> np.ndarray:
    """The columns' labels renamed so that most of the squared affinity lies where the labels are the same."""
    from scipy.optimize import linear_sum_assignment

    inside = np.zeros((k, k))
    np.add.at(inside, (rows[:, None], columns[None, :]), (matrix / matrix.max()) ** 2)
    own, other = linear_sum_assignment(inside, maximize=True)
    names = np.empty(k, dtype=np.int64)
    names[other] = own
    return np.asarray(names[columns])


def _scaled(matrix: np.ndarray, below: np.ndarray, above: np.ndarray) -> np.ndarray:
    """The affinities less what the sums alone would give, over the roots of the degrees."""
    shares = matrix / matrix.max()
    shares /= shares.sum()
    rows, columns = shares.sum(axis=1, keepdims=True), shares.sum(axis=0, keepdims=True)
    with np.errstate(divide="ignore"):
        up, across = (np.where(d > 0, 1 / np.sqrt(d), 0.0) for d in (above, below))
    return np.asarray(up[:, None] * (shares - rows * columns) * across)


def _decomposed(scaled: list[np.ndarray], k: int | None) -> tuple[np.ndarray, list[Decomposition]]:
    """The mean singular values of the layers, and each layer's decomposition."""
    found = [_svd(a, MOST_CLUSTERS if k is None else k) for a in scaled]
    shortest = min(len(s) for _, s, _ in found)
    return np.mean([s[:shortest] for _, s, _ in found], axis=0), found


def _svd(a: np.ndarray, wanted: int) -> Decomposition:
    """``U, s, V`` with at most min(o, i) - 1 singular values: the last one is that of what was taken off."""
    smaller = min(a.shape)
    if smaller > MOST_EXACT and wanted < smaller // 4:
        from scipy.sparse.linalg import svds

        u, s, v = svds(a, k=wanted, v0=np.linspace(1.0, 2.0, smaller))
        u, s, v = u[:, ::-1], s[::-1], v[::-1]
    else:
        u, s, v = np.linalg.svd(a, full_matrices=False)
    keep = max(smaller - 1, 0)
    return u[:, :keep], s[:keep], v[:keep].T


def _embedded(scaled: list[np.ndarray], parts: list[Decomposition], k: int) -> list[np.ndarray]:
    """``Z_0 .. Z_L``, from the layer whose clusters are the clearest on."""
    d = min(k - 1, *(len(s) for _, s, _ in parts), max(int((s > NOTHING).sum()) for _, s, _ in parts))
    best = int(np.argmax([s[:d].sum() for _, s, _ in parts]))
    z: list[np.ndarray] = [np.zeros(0)] * (len(scaled) + 1)
    z[best], z[best + 1] = parts[best][2][:, :d], parts[best][0][:, :d]
    for level in range(best + 1, len(scaled)):
        z[level + 1] = _polar(scaled[level] @ z[level])
    for level in range(best - 1, -1, -1):
        z[level] = _polar(scaled[level].T @ z[level + 1])
    if len(scaled) == 1:
        return z
    before = -np.inf
    for _ in range(SWEEPS):
        for level in range(len(z)):
            pull = scaled[level - 1] @ z[level - 1] if level else np.zeros(())
            pull = pull + (scaled[level].T @ z[level + 1] if level < len(scaled) else 0.0)
            z[level] = _polar(pull)
        now = sum(float((z[i + 1] * (a @ z[i])).sum()) for i, a in enumerate(scaled))
        if now - before <= 1e-9 * abs(now):
            break
        before = now
    return z


def _polar(a: np.ndarray) -> np.ndarray:
    """The nearest matrix with orthonormal columns."""
    u, _, v = np.linalg.svd(a, full_matrices=False)
    return np.asarray(u @ v)


def _k_means(points: np.ndarray, weights: np.ndarray, k: int, seed: int, n_init: int) -> np.ndarray:
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    if not points.shape[1]:
        return np.zeros(len(points), dtype=np.int64)
    k = min(k, len(points))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct points than clusters: some stay empty
        model = KMeans(k, n_init=n_init, random_state=seed).fit(points, sample_weight=weights / weights.mean())
    return np.asarray(model.labels_, dtype=np.int64)


def _whole(labels: np.ndarray, alive: np.ndarray, vectors: np.ndarray, k: int) -> np.ndarray:
    """Labels of all units: dead ones go one by one to the smallest cluster; an empty cluster is given a unit."""
    whole = np.full(len(alive), -1, dtype=np.int64)
    whole[alive] = labels
    sizes = np.bincount(labels, minlength=k)
    for unit in np.flatnonzero(~alive).tolist():
        smallest = int(np.argmin(sizes))
        whole[unit] = smallest
        sizes[smallest] += 1
    places = np.flatnonzero(alive)
    for empty in np.flatnonzero(sizes == 0).tolist():
        own = whole[places]
        centres = np.stack([vectors[own == c].mean(axis=0) if (own == c).any() else vectors[0] * 0 for c in range(k)])
        far = ((vectors - centres[own]) ** 2).sum(axis=1)
        far[sizes[own] < 2] = -1.0
        unit = int(np.argmax(far))
        sizes[own[unit]] -= 1
        sizes[empty] = 1
        whole[places[unit]] = empty
    return whole
