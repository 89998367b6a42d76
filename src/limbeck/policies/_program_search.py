"""Programs found by playing: for each number of lines the one that scores most.

Candidate lines come from the teacher's states, weighted by what a wrong action costs. From there on imitation is not
asked: candidates race on fresh episodes (where those are long, on their beginnings first), the best are changed a
little and race again, lines are added and race again.

Source
------
Bastani2018 (states and weights). Verma2018 (programs that play, searched near a teacher). Karnin2013 (racing). The
forms, the growth and the search are our own.

Departures
----------
- The search counts the environment's steps: with the same seed the answer is the same with any number of processes, as
  long as `n_steps` are done before `budget_s` is over (and on any machine that rounds alike, where episodes are long:
  `_smoothing`). On a slower machine the first races tell how many steps a second there are, the rounds are planned for
  as many as the time allows, and the answer may differ.
- Ctrl-C ends the search and keeps what is best so far.

Checked
-------
tests/truth/test_program_search_truth.py: a planted line is found from a teacher that plays by it, and a program of one
line is not returned for a world that needs two as if it were as good.

Cost
----
`n_steps` steps of the environment at most, and the time for candidate lines (about ten seconds); where episodes are
long, a second or two a generation for what programs that act alike tell.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence

import numpy as np

from limbeck._core.errors import InputError
from limbeck._core.progress import Progress, Report, reporting
from limbeck._core.seeds import RandomState, as_generator, draw_seeds
from limbeck.policies._balanced_lines import balanced_lines
from limbeck.policies._candidate_lines import candidate_forms, candidate_lines, column_scales, form_pool
from limbeck.policies._environment import Environment
from limbeck.policies._episodes import Episodes, play_episodes
from limbeck.policies._features import standing
from limbeck.policies._growing import fitted_forms
from limbeck.policies._lessons import Lessons, lessons
from limbeck.policies._local_search import Neighbourhood
from limbeck.policies._longer_programs import race_longer
from limbeck.policies._policy import Policy
from limbeck.policies._policy_checks import RandomActs
from limbeck.policies._polishing import polish
from limbeck.policies._program_contest import Contest
from limbeck.policies._program_draft import Draft
from limbeck.policies._program_finals import FoundPrograms, finals
from limbeck.policies._racing import Arena, OutOfBudget
from limbeck.policies._scouting import LONG, scouted
from limbeck.policies._stepping import Act

__all__ = ["MOST_STEPS", "search_programs"]

MOST_STEPS = 6_000_000
MOST_STATES = 2_500
FIRST_LINES = 160
MOST_LIKELY = 40
BALANCED_FORMS = 52
FORMS_EACH = 20
GENERATIONS = (0.25, 0.12)
LEARNING_EPISODES = 3
LEVEL_EPISODES = 6
FIRST_TRIED = 8
VERY_LONG, CUT = 2_000, 1_200  # steps of an episode, and what of it all races play then
LATE = 4  # lines that play whole episodes where the search was stopped before any did
HOPEFUL, NEAR = 0.2, 0.4
ONE_LINE_SHARE, SCOUTING_SHARE = 0.3, 0.5
HOPEFUL_PART, GOOD_PART = 0.15, 0.6  # of the steps that are left
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
    n_steps: int = MOST_STEPS,
    n_jobs: int | None = None,
    seed: RandomState = None,
    progress: Progress = False,
) -> FoundPrograms:
    """The best program of each number of lines, from one line up.

    Parameters
    ----------
    environment : Environment
    policy : Policy
        The teacher: asked for its scores in the states, and played a few episodes, for what a good line scores.
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
            if interrupted and not (arena.played or arena.glimpses):
                raise
            report("the search is over: what is best so far plays its last episodes", 0, 0)
        arena.deadline, arena.most_steps = start + budget_s, n_steps
        if not arena.played:
            with contextlib.suppress(OutOfBudget):
                arena.play(sorted(arena.glimpses, key=lambda draft: -arena.glimpses[draft])[:LATE], 1)
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
    reached = _first_lines(contest, first, policy)
    if reached() >= HOPEFUL:
        _polish_lines(contest, HOPEFUL_PART * contest.left())
    if reached() >= NEAR:
        end = arena.steps + GOOD_PART * contest.left()
        _polish_lines(contest, end - arena.steps)
        contest.settle(1, end)
    for share in GENERATIONS:
        if contest.is_over or max_lines == 1:
            break
        _learn(contest, policy)
        race_longer(contest, max_lines, max_terms, share)
    contest.go_on()


def _first_lines(contest: Contest, lines: Sequence[Draft], policy: Policy) -> Callable[[], float]:
    """The first race of lines, where episodes are long after a look at their beginnings; and how near they come.

    What is returned tells the part of the teacher's lead over chance that the best line has: near to 1, one line is
    worth the most.
    """
    arena, generator = contest.arena, contest.arena.generator
    acts: list[Act] = [policy.act, RandomActs(len(arena.environment.actions), int(generator.integers(2**31)))]
    seeds = [draw_seeds(generator, LEVEL_EPISODES) for _ in acts]

    def played(max_steps: int) -> list[Episodes]:
        both = zip(acts, seeds, strict=True)
        return [play_episodes(arena.environment, act, places, max_steps=max_steps) for act, places in both]

    teacher, chance = played(VERY_LONG)
    length = float(teacher.lengths.mean())
    arena.most_steps -= min(teacher.steps + chance.steps, arena.most_steps // 2)
    if length == VERY_LONG:
        arena.cut = CUT
        teacher, chance = played(CUT)
    if length < LONG:
        contest.first(1, lines, ONE_LINE_SHARE)
    else:
        contest.report("many lines play the beginnings of episodes", 0, 0)
        arena.tried(lines[:FIRST_TRIED], 1, max_steps=LONG)  # to know what a step costs
        most = SCOUTING_SHARE * contest.reachable()
        contest.chosen(1, scouted(arena, lines, length, most, contest.known.rows))
    poor, level = float(chance.returns.mean()), float(teacher.returns.mean())

    def reached() -> float:
        best = arena.estimate(contest.elites[1][0])
        return (best - poor) / (level - poor) if level > poor else 1.0

    return reached


def _polish_lines(contest: Contest, most_steps: float) -> None:
    """One line: polished from the best ones on different columns."""
    arena, starts = contest.arena, dict[frozenset[int], Draft]()
    for draft in arena.ranked(draft for draft in arena.played if len(draft.lines) == 1):
        columns = frozenset(column for column, _ in draft.lines[0].form)
        if not any(columns <= other for other in starts):
            starts[columns] = draft
        if len(starts) == MOST_STARTS:
            break
    polish(contest, list(starts.values()), POLISHING_SHARE * most_steps)


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
