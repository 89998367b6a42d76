"""What contextual decomposition refuses, and that it leaves the network as it was."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from limbeck._core.errors import InputError, TeacherError
from limbeck.attribution import contextual_decomposition, operations

X = torch.randn(2, 4, generator=torch.Generator().manual_seed(0))
MASK = torch.tensor([True, False, True, False])


class Does(nn.Module):
    """A linear layer, then a function of its output."""

    def __init__(self, function) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.inner, self.function = nn.Linear(4, 4), function

    def forward(self, x):
        return self.function(self.inner(x))


@pytest.mark.parametrize(
    ("function", "match"),
    [
        (lambda h: torch.linalg.inv(torch.eye(2) + h[:, :2, None] * 0).flatten(1), "no rule for 'linalg_inv'"),
        (lambda h: h + torch.zeros(2, 4).copy_(h), "no rule for 'copy_'"),
        (lambda h: torch.log(h.abs() + 1), "not finite or not defined at 0"),
        (lambda h: 1 / (h + 20), "not defined where a part is 0"),
        (lambda h: h * h.max().item(), "no rule for 'item'"),
        (lambda h: torch.from_numpy(h.detach().numpy()), "no rule for 'numpy'"),
        (lambda h: h.long().float(), "it would lose which inputs"),
        (lambda h: torch.dropout(h, 0.5, True) * 0 + h, "it stays random in evaluation mode"),
        (
            lambda h: nn.functional.lp_pool1d(h[:, None], 2.0, 2)[:, 0],
            r"'lp_pool1d' \(used in test_decomposition.py, line",
        ),
        (lambda h: [h, h.view(-1).relu_()][0], "in place, numbers that another tensor looks at"),
    ],
)
def test_what_has_no_rule_is_refused_by_name_and_the_model_stays(function, match: str) -> None:
    net = Does(function).train()
    before = copy.deepcopy(net.state_dict())
    state = torch.get_rng_state()
    with pytest.raises((InputError, TeacherError), match=match):
        contextual_decomposition(net, X, MASK)
    assert net.training
    assert net.inner.training
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


def test_nothing_is_left_behind() -> None:
    net = nn.Sequential(
        nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.ReLU(inplace=True), nn.Linear(4, 2)
    ).train()
    calls: list[int] = []
    net[0].register_forward_hook(lambda *_: calls.append(1))
    net(X).sum().backward()
    before, gradients = copy.deepcopy(net.state_dict()), [p.grad for p in net.parameters()]
    x = X.clone()
    state = torch.get_rng_state()
    contextual_decomposition(net, x, MASK)
    assert all(part.training for part in net.modules())
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
    assert all(p.grad is g for p, g in zip(net.parameters(), gradients, strict=True))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(x, X)
    assert calls
    assert len(net[0]._forward_hooks) == 1


def test_gradients_reach_the_parameters_only_where_asked() -> None:
    net = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 1))
    assert not contextual_decomposition(net, X, MASK).relevant.requires_grad
    contextual_decomposition(net, X, MASK, gradients=True).relevant.sum().backward()
    assert net[0].weight.grad is not None
    h = 1e-3
    with torch.no_grad():
        net[0].weight[0, 0] += h
        up = contextual_decomposition(net.double(), X, MASK).relevant.sum()
        net[0].weight[0, 0] -= 2 * h
        down = contextual_decomposition(net, X, MASK).relevant.sum()
    assert net[0].weight.grad[0, 0].item() == pytest.approx(((up - down) / (2 * h)).item(), rel=1e-2, abs=1e-4)


@pytest.mark.parametrize(
    ("x", "mask", "options", "match"),
    [
        (X, MASK.float(), {}, "mask must be boolean"),
        (X, torch.ones(3, dtype=torch.bool), {}, "mask must have the shape of one row"),
        (X, "words", {}, "mask must be boolean|mask must be a boolean"),
        (X * torch.nan, MASK, {}, "x must be finite"),
        (X / 0, MASK, {}, "x must be finite"),
        (X[0], MASK, {}, "x must hold rows"),
        (X[:0], MASK, {}, "at least one"),
        (X > 0, MASK, {}, "numbers or token ids"),
        (np.array([["a"] * 4]), MASK, {}, "x must be an array of numbers"),
        (X[:, :3], MASK[:3], {}, "the model raised RuntimeError"),
        (X, MASK, {"rule": "lrp"}, "rule must be one of"),
        (X, MASK, {"memory_mb": 0}, "memory_mb must be a number above 0"),
        (X, MASK, {"baseline": [1.0, 2.0]}, "baseline must be a number or have the shape"),
        (X, MASK, {"baseline": torch.nan}, "baseline must be finite"),
    ],
)
def test_bad_inputs(x, mask, options, match: str) -> None:
    with pytest.raises((InputError, TeacherError), match=match):
        contextual_decomposition(nn.Linear(4, 2), x, mask, **options)


@pytest.mark.parametrize(
    ("model", "match"),
    [
        (lambda x: x, "must be a torch.nn.Module"),
        (Does(lambda h: (h, h)), "must give one tensor"),
        (Does(lambda h: h.sum()), "a row for each"),
        (Does(lambda h: h * torch.nan), "answers with NaN"),
        (Does(lambda h: 1 / 0), "raised ZeroDivisionError"),
    ],
)
def test_models_that_cannot_be_followed(model, match: str) -> None:
    with pytest.raises((InputError, TeacherError), match=match):
        contextual_decomposition(model, X, MASK)


@pytest.mark.parametrize(
    "function",
    [
        lambda h: h.masked_fill(h > 0, 1.0),
        lambda h: torch.where(h > 0, h, -h),
        lambda h: torch.stack(torch.unbind(h, 1), 1).cumsum(1),
        lambda h: torch.einsum("bi,bj->bij", h, h).flatten(1),
        lambda h: h / (h.norm(dim=1, keepdim=True) + 1e-3),
        lambda h: (h - h.mean(1, keepdim=True)) * torch.rsqrt(h.var(1, keepdim=True) + 1e-3),
        lambda h: torch.maximum(h, h.flip(1)) - torch.minimum(h, h.roll(1, 1)),
        lambda h: h.sort(dim=1).values + h.topk(4, dim=1)[0],
        lambda h: torch.fft.irfft(torch.fft.rfft(h, dim=1) * 2, n=4, dim=1),
        lambda h: torch.addmm(h.new_ones(2), h, h.new_ones(4, 2)) * h.new_tensor([1.0, 2.0]),
        lambda h: 1 - 2 * h.square() + h**3,
        lambda h: h @ h.new_ones(4, 2) + h.new_ones(3, 4).T[:, :2].sum(0),
        lambda h: h.gather(1, torch.tensor([[3, 1], [0, 2]])) + h.index_select(1, torch.tensor([0, 2])),
        lambda h: torch.einsum("bi,ij->bj", h, h.new_ones(4, 2)) + h[:, torch.tensor([1, 2])],
        lambda h: torch.cat([h, h.new_ones(2, 1), h[h.new_zeros(2).long()]], 1),
        lambda h: h.clamp(-1, 0.5).pow(2),
        lambda h: h.max(1, keepdim=True).values + h.amax(1, keepdim=True) + h.logsumexp(1, keepdim=True),
        lambda h: torch.ops.aten.relu.default(torch.ops.aten.add.Tensor(h, 1.0)),
        lambda h: nn.functional.pad(h[:, None, None], (1, 1, 1, 1), value=2.0).flatten(1),
    ],
)
def test_parts_add_up_for_what_users_write(function) -> None:
    net = Does(function).double()
    masks = torch.stack([MASK, ~MASK, MASK & False])[:, None]
    found = contextual_decomposition(net, X, masks)
    assert found.residual < 1e-10
    assert not found.relevant[2].any()
    assert found.relevant[0].abs().max() > 1e-6
    assert (found.relevant[0] - found.relevant[1]).abs().max() > 1e-6
    assert torch.allclose(found.relevant[0], contextual_decomposition(net, X, MASK).relevant, atol=1e-10)


def test_token_ids_padded_offset_and_one_hot() -> None:
    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.words, self.out = nn.Embedding(12, 3), nn.Linear(3 + 6, 2)

        def forward(self, ids):
            rows = self.words(ids + 6).mean(1)
            return self.out(torch.cat([rows, nn.functional.one_hot(ids, 6).float().sum(1)], 1))

    ids = torch.tensor([[0, 1, 5, 2]])
    found = contextual_decomposition(Reader(), ids, torch.eye(4, dtype=torch.bool)[:, None])
    assert found.residual < 1e-6
    assert (found.relevant.abs().sum((1, 2)) > 0).all()
    with pytest.raises(InputError, match="token ids have no baseline"):
        contextual_decomposition(Reader(), ids, torch.ones(4, dtype=torch.bool), baseline=1)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_scripted_module_is_refused() -> None:
    with pytest.raises(InputError, match="scripted module"):
        contextual_decomposition(torch.jit.trace(nn.Linear(4, 2), X), X, MASK)


def test_operations_are_listed() -> None:
    assert {"conv3d", "lstm", "gru", "layer_norm", "scaled_dot_product_attention", "embedding"} <= set(operations())
