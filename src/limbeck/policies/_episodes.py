"""Episodes played side by side: the same seed gives the same episode, whatever is played beside it.

Source
------
Machado2018 (sticky actions). The interval is Student's: mean +- t * s / sqrt(n), 95 %.

Departures
----------
Sticky actions are drawn once a step here, for any environment; the games of `ram_environment` draw their own once a
frame besides.

Checked
-------
tests/unit/test_policies.py: one at a time against many at once, one process against two, sticky actions counted.

Cost
----
The environment's own, and one call of the policy a step for all living episodes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from limbeck._core.errors import InputError, TeacherError
from limbeck.policies._environment import Environment
from limbeck.policies._stepping import Act, actions_of, begin, environments, rows_of, step

__all__ = ["NO_END", "Episodes", "Return", "play_episodes", "play_many", "score_of"]

TOGETHER = 32
"""Environments that are stepped together."""

NO_END = 10_000
"""Steps after which an episode is cut where neither the environment nor the caller says so."""


@dataclass(frozen=True)
class Episodes:
    """What was played, in the order of the seeds.

    Attributes
    ----------
    returns, lengths : array of shape (n,)
        The sum of rewards, and the steps.
    seeds : tuple of int
    observations, actions : tuple of arrays or None
        Where recorded: for each episode the observations ``(t, d)`` that were acted on and what the policy said.
    steps : int
        Steps of all episodes together.
    """

    returns: np.ndarray
    lengths: np.ndarray
    seeds: tuple[int, ...]
    observations: tuple[np.ndarray, ...] | None = None
    actions: tuple[np.ndarray, ...] | None = None

    @property
    def steps(self) -> int:
        """Steps of all episodes together."""
        return int(self.lengths.sum())


@dataclass(frozen=True)
class Return:
    """The mean return with its 95 % interval (Student's t over episodes), the worst, and how many there were."""

    mean: float
    low: float
    high: float
    worst: float
    std_error: float
    episodes: int

    def to_dict(self) -> dict[str, float | int]:
        """The fields by name."""
        return asdict(self)


def play_episodes(
    environment: Environment,
    act: Act,
    seeds: Sequence[int],
    *,
    changes: Sequence[int] = (),
    sticky: float = 0.0,
    record: bool = False,
    max_steps: int | None = None,
) -> Episodes:
    """The episodes that begin from these seeds.

    Parameters
    ----------
    act
        From rows ``(n, d + len(changes))``, one for each living episode, to `n` actions. A row is the observation, then
        for each column of `changes` its difference to the observation one step before (0 at the start).
    changes
        Positions of columns.
    sticky
        Probability that a step repeats the action of the step before instead; drawn from the episode's seed.
    record
        Whether observations and actions are kept.
    max_steps
        Steps after which an episode is cut; the environment's own limit holds besides.

    Raises
    ------
    InputError
        For arguments out of range, and where the environment raises or gives numbers that are not finite.
    TeacherError
        Where `act` raises or does not give one legal action a row.

    Examples
    --------
    >>> import numpy as np
    >>> from limbeck.policies import as_environment, play_episodes
    >>> cart = as_environment("CartPole-v1")
    >>> episodes = play_episodes(cart, lambda rows: (rows[:, 2] + rows[:, 3] > 0).astype(int), seeds=range(3))
    >>> episodes.returns.min() > 150
    np.True_
    """
    places = tuple(int(seed) for seed in seeds)
    columns = _checked(environment, places, changes, sticky, max_steps)
    limit = min((v for v in (environment.max_steps, max_steps) if v is not None), default=NO_END)
    returns, lengths = np.zeros(len(places)), np.zeros(len(places), dtype=np.int64)
    said: list[list[tuple[np.ndarray, int]]] = [[] for _ in places]
    waiting = iter(range(len(places)))
    with environments(environment, min(TOGETHER, len(places))) as envs:
        running = [begin(environment, env, i, places[i]) for env, i in zip(envs, waiting, strict=False)]
        while running:
            chosen = actions_of(environment, act, rows_of(running, columns))
            left = []
            for slot, action in zip(running, chosen, strict=True):
                if record:
                    said[slot.place].append((slot.now, action))
                if not step(environment, slot, action, sticky) and slot.steps < limit:
                    left.append(slot)
                    continue
                returns[slot.place], lengths[slot.place] = slot.total, slot.steps
                place = next(waiting, None)
                if place is not None:
                    left.append(begin(environment, slot.env, place, places[place]))
            running = left
    return Episodes(returns, lengths, places, *(_recorded(said) if record else (None, None)))


def _recorded(said: list[list[tuple[np.ndarray, int]]]) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
    """The observations and the actions of each episode."""
    seen = tuple(np.array([row for row, _ in one]) for one in said)
    return seen, tuple(np.array([action for _, action in one], dtype=np.int64) for one in said)


def play_many(
    environment: Environment,
    acts: Sequence[Act],
    seeds: Sequence[int],
    *,
    n_jobs: int | None = None,
    changes: Sequence[int] = (),
    sticky: float = 0.0,
    record: bool = False,
    max_steps: int | None = None,
) -> list[Episodes]:
    """For each of several policies the episodes from the same seeds, over processes; what `play_episodes` gives.

    Raises
    ------
    InputError, TeacherError
        The first failure, after the others have ended.
    """
    from limbeck._core.parallel import Failure, run_here, run_tasks

    places = tuple(int(seed) for seed in seeds)
    tasks = [
        (environment, act, places[part], tuple(changes), sticky, record, max_steps)
        for act in acts
        for part in _parts(len(places), len(acts), n_jobs)
    ]
    alone = n_jobs == 1 or len(tasks) == 1
    played: list[Any] = [None] * len(tasks)
    for i, result in run_here(_play, tasks) if alone else run_tasks(_play, tasks, n_jobs=n_jobs):
        played[i] = result
    failed = next((result for result in played if isinstance(result, Failure)), None)
    if failed is not None:
        kind = {"InputError": InputError}.get(failed.kind, TeacherError)
        raise kind(failed.message if failed.kind in ("InputError", "TeacherError") else str(failed))
    each = len(tasks) // max(len(acts), 1)
    return [_joined(played[i * each : (i + 1) * each]) for i in range(len(acts))]


def score_of(episodes: Episodes) -> Return:
    """The mean return of at least two episodes, with its interval.

    Raises
    ------
    InputError
        For fewer than two episodes, which have no interval.
    """
    from scipy.special import stdtrit

    n = len(episodes.returns)
    if n < 2:
        raise InputError(f"a score needs at least two episodes for its interval; got {n}. Give more seeds")
    mean = float(episodes.returns.mean())
    error = float(episodes.returns.std(ddof=1)) / math.sqrt(n)
    half = float(stdtrit(n - 1, 0.975)) * error
    return Return(mean, mean - half, mean + half, float(episodes.returns.min()), error, n)


def _checked(
    environment: Environment, seeds: tuple[int, ...], changes: Sequence[int], sticky: float, max_steps: int | None
) -> list[int]:
    d = len(environment.columns)
    if not seeds or min(seeds) < 0:
        raise InputError(f"seeds must be at least one whole number >= 0; got {seeds[:5]}")
    if any(isinstance(c, bool) or not 0 <= int(c) < d or int(c) != c for c in changes):
        raise InputError(f"changes must be positions of columns from 0 to {d - 1}; got {tuple(changes)[:10]}")
    if not 0 <= sticky < 1:
        raise InputError(f"sticky must be a probability below 1; got {sticky!r}")
    if max_steps is not None and max_steps < 1:
        raise InputError(f"max_steps must be a whole number >= 1 or None; got {max_steps!r}")
    return [int(c) for c in changes]


def _parts(n_seeds: int, n_acts: int, n_jobs: int | None) -> list[slice]:
    """The seeds in parts, where there are fewer policies than processes."""
    jobs = 1 if n_jobs is None else n_jobs
    if jobs < 0:
        from joblib import effective_n_jobs

        jobs = effective_n_jobs(jobs)
    n = max(1, min(n_seeds, -(-jobs // max(n_acts, 1))))
    edges = [round(i * n_seeds / n) for i in range(n + 1)]
    return [slice(a, b) for a, b in itertools.pairwise(edges)]


def _play(
    environment: Environment,
    act: Act,
    seeds: tuple[int, ...],
    changes: tuple[int, ...],
    sticky: float,
    record: bool,
    max_steps: int | None,
) -> Episodes:
    return play_episodes(environment, act, seeds, changes=changes, sticky=sticky, record=record, max_steps=max_steps)


def _joined(parts: list[Episodes]) -> Episodes:
    observations = [p.observations for p in parts if p.observations is not None]
    actions = [p.actions for p in parts if p.actions is not None]
    return Episodes(
        np.concatenate([p.returns for p in parts]),
        np.concatenate([p.lengths for p in parts]),
        tuple(seed for p in parts for seed in p.seeds),
        tuple(o for part in observations for o in part) if observations else None,
        tuple(a for part in actions for a in part) if actions else None,
    )
