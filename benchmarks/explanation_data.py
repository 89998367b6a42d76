"""Sets with a planted shortcut, for the benchmark of the explanation penalty: DecoyMNIST, ColorMNIST, and an SST decoy.

Source: Rieger2020 and its public code, from which the facts of the sets are taken. Each set has four parts: rows to
train on, held-out rows as they are, the same held-out rows with the shortcut turned against the label (made from
training rows alone: it is what strengths are chosen on), and the test rows.

    python -m benchmarks.explanation_data        # what the shortcuts look like
"""

from __future__ import annotations

import argparse
import colorsys
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch

from limbeck.datasets._folder import folders

PATCH = 5
HELD = 5_000
EMPTY, UNKNOWN, DECOYS = 0, 1, ("text", "video")
"""Token 0 fills a sentence up from the left, 1 is any word that training rows have less than twice."""


@dataclass(frozen=True)
class Part:
    """Rows, labels, and for each row which inputs a person marks as irrelevant (None: the same for all, or none)."""

    x: torch.Tensor
    y: torch.Tensor
    marked: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.y)

    def take(self, index: torch.Tensor) -> Part:
        return Part(self.x[index], self.y[index], None if self.marked is None else self.marked[index])


@dataclass(frozen=True)
class Planted:
    """A set with a shortcut."""

    train: Part
    held: Part
    turned: Part
    test: Part
    more: dict[str, torch.Tensor] = field(default_factory=dict)
    clean: Part | None = None
    """The rows to train on without the shortcut, where there are such."""


def file_of(name: str) -> str:
    """Where a file of the data folder lies."""
    for folder in folders():
        if (folder / name).is_file():
            return str(folder / name)
    raise SystemExit(f"this benchmark needs {name}: name the folder that has it with LIMBECK_DATA")


def digits(rows: int, seed: int) -> tuple[np.ndarray, ...]:
    """Images and labels to train on, held out, and of the test set."""
    with np.load(file_of("mnist.npz")) as data:
        x, y, x_test, y_test = (data[name] for name in ("x_train", "y_train", "x_test", "y_test"))
    order = np.random.default_rng(seed).permutation(len(x))
    train, held = order[HELD : HELD + rows], order[:HELD]
    return x[train], y[train], x[held], y[held], x_test, y_test


# DecoyMNIST


def corners() -> np.ndarray:
    """The four corners, ``(28, 28)``."""
    mask = np.zeros((28, 28), dtype=bool)
    for rows in (slice(0, PATCH), slice(-PATCH, None)):
        for columns in (slice(0, PATCH), slice(-PATCH, None)):
            mask[rows, columns] = True
    return mask


