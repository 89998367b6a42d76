"""Students that learn from the states they come to themselves, weighted by what a wrong action costs.

Source
------
Ross2011 (DAgger). Bastani2018, algorithm 1 (VIPER: Q-DAgger with resampled states; the best student of all iterations).

Symbols
-------
D -> `States`; pi* -> `policy`; l~(s) = V(s) - min_a Q(s, a) -> `weights`; N -> `iterations`; M -> `episodes`.

Departures
----------
- States carry their weight instead of being drawn by it: the same in expectation, without the draw's noise.
- A batch is played by the students of all sizes, some episodes each: a small tree comes to states that a large one
  never sees.
- The episodes of a batch are fresh for the students that play it, so they are the first round of the choice; the best
  `KEPT` of each size then play on other seeds, fewer where the time is up.

Checked
-------
tests/unit/test_distill_policy.py: on a world whose teacher never leaves the path, plain cloning fails off it and the
second batch mends it.

Cost
----
``(iterations + 1) * episodes`` episodes, and for each size at most ``KEPT * episodes`` more for the choice; the teacher
is asked once a state.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from limbeck._core.errors import InputError
from limbeck._core.parallel import Failure, run_here, run_tasks
from limbeck._core.progress import Report
from limbeck._core.seeds import draw_seeds
from limbeck.policies._episodes import play_episodes, play_many
from limbeck.policies._features import standing

if TYPE_CHECKING:
    from limbeck.policies._environment import Environment
    from limbeck.policies._policy import Policy

__all__ = ["Dagger", "Fit", "States", "Student", "TeacherActs", "dagger", "played_by_teacher"]

KEPT = 3
"""So many students of a size play on in the choice."""
FITTED = 0.6
"""The share of the time that is for fitting; the rest is for the choice."""
PLAYED_TOGETHER = 4
"""So many episodes of the teacher are begun at once, where enough states are asked for."""

Fit = Callable[["States", int], "dict[int, Any]"]
"""From states and a seed to the students, each by its bound of size."""


@dataclass(frozen=True)
class States:
    """What was visited, and what the teacher would do there.

    Attributes
    ----------
    rows : array ``(n, d + c)``
        The observations, then the changes.
    actions : int array ``(n,)``
        The teacher's.
    weights : array ``(n,)``
        What the worst action costs there, in the teacher's eyes.
    episodes : int
        How many were played.
    """

    rows: np.ndarray
    actions: np.ndarray
    weights: np.ndarray
    episodes: int = 0

    def __len__(self) -> int:
        return len(self.rows)

    def after(self, other: States) -> States:
        """What was joined to `other`."""
        n = len(other)
        return States(self.rows[n:], self.actions[n:], self.weights[n:], self.episodes - other.episodes)

    def joined(self, more: Sequence[States]) -> States:
        """These states and those of `more`."""
        every = (self, *more)
        return States(
            np.concatenate([one.rows for one in every]),
            np.concatenate([one.actions for one in every]),
            np.concatenate([one.weights for one in every]),
            sum(one.episodes for one in every),
        )


@dataclass
class Student:
    """A student of one size, and the returns of the episodes that it has played on its way.

    Attributes
    ----------
    bound : int
        The bound of its size.
    iteration : int
        After how many batches it was fitted.
    readable : PolicyTree
    returns : list of float
        None of these episodes was among those it was fitted on.
    length : float
        The mean number of steps of its first episodes.
    """

    bound: int
    iteration: int
    readable: Any
    returns: list[float] = field(default_factory=list)
    length: float = 0.0

    @property
    def mean(self) -> float:
        """The mean return so far."""
        return float(np.mean(self.returns)) if self.returns else -np.inf


@dataclass(frozen=True)
class Dagger:
    """What the batches gave.

    Attributes
    ----------
    best : tuple of Student
        For each bound of size the best of all iterations by fresh episodes, the smallest bound first.
    states : States
    complete : bool
        False where it was interrupted or the time was up, and this is what was done by then.
    interrupted : bool
    """

    best: tuple[Student, ...]
    states: States
    complete: bool
    interrupted: bool


class TeacherActs:
    """The teacher as a player: it sees the observation, without the changes that stand behind it."""

    def __init__(self, policy: Policy, width: int) -> None:
        self.policy, self.width = policy, width

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """The actions ``(n,)``."""
        return self.policy.act(rows[:, : self.width])


def played_by_teacher(
    environment: Environment,
    policy: Policy,
    seeds: Sequence[int],
    changes: Sequence[int] = (),
    *,
    enough: int | None = None,
) -> States:
    """The states of episodes that the teacher plays; no further ones are begun where there are `enough` states."""
    acts, n = TeacherActs(policy, len(environment.columns)), len(seeds) if enough is None else PLAYED_TOGETHER
    parts: list[States] = []
    for k in range(0, len(seeds), n):
        if parts and enough is not None and sum(map(len, parts)) >= enough:
            break
        episodes = play_episodes(environment, acts, seeds[k : k + n], changes=changes, record=True)
        parts.append(_labelled(episodes, policy, changes))
    return parts[0].joined(parts[1:])


def _labelled(episodes: Any, policy: Policy, changes: Sequence[int]) -> States:
    rows = standing(episodes, changes)
    seen = rows[:, : rows.shape[1] - len(changes)]
    return States(rows, policy.act(seen), policy.weights(seen), len(episodes.lengths))


def dagger(
    environment: Environment,
    policy: Policy,
    *,
    fit: Fit,
    iterations: int = 6,
    episodes: int = 12,
    changes: Sequence[int] = (),
    seed: int = 0,
    weighted: bool = True,
    start: States | None = None,
    seconds: float | None = None,
    n_jobs: int | None = None,
    progress: Report = lambda what, done, total: None,
    what: str = "tree",
) -> Dagger:
    """The best student of each size, and all states that were visited.

    Parameters
    ----------
    environment, policy
    fit : callable
        From `States` and a seed to a dict of students by their bound of size.
    iterations : int
        How often students are fitted; with 1, this is behaviour cloning on the first batch.
    episodes : int
        In a batch.
    changes : sequence of int
        The columns whose changes stand behind the observation.
    seed : int
    weighted : bool
        Weigh states by what a wrong action costs there; else all count the same.
    start : States, optional
        The first batch, where the teacher has played it already.
    seconds : float, optional
        After `FITTED` of them no iteration is begun, and the choice plays fewer episodes where it would take longer, or
        none.
    n_jobs : int, optional
    progress : function
    what : str
        What is fitted, for the progress.
    """
    began = time.monotonic()
    fitting, choosing, *seeds = draw_seeds(seed, 2 + (iterations + 1) * episodes)
    batches = [seeds[i * episodes : (i + 1) * episodes] for i in range(iterations + 1)]
    states = start or played_by_teacher(environment, policy, batches[0], changes)
    clock, students = _Clock(began, seconds), list[Student]()
    complete, interrupted = True, False
    try:
        for i in range(iterations):
            if students and clock.passed(FITTED):
                complete = False
                break
            progress(f"{what}: fitted and played", i, iterations)
            seen = states if weighted else States(states.rows, states.actions, np.ones(len(states)))
            fresh = [Student(bound, i, one) for bound, one in fit(seen, fitting + i).items()]
            students += fresh
            if iterations > 1:
                states = states.joined(_played(environment, policy, fresh, batches[i + 1], changes, n_jobs, clock))
        progress(f"{what}: fitted and played", iterations, iterations)
        entered = _entered(students)
        n = clock.episodes(sum(student.length for own in entered for student in own), episodes)
        complete = complete and n == episodes
        progress(f"{what}: chosen", 0, 1)
        _race(environment, entered, draw_seeds(choosing, n), changes, n_jobs)
        progress(f"{what}: chosen", 1, 1)
    except KeyboardInterrupt:
        complete, interrupted = False, True
        entered = _entered(students)
    return Dagger(tuple(_best_of(own) for own in entered), states, complete, interrupted)


@dataclass
class _Clock:
    """The time that is given, and how quickly episodes were played so far."""

    began: float
    seconds: float | None
    steps: int = 0
    playing: float = 0.0

    def passed(self, share: float) -> bool:
        """Whether this share of the time is over."""
        return self.seconds is not None and time.monotonic() - self.began > share * self.seconds

    def episodes(self, length: float, most: int) -> int:
        """How many episodes of so many steps together there is time for."""
        if self.seconds is None or not self.steps:
            return most
        left = self.seconds - (time.monotonic() - self.began)
        return int(max(0, min(most, left * self.steps / self.playing / max(length, 1.0))))


def _recorded(environment: Environment, act: Any, seeds: tuple[int, ...], changes: tuple[int, ...]) -> Any:
    return play_episodes(environment, act, seeds, changes=changes, record=True)


def _played(
    environment: Environment,
    policy: Policy,
    students: list[Student],
    seeds: Sequence[int],
    changes: Sequence[int],
    n_jobs: int | None,
    clock: _Clock,
) -> list[States]:
    """The states of a batch that these students share, labelled by the teacher; each keeps its returns."""
    start = time.monotonic()
    shared = [(student, tuple(seeds[k :: len(students)])) for k, student in enumerate(students)]
    players = [(student, own) for student, own in shared if own]
    tasks = [(environment, student.readable.act, own, tuple(changes)) for student, own in players]
    found: list[Any] = [None] * len(tasks)
    for k, episodes in run_here(_recorded, tasks) if n_jobs == 1 else run_tasks(_recorded, tasks, n_jobs=n_jobs):
        if isinstance(episodes, Failure):
            raise InputError(episodes.message)
        found[k] = episodes
    for (student, _), episodes in zip(players, found, strict=True):
        student.returns = [float(value) for value in episodes.returns]
        student.length = float(np.mean(episodes.lengths))
        clock.steps += episodes.steps
    clock.playing += time.monotonic() - start
    return [_labelled(episodes, policy, changes) for episodes in found]


def _best_of(students: list[Student]) -> Student:
    """The highest mean return; of equal ones the latest, which has seen most."""
    return max(students, key=lambda student: (student.mean, student.iteration))


def _race(
    environment: Environment,
    entered: list[list[Student]],
    seeds: Sequence[int],
    changes: Sequence[int],
    n_jobs: int | None,
) -> None:
    """All who entered play from the same seeds; with fewer than two, the returns of the batches stay what is known."""
    if len(seeds) < 2:
        return
    race = [student for own in entered for student in own]
    acts = [student.readable.act for student in race]
    played = play_many(environment, acts, seeds, changes=changes, n_jobs=n_jobs)
    for student, one in zip(race, played, strict=True):
        student.returns = [float(value) for value in one.returns]


def _entered(students: list[Student]) -> list[list[Student]]:
    """For each bound the few students that did best so far."""
    entered = []
    for bound in sorted({student.bound for student in students}):
        own = [student for student in students if student.bound == bound]
        own.sort(key=lambda student: (student.mean, student.iteration), reverse=True)
        entered.append(own[:KEPT])
    return entered
