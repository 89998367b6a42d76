"""The penalties are what they are called, their gradients are right, and nothing about the model is changed."""

from __future__ import annotations

import copy
import gc
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from limbeck._core.errors import InputError
from limbeck._core.mlp import fit_mlp
from limbeck.training import jacobian_penalty, lipschitz_penalty, smoothness
from limbeck.training._jacobian import chain_with_jacobian, linear_chain
from limbeck.training._lipschitz import _VECTORS, largest_singular_values
from limbeck.training._penalised import penalised


def chain(*widths: int, act: type[nn.Module] = nn.SiLU, seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for a, b in itertools.pairwise(widths):
        layers += [nn.Linear(a, b, dtype=torch.float64), act()]
    return nn.Sequential(*layers[:-1])


def rows(n: int, *shape: int) -> torch.Tensor:
    return torch.randn(n, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(n))


def by_loop(model: nn.Module, x: torch.Tensor) -> float:
    jacobian: Any = torch.autograd.functional.jacobian
    return float(np.mean([float((jacobian(lambda r: model(r[None]), row) ** 2).sum()) for row in x]))


def check_gradient(model: nn.Module, value: Callable[[], torch.Tensor]) -> None:
    """Against finite differences, in a direction for each parameter."""
    _VECTORS.clear()
    names = [name for name, p in model.named_parameters() if p.requires_grad]
    parameters = [p for p in model.parameters() if p.requires_grad]
    slopes = torch.autograd.grad(value(), parameters, allow_unused=True)
    for name, p, slope in zip(names, parameters, slopes, strict=True):
        way = torch.randn(p.shape, dtype=p.dtype, generator=torch.Generator().manual_seed(1))
        found = []
        for step in (1e-5, -1e-5):
            with torch.no_grad():
                p.add_(way, alpha=step)
            _VECTORS.clear()
            found.append(float(value().detach()))
            with torch.no_grad():
                p.sub_(way, alpha=step)
        own = 0.0 if slope is None else float((slope * way).sum())
        assert own == pytest.approx((found[0] - found[1]) / 2e-5, rel=1e-5, abs=1e-7), name


@pytest.mark.parametrize("act", [nn.SiLU, nn.Tanh, nn.ReLU])
@pytest.mark.parametrize("k", [1, 3])
def test_the_jacobian_penalty_is_the_mean_square_of_the_jacobian(act: type[nn.Module], k: int) -> None:
    model, x = chain(4, 6, 5, k, act=act), rows(7, 4)
    assert float(jacobian_penalty(model, x).detach()) == pytest.approx(by_loop(model, x), rel=1e-12)
    check_gradient(model, lambda: jacobian_penalty(model, x))


def test_of_a_linear_map_it_is_the_frobenius_norm_and_not_the_spectral_norm() -> None:
    model = nn.Linear(4, 3, dtype=torch.float64)
    found = float(jacobian_penalty(model, rows(5, 4)).detach())
    assert found == pytest.approx(float((model.weight.detach() ** 2).sum()), rel=1e-12)
    assert abs(found - float(torch.linalg.matrix_norm(model.weight.detach(), 2)) ** 2) > 0.1


def test_of_a_constant_it_is_zero_and_can_be_added_to_a_loss() -> None:
    constant = chain(3, 4, 1)
    with torch.no_grad():
        constant[-1].weight.zero_()
    assert float(jacobian_penalty(constant, rows(4, 3)).detach()) == 0.0

    class Bias(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bias = nn.Parameter(torch.ones(1, dtype=torch.float64))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.bias.expand(len(x), 1)

    model = Bias()
    penalty = jacobian_penalty(model, rows(4, 3))
    penalty.backward()  # type: ignore[no-untyped-call]
    assert (float(penalty.detach()), float(model.bias.grad or 0.0)) == (0.0, 0.0)
    assert float(jacobian_penalty(lambda x: torch.ones(len(x)), rows(4, 3))) == 0.0  # type: ignore[arg-type]


def test_projections_are_unbiased_and_a_wrong_scale_would_be_seen() -> None:
    model, x, generator = chain(4, 8, 5), rows(6, 4), torch.Generator().manual_seed(0)
    exact = float(jacobian_penalty(model, x).detach())
    found = [float(jacobian_penalty(model, x, 1, generator=generator).detach()) for _ in range(2000)]
    error = np.std(found) / np.sqrt(len(found))
    assert np.mean(found) == pytest.approx(exact, abs=4 * error)
    assert 4 * error < 0.1 * exact
    assert np.std([float(jacobian_penalty(model, x, 4, generator=generator).detach()) for _ in range(200)]) < np.std(
        found
    )
    assert float(jacobian_penalty(model, x, 5).detach()) == pytest.approx(exact, rel=1e-12)
    one = chain(4, 8, 1)
    assert float(jacobian_penalty(one, x, 1).detach()) == pytest.approx(by_loop(one, x), rel=1e-12)


def test_images_and_outputs_without_a_column_work() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Tanh(), nn.Flatten(), nn.Linear(8, 1), nn.Flatten(0)).double()
    x = rows(3, 1, 4, 4)
    assert model(x).shape == (3,)
    assert float(jacobian_penalty(model, x).detach()) == pytest.approx(by_loop(model, x), rel=1e-10)


def test_nothing_is_changed_and_a_forward_pass_can_be_shared() -> None:
    model, x = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Linear(4, 2)).double().train(), rows(5, 3)
    model[0].bias.requires_grad_(False)
    state = copy.deepcopy(model.state_dict())
    jacobian_penalty(model, x)
    assert model.training
    assert not model[0].bias.requires_grad
    assert not x.requires_grad
    assert all(p.grad is None for p in model.parameters())
    assert all(torch.equal(a, b) for a, b in zip(state.values(), model.state_dict().values(), strict=True))
    with torch.no_grad():
        assert not jacobian_penalty(model, x).requires_grad
    model.eval()
    x.requires_grad_()
    shared = jacobian_penalty(model, x, outputs=model(x))
    assert float(shared.detach()) == pytest.approx(float(jacobian_penalty(model, x.detach()).detach()), rel=1e-12)
    assert x.requires_grad
    assert x.grad is None


