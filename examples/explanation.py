"""A network that took a shortcut, the same network with its explanation corrected, and the tree that each becomes.

python examples/explanation.py
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

import limbeck
from limbeck.training._explanation import explanation_penalty

COLUMNS = ["age", "pressure", "sugar", "weight", "ward"]
WARD = torch.tensor([name == "ward" for name in COLUMNS])


def patients(n: int, seed: int, *, sorted_by_illness: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Standardised columns. In the first hospital the ill lie in a ward of their own, elsewhere they do not."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, len(COLUMNS)))
    ill = (X[:, 0] + X[:, 1] + 0.5 * X[:, 2] + 0.4 * rng.normal(size=n) > 0).astype(int)
    ward = ill if sorted_by_illness else rng.integers(2, size=n)
    X[:, 4] = 2 * ward - 1 + 0.2 * rng.normal(size=n)
    return torch.tensor(X, dtype=torch.float32), torch.tensor(ill)


def train(x: torch.Tensor, y: torch.Tensor, strength: float) -> torch.nn.Module:
    """A small network; with a strength above 0 what it makes of the ward counts against it."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(5, 16), torch.nn.ReLU(), torch.nn.Linear(16, 2))
    optimiser = torch.optim.Adam(net.parameters(), lr=0.02)
    for _ in range(120):
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(net(x), y)
        if strength:
            loss = loss + strength * explanation_penalty(net, x[:100], WARD, rule="shapley")
        loss.backward()
        optimiser.step()
    return torch.nn.Sequential(net, torch.nn.Softmax(dim=1)).eval()


def main() -> None:
    """Train both, ask them in another hospital, and read them."""
    x, y = patients(1_000, 0, sorted_by_illness=True)
    new, truth = patients(1_500, 1, sorted_by_illness=False)
    rows = pd.DataFrame(new.numpy(), columns=COLUMNS)
    for name, strength in (("as it was trained", 0.0), ("its explanation corrected", 3.0)):
        net = train(x, y, strength)
        with torch.no_grad():
            right = float(net(new).argmax(dim=1).eq(truth).float().mean())
        result = limbeck.distill(net, rows, truth.numpy(), students=["tree"], n_queries=500, random_state=0)
        tree = result["tree"]
        print(f"{name}: right for {100 * right:.1f} % in another hospital")
        first = "\n".join(tree.readable.text().splitlines()[:12])
        print(f"as a tree, fidelity {tree.fidelity:.3f}; its first lines:\n{first}\n")


if __name__ == "__main__":
    main()
