"""What a policy acts in: a maker of gymnasium environments, with names for what is observed and what can be done.

Source
------
Towers2024 (the interface of an environment).

Departures
----------
Only vectors of numbers are observed and only a few actions are offered: a picture or a torque is no column to compare.

Checked
-------
tests/unit/test_policies.py: names, pictures and torques refused, an environment that no seed repeats found.

Cost
----
Two environments' starts and ten steps, once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from limbeck._core.errors import InputError, require

__all__ = ["Environment", "as_environment", "observed"]

PROBE_STEPS = 10
_NAMES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "CartPole": (("position", "velocity", "angle", "angular_velocity"), ("left", "right")),
    "Acrobot": (
        ("cos_1", "sin_1", "cos_2", "sin_2", "velocity_1", "velocity_2"),
        ("torque -1", "no torque", "torque +1"),
    ),
    "MountainCar": (("position", "velocity"), ("left", "coast", "right")),
    "LunarLander": (
        ("x", "y", "vx", "vy", "angle", "angular_velocity", "left_leg", "right_leg"),
        ("coast", "left engine", "main engine", "right engine"),
    ),
}
"""What the columns and actions of gymnasium's own environments are, from their descriptions."""


@dataclass(frozen=True)
class Environment:
    """A maker of environments and the names of their columns and actions.

    Attributes
    ----------
    make : callable
        Gives a new gymnasium environment; the same one in every process where it is made from an id.
    name : str
    columns, actions : tuple of str
    max_steps : int or None
        Steps after which an episode is cut, where the environment says so.
    """

    make: Callable[[], Any]
    name: str
    columns: tuple[str, ...]
    actions: tuple[str, ...]
    max_steps: int | None = None


@dataclass(frozen=True)
class _Registered:
    """A maker of the environment that gymnasium knows by an id; equal for equal ids, so that processes share them."""

    id: str

    def __call__(self) -> Any:
        gymnasium = require("gymnasium", extra="rl")
        if self.id.startswith("limbeck/"):
            from limbeck.policies._atari import register_games

            register_games()
        return gymnasium.make(self.id, disable_env_checker=True)


def as_environment(
    env: Any, *, names: Sequence[str] | None = None, actions: Sequence[str] | None = None
) -> Environment:
    """An environment that can be made again and again, with names.

    Parameters
    ----------
    env
        An id that gymnasium knows (also ``"limbeck/Breakout-v0"`` and ``"limbeck/Pong-v0"``), a function without
        arguments that gives a new environment, or an `Environment`.
    names, actions
        Names of the columns and of the actions. Those of `Environment`, the environment's own (``observation_names``
        and ``get_action_meanings()``) or, for gymnasium's own environments, known ones where None.

    Raises
    ------
    InputError
        Where it can't be made, where observations are no vector or actions not numbered from 0, where names don't fit,
        and where the same seed does not give the same episode.
    MissingDependencyError
        Where gymnasium is absent.
    """
    gymnasium = require("gymnasium", extra="rl")
    if isinstance(env, Environment):
        names = env.columns if names is None else names
        actions = env.actions if actions is None else actions
    make = _maker(env, gymnasium)
    made = _made(make, env, gymnasium)
    try:
        name = env.name if isinstance(env, Environment) else _name(made, env)
        d, a = _sizes(made, name, gymnasium)
        own, own_actions = _own_names(made, name)
        columns = _checked("names", names, own, [f"x{i}" for i in range(d)], d)
        labels = _checked("actions", actions, own_actions, [f"action {i}" for i in range(a)], a)
        spec = getattr(made, "spec", None)
        steps = getattr(spec, "max_episode_steps", None) or getattr(made.unwrapped, "max_steps", None)
        _check_repeats(made, name, a)
    finally:
        made.close()
    return Environment(make, name, columns, labels, None if steps is None else int(steps))


def observed(observation: Any, name: str, d: int) -> np.ndarray:
    """One observation as ``(d,)`` float64.

    Raises
    ------
    InputError
        Where it has another shape or holds something other than finite numbers.
    """
    try:
        row = np.asarray(observation, dtype=np.float64)
    except (TypeError, ValueError):
        row = np.array(np.nan)
    if row.shape != (d,) or not np.isfinite(row).all():
        raise InputError(
            f"the environment {name} must observe {d} finite numbers; got {np.array2string(row, threshold=8)[:120]} of "
            f"shape {row.shape}. Mend it, or wrap it in a gymnasium ObservationWrapper"
        )
    return row