def test_a_gradient_in_x_passes_through() -> None:
    model, x = chain(3, 4, 1), rows(5, 3).requires_grad_()
    (slope,) = torch.autograd.grad(jacobian_penalty(model, x), x)
    assert float(slope.abs().sum()) > 0


@pytest.mark.parametrize("act", [nn.SiLU, nn.Tanh, nn.ReLU])
@pytest.mark.parametrize("k", [1, 3])
def test_the_chain_written_out_is_the_same_penalty_on_part_of_the_batch(act: type[nn.Module], k: int) -> None:
    model, x = chain(4, 6, 5, k, act=act), rows(8, 4)
    layers = linear_chain(model)
    assert layers is not None
    outputs, penalty = chain_with_jacobian(layers, x, 3)
    assert torch.equal(outputs, model(x))
    assert float(penalty.detach()) == pytest.approx(by_loop(model, x[:3]), rel=1e-12)
    assert float(penalty.detach()) != pytest.approx(by_loop(model, x), rel=1e-3)
    check_gradient(model, lambda: chain_with_jacobian(layers, x, 3)[1])
    assert linear_chain(nn.Sequential(model, nn.Linear(k, 1))) is None
    assert linear_chain(nn.Sequential(nn.Linear(2, 2), nn.GELU(), nn.Linear(2, 1))) is None


def test_what_training_takes_is_the_same_for_a_chain_and_for_another_module() -> None:
    x, model = rows(8, 4), chain(4, 6, 1)
    add = penalised("jacobian", 0.5, share=0.5)
    assert add is not None
    (one, a), (two, b) = add(model, x), add(nn.Sequential(nn.Identity(), model), x)
    torch.testing.assert_close(one, two)
    assert float(a.detach()) == pytest.approx(float(b.detach()), rel=1e-12)
    assert float(a.detach()) == pytest.approx(0.5 * by_loop(model, x[:4]), rel=1e-12)
    assert penalised("jacobian", 0.0) is None
    assert penalised("none", 1.0) is None
    with pytest.raises(InputError, match="'none', 'jacobian' or 'lipschitz'; got 'ridge'"):
        penalised("ridge", 1.0)  # type: ignore[arg-type]


