"""Contextual decomposition against a carry of both parts written by hand, by its identities, and on planted groups."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from limbeck.attribution import contextual_decomposition

TIGHT, LOOSE = 1e-10, 1e-5


def shared(
    rel: torch.Tensor, irr: torch.Tensor, bias: torch.Tensor, zero: float | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """The two parts with their shares of a bias, written as in the papers."""
    both = rel.abs() + irr.abs()
    nothing = both == 0
    share = torch.where(nothing, 0.0 if zero is None else zero, rel.abs() / both.clamp_min(1e-300))
    rest = 1 - share if zero is not None else torch.where(nothing, 0.0, 1 - share)
    return rel + share * bias, irr + rest * bias


def carry(
    net: nn.Sequential, rel: torch.Tensor, irr: torch.Tensor, zero: float | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Both parts through convolutions, ReLU, max pools and linear layers."""
    for layer in net:
        if isinstance(layer, nn.Conv2d):
            bias = layer.bias.reshape(-1, 1, 1)
            rel, irr = shared(F.conv2d(rel, layer.weight), F.conv2d(irr, layer.weight), bias, zero)
        elif isinstance(layer, nn.Linear):
            rel, irr = shared(rel @ layer.weight.T, irr @ layer.weight.T, layer.bias, zero)
        elif isinstance(layer, nn.ReLU):
            rel, irr = torch.relu(rel), torch.relu(rel + irr) - torch.relu(rel)
        elif isinstance(layer, nn.MaxPool2d):
            _, at = F.max_pool2d(rel + irr, 2, return_indices=True)
            rel, irr = (p.flatten(2).gather(2, at.flatten(2)).reshape(at.shape) for p in (rel, irr))
        else:
            rel, irr = rel.flatten(1), irr.flatten(1)
    return rel, irr


