"""Planted blocks: the circuit of a label is the block that it was given, and chance does not look like it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from limbeck.modularity._circuits import Circuits, circuits

INPUTS, HIDDEN = 8, 6


def planted(noise: float = 0.0) -> torch.nn.Sequential:
    """Two networks side by side: label 0 is read from the first half of the units, label 1 from the second."""
    generator = torch.Generator().manual_seed(0)
    sizes = ((HIDDEN, INPUTS), (HIDDEN, HIDDEN), (2, HIDDEN))
    layers: list[torch.nn.Module] = []
    for o, i in sizes:
        layer = torch.nn.Linear(i, o, bias=False)
        strong = 0.35 + 0.15 * torch.rand(o, i, generator=generator)
        with torch.no_grad():
            layer.weight.copy_(torch.where(block(o, i), strong, noise * torch.randn(o, i, generator=generator)))
        layers += [layer, torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


def block(o: int, i: int) -> torch.Tensor:
    """The places of both blocks."""
    return (torch.arange(o)[:, None] < o / 2) == (torch.arange(i) < i / 2)


def own_block(label: int, mask: np.ndarray) -> np.ndarray:
    """The places of the block of one label."""
    o, i = mask.shape
    return np.outer((np.arange(o) < o / 2) == (label == 0), (np.arange(i) < i / 2) == (label == 0))


def rows(n: int = 60) -> tuple[torch.Tensor, torch.Tensor]:
    """Both halves are there in every row; the larger one gives the label."""
    generator = torch.Generator().manual_seed(1)
    y = torch.arange(n) % 2
    large, small = 1.0 + torch.rand(n, 4, generator=generator), 0.4 * torch.rand(n, 4, generator=generator)
    first = (y == 0)[:, None]
    return torch.cat([torch.where(first, large, small), torch.where(first, small, large)], dim=1), y


def inside(found: Circuits) -> list[float]:
    """For each circuit the share of its weights that lie in the block of its label."""
    shares = []
    for part in found:
        hits = sum(int((kept & own_block(part.label, kept)).sum()) for kept in part.kept.values())
        shares.append(hits / sum(int(kept.sum()) for kept in part.kept.values()))
    return shares


@pytest.fixture(scope="module")
def found() -> Circuits:
    return circuits(planted(), rows())


def test_disjoint_blocks_are_found_and_nothing_else(found: Circuits) -> None:
    for part in found:
        for kept in part.kept.values():
            assert kept.any()
            assert not (kept & ~own_block(part.label, kept)).any()
    assert found.overlap()[0, 1] == 0.0
    assert found.chance_overlap()[0, 1] > 0.05


def test_noise_between_the_blocks_is_let_go_where_a_little_loss_is_allowed() -> None:
    found = circuits(planted(noise=0.03), rows(), tolerance=0.01)
    assert min(inside(found)) > 0.9
    assert found.overlap()[0, 1] < 0.5 * found.chance_overlap()[0, 1]


def test_a_network_of_random_weights_has_no_such_blocks() -> None:
    torch.manual_seed(3)
    shapes = ((INPUTS, HIDDEN), (HIDDEN, HIDDEN), (HIDDEN, 2))
    layers = [part for i, o in shapes for part in (torch.nn.Linear(i, o, bias=False), torch.nn.Tanh())]
    found = circuits(torch.nn.Sequential(*layers[:-1]), rows(), tolerance=0.01)
    assert max(inside(found)) < 0.75


def test_cutting_a_circuit_out_destroys_its_label_and_no_other(found: Circuits) -> None:
    table = found.table()
    assert table["before"].tolist() == [1.0, 1.0]
    assert table["on"].tolist() == [1.0, 1.0]
    assert table["off"].max() == 0.0
    assert table["others_off"].min() == 1.0
    assert table["called"].tolist() == [1.0, 1.0]  # alone, without the other block, it says its label of everything


@pytest.mark.parametrize("shuffled", [False, True])
def test_only_true_labels_give_circuits_that_tell_rows_apart(shuffled: bool) -> None:
    X, y = rows()
    if shuffled:
        y = y[torch.randperm(len(y), generator=torch.Generator().manual_seed(0))]
    table = circuits(planted(), (X, y), contrast=True).table()
    apart = table["on"] - table["called"]
    if shuffled:
        assert apart.max() < 0.4
        assert table["loss_after"].min() > 0.6
    else:
        assert apart.min() == 1.0
        assert table["loss_after"].max() < 0.1


def test_an_output_of_a_regression_network_needs_its_own_block() -> None:
    X, _ = rows()
    found = circuits(planted(noise=0.003), (X, X[:, :2]), tolerance=0.01)
    assert found.task == "regression"
    assert min(inside(found)) > 0.95
    table = found.table()
    assert table["on"].min() >= 0.985
    assert table["off"].max() < 0.0
    assert table["others_off"].min() > 0.9
    assert table["loss_before"].tolist() == [0.0, 0.0]
    assert table["loss_after"].max() <= 0.01
