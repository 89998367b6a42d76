"""A planted shortcut is let go where it is marked, and only there; a clean part that is marked instead is no cure."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from limbeck.training._explanation import explanation_penalty

SHORTCUT = torch.tensor([False, False, False, False, True])
ELSEWHERE = torch.tensor([True, False, False, False, False])


def world(n: int, seed: int, *, planted: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """The label is a noisy sum of four columns; the fifth gives it away in training and is a coin afterwards."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 5))
    y = (X[:, :4].sum(axis=1) + 0.5 * rng.normal(size=n) > 0).astype(int)
    told = y if planted else rng.integers(2, size=n)
    X[:, 4] = 2.0 * told - 1 + 0.3 * rng.normal(size=n)
    return torch.tensor(X, dtype=torch.float32), torch.tensor(y)


def accuracy_without_the_shortcut(mask: torch.Tensor | None, strength: float = 3.0, form: str = "l1") -> float:
    x, y = world(400, 0, planted=True)
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 2))
    optimiser = torch.optim.Adam(net.parameters(), lr=0.02)
    for _ in range(150):
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(net(x), y)
        if mask is not None:
            loss = loss + strength * explanation_penalty(net, x[:100], mask, form=form)  # type: ignore[arg-type]
        loss.backward()
        optimiser.step()
    new, truth = world(2000, 1, planted=False)
    with torch.no_grad():
        return float(net(new).argmax(1).eq(truth).float().mean())


@pytest.fixture(scope="module")
def plain() -> float:
    return accuracy_without_the_shortcut(None)


def test_the_plain_network_takes_the_shortcut_and_the_penalised_one_does_not(plain: float) -> None:
    assert plain < 0.75
    assert accuracy_without_the_shortcut(SHORTCUT) > max(0.88, plain + 0.15)


def test_a_wrong_region_does_not_cure_it(plain: float) -> None:
    assert accuracy_without_the_shortcut(ELSEWHERE) < plain + 0.05


def test_the_penalty_tells_a_network_that_uses_the_region_from_one_that_does_not() -> None:
    x, _ = world(50, 0, planted=True)
    uses, uses_not = nn.Linear(5, 1), nn.Linear(5, 1)
    with torch.no_grad():
        uses.weight.copy_(torch.tensor([[0.1, 0.1, 0.1, 0.1, 5.0]]))
        uses_not.weight.copy_(torch.tensor([[1.0, 1.0, 1.0, 1.0, 0.0]]))
    assert float(explanation_penalty(uses, x, SHORTCUT).detach()) > 1.0
    assert float(explanation_penalty(uses_not, x, SHORTCUT).detach()) == 0.0
    assert float(explanation_penalty(uses_not, x, ELSEWHERE).detach()) > 0.3


def test_a_pair_that_may_not_interact_is_let_go_and_each_alone_is_kept() -> None:
    """In training the label is x0 + x1 and, as clearly, their meeting in one unit; afterwards only the sum is right."""
    torch.manual_seed(0)
    x = torch.randn(400, 2)
    y = x.sum(dim=1, keepdim=True) + 2.0 * (x[:, :1] - x[:, 1:] - 1.0).relu()
    first = torch.tensor([True, False])

    def fitted(strength: float) -> tuple[float, float]:
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1))
        optimiser = torch.optim.Adam(net.parameters(), lr=0.02)
        for _ in range(200):
            optimiser.zero_grad()
            loss = ((net(x) - y) ** 2).mean()
            if strength:
                loss = loss + strength * explanation_penalty(net, x[:100], first, against=~first)
            loss.backward()
            optimiser.step()
        with torch.no_grad():
            own = net(x)
            # an additive function has no mixed difference
            mixed = own + net(torch.zeros_like(x)) - net(x * first) - net(x * ~first)
            return float(mixed.abs().mean()), float(((own - y) ** 2).mean() / y.var())

    free, held = fitted(0.0), fitted(10.0)
    assert held[0] < 0.4 * free[0]
    assert free[1] < 0.05
    assert held[1] < 0.7