def as_matrix(layer: nn.Module, *shape: int) -> torch.Tensor:
    unit = torch.eye(int(np.prod(shape)), dtype=torch.float64).reshape(-1, *shape)
    with torch.no_grad():
        return (layer(unit) - layer(torch.zeros_like(unit))).flatten(1).T


def test_the_lipschitz_penalty_is_the_sum_of_log_spectral_norms() -> None:
    model = chain(30, 64, 64, 1)
    norms = torch.stack(
        [torch.linalg.matrix_norm(layer.weight.detach(), 2) for layer in model if isinstance(layer, nn.Linear)]
    )
    for _ in range(40):
        assert float(lipschitz_penalty(model).detach()) == pytest.approx(float(norms.log().sum()), abs=1e-5)
        assert float(lipschitz_penalty(model, form="product").detach()) == pytest.approx(float(norms.prod()), rel=1e-5)
    frobenius = sum(float(layer.weight.detach().norm().log()) for layer in model if isinstance(layer, nn.Linear))
    assert abs(frobenius - float(norms.log().sum())) > 1
    single = copy.deepcopy(model).float()
    assert float(lipschitz_penalty(single).detach()) == pytest.approx(float(norms.log().sum()), abs=1e-4)


@pytest.mark.parametrize("form", ["log", "product"])
def test_its_gradient(form: Any) -> None:
    model = chain(5, 8, 7, 2)
    check_gradient(model, lambda: lipschitz_penalty(model, form=form))


LAYERS = {
    "strided": (nn.Conv2d(2, 3, 3, stride=2, padding=1), (2, 7, 6)),
    "grouped": (nn.Conv2d(4, 4, 3, groups=2, padding=1), (4, 5, 5)),
    "circular": (nn.Conv1d(2, 3, 3, padding=1, padding_mode="circular"), (2, 9)),
    "dilated 3d": (nn.Conv3d(1, 2, 2, dilation=2, padding=1), (1, 4, 4, 4)),
    "transposed": (nn.ConvTranspose2d(3, 2, 3, stride=2, output_padding=1), (3, 4, 5)),
    "transposed 1d": (nn.ConvTranspose1d(2, 2, 4, padding=1), (2, 8)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_convolution_counts_as_the_operator_that_it_is(name: str) -> None:
    layer, shape = LAYERS[name]
    layer = copy.deepcopy(layer).double()
    x = rows(3, *shape)
    true = float(torch.linalg.matrix_norm(as_matrix(layer, *shape), 2))
    for _ in range(3):
        assert float(lipschitz_penalty(layer, x, form="product").detach()) == pytest.approx(true, rel=1e-5)
    check_gradient(layer, lambda: lipschitz_penalty(layer, x))
    assert largest_singular_values(layer, x) == pytest.approx([true], rel=1e-6)
    kernel = torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2)
    assert float(kernel) != pytest.approx(true, rel=0.01)


def test_the_size_of_a_convolutions_input_is_seen_or_the_default_one() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.BatchNorm2d(2), nn.Conv2d(2, 1, 3, padding=1)).double()
    model.train()
    state = copy.deepcopy(model.state_dict())
    seen = float(lipschitz_penalty(model, rows(2, 1, 3, 3)).detach())
    unseen = float(lipschitz_penalty(model).detach())
    want = [float(torch.linalg.matrix_norm(as_matrix(model[i], model[i].in_channels, 16, 16), 2)) for i in (0, 2)]
    assert unseen == pytest.approx(float(np.log(want).sum()), rel=1e-5)
    assert seen < unseen - 0.05
    assert model.training
    assert model[1].training
    assert not model[0]._forward_pre_hooks
    assert all(torch.equal(a, b) for a, b in zip(state.values(), model.state_dict().values(), strict=True))


