"""A torch network of the strength of concrete, distilled into a tree, a formula and a small network.

python examples/concrete.py
"""

from __future__ import annotations

import torch

import limbeck
from limbeck import datasets


def train(X: torch.Tensor, y: torch.Tensor) -> torch.nn.Module:
    """A small network with its scaling inside, as a person might have one."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Linear(8, 64), torch.nn.SiLU(), torch.nn.Linear(64, 64), torch.nn.SiLU(), torch.nn.Linear(64, 1)
    )
    mean, scale = X.mean(dim=0), X.std(dim=0)

    class Scaled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 36.0 + 17.0 * self.net((x - mean) / scale)

    model = Scaled()
    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=1e-3)
    for _ in range(600):
        optimiser.zero_grad()
        loss = ((model(X).squeeze(1) - y) ** 2).mean()
        loss.backward()
        optimiser.step()
    return model.eval()


def main() -> None:
    """Train, distil, choose, read, export."""
    data = datasets.load("concrete")
    rows, strength = data.frame.drop(columns=data.target), data.frame[data.target]
    model = train(
        torch.tensor(rows.to_numpy(), dtype=torch.float32), torch.tensor(strength.to_numpy(), dtype=torch.float32)
    )
    result = limbeck.distill(model, rows, strength, students=["tree", "network"], n_queries=2_000, random_state=0)
    print(result.table().to_string(index=False))
    tree = result["tree"]
    print(tree.readable.text())
    print(tree.readable.export("sql"))


if __name__ == "__main__":
    main()
