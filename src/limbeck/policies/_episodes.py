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
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from limbeck._core.errors import InputError, TeacherError
from limbeck.policies._environment import Environment, observed

__all__ = ["Episodes", "Return", "play_episodes", "play_many", "score_of"]

TOGETHER = 32
"""Environments that are stepped together."""

NO_END = 10_000
"""Steps after which an episode is cut where neither the environment nor the caller says so."""

_KEPT_ENVIRONMENTS = 4
_IDLE: OrderedDict[Environment, list[Any]] = OrderedDict()

Act = Callable[[np.ndarray], Any]
"""From rows ``(n, d + changes)`` to ``n`` actions."""


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


@dataclass
class _Slot:
    """One running episode."""

    place: int
    env: Any
    now: np.ndarray
    before: np.ndarray
    chance: np.random.Generator
    last: int = -1
    total: float = 0.0
    steps: int = 0


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
    limit = min(v for v in (max_steps, environment.max_steps, math.inf) if v is not None)
    limit = NO_END if limit == math.inf else int(limit)
    returns, lengths = np.zeros(len(places)), np.zeros(len(places), dtype=np.int64)
    said: list[list[tuple[np.ndarray, int]]] = [[] for _ in places]
    waiting = iter(range(len(places)))
    with _environments(environment, min(TOGETHER, len(places))) as envs:
        running = [_begin(environment, env, i, places[i]) for env, i in zip(envs, waiting, strict=False)]
        while running:
            chosen = _actions(environment, act, _rows(running, columns))
            left = []
            for slot, action in zip(running, chosen, strict=True):
                if record:
                    said[slot.place].append((slot.now, action))
                if not _step(environment, slot, action, sticky) and slot.steps < limit:
                    left.append(slot)
                    continue
                returns[slot.place], lengths[slot.place] = slot.total, slot.steps
                place = next(waiting, None)
                if place is not None:
                    left.append(_begin(environment, slot.env, place, places[place]))
            running = left
    kept = [(np.array([o for o, _ in one]), np.array([a for _, a in one], dtype=np.int64)) for one in said]
    return Episodes(
        returns,
        lengths,
        places,
        tuple(o for o, _ in kept) if record else None,
        tuple(a for _, a in kept) if record else None,
    )


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


@contextmanager
def _environments(environment: Environment, n: int) -> Iterator[list[Any]]:
    """`n` environments, some of them from an earlier run: every episode begins by a reset with its seed."""
    idle = _IDLE.pop(environment, [])
    taken, rest = idle[:n], idle[n:]
    taken += [environment.make() for _ in range(n - len(taken))]
    try:
        yield taken
    except BaseException:
        for env in taken:
            env.close()
        taken = []
        raise
    finally:
        _IDLE[environment] = [*_IDLE.pop(environment, []), *taken, *rest]
        while len(_IDLE) > _KEPT_ENVIRONMENTS:
            for env in _IDLE.popitem(last=False)[1]:
                env.close()


def _begin(environment: Environment, env: Any, place: int, seed: int) -> _Slot:
    try:
        observation, _ = env.reset(seed=seed)
    except Exception as error:
        raise InputError(f"the environment {environment.name} raised {type(error).__name__}: {error}") from error
    row = observed(observation, environment.name, len(environment.columns))
    return _Slot(place, env, row, row, np.random.default_rng((seed, 1)))


def _step(environment: Environment, slot: _Slot, action: int, sticky: float) -> bool:
    """One step of one episode; whether it ended."""
    if sticky and slot.steps and slot.chance.random() < sticky:
        action = slot.last
    try:
        observation, reward, over, cut, _ = slot.env.step(action)
    except Exception as error:
        raise InputError(f"the environment {environment.name} raised {type(error).__name__}: {error}") from error
    slot.last, slot.before = action, slot.now
    slot.now = observed(observation, environment.name, len(environment.columns))
    slot.total, slot.steps = slot.total + float(reward), slot.steps + 1
    if not math.isfinite(slot.total):
        raise InputError(f"the rewards of the environment {environment.name} must be finite; got {reward!r:.40}")
    return bool(over or cut)


def _rows(running: list[_Slot], columns: list[int]) -> np.ndarray:
    now = np.array([slot.now for slot in running])
    if not columns:
        return now
    before = np.array([slot.before for slot in running])
    return np.hstack([now, now[:, columns] - before[:, columns]])


def _actions(environment: Environment, act: Act, rows: np.ndarray) -> list[int]:
    """What the policy says, one legal action a row."""
    try:
        said = np.asarray(act(rows))
    except (InputError, TeacherError):
        raise
    except Exception as error:
        raise TeacherError(f"the policy raised {type(error).__name__} on {rows.shape} observations: {error}") from error
    a = len(environment.actions)
    legal = said.shape == (len(rows),) and said.dtype.kind in "iub" and said.min() >= 0 and said.max() < a
    if not legal:
        raise TeacherError(
            f"a policy must answer {len(rows)} rows with as many whole numbers from 0 to {a - 1}; got "
            f"{np.array2string(said, threshold=6)[:80]} of shape {said.shape} and type {said.dtype}"
        )
    chosen: list[int] = said.tolist()
    return [int(action) for action in chosen]


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
