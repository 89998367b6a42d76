"""The running episodes: environments that are used again, one reset and one step, and what the policy says, checked.

Source
------
Own. The sticky actions are those of Machado2018, drawn once a step from the episode's seed.

Checked
-------
tests/unit/test_policies.py, through `play_episodes`.

Cost
----
Environments are kept for the next episodes: a console of a game takes a tenth of a second to start.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from limbeck._core.errors import InputError, TeacherError
from limbeck.policies._environment import Environment, observed

__all__ = ["Act", "Slot", "actions_of", "begin", "environments", "rows_of", "step"]

Act = Callable[[np.ndarray], Any]
"""From rows ``(n, d + changes)`` to ``n`` actions."""

_KEPT_ENVIRONMENTS = 4
_IDLE: OrderedDict[Environment, list[Any]] = OrderedDict()


@dataclass
class Slot:
    """One running episode: its place among the seeds, its environment, what is and was observed, its chance."""

    place: int
    env: Any
    now: np.ndarray
    before: np.ndarray
    chance: np.random.Generator
    last: int = -1
    total: float = 0.0
    steps: int = 0


@contextmanager
def environments(environment: Environment, n: int) -> Iterator[list[Any]]:
    """`n` environments, some of them from an earlier run: every episode begins by a reset with its seed."""
    key = environment if _can_be_kept(environment) else None
    idle = [] if key is None else _IDLE.pop(key, [])
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
        if key is not None:
            _IDLE[key] = [*_IDLE.pop(key, []), *taken, *rest]
        else:
            for env in taken:
                env.close()
        while len(_IDLE) > _KEPT_ENVIRONMENTS:
            for env in _IDLE.popitem(last=False)[1]:
                env.close()


def _can_be_kept(environment: Environment) -> bool:
    """Whether its maker can be told from others."""
    try:
        hash(environment)
    except TypeError:
        return False
    return True


def begin(environment: Environment, env: Any, place: int, seed: int) -> Slot:
    try:
        observation, _ = env.reset(seed=seed)
    except Exception as error:
        raise InputError(f"the environment {environment.name} raised {type(error).__name__}: {error}") from error
    row = observed(observation, environment.name, len(environment.columns))
    return Slot(place, env, row, row, np.random.default_rng((seed, 1)))


def step(environment: Environment, slot: Slot, action: int, sticky: float) -> bool:
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


def rows_of(running: list[Slot], columns: list[int]) -> np.ndarray:
    now = np.array([slot.now for slot in running])
    if not columns:
        return now
    before = np.array([slot.before for slot in running])
    return np.hstack([now, now[:, columns] - before[:, columns]])


def actions_of(environment: Environment, act: Act, rows: np.ndarray) -> list[int]:
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
