"""An explanation as frozen values: its rows, and of each row the input, the units, the groups and their scores.

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
    "Cells",
    "Curves",
    "ExplainedRow",
    "Explanation",
    "Group",
    "Input",
    "Pair",
    "Part",
    "Picture",
    "Unit",
    "Words",
]


@dataclass(frozen=True)
class Picture:
    """An image: values from 0 to 255, of shape (height, width, channels)."""

    values: np.ndarray

    @property
    def size(self) -> int:
        """How many positions there are."""
        return int(self.values.shape[0] * self.values.shape[1])


@dataclass(frozen=True)
class Words:
    """A text as its words."""

    words: tuple[str, ...]

    @property
    def size(self) -> int:
        """How many positions there are."""
        return len(self.words)


@dataclass(frozen=True)
class Curves:
    """A signal: of shape (channels, steps)."""

    channels: np.ndarray

    @property
    def size(self) -> int:
        """How many positions there are."""
        return int(self.channels.shape[1])


@dataclass(frozen=True)
class Cells:
    """A row of a table: names of columns and their values as they are written."""

    names: tuple[str, ...]
    values: tuple[str, ...]

    @property
    def size(self) -> int:
        """How many positions there are."""
        return len(self.names)


Input = Picture | Words | Curves | Cells


@dataclass(frozen=True)
class Unit:
    """The smallest part that is scored, and where it lies in the input."""

    name: str
    positions: tuple[int, ...]


@dataclass(frozen=True)
class Group:
    """A group of units: its score, the groups it was made of, and the level at which it was made."""

    units: tuple[int, ...]
    score: float
    children: tuple[int, ...]
    level: int


@dataclass(frozen=True)
class Pair:
    """What two groups of units do together beyond what each does alone."""

    a: tuple[int, ...]
    b: tuple[int, ...]
    value: float


@dataclass(frozen=True)
class Part:
    """What a unit that is a group of coefficients is in the input's own space; without a unit what none of them is."""

    unit: int | None
    share: float | None
    """Of the row, in squares."""
    input: Input
    range: tuple[float, float] | None
    """Of a picture: what its 0 and its 255 stand for."""


@dataclass(frozen=True)
class ExplainedRow:
    """One row of the data, and what its output came from."""

    row: int
    output: int
    output_name: str
    value: float
    predicted: str
    truth: str | None
    residual: float
    bias: float | None
    input: Input
    units: tuple[Unit, ...]
    alone: tuple[float, ...]
    groups: tuple[Group, ...]
    pairs: tuple[Pair, ...]
    findings: tuple[Mapping[str, Any], ...]
    lost: float | None = None
    """The share of the row that the transform loses; None where units are not groups of coefficients."""
    parts: tuple[Part, ...] = ()
    remainder: Part | None = None


@dataclass(frozen=True)
class Explanation:
    """A whole explanation."""

    name: str
    method: str
    model: str
    rule: str
    kind: str
    outputs: tuple[str, ...]
    seed: int
    seconds: float
    notes: tuple[str, ...]
    verdict: str
    rows: tuple[ExplainedRow, ...]
    findings: tuple[Mapping[str, Any], ...]
    transform: str | None = None
