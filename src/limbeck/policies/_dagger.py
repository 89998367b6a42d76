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
    """

    rows: np.ndarray
    actions: np.ndarray
    weights: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def after(self, n: int) -> States:
        """All states but the first `n`."""
        return States(self.rows[n:], self.actions[n:], self.weights[n:])

    def joined(self, more: Sequence[States]) -> States:
        """These states and those of `more`."""
        every = (self, *more)
        return States(
            np.concatenate([one.rows for one in every]),
            np.concatenate([one.actions for one in every]),
            np.concatenate([one.weights for one in every]),
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
    """

    bound: int
    iteration: int
    readable: Any
    returns: list[float] = field(default_factory=list)

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
    environment: Environment, policy: Policy, seeds: Sequence[int], changes: Sequence[int] = ()
) -> States:
    """The states of episodes that the teacher plays."""
    acts = TeacherActs(policy, len(environment.columns))
    return _labelled(play_episodes(environment, acts, seeds, changes=changes, record=True), policy, changes)


def _labelled(episodes: Any, policy: Policy, changes: Sequence[int]) -> States:
    rows = standing(episodes, changes)
    seen = rows[:, : rows.shape[1] - len(changes)]
    return States(rows, policy.act(seen), policy.weights(seen))


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
    deadline: float | None = None,
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
    deadline : float, optional
        By the monotonic clock: no iteration is begun after it.
    n_jobs : int, optional
    progress : function
    what : str
        What is fitted, for the progress.
    """
    fitting, choosing, *seeds = draw_seeds(seed, 2 + (iterations + 1) * episodes)
    batches = [seeds[i * episodes : (i + 1) * episodes] for i in range(iterations + 1)]
    states = start or played_by_teacher(environment, policy, batches[0], changes)
    students: list[Student] = []
    complete, interrupted = True, False
    try:
        for i in range(iterations):
            if students and deadline is not None and time.monotonic() > deadline:
                complete = False
                break
            progress(f"{what}: fitted and played", i, iterations)
            seen = states if weighted else States(states.rows, states.actions, np.ones(len(states)))
            fresh = [Student(bound, i, one) for bound, one in fit(seen, fitting + i).items()]
            students += fresh
            if iterations > 1:
                states = states.joined(_played(environment, policy, fresh, batches[i + 1], changes))
        progress(f"{what}: fitted and played", iterations, iterations)
        n_episodes = episodes if deadline is None or time.monotonic() < deadline else max(2, episodes // 3)
        progress(f"{what}: chosen", 0, 1)
        best = _chosen(environment, students, choosing, n_episodes, changes, n_jobs)
        progress(f"{what}: chosen", 1, 1)
    except KeyboardInterrupt:
        complete, interrupted = False, True
        best = [_best_of([s for s in students if s.bound == bound]) for bound in sorted({s.bound for s in students})]
    return Dagger(tuple(best), states, complete, interrupted)


def _played(
    environment: Environment, policy: Policy, students: list[Student], seeds: Sequence[int], changes: Sequence[int]
) -> list[States]:
    """The states of a batch that these students share, labelled by the teacher; each keeps its returns."""
    found = []
    for k, student in enumerate(students):
        own = seeds[k :: len(students)]
        if len(own):
            episodes = play_episodes(environment, student.readable.act, own, changes=changes, record=True)
            student.returns += [float(value) for value in episodes.returns]
            found.append(_labelled(episodes, policy, changes))
    return found


def _best_of(students: list[Student]) -> Student:
    """The highest mean return; of equal ones the latest, which has seen most."""
    return max(students, key=lambda student: (student.mean, student.iteration))


def _chosen(
    environment: Environment,
    students: list[Student],
    seed: int,
    episodes: int,
    changes: Sequence[int],
    n_jobs: int | None,
) -> list[Student]:
    """For each bound the best student: those that did best so far play on, on seeds that none has played."""
    entered = []
    for bound in sorted({student.bound for student in students}):
        own = [student for student in students if student.bound == bound]
        own.sort(key=lambda student: (student.mean, student.iteration), reverse=True)
        entered.append(own[:KEPT])
    race = [student for own in entered for student in own]
    acts = [student.readable.act for student in race]
    played = play_many(environment, acts, draw_seeds(seed, episodes), changes=changes, n_jobs=n_jobs)
    for student, one in zip(race, played, strict=True):
        student.returns = [float(value) for value in one.returns]
    return [_best_of(own) for own in entered]
