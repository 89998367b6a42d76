"""A network of two planted functions, trained so that it comes apart, and each module read as a formula.

python examples/modules.py
"""

from __future__ import annotations

import numpy as np
import torch

import limbeck
from limbeck.modularity import distill_modules, interpret, split, train_modular

PLANTED = ("2*a*b", "(c - d)**2")


def planted(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Four columns, and two functions of two of them each."""
    X = np.random.default_rng(seed).uniform(-1.5, 1.5, size=(rows, 4))
    a, b, c, d = X.T
    return X, np.column_stack([2 * a * b, (c - d) ** 2])


def main() -> None:
    """Train, split, interpret, distil."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Linear(4, 24), torch.nn.SiLU(), torch.nn.Linear(24, 24), torch.nn.SiLU(), torch.nn.Linear(24, 2)
    )
    X, y = planted(1_000, seed=0)
    trained = train_modular(
        net, (X, y), layers=["0", "2", "4"], k=2, strength=1.0, warmup_epochs=20, epochs=20, lr=5e-3, random_state=0
    )
    apart = split(trained)
    X, y = planted(1_000, seed=1)
    print(apart.compare(X, y).round(3).to_string(), "\n")
    print(interpret(apart, X, y, names="abcd", n_random=50).text(), "\n")
    quick = limbeck.FormulaRegressor(max_complexity=15, max_evaluations=10_000)
    found = distill_modules(apart, X, y, student=quick, names="abcd", random_state=0)
    print(found.text())
    print("\nplanted: " + " and ".join(PLANTED))
    for part in found.parts:
        print(
            f"fidelity to {part.name}: {'a constant' if part.fidelity.value is None else f'{part.fidelity.value:.3f}'}"
        )
    print(f"fidelity of the whole {found.whole.value:.3f}")


if __name__ == "__main__":
    main()