def _maker(env: Any, gymnasium: Any) -> Callable[[], Any]:
    if isinstance(env, Environment):
        return env.make
    if isinstance(env, str):
        return _Registered(env)
    if isinstance(env, gymnasium.Env):
        raise InputError(
            f"env must be an id or a function that makes a new environment, as several are played together; got the "
            f"environment {type(env.unwrapped).__name__} itself. Give lambda: {type(env.unwrapped).__name__}(...)"
        )
    if not callable(env):
        raise InputError(f"env must be an id, a function that makes an environment, or an Environment; got {env!r:.80}")
    maker: Callable[[], Any] = env
    return maker


def _made(make: Callable[[], Any], env: Any, gymnasium: Any) -> Any:
    try:
        made = make()
    except gymnasium.error.Error as error:
        raise InputError(f"env must be an id that gymnasium can make; {env!r:.80} can't be made: {error}") from error
    except ImportError:
        raise
    except Exception as error:
        raise InputError(f"the function that makes the environment raised {type(error).__name__}: {error}") from error
    if not isinstance(made, gymnasium.Env):
        raise InputError(f"env() must give a gymnasium environment; it gave a {type(made).__name__}")
    return made


def _name(made: Any, env: Any) -> str:
    if isinstance(env, str):
        return env
    spec = getattr(made, "spec", None)
    return str(spec.id) if spec is not None else type(made.unwrapped).__name__


def _sizes(made: Any, name: str, gymnasium: Any) -> tuple[int, int]:
    """The numbers of columns and of actions."""
    seen, done = made.observation_space, made.action_space
    if not isinstance(seen, gymnasium.spaces.Box) or len(seen.shape) != 1 or seen.shape[0] == 0:
        picture = isinstance(seen, gymnasium.spaces.Box) and len(seen.shape) > 1
        way = "For Atari games use limbeck.policies.ram_environment; else wrap it" if picture else "Wrap it"
        raise InputError(
            f"the observations of an environment must be vectors (a Box of shape (d,)); {name} has {seen}. "
            f"{way} in a gymnasium ObservationWrapper that gives a vector"
        )
    if not isinstance(done, gymnasium.spaces.Discrete) or int(done.start) != 0 or int(done.n) < 2:
        raise InputError(
            f"the actions of an environment must be numbered from 0 (Discrete(n), n >= 2); {name} has {done}. Wrap "
            "it in a gymnasium ActionWrapper that offers a few actions"
        )
    return int(seen.shape[0]), int(done.n)


def _own_names(made: Any, name: str) -> tuple[Any, Any]:
    """The names that the environment gives, or that are known for it; None where there are none."""
    columns = getattr(made.unwrapped, "observation_names", None)
    meanings = getattr(made.unwrapped, "get_action_meanings", None)
    actions = meanings() if callable(meanings) else None
    spec = getattr(made, "spec", None)
    point = str(getattr(spec, "entry_point", ""))
    if point.startswith("gymnasium.envs."):
        known = _NAMES.get(name.rsplit("-v", 1)[0], (None, None))
        columns = known[0] if columns is None else columns
        actions = known[1] if actions is None else actions
    return columns, actions


def _checked(what: str, given: Any, own: Any, numbered: list[str], n: int) -> tuple[str, ...]:
    """`n` different texts: those given, else the environment's own where they fit, else numbered ones."""
    if given is None:
        fits = own is not None and len(own) == n and len({str(v) for v in own}) == n
        return tuple(str(v) for v in own) if fits else tuple(numbered)
    if isinstance(given, str) or not isinstance(given, Sequence) or not all(isinstance(v, str) for v in given):
        raise InputError(f"{what} must be a list of texts; got {given!r:.80}")
    if len(given) != n or len(set(given)) != n:
        raise InputError(f"{what} must be {n} different texts; got {len(given)}, of which {len(set(given))} differ")
    return tuple(given)


def _check_repeats(made: Any, name: str, n_actions: int) -> None:
    """Two episodes' beginnings from one seed must be the same."""
    first, second = (_beginning(made, name, n_actions) for _ in range(2))
    if first.shape != second.shape or not np.array_equal(first, second):
        raise InputError(
            f"the environment {name} must give the same episode for the same seed; two episodes begun by "
            "reset(seed=0) differ. Draw all its chance from self.np_random, which reset(seed=...) sets"
        )


def _beginning(made: Any, name: str, n_actions: int) -> np.ndarray:
    draws = np.random.default_rng(0)
    d = made.observation_space.shape[0]
    try:
        rows = [observed(made.reset(seed=0)[0], name, d)]
        for _ in range(PROBE_STEPS):
            observation, reward, over, cut, _ = made.step(int(draws.integers(n_actions)))
            rows.append(np.append(observed(observation, name, d), 0.0)[:d] + 0.0 * float(reward))
            if over or cut:
                break
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"the environment {name} raised {type(error).__name__} in its first steps: {error}") from error
    return np.array(rows)
