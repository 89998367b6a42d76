"""Many lines tried on the beginnings of episodes: who goes on, what it costs, and that nothing of it is kept."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from limbeck.policies import Episodes, as_environment
from limbeck.policies._program_draft import Draft, Line
from limbeck.policies._racing import Arena, OutOfBudget
from limbeck.policies._scouting import scouted

LENGTH = 2_000
LINES = [Draft((Line(((0, 1.0),), -math.inf, float(i), 0, 1),), 0) for i in range(60)]


ROWS = np.linspace(0.0, 60.0, 240)[:, None]


class Long(Arena):
    """Line `i` scores `i` a thousand steps, never loses, and is told from its neighbour under some noise."""

    def episodes(self, acts: Any, seeds: Any, *, record: bool = False, max_steps: Any = None) -> list[Episodes]:
        steps = np.full(len(seeds), LENGTH if max_steps is None else min(max_steps, LENGTH))
        self.cuts = [*getattr(self, "cuts", []), max_steps]
        noise = 0.1 * np.random.default_rng(seeds[0]).normal(size=len(seeds))
        return [Episodes(act.lines[0].high * steps / 1_000 + noise, steps, tuple(seeds)) for act in acts]


def arena(most_steps: int = 10**7) -> Long:
    return Long(as_environment("CartPole-v1"), np.random.default_rng(0), math.inf, most_steps)


def test_the_best_of_all_go_on_and_no_beginning_counts_as_an_episode() -> None:
    found = arena()
    best = scouted(found, LINES, LENGTH, 10**6, ROWS)
    assert len(best) == 2
    assert set(best) < set(LINES[56:])
    assert found.cuts[0] == 400
    assert found.cuts[-1] == 1_100
    assert not found.played
    assert found.steps == 60 * 400 + 10 * 2 * 1_100
    found.race(best, ((1, 2),))
    assert found.mean_steps == LENGTH  # what was cut does not make episodes look short


def test_as_many_play_as_the_steps_allow_and_none_after_the_last() -> None:
    found = arena()
    best = scouted(found, LINES, LENGTH, 20_000, ROWS)
    assert found.steps <= 20_000
    assert len(best) >= 1
    assert set(best) < set(LINES[:30])
    with pytest.raises(OutOfBudget):
        scouted(arena(15_000), LINES, LENGTH, 10**6, ROWS)
