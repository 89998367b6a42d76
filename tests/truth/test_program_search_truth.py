"""A planted program is found by playing; what only imitates well, was only lucky, or has too few lines is not taken."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

from limbeck._core.errors import InputError
from limbeck.policies._candidate_lines import best_bands, candidate_forms
from limbeck.policies._environment import as_environment
from limbeck.policies._episodes import Episodes, play_episodes
from limbeck.policies._growing import grown
from limbeck.policies._lessons import lessons
from limbeck.policies._local_search import Neighbourhood
from limbeck.policies._policy import as_policy
from limbeck.policies._polishing import polish
from limbeck.policies._program_contest import Contest
from limbeck.policies._program_draft import Draft, Line, program_of
from limbeck.policies._program_finals import FoundProgram
from limbeck.policies._program_search import search_programs
from limbeck.policies._program_tidying import tidied
from limbeck.policies._racing import Arena, OutOfBudget
from limbeck.readable import policy_schema

gymnasium = pytest.importorskip("gymnasium")

STAY, RIGHT, LEFT = 0, 1, 2
GAP = ((0, 1.0), (1, -1.0))
COLUMNS = ("target", "me", "alarm", "clutter")


def right_actions(rows: np.ndarray, alarms: bool) -> np.ndarray:
    """Go to the target; under alarm, always to the left."""
    gap = rows[:, 0] - rows[:, 1]
    action = np.where(gap > 1, RIGHT, np.where(gap < -1, LEFT, STAY))
    return np.where(alarms & (rows[:, 2] > 1), LEFT, action)


class Follow(gymnasium.Env):  # type: ignore[misc]
    """A step wins 1 for the planted action."""

    observation_space = gymnasium.spaces.Box(-10.0, 10.0, (4,), np.float64)
    action_space = gymnasium.spaces.Discrete(3)
    observation_names = COLUMNS

    def __init__(self, alarms: bool = False, steps: int = 15) -> None:
        self.alarms, self.steps = alarms, steps

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.n = 0
        return self.look(), {}

    def look(self) -> np.ndarray:
        self.seen = self.np_random.uniform(-3, 3, size=4)
        return self.seen

    def reward(self, action: int) -> float:
        return float(action == right_actions(self.seen[None], self.alarms)[0])

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        reward = self.reward(action)
        self.n += 1
        return self.look(), reward, False, self.n >= self.steps, {}


class Trap(Follow):
    """Only the sign of the clutter pays, while the teacher mostly does things that do not matter."""

    def reward(self, action: int) -> float:
        return float(action == (RIGHT if self.seen[3] > 2 else STAY)) if self.seen[3] > 1.5 else 0.0


class Alarmed(Follow):
    def __init__(self) -> None:
        super().__init__(alarms=True)


class Lives(Follow):
    """A long episode: it ends early after so many wrong actions."""

    lives = 400

    def __init__(self) -> None:
        super().__init__(steps=1_000)

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        seen, reward, _, cut, _ = super().step(action)
        self.wrong = (0 if self.n == 1 else self.wrong) + (reward == 0.0)
        return seen, reward, self.wrong >= self.lives, cut, {}


def searched(make: Any, act: Any, **options: Any) -> tuple[FoundProgram, ...]:
    environment = as_environment(make)
    policy = as_policy(act, environment)
    rows = np.random.default_rng(5).uniform(-3, 3, size=(700, 4))
    settings = {"max_lines": 1, "max_terms": 2, "n_steps": 16_000, "budget_s": 600.0, "seed": 0, "n_jobs": 1}
    found = search_programs(environment, policy, states=rows, weights=policy.weights(rows), **(settings | options))
    return found.programs


def one_hot(actions: np.ndarray) -> np.ndarray:
    return np.eye(3)[actions]


def test_a_planted_line_is_found_the_same_with_the_same_seed() -> None:
    found = searched(Follow, lambda rows: one_hot(right_actions(rows, False)))
    again = searched(Follow, lambda rows: one_hot(right_actions(rows, False)))
    (program,) = found
    fresh = np.random.default_rng(1).uniform(-3, 3, size=(4_000, 4))
    assert (program.readable.act(fresh) == right_actions(fresh, False)).mean() > 0.98
    assert {column for one in program.readable.comparisons() for column, _ in one.terms} == {0, 1}
    assert program.search_return.mean > 14.5
    assert found == again
    assert program.readable.n_lines == 1
    assert "target - me" in program.readable.text()


def test_a_world_of_two_lines_is_not_passed_off_as_one() -> None:
    one, two = searched(Alarmed, lambda rows: one_hot(right_actions(rows, True)), max_lines=2, n_steps=25_000)
    assert (one.readable.n_lines, two.readable.n_lines) == (1, 2)
    assert one.search_return.mean < 13 < 14.3 < two.search_return.mean
    assert one.complexity <= two.complexity


def test_what_imitates_best_is_not_what_plays_best() -> None:
    def teacher(rows: np.ndarray) -> np.ndarray:
        return one_hot(np.where(rows[:, 3] > 1.5, np.where(rows[:, 3] > 2, RIGHT, STAY), right_actions(rows, False)))

    (program,) = searched(Trap, teacher)
    fresh = np.random.default_rng(1).uniform(-3, 3, size=(3_000, 4))
    actions = teacher(fresh).argmax(axis=1)
    imitates = Draft((Line(GAP, -1.0, 1.0, LEFT, RIGHT),), STAY)
    assert (program.readable.act(fresh) == actions).mean() < (imitates(fresh) == actions).mean() - 0.15
    played = [play_episodes(as_environment(Trap), act, range(40)) for act in (program.readable.act, imitates)]
    assert played[0].returns.mean() > 1.3 * played[1].returns.mean()


@pytest.mark.parametrize("between", [None, 1])
def test_two_thresholds_are_the_best_of_all_pairs(between: int | None) -> None:
    generator = np.random.default_rng(3)
    values = generator.integers(0, 9, size=(6, 40)).astype(float)  # with ties
    gains = generator.normal(size=(40, 3))
    bands = best_bands(values, gains, between)
    for i, row in enumerate(values):
        cuts = [-math.inf, *(np.unique(row) + 0.5)]
        best = max(
            sum(
                gains[part].sum(axis=0)[between] if inner and between is not None else gains[part].sum(axis=0).max()
                for inner, part in ((False, row < low), (True, (row >= low) & (row <= high)), (False, row > high))
            )
            for low, high in itertools.combinations_with_replacement(cuts, 2)
        )
        chosen = np.where(
            row < bands.low[i], bands.below[i], np.where(row > bands.high[i], bands.above[i], bands.between[i])
        )
        assert bands.gain[i] == pytest.approx(best)
        assert gains[np.arange(40), chosen].sum() == pytest.approx(best)


def test_a_form_is_found_among_columns_of_other_scales() -> None:
    rows = np.random.default_rng(0).normal(size=(600, 6)) * [1.0, 1.0, 100.0, 0.01, 1.0, 0.0]
    planted = rows[:, 2] + 10_000 * rows[:, 3]
    gains = np.column_stack([planted > 0, planted <= 0]).astype(float)
    forms = candidate_forms(rows, [gains], 3)
    best = forms[
        int(best_bands(np.array([sum(w * rows[:, j] for j, w in form) for form in forms]), gains).gain.argmax())
    ]
    weights = dict(best)
    assert set(weights) == {2, 3}
    assert 7_000 < weights[3] / weights[2] < 14_000
    assert not any(column == 5 for form in forms for column, _ in form)


def test_a_grown_line_decides_only_where_it_wins() -> None:
    rows = np.random.default_rng(2).uniform(-3, 3, size=(500, 4))
    gains = one_hot(right_actions(rows, True))
    before = Draft((Line(GAP, -1.0, 1.0, LEFT, RIGHT),), STAY)
    gain, longer = grown(before, [((2, 1.0),), ((3, 1.0),)], rows, gains, 5)[0]
    assert longer.lines[0].form == ((2, 1.0),)
    assert longer.lines[1] == before.lines[0]
    assert gain == pytest.approx((longer(rows) == right_actions(rows, True)).sum())
    assert gain > (before(rows) == right_actions(rows, True)).sum() + 50
    perfect = Draft((Line(((2, 1.0),), -math.inf, 1.0, STAY, LEFT), *before.lines), STAY)
    assert grown(perfect, [((3, 1.0),)], rows, gains, 5) == []


def test_a_draft_acts_as_its_program_and_tidying_leaves_out_what_does_nothing() -> None:
    rows = np.random.default_rng(4).uniform(-3, 3, size=(2_000, 4))
    gated = Line(((2, 1.0), (3, 0.5)), -math.inf, 0.7, STAY, LEFT, gate=(((3, -1.0),), 0.4))
    idle = Line(((3, 1.0),), -50.0, math.inf, LEFT, STAY)
    draft = Draft((gated, idle, Line(((0, 2.0), (1, -2.0), (3, 1e-6)), -2.0, 2.0, LEFT, RIGHT)), STAY)
    program = program_of(draft, policy_schema(COLUMNS), ("stay", "right", "left"), ())
    assert np.array_equal(program.act(rows), draft(rows))
    tidy = tidied(draft, rows)
    assert tidy.lines[1:] == (Line(GAP, -1.0, 1.0, LEFT, RIGHT),)
    assert tidy.lines[0].gate is not None
    assert len(tidy.lines[0].form) == 2
    assert np.array_equal(tidy(rows), draft(rows))


class Told(Arena):
    """An arena whose returns are drawn from a table of means; the first contest flatters the worse program."""

    means: dict[Draft, float]

    def episodes(self, acts: Any, seeds: Any, *, record: bool = False, max_steps: Any = None) -> list[Episodes]:
        self.contests = getattr(self, "contests", 0) + 1
        noise = np.random.default_rng(seeds[0]).normal(size=len(seeds))
        lucky = 30.0 if self.contests == 1 else 0.0
        return [
            Episodes(self.means[act] + noise + lucky * (self.means[act] == 0.0), np.full(len(seeds), 10), tuple(seeds))
            for act in acts
        ]


def test_luck_is_not_kept_and_the_steps_are() -> None:
    good, bad = (Draft((Line(GAP, -bound, bound, LEFT, RIGHT),), STAY) for bound in (1.0, 2.0))
    arena = Told(as_environment(Follow), np.random.default_rng(0), math.inf, 200)
    arena.means = {good: 10.0, bad: 0.0}
    assert arena.race([bad, good], [(1, 2)])[0] == bad  # it was lucky
    assert arena.race([bad, good], [(3, 2), (3, 1)]) == [good]
    assert arena.steps == 2 * 10 * (1 + 3 + 3)
    with pytest.raises(OutOfBudget):
        arena.race([bad, good], [(2, 2), (2, 2), (2, 2)])
    assert arena.steps == 200  # no program begins an episode after the last step
    assert len(arena.played[good]) == 11
    assert len(arena.played[bad]) == 9


class Noisy(Arena):
    """A return says how often a program does what is planted, with much noise."""

    length = 10

    def episodes(self, acts: Any, seeds: Any, *, record: bool = False, max_steps: Any = None) -> list[Episodes]:
        rows = np.random.default_rng(seeds[0]).uniform(-3, 3, size=(300, 4))
        self.noise_draws = getattr(self, "noise_draws", np.random.default_rng(0))
        means = [100 * (act(rows) == right_actions(rows, False)).mean() for act in acts]
        return [
            Episodes(
                mean + 6 * self.noise_draws.normal(size=len(seeds)), np.full(len(seeds), self.length), tuple(seeds)
            )
            for mean in means
        ]


@pytest.mark.parametrize("length", [10, 600])
def test_numbers_that_are_off_are_polished_under_noise(length: int) -> None:
    start = Draft((Line(((0, 0.6), (1, -1.5), (3, 0.4)), -2.5, 0.5, LEFT, RIGHT),), STAY)
    rows = np.random.default_rng(6).uniform(-3, 3, size=(500, 4))
    generator = np.random.default_rng(1)
    arena = Noisy(as_environment(Follow), generator, math.inf, 10**6)
    arena.length = length
    near = Neighbourhood(rows, 3, np.ones(4), [GAP], 4, generator)
    policy = as_policy(lambda seen: one_hot(right_actions(seen, False)), as_environment(Follow))
    contest = Contest(arena, near, lessons(policy, rows, np.ones(500), 4), lambda what, done, total: None, 1)
    contest.enter(arena.race([start], [(4, 1)]))
    polish(contest, [start], 24 * 10 * length)
    best = contest.elites[1][0]
    right = right_actions(rows, False)
    assert (start(rows) == right).mean() < 0.75
    assert (best(rows) == right).mean() > 0.88
    polish(contest, [best], 10 * length)  # too few steps for anything
    assert contest.elites[1][0] == best


def beside(rows: np.ndarray) -> np.ndarray:
    """A teacher that stands to the side of what it follows: a line that imitates it is right in two states of three."""
    return one_hot(right_actions(rows - [1.2, 0.0, 0.0, 0.0], False))


def test_where_episodes_are_long_lines_play_their_beginnings_first() -> None:
    said = []
    (program,) = searched(Lives, beside, n_steps=120_000, progress=lambda what, done, total: said.append(what))
    assert "many lines play the beginnings of episodes" in said
    teacher = play_episodes(as_environment(Lives), lambda rows: beside(rows).argmax(axis=1), range(3)).returns
    assert teacher.max() < 720
    assert program.search_return.worst > 800


def test_a_stop_in_the_beginnings_keeps_the_best_of_them() -> None:
    seen = []

    class Stopped(Lives):
        def reset(self, **options: Any) -> tuple[np.ndarray, dict[str, Any]]:
            seen.append(options)
            if len(seen) == 60:
                raise KeyboardInterrupt
            return super().reset(**options)

    (program,) = searched(Stopped, beside, n_steps=150_000)
    assert len(seen) > 60
    assert program.search_return.mean > 100


def test_a_stop_keeps_what_is_best_so_far() -> None:
    stops = []

    def watch(what: str, done: int, total: int) -> None:
        if what.startswith("lines") and not stops:
            stops.append(what)
            raise KeyboardInterrupt

    (program,) = searched(Alarmed, lambda rows: one_hot(right_actions(rows, True)), progress=watch)
    assert stops
    assert program.search_return.mean > 7
    (hasty,) = searched(Follow, lambda rows: one_hot(right_actions(rows, False)), n_steps=60)
    assert hasty.search_return.episodes >= 8


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"states": np.zeros((700, 3))}, "700, 3"),
        ({"states": np.zeros((3, 4)), "weights": np.ones(3)}, "at least"),
        ({"states": np.full((700, 4), np.nan)}, "700 of 700"),
        ({"weights": np.zeros(700)}, "not all 0"),
        ({"weights": -np.ones(700)}, ">= 0"),
        ({"weights": np.ones(5)}, r"\(5,\) for 700 states"),
        ({"max_lines": 0}, "max_lines must be a whole number > 0"),
        ({"max_terms": 1.5}, "max_terms must be a whole number"),
        ({"budget_s": float("nan")}, "budget_s must be a number of seconds"),
        ({"n_steps": True}, "n_steps must be"),
    ],
)
def test_what_can_not_be_searched_is_refused(change: dict[str, Any], match: str) -> None:
    environment = as_environment(Follow)
    policy = as_policy(lambda rows: one_hot(right_actions(rows, False)), environment)
    options: dict[str, Any] = {"states": np.random.default_rng(0).uniform(size=(700, 4)), "weights": np.ones(700)}
    with pytest.raises(InputError, match=match):
        search_programs(environment, policy, **(options | change))