@pytest.mark.parametrize(("rule", "zero"), [("proportional", 0.0), ("acd", 0.5), ("cdep", None)])
def test_a_convolutional_network_as_by_hand_under_each_convention(rule: str, zero: float | None) -> None:
    torch.manual_seed(0)
    layers = [
        nn.Conv2d(1, 4, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 3, 2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(12, 3),
    ]
    net = nn.Sequential(*layers).double()
    x = torch.rand(3, 1, 8, 8, dtype=torch.float64) * (torch.rand(3, 1, 8, 8) < 0.4)  # black ground: both parts 0
    masks = torch.rand(4, 1, 1, 8, 8) < 0.3
    masks[0] = False
    found = contextual_decomposition(net, x, masks, rule=rule)
    for mask, relevant, irrelevant in zip(masks, *found, strict=True):
        by_hand = carry(net, x * mask, x * ~mask, zero)
        torch.testing.assert_close(relevant, by_hand[0], rtol=0, atol=TIGHT)
        torch.testing.assert_close(irrelevant, by_hand[1], rtol=0, atol=TIGHT)
    lost = found.residual > 1e-3
    assert lost == (rule == "cdep")
    assert (found.relevant[0].abs().max() > 1e-3) == (rule == "acd")  # the public rule gives an empty mask relevance


def test_an_lstm_as_the_paper_writes_it() -> None:
    torch.manual_seed(1)
    lstm, out = nn.LSTM(3, 4, batch_first=True).double(), nn.Linear(4, 2, bias=False).double()

    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm, self.out = lstm, out

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.out(self.lstm(x)[1][0][-1])

    x = torch.randn(2, 5, 3, dtype=torch.float64)
    inside = [False, True, True, False, False]
    w, u, b = lstm.weight_ih_l0, lstm.weight_hh_l0, lstm.bias_ih_l0 + lstm.bias_hh_l0

    def three(f, a, q, c):
        return (
            0.5 * (f(a + c) - f(c) + f(a + q + c) - f(q + c)),
            0.5 * (f(q + c) - f(c) + f(a + q + c) - f(a + c)),
            f(c),
        )

    h = hi = c = ci = torch.zeros(2, 4, dtype=torch.float64)
    for t in range(5):
        a = h @ u.T + (x[:, t] @ w.T if inside[t] else 0)
        q = hi @ u.T + (0 if inside[t] else x[:, t] @ w.T)
        (ai, af, ag, ao), (qi, qf, qg, qo), (bi, bf, bg, bo) = a.chunk(4, 1), q.chunk(4, 1), b.chunk(4)
        ri, ii, ci_ = three(torch.sigmoid, ai, qi, bi)
        rf, jf, cf = three(torch.sigmoid, af, qf, bf)
        rg, ig, cg = three(torch.tanh, ag, qg, bg)
        new = ri * (rg + cg) + ci_ * rg + (rf + cf) * c + (ci_ * cg if inside[t] else 0)
        rest = ii * (rg + ig + cg) + (ri + ci_) * ig + (rf + jf + cf) * ci + jf * c + (0 if inside[t] else ci_ * cg)
        c, ci = new, rest
        o = torch.sigmoid(ao + qo + bo)
        h = o * 0.5 * (torch.tanh(c) + torch.tanh(c + ci) - torch.tanh(ci))
        hi = o * 0.5 * (torch.tanh(ci) + torch.tanh(c + ci) - torch.tanh(c))
    relevant, irrelevant = contextual_decomposition(Reader(), x, torch.tensor(inside)[:, None])
    torch.testing.assert_close(relevant, out(h), rtol=0, atol=TIGHT)
    torch.testing.assert_close(irrelevant, out(hi), rtol=0, atol=TIGHT)


class Residual(nn.Module):
    """What a walk over modules gets wrong: a reused ReLU in place, a residual sum, concatenation, a branch."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.norms, self.relu, self.out = (
            nn.ModuleList([nn.BatchNorm2d(4) for _ in "ab"]),
            nn.ReLU(inplace=True),
            nn.Linear(8, 3),
        )
        for norm in self.norms:
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.norms[0](self.one(x)))
        y = self.norms[1](self.two(x))
        y += x
        y = F.max_pool2d(self.relu(y), 2)
        if y.mean() > -1:
            y = torch.cat([y, y.flip(-1)], 1)
        return self.out(F.adaptive_avg_pool2d(y, 1).flatten(1))


class Transformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words, self.place = nn.Embedding(9, 8), nn.Parameter(torch.randn(6, 8))
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, activation="gelu")
        self.layers, self.out = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), nn.Linear(8, 2)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        hidden = self.layers(self.words(ids) + self.place, src_key_padding_mask=ids == 0)
        return self.out(hidden.mean(1))


class ByHand(nn.Module):
    """Attention written out, causal, after a layer norm; a gate."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.norm, self.gate, self.out = nn.Linear(4, 24), nn.LayerNorm(8), nn.Linear(8, 8), nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.qkv(x).chunk(3, -1)
        scores = (q @ k.transpose(1, 2) / 8**0.5).masked_fill(torch.ones(5, 5, dtype=torch.bool).triu(1), -torch.inf)
        mixed = self.norm(scores.softmax(-1) @ v)
        return self.out((mixed * torch.sigmoid(self.gate(mixed))).mean(1))


class Recurrent(nn.Module):
    def __init__(self, kind: type[nn.Module], **options: bool) -> None:
        super().__init__()
        self.layers, self.out = kind(3, 4, 2, batch_first=True, bidirectional=True, **options), nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.layers(x)[0][:, -1])


