"""Clusters of a layer's units: rows and columns with one set of labels, for one layer or along a chain of layers.

Source
------
Golechha2024; the co-clustering is Dhillon2001's. See `_cocluster` and, for what counts as a unit, `_affinity`.

Departures
----------
See `_cocluster`.

Checked
-------
tests/unit/test_clusters.py, tests/truth/test_clusters_truth.py, benchmarks/modular_clusters.py.

Cost
----
See `_cocluster`.
"""

from __future__ import annotations

import itertools
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from limbeck._core.errors import InputError, did_you_mean
from limbeck._core.module_layers import chosen_layers, weight_layers
from limbeck._core.seeds import RandomState, draw_seeds
from limbeck._core.unit_labels import labels_of
from limbeck.modularity._affinity import affinity_matrix, folded
from limbeck.modularity._cocluster import DEAD, co_cluster

if TYPE_CHECKING:
    import torch

__all__ = ["Clusters", "check_affinity", "cluster", "cluster_layers"]

METHODS = ("spectral", "hungarian")
AFFINITIES = ("weights", "gradients")


def _none() -> np.ndarray:
    return np.zeros(0, dtype=bool)


def _no_strengths() -> np.ndarray:
    return np.zeros(0)


@dataclass(frozen=True, eq=False)
class Clusters:
    """The clusters of a layer: a label for each output unit and each input unit.

    Parameters
    ----------
    rows, columns : int arrays ``(o,)`` and ``(i,)``
        Labels from 0 to k - 1.
    k : int
        How many clusters there are. One that is empty on a side is possible.
    dead_rows, dead_columns : bool arrays, optional
        Units without any weight. They have a label too: that of the smallest cluster.
    strengths : array, optional
        The singular values after the first one, by which k is chosen where it isn't given.

    Raises
    ------
    InputError
        For labels that aren't whole numbers from 0 to k - 1.

    Examples
    --------
    >>> Clusters([0, 0, 1], [1, 0], k=2).mask().astype(int)
    array([[0, 1],
           [0, 1],
           [1, 0]])
    """

    rows: np.ndarray
    columns: np.ndarray
    k: int
    dead_rows: np.ndarray = field(default_factory=_none)
    dead_columns: np.ndarray = field(default_factory=_none)
    strengths: np.ndarray = field(default_factory=_no_strengths)

    def __post_init__(self) -> None:
        k = whole_number(self.k)
        found: dict[str, Any] = {"k": k, "strengths": np.array(self.strengths, dtype=np.float64)}
        for side in ("rows", "columns"):
            labels = labels_of(getattr(self, side), side, k)
            dead = np.array(getattr(self, f"dead_{side}"), dtype=bool)
            if not len(dead):
                dead = np.zeros(len(labels), dtype=bool)
            if dead.shape != labels.shape:
                raise InputError(f"dead_{side} must be {labels.shape}, as {side}; got {dead.shape}")
            found |= {side: labels, f"dead_{side}": dead}
        for name, value in found.items():
            if isinstance(value, np.ndarray):
                value.flags.writeable = False
            object.__setattr__(self, name, value)

    def mask(self) -> np.ndarray:
        """What stays: ``(o, i)``, True where row and column are of one cluster."""
        return np.asarray(self.rows[:, None] == self.columns)

    def to_dict(self) -> dict[str, Any]:
        """The clusters as JSON types."""
        return {
            "rows": self.rows.tolist(),
            "columns": self.columns.tolist(),
            "k": self.k,
            "dead_rows": np.flatnonzero(self.dead_rows).tolist(),
            "dead_columns": np.flatnonzero(self.dead_columns).tolist(),
            "strengths": self.strengths.tolist(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Clusters:
        """The clusters that `to_dict` wrote.

        Raises
        ------
        InputError
            For anything else.
        """
        try:
            rows, columns = list(data["rows"]), list(data["columns"])
            dead = [np.isin(np.arange(len(s)), data[f"dead_{n}"]) for s, n in ((rows, "rows"), (columns, "columns"))]
            strengths = np.array(data["strengths"], dtype=np.float64)
            return cls(np.array(rows), np.array(columns), data["k"], dead[0], dead[1], strengths)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"clusters must be as Clusters.to_dict() writes them; {str(error)[:120]}") from None


def whole_number(k: Any) -> int:
    """The number of clusters as an int of at least 1.

    Raises
    ------
    InputError
        For anything else.
    """
    if isinstance(k, bool) or not isinstance(k, numbers.Integral) or int(k) < 1:
        raise InputError(f"k must be a whole number of at least 1, the number of clusters; got {k!r:.60}")
    return int(k)


def cluster(
    weight: Any,
    k: int | None = None,
    *,
    method: Literal["spectral", "hungarian"] = "spectral",
    affinity: Any = None,
    random_state: RandomState = 0,
) -> Clusters:
    """The clusters of the rows and columns of a weight matrix, between which there is as little weight as can be found.

    Parameters
    ----------
    weight : array, tensor or layer
        ``(o, i)``, or ``(o, i, *kernel)`` whose units are channels; a Linear, Conv1d to Conv3d or MultiheadAttention
        layer. Of attention the rows are heads and the columns the numbers of the embedding.
    k : int, optional
        The number of clusters, at most o and i. Absent: where the singular values fall most, from 2 on.
    method : {"spectral", "hungarian"}
        One k-means on rows and columns together, or one on each with their labels matched.
    affinity : array ``(o, i)``, optional
        How strongly units are tied, instead of absolute weights: see `gradient_affinity`.
    random_state : int or Generator, optional
        For k-means.

    Raises
    ------
    InputError
        For weights that are no matrix, not finite or all zero, a k that is too large, an unknown method.

    Source
    ------
    Golechha2024; Dhillon2001.

    Cost
    ----
    A singular value decomposition and a k-means of o + i points.

    Examples
    --------
    >>> found = cluster([[9, 0, 8, 1], [0, 7, 1, 9], [8, 1, 9, 0]], k=2)
    >>> [bool(found.rows[i] == found.rows[0]) for i in range(3)]
    [True, False, True]
    >>> found.mask()[0].tolist()
    [True, False, True, False]
    """
    _check_method(method)
    matrix = affinity_matrix(weight)
    if affinity is not None:
        shape, matrix = matrix.shape, affinity_matrix(affinity, name="affinity")
        if matrix.shape != shape:
            raise InputError(f"affinity must be {shape}, one number for each pair of units; got {matrix.shape}")
    (seed,) = draw_seeds(random_state, 1)
    labels, strengths, k = _found([matrix], ["weight"], k, seed, method)
    return _clusters(matrix, labels[1], labels[0], k, strengths)


def _check_method(method: Any) -> None:
    if method not in METHODS:
        raise InputError(
            f"method must be one of {', '.join(METHODS)}; got {method!r:.60}.{did_you_mean(method, METHODS)}"
        )


def _found(
    matrices: list[np.ndarray], names: list[str], k: int | None, seed: int, method: str = "spectral"
) -> tuple[list[np.ndarray], np.ndarray, int]:
    """Labels, strengths and k of a chain, after the checks of k and of empty matrices."""
    for matrix, name in zip(matrices, names, strict=True):
        if not matrix.any():
            raise InputError(
                f"{name} is all zero, {matrix.shape}: no unit is tied to another, so there are no clusters"
            )
        if k is not None and whole_number(k) > min(matrix.shape):
            raise InputError(
                f"k must be at most the number of units on either side of {name}, {min(matrix.shape)} of "
                f"{matrix.shape}; got {k}"
            )
    labels, strengths = co_cluster(matrices, None if k is None else int(k), seed, method=method)
    return labels, strengths, int(k) if k is not None else 1 + max(int(own.max()) for own in labels)


def _clusters(matrix: np.ndarray, rows: np.ndarray, columns: np.ndarray, k: int, strengths: np.ndarray) -> Clusters:
    dead = [sums <= DEAD * sums.max() for sums in (matrix.sum(axis=1), matrix.sum(axis=0))]
    return Clusters(rows, columns, k, dead[0], dead[1], strengths)


def cluster_layers(
    model: torch.nn.Module,
    layers: Sequence[str] | None = None,
    k: int | None = None,
    *,
    affinity: Literal["weights", "gradients"] = "weights",
    data: Any = None,
    random_state: RandomState = 0,
) -> dict[str, Clusters]:
    """The clusters of several layers of a network, so that a unit has one label: as an output and as the next input.

    Parameters
    ----------
    model : torch.nn.Module
    layers : sequence of str, optional
        Names of Linear and Conv layers as in ``named_modules()``. Absent: the Linear layers between hidden units, all
        but the first and the last; all of them where there are fewer than three.
    k : int, optional
        The number of clusters, the same for each layer. Absent: chosen for each chain of layers.
    affinity : {"weights", "gradients"}
        Absolute weights, or the mean of ``|weight * gradient|`` on `data`.
    data : ``(X, y)`` or DataLoader, optional
        For "gradients".
    random_state : int or Generator, optional

    Returns
    -------
    dict of str to Clusters
        By layer. Layers that follow each other, with no other Linear or Conv layer between them and as many inputs as
        outputs before, or a multiple (a flattening: each channel's label is repeated), have one set of labels.

    Raises
    ------
    InputError
        For a layer that isn't there, is all zero or not finite, or has fewer units than k.

    Source
    ------
    Golechha2024; the joint embedding is ours.

    Cost
    ----
    As `cluster` for each layer, and at most 100 products with each matrix.

    Examples
    --------
    >>> import torch
    >>> _ = torch.manual_seed(0)
    >>> net = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.ReLU(), torch.nn.Linear(8, 4))
    >>> found = cluster_layers(net, ["0", "2"], k=2)
    >>> bool((found["2"].columns == found["0"].rows).all())
    True
    """
    names = chosen_layers(model, layers)
    check_affinity(affinity)
    order = list(weight_layers(model))
    names.sort(key=order.index)
    matrices = _matrices(model, names, affinity, data)
    chains = _chains(names, order, matrices)
    found: dict[str, Clusters] = {}
    for chain, seed in zip(chains, draw_seeds(random_state, len(chains)), strict=True):
        found |= _of_chain(chain, matrices, k, seed)
    return found


def check_affinity(affinity: Any) -> None:
    """Refuse what is no affinity."""
    if affinity not in AFFINITIES:
        raise InputError(
            f"affinity must be one of {', '.join(AFFINITIES)}; got {affinity!r:.60}."
            f"{did_you_mean(affinity, AFFINITIES)}"
        )


def _matrices(model: torch.nn.Module, names: list[str], affinity: str, data: Any) -> dict[str, np.ndarray]:
    if affinity == "gradients":
        from limbeck.modularity._gradient_affinity import gradient_affinity

        if data is None:
            raise InputError("affinity='gradients' needs data=(X, y) or a DataLoader, on which the gradients are taken")
        return gradient_affinity(model, data, names)
    known = weight_layers(model)
    return {name: affinity_matrix(known[name], name=f"layer {name!r}") for name in names}


def _chains(names: list[str], order: list[str], matrices: dict[str, np.ndarray]) -> list[list[str]]:
    """The chosen layers in runs: each comes right after the one before it, and its inputs are that one's outputs."""
    chains = [[names[0]]]
    for before, name in itertools.pairwise(names):
        follows = order.index(name) == order.index(before) + 1
        if follows and matrices[name].shape[1] % len(matrices[before]) == 0:
            chains[-1].append(name)
        else:
            chains.append([name])
    return chains


def _of_chain(chain: list[str], matrices: dict[str, np.ndarray], k: int | None, seed: int) -> dict[str, Clusters]:
    units = [matrices[chain[0]].shape[1], *(len(matrices[name]) for name in chain)]
    tied = [folded(matrices[name], below) for name, below in zip(chain, units, strict=False)]
    labels, strengths, k = _found(tied, [f"layer {name!r}" for name in chain], k, seed)
    found = {}
    for name, rows, columns in zip(chain, labels[1:], labels, strict=False):
        each = matrices[name].shape[1] // len(columns)
        found[name] = _clusters(matrices[name], rows, np.repeat(columns, each), k, strengths)
    return found
