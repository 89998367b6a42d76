"""The enmeshment loss: by hand, by finite differences, with every kind of layer, and what is refused."""

from __future__ import annotations

import copy
import gc

import numpy as np
import pytest
import torch

from limbeck._core.errors import InputError
from limbeck.modularity._clusterability import clusterability
from limbeck.modularity._clusters import Clusters, cluster_layers
from limbeck.training import _enmeshment
from limbeck.training._enmeshment import add_enmeshment_gradient, enmeshment_loss

nn = torch.nn
PAIR = ([0, 1, 0], [1, 0])


def layer(dtype: torch.dtype = torch.float64) -> nn.Linear:
    made = nn.Linear(2, 3, dtype=dtype)
    with torch.no_grad():
        made.weight.copy_(torch.tensor([[1.0, 2.0], [3.0, -1.0], [0.5, -2.0]]))
    return made


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 3)).double()


def plain(weight: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return 1 - (weight**2 * mask).sum() / (weight**2).sum()


def value(model: nn.Module, clusters: object) -> float:
    return float(enmeshment_loss(model, clusters).detach())


def test_by_hand() -> None:
    inside, total = 4 + 9 + 4, 1 + 4 + 9 + 1 + 0.25 + 4
    assert value(layer(), PAIR) == pytest.approx(1 - inside / total)
    assert float(clusterability(layer(), PAIR, n_permutations=0, n_searches=0)) == pytest.approx(inside / total)


def test_value_gradient_and_second_gradient_by_finite_differences() -> None:
    net = network()
    clusters = cluster_layers(net, ["0", "2", "4"], k=2)

    def of(*weights: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(Loss(net, clusters), dict(zip(names, weights, strict=True)))

    names = [f"net.{i}.weight" for i in (0, 2, 4)]
    weights = [net[i].weight.detach().clone().requires_grad_() for i in (0, 2, 4)]
    assert torch.autograd.gradcheck(of, weights)
    assert torch.autograd.gradgradcheck(of, weights)


class Loss(nn.Module):
    def __init__(self, net: nn.Module, clusters: dict[str, Clusters]) -> None:
        super().__init__()
        self.net, self.clusters = net, clusters

    def forward(self) -> torch.Tensor:
        return enmeshment_loss(self.net, self.clusters)


def test_the_mean_over_layers_and_its_gradient() -> None:
    net = network()
    clusters = cluster_layers(net, ["0", "2"], k=3)
    masks = [torch.tensor(clusters[name].mask()) for name in ("0", "2")]
    wanted = (plain(net[0].weight, masks[0]) + plain(net[2].weight, masks[1])) / 2
    slopes = torch.autograd.grad(wanted, [net[0].weight, net[2].weight])
    loss = enmeshment_loss(net, clusters)
    assert float(loss.detach()) == pytest.approx(float(wanted.detach()))
    (5 * loss).backward()
    assert torch.allclose(net[0].weight.grad, 5 * slopes[0])
    assert torch.allclose(net[2].weight.grad, 5 * slopes[1])
    assert net[4].weight.grad is None
    added = copy.deepcopy(net)
    added.zero_grad()
    add_enmeshment_gradient(added, clusters, 2.0)
    add_enmeshment_gradient(added, clusters, 3.0)
    assert torch.allclose(added[0].weight.grad, net[0].weight.grad), "the same as the loss, and it adds up"
    assert added[4].weight.grad is None


def test_descending_takes_the_network_apart() -> None:
    net = network()
    clusters = cluster_layers(net, k=2)
    optimiser = torch.optim.Adam(net.parameters(), lr=0.05)
    for _ in range(60):
        optimiser.zero_grad()
        enmeshment_loss(net, clusters).backward()
        optimiser.step()
    weight = net[2].weight.detach().numpy()
    assert float(clusterability(weight, clusters["2"], n_permutations=0, n_searches=0)) > 0.99
    assert np.abs(weight[clusters["2"].mask()]).min() > 0.01, "what is inside stays"


@pytest.mark.parametrize("groups", [1, 2])
def test_convolutions(groups: int) -> None:
    conv = nn.Conv2d(4, 6, 3, groups=groups).double()
    rows, columns = [0, 1, 2, 0, 1, 2], [0, 1, 2, 0]
    loss = value(conv, (rows, columns))
    assert loss == pytest.approx(1 - clusterability(conv, (rows, columns), n_permutations=0, n_searches=0))
    assert 0.4 < loss < 0.95


def test_labels_that_can_be_written_to_are_read_anew() -> None:
    made, rows = layer(), np.array([0, 1, 0])
    before = value(made, (rows, np.array([1, 0])))
    rows[:] = 1 - rows
    assert value(made, (rows, np.array([1, 0]))) == pytest.approx(1 - before)
    fixed = Clusters(np.array([0, 1, 0]), np.array([1, 0]), 2)
    assert value(made, fixed) == pytest.approx(before)
    assert value(made, Clusters(rows, np.array([1, 0]), 2)) == pytest.approx(1 - before)
    with pytest.raises(ValueError, match="read-only"):
        fixed.rows[0] = 1


def test_types_devices_and_memory() -> None:
    made = layer()
    fixed = Clusters(np.array(PAIR[0]), np.array(PAIR[1]), 2)
    exact = value(made, fixed)
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        made.to(dtype)
        loss = enmeshment_loss(made, fixed)
        loss.backward()
        assert loss.dtype == dtype == made.weight.grad.dtype
        assert float(loss.detach()) == pytest.approx(exact, abs=0.01)
        made.weight.grad = None
    count = len(_enmeshment._MASKS)
    del made
    gc.collect()
    assert len(_enmeshment._MASKS) < count, "masks go with their layers"


def test_a_layer_of_zeros_has_no_gradient_and_nan_is_not_hidden() -> None:
    made = layer()
    with torch.no_grad():
        made.weight.zero_()
    loss = enmeshment_loss(made, PAIR)
    loss.backward()
    assert float(loss.detach()) == 1.0
    assert not made.weight.grad.any()
    with torch.no_grad():
        made.weight[0, 0] = float("nan")
    assert torch.isnan(enmeshment_loss(made, PAIR))


def test_frozen_weights_and_no_grad() -> None:
    made = layer()
    with torch.no_grad():
        assert not enmeshment_loss(made, PAIR).requires_grad
    made.weight.requires_grad_(False)
    assert not enmeshment_loss(made, PAIR).requires_grad
    add_enmeshment_gradient(made, PAIR, 1.0)
    assert made.weight.grad is None


def test_a_weight_made_of_others() -> None:
    made = nn.utils.parametrizations.weight_norm(layer())
    loss = enmeshment_loss(made, PAIR)
    loss.backward()
    assert made.parametrizations.weight.original1.grad.abs().sum() > 0
    with pytest.raises(InputError, match="computed from other parameters; add enmeshment_loss"):
        add_enmeshment_gradient(made, PAIR, 1.0)


def test_what_is_refused() -> None:
    net = network()
    good = cluster_layers(net, ["2"], k=2)["2"]
    with pytest.raises(InputError, match="one of '0', '2', '4'; got 'layer2'"):
        enmeshment_loss(net, {"layer2": good})
    with pytest.raises(InputError, match="must be named as in named_modules"):
        enmeshment_loss(net, {"1": good})
    with pytest.raises(InputError, match="must label 3 outputs and 4 inputs; got 4 and 4"):
        enmeshment_loss(net, {"4": good})
    with pytest.raises(InputError, match="at least one layer; got none"):
        enmeshment_loss(net, {})
    with pytest.raises(InputError, match="be a pair"):
        enmeshment_loss(net[2], 4)
    with pytest.raises(InputError, match="labels from 0; got -1 to 0"):
        enmeshment_loss(net[2], ([0] * 3 + [-1], [0] * 4))
    with pytest.raises(InputError, match="one whole number a unit; got float64"):
        enmeshment_loss(net[2], ([0.5] * 4, [0] * 4))
    with pytest.raises(InputError, match=r"must be a torch.nn.Module; got a str"):
        enmeshment_loss("net", {"2": good})  # type: ignore[arg-type]
