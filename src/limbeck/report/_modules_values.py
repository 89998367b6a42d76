"""A network's modules as frozen values: its layers and their blocks, the modules, how special they are, the circuits.

Cost
----
None.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = [
    "Blocks",
    "CircuitPicture",
    "Circuits",
    "Example",
    "Layer",
    "Measure",
    "Module",
    "Modules",
    "ReadableText",
    "Recipe",
    "Score",
    "Specialisation",
]


@dataclass(frozen=True)
class Measure:
    """The share of the squared weight inside the blocks, what equal weights would give, and a permutation's p-value."""

    clusterability: float
    chance: float
    p: float


@dataclass(frozen=True)
class Blocks:
    """The modules of a layer's rows (outputs) and columns (inputs)."""

    rows: np.ndarray
    columns: np.ndarray


@dataclass(frozen=True)
class Layer:
    """A layer: its modules before and after training, how clear they are, and |weight| sorted by them, 0 to 255."""

    name: str
    blocks: Blocks
    blocks_before: Blocks
    before: Measure | None
    after: Measure
    picture_before: np.ndarray | None
    picture_after: np.ndarray


@dataclass(frozen=True)
class Score:
    """How good a network is, with its interval."""

    what: str
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Recipe:
    """How the network came to have modules."""

    trained: bool
    k: int
    strength: float | None
    warmup_epochs: int | None
    epochs: int | None
    split_epochs: int | None


@dataclass(frozen=True)
class Example:
    """A row on which a module adds much to a label's output; the label need not be the row's own."""

    row: int
    label: str
    score: float
    truth: str | None
    image: np.ndarray | None
    values: tuple[tuple[str, str], ...] | None


@dataclass(frozen=True)
class ReadableText:
    """A formula or a tree that stands for a module, and the finding on how faithful it is."""

    text: str
    fidelity: Mapping[str, Any]


@dataclass(frozen=True)
class Module:
    """A module: its size, what it sees, how the network does with it alone and without it, and how it reads."""

    name: str
    units: Mapping[str, int]
    weights: int
    inputs: tuple[str, ...]
    on: tuple[float | None, ...]
    off: tuple[float | None, ...]
    decides: tuple[str, ...]
    text: str
    examples: tuple[Example, ...]
    readable: ReadableText | None


@dataclass(frozen=True)
class Specialisation:
    """How far the modules differ in what they decide, beside random modules of the same sizes."""

    score: float
    chance: float
    low: float
    high: float
    p: float
    says: str


@dataclass(frozen=True)
class CircuitPicture:
    """Which weights of a layer a label needs, 0 to 255."""

    label: str
    layer: str
    values: np.ndarray


@dataclass(frozen=True)
class Circuits:
    """Of each label the share of weights that it needs, the losses, and what two labels share."""

    labels: tuple[str, ...]
    sizes: tuple[float, ...]
    loss_before: tuple[float, ...]
    loss_after: tuple[float, ...]
    overlap: np.ndarray
    pictures: tuple[CircuitPicture, ...]


@dataclass(frozen=True)
class Modules:
    """The whole document."""

    name: str
    model: str
    metric: str
    outputs: tuple[str, ...]
    seed: int
    seconds: float
    notes: tuple[str, ...]
    verdict: str
    recipe: Recipe
    layers: tuple[Layer, ...]
    scores: tuple[Score, ...]
    modules: tuple[Module, ...]
    specialisation: Specialisation | None
    circuits: Circuits | None
    findings: tuple[Mapping[str, Any], ...]