def test_weights_of_zero_have_a_floor_and_come_back() -> None:
    layer = nn.Linear(2, 2, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.zero_()
    for form, value in (("log", float(np.log(1e-6))), ("product", 0.0)):
        penalty = lipschitz_penalty(layer, form=form)  # type: ignore[arg-type]
        (slope,) = torch.autograd.grad(penalty, layer.weight)
        assert float(penalty.detach()) == pytest.approx(value)
        assert torch.equal(slope, torch.zeros_like(slope))
    for first, second in ((3.0, 1.0), (1.0, 3.0)):
        with torch.no_grad():
            layer.weight.copy_(torch.diag(torch.tensor([first, second])))
        assert float(lipschitz_penalty(layer, form="product").detach()) == pytest.approx(3.0, rel=1e-6)
    with torch.no_grad():
        layer.weight.copy_(torch.diag(torch.tensor([3.3, 3.0])))
    assert any(abs(float(lipschitz_penalty(layer, form="product").detach()) - 3.3) < 1e-3 for _ in range(400))


def test_weights_that_are_no_numbers_are_seen_and_forgotten() -> None:
    layer = nn.Linear(2, 2, dtype=torch.float64)
    before = layer.weight.detach().clone()
    with torch.no_grad():
        layer.weight.fill_(float("nan"))
    assert np.isnan(float(lipschitz_penalty(layer).detach()))
    with torch.no_grad():
        layer.weight.copy_(before)
    assert np.isfinite(float(lipschitz_penalty(layer).detach()))


def test_what_is_remembered_stays_outside_the_model_and_goes_with_it() -> None:
    gc.collect()
    model, known = chain(3, 4, 1), len(_VECTORS)
    keys = list(model.state_dict())
    torch.manual_seed(3)
    before = torch.get_rng_state()
    lipschitz_penalty(model)
    assert torch.equal(before, torch.get_rng_state())
    assert list(model.state_dict()) == keys
    assert len(_VECTORS) == known + 2
    other = copy.deepcopy(model)
    assert len(_VECTORS) == known + 2
    assert float(lipschitz_penalty(other).detach()) == pytest.approx(float(lipschitz_penalty(model).detach()))
    del model, other
    gc.collect()
    assert len(_VECTORS) == known


def test_it_follows_weights_that_are_trained() -> None:
    model, x = chain(6, 32, 32, 1), rows(64, 6)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(100):
        optimiser.zero_grad()
        loss = ((model(x)[:, 0] - 3 * torch.sin(x[:, 0])) ** 2).mean() + 0.01 * lipschitz_penalty(model)
        loss.backward()
        optimiser.step()
    own = float(np.log(largest_singular_values(model)).sum())
    assert float(lipschitz_penalty(model).detach()) == pytest.approx(own, abs=0.02)


def test_smoothness_of_a_linear_map_and_of_a_bend_between_the_rows() -> None:
    model = nn.Linear(3, 2, dtype=torch.float64)
    found = smoothness(model, rows(5, 3))
    spectral = float(torch.linalg.matrix_norm(model.weight.detach(), 2))
    assert found.mean_jacobian == pytest.approx(float(model.weight.detach().norm()))
    assert found.largest_slope == pytest.approx(spectral)
    assert found.lipschitz_bound == pytest.approx(spectral)
    bend = nn.Sequential(nn.Linear(1, 1, dtype=torch.float64), nn.Tanh())
    with torch.no_grad():
        bend[0].weight.fill_(2.0)
        bend[0].bias.fill_(0.0)
    between = smoothness(bend, torch.tensor([[-0.5], [0.4]], dtype=torch.float64))
    assert between.mean_jacobian < 1.2
    assert 1.9 < between.largest_slope <= 2.0 + 1e-12
    assert between.lipschitz_bound == pytest.approx(2.0)
    assert between.to_dict()["rows"] == 2


@pytest.mark.parametrize("act", [nn.SiLU, nn.Tanh, nn.ReLU, nn.GELU, nn.Sigmoid])
def test_the_bound_is_above_every_slope(act: type[nn.Module]) -> None:
    model = chain(3, 16, 16, 2, act=act).train()
    found = smoothness(model, 3 * rows(50, 3))
    assert found.lipschitz_bound is not None
    assert found.largest_slope <= found.lipschitz_bound * (1 + 1e-9)
    assert found.largest_slope > 0
    assert model.training
    assert all(p.grad is None for p in model.parameters())
    unknown = nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2)).double()
    assert smoothness(unknown, rows(5, 3)).lipschitz_bound is None
    assert "bound not known" in smoothness(unknown, rows(5, 3)).text()


WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "whole numbers": (lambda: jacobian_penalty(chain(2, 1), torch.ones(3, 2, dtype=torch.long)), "got torch.int64"),
    "no tensor": (lambda: jacobian_penalty(chain(2, 1), [[1.0, 2.0]]), "got a list"),  # type: ignore[arg-type]
    "no rows": (lambda: jacobian_penalty(chain(2, 1), rows(1, 2)[:0]), r"at least one row; got .* \(0, 2\)"),
    "no projections": (lambda: jacobian_penalty(chain(2, 1), rows(3, 2), 0), "at least 1, or None; got 0"),
    "half a projection": (lambda: jacobian_penalty(chain(2, 1), rows(3, 2), 1.5), "got 1.5"),  # type: ignore[arg-type]
    "a mean": (lambda: jacobian_penalty(lambda x: x.mean(), rows(3, 2)), r"answer 3 rows"),  # type: ignore[arg-type]
    "outputs of a fixed x": (
        lambda: jacobian_penalty(chain(2, 1), rows(3, 2), outputs=chain(2, 1)(rows(3, 2))),
        "with requires_grad",
    ),
    "no layers": (lambda: lipschitz_penalty(nn.ReLU()), "linear or convolution layers is required; ReLU has none"),
    "no module": (lambda: lipschitz_penalty(lambda x: x), "Module is required; got a function"),  # type: ignore[arg-type]
    "unknown form": (lambda: lipschitz_penalty(chain(2, 1), form="sum"), "'log' or 'product'; got 'sum'"),  # type: ignore[arg-type]
    "rows with NaN": (lambda: smoothness(chain(2, 1), torch.full((2, 2), float("nan"))), "finite floating-point"),
    "a cube": (lambda: smoothness(nn.Flatten(0), rows(3, 2)), "must answer with"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said(name: str) -> None:
    call, message = WRONG[name]
    with pytest.raises(InputError, match=message):
        call()


def test_a_penalty_in_the_training_loop_is_added_to_the_loss_but_not_to_what_stops_it() -> None:
    rng = np.random.default_rng(0)
    X, batches = rng.normal(size=(40, 2)), []  # type: ignore[var-annotated]

    def add(network: nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        batches.append(x)
        return network(x), torch.tensor(100.0)

    options: dict[str, Any] = {"task": "regression", "hidden": (4,), "max_epochs": 3, "batch_size": 40, "seed": 0}
    network = fit_mlp(X, X[:, 0], validation=0.25, penalty=add, **options)
    assert [loss > 100 for loss, _ in network.history] == [True] * 3
    assert all(held < 10 for _, held in network.history)
    assert not torch.equal(batches[0], batches[1])
    torch.testing.assert_close(batches[0].mean(dim=0), torch.zeros(2), atol=1e-5, rtol=0)
    np.testing.assert_array_equal(torch.sort(batches[0][:, 0])[0], torch.sort(batches[1][:, 0])[0])


def test_a_penalty_that_is_no_number_ends_as_diverged() -> None:
    X = np.random.default_rng(0).normal(size=(40, 2))

    def add(network: nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return network(x), network(x).sum() * float("nan")

    network = fit_mlp(X, X[:, 0], task="regression", hidden=(4,), penalty=add)
    assert network.stopped == "diverged"
