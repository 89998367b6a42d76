"""A split network has no weights between modules, and its parts are networks of their own that add up to it."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from limbeck._core.errors import InputError, TeacherError
from limbeck.attribution import contextual_decomposition
from limbeck.modularity._clusters import Clusters
from limbeck.modularity._split import SplitNetwork, split


def labels(n: int, k: int = 2, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).permutation(np.arange(n) % k)


def chain(widths: tuple[int, ...], k: int = 2) -> list[Clusters]:
    """Clusters of layers that follow each other, with one label for each unit."""
    own = [labels(width, k, seed) for seed, width in enumerate(widths)]
    return [Clusters(rows, columns, k) for columns, rows in itertools.pairwise(own)]


def network(*between: type[nn.Module], last: nn.Module | None = None) -> nn.Sequential:
    torch.manual_seed(0)
    first, second, third = between or (nn.ReLU,) * 3
    layers = (nn.Linear(5, 8), first(), nn.Linear(8, 6), second(), nn.Linear(6, 8), third(), nn.Linear(8, 3))
    return nn.Sequential(*layers, *([] if last is None else [last])).double()


def hidden() -> dict[str, Clusters]:
    return dict(zip(("2", "4"), chain((8, 6, 8)), strict=True))


def rows(n: int = 20, *shape: int) -> torch.Tensor:
    return torch.randn(n, *(shape or (5,)), dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def whole(found: SplitNetwork, X: torch.Tensor) -> torch.Tensor:
    return torch.stack([part(X) for part in found.parts]).sum(dim=0) + found.bias


def close(one: torch.Tensor, other: torch.Tensor) -> bool:
    return bool(torch.allclose(one, other, atol=1e-10))


def test_off_block_weights_are_exactly_0_and_the_model_is_as_it_was() -> None:
    model, clusters = network(), hidden()
    before = copy.deepcopy(model.state_dict())
    found = split(model, clusters)
    for name, own in clusters.items():
        weight = found.network.get_submodule(name).weight.detach().numpy()  # type: ignore[union-attr]
        assert (weight[~own.mask()] == 0).all()
        assert np.array_equal(weight[own.mask()], before[f"{name}.weight"].numpy()[own.mask()])
    assert all(torch.equal(model.state_dict()[key], value) for key, value in before.items())
    assert close(found.original(rows()), model(rows()))
    assert found.original is not model
    assert list(found.state_dict()) == [f"network.{key}" for key in before]


@pytest.mark.parametrize("activation", [nn.ReLU, nn.GELU, nn.Sigmoid, nn.Tanh])
def test_the_parts_add_up_whatever_the_activation(activation: type[nn.Module]) -> None:
    model = network(*(activation,) * 3)
    found = split(model, hidden())
    assert found.additive
    assert close(whole(found, rows()), found(rows()))
    assert close(found.bias, model[6].bias.detach())  # type: ignore[union-attr,operator]
    assert not close(found(rows()), model(rows()))
    assert not close(found.parts[0](rows()) + found.bias, found(rows()))


def test_a_part_depends_on_its_own_units_alone() -> None:
    model, clusters = network(), hidden()
    part = split(model, clusters).parts[0]
    for name, own in clusters.items():
        layer = model.get_submodule(name)
        with torch.no_grad():
            others = torch.as_tensor(own.rows != 0)
            layer.weight[others] += 1.0  # type: ignore[index,operator]
            layer.bias[others] += 1.0  # type: ignore[index,operator]
    assert close(split(model, clusters).parts[0](rows()), part(rows()))
    assert not close(split(model, clusters).parts[1](rows()), part(rows()))


def test_parts_are_smaller_networks_that_answer_the_same() -> None:
    found = split(network(), hidden())
    sizes = [[layer.weight.shape for layer in part if isinstance(layer, nn.Linear)] for part in found.parts]  # type: ignore[attr-defined]
    assert sizes == [[(4, 5), (3, 4), (4, 3), (3, 4)]] * 2
    assert found.notes == ()


def test_where_all_layers_are_clustered_each_output_has_its_bias_in_its_part() -> None:
    model = network()
    clusters = dict(zip(("0", "2", "4", "6"), chain((5, 8, 6, 8, 3)), strict=True))
    found = split(model, clusters)
    assert found.additive
    assert close(whole(found, rows()), found(rows()))
    assert not found.bias.any()
    own = clusters["6"].rows
    for label, part in enumerate(found.parts):
        assert not part(rows())[:, own != label].any()
        assert part(rows())[:, own == label].any()
        changed = rows()
        changed[:, clusters["0"].columns != label] += 1.0
        assert close(part(changed), part(rows()))


def test_where_something_that_is_not_linear_comes_after_it_is_said() -> None:
    for model in (network(last=nn.Softmax(dim=1)), network()):
        clusters = hidden() if len(model) == 8 else {"2": hidden()["2"]}
        found = split(model, clusters)
        assert found.additive is False
        assert "don't add up" in found.notes[0]
        assert not found.bias.any()
        alone = copy.deepcopy(found.network)  # a part is then the network with the other modules' units at 0
        with torch.no_grad():
            for name, own in clusters.items():
                layer: Any = alone.get_submodule(name)
                layer.weight[torch.as_tensor(own.rows != 1)] = 0.0
                layer.weight[:, torch.as_tensor(own.columns != 1)] = 0.0
                layer.bias[torch.as_tensor(own.rows != 1)] = 0.0
        assert close(found.parts[1](rows()), alone(rows()))


def test_two_linear_layers_after_the_modules_still_add_up() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 4), nn.Linear(4, 2))
    found = split(model.double(), {"2": Clusters(labels(6), labels(8), 2)})
    assert found.additive
    assert close(whole(found, rows()), found(rows()))
    assert bool(found.bias.any())


class Convolutions(nn.Module):
    """With batch norms, pooling, and a flattening between channels and places."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.norm = nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6)
        self.second, self.head = nn.Conv2d(6, 4, 3, padding=1), nn.Linear(4 * 9, 6)
        self.last = nn.Linear(6, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = nn.functional.max_pool2d(self.norm(self.first(x)).relu(), 2)
        return self.last(self.head(self.second(x).sigmoid().flatten(1)).relu())


def test_convolutions_with_batch_norm_and_flattening_are_cut_by_channel() -> None:
    model = Convolutions().double()
    model(rows(30, 1, 6, 6) + 0.5)  # the batch norm has seen rows
    model.eval()
    channels, places = labels(4, seed=1), np.repeat(labels(4, seed=1), 9)
    clusters = {"second": Clusters(channels, labels(6), 2), "head": Clusters(labels(6, seed=2), places, 2)}
    X = rows(10, 1, 6, 6)
    found = split(model, clusters, check_rows=X)
    assert found.additive
    assert close(whole(found, X), found(X))
    part: Any = found.parts[0]
    assert (part.first.out_channels, part.norm.num_features, part.second.out_channels) == (3, 3, 2)
    assert part.head.weight.shape == (3, 18)
    assert part.last.weight.shape == (2, 3)
    assert "give check_rows" in split(model, clusters).notes[0]
    assert split(model, clusters).additive is None


class Transformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.block = nn.TransformerEncoderLayer(8, 2, 12, dropout=0.0, batch_first=True)
        self.head = nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.block(x).mean(dim=1))


