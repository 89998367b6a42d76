"""Signals and digits for the benchmark of adaptive wavelets, how they are split, and the networks that are distilled.

A set of the UCR archive comes with its own training and test rows: those are seed 0. Every other seed draws as many
training rows of each class anew. Of ECG5000, where only training rows are there, 350 of 500 are drawn for every seed.
A fifth of the training rows, at most 2,000, is for validation: on it the epoch of a network is chosen.

    python -m benchmarks.wavelets_data        # the sets, and how many rows each part has
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from benchmarks.explanation_data import digits, file_of
from limbeck.modularity._batches import as_batches
from limbeck.modularity._fit_loop import Fit, default_loss

SIGNALS = (
    *("ecg200", "ecg5000_train", "ecgfivedays", "gunpoint", "italypowerdemand", "motestrain", "powercons"),
    "strawberry",
)
SETS = (*SIGNALS, "mnist")
KINDS = ("convolutional", "LSTM")
STEPS, RATE, DECAY = 900, 3e-3, 1e-2
DIGIT_EPOCHS, DIGIT_RATE = 4, 1e-3


@dataclass(frozen=True)
class Split:
    """Rows to train on, of them the positions for validation, and test rows; labels are 0 to k - 1."""

    name: str
    x: np.ndarray
    y: np.ndarray
    held: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray

    @property
    def classes(self) -> int:
        return int(max(self.y.max(), self.y_test.max())) + 1

    @property
    def own(self) -> np.ndarray:
        """Positions of the rows that a network is trained on."""
        return np.setdiff1d(np.arange(len(self.y)), self.held)


def split(name: str, seed: int, rows: int | None = None) -> Split:
    """The parts of a set for a seed; `rows` limits the digits to train on."""
    if name == "mnist":
        return of_digits(seed, rows or 10_000)
    with np.load(file_of(f"signals/ucr_{name}.npz")) as data:
        given = {key: data[key] for key in data.files}
    x = np.concatenate([given[key] for key in ("x_train", "x_test") if key in given])
    labels = np.concatenate([given[key] for key in ("y_train", "y_test") if key in given])
    y, count = np.unique(labels, return_inverse=True)[1].astype(np.int64), len(given["y_train"])
    train = np.arange(len(y)) < count
    if "x_test" not in given:
        train = drawn(y, np.bincount(y) * 7 // 10, seed)
    elif seed:
        train = drawn(y, np.bincount(y[:count]), seed)
    own = y[train]
    held = drawn(own, np.maximum(1, np.bincount(own) // 5), seed)
    return Split(name, x[train], own, np.flatnonzero(held), x[~train], y[~train])


def drawn(y: np.ndarray, counts: np.ndarray, seed: int) -> np.ndarray:
    """Which rows are drawn: so many of each class."""
    order, chosen = np.random.default_rng(seed).permutation(len(y)), np.zeros(len(y), dtype=bool)
    for label, count in enumerate(counts):
        chosen[order[y[order] == label][:count]] = True
    return chosen


def of_digits(seed: int, rows: int) -> Split:
    """MNIST, pixels from 0 to 1."""
    x, y, *_, x_test, y_test = digits(rows, seed)
    flat, flat_test = (each.reshape(len(each), -1) / 255.0 for each in (x, x_test))
    return Split("mnist", flat, y.astype(np.int64), np.arange(rows // 5), flat_test, y_test.astype(np.int64))


class Recurrent(nn.Module):
    """An LSTM over a signal; the mean of its states gives the logits."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(1, 32, batch_first=True)
        self.head = nn.Linear(32, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        states, _ = self.lstm(x.unsqueeze(2))
        return self.head(states.mean(dim=1))


def network(kind: str, name: str, classes: int, seed: int) -> nn.Module:
    """A network on flat rows with the weights of a seed; logits."""
    torch.manual_seed(seed)
    if kind == "LSTM":
        return Recurrent(classes)
    if name == "mnist":
        return nn.Sequential(
            nn.Unflatten(1, (1, 28, 28)),
            *(nn.Conv2d(1, 16, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(16, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Flatten(), nn.Linear(1_568, 64), nn.ReLU(), nn.Linear(64, classes)),
        )
    return nn.Sequential(
        nn.Unflatten(1, (1, -1)),
        *(nn.Conv1d(1, 16, 7, padding=3), nn.ReLU(), nn.AvgPool1d(2)),
        *(nn.Conv1d(16, 32, 5, padding=2), nn.ReLU(), nn.AvgPool1d(2)),
        *(nn.Conv1d(32, 32, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool1d(4)),
        *(nn.Flatten(), nn.Linear(128, classes)),
    )


def trained(kind: str, data: Split, seed: int, steps: int = STEPS) -> tuple[nn.Module, float]:
    """A network, and the least loss on the rows for validation."""
    model, fine = network(kind, data.name, data.classes, seed), data.name != "mnist"
    x, y = torch.as_tensor(data.x, dtype=torch.float32), torch.as_tensor(data.y)
    torch.manual_seed(seed)
    batches = as_batches((x[data.own], y[data.own]), model, "rows", size=16 if len(data.y) < 100 else 64)
    held = as_batches((x[data.held], y[data.held]), model, "validation", size=512, shuffle=False)
    epochs = max(1, steps // len(batches)) if fine else DIGIT_EPOCHS
    optimiser = torch.optim.AdamW(model.parameters(), RATE if fine else DIGIT_RATE, weight_decay=DECAY)
    fit = Fit(model, batches, default_loss, optimiser, held, total=epochs)
    fit.run(epochs, "plain", patience=max(2, epochs // 3))
    return model.eval(), min(one.validation for one in fit.epochs)


def main() -> None:
    """Print how many rows each part has."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    for name in SETS:
        data = split(name, 0)
        print(
            f"{name}: {data.x.shape[1]} points, {data.classes} classes, {len(data.own):,} rows to train on, "
            f"{len(data.held):,} for validation, {len(data.y_test):,} to test"
        )


if __name__ == "__main__":
    main()
