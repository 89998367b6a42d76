"""A recorded episode as frozen values: its pictures, what was done at each of them, and the program that decided.

Cost
----
None.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

__all__ = ["Line", "Pictures", "Recorded", "shorter_by"]

Line = tuple[tuple[str, int | None], ...]
"""A line of a program in pieces of text, each with the guard or leaf that it is about."""


@dataclass(frozen=True)
class Pictures:
    """Frames of one size, side by side on sheets; a sheet is base64 of a PNG."""

    width: int
    height: int
    on_a_sheet: int
    sheets: tuple[str, ...]


@dataclass(frozen=True)
class Recorded:
    """An episode; arrays have an entry a frame.

    Attributes
    ----------
    lines : tuple of Line
        The program, empty where a policy without text played.
    decisions : tuple of int
        The action of each guard or leaf.
    used : tuple of int
        The columns that the program compares.
    """

    environment: str
    player: str
    family: str
    columns: tuple[str, ...]
    actions: tuple[str, ...]
    lines: tuple[Line, ...]
    decisions: tuple[int, ...]
    used: tuple[int, ...]
    seed: int
    steps: int
    total: float
    every: int
    fps: float
    rows: np.ndarray
    taken: np.ndarray
    wanted: np.ndarray | None
    firing: np.ndarray | None
    gained: np.ndarray
    pictures: Pictures | None

    @property
    def frames(self) -> int:
        """The number of frames."""
        return len(self.taken)

    @property
    def is_cut(self) -> bool:
        """Whether the episode went on after the last frame."""
        return self.steps > self.frames * self.every


def shorter_by(found: Recorded, part: int) -> Recorded:
    """The first of so many parts of an episode, in whole sheets."""
    if part == 1:
        return found
    shown = found.pictures
    many = 1 if shown is None else shown.on_a_sheet
    sheets = max(1, -(-found.frames // many) // part)
    kept = min(found.frames, sheets * many)
    return replace(
        found,
        rows=found.rows[:kept],
        taken=found.taken[:kept],
        wanted=None if found.wanted is None else found.wanted[:kept],
        firing=None if found.firing is None else found.firing[:kept],
        gained=found.gained[:kept],
        pictures=None if shown is None else replace(shown, sheets=shown.sheets[:sheets]),
    )