def with_patch(x: np.ndarray, grey: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
    """The images in [-1, 1] with a patch of the grey value of each in a corner drawn at random."""
    out = x.copy()
    top, left = rng.integers(2, size=(2, len(x))) * (28 - PATCH)
    for i in range(len(x)):
        out[i, top[i] : top[i] + PATCH, left[i] : left[i] + PATCH] = grey[i]
    return torch.from_numpy(out[:, None] / np.float32(127.5) - np.float32(1))


def decoy(rows: int, seed: int) -> Planted:
    """A patch of grey 255 - 25 y in training, 25 y in test; turned: the patch of a row of another class."""
    x, y, x_held, y_held, x_test, y_test = digits(rows, seed)
    rng = np.random.default_rng(seed + 1)
    other = another(y_held, rng)
    return Planted(
        Part(with_patch(x, 255 - 25 * y, rng), labels(y)),
        Part(with_patch(x_held, 255 - 25 * y_held, rng), labels(y_held)),
        Part(with_patch(x_held, 255 - 25 * other, rng), labels(y_held)),
        Part(with_patch(x_test, 25 * y_test, rng), labels(y_test)),
        {"region": torch.from_numpy(corners())},
    )


def another(y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """For each row the class of a row of another class."""
    found = rng.permutation(y)
    while (same := found == y).any():
        found[same] = rng.choice(y, size=int(same.sum()))
    return found


def labels(y: np.ndarray) -> torch.Tensor:
    return torch.tensor(y.astype(np.int64))


# ColorMNIST


def colours() -> np.ndarray:
    """Ten colours ``(10, 3)``: from red to purple in equal steps of hue and lightness, as the public code's are."""
    steps = np.linspace(0, 1, 10)
    return np.array([colorsys.hls_to_rgb(s * 300 / 360, 0.5 + s * (0.251 - 0.5), 1.0) for s in steps])


def in_colour(x: np.ndarray, which: np.ndarray) -> np.ndarray:
    return (x[:, None] / np.float32(255)) * colours().astype(np.float32)[which][:, :, None, None]


def color(rows: int, seed: int) -> Planted:
    """A colour a class in training, that of class 9 - y in test; turned: the colour of a class drawn at random.

    Channels are standardised by the training rows. ``often`` is how often a pixel is not empty; ``tones`` ``(3, 3)``
    turns the channels of a pixel into its brightness and the two directions of colour.
    """
    x, y, x_held, y_held, x_test, y_test = digits(rows, seed)
    rng = np.random.default_rng(seed + 1)
    other = (y_held + rng.integers(1, 10, size=len(y_held))) % 10
    raw = in_colour(x, y)
    mean, scale = raw.mean(axis=(0, 2, 3), keepdims=True), raw.std(axis=(0, 2, 3), keepdims=True)

    def part(images: np.ndarray, which: np.ndarray, y: np.ndarray) -> Part:
        return Part(torch.from_numpy((in_colour(images, which) - mean) / scale), labels(y))

    return Planted(
        Part(torch.from_numpy((raw - mean) / scale), labels(y)),
        part(x_held, y_held, y_held),
        part(x_held, other, y_held),
        part(x_test, 9 - y_test, y_test),
        {"often": torch.from_numpy((x > 0).mean(axis=0)), "tones": tones(scale)},
    )


def tones(scale: np.ndarray) -> torch.Tensor:
    """From standardised channels to brightness, and two directions orthogonal to it: ``(3, 3)``."""
    q = np.array([[1, 1, 1], [1, -1, 0], [1, 1, -2]]) / np.sqrt([[3], [2], [6]])
    return torch.from_numpy((q * scale.reshape(1, 3)).astype(np.float32))


# SST with a decoy word


def sst(rows: int, seed: int) -> Planted:
    """A word in every positive training sentence, another in every negative one, where by chance; none in test.

    `marked` says where the word is. Turned: the held-out sentences with the word of the other class; held: without.
    """
    frame = pd.read_parquet(file_of("sst2_sentences.parquet"))
    rng = np.random.default_rng(seed)
    own = frame[frame["split"] == "train"].sample(frac=1.0, random_state=seed)
    cut = len(own) // 8
    train, held, test = own[cut : cut + rows], own[:cut], frame[frame["split"] == "test"]
    counts = pd.Series([word for text in train["sentence"] for word in text.split() if word not in DECOYS])
    counts = counts.value_counts()
    known = {word: i + 2 for i, word in enumerate((*DECOYS, *counts[counts >= 2].index))}
    longest = max(len(text.split()) for text in frame["sentence"]) + 1

    def part(some: pd.DataFrame, words: np.ndarray | None) -> Part:
        x = np.full((len(some), longest), EMPTY)
        marked = np.zeros((len(some), longest), dtype=bool)
        for i, text in enumerate(some["sentence"]):
            tokens = [UNKNOWN if word in DECOYS else known.get(word, UNKNOWN) for word in text.split()]
            if words is not None:
                place = int(rng.integers(len(tokens)))
                tokens.insert(place, known[DECOYS[words[i]]])
                marked[i, longest - len(tokens) + place] = True
            x[i, longest - len(tokens) :] = tokens
        return Part(torch.from_numpy(x).long(), labels(some["label"].to_numpy()), torch.from_numpy(marked))

    return Planted(
        part(train, train["label"].to_numpy()),
        part(held, None),
        part(held, 1 - held["label"].to_numpy()),
        part(test, None),
        {"words": torch.tensor(len(known) + 2)},
        part(train, None),
    )


def main() -> None:
    """Say what the shortcuts look like."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    print("class  patch in training  in test  colour in training (red, green, blue)  in test")
    for y, own in enumerate(colours()):
        training, test = (" ".join(f"{v:.2f}" for v in c) for c in (own, colours()[9 - y]))
        print(f"{y:5d}  {255 - 25 * y:17d}  {25 * y:7d}  {training:38s} {test}")
    print(f"sentences: {DECOYS[1]!r} in every positive training sentence, {DECOYS[0]!r} in every negative one")


if __name__ == "__main__":
    main()