def networks() -> dict[str, tuple[nn.Module, torch.Tensor]]:
    torch.manual_seed(0)
    many = [
        nn.Linear(4, 8),
        nn.Tanh(),
        nn.Linear(8, 8),
        nn.GELU(),
        nn.GroupNorm(2, 8),
        nn.SiLU(),
        nn.Dropout(),
        nn.PReLU(),
    ]
    many += [nn.RMSNorm(8), nn.Linear(8, 8), nn.Softmax(-1), nn.Linear(8, 8), nn.ELU(), nn.GLU()]
    signal = [
        nn.Conv1d(2, 4, 3),
        nn.LeakyReLU(),
        nn.MaxPool1d(2),
        nn.ConvTranspose1d(4, 3, 3),
        nn.InstanceNorm1d(3, affine=True),
    ]
    signal += [nn.AvgPool1d(2), nn.Hardswish(), nn.AdaptiveMaxPool1d(3), nn.Upsample(scale_factor=2), nn.Flatten()]
    volume = [nn.Conv3d(1, 2, 2), nn.ReLU6(), nn.MaxPool3d(2), nn.Softplus(), nn.AdaptiveAvgPool3d(1), nn.Flatten()]
    return {
        "residual": (Residual(), torch.randn(2, 2, 6, 6)),
        "transformer": (Transformer(), torch.tensor([[1, 2, 3, 4, 0, 0], [5, 6, 7, 8, 1, 2]])),
        "attention by hand": (ByHand(), torch.randn(2, 5, 4)),
        "lstm": (Recurrent(nn.LSTM), torch.randn(2, 5, 3)),
        "gru": (Recurrent(nn.GRU), torch.randn(2, 5, 3)),
        "rnn": (Recurrent(nn.RNN), torch.randn(2, 5, 3)),
        "many layers": (nn.Sequential(*many), torch.randn(3, 4)),
        "signal": (nn.Sequential(*signal), torch.randn(3, 2, 20)),
        "volume": (nn.Sequential(*volume), torch.randn(2, 1, 5, 5, 5)),
    }


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", list(networks()))
@pytest.mark.parametrize("rule", ["proportional", "shapley"])
def test_parts_add_up_the_empty_mask_has_nothing_and_masks_may_come_together(
    name: str, dtype: torch.dtype, rule: str
) -> None:
    net, x = networks()[name]
    net, x = net.to(dtype).train(), x.to(dtype) if x.is_floating_point() else x
    near = LOOSE if dtype == torch.float32 else TIGHT
    rounding = 2e-3 if dtype == torch.float32 else TIGHT  # of one part; norms divide small numbers
    generator = torch.Generator().manual_seed(3)
    masks = torch.rand(6, 1, *x.shape[1:], generator=generator) < 0.5
    masks[0], masks[1] = False, True
    found = contextual_decomposition(net, x, masks, rule=rule, memory_mb=0.001)
    whole = net.eval()(x)
    size = whole.abs().max()
    assert found.residual <= near
    assert ((found.relevant + found.irrelevant - whole).abs().max() / size) <= near
    assert not found.relevant[0].any()
    # all inputs, and no constant that the network brings itself: everything is relevant
    assert (found.relevant[1] - whole).abs().max() / size <= rounding
    for mask, relevant in zip(masks, found.relevant, strict=True):
        alone = contextual_decomposition(net, x, mask[0], rule=rule).relevant
        assert (alone - relevant).abs().max() / size <= rounding
    assert (found.relevant[2] - found.relevant[3]).abs().max() / size > 1e-4  # and different masks differ


def test_the_right_group_is_found_and_a_wrong_one_is_not() -> None:
    # min(x0, x1) = x0 - relu(x0 - x1): only both together
    net = nn.Sequential(nn.Linear(3, 2, bias=False), nn.ReLU(), nn.Linear(2, 1, bias=False)).double()
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[1.0, 0, 0], [1.0, -1.0, 0]]))
        net[2].weight.copy_(torch.tensor([[1.0, -1.0]]))
    x = torch.tensor([[0.9, 0.4, 0.7]], dtype=torch.float64)
    masks = torch.tensor([[1, 0, 0], [0, 1, 0], [1, 1, 0], [1, 0, 1]], dtype=torch.bool)[:, None]
    first, second, both, wrong = contextual_decomposition(net, x, masks).relevant.flatten().tolist()
    assert both - first - second == pytest.approx(0.4, abs=1e-12)
    assert wrong - first == pytest.approx(0.0, abs=1e-12)


def test_a_baseline_stands_for_absent() -> None:
    net = nn.Linear(2, 1)
    x, base = torch.tensor([[3.0, 5.0]]), [1.0, 5.0]
    relevant, _ = contextual_decomposition(
        nn.Sequential(nn.Linear(2, 1, bias=False)), x, torch.tensor([False, True]), baseline=base
    )
    assert relevant.item() == 0.0
    assert contextual_decomposition(net, x, torch.tensor([True, True]), baseline=base).residual < LOOSE
