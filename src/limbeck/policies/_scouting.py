"""Many lines tried on the beginnings of episodes, where whole ones are long.

A line that a teacher's states find has the right form more often than the right place, so hundreds of them must play.
Bad ones lose early: the beginning of an episode tells them from the rest for a tenth of the steps.

Source
------
Jamieson2016 (successive halving in which those that are left are given more: here longer episodes).

Departures
----------
What was played here chooses who enters the first race and then counts no more: the return of a beginning says nothing
about whole episodes.

Checked
-------
tests/unit/test_scouting.py: good lines go on, nothing of it counts as played, the steps are kept.

Cost
----
About 0.35 of a teacher's episode a line.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from limbeck.policies._program_draft import Draft
from limbeck.policies._racing import Arena
from limbeck.policies._smoothing import Smoothed

__all__ = ["LONG", "scouted"]

LONG = 1_000  # steps of an episode from which whole ones are too dear
ROUNDS: tuple[tuple[int, float, float], ...] = ((1, 0.2, 0.17), (2, 0.55, 0.25))
"""The episodes of each, the part of the teacher's steps after which they are cut, and the part of the lines that goes
on."""


def scouted(arena: Arena, drafts: Sequence[Draft], length: float, most_steps: float, rows: np.ndarray) -> list[Draft]:
    """Those that score most in the beginnings of episodes, the best first.

    Parameters
    ----------
    arena : Arena
    drafts : sequence of Draft
        As many of the first ones play as the steps allow.
    length : float
        Steps of the teacher's mean episode.
    most_steps : float
        What all may use together, if none loses early.
    rows : array (n, d)
        States that say which lines act alike.

    Raises
    ------
    OutOfBudget
    """
    each, share = 0.0, 1.0
    for n_episodes, part, kept in ROUNDS:
        each += share * n_episodes * part * length
        share *= kept
    left = list(dict.fromkeys(drafts))[: max(1, int(most_steps / each))]
    for n_episodes, part, kept in ROUNDS:
        returns = arena.tried(left, n_episodes, max_steps=math.ceil(part * length))
        values = Smoothed(left, [[value] for value in returns], rows, len(arena.environment.actions)).means(left)
        order = sorted(range(len(left)), key=lambda i: (-values[i], left[i].size))
        left = [left[i] for i in order[: max(1, int(kept * len(left)))]]
    return left
