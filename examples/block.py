"""Two halves of a network of the strength of concrete, each replaced by formulas, and what that costs the whole.

python examples/block.py            or, on the command line, with this file beside you:
limbeck block --teacher block:teacher --data concrete --at decoder
"""

from __future__ import annotations

import torch

import limbeck
from limbeck import datasets


class Strength(torch.nn.Module):
    """Everything about a mixture goes through three numbers."""

    def __init__(self, mean: torch.Tensor, scale: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)
        self.encoder = torch.nn.Sequential(torch.nn.Linear(8, 32), torch.nn.SiLU(), torch.nn.Linear(32, 3))
        self.decoder = torch.nn.Sequential(torch.nn.Linear(3, 32), torch.nn.SiLU(), torch.nn.Linear(32, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        code = self.encoder((x - self.mean) / self.scale)
        return 36.0 + 17.0 * self.decoder(code).squeeze(1)


def teacher() -> torch.nn.Module:
    """The network, trained on three of four rows of Concrete."""
    data = datasets.load("concrete")
    rows = data.frame[data.frame.index % 4 > 0]
    X = torch.tensor(rows.drop(columns=data.target).to_numpy(), dtype=torch.float32)
    y = torch.tensor(rows[data.target].to_numpy(), dtype=torch.float32)
    torch.manual_seed(0)
    net = Strength(X.mean(dim=0), X.std(dim=0))
    optimiser = torch.optim.AdamW(net.parameters(), lr=5e-3, weight_decay=1e-2)
    for _ in range(400):
        optimiser.zero_grad()
        ((net(X) - y) ** 2).mean().backward()
        optimiser.step()
    return net.eval()


def main() -> None:
    """List the blocks, replace one, then the other in the network that came out."""
    data = datasets.load("concrete")
    rows, strength = data.frame.drop(columns=data.target), data.frame[data.target]
    net = teacher()
    print(limbeck.blocks(net, rows).drop(columns="why").to_string(index=False))
    for at, symbols in (("decoder", 30), ("encoder", 90)):
        student = limbeck.FormulaRegressor(max_complexity=symbols, max_evaluations=80_000)
        found = limbeck.distill_block(net, rows, strength, at=at, student=student, n_queries=2_000, random_state=0)
        print(f"\n{found.text()}")
        print(f"fidelity to the block {found.fidelity.value:.3f}, of the whole network {found.whole.value:.3f}")
        print(f"R2 on held-out concrete {found.before['value']:.3f} before, {found.after['value']:.3f} after")
        net = found.model


if __name__ == "__main__":
    main()
