"""What a network used for single rows: an image, a sentence, a signal and a table, a page each.

Run ``python examples/explain.py`` (about two minutes; the data beyond Concrete is looked for in LIMBECK_DATA), or one
kind by the command line, with a network that this file trains:

    limbeck explain --model examples.explain:concrete --data concrete --method acd --rows 5
    limbeck explain --model examples.explain:digits --data mnist --shape 1,28,28 --max-rows 2000 --rows 5
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import limbeck

SEED = 0


def data_folder() -> Path | None:
    """Where the larger sets lie, if they are there."""
    for folder in (os.environ.get("LIMBECK_DATA"), "../shared/data"):
        if folder and (Path(folder) / "mnist.npz").is_file():
            return Path(folder)
    return None


def trained(model: nn.Module, x: Any, y: Any, loss: Any, epochs: int, rate: float = 2e-3) -> nn.Module:
    """The network, trained by Adam on batches of 64."""
    torch.manual_seed(SEED)
    x, y = torch.tensor(x), torch.tensor(y)
    optimiser = torch.optim.Adam(model.parameters(), rate)
    for _ in range(epochs):
        for at in torch.randperm(len(x)).split(64):
            optimiser.zero_grad()
            loss(model(x[at]), y[at]).backward()
            optimiser.step()
    return model.eval()


class Scaled(nn.Module):
    """A network that takes the rows as they come and scales them itself."""

    def __init__(self, shift: Any, scale: Any, inner: nn.Module) -> None:
        super().__init__()
        self.register_buffer("shift", torch.as_tensor(shift, dtype=torch.float32))
        self.register_buffer("scale", torch.as_tensor(scale, dtype=torch.float32))
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Raw outputs."""
        return self.inner((x - self.shift) / self.scale)


def concrete() -> nn.Module:
    """A network of Concrete's compressive strength."""
    frame = limbeck.datasets.load("concrete").frame
    x, y = frame.iloc[:, :-1].to_numpy(np.float32), frame.iloc[:, -1:].to_numpy(np.float32)
    torch.manual_seed(SEED)
    inner = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1))
    return trained(Scaled(x.mean(0), x.std(0), inner), x, y, nn.functional.mse_loss, 60)


def digits() -> nn.Module:
    """A convolutional network of MNIST, from pixels 0 to 255."""
    data = np.load(folder_or_exit() / "mnist.npz")
    x, y = data["x_train"][:8000, None].astype(np.float32), data["y_train"][:8000].astype(np.int64)
    torch.manual_seed(SEED)
    inner = nn.Sequential(
        nn.Conv2d(1, 8, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()
    )
    inner.extend([nn.Linear(16 * 25, 64), nn.ReLU(), nn.Linear(64, 10)])
    return trained(Scaled(0.0, 255.0, inner), x, y, nn.functional.cross_entropy, 3)


def heartbeats() -> tuple[nn.Module, np.ndarray, np.ndarray]:
    """A network of heartbeats (ECG200), its test rows and their classes."""
    data = np.load(folder_or_exit() / "signals" / "ucr_ecg200.npz")
    x, y = data["x_train"][:, None].astype(np.float32), (data["y_train"] == 1).astype(np.int64)
    torch.manual_seed(SEED)
    net = nn.Sequential(nn.Conv1d(1, 16, 7), nn.ReLU(), nn.MaxPool1d(3), nn.Conv1d(16, 16, 5), nn.ReLU(), nn.Flatten())
    net.extend([nn.Linear(16 * 26, 2)])
    model = trained(net, x, y, nn.functional.cross_entropy, 60)
    return model, data["x_test"][:, None].astype(np.float32), (data["y_test"] == 1).astype(np.int64)


class Reader(nn.Module):
    """An LSTM over token ids, read at the last word of each sentence; 0 is padding."""

    def __init__(self, words: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, 32)
        self.lstm = nn.LSTM(32, 48, batch_first=True)
        self.out = nn.Linear(48, 2)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Raw outputs, from the mean of the states at words."""
        states, _ = self.lstm(self.embedding(ids))
        there = (ids != 0).unsqueeze(-1)
        return self.out((states * there).sum(1) / there.sum(1).clamp_min(1))


def sentences() -> tuple[nn.Module, np.ndarray, np.ndarray, list[list[str]]]:
    """A reader of film reviews, test sentences as ids, their classes and their words."""
    import polars

    frame = polars.read_parquet(folder_or_exit() / "sst2_phrases_glue.parquet")
    train = frame.filter(polars.col("split").cast(polars.String) == "train").sample(30_000, seed=SEED)
    test = frame.filter(polars.col("split").cast(polars.String) != "train")
    split = [text.split()[:24] for text in train["sentence"]]
    counts: dict[str, int] = {}
    for word in (word for words in split for word in words):
        counts[word] = counts.get(word, 0) + 1
    known = {word: i + 2 for i, word in enumerate(sorted(word for word, n in counts.items() if n > 1))}

    def encoded(rows: list[list[str]]) -> np.ndarray:
        ids = np.zeros((len(rows), 24), dtype=np.int64)
        for row, words in zip(ids, rows, strict=True):
            row[: len(words)] = [known.get(word, 1) for word in words]
        return ids

    torch.manual_seed(SEED)
    model = Reader(len(known) + 2)
    model = trained(model, encoded(split), train["label"].to_numpy().astype(np.int64), nn.functional.cross_entropy, 3)
    words = [text.split() for text in test["sentence"]]
    short = [i for i, row in enumerate(words) if 6 <= len(row) <= 14 and ("not" in row or "n't" in row)]
    kept = [words[i] for i in short]
    return model, encoded(kept), test["label"].to_numpy()[short], kept


def folder_or_exit() -> Path:
    """The data folder; without it this kind can't be shown."""
    folder = data_folder()
    if folder is None:
        sys.exit(
            "the data is not here: set LIMBECK_DATA to a folder with mnist.npz, signals/ and sst2_phrases_glue.parquet"
        )
    return folder


def explained(kind: str) -> limbeck.Explanation:
    """The explanation of five rows of a kind."""
    if kind == "table":
        frame = limbeck.datasets.load("concrete").frame
        return limbeck.explain(
            concrete(), frame.iloc[:, :-1], frame.iloc[:, -1], data_name="concrete", random_state=SEED
        )
    if kind == "image":
        data = np.load(folder_or_exit() / "mnist.npz")
        x, y = data["x_test"][:500, None].astype(np.float32), data["y_test"][:500]
        return limbeck.explain(digits(), x, y, classes=list("0123456789"), data_name="mnist", random_state=SEED)
    if kind == "signal":
        model, x, y = heartbeats()
        names = ["infarction", "normal"]
        return limbeck.explain(model, x, np.array(names)[y], classes=names, data_name="ecg200", random_state=SEED)
    model, ids, y, words = sentences()
    names = ["negative", "positive"]
    return limbeck.explain(
        model, ids, np.array(names)[y], words=words, classes=names, data_name="film reviews", random_state=SEED
    )


if __name__ == "__main__":
    kinds = ["table"] if data_folder() is None else ["table", "image", "signal", "text"]
    for kind in sys.argv[1:] or kinds:
        found = explained(kind)
        print(found.text(), "\n")
        print("the page:", found.save(f"runs/explain-{kind}") / "report.html", "\n")
