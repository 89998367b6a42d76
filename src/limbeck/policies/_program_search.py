"""Programs found by playing: for each number of lines the one that scores most.

Candidate lines come from the teacher's states, weighted by what a wrong action costs. From there on imitation is not
asked: candidates race on fresh episodes, the best are changed a little and race again, lines are added and race again.

Source
------
Bastani2018 (states and weights). Verma2018 (programs that play, searched near a teacher). Karnin2013 (racing). The
forms, the growth and the search are our own.

Departures
----------
- The search counts the environment's steps: with the same seed the answer is the same on any machine and any number of
  processes, as long as `n_steps` are done before `budget_s` is over. On a slower machine the first races tell how
  many steps a second there are, the rounds are planned for as many as the time allows, and the answer may differ.
- Ctrl-C ends the search and keeps what is best so far.

Checked
-------
tests/truth/test_program_search_truth.py: a planted line is found from a teacher that plays by it, and a program of one
line is not returned for a world that needs two as if it were as good.

Cost
----
`n_steps` steps of the environment at most, and the time for candidate lines (about ten seconds).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from limbeck._core.errors import InputError
from limbeck._core.progress import Progress, Report, reporting
from limbeck._core.seeds import RandomState, as_generator, draw_seeds
from limbeck.policies._candidate_lines import candidate_forms, candidate_lines, column_scales
from limbeck.policies._environment import Environment
from limbeck.policies._episodes import Return, score_of
from limbeck.readable import policy_schema
from limbeck.policies._growing import fitted_forms, lists_from_data
from limbeck.policies._local_search import Neighbourhood
from limbeck.policies._policy import Policy
from limbeck.policies._program_contest import Contest
from limbeck.policies._program_draft import Draft, program_of
from limbeck.policies._racing import Arena, OutOfBudget
from limbeck.readable import ProgramPolicy

__all__ = ["FoundProgram", "search_programs"]

MOST_STATES = 2_500
GROWTH_STATES = 1_200
FIRST_LINES = 160
ONE_LINE_SHARE = 0.4
MORE_LINES_SHARE = 0.35
FINAL_SHARE = 0.12
FINALISTS = 3
CHOOSING_EPISODES = 8
LAST_EPISODES = (8, 30)
LEAST_STATES = 20
LEAST_PROBABILITY = 1e-4


@dataclass(frozen=True)
class FoundProgram:
    """A program, and what it scored in the search's last episodes, on which none was chosen.

    Attributes
    ----------
    readable : ProgramPolicy
    search_return : Return
    complexity : int
    """

    readable: ProgramPolicy
    search_return: Return
    complexity: int


def search_programs(
    environment: Environment,
    policy: Policy,
    *,
    states: np.ndarray,
    weights: np.ndarray,
    changes: Sequence[int] = (),
    max_lines: int = 8,
    max_terms: int = 4,
    budget_s: float = 300.0,
    n_steps: int = 6_000_000,
    n_jobs: int | None = None,
    seed: RandomState = None,
    progress: Progress = False,
) -> tuple[FoundProgram, ...]:
    """The best program of each number of lines, from one line up.

    Parameters
    ----------
    environment : Environment
    policy : Policy
        The teacher: asked for its scores in the states, not played.
    states : array (n, d + number of changes)
        Rows as the program will see them: an observation, then the changes since the step before.
    weights : array (n,)
        What a wrong action costs in each of them.
    changes : sequence of int
        The columns whose changes stand behind the observation.
    max_lines : int
        A line is one linear form with a threshold below, a threshold above, or both.
    max_terms : int
        The most columns in a form.
    budget_s : float
        Seconds of wall clock.
    n_steps : int
        The most steps of the environment.
    n_jobs : int, optional
    seed : int, Generator, optional
    progress : bool or callable

    Returns
    -------
    tuple of FoundProgram
        One for each number of lines that was reached, in order.

    Raises
    ------
    InputError
        For states, weights or bounds that can't be used.
    """
    start = time.monotonic()
    rows, weights = _checked(environment, states, weights, changes)
    _check_bounds(max_lines=max_lines, max_terms=max_terms, budget_s=budget_s, n_steps=n_steps)
    generator = as_generator(seed)
    gains = _gains(policy, rows[:, : len(environment.columns)], weights)
    with reporting(progress) as report:
        deadline, most_steps = start + (1.0 - FINAL_SHARE) * budget_s, round((1.0 - FINAL_SHARE) * n_steps)
        arena = Arena(environment, generator, deadline, most_steps, n_jobs, tuple(changes))
        elites: dict[int, list[Draft]] = {}
        try:
            _search(arena, elites, rows, gains, max_lines, max_terms, generator, report)
        except (OutOfBudget, KeyboardInterrupt):
            report("the search is over: what is best so far plays its last episodes", 0, 0)
        if not elites:
            _keep_what_played(arena, elites)
        arena.deadline, arena.most_steps = start + budget_s, n_steps
        return _finals(arena, elites)


def _search(
    arena: Arena,
    elites: dict[int, list[Draft]],
    rows: np.ndarray,
    gains: tuple[np.ndarray, np.ndarray],
    max_lines: int,
    max_terms: int,
    generator: np.random.Generator,
    report: Report,
) -> None:
    """Fill `elites`, size by size, and then go on with all sizes; ends when all stand still, or raises OutOfBudget."""
    few = generator.permutation(len(rows))[:MOST_STATES]
    sample, wins = rows[few], (gains[0][few], gains[1][few])
    report("candidate lines", 0, 2)
    forms = [*candidate_forms(sample, wins, max_terms), *fitted_forms(sample, wins[1], max_terms)]
    report("candidate lines", 1, 2)
    first = candidate_lines(forms, sample, wins, FIRST_LINES)
    pool = list(dict.fromkeys(draft.lines[0].form for draft in first))
    near = Neighbourhood(sample, wins[0].shape[1], column_scales(sample), pool, max_terms, generator)
    contest = Contest(arena, near, pool, sample, wins[0] + wins[1], report, elites)
    report("candidate lines", 2, 2)
    contest.first(1, first)
    contest.settle(1, ONE_LINE_SHARE * contest.reachable())
    few = slice(0, GROWTH_STATES)
    lists = lists_from_data(pool, sample[few], (wins[0] + wins[1])[few], max_lines)
    for size in range(2, max_lines + 1):
        drafts = [*lists[size - 1], *contest.longer(size - 1, 40)] if size <= len(lists) else contest.longer(size - 1, 40)
        contest.first(size, drafts)
        contest.settle(size, (ONE_LINE_SHARE + (size - 1) / (max_lines - 1) * MORE_LINES_SHARE) * contest.reachable())
    contest.go_on()


def _keep_what_played(arena: Arena, elites: dict[int, list[Draft]]) -> None:
    """Where the search was over before the first race was: whatever played."""
    ranked = arena.ranked(arena.played)
    if ranked:
        elites[len(ranked[0].lines)] = ranked[:1]


def _finals(arena: Arena, elites: dict[int, list[Draft]]) -> tuple[FoundProgram, ...]:
    """The best of each size, chosen once more, simplified, and then measured on episodes that chose nothing."""
    if not elites:
        raise InputError("the search was over before a program had played; give it more seconds or steps")
    finalists = {size: drafts[:FINALISTS] for size, drafts in sorted(elites.items())}
    with contextlib.suppress(OutOfBudget, KeyboardInterrupt):
        arena.play([draft for drafts in finalists.values() for draft in drafts if len(drafts) > 1], CHOOSING_EPISODES)
    chosen: dict[int, ProgramPolicy] = {}
    schema = policy_schema(arena.environment.columns, arena.changes)
    for drafts in finalists.values():
        program = program_of(arena.ranked(drafts)[0], schema, arena.environment.actions, arena.changes).simplified()
        chosen[program.n_lines] = program
    seeds = draw_seeds(arena.generator, _n_last(arena, len(chosen)))
    programs = [chosen[size] for size in sorted(chosen)]
    episodes = arena.episodes([program.act for program in programs], seeds)
    return tuple(
        FoundProgram(program, score_of(played), program.complexity)
        for program, played in zip(programs, episodes, strict=True)
    )


def _n_last(arena: Arena, n_programs: int) -> int:
    """The episodes that each plays last: as many as time and steps are left for, within bounds."""
    n_played = sum(map(len, arena.played.values()))
    left = max(0, arena.most_steps - arena.steps)
    left_by_clock = max(0.0, arena.deadline - arena.clock()) * arena.rate
    n = int(min(left, left_by_clock) / (2.0 * arena.steps / n_played) / n_programs)
    return min(max(n, LAST_EPISODES[0]), LAST_EPISODES[1])


def _gains(policy: Policy, observations: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What each action wins ``(n, a)`` in each state, in two ways: only the teacher's action counts, or all by its scores.

    Both are scaled so that a state counts 1 in the middle.
    """
    scores = np.asarray(policy(observations), dtype=np.float64)
    rows = np.arange(len(scores))
    alone = np.zeros_like(scores)
    alone[rows, scores.argmax(axis=1)] = weights / max(float(weights.mean()), 1e-12)
    if policy.kind == "actions":
        return alone, alone
    if policy.kind == "probabilities":
        scores = np.log(np.clip(scores, LEAST_PROBABILITY, None))
    graded = scores - scores.max(axis=1, keepdims=True)
    graded = graded / max(float(-graded.min(axis=1).mean()), 1e-12)
    return alone, graded


def _checked(
    environment: Environment, states: np.ndarray, weights: np.ndarray, changes: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    rows, weights = np.asarray(states, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    width = len(environment.columns) + len(changes)
    if rows.ndim != 2 or rows.shape[1] != width or len(rows) < LEAST_STATES:
        raise InputError(
            f"states need at least {LEAST_STATES} rows of {width} columns ({len(environment.columns)} observed, "
            f"{len(changes)} changes); got shape {rows.shape}"
        )
    if weights.shape != (len(rows),) or not (np.isfinite(weights).all() and (weights >= 0).all() and weights.any()):
        raise InputError(
            f"weights need one finite number >= 0 a state, not all 0; got shape {weights.shape} for {len(rows)} states"
        )
    if not np.isfinite(rows).all():
        raise InputError(f"states must be finite; {int((~np.isfinite(rows)).any(axis=1).sum())} of {len(rows)} are not")
    return rows, weights


def _check_bounds(**bounds: float) -> None:
    for name, value in bounds.items():
        if isinstance(value, bool) or not value > 0 or (name != "budget_s" and int(value) != value):
            kind = "a number of seconds" if name == "budget_s" else "a whole number"
            raise InputError(f"{name} must be {kind} > 0; got {value!r:.40}")
