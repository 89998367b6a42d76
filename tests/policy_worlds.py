"""Small worlds to play in whose best policy is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

gymnasium = pytest.importorskip("gymnasium")

STAY, RIGHT, LEFT = 0, 1, 2


class World(gymnasium.Env):
    """What happens in a step is ``_move(action) -> (reward, over)``; `self.state` is observed, `length` steps long."""

    columns: tuple[str, ...] = ()
    meanings: tuple[str, ...] = ()
    length = 30

    def __init__(self) -> None:
        self.observation_space = gymnasium.spaces.Box(-1e3, 1e3, (len(self.columns),), np.float64)
        self.action_space = gymnasium.spaces.Discrete(len(self.meanings))
        self.observation_names = self.columns
        self.max_steps = self.length

    def get_action_meanings(self) -> list[str]:
        return list(self.meanings)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.t, self.state = 0, np.array(self._start(), dtype=np.float64)
        return self.state.copy(), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.t += 1
        reward, over = self._move(int(action))
        return self.state.copy(), float(reward), bool(over), self.t >= self.length, {}


class Follow(World):
    """A ball moves to and fro; the paddle scores where it is near. The best: right if ball > paddle, left if not."""

    columns, meanings = ("ball", "paddle"), ("stay", "right", "left")

    def _start(self) -> tuple[float, float]:
        self.speed = float(self.np_random.choice([-0.7, 0.7]))
        return float(self.np_random.uniform(2, 8)), float(self.np_random.uniform(2, 8))

    def _move(self, action: int) -> tuple[float, bool]:
        ball, paddle = self.state
        if not 0 <= ball + self.speed <= 10:
            self.speed = -self.speed
        self.state = np.array([ball + self.speed, paddle + (0.0, 1.0, -1.0)[action]])
        return float(abs(self.state[0] - self.state[1]) < 1.0), False


def follower(rows: np.ndarray) -> np.ndarray:
    """The best policy of `Follow` as Q values."""
    gap = rows[:, 0] - rows[:, 1]
    return np.column_stack([0.5 - np.abs(gap), gap, -gap])


class Gate(World):
    """In most steps any action is fine; at the gate, every 20th step, only a jump is: one miss ends it."""

    columns, meanings, length = ("gate", "noise"), ("run", "jump"), 60

    def _start(self) -> tuple[float, float]:
        return 0.0, float(self.np_random.normal())

    def _move(self, action: int) -> tuple[float, bool]:
        missed = self.state[0] == 1.0 and action == 0
        stumbled = self.state[0] == 0.0 and action == 1 and self.np_random.random() < 0.5
        self.state = np.array([float(self.t % 20 == 19), self.np_random.normal()])
        return 1.0, missed or stumbled


def jumper(rows: np.ndarray) -> np.ndarray:
    """The best policy of `Gate` as Q values: what is at stake at the gate is all."""
    at = rows[:, 0] > 0.5
    return np.column_stack([np.where(at, 0.0, 2.0), np.where(at, 20.0, 0.0)])


class Ledge(World):
    """A step to either side each time; falling off at 0 or 10 ends it. The best: towards the middle."""

    columns, meanings, length = ("x",), ("down", "up"), 60

    def _start(self) -> tuple[float]:
        return (5.0,)

    def _move(self, action: int) -> tuple[float, bool]:
        self.state = self.state + (-1.0, 1.0)[action]
        return 1.0, not 0.0 < self.state[0] < 10.0


def centred(rows: np.ndarray) -> np.ndarray:
    """A policy of `Ledge` that keeps away from the edges, as probabilities."""
    up = 1.0 / (1.0 + np.exp(rows[:, 0] - 5.01))
    return np.column_stack([1.0 - up, up])


class Idle(World):
    """Whatever is done, each step scores 1."""

    columns, meanings, length = ("x",), ("left", "right"), 10

    def _start(self) -> tuple[float]:
        return (float(self.np_random.normal()),)

    def _move(self, action: int) -> tuple[float, bool]:
        self.state = self.np_random.normal(size=1)
        return 1.0, False


class Either(World):
    """Left and right are both fine, only to stop ends it: a student whose actions are interchanged plays as well."""

    columns, meanings, length = ("x",), ("left", "right", "stop"), 20

    def _start(self) -> tuple[float]:
        return (float(self.np_random.normal()),)

    def _move(self, action: int) -> tuple[float, bool]:
        self.state = self.np_random.normal(size=1)
        return 1.0, action == 2


def either(rows: np.ndarray) -> np.ndarray:
    """Left or right by the sign, never stop."""
    return np.column_stack([-rows[:, 0], rows[:, 0], np.full(len(rows), -9.0)])


def make_follow() -> Follow:
    """A new `Follow`."""
    return Follow()
