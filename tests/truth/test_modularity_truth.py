"""A world of two independent parts: they are found, the split network keeps them, with shuffled labels it does not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from limbeck.checks._measures import per_output_determination
from limbeck.modularity._clusters import Clusters
from limbeck.modularity._split import SplitNetwork, split
from limbeck.modularity._train_modular import ModularTraining, train_modular

LAYERS = ["0", "2", "4"]


def world(n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """y1 = x0 x1, y2 = sin(2 x2) + x3."""
    X = torch.randn(n, 4, generator=torch.Generator().manual_seed(seed))
    return X, torch.stack([X[:, 0] * X[:, 1], torch.sin(2 * X[:, 2]) + X[:, 3]], dim=1)


@pytest.fixture(scope="module")
def trained() -> ModularTraining:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 24), nn.SiLU(), nn.Linear(24, 24), nn.SiLU(), nn.Linear(24, 2))
    # After 3 epochs the clusters are the parts with each of six seeds; after 6 with five of them, after 10 with four.
    how = {"layers": LAYERS, "k": 2, "warmup_epochs": 3, "epochs": 30, "lr": 0.01}
    return train_modular(model, world(800, 0), **how, strength=5.0, random_state=0)  # type: ignore[arg-type]


def worst_r2(model: nn.Module) -> float:
    X, y = world(500, 1)
    with torch.no_grad():
        return min(per_output_determination(y.numpy(), model(X).numpy()))


def shuffled(clusters: dict[str, Clusters], seed: int) -> dict[str, Clusters]:
    """The same clusters with the labels of their hidden units in another order."""
    rng = np.random.default_rng(seed)
    found, columns = {}, clusters["0"].columns
    for name, own in clusters.items():
        rows = own.rows if name == LAYERS[-1] else rng.permutation(own.rows)
        found[name] = Clusters(rows, columns, own.k)
        columns = rows
    return found


def test_the_parts_of_the_world_are_the_clusters(trained: ModularTraining) -> None:
    inputs, outputs = trained.clusters["0"].columns, trained.clusters["4"].rows
    assert inputs[0] == inputs[1] != inputs[2] == inputs[3]
    assert outputs.tolist() == [inputs[0], inputs[2]]
    assert trained.history["enmeshment"].iloc[-1] < 0.01


def test_the_split_network_keeps_what_was_learnt_and_with_shuffled_labels_it_does_not(
    trained: ModularTraining,
) -> None:
    whole = worst_r2(trained.model)
    assert whole > 0.97
    assert worst_r2(split(trained)) > whole - 0.01
    assert max(worst_r2(split(trained.model, shuffled(trained.clusters, seed))) for seed in range(3)) < 0.7


def test_each_part_alone_is_one_function_of_its_own_inputs(trained: ModularTraining) -> None:
    found: SplitNetwork = split(trained)
    X, y = world(500, 1)
    assert found.additive
    for label, part in enumerate(found.parts):
        (output,) = np.flatnonzero(trained.clusters["4"].rows == label)
        with torch.no_grad():
            answers = part(X).numpy()
        r2 = per_output_determination(y.numpy(), answers)
        assert r2[output] > 0.97
        assert r2[1 - output] < 0.1
