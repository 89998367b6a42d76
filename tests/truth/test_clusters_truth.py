"""Planted blocks are found, also with dead units and unequal sizes; noise isn't clusterable, a wrong answer is low."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from limbeck.modularity._clusterability import clusterability
from limbeck.modularity._clusters import cluster, cluster_layers

nn = torch.nn


def planted(
    k: int, seed: int, shape: tuple[int, int] = (48, 60), *, noise: float = 0.1, sizes: list[float] | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights with blocks, in a random order, and the labels of their rows and columns."""
    rng = np.random.default_rng(seed)
    shares = np.full(k, 1 / k) if sizes is None else np.array(sizes)
    labels = [rng.permutation(np.searchsorted(np.cumsum(shares)[:-1], np.arange(n) / n, side="right")) for n in shape]
    return (
        rng.normal(size=shape) * np.where(labels[0][:, None] == labels[1], 1.0, noise),
        labels[0],
        labels[1],
    )


def share(weight: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> float:
    squares = weight**2
    return float(squares[rows[:, None] == columns].sum() / squares.sum())


@pytest.mark.parametrize("method", ["spectral", "hungarian"])
@pytest.mark.parametrize("k", [2, 5, 10])
def test_planted_blocks_are_found(k: int, method: str) -> None:
    for seed in range(2):
        weight, rows, columns = planted(k, seed)
        found = cluster(weight, k, method=method)  # type: ignore[arg-type]
        assert share(weight, found.rows, found.columns) == pytest.approx(share(weight, rows, columns), abs=0.01)
        assert float(clusterability(weight, found, n_permutations=0, n_searches=0)) == pytest.approx(
            share(weight, found.rows, found.columns)
        )


def test_their_number_is_found() -> None:
    assert [cluster(planted(k, 3)[0]).k for k in (2, 3, 6, 9)] == [2, 3, 6, 9]


def test_two_labellings_paired_by_number_are_wrong() -> None:
    """The published trap: the rows and the columns are each right, and the pairs are not."""
    weight, rows, columns = planted(4, 0)
    wrong = share(weight, rows, (columns + 1) % 4)
    assert wrong < 0.03 < 0.9 < share(weight, rows, columns)
    assert clusterability(weight, (rows, (columns + 1) % 4), n_searches=3).p_value > 0.5


def test_unequal_sizes_and_dead_units() -> None:
    weight, rows, columns = planted(3, 1, sizes=[0.6, 0.25, 0.15])
    weight[[0, 7, 8]] = 0.0
    weight[:, [3, 30]] = 0.0
    found = cluster(weight, 3)
    assert share(weight, found.rows, found.columns) == pytest.approx(share(weight, rows, columns), abs=0.01)
    assert np.flatnonzero(found.dead_rows).tolist() == [0, 7, 8]
    assert np.flatnonzero(found.dead_columns).tolist() == [3, 30]
    assert found.mask().shape == weight.shape
    assert cluster(weight).k == 3


def test_planted_channels_of_a_convolution() -> None:
    weight, rows, columns = planted(3, 2, (12, 9))
    kernels = np.random.default_rng(0).normal(size=(12, 9, 3, 3)) * np.abs(weight)[:, :, None, None]
    found = cluster(torch.tensor(kernels, dtype=torch.float32), 3)
    right = (rows[:, None] == columns).mean()
    assert (found.mask() == (rows[:, None] == columns)).mean() == 1.0
    assert 0.2 < right < 0.5


def test_a_chain_has_one_labelling() -> None:
    """Seven layers with planted clusters, too many for the eigenvectors of their graph: harmonics would come first."""
    rng = np.random.default_rng(0)
    labels = [rng.permutation(np.arange(24) % 4) for _ in range(8)]
    net = nn.Sequential(*(nn.Linear(24, 24) for _ in range(7)))
    with torch.no_grad():
        for i, layer in enumerate(net):
            inside = labels[i + 1][:, None] == labels[i]
            layer.weight.copy_(torch.tensor(rng.normal(size=(24, 24)) * np.where(inside, 1.0, 0.2)))
    names = [str(i) for i in range(7)]
    found = cluster_layers(net, names, k=4)
    for i, name in enumerate(names):
        assert (found[name].mask() == (labels[i + 1][:, None] == labels[i])).mean() > 0.95, "at most one unit of 24"
    assert all((found[b].columns == found[a].rows).all() for a, b in itertools.pairwise(names))
    assert cluster_layers(net, names)["3"].k == 4


def test_noise_is_not_clusterable() -> None:
    """Clusters that were found in noise have more than chance, and that is no reason to believe in them."""
    for seed in range(3):
        weight = np.random.default_rng(seed).normal(size=(24, 24))
        found = clusterability(weight, cluster(weight, 3), n_permutations=200, n_searches=19)
        assert found.p_value > 0.05
        assert found > found.chance, "the search fits noise: labels alone would call this significant"
        assert clusterability(weight, cluster(weight, 3), n_permutations=200, n_searches=0).p_value < 0.05
        assert abs(float(found) - found.shuffled) < 0.1


def test_planted_blocks_are_clusterable_and_wrong_labels_are_not() -> None:
    weight, rows, columns = planted(3, 5, (24, 24), noise=0.3)
    right = clusterability(weight, (rows, columns), n_searches=9)
    assert right.p_value < 0.005
    assert right > 0.7 > 0.4 > right.chance
    wrong = clusterability(weight, (np.random.default_rng(0).permutation(rows), columns), n_searches=9)
    assert wrong.p_value > 0.2
    assert abs(wrong - wrong.chance) < 0.2