def test_of_a_transformer_the_way_around_is_said_and_the_hidden_units_are_cut() -> None:
    model = Transformer().double().eval()
    clusters = dict(zip(("block.linear1", "block.linear2"), chain((8, 12, 8)), strict=True))
    found = split(model, clusters, check_rows=rows(6, 3, 8))
    assert found.additive is False
    assert "ways around" in found.notes[0]
    part: Any = found.parts[0]
    assert part.block.linear1.weight.shape == (6, 8)
    assert part.block.linear2.weight.shape == (8, 6)


class Counts(nn.Module):
    """A network whose code counts on the size of its layers, so that no unit can be cut out."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = network()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.inner:
            x = layer(x)
            if isinstance(layer, nn.Linear):
                x = x.reshape(len(x), {0: 8}.get(0, 8)) if layer is self.inner[0] else x
        return x


def test_a_part_that_cannot_be_smaller_is_the_masked_copy() -> None:
    found = split(Counts(), {f"inner.{name}": own for name, own in hidden().items()})
    part: Any = found.parts[0]
    assert part.inner[0].weight.shape == (8, 5)
    assert part.inner[4].weight.shape == (4, 3)
    assert found.additive
    assert close(whole(found, rows()), found(rows()))


def test_parts_are_saved_explained_and_moved() -> None:
    found = split(network(), hidden())
    again = copy.deepcopy(found.parts[1])
    again.load_state_dict(found.parts[1].state_dict())
    assert close(again(rows()), found.parts[1](rows()))
    mask = torch.tensor([True, False, False, False, False])
    relevant, irrelevant = contextual_decomposition(found.parts[1], rows(), mask)
    assert close(relevant + irrelevant, found.parts[1](rows()))
    found.float()
    assert found.parts[0](rows().float()).dtype == found.bias.dtype == torch.float32
    assert copy.deepcopy(found)(rows().float()).shape == (20, 3)


def test_compare_has_the_accuracy_or_r2_of_both_with_intervals() -> None:
    model, X = network(), rows(200)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3.0 if parameter.ndim > 1 else 0.0)  # so that the labels are not all of one class
    found = split(model, hidden())
    y = model(X).argmax(dim=1)
    table = found.compare(X, y)
    assert list(table.index) == ["original", "split"]
    assert set(table["metric"]) == {"accuracy"}
    assert table.loc["original", "value"] == 1.0
    right = float((found(X).argmax(dim=1) == y).double().mean())
    assert table.loc["split", "value"] == pytest.approx(right)
    assert right < 1
    assert (table["low"] <= table["value"]).all()
    assert (table["value"] <= table["high"]).all()
    numbers = found.compare(X.numpy(), found(X).detach().numpy())
    assert set(numbers["metric"]) == {"r2"}
    assert numbers.loc["split", "value"] == pytest.approx(1.0)
    assert numbers.loc["original", "value"] < 0.99
    with pytest.raises(InputError, match="a column for each of 3 outputs"):
        found.compare(X, X[:, :2])


def test_a_layer_that_is_used_twice_is_split_but_not_cut() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.into, self.again, self.head = nn.Linear(5, 8), nn.Linear(8, 8), nn.Linear(8, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.again(self.again(self.into(x).relu()).relu()).relu())

    units = labels(8)
    found = split(Twice().double(), {"again": Clusters(units, units, 2)})
    part: Any = found.parts[0]
    assert part.again.weight.shape == (8, 8)
    assert found.additive
    assert close(whole(found, rows()), found(rows()))


def test_bad_clusters_and_rows_are_refused() -> None:
    model = network()
    for clusters, says in (
        ({}, "clusters must be a dict"),
        ({"1": hidden()["2"]}, "'1' is none of"),
        ({"0": hidden()["2"]}, "must have 8 rows and 5 columns"),
        ([1], "clusters must be a dict"),
    ):
        with pytest.raises(InputError, match=says):
            split(model, clusters)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"torch\.nn\.Module or a ModularTraining"):
        split(len, hidden())  # type: ignore[arg-type]
    with pytest.raises(InputError, match="check_rows must be finite"):
        split(model, hidden(), check_rows=rows() * float("nan"))
    with pytest.raises(TeacherError, match="raised RuntimeError on rows of shape"):
        split(model, hidden(), check_rows=rows()[:, :3])
    normed = network()
    nn.utils.parametrizations.weight_norm(normed[2])
    with pytest.raises(InputError, match="remove_parametrizations"):
        split(normed, hidden())


def test_one_row_can_only_tell_a_bias_that_is_known() -> None:
    assert split(network(), hidden(), check_rows=rows(1)).additive
    assert split(network(last=nn.Softmax(dim=1)), hidden(), check_rows=rows(1)).additive is False
