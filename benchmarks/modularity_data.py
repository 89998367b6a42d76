"""MNIST and CIFAR-10 for the benchmark of modularity: rows to train on, validation rows of the same files, evaluation.

CIFAR-10 is the 20,000 training and 6,000 evaluation images of the data folder, not the whole 50,000 and 10,000.

    python -m benchmarks.modularity_data        # how many rows there are of each
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import torch
from torch import nn

from benchmarks.explanation_data import file_of

Rows: TypeAlias = tuple[torch.Tensor, torch.Tensor]
VALIDATION = {"mnist": 5_000, "cifar": 2_500}


@dataclass(frozen=True)
class Images:
    """The three parts of a set."""

    train: Rows
    validation: Rows
    evaluation: Rows


def mnist() -> tuple[np.ndarray, ...]:
    """Images in [0, 1]."""
    with np.load(file_of("mnist.npz")) as data:
        x, y, x_test, y_test = (data[name] for name in ("x_train", "y_train", "x_test", "y_test"))
    return x[:, None] / np.float32(255), y, x_test[:, None] / np.float32(255), y_test


def cifar() -> tuple[np.ndarray, ...]:
    """Images in [-1, 1], channels first."""
    read = []
    for name in ("cifar10_train_1.npz", "cifar10_train_2.npz", "cifar10_eval.npz"):
        with np.load(file_of(name)) as data:
            read.append({key: data[key] for key in data.files})
    x, y = (np.concatenate([part[f"{name}_train"] for part in read[:2]]) for name in "xy")
    x_test, y_test = (np.concatenate([read[2][f"{name}_val"], read[2][f"{name}_test"]]) for name in "xy")
    return scaled(x), y, scaled(x_test), y_test


def scaled(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2)) / np.float32(127.5) - np.float32(1)


SETS = {"mnist": mnist, "cifar": cifar}


@lru_cache(maxsize=1)  # read once in a process
def images(name: str, rows: int | None = None) -> Images:
    """The parts; the validation rows are drawn once, the same for all seeds. `rows` limits those to train on."""
    x, y, x_test, y_test = SETS[name]()
    order = np.random.default_rng(0).permutation(len(x))
    held, own = order[: VALIDATION[name]], order[VALIDATION[name] :][:rows]

    def part(x: np.ndarray, y: np.ndarray) -> Rows:
        return torch.from_numpy(np.ascontiguousarray(x)), torch.from_numpy(y.astype(np.int64))

    return Images(part(x[own], y[own]), part(x[held], y[held]), part(x_test, y_test))


def hidden(first: int) -> tuple[nn.Module, ...]:
    """The linear layers of both networks, without biases."""
    widths = (first, 64, 64, 64, 10)
    layers: list[nn.Module] = []
    for i in range(4):
        layers += [nn.Linear(widths[i], widths[i + 1], bias=False), nn.ReLU()]
    return tuple(layers[:-1])


def network(name: str, seed: int) -> nn.Sequential:
    """The network of a set with the weights of a seed."""
    torch.manual_seed(seed)
    if name == "mnist":
        return nn.Sequential(nn.Flatten(), *hidden(784))
    return nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.MaxPool2d(2), nn.ReLU(), nn.Flatten(), *hidden(4096))


def main() -> None:
    """Print how many rows each part has."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    for name in SETS:
        found = images(name)
        parts = (found.train, found.validation, found.evaluation)
        print(
            name,
            *(f"{what} {len(y):,}" for what, (_, y) in zip(("train", "validation", "evaluation"), parts, strict=True)),
        )


if __name__ == "__main__":
    main()
