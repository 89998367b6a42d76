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

import time
from collections.abc import Sequence

import numpy as np

from limbeck._core.errors import InputError
from limbeck._core.progress import Progress, Report, reporting
from limbeck._core.seeds import RandomState, as_generator, draw_seeds
from limbeck.policies._balanced_lines import balanced_lines
from limbeck.policies._candidate_lines import candidate_forms, candidate_lines, column_scales, form_pool
from limbeck.policies._environment import Environment
from limbeck.policies._episodes import play_episodes
from limbeck.policies._features import standing
from limbeck.policies._growing import fitted_forms
from limbeck.policies._lessons import Lessons, lessons
from limbeck.policies._local_search import Neighbourhood
from limbeck.policies._longer_programs import race_longer
from limbeck.policies._policy import Policy
from limbeck.policies._polishing import polish
from limbeck.policies._program_contest import Contest
from limbeck.policies._program_draft import Draft
from limbeck.policies._program_finals import FoundPrograms, finals
from limbeck.policies._racing import Arena, OutOfBudget

__all__ = ["search_programs"]

MOST_STATES = 2_500
FIRST_LINES = 160
MOST_LIKELY = 40
BALANCED_FORMS = 40
FORMS_EACH = 20
GENERATIONS = (0.25, 0.12)
LEARNING_EPISODES = 3
TEACHER_EPISODES = 8
HOPEFUL, NEAR = 0.2, 0.6
ONE_LINE_SHARE = 0.45
HOPEFUL_SHARE, GOOD_LINE_SHARE = 0.4, 0.75
FINAL_SHARE = 0.12
LEAST_STATES = 20
MOST_STARTS = 4
POLISHING_SHARE = 0.85


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
) -> FoundPrograms:
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
    FoundPrograms
        One for each number of lines that was reached. Ctrl-C ends the search early: the best so far, not `complete`.

    Raises
    ------
    InputError
        For states, weights or bounds that can't be used, and where the time was over before a program had played.
    """
    start = time.monotonic()
    rows, weights = _checked(environment, states, weights, changes)
    _check_bounds(max_lines=max_lines, max_terms=max_terms, budget_s=budget_s, n_steps=n_steps)
    with reporting(progress) as report:
        deadline, most_steps = start + (1.0 - FINAL_SHARE) * budget_s, round((1.0 - FINAL_SHARE) * n_steps)
        arena = Arena(environment, as_generator(seed), deadline, most_steps, n_jobs, tuple(changes))
        known = lessons(policy, rows, weights, len(environment.columns))
        interrupted = False
        try:
            _search(arena, policy, known, max_lines, max_terms, report)
        except (OutOfBudget, KeyboardInterrupt) as end:
            interrupted = isinstance(end, KeyboardInterrupt)
            if interrupted and not arena.played:
                raise
            report("the search is over: what is best so far plays its last episodes", 0, 0)
        arena.deadline, arena.most_steps = start + budget_s, n_steps
        return FoundPrograms(finals(arena), not interrupted)


def _search(arena: Arena, policy: Policy, known: Lessons, max_lines: int, max_terms: int, report: Report) -> None:
    """Let programs play, size by size, and then all sizes; ends when all stand still, or raises OutOfBudget."""
    generator = arena.generator
    known = known.taken(generator.permutation(len(known))[:MOST_STATES])
    ways = [*known.both(), *known.against()]
    report("candidate lines", 0, 2)
    forms = [*candidate_forms(known.rows, ways, max_terms), *fitted_forms(known.rows, known.graded, max_terms)]
    report("candidate lines", 1, 2)
    first = candidate_lines(forms, known.rows, known.both(), FIRST_LINES)
    first[MOST_LIKELY:MOST_LIKELY] = balanced_lines(known.rows, known.both(), max_terms, BALANCED_FORMS)
    pool = form_pool(forms, known.rows, ways, FORMS_EACH)
    report("candidate lines", 2, 2)
    near = Neighbourhood(known.rows, known.alone.shape[1], column_scales(known.rows), pool, max_terms, generator)
    contest = Contest(arena, near, known, report, max_lines)
    contest.first(1, first, ONE_LINE_SHARE)
    level = _level(arena, policy)
    if _lead(contest, level) >= HOPEFUL:
        _polish_lines(contest, HOPEFUL_SHARE * contest.reachable())
    if _lead(contest, level) >= NEAR:
        _polish_lines(contest, GOOD_LINE_SHARE * contest.reachable())
        contest.settle(1, GOOD_LINE_SHARE * contest.reachable())
    for share in GENERATIONS:
        if contest.is_over or max_lines == 1:
            break
        _learn(contest, policy)
        race_longer(contest, max_lines, max_terms, share)
    contest.go_on()


def _polish_lines(contest: Contest, most_steps: float) -> None:
    """One line: polished from the best of the first race, on different columns."""
    arena, starts = contest.arena, dict[frozenset[int], Draft]()
    for draft in arena.ranked(draft for draft in arena.played if len(draft.lines) == 1):
        columns = frozenset(column for column, _ in draft.lines[0].form)
        if not any(columns <= other for other in starts):
            starts[columns] = draft
        if len(starts) == MOST_STARTS:
            break
    polish(contest, list(starts.values()), POLISHING_SHARE * max(0.0, most_steps - arena.steps))


def _level(arena: Arena, policy: Policy) -> float:
    """What the teacher scores."""
    played = play_episodes(arena.environment, policy.act, draw_seeds(arena.generator, TEACHER_EPISODES))
    arena.steps += played.steps
    return float(played.returns.mean())


def _lead(contest: Contest, level: float) -> float:
    """How far the best line comes from what most lines score to the teacher: near to it, one line is worth the most."""
    arena = contest.arena
    best, poor = arena.estimate(contest.elites[1][0]), float(np.median([one[0] for one in arena.played.values()]))
    return (best - poor) / (level - poor) if level > poor else 1.0


def _learn(contest: Contest, policy: Policy) -> None:
    """Ask the teacher about states that the best programs come to, and know them too."""
    arena = contest.arena
    best = [drafts[0] for drafts in contest.elites.values()]
    visited = arena.episodes(best, draw_seeds(arena.generator, LEARNING_EPISODES), record=True)
    rows = np.concatenate([standing(episodes, arena.changes) for episodes in visited])
    rows = rows[arena.generator.permutation(len(rows))[: MOST_STATES // 2]]
    n_columns = len(arena.environment.columns)
    more = lessons(policy, rows, policy.weights(rows[:, :n_columns]), n_columns)
    contest.known = contest.known.joined(more)
    contest.near.rows = contest.known.rows


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
